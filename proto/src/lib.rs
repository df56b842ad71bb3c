//! The contracts of Quartermaster as Rust types: the gRPC API (`v1`) and what is on disk (`journal::v1`), and how what is written most often
//! is written without them (`fields`). Nothing else lives here.
//!
//! Generated from `proto/quartermaster` at build time without protoc. Feature `grpc` adds clients and servers.
#![forbid(unsafe_code)]
// Generated code follows the generator's taste, not ours.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, rust_2018_idioms, unused_qualifications)]

pub mod fields;

/// The API as gateways see it, package `quartermaster.v1`.
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/quartermaster.v1.rs"));
}

/// The request of a method that takes one message and gives one. Every such method of the API has a request type of its own, so that the
/// request says which method is called and what it answers.
pub trait Unary: prost::Message + Clone + Default + 'static {
    /// What the method answers.
    type Answer: prost::Message + Default + 'static;
    /// Path of the call, `/quartermaster.v1.AllocationService/Reserve`.
    const PATH: &'static str;

    /// The request id of a request that changes something, to be set; none of a question.
    fn request_id_mut(&mut self) -> Option<&mut String>;
}

include!(concat!(env!("OUT_DIR"), "/unary.rs"));

/// The journal as it is on disk.
pub mod journal {
    /// Package `quartermaster.journal.v1`.
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/quartermaster.journal.v1.rs"));
    }
}

/// Encoded `google.protobuf.FileDescriptorSet` of all of it with comments: for reflection and the JSON view.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/quartermaster.fds"));

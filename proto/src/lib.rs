//! The contracts of Quartermaster as Rust types: the gRPC API (`v1`) and what is on disk (`journal::v1`). Nothing else lives here.
//!
//! Generated from `proto/quartermaster` at build time without protoc. Feature `grpc` adds clients and servers.
#![forbid(unsafe_code)]
// Generated code follows the generator's taste, not ours.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, rust_2018_idioms, unused_qualifications)]

/// The API as gateways see it, package `quartermaster.v1`.
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/quartermaster.v1.rs"));
}

/// The journal as it is on disk.
pub mod journal {
    /// Package `quartermaster.journal.v1`.
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/quartermaster.journal.v1.rs"));
    }
}

/// Encoded `google.protobuf.FileDescriptorSet` of all of it with comments: for reflection and the JSON view.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/quartermaster.fds"));

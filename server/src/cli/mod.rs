//! The commands beside the server.

pub mod demo;

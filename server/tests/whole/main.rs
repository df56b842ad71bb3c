//! The whole server as a process: killed, starved of disk, damaged, and driven by a client that we did not write.
#![allow(missing_docs)]

mod actor;
mod backup;
mod crash;
mod data_dir;
mod disk_full;
mod operations;
mod ops;
mod python_client;
mod routing;
#[cfg(feature = "s3")]
mod s3;
mod support;

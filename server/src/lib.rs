//! The server of Quartermaster: the only place that knows gRPC, tokio, the wall clock, the environment and signals.
#![forbid(unsafe_code)]

pub mod acks;
pub mod clock;
pub mod config;
pub mod logging;
pub mod shutdown;

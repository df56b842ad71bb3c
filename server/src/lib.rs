//! The server of Quartermaster: the only place that knows gRPC, tokio, the wall clock, the environment and signals.
#![forbid(unsafe_code)]

pub mod acks;
pub mod admission;
pub mod auth;
pub mod backup;
pub mod causes;
pub mod cli;
pub mod clock;
pub mod config;
pub mod deadline;
pub mod grpc;
pub mod health;
pub mod json;
pub mod logging;
pub mod methods;
pub mod metrics;
pub mod node;
pub mod openapi;
pub mod refusal;
pub mod reload;
pub mod security;
pub mod serve;
pub mod shutdown;
pub mod systemd;
pub mod tls;
pub mod watch;

//! Load for a Quartermaster server from outside: open-loop load, the traffic and proof of the flash-sale demo, the replay of real
//! orders. This crate sees what a client sees, the contract and the wire, and never the engine.
#![forbid(unsafe_code)]

pub mod access;
pub mod ask;
pub mod check;
pub mod client;
pub mod demo;
pub mod latency;
pub mod load;
pub mod machine;
pub mod pace;
pub mod progress;
pub mod random;
pub mod replay;
pub mod run;
pub mod status;
pub mod table;
pub mod tally;
pub mod workload;

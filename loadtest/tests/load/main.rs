//! The load generator, the demo's proof and the replay against a server that is naive, correct, and wrong where a test says so.
#![forbid(unsafe_code)]

mod open_loop;
mod proof;
mod replay;
mod support;

//! The hand-offs of the server under loom: its own files, compiled here without the runtime around them. Empty in any other build.
//!
//! `RUSTFLAGS="--cfg loom" CARGO_PROFILE_DEV_OPT_LEVEL=2 cargo test -p quartermaster-server-models --lib --target host-tuple`
//!
//! Exhausted at three preemptions; `LOOM_MAX_PREEMPTIONS` changes that. A hang is a lost wake-up: loom ends with "deadlock".
#![forbid(unsafe_code)]

#[cfg(loom)]
#[path = "../../src/acks.rs"]
pub mod acks;
#[cfg(all(loom, test))]
mod models;

//! The state machine of Quartermaster: the stock matrix, reservations and the decisions about them.
//!
//! Synchronous and deterministic. It reads no clock, draws no number, touches no file and starts no thread: time is an argument, and
//! durability is behind the journal's trait. State changes in one way: command → decide → event → journal → apply.
#![forbid(unsafe_code)]

pub mod allotment;
mod apply;
mod ascending;
pub mod audit;
pub mod campaign;
pub mod capacity;
pub mod catalog;
pub mod codec;
pub mod command;
mod decide;
mod dedup;
pub mod engine;
pub mod error;
pub mod event;
mod expiries;
pub mod fingerprint;
pub mod history;
pub mod id;
mod near;
mod owners;
pub mod quantity;
pub mod query;
mod queue;
pub mod recovery;
pub mod reservation;
pub mod returns;
pub mod route;
pub mod rules;
mod shard;
mod slab;
pub mod snapshot;
mod sorted;
pub mod sourced;
mod stamp;
pub mod stock;
pub mod supply;
mod table;
pub mod terms;
pub mod time;
pub mod upkeep;

pub use engine::{Answer, Engine, EngineConfig, Verdict, campaign::SettleReport};
pub use error::{CodedShortage, Error, Rejection};
pub use quartermaster_sync::crew::{self, Crew};
pub use shard::{Counts, LockObserver};

//! What the orders of a log would have become under other policies and tariffs.
//!
//! Records of a log come in, figures go out. Beside the log runs another world: an engine that gets the same catalogue, the same stock
//! and the same orders at the same times, but decides about them by itself. Stock is used up by its own decisions, and comes back by
//! its own reservations. Pure: no clock, no file.
#![forbid(unsafe_code)]

mod ask;
mod backtest;
mod catalogue;
pub mod change;
pub mod day;
mod fault;
pub mod figures;
mod follow;
pub mod followed;
mod instead;
mod journal;
mod pairs;
mod rules;
mod select;
mod stock;
pub mod unfillable;
mod world;

pub use backtest::{Backtest, Opening, Options, Outcome};
pub use fault::Fault;
pub use instead::Instead;

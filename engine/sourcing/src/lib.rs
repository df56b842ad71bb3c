//! How an order is sourced: which places may serve it, what each would cost and when it would arrive, which plan is best, and why.
//!
//! Pure: no clock, no file, no lock. The engine brings the stock and the time; `quartermaster-routing` finds the best plan; this crate
//! turns places, tariffs, calendars and policies into the solver's problem, and its plan into parcels with dates and cost terms.
#![forbid(unsafe_code)]

pub mod bits;
pub mod calendar;
pub mod candidate;
mod codes;
pub mod explain;
pub mod fulfilment;
mod gather;
pub mod geo;
pub mod network;
pub mod order;
pub mod plan;
pub mod policy;
pub mod region;
pub mod removal;
pub mod router;
pub mod rules;
mod solve;
pub mod split;
pub mod tariff;

pub use gather::Query;
pub use quartermaster_routing::{Grams, LocationId, Money, Proof, SkuId, Units};
pub use router::{Met, RouteError, Router};
pub use solve::Desk;

//! The exact order router: which locations serve which lines of one order, at proven least cost.
//!
//! State a [`Problem`], give it to a [`Solver`] with a [`Budget`], get a [`Plan`] with its value, a lower bound and a proof.
//! The crate is pure: no clock, no randomness, no floating point, no input or output.

#![forbid(unsafe_code)]

mod assign;
mod bound;
mod cover;
mod error;
mod few;
mod fill;
mod general;
mod greedy;
mod model;
mod one_line;
mod parcel;
mod plan;
mod problem;
mod reduce;
mod search;
mod solve;
mod stepped;
mod tariff;
mod units;

pub use error::ProblemError;
pub use plan::{Allocation, Parcel, Plan, Proof, Unserved, Value};
pub use problem::{
    Line, LineIndex, Location, LocationIndex, Objective, Problem, ProblemBuilder, Shipping, TariffIndex,
};
pub use solve::{Budget, Solver};
pub use tariff::{Service, cheapest};
pub use units::{Grams, LocationId, Money, ServiceId, SkuId, Units};

//! Sourcing policies: documents that say which places may serve an order, what each choice is worth, and what to try next.
//!
//! A [`Document`] is text, checked once by [`Policy::compile`] against the places there are; [`Policy::for_order`] binds the
//! compiled policy to one order and answers what the decision asks of every candidate. [`lint`] tells what a document says
//! that its author cannot have meant.

pub(crate) mod amount;
mod bound;
mod chain;
mod check;
mod compile;
mod condition;
mod document;
mod error;
mod expression;
mod facts;
mod goal;
mod lint;
mod prices;
mod scope;
mod span;
mod step;

pub use bound::{Bound, BoundLine, Removed};
pub use compile::Policy;
pub use document::{Document, Fallback, Merge, Preference, Record, Rule};
pub use error::{DocumentError, Fault, Format, PolicyError};
pub use expression::ExpressionError;
pub use facts::{Codes, OrderFacts, PlaceFacts, Places};
pub use goal::Goal;
pub use lint::{Finding, Severity, lint};
pub use prices::{AgeingBonus, CoverPrice, LastPieces, PressurePrice, Prices, RunPrices};
pub use scope::{Scope, Specificity, choose};
pub use span::Span;
pub use step::Step;

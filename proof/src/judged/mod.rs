//! Traffic that can be judged afterwards: buyers who write down what they ask and what they hear, and a judge who knows only that.

pub mod book;
pub mod buyer;
pub mod judge;
pub mod ledger;
pub mod operation;
pub mod shop;

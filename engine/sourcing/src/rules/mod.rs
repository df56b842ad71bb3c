//! Stock rules: documents that say what is kept back at cells, what is allotted to channels and what channels leave to others.
//!
//! A [`RuleSet`] is text, put whole. [`check`] tells what it says that cannot be or was hardly meant; [`Compiled`] answers what each rule
//! comes to for the stock it looks at. Nothing here depends on what is reserved: a rule's figure follows from stock alone, so that a
//! reservation never moves it.

mod check;
mod compile;
mod document;
mod percent;
mod time;

pub use check::check;
pub use compile::{Compiled, CompiledRule, Effect, StockFacts};
pub use document::{Allot, Keep, Leave, Rule, RuleScope, RuleSet, Window};
pub use percent::Percent;
pub use time::Moment;

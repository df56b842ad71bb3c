//! Conditions in CEL: parsed by the `cel` crate, then checked and typed once, so that evaluating one cannot meet a wrong type,
//! never allocates in common cases, and is bounded by its text and the few lists it may run over.
//!
//! What a policy may use is CEL without what it cannot decide with: no floats, no regular expressions, no `map` or `filter`, no
//! escapes in strings. Within that, every answer is the one the CEL interpreter gives; the tests ask it.

mod error;
mod evaluate;
mod field;
mod guard;
mod lower;
mod term;

#[cfg(test)]
mod oracle;

use cel::parser::Parser;

pub use error::ExpressionError;
pub(super) use evaluate::Facts;
pub(super) use field::{Domain, ListField, NumberField, TextField, path_of};
pub(super) use term::{Compare, Number, Text, Texts, Truth};

/// Reads and types a condition. It knows nothing of stock: that changes with every order.
pub(super) fn read(text: &str) -> Result<Truth, ExpressionError> {
    let truth = lower::condition(&parse(text)?)?;
    if truth.domain().touches(Domain::STOCK) {
        return Err(ExpressionError::UnknownVariable { name: "stock".to_owned() });
    }
    Ok(truth)
}

/// Reads and types a whole number.
pub(super) fn read_amount(text: &str) -> Result<Number, ExpressionError> {
    lower::amount(&parse(text)?)
}

fn parse(text: &str) -> Result<cel::IdedExpr, ExpressionError> {
    guard::check(text)?;
    Parser::new().parse(text).map_err(|errors| {
        let first = errors.errors.first();
        let (line, column) = first.map_or((1, 1), |error| error.pos);
        ExpressionError::Syntax {
            line: usize::try_from(line).unwrap_or(1).max(1),
            column: usize::try_from(column).unwrap_or(1).max(1),
            message: first.map_or_else(|| "not an expression".to_owned(), |error| error.msg.clone()),
        }
    })
}

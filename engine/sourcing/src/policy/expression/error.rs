//! Why an expression is refused when its policy is published.

use thiserror::Error;

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ExpressionError {
    /// Too long.
    #[error("the expression has {bytes} bytes, the most is {most}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The most allowed.
        most: usize,
    },
    /// Brackets and chained operators go too deep.
    #[error("the expression is nested too deeply; split it into several rules")]
    TooDeep,
    /// Something CEL may have and policies do not.
    #[error("{what} cannot be used here{instead}")]
    Unsupported {
        /// What, as written or named.
        what: String,
        /// What to write instead, with its own punctuation; may be empty.
        instead: &'static str,
    },
    /// Not CEL.
    #[error("line {line}, column {column}: {message}")]
    Syntax {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// The parser's words.
        message: String,
    },
    /// No such variable.
    #[error("there is no \"{name}\"; known are order, location, sku and distance_metres")]
    UnknownVariable {
        /// As written.
        name: String,
    },
    /// The variable has no such field.
    #[error("{variable} has no field \"{field}\"; it has {known}")]
    UnknownField {
        /// `order`, `location` or `sku`.
        variable: &'static str,
        /// As written.
        field: String,
        /// Its fields.
        known: String,
    },
    /// No such function or macro.
    #[error(
        "there is no function \"{name}\"; known are size, startsWith, endsWith, contains, has, all, exists and exists_one"
    )]
    UnknownFunction {
        /// As written.
        name: String,
    },
    /// Something of one type where another is needed.
    #[error("{what} is {found}, {needed} is needed")]
    Type {
        /// The part, as CEL writes it.
        what: String,
        /// Its type.
        found: &'static str,
        /// The type or types that fit.
        needed: &'static str,
    },
}

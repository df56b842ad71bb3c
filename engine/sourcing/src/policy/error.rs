//! What can be wrong with a document: with its text, and with what it says.

use thiserror::Error;

use super::document::Document;
use super::expression::ExpressionError;

/// How a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// TOML 1.0.
    Toml,
    /// JSON.
    Json,
}

/// The text is not a document.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DocumentError {
    /// Longer than [`Document::TEXT_MAX`].
    #[error("the document has {bytes} bytes, the most is {}", Document::TEXT_MAX)]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Not well formed, or a field that is missing, unknown or of the wrong type.
    #[error("line {line}, column {column}: {message}")]
    Malformed {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What is wrong; names the field where one is meant.
        message: String,
    },
}

impl DocumentError {
    pub(crate) fn of_toml(error: &toml::de::Error, text: &str) -> Self {
        let at = error.span().map_or(0, |span| span.start);
        let before = text.get(..at).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        Self::Malformed {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: error.message().to_owned(),
        }
    }

    pub(crate) fn of_json(error: &serde_json::Error) -> Self {
        let text = error.to_string();
        let message = text.rfind(" at line ").map_or(text.as_str(), |end| &text[..end]);
        Self::Malformed { line: error.line(), column: error.column(), message: message.to_owned() }
    }
}

/// One thing a document says that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{path}: {fault}")]
pub struct PolicyError {
    /// Where, for example `rules[2].exclude`.
    pub path: String,
    /// What.
    pub fault: Fault,
}

/// What cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// A name or text is empty or too long.
    #[error("has {bytes} bytes: 1 to {most} are allowed")]
    Length {
        /// Its length.
        bytes: usize,
        /// The most allowed.
        most: usize,
    },
    /// Two of a list have this name.
    #[error("the name \"{name}\" is taken")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// Not three capital letters.
    #[error("is no ISO 4217 currency: three capital letters, as in CNY")]
    Currency,
    /// A number outside its range.
    #[error("is {value}: {least} to {most} is allowed")]
    Range {
        /// The number.
        value: i64,
        /// The least allowed.
        least: i64,
        /// The most allowed.
        most: i64,
    },
    /// Steps that must ascend do not.
    #[error("must be greater than the one before")]
    NotAscending,
    /// More entries than allowed.
    #[error("has {count} entries, the most is {most}")]
    TooMany {
        /// How many.
        count: usize,
        /// The most allowed.
        most: usize,
    },
    /// A price of cover is neither of its two forms.
    #[error("must have either weeks_over and bonus, or weeks_under and price")]
    CoverForm,
    /// No rule has this name.
    #[error("there is no rule \"{name}\"")]
    UnknownRule {
        /// The name.
        name: String,
    },
    /// No fallback has this name.
    #[error("there is no fallback \"{name}\"")]
    UnknownFallback {
        /// The name.
        name: String,
    },
    /// The fallbacks lead back to one that was tried.
    #[error("the fallbacks go round in a circle: {}", names.join(" -> "))]
    FallbackCycle {
        /// The circle, its first name again at the end.
        names: Vec<String>,
    },
    /// A price per parcel whose expression looks at the SKU: a parcel may hold several.
    #[error("a price per parcel cannot depend on the SKU; use unit_price, or take sku out of the expression")]
    ParcelPriceOfSku,
    /// The expression cannot be used.
    #[error(transparent)]
    Expression(#[from] ExpressionError),
}

//! What is wrong with the files, each with its file, row and column.

use std::fmt;

use thiserror::Error;

/// Problems shown; all are counted.
const SHOWN: usize = 20;

/// What is wrong in a place, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Wrong {
    #[error("the column is missing; name it {names}")]
    MissingColumn { names: String },
    #[error("the column stands twice; keep one")]
    ColumnTwice,
    #[error("the file is empty; the first row names the columns")]
    NoHeader,
    #[error("the file has no rows below the names of its columns")]
    NoRows,
    #[error("the row has {found} fields, the header names {expected}")]
    Fields { found: usize, expected: usize },
    #[error("the row cannot be read: {why}")]
    Unreadable { why: String },
    #[error("not UTF-8; save the file as UTF-8")]
    NotUtf8,
    #[error("empty; it must be given")]
    Empty,
    #[error("{text:?} holds a control character; remove it")]
    Control { text: String },
    #[error("{found} bytes long; {limit} are the most")]
    TooLong { found: usize, limit: usize },
    #[error("{text:?} is no whole number from {least} to {most}")]
    NotANumber { text: String, least: i64, most: i64 },
    #[error("{text:?} is no number of degrees from -{limit} to {limit}")]
    NotDegrees { text: String, limit: u32 },
    #[error("given without its other half; give both latitude and longitude or neither")]
    HalfAPlace,
    #[error("{text:?} is none of {choices}")]
    NoChoice { text: String, choices: &'static str },
    #[error("{text:?} is no time of day; write it as 20:00, the end of a day as 24:00")]
    NoTimeOfDay { text: String },
    #[error("work ends before it starts, or at once; the cut-off must come after the opening")]
    ClosedBeforeOpen,
    #[error("{text:?} names no days of the week; write 1-5 or 1;3;5, 1 being Monday")]
    NoDays { text: String },
    #[error("{text:?} is no time zone of the IANA database; write it as Asia/Shanghai")]
    NoTimeZone { text: String },
    #[error("{text:?} is no currency; give three capital letters, as CNY")]
    NoCurrency { text: String },
    #[error("a unit value needs a currency; fill in the column currency")]
    NoCurrencyGiven,
    #[error("{attributes} attributes; {limit} are the most")]
    TooManyAttributes { attributes: usize, limit: usize },
    #[error("{text:?} stands in row {first} already; keep one")]
    Twice { text: String, first: u64 },
    #[error("SKU {sku:?} at {location:?} stands in row {first} already; keep one")]
    CellTwice { sku: String, location: String, first: u64 },
    #[error("{text:?} lies in itself, through the regions it lies in")]
    Round { text: String },
    #[error("{text:?} is neither in the file of {what} nor on the server; add it there")]
    Unknown { what: &'static str, text: String },
}

/// A place in a file and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) file: String,
    /// Line in the file, the header being 1.
    pub(super) row: u64,
    /// Name of the column as the file has it; empty for the whole row.
    pub(super) column: String,
    pub(super) wrong: Wrong,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:", self.file, self.row)?;
        if !self.column.is_empty() {
            write!(formatter, "{}:", self.column)?;
        }
        write!(formatter, " {}", self.wrong)
    }
}

/// All that is wrong, the first of it in full.
#[derive(Clone, Debug, Default)]
pub(super) struct Problems {
    pub(super) first: Vec<Problem>,
    pub(super) total: u64,
}

impl Problems {
    pub(super) fn add(&mut self, file: &str, row: u64, column: &str, wrong: Wrong) {
        self.total += 1;
        if self.first.len() < SHOWN {
            self.first.push(Problem { file: file.to_owned(), row, column: column.to_owned(), wrong });
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.total == 0
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.first {
            writeln!(formatter, "{problem}")?;
        }
        let shown = u64::try_from(self.first.len()).unwrap_or(u64::MAX);
        if self.total > shown {
            writeln!(formatter, "... and {} more", self.total - shown)?;
        }
        Ok(())
    }
}

//! CSV files, plain or gzipped, read by column name. What is wrong with one is told with file, row and column.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use flate2::read::MultiGzDecoder;

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// Neither `NAME.csv` nor `NAME.csv.gz` is there.
    #[error("{} is missing, and so is {}.gz", path.display(), path.display())]
    Missing {
        /// The plain name.
        path: PathBuf,
    },
    /// The system refused it.
    #[error("{}: cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The header lacks a column.
    #[error("{}: the header has no column {column:?}", path.display())]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
    },
    /// A row is not CSV.
    #[error("{}, row {row}: {source}", path.display())]
    NotCsv {
        /// The file.
        path: PathBuf,
        /// The line in the file, the header being 1.
        row: u64,
        /// Why.
        source: csv::Error,
    },
    /// A field has the wrong form.
    #[error("{}, row {row}, column {column}: {value:?} is not {expected}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The line in the file, the header being 1.
        row: u64,
        /// The column.
        column: &'static str,
        /// What stands there.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
    /// Rows are not in the order of their times.
    #[error("{}, row {row}, column ts: {value} comes after a later time; sort the file by ts", path.display())]
    OutOfOrder {
        /// The file.
        path: PathBuf,
        /// The line in the file, the header being 1.
        row: u64,
        /// The time.
        value: String,
    },
}

/// A CSV file being read.
pub(super) struct CsvFile {
    path: PathBuf,
    columns: HashMap<String, usize>,
    reader: csv::Reader<Box<dyn Read>>,
    record: csv::StringRecord,
}

impl CsvFile {
    /// Opens `name` in `directory`, or `name.gz` when there is no plain one. `None` when there is neither.
    ///
    /// # Errors
    /// When the file cannot be read or its header is not CSV.
    pub(super) fn find(directory: &Path, name: &str) -> Result<Option<Self>, InputError> {
        let plain = directory.join(name);
        let zipped = directory.join(format!("{name}.gz"));
        let (path, gz) = match (plain.exists(), zipped.exists()) {
            (true, _) => (plain, false),
            (false, true) => (zipped, true),
            (false, false) => return Ok(None),
        };
        let file = File::open(&path).map_err(|source| InputError::Read { path: path.clone(), source })?;
        let bytes: Box<dyn Read> = if gz { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        let mut reader = csv::ReaderBuilder::new().from_reader(bytes);
        let headers = reader.headers().map_err(|source| InputError::NotCsv { path: path.clone(), row: 1, source })?;
        let columns = headers.iter().enumerate().map(|(at, name)| (name.trim().to_owned(), at)).collect();
        Ok(Some(CsvFile { path, columns, reader, record: csv::StringRecord::new() }))
    }

    /// As [`CsvFile::find`], for a file that must be there.
    ///
    /// # Errors
    /// Also when it is not there.
    pub(super) fn open(directory: &Path, name: &str) -> Result<Self, InputError> {
        CsvFile::find(directory, name)?.ok_or_else(|| InputError::Missing { path: directory.join(name) })
    }

    /// Where `column` stands.
    ///
    /// # Errors
    /// When the header lacks it.
    pub(super) fn column(&self, column: &'static str) -> Result<Column, InputError> {
        self.optional(column).ok_or_else(|| InputError::NoColumn { path: self.path.clone(), column })
    }

    /// Where `column` stands, if the header has it.
    pub(super) fn optional(&self, column: &'static str) -> Option<Column> {
        self.columns.get(column).map(|&at| Column { name: column, at })
    }

    /// Goes to the next row; false after the last.
    ///
    /// # Errors
    /// When the row is not CSV, not UTF-8, or has too many or too few fields.
    pub(super) fn next_row(&mut self) -> Result<bool, InputError> {
        self.reader.read_record(&mut self.record).map_err(|source| {
            let row = source.position().map_or(0, csv::Position::line);
            InputError::NotCsv { path: self.path.clone(), row, source }
        })
    }

    /// The text in `column` of this row.
    pub(super) fn text(&self, column: Column) -> &str {
        self.record.get(column.at).unwrap_or("")
    }

    /// The text in `column`, which must not be empty.
    ///
    /// # Errors
    /// When it is.
    pub(super) fn code(&self, column: Column) -> Result<&str, InputError> {
        let text = self.text(column);
        if text.is_empty() || text.len() > 64 {
            return Err(self.wrong(column, "a code of 1 to 64 bytes"));
        }
        Ok(text)
    }

    /// The value in `column`; `expected` says what it should be.
    ///
    /// # Errors
    /// When the text is not one.
    pub(super) fn parse<T: FromStr>(&self, column: Column, expected: &'static str) -> Result<T, InputError> {
        self.text(column).parse().map_err(|_| self.wrong(column, expected))
    }

    /// A complaint about `column` of this row.
    pub(super) fn wrong(&self, column: Column, expected: &'static str) -> InputError {
        InputError::Field {
            path: self.path.clone(),
            row: self.row(),
            column: column.name,
            value: self.text(column).to_owned(),
            expected,
        }
    }

    /// A complaint about the order of the rows.
    pub(super) fn out_of_order(&self, ts: Column) -> InputError {
        InputError::OutOfOrder { path: self.path.clone(), row: self.row(), value: self.text(ts).to_owned() }
    }

    fn row(&self) -> u64 {
        self.record.position().map_or(0, csv::Position::line)
    }
}

/// A column that a header has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    name: &'static str,
    at: usize,
}

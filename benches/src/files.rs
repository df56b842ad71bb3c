//! The files of the order histories: CSV with a header line, gzip where the name ends in `.gz`.

use std::{error::Error, fs::File, io::Read, path::Path};

use flate2::read::GzDecoder;
use serde::de::DeserializeOwned;

/// Why a history could not be read.
pub type Fault = Box<dyn Error>;

/// Opens a file below `data`.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn open(data: &Path, name: &str) -> Result<Box<dyn Read>, Fault> {
    let path = data.join(name);
    let file = File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(if name.ends_with(".gz") { Box::new(GzDecoder::new(file)) } else { Box::new(file) })
}

/// Every row of a file, by the columns that `T` names; the others are passed over.
///
/// # Errors
/// When a row does not fit; the message says where.
pub fn rows<T: DeserializeOwned>(file: impl Read, name: &str) -> Result<Vec<T>, Fault> {
    let rows: Result<Vec<T>, csv::Error> = csv::Reader::from_reader(file).into_deserialize().collect();
    rows.map_err(|error| format!("{name}: {error}").into())
}

//! Inputs that are kept: `corpus/<target>/`, a file each. What was found by coverage, and every input that once broke something.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::Target;

/// The folder of a target's inputs.
pub fn folder(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name)
}

/// The kept inputs of a target with their names, in the order of these.
///
/// # Errors
/// What the system reports. A folder that is not there holds nothing.
pub fn kept(target: &Target) -> io::Result<Vec<(String, Vec<u8>)>> {
    let folder = folder(target);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut inputs = Vec::new();
    for entry in entries {
        let entry = entry?;
        inputs.push((entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?));
    }
    inputs.sort_unstable();
    Ok(inputs)
}

/// Writes an input into a folder, under a name that follows from what it is and its bytes.
///
/// # Errors
/// What the system reports.
pub fn put(folder: &Path, what: &str, input: &[u8]) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let file = folder.join(format!("{what}-{:016x}", crc_fast::crc64_nvme(input)));
    fs::write(&file, input)?;
    Ok(file)
}

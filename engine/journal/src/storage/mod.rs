//! The seam to the disk: one directory of files, small enough that a simulator can stand in for it.

mod disk_file;
mod file;
mod sim;

use std::io;
use std::path::PathBuf;

pub use disk_file::DiskFile;
pub use file::FileStorage;
pub use sim::{CrashStyle, Fault, SimFile, SimLock, SimOperation, SimStorage};

/// One directory of files. A cheap handle: clones share the directory.
///
/// Names are plain file names. What is written is durable only after [`StorageFile::sync_data`]; what is created,
/// renamed or removed only after [`Storage::sync_directory`].
pub trait Storage: Clone + Send + Sync + 'static {
    /// An open file.
    type File: StorageFile;
    /// Held while the directory is claimed; dropping it frees the claim.
    type Lock: Send + Sync + 'static;

    /// The directory, or the file of this name in it, as shown in errors. An empty name is the directory.
    fn path_of(&self, name: &str) -> PathBuf;

    /// Names of all files, in no particular order. A directory that does not exist has none.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Creates an empty file, or empties the one there is, for reading and writing.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// Whatever the system reports; `NotFound` when there is none.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Opens an existing file for reading only.
    ///
    /// # Errors
    /// Whatever the system reports; `NotFound` when there is none.
    fn open_read_only(&self, name: &str) -> io::Result<Self::File>;

    /// Renames a file, replacing any other of the new name in one step.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// When the content of a file was last written, by the wall clock, in microseconds since the Unix epoch.
    ///
    /// # Errors
    /// Whatever the system reports; `NotFound` when there is none.
    fn modified_micros(&self, name: &str) -> io::Result<u64>;

    /// Makes every earlier create, rename and remove durable.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn sync_directory(&self) -> io::Result<()>;

    /// Claims the directory for this process, creating it when there is none.
    ///
    /// # Errors
    /// [`LockError::Held`] when another holds it, [`LockError::Io`] when the system refuses.
    fn lock(&self) -> Result<Self::Lock, LockError>;
}

/// An open file of a [`Storage`].
pub trait StorageFile: std::fmt::Debug + Send + Sync + 'static {
    /// Length in bytes.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn length(&self) -> io::Result<u64>;

    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file is too short, else whatever the system reports.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`, lengthening the file as needed.
    ///
    /// # Errors
    /// Whatever the system reports; any part may have been written then.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes the content and length durable (fdatasync).
    ///
    /// # Errors
    /// Whatever the system reports; the content must then be taken as lost, and the call never repeated.
    fn sync_data(&self) -> io::Result<()>;

    /// Asks for whole sectors that are written from now on to go around the system's cache, for a file that is written once and seldom read.
    /// A hint: by default, and where the system refuses, they are written as others are. To be given by whoever writes to the file.
    fn bypass_cache(&self) {}
}

/// Why a directory could not be claimed.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("held by another process")]
    Held {
        /// Its process id, when it could be read.
        holder: Option<u32>,
    },
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

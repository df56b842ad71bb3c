//! What can go wrong with the files of a journal, each fault with the file it was found in.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::lsn::Lsn;

/// What a visitor of records may fail with; kept as the source of [`Error::Visit`].
pub type VisitError = Box<dyn std::error::Error + Send + Sync>;

/// A fault of the journal. None of them is a business answer: something must be repaired before writing goes on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("cannot {operation} {}", file.display())]
    Io {
        /// What was tried.
        operation: Operation,
        /// The file or directory it was tried on.
        file: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The disk, or the quota on it, is full.
    #[error("no space left to {operation} {}", file.display())]
    NoSpace {
        /// What was tried.
        operation: Operation,
        /// The file it was tried on.
        file: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Another process writes here.
    #[error("{} is in use by {}", directory.display(), holder.map_or("another process".to_owned(), |pid| format!("process {pid}")))]
    Locked {
        /// The claimed directory.
        directory: PathBuf,
        /// Process id of the holder, as it wrote it into the lock file.
        holder: Option<u32>,
    },
    /// A restore into the directory did not end: what is in it is a part of something.
    #[error("{} holds a restore that did not end; empty it and restore again", directory.display())]
    UnfinishedRestore {
        /// The directory.
        directory: PathBuf,
    },
    /// A setting is outside of its range.
    #[error("{setting} = {value}: must be from {minimum} to {maximum}")]
    InvalidConfig {
        /// Name of the field of `LogConfig`.
        setting: &'static str,
        /// What it was set to.
        value: u64,
        /// Least permitted value.
        minimum: u64,
        /// Greatest permitted value.
        maximum: u64,
    },
    /// Bytes that were durable once are not what was written. Never repaired on its own: restore the file.
    #[error("{} is damaged at byte {offset}, where LSN {expected_lsn} should begin: {damage}", file.display())]
    Damaged {
        /// The damaged segment.
        file: PathBuf,
        /// Where the damaged header or batch begins, in bytes from the start of the file.
        offset: u64,
        /// The first record that cannot be trusted.
        expected_lsn: Lsn,
        /// What is wrong.
        damage: Damage,
    },
    /// A segment between two others is not there.
    #[error("{} starts at batch {found_index}, but batch {expected_index} must come first: a segment is missing", file.display())]
    MissingSegment {
        /// The segment after the hole.
        file: PathBuf,
        /// Index of the first missing batch.
        expected_index: u64,
        /// Index of the first batch of `file`.
        found_index: u64,
    },
    /// The file belongs to another shard.
    #[error("{} belongs to shard {found}, not to shard {expected}", file.display())]
    WrongShard {
        /// The foreign file.
        file: PathBuf,
        /// Its shard.
        found: u32,
        /// The shard of this journal.
        expected: u32,
    },
    /// A newer program wrote the file.
    #[error("{} has format version {found}; this program reads up to version {supported}", file.display())]
    NewerFormat {
        /// The file.
        file: PathBuf,
        /// Its format version.
        found: u16,
        /// The newest version this program knows.
        supported: u16,
    },
    /// The log begins after the record asked for.
    #[error("{} begins at LSN {first}; LSN {wanted} is no longer there", directory.display())]
    Gap {
        /// The journal's directory.
        directory: PathBuf,
        /// The record asked for.
        wanted: Lsn,
        /// The first record there is.
        first: Lsn,
    },
    /// The log ends before the record asked for, which was durable once.
    #[error("{} ends at LSN {last}, before LSN {wanted} that follows what was durable: its tail is lost", directory.display())]
    BeyondEnd {
        /// The journal's directory.
        directory: PathBuf,
        /// The record asked for.
        wanted: Lsn,
        /// The last record there is.
        last: Lsn,
    },
    /// The visitor refused a record.
    #[error("record {lsn} could not be replayed")]
    Visit {
        /// The refused record.
        lsn: Lsn,
        /// The visitor's reason.
        source: VisitError,
    },
    /// The journal failed earlier and stays failed.
    #[error("the journal stopped after an earlier failure")]
    Poisoned {
        /// That failure.
        source: Arc<Error>,
    },
    /// The journal is closed and the record asked for was never written.
    #[error("the journal is closed")]
    Closed,
    /// A snapshot's bytes are not what was written.
    #[error("{} is damaged at byte {offset}: {damage}", file.display())]
    SnapshotDamaged {
        /// The damaged snapshot.
        file: PathBuf,
        /// Where the damaged part begins, in bytes from the start of the file.
        offset: u64,
        /// What is wrong.
        damage: Damage,
    },
}

impl Error {
    /// Sorts a system error: a full disk is told apart, since waiting can mend it.
    pub(crate) fn from_io(operation: Operation, file: PathBuf, source: io::Error) -> Error {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::NoSpace { operation, file, source },
            _ => Error::Io { operation, file, source },
        }
    }
}

/// What was asked of the operating system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Claim a directory.
    Lock,
    /// List a directory.
    List,
    /// Create a file.
    Create,
    /// Open a file.
    Open,
    /// Read from a file.
    Read,
    /// Write to a file.
    Write,
    /// Make a file durable.
    Sync,
    /// Rename a file.
    Rename,
    /// Remove a file.
    Remove,
    /// Make the entries of a directory durable.
    SyncDirectory,
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Operation::Lock => "lock",
            Operation::List => "list",
            Operation::Create => "create",
            Operation::Open => "open",
            Operation::Read => "read",
            Operation::Write => "write",
            Operation::Sync => "sync",
            Operation::Rename => "rename",
            Operation::Remove => "remove",
            Operation::SyncDirectory => "sync directory",
        })
    }
}

/// What is wrong with a piece of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// There are only zeros where something should be.
    #[error("nothing is there")]
    Blank,
    /// It does not begin with its magic number.
    #[error("not the magic number expected")]
    Magic,
    /// Its checksum does not match.
    #[error("the checksum does not match")]
    Checksum,
    /// A length points outside of what contains it.
    #[error("a length is out of range")]
    Length,
    /// The file ends too early.
    #[error("the file is cut short")]
    Truncated,
    /// The records do not fill the body as the header says.
    #[error("the records do not fill the body")]
    Records,
    /// It is whole, but of another format version than its file.
    #[error("the format version differs from that of the file")]
    Version,
    /// It is whole, but of another shard.
    #[error("it belongs to another shard")]
    Shard,
    /// It is whole, but of another epoch than its segment, or of an older one than the segment before.
    #[error("the epoch is out of order")]
    Epoch,
    /// It is whole, but not the next batch.
    #[error("the batch index is out of order")]
    Index,
    /// It is whole, but its records are not the next ones.
    #[error("the LSN is out of order")]
    Lsn,
    /// It is whole, but was written after other bytes than those before it.
    #[error("it does not follow from what comes before it")]
    Chain,
    /// Its name says something else than its header.
    #[error("the name of the file disagrees with its header")]
    Name,
}

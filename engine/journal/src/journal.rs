//! What an engine needs of a journal, and no more: so that none can tell which one it writes to.

use crate::lsn::{Epoch, Lsn};

/// An ordered, durable sequence of records with one writer.
///
/// `durable_lsn() <= appended_lsn()` always holds. A record is safe to acknowledge when its [`Lsn`] is at or below
/// `durable_lsn()`.
pub trait Journal: Send + Sync + 'static {
    /// Copies one record into the open batch and gives its position at once; it becomes durable later.
    /// Does no I/O and never waits for any.
    ///
    /// # Errors
    /// See [`AppendError`]. After an error nothing was added.
    fn append(&self, record: &[u8]) -> Result<Lsn, AppendError>;

    /// Position of the newest record appended, durable or not.
    fn appended_lsn(&self) -> Lsn;

    /// Position up to which every record may be acknowledged. Only rises. A plain atomic load.
    fn durable_lsn(&self) -> Lsn;

    /// The epoch under which this journal writes.
    fn epoch(&self) -> Epoch;
}

/// Why a record was not appended. Nothing was added, in every case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Too much waits for the disk. Safe to try again later.
    #[error("{backlog_bytes} bytes already wait to be written; the limit is {limit_bytes}")]
    Full {
        /// Bytes appended and not yet durable.
        backlog_bytes: usize,
        /// `LogConfig::backlog_bytes_max`.
        limit_bytes: usize,
    },
    /// The record is larger than any record may be.
    #[error("a record of {bytes} bytes; the limit is {limit_bytes}")]
    TooLarge {
        /// Length of the refused record.
        bytes: usize,
        /// `LogConfig::record_bytes_max`.
        limit_bytes: usize,
    },
    /// A write or a sync has failed, so nothing will ever become durable again in this process.
    #[error("the journal stopped after a failed write or sync")]
    Poisoned,
    /// The journal has been closed.
    #[error("the journal is closed")]
    Closed,
}

//! What ends a backtest early.

use quartermaster_engine::{Error, codec::DecodeError, recovery::RecoveryError};
use quartermaster_journal::Lsn;
use thiserror::Error as ThisError;

/// Why a log cannot be run again. Nothing was written anywhere.
#[derive(Debug, ThisError)]
pub enum Fault {
    /// A record is no event that this version knows.
    #[error("record at LSN {lsn}: {source}")]
    Record {
        /// Where.
        lsn: Lsn,
        /// What is wrong.
        source: DecodeError,
    },
    /// The snapshot, or what follows it, is none of this version.
    #[error(transparent)]
    Opening(#[from] RecoveryError),
    /// A change of the catalogue does not fit the other world.
    #[error("record at LSN {lsn}: the other world refuses a change of the catalogue: {source}")]
    Catalogue {
        /// Where.
        lsn: Lsn,
        /// Why.
        source: Error,
    },
    /// A document that is to be tried does not fit what there is when the first order comes.
    #[error("{name:?} cannot be put in force before the first order, at LSN {lsn}: {source}")]
    Document {
        /// Of the first order.
        lsn: Lsn,
        /// Name of the policy or tariff.
        name: String,
        /// Why.
        source: Error,
    },
    /// Ids are given out in the order of the log, so they are the same in both worlds; here they are not: a record is missing.
    #[error("record at LSN {lsn} gives ids that do not follow from the records before it")]
    Diverged {
        /// Where.
        lsn: Lsn,
    },
}

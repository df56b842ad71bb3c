//! A log that is being written to, as a backup sees it: what it reads, what it holds on to, and how fast it may go.

use quartermaster_journal::{Log, Lsn, Storage};

use crate::error::Error;

/// Keeps the log from being trimmed.
pub trait Pin: Sync {
    /// From now on keep everything from `from` on; nothing more when there is none.
    fn hold(&self, from: Option<Lsn>);
}

/// Slows a copy down, and ends it.
pub trait Pace: Sync {
    /// Called before `bytes` are read or sent; waits as long as it takes to keep the rate.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    fn spend(&self, bytes: usize) -> Result<(), Error>;
}

/// What is backed up.
pub struct Live<'a, S: Storage> {
    /// Its log.
    pub log: &'a Log<S>,
    /// Its directory.
    pub storage: &'a S,
    /// What keeps the log from being trimmed.
    pub pin: &'a dyn Pin,
    /// The rate.
    pub pace: &'a dyn Pace,
}

impl<S: Storage> Live<'_, S> {
    /// Makes what was appended durable, and tells up to where.
    pub(crate) fn synced(&self) -> Result<Lsn, Error> {
        self.log.sync()?;
        Ok(self.log.synced_lsn())
    }
}

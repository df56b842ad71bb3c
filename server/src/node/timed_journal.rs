//! Times appends, for calls that want to know where their time went.

use std::time::Instant;

use quartermaster_journal::{AppendError, Epoch, FileStorage, Journal, Log, Lsn};

use crate::watch::steps;

/// The log, with the appends of calls told to the decision they belong to.
pub(super) struct TimedJournal(pub(super) Log<FileStorage>);

impl Journal for TimedJournal {
    fn append(&self, record: &[u8]) -> Result<Lsn, AppendError> {
        if !steps::wants_append() {
            return self.0.append(record);
        }
        let began = Instant::now();
        let appended = self.0.append(record);
        steps::appended(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
        appended
    }

    fn appended_lsn(&self) -> Lsn {
        self.0.appended_lsn()
    }

    fn durable_lsn(&self) -> Lsn {
        self.0.durable_lsn()
    }

    fn epoch(&self) -> Epoch {
        self.0.epoch()
    }
}

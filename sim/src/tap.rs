//! Sees every record on its way into the log: what the log should hold, beside what the disk will make of it.

use std::sync::Arc;

use parking_lot::Mutex;
use quartermaster_journal::{AppendError, Epoch, Journal, Log, Lsn, SimStorage};

/// The log with its records kept in memory, over all lives of the process. Clones of the records are shared.
pub struct Tap {
    log: Log<SimStorage>,
    records: Records,
}

/// Records by LSN, from 1.
pub(crate) type Records = Arc<Mutex<Vec<Vec<u8>>>>;

impl Tap {
    /// Keeps in `records` what goes to `log`.
    #[must_use]
    pub fn new(log: Log<SimStorage>, records: Arc<Mutex<Vec<Vec<u8>>>>) -> Self {
        Self { log, records }
    }
}

impl Journal for Tap {
    fn append(&self, record: &[u8]) -> Result<Lsn, AppendError> {
        let mut records = self.records.lock();
        let lsn = self.log.append(record)?;
        records.push(record.to_vec());
        assert_eq!(
            u64::try_from(records.len()),
            Ok(lsn.get()),
            "Invariant: LSNs are dense, over all lives of the process"
        );
        Ok(lsn)
    }

    fn appended_lsn(&self) -> Lsn {
        self.log.appended_lsn()
    }

    fn durable_lsn(&self) -> Lsn {
        self.log.durable_lsn()
    }

    fn epoch(&self) -> Epoch {
        self.log.epoch()
    }
}

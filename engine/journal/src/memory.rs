//! A journal without a disk: every record is durable at once. For tests and for measuring what stands on a journal.

use quartermaster_sync::Mutex;
use quartermaster_sync::atomic::{AtomicU64, Ordering};

use crate::journal::{AppendError, Journal};
use crate::lsn::{Epoch, Lsn};

/// Assigns positions and, if asked, keeps the records.
#[derive(Debug)]
pub struct MemoryJournal {
    epoch: Epoch,
    appended: AtomicU64,
    records: Option<Mutex<Vec<Vec<u8>>>>,
}

impl MemoryJournal {
    /// Counts records and forgets them.
    pub fn new() -> MemoryJournal {
        MemoryJournal { epoch: Epoch::new(1), appended: AtomicU64::new(0), records: None }
    }

    /// Keeps every record.
    pub fn keeping_records() -> MemoryJournal {
        MemoryJournal { records: Some(Mutex::default()), ..MemoryJournal::new() }
    }

    /// The same journal as another epoch would have it.
    #[must_use]
    pub fn with_epoch(self, epoch: Epoch) -> MemoryJournal {
        MemoryJournal { epoch, ..self }
    }

    /// The records kept, the first being that of LSN 1. Empty when none are kept.
    pub fn records(&self) -> Vec<Vec<u8>> {
        self.records.as_ref().map(|records| records.lock().clone()).unwrap_or_default()
    }
}

impl Default for MemoryJournal {
    fn default() -> MemoryJournal {
        MemoryJournal::new()
    }
}

impl Journal for MemoryJournal {
    fn append(&self, record: &[u8]) -> Result<Lsn, AppendError> {
        // The number is drawn under the lock, so that records stand in its order.
        let mut kept = self.records.as_ref().map(|records| records.lock());
        let before = self.appended.fetch_add(1, Ordering::SeqCst);
        if let Some(records) = &mut kept {
            records.push(record.to_vec());
        }
        Ok(Lsn::new(before).next())
    }

    fn appended_lsn(&self) -> Lsn {
        Lsn::new(self.appended.load(Ordering::SeqCst))
    }

    fn durable_lsn(&self) -> Lsn {
        self.appended_lsn()
    }

    fn epoch(&self) -> Epoch {
        self.epoch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_kept_in_order_and_durable_at_once() {
        let journal = MemoryJournal::keeping_records().with_epoch(Epoch::new(9));
        assert_eq!(journal.append(b"a").unwrap(), Lsn::new(1));
        assert_eq!(journal.append(b"b").unwrap(), Lsn::new(2));
        assert_eq!((journal.durable_lsn(), journal.epoch()), (Lsn::new(2), Epoch::new(9)));
        assert_eq!(journal.records(), [b"a".to_vec(), b"b".to_vec()]);
    }
}

//! A journal that counts: nobody reads what the other world writes.

use std::sync::atomic::{AtomicU64, Ordering};

use quartermaster_journal::{AppendError, Epoch, Journal, Lsn};

/// Numbers records from a position on and forgets them.
#[derive(Debug)]
pub(crate) struct Numbers {
    appended: AtomicU64,
}

impl Numbers {
    /// The first record gets the number after this one: what came from a snapshot has numbers up to it.
    pub(crate) fn after(lsn: Lsn) -> Self {
        Self { appended: AtomicU64::new(lsn.get()) }
    }
}

impl Journal for Numbers {
    fn append(&self, _: &[u8]) -> Result<Lsn, AppendError> {
        Ok(Lsn::new(self.appended.fetch_add(1, Ordering::SeqCst)).next())
    }

    fn appended_lsn(&self) -> Lsn {
        Lsn::new(self.appended.load(Ordering::SeqCst))
    }

    fn durable_lsn(&self) -> Lsn {
        self.appended_lsn()
    }

    fn epoch(&self) -> Epoch {
        Epoch::new(1)
    }
}

//! The journal of a year: in memory or in a directory, and every record kept either way, so that it can be folded and played again.

use std::{path::Path, sync::Mutex};

use quartermaster_benches::files::Fault;
use quartermaster_journal::{
    AppendError, Durability, Epoch, FileStorage, Journal, Log, LogConfig, Lsn, MemoryJournal, VisitError,
};

/// Keeps what is appended.
#[derive(Debug)]
pub(crate) struct Book {
    journal: Home,
    records: Mutex<Vec<Vec<u8>>>,
}

#[derive(Debug)]
enum Home {
    Memory(MemoryJournal),
    Directory(Log),
}

/// What is measured is the engine: the disk is written and not waited for.
fn config() -> LogConfig {
    LogConfig {
        durability: Durability::None,
        record_bytes_max: 16 << 20,
        batch_bytes_max: 16 << 20,
        ..LogConfig::default()
    }
}

impl Book {
    /// A journal that holds nothing yet.
    ///
    /// # Errors
    /// When the directory holds a log already, or cannot be written.
    pub(crate) fn new(directory: Option<&Path>) -> Result<Self, Fault> {
        let journal = match directory {
            None => Home::Memory(MemoryJournal::new()),
            Some(directory) => {
                let mut visit = |_, _, _: &[u8]| Ok(());
                let (log, report) = Log::open(FileStorage::new(directory), config(), Lsn::new(1), &mut visit)?;
                if report.records > 0 {
                    return Err(format!("{} holds a log already", directory.display()).into());
                }
                Home::Directory(log)
            }
        };
        Ok(Self { journal, records: Mutex::default() })
    }

    /// Writes what waits, in a directory.
    pub(crate) fn write(&self) -> Result<(), Fault> {
        if let Home::Directory(log) = &self.journal {
            log.step()?;
        }
        Ok(())
    }

    /// Records past an LSN.
    pub(crate) fn after(&self, lsn: Lsn) -> Vec<Vec<u8>> {
        let records = self.records.lock().expect("nobody panics with the lock");
        let from = usize::try_from(lsn.get()).unwrap_or(usize::MAX).min(records.len());
        records[from..].to_vec()
    }

    /// Every record as a restart finds it: what was kept in memory, or what is in the directory, which is closed.
    pub(crate) fn read_back(&self, directory: Option<&Path>) -> Result<Vec<Vec<u8>>, Fault> {
        let Some(directory) = directory else { return Ok(self.after(Lsn::ZERO)) };
        if let Home::Directory(log) = &self.journal {
            log.close()?;
        }
        let mut records = Vec::new();
        let mut visit = |_, _, record: &[u8]| {
            records.push(record.to_vec());
            Ok::<(), VisitError>(())
        };
        quartermaster_journal::open_read_only(FileStorage::new(directory), Lsn::new(1), &mut visit)?;
        Ok(records)
    }

    fn home(&self) -> &dyn Journal {
        match &self.journal {
            Home::Memory(journal) => journal,
            Home::Directory(log) => log,
        }
    }
}

impl Journal for Book {
    fn append(&self, record: &[u8]) -> Result<Lsn, AppendError> {
        let mut records = self.records.lock().expect("nobody panics with the lock");
        let lsn = self.home().append(record)?;
        records.push(record.to_vec());
        Ok(lsn)
    }

    fn appended_lsn(&self) -> Lsn {
        self.home().appended_lsn()
    }

    fn durable_lsn(&self) -> Lsn {
        self.home().durable_lsn()
    }

    fn epoch(&self) -> Epoch {
        self.home().epoch()
    }
}

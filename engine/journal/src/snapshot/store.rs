//! The snapshots of a directory: which to load, which to keep.

use std::path::PathBuf;

use super::{SnapshotReader, SnapshotStart, SnapshotWriter, parse_file_name};
use crate::directory::Directory;
use crate::error::Error;
use crate::lsn::Lsn;
use crate::storage::Storage;

/// Whole snapshots kept: should the newest turn out damaged, the one before it with the log since then will do.
const KEPT: usize = 2;

/// The snapshots of a directory, which may be the log's own.
#[derive(Clone, Debug)]
pub struct SnapshotStore<S: Storage> {
    directory: Directory<S>,
}

/// The snapshot to load, and those that were passed over for being damaged.
#[derive(Debug)]
pub struct Newest<S: Storage> {
    /// The newest whole snapshot; nothing when there is none.
    pub snapshot: Option<SnapshotReader<S>>,
    /// Newer ones that are damaged, the newest first.
    pub skipped: Vec<SkippedSnapshot>,
}

/// A snapshot that cannot be used.
#[derive(Debug)]
pub struct SkippedSnapshot {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub error: Error,
}

/// What [`SnapshotStore::retain_newest`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetainReport {
    /// Files removed.
    pub removed: u64,
    /// The lowest LSN that a kept snapshot may still have replayed: what to hand to `Log::trim`. [`Lsn::ZERO`], so
    /// that nothing is trimmed, while fewer than two snapshots are whole.
    pub needed_from: Lsn,
}

impl<S: Storage> SnapshotStore<S> {
    /// The snapshots in `storage`. Reads nothing yet.
    pub fn new(storage: S) -> SnapshotStore<S> {
        SnapshotStore { directory: Directory::new(storage) }
    }

    /// Begins a snapshot. One of the same LSN is replaced when it is finished.
    ///
    /// # Errors
    /// [`Error::NoSpace`] or [`Error::Io`].
    pub fn begin(&self, start: &SnapshotStart) -> Result<SnapshotWriter<S>, Error> {
        SnapshotWriter::create(self.directory.clone(), start)
    }

    /// Names of all snapshots, the newest first, damaged ones included.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn names(&self) -> Result<Vec<String>, Error> {
        let mut names = self.directory.list()?;
        names.retain(|name| parse_file_name(name).is_some());
        names.sort_unstable_by(|a, b| b.cmp(a));
        Ok(names)
    }

    /// Opens one snapshot by its name.
    ///
    /// # Errors
    /// As [`SnapshotReader::open`].
    pub fn open(&self, name: &str) -> Result<SnapshotReader<S>, Error> {
        SnapshotReader::open_in(&self.directory, name)
    }

    /// The newest snapshot of which every byte is as it was written. Damaged ones are passed over, and named.
    ///
    /// # Errors
    /// [`Error::NewerFormat`]: a snapshot this program cannot judge is no reason to go back to an older state. And
    /// what the disk reports.
    pub fn newest_whole(&self) -> Result<Newest<S>, Error> {
        let mut skipped = Vec::new();
        for name in self.names()? {
            match self.open(&name).and_then(|snapshot| snapshot.verify().map(|()| snapshot)) {
                Ok(snapshot) => return Ok(Newest { snapshot: Some(snapshot), skipped }),
                Err(error @ Error::SnapshotDamaged { .. }) => {
                    skipped.push(SkippedSnapshot { file: self.directory.path_of(&name), error });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Newest { snapshot: None, skipped })
    }

    /// Removes every snapshot older than the two newest whole ones, and unfinished ones that no writer owns any more:
    /// so this must not run while a snapshot is being written. Payloads are checked too, since what is removed and
    /// trimmed on the strength of a snapshot cannot be had back.
    ///
    /// # Errors
    /// As [`newest_whole`](SnapshotStore::newest_whole).
    pub fn retain_newest(&self) -> Result<RetainReport, Error> {
        let mut kept = Vec::with_capacity(KEPT);
        let mut removed = 0;
        for name in self.names()? {
            if kept.len() == KEPT {
                self.directory.remove(&name)?;
                removed += 1;
                continue;
            }
            match self.open(&name).and_then(|snapshot| snapshot.verify().map(|()| snapshot)) {
                Ok(snapshot) => kept.push(snapshot.end().needed_from),
                Err(Error::SnapshotDamaged { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        for name in self.directory.list()? {
            if name.strip_suffix(".tmp").is_some_and(|name| parse_file_name(name).is_some()) {
                self.directory.remove(&name)?;
                removed += 1;
            }
        }
        if removed > 0 {
            self.directory.sync()?;
        }
        let needed_from = kept.iter().min().copied().filter(|_| kept.len() == KEPT).unwrap_or(Lsn::ZERO);
        Ok(RetainReport { removed, needed_from })
    }
}

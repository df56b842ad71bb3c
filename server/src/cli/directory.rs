//! A data directory as a command finds it, and what to do when it cannot be read.

use std::fs;
use std::path::{Path, PathBuf};

use quartermaster_journal::storage::LockError;
use quartermaster_journal::{Error, FileStorage, SnapshotStore, Storage};
use thiserror::Error as ThisError;

/// Name of the file that a running server keeps locked.
const LOCK_NAME: &str = "LOCK";

/// Why a data directory cannot be used.
#[derive(Debug, ThisError)]
pub(super) enum Unusable {
    /// Nothing is there.
    #[error("{} is not there", path.display())]
    Missing { path: PathBuf },
    /// It is something else.
    #[error("{} is not a data directory: it holds no journal segment and no snapshot", path.display())]
    NotOurs { path: PathBuf },
    /// Nothing covers the beginning.
    #[error("{} begins at LSN {first}, and no whole snapshot tells what came before", path.display())]
    NoBeginning { path: PathBuf, first: u64 },
    /// A file in it cannot be used.
    #[error(transparent)]
    Journal(#[from] Error),
    /// Names of SKUs or locations cannot be read.
    #[error("{}: {source}", file.display())]
    Catalogue { file: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
}

impl Unusable {
    /// What to do about it.
    pub(super) fn advice(&self) -> &'static str {
        match self {
            Unusable::Missing { .. } | Unusable::NotOurs { .. } => {
                "name the directory that the server was started with as --data-dir"
            }
            Unusable::NoBeginning { .. } => "restore the segments or the snapshot that are missing from a backup",
            Unusable::Journal(Error::Locked { .. }) => {
                "a server is running there: `quartermaster status` asks it, `quartermaster inspect` reads beside it; \
                 stop it, or copy a snapshot of the file system, to verify"
            }
            Unusable::Journal(Error::Damaged { .. } | Error::SnapshotDamaged { .. } | Error::MissingSegment { .. }) => {
                "keep the directory as it is and restore the file from a backup; nothing was changed"
            }
            Unusable::Journal(Error::NewerFormat { .. }) => "use the program that wrote it, or a newer one",
            Unusable::Journal(Error::Gap { .. }) => "a running server has removed old segments meanwhile: try again",
            Unusable::Journal(Error::BeyondEnd { .. }) => "the end of the log is lost: restore it from a backup",
            Unusable::Journal(_) | Unusable::Catalogue { .. } => "see that the files can be read by this user",
        }
    }

    /// Whether files are missing or are not what was written.
    pub(super) fn is_damage(&self) -> bool {
        use quartermaster_journal::Error::{BeyondEnd, Damaged, MissingSegment, SnapshotDamaged};
        match self {
            Unusable::NoBeginning { .. } => true,
            Unusable::Journal(error) => {
                matches!(error, Damaged { .. } | MissingSegment { .. } | BeyondEnd { .. } | SnapshotDamaged { .. })
            }
            Unusable::Missing { .. } | Unusable::NotOurs { .. } | Unusable::Catalogue { .. } => false,
        }
    }

    /// Both, for stderr.
    pub(super) fn report(&self, command: &str) {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        eprintln!("quartermaster {command}: {text}");
        eprintln!("  {}", self.advice());
    }
}

/// A data directory that is there and looks like one.
pub(super) struct DataDir {
    pub(super) path: PathBuf,
    pub(super) storage: FileStorage,
}

impl DataDir {
    pub(super) fn open(path: &Path) -> Result<DataDir, Unusable> {
        if !path.is_dir() {
            return Err(Unusable::Missing { path: path.to_path_buf() });
        }
        let storage = FileStorage::new(path);
        let names = storage.list().map_err(|source| Error::Io {
            operation: quartermaster_journal::Operation::List,
            file: path.to_path_buf(),
            source,
        })?;
        let ours = |name: &String| name == LOCK_NAME || name.ends_with(".seg") || name.ends_with(".snap");
        if !names.iter().any(ours) {
            return Err(Unusable::NotOurs { path: path.to_path_buf() });
        }
        Ok(DataDir { path: path.to_path_buf(), storage })
    }

    /// Claims it, so that no server starts meanwhile. A copy without a lock file, or on a medium that cannot be written, needs none.
    pub(super) fn claim(&self) -> Result<Option<<FileStorage as Storage>::Lock>, Unusable> {
        if !self.path.join(LOCK_NAME).exists() {
            return Ok(None);
        }
        match self.storage.lock() {
            Ok(lock) => Ok(Some(lock)),
            Err(LockError::Held { holder }) => Err(Error::Locked { directory: self.path.clone(), holder }.into()),
            Err(LockError::Io(error)) if error.kind() == std::io::ErrorKind::ReadOnlyFilesystem => Ok(None),
            Err(LockError::Io(source)) => {
                let operation = quartermaster_journal::Operation::Lock;
                Err(Error::Io { operation, file: self.path.clone(), source }.into())
            }
        }
    }

    pub(super) fn snapshots(&self) -> SnapshotStore<FileStorage> {
        SnapshotStore::new(self.storage.clone())
    }

    /// Length of a file in it; 0 when it went meanwhile.
    pub(super) fn bytes(&self, name: &str) -> u64 {
        fs::metadata(self.path.join(name)).map_or(0, |file| file.len())
    }
}

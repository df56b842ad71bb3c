//! From a data directory to a running state: the newest whole snapshot, then the log past it, in one pass.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use quartermaster_engine::Engine;
use quartermaster_engine::recovery::{Recovery, RecoveryError};
use quartermaster_engine::time::Timestamp;
use quartermaster_journal::{FileStorage, Log, Lsn, SnapshotStore};

use crate::config::{Config, ConfigError};

/// Why a data directory cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No directory was named.
    #[error(transparent)]
    NotNamed(#[from] ConfigError),
    /// It cannot be made.
    #[error("cannot make the data directory {}", path.display())]
    Create {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Its journal or snapshots cannot be used.
    #[error("data directory {}", path.display())]
    Journal {
        /// The directory.
        path: PathBuf,
        /// What is wrong.
        source: quartermaster_journal::Error,
    },
    /// All snapshots are damaged, and the log no longer holds what they did.
    #[error("data directory {} begins at LSN {first}, and the snapshots that told what came before are damaged: {}", path.display(), damaged.join("; "))]
    NoSnapshot {
        /// The directory.
        path: PathBuf,
        /// The first record there is.
        first: Lsn,
        /// Each with its file and what is wrong.
        damaged: Vec<String>,
    },
    /// A snapshot's content is not of this version.
    #[error("data directory {}", path.display())]
    Content {
        /// The directory.
        path: PathBuf,
        /// What is wrong.
        source: RecoveryError,
    },
    /// The system has no thread to give.
    #[error("cannot start a thread")]
    Thread {
        /// What the system said.
        source: io::Error,
    },
}

impl OpenError {
    /// Whether files are missing or are not what was written, so that a new start cannot help.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        use quartermaster_journal::Error::{BeyondEnd, Damaged, Gap, MissingSegment, SnapshotDamaged};
        match self {
            OpenError::NoSnapshot { .. } => true,
            OpenError::Journal { source, .. } => {
                matches!(
                    source,
                    Damaged { .. } | MissingSegment { .. } | Gap { .. } | BeyondEnd { .. } | SnapshotDamaged { .. }
                )
            }
            OpenError::NotNamed(_)
            | OpenError::Create { .. }
            | OpenError::Content { .. }
            | OpenError::Thread { .. } => false,
        }
    }
}

/// What the start had to do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recovered {
    /// From opening the directory to serving.
    pub duration: Duration,
    /// LSN of the snapshot, `Lsn::ZERO` for none.
    pub snapshot_lsn: Lsn,
    /// Records applied after it.
    pub records: u64,
    /// Bytes of a torn tail that were cut.
    pub torn_bytes: u64,
}

/// An opened directory.
pub(super) struct Opened {
    pub(super) storage: FileStorage,
    pub(super) engine: Engine,
    pub(super) log: Log<FileStorage>,
    pub(super) recovered: Recovered,
    pub(super) last_time: Timestamp,
}

pub(super) fn open(config: &Config) -> Result<Opened, OpenError> {
    let path = config.data_dir()?.to_owned();
    fs::create_dir_all(&path).map_err(|source| OpenError::Create { path: path.clone(), source })?;
    let journal = |source| OpenError::Journal { path: path.clone(), source };
    let storage = FileStorage::new(path.clone());

    let mut recovery = Recovery::new(config.engine());
    let mut from = Lsn::new(1);
    let mut recovered = Recovered::default();
    let newest = SnapshotStore::new(storage.clone()).newest_whole().map_err(journal)?;
    for skipped in &newest.skipped {
        tracing::error!(file = %skipped.file.display(), error = %skipped.error, "a snapshot is damaged; an older one is used");
    }
    if let Some(snapshot) = &newest.snapshot {
        from = snapshot.end().needed_from;
        recovered.snapshot_lsn = snapshot.start().lsn;
        let mut payload = Vec::new();
        for section in snapshot.sections() {
            snapshot.read(section, &mut payload).map_err(journal)?;
            recovery
                .load(section.kind, section.unit, section.lsn, &payload)
                .map_err(|source| OpenError::Content { path: path.clone(), source })?;
        }
    }
    let opened = Log::open(storage.clone(), config.log(), from, &mut |lsn, _, record| {
        recovery.replay(lsn, record).map_err(Into::into)
    });
    let (log, report) = opened.map_err(|source| match source {
        quartermaster_journal::Error::Gap { first, .. } if !newest.skipped.is_empty() => {
            let damaged = newest.skipped.iter().map(|skipped| skipped.error.to_string()).collect();
            OpenError::NoSnapshot { path: path.clone(), first, damaged }
        }
        source => journal(source),
    })?;
    if let Some(torn) = &report.torn_tail {
        tracing::warn!(file = %torn.file.display(), offset = torn.offset, bytes = torn.bytes, "an unfinished write was cut off the log");
        recovered.torn_bytes = torn.bytes;
    }
    recovered.records = recovery.records();
    let last_time = recovery.last_time();
    let engine = recovery.finish(std::sync::Arc::new(log.clone()));
    Ok(Opened { storage, engine, log, recovered, last_time })
}

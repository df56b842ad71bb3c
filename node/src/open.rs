//! From a data directory to a running state: the newest whole snapshot, then the log past it, in one pass.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use quartermaster_engine::Engine;
use quartermaster_engine::recovery::{Recovery, RecoveryError};
use quartermaster_engine::time::Timestamp;
use quartermaster_journal::{Journal, Log, Lsn, SnapshotStore, Storage};

use crate::CoreConfig;

/// Why a data directory cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
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
}

impl OpenError {
    /// Whether files are missing or are not what was written, so that a new start cannot help.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        use quartermaster_journal::Error::{
            BeyondEnd, Damaged, Gap, MissingSegment, SnapshotDamaged, UnfinishedRestore,
        };
        match self {
            OpenError::NoSnapshot { .. } => true,
            OpenError::Journal { source, .. } => {
                matches!(
                    source,
                    Damaged { .. }
                        | MissingSegment { .. }
                        | Gap { .. }
                        | BeyondEnd { .. }
                        | SnapshotDamaged { .. }
                        | UnfinishedRestore { .. }
                )
            }
            OpenError::Content { .. } => false,
        }
    }
}

/// What the start had to do.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// From opening the directory to serving.
    pub duration: Duration,
    /// LSN of the snapshot, `Lsn::ZERO` for none.
    pub snapshot_lsn: Lsn,
    /// Newer snapshots that were passed over for being damaged.
    pub damaged_snapshots: usize,
    /// Records applied after it.
    pub records: u64,
    /// Bytes of a torn tail that were cut.
    pub torn_bytes: u64,
}

/// An opened directory.
pub(crate) struct Opened<S: Storage> {
    pub(crate) engine: Engine,
    pub(crate) log: Log<S>,
    pub(crate) recovered: Recovered,
    pub(crate) last_time: Timestamp,
}

pub(crate) fn open<S: Storage>(
    storage: S,
    config: &CoreConfig,
    journal_of: impl FnOnce(&Log<S>) -> Arc<dyn Journal>,
) -> Result<Opened<S>, OpenError> {
    let path = storage.path_of("");
    let journal = |source| OpenError::Journal { path: path.clone(), source };

    let mut recovery = Recovery::new(config.engine);
    let mut from = Lsn::new(1);
    let mut recovered = Recovered::default();
    let newest = SnapshotStore::new(storage.clone()).newest_whole().map_err(journal)?;
    for skipped in &newest.skipped {
        tracing::error!(file = %skipped.file.display(), error = %skipped.error, "a snapshot is damaged; an older one is used");
    }
    recovered.damaged_snapshots = newest.skipped.len();
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
    let opened = Log::open(storage, config.log.clone(), from, &mut |lsn, _, record| {
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
    let engine = recovery.finish(journal_of(&log));
    Ok(Opened { engine, log, recovered, last_time })
}

//! From a data directory to a running state: the newest whole snapshot, then the log past it, in one pass.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use quartermaster_engine::recovery::{Recovery, RecoveryError, Stretch};
use quartermaster_engine::snapshot::kind;
use quartermaster_engine::time::Timestamp;
use quartermaster_engine::{Crew, Engine, EngineConfig};
use quartermaster_journal::snapshot::Section;
use quartermaster_journal::{Error, Journal, Log, Lsn, SnapshotReader, SnapshotStore, Storage};

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
        source: Error,
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
        use Error::{BeyondEnd, Damaged, Gap, MissingSegment, SnapshotDamaged, UnfinishedRestore};
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
    crew: &dyn Crew,
    journal_of: impl FnOnce(&Log<S>) -> Arc<dyn Journal>,
) -> Result<Opened<S>, OpenError> {
    let path = storage.path_of("");
    let journal = |source| OpenError::Journal { path: path.clone(), source };

    let Loaded { recovery, mut recovered, from, skipped } = load_newest(&storage, config.engine, crew)?;
    // Records are gathered: a stretch of them keeps every hand busy.
    let gathered = RefCell::new((recovery, Stretch::default()));
    let apply = |(recovery, stretch): &mut (Recovery, Stretch)| {
        let applied = recovery.replay_together(stretch, crew);
        stretch.clear();
        applied.map_err(Into::into)
    };
    let mut visit = |lsn, _, record: &[u8]| {
        let gathered = &mut *gathered.borrow_mut();
        gathered.1.push(lsn, record);
        if gathered.1.is_full() { apply(gathered) } else { Ok(()) }
    };
    let mut rest = || apply(&mut gathered.borrow_mut());
    let opened = Log::open_when(storage, config.log.clone(), from, &mut visit, &mut rest);
    let (log, report) = opened.map_err(|source| match source {
        Error::Gap { first, .. } if !skipped.is_empty() => {
            OpenError::NoSnapshot { path: path.clone(), first, damaged: skipped }
        }
        // Refused with the last record of its stretch.
        Error::Visit { lsn, source } => {
            let own = source.downcast_ref().and_then(RecoveryError::lsn);
            journal(Error::Visit { lsn: own.unwrap_or(lsn), source })
        }
        source => journal(source),
    })?;
    if let Some(torn) = &report.torn_tail {
        tracing::warn!(file = %torn.file.display(), offset = torn.offset, bytes = torn.bytes, "an unfinished write was cut off the log");
        recovered.torn_bytes = torn.bytes;
    }
    let (recovery, _) = gathered.into_inner();
    recovered.records = recovery.records();
    let last_time = recovery.last_time();
    let engine = recovery.finish(journal_of(&log));
    Ok(Opened { engine, log, recovered, last_time })
}

/// State as the newest whole snapshot has it.
struct Loaded {
    recovery: Recovery,
    recovered: Recovered,
    /// Where the log goes on.
    from: Lsn,
    /// What is wrong with newer ones.
    skipped: Vec<String>,
}

/// Loads the newest snapshot of which every byte is as it was written; that is found out by loading it, so that it is read once.
fn load_newest<S: Storage>(storage: &S, config: EngineConfig, crew: &dyn Crew) -> Result<Loaded, OpenError> {
    let path = storage.path_of("");
    let journal = |source| OpenError::Journal { path: path.clone(), source };
    let store = SnapshotStore::new(storage.clone());
    let mut skipped = Vec::new();
    for name in store.names().map_err(journal)? {
        let recovery = Recovery::new(config);
        let loaded = store.open(&name).map_err(NotLoaded::Journal).and_then(|snapshot| {
            load(&recovery, &snapshot, crew).map(|()| (snapshot.start().lsn, snapshot.end().needed_from))
        });
        match loaded {
            Ok((snapshot_lsn, from)) => {
                let recovered = Recovered { snapshot_lsn, damaged_snapshots: skipped.len(), ..Recovered::default() };
                return Ok(Loaded { recovery, recovered, from, skipped });
            }
            Err(NotLoaded::Journal(error @ Error::SnapshotDamaged { .. })) => {
                let file = storage.path_of(&name);
                tracing::error!(file = %file.display(), %error, "a snapshot is damaged; an older one is used");
                skipped.push(error.to_string());
            }
            Err(NotLoaded::Journal(error)) => return Err(journal(error)),
            Err(NotLoaded::Content(source)) => return Err(OpenError::Content { path, source }),
        }
    }
    let recovered = Recovered { damaged_snapshots: skipped.len(), ..Recovered::default() };
    Ok(Loaded { recovery: Recovery::new(config), recovered, from: Lsn::new(1), skipped })
}

/// Why a snapshot was not loaded.
enum NotLoaded {
    Journal(Error),
    Content(RecoveryError),
}

/// Loads all sections. Those of the catalogue must come in their order and are the first hand's; the others, which do not need them, are
/// everybody's meanwhile, each the next that nobody has.
fn load<S: Storage>(recovery: &Recovery, snapshot: &SnapshotReader<S>, crew: &dyn Crew) -> Result<(), NotLoaded> {
    let ordered = |section: &&Section| !matches!(section.kind, kind::SHARD | kind::DEDUP | kind::CAPACITY);
    let (first, others): (Vec<&Section>, Vec<&Section>) = snapshot.sections().iter().partition(ordered);
    let catalogue = first.iter().filter(|section| section.kind == kind::CATALOGUE);
    recovery.make_room(catalogue.map(|section| section.payload_bytes));
    let failed = Mutex::new(None);
    let (next, others) = (AtomicUsize::new(0), &others[..]);
    crew.work(&|hand| {
        let mut payload = Vec::new();
        let mut ordered = first.iter().filter(|_| hand == 0);
        while failed.lock().is_none()
            && let Some(section) = ordered.next().or_else(|| others.get(next.fetch_add(1, Ordering::Relaxed)))
        {
            let read = snapshot.read(section, &mut payload).map_err(NotLoaded::Journal);
            let loaded = read.and_then(|()| {
                recovery.load(section.kind, section.unit, section.lsn, &payload).map_err(NotLoaded::Content)
            });
            if let Err(error) = loaded {
                failed.lock().get_or_insert(error);
            }
        }
    });
    let loaded = failed.into_inner().map_or(Ok(()), Err);
    match loaded {
        // Damage anywhere in it makes it one to pass over, whatever else is wrong with it.
        Err(NotLoaded::Content(error)) => {
            snapshot.verify().map_err(NotLoaded::Journal)?;
            Err(NotLoaded::Content(error))
        }
        loaded => loaded,
    }
}

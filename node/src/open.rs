//! From a data directory to a running state: the newest whole snapshot, then the log past it, in one pass.

use std::mem;
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
use quartermaster_journal::{End, Error, Journal, Log, Lsn, Next, Replay, SnapshotReader, SnapshotStore, Storage};

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

    let Loaded { mut recovery, mut recovered, from, skipped } = load_newest(&storage, config.engine, crew)?;
    let opened = Log::open_by(storage, config.log.clone(), from, |replay| {
        apply_all(replay, &mut recovery, crew, Stretch::default())
    });
    let (log, report) = opened.map_err(|source| match source {
        Error::Gap { first, .. } if !skipped.is_empty() => {
            OpenError::NoSnapshot { path: path.clone(), first, damaged: skipped }
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

/// Applies the rest of the log, a stretch of it at a time, which keeps every hand busy. The next stretch is read meanwhile.
fn apply_all<S: Storage>(
    replay: &mut Replay<S>,
    recovery: &mut Recovery,
    crew: &dyn Crew,
    empty: Stretch,
) -> Result<End, Error> {
    let (mut stretch, mut following) = (empty.clone(), empty);
    let mut end = gather(replay, &mut stretch)?;
    loop {
        let (mut applied, mut gathered) = (Ok(()), Ok(None));
        let mut apply = || applied = recovery.replay_together(&stretch, crew);
        match end {
            Some(_) => apply(),
            None => crew.both(&mut apply, &mut || gathered = gather(replay, &mut following)),
        }
        applied
            .map_err(|error| Error::Visit { lsn: error.lsn().unwrap_or(stretch.last_lsn()), source: error.into() })?;
        if let Some(end) = end {
            return Ok(end);
        }
        end = gathered?;
        mem::swap(&mut stretch, &mut following);
    }
}

/// Fills a stretch with what comes next; gives the end when that is behind it.
fn gather<S: Storage>(replay: &mut Replay<S>, stretch: &mut Stretch) -> Result<Option<End>, Error> {
    stretch.clear();
    while !stretch.is_full() {
        match replay.next_record()? {
            Next::Record(record) => stretch.push(record.lsn, record.bytes),
            Next::End(end) => return Ok(Some(end)),
        }
    }
    Ok(None)
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use quartermaster_engine::catalog::{LocationSpec, SkuSpec};
    use quartermaster_engine::command::{
        CatalogueCommand, CellCode, Command, ImportRow, ImportStock, Request, Reserve, ReserveLine, StockCommand,
    };
    use quartermaster_engine::crew::{Alone, InTurn, Threads};
    use quartermaster_engine::quantity::Quantity;
    use quartermaster_engine::snapshot::Section;
    use quartermaster_engine::time::Micros;
    use quartermaster_journal::{Epoch, LogConfig, MemoryJournal, SimStorage};

    use super::*;

    const NOW: Timestamp = Timestamp(1_780_000_000_000_000);

    /// Records in a stretch: each by itself, though none were asked for, some, and more than there are.
    const LENGTHS: [usize; 5] = [0, 1, 7, 20, 1_000];

    fn crews() -> [Box<dyn Crew>; 3] {
        [Box::new(Alone), Box::new(InTurn::new(3)), Box::new(Threads::new(2))]
    }

    fn submit(engine: &Engine, id: String, command: &Command) {
        engine.submit(&Request { id: id.into(), actor: "".into() }, command, NOW).expect("it can be done");
    }

    /// An engine that has done this and that, the catalogue changed in between, and its records.
    fn lived() -> (Engine, Vec<Vec<u8>>) {
        let journal = Arc::new(MemoryJournal::keeping_records());
        let engine = Engine::new(EngineConfig::default(), Arc::clone(&journal) as Arc<dyn Journal>);
        let catalogue = |command| submit(&engine, String::new(), &Command::Catalogue(command));
        let sku = |number: u32| SkuSpec { code: format!("S{number}"), sellable: true, ..SkuSpec::default() };
        catalogue(CatalogueCommand::UpsertLocations(vec![LocationSpec {
            code: "L".into(),
            ..LocationSpec::default()
        }]));
        for number in 0..60 {
            catalogue(CatalogueCommand::UpsertSkus(vec![sku(number)]));
            let row = ImportRow {
                cell: CellCode { sku: format!("S{number}"), location: "L".into() },
                on_hand: Quantity(10 + number),
                safety: Quantity::ZERO,
                quality_control: Quantity::ZERO,
                damaged: Quantity::ZERO,
                in_repair: Quantity::ZERO,
                incoming: Quantity::ZERO,
            };
            let import = ImportStock { rows: vec![row], reference: String::new() };
            submit(&engine, String::new(), &Command::Stock(StockCommand::Import(import)));
            for order in 0..number % 4 {
                let line = ReserveLine {
                    sku: format!("S{}", number / (order + 1)).into(),
                    quantity: Quantity(1),
                    location: "".into(),
                    sourcing: None,
                };
                let reserve = Reserve {
                    order_id: format!("O{number}-{order}").into(),
                    buyer_id: "".into(),
                    channel: "".into(),
                    lines: [line].into(),
                    ttl: Micros::from_secs(60),
                    allow_partial: false,
                    replaces: None,
                    unchanged_since_lsn: 0,
                    sourcing: None,
                    asked: None,
                };
                submit(&engine, format!("R{number}-{order}"), &Command::Reserve(reserve));
            }
        }
        (engine, journal.records())
    }

    fn log_of(records: &[Vec<u8>]) -> SimStorage {
        let storage = SimStorage::new();
        let (log, _) = Log::open(storage.clone(), LogConfig::small(), Lsn::new(1), &mut |_, _, _| Ok(())).unwrap();
        for record in records {
            log.append(record).unwrap();
        }
        log.close().unwrap();
        storage
    }

    fn sections(engine: &Engine) -> Vec<Section> {
        let mut sections = Vec::new();
        let Ok(_) = engine.snapshot(NOW, |section| {
            sections.push(section);
            Ok::<(), Infallible>(())
        });
        sections
    }

    type Again = Result<(Recovery, Log<SimStorage>), Error>;

    fn again(storage: &SimStorage, crew: &dyn Crew, length: usize) -> Again {
        let mut recovery = Recovery::new(EngineConfig::default());
        let take = |replay: &mut Replay<_>| apply_all(replay, &mut recovery, crew, Stretch::of(length));
        let (log, _) = Log::open_by(storage.clone(), LogConfig::small(), Lsn::new(1), take)?;
        Ok((recovery, log))
    }

    #[test]
    fn stretch_by_stretch_everything_comes_back_once() {
        let (engine, records) = lived();
        let expected = sections(&engine);
        for crew in crews() {
            for length in LENGTHS {
                let (recovery, log) = again(&log_of(&records), &*crew, length).unwrap();
                assert_eq!(recovery.records(), records.len() as u64, "stretches of {length}");
                let back = recovery.finish(Arc::new(log));
                assert_eq!(sections(&back), expected, "stretches of {length}");
            }
        }
    }

    #[test]
    fn the_record_that_cannot_be_is_named_wherever_it_lies() {
        let (_, records) = lived();
        for crew in crews() {
            for (length, place) in LENGTHS.into_iter().flat_map(|length| [0, 19, 20, 100].map(|place| (length, place)))
            {
                let mut broken = records.clone();
                broken[place] = vec![0xFF; 9];
                let storage = log_of(&broken);
                let refused = again(&storage, &*crew, length).map(|_| ());
                let named = matches!(refused, Err(Error::Visit { lsn, .. }) if lsn.get() == place as u64 + 1);
                assert!(named, "{place} in stretches of {length}: {refused:?}");
                let (_, report) =
                    Log::open(storage, LogConfig::small(), Lsn::new(1), &mut |_, _, _| Ok(())).expect("it is whole");
                assert_eq!(report.epoch, Epoch::new(2), "who refuses has opened nothing");
            }
        }
    }
}

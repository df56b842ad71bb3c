//! The front of the log: opening it, appending to it, waiting for it.

use std::sync::{Arc, OnceLock};

use crossbeam_utils::CachePadded;
use quartermaster_sync::atomic::{AtomicU64, Ordering};
use quartermaster_sync::{Condvar, Mutex};

use crate::backlog::Backlog;
use crate::committer::Commit;
use crate::config::{Durability, LogConfig};
use crate::directory::Directory;
use crate::error::Error;
use crate::frame;
use crate::hooks::Hooks;
use crate::journal::{AppendError, Journal};
use crate::layout::disk_length;
use crate::lsn::{Epoch, Lsn};
use crate::pieces::UNFINISHED_RESTORE;
use crate::preparer::Request;
use crate::reader::{LogPosition, LogReader};
use crate::recovery::{End, RecoveryReport, Replay, Visit};
use crate::repair;
use crate::segment::SegmentInfo;
use crate::spare::Spares;
use crate::stats::{Counters, LogStats};
use crate::storage::{FileStorage, Storage};
use crate::writer::Writer;

/// A log open for writing. A cheap handle: clones share the log, the last one to go frees the directory.
///
/// Every open takes the next [`Epoch`] and begins a new segment under it, durable before `open` returns: the header of
/// that segment is where the epoch is kept. An empty segment left by a writer that never wrote is replaced, so a
/// process that keeps dying at its start fills no disk.
///
/// Lock order: commit, intake; each other lock is taken alone.
pub struct Log<S: Storage = FileStorage> {
    pub(crate) shared: Arc<Shared<S>>,
}

pub(crate) struct Shared<S: Storage> {
    pub(crate) config: LogConfig,
    pub(crate) directory: Directory<S>,
    epoch: Epoch,
    opened_at: Lsn,
    /// Guards what is appended and not yet taken by the committer. Held for a copy of one record.
    pub(crate) intake: CachePadded<Mutex<Intake>>,
    /// The committer parks here.
    pub(crate) work: Condvar,
    pub(crate) appended: CachePadded<AtomicU64>,
    /// Bursts that are going on. Changes under the lock of the intake alone, and is read without it, too.
    pub(crate) bursts: AtomicU64,
    pub(crate) durable: CachePadded<AtomicU64>,
    /// Guards the end of the log on disk. Held across I/O; never wanted by `append`.
    pub(crate) commit: Mutex<Commit<S>>,
    pub(crate) spares: Arc<Spares<S>>,
    pub(crate) spare_wanted: Request,
    /// Oldest first, the current one last.
    pub(crate) segments: Mutex<Vec<SegmentInfo>>,
    /// One trim at a time.
    pub(crate) trimming: Mutex<()>,
    pub(crate) watermark: Mutex<()>,
    pub(crate) risen: Condvar,
    pub(crate) hooks: Hooks,
    pub(crate) failure: OnceLock<Arc<Error>>,
    pub(crate) counters: Counters,
    _lock: S::Lock,
}

/// What `append` works on.
pub(crate) struct Intake {
    pub(crate) filling: Backlog,
    next_lsn: Lsn,
    pub(crate) backlog_bytes: usize,
    pub(crate) state: State,
    /// The committer waits for work and must be woken.
    pub(crate) parked: bool,
    /// The committer has taken batches and not yet written all of them.
    pub(crate) unwritten: bool,
    /// Newest record that somebody waits for; outside of bursts the newest of all.
    pub(crate) wanted: Lsn,
}

impl Intake {
    /// The newest record appended.
    pub(crate) fn last_lsn(&self) -> Lsn {
        Lsn::new(self.next_lsn.get() - 1)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Open,
    Closed,
    Poisoned,
}

impl<S: Storage> Log<S> {
    /// Claims the directory, replays the log to `visit` from `from`, and opens it for writing under a new epoch.
    ///
    /// Every batch from the one that holds `from` is checked; of segments wholly before it only the header. A torn
    /// tail is cut and reported. `from` is the first record the caller does not have: [`Lsn::new`]`(1)` for one that
    /// has none, the `needed_from` of a snapshot for one that has that; [`Lsn::ZERO`] takes whatever there is.
    /// Everything that was visited is durable when `open` returns, not before.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process writes here; [`Error::UnfinishedRestore`]; [`Error::Damaged`], [`Error::MissingSegment`],
    /// [`Error::NewerFormat`] and [`Error::WrongShard`] when the log cannot be trusted; [`Error::Gap`] and
    /// [`Error::BeyondEnd`] when it does not reach `from`; [`Error::Visit`] when the visitor refuses;
    /// [`Error::InvalidConfig`]; and whatever the disk reports.
    pub fn open(
        storage: S,
        config: LogConfig,
        from: Lsn,
        visit: &mut Visit<'_>,
    ) -> Result<(Log<S>, RecoveryReport), Error> {
        Log::open_by(storage, config, from, |replay| replay.visit(visit))
    }

    /// Like [`open`](Log::open), for a caller that takes the records at its own pace: `take` asks for all of them, and nothing in the
    /// directory is changed before it has given back the [`End`]; it may still refuse then.
    ///
    /// # Errors
    /// As [`open`](Log::open), and with what `take` fails with.
    pub fn open_by(
        storage: S,
        config: LogConfig,
        from: Lsn,
        take: impl FnOnce(&mut Replay<S>) -> Result<End, Error>,
    ) -> Result<(Log<S>, RecoveryReport), Error> {
        config.check()?;
        let directory = Directory::new(storage);
        let lock = directory.lock()?;
        if directory.list()?.iter().any(|name| name == UNFINISHED_RESTORE) {
            return Err(Error::UnfinishedRestore { directory: directory.path() });
        }
        let mut replay = Replay::open(directory.clone(), from)?;
        check_shard(&directory, replay.reader(), config.shard)?;
        let end = take(&mut replay)?;
        let mut report = replay.report(&end);
        let reader = replay.reader();
        repair::settle_tail(&directory, reader)?;
        // A segment that lost its header took one epoch with it.
        report.epoch = if reader.is_headless() { report.epoch.next().next() } else { report.epoch.next() };
        let position = reader.position();
        let mut segments = reader.segments().to_vec();
        drop(replay);

        let spares =
            Arc::new(Spares::open(directory.clone(), config.segment_bytes, config.durability == Durability::Fsync)?);
        let (writer, current) = Writer::start(
            directory.clone(),
            Arc::clone(&spares),
            config.shard,
            report.epoch,
            config.segment_bytes,
            position,
        )?;
        segments.retain(|segment| segment.first_index < current.first_index);
        segments.push(current);

        let counters = Counters::new();
        counters.room_bytes.set(writer.room_bytes());
        let batch_bytes_max = config.batch_bytes_max;
        let shared = Shared {
            directory,
            epoch: report.epoch,
            opened_at: position.lsn,
            intake: CachePadded::new(Mutex::new(Intake {
                filling: Backlog::with_capacity(batch_bytes_max),
                next_lsn: position.lsn.next(),
                backlog_bytes: 0,
                state: State::Open,
                parked: false,
                unwritten: false,
                wanted: position.lsn,
            })),
            work: Condvar::new(),
            appended: CachePadded::new(AtomicU64::new(position.lsn.get())),
            bursts: AtomicU64::new(0),
            durable: CachePadded::new(AtomicU64::new(position.lsn.get())),
            commit: Mutex::new(Commit::new(writer, Backlog::with_capacity(batch_bytes_max))),
            spares,
            spare_wanted: Request::default(),
            segments: Mutex::new(segments),
            trimming: Mutex::new(()),
            watermark: Mutex::new(()),
            risen: Condvar::new(),
            hooks: Hooks::default(),
            failure: OnceLock::new(),
            counters,
            config,
            _lock: lock,
        };
        Ok((Log { shared: Arc::new(shared) }, report))
    }

    /// Reads what is durable now, from `from` on ([`Lsn::ZERO`]: from the first record there is). Runs beside the
    /// writer; ends at the durable position of this moment.
    ///
    /// # Errors
    /// [`Error::Gap`] when `from` has been trimmed, else as [`LogReader::open`].
    pub fn reader(&self, from: Lsn) -> Result<LogReader<S>, Error> {
        LogReader::open_until(self.shared.directory.clone(), from, Some(self.durable_lsn()))
    }

    /// Blocks until `lsn` is durable. For command lines and tests; a server registers [`Log::on_durable`].
    ///
    /// # Errors
    /// [`Error::Poisoned`] with the failure that stopped the log; [`Error::Closed`] when the log was closed before
    /// `lsn` was appended.
    pub fn wait_durable(&self, lsn: Lsn) -> Result<(), Error> {
        self.want(lsn);
        let mut watermark = self.shared.watermark.lock();
        loop {
            if self.durable_lsn() >= lsn {
                return Ok(());
            }
            self.shared.check_alive()?;
            if self.shared.intake.lock().state == State::Closed && lsn > self.appended_lsn() {
                return Err(Error::Closed);
            }
            self.shared.risen.wait(&mut watermark);
        }
    }

    /// Has `hook` called with the new durable position each time it rises, on the thread that committed, with no lock
    /// of the log held. It must not block: the next batch waits for it.
    pub fn on_durable(&self, hook: impl Fn(Lsn) + Send + Sync + 'static) {
        self.shared.hooks.add_durable(Arc::new(hook));
    }

    /// Has `hook` called once when a write or a sync has failed; at once when that has already happened. Nothing will
    /// become durable any more: the process should end.
    pub fn on_fatal(&self, hook: impl Fn(&Error) + Send + Sync + 'static) {
        self.shared.hooks.add_fatal(Box::new(hook));
        if let Some(failure) = self.shared.failure.get() {
            self.shared.hooks.fatal(failure);
        }
    }

    /// The failure that stopped the log, if one has.
    pub fn failure(&self) -> Option<Arc<Error>> {
        self.shared.failure.get().cloned()
    }

    /// The newest position that is known to be fsynced. Equal to `durable_lsn` under `Durability::Fsync`; behind it
    /// otherwise. Waits for a commit in progress.
    pub fn synced_lsn(&self) -> Lsn {
        self.shared.commit.lock().writer.synced_lsn()
    }

    /// Where the log stands after the last batch written. Waits for a commit in progress.
    pub fn position(&self) -> LogPosition {
        self.shared.commit.lock().writer.position()
    }

    /// First record in the directory, or the one that will be first.
    pub fn first_lsn(&self) -> Lsn {
        self.shared.segments.lock().first().map_or(Lsn::new(1), |segment| segment.first_lsn)
    }

    /// The segments in the directory, oldest first, the current one last.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        self.shared.segments.lock().clone()
    }

    /// The settings the log was opened with.
    pub fn config(&self) -> &LogConfig {
        &self.shared.config
    }

    /// The counters now.
    pub fn stats(&self) -> LogStats {
        let shared = &self.shared;
        let counters = &shared.counters;
        let backlog_bytes = disk_length(shared.intake.lock().backlog_bytes);
        let spare_segments = disk_length(shared.spares.ready());
        let sync_time = counters.sync_time.snapshot();
        let batch_records = counters.batch_records.snapshot();
        LogStats {
            appends: self.appended_lsn().get() - shared.opened_at.get(),
            batches: batch_records.count(),
            bytes: counters.bytes.get(),
            syncs: sync_time.count(),
            sync_nanos: counters.sync_nanos.get(),
            sync_time,
            batch_records,
            segments: disk_length(shared.segments.lock().len()),
            spare_segments,
            spare_failures: counters.spare_failures.get(),
            backlog_bytes,
            headroom_bytes: counters.room_bytes.get() + spare_segments * shared.config.segment_bytes,
        }
    }
}

impl<S: Storage> Clone for Log<S> {
    fn clone(&self) -> Log<S> {
        Log { shared: Arc::clone(&self.shared) }
    }
}

impl<S: Storage> std::fmt::Debug for Log<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log")
            .field("directory", &self.shared.directory.path())
            .field("epoch", &self.shared.epoch)
            .field("appended_lsn", &self.appended_lsn())
            .field("durable_lsn", &self.durable_lsn())
            .finish_non_exhaustive()
    }
}

impl<S: Storage> Journal for Log<S> {
    fn append(&self, record: &[u8]) -> Result<Lsn, AppendError> {
        let shared = &*self.shared;
        let limit_bytes = shared.config.record_bytes_max;
        if record.len() > limit_bytes {
            return Err(AppendError::TooLarge { bytes: record.len(), limit_bytes });
        }
        let mut intake = shared.intake.lock();
        match intake.state {
            State::Open => {}
            State::Closed => return Err(AppendError::Closed),
            State::Poisoned => return Err(AppendError::Poisoned),
        }
        let backlog_bytes = intake.backlog_bytes + frame::framed_bytes(record);
        let limit_bytes = shared.config.backlog_bytes_max;
        if backlog_bytes > limit_bytes {
            return Err(AppendError::Full { backlog_bytes: intake.backlog_bytes, limit_bytes });
        }
        let lsn = intake.next_lsn;
        intake.filling.push(lsn, record, shared.config.batch_bytes_max);
        intake.backlog_bytes = backlog_bytes;
        intake.next_lsn = lsn.next();
        // Pairs with the Acquire in `appended_lsn`. Under the lock, so that it only rises.
        shared.appended.store(lsn.get(), Ordering::Release);
        // Relaxed: it changes under the lock that is held.
        if shared.bursts.load(Ordering::Relaxed) == 0 {
            intake.wanted = lsn;
        }
        shared.wake_if_due(intake);
        Ok(lsn)
    }

    fn appended_lsn(&self) -> Lsn {
        // Acquire: pairs with the Release in `append`.
        Lsn::new(self.shared.appended.load(Ordering::Acquire))
    }

    fn durable_lsn(&self) -> Lsn {
        // Acquire: pairs with the Release of the committer, after the sync.
        Lsn::new(self.shared.durable.load(Ordering::Acquire))
    }

    fn epoch(&self) -> Epoch {
        self.shared.epoch
    }
}

fn check_shard<S: Storage>(directory: &Directory<S>, reader: &LogReader<S>, expected: u32) -> Result<(), Error> {
    match reader.segments().first() {
        Some(first) if first.shard != expected => {
            let file = directory.path_of(&first.file_name());
            Err(Error::WrongShard { file, found: first.shard, expected })
        }
        _ => Ok(()),
    }
}

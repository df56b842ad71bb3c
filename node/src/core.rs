//! The parts joined: one engine, its journal, its snapshots and its time.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use quartermaster_engine::command::{Command, PlainOrder, Request};
use quartermaster_engine::crew::Alone;
use quartermaster_engine::engine::{Ordered, Seen};
use quartermaster_engine::time::Timestamp;
use quartermaster_engine::{Answer, Crew, Engine, EngineConfig, Error};
use quartermaster_journal::{Journal, Log, LogConfig, Storage};

use crate::auditor::Audits;
use crate::clock::{Clock, Time};
use crate::disk::DiskWatch;
use crate::lag::DurableLag;
use crate::open::{self, OpenError, Recovered};
use crate::settling::Settling;
use crate::snapshots::Snapshots;
use crate::timer::Expiries;

/// Settings a data directory is opened with.
#[derive(Clone, Debug)]
pub struct CoreConfig {
    /// Settings of the engine.
    pub engine: EngineConfig,
    /// Settings of the journal.
    pub log: LogConfig,
    /// Longest time between two snapshots while events come; zero for none by time.
    pub snapshot_interval: Duration,
    /// Growth of the journal in bytes after which a snapshot is taken; 0 for none by growth.
    pub snapshot_after_bytes: u64,
    /// For how long segments are kept that no snapshot needs; zero to give them up at once.
    pub journal_keep: Duration,
    /// Bytes that journal and snapshots may take together; 0 for all there are.
    pub disk_budget_bytes: u64,
}

/// The part of [`CoreConfig`] that can change while the directory is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// As in [`CoreConfig`].
    pub snapshot_interval: Duration,
    /// As in [`CoreConfig`].
    pub snapshot_after_bytes: u64,
    /// As in [`CoreConfig`].
    pub journal_keep: Duration,
    /// As in [`CoreConfig`].
    pub disk_budget_bytes: u64,
}

impl CoreConfig {
    fn schedule(&self) -> Schedule {
        Schedule {
            snapshot_interval: self.snapshot_interval,
            snapshot_after_bytes: self.snapshot_after_bytes,
            journal_keep: self.journal_keep,
            disk_budget_bytes: self.disk_budget_bytes,
        }
    }
}

/// There is no room for new promises. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskFull;

/// An engine with its disk and its clock, from `open` to `close`. What it does in the background are steps that the caller calls.
pub struct Core<S: Storage, C: Clock> {
    /// Guards a few numbers, for as long as copying them takes.
    schedule: Mutex<Schedule>,
    pub(crate) storage: S,
    pub(crate) engine: Engine,
    pub(crate) log: Log<S>,
    pub(crate) time: Time<C>,
    recovered: Recovered,
    pub(crate) disk: DiskWatch,
    pub(crate) lag: DurableLag,
    pub(crate) snapshots: Snapshots<S>,
    pub(crate) expiries: Expiries,
    pub(crate) settling: Settling,
    pub(crate) audits: Audits,
}

impl<S: Storage, C: Clock> Core<S, C> {
    /// Opens the data directory and brings the state back. `journal` says what the engine is to write to: the log itself, or something
    /// round it. Nothing becomes durable until the log is stepped or its committer started.
    ///
    /// # Errors
    /// When the directory is held by another process, damaged, of a newer version, or cannot be read or written.
    pub fn open(
        storage: S,
        config: &CoreConfig,
        clock: C,
        journal: impl FnOnce(&Log<S>) -> Arc<dyn Journal>,
    ) -> Result<Core<S, C>, OpenError> {
        Core::open_with(storage, config, clock, &Alone, journal)
    }

    /// As [`open`](Core::open), by as many hands as the crew has. The outcome does not depend on how many they are.
    ///
    /// # Errors
    /// As [`open`](Core::open).
    pub fn open_with(
        storage: S,
        config: &CoreConfig,
        clock: C,
        crew: &dyn Crew,
        journal: impl FnOnce(&Log<S>) -> Arc<dyn Journal>,
    ) -> Result<Core<S, C>, OpenError> {
        let began = clock.elapsed();
        let opened = open::open(storage.clone(), config, crew, journal)?;
        for excluded in opened.engine.catalogue().directory().stages().excluded() {
            tracing::warn!(what = %excluded.what, why = %excluded.fault, "kept, but not in use: this version cannot use it");
        }
        let recovered = Recovered { duration: clock.elapsed().saturating_sub(began), ..opened.recovered };
        Ok(Core {
            schedule: Mutex::new(config.schedule()),
            engine: opened.engine,
            log: opened.log,
            snapshots: Snapshots::new(storage.clone(), recovered.snapshot_lsn, clock.elapsed()),
            storage,
            time: Time::starting_at(clock, opened.last_time),
            recovered,
            disk: DiskWatch::default(),
            lag: DurableLag::default(),
            expiries: Expiries::default(),
            settling: Settling::default(),
            audits: Audits::default(),
        })
    }

    /// What opening had to do.
    pub fn recovered(&self) -> &Recovered {
        &self.recovered
    }

    /// The engine, to read from.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The journal.
    pub fn log(&self) -> &Log<S> {
        &self.log
    }

    /// The settings that can change.
    pub fn schedule(&self) -> Schedule {
        *self.schedule.lock()
    }

    /// Changes them: from the next step on they hold.
    pub fn set_schedule(&self, schedule: Schedule) {
        *self.schedule.lock() = schedule;
    }

    /// Where the files are.
    pub fn storage(&self) -> &S {
        &self.storage
    }

    /// The clock.
    pub fn clock(&self) -> &C {
        self.time.clock()
    }

    /// The time, read once for each request.
    pub fn now(&self) -> Timestamp {
        self.time.now()
    }

    /// Decides a command. The answer must not be told before everything up to its LSN is durable.
    ///
    /// # Errors
    /// [`DiskFull`] for what must not be promised now; within, what the engine says.
    pub fn submit(
        &self,
        request: &Request,
        command: &Command,
        now: Timestamp,
    ) -> Result<Result<Answer, Error>, DiskFull> {
        self.submit_seen(request, command, now, Seen::default())
    }

    /// Like [`submit`](Self::submit), of an order that a look ahead of the engine has `seen`.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn submit_seen(
        &self,
        request: &Request,
        command: &Command,
        now: Timestamp,
        seen: Seen,
    ) -> Result<Result<Answer, Error>, DiskFull> {
        if self.promises_nothing_new() && !matches!(command, Command::Reservation(..)) {
            return Err(DiskFull);
        }
        Ok(self.engine.submit_seen(request, command, now, seen))
    }

    /// Decides a plain order, of which a look ahead of the engine may have `seen` something, in the name of `actor`.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn submit_plain(
        &self,
        order: &PlainOrder<'_>,
        actor: &str,
        now: Timestamp,
        seen: Seen,
    ) -> Result<Result<Ordered, Error>, DiskFull> {
        if self.promises_nothing_new() {
            return Err(DiskFull);
        }
        Ok(self.engine.submit_plain(order, actor, now, seen))
    }

    fn promises_nothing_new(&self) -> bool {
        self.disk.is_full() || self.disk.is_over_budget()
    }

    /// Whether new promises are refused for want of space on the disk.
    pub fn disk_is_full(&self) -> bool {
        self.disk.is_full()
    }

    /// How far durability is behind: the age of the oldest event seen at a tick that is not on disk yet.
    pub fn durable_lag(&self) -> Duration {
        self.lag.at(self.time.clock().elapsed())
    }
}

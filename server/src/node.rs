//! The parts joined: engine, journal, clock, acknowledgements and the threads that keep them going.
//!
//! A node owns its data directory from `open` to `close`. Handlers give it commands and get answers that are durable.
mod campaigns;
mod data_dir;
mod decisions;
pub(crate) mod labels;
mod lock_waits;
mod past;
mod reading;
mod returns;
mod routes;
mod settings;
mod status;
mod timed_journal;
mod turn;
pub(crate) mod worker;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use quartermaster_engine::audit::AuditReport;
use quartermaster_engine::command::{Command, Merge, PlainOrder, Request, Reserve, SourcingRequest, upkeep::Repair};
use quartermaster_engine::engine::{Ordered, Seen};
use quartermaster_engine::route::{Quote, Wants};
use quartermaster_engine::time::Timestamp;
use quartermaster_engine::{Answer, Engine, Error, Rejection};
use quartermaster_journal::{Burst, CommitterHandle, FileStorage, Journal as _, Lsn};
use quartermaster_node::{Core, DiskFull};
use quartermaster_proto::v1;

pub use data_dir::OpenError;
pub use quartermaster_node::{Recovered, SnapshotError, SnapshotTaken};

use crate::acks::{Acks, Herald, JournalClosed};
use crate::backup::Backups;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::grpc::status::ApiError;
use crate::health::Health;
use crate::watch::{slow::SlowCalls, steps};
pub use campaigns::CampaignPaces;
use decisions::DecisionCounts;
use lock_waits::LockWaits;
use routes::RouteCounts;
pub(crate) use turn::{ORDERS_PER_TURN, Turn};
use worker::Worker;

/// A running engine with its disk and its clock.
pub struct Node {
    config: Config,
    health: Health,
    started_at: Timestamp,
    core: Core<FileStorage, SystemClock>,
    acks: Arc<Acks>,
    decisions: DecisionCounts,
    routes: RouteCounts,
    campaigns: CampaignPaces,
    lock_waits: Arc<LockWaits>,
    /// The calls that were slow, to be told of.
    slow: OnceLock<Arc<SlowCalls>>,
    /// Settings that changed since the start; those that cannot are as in `config`.
    live: Mutex<settings::Live>,
    backups: Backups,
    /// Threads, ended in this order at `close`.
    workers: Mutex<Vec<Worker>>,
    committer: Mutex<Option<CommitterHandle>>,
}

impl Node {
    /// Opens the data directory, brings the state back and starts the threads. `failed` is called once, when the journal can no longer
    /// write: nothing will be acknowledged any more, and the process is to end.
    ///
    /// # Errors
    /// When the directory is held by another process, damaged, of a newer version, or cannot be read or written.
    pub fn open(
        config: &Config,
        health: Health,
        failed: impl Fn() + Send + Sync + 'static,
    ) -> Result<Arc<Node>, OpenError> {
        let acks = Acks::new();
        let core = data_dir::open(config)?;
        let started_at = core.now();

        let lock_waits = LockWaits::new();
        core.engine().observe_locks(lock_waits.clone());
        let log = core.log();
        acks.advance(log.durable_lsn());
        log.on_durable({
            let acks = Arc::clone(&acks);
            move |durable| acks.advance(durable)
        });
        log.on_fatal({
            let acks = Arc::clone(&acks);
            move |error| {
                tracing::error!(%error, "the journal failed: nothing more is acknowledged");
                acks.fail();
                failed();
            }
        });
        let committer = log.spawn_committer().map_err(|source| OpenError::Thread { source })?;
        let node = Arc::new(Node {
            config: config.clone(),
            health,
            started_at,
            core,
            acks,
            decisions: DecisionCounts::default(),
            routes: RouteCounts::default(),
            campaigns: CampaignPaces::default(),
            lock_waits,
            slow: OnceLock::new(),
            live: Mutex::new(settings::Live::of(config)),
            backups: Backups::new(config),
            workers: Mutex::new(Vec::new()),
            committer: Mutex::new(Some(committer)),
        });
        node.start_workers().map_err(|source| OpenError::Thread { source })?;
        node.backups.start(&node).map_err(|source| OpenError::Thread { source })?;
        Ok(node)
    }

    fn start_workers(self: &Arc<Self>) -> std::io::Result<()> {
        let mut workers = self.workers.lock();
        workers.push(Worker::start("expiry", self.config.expiry_tick, self, |node| node.core.tick())?);
        let audit = |node: &Node| {
            node.audit_if_due();
            false
        };
        workers.push(Worker::start("audit", settings::AUDIT_LOOK, self, audit)?);
        let disk = |node: &Node| {
            node.core.disk_step();
            node.backups.watch(&node.core);
            false
        };
        workers.push(Worker::start("disk", Duration::from_millis(250), self, disk)?);
        let least = std::sync::Once::new();
        let snapshot = move |node: &Node| {
            least.call_once(worker::be_the_least);
            node.core.snapshot_step();
            false
        };
        workers.push(Worker::start("snapshot", Duration::from_millis(250), self, snapshot)?);
        Ok(())
    }

    /// Backups of it.
    pub fn backups(&self) -> &Backups {
        &self.backups
    }

    pub(crate) fn core(&self) -> &Core<FileStorage, SystemClock> {
        &self.core
    }

    /// What start-up had to do.
    pub fn recovered(&self) -> &Recovered {
        self.core.recovered()
    }

    /// The engine, to read from.
    pub fn engine(&self) -> &Engine {
        self.core.engine()
    }

    /// Counts and logs what an audit found.
    pub fn note_violations(&self, report: &AuditReport) {
        self.core.note_violations(report);
    }

    /// What campaigns decided in the last minute.
    pub fn campaigns(&self) -> &CampaignPaces {
        &self.campaigns
    }

    /// The time, read once for each request.
    pub fn now(&self) -> Timestamp {
        self.core.now()
    }

    /// Decides a command at once. The answer must not be told before `settle` of its LSN.
    ///
    /// # Errors
    /// When the request cannot stand, the disk is full, or the journal is closed or full. Nothing changed.
    pub fn submit_now(&self, request: &Request, command: &Command) -> Result<Answer, ApiError> {
        let (began, now) = (Instant::now(), self.now());
        steps::deciding();
        let answer = self.core.submit(request, command, now).map_err(|DiskFull| self.no_room())?;
        let ended = Instant::now();
        steps::decided(began, ended);
        let time = ended - began;
        self.campaigns.count(command, &answer, now);
        self.decisions.count(command, &answer, time);
        self.routes.command(command, &answer, time);
        answer.map_err(ApiError::from)
    }

    /// Decides a plain order at once, in the name of `actor`. The answer must not be told before `settle` of its LSN.
    ///
    /// # Errors
    /// As [`submit_now`](Self::submit_now).
    pub(crate) fn submit_plain(&self, order: &PlainOrder<'_>, actor: &str) -> Result<Ordered, ApiError> {
        let (began, now) = (Instant::now(), self.now());
        steps::deciding();
        let ordered = self.core.submit_plain(order, actor, now, Seen::default()).map_err(|DiskFull| self.no_room())?;
        let ended = Instant::now();
        steps::decided(began, ended);
        self.decisions.count_order(&ordered);
        self.decisions.count_orders(1, ended - began);
        ordered.map_err(ApiError::from)
    }

    /// Decides a command and waits until its answer may be told.
    ///
    /// # Errors
    /// As `submit_now`; and when the journal closes before the answer is durable, which leaves the outcome unknown until the restart.
    pub async fn submit(&self, request: &Request, command: &Command) -> Result<Answer, ApiError> {
        let answer = self.submit_now(request, command);
        self.settle(answer.as_ref().map_or_else(|error| self.rests_on(error), |answer| answer.lsn)).await?;
        answer
    }

    /// Quotes an order at once. The answer must not be told before `settle` of its LSN.
    ///
    /// # Errors
    /// When the order cannot be planned.
    pub fn route(
        &self,
        order: &Reserve,
        sourcing: &SourcingRequest,
        wants: Wants,
    ) -> Result<(Lsn, Result<Quote, Rejection>), ApiError> {
        let began = Instant::now();
        steps::deciding();
        let (lsn, answer) = match self.core.engine().route(order, sourcing, wants, self.now()) {
            Ok((lsn, quote)) => (lsn, Ok(quote)),
            Err(error) => (Lsn::ZERO, Err(error)),
        };
        let ended = Instant::now();
        steps::decided(began, ended);
        self.routes.quote(&answer, ended - began);
        Ok((lsn, answer?))
    }

    /// What a merge would come to, once that may be told. Nothing changes.
    ///
    /// # Errors
    /// As the merge itself.
    pub async fn preview_merge(&self, merge: &Merge) -> Result<Answer, ApiError> {
        let found = self.core.engine().preview_merge(merge, self.now()).map_err(ApiError::from);
        self.settle(found.as_ref().map_or_else(|error| self.rests_on(error), |(lsn, _)| *lsn)).await?;
        found.map(|(lsn, verdict)| Answer { lsn, replayed: false, verdict })
    }

    /// What a repair would come to. Nothing changes. The answer must not be told before `settle` of its LSN.
    ///
    /// # Errors
    /// As the repair itself.
    pub fn preview_repair(&self, repair: &Repair) -> Result<Answer, ApiError> {
        let (lsn, verdict) = self.core.engine().preview_repair(repair, self.now())?;
        Ok(Answer { lsn, replayed: false, verdict })
    }

    /// What must be durable before an error is told. One that tells of the state names no event, so it rests on all there were: a caller
    /// who hears that a reservation is confirmed must find it confirmed after a crash, too.
    pub fn rests_on(&self, error: &ApiError) -> Lsn {
        match error {
            ApiError::Engine(Error::Journal(_)) => Lsn::ZERO,
            ApiError::Engine(_) | ApiError::Row { .. } => self.core.log().appended_lsn(),
            ApiError::Invalid(_)
            | ApiError::Overloaded { .. }
            | ApiError::ShuttingDown
            | ApiError::JournalClosed
            | ApiError::DiskFull
            | ApiError::OverBudget { .. }
            | ApiError::Deadline
            | ApiError::NotReached { .. }
            | ApiError::NotSourced { .. }
            | ApiError::ExplanationGone { .. }
            | ApiError::Denied(_)
            | ApiError::Internal { .. } => Lsn::ZERO,
        }
    }

    /// Waits until everything up to `lsn` is durable.
    ///
    /// # Errors
    /// When the journal closes before.
    pub async fn settle(&self, lsn: Lsn) -> Result<(), ApiError> {
        if self.acks.durable() >= lsn {
            return Ok(());
        }
        self.core.log().want(lsn);
        let began = steps::settling();
        let settled = self.acks.wait(lsn).await.map_err(|JournalClosed| ApiError::JournalClosed);
        steps::settled(began);
        settled
    }

    /// Wakes those who [`settle`](Node::settle), in the runtime that it is spawned in.
    pub fn herald(&self) -> Herald {
        self.acks.herald()
    }

    /// To be held while many changes are made of which only the last is waited for: the disk is left alone meanwhile, unless others wait.
    pub fn burst(&self) -> Burst<'_, FileStorage> {
        self.core.log().burst()
    }

    /// Where the calls that were slow are kept, from now on. The first call counts.
    pub fn tell_slow_calls(&self, slow: Arc<SlowCalls>) {
        // A second server round one node would be a bug elsewhere; the first is told of.
        let _kept = self.slow.set(slow);
    }

    /// The calls that were slow or failed, once it is known where they are kept.
    pub fn slow_calls(&self) -> Option<&SlowCalls> {
        self.slow.get().map(Arc::as_ref)
    }

    /// How long the oldest change that is not durable has been waiting, to within a tick of the timer.
    pub fn durable_lag(&self) -> Duration {
        self.core.durable_lag()
    }

    /// Where an answer that rests on `lsn` stands.
    pub fn position(&self, lsn: Lsn) -> v1::Position {
        v1::Position { shard: 0, epoch: self.core.log().epoch().get(), lsn: lsn.get() }
    }

    /// Ends the threads, takes a last snapshot, and leaves everything on disk. Calls that come later are refused by the journal.
    ///
    /// # Errors
    /// When the last snapshot or sync fails. Nothing that was acknowledged is lost by that.
    pub fn close(&self) -> Result<(), SnapshotError> {
        self.backups.stop();
        self.workers.lock().drain(..).for_each(Worker::stop);
        let snapshot = self.core.snapshot_unless_fresh();
        if let Some(committer) = self.committer.lock().take() {
            committer.stop()?;
        }
        snapshot
    }
}

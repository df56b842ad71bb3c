//! Group commit: takes what has been appended, writes it, syncs it, and raises the durable position.
//!
//! Batches form by themselves: what is appended while one sync runs goes to disk with the next; of a burst as much as there is when
//! somebody waits for it. The thread is a loop around [`Log::step`], which tests call themselves. After the first failed write or sync the log is poisoned: nothing
//! is tried again, because a sync that fails once may report success the next time without having written anything.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use quartermaster_sync::atomic::Ordering;

use crate::backlog::Backlog;
use crate::config::Durability;
use crate::error::Error;
use crate::journal::Journal;
use crate::layout::disk_length;
use crate::log::{Log, Shared, State};
use crate::lsn::Lsn;
use crate::storage::Storage;
use crate::writer::Writer;

/// What one [`Log::step`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct StepReport {
    /// Records written.
    pub records: u64,
    /// Bytes written, headers and padding included; 0 when nothing was waiting.
    pub bytes: u64,
    /// Whether an fdatasync of the log was done.
    pub synced: bool,
    /// The durable position afterwards.
    pub durable_lsn: Lsn,
    /// Whether more was already waiting in another batch.
    pub more: bool,
    /// When the next sync is due under `Durability::Interval`, if something is unsynced.
    pub sync_due: Option<Instant>,
}

/// What the committer works on.
pub(crate) struct Commit<S: Storage> {
    pub(crate) writer: Writer<S>,
    writing: Backlog,
    sync_due: Option<Instant>,
}

impl<S: Storage> Commit<S> {
    pub(crate) fn new(writer: Writer<S>, writing: Backlog) -> Commit<S> {
        Commit { writer, writing, sync_due: None }
    }
}

impl<S: Storage> Log<S> {
    /// Commits one batch now: one write and, as the durability asks, one fdatasync. Does nothing, cheaply, when
    /// nothing waits. The committer thread is a loop around this; without that thread a test or a simulator calls it.
    ///
    /// # Errors
    /// [`Error::Poisoned`] with the failure, now and for ever after.
    pub fn step(&self) -> Result<StepReport, Error> {
        self.shared.step(Sync::AsConfigured)
    }

    /// Writes and fsyncs everything appended before the call, whatever the durability. To be called before a
    /// snapshot is finished that rests on those records.
    ///
    /// # Errors
    /// As [`Log::step`].
    pub fn sync(&self) -> Result<(), Error> {
        let target = self.appended_lsn();
        while self.shared.step(Sync::AsConfigured)?.durable_lsn < target {}
        self.shared.step(Sync::Now).map(|_| ())
    }

    /// Refuses further appends, then writes and fsyncs everything appended. Can be called again.
    ///
    /// # Errors
    /// As [`Log::step`].
    pub fn close(&self) -> Result<(), Error> {
        {
            let mut intake = self.shared.intake.lock();
            if intake.state == State::Open {
                intake.state = State::Closed;
            }
            intake.wanted = intake.last_lsn();
            intake.parked = false;
        }
        self.shared.work.notify_all();
        let synced = self.sync();
        self.shared.wake_waiters();
        synced
    }

    /// Starts the committer thread, with another that prepares spare segments.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn spawn_committer(&self) -> io::Result<CommitterHandle> {
        let log = self.clone();
        let stopper = self.clone();
        let mut handle = CommitterHandle {
            stop: Box::new(move || {
                stopper.shared.spare_wanted.stop();
                stopper.close()
            }),
            threads: Vec::with_capacity(2),
        };
        handle.threads.push(thread::Builder::new().name("journal-commit".to_owned()).spawn(move || log.shared.run())?);
        let log = self.clone();
        let prepare = thread::Builder::new().name("journal-spare".to_owned()).spawn(move || log.shared.run_preparer());
        handle.threads.push(prepare?);
        Ok(handle)
    }
}

/// The threads of a log. Dropping it stops them as [`stop`](CommitterHandle::stop) does.
#[must_use = "dropping the handle closes the log"]
pub struct CommitterHandle {
    stop: Box<dyn Fn() -> Result<(), Error> + Send + std::marker::Sync>,
    threads: Vec<JoinHandle<()>>,
}

impl CommitterHandle {
    /// Closes the log: refuses appends, writes and fsyncs what was appended, ends the threads.
    ///
    /// # Errors
    /// [`Error::Poisoned`] when the log had failed or fails now.
    pub fn stop(mut self) -> Result<(), Error> {
        self.shut_down()
    }

    fn shut_down(&mut self) -> Result<(), Error> {
        let stopped = (self.stop)();
        for thread in self.threads.drain(..) {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
        stopped
    }
}

impl Drop for CommitterHandle {
    fn drop(&mut self) {
        if !self.threads.is_empty() {
            // The failure has gone to the fatal hook already.
            let _ = self.shut_down();
        }
    }
}

impl std::fmt::Debug for CommitterHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CommitterHandle").field("threads", &self.threads.len()).finish()
    }
}

/// Whether a step syncs what needs no sync yet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sync {
    AsConfigured,
    Now,
}

impl<S: Storage> Shared<S> {
    pub(crate) fn run(&self) {
        let mut report = StepReport::default();
        while report.more || self.park(report.sync_due) {
            // On a core that is busy with appending, the appends that are about to come join this commit: a sync costs that core more than
            // its callers lose by it. On one that is free this returns at once.
            thread::yield_now();
            match self.step(Sync::AsConfigured) {
                Ok(done) => report = done,
                // The fatal hook has the error; nothing is left to do here.
                Err(_) => return,
            }
        }
    }

    /// Waits for something to commit, or for `deadline`. Gives false when the log takes nothing more.
    fn park(&self, deadline: Option<Instant>) -> bool {
        let mut intake = self.intake.lock();
        loop {
            if intake.is_due() {
                return true;
            }
            if intake.state != State::Open {
                return false;
            }
            intake.parked = true;
            match deadline {
                Some(deadline) => {
                    if self.work.wait_until(&mut intake, deadline).timed_out() {
                        intake.parked = false;
                        return true;
                    }
                }
                None => self.work.wait(&mut intake),
            }
        }
    }

    pub(crate) fn step(&self, sync: Sync) -> Result<StepReport, Error> {
        let mut commit = self.commit.lock();
        // Checked under the lock: after a failure nobody writes again.
        self.check_alive()?;
        let done = self.commit_one(&mut commit, sync);
        // Poisoned before the lock is given up, for the same reason.
        let done = done.map_err(|error| self.poison(error));
        drop(commit);
        match done {
            Ok(report) => {
                if report.records > 0 {
                    self.wake_waiters();
                    self.hooks.durable(report.durable_lsn);
                }
                Ok(report)
            }
            Err(failure) => {
                self.wake_waiters();
                self.hooks.fatal(&failure);
                Err(Error::Poisoned { source: failure })
            }
        }
    }

    fn commit_one(&self, commit: &mut Commit<S>, sync: Sync) -> Result<StepReport, Error> {
        if commit.writing.is_empty() {
            let mut intake = self.intake.lock();
            std::mem::swap(&mut intake.filling, &mut commit.writing);
            drop(intake);
            commit.writing.close_batch();
        }
        let mut report = StepReport::default();
        let mut counted_bytes = 0;
        let began = Instant::now();
        if let Some((batch, image)) = commit.writing.next() {
            let rotated = commit.writer.write(&batch, image)?;
            report.records = u64::from(batch.record_count);
            report.bytes = disk_length(image.len());
            counted_bytes = batch.counted_bytes();
            self.count_write(report, commit.writer.room_bytes());
            if let Some(segment) = rotated {
                self.segments.lock().push(segment);
                self.spare_wanted.raise();
            }
        }
        report.synced = self.sync_if_due(commit, sync, began)?;
        report.sync_due = commit.sync_due;
        report.more = !commit.writing.is_empty();
        report.durable_lsn = commit.writer.position().lsn;
        if report.records > 0 {
            self.settle(commit, counted_bytes, &report);
        }
        Ok(report)
    }

    /// The time of a sync is counted from when its step `began`: the write before it goes to the disk, too.
    fn sync_if_due(&self, commit: &mut Commit<S>, sync: Sync, began: Instant) -> Result<bool, Error> {
        if !commit.writer.is_dirty() {
            commit.sync_due = None;
            return Ok(false);
        }
        let due = match self.config.durability {
            _ if sync == Sync::Now => true,
            Durability::Fsync => true,
            Durability::None => false,
            Durability::Interval(interval) => {
                let now = Instant::now();
                *commit.sync_due.get_or_insert(now + interval) <= now
            }
        };
        if due {
            commit.writer.sync()?;
            commit.sync_due = None;
            self.count_sync(began.elapsed());
        }
        Ok(due)
    }

    /// Everything up to `report.durable_lsn` may be acknowledged from here on.
    fn settle(&self, commit: &mut Commit<S>, counted_bytes: usize, report: &StepReport) {
        let mut intake = self.intake.lock();
        let left = intake.backlog_bytes.checked_sub(counted_bytes);
        intake.backlog_bytes = left.expect("Invariant: what is written was counted when it was appended");
        intake.unwritten = report.more;
        drop(intake);
        if !report.more {
            commit.writing.reset(self.config.batch_bytes_max);
        }
        let synced = commit.writer.synced_lsn() >= report.durable_lsn;
        assert!(
            synced || self.config.durability != Durability::Fsync,
            "Invariant: nothing is durable before it is synced"
        );
        let durable = report.durable_lsn.get();
        assert!(
            durable <= self.appended.load(Ordering::Acquire),
            "Invariant: nothing is durable before it was appended"
        );
        // Pairs with the Acquire in `durable_lsn`: who sees the position sees the batch as synced.
        let before = self.durable.swap(durable, Ordering::AcqRel);
        assert!(before < durable, "Invariant: the durable position only rises");
    }

    fn count_write(&self, report: StepReport, room_bytes: u64) {
        self.counters.bytes.add(report.bytes);
        self.counters.batch_records.observe(report.records);
        self.counters.room_bytes.set(room_bytes);
    }

    fn count_sync(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.counters.sync_nanos.add(nanos);
        self.counters.sync_time.observe(nanos / 1_000);
    }

    /// Stops the log for good; the first failure counts.
    pub(crate) fn poison(&self, error: Error) -> Arc<Error> {
        let mut intake = self.intake.lock();
        // Both under the lock: who has been told of the failure finds that nothing is taken any more, and the other way round.
        let failure = Arc::clone(self.failure.get_or_init(|| Arc::new(error)));
        intake.state = State::Poisoned;
        intake.parked = false;
        drop(intake);
        self.work.notify_all();
        failure
    }

    pub(crate) fn check_alive(&self) -> Result<(), Error> {
        match self.failure.get() {
            None => Ok(()),
            Some(failure) => Err(Error::Poisoned { source: Arc::clone(failure) }),
        }
    }

    pub(crate) fn wake_waiters(&self) {
        // Through the lock: a waiter between its check and its wait would miss the call otherwise.
        drop(self.watermark.lock());
        self.risen.notify_all();
    }
}

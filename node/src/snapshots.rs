//! Snapshots while traffic runs: on time, on size and on demand, one at a time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use quartermaster_engine::fingerprint::Fingerprinter;
use quartermaster_journal::{Error, Journal as _, Lsn, SegmentInfo, SnapshotStart, SnapshotStore, Storage};

use crate::{Clock, Core};

/// After a failure the next try waits this long.
const RETRY: Duration = Duration::from_secs(30);

/// Why a snapshot was not taken. The journal still holds everything.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Writing it, or syncing the journal before it, failed.
    #[error("the snapshot could not be written")]
    Journal(#[from] Error),
}

/// A snapshot that is on disk.
#[derive(Clone, Debug)]
pub struct SnapshotTaken {
    /// File name within the data directory.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// LSN it began at.
    pub lsn: Lsn,
    /// How long it took.
    pub duration: Duration,
}

/// What is known of snapshots.
pub(crate) struct Snapshots<S: Storage> {
    store: SnapshotStore<S>,
    /// Held while one is taken.
    taking: Mutex<()>,
    newest: Mutex<Known>,
    taken: AtomicU64,
    failed: AtomicU64,
    /// The past was given up since the disk became full.
    made_room: AtomicBool,
    /// A copy of the log is being made from this LSN on; `u64::MAX` for none.
    held_from: AtomicU64,
}

/// Snapshots by what came of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotCounts {
    /// Taken.
    pub taken: u64,
    /// Not written to their end.
    pub failed: u64,
}

/// The newest snapshot.
#[derive(Clone, Debug)]
pub struct Newest {
    /// LSN it began at; `Lsn::ZERO` when there is none.
    pub lsn: Lsn,
    /// Its size; 0 when an earlier process took it.
    pub bytes: u64,
    /// How long it took, when this process did.
    pub duration: Option<Duration>,
    /// Time since it was taken, or since the directory was opened.
    pub age: Duration,
}

/// What the next decision needs. Times are of the monotonic clock.
#[derive(Clone, Debug)]
struct Known {
    lsn: Lsn,
    bytes: u64,
    duration: Option<Duration>,
    /// When it was taken, or the directory was opened.
    at: Duration,
    /// Bytes the journal had written by then.
    journal_bytes: u64,
    retry_at: Option<Duration>,
}

impl<S: Storage> Snapshots<S> {
    /// `elapsed` is the monotonic clock.
    pub(crate) fn new(storage: S, lsn: Lsn, elapsed: Duration) -> Snapshots<S> {
        let newest = Known { lsn, bytes: 0, duration: None, at: elapsed, journal_bytes: 0, retry_at: None };
        Snapshots {
            store: SnapshotStore::new(storage),
            taking: Mutex::new(()),
            newest: Mutex::new(newest),
            taken: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            made_room: AtomicBool::new(false),
            held_from: AtomicU64::new(u64::MAX),
        }
    }
}

impl<S: Storage, C: Clock> Core<S, C> {
    /// The newest snapshot.
    pub fn newest_snapshot(&self) -> Newest {
        let known = self.snapshots.newest.lock();
        let age = self.time.clock().elapsed().saturating_sub(known.at);
        Newest { lsn: known.lsn, bytes: known.bytes, duration: known.duration, age }
    }

    /// Snapshots taken and failed since the directory was opened.
    pub fn snapshot_counts(&self) -> SnapshotCounts {
        let count = |number: &AtomicU64| number.load(Ordering::Relaxed);
        SnapshotCounts { taken: count(&self.snapshots.taken), failed: count(&self.snapshots.failed) }
    }

    /// Takes a snapshot now and gives the disk space back that it makes free. Blocks; run it off the threads that serve.
    ///
    /// # Errors
    /// When it could not be written. The one before stays.
    pub fn take_snapshot(&self) -> Result<SnapshotTaken, SnapshotError> {
        self.take_snapshot_amid(&mut || {})
    }

    /// As [`take_snapshot`](Core::take_snapshot), with `between` called after every section, while nothing is locked: what other threads
    /// do meanwhile in a server, a simulator does there.
    ///
    /// # Errors
    /// As [`take_snapshot`](Core::take_snapshot).
    pub fn take_snapshot_amid(&self, between: &mut dyn FnMut()) -> Result<SnapshotTaken, SnapshotError> {
        let _one_at_a_time = self.snapshots.taking.lock();
        let result = self.write_snapshot(between);
        let now = self.time.clock().elapsed();
        let mut newest = self.snapshots.newest.lock();
        match &result {
            Ok(taken) => {
                self.snapshots.taken.fetch_add(1, Ordering::Relaxed);
                *newest = Known {
                    lsn: taken.lsn,
                    bytes: taken.bytes,
                    duration: Some(taken.duration),
                    at: now,
                    journal_bytes: self.log.stats().bytes,
                    retry_at: None,
                };
            }
            Err(error) => {
                self.snapshots.failed.fetch_add(1, Ordering::Relaxed);
                newest.retry_at = Some(now + RETRY);
                tracing::error!(%error, "a snapshot failed; the journal is kept whole");
            }
        }
        result
    }

    /// Takes one when the time or the journal's growth asks for it, and makes room when the disk is full. Failures are counted and
    /// logged where they happen.
    pub fn snapshot_step(&self) {
        self.make_room_if_full();
        if self.snapshot_is_due() {
            _ = self.take_snapshot();
        }
    }

    /// Whether time or the journal's growth ask for a snapshot, and no failure was too short ago.
    pub fn snapshot_is_due(&self) -> bool {
        let (newest, now) = (self.snapshots.newest.lock().clone(), self.time.clock().elapsed());
        let grown = self.log.stats().bytes.saturating_sub(newest.journal_bytes);
        let schedule = self.schedule();
        let interval = schedule.snapshot_interval;
        let age = now.saturating_sub(newest.at);
        let by_time = !interval.is_zero() && age >= interval && self.log.appended_lsn() > newest.lsn;
        let by_size = schedule.snapshot_after_bytes > 0 && grown >= schedule.snapshot_after_bytes;
        let waiting = newest.retry_at.is_some_and(|at| now < at);
        (by_time || by_size) && !waiting
    }

    /// The last snapshot of an orderly end; none when nothing was written since the newest.
    ///
    /// # Errors
    /// As [`take_snapshot`](Core::take_snapshot).
    pub fn snapshot_unless_fresh(&self) -> Result<(), SnapshotError> {
        if self.log.appended_lsn() > self.newest_snapshot().lsn {
            self.take_snapshot()?;
        }
        Ok(())
    }

    /// The first record that is kept: what snapshots need, and every segment that was still written to within `journal_keep`.
    ///
    /// A segment's age is that of its file: its records lie between the times of the file before it and its own. A file whose time
    /// cannot be read, or lies in the future, is kept.
    fn keep_from(&self, needed_from: Lsn) -> Lsn {
        // SeqCst, as in `hold_log`: a copier that has set it and then looks for the newest snapshot must find nothing trimmed that this needs.
        let needed_from = needed_from.min(Lsn::new(self.snapshots.held_from.load(Ordering::SeqCst)));
        let keep = self.schedule().journal_keep;
        if keep.is_zero() || self.disk.is_pressed() {
            return needed_from;
        }
        let now = self.time.clock().wall();
        let is_old = |segment: &SegmentInfo| {
            let written = self.storage.modified_micros(&segment.file_name()).ok();
            let age = written.and_then(|written| now.checked_sub(written));
            age.is_some_and(|age| Duration::from_micros(age) > keep)
        };
        let first_young = self.log.segments().into_iter().find(|segment| !is_old(segment));
        first_young.map_or(needed_from, |segment| segment.first_lsn.min(needed_from))
    }

    /// Keeps every record from `from` on, for whoever copies the log; none lets it go. A full disk is stronger: then it is given up all the
    /// same, and the copier finds a gap.
    pub fn hold_log(&self, from: Option<Lsn>) {
        self.snapshots.held_from.store(from.map_or(u64::MAX, Lsn::get), Ordering::SeqCst);
    }

    /// Once the disk is full, what is only kept for questions about the past makes room for what is to come.
    pub fn make_room_if_full(&self) {
        let full = self.disk.is_full() || self.disk.is_over_budget();
        let keeps =
            !self.schedule().journal_keep.is_zero() || self.snapshots.held_from.load(Ordering::SeqCst) < u64::MAX;
        if !full || !keeps {
            self.snapshots.made_room.store(false, Ordering::Relaxed);
            return;
        }
        if self.snapshots.made_room.swap(true, Ordering::Relaxed) {
            return;
        }
        self.give_up_past();
    }

    /// Gives up every segment that no snapshot needs.
    pub(crate) fn give_up_past(&self) {
        let _one_at_a_time = self.snapshots.taking.lock();
        let retained = self.snapshots.store.retain_newest();
        match retained.and_then(|retained| self.log.trim(retained.needed_from)) {
            Ok(trimmed) => tracing::warn!(
                segments = trimmed.removed + trimmed.recycled,
                first_lsn = trimmed.first_lsn.get(),
                "no room on the disk: past segments were given up before journal_keep was over, and before a backup had them"
            ),
            Err(error) => tracing::error!(%error, "past segments could not be given up"),
        }
    }

    fn write_snapshot(&self, between: &mut dyn FnMut()) -> Result<SnapshotTaken, SnapshotError> {
        let began = self.time.clock().elapsed();
        let position = self.log.position();
        let start = SnapshotStart {
            shard: 0,
            epoch: self.log.epoch(),
            lsn: position.lsn,
            batch_index: position.batch_index,
            chain: position.chain,
        };
        let mut writer = self.snapshots.store.begin(&start)?;
        let mut hash = Fingerprinter::default();
        let span = self.engine.snapshot(self.now(), |section| {
            hash.bytes(&section.payload);
            writer.section(section.kind, section.unit, section.lsn, &section.payload)?;
            between();
            Ok::<(), Error>(())
        })?;
        // A snapshot may only claim what is durable.
        self.log.sync()?;
        let bytes = writer.bytes();
        writer.finish(span.complete_to.next(), hash.finish())?;
        let retained = self.snapshots.store.retain_newest()?;
        self.log.trim(self.keep_from(retained.needed_from))?;
        let file = self.snapshots.store.names()?.into_iter().next().unwrap_or_default();
        let duration = self.time.clock().elapsed().saturating_sub(began);
        let taken = SnapshotTaken { file, bytes, lsn: position.lsn, duration };
        tracing::info!(file = %taken.file, bytes, duration = ?taken.duration, "snapshot taken");
        Ok(taken)
    }
}

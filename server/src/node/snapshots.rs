//! Snapshots while traffic runs: on time, on size and on demand, one at a time.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use quartermaster_engine::fingerprint::Fingerprinter;
use quartermaster_journal::{Error, FileStorage, Journal, Lsn, SegmentInfo, SnapshotStart, SnapshotStore};

use super::Node;

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
pub(super) struct Snapshots {
    store: SnapshotStore<FileStorage>,
    /// Held while one is taken.
    taking: Mutex<()>,
    newest: Mutex<Newest>,
    pub(super) taken: AtomicU64,
    pub(super) failed: AtomicU64,
    /// The past was given up since the disk became full.
    made_room: AtomicBool,
}

/// The newest snapshot.
#[derive(Clone, Debug)]
pub(super) struct Newest {
    pub(super) lsn: Lsn,
    pub(super) bytes: u64,
    pub(super) duration: Option<Duration>,
    /// When it was taken, or this process started.
    pub(super) at: Instant,
    /// Bytes the journal had written by then.
    journal_bytes: u64,
    retry_at: Option<Instant>,
}

impl Snapshots {
    pub(super) fn new(store: SnapshotStore<FileStorage>, lsn: Lsn) -> Snapshots {
        let newest = Newest { lsn, bytes: 0, duration: None, at: Instant::now(), journal_bytes: 0, retry_at: None };
        Snapshots {
            store,
            taking: Mutex::new(()),
            newest: Mutex::new(newest),
            taken: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            made_room: AtomicBool::new(false),
        }
    }

    pub(super) fn newest(&self) -> Newest {
        self.newest.lock().clone()
    }
}

impl Node {
    /// Takes a snapshot now and gives the disk space back that it makes free. Blocks; run it off the async threads.
    ///
    /// # Errors
    /// When it could not be written. The one before stays.
    pub fn take_snapshot_now(&self) -> Result<SnapshotTaken, SnapshotError> {
        let _one_at_a_time = self.snapshots.taking.lock();
        let result = self.write_snapshot();
        let mut newest = self.snapshots.newest.lock();
        match &result {
            Ok(taken) => {
                self.snapshots.taken.fetch_add(1, Ordering::Relaxed);
                *newest = Newest {
                    lsn: taken.lsn,
                    bytes: taken.bytes,
                    duration: Some(taken.duration),
                    at: Instant::now(),
                    journal_bytes: self.log.stats().bytes,
                    retry_at: None,
                };
            }
            Err(error) => {
                self.snapshots.failed.fetch_add(1, Ordering::Relaxed);
                newest.retry_at = Some(Instant::now() + RETRY);
                tracing::error!(%error, "a snapshot failed; the journal is kept whole");
            }
        }
        result
    }

    /// Takes one when the time or the journal's growth asks for it. Called by a thread.
    pub(super) fn snapshot_if_due(&self) -> bool {
        self.make_room_if_full();
        let newest = self.snapshots.newest();
        let grown = self.log.stats().bytes.saturating_sub(newest.journal_bytes);
        let interval = self.config.snapshot_interval;
        let by_time = !interval.is_zero() && newest.at.elapsed() >= interval && self.log.appended_lsn() > newest.lsn;
        let by_size = self.config.snapshot_after_bytes > 0 && grown >= self.config.snapshot_after_bytes;
        let waiting = newest.retry_at.is_some_and(|at| Instant::now() < at);
        if (by_time || by_size) && !waiting {
            // Counted and logged where it happens.
            _ = self.take_snapshot_now();
        }
        false
    }

    /// The last snapshot of an orderly end; none when nothing was written since the newest.
    pub(super) fn snapshot_unless_fresh(&self) -> Result<(), SnapshotError> {
        if self.log.appended_lsn() > self.snapshots.newest().lsn {
            self.take_snapshot_now()?;
        }
        Ok(())
    }

    /// The first record that is kept: what snapshots need, and every segment that was still written to within `journal_keep`.
    ///
    /// A segment's age is that of its file: its records lie between the times of the file before it and its own. A file whose time
    /// cannot be read, or lies in the future, is kept.
    fn keep_from(&self, needed_from: Lsn) -> Lsn {
        let keep = self.config.journal_keep;
        if keep.is_zero() {
            return needed_from;
        }
        let directory = self.config.data_dir.as_deref().unwrap_or(std::path::Path::new(""));
        let is_old = |segment: &SegmentInfo| {
            let written = fs::metadata(directory.join(segment.file_name())).and_then(|file| file.modified());
            let age = written.ok().and_then(|written| SystemTime::now().duration_since(written).ok());
            age.is_some_and(|age| age > keep)
        };
        let first_young = self.log.segments().into_iter().find(|segment| !is_old(segment));
        first_young.map_or(needed_from, |segment| segment.first_lsn.min(needed_from))
    }

    /// Once the disk is full, what is only kept for questions about the past makes room for what is to come.
    fn make_room_if_full(&self) {
        if !self.disk.is_full() || self.config.journal_keep.is_zero() {
            self.snapshots.made_room.store(false, Ordering::Relaxed);
            return;
        }
        if self.snapshots.made_room.swap(true, Ordering::Relaxed) {
            return;
        }
        let _one_at_a_time = self.snapshots.taking.lock();
        let retained = self.snapshots.store.retain_newest();
        match retained.and_then(|retained| self.log.trim(retained.needed_from)) {
            Ok(trimmed) => tracing::warn!(
                segments = trimmed.removed + trimmed.recycled,
                first_lsn = trimmed.first_lsn.get(),
                "the disk is full: past segments were given up before journal_keep was over"
            ),
            Err(error) => tracing::error!(%error, "past segments could not be given up"),
        }
    }

    fn write_snapshot(&self) -> Result<SnapshotTaken, SnapshotError> {
        let began = Instant::now();
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
            writer.section(section.kind, section.unit, section.lsn, &section.payload)
        })?;
        // A snapshot may only claim what is durable.
        self.log.sync()?;
        let bytes = writer.bytes();
        writer.finish(span.complete_to.next(), hash.finish())?;
        let retained = self.snapshots.store.retain_newest()?;
        self.log.trim(self.keep_from(retained.needed_from))?;
        let file = self.snapshots.store.names()?.into_iter().next().unwrap_or_default();
        let taken = SnapshotTaken { file, bytes, lsn: position.lsn, duration: began.elapsed() };
        tracing::info!(file = %taken.file, bytes, duration = ?taken.duration, "snapshot taken");
        Ok(taken)
    }
}

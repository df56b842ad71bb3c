//! Whether there is room for the journal to grow.
//!
//! Segments are made ahead of their use. When the next one cannot be made, new promises and stock are refused, while the rest of the
//! current segment serves what must go on: confirm, ship, release, cancel and expiry. A budget is the same with a bound of the operator's:
//! first the past that is kept for questions goes, then new promises are refused.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use quartermaster_journal::{Log, Storage, StorageFile as _};

use crate::{Clock, Core};

/// While the budget stays pressed, making room may take a part of the time, this of so many: each time writes a snapshot and reads two.
const RELIEF_SHARE: u64 = 10;

/// Least pause between two times that room is made, in milliseconds.
const RELIEF_PAUSE_MILLIS: u64 = 500;

/// Remembers what the journal last said.
#[derive(Debug, Default)]
pub(crate) struct DiskWatch {
    full: AtomicBool,
    failures_seen: AtomicU64,
    used_bytes: AtomicU64,
    pressed: AtomicBool,
    over_budget: AtomicBool,
    /// When room was last made for the budget, in milliseconds of the monotonic clock.
    relieved_at: AtomicU64,
}

impl DiskWatch {
    /// Whether new promises must be refused.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Whether a segment more would not fit into the budget: what is kept for questions about the past goes.
    pub(crate) fn is_pressed(&self) -> bool {
        self.pressed.load(Ordering::Relaxed)
    }

    /// Whether journal and snapshots take more than their budget.
    pub(crate) fn is_over_budget(&self) -> bool {
        self.over_budget.load(Ordering::Relaxed)
    }

    /// Bytes that all files took when they were last measured.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.used_bytes.load(Ordering::Relaxed)
    }

    /// Takes a new measure; 0 for no budget. Two segments more, and what came since the measure before, must fit.
    pub(crate) fn measured(&self, used: u64, budget: u64, segment_bytes: u64) {
        let grown = used.saturating_sub(self.used_bytes.swap(used, Ordering::Relaxed));
        let soon = used.saturating_add(segment_bytes.saturating_mul(2)).saturating_add(grown);
        self.pressed.store(budget > 0 && soon > budget, Ordering::Relaxed);
        let over = budget > 0 && used > budget;
        if self.over_budget.swap(over, Ordering::Relaxed) != over {
            if over {
                tracing::error!(used, budget, "disk_budget_bytes is used up: new promises are refused");
            } else {
                tracing::info!(used, budget, "there is room within disk_budget_bytes again");
            }
        }
    }

    /// Asks the journal. Called by the timer.
    pub(crate) fn look<S: Storage>(&self, log: &Log<S>) {
        let stats = log.stats();
        let failed_again = self.failures_seen.swap(stats.spare_failures, Ordering::Relaxed) != stats.spare_failures;
        let full = stats.spare_segments == 0 && (failed_again || self.is_full());
        if self.full.swap(full, Ordering::Relaxed) != full {
            if full {
                tracing::error!(headroom_bytes = stats.headroom_bytes, "the disk is full: new promises are refused");
            } else {
                tracing::info!("the disk has room again");
            }
        }
    }
}

impl<S: Storage, C: Clock> Core<S, C> {
    /// Measures what the files take and holds them to the budget: near its end a snapshot is taken and everything that is not needed for a
    /// restart is given up. Opens every file; call it a few times a second.
    pub fn disk_step(&self) {
        let budget = self.schedule().disk_budget_bytes;
        let segment_bytes = self.log.config().segment_bytes;
        let was_pressed = self.disk.is_pressed();
        self.disk.measured(self.measure(), budget, segment_bytes);
        let now = u64::try_from(self.time.clock().elapsed().as_millis()).unwrap_or(u64::MAX);
        let took = self.newest_snapshot().duration.unwrap_or_default().as_millis();
        let pause = u64::try_from(took).unwrap_or(u64::MAX).saturating_mul(RELIEF_SHARE).max(RELIEF_PAUSE_MILLIS);
        let waited = now.saturating_sub(self.disk.relieved_at.load(Ordering::Relaxed)) >= pause;
        if self.disk.is_pressed() && (!was_pressed || waited) {
            // A snapshot makes the segments before it superfluous, and the one after it those between the two.
            for _ in 0..2 {
                if self.disk.is_pressed() && self.snapshot_unless_fresh().is_ok() {
                    self.give_up_past();
                    self.disk.measured(self.measure(), budget, segment_bytes);
                }
            }
            let now = u64::try_from(self.time.clock().elapsed().as_millis()).unwrap_or(u64::MAX);
            self.disk.relieved_at.store(now, Ordering::Relaxed);
        }
    }

    /// Bytes that the files of the directory took when they were last measured.
    pub fn disk_used_bytes(&self) -> u64 {
        self.disk.used_bytes()
    }

    /// Whether new promises are refused because the budget is used up.
    pub fn is_over_budget(&self) -> bool {
        self.disk.is_over_budget()
    }

    fn measure(&self) -> u64 {
        let names = self.storage.list().unwrap_or_default();
        // A file that went meanwhile takes nothing.
        let bytes = |name: &String| self.storage.open_read_only(name).and_then(|file| file.length()).unwrap_or(0);
        names.iter().map(bytes).sum()
    }
}

//! Whether there is room for the journal to grow.
//!
//! Segments are made ahead of their use. When the next one cannot be made, new promises and stock are refused, while the rest of the
//! current segment serves what must go on: confirm, ship, release, cancel and expiry.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use quartermaster_journal::{Log, Storage};

/// Remembers what the journal last said.
#[derive(Debug, Default)]
pub(crate) struct DiskWatch {
    full: AtomicBool,
    failures_seen: AtomicU64,
}

impl DiskWatch {
    /// Whether new promises must be refused.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
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

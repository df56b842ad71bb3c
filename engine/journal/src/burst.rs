//! Keeps the committer from beginning with the first record of many that follow one another.
//!
//! Without it a batch of a thousand records is committed in dozens of pieces, each for a sync of its own that nobody waits for.

use quartermaster_sync::MutexGuard;
use quartermaster_sync::atomic::Ordering;

use crate::log::{Intake, Log, Shared};
use crate::lsn::Lsn;
use crate::storage::Storage;

/// What has been appended is committed from this many bytes on, though nobody waits for it: the disk works meanwhile, and what is copied
/// and written is still in the processor's caches.
pub(crate) const HELD_BACK_BYTES_MAX: usize = 256 << 10;

/// As long as it lives, and others like it, the committer begins only when somebody [wants](Log::want) what was appended, or when there is
/// enough of it. When the last of them ends, everything is wanted.
#[must_use = "a burst ends when it is dropped"]
pub struct Burst<'a, S: Storage> {
    shared: &'a Shared<S>,
}

impl<S: Storage> Log<S> {
    /// Says that many appends follow one another, of which only the last is waited for. Whoever waits for one of them must say so with
    /// [`want`](Log::want).
    pub fn burst(&self) -> Burst<'_, S> {
        let shared = &*self.shared;
        let _intake = shared.intake.lock();
        // Release: who appended after this, under the same lock, sees it in `want`.
        shared.bursts.fetch_add(1, Ordering::Release);
        Burst { shared }
    }

    /// Says that somebody waits for `lsn`, which has been appended. Cheap, and of use in a [`burst`](Log::burst) only: else everything is
    /// wanted as it is appended.
    pub fn want(&self, lsn: Lsn) {
        // Acquire: the append of `lsn` lies before this on the same thread, or was handed over with the position. Had it been held back
        // and is the number zero now, then the last burst has ended since, and wanted it.
        if self.shared.bursts.load(Ordering::Acquire) > 0 {
            let mut intake = self.shared.intake.lock();
            intake.wanted = intake.wanted.max(lsn);
            self.shared.wake_if_due(intake);
        }
    }
}

impl<S: Storage> Shared<S> {
    /// Wakes the committer if it waits for work and there is some.
    pub(crate) fn wake_if_due(&self, mut intake: MutexGuard<'_, Intake>) {
        let wake = intake.parked && intake.is_due();
        if wake {
            intake.parked = false;
        }
        drop(intake);
        if wake {
            self.work.notify_one();
        }
    }
}

impl<S: Storage> Drop for Burst<'_, S> {
    fn drop(&mut self) {
        let mut intake = self.shared.intake.lock();
        if self.shared.bursts.fetch_sub(1, Ordering::Release) == 1 {
            intake.wanted = intake.last_lsn();
        }
        self.shared.wake_if_due(intake);
    }
}

impl<S: Storage> std::fmt::Debug for Burst<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Burst").finish_non_exhaustive()
    }
}

impl Intake {
    /// Whether there is something for the committer to do.
    pub(crate) fn is_due(&self) -> bool {
        self.unwritten
            || self.filling.first_lsn().is_some_and(|first| first <= self.wanted)
            || self.backlog_bytes >= HELD_BACK_BYTES_MAX && !self.filling.is_empty()
    }
}

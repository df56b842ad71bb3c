//! The seam to time: what a clock gives, and how much of it the engine may see.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quartermaster_engine::time::Timestamp;

/// Where time comes from.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock in microseconds since the Unix epoch. It may be set forward and back at any time.
    fn wall(&self) -> u64;

    /// Time since a moment that stays the same, for intervals and durations. Never less than an answer before.
    fn elapsed(&self) -> Duration;
}

/// Gives the time that events carry. Shared by every request; cheap enough for that.
///
/// When the wall clock is set back, the time stands still until the clock has caught up, so no event is older than the one before it
/// and no hold lives again.
#[derive(Debug)]
pub struct Time<C> {
    clock: C,
    newest: AtomicU64,
}

impl<C: Clock> Time<C> {
    /// Time that starts no earlier than `last_event`, the time of the newest event in the journal; 0 for an empty journal.
    pub fn starting_at(clock: C, last_event: Timestamp) -> Time<C> {
        Time { clock, newest: AtomicU64::new(last_event.0) }
    }

    /// The time; never less than an answer before, on any thread.
    pub fn now(&self) -> Timestamp {
        let wall = self.clock.wall();
        // Relaxed: the number orders only itself, and `fetch_max` is one total order of them.
        Timestamp(self.newest.fetch_max(wall, Ordering::Relaxed).max(wall))
    }

    /// The clock behind it.
    pub fn clock(&self) -> &C {
        &self.clock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Hands(AtomicU64);

    impl Clock for Hands {
        fn wall(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }

        fn elapsed(&self) -> Duration {
            Duration::ZERO
        }
    }

    #[test]
    fn stands_still_when_the_wall_clock_is_set_back() {
        let time = Time::starting_at(Hands::default(), Timestamp(1_000));
        for (wall, told) in [(900, 1_000), (1_001, 1_001), (950, 1_001)] {
            time.clock().0.store(wall, Ordering::Relaxed);
            assert_eq!(time.now(), Timestamp(told));
        }
    }
}

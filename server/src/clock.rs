//! The wall clock as the engine may see it: read once a request, and never going backwards.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use quartermaster_engine::time::Timestamp;

/// Gives the time. Shared by every request; cheap enough for that.
///
/// When the machine's clock is set back, the time stands still until the clock has caught up, so no event is older than the one
/// before it and no hold lives again.
#[derive(Debug)]
pub struct Clock {
    newest: AtomicU64,
}

impl Clock {
    /// A clock that starts no earlier than `last_event`, the time of the newest event in the journal; 0 for an empty journal.
    pub fn starting_at(last_event: Timestamp) -> Clock {
        Clock { newest: AtomicU64::new(last_event.0) }
    }

    /// The time; never less than an answer before, on any thread.
    pub fn now(&self) -> Timestamp {
        Timestamp(self.advance_to(wall()))
    }

    /// Relaxed: the number orders only itself, and `fetch_max` is one total order of them.
    fn advance_to(&self, wall: u64) -> u64 {
        self.newest.fetch_max(wall, Ordering::Relaxed).max(wall)
    }
}

/// The machine's clock in microseconds since the Unix epoch. 0 before 1970, and the largest time beyond the year 586,000.
fn wall() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stands_still_when_the_wall_clock_is_set_back() {
        let clock = Clock::starting_at(Timestamp(1_000));
        assert_eq!(clock.advance_to(900), 1_000);
        assert_eq!(clock.advance_to(1_001), 1_001);
        assert_eq!(clock.advance_to(950), 1_001);
    }

    #[test]
    fn tells_microseconds_of_this_century() {
        let now = Clock::starting_at(Timestamp(0)).now().0;
        assert!((1_700_000_000_000_000..4_000_000_000_000_000).contains(&now), "{now}");
    }
}

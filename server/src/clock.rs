//! The machine's clocks: the only place where the time of events and of background work is read.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use quartermaster_node::Clock;

/// Wall clock and monotonic clock of this machine.
#[derive(Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose `elapsed` starts now.
    pub fn start() -> SystemClock {
        SystemClock { origin: Instant::now() }
    }
}

impl Clock for SystemClock {
    /// 0 before 1970, and the largest time beyond the year 586,000.
    fn wall(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }

    fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_microseconds_of_this_century() {
        let now = SystemClock::start().wall();
        assert!((1_700_000_000_000_000..4_000_000_000_000_000).contains(&now), "{now}");
    }
}

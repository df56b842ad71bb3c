//! The rate of a copy, and its end: a bucket that fills with time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use quartermaster_backup::{Error, Pace};

/// Longest sleep between two looks at whether the copy was cancelled.
const LOOK: Duration = Duration::from_millis(50);

/// How a copy goes. Shared between the thread that makes it and those that ask.
#[derive(Debug)]
pub(super) struct Progress {
    bytes: AtomicU64,
    cancelled: AtomicBool,
    moved: Mutex<Instant>,
    /// When the next byte may go, at the rate now.
    due: Mutex<Instant>,
    bytes_per_second: AtomicU64,
}

impl Progress {
    pub(super) fn new(bytes_per_second: u64) -> Progress {
        let now = Instant::now();
        Progress {
            bytes: AtomicU64::new(0),
            cancelled: AtomicBool::new(false),
            moved: Mutex::new(now),
            due: Mutex::new(now),
            bytes_per_second: AtomicU64::new(bytes_per_second),
        }
    }

    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    pub(super) fn set_rate(&self, bytes_per_second: u64) {
        self.bytes_per_second.store(bytes_per_second, Ordering::Relaxed);
    }

    /// Bytes read and sent.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Time since the last of them.
    pub(super) fn idle(&self) -> Duration {
        self.moved.lock().elapsed()
    }

    fn check(&self) -> Result<(), Error> {
        if self.cancelled.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
    }
}

impl Pace for Progress {
    fn spend(&self, bytes: usize) -> Result<(), Error> {
        let amount = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.check()?;
        let rate = self.bytes_per_second.load(Ordering::Relaxed).max(1);
        let time = Duration::from_nanos(amount.saturating_mul(1_000_000_000) / rate);
        let due = {
            let mut due = self.due.lock();
            // What was not used in the past is not made up for: no bursts.
            *due = (*due).max(Instant::now()) + time;
            *due
        };
        loop {
            self.check()?;
            *self.moved.lock() = Instant::now();
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            thread::sleep(left.min(LOOK));
        }
        self.bytes.fetch_add(amount, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_keeps_its_rate_and_ends_when_it_is_cancelled() {
        let progress = Progress::new(10 << 20);
        let began = Instant::now();
        for _ in 0..4 {
            progress.spend(512 << 10).unwrap();
        }
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(190), "two MiB at ten a second took {took:?}");
        assert_eq!(progress.bytes(), 2 << 20);
        progress.cancel();
        assert!(matches!(progress.spend(1), Err(Error::Cancelled)));
        assert_eq!(progress.bytes(), 2 << 20);
    }
}

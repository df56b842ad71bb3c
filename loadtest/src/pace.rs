//! When each request should start. Latency counts from that moment, sent in time or not: a stall is charged to everyone it kept
//! waiting, so nothing is omitted by a slow server slowing its own clients down.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Permits handed out when all is over, so that everyone who waits wakes and finds no slot left.
const PERMITS_AT_END: usize = 1 << 24;
/// Shortest nap of the thread that releases slots.
const NAP_MIN: Duration = Duration::from_micros(50);

/// How fast requests start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// Open loop: so many a second, evenly spaced, however the server does.
    PerSecond(u64),
    /// Closed loop: the next one when an answer has freed a place.
    Max,
}

impl std::str::FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Rate::Max);
        }
        match text.parse() {
            Ok(rate @ 1..=10_000_000) => Ok(Rate::PerSecond(rate)),
            _ => Err("a rate is \"max\" or 1 to 10,000,000 requests a second".to_owned()),
        }
    }
}

/// A request's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// 0, 1, 2, …
    pub index: u64,
    /// When it should start. Its latency counts from here.
    pub intended: Instant,
}

/// Hands out slots: for an open loop as they fall due, for a closed loop on demand. Ends after a time and a count.
#[derive(Debug)]
pub struct Pacer {
    rate: Rate,
    start: Instant,
    end: Instant,
    slots: u64,
    released: AtomicU64,
    next: AtomicU64,
    stopped_at: AtomicU64,
    due: Semaphore,
}

impl Pacer {
    /// Slots from `start` for `duration`, at most `count_max` of them.
    pub fn new(rate: Rate, start: Instant, duration: Duration, count_max: u64) -> Self {
        let slots = match rate {
            Rate::Max => count_max,
            Rate::PerSecond(rate) => {
                let planned = duration.as_nanos().saturating_mul(u128::from(rate)).div_ceil(1_000_000_000);
                u64::try_from(planned).unwrap_or(u64::MAX).min(count_max)
            }
        };
        Pacer {
            rate,
            start,
            end: start + duration,
            slots,
            released: AtomicU64::new(0),
            next: AtomicU64::new(0),
            stopped_at: AtomicU64::new(u64::MAX),
            due: Semaphore::new(0),
        }
    }

    /// Starts the thread that releases slots of an open loop in time; it ends with the last slot. Timers of the runtime have a
    /// resolution of a millisecond, too coarse for latencies of a tenth of that.
    pub fn start_thread(self: &Arc<Self>) {
        let pacer = Arc::clone(self);
        std::thread::spawn(move || {
            while let Some(next) = pacer.release_due(Instant::now()) {
                std::thread::sleep(next.saturating_duration_since(Instant::now()).max(NAP_MIN));
            }
        });
    }

    /// Releases every slot due at `now`; when the next one is due, or `None` after the last. For a closed loop there is nothing to
    /// release. One caller at a time.
    pub fn release_due(&self, now: Instant) -> Option<Instant> {
        let Rate::PerSecond(rate) = self.rate else { return None };
        let last = self.slots.min(self.stopped_at.load(Ordering::SeqCst));
        let elapsed = now.saturating_duration_since(self.start).as_nanos();
        let due = elapsed.saturating_mul(u128::from(rate)) / 1_000_000_000 + 1;
        let due = if now < self.start { 0 } else { u64::try_from(due).unwrap_or(u64::MAX).min(last) };
        let before = self.released.load(Ordering::SeqCst);
        if due > before {
            self.released.store(due, Ordering::SeqCst);
            self.due.add_permits(usize::try_from(due - before).unwrap_or(0));
        }
        if due >= last {
            self.due.add_permits(PERMITS_AT_END);
            return None;
        }
        Some(self.intended(due.max(before), rate))
    }

    /// The next slot once it is due; `None` when the load is over.
    pub async fn next(&self) -> Option<Slot> {
        match self.rate {
            Rate::Max => self.claim_now(),
            Rate::PerSecond(rate) => {
                self.due.acquire().await.ok()?.forget();
                self.claim(rate)
            }
        }
    }

    /// The next slots, at least one and at most `count_max`: all that are due already once the first is.
    pub async fn next_many(&self, count_max: usize) -> Vec<Slot> {
        let mut slots = Vec::new();
        let Some(first) = self.next().await else { return slots };
        slots.push(first);
        while slots.len() < count_max {
            let more = match self.rate {
                Rate::Max => self.claim_now(),
                Rate::PerSecond(rate) => match self.due.try_acquire() {
                    Ok(permit) => {
                        permit.forget();
                        self.claim(rate)
                    }
                    Err(_) => None,
                },
            };
            match more {
                Some(slot) => slots.push(slot),
                None => break,
            }
        }
        slots
    }

    /// Ends the load now: no further slot is handed out.
    pub fn stop(&self) {
        self.stopped_at.store(0, Ordering::SeqCst);
        self.due.add_permits(PERMITS_AT_END);
    }

    /// Slots that were due and that nobody took before the load ended: requests that should have been sent and were not.
    pub fn unsent(&self) -> u64 {
        self.released.load(Ordering::SeqCst).saturating_sub(self.next.load(Ordering::SeqCst))
    }

    /// When the load began, or begins.
    pub fn start(&self) -> Instant {
        self.start
    }

    fn claim(&self, rate: u64) -> Option<Slot> {
        let end = self.slots.min(self.stopped_at.load(Ordering::SeqCst));
        let claimed =
            self.next.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |next| (next < end).then_some(next + 1));
        claimed.ok().map(|index| Slot { index, intended: self.intended(index, rate) })
    }

    fn claim_now(&self) -> Option<Slot> {
        let now = Instant::now();
        if now >= self.end {
            return None;
        }
        let end = self.slots.min(self.stopped_at.load(Ordering::SeqCst));
        let claimed =
            self.next.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |next| (next < end).then_some(next + 1));
        claimed.ok().map(|index| Slot { index, intended: now })
    }

    fn intended(&self, index: u64, rate: u64) -> Instant {
        let nanos = u128::from(index) * 1_000_000_000 / u128::from(rate.max(1));
        self.start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_checked() {
        assert_eq!("max".parse(), Ok(Rate::Max));
        assert_eq!("250".parse(), Ok(Rate::PerSecond(250)));
        assert!("0".parse::<Rate>().is_err());
        assert!("-1".parse::<Rate>().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn slots_fall_due_evenly_and_end() {
        let start = Instant::now();
        let pacer = Pacer::new(Rate::PerSecond(1_000), start, Duration::from_millis(3), 100);
        assert_eq!(pacer.release_due(start), Some(start + Duration::from_millis(1)));
        assert_eq!(pacer.next().await, Some(Slot { index: 0, intended: start }));
        assert_eq!(pacer.release_due(start + Duration::from_millis(9)), None);
        let rest = pacer.next_many(10).await;
        assert_eq!(rest.iter().map(|slot| slot.index).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(rest[1].intended, start + Duration::from_millis(2));
        assert_eq!(pacer.next().await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stopped_load_hands_out_nothing_and_tells_what_was_not_sent() {
        let start = Instant::now();
        let pacer = Pacer::new(Rate::PerSecond(1_000), start, Duration::from_secs(1), u64::MAX);
        pacer.release_due(start + Duration::from_millis(4));
        assert!(pacer.next().await.is_some());
        pacer.stop();
        assert_eq!(pacer.next().await, None);
        assert_eq!(pacer.unsent(), 4);
        assert_eq!(pacer.release_due(start + Duration::from_secs(1)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_loop_ends_by_time_and_by_count() {
        let start = Instant::now();
        let pacer = Pacer::new(Rate::Max, start, Duration::from_secs(1), 2);
        assert!(pacer.next().await.is_some() && pacer.next().await.is_some());
        assert_eq!(pacer.next().await, None);
        let pacer = Pacer::new(Rate::Max, start, Duration::from_secs(1), u64::MAX);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(pacer.next().await, None);
    }
}

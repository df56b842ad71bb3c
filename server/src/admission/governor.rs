//! The limit that follows the queue. The signal is CoDel's (Nichols and Jacobson 2012): not how long calls wait, which any burst makes
//! long for a moment, but whether a wait longer than the target lasts a whole interval. Then there is a queue that stands. CoDel looks at
//! the shortest wait of the interval. An event loop is not first in, first out (the newest task often runs first), so that the shortest wait
//! is short however long the queue; what is looked at here is whether three quarters of the calls waited longer.
//!
//! The answer is AIMD (Chiu and Jain 1989): after such an interval the limit becomes 7/10 of what was in work, after any other it grows by
//! a few. Where it rests, the queue is about the target.
//!
//! The wait of a call is the time from when its headers were read to when a thread turned to it. On an event loop that is the queue: the
//! work before it is that of all calls which became ready earlier. What waits in a socket behind it waits for the same threads.
//!
//! There is no thread and no timer: the first call after an interval closes it.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The limit is never less: enough calls in work that one group commit serves many.
const LIMIT_MIN: u32 = 64;

/// Growth after an interval in which the limit was met and no queue stood.
const GROWTH: u32 = 8;

/// Intervals without a call after which the past says nothing of the present.
const FORGOTTEN_INTERVALS: u64 = 10;

/// The limit and what it is derived from.
#[derive(Debug)]
pub(super) struct Governor {
    ceiling: AtomicU32,
    target_nanos: AtomicU64,
    interval_nanos: AtomicU64,
    started: Instant,
    limit: AtomicU32,
    /// Nanoseconds from `started` to the end of the interval that runs.
    ends: AtomicU64,
    /// Calls of the interval that runs, and those of them that waited longer than the target.
    calls: AtomicU32,
    late: AtomicU32,
    /// Whether a call was refused in it.
    refused: AtomicBool,
}

impl Governor {
    pub(super) fn new(ceiling: u32, target: Duration, interval: Duration, now: Instant) -> Governor {
        Governor {
            ceiling: AtomicU32::new(ceiling),
            target_nanos: AtomicU64::new(nanos(target)),
            interval_nanos: AtomicU64::new(nanos(interval)),
            started: now,
            limit: AtomicU32::new(ceiling),
            ends: AtomicU64::new(nanos(interval)),
            calls: AtomicU32::new(0),
            late: AtomicU32::new(0),
            refused: AtomicBool::new(false),
        }
    }

    /// Another ceiling, target and interval. The limit begins anew at the ceiling.
    pub(super) fn set(&self, ceiling: u32, target: Duration, interval: Duration) {
        self.ceiling.store(ceiling, Ordering::Relaxed);
        self.target_nanos.store(nanos(target), Ordering::Relaxed);
        self.interval_nanos.store(nanos(interval), Ordering::Relaxed);
        self.limit.store(ceiling, Ordering::Relaxed);
    }

    fn ceiling(&self) -> u32 {
        self.ceiling.load(Ordering::Relaxed)
    }

    /// Calls that may be in work.
    pub(super) fn limit(&self) -> u32 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Whether the queue has lowered it.
    pub(super) fn is_pressed(&self) -> bool {
        self.limit() < self.ceiling()
    }

    /// A call was refused: the limit is met.
    pub(super) fn refused(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }

    /// A call that arrived at `arrived` is looked at `now`, with `in_work` others in work.
    pub(super) fn waited(&self, arrived: Instant, now: Instant, in_work: u32) {
        let target = Duration::from_nanos(self.target_nanos.load(Ordering::Relaxed));
        if target.is_zero() {
            return;
        }
        let interval = self.interval_nanos.load(Ordering::Relaxed);
        let at = nanos(now.saturating_duration_since(self.started));
        let ends = self.ends.load(Ordering::Relaxed);
        if at >= ends {
            let next = at.saturating_add(interval);
            // One of the calls that find the end closes the interval.
            if self.ends.compare_exchange(ends, next, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                self.close((at - ends) / interval.max(1), in_work);
            }
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        if now.saturating_duration_since(arrived) > target {
            self.late.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Ends an interval after which `silent` others passed without a call.
    fn close(&self, silent: u64, in_work: u32) {
        let calls = u64::from(self.calls.swap(0, Ordering::Relaxed));
        let late = u64::from(self.late.swap(0, Ordering::Relaxed));
        let met = self.refused.swap(false, Ordering::Relaxed);
        let (limit, ceiling) = (self.limit(), self.ceiling());
        let stands = calls > 0 && late * 4 >= calls * 3 && silent < FORGOTTEN_INTERVALS;
        let next = if stands {
            let from = limit.min(in_work);
            from - from * 3 / 10
        } else if silent >= FORGOTTEN_INTERVALS {
            ceiling
        } else if met && in_work >= limit / 2 {
            limit.saturating_add(GROWTH)
        } else {
            // It was not what held calls back, so it says nothing: back towards the ceiling quickly.
            limit.saturating_mul(2)
        };
        self.limit.store(next.clamp(LIMIT_MIN.min(ceiling), ceiling), Ordering::Relaxed);
    }
}

/// Saturating: 584 years.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Duration = Duration::from_millis(5);
    const INTERVAL: Duration = Duration::from_millis(100);
    const STEP: Duration = Duration::from_millis(1);

    struct Played {
        governor: Governor,
        now: Instant,
    }

    impl Played {
        fn new(ceiling: u32) -> Played {
            let now = Instant::now();
            Played { governor: Governor::new(ceiling, TARGET, INTERVAL, now), now }
        }

        /// Calls for so many intervals, each with the wait `wait` gives for its number.
        fn play(&mut self, intervals: u32, in_work: u32, wait: impl Fn(u32) -> Duration) -> u32 {
            for call in 0..intervals * 100 {
                self.now += STEP;
                self.governor.waited(self.now - wait(call), self.now, in_work);
            }
            self.governor.limit()
        }
    }

    #[test]
    fn a_burst_is_no_queue_but_a_standing_wait_is() {
        let mut played = Played::new(3_584);
        let burst = |call: u32| if call.is_multiple_of(3) { Duration::ZERO } else { Duration::from_millis(80) };
        assert_eq!(played.play(20, 1_000, burst), 3_584);
        let limit = played.play(2, 1_000, |_| Duration::from_millis(6));
        assert!(limit <= 700, "{limit}");
        assert!(played.governor.is_pressed());
    }

    #[test]
    fn it_falls_by_parts_to_the_least_and_rises_by_steps_while_it_is_met() {
        let mut played = Played::new(3_584);
        assert_eq!(played.play(40, 3_000, |_| Duration::from_millis(50)), LIMIT_MIN);
        for _ in 0..10 {
            played.governor.refused();
            let in_work = played.governor.limit();
            played.play(1, in_work, |_| Duration::ZERO);
        }
        let limit = played.governor.limit();
        assert!((LIMIT_MIN + 8 * GROWTH..=LIMIT_MIN * 2 + 10 * GROWTH).contains(&limit), "{limit}");
    }

    #[test]
    fn when_nobody_is_refused_it_is_back_within_a_second() {
        let mut played = Played::new(3_584);
        played.play(40, 3_000, |_| Duration::from_millis(50));
        assert_eq!(played.play(10, 5, |_| Duration::ZERO), 3_584);
    }

    #[test]
    fn after_a_silence_the_past_is_forgotten() {
        let mut played = Played::new(3_584);
        played.play(40, 3_000, |_| Duration::from_millis(50));
        played.now += INTERVAL * 20;
        assert_eq!(played.play(1, 5, |_| Duration::from_millis(50)), 3_584);
    }

    #[test]
    fn a_target_of_zero_leaves_the_limit_alone() {
        let now = Instant::now();
        let governor = Governor::new(100, Duration::ZERO, INTERVAL, now);
        (1..1_000).for_each(|at| governor.waited(now, now + STEP * at, 90));
        assert_eq!(governor.limit(), 100);
    }
}

//! When a call is sent again, how long is waited before, and how much of that there may be in all.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::id::random;

/// How a call is sent again when it was not decided, or nobody knows whether it was. Always under the same request id, always within the
/// call's deadline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Tries of a call in all, at least 1. Default 5.
    pub tries_max: u32,
    /// Upper bound of the wait before the second try; doubled for each further one. Default 20 ms: two group commits. The wait itself is
    /// drawn between nothing and that, so that callers who failed together do not come back together.
    pub backoff: Duration,
    /// The bound does not grow beyond this. Default 500 ms.
    pub backoff_max: Duration,
    /// Time for one try; the rest of the deadline is for others. Default: none, a try may take all that is left. With several servers
    /// behind the client, a third of the deadline lets it leave one that hangs.
    pub try_time: Option<Duration>,
    /// Retries allowed for each hundred calls, 0 to 1,000. Default 20: when a server fails all calls, its load grows by a fifth and not
    /// by `tries_max`.
    pub per_hundred_calls: u32,
    /// Retries that may be saved up by calls that needed none. Default 100.
    pub saved_max: u32,
}

impl Default for Retry {
    fn default() -> Retry {
        Retry {
            tries_max: 5,
            backoff: Duration::from_millis(20),
            backoff_max: Duration::from_millis(500),
            try_time: None,
            per_hundred_calls: 20,
            saved_max: 100,
        }
    }
}

impl Retry {
    /// Every call is sent once.
    #[must_use]
    pub fn never() -> Retry {
        Retry { tries_max: 1, ..Retry::default() }
    }

    /// The wait before the try that follows `tries` tries. What the server told goes first; a half of it more at most is drawn on top.
    pub(crate) fn wait(&self, tries: u32, told: Option<Duration>) -> Duration {
        match told {
            Some(told) => told.saturating_add(below(told / 2)),
            None => below(self.bound(tries)),
        }
    }

    fn bound(&self, tries: u32) -> Duration {
        let doubled = self.backoff.saturating_mul(1 << tries.saturating_sub(1).min(20));
        doubled.min(self.backoff_max)
    }
}

/// Drawn evenly between nothing and `bound`.
fn below(bound: Duration) -> Duration {
    let micros = u64::try_from(bound.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(random() % micros.saturating_add(1))
}

/// What may still be spent on retries, shared by all clones of a client. In hundredths of a retry.
#[derive(Debug)]
pub(crate) struct Budget {
    saved: AtomicI64,
    saved_max: i64,
    earned_a_call: i64,
}

impl Budget {
    pub(crate) fn new(retry: &Retry) -> Budget {
        let saved_max = i64::from(retry.saved_max) * 100;
        Budget { saved: AtomicI64::new(saved_max), saved_max, earned_a_call: retry.per_hundred_calls.into() }
    }

    /// A call begins.
    pub(crate) fn earn(&self) {
        // Relaxed: the figure orders nothing.
        let earned = |saved: i64| (saved < self.saved_max).then(|| (saved + self.earned_a_call).min(self.saved_max));
        let _full = self.saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, earned);
    }

    /// Takes a retry, if there is one.
    pub(crate) fn spend(&self) -> bool {
        let spent = |saved: i64| (saved >= 100).then_some(saved - 100);
        self.saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spent).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_drawn_below_a_growing_bound() {
        let retry = Retry::default();
        assert_eq!([1, 2, 3, 6, 60].map(|tries| retry.bound(tries).as_millis()), [20, 40, 80, 500, 500]);
        let waits: Vec<Duration> = (0..200).map(|_| retry.wait(3, None)).collect();
        let bound = Duration::from_millis(80);
        assert!(waits.iter().all(|wait| *wait <= bound));
        assert!(waits.iter().any(|wait| *wait < bound / 4) && waits.iter().any(|wait| *wait > bound / 2), "{waits:?}");
    }

    #[test]
    fn what_the_server_told_is_waited_at_least() {
        let told = Duration::from_millis(250);
        let waits: Vec<Duration> = (0..200).map(|_| Retry::default().wait(1, Some(told))).collect();
        assert!(waits.iter().all(|wait| *wait >= told && *wait <= told * 3 / 2), "{waits:?}");
    }

    #[test]
    fn a_budget_ends_and_is_earned_back_by_calls() {
        let budget = Budget::new(&Retry { saved_max: 2, per_hundred_calls: 50, ..Retry::default() });
        assert_eq!([(); 3].map(|()| budget.spend()), [true, true, false]);
        budget.earn();
        assert!(!budget.spend(), "half a retry is none");
        budget.earn();
        assert!(budget.spend());
        (0..100).for_each(|_| budget.earn());
        assert_eq!([(); 3].map(|()| budget.spend()), [true, true, false], "no more than two are saved");
    }
}

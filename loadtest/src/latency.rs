//! Latencies as a histogram of microseconds, and the five figures of it that are reported.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// The longest latency told apart from longer ones: an hour.
const MICROS_MAX: u64 = 3_600_000_000;

/// A histogram of latencies, to three digits.
#[derive(Clone, Debug)]
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        // The bounds are constants that the library accepts.
        Latencies(
            Histogram::new_with_bounds(1, MICROS_MAX, 3).expect("1 µs to an hour at three digits is a valid range"),
        )
    }
}

impl Latencies {
    /// Counts one.
    pub fn record(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(MICROS_MAX);
        self.0.saturating_record(micros.max(1));
    }

    /// The figures that are reported.
    pub fn summary(&self) -> LatencySummary {
        LatencySummary {
            count: self.0.len(),
            p50_micros: self.0.value_at_quantile(0.5),
            p99_micros: self.0.value_at_quantile(0.99),
            p999_micros: self.0.value_at_quantile(0.999),
            max_micros: if self.0.is_empty() { 0 } else { self.0.max() },
        }
    }
}

/// A histogram that many tasks record into. One for all of them: a histogram each would cost more memory than the lock costs time.
#[derive(Debug, Default)]
pub struct Recorder(Mutex<Latencies>);

impl Recorder {
    /// Counts one.
    pub fn record(&self, latency: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).record(latency);
    }

    /// The figures so far.
    pub fn summary(&self) -> LatencySummary {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).summary()
    }
}

/// Five figures of a histogram. All latencies in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LatencySummary {
    /// How many were counted.
    pub count: u64,
    /// Half took at most this long.
    pub p50_micros: u64,
    /// 99 % took at most this long.
    pub p99_micros: u64,
    /// 99.9 % took at most this long.
    pub p999_micros: u64,
    /// The longest.
    pub max_micros: u64,
}

impl LatencySummary {
    /// The columns of a table row: count, p50, p99, p99.9, max.
    pub fn cells(&self) -> [String; 5] {
        [
            crate::table::grouped(self.count),
            millis(self.p50_micros),
            millis(self.p99_micros),
            millis(self.p999_micros),
            millis(self.max_micros),
        ]
    }
}

/// Microseconds as milliseconds for people: `0.183 ms`, `12.4 ms`, `1,204 ms`.
pub fn millis(micros: u64) -> String {
    match micros {
        0..=9_999 => format!("{}.{:03} ms", micros / 1_000, micros % 1_000),
        10_000..=99_999 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        _ => format!("{} ms", crate::table::grouped(micros / 1_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_those_of_all_that_was_recorded() {
        let recorder = Recorder::default();
        (0..990).for_each(|_| recorder.record(Duration::from_micros(100)));
        (0..10).for_each(|_| recorder.record(Duration::from_millis(50)));
        let summary = recorder.summary();
        assert_eq!(summary.count, 1_000);
        assert_eq!(summary.p50_micros, 100);
        assert!(summary.p999_micros >= 49_900 && summary.max_micros >= 49_900);
    }

    #[test]
    fn an_empty_histogram_is_all_zero() {
        assert_eq!(Latencies::default().summary(), LatencySummary::default());
    }

    #[test]
    fn millis_are_short() {
        assert_eq!(millis(183), "0.183 ms");
        assert_eq!(millis(12_480), "12.4 ms");
        assert_eq!(millis(1_204_000), "1,204 ms");
    }
}

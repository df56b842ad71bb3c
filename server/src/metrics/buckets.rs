//! Histograms with fixed buckets: counted by atomics here, or handed over as counts by engine and journal.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What the numbers of a histogram are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Published as they are.
    #[default]
    Count,
    /// Published as ratios.
    Millionths,
    /// Published as seconds.
    Nanoseconds,
    /// Published as seconds.
    Microseconds,
}

/// Counts in fixed buckets, as they were at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buckets {
    /// Inclusive upper bound of each bucket but the last, which has none.
    pub bounds: &'static [u64],
    /// Observations per bucket, not summed up: one more than there are bounds. Empty for "not known".
    pub counts: Vec<u64>,
    /// Sum of all observations.
    pub sum: u64,
    /// What they are.
    pub unit: Unit,
}

impl Buckets {
    /// The journal's counts.
    pub fn of(histogram: quartermaster_journal::Histogram, unit: Unit) -> Buckets {
        Buckets { bounds: histogram.bounds, counts: histogram.counts, sum: histogram.sum, unit }
    }
}

/// Counts durations as they happen. Two relaxed additions each: the numbers order nothing.
#[derive(Debug)]
pub struct Histogram {
    counts: [AtomicU64; BOUNDS.len() + 1],
    sum_nanos: AtomicU64,
}

/// 10 µs to 10 s in steps of 2 to 2.5, in nanoseconds: fine where an fsync and its queue lie, coarse beyond.
pub(super) const BOUNDS: [u64; 19] = [
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

impl Histogram {
    /// Nothing observed.
    pub fn new() -> Histogram {
        Histogram { counts: Default::default(), sum_nanos: AtomicU64::new(0) }
    }

    /// Counts one duration.
    pub fn observe(&self, duration: Duration) {
        // Saturating: 584 years.
        self.observe_nanos(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Counts one duration of so many nanoseconds.
    pub fn observe_nanos(&self, nanos: u64) {
        let bucket = BOUNDS.partition_point(|bound| *bound < nanos);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Counts `count` durations that took `total` together, each as their average.
    pub fn observe_many(&self, total: Duration, count: u32) {
        if count == 0 {
            return;
        }
        let nanos = u64::try_from(total.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < nanos / u64::from(count));
        self.counts[bucket].fetch_add(count.into(), Ordering::Relaxed);
        self.sum_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// The counts now.
    pub fn read(&self) -> Buckets {
        Buckets {
            bounds: &BOUNDS,
            counts: self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect(),
            sum: self.sum_nanos.load(Ordering::Relaxed),
            unit: Unit::Nanoseconds,
        }
    }
}

/// Counts figures that are no durations as they happen.
#[derive(Debug)]
pub struct Counted {
    bounds: &'static [u64],
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
    unit: Unit,
}

impl Counted {
    /// Nothing observed. The bounds ascend.
    pub fn new(bounds: &'static [u64], unit: Unit) -> Counted {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Counted { bounds, counts, sum: AtomicU64::new(0), unit }
    }

    /// Counts one figure.
    pub fn observe(&self, figure: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < figure);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(figure, Ordering::Relaxed);
    }

    /// The counts now.
    pub fn read(&self) -> Buckets {
        Buckets {
            bounds: self.bounds,
            counts: self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect(),
            sum: self.sum.load(Ordering::Relaxed),
            unit: self.unit,
        }
    }
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let histogram = Histogram::new();
        for nanos in [1, 10_000, 10_001, 10_000_000_000, 10_000_000_001] {
            histogram.observe(Duration::from_nanos(nanos));
        }
        let buckets = histogram.read();
        assert_eq!(buckets.counts[..2], [2, 1]);
        assert_eq!(buckets.counts[18..], [1, 1]);
        assert_eq!(buckets.sum, 20_000_020_003);
    }

    #[test]
    fn many_are_counted_as_their_average() {
        let histogram = Histogram::new();
        histogram.observe_many(Duration::from_nanos(7), 0);
        histogram.observe_many(Duration::from_micros(90), 3);
        let buckets = histogram.read();
        assert_eq!((buckets.counts[..3].to_vec(), buckets.sum), (vec![0, 0, 3], 90_000));
    }
}

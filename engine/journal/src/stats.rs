//! Counters of a log, cheap enough to be always on.

use std::sync::atomic::{AtomicU64, Ordering};

/// Upper bounds of the buckets of [`LogStats::sync_time`], in microseconds.
const SYNC_MICROS: [u64; 15] =
    [50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 102_400, 409_600, 1_638_400, 6_553_600];

/// Upper bounds of the buckets of [`LogStats::batch_records`], in records.
const BATCH_RECORDS: [u64; 15] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 4_096, 16_384, 65_536, 262_144];

/// Bounds of each histogram of a log.
pub const BUCKET_BOUNDS: usize = 15;

const BUCKETS: usize = BUCKET_BOUNDS + 1;

/// A snapshot of the counters. Each rises by itself: two of them need not be of the same instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogStats {
    /// Records appended by this process.
    pub appends: u64,
    /// Batches written by this process.
    pub batches: u64,
    /// Their bytes, headers and padding included.
    pub bytes: u64,
    /// Calls of fdatasync on the log by the committer.
    pub syncs: u64,
    /// Time spent in them, in nanoseconds.
    pub sync_nanos: u64,
    /// Time of each of them with the write before it, in microseconds.
    pub sync_time: Histogram,
    /// Records of each batch.
    pub batch_records: Histogram,
    /// Segments in the directory, the current one included.
    pub segments: u64,
    /// Finished spares: 0 for long means that there is no space for the next segment.
    pub spare_segments: u64,
    /// Attempts to make a spare that failed for want of space.
    pub spare_failures: u64,
    /// Bytes appended and not yet durable.
    pub backlog_bytes: u64,
    /// Bytes that can still be written without taking space on the disk: the rest of the current segment as of the
    /// last batch, with the spares.
    pub headroom_bytes: u64,
}

/// Counts in fixed buckets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// Inclusive upper bound of each bucket but the last, which has none.
    pub bounds: &'static [u64],
    /// Observations per bucket, one more than there are bounds.
    pub counts: Vec<u64>,
    /// Sum of all observations.
    pub sum: u64,
}

/// The counters themselves. Relaxed: they order nothing.
pub(crate) struct Counters {
    pub(crate) bytes: Counter,
    pub(crate) sync_nanos: Counter,
    pub(crate) spare_failures: Counter,
    pub(crate) room_bytes: Counter,
    pub(crate) sync_time: Buckets,
    pub(crate) batch_records: Buckets,
}

#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

pub(crate) struct Buckets {
    bounds: &'static [u64; BUCKETS - 1],
    counts: [Counter; BUCKETS],
    sum: Counter,
}

impl Counters {
    pub(crate) fn new() -> Counters {
        Counters {
            bytes: Counter::default(),
            sync_nanos: Counter::default(),
            spare_failures: Counter::default(),
            room_bytes: Counter::default(),
            sync_time: Buckets::new(&SYNC_MICROS),
            batch_records: Buckets::new(&BATCH_RECORDS),
        }
    }
}

impl Counter {
    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Buckets {
    fn new(bounds: &'static [u64; BUCKETS - 1]) -> Buckets {
        Buckets { bounds, counts: Default::default(), sum: Counter::default() }
    }

    pub(crate) fn observe(&self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket].add(1);
        self.sum.add(value);
    }

    pub(crate) fn snapshot(&self) -> Histogram {
        Histogram { bounds: self.bounds, counts: self.counts.iter().map(Counter::get).collect(), sum: self.sum.get() }
    }
}

impl Histogram {
    /// Number of observations.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let buckets = Buckets::new(&BATCH_RECORDS);
        for value in [1, 2, 3, 4, u64::from(u32::MAX)] {
            buckets.observe(value);
        }
        let histogram = buckets.snapshot();
        assert_eq!(histogram.counts[..3], [1, 1, 2]);
        assert_eq!(histogram.counts[15], 1);
        assert_eq!(histogram.count(), 5);
    }
}

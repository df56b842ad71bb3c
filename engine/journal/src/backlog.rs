//! Records on their way to the disk, laid out as the batches they will be.
//!
//! Appending copies a record once, to where it will be written from: room for each header is left in front, and the
//! padding is put in when a batch is closed. Two such buffers take turns, so nothing is allocated in steady state.

use std::ops::Range;

use crate::frame::{self, BATCH_HEADER_BYTES};
use crate::layout::sector_aligned;
use crate::lsn::Lsn;

/// Batches in the order they will be written, the last one still open.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    image: Vec<u8>,
    batches: Vec<Waiting>,
    written: usize,
}

/// One batch of a [`Backlog`].
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) first_lsn: Lsn,
    pub(crate) last_lsn: Lsn,
    pub(crate) record_count: u32,
    start: usize,
    /// End of its body; padding not counted.
    end: usize,
}

impl Waiting {
    pub(crate) fn body_bytes(&self) -> u32 {
        u32::try_from(self.end - self.start - BATCH_HEADER_BYTES).expect("Invariant: a batch is at most a segment long")
    }

    /// Bytes of its records with their prefixes, as they were counted into the backlog.
    pub(crate) fn counted_bytes(&self) -> usize {
        self.end - self.start - BATCH_HEADER_BYTES
    }

    fn padded(&self) -> Range<usize> {
        self.start..self.start + sector_aligned(self.end - self.start)
    }
}

impl Backlog {
    pub(crate) fn with_capacity(bytes: usize) -> Backlog {
        Backlog { image: Vec::with_capacity(bytes), batches: Vec::with_capacity(64), written: 0 }
    }

    /// Adds a record; begins a new batch when the open one would grow beyond `batch_bytes_max`.
    #[inline]
    pub(crate) fn push(&mut self, lsn: Lsn, record: &[u8], batch_bytes_max: usize) {
        let fits = self
            .batches
            .last()
            .is_some_and(|open| self.image.len() - open.start + frame::framed_bytes(record) <= batch_bytes_max);
        if !fits {
            self.begin_batch(lsn);
        }
        frame::push_record(&mut self.image, record);
        let end = self.image.len();
        let open = self.batches.last_mut().expect("Invariant: a record stands in a batch");
        open.last_lsn = lsn;
        open.record_count += 1;
        open.end = end;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.written == self.batches.len()
    }

    /// First record that waits to be taken.
    pub(crate) fn first_lsn(&self) -> Option<Lsn> {
        self.batches.get(self.written).map(|batch| batch.first_lsn)
    }

    /// Closes the open batch. To be called before the first [`next`](Backlog::next).
    pub(crate) fn close_batch(&mut self) {
        self.image.resize(sector_aligned(self.image.len()), 0);
    }

    /// The next batch to write and its padded image.
    pub(crate) fn next(&mut self) -> Option<(Waiting, &mut [u8])> {
        let batch = self.batches.get(self.written)?.clone();
        self.written += 1;
        let image = &mut self.image[batch.padded()];
        Some((batch, image))
    }

    /// Empties the buffer for its next turn; one that a burst has blown up is given back.
    pub(crate) fn reset(&mut self, keep_bytes: usize) {
        assert!(self.is_empty(), "Invariant: what was appended is written before it is let go");
        self.image.clear();
        self.batches.clear();
        self.written = 0;
        if self.image.capacity() > keep_bytes.saturating_mul(4) {
            self.image.shrink_to(keep_bytes);
        }
    }

    fn begin_batch(&mut self, first_lsn: Lsn) {
        self.close_batch();
        let start = self.image.len();
        self.image.resize(start + BATCH_HEADER_BYTES, 0);
        let end = self.image.len();
        self.batches.push(Waiting { first_lsn, last_lsn: first_lsn, record_count: 0, start, end });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_split_at_the_limit_and_begin_on_sectors() {
        let mut backlog = Backlog::default();
        for lsn in 1..=10 {
            backlog.push(Lsn::new(lsn), &[7; 300], 1024);
        }
        backlog.close_batch();
        let mut next = 1;
        while let Some((batch, image)) = backlog.next() {
            assert_eq!(batch.first_lsn, Lsn::new(next));
            assert!(image.len() <= 1024 && image.len().is_multiple_of(512));
            next = batch.last_lsn.get() + 1;
        }
        assert_eq!(next, 11);
        assert!(backlog.is_empty());
    }

    /// A header of 72 bytes, then each record with its 4 bytes of length.
    #[test]
    fn a_batch_is_filled_to_the_last_byte_and_counts_what_was_appended() {
        let mut backlog = Backlog::default();
        assert!(backlog.is_empty());
        let records = [72, 100, 0];
        for (lsn, bytes) in (1..).zip(records) {
            backlog.push(Lsn::new(lsn), &vec![1; bytes], 72 + 76 + 104);
        }
        assert!(!backlog.is_empty());
        backlog.close_batch();
        let (first, image) = backlog.next().expect("a batch");
        assert_eq!((first.first_lsn, first.last_lsn, first.record_count), (Lsn::new(1), Lsn::new(2), 2));
        assert_eq!((first.body_bytes(), first.counted_bytes(), image.len()), (180, 180, 512));
        let (second, _) = backlog.next().expect("what did not fit");
        assert_eq!((second.first_lsn, second.record_count, second.counted_bytes()), (Lsn::new(3), 1, 4));
        assert!(backlog.next().is_none());
    }

    #[test]
    fn only_a_buffer_far_too_large_is_given_back() {
        let mut backlog = Backlog::with_capacity(1_000);
        assert!(backlog.image.capacity() >= 1_000 && backlog.batches.capacity() >= 64);
        let fill = |backlog: &mut Backlog, bytes: usize| {
            backlog.push(Lsn::new(1), &vec![1; bytes], 1 << 20);
            backlog.close_batch();
            while backlog.next().is_some() {}
        };
        fill(&mut backlog, 1_500);
        let capacity = backlog.image.capacity();
        backlog.reset(1_000);
        assert_eq!(backlog.image.capacity(), capacity, "it will be of use again");
        assert!(backlog.is_empty() && backlog.image.is_empty() && backlog.next().is_none());
        fill(&mut backlog, 100_000);
        backlog.reset(1_000);
        assert!(backlog.image.capacity() < 4_000, "a burst is over");
        let mut exact = Backlog::with_capacity(4_000);
        exact.reset(1_000);
        assert_eq!(exact.image.capacity(), 4_000, "four times is not too much");
    }

    #[test]
    fn a_record_longer_than_a_batch_gets_one_of_its_own() {
        let mut backlog = Backlog::default();
        backlog.push(Lsn::new(1), &[1], 1024);
        backlog.push(Lsn::new(2), &[2; 5000], 1024);
        backlog.push(Lsn::new(3), &[3], 1024);
        backlog.close_batch();
        let counts: Vec<u32> = std::iter::from_fn(|| backlog.next().map(|(batch, _)| batch.record_count)).collect();
        assert_eq!(counts, [1, 1, 1]);
    }
}

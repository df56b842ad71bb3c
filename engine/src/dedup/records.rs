//! Bytes that come in at one end and go at the other: the records of a slot, with no allocation of their own.
//!
//! They stand one after another in pieces of fixed place, so that nothing is copied as they grow in number; a piece goes when its last
//! record has gone.

use std::{collections::VecDeque, mem};

use crate::{id::usize_from, near};

/// Room of a piece, unless one record needs more.
const PIECE_BYTES_MAX: usize = 32 * 1024;
const PIECE_BYTES_MIN: usize = 1024;

/// Bytes of the length that stands before each record.
const PREFIX: usize = size_of::<u32>();

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    /// Number of its piece. Numbers go round: there are never as many pieces.
    piece: u32,
    offset: u32,
}

/// Records, oldest first.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// Pieces that are written to no more.
    full: VecDeque<Vec<u8>>,
    /// The piece behind them, which is written to: here, so that its end is found without a look elsewhere.
    last: Vec<u8>,
    /// Number of the piece at the front.
    first: u32,
}

impl Records {
    /// Adds a record.
    pub(super) fn push(&mut self, record: &[u8]) -> At {
        let length = u32::try_from(record.len()).expect("Invariant: a record of the journal is far below 4 GiB");
        let needed = PREFIX + record.len();
        if self.last.capacity() - self.last.len() < needed {
            self.begin_piece(needed);
        }
        let full = u32::try_from(self.full.len()).expect("Invariant: a slot has fewer than 2^32 pieces");
        let offset = u32::try_from(self.last.len()).expect("Invariant: a piece is far below 4 GiB");
        self.last.extend_from_slice(&length.to_le_bytes());
        self.last.extend_from_slice(record);
        At { piece: self.first.wrapping_add(full), offset }
    }

    /// Begins a piece, as large as all before it up to a bound: a slot of few records takes little.
    #[cold]
    fn begin_piece(&mut self, needed: usize) {
        let before: usize = self.full.iter().chain([&self.last]).map(Vec::len).take(8).sum();
        let room = before.clamp(PIECE_BYTES_MIN, PIECE_BYTES_MAX).max(needed);
        let full = mem::replace(&mut self.last, Vec::with_capacity(room));
        if !full.is_empty() {
            self.full.push_back(full);
        }
    }

    /// Asks for the memory that the next record will be put into.
    #[inline]
    pub(super) fn ask_for_next(&self) {
        near::ask_for_next(&self.last);
    }

    /// The record that stands there.
    ///
    /// # Panics
    /// If it has gone.
    pub(super) fn get(&self, at: At) -> &[u8] {
        let number = usize_from(at.piece.wrapping_sub(self.first));
        let piece = if number == self.full.len() { &self.last } else { &self.full[number] };
        let bytes = &piece[usize_from(at.offset)..];
        let (length, rest) = bytes.split_first_chunk().expect("Invariant: a record stands behind its length");
        &rest[..usize_from(u32::from_le_bytes(*length))]
    }

    /// Lets everything go that stands before a record, or all.
    pub(super) fn forget_before(&mut self, next: Option<At>) {
        while next.is_none_or(|next| next.piece != self.first) && self.full.pop_front().is_some() {
            self.first = self.first.wrapping_add(1);
        }
        if next.is_none() {
            self.last = Vec::new();
        }
    }

    /// Pieces that are kept.
    #[cfg(test)]
    pub(super) fn pieces(&self) -> usize {
        self.full.len() + usize::from(!self.last.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever comes and goes: each record is as it was put, and no piece is kept for those that went.
        #[test]
        fn records_stay_as_they_were_put(steps in prop::collection::vec((0_usize..3000, 0_u8..255, any::<bool>()), 1..200)) {
            let (mut records, mut model) = (Records::default(), VecDeque::new());
            for (length, byte, forget) in steps {
                let record = vec![byte; length];
                model.push_back((records.push(&record), record));
                if forget {
                    model.pop_front();
                    records.forget_before(model.front().map(|(at, _)| *at));
                }
                for (at, record) in &model {
                    prop_assert_eq!(records.get(*at), &**record);
                }
                let kept: std::collections::BTreeSet<u32> = model.iter().map(|(at, _)| at.piece).collect();
                prop_assert_eq!(records.pieces(), kept.len());
            }
        }
    }

    #[test]
    fn pieces_grow_to_their_bound_and_hold_what_is_larger() {
        let mut records = Records::default();
        (0..2_000).for_each(|_| _ = records.push(&[7; 100]));
        let rooms: Vec<usize> = records.full.iter().chain([&records.last]).map(Vec::capacity).collect();
        assert_eq!(rooms[0], PIECE_BYTES_MIN);
        assert!(rooms.iter().all(|room| *room <= PIECE_BYTES_MAX) && rooms.contains(&PIECE_BYTES_MAX), "{rooms:?}");
        let large = records.push(&[9; 2 * PIECE_BYTES_MAX]);
        assert_eq!(records.get(large).len(), 2 * PIECE_BYTES_MAX);
    }
}

//! A queue in pieces of one size: nothing in it ever moves, so that it grows without being copied, and what has gone at its front gives its room
//! back.

use std::{collections::VecDeque, mem};

use crate::near;

/// Entries of a piece.
const PIECE: usize = 256;

/// First in, first out.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    /// Full pieces.
    full: VecDeque<Vec<T>>,
    /// The piece behind them, which is written to: here, so that its end is found without a look elsewhere. Empty only when there is no entry.
    last: Vec<T>,
    /// Entries of the first piece that have gone, fewer than it has.
    gone: usize,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { full: VecDeque::new(), last: Vec::new(), gone: 0 }
    }
}

impl<T: Copy> Queue<T> {
    pub(crate) fn len(&self) -> usize {
        self.full.len() * PIECE + self.last.len() - self.gone
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.last.is_empty()
    }

    /// Adds an entry at the end. The first piece grows as it is needed: many queues have little.
    #[inline]
    pub(crate) fn push(&mut self, entry: T) {
        if self.last.len() == PIECE {
            self.full.push_back(mem::replace(&mut self.last, Vec::with_capacity(PIECE)));
        }
        self.last.push(entry);
    }

    /// Takes the entry at the front.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let first = self.full.front().unwrap_or(&self.last);
        let entry = *first.get(self.gone)?;
        self.gone += 1;
        if self.gone == first.len() {
            self.gone = 0;
            if self.full.pop_front().is_none() {
                self.last.clear();
            }
        }
        Some(entry)
    }

    pub(crate) fn first(&self) -> Option<&T> {
        self.get(0)
    }

    #[inline]
    pub(crate) fn last(&self) -> Option<&T> {
        self.last.last()
    }

    /// An entry by its place, from the front.
    #[inline]
    pub(crate) fn get(&self, place: usize) -> Option<&T> {
        let place = place + self.gone;
        self.piece(place / PIECE)?.get(place % PIECE)
    }

    /// All from a place on.
    pub(crate) fn iter_from(&self, place: usize) -> impl Iterator<Item = &T> {
        let place = place + self.gone;
        self.full.iter().chain([&self.last]).skip(place / PIECE).flatten().skip(place % PIECE)
    }

    #[inline]
    fn piece(&self, number: usize) -> Option<&Vec<T>> {
        if number == self.full.len() { Some(&self.last) } else { self.full.get(number) }
    }

    /// How many at the front are as `is_before` says, of which none stands behind one that is not.
    pub(crate) fn partition_point(&self, is_before: impl Fn(&T) -> bool) -> usize {
        let pieces = self.full.partition_point(|piece| piece.last().is_some_and(&is_before));
        let within = self.piece(pieces).map_or(0, |piece| piece.partition_point(is_before));
        (pieces * PIECE + within).saturating_sub(self.gone).min(self.len())
    }

    /// Drops the entries that are not to stay.
    pub(crate) fn retain(&mut self, mut stays: impl FnMut(&T) -> bool) {
        let mut kept = Self::default();
        while let Some(entry) = self.pop() {
            if stays(&entry) {
                kept.push(entry);
            }
        }
        *self = kept;
    }

    /// Asks for the memory that the next entry will be put into.
    pub(crate) fn ask_for_next(&self) {
        near::ask_for_next(&self.last);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Push(usize),
        Pop(usize),
        Retain(u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0_usize..400).prop_map(Step::Push),
            3 => (0_usize..400).prop_map(Step::Pop),
            1 => (2_u32..9).prop_map(Step::Retain),
        ]
    }

    proptest! {
        #[test]
        fn it_is_the_queue_of_the_library(steps in prop::collection::vec(step(), 1..12), place in 0_usize..700) {
            let (mut queue, mut model, mut number) = (Queue::default(), VecDeque::new(), 0_u32);
            for step in steps {
                match step {
                    Step::Push(times) => for _ in 0..times {
                        number += 1;
                        queue.push(number);
                        model.push_back(number);
                    },
                    Step::Pop(times) => for _ in 0..times {
                        prop_assert_eq!(queue.pop(), model.pop_front());
                    },
                    Step::Retain(divisor) => {
                        queue.retain(|entry| entry % divisor != 0);
                        model.retain(|entry| entry % divisor != 0);
                    }
                }
                prop_assert_eq!((queue.len(), queue.is_empty()), (model.len(), model.is_empty()));
                prop_assert_eq!((queue.first(), queue.last()), (model.front(), model.back()));
                prop_assert!(queue.iter_from(0).eq(&model));
                prop_assert!(queue.iter_from(place).eq(model.iter().skip(place)));
                prop_assert_eq!(queue.get(place), model.get(place));
                let bound = number / 2;
                let point = model.partition_point(|entry| *entry < bound);
                prop_assert_eq!(queue.partition_point(|entry| *entry < bound), point);
            }
        }
    }

    #[test]
    fn what_has_gone_gives_its_room_back() {
        let mut queue = Queue::default();
        for number in 0..100_000_usize {
            queue.push(number);
            if number >= 1_000 {
                assert_eq!(queue.pop(), Some(number - 1_000));
            }
            assert!(queue.full.len() <= 1_000 / PIECE + 1);
        }
        assert!(queue.full.iter().chain([&queue.last]).all(|piece| piece.capacity() == PIECE));
    }
}

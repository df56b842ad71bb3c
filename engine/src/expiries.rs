//! When holds expire: the earliest first. Twelve bytes an entry, by the time and the place of the reservation among its shard's parts.
//!
//! Most holds last as long as those before them, so they expire in the order they come: a queue, at whose end no memory is waited for. What
//! comes out of order goes into a heap beside it.
//!
//! Entries are not taken out when a hold ends or moves. Whoever takes one looks whether it stands: whether what lies in that place now
//! expires at that time. A place that another hold has taken with the very same expiry is due as well, so an old entry does no harm.

use std::{cmp::Reverse, collections::BinaryHeap};

use crate::{queue::Queue, time::Timestamp};

/// What lies in a place is due. The time stands in two halves, so that there is no padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    high: u32,
    low: u32,
    place: u32,
}

/// The queue of a shard.
#[derive(Debug, Default)]
pub(crate) struct Expiries {
    /// Ascending.
    in_order: Queue<Due>,
    others: BinaryHeap<Reverse<Due>>,
}

impl Expiries {
    pub(crate) fn len(&self) -> usize {
        self.in_order.len() + self.others.len()
    }

    /// Asks for the memory that the next of the queue will be put into.
    pub(crate) fn ask_for_next(&self) {
        self.in_order.ask_for_next();
    }

    /// Notes when what lies in a place expires.
    pub(crate) fn push(&mut self, at: Timestamp, place: u32) {
        let due = pack(at, place);
        if self.in_order.last().is_none_or(|last| *last <= due) {
            self.in_order.push(due);
        } else {
            // It grows by an eighth instead of to twice as much.
            if self.others.len() == self.others.capacity() {
                self.others.reserve_exact(64 + self.others.len() / 8);
            }
            self.others.push(Reverse(due));
        }
    }

    /// The earliest.
    pub(crate) fn first(&self) -> Option<(Timestamp, u32)> {
        self.earliest().map(|(due, _)| unpack(due))
    }

    /// Takes the earliest, if it is due.
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<(Timestamp, u32)> {
        let (due, is_in_order) = self.earliest()?;
        let (at, place) = unpack(due);
        if at > now {
            return None;
        }
        if is_in_order {
            self.in_order.pop();
        } else {
            self.others.pop();
        }
        Some((at, place))
    }

    /// The earliest, and whether it stands in the queue.
    fn earliest(&self) -> Option<(Due, bool)> {
        let other = self.others.peek().map(|Reverse(due)| (*due, false));
        let first = self.in_order.first().map(|due| (*due, true));
        first.into_iter().chain(other).min()
    }

    /// Drops the entries that do not stand.
    pub(crate) fn retain(&mut self, mut stands: impl FnMut(Timestamp, u32) -> bool) {
        let mut stands = |due: Due| {
            let (at, place) = unpack(due);
            stands(at, place)
        };
        self.in_order.retain(|due| stands(*due));
        self.others.retain(|Reverse(due)| stands(*due));
    }
}

fn pack(at: Timestamp, place: u32) -> Due {
    let [a, b, c, d, e, f, g, h] = at.0.to_be_bytes();
    Due { high: u32::from_be_bytes([a, b, c, d]), low: u32::from_be_bytes([e, f, g, h]), place }
}

fn unpack(due: Due) -> (Timestamp, u32) {
    (Timestamp(u64::from(due.high) << 32 | u64::from(due.low)), due.place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_none_before_its_time() {
        let mut expiries = Expiries::default();
        let at = [1 << 40, 5, u64::MAX, 7, (1 << 32) - 1, 1 << 32, 5];
        at.into_iter().zip(0..).for_each(|(at, place)| expiries.push(Timestamp(at), place));
        assert_eq!((expiries.len(), expiries.first()), (7, Some((Timestamp(5), 1))));
        assert_eq!(expiries.pop_due(Timestamp(4)), None);
        expiries.retain(|at, place| (at, place) != (Timestamp(7), 3));
        let mut order = Vec::new();
        while let Some(due) = expiries.pop_due(Timestamp(1 << 40)) {
            order.push((due.0.0, due.1));
        }
        assert_eq!(order, [(5, 1), (5, 6), ((1 << 32) - 1, 4), (1 << 32, 5), (1 << 40, 0)]);
        assert_eq!(expiries.first(), Some((Timestamp::MAX, 2)));
    }

    #[test]
    fn an_entry_is_twelve_bytes_and_growth_wastes_an_eighth() {
        assert_eq!((size_of::<Due>(), size_of::<Reverse<Due>>()), (12, 12));
        let mut expiries = Expiries::default();
        (0..100_000).rev().for_each(|place| expiries.push(Timestamp(u64::from(place)), place));
        let capacity = expiries.others.capacity();
        assert!((99_999..113_000).contains(&capacity), "{capacity}");
    }
}

//! Places by id, where ids come in ascending order, or nearly: a list in pieces of which the last is written to.
//!
//! A table found by hash would wait for memory at each insertion; the end of a list is in the processor's caches. Ids are looked for by
//! halving, first among the pieces and then in one. An id that comes late is put where it belongs. Pieces of which little is left join: most
//! reservations are forgotten soon, and those that stay must not keep the room of the others.

use std::{collections::VecDeque, mem};

use crate::near;

/// Entries of a piece: half of 4 KiB of ids, so that one put in the middle moves little.
const PIECE: usize = 256;

/// A piece with fewer joins the one before it, if both together leave a piece half empty.
const FEW: usize = 32;

/// The numbers of places, by id.
#[derive(Debug, Default)]
pub(crate) struct Ascending {
    /// First id of each piece but the last; none is empty.
    firsts: VecDeque<u64>,
    pieces: VecDeque<Piece>,
    /// Here, so that its end is found without a look elsewhere. Empty only when there are no ids at all.
    last: Piece,
}

/// Some ids, ascending, and their places.
#[derive(Debug, Default)]
struct Piece {
    ids: Vec<u64>,
    places: Vec<u32>,
}

impl Piece {
    fn with_capacity(entries: usize) -> Self {
        Self { ids: Vec::with_capacity(entries), places: Vec::with_capacity(entries) }
    }

    #[inline]
    fn find(&self, id: u64) -> Option<u32> {
        let at = self.ids.binary_search(&id).ok()?;
        self.places.get(at).copied()
    }

    /// Puts an id where it belongs.
    fn put(&mut self, id: u64, place: u32) {
        self.insert(self.ids.partition_point(|other| *other < id), id, place);
    }

    /// Takes an id out.
    fn take(&mut self, id: u64) -> Option<u32> {
        let at = self.ids.binary_search(&id).ok()?;
        Some(self.remove(at))
    }

    /// Parts with its upper half.
    fn split(&mut self) -> Self {
        let middle = self.ids.len() / 2;
        Self { ids: self.ids.split_off(middle), places: self.places.split_off(middle) }
    }

    fn insert(&mut self, at: usize, id: u64, place: u32) {
        // A piece grows to its bound and no further: most stay full.
        if self.ids.len() == self.ids.capacity() {
            let more = self.ids.len().max(4).min(PIECE - self.ids.len());
            self.ids.reserve_exact(more);
            self.places.reserve_exact(more);
        }
        self.ids.insert(at, id);
        self.places.insert(at, place);
    }

    fn remove(&mut self, at: usize) -> u32 {
        self.ids.remove(at);
        let place = self.places.remove(at);
        if self.ids.len() < self.ids.capacity() / 4 {
            self.ids.shrink_to(self.ids.len() * 2);
            self.places.shrink_to(self.places.len() * 2);
        }
        place
    }

    /// Takes over what another has, all of it above what is here.
    fn join(&mut self, other: Self) {
        self.ids.extend(other.ids);
        self.places.extend(other.places);
    }
}

impl Ascending {
    /// The place of an id.
    #[inline]
    pub(crate) fn find(&self, id: u64) -> Option<u32> {
        match self.older_piece_of(id) {
            None => self.last.find(id),
            Some(number) => self.pieces.get(number)?.find(id),
        }
    }

    /// Asks for the memory that the next id will be put into.
    pub(crate) fn ask_for_next(&self) {
        near::ask_for_next(&self.last.ids);
        near::ask_for_next(&self.last.places);
    }

    /// Whether the id is above all that are here.
    #[inline]
    pub(crate) fn is_new(&self, id: u64) -> bool {
        self.last.ids.last().is_none_or(|newest| *newest < id)
    }

    /// Puts an id that is not here.
    #[inline]
    pub(crate) fn insert(&mut self, id: u64, place: u32) {
        if self.is_new(id) {
            if self.last.ids.len() == PIECE {
                self.begin_piece();
            }
            self.last.insert(self.last.ids.len(), id, place);
        } else {
            self.insert_between(id, place);
        }
    }

    /// Takes an id out, and gives its place.
    pub(crate) fn remove(&mut self, id: u64) -> Option<u32> {
        let Some(number) = self.older_piece_of(id) else {
            let place = self.last.take(id)?;
            if self.last.ids.is_empty() {
                self.firsts.pop_back();
                self.last = self.pieces.pop_back().unwrap_or_default();
            }
            return Some(place);
        };
        let piece = self.pieces.get_mut(number)?;
        let place = piece.take(id)?;
        match piece.ids.first() {
            Some(first) => self.firsts[number] = *first,
            None => {
                self.firsts.remove(number);
                self.pieces.remove(number);
            }
        }
        self.tidy(number);
        Some(place)
    }

    /// Joins a piece with the one before it, if it has little. The last one is left alone: it is about to have more.
    fn tidy(&mut self, number: usize) {
        let Some(before) = number.checked_sub(1) else { return };
        let (Some(few), Some(others)) = (self.pieces.get(number), self.pieces.get(before)) else { return };
        if few.ids.len() >= FEW || few.ids.len() + others.ids.len() > PIECE / 2 {
            return;
        }
        self.firsts.remove(number);
        if let Some(few) = self.pieces.remove(number) {
            self.pieces[before].join(few);
        }
    }

    /// The piece that an id lies in if it is here, unless that is the last.
    #[inline]
    fn older_piece_of(&self, id: u64) -> Option<usize> {
        match self.last.ids.first() {
            Some(first) if *first > id && !self.pieces.is_empty() => {
                Some(self.firsts.partition_point(|first| *first <= id).saturating_sub(1))
            }
            _ => None,
        }
    }

    #[cold]
    fn begin_piece(&mut self) {
        let full = mem::replace(&mut self.last, Piece::with_capacity(PIECE));
        self.firsts.extend(full.ids.first());
        self.pieces.push_back(full);
    }

    #[cold]
    fn insert_between(&mut self, id: u64, place: u32) {
        let Some(mut number) = self.older_piece_of(id) else {
            if self.last.ids.len() == PIECE {
                let upper = self.last.split();
                let lower = mem::replace(&mut self.last, upper);
                self.firsts.extend(lower.ids.first());
                self.pieces.push_back(lower);
                return self.insert_between(id, place);
            }
            return self.last.put(id, place);
        };
        if self.pieces[number].ids.len() == PIECE {
            let upper = self.pieces[number].split();
            let middle = upper.ids[0];
            self.firsts.insert(number + 1, middle);
            self.pieces.insert(number + 1, upper);
            number += usize::from(middle <= id);
        }
        let piece = &mut self.pieces[number];
        piece.put(id, place);
        self.firsts[number] = piece.ids[0];
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn pieces(list: &Ascending) -> impl Iterator<Item = &Piece> {
        list.pieces.iter().chain([&list.last])
    }

    fn check(list: &Ascending, model: &BTreeMap<u64, u32>) {
        let all: Vec<(u64, u32)> =
            pieces(list).flat_map(|piece| piece.ids.iter().copied().zip(piece.places.iter().copied())).collect();
        assert_eq!(all, model.iter().map(|(id, place)| (*id, *place)).collect::<Vec<_>>());
        assert!(list.firsts.iter().copied().eq(list.pieces.iter().map(|piece| piece.ids[0])));
        assert!(pieces(list).all(|piece| piece.ids.len() <= PIECE && piece.ids.capacity() <= PIECE));
        assert!(list.pieces.is_empty() || !list.last.ids.is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// It says what a plain map says, however ids come and go.
        #[test]
        fn a_list_equals_a_map(
            rising in 0_u64..2_000,
            steps in prop::collection::vec((0_u64..3_000, any::<bool>()), 0..3_000),
        ) {
            let (mut list, mut model) = (Ascending::default(), BTreeMap::new());
            for id in (0..rising).map(|id| id * 2) {
                prop_assert!(list.is_new(id));
                list.insert(id, 7);
                model.insert(id, 7);
            }
            check(&list, &model);
            for ((id, insert), place) in steps.into_iter().zip(0..) {
                prop_assert_eq!(list.find(id), model.get(&id).copied());
                prop_assert_eq!(list.is_new(id), model.last_key_value().is_none_or(|(newest, _)| *newest < id));
                if !insert {
                    prop_assert_eq!(list.remove(id), model.remove(&id));
                } else if list.find(id).is_none() {
                    list.insert(id, place);
                    model.insert(id, place);
                }
            }
            check(&list, &model);
        }
    }

    /// One of a hundred stays.
    #[test]
    fn what_stays_of_many_takes_little() {
        let mut list = Ascending::default();
        let ids = 0..100_000_u64;
        ids.clone().for_each(|id| list.insert(id, 1));
        ids.clone().filter(|id| id % 100 != 7).for_each(|id| _ = list.remove(id));
        let room: usize = pieces(&list).map(|piece| piece.ids.capacity()).sum();
        assert!(list.pieces.len() < 40 && room < 3_000, "{} pieces, room for {room}", list.pieces.len());
        assert!(ids.filter(|id| id % 100 == 7).all(|id| list.find(id) == Some(1)));
    }

    #[test]
    fn pieces_of_ids_in_order_are_full_and_go_when_they_are_empty() {
        let mut list = Ascending::default();
        (0..1_000).for_each(|id| list.insert(id, 1));
        assert_eq!(pieces(&list).map(|piece| piece.ids.len()).collect::<Vec<_>>(), [256, 256, 256, 232]);
        (0..600).for_each(|id| _ = list.remove(id));
        assert_eq!((pieces(&list).count(), list.find(599), list.find(600)), (2, None, Some(1)));
    }
}

//! Numbers found by a part of a hash: of entries by their request ids, of SKUs by their codes.
//!
//! They lie in one array, each where its hash says or in the first free place behind (linear probing; one that goes is followed by those that
//! would stand nearer, D. E. Knuth, The Art of Computer Programming, volume 3, 6.4 R). So a look-up and the insertion after it need one line of
//! memory, and which that is can be told without reading any: it can be asked for ahead.

use std::num::NonZeroU32;

use crate::{id::usize_from, near};

/// Places of the first array.
const PLACES_MIN: usize = 8;

/// What the table needs of a hash. So a table that grows reads nothing but itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag(NonZeroU32);

impl Tag {
    /// The low half of a hash, of which 0 and 1 are one.
    pub(crate) fn of(hash: u64) -> Self {
        let [low @ .., _, _, _, _] = hash.to_le_bytes();
        Self(NonZeroU32::new(u32::from_le_bytes(low)).unwrap_or(NonZeroU32::MIN))
    }
}

/// What lies in a place.
#[derive(Clone, Copy, Debug)]
struct Place {
    tag: Tag,
    number: u32,
}

// Ten million of them make at least 107 MB: what a place takes is no accident.
const _: () = assert!(size_of::<Option<Place>>() == 8);

/// Numbers by tags. One number stands under one tag at most once.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// As many as a power of two, or none. At least a quarter is free.
    places: Box<[Option<Place>]>,
    length: usize,
}

impl Table {
    /// The first number of this tag that is the one.
    #[inline]
    pub(crate) fn find(&self, tag: Tag, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        self.run(tag)
            .map(|(_, place)| place)
            .find(|place| place.tag == tag && is_it(place.number))
            .map(|place| place.number)
    }

    /// Asks for the memory where a number of this tag stands or will stand.
    #[inline]
    pub(crate) fn ask_for(&self, tag: Tag) {
        if let Some(place) = self.places.get(self.home(tag)) {
            near::ask_for(place);
        }
    }

    /// Adds a number.
    pub(crate) fn insert(&mut self, tag: Tag, number: u32) {
        self.reserve(1);
        self.put(Place { tag, number });
        self.length += 1;
    }

    /// Makes room for so many more.
    #[inline]
    pub(crate) fn reserve(&mut self, more: usize) {
        let needed = (self.length + more) * 4;
        if needed > self.places.len() * 3 {
            self.grow(needed.div_ceil(3));
        }
    }

    /// Takes a number out; gives whether it was there.
    pub(crate) fn remove(&mut self, tag: Tag, number: u32) -> bool {
        let is_it = |place: &Place| place.tag == tag && place.number == number;
        let Some((mut hole, _)) = self.run(tag).find(|(_, place)| is_it(place)) else { return false };
        let mut next = self.after(hole);
        while let Some(place) = self.places[next] {
            // It may go into the hole unless the hole lies before where it belongs.
            if self.distance(self.home(place.tag), next) >= self.distance(hole, next) {
                self.places[hole] = Some(place);
                hole = next;
            }
            next = self.after(next);
        }
        self.places[hole] = None;
        self.length -= 1;
        true
    }

    /// Places from where a tag belongs to before the first that is free, with their numbers.
    #[inline]
    fn run(&self, tag: Tag) -> impl Iterator<Item = (usize, Place)> {
        let (mask, first) = (self.mask(), self.home(tag));
        let around = (0..self.places.len()).map(move |more| first.wrapping_add(more) & mask);
        around.map_while(|at| Some((at, self.places[at]?)))
    }

    fn put(&mut self, place: Place) {
        let mut at = self.home(place.tag);
        while self.places[at].is_some() {
            at = self.after(at);
        }
        self.places[at] = Some(place);
    }

    #[cold]
    fn grow(&mut self, places: usize) {
        let larger = places.next_power_of_two().max(PLACES_MIN);
        let before = std::mem::replace(&mut self.places, vec![None; larger].into_boxed_slice());
        before.iter().flatten().for_each(|place| self.put(*place));
    }

    /// Where a tag belongs. All of its bits count, those of neighbours above all (Fibonacci hashing, Knuth, 6.4).
    #[inline]
    fn home(&self, tag: Tag) -> usize {
        let spread = u64::from(tag.0.get()).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let [low @ .., _, _, _, _] = spread.to_le_bytes();
        // The top of the product, as many bits as places have.
        (usize_from(u32::from_le_bytes(low)) * self.places.len()) >> 32
    }

    fn after(&self, at: usize) -> usize {
        at.wrapping_add(1) & self.mask()
    }

    /// Steps from one place on to another.
    fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & self.mask()
    }

    fn mask(&self) -> usize {
        self.places.len().wrapping_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Few tags for many numbers, some of them neighbours: runs join, wrap round and part again. What is there is looked for after each
        /// step; what is not, with the step's tag then and with every tag at the end.
        #[test]
        fn the_table_finds_what_a_map_finds(steps in prop::collection::vec((0_u64..40, 0_u32..60, any::<bool>()), 1..300)) {
            let (mut table, mut model) = (Table::default(), BTreeSet::new());
            let tag = |seed: u64| Tag::of(if seed < 20 { seed } else { seed.wrapping_mul(0x0DDB_1A5E) });
            let find = |table: &Table, tag, number| table.find(tag, |other| other == number);
            for (seed, number, goes) in steps {
                if goes {
                    prop_assert_eq!(table.remove(tag(seed), number), model.remove(&(tag(seed).0, number)));
                } else if model.insert((tag(seed).0, number)) {
                    table.insert(tag(seed), number);
                }
                prop_assert_eq!(table.length, model.len());
                for (tag, number) in &model {
                    prop_assert_eq!(find(&table, Tag(*tag), *number), Some(*number));
                }
                for number in 0..60 {
                    let is_there = model.contains(&(tag(seed).0, number));
                    prop_assert_eq!(find(&table, tag(seed), number), is_there.then_some(number));
                }
            }
            for (seed, number) in (0..40).flat_map(|seed| (0..60).map(move |number| (seed, number))) {
                let is_there = model.contains(&(tag(seed).0, number));
                prop_assert_eq!(find(&table, tag(seed), number), is_there.then_some(number));
            }
        }
    }

    #[test]
    fn a_quarter_is_free_and_neighbours_stand_apart() {
        let mut table = Table::default();
        assert_eq!(table.find(Tag::of(7), |_| true), None, "in a table of no places");
        table.ask_for(Tag::of(7));
        for number in 0..3_000_u32 {
            table.insert(Tag::of(u64::from(number)), number);
            assert!(table.length * 4 <= table.places.len() * 3, "{} of {}", table.length, table.places.len());
        }
        assert_eq!(table.places.len(), 4_096);
        let steps = |number: u32| table.run(Tag::of(u64::from(number))).position(|(_, place)| place.number == number);
        let steps: usize = (0..3_000).map(|number| steps(number).unwrap()).sum();
        assert!(steps < 2 * 3_000, "{steps} steps beyond the first to 3000 entries");
    }
}

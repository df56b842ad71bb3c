//! Things of one size in numbered places, in pieces that never move: to grow copies nothing, so whoever holds the lock is never held up
//! by it. A place that was given up is the next to be taken.

use std::mem;

use crate::{id::usize_from, near};

/// Places in a piece. Things of 96 bytes make pieces of 6 KiB, which the allocator has a size for.
const PIECE: usize = 64;

#[derive(Clone, Debug)]
enum Place<T> {
    Taken(T),
    /// Given up before, or never: which was given up before it.
    Free(Option<u32>),
}

/// The things, by the number of their place.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    /// Pieces of which every place was taken once.
    full: Vec<Vec<Place<T>>>,
    /// The piece behind them: here, so that its end is found without a look elsewhere.
    last: Vec<Place<T>>,
    /// The place given up last.
    free: Option<u32>,
    len: usize,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { full: Vec::new(), last: Vec::new(), free: None, len: 0 }
    }
}

impl<T> Slab<T> {
    /// Bytes that a place takes.
    pub(crate) const PLACE_BYTES: usize = size_of::<Place<T>>();

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Asks for the memory of a place.
    pub(crate) fn ask_for(&self, number: u32) {
        self.place(number).into_iter().for_each(near::ask_for_whole);
    }

    /// Asks for the memory of the place that will be taken next.
    pub(crate) fn ask_for_next(&self) {
        match self.free {
            Some(number) => self.ask_for(number),
            None => near::ask_for_next(&self.last),
        }
    }

    /// Takes a place; gives its number.
    ///
    /// # Panics
    /// Past 2^32 - 1 things: a shard's memory ends before.
    pub(crate) fn insert(&mut self, thing: T) -> u32 {
        self.len += 1;
        if let Some(number) = self.free {
            let place = self.place_mut(number).expect("Invariant: a place that was given up is there");
            let Place::Free(next) = *place else { panic!("Invariant: a place that was given up is free") };
            *place = Place::Taken(thing);
            self.free = next;
            return number;
        }
        if matches!(self.last.len(), 0 | PIECE) {
            self.begin_piece();
        }
        self.last.push(Place::Taken(thing));
        u32::try_from(self.full.len() * PIECE + self.last.len() - 1).expect("Invariant: places are numbered in 32 bits")
    }

    #[cold]
    fn begin_piece(&mut self) {
        let full = mem::replace(&mut self.last, Vec::with_capacity(PIECE));
        if !full.is_empty() {
            self.full.push(full);
        }
    }

    #[inline]
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        match self.place(number)? {
            Place::Taken(thing) => Some(thing),
            Place::Free(_) => None,
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        match self.place_mut(number)? {
            Place::Taken(thing) => Some(thing),
            Place::Free(_) => None,
        }
    }

    /// Gives up a place.
    pub(crate) fn remove(&mut self, number: u32) -> Option<T> {
        let next = self.free;
        let place = self.place_mut(number)?;
        if matches!(place, Place::Free(_)) {
            return None;
        }
        let Place::Taken(thing) = mem::replace(place, Place::Free(next)) else { return None };
        self.free = Some(number);
        self.len -= 1;
        Some(thing)
    }

    /// All of them, by their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.full.iter().chain([&self.last]).flatten().filter_map(|place| match place {
            Place::Taken(thing) => Some(thing),
            Place::Free(_) => None,
        })
    }

    #[inline]
    fn place(&self, number: u32) -> Option<&Place<T>> {
        let (piece, place) = (usize_from(number) / PIECE, usize_from(number) % PIECE);
        let piece = if piece == self.full.len() { &self.last } else { self.full.get(piece)? };
        piece.get(place)
    }

    #[inline]
    fn place_mut(&mut self, number: u32) -> Option<&mut Place<T>> {
        let (piece, place) = (usize_from(number) / PIECE, usize_from(number) % PIECE);
        let piece = if piece == self.full.len() { &mut self.last } else { self.full.get_mut(piece)? };
        piece.get_mut(place)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A slab says what a plain map of numbers says, over several pieces and with places taken again.
        #[test]
        fn a_slab_equals_a_map(steps in prop::collection::vec((any::<bool>(), any::<u32>()), 0..800)) {
            let mut slab: Slab<[u64; 32]> = Slab::default();
            let mut model: BTreeMap<u32, [u64; 32]> = BTreeMap::new();
            for (insert, drawn) in steps {
                if insert {
                    let thing = [u64::from(drawn); 32];
                    let number = slab.insert(thing);
                    prop_assert_eq!(model.insert(number, thing), None, "a taken place was given out");
                } else if let Some(number) = model.keys().nth(usize_from(drawn) % (model.len() + 1)).copied() {
                    prop_assert_eq!(slab.remove(number), model.remove(&number));
                    prop_assert_eq!(slab.remove(number), None);
                    prop_assert_eq!(slab.get(number), None);
                }
                prop_assert_eq!(slab.len(), model.len());
            }
            prop_assert!(slab.iter().eq(model.values()));
            for (number, thing) in &mut model {
                prop_assert_eq!(slab.get_mut(*number), Some(&mut *thing));
            }
            prop_assert!(slab.get(u32::MAX).is_none());
        }
    }
}

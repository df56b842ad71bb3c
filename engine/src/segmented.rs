//! A hash table that grows a little at a time, so that no insertion waits for all of it to be moved: linear hashing (Litwin 1980) over
//! small tables. When they are full on average, one of them, in turn, is split in two.

use hashbrown::{
    HashTable,
    hash_table::{Entry, VacantEntry},
};

/// Entries that the small tables have on average before the next is split. One about to be split has up to twice as many, which a
/// table of 1,024 places takes.
const FULL: usize = 420;

/// Entries found by hash and equality. Hashes must be good in all their bits.
#[derive(Debug)]
pub(crate) struct Segmented<T> {
    segments: Vec<HashTable<T>>,
    /// Of a hash, what tells its segment, as far as that one is there: else the bit below the highest decides.
    mask: usize,
    len: usize,
}

/// A place for an entry.
pub(crate) struct Vacancy<'a, T> {
    entry: VacantEntry<'a, T>,
    len: &'a mut usize,
}

impl<T> Vacancy<'_, T> {
    #[inline]
    pub(crate) fn fill(self, entry: T) {
        self.entry.insert(entry);
        *self.len += 1;
    }
}

impl<T> Default for Segmented<T> {
    fn default() -> Self {
        Self { segments: vec![HashTable::new()], mask: 0, len: 0 }
    }
}

impl<T> Segmented<T> {
    #[cfg(test)]
    fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn find(&self, hash: u64, eq: impl FnMut(&T) -> bool) -> Option<&T> {
        self.segments[self.segment(hash)].find(hash, eq)
    }

    /// Where an entry can be put that has no equal here; `None` if one has. `hash_of` tells the hash of any entry.
    #[inline]
    pub(crate) fn vacancy(
        &mut self,
        hash: u64,
        eq: impl FnMut(&T) -> bool,
        hash_of: impl Fn(&T) -> u64,
    ) -> Option<Vacancy<'_, T>> {
        if self.len >= self.segments.len() * FULL {
            self.split(&hash_of);
        }
        let segment = self.segment(hash);
        match self.segments[segment].entry(hash, eq, hash_of) {
            Entry::Occupied(_) => None,
            Entry::Vacant(entry) => Some(Vacancy { entry, len: &mut self.len }),
        }
    }

    pub(crate) fn remove(&mut self, hash: u64, eq: impl FnMut(&T) -> bool) -> Option<T> {
        let segment = self.segment(hash);
        let (entry, _) = self.segments[segment].find_entry(hash, eq).ok()?.remove();
        self.len -= 1;
        Some(entry)
    }

    #[inline]
    fn segment(&self, hash: u64) -> usize {
        // The tables themselves take the lowest and the highest bits.
        let bits = usize::try_from(hash >> 24).unwrap_or(usize::MAX) & self.mask;
        if bits < self.segments.len() { bits } else { bits & self.mask >> 1 }
    }

    /// Splits the next segment in two.
    #[cold]
    fn split(&mut self, hash_of: &impl Fn(&T) -> u64) {
        let next = self.segments.len();
        if next > self.mask {
            self.mask = self.mask << 1 | 1;
        }
        self.segments.push(HashTable::new());
        let source = next & self.mask >> 1;
        let mut whole = std::mem::take(&mut self.segments[source]);
        let half = whole.len() / 2;
        for segment in [source, next] {
            self.segments[segment].reserve(half, hash_of);
        }
        for entry in whole.drain() {
            let hash = hash_of(&entry);
            let segment = self.segment(hash);
            self.segments[segment].insert_unique(hash, entry, hash_of);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn hash(entry: &u32) -> u64 {
        crate::catalog::hasher().hash_one(entry)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        /// It says what a plain set says, through many splits.
        #[test]
        fn a_segmented_table_equals_a_set(inserts in prop::collection::vec(0_u32..20_000, 0..6_000), removes in prop::collection::vec(0_u32..20_000, 0..6_000)) {
            let mut table = Segmented::default();
            let mut model = BTreeSet::new();
            for entry in inserts {
                let known = table.find(hash(&entry), |one| *one == entry).is_some();
                prop_assert_eq!(model.insert(entry), !known);
                let vacancy = table.vacancy(hash(&entry), |one| *one == entry, hash);
                prop_assert_eq!(vacancy.is_none(), known);
                vacancy.into_iter().for_each(|vacancy| vacancy.fill(entry));
            }
            for entry in removes {
                let removed = table.remove(hash(&entry), |one| *one == entry);
                prop_assert_eq!(removed.is_some(), model.remove(&entry));
            }
            prop_assert_eq!(table.len(), model.len());
            for entry in 0..20_000 {
                let found = table.find(hash(&entry), |one| *one == entry);
                prop_assert_eq!(found.is_some(), model.contains(&entry));
            }
        }
    }

    #[test]
    fn no_segment_is_much_larger_than_the_others() {
        let mut table = Segmented::default();
        for entry in 0..100_000 {
            let vacancy = table.vacancy(hash(&entry), |one| *one == entry, hash);
            vacancy.into_iter().for_each(|vacancy| vacancy.fill(entry));
        }
        assert_eq!(table.len(), 100_000);
        let largest = table.segments.iter().map(HashTable::len).max();
        assert!(largest.is_some_and(|largest| largest < 3 * FULL), "{largest:?}");
        assert!(table.segments.len() >= 100_000 / FULL, "{}", table.segments.len());
    }
}

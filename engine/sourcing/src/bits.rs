//! A dense set of locations: one bit each, for the tests that every candidate goes through.

use quartermaster_routing::LocationId;

/// A set of locations. Ids past its length are not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocationSet(Vec<u64>);

impl LocationSet {
    /// The locations with ids below `count`.
    #[must_use]
    pub fn all(count: usize) -> Self {
        (0..u32::try_from(count).unwrap_or(u32::MAX)).map(LocationId).collect()
    }

    /// Adds one.
    pub fn insert(&mut self, location: LocationId) {
        let (word, bit) = place(location);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= bit;
    }

    /// Takes one out.
    pub fn remove(&mut self, location: LocationId) {
        let (word, bit) = place(location);
        if let Some(word) = self.0.get_mut(word) {
            *word &= !bit;
        }
    }

    /// Whether it is in.
    #[must_use]
    pub fn contains(&self, location: LocationId) -> bool {
        let (word, bit) = place(location);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Keeps what is in `other` too.
    pub fn intersect(&mut self, other: &Self) {
        for (place, word) in self.0.iter_mut().enumerate() {
            *word &= other.0.get(place).copied().unwrap_or(0);
        }
    }

    /// Takes out what is in `other`.
    pub fn subtract(&mut self, other: &Self) {
        for (word, taken) in self.0.iter_mut().zip(&other.0) {
            *word &= !taken;
        }
    }

    /// Whether none is in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// Ascending.
    pub fn iter(&self) -> impl Iterator<Item = LocationId> + '_ {
        (0_u32..).zip(&self.0).flat_map(|(place, word)| {
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| LocationId(place * 64 + bit))
        })
    }
}

impl FromIterator<LocationId> for LocationSet {
    fn from_iter<I: IntoIterator<Item = LocationId>>(locations: I) -> Self {
        let mut set = Self::default();
        locations.into_iter().for_each(|location| set.insert(location));
        set
    }
}

fn place(location: LocationId) -> (usize, u64) {
    (usize::try_from(location.0 / 64).unwrap_or(usize::MAX), 1 << (location.0 % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_keeps_what_was_put_in() {
        let mut set: LocationSet = [3, 64, 200].map(LocationId).into_iter().collect();
        set.remove(LocationId(64));
        set.remove(LocationId(999));
        assert_eq!(set.iter().map(|location| location.0).collect::<Vec<_>>(), [3, 200]);
        assert!(set.contains(LocationId(200)) && !set.contains(LocationId(64)) && !set.contains(LocationId(5000)));
        set.intersect(&LocationSet::all(100));
        assert_eq!(set.iter().collect::<Vec<_>>(), [LocationId(3)]);
        set.subtract(&[3, 700].map(LocationId).into_iter().collect());
        assert!(set.is_empty());
    }
}

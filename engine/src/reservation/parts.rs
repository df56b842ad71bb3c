//! A shard's parts of reservations, by reservation.

use ahash::RandomState;
use hashbrown::HashMap;

use super::{HeaderRef, Part, PartMut, PartRef};
use crate::{catalog::hasher, id::ReservationId};

/// The parts that a shard has. How they are kept is nobody else's business.
#[derive(Debug)]
pub(crate) struct Parts {
    parts: HashMap<ReservationId, Part, RandomState>,
}

impl Default for Parts {
    fn default() -> Self {
        Self { parts: HashMap::with_hasher(hasher()) }
    }
}

impl Parts {
    pub(crate) fn len(&self) -> usize {
        self.parts.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Makes room for so many more.
    pub(crate) fn reserve(&mut self, more: usize) {
        self.parts.reserve(more);
    }

    pub(crate) fn contains_key(&self, id: &ReservationId) -> bool {
        self.parts.contains_key(id)
    }

    pub(crate) fn get(&self, id: &ReservationId) -> Option<PartRef<'_>> {
        self.parts.get(id).map(PartRef)
    }

    /// The header of a reservation at home here.
    pub(crate) fn header(&self, id: &ReservationId) -> Option<HeaderRef<'_>> {
        self.get(id).and_then(PartRef::header)
    }

    /// All of them, in no order that means anything.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ReservationId, PartRef<'_>)> {
        self.parts.iter().map(|(id, part)| (*id, PartRef(part)))
    }

    /// A part, to change in what every part has.
    pub(crate) fn get_mut(&mut self, id: &ReservationId) -> Option<PartMut<'_>> {
        self.parts.get_mut(id).map(PartMut)
    }

    /// A part, to change in any way.
    pub(crate) fn whole_mut(&mut self, id: &ReservationId) -> Option<&mut Part> {
        self.parts.get_mut(id)
    }

    /// Puts a part in its place; `false` if the reservation had one, which is lost then.
    #[must_use]
    pub(crate) fn insert(&mut self, id: ReservationId, part: Part) -> bool {
        self.parts.insert(id, part).is_none()
    }

    pub(crate) fn remove(&mut self, id: &ReservationId) -> Option<Part> {
        self.parts.remove(id)
    }
}

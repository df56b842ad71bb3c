//! A shard's parts of reservations, by reservation.
//!
//! Parts lie in numbered places, a list by id tells which. A part keeps its place for as long as it is there.

use super::{HeaderRef, Packed, Part, PartMut, PartRef, Plain};
use crate::{ascending::Ascending, id::ReservationId, slab::Slab};

// Millions are open at once in a sale: what a place takes is no accident.
const _: () = assert!(Slab::<Packed>::PLACE_BYTES == 96);

/// The parts that a shard has. How they are kept is nobody else's business.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    packed: Slab<Packed>,
    /// Ids are given out under the lock of the shard, so they come in ascending order.
    places: Ascending,
}

impl Parts {
    /// Asks for the memory that the next part will be put into.
    pub(crate) fn ask_for_next(&self) {
        self.packed.ask_for_next();
        self.places.ask_for_next();
    }

    /// Asks for the memory of a place.
    pub(crate) fn ask_for(&self, place: u32) {
        self.packed.ask_for(place);
    }

    pub(crate) fn len(&self) -> usize {
        self.packed.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn contains_key(&self, id: &ReservationId) -> bool {
        self.place(id).is_some()
    }

    /// The place of a reservation's part, which it keeps.
    #[inline]
    pub(crate) fn place(&self, id: &ReservationId) -> Option<u32> {
        self.places.find(id.0)
    }

    #[inline]
    pub(crate) fn get(&self, id: &ReservationId) -> Option<PartRef<'_>> {
        self.packed.get(self.place(id)?).map(Packed::view)
    }

    /// The header of a reservation at home here.
    #[inline]
    pub(crate) fn header(&self, id: &ReservationId) -> Option<HeaderRef<'_>> {
        self.get(id).and_then(PartRef::header)
    }

    /// What lies in a place.
    #[inline]
    pub(crate) fn at(&self, place: u32) -> Option<(ReservationId, PartRef<'_>)> {
        self.packed.get(place).map(|packed| (packed.id(), packed.view()))
    }

    /// All of them, in no order that means anything.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ReservationId, PartRef<'_>)> {
        self.packed.iter().map(|packed| (packed.id(), packed.view()))
    }

    /// Copies of all of them, in no order that means anything.
    pub(crate) fn copies(&self) -> impl Iterator<Item = Packed> {
        self.packed.iter().cloned()
    }

    /// A part, to change in what every part has.
    #[inline]
    pub(crate) fn get_mut(&mut self, id: &ReservationId) -> Option<PartMut<'_>> {
        let place = self.place(id)?;
        self.packed.get_mut(place).map(Packed::view_mut)
    }

    /// A part, to change in any way.
    pub(crate) fn whole_mut(&mut self, id: &ReservationId) -> Option<&mut Part> {
        let place = self.place(id)?;
        self.packed.get_mut(place).map(Packed::whole)
    }

    /// Puts a part in its place and gives that; `None`, and nothing changes, if the reservation has one.
    #[must_use]
    pub(crate) fn insert(&mut self, id: ReservationId, part: Part) -> Option<u32> {
        self.put(Packed::of(id, part))
    }

    /// Like `insert`, of a plain reservation.
    #[must_use]
    pub(crate) fn insert_plain(&mut self, plain: Plain) -> Option<u32> {
        self.put(Packed::Plain(plain))
    }

    pub(crate) fn remove(&mut self, id: &ReservationId) -> Option<Packed> {
        let place = self.places.remove(id.0)?;
        self.packed.remove(place)
    }

    #[inline]
    fn put(&mut self, part: Packed) -> Option<u32> {
        let id = part.id();
        if !self.places.is_new(id.0) && self.places.find(id.0).is_some() {
            return None;
        }
        let place = self.packed.insert(part);
        self.places.insert(id.0, place);
        Some(place)
    }
}

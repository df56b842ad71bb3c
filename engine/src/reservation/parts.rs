//! A shard's parts of reservations, by reservation.
//!
//! Parts lie in numbered places, a table of numbers finds them by id. A part keeps its place for as long as it is there.

use super::{HeaderRef, Packed, Part, PartMut, PartRef, Plain};
use crate::{id::ReservationId, segmented::Segmented, slab::Slab};

// Millions are open at once in a sale: what a place takes is no accident.
const _: () = assert!(Slab::<Packed>::PLACE_BYTES == 96);

/// The parts that a shard has. How they are kept is nobody else's business.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    packed: Slab<Packed>,
    places: Segmented<u32>,
}

impl Parts {
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
        self.places.find(hash(*id), |place| self.is_at(*place, *id)).copied()
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
        let Self { packed, places } = self;
        let is_it = |place: &u32| packed.get(*place).is_some_and(|packed| packed.id() == *id);
        let place = places.remove(hash(*id), is_it)?;
        packed.remove(place)
    }

    #[inline]
    fn put(&mut self, part: Packed) -> Option<u32> {
        let Self { packed, places } = self;
        let id = part.id();
        let id_at = |place: &u32| packed.get(*place).map(Packed::id);
        let hash_of = |place: &u32| hash(id_at(place).expect("Invariant: a place in the table is taken"));
        let vacancy = places.vacancy(hash(id), |place| id_at(place) == Some(id), hash_of)?;
        let place = packed.insert(part);
        vacancy.fill(place);
        Some(place)
    }

    #[inline]
    fn is_at(&self, place: u32, id: ReservationId) -> bool {
        self.packed.get(place).is_some_and(|packed| packed.id() == id)
    }
}

/// Ids are given out by the engine, so nobody can choose them to collide: a multiplication by the golden ratio spreads them (Knuth, The
/// Art of Computer Programming 3, 6.4), and its two halves folded make all bits depend on all.
#[inline]
fn hash(id: ReservationId) -> u64 {
    let product = u128::from(id.0) * 0x9E37_79B9_7F4A_7C15;
    let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or_default();
    half(product) ^ half(product >> 64)
}

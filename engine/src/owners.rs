//! Which reservations a buyer has. Derived from the reservations and never stored: it is built again at recovery.
//!
//! Buyers are known by a 64-bit hash of their ids alone: no text is kept a second time, and none is read when a table grows. So a
//! buyer's list may, once in a long while, hold reservations of another, and whoever reads it looks at the reservations themselves.

use ahash::RandomState;
use crossbeam_utils::CachePadded;
use hashbrown::{HashTable, hash_table::Entry};
use quartermaster_sync::Mutex;
use smallvec::SmallVec;

use crate::{catalog::hasher, id::ReservationId, shard::Shard};

/// Enough that a table which grows, under its lock, holds up few others for long.
const STRIPES: usize = 256;

struct Owner {
    hash: u64,
    ids: SmallVec<[ReservationId; 2]>,
}

type Stripe = HashTable<Owner>;

/// Reservation ids by buyer, in stripes with a lock each. Its locks are taken last and alone.
pub(crate) struct Owners {
    stripes: Box<[CachePadded<Mutex<Stripe>>]>,
    hasher: RandomState,
}

impl Default for Owners {
    fn default() -> Self {
        let stripe = || CachePadded::new(Mutex::new(HashTable::new()));
        Self { stripes: (0..STRIPES).map(|_| stripe()).collect(), hasher: hasher() }
    }
}

impl Owners {
    fn stripe(&self, hash: u64) -> &Mutex<Stripe> {
        &self.stripes[usize::from(hash.to_le_bytes()[4])]
    }

    /// Notes a reservation.
    pub(crate) fn add(&self, buyer: &str, id: ReservationId) {
        if !buyer.is_empty() {
            let hash = self.hasher.hash_one(buyer);
            let mut stripe = self.stripe(hash).lock();
            let entry = stripe.entry(hash, |owner| owner.hash == hash, |owner| owner.hash);
            let ids = &mut entry.or_insert_with(|| Owner { hash, ids: SmallVec::new() }).into_mut().ids;
            if let Err(place) = ids.binary_search(&id) {
                ids.insert(place, id);
            }
        }
    }

    /// Drops what a shard has just forgotten.
    pub(crate) fn forget(&self, shard: &mut Shard) {
        for (buyer, id) in shard.forgotten.drain(..) {
            let hash = self.hasher.hash_one(&*buyer);
            let mut stripe = self.stripe(hash).lock();
            if let Entry::Occupied(mut owner) = stripe.entry(hash, |owner| owner.hash == hash, |owner| owner.hash) {
                owner.get_mut().ids.retain(|known| *known != id);
                if owner.get().ids.is_empty() {
                    owner.remove();
                }
            }
        }
    }

    /// Ids above `after`, ascending, at most `limit`: a buyer's reservations, and perhaps some of another's.
    pub(crate) fn page(&self, buyer: &str, after: Option<ReservationId>, limit: usize) -> Vec<ReservationId> {
        let hash = self.hasher.hash_one(buyer);
        let stripe = self.stripe(hash).lock();
        let ids = stripe.find(hash, |owner| owner.hash == hash).map_or(&[][..], |owner| &owner.ids);
        ids.iter().copied().filter(|id| after.is_none_or(|after| *id > after)).take(limit).collect()
    }
}

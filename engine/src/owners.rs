//! Which reservations a buyer has. Derived from the reservations and never stored: it is built again at recovery.

use ahash::RandomState;
use crossbeam_utils::CachePadded;
use hashbrown::HashMap;
use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::{catalog::hasher, id::ReservationId, shard::Shard};

const STRIPES: usize = 64;

type Stripe = HashMap<Box<str>, SmallVec<[ReservationId; 2]>, RandomState>;

/// Reservation ids by buyer, in stripes with a lock each. Its locks are taken last and alone.
#[derive(Debug)]
pub(crate) struct Owners {
    stripes: Box<[CachePadded<Mutex<Stripe>>]>,
    hasher: RandomState,
}

impl Default for Owners {
    fn default() -> Self {
        let stripe = || CachePadded::new(Mutex::new(HashMap::with_hasher(hasher())));
        Self { stripes: (0..STRIPES).map(|_| stripe()).collect(), hasher: hasher() }
    }
}

impl Owners {
    fn stripe(&self, buyer: &str) -> &Mutex<Stripe> {
        let hash = self.hasher.hash_one(buyer);
        &self.stripes[usize::from(hash.to_le_bytes()[4]) % STRIPES]
    }

    /// Notes a reservation.
    pub(crate) fn add(&self, buyer: &str, id: ReservationId) {
        if !buyer.is_empty() {
            let mut stripe = self.stripe(buyer).lock();
            let ids = stripe.entry_ref(buyer).or_default();
            if let Err(place) = ids.binary_search(&id) {
                ids.insert(place, id);
            }
        }
    }

    /// Drops what a shard has just forgotten.
    pub(crate) fn forget(&self, shard: &mut Shard) {
        for (buyer, id) in shard.forgotten.drain(..) {
            let mut stripe = self.stripe(&buyer).lock();
            if let Some(ids) = stripe.get_mut(&buyer) {
                ids.retain(|known| *known != id);
                if ids.is_empty() {
                    stripe.remove(&buyer);
                }
            }
        }
    }

    /// A buyer's reservations above `after`, ascending, at most `limit`.
    pub(crate) fn page(&self, buyer: &str, after: Option<ReservationId>, limit: usize) -> Vec<ReservationId> {
        let stripe = self.stripe(buyer).lock();
        let ids = stripe.get(buyer).map_or(&[][..], |ids| ids);
        ids.iter().copied().filter(|id| after.is_none_or(|after| *id > after)).take(limit).collect()
    }
}

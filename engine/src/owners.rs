//! Which reservations a buyer has. Derived from the reservations and never stored: it is built again at recovery.
//!
//! Buyers are known by a hash of their ids alone, of 40 bits: no text is kept a second time. So a buyer's list may, once in a while, hold
//! reservations of another, and whoever reads it looks at the reservations themselves. The lists lie one after another in ordered sets:
//! a buyer of one reservation costs no list, one of a million is found as fast. What is new waits in a small heap until there is enough of it to
//! go through a set once, in its order.

use std::cmp::Ordering;

use ahash::RandomState;
use crossbeam_utils::CachePadded;
use quartermaster_sync::Mutex;

use crate::{catalog::hasher, id::ReservationId, near, shard::Shard, sorted::Sorted};

/// So many that two threads seldom meet.
const STRIPES: usize = 256;

/// Reservations that wait for their place in a set: 1.5 MB in all stripes together. To settle so many takes some 50 µs.
const RECENT_MAX: usize = 512;

/// A buyer's reservation. The id stands in two halves, so that there is no padding.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Owned {
    /// Of the buyer.
    hash: u32,
    high: u32,
    low: u32,
}

impl Owned {
    /// All of it as one number, which is compared without a branch for each of its parts.
    fn number(self) -> u128 {
        u128::from(self.hash) << 64 | u128::from(self.high) << 32 | u128::from(self.low)
    }
}

impl Ord for Owned {
    fn cmp(&self, other: &Self) -> Ordering {
        self.number().cmp(&other.number())
    }
}

impl PartialOrd for Owned {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }

    fn lt(&self, other: &Self) -> bool {
        self.number() < other.number()
    }

    fn le(&self, other: &Self) -> bool {
        self.number() <= other.number()
    }
}

/// Where the reservations of a buyer are noted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buyer {
    stripe: u8,
    hash: u32,
}

/// The reservations of some buyers.
#[derive(Default)]
struct Stripe {
    settled: Sorted<Owned>,
    /// Those that came last, in no order.
    recent: Vec<Owned>,
}

impl Stripe {
    fn add(&mut self, own: Owned) {
        self.recent.push(own);
        if self.recent.len() >= RECENT_MAX {
            self.settle();
        }
    }

    fn remove(&mut self, own: Owned) {
        // What is forgotten is old, as a rule.
        if !self.settled.remove(&own) {
            self.recent.retain(|recent| *recent != own);
        }
    }

    /// All of them, in order.
    fn all(&mut self) -> &Sorted<Owned> {
        self.settle();
        &self.settled
    }

    fn settle(&mut self) {
        self.recent.sort_unstable();
        self.recent.dedup();
        self.settled.extend(&self.recent);
        self.recent.clear();
    }
}

/// Reservation ids by buyer, in stripes with a lock each. Its locks are taken last and alone.
pub(crate) struct Owners {
    stripes: Box<[CachePadded<Mutex<Stripe>>]>,
    hasher: RandomState,
}

impl Default for Owners {
    fn default() -> Self {
        let stripe = || CachePadded::new(Mutex::new(Stripe::default()));
        Self { stripes: (0..STRIPES).map(|_| stripe()).collect(), hasher: hasher() }
    }
}

impl Owners {
    /// Where a buyer's reservations are noted; those of nobody are not.
    pub(crate) fn buyer(&self, id: &str) -> Option<Buyer> {
        if id.is_empty() {
            return None;
        }
        let [a, b, c, d, stripe, ..] = self.hasher.hash_one(id).to_be_bytes();
        Some(Buyer { stripe, hash: u32::from_be_bytes([a, b, c, d]) })
    }

    fn stripe(&self, buyer: Buyer) -> &Mutex<Stripe> {
        &self.stripes[usize::from(buyer.stripe)]
    }

    /// Asks for the memory where a reservation of this buyer will be noted.
    pub(crate) fn ask_for(&self, buyer: Buyer) {
        near::ask_for(self.stripe(buyer));
    }

    /// Notes a reservation.
    pub(crate) fn add(&self, buyer: Option<Buyer>, id: ReservationId) {
        if let Some(buyer) = buyer {
            self.stripe(buyer).lock().add(owned(buyer, id));
        }
    }

    /// Drops what a shard has just forgotten.
    #[inline]
    pub(crate) fn forget(&self, shard: &mut Shard) {
        if !shard.forgotten.is_empty() {
            self.forget_all(shard);
        }
    }

    fn forget_all(&self, shard: &mut Shard) {
        for part in shard.forgotten.drain(..) {
            if let Some(buyer) = part.header().and_then(|header| self.buyer(header.buyer_id())) {
                self.stripe(buyer).lock().remove(owned(buyer, part.id()));
            }
        }
    }

    /// Ids above `after`, ascending, at most `limit`: a buyer's reservations, and perhaps some of another's.
    pub(crate) fn page(&self, buyer: &str, after: Option<ReservationId>, limit: usize) -> Vec<ReservationId> {
        let first = match after {
            None => Some(0),
            Some(after) => after.0.checked_add(1),
        };
        let Some((first, buyer)) = first.zip(self.buyer(buyer)) else { return Vec::new() };
        let mut stripe = self.stripe(buyer).lock();
        let own = stripe.all().from(owned(buyer, ReservationId(first))).take_while(|own| own.hash == buyer.hash);
        own.take(limit).map(|own| ReservationId(u64::from(own.high) << 32 | u64::from(own.low))).collect()
    }
}

fn owned(buyer: Buyer, id: ReservationId) -> Owned {
    let [a, b, c, d, e, f, g, h] = id.0.to_be_bytes();
    Owned { hash: buyer.hash, high: u32::from_be_bytes([a, b, c, d]), low: u32::from_be_bytes([e, f, g, h]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_removed_is_gone_from_the_new_and_from_the_old() {
        let mut stripe = Stripe::default();
        let own = |id: u64| owned(Buyer { stripe: 0, hash: 7 }, ReservationId(id));
        (0..1_100).rev().for_each(|id| stripe.add(own(id)));
        assert_eq!((stripe.settled.from(own(0)).count(), stripe.recent.len()), (1_024, 76));
        let gone = [3, 1_099, 75, 76];
        gone.into_iter().for_each(|id| stripe.remove(own(id)));
        stripe.add(own(400));
        assert!(stripe.all().from(own(0)).eq((0..1_100).filter(|id| !gone.contains(id)).map(own)));
        assert!(stripe.recent.is_empty());
    }

    #[test]
    fn reservations_are_in_the_order_of_buyer_and_id() {
        let parts = [(0, u64::MAX), (1, 0), (1, 1), (1, 1 << 32), (1, u64::MAX - 1), (u32::MAX, 0)];
        let all = parts.map(|(hash, id)| owned(Buyer { stripe: 0, hash }, ReservationId(id)));
        let compared = |one: &Owned, other: &Owned| (one < other, one <= other, one == other);
        assert!(all.windows(2).all(|pair| compared(&pair[0], &pair[1]) == (true, true, false)));
        assert!(all.windows(2).all(|pair| compared(&pair[1], &pair[0]) == (false, false, false)));
        assert!(all.iter().zip(&all).all(|(one, same)| compared(one, same) == (false, true, true)));
    }

    #[test]
    fn pages_of_a_buyer_are_in_order_and_nobody_elses() {
        let owners = Owners::default();
        let ids = [7, 1, 1 << 32, u64::MAX, (1 << 32) - 1, 5];
        let add = |buyer: &str, id| owners.add(owners.buyer(buyer), ReservationId(id));
        ids.into_iter().for_each(|id| add("b1", id));
        (0..1_000).for_each(|id| add(&format!("other {id}"), id));
        add("", 9);
        add("b1", 7);
        let page = |after: Option<u64>, limit| -> Vec<u64> {
            owners.page("b1", after.map(ReservationId), limit).into_iter().map(|id| id.0).collect()
        };
        assert_eq!(page(None, 99), [1, 5, 7, (1 << 32) - 1, 1 << 32, u64::MAX]);
        assert_eq!(page(Some(5), 2), [7, (1 << 32) - 1]);
        assert_eq!(page(Some(u64::MAX), 2), [0; 0]);
        assert_eq!(owners.page("", None, 9), []);
    }
}

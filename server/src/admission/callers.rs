//! Whose calls they are: by the address they come from, until callers prove who they are. Stochastic fairness (McKenney 1990): addresses
//! are spread over a fixed number of slots and those in one slot share, so that a flood of addresses costs no memory.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, Ordering};

/// Slots: many more than the gateways of a sale, so that two of them rarely share.
const SLOTS: usize = 256;

/// The slot of a caller. Made once a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller(u8);

impl Caller {
    /// Who calls from `address`.
    pub fn at(address: IpAddr) -> Caller {
        let mut hasher = std::hash::DefaultHasher::new();
        network(address).hash(&mut hasher);
        Caller(hasher.finish().to_le_bytes()[0])
    }
}

/// What counts as one address: an IPv6 subscriber has 2^64 of them, the first half of the address tells him apart.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

/// Calls in work by caller.
#[derive(Debug)]
pub(super) struct Callers {
    in_work: [AtomicU32; SLOTS],
    /// Slots that have any.
    active: AtomicU32,
}

impl Default for Callers {
    fn default() -> Callers {
        Callers { in_work: std::array::from_fn(|_| AtomicU32::new(0)), active: AtomicU32::new(0) }
    }
}

impl Callers {
    pub(super) fn enter(&self, caller: Caller) {
        if self.in_work[usize::from(caller.0)].fetch_add(1, Ordering::Relaxed) == 0 {
            self.active.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn leave(&self, caller: Caller) {
        if self.in_work[usize::from(caller.0)].fetch_sub(1, Ordering::Relaxed) == 1 {
            self.active.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Those of one caller.
    pub(super) fn of(&self, caller: Caller) -> u32 {
        self.in_work[usize::from(caller.0)].load(Ordering::Relaxed)
    }

    /// Callers with calls in work. Between a call's two counts it may be off by one.
    pub(super) fn active(&self) -> u32 {
        self.active.load(Ordering::Relaxed).min(256)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_callers_while_they_have_calls() {
        let callers = Callers::default();
        let (one, other) = (Caller(1), Caller(2));
        callers.enter(one);
        callers.enter(one);
        callers.enter(other);
        assert_eq!((callers.active(), callers.of(one), callers.of(other)), (2, 2, 1));
        callers.leave(one);
        callers.leave(other);
        assert_eq!((callers.active(), callers.of(one)), (1, 1));
    }

    #[test]
    fn a_subscriber_is_one_address() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
    }
}

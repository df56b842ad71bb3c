//! Open connections by the address they come from, so that no single one takes all places.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::admission::network;

/// Counts them. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    /// Held for one map operation when a connection begins or ends. Only addresses with connections are in it.
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
    max: usize,
}

/// A place for a connection; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Place {
    addresses: Addresses,
    address: IpAddr,
}

impl Addresses {
    /// At most `max` from each address.
    pub(super) fn at_most(max: usize) -> Addresses {
        Addresses { open: Arc::default(), max }
    }

    /// A place for a connection from `address`, or none when it has as many as it may.
    pub(super) fn enter(&self, address: IpAddr) -> Option<Place> {
        let address = network(address);
        let mut open = self.open.lock();
        let count = open.entry(address).or_default();
        // An address that is new gets a place: the bound is at least 1.
        (*count < self.max).then(|| {
            *count += 1;
            Place { addresses: self.clone(), address }
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.addresses.open.lock();
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_places_and_no_more_and_leaves_nothing_behind() {
        let addresses = Addresses::at_most(2);
        let (one, other) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let first = addresses.enter(one).unwrap();
        let second = addresses.enter(one).unwrap();
        assert!(addresses.enter(one).is_none());
        let third = addresses.enter(other).unwrap();
        drop(first);
        let fourth = addresses.enter(one).unwrap();
        drop((second, third, fourth));
        assert!(addresses.open.lock().is_empty());
    }
}

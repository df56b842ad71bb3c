//! What plans cost, one by one and added up.

use quartermaster_routing::{Allocation, LocationId, Money};

use crate::network::Site;

/// What one plan ships and costs, counted from its allocations alone whoever made it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bill {
    pub(crate) units: u64,
    pub(crate) parcels: u64,
    pub(crate) cost: Money,
}

impl Bill {
    pub(crate) fn of(allocations: &[Allocation], sites: &[Site]) -> Self {
        let mut bill = Self { units: 0, parcels: 0, cost: Money(0) };
        for site in sites {
            let here = allocations.iter().filter(|allocation| allocation.location == site.id);
            let units: u64 = here.map(|allocation| u64::from(allocation.quantity.0)).sum();
            if units > 0 {
                bill.units += units;
                bill.parcels += 1;
                let picked = i64::try_from(units).expect("an order's units are far below the range");
                bill.cost.0 += site.parcel_cost.0 + site.pick_unit_cost.0 * picked;
            }
        }
        bill
    }
}

/// The bills of many orders.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    pub(crate) orders: u64,
    pub(crate) wanted: u64,
    pub(crate) units: u64,
    pub(crate) parcels: u64,
    /// Orders of more than one parcel.
    pub(crate) split: u64,
    pub(crate) cost: Money,
    /// Of all allocations in order: equal for equal plans, whatever the machine.
    pub(crate) fingerprint: u64,
}

impl Default for Tally {
    fn default() -> Self {
        let fingerprint = FNV_OFFSET;
        Self { orders: 0, wanted: 0, units: 0, parcels: 0, split: 0, cost: Money(0), fingerprint }
    }
}

/// FNV-1a of 64 bits.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x100_0000_01b3;

impl Tally {
    pub(crate) fn add(&mut self, wanted: u64, bill: &Bill, allocations: &[Allocation]) {
        self.orders += 1;
        self.wanted += wanted;
        self.units += bill.units;
        self.parcels += bill.parcels;
        self.split += u64::from(bill.parcels > 1);
        self.cost.0 += bill.cost.0;
        for Allocation { location: LocationId(location), sku, quantity } in allocations {
            let words = [*location, sku.0, quantity.0];
            for byte in words.into_iter().flat_map(u32::to_le_bytes) {
                self.fingerprint = (self.fingerprint ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use quartermaster_routing::{SkuId, Units};

    use super::*;
    use crate::walks::tests::example;

    #[test]
    fn a_location_is_paid_once_and_each_unit_picked() {
        let (_, _, sites) = example();
        let part = |location, sku, units| Allocation {
            location: LocationId(location),
            sku: SkuId(sku),
            quantity: Units(units),
        };
        let plan = [part(0, 0, 1), part(2, 0, 2), part(0, 2, 1)];
        let bill = Bill::of(&plan, &sites);
        assert_eq!(bill, Bill { units: 4, parcels: 2, cost: Money(420 + 385 + 40) });
        let mut tally = Tally::default();
        tally.add(9, &bill, &plan);
        tally.add(1, &Bill::of(&plan[..1], &sites), &plan[..1]);
        assert_eq!((tally.orders, tally.wanted, tally.units, tally.parcels, tally.split), (2, 10, 5, 3, 1));
        let mut other = Tally::default();
        other.add(9, &bill, &plan[1..]);
        assert_ne!(tally.fingerprint, other.fingerprint);
    }
}

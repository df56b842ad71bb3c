//! One decision maker's world: the stock as its own decisions left it.

use std::collections::HashMap;

use quartermaster_routing::{Allocation, LocationId, SkuId, Units};

use crate::history::{DocumentId, History, Returned, Wanted};

/// Units on hand of every SKU at every location.
#[derive(Clone, Debug)]
pub(crate) struct Stock {
    locations: usize,
    /// By SKU, then location.
    on_hand: Vec<Units>,
}

impl Stock {
    pub(crate) fn new(skus: usize, locations: usize) -> Self {
        Self { locations, on_hand: vec![Units(0); skus * locations] }
    }

    /// What each location has of `sku`, by ascending location.
    pub(crate) fn row(&self, sku: SkuId) -> &[Units] {
        let start = position(sku.0) * self.locations;
        &self.on_hand[start..start + self.locations]
    }

    pub(crate) fn at(&self, location: LocationId, sku: SkuId) -> Units {
        self.row(sku)[position(location.0)]
    }

    pub(crate) fn cell(&mut self, location: LocationId, sku: SkuId) -> &mut Units {
        &mut self.on_hand[position(sku.0) * self.locations + position(location.0)]
    }

    /// Units of the line that all locations together have, at most what it wants.
    pub(crate) fn servable(&self, line: Wanted) -> u64 {
        let there: u64 = self.row(line.sku).iter().map(|units| u64::from(units.0)).sum();
        there.min(u64::from(line.units.0))
    }
}

fn position(id: u32) -> usize {
    usize::try_from(id).expect("ids were given by position")
}

/// Stock, and what went out with each sale.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) stock: Stock,
    shipped: HashMap<(DocumentId, SkuId), u64>,
}

impl World {
    /// The world before the first event.
    pub(crate) fn new(history: &History) -> Self {
        let mut stock = Stock::new(history.skus.len(), history.network.len());
        for (location, sku, units) in &history.opening {
            stock.cell(*location, *sku).0 += units.0;
        }
        Self { stock, shipped: HashMap::new() }
    }

    pub(crate) fn receive(&mut self, location: LocationId, sku: SkuId, units: Units) {
        self.stock.cell(location, sku).0 += units.0;
    }

    /// A count below zero is a count of zero: the units it misses were sold here and not there.
    pub(crate) fn adjust(&mut self, location: LocationId, sku: SkuId, delta: i64) {
        let cell = self.stock.cell(location, sku);
        cell.0 = u32::try_from((i64::from(cell.0) + delta).max(0)).expect("counts are far below the range");
    }

    /// Takes a sale's units out of the stock. Panics when a unit is not there: no decision maker may promise it.
    pub(crate) fn ship(&mut self, sale: DocumentId, allocations: &[Allocation]) {
        for Allocation { location, sku, quantity } in allocations {
            let cell = self.stock.cell(*location, *sku);
            cell.0 = cell.0.checked_sub(quantity.0).expect("an allocation takes what is there");
            *self.shipped.entry((sale, *sku)).or_default() += u64::from(quantity.0);
        }
    }

    /// Puts returned units on the shelf at `location`: at most what this world shipped with the sale, and all of those
    /// whose sale is not part of the history.
    pub(crate) fn take_back(&mut self, location: LocationId, line: Returned) {
        let mut units = u64::from(line.units.0);
        if let Some(sale) = line.sale {
            let out = self.shipped.entry((sale, line.sku)).or_default();
            units = units.min(*out);
            *out -= units;
        }
        self.stock.cell(location, line.sku).0 += u32::try_from(units).expect("at most the line's units");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: LocationId = LocationId(0);
    const THERE: LocationId = LocationId(1);
    const SKU: SkuId = SkuId(1);

    fn world() -> World {
        let mut world = World { stock: Stock::new(2, 2), shipped: HashMap::new() };
        world.receive(THERE, SKU, Units(5));
        world
    }

    #[test]
    fn a_count_stops_at_zero() {
        let mut world = world();
        world.adjust(THERE, SKU, -2);
        assert_eq!(world.stock.at(THERE, SKU), Units(3));
        world.adjust(THERE, SKU, -9);
        assert_eq!(world.stock.row(SKU), [Units(0), Units(0)]);
        assert_eq!(world.stock.servable(Wanted { sku: SKU, units: Units(1) }), 0);
    }

    #[test]
    fn no_more_comes_back_than_went_out() {
        let mut world = world();
        let sale = DocumentId(3);
        world.ship(sale, &[Allocation { location: THERE, sku: SKU, quantity: Units(4) }]);
        let returned = |units, sale| Returned { sku: SKU, units: Units(units), sale };
        world.take_back(HERE, returned(3, Some(sale)));
        world.take_back(HERE, returned(3, Some(sale)));
        assert_eq!(world.stock.row(SKU), [Units(4), Units(1)]);
        world.take_back(HERE, returned(7, None));
        assert_eq!(world.stock.row(SKU), [Units(11), Units(1)]);
        assert_eq!(world.stock.servable(Wanted { sku: SKU, units: Units(90) }), 12);
    }

    #[test]
    #[should_panic(expected = "takes what is there")]
    fn stock_that_is_not_there_cannot_be_shipped() {
        world().ship(DocumentId(0), &[Allocation { location: HERE, sku: SKU, quantity: Units(1) }]);
    }
}

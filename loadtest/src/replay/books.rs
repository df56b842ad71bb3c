//! The replay's own books: what every cell must hold, from the files and from the server's answers, whatever order they came in.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use super::data_set::{CellNo, DataSet, PlaceNo, SkuNo};

/// Units by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// In the opening stock.
    pub opening: u64,
    /// Received from suppliers.
    pub received: u64,
    /// Adjusted, found less lost, as the server did it.
    pub adjusted: i64,
    /// Of negative adjustments: units that were not there to be taken away.
    pub clipped: u64,
    /// Adjustments that were clipped.
    pub clipped_adjustments: u64,
    /// Returned by customers and received.
    pub returned: u64,
    /// On returns of known sales: units that had never been shipped, so that they could not come back.
    pub returned_unshipped: u64,
    /// Ordered.
    pub demanded: u64,
    /// Ordered and not there.
    pub unfilled: u64,
    /// Held and then given back before payment.
    pub released: u64,
    /// Held and then left to expire.
    pub expired: u64,
    /// Cancelled after payment.
    pub cancelled: u64,
    /// Shipped.
    pub shipped: u64,
    /// Orders.
    pub orders: u64,
    /// Lines of orders.
    pub lines: u64,
    /// Orders that got every unit.
    pub orders_whole: u64,
    /// Orders that got at least one unit.
    pub orders_served: u64,
    /// Orders served from more than one location.
    pub orders_split: u64,
    /// Returns.
    pub returns: u64,
}

/// What must be on hand, cell by cell, and what became of every unit.
#[derive(Debug, Default)]
pub(super) struct Books {
    on_hand: BTreeMap<CellNo, i64>,
    /// What was shipped for orders that something is returned from, less what came back.
    sent: HashMap<String, BTreeMap<SkuNo, Vec<(PlaceNo, u64)>>>,
    returned_from: HashSet<String>,
    finished: HashSet<String>,
    /// Units by what became of them.
    pub(super) totals: Totals,
    /// Answers that contradict what was asked or answered before.
    pub(super) contradictions: Vec<String>,
}

impl Books {
    /// The books of a set before anything happened. `returned_from` names the orders that a return refers to.
    pub(super) fn open(set: &DataSet, returned_from: HashSet<String>) -> Self {
        let mut books = Books { returned_from, ..Books::default() };
        for goods in &set.opening {
            *books.on_hand.entry(goods.cell).or_default() += i64::from(goods.units);
            books.totals.opening += u64::from(goods.units);
        }
        books
    }

    /// Units that must be on hand at `cell`.
    pub(super) fn on_hand(&self, cell: CellNo) -> i64 {
        self.on_hand.get(&cell).copied().unwrap_or(0)
    }

    /// Every cell that ever held something.
    pub(super) fn cells(&self) -> &BTreeMap<CellNo, i64> {
        &self.on_hand
    }

    /// Goods arrived.
    pub(super) fn received(&mut self, cell: CellNo, units: u32) {
        *self.on_hand.entry(cell).or_default() += i64::from(units);
        self.totals.received += u64::from(units);
    }

    /// Stock was corrected by `delta`; `clipped` further units should have gone and were not there.
    pub(super) fn adjusted(&mut self, cell: CellNo, delta: i64, clipped: u64) {
        *self.on_hand.entry(cell).or_default() += delta;
        self.totals.adjusted += delta;
        self.totals.clipped += clipped;
        self.totals.clipped_adjustments += u64::from(clipped > 0);
    }

    /// Units left for `order`.
    pub(super) fn shipped(&mut self, order: &str, cell: CellNo, units: u64) {
        *self.on_hand.entry(cell).or_default() -= i64::try_from(units).unwrap_or(i64::MAX);
        self.totals.shipped += units;
        if self.returned_from.contains(order) {
            let places = self.sent.entry(order.to_owned()).or_default().entry(cell.0).or_default();
            match places.iter_mut().find(|(place, _)| *place == cell.1) {
                Some((_, sent)) => *sent += units,
                None => places.push((cell.1, units)),
            }
            places.sort_unstable();
        }
    }

    /// Everything that will be shipped for `order` has been.
    pub(super) fn finished(&mut self, order: &str) {
        if self.returned_from.contains(order) {
            self.finished.insert(order.to_owned());
        }
    }

    /// Whether [`Books::finished`] was called for `order`.
    pub(super) fn is_finished(&self, order: &str) -> bool {
        self.finished.contains(order)
    }

    /// Takes up to `units` of `sku` out of what `order` was sent: where they come back to. The rest was never shipped.
    pub(super) fn take_back(&mut self, order: &str, sku: SkuNo, units: u32) -> Vec<(PlaceNo, u64)> {
        let mut left = u64::from(units);
        let mut back = Vec::new();
        let sent = self.sent.get_mut(order).and_then(|skus| skus.get_mut(&sku));
        for (place, sent) in sent.into_iter().flatten() {
            let here = left.min(*sent);
            if here > 0 {
                *sent -= here;
                left -= here;
                back.push((*place, here));
            }
        }
        self.totals.returned_unshipped += left;
        back
    }

    /// Units came back to `cell`.
    pub(super) fn returned(&mut self, cell: CellNo, units: u64) {
        *self.on_hand.entry(cell).or_default() += i64::try_from(units).unwrap_or(i64::MAX);
        self.totals.returned += units;
    }

    /// An answer contradicts what was asked, or another answer.
    pub(super) fn contradiction(&mut self, what: String) {
        self.contradictions.push(what);
    }
}

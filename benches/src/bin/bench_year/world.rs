//! A history as it is played: places, goods, opening stock, and what the outside did and when.

use std::collections::HashMap;

use quartermaster_engine::time::{Micros, Timestamp};

/// A place by its position in the list.
pub(crate) type Place = usize;
/// A SKU by its position in the list.
pub(crate) type Good = usize;

/// A location.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) code: String,
    pub(crate) kind: Kind,
}

/// What a location is, those that are asked for stock first before the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Dc,
    Rdc,
    Store,
}

/// A SKU.
#[derive(Clone, Debug, Default)]
pub(crate) struct Article {
    pub(crate) code: String,
    pub(crate) style: String,
    pub(crate) colour: String,
    pub(crate) size: String,
    pub(crate) category: String,
    /// Among those that make up most of the sales.
    pub(crate) best: bool,
    /// Units that the whole history asks for.
    pub(crate) asked: u64,
}

/// Units of a SKU that arrive at a place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receipt {
    pub(crate) good: Good,
    pub(crate) units: u32,
}

/// What arrives at one place at one time: a purchase order.
#[derive(Clone, Debug)]
pub(crate) struct Purchase {
    pub(crate) at: Timestamp,
    pub(crate) place: Place,
    /// Each SKU once.
    pub(crate) lines: Vec<Receipt>,
}

/// A correction of the first place's stock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Correction {
    pub(crate) at: Timestamp,
    pub(crate) good: Good,
    pub(crate) delta: i64,
}

/// A customer's order.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) at: Timestamp,
    pub(crate) code: String,
    pub(crate) buyer: String,
    /// It comes in by the trade channel.
    pub(crate) trade: bool,
    /// Each SKU once, by SKU.
    pub(crate) lines: Vec<(Good, u32)>,
}

/// Units that come back.
#[derive(Clone, Debug)]
pub(crate) struct Return {
    pub(crate) at: Timestamp,
    pub(crate) code: String,
    pub(crate) lines: Vec<ReturnLine>,
}

/// Units of one SKU that come back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReturnLine {
    pub(crate) good: Good,
    pub(crate) units: u32,
    /// The order they were bought with, by its place in the list.
    pub(crate) order: Option<usize>,
}

/// A flash sale as it is planned.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sale {
    pub(crate) starts_at: Timestamp,
    pub(crate) ends_at: Timestamp,
    pub(crate) goods: Vec<Good>,
    /// Units of each SKU in each tranche.
    pub(crate) tranche: Vec<u32>,
    /// Units a buyer may have.
    pub(crate) buyer_limit: u32,
}

impl Sale {
    /// A third of its time.
    pub(crate) fn third(&self) -> Micros {
        Micros((self.ends_at.0 - self.starts_at.0) / 3)
    }
}

/// A whole history. Lists of what happened are in order of time.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) sites: Vec<Site>,
    pub(crate) goods: Vec<Article>,
    pub(crate) opening: Vec<(Place, Good, u32)>,
    pub(crate) purchases: Vec<Purchase>,
    pub(crate) corrections: Vec<Correction>,
    pub(crate) orders: Vec<Order>,
    pub(crate) returns: Vec<Return>,
    pub(crate) sale: Option<Sale>,
    /// How long before they arrive goods are announced.
    pub(crate) announced_ahead: Micros,
    /// Names of the channel for small and for large orders.
    pub(crate) channels: [&'static str; 2],
    /// Lines of orders whose SKU the catalogue does not have.
    pub(crate) unknown: u64,
}

impl World {
    /// The first place by kind: where corrections apply.
    pub(crate) fn first_dc(&self) -> Place {
        (0..self.sites.len()).min_by_key(|place| (self.sites[*place].kind, *place)).unwrap_or(0)
    }

    /// The first shop.
    pub(crate) fn first_store(&self) -> Place {
        (0..self.sites.len()).find(|place| self.sites[*place].kind == Kind::Store).unwrap_or(0)
    }

    /// When the history begins.
    pub(crate) fn start(&self) -> Timestamp {
        let firsts = [
            self.orders.first().map(|order| order.at),
            self.purchases.first().map(|purchase| purchase.at),
            self.corrections.first().map(|correction| correction.at),
        ];
        firsts.into_iter().flatten().min().unwrap_or_default()
    }

    /// When the last thing of the history happens.
    pub(crate) fn end(&self) -> Timestamp {
        let lasts = [
            self.orders.last().map(|order| order.at),
            self.returns.last().map(|back| back.at),
            self.purchases.last().map(|purchase| purchase.at),
            self.corrections.last().map(|correction| correction.at),
        ];
        lasts.into_iter().flatten().max().unwrap_or_default()
    }

    /// SKUs by the units that orders of some time ask for, the most first.
    pub(crate) fn best_sellers(&self, from: Timestamp, until: Timestamp) -> Vec<(Good, u64)> {
        let mut asked: HashMap<Good, u64> = HashMap::new();
        for order in self.orders.iter().filter(|order| from <= order.at && order.at < until) {
            for (good, units) in &order.lines {
                *asked.entry(*good).or_default() += u64::from(*units);
            }
        }
        let mut asked: Vec<(Good, u64)> = asked.into_iter().collect();
        asked.sort_unstable_by_key(|(good, units)| (std::cmp::Reverse(*units), *good));
        asked
    }

    /// Plays fewer orders: returns of the others go with them, and nothing happens after the last.
    pub(crate) fn cut(&mut self, orders_max: usize) {
        if orders_max >= self.orders.len() {
            return;
        }
        self.orders.truncate(orders_max);
        let end = self.orders.last().map_or(Timestamp(0), |order| order.at);
        self.purchases.retain(|purchase| purchase.at <= end);
        self.corrections.retain(|correction| correction.at <= end);
        self.returns.retain(|back| back.at <= end);
        for line in self.returns.iter_mut().flat_map(|back| &mut back.lines) {
            line.order = line.order.filter(|order| *order < orders_max);
        }
    }
}

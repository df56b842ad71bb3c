//! What is asked for: orders by number, of the same shape for every contender.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quartermaster_loadtest::random::{SplitMix64, Zipf};
use serde::{Deserialize, Serialize};

/// SKUs that ordinary orders ask for.
pub(crate) const SKUS: u32 = 100_000;
/// Locations, each with a cell of every one of them.
pub(crate) const LOCATIONS: u32 = 10;
/// The SKU everybody wants; stocked at location 0 alone.
pub(crate) const HOT: u32 = SKUS;
/// The SKU that is sold out.
pub(crate) const SOLD_OUT: u32 = SKUS + 1;
/// Units in each stocked cell: more than any run takes.
pub(crate) const UNITS: u32 = 2_000_000_000;

/// How long a reservation is held: longer than the comparison lasts, so that nobody is measured while ending some.
pub(crate) const HELD_FOR: Duration = Duration::from_secs(4 * 3_600);

/// Units of all cells together, before anything is taken.
pub(crate) fn units_in_all() -> u64 {
    u64::from(UNITS) * (u64::from(SKUS) * u64::from(LOCATIONS) + 1)
}

/// Shape of the demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scenario {
    /// One SKU at one location.
    Hot,
    /// One line, Zipf law with exponent 1 over 100,000 SKUs, any of 10 locations.
    Zipf,
    /// The same with three lines of three SKUs.
    ThreeLines,
    /// One line; 99 of 100 ask for a SKU that is sold out, the rest as `zipf`.
    SoldOut,
}

impl Scenario {
    /// As the tables have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Scenario::Hot => "one hot SKU",
            Scenario::Zipf => "Zipf, 100,000 SKUs x 10",
            Scenario::ThreeLines => "3 lines, Zipf",
            Scenario::SoldOut => "99 % sold out",
        }
    }
}

/// One unit of a SKU at a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) sku: u32,
    pub(crate) location: u32,
}

/// Lines of an order at most.
const LINES_MAX: usize = 3;

/// An order under a request id of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    /// Unique in a run of the comparison.
    pub(crate) id: u64,
    lines: [Line; LINES_MAX],
    lines_count: usize,
}

impl Order {
    fn one(id: u64, line: Line) -> Order {
        Order { id, lines: [line; LINES_MAX], lines_count: 1 }
    }

    /// One to three lines, no SKU twice.
    pub(crate) fn lines(&self) -> &[Line] {
        &self.lines[..self.lines_count]
    }

    /// Halves of the request id: 32 digits in hexadecimal, as a UUID without its dashes has.
    pub(crate) fn request_id(&self) -> [u64; 2] {
        [SplitMix64::new(self.id).bits(), self.id]
    }

    /// The request id as text.
    pub(crate) fn request_id_text(&self) -> String {
        let [first, second] = self.request_id();
        format!("{first:016x}{second:016x}")
    }

    /// A buyer, one of a million.
    pub(crate) fn buyer(&self) -> u64 {
        SplitMix64::new(self.id ^ 0xB0).below(1_000_000)
    }
}

/// Draws orders; ids are never given twice, whoever draws.
#[derive(Clone, Debug)]
pub(crate) struct Demand {
    scenario: Scenario,
    zipf: Arc<Zipf>,
    next: Arc<AtomicU64>,
}

impl Demand {
    pub(crate) fn new() -> Demand {
        let ranks = NonZeroU32::new(SKUS).expect("there are SKUs");
        Demand { scenario: Scenario::Zipf, zipf: Arc::new(Zipf::new(ranks, 1.0)), next: Arc::default() }
    }

    /// The same source of ids with another shape.
    pub(crate) fn of(&self, scenario: Scenario) -> Demand {
        Demand { scenario, ..self.clone() }
    }

    /// Orders for one round trip.
    pub(crate) fn draw(&self, count: usize) -> Vec<Order> {
        let wide = u64::try_from(count).unwrap_or(u64::MAX);
        let first = self.next.fetch_add(wide, Ordering::Relaxed);
        (first..first + wide).map(|id| self.order(id)).collect()
    }

    fn order(&self, id: u64) -> Order {
        let mut random = SplitMix64::for_item(11, id);
        match self.scenario {
            Scenario::Hot => Order::one(id, Line { sku: HOT, location: 0 }),
            Scenario::SoldOut if random.below(100) != 0 => Order::one(id, Line { sku: SOLD_OUT, location: 0 }),
            Scenario::Zipf | Scenario::SoldOut => Order::one(id, self.line(&mut random)),
            Scenario::ThreeLines => self.distinct(id, &mut random),
        }
    }

    fn line(&self, random: &mut SplitMix64) -> Line {
        let sku = u32::try_from(self.zipf.sample(random)).expect("ranks fit");
        let location = u32::try_from(random.below(LOCATIONS.into())).expect("there are few locations");
        Line { sku, location }
    }

    fn distinct(&self, id: u64, random: &mut SplitMix64) -> Order {
        let mut order = Order::one(id, self.line(random));
        while order.lines_count < LINES_MAX {
            let line = self.line(random);
            if order.lines().iter().all(|other| other.sku != line.sku) {
                order.lines[order.lines_count] = line;
                order.lines_count += 1;
            }
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_shapes_are_kept() {
        let demand = Demand::new();
        let three = demand.of(Scenario::ThreeLines).draw(1_000);
        let sold_out = demand.of(Scenario::SoldOut).draw(10_000);
        assert!(three.iter().chain(&sold_out).enumerate().all(|(place, order)| order.id == place as u64));
        for order in &three {
            let [a, b, c] = order.lines() else { panic!("{order:?}") };
            assert!(a.sku != b.sku && b.sku != c.sku && a.sku != c.sku);
        }
        let gone = sold_out.iter().filter(|order| order.lines()[0].sku == SOLD_OUT).count();
        assert!((9_850..=9_950).contains(&gone), "{gone}");
        assert_eq!(three[0].request_id_text().len(), 32);
    }
}

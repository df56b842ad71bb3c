//! The rules of thumb that the exact solver is held against: each asks one location after the other, and takes from it all
//! that the order still wants. So each ships as many units as there are; only where from differs.

use std::cmp::Reverse;

use quartermaster_routing::{Allocation, LocationId};

use crate::history::Wanted;
use crate::network::Site;
use crate::world::Stock;

/// Which location is asked next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Walk {
    /// The nearest to the receiver.
    Nearest,
    /// By kind, then id, wherever the receiver is.
    Priority,
    /// The one that can serve most of the units still wanted.
    MostUnits,
    /// The one that can serve most of the lines still wanted to their end, then most units.
    MostComplete,
}

impl Walk {
    pub(crate) const ALL: [Self; 4] = [Self::Nearest, Self::Priority, Self::MostUnits, Self::MostComplete];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nearest => "nearest first",
            Self::Priority => "priority first",
            Self::MostUnits => "most units first",
            Self::MostComplete => "most complete first",
        }
    }

    /// What the walk takes from where. Equal locations are asked by distance, then id.
    pub(crate) fn plan(self, lines: &[Wanted], stock: &Stock, sites: &[Site]) -> Vec<Allocation> {
        let mut order: Vec<&Site> = sites.iter().collect();
        order.sort_by_key(|site| match self {
            Self::Priority => (Some(site.kind), 0, site.id),
            Self::Nearest | Self::MostUnits | Self::MostComplete => (None, site.metres, site.id),
        });
        let mut wanted = lines.to_vec();
        let mut taken = Vec::new();
        match self {
            Self::Nearest | Self::Priority => {
                for site in order {
                    take(site.id, &mut wanted, stock, &mut taken);
                }
            }
            Self::MostUnits | Self::MostComplete => {
                let by_lines = self == Self::MostComplete;
                while let Some(best) = best(&order, &wanted, stock, by_lines) {
                    take(best, &mut wanted, stock, &mut taken);
                    order.retain(|site| site.id != best);
                }
            }
        }
        taken
    }
}

/// Moves all that `location` has of the units wanted from `wanted` to `taken`.
fn take(location: LocationId, wanted: &mut Vec<Wanted>, stock: &Stock, taken: &mut Vec<Allocation>) {
    for line in wanted.iter_mut() {
        let quantity = stock.at(location, line.sku).min(line.units);
        if quantity.0 > 0 {
            line.units.0 -= quantity.0;
            taken.push(Allocation { location, sku: line.sku, quantity });
        }
    }
    wanted.retain(|line| line.units.0 > 0);
}

/// The site that can serve most, the first among equals; `None` when none can serve anything.
fn best(order: &[&Site], wanted: &[Wanted], stock: &Stock, by_lines: bool) -> Option<LocationId> {
    let score = |site: &Site| {
        let (mut whole, mut units) = (0_u64, 0);
        for line in wanted {
            let there = stock.at(site.id, line.sku).min(line.units);
            whole += u64::from(by_lines && there == line.units);
            units += u64::from(there.0);
        }
        (whole, units)
    };
    let scored = order.iter().map(|site| (score(site), site.id));
    // `min_by_key` keeps the first among equals, `max_by_key` the last.
    scored.filter(|((_, units), _)| *units > 0).min_by_key(|(score, _)| Reverse(*score)).map(|(_, id)| id)
}

#[cfg(test)]
pub(crate) mod tests {
    use quartermaster_routing::{Money, SkuId, Units};

    use super::*;
    use crate::network::Kind;

    /// Three locations, the order's lines `A x4, B x1, C x1`, and what each has of them.
    pub(crate) fn example() -> (Vec<Wanted>, Stock, Vec<Site>) {
        let site = |id, kind, metres, parcel| Site {
            id: LocationId(id),
            kind,
            metres,
            parcel_cost: Money(parcel),
            pick_unit_cost: Money(10),
        };
        let sites =
            vec![site(0, Kind::Store, 1_000, 420), site(1, Kind::Dc, 900_000, 760), site(2, Kind::Rdc, 90_000, 385)];
        let mut stock = Stock::new(3, 3);
        for (location, units) in [(0, [1, 0, 1]), (1, [4, 0, 0]), (2, [2, 1, 1])] {
            for (sku, units) in (0..).zip(units) {
                *stock.cell(LocationId(location), SkuId(sku)) = Units(units);
            }
        }
        let lines = (0..).zip([4, 1, 1]).map(|(sku, units)| Wanted { sku: SkuId(sku), units: Units(units) }).collect();
        (lines, stock, sites)
    }

    /// `location:SKU*units`, in the order taken.
    fn taken(walk: Walk) -> String {
        let (lines, stock, sites) = example();
        let plan = walk.plan(&lines, &stock, &sites);
        let parts: Vec<_> = plan.iter().map(|a| format!("{}:{}*{}", a.location, a.sku, a.quantity)).collect();
        parts.join(" ")
    }

    #[test]
    fn the_nearest_gives_all_it_has() {
        assert_eq!(taken(Walk::Nearest), "0:0*1 0:2*1 2:0*2 2:1*1 1:0*1");
    }

    #[test]
    fn the_priority_is_kind_before_id() {
        assert_eq!(taken(Walk::Priority), "1:0*4 2:1*1 2:2*1");
    }

    /// Locations 1 and 2 can both serve four units; 2 is nearer. Then two of A are left, 1 has them.
    #[test]
    fn most_units_are_counted_again_after_each_location() {
        assert_eq!(taken(Walk::MostUnits), "2:0*2 2:1*1 2:2*1 1:0*2");
    }

    /// Location 2 serves two lines in full, each other one; then 1 finishes A.
    #[test]
    fn complete_lines_come_before_units() {
        assert_eq!(taken(Walk::MostComplete), "2:0*2 2:1*1 2:2*1 1:0*2");
        let (mut lines, stock, sites) = example();
        lines.retain(|line| line.sku != SkuId(1));
        lines[0].units = Units(9);
        // No one has nine of A; 0 and 2 complete C, 2 with more units.
        let first = Walk::MostComplete.plan(&lines, &stock, &sites)[0].location;
        assert_eq!(first, LocationId(2));
        let first = Walk::MostUnits.plan(&lines, &stock, &sites)[0].location;
        assert_eq!(first, LocationId(1));
    }

    #[test]
    fn every_walk_ships_what_there_is() {
        let (mut lines, stock, sites) = example();
        lines[0].units = Units(100);
        for walk in Walk::ALL {
            let units: u32 = walk.plan(&lines, &stock, &sites).iter().map(|a| a.quantity.0).sum();
            assert_eq!(units, 7 + 1 + 1, "{}", walk.name());
        }
    }
}

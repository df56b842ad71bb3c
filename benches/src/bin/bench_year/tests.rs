//! A few made-up days through the whole of it: the same code as a year, in a second.

use quartermaster_engine::time::{Micros, Timestamp};

use crate::{
    calendar::{DAY, HOUR, MINUTE, stamp, times},
    reading,
    world::{Article, Correction, Kind, Order, Purchase, Receipt, Return, ReturnLine, Site, World},
    year,
};

/// Numbers by a step that has no divisor in common with what they are taken modulo.
struct Steps(usize);

impl Steps {
    fn below(&mut self, bound: usize) -> usize {
        self.0 += 7_919;
        self.0 / 7 % bound
    }
}

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap()
}

fn sites() -> Vec<Site> {
    let site = |(code, kind): (&str, Kind)| Site { code: code.to_owned(), kind };
    [("D1", Kind::Dc), ("R1", Kind::Rdc), ("S1", Kind::Store), ("S2", Kind::Store)].map(site).to_vec()
}

/// Three weeks of sixty SKUs: little stock, receipts every few days, an order every quarter of an hour in the day.
fn weeks() -> World {
    let (mut steps, start) = (Steps(1), stamp("2024-03-01T00:00:00").unwrap());
    let mut world =
        World { sites: sites(), channels: ["web", "trade"], announced_ahead: times(DAY, 4), ..World::default() };
    for number in 0..60 {
        world.goods.push(Article { code: format!("A{number:02}"), best: number < 20, ..Article::default() });
        for place in 0..4 {
            world.opening.push((place, number, small(steps.below(if place == 0 { 60 } else { 6 }))));
        }
    }
    for number in 0..45_u64 {
        let at = start.plus(times(HOUR, 11 * number));
        let place = if number % 3 == 0 { 1 + steps.below(3) } else { 0 };
        let from = steps.below(30);
        let lines = (from..from + 25).map(|good| Receipt { good, units: 5 + small(steps.below(40)) }).collect();
        world.purchases.push(Purchase { at, place, lines });
    }
    for number in 0..600_u64 {
        let at = start.plus(times(HOUR, 8)).plus(times(MINUTE, 48 * number));
        let trade = number % 5 == 4;
        let count = if trade { 20 + steps.below(10) } else { 1 + steps.below(4) };
        let mut lines: Vec<(usize, u32)> =
            (0..count).map(|_| (steps.below(60).min(steps.below(60)), 1 + small(steps.below(5)))).collect();
        lines.sort_unstable();
        lines.dedup_by_key(|(good, _)| *good);
        lines.iter().for_each(|(good, units)| world.goods[*good].asked += u64::from(*units));
        let (code, buyer) = (format!("O{number}"), format!("B{}", number % 37));
        world.orders.push(Order { at, code, buyer, trade, lines });
    }
    for number in (0..540).step_by(3) {
        let order = &world.orders[number];
        let line = |(good, units): &(usize, u32)| ReturnLine { good: *good, units: *units, order: Some(number) };
        let mut lines: Vec<ReturnLine> = order.lines.iter().take(2).map(line).collect();
        if number % 9 == 0 {
            lines.push(ReturnLine { good: steps.below(60), units: 3, order: None });
        }
        world.returns.push(Return { at: order.at.plus(times(DAY, 3)), code: format!("C{number}"), lines });
    }
    for number in 0..120_u64 {
        let at = start.plus(times(HOUR, 4 * number)).plus(times(MINUTE, 7));
        let delta = if number % 3 == 0 { 4 } else { -35 };
        world.corrections.push(Correction { at, good: steps.below(30), delta });
    }
    world.sale = Some(reading::busiest(&world));
    world
}

/// Styles of four sizes, wholesale against short stock.
fn styles() -> World {
    let (mut steps, start) = (Steps(5), stamp("2024-05-01T00:00:00").unwrap());
    let mut world = World { sites: sites(), channels: ["shop", "wholesale"], ..World::default() };
    for style in 0..25 {
        for size in ["S", "M", "L", "XL"] {
            let number = world.goods.len();
            let (code, style) = (format!("T{style:02}-{size}"), format!("T{style:02}"));
            let (colour, size) = ("blue".to_owned(), size.to_owned());
            world.goods.push(Article { code, style, colour, size, ..Article::default() });
            for place in 0..4 {
                world.opening.push((place, number, small(steps.below(9))));
            }
        }
    }
    for number in 0..40_u64 {
        let first = steps.below(60);
        let lines = (first..first + 30).map(|good| (good, 1 + small(steps.below(4)))).collect();
        let (code, buyer) = (format!("W{number}"), format!("V{}", number % 7));
        world.orders.push(Order { at: start.plus(times(DAY, number)), code, buyer, trade: true, lines });
    }
    reading::dress(&mut world);
    world
}

#[test]
fn three_weeks_of_a_shop_balance() {
    let found = year(&weeks(), None).unwrap();
    assert!(found.balanced(), "{found}");
    assert_eq!(found.checks.len(), 13);
    for name in [
        "orders: left to expire",
        "orders cancelled: whole",
        "orders cancelled: one line",
        "campaign: units served",
        "units served: from stock",
        "units served: ahead of stock",
        "presale: units that became stock",
        "receipts: short",
        "receipts: a week late",
        "returns: exchanged",
        "returns: units unmatched",
        "returns: units to restock",
        "returns: units to quality_control",
        "returns: units to repair",
        "returns: units to scrap",
        "returns: units to return_to_vendor",
        "returns: units released later",
        "shortfalls: cells",
        "transfers: received",
        "kits: sold",
        "allotment: rows set",
    ] {
        assert!(found.tally.get(name) > 0, "nothing of {name}:\n{found}");
    }
}

#[test]
fn six_weeks_of_styles_balance_and_end_with_more_broken_runs() {
    let found = year(&styles(), None).unwrap();
    assert!(found.balanced(), "{found}");
    assert!(found.tally.get("units served: ahead of stock") > 0, "{found}");
}

#[test]
fn a_year_on_disk_comes_back_from_there() {
    let directory = tempfile::tempdir().unwrap();
    let mut world = weeks();
    world.cut(60);
    world.sale = None;
    let found = year(&world, Some(directory.path())).unwrap();
    assert!(found.balanced(), "{found}");
    assert!(year(&world, Some(directory.path())).is_err(), "a log is not written over");
}

#[test]
fn what_is_cut_off_takes_its_returns_along() {
    let mut world = weeks();
    world.cut(10);
    assert_eq!(world.orders.len(), 10);
    let end = world.orders[9].at;
    assert!(world.purchases.iter().all(|purchase| purchase.at <= end));
    assert!(world.returns.is_empty());
    assert!(end > Timestamp(Micros::from_secs(0).0));
}

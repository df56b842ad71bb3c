//! Under another policy the differences are those that one works out by hand.
//!
//! Two places without carriers: a parcel costs 100 and a unit 10 at DC, 125 and 15 at FW.

mod support;

use quartermaster_backtest::{Fault, Instead, Opening, Options, Outcome, change::Difference, followed::Tally};
use quartermaster_engine::{
    catalog::documents::DocumentKind,
    command::{LineSelection, Step},
    id::LocationId,
    quantity::Quantity,
    time::Micros,
};
use quartermaster_journal::Lsn;
use quartermaster_sourcing::plan::UnservedReason;
use support::{MINUTE, Shop, order, policy, run, tariff};

const MONEY: &str = "name = 'money'\ncurrency = 'CNY'\n";
const NOT_DC: &str =
    "name = 'not-dc'\ncurrency = 'CNY'\n[[rules]]\nname = 'no DC'\nexclude = \"location.code == 'DC'\"";
const NOBODY: &str = "name = 'nobody'\ncurrency = 'CNY'\n[[rules]]\nname = 'none'\nexclude = 'order.units < 9'";

fn shop(stock: &[(&str, &str, u32)]) -> Shop {
    let mut shop = Shop::new();
    shop.skus(&["A", "B"]);
    shop.places(&["DC", "FW"]);
    shop.document(DocumentKind::Policy, MONEY);
    shop.import(stock);
    shop
}

fn under(texts: &[&str]) -> Options {
    let policies = texts.iter().map(|text| policy(text)).collect();
    Options { instead: Instead { policies, tariffs: Vec::new() }, ..Options::default() }
}

/// Units by place.
type Places = Vec<(String, u64)>;

/// Where an order goes in the log, and where in the other world.
fn places(outcome: &Outcome, order: &str) -> (Places, Places) {
    let changed = outcome.changed.iter().find(|one| &*one.order_id == order).unwrap();
    (changed.before.places.clone(), changed.after.places.clone())
}

fn at(place: &str, units: u64) -> Places {
    vec![(place.to_owned(), units)]
}

#[test]
fn orders_go_where_the_other_policy_sends_them() {
    let mut shop = shop(&[("A", "DC", 2), ("A", "FW", 5)]);
    for (id, units) in [("one", 1), ("two", 2), ("three", 1)] {
        shop.order(order(id, &[("A", units)])).unwrap();
    }
    assert!(shop.order(order("four", &[("A", 4)])).is_none(), "refused, so not in the log");
    let (outcome, streamed) = shop.backtest(under(&[NOT_DC]));

    assert_eq!((outcome.before.orders, outcome.after.orders), (3, 3));
    assert_eq!((outcome.before.cost.total(), outcome.after.cost.total()), (110 + 155 + 110, 140 + 155 + 140));
    assert_eq!((outcome.before.cost.handling, outcome.after.cost.handling), (325, 375));
    assert_eq!((outcome.before.cost.picking, outcome.after.cost.picking), (50, 60));
    assert_eq!(outcome.differences.get(&Difference::Places), Some(&2));
    let names: Vec<&str> = outcome.changed.iter().map(|one| &*one.order_id).collect();
    assert_eq!(names, ["one", "three"], "equal differences come in the order of the log");
    assert_eq!(outcome.changed, streamed);
    assert_eq!(places(&outcome, "one"), (at("DC", 1), at("FW", 1)));
    assert_eq!(outcome.changed[0].dearer_by(), 30);
    let (dc, fw) = (LocationId(0), LocationId(1));
    let load = |figures: &quartermaster_backtest::figures::Figures, place| {
        figures.locations.get(&place).map_or((0, 0), |load| (load.parcels, load.units))
    };
    assert_eq!((load(&outcome.before, dc), load(&outcome.before, fw)), ((2, 2), (1, 2)));
    assert_eq!((load(&outcome.after, dc), load(&outcome.after, fw)), ((0, 0), (3, 4)));
    assert_eq!(outcome.after.peak(fw).map(|peak| peak.parcels), Some(3));
    assert_eq!(outcome.after.peak(dc), None);
}

#[test]
fn stock_is_used_up_by_the_other_decisions() {
    let mut shop = shop(&[("A", "DC", 9), ("A", "FW", 2)]);
    for id in ["one", "two"] {
        shop.order(order(id, &[("A", 2)])).unwrap();
    }
    let mut partly = order("three", &[("A", 2), ("B", 1)]);
    partly.allow_partial = true;
    shop.order(partly).unwrap();
    let (outcome, _) = shop.backtest(under(&[NOT_DC]));
    assert_eq!((outcome.after.served, outcome.after.refused), (1, 2));
    assert_eq!((outcome.before.unfilled, outcome.after.unfilled), (1, 5));
    assert_eq!(outcome.after.unserved.get(&UnservedReason::NoPlace), Some(&4));
    assert_eq!(outcome.unfillable.orders, 2);
    assert_eq!(outcome.unfillable.first[0].removed_by, [("rule:no DC".to_owned(), 1)]);
    assert_eq!(outcome.differences.get(&Difference::Units), Some(&2));
}

#[test]
fn what_is_given_back_comes_back_where_the_other_world_took_it() {
    let mut shop = shop(&[("A", "DC", 9), ("A", "FW", 2)]);
    let expires = shop.order(order("expires", &[("A", 2)])).unwrap();
    shop.now = shop.now.plus(Micros(31 * MINUTE));
    let cancelled = shop.order(order("cancelled", &[("A", 2)])).unwrap();
    let one = LineSelection { sku: "A".into(), location: "DC".into(), quantity: Some(Quantity(1)) };
    shop.step(cancelled.reservation, Step::Cancel(vec![one])).unwrap();
    let shipped = shop.order(order("shipped", &[("A", 1)])).unwrap();
    shop.step(shipped.reservation, Step::Confirm).unwrap();
    shop.step(shipped.reservation, Step::Ship(Vec::new())).unwrap();
    shop.step(cancelled.reservation, Step::Release).unwrap();
    shop.order(order("last", &[("A", 1)])).unwrap();
    assert!(shop.engine.reservation(expires.reservation).is_ok_and(|(_, one)| !one.state.is_open()));
    let (outcome, _) = shop.backtest(under(&[NOT_DC]));
    assert_eq!((outcome.after.refused, outcome.after.units), (0, 6));
    let once = Tally { events: 1, repeated: 1, left_out: 0 };
    for name in ["expired", "cancelled", "confirmed", "shipped", "released"] {
        assert_eq!(outcome.followed.tallies.get(name), Some(&once), "{name}");
    }
}

#[test]
fn stock_changes_are_differences_and_never_go_below_nothing() {
    let mut shop = shop(&[("A", "DC", 3), ("A", "FW", 2)]);
    let held = shop.order(order("one", &[("A", 2)])).unwrap();
    shop.step(held.reservation, Step::Confirm).unwrap();
    shop.step(held.reservation, Step::Ship(Vec::new())).unwrap();
    shop.adjust("A", "FW", -1);
    shop.take_back("A", "DC", 2);
    shop.order(order("two", &[("A", 3)])).unwrap();
    let (outcome, _) = shop.backtest(under(&[NOT_DC]));
    assert_eq!((outcome.clamped.cells, outcome.clamped.units), (1, 1));
    assert_eq!(places(&outcome, "two"), (at("DC", 3), Vec::new()), "the return went to DC");
}

#[test]
fn a_policy_that_removes_every_place_is_told_with_its_rule() {
    let mut shop = shop(&[("A", "DC", 2), ("A", "FW", 5)]);
    shop.order(order("one", &[("A", 1)])).unwrap();
    let later = shop.order(order("two", &[("A", 2)])).unwrap();
    shop.step(later.reservation, Step::Confirm).unwrap();
    let (outcome, _) = shop.backtest(under(&[NOBODY]));
    assert_eq!((outcome.after.refused, outcome.after.unfilled, outcome.after.parcels), (2, 3, 0));
    assert_eq!(outcome.unfillable.by_reason.get("rule:none"), Some(&2));
    assert_eq!(outcome.unfillable.first[1].removed_by, [("rule:none".to_owned(), 2)]);
    assert_eq!(outcome.followed.of_refused, 1);
    assert_eq!(outcome.changed[0].dearer_by(), -155);
}

#[test]
fn of_several_policies_an_order_gets_the_one_it_names_or_by_scope() {
    let mut shop = shop(&[("A", "DC", 9), ("A", "FW", 9)]);
    shop.order(order("plain", &[("A", 1)])).unwrap();
    let mut named = order("named", &[("A", 1)]);
    named.sourcing.as_mut().unwrap().policy = "money".into();
    shop.order(named).unwrap();
    let mut wholesale = order("wholesale", &[("A", 1)]);
    wholesale.sourcing.as_mut().unwrap().order_type = "wholesale".into();
    shop.order(wholesale).unwrap();
    let scoped = NOT_DC.replace("currency = 'CNY'", "currency = 'CNY'\nscope = { order_types = ['wholesale'] }");
    let (outcome, _) = shop.backtest(under(&[MONEY, &scoped]));
    let names: Vec<&str> = outcome.changed.iter().map(|one| &*one.order_id).collect();
    assert_eq!(names, ["wholesale"]);
    let (outcome, _) = shop.backtest(under(&[&scoped]));
    assert_eq!(outcome.changed.len(), 3, "a single one decides about all");
}

#[test]
fn other_tariffs_take_the_place_of_all_that_the_log_has() {
    let text = |price: u32| {
        format!(
            "name = 'post'\ncurrency = 'CNY'\n[[services]]\ncode = 's'\n[[services.rates]]\nfirst_weight_grams = 1000\nfirst_price = {price}"
        )
    };
    let mut shop = shop(&[("A", "DC", 9)]);
    shop.document(DocumentKind::Tariff, &text(500));
    shop.order(order("one", &[("A", 1)])).unwrap();
    shop.document(DocumentKind::Tariff, &text(600));
    shop.order(order("two", &[("A", 1)])).unwrap();
    let instead = Instead { policies: Vec::new(), tariffs: vec![tariff(&text(450))] };
    let (outcome, _) = shop.backtest(Options { instead, ..Options::default() });
    assert_eq!((outcome.before.cost.carriage, outcome.after.cost.carriage), (1_100, 900));
    assert_eq!(outcome.differences.get(&Difference::Cost), Some(&2));
    let dearer: Vec<i64> = outcome.changed.iter().map(|one| one.dearer_by()).collect();
    assert_eq!(dearer, [-150, -50], "the largest difference first");
}

#[test]
fn from_a_snapshot_its_documents_go_and_its_reservations_stay() {
    let mut shop = shop(&[("A", "DC", 2), ("A", "FW", 2)]);
    let kept = shop.order(order("kept", &[("A", 2)])).unwrap();
    let (opening, after) = shop.opening();
    shop.step(kept.reservation, Step::Release).unwrap();
    shop.order(order("one", &[("A", 2)])).unwrap();
    shop.order(order("two", &[("A", 2)])).unwrap();
    let (outcome, _) = run(opening, under(&[NOT_DC]), &shop.journal.records(), after);
    assert_eq!((outcome.began_after, outcome.records), (after, 3));
    assert_eq!((outcome.before.orders, outcome.after.refused), (2, 1));
    assert_eq!(places(&outcome, "one"), (at("DC", 2), at("FW", 2)));
    assert_eq!(outcome.followed.tallies.get("released").map(|tally| tally.repeated), Some(1));
}

#[test]
fn a_policy_that_does_not_fit_the_log_stops_the_run() {
    let mut shop = shop(&[("A", "DC", 2)]);
    shop.order(order("one", &[("A", 1)])).unwrap();
    let wrong = "name = 'wrong'\ncurrency = 'CNY'\n[[rules]]\nname = 'r'\nexclude = \"order.weather == 'rain'\"";
    let mut backtest = quartermaster_backtest::Backtest::new(Opening::default(), under(&[wrong]));
    let mut records = (1..).zip(shop.journal.records());
    let fault = records.find_map(|(lsn, record)| backtest.replay(Lsn::new(lsn), &record).err());
    assert!(matches!(&fault, Some(Fault::Document { name, .. }) if name == "wrong"), "{fault:?}");
}

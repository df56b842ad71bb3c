//! Orders that the router decides: what is taken is what was quoted, work and refusals follow, and everything survives a restart.

mod support;

use quartermaster_engine::{
    Answer, EngineConfig, Error, Rejection, Verdict,
    capacity::Booking,
    catalog::{Capabilities, Fulfilment, GoodsSpec, LocationSpec, SkuSpec},
    codec,
    command::{
        CatalogueCommand, CellCode, Command, ImportRow, ImportStock, LineSelection, LineSourcing, Merge, Reassign,
        Reserve, ReserveLine, SourcingRequest, Step, StockCommand,
    },
    event::{Event, Held},
    id::{LocationId, ReservationId, SkuId},
    quantity::Quantity,
    route::Wants,
    sourced::{Decision, Merged, Rerouted, Sourced},
    time::{Micros, Timestamp},
};
use quartermaster_sourcing::{
    Router,
    fulfilment::{CapacityLimits, Mode, Slot},
    plan::UnservedReason,
};
use support::{Rig, dump, render};

const HOUR: u64 = 3_600_000_000;

/// A network: each place with what a parcel costs and how much it takes.
struct World {
    rig: Rig,
    requests: usize,
}

fn place(code: &str, handling_cost: i64, capacity: CapacityLimits) -> LocationSpec {
    let capabilities = Capabilities(Capabilities::SHIP | Capabilities::PICKUP);
    let fulfilment = Fulfilment { handling_cost, capacity, ..Fulfilment::default() };
    LocationSpec { code: code.into(), capabilities, fulfilment, ..LocationSpec::default() }
}

fn free() -> CapacityLimits {
    CapacityLimits::default()
}

fn by_day(orders: u32, units: u32) -> CapacityLimits {
    CapacityLimits { orders_per_day: Some(orders), units_per_day: Some(units), ..free() }
}

/// "A x3, B x2".
fn lines(text: &str) -> Vec<ReserveLine> {
    let line = |text: &str| {
        let (sku, units) = text.split_once(" x").expect("SKU xUNITS");
        let quantity = Quantity(units.parse().expect("units"));
        ReserveLine { sku: sku.into(), quantity, location: "".into(), sourcing: None }
    };
    text.split(", ").map(line).collect()
}

fn order(text: &str) -> Reserve {
    Reserve {
        order_id: "order".into(),
        buyer_id: "ann".into(),
        channel: "".into(),
        lines: lines(text).into(),
        ttl: Micros(HOUR),
        allow_partial: false,
        replaces: None,
        unchanged_since_lsn: 0,
        sourcing: Some(Box::new(SourcingRequest { receiver_key: "home".into(), ..SourcingRequest::default() })),
        asked: None,
    }
}

/// The same with conditions for every line.
fn conditioned(text: &str, conditions: &LineSourcing) -> Reserve {
    let mut order = order(text);
    order.lines.iter_mut().for_each(|line| line.sourcing = Some(Box::new(conditions.clone())));
    order
}

fn codes(codes: &[&str]) -> Vec<String> {
    codes.iter().map(|code| (*code).into()).collect()
}

impl World {
    /// `stock`: "A@L1=5 B@L2=3".
    fn new(places: Vec<LocationSpec>, stock: &str) -> Self {
        let mut world = Self { rig: Rig::new(EngineConfig::default()), requests: 0 };
        let mut skus: Vec<SkuSpec> = Vec::new();
        let mut rows = Vec::new();
        for cell in stock.split(' ') {
            let (cell, units) = cell.split_once('=').expect("SKU@PLACE=UNITS");
            let (sku, location) = cell.split_once('@').expect("SKU@PLACE");
            if skus.iter().all(|known| known.code != sku) {
                let temperature = if sku.starts_with("frozen") { "frozen".into() } else { String::new() };
                let goods = GoodsSpec { temperature, ..GoodsSpec::default() };
                skus.push(SkuSpec { code: sku.into(), sellable: true, goods, ..SkuSpec::default() });
            }
            rows.push(ImportRow {
                cell: CellCode { sku: sku.into(), location: location.into() },
                on_hand: Quantity(units.parse().expect("units")),
                safety: Quantity(0),
                quality_control: Quantity(0),
                damaged: Quantity(0),
                in_repair: Quantity(0),
                incoming: Quantity(0),
            });
        }
        world.done(&Command::Catalogue(CatalogueCommand::UpsertSkus(skus)));
        world.done(&Command::Catalogue(CatalogueCommand::UpsertLocations(places)));
        world.done(&Command::Stock(StockCommand::Import(ImportStock { rows, reference: String::new() })));
        world
    }

    fn submit(&mut self, command: &Command) -> Result<Answer, Error> {
        self.requests += 1;
        let answer = self.rig.submit(&format!("r{}", self.requests), command);
        assert_eq!(self.rig.engine.audit().violations, vec![]);
        assert_eq!(self.rig.engine.audit_bookings(), vec![]);
        answer
    }

    fn done(&mut self, command: &Command) -> Event {
        match self.submit(command).expect("it stands").verdict {
            Verdict::Done(event) => event,
            verdict => panic!("{verdict:?}"),
        }
    }

    fn told(&mut self, command: &Command) -> String {
        let answer = self.submit(command);
        render::answer(&self.rig.engine, &answer, &|id| id.to_string())
    }

    fn quote(&self, order: &Reserve) -> Decision {
        let sourcing = order.sourcing.as_deref().expect("a sourced order");
        let (_, quote) = self.rig.engine.route(order, sourcing, Wants::default(), self.rig.now).expect("it stands");
        quote.expect("a quote").decision
    }

    /// What a hold takes, as text; and that it is what was quoted.
    fn take(&mut self, order: &Reserve) -> (ReservationId, String) {
        let quote = self.quote(order);
        let held = self.hold(order);
        assert_eq!(held.sourced.as_deref().map(|sourced| &sourced.decision), Some(&quote), "as quoted");
        let text = render::event(&self.rig.engine.catalogue(), &Event::Held(held.clone()), &|id| id.to_string());
        (held.reservation, text)
    }

    fn hold(&mut self, order: &Reserve) -> Held {
        match self.done(&Command::Reserve(order.clone())) {
            Event::Held(held) => held,
            event => panic!("{event:?}"),
        }
    }

    fn refused(&mut self, order: &Reserve) -> String {
        self.told(&Command::Reserve(order.clone()))
    }

    fn step(&mut self, id: ReservationId, step: Step) -> String {
        self.told(&Command::Reservation(id, step))
    }

    /// Work that is booked: "place orders/units".
    fn work(&self) -> String {
        let catalogue = self.rig.engine.catalogue();
        let one = |booked: &Booking| {
            let code = catalogue.directory().location_code(booked.location).to_owned();
            format!("{code} {}/{}", booked.orders, booked.units)
        };
        self.rig.engine.booked().1.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    fn restarts(&mut self) {
        let requests: Vec<String> = (1..=self.requests).map(|number| format!("r{number}")).collect();
        let dump = |world: &Self| dump::dump(&world.rig.engine, requests.iter().map(String::as_str));
        let before = dump(self);
        self.rig.restart();
        assert_eq!(before, dump(self), "the log brings everything back");
        self.rig.restart_from_snapshot();
        assert_eq!(before, dump(self), "the snapshot brings everything back");
        let mut history = quartermaster_engine::history::History::new(quartermaster_engine::history::Rules::default());
        for record in self.rig.journal.records() {
            history.fold(history.next_lsn(), &record);
        }
        let (_, sections) = support::snapshot(&self.rig.engine, self.rig.now);
        for section in sections {
            history.check_section(section.kind, section.unit, section.lsn, &section.payload);
        }
        history.balance();
        history.compare(&self.rig.engine);
        assert!(history.findings().is_empty(), "{:#?}", history.findings());
    }

    fn later(&mut self, micros: u64) {
        self.rig.now = Timestamp(self.rig.now.0 + micros);
    }
}

fn cancel(sku: &str, location: &str, units: u32) -> Step {
    Step::Cancel(vec![selection(sku, location, units)])
}

fn selection(sku: &str, location: &str, units: u32) -> LineSelection {
    LineSelection { sku: sku.into(), location: location.into(), quantity: Some(Quantity(units)) }
}

fn refuse(sku: &str, from: &str) -> Step {
    let (sku, from) = (sku.into(), from.into());
    Step::Reassign(Reassign { sku, from, to: String::new(), quantity: None, refused: true })
}

fn move_to(sku: &str, from: &str, to: &str, refused: bool) -> Step {
    Step::Reassign(Reassign { sku: sku.into(), from: from.into(), to: to.into(), quantity: None, refused })
}

fn merge() -> Command {
    Command::Merge(Merge { buyer_id: "ann".into(), receiver_key: "home".into(), reservations: Vec::new() })
}

fn plain() -> World {
    let places = vec![place("L1", 300, free()), place("L2", 200, free()), place("L3", 900, free())];
    World::new(places, "A@L1=5 A@L2=5 B@L1=5 B@L3=5 C@L2=2 C@L3=9 D@L3=4")
}

#[test]
fn one_parcel_goes_where_it_costs_least() {
    let mut world = plain();
    assert_eq!(world.take(&order("A x2")).1, "A@L2:2");
    assert_eq!(world.take(&order("A x1, B x1")).1, "A@L1:1 B@L1:1", "one parcel instead of two");
    assert_eq!(world.take(&order("A x1, C x1")).1, "A@L2:1 C@L2:1");
    assert_eq!(world.take(&order("A x5")).1, "A@L1:4 A@L2:1", "two are needed");
    world.restarts();
}

#[test]
fn lines_come_from_where_they_may() {
    let mut world = plain();
    let with = |text: &str, conditions: LineSourcing| conditioned(text, &conditions);
    let none = LineSourcing::default;
    assert_eq!(world.take(&with("A x1", LineSourcing { only: codes(&["L1"]), ..none() })).1, "A@L1:1");
    assert_eq!(world.take(&with("A x1", LineSourcing { never: codes(&["L2"]), ..none() })).1, "A@L1:1");
    assert_eq!(world.take(&with("C x3", LineSourcing { whole: true, ..none() })).1, "C@L3:3");
    let refused = world.refused(&with("A x6", LineSourcing { whole: true, ..none() }));
    assert_eq!(refused, "NOT_ROUTABLE A:6 NotWorthIt");
    assert_eq!(
        world.refused(&with("D x1", LineSourcing { never: codes(&["L3"]), ..none() })),
        "NOT_ROUTABLE D:1 NoPlace"
    );
    let mixed = Reserve {
        lines: [lines("A x1"), with("A x1", LineSourcing { whole: true, ..none() }).lines.into_vec()].concat().into(),
        ..order("A x1")
    };
    assert_eq!(world.refused(&mixed), "MIXED_CONDITIONS A");
    assert_eq!(world.refused(&with("A x1", LineSourcing { only: codes(&["?"]), ..none() })), "UNKNOWN_LOCATION ?");
}

#[test]
fn what_cannot_be_had_is_told() {
    let mut world = plain();
    assert_eq!(world.refused(&order("D x5, A x1")), "NOT_ROUTABLE A:1 NotWorthIt D:5 NoStock");
    let partial = Reserve { allow_partial: true, ..order("D x5, A x1") };
    let told = world.take(&partial).1;
    assert_eq!(told, "A@L2:1 D@L3:4 short D:5/4");
    assert_eq!(world.refused(&Reserve { allow_partial: true, ..order("D x1") }), "NOT_ROUTABLE D:1 NoStock");
    world.restarts();
}

#[test]
fn substitutes_fill_in() {
    let mut world = plain();
    let substitutes = LineSourcing { substitutes: codes(&["B"]), ..LineSourcing::default() };
    let (id, text) = world.take(&conditioned("D x6", &substitutes));
    assert_eq!(text, "B@L3:2 D@L3:4");
    world.step(id, Step::Confirm);
    world.restarts();
}

#[test]
fn pickup_is_where_the_buyer_says() {
    let mut world = plain();
    let pickup = |at: &str| {
        let sourcing = SourcingRequest { mode: Mode::Pickup, pickup_location: at.into(), ..SourcingRequest::default() };
        Reserve { sourcing: Some(Box::new(sourcing)), ..order("A x1") }
    };
    assert_eq!(world.take(&pickup("L1")).1, "A@L1:1");
    assert_eq!(world.refused(&pickup("L3")), "NOT_ROUTABLE A:1 NoPlace");
    assert_eq!(world.refused(&pickup("?")), "UNKNOWN_LOCATION ?");
}

fn limited() -> World {
    let places = vec![place("L1", 100, by_day(2, 10)), place("L2", 500, free())];
    World::new(places, "A@L1=50 B@L1=50 B@L2=50 C@L2=50 frozenD@L1=50")
}

#[test]
fn work_is_booked_and_given_back() {
    let mut world = limited();
    let (released, _) = world.take(&order("A x3"));
    assert_eq!(world.work(), "L1 1/3");
    world.step(released, Step::Release);
    assert_eq!(world.work(), "");
    let (cancelled, _) = world.take(&order("A x3, B x2"));
    world.step(cancelled, cancel("A", "", 1));
    assert_eq!(world.work(), "L1 1/4");
    world.step(cancelled, cancel("A", "", 2));
    world.step(cancelled, cancel("B", "", 2));
    assert_eq!(world.work(), "", "the order goes with its last unit");
    let (replaced, _) = world.take(&order("A x9"));
    let next = Reserve { replaces: Some(replaced), ..order("A x10") };
    let (id, _) = (world.hold(&next).reservation, ());
    assert_eq!(world.work(), "L1 1/10", "what is replaced makes room");
    world.restarts();
    world.later(2 * HOUR);
    assert_eq!(world.rig.engine.expire_due(world.rig.now, 10).expect("room").expired, 1);
    assert_eq!(world.work(), "");
    assert!(world.rig.engine.reservation(id).is_ok());
    world.restarts();
}

#[test]
fn a_plain_hold_gives_back_what_it_replaces() {
    let mut world = limited();
    let (replaced, _) = world.take(&order("A x9"));
    let plain = Reserve { replaces: Some(replaced), sourcing: None, ..order("A x50") };
    world.hold(&plain);
    assert_eq!(world.work(), "");
    world.restarts();
}

#[test]
fn work_that_was_done_is_not_given_back() {
    let mut world = limited();
    let (id, _) = world.take(&order("A x3, B x2"));
    world.step(id, Step::Confirm);
    world.step(id, Step::Ship(vec![selection("A", "", 2)]));
    world.step(id, cancel("A", "", 1));
    assert_eq!(world.work(), "L1 1/4");
    world.step(id, Step::Cancel(Vec::new()));
    assert_eq!(world.work(), "L1 1/2", "two were shipped, in one parcel");
    world.restarts();
}

#[test]
fn a_full_place_is_told_and_left_out() {
    let mut world = limited();
    assert_eq!(world.refused(&order("A x11")), "NOT_ROUTABLE A:11 NotWorthIt");
    world.take(&order("A x1"));
    world.take(&order("A x1"));
    assert_eq!(world.refused(&order("A x1")), "NOT_ROUTABLE A:1 NoCapacity");
    assert_eq!(world.take(&order("B x1")).1, "B@L2:1", "another place has room");
    world.later(24 * HOUR);
    assert_eq!(world.take(&order("A x1")).1, "A@L1:1", "another day");
    world.restarts();
    world.later(72 * HOUR);
    world.take(&order("A x1"));
    assert_eq!(world.work(), "L1 1/1", "days long past are forgotten");
    world.restarts();
}

#[test]
fn parcels_of_several_classes_share_what_a_place_takes() {
    let mut world = limited();
    let partial = Reserve { allow_partial: true, ..order("A x6, frozenD x6") };
    world.take(&partial);
    assert_eq!(world.work(), "L1 2/10");
    world.restarts();
}

#[test]
fn days_and_hours_count_the_same_units() {
    let limits = CapacityLimits { units_per_day: Some(100), orders_per_hour: Some(9), ..free() };
    let mut world = World::new(vec![place("L1", 1, limits), place("L2", 2, free())], "A@L1=50 A@L2=50");
    let (id, _) = world.take(&order("A x5"));
    assert_eq!(world.work(), "L1 1/5, L1 1/5");
    assert!(matches!(
        world.rig.engine.booked().1[..],
        [Booking { slot: Slot::Day(_), .. }, Booking { slot: Slot::Hour(_), .. }]
    ));
    world.step(id, cancel("A", "", 2));
    assert_eq!(world.work(), "L1 1/3, L1 1/3");
    assert_eq!(world.step(id, refuse("A", "L1")), "A@L1:3 to A@L2:3 refused until 14400s");
    assert_eq!(world.work(), "");
    world.restarts();
}

#[test]
fn a_refusal_holds_for_its_sku_until_it_has_cooled_down() {
    let mut world = plain();
    let (id, _) = world.take(&order("A x2, C x2"));
    assert_eq!(world.step(id, refuse("A", "L2")), "A@L2:2 to A@L1:2 refused until 14400s");
    assert_eq!(world.take(&order("A x1")).1, "A@L1:1");
    assert_eq!(world.refused(&order("A x3")), "NOT_ROUTABLE A:3 NoPlace");
    let other = world.take(&order("C x1")).1;
    assert_eq!(other, "C@L3:1", "the others of C are taken");
    world.restarts();
    world.later(4 * HOUR);
    assert_eq!(world.take(&order("A x1")).1, "A@L2:1");
}

#[test]
fn a_refused_line_joins_the_parcels_that_go_there_anyway() {
    let mut world = World::new(
        vec![
            place("L1", 100, free()),
            place("L2", 500, by_day(9, 99)),
            place("L3", 300, by_day(9, 99)),
            place("L4", 400, free()),
        ],
        "A@L1=4 A@L2=2 A@L3=2 A@L4=9 B@L2=1",
    );
    let (id, text) = world.take(&order("A x4, B x1"));
    assert_eq!((text.as_str(), world.work().as_str()), ("A@L1:4 B@L2:1", "L2 1/1"));
    let told = world.step(id, refuse("A", "L1"));
    assert_eq!(told, "A@L1:4 to A@L2:2 A@L3:2 refused until 14400s", "L2 costs nothing more, so that L4 is dearer");
    assert_eq!(world.work(), "L2 1/3, L3 1/2");
    let (_, kept) = world.rig.engine.reservation(id).expect("it is there");
    assert_eq!(kept.sourcing.expect("sourced").parcels.len(), 2);
    world.restarts();
    world.step(id, cancel("A", "L2", 2));
    assert_eq!(world.work(), "L2 1/1, L3 1/2");
    world.step(id, Step::Release);
    assert_eq!(world.work(), "");
}

#[test]
fn a_move_by_hand_takes_its_work_along_and_remembers_a_refusal() {
    let places = vec![place("L1", 100, by_day(9, 99)), place("L2", 500, by_day(9, 99))];
    let mut world = World::new(places, "A@L1=9 A@L2=9");
    let (id, _) = world.take(&order("A x4"));
    assert_eq!(world.step(id, move_to("A", "L1", "L2", false)), "A@L1:4 to A@L2:4");
    assert_eq!(world.work(), "L2 1/4");
    assert_eq!(world.step(id, move_to("A", "L2", "L1", true)), "A@L2:4 to A@L1:4 refused until 14400s");
    assert_eq!(world.work(), "L1 1/4");
    assert_eq!(world.refused(&order("A x6")), "NOT_ROUTABLE A:6 NoPlace", "L2 has refused it");
    world.step(id, Step::Cancel(Vec::new()));
    assert_eq!(world.work(), "");
    world.restarts();
}

#[test]
fn a_line_that_was_shipped_in_part_goes_elsewhere_with_the_rest() {
    let mut world = World::new(vec![place("L1", 1, by_day(9, 99)), place("L2", 2, by_day(9, 99))], "A@L1=9 A@L2=9");
    let (id, _) = world.take(&order("A x4"));
    world.step(id, Step::Confirm);
    world.step(id, Step::Ship(vec![selection("A", "", 1)]));
    assert_eq!(world.step(id, refuse("A", "L1")), "A@L1:3 to A@L2:3 refused until 14400s");
    assert_eq!(world.work(), "L1 1/1, L2 1/3");
    assert_eq!(world.step(id, Step::Ship(Vec::new())), "shipped A@L2:3 end=shipped");
    assert_eq!(world.work(), "L1 1/1, L2 1/3", "done work stays booked");
    world.restarts();
}

#[test]
fn an_order_without_a_router_can_be_refused_too() {
    let mut world = plain();
    let held = world.hold(&Reserve { sourcing: None, ..order("A x2") });
    assert_eq!(world.step(held.reservation, refuse("A", "")), "A@L1:2 to A@L2:2 refused until 14400s");
    assert_eq!(world.work(), "");
    assert_eq!(world.step(held.reservation, refuse("A", "")), "NOT_ROUTABLE A:2 NoPlace");
    world.later(2 * HOUR);
    assert!(world.step(held.reservation, refuse("A", "")).starts_with("RESERVATION_EXPIRED"));
    world.restarts();
}

fn merging() -> World {
    let places = vec![place("L1", 300, by_day(9, 99)), place("L2", 310, by_day(9, 99))];
    World::new(places, "A@L1=4 A@L2=20 B@L2=20")
}

#[test]
fn orders_to_one_door_go_together_if_that_costs_less() {
    let mut world = merging();
    assert_eq!(world.told(&merge()), "NOTHING_TO_MERGE 0");
    let (held, _) = world.take(&order("A x2"));
    assert_eq!(world.told(&merge()), "NOTHING_TO_MERGE 1");
    let (confirmed, _) = world.take(&order("B x3"));
    world.step(confirmed, Step::Confirm);
    let other_door = SourcingRequest { receiver_key: "work".into(), ..SourcingRequest::default() };
    world.take(&Reserve { sourcing: Some(Box::new(other_door)), ..order("B x1") });
    assert_eq!(world.work(), "L1 1/2, L2 2/4");
    let told = world.told(&merge());
    assert_eq!(told, format!("merged 610>310: {held} A@L1:2 to A@L2:2; {confirmed} stays"));
    assert_eq!(world.work(), "L2 2/6", "one order less");
    assert_eq!(world.told(&merge()), "MERGE_NOT_BETTER 310>310");
    for id in [held, confirmed] {
        let (_, kept) = world.rig.engine.reservation(id).expect("it is there");
        assert_eq!(kept.sourcing.expect("sourced").merged_with, Some(held));
    }
    world.restarts();
    world.step(held, Step::Release);
    assert_eq!(world.work(), "L2 1/4", "the units of the other stay booked");
    world.step(confirmed, Step::Ship(Vec::new()));
    world.restarts();
}

#[test]
fn a_merge_makes_nobody_wait() {
    let slow = |code, cost, minutes| {
        let mut spec = place(code, cost, free());
        spec.fulfilment.processing_minutes = minutes;
        spec
    };
    let mut world = World::new(vec![slow("L1", 300, 10), slow("L2", 310, 600)], "A@L1=4 A@L2=20 B@L2=20");
    let (_, text) = world.take(&order("A x2"));
    assert_eq!(text, "A@L1:2");
    world.take(&order("B x3"));
    assert_eq!(world.told(&merge()), "MERGE_NOT_BETTER 610>310 later");
}

#[test]
fn a_merge_minutes_later_keeps_the_promised_date() {
    let mut world = merging();
    let (held, _) = world.take(&order("A x2"));
    world.later(60 * 1_000_000);
    let (other, _) = world.take(&order("B x3"));
    world.later(60 * 1_000_000);
    let promised = |world: &World, id| {
        world.rig.engine.reservation(id).expect("it is there").1.sourcing.expect("sourced").promised
    };
    let before = promised(&world, held);
    assert_eq!(world.told(&merge()), format!("merged 610>310: {held} A@L1:2 to A@L2:2; {other} stays"));
    assert_eq!(promised(&world, held), before, "what was promised stands");
    world.restarts();
}

#[test]
fn a_merge_keeps_what_it_has_where_it_may_and_counts_one_sku_once() {
    let mut world = merging();
    let (one, _) = world.take(&order("A x2"));
    let (two, _) = world.take(&order("A x2"));
    assert_eq!(world.work(), "L1 2/4");
    assert_eq!(world.told(&merge()), format!("merged 600>300: {one} stays; {two} stays"));
    assert_eq!(world.work(), "L1 1/4");
    world.step(two, cancel("A", "", 1));
    world.step(one, Step::Release);
    world.restarts();
}

#[test]
fn what_an_order_asked_for_holds_when_its_units_move() {
    let mut world = plain();
    let only = LineSourcing { only: codes(&["L2", "L3"]), ..LineSourcing::default() };
    let (id, _) = world.take(&conditioned("A x1", &only));
    assert_eq!(world.step(id, refuse("A", "L2")), "NOT_ROUTABLE A:1 NoPlace", "L1 was not among them");

    let mut world = merging();
    let never = LineSourcing { never: codes(&["L2"]), ..LineSourcing::default() };
    world.take(&conditioned("A x2", &never));
    world.take(&order("B x3"));
    assert_eq!(world.told(&merge()), "MERGE_NOT_BETTER 610>610");
    world.restarts();
}

#[test]
fn orders_join_parcels_that_are_open() {
    let mut world = merging();
    world.take(&order("B x1"));
    let mut joining = order("A x1");
    joining.sourcing.as_mut().expect("sourced").join_open_parcels = true;
    assert_eq!(world.take(&joining).1, "A@L2:1", "the parcel is paid");
    assert_eq!(world.work(), "L2 1/2", "and no second order");
    world.restarts();
}

#[test]
fn lines_may_pass_32_bits_together() {
    let limits = CapacityLimits { orders_per_day: Some(9), ..free() };
    let mut world = World::new(vec![place("L1", 1, limits)], "A@L1=4294967295 B@L1=4294967295");
    let (id, _) = world.take(&order("A x4294967295, B x4294967295"));
    assert_eq!(world.work(), "L1 1/8589934590");
    world.step(id, cancel("B", "", 4_294_967_295));
    assert_eq!(world.work(), "L1 1/4294967295");
    world.restarts();
}

#[test]
fn a_repeat_tells_the_same_and_remembers_little() {
    let world = plain();
    let command = Command::Reserve(order("A x5, B x2, C x2"));
    let first = world.rig.submit("once", &command).expect("it stands");
    let again = world.rig.submit("once", &command).expect("it stands");
    assert!(again.replayed && again.lsn == first.lsn);
    let (Verdict::Done(Event::Held(held)), Verdict::Done(Event::Held(told))) = (first.verdict, again.verdict) else {
        panic!("both are holds");
    };
    let (mut sourced, again) = (held.sourced.expect("sourced"), told.sourced.expect("sourced"));
    assert!(!sourced.traces.is_empty() && again.traces.is_empty());
    sourced.traces.clear();
    assert_eq!(sourced, again);
    let (_, sections) = support::snapshot(&world.rig.engine, world.rig.now);
    let remembered = sections.iter().filter(|section| section.kind == 4).map(|section| section.payload.len()).max();
    let logged = world.rig.journal.records().last().map(Vec::len);
    assert!(remembered < logged, "{remembered:?} of {logged:?} bytes");
    let other = world.rig.submit("once", &Command::Reserve(order("A x4")));
    assert!(matches!(other, Err(Error::RequestIdReused { .. })));
}

#[test]
fn a_trace_gives_the_decision_again() {
    let mut world = limited();
    for order in
        [order("A x2, B x3"), order("B x2, C x1"), Reserve { allow_partial: true, ..order("A x9, frozenD x3") }]
    {
        let held = world.hold(&order);
        let record = world.rig.journal.records().pop().expect("a record");
        let read = codec::decode(&record).expect("its own record");
        assert_eq!(read.event, Event::Held(held.clone()), "through the codec");
        let sourced = held.sourced.expect("sourced");
        let met: Vec<_> =
            sourced.traces.iter().map(|trace| codec::sourced::read_trace(trace).expect("its own").met).collect();
        let step = usize::try_from(sourced.decision.step).expect("small");
        let plan = Router::default().replan(step, &met).expect("as before");
        assert_eq!((plan.value, plan.lower_bound), (sourced.decision.value, sourced.decision.lower_bound));
        let parcels: Vec<_> = plan
            .parcels
            .iter()
            .map(|parcel| {
                (parcel.location.0, parcel.lines.iter().map(|(sku, units)| (sku.0, *units)).collect(), parcel.terms)
            })
            .collect();
        let decided: Vec<(u32, Vec<(u32, u32)>, _)> = sourced
            .decision
            .parcels
            .iter()
            .map(|parcel| {
                (parcel.location.0, parcel.lines.iter().map(|(sku, units)| (sku.0, *units)).collect(), parcel.terms)
            })
            .collect();
        assert_eq!(parcels, decided);
    }
}

#[test]
fn a_log_that_names_unknown_places_is_refused() {
    let mut world = limited();
    let (id, _) = world.take(&order("B x2"));
    world.step(id, move_to("B", "L1", "L2", true));
    let records = world.rig.journal.records();
    let [before @ .., held, moved] = &records[..] else { panic!("a hold and a move") };
    let nowhere = LocationId(99);
    let refused = |what: &str, record: &[u8], change: &dyn Fn(&mut Event)| {
        let mut record = codec::decode(record).expect("its own record");
        change(&mut record.event);
        let mut bytes = Vec::new();
        codec::encode(&record, &mut bytes);
        let mut records = before.to_vec();
        if matches!(record.event, Event::Rerouted(_)) {
            records.push(held.clone());
        }
        records.push(bytes);
        let told = support::replay(EngineConfig::default(), &records).err().map(|error| error.to_string());
        assert!(told.as_ref().is_some_and(|told| told.contains(what)), "{what}: {told:?}");
    };
    let sourced = |change: fn(&mut Sourced)| {
        move |event: &mut Event| match event {
            Event::Held(held) => change(held.sourced.as_mut().expect("sourced")),
            event => panic!("{event:?}"),
        }
    };
    let names = "it names a SKU, location or channel";
    refused(names, held, &sourced(|sourced| sourced.ask.pickup_at = Some(LocationId(99))));
    refused(names, held, &sourced(|sourced| sourced.wanted[0].never.push(LocationId(99))));
    refused(names, held, &sourced(|sourced| sourced.wanted[0].substitutes.push(SkuId(99))));
    refused(names, held, &sourced(|sourced| sourced.decision.parcels[0].location = LocationId(99)));
    refused(names, held, &sourced(|sourced| sourced.decision.parcels[0].lines[0].0 = SkuId(99)));
    refused(names, held, &sourced(|sourced| sourced.decision.substitutions.push((SkuId(99), SkuId(0), 1))));
    refused(names, held, &sourced(|sourced| sourced.bookings[0].location = LocationId(99)));
    refused("was booked", held, &sourced(|sourced| sourced.bookings[0].orders = -1));
    let rerouted = |change: &dyn Fn(&mut Rerouted)| {
        refused("", moved, &|event| match event {
            Event::Rerouted(moved) => change(moved),
            event => panic!("{event:?}"),
        });
    };
    rerouted(&|moved| moved.to[0].location = nowhere);
    rerouted(&|moved| moved.from[0].sku = SkuId(99));
    rerouted(&|moved| moved.parcels[0].location = nowhere);
    rerouted(&|moved| moved.bookings[0].location = nowhere);
    rerouted(&|moved| moved.reservation = ReservationId(77 << 8));
    rerouted(&|moved| moved.from[0].quantity = Quantity(3));
    rerouted(&|moved| moved.bookings[0] = Booking { orders: i32::MIN, units: i64::MIN, ..moved.bookings[0] });
    let merged = |moves: Vec<Rerouted>| {
        refused("", moved, &|event| {
            let decision = match codec::decode(held).expect("its own record").event {
                Event::Held(held) => held.sourced.expect("sourced").decision,
                event => panic!("{event:?}"),
            };
            *event = Event::Merged(Box::new(Merged { moves: moves.clone(), decision, cost_before: 0 }));
        });
    };
    let Event::Rerouted(moved) = codec::decode(moved).expect("its own record").event else { panic!("a move") };
    merged(vec![Rerouted { reservation: ReservationId(77 << 8), ..(*moved).clone() }]);
}

#[test]
fn a_refused_order_rests_on_what_fills_the_place() {
    let mut world = limited();
    world.take(&order("B x1"));
    world.take(&order("B x1"));
    let last = world.rig.journal.records().len();
    // No row of A has changed since, but the place is full.
    let answer = world.submit(&Command::Reserve(order("A x1"))).expect("it stands");
    assert!(
        matches!(&answer.verdict, Verdict::Rejected(Rejection::NotRoutable { unserved }) if unserved[0].reason == UnservedReason::NoCapacity)
    );
    assert_eq!(answer.lsn.get(), u64::try_from(last).expect("small"));
}

//! The router on small networks: what it chooses, what it costs, what keeps places out, and why.

use quartermaster_sourcing::{
    Grams, LocationId, Money, Proof, Query, Router, SkuId, explain,
    fulfilment::{
        Booked, Bookings, Capabilities, CapacityLimits, Fulfilment, Mode, Moment, NoBookings, PlaceSpec, Slot,
    },
    network::Network,
    order::{CellFacts, Destination, Goods, OpenParcel, Order, OrderLine, SizeRun, Stock, Substitute},
    plan::{Plan, UnservedReason},
    policy::{Document, Format, PlaceFacts, Places, Policy},
    region::RegionSpec,
    removal::Removal,
    tariff::TariffDocument,
};

/// A network with the places' own view for policies.
struct World {
    network: Network,
}

impl Places for World {
    fn count(&self) -> usize {
        self.network.places().len()
    }
    fn facts(&self, location: LocationId) -> PlaceFacts<'_> {
        let place = self.network.place(location).unwrap();
        let regions = self.network.regions();
        let codes = place.region.into_iter().flat_map(|region| regions.ancestors(region));
        PlaceFacts {
            code: &place.spec.code,
            kind: place.spec.kind,
            priority: place.spec.priority,
            capabilities: place.spec.capabilities,
            channels: &place.spec.fulfilment.channels,
            regions: codes.map(|region| regions.get(region).unwrap().code.as_str()).collect(),
            open: place.spec.open,
        }
    }
    fn has_region(&self, code: &str) -> bool {
        self.network.region(code).is_some()
    }
    fn location(&self, code: &str) -> Option<LocationId> {
        let mut places = (0..).zip(self.network.places());
        places.find(|(_, place)| place.spec.code == code).map(|(number, _)| LocationId(number))
    }
    fn has_channel(&self, code: &str) -> bool {
        ["tmall", "jd"].contains(&code)
    }
}

fn place(code: &str, kind: &'static str, region: &str, handling: i64, pick: i64) -> PlaceSpec {
    PlaceSpec {
        code: code.into(),
        kind,
        region: region.into(),
        open: true,
        fulfilment: Fulfilment { handling_cost: handling, pick_unit_cost: pick, ..Fulfilment::default() },
        ..PlaceSpec::default()
    }
}

fn regions() -> Vec<RegionSpec> {
    let region = |code: &str, parent: &str| RegionSpec {
        code: code.into(),
        parent: parent.into(),
        name: code.into(),
        coordinates: None,
    };
    vec![region("33", ""), region("3301", "33"), region("44", ""), region("4401", "44")]
}

const TARIFF: &str = r#"
name = "t"
currency = "CNY"
[[services]]
code = "std"
name = "standard"
carrier = "c"
service_level = "standard"
[[services.rates]]
destinations = ["33"]
origins = ["33"]
first_weight_grams = 1000
first_price = 600
step_weight_grams = 1000
step_price = 100
transit_minutes = 1440
[[services.rates]]
first_weight_grams = 1000
first_price = 1200
step_weight_grams = 1000
step_price = 500
transit_minutes = 2880
[[services]]
code = "air"
name = "air"
carrier = "c"
service_level = "express"
weight_max_grams = 5000
[[services.rates]]
first_weight_grams = 500
first_price = 2000
step_weight_grams = 500
step_price = 900
transit_minutes = 600
"#;

fn world(places: &[PlaceSpec], tariff: bool) -> World {
    let tariffs = if tariff { vec![TariffDocument::from_toml(TARIFF).unwrap()] } else { Vec::new() };
    World { network: Network::new(places, &regions(), &tariffs).unwrap() }
}

fn policy(world: &World, toml: &str) -> Policy {
    let text = format!("name = \"p\"\ncurrency = \"CNY\"\n{toml}");
    Policy::compile(Document::read(&text, Format::Toml).unwrap(), 1, world).unwrap()
}

fn stock(units: &[(u32, u32)]) -> Vec<Stock> {
    let one = |(location, available): &(u32, u32)| Stock {
        location: LocationId(*location),
        available: *available,
        refused: false,
        facts: CellFacts::default(),
    };
    units.iter().map(one).collect()
}

fn line<'a>(sku: u32, goods: &Goods<'a>, quantity: u32, stock: &'a [Stock]) -> OrderLine<'a> {
    OrderLine {
        sku: SkuId(sku),
        goods: *goods,
        quantity,
        whole: false,
        only: &[],
        never: &[],
        rather: &[],
        stock,
        surcharge: Money(0),
    }
}

fn order<'a>(lines: Vec<OrderLine<'a>>, region: &str) -> Order<'a> {
    let destination = Destination { region: region.into(), point: None };
    Order { lines, destination, ..Order::default() }
}

const NOW: Moment = Moment(1_800_000_000);

fn route(router: &mut Router, world: &World, policy: &Policy, order: &Order<'_>) -> Plan {
    route_with(router, world, policy, order, &NoBookings)
}

fn route_with(router: &mut Router, world: &World, policy: &Policy, order: &Order<'_>, bookings: &dyn Bookings) -> Plan {
    let query = Query { network: &world.network, places: world, policy, order, now: NOW, bookings };
    let plan = router.route(&query).unwrap();
    // Under "money" the value is what the parcels cost and what is not served.
    let penalties: i64 = plan.unserved.iter().map(|one| i64::from(one.units) * policy.prices().unserved_unit).sum();
    if policy.steps()[plan.step].objective() == quartermaster_routing::Objective::Money {
        assert_eq!(plan.cost().0 + penalties, plan.value.cost.0, "the terms add up to what the solver counted");
    }
    assert_eq!(plan.proof, Proof::Proved);
    let met = router.met().to_vec();
    assert_eq!(router.replan(plan.step, &met).unwrap().parcels, plan.parcels, "what was met decides the same again");
    plan
}

fn shape(plan: &Plan) -> Vec<(u32, Vec<(u32, u32)>)> {
    let lines = |lines: &[(SkuId, u32)]| lines.iter().map(|(sku, units)| (sku.0, *units)).collect();
    plan.parcels.iter().map(|parcel| (parcel.location.0, lines(&parcel.lines))).collect()
}

fn heavy(grams: u64) -> Goods<'static> {
    Goods { code: "G", weight: Grams(grams), ..Goods::default() }
}

#[test]
fn one_near_parcel_beats_two_and_a_far_one() {
    let world = world(
        &[
            place("A", "store", "3301", 100, 10),
            place("B", "store", "4401", 0, 0),
            place("C", "distribution_centre", "3301", 200, 5),
        ],
        true,
    );
    let policy = policy(&world, "");
    let goods = heavy(400);
    let (one, two) = (stock(&[(0, 5), (1, 5), (2, 1)]), stock(&[(1, 5), (2, 5)]));
    let mut router = Router::default();
    let plan =
        route(&mut router, &world, &policy, &order(vec![line(1, &goods, 1, &one), line(2, &goods, 1, &two)], "3301"));
    assert_eq!(shape(&plan), [(2, vec![(1, 1), (2, 1)])]);
    let terms = plan.parcels[0].terms;
    assert_eq!((terms.handling, terms.carriage, terms.picking), (Money(200), Money(600), Money(10)));
    assert_eq!(plan.parcels[0].ships_at, NOW);
    assert_eq!(plan.parcels[0].arrives_at, NOW.plus_minutes(1440));
    assert_eq!(world.network.services()[plan.parcels[0].service.unwrap() as usize].spec.code, "std");
    // Three more kilograms make the second step; the price is by started kilogram.
    let plan = route(&mut router, &world, &policy, &order(vec![line(2, &goods, 5, &two)], "3301"));
    assert_eq!(plan.parcels[0].terms.carriage, Money(700));
    assert_eq!(plan.parcels[0].weight, Grams(2000));
}

#[test]
fn what_keeps_a_place_out_is_told() {
    let mut shut = place("S", "store", "3301", 0, 0);
    shut.open = false;
    let mut pickup = place("P", "store", "3301", 0, 0);
    pickup.capabilities = Capabilities(Capabilities::PICKUP);
    let mut jd = place("J", "store", "3301", 0, 0);
    jd.fulfilment.channels = vec!["jd".into()];
    let mut keeps = place("K", "store", "3301", 0, 0);
    keeps.fulfilment.keep_units = 3;
    let ruled = place("R", "supplier", "3301", 0, 0);
    let named = place("N", "store", "3301", 0, 0);
    let refused = place("F", "store", "3301", 0, 0);
    let world = world(&[shut, pickup, jd, keeps, ruled, named, refused, place("B", "store", "4401", 9000, 0)], true);
    let policy = policy(&world, "[[rules]]\nname = \"no-suppliers\"\nexclude = \"location.kind == 'supplier'\"");
    let goods = heavy(100);
    let mut all = stock(&[(0, 3), (1, 3), (2, 3), (3, 3), (4, 3), (5, 3), (6, 3), (7, 3)]);
    all[6].refused = true;
    let never = [LocationId(5)];
    let lines = vec![OrderLine { never: &never, ..line(1, &goods, 2, &all) }];
    let mut router = Router::default();
    let plan = route(&mut router, &world, &policy, &Order { channel: "tmall", ..order(lines, "3301") });
    assert_eq!(shape(&plan), [(7, vec![(1, 2)])]);
    let notes = explain::notes(router.met(), &plan);
    let rule = |index: usize| policy.document().rules[index].name.as_str();
    let names: Vec<String> =
        notes.iter().map(|note| note.removed.map_or_else(|| "-".into(), |removal| removal.name(rule))).collect();
    let expected = [
        "location_not_open",
        "capability",
        "channel",
        "kept_back",
        "rule:no-suppliers",
        "forbidden_by_line",
        "refused",
        "-",
    ];
    assert_eq!(names, expected);
    assert!(notes[7].chosen && notes[7].parcel.is_some());
}

#[test]
fn no_carrier_is_an_answer() {
    let mut tariff = TariffDocument::from_toml(TARIFF).unwrap();
    tariff.services.truncate(1);
    tariff.services[0].rates.truncate(1);
    let network = Network::new(&[place("A", "store", "3301", 0, 0)], &regions(), &[tariff]).unwrap();
    let world = World { network };
    let policy = policy(&world, "");
    let (goods, all) = (heavy(100), stock(&[(0, 3)]));
    let plan = route(&mut Router::default(), &world, &policy, &order(vec![line(1, &goods, 2, &all)], "4401"));
    assert!(plan.parcels.is_empty());
    assert_eq!((plan.unserved[0].units, plan.unserved[0].reason), (2, UnservedReason::NoCarrier));
}

#[test]
fn fallbacks_are_tried_in_order() {
    let places =
        [place("A", "store", "3301", 0, 0), place("B", "store", "3301", 0, 0), place("C", "store", "4401", 0, 0)];
    let world = world(&places, true);
    let text = r#"
where = "location.regions.exists(r, r == '33')"
parcels_max = 1
partial = false
[[fallbacks]]
name = "anywhere"
partial = false
[[fallbacks]]
name = "what there is"
partial = true
"#;
    let policy = policy(&world, text);
    let goods = heavy(100);
    let mut router = Router::default();
    let mut step = |units: &[(u32, u32)], quantity: u32| {
        let all = stock(units);
        let plan = route(&mut router, &world, &policy, &order(vec![line(1, &goods, quantity, &all)], "3301"));
        (plan.step, shape(&plan))
    };
    assert_eq!(step(&[(0, 2), (1, 5), (2, 9)], 4), (0, vec![(1, vec![(1, 4)])]));
    assert_eq!(step(&[(0, 2), (1, 2), (2, 2)], 4), (1, vec![(0, vec![(1, 2)]), (1, vec![(1, 2)])]));
    assert_eq!(step(&[(0, 2), (2, 1)], 4), (2, vec![(0, vec![(1, 2)]), (2, vec![(1, 1)])]));
}

struct Full(LocationId, Booked);

impl Bookings for Full {
    fn booked(&self, location: LocationId, slot: Slot) -> Booked {
        if location == self.0 && matches!(slot, Slot::Day(_)) { self.1 } else { Booked::default() }
    }
}

#[test]
fn capacity_is_kept_and_pressed() {
    let mut near = place("A", "store", "3301", 0, 0);
    near.fulfilment.capacity =
        CapacityLimits { orders_per_day: Some(10), units_per_day: Some(100), ..Default::default() };
    let world = world(&[near, place("B", "store", "4401", 0, 1)], true);
    let policy = policy(&world, "[prices]\ncapacity_pressure = [{ used_percent = 90, price = 5000 }]");
    let goods = heavy(10);
    let all = stock(&[(0, 50), (1, 50)]);
    let mut router = Router::default();
    let mut at = |booked: Booked, quantity: u32| {
        let order = order(vec![line(1, &goods, quantity, &all)], "3301");
        let plan = route_with(&mut router, &world, &policy, &order, &Full(LocationId(0), booked));
        (shape(&plan), router.met()[0].candidates.places[0].removed)
    };
    assert_eq!(at(Booked { orders: 3, units: 3 }, 4), (vec![(0, vec![(1, 4)])], None));
    assert_eq!(at(Booked { orders: 9, units: 3 }, 4).0, [(1, vec![(1, 4)])], "nine of ten orders press");
    assert_eq!(at(Booked { orders: 10, units: 3 }, 4).1, Some(Removal::OrderCapacity));
    assert_eq!(at(Booked { orders: 1, units: 100 }, 4).1, Some(Removal::UnitCapacity));
    let (split, _) = at(Booked { orders: 1, units: 80 }, 60);
    assert_eq!(split, [(0, vec![(1, 20)]), (1, vec![(1, 40)])], "twenty more fit today");
}

#[test]
fn an_open_parcel_costs_what_it_adds() {
    let world = world(&[place("A", "store", "3301", 300, 0), place("B", "store", "3301", 0, 0)], true);
    let policy = policy(&world, "");
    let goods = heavy(400);
    let all = stock(&[(0, 5), (1, 5)]);
    let open = [OpenParcel { location: LocationId(0), service: Some(0), weight: Grams(500) }];
    let mut router = Router::default();
    let joined = Order { open_parcels: &open, ..order(vec![line(1, &goods, 1, &all)], "3301") };
    let plan = route(&mut router, &world, &policy, &joined);
    assert_eq!((shape(&plan), plan.cost()), (vec![(0, vec![(1, 1)])], Money(0)));
    let two = Order { open_parcels: &open, ..order(vec![line(1, &goods, 2, &all)], "3301") };
    assert_eq!(route(&mut router, &world, &policy, &two).cost(), Money(100), "the second kilogram begins");
}

#[test]
fn opportunity_is_priced_by_the_unit() {
    let world = world(&[place("A", "store", "3301", 0, 0), place("B", "store", "3301", 0, 40)], true);
    let prices = "[prices]\nlast_pieces = { at = 2, price = 50 }\nsize_run = { break_price = 70, broken_bonus = 30 }\nageing = [{ days = 30, bonus = 100 }]";
    let policy = policy(&world, prices);
    let goods = heavy(10);
    let mut router = Router::default();
    let mut cost = |available: u32, run: SizeRun, days: u32| {
        let mut all = stock(&[(0, available)]);
        let oldest = u32::try_from(NOW.0 / 86_400).unwrap() - days;
        all[0].facts = CellFacts { size_run: run, oldest_receipt_day: Some(oldest), ..CellFacts::default() };
        route(&mut router, &world, &policy, &order(vec![line(1, &goods, 1, &all)], "3301")).parcels[0]
            .terms
            .opportunity
            .0
    };
    assert_eq!(cost(9, SizeRun::Unknown, 0), 0);
    assert_eq!(cost(2, SizeRun::Unknown, 0), 50, "one is left");
    assert_eq!(cost(1, SizeRun::Whole, 0), 120, "the last piece of a whole run");
    assert_eq!(cost(9, SizeRun::Broken, 31), -130);
}

#[test]
fn substitutes_fill_what_is_missing_and_classes_go_apart() {
    let world = world(&[place("A", "store", "3301", 100, 0), place("B", "store", "3301", 100, 0)], false);
    let policy = policy(&world, "[prices]\nsubstitution_unit = 7");
    let goods = heavy(10);
    let frozen = Goods { temperature: "frozen", ..heavy(10) };
    let (one, two, cold) = (stock(&[(0, 2)]), stock(&[(0, 9), (1, 9)]), stock(&[(0, 9)]));
    let mut wanted = order(vec![line(1, &goods, 5, &one), line(3, &frozen, 1, &cold)], "3301");
    wanted.substitutes =
        vec![Substitute { instead_of: SkuId(1), line: OrderLine { surcharge: Money(7), ..line(2, &goods, 5, &two) } }];
    wanted.complete = true;
    let plan = route(&mut Router::default(), &world, &policy, &wanted);
    assert_eq!(shape(&plan), [(0, vec![(1, 2), (2, 3)]), (0, vec![(3, 1)])], "what is frozen has a parcel of its own");
    assert_eq!(plan.substitutions[0].units, 3);
    assert_eq!(plan.cost(), Money(221));
}

#[test]
fn pickup_is_at_the_place_named_and_same_hour_is_near() {
    let mut near = place("A", "store", "3301", 0, 0);
    near.capabilities = Capabilities(Capabilities::PICKUP | Capabilities::SAME_HOUR);
    let mut other = near.clone();
    other.code = "B".into();
    let world = world(&[near, other], true);
    let policy = policy(&world, "");
    let (goods, all) = (heavy(10), stock(&[(0, 9), (1, 9)]));
    let mut router = Router::default();
    let base = order(vec![line(1, &goods, 1, &all)], "3301");
    let pickup = Order { mode: Mode::Pickup, pickup_at: Some(LocationId(1)), ..base.clone() };
    assert_eq!(shape(&route(&mut router, &world, &policy, &pickup)), [(1, vec![(1, 1)])]);
    let hour = route(&mut router, &world, &policy, &Order { mode: Mode::SameHour, ..base.clone() });
    assert_eq!((hour.parcels[0].arrives_at, hour.cost()), (NOW.plus_minutes(60), Money(0)));
    let shipped = route(&mut router, &world, &policy, &base);
    assert_eq!(shipped.unserved[0].reason, UnservedReason::NoPlace);
}

#[test]
fn lateness_buys_a_faster_service() {
    let world = world(&[place("A", "store", "4401", 0, 0)], true);
    let policy = policy(&world, "[prices]\nlate_hour = 100");
    let (goods, all) = (heavy(10), stock(&[(0, 9)]));
    let mut router = Router::default();
    let wanted = order(vec![line(1, &goods, 1, &all)], "3301");
    let cheap = route(&mut router, &world, &policy, &wanted);
    assert_eq!(cheap.parcels[0].terms.carriage, Money(1200));
    let soon = Order { wanted_by: Some(NOW.plus_minutes(1440)), ..wanted };
    let fast = route(&mut router, &world, &policy, &soon);
    assert_eq!((fast.parcels[0].terms.carriage, fast.parcels[0].terms.lateness), (Money(2000), Money(0)));
}

#[test]
fn the_runner_up_and_the_smallest_change() {
    let world = world(
        &[place("A", "store", "3301", 100, 0), place("B", "store", "3301", 220, 0), place("C", "store", "3301", 0, 0)],
        false,
    );
    let policy = policy(&world, "");
    let goods = heavy(10);
    let (one, two) = (stock(&[(0, 1), (1, 1), (2, 1)]), stock(&[(0, 1), (1, 1)]));
    let wanted = order(vec![line(1, &goods, 1, &one), line(2, &goods, 1, &two)], "");
    let mut router = Router::default();
    let plan = route(&mut router, &world, &policy, &wanted);
    assert_eq!(shape(&plan), [(0, vec![(1, 1), (2, 1)])]);
    let met = router.met().to_vec();
    let next = explain::alternatives(router.desk(), &met, &plan, 5).unwrap();
    assert_eq!(shape(&next[0]), [(1, vec![(1, 1), (2, 1)])]);
    assert_eq!(next[0].value.cost, Money(220));
    assert!(next.windows(2).all(|pair| pair[0].value <= pair[1].value));
    let changes = explain::counterfactuals(router.desk(), &met, &plan, 10).unwrap();
    let of = |location: u32| changes.iter().find(|change| change.location == LocationId(location)).unwrap();
    assert_eq!(of(1).parcel_cost_fall, Some(Money(120)), "B at 100 costs the same; below that it wins");
    assert_eq!(of(2).more_units, Some((SkuId(2), 1)), "with one of the second C serves all for nothing");
}

#[test]
fn among_equals_fewer_parcels_win() {
    let places = [place("A", "store", "", 0, 0), place("B", "store", "", 0, 0), place("C", "store", "", 0, 0)];
    let world = world(&places, false);
    let policy = policy(&world, "");
    let goods = heavy(0);
    let (one, two) = (stock(&[(0, 3), (1, 9), (2, 1)]), stock(&[(1, 9), (2, 2)]));
    let mut router = Router::default();
    for complete in [false, true] {
        let wanted = order(vec![line(1, &goods, 4, &one), line(2, &goods, 2, &two)], "");
        let plan = route(&mut router, &world, &policy, &Order { complete, ..wanted });
        assert_eq!(shape(&plan), [(1, vec![(1, 4), (2, 2)])]);
        assert_eq!((plan.value.cost, plan.lower_bound.cost), (Money(0), Money(0)));
    }
}

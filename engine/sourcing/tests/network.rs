//! The compiled network against hard numbers, and against a resolver that reads the documents anew for every question.

use proptest::prelude::*;
use quartermaster_sourcing::calendar::FulfilmentError;
use quartermaster_sourcing::fulfilment::{Capabilities, Coordinates, Fulfilment, Moment, PlaceSpec};
use quartermaster_sourcing::geo::distance_metres;
use quartermaster_sourcing::network::{Lane, Network, NetworkError, TargetError, Uncarried, billed_unit_weight};
use quartermaster_sourcing::order::{Destination, Goods};
use quartermaster_sourcing::region::RegionSpec;
use quartermaster_sourcing::tariff::{RateSpec, ServiceSpec, TariffDocument, check};
use quartermaster_sourcing::{Grams, LocationId, Money};
use smallvec::SmallVec;

fn region(code: &str, parent: &str, point: Option<(i32, i32)>) -> RegionSpec {
    RegionSpec { code: code.into(), parent: parent.into(), name: String::new(), coordinates: point.map(at) }
}

/// Hundredths of a degree.
fn at((latitude, longitude): (i32, i32)) -> Coordinates {
    Coordinates { latitude_e7: latitude * 100_000, longitude_e7: longitude * 100_000 }
}

fn place(code: &str, region: &str, point: Option<(i32, i32)>) -> PlaceSpec {
    PlaceSpec { code: code.into(), region: region.into(), coordinates: point.map(at), ..PlaceSpec::default() }
}

fn codes(codes: &[&str]) -> Vec<String> {
    codes.iter().map(|code| (*code).to_owned()).collect()
}

fn rate(origins: &[&str], destinations: &[&str], first_price: i64) -> RateSpec {
    let (origins, destinations) = (codes(origins), codes(destinations));
    RateSpec {
        origins,
        destinations,
        first_weight_grams: 1000,
        first_price,
        transit_minutes: 60,
        ..RateSpec::default()
    }
}

fn service(code: &str, rates: Vec<RateSpec>) -> ServiceSpec {
    ServiceSpec { code: code.into(), rates, ..ServiceSpec::default() }
}

fn tariff(services: Vec<ServiceSpec>) -> TariffDocument {
    TariffDocument { name: "T".into(), currency: "CNY".into(), services }
}

fn to(region: &str, point: Option<(i32, i32)>) -> Destination {
    Destination { region: region.into(), point: point.map(at) }
}

fn lanes(network: &Network, destination: &Destination, location: u32) -> Vec<Lane> {
    let mut lanes = SmallVec::new();
    network.rates(&network.target(destination).unwrap(), LocationId(location), &mut lanes);
    lanes.to_vec()
}

fn prices(network: &Network, destination: &Destination, location: u32) -> Vec<(u32, i64)> {
    lanes(network, destination, location).iter().map(|lane| (lane.service, lane.first_price.0)).collect()
}

fn country() -> Vec<RegionSpec> {
    vec![
        region("east", "", Some((3000, 12000))),
        region("east-1", "east", Some((3100, 12100))),
        region("east-1-a", "east-1", None),
        region("west", "", None),
        region("west-1", "west", Some((3000, 10000))),
    ]
}

#[test]
fn the_most_specific_destination_wins_then_the_most_specific_origin() {
    let places = [place("E", "east-1-a", None), place("W", "west-1", None), place("X", "elsewhere", None)];
    let rates = vec![
        rate(&[], &[], 1),
        rate(&["east"], &[], 2),
        rate(&["east-1"], &["east"], 3),
        rate(&[], &["east-1"], 4),
        rate(&["west", "east"], &["west", "east-1"], 5),
    ];
    let network = Network::new(&places, &country(), &[tariff(vec![service("s", rates)])]).unwrap();
    let table: Vec<_> = ["east-1-a", "east-1", "east", "west-1", ""]
        .map(|destination| [0, 1, 2].map(|place| prices(&network, &to(destination, None), place)[0].1))
        .into();
    //                       from E, W, X
    assert_eq!(table, [[5, 5, 4], [5, 5, 4], [3, 1, 1], [5, 5, 1], [2, 1, 1]]);
}

#[test]
fn a_service_serves_what_it_names() {
    let mut places = [place("A", "east", None), place("B", "west", None), place("C", "", None)];
    places[2].capabilities = Capabilities(Capabilities::PICKUP);
    let named = ServiceSpec { locations: codes(&["C", "B"]), ..service("named", vec![rate(&[], &[], 1)]) };
    let local = service("local", vec![rate(&["east"], &["east"], 2)]);
    let documents = [tariff(vec![named]), tariff(vec![local, service("all", vec![rate(&[], &[], 3)])])];
    let network = Network::new(&places, &country(), &documents).unwrap();
    let of = |destination: &str| [0, 1, 2, 3].map(|place| prices(&network, &to(destination, None), place));
    assert_eq!(of("east-1"), [vec![(1, 2), (2, 3)], vec![(0, 1), (2, 3)], vec![(0, 1)], vec![]]);
    assert_eq!(of("west"), [vec![(2, 3)], vec![(0, 1), (2, 3)], vec![(0, 1)], vec![]]);
    let services: Vec<_> = network.services().iter().map(|service| (service.document, &*service.spec.code)).collect();
    assert_eq!(services, [(0, "named"), (1, "local"), (1, "all")]);
    assert!(network.has_carriers() && network.currency() == "CNY");
    assert!(!Network::new(&places, &[], &[]).unwrap().has_carriers());
}

#[test]
fn bands_hold_from_their_start_and_end_before_their_end() {
    let origin = (0, 0);
    // A hundredth of a degree on a meridian is 1,111.95 m.
    let metres = distance_metres(at(origin), at((1, 0)));
    assert_eq!(metres, 1112);
    let price = |limit: u32| {
        let near = RateSpec { distance_to_metres: Some(limit), ..rate(&[], &[], 1) };
        let far = RateSpec { distance_from_metres: limit, distance_to_metres: Some(limit + 1), ..rate(&[], &[], 2) };
        let tariffs = [tariff(vec![service("s", vec![far, near])])];
        let network = Network::new(&[place("A", "", Some(origin)), place("B", "", None)], &[], &tariffs).unwrap();
        assert_eq!(network.warnings().len(), 1);
        assert_eq!(prices(&network, &to("", Some((1, 0))), 1), []);
        assert_eq!(prices(&network, &to("", None), 0), []);
        prices(&network, &to("", Some((1, 0))), 0)
    };
    assert_eq!(price(1111), []);
    assert_eq!(price(1112), [(0, 2)]);
    assert_eq!(price(1113), [(0, 1)]);
}

#[test]
fn started_steps_of_distance_are_paid() {
    // Half a minor unit for each kilometre: ceil(km / 2).
    let by_distance = RateSpec { distance_step_metres: 2000, distance_step_price: 1, ..rate(&[], &[], 0) };
    let tariffs = [tariff(vec![service("s", vec![by_distance])])];
    let network = Network::new(&[place("A", "", Some((0, 0)))], &[], &tariffs).unwrap();
    let price = |steps| prices(&network, &to("", Some((steps, 0))), 0);
    // 0, 1112, 2224 and 111,195 m.
    assert_eq!([0, 1, 2, 100].map(price), [[(0, 0)], [(0, 1)], [(0, 2)], [(0, 56)]].map(Vec::from));
}

#[test]
fn a_lane_prices_first_and_further_weight() {
    let stepped = RateSpec { step_weight_grams: 500, step_price: 30, ..rate(&[], &[], 100) };
    let limited = ServiceSpec { weight_max_grams: Some(800), ..service("limited", vec![rate(&[], &[], 70)]) };
    let tariffs = [tariff(vec![service("s", vec![stepped]), limited])];
    let network = Network::new(&[place("A", "", None)], &[], &tariffs).unwrap();
    let lanes = lanes(&network, &to("", None), 0);
    let price = |lane: usize, grams| lanes[lane].price(Grams(grams)).map(|price| price.0);
    assert_eq!([0, 1000, 1001, 1500, 1501].map(|grams| price(0, grams)), [100, 100, 130, 130, 160].map(Some));
    assert_eq!([800, 801].map(|grams| price(1, grams)), [Some(70), None]);
    assert_eq!(
        (lanes[1].first_weight, lanes[1].step_weight, lanes[1].weight_max),
        (Grams(800), Grams(1), Some(Grams(800)))
    );
    assert_eq!((lanes[0].transit_minutes, lanes[0].step_price), (60, Money(30)));
}

#[test]
fn a_target_completes_what_the_destination_leaves_out() {
    let places = [place("A", "east", Some((3000, 12000))), place("near", "", Some((3001, 10001)))];
    let zoned = [tariff(vec![service("s", vec![rate(&[], &["west"], 1)])])];
    let network = Network::new(&places, &country(), &zoned).unwrap();
    let target = |destination| network.target(&destination).unwrap();
    // By the point alone: the leaf nearest to it. "east-1" is no leaf, and its leaf has no point.
    let by_point = target(to("", Some((3050, 11900))));
    assert_eq!(network.target_region(&by_point), network.region("west-1"));
    assert_eq!(prices(&network, &to("", Some((3000, 10500))), 0), [(0, 1)]);
    // By the region alone: its point, or that of the nearest region above.
    let by_region = target(to("east-1-a", None));
    assert_eq!(
        network.distance(&by_region, LocationId(0)),
        Some(distance_metres(at((3100, 12100)), at((3000, 12000))))
    );
    assert_eq!(target(to("west", None)).point(), None);
    assert_eq!(network.distance(&target(to("west", None)), LocationId(0)), None);
    assert_eq!(network.distance(&by_region, LocationId(9)), None);
    let nowhere = target(to("", None));
    assert_eq!((network.target_region(&nowhere), nowhere.point()), (None, None));
    // Without zones the region is looked for only when asked.
    let plain = Network::new(&places, &country(), &[]).unwrap();
    let by_point = plain.target(&to("", Some((3050, 11900)))).unwrap();
    assert_eq!(plain.target_region(&by_point), plain.region("west-1"));
    assert_eq!(network.places()[1].region, network.region("west-1"));
    let unknown = TargetError::UnknownRegion { code: "moon".into() };
    assert_eq!(network.target(&to("moon", None)), Err(unknown));
    assert_eq!(network.target(&to("east", Some((9001, 0)))), Err(TargetError::Coordinates));
}

#[test]
fn places_that_work_alike_share_a_calendar() {
    let mut places = [place("A", "", None), place("B", "nowhere", None), place("C", "", None)];
    places[1].fulfilment.handling_cost = 5;
    places[2].fulfilment.processing_minutes = 30;
    let network = Network::new(&places, &[], &[]).unwrap();
    let numbers: Vec<_> = network.places().iter().map(|place| place.calendar).collect();
    assert_eq!((numbers, network.calendar_count()), (vec![0, 0, 1], 2));
    assert_eq!(network.calendar(1).unwrap().departure(Moment(100)).ships_at, Moment(1900));
    assert_eq!(network.places()[1].region, None);
}

#[test]
fn faults_name_the_place() {
    let wrong = PlaceSpec {
        fulfilment: Fulfilment { time_zone: "Nowhere".into(), ..Fulfilment::default() },
        ..place("B", "", None)
    };
    let error = FulfilmentError::TimeZone { name: "Nowhere".into() };
    let found = Network::new(&[place("A", "", None), wrong], &[], &[]).unwrap_err();
    assert_eq!(found.to_string(), "location B: fulfilment: time_zone: \"Nowhere\" is unknown");
    assert_eq!(found, NetworkError::Place { location: LocationId(1), code: "B".into(), error });
    let costly =
        PlaceSpec { fulfilment: Fulfilment { handling_cost: -1, ..Fulfilment::default() }, ..place("B", "", None) };
    assert!(matches!(Network::new(&[costly], &[], &[]), Err(NetworkError::Place { .. })));
    let twice = [place("A", "", None), place("A", "", None)];
    let duplicate = NetworkError::DuplicatePlace { code: "A".into() };
    assert_eq!(Network::new(&twice, &[], &[]).unwrap_err(), duplicate);
    let off = NetworkError::Coordinates { location: LocationId(0), code: "A".into() };
    assert_eq!(Network::new(&[place("A", "", Some((9001, 0)))], &[], &[]).unwrap_err(), off);
    assert!(matches!(Network::new(&[], &[region("a", "b", None)], &[]), Err(NetworkError::Regions(_))));
    let faults = Network::new(&[], &[], &[tariff(vec![service("s", vec![])])]).unwrap_err().to_string();
    assert_eq!(faults, "1 faults in the tariffs; the first: tariff document 0: services[0].rates: there is no rate");
}

#[test]
fn a_unit_is_billed_by_weight_or_volume() {
    let goods = |grams, dimensions_mm| Goods { weight: Grams(grams), dimensions_mm, ..Goods::default() };
    // 300 × 200 × 101 mm are 6,060 cubic centimetres: 1,010 g at 6,000 to the kilogram.
    let parcel = [300, 200, 101];
    assert_eq!(billed_unit_weight(&goods(900, parcel), 6000), Grams(1010));
    assert_eq!(billed_unit_weight(&goods(1011, parcel), 6000), Grams(1011));
    assert_eq!(billed_unit_weight(&goods(900, parcel), 5999), Grams(1011));
    assert_eq!(billed_unit_weight(&goods(900, parcel), 0), Grams(900));
    assert_eq!(billed_unit_weight(&goods(0, [1, 0, 1]), 6000), Grams(0));
    assert_eq!(billed_unit_weight(&goods(u64::MAX, [u32::MAX; 3]), 1), Grams::MAX);
}

#[test]
fn a_service_says_why_it_does_not_carry() {
    let limits = ServiceSpec {
        weight_max_grams: Some(1000),
        side_max_mm: Some(600),
        volumetric_divisor: 6000,
        temperatures: codes(&["frozen"]),
        ..service("s", vec![rate(&[], &[], 1)])
    };
    let cold = ServiceSpec { temperatures: codes(&["frozen", "ambient"]), dangerous_goods: true, ..limits.clone() };
    let plain = ServiceSpec { code: "plain".into(), rates: vec![rate(&[], &[], 1)], ..ServiceSpec::default() };
    let services = [("s", limits), ("cold", cold), ("plain", plain)];
    let services = services.map(|(code, spec)| ServiceSpec { code: code.into(), ..spec }).to_vec();
    let network = Network::new(&[], &[], &[tariff(services)]).unwrap();
    let why = |goods: &Goods<'_>| [0, 1, 2].map(|service: usize| network.services()[service].uncarried(goods));
    let frozen = || Goods { temperature: "frozen", ..Goods::default() };
    assert_eq!(why(&frozen()), [None, None, Some(Uncarried::Temperature)]);
    assert_eq!(why(&Goods::default()), [Some(Uncarried::Temperature), None, None]);
    let dangerous = Goods { dangerous_goods: "9", ..frozen() };
    assert_eq!(why(&dangerous), [Some(Uncarried::DangerousGoods), None, Some(Uncarried::DangerousGoods)]);
    let long = Goods { dimensions_mm: [601, 1, 1], ..frozen() };
    assert_eq!(why(&long)[..2], [Some(Uncarried::TooLong); 2]);
    let bulky = Goods { dimensions_mm: [600, 600, 17], ..frozen() };
    assert_eq!(why(&bulky)[..2], [Some(Uncarried::TooHeavy); 2]);
}

/// The first price by the words of `RateSpec`, one rate after the other.
fn naive(spec: &ServiceSpec, regions: &[RegionSpec], ends: [&str; 2], metres: Option<u32>) -> Option<i64> {
    // How deep the deepest listed region is that holds an end: 0 for anywhere.
    let depth = |list: &[String], end: &str| -> Option<usize> {
        let find = |code: &str| regions.iter().find(|region| region.code == code);
        let chain: Vec<_> = std::iter::successors(find(end), |region| find(&region.parent)).collect();
        if list.is_empty() {
            return Some(0);
        }
        (0..chain.len()).find(|up| list.contains(&chain[*up].code)).map(|up| chain.len() - up)
    };
    let [from, to] = ends;
    let specific = |rate: &RateSpec| Some((depth(&rate.destinations, to)?, depth(&rate.origins, from)?));
    let best = spec.rates.iter().filter_map(specific).max()?;
    let holds = |rate: &&RateSpec| {
        !rate.needs_distance()
            || metres.is_some_and(|metres| {
                metres >= rate.distance_from_metres && rate.distance_to_metres.is_none_or(|to| metres < to)
            })
    };
    let rate = spec.rates.iter().filter(|rate| specific(rate) == Some(best)).find(holds)?;
    let steps = match metres {
        Some(metres) if rate.distance_step_metres > 0 => i64::from(metres.div_ceil(rate.distance_step_metres)),
        _ => 0,
    };
    Some(rate.first_price + steps * rate.distance_step_price)
}

/// Regions 0 to n - 1, each below an earlier one or a root.
fn forest() -> impl Strategy<Value = Vec<RegionSpec>> {
    let row = (any::<prop::sample::Index>(), prop::option::of((-80..80_i32, -170..170_i32)));
    prop::collection::vec(row, 1..12).prop_map(|rows| {
        let mut levels: Vec<usize> = Vec::new();
        let specs = rows.iter().enumerate().map(|(code, (parent, point))| {
            let parent = parent.index(code + 1);
            let deep = parent < code && levels[parent] < 7;
            levels.push(if deep { levels[parent] + 1 } else { 1 });
            let parent = if deep { parent.to_string() } else { String::new() };
            region(&code.to_string(), &parent, point.map(|(latitude, longitude)| (latitude * 100, longitude * 100)))
        });
        specs.collect()
    })
}

type Rates = (Vec<u8>, Vec<u8>, Option<u32>, bool, bool);

fn some_rates() -> impl Strategy<Value = Rates> {
    let list = || prop::collection::vec(0..12_u8, 0..3);
    (list(), list(), prop::option::of(1..15_000_000_u32), any::<bool>(), any::<bool>())
}

/// Rates of one or two bands for the lists, each at a price of its own.
fn rates_of((origins, destinations, limit, open, steps): &Rates, price: i64) -> Vec<RateSpec> {
    let list = |list: &[u8]| list.iter().map(ToString::to_string).collect();
    let (step, step_price) = if *steps { (1_000_000, 1_000_000) } else { (0, 0) };
    let near = RateSpec {
        origins: list(origins),
        destinations: list(destinations),
        distance_to_metres: *limit,
        distance_step_metres: step,
        distance_step_price: step_price,
        ..rate(&[], &[], price)
    };
    let far = limit.map(|limit| RateSpec {
        distance_from_metres: limit,
        distance_to_metres: None,
        first_price: price + 1,
        ..near.clone()
    });
    [Some(near), far.filter(|_| *open)].into_iter().flatten().collect()
}

proptest! {
    #[test]
    fn rates_are_those_of_a_naive_resolver(
        regions in forest(),
        services in prop::collection::vec(prop::collection::vec(some_rates(), 1..8), 1..4),
        ends in prop::collection::vec((0..14_u8, prop::option::of((-80..80_i32, -170..170_i32))), 2..6),
        known in any::<bool>(),
    ) {
        let point = |point: Option<(i32, i32)>| point.map(|(latitude, longitude)| (latitude * 100, longitude * 100));
        let places: Vec<_> = ends.iter().enumerate().map(|(code, (region, spot))| {
            // An empty code would be the leaf nearest to the point; here the region is always said.
            place(&code.to_string(), &format!("{region}"), point(*spot))
        }).collect();
        // Groups of rates are added as long as they pass the check: so lists overlap without contradiction.
        let mut document = tariff(vec![]);
        let tree = quartermaster_sourcing::region::Regions::new(&regions).unwrap();
        for (number, groups) in services.iter().enumerate() {
            document.services.push(service(&number.to_string(), vec![]));
            for (group, price) in groups.iter().zip((0..).step_by(10)) {
                let mut longer = document.clone();
                longer.services[number].rates.extend(rates_of(group, price));
                if check(std::slice::from_ref(&longer), &tree, &places).is_ok() {
                    document = longer;
                }
            }
            if document.services[number].rates.is_empty() {
                document.services[number].rates.push(rate(&[], &[], 7));
            }
        }
        let network = Network::new(&places, &regions, std::slice::from_ref(&document)).unwrap();
        for (region, spot) in &ends {
            let code = if known && usize::from(*region) < regions.len() { region.to_string() } else { String::new() };
            // Without a region the point would bring the nearest.
            let destination = to(&code, point(*spot).filter(|_| !code.is_empty()));
            let target = network.target(&destination).unwrap();
            for (location, origin) in (0..).zip(&places) {
                let metres = network.distance(&target, LocationId(location));
                let ends = [origin.region.as_str(), code.as_str()];
                let expected: Vec<_> = (0..).zip(&document.services)
                    .filter_map(|(number, spec)| Some((number, naive(spec, &regions, ends, metres)?)))
                    .collect();
                prop_assert_eq!(prices(&network, &destination, location), expected);
            }
        }
    }
}

fn any_rate() -> impl Strategy<Value = RateSpec> {
    let lists = || prop::collection::vec(prop::sample::select(vec!["0", "1", "2", "x", ""]), 0..3);
    let metres = || prop_oneof![Just(0), 0..100_u32, any::<u32>()];
    let weight = || prop_oneof![Just(0), 1..2000_u64, any::<u64>()];
    let price = || prop_oneof![Just(0), 0..2000_i64, any::<i64>()];
    let distance = (metres(), prop::option::of(metres()), metres(), price());
    (lists(), lists(), distance, (weight(), price(), weight(), price()), any::<u32>()).prop_map(
        |(
            origins,
            destinations,
            (from, to, step, distance_price),
            (first, first_price, further, step_price),
            transit,
        )| {
            RateSpec {
                origins: codes(&origins),
                destinations: codes(&destinations),
                distance_from_metres: from,
                distance_to_metres: to,
                first_weight_grams: first,
                first_price,
                step_weight_grams: further,
                step_price,
                transit_minutes: transit,
                distance_step_metres: step,
                distance_step_price: distance_price,
            }
        },
    )
}

proptest! {
    #[test]
    fn no_document_panics(
        rates in prop::collection::vec(any_rate(), 0..5),
        weight_max_grams in prop::option::of(any::<u64>()),
        divisor: u32,
        forest in forest(),
        currency in "[A-Z]{2,3}",
        text in "\\PC{0,60}",
    ) {
        let spec = ServiceSpec { weight_max_grams, volumetric_divisor: divisor, ..service("s", rates) };
        let document = TariffDocument { currency, name: text.clone(), services: vec![spec] };
        let read = TariffDocument::from_json(&document.to_json()).unwrap();
        prop_assert_eq!(&read, &document);
        let places = [place("A", "0", Some((0, 0))), place("B", "1", None)];
        if let Ok(network) = Network::new(&places, &forest, &[read]) {
            let distant = lanes(&network, &to("0", Some((9000, 0))), 0);
            prop_assert!(distant.iter().all(|lane| (0..=Money::MAX.0).contains(&lane.first_price.0)));
            prop_assert!(distant.iter().all(|lane| lane.price(Grams(u64::MAX)).is_none_or(|price| price.0 >= 0)));
        }
        let _ = TariffDocument::from_toml(&text);
        let _ = TariffDocument::from_json(&text);
    }

    #[test]
    fn no_cut_or_changed_text_panics(cut in 0..400_usize, byte in 0..400_usize, with in "[\\[\\]{}\",=\\n0-9-]") {
        let document = tariff(vec![service("s", vec![rate(&["0"], &["1"], 1)])]);
        for text in [document.to_json(), toml::to_string(&document).unwrap()] {
            let mut changed: Vec<char> = text.chars().take(cut).collect();
            if let Some(place) = changed.get_mut(byte) {
                *place = with.chars().next().unwrap();
            }
            let changed: String = changed.into_iter().collect();
            for read in [TariffDocument::from_json(&changed).ok(), TariffDocument::from_toml(&changed).ok()] {
                let _ = read.map(|document| Network::new(&[], &[], &[document]));
            }
        }
    }
}

//! What people write: policies, tariffs, stock rules and the expressions in them.

use quartermaster_sourcing::{
    Grams, LocationId,
    fulfilment::{Capabilities, Coordinates, Mode, PlaceSpec},
    network::Network,
    order::{Destination, Goods},
    policy::{self, Codes, Document, OrderFacts, PlaceFacts, Places, Policy},
    region::RegionSpec,
    rules::{self, Compiled, RuleSet, StockFacts},
    tariff::{self, TariffDocument},
};
use smallvec::SmallVec;

use crate::{Target, mutate::Form, words};

/// The first byte says what the text is.
pub(super) const DOCUMENTS: Target = Target {
    name: "documents",
    story: "policies, tariffs, stock rules and conditions: read, linted, compiled, evaluated; the canonical text reads back the same",
    run: documents,
    form: Form::Text,
    seeds,
    together: 1,
};

fn documents(input: &[u8]) {
    let Some((first, text)) = input.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    match first % 6 {
        0 => policy(text),
        1 => tariff(text),
        2 => stock_rules(text),
        3 => policy(&format!("name = 'p'\ncurrency = 'CNY'\n[[rules]]\nname = 'r'\nexclude = {}\n", quoted(text))),
        4 => policy(&format!(
            "name = 'p'\ncurrency = 'CNY'\nwhere = {0}\n[[preferences]]\nname = 'w'\nwhen = {0}\nunit_price = 5\n",
            quoted(text)
        )),
        _ => stock_rules(&format!("[[rules]]\nname = 'r'\nkeep.formula = {}\n", quoted(text))),
    }
}

/// A TOML string of any text.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

struct Town {
    channels: [String; 1],
}

const PLACES: [(&str, &str, &str, u32); 4] = [
    ("L1", "distribution_centre", "310000", 9),
    ("L2", "store", "310100", 7),
    ("L3", "", "", 0),
    ("L4", "supplier", "330000", 15),
];

impl Places for Town {
    fn count(&self) -> usize {
        PLACES.len()
    }

    fn facts(&self, location: LocationId) -> PlaceFacts<'_> {
        let place = usize::try_from(location.0).ok().and_then(|place| PLACES.get(place));
        let (code, kind, region, capabilities) = *place.expect("Invariant: ids are below the number of places");
        let priority = location.0 * 10;
        let channels = if kind == "store" { &self.channels[..] } else { &[] };
        let regions = if region.is_empty() { Codes::new() } else { Codes::from_slice(&[region, "CN"]) };
        PlaceFacts {
            code,
            kind,
            priority,
            capabilities: Capabilities(capabilities),
            channels,
            regions,
            open: code != "L3",
        }
    }

    fn has_region(&self, code: &str) -> bool {
        ["CN", "310000", "310100", "330000"].contains(&code)
    }

    fn location(&self, code: &str) -> Option<LocationId> {
        (0..4).map(LocationId).find(|place| self.facts(*place).code == code)
    }

    fn has_channel(&self, code: &str) -> bool {
        ["app", "till"].contains(&code)
    }
}

fn town() -> Town {
    Town { channels: ["app".to_owned()] }
}

fn goods(attributes: &[(String, String)]) -> [Goods<'_>; 3] {
    let coat = Goods {
        code: "A",
        style: "style",
        colour: "red",
        size: "S",
        category: "coats",
        weight: Grams(400),
        dimensions_mm: [300, 200, 50],
        value: 9_900,
        dangerous_goods: "",
        temperature: "",
        attributes,
    };
    let dear =
        Goods { value: i64::MAX, weight: Grams(u64::MAX), dimensions_mm: [u32::MAX; 3], dangerous_goods: "9", ..coat };
    [coat, dear, Goods::default()]
}

fn policy(text: &str) {
    let Ok(document) = Document::read_any(text) else { return };
    let canonical = document.to_json();
    let again = Document::read_any(&canonical).expect("the canonical text is a document");
    assert_eq!((&again, again.to_json()), (&document, canonical), "a document survives being written");
    let town = town();
    let findings = policy::lint(&document, &town, None);
    let Ok(compiled) = Policy::compile(document, 1, &town) else {
        assert!(
            findings.iter().any(|finding| finding.severity == policy::Severity::Error),
            "lint tells what compiling refuses"
        );
        return;
    };
    let attributes = [("season".to_owned(), "winter".to_owned())];
    let order = OrderFacts {
        channel: "app",
        regions: &["310100", "310000", "CN"],
        units: 3,
        lines: 2,
        ..OrderFacts::default()
    };
    let huge = OrderFacts {
        units: u64::MAX,
        lines: u32::MAX,
        weight_grams: u64::MAX,
        value: i64::MIN,
        mode: Mode::SameHour,
        ..OrderFacts::default()
    };
    for order in [order, huge] {
        let bound = compiled.for_order(&order, &town);
        for step in compiled.steps() {
            let eligible = bound.eligible(step);
            for place in (0..4).map(LocationId) {
                for distance in [None, Some(0), Some(u32::MAX)] {
                    _ = (bound.excluded_by(step, place), bound.parcel_price(place, distance));
                    if !eligible.contains(place) {
                        continue;
                    }
                    if let Some(removed) = bound.candidate_excluded_by(step, place, distance) {
                        _ = compiled.reason(step, removed);
                    }
                    for goods in &goods(&attributes) {
                        let line = bound.line(goods);
                        _ = (line.excluded_by(step, place, distance), line.unit_price(place, distance));
                    }
                }
            }
        }
        _ = bound.unanswered();
    }
}

fn tariff(text: &str) {
    let read = if text.trim_start().starts_with('{') {
        TariffDocument::from_json(text)
    } else {
        TariffDocument::from_toml(text)
    };
    let Ok(document) = read else { return };
    let canonical = document.to_json();
    let again = TariffDocument::from_json(&canonical).expect("the canonical text is a tariff");
    assert_eq!((&again, again.to_json()), (&document, canonical), "a tariff survives being written");
    let region = |code: &str, parent: &str, point: Option<(i32, i32)>| RegionSpec {
        code: code.into(),
        parent: parent.into(),
        name: String::new(),
        coordinates: point.map(|(latitude_e7, longitude_e7)| Coordinates { latitude_e7, longitude_e7 }),
    };
    let regions = [
        region("CN", "", None),
        region("310000", "CN", Some((312_000_000, 1_215_000_000))),
        region("310100", "310000", None),
        region("330000", "CN", Some((303_000_000, 1_202_000_000))),
    ];
    let place = |(code, _, region, _): &(&str, &str, &str, u32)| PlaceSpec {
        code: (*code).into(),
        region: (*region).into(),
        ..PlaceSpec::default()
    };
    let places: Vec<PlaceSpec> = PLACES.iter().map(place).collect();
    let checked = quartermaster_sourcing::region::Regions::new(&regions)
        .map(|tree| tariff::check(std::slice::from_ref(&document), &tree, &places).is_ok());
    let network = Network::new(&places, &regions, &[document]);
    assert_eq!(checked.ok(), Some(network.is_ok()), "a network takes what the check lets pass, and nothing else");
    let Ok(network) = network else { return };
    let destinations = ["310100", "330000", ""].map(|region| Destination { region: region.into(), point: None });
    for target in destinations.iter().filter_map(|destination| network.target(destination).ok()) {
        for place in (0..4).map(LocationId) {
            let mut lanes = SmallVec::new();
            network.rates(&target, place, &mut lanes);
            for lane in &lanes {
                for weight in [0, 1, 1_000, 1_001, u64::MAX] {
                    _ = lane.price(Grams(weight));
                }
            }
        }
    }
    for goods in &goods(&[]) {
        network.services().iter().for_each(|service| _ = service.uncarried(goods));
    }
}

fn stock_rules(text: &str) {
    let Ok(set) = RuleSet::read(text) else { return };
    let canonical = set.to_json();
    let again = RuleSet::read(&canonical).expect("the canonical text is a set of rules");
    assert_eq!((&again, again.to_json()), (&set, canonical), "rules survive being written");
    let town = town();
    let findings = rules::check(&set, &town);
    let (compiled, left_out) = Compiled::new(&set, &town);
    if findings.iter().all(|finding| finding.severity != policy::Severity::Error) {
        assert!(left_out.is_empty(), "what the check lets pass compiles, but {left_out:?} does not");
    }
    let most =
        StockFacts { on_hand: u64::MAX, sellable: u64::MAX, safety: u64::MAX, incoming: u64::MAX, cells: u64::MAX };
    let some = StockFacts { on_hand: 7, sellable: 6, safety: 1, incoming: 3, cells: 2 };
    let attributes = [("season".to_owned(), "winter".to_owned())];
    for now in [0, 1_800_000_000_000_000, u64::MAX] {
        _ = compiled.turns_within(now / 2, now);
        for rule in compiled.holding(now) {
            for (goods, stock) in goods(&attributes).iter().zip([some, most, StockFacts::default()]) {
                _ = (rule.is_for(goods), rule.units(goods, None, &stock));
                for place in (0..4).map(LocationId) {
                    _ = (rule.is_at(place), rule.units(goods, Some(&town.facts(place)), &stock));
                }
            }
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let conditions = [
        "location.kind == 'store' && order.units > 20",
        "sku.attributes['season'] == 'winter' || sku.code in ['A', 'B']",
        "location.regions.exists(r, r in order.regions)",
        "(order.value - order.units * 3) / 7 >= location.priority % 2 ? sku.value > 5 : !(distance_metres < 100)",
        "order.channel.startsWith('a') && size(location.channels) > 0",
    ];
    let formulas = [
        "sku.value >= 100000 && stock.on_hand < 20 ? 1 : 0",
        "stock.sellable / 10 + stock.cells * 2 - stock.safety % 3",
    ];
    let tagged = |tag: u8, text: &str| [&[tag], text.as_bytes()].concat();
    let mut seeds = vec![tagged(0, words::POLICY), tagged(1, words::TARIFF), tagged(2, words::RULES)];
    seeds.extend(conditions.iter().flat_map(|text| [tagged(3, text), tagged(4, text)]));
    seeds.extend(formulas.iter().map(|text| tagged(5, text)));
    if let Ok(document) = Document::read_any(words::POLICY) {
        seeds.push(tagged(0, &document.to_json()));
    }
    if let Ok(document) = TariffDocument::from_toml(words::TARIFF) {
        seeds.push(tagged(1, &document.to_json()));
    }
    seeds
}

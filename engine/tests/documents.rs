//! Regions, tariffs and policies: what is refused before it is logged, what holds when, and what comes back from a log and a snapshot.

mod support;

use quartermaster_engine::{
    EngineConfig, Error,
    catalog::{
        ChannelSpec, Fulfilment, Location, LocationSpec, SkuSpec,
        documents::{Content, DocumentId, DocumentKind},
    },
    codec,
    command::{CatalogueCommand, CellCode, Command, FactRow, StockCommand},
    event::{Event, Facts, Record},
    history::{Check, History, Rules},
    id::LocationId,
    time::Timestamp,
};
use quartermaster_journal::{Journal, Lsn};
use quartermaster_sourcing::region::RegionSpec;
use support::{Rig, T0, dump, render, snapshot};

const SECOND: u64 = 1_000_000;

struct World {
    rig: Rig,
    requests: Vec<String>,
}

impl World {
    /// Locations L1 and L2, channel app, regions 33 and 3301 in it.
    fn new() -> Self {
        let mut world = Self { rig: Rig::new(EngineConfig::default()), requests: Vec::new() };
        let channel = ChannelSpec { code: "app".into(), active: true, ..ChannelSpec::default() };
        world.done(CatalogueCommand::UpsertChannels(vec![channel]));
        let location =
            |code: &str| LocationSpec { code: code.into(), region: "3301".into(), ..LocationSpec::default() };
        world.done(CatalogueCommand::UpsertLocations(vec![location("L1"), location("L2")]));
        world.done(CatalogueCommand::UpsertRegions(vec![region("33", ""), region("3301", "33")]));
        world
    }

    fn play(&mut self, command: &Command) -> String {
        self.rig.now = Timestamp(self.rig.now.0 + SECOND);
        let id = format!("r{}", self.requests.len());
        let result = self.rig.submit(&id, command);
        self.requests.push(id);
        render::answer(&self.rig.engine, &result, &|id| id.to_string())
    }

    fn tell(&mut self, command: CatalogueCommand) -> String {
        self.play(&Command::Catalogue(command))
    }

    fn done(&mut self, command: CatalogueCommand) {
        let at = self.rig.engine.journal().appended_lsn();
        let told = self.tell(command);
        assert!(self.rig.engine.journal().appended_lsn() > at, "{told}");
    }

    fn draft(&mut self, kind: DocumentKind, text: &str) -> String {
        let content = Content::read(kind, text).unwrap();
        self.tell(CatalogueCommand::Draft(Box::new(content)))
    }

    fn activate(&mut self, kind: DocumentKind, name: &str, version: u32, seconds: Option<u64>) -> String {
        let effective_at = seconds.map(|seconds| Timestamp(T0 + seconds * SECOND));
        self.tell(CatalogueCommand::Activate { document: id(kind, name, version), effective_at })
    }

    fn retire(&mut self, kind: DocumentKind, name: &str, version: u32) -> String {
        self.tell(CatalogueCommand::Retire(id(kind, name, version)))
    }

    /// Policies and carrier services in force so many seconds after the start.
    fn in_force(&self, seconds: u64) -> String {
        let catalogue = self.rig.engine.catalogue();
        let stage = catalogue.directory().stage(Timestamp(T0 + seconds * SECOND));
        let policies = stage.policies.iter().map(|policy| format!("{}/{}", policy.name(), policy.version()));
        let services = stage.network.services().iter().map(|service| service.spec.code.clone());
        policies.chain(services).collect::<Vec<_>>().join(" ")
    }

    fn dump(&self) -> String {
        dump::dump(&self.rig.engine, self.requests.iter().map(String::as_str))
    }

    /// Restarts, from the log and from a snapshot, and lets the fold compare both.
    fn survives(&mut self) {
        let before = self.dump();
        self.rig.restart();
        assert_eq!(self.dump(), before, "from the log");
        self.rig.restart_from_snapshot();
        assert_eq!(self.dump(), before, "from a snapshot");
        let mut history = History::new(Rules::default());
        for (lsn, record) in (1..).zip(self.rig.journal.records()) {
            history.fold(Lsn::new(lsn), &record);
        }
        let (_, sections) = snapshot(&self.rig.engine, self.rig.now);
        for section in &sections {
            history.check_section(section.kind, section.unit, section.lsn, &section.payload);
        }
        history.compare(&self.rig.engine);
        let found: Vec<String> = history.findings().iter().map(ToString::to_string).collect();
        assert_eq!(found, Vec::<String>::new());
        assert!(Check::ALL.iter().all(|check| history.count(*check) == 0));
    }
}

fn region(code: &str, parent: &str) -> RegionSpec {
    RegionSpec { code: code.into(), parent: parent.into(), ..RegionSpec::default() }
}

fn id(kind: DocumentKind, name: &str, version: u32) -> DocumentId {
    DocumentId { kind, name: name.into(), version }
}

fn policy(name: &str, more: &str) -> String {
    format!("name = '{name}'\ncurrency = 'CNY'\n{more}")
}

fn tariff(name: &str, currency: &str, service: &str, rates: &str) -> String {
    format!("name = '{name}'\ncurrency = '{currency}'\n[[services]]\ncode = '{service}'\n{rates}")
}

const RATE: &str = "[[services.rates]]\ndestinations = ['33']\nfirst_weight_grams = 1000\nfirst_price = 800\n";

use DocumentKind::{Policy, Tariff};

#[test]
fn documents_go_from_draft_to_active_to_retired() {
    let mut world = World::new();
    assert_eq!(world.draft(Policy, &policy("retail", "")), "drafted policy retail/1");
    assert_eq!(world.draft(Policy, &policy("retail", "parcels_max = 2")), "drafted policy retail/2");
    assert_eq!(world.in_force(100), "");
    assert_eq!(world.activate(Policy, "retail", 1, None), "activated policy retail/1");
    assert_eq!(world.in_force(100), "retail/1");
    assert_eq!(world.activate(Policy, "retail", 1, None), "DOCUMENT_STATE policy retail/1 active not draft");
    assert_eq!(world.activate(Policy, "retail", 2, None), "activated policy retail/2");
    assert_eq!(world.in_force(100), "retail/2");
    assert_eq!(world.retire(Policy, "retail", 1), "DOCUMENT_STATE policy retail/1 retired not active");
    assert_eq!(world.activate(Policy, "retail", 1, None), "DOCUMENT_STATE policy retail/1 retired not draft");
    assert_eq!(world.retire(Policy, "retail", 2), "retired policy retail/2");
    assert_eq!(world.retire(Policy, "nobody", 2), "UNKNOWN_DOCUMENT policy nobody/2");
    assert_eq!(world.retire(Tariff, "retail", 2), "UNKNOWN_DOCUMENT tariff retail/2");
    assert_eq!(world.in_force(100), "");
    assert_eq!(world.draft(Policy, &policy("retail", "")), "drafted policy retail/3");
    world.survives();
}

#[test]
fn a_document_may_wait_for_its_time() {
    let mut world = World::new();
    world.draft(Tariff, &tariff("sf", "CNY", "std", RATE));
    world.draft(Tariff, &tariff("sf", "CNY", "fast", RATE));
    world.activate(Tariff, "sf", 1, None);
    assert_eq!(world.activate(Tariff, "sf", 2, Some(1_000)), "activated tariff sf/2");
    assert_eq!([world.in_force(999), world.in_force(1_000)], ["std", "fast"]);
    world.survives();
    assert_eq!([world.in_force(999), world.in_force(1_000)], ["std", "fast"]);
    world.rig.now = Timestamp(T0 + 2_000 * SECOND);
    assert_eq!(world.retire(Tariff, "sf", 1), "DOCUMENT_STATE tariff sf/1 retired not active");
    assert_eq!(world.retire(Tariff, "sf", 2), "retired tariff sf/2");
    assert_eq!(world.in_force(3_000), "", "what was followed does not come back");
    world.survives();
}

#[test]
fn what_a_document_gets_wrong_is_told_with_its_place() {
    let mut world = World::new();
    let rule = |exclude: &str| policy("p", &format!("rules = [{{ name = 'r', exclude = \"{exclude}\" }}]"));
    let cases = [
        (Policy, policy("p", "scope = { channels = ['web'] }"), "scope.channels[0]: there is no channel \"web\""),
        (Policy, rule("location.code == 'L9'"), "rules[0].exclude: there is no place \"L9\""),
        (Policy, rule("location.region == '99'"), "rules[0].exclude: there is no region \"99\""),
        (Policy, rule("location.height > 3"), "rules[0].exclude: location has no field \"height\""),
        (Policy, policy("default", ""), "name: is \"default\", the name of the policy of orders that no other is for"),
        (Policy, policy("", ""), "name: has 0 bytes: 1 to 64 are allowed"),
        (Policy, policy("p", "prices = { unserved_unit = -1 }"), "prices.unserved_unit: "),
        (
            Tariff,
            tariff("t", "CNY", "std", &RATE.replace("'33'", "'99'")),
            "services[0].rates[0].destinations[0]: region \"99\" is unknown",
        ),
        (Tariff, tariff("t", "CNY", "std", &RATE.replace("800", "-1")), "services[0].rates[0].first_price: "),
        (
            Tariff,
            tariff("t", "CNY", "std", &format!("locations = ['L9']\n{RATE}")),
            "services[0].locations[0]: location \"L9\" is unknown",
        ),
        (
            Tariff,
            tariff("t", "CNY", "std", &format!("{RATE}distance_to_metres = 5\n{RATE}distance_from_metres = 9\n")),
            "no band holds 5 to 9 metres",
        ),
        (
            Tariff,
            tariff("t", "CNY", "std", &format!("{RATE}distance_to_metres = 9\n{RATE}distance_from_metres = 5\n")),
            "the band overlaps",
        ),
    ];
    for (kind, text, expected) in cases {
        let told = world.draft(kind, &text);
        assert!(told.starts_with("INVALID_DOCUMENT ") && told.contains(expected), "{text}\n{told}\n{expected}");
    }
    assert!(Content::read(Policy, "name = 1").unwrap_err().message.starts_with("line 1, column 8: "));
    assert!(Content::read(Tariff, "{\"nome\": 1}").unwrap_err().message.contains("nome"));
}

#[test]
fn a_draft_is_checked_again_when_it_is_put_in_force() {
    let mut world = World::new();
    world.draft(Tariff, &tariff("sf", "CNY", "std", RATE));
    world.draft(Tariff, &tariff("yt", "CNY", "std", RATE));
    world.draft(Tariff, &tariff("dhl", "EUR", "air", RATE));
    world.draft(Policy, &policy("retail", ""));
    assert_eq!(world.draft(Policy, "name = 'euro'\ncurrency = 'EUR'\n"), "drafted policy euro/1");
    world.activate(Tariff, "sf", 1, None);
    world.activate(Policy, "retail", 1, None);
    let told = world.activate(Tariff, "yt", 1, None);
    assert!(told.starts_with("INVALID_DOCUMENT services[0].code: ") && told.contains("std is given twice"), "{told}");
    let told = world.activate(Policy, "euro", 1, None);
    assert_eq!(told, "INVALID_DOCUMENT currency: is EUR; the tariffs in force are in CNY, and costs are added up");
    assert_eq!(world.retire(Tariff, "sf", 1), "retired tariff sf/1");
    let told = world.activate(Tariff, "dhl", 1, None);
    assert!(told.starts_with("INVALID_DOCUMENT policy \"retail\" version 1: currency: is CNY"), "{told}");
    assert_eq!(world.in_force(100), "retail/1", "nothing that was refused is in force");
    world.survives();
}

#[test]
fn regions_make_trees() {
    let mut world = World::new();
    let mut upsert = |regions: &[(&str, &str)]| {
        let regions = regions.iter().map(|(code, parent)| region(code, parent)).collect();
        world.tell(CatalogueCommand::UpsertRegions(regions))
    };
    assert_eq!(upsert(&[("A", "B")]), "UNKNOWN_REGION B");
    assert!(upsert(&[("A", "B"), ("B", "A")]).starts_with("REGION Some(0) region A lies in a round"));
    assert!(upsert(&[("33", "3301")]).starts_with("REGION Some(0) region 33 lies in a round"));
    let chain: Vec<(&str, &str)> =
        ["3301", "3", "4", "5", "6", "7", "8", "9"].windows(2).map(|two| (two[1], two[0])).collect();
    assert!(upsert(&chain).contains("is more than 8 levels deep"));
    assert_eq!(upsert(&chain[..6]), "RegionsUpserted entries=6 created=6 shortfalls=0");
    assert_eq!(upsert(&[("8", "33"), ("9", "8")]), "RegionsUpserted entries=2 created=1 shortfalls=0");
    let network = world.rig.engine.catalogue().directory().stage(world.rig.now).network.clone();
    assert_eq!(network.regions().depth(network.region("9").unwrap()), 3);
    world.survives();
}

#[test]
fn places_goods_and_facts_come_back() {
    let mut world = World::new();
    let goods = quartermaster_engine::catalog::GoodsSpec {
        category: "ice".into(),
        dimensions_mm: [300, 200, 100],
        dangerous_goods: "9".into(),
        temperature: "frozen".into(),
    };
    let sku = SkuSpec { code: "A".into(), sellable: true, goods, ..SkuSpec::default() };
    world.done(CatalogueCommand::UpsertSkus(vec![sku, SkuSpec { code: "B".into(), ..SkuSpec::default() }]));
    let fulfilment = Fulfilment { handling_cost: 310, channels: vec!["app".into()], ..Fulfilment::default() };
    let place = LocationSpec { code: "L3".into(), fulfilment, ..LocationSpec::default() };
    world.done(CatalogueCommand::UpsertLocations(vec![place.clone()]));
    let nowhere = Fulfilment { channels: vec!["web".into()], ..Fulfilment::default() };
    let told = world.tell(CatalogueCommand::UpsertLocations(vec![LocationSpec { fulfilment: nowhere, ..place }]));
    assert_eq!(told, "UNKNOWN_CHANNEL web");
    let fact = |sku: &str, location: &str, demand| FactRow {
        cell: CellCode { sku: sku.into(), location: location.into() },
        facts: Facts { weekly_demand_milli: demand, oldest_receipt_day: demand.map(|_| 20_000) },
    };
    let set = |rows: &[FactRow]| Command::Stock(StockCommand::SetFacts(rows.to_vec()));
    let told = world.play(&set(&[fact("B", "L1", Some(0)), fact("A", "L2", Some(5)), fact("A", "L1", Some(7))]));
    assert_eq!(told, "CellFactsSet entries=3 created=0 shortfalls=0");
    assert_eq!(world.play(&set(&[fact("A", "L9", None)])), "UNKNOWN_LOCATION L9");
    assert_eq!(world.play(&set(&[fact("Z", "L1", None)])), "UNKNOWN_SKU Z");
    world.play(&set(&[fact("A", "L1", None)]));
    let sku = world.rig.engine.catalogue().sku("A").unwrap();
    let known: Vec<_> =
        world.rig.engine.facts(sku).iter().map(|cell| (cell.location.0, cell.facts.weekly_demand_milli)).collect();
    assert_eq!(known, [(1, Some(5))]);
    let revision = world.rig.engine.availability(&[sku], &[]).1[0].revision;
    assert_eq!(revision, Lsn::ZERO, "facts are no stock");
    world.survives();
}

#[test]
fn a_repeat_of_a_draft_is_told_the_same_without_its_text() {
    let world = World::new();
    let content = || Content::read(Policy, &policy("retail", "")).unwrap();
    let draft = |content| Command::Catalogue(CatalogueCommand::Draft(Box::new(content)));
    let first = world.rig.submit("d", &draft(content())).unwrap();
    let again = world.rig.submit("d", &draft(content())).unwrap();
    assert_eq!((again.lsn, again.replayed), (first.lsn, true));
    let other = Content::read(Policy, &policy("other", "")).unwrap();
    assert!(matches!(world.rig.submit("d", &draft(other)), Err(Error::RequestIdReused { .. })));
    assert_eq!(world.rig.engine.catalogue().directory().documents().len(), 1);
}

/// A journal of another version may hold what this one cannot compile. It is left out, told, and in nobody's way.
#[test]
fn what_cannot_be_compiled_is_left_out_and_told() {
    let mut world = World::new();
    world.draft(Policy, &policy("retail", ""));
    world.activate(Policy, "retail", 1, None);
    let odd = id(Policy, "newer", 1);
    let place = LocationSpec {
        code: "L3".into(),
        fulfilment: Fulfilment { time_zone: "Mars/Olympus".into(), ..Fulfilment::default() },
        ..LocationSpec::default()
    };
    let events = [
        Event::DocumentDrafted {
            document: odd.clone(),
            json: "{\"name\":\"newer\",\"currency\":\"CNY\",\"x\":1}".into(),
        },
        Event::DocumentActivated { document: odd, effective_at: world.rig.now },
        Event::LocationsUpserted { locations: vec![Location { id: LocationId(2), spec: place }], created: 1 },
    ];
    for event in events {
        let (request_id, actor) = (String::new(), String::new());
        let mut bytes = Vec::new();
        codec::encode(&Record { time: world.rig.now, request_id, fingerprint: 0, actor, event }, &mut bytes);
        world.rig.journal.append(&bytes).unwrap();
    }
    world.rig.restart();
    let told = |world: &World| -> Vec<String> {
        let catalogue = world.rig.engine.catalogue();
        catalogue.directory().stages().excluded().iter().map(ToString::to_string).collect()
    };
    let excluded = told(&world);
    assert_eq!(excluded.len(), 2, "{excluded:?}");
    assert!(excluded[0].starts_with("policy \"newer\" version 1: ") && excluded[0].contains('x'), "{excluded:?}");
    assert!(excluded[1].starts_with("location \"L3\": ") && excluded[1].contains("Mars/Olympus"), "{excluded:?}");
    assert_eq!(world.in_force(100), "retail/1");
    let stage = world.rig.engine.catalogue().directory().stage(world.rig.now).clone();
    assert_eq!((stage.network.places().len(), stage.network.places()[2].spec.open), (3, false));
    // What is done next is not refused for what was left out before.
    world.done(CatalogueCommand::UpsertRegions(vec![region("34", "")]));
    assert_eq!(told(&world), excluded);
    let mended = LocationSpec { code: "L3".into(), ..LocationSpec::default() };
    world.done(CatalogueCommand::UpsertLocations(vec![mended]));
    assert_eq!(told(&world), excluded[..1]);
    assert_eq!(world.retire(Policy, "newer", 1), "retired policy newer/1");
    assert_eq!(told(&world), Vec::<String>::new());
    world.survives();
}

//! Safety stock of many levels and rules by formula: what holds, when it is evaluated, and what comes back from a log and a snapshot.

mod support;

use proptest::{collection::vec, prelude::*};
use quartermaster_engine::{
    EngineConfig, Verdict,
    catalog::{Capabilities, ChannelSpec, GoodsSpec, LocationKind, LocationSpec, LocationState, SkuSpec},
    command::{
        Bucket, CatalogueCommand, CellCode, Command, Reserve, ReserveLine, SetStock, SourcingRequest, Step,
        StockCommand, StockReason,
        allotment::{AllotmentCommand, Goods, NodeCode, ReturnAllotments},
        rules::RulesCommand,
    },
    event::{Event, rules::RulesEvent},
    history::{Check, History, Rules},
    id::{LocationId, ReservationId, SkuId},
    quantity::Quantity,
    time::{Micros, Timestamp},
};
use quartermaster_journal::{Journal, Lsn};
use quartermaster_sourcing::rules::RuleSet;
use support::{Rig, T0, cases, dump, regressions, render, snapshot};

const SECOND: u64 = 1_000_000;

struct World {
    rig: Rig,
    requests: Vec<String>,
}

/// Code, kind and region of the locations, in the order of their ids.
const PLACES: [(&str, LocationKind, &str); 4] = [
    ("DC", LocationKind::DistributionCentre, "3301"),
    ("S1", LocationKind::Store, "3301"),
    ("S2", LocationKind::Store, "4401"),
    ("FW", LocationKind::ForwardWarehouse, ""),
];

/// Code, style, category and size of the SKUs, in the order of their ids.
const GOODS: [(&str, &str, &str, &str); 4] =
    [("A41", "A", "shoes", "41"), ("A42", "A", "shoes", "42"), ("B-M", "B", "coats", "M"), ("C", "", "", "")];

const CHANNELS: [&str; 2] = ["online", "outlet"];

impl World {
    /// Channels, locations and SKUs of the tables above; C has no attributes, the others a season.
    fn new() -> Self {
        let mut world = Self { rig: Rig::new(EngineConfig::default()), requests: Vec::new() };
        let channel = |code: &&str| ChannelSpec { code: (*code).into(), active: true, ..ChannelSpec::default() };
        world.done(&Command::Catalogue(CatalogueCommand::UpsertChannels(CHANNELS.iter().map(channel).collect())));
        let place = |(code, kind, region): &(&str, LocationKind, &str)| LocationSpec {
            code: (*code).into(),
            kind: *kind,
            region: (*region).into(),
            capabilities: Capabilities(Capabilities::SHIP),
            ..LocationSpec::default()
        };
        let region = |code: &str, parent: &str| quartermaster_sourcing::region::RegionSpec {
            code: code.into(),
            parent: parent.into(),
            ..Default::default()
        };
        let regions = vec![region("33", ""), region("3301", "33"), region("44", ""), region("4401", "44")];
        world.done(&Command::Catalogue(CatalogueCommand::UpsertRegions(regions)));
        world.done(&Command::Catalogue(CatalogueCommand::UpsertLocations(PLACES.iter().map(place).collect())));
        world.done(&Command::Catalogue(CatalogueCommand::UpsertSkus((0..GOODS.len()).map(sku).collect())));
        world
    }

    fn play(&mut self, command: &Command) -> String {
        self.rig.now = Timestamp(self.rig.now.0 + 1);
        let id = format!("r{}", self.requests.len());
        let result = self.rig.submit(&id, command);
        self.requests.push(id);
        render::answer(&self.rig.engine, &result, &|id| id.to_string())
    }

    fn done(&mut self, command: &Command) -> Event {
        self.rig.now = Timestamp(self.rig.now.0 + 1);
        let id = format!("r{}", self.requests.len());
        let answer = self.rig.submit(&id, command).expect("it can stand");
        self.requests.push(id);
        match answer.verdict {
            Verdict::Done(event) => event,
            other => panic!("{other:?}"),
        }
    }

    fn set(&mut self, cell: &str, bucket: Bucket, quantity: u32) {
        let (sku, location) = cell.split_once('@').unwrap();
        self.done(&Command::Stock(StockCommand::Set(SetStock {
            cell: CellCode { sku: sku.into(), location: location.into() },
            bucket,
            quantity: Quantity(quantity),
            expected_revision: None,
            reason: StockReason::default(),
            reference: String::new(),
        })));
    }

    fn on_hand(&mut self, cell: &str, quantity: u32) {
        self.set(cell, Bucket::OnHand, quantity);
    }

    fn put(&mut self, toml: &str) {
        self.done(&Command::Rules(RulesCommand::Put {
            set: Box::new(RuleSet::read(toml).unwrap()),
            expected_version: None,
        }));
    }

    fn refused(&mut self, toml: &str) -> String {
        let set = Box::new(RuleSet::read(toml).unwrap());
        let at = self.rig.journal.appended_lsn();
        let told = self.play(&Command::Rules(RulesCommand::Put { set, expected_version: None }));
        assert_eq!(self.rig.journal.appended_lsn(), at, "{told}");
        told
    }

    /// Evaluates all that waits; gives how many SKUs changed. A second time nothing is left to do.
    fn settle(&mut self) -> usize {
        let report = self.rig.engine.settle_rules(self.rig.now, usize::MAX).unwrap();
        let at = self.rig.journal.appended_lsn();
        let again = self.rig.engine.settle_rules(self.rig.now, usize::MAX).unwrap();
        assert_eq!((again.evaluated, again.applied), (0, 0));
        assert_eq!(self.rig.journal.appended_lsn(), at);
        assert_eq!(self.rig.engine.rules_lag(self.rig.now).waiting, 0);
        assert_eq!(self.rig.engine.audit().violations, vec![]);
        report.applied
    }

    fn sku(&self, code: &str) -> SkuId {
        self.rig.engine.catalogue().sku(code).unwrap()
    }

    /// What rules keep at the cells of a SKU, as "DC:0 S1:2".
    fn kept(&self, sku: &str) -> String {
        let (_, cells, _) = self.rig.engine.cells(self.sku(sku), None, usize::MAX);
        let cells = cells.iter().map(|cell| format!("{}:{}", PLACES[cell.location.index()].0, cell.buckets.kept));
        cells.collect::<Vec<_>>().join(" ")
    }

    fn available(&self, sku: &str) -> u64 {
        self.rig.engine.availability(&[self.sku(sku)], &[]).1[0].available
    }

    /// Quota, ceiling and spill-over by channel, as the rules made them.
    fn allotted(&self, sku: &str) -> String {
        let effects = self.rig.engine.rule_effects(self.sku(sku), self.rig.now);
        let entries = effects.into_iter().flat_map(|effects| effects.allotments).map(|entry| {
            let terms = entry.terms.map_or("none".to_owned(), |terms| {
                let ceiling = terms.ceiling.map_or(String::new(), |ceiling| format!("/{ceiling}"));
                format!("{}{ceiling}{}", terms.quota, if terms.spill_over { "+" } else { "" })
            });
            format!("{}:{terms}", CHANNELS[entry.channel.index()])
        });
        entries.collect::<Vec<_>>().join(" ")
    }

    /// Units that a hold of all there is gets, for a channel; the hold is given back. Asks for one line, or for one of each size of order.
    fn reach(&mut self, sku: &str, channel: &str) -> u64 {
        let command = Command::Reserve(reserve(channel, &[(sku, "", 1_000_000)], true));
        let request = support::request("");
        let answer = self.rig.engine.submit(&request, &command, self.rig.now).unwrap();
        match answer.verdict {
            Verdict::Done(Event::Held(held)) => {
                let release = Command::Reservation(held.reservation, Step::Release);
                self.rig.engine.submit(&request, &release, self.rig.now).unwrap();
                held.lines.iter().map(|line| line.quantity.units()).sum()
            }
            _ => 0,
        }
    }

    fn hold(&mut self, sku: &str, location: &str, quantity: u32) -> ReservationId {
        self.hold_in("", sku, location, quantity)
    }

    fn hold_in(&mut self, channel: &str, sku: &str, location: &str, quantity: u32) -> ReservationId {
        match self.done(&Command::Reserve(reserve(channel, &[(sku, location, quantity)], false))) {
            Event::Held(held) => held.reservation,
            other => panic!("{other:?}"),
        }
    }

    fn step(&mut self, id: ReservationId, step: Step) {
        self.done(&Command::Reservation(id, step));
    }

    fn events(&self, name: &str) -> usize {
        let records = self.rig.journal.records();
        let events = records.iter().map(|record| quartermaster_engine::codec::decode(record).unwrap().event);
        events.filter(|event| event.name() == name).count()
    }

    fn dump(&self) -> String {
        let mut text = dump::dump(&self.rig.engine, self.requests.iter().map(String::as_str));
        for (code, ..) in GOODS {
            let effects = self.rig.engine.rule_effects(self.sku(code), self.rig.now);
            let effects = effects.map(|effects| (effects.cells, effects.allotments, effects.leaves));
            text += &format!("{code} {} {effects:?}\n", self.kept(code));
        }
        text
    }

    /// Restarts, from the log and from a snapshot, evaluates all again, and lets the fold compare.
    fn survives(&mut self) {
        let before = self.dump();
        let at = self.rig.journal.appended_lsn();
        self.rig.restart();
        let lag = self.rig.engine.rules_lag(self.rig.now);
        assert!(lag.rules == 0 || lag.waiting > 0, "a restart looks at every SKU again");
        self.settle();
        assert_eq!(self.dump(), before, "from the log");
        assert_eq!(self.rig.journal.appended_lsn(), at, "an evaluation that finds no difference makes no event");
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
        self.rig.restart();
        history.compare(&self.rig.engine);
        history.balance();
        let found: Vec<String> = history.findings().iter().map(ToString::to_string).collect();
        assert_eq!(found, Vec::<String>::new());
        assert!(Check::ALL.iter().all(|check| history.count(*check) == 0));
        // And a fold that begins with the snapshot.
        let mut history = History::new(Rules::default());
        for section in &sections {
            history.load(section.kind, section.unit, section.lsn, &section.payload);
        }
        history.begin_at(at.next());
        history.compare(&self.rig.engine);
        let found: Vec<String> = history.findings().iter().map(ToString::to_string).collect();
        assert_eq!(found, Vec::<String>::new());
        self.settle();
    }
}

fn sku(at: usize) -> SkuSpec {
    let (code, style, category, size) = GOODS[at];
    SkuSpec {
        code: code.into(),
        style: style.into(),
        size: size.into(),
        attributes: if code == "C" { Vec::new() } else { vec![("season".into(), "winter".into())] },
        sellable: true,
        goods: GoodsSpec { category: category.into(), ..GoodsSpec::default() },
        ..SkuSpec::default()
    }
}

fn reserve(channel: &str, lines: &[(&str, &str, u32)], allow_partial: bool) -> Reserve {
    let line = |(sku, location, quantity): &(&str, &str, u32)| ReserveLine {
        sku: (*sku).into(),
        quantity: Quantity(*quantity),
        location: (*location).into(),
        sourcing: None,
    };
    Reserve {
        order_id: "o".into(),
        buyer_id: "ann".into(),
        channel: channel.into(),
        lines: lines.iter().map(line).collect(),
        ttl: Micros(1_000_000 * SECOND),
        allow_partial,
        replaces: None,
        unchanged_since_lsn: 0,
        sourcing: None,
        asked: None,
    }
}

fn time(seconds: u64) -> String {
    format!("\"{}\"", quartermaster_sourcing::rules::Moment(T0 + seconds * SECOND))
}

#[test]
fn safety_holds_at_every_level_and_the_strictest_wins() {
    let mut world = World::new();
    for cell in ["A41@DC", "A41@S1", "A41@S2", "A42@S1", "B-M@S1", "C@S1", "C@FW"] {
        world.on_hand(cell, 20);
    }
    // Level by level: location, SKU, style, category, kind, region, size, attribute, cell.
    for (scope, kept) in [
        ("locations = ['S1']", ["DC:0 S1:3 S2:0", "S1:3", "S1:3", "S1:3 FW:0"]),
        ("skus = ['A41']", ["DC:3 S1:3 S2:3", "S1:0", "S1:0", "S1:0 FW:0"]),
        ("styles = ['A']", ["DC:3 S1:3 S2:3", "S1:3", "S1:0", "S1:0 FW:0"]),
        ("categories = ['coats', 'hats']", ["DC:0 S1:0 S2:0", "S1:0", "S1:3", "S1:0 FW:0"]),
        ("kinds = ['store']", ["DC:0 S1:3 S2:3", "S1:3", "S1:3", "S1:3 FW:0"]),
        ("regions = ['33']", ["DC:3 S1:3 S2:0", "S1:3", "S1:3", "S1:3 FW:0"]),
        ("sizes = ['41']", ["DC:3 S1:3 S2:3", "S1:0", "S1:0", "S1:0 FW:0"]),
        ("attributes = { season = ['winter', 'spring'] }", ["DC:3 S1:3 S2:3", "S1:3", "S1:3", "S1:0 FW:0"]),
        ("locations = ['S2']\nskus = ['A41']", ["DC:0 S1:0 S2:3", "S1:0", "S1:0", "S1:0 FW:0"]),
        ("", ["DC:3 S1:3 S2:3", "S1:3", "S1:3", "S1:3 FW:3"]),
    ] {
        world.put(&format!("[[rules]]\nname = 'r'\nkeep.units = 3\n[rules.scope]\n{scope}"));
        world.settle();
        assert_eq!(GOODS.map(|(code, ..)| world.kept(code)), kept, "{scope}");
    }
    // Two levels and a figure set by hand: the strictest holds, whatever the order.
    world.set("A41@S1", Bucket::Safety, 4);
    world.put(
        "[[rules]]\nname = 'category'\nscope.categories = ['shoes']\nkeep.units = 5
        [[rules]]\nname = 'stores'\nscope.kinds = ['store']\nkeep.percent = 15",
    );
    world.settle();
    assert_eq!((world.kept("A41").as_str(), world.kept("B-M").as_str()), ("DC:5 S1:5 S2:5", "S1:3"));
    world.set("A41@S1", Bucket::Safety, 9);
    assert_eq!(world.settle(), 0);
    let cell = world.rig.engine.cell(world.sku("A41"), LocationId(1));
    assert_eq!(
        (cell.buckets.safety, cell.buckets.kept, cell.buckets.available()),
        (Quantity(9), Quantity(5), Quantity(11))
    );
    assert_eq!((world.available("A41"), world.reach("A41", "online")), (15 + 11 + 15, 41));
    let effects = world.rig.engine.rule_effects(world.sku("A41"), world.rig.now).unwrap();
    let rules: Vec<_> = effects.cells.iter().map(|cell| (cell.safety.0, cell.kept.0, cell.rule.as_deref())).collect();
    assert_eq!(rules, [(0, 5, Some("category")), (9, 5, Some("category")), (0, 5, Some("category"))]);
    assert!(effects.settled);
    world.survives();
    world.put("");
    assert_eq!(world.settle(), 4, "every SKU had something kept");
    world.survives();
}

#[test]
fn formulas_are_whole_numbers_over_sku_location_and_stock() {
    let mut world = World::new();
    world.on_hand("A41@DC", 105);
    world.on_hand("A41@S1", 21);
    world.on_hand("C@S1", 21);
    world.put(
        "[[rules]]\nname = 'f'
        keep.formula = \"location.kind == 'store' ? (stock.on_hand > 20 ? 4 : 2) : stock.on_hand / 10\"
        [[rules]]\nname = 'seasonal'\nkeep.formula = \"sku.attributes['season'] == 'winter' ? 3 : 0\"",
    );
    world.settle();
    assert_eq!((world.kept("A41").as_str(), world.kept("C").as_str()), ("DC:10 S1:4", "S1:4"));
    let effects = world.rig.engine.rule_effects(world.sku("C"), world.rig.now).unwrap();
    assert_eq!(effects.unanswered, 1, "C has no season: that rule says nothing");
    // A change of stock is evaluated again; a hold is not, and moves nothing.
    let held = world.hold("A41", "DC", 50);
    assert_eq!(world.rig.engine.rules_lag(world.rig.now).waiting, 0);
    world.on_hand("A41@S1", 20);
    assert_eq!(world.rig.engine.rules_lag(world.rig.now).waiting, 1);
    assert_eq!(world.settle(), 1);
    assert_eq!(world.kept("A41"), "DC:10 S1:3", "the seasonal rule is the stricter now");
    world.step(held, Step::Confirm);
    assert_eq!(world.settle(), 0);
    world.step(held, Step::Ship(Vec::new()));
    assert_eq!(world.settle(), 1, "units left: on hand is another");
    assert_eq!(world.kept("A41"), "DC:5 S1:3");
    // What a SKU is, is looked at again, too.
    world.done(&Command::Catalogue(CatalogueCommand::UpsertSkus(vec![SkuSpec {
        attributes: vec![("season".into(), "winter".into())],
        ..sku(3)
    }])));
    world.settle();
    let effects = world.rig.engine.rule_effects(world.sku("C"), world.rig.now).unwrap();
    assert_eq!((effects.unanswered, world.kept("C").as_str()), (0, "S1:4"));
    world.survives();
}

#[test]
fn a_rule_holds_from_its_time_until_its_time_and_in_its_windows() {
    let mut world = World::new();
    world.on_hand("A41@DC", 10);
    world.put(&format!(
        "[[windows]]\nname = 'sale'\nfrom = {}\nuntil = {}\n[[windows]]\nname = 'sale'\nfrom = {}\nuntil = {}
        [[rules]]\nname = 'sale'\nwindows = ['sale']\nkeep.units = 5
        [[rules]]\nname = 'later'\nfrom = {}\nkeep.units = 2",
        time(100),
        time(200),
        time(300),
        time(400),
        time(350)
    ));
    let mut told = Vec::new();
    for seconds in [1, 99, 100, 150, 199, 200, 299, 300, 350, 399, 400, 9999] {
        world.rig.now = Timestamp(T0 + seconds * SECOND);
        if seconds == 150 || seconds == 350 {
            world.rig.restart_from_snapshot();
        }
        let applied = world.settle();
        told.push((seconds, applied, world.available("A41")));
    }
    assert_eq!(
        told,
        [
            (1, 0, 10),
            (99, 0, 10),
            (100, 1, 5),
            (150, 0, 5),
            (199, 0, 5),
            (200, 1, 10),
            (299, 0, 10),
            (300, 1, 5),
            (350, 0, 5),
            (399, 0, 5),
            (400, 1, 8),
            (9999, 0, 8)
        ]
    );
    world.survives();
}

#[test]
fn a_channel_leaves_units_to_others_by_its_setting_or_by_rule() {
    let mut world = World::new();
    world.on_hand("A41@DC", 6);
    world.on_hand("A41@S1", 4);
    assert_eq!((world.reach("A41", "outlet"), world.reach("A41", "")), (10, 10));
    let channel = |code: &str, safety_units| ChannelSpec {
        code: code.into(),
        active: true,
        safety_units,
        ..ChannelSpec::default()
    };
    world.done(&Command::Catalogue(CatalogueCommand::UpsertChannels(vec![channel("outlet", 3)])));
    assert_eq!((world.reach("A41", "outlet"), world.reach("A41", "online"), world.reach("A41", "")), (7, 10, 10));
    world.put("[[rules]]\nname = 'few'\nscope.styles = ['A']\nleave = { channel = 'outlet', percent = 45 }");
    world.settle();
    // 45 % of 10 is 4.5: a started unit counts.
    assert_eq!((world.reach("A41", "outlet"), world.reach("A41", "online")), (5, 10));
    // A refusal says what could be had; from shared locks alone, and from the whole decision.
    let told =
        |world: &mut World, lines: &[(&str, &str, u32)]| world.play(&Command::Reserve(reserve("outlet", lines, false)));
    assert_eq!(told(&mut world, &[("A41", "", 6)]), "INSUFFICIENT_STOCK A41:6/5");
    assert_eq!(told(&mut world, &[("A41", "DC", 6)]), "INSUFFICIENT_STOCK A41@DC:6/5");
    assert_eq!(told(&mut world, &[("A41", "DC", 4), ("A41", "S1", 2)]), "INSUFFICIENT_STOCK A41@S1:2/1");
    assert_eq!(told(&mut world, &[("A41", "DC", 4), ("A41", "S1", 1)]), "A41@DC:4 A41@S1:1");
    assert_eq!(world.reach("A41", "outlet"), 0);
    assert_eq!(told(&mut world, &[("A41", "", 1)]), "INSUFFICIENT_STOCK A41:1/0");
    assert_eq!(world.reach("A41", "online"), 5);
    // Of an order that the router decides about the same holds.
    world.on_hand("A41@DC", 10);
    world.settle();
    // 14 on hand, of which 7 are left to others; 5 are promised.
    let routed = |quantity, allow_partial| {
        Command::Reserve(Reserve {
            sourcing: Some(Box::new(SourcingRequest::default())),
            ..reserve("outlet", &[("A41", "", quantity)], allow_partial)
        })
    };
    assert_eq!(world.reach("A41", "outlet"), 2);
    assert_eq!(world.play(&routed(3, false)), "NOT_ROUTABLE A41:3 NoStock");
    assert_eq!(world.play(&routed(3, true)), "A41@DC:2 short A41:3/2");
    assert_eq!(world.play(&routed(1, false)), "NOT_ROUTABLE A41:1 NoStock");
    world.survives();
    world.put("");
    world.settle();
    assert_eq!(world.reach("A41", "outlet"), 4, "the setting of the channel alone");
    world.survives();
}

#[test]
fn a_share_of_stock_is_allotted_and_holds_do_not_move_it() {
    let mut world = World::new();
    world.on_hand("A41@DC", 103);
    world.on_hand("A41@S1", 50);
    world.put(&format!(
        "[[windows]]\nname = 'campaign'\nfrom = {}\nuntil = {}
        [[rules]]\nname = 'stores keep'\nscope.kinds = ['store']\nkeep.units = 2
        [[rules]]\nname = 'online'\nwindows = ['campaign']\nscope.kinds = ['distribution_centre']
        allot = {{ channel = 'online', percent = 80, ceiling_percent = 90, spill_over = true }}
        [[rules]]\nname = 'outlet'\nwindows = ['campaign']\nallot = {{ channel = 'outlet', percent = 60 }}",
        time(100),
        time(200)
    ));
    world.settle();
    assert_eq!((world.allotted("A41"), world.kept("A41")), (String::new(), "DC:0 S1:2".into()));
    world.rig.now = Timestamp(T0 + 100 * SECOND);
    assert_eq!(world.settle(), 1);
    // 80 % of 103 is 82, 90 % is 92. Of 151 that may be sold 60 % would be 90, of which 69 are nobody's.
    assert_eq!(world.allotted("A41"), "online:82/92+ outlet:69");
    let held = world.hold_in("online", "A41", "S1", 20);
    world.step(held, Step::Confirm);
    world.rig.restart();
    assert_eq!((world.settle(), world.allotted("A41").as_str()), (0, "online:82/92+ outlet:69"));
    world.on_hand("A41@DC", 10);
    assert_eq!(world.settle(), 1);
    assert_eq!(world.allotted("A41"), "online:8/9+ outlet:34");
    // A closed location is nobody's share.
    let closed = LocationSpec {
        state: LocationState::Closed,
        code: "S1".into(),
        kind: LocationKind::Store,
        ..LocationSpec::default()
    };
    world.done(&Command::Catalogue(CatalogueCommand::UpsertLocations(vec![closed])));
    world.settle();
    assert_eq!(world.allotted("A41"), "online:8/9+ outlet:2");
    world.rig.now = Timestamp(T0 + 200 * SECOND);
    assert_eq!(world.settle(), 1);
    assert_eq!(world.allotted("A41"), "");
    world.survives();
}

/// With units still open: the entry stays for their sake, and its count begins anew when the rule gives back what no longer is there.
#[test]
fn a_rule_gives_back_what_was_given_back_by_hand() {
    let mut world = World::new();
    world.on_hand("A41@DC", 100);
    world.put("[[rules]]\nname = 'online'\nallot = { channel = 'online', percent = 50 }");
    assert_eq!((world.settle(), world.allotted("A41").as_str()), (1, "online:50"));
    let shipped = world.hold_in("online", "A41", "DC", 5);
    world.step(shipped, Step::Confirm);
    world.step(shipped, Step::Ship(Vec::new()));
    world.hold_in("online", "A41", "DC", 3);
    let node = NodeCode { channel: "online".into(), campaign: String::new() };
    let by_hand = ReturnAllotments { node, goods: vec![Goods::Sku("A41".into())] };
    world.done(&Command::Allotment(AllotmentCommand::Return(by_hand)));
    world.put("");
    world.settle();
    assert_eq!(world.allotted("A41"), "");
    world.survives();
}

#[test]
fn a_set_is_put_whole_or_not_at_all() {
    let mut world = World::new();
    for (rules, told) in [
        (
            "[[rules]]\nname = 'r'\nkeep = { units = 1, percent = 2 }",
            "rules[0].keep: must have exactly one of units, percent and formula; it has 2",
        ),
        (
            "[[rules]]\nname = 'r'\nkeep = {}",
            "rules[0].keep: must have exactly one of units, percent and formula; it has 0",
        ),
        ("[[rules]]\nname = 'r'", "rules[0]: must have exactly one of keep, allot and leave; it has 0"),
        ("[[rules]]\nname = ''\nkeep.units = 1", "rules[0].name: has 0 bytes: 1 to 64 are allowed"),
        (
            "[[rules]]\nname = 'r'\nkeep.units = 1\n[[rules]]\nname = 'r'\nkeep.units = 1",
            "rules[1].name: the name \"r\" is taken",
        ),
        ("[[rules]]\nname = 'r'\nkeep.percent = 101", "rules[0].keep.percent: is 101: 0 to 100 is allowed"),
        (
            "[[rules]]\nname = 'r'\nallot = { channel = 'x', units = 1 }",
            "rules[0].allot.channel: there is no channel \"x\"",
        ),
        (
            "[[rules]]\nname = 'r'\nallot = { channel = 'online', percent = 50, ceiling_percent = 40 }",
            "rules[0].allot.ceiling_percent: is 40, less than the 50 allotted",
        ),
        (
            "[[rules]]\nname = 'r'\nleave = { channel = 'x', units = 1 }",
            "rules[0].leave.channel: there is no channel \"x\"",
        ),
        (
            "[[rules]]\nname = 'r'\nscope.locations = ['DC', 'X']\nkeep.units = 1",
            "rules[0].scope.locations[1]: there is no location \"X\"",
        ),
        (
            "[[rules]]\nname = 'r'\nscope.kinds = ['shop']\nkeep.units = 1",
            "rules[0].scope.kinds[0]: there is no kind \"shop\"; known are distribution_centre, forward_warehouse, store, third_party, supplier",
        ),
        ("[[rules]]\nname = 'r'\nwindows = ['w']\nkeep.units = 1", "rules[0].windows[0]: there is no window \"w\""),
        (
            "[[rules]]\nname = 'r'\nfrom = '2026-01-01T00:00:00Z'\nuntil = '2026-01-01T00:00:00Z'\nkeep.units = 1",
            "rules[0].until: must be later than from",
        ),
        (
            "[[windows]]\nname = 'w'\nfrom = '2026-01-02T00:00:00Z'\nuntil = '2026-01-01T00:00:00Z'",
            "windows[0].until: must be later than from",
        ),
        ("[[rules]]\nname = 'r'\nkeep.formula = 'stock.on_hand +'", "rules[0].keep.formula: line 1, column"),
        (
            "[[rules]]\nname = 'r'\nkeep.formula = 'order.units'",
            "rules[0].keep.formula: order cannot be used here: a stock rule knows sku, location and stock",
        ),
    ] {
        let refused = world.refused(rules);
        assert!(refused.starts_with(&format!("INVALID_STOCK_RULES {told}")), "{rules}: {refused}");
    }
    for (text, told) in [
        ("[[rules]]\nname = 'r'\nkeep.units = -1", "line 3, column 14"),
        ("[[rules]]\nname = 'r'\nkeep.unit = 1", "line 3, column 6: unknown field `unit`"),
        ("[[rules]]\nname = 'r'\nfrom = 'soon'\nkeep.units = 1", "line 3, column 8: \"soon\" is no time"),
        ("[[rules]]\nname = 'r'\nkeep.percent = 12.5", "line 3, column 16"),
        ("{\"rules\": [{\"name\": \"r\", \"keep\": {\"units\": \"two\"}}]}", "line 1, column"),
    ] {
        let error = RuleSet::read(text).unwrap_err().to_string();
        assert!(error.starts_with(told), "{text}: {error}");
    }
    // Versions: one after another, and none over another that was not seen.
    world.put("[[rules]]\nname = 'r'\nkeep.units = 1");
    let put = |expected| {
        let set = Box::new(RuleSet::read("[[rules]]\nname = 'r'\nkeep.units = 2").unwrap());
        Command::Rules(RulesCommand::Put { set, expected_version: Some(expected) })
    };
    assert_eq!(world.play(&put(0)), "STOCK_RULES_VERSION 1 not 0");
    let Event::Rules(event) = world.done(&put(1)) else { panic!("a set was put") };
    assert!(matches!(*event, RulesEvent::Put { version: 2, .. }));
    // The same request again is told the same, without the text.
    let id = world.requests.last().unwrap().clone();
    let again = world.rig.submit(&id, &put(1)).unwrap();
    assert!(again.replayed);
    let Verdict::Done(Event::Rules(event)) = again.verdict else { panic!("a set was put") };
    assert!(matches!(*event, RulesEvent::Put { version: 2, .. }));
    world.survives();
}

#[test]
fn a_preview_tells_what_would_change_and_changes_nothing() {
    let mut world = World::new();
    world.on_hand("A41@DC", 10);
    world.on_hand("A41@S1", 10);
    world.on_hand("B-M@S1", 10);
    world.put("[[rules]]\nname = 'r'\nscope.kinds = ['store']\nkeep.units = 2");
    world.settle();
    let at = world.rig.journal.appended_lsn();
    let set = RuleSet::read(
        "[[windows]]\nname = 'unused'\nfrom = '2020-01-01T00:00:00Z'\nuntil = '2021-01-01T00:00:00Z'
        [[rules]]\nname = 'r'\nscope.categories = ['shoes']\nkeep.units = 3
        [[rules]]\nname = 'nothing'\nscope.categories = ['hats']\nleave = { channel = 'online', units = 3 }
        [[rules]]\nname = 'nowhere'\nscope.kinds = ['supplier']\nallot = { channel = 'online', percent = 50 }",
    );
    let preview = world.rig.engine.preview_rules(&set.unwrap(), world.rig.now, 1).unwrap();
    assert_eq!(world.rig.journal.appended_lsn(), at);
    assert_eq!(
        (preview.skus, preview.cells, preview.kept_before, preview.kept_after, preview.allotments, preview.leaves),
        (2, 3, 4, 6, 2, 0)
    );
    assert_eq!(preview.without_skus, ["nothing"]);
    let found: Vec<_> = preview.findings.iter().map(|one| format!("{} {}", one.path, one.message)).collect();
    assert_eq!(found, ["windows[0] no rule names it", "rules[2].scope no location fits it"]);
    assert_eq!(preview.examples.len(), 1);
    assert_eq!(preview.examples[0].sku, world.sku("A41"));
}

#[test]
fn a_pass_does_a_bounded_part_and_the_rest_waits() {
    let mut world = World::new();
    for (code, ..) in GOODS {
        world.on_hand(&format!("{code}@DC"), 10);
    }
    world.put("[[rules]]\nname = 'r'\nkeep.units = 1");
    let put_at = world.rig.now;
    world.rig.now = Timestamp(put_at.0 + 5 * SECOND);
    let lag = world.rig.engine.rules_lag(world.rig.now);
    assert_eq!((lag.rules, lag.holding, lag.waiting, lag.lag), (1, 1, 4, Micros(5 * SECOND)));
    let mut evaluated = Vec::new();
    for _ in 0..3 {
        let report = world.rig.engine.settle_rules(world.rig.now, 3).unwrap();
        evaluated.push((report.evaluated, report.applied, world.rig.engine.rules_lag(world.rig.now).waiting));
    }
    assert_eq!(evaluated, [(3, 3, 1), (1, 1, 0), (0, 0, 0)]);
    assert_eq!(world.events("StockRulesApplied"), 4);
    // A retired SKU has no rules.
    world.done(&Command::Catalogue(CatalogueCommand::RetireSkus(vec!["C".into()])));
    assert_eq!(world.settle(), 1);
}

/// A rule as the naive evaluation reads it.
#[derive(Clone, Debug)]
struct Naive {
    place: Option<usize>,
    kind: Option<LocationKind>,
    sku: Option<usize>,
    category: Option<usize>,
    span: Option<(u64, u64)>,
    figure: Figure,
}

#[derive(Clone, Copy, Debug)]
enum Figure {
    Units(u32),
    Percent(u32),
    /// A tenth of what may be sold, and one.
    Formula,
    /// Units that the outlet leaves.
    Leave(u32),
}

impl Naive {
    fn toml(&self, at: usize) -> String {
        let mut text = format!("[[rules]]\nname = 'r{at}'\n");
        if let Some((from, length)) = self.span {
            text += &format!("from = {}\nuntil = {}\n", time(from), time(from + length));
        }
        if let Some(place) = self.place {
            text += &format!("scope.locations = ['{}']\n", PLACES[place].0);
        }
        if let Some(kind) = self.kind {
            text += &format!("scope.kinds = ['{}']\n", kind.name());
        }
        if let Some(sku) = self.sku {
            text += &format!("scope.skus = ['{}']\n", GOODS[sku].0);
        }
        if let Some(sku) = self.category {
            text += &format!("scope.categories = ['x{}', '{}']\n", at, GOODS[sku].2);
        }
        text += &match self.figure {
            Figure::Units(units) => format!("keep.units = {units}\n"),
            Figure::Percent(percent) => format!("keep.percent = {percent}\n"),
            Figure::Formula => "keep.formula = 'stock.sellable / 10 + 1'\n".into(),
            Figure::Leave(units) => format!("leave = {{ channel = 'outlet', units = {units} }}\n"),
        };
        text
    }

    fn is_for(&self, sku: usize, seconds: u64) -> bool {
        self.sku.is_none_or(|own| own == sku)
            && self.category.is_none_or(|own| GOODS[own].2 == GOODS[sku].2)
            && self.span.is_none_or(|(from, length)| (from..from + length).contains(&seconds))
    }

    fn is_at(&self, place: usize) -> bool {
        self.place.is_none_or(|own| own == place) && self.kind.is_none_or(|own| own == PLACES[place].1)
    }
}

#[derive(Clone, Debug)]
enum Op {
    Put(Vec<Naive>),
    Stock(usize, usize, u32),
    Safety(usize, usize, u32),
    Hold(usize, usize, u32),
    Ship,
    Release,
    Wait(u64),
    Outlet(u32),
    Settle,
    Restart,
    Snapshot,
}

fn naive() -> impl Strategy<Value = Naive> {
    let figure = prop_oneof![
        3 => (0_u32..6).prop_map(Figure::Units),
        2 => (0_u32..=100).prop_map(Figure::Percent),
        1 => Just(Figure::Formula),
        1 => (0_u32..9).prop_map(Figure::Leave),
    ];
    let kinds =
        prop::sample::select(vec![LocationKind::Store, LocationKind::DistributionCentre, LocationKind::Supplier]);
    let maybe = |count: usize| prop::option::weighted(0.4, 0..count);
    let span = prop::option::of((0_u64..40, 1_u64..40));
    (maybe(4), prop::option::weighted(0.3, kinds), maybe(4), maybe(3), span, figure)
        .prop_map(|(place, kind, sku, category, span, figure)| Naive { place, kind, sku, category, span, figure })
}

fn op() -> impl Strategy<Value = Op> {
    let cell = || (0..GOODS.len(), 0..PLACES.len());
    prop_oneof![
        2 => vec(naive(), 0..5).prop_map(Op::Put),
        6 => (cell(), 0_u32..40).prop_map(|((sku, place), units)| Op::Stock(sku, place, units)),
        2 => (cell(), 0_u32..6).prop_map(|((sku, place), units)| Op::Safety(sku, place, units)),
        4 => (cell(), 1_u32..9).prop_map(|((sku, place), units)| Op::Hold(sku, place, units)),
        2 => Just(Op::Ship),
        1 => Just(Op::Release),
        3 => (1_u64..15).prop_map(Op::Wait),
        1 => (0_u32..9).prop_map(Op::Outlet),
        6 => Just(Op::Settle),
        1 => Just(Op::Restart),
        1 => Just(Op::Snapshot),
    ]
}

/// After settling, kept of every cell is the strictest rule that fits, available follows, and a hold gets exactly that.
fn compare(world: &mut World, rules: &[Naive], outlet: u32) -> Result<(), TestCaseError> {
    let seconds = (world.rig.now.0 - T0) / SECOND;
    for (at, (code, ..)) in GOODS.iter().enumerate() {
        let id = world.sku(code);
        let (_, cells, _) = world.rig.engine.cells(id, None, usize::MAX);
        let mut pool = 0;
        for cell in &cells {
            let buckets = &cell.buckets;
            let fit = rules.iter().filter(|rule| rule.is_for(at, seconds) && rule.is_at(cell.location.index()));
            let kept = fit.map(|rule| match rule.figure {
                Figure::Units(units) => units,
                Figure::Percent(percent) => (buckets.on_hand.0 * percent).div_ceil(100),
                Figure::Formula => buckets.on_hand.0 / 10 + 1,
                Figure::Leave(_) => 0,
            });
            let kept = kept.max().unwrap_or(0);
            prop_assert_eq!(buckets.kept.0, kept, "{}@{}", code, cell.location.0);
            let taken = buckets.reserved.0 + buckets.committed.0 + kept.max(buckets.safety.0);
            let available = buckets.on_hand.0.saturating_sub(taken);
            prop_assert_eq!(buckets.available().0, available);
            pool += u64::from(available);
        }
        prop_assert_eq!(world.available(code), pool);
        let left = rules.iter().filter(|rule| rule.is_for(at, seconds)).filter_map(|rule| match rule.figure {
            Figure::Leave(units) => Some(units),
            _ => None,
        });
        let left = u64::from(left.max().unwrap_or(0).max(outlet));
        prop_assert_eq!(world.reach(code, "online"), pool);
        prop_assert_eq!(world.reach(code, "outlet"), pool.saturating_sub(left));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases("RULES_CASES", 48),
        failure_persistence: regressions(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rules.regressions")),
        ..ProptestConfig::default()
    })]

    #[test]
    fn rules_come_to_what_a_naive_evaluation_says(ops in vec(op(), 1..40)) {
        let mut world = World::new();
        let (mut rules, mut open, mut outlet) = (Vec::new(), Vec::new(), 0);
        for op in ops {
            match op {
                Op::Put(new) => {
                    let text: String = new.iter().enumerate().map(|(at, rule)| rule.toml(at)).collect();
                    world.put(&text);
                    rules = new;
                }
                Op::Stock(sku, place, units) => {
                    world.on_hand(&format!("{}@{}", GOODS[sku].0, PLACES[place].0), units);
                }
                Op::Safety(sku, place, units) => {
                    world.set(&format!("{}@{}", GOODS[sku].0, PLACES[place].0), Bucket::Safety, units);
                }
                Op::Hold(sku, place, units) => {
                    let lines = [(GOODS[sku].0, PLACES[place].0, units)];
                    let command = Command::Reserve(reserve("online", &lines, false));
                    let answer = world.rig.engine.submit(&support::request(""), &command, world.rig.now).unwrap();
                    if let Verdict::Done(Event::Held(held)) = answer.verdict {
                        open.push(held.reservation);
                    }
                }
                Op::Ship => {
                    if let Some(id) = open.pop() {
                        // More may be promised than a count has left: then it cannot leave.
                        let shipped = [Step::Confirm, Step::Ship(Vec::new())].into_iter().all(|step| {
                            world.rig.engine.submit(&support::request(""), &Command::Reservation(id, step), world.rig.now).is_ok()
                        });
                        _ = shipped;
                    }
                }
                Op::Release => {
                    if let Some(id) = open.pop() {
                        world.step(id, Step::Release);
                    }
                }
                Op::Wait(seconds) => world.rig.now = Timestamp(world.rig.now.0 + seconds * SECOND),
                Op::Outlet(units) => {
                    outlet = units;
                    let spec = ChannelSpec { code: "outlet".into(), active: true, safety_units: units, ..ChannelSpec::default() };
                    world.done(&Command::Catalogue(CatalogueCommand::UpsertChannels(vec![spec])));
                }
                Op::Settle => {
                    world.settle();
                    compare(&mut world, &rules, outlet)?;
                }
                Op::Restart => world.rig.restart(),
                Op::Snapshot => world.rig.restart_from_snapshot(),
            }
        }
        world.settle();
        compare(&mut world, &rules, outlet)?;
        world.survives();
    }
}

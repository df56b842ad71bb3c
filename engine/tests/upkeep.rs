//! Freezes, kits and shortfall repair, as tables: one step a line, and after `->` the answer it must get. Without an arrow it must be done.
//!
//! ```text
//! sku A B                    kit K A2 B1                  location L1 L2 (priority as they come)      stock A@L1=5 (a count)
//! reserve r1 A x3, K x1 @L1 [partial] [ttl=60] [routed|pickup=L1] [replaces=r0]          quote A x1 [partial]
//! confirm r1   release r1   cancel r1 [A@L1 x2, K]   ship r1 [..]   reassign r1 A@L1>L2   refused r1 A@L1
//! freeze A|L1|A@L1 RECALL [ref=x]     thaw A all|RECALL|#2      freezes -> what stands
//! repair|preview [sku=A] [at=L1] [mode=reroute|cancel] [first=unpaid,newest,oldest]
//! free A -> total, each location     row A@L1 -> on hand/reserved/committed      show r1 -> state, lines, kits    now 60
//! ```
//! After every table the log is replayed, loaded from a snapshot, and held against the naive fold.

mod support;

use std::collections::BTreeMap;

use quartermaster_engine::{
    Engine, EngineConfig, Verdict,
    catalog::{Capabilities, LocationSpec, SkuSpec},
    command::{
        Bucket, CatalogueCommand, CellCode, Command, LineSelection, Reassign, Reserve, ReserveLine, SetStock,
        SourcingRequest, Step, StockCommand, StockReason,
        upkeep::{Freeze, Repair, RepairMode, RepairPriority, Target, Thaw, UpkeepCommand, Which},
    },
    event::Event,
    history::{History, Rules},
    id::{LocationId, ReservationId, SkuId},
    quantity::Quantity,
    query::upkeep::FreezeFilter,
    route::Wants,
    time::{Micros, Timestamp},
    upkeep::{FreezeReason, Frozen},
};
use quartermaster_journal::{Journal as _, Lsn};
use quartermaster_sourcing::fulfilment::Mode;
use support::{Rig, T0, dump, render};

/// Plays a table.
fn check(table: &str) {
    let mut player = Player::new();
    for (number, line) in (1..).zip(table.lines()) {
        let line = line.split(" //").next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let (step, expected) = line.split_once(" ->").map_or((line, None), |(step, text)| (step, Some(text.trim())));
        let (answer, done) = player.play(step.trim());
        match expected {
            Some(expected) => assert_eq!(answer, expected, "line {number}: {step}"),
            None => assert!(done, "line {number}: {step}: {answer}"),
        }
        assert_eq!(player.rig.engine.audit().violations, vec![], "line {number}: {step}");
        assert_eq!(player.rig.engine.audit_bookings(), vec![], "line {number}: {step}");
    }
    player.restart();
}

struct Player {
    rig: Rig,
    names: BTreeMap<String, ReservationId>,
    locations: u32,
    requests: usize,
}

fn words(text: &str) -> (Vec<&str>, BTreeMap<&str, &str>) {
    let (mut plain, mut options) = (Vec::new(), BTreeMap::new());
    for word in text.split_whitespace() {
        match word.split_once('=') {
            Some((key, value)) if !key.contains('@') => _ = options.insert(key, value),
            _ if ["partial", "routed"].contains(&word) => _ = options.insert(word, ""),
            _ => plain.push(word),
        }
    }
    (plain, options)
}

fn place(text: &str) -> (&str, &str) {
    text.split_once('@').unwrap_or((text, ""))
}

fn reason(name: &str) -> FreezeReason {
    let all = FreezeReason::ALL.into_iter();
    all.into_iter().find(|reason| reason.name() == name.to_lowercase()).expect("a reason")
}

impl Player {
    fn new() -> Self {
        Self { rig: Rig::new(EngineConfig::default()), names: BTreeMap::new(), locations: 0, requests: 0 }
    }

    fn target(&self, text: &str) -> Target {
        let (one, at) = place(text);
        let is_location = self.rig.engine.catalogue().directory().location(one).is_some() && at.is_empty();
        if is_location {
            Target { sku: String::new(), location: one.into() }
        } else {
            Target { sku: one.into(), location: at.into() }
        }
    }

    fn id(&self, name: &str) -> ReservationId {
        *self.names.get(name).unwrap_or_else(|| panic!("{name} was reserved"))
    }

    fn name(&self, id: ReservationId) -> String {
        let found = self.names.iter().find(|(_, own)| **own == id);
        found.map_or_else(|| format!("{id}"), |(name, _)| name.clone())
    }

    fn order(&self, text: &str) -> Reserve {
        let (plain, options) = words(text);
        let mut lines = Vec::new();
        for line in plain.join(" ").split(", ") {
            let mut parts = line.split(' ');
            let (sku, units) = (parts.next().unwrap_or_default(), parts.next().unwrap_or("x1"));
            let location = parts.next().map_or("", |at| at.trim_start_matches('@'));
            let quantity = Quantity(units.trim_start_matches('x').parse().expect("units"));
            lines.push(ReserveLine { sku: sku.into(), quantity, location: location.into(), sourcing: None });
        }
        let pickup = options.get("pickup");
        let sourcing = (options.contains_key("routed") || pickup.is_some()).then(|| {
            Box::new(SourcingRequest {
                mode: if pickup.is_some() { Mode::Pickup } else { Mode::Ship },
                pickup_location: pickup.map_or(String::new(), |at| (*at).into()),
                ..SourcingRequest::default()
            })
        });
        Reserve {
            order_id: "o".into(),
            buyer_id: "ann".into(),
            channel: "".into(),
            lines: lines.into(),
            ttl: Micros::from_secs(options.get("ttl").map_or(3_600, |ttl| ttl.parse().expect("seconds"))),
            allow_partial: options.contains_key("partial"),
            replaces: options.get("replaces").map(|name| self.id(name)),
            unchanged_since_lsn: 0,
            sourcing,
            asked: None,
        }
    }

    fn selections(text: &str) -> Vec<LineSelection> {
        let lines = text.split(", ").filter(|line| !line.is_empty());
        lines
            .map(|line| {
                let (cell, units) = line.split_once(" x").map_or((line, None), |(cell, units)| (cell, Some(units)));
                let (sku, location) = place(cell);
                let quantity = units.map(|units| Quantity(units.parse().expect("units")));
                LineSelection { sku: sku.into(), location: location.into(), quantity }
            })
            .collect()
    }

    fn repair(text: &str) -> Repair {
        let (_, options) = words(text);
        let priority = options.get("first").map_or(Vec::new(), |list| {
            let one = |name: &str| match name {
                "unpaid" => RepairPriority::UnpaidFirst,
                "newest" => RepairPriority::NewestFirst,
                "oldest" => RepairPriority::OldestFirst,
                other => panic!("{other} is no priority"),
            };
            list.split(',').map(one).collect()
        });
        Repair {
            sku: options.get("sku").copied().unwrap_or_default().into(),
            location: options.get("at").copied().unwrap_or_default().into(),
            priority,
            mode: match options.get("mode").copied() {
                Some("reroute") => RepairMode::RerouteOnly,
                Some("cancel") => RepairMode::CancelOnly,
                _ => RepairMode::RerouteThenCancel,
            },
        }
    }

    fn play(&mut self, step: &str) -> (String, bool) {
        let (verb, rest) = step.split_once(' ').unwrap_or((step, ""));
        let (plain, options) = words(rest);
        let told = |text: String| (text, true);
        let mut named = None;
        let command = match verb {
            "now" => {
                self.rig.now = Timestamp(T0 + rest.parse::<u64>().expect("seconds") * 1_000_000);
                return told(String::new());
            }
            "tick" => {
                let report = self.rig.engine.expire_due(self.rig.now, usize::MAX).expect("memory is never full");
                return told(report.expired.to_string());
            }
            "restart" => {
                self.restart();
                return told(String::new());
            }
            "free" => return told(free(&self.rig.engine, rest)),
            "row" => return told(self.row(rest)),
            "show" => return told(self.show(rest)),
            "freezes" => return told(self.freezes()),
            "quote" => return told(self.quote(rest)),
            "preview" => return told(self.preview(rest)),
            "sku" => {
                let spec = |code: &&str| SkuSpec { code: (*code).into(), sellable: true, ..SkuSpec::default() };
                Command::Catalogue(CatalogueCommand::UpsertSkus(plain.iter().map(spec).collect()))
            }
            "kit" => {
                let part = |part: &&str| (part[..1].to_owned(), part[1..].parse().expect("units"));
                let components = plain[1..].iter().map(part).collect();
                let spec = SkuSpec { code: plain[0].into(), sellable: true, components, ..SkuSpec::default() };
                Command::Catalogue(CatalogueCommand::UpsertSkus(vec![spec]))
            }
            "retire" => {
                Command::Catalogue(CatalogueCommand::RetireSkus(plain.iter().map(|code| (*code).into()).collect()))
            }
            "location" => {
                let specs = plain.iter().map(|code| {
                    self.locations += 1;
                    let capabilities = Capabilities(Capabilities::SHIP | Capabilities::PICKUP);
                    let (code, priority) = ((*code).to_owned(), self.locations);
                    LocationSpec { code, priority, capabilities, ..LocationSpec::default() }
                });
                Command::Catalogue(CatalogueCommand::UpsertLocations(specs.collect()))
            }
            "stock" => {
                for cell in &plain {
                    let (cell, units) = cell.split_once('=').expect("SKU@PLACE=UNITS");
                    let (sku, location) = place(cell);
                    let answer = self.submit(&Command::Stock(StockCommand::Set(SetStock {
                        cell: CellCode { sku: sku.into(), location: location.into() },
                        bucket: Bucket::OnHand,
                        quantity: Quantity(units.parse().expect("units")),
                        expected_revision: None,
                        reason: StockReason(1),
                        reference: String::new(),
                    })));
                    if !answer.1 {
                        return answer;
                    }
                }
                return told(String::new());
            }
            "reserve" => {
                let (name, order) = rest.split_once(' ').expect("a name and lines");
                named = Some(name.to_owned());
                Command::Reserve(self.order(order))
            }
            "confirm" => Command::Reservation(self.id(rest), Step::Confirm),
            "release" => Command::Reservation(self.id(rest), Step::Release),
            "cancel" | "ship" => {
                let (name, lines) = rest.split_once(' ').unwrap_or((rest, ""));
                let lines = Self::selections(lines);
                let step = if verb == "ship" { Step::Ship(lines) } else { Step::Cancel(lines) };
                Command::Reservation(self.id(name), step)
            }
            "reassign" | "refused" => {
                let (name, cell) = rest.split_once(' ').expect("a name and a cell");
                let (cell, to) = cell.split_once('>').unwrap_or((cell, ""));
                let (sku, from) = place(cell);
                let (sku, from, to) = (sku.into(), from.into(), to.into());
                let step = Step::Reassign(Reassign { sku, from, to, quantity: None, refused: verb == "refused" });
                Command::Reservation(self.id(name), step)
            }
            "freeze" => Command::Upkeep(UpkeepCommand::Freeze(Freeze {
                target: self.target(plain[0]),
                reason: reason(plain[1]),
                reference: options.get("ref").copied().unwrap_or_default().into(),
            })),
            "thaw" => Command::Upkeep(UpkeepCommand::Thaw(Thaw {
                target: self.target(plain[0]),
                which: match plain[1] {
                    "all" => Which::All,
                    id if id.starts_with('#') => {
                        let place: usize = id[1..].parse().expect("a number");
                        Which::Id(self.rig.engine.freezes(&FreezeFilter::default(), None, 99).1[place].1.id)
                    }
                    name => Which::Reason(reason(name)),
                },
            })),
            "repair" => {
                let request = Self::repair(rest);
                let preview = self.preview(rest);
                let answer = self.submit(&Command::Upkeep(UpkeepCommand::Repair(request)));
                assert_eq!(preview, answer.0, "a preview tells what the repair does");
                return answer;
            }
            other => panic!("{other} is no step"),
        };
        let answer = self.submit_as(&command, named);
        if let (Command::Reserve(order), Some(_)) = (&command, answer.2) {
            self.same_as_free(order);
        }
        (answer.0, answer.1)
    }

    /// Whoever was refused for want of stock asked for more than is told to be free; single lines alone can be compared.
    fn same_as_free(&self, order: &Reserve) {
        if let ([line], None, None) = (&order.lines[..], order.sourcing.as_ref(), order.replaces) {
            let engine = &self.rig.engine;
            let (sku, at) = {
                let catalogue = engine.catalogue();
                let at = catalogue.directory().location(&line.location);
                (catalogue.sku(&line.sku).expect("it was resolved"), at)
            };
            let places: Vec<LocationId> = at.into_iter().collect();
            let row = &engine.availability(&[sku], &places).1[0];
            let free = row.by_location.first().map_or(row.available, |units| units.units());
            assert!(free < line.quantity.units(), "{free} are free of {line:?}");
        }
    }

    fn submit(&mut self, command: &Command) -> (String, bool) {
        let (text, done, _) = self.submit_as(command, None);
        (text, done)
    }

    fn submit_as(&mut self, command: &Command, named: Option<String>) -> (String, bool, Option<()>) {
        self.requests += 1;
        let request = format!("q{}", self.requests);
        let result = self.rig.submit(&request, command);
        let done = result.as_ref().is_ok_and(|answer| matches!(answer.verdict, Verdict::Done(_)));
        if let (Ok(answer), Some(name)) = (&result, named)
            && let Verdict::Done(Event::Held(held)) = &answer.verdict
        {
            self.names.insert(name, held.reservation);
        }
        let text = render::answer(&self.rig.engine, &result, &|id| self.name(id));
        if done {
            let again = render::answer(&self.rig.engine, &self.rig.submit(&request, command), &|id| self.name(id));
            assert_eq!(again, format!("replayed {text}"), "a repeat gets the first answer");
        }
        let refused = matches!(
            &result,
            Ok(answer) if matches!(answer.verdict, Verdict::Rejected(quartermaster_engine::Rejection::InsufficientStock { .. }))
        );
        (text, done, refused.then_some(()))
    }

    fn preview(&self, text: &str) -> String {
        let result = self.rig.engine.preview_repair(&Self::repair(text), self.rig.now);
        let answer = result.map(|(lsn, verdict)| quartermaster_engine::Answer { lsn, replayed: false, verdict });
        render::answer(&self.rig.engine, &answer, &|id| self.name(id))
    }

    fn quote(&self, text: &str) -> String {
        let mut order = self.order(text);
        let sourcing = order.sourcing.take().unwrap_or_default();
        let result = self.rig.engine.route(&order, &sourcing, Wants::default(), self.rig.now);
        let catalogue = self.rig.engine.catalogue();
        match result.expect("a quote").1 {
            Ok(quote) => {
                let parcels = quote.decision.parcels.iter().flat_map(|parcel| {
                    let at = catalogue.directory().location_code(parcel.location);
                    parcel.lines.iter().map(move |(sku, units)| (*sku, at, *units))
                });
                let mut lines: Vec<_> = parcels.collect();
                lines.sort_unstable();
                let lines: Vec<String> =
                    lines.iter().map(|(sku, at, units)| format!("{}@{at}:{units}", catalogue.sku_code(*sku))).collect();
                lines.join(" ")
            }
            Err(rejection) => {
                let answer = quartermaster_engine::Answer {
                    lsn: Lsn::ZERO,
                    replayed: false,
                    verdict: Verdict::Rejected(rejection),
                };
                drop(catalogue);
                render::answer(&self.rig.engine, &Ok(answer), &|id| self.name(id))
            }
        }
    }

    fn row(&self, cell: &str) -> String {
        let (sku, at) = place(cell);
        let (sku, at) = {
            let catalogue = self.rig.engine.catalogue();
            (catalogue.sku(sku).expect("a SKU"), catalogue.directory().location(at).expect("a location"))
        };
        let cell = self.rig.engine.cell(sku, at).buckets;
        format!("{}/{}/{}", cell.on_hand, cell.reserved, cell.committed)
    }

    fn show(&self, name: &str) -> String {
        let (_, found) = self.rig.engine.reservation(self.id(name)).expect("it is kept");
        let catalogue = self.rig.engine.catalogue();
        let mut text = found.state.name().to_owned();
        for line in &found.lines {
            let at = catalogue.directory().location_code(line.location);
            text += &format!(" {}@{at}:{}/{}/{}", catalogue.sku_code(line.sku), line.open, line.shipped, line.returned);
        }
        for kit in found.kept.iter().flat_map(|kept| kept.kits.iter()) {
            text += &format!(" kit {}:{}", catalogue.sku_code(kit.sku), kit.quantity);
        }
        text
    }

    fn freezes(&self) -> String {
        let (_, freezes, more) = self.rig.engine.freezes(&FreezeFilter::default(), None, 100);
        assert!(!more);
        let catalogue = self.rig.engine.catalogue();
        let at = |at: LocationId| catalogue.directory().location_code(at);
        let each = freezes.iter().map(|(target, freeze)| {
            let thing = match target {
                Frozen::Sku(sku) => catalogue.sku_code(*sku).to_owned(),
                Frozen::Cell(sku, location) => format!("{}@{}", catalogue.sku_code(*sku), at(*location)),
                Frozen::Location(location) => at(*location).to_owned(),
            };
            format!(
                "{thing}:{}{}",
                freeze.reason.name(),
                if freeze.reference.is_empty() { String::new() } else { format!("({})", freeze.reference) }
            )
        });
        each.collect::<Vec<_>>().join(" ")
    }

    /// Both ways back, each the same as before, and the fold agrees.
    fn restart(&mut self) {
        let before = dump::dump(&self.rig.engine, []);
        self.rig.restart();
        assert_eq!(dump::dump(&self.rig.engine, []), before, "the log brings it back");
        verify(&self.rig);
        self.rig.restart_from_snapshot();
        assert_eq!(dump::dump(&self.rig.engine, []), before, "a snapshot brings it back");
        assert_eq!(self.rig.engine.audit().violations, vec![]);
    }
}

/// Units free of a SKU: in total, then location by location.
fn free(engine: &Engine, sku: &str) -> String {
    let (sku, locations): (SkuId, Vec<LocationId>) = {
        let catalogue = engine.catalogue();
        let locations = catalogue.directory().locations().iter().map(|location| location.id).collect();
        (catalogue.sku(sku).expect("a SKU"), locations)
    };
    let row = &engine.availability(&[sku], &locations).1[0];
    let each: Vec<String> = row.by_location.iter().map(|units| units.units().to_string()).collect();
    format!("{} {}", row.available, each.join(","))
}

/// Folds the log, compares it with the engine, a snapshot of it, and a fold that begins from that snapshot.
fn verify(rig: &Rig) {
    let mut history = History::new(Rules::default());
    for (lsn, record) in (1..).zip(rig.journal.records()) {
        history.fold(Lsn::new(lsn), &record);
    }
    history.balance();
    history.compare(&rig.engine);
    let (_, sections) = support::snapshot(&rig.engine, rig.now);
    for section in &sections {
        history.check_section(section.kind, section.unit, section.lsn, &section.payload);
    }
    assert!(history.findings().is_empty(), "the fold agrees: {:?}", history.findings());
    let mut later = History::new(Rules::default());
    for section in &sections {
        later.load(section.kind, section.unit, section.lsn, &section.payload);
    }
    later.begin_at(rig.journal.appended_lsn().next());
    later.balance();
    later.compare(&rig.engine);
    assert!(later.findings().is_empty(), "a fold from the snapshot agrees: {:?}", later.findings());
}

#[test]
fn a_frozen_sku_is_not_sold_anywhere() {
    check(
        "
        sku A B
        location L1 L2
        stock A@L1=5 A@L2=5 B@L1=5
        reserve r1 A x2
        freeze A RECALL ref=lot-7
        free A -> 0 0,0
        reserve r2 A x1 -> FROZEN A@ recall
        reserve r2 A x1 @L2 -> FROZEN A@ recall
        reserve r2 A x1, B x1 partial -> FROZEN A@ recall
        reserve r2 A x1 routed -> FROZEN A@ recall
        quote A x1 -> FROZEN A@ recall
        reassign r1 A@L1>L2 -> FROZEN A@ recall
        refused r1 A@L1 -> FROZEN A@ recall
        show r1 -> held A@L1:2/0/0                     // what is promised stays promised
        confirm r1
        ship r1 -> FROZEN A@ recall
        freeze A COUNT
        freezes -> A:recall(lot-7) A:count
        reserve r2 A x1 -> FROZEN A@ count,recall
        thaw A RECALL -> thawed 1
        ship r1 -> shipped A@L1:2 end=shipped          // a count stops no shipment
        free A -> 0 0,0
        thaw A RECALL -> NOT_FROZEN A@
        restart
        thaw A all -> thawed 1
        free A -> 8 3,5
        reserve r3 A x8 -> A@L1:3 A@L2:5
        thaw A all -> NOT_FROZEN A@
    ",
    );
}

#[test]
fn a_frozen_location_takes_nothing_new() {
    check(
        "
        sku A
        location L1 L2
        stock A@L1=5 A@L2=2
        reserve r1 A x1
        freeze L1 DISASTER
        free A -> 2 0,2
        reserve r2 A x3 -> INSUFFICIENT_STOCK A:3/2
        reserve r2 A x1 @L1 -> FROZEN @L1 disaster
        reserve r2 A x1 @L1 partial -> INSUFFICIENT_STOCK A@L1:1/0
        reserve r2 A x1 -> A@L2:1                      // the better location is frozen
        reserve r3 A x1 routed -> A@L2:1
        reserve r4 A x1 pickup=L1 -> FROZEN @L1 disaster
        quote A x1 routed ->
        confirm r1
        ship r1                                        // a disaster stops no shipment
        freeze L1 QUALITY
        reassign r2 A@L2>L1 -> FROZEN @L1 quality,disaster
        reassign r2 A@L2 -> INSUFFICIENT_STOCK A:1/0
        restart
        thaw L1 #0 -> thawed 1
        freezes -> L1:quality
        thaw L1 all
        free A -> 4 4,0
        reassign r2 A@L2>L1
        reserve r5 A x1 pickup=L1 -> A@L1:1
        freeze L1 QUALITY
        confirm r5
        ship r5 -> FROZEN @L1 quality
        thaw L2 all -> NOT_FROZEN @L2
    ",
    );
}

#[test]
fn a_frozen_cell_is_as_if_it_had_nothing() {
    check(
        "
        sku A B
        location L1 L2
        stock A@L1=5 A@L2=2 B@L1=4
        freeze A@L1 LEGAL
        free A -> 2 0,2
        free B -> 4 4,0
        reserve r1 A x3 -> INSUFFICIENT_STOCK A:3/2
        reserve r1 A x1 @L1 -> FROZEN A@L1 legal
        reserve r1 A x3 partial -> A@L2:2 short A:3/2
        quote A x1 routed ->
        reassign r1 A@L2>L1 -> FROZEN A@L1 legal
        stock A@L1=9                                   // a count goes on
        free A -> 0 0,0
        row A@L1 -> 9/0/0
        freeze A@L1 QUALITY
        thaw A@L1 LEGAL
        free A -> 0 0,0
        restart
        thaw A@L1 all
        free A -> 9 9,0
        reserve r2 A x4 @L1
        confirm r2
        freeze A@L1 QUALITY
        ship r2 A@L1 x1 -> FROZEN A@L1 quality
        thaw A@L1 all
        ship r2 A@L1 x1
        freeze A@L2 COUNT
        release r1                                     // comes back to a frozen cell
        free A -> 5 5,0
        freeze B@L2 OTHER                              // where it never was
        free B -> 4 4,0
        stock B@L2=3
        free B -> 4 4,0
        thaw B@L2 all
        free B -> 7 4,3
    ",
    );
}

#[test]
fn a_hold_that_is_given_up_frees_nothing_of_what_is_frozen() {
    check(
        "
        sku A
        location L1 L2
        stock A@L1=2 A@L2=1
        reserve r1 A x2
        freeze A@L1 DAMAGE
        reserve r2 A x2 replaces=r1 -> INSUFFICIENT_STOCK A:2/1
        reserve r2 A x1 replaces=r1 -> A@L2:1 replaced r1 A@L1:2
        free A -> 0 0,0
        thaw A@L1 all
        free A -> 2 2,0
    ",
    );
}

#[test]
fn things_that_are_not_there_cannot_be_frozen() {
    check(
        "
        sku A
        location L1
        freeze X RECALL -> UNKNOWN_SKU X
        freeze A@L9 RECALL -> UNKNOWN_LOCATION L9
        thaw X all -> UNKNOWN_SKU X
        thaw A@L1 all -> NOT_FROZEN A@L1
    ",
    );
    let mut player = Player::new();
    player.play("location L1");
    for _ in 0..32 {
        assert!(player.play("freeze L1 COUNT").1);
    }
    assert_eq!(player.play("freeze L1 COUNT").0, "TOO_MANY_FREEZES @L1 32");
    assert_eq!(player.play("thaw L1 COUNT").0, "thawed 32");
    player.restart();
}

#[test]
fn a_kit_is_what_its_components_make() {
    check(
        "
        sku A B
        location L1 L2
        stock A@L1=5 A@L2=2 B@L1=2 B@L2=9
        kit K A2 B1
        free K -> 3 2,1
        reserve r1 K x3 -> A@L1:5 A@L2:1 B@L2:3        // from wherever components are
        show r1 -> held A@L1:5/0/0 A@L2:1/0/0 B@L2:3/0/0 kit K:3
        free K -> 0 0,0
        reserve r2 K x1 -> INSUFFICIENT_STOCK K:1/0(A)
        cancel r1 K x1 -> cancelled A@L1:2 B@L2:1
        show r1 -> held A@L1:3/0/2 A@L2:1/0/0 B@L2:2/0/1 kit K:2
        free K -> 1 1,0
        reserve r2 K x1 @L2 -> INSUFFICIENT_STOCK K@L2:1/0(A)
        reserve r2 K x1 @L1 -> A@L1:2 B@L1:1
        cancel r1 K x3 -> EXCEEDS_OPEN K@ 3/2
        confirm r1
        restart
        ship r1 A@L1 x1
        cancel r1 K -> cancelled A@L1:2 B@L2:1         // one whole kit is left
        cancel r1 K -> NO_SUCH_LINE K@ lines=0
        cancel r1 -> cancelled A@L2:1 B@L2:1 end=shipped
    ",
    );
}

#[test]
fn lines_of_a_component_are_summed_with_its_kits() {
    check(
        "
        sku A B
        location L1
        stock A@L1=6 B@L1=9
        kit K A2 B1
        reserve r1 A x3, K x2 -> INSUFFICIENT_STOCK A:3/2
        reserve r1 A x5, K x1 -> INSUFFICIENT_STOCK A:5/4
        reserve r1 K x4, A x1 -> INSUFFICIENT_STOCK K:4/3(A) A:1/0
        reserve r1 A x2, K x2 -> A@L1:6 B@L1:2
        show r1 -> held A@L1:6/0/0 B@L1:2/0/0 kit K:2
        cancel r1 A x5 -> cancelled A@L1:5             // by component: the kits are told as they were ordered
        cancel r1 K -> NO_SUCH_LINE K@ lines=0
        release r1
        free K -> 3 3
        reserve r2 K x5 partial -> A@L1:6 B@L1:3 short K:5/3(A)
        release r2
        reserve r2 A x3, K x2 partial -> A@L1:6 B@L1:2 short A:3/2
        release r2
        stock B@L1=1
        reserve r2 A x3, K x2 partial -> A@L1:5 B@L1:1 short K:2/1(B)
        show r2 -> held A@L1:5/0/0 B@L1:1/0/0 kit K:1
        release r2
        stock B@L1=0
        reserve r2 K x2 partial -> INSUFFICIENT_STOCK K:2/0(B)
        reserve r2 A x1, K x2 partial -> A@L1:1 short K:2/0(B)
        show r2 -> held A@L1:1/0/0
    ",
    );
}

#[test]
fn kits_share_what_there_is_in_the_order_of_their_lines() {
    check(
        "
        sku A B C
        location L1 L2
        stock A@L1=3 A@L2=1 B@L1=9 C@L2=9
        kit K A1 B1
        kit Q A2 C1
        reserve r1 K x3, Q x1 -> INSUFFICIENT_STOCK Q:1/0(A)
        reserve r1 Q x1, K x3 partial -> A@L1:3 A@L2:1 B@L1:2 C@L2:1 short K:3/2(A)
        release r1
        reserve r1 K x2, K x1, Q x0 -> A@L1:3 B@L1:3
    "
        .replace(", Q x0", "")
        .as_str(),
    );
}

#[test]
fn kits_are_routed_whole() {
    check(
        "
        sku A B
        location L1 L2
        stock A@L1=4 B@L2=1
        kit K A2 B1
        quote K x1 routed -> A@L1:2 B@L2:1
        quote K x2 routed partial -> A@L1:2 B@L2:1
        reserve r1 K x2 routed -> NOT_ROUTABLE A:4 NotWorthIt B:2 NoStock
        reserve r1 K x2 routed partial -> A@L1:2 B@L2:1 short K:2/1(B)
        show r1 -> held A@L1:2/0/0 B@L2:1/0/0 kit K:1
        cancel r1 K -> cancelled A@L1:2 B@L2:1 end=cancelled
        freeze K COUNT
        reserve r2 K x1 -> FROZEN K@ count
        reserve r2 K x1 routed -> FROZEN K@ count
        quote K x1 -> FROZEN K@ count
        free K -> 0 0,0
        thaw K all
        freeze L2 COUNT
        free K -> 0 0,0
        reserve r2 K x1 -> INSUFFICIENT_STOCK K:1/0(B)
        thaw L2 all
        freeze B RECALL
        reserve r2 K x1 -> FROZEN B@ recall
        thaw B all
        reserve r2 K x1 routed -> A@L1:2 B@L2:1
    ",
    );
}

#[test]
fn what_can_be_no_kit_is_refused() {
    check(
        "
        sku A B C D
        location L1
        stock A@L1=5 C@L1=1
        kit K A2 B1
        stock K@L1=1 -> KIT_HAS_NO_STOCK K
        freeze K@L1 COUNT -> KIT_HAS_NO_STOCK K
        kit K A1 B1 -> INVALID_KIT K/ Fixed
        sku K -> INVALID_KIT K/ Fixed
        kit K A2 B1                                    // the same again
        kit M K1 -> INVALID_KIT M/K OfKits
        kit M M1 -> INVALID_KIT M/M OfKits
        kit C A1 -> INVALID_KIT C/ HasStock
        kit A D1 -> INVALID_KIT A/ IsComponent
        kit M X1 -> UNKNOWN_SKU X
        retire A -> IN_USE A by K
        kit D A1                                       // never had stock
        retire K D A
        sku A
        restart
        kit K A3
        retire K
        sku K
        stock K@L1=1
    ",
    );
}

#[test]
fn what_is_hurt_moves_by_priority_and_the_rest_is_cancelled() {
    check(
        "
        sku A
        location L1 L2 L3
        stock A@L1=10 A@L2=0 A@L3=0
        reserve r1 A x4
        reserve r2 A x3
        reserve r3 A x3
        confirm r2
        repair -> NOTHING_TO_REPAIR 0
        stock A@L1=3 A@L2=2 A@L3=4                     // 7 are gone
        preview -> r3 A@L1:3 to A@L3:3; r1 A@L1:4 to A@L2:2 A@L3:1; r1 cancelled A@L1:1
        repair -> r3 A@L1:3 to A@L3:3; r1 A@L1:4 to A@L2:2 A@L3:1; r1 cancelled A@L1:1
    "
        .replace("r1 A@L1:4 to A@L2:2 A@L3:1", "r1 A@L1:3 to A@L2:2 A@L3:1")
        .as_str(),
    );
}

#[test]
fn the_caller_says_who_is_hurt_and_what_may_be_done() {
    check(
        "
        sku A
        location L1 L2
        stock A@L1=6
        reserve r1 A x2
        reserve r2 A x2
        reserve r3 A x2
        confirm r3
        stock A@L1=5 A@L2=9
        preview -> r2 A@L1:1 to A@L2:1
        preview first=newest -> r3 A@L1:1 to A@L2:1
        preview first=oldest -> r1 A@L1:1 to A@L2:1
        preview first=unpaid,oldest -> r1 A@L1:1 to A@L2:1
        preview mode=cancel -> r2 cancelled A@L1:1
        freeze L2 COUNT
        preview -> r2 cancelled A@L1:1
        preview mode=reroute -> NOTHING_TO_REPAIR 1
        preview at=L2 -> NOTHING_TO_REPAIR 0
        preview sku=X -> UNKNOWN_SKU X
        preview at=X -> UNKNOWN_LOCATION X
        thaw L2 all
        freeze A@L2 COUNT
        preview mode=reroute -> NOTHING_TO_REPAIR 1
        thaw A@L2 all
        freeze A COUNT
        preview mode=reroute -> NOTHING_TO_REPAIR 1
        thaw A all
        restart
        repair first=unpaid,oldest mode=reroute -> r1 A@L1:1 to A@L2:1
        show r1 -> held A@L1:1/0/0 A@L2:1/0/0
        stock A@L1=0
        repair mode=cancel first=oldest -> r1 cancelled A@L1:1; r2 cancelled A@L1:2 end=cancelled; r3 cancelled A@L1:2 end=cancelled
        show r1 -> held A@L1:0/0/1 A@L2:1/0/0
        repair -> NOTHING_TO_REPAIR 0
    ",
    );
}

#[test]
fn a_repair_makes_no_other_shortfall_and_counts_what_it_took() {
    check(
        "
        sku A B
        location L1 L2
        stock A@L1=4 B@L1=4 A@L2=3
        reserve r1 A x2 @L1, B x2 @L1 routed
    "
        .replace(" routed", "")
        .as_str(),
    );
    check(
        "
        sku A B
        location L1 L2
        stock A@L1=4 B@L1=4 A@L2=0
        reserve r1 A x2, B x2 routed -> A@L1:2 B@L1:2
        reserve r2 A x2, B x2 routed -> A@L1:2 B@L1:2
        reserve r3 A x1 pickup=L1 -> NOT_ROUTABLE A:1 NoStock
        stock A@L1=0 B@L1=1 A@L2=3 B@L2=9
        repair -> r2 A@L1:2 to A@L2:2; r1 A@L1:1 to A@L2:1; r1 cancelled A@L1:1; r2 B@L1:2 to B@L2:2; r1 B@L1:1 to B@L2:1
        show r1 -> held A@L1:0/0/1 A@L2:1/0/0 B@L1:1/0/0 B@L2:1/0/0
        repair -> NOTHING_TO_REPAIR 0
        row A@L2 -> 3/3/0
    ",
    );
}

#[test]
fn what_is_picked_up_moves_nowhere_and_what_is_due_comes_back_by_itself() {
    check(
        "
        sku A
        location L1 L2
        stock A@L1=3 A@L2=0
        reserve r1 A x1 pickup=L1
        reserve r2 A x1 ttl=60
        reserve r3 A x1
        stock A@L1=0 A@L2=9
        now 60
        preview -> r3 A@L1:1 to A@L2:1; r1 cancelled A@L1:1 end=cancelled
        preview mode=reroute -> r3 A@L1:1 to A@L2:1; A@L1 short 1
        tick -> 1
        repair mode=reroute -> r3 A@L1:1 to A@L2:1; A@L1 short 1
        repair mode=reroute -> NOTHING_TO_REPAIR 1
        repair mode=cancel -> r1 cancelled A@L1:1 end=cancelled
    ",
    );
}

#[test]
fn a_repair_is_bounded() {
    let mut player = Player::new();
    player.play("sku A");
    player.play("location L1 L2");
    player.play("stock A@L1=1100");
    for number in 0..1_100 {
        assert!(player.play(&format!("reserve r{number} A x1")).1);
    }
    player.play("stock A@L1=0 A@L2=600");
    let (text, done) = player.play("repair");
    assert!(done && text.ends_with("; more"), "{text}");
    assert_eq!(player.play("row A@L1").0, "0/100/0");
    assert_eq!(player.play("row A@L2").0, "600/600/0");
    let (text, done) = player.play("repair");
    assert!(done && !text.contains("more"), "{text}");
    assert_eq!(player.play("row A@L1").0, "0/0/0");
    player.restart();
}

/// The same rules once more, as plainly as they can be put, on maps of units. It knows nothing of shards, rows, records or the engine's
/// way of deciding; only a random sequence of steps is common to both.
#[derive(Default)]
struct Naive {
    on_hand: BTreeMap<(char, char), u32>,
    /// What stands on "A", "1" or "A1", by reason.
    freezes: Vec<(String, FreezeReason)>,
    /// By number: whether it is confirmed, and its open lines.
    orders: BTreeMap<u32, (bool, Cells)>,
}

/// Units by SKU and location.
type Cells = BTreeMap<(char, char), u32>;

const SKUS: [char; 3] = ['A', 'B', 'C'];
const PLACES: [char; 3] = ['1', '2', '3'];

/// What a SKU consists of.
fn parts(sku: char) -> Vec<(char, u32)> {
    match sku {
        'K' => vec![('A', 2), ('B', 1)],
        'Q' => vec![('B', 1), ('C', 3)],
        single => vec![(single, 1)],
    }
}

impl Naive {
    fn frozen(&self, thing: &str) -> bool {
        self.freezes.iter().any(|(own, _)| own == thing)
    }

    fn promised(&self, sku: char, at: char) -> u32 {
        self.orders.values().filter_map(|(_, lines)| lines.get(&(sku, at))).sum()
    }

    fn short(&self, sku: char, at: char) -> u32 {
        self.promised(sku, at).saturating_sub(self.on_hand.get(&(sku, at)).copied().unwrap_or(0))
    }

    /// What a new order could take of a SKU at a place.
    fn free(&self, sku: char, at: char) -> u32 {
        let parts = parts(sku).into_iter().map(|(part, units)| {
            let frozen = [sku.to_string(), part.to_string(), at.to_string(), format!("{part}{at}")];
            if frozen.iter().any(|thing| self.frozen(thing)) {
                return 0;
            }
            let there = self.on_hand.get(&(part, at)).copied().unwrap_or(0);
            there.saturating_sub(self.promised(part, at)) / units
        });
        parts.min().unwrap_or(0)
    }

    /// The same wherever it is.
    fn free_in_all(&self, sku: char) -> u32 {
        let parts = parts(sku).into_iter().map(|(part, units)| {
            let there: u32 = PLACES.iter().map(|at| self.free(part, *at)).sum();
            there / units
        });
        if self.frozen(&sku.to_string()) { 0 } else { parts.min().unwrap_or(0) }
    }

    fn told(&self, sku: char) -> String {
        let each: Vec<String> = PLACES.iter().map(|at| self.free(sku, *at).to_string()).collect();
        format!("{} {}", self.free_in_all(sku), each.join(","))
    }

    /// Takes an order of one line; the beginning of the answer.
    fn reserve(&mut self, number: u32, sku: char, units: u32, at: Option<char>, partial: bool) -> String {
        let frozen = parts(sku).iter().any(|(part, _)| self.frozen(&part.to_string())) || self.frozen(&sku.to_string());
        if frozen || at.is_some_and(|at| !partial && self.frozen(&at.to_string())) {
            return "FROZEN".into();
        }
        let free = at.map_or_else(|| self.free_in_all(sku), |at| self.free(sku, at));
        if free < units && !partial {
            let held =
                |part: char, of: u32, at: char| self.free(part, at) < of * units && self.frozen(&format!("{part}{at}"));
            let frozen = at.is_some_and(|at| parts(sku).into_iter().any(|(part, of)| held(part, of, at)));
            return if frozen { "FROZEN" } else { "INSUFFICIENT" }.into();
        }
        let taken = free.min(units);
        if taken == 0 {
            return "INSUFFICIENT".into();
        }
        let mut lines = BTreeMap::new();
        for (part, of) in parts(sku) {
            let mut missing = taken * of;
            let places: Vec<char> = at.map_or_else(|| PLACES.to_vec(), |at| vec![at]);
            let whole = places.iter().find(|at| self.free(part, **at) >= missing).copied();
            for at in whole.map_or(places, |at| vec![at]) {
                let here = self.free(part, at).min(missing);
                if here > 0 {
                    lines.insert((part, at), here);
                    missing -= here;
                }
            }
        }
        let told: Vec<String> = lines.iter().map(|((sku, at), units)| format!("{sku}@L{at}:{units}")).collect();
        self.orders.insert(number, (false, lines));
        told.join(" ")
    }

    /// Repairs by the usual priority; gives the units that were moved and cancelled.
    fn repair(&mut self, mode: &str) -> (u32, u32) {
        let (mut moved, mut cancelled) = (0, 0);
        for (sku, from) in SKUS.iter().flat_map(|sku| PLACES.iter().map(move |at| (*sku, *at))) {
            let mut short = self.short(sku, from);
            let mut hurt: Vec<(bool, std::cmp::Reverse<u32>)> =
                self.orders.iter().map(|(number, (paid, _))| (*paid, std::cmp::Reverse(*number))).collect();
            hurt.sort_unstable();
            for (_, std::cmp::Reverse(number)) in hurt {
                let open = self.orders[&number].1.get(&(sku, from)).copied().unwrap_or(0);
                let covered = open.min(short);
                short -= covered;
                let mut left = covered;
                let places: Vec<char> = PLACES.iter().copied().filter(|at| *at != from).collect();
                let whole = places.iter().find(|at| self.free(sku, **at) >= left).copied();
                for at in if mode == "cancel" { vec![] } else { whole.map_or(places, |at| vec![at]) } {
                    let there = self.free(sku, at).min(left);
                    if there > 0 {
                        let lines = &mut self.orders.get_mut(&number).expect("it is open").1;
                        *lines.entry((sku, at)).or_default() += there;
                        *lines.get_mut(&(sku, from)).expect("it is there") -= there;
                        left -= there;
                        moved += there;
                    }
                }
                if mode != "reroute" && left > 0 {
                    let lines = &mut self.orders.get_mut(&number).expect("it is open").1;
                    *lines.get_mut(&(sku, from)).expect("it is there") -= left;
                    cancelled += left;
                }
            }
        }
        for (_, lines) in self.orders.values_mut() {
            lines.retain(|_, units| *units > 0);
        }
        self.orders.retain(|_, (_, lines)| !lines.is_empty());
        (moved, cancelled)
    }
}

#[derive(Clone, Debug)]
enum Move {
    Reserve(char, u32, Option<char>, bool),
    Confirm(u32),
    Cancel(u32),
    Ship(u32),
    Count(char, char, u32),
    Freeze(usize, usize),
    Thaw(usize),
    Repair(&'static str),
    Restart,
}

/// What freezes fall on.
const THINGS: [&str; 10] = ["A", "B", "K", "Q", "1", "2", "A1", "A2", "B1", "C3"];

fn moves() -> impl proptest::strategy::Strategy<Value = Vec<Move>> {
    use proptest::prelude::*;
    let sku = prop_oneof![Just('A'), Just('B'), Just('C'), Just('K'), Just('K'), Just('Q')];
    let at = prop_oneof![Just('1'), Just('2'), Just('3')];
    let single = prop_oneof![Just('A'), Just('B'), Just('C')];
    let mode = prop_oneof![Just("both"), Just("reroute"), Just("cancel")];
    let one = prop_oneof![
        10 => (sku, 1_u32..5, proptest::option::weighted(0.3, at.clone()), any::<bool>())
            .prop_map(|(sku, units, at, partial)| Move::Reserve(sku, units, at, partial)),
        3 => any::<u32>().prop_map(Move::Confirm),
        2 => any::<u32>().prop_map(Move::Cancel),
        2 => any::<u32>().prop_map(Move::Ship),
        5 => (single, at, 0_u32..9).prop_map(|(sku, at, units)| Move::Count(sku, at, units)),
        3 => (0..THINGS.len(), 0_usize..8).prop_map(|(thing, reason)| Move::Freeze(thing, reason)),
        3 => (0..THINGS.len()).prop_map(Move::Thaw),
        3 => mode.prop_map(Move::Repair),
        1 => Just(Move::Restart),
    ];
    proptest::collection::vec(one, 1..60)
}

/// "A1" as a step names it: "A@L1".
fn named(thing: &str) -> String {
    let letters: Vec<char> = thing.chars().collect();
    match letters[..] {
        [place] if place.is_ascii_digit() => format!("L{place}"),
        [sku, place] => format!("{sku}@L{place}"),
        _ => thing.to_owned(),
    }
}

fn same_as_naive(moves: &[Move]) {
    let (mut player, mut naive) = (Player::new(), Naive::default());
    for step in ["sku A B C", "location L1 L2 L3", "kit K A2 B1", "kit Q B1 C3"] {
        assert!(player.play(step).1);
    }
    let mut orders = 0;
    for step in moves {
        let pick = |naive: &Naive, number: u32| {
            let open: Vec<u32> = naive.orders.keys().copied().collect();
            (!open.is_empty()).then(|| open[usize::try_from(number).unwrap_or(0) % open.len()])
        };
        match step {
            Move::Reserve(sku, units, at, partial) => {
                orders += 1;
                let place = at.map_or(String::new(), |at| format!(" @L{at}"));
                let flag = if *partial { " partial" } else { "" };
                let (answer, _) = player.play(&format!("reserve r{orders} {sku} x{units}{place}{flag}"));
                let expected = naive.reserve(orders, *sku, *units, *at, *partial);
                assert!(answer.starts_with(&expected), "{step:?}: {answer}, not {expected}");
            }
            Move::Confirm(number) => {
                if let Some(number) = pick(&naive, *number).filter(|number| !naive.orders[number].0) {
                    assert!(player.play(&format!("confirm r{number}")).1);
                    naive.orders.get_mut(&number).expect("it is open").0 = true;
                }
            }
            Move::Cancel(number) => {
                if let Some(number) = pick(&naive, *number) {
                    assert!(player.play(&format!("cancel r{number}")).1);
                    naive.orders.remove(&number);
                }
            }
            Move::Ship(number) => {
                if let Some(number) = pick(&naive, *number).filter(|number| naive.orders[number].0) {
                    let lines = naive.orders[&number].1.clone();
                    let stopped = lines.keys().any(|(sku, at)| {
                        let things = [sku.to_string(), at.to_string(), format!("{sku}{at}")];
                        naive.freezes.iter().any(|(thing, reason)| things.contains(thing) && reason.stops_shipping())
                    });
                    let there =
                        |((sku, at), units): (&(char, char), &u32)| naive.on_hand.get(&(*sku, *at)) >= Some(units);
                    let (answer, done) = player.play(&format!("ship r{number}"));
                    assert_eq!(done, !stopped && lines.iter().all(there), "{step:?}: {answer}");
                    if done {
                        naive.orders.remove(&number);
                        lines
                            .into_iter()
                            .for_each(|(cell, units)| *naive.on_hand.get_mut(&cell).expect("counted") -= units);
                    }
                }
            }
            Move::Count(sku, at, units) => {
                assert!(player.play(&format!("stock {sku}@L{at}={units}")).1);
                naive.on_hand.insert((*sku, *at), *units);
            }
            Move::Freeze(thing, reason) => {
                let reason = FreezeReason::ALL[*reason];
                assert!(player.play(&format!("freeze {} {}", named(THINGS[*thing]), reason.name())).1);
                naive.freezes.push((THINGS[*thing].to_owned(), reason));
            }
            Move::Thaw(thing) => {
                let (answer, done) = player.play(&format!("thaw {} all", named(THINGS[*thing])));
                assert_eq!(done, naive.frozen(THINGS[*thing]), "{step:?}: {answer}");
                naive.freezes.retain(|(own, _)| own != THINGS[*thing]);
            }
            Move::Repair(mode) => {
                let before: u32 = naive.orders.values().flat_map(|(_, lines)| lines.values()).sum();
                let (answer, done) = player.play(&format!("repair mode={mode}"));
                let (moved, cancelled) = naive.repair(mode);
                assert_eq!(done, moved + cancelled > 0, "{step:?}: {answer}");
                let after: u32 = naive.orders.values().flat_map(|(_, lines)| lines.values()).sum();
                assert_eq!(before, after + cancelled, "a move loses nothing");
            }
            Move::Restart => player.restart(),
        }
        for sku in ['A', 'B', 'C', 'K', 'Q'] {
            assert_eq!(player.play(&format!("free {sku}")).0, naive.told(sku), "{sku} after {step:?}");
        }
        for (sku, at) in SKUS.iter().flat_map(|sku| PLACES.iter().map(move |at| (*sku, *at))) {
            let cell = player.rig.engine.cell(
                player.rig.engine.catalogue().sku(&sku.to_string()).expect("a SKU"),
                LocationId(u32::from(at) - u32::from('1')),
            );
            assert_eq!(cell.buckets.promised(), u64::from(naive.promised(sku, at)), "{sku}@L{at} after {step:?}");
            assert_eq!(cell.buckets.shortfall(), u64::from(naive.short(sku, at)), "{sku}@L{at} after {step:?}");
        }
        assert_eq!(player.rig.engine.audit().violations, vec![], "{step:?}");
    }
    player.restart();
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config {
        cases: support::cases("UPKEEP_CASES", 96),
        failure_persistence: support::regressions("tests/upkeep.regressions"),
        ..proptest::test_runner::Config::default()
    })]

    #[test]
    fn random_steps_come_to_the_same_as_the_plain_rules(moves in moves()) {
        same_as_naive(&moves);
    }
}

//! Expected units, the promises on them, and transfers: scenarios with their figures, and random histories beside a naive model.

mod support;

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};
use quartermaster_engine::{
    Answer, Engine, EngineConfig, Error, Rejection, Verdict,
    catalog::{LocationSpec, LocationState, SkuSpec},
    command::{
        AdjustStock, Asked, Bucket, CatalogueCommand, CellCode, Command, ImportRow, ImportStock, LineSelection,
        Presale, ReceiveStock, Reserve, ReserveLine, SetStock, Step, StockCommand, StockReason,
        supply::{
            AnnounceInbound, ArrivedLine, ChangeInbound, ExpectedLine, LineChange, ReceiveInbound, ShipTransfer,
            SupplyCommand,
        },
    },
    event::{
        Event,
        supply::{InboundKind, InboundState, SupplyEvent},
    },
    history::{History, Rules},
    id::{LocationId, ReservationId, SkuId},
    quantity::Quantity,
    query::supply::InboundFilter,
    reservation::State,
    time::{Micros, Timestamp},
};
use support::{Rig, T0, cases, dump, regressions, snapshot};

const SECOND: u64 = 1_000_000;
const SKUS: [&str; 3] = ["A", "B", "C"];
const LOCATIONS: [&str; 3] = ["L0", "L1", "L2"];

fn at(seconds: u64) -> Timestamp {
    Timestamp(T0 + seconds * SECOND)
}

fn secs(time: Timestamp) -> u64 {
    (time.0 - T0) / SECOND
}

struct World {
    rig: Rig,
    requests: usize,
}

impl World {
    /// SKUs and locations without stock; L0 goes before L1 before L2.
    fn new() -> Self {
        let mut world = Self { rig: Rig::new(EngineConfig::default()), requests: 0 };
        let sku = |code: &str| SkuSpec { code: code.into(), sellable: true, ..SkuSpec::default() };
        world.done(Command::Catalogue(CatalogueCommand::UpsertSkus(SKUS.map(sku).into())));
        let places = LOCATIONS.iter().zip(0..);
        let places =
            places.map(|(code, priority)| LocationSpec { code: (*code).into(), priority, ..Default::default() });
        world.done(Command::Catalogue(CatalogueCommand::UpsertLocations(places.collect())));
        world
    }

    fn submit(&mut self, command: &Command) -> Result<Answer, Error> {
        self.requests += 1;
        self.rig.submit(&format!("r{}", self.requests), command)
    }

    #[allow(clippy::needless_pass_by_value, reason = "commands are made where they are sent")]
    fn done(&mut self, command: Command) -> Event {
        match self.submit(&command).unwrap_or_else(|error| panic!("{command:?}: {error}")).verdict {
            Verdict::Done(event) => event,
            other => panic!("{command:?}: {other:?}"),
        }
    }

    fn supply(&mut self, command: SupplyCommand) -> SupplyEvent {
        match self.done(Command::Supply(command)) {
            Event::Supply(event) => *event,
            other => panic!("{other:?}"),
        }
    }

    fn refused(&mut self, command: SupplyCommand) -> Error {
        let before = self.rig.journal.records().len();
        let error = self.submit(&Command::Supply(command)).expect_err("it is refused");
        assert_eq!(self.rig.journal.records().len(), before, "nothing was logged");
        error
    }

    fn stock(&mut self, sku: &str, location: &str, units: u32) {
        self.set(Bucket::OnHand, sku, location, units);
    }

    fn set(&mut self, bucket: Bucket, sku: &str, location: &str, units: u32) {
        let set = SetStock {
            cell: CellCode { sku: sku.into(), location: location.into() },
            bucket,
            quantity: Quantity(units),
            expected_revision: None,
            reason: StockReason::default(),
            reference: String::new(),
        };
        self.done(Command::Stock(StockCommand::Set(set)));
    }

    fn reserve(&mut self, lines: &[(&str, u32, &str)], presale: Presale) -> ReservationId {
        match self.done(reserve(lines, presale)) {
            Event::Held(held) => held.reservation,
            other => panic!("{other:?}"),
        }
    }

    /// What an order lacks: requested and promisable units of its lines.
    fn lacks(&mut self, lines: &[(&str, u32, &str)], presale: Presale) -> Vec<(u64, u64)> {
        match self.submit(&reserve(lines, presale)).unwrap().verdict {
            Verdict::Rejected(Rejection::InsufficientStock { shortages }) => {
                shortages.iter().map(|short| (short.requested, short.available)).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    fn step(&mut self, id: ReservationId, step: Step) -> Event {
        self.done(Command::Reservation(id, step))
    }

    /// On hand, reserved, committed, incoming.
    fn cell(&self, sku: &str, location: &str) -> [u32; 4] {
        let cell = self.rig.engine.cell(self.sku(sku), self.place(location)).buckets;
        [cell.on_hand.0, cell.reserved.0, cell.committed.0, cell.incoming.0]
    }

    fn sku(&self, code: &str) -> SkuId {
        self.rig.engine.catalogue().sku(code).unwrap()
    }

    fn place(&self, code: &str) -> LocationId {
        self.rig.engine.catalogue().directory().location(code).unwrap()
    }

    /// A document's lines: expected, received, promised, uncovered.
    fn inbound(&self, code: &str) -> (InboundState, Vec<[u64; 4]>) {
        let (_, found) = self.rig.engine.inbound(code).unwrap();
        let figures = found.promised.iter().zip(&found.uncovered);
        let lines =
            found.header.lines.iter().zip(figures).map(|(line, (promised, uncovered))| {
                [line.expected.units(), line.received.units(), *promised, *uncovered]
            });
        (found.header.state, lines.collect())
    }

    /// A reservation's state, stock lines and promises ahead with the times they were given for.
    fn order(&self, id: ReservationId) -> String {
        let (_, found) = self.rig.engine.reservation(id).unwrap();
        let mut text = found.state.name().to_owned();
        for line in found.lines.iter().filter(|line| !line.open.is_zero()) {
            text += &format!(" {}@{}:{}", SKUS[line.sku.index()], LOCATIONS[line.location.index()], line.open);
        }
        let mut presold = found.presold;
        presold.sort_by_key(|one| one.promised);
        for one in &presold {
            let line = &one.line;
            let code = self.rig.engine.expected_supply(one.supply).map_or("?".into(), |supply| supply.code);
            text += &format!(" {}:{}<{code}+{}s", SKUS[line.sku.index()], line.quantity, secs(one.promised));
        }
        text
    }

    fn atp(&self, sku: &str) -> (u64, Vec<(u64, u64)>) {
        let (_, rows) = self.rig.engine.atp(&[self.sku(sku)], &[], None);
        (rows[0].available, rows[0].steps.iter().map(|step| (secs(step.time), step.total)).collect())
    }

    fn later(&mut self, seconds: u64) {
        self.rig.now = Timestamp(self.rig.now.0 + seconds * SECOND);
    }

    /// Everything comes back from the log and from a snapshot, and the naive fold agrees.
    fn restarts(&mut self) {
        self.sound();
        let before = self.dump();
        self.rig.restart();
        assert_eq!(before, self.dump(), "the log brings everything back");
        self.rig.restart_from_snapshot();
        assert_eq!(before, self.dump(), "the snapshot brings everything back");
    }

    fn dump(&self) -> String {
        let requests: Vec<String> = (1..=self.requests).map(|number| format!("r{number}")).collect();
        dump::dump(&self.rig.engine, requests.iter().map(String::as_str)) + &supplies(&self.rig.engine)
    }

    fn sound(&self) {
        let mut history = History::new(Rules::default());
        for record in self.rig.journal.records() {
            history.fold(history.next_lsn(), &record);
        }
        let (_, sections) = snapshot(&self.rig.engine, self.rig.now);
        for section in sections {
            history.check_section(section.kind, section.unit, section.lsn, &section.payload);
        }
        history.balance();
        history.compare(&self.rig.engine);
        assert!(history.findings().is_empty(), "{:#?}", history.findings());
    }
}

/// What is expected, in words.
fn supplies(engine: &Engine) -> String {
    let (_, all, more) = engine.inbounds(&InboundFilter { closed: true, ..InboundFilter::default() }, "", 1000);
    assert!(!more);
    let skus: Vec<SkuId> = (0..3).map(SkuId).collect();
    format!(
        "{all:#?}{:?}{:?}{:?}",
        engine.atp(&skus, &[], None),
        engine.presale_shortfalls(None, 100),
        engine.supply_counts()
    )
}

fn reserve(lines: &[(&str, u32, &str)], presale: Presale) -> Command {
    let line = |(sku, units, location): &(&str, u32, &str)| ReserveLine {
        sku: (*sku).into(),
        quantity: Quantity(*units),
        location: (*location).into(),
        sourcing: None,
    };
    Command::Reserve(Reserve {
        order_id: "".into(),
        buyer_id: "ann".into(),
        channel: "".into(),
        lines: lines.iter().map(line).collect(),
        ttl: Micros(60 * SECOND),
        allow_partial: false,
        replaces: None,
        unchanged_since_lsn: 0,
        sourcing: None,
        asked: Some(Box::new(Asked { presale, ..Asked::default() })),
    })
}

const FIRST: Presale = Presale::StockFirst { by: None };
const ONLY: Presale = Presale::Only { by: None };

fn line(sku: &str, units: u32) -> ExpectedLine {
    ExpectedLine { sku: sku.into(), quantity: Quantity(units), cap: None, confidence: None }
}

fn announce(code: &str, location: &str, eta: u64, lines: &[(&str, u32)]) -> SupplyCommand {
    announced(code, InboundKind::Purchase, location, eta, lines.iter().map(|(sku, units)| line(sku, *units)).collect())
}

fn announced(code: &str, kind: InboundKind, location: &str, eta: u64, lines: Vec<ExpectedLine>) -> SupplyCommand {
    let (code, location, reference) = (code.into(), location.into(), String::new());
    SupplyCommand::Announce(AnnounceInbound { code, kind, location, eta: at(eta), lines, reference })
}

fn receive(code: &str, lines: &[(&str, u32)], is_final: bool) -> SupplyCommand {
    let line = |(sku, units): &(&str, u32)| ArrivedLine {
        sku: (*sku).into(),
        quantity: Quantity(*units),
        reason: StockReason::default(),
    };
    SupplyCommand::Receive(ReceiveInbound {
        code: code.into(),
        lines: lines.iter().map(line).collect(),
        is_final,
        reason: StockReason(3),
        reference: String::new(),
    })
}

fn transfer(code: &str, from: &str, to: &str, eta: u64, lines: &[(&str, u32)]) -> SupplyCommand {
    SupplyCommand::Ship(ShipTransfer {
        code: code.into(),
        from: from.into(),
        to: to.into(),
        eta: at(eta),
        lines: lines.iter().map(|(sku, units)| line(sku, *units)).collect(),
        reference: String::new(),
    })
}

fn postpone(code: &str, eta: u64) -> SupplyCommand {
    SupplyCommand::Change(ChangeInbound { code: code.into(), eta: Some(at(eta)), lines: Vec::new() })
}

fn change(code: &str, sku: &str, units: Option<u32>, cancel: bool) -> SupplyCommand {
    let line = LineChange { sku: sku.into(), quantity: units.map(Quantity), cap: None, confidence: None, cancel };
    SupplyCommand::Change(ChangeInbound { code: code.into(), eta: None, lines: vec![line] })
}

fn selection(sku: &str, location: &str, units: Option<u32>) -> LineSelection {
    LineSelection { sku: sku.into(), location: location.into(), quantity: units.map(Quantity) }
}

#[test]
fn an_order_is_promised_what_is_expected_the_earliest_first_and_gets_it_when_it_arrives() {
    let mut world = World::new();
    world.stock("A", "L1", 3);
    world.supply(announce("P2", "L0", 200, &[("A", 10)]));
    world.supply(announce("P1", "L1", 100, &[("A", 4), ("B", 1)]));
    assert_eq!(world.cell("A", "L0"), [0, 0, 0, 10]);
    assert_eq!(world.atp("A"), (3, vec![(100, 7), (200, 17)]));
    let (_, rows) = world.rig.engine.atp(&[world.sku("A")], &[], None);
    let first = |units| rows[0].first(units, at(0)).map(secs);
    assert_eq!([first(3), first(4), first(8), first(18)], [Some(0), Some(100), Some(200), None]);
    assert_eq!([rows[0].by(at(99)), rows[0].by(at(100)), rows[0].by(at(900))], [3, 7, 17]);

    let id = world.reserve(&[("A", 9, "")], FIRST);
    assert_eq!(world.order(id), "held A@L1:3 A:4<P1+100s A:2<P2+200s");
    assert_eq!(world.atp("A"), (0, vec![(200, 8)]));
    world.restarts();
    world.step(id, Step::Confirm);
    assert_eq!(world.order(id), "confirmed A@L1:3 A:4<P1+100s A:2<P2+200s");
    assert_eq!(world.cell("A", "L1"), [3, 0, 3, 4]);

    let event = world.supply(receive("P1", &[("A", 4), ("B", 1)], false));
    assert_eq!(event.state, InboundState::Received, "nothing more is expected");
    assert_eq!(event.moves.len(), 1);
    assert_eq!(world.cell("A", "L1"), [7, 0, 7, 0]);
    assert_eq!(world.cell("B", "L1"), [1, 0, 0, 0]);
    assert_eq!(world.order(id), "confirmed A@L1:7 A:2<P2+200s");
    world.step(id, Step::Ship(vec![]));
    assert_eq!(world.order(id), "confirmed A:2<P2+200s", "what is promised ahead keeps it open");
    world.restarts();
    assert!(matches!(
        world.submit(&Command::Reservation(id, Step::Ship(vec![]))),
        Err(Error::NotArrived { presold: 2, .. })
    ));
    world.supply(receive("P2", &[("A", 10)], true));
    assert_eq!(world.cell("A", "L0"), [10, 0, 2, 0]);
    world.step(id, Step::Ship(vec![]));
    assert_eq!(world.order(id), "shipped");
    assert_eq!(world.cell("A", "L0"), [8, 0, 0, 0]);
    world.restarts();
}

#[test]
fn what_may_be_promised_follows_cap_confidence_time_place_and_mode() {
    let mut world = World::new();
    world.stock("A", "L0", 2);
    let capped = ExpectedLine { cap: Some(Quantity(3)), ..line("A", 10) };
    let half = ExpectedLine { confidence: Some(50), ..line("A", 9) };
    world.supply(announced("P1", InboundKind::Purchase, "L0", 100, vec![capped]));
    world.supply(announced("P2", InboundKind::Return, "L1", 200, vec![half]));
    world.supply(announced("P3", InboundKind::Return, "L2", 300, vec![line("A", 50)]));
    assert_eq!(world.atp("A"), (2, vec![(100, 5), (200, 9)]), "a return without confidence promises nothing");
    assert_eq!(world.lacks(&[("A", 3, "")], Presale::No), [(3, 2)]);
    assert_eq!(world.lacks(&[("A", 6, "")], Presale::StockFirst { by: Some(at(199)) }), [(6, 5)]);
    assert_eq!(world.lacks(&[("A", 5, "L1")], FIRST), [(5, 4)]);
    assert_eq!(world.lacks(&[("A", 8, "")], ONLY), [(8, 7)]);
    assert_eq!(world.lacks(&[("A", 4, "L0"), ("A", 6, "")], FIRST), [(6, 5)], "lines of one SKU share what there is");
    let id = world.reserve(&[("A", 4, "")], ONLY);
    assert_eq!(world.order(id), "held A:3<P1+100s A:1<P2+200s");
    let Command::Reserve(mut partial) = reserve(&[("A", 9, "")], FIRST) else { unreachable!() };
    partial.allow_partial = true;
    let Event::Held(held) = world.done(Command::Reserve(partial.clone())) else { panic!() };
    assert_eq!(world.order(held.reservation), "held A@L0:2 A:3<P2+200s");
    assert_eq!(held.shortages[0].available, 5);
    // Giving a hold up gives its promises ahead to the next one.
    partial.replaces = Some(id);
    partial.lines[0].quantity = Quantity(4);
    partial.allow_partial = false;
    let Event::Held(next) = world.done(Command::Reserve(partial)) else { panic!() };
    assert_eq!(world.order(next.reservation), "held A:3<P1+100s A:1<P2+200s");
    assert_eq!(world.order(id), "replaced");
    let mut places = vec![LocationSpec { code: "L1".into(), priority: 1, ..Default::default() }];
    places[0].state = LocationState::Paused;
    world.step(next.reservation, Step::Release);
    world.done(Command::Catalogue(CatalogueCommand::UpsertLocations(places)));
    assert_eq!(world.lacks(&[("A", 4, "")], ONLY), [(4, 3)], "a paused location promises nothing");
    world.restarts();
}

#[test]
fn promises_ahead_end_as_others_do() {
    let mut world = World::new();
    world.stock("A", "L0", 1);
    world.supply(announce("P1", "L0", 100, &[("A", 20)]));
    world.supply(announce("P2", "L0", 200, &[("A", 20)]));
    let take = |world: &mut World, units| world.reserve(&[("A", units, "")], FIRST);
    let expired = take(&mut world, 5);
    let released = take(&mut world, 4);
    assert_eq!(world.atp("A"), (0, vec![(100, 12), (200, 32)]));
    world.step(released, Step::Release);
    assert_eq!(world.order(released), "released");
    world.later(61);
    world.rig.engine.expire_due(world.rig.now, 10).unwrap();
    assert_eq!(world.order(expired), "expired");
    assert_eq!(world.atp("A"), (1, vec![(100, 21), (200, 41)]));

    let id = take(&mut world, 31);
    assert_eq!(world.order(id), "held A@L0:1 A:20<P1+100s A:10<P2+200s");
    // What the buyer still waits for goes first, the latest first.
    world.step(id, Step::Cancel(vec![selection("A", "", Some(12))]));
    assert_eq!(world.order(id), "held A@L0:1 A:18<P1+100s");
    let over = Step::Cancel(vec![selection("A", "L0", Some(10)), selection("A", "L0", Some(10))]);
    assert!(matches!(world.submit(&Command::Reservation(id, over)), Err(Error::ExceedsOpen { requested: 20, .. })));
    world.step(id, Step::Confirm);
    world.step(id, Step::Ship(vec![selection("A", "L0", Some(1))]));
    let more = Step::Ship(vec![selection("A", "L0", Some(1))]);
    assert!(matches!(world.submit(&Command::Reservation(id, more)), Err(Error::NotArrived { presold: 18, .. })));
    world.step(id, Step::Cancel(vec![selection("A", "", Some(17))]));
    assert_eq!(world.order(id), "confirmed A:1<P1+100s");
    let Event::Cancelled { end, .. } = world.step(id, Step::Cancel(vec![])) else { panic!() };
    assert!(end.is_some());
    assert_eq!(world.order(id), "shipped");
    let only = world.reserve(&[("A", 2, "")], ONLY);
    world.step(only, Step::Confirm);
    world.step(only, Step::Cancel(vec![]));
    assert_eq!(world.order(only), "cancelled");
    assert_eq!(world.atp("A"), (0, vec![(100, 20), (200, 40)]));
    world.restarts();
}

#[test]
fn arrivals_go_to_those_promised_first_and_never_beyond_what_the_cell_can_sell() {
    let mut world = World::new();
    world.supply(announce("P1", "L0", 100, &[("A", 10)]));
    let orders: Vec<_> = (0..3).map(|_| world.reserve(&[("A", 3, "")], FIRST)).collect();
    world.step(orders[1], Step::Confirm);
    let event = world.supply(receive("P1", &[("A", 4)], false));
    assert_eq!((event.state, event.moves.len()), (InboundState::Receiving, 2));
    assert_eq!(world.order(orders[0]), "held A@L0:3");
    assert_eq!(world.order(orders[1]), "confirmed A@L0:1 A:2<P1+100s");
    assert_eq!(world.cell("A", "L0"), [4, 3, 1, 6]);
    assert_eq!(world.inbound("P1").1, [[10, 4, 5, 0]]);
    // A count finds that two of those units are not there: they come before promises ahead.
    world.stock("A", "L0", 2);
    world.supply(receive("P1", &[("A", 6)], false));
    assert_eq!(world.cell("A", "L0"), [8, 5, 3, 0]);
    assert_eq!(world.order(orders[1]), "confirmed A@L0:3");
    assert_eq!(world.order(orders[2]), "held A@L0:2 A:1<P1+100s");
    assert_eq!(world.inbound("P1"), (InboundState::Received, vec![[10, 10, 1, 1]]));
    world.restarts();
    // More arrives than was expected, elsewhere: who waits comes before who comes.
    world.supply(announce("P2", "L1", 300, &[("B", 1)]));
    assert_eq!(world.order(orders[2]), "held A@L0:2 A:1<P1+100s");
    world.supply(announce("P3", "L1", 300, &[("A", 1)]));
    assert_eq!(world.order(orders[2]), "held A@L0:2 A:1<P3+300s");
    let event = world.supply(receive("P3", &[("A", 5)], false));
    assert_eq!((event.lines[0].difference(), event.lines[0].reason), (4, StockReason(3)));
    assert_eq!(world.order(orders[2]), "held A@L0:2 A@L1:1");
    assert_eq!(world.atp("A"), (4, vec![]));
    world.restarts();
}

#[test]
fn a_short_arrival_promises_anew_from_stock_then_from_the_next_and_lists_the_rest() {
    let mut world = World::new();
    world.supply(announce("P1", "L0", 100, &[("A", 10)]));
    world.supply(announce("P2", "L1", 200, &[("A", 3)]));
    let orders: Vec<_> = (0..3).map(|_| world.reserve(&[("A", 3, "")], ONLY)).collect();
    world.stock("A", "L1", 2);
    let event = world.supply(receive("P1", &[("A", 2)], true));
    assert_eq!(event.lines[0].difference(), -8);
    // Two arrived; two were free elsewhere; three are expected; two nobody has.
    assert_eq!(world.order(orders[0]), "held A@L0:2 A@L1:1");
    assert_eq!(world.order(orders[1]), "held A@L1:1 A:2<P2+200s");
    assert_eq!(world.order(orders[2]), "held A:2<P1+100s A:1<P2+200s");
    assert_eq!(event.uncovered.len(), 1);
    assert_eq!((event.uncovered[0].reservation, event.uncovered[0].quantity), (orders[2], Quantity(2)));
    let late: Vec<_> = event.late.iter().map(|late| (late.reservation, late.quantity.0, secs(late.expected))).collect();
    assert_eq!(late, [(orders[1], 2, 200), (orders[2], 1, 200)]);
    let (_, short, _) = world.rig.engine.presale_shortfalls(None, 10);
    assert_eq!((short.len(), short[0].supply.uncovered(), short[0].hurt.len()), (1, 2, 1));
    assert_eq!(world.inbound("P1"), (InboundState::Received, vec![[10, 2, 2, 2]]));
    assert_eq!(world.rig.engine.supply_counts().uncovered, 2);
    world.restarts();
    let event = world.supply(announce("P3", "L2", 300, &[("A", 1)]));
    assert_eq!((event.moves.len(), event.uncovered[0].quantity), (1, Quantity(1)));
    // Units that were announced for nobody arrive: what is left of the shortfall takes of them.
    world.supply(announce("P4", "L2", 400, &[("A", 1)]));
    assert_eq!(world.order(orders[2]), "held A:1<P2+200s A:1<P3+300s A:1<P4+400s");
    assert_eq!(world.rig.engine.presale_shortfalls(None, 10).1, []);
    world.restarts();
}

#[test]
fn a_later_or_smaller_document_promises_anew_and_says_whom_it_hurts() {
    let mut world = World::new();
    world.supply(announce("P1", "L0", 100, &[("A", 6)]));
    let orders: Vec<_> = (0..3).map(|_| world.reserve(&[("A", 2, "")], ONLY)).collect();
    world.supply(announce("P2", "L0", 150, &[("A", 3)]));
    world.stock("A", "L0", 5);
    let event = world.supply(postpone("P1", 300));
    // Earlier supplies are tried first; stock is not taken for a delay.
    assert_eq!(world.order(orders[0]), "held A:2<P2+150s");
    assert_eq!(world.order(orders[1]), "held A:1<P1+100s A:1<P2+150s");
    assert_eq!(world.order(orders[2]), "held A:2<P1+100s");
    let late: Vec<_> = event
        .late
        .iter()
        .map(|late| (late.reservation, late.quantity.0, secs(late.promised), secs(late.expected)))
        .collect();
    assert_eq!(
        late,
        [(orders[0], 2, 100, 150), (orders[1], 1, 100, 300), (orders[1], 1, 100, 150), (orders[2], 2, 100, 300)]
    );
    assert_eq!(world.supply(postpone("P1", 90)).late, [], "an earlier time hurts nobody");
    // Fewer come: those promised last go to stock.
    let event = world.supply(change("P1", "A", Some(2), false));
    assert_eq!((event.moves.len(), event.moves[0].reservation), (1, orders[2]));
    assert_eq!(world.order(orders[2]), "held A@L0:1 A:1<P1+100s");
    assert_eq!(world.inbound("P1").1, [[2, 0, 2, 0]]);
    world.supply(SupplyCommand::Cancel("P1".into()));
    assert_eq!(world.order(orders[2]), "held A@L0:2");
    assert_eq!(world.cell("A", "L0"), [5, 3, 0, 3]);
    assert_eq!(world.inbound("P1"), (InboundState::Cancelled, vec![[2, 0, 0, 0]]));
    world.restarts();
    // Its code is free again.
    world.supply(announce("P1", "L1", 500, &[("B", 1)]));
    world.supply(change("P1", "B", None, true));
    assert_eq!(world.inbound("P1"), (InboundState::Cancelled, vec![[1, 0, 0, 0]]));
    world.restarts();
}

/// One change makes a document later and smaller: what it moves elsewhere is late there, or not at all, and not where it was before.
#[test]
fn who_is_told_to_be_late_is_told_of_what_is_still_promised() {
    for (left, moved, last_late) in
        [(4, "held A@L0:1 A:1<P2+400s", vec![(1, 400)]), (5, "held A@L0:1 A:1<P1+100s", vec![(1, 300)])]
    {
        let mut world = World::new();
        world.supply(announce("P1", "L0", 100, &[("A", 6)]));
        let orders: Vec<_> = (0..3).map(|_| world.reserve(&[("A", 2, "")], ONLY)).collect();
        world.supply(announce("P2", "L0", 400, &[("A", 1)]));
        world.stock("A", "L0", 1);
        let line =
            LineChange { sku: "A".into(), quantity: Some(Quantity(left)), cap: None, confidence: None, cancel: false };
        let lines = vec![line];
        let event = world.supply(SupplyCommand::Change(ChangeInbound { code: "P1".into(), eta: Some(at(300)), lines }));
        assert_eq!(world.order(orders[2]), moved);
        let late_of = |order| {
            let late = event.late.iter().filter(|late| late.reservation == order);
            late.map(|late| (late.quantity.0, secs(late.expected))).collect::<Vec<_>>()
        };
        assert_eq!((late_of(orders[0]), late_of(orders[1])), (vec![(2, 300)], vec![(2, 300)]));
        assert_eq!(late_of(orders[2]), last_late, "{left} of P1 are left");
        world.restarts();
    }
}

#[test]
fn a_transfer_takes_what_is_available_is_in_transit_and_arrives_with_differences() {
    let mut world = World::new();
    world.stock("A", "L0", 10);
    world.set(Bucket::Safety, "A", "L0", 2);
    let id = world.reserve(&[("A", 3, "L0")], Presale::No);
    let refused = world.submit(&Command::Supply(transfer("T1", "L0", "L1", 50, &[("A", 6)]))).unwrap();
    let Verdict::Rejected(Rejection::InsufficientStock { shortages }) = refused.verdict else { panic!() };
    assert_eq!((shortages[0].requested, shortages[0].available, &*shortages[0].location), (6, 5, "L0"));
    world.supply(transfer("T1", "L0", "L1", 50, &[("A", 5)]));
    assert_eq!(world.cell("A", "L0"), [5, 3, 0, 0]);
    assert_eq!(world.cell("A", "L1"), [0, 0, 0, 5]);
    assert_eq!(world.rig.engine.supply_counts().in_transit, 5);
    assert_eq!(world.order(id), "held A@L0:3");
    let ahead = world.reserve(&[("A", 2, "L1")], FIRST);
    world.restarts();
    assert!(matches!(world.refused(SupplyCommand::Cancel("T1".into())), Error::TransferUnderWay { .. }));
    assert!(matches!(world.refused(change("T1", "A", Some(1), false)), Error::TransferUnderWay { .. }));
    world.supply(receive("T1", &[("A", 1)], false));
    assert_eq!(world.rig.engine.supply_counts().in_transit, 4);
    let event = world.supply(receive("T1", &[("A", 3)], true));
    assert_eq!((event.lines[0].difference(), event.lines[0].reason), (-1, StockReason(3)));
    assert_eq!(world.cell("A", "L1"), [4, 2, 0, 0]);
    assert_eq!(world.order(ahead), "held A@L1:2");
    assert_eq!(world.rig.engine.supply_counts().in_transit, 0);
    let again = world.refused(receive("T1", &[("A", 3)], true));
    assert!(matches!(again, Error::InboundClosed { state: InboundState::Received, .. }));
    world.restarts();
}

#[test]
fn what_is_set_by_hand_and_what_is_announced_add_up() {
    let mut world = World::new();
    world.set(Bucket::Incoming, "A", "L0", 7);
    world.supply(announce("P1", "L0", 100, &[("A", 10)]));
    assert_eq!(world.cell("A", "L0"), [0, 0, 0, 17]);
    assert_eq!(world.atp("A"), (0, vec![(100, 10)]), "nobody knows when the others come");
    world.set(Bucket::Incoming, "A", "L0", 3);
    assert_eq!(world.cell("A", "L0"), [0, 0, 0, 13]);
    let cell = CellCode { sku: "A".into(), location: "L0".into() };
    let adjust = AdjustStock {
        cell: cell.clone(),
        bucket: Bucket::Incoming,
        delta: -4,
        reason: StockReason::default(),
        reference: String::new(),
    };
    let refused = world.submit(&Command::Stock(StockCommand::Adjust(adjust)));
    assert!(matches!(refused, Err(Error::ExceedsBucket { requested: 4, held: 3, .. })), "{refused:?}");
    let arrived = ReceiveStock {
        receipts: vec![(cell.clone(), Quantity(3))],
        from_incoming: true,
        reason: StockReason::default(),
        reference: String::new(),
    };
    world.done(Command::Stock(StockCommand::Receive(arrived)));
    assert_eq!(world.cell("A", "L0"), [3, 0, 0, 10]);
    let zero = Quantity::ZERO;
    let row = ImportRow {
        cell,
        on_hand: Quantity(4),
        safety: zero,
        quality_control: zero,
        damaged: zero,
        in_repair: zero,
        incoming: Quantity(1),
    };
    world.done(Command::Stock(StockCommand::Import(ImportStock { rows: vec![row], reference: String::new() })));
    assert_eq!(world.cell("A", "L0"), [4, 0, 0, 11]);
    world.supply(receive("P1", &[], true));
    assert_eq!(world.cell("A", "L0"), [4, 0, 0, 1]);
    world.restarts();
}

#[test]
fn bad_steps_are_told_by_name_and_change_nothing() {
    let mut world = World::new();
    world.supply(announce("P1", "L0", 100, &[("A", 10), ("B", 1)]));
    world.later(10);
    let refused = |world: &mut World, command| format!("{:?}", world.refused(command));
    assert!(refused(&mut world, announce("P1", "L0", 100, &[("C", 1)])).starts_with("InboundExists"));
    assert!(refused(&mut world, announce("P2", "L0", 9, &[("A", 1)])).starts_with("EtaPast"));
    assert!(refused(&mut world, announce("P2", "L9", 19, &[("A", 1)])).starts_with("UnknownLocation"));
    assert!(refused(&mut world, announce("P2", "L0", 19, &[("Z", 1)])).starts_with("UnknownSku"));
    assert!(refused(&mut world, transfer("T1", "L0", "L0", 19, &[("A", 1)])).starts_with("SameLocation"));
    assert!(refused(&mut world, postpone("P1", 9)).starts_with("EtaPast"));
    assert!(refused(&mut world, postpone("P9", 99)).starts_with("UnknownInbound"));
    assert!(refused(&mut world, receive("P1", &[("C", 1)], false)).starts_with("NoSuchInboundLine"));
    assert!(refused(&mut world, receive("P9", &[("A", 1)], false)).starts_with("UnknownInbound"));
    assert!(refused(&mut world, SupplyCommand::Cancel("P9".into())).starts_with("UnknownInbound"));
    world.supply(receive("P1", &[("A", 4)], false));
    assert!(refused(&mut world, change("P1", "A", Some(3), false)).starts_with("BelowReceived"));
    world.supply(change("P1", "B", None, true));
    assert!(refused(&mut world, receive("P1", &[("B", 1)], false)).starts_with("NoSuchInboundLine"));
    world.set(Bucket::Incoming, "A", "L1", u32::MAX);
    assert!(refused(&mut world, announce("P2", "L1", 19, &[("A", 1)])).starts_with("Overflow"));
    world.supply(receive("P1", &[("A", 6)], false));
    assert!(refused(&mut world, receive("P1", &[("A", 1)], false)).starts_with("InboundClosed"));
    assert!(refused(&mut world, postpone("P1", 99)).starts_with("InboundClosed"));
    assert!(refused(&mut world, SupplyCommand::Cancel("P1".into())).starts_with("InboundClosed"));
    // The same request again is the same answer, not a second receipt.
    let again = Command::Supply(announce("P3", "L0", 100, &[("A", 1)]));
    let first = world.rig.submit("once", &again).unwrap();
    world.rig.restart();
    let second = world.rig.submit("once", &again).unwrap();
    assert!(second.replayed && second.verdict == first.verdict && second.lsn == first.lsn);
    world.restarts();
}

#[test]
fn closed_documents_are_forgotten_in_time() {
    let mut world = World::new();
    world.rig = Rig::new(EngineConfig { ended_retention: Micros(5 * SECOND), ..EngineConfig::default() });
    world.requests = 0;
    let fresh = World::new();
    for record in fresh.rig.journal.records() {
        let (record, _) = (quartermaster_engine::codec::decode(&record).unwrap(), ());
        let Event::SkusUpserted { skus, .. } = &record.event else {
            let Event::LocationsUpserted { locations, .. } = &record.event else { continue };
            let specs = locations.iter().map(|location| location.spec.clone()).collect();
            world.done(Command::Catalogue(CatalogueCommand::UpsertLocations(specs)));
            continue;
        };
        let specs = skus.iter().map(|sku| sku.spec.clone()).collect();
        world.done(Command::Catalogue(CatalogueCommand::UpsertSkus(specs)));
    }
    world.supply(announce("P1", "L0", 100, &[("A", 1)]));
    world.supply(receive("P1", &[("A", 1)], true));
    world.supply(announce("P1", "L0", 100, &[("A", 2)]));
    world.supply(receive("P1", &[("A", 2)], true));
    world.later(6);
    assert_eq!(world.inbound("P1").1, [[2, 2, 0, 0]]);
    // A document of the same shard moves time on there.
    let home = quartermaster_engine::supply::home_of("P1");
    let other =
        (0..).map(|number| format!("X{number}")).find(|code| quartermaster_engine::supply::home_of(code) == home);
    world.supply(announce(&other.unwrap(), "L0", 100, &[("B", 1)]));
    assert!(matches!(world.rig.engine.inbound("P1"), Err(Error::UnknownInbound { .. })));
    world.restarts();
}

/// A naive engine of expected units: plain lists, sums counted anew each time.
#[derive(Default)]
struct Model {
    on_hand: BTreeMap<(usize, usize), u64>,
    supplies: Vec<ModelSupply>,
    orders: Vec<ModelOrder>,
}

struct ModelSupply {
    code: usize,
    sku: usize,
    place: usize,
    eta: u64,
    expected: u64,
    received: u64,
    cap: Option<u64>,
    sure: u64,
    open: bool,
    sent: bool,
}

struct ModelOrder {
    id: ReservationId,
    confirmed: bool,
    open: bool,
    expires: u64,
    lines: BTreeMap<(usize, usize), u64>,
    /// Units and the time they were promised for, by supply.
    ahead: BTreeMap<usize, (u64, u64)>,
}

impl Model {
    fn promised_at(&self, sku: usize, place: usize) -> u64 {
        self.orders.iter().map(|order| order.lines.get(&(sku, place)).copied().unwrap_or(0)).sum()
    }

    fn available(&self, sku: usize, place: usize) -> u64 {
        let on_hand = self.on_hand.get(&(sku, place)).copied().unwrap_or(0);
        on_hand.saturating_sub(self.promised_at(sku, place))
    }

    fn rest(&self, supply: usize) -> u64 {
        let supply = &self.supplies[supply];
        if supply.open { supply.expected.saturating_sub(supply.received) } else { 0 }
    }

    fn may(&self, supply: usize) -> u64 {
        let sure = self.rest(supply) * self.supplies[supply].sure / 100;
        self.supplies[supply].cap.map_or(sure, |cap| sure.min(cap))
    }

    fn promised(&self, supply: usize) -> u64 {
        self.orders.iter().filter_map(|order| order.ahead.get(&supply)).map(|(units, _)| units).sum()
    }

    fn room(&self, supply: usize) -> u64 {
        self.may(supply).saturating_sub(self.promised(supply))
    }

    /// Open supplies of a SKU, the earliest first.
    fn expected(&self, sku: usize) -> Vec<usize> {
        let mut of: Vec<usize> =
            (0..self.supplies.len()).filter(|one| self.supplies[*one].sku == sku && self.supplies[*one].open).collect();
        of.sort_by_key(|one| (self.supplies[*one].eta, *one));
        of
    }

    /// A code names its newest document: the lines of those before it lose it.
    fn lines_of(&self, code: usize) -> Vec<usize> {
        (0..self.supplies.len()).filter(|one| self.supplies[*one].code == code).collect()
    }

    fn is_open(&self, lines: &[usize]) -> bool {
        lines.iter().any(|line| self.supplies[*line].open)
    }

    /// Takes for an order; gives what it got, and takes nothing when that is too little.
    fn reserve(
        &mut self,
        id: ReservationId,
        ask: (usize, Option<usize>, u64),
        mode: (bool, bool, u64),
        expires: u64,
    ) -> u64 {
        let ((sku, place, wanted), (stock, ahead, by)) = (ask, mode);
        let mut order =
            ModelOrder { id, confirmed: false, open: true, expires, lines: BTreeMap::new(), ahead: BTreeMap::new() };
        let mut left = wanted;
        if stock {
            let places: Vec<usize> = place.map_or_else(|| (0..3).collect(), |place| vec![place]);
            let whole = places.iter().find(|place| self.available(sku, **place) >= wanted);
            for place in whole.map_or(places.clone(), |place| vec![*place]) {
                let units = left.min(self.available(sku, place));
                if units > 0 {
                    order.lines.insert((sku, place), units);
                    left -= units;
                }
            }
        }
        if ahead {
            for supply in self.expected(sku) {
                let one = &self.supplies[supply];
                if one.eta > by || place.is_some_and(|place| place != one.place) {
                    continue;
                }
                let units = left.min(self.room(supply));
                if units > 0 {
                    order.ahead.insert(supply, (units, one.eta));
                    left -= units;
                }
            }
        }
        if left == 0 {
            self.orders.push(order);
        }
        wanted - left
    }

    fn take_ahead(&mut self, order: usize, supply: usize, units: u64) {
        let kept = self.orders[order].ahead.get_mut(&supply).unwrap();
        kept.0 -= units;
        if kept.0 == 0 {
            self.orders[order].ahead.remove(&supply);
        }
    }

    fn take_stock(&mut self, order: usize, supply: usize, place: usize, units: u64) {
        if units > 0 {
            self.take_ahead(order, supply, units);
            *self.orders[order].lines.entry((self.supplies[supply].sku, place)).or_default() += units;
        }
    }

    fn promise_again(&mut self, order: usize, from: usize, units: u64, order_of: &[usize]) {
        let mut left = units;
        for supply in order_of.iter().filter(|supply| **supply != from) {
            let units = left.min(self.room(*supply));
            if units > 0 {
                self.take_ahead(order, from, units);
                let eta = self.supplies[*supply].eta;
                let kept = self.orders[order].ahead.entry(*supply).or_insert((0, eta));
                *kept = (kept.0 + units, kept.1.min(eta));
                left -= units;
            }
        }
    }

    fn holders(&self, supply: usize) -> Vec<(usize, u64)> {
        let holding = self.orders.iter().enumerate();
        holding.filter_map(|(place, order)| order.ahead.get(&supply).map(|(units, _)| (place, *units))).collect()
    }

    /// What a step of a document means for one of its lines.
    fn settle(&mut self, supply: usize, arrived: u64, eta_before: u64) {
        let (sku, place, eta) = (self.supplies[supply].sku, self.supplies[supply].place, self.supplies[supply].eta);
        if arrived > 0 {
            *self.on_hand.entry((sku, place)).or_default() += arrived;
            let mut left = arrived.min(self.available(sku, place));
            for (order, units) in self.holders(supply) {
                let units = units.min(left);
                left -= units;
                self.take_stock(order, supply, place, units);
            }
        }
        if eta > eta_before && self.supplies[supply].open {
            for (order, units) in self.holders(supply) {
                if self.orders[order].ahead[&supply].1 < eta {
                    let mut earlier = self.expected(sku);
                    earlier.retain(|one| self.supplies[*one].eta < eta);
                    self.promise_again(order, supply, units, &earlier);
                }
            }
        }
        let mut excess: Vec<(usize, usize, u64)> = Vec::new();
        for one in (0..self.supplies.len()).filter(|one| self.supplies[*one].sku == sku) {
            let mut over = self.promised(one).saturating_sub(self.may(one));
            for (order, units) in self.holders(one).into_iter().rev() {
                let units = units.min(over);
                over -= units;
                if units > 0 {
                    excess.push((order, one, units));
                }
            }
        }
        excess.sort_unstable();
        for (order, from, units) in excess {
            let mut left = units;
            for place in 0..3 {
                let units = left.min(self.available(sku, place));
                self.take_stock(order, from, place, units);
                left -= units;
            }
            let all = self.expected(sku);
            self.promise_again(order, from, left, &all);
        }
    }

    fn close_if_done(&mut self, lines: &[usize], is_final: bool) {
        if is_final || lines.iter().all(|line| self.rest(*line) == 0) {
            lines.iter().for_each(|line| self.supplies[*line].open = false);
        }
    }

    /// Steps of a document touch its lines one after another, each with the figures of all of them in place.
    fn settle_all(&mut self, lines: &[(usize, u64, u64)]) {
        for (line, arrived, eta_before) in lines {
            self.settle(*line, *arrived, *eta_before);
        }
    }

    fn atp(&self, sku: usize) -> (u64, Vec<(u64, u64)>) {
        let available: u64 = (0..3).map(|place| self.available(sku, place)).sum();
        let mut steps: BTreeMap<u64, u64> = BTreeMap::new();
        for supply in self.expected(sku) {
            *steps.entry(self.supplies[supply].eta).or_default() += self.room(supply);
        }
        let mut total = available;
        let steps = steps.into_iter().filter(|(_, room)| *room > 0).map(|(eta, room)| {
            total += room;
            (eta, total)
        });
        (available, steps.collect())
    }
}

impl World {
    /// The engine beside the model: cells, orders, supplies, and what can be promised.
    fn same(&self, model: &Model) {
        for (sku, code) in SKUS.iter().copied().enumerate().take(3) {
            let mut incoming = [0; 3];
            for supply in (0..model.supplies.len()).filter(|one| model.supplies[*one].sku == sku) {
                incoming[model.supplies[supply].place] += model.rest(supply);
            }
            for place in 0..3 {
                let of = |confirmed: bool| -> u64 {
                    let orders = model.orders.iter().filter(|order| order.confirmed == confirmed);
                    orders.map(|order| order.lines.get(&(sku, place)).copied().unwrap_or(0)).sum()
                };
                let on_hand = model.on_hand.get(&(sku, place)).copied().unwrap_or(0);
                let expected = [on_hand, of(false), of(true), incoming[place]];
                assert_eq!(self.cell(code, LOCATIONS[place]).map(u64::from), expected, "{code}@{}", LOCATIONS[place]);
            }
            assert_eq!(self.atp(code), model.atp(sku), "what can be promised of {code}");
        }
        for order in &model.orders {
            let (_, found) = self.rig.engine.reservation(order.id).unwrap();
            let state = matches!(found.state, State::Held | State::Confirmed);
            assert_eq!((state, found.state == State::Confirmed), (order.open, order.open && order.confirmed));
            let open = found.lines.iter().filter(|line| !line.open.is_zero());
            let lines: BTreeMap<_, _> =
                open.map(|line| ((line.sku.index(), line.location.index()), line.open.units())).collect();
            assert_eq!(lines, order.lines);
            let mut ahead: Vec<_> = found
                .presold
                .iter()
                .map(|one| {
                    (one.line.sku.index(), one.line.location.index(), one.line.quantity.units(), secs(one.promised))
                })
                .collect();
            let mut expected: Vec<_> = order
                .ahead
                .iter()
                .map(|(one, (units, at))| (model.supplies[*one].sku, model.supplies[*one].place, *units, *at))
                .collect();
            ahead.sort_unstable();
            expected.sort_unstable();
            assert_eq!(ahead, expected);
        }
        let uncovered: u64 =
            (0..model.supplies.len()).map(|supply| model.promised(supply).saturating_sub(model.may(supply))).sum();
        let in_transit: u64 =
            (0..model.supplies.len()).filter(|one| model.supplies[*one].sent).map(|one| model.rest(one)).sum();
        let counts = self.rig.engine.supply_counts();
        assert_eq!((counts.uncovered, counts.in_transit), (uncovered, in_transit));
        assert_eq!(self.rig.engine.audit().violations, vec![]);
    }

    /// One random step of both.
    fn random(&mut self, model: &mut Model, dice: [u16; 8]) {
        let below = |place: usize, bound: u16| usize::from(dice[place] % bound);
        let now = secs(self.rig.now);
        let (sku, place, units) = (below(1, 3), below(2, 3), 1 + below(3, 6));
        let small = u32::try_from(units).unwrap();
        let eta = now + 1 + u64::from(dice[4] % 9) * 10;
        let code = below(5, 5);
        let name = format!("D{code}");
        let order = model.orders.len().checked_sub(1).map(|last| usize::from(dice[6]) % (last + 1));
        let documents = model.lines_of(code);
        let open = model.is_open(&documents);
        match below(0, 14) {
            0 | 1 => {
                let cap = dice[7].is_multiple_of(4).then(|| u64::from(dice[7] / 4 % 5));
                let sure = [100, 100, 50, 0][below(6, 4)];
                let mut skus = vec![sku];
                if dice[7].is_multiple_of(3) {
                    skus.push((sku + 1) % 3);
                }
                skus.sort_unstable();
                let lines = skus.iter().map(|sku| ExpectedLine {
                    cap: cap.map(|cap| Quantity(u32::try_from(cap).unwrap())),
                    confidence: Some(u8::try_from(sure).unwrap()),
                    ..line(SKUS[*sku], small)
                });
                let ask = announced(&name, InboundKind::Purchase, LOCATIONS[place], eta, lines.collect());
                let done = self.submit(&Command::Supply(ask)).is_ok();
                assert_eq!(done, !open);
                if done {
                    // The lines of the document that had the code are no longer its lines.
                    for old in &documents {
                        model.supplies[*old].code = usize::MAX - old;
                    }
                    let first = model.supplies.len();
                    let expected = u64::from(small);
                    for sku in skus {
                        let (received, open, sent) = (0, true, false);
                        let supply = ModelSupply { code, sku, place, eta, expected, received, cap, sure, open, sent };
                        model.supplies.push(supply);
                    }
                    let lines: Vec<_> = (first..model.supplies.len()).map(|line| (line, 0, eta)).collect();
                    model.settle_all(&lines);
                }
            }
            2 => {
                let to = (place + 1) % 3;
                let ask = transfer(&name, LOCATIONS[place], LOCATIONS[to], eta, &[(SKUS[sku], small)]);
                let answer = self.submit(&Command::Supply(ask));
                let enough = model.available(sku, place) >= u64::from(small);
                match answer.map(|answer| answer.verdict) {
                    Err(_) => assert!(open),
                    Ok(Verdict::Rejected(_)) => assert!(!open && !enough),
                    Ok(_) => {
                        assert!(!open && enough);
                        for old in &documents {
                            model.supplies[*old].code = usize::MAX - old;
                        }
                        *model.on_hand.get_mut(&(sku, place)).unwrap() -= u64::from(small);
                        let expected = u64::from(small);
                        model.supplies.push(ModelSupply {
                            code,
                            sku,
                            place: to,
                            eta,
                            expected,
                            received: 0,
                            cap: None,
                            sure: 100,
                            open: true,
                            sent: true,
                        });
                        model.settle(model.supplies.len() - 1, 0, eta);
                    }
                }
            }
            3 => {
                let done = self.submit(&Command::Supply(postpone(&name, eta))).is_ok();
                assert_eq!(done, open);
                if done {
                    let lines: Vec<_> = documents.iter().copied().filter(|line| model.supplies[*line].open).collect();
                    let before = model.supplies[lines[0]].eta;
                    lines.iter().for_each(|line| model.supplies[*line].eta = eta);
                    if before != eta {
                        // Each line of a SKU of its own: they do not meet.
                        let lines: Vec<_> = lines.into_iter().map(|line| (line, 0, before)).collect();
                        model.settle_all(&lines);
                    }
                }
            }
            4 => {
                let found = documents.iter().copied().find(|line| model.supplies[*line].sku == sku);
                let right = found.is_some_and(|line| {
                    let supply = &model.supplies[line];
                    supply.open && !supply.sent && u64::from(small) >= supply.received
                });
                let done = self.submit(&Command::Supply(change(&name, SKUS[sku], Some(small), false))).is_ok();
                assert_eq!(done, open && right);
                if let Some(line) = found.filter(|_| done) {
                    model.supplies[line].expected = u64::from(small);
                    model.close_if_done(&documents, false);
                    self.close_others(model, &documents, &[(line, 0)]);
                }
            }
            5 | 6 => {
                let found = documents.iter().copied().find(|line| model.supplies[*line].sku == sku);
                let right = found.is_some_and(|line| model.supplies[line].open);
                let is_final = dice[7].is_multiple_of(4);
                let done = self.submit(&Command::Supply(receive(&name, &[(SKUS[sku], small)], is_final))).is_ok();
                assert_eq!(done, open && right);
                if let Some(line) = found.filter(|_| done) {
                    model.supplies[line].received += u64::from(small);
                    model.close_if_done(&documents, is_final);
                    self.close_others(model, &documents, &[(line, u64::from(small))]);
                }
            }
            7 => {
                let sent = documents.iter().any(|line| model.supplies[*line].sent);
                let done = self.submit(&Command::Supply(SupplyCommand::Cancel(name))).is_ok();
                assert_eq!(done, open && !sent);
                if done {
                    documents.iter().for_each(|line| model.supplies[*line].open = false);
                    self.close_others(model, &documents, &[]);
                }
            }
            8 | 9 => {
                let at_place = dice[7].is_multiple_of(3).then_some(place);
                let by = if dice[7].is_multiple_of(2) { u64::MAX } else { eta };
                let until = (by != u64::MAX).then(|| at(by));
                let (mode, presale) = match dice[6] % 3 {
                    0 => ((true, false, 0), Presale::No),
                    1 => ((true, true, by), Presale::StockFirst { by: until }),
                    _ => ((false, true, by), Presale::Only { by: until }),
                };
                let wanted = u64::from(small) * 2;
                let lines = [(SKUS[sku], small * 2, at_place.map_or("", |place| LOCATIONS[place]))];
                match self.submit(&reserve(&lines, presale)).unwrap().verdict {
                    Verdict::Done(Event::Held(held)) => {
                        let got = model.reserve(held.reservation, (sku, at_place, wanted), mode, now + 60);
                        assert_eq!(got, wanted);
                    }
                    Verdict::Rejected(Rejection::InsufficientStock { shortages }) => {
                        let got = model.reserve(ReservationId(0), (sku, at_place, wanted), mode, 0);
                        assert_eq!(shortages[0].available, got);
                        assert!(got < wanted);
                    }
                    other => panic!("{other:?}"),
                }
            }
            10 => {
                let Some(order) = order else { return };
                let id = model.orders[order].id;
                let right = model.orders[order].open && !model.orders[order].confirmed;
                let step = if dice[7].is_multiple_of(3) { Step::Release } else { Step::Confirm };
                let release = step == Step::Release;
                let answer = self.submit(&Command::Reservation(id, step));
                let done = answer.is_ok_and(|answer| matches!(answer.verdict, Verdict::Done(_)));
                assert_eq!(done, right);
                if done && release {
                    let order = &mut model.orders[order];
                    order.open = false;
                    order.lines.clear();
                    order.ahead.clear();
                } else if done {
                    model.orders[order].confirmed = true;
                }
            }
            11 => {
                let Some(order) = order else { return };
                let mut ahead: Vec<(u64, usize, u64)> = model.orders[order]
                    .ahead
                    .iter()
                    .filter(|(one, _)| model.supplies[**one].sku == sku && model.supplies[**one].place == place)
                    .map(|(one, (units, _))| (model.supplies[*one].eta, *one, *units))
                    .collect();
                ahead.sort_unstable();
                let stock = model.orders[order].lines.get(&(sku, place)).copied().unwrap_or(0);
                let all = ahead.iter().map(|(.., units)| units).sum::<u64>() + stock;
                let wanted = u64::from(small);
                let step = Step::Cancel(vec![selection(SKUS[sku], LOCATIONS[place], Some(small))]);
                let answer = self.submit(&Command::Reservation(model.orders[order].id, step));
                // A hold that has expired is answered by a "no".
                let done = answer.is_ok_and(|answer| matches!(answer.verdict, Verdict::Done(_)));
                assert_eq!(done, model.orders[order].open && wanted <= all);
                if done {
                    let mut left = wanted;
                    for (_, one, units) in ahead.into_iter().rev() {
                        let units = left.min(units);
                        if units > 0 {
                            model.take_ahead(order, one, units);
                        }
                        left -= units;
                    }
                    let order = &mut model.orders[order];
                    order.lines.entry((sku, place)).and_modify(|line| *line -= left);
                    order.lines.retain(|_, units| *units > 0);
                    order.open = !order.lines.is_empty() || !order.ahead.is_empty();
                }
            }
            12 => {
                let Some(order) = order else { return };
                let lines = model.orders[order].lines.clone();
                let there = lines.iter().all(|(cell, units)| model.on_hand.get(cell).copied().unwrap_or(0) >= *units);
                let right = model.orders[order].open && model.orders[order].confirmed && !lines.is_empty() && there;
                let done = self.submit(&Command::Reservation(model.orders[order].id, Step::Ship(vec![]))).is_ok();
                assert_eq!(done, right);
                if done {
                    for (cell, units) in lines {
                        *model.on_hand.get_mut(&cell).unwrap() -= units;
                    }
                    model.orders[order].lines.clear();
                    model.orders[order].open = !model.orders[order].ahead.is_empty();
                }
            }
            _ => {
                if dice[7].is_multiple_of(2) {
                    self.stock(SKUS[sku], LOCATIONS[place], small);
                    model.on_hand.insert((sku, place), u64::from(small));
                } else {
                    self.later(u64::from(dice[4] % 30));
                    let now = secs(self.rig.now);
                    self.rig.engine.expire_due(self.rig.now, 1_000).unwrap();
                    for order in model.orders.iter_mut().filter(|order| order.open && !order.confirmed) {
                        if order.expires <= now {
                            order.open = false;
                            order.lines.clear();
                            order.ahead.clear();
                        }
                    }
                }
            }
        }
    }

    /// Lines of a document by SKU, as its event concerns them: those that are told, and all when it was closed.
    fn close_others(&self, model: &mut Model, documents: &[usize], told: &[(usize, u64)]) {
        let closed = !model.is_open(documents);
        let lines = documents.iter().filter(|line| closed || told.iter().any(|(one, _)| one == *line));
        let lines: Vec<_> = lines
            .map(|line| {
                let arrived = told.iter().find(|(one, _)| one == line).map_or(0, |(_, units)| *units);
                (*line, arrived, model.supplies[*line].eta)
            })
            .collect();
        model.settle_all(&lines);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases("SUPPLY_CASES", 96),
        failure_persistence: regressions("tests/supply.regressions"),
        ..ProptestConfig::default()
    })]

    /// Whatever is announced, moved, received, promised and given up: the engine and the naive model agree after each step, also after
    /// restarts, and the records fold to the same.
    #[test]
    fn the_engine_equals_a_naive_model(steps in vec(prop::array::uniform8(any::<u16>()), 10..120)) {
        let (mut world, mut model) = (World::new(), Model::default());
        for (place, dice) in steps.into_iter().enumerate() {
            world.random(&mut model, dice);
            world.same(&model);
            match place % 40 {
                19 => world.rig.restart(),
                39 => world.rig.restart_from_snapshot(),
                _ => {}
            }
        }
        world.restarts();
    }
}

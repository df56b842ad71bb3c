//! Units that come back: announced, received anywhere, inspected, exchanged, counted; never more than was shipped, each unit once.

mod support;

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};
use quartermaster_engine::{
    EngineConfig, Error, Rejection, Verdict,
    catalog::{LocationSpec, SkuSpec},
    command::{
        Bucket, CatalogueCommand, CellCode, Command, Condition, LineSelection, MoveStock, Reserve, ReserveLine,
        SetStock, Step, StockCommand, StockReason,
        returns::{
            AnnounceReturn, CountRow, CountStock, ExchangeReturn, InspectLine, InspectReturn, ReceiveReturn,
            ReceiveUnmatched, ReturnedLine, ReturnsCommand,
        },
    },
    event::{
        Event,
        returns::{Disposition, ReturnKind, ReturnReason, ReturnsEvent},
    },
    history::{Check, History, Rules},
    id::{LocationId, ReservationId, ReturnId, SkuId},
    quantity::Quantity,
    query::returns::ReturnFilter,
    returns::{Return, ReturnState},
    time::{Micros, Timestamp},
};
use quartermaster_journal::Lsn;
use support::{Rig, cases, dump, regressions, snapshot};

const SECOND: u64 = 1_000_000;
const PLACES: [&str; 3] = ["DC", "S1", "S2"];
const SKUS: [&str; 3] = ["A", "B", "C"];

struct Shop {
    rig: Rig,
    requests: Vec<String>,
    asked: u32,
}

fn cell(at: &str) -> CellCode {
    let (sku, location) = at.split_once('@').expect("SKU@LOCATION");
    CellCode { sku: sku.into(), location: location.into() }
}

/// `A@DC=2 B=1` as codes and units.
fn units(text: &str) -> Vec<(String, String, Quantity)> {
    let line = |word: &str| {
        let (place, units) = word.split_once('=').expect("PLACE=UNITS");
        let (sku, location) = place.split_once('@').unwrap_or((place, ""));
        (sku.to_owned(), location.to_owned(), Quantity(units.parse().expect("a number")))
    };
    text.split_whitespace().map(line).collect()
}

fn announce(reservation: ReservationId, text: &str) -> AnnounceReturn {
    AnnounceReturn {
        reservation,
        kind: ReturnKind::Customer,
        reason: ReturnReason(1),
        lines: units(text)
            .into_iter()
            .map(|(sku, shipped_from, quantity)| ReturnedLine { sku, shipped_from, quantity })
            .collect(),
        expected_at: String::new(),
        reference: "rma".into(),
    }
}

fn reserve(text: &str, buyer: &str) -> Reserve {
    Reserve {
        order_id: "".into(),
        buyer_id: buyer.into(),
        channel: "".into(),
        lines: units(text)
            .into_iter()
            .map(|(sku, location, quantity)| ReserveLine {
                sku: sku.into(),
                quantity,
                location: location.into(),
                sourcing: None,
            })
            .collect(),
        ttl: Micros(60 * SECOND),
        allow_partial: false,
        replaces: None,
        unchanged_since_lsn: 0,
        sourcing: None,
        asked: None,
    }
}

fn inspect(id: ReturnId, text: &str) -> ReturnsCommand {
    let line = |word: &str| {
        let (what, disposition) = word.split_once('>').expect("UNITS>DISPOSITION");
        let (sku, location, quantity) = units(what).remove(0);
        let disposition = Disposition::ALL.into_iter().find(|one| one.name() == disposition).expect("a disposition");
        InspectLine { sku, location, quantity, disposition }
    };
    ReturnsCommand::Inspect(InspectReturn { id, lines: text.split_whitespace().map(line).collect() })
}

fn receive(id: ReturnId, location: &str, text: &str, last: bool) -> ReturnsCommand {
    let lines = units(text).into_iter().map(|(sku, _, quantity)| (sku, quantity)).collect();
    ReturnsCommand::Receive(ReceiveReturn { id, location: location.into(), lines, last })
}

fn unmatched(location: &str, text: &str) -> ReturnsCommand {
    ReturnsCommand::ReceiveUnmatched(ReceiveUnmatched {
        kind: ReturnKind::Customer,
        reason: ReturnReason(0),
        location: location.into(),
        lines: units(text).into_iter().map(|(sku, _, quantity)| (sku, quantity)).collect(),
        reference: "found at the door".into(),
    })
}

fn count(text: &str) -> ReturnsCommand {
    let row =
        |(sku, location, counted)| CountRow { cell: CellCode { sku, location }, counted, reason: StockReason(20) };
    ReturnsCommand::Count(CountStock { rows: units(text).into_iter().map(row).collect(), reference: "c-1".into() })
}

impl Shop {
    fn new(config: EngineConfig) -> Self {
        let mut shop = Self { rig: Rig::new(config), requests: Vec::new(), asked: 0 };
        let skus = SKUS.map(|code| SkuSpec { code: code.into(), sellable: true, ..SkuSpec::default() });
        shop.done(Command::Catalogue(CatalogueCommand::UpsertSkus(skus.into())));
        let places = PLACES.map(|code| LocationSpec { code: code.into(), ..LocationSpec::default() });
        shop.done(Command::Catalogue(CatalogueCommand::UpsertLocations(places.into())));
        shop
    }

    fn stocked(config: EngineConfig) -> Self {
        let mut shop = Self::new(config);
        for sku in SKUS {
            for place in PLACES {
                shop.set(&format!("{sku}@{place}"), Bucket::OnHand, 10);
            }
        }
        shop
    }

    #[allow(clippy::needless_pass_by_value, reason = "commands are made where they are sent")]
    fn submit(&mut self, command: Command) -> Result<Verdict, Error> {
        self.asked += 1;
        let id = format!("r{}", self.asked);
        let answer = self.rig.submit(&id, &command);
        let again = self.rig.submit(&id, &command);
        if let Ok(answer) = &answer
            && let Verdict::Done(event) = &answer.verdict
        {
            let again = again.expect("a repeat of what was done");
            assert!(again.replayed && again.lsn == answer.lsn, "a repeat is the first answer again");
            // Of what the router decided a repeat does not tell what it met.
            let whole =
                matches!(event, Event::Returns(event) if event.held().is_none_or(|held| held.sourced.is_none()));
            if whole {
                assert_eq!(again.verdict, Verdict::Done(event.clone()));
            }
        }
        self.requests.push(id);
        self.audit();
        answer.map(|answer| answer.verdict)
    }

    fn audit(&self) {
        assert_eq!(self.rig.engine.audit().violations, vec![]);
        assert_eq!(self.rig.engine.audit_returns(), vec![]);
    }

    fn done(&mut self, command: Command) -> Event {
        match self.submit(command) {
            Ok(Verdict::Done(event)) => event,
            other => panic!("should be done: {other:?}"),
        }
    }

    fn returns(&mut self, command: ReturnsCommand) -> Result<ReturnsEvent, String> {
        match self.submit(Command::Returns(command)) {
            Ok(Verdict::Done(Event::Returns(event))) => Ok(*event),
            Ok(Verdict::Rejected(rejection)) => Err(rejection_text(&rejection)),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    fn announced(&mut self, reservation: ReservationId, text: &str) -> ReturnId {
        let event = self.returns(ReturnsCommand::Announce(announce(reservation, text))).expect("announced");
        event.id().expect("a return")
    }

    fn refused(&mut self, command: ReturnsCommand) -> String {
        let records = self.rig.journal.records().len();
        let before = self.dump();
        let text = self.returns(command).expect_err("should be refused");
        // What was refused is not remembered.
        self.requests.pop();
        assert_eq!(self.rig.journal.records().len(), records, "nothing is logged");
        assert_eq!(self.dump(), before, "nothing changed");
        text
    }

    fn set(&mut self, at: &str, bucket: Bucket, units: u32) {
        self.done(Command::Stock(StockCommand::Set(SetStock {
            cell: cell(at),
            bucket,
            quantity: Quantity(units),
            expected_revision: None,
            reason: StockReason::default(),
            reference: String::new(),
        })));
    }

    fn held(&mut self, text: &str, buyer: &str) -> ReservationId {
        let event = self.done(Command::Reserve(reserve(text, buyer)));
        let Event::Held(held) = event else { panic!("{event:?}") };
        held.reservation
    }

    fn step(&mut self, id: ReservationId, step: Step) {
        self.done(Command::Reservation(id, step));
    }

    /// Ordered, paid and shipped.
    fn sold(&mut self, text: &str) -> ReservationId {
        let id = self.held(text, "ann");
        self.step(id, Step::Confirm);
        self.step(id, Step::Ship(Vec::new()));
        id
    }

    fn sku(code: &str) -> SkuId {
        let place = SKUS.iter().position(|known| *known == code).expect("a SKU");
        SkuId(u32::try_from(place).expect("a few"))
    }

    fn place(code: &str) -> LocationId {
        let place = PLACES.iter().position(|known| *known == code).expect("a place");
        LocationId(u32::try_from(place).expect("a few"))
    }

    /// On hand, quality control, in repair, available.
    fn row(&self, at: &str) -> [u32; 4] {
        let cell = cell(at);
        let cell = self.rig.engine.cell(Self::sku(&cell.sku), Self::place(&cell.location)).buckets;
        [cell.on_hand.0, cell.quality_control.0, cell.in_repair.0, cell.available().0]
    }

    fn record(&self, id: ReturnId) -> Return {
        self.rig.engine.return_record(id).expect("it is kept").1
    }

    fn state(&self, id: ReturnId) -> ReturnState {
        self.record(id).state()
    }

    /// Announced of a reservation's lines.
    fn lines(&self, id: ReservationId) -> Vec<u32> {
        let (_, reservation) = self.rig.engine.reservation(id).expect("it is kept");
        reservation.lines.iter().map(|line| line.announced.0).collect()
    }

    fn rate(&self, sku: &str) -> [u64; 3] {
        let rate = self.rig.engine.return_rate(Self::sku(sku));
        [rate.shipped, rate.returned, rate.undelivered]
    }

    fn wait(&mut self, seconds: u64) {
        self.rig.now = Timestamp(self.rig.now.0 + seconds * SECOND);
    }

    fn dump(&self) -> String {
        let engine = &self.rig.engine;
        let mut text = dump::dump(engine, self.requests.iter().map(String::as_str));
        for record in engine.returns_page(&ReturnFilter::default(), None, 1_000).1 {
            text += &format!("{record:?} {:?}\n", record.state());
        }
        for code in SKUS {
            text += &format!("{code} {:?}\n", self.rate(code));
        }
        for reservation in dump::reservations(engine, &Default::default()) {
            let lines: Vec<u32> = reservation.lines.iter().map(|line| line.announced.0).collect();
            let exchanged = engine.exchanged_with(reservation.id);
            text += &format!("{} {lines:?} {exchanged:?}\n", reservation.id);
        }
        text + &format!("{:?}\n", engine.return_counts())
    }

    /// Restarts, from the log and from a snapshot; the fold of the log agrees with both, begun at the log's start or at a snapshot.
    fn survives(&mut self) {
        let before = self.dump();
        self.rig.restart();
        assert_eq!(self.dump(), before, "from the log");
        self.audit();
        self.rig.restart_from_snapshot();
        assert_eq!(self.dump(), before, "from a snapshot");
        self.audit();
        let mut history = History::new(Rules::default());
        for (lsn, record) in (1..).zip(self.rig.journal.records()) {
            history.fold(Lsn::new(lsn), &record);
        }
        let (_, sections) = snapshot(&self.rig.engine, self.rig.now);
        for section in &sections {
            history.check_section(section.kind, section.unit, section.lsn, &section.payload);
        }
        history.balance();
        history.compare(&self.rig.engine);
        let found: Vec<String> = history.findings().iter().map(ToString::to_string).collect();
        assert_eq!(found, Vec::<String>::new());
        assert!(Check::ALL.iter().all(|check| history.count(*check) == 0));
    }

    /// A fold that begins at the snapshot `sections`, of the state after `records` records, comes to what the engine is now.
    fn folds_from(&self, sections: &[quartermaster_engine::snapshot::Section], records: usize) {
        let mut history = History::new(Rules::default());
        for section in sections {
            history.load(section.kind, section.unit, section.lsn, &section.payload);
        }
        let first = u64::try_from(records).expect("a few") + 1;
        history.begin_at(Lsn::new(first));
        for (lsn, record) in (first..).zip(&self.rig.journal.records()[records..]) {
            history.fold(Lsn::new(lsn), record);
        }
        history.balance();
        history.compare(&self.rig.engine);
        let found: Vec<String> = history.findings().iter().map(ToString::to_string).collect();
        assert_eq!(found, Vec::<String>::new());
    }
}

fn rejection_text(rejection: &Rejection) -> String {
    let (name, shortages) = match rejection {
        Rejection::ExceedsShipped { shortages, .. } => ("EXCEEDS_SHIPPED", shortages),
        Rejection::ExceedsAnnounced { shortages, .. } => ("EXCEEDS_ANNOUNCED", shortages),
        Rejection::ExceedsReceived { shortages, .. } => ("EXCEEDS_RECEIVED", shortages),
        Rejection::InsufficientStock { shortages } => ("INSUFFICIENT_STOCK", shortages),
        other => return other.to_string(),
    };
    let short = |one: &quartermaster_engine::CodedShortage| {
        let at = if one.location.is_empty() { String::new() } else { format!("@{}", one.location) };
        format!(" {}{at}:{}/{}", one.sku, one.requested, one.available)
    };
    format!("{name}{}", shortages.iter().map(short).collect::<String>())
}

#[test]
fn units_come_back_anywhere_and_go_where_the_inspection_says() {
    let mut shop = Shop::stocked(EngineConfig::default());
    let order = shop.sold("A@DC=5 B@DC=2");
    assert_eq!(shop.row("A@DC"), [5, 0, 0, 5]);
    let id = shop.announced(order, "A=4 B=1");
    assert_eq!((shop.lines(order), shop.state(id)), (vec![4, 1], ReturnState::Announced));
    assert_eq!(shop.row("A@S1"), [10, 0, 0, 10], "an announcement moves nothing");
    shop.survives();

    // Bought online, returned in a store: three here, one at another, the rest not yet.
    shop.returns(receive(id, "S1", "A=3", false)).unwrap();
    assert_eq!((shop.row("A@S1"), shop.state(id)), ([13, 3, 0, 10], ReturnState::PartiallyReceived));
    shop.returns(receive(id, "S2", "A=1 B=1", false)).unwrap();
    assert_eq!((shop.row("A@S2"), shop.row("B@S2")), ([11, 1, 0, 10], [11, 1, 0, 10]));
    assert_eq!(shop.state(id), ReturnState::Received);
    assert_eq!((shop.rate("A"), shop.rate("B")), ([5, 4, 0], [2, 1, 0]));
    shop.survives();

    // Every disposition, in parts.
    shop.returns(inspect(id, "A@S1=1>restock A@S1=1>repair")).unwrap();
    assert_eq!(shop.row("A@S1"), [13, 1, 1, 11]);
    shop.returns(inspect(id, "A@S1=1>scrap")).unwrap();
    assert_eq!(shop.row("A@S1"), [12, 0, 1, 11]);
    shop.returns(inspect(id, "A=1>return_to_vendor")).unwrap();
    assert_eq!((shop.row("A@S2"), shop.state(id)), ([10, 0, 0, 10], ReturnState::Received));
    shop.returns(inspect(id, "B=1>quality_control")).unwrap();
    assert_eq!((shop.row("B@S2"), shop.state(id)), ([11, 1, 0, 10], ReturnState::Inspected));
    let counts = shop.rig.engine.return_counts();
    assert_eq!((counts.states, counts.disposed), ([0, 0, 0, 1, 0], [1, 1, 1, 1, 1]));
    shop.survives();
    // What stays in quality control is released by hand, in part or whole.
    shop.done(Command::Stock(StockCommand::Move(MoveStock {
        cell: cell("B@S2"),
        from: Condition::QualityControl,
        to: Condition::Sellable,
        quantity: Quantity(1),
        reason: StockReason::default(),
        reference: String::new(),
    })));
    assert_eq!(shop.row("B@S2"), [11, 0, 0, 11]);
    shop.survives();
}

#[test]
fn never_more_than_was_shipped_and_each_step_once() {
    let mut shop = Shop::stocked(EngineConfig::default());
    let order = shop.held("A@DC=3 A@S1=2", "ann");
    let wanted = |text| ReturnsCommand::Announce(announce(order, text));
    assert_eq!(shop.refused(wanted("A@DC=1")), "EXCEEDS_SHIPPED A@DC:1/0", "held, not shipped");
    shop.step(order, Step::Confirm);
    let two = LineSelection { sku: "A".into(), location: "DC".into(), quantity: Some(Quantity(2)) };
    shop.step(order, Step::Ship(vec![two]));
    assert_eq!(shop.refused(wanted("A@DC=3 B=1 A@S1=1")), "EXCEEDS_SHIPPED A@DC:3/2 B:1/0 A@S1:1/0");
    assert_eq!(shop.refused(wanted("A@DC=1 A@DC=2")), "EXCEEDS_SHIPPED A@DC:3/2", "lines are summed");
    assert!(shop.refused(wanted("A@XX=1")).starts_with("unknown location \"XX\""));
    let id = shop.announced(order, "A=2");
    assert_eq!(shop.refused(wanted("A@DC=1")), "EXCEEDS_SHIPPED A@DC:1/0", "twice");
    shop.step(order, Step::Ship(Vec::new()));
    assert_eq!(shop.lines(order), [2, 0]);
    // Once it stands at two locations with something to give back, one must be named.
    shop.returns(ReturnsCommand::Cancel(id)).unwrap();
    assert_eq!(shop.refused(wanted("A=1")), "SKU \"A\" stands at 2 locations there: name one of them");
    assert_eq!(shop.state(id), ReturnState::Closed);
    assert!(
        shop.refused(ReturnsCommand::Cancel(id))
            .ends_with("is closed: nothing of it is expected that could be withdrawn")
    );
    assert!(shop.refused(receive(id, "S1", "A=1", false)).contains("is closed: only of an open one"));
    let id = shop.announced(order, "A@DC=2 A@S1=1");
    assert_eq!(shop.refused(inspect(id, "A@S2=1>scrap")), "EXCEEDS_RECEIVED A@S2:1/0", "before it arrived");
    assert_eq!(shop.refused(receive(id, "S2", "A=3 A=1", false)), "EXCEEDS_ANNOUNCED A:4/3");
    assert_eq!(shop.refused(receive(id, "S2", "B=1", false)), "EXCEEDS_ANNOUNCED B:1/0");
    assert!(shop.refused(receive(id, "XX", "A=1", false)).starts_with("unknown location"));
    shop.returns(receive(id, "S2", "A=2", false)).unwrap();
    assert_eq!(shop.refused(receive(id, "S2", "A=2", false)), "EXCEEDS_ANNOUNCED A:2/1", "the same twice");
    assert_eq!(shop.refused(inspect(id, "A@S2=2>scrap A@S2=1>restock")), "EXCEEDS_RECEIVED A@S2:3/2");
    shop.returns(inspect(id, "A=2>scrap")).unwrap();
    assert_eq!(shop.refused(inspect(id, "A=1>scrap")), "EXCEEDS_RECEIVED A:1/0", "scrapped twice");
    shop.survives();
    // Nothing more will come: it can be announced again, and what arrived cannot.
    shop.returns(ReturnsCommand::Cancel(id)).unwrap();
    assert_eq!((shop.state(id), shop.lines(order)), (ReturnState::Inspected, vec![2, 0]));
    assert_eq!(shop.refused(wanted("A@DC=2 A@S1=3")), "EXCEEDS_SHIPPED A@DC:2/1 A@S1:3/2");
    assert!(shop.refused(inspect(id, "A=1>scrap")).contains("is inspected: only of an open one"));
    let nobody = ReturnId(u64::MAX);
    assert!(shop.refused(ReturnsCommand::Cancel(nobody)).starts_with("unknown return"));
    assert!(shop.refused(receive(nobody, "DC", "A=1", false)).starts_with("unknown return"));
    let nobody = ReturnsCommand::Announce(announce(ReservationId(u64::MAX), "A=1"));
    assert!(shop.refused(nobody).starts_with("unknown reservation"));
    shop.survives();
}

#[test]
fn what_is_missing_at_the_last_arrival_is_withdrawn() {
    let mut shop = Shop::stocked(EngineConfig::default());
    let order = shop.sold("A@DC=3 A@S1=3 C@S2=1");
    let id = shop.announced(order, "A@DC=2 A@S1=3 C=1");
    let event = shop.returns(receive(id, "DC", "A=3", true)).unwrap();
    let ReturnsEvent::Received(received) = event else { panic!("{event:?}") };
    let withdrawn: Vec<_> = received.withdrawn.iter().map(|line| (line.sku.0, line.quantity.0)).collect();
    assert_eq!(withdrawn, [(0, 2), (2, 1)]);
    assert_eq!((shop.lines(order), shop.state(id)), (vec![2, 1, 0], ReturnState::Received));
    let record = shop.record(id);
    let figures: Vec<_> =
        record.lines.iter().map(|line| (line.announced.0, line.received.0, line.withdrawn.0)).collect();
    assert_eq!(figures, [(2, 2, 0), (1, 1, 2), (0, 0, 1)]);
    shop.survives();
    shop.returns(inspect(id, "A=3>restock")).unwrap();
    assert_eq!((shop.row("A@DC"), shop.state(id)), ([10, 0, 0, 10], ReturnState::Inspected));
    shop.announced(order, "A@DC=1 A@S1=2 C=1");
    shop.survives();
}

#[test]
fn a_unit_that_left_quality_control_otherwise_is_not_scrapped_a_second_time() {
    let mut shop = Shop::stocked(EngineConfig::default());
    let order = shop.sold("A@DC=3");
    let id = shop.announced(order, "A=3");
    shop.returns(receive(id, "DC", "A=3", false)).unwrap();
    shop.done(Command::Stock(StockCommand::Move(MoveStock {
        cell: cell("A@DC"),
        from: Condition::QualityControl,
        to: Condition::Damaged,
        quantity: Quantity(2),
        reason: StockReason::default(),
        reference: String::new(),
    })));
    let text = shop.refused(inspect(id, "A=2>scrap"));
    assert_eq!(text, "SKU A at DC: 2 units to take from quality control, which holds 1");
    assert!(shop.refused(inspect(id, "A=3>quality_control")).ends_with("which holds 1"));
    shop.returns(inspect(id, "A=1>scrap")).unwrap();
    shop.survives();
}

#[test]
fn undeliverable_parcels_come_back_the_same_way_and_do_not_count_to_the_rate() {
    let mut shop = Shop::stocked(EngineConfig::default());
    let order = shop.sold("A@DC=4");
    let mut request = announce(order, "A=4");
    request.kind = ReturnKind::Undeliverable;
    let id = shop.returns(ReturnsCommand::Announce(request)).unwrap().id().unwrap();
    shop.returns(receive(id, "DC", "A=4", false)).unwrap();
    shop.returns(inspect(id, "A=4>restock")).unwrap();
    assert_eq!((shop.rate("A"), shop.row("A@DC")), ([4, 0, 4], [10, 0, 0, 10]));
    shop.survives();
}

#[test]
fn what_came_without_a_reservation_is_inspected_like_any_other() {
    let config = EngineConfig { shipped_retention: Micros(100 * SECOND), ..EngineConfig::default() };
    let mut shop = Shop::stocked(config);
    assert!(shop.refused(unmatched("DC", "X=1")).starts_with("unknown SKU"));
    assert!(shop.refused(unmatched("XX", "A=1")).starts_with("unknown location"));
    let event = shop.returns(unmatched("S1", "C=2 A=1 C=1")).unwrap();
    let id = event.id().unwrap();
    assert_eq!((shop.row("C@S1"), shop.row("A@S1")), ([13, 3, 0, 10], [11, 1, 0, 10]));
    assert_eq!((shop.state(id), shop.record(id).reservation), (ReturnState::Received, None));
    assert_eq!(shop.rate("C"), [0, 3, 0]);
    assert!(shop.refused(ReturnsCommand::Cancel(id)).contains("is received: nothing of it is expected"));
    shop.survives();
    shop.returns(inspect(id, "C=3>scrap")).unwrap();
    shop.wait(1_000);
    shop.set("C@DC", Bucket::OnHand, 10);
    assert_eq!(shop.state(id), ReturnState::Received, "an open one is kept");
    shop.returns(inspect(id, "A=1>restock")).unwrap();
    shop.survives();
    shop.wait(101);
    shop.set("C@DC", Bucket::OnHand, 9);
    assert!(shop.rig.engine.return_record(id).is_err(), "its home is the shard of its first SKU");
    shop.survives();
}

#[test]
fn an_exchange_is_both_or_neither() {
    let mut shop = Shop::stocked(EngineConfig::default());
    let order = shop.sold("A@DC=2 C@DC=1");
    let exchange = |back: &str, wanted: &str| {
        ReturnsCommand::Exchange(Box::new(ExchangeReturn {
            announce: announce(order, back),
            reserve: reserve(wanted, "ann"),
        }))
    };
    assert_eq!(shop.refused(exchange("A=3", "B@DC=1")), "EXCEEDS_SHIPPED A:3/2");
    assert_eq!(shop.refused(exchange("A=1", "B@DC=11")), "INSUFFICIENT_STOCK B@DC:11/10");
    assert!(shop.refused(exchange("A=1", "X=1")).starts_with("unknown SKU"));
    let event = shop.returns(exchange("A=1 C=1", "B@S1=2")).unwrap();
    let (id, held) = (event.id().unwrap(), event.held().unwrap().reservation);
    assert_eq!((shop.row("B@S1"), shop.lines(order)), ([10, 0, 0, 8], vec![1, 1]));
    assert_eq!((shop.record(id).exchanged_for, shop.rig.engine.exchanged_with(held)), (Some(held), Some(id)));
    shop.survives();
    let of = |id| ReturnFilter { reservation: Some(id), ..ReturnFilter::default() };
    let listed = |shop: &Shop, filter: &ReturnFilter| -> Vec<ReturnId> {
        shop.rig.engine.returns_page(filter, None, 10).1.iter().map(|record| record.id).collect()
    };
    assert_eq!((listed(&shop, &of(order)), listed(&shop, &of(held))), (vec![id], vec![id]));
    let ann = ReturnFilter { buyer_id: "ann".into(), ..ReturnFilter::default() };
    assert_eq!(listed(&shop, &ann), [id]);
    let bob = ReturnFilter { buyer_id: "bob".into(), ..ReturnFilter::default() };
    assert_eq!(listed(&shop, &bob), []);
    let received = ReturnFilter { state: Some(ReturnState::Received), ..ReturnFilter::default() };
    assert_eq!(listed(&shop, &received), []);
    // The hold lives on its own, and is itself exchanged in turn: what it gives up is free in the same step.
    shop.step(held, Step::Confirm);
    shop.step(held, Step::Ship(Vec::new()));
    let mut again = reserve("A@S1=1", "ann");
    let hold = shop.held("A@S1=10", "ann");
    again.replaces = Some(hold);
    let event = shop
        .returns(ReturnsCommand::Exchange(Box::new(ExchangeReturn { announce: announce(held, "B=2"), reserve: again })))
        .unwrap();
    assert_eq!(shop.row("A@S1"), [10, 0, 0, 9]);
    assert_eq!(listed(&shop, &of(held)).len(), 2, "the one it was made with, and its own");
    assert!(event.held().is_some());
    shop.survives();
}

#[test]
fn an_exchange_can_leave_the_place_to_the_router() {
    let mut shop = Shop::stocked(EngineConfig::default());
    let order = shop.sold("A@DC=2");
    let mut wanted = reserve("B=12", "ann");
    wanted.sourcing = Some(Box::default());
    let request = ExchangeReturn { announce: announce(order, "A=1"), reserve: wanted };
    let event = shop.returns(ReturnsCommand::Exchange(Box::new(request))).unwrap();
    let held = event.held().unwrap();
    assert!(held.sourced.is_some());
    assert_eq!(held.lines.iter().map(|line| line.quantity.0).sum::<u32>(), 12);
    shop.survives();
}

#[test]
fn shipped_reservations_are_kept_longer_and_never_while_a_return_is_open() {
    let config = EngineConfig {
        ended_retention: Micros(10 * SECOND),
        shipped_retention: Micros(100 * SECOND),
        ..EngineConfig::default()
    };
    let mut shop = Shop::stocked(config);
    // Three shards each, so that all of them must agree.
    let (kept, back) = (shop.sold("A@DC=1 B@DC=1 C@DC=1"), shop.sold("A@DC=1 B@DC=1 C@DC=1"));
    let released = shop.held("A@DC=1", "ann");
    shop.step(released, Step::Release);
    let stir =
        |shop: &mut Shop, units| SKUS.iter().for_each(|sku| shop.set(&format!("{sku}@S2"), Bucket::OnHand, units));
    shop.wait(50);
    stir(&mut shop, 1);
    let gone = |shop: &Shop, id| shop.rig.engine.reservation(id).is_err();
    assert!(gone(&shop, released) && !gone(&shop, kept) && !gone(&shop, back));
    let (_, sections) = snapshot(&shop.rig.engine, shop.rig.now);
    let records = shop.rig.journal.records().len();
    let id = shop.announced(back, "B=1");
    shop.survives();
    shop.wait(51);
    stir(&mut shop, 2);
    assert!(gone(&shop, kept) && !gone(&shop, back), "100 seconds, but for an open return");
    shop.wait(1_000);
    stir(&mut shop, 3);
    assert!(!gone(&shop, back));
    shop.survives();
    // A return of what is no longer known is one without a reservation.
    assert!(shop.refused(ReturnsCommand::Announce(announce(kept, "A=1"))).starts_with("unknown reservation"));
    shop.returns(receive(id, "S1", "B=1", false)).unwrap();
    shop.returns(inspect(id, "B=1>restock")).unwrap();
    shop.survives();
    shop.wait(99);
    stir(&mut shop, 4);
    assert!(!gone(&shop, back), "its time begins anew when its last return ends");
    assert_eq!(shop.state(id), ReturnState::Inspected);
    shop.survives();
    shop.folds_from(&sections, records);
    shop.wait(2);
    stir(&mut shop, 5);
    assert!(gone(&shop, back) && shop.rig.engine.return_record(id).is_err());
    assert_eq!(shop.rig.engine.return_counts().states, [0; 5]);
    shop.survives();
    shop.folds_from(&sections, records);
}

#[test]
fn shipped_reservations_are_limited_in_number_apart_from_others() {
    // Two a shard.
    let config = EngineConfig { shipped_entries_max: 512, ended_entries_max: 256, ..EngineConfig::default() };
    let mut shop = Shop::stocked(config);
    let orders: Vec<ReservationId> = (0..4).map(|_| shop.sold("A@DC=1")).collect();
    let kept = |shop: &Shop| orders.iter().map(|id| shop.rig.engine.reservation(*id).is_ok()).collect::<Vec<_>>();
    assert_eq!(kept(&shop), [false, false, true, true]);
    shop.announced(orders[2], "A=1");
    for _ in 0..2 {
        shop.sold("A@DC=1");
    }
    assert_eq!(kept(&shop), [false, false, true, false], "one with an open return does not count");
    shop.survives();
}

#[test]
fn skus_that_come_back_often_are_told_worst_first() {
    let mut shop = Shop::stocked(EngineConfig::default());
    let order = shop.sold("A@DC=10 B@DC=10 C@DC=4");
    for text in ["A=3", "B=5", "C=2"] {
        let id = shop.announced(order, text);
        shop.returns(receive(id, "S1", text, false)).unwrap();
    }
    let engine = &shop.rig.engine;
    let told = |per_mille, min, after, limit| {
        let (_, rates, more) = engine.return_rates(per_mille, min, after, limit);
        (rates.iter().map(|rate| (rate.sku.0, rate.per_mille())).collect::<Vec<_>>(), more)
    };
    assert_eq!(told(0, 0, None, 10), (vec![(1, 500), (2, 500), (0, 300)], false));
    assert_eq!(told(300, 5, None, 10), (vec![(1, 500), (0, 300)], false));
    assert_eq!(told(301, 1, None, 1), (vec![(1, 500)], true));
    assert_eq!(told(301, 1, Some((500, SkuId(1))), 1), (vec![(2, 500)], false));
    assert_eq!(engine.return_rates_above(300, 10), 2);
    assert_eq!(engine.return_rates_above(500, 11), 0);
    shop.survives();
}

#[test]
fn a_count_sets_what_is_there_and_tells_what_differs() {
    let mut shop = Shop::stocked(EngineConfig::default());
    shop.held("A@DC=8", "ann");
    let event = shop.returns(count("B@DC=12 A@DC=7 C@DC=10")).unwrap();
    let ReturnsEvent::Counted(counted) = event else { panic!("{event:?}") };
    let told: Vec<_> = counted
        .rows
        .iter()
        .map(|row| {
            (row.change.sku.0, row.change.on_hand, row.change.on_hand_after.0, row.change.shortfall_after, row.reason.0)
        })
        .collect();
    assert_eq!(told, [(0, -3, 7, 1, 20), (1, 2, 12, 0, 20), (2, 0, 10, 0, 20)]);
    assert_eq!((shop.row("A@DC"), shop.row("B@DC")), ([7, 0, 0, 0], [12, 0, 0, 12]));
    assert_eq!(shop.rig.engine.counts().shortfalls, 1);
    // All or nothing.
    assert!(shop.refused(count("B@DC=1 X@DC=1")).starts_with("unknown SKU"));
    assert!(shop.refused(count("B@DC=1 A@XX=1")).starts_with("unknown location"));
    shop.survives();
}

#[test]
fn what_was_sold_before_its_sku_was_retired_comes_back() {
    let mut shop = Shop::stocked(EngineConfig::default());
    let order = shop.sold("A@DC=2");
    for place in PLACES {
        shop.set(&format!("A@{place}"), Bucket::OnHand, 0);
    }
    shop.done(Command::Catalogue(CatalogueCommand::RetireSkus(vec!["A".into()])));
    let id = shop.announced(order, "A=2");
    shop.returns(receive(id, "S1", "A=2", false)).unwrap();
    shop.returns(inspect(id, "A=2>return_to_vendor")).unwrap();
    assert_eq!((shop.row("A@S1"), shop.state(id)), ([0, 0, 0, 0], ReturnState::Inspected));
    assert!(shop.refused(unmatched("S1", "A=1")).starts_with("unknown SKU"));
    shop.survives();
}

/// What may happen, small numbers picking what there is.
#[derive(Clone, Debug)]
enum Act {
    Sell { sku: usize, place: usize, units: u32, ship: u32, second: usize },
    Announce { order: usize, units: u32, second: u32, exchange: bool, wanted: u32 },
    Receive { of: usize, place: usize, units: u32, last: bool },
    Unmatched { sku: usize, place: usize, units: u32 },
    Inspect { of: usize, arrival: usize, units: u32, disposition: usize },
    Cancel { of: usize },
    Count { place: usize, figures: [u32; 3] },
    Release { sku: usize, place: usize, units: u32 },
    Restart { snapshot: bool },
}

fn act() -> impl Strategy<Value = Act> {
    let few = 0..8_usize;
    prop_oneof![
        3 => (0..3_usize, 0..3_usize, 1..5_u32, 0..5_u32, 0..3_usize)
            .prop_map(|(sku, place, units, ship, second)| Act::Sell { sku, place, units, ship, second }),
        5 => (few.clone(), 0..5_u32, 0..3_u32, prop::bool::weighted(0.3), 1..6_u32)
            .prop_map(|(order, units, second, exchange, wanted)| Act::Announce { order, units: units.max(1), second, exchange, wanted }),
        5 => (few.clone(), 0..3_usize, 1..5_u32, prop::bool::weighted(0.2))
            .prop_map(|(of, place, units, last)| Act::Receive { of, place, units, last }),
        1 => (0..3_usize, 0..3_usize, 1..4_u32).prop_map(|(sku, place, units)| Act::Unmatched { sku, place, units }),
        6 => (few.clone(), 0..3_usize, 1..4_u32, 0..5_usize)
            .prop_map(|(of, arrival, units, disposition)| Act::Inspect { of, arrival, units, disposition }),
        2 => few.prop_map(|of| Act::Cancel { of }),
        1 => (0..3_usize, [0..20_u32, 0..20_u32, 0..20_u32]).prop_map(|(place, figures)| Act::Count { place, figures }),
        1 => (0..3_usize, 0..3_usize, 1..4_u32).prop_map(|(sku, place, units)| Act::Release { sku, place, units }),
        1 => any::<bool>().prop_map(|snapshot| Act::Restart { snapshot }),
    ]
}

/// The same, naively. Cells: on hand, promised, quality control, in repair.
#[derive(Default)]
struct Model {
    cells: BTreeMap<(usize, usize), [i64; 4]>,
    orders: Vec<Sold>,
    returns: Vec<Back>,
    rates: [[u64; 2]; 3],
}

struct Sold {
    id: ReservationId,
    /// Shipped and announced, by SKU and place.
    lines: BTreeMap<(usize, usize), [i64; 2]>,
}

struct Back {
    id: ReturnId,
    order: Option<usize>,
    /// Announced and received, by SKU and place of shipping.
    lines: BTreeMap<(usize, usize), [i64; 2]>,
    /// Received and inspected, by SKU and place.
    arrivals: BTreeMap<(usize, usize), [i64; 2]>,
}

impl Back {
    fn expected(&self, sku: usize) -> i64 {
        self.lines
            .iter()
            .filter(|((one, _), _)| *one == sku)
            .map(|(_, [announced, received])| announced - received)
            .sum()
    }

    fn open(&self) -> bool {
        self.lines.values().any(|[announced, received]| received < announced)
            || self.arrivals.values().any(|[received, inspected]| inspected < received)
    }
}

impl Model {
    fn cell(&mut self, sku: usize, place: usize) -> &mut [i64; 4] {
        self.cells.entry((sku, place)).or_insert([10, 0, 0, 0])
    }

    fn available(&mut self, sku: usize, place: usize) -> i64 {
        let [on_hand, promised, quality, repair] = *self.cell(sku, place);
        (on_hand - promised - quality - repair).max(0)
    }
}

fn run(acts: &[Act]) -> Result<(), TestCaseError> {
    let mut shop = Shop::stocked(EngineConfig::default());
    let mut model = Model::default();
    let name = |sku: usize, place: usize| format!("{}@{}", SKUS[sku], PLACES[place]);
    for act in acts {
        match act {
            Act::Sell { sku, place, units, ship, second } => {
                let units = i64::from(*units);
                let other = (*sku + 1) % 3;
                if model.available(*sku, *place) < units || model.available(other, *second) < 1 {
                    continue;
                }
                let text = format!("{}={units} {}=1", name(*sku, *place), name(other, *second));
                let id = shop.held(&text, "ann");
                shop.step(id, Step::Confirm);
                let shipped = i64::from(*ship).min(units);
                model.cell(*sku, *place)[1] += units;
                model.cell(other, *second)[1] += 1;
                let mut lines = BTreeMap::from([((*sku, *place), [0, 0]), ((other, *second), [0, 0])]);
                if shipped > 0 && model.cell(*sku, *place)[0] >= shipped {
                    let quantity = Some(Quantity(u32::try_from(shipped).unwrap()));
                    let selection = LineSelection { sku: SKUS[*sku].into(), location: PLACES[*place].into(), quantity };
                    shop.step(id, Step::Ship(vec![selection]));
                    let cell = model.cell(*sku, *place);
                    cell[0] -= shipped;
                    cell[1] -= shipped;
                    lines.insert((*sku, *place), [shipped, 0]);
                    model.rates[*sku][0] += u64::try_from(shipped).unwrap();
                }
                model.orders.push(Sold { id, lines });
            }
            Act::Announce { order, units, second, exchange, wanted } => {
                if model.orders.is_empty() {
                    continue;
                }
                let place = order % model.orders.len();
                let sold = &model.orders[place];
                let asked: Vec<((usize, usize), i64)> = sold
                    .lines
                    .keys()
                    .copied()
                    .zip([i64::from(*units), i64::from(*second)])
                    .filter(|(_, units)| *units > 0)
                    .collect();
                let text: String =
                    asked.iter().map(|((sku, from), units)| format!("{}={units} ", name(*sku, *from))).collect();
                let fits = asked.iter().all(|(line, units)| sold.lines[line][0] - sold.lines[line][1] >= *units);
                let request = announce(sold.id, &text);
                let available = model.available(2, 1);
                let done = if *exchange {
                    let fits = fits && available >= i64::from(*wanted);
                    let reserve = reserve(&format!("C@S1={wanted}"), "bob");
                    let done =
                        shop.returns(ReturnsCommand::Exchange(Box::new(ExchangeReturn { announce: request, reserve })));
                    prop_assert_eq!(done.is_ok(), fits, "{:?}", done);
                    if fits {
                        model.cell(2, 1)[1] += i64::from(*wanted);
                    }
                    done
                } else {
                    let done = shop.returns(ReturnsCommand::Announce(request));
                    prop_assert_eq!(done.is_ok(), fits, "{:?}", done);
                    done
                };
                if let Ok(event) = done {
                    for (line, units) in &asked {
                        model.orders[place].lines.get_mut(line).unwrap()[1] += units;
                    }
                    model.returns.push(Back {
                        id: event.id().unwrap(),
                        order: Some(place),
                        lines: asked.iter().map(|(line, units)| (*line, [*units, 0])).collect(),
                        arrivals: BTreeMap::new(),
                    });
                }
            }
            Act::Receive { of, place, units, last } => {
                if model.returns.is_empty() {
                    continue;
                }
                let of = of % model.returns.len();
                let back = &model.returns[of];
                let sku = back.lines.keys().next().unwrap().0;
                let units = i64::from(*units);
                let fits = back.open() && back.expected(sku) >= units;
                let text = format!("{}={units}", SKUS[sku]);
                let done = shop.returns(receive(back.id, PLACES[*place], &text, *last));
                prop_assert_eq!(done.is_ok(), fits, "{:?}", done);
                if !fits {
                    continue;
                }
                let back = &mut model.returns[of];
                let mut missing = units;
                for (_, line) in back.lines.iter_mut().filter(|((one, _), _)| *one == sku) {
                    let arrived = missing.min(line[0] - line[1]);
                    line[1] += arrived;
                    missing -= arrived;
                }
                back.arrivals.entry((sku, *place)).or_insert([0, 0])[0] += units;
                if *last && let Some(order) = back.order {
                    for (place, line) in &mut back.lines {
                        model.orders[order].lines.get_mut(place).unwrap()[1] -= line[0] - line[1];
                        line[0] = line[1];
                    }
                }
                let cell = model.cell(sku, *place);
                cell[0] += units;
                cell[2] += units;
                model.rates[sku][1] += u64::try_from(units).unwrap();
            }
            Act::Unmatched { sku, place, units } => {
                let event = shop.returns(unmatched(PLACES[*place], &format!("{}={units}", SKUS[*sku]))).unwrap();
                let units = i64::from(*units);
                model.returns.push(Back {
                    id: event.id().unwrap(),
                    order: None,
                    lines: BTreeMap::from([((*sku, 0), [units, units])]),
                    arrivals: BTreeMap::from([((*sku, *place), [units, 0])]),
                });
                let cell = model.cell(*sku, *place);
                cell[0] += units;
                cell[2] += units;
                model.rates[*sku][1] += u64::try_from(units).unwrap();
            }
            Act::Inspect { of, arrival, units, disposition } => {
                if model.returns.is_empty() {
                    continue;
                }
                let of = of % model.returns.len();
                let back = &model.returns[of];
                let Some(((sku, place), [received, inspected])) =
                    back.arrivals.iter().nth(arrival % back.arrivals.len().max(1)).map(|(key, value)| (*key, *value))
                else {
                    continue;
                };
                let (id, open, units) = (back.id, back.open(), i64::from(*units));
                let disposition = Disposition::ALL[*disposition];
                let cell = *model.cell(sku, place);
                let off_hand = matches!(disposition, Disposition::Scrap | Disposition::ReturnToVendor);
                let fits = open && received - inspected >= units && cell[2] >= units && (!off_hand || cell[0] >= units);
                let text = format!("{}={units}>{}", name(sku, place), disposition.name());
                let done = shop.returns(inspect(id, &text));
                prop_assert_eq!(done.is_ok(), fits, "{:?}", done);
                if !fits {
                    continue;
                }
                model.returns[of].arrivals.get_mut(&(sku, place)).unwrap()[1] += units;
                let cell = model.cell(sku, place);
                match disposition {
                    Disposition::Restock => cell[2] -= units,
                    Disposition::QualityControl => {}
                    Disposition::Repair => {
                        cell[2] -= units;
                        cell[3] += units;
                    }
                    Disposition::Scrap | Disposition::ReturnToVendor => {
                        cell[2] -= units;
                        cell[0] -= units;
                    }
                }
            }
            Act::Cancel { of } => {
                if model.returns.is_empty() {
                    continue;
                }
                let of = of % model.returns.len();
                let back = &mut model.returns[of];
                let fits = back.lines.values().any(|[announced, received]| received < announced);
                let done = shop.returns(ReturnsCommand::Cancel(back.id));
                prop_assert_eq!(done.is_ok(), fits, "{:?}", done);
                if let Some(order) = back.order.filter(|_| fits) {
                    for (place, line) in &mut back.lines {
                        model.orders[order].lines.get_mut(place).unwrap()[1] -= line[0] - line[1];
                        line[0] = line[1];
                    }
                }
            }
            Act::Count { place, figures } => {
                let text: String = (0..3).map(|sku| format!("{}={} ", name(sku, *place), figures[sku])).collect();
                shop.returns(count(&text)).unwrap();
                for (sku, figure) in figures.iter().enumerate() {
                    model.cell(sku, *place)[0] = i64::from(*figure);
                }
            }
            Act::Release { sku, place, units } => {
                let command = MoveStock {
                    cell: cell(&name(*sku, *place)),
                    from: Condition::QualityControl,
                    to: Condition::Sellable,
                    quantity: Quantity(*units),
                    reason: StockReason::default(),
                    reference: String::new(),
                };
                let fits = model.cell(*sku, *place)[2] >= i64::from(*units);
                let done = shop.submit(Command::Stock(StockCommand::Move(command)));
                prop_assert_eq!(done.is_ok(), fits);
                if fits {
                    model.cell(*sku, *place)[2] -= i64::from(*units);
                }
            }
            Act::Restart { snapshot: true } => shop.rig.restart_from_snapshot(),
            Act::Restart { snapshot: false } => shop.rig.restart(),
        }
        compare(&shop, &mut model)?;
    }
    shop.survives();
    Ok(())
}

fn compare(shop: &Shop, model: &mut Model) -> Result<(), TestCaseError> {
    for (sku, code) in SKUS.iter().enumerate().take(3) {
        for (place, at) in PLACES.iter().enumerate().take(3) {
            let id = |number: usize| u32::try_from(number).unwrap();
            let cell = shop.rig.engine.cell(SkuId(id(sku)), LocationId(id(place))).buckets;
            let figures = [
                cell.on_hand.signed(),
                i64::try_from(cell.promised()).unwrap(),
                cell.quality_control.signed(),
                cell.in_repair.signed(),
            ];
            prop_assert_eq!(figures, *model.cell(sku, place), "{}@{}", code, at);
        }
        prop_assert_eq!(shop.rate(code)[..2].to_vec(), model.rates[sku].to_vec());
    }
    for order in &model.orders {
        let (_, found) = shop.rig.engine.reservation(order.id).unwrap();
        let lines: Vec<[i64; 2]> =
            found.lines.iter().map(|line| [line.shipped.signed(), line.announced.signed()]).collect();
        prop_assert_eq!(lines, order.lines.values().copied().collect::<Vec<_>>());
    }
    for back in &model.returns {
        let found = shop.record(back.id);
        let lines: Vec<[i64; 2]> =
            found.lines.iter().map(|line| [line.announced.signed(), line.received.signed()]).collect();
        prop_assert_eq!(lines, back.lines.values().copied().collect::<Vec<_>>());
        let arrivals: Vec<[i64; 2]> = found
            .arrivals
            .iter()
            .map(|one| [one.received.signed(), i64::try_from(one.inspected_units()).unwrap()])
            .collect();
        prop_assert_eq!(arrivals, back.arrivals.values().copied().collect::<Vec<_>>());
        prop_assert_eq!(found.state().is_open(), back.open());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases("RETURNS_CASES", 60),
        max_shrink_iters: 2048,
        failure_persistence: regressions(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/returns.regressions")),
        ..ProptestConfig::default()
    })]

    /// Whatever comes back, wherever, in whatever order, with restarts between: the engine does what the naive model does.
    #[test]
    fn the_engine_does_what_a_naive_model_does(acts in vec(act(), 10..60)) {
        run(&acts)?;
    }
}

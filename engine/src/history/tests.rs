//! The checker checked: a sound history passes, and every planted fault is found where it was planted.

use std::sync::Arc;

use compact_str::CompactString;
use quartermaster_journal::{Lsn, MemoryJournal};

use super::{Check, Fault, History, Rules};
use quartermaster_sourcing::fulfilment::{CapacityLimits, Fulfilment};

use crate::{
    codec,
    command::{
        AdjustStock, Bucket, CatalogueCommand, CellCode, Command, ImportRow, ImportStock, LineSelection, Merge,
        Reassign, ReceiveStock, Request, Reserve, ReserveLine, Step, StockCommand, StockReason,
    },
    engine::{Answer, Engine, EngineConfig, Verdict},
    event::{EndState, Event, HoldEndReason, Promise, Record},
    id::{LocationId, ReservationId},
    quantity::Quantity,
    recovery::Recovery,
    time::{Micros, Timestamp},
};

const SECOND: u64 = 1_000_000;

/// An engine whose records are kept, and a clock that ticks a second a command.
struct World {
    engine: Engine,
    journal: Arc<MemoryJournal>,
    now: u64,
    requests: u64,
}

impl World {
    fn new() -> Self {
        let journal = Arc::new(MemoryJournal::keeping_records());
        let engine = Engine::new(EngineConfig::default(), Arc::<MemoryJournal>::clone(&journal));
        let mut world = Self { engine, journal, now: 1_700_000_000 * SECOND, requests: 0 };
        let sku = |code: &str| crate::catalog::SkuSpec { code: code.into(), sellable: true, ..Default::default() };
        world.tell(&Command::Catalogue(CatalogueCommand::UpsertSkus(["A", "B", "C"].map(sku).into())));
        let location = |code: &str| crate::catalog::LocationSpec { code: code.into(), ..Default::default() };
        world.tell(&Command::Catalogue(CatalogueCommand::UpsertLocations(["L1", "L2"].map(location).into())));
        let row = |sku: &str, location: &str, on_hand| ImportRow {
            cell: cell(sku, location),
            on_hand: Quantity(on_hand),
            safety: Quantity(0),
            quality_control: Quantity(0),
            damaged: Quantity(0),
            in_repair: Quantity(0),
            incoming: Quantity(5),
        };
        let rows = vec![row("A", "L1", 10), row("A", "L2", 10), row("B", "L1", 10), row("C", "L2", 1)];
        world.tell(&Command::Stock(StockCommand::Import(ImportStock { rows, reference: String::new() })));
        world
    }

    fn tell(&mut self, command: &Command) -> Answer {
        self.now += SECOND;
        self.requests += 1;
        let request = Request { id: format!("request-{}", self.requests).into(), actor: String::new() };
        self.engine.submit(&request, command, Timestamp(self.now)).unwrap()
    }

    fn hold(&mut self, lines: &[(&str, &str, u32)]) -> ReservationId {
        self.hold_instead(lines, None)
    }

    fn hold_instead(&mut self, lines: &[(&str, &str, u32)], replaces: Option<ReservationId>) -> ReservationId {
        let line = |(sku, location, units): &(&str, &str, u32)| ReserveLine {
            sku: (*sku).into(),
            quantity: Quantity(*units),
            location: (*location).into(),
            sourcing: None,
        };
        let reserve = Reserve {
            order_id: "order".into(),
            buyer_id: "buyer".into(),
            channel: CompactString::default(),
            lines: lines.iter().map(line).collect(),
            ttl: Micros::from_secs(60),
            allow_partial: false,
            replaces,
            unchanged_since_lsn: 0,
            sourcing: None,
            asked: None,
        };
        match self.tell(&Command::Reserve(reserve)).verdict {
            Verdict::Done(event) => event.reservation().unwrap(),
            verdict => panic!("{verdict:?}"),
        }
    }

    fn step(&mut self, id: ReservationId, step: Step) {
        let answer = self.tell(&Command::Reservation(id, step));
        assert!(matches!(answer.verdict, Verdict::Done(_)), "{answer:?}");
    }

    /// Everything that can happen to stock and reservations, once.
    fn live(&mut self) -> ReservationId {
        let shipped = self.hold(&[("A", "L1", 4), ("B", "L1", 2)]);
        self.step(shipped, Step::Confirm);
        self.step(shipped, Step::Ship(vec![selection("A", 3)]));
        let released = self.hold(&[("A", "", 1)]);
        self.step(released, Step::Release);
        let replaced = self.hold(&[("A", "L1", 2), ("C", "L2", 1)]);
        let moved = self.hold_instead(&[("C", "L2", 1), ("B", "L1", 1)], Some(replaced));
        self.step(moved, Step::Extend(Micros::from_secs(600)));
        let cancelled = self.hold(&[("A", "L2", 3)]);
        self.step(cancelled, Step::Cancel(vec![selection("A", 1)]));
        self.step(cancelled, Step::Confirm);
        let reassign = Reassign {
            sku: "A".into(),
            from: "L2".into(),
            to: "L1".into(),
            quantity: Some(Quantity(1)),
            refused: false,
        };
        self.step(cancelled, Step::Reassign(reassign));
        self.step(cancelled, Step::Cancel(Vec::new()));
        let expired = self.hold(&[("B", "L1", 1)]);
        self.now += 90 * SECOND;
        assert_eq!(self.engine.expire_due(Timestamp(self.now), 100).unwrap().expired, 1);
        assert!(self.engine.reservation(expired).is_ok());
        self.step(shipped, Step::Ship(Vec::new()));
        let receipts = vec![(cell("A", "L1"), Quantity(3)), (cell("C", "L2"), Quantity(2))];
        let (reason, reference) = (StockReason::default(), String::new());
        let receive = ReceiveStock { receipts, from_incoming: true, reason, reference };
        self.tell(&Command::Stock(StockCommand::Receive(receive)));
        let adjust = AdjustStock {
            cell: cell("C", "L2"),
            bucket: Bucket::OnHand,
            delta: -3,
            reason: StockReason::default(),
            reference: String::new(),
        };
        self.tell(&Command::Stock(StockCommand::Adjust(adjust)));
        self.tell(&Command::Catalogue(CatalogueCommand::RetireSkus(vec!["B".into()])));
        let open = self.hold(&[("A", "L2", 2)]);
        self.step(open, Step::Confirm);
        open
    }

    fn records(&self) -> Vec<Record> {
        self.journal.records().iter().map(|bytes| codec::decode(bytes).unwrap()).collect()
    }
}

fn cell(sku: &str, location: &str) -> CellCode {
    CellCode { sku: sku.into(), location: location.into() }
}

fn selection(sku: &str, units: u32) -> LineSelection {
    LineSelection { sku: sku.into(), location: String::new(), quantity: Some(Quantity(units)) }
}

fn fold(records: &[Record]) -> History {
    let mut history = History::new(Rules::default());
    for record in records {
        let mut bytes = Vec::new();
        codec::encode(record, &mut bytes);
        history.fold(history.next_lsn(), &bytes);
    }
    history.balance();
    history
}

fn assert_sound(history: &History) {
    assert!(history.findings().is_empty(), "{:#?}", history.findings());
}

/// Plants a fault into the first record that `plant` accepts, and looks for it there.
fn planted(check: Check, plant: impl Fn(&mut Event) -> bool, found: impl Fn(&Fault) -> bool) {
    let mut world = World::new();
    world.live();
    let mut records = world.records();
    let at = records.iter_mut().position(|record| plant(&mut record.event)).expect("such a record is there");
    let lsn = Lsn::new(u64::try_from(at).unwrap() + 1);
    expect_at(&fold(&records), lsn, check, found);
}

fn expect_at(history: &History, lsn: Lsn, check: Check, found: impl Fn(&Fault) -> bool) {
    let there = history.findings().iter().any(|it| it.lsn == lsn && it.check == check && found(&it.fault));
    assert!(there, "nothing at LSN {lsn}: {:#?}", history.findings());
    assert!(history.findings()[0].lsn == lsn, "nothing before the fault: {:#?}", history.findings());
}

/// Everything that a router does to a reservation; the records, and the first that is of it.
fn routed() -> (World, usize) {
    let mut world = World::new();
    let limits = CapacityLimits { orders_per_day: Some(50), ..Default::default() };
    let location = |code: &str, cost| crate::catalog::LocationSpec {
        code: code.into(),
        fulfilment: Fulfilment { handling_cost: cost, capacity: limits, ..Default::default() },
        ..Default::default()
    };
    let places = vec![location("L1", 100), location("L2", 110)];
    world.tell(&Command::Catalogue(CatalogueCommand::UpsertLocations(places)));
    let first = world.records().len();
    let mut order = |lines: &[(&str, u32)]| {
        let line = |(sku, units): &(&str, u32)| ReserveLine {
            sku: (*sku).into(),
            quantity: Quantity(*units),
            location: CompactString::default(),
            sourcing: None,
        };
        let reserve = Reserve {
            order_id: "order".into(),
            buyer_id: "buyer".into(),
            channel: CompactString::default(),
            lines: lines.iter().map(line).collect(),
            ttl: Micros::from_secs(600),
            allow_partial: false,
            replaces: None,
            unchanged_since_lsn: 0,
            sourcing: Some(Box::default()),
            asked: None,
        };
        match world.tell(&Command::Reserve(reserve)).verdict {
            Verdict::Done(event) => event.reservation().unwrap(),
            verdict => panic!("{verdict:?}"),
        }
    };
    let (one, other) = (order(&[("A", 2)]), order(&[("C", 1)]));
    // Nobody may wait longer than promised: as if both were decided at once.
    world.now -= 2 * SECOND;
    let merge = Merge { buyer_id: "buyer".into(), receiver_key: String::new(), reservations: Vec::new() };
    assert!(matches!(world.tell(&Command::Merge(merge)).verdict, Verdict::Done(Event::Merged(_))));
    let (sku, from) = ("A".into(), String::new());
    world.step(one, Step::Reassign(Reassign { sku, from, to: String::new(), quantity: None, refused: true }));
    world.step(one, Step::Release);
    world.step(other, Step::Confirm);
    (world, first)
}

/// Plants a fault into the first record of a router's that `plant` accepts, and looks for it there.
fn misrouted(check: Check, plant: impl Fn(&mut Event) -> bool, found: impl Fn(&Fault) -> bool) {
    let (world, first) = routed();
    let mut records = world.records();
    let at =
        records.iter_mut().skip(first).position(|record| plant(&mut record.event)).expect("such a record is there");
    let lsn = Lsn::new(u64::try_from(first + at).unwrap() + 1);
    expect_at(&fold(&records), lsn, check, found);
}

#[test]
fn what_a_router_does_is_sound_and_what_it_cannot_have_done_is_found() {
    let (world, _) = routed();
    let mut history = fold(&world.records());
    history.compare(&world.engine);
    assert_sound(&history);
    misrouted(
        Check::Conservation,
        |event| match event {
            Event::Held(held) => {
                held.lines[0].quantity = Quantity(1);
                true
            }
            _ => false,
        },
        |fault| matches!(fault, Fault::NotAsDecided { .. }),
    );
    misrouted(
        Check::Conservation,
        |event| match event {
            Event::Rerouted(moved) => {
                moved.to[0].quantity = Quantity(3);
                true
            }
            _ => false,
        },
        |fault| matches!(fault, Fault::UnitsDiffer { difference: 1, .. }),
    );
    misrouted(
        Check::LifeCycle,
        |event| match event {
            Event::Merged(merged) => {
                merged.moves[0].reservation = ReservationId(77 << 8);
                true
            }
            _ => false,
        },
        |fault| matches!(fault, Fault::UnknownReservation { .. }),
    );
    misrouted(
        Check::LifeCycle,
        |event| match event {
            Event::HoldEnded { bookings, .. } => {
                bookings[0].units -= 1;
                true
            }
            _ => false,
        },
        |fault| matches!(fault, Fault::NeverBooked { .. }),
    );
    misrouted(
        Check::LifeCycle,
        |event| match event {
            Event::HoldEnded { bookings, .. } => {
                *bookings = Box::default();
                true
            }
            _ => false,
        },
        |fault| matches!(fault, Fault::StillBooked { .. }),
    );
}

#[test]
fn a_sound_history_passes_and_is_what_the_engine_recovers() {
    let mut world = World::new();
    world.live();
    let mut history = fold(&world.records());
    history.compare(&world.engine);
    let mut recovery = Recovery::new(EngineConfig::default());
    for (lsn, bytes) in (1..).zip(world.journal.records()) {
        recovery.replay(Lsn::new(lsn), &bytes).unwrap();
    }
    history.compare(&recovery.finish(Arc::new(MemoryJournal::new())));
    assert_sound(&history);
    let summary = history.summary();
    assert_eq!(summary.units.shipped, 6);
    assert_eq!((summary.units.expired, summary.units.replaced, summary.units.received), (1, 3, 5));
    assert_eq!(summary.shortfalls, 1, "what was adjusted away was promised");
    assert_eq!(summary.reservations["confirmed"], 1);
}

#[test]
fn a_fold_can_begin_from_a_snapshot_and_check_another() {
    let mut world = World::new();
    world.live();
    let mut sections = Vec::new();
    let snapshot = |world: &World, sections: &mut Vec<crate::snapshot::Section>| {
        let write = |section| {
            sections.push(section);
            Ok::<_, std::convert::Infallible>(())
        };
        world.engine.snapshot(Timestamp(world.now), write).unwrap()
    };
    let first = snapshot(&world, &mut sections);
    let mut later = Vec::new();
    world.live_on();
    snapshot(&world, &mut later);

    let mut history = History::new(Rules::default());
    for section in &sections {
        history.load(section.kind, section.unit, section.lsn, &section.payload);
    }
    history.begin_at(first.complete_to.next());
    let skip = usize::try_from(first.complete_to.get()).unwrap();
    for bytes in world.journal.records().iter().skip(skip) {
        history.fold(history.next_lsn(), bytes);
    }
    for section in &later {
        history.check_section(section.kind, section.unit, section.lsn, &section.payload);
    }
    history.balance();
    history.compare(&world.engine);
    assert_sound(&history);

    // The older snapshot is not what the fold says any more.
    for section in &sections {
        history.check_section(section.kind, section.unit, Lsn::new(history.next_lsn().get() - 1), &section.payload);
    }
    assert!(history.count(Check::Snapshots) > 0);
}

/// Traffic between the sections: each shard is copied at another moment of it.
#[test]
fn a_snapshot_under_traffic_is_checked_section_by_section_and_begins_a_fold() {
    let mut world = World::new();
    world.live();
    let now = world.now;
    let tick = std::cell::Cell::new(0);
    let tell = |command: Command| {
        tick.set(tick.get() + 1);
        let request = Request { id: format!("traffic-{}", tick.get()).into(), actor: String::new() };
        let time = Timestamp(now + tick.get() * SECOND);
        let answer = world.engine.submit(&request, &command, time).unwrap();
        match answer.verdict {
            Verdict::Done(event) => event,
            verdict => panic!("{verdict:?}"),
        }
    };
    let all_shards = |units| Reserve {
        order_id: "order".into(),
        buyer_id: "buyer".into(),
        channel: CompactString::default(),
        lines: ["A", "D", "E"]
            .map(|sku| ReserveLine {
                sku: sku.into(),
                quantity: Quantity(units),
                location: CompactString::default(),
                sourcing: None,
            })
            .into_iter()
            .collect(),
        ttl: Micros::from_secs(600),
        allow_partial: false,
        replaces: None,
        unchanged_since_lsn: 0,
        sourcing: None,
        asked: None,
    };
    let sku = |code: &str| crate::catalog::SkuSpec { code: code.into(), sellable: true, ..Default::default() };
    tell(Command::Catalogue(CatalogueCommand::UpsertSkus(["D", "E"].map(sku).into())));
    let count = |sku: &str, on_hand| {
        let row = ImportRow {
            cell: cell(sku, "L2"),
            on_hand: Quantity(on_hand),
            safety: Quantity(1),
            quality_control: Quantity(0),
            damaged: Quantity(1),
            in_repair: Quantity(0),
            incoming: Quantity(0),
        };
        tell(Command::Stock(StockCommand::Import(ImportStock { rows: vec![row], reference: String::new() })));
    };
    count("D", 200);
    count("E", 200);
    let mut sections = Vec::new();
    let mut open: Vec<ReservationId> = Vec::new();
    let span = world.engine.snapshot(Timestamp(now), |section| {
        sections.push(section);
        let round = sections.len();
        if round < 12 {
            open.extend(tell(Command::Reserve(all_shards(1))).reservation());
            let id = open[(open.len() - 1) / 2];
            match round % 4 {
                0 => _ = tell(Command::Reservation(id, Step::Extend(Micros::from_secs(900)))),
                1 => _ = tell(Command::Reservation(open.pop().unwrap(), Step::Release)),
                2 => _ = tell(Command::Reservation(open.remove(0), Step::Confirm)),
                _ => count("E", 150 + u32::try_from(round).unwrap()),
            }
        }
        if round == 5 {
            tell(Command::Catalogue(CatalogueCommand::UpsertSkus(vec![sku("F")])));
            count("F", 3);
            tell(Command::Catalogue(CatalogueCommand::RetireSkus(vec!["C".into()])));
        }
        Ok::<_, std::convert::Infallible>(())
    });
    let span = span.unwrap();
    assert!(span.reaches_to.get() > span.complete_to.get() + 10, "{span:?}");
    for id in open {
        tell(Command::Reservation(id, Step::Cancel(vec![selection("D", 1)])));
    }
    let records = world.journal.records();

    let mut from_start = History::new(Rules::default());
    let mut pending: Vec<_> = sections.iter().collect();
    pending.sort_by_key(|section| std::cmp::Reverse(section.lsn));
    for bytes in &records {
        let next = from_start.next_lsn();
        while let Some(section) = pending.pop_if(|section| section.lsn < next) {
            from_start.check_section(section.kind, section.unit, section.lsn, &section.payload);
        }
        from_start.fold(next, bytes);
    }
    assert!(pending.is_empty());
    from_start.balance();
    from_start.compare(&world.engine);
    assert_sound(&from_start);

    let mut from_snapshot = History::new(Rules::default());
    for section in &sections {
        from_snapshot.load(section.kind, section.unit, section.lsn, &section.payload);
    }
    from_snapshot.begin_at(span.complete_to.next());
    for bytes in records.iter().skip(usize::try_from(span.complete_to.get()).unwrap()) {
        from_snapshot.fold(from_snapshot.next_lsn(), bytes);
    }
    from_snapshot.balance();
    from_snapshot.compare(&world.engine);
    assert_sound(&from_snapshot);
}

impl World {
    fn live_on(&mut self) {
        let id = self.hold(&[("A", "", 2)]);
        self.step(id, Step::Confirm);
        self.hold(&[("A", "", 1)]);
    }
}

#[test]
fn an_oversold_hold_is_found() {
    planted(
        Check::Oversell,
        |event| match event {
            Event::Held(held) => {
                held.lines[0].quantity = Quantity(11);
                true
            }
            _ => false,
        },
        |fault| matches!(fault, Fault::Oversold { taken: 11, available: 10, .. }),
    );
}

#[test]
fn a_reassignment_beyond_what_is_there_is_found() {
    planted(
        Check::Oversell,
        |event| match event {
            Event::Reassigned { line, .. } => {
                line.quantity = Quantity(12);
                true
            }
            _ => false,
        },
        |fault| matches!(fault, Fault::Oversold { taken: 12, .. }),
    );
}

#[test]
fn a_second_confirmation_is_found() {
    let mut world = World::new();
    let id = world.hold(&[("A", "L1", 4)]);
    world.step(id, Step::Confirm);
    let mut records = world.records();
    let again = Record { request_id: "another".into(), ..records.last().unwrap().clone() };
    records.push(again);
    let lsn = Lsn::new(u64::try_from(records.len()).unwrap());
    expect_at(&fold(&records), lsn, Check::LifeCycle, |fault| {
        matches!(fault, Fault::WrongState { step: "confirmed", .. })
    });
}

#[test]
fn an_expiry_that_comes_early_is_found() {
    let mut world = World::new();
    world.live();
    let mut records = world.records();
    let expired = |record: &Record| matches!(record.event, Event::HoldEnded { reason: HoldEndReason::Expired, .. });
    let at = records.iter().position(expired).unwrap();
    records[at].time = Timestamp(records[at].time.0 - 31 * SECOND);
    let lsn = Lsn::new(u64::try_from(at).unwrap() + 1);
    expect_at(&fold(&records), lsn, Check::Expiry, |fault| matches!(fault, Fault::ExpiredEarly { .. }));
}

#[test]
fn a_hold_that_is_used_after_its_time_is_found() {
    let mut world = World::new();
    let id = world.hold(&[("A", "L1", 4)]);
    world.step(id, Step::Confirm);
    let mut records = world.records();
    let last = records.last_mut().unwrap();
    last.time = Timestamp(last.time.0 + 60 * SECOND);
    let lsn = Lsn::new(u64::try_from(records.len()).unwrap());
    expect_at(&fold(&records), lsn, Check::Expiry, |fault| matches!(fault, Fault::UsedLate { .. }));
}

#[test]
fn a_wrong_figure_after_a_change_is_found() {
    planted(
        Check::Conservation,
        |event| match event {
            Event::StockChanged(change) => {
                change.changes[1].on_hand_after = Quantity(99);
                true
            }
            _ => false,
        },
        |fault| matches!(fault, Fault::After { figure: "on hand", said: 99, folded: 10, .. }),
    );
}

#[test]
fn a_bucket_below_zero_is_found() {
    planted(
        Check::Conservation,
        |event| match event {
            Event::StockChanged(change) if change.changes[0].on_hand < 0 => {
                change.changes[0].on_hand = -100;
                true
            }
            _ => false,
        },
        |fault| matches!(fault, Fault::OutOfRange { bucket: "on hand", delta: -100, .. }),
    );
}

#[test]
fn shipping_more_than_is_open_is_found() {
    planted(
        Check::LifeCycle,
        |event| match event {
            Event::Shipped { claim, .. } => {
                claim.lines[0].quantity = Quantity(5);
                true
            }
            _ => false,
        },
        |fault| matches!(fault, Fault::ExceedsOpen { units: 5, open: 4, .. }),
    );
}

#[test]
fn a_wrong_end_is_found() {
    planted(
        Check::LifeCycle,
        |event| match event {
            Event::Shipped { end, .. } => {
                *end = Some(EndState::Shipped);
                true
            }
            _ => false,
        },
        |fault| matches!(fault, Fault::WrongEnd { .. }),
    );
    planted(
        Check::LifeCycle,
        |event| match event {
            Event::Cancelled { promise: promise @ Promise::Committed, .. } => {
                *promise = Promise::Reserved;
                true
            }
            _ => false,
        },
        |fault| matches!(fault, Fault::WrongState { step: "cancelled", .. }),
    );
}

#[test]
fn a_partial_confirmation_is_found() {
    planted(
        Check::LifeCycle,
        |event| match event {
            Event::Confirmed { claim } => {
                claim.lines.pop();
                true
            }
            _ => false,
        },
        |fault| matches!(fault, Fault::NotAll { units: 4, open: 6, .. }),
    );
}

#[test]
fn a_reservation_id_given_twice_is_found() {
    let mut world = World::new();
    let first = world.hold(&[("A", "L1", 1)]);
    world.hold(&[("A", "L1", 1)]);
    let mut records = world.records();
    let Event::Held(held) = &mut records.last_mut().unwrap().event else { panic!() };
    held.reservation = first;
    let lsn = Lsn::new(u64::try_from(records.len()).unwrap());
    expect_at(&fold(&records), lsn, Check::LifeCycle, |fault| matches!(fault, Fault::ReservationTwice { .. }));
}

#[test]
fn a_request_id_used_twice_is_found_while_it_is_remembered() {
    let mut world = World::new();
    world.hold(&[("A", "L1", 1)]);
    world.hold(&[("A", "L1", 1)]);
    let mut records = world.records();
    let lsn = Lsn::new(u64::try_from(records.len()).unwrap());
    let [.., before, last] = &mut records[..] else { panic!() };
    last.request_id.clone_from(&before.request_id);
    expect_at(&fold(&records), lsn, Check::RequestIds, |fault| matches!(fault, Fault::RequestIdTwice { .. }));
    let last = records.last_mut().unwrap();
    last.time = Timestamp(last.time.0 + 25 * 3600 * SECOND);
    assert_sound(&fold(&records));
}

#[test]
fn a_clock_that_runs_backwards_is_found_beyond_what_overtaking_explains() {
    let mut world = World::new();
    world.hold(&[("A", "L1", 1)]);
    let mut records = world.records();
    let lsn = Lsn::new(u64::try_from(records.len()).unwrap());
    let last = records.last_mut().unwrap();
    last.time = Timestamp(last.time.0 - 5 * SECOND);
    assert_sound(&fold(&records));
    let last = records.last_mut().unwrap();
    last.time = Timestamp(last.time.0 - 10 * SECOND);
    expect_at(&fold(&records), lsn, Check::Times, |fault| matches!(fault, Fault::TimeBackwards { .. }));
}

#[test]
fn a_missing_or_unreadable_record_is_found() {
    let mut world = World::new();
    world.live();
    let mut history = History::new(Rules::default());
    history.fold(Lsn::new(2), &world.journal.records()[1]);
    expect_at(&history, Lsn::new(2), Check::Log, |fault| matches!(fault, Fault::NotDense { .. }));
    let mut history = History::new(Rules::default());
    history.fold(Lsn::new(1), b"\xff");
    expect_at(&history, Lsn::new(1), Check::Log, |fault| matches!(fault, Fault::Undecodable { .. }));
}

#[test]
fn what_was_never_made_is_found() {
    planted(
        Check::Catalogue,
        |event| match event {
            Event::Held(held) => {
                held.lines[0].location = LocationId(7);
                true
            }
            _ => false,
        },
        |fault| matches!(fault, Fault::Unknown { what: "location", id: 7 }),
    );
    planted(
        Check::LifeCycle,
        |event| match event {
            Event::Extended { reservation, .. } => {
                *reservation = ReservationId(77 << 8);
                true
            }
            _ => false,
        },
        |fault| matches!(fault, Fault::UnknownReservation { .. }),
    );
}

#[test]
fn an_engine_that_differs_is_told() {
    let mut world = World::new();
    world.live();
    let mut history = fold(&world.records());
    world.live_on();
    history.compare(&world.engine);
    assert!(history.count(Check::Recovery) > 0);
    assert_eq!(history.count(Check::Audit), 0);
}

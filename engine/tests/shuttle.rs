//! The real engine under shuttle's scheduler: its locks, atomics and journal, in thousands of interleavings that a seed decides.
//!
//! `cargo test --workspace --features quartermaster-engine/shuttle --test shuttle`
//!
//! Schedules of each test: `SHUTTLE_SCHEDULES`; their seed: `SHUTTLE_SEED`. A failing schedule is printed, and `SHUTTLE_REPLAY` with what was
//! printed runs it again. After every schedule: no deadlock, the auditor content, nothing promised that is not there, every unit accounted
//! for, and the journal leads to the same state.

mod support;

use std::sync::Arc;

use quartermaster_engine::{
    Answer, Engine, EngineConfig, Error, Rejection, Verdict,
    catalog::{LocationSpec, LocationState, SkuSpec},
    command::{
        CatalogueCommand, CellCode, Command, LineSelection, ReceiveStock, Reserve, ReserveLine, Step, StockCommand,
        StockReason,
    },
    engine::Ahead,
    event::Event,
    id::{ReservationId, SkuId},
    quantity::Quantity,
    reservation::State,
    time::{Micros, Timestamp},
};
use quartermaster_journal::{Journal, MemoryJournal};
use quartermaster_sync::shuttle::{
    Config, Runner,
    scheduler::{RandomScheduler, ReplayScheduler, Scheduler},
    thread::{self, JoinHandle},
};
use support::{Rig, T0, dump, recover, replay, request, snapshot};

const SKUS: [&str; 3] = ["A", "B", "C"];
/// Units of every SKU at the beginning.
const STOCK: u32 = 3;
const TTL: u64 = 1_000;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

/// Explores schedules of a scenario, or runs the one that `SHUTTLE_REPLAY` gives.
fn explore(scenario: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = 1 << 20;
    if let Ok(schedule) = std::env::var("SHUTTLE_REPLAY") {
        run(ReplayScheduler::new_from_encoded(&schedule), config, scenario);
        return;
    }
    let schedules = usize::try_from(number("SHUTTLE_SCHEDULES", 400)).expect("a number of schedules");
    let seed = number("SHUTTLE_SEED", 20_261_128);
    println!("{schedules} schedules, SHUTTLE_SEED={seed}");
    run(RandomScheduler::new_from_seed(seed, schedules), config, scenario);
}

fn run(scheduler: impl Scheduler + 'static, config: Config, scenario: impl Fn() + Send + Sync + 'static) {
    Runner::new(scheduler, config).run(scenario);
}

/// Three SKUs, each in a shard of its own, with their stock at one open location and a second location without any.
fn rig() -> Arc<Rig> {
    let rig = Rig::new(EngineConfig::default());
    let sku = |code: &&str| SkuSpec { code: (*code).into(), sellable: true, ..SkuSpec::default() };
    let setup = [
        Command::Catalogue(CatalogueCommand::UpsertSkus(SKUS.iter().map(sku).collect())),
        locations(LocationState::Open),
        receive(&SKUS, STOCK),
    ];
    for (place, command) in setup.iter().enumerate() {
        rig.submit(&format!("setup{place}"), command).expect("it is new");
    }
    Arc::new(rig)
}

/// `L0`, open, and `L1` as it is told.
fn locations(other: LocationState) -> Command {
    let location = |code: &str, state| LocationSpec { code: code.into(), state, ..LocationSpec::default() };
    let specs = vec![location("L0", LocationState::Open), location("L1", other)];
    Command::Catalogue(CatalogueCommand::UpsertLocations(specs))
}

fn receive(skus: &[&str], units: u32) -> Command {
    let cell = |sku: &&str| (CellCode { sku: (*sku).into(), location: "L0".into() }, Quantity(units));
    let receipts = skus.iter().map(cell).collect();
    let (reason, reference) = (StockReason(5), String::new());
    Command::Stock(StockCommand::Receive(ReceiveStock { receipts, from_incoming: false, reason, reference }))
}

fn reserve(lines: &[(&str, u32)]) -> Command {
    let line = |(sku, units): &(&str, u32)| ReserveLine {
        sku: (*sku).into(),
        quantity: Quantity(*units),
        location: "".into(),
        sourcing: None,
    };
    Command::Reserve(Reserve {
        order_id: "".into(),
        buyer_id: "ann".into(),
        channel: "".into(),
        lines: lines.iter().map(line).collect(),
        ttl: Micros(TTL),
        allow_partial: false,
        replaces: None,
        unchanged_since_lsn: 0,
        sourcing: None,
        asked: None,
    })
}

/// A thread that looks ahead at commands and submits them, one after the other.
fn submits(rig: &Arc<Rig>, name: &str, commands: Vec<Command>) -> JoinHandle<Vec<Result<Answer, Error>>> {
    let (rig, name) = (Arc::clone(rig), name.to_owned());
    thread::spawn(move || {
        let requests: Vec<_> = (0..commands.len()).map(|turn| request(&format!("{name}{turn}"))).collect();
        let seen =
            rig.engine.look_ahead(requests.iter().zip(&commands).map(|(request, command)| Ahead::of(request, command)));
        let orders = requests.iter().zip(&commands).zip(seen);
        orders.map(|((request, command), seen)| rig.engine.submit_seen(request, command, rig.now, seen)).collect()
    })
}

fn join<T>(thread: JoinHandle<T>) -> T {
    thread.join().expect("no panic")
}

fn held(result: &Result<Answer, Error>) -> Option<ReservationId> {
    match result {
        Ok(Answer { verdict: Verdict::Done(Event::Held(held)), .. }) => Some(held.reservation),
        _ => None,
    }
}

fn done(result: &Result<Answer, Error>) -> bool {
    matches!(result, Ok(Answer { verdict: Verdict::Done(_), replayed: false, .. }))
}

fn available(engine: &Engine) -> [u64; 3] {
    let skus = [0, 1, 2].map(SkuId);
    let rows = engine.availability(&skus, &[]).1;
    [rows[0].available, rows[1].available, rows[2].available]
}

/// What must hold when all threads are home. `shipped` tells how many units of each SKU have left.
fn check(rig: &Rig, shipped: [u64; 3]) {
    assert_eq!(rig.engine.audit().violations, vec![]);
    assert_eq!(dump::shortfalls(&rig.engine), vec![]);
    for (sku, shipped) in (0..).zip(shipped) {
        let cells = rig.engine.cells(SkuId(sku), None, 10).1;
        let on_hand: u64 = cells.iter().map(|cell| cell.buckets.on_hand.units()).sum();
        assert_eq!(on_hand + shipped, u64::from(STOCK), "units of SKU {sku} are conserved");
    }
    let records = rig.journal.records();
    let back = replay(rig.config, &records).expect("it replays").finish(Arc::new(MemoryJournal::new()));
    assert_eq!(dump::dump(&rig.engine, []), dump::dump(&back, []), "live, and replayed");
}

#[test]
fn a_hot_sku_is_sold_to_the_last_unit_and_no_further() {
    explore(|| {
        let rig = rig();
        let buyers: Vec<_> = ["a", "b", "c"]
            .iter()
            .map(|name| submits(&rig, name, vec![reserve(&[("A", 1)]), reserve(&[("A", 1)])]))
            .collect();
        let results: Vec<_> = buyers.into_iter().flat_map(join).collect();
        let granted = results.iter().filter(|result| held(result).is_some()).count();
        assert_eq!(granted, usize::try_from(STOCK).expect("few"), "exactly what there was");
        let refused = |result: &&Result<Answer, Error>| {
            matches!(result, Ok(Answer { verdict: Verdict::Rejected(Rejection::InsufficientStock { .. }), .. }))
        };
        assert_eq!(results.iter().filter(refused).count(), 6 - granted);
        check(&rig, [0; 3]);
    });
}

#[test]
fn orders_over_several_shards_take_all_or_nothing_and_never_wait_in_a_ring() {
    explore(|| {
        let rig = rig();
        let orders = [
            vec![reserve(&[("A", 2), ("B", 2)])],
            vec![reserve(&[("B", 2), ("C", 2)])],
            vec![reserve(&[("C", 2), ("A", 2)])],
        ];
        let buyers: Vec<_> =
            ["a", "b", "c"].iter().zip(orders).map(|(name, orders)| submits(&rig, name, orders)).collect();
        let granted = buyers.into_iter().flat_map(join).filter(|result| held(result).is_some()).count();
        // Any two of them share a SKU that suffices for one.
        assert_eq!(granted, 1);
        assert_eq!(available(&rig.engine).iter().sum::<u64>(), u64::from(3 * STOCK) - 4, "no half of an order");
        check(&rig, [0; 3]);
    });
}

#[test]
fn the_same_request_from_many_threads_happens_once() {
    explore(|| {
        let rig = rig();
        let callers: Vec<_> = (0..3).map(|_| submits(&rig, "same", vec![reserve(&[("A", 1), ("B", 1)])])).collect();
        let other = submits(&rig, "same", vec![reserve(&[("A", 2)])]);
        let mut answers: Vec<_> = callers.into_iter().flat_map(join).collect();
        answers.extend(join(other));
        let granted: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().ok()).collect();
        assert_eq!(granted.iter().filter(|answer| !answer.replayed).count(), 1, "one did it");
        assert!(granted.iter().all(|answer| answer.lsn == granted[0].lsn && answer.verdict == granted[0].verdict));
        for refused in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            assert!(matches!(refused, Error::RequestIdReused { .. }), "{refused}");
        }
        assert_eq!(rig.engine.counts().held, 1);
        check(&rig, [0; 3]);
    });
}

#[test]
fn of_confirm_release_and_expiry_exactly_one_wins() {
    explore(|| {
        let rig = rig();
        let id = held(&rig.submit("hold", &reserve(&[("A", 1), ("B", 1)]))).expect("there is stock");
        let step = |name: &str, step| submits(&rig, name, vec![Command::Reservation(id, step)]);
        let confirm = step("confirm", Step::Confirm);
        let release = step("release", Step::Release);
        let ship = step("ship", Step::Ship(vec![]));
        let expire = {
            let rig = Arc::clone(&rig);
            thread::spawn(move || rig.engine.expire_due(Timestamp(T0 + TTL), 10).expect("memory is never full").expired)
        };
        let wins = [confirm, release].map(|racer| done(&join(racer)[0]));
        let (shipped, expired) = (done(&join(ship)[0]), join(expire) == 1);
        let state = rig.engine.reservation(id).expect("it is kept").1.state;
        let expected = match (wins, expired) {
            ([true, false], false) if shipped => State::Shipped,
            ([true, false], false) => State::Confirmed,
            ([false, true], false) => State::Released,
            ([false, false], true) => State::Expired,
            other => panic!("{other:?} won"),
        };
        assert_eq!(state, expected);
        let gone = u64::from(shipped);
        assert_eq!(shipped, state == State::Shipped);
        check(&rig, [gone, gone, 0]);
    });
}

#[test]
fn a_snapshot_beside_writers_and_the_log_past_it_are_the_whole() {
    explore(|| {
        let rig = rig();
        let first = held(&rig.submit("first", &reserve(&[("A", 1), ("C", 1)]))).expect("there is stock");
        let orders = submits(&rig, "o", vec![reserve(&[("A", 1), ("B", 1)]), reserve(&[("C", 1)])]);
        let end =
            submits(&rig, "e", vec![Command::Reservation(first, Step::Release), locations(LocationState::Paused)]);
        let snap = {
            let rig = Arc::clone(&rig);
            thread::spawn(move || snapshot(&rig.engine, Timestamp(T0)))
        };
        let (span, sections) = join(snap);
        let given: Vec<_> = join(orders).iter().filter_map(held).chain([first]).collect();
        assert_eq!(given.len(), 3);
        assert!(join(end).iter().all(done));
        check(&rig, [0; 3]);
        let records = rig.journal.records();
        let journal = Arc::clone(&rig.journal) as Arc<dyn Journal>;
        let back = recover(rig.config, &sections, span, &records).finish(journal);
        assert_eq!(dump::dump(&rig.engine, []), dump::dump(&back, []), "live, and from the snapshot");
        let next = held(&back.submit(&request("next"), &reserve(&[("B", 1)]), rig.now)).expect("there is stock");
        assert!(!given.contains(&next), "no id is given out twice");
    });
}

#[test]
fn a_reader_sees_no_half_of_an_order() {
    explore(|| {
        let rig = rig();
        let id = held(&rig.submit("hold", &reserve(&[("A", 1), ("B", 1)]))).expect("there is stock");
        let buyer = submits(&rig, "b", vec![reserve(&[("A", 1), ("B", 1)])]);
        let owner = submits(&rig, "o", vec![Command::Reservation(id, Step::Release)]);
        let reader = {
            let rig = Arc::clone(&rig);
            thread::spawn(move || {
                let [a, b, _] = available(&rig.engine);
                assert_eq!(a, b, "half an order was seen");
                let one = rig.engine.reservation(id).expect("it is kept").1;
                assert!(one.lines.iter().all(|line| line.open.is_zero() != one.state.is_open()), "{one:?}");
            })
        };
        assert!(done(&join(buyer)[0]) && done(&join(owner)[0]));
        join(reader);
        check(&rig, [0; 3]);
    });
}

#[test]
fn a_location_that_closes_beside_orders_is_closed_for_all_or_none() {
    explore(|| {
        let rig = rig();
        let close = |state| {
            let spec = |code: &str, state| LocationSpec { code: code.into(), state, ..LocationSpec::default() };
            Command::Catalogue(CatalogueCommand::UpsertLocations(vec![spec("L0", state)]))
        };
        let buyer = submits(&rig, "b", vec![reserve(&[("A", 1), ("B", 1)]), reserve(&[("C", 1)])]);
        let closing = submits(&rig, "c", vec![close(LocationState::Paused)]);
        let other = submits(&rig, "d", vec![locations(LocationState::Closed)]);
        let sku = SkuSpec { code: "D".into(), sellable: true, ..SkuSpec::default() };
        let growing = submits(&rig, "s", vec![Command::Catalogue(CatalogueCommand::UpsertSkus(vec![sku]))]);
        let orders = join(buyer);
        let changes = [join(closing), join(other), join(growing)];
        assert!(changes.iter().flatten().all(done), "{changes:?}");
        // The last change of `L0` decides whether it is open.
        let open = changes[0][0].as_ref().expect("done").lsn < changes[1][0].as_ref().expect("done").lsn;
        let late = rig.submit("late", &reserve(&[("C", 1)])).expect("it is answered");
        assert_eq!(matches!(late.verdict, Verdict::Done(_)), open);
        for order in orders {
            let answer = order.expect("it is answered");
            assert!(matches!(answer.verdict, Verdict::Done(_) | Verdict::Rejected(_)), "{answer:?}");
        }
        check(&rig, [0; 3]);
    });
}

#[test]
fn changes_of_one_reservation_over_two_shards_beside_a_replacement() {
    explore(|| {
        let rig = rig();
        let id = held(&rig.submit("hold", &reserve(&[("A", 2), ("B", 2)]))).expect("there is stock");
        let Command::Reserve(order) = reserve(&[("C", 1), ("B", 3)]) else { panic!("a Reserve") };
        let replace = submits(&rig, "r", vec![Command::Reserve(Reserve { replaces: Some(id), ..order })]);
        let line = LineSelection { sku: "B".into(), location: String::new(), quantity: Some(Quantity(1)) };
        let owner = submits(
            &rig,
            "o",
            vec![Command::Reservation(id, Step::Confirm), Command::Reservation(id, Step::Ship(vec![line]))],
        );
        let buyer = submits(&rig, "b", vec![reserve(&[("B", 1), ("A", 1)])]);
        let (replaced, owner) = (done(&join(replace)[0]), join(owner));
        assert!(!(replaced && done(&owner[0])), "what was confirmed is not replaced, and the other way round");
        assert_eq!(done(&owner[0]), done(&owner[1]));
        _ = join(buyer);
        check(&rig, [0, u64::from(done(&owner[1])), 0]);
    });
}

/// The checks are checked: what a wrong journal tells is found.
#[test]
fn a_lost_record_is_found() {
    explore(|| {
        let rig = rig();
        _ = join(submits(&rig, "b", vec![reserve(&[("A", 1)])]));
        let mut records = rig.journal.records();
        records.pop();
        let back = replay(rig.config, &records).expect("it replays").finish(Arc::new(MemoryJournal::new()));
        assert_ne!(dump::dump(&rig.engine, []), dump::dump(&back, []));
    });
}

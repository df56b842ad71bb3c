//! Many threads at once: nothing is oversold, nothing is done twice, no read sees half an order, and the journal tells the same story.

mod support;

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{RecvTimeoutError, channel},
    },
    thread,
    time::Duration,
};

use quartermaster_engine::{
    Answer, Engine, EngineConfig, Error, Rejection, Verdict,
    command::{
        CellCode, Command, LineSelection, Reassign, ReceiveStock, Reserve, ReserveLine, Step, StockCommand, StockReason,
    },
    event::Event,
    id::{LocationId, ReservationId},
    quantity::Quantity,
    query::ReservationFilter,
    reservation::State,
    time::{Micros, Timestamp},
};
use quartermaster_journal::MemoryJournal;
use support::{
    Rig, T0, cases, dump,
    generate::{LOCATIONS, SKUS, setup},
    recover, replay, request,
};

/// Far longer than any of these tests takes: only a deadlock gets here.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs a test and ends the process if it hangs.
fn watched(test: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let (alive, done) = channel::<Infallible>();
        scope.spawn(move || {
            let _alive = alive;
            test();
        });
        if done.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            eprintln!("a deadlock: nothing came back in {PATIENCE:?}");
            std::process::exit(101);
        }
    });
}

/// Counts itself out, even in a panic, so that those who wait for it come home.
struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Multiply and add, as Knuth has it: enough to mix threads.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % bound
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

fn rig() -> Rig {
    let rig = Rig::new(EngineConfig::default());
    for (place, command) in setup(0).iter().enumerate() {
        rig.submit(&format!("setup{place}"), command).expect("it is new");
    }
    rig
}

fn receive(sku: &str, location: &str, units: u32) -> Command {
    let cell = CellCode { sku: sku.into(), location: location.into() };
    let (receipts, reference) = (vec![(cell, Quantity(units))], String::new());
    Command::Stock(StockCommand::Receive(ReceiveStock {
        receipts,
        from_incoming: false,
        reason: StockReason(5),
        reference,
    }))
}

fn reserve(lines: &[(&str, u32)], ttl: u64) -> Command {
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
        ttl: Micros(ttl),
        allow_partial: false,
        replaces: None,
        unchanged_since_lsn: 0,
        sourcing: None,
        asked: None,
    })
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

/// The auditor is content, nothing is promised that is not there, and the journal leads to the same state.
fn check(rig: &Rig) {
    assert_eq!(rig.engine.audit().violations, vec![]);
    assert_eq!(dump::shortfalls(&rig.engine), vec![]);
    let back = replay(rig.config, &rig.journal.records()).expect("it replays");
    let back = back.finish(Arc::new(MemoryJournal::new()));
    assert_eq!(dump::dump(&rig.engine, []), dump::dump(&back, []), "live, and replayed");
}

#[test]
fn a_hot_sku_is_sold_to_the_last_unit_and_no_further() {
    watched(|| {
        let rig = rig();
        let stock = 2_000_u32;
        let before = rig.engine.availability(&[rig.engine.catalogue().sku("A").expect("a SKU")], &[]).1[0].available;
        rig.submit("arrival", &receive("A", "L1", stock)).expect("there is room");
        let granted = AtomicU64::new(0);
        thread::scope(|scope| {
            for worker in 0..8_u64 {
                let (rig, granted) = (&rig, &granted);
                scope.spawn(move || {
                    let mut random = Random(worker);
                    for turn in 0.. {
                        let units = u32::try_from(1 + random.below(3)).unwrap_or(1);
                        let result = rig.submit(&format!("w{worker}.{turn}"), &reserve(&[("A", units)], 1_000_000));
                        match result.expect("no error is possible").verdict {
                            Verdict::Done(Event::Held(held)) => {
                                granted.fetch_add(u64::from(units), Ordering::SeqCst);
                                let confirm = Command::Reservation(held.reservation, Step::Confirm);
                                assert!(done(&rig.submit(&format!("c{worker}.{turn}"), &confirm)));
                            }
                            Verdict::Rejected(Rejection::InsufficientStock { shortages }) => {
                                assert!(shortages[0].available < u64::from(units), "a refusal has its reason");
                                if units == 1 {
                                    break;
                                }
                            }
                            other => panic!("{other:?}"),
                        }
                    }
                });
            }
        });
        assert_eq!(granted.load(Ordering::SeqCst), u64::from(stock) + before, "exactly what there was");
        check(&rig);
    });
}

#[test]
fn the_same_request_from_many_threads_happens_once() {
    watched(|| {
        let rig = rig();
        rig.submit("arrival", &receive("A", "L1", 1_000)).expect("there is room");
        let (threads, rounds) = (8, 150);
        let barrier = Barrier::new(threads);
        let answers: Mutex<BTreeMap<usize, Vec<Answer>>> = Mutex::default();
        thread::scope(|scope| {
            for worker in 0..threads {
                let (rig, barrier, answers) = (&rig, &barrier, &answers);
                scope.spawn(move || {
                    for round in 0..rounds {
                        // Another content, now and then, from one of them.
                        let other = worker == 7 && round % 4 == 0;
                        let command = reserve(&[("A", 1), ("B", 1 + u32::from(other))], 1_000_000);
                        barrier.wait();
                        match rig.submit(&format!("round{round}"), &command) {
                            Ok(answer) => answers.lock().expect("alive").entry(round).or_default().push(answer),
                            Err(Error::RequestIdReused { .. }) => assert_eq!(round % 4, 0),
                            Err(error) => panic!("{error}"),
                        }
                    }
                });
            }
        });
        let answers = answers.into_inner().expect("alive");
        let mut holds = 0;
        for (round, answers) in &answers {
            let granted: Vec<_> = answers.iter().filter(|answer| matches!(answer.verdict, Verdict::Done(_))).collect();
            if !granted.is_empty() {
                holds += 1;
                assert_eq!(granted.iter().filter(|answer| !answer.replayed).count(), 1, "round {round}: one did it");
                assert!(
                    granted.iter().all(|answer| answer.lsn == granted[0].lsn && answer.verdict == granted[0].verdict)
                );
            }
        }
        assert_eq!(rig.engine.counts().held, holds);
        assert!(holds > 0);
        check(&rig);
    });
}

#[test]
fn of_confirm_release_and_expiry_exactly_one_wins() {
    watched(|| {
        let rig = rig();
        let races = cases("RACES", 300);
        rig.submit("arrival", &receive("A", "L1", races)).expect("there is room");
        rig.submit("arrival2", &receive("B", "L1", races)).expect("there is room");
        for round in 0..races {
            let id =
                held(&rig.submit(&format!("hold{round}"), &reserve(&[("A", 1), ("B", 1)], 1_000))).expect("a hold");
            let (early, due) = (Timestamp(rig.now.0 + 999), Timestamp(rig.now.0 + 1_000));
            let barrier = Barrier::new(4);
            let submit = |name: &str, step, now| {
                barrier.wait();
                done(&rig.engine.submit(&request(&format!("{name}{round}")), &Command::Reservation(id, step), now))
            };
            let wins = thread::scope(|scope| {
                let confirm = scope.spawn(|| submit("confirm", Step::Confirm, early));
                let release = scope.spawn(|| submit("release", Step::Release, early));
                let expire = scope.spawn(|| {
                    barrier.wait();
                    rig.engine.expire_due(due, 10).expect("memory is never full").expired == 1
                });
                let ship = scope.spawn(|| submit("ship", Step::Ship(vec![]), early));
                let joined = [confirm, release, expire].map(|racer| racer.join().expect("no panic"));
                (joined, ship.join().expect("no panic"))
            });
            let ([confirmed, released, expired], shipped) = wins;
            let state = rig.engine.reservation(id).expect("it is kept").1.state;
            let expected = match (confirmed, released, expired) {
                (true, false, false) if shipped => State::Shipped,
                (true, false, false) => State::Confirmed,
                (false, true, false) => State::Released,
                (false, false, true) => State::Expired,
                other => panic!("round {round}: {other:?} won"),
            };
            assert_eq!(state, expected, "round {round}");
        }
        check(&rig);
    });
}

/// A cancellation always happens: where the units are by then. Of a cancellation and a shipment one happens. `RACES` sets how many.
#[test]
fn a_cancellation_meets_a_move_and_a_shipment() {
    watched(|| {
        let rig = rig();
        let races = cases("RACES", 300);
        rig.submit("arrival", &receive("A", "L1", races)).expect("there is room");
        rig.submit("arrival2", &receive("A", "L2", races)).expect("there is room");
        let line = ReserveLine { sku: "A".into(), quantity: Quantity(1), location: "L1".into(), sourcing: None };
        let mut moved_first = 0;
        for round in 0..races {
            let mut order = reserve(&[], 1_000);
            if let Command::Reserve(order) = &mut order {
                order.lines.push(line.clone());
            }
            let id = held(&rig.submit(&format!("hold{round}"), &order)).expect("a hold");
            let is_paid = round % 2 == 0;
            if is_paid {
                assert!(done(&rig.submit(&format!("confirm{round}"), &Command::Reservation(id, Step::Confirm))));
            }
            let barrier = Barrier::new(2);
            let submit = |name: &str, step| {
                barrier.wait();
                rig.submit(&format!("{name}{round}"), &Command::Reservation(id, step))
            };
            let rival = if is_paid {
                Step::Ship(vec![])
            } else {
                let (sku, from, to) = ("A".into(), "L1".into(), "L2".into());
                Step::Reassign(Reassign { sku, from, to, quantity: None, refused: false })
            };
            let (cancel, rival) = (|| submit("cancel", Step::Cancel(vec![])), || submit("rival", rival));
            // Whoever comes last to the barrier need not wake up first.
            let (cancelled, rival) = thread::scope(|scope| {
                let (cancel, rival) = if round % 4 < 2 {
                    let cancel = scope.spawn(cancel);
                    (cancel, scope.spawn(rival))
                } else {
                    let rival = scope.spawn(rival);
                    (scope.spawn(cancel), rival)
                };
                (cancel.join().expect("no panic"), rival.join().expect("no panic"))
            });
            let state = rig.engine.reservation(id).expect("it is kept").1.state;
            match (is_paid, &cancelled, &rival) {
                (true, Ok(_), Err(Error::ReservationState { state: State::Cancelled, .. })) => {
                    assert_eq!(state, State::Cancelled, "round {round}");
                }
                (true, Err(Error::ReservationState { state: State::Shipped, .. }), Ok(_)) => {
                    assert_eq!(state, State::Shipped, "round {round}");
                }
                (false, Ok(cancelled), Ok(moved)) if moved.lsn < cancelled.lsn => {
                    moved_first += 1;
                    assert_eq!(state, State::Cancelled, "round {round}");
                }
                (false, Ok(_), Err(Error::ReservationState { state: State::Cancelled, .. })) => {
                    assert_eq!(state, State::Cancelled, "round {round}");
                }
                other => panic!("round {round}: {other:?}"),
            }
        }
        assert!(moved_first > 0 && moved_first < races / 2, "{moved_first} of {races} moves came first");
        check(&rig);
    });
}

/// Everything at once. D and E are only ever reserved in pairs and given back in pairs, and have the same stock: whoever reads both
/// at one moment finds as many of each.
#[test]
fn everything_at_once() {
    watched(|| {
        let rig = rig();
        for sku in ["A", "B", "C"] {
            rig.submit(&format!("arrival{sku}"), &receive(sku, "L2", 40)).expect("there is room");
        }
        let twins = {
            let catalogue = rig.engine.catalogue();
            [catalogue.sku("D").expect("a SKU"), catalogue.sku("E").expect("a SKU")]
        };
        let free = rig.engine.availability(&twins, &[]).1;
        let missing = u32::try_from(free[1].available.abs_diff(free[0].available)).expect("few");
        rig.submit("even", &receive(if free[0].available < free[1].available { "D" } else { "E" }, "L2", missing))
            .expect("there is room");
        let received = on_hand(&rig.engine);

        let (workers, turns) = (4, 1_500);
        let (running, clock) = (AtomicUsize::new(workers), AtomicU64::new(T0));
        let known: Mutex<Vec<(ReservationId, bool)>> = Mutex::default();
        let now = || Timestamp(clock.fetch_add(7, Ordering::SeqCst));
        let working = || running.load(Ordering::SeqCst) > 0;
        thread::scope(|scope| {
            for worker in 0..workers {
                let (rig, known, running, now) = (&rig, &known, &running, &now);
                scope.spawn(move || {
                    let _running = Running(running);
                    let mut random = Random(u64::try_from(worker).unwrap_or(0) + 99);
                    for turn in 0..turns {
                        let (twin, command) = step(&mut random, known);
                        let result = rig.engine.submit(&request(&format!("w{worker}.{turn}")), &command, now());
                        if let Some(id) = held(&result) {
                            known.lock().expect("alive").push((id, twin));
                        }
                    }
                });
            }
            scope.spawn(|| {
                while working() {
                    rig.engine.expire_due(now(), 20).expect("memory is never full");
                }
            });
            scope.spawn(|| {
                while working() {
                    let (lsn, rows) = rig.engine.availability(&twins, &[]);
                    assert_eq!(rows[0].available, rows[1].available, "at {lsn}: half an order was seen");
                    assert_eq!(rig.engine.shortfalls(None, 10, 10).1, vec![]);
                    let (_, page, _) = rig.engine.reservations(&ReservationFilter::default(), None, 20);
                    for one in page {
                        let open = one.lines.iter().any(|line| !line.open.is_zero());
                        assert_eq!(open, one.state.is_open(), "{one:?}");
                    }
                    assert_eq!(rig.engine.hurt(twins[0], LocationId(0), 10), vec![]);
                    assert_eq!(rig.engine.counts().shortfalls, 0);
                }
            });
            scope.spawn(|| {
                while working() {
                    let mut sections = Vec::new();
                    let Ok(span) = rig.engine.snapshot(now(), |section| {
                        sections.push(section);
                        Ok::<(), Infallible>(())
                    });
                    let records = rig.journal.records();
                    let back = recover(rig.config, &sections, span, &records).finish(Arc::new(MemoryJournal::new()));
                    let fresh =
                        replay(rig.config, &records).expect("it replays").finish(Arc::new(MemoryJournal::new()));
                    assert_eq!(dump::dump(&back, []), dump::dump(&fresh, []), "from the snapshot, and from the log");
                    assert_eq!(back.audit().violations, vec![]);
                }
            });
        });
        check(&rig);
        let counts = rig.engine.counts();
        let shipped = shipped(&rig.engine);
        for (sku, units) in on_hand(&rig.engine) {
            let shipped = shipped.get(&sku).copied().unwrap_or(0);
            assert_eq!(units + shipped, received[&sku], "units of SKU {sku} are conserved: {counts:?}");
        }
        assert!(!shipped.is_empty() && counts.ended > 100, "much has happened: {counts:?}");
    });
}

fn step(random: &mut Random, known: &Mutex<Vec<(ReservationId, bool)>>) -> (bool, Command) {
    let (id, twin) = {
        let known = known.lock().expect("alive");
        let young = known.len().saturating_sub(1 + random.below(12));
        known.get(young).copied().unwrap_or((ReservationId(0), true))
    };
    let ttl = 200 + u64::try_from(random.below(4_000)).unwrap_or(0);
    match random.below(10) {
        0..=1 => (true, reserve(&[("D", 1), ("E", 1)], ttl)),
        2..=4 => {
            let units = u32::try_from(1 + random.below(3)).unwrap_or(1);
            (false, reserve(&[(random.pick(&SKUS[..3]), units), (random.pick(&SKUS[..3]), 1)], ttl))
        }
        // A pair ends as a pair.
        5 => (twin, Command::Reservation(id, Step::Release)),
        6 if twin => (twin, Command::Reservation(id, Step::Cancel(vec![]))),
        6 => {
            let sku = random.pick(&SKUS[..3]).into();
            let line = LineSelection { sku, location: String::new(), quantity: Some(Quantity(1)) };
            (false, Command::Reservation(id, Step::Cancel(vec![line])))
        }
        7 => (twin, Command::Reservation(id, Step::Confirm)),
        8 if twin => (twin, Command::Reservation(id, Step::Extend(Micros(ttl)))),
        8 => {
            let (sku, to) = (random.pick(&SKUS[..3]).into(), random.pick(&LOCATIONS).into());
            let reassign = Reassign { sku, from: String::new(), to, quantity: None, refused: false };
            (false, Command::Reservation(id, Step::Reassign(reassign)))
        }
        _ => (twin, Command::Reservation(id, Step::Ship(vec![]))),
    }
}

fn on_hand(engine: &Engine) -> BTreeMap<u32, u64> {
    let skus: Vec<_> = engine.catalogue().skus().iter().map(|sku| sku.id).collect();
    let sum = |sku| engine.cells(sku, None, usize::MAX - 1).1.iter().map(|cell| cell.buckets.on_hand.units()).sum();
    skus.into_iter().map(|sku| (sku.0, sum(sku))).collect()
}

fn shipped(engine: &Engine) -> BTreeMap<u32, u64> {
    let mut shipped = BTreeMap::new();
    for one in dump::reservations(engine, &ReservationFilter::default()) {
        for line in one.lines.iter().filter(|line| !line.shipped.is_zero()) {
            *shipped.entry(line.sku.0).or_default() += line.shipped.units();
        }
    }
    shipped
}

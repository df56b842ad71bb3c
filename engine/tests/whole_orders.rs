//! Orders of several SKUs, split over several places, and the power cut at every call of the disk: after the restart each order is there
//! whole, in one of its states, or it was never made. What had become durable is there.
//!
//! `WHOLE_ORDERS_SEEDS` sets how often each cut is made, with another part of what was not synced surviving.

mod support;

use std::{collections::BTreeMap, sync::Arc};

use quartermaster_engine::{
    Engine, EngineConfig, Verdict,
    command::{CellCode, Command, ReceiveStock, Reserve, ReserveLine, Step, StockCommand, StockReason},
    event::Event,
    id::ReservationId,
    quantity::Quantity,
    query::ReservationFilter,
    recovery::Recovery,
    reservation::State,
    time::{Micros, Timestamp},
};
use quartermaster_journal::{Journal, Log, LogConfig, Lsn, SimStorage};
use support::{T0, cases, generate::setup, request};

/// Units of each SKU in an order, half from each of the places.
const LINES: [(&str, u32); 3] = [("C", 24), ("D", 28), ("E", 36)];
const PLACES: [&str; 2] = ["L1", "L2"];
const ORDERS: u64 = 12;

/// What callers had heard when the power went.
#[derive(Default)]
struct Told {
    /// By order: its reservation, and the newest state that was durable.
    orders: BTreeMap<u64, (ReservationId, State)>,
}

fn reserve() -> Command {
    let lines = LINES.iter().flat_map(|(sku, units)| {
        PLACES.map(|place| ReserveLine {
            sku: (*sku).into(),
            quantity: Quantity(units / 2),
            location: place.into(),
            sourcing: None,
        })
    });
    Command::Reserve(Reserve {
        order_id: "".into(),
        buyer_id: "ann".into(),
        channel: "".into(),
        lines: lines.collect(),
        ttl: Micros::from_secs(3_600),
        allow_partial: false,
        replaces: None,
        unchanged_since_lsn: 0,
        sourcing: None,
        asked: None,
    })
}

/// Brings as much as an order takes.
fn arrival() -> Command {
    let cells = LINES.iter().flat_map(|(sku, units)| {
        PLACES.map(|location| {
            let cell = CellCode { sku: (*sku).into(), location: location.into() };
            (cell, Quantity(units / 2))
        })
    });
    let (receipts, reference) = (cells.collect(), String::new());
    Command::Stock(StockCommand::Receive(ReceiveStock {
        receipts,
        from_incoming: false,
        reason: StockReason(5),
        reference,
    }))
}

fn open(storage: &SimStorage) -> Result<(Engine, Log<SimStorage>), quartermaster_journal::Error> {
    let mut recovery = Recovery::new(EngineConfig::default());
    let (log, _) = Log::open(storage.clone(), LogConfig::small(), Lsn::new(1), &mut |lsn, _, record| {
        recovery.replay(lsn, record).map_err(Into::into)
    })?;
    let engine = recovery.finish(Arc::new(log.clone()));
    Ok((engine, log))
}

/// Makes orders and carries each to another end, until it is done or the power goes.
fn run(storage: &SimStorage, told: &mut Told) -> Result<(), quartermaster_journal::Error> {
    let (engine, log) = open(storage)?;
    let submit = |id: String, command: &Command| engine.submit(&request(&id), command, Timestamp(T0));
    for (place, command) in setup(0).iter().enumerate() {
        let _poisoned = submit(format!("setup{place}"), command);
        log.step()?;
    }
    for order in 0..ORDERS {
        let _poisoned = submit(format!("arrival{order}"), &arrival());
        let Ok(answer) = submit(format!("order{order}"), &reserve()) else { break };
        let Verdict::Done(Event::Held(held)) = &answer.verdict else { panic!("{answer:?}") };
        assert_eq!(held.lines.len(), LINES.len() * PLACES.len());
        let id = held.reservation;
        let mut newest = (answer.lsn, State::Held);
        // Every other event waits in the same batch as its order's first.
        if order % 2 == 0 {
            log.step()?;
        }
        let steps: &[(Step, State)] = match order % 4 {
            0 => &[(Step::Confirm, State::Confirmed), (Step::Ship(Vec::new()), State::Shipped)],
            1 => &[(Step::Release, State::Released)],
            2 => &[(Step::Confirm, State::Confirmed), (Step::Cancel(Vec::new()), State::Cancelled)],
            _ => &[],
        };
        for (step, state) in steps {
            if log.durable_lsn() >= newest.0 {
                told.orders.insert(order, (id, newest.1));
            }
            let Ok(answer) = submit(format!("{state:?}{order}"), &Command::Reservation(id, step.clone())) else {
                break;
            };
            newest = (answer.lsn, *state);
        }
        log.step()?;
        assert!(log.durable_lsn() >= newest.0, "a step makes durable what was appended");
        told.orders.insert(order, (id, newest.1));
    }
    log.close()
}

/// Every order is whole; every cell holds what orders say; nothing durable is missing. Gives how many orders there are.
fn check(storage: &SimStorage, told: &Told, context: &str) -> usize {
    let (engine, _log) = open(storage).unwrap_or_else(|error| panic!("{context}: {error}"));
    let (_, orders, more) = engine.reservations(&ReservationFilter::default(), None, 1_000);
    assert!(!more);
    let catalogue = engine.catalogue();
    for order in &orders {
        for (sku, units) in LINES {
            let sku = catalogue.sku(sku).unwrap_or_else(|| panic!("{context}: no SKU {sku}"));
            let own = order.lines.iter().filter(|line| line.sku == sku);
            let sum = own
                .map(|line| (line.open.units(), line.shipped.units()))
                .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
            let whole = match order.state {
                State::Held | State::Confirmed => (u64::from(units), 0),
                State::Shipped => (0, u64::from(units)),
                _ => (0, 0),
            };
            assert_eq!(sum, whole, "{context}: units open and shipped of an order that is {:?}", order.state);
        }
    }
    drop(catalogue);
    for (number, (id, state)) in &told.orders {
        let found = orders.iter().find(|order| order.id == *id);
        let found = found.unwrap_or_else(|| panic!("{context}: order {number} was told {state:?} and is gone"));
        let later: &[State] = match state {
            State::Held => &[State::Confirmed, State::Shipped, State::Released, State::Cancelled],
            State::Confirmed => &[State::Shipped, State::Cancelled],
            _ => &[],
        };
        let kept = found.state == *state || later.contains(&found.state);
        assert!(kept, "{context}: order {number} was told {state:?} and is {:?}", found.state);
    }
    assert_eq!(engine.audit().violations, vec![], "{context}");
    orders.len()
}

#[test]
fn an_order_is_whole_or_not_there_wherever_the_power_is_cut() {
    let whole = SimStorage::new();
    let mut told = Told::default();
    run(&whole, &mut told).expect("the power stays on");
    let calls = whole.calls();
    assert_eq!(check(&whole, &told, "no cut"), told.orders.len());
    let (mut orders, mut found) = (0, [0_usize; 2]);
    for cut in 0..calls {
        for seed in 0..u64::from(cases("WHOLE_ORDERS_SEEDS", 8)) {
            let storage = SimStorage::new();
            storage.power_off_after(cut);
            let mut told = Told::default();
            assert!(run(&storage, &mut told).is_err(), "cut {cut} of {calls}");
            let seed = cut * 1_000_003 + seed;
            let context = format!("cut {cut} of {calls}, seed {seed}");
            let there = check(&storage.crash(seed), &told, &context);
            orders += there;
            found[usize::from(there > told.orders.len())] += 1;
        }
    }
    // Cuts that lost orders nobody had heard of, and cuts that kept some: both must happen, or nothing was tested.
    assert!(orders > 500 && found[0] > 0 && found[1] > 0, "{orders} orders found, {found:?}");
}

//! The power goes at every call to the disk of a run with rotation, snapshots and trimming, and again at a call of the recovery after it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use quartermaster_engine::{
    EngineConfig,
    command::{AdjustStock, Bucket, CellCode, Command, Request, StockCommand, StockReason},
};
use quartermaster_journal::{Journal as _, LogConfig, Lsn, SimStorage};
use quartermaster_node::{Core, CoreConfig};
use quartermaster_sim::{SimClock, Tap, folded_hash, state_hash, workload::setup};

type Records = Arc<Mutex<Vec<Vec<u8>>>>;

/// Changes of stock after the setup. Each is so long that five fill a segment.
const CHANGES: usize = 24;

fn config() -> CoreConfig {
    CoreConfig {
        engine: EngineConfig::default(),
        log: LogConfig::small(),
        snapshot_interval: Duration::ZERO,
        snapshot_after_bytes: 0,
        journal_keep: Duration::ZERO,
        disk_budget_bytes: 0,
    }
}

fn open(storage: &SimStorage, records: &Records) -> Option<Core<SimStorage, SimClock>> {
    let tap = |log: &_| Arc::new(Tap::new(Clone::clone(log), Arc::clone(records))) as _;
    Core::open(storage.clone(), &config(), SimClock::at(1_700_000_000_000_000), tap).ok()
}

fn commands() -> Vec<Command> {
    let change = |_| {
        let cell = CellCode { sku: "A".into(), location: "L1".into() };
        let (reason, reference) = (StockReason(2), "x".repeat(12_000));
        Command::Stock(StockCommand::Adjust(AdjustStock { cell, bucket: Bucket::OnHand, delta: 1, reason, reference }))
    };
    setup().into_iter().chain((0..CHANGES).map(change)).collect()
}

/// Runs until the disk is gone, or to the end. Gives what was told to be durable.
fn standard_run(storage: &SimStorage, records: &Records) -> Lsn {
    let Some(core) = open(storage, records) else { return Lsn::ZERO };
    let log = core.log();
    for (place, command) in commands().iter().enumerate() {
        let request = Request { id: format!("q{place}").into(), actor: "test".into() };
        if core.engine().submit(&request, command, core.now()).is_err() || log.step().is_err() {
            break;
        }
        // Two snapshots in a row: nothing else that happens between them makes the first one's name durable.
        let snapshot = [4, 5].contains(&(place % 6));
        let ends = place % 3 == 2 && log.prepare_spare().is_err() || snapshot && core.take_snapshot().is_err();
        if ends {
            break;
        }
    }
    log.durable_lsn()
}

/// Ways in which a crash at one call leaves the disk.
fn crashes() -> u64 {
    std::env::var("SIM_CRASHES").map_or(6, |text| text.parse().expect("a number"))
}

/// Every other call, because a test has one core.
#[test]
fn the_power_goes_at_every_call_and_again_while_recovering() {
    the_power_goes_at_every_other_call_from(0);
}

#[test]
fn the_power_goes_at_every_call_between_those() {
    the_power_goes_at_every_other_call_from(1);
}

fn the_power_goes_at_every_other_call_from(first: u64) {
    let (whole, kept) = (SimStorage::new(), Records::default());
    let all = standard_run(&whole, &kept);
    assert_eq!(all.get(), u64::try_from(commands().len()).unwrap());
    let segments = open(&whole.restart(), &kept).unwrap().log().segments();
    assert!(segments[0].first_lsn > Lsn::new(1), "segments are trimmed in this run");
    let calls = whole.calls();
    // The state after each record, folded once: every run appends the same.
    let mut folded = BTreeMap::new();
    for call in (first..calls).step_by(2) {
        let (ended, appended) = (SimStorage::new(), Records::default());
        ended.power_off_after(call);
        let told = standard_run(&ended, &appended);
        let appended = appended.lock().clone();
        assert_eq!(appended[..], kept.lock()[..appended.len()], "every run is the same, up to its end");
        for way in 0..crashes() {
            let (mut storage, records) = (ended.clone(), Arc::new(Mutex::new(appended.clone())));
            // Twice in a row, every other time: the machine dies again while it recovers, a little later for each place.
            for again in [(call + way) % 7, (call + way) % 13].into_iter().filter(|_| way % 2 == 0) {
                storage = storage.crash(call * 1_000 + way);
                storage.power_off_after(again);
                drop(open(&storage, &records));
            }
            let back = open(&storage.crash(call * 1_000 + way + 1), &records);
            let back = back.unwrap_or_else(|| panic!("no start after call {call}, crash {way}"));
            let recovered = back.log().appended_lsn();
            assert!(recovered >= told, "told {told}, recovered {recovered} after call {call}, crash {way}");
            let prefix = &appended[..usize::try_from(recovered.get()).unwrap()];
            let expected =
                folded.entry(recovered).or_insert_with(|| folded_hash(EngineConfig::default(), prefix).unwrap());
            assert_eq!(*expected, state_hash(back.engine()), "call {call}, crash {way}");
        }
    }
    println!("every other one of {calls} calls from {first} on the last one, {} ways of a crash each", crashes());
}

//! Power cuts and failing disks: whatever was acknowledged is there, and what is there is a prefix.
//!
//! Every case is drawn from a seed that the message names; `JOURNAL_TEST_SEEDS` sets how many are run.

mod common;

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::{append, check, open_from, record};
use proptest::prelude::*;
use quartermaster_journal::storage::{Fault, SimOperation};
use quartermaster_journal::{AppendError, Durability, Epoch, Error, Journal, Log, LogConfig, Lsn, SimStorage};

fn seeds(default: u64) -> u64 {
    std::env::var("JOURNAL_TEST_SEEDS").map_or(default, |seeds| seeds.parse().unwrap())
}

/// What a run got to know before it ended.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    epoch: Epoch,
    acknowledged: Lsn,
    /// What a snapshot may rest on.
    needed_from: Lsn,
}

/// Opens, checks what is there against what was known, and works until it is done or the disk fails.
fn run(storage: &SimStorage, config: &LogConfig, known: &mut Known, rounds: u64) -> Result<(), Error> {
    let from = known.needed_from.max(Lsn::new(1));
    let mut found = common::Found::new();
    let (log, report) = Log::open(storage.clone(), config.clone(), from, &mut |lsn, epoch, bytes| {
        found.push((lsn, epoch, bytes.to_vec()));
        Ok(())
    })?;
    check(&found, from.get(), report.last_lsn.get());
    assert!(report.last_lsn >= known.acknowledged, "{known:?}, found only up to {}", report.last_lsn);
    assert!(report.epoch > known.epoch, "{known:?}, opened again as {}", report.epoch);
    assert!(found.iter().all(|(_, epoch, _)| *epoch < report.epoch));
    *known = Known { epoch: report.epoch, acknowledged: report.last_lsn, ..*known };
    for round in 0..rounds {
        append(&log, 1 + round % 7 * 9);
        log.step()?;
        known.acknowledged = known.acknowledged.max(log.durable_lsn());
        if round % 4 == 3 {
            log.prepare_spare()?;
        }
        if round % 11 == 10 {
            // A snapshot: from here on nothing before it is needed.
            log.sync()?;
            known.acknowledged = log.durable_lsn();
            known.needed_from = Lsn::new(log.durable_lsn().get() / 2 + 1);
            log.trim(known.needed_from)?;
        }
    }
    log.close()?;
    known.acknowledged = log.durable_lsn();
    Ok(())
}

const ROUNDS: u64 = 24;

fn calls_of_a_whole_run() -> u64 {
    let storage = SimStorage::new();
    run(&storage, &LogConfig::small(), &mut Known::default(), ROUNDS).unwrap();
    storage.calls()
}

#[test]
fn a_power_cut_at_any_call_loses_nothing_acknowledged_even_when_recovery_is_cut_too() {
    let calls = calls_of_a_whole_run();
    for cut in 0..calls {
        for seed in 0..seeds(4) {
            let seed = cut * 1_000_003 + seed;
            let mut known = Known::default();
            let storage = SimStorage::new();
            storage.power_off_after(cut);
            let result = run(&storage, &LogConfig::small(), &mut known, ROUNDS);
            assert!(result.is_err(), "cut {cut} of {calls}");
            // The power fails again, twice, during recovery and just after it.
            let storage = storage.crash(seed);
            storage.power_off_after(seed % 17);
            let _ = run(&storage, &LogConfig::small(), &mut known, 2);
            let storage = storage.crash(seed + 1);
            storage.power_off_after(seed % 29);
            let _ = run(&storage, &LogConfig::small(), &mut known, 2);
            let storage = storage.crash(seed + 2);
            if let Err(error) = run(&storage, &LogConfig::small(), &mut known, 3) {
                panic!("cut {cut}, seed {seed}, {known:?}: {error}");
            }
        }
    }
}

#[test]
fn a_failure_at_any_call_stops_all_acknowledgement_and_no_sync_is_retried() {
    let operations = [
        (SimOperation::Open, ErrorKind::PermissionDenied),
        (SimOperation::Write, ErrorKind::Other),
        (SimOperation::Write, ErrorKind::StorageFull),
        (SimOperation::Sync, ErrorKind::Other),
        (SimOperation::Rename, ErrorKind::Other),
        (SimOperation::Remove, ErrorKind::Other),
        (SimOperation::SyncDirectory, ErrorKind::Other),
    ];
    for (operation, kind) in operations {
        for after in 0.. {
            let storage = SimStorage::new();
            storage.inject(Fault { operation, after, kind });
            let mut known = Known::default();
            let result = run(&storage, &LogConfig::small(), &mut known, ROUNDS);
            assert_eq!(storage.retried_syncs(), 0, "{operation:?} number {after}");
            let done = result.is_ok();
            // The process dies, the machine goes on; later it loses power after all.
            let again = storage.restart();
            run(&again, &LogConfig::small(), &mut known, 3)
                .unwrap_or_else(|error| panic!("{operation:?} number {after}: {error}"));
            let again = again.crash(after);
            run(&again, &LogConfig::small(), &mut known, 3)
                .unwrap_or_else(|error| panic!("{operation:?} number {after}, then a crash: {error}"));
            if done {
                break;
            }
        }
    }
}

#[test]
fn a_failed_sync_poisons_for_ever_and_tells_everyone_once() {
    for operation in [SimOperation::Write, SimOperation::Sync] {
        let storage = SimStorage::new();
        let (log, _, _) = open_from(&storage, LogConfig::small(), Lsn::new(1)).unwrap();
        let fatal = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&fatal);
        log.on_fatal(move |_| {
            told.fetch_add(1, Ordering::SeqCst);
        });
        let lsn = log.append(&record(1)).unwrap();
        let waiter = std::thread::spawn({
            let log = log.clone();
            move || log.wait_durable(lsn)
        });
        storage.inject(Fault { operation, after: 0, kind: ErrorKind::StorageFull });
        let Err(Error::Poisoned { source }) = log.step() else { panic!("the step succeeded") };
        assert!(matches!(*source, Error::NoSpace { .. }), "{source}");
        assert_eq!(log.append(b"more"), Err(AppendError::Poisoned));
        assert!(matches!(waiter.join().unwrap(), Err(Error::Poisoned { .. })));
        let calls = storage.calls();
        assert!(log.step().is_err() && log.close().is_err() && log.sync().is_err() && log.trim(lsn).is_err());
        assert!(log.prepare_spare().is_err());
        assert_eq!(storage.calls(), calls, "a poisoned log leaves the disk alone");
        assert_eq!((log.durable_lsn(), fatal.load(Ordering::SeqCst)), (Lsn::ZERO, 1));
        let late = Arc::clone(&fatal);
        log.on_fatal(move |_| {
            late.fetch_add(10, Ordering::SeqCst);
        });
        assert_eq!(fatal.load(Ordering::SeqCst), 11, "who registers late is told at once");
    }
}

#[test]
fn the_committer_thread_ends_on_failure_and_stop_says_so() {
    let storage = SimStorage::new();
    let (log, _, _) = open_from(&storage, LogConfig::small(), Lsn::new(1)).unwrap();
    log.prepare_spare().unwrap();
    let committer = log.spawn_committer().unwrap();
    storage.inject(Fault { operation: SimOperation::Sync, after: 0, kind: ErrorKind::Other });
    let lsn = log.append(b"lost").unwrap();
    assert!(matches!(log.wait_durable(lsn), Err(Error::Poisoned { .. })));
    assert!(matches!(committer.stop(), Err(Error::Poisoned { .. })));
    assert_eq!(storage.retried_syncs(), 0);
}

#[test]
fn a_full_disk_while_preparing_is_told_and_does_not_stop_the_log() {
    let storage = SimStorage::new();
    let (log, _, _) = open_from(&storage, LogConfig::small(), Lsn::new(1)).unwrap();
    storage.inject(Fault { operation: SimOperation::Write, after: 0, kind: ErrorKind::StorageFull });
    assert!(matches!(log.prepare_spare(), Err(Error::NoSpace { .. })));
    let stats = log.stats();
    assert_eq!((stats.spare_failures, stats.spare_segments), (1, 0));
    assert!(stats.headroom_bytes > 0);
    append(&log, 3);
    log.step().unwrap();
    assert!(log.prepare_spare().unwrap(), "space came back");
    assert_eq!(log.stats().spare_segments, 1);
}

#[test]
fn without_fsync_a_crash_leaves_a_prefix_that_holds_what_was_synced() {
    for durability in [Durability::None, Durability::Interval(Duration::from_secs(3600))] {
        let config = LogConfig { durability, ..LogConfig::small() };
        for seed in 0..seeds(300) {
            let storage = SimStorage::new();
            let (log, _, _) = open_from(&storage, config.clone(), Lsn::new(1)).unwrap();
            for _ in 0..seed % 23 {
                append(&log, 4);
                log.step().unwrap();
            }
            if seed % 3 == 0 {
                log.sync().unwrap();
            }
            let synced = log.synced_lsn();
            for _ in 0..seed % 5 {
                append(&log, 6);
                log.step().unwrap();
            }
            let storage = storage.crash(seed);
            let opened = open_from(&storage, config.clone(), Lsn::new(1));
            let (log, report, found) = opened.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            check(&found, 1, report.last_lsn.get());
            assert!(report.last_lsn >= synced, "seed {seed}");
            // What recovery has shown is durable from then on.
            drop(log);
            let (_, again, _) = open_from(&storage.crash(seed), config.clone(), Lsn::new(1)).unwrap();
            assert_eq!(again.last_lsn, report.last_lsn, "seed {seed}");
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Append(u64),
    Commit,
    Prepare,
    Trim,
    Restart,
    Crash(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..60u64).prop_map(Step::Append),
        4 => Just(Step::Commit),
        1 => Just(Step::Prepare),
        1 => Just(Step::Trim),
        1 => Just(Step::Restart),
        2 => any::<u64>().prop_map(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: u32::try_from(seeds(150)).unwrap(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_with_crashes_keeps_what_was_acknowledged(steps in prop::collection::vec(step(), 1..60)) {
        let mut storage = SimStorage::new();
        let mut known = Known::default();
        let (mut log, _, _) = open_from(&storage, LogConfig::small(), Lsn::new(1)).unwrap();
        for step in steps {
            let reopened = match step {
                Step::Append(count) => { append(&log, count); None }
                Step::Commit => { log.step().unwrap(); None }
                Step::Prepare => { log.prepare_spare().unwrap(); None }
                Step::Trim => {
                    log.sync().unwrap();
                    known.needed_from = log.durable_lsn();
                    log.trim(known.needed_from).unwrap();
                    None
                }
                Step::Restart => Some(storage.restart()),
                Step::Crash(seed) => Some(storage.crash(seed)),
            };
            known.acknowledged = log.durable_lsn();
            known.epoch = log.epoch();
            if let Some(after) = reopened {
                storage = after;
                let from = known.needed_from.max(Lsn::new(1));
                let (opened, report, found) = open_from(&storage, LogConfig::small(), from).unwrap();
                check(&found, from.get(), report.last_lsn.get());
                prop_assert!(report.last_lsn >= known.acknowledged);
                prop_assert!(report.epoch > known.epoch);
                log = opened;
            }
        }
    }
}

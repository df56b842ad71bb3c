//! What a log promises while nothing goes wrong, and what it refuses.

mod common;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use common::{append, check, open, open_from, read};
use quartermaster_journal::storage::SimOperation;
use quartermaster_journal::{
    AppendError, Durability, Epoch, Error, FileStorage, Journal, Log, LogConfig, Lsn, Next, Replay, SimStorage,
    Storage as _,
};

#[test]
fn records_come_back_after_a_reopen_in_order_and_once() {
    let storage = SimStorage::new();
    let (log, report, _) = open(&storage, LogConfig::small()).unwrap();
    assert_eq!((report.epoch, report.last_lsn), (Epoch::new(1), Lsn::ZERO));
    append(&log, 300);
    log.close().unwrap();
    assert_eq!(log.append(b"late"), Err(AppendError::Closed));
    drop(log);
    let (log, report, found) = open(&storage, LogConfig::small()).unwrap();
    check(&found, 1, 300);
    assert_eq!((report.epoch, report.last_lsn, report.torn_tail), (Epoch::new(2), Lsn::new(300), None));
    assert!(report.segments > 1, "the log was meant to cross segments");
    append(&log, 5);
    log.close().unwrap();
    let (report, found) = read(&storage, Lsn::new(299)).unwrap();
    check(&found, 299, 305);
    assert_eq!(found[0].1, Epoch::new(1));
    assert_eq!(found[6].1, Epoch::new(2));
    assert_eq!(report.records, 7);
}

#[test]
fn nothing_is_durable_before_its_step_and_each_step_syncs_once() {
    let storage = SimStorage::new();
    let (log, _, _) = open(&storage, LogConfig::small()).unwrap();
    append(&log, 3);
    assert_eq!((log.appended_lsn(), log.durable_lsn()), (Lsn::new(3), Lsn::ZERO));
    let syncs = storage.count(SimOperation::Sync);
    let writes = storage.count(SimOperation::Write);
    let report = log.step().unwrap();
    assert_eq!((report.records, report.synced, report.more), (3, true, false));
    assert_eq!(storage.count(SimOperation::Sync), syncs + 1);
    assert_eq!(storage.count(SimOperation::Write), writes + 1);
    assert_eq!(log.durable_lsn(), Lsn::new(3));
    log.step().unwrap();
    assert_eq!(storage.count(SimOperation::Sync), syncs + 1, "an idle step touches nothing");
    let stats = log.stats();
    assert_eq!((stats.appends, stats.batches, stats.syncs, stats.backlog_bytes), (3, 1, 1, 0));
}

#[test]
fn an_open_from_the_middle_reads_no_segment_before_it() {
    let storage = SimStorage::new();
    let (log, _, _) = open(&storage, LogConfig::small()).unwrap();
    append(&log, 500);
    log.close().unwrap();
    let last = log.segments().last().unwrap().first_lsn;
    drop(log);
    let (_, report, found) = open_from(&storage, LogConfig::small(), last.next()).unwrap();
    check(&found, last.get() + 1, 500);
    assert!(report.batches < 5);
}

#[test]
fn a_log_that_does_not_reach_the_place_asked_for_is_refused() {
    let storage = SimStorage::new();
    let (log, _, _) = open(&storage, LogConfig::small()).unwrap();
    append(&log, 10);
    log.close().unwrap();
    drop(log);
    assert!(open_from(&storage, LogConfig::small(), Lsn::new(11)).is_ok());
    let error = open_from(&storage, LogConfig::small(), Lsn::new(12)).unwrap_err();
    assert!(matches!(error, Error::BeyondEnd { wanted, last, .. } if wanted.get() == 12 && last.get() == 10));
    assert!(matches!(read(&storage, Lsn::new(12)), Err(Error::BeyondEnd { .. })));
}

#[test]
fn a_visitor_that_refuses_stops_the_open() {
    let storage = SimStorage::new();
    let (log, _, _) = open(&storage, LogConfig::small()).unwrap();
    append(&log, 3);
    log.close().unwrap();
    drop(log);
    let refused = Log::open(storage, LogConfig::small(), Lsn::new(1), &mut |lsn, _, _| {
        if lsn == Lsn::new(2) { Err("no".into()) } else { Ok(()) }
    });
    assert!(matches!(refused, Err(Error::Visit { lsn, .. }) if lsn == Lsn::new(2)));
}

#[test]
fn who_takes_records_at_its_own_pace_may_refuse_behind_the_last() {
    let storage = SimStorage::new();
    let (log, _, _) = open(&storage, LogConfig::small()).unwrap();
    append(&log, 30);
    log.close().unwrap();
    drop(log);
    let mut found = Vec::new();
    let mut take_all = |replay: &mut Replay<SimStorage>| loop {
        match replay.next_record()? {
            Next::Record(record) => found.push((record.lsn, record.epoch, record.bytes.to_vec())),
            Next::End(end) => return Ok(end),
        }
    };
    let names = |storage: &SimStorage| {
        let mut names = storage.list().unwrap();
        names.sort_unstable();
        names
    };
    let before = names(&storage);
    let refused = Log::open_by(storage.clone(), LogConfig::small(), Lsn::new(3), |replay| {
        take_all(replay)?;
        Err(Error::Visit { lsn: Lsn::new(30), source: "no".into() })
    });
    assert!(matches!(refused, Err(Error::Visit { .. })));
    assert_eq!(names(&storage), before, "nothing is begun");
    let (_, report) = Log::open_by(storage, LogConfig::small(), Lsn::new(4), &mut take_all).unwrap();
    assert_eq!((report.epoch, report.records), (Epoch::new(2), 27));
    check(&found[..28].to_vec(), 3, 30);
    check(&found[28..].to_vec(), 4, 30);
}

#[test]
fn limits_refuse_and_a_step_makes_room() {
    let storage = SimStorage::new();
    let config = LogConfig { backlog_bytes_max: 32 << 10, ..LogConfig::small() };
    let (log, _, _) = open(&storage, config.clone()).unwrap();
    let limit_bytes = config.record_bytes_max;
    assert_eq!(
        log.append(&vec![0; limit_bytes + 1]),
        Err(AppendError::TooLarge { bytes: limit_bytes + 1, limit_bytes })
    );
    log.append(&vec![1; limit_bytes]).unwrap();
    let full = log.append(&vec![1; limit_bytes]).unwrap_err();
    assert!(matches!(full, AppendError::Full { backlog_bytes, .. } if backlog_bytes == limit_bytes + 4), "{full}");
    log.step().unwrap();
    assert_eq!(log.append(&vec![1; limit_bytes]).unwrap(), Lsn::new(2));
}

#[test]
fn a_setting_out_of_range_is_named() {
    let config = LogConfig { record_bytes_max: 64 << 10, ..LogConfig::small() };
    let error = open(&SimStorage::new(), config).unwrap_err();
    assert!(matches!(error, Error::InvalidConfig { setting: "record_bytes_max", .. }), "{error}");
}

#[test]
fn a_second_writer_is_refused_with_the_pid_of_the_first() {
    let directory = tempfile::tempdir().unwrap();
    let storage = FileStorage::new(directory.path().join("journal"));
    let (log, _, _) = open(&storage, LogConfig::small()).unwrap();
    let error = open(&storage, LogConfig::small()).unwrap_err();
    assert!(matches!(error, Error::Locked { holder: Some(pid), .. } if pid == std::process::id()), "{error}");
    append(&log, 1);
    log.close().unwrap();
    drop(log);
    check(&open(&storage, LogConfig::small()).unwrap().2, 1, 1);
}

#[test]
fn another_shards_directory_is_refused() {
    let storage = SimStorage::new();
    drop(open(&storage, LogConfig::small()).unwrap());
    let error = open(&storage, LogConfig { shard: 7, ..LogConfig::small() }).unwrap_err();
    assert!(matches!(error, Error::WrongShard { found: 0, expected: 7, .. }), "{error}");
}

#[test]
fn many_appenders_get_dense_positions_and_all_is_durable_and_in_order() {
    const THREADS: u64 = 4;
    const EACH: u64 = 2_000;
    let directory = tempfile::tempdir().unwrap();
    let storage = FileStorage::new(directory.path());
    let (log, _, _) = open(&storage, LogConfig::small()).unwrap();
    let highest = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&highest);
    log.on_durable(move |lsn| {
        assert!(seen.swap(lsn.get(), Ordering::SeqCst) < lsn.get(), "the position only rises");
    });
    let committer = log.spawn_committer().unwrap();
    let barrier = Barrier::new(usize::try_from(THREADS).unwrap());
    let written: Vec<Vec<(Lsn, Vec<u8>)>> = std::thread::scope(|scope| {
        let appenders: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (log, barrier) = (&log, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    let append = |number: u64| {
                        let bytes = (thread * EACH + number).to_le_bytes().to_vec();
                        let lsn = log.append(&bytes).unwrap();
                        if number.is_multiple_of(500) {
                            log.wait_durable(lsn).unwrap();
                            assert!(log.durable_lsn() >= lsn);
                        }
                        (lsn, bytes)
                    };
                    (0..EACH).map(append).collect()
                })
            })
            .collect();
        appenders.into_iter().map(|appender| appender.join().unwrap()).collect()
    });
    let live: Vec<Lsn> = {
        let mut reader = log.reader(Lsn::ZERO).unwrap();
        std::iter::from_fn(|| reader.next_record().unwrap().map(|record| record.lsn)).collect()
    };
    assert_eq!(live, (1..=live.len()).map(|lsn| Lsn::new(u64::try_from(lsn).unwrap())).collect::<Vec<_>>());
    committer.stop().unwrap();
    assert_eq!(highest.load(Ordering::SeqCst), THREADS * EACH);
    drop(log);
    let mut expected: Vec<(Lsn, Vec<u8>)> = written.into_iter().flatten().collect();
    expected.sort();
    let (_, _, found) = open(&storage, LogConfig::small()).unwrap();
    let found: Vec<(Lsn, Vec<u8>)> = found.into_iter().map(|(lsn, _, bytes)| (lsn, bytes)).collect();
    assert_eq!(found, expected);
}

#[test]
fn without_fsync_a_step_acknowledges_on_write_and_close_syncs() {
    for durability in [Durability::None, Durability::Interval(Duration::from_secs(3600))] {
        let storage = SimStorage::new();
        let (log, _, _) = open(&storage, LogConfig { durability, ..LogConfig::small() }).unwrap();
        append(&log, 4);
        let syncs = storage.count(SimOperation::Sync);
        let report = log.step().unwrap();
        assert_eq!((report.synced, log.durable_lsn(), log.synced_lsn()), (false, Lsn::new(4), Lsn::ZERO));
        assert_eq!(report.sync_due.is_some(), durability != Durability::None);
        assert_eq!(storage.count(SimOperation::Sync), syncs);
        log.close().unwrap();
        assert_eq!(log.synced_lsn(), Lsn::new(4));
        assert_eq!(storage.count(SimOperation::Sync), syncs + 1);
    }
}

#[test]
fn an_interval_that_has_passed_syncs_with_the_next_step() {
    let storage = SimStorage::new();
    let durability = Durability::Interval(Duration::ZERO);
    let (log, _, _) = open(&storage, LogConfig { durability, ..LogConfig::small() }).unwrap();
    append(&log, 1);
    assert!(log.step().unwrap().synced);
}

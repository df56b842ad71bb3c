//! Of a burst nothing is committed before somebody waits, before there is enough, or before it ends.

mod common;

use std::sync::mpsc;

use common::{append, open};
use quartermaster_journal::{Journal, Log, LogConfig, Lsn, SimStorage};

fn log() -> Log<SimStorage> {
    open(&SimStorage::new(), LogConfig::small()).unwrap().0
}

#[test]
fn a_burst_is_committed_in_one_piece() {
    let log = log();
    let committer = log.spawn_committer().unwrap();
    for last in [20, 40] {
        let burst = log.burst();
        append(&log, 20);
        assert!(log.durable_lsn() <= Lsn::new(last - 20), "somebody committed what nobody waits for");
        drop(burst);
        log.wait_durable(Lsn::new(last)).unwrap();
    }
    assert_eq!((log.stats().batches, log.stats().syncs), (2, 2));
    committer.stop().unwrap();
}

#[test]
fn who_waits_is_served_while_the_burst_goes_on() {
    let log = log();
    let committer = log.spawn_committer().unwrap();
    let _burst = log.burst();
    append(&log, 10);
    log.wait_durable(Lsn::new(3)).unwrap();
    assert_eq!((log.durable_lsn(), log.stats().batches), (Lsn::new(10), 1), "what is there goes with it");
    append(&log, 10);
    log.want(Lsn::new(10));
    assert_eq!(log.durable_lsn(), Lsn::new(10), "that is durable already");
    log.wait_durable(Lsn::new(11)).unwrap();
    assert_eq!((log.durable_lsn(), log.stats().batches), (Lsn::new(20), 2));
    committer.stop().unwrap();
}

#[test]
fn the_last_of_several_bursts_commits() {
    let log = log();
    let committer = log.spawn_committer().unwrap();
    let (first, second) = (log.burst(), log.burst());
    append(&log, 5);
    drop(first);
    append(&log, 5);
    assert_eq!(log.durable_lsn(), Lsn::ZERO);
    drop(second);
    log.wait_durable(Lsn::new(10)).unwrap();
    assert_eq!(log.stats().batches, 1);
    committer.stop().unwrap();
}

#[test]
fn a_long_burst_is_committed_as_it_grows() {
    let log = log();
    let (tell, told) = mpsc::channel();
    log.on_durable(move |lsn| tell.send(lsn).unwrap());
    let committer = log.spawn_committer().unwrap();
    let _burst = log.burst();
    let records = u64::try_from((256 << 10) / 1_000).unwrap();
    (0..records).for_each(|_| {
        log.append(&[7; 1_000]).unwrap();
    });
    assert_eq!(log.durable_lsn(), Lsn::ZERO, "some bytes are missing yet");
    (0..8).for_each(|_| {
        log.append(&[7; 1_000]).unwrap();
    });
    assert!(told.recv().unwrap() >= Lsn::new(1), "nobody waits, and yet it is committed");
    committer.stop().unwrap();
    assert_eq!(log.durable_lsn(), Lsn::new(records + 8));
}

//! The hand-offs of the log under loom: the real `Log`, on a disk in memory, under every interleaving and every value that
//! the memory model lets a load return.
//!
//! `RUSTFLAGS="--cfg loom" CARGO_PROFILE_DEV_OPT_LEVEL=2 cargo test -p quartermaster-journal --lib --target host-tuple models`
//!
//! Exhausted at three preemptions; `LOOM_MAX_PREEMPTIONS` changes that. A hang is a lost wake-up: loom ends with "deadlock".
//! Outside of these models are the counters, which order nothing, and waits that end by time, which loom does not know.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64 as Uncounted, Ordering::SeqCst};

use loom::thread::{self, JoinHandle};

use crate::directory::Directory;
use crate::preparer::Request;
use crate::spare::Spares;
use crate::storage::{CrashStyle, Fault, SimOperation};
use crate::{AppendError, Error, Journal, Log, LogConfig, Lsn, SimStorage, open_read_only};

/// In words. Loom's own stacks are too short for opening a log.
const STACK: usize = 1 << 18;

/// Explores a model and says how many executions that took.
fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.max_branches = 100_000;
    let (model, runs) = (Arc::new(model), Arc::new(Uncounted::new(0)));
    let counted = Arc::clone(&runs);
    builder.check(move || {
        counted.fetch_add(1, SeqCst);
        let model = Arc::clone(&model);
        spawn(move || model()).join().expect("no panic");
    });
    println!("{} executions", runs.load(SeqCst));
}

fn spawn<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::Builder::new().stack_size(STACK).spawn(body).expect("loom has a thread")
}

fn log() -> (Log<SimStorage>, SimStorage) {
    let storage = SimStorage::new();
    let (log, _) =
        Log::open(storage.clone(), LogConfig::small(), Lsn::new(1), &mut |_, _, _| Ok(())).expect("it is new");
    (log, storage)
}

/// The committer's thread.
fn commit(log: &Log<SimStorage>) -> JoinHandle<()> {
    let log = log.clone();
    spawn(move || log.shared.run())
}

/// The newest record that is found after a power cut which takes everything that was not synced.
fn after_power_cut(storage: &SimStorage) -> Lsn {
    let crashed = storage.crash_with(CrashStyle::LoseAll, 1);
    open_read_only(crashed, Lsn::ZERO, &mut |_, _, _| Ok(())).expect("nothing is damaged").last_lsn
}

#[test]
fn an_append_wakes_the_parked_committer() {
    explore(|| {
        let (log, storage) = log();
        let committer = commit(&log);
        let lsn = log.append(b"one").expect("it is open");
        log.wait_durable(lsn).expect("the disk works");
        assert!(after_power_cut(&storage) >= lsn, "acknowledged before it was synced");
        log.close().expect("the disk works");
        committer.join().expect("it ends");
    });
}

#[test]
fn what_was_held_back_is_committed_when_the_burst_ends() {
    explore(|| {
        let (log, storage) = log();
        let committer = commit(&log);
        let burst = log.burst();
        let lsn = log.append(b"one").expect("it is open");
        drop(burst);
        log.wait_durable(lsn).expect("the disk works");
        assert!(after_power_cut(&storage) >= lsn, "acknowledged before it was synced");
        log.close().expect("the disk works");
        committer.join().expect("it ends");
    });
}

#[test]
fn who_waits_beside_a_burst_is_served() {
    explore(|| {
        let (log, _) = log();
        let committer = commit(&log);
        let other = {
            let log = log.clone();
            spawn(move || {
                let _burst = log.burst();
                let lsn = log.append(b"of many").expect("it is open");
                log.wait_durable(lsn).expect("the disk works");
            })
        };
        let mine = log.append(b"mine").expect("it is open");
        log.wait_durable(mine).expect("the disk works");
        other.join().expect("no panic");
        log.close().expect("the disk works");
        committer.join().expect("it ends");
    });
}

#[test]
fn what_two_append_is_committed_in_their_order() {
    explore(|| {
        let (log, storage) = log();
        let committer = commit(&log);
        let other = {
            let log = log.clone();
            spawn(move || log.append(b"two").expect("it is open"))
        };
        let mine = log.append(b"one").expect("it is open");
        log.wait_durable(mine).expect("the disk works");
        let theirs = other.join().expect("no panic");
        assert_ne!(mine, theirs);
        log.close().expect("the disk works");
        assert_eq!((log.durable_lsn(), after_power_cut(&storage)), (Lsn::new(2), Lsn::new(2)));
        committer.join().expect("it ends");
    });
}

#[test]
fn durable_never_overtakes_appended() {
    explore(|| {
        let (log, storage) = log();
        let writer = {
            let log = log.clone();
            spawn(move || {
                for record in [b"one", b"two"] {
                    log.append(record).expect("it is open");
                    log.step().expect("the disk works");
                }
            })
        };
        let mut seen = Lsn::ZERO;
        for _ in 0..2 {
            let durable = log.durable_lsn();
            let appended = log.appended_lsn();
            assert!(durable <= appended, "durable {durable}, appended {appended}");
            assert!(seen <= durable, "the durable position fell");
            assert!(after_power_cut(&storage) >= durable, "told before it was synced");
            seen = durable;
        }
        writer.join().expect("no panic");
    });
}

#[test]
fn no_waiter_sleeps_through_the_rise() {
    explore(|| {
        let (log, _) = log();
        let waiter = {
            let log = log.clone();
            spawn(move || log.wait_durable(Lsn::new(1)).expect("the disk works"))
        };
        log.append(b"one").expect("it is open");
        log.step().expect("the disk works");
        waiter.join().expect("it is woken");
    });
}

#[test]
fn what_was_appended_before_the_close_is_durable_after_it() {
    explore(|| {
        let (log, storage) = log();
        let committer = commit(&log);
        let appender = {
            let log = log.clone();
            spawn(move || match log.append(b"one") {
                Ok(lsn) => {
                    log.wait_durable(lsn).expect("a close keeps what was appended");
                    lsn
                }
                Err(AppendError::Closed) => Lsn::ZERO,
                Err(error) => panic!("{error}"),
            })
        };
        log.close().expect("the disk works");
        assert_eq!(log.append(b"late"), Err(AppendError::Closed));
        let appended = log.appended_lsn();
        assert_eq!(log.durable_lsn(), appended);
        assert_eq!(appender.join().expect("no panic"), appended);
        assert_eq!(after_power_cut(&storage), appended);
        committer.join().expect("it ends");
    });
}

#[test]
fn who_waits_for_a_closed_log_is_told() {
    explore(|| {
        let (log, _) = log();
        let waiter = {
            let log = log.clone();
            spawn(move || assert!(matches!(log.wait_durable(Lsn::new(1)), Err(Error::Closed))))
        };
        log.close().expect("the disk works");
        waiter.join().expect("it is woken");
    });
}

#[test]
fn a_failed_sync_is_told_to_all_and_never_acknowledged() {
    explore(|| {
        let (log, storage) = log();
        let fault = Fault { operation: SimOperation::Sync, after: 0, kind: std::io::ErrorKind::Other };
        storage.inject(fault);
        let committer = commit(&log);
        let told = Arc::new(Uncounted::new(0));
        let watcher = {
            let (log, told) = (log.clone(), Arc::clone(&told));
            spawn(move || {
                log.on_fatal(move |_| {
                    told.fetch_add(1, SeqCst);
                });
            })
        };
        let lsn = log.append(b"one").expect("it is open");
        assert!(matches!(log.wait_durable(lsn), Err(Error::Poisoned { .. })));
        assert_eq!(log.durable_lsn(), Lsn::ZERO);
        assert_eq!(log.append(b"late"), Err(AppendError::Poisoned));
        committer.join().expect("it ends");
        watcher.join().expect("no panic");
        assert_eq!(told.load(SeqCst), 1, "the fatal hook is called once");
        assert_eq!(storage.retried_syncs(), 0);
    });
}

#[test]
fn a_call_for_a_spare_is_not_lost() {
    explore(|| {
        let wanted = Arc::new(Request::default());
        let preparer = {
            let wanted = Arc::clone(&wanted);
            spawn(move || assert!(wanted.wait(None), "called, not stopped"))
        };
        wanted.raise();
        preparer.join().expect("it is woken");
        let preparer = {
            let wanted = Arc::clone(&wanted);
            spawn(move || while wanted.wait(None) {})
        };
        wanted.raise();
        wanted.stop();
        preparer.join().expect("it ends");
    });
}

#[test]
fn no_spare_is_given_out_twice() {
    explore(|| {
        let spares = Arc::new(Spares::open(Directory::new(SimStorage::new()), 1 << 10, true).expect("it is new"));
        let preparer = {
            let spares = Arc::clone(&spares);
            spawn(move || {
                spares.prepare().expect("there is room");
            })
        };
        let first = spares.take().expect("there is room").name;
        let second = spares.take().expect("there is room").name;
        preparer.join().expect("no panic");
        let third = spares.take().expect("there is room").name;
        assert!(first != second && second != third && first != third, "{first}, {second}, {third}");
        assert_eq!(spares.ready(), 0);
    });
}

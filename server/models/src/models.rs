//! What must hold of answers that wait.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64 as Uncounted, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use loom::sync::{Condvar, Mutex};
use loom::thread;
use quartermaster_journal::Lsn;

use crate::acks::{Acks, JournalClosed};

/// Explores a model and says how many executions that took.
fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.max_branches = 100_000;
    let runs = Arc::new(Uncounted::new(0));
    let counted = Arc::clone(&runs);
    builder.check(move || {
        counted.fetch_add(1, SeqCst);
        model();
    });
    println!("{} executions", runs.load(SeqCst));
}

/// Wakes a thread that sleeps until its future may go on.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *self.rung.lock().expect("no panic") = true;
        self.heard.notify_one();
    }
}

/// Runs a wait to its end.
fn block_on(acks: &Acks, lsn: u64) -> Result<(), JournalClosed> {
    run(acks.wait(Lsn::new(lsn)))
}

/// Runs a future to its end, asleep in between: without its wake-up it never comes back.
fn run<F: Future>(future: F) -> F::Output {
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(outcome) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return outcome;
        }
        let mut rung = bell.rung.lock().expect("no panic");
        while !*rung {
            rung = bell.heard.wait(rung).expect("no panic");
        }
        *rung = false;
    }
}

/// Raises the watermark on a thread of its own.
fn advancing(acks: &Arc<Acks>, lsn: u64) -> thread::JoinHandle<()> {
    let acks = Arc::clone(acks);
    thread::spawn(move || acks.advance(Lsn::new(lsn)))
}

#[test]
fn who_parks_while_the_watermark_rises_is_woken() {
    explore(|| {
        let acks = Acks::new();
        let committer = {
            let acks = Arc::clone(&acks);
            thread::spawn(move || {
                acks.advance(Lsn::new(1));
                acks.advance(Lsn::new(2));
            })
        };
        assert_eq!(block_on(&acks, 2), Ok(()));
        assert_eq!(acks.durable(), Lsn::new(2), "answered before it was durable");
        committer.join().expect("no panic");
        assert_eq!(acks.waiting(), 0);
    });
}

#[test]
fn who_parks_is_woken_by_the_herald_which_ends_with_the_last_of_them() {
    explore(|| {
        let acks = Acks::new();
        let herald = acks.herald();
        let herald = thread::spawn(move || run(herald));
        let committer = advancing(&acks, 1);
        assert_eq!(block_on(&acks, 1), Ok(()));
        committer.join().expect("no panic");
        drop(acks);
        herald.join().expect("it ends");
    });
}

#[test]
fn who_parks_is_woken_though_the_herald_is_dropped() {
    explore(|| {
        let acks = Acks::new();
        let mut herald = acks.herald();
        assert!(pin!(&mut herald).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let herald = thread::spawn(move || drop(herald));
        let committer = advancing(&acks, 1);
        assert_eq!(block_on(&acks, 1), Ok(()));
        committer.join().expect("no panic");
        herald.join().expect("no panic");
    });
}

#[test]
fn two_waiters_and_two_who_advance() {
    explore(|| {
        let acks = Acks::new();
        let others = [1, 2].map(|lsn| advancing(&acks, lsn));
        let waiter = {
            let acks = Arc::clone(&acks);
            thread::spawn(move || assert_eq!(block_on(&acks, 1), Ok(())))
        };
        assert_eq!(block_on(&acks, 2), Ok(()));
        waiter.join().expect("it is woken");
        others.into_iter().for_each(|other| other.join().expect("no panic"));
        assert_eq!((acks.durable(), acks.waiting()), (Lsn::new(2), 0));
    });
}

/// What is written before a position is told may be read by whoever sees the position.
#[test]
fn who_sees_the_position_sees_what_is_durable() {
    explore(|| {
        let acks = Acks::new();
        let written = Arc::new(loom::cell::UnsafeCell::new(0));
        let committer = {
            let (acks, written) = (Arc::clone(&acks), Arc::clone(&written));
            thread::spawn(move || {
                written.with_mut(|_| ());
                acks.advance(Lsn::new(1));
            })
        };
        if acks.durable() == Lsn::new(1) {
            written.with(|_| ());
        }
        committer.join().expect("no panic");
    });
}

#[test]
fn a_failure_reaches_everyone_above_the_watermark_and_nobody_below() {
    explore(|| {
        let acks = Acks::new();
        let committer = {
            let acks = Arc::clone(&acks);
            thread::spawn(move || {
                acks.advance(Lsn::new(1));
                acks.fail();
            })
        };
        let waiter = {
            let acks = Arc::clone(&acks);
            thread::spawn(move || assert_eq!(block_on(&acks, 1), Ok(()), "it was durable before the failure"))
        };
        assert_eq!(block_on(&acks, 2), Err(JournalClosed));
        waiter.join().expect("it is woken");
        committer.join().expect("no panic");
        assert_eq!(acks.waiting(), 0);
    });
}

#[test]
fn who_gives_up_leaves_no_place_behind_and_takes_no_one_elses_wake_up() {
    explore(|| {
        let acks = Acks::new();
        let committer = advancing(&acks, 1);
        let impatient = {
            let acks = Arc::clone(&acks);
            thread::spawn(move || {
                let waker = Waker::from(Arc::new(Bell::default()));
                let mut wait = pin!(acks.wait(Lsn::new(1)));
                _ = wait.as_mut().poll(&mut Context::from_waker(&waker));
            })
        };
        assert_eq!(block_on(&acks, 1), Ok(()));
        impatient.join().expect("no panic");
        committer.join().expect("no panic");
        assert_eq!(acks.waiting(), 0);
    });
}

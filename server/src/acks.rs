//! Answers that wait for their event to be durable: parks them by LSN and wakes exactly those the journal has passed.
//!
//! The committer raises the watermark first and takes the waiters second; a waiter looks at the watermark again under the same
//! lock before it is parked. So either it sees the new watermark or the committer sees the waiter: no wake-up is lost.
//!
//! A thread of its own would wake a task of the runtime by a call of the system for every few waiters: a worker that it wakes turns to the first
//! of them at once and sleeps again before the next is woken. So the committer wakes a single task, the [`Herald`], and that wakes the waiters,
//! which costs the runtime next to nothing from within.
//!
//! What is parked is bounded by the calls in work: each waiting future holds at most one place.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use quartermaster_journal::Lsn;
use quartermaster_sync::Mutex;
use quartermaster_sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The journal has failed and this event did not become durable in this process. Whether it did on disk is known after the restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal is closed; the outcome is known after the restart")]
pub struct JournalClosed;

/// The waiters and the watermark they wait for.
#[derive(Debug, Default)]
pub struct Acks {
    /// Number of the newest durable LSN. `Release` pairs with `Acquire` in `outcome`: who sees it may also see what is durable.
    durable: AtomicU64,
    failed: AtomicBool,
    /// Guards the places of the waiters; held for one map operation, wakers run outside.
    parked: Mutex<Parked>,
}

#[derive(Debug, Default)]
struct Parked {
    by_lsn: BTreeMap<Place, Waker>,
    tickets: u64,
    /// The task that wakes them; without one, whoever raises the watermark does.
    herald: Option<Waker>,
}

impl Parked {
    /// Takes out those that a watermark has passed.
    fn take(&mut self, durable: Lsn) -> BTreeMap<Place, Waker> {
        let later = self.by_lsn.split_off(&Place { lsn: durable.next(), ticket: 0 });
        std::mem::replace(&mut self.by_lsn, later)
    }
}

/// Where a waiter is parked: by LSN, then in the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    lsn: Lsn,
    ticket: u64,
}

impl Acks {
    /// Nobody waiting, nothing durable.
    pub fn new() -> Arc<Acks> {
        Arc::new(Acks::default())
    }

    /// The newest LSN known to be durable.
    pub fn durable(&self) -> Lsn {
        Lsn::new(self.durable.load(Ordering::Acquire))
    }

    /// Futures that are parked now.
    pub fn waiting(&self) -> usize {
        self.parked.lock().by_lsn.len()
    }

    /// Everything up to `durable` is on disk: has the waiters at or below it woken. Going backwards changes nothing.
    /// Called by the journal's committer, with none of its locks held.
    pub fn advance(&self, durable: Lsn) {
        if self.durable.fetch_max(durable.get(), Ordering::Release) >= durable.get() {
            return;
        }
        let herald = self.parked.lock().herald.clone();
        match herald {
            Some(herald) => herald.wake(),
            None => self.wake_passed(),
        }
    }

    /// A future that wakes the waiters wherever it is polled, for as long as there are any to come: to be spawned in the runtime that they wait in.
    pub fn herald(self: &Arc<Acks>) -> Herald {
        Herald { acks: Arc::downgrade(self) }
    }

    /// Wakes the waiters that the watermark has passed.
    fn wake_passed(&self) {
        let passed = self.parked.lock().take(self.durable());
        passed.into_values().for_each(Waker::wake);
    }

    /// The journal is closed for good: every waiter above the watermark gets [`JournalClosed`], those to come as well.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Release);
        let all = std::mem::take(&mut self.parked.lock().by_lsn);
        all.into_values().for_each(Waker::wake);
    }

    /// Completes when `lsn` is durable; at once, after one atomic load, when it is already. Dropping the future gives its place back.
    pub fn wait(&self, lsn: Lsn) -> Wait<'_> {
        Wait { acks: self, lsn, place: None }
    }

    fn outcome(&self, lsn: Lsn) -> Option<Result<(), JournalClosed>> {
        if self.durable() >= lsn {
            return Some(Ok(()));
        }
        // The watermark may have risen for the last time between the two looks, and a failure never comes before that.
        self.failed.load(Ordering::Acquire).then(|| if self.durable() >= lsn { Ok(()) } else { Err(JournalClosed) })
    }
}

impl Drop for Acks {
    fn drop(&mut self) {
        let herald = self.parked.lock().herald.take();
        // It finds that there is nobody left, and ends.
        herald.into_iter().for_each(Waker::wake);
    }
}

/// Wakes waiters, see [`Acks::herald`]. When it is dropped, whoever raises the watermark wakes them again.
#[derive(Debug)]
#[must_use = "it wakes nobody unless it is polled"]
pub struct Herald {
    acks: Weak<Acks>,
}

impl Future for Herald {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(acks) = self.acks.upgrade() else { return Poll::Ready(()) };
        // Before the look: who raises the watermark after it wakes this task again.
        let _before = acks.parked.lock().herald.replace(context.waker().clone());
        acks.wake_passed();
        Poll::Pending
    }
}

impl Drop for Herald {
    fn drop(&mut self) {
        if let Some(acks) = self.acks.upgrade() {
            let _own = acks.parked.lock().herald.take();
            // It may have been woken for these.
            acks.wake_passed();
        }
    }
}

/// Waits for one LSN, see [`Acks::wait`].
#[derive(Debug)]
#[must_use = "an answer may not be given before its event is durable"]
pub struct Wait<'a> {
    acks: &'a Acks,
    lsn: Lsn,
    place: Option<Place>,
}

impl Future for Wait<'_> {
    type Output = Result<(), JournalClosed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(outcome) = self.acks.outcome(self.lsn) {
            // Whoever raised the watermark takes the place, or has taken it.
            self.place = None;
            return Poll::Ready(outcome);
        }
        let mut parked = self.acks.parked.lock();
        // Again, now that nobody can take the waiters in between.
        if let Some(outcome) = self.acks.outcome(self.lsn) {
            return Poll::Ready(outcome);
        }
        let place = self.place.unwrap_or_else(|| {
            parked.tickets += 1;
            Place { lsn: self.lsn, ticket: parked.tickets }
        });
        parked.by_lsn.insert(place, context.waker().clone());
        drop(parked);
        self.place = Some(place);
        Poll::Pending
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.acks.parked.lock().by_lsn.remove(&place);
        }
    }
}

// Its interleavings are explored in `server/models`.
#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;
    use std::thread;

    use super::*;

    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn poll(wait: &mut Wait<'_>, bell: &Arc<Bell>) -> Poll<Result<(), JournalClosed>> {
        let waker = Waker::from(Arc::clone(bell));
        Pin::new(wait).poll(&mut Context::from_waker(&waker))
    }

    fn bell() -> Arc<Bell> {
        Arc::new(Bell(AtomicUsize::new(0)))
    }

    #[test]
    fn wakes_exactly_those_at_or_below_the_watermark() {
        let acks = Acks::new();
        let mut waits: Vec<_> = (1..=1_024).map(|lsn| (acks.wait(Lsn::new(lsn)), bell())).collect();
        for (wait, bell) in &mut waits {
            assert!(poll(wait, bell).is_pending());
        }
        acks.advance(Lsn::new(400));
        for (number, (wait, bell)) in (1..).zip(&mut waits) {
            let woken = bell.0.load(Ordering::SeqCst);
            assert_eq!(woken, usize::from(number <= 400), "waiter {number}");
            assert_eq!(poll(wait, bell).is_ready(), number <= 400, "waiter {number}");
        }
        assert_eq!(acks.waiting(), 624);
    }

    #[test]
    fn answers_at_once_what_is_durable_even_after_a_failure() {
        let acks = Acks::new();
        acks.advance(Lsn::new(7));
        acks.advance(Lsn::new(3));
        let mut parked = acks.wait(Lsn::new(8));
        let bell = bell();
        assert!(poll(&mut parked, &bell).is_pending());
        acks.fail();
        assert_eq!(bell.0.load(Ordering::SeqCst), 1);
        assert_eq!(poll(&mut parked, &bell), Poll::Ready(Err(JournalClosed)));
        assert_eq!(poll(&mut acks.wait(Lsn::new(7)), &bell), Poll::Ready(Ok(())));
        assert_eq!(poll(&mut acks.wait(Lsn::new(9)), &bell), Poll::Ready(Err(JournalClosed)));
        assert_eq!(acks.waiting(), 0);
    }

    #[test]
    fn a_dropped_waiter_leaves_nothing_behind() {
        let acks = Acks::new();
        let bell = bell();
        let mut kept = acks.wait(Lsn::new(5));
        let mut dropped = acks.wait(Lsn::new(5));
        assert!(poll(&mut kept, &bell).is_pending());
        assert!(poll(&mut dropped, &bell).is_pending());
        assert!(poll(&mut dropped, &bell).is_pending(), "polling twice keeps one place");
        assert_eq!(acks.waiting(), 2);
        drop(dropped);
        assert_eq!(acks.waiting(), 1);
        acks.advance(Lsn::new(5));
        assert_eq!(bell.0.load(Ordering::SeqCst), 1);
    }

    fn poll_herald(herald: &mut Herald, bell: &Arc<Bell>) -> Poll<()> {
        Pin::new(herald).poll(&mut Context::from_waker(&Waker::from(Arc::clone(bell))))
    }

    #[test]
    fn a_herald_is_woken_once_and_wakes_whom_the_watermark_has_passed() {
        let (acks, own) = (Acks::new(), bell());
        let mut herald = acks.herald();
        let mut waits: Vec<_> = (1..=9).map(|lsn| (acks.wait(Lsn::new(lsn)), bell())).collect();
        waits.iter_mut().for_each(|(wait, bell)| assert!(poll(wait, bell).is_pending()));
        acks.advance(Lsn::new(1));
        assert!(poll_herald(&mut herald, &own).is_pending());
        acks.advance(Lsn::new(5));
        acks.advance(Lsn::new(6));
        let woken = |waits: &[(Wait<'_>, Arc<Bell>)]| -> Vec<usize> {
            waits.iter().map(|(_, bell)| bell.0.load(Ordering::SeqCst)).collect()
        };
        assert_eq!(woken(&waits), [1, 0, 0, 0, 0, 0, 0, 0, 0], "nobody cried out the first");
        assert_eq!(own.0.load(Ordering::SeqCst), 2, "once for each time that the watermark rose");
        assert!(poll_herald(&mut herald, &own).is_pending());
        assert_eq!(woken(&waits), [1, 1, 1, 1, 1, 1, 0, 0, 0]);
        acks.advance(Lsn::new(7));
        drop(herald);
        assert_eq!(woken(&waits), [1, 1, 1, 1, 1, 1, 1, 0, 0], "it leaves nobody behind");
        acks.advance(Lsn::new(8));
        assert_eq!(woken(&waits), [1, 1, 1, 1, 1, 1, 1, 1, 0], "without it they are woken at once");
    }

    #[test]
    fn a_herald_ends_when_nobody_can_wait_any_more() {
        let (acks, own) = (Acks::new(), bell());
        let mut herald = acks.herald();
        assert!(poll_herald(&mut herald, &own).is_pending());
        drop(acks);
        assert_eq!(own.0.load(Ordering::SeqCst), 1);
        assert!(poll_herald(&mut herald, &own).is_ready());
    }

    /// Threads append and wait while another makes durable what was appended, in uneven steps. A lost wake-up hangs the test.
    #[test]
    fn no_wake_up_is_lost_between_threads() {
        append_and_wait(&Acks::new());
    }

    #[test]
    fn no_wake_up_is_lost_where_a_herald_wakes() {
        let acks = Acks::new();
        let herald = acks.herald();
        let crying = thread::spawn(|| tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(herald));
        append_and_wait(&acks);
        drop(acks);
        crying.join().unwrap();
    }

    fn append_and_wait(acks: &Acks) {
        const WAITERS: u64 = 4;
        const EACH: u64 = 5_000;
        let appended = AtomicU64::new(0);
        let durable = thread::scope(|scope| {
            let committer = scope.spawn(|| {
                let mut reached = 0;
                while reached < WAITERS * EACH {
                    let seen = appended.load(Ordering::SeqCst);
                    acks.advance(Lsn::new(reached + (seen - reached) / 2));
                    acks.advance(Lsn::new(seen));
                    reached = seen;
                    thread::yield_now();
                }
                reached
            });
            for _ in 0..WAITERS {
                scope.spawn(|| {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    for _ in 0..EACH {
                        let lsn = Lsn::new(appended.fetch_add(1, Ordering::SeqCst) + 1);
                        assert_eq!(runtime.block_on(acks.wait(lsn)), Ok(()));
                        assert!(acks.durable() >= lsn, "acknowledged before it was durable");
                    }
                });
            }
            committer.join().unwrap()
        });
        assert_eq!(durable, WAITERS * EACH);
        assert_eq!(acks.waiting(), 0);
    }
}

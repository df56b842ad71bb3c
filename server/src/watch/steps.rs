//! Where the time of a call goes. The steps are noted where they happen, on whatever thread the call is then, and added up at its end.
//!
//! A unary call runs within a task-local record; the engine, which knows neither calls nor clocks, tells its waits for locks and its
//! appends through a thread-local pair of sums, because a decision never leaves its thread. Streams have no record: their messages
//! are many decisions, which the figures by kind tell of.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use super::request_id::RequestId;

/// What a call does, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// From its headers to a thread's turning to it.
    Wait,
    /// Until its first decision, or its first wait for the disk: the message read, checked and converted; of a read the reading, too.
    Convert,
    /// Waiting for the locks of shards.
    Lock,
    /// Deciding and applying, less the waits and the append within.
    Decide,
    /// Copying events into the journal's open batch, the wait for its lock included. In a batch it is a part of deciding.
    Append,
    /// Waiting until its events, or those its answer rests on, are durable.
    Fsync,
    /// What is left: from there to the end of the answer.
    Reply,
}

/// Number of steps.
pub const STEPS: usize = 7;

impl Step {
    /// All, in the order of a call.
    pub const ALL: [Step; STEPS] =
        [Step::Wait, Step::Convert, Step::Lock, Step::Decide, Step::Append, Step::Fsync, Step::Reply];

    /// As figures and logs name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Step::Wait => "wait",
            Step::Convert => "convert",
            Step::Lock => "lock",
            Step::Decide => "decide",
            Step::Append => "append",
            Step::Fsync => "fsync",
            Step::Reply => "reply",
        }
    }

    /// Its place in a list of one entry a step.
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Step::Wait => 0,
            Step::Convert => 1,
            Step::Lock => 2,
            Step::Decide => 3,
            Step::Append => 4,
            Step::Fsync => 5,
            Step::Reply => 6,
        }
    }
}

/// Time of each step, in nanoseconds, by [`Step::index`]; none for a step the call did not reach. They add up to the whole call.
pub type Times = [Option<u64>; STEPS];

/// What a call has noted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Noted {
    convert: Option<Duration>,
    lock: Duration,
    decide: Duration,
    append: Duration,
    fsync: Option<Duration>,
}

/// The record of a call under way.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) id: RequestId,
    admitted: Instant,
    /// When it first decided, or waited for the disk.
    converted: Cell<Option<Instant>>,
    /// When the newest decision ended.
    decided: Cell<Option<Instant>>,
    lock: Cell<Duration>,
    decide: Cell<Duration>,
    append: Cell<Duration>,
    fsync: Cell<Option<Duration>>,
}

tokio::task_local! {
    static CURRENT: Record;
}

thread_local! {
    /// Waits for locks and appends within the decision under way, in nanoseconds.
    static WITHIN: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
    /// Whether anybody will ask for the appends of the decision under way.
    static APPENDS: Cell<bool> = const { Cell::new(false) };
}

/// Does `work`, and gives what was noted of it.
pub(crate) async fn recorded<F: Future>(record: Record, work: F) -> (F::Output, Option<Noted>) {
    let mut scope = pin!(CURRENT.scope(record, work));
    let output = scope.as_mut().await;
    (output, scope.as_mut().take_value().map(|record| record.noted()))
}

/// Id of the call that this code runs for, for the log; empty outside of unary calls.
#[must_use]
pub fn current_id() -> String {
    CURRENT.try_with(|record| record.id.as_str().to_owned()).unwrap_or_default()
}

/// A decision begins on this thread.
pub(crate) fn deciding() {
    WITHIN.set((0, 0));
    APPENDS.set(CURRENT.try_with(|_| ()).is_ok());
}

/// Many decisions begin on this thread, one after the other. Their appends are not told apart: two looks at the clock would cost each of
/// them a tenth of its time.
pub(crate) fn deciding_many() {
    WITHIN.set((0, 0));
    APPENDS.set(false);
}

/// Whether the append that begins on this thread is to be timed.
pub(crate) fn wants_append() -> bool {
    APPENDS.get()
}

/// The decision of this thread took from `began` to `ended`.
pub(crate) fn decided(began: Instant, ended: Instant) {
    APPENDS.set(false);
    let _outside_of_calls = CURRENT.try_with(|record| {
        let (lock, append) = WITHIN.get();
        let (lock, append) = (Duration::from_nanos(lock), Duration::from_nanos(append));
        record.reached(began);
        record.decided.set(Some(ended));
        record.lock.set(record.lock.get() + lock);
        record.append.set(record.append.get() + append);
        let rest = ended.saturating_duration_since(began).saturating_sub(lock + append);
        record.decide.set(record.decide.get() + rest);
    });
}

/// The decision under way waited so long for locks.
pub(crate) fn waited_for_lock(nanos: u64) {
    let (lock, append) = WITHIN.get();
    WITHIN.set((lock.saturating_add(nanos), append));
}

/// The decision under way spent so long appending.
pub(crate) fn appended(nanos: u64) {
    let (lock, append) = WITHIN.get();
    WITHIN.set((lock, append.saturating_add(nanos)));
}

/// A wait for the disk begins: at the end of the decision before it, which saves a look at the clock, else now.
pub(crate) fn settling() -> Instant {
    CURRENT.try_with(|record| record.decided.get()).ok().flatten().unwrap_or_else(Instant::now)
}

/// The wait that began then is over.
pub(crate) fn settled(began: Instant) {
    let _outside_of_calls = CURRENT.try_with(|record| {
        record.reached(began);
        record.fsync.set(Some(record.fsync.get().unwrap_or_default() + began.elapsed()));
        record.decided.set(None);
    });
}

impl Record {
    /// Of a call that a thread turned to at `admitted`.
    pub(crate) fn new(id: RequestId, admitted: Instant) -> Record {
        Record {
            id,
            admitted,
            converted: Cell::new(None),
            decided: Cell::new(None),
            lock: Cell::default(),
            decide: Cell::default(),
            append: Cell::default(),
            fsync: Cell::new(None),
        }
    }

    fn reached(&self, at: Instant) {
        if self.converted.get().is_none() {
            self.converted.set(Some(at));
        }
    }

    fn noted(&self) -> Noted {
        Noted {
            convert: self.converted.get().map(|converted| converted.saturating_duration_since(self.admitted)),
            lock: self.lock.get(),
            decide: self.decide.get(),
            append: self.append.get(),
            fsync: self.fsync.get(),
        }
    }
}

impl Noted {
    /// The steps of a call that waited `waited` for a thread and took `total` in all.
    pub(crate) fn times(&self, waited: Duration, total: Duration) -> Times {
        let mut times = Times::default();
        let mut spent = Duration::ZERO;
        let mut take = |step: Step, time: Duration| {
            spent += time;
            times[step.index()] = Some(nanos(time));
        };
        take(Step::Wait, waited);
        if let Some(convert) = self.convert {
            take(Step::Convert, convert);
        }
        if !self.decide.is_zero() {
            take(Step::Lock, self.lock);
            take(Step::Decide, self.decide);
            take(Step::Append, self.append);
        }
        if let Some(fsync) = self.fsync {
            take(Step::Fsync, fsync);
        }
        let left = total.saturating_sub(spent);
        // Who neither decided nor waited did nothing but convert.
        let rest = if self.convert.is_some() { Step::Reply } else { Step::Convert };
        times[rest.index()] = Some(nanos(left));
        times
    }
}

/// Saturating: 584 years.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn of(times: &Times, step: Step) -> Option<u64> {
        times[step.index()].map(|nanos| nanos / 1_000_000)
    }

    #[tokio::test]
    async fn the_steps_of_a_call_add_up_to_it() {
        let admitted = Instant::now();
        let ((), noted) = recorded(Record::new(RequestId::made("r"), admitted), async {
            deciding();
            waited_for_lock(1_000_000);
            appended(2_000_000);
            decided(admitted + 5 * MS, admitted + 15 * MS);
            deciding();
            decided(admitted + 20 * MS, admitted + 24 * MS);
            assert_eq!(settling(), admitted + 24 * MS, "the wait begins where the decision ended");
            assert_eq!(current_id(), "r");
        })
        .await;
        let noted = Noted { fsync: Some(30 * MS), ..noted.unwrap() };
        let times = noted.times(3 * MS, 100 * MS);
        let told: Vec<_> = Step::ALL.iter().map(|step| of(&times, *step)).collect();
        assert_eq!(told, [Some(3), Some(5), Some(1), Some(11), Some(2), Some(30), Some(48)]);
        assert_eq!(times.iter().flatten().sum::<u64>(), 100_000_000);
    }

    #[tokio::test]
    async fn a_call_that_decides_nothing_only_converts() {
        let ((), noted) = recorded(Record::new(RequestId::made("r"), Instant::now()), async {}).await;
        let times = noted.unwrap().times(MS, 5 * MS);
        assert_eq!(of(&times, Step::Wait), Some(1));
        assert_eq!(of(&times, Step::Convert), Some(4));
        assert!(Step::ALL[2..].iter().all(|step| times[step.index()].is_none()), "{times:?}");
    }

    #[test]
    fn outside_of_a_call_nothing_is_noted_and_nothing_breaks() {
        deciding();
        decided(Instant::now(), Instant::now());
        settled(settling());
        assert_eq!(current_id(), "");
    }

    #[test]
    fn steps_stand_at_their_places() {
        for (place, step) in Step::ALL.iter().enumerate() {
            assert_eq!(step.index(), place, "{step:?}");
        }
    }
}

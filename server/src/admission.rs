//! Who is let in. A server with more to do than it can do must choose what not to begin, early and cheaply: a call that is refused in
//! microseconds comes back or goes elsewhere, one that is begun too late is work for nobody.
//!
//! Four bounds, from the outside in:
//! - `in_flight_max` calls in work, whatever happens. It bounds memory and, by Little's law, the wait for the disk; an eighth of it is kept
//!   for calls that finish what was begun.
//! - A limit within it that follows the queue ([`governor`]): while calls wait too long for a thread, fewer are let in. The more a call
//!   can wait, the less of the limit it may use ([`Priority`]).
//! - Three quarters of `in_flight_max` for any one caller: whoever asks and does not read the answers cannot fill all places.
//! - While the limit is pressed, each caller's equal share of it ([`callers`]): who asks for more than that is refused before those who
//!   do not.
//!
//! Nothing queues here: a queue would add delay for all and forget nobody's deadline but its own. The wait for the disk is no signal: group
//! commit makes it one to two syncs whatever the load, so that a slow disk would look like an overload which no refusal could end.
//!
//! All counts are relaxed atomics: they guard nothing but themselves, and being off by a few calls is what a limit can bear.
mod callers;
mod governor;
mod priority;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::Instant;

pub use callers::{Caller, network};
pub use priority::Priority;

use callers::Callers;
use governor::Governor;

/// Decides about every call, and counts those in work.
#[derive(Debug)]
pub struct Admission {
    now: AtomicU32,
    max: AtomicU32,
    governor: Governor,
    callers: Callers,
}

/// A place among the calls in work; dropping it gives it back.
#[derive(Debug)]
pub struct Permit {
    admission: Arc<Admission>,
    caller: Caller,
}

/// Why a call is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// As many calls are in work as there may ever be.
    InFlight,
    /// Calls wait too long, and those in work are as many as the limit now leaves to this priority.
    Queue,
    /// This caller has as many in work as one may have, or, while calls wait too long, its share of what is let in.
    Share,
}

impl Admission {
    /// At most `max` calls; fewer while most that come within an `interval` wait longer than `target` for a thread. A target of zero
    /// leaves the limit where it is.
    pub fn new(max: u32, target: Duration, interval: Duration) -> Arc<Admission> {
        let ceiling = max - max / 8;
        let governor = Governor::new(ceiling, target, interval, Instant::now());
        Arc::new(Admission { now: AtomicU32::new(0), max: AtomicU32::new(max), governor, callers: Callers::default() })
    }

    /// Calls in work now.
    pub fn now(&self) -> u32 {
        self.now.load(Ordering::Relaxed)
    }

    /// Callers that have calls in work; those in one slot are one.
    pub fn callers(&self) -> u32 {
        self.callers.active()
    }

    /// The outermost bound.
    pub fn max(&self) -> u32 {
        self.max.load(Ordering::Relaxed)
    }

    /// Other bounds, from the next call on. Calls in work stay.
    pub fn set(&self, max: u32, target: Duration, interval: Duration) {
        self.max.store(max, Ordering::Relaxed);
        self.governor.set(max - max / 8, target, interval);
    }

    /// What the queue leaves of it to new promises.
    pub fn limit(&self) -> u32 {
        self.governor.limit()
    }

    /// A place for a call of `caller` that arrived at `arrived` and is looked at `now`.
    ///
    /// # Errors
    /// When it is not let in; nothing was done then.
    pub fn enter(
        self: &Arc<Self>,
        priority: Priority,
        caller: Caller,
        arrived: Instant,
        now: Instant,
    ) -> Result<Permit, Refused> {
        self.governor.waited(arrived, now, self.now());
        let permit = self.enter_always(caller);
        let others = self.now.load(Ordering::Relaxed).saturating_sub(1);
        let refused = self.refuses(priority, caller, others);
        if let Some(refused) = refused {
            self.governor.refused();
            return Err(refused);
        }
        Ok(permit)
    }

    /// A place even when all are taken: for the few calls that must answer in overload.
    pub fn enter_always(self: &Arc<Self>, caller: Caller) -> Permit {
        self.now.fetch_add(1, Ordering::Relaxed);
        self.callers.enter(caller);
        Permit { admission: Arc::clone(self), caller }
    }

    /// Given that `others` are in work, and this call is already counted among those of its caller.
    fn refuses(&self, priority: Priority, caller: Caller, others: u32) -> Option<Refused> {
        let max = self.max();
        if others >= max {
            return Some(Refused::InFlight);
        }
        let own = self.callers.of(caller).saturating_sub(1);
        if own >= priority.of_one(max) {
            return Some(Refused::Share);
        }
        let limit = priority.of(self.governor.limit(), max);
        if priority == Priority::Settle || !self.governor.is_pressed() {
            let cause = if self.governor.is_pressed() { Refused::Queue } else { Refused::InFlight };
            return (others >= limit).then_some(cause);
        }
        // The shares of all callers together are the limit. One that has less than its share gets in although another fills it.
        let callers = self.callers.active().max(1);
        let cause = if callers == 1 { Refused::Queue } else { Refused::Share };
        (own >= (limit / callers).max(1)).then_some(cause)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.admission.now.fetch_sub(1, Ordering::Relaxed);
        self.admission.callers.leave(self.caller);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    const TARGET: Duration = Duration::from_millis(5);
    const INTERVAL: Duration = Duration::from_millis(100);

    fn caller(last: u8) -> Caller {
        Caller::at(IpAddr::from(Ipv4Addr::new(10, 0, 0, last)))
    }

    /// Calls that all waited `waited`, one a millisecond for `time`, each over at once; where the limit is then.
    fn traffic(admission: &Arc<Admission>, from: Instant, time: Duration, waited: Duration) -> Instant {
        let mut now = from;
        while now < from + time {
            now += Duration::from_millis(1);
            drop(admission.enter(Priority::Take, caller(1), now - waited, now));
        }
        now
    }

    #[test]
    fn refuses_beyond_the_bound_and_takes_places_back() {
        let admission = Admission::new(2, TARGET, INTERVAL);
        let now = Instant::now();
        let enter = |priority| admission.enter(priority, caller(1), now, now);
        let first = enter(Priority::Take).unwrap();
        let _second = enter(Priority::Settle).unwrap();
        assert_eq!(enter(Priority::Settle).unwrap_err(), Refused::InFlight);
        assert_eq!(admission.now(), 2);
        let health = admission.enter_always(caller(1));
        assert_eq!(admission.now(), 3);
        drop((first, health));
        assert!(enter(Priority::Take).is_ok());
    }

    #[test]
    fn new_promises_leave_an_eighth_to_what_finishes_old_ones() {
        let admission = Admission::new(16, TARGET, INTERVAL);
        let now = Instant::now();
        let enter = |who, priority| admission.enter(priority, caller(who), now, now);
        let one: Vec<_> = (0..12).map(|_| enter(1, Priority::Take).unwrap()).collect();
        assert_eq!(enter(1, Priority::Take).unwrap_err(), Refused::Share, "a quarter is left to others");
        let other = [enter(2, Priority::Take).unwrap(), enter(2, Priority::Take).unwrap()];
        assert_eq!(enter(2, Priority::Take).unwrap_err(), Refused::InFlight);
        let settling = [enter(1, Priority::Settle).unwrap(), enter(1, Priority::Settle).unwrap()];
        assert_eq!(enter(2, Priority::Settle).unwrap_err(), Refused::InFlight);
        drop((one, other, settling));
        assert_eq!(admission.now(), 0);
    }

    #[test]
    fn while_calls_wait_the_last_to_be_refused_are_those_that_finish() {
        let admission = Admission::new(4_096, TARGET, INTERVAL);
        let hold = Instant::now();
        let held: Vec<_> = (0..400).map(|_| admission.enter(Priority::Take, caller(1), hold, hold).unwrap()).collect();
        let now = traffic(&admission, hold, Duration::from_secs(2), Duration::from_millis(30));
        let limit = admission.limit();
        assert!(limit < 400, "{limit} with 400 in work and a standing queue of 30 ms");
        drop(held);
        let mut admitted = [0; 4];
        for (at, priority) in
            [Priority::Read, Priority::Quote, Priority::Take, Priority::Settle].into_iter().enumerate()
        {
            let mut places = Vec::new();
            while let Ok(place) = admission.enter(priority, caller(1), now, now) {
                places.push(place);
            }
            admitted[at] = places.len();
        }
        let limit = usize::try_from(admission.limit()).unwrap();
        assert_eq!(admitted, [limit / 2, limit - limit / 4, limit, limit * 4]);
    }

    #[test]
    fn under_pressure_a_quiet_caller_gets_in_although_a_noisy_one_fills_the_limit() {
        let admission = Admission::new(4_096, TARGET, INTERVAL);
        let began = Instant::now();
        let now = traffic(&admission, began, Duration::from_secs(2), Duration::from_millis(30));
        let enter = |who| admission.enter(Priority::Take, caller(who), now, now);
        let mut noisy = Vec::new();
        while let Ok(place) = enter(1) {
            noisy.push(place);
        }
        let share = usize::try_from(admission.limit()).unwrap() / 2;
        let quiet: Vec<_> = (0..share).map(|_| enter(2).unwrap()).collect();
        assert_eq!(enter(2).unwrap_err(), Refused::Share);
        noisy.truncate(share);
        assert_eq!(enter(1).unwrap_err(), Refused::Share, "two callers, half for each");
        drop(quiet);
        assert!(enter(1).is_ok(), "alone again, all of it");
    }
}

//! The model checkers' types with parking_lot's signatures: nothing is poisoned, and a wait borrows its guard.
//!
//! Neither checker knows time: a wait with an end never times out here, so models set no timers.

use std::ops::{Deref, DerefMut};
use std::sync::TryLockError;
use std::time::{Duration, Instant};

#[cfg(loom)]
use loom::sync as tool;
#[cfg(feature = "shuttle")]
use shuttle::sync as tool;

#[cfg(loom)]
pub use loom::thread_local;
#[cfg(feature = "shuttle")]
pub use shuttle::thread_local;
/// Shared access to what a [`RwLock`] guards.
pub use tool::RwLockReadGuard;
/// Exclusive access to what a [`RwLock`] guards.
pub use tool::RwLockWriteGuard;
pub use tool::atomic;

const POISON: &str = "Invariant: a panic ends the model, so no lock is ever found poisoned";

/// As [`parking_lot::Mutex`].
#[derive(Debug, Default)]
pub struct Mutex<T>(tool::Mutex<T>);

/// As [`parking_lot::MutexGuard`]. Empty only inside of a wait.
#[derive(Debug)]
pub struct MutexGuard<'a, T>(Option<tool::MutexGuard<'a, T>>);

impl<T> Mutex<T> {
    /// An unlocked mutex.
    pub fn new(value: T) -> Mutex<T> {
        Mutex(tool::Mutex::new(value))
    }

    /// Waits for the lock.
    #[track_caller]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(Some(self.0.lock().expect(POISON)))
    }

    /// The lock if it is to be had at once.
    #[track_caller]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        at_once(self.0.try_lock()).map(|guard| MutexGuard(Some(guard)))
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("Invariant: a guard is empty only inside of a wait")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("Invariant: a guard is empty only inside of a wait")
    }
}

/// As [`parking_lot::Condvar`].
#[derive(Debug, Default)]
pub struct Condvar(tool::Condvar);

/// As [`parking_lot::WaitTimeoutResult`].
#[derive(Clone, Copy, Debug)]
pub struct WaitTimeoutResult(());

impl WaitTimeoutResult {
    /// Never: the checkers know no time.
    pub fn timed_out(&self) -> bool {
        false
    }
}

impl Condvar {
    /// Nobody waiting.
    pub fn new() -> Condvar {
        Condvar(tool::Condvar::new())
    }

    /// Gives the lock up until it is notified.
    #[track_caller]
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let inner = guard.0.take().expect("Invariant: a guard is empty only inside of a wait");
        guard.0 = Some(self.0.wait(inner).expect(POISON));
    }

    /// As [`Condvar::wait`].
    #[track_caller]
    pub fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, _patience: Duration) -> WaitTimeoutResult {
        self.wait(guard);
        WaitTimeoutResult(())
    }

    /// As [`Condvar::wait`].
    #[track_caller]
    pub fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, _deadline: Instant) -> WaitTimeoutResult {
        self.wait(guard);
        WaitTimeoutResult(())
    }

    /// Wakes one that waits.
    #[track_caller]
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Wakes all that wait.
    #[track_caller]
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// As [`parking_lot::RwLock`].
#[derive(Debug)]
pub struct RwLock<T>(tool::RwLock<T>);

impl<T> RwLock<T> {
    /// An unlocked lock.
    pub fn new(value: T) -> RwLock<T> {
        RwLock(tool::RwLock::new(value))
    }

    /// What it guards, of a lock that nobody else can have.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().expect(POISON)
    }

    /// Waits for shared access.
    #[track_caller]
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().expect(POISON)
    }

    /// Waits for exclusive access.
    #[track_caller]
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().expect(POISON)
    }

    /// Shared access if it is to be had at once.
    #[track_caller]
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        at_once(self.0.try_read())
    }

    /// Exclusive access if it is to be had at once.
    #[track_caller]
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        at_once(self.0.try_write())
    }
}

/// Readers of one line or of many: the model is the same.
pub type Spread<T> = RwLock<T>;
/// Shared access to what a [`Spread`] guards.
pub type SpreadReadGuard<'a, T> = RwLockReadGuard<'a, T>;

fn at_once<G>(tried: Result<G, TryLockError<G>>) -> Option<G> {
    match tried {
        Ok(guard) => Some(guard),
        Err(TryLockError::WouldBlock) => None,
        Err(TryLockError::Poisoned(_)) => panic!("{POISON}"),
    }
}

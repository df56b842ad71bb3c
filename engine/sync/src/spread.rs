//! A lock for what every thread reads all the time and hardly any changes.

use std::sync::PoisonError;

use crossbeam_utils::sync::{ShardedLock, ShardedLockReadGuard, ShardedLockWriteGuard};

/// Shared access to what a [`Spread`] guards.
pub type SpreadReadGuard<'a, T> = ShardedLockReadGuard<'a, T>;

/// A readers-writer lock whose readers count themselves in lines of memory of their own, so that cores which only read take nothing from
/// each other. Whoever writes takes all of them.
///
/// As with parking_lot's, nothing is ever poisoned.
#[derive(Debug, Default)]
pub struct Spread<T>(ShardedLock<T>);

impl<T> Spread<T> {
    /// An unlocked lock.
    pub fn new(value: T) -> Spread<T> {
        Spread(ShardedLock::new(value))
    }

    /// What it guards, of a lock that nobody else can have.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for shared access.
    pub fn read(&self) -> SpreadReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for exclusive access.
    pub fn write(&self) -> ShardedLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

//! The locks, condition variables, atomics and thread-locals behind which state passes from thread to thread.
//!
//! In a normal build they are parking_lot's and the standard library's, by name: nothing stands in between. Built with
//! `--cfg loom` or with the feature `shuttle` they are those of the model checker, with parking_lot's signatures, so that the real
//! code runs under every interleaving (loom) or a great many (shuttle). The models stand beside what they model; counters
//! that order nothing and simulated disks do not go through here, since each more would only multiply the interleavings.
#![forbid(unsafe_code)]

pub mod crew;
#[cfg(not(any(loom, feature = "shuttle")))]
mod spread;

#[cfg(not(any(loom, feature = "shuttle")))]
pub use self::plain::*;

#[cfg(any(loom, feature = "shuttle"))]
mod modelled;
#[cfg(any(loom, feature = "shuttle"))]
pub use self::modelled::*;
#[cfg(feature = "shuttle")]
pub use shuttle;

#[cfg(not(any(loom, feature = "shuttle")))]
mod plain {
    pub use crate::spread::{Spread, SpreadReadGuard};
    pub use parking_lot::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
    pub use std::sync::atomic;
    pub use std::thread_local;
}

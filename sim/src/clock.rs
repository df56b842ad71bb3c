//! A clock that stands still until it is moved, and a wall clock that can be set back.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use std::time::Duration;

use quartermaster_node::Clock;

/// A handle: clones show the same time.
#[derive(Clone, Debug)]
pub struct SimClock(Arc<Hands>);

#[derive(Debug)]
struct Hands {
    wall: AtomicU64,
    elapsed: AtomicU64,
}

impl SimClock {
    /// A clock whose wall says `wall`, in microseconds since the Unix epoch.
    #[must_use]
    pub fn at(wall: u64) -> Self {
        Self(Arc::new(Hands { wall: AtomicU64::new(wall), elapsed: AtomicU64::new(0) }))
    }

    /// Lets time pass.
    pub fn advance(&self, micros: u64) {
        self.0.wall.fetch_add(micros, Ordering::Relaxed);
        self.0.elapsed.fetch_add(micros, Ordering::Relaxed);
    }

    /// Sets the wall clock to another time; no time passes.
    pub fn set_wall(&self, wall: u64) {
        self.0.wall.store(wall, Ordering::Relaxed);
    }
}

impl Clock for SimClock {
    fn wall(&self) -> u64 {
        self.0.wall.load(Ordering::Relaxed)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_micros(self.0.elapsed.load(Ordering::Relaxed))
    }
}

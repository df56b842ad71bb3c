//! How many calls may be in work at once. Beyond that a call is refused at once: a queue would only add delay to all.

use std::sync::Arc;

use quartermaster_sync::atomic::{AtomicU32, Ordering};

/// Counts the calls in work.
#[derive(Debug)]
pub struct InFlight {
    now: AtomicU32,
    max: u32,
}

/// A place among the calls in work; dropping it gives it back.
#[derive(Debug)]
pub struct Permit {
    in_flight: Arc<InFlight>,
}

impl InFlight {
    /// At most `max` calls.
    pub fn new(max: u32) -> Arc<InFlight> {
        Arc::new(InFlight { now: AtomicU32::new(0), max })
    }

    /// Calls in work now.
    pub fn now(&self) -> u32 {
        self.now.load(Ordering::Relaxed)
    }

    /// The bound.
    pub fn max(&self) -> u32 {
        self.max
    }

    /// A place, or none when all are taken. Relaxed: the count guards nothing but itself.
    pub fn enter(self: &Arc<Self>) -> Option<Permit> {
        if self.now.fetch_add(1, Ordering::Relaxed) < self.max {
            return Some(Permit { in_flight: Arc::clone(self) });
        }
        self.now.fetch_sub(1, Ordering::Relaxed);
        None
    }

    /// A place even when all are taken: for the few calls that must answer in overload.
    pub fn enter_always(self: &Arc<Self>) -> Permit {
        self.now.fetch_add(1, Ordering::Relaxed);
        Permit { in_flight: Arc::clone(self) }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.in_flight.now.fetch_sub(1, Ordering::Relaxed);
    }
}

// Its interleavings are explored in `server/models`.
#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn refuses_beyond_the_bound_and_takes_places_back() {
        let in_flight = InFlight::new(2);
        let first = in_flight.enter().unwrap();
        let _second = in_flight.enter().unwrap();
        assert!(in_flight.enter().is_none());
        assert_eq!(in_flight.now(), 2);
        let health = in_flight.enter_always();
        assert_eq!(in_flight.now(), 3);
        drop((first, health));
        assert!(in_flight.enter().is_some());
    }
}

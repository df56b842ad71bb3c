//! Times the waits for shard locks, for an engine that has no clock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quartermaster_engine::LockObserver;

use crate::metrics::Histogram;
use crate::watch::steps;

/// Waits so far.
pub(super) struct LockWaits {
    origin: Instant,
    pub(super) waits: Histogram,
}

impl LockWaits {
    pub(super) fn new() -> Arc<LockWaits> {
        Arc::new(LockWaits { origin: Instant::now(), waits: Histogram::new() })
    }

    fn nanos(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl LockObserver for LockWaits {
    fn began(&self) -> u64 {
        self.nanos()
    }

    fn ended(&self, began: u64) {
        let waited = self.nanos().saturating_sub(began);
        steps::waited_for_lock(waited);
        self.waits.observe(Duration::from_nanos(waited));
    }
}

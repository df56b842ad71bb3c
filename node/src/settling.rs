//! Puts in its place what stock rules say of SKUs that wait for it: within a tick or two of the change.

use std::sync::atomic::{AtomicU64, Ordering};

use quartermaster_engine::time::Micros;
use quartermaster_journal::Storage;

use crate::{Clock, Core};

/// SKUs evaluated in one pass, so that expiry, which shares the thread, does not wait for a whole catalogue.
const PASS_MAX: usize = 2_000;

/// What the passes have done.
#[derive(Debug, Default)]
pub struct Settling {
    evaluated: AtomicU64,
    applied: AtomicU64,
    lag_micros: AtomicU64,
}

impl Settling {
    /// SKUs evaluated.
    pub fn evaluated(&self) -> u64 {
        self.evaluated.load(Ordering::Relaxed)
    }

    /// SKUs of which something changed.
    pub fn applied(&self) -> u64 {
        self.applied.load(Ordering::Relaxed)
    }

    /// How long the SKU that waited longest had waited, of the last pass that looked at any.
    pub fn lag(&self) -> Micros {
        Micros(self.lag_micros.load(Ordering::Relaxed))
    }
}

impl<S: Storage, C: Clock> Core<S, C> {
    /// One pass; tells whether there is more to do at once.
    pub fn settle_rules(&self) -> bool {
        match self.engine.settle_rules(self.now(), PASS_MAX) {
            Ok(report) => {
                if report.evaluated > 0 {
                    let wide = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
                    self.settling.evaluated.fetch_add(wide(report.evaluated), Ordering::Relaxed);
                    self.settling.applied.fetch_add(wide(report.applied), Ordering::Relaxed);
                    self.settling.lag_micros.store(report.lag_max.0, Ordering::Relaxed);
                }
                report.evaluated >= PASS_MAX
            }
            Err(error) => {
                // The SKUs wait on; the next tick tries again, and a journal that is gone ends the process by itself.
                tracing::warn!(%error, "stock rules could not be applied");
                false
            }
        }
    }

    /// What the passes have done.
    pub fn settling(&self) -> &Settling {
        &self.settling
    }
}

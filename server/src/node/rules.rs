//! Puts in its place what stock rules say of SKUs that wait for it: within a tick or two of the change.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Node;
use super::reading::wide;
use crate::metrics::Rules;

/// SKUs evaluated in one pass, so that expiry, which shares the thread, does not wait for a whole catalogue.
const PASS_MAX: usize = 2_000;

/// What the passes have done.
#[derive(Debug, Default)]
pub(super) struct Settling {
    evaluated: AtomicU64,
    applied: AtomicU64,
    /// How long the SKU that waited longest had waited, of the last pass that looked at any; in microseconds.
    lag_micros: AtomicU64,
}

impl Node {
    /// One pass; tells whether there is more to do at once.
    pub(super) fn settle_rules(&self) -> bool {
        match self.engine.settle_rules(self.now(), PASS_MAX) {
            Ok(report) => {
                if report.evaluated > 0 {
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

    /// The figures of stock rules.
    pub(super) fn rules_reading(&self) -> Rules {
        let lag = self.engine.rules_lag(self.now());
        Rules {
            rules: lag.rules,
            holding: lag.holding,
            waiting: lag.waiting,
            lag: Duration::from_micros(lag.lag.0),
            evaluated: self.settling.evaluated.load(Ordering::Relaxed),
            applied: self.settling.applied.load(Ordering::Relaxed),
            last_lag: Duration::from_micros(self.settling.lag_micros.load(Ordering::Relaxed)),
        }
    }
}

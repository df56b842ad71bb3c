//! Ends holds whose time is up: never early, and within a tick or two late.

use std::sync::atomic::{AtomicU64, Ordering};

use quartermaster_journal::Journal as _;

use super::Node;

/// Holds ended in one pass, so that one pass does not starve the snapshots' and auditors' locks.
const PASS_MAX: usize = 10_000;

/// What the timer has done.
#[derive(Debug, Default)]
pub(super) struct Expiries {
    pub(super) expired: AtomicU64,
    /// How late the latest hold of the last pass that ended any was, in microseconds.
    pub(super) lag_micros: AtomicU64,
}

impl Node {
    /// Closes campaigns whose time is up and serves who waits; tells whether there is more to do at once.
    fn settle_campaigns(&self) -> bool {
        match self.engine.settle_campaigns(self.now(), PASS_MAX) {
            Ok(report) => report.events() >= PASS_MAX,
            Err(error) => {
                tracing::warn!(%error, "campaigns could not be settled");
                false
            }
        }
    }

    /// One pass; tells whether there is more to do at once.
    pub(super) fn expire(&self) -> bool {
        self.disk.look(&self.log);
        self.lag.look(self.log.appended_lsn(), self.log.durable_lsn());
        let more = self.settle_campaigns();
        more | match self.engine.expire_due(self.now(), PASS_MAX) {
            Ok(report) => {
                if report.expired > 0 {
                    let expired = u64::try_from(report.expired).unwrap_or(u64::MAX);
                    self.expiries.expired.fetch_add(expired, Ordering::Relaxed);
                    self.expiries.lag_micros.store(report.lag_max.0, Ordering::Relaxed);
                }
                report.expired >= PASS_MAX
            }
            Err(error) => {
                // The holds stay due; the next tick tries again, and a journal that is gone ends the process by itself.
                tracing::warn!(%error, "holds could not be expired");
                false
            }
        }
    }
}

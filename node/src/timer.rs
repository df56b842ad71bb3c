//! Ends holds whose time is up: never early, and within a tick or two late.

use std::sync::atomic::{AtomicU64, Ordering};

use quartermaster_engine::time::Micros;
use quartermaster_journal::{Journal as _, Storage};

use crate::{Clock, Core};

/// Holds ended in one pass, so that one pass does not starve the snapshots' and auditors' locks.
const PASS_MAX: usize = 10_000;

/// What the timer has done.
#[derive(Debug, Default)]
pub struct Expiries {
    expired: AtomicU64,
    lag_micros: AtomicU64,
}

impl Expiries {
    /// Holds ended.
    pub fn expired(&self) -> u64 {
        self.expired.load(Ordering::Relaxed)
    }

    /// How late the latest hold of the last pass that ended any was.
    pub fn lag(&self) -> Micros {
        Micros(self.lag_micros.load(Ordering::Relaxed))
    }
}

impl<S: Storage, C: Clock> Core<S, C> {
    /// One tick of the timer: looks at the disk, settles campaigns, ends holds, applies stock rules. Tells whether there is more to do
    /// at once.
    pub fn tick(&self) -> bool {
        self.watch_journal();
        self.settle_campaigns() | self.expire() | self.settle_rules()
    }

    /// Looks at the room on the disk, and at how far durability is behind.
    pub fn watch_journal(&self) {
        self.disk.look(&self.log);
        // Nothing waits longer than a tick for the disk, wanted or not.
        self.log.want(self.log.appended_lsn());
        self.lag.look(self.log.appended_lsn(), self.log.durable_lsn(), self.time.clock().elapsed());
    }

    /// Closes campaigns whose time is up and serves who waits; tells whether there is more to do at once.
    pub fn settle_campaigns(&self) -> bool {
        match self.engine.settle_campaigns(self.now(), PASS_MAX) {
            Ok(report) => report.events() >= PASS_MAX,
            Err(error) => {
                tracing::warn!(%error, "campaigns could not be settled");
                false
            }
        }
    }

    /// Ends holds whose time is up; tells whether there is more to do at once.
    pub fn expire(&self) -> bool {
        match self.engine.expire_due(self.now(), PASS_MAX) {
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

    /// What the timer has done.
    pub fn expiries(&self) -> &Expiries {
        &self.expiries
    }
}

//! Counts every promise again while traffic runs, one shard at a time.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use quartermaster_engine::time::Timestamp;

use quartermaster_engine::audit::AuditReport;
use quartermaster_engine::id::{SHARDS, ShardId};
use quartermaster_journal::Storage;

use crate::{Clock, Core};

/// What the auditor has done.
#[derive(Debug)]
pub struct Audits {
    next: AtomicU8,
    shards: AtomicU64,
    violations: AtomicU64,
    /// When the oldest hold of each shard was made; `u64::MAX` for none.
    oldest_holds: [AtomicU64; SHARDS],
}

impl Default for Audits {
    fn default() -> Self {
        let none = || AtomicU64::new(u64::MAX);
        Self {
            next: AtomicU8::default(),
            shards: AtomicU64::default(),
            violations: AtomicU64::default(),
            oldest_holds: std::array::from_fn(|_| none()),
        }
    }
}

impl Audits {
    /// Shards checked.
    pub fn shards(&self) -> u64 {
        self.shards.load(Ordering::Relaxed)
    }

    /// Differences found. Stays 0, unless there is a bug.
    pub fn violations(&self) -> u64 {
        self.violations.load(Ordering::Relaxed)
    }
}

impl Audits {
    /// When the oldest hold was made that the auditor met on its newest pass over each shard.
    pub fn oldest_hold(&self) -> Option<Timestamp> {
        let oldest = self.oldest_holds.iter().map(|at| at.load(Ordering::Relaxed)).min()?;
        (oldest < u64::MAX).then_some(Timestamp(oldest))
    }
}

impl<S: Storage, C: Clock> Core<S, C> {
    /// Audits the next shard.
    pub fn audit_step(&self) -> AuditReport {
        let shard = ShardId(self.audits.next.fetch_add(1, Ordering::Relaxed));
        let report = self.engine.audit_shard(shard);
        self.audits.shards.fetch_add(1, Ordering::Relaxed);
        let oldest = report.oldest_hold.map_or(u64::MAX, |at| at.0);
        self.audits.oldest_holds[shard.index()].store(oldest, Ordering::Relaxed);
        self.note_violations(&report);
        report
    }

    /// Counts and logs what an audit found.
    pub fn note_violations(&self, report: &AuditReport) {
        for violation in &report.violations {
            tracing::error!(%violation, "AUDIT: an invariant is broken; stop the sale and call the makers");
        }
        let found = u64::try_from(report.violations.len()).unwrap_or(u64::MAX);
        self.audits.violations.fetch_add(found, Ordering::Relaxed);
    }

    /// What the auditor has done.
    pub fn audits(&self) -> &Audits {
        &self.audits
    }
}

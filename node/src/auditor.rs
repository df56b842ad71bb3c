//! Counts every promise again while traffic runs, one shard at a time.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use quartermaster_engine::audit::AuditReport;
use quartermaster_engine::id::ShardId;
use quartermaster_journal::Storage;

use crate::{Clock, Core};

/// What the auditor has done.
#[derive(Debug, Default)]
pub struct Audits {
    next: AtomicU8,
    shards: AtomicU64,
    violations: AtomicU64,
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

impl<S: Storage, C: Clock> Core<S, C> {
    /// Audits the next shard.
    pub fn audit_step(&self) -> AuditReport {
        let shard = ShardId(self.audits.next.fetch_add(1, Ordering::Relaxed));
        let report = self.engine.audit_shard(shard);
        self.audits.shards.fetch_add(1, Ordering::Relaxed);
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

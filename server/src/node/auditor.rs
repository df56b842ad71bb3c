//! Counts every promise again while traffic runs, one shard at a time.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use quartermaster_engine::id::ShardId;

use super::Node;

/// What the auditor has done.
#[derive(Debug, Default)]
pub(super) struct Audits {
    next: AtomicU8,
    /// Shards checked.
    pub(super) shards: AtomicU64,
    /// Differences found. Stays 0, unless there is a bug.
    pub(super) violations: AtomicU64,
}

impl Node {
    /// Audits the next shard.
    pub(super) fn audit_next(&self) -> bool {
        let shard = ShardId(self.audits.next.fetch_add(1, Ordering::Relaxed));
        let report = self.engine.audit_shard(shard);
        self.audits.shards.fetch_add(1, Ordering::Relaxed);
        self.note_violations(&report);
        false
    }

    /// Counts and logs what an audit found.
    pub fn note_violations(&self, report: &quartermaster_engine::audit::AuditReport) {
        for violation in &report.violations {
            tracing::error!(%violation, "AUDIT: an invariant is broken; stop the sale and call the makers");
        }
        let found = u64::try_from(report.violations.len()).unwrap_or(u64::MAX);
        self.audits.violations.fetch_add(found, Ordering::Relaxed);
    }
}

//! The settings of a node that can change while it runs, and the room on its disk.

use std::time::{Duration, Instant};

use quartermaster_node::Schedule;

use super::Node;
use crate::config::Config;
use crate::grpc::status::ApiError;
use crate::metrics::{Disk, Space};
use crate::reload::Reload;

/// How often is looked whether a shard's audit is due: 256 of them in the shortest interval of a second.
pub(super) const AUDIT_LOOK: Duration = Duration::from_micros(3_900);

/// Settings beside those of the core.
pub(super) struct Live {
    audit_interval: Duration,
    audited_at: Instant,
}

impl Live {
    pub(super) fn of(config: &Config) -> Live {
        Live { audit_interval: config.audit_interval, audited_at: Instant::now() }
    }
}

impl Node {
    /// The room on the disk.
    pub fn disk(&self) -> Disk {
        let space = self.config.data_dir.as_deref().and_then(|directory| rustix::fs::statvfs(directory).ok());
        Disk {
            full: self.core.disk_is_full(),
            space: space.map(|space| Space {
                available_bytes: space.f_bavail.saturating_mul(space.f_frsize),
                size_bytes: space.f_blocks.saturating_mul(space.f_frsize),
            }),
            used_bytes: self.core.disk_used_bytes(),
            budget_bytes: self.core.schedule().disk_budget_bytes,
        }
    }

    /// Time between recounts of every promise, as it is now.
    pub(super) fn audit_interval(&self) -> Duration {
        self.live.lock().audit_interval
    }

    /// Why new promises are refused while there is no room.
    pub(super) fn no_room(&self) -> ApiError {
        if self.core.is_over_budget() {
            return ApiError::OverBudget { budget_bytes: self.core.schedule().disk_budget_bytes };
        }
        ApiError::DiskFull
    }

    /// Audits the next shard when its turn has come: all of them once an interval.
    pub(super) fn audit_if_due(&self) {
        {
            let mut live = self.live.lock();
            let pause = live.audit_interval / 256;
            if live.audit_interval.is_zero() || live.audited_at.elapsed() < pause {
                return;
            }
            live.audited_at = Instant::now();
        }
        self.core.audit_step();
    }
}

fn schedule(config: &Config) -> Schedule {
    Schedule {
        snapshot_interval: config.snapshot_interval,
        snapshot_after_bytes: config.snapshot_after_bytes,
        journal_keep: config.journal_keep,
        disk_budget_bytes: config.disk_budget_bytes,
    }
}

impl Reload for Node {
    fn keys(&self) -> &'static [&'static str] {
        &[
            "snapshot_interval",
            "snapshot_after_bytes",
            "journal_keep",
            "disk_budget_bytes",
            "audit_interval",
            "backup_target",
            "backup_interval",
            "backup_keep",
            "backup_bytes_per_second",
            "archive",
            "archive_interval",
        ]
    }

    fn check(&self, config: &Config) -> Result<(), String> {
        match &config.backup_target {
            Some(text) => crate::backup::Place::parse(text)?.open().map(|_| ()),
            None => Ok(()),
        }
    }

    fn take(&self, config: &Config) -> Result<(), String> {
        self.core.set_schedule(schedule(config));
        self.live.lock().audit_interval = config.audit_interval;
        self.backups.take(config);
        Ok(())
    }
}

//! Figures of the disk and of backups.

use std::time::Duration;

use super::page::Page;
use super::{Disk, families};
use crate::backup::Figures;

pub(super) fn publish(disk: &Disk, backups: &Figures, page: &mut Page) {
    page.one(&families::DISK_USED, disk.used_bytes);
    page.one(&families::DISK_BUDGET, disk.budget_bytes);
    page.open(&families::BACKUPS);
    page.sample(&[("result", "made")], backups.made);
    page.sample(&[("result", "failed")], backups.failed);
    page.one(&families::BACKUP_RUNNING, u64::from(backups.running));
    page.one(&families::BACKUP_SENT, backups.sent_bytes);
    page.open(&families::BACKUP_SUCCESS);
    if let Some(made_us) = backups.made_us {
        page.sample(&[], Duration::from_micros(made_us).as_secs_f64());
    }
    page.one(&families::ARCHIVE_FAILURES, backups.archive_failures);
    page.open(&families::ARCHIVE_LSN);
    if let Some(lsn) = backups.archived_lsn {
        page.sample(&[], lsn);
    }
}

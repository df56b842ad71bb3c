//! Figures of the disk and of backups.

use super::page::Page;
use crate::backup::Figures;
use crate::node::DiskFigures;

pub(super) fn publish(disk: &DiskFigures, backups: &Figures, page: &mut Page) {
    page.gauge("quartermaster_disk_used_bytes", "Bytes that journal and snapshots take on the disk.");
    page.single(disk.used);
    page.gauge("quartermaster_disk_free_bytes", "Bytes free on the file system of the data directory.");
    page.single(disk.free);
    page.gauge("quartermaster_disk_budget_bytes", "Bytes that journal and snapshots may take; 0 for all there are.");
    page.single(disk.budget);
    page.counter("quartermaster_backups_total", "Backups by result.");
    page.sample(&[("result", "made")], backups.made);
    page.sample(&[("result", "failed")], backups.failed);
    page.gauge("quartermaster_backup_running", "1 while a backup is made.");
    page.single(u64::from(backups.running));
    page.counter("quartermaster_backup_sent_bytes_total", "Bytes sent for backups and the archive.");
    page.single(backups.sent_bytes);
    page.gauge(
        "quartermaster_backup_success_timestamp_seconds",
        "When the newest backup of this process was made, in Unix time; absent before.",
    );
    if let Some(made_us) = backups.made_us {
        page.single(std::time::Duration::from_micros(made_us).as_secs_f64());
    }
    page.counter("quartermaster_archive_failures_total", "Passes of the archive that failed.");
    page.single(backups.archive_failures);
    page.gauge("quartermaster_archive_lsn", "Newest LSN in the archive; absent without one.");
    if let Some(lsn) = backups.archived_lsn {
        page.single(lsn);
    }
}

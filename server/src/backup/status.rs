//! How backups are, as the operations service and the metrics page tell it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quartermaster_node::Clock as _;
use quartermaster_proto::v1;

use super::{Backups, Done, Outcome, Running};

/// What was done since the start of the process.
#[derive(Debug, Default)]
pub(super) struct Counts {
    made: AtomicU64,
    failed: AtomicU64,
    sent_bytes: AtomicU64,
    made_us: AtomicU64,
    archive_failures: AtomicU64,
}

impl Counts {
    pub(super) fn backed_up(&self, result: &Result<Done, String>, now_us: u64) {
        match result {
            Ok(done) => {
                self.made.fetch_add(1, Ordering::Relaxed);
                self.sent_bytes.fetch_add(done.sent_bytes, Ordering::Relaxed);
                self.made_us.store(now_us, Ordering::Relaxed);
            }
            Err(_) => _ = self.failed.fetch_add(1, Ordering::Relaxed),
        }
    }

    pub(super) fn archived(&self, result: &Result<Done, String>) {
        match result {
            Ok(done) => self.sent_bytes.fetch_add(done.sent_bytes, Ordering::Relaxed),
            Err(_) => self.archive_failures.fetch_add(1, Ordering::Relaxed),
        };
    }
}

/// Figures for the metrics page.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Backups made.
    pub made: u64,
    /// Backups that failed.
    pub failed: u64,
    /// Bytes sent for backups and the archive.
    pub sent_bytes: u64,
    /// When the newest backup of this process was made, in microseconds since the Unix epoch; none before.
    pub made_us: Option<u64>,
    /// Passes of the archive that failed.
    pub archive_failures: u64,
    /// The newest LSN in the archive; none without one.
    pub archived_lsn: Option<u64>,
    /// Whether a backup runs.
    pub running: bool,
}

impl Backups {
    /// Figures for the metrics page.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let state = self.state.lock();
        Figures {
            made: read(&self.counts.made),
            failed: read(&self.counts.failed),
            sent_bytes: read(&self.counts.sent_bytes),
            made_us: Some(read(&self.counts.made_us)).filter(|at| *at > 0),
            archive_failures: read(&self.counts.archive_failures),
            archived_lsn: state.archived.as_ref().map(|archived| archived.last_lsn),
            running: state.running.as_ref().is_some_and(|running| running.number > 0),
        }
    }

    /// As GetBackup tells it.
    #[must_use]
    pub fn status(&self) -> v1::GetBackupResponse {
        let state = self.state.lock();
        let wanted = state.wanted.as_ref().map(|(number, place)| v1::BackupProgress {
            number: *number,
            target: place.to_string(),
            begin_time: Some(timestamp(self.clock.wall())),
            ..v1::BackupProgress::default()
        });
        let running = state.running.as_ref().filter(|running| running.number > 0 && !running.given_up);
        v1::GetBackupResponse {
            running: running.map(progress).or(wanted),
            last: state.last.as_ref().map(outcome),
            archive: state.archived.as_ref().map(|archived| v1::ArchiveStatus {
                last_lsn: archived.last_lsn,
                success_time: archived.success_us.map(timestamp),
                error: archived.error.clone().unwrap_or_default(),
            }),
            next_time: state.next_backup.map(|at| {
                let left = at.saturating_duration_since(Instant::now());
                timestamp(self.clock.wall().saturating_add(micros(left)))
            }),
        }
    }
}

fn progress(running: &Running) -> v1::BackupProgress {
    let idle = running.progress.idle();
    v1::BackupProgress {
        number: running.number,
        target: running.target.clone(),
        begin_time: Some(timestamp(running.began_us)),
        bytes: signed(running.progress.bytes()),
        idle: prost_types::Duration::try_from(idle).ok(),
    }
}

fn outcome(outcome: &Outcome) -> v1::BackupOutcome {
    let (done, error) = match &outcome.result {
        Ok(done) => (done.clone(), String::new()),
        Err(error) => (Done::default(), error.clone()),
    };
    v1::BackupOutcome {
        number: outcome.number,
        target: outcome.target.clone(),
        begin_time: Some(timestamp(outcome.began_us)),
        end_time: Some(timestamp(outcome.ended_us)),
        error,
        name: done.name,
        first_lsn: done.first_lsn,
        last_lsn: done.last_lsn,
        sent_objects: signed(done.sent_objects),
        sent_bytes: signed(done.sent_bytes),
        total_bytes: signed(done.total_bytes),
        pruned_backups: signed(done.pruned),
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn timestamp(micros: u64) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: i64::try_from(micros / 1_000_000).unwrap_or(i64::MAX),
        nanos: i32::try_from(micros % 1_000_000 * 1_000).unwrap_or(0),
    }
}

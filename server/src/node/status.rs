//! How the node is, and what its configuration allows, as the admin service tells it.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use quartermaster_engine::time::Timestamp;
use quartermaster_journal::Journal as _;
use quartermaster_proto::v1;

use super::reading::wide;
use super::worker::be_the_least;
use super::{Node, SnapshotError};
use crate::config::Durability;
use crate::grpc::status::ApiError;

impl Node {
    /// How the node is.
    pub fn status(&self) -> v1::GetStatusResponse {
        let counts = self.core.engine().counts();
        let log = self.core.log().stats();
        let recovered = self.core.recovered();
        let newest = self.core.newest_snapshot();
        let disk = self.disk();
        let (skus, locations) = {
            let catalogue = self.core.engine().catalogue();
            (wide(catalogue.skus().len()), wide(catalogue.directory().locations().len()))
        };
        v1::GetStatusResponse {
            position: Some(self.position(self.core.log().durable_lsn())),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            start_time: Some(timestamp(self.started_at)),
            state: self.health.phase().name().to_owned(),
            durability: match self.config.durability {
                Durability::Fsync => "fsync",
                Durability::Interval => "interval",
                Durability::None => "none",
            }
            .to_owned(),
            appended_lsn: self.core.log().appended_lsn().get(),
            cells: counts.cells,
            skus,
            locations,
            reservations_held: counts.held,
            reservations_confirmed: counts.confirmed,
            reservations_ended: counts.ended,
            shortfalls: counts.shortfalls,
            dedup_entries: counts.dedup_entries,
            audit_violations: self.core.audits().violations(),
            recovery: Some(v1::RecoveryStatus {
                duration: Some(duration(recovered.duration)),
                snapshot_lsn: recovered.snapshot_lsn.get(),
                records: recovered.records,
                torn_bytes: recovered.torn_bytes,
            }),
            journal: Some(v1::JournalStatus {
                segments: log.segments,
                appended_bytes: log.bytes,
                appended_events: log.appends,
                batches: log.batches,
                fsyncs: log.syncs,
                snapshot_lsn: newest.lsn.get(),
                snapshot_age: (newest.lsn.get() > 0).then(|| duration(newest.age)),
                disk_used_bytes: disk.used_bytes,
                disk_free_bytes: disk.space.map_or(0, |space| space.available_bytes),
                disk_budget_bytes: disk.budget_bytes,
            }),
        }
    }

    /// Takes a snapshot off the threads that serve.
    ///
    /// # Errors
    /// When it could not be written; the one before stays.
    pub async fn take_snapshot(self: &Arc<Self>) -> Result<v1::TakeSnapshotResponse, ApiError> {
        let node = Arc::clone(self);
        // A thread of its own, as for those that are due: it stays the least, which would not do in a pool.
        let (tell, told) = tokio::sync::oneshot::channel();
        let take = move || {
            be_the_least();
            // Whoever asked may have left.
            _ = tell.send(node.core.take_snapshot());
        };
        let taking = thread::Builder::new().name("snapshot-now".to_owned()).spawn(take);
        taking.map_err(|_| ApiError::Internal { what: "the system has no thread to give for a snapshot" })?;
        let taken = told.await.map_err(|_| ApiError::Internal { what: "the snapshot's thread ended early" })?;
        let taken = taken.map_err(|SnapshotError::Journal(error)| match error {
            quartermaster_journal::Error::NoSpace { .. } => ApiError::DiskFull,
            _ => ApiError::Internal { what: "a snapshot could not be written" },
        })?;
        Ok(v1::TakeSnapshotResponse {
            position: Some(self.position(taken.lsn)),
            file: taken.file,
            bytes: i64::try_from(taken.bytes).unwrap_or(i64::MAX),
            duration: Some(duration(taken.duration)),
        })
    }

    /// The limits that follow from the configuration.
    pub fn limits(&self) -> Vec<v1::Limit> {
        let limit = |limit: crate::config::Limit| v1::Limit {
            name: limit.name.to_owned(),
            value: i64::try_from(limit.value).unwrap_or(i64::MAX),
            unit: limit.unit.to_owned(),
            description: limit.description.to_owned(),
        };
        self.config.limits().into_iter().map(limit).collect()
    }
}

fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: i64::try_from(at.0 / 1_000_000).unwrap_or(i64::MAX),
        nanos: i32::try_from(at.0 % 1_000_000 * 1_000).unwrap_or(0),
    }
}

fn duration(span: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(span.subsec_nanos()).unwrap_or(0),
    }
}

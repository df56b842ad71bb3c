//! The node's figures for the metrics page.

use std::sync::atomic::Ordering;
use std::time::Duration;

use quartermaster_journal::Journal as _;

use super::Node;
use crate::metrics::{Audit, Expiry, Reading, Recovery, Snapshots, Sources};

impl Sources for Node {
    fn read(&self) -> Reading {
        let counts = self.engine.counts();
        let mut reading = Reading::of(&counts, self.log.stats());
        reading.decisions = self.decisions.read();
        reading.decision_duration = self.decisions.times();
        reading.routes = self.routes.read();
        reading.route_duration = self.routes.times();
        reading.route_parcels = self.routes.parcels.read();
        reading.route_gap = self.routes.gaps.read();
        reading.shard_lock_wait = self.lock_waits.waits.read();
        reading.journal.appended_lsn = self.log.appended_lsn().get();
        reading.journal.durable_lsn = self.log.durable_lsn().get();
        reading.journal.durable_lag = self.lag.now();
        let newest = self.snapshots.newest();
        reading.snapshots = Snapshots {
            taken: self.snapshots.taken.load(Ordering::Relaxed),
            failed: self.snapshots.failed.load(Ordering::Relaxed),
            age: (newest.lsn.get() > 0).then(|| newest.at.elapsed()),
            duration: newest.duration,
            bytes: newest.bytes,
            lsn: newest.lsn.get(),
        };
        reading.recovery = Recovery {
            duration: self.recovered.duration,
            events: self.recovered.records,
            torn_bytes: self.recovered.torn_bytes,
        };
        {
            let catalogue = self.engine.catalogue();
            reading.stock.skus = wide(catalogue.skus().len());
            reading.stock.locations = wide(catalogue.directory().locations().len());
        }
        reading.stock.sold_out_answers = self.decisions.sold_out();
        reading.dedup.replayed = self.decisions.replayed();
        reading.expiry = Expiry {
            expired: self.expiries.expired.load(Ordering::Relaxed),
            lag: Duration::from_micros(self.expiries.lag_micros.load(Ordering::Relaxed)),
        };
        reading.audit = Audit {
            // A run is a recount of every shard.
            runs: self.audits.shards.load(Ordering::Relaxed) / 256,
            violations: self.audits.violations.load(Ordering::Relaxed),
        };
        reading.epoch = self.log.epoch().get();
        reading
    }
}

/// A count of this machine as a figure to publish.
pub(super) fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

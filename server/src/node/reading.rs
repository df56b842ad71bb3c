//! The node's figures for the metrics page.

use std::time::Duration;

use quartermaster_engine::Counts;
use quartermaster_engine::time::Timestamp;
use quartermaster_journal::Journal as _;
use quartermaster_proto::v1;

use super::Node;
use crate::metrics::{
    Allotted, Audit, CAMPAIGNS_MAX, CampaignFigures, Expiry, Reading, Recovery, Rules, Snapshots, Sources, Upkeep,
};

impl Sources for Node {
    fn read(&self) -> Reading {
        let counts = self.core.engine().counts();
        let mut reading = Reading::of(&counts, self.core.log().stats());
        reading.decisions = self.decisions.read();
        reading.decision_duration = self.decisions.times();
        reading.routes = self.routes.read();
        reading.route_duration = self.routes.times();
        reading.route_parcels = self.routes.parcels.read();
        reading.route_gap = self.routes.gaps.read();
        reading.shard_lock_wait = self.lock_waits.waits.read();
        reading.journal.appended_lsn = self.core.log().appended_lsn().get();
        reading.journal.durable_lsn = self.core.log().durable_lsn().get();
        reading.journal.durable_lag = self.core.durable_lag();
        reading.journal.backlog_bytes_max = self.config.backlog_bytes_max;
        reading.journal.waiters = wide(self.acks.waiting());
        reading.disk = self.disk();
        let newest = self.core.newest_snapshot();
        let snapshots = self.core.snapshot_counts();
        reading.snapshots = Snapshots {
            taken: snapshots.taken,
            failed: snapshots.failed,
            age: (newest.lsn.get() > 0).then_some(newest.age),
            duration: newest.duration,
            bytes: newest.bytes,
            lsn: newest.lsn.get(),
            interval: self.core.schedule().snapshot_interval,
        };
        let recovered = self.core.recovered();
        reading.recovery =
            Recovery { duration: recovered.duration, events: recovered.records, torn_bytes: recovered.torn_bytes };
        {
            let catalogue = self.core.engine().catalogue();
            reading.stock.skus = wide(catalogue.skus().len());
            reading.stock.locations = wide(catalogue.directory().locations().len());
        }
        reading.supply = self.core.engine().supply_counts();
        reading.stock.sold_out_answers = self.decisions.sold_out();
        reading.dedup.replayed = self.decisions.replayed();
        reading.expiry = Expiry {
            expired: self.core.expiries().expired(),
            lag: Duration::from_micros(self.core.expiries().lag().0),
            overdue: self.core.engine().next_expiry().map_or(Duration::ZERO, |due| self.since(due)),
        };
        reading.reservations.oldest_hold = (!self.audit_interval().is_zero())
            .then(|| self.core.audits().oldest_hold().map_or(Duration::ZERO, |made| self.since(made)));
        reading.audit = Audit {
            // A run is a recount of every shard.
            runs: self.core.audits().shards() / 256,
            violations: self.core.audits().violations(),
        };
        reading.backups = self.backups.figures();
        reading.rules = self.rules_figures();
        reading.returns = self.return_figures();
        reading.allotments = Allotted::largest(self.core.engine());
        reading.campaigns = self.campaign_figures();
        reading.epoch = self.core.log().epoch().get();
        let freezes = self.core.engine().freeze_counts().into_iter();
        reading.upkeep = Upkeep {
            freezes: freezes.map(|((kind, reason), count)| (kind, reason.name(), count)).collect(),
            repaired: self.decisions.repaired(),
        };
        reading
    }

    fn status(&self) -> Option<v1::GetStatusResponse> {
        Some(Node::status(self))
    }

    fn shards(&self) -> Vec<Counts> {
        self.core.engine().counts_by_shard()
    }
}

impl Node {
    /// Time since then; zero when it is still to come.
    fn since(&self, then: Timestamp) -> Duration {
        Duration::from_micros(self.now().0.saturating_sub(then.0))
    }

    fn rules_figures(&self) -> Rules {
        let lag = self.core.engine().rules_lag(self.now());
        let settling = self.core.settling();
        Rules {
            rules: lag.rules,
            holding: lag.holding,
            waiting: lag.waiting,
            lag: Duration::from_micros(lag.lag.0),
            evaluated: settling.evaluated(),
            applied: settling.applied(),
            last_lag: Duration::from_micros(settling.lag().0),
        }
    }

    /// Open campaigns, the first by code.
    fn campaign_figures(&self) -> Vec<CampaignFigures> {
        let directory = std::sync::Arc::clone(self.core.engine().catalogue().directory());
        let mut codes: Vec<&str> = directory.campaigns().open().map(|campaign| &*campaign.code).collect();
        codes.sort_unstable();
        let found = codes.into_iter().take(CAMPAIGNS_MAX).filter_map(|code| self.core.engine().campaign_status(code));
        found
            .map(|(_, status)| {
                let mut figures = CampaignFigures {
                    code: status.campaign.code.to_string(),
                    allotted: status.campaign.items.iter().map(quartermaster_engine::campaign::Item::units).sum(),
                    buyers: status.buyers,
                    ..CampaignFigures::default()
                };
                for item in &status.items {
                    figures.held += item.tally.held;
                    figures.confirmed += item.tally.confirmed;
                    figures.shipped += item.tally.shipped;
                    figures.given_back += item.tally.given_back;
                    figures.waiting += item.waiting;
                }
                figures
            })
            .collect()
    }
}

/// A count of this machine as a figure to publish.
pub(super) fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

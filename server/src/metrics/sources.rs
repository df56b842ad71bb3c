//! What engine and journal tell when they are asked: plain numbers, filled in by whoever joined the parts.

use std::time::Duration;

use quartermaster_engine::Counts;
use quartermaster_journal::LogStats;

use super::allotment::Allotted;
use super::buckets::{Buckets, Unit};
use super::returns::Returns;
use super::upkeep::Upkeep;

/// Gives the figures of engine and journal.
pub trait Sources: Send + Sync {
    /// The figures now. Called at each scrape on a thread that may block; takes no lock that a request waits for long on.
    fn read(&self) -> Reading;

    /// How the node is, for the status page; none where there is no node.
    fn status(&self) -> Option<quartermaster_proto::v1::GetStatusResponse> {
        None
    }

    /// Figures of each shard, for the debug port.
    fn shards(&self) -> Vec<Counts> {
        Vec::new()
    }
}

/// One reading. Counters count from the start of the process; what is not known stays at its default.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Decisions by kind, outcome and reason.
    pub decisions: Vec<Decisions>,
    /// Time of decide, append and apply, by kind of command.
    pub decision_duration: Vec<Labelled>,
    /// Decisions of the router, by kind, proof and outcome.
    pub routes: Vec<Routes>,
    /// Time of a decision of the router, by kind.
    pub route_duration: Vec<Labelled>,
    /// Parcels of each plan.
    pub route_parcels: Buckets,
    /// By how much each plan's cost may lie above the best.
    pub route_gap: Buckets,
    /// Time commands waited for the locks of their shards.
    pub shard_lock_wait: Buckets,
    /// The journal.
    pub journal: Journal,
    /// The disk it is on.
    pub disk: Disk,
    /// Its snapshots.
    pub snapshots: Snapshots,
    /// What the start had to do.
    pub recovery: Recovery,
    /// The matrix and the catalogue.
    pub stock: Stock,
    /// What is expected.
    pub supply: quartermaster_engine::query::supply::SupplyCounts,
    /// Reservations by state.
    pub reservations: Reservations,
    /// Request ids.
    pub dedup: Dedup,
    /// Expiry of holds.
    pub expiry: Expiry,
    /// The auditor.
    pub audit: Audit,
    /// Backups and the archive.
    pub backups: crate::backup::Figures,
    /// Stock rules.
    pub rules: super::Rules,
    /// Returns.
    pub returns: Returns,
    /// Campaigns that are open, the first 20 by code.
    pub campaigns: Vec<CampaignFigures>,
    /// Epoch of this process.
    pub epoch: u64,
    /// Freezes and repairs.
    pub upkeep: Upkeep,
    /// Allotments of the nodes with the largest quotas.
    pub allotments: Vec<Allotted>,
}

/// Units of a campaign, by what became of them.
#[derive(Clone, Debug, Default)]
pub struct CampaignFigures {
    /// Its code.
    pub code: String,
    /// Units of all tranches.
    pub allotted: u64,
    /// Units held.
    pub held: u64,
    /// Units confirmed and not shipped.
    pub confirmed: u64,
    /// Units shipped.
    pub shipped: u64,
    /// Units given back.
    pub given_back: u64,
    /// Buyers that wait.
    pub waiting: u64,
    /// Buyers that have units.
    pub buyers: u64,
}

impl Reading {
    /// A reading that begins with what engine and journal count by themselves; what only the node knows is still to be filled in.
    pub fn of(counts: &Counts, log: LogStats) -> Reading {
        Reading {
            journal: Journal::of(log),
            stock: Stock { cells: counts.cells, shortfalls: counts.shortfalls, ..Stock::default() },
            reservations: Reservations {
                held: counts.held,
                confirmed: counts.confirmed,
                pending: counts.pending,
                ended: counts.ended,
                oldest_hold: None,
            },
            dedup: Dedup { entries: counts.dedup_entries, ..Dedup::default() },
            ..Reading::default()
        }
    }
}

impl Journal {
    fn of(log: LogStats) -> Journal {
        Journal {
            events: log.appends,
            bytes: log.bytes,
            batches: log.batches,
            fsyncs: log.syncs,
            fsync_duration: Buckets::of(log.sync_time, Unit::Microseconds),
            batch_events: Buckets::of(log.batch_records, Unit::Count),
            segments: log.segments,
            spare_segments: log.spare_segments,
            spare_failures: log.spare_failures,
            backlog_bytes: log.backlog_bytes,
            headroom_bytes: log.headroom_bytes,
            ..Journal::default()
        }
    }
}

/// Decisions of one sort. The names are from closed sets of the engine, in snake case.
#[derive(Clone, Debug, Default)]
pub struct Decisions {
    /// Kind of command: "reserve", "confirm", "expire", …
    pub kind: &'static str,
    /// "accepted", "rejected" or "error".
    pub outcome: &'static str,
    /// Reason of the rejection or error, else empty.
    pub reason: &'static str,
    /// How many.
    pub count: u64,
}

/// Decisions of the router of one sort.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    /// "quote", "reserve", "merge" or "reroute".
    pub kind: &'static str,
    /// "proved" or "bounded"; empty where there is no plan.
    pub proof: &'static str,
    /// "complete", "partial", "none" (nothing can be served), "rejected" (for another reason) or "error".
    pub outcome: &'static str,
    /// How many.
    pub count: u64,
}

/// A histogram and the one label that tells it from its siblings.
#[derive(Clone, Debug, Default)]
pub struct Labelled {
    /// Value of the label, from a closed set.
    pub label: &'static str,
    /// Its counts.
    pub buckets: Buckets,
}

/// The journal.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    /// Events appended.
    pub events: u64,
    /// Bytes written, headers and padding included.
    pub bytes: u64,
    /// Batches written.
    pub batches: u64,
    /// Calls of fdatasync.
    pub fsyncs: u64,
    /// Time of each.
    pub fsync_duration: Buckets,
    /// Events of each batch.
    pub batch_events: Buckets,
    /// Segment files.
    pub segments: u64,
    /// Segment files made ahead of their use.
    pub spare_segments: u64,
    /// Attempts to make one that failed for want of space.
    pub spare_failures: u64,
    /// Bytes appended and not yet durable.
    pub backlog_bytes: u64,
    /// Bytes appended and not yet durable at which writes are refused.
    pub backlog_bytes_max: u64,
    /// Answers that wait for the disk.
    pub waiters: u64,
    /// Bytes that can be written without taking space on the disk.
    pub headroom_bytes: u64,
    /// Newest LSN given out.
    pub appended_lsn: u64,
    /// Newest durable LSN.
    pub durable_lsn: u64,
    /// Age of the oldest event that is not durable yet; zero when all are.
    pub durable_lag: Duration,
}

/// The disk of the data directory.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// New promises are refused for want of space.
    pub full: bool,
    /// Its space; none when the system does not tell.
    pub space: Option<Space>,
    /// Bytes of journal and snapshots, measured a few times a second.
    pub used_bytes: u64,
    /// What they may take together; 0 for all there are.
    pub budget_bytes: u64,
}

/// The space of a disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct Space {
    /// Bytes that the server may still take.
    pub available_bytes: u64,
    /// Bytes in all.
    pub size_bytes: u64,
}

/// Snapshots of this process.
#[derive(Clone, Debug, Default)]
pub struct Snapshots {
    /// Taken.
    pub taken: u64,
    /// Failed.
    pub failed: u64,
    /// Age of the newest on disk; none without one.
    pub age: Option<Duration>,
    /// How long the newest took.
    pub duration: Option<Duration>,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its LSN.
    pub lsn: u64,
    /// Time between two; zero for none by time.
    pub interval: Duration,
}

/// What the start had to do.
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    /// From opening the directory to serving.
    pub duration: Duration,
    /// Events applied after the snapshot.
    pub events: u64,
    /// Bytes of a torn tail that were cut.
    pub torn_bytes: u64,
}

/// The matrix and the catalogue.
#[derive(Clone, Debug, Default)]
pub struct Stock {
    /// Populated cells.
    pub cells: u64,
    /// SKUs, retired ones included.
    pub skus: u64,
    /// Locations.
    pub locations: u64,
    /// Cells in shortfall.
    pub shortfalls: u64,
    /// Answers "sold out" given without a lock.
    pub sold_out_answers: u64,
}

/// Reservations by state.
#[derive(Clone, Debug, Default)]
pub struct Reservations {
    /// Held.
    pub held: u64,
    /// Confirmed and not shipped in full.
    pub confirmed: u64,
    /// Placed or waiting: nothing taken yet.
    pub pending: u64,
    /// Ended and still kept.
    pub ended: u64,
    /// Age of the oldest hold, zero without one; none when nobody looks.
    pub oldest_hold: Option<Duration>,
}

/// Request ids.
#[derive(Clone, Debug, Default)]
pub struct Dedup {
    /// Remembered now.
    pub entries: u64,
    /// Requests answered with the answer of before.
    pub replayed: u64,
}

/// Expiry of holds.
#[derive(Clone, Debug, Default)]
pub struct Expiry {
    /// Holds expired.
    pub expired: u64,
    /// How late the newest of them was.
    pub lag: Duration,
    /// How long the first that is still to expire has been due.
    pub overdue: Duration,
}

/// The auditor.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    /// Recounts made.
    pub runs: u64,
    /// Differences found. Must be 0.
    pub violations: u64,
}

//! Names and explains every figure of engine and journal. The only place where their metrics are spelled.

use std::time::Duration;

use super::allotment;
use super::page::Page;
use super::sources::{Journal, Reading, Snapshots, Stock};

pub(super) fn publish(reading: &Reading, page: &mut Page) {
    page.counter("quartermaster_decisions_total", "Commands decided, by kind, outcome and reason.");
    for decisions in &reading.decisions {
        let labels = [("kind", decisions.kind), ("outcome", decisions.outcome), ("reason", decisions.reason)];
        page.sample(&labels, decisions.count);
    }
    page.histogram("quartermaster_decision_duration_seconds", "Time to decide, append and apply, by kind of command.");
    for kind in &reading.decision_duration {
        page.buckets(&[("kind", kind.label)], &kind.buckets);
    }
    routes(reading, page);
    page.histogram("quartermaster_request_phase_duration_seconds", "Time of the phases of a request.");
    for phase in &reading.phase_duration {
        page.buckets(&[("phase", phase.label)], &phase.buckets);
    }
    page.histogram("quartermaster_shard_lock_wait_seconds", "Time commands waited for the locks of their shards.");
    page.buckets(&[], &reading.shard_lock_wait);
    journal(&reading.journal, page);
    snapshots(&reading.snapshots, page);
    page.gauge("quartermaster_recovery_duration_seconds", "Time from opening the data directory to serving.");
    page.single(seconds(reading.recovery.duration));
    page.counter("quartermaster_recovery_events_total", "Events applied at the start, after the snapshot.");
    page.single(reading.recovery.events);
    page.gauge("quartermaster_recovery_torn_bytes", "Bytes of a torn tail cut at the start.");
    page.single(reading.recovery.torn_bytes);
    stock(&reading.stock, page);
    super::supply::publish(&reading.supply, page);
    page.gauge("quartermaster_reservations", "Reservations in memory, by state.");
    for (state, count) in [
        ("held", reading.reservations.held),
        ("confirmed", reading.reservations.confirmed),
        ("ended", reading.reservations.ended),
    ] {
        page.sample(&[("state", state)], count);
    }
    page.gauge("quartermaster_dedup_entries", "Request ids remembered.");
    page.single(reading.dedup.entries);
    page.counter("quartermaster_dedup_replayed_total", "Requests answered with the answer given before.");
    page.single(reading.dedup.replayed);
    page.counter("quartermaster_expired_total", "Holds expired.");
    page.single(reading.expiry.expired);
    page.gauge("quartermaster_expiry_lag_seconds", "How late the newest expiry was.");
    page.single(seconds(reading.expiry.lag));
    page.counter("quartermaster_audit_runs_total", "Recounts of every promise.");
    page.single(reading.audit.runs);
    page.counter("quartermaster_conservation_violations_total", "Differences the auditor found. Must stay 0.");
    page.single(reading.audit.violations);
    super::room::publish(&reading.disk, &reading.backups, page);
    super::rules::publish(&reading.rules, page);
    super::returns::publish(&reading.returns, page);
    allotment::publish(&reading.allotments, page);
    page.gauge("quartermaster_epoch", "Epoch of this process; rises at every start.");
    page.single(reading.epoch);
    super::upkeep::publish(&reading.upkeep, page);
}

fn routes(reading: &Reading, page: &mut Page) {
    page.counter(
        "quartermaster_routes_total",
        "Orders the router decided about, by kind (quote, reserve, merge, reroute), proof (proved, bounded, or empty without a plan) \
         and outcome (complete, partial, none, rejected, error).",
    );
    for routes in &reading.routes {
        let labels = [("kind", routes.kind), ("proof", routes.proof), ("outcome", routes.outcome)];
        page.sample(&labels, routes.count);
    }
    page.histogram(
        "quartermaster_route_duration_seconds",
        "Time to decide an order with the router, explanations, append and apply included, by kind.",
    );
    for kind in &reading.route_duration {
        page.buckets(&[("kind", kind.label)], &kind.buckets);
    }
    page.histogram("quartermaster_route_parcels", "Parcels of each plan.");
    page.buckets(&[], &reading.route_parcels);
    page.histogram(
        "quartermaster_route_gap_ratio",
        "By how much of the lower bound each plan's cost may lie above the best; 0 when proved. Plans without a bound are not in it.",
    );
    page.buckets(&[], &reading.route_gap);
}

fn journal(journal: &Journal, page: &mut Page) {
    page.counter("quartermaster_wal_events_total", "Events appended to the journal.");
    page.single(journal.events);
    page.counter("quartermaster_wal_bytes_total", "Bytes written to the journal, headers and padding included.");
    page.single(journal.bytes);
    page.counter("quartermaster_wal_batches_total", "Batches written to the journal.");
    page.single(journal.batches);
    page.counter("quartermaster_wal_fsyncs_total", "Calls of fdatasync on the journal.");
    page.single(journal.fsyncs);
    page.histogram("quartermaster_wal_fsync_duration_seconds", "Time of each fdatasync.");
    page.buckets(&[], &journal.fsync_duration);
    page.histogram("quartermaster_wal_batch_events", "Events of each batch.");
    page.buckets(&[], &journal.batch_events);
    page.gauge("quartermaster_wal_segments", "Segment files of the journal.");
    page.single(journal.segments);
    page.gauge(
        "quartermaster_wal_spare_segments",
        "Segment files made ahead of use; 0 for long: no space for the next.",
    );
    page.single(journal.spare_segments);
    page.counter("quartermaster_wal_spare_failures_total", "Failed attempts to make a segment ahead of use.");
    page.single(journal.spare_failures);
    page.gauge("quartermaster_wal_backlog_bytes", "Bytes appended and not yet durable.");
    page.single(journal.backlog_bytes);
    page.gauge("quartermaster_wal_headroom_bytes", "Bytes that can be written without taking space on the disk.");
    page.single(journal.headroom_bytes);
    page.gauge("quartermaster_wal_appended_lsn", "Newest LSN given out.");
    page.single(journal.appended_lsn);
    page.gauge("quartermaster_wal_durable_lsn", "Newest durable LSN.");
    page.single(journal.durable_lsn);
    page.gauge("quartermaster_wal_durable_lag_seconds", "Age of the oldest event that is not durable yet.");
    page.single(seconds(journal.durable_lag));
}

fn snapshots(snapshots: &Snapshots, page: &mut Page) {
    page.counter("quartermaster_snapshots_total", "Snapshots by result.");
    page.sample(&[("result", "taken")], snapshots.taken);
    page.sample(&[("result", "failed")], snapshots.failed);
    page.gauge("quartermaster_snapshot_age_seconds", "Age of the newest snapshot; absent without one.");
    if let Some(age) = snapshots.age {
        page.single(seconds(age));
    }
    page.gauge("quartermaster_snapshot_duration_seconds", "Time the newest snapshot took; absent without one.");
    if let Some(duration) = snapshots.duration {
        page.single(seconds(duration));
    }
    page.gauge("quartermaster_snapshot_bytes", "Size of the newest snapshot.");
    page.single(snapshots.bytes);
    page.gauge("quartermaster_snapshot_lsn", "LSN of the newest snapshot.");
    page.single(snapshots.lsn);
}

fn stock(stock: &Stock, page: &mut Page) {
    page.gauge("quartermaster_cells", "Populated cells: SKUs at locations.");
    page.single(stock.cells);
    page.gauge("quartermaster_skus", "SKUs, retired ones included.");
    page.single(stock.skus);
    page.gauge("quartermaster_locations", "Locations.");
    page.single(stock.locations);
    page.gauge("quartermaster_shortfalls", "Cells that hold less than is promised there.");
    page.single(stock.shortfalls);
    page.counter("quartermaster_sold_out_answers_total", "Answers \"sold out\" given without a lock.");
    page.single(stock.sold_out_answers);
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

//! Names and explains every figure of engine and journal. The only place where their metrics are spelled.

use std::time::Duration;

use super::allotment;
use super::families;
use super::page::Page;
use super::sources::{Disk, Journal, Reading, Snapshots, Stock};

pub(super) fn publish(reading: &Reading, page: &mut Page) {
    page.open(&families::DECISIONS);
    for decisions in &reading.decisions {
        let labels = [("kind", decisions.kind), ("outcome", decisions.outcome), ("reason", decisions.reason)];
        page.sample(&labels, decisions.count);
    }
    page.open(&families::DECISION_DURATION);
    for kind in &reading.decision_duration {
        page.buckets(&[("kind", kind.label)], &kind.buckets);
    }
    routes(reading, page);
    page.histogram(&families::LOCK_WAIT, &reading.shard_lock_wait);
    journal(&reading.journal, page);
    disk(&reading.disk, page);
    snapshots(&reading.snapshots, page);
    page.one(&families::RECOVERY_DURATION, seconds(reading.recovery.duration));
    page.one(&families::RECOVERY_EVENTS, reading.recovery.events);
    page.one(&families::RECOVERY_TORN, reading.recovery.torn_bytes);
    stock(&reading.stock, page);
    super::supply::publish(&reading.supply, page);
    page.open(&families::RESERVATIONS);
    for (state, count) in [
        ("held", reading.reservations.held),
        ("confirmed", reading.reservations.confirmed),
        ("pending", reading.reservations.pending),
        ("ended", reading.reservations.ended),
    ] {
        page.sample(&[("state", state)], count);
    }
    page.open(&families::OLDEST_HOLD);
    if let Some(age) = reading.reservations.oldest_hold {
        page.sample(&[], seconds(age));
    }
    page.one(&families::DEDUP_ENTRIES, reading.dedup.entries);
    page.one(&families::DEDUP_REPLAYED, reading.dedup.replayed);
    page.one(&families::EXPIRED, reading.expiry.expired);
    page.one(&families::EXPIRY_LAG, seconds(reading.expiry.lag));
    page.one(&families::EXPIRY_OVERDUE, seconds(reading.expiry.overdue));
    page.one(&families::AUDIT_RUNS, reading.audit.runs);
    page.one(&families::VIOLATIONS, reading.audit.violations);
    super::room::publish(&reading.disk, &reading.backups, page);
    super::rules::publish(&reading.rules, page);
    super::returns::publish(&reading.returns, page);
    allotment::publish(&reading.allotments, page);
    page.one(&families::EPOCH, reading.epoch);
    super::upkeep::publish(&reading.upkeep, page);
}

fn routes(reading: &Reading, page: &mut Page) {
    page.open(&families::ROUTES);
    for routes in &reading.routes {
        let labels = [("kind", routes.kind), ("proof", routes.proof), ("outcome", routes.outcome)];
        page.sample(&labels, routes.count);
    }
    page.open(&families::ROUTE_DURATION);
    for kind in &reading.route_duration {
        page.buckets(&[("kind", kind.label)], &kind.buckets);
    }
    page.histogram(&families::ROUTE_PARCELS, &reading.route_parcels);
    page.histogram(&families::ROUTE_GAP, &reading.route_gap);
}

fn journal(journal: &Journal, page: &mut Page) {
    page.one(&families::WAL_EVENTS, journal.events);
    page.one(&families::WAL_BYTES, journal.bytes);
    page.one(&families::WAL_BATCHES, journal.batches);
    page.one(&families::WAL_FSYNCS, journal.fsyncs);
    page.histogram(&families::WAL_FSYNC_DURATION, &journal.fsync_duration);
    page.histogram(&families::WAL_BATCH_EVENTS, &journal.batch_events);
    page.one(&families::WAL_SEGMENTS, journal.segments);
    page.one(&families::WAL_SPARES, journal.spare_segments);
    page.one(&families::WAL_SPARE_FAILURES, journal.spare_failures);
    page.one(&families::WAL_BACKLOG, journal.backlog_bytes);
    page.one(&families::WAL_BACKLOG_MAX, journal.backlog_bytes_max);
    page.one(&families::WAL_HEADROOM, journal.headroom_bytes);
    page.one(&families::WAL_APPENDED, journal.appended_lsn);
    page.one(&families::WAL_DURABLE, journal.durable_lsn);
    page.one(&families::WAL_LAG, seconds(journal.durable_lag));
    page.one(&families::DURABILITY_WAITERS, journal.waiters);
}

fn disk(disk: &Disk, page: &mut Page) {
    page.one(&families::DISK_FULL, u8::from(disk.full));
    page.open(&families::DATA_DIR_AVAILABLE);
    if let Some(space) = disk.space {
        page.sample(&[], space.available_bytes);
    }
    page.open(&families::DATA_DIR_SIZE);
    if let Some(space) = disk.space {
        page.sample(&[], space.size_bytes);
    }
}

fn snapshots(snapshots: &Snapshots, page: &mut Page) {
    page.open(&families::SNAPSHOTS);
    page.sample(&[("result", "taken")], snapshots.taken);
    page.sample(&[("result", "failed")], snapshots.failed);
    page.open(&families::SNAPSHOT_AGE);
    if let Some(age) = snapshots.age {
        page.sample(&[], seconds(age));
    }
    page.open(&families::SNAPSHOT_DURATION);
    if let Some(duration) = snapshots.duration {
        page.sample(&[], seconds(duration));
    }
    page.one(&families::SNAPSHOT_BYTES, snapshots.bytes);
    page.one(&families::SNAPSHOT_LSN, snapshots.lsn);
    page.one(&families::SNAPSHOT_INTERVAL, seconds(snapshots.interval));
}

fn stock(stock: &Stock, page: &mut Page) {
    page.one(&families::CELLS, stock.cells);
    page.one(&families::SKUS, stock.skus);
    page.one(&families::LOCATIONS, stock.locations);
    page.one(&families::SHORTFALLS, stock.shortfalls);
    page.one(&families::SOLD_OUT, stock.sold_out_answers);
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

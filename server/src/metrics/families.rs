//! Every metric, once: its name, kind, labels with the most values each can have, and meaning. The page can show nothing that does not
//! stand here, and `quartermaster metrics` and docs/METRICS.md are made from it.

use super::allotment::NODES_MAX;
use super::{CAMPAIGNS_MAX, ShedCause};
use crate::admission::Priority;
use crate::auth::Denial;
use crate::methods::Methods;
use crate::node::labels;
use crate::watch::steps::STEPS;
use Values::{Closed, Given, Top};

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises; begins at 0 with the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts in so many buckets with a bound, and one without.
    Histogram(usize),
}

/// The most values a label can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// So many, from a closed set.
    Closed(usize),
    /// The codes of the so many largest.
    Top(usize),
    /// One for each method of the API, and "unknown".
    Methods,
    /// Given by another label.
    Given,
}

/// A label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// How many values it can have.
    pub values: Values,
}

/// A metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [Label],
    /// What it tells.
    pub help: &'static str,
}

impl Family {
    /// What its numbers are: "seconds", "bytes", "ratio", else a count of what its name says.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        let name = self.name.trim_end_matches("_total");
        ["seconds", "bytes", "ratio"].into_iter().find(|unit| name.ends_with(unit)).unwrap_or("count")
    }

    /// The most series it can have, buckets counted.
    #[must_use]
    pub fn series_max(&self, methods: &Methods) -> usize {
        let values = self.labels.iter().map(|label| match label.values {
            Closed(count) | Top(count) => count,
            Values::Methods => methods.all().len() + 1,
            Given => 1,
        });
        let each = match self.kind {
            Kind::Counter | Kind::Gauge => 1,
            // Buckets with a bound, the one without, sum and count.
            Kind::Histogram(bounds) => bounds + 3,
        };
        values.product::<usize>() * each
    }
}

/// Declares the metrics, and lists them all.
macro_rules! families {
    ($( $constant:ident : $kind:ident $( ($bounds:expr) )? $name:literal [ $( $label:literal : $values:expr ),* ] $help:expr; )+) => {
        $(
            pub(super) static $constant: Family = Family {
                name: $name,
                kind: Kind::$kind $( ($bounds) )?,
                labels: &[ $( Label { name: $label, values: $values } ),* ],
                help: $help,
            };
        )+

        /// All of them, in the order of the page.
        pub static FAMILIES: &[&Family] = &[ $( &$constant ),+ ];
    };
}

/// Buckets of most durations, see `buckets.rs`.
const TIMES: usize = super::buckets::BOUNDS.len();

families! {
    BUILD_INFO: Gauge "quartermaster_build_info" ["version": Closed(1)] "1, labelled with what runs.";
    READY: Gauge "quartermaster_ready" [] "1 while calls are taken, as /readyz has it; else 0.";
    PHASE: Gauge "quartermaster_phase" ["phase": Closed(crate::health::Phase::ALL.len())] "1 for what the server is doing, 0 for the rest.";

    STARTED: Counter "grpc_server_started_total" ["grpc_service": Given, "grpc_method": Values::Methods]
        "Calls that arrived, by method; less those handled, they are the calls in work.";
    HANDLED: Counter "grpc_server_handled_total" ["grpc_service": Given, "grpc_method": Values::Methods, "grpc_code": Closed(17)]
        "Calls answered, by method and status code.";
    HANDLING: Histogram(TIMES) "grpc_server_handling_seconds" ["grpc_service": Given, "grpc_method": Values::Methods]
        "Time from the request's headers to the end of the answer.";
    STEP: Histogram(TIMES) "quartermaster_request_phase_duration_seconds" ["phase": Closed(STEPS)]
        "Time unary calls spent in each phase: wait (for a thread), convert, lock, decide, append, fsync (until durable), reply.";
    SLOW_CALLS: Counter "quartermaster_slow_calls_total" [] "Calls slower than `slow_call_threshold`.";
    SLOW_LINES_LEFT_OUT: Counter "quartermaster_slow_call_lines_left_out_total" [] "Slow calls not logged, because ten a second were.";
    INFLIGHT: Gauge "quartermaster_inflight_requests" [] "Calls in work.";
    INFLIGHT_MAX: Gauge "quartermaster_inflight_requests_max" [] "Calls in work at which more are refused.";
    INFLIGHT_LIMIT: Gauge "quartermaster_inflight_limit" [] "Calls in work at which new promises are refused: follows the queue.";
    QUEUE_WAIT: Histogram(TIMES) "quartermaster_queue_wait_seconds" [] "Time from a call's headers to a thread's turning to it.";
    OPEN_STREAMS: Gauge "quartermaster_open_streams" [] "Answers under way that are streams.";
    CALLERS: Gauge "quartermaster_active_callers" [] "Callers with calls in work, told apart by their addresses; a few of very many count as one.";
    CONNECTIONS: Gauge "quartermaster_connections" [] "Open connections of callers.";
    CONNECTIONS_MAX: Gauge "quartermaster_connections_max" [] "Open connections at which more are refused.";
    SHED: Counter "quartermaster_shed_total" ["cause": Closed(ShedCause::ALL.len())] "Calls and connections refused, by the limit they met.";
    SHED_CALLS: Counter "quartermaster_shed_calls_total" ["priority": Closed(Priority::ALL.len())]
        "Calls refused in overload, by what they can wait for.";

    DECISIONS: Counter "quartermaster_decisions_total"
        ["kind": Closed(labels::KINDS), "outcome": Given, "reason": Closed(labels::ENDS)] "Commands decided, by kind, outcome and reason.";
    DECISION_DURATION: Histogram(TIMES) "quartermaster_decision_duration_seconds" ["kind": Closed(labels::KINDS)]
        "Time to decide, append and apply, by kind of command.";
    ROUTES: Counter "quartermaster_routes_total" ["kind": Closed(4), "proof": Closed(3), "outcome": Closed(5)]
        "Orders the router decided about, by kind (quote, reserve, merge, reroute), proof (proved, bounded, or empty without a plan) and outcome (complete, partial, none, rejected, error).";
    ROUTE_DURATION: Histogram(TIMES) "quartermaster_route_duration_seconds" ["kind": Closed(4)]
        "Time to decide an order with the router, explanations, append and apply included, by kind.";
    ROUTE_PARCELS: Histogram(labels::PARCEL_BOUNDS) "quartermaster_route_parcels" [] "Parcels of each plan.";
    ROUTE_GAP: Histogram(labels::GAP_BOUNDS) "quartermaster_route_gap_ratio" []
        "By how much of the lower bound each plan's cost may lie above the best; 0 when proved. Plans without a bound are not in it.";
    LOCK_WAIT: Histogram(TIMES) "quartermaster_shard_lock_wait_seconds" []
        "Waits for the lock of a shard that another thread held; a lock that was free is not in it.";

    WAL_EVENTS: Counter "quartermaster_wal_events_total" [] "Events appended to the journal.";
    WAL_BYTES: Counter "quartermaster_wal_bytes_total" [] "Bytes written to the journal, headers and padding included.";
    WAL_BATCHES: Counter "quartermaster_wal_batches_total" [] "Batches written to the journal.";
    WAL_FSYNCS: Counter "quartermaster_wal_fsyncs_total" [] "Calls of fdatasync on the journal.";
    WAL_FSYNC_DURATION: Histogram(labels::FSYNC_BOUNDS) "quartermaster_wal_fsync_duration_seconds" [] "Time of each fdatasync, with the write before it.";
    WAL_BATCH_EVENTS: Histogram(labels::BATCH_BOUNDS) "quartermaster_wal_batch_events" [] "Events of each batch.";
    WAL_SEGMENTS: Gauge "quartermaster_wal_segments" [] "Segment files of the journal.";
    WAL_SPARES: Gauge "quartermaster_wal_spare_segments" [] "Segment files made ahead of use; 0 for long: no space for the next.";
    WAL_SPARE_FAILURES: Counter "quartermaster_wal_spare_failures_total" [] "Failed attempts to make a segment ahead of use.";
    WAL_BACKLOG: Gauge "quartermaster_wal_backlog_bytes" [] "Bytes appended and not yet durable.";
    WAL_BACKLOG_MAX: Gauge "quartermaster_wal_backlog_max_bytes" [] "Bytes appended and not yet durable at which writes are refused.";
    WAL_HEADROOM: Gauge "quartermaster_wal_headroom_bytes" [] "Bytes that can be written without taking space on the disk.";
    WAL_APPENDED: Gauge "quartermaster_wal_appended_lsn" [] "Newest LSN given out.";
    WAL_DURABLE: Gauge "quartermaster_wal_durable_lsn" [] "Newest durable LSN.";
    WAL_LAG: Gauge "quartermaster_wal_durable_lag_seconds" [] "Age of the oldest event that is not durable yet.";
    DURABILITY_WAITERS: Gauge "quartermaster_durability_waiters" [] "Answers that wait for the disk.";
    DISK_FULL: Gauge "quartermaster_disk_full" [] "1 while new promises are refused for want of disk space; else 0.";
    DATA_DIR_AVAILABLE: Gauge "quartermaster_data_dir_available_bytes" [] "Space left on the disk of the data directory.";
    DATA_DIR_SIZE: Gauge "quartermaster_data_dir_size_bytes" [] "Size of that disk.";
    DISK_USED: Gauge "quartermaster_disk_used_bytes" [] "Bytes that journal and snapshots take on the disk.";
    DISK_BUDGET: Gauge "quartermaster_disk_budget_bytes" [] "Bytes that journal and snapshots may take; 0 for all there are.";
    BACKUPS: Counter "quartermaster_backups_total" ["result": Closed(2)] "Backups by result.";
    BACKUP_RUNNING: Gauge "quartermaster_backup_running" [] "1 while a backup is made.";
    BACKUP_SENT: Counter "quartermaster_backup_sent_bytes_total" [] "Bytes sent for backups and the archive.";
    BACKUP_SUCCESS: Gauge "quartermaster_backup_success_timestamp_seconds" []
        "When the newest backup of this process was made, in Unix time; absent before.";
    ARCHIVE_FAILURES: Counter "quartermaster_archive_failures_total" [] "Passes of the archive that failed.";
    ARCHIVE_LSN: Gauge "quartermaster_archive_lsn" [] "Newest LSN in the archive; absent without one.";
    SNAPSHOTS: Counter "quartermaster_snapshots_total" ["result": Closed(2)] "Snapshots by result.";
    SNAPSHOT_AGE: Gauge "quartermaster_snapshot_age_seconds" []
        "Age of the newest snapshot; of one from before the start, since the start; absent without one.";
    SNAPSHOT_DURATION: Gauge "quartermaster_snapshot_duration_seconds" [] "Time the newest snapshot took; absent without one.";
    SNAPSHOT_BYTES: Gauge "quartermaster_snapshot_bytes" [] "Size of the newest snapshot; 0 for one from before the start.";
    SNAPSHOT_LSN: Gauge "quartermaster_snapshot_lsn" [] "LSN of the newest snapshot.";
    SNAPSHOT_INTERVAL: Gauge "quartermaster_snapshot_interval_seconds" [] "The setting `snapshot_interval`; 0 for no snapshots by time.";
    RECOVERY_DURATION: Gauge "quartermaster_recovery_duration_seconds" [] "Time from opening the data directory to serving.";
    RECOVERY_EVENTS: Counter "quartermaster_recovery_events_total" [] "Events applied at the start, after the snapshot.";
    RECOVERY_TORN: Gauge "quartermaster_recovery_torn_bytes" [] "Bytes of a torn tail cut at the start.";
    EPOCH: Gauge "quartermaster_epoch" [] "Epoch of this process; rises at every start.";

    CELLS: Gauge "quartermaster_cells" [] "Populated cells: SKUs at locations.";
    SKUS: Gauge "quartermaster_skus" [] "SKUs, retired ones included.";
    LOCATIONS: Gauge "quartermaster_locations" [] "Locations.";
    SHORTFALLS: Gauge "quartermaster_shortfalls" [] "Cells that hold less than is promised there.";
    SOLD_OUT: Counter "quartermaster_sold_out_answers_total" [] "Answers that too little is available.";
    INBOUNDS_OPEN: Gauge "quartermaster_inbounds_open" [] "Documents of expected units that are open.";
    INBOUND_UNITS: Gauge "quartermaster_inbound_units" [] "Units that open documents still expect.";
    IN_TRANSIT: Gauge "quartermaster_in_transit_units" [] "Of those, units that left another location.";
    PRESOLD: Gauge "quartermaster_presold_units" [] "Units promised from what is expected.";
    UNCOVERED: Gauge "quartermaster_presale_shortfall_units" [] "Of those, units that nothing expected covers.";
    RESERVATIONS: Gauge "quartermaster_reservations" ["state": Closed(4)]
        "Reservations in memory, by state: held, confirmed, pending (placed or waiting, nothing taken yet), ended.";
    OLDEST_HOLD: Gauge "quartermaster_oldest_hold_age_seconds" []
        "Age of the oldest hold that the auditor met on its newest pass; 0 without one, absent when `audit_interval` is 0.";
    DEDUP_ENTRIES: Gauge "quartermaster_dedup_entries" [] "Request ids remembered.";
    DEDUP_REPLAYED: Counter "quartermaster_dedup_replayed_total" [] "Requests answered with the answer given before.";
    EXPIRED: Counter "quartermaster_expired_total" [] "Holds expired.";
    EXPIRY_LAG: Gauge "quartermaster_expiry_lag_seconds" [] "How late the latest hold of the newest expiries was.";
    EXPIRY_OVERDUE: Gauge "quartermaster_expiry_overdue_seconds" [] "How long the first hold that should have expired has been due; 0 when none is.";
    AUDIT_RUNS: Counter "quartermaster_audit_runs_total" [] "Recounts of every promise.";
    VIOLATIONS: Counter "quartermaster_conservation_violations_total" [] "Differences the auditor found. Must stay 0.";
    STOCK_RULES: Gauge "quartermaster_stock_rules" ["state": Closed(2)] "Stock rules in the set, by whether they hold now.";
    RULES_WAITING: Gauge "quartermaster_stock_rules_skus_waiting" [] "SKUs that wait for an evaluation of the stock rules.";
    RULES_LAG: Gauge "quartermaster_stock_rules_lag_seconds" []
        "How long the SKU that waits longest for an evaluation has waited; 0 when none waits.";
    RULES_LAST_LAG: Gauge "quartermaster_stock_rules_last_lag_seconds" []
        "How long the SKU that waited longest had waited, of the newest pass.";
    RULES_EVALUATIONS: Counter "quartermaster_stock_rules_evaluations_total" [] "SKUs of which the stock rules were evaluated.";
    RULES_APPLIED: Counter "quartermaster_stock_rules_applied_total" [] "Evaluations that changed something, each one event.";
    RETURNS: Gauge "quartermaster_returns" ["state": Closed(5)] "Returns kept, by state.";
    RETURNED_UNITS: Counter "quartermaster_returned_units_total" ["disposition": Closed(5)]
        "Units that came back and were inspected, by disposition.";
    RETURN_ALERTS: Gauge "quartermaster_return_rate_alerts" [] "SKUs whose return rate is at or above `return_rate_alert`.";
    ALLOTMENT_UNITS: Gauge "quartermaster_allotment_units" ["node": Top(NODES_MAX), "kind": Closed(3)]
        "Units of the 50 channels and campaigns with the largest quotas, by node and kind (allotted, used, rest).";
    CAMPAIGN_UNITS: Gauge "quartermaster_campaign_units" ["campaign": Top(CAMPAIGNS_MAX), "state": Closed(5)]
        "Units of open campaigns, by what became of them (allotted, held, confirmed, shipped, given_back); the first 20 by code.";
    CAMPAIGN_WAITING: Gauge "quartermaster_campaign_waiting" ["campaign": Top(CAMPAIGNS_MAX)]
        "Buyers that wait in open campaigns; the first 20 by code.";
    CAMPAIGN_BUYERS: Gauge "quartermaster_campaign_buyers" ["campaign": Top(CAMPAIGNS_MAX)]
        "Buyers that have units of open campaigns; the first 20 by code.";
    FREEZES: Gauge "quartermaster_freezes" ["kind": Closed(3), "reason": Closed(labels::FREEZE_REASONS)]
        "Freezes that stand, by kind (sku, cell, location) and reason.";
    REPAIRED: Counter "quartermaster_repaired_units_total" ["remedy": Closed(2)] "Units in shortfall that repairs gave a remedy, by remedy.";

    TLS_EXPIRY: Gauge "quartermaster_tls_certificate_expiry_timestamp_seconds" []
        "When the certificate in force ends, in Unix time; absent without TLS.";
    TLS_RELOADS: Counter "quartermaster_tls_reloads_total" ["result": Closed(2)]
        "Changed certificates that were read, by whether they could be used.";
    TLS_HANDSHAKES: Counter "quartermaster_tls_handshakes_total" ["result": Closed(3)] "TLS handshakes, by how they ended.";
    AUTH_DENIED: Counter "quartermaster_auth_denied_total" ["reason": Closed(Denial::REASONS.len())]
        "Calls that were not let in by who made them, by reason.";
    TOKENS_RELOADS: Counter "quartermaster_tokens_reloads_total" ["result": Closed(2)]
        "Changed token files that were read, by whether they could be used.";
    JWKS_FETCHES: Counter "quartermaster_jwks_fetches_total" ["result": Closed(2)] "Reads of the issuer's public keys, by result.";
    JWKS_KEYS: Gauge "quartermaster_jwks_keys" [] "Public keys of the issuer that can be used.";
    JWKS_READ: Gauge "quartermaster_jwks_read_timestamp_seconds" [] "When these keys were read, in Unix time; absent before.";

    RUNTIME_WORKERS: Gauge "quartermaster_runtime_workers" [] "Threads that serve calls.";
    RUNTIME_TASKS: Gauge "quartermaster_runtime_alive_tasks" [] "Tasks that have begun and not ended: connections, calls, timers.";
    RUNTIME_QUEUE: Gauge "quartermaster_runtime_queue_depth" [] "Tasks that are ready and wait for a thread, in the queue that all threads share.";
    RUNTIME_BUSY: Counter "quartermaster_runtime_busy_seconds_total" []
        "Time the threads that serve calls were busy; its rate over their number is how much of them is used.";
    RUNTIME_PARKS: Counter "quartermaster_runtime_parks_total" [] "Times a thread that serves calls had nothing to do.";
    MEMORY: Gauge "quartermaster_memory_bytes" ["kind": Closed(3)]
        "Memory as the allocator has it: allocated (in use), resident (in RAM), retained (given back to the system, addresses kept).";
    SPANS: Counter "quartermaster_trace_spans_exported_total" [] "Spans that the collector took.";
    SPANS_DROPPED: Counter "quartermaster_trace_spans_dropped_total" ["reason": Closed(2)]
        "Spans dropped, by reason: queue (more than wait at most), collector (it was not there, was too slow or refused).";

    PROCESS_CPU: Counter "process_cpu_seconds_total" [] "Total user and system CPU time spent in seconds.";
    PROCESS_FDS: Gauge "process_open_fds" [] "Number of open file descriptors.";
    PROCESS_FDS_MAX: Gauge "process_max_fds" [] "Maximum number of open file descriptors.";
    PROCESS_VIRTUAL: Gauge "process_virtual_memory_bytes" [] "Virtual memory size in bytes.";
    PROCESS_VIRTUAL_MAX: Gauge "process_virtual_memory_max_bytes" [] "Maximum amount of virtual memory available in bytes.";
    PROCESS_RESIDENT: Gauge "process_resident_memory_bytes" [] "Resident memory size in bytes.";
    PROCESS_START: Gauge "process_start_time_seconds" [] "Start time of the process since unix epoch in seconds.";
    PROCESS_THREADS: Gauge "process_threads" [] "Number of OS threads in the process.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions() {
        let mut seen = std::collections::BTreeSet::new();
        for family in FAMILIES {
            let name = family.name;
            assert!(seen.insert(name), "{name} twice");
            assert!(
                name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'),
                "{name}"
            );
            let ours = ["quartermaster_", "grpc_server_", "process_"];
            assert!(ours.iter().any(|prefix| name.starts_with(prefix)), "{name}");
            assert_eq!(name.ends_with("_total"), family.kind == Kind::Counter, "{name}");
            for unit in [
                "_ms",
                "_us",
                "_millis",
                "_micros",
                "_milliseconds",
                "_microseconds",
                "_nanos",
                "_kb",
                "_mb",
                "_percent",
            ] {
                assert!(!name.trim_end_matches("_total").ends_with(unit), "{name} is not in a base unit");
            }
            for suffix in ["_bucket", "_sum", "_count", "_info_total"] {
                assert!(!name.ends_with(suffix), "{name}");
            }
            assert!(family.help.ends_with('.') && !family.help.contains(['\n', '\\']), "{name}: {:?}", family.help);
            for label in family.labels {
                assert!(!["le", "job", "instance"].contains(&label.name), "{name}: {}", label.name);
            }
        }
    }

    #[test]
    fn the_page_stays_bounded() {
        let methods = Methods::new();
        let worst: usize = FAMILIES.iter().map(|family| family.series_max(&methods)).sum();
        assert!(worst < 20_000, "{worst} series");
        assert_eq!(MEMORY.series_max(&methods), 3);
        assert_eq!(HANDLED.series_max(&methods), (methods.all().len() + 1) * 17);
        assert_eq!(STEP.series_max(&methods), 7 * (TIMES + 3));
        assert_eq!((DATA_DIR_SIZE.unit(), PROCESS_CPU.unit(), CELLS.unit()), ("bytes", "seconds", "count"));
    }
}

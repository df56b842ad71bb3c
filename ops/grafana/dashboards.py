#!/usr/bin/env python3
"""Makes the dashboards beside it: one list of panels for each, everything else the same for all.

    python3 ops/grafana/dashboards.py            writes the JSON files
    python3 ops/grafana/dashboards.py --check    fails when they are not what this script makes

Standard library only. A test of the server parses every query and holds its names and labels to what a server shows.
"""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
WIDTH = 24
OWN = 'instance=~"$instance"'
RATE = "[$__rate_interval]"


def rate(metric, by="", where=""):
    """Sum of the rates of a counter, by labels."""
    selector = "{" + ", ".join(part for part in (OWN, where) if part) + "}"
    return f"sum by ({by or 'instance'}) (rate({metric}{selector}{RATE}))"


def quantile(q, metric, by="", where=""):
    """Quantile of a histogram, by labels."""
    labels = ", ".join(part for part in (by or "instance", "le") if part)
    selector = "{" + ", ".join(part for part in (OWN, where) if part) + "}"
    return f"histogram_quantile({q}, sum by ({labels}) (rate({metric}_bucket{selector}{RATE})))"


def mean(metric, where=""):
    """Mean of a histogram's observations."""
    return f"{rate(metric + '_sum', where=where)} / {rate(metric + '_count', where=where)}"


def gauge(metric, where=""):
    """A gauge as it is."""
    return metric + "{" + ", ".join(part for part in (OWN, where) if part) + "}"


def panel(title, unit, *queries, text="", width=8, kind="timeseries", stack=False):
    """A panel; a query is (expression, legend)."""
    return {"title": title, "unit": unit, "queries": queries, "text": text, "width": width, "kind": kind, "stack": stack}


OURS = 'grpc_service=~"quartermaster\\\\.v1\\\\..*"'
RESERVE = 'kind="reserve"'
SALE = 'kind=~"reserve|confirm|release"'

DASHBOARDS = {
    "overview": ("Quartermaster: overview", "Is it well? The first page to look at.", [
        panel("Ready", "bool", (gauge("quartermaster_ready"), "{{instance}}"), kind="stat", width=4),
        panel("Violations", "none", (gauge("quartermaster_conservation_violations_total"), "{{instance}}"), kind="stat", width=4,
              text="Differences the auditor found. Must be 0, always."),
        panel("Durable lag", "s", (gauge("quartermaster_wal_durable_lag_seconds"), "{{instance}}"), kind="stat", width=4),
        panel("Snapshot age", "s", (gauge("quartermaster_snapshot_age_seconds"), "{{instance}}"), kind="stat", width=4),
        panel("Disk left", "bytes", (gauge("quartermaster_data_dir_available_bytes"), "{{instance}}"), kind="stat", width=4),
        panel("Up since", "dateTimeFromNow", (f"1000 * {gauge('process_start_time_seconds')}", "{{instance}}"), kind="stat", width=4),
        panel("Calls by method", "reqps", (rate("grpc_server_handled_total", "grpc_method", OURS), "{{grpc_method}}"), stack=True),
        panel("Calls that are not OK", "reqps",
              (rate("grpc_server_handled_total", "grpc_method, grpc_code", 'grpc_code!="OK"'), "{{grpc_method}} {{grpc_code}}"),
              text="A business 'no' is an OK answer and not here."),
        panel("Time of calls, 99 of 100", "s", (quantile(0.99, "grpc_server_handling_seconds", "grpc_method", OURS), "{{grpc_method}}")),
        panel("Where the time of a call goes", "s",
              (rate("quartermaster_request_phase_duration_seconds_sum", "phase") + " / on (phase) "
               + rate("quartermaster_request_phase_duration_seconds_count", "phase"), "{{phase}}"),
              text="Mean time of each phase of unary calls that reached it.", stack=True),
        panel("Decisions", "ops", (rate("quartermaster_decisions_total", "kind, outcome"), "{{kind}} {{outcome}}")),
        panel("Calls in work", "none", (gauge("quartermaster_inflight_requests"), "in work"),
              (gauge("quartermaster_durability_waiters"), "of these waiting for the disk"),
              (gauge("quartermaster_inflight_limit"), "limit now")),
        panel("Refused", "reqps", (rate("quartermaster_shed_total", "cause"), "{{cause}}")),
        panel("Slow calls", "reqps", (rate("quartermaster_slow_calls_total"), "slower than slow_call_threshold")),
        panel("Connections and streams", "none", (gauge("quartermaster_connections"), "connections"),
              (gauge("quartermaster_open_streams"), "open streams"), (gauge("quartermaster_active_callers"), "callers with calls in work")),
        panel("Processor", "percentunit", (rate("process_cpu_seconds_total"), "cores used"),
              (f"{rate('quartermaster_runtime_busy_seconds_total')} / sum by (instance) ({gauge('quartermaster_runtime_workers')})",
               "of the threads that serve")),
        panel("Memory", "bytes", (gauge("quartermaster_memory_bytes", 'kind="allocated"'), "allocated"),
              (gauge("process_resident_memory_bytes"), "resident")),
        panel("Tasks", "none", (gauge("quartermaster_runtime_alive_tasks"), "alive"), (gauge("quartermaster_runtime_queue_depth"), "ready and waiting"),
              (gauge("process_threads"), "threads")),
    ]),
    "flash-sale": ("Quartermaster: flash sale", "A sale as it runs: what is asked, granted, refused, held and paid.", [
        panel("Reservations", "ops", (rate("quartermaster_decisions_total", "outcome, reason", 'kind="reserve"'), "{{outcome}} {{reason}}"), width=12,
              stack=True),
        panel("Sold out", "percentunit",
              (f"{rate('quartermaster_sold_out_answers_total')} / {rate('quartermaster_decisions_total', where=RESERVE)}",
               "of the reservations"), width=12, text="An answer, and no alert."),
        panel("Time to decide, 99 of 100", "s", (quantile(0.99, "quartermaster_decision_duration_seconds", "kind", SALE), "{{kind}}")),
        panel("Time of Reserve", "s", *[(quantile(q, "grpc_server_handling_seconds", where='grpc_method="Reserve"'), f"{q:.1%}")
                                        for q in (0.5, 0.99, 0.999)]),
        panel("Confirmed, released, expired", "ops", (rate("quartermaster_decisions_total", "kind", 'kind=~"confirm|release|cancel"'), "{{kind}}"),
              (rate("quartermaster_expired_total"), "expired")),
        panel("Reservations in memory", "none", (gauge("quartermaster_reservations"), "{{state}}")),
        panel("Oldest hold", "s", (gauge("quartermaster_oldest_hold_age_seconds"), "age"), text="As the auditor met it on its newest pass."),
        panel("Expiry", "s", (gauge("quartermaster_expiry_lag_seconds"), "late, newest"), (gauge("quartermaster_expiry_overdue_seconds"), "overdue now")),
        panel("Units of campaigns", "none", (gauge("quartermaster_campaign_units"), "{{campaign}} {{state}}"), width=12),
        panel("Buyers", "none", (gauge("quartermaster_campaign_buyers"), "{{campaign}} have units"),
              (gauge("quartermaster_campaign_waiting"), "{{campaign}} wait"), width=12),
        panel("Waits for a shard's lock", "ops", (rate("quartermaster_shard_lock_wait_seconds_count"), "waits"), text="A lock that was free is not counted."),
        panel("Time of such a wait, 99 of 100", "s", (quantile(0.99, "quartermaster_shard_lock_wait_seconds"), "wait")),
        panel("Wait for a thread", "s", *[(quantile(q, "quartermaster_queue_wait_seconds"), f"{q:.0%}") for q in (0.5, 0.99)]),
        panel("Refused in overload", "reqps", (rate("quartermaster_shed_calls_total", "priority"), "{{priority}}"),
              text="By what they can wait for: settle (confirm, release) goes last."),
        panel("Limit", "none", (gauge("quartermaster_inflight_requests"), "in work"), (gauge("quartermaster_inflight_limit"), "limit to new promises"),
              (gauge("quartermaster_inflight_requests_max"), "in_flight_max")),
        panel("Answers given before", "ops", (rate("quartermaster_dedup_replayed_total"), "repeats"), text="The same request id came again."),
    ]),
    "journal-and-disk": ("Quartermaster: journal and disk", "What stands between a change and its answer.", [
        panel("Events", "ops", (rate("quartermaster_wal_events_total"), "appended"), (rate("quartermaster_wal_fsyncs_total"), "fsyncs")),
        panel("Bytes", "Bps", (rate("quartermaster_wal_bytes_total"), "written")),
        panel("Events of a batch", "none", (mean("quartermaster_wal_batch_events"), "mean"), (quantile(0.99, "quartermaster_wal_batch_events"), "99 of 100")),
        panel("Time of fdatasync", "s", *[(quantile(q, "quartermaster_wal_fsync_duration_seconds"), f"{q:.1%}") for q in (0.5, 0.99, 0.999)]),
        panel("Time calls wait for it", "s",
              *[(quantile(q, "quartermaster_request_phase_duration_seconds", where='phase="fsync"'), f"{q:.0%}") for q in (0.5, 0.99)]),
        panel("Durable lag", "s", (gauge("quartermaster_wal_durable_lag_seconds"), "oldest change that is not durable")),
        panel("Waiting for the disk", "none", (gauge("quartermaster_durability_waiters"), "answers"),
              (f"{gauge('quartermaster_wal_appended_lsn')} - {gauge('quartermaster_wal_durable_lsn')}", "events")),
        panel("Backlog", "bytes", (gauge("quartermaster_wal_backlog_bytes"), "waits"), (gauge("quartermaster_wal_backlog_max_bytes"), "bound")),
        panel("Segments", "none", (gauge("quartermaster_wal_segments"), "segments"), (gauge("quartermaster_wal_spare_segments"), "spares"),
              (rate("quartermaster_wal_spare_failures_total"), "failures a second")),
        panel("Space", "bytes", (gauge("quartermaster_data_dir_available_bytes"), "left"), (gauge("quartermaster_data_dir_size_bytes"), "in all"),
              (gauge("quartermaster_wal_headroom_bytes"), "already taken, unused")),
        panel("In four hours", "bytes", ("predict_linear(" + gauge("quartermaster_data_dir_available_bytes") + "[1h], 4 * 3600)", "left, at this pace"),
              text="Below 0: the alert QuartermasterDiskFullSoon."),
        panel("Full", "bool", (gauge("quartermaster_disk_full"), "new promises are refused")),
        panel("Snapshots", "s", (gauge("quartermaster_snapshot_age_seconds"), "age"), (gauge("quartermaster_snapshot_duration_seconds"), "time it took"),
              (gauge("quartermaster_snapshot_interval_seconds"), "snapshot_interval")),
        panel("Size of the newest", "bytes", (gauge("quartermaster_snapshot_bytes"), "snapshot")),
        panel("Last start", "s", (gauge("quartermaster_recovery_duration_seconds"), "recovery"), text="From opening the data directory to serving."),
    ]),
    "routing": ("Quartermaster: routing", "Where orders go, in how many parcels, how well and how fast that was decided.", [
        panel("Orders", "ops", (rate("quartermaster_routes_total", "kind, outcome"), "{{kind}} {{outcome}}"), stack=True),
        panel("Proof", "ops", (rate("quartermaster_routes_total", "proof", 'proof!=""'), "{{proof}}"), text="proved: the best plan there is; bounded: with a gap.",
              stack=True),
        panel("Proved", "percentunit",
              (rate("quartermaster_routes_total", where='proof="proved"') + " / " + rate("quartermaster_routes_total", where='proof=~"proved|bounded"'), "of the plans")),
        panel("Split", "percentunit", ("1 - " + rate("quartermaster_route_parcels_bucket", where='le="1"') + " / " + rate("quartermaster_route_parcels_count"),
                                       "of the orders go out in more than one parcel")),
        panel("Parcels of an order", "none", (mean("quartermaster_route_parcels"), "mean"), (quantile(0.99, "quartermaster_route_parcels"), "99 of 100")),
        panel("Gap, 99 of 100", "percentunit", (quantile(0.99, "quartermaster_route_gap_ratio"), "above the bound at most")),
        panel("Time to decide, half", "s", (quantile(0.5, "quartermaster_route_duration_seconds", "kind"), "{{kind}}")),
        panel("Time to decide, 99 of 100", "s", (quantile(0.99, "quartermaster_route_duration_seconds", "kind"), "{{kind}}")),
        panel("Refused", "ops", (rate("quartermaster_routes_total", "outcome", 'outcome=~"none|rejected|error"'), "{{outcome}}")),
        panel("Returns", "none", (gauge("quartermaster_returns"), "{{state}}")),
        panel("Units inspected", "ops", (rate("quartermaster_returned_units_total", "disposition"), "{{disposition}}")),
        panel("Repaired units", "ops", (rate("quartermaster_repaired_units_total", "remedy"), "{{remedy}}")),
    ]),
    "tenants": ("Quartermaster: channels and callers", "Who has what of the pool, and who asks.", [
        panel("Allotted", "none", (gauge("quartermaster_allotment_units", 'kind="allotted"'), "{{node}}"), text="The 50 nodes with the largest quotas."),
        panel("Used", "none", (gauge("quartermaster_allotment_units", 'kind="used"'), "{{node}}")),
        panel("Left", "none", (gauge("quartermaster_allotment_units", 'kind="rest"'), "{{node}}")),
        panel("Used of what is allotted", "percentunit",
              ("sum by (node) (" + gauge("quartermaster_allotment_units", 'kind="used"') + ") / (sum by (node) ("
               + gauge("quartermaster_allotment_units", 'kind="allotted"') + ") > 0)", "{{node}}"), width=12),
        panel("Refused by allotment or campaign", "ops",
              (rate("quartermaster_decisions_total", "reason", 'reason=~"insufficient_stock|campaign_.*|buyer_limit_reached|order_limit_reached|not_in_campaign"'),
               "{{reason}}"), width=12),
        panel("Callers with calls in work", "none", (gauge("quartermaster_active_callers"), "callers")),
        panel("Connections", "none", (gauge("quartermaster_connections"), "open"), (gauge("quartermaster_connections_max"), "at most")),
        panel("Refused for their share", "reqps", (rate("quartermaster_shed_total", "cause", 'cause=~"share|address"'), "{{cause}}")),
        panel("Calls by service", "reqps", (rate("grpc_server_handled_total", "grpc_service", OURS), "{{grpc_service}}"), stack=True),
        panel("Callers' mistakes", "reqps",
              (rate("grpc_server_handled_total", "grpc_method, grpc_code", 'grpc_code=~"InvalidArgument|NotFound|AlreadyExists|FailedPrecondition|Aborted"'),
               "{{grpc_method}} {{grpc_code}}")),
        panel("Catalogue", "none", (gauge("quartermaster_skus"), "SKUs"), (gauge("quartermaster_locations"), "locations"), (gauge("quartermaster_cells"), "cells")),
        panel("Expected units", "none", (gauge("quartermaster_inbound_units"), "expected"), (gauge("quartermaster_in_transit_units"), "in transit"),
              (gauge("quartermaster_presold_units"), "promised ahead")),
        panel("Stock rules", "none", (gauge("quartermaster_stock_rules"), "{{state}}"), (gauge("quartermaster_stock_rules_skus_waiting"), "SKUs waiting")),
        panel("Freezes and shortfalls", "none", (gauge("quartermaster_freezes"), "{{kind}} {{reason}}"), (gauge("quartermaster_shortfalls"), "cells in shortfall")),
    ]),
}


def drawn(panels):
    """Panels as Grafana has them, in rows of 24 columns."""
    x = y = height = 0
    for number, one in enumerate(panels, 1):
        tall = 4 if one["kind"] == "stat" else 8
        if x + one["width"] > WIDTH:
            x, y = 0, y + height
        height = tall
        custom = {"lineWidth": 1, "fillOpacity": 20 if one["stack"] else 5, "showPoints": "never"}
        custom["stacking"] = {"mode": "normal" if one["stack"] else "none", "group": "A"}
        yield {
            "id": number,
            "type": one["kind"],
            "title": one["title"],
            "description": one["text"],
            "datasource": {"type": "prometheus", "uid": "${datasource}"},
            "gridPos": {"x": x, "y": y, "w": one["width"], "h": tall},
            "fieldConfig": {"defaults": {"unit": one["unit"], "custom": custom} if one["kind"] == "timeseries" else {"unit": one["unit"]},
                            "overrides": []},
            "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}
            if one["kind"] == "timeseries" else {"reduceOptions": {"calcs": ["lastNotNull"]}, "textMode": "value"},
            "targets": [
                {"refId": chr(ord("A") + place), "expr": expression, "legendFormat": legend, "datasource": {"type": "prometheus", "uid": "${datasource}"}}
                for place, (expression, legend) in enumerate(one["queries"])
            ],
        }
        x += one["width"]


def dashboard(name, title, text, panels):
    """A dashboard as Grafana imports it."""
    return {
        "uid": f"quartermaster-{name}",
        "title": title,
        "description": text,
        "tags": ["quartermaster"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "timezone": "browser",
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "links": [{"title": "Quartermaster", "type": "dashboards", "tags": ["quartermaster"], "asDropdown": True, "includeVars": True, "keepTime": True}],
        "templating": {"list": [
            {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1},
            {"name": "instance", "label": "Instance", "type": "query", "query": "label_values(quartermaster_build_info, instance)",
             "datasource": {"type": "prometheus", "uid": "${datasource}"}, "refresh": 2, "multi": True, "includeAll": True, "allValue": ".*",
             "current": {"text": "All", "value": "$__all"}},
        ]},
        "panels": list(drawn(panels)),
    }


def main():
    """Writes or checks."""
    old = []
    for name, (title, text, panels) in DASHBOARDS.items():
        path = HERE / f"{name}.json"
        made = json.dumps(dashboard(name, title, text, panels), indent=1, ensure_ascii=False) + "\n"
        if "--check" not in sys.argv[1:]:
            path.write_text(made, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != made:
            old.append(path.name)
    if old:
        sys.exit(f"old: {', '.join(old)}; run python3 ops/grafana/dashboards.py")


if __name__ == "__main__":
    main()

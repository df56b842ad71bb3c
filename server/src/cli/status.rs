//! `quartermaster status`: how a running server is, on a page.

use std::process::ExitCode;
use std::time::Duration;

use quartermaster_proto::v1::admin_service_client::AdminServiceClient;
use quartermaster_proto::v1::{GetStatusRequest, GetStatusResponse};
use serde_json::{Value, json};

use super::remote::Target;
use super::{Output, exit, print, show};

/// Shows how a running server is.
#[derive(Clone, Debug, clap::Args)]
pub struct StatusArgs {
    /// Form of the answer.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    target: Target,
}

/// Asks and prints. Ends with 0 when the server serves, with 1 when it does not or finds violations, with 2 when it does not answer.
pub async fn run(args: &StatusArgs) -> ExitCode {
    let channel = match args.target.channel() {
        Ok(channel) => channel,
        Err(error) => {
            eprintln!("quartermaster status: {error}");
            return exit::UNUSABLE.into();
        }
    };
    match AdminServiceClient::new(channel).get_status(GetStatusRequest {}).await {
        Ok(answer) => {
            let status = answer.into_inner();
            match args.output {
                Output::Text => print(&page(&status)),
                Output::Json => print(&format!("{:#}\n", json_of(&status))),
            }
            if status.state == "serving" && status.audit_violations == 0 { exit::OK } else { exit::FAILED }.into()
        }
        Err(status) => {
            eprintln!("quartermaster status: {}", args.target.explain(&status));
            exit::UNUSABLE.into()
        }
    }
}

pub(crate) fn page(status: &GetStatusResponse) -> String {
    let number = show::number;
    let position = status.position.unwrap_or_default();
    let started = status.start_time.map_or_else(|| "unknown".to_owned(), |at| at.to_string());
    let waiting = status.appended_lsn.saturating_sub(position.lsn);
    let mut rows = vec![
        ("state", status.state.clone()),
        ("version", status.version.clone()),
        ("started", started),
        ("durability", status.durability.clone()),
        ("position", format!("LSN {}, epoch {}, shard {}", number(position.lsn), position.epoch, position.shard)),
        ("not durable yet", format!("{} events", number(waiting))),
        ("catalogue", format!("{} SKUs, {} locations", number(status.skus), number(status.locations))),
        ("stock", format!("{} cells, {} in shortfall", number(status.cells), number(status.shortfalls))),
        (
            "reservations",
            format!(
                "{} held, {} confirmed, {} ended and kept",
                number(status.reservations_held),
                number(status.reservations_confirmed),
                number(status.reservations_ended)
            ),
        ),
        ("request ids", format!("{} remembered", number(status.dedup_entries))),
        ("auditor", format!("{} violations", number(status.audit_violations))),
    ];
    if let Some(recovery) = &status.recovery {
        let took = recovery.duration.and_then(|took| Duration::try_from(took).ok()).unwrap_or_default();
        let mut text = format!(
            "{}, snapshot at LSN {} and {} records",
            show::duration(took),
            number(recovery.snapshot_lsn),
            number(recovery.records)
        );
        if recovery.torn_bytes > 0 {
            text = format!("{text}, {} bytes of a torn tail cut", number(recovery.torn_bytes));
        }
        rows.push(("recovery", text));
    }
    if let Some(journal) = &status.journal {
        let per_sync = journal.appended_events.checked_div(journal.fsyncs).unwrap_or(0);
        let events = format!(
            "{} events, {} in {} batches, {} fsyncs ({per_sync} events each), {} segments",
            number(journal.appended_events),
            show::bytes(journal.appended_bytes),
            number(journal.batches),
            number(journal.fsyncs),
            number(journal.segments)
        );
        let age = journal.snapshot_age.and_then(|age| Duration::try_from(age).ok());
        let snapshot = age.map_or_else(
            || "none".to_owned(),
            |age| format!("at LSN {}, {} old", number(journal.snapshot_lsn), show::duration(age)),
        );
        let free =
            if journal.disk_free_bytes == 0 { "unknown".to_owned() } else { show::bytes(journal.disk_free_bytes) };
        let budget = match journal.disk_budget_bytes {
            0 => "no budget".to_owned(),
            budget => format!("budget {}", show::bytes(budget)),
        };
        let disk = format!("{} used, {free} free, {budget}", show::bytes(journal.disk_used_bytes));
        rows.extend([("journal", events), ("snapshot", snapshot), ("disk", disk)]);
    }
    rows.into_iter().map(|(name, text)| format!("{name:<16} {text}\n")).collect()
}

pub(crate) fn json_of(status: &GetStatusResponse) -> Value {
    let position = status.position.unwrap_or_default();
    let seconds = |span: Option<prost_types::Duration>| {
        span.and_then(|span| Duration::try_from(span).ok()).map(|span| span.as_secs_f64())
    };
    json!({
        "state": status.state,
        "version": status.version,
        "start_time": status.start_time.map(|at| at.to_string()),
        "durability": status.durability,
        "position": { "shard": position.shard, "epoch": position.epoch, "lsn": position.lsn },
        "appended_lsn": status.appended_lsn,
        "cells": status.cells,
        "skus": status.skus,
        "locations": status.locations,
        "reservations_held": status.reservations_held,
        "reservations_confirmed": status.reservations_confirmed,
        "reservations_ended": status.reservations_ended,
        "shortfalls": status.shortfalls,
        "dedup_entries": status.dedup_entries,
        "audit_violations": status.audit_violations,
        "recovery": status.recovery.as_ref().map(|recovery| json!({
            "seconds": seconds(recovery.duration),
            "snapshot_lsn": recovery.snapshot_lsn,
            "records": recovery.records,
            "torn_bytes": recovery.torn_bytes,
        })),
        "journal": status.journal.as_ref().map(|journal| json!({
            "segments": journal.segments,
            "appended_bytes": journal.appended_bytes,
            "appended_events": journal.appended_events,
            "batches": journal.batches,
            "fsyncs": journal.fsyncs,
            "snapshot_lsn": journal.snapshot_lsn,
            "snapshot_age_seconds": seconds(journal.snapshot_age),
            "disk_used_bytes": journal.disk_used_bytes,
            "disk_free_bytes": journal.disk_free_bytes,
            "disk_budget_bytes": journal.disk_budget_bytes,
        })),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use quartermaster_proto::v1::{JournalStatus, Position, RecoveryStatus};

    #[test]
    fn a_status_reads_as_a_page_and_as_json() {
        let status = GetStatusResponse {
            position: Some(Position { shard: 0, epoch: 3, lsn: 1_200 }),
            state: "serving".into(),
            appended_lsn: 1_207,
            cells: 100_000,
            recovery: Some(RecoveryStatus { snapshot_lsn: 900, records: 300, torn_bytes: 0, duration: None }),
            journal: Some(JournalStatus { appended_events: 600, fsyncs: 6, ..Default::default() }),
            ..Default::default()
        };
        let page = page(&status);
        for part in ["LSN 1,200, epoch 3", "7 events", "100,000 cells", "100 events each", "snapshot         none"] {
            assert!(page.contains(part), "{part} in\n{page}");
        }
        let json = json_of(&status);
        assert_eq!((&json["position"]["lsn"], &json["journal"]["fsyncs"]), (&json!(1_200), &json!(6)));
        assert_eq!(json["journal"]["snapshot_age_seconds"], Value::Null);
    }
}

//! `quartermaster stock` and `availability`: what is where, and what can be promised.

use std::process::ExitCode;

use clap::Subcommand;
use quartermaster_client::Called;
use quartermaster_proto::v1::{
    AdjustStockRequest, Bucket, Cell, GetAvailabilityRequest, GetAvailabilityResponse, ListCellsRequest,
    MoveStockRequest, Receipt, ReceiveStockRequest, SetStockRequest, StockLevel, StockReason,
};
use serde_json::json;

use super::ask::{Asked, Change, Stop};
use super::lines::{Units, named, units};
use super::output::{message_json, table};
use super::{Output, print};

/// Stock on a running server.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  quartermaster stock set TEE-RED-M@HZ-DC1=5
  quartermaster stock adjust TEE-RED-M@HZ-DC1=-1 --reason damage --reference D-17
  quartermaster stock move TEE-RED-M@HZ-DC1=1 --from sellable --to damaged
  quartermaster stock get TEE-RED-M --location HZ-DC1")]
pub struct StockArgs {
    #[command(subcommand)]
    step: Step,
    #[command(flatten)]
    asked: Asked,
}

/// Why a change is made, and what it belongs to.
#[derive(Clone, Debug, clap::Args)]
struct Why {
    /// Why: count, damage, loss, found, purchase, transfer, customer-return, vendor-return, sample, correction, import, other, theft,
    /// misplaced, mispicked, not-recorded, out-of-date.
    #[arg(long, value_name = "REASON", value_parser = reason)]
    reason: Option<StockReason>,
    /// Your document number.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reference: String,
    #[command(flatten)]
    change: Change,
}

#[derive(Clone, Debug, Subcommand)]
enum Step {
    /// Sets a bucket of a cell.
    Set {
        /// SKU@LOCATION=UNITS.
        #[arg(value_parser = cell)]
        cell: Units,
        /// on-hand, safety, quality-control, damaged, in-repair or incoming.
        #[arg(long, value_name = "BUCKET", value_parser = bucket, default_value = "on-hand")]
        bucket: Bucket,
        /// Only if the stock of the SKU did not change after this revision.
        #[arg(long, value_name = "LSN")]
        revision: Option<u64>,
        #[command(flatten)]
        why: Why,
    },
    /// Adds units to a bucket of a cell, or takes them away.
    Adjust {
        /// SKU@LOCATION=UNITS; negative takes away.
        #[arg(value_parser = cell)]
        cell: Units,
        /// As for set.
        #[arg(long, value_name = "BUCKET", value_parser = bucket, default_value = "on-hand")]
        bucket: Bucket,
        #[command(flatten)]
        why: Why,
    },
    /// Moves units of a cell between buckets.
    Move {
        /// SKU@LOCATION=UNITS.
        #[arg(value_parser = cell)]
        cell: Units,
        /// Bucket they leave: sellable, quality-control, damaged or in-repair.
        #[arg(long, value_name = "BUCKET", value_parser = bucket)]
        from: Bucket,
        /// Bucket they come to, of the same.
        #[arg(long, value_name = "BUCKET", value_parser = bucket)]
        to: Bucket,
        #[command(flatten)]
        why: Why,
    },
    /// Takes units in.
    Receive {
        /// SKU@LOCATION=UNITS.
        #[arg(required = true, value_parser = cell)]
        cells: Vec<Units>,
        /// They were counted as incoming.
        #[arg(long)]
        from_incoming: bool,
        #[command(flatten)]
        why: Why,
    },
    /// Shows the cells of SKUs.
    Get {
        /// SKU codes.
        #[arg(required = true)]
        skus: Vec<String>,
        /// Only at these locations; may be repeated.
        #[arg(long, value_name = "CODE")]
        location: Vec<String>,
    },
}

/// Units that can be promised now.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  quartermaster availability TEE-RED-M TEE-RED-L
  quartermaster availability TEE-RED-M --channel tmall --location HZ-DC1 --location SH-01")]
pub struct AvailabilityArgs {
    /// SKU codes.
    #[arg(required = true)]
    skus: Vec<String>,
    /// A column for this location; may be repeated.
    #[arg(long, value_name = "CODE")]
    location: Vec<String>,
    /// As a reservation in this channel finds it.
    #[arg(long, value_name = "CODE", default_value = "", hide_default_value = true)]
    channel: String,
    /// As a reservation in this campaign finds it.
    #[arg(long, value_name = "CODE", default_value = "", hide_default_value = true)]
    campaign: String,
    /// Only when the server has reached this LSN.
    #[arg(long, value_name = "LSN", default_value_t = 0)]
    min_lsn: u64,
    #[command(flatten)]
    asked: Asked,
}

fn cell(text: &str) -> Result<Units, String> {
    let cell = units(text)?;
    if cell.location.is_empty() {
        Err(format!("{text:?} names no location: write SKU@LOCATION=UNITS"))
    } else {
        Ok(cell)
    }
}

fn bucket(text: &str) -> Result<Bucket, String> {
    named(text, "BUCKET_", Bucket::from_str_name, "bucket")
}

fn reason(text: &str) -> Result<StockReason, String> {
    named(text, "STOCK_REASON_", StockReason::from_str_name, "reason")
}

/// Changes or shows stock.
pub async fn run(args: &StockArgs) -> ExitCode {
    args.asked.end("stock", step(args).await)
}

async fn step(args: &StockArgs) -> Result<(), Stop> {
    let asking = args.asked.open()?;
    let id = |why: &Why| why.change.request_id.clone().unwrap_or_default();
    let code = |why: &Why| why.reason.unwrap_or_default().into();
    match &args.step {
        Step::Set { cell, bucket, revision, why } => {
            let request = SetStockRequest {
                request_id: id(why),
                sku: cell.sku.clone(),
                location: cell.location.clone(),
                bucket: (*bucket).into(),
                quantity: cell.quantity,
                expected_revision: *revision,
                reason: code(why),
                reference: why.reference.clone(),
            };
            asking.tell(request, |called| Ok(levels(called.answer.level.as_slice()))).await
        }
        Step::Adjust { cell, bucket, why } => {
            let request = AdjustStockRequest {
                request_id: id(why),
                sku: cell.sku.clone(),
                location: cell.location.clone(),
                bucket: (*bucket).into(),
                delta: cell.quantity,
                reason: code(why),
                reference: why.reference.clone(),
            };
            asking.tell(request, |called| Ok(levels(called.answer.level.as_slice()))).await
        }
        Step::Move { cell, from, to, why } => {
            let request = MoveStockRequest {
                request_id: id(why),
                sku: cell.sku.clone(),
                location: cell.location.clone(),
                from: (*from).into(),
                to: (*to).into(),
                quantity: cell.quantity,
                reason: code(why),
                reference: why.reference.clone(),
            };
            asking.tell(request, |called| Ok(levels(called.answer.level.as_slice()))).await
        }
        Step::Receive { cells, from_incoming, why } => {
            let receipt = |cell: &Units| Receipt {
                sku: cell.sku.clone(),
                location: cell.location.clone(),
                quantity: cell.quantity,
            };
            let request = ReceiveStockRequest {
                request_id: id(why),
                receipts: cells.iter().map(receipt).collect(),
                from_incoming: *from_incoming,
                reason: code(why),
                reference: why.reference.clone(),
            };
            asking.tell(request, |called| Ok(levels(&called.answer.levels))).await
        }
        Step::Get { skus, location } => {
            let mut cells: Vec<Cell> = Vec::new();
            for sku in skus {
                let ask = |page_token| ListCellsRequest { sku: sku.clone(), page_size: 10_000, page_token };
                cells.extend(asking.pages(ask, |answer| (answer.cells, answer.next_page_token)).await?);
            }
            cells.retain(|cell| location.is_empty() || location.contains(&cell.location));
            print(&match asking.output {
                Output::Text => cells_page(&cells),
                Output::Json => {
                    let cells: Vec<_> = cells.iter().map(|cell| message_json("Cell", cell)).collect();
                    format!("{:#}\n", json!({ "cells": cells }))
                }
            });
            Ok(())
        }
    }
}

fn levels(levels: &[StockLevel]) -> String {
    let rows = levels.iter().map(|level| {
        let [on_hand, available, short] =
            [level.on_hand, level.available, level.shortfall].map(|units| units.to_string());
        [level.sku.clone(), level.location.clone(), on_hand, available, short]
    });
    let mut page = table(["SKU", "LOCATION", "ON HAND", "AVAILABLE", "SHORTFALL"], rows);
    for level in levels.iter().filter(|level| !level.hurt_reservation_ids.is_empty()) {
        page += &format!("promised and not there, of {}: {}\n", level.sku, level.hurt_reservation_ids.join(" "));
    }
    page
}

fn cells_page(cells: &[Cell]) -> String {
    let rows = cells.iter().map(|cell| {
        let units = [
            cell.on_hand,
            cell.reserved,
            cell.committed,
            cell.safety,
            cell.quality_control,
            cell.damaged,
            cell.in_repair,
            cell.incoming,
            cell.kept,
            cell.available,
            cell.shortfall,
        ];
        let [a, b, c, d, e, f, g, h, i, j, k] = units.map(|units| units.to_string());
        [cell.sku.clone(), cell.location.clone(), a, b, c, d, e, f, g, h, i, j, k]
    });
    let head = [
        "SKU",
        "LOCATION",
        "ON HAND",
        "RESERVED",
        "COMMITTED",
        "SAFETY",
        "QC",
        "DAMAGED",
        "REPAIR",
        "INCOMING",
        "KEPT",
        "AVAILABLE",
        "SHORTFALL",
    ];
    table(head, rows)
}

/// Tells what can be promised.
pub async fn availability(args: &AvailabilityArgs) -> ExitCode {
    let done = async {
        let request = GetAvailabilityRequest {
            skus: args.skus.clone(),
            locations: args.location.clone(),
            min_lsn: args.min_lsn,
            channel: args.channel.clone(),
            campaign: args.campaign.clone(),
        };
        args.asked.open()?.tell(request, |called| Ok(availability_page(&args.location, called))).await
    };
    args.asked.end("availability", done.await)
}

fn availability_page(locations: &[String], called: &Called<GetAvailabilityResponse>) -> String {
    let skus = &called.answer.skus;
    let mut page = table(["SKU", "AVAILABLE"], skus.iter().map(|one| [one.sku.clone(), one.available.to_string()]));
    if !locations.is_empty() {
        let rows = skus.iter().flat_map(|one| {
            let there = locations.iter().zip(&one.by_location);
            there.map(|(location, units)| [one.sku.clone(), location.clone(), units.to_string()])
        });
        page += &format!("\n{}", table(["SKU", "LOCATION", "AVAILABLE"], rows));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_needs_its_location() {
        assert!(cell("A=1").unwrap_err().contains("SKU@LOCATION=UNITS"));
        assert_eq!(cell("A@L=-1").map(|cell| cell.quantity), Ok(-1));
    }

    #[test]
    fn levels_tell_who_is_hurt() {
        let level = StockLevel {
            sku: "A".into(),
            location: "L".into(),
            on_hand: 1,
            shortfall: 1,
            hurt_reservation_ids: vec!["R1".into(), "R2".into()],
            ..StockLevel::default()
        };
        let expected = "SKU  LOCATION  ON HAND  AVAILABLE  SHORTFALL\nA    L               1          0          1\n\
                        promised and not there, of A: R1 R2\n";
        assert_eq!(levels(&[level]), expected);
    }
}

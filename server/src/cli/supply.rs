//! `quartermaster inbound`, `transfer` and `atp`: expected units on a running server.

use std::process::ExitCode;

use clap::Subcommand;
use quartermaster_engine::time::Timestamp;
use quartermaster_proto::v1::{self, ship_transfer_response::Outcome};
use serde_json::{Value, json};

use super::ask::{Asked, Changing, Stop};
use super::lines::wire_time;
use super::output::message_json;
use super::{Output, print, show};

/// Units that are expected: purchase orders, transfers, returns.
#[derive(Clone, Debug, clap::Args)]
pub struct InboundArgs {
    #[command(subcommand)]
    step: InboundStep,
    #[command(flatten)]
    at: Changing,
}

#[derive(Clone, Debug, Subcommand)]
enum InboundStep {
    /// Announces units.
    Announce {
        /// Code of the document.
        code: String,
        /// purchase, transfer or return.
        #[arg(long, default_value = "purchase", value_parser = kind)]
        kind: v1::InboundKind,
        /// Location code.
        #[arg(long)]
        location: String,
        /// When, as 2026-11-11T00:00:00+08:00.
        #[arg(long, value_name = "TIME", value_parser = show::parse_time)]
        eta: Timestamp,
        /// Units that may stand promised ahead of each line at most.
        #[arg(long, value_name = "UNITS")]
        cap: Option<i64>,
        /// Per cent of what is expected that may be promised ahead.
        #[arg(long, value_name = "PERCENT")]
        confidence: Option<i32>,
        /// What, as SKU=UNITS.
        #[arg(required = true, value_parser = units)]
        lines: Vec<(String, i64)>,
    },
    /// Changes what is expected, and when; of every line that is named, what is given.
    Change {
        /// Code of the document.
        code: String,
        /// When it is expected now, as 2026-11-11T00:00:00+08:00.
        #[arg(long, value_name = "TIME", value_parser = show::parse_time)]
        eta: Option<Timestamp>,
        /// Units that may stand promised ahead of each line named at most.
        #[arg(long, value_name = "UNITS", conflicts_with = "no_cap")]
        cap: Option<i64>,
        /// The lines named have no cap any more.
        #[arg(long)]
        no_cap: bool,
        /// Per cent of what is still expected of the lines named that may be promised ahead.
        #[arg(long, value_name = "PERCENT")]
        confidence: Option<i32>,
        /// Nothing more of this SKU will come; may be repeated.
        #[arg(long, value_name = "SKU")]
        cancel: Vec<String>,
        /// Lines, as SKU or SKU=UNITS: units in all, those that have arrived included.
        #[arg(value_parser = changed_line)]
        lines: Vec<(String, Option<i64>)>,
    },
    /// Takes units in.
    Receive {
        /// Code of the document.
        code: String,
        /// Nothing more will come.
        #[arg(long)]
        r#final: bool,
        /// What, as SKU=UNITS.
        #[arg(value_parser = units)]
        lines: Vec<(String, i64)>,
    },
    /// Lists open documents.
    List {
        /// Location code.
        #[arg(long, default_value = "", hide_default_value = true)]
        location: String,
        /// SKU code.
        #[arg(long, default_value = "", hide_default_value = true)]
        sku: String,
        /// Closed ones too.
        #[arg(long)]
        closed: bool,
    },
    /// Shows one document with its lines.
    Show {
        /// Its code.
        code: String,
    },
}

/// Units from one location to another.
#[derive(Clone, Debug, clap::Args)]
pub struct TransferArgs {
    #[command(subcommand)]
    step: TransferStep,
    #[command(flatten)]
    at: Changing,
}

#[derive(Clone, Debug, Subcommand)]
enum TransferStep {
    /// Sends units; `inbound receive` takes them in.
    Ship {
        /// Code of the document.
        code: String,
        /// Location code they leave.
        #[arg(long)]
        from: String,
        /// Location code they are expected at.
        #[arg(long)]
        to: String,
        /// When, as 2026-11-11T00:00:00+08:00.
        #[arg(long, value_name = "TIME", value_parser = show::parse_time)]
        eta: Timestamp,
        /// What, as SKU=UNITS.
        #[arg(required = true, value_parser = units)]
        lines: Vec<(String, i64)>,
    },
}

/// What can be promised of SKUs over time.
#[derive(Clone, Debug, clap::Args)]
pub struct AtpArgs {
    /// SKU codes.
    #[arg(required = true)]
    skus: Vec<String>,
    /// Only these locations.
    #[arg(long)]
    location: Vec<String>,
    /// Tell when so many units can be promised.
    #[arg(long, default_value_t = 0)]
    quantity: i64,
    #[command(flatten)]
    at: Asked,
}

/// Announces, receives and lists expected units. Ends with 0 when it is done, with 1 when the server refused it, with 2 when it cannot be
/// asked.
pub async fn inbound(args: &InboundArgs) -> ExitCode {
    args.at.end("inbound", inbound_step(args).await.map(|page| told(page, args.at.output())))
}

/// Sends units to another location. Ends as `inbound` does.
pub async fn transfer(args: &TransferArgs) -> ExitCode {
    args.at.end("transfer", transfer_step(args).await.map(|page| told(page, args.at.output())))
}

/// Tells what can be promised when. Ends as `inbound` does.
pub async fn atp(args: &AtpArgs) -> ExitCode {
    args.at.end("atp", atp_table(args).await.map(|page| told(page, args.at.output)))
}

/// Prints an answer in the form that was asked for.
fn told((json, table): (Value, String), output: Output) {
    match output {
        Output::Text => print(&table),
        Output::Json => print(&format!("{json:#}\n")),
    }
}

async fn inbound_step(args: &InboundArgs) -> Result<(Value, String), Stop> {
    let client = args.at.open()?;
    match &args.step {
        InboundStep::Announce { code, kind, location, eta, cap, confidence, lines } => {
            let lines = lines.iter().map(|(sku, quantity)| v1::ExpectedLine {
                sku: sku.clone(),
                quantity: *quantity,
                presale_cap: *cap,
                confidence_percent: *confidence,
            });
            let message = v1::AnnounceInboundRequest {
                request_id: String::new(),
                code: code.clone(),
                kind: (*kind).into(),
                location: location.clone(),
                eta: Some(wire_time(*eta)),
                lines: lines.collect(),
                reference: String::new(),
            };
            Ok(updated(client.call(message).await?.answer.update))
        }
        InboundStep::Change { code, eta, cap, no_cap, confidence, cancel, lines } => {
            let changed = lines.iter().map(|(sku, quantity)| v1::InboundLineChange {
                sku: sku.clone(),
                quantity: *quantity,
                presale_cap: *cap,
                clear_presale_cap: *no_cap,
                confidence_percent: *confidence,
                cancel: false,
            });
            let cancelled =
                cancel.iter().map(|sku| v1::InboundLineChange { sku: sku.clone(), cancel: true, ..Default::default() });
            let message = v1::ChangeInboundRequest {
                request_id: String::new(),
                code: code.clone(),
                eta: eta.map(wire_time),
                lines: changed.chain(cancelled).collect(),
            };
            Ok(updated(client.call(message).await?.answer.update))
        }
        InboundStep::Receive { code, r#final, lines } => {
            let lines = lines.iter().map(|(sku, quantity)| v1::ArrivedLine {
                sku: sku.clone(),
                quantity: *quantity,
                ..Default::default()
            });
            let message = v1::ReceiveInboundRequest {
                request_id: String::new(),
                code: code.clone(),
                lines: lines.collect(),
                r#final: *r#final,
                ..Default::default()
            };
            Ok(updated(client.call(message).await?.answer.update))
        }
        InboundStep::List { location, sku, closed } => {
            let mut message = v1::ListInboundsRequest {
                location: location.clone(),
                sku: sku.clone(),
                include_closed: *closed,
                page_size: 1_000,
                ..Default::default()
            };
            let mut all = Vec::new();
            loop {
                let page = client.call(message.clone()).await?.answer;
                all.extend(page.inbounds);
                if page.next_page_token.is_empty() {
                    break;
                }
                message.page_token = page.next_page_token;
            }
            let json: Vec<_> = all.iter().map(inbound_json).collect();
            Ok((json!({ "inbounds": json }), all.iter().map(head).collect()))
        }
        InboundStep::Show { code } => {
            let message = v1::GetInboundRequest { code: code.clone() };
            let inbound = client.call(message).await?.answer.inbound.unwrap_or_default();
            Ok((inbound_json(&inbound), head(&inbound) + &lines_table(&inbound)))
        }
    }
}

async fn transfer_step(args: &TransferArgs) -> Result<(Value, String), Stop> {
    let TransferStep::Ship { code, from, to, eta, lines } = &args.step;
    let line = |(sku, quantity): &(String, i64)| v1::ExpectedLine {
        sku: sku.clone(),
        quantity: *quantity,
        ..Default::default()
    };
    let message = v1::ShipTransferRequest {
        request_id: String::new(),
        code: code.clone(),
        from_location: from.clone(),
        to_location: to.clone(),
        eta: Some(wire_time(*eta)),
        lines: lines.iter().map(line).collect(),
        reference: String::new(),
    };
    match args.at.open()?.call(message).await?.answer.outcome {
        Some(Outcome::Rejection(rejection)) => Err(Stop::Rejected(Box::new(rejection))),
        Some(Outcome::Update(update)) => Ok(updated(Some(update))),
        None => Ok(updated(None)),
    }
}

async fn atp_table(args: &AtpArgs) -> Result<(Value, String), Stop> {
    let message = v1::GetAtpRequest {
        skus: args.skus.clone(),
        locations: args.location.clone(),
        quantity: args.quantity,
        ..Default::default()
    };
    let skus = args.at.open()?.call(message).await?.answer.skus;
    let mut table = String::new();
    for sku in &skus {
        table += &format!("{}  now {}\n", sku.sku, sku.available);
        for step in &sku.steps {
            let time = step.time.map(|time| time.to_string()).unwrap_or_default();
            table += &format!("  {time}  +{}  = {}\n", step.added, step.total);
        }
        if args.quantity > 0 {
            let when = match &sku.promise_time {
                Some(time) => format!("from {time} on"),
                None if sku.promisable => "now".to_owned(),
                None => "not by what is known".to_owned(),
            };
            table += &format!("  {} units: {when}\n", args.quantity);
        }
    }
    let json: Vec<_> = skus.iter().map(|sku| message_json("SkuAtp", sku)).collect();
    Ok((json!({ "skus": json }), table))
}

fn updated(update: Option<v1::InboundUpdate>) -> (Value, String) {
    let update = update.unwrap_or_default();
    let json = message_json("InboundUpdate", &update);
    let inbound = update.inbound.unwrap_or_default();
    let mut table = head(&inbound) + &lines_table(&inbound);
    for moved in &update.moves {
        let place = if moved.stock { "stock of" } else { "expected at" };
        let (id, units, sku) = (&moved.reservation_id, moved.quantity, &moved.sku);
        table += &format!("  {id}: {units} of {sku} are {place} {}\n", moved.location);
    }
    for late in &update.late {
        let (id, units, sku) = (&late.reservation_id, late.quantity, &late.sku);
        let time = late.expected_time.map(|time| time.to_string()).unwrap_or_default();
        table += &format!("  {id}: {units} of {sku} are late, expected {time}\n");
    }
    for short in &update.uncovered {
        let (id, units, sku) = (&short.reservation_id, short.quantity, &short.sku);
        table += &format!("  {id}: {units} of {sku} are promised and nothing covers them\n");
    }
    (json, table)
}

fn head(inbound: &v1::Inbound) -> String {
    let kind = inbound.kind().as_str_name().trim_start_matches("INBOUND_KIND_").to_lowercase();
    let from =
        if inbound.from_location.is_empty() { String::new() } else { format!(" from {}", inbound.from_location) };
    let eta = inbound.eta.map(|eta| eta.to_string()).unwrap_or_default();
    format!("{}  {kind}{from} to {}  {eta}  {}\n", inbound.code, inbound.location, state(inbound))
}

fn state(inbound: &v1::Inbound) -> String {
    inbound.state().as_str_name().trim_start_matches("INBOUND_STATE_").to_lowercase()
}

fn lines_table(inbound: &v1::Inbound) -> String {
    let line = |line: &v1::InboundLine| {
        let difference =
            if line.difference == 0 { String::new() } else { format!("  difference {:+}", line.difference) };
        format!(
            "  {}  expected {}  received {}  outstanding {}  presold {}  uncovered {}{difference}\n",
            line.sku, line.expected, line.received, line.outstanding, line.presold, line.uncovered
        )
    };
    inbound.lines.iter().map(line).collect()
}

fn inbound_json(inbound: &v1::Inbound) -> Value {
    message_json("Inbound", inbound)
}

fn kind(text: &str) -> Result<v1::InboundKind, String> {
    v1::InboundKind::from_str_name(&format!("INBOUND_KIND_{}", text.to_uppercase()))
        .filter(|kind| *kind != v1::InboundKind::Unspecified)
        .ok_or_else(|| "purchase, transfer or return is needed".to_owned())
}

/// A line that changes, with its units when those change.
fn changed_line(text: &str) -> Result<(String, Option<i64>), String> {
    if text.contains('=') {
        return units(text).map(|(sku, units)| (sku, Some(units)));
    }
    Ok((text.to_owned(), None))
}

fn units(text: &str) -> Result<(String, i64), String> {
    let parts = text.rsplit_once('=').and_then(|(sku, units)| Some((sku.to_owned(), units.parse().ok()?)));
    parts.ok_or_else(|| format!("{text:?} is not SKU=UNITS"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_kinds_are_read() {
        assert_eq!(units("A=B=3"), Ok(("A=B".to_owned(), 3)));
        assert_eq!(changed_line("A"), Ok(("A".to_owned(), None)));
        assert_eq!(changed_line("A=3"), Ok(("A".to_owned(), Some(3))));
        assert!(units("A").is_err() && units("A=x").is_err());
        assert_eq!(kind("return"), Ok(v1::InboundKind::Return));
        assert!(kind("unspecified").is_err());
    }
}

//! `quartermaster inbound`, `transfer` and `atp`: expected units on a running server.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Subcommand, ValueEnum};
use quartermaster_engine::time::Timestamp;
use quartermaster_proto::v1::supply_service_client::SupplyServiceClient;
use quartermaster_proto::v1::{self, ship_transfer_response::Outcome};
use serde_json::{Value, json};
use tonic::Status;

use super::remote::Target;
use super::{exit, print, show};

/// How answers are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

#[derive(Clone, Debug, clap::Args)]
struct Where {
    #[command(flatten)]
    target: Target,
    /// How answers are printed.
    #[arg(short, long, value_enum, default_value_t, global = true)]
    output: Output,
}

/// Units that are expected: purchase orders, transfers, returns.
#[derive(Clone, Debug, clap::Args)]
pub struct InboundArgs {
    #[command(subcommand)]
    step: InboundStep,
    #[command(flatten)]
    at: Where,
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
        #[arg(long, default_value = "")]
        location: String,
        /// SKU code.
        #[arg(long, default_value = "")]
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
    at: Where,
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
    at: Where,
}

/// Announces, receives and lists expected units. Ends with 0 when it is done, with 1 when the server refused it, with 2 when it cannot be
/// asked.
pub async fn inbound(args: &InboundArgs) -> ExitCode {
    ended("inbound", &args.at, inbound_step(args).await)
}

/// Sends units to another location. Ends as `inbound` does.
pub async fn transfer(args: &TransferArgs) -> ExitCode {
    ended("transfer", &args.at, transfer_step(args).await)
}

/// Tells what can be promised when. Ends as `inbound` does.
pub async fn atp(args: &AtpArgs) -> ExitCode {
    ended("atp", &args.at, atp_table(args).await)
}

enum Stop {
    BadTarget(String),
    Refused(Box<Status>),
    Rejected(String),
}

impl From<Status> for Stop {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

fn ended(what: &str, at: &Where, done: Result<(Value, String), Stop>) -> ExitCode {
    match done {
        Ok((json, table)) => {
            match at.output {
                Output::Table => print(&table),
                Output::Json => print(&(serde_json::to_string_pretty(&json).unwrap_or_default() + "\n")),
            }
            exit::OK.into()
        }
        Err(Stop::BadTarget(error)) => {
            eprintln!("quartermaster {what}: {error}");
            exit::UNUSABLE.into()
        }
        Err(Stop::Refused(status)) => {
            eprintln!("quartermaster {what}: {}", at.target.explain(&status));
            exit::FAILED.into()
        }
        Err(Stop::Rejected(why)) => {
            eprintln!("quartermaster {what}: {why}");
            exit::FAILED.into()
        }
    }
}

fn client(at: &Where) -> Result<SupplyServiceClient<tonic::transport::Channel>, Stop> {
    let channel = at.target.channel().map_err(Stop::BadTarget)?;
    Ok(SupplyServiceClient::new(channel).max_decoding_message_size(64 << 20))
}

async fn inbound_step(args: &InboundArgs) -> Result<(Value, String), Stop> {
    let mut client = client(&args.at)?;
    match &args.step {
        InboundStep::Announce { code, kind, location, eta, cap, confidence, lines } => {
            let lines = lines.iter().map(|(sku, quantity)| v1::ExpectedLine {
                sku: sku.clone(),
                quantity: *quantity,
                presale_cap: *cap,
                confidence_percent: *confidence,
            });
            let message = v1::AnnounceInboundRequest {
                request_id: request_id("announce"),
                code: code.clone(),
                kind: (*kind).into(),
                location: location.clone(),
                eta: Some(wire_time(*eta)),
                lines: lines.collect(),
                reference: String::new(),
            };
            Ok(updated(client.announce_inbound(message).await?.into_inner().update))
        }
        InboundStep::Receive { code, r#final, lines } => {
            let lines = lines.iter().map(|(sku, quantity)| v1::ArrivedLine {
                sku: sku.clone(),
                quantity: *quantity,
                ..Default::default()
            });
            let message = v1::ReceiveInboundRequest {
                request_id: request_id("receive"),
                code: code.clone(),
                lines: lines.collect(),
                r#final: *r#final,
                ..Default::default()
            };
            Ok(updated(client.receive_inbound(message).await?.into_inner().update))
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
                let page = client.list_inbounds(message.clone()).await?.into_inner();
                all.extend(page.inbounds);
                if page.next_page_token.is_empty() {
                    break;
                }
                message.page_token = page.next_page_token;
            }
            Ok((all.iter().map(inbound_json).collect(), all.iter().map(head).collect()))
        }
        InboundStep::Show { code } => {
            let message = v1::GetInboundRequest { code: code.clone() };
            let inbound = client.get_inbound(message).await?.into_inner().inbound.unwrap_or_default();
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
        request_id: request_id("transfer"),
        code: code.clone(),
        from_location: from.clone(),
        to_location: to.clone(),
        eta: Some(wire_time(*eta)),
        lines: lines.iter().map(line).collect(),
        reference: String::new(),
    };
    match client(&args.at)?.ship_transfer(message).await?.into_inner().outcome {
        Some(Outcome::Rejection(rejection)) => Err(Stop::Rejected(rejection.message)),
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
    let skus = client(&args.at)?.get_atp(message).await?.into_inner().skus;
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
    let json = skus.iter().map(|sku| {
        let step = |step: &v1::AtpStep| {
            json!({ "time": step.time.map(|time| time.to_string()), "added": step.added, "total": step.total })
        };
        json!({
            "sku": sku.sku,
            "available": sku.available,
            "steps": sku.steps.iter().map(step).collect::<Vec<_>>(),
            "promisable": sku.promisable,
            "promise_time": sku.promise_time.map(|time| time.to_string()),
        })
    });
    Ok((json.collect(), table))
}

fn updated(update: Option<v1::InboundUpdate>) -> (Value, String) {
    let update = update.unwrap_or_default();
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
    let hurt = |one: &v1::HurtPromise| {
        json!({ "reservation_id": one.reservation_id, "sku": one.sku, "quantity": one.quantity,
                "expected_time": one.expected_time.map(|time| time.to_string()) })
    };
    let moved = |one: &v1::PresaleMove| {
        json!({ "reservation_id": one.reservation_id, "sku": one.sku, "quantity": one.quantity,
                "location": one.location, "stock": one.stock })
    };
    let json = json!({
        "inbound": inbound_json(&inbound),
        "moves": update.moves.iter().map(moved).collect::<Vec<_>>(),
        "late": update.late.iter().map(hurt).collect::<Vec<_>>(),
        "uncovered": update.uncovered.iter().map(hurt).collect::<Vec<_>>(),
    });
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
    let line = |line: &v1::InboundLine| {
        json!({
            "sku": line.sku, "expected": line.expected, "received": line.received, "outstanding": line.outstanding,
            "presold": line.presold, "uncovered": line.uncovered, "difference": line.difference,
        })
    };
    json!({
        "code": inbound.code,
        "kind": inbound.kind().as_str_name().trim_start_matches("INBOUND_KIND_"),
        "location": inbound.location,
        "from_location": inbound.from_location,
        "eta": inbound.eta.map(|eta| eta.to_string()),
        "state": state(inbound),
        "lines": inbound.lines.iter().map(line).collect::<Vec<_>>(),
    })
}

fn kind(text: &str) -> Result<v1::InboundKind, String> {
    v1::InboundKind::from_str_name(&format!("INBOUND_KIND_{}", text.to_uppercase()))
        .filter(|kind| *kind != v1::InboundKind::Unspecified)
        .ok_or_else(|| "purchase, transfer or return is needed".to_owned())
}

fn units(text: &str) -> Result<(String, i64), String> {
    let parts = text.rsplit_once('=').and_then(|(sku, units)| Some((sku.to_owned(), units.parse().ok()?)));
    parts.ok_or_else(|| format!("{text:?} is not SKU=UNITS"))
}

/// Each run is a request of its own: whoever runs it again means it again.
fn request_id(step: &str) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("cli-{step}-{}-{}", std::process::id(), since.as_nanos())
}

fn wire_time(at: Timestamp) -> prost_types::Timestamp {
    let seconds = i64::try_from(at.0 / 1_000_000).unwrap_or(i64::MAX);
    let nanos = i32::try_from(at.0 % 1_000_000 * 1_000).unwrap_or(0);
    prost_types::Timestamp { seconds, nanos }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_kinds_are_read() {
        assert_eq!(units("A=B=3"), Ok(("A=B".to_owned(), 3)));
        assert!(units("A").is_err() && units("A=x").is_err());
        assert_eq!(kind("return"), Ok(v1::InboundKind::Return));
        assert!(kind("unspecified").is_err());
    }
}

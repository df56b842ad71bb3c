//! `quartermaster freeze`, `thaw`, `freezes` and `repair`: upkeep of the stock of a running server.

use std::process::ExitCode;

use quartermaster_client::CallError;
use quartermaster_proto::v1::{
    Freeze, FreezeReason, FreezeStockRequest, ListFreezesRequest, Rejection, Repair, RepairMode, RepairPriority,
    RepairShortfallsRequest, ThawStockRequest, repair_shortfalls_response, thaw_stock_response,
};
use serde_json::{Value, json};

use super::ask::{Asking, Changing, Stop};
use super::output::message_json;
use super::{Output, print, show};

/// A SKU, a location, or a SKU at a location.
#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct Thing {
    /// SKU code.
    #[arg(long, value_name = "CODE")]
    sku: Option<String>,
    /// Location code; with --sku, that SKU there alone.
    #[arg(long, value_name = "CODE")]
    location: Option<String>,
}

/// Freezes a SKU, a location, or a SKU at a location.
#[derive(Clone, Debug, clap::Args)]
pub struct FreezeArgs {
    #[command(flatten)]
    thing: Thing,
    /// Why: count, recall, quality, legal, damage, system, disaster or other. With recall and quality nothing is shipped either.
    #[arg(long, value_name = "REASON", value_parser = parse_reason)]
    reason: FreezeReason,
    /// Your document.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reference: String,
    #[command(flatten)]
    asked: Changing,
}

/// Lifts freezes.
#[derive(Clone, Debug, clap::Args)]
pub struct ThawArgs {
    #[command(flatten)]
    thing: Thing,
    /// All that stand on it.
    #[arg(long, conflicts_with_all = ["reason", "id"], required_unless_present_any = ["reason", "id"])]
    all: bool,
    /// Those with this reason.
    #[arg(long, value_name = "REASON", value_parser = parse_reason, conflicts_with = "id")]
    reason: Option<FreezeReason>,
    /// The one with this id.
    #[arg(long, value_name = "ID")]
    id: Option<u64>,
    #[command(flatten)]
    asked: Changing,
}

/// Lists freezes that stand.
#[derive(Clone, Debug, clap::Args)]
pub struct FreezesArgs {
    /// Of this SKU code.
    #[arg(long, value_name = "CODE")]
    sku: Option<String>,
    /// At this location code.
    #[arg(long, value_name = "CODE")]
    location: Option<String>,
    /// With this reason.
    #[arg(long, value_name = "REASON", value_parser = parse_reason)]
    reason: Option<FreezeReason>,
    #[command(flatten)]
    asked: Changing,
}

/// Moves or cancels what shortfalls hurt.
#[derive(Clone, Debug, clap::Args)]
pub struct RepairArgs {
    /// Only tell what would be done.
    #[arg(long)]
    preview: bool,
    /// Only this SKU code.
    #[arg(long, value_name = "CODE")]
    sku: Option<String>,
    /// Only this location code.
    #[arg(long, value_name = "CODE")]
    location: Option<String>,
    /// Who is hurt first; more than one with commas, what comes first counts most.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHO")]
    first: Vec<First>,
    /// What may be done.
    #[arg(long, value_enum, default_value_t)]
    mode: Mode,
    #[command(flatten)]
    asked: Changing,
}

/// Who is hurt first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum First {
    /// Held before confirmed.
    Unpaid,
    /// The newest.
    Newest,
    /// The oldest.
    Oldest,
}

/// What a repair may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Mode {
    /// Move units; cancel what cannot be moved.
    #[default]
    RerouteThenCancel,
    /// Move units; leave what cannot be moved.
    RerouteOnly,
    /// Cancel.
    CancelOnly,
}

fn parse_reason(text: &str) -> Result<FreezeReason, String> {
    let name = format!("FREEZE_REASON_{}", text.to_uppercase());
    FreezeReason::from_str_name(&name).filter(|reason| *reason != FreezeReason::Unspecified).ok_or_else(|| {
        format!("{text:?} is no reason: count, recall, quality, legal, damage, system, disaster and other are")
    })
}

/// What came of a call: a text for people or programs, or a rejection.
type Told = Result<Result<String, Rejection>, CallError>;

/// Freezes. Ends with 0 when it is done, with 1 when the server refused it, with 2 when it cannot be asked.
pub async fn freeze(args: &FreezeArgs) -> ExitCode {
    let request = FreezeStockRequest {
        request_id: String::new(),
        sku: args.thing.sku.clone().unwrap_or_default(),
        location: args.thing.location.clone().unwrap_or_default(),
        reason: args.reason.into(),
        reference: args.reference.clone(),
    };
    ask("freeze", &args.asked, async |client: Asking| {
        let frozen = client.call(request).await?.answer;
        Ok(Ok(format!("frozen, id {}\n", frozen.freeze_id)))
    })
    .await
}

/// Thaws. Ends as `freeze` does.
pub async fn thaw(args: &ThawArgs) -> ExitCode {
    let request = ThawStockRequest {
        request_id: String::new(),
        sku: args.thing.sku.clone().unwrap_or_default(),
        location: args.thing.location.clone().unwrap_or_default(),
        all: args.all,
        reason: args.reason.map_or(0, i32::from),
        freeze_id: args.id.unwrap_or(0),
    };
    ask("thaw", &args.asked, async |client: Asking| {
        Ok(match client.call(request).await?.answer.outcome {
            Some(thaw_stock_response::Outcome::Rejection(rejection)) => Err(rejection),
            Some(thaw_stock_response::Outcome::Thaw(thaw)) => {
                let ids: Vec<String> = thaw.freeze_ids.iter().map(ToString::to_string).collect();
                Ok(format!("lifted {}: {}\n", ids.len(), ids.join(", ")))
            }
            None => Ok(String::new()),
        })
    })
    .await
}

/// Lists all freezes that pass, page by page. Ends as `freeze` does.
pub async fn freezes(args: &FreezesArgs) -> ExitCode {
    ask("freezes", &args.asked, async |client: Asking| {
        let mut all: Vec<Freeze> = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = ListFreezesRequest {
                page_size: 1_000,
                page_token,
                sku: args.sku.clone().unwrap_or_default(),
                location: args.location.clone().unwrap_or_default(),
                reason: args.reason.map_or(0, i32::from),
            };
            let page = client.call(request).await?.answer;
            all.extend(page.freezes);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        Ok(Ok(match args.asked.output() {
            Output::Text => freezes_text(&all),
            Output::Json => {
                let all: Vec<_> = all.iter().map(|one| message_json("Freeze", one)).collect();
                format!("{:#}\n", json!({ "freezes": all }))
            }
        }))
    })
    .await
}

/// Repairs, or tells what a repair would do. Ends as `freeze` does; nothing to repair is no failure.
pub async fn repair(args: &RepairArgs) -> ExitCode {
    let first = args.first.iter().map(|first| match first {
        First::Unpaid => RepairPriority::UnpaidFirst,
        First::Newest => RepairPriority::NewestFirst,
        First::Oldest => RepairPriority::OldestFirst,
    });
    let mode = match args.mode {
        Mode::RerouteThenCancel => RepairMode::RerouteThenCancel,
        Mode::RerouteOnly => RepairMode::RerouteOnly,
        Mode::CancelOnly => RepairMode::CancelOnly,
    };
    let request = RepairShortfallsRequest {
        request_id: String::new(),
        preview: args.preview,
        sku: args.sku.clone().unwrap_or_default(),
        location: args.location.clone().unwrap_or_default(),
        priority: first.map(i32::from).collect(),
        mode: mode.into(),
    };
    ask("repair", &args.asked, async |client: Asking| {
        let outcome = client.call(request).await?.answer.outcome;
        Ok(Ok(match (outcome, args.asked.output()) {
            (Some(repair_shortfalls_response::Outcome::Repair(repair)), Output::Text) => repair_text(&repair),
            (Some(repair_shortfalls_response::Outcome::Repair(repair)), Output::Json) => {
                format!("{:#}\n", repair_json(&repair))
            }
            (Some(repair_shortfalls_response::Outcome::Rejection(rejection)), Output::Text) => {
                format!("{}\n", rejection.message)
            }
            (_, Output::Json) => format!("{:#}\n", repair_json(&Repair::default())),
            (None, Output::Text) => String::new(),
        }))
    })
    .await
}

async fn ask(name: &str, asked: &Changing, call: impl AsyncFnOnce(Asking) -> Told) -> ExitCode {
    let done = async {
        match call(asked.open()?).await? {
            Ok(text) => {
                print(&text);
                Ok(())
            }
            Err(rejection) => Err(Stop::Rejected(Box::new(rejection))),
        }
    };
    asked.end(name, done.await)
}

fn thing(sku: &str, location: &str) -> String {
    match (sku, location) {
        ("", location) => location.to_owned(),
        (sku, "") => format!("{sku} everywhere"),
        (sku, location) => format!("{sku} at {location}"),
    }
}

fn reason(freeze: &Freeze) -> String {
    freeze.reason().as_str_name().trim_start_matches("FREEZE_REASON_").to_lowercase()
}

fn freezes_text(freezes: &[Freeze]) -> String {
    if freezes.is_empty() {
        return "nothing is frozen\n".to_owned();
    }
    let mut text = String::new();
    for freeze in freezes {
        let since = freeze.freeze_time.map_or_else(String::new, |at| at.to_string());
        let reference = if freeze.reference.is_empty() { String::new() } else { format!("  {}", freeze.reference) };
        let what = thing(&freeze.sku, &freeze.location);
        text.push_str(&format!("{:>8}  {what}  {}  since {since}{reference}\n", freeze.freeze_id, reason(freeze)));
    }
    text
}

fn repair_text(repair: &Repair) -> String {
    let mut text = String::new();
    for remedy in &repair.remedies {
        let (id, units) = (&remedy.reservation_id, units(remedy.quantity));
        let from = thing(&remedy.sku, &remedy.location);
        let remedy = if remedy.cancelled {
            format!("cancelled{}", if remedy.ended { ", which ends it" } else { "" })
        } else {
            let to =
                remedy.moved_to.iter().map(|to| format!("{} to {}", show::number(positive(to.quantity)), to.location));
            format!("moved: {}", to.collect::<Vec<_>>().join(", "))
        };
        text.push_str(&format!("{id}  {units} of {from} {remedy}\n"));
    }
    for cell in &repair.remaining {
        let missing = units(cell.shortfall);
        text.push_str(&format!("still short: {missing} of {}\n", thing(&cell.sku, &cell.location)));
    }
    if repair.more {
        text.push_str("there are more: repair again\n");
    }
    text
}

fn repair_json(repair: &Repair) -> Value {
    message_json("Repair", repair)
}

fn positive(quantity: i64) -> u64 {
    u64::try_from(quantity).unwrap_or(0)
}

fn units(quantity: i64) -> String {
    let number = show::number(positive(quantity));
    if quantity == 1 { format!("{number} unit") } else { format!("{number} units") }
}

#[cfg(test)]
mod tests {
    use quartermaster_proto::v1::{Allocation, Remedy, ShortCell};

    use super::*;

    #[test]
    fn a_repair_reads_as_what_was_done() {
        let remedy = |quantity, moved_to, cancelled| Remedy {
            reservation_id: "R".into(),
            sku: "A".into(),
            location: "L1".into(),
            quantity,
            moved_to,
            cancelled,
            ended: cancelled,
        };
        let to = vec![Allocation { sku: "A".into(), location: "L2".into(), quantity: 2 }];
        let repair = Repair {
            remedies: vec![remedy(2, to, false), remedy(1, Vec::new(), true)],
            remaining: vec![ShortCell { sku: "B".into(), location: "L1".into(), shortfall: 3 }],
            more: true,
        };
        let expected = "R  2 units of A at L1 moved: 2 to L2\nR  1 unit of A at L1 cancelled, which ends it\n\
                        still short: 3 units of B at L1\nthere are more: repair again\n";
        assert_eq!(repair_text(&repair), expected);
        assert_eq!(repair_json(&repair)["remedies"][0]["movedTo"][0]["location"], "L2");
    }

    #[test]
    fn reasons_are_read_by_their_names() {
        assert_eq!(parse_reason("Recall"), Ok(FreezeReason::Recall));
        assert!(parse_reason("unspecified").is_err() && parse_reason("fire").is_err());
    }

    #[test]
    fn freezes_are_listed_by_line() {
        let freeze = Freeze {
            freeze_id: 12,
            sku: "A".into(),
            location: String::new(),
            reason: FreezeReason::Recall.into(),
            reference: "lot 7".into(),
            freeze_time: None,
        };
        assert_eq!(freezes_text(&[freeze]), "      12  A everywhere  recall  since   lot 7\n");
        assert_eq!(freezes_text(&[]), "nothing is frozen\n");
    }
}

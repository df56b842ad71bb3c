//! `quartermaster return` and `quartermaster count`: units that come back, and what is counted, on a running server.

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use prost::Message;
use quartermaster_proto::v1::{
    AnnounceReturnRequest, AnnouncedLine, CancelReturnRequest, CountRow, CountStockRequest, CountStockResponse,
    Disposition, Exchange, ExchangeReturnRequest, GetReturnRequest, InspectReturnRequest, InspectedLine,
    ListReturnRatesRequest, ListReturnRatesResponse, ListReturnsRequest, ListReturnsResponse, ReceiveReturnRequest,
    ReceiveUnmatchedReturnRequest, ReceivedLine, ReserveRequest, Return, ReturnKind, ReturnReason, ReturnState,
    ReturnUpdate, StockReason, announce_return_response, exchange_return_response, inspect_return_response,
    receive_return_response,
};

use super::ask::{Changing, Stop};
use super::lines::{Units, named, units};
use super::output::{label, message_json};
use super::reserve::hold_page;
use super::sourcing::SourcingArgs;
use super::{Output, print, show};

/// Units that come back, on a running server.
#[derive(Clone, Debug, clap::Args)]
pub struct ReturnArgs {
    #[command(subcommand)]
    step: Step,
    #[command(flatten)]
    asked: Changing,
}

/// Sets what was counted in cells of one location, all or nothing.
#[derive(Clone, Debug, clap::Args)]
pub struct CountArgs {
    /// Location code.
    location: String,
    /// SKU=UNITS, with a reason where they differ: SKU=UNITS:damage.
    #[arg(required = true, value_parser = counted)]
    rows: Vec<CountRow>,
    /// Your document number.
    #[arg(long, default_value = "", hide_default_value = true)]
    reference: String,
    #[command(flatten)]
    asked: Changing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// The buyer sends it back.
    Customer,
    /// The parcel could not be delivered.
    Undeliverable,
}

#[derive(Clone, Debug, Subcommand)]
enum Step {
    /// Says that shipped units will come back.
    Announce {
        /// Reservation id.
        reservation: String,
        /// SKU=UNITS, or SKU@LOCATION=UNITS where the SKU was shipped from several.
        #[arg(required = true, value_parser = units)]
        lines: Vec<Units>,
        /// Why it is made.
        #[arg(long, value_enum, default_value = "customer")]
        kind: Kind,
        /// Why: size, colour, defect, damaged, not_as_described, wrong_item, changed_mind, too_late, refused, not_found, other.
        #[arg(long, value_parser = reason)]
        reason: Option<ReturnReason>,
        /// Code of the location it is expected at.
        #[arg(long, default_value = "", hide_default_value = true)]
        at: String,
        /// Your document number.
        #[arg(long, default_value = "", hide_default_value = true)]
        reference: String,
    },
    /// Says that shipped units will come back, and takes others in their place, in one step.
    Exchange {
        /// Reservation id.
        reservation: String,
        /// What comes back: SKU=UNITS, or SKU@LOCATION=UNITS where the SKU was shipped from several.
        #[arg(required = true, value_parser = units)]
        lines: Vec<Units>,
        /// What is taken in its place: SKU=UNITS or SKU@LOCATION=UNITS; may be repeated.
        #[arg(long = "for", required = true, value_name = "SKU=UNITS", value_parser = units)]
        taken: Vec<Units>,
        /// Why: as for announce.
        #[arg(long, value_parser = reason)]
        reason: Option<ReturnReason>,
        /// Code of the location it is expected at.
        #[arg(long, default_value = "", hide_default_value = true)]
        at: String,
        /// Order number of what is taken.
        #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
        order: String,
        /// The buyer.
        #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
        buyer: String,
        /// Your document number.
        #[arg(long, default_value = "", hide_default_value = true)]
        reference: String,
        #[command(flatten)]
        sourcing: Box<SourcingArgs>,
    },
    /// Says what arrived, anywhere.
    Receive {
        /// Return id; `unmatched` where no reservation is known.
        id: String,
        /// Code of the location where it arrived.
        location: String,
        /// SKU=UNITS.
        #[arg(required = true, value_parser = units)]
        lines: Vec<Units>,
        /// Nothing more will come.
        #[arg(long)]
        last: bool,
        /// Your document number, for what is unmatched.
        #[arg(long, default_value = "", hide_default_value = true)]
        reference: String,
    },
    /// Says what becomes of units that arrived.
    Inspect {
        /// Return id.
        id: String,
        /// SKU=UNITS:DISPOSITION or SKU@LOCATION=UNITS:DISPOSITION: restock, quality_control, repair, scrap, return_to_vendor.
        #[arg(required = true, value_parser = inspected)]
        lines: Vec<InspectedLine>,
    },
    /// Says that what has not arrived will not come.
    Cancel {
        /// Return id.
        id: String,
    },
    /// Shows a return.
    Show {
        /// Return id.
        id: String,
    },
    /// Lists returns, the first page.
    List {
        /// Only of this reservation.
        #[arg(long, default_value = "", hide_default_value = true)]
        reservation: String,
        /// Only of this buyer.
        #[arg(long, default_value = "", hide_default_value = true)]
        buyer: String,
        /// Only in this state: announced, partially_received, received, inspected, closed.
        #[arg(long, value_parser = state)]
        state: Option<ReturnState>,
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: i32,
    },
    /// Lists SKUs of which many units come back, the worst first.
    Rates {
        /// At least so many of a thousand; without it the server's setting.
        #[arg(long, default_value_t = 0)]
        per_mille: i32,
        /// Of which at least so many units were shipped; without it the server's setting.
        #[arg(long, default_value_t = 0)]
        shipped_min: i64,
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: i32,
    },
}

fn reason(text: &str) -> Result<ReturnReason, String> {
    named(text, "RETURN_REASON_", ReturnReason::from_str_name, "reason")
}

fn state(text: &str) -> Result<ReturnState, String> {
    named(text, "RETURN_STATE_", ReturnState::from_str_name, "state")
}

fn inspected(text: &str) -> Result<InspectedLine, String> {
    let wrong = || format!("{text:?} is not SKU=UNITS:DISPOSITION");
    let (what, disposition) = text.rsplit_once(':').ok_or_else(wrong)?;
    let Units { sku, location, quantity } = units(what)?;
    let disposition = named(disposition, "DISPOSITION_", Disposition::from_str_name, "disposition")?.into();
    Ok(InspectedLine { sku, location, quantity, disposition })
}

fn counted(text: &str) -> Result<CountRow, String> {
    let (what, reason) = match text.rsplit_once('=') {
        Some((_, figure)) if figure.contains(':') => text.rsplit_once(':').unwrap_or((text, "")),
        _ => (text, "count"),
    };
    let Units { sku, location, quantity } = units(what)?;
    if !location.is_empty() {
        return Err(format!("{text:?} names a location; all rows are of the one before them"));
    }
    let reason = named(reason, "STOCK_REASON_", StockReason::from_str_name, "reason")?.into();
    Ok(CountRow { sku, counted: quantity, reason })
}

/// Does one step.
pub async fn run(args: &ReturnArgs) -> ExitCode {
    args.asked.end("return", step(args).await.map(|page| print(&page)))
}

/// Counts.
pub async fn count(args: &CountArgs) -> ExitCode {
    args.asked.end("count", counting(args).await.map(|page| print(&page)))
}

async fn counting(args: &CountArgs) -> Result<String, Stop> {
    let client = args.asked.open()?;
    let output = client.output;
    let request = CountStockRequest {
        request_id: String::new(),
        location: args.location.clone(),
        rows: args.rows.clone(),
        reference: args.reference.clone(),
    };
    let answer = client.call(request).await?.answer;
    Ok(match output {
        Output::Text => count_page(&answer),
        Output::Json => json("CountStockResponse", &answer),
    })
}

async fn step(args: &ReturnArgs) -> Result<String, Stop> {
    let client = args.asked.open()?;
    let output = client.output;
    let changed = |update: &ReturnUpdate| match output {
        Output::Text => update_page(update),
        Output::Json => json("ReturnUpdate", update),
    };
    Ok(match &args.step {
        Step::Announce { reservation, lines, kind, reason, at, reference } => {
            use announce_return_response::Outcome;
            let kind = match kind {
                Kind::Customer => ReturnKind::Customer,
                Kind::Undeliverable => ReturnKind::Undeliverable,
            };
            let request = AnnounceReturnRequest {
                request_id: String::new(),
                reservation_id: reservation.clone(),
                kind: kind.into(),
                reason: reason.unwrap_or_default().into(),
                lines: lines.iter().map(announced).collect(),
                expected_location: at.clone(),
                reference: reference.clone(),
            };
            match client.call(request).await?.answer.outcome {
                Some(Outcome::Rejection(rejection)) => return Err(Stop::Rejected(Box::new(rejection))),
                Some(Outcome::Update(update)) => changed(&update),
                None => changed(&ReturnUpdate::default()),
            }
        }
        Step::Exchange { reservation, lines, taken, reason, at, order, buyer, reference, sourcing } => {
            use exchange_return_response::Outcome;
            let announce = AnnounceReturnRequest {
                reservation_id: reservation.clone(),
                kind: ReturnKind::Customer.into(),
                reason: reason.unwrap_or_default().into(),
                lines: lines.iter().map(announced).collect(),
                expected_location: at.clone(),
                reference: reference.clone(),
                ..AnnounceReturnRequest::default()
            };
            let reserve = ReserveRequest {
                order_id: order.clone(),
                buyer_id: buyer.clone(),
                lines: taken.iter().map(|units| sourcing.line(units)).collect(),
                sourcing: sourcing.message(),
                ..ReserveRequest::default()
            };
            let request =
                ExchangeReturnRequest { request_id: String::new(), announce: Some(announce), reserve: Some(reserve) };
            match client.call(request).await?.answer.outcome {
                Some(Outcome::Rejection(rejection)) => return Err(Stop::Rejected(Box::new(rejection))),
                Some(Outcome::Exchange(exchange)) => exchanged(&exchange, output),
                None => exchanged(&Exchange::default(), output),
            }
        }
        Step::Receive { id, location, lines, last, reference } => {
            use receive_return_response::Outcome;
            let line = |line: &Units| ReceivedLine { sku: line.sku.clone(), quantity: line.quantity };
            let lines = lines.iter().map(line).collect();
            if id == "unmatched" {
                let request = ReceiveUnmatchedReturnRequest {
                    request_id: String::new(),
                    location: location.clone(),
                    lines,
                    reference: reference.clone(),
                    ..ReceiveUnmatchedReturnRequest::default()
                };
                let answer = client.call(request).await?.answer;
                return Ok(changed(&answer.update.unwrap_or_default()));
            }
            let request = ReceiveReturnRequest {
                request_id: String::new(),
                return_id: id.clone(),
                location: location.clone(),
                lines,
                r#final: *last,
            };
            match client.call(request).await?.answer.outcome {
                Some(Outcome::Rejection(rejection)) => return Err(Stop::Rejected(Box::new(rejection))),
                Some(Outcome::Update(update)) => changed(&update),
                None => changed(&ReturnUpdate::default()),
            }
        }
        Step::Inspect { id, lines } => {
            use inspect_return_response::Outcome;
            let request =
                InspectReturnRequest { request_id: String::new(), return_id: id.clone(), lines: lines.clone() };
            match client.call(request).await?.answer.outcome {
                Some(Outcome::Rejection(rejection)) => return Err(Stop::Rejected(Box::new(rejection))),
                Some(Outcome::Update(update)) => changed(&update),
                None => changed(&ReturnUpdate::default()),
            }
        }
        Step::Cancel { id } => {
            let request = CancelReturnRequest { request_id: String::new(), return_id: id.clone() };
            changed(&client.call(request).await?.answer.update.unwrap_or_default())
        }
        Step::Show { id } => {
            let request = GetReturnRequest { return_id: id.clone() };
            let found = client.call(request).await?.answer.found.unwrap_or_default();
            match output {
                Output::Text => page(&found),
                Output::Json => json("Return", &found),
            }
        }
        Step::List { reservation, buyer, state, limit } => {
            let request = ListReturnsRequest {
                reservation_id: reservation.clone(),
                buyer_id: buyer.clone(),
                state: state.unwrap_or_default().into(),
                page_size: *limit,
                page_token: String::new(),
            };
            let answer = client.call(request).await?.answer;
            match output {
                Output::Text => list_page(&answer),
                Output::Json => json("ListReturnsResponse", &answer),
            }
        }
        Step::Rates { per_mille, shipped_min, limit } => {
            let request = ListReturnRatesRequest {
                at_least_per_mille: *per_mille,
                shipped_min: *shipped_min,
                page_size: *limit,
                page_token: String::new(),
            };
            let answer = client.call(request).await?.answer;
            match output {
                Output::Text => rates_page(&answer),
                Output::Json => json("ListReturnRatesResponse", &answer),
            }
        }
    })
}

fn announced(line: &Units) -> AnnouncedLine {
    AnnouncedLine { sku: line.sku.clone(), shipped_from: line.location.clone(), quantity: line.quantity }
}

fn exchanged(exchange: &Exchange, output: Output) -> String {
    match output {
        Output::Json => json("Exchange", exchange),
        Output::Text => {
            let back = exchange.announced.as_ref().map(update_page).unwrap_or_default();
            back + &exchange.hold.as_ref().map(hold_page).unwrap_or_default()
        }
    }
}

/// A message of the API as JSON.
fn json(name: &str, message: &impl Message) -> String {
    format!("{:#}\n", message_json(name, message))
}

fn update_page(update: &ReturnUpdate) -> String {
    let mut text = format!("return {}{}\n", update.return_id, if update.ended { ": ended" } else { "" });
    for line in &update.lines {
        text += &format!("  {} from {}: {} units\n", line.sku, line.shipped_from, line.quantity);
    }
    for level in &update.levels {
        text += &format!(
            "  {} at {}: {} on hand, {} available\n",
            level.sku, level.location, level.on_hand, level.available
        );
    }
    text
}

fn page(found: &Return) -> String {
    let mut text = format!("return {}: {}", found.return_id, label(found.state().as_str_name(), "RETURN_STATE_"));
    text += &match found.reservation_id.as_str() {
        "" => ", no reservation known\n".to_owned(),
        id => format!(", of reservation {id}\n"),
    };
    for line in &found.lines {
        let from = if line.shipped_from.is_empty() { String::new() } else { format!(" from {}", line.shipped_from) };
        text += &format!("  {}{from}: {} announced, {} received\n", line.sku, line.announced, line.received);
    }
    for arrival in &found.arrivals {
        text += &format!(
            "  {} at {}: {} received, {} inspected\n",
            arrival.sku, arrival.location, arrival.received, arrival.inspected
        );
        for units in &arrival.dispositions {
            text += &format!("    {} {}\n", units.quantity, label(units.disposition().as_str_name(), "DISPOSITION_"));
        }
    }
    if !found.exchange_reservation_id.is_empty() {
        text += &format!("  exchanged for reservation {}\n", found.exchange_reservation_id);
    }
    text
}

fn list_page(answer: &ListReturnsResponse) -> String {
    let mut text =
        format!("{:<13}  {:<18}  {:<13}  {:>9}  {:>8}\n", "return", "state", "reservation", "announced", "received");
    for one in &answer.returns {
        let announced: i64 = one.lines.iter().map(|line| line.announced).sum();
        let received: i64 = one.lines.iter().map(|line| line.received).sum();
        let state = label(one.state().as_str_name(), "RETURN_STATE_");
        text +=
            &format!("{:<13}  {state:<18}  {:<13}  {announced:>9}  {received:>8}\n", one.return_id, one.reservation_id);
    }
    if !answer.next_page_token.is_empty() {
        text += "there are more\n";
    }
    text
}

fn rates_page(answer: &ListReturnRatesResponse) -> String {
    let width = answer.rates.iter().map(|rate| rate.sku.chars().count()).max().unwrap_or(0).max(3);
    let mut text = format!("{:<width$}  {:>9}  {:>9}  {:>9}\n", "SKU", "shipped", "returned", "per mille");
    for rate in &answer.rates {
        let figures = [rate.shipped, rate.returned, rate.per_mille].map(|one| show::number(one.unsigned_abs()));
        text += &format!("{:<width$}  {:>9}  {:>9}  {:>9}\n", rate.sku, figures[0], figures[1], figures[2]);
    }
    text
}

fn count_page(answer: &CountStockResponse) -> String {
    let mut text = String::new();
    for cell in &answer.cells {
        let level = cell.level.clone().unwrap_or_default();
        if cell.difference == 0 && level.shortfall == 0 {
            continue;
        }
        let why = label(cell.reason().as_str_name(), "STOCK_REASON_");
        text += &format!("{}: {} on hand, {:+} ({why})\n", level.sku, level.on_hand, cell.difference);
        if level.shortfall > 0 {
            text += &format!("  {} promised units are not there: ", level.shortfall);
            text += &(level.hurt_reservation_ids.join(" ") + "\n");
        }
    }
    let cells = answer.cells.len();
    text + &format!("{cells} cells counted, {} differ, {} in shortfall\n", answer.differences, answer.shortfalls)
}

#[cfg(test)]
mod tests {
    use quartermaster_proto::v1::{CountedCell, ReturnLine, StockLevel};

    use super::*;

    #[test]
    fn lines_are_read_from_the_right() {
        let line = Units { sku: "a@b=c".into(), location: "L1".into(), quantity: 2 };
        assert_eq!(units("a@b=c@L1=2"), Ok(line));
        assert!(units("A").is_err() && units("A=x").is_err());
        let line = inspected("A@L1=2:scrap").unwrap();
        assert_eq!((line.sku.as_str(), line.location.as_str(), line.quantity, line.disposition), ("A", "L1", 2, 4));
        assert!(inspected("A=2").is_err() && inspected("A=2:burn").is_err());
        assert_eq!(counted("A=2:damage").unwrap(), CountRow { sku: "A".into(), counted: 2, reason: 2 });
        assert_eq!(counted("A:1=2").unwrap(), CountRow { sku: "A:1".into(), counted: 2, reason: 1 });
        assert!(counted("A@L1=2").is_err());
    }

    #[test]
    fn pages_read_well_and_json_is_the_message() {
        let level = StockLevel {
            sku: "A".into(),
            on_hand: 7,
            shortfall: 1,
            hurt_reservation_ids: vec!["0000000000100".into()],
            ..StockLevel::default()
        };
        let cell = CountedCell { level: Some(level), difference: -3, reason: StockReason::Theft.into() };
        let answer = CountStockResponse { cells: vec![cell], differences: 1, shortfalls: 1, ..Default::default() };
        let expected = "A: 7 on hand, -3 (theft)\n  1 promised units are not there: 0000000000100\n\
                        1 cells counted, 1 differ, 1 in shortfall\n";
        assert_eq!(count_page(&answer), expected);
        let line = ReturnLine { sku: "A".into(), shipped_from: "L1".into(), announced: 2, received: 1, withdrawn: 0 };
        let found = Return {
            return_id: "0000000000200".into(),
            state: ReturnState::PartiallyReceived.into(),
            lines: vec![line],
            ..Return::default()
        };
        let expected =
            "return 0000000000200: partially_received, no reservation known\n  A from L1: 2 announced, 1 received\n";
        assert_eq!(page(&found), expected);
        assert!(json("Return", &found).contains("\"returnId\": \"0000000000200\""));
    }
}

//! `quartermaster reserve`: takes stock for an order, or for many from stdin.

use std::process::ExitCode;
use std::time::Duration;

use humantime_serde::re::humantime;
use quartermaster_client::{CallError, Called};
use quartermaster_proto::v1::reserve_response::Outcome;
use quartermaster_proto::v1::{
    Hold, Rejection, ReservationState, ReserveRequest, ReserveResponse, ReserveResult, reserve_result,
};
use serde_json::{Value, json};

use super::ask::{Asked, Asking, Change, Stop, code_of, rejection_page};
use super::lines::{STDIN, Units, requests, stdin, units};
use super::output::{label, message_json, table, time};
use super::sourcing::SourcingArgs;
use super::{Output, exit, print};

/// Reservations in a message.
const BATCH_MAX: usize = 1_000;

/// Takes every line of an order or nothing.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  quartermaster reserve TEE-RED-M=2 --order o-1 --buyer b-1 --ttl 15m
  quartermaster reserve TEE-RED-M@HZ-DC1=1                        from one location
  quartermaster reserve TEE-RED-M=2 --region 330106 --receiver door-1   where the router says
  quartermaster reserve - -o json < orders.jsonl                  a ReserveRequest as JSON on each line, a result on each
Ends with 3 when the answer is no (sold out, not open); of many, with the worst code of all.")]
pub struct ReserveArgs {
    /// SKU=UNITS or SKU@LOCATION=UNITS; or - alone to read a ReserveRequest as JSON from each line of stdin.
    #[arg(required = true, value_name = "SKU=UNITS")]
    lines: Vec<String>,
    /// Your order number.
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    order: String,
    /// The buyer.
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    buyer: String,
    /// Channel code.
    #[arg(long, value_name = "CODE", default_value = "", hide_default_value = true)]
    channel: String,
    /// How long the hold lasts, as 15m. Default: the channel's, else 15 minutes.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    ttl: Option<Duration>,
    /// Take what there is, if that is at least one unit.
    #[arg(long)]
    partial: bool,
    /// An earlier hold of the same buyer to be given up in the same step.
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    replaces: String,
    /// Code of the campaign to take from.
    #[arg(long, value_name = "CODE", default_value = "", hide_default_value = true)]
    campaign: String,
    /// When the campaign is sold out: wait in line.
    #[arg(long, requires = "campaign")]
    wait: bool,
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    sourcing: SourcingArgs,
}

/// Reserves, and tells what was taken where.
pub async fn run(args: &ReserveArgs) -> ExitCode {
    args.asked.end("reserve", step(args).await)
}

async fn step(args: &ReserveArgs) -> Result<(), Stop> {
    let asking = args.asked.open()?;
    if args.lines == [STDIN] {
        return many(&asking, requests(stdin(), |_| None)).await;
    }
    let lines: Result<Vec<Units>, String> = args.lines.iter().map(|text| units(text)).collect();
    let lines = lines.map_err(Stop::Unusable)?;
    let request = ReserveRequest {
        request_id: args.change.request_id.clone().unwrap_or_default(),
        order_id: args.order.clone(),
        buyer_id: args.buyer.clone(),
        channel: args.channel.clone(),
        lines: lines.iter().map(|units| args.sourcing.line(units)).collect(),
        ttl: wire_span(args.ttl)?,
        allow_partial: args.partial,
        replaces_reservation_id: args.replaces.clone(),
        sourcing: args.sourcing.message(),
        campaign: args.campaign.clone(),
        wait: args.wait,
        ..ReserveRequest::default()
    };
    asking.tell(request, page).await
}

/// A length of time as messages carry it.
pub(super) fn wire_span(span: Option<Duration>) -> Result<Option<prost_types::Duration>, Stop> {
    let span = span.map(prost_types::Duration::try_from).transpose();
    span.map_err(|_| Stop::Unusable("the time is longer than can be said".to_owned()))
}

fn page(called: &Called<ReserveResponse>) -> Result<String, Box<Rejection>> {
    let answer = &called.answer;
    match &answer.outcome {
        Some(Outcome::Rejection(rejection)) => Err(Box::new(rejection.clone())),
        Some(Outcome::Hold(hold)) => {
            let lsn = answer.position.unwrap_or_default().lsn;
            let again = if answer.replayed { ", answered before" } else { "" };
            Ok(format!("{}LSN {lsn}{again}\n", hold_page(hold)))
        }
        None => Ok(String::new()),
    }
}

/// What was granted.
pub(super) fn hold_page(hold: &Hold) -> String {
    let state = label(hold.state().as_str_name(), "RESERVATION_STATE_");
    let until = match hold.state() {
        ReservationState::Waiting => format!(", place {} in line", hold.place_in_line),
        _ => hold.expire_time.map(|at| format!(" until {at}")).unwrap_or_default(),
    };
    let mut page = format!("reservation {} {state}{until}\n", hold.reservation_id);
    let taken = hold.allocations.iter().map(|one| [one.sku.clone(), one.location.clone(), one.quantity.to_string()]);
    if !hold.allocations.is_empty() {
        page += &table(["SKU", "LOCATION", "UNITS"], taken);
    }
    for one in &hold.presold {
        let when = time(one.expected_time);
        page += &format!("{} of {} are expected at {}, {when}\n", one.quantity, one.sku, one.location);
    }
    for short in &hold.shortages {
        page += &format!("not taken: {} of {}\n", short.requested - short.available, short.sku);
    }
    page
}

/// Many reservations, in batches; a line each, in the order of the input. Nothing is sent when a line of the input is wrong.
async fn many(asking: &Asking, input: impl Iterator<Item = Result<ReserveRequest, Stop>>) -> Result<(), Stop> {
    let all: Vec<ReserveRequest> = input.collect::<Result<_, _>>()?;
    let mut worst = exit::OK;
    for batch in all.chunks(BATCH_MAX) {
        let results = asking.client.reserve_batch(batch.to_vec()).await?;
        for (request, (id, result)) in batch.iter().zip(results) {
            let code = result_code(&id, &result);
            worst = worse(worst, code);
            print(&match asking.output {
                Output::Json => format!("{}\n", result_json(&id, &result)),
                Output::Text => format!("{id}  {}  {}\n", dash(&request.order_id), result_line(&result)),
            });
        }
    }
    if worst == exit::OK { Ok(()) } else { Err(Stop::Ended(worst)) }
}

/// Of the codes of several answers the one that asks for most: not known, not done, refused, a "no".
pub(super) fn worse(one: u8, other: u8) -> u8 {
    let rank =
        |code: u8| [exit::OK, exit::NO, exit::FAILED, exit::UNUSABLE, exit::UNKNOWN].iter().position(|at| *at == code);
    if rank(other) > rank(one) { other } else { one }
}

fn dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

fn result_code(id: &str, result: &ReserveResult) -> u8 {
    match &result.result {
        Some(reserve_result::Result::Response(answer)) => match &answer.outcome {
            Some(Outcome::Rejection(_)) => exit::NO,
            Some(Outcome::Hold(_)) | None => exit::OK,
        },
        Some(reserve_result::Result::Error(error)) => code_of(&CallError::of_item(id, error)),
        None => exit::FAILED,
    }
}

fn result_line(result: &ReserveResult) -> String {
    match &result.result {
        Some(reserve_result::Result::Response(answer)) => match &answer.outcome {
            Some(Outcome::Hold(hold)) => {
                let taken = hold.allocations.iter().map(|one| format!("{}@{}={}", one.sku, one.location, one.quantity));
                let state = label(hold.state().as_str_name(), "RESERVATION_STATE_");
                format!("{state} {} {}", hold.reservation_id, taken.collect::<Vec<_>>().join(" "))
            }
            Some(Outcome::Rejection(no)) => rejection_page(no).lines().map(str::trim).collect::<Vec<_>>().join("; "),
            None => String::new(),
        },
        Some(reserve_result::Result::Error(error)) => {
            format!("{}: {}", error.reason().as_str_name().trim_start_matches("ERROR_REASON_"), error.message)
        }
        None => "no result".to_owned(),
    }
}

/// The result with the id it belongs to.
fn result_json(id: &str, result: &ReserveResult) -> Value {
    let mut json = message_json("ReserveResult", result);
    if let Value::Object(fields) = &mut json {
        fields.insert("requestId".to_owned(), json!(id));
    }
    json
}

#[cfg(test)]
mod tests {
    use quartermaster_proto::v1::{Allocation, ItemError};

    use super::*;

    fn hold() -> Hold {
        let taken = Allocation { sku: "A".into(), location: "L1".into(), quantity: 2 };
        Hold {
            reservation_id: "R".into(),
            state: ReservationState::Held.into(),
            expire_time: Some(prost_types::Timestamp { seconds: 1_794_355_200, nanos: 0 }),
            allocations: vec![taken],
            ..Hold::default()
        }
    }

    #[test]
    fn a_hold_reads_as_what_was_taken_where() {
        let expected = "reservation R held until 2026-11-11T00:00:00Z\nSKU  LOCATION  UNITS\nA    L1            2\n";
        assert_eq!(hold_page(&hold()), expected);
        let waits = Hold {
            state: ReservationState::Waiting.into(),
            place_in_line: 3,
            reservation_id: "R".into(),
            ..Hold::default()
        };
        assert_eq!(hold_page(&waits), "reservation R waiting, place 3 in line\n");
    }

    #[test]
    fn of_many_the_worst_code_counts() {
        assert_eq!(worse(exit::OK, exit::NO), exit::NO);
        assert_eq!(worse(exit::FAILED, exit::NO), exit::FAILED);
        assert_eq!(worse(exit::FAILED, exit::UNKNOWN), exit::UNKNOWN);
        let error = ItemError { code: 5, message: "none".into(), ..ItemError::default() };
        let result = ReserveResult { result: Some(reserve_result::Result::Error(error)) };
        assert_eq!(result_code("r", &result), exit::FAILED);
        let answer = ReserveResponse { outcome: Some(Outcome::Hold(hold())), ..ReserveResponse::default() };
        let result = ReserveResult { result: Some(reserve_result::Result::Response(answer)) };
        assert_eq!((result_code("r", &result), result_line(&result)), (exit::OK, "held R A@L1=2".to_owned()));
        assert_eq!(result_json("r", &result)["response"]["hold"]["reservationId"], "R");
    }
}

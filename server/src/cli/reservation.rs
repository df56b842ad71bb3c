//! `quartermaster reservation` and `outcome`: what stands of a reservation, and what became of a request.

use std::process::ExitCode;

use clap::Subcommand;
use quartermaster_proto::v1::get_outcome_response::Outcome;
use quartermaster_proto::v1::{
    GetOutcomeRequest, GetOutcomeResponse, GetReservationRequest, ListReservationsRequest, Reservation,
    ReservationState,
};
use serde_json::json;

use super::ask::{Asked, Stop};
use super::lifecycle::update_page;
use super::lines::named;
use super::output::{answer_json, label, message_json, table, time};
use super::reserve::hold_page;
use super::{Output, exit, print};

/// Reservations on a running server. What one went through is in the log: `quartermaster inspect --reservation ID DIR`, and
/// `quartermaster why ID` for where it ships from.
#[derive(Clone, Debug, clap::Args)]
pub struct ReservationArgs {
    #[command(subcommand)]
    step: Step,
    #[command(flatten)]
    asked: Asked,
}

#[derive(Clone, Debug, Subcommand)]
enum Step {
    /// Shows one as it stands.
    Get {
        /// Its id.
        id: String,
    },
    /// Lists them in the order of their ids.
    List {
        /// Only of this buyer.
        #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
        buyer: String,
        /// Only in this state: held, confirmed, shipped, released, expired, cancelled, replaced, placed, waiting.
        #[arg(long, value_name = "STATE", value_parser = state)]
        state: Option<ReservationState>,
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
}

/// What became of a request.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Ends with 3 when nothing of it is on record: it was never seen, was refused, or is older than the retention."
)]
pub struct OutcomeArgs {
    /// The request id.
    id: String,
    #[command(flatten)]
    asked: Asked,
}

fn state(text: &str) -> Result<ReservationState, String> {
    named(text, "RESERVATION_STATE_", ReservationState::from_str_name, "state")
}

/// Shows or lists.
pub async fn run(args: &ReservationArgs) -> ExitCode {
    args.asked.end("reservation", step(args).await)
}

async fn step(args: &ReservationArgs) -> Result<(), Stop> {
    let asking = args.asked.open()?;
    match &args.step {
        Step::Get { id } => {
            let request = GetReservationRequest { reservation_id: id.clone() };
            asking.tell(request, |called| Ok(page(&called.answer.reservation.clone().unwrap_or_default()))).await
        }
        Step::List { buyer, state, limit } => {
            let mut request = ListReservationsRequest {
                buyer_id: buyer.clone(),
                state: state.unwrap_or_default().into(),
                ..ListReservationsRequest::default()
            };
            let mut all: Vec<Reservation> = Vec::new();
            while all.len() < *limit {
                request.page_size = i32::try_from((*limit - all.len()).min(1_000)).unwrap_or(1_000);
                let answer = asking.client.call(request.clone()).await?.answer;
                all.extend(answer.reservations);
                if answer.next_page_token.is_empty() {
                    break;
                }
                request.page_token = answer.next_page_token;
            }
            print(&match asking.output {
                Output::Text => list(&all),
                Output::Json => {
                    let all: Vec<_> = all.iter().map(|one| message_json("Reservation", one)).collect();
                    format!("{:#}\n", json!({ "reservations": all }))
                }
            });
            Ok(())
        }
    }
}

fn page(one: &Reservation) -> String {
    let state = label(one.state().as_str_name(), "RESERVATION_STATE_");
    let mut page = format!("reservation {} {state}\n", one.reservation_id);
    let facts = [
        ("order", one.order_id.clone()),
        ("buyer", one.buyer_id.clone()),
        ("channel", one.channel.clone()),
        ("campaign", one.campaign.clone()),
        ("made", time(one.create_time)),
        ("expires", time(one.expire_time)),
        ("ended", time(one.end_time)),
        ("promised for", time(one.promise_time)),
        ("merged with", one.merged_with.clone()),
        ("place in line", if one.place_in_line > 0 { one.place_in_line.to_string() } else { String::new() }),
        ("revision", one.revision.to_string()),
    ];
    for (name, fact) in facts.iter().filter(|(_, fact)| !fact.is_empty() && fact != "-") {
        page += &format!("  {name:<13} {fact}\n");
    }
    let lines = one.lines.iter().map(|line| {
        let figures = [line.open, line.shipped, line.returned_to_stock].map(|units| units.to_string());
        let [open, shipped, back] = figures;
        [line.sku.clone(), line.location.clone(), open, shipped, back]
    });
    if !one.lines.is_empty() {
        page += &table(["SKU", "LOCATION", "OPEN", "SHIPPED", "GIVEN BACK"], lines);
    }
    for line in &one.presold {
        page +=
            &format!("{} of {} expected at {}, {}\n", line.quantity, line.sku, line.location, time(line.expected_time));
    }
    for line in &one.wanted {
        page += &format!("wanted: {} of {}\n", line.quantity, line.sku);
    }
    page
}

fn list(all: &[Reservation]) -> String {
    let rows = all.iter().map(|one| {
        let units = one.lines.iter().map(|line| line.open).sum::<i64>().to_string();
        let state = label(one.state().as_str_name(), "RESERVATION_STATE_");
        [one.reservation_id.clone(), state, one.order_id.clone(), one.buyer_id.clone(), units, time(one.expire_time)]
    });
    table(["RESERVATION", "STATE", "ORDER", "BUYER", "OPEN", "EXPIRES"], rows)
}

/// Asks what became of a request.
pub async fn outcome(args: &OutcomeArgs) -> ExitCode {
    let done = async {
        let asking = args.asked.open()?;
        let answer = asking.client.outcome(&args.id).await?;
        print(&match asking.output {
            Output::Json => answer_json::<GetOutcomeRequest>(&answer),
            Output::Text => outcome_page(&args.id, &answer),
        });
        if answer.known { Ok(()) } else { Err(Stop::Ended(exit::NO)) }
    };
    args.asked.end("outcome", done.await)
}

fn outcome_page(id: &str, answer: &GetOutcomeResponse) -> String {
    if !answer.known {
        return format!("nothing of request {id} is on record: sending it again is safe\n");
    }
    let lsn = answer.decided.unwrap_or_default().lsn;
    let what = match &answer.outcome {
        Some(Outcome::Hold(hold)) => hold_page(hold),
        Some(Outcome::Update(update)) => update_page(update),
        Some(Outcome::Change(change)) => format!("{}, {} entries\n", change.event, change.entries),
        None => String::new(),
    };
    format!("{what}LSN {lsn}\n")
}

#[cfg(test)]
mod tests {
    use quartermaster_proto::v1::{ChangeSummary, Position, ReservationLine};

    use super::*;

    #[test]
    fn a_reservation_reads_as_a_page_and_a_list() {
        let line = ReservationLine {
            sku: "A".into(),
            location: "L1".into(),
            open: 1,
            shipped: 2,
            ..ReservationLine::default()
        };
        let one = Reservation {
            reservation_id: "R".into(),
            state: ReservationState::Confirmed.into(),
            order_id: "o-1".into(),
            revision: 9,
            lines: vec![line],
            ..Reservation::default()
        };
        let expected = "reservation R confirmed\n  order         o-1\n  revision      9\n\
                        SKU  LOCATION  OPEN  SHIPPED  GIVEN BACK\nA    L1           1        2           0\n";
        assert_eq!(page(&one), expected);
        let expected = "RESERVATION  STATE      ORDER  BUYER  OPEN  EXPIRES\nR            confirmed  o-1              1        -\n";
        assert_eq!(list(&[one]), expected);
    }

    #[test]
    fn an_outcome_says_what_it_was() {
        let change = ChangeSummary { event: "StockChanged".into(), entries: 1 };
        let decided = Some(Position { lsn: 7, ..Position::default() });
        let answer =
            GetOutcomeResponse { known: true, decided, outcome: Some(Outcome::Change(change)), position: None };
        assert_eq!(outcome_page("r", &answer), "StockChanged, 1 entries\nLSN 7\n");
        assert!(outcome_page("r", &GetOutcomeResponse::default()).contains("sending it again is safe"));
    }
}

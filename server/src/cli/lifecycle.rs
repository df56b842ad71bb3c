//! `quartermaster confirm`, `release`, `cancel`, `ship` and `extend`: the steps of a reservation after its hold, one or many.

use std::process::ExitCode;
use std::time::Duration;

use humantime_serde::re::humantime;
use quartermaster_client::{Called, Unary};
use quartermaster_proto::v1::{
    CancelRequest, CancelResponse, ConfirmRequest, ConfirmResponse, ExtendRequest, ExtendResponse, LineQuantity,
    Rejection, ReleaseRequest, ReleaseResponse, ReservationUpdate, ShipRequest, ShipResponse, cancel_response,
    confirm_response, extend_response, release_response, ship_response,
};

use super::ask::{Asked, Change, Stop};
use super::exit;
use super::lines::{STDIN, Units, requests, stdin, units};
use super::output::{label, table};
use super::reserve::{wire_span, worse};

/// Reservations, and how they are asked for.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  quartermaster confirm 0000000000080
  quartermaster confirm 0000000000080 00000000000G1
  quartermaster confirm - < ids.txt               an id, or the request as JSON, on each line of stdin
Ends with 3 when the answer is no (expired); of many, with the worst code of all.")]
pub struct StepArgs {
    /// Ids of reservations; - alone to read them from stdin.
    #[arg(required = true, value_name = "RESERVATION")]
    ids: Vec<String>,
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    asked: Asked,
}

/// Reservations, or some lines of one.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  quartermaster ship 0000000000080                          all that is open
  quartermaster ship 0000000000080 --line TEE-RED-M=1       some of it; 0 units for all of the line
  quartermaster cancel - < requests.jsonl                   an id, or the request as JSON, on each line of stdin")]
pub struct LinesArgs {
    /// Only these units, as SKU=UNITS or SKU@LOCATION=UNITS; may be repeated. Of one reservation.
    #[arg(long = "line", value_name = "SKU=UNITS", value_parser = units)]
    lines: Vec<Units>,
    #[command(flatten)]
    step: StepArgs,
}

/// Reservations and their new time to live.
#[derive(Clone, Debug, clap::Args)]
pub struct ExtendArgs {
    /// New time to live from now, as 15m; 1 second to 30 days.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    ttl: Duration,
    #[command(flatten)]
    step: StepArgs,
}

/// A request about one reservation.
trait Step: Unary {
    /// What the command says was done.
    fn outcome(answer: &Self::Answer) -> Result<ReservationUpdate, Box<Rejection>>;
}

macro_rules! steps {
    ($( $request:ty, $answer:ty, $module:ident ; )+) => { $(
        impl Step for $request {
            fn outcome(answer: &$answer) -> Result<ReservationUpdate, Box<Rejection>> {
                match &answer.outcome {
                    Some($module::Outcome::Update(update)) => Ok(update.clone()),
                    Some($module::Outcome::Rejection(rejection)) => Err(Box::new(rejection.clone())),
                    None => Ok(ReservationUpdate::default()),
                }
            }
        }
    )+ };
}

steps! {
    ConfirmRequest, ConfirmResponse, confirm_response;
    ReleaseRequest, ReleaseResponse, release_response;
    CancelRequest, CancelResponse, cancel_response;
    ShipRequest, ShipResponse, ship_response;
    ExtendRequest, ExtendResponse, extend_response;
}

/// Confirms: the order is paid.
pub async fn confirm(args: &StepArgs) -> ExitCode {
    each("confirm", args, |id| ConfirmRequest { reservation_id: id.to_owned(), ..ConfirmRequest::default() }).await
}

/// Gives holds back.
pub async fn release(args: &StepArgs) -> ExitCode {
    each("release", args, |id| ReleaseRequest { reservation_id: id.to_owned(), ..ReleaseRequest::default() }).await
}

/// Gives units back.
pub async fn cancel(args: &LinesArgs) -> ExitCode {
    let lines = wire_lines(&args.lines);
    let request =
        |id: &str| CancelRequest { reservation_id: id.to_owned(), lines: lines.clone(), ..CancelRequest::default() };
    each("cancel", &args.step, request).await
}

/// Records what left the locations.
pub async fn ship(args: &LinesArgs) -> ExitCode {
    let lines = wire_lines(&args.lines);
    let request =
        |id: &str| ShipRequest { reservation_id: id.to_owned(), lines: lines.clone(), ..ShipRequest::default() };
    each("ship", &args.step, request).await
}

/// Moves the expiry of holds.
pub async fn extend(args: &ExtendArgs) -> ExitCode {
    let ttl = match wire_span(Some(args.ttl)) {
        Ok(ttl) => ttl,
        Err(stop) => return args.step.asked.end("extend", Err(stop)),
    };
    let request = |id: &str| ExtendRequest { reservation_id: id.to_owned(), ttl, ..ExtendRequest::default() };
    each("extend", &args.step, request).await
}

fn wire_lines(lines: &[Units]) -> Vec<LineQuantity> {
    let line =
        |one: &Units| LineQuantity { sku: one.sku.clone(), location: one.location.clone(), quantity: one.quantity };
    lines.iter().map(line).collect()
}

async fn each<Q: Step>(command: &str, args: &StepArgs, request: impl Fn(&str) -> Q) -> ExitCode {
    args.asked.end(command, all(command, args, request).await)
}

/// One after the other, each told as it ends; a "no" or an error of one does not keep the others from being asked.
async fn all<Q: Step>(command: &str, args: &StepArgs, request: impl Fn(&str) -> Q) -> Result<(), Stop> {
    let asking = args.asked.open()?;
    let mut all: Vec<Q> = if args.ids == [STDIN] {
        requests(stdin(), |id| Some(request(id))).collect::<Result<_, _>>()?
    } else {
        args.ids.iter().map(|id| request(id)).collect()
    };
    if let Some(id) = &args.change.request_id {
        let [only] = all.as_mut_slice() else {
            return Err(Stop::Unusable("--request-id is for one reservation, not for several".to_owned()));
        };
        if let Some(own) = only.request_id_mut() {
            own.clone_from(id);
        }
    }
    let mut worst = exit::OK;
    for request in all {
        if let Err(stop) = asking.tell(request, page::<Q>).await {
            worst = worse(worst, stop.report(command, &args.asked.target));
        }
    }
    if worst == exit::OK { Ok(()) } else { Err(Stop::Ended(worst)) }
}

fn page<Q: Step>(called: &Called<Q::Answer>) -> Result<String, Box<Rejection>> {
    Q::outcome(&called.answer).map(|update| update_page(&update))
}

/// What a change did to a reservation.
pub(super) fn update_page(update: &ReservationUpdate) -> String {
    let state = label(update.state().as_str_name(), "RESERVATION_STATE_");
    let until = update.expire_time.map(|at| format!(" until {at}")).unwrap_or_default();
    let mut page = format!("reservation {} {state}{until}\n", update.reservation_id);
    let moved = update.allocations.iter().map(|one| [one.sku.clone(), one.location.clone(), one.quantity.to_string()]);
    if !update.allocations.is_empty() {
        page += &table(["SKU", "LOCATION", "UNITS"], moved);
    }
    for one in &update.presold {
        page += &format!("{} of {} expected at {}\n", one.quantity, one.sku, one.location);
    }
    page
}

#[cfg(test)]
mod tests {
    use quartermaster_proto::v1::{Allocation, ReservationState};

    use super::*;

    #[test]
    fn an_update_reads_as_what_was_moved() {
        let moved = Allocation { sku: "A".into(), location: "L1".into(), quantity: 2 };
        let update = ReservationUpdate {
            reservation_id: "R".into(),
            state: ReservationState::Shipped.into(),
            allocations: vec![moved],
            ..ReservationUpdate::default()
        };
        assert_eq!(update_page(&update), "reservation R shipped\nSKU  LOCATION  UNITS\nA    L1            2\n");
    }
}

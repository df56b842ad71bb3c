//! `proof race`: two or three calls about one reservation at the same moment. Exactly one wins, the others hear so, and what is left in the
//! cells is what the winners say.
//!
//! Each race has a reservation of its own; many are run side by side over several connections, so that the calls of one race meet in
//! the server, not on the wire.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quartermaster_loadtest::client::{Client, reason_of, sentence};
use quartermaster_loadtest::random::SplitMix64;
use quartermaster_loadtest::table::per_second;
use quartermaster_proto::v1::{
    Allocation, CancelRequest, ConfirmRequest, GetReservationRequest, ListCellsRequest, Position, ReassignRequest,
    Rejection, RejectionReason, ReleaseRequest, ReservationState, ReservationUpdate, ReserveLine, ReserveRequest,
    ShipRequest, cancel_response, confirm_response, reassign_response, release_response, reserve_response,
    ship_response,
};
use tokio::task::JoinSet;
use tonic::Status;

use crate::Error;
use crate::process::ServerArgs;
use crate::stage::{self, PATIENT, Stage, patient};
use crate::verdict::Verdict;

/// Shortest life of a hold that the API takes.
const LIFE: Duration = Duration::from_secs(1);
/// Holds that wait for their expiry at once.
const EXPIRIES_AT_ONCE: u64 = 512;

/// Arguments of `proof race`.
#[derive(Clone, Debug, clap::Args)]
pub struct RaceArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Races of each kind.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    races: u64,
    /// Races at once.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1_024))]
    at_once: u64,
    /// Connections.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    connections: u16,
    /// Decides who is sent first, and how close to the expiry.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Who races.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The expiry of a hold and its Confirm.
    ExpiryConfirm,
    /// Confirm, Release and Ship of a hold.
    ConfirmReleaseShip,
    /// Cancel and Ship of a paid hold.
    CancelShip,
    /// Reassign and Cancel of a hold: the cancellation always happens, and gives back where the units are by then.
    ReassignCancel,
}

const KINDS: [Kind; 4] = [Kind::ExpiryConfirm, Kind::ConfirmReleaseShip, Kind::CancelShip, Kind::ReassignCancel];

/// Carries the campaign out.
///
/// # Errors
/// When a server cannot be started or does not do what it is set up with.
pub async fn run(args: &RaceArgs) -> Result<Verdict, Error> {
    let mut verdict = Verdict::new("race");
    let mut stage = Stage::start(&args.server, &[])?;
    let client = stage.server().client(usize::from(args.connections), PATIENT).await?;
    // A SKU for each kind, at two places, with a unit for every race and as many to move to.
    stage::catalogue(&client, 2, KINDS.len()).await.map_err(|status| sentence(&status))?;
    let cells: Vec<_> = (0..KINDS.len()).flat_map(|sku| (0..2).map(move |place| (sku, place, args.races))).collect();
    stage::receive(&client, &cells).await.map_err(|status| sentence(&status))?;

    verdict.figure("seed", args.seed);
    verdict.figure("races_of_each_kind", args.races);
    let began = Instant::now();
    for (sku, kind) in KINDS.into_iter().enumerate() {
        let at_once = if kind == Kind::ExpiryConfirm { EXPIRIES_AT_ONCE } else { args.at_once };
        let next = Arc::new(AtomicU64::new(0));
        let mut racers = JoinSet::new();
        for _ in 0..at_once.min(args.races) {
            let track = Track { client: client.clone(), kind, sku, seed: args.seed };
            racers.spawn(track.run(Arc::clone(&next), args.races));
        }
        let mut wins = Wins::default();
        for (own, wrong) in racers.join_all().await {
            wins.add(&own);
            wrong.into_iter().for_each(|wrong| verdict.violation(format!("{kind:?}, seed {}: {wrong}", args.seed)));
        }
        tell(&mut verdict, kind, &wins);
        judge_cells(&client, kind, sku, args.races, &wins, &mut verdict).await.map_err(|status| sentence(&status))?;
    }
    let races = args.races.saturating_mul(4);
    verdict.figure("races_per_second", per_second(races, began.elapsed()));
    stage.verify(&mut verdict)?;
    Ok(verdict)
}

/// Who won how often.
#[derive(Clone, Copy, Debug, Default)]
struct Wins {
    expired: u64,
    /// Confirmed, and neither shipped nor given back.
    confirmed: u64,
    released: u64,
    shipped: u64,
    /// Cancelled where the units were first.
    cancelled: u64,
    /// Cancelled after they had been moved.
    cancelled_moved: u64,
}

impl Wins {
    fn add(&mut self, other: &Wins) {
        self.expired += other.expired;
        self.confirmed += other.confirmed;
        self.released += other.released;
        self.shipped += other.shipped;
        self.cancelled += other.cancelled;
        self.cancelled_moved += other.cancelled_moved;
    }
}

fn tell(verdict: &mut Verdict, kind: Kind, wins: &Wins) {
    match kind {
        Kind::ExpiryConfirm => {
            verdict.figure("expiry_against_confirm_expired", wins.expired);
            verdict.figure("expiry_against_confirm_confirmed", wins.confirmed);
        }
        Kind::ConfirmReleaseShip => {
            verdict.figure("confirm_against_release_and_ship_released", wins.released);
            verdict.figure("confirm_against_release_and_ship_confirmed", wins.confirmed);
            verdict.figure("confirm_against_release_and_ship_shipped", wins.shipped);
        }
        Kind::CancelShip => {
            verdict.figure("cancel_against_ship_cancelled", wins.cancelled);
            verdict.figure("cancel_against_ship_shipped", wins.shipped);
        }
        Kind::ReassignCancel => {
            verdict.figure("reassign_against_cancel_cancelled_first", wins.cancelled);
            verdict.figure("reassign_against_cancel_moved_first", wins.cancelled_moved);
        }
    }
}

/// What is left in the cells must be what the winners took.
async fn judge_cells(
    client: &Client,
    kind: Kind,
    sku: usize,
    races: u64,
    wins: &Wins,
    verdict: &mut Verdict,
) -> Result<(), Status> {
    let message = ListCellsRequest { sku: stage::sku(sku), ..ListCellsRequest::default() };
    let cells = client.inventory().list_cells(patient(message)).await?.into_inner().cells;
    let sum = |of: fn(&quartermaster_proto::v1::Cell) -> i64| u64::try_from(cells.iter().map(of).sum::<i64>());
    let found = (sum(|cell| cell.on_hand), sum(|cell| cell.reserved), sum(|cell| cell.committed));
    let right = (Ok(2 * races - wins.shipped), Ok(0), Ok(wins.confirmed));
    verdict.must(found == right, || format!("{kind:?}: on hand, reserved, committed are {found:?}, not {right:?}"));
    Ok(())
}

/// One kind of race on one SKU.
struct Track {
    client: Client,
    kind: Kind,
    sku: usize,
    seed: u64,
}

/// What a call came to: its LSN and where it moved units; or why it did nothing.
type Outcome = Result<(u64, Vec<Allocation>), &'static str>;

impl Track {
    async fn run(self, next: Arc<AtomicU64>, races: u64) -> (Wins, Vec<String>) {
        let (mut wins, mut wrong) = (Wins::default(), Vec::new());
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= races || !wrong.is_empty() {
                return (wins, wrong);
            }
            let raced = match self.kind {
                Kind::ExpiryConfirm => self.expiry_confirm(number, &mut wins).await,
                Kind::ConfirmReleaseShip => self.confirm_release_ship(number, &mut wins).await,
                Kind::CancelShip => self.cancel_ship(number, &mut wins).await,
                Kind::ReassignCancel => self.reassign_cancel(number, &mut wins).await,
            };
            match raced {
                Ok(None) => {}
                Ok(Some(why)) => wrong.push(format!("race {number}: {why}")),
                Err(status) => wrong.push(format!("race {number}: {}", sentence(&status))),
            }
        }
    }

    async fn expiry_confirm(&self, number: u64, wins: &mut Wins) -> Result<Option<String>, Status> {
        let granted = Instant::now();
        let id = self.hold(number, LIFE).await?;
        // From 6 ms before the expiry to 14 ms after: the timer looks every 10 ms.
        let early = Duration::from_micros(SplitMix64::for_item(self.seed, number).below(20_000));
        tokio::time::sleep(
            (granted + LIFE + early).saturating_duration_since(Instant::now() + Duration::from_millis(6)),
        )
        .await;
        let confirmed = self.confirm(number, &id).await?;
        let state = match confirmed {
            Ok(_) => {
                // The timer must leave it alone from now on.
                tokio::time::sleep(Duration::from_millis(30)).await;
                wins.confirmed += 1;
                ReservationState::Confirmed
            }
            Err("EXPIRED") => {
                wins.expired += 1;
                ReservationState::Expired
            }
            Err(why) => return Ok(Some(format!("Confirm: {why}"))),
        };
        self.ended(&id, state, state == ReservationState::Expired).await
    }

    async fn confirm_release_ship(&self, number: u64, wins: &mut Wins) -> Result<Option<String>, Status> {
        let id = self.hold(number, Duration::from_secs(3_600)).await?;
        let (confirmed, released, shipped) = match SplitMix64::for_item(self.seed, number).below(3) {
            0 => tokio::join!(self.confirm(number, &id), self.release(number, &id), self.ship(number, &id)),
            1 => {
                let (released, confirmed, shipped) =
                    tokio::join!(self.release(number, &id), self.confirm(number, &id), self.ship(number, &id));
                (confirmed, released, shipped)
            }
            _ => {
                let (confirmed, shipped, released) =
                    tokio::join!(self.confirm(number, &id), self.ship(number, &id), self.release(number, &id));
                (confirmed, released, shipped)
            }
        };
        let (confirmed, released, shipped) = (confirmed?, released?, shipped?);
        let state = match (&confirmed, &released, &shipped) {
            (Ok((paid, _)), Err("CONFIRMED" | "SHIPPED"), Ok((sent, _))) if paid < sent => {
                wins.shipped += 1;
                ReservationState::Shipped
            }
            (Ok(_), Err("CONFIRMED"), Err("HELD")) => {
                wins.confirmed += 1;
                ReservationState::Confirmed
            }
            (Err("RELEASED"), Ok(_), Err("HELD" | "RELEASED")) => {
                wins.released += 1;
                ReservationState::Released
            }
            other => return Ok(Some(format!("Confirm, Release, Ship: {other:?}"))),
        };
        self.ended(&id, state, false).await
    }

    async fn cancel_ship(&self, number: u64, wins: &mut Wins) -> Result<Option<String>, Status> {
        let id = self.hold(number, Duration::from_secs(3_600)).await?;
        if let Err(why) = self.confirm(number, &id).await? {
            return Ok(Some(format!("Confirm without a race: {why}")));
        }
        let (cancelled, shipped) = if SplitMix64::for_item(self.seed, number).chance(0.5) {
            tokio::join!(self.cancel(number, &id), self.ship(number, &id))
        } else {
            let (shipped, cancelled) = tokio::join!(self.ship(number, &id), self.cancel(number, &id));
            (cancelled, shipped)
        };
        let state = match (&cancelled?, &shipped?) {
            (Ok(_), Err("CANCELLED")) => {
                wins.cancelled += 1;
                ReservationState::Cancelled
            }
            (Err("SHIPPED"), Ok(_)) => {
                wins.shipped += 1;
                ReservationState::Shipped
            }
            other => return Ok(Some(format!("Cancel, Ship: {other:?}"))),
        };
        self.ended(&id, state, false).await
    }

    async fn reassign_cancel(&self, number: u64, wins: &mut Wins) -> Result<Option<String>, Status> {
        let id = self.hold(number, Duration::from_secs(3_600)).await?;
        let (moved, cancelled) = if SplitMix64::for_item(self.seed, number).chance(0.5) {
            tokio::join!(self.reassign(number, &id), self.cancel(number, &id))
        } else {
            let (cancelled, moved) = tokio::join!(self.cancel(number, &id), self.reassign(number, &id));
            (moved, cancelled)
        };
        let (moved, cancelled) = (moved?, cancelled?);
        let Ok((cancelled_at, back)) = &cancelled else {
            return Ok(Some(format!("Cancel: {cancelled:?}")));
        };
        let place = back.first().map(|back| back.location.clone()).unwrap_or_default();
        match &moved {
            Ok((moved_at, _)) if moved_at < cancelled_at && place == stage::place(1) => wins.cancelled_moved += 1,
            Err("CANCELLED") if place == stage::place(0) => wins.cancelled += 1,
            other => return Ok(Some(format!("Reassign: {other:?}, given back at {place}, {cancelled:?}"))),
        }
        self.ended(&id, ReservationState::Cancelled, false).await
    }

    /// Whether the reservation is in the state that the answers say; `may_lag` when a timer brings it there.
    async fn ended(&self, id: &str, state: ReservationState, may_lag: bool) -> Result<Option<String>, Status> {
        let began = Instant::now();
        loop {
            let message = GetReservationRequest { reservation_id: id.to_owned() };
            let answer = self.client.allocation().get_reservation(patient(message)).await?.into_inner();
            let found = answer.reservation.unwrap_or_default();
            if found.state() == state {
                return Ok(None);
            }
            let on_its_way = may_lag && found.state() == ReservationState::Held && began.elapsed() < stage::PATIENCE;
            if !on_its_way {
                return Ok(Some(format!("{id} is {:?} after answers that say {state:?}", found.state())));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn request_id(&self, step: &str, number: u64) -> String {
        format!("{step}-{}-{number}", self.sku)
    }

    async fn hold(&self, number: u64, life: Duration) -> Result<String, Status> {
        let line = ReserveLine { sku: stage::sku(self.sku), quantity: 1, location: stage::place(0), sourcing: None };
        let seconds = i64::try_from(life.as_secs()).unwrap_or(i64::MAX);
        let message = ReserveRequest {
            request_id: self.request_id("hold", number),
            lines: vec![line],
            ttl: Some(prost_types::Duration { seconds, nanos: 0 }),
            ..ReserveRequest::default()
        };
        match self.client.allocation().reserve(patient(message)).await?.into_inner().outcome {
            Some(reserve_response::Outcome::Hold(hold)) => Ok(hold.reservation_id),
            other => Err(Status::data_loss(format!("no hold where there is a unit for each race: {other:?}"))),
        }
    }

    async fn confirm(&self, number: u64, id: &str) -> Result<Outcome, Status> {
        let message = ConfirmRequest { request_id: self.request_id("confirm", number), reservation_id: id.to_owned() };
        let answer = self.client.allocation().confirm(patient(message)).await;
        outcome(answer.map(|answer| {
            let answer = answer.into_inner();
            match answer.outcome {
                Some(confirm_response::Outcome::Update(update)) => done(answer.position, update),
                Some(confirm_response::Outcome::Rejection(no)) => refused(&no),
                None => Err("no outcome"),
            }
        }))
    }

    async fn release(&self, number: u64, id: &str) -> Result<Outcome, Status> {
        let message = ReleaseRequest { request_id: self.request_id("release", number), reservation_id: id.to_owned() };
        let answer = self.client.allocation().release(patient(message)).await;
        outcome(answer.map(|answer| {
            let answer = answer.into_inner();
            match answer.outcome {
                Some(release_response::Outcome::Update(update)) => done(answer.position, update),
                Some(release_response::Outcome::Rejection(no)) => refused(&no),
                None => Err("no outcome"),
            }
        }))
    }

    async fn cancel(&self, number: u64, id: &str) -> Result<Outcome, Status> {
        let (request_id, reservation_id) = (self.request_id("cancel", number), id.to_owned());
        let message = CancelRequest { request_id, reservation_id, lines: Vec::new() };
        let answer = self.client.allocation().cancel(patient(message)).await;
        outcome(answer.map(|answer| {
            let answer = answer.into_inner();
            match answer.outcome {
                Some(cancel_response::Outcome::Update(update)) => done(answer.position, update),
                Some(cancel_response::Outcome::Rejection(no)) => refused(&no),
                None => Err("no outcome"),
            }
        }))
    }

    async fn ship(&self, number: u64, id: &str) -> Result<Outcome, Status> {
        let (request_id, reservation_id) = (self.request_id("ship", number), id.to_owned());
        let message = ShipRequest { request_id, reservation_id, lines: Vec::new() };
        let answer = self.client.allocation().ship(patient(message)).await;
        outcome(answer.map(|answer| {
            let answer = answer.into_inner();
            match answer.outcome {
                Some(ship_response::Outcome::Update(update)) => done(answer.position, update),
                Some(ship_response::Outcome::Rejection(no)) => refused(&no),
                None => Err("no outcome"),
            }
        }))
    }

    async fn reassign(&self, number: u64, id: &str) -> Result<Outcome, Status> {
        let message = ReassignRequest {
            request_id: self.request_id("reassign", number),
            reservation_id: id.to_owned(),
            sku: stage::sku(self.sku),
            from_location: stage::place(0),
            to_location: stage::place(1),
            ..ReassignRequest::default()
        };
        let answer = self.client.allocation().reassign(patient(message)).await;
        outcome(answer.map(|answer| {
            let answer = answer.into_inner();
            match answer.outcome {
                Some(reassign_response::Outcome::Update(update)) => done(answer.position, update),
                Some(reassign_response::Outcome::Rejection(no)) => refused(&no),
                None => Err("no outcome"),
            }
        }))
    }
}

fn done(position: Option<Position>, update: ReservationUpdate) -> Outcome {
    Ok((position.unwrap_or_default().lsn, update.allocations))
}

fn refused(rejection: &Rejection) -> Outcome {
    match rejection.reason() {
        RejectionReason::ReservationExpired => Err("EXPIRED"),
        _ => Err("another rejection"),
    }
}

/// A state that forbids the call is an outcome of a race; every other error is none.
fn outcome(answer: Result<Outcome, Status>) -> Result<Outcome, Status> {
    use tonic_types::StatusExt;
    let status = match answer {
        Ok(outcome) => return Ok(outcome),
        Err(status) => status,
    };
    if reason_of(&status) != "RESERVATION_STATE" {
        return Err(status);
    }
    let details = status.get_error_details();
    let state = details.error_info().and_then(|info| info.metadata.get("state")).map_or("", String::as_str);
    let known = ["HELD", "CONFIRMED", "SHIPPED", "RELEASED", "EXPIRED", "CANCELLED"];
    Ok(Err(known.into_iter().find(|known| *known == state).unwrap_or("another state")))
}

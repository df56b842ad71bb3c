//! One client: draws what to ask, asks until there is an answer or gives up, and writes down what it heard.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use quartermaster_loadtest::client::{outcome_unknown, reason_of, sentence};
use quartermaster_loadtest::random::SplitMix64;
use quartermaster_proto::v1::allocation_service_client::AllocationServiceClient;
use quartermaster_proto::v1::inventory_service_client::InventoryServiceClient;
use quartermaster_proto::v1::{
    AdjustStockRequest, Allocation, CancelRequest, Cell, ConfirmRequest, GetAvailabilityRequest, GetReservationRequest,
    ListCellsRequest, Position, Rejection, RejectionReason, ReleaseRequest, Reservation, ReservationState,
    ReservationUpdate, ReserveLine, ReserveRequest, ShipRequest, cancel_response, confirm_response, release_response,
    reserve_response, ship_response,
};
use tokio::sync::watch;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use crate::history::model::{Answer, Call, HoldId, PLACES, State, Units};
use crate::history::{End, Operation};
use crate::stage;

/// Time a call has before its end is unknown.
const DEADLINE: Duration = Duration::from_secs(10);
/// Time a server may take to be there again before it is asked all the same.
const RESTART: Duration = Duration::from_secs(2);
/// Of a SKU's holds only the newest are asked about, so that several clients ask about the same.
const YOUNG_HOLDS: usize = 6;
/// Longer than any history: no hold expires.
const TTL_SECONDS: i64 = 24 * 3_600;

/// What the clients share.
#[derive(Debug)]
pub(super) struct Notebook {
    pub(super) began: Instant,
    /// In all.
    pub(super) operations: u64,
    /// The next that nobody has begun.
    pub(super) next: AtomicU64,
    /// Holds that were granted, by SKU.
    pub(super) holds: Vec<Mutex<Vec<(HoldId, String)>>>,
    /// Numbers of reservations.
    pub(super) numbers: Mutex<HashMap<String, HoldId>>,
}

impl Notebook {
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// A client.
pub(super) struct Recorder {
    notebook: Arc<Notebook>,
    addresses: watch::Receiver<String>,
    channel: Channel,
    random: SplitMix64,
    operations: Vec<Operation>,
    wrong: Vec<String>,
}

/// An answer with the LSN of its position; or one that is no answer to this question.
type Heard = Result<(Option<u64>, Answer), String>;

impl Recorder {
    pub(super) fn new(notebook: Arc<Notebook>, mut addresses: watch::Receiver<String>, random: SplitMix64) -> Recorder {
        let channel = channel(&addresses.borrow_and_update());
        Recorder { notebook, addresses, channel, random, operations: Vec::new(), wrong: Vec::new() }
    }

    /// Asks until all operations are begun and its own are over.
    pub(super) async fn run(mut self) -> (Vec<Operation>, Vec<String>) {
        loop {
            let number = self.notebook.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.notebook.operations || !self.wrong.is_empty() {
                return (self.operations, self.wrong);
            }
            let sku = self.random.index(self.notebook.holds.len());
            let (call, hold) = self.draw(sku);
            let called = self.notebook.now();
            let end = match self.ask(number, sku, &call, &hold).await {
                None => End::Unknown,
                Some(heard) => {
                    let returned = self.notebook.now();
                    match heard {
                        Ok((lsn, answer)) => End::Answered { returned, lsn, answer },
                        Err(wrong) => {
                            self.wrong.push(format!("operation {number}, {call:?} on SKU {sku}: {wrong}"));
                            continue;
                        }
                    }
                }
            };
            let sku = u32::try_from(sku).unwrap_or(u32::MAX);
            self.operations.push(Operation { called, sku, call, end });
        }
    }

    /// Something to ask, and the reservation it is about.
    fn draw(&mut self, sku: usize) -> (Call, String) {
        let (hold, id) = {
            let holds = self.notebook.holds[sku].lock();
            let young = self.random.index(holds.len().min(YOUNG_HOLDS));
            holds.iter().rev().nth(young).cloned().map_or((None, String::new()), |(hold, id)| (Some(hold), id))
        };
        let place = self.random.index(PLACES);
        let few = |random: &mut SplitMix64, most: u64| i64::try_from(1 + random.below(most)).unwrap_or(1);
        let call = match (self.random.below(20), hold) {
            (0..=5, _) => {
                let place = self.random.chance(0.3).then_some(place);
                Call::Reserve { units: 1 + self.random.below(6), place }
            }
            (6..=7, Some(hold)) => Call::Confirm(hold),
            (8..=9, Some(hold)) => Call::Release(hold),
            (10, Some(hold)) => Call::Cancel(hold),
            (11..=12, Some(hold)) => Call::Ship(hold),
            (13, _) => Call::Adjust { place, delta: few(&mut self.random, 8) },
            (14, _) => Call::Adjust { place, delta: -few(&mut self.random, 4) },
            (15..=16, Some(hold)) => Call::Look(hold),
            (17, _) => Call::Cells,
            _ => Call::Read,
        };
        (call, id)
    }

    /// Sends until there is an answer; `None` when the client gives up.
    async fn ask(&mut self, number: u64, sku: usize, call: &Call, hold: &str) -> Option<Heard> {
        loop {
            let status = match self.send(number, sku, call, hold).await {
                Ok(heard) => return Some(heard),
                Err(status) => status,
            };
            if !outcome_unknown(status.code()) {
                return Some(error(&status));
            }
            // The next server is elsewhere. What asks nobody would only be one more unknown end.
            let _same = tokio::time::timeout(RESTART, self.addresses.changed()).await;
            self.channel = channel(&self.addresses.borrow_and_update());
            if self.random.chance(0.25) {
                return None;
            }
        }
    }

    async fn send(&self, number: u64, sku: usize, call: &Call, hold: &str) -> Result<Heard, Status> {
        let (request_id, reservation_id) = (format!("operation-{number}"), hold.to_owned());
        let mut allocation = AllocationServiceClient::new(self.channel.clone());
        let mut inventory = InventoryServiceClient::new(self.channel.clone());
        match *call {
            Call::Reserve { units, place } => {
                let line = ReserveLine {
                    sku: stage::sku(sku),
                    quantity: signed(units),
                    location: place.map(stage::place).unwrap_or_default(),
                    sourcing: None,
                };
                let ttl = Some(prost_types::Duration { seconds: TTL_SECONDS, nanos: 0 });
                let message = ReserveRequest { request_id, lines: vec![line], ttl, ..ReserveRequest::default() };
                let answer = allocation.reserve(bounded(message)).await?.into_inner();
                Ok(match answer.outcome {
                    Some(reserve_response::Outcome::Hold(hold)) => {
                        self.granted(sku, answer.position, &hold.reservation_id, &hold.allocations)
                    }
                    Some(reserve_response::Outcome::Rejection(no)) => refused(answer.position, &no),
                    None => Err("an answer without an outcome".to_owned()),
                })
            }
            Call::Confirm(_) => {
                let message = ConfirmRequest { request_id, reservation_id };
                let answer = allocation.confirm(bounded(message)).await?.into_inner();
                Ok(match answer.outcome {
                    Some(confirm_response::Outcome::Update(update)) => changed(answer.position, &update),
                    other => Err(format!("{other:?}")),
                })
            }
            Call::Release(_) => {
                let message = ReleaseRequest { request_id, reservation_id };
                let answer = allocation.release(bounded(message)).await?.into_inner();
                Ok(match answer.outcome {
                    Some(release_response::Outcome::Update(update)) => changed(answer.position, &update),
                    other => Err(format!("{other:?}")),
                })
            }
            Call::Cancel(_) => {
                let message = CancelRequest { request_id, reservation_id, lines: Vec::new() };
                let answer = allocation.cancel(bounded(message)).await?.into_inner();
                Ok(match answer.outcome {
                    Some(cancel_response::Outcome::Update(update)) => changed(answer.position, &update),
                    other => Err(format!("{other:?}")),
                })
            }
            Call::Ship(_) => {
                let message = ShipRequest { request_id, reservation_id, lines: Vec::new() };
                let answer = allocation.ship(bounded(message)).await?.into_inner();
                Ok(match answer.outcome {
                    Some(ship_response::Outcome::Update(update)) => changed(answer.position, &update),
                    other => Err(format!("{other:?}")),
                })
            }
            Call::Adjust { place, delta } => {
                let (sku, location) = (stage::sku(sku), stage::place(place));
                let message = AdjustStockRequest { request_id, sku, location, delta, ..AdjustStockRequest::default() };
                let answer = inventory.adjust_stock(bounded(message)).await?.into_inner();
                let level = answer.level.unwrap_or_default();
                let (on_hand, available) = (unsigned(level.on_hand)?, unsigned(level.available)?);
                Ok(Ok((at(answer.position), Answer::Level { on_hand, available })))
            }
            Call::Read => {
                let locations = (0..PLACES).map(stage::place).collect();
                let message = GetAvailabilityRequest { skus: vec![stage::sku(sku)], locations, ..Default::default() };
                let answer = inventory.get_availability(bounded(message)).await?.into_inner();
                let found = answer.skus.into_iter().next().unwrap_or_default();
                let mut units = [0; PLACES];
                for (units, available) in units.iter_mut().zip(&found.by_location) {
                    *units = unsigned(*available)?;
                }
                let total = unsigned(found.available)?;
                Ok(Ok((at(answer.position), Answer::Availability { total, at: units })))
            }
            Call::Look(_) => {
                let message = GetReservationRequest { reservation_id };
                let answer = allocation.get_reservation(bounded(message)).await?.into_inner();
                Ok(seen(answer.position, &answer.reservation.unwrap_or_default()))
            }
            Call::Cells => {
                let message = ListCellsRequest { sku: stage::sku(sku), ..ListCellsRequest::default() };
                let answer = inventory.list_cells(bounded(message)).await?.into_inner();
                Ok(buckets(answer.position, &answer.cells))
            }
        }
    }

    fn granted(&self, sku: usize, position: Option<Position>, id: &str, taken: &[Allocation]) -> Heard {
        let mut numbers = self.notebook.numbers.lock();
        let hold = HoldId::try_from(numbers.len()).unwrap_or(HoldId::MAX);
        if numbers.insert(id.to_owned(), hold).is_some() {
            return Err(format!("reservation {id} was granted twice"));
        }
        drop(numbers);
        self.notebook.holds[sku].lock().push((hold, id.to_owned()));
        Ok((at(position), Answer::Granted { hold, taken: units(taken)? }))
    }
}

fn channel(address: &str) -> Channel {
    Endpoint::from_shared(address.to_owned())
        .expect("Invariant: a server has an address")
        .tcp_nodelay(true)
        .connect_lazy()
}

fn bounded<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(DEADLINE);
    request
}

fn at(position: Option<Position>) -> Option<u64> {
    position.map(|position| position.lsn)
}

fn signed(units: u64) -> i64 {
    i64::try_from(units).unwrap_or(i64::MAX)
}

fn unsigned(units: i64) -> Result<u64, Status> {
    u64::try_from(units).map_err(|_| Status::data_loss(format!("{units} units")))
}

/// Units by place.
fn units(allocations: &[Allocation]) -> Result<Units, String> {
    let mut units = [0; PLACES];
    for allocation in allocations {
        let place = (0..PLACES).find(|place| stage::place(*place) == allocation.location);
        let place = place.ok_or_else(|| format!("{allocation:?}"))?;
        units[place] += u64::try_from(allocation.quantity).map_err(|_| format!("{allocation:?}"))?;
    }
    Ok(units)
}

fn refused(position: Option<Position>, rejection: &Rejection) -> Heard {
    match (rejection.reason(), rejection.shortages.as_slice()) {
        (RejectionReason::InsufficientStock, [shortage]) => {
            let available = u64::try_from(shortage.available).map_err(|_| format!("{rejection:?}"))?;
            Ok((at(position), Answer::Short { available }))
        }
        _ => Err(format!("{rejection:?}")),
    }
}

fn changed(position: Option<Position>, update: &ReservationUpdate) -> Heard {
    let moved = units(&update.allocations)?;
    Ok((at(position), Answer::Changed { state: state(update.state())?, moved }))
}

fn seen(position: Option<Position>, reservation: &Reservation) -> Heard {
    let open = reservation.lines.iter().map(|line| Allocation {
        sku: line.sku.clone(),
        location: line.location.clone(),
        quantity: line.open,
    });
    let open = units(&open.collect::<Vec<_>>())?;
    Ok((at(position), Answer::Seen { state: state(reservation.state())?, open }))
}

fn buckets(position: Option<Position>, cells: &[Cell]) -> Heard {
    let of = |figure: fn(&Cell) -> i64| {
        let all = cells.iter().map(|cell| Allocation {
            sku: cell.sku.clone(),
            location: cell.location.clone(),
            quantity: figure(cell),
        });
        units(&all.collect::<Vec<_>>())
    };
    let on_hand = of(|cell| cell.on_hand)?;
    let (reserved, committed) = (of(|cell| cell.reserved)?, of(|cell| cell.committed)?);
    Ok((at(position), Answer::Buckets { on_hand, reserved, committed }))
}

fn state(state: ReservationState) -> Result<State, String> {
    let state = match state {
        ReservationState::Held => State::Held,
        ReservationState::Confirmed => State::Confirmed,
        ReservationState::Shipped => State::Shipped,
        ReservationState::Released => State::Released,
        ReservationState::Cancelled => State::Cancelled,
        other => return Err(format!("a hold is {other:?}")),
    };
    Ok(state)
}

fn error(status: &Status) -> Heard {
    let details = status.get_error_details();
    let state = details.error_info().and_then(|info| info.metadata.get("state").cloned()).unwrap_or_default();
    let answer = match (status.code(), reason_of(status).as_str(), state.as_str()) {
        (Code::FailedPrecondition, "EXCEEDS_BUCKET", _) => Answer::TooFew,
        (Code::FailedPrecondition, "RESERVATION_STATE", "HELD") => Answer::WrongState(State::Held),
        (Code::FailedPrecondition, "RESERVATION_STATE", "CONFIRMED") => Answer::WrongState(State::Confirmed),
        (Code::FailedPrecondition, "RESERVATION_STATE", "SHIPPED") => Answer::WrongState(State::Shipped),
        (Code::FailedPrecondition, "RESERVATION_STATE", "RELEASED") => Answer::WrongState(State::Released),
        (Code::FailedPrecondition, "RESERVATION_STATE", "CANCELLED") => Answer::WrongState(State::Cancelled),
        _ => return Err(sentence(status)),
    };
    Ok((None, answer))
}

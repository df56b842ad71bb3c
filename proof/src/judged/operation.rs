//! What a buyer asks and what it hears, in a form that can be written down and asked again.

use quartermaster_loadtest::client::{Client, code_name, reason_of};
use quartermaster_proto::v1::{
    AdjustStockRequest, Allocation, CancelRequest, ConfirmRequest, ExtendRequest, LineQuantity, Rejection,
    ReleaseRequest, ReservationState, ReservationUpdate, ReserveLine, ReserveRequest, ReserveResponse, ShipRequest,
    StockReason, cancel_response, confirm_response, extend_response, get_outcome_response, release_response,
    reserve_response, ship_response,
};
use serde::{Deserialize, Serialize};
use tonic::{Code, Status};

/// Units of a SKU at a location; in an order the location may be empty, which leaves it to the server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Units {
    /// SKU code.
    pub sku: String,
    /// Location code.
    pub location: String,
    /// How many, at least 1.
    pub quantity: i64,
}

/// A call that changes something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Takes every line or nothing.
    Reserve {
        /// Each SKU once.
        lines: Vec<Units>,
        /// How long the hold lasts, in seconds.
        ttl_s: i64,
    },
    /// Pays.
    Confirm {
        /// Which reservation.
        reservation: String,
    },
    /// Gives a hold back.
    Release {
        /// Which reservation.
        reservation: String,
    },
    /// Gives units back; without lines all that are open.
    Cancel {
        /// Which reservation.
        reservation: String,
        /// Which units.
        lines: Vec<Units>,
    },
    /// Sends units out; without lines all that are open.
    Ship {
        /// Which reservation.
        reservation: String,
        /// Which units.
        lines: Vec<Units>,
    },
    /// Moves the expiry.
    Extend {
        /// Which reservation.
        reservation: String,
        /// From now, in seconds.
        ttl_s: i64,
    },
    /// Adds to what is on hand, or takes away.
    Adjust {
        /// SKU code.
        sku: String,
        /// Location code.
        location: String,
        /// Units, not 0.
        delta: i64,
    },
}

/// What was heard, as far as it must be the same whenever it is heard again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// A hold.
    Held {
        /// Its id.
        reservation: String,
        /// Where the units are, sorted.
        units: Vec<Units>,
        /// When it expires, in microseconds since the Unix epoch.
        expires: i64,
    },
    /// A reservation changed.
    Updated {
        /// Its state, as a number of the API.
        state: i32,
        /// What moved, sorted.
        units: Vec<Units>,
        /// When it expires now, in microseconds since the Unix epoch; only after `Extend`.
        expires: Option<i64>,
    },
    /// Stock changed.
    Adjusted,
    /// Refused by the rules of business; nothing changed.
    Rejected {
        /// Why, as a number of the API.
        reason: i32,
    },
    /// Refused with an error that says that nothing happened.
    Refused {
        /// Status code and typed reason.
        error: String,
    },
}

impl Operation {
    /// The reservation that it changes; none for a new order or a correction.
    pub fn reservation(&self) -> Option<&str> {
        match self {
            Operation::Reserve { .. } | Operation::Adjust { .. } => None,
            Operation::Confirm { reservation }
            | Operation::Release { reservation }
            | Operation::Cancel { reservation, .. }
            | Operation::Ship { reservation, .. }
            | Operation::Extend { reservation, .. } => Some(reservation),
        }
    }
}

impl Outcome {
    /// Whether something changed.
    pub fn is_effect(&self) -> bool {
        !matches!(self, Outcome::Rejected { .. } | Outcome::Refused { .. })
    }
}

/// An answer, with its place in the journal: that of the event, or of what a refusal rests on; 0 with an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Log sequence number.
    pub lsn: u64,
    /// What was heard.
    pub outcome: Outcome,
    /// Whether the server said that it had answered before.
    pub replayed: bool,
}

impl Answer {
    /// The same event with the same outcome.
    pub fn agrees(&self, other: &Answer) -> bool {
        self.lsn == other.lsn && self.outcome == other.outcome
    }
}

/// Reads an answer of the five calls that change a reservation: their messages differ in name alone.
macro_rules! changed {
    ($response:expr, $module:ident) => {{
        let response = $response.into_inner();
        let outcome = match response.outcome {
            Some($module::Outcome::Update(update)) => updated(&update),
            Some($module::Outcome::Rejection(rejection)) => rejected(&rejection),
            None => return Err(Status::internal("an answer without an outcome")),
        };
        Answer { lsn: response.position.unwrap_or_default().lsn, outcome, replayed: response.replayed }
    }};
}

impl Operation {
    /// Sends it under `id` once. Errors that leave no doubt that nothing happened are answers.
    ///
    /// # Errors
    /// The status of a call whose outcome is unknown.
    pub async fn send(&self, client: &Client, id: &str) -> Result<Answer, Status> {
        match self.ask(client, id.to_owned()).await {
            Err(status) if refuses(&status) => {
                let error = format!("{} {}", code_name(status.code()), reason_of(&status));
                Ok(Answer { lsn: 0, outcome: Outcome::Refused { error }, replayed: false })
            }
            other => other,
        }
    }

    async fn ask(&self, client: &Client, request_id: String) -> Result<Answer, Status> {
        let mut allocation = client.allocation();
        Ok(match self.clone() {
            Operation::Reserve { lines, ttl_s } => {
                let request = timed(client, reserve(request_id, lines, ttl_s));
                held(allocation.reserve(request).await?.into_inner())?
            }
            Operation::Confirm { reservation: reservation_id } => {
                let request = timed(client, ConfirmRequest { request_id, reservation_id });
                changed!(allocation.confirm(request).await?, confirm_response)
            }
            Operation::Release { reservation: reservation_id } => {
                let request = timed(client, ReleaseRequest { request_id, reservation_id });
                changed!(allocation.release(request).await?, release_response)
            }
            Operation::Cancel { reservation: reservation_id, lines } => {
                let lines = lines.into_iter().map(line).collect();
                let request = timed(client, CancelRequest { request_id, reservation_id, lines });
                changed!(allocation.cancel(request).await?, cancel_response)
            }
            Operation::Ship { reservation: reservation_id, lines } => {
                let lines = lines.into_iter().map(line).collect();
                let request = timed(client, ShipRequest { request_id, reservation_id, lines });
                changed!(allocation.ship(request).await?, ship_response)
            }
            Operation::Extend { reservation: reservation_id, ttl_s } => {
                let request = timed(client, ExtendRequest { request_id, reservation_id, ttl: Some(seconds(ttl_s)) });
                changed!(allocation.extend(request).await?, extend_response)
            }
            Operation::Adjust { sku, location, delta } => {
                let reason = i32::from(StockReason::Correction);
                let adjust = AdjustStockRequest { request_id, sku, location, delta, reason, ..Default::default() };
                let response = client.inventory().adjust_stock(timed(client, adjust)).await?.into_inner();
                let lsn = response.position.unwrap_or_default().lsn;
                Answer { lsn, outcome: Outcome::Adjusted, replayed: response.replayed }
            }
        })
    }
}

/// A message with the client's deadline.
fn timed<T>(client: &Client, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(client.retry().deadline);
    request
}

/// What `GetOutcome` tells of a request: nothing when it had no effect.
pub fn outcome(known: Option<get_outcome_response::Outcome>) -> Option<Outcome> {
    Some(match known? {
        get_outcome_response::Outcome::Hold(hold) => hold_outcome(hold),
        get_outcome_response::Outcome::Update(update) => updated(&update),
        get_outcome_response::Outcome::Change(_) => Outcome::Adjusted,
    })
}

/// Whether an error says that nothing happened.
fn refuses(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unimplemented
    )
}

fn reserve(request_id: String, lines: Vec<Units>, ttl_s: i64) -> ReserveRequest {
    let line = |units: Units| ReserveLine {
        sku: units.sku,
        quantity: units.quantity,
        location: units.location,
        ..ReserveLine::default()
    };
    let lines = lines.into_iter().map(line).collect();
    ReserveRequest { request_id, lines, ttl: Some(seconds(ttl_s)), ..ReserveRequest::default() }
}

fn seconds(seconds: i64) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos: 0 }
}

fn line(units: Units) -> LineQuantity {
    LineQuantity { sku: units.sku, location: units.location, quantity: units.quantity }
}

fn held(response: ReserveResponse) -> Result<Answer, Status> {
    let outcome = match response.outcome {
        Some(reserve_response::Outcome::Hold(hold)) => hold_outcome(hold),
        Some(reserve_response::Outcome::Rejection(rejection)) => rejected(&rejection),
        None => return Err(Status::internal("an answer without an outcome")),
    };
    Ok(Answer { lsn: response.position.unwrap_or_default().lsn, outcome, replayed: response.replayed })
}

fn hold_outcome(hold: quartermaster_proto::v1::Hold) -> Outcome {
    let expires = hold.expire_time.map_or(0, micros);
    Outcome::Held { reservation: hold.reservation_id, units: sorted(&hold.allocations), expires }
}

fn updated(update: &ReservationUpdate) -> Outcome {
    Outcome::Updated {
        state: update.state,
        units: sorted(&update.allocations),
        expires: update.expire_time.map(micros),
    }
}

fn rejected(rejection: &Rejection) -> Outcome {
    Outcome::Rejected { reason: rejection.reason }
}

fn micros(time: prost_types::Timestamp) -> i64 {
    time.seconds * 1_000_000 + i64::from(time.nanos / 1_000)
}

fn sorted(allocations: &[Allocation]) -> Vec<Units> {
    let units = |of: &Allocation| Units { sku: of.sku.clone(), location: of.location.clone(), quantity: of.quantity };
    let mut units: Vec<Units> = allocations.iter().map(units).collect();
    units.sort();
    units
}

/// The name of a state, for messages.
pub fn state_name(state: i32) -> &'static str {
    ReservationState::try_from(state).map_or("an unknown state", |state| state.as_str_name())
}

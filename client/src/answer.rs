//! What a call is answered with.

use quartermaster_proto::v1::{
    self, AnnounceReturnResponse, CancelResponse, ConfirmResponse, ExtendResponse, Position, ReassignResponse,
    Rejection, ReleaseResponse, ReserveResponse, RouteResponse, ShipResponse,
};

/// An answer, and how it came.
#[derive(Clone, Debug)]
pub struct Called<A> {
    /// What the server answered.
    pub answer: A,
    /// The id it was sent under; empty for a question.
    pub request_id: String,
    /// How often it was sent.
    pub tries: u32,
}

/// The answer to a change that may be refused for a business reason.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer<T> {
    /// The id it was sent under.
    pub request_id: String,
    /// Where it stands in the journal; durable.
    pub position: Position,
    /// The id had been answered before: this is that answer.
    pub replayed: bool,
    /// How often it was sent.
    pub tries: u32,
    /// Done, or not.
    pub outcome: Outcome<T>,
}

/// Whether it was done.
///
/// A rejection after a try that was not answered is the answer of the last try. The one before cannot be done later: it carried the same
/// deadline, past which the server begins nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome<T> {
    /// Done and durable.
    Done(T),
    /// A business "no": nothing changed. Final for this content at this moment.
    Rejected(Box<Rejection>),
}

/// A business "no", for callers to whom that is an error.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}: {}", .0.reason().as_str_name().trim_start_matches("REJECTION_REASON_"), .0.message)]
pub struct Refused(pub Box<Rejection>);

impl<T> Answer<T> {
    /// What was done.
    ///
    /// # Errors
    /// The rejection, when nothing was done.
    pub fn done(self) -> Result<T, Refused> {
        match self.outcome {
            Outcome::Done(done) => Ok(done),
            Outcome::Rejected(rejection) => Err(Refused(rejection)),
        }
    }
}

/// Position, replay mark and outcome of an answer.
pub(crate) trait Decided {
    type Done: Default;
    fn decided(self) -> (Option<Position>, bool, Outcome<Self::Done>);
}

macro_rules! decided {
    ($( $answer:ty, $module:ident :: $done:ident ( $what:ty ) ; )+) => { $(
        impl Decided for $answer {
            type Done = $what;
            fn decided(self) -> (Option<Position>, bool, Outcome<$what>) {
                let outcome = match self.outcome {
                    Some(v1::$module::Outcome::$done(done)) => Outcome::Done(done),
                    Some(v1::$module::Outcome::Rejection(rejection)) => Outcome::Rejected(Box::new(rejection)),
                    // A newer server with an outcome of its own; it says OK.
                    None => Outcome::Done(<$what>::default()),
                };
                (self.position, self.replayed, outcome)
            }
        }
    )+ };
}

decided! {
    ReserveResponse, reserve_response::Hold(v1::Hold);
    ConfirmResponse, confirm_response::Update(v1::ReservationUpdate);
    ReleaseResponse, release_response::Update(v1::ReservationUpdate);
    CancelResponse, cancel_response::Update(v1::ReservationUpdate);
    ExtendResponse, extend_response::Update(v1::ReservationUpdate);
    ShipResponse, ship_response::Update(v1::ReservationUpdate);
    ReassignResponse, reassign_response::Update(v1::ReservationUpdate);
    AnnounceReturnResponse, announce_return_response::Update(v1::ReturnUpdate);
}

impl Decided for RouteResponse {
    type Done = v1::Quote;
    fn decided(self) -> (Option<Position>, bool, Outcome<v1::Quote>) {
        let outcome = match self.outcome {
            Some(v1::route_response::Outcome::Quote(quote)) => Outcome::Done(quote),
            Some(v1::route_response::Outcome::Rejection(rejection)) => Outcome::Rejected(Box::new(rejection)),
            None => Outcome::Done(v1::Quote::default()),
        };
        (self.position, false, outcome)
    }
}

/// The answer of `called` as an outcome.
pub(crate) fn outcome<A: Decided>(called: Called<A>) -> Answer<A::Done> {
    let (position, replayed, outcome) = called.answer.decided();
    let position = position.unwrap_or_default();
    Answer { request_id: called.request_id, position, replayed, tries: called.tries, outcome }
}

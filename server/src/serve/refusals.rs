//! What calls that are not let in are told. Made once: in overload most answers are these, and each must cost next to nothing.

use http::{HeaderMap, Response};
use humantime_serde::re::humantime::format_duration;
use tonic::Status;
use tonic::body::Body;

use crate::admission::Refused;
use crate::config::Config;
use crate::refusal;

/// One answer a cause, as a status and as the headers of a gRPC answer without a body.
#[derive(Debug)]
pub(super) struct Refusals {
    in_flight: (Status, HeaderMap),
    queue: (Status, HeaderMap),
    share: (Status, HeaderMap),
}

impl Refusals {
    pub(super) fn new(config: &Config) -> Refusals {
        let with_headers = |status: Status| {
            let headers = status.clone().into_http::<Body>().into_parts().0.headers;
            (status, headers)
        };
        let target = format_duration(config.queue_wait_target);
        let queue = format!("calls wait longer than queue_wait_target, {target}");
        let share = format!("{queue}, and this caller has its share of what is let in");
        Refusals {
            in_flight: with_headers(refusal::overloaded("in_flight_max", config.in_flight_max.into())),
            queue: with_headers(refusal::shed("queue_wait_target", &queue)),
            share: with_headers(refusal::shed("caller_share", &share)),
        }
    }

    /// UNAVAILABLE, with its reason and when to come back.
    pub(super) fn status(&self, refused: Refused) -> Status {
        self.of(refused).0.clone()
    }

    /// The same as a gRPC answer.
    pub(super) fn response(&self, refused: Refused) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.headers_mut() = self.of(refused).1.clone();
        response
    }

    fn of(&self, refused: Refused) -> &(Status, HeaderMap) {
        match refused {
            Refused::InFlight => &self.in_flight,
            Refused::Queue => &self.queue,
            Refused::Share => &self.share,
        }
    }
}

//! The path of one gRPC call: counted, admitted, timed, handled. The JSON view sends its calls down the same path.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::{Code, Status};
use tower::Service;

use super::answer::Answer;
use crate::config::Config;
use crate::deadline::Deadline;
use crate::limits::{InFlight, Permit};
use crate::methods::{MethodId, Methods};
use crate::metrics::{Metrics, Observation, ShedCause};
use crate::refusal;
use crate::shutdown::Stop;

const GRPC_STATUS: &str = "grpc-status";

/// Streaming JSON bodies held at once, each of `json_stream_bytes_max` at most.
pub(crate) const STREAM_BODIES_MAX: u16 = 4;

/// Takes calls to the services. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Calls {
    routes: Routes,
    methods: Arc<Methods>,
    metrics: Arc<Metrics>,
    in_flight: Arc<InFlight>,
    default_deadline: Duration,
    stop: Stop,
}

/// A call that was admitted: it is counted and holds a place among those in work.
#[derive(Debug)]
pub(crate) struct Call {
    observation: Observation,
    method: Option<MethodId>,
    _permit: Permit,
}

impl Calls {
    pub(super) fn new(
        config: &Config,
        routes: Routes,
        methods: Arc<Methods>,
        metrics: &Arc<Metrics>,
        in_flight: Arc<InFlight>,
        stop: Stop,
    ) -> Calls {
        let default_deadline = config.default_deadline;
        Calls { routes, methods, metrics: Arc::clone(metrics), in_flight, default_deadline, stop }
    }

    /// What may be called.
    pub(crate) fn methods(&self) -> &Methods {
        &self.methods
    }

    /// Answers a gRPC request.
    pub(super) async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let method = self.methods.find(request.uri().path());
        match self.admit(method) {
            Ok(call) => self.run(call, request).await,
            Err(status) => status.into_http(),
        }
    }

    /// Counts a call and gives it a place in work.
    ///
    /// # Errors
    /// UNAVAILABLE when all places are taken.
    pub(crate) fn admit(&self, method: Option<MethodId>) -> Result<Call, Status> {
        let mut observation = self.metrics.calls().start(method);
        let permit = if method.is_some_and(|id| self.methods.get(id).is_always_admitted()) {
            Some(self.in_flight.enter_always())
        } else {
            self.in_flight.enter()
        };
        match permit {
            Some(permit) => Ok(Call { observation, method, _permit: permit }),
            None => {
                self.metrics.shed(ShedCause::InFlight);
                observation.end(Code::Unavailable);
                Err(refusal::overloaded("in_flight_max", self.in_flight.max().into()))
            }
        }
    }

    /// UNAVAILABLE: as many JSON bodies of streams are held as there may be.
    pub(crate) fn too_many_json_bodies(&self) -> Status {
        self.metrics.shed(ShedCause::JsonBodies);
        refusal::overloaded("json_stream_bodies_max", STREAM_BODIES_MAX.into())
    }

    /// The time of a call that arrives now with `headers`.
    ///
    /// # Errors
    /// INVALID_ARGUMENT when its `grpc-timeout` is malformed.
    pub(crate) fn deadline(&self, method: Option<MethodId>, headers: &HeaderMap) -> Result<Option<Deadline>, Status> {
        let waits = method.is_some_and(|id| self.methods.get(id).has_default_deadline());
        Deadline::of(headers, waits.then_some(self.default_deadline))
    }

    /// Hands an admitted call to its service and answers it, at the latest when its time is up: that of the [`Deadline`] among the
    /// request's extensions, which the JSON view took before it read the body, else the one its headers ask for.
    pub(crate) async fn run(&self, mut call: Call, mut request: Request<Body>) -> Response<Body> {
        let deadline = match self.deadline(call.method, request.headers()) {
            Ok(deadline) => request.extensions().get().copied().or(deadline),
            Err(status) => return call.refuse(status),
        };
        // Routes are always ready: the bound on calls in work is ours.
        let mut routes = self.routes.clone();
        let response = match deadline {
            None => routes.call(request).await,
            Some(deadline) => {
                // A timeout lets what it holds run once; work whose time is over is not begun.
                if Instant::now() >= deadline.at {
                    return call.refuse(refusal::deadline(deadline.time));
                }
                request.extensions_mut().insert(deadline);
                match tokio::time::timeout_at(deadline.at, routes.call(request)).await {
                    Ok(response) => response,
                    Err(_elapsed) => return call.refuse(refusal::deadline(deadline.time)),
                }
            }
        };
        let Ok(response) = response;
        // An answer that is only a status has it among the headers.
        if let Some(code) = code_of(response.headers()) {
            call.observation.end(code);
            return response;
        }
        let streams = call.method.is_some_and(|id| self.methods.get(id).descriptor.is_server_streaming());
        let stop = streams.then(|| self.stop.clone());
        response.map(|body| Body::new(Answer::new(body, call, stop)))
    }
}

impl Call {
    /// What is called; none for what does not exist.
    pub(crate) fn method(&self) -> Option<MethodId> {
        self.method
    }

    /// The call ends here with `status`.
    pub(crate) fn refuse(mut self, status: Status) -> Response<Body> {
        self.observation.end(status.code());
        status.into_http()
    }

    /// The call ends here with `code`.
    pub(crate) fn end(mut self, code: Code) {
        self.observation.end(code);
    }
}

pub(super) fn code_of(headers: &HeaderMap) -> Option<Code> {
    headers.get(GRPC_STATUS).map(|code| Code::from_bytes(code.as_bytes()))
}

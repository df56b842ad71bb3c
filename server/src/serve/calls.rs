//! A call on its way to its service: counted, admitted, timed, handled. The JSON view sends its calls down the same path.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use hyper::body::Body as _;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};
use tonic::body::Body;
use tonic::{Code, Status};

use super::answer::AnswerBody;
use super::arrival::Arrival;
use super::tunables::Tunables;
use crate::admission::{Admission, Permit, Priority, Refused};
use crate::auth::Gate;
use crate::deadline::Deadline;
use crate::grpc::Services;
use crate::methods::{Method, MethodId, Methods};
use crate::metrics::{Metrics, Observation, ShedCause};
use crate::refusal;
use crate::shutdown::Stop;
use crate::watch::request_id::X_REQUEST_ID;
use crate::watch::steps::{self, Noted, Record, Times};
use crate::watch::{Tag, Watch};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// Streaming JSON bodies held at once, each of `json_stream_bytes_max` at most.
pub(crate) const STREAM_BODIES_MAX: u16 = 4;

/// Wait for a thread after which a call is asked once more whether its caller is still there. The frame that says he is not may have come
/// with the call itself, and HTTP looks for it only when a call has nothing to do for a moment.
const MAY_BE_GONE_AFTER: Duration = Duration::from_millis(1);

/// Takes calls to the services. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Calls {
    services: Arc<Services>,
    methods: Arc<Methods>,
    metrics: Arc<Metrics>,
    admission: Arc<Admission>,
    tunables: Arc<Tunables>,
    watch: Arc<Watch>,
    gate: Arc<Gate>,
    stop: Stop,
}

/// A call that was admitted: it is counted and holds a place among those in work.
#[derive(Debug)]
pub(crate) struct Call {
    observation: Observation,
    method: Option<MethodId>,
    arrived: Instant,
    admitted: Instant,
    waited: Duration,
    tag: Tag,
    /// What it noted on its way, once it has been handled.
    noted: Option<Noted>,
    watch: Arc<Watch>,
    _permit: Permit,
}

impl Calls {
    pub(super) fn new(
        tunables: Arc<Tunables>,
        services: Services,
        methods: Arc<Methods>,
        metrics: &Arc<Metrics>,
        admission: Arc<Admission>,
        gate: Arc<Gate>,
        stop: Stop,
    ) -> Calls {
        let watch = Arc::clone(metrics.watch());
        let services = Arc::new(services);
        Calls { services, methods, metrics: Arc::clone(metrics), admission, tunables, watch, gate, stop }
    }

    /// What may be called.
    pub(crate) fn methods(&self) -> &Methods {
        &self.methods
    }

    /// Who may call.
    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Answers a gRPC request. It stays with the caller, and whoever needs it takes it from there: each of the hands that it goes through would
    /// else have room for one of its own, into which it is copied.
    pub(super) async fn answer(&self, request: &mut Request<Body>, arrival: &Arrival) -> Response<AnswerBody> {
        let method = self.methods.find(request.uri().path());
        let call = match self.admit(method, arrival, request.headers()) {
            Ok(call) => call,
            Err(refused) => return self.tunables.refusal_response(refused).map(AnswerBody::uncounted),
        };
        if let Err(denial) = self.gate.admit(method, &self.methods, request, &arrival.source) {
            return call.refuse(denial.into());
        }
        match self.deadline(&call, request.headers()) {
            Ok(deadline) => {
                let now = call.admitted;
                self.run(call, request, deadline, now).await
            }
            Err(status) => call.refuse(status),
        }
    }

    /// Counts a call and gives it a place in work.
    ///
    /// # Errors
    /// When it is not let in.
    pub(crate) fn admit(
        &self,
        method: Option<MethodId>,
        arrival: &Arrival,
        headers: &HeaderMap,
    ) -> Result<Box<Call>, Refused> {
        let (arrived, caller, address) = (arrival.at, arrival.source.caller, arrival.source.address);
        let now = Instant::now();
        let waited = now.saturating_duration_since(arrived);
        self.metrics.queue_wait(waited);
        let mut observation = self.metrics.calls().start(method, arrived);
        let known = method.map(|id| self.methods.get(id));
        let priority = known.map_or(Priority::Read, |method| method.priority);
        let permit = if known.is_some_and(|method| method.is_always_admitted()) {
            Ok(self.admission.enter_always(caller))
        } else {
            self.admission.enter(priority, caller, arrived, now)
        };
        match permit {
            Ok(permit) => Ok(Box::new(Call {
                observation,
                method,
                arrived,
                admitted: now,
                waited,
                tag: self.watch.tag(headers, address),
                noted: None,
                watch: Arc::clone(&self.watch),
                _permit: permit,
            })),
            Err(refused) => {
                self.metrics.shed_call(refused.into(), priority);
                observation.end(Code::Unavailable);
                Err(refused)
            }
        }
    }

    /// What a call that was not let in is told.
    pub(crate) fn refusal(&self, refused: Refused) -> Status {
        self.tunables.refusal(refused)
    }

    /// UNAVAILABLE: as many JSON bodies of streams are held as there may be.
    pub(crate) fn too_many_json_bodies(&self) -> Status {
        self.metrics.shed(ShedCause::JsonBodies);
        refusal::overloaded("json_stream_bodies_max", STREAM_BODIES_MAX.into())
    }

    /// The time of `call`, which has `headers`.
    ///
    /// # Errors
    /// INVALID_ARGUMENT when its `grpc-timeout` is malformed.
    pub(crate) fn deadline(&self, call: &Call, headers: &HeaderMap) -> Result<Option<Deadline>, Status> {
        let waits = call.method.is_some_and(|id| self.methods.get(id).has_default_deadline());
        Deadline::of(headers, waits.then_some(self.tunables.default_deadline()), call.arrived)
    }

    /// Hands an admitted call to its service and answers it, at the latest when its time is up. The clock said `now` a moment ago.
    pub(crate) async fn run(
        &self,
        mut call: Box<Call>,
        request: &mut Request<Body>,
        deadline: Option<Deadline>,
        mut now: Instant,
    ) -> Response<AnswerBody> {
        if call.waited >= MAY_BE_GONE_AFTER {
            yield_now().await;
            now = Instant::now();
        }
        // It stays where it is, too.
        let work = pin!(self.services.call(request));
        let mut response = match call.recorded(within(deadline, now, work)).await {
            Ok(response) => response,
            Err(deadline) => return call.refuse(refusal::deadline(deadline.time)),
        };
        response.headers_mut().insert(X_REQUEST_ID, call.tag.id.header());
        // An answer that is only a status has it among the headers.
        if response.body().is_end_stream()
            && let Some(code) = code_of(response.headers())
        {
            call.end(code);
            return response.map(AnswerBody::uncounted);
        }
        let streams = call.method.is_some_and(|id| self.methods.get(id).descriptor.is_server_streaming());
        let stop = streams.then(|| (self.stop.clone(), self.metrics.stream()));
        response.map(|body| AnswerBody::new(body, call, stop))
    }
}

/// What `work` comes to, or its deadline when that is over. The clock is read before each step of the work and not only when there is
/// nothing to do: a call that has waited for a thread, or for its message, until nobody listens any more does not begin, and takes nothing.
/// Before the first step it was read a moment ago, at `now`.
async fn within<F: Future>(
    deadline: Option<Deadline>,
    now: Instant,
    mut work: Pin<&mut F>,
) -> Result<F::Output, Deadline> {
    let Some(deadline) = deadline else { return Ok(work.await) };
    let mut over = pin!(sleep_until(deadline.at));
    let mut now = Some(now);
    poll_fn(|context| {
        if now.take().unwrap_or_else(Instant::now) >= deadline.at {
            return Poll::Ready(Err(deadline));
        }
        match work.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => over.as_mut().poll(context).map(|()| Err(deadline)),
        }
    })
    .await
}

impl Call {
    /// Its id, as a header of its answer.
    pub(crate) fn id(&self) -> HeaderValue {
        self.tag.id.header()
    }

    /// The call ends here with `status`.
    fn refuse(self, status: Status) -> Response<AnswerBody> {
        let id = self.id();
        self.end(status.code());
        let mut response = status.into_http().map(AnswerBody::uncounted);
        response.headers_mut().insert(X_REQUEST_ID, id);
        response
    }

    /// The call ends here with `code`.
    pub(crate) fn end(mut self, code: Code) {
        self.ended(code);
    }

    /// Does `work` and keeps what it notes. Work that is broken off leaves nothing.
    async fn recorded<F: Future>(&mut self, work: F) -> F::Output {
        let record = Record::new(self.tag.id.clone(), self.admitted.into_std());
        let (output, noted) = steps::recorded(record, work).await;
        self.noted = noted;
        output
    }

    fn ended(&mut self, code: Code) {
        let Some(total) = self.observation.end(code) else { return };
        let method = self.method.map(|id| self.observation.methods().get(id));
        let noted = self.noted.filter(|_| method.is_some_and(Method::is_unary));
        let times: Option<Times> = noted.map(|noted| noted.times(self.waited, total));
        self.watch.ended(&self.tag, method, code, total, times);
    }
}

impl Drop for Call {
    /// The caller went away.
    fn drop(&mut self) {
        self.ended(Code::Cancelled);
    }
}

pub(super) fn code_of(headers: &HeaderMap) -> Option<Code> {
    headers.get(&GRPC_STATUS).map(|code| Code::from_bytes(code.as_bytes()))
}

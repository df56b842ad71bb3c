//! A call on its way to its service: counted, admitted, timed, handled. The JSON view sends its calls down the same path.

use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};
use tonic::body::Body;
use tonic::{Code, Status};

use super::answer::Answer;
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

    /// Answers a gRPC request.
    pub(super) async fn answer(&self, request: Request<Body>) -> Response<Body> {
        match self.begin(request) {
            ControlFlow::Continue(running) => running.await,
            ControlFlow::Break(refused) => refused,
        }
    }

    /// Lets a call in, or says why not. What runs is boxed: a call is a task of its own, into which its future is copied several times.
    fn begin(
        &self,
        mut request: Request<Body>,
    ) -> ControlFlow<Response<Body>, Pin<Box<impl Future<Output = Response<Body>> + Send>>> {
        let method = self.methods.find(request.uri().path());
        match self.admit(method, Arrival::of(&request), request.headers()) {
            Ok(call) => match self.gate.admit(method, &self.methods, &mut request) {
                Ok(()) => ControlFlow::Continue(Box::pin(self.run(call, request))),
                Err(denial) => ControlFlow::Break(call.refuse(denial.into())),
            },
            Err(refused) => ControlFlow::Break(self.tunables.refusal_response(refused)),
        }
    }

    /// Counts a call and gives it a place in work.
    ///
    /// # Errors
    /// When it is not let in.
    pub(crate) fn admit(
        &self,
        method: Option<MethodId>,
        arrival: Arrival,
        headers: &HeaderMap,
    ) -> Result<Box<Call>, Refused> {
        let Arrival { at: arrived, caller, address } = arrival;
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

    /// Hands an admitted call to its service and answers it, at the latest when its time is up: that of the [`Deadline`] among the
    /// request's extensions, which the JSON view took before it read the body, else the one its headers ask for.
    pub(crate) fn run(
        &self,
        mut call: Box<Call>,
        mut request: Request<Body>,
    ) -> impl Future<Output = Response<Body>> + Send {
        let asked = self.deadline(&call, request.headers());
        let begun = asked.map(|asked| {
            let taken: Option<Deadline> = request.extensions().get().copied();
            let deadline = taken.or(asked);
            deadline.map(|deadline| request.extensions_mut().insert(deadline));
            // Whoever took it has waited for the body since.
            let now = if taken.is_some() { Instant::now() } else { call.admitted };
            (deadline, now, self.services.call(request))
        });
        async move {
            let (deadline, mut now, work) = match begun {
                Ok(begun) => begun,
                Err(status) => return call.refuse(status),
            };
            if call.waited >= MAY_BE_GONE_AFTER {
                yield_now().await;
                now = Instant::now();
            }
            let mut response = match call.recorded(within(deadline, now, work)).await {
                Ok(Ok(response)) => response,
                Err(deadline) => return call.refuse(refusal::deadline(deadline.time)),
            };
            response.headers_mut().insert(X_REQUEST_ID, call.tag.id.header());
            // An answer that is only a status has it among the headers.
            if let Some(code) = code_of(response.headers()) {
                call.end(code);
                return response;
            }
            let streams = call.method.is_some_and(|id| self.methods.get(id).descriptor.is_server_streaming());
            let stop = streams.then(|| (self.stop.clone(), self.metrics.stream()));
            response.map(|body| Body::new(Answer::new(body, call, stop)))
        }
    }
}

/// What `work` comes to, or its deadline when that is over. The clock is read before each step of the work and not only when there is
/// nothing to do: a call that has waited for a thread, or for its message, until nobody listens any more does not begin, and takes nothing.
/// Before the first step it was read a moment ago, at `now`.
async fn within<F: Future>(deadline: Option<Deadline>, now: Instant, work: F) -> Result<F::Output, Deadline> {
    let Some(deadline) = deadline else { return Ok(work.await) };
    let mut work = pin!(work);
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
    pub(crate) fn refuse(self, status: Status) -> Response<Body> {
        let id = self.id();
        self.end(status.code());
        let mut response = status.into_http();
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

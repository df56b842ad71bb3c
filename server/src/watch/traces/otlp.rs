//! Spans on their way to an OTLP collector: one batch at a time, from a queue that drops what it has no room for.
//!
//! Nothing is tried twice. A collector that is gone, slow or refuses costs spans, which are counted, and never a call.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tonic::Code;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

use super::{Ended, SpanCounts, TraceError, Traced};
use crate::watch::steps::Step;

/// Calls whose spans wait at most: at 1 % of 100,000 calls a second two seconds of them, in about 4 MB.
const QUEUE_MAX: usize = 2_048;

/// Calls of one batch.
const BATCH_MAX: usize = 256;

/// Time after which a batch goes although there is room in it.
const BATCH_TIME: Duration = Duration::from_millis(500);

/// Time a collector has to take a batch.
const EXPORT_TIME: Duration = Duration::from_secs(5);

/// Takes the spans of calls.
#[derive(Debug)]
pub(super) struct Sender {
    queue: mpsc::Sender<Vec<Span>>,
    counts: Arc<SpanCounts>,
}

impl Sender {
    /// Sends to `endpoint` from now on, connecting when there is something to send.
    pub(super) fn start(endpoint: &str, counts: Arc<SpanCounts>) -> Result<Sender, TraceError> {
        let channel =
            channel(endpoint).map_err(|problem| TraceError::Endpoint { endpoint: endpoint.to_owned(), problem })?;
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        tokio::spawn(export(TraceServiceClient::new(channel), waiting, Arc::clone(&counts)));
        Ok(Sender { queue, counts })
    }

    /// Takes the spans of one call, or drops them. Never waits.
    pub(super) fn send(&self, spans: Vec<Span>) {
        let count = wide(spans.len());
        if self.queue.try_send(spans).is_err() {
            self.counts.dropped[0].fetch_add(count, Ordering::Relaxed);
        }
    }
}

fn channel(endpoint: &str) -> Result<Channel, String> {
    let uri: http::Uri = endpoint.parse().map_err(|error: http::uri::InvalidUri| error.to_string())?;
    let scheme = uri.scheme_str().filter(|scheme| ["http", "https"].contains(scheme));
    let (Some(scheme), Some(_)) = (scheme, uri.host()) else {
        return Err("it is no URL of http or https".to_owned());
    };
    let is_secure = scheme == "https";
    let mut endpoint = Endpoint::from(uri).connect_timeout(EXPORT_TIME);
    if is_secure {
        let tls = ClientTlsConfig::new().with_native_roots();
        endpoint = endpoint.tls_config(tls).map_err(|error| error.to_string())?;
    }
    Ok(endpoint.connect_lazy())
}

/// Sends batches until there is nobody left to give spans.
async fn export(
    mut client: TraceServiceClient<Channel>,
    mut waiting: mpsc::Receiver<Vec<Span>>,
    counts: Arc<SpanCounts>,
) {
    let mut is_failing = false;
    while let Some(spans) = gather(&mut waiting).await {
        let count = wide(spans.len());
        // A collector that takes the bytes and never answers ends here.
        let sent = timeout(EXPORT_TIME, client.export(request(spans))).await;
        let (taken, problem) = match sent {
            Ok(Ok(answer)) => {
                let rejected = answer.into_inner().partial_success.map_or(0, |partial| partial.rejected_spans);
                (count.saturating_sub(u64::try_from(rejected).unwrap_or(0)), None)
            }
            Ok(Err(status)) => (0, Some(status.to_string())),
            Err(_late) => (0, Some(format!("no answer within {EXPORT_TIME:?}"))),
        };
        counts.exported.fetch_add(taken, Ordering::Relaxed);
        counts.dropped[1].fetch_add(count - taken, Ordering::Relaxed);
        // One line when it begins: a collector that is gone all night says it once.
        if let Some(problem) = problem.as_ref().filter(|_| !is_failing) {
            tracing::warn!(%problem, "the collector does not take traces; they are dropped and counted until it does");
        }
        is_failing = problem.is_some();
    }
}

/// The spans of the next batch; none when there will be no more.
async fn gather(waiting: &mut mpsc::Receiver<Vec<Span>>) -> Option<Vec<Span>> {
    let mut calls = vec![waiting.recv().await?];
    let over = Instant::now() + BATCH_TIME;
    while calls.len() < BATCH_MAX
        && let Ok(Some(spans)) = timeout_at(over, waiting.recv()).await
    {
        calls.push(spans);
    }
    Some(calls.into_iter().flatten().collect())
}

fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let attributes = vec![text("service.name", "quartermaster"), text("service.version", env!("CARGO_PKG_VERSION"))];
    let scope = InstrumentationScope { name: "quartermaster".to_owned(), ..InstrumentationScope::default() };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }];
    let resource = Some(Resource { attributes, ..Resource::default() });
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }],
    }
}

/// The span of a call and one for each of its steps. Steps of several decisions are told as their sums, one after the other.
pub(super) fn spans(traced: &Traced, ended: &Ended<'_>, draw: impl Fn() -> [u8; 8]) -> Vec<Span> {
    let wait = ended.times.and_then(|times| times[Step::Wait.index()]).unwrap_or(0);
    let began = nanos(traced.began).saturating_sub(wait);
    let total = u64::try_from(ended.total.as_nanos()).unwrap_or(u64::MAX);
    let (service, method) = ended.method.split_once('/').unwrap_or(("", ended.method));
    let call = Span {
        trace_id: traced.trace_id.to_vec(),
        span_id: traced.span_id.to_vec(),
        parent_span_id: traced.parent.map(|parent| parent.to_vec()).unwrap_or_default(),
        flags: 1,
        name: ended.method.to_owned(),
        kind: SpanKind::Server.into(),
        start_time_unix_nano: began,
        end_time_unix_nano: began.saturating_add(total),
        attributes: vec![
            text("rpc.system", "grpc"),
            text("rpc.service", service),
            text("rpc.method", method),
            number("rpc.grpc.status_code", i64::from(i32::from(ended.code))),
            text("client.address", &ended.caller.ip().to_string()),
            text("quartermaster.request_id", ended.id.as_str()),
        ],
        status: is_fault(ended.code).then(|| Status { message: String::new(), code: StatusCode::Error.into() }),
        ..Span::default()
    };
    let mut all = vec![call];
    let mut at = began;
    for step in Step::ALL {
        let Some(time) = ended.times.and_then(|times| times[step.index()]).filter(|time| *time > 0) else { continue };
        let until = at.saturating_add(time);
        all.push(Span {
            trace_id: traced.trace_id.to_vec(),
            span_id: draw().to_vec(),
            parent_span_id: traced.span_id.to_vec(),
            flags: 1,
            name: step.name().to_owned(),
            kind: SpanKind::Internal.into(),
            start_time_unix_nano: at,
            end_time_unix_nano: until,
            ..Span::default()
        });
        at = until;
    }
    all
}

/// As the semantic conventions count errors of a gRPC server: what is the server's fault.
fn is_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn nanos(at: SystemTime) -> u64 {
    u64::try_from(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

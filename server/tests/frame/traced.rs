//! Traces, and collectors that take them, refuse them, or never answer.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::trace::v1::Span;
use quartermaster_proto::v1::ReserveRequest;
use quartermaster_server::config::{Config, Ratio};
use quartermaster_server::serve::{ServeError, Server};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use crate::running::{Running, config};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[derive(Clone, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<Span>>>,
    came: Arc<Notify>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let resources = request.into_inner().resource_spans.into_iter();
        let spans = resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans);
        self.spans.lock().unwrap().extend(spans);
        self.came.notify_one();
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    async fn start() -> (Collector, String) {
        let collector = Collector::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let serving = tonic::transport::Server::builder().add_service(TraceServiceServer::new(collector.clone()));
        tokio::spawn(serving.serve_with_incoming(TcpListenerStream::new(listener)));
        (collector, endpoint)
    }
}

fn traced(endpoint: &str, millionths: u32) -> Config {
    Config { otlp_endpoint: Some(endpoint.to_owned()), trace_ratio: Ratio::from_millionths(millionths), ..config() }
}

fn reserve(parent: Option<&str>) -> Request<ReserveRequest> {
    let mut request = Request::new(ReserveRequest { request_id: "r".to_owned(), ..Default::default() });
    if let Some(parent) = parent {
        request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    }
    request
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_span_arrives_with_its_parent_and_the_steps_of_the_call() {
    let (collector, endpoint) = Collector::start().await;
    let running = Running::start(traced(&endpoint, 0)).await;
    let mut client = running.allocation().await;
    client.reserve(reserve(None)).await.unwrap();
    client.reserve(reserve(Some(&PARENT.replace("-01", "-00")))).await.unwrap();
    client.reserve(reserve(Some(PARENT))).await.unwrap();
    collector.came.notified().await;
    let spans = collector.spans.lock().unwrap().clone();
    let call = spans.iter().find(|span| span.name == "quartermaster.v1.AllocationService/Reserve").unwrap();
    assert_eq!(hex(&call.trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex(&call.parent_span_id), "b7ad6b7169203331");
    assert!(call.end_time_unix_nano > call.start_time_unix_nano);
    let steps: Vec<&Span> = spans.iter().filter(|span| span.parent_span_id == call.span_id).collect();
    assert!(
        steps.iter().any(|span| span.name == "wait") && steps.iter().any(|span| span.name == "convert"),
        "{steps:?}"
    );
    let within = |span: &&Span| {
        span.start_time_unix_nano >= call.start_time_unix_nano && span.end_time_unix_nano <= call.end_time_unix_nano
    };
    assert!(steps.iter().all(within));
    assert_eq!(spans.len(), steps.len() + 1, "one call of three was sampled: as its caller decided");
    while running.metrics.watch().traces().counts().exported() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(running.metrics.watch().traces().counts().dropped_at_collector(), 0);
}

/// Calls while a collector is of no use: all answered at once. Gives how many spans were dropped, and where.
async fn calls_without_a_collector(endpoint: &str, calls: u64) -> (u64, u64) {
    let running = Running::start(traced(endpoint, 1_000_000)).await;
    let mut client = running.allocation().await;
    let began = Instant::now();
    for _ in 0..calls {
        client.reserve(reserve(None)).await.unwrap();
    }
    // A call of this test takes less than a millisecond; one that waited for a collector would take five seconds.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?} for {calls} calls", began.elapsed());
    let watch = Arc::clone(running.metrics.watch());
    let dropped = || (watch.traces().counts().dropped_at_queue(), watch.traces().counts().dropped_at_collector());
    while dropped() == (0, 0) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let page = running.scrape().await;
    assert!(page.contains("quartermaster_trace_spans_exported_total 0\n"), "{page}");
    dropped()
}

#[tokio::test]
async fn a_closed_port_costs_spans_and_no_call() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (_, at_collector) = calls_without_a_collector(&endpoint, 50).await;
    assert!(at_collector > 0);
}

#[tokio::test]
async fn a_collector_that_takes_and_never_answers_costs_spans_and_no_call() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            kept.push(stream);
        }
    });
    // One batch is under way for five seconds; of the rest 2,048 calls wait, and there is no place for more.
    let (at_queue, _) = calls_without_a_collector(&endpoint, 2_600).await;
    assert!(at_queue > 0);
}

#[tokio::test]
async fn an_endpoint_that_is_none_is_told() {
    for wrong in ["collector:4317", "ftp://collector:4317", "http://", "://", ""] {
        let Err(error @ ServeError::Traces(_)) = Server::bind(&traced(wrong, 0)).await.map(drop) else {
            panic!("{wrong:?} was taken");
        };
        let error = error.to_string();
        assert!(error.contains(&format!("{wrong:?}")) && error.contains("http://127.0.0.1:4317"), "{error}");
    }
}

//! What can be seen of a call: its id, its steps, its place among the slow and the failed.

use std::time::Duration;

use quartermaster_proto::v1::{ReserveRequest, ReserveStreamRequest};
use quartermaster_server::config::Config;
use quartermaster_server::watch::slow::SlowCall;
use tokio_stream::StreamExt;
use tonic::Request;

use crate::running::{Running, config, http};

const RESERVE: &str = "/quartermaster.v1.AllocationService/Reserve";

fn reserve(id: &str, headers: &[(&'static str, &str)]) -> Request<ReserveRequest> {
    let mut request = Request::new(ReserveRequest { request_id: id.to_owned(), ..Default::default() });
    for (name, value) in headers {
        request.metadata_mut().insert(*name, value.parse().unwrap());
    }
    request
}

fn kept(running: &Running) -> Vec<SlowCall> {
    running.metrics.watch().slow().list()
}

fn value(page: &str, series: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} is missing in\n{page}")).parse().unwrap()
}

#[tokio::test]
async fn every_answer_says_the_id_of_its_call() {
    let running = Running::start(config()).await;
    let mut client = running.allocation().await;
    let of =
        |metadata: &tonic::metadata::MetadataMap| metadata.get("x-request-id").unwrap().to_str().unwrap().to_owned();
    let answer = client.reserve(reserve("r", &[("x-request-id", "gw-7")])).await.unwrap();
    assert_eq!(of(answer.metadata()), "gw-7");
    let first = of(client.reserve(reserve("r", &[])).await.unwrap().metadata());
    let second = of(client.reserve(reserve("r", &[])).await.unwrap().metadata());
    assert_ne!(first, second);
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let answer = client.reserve(reserve("r", &[("traceparent", parent)])).await.unwrap();
    assert_eq!(of(answer.metadata()), "0af7651916cd43dd8448eb211c80319c");
    let refused = client.reserve(reserve("unknown-sku", &[("x-request-id", "gw-8")])).await.unwrap_err();
    assert_eq!(of(refused.metadata()), "gw-8", "an error, too");
    let unsafe_one = "gw 9; \"drop\"";
    let answer = client.reserve(reserve("r", &[("x-request-id", unsafe_one)])).await.unwrap();
    assert_ne!(of(answer.metadata()), unsafe_one, "passed over, not refused");

    let headers = "content-type: application/json\r\nx-request-id: gw-10\r\n";
    for body in ["{}", "{", r#"{"requestId": "r"}"#] {
        let answer = http(running.grpc, "POST", RESERVE, headers, body.as_bytes()).await;
        assert!(answer.head.contains("x-request-id: gw-10"), "{body}: {}", answer.head);
        assert_eq!(answer.head.matches("x-request-id").count(), 1);
    }
}

#[tokio::test]
async fn slow_and_failed_calls_are_kept_with_their_steps() {
    let threshold = Duration::from_millis(2);
    let running = Running::start(Config { slow_call_threshold: threshold, ..config() }).await;
    let mut client = running.allocation().await;
    client.reserve(reserve("block", &[("x-request-id", "slow")])).await.unwrap();
    client.reserve(reserve("unknown-sku", &[("x-request-id", "failed")])).await.unwrap_err();
    let calls = kept(&running);
    let slow = calls.iter().find(|call| call.request_id == "slow").unwrap();
    assert_eq!(slow.method, RESERVE[1..]);
    assert!(slow.total >= Duration::from_millis(5), "{slow:?}");
    let steps: u64 = slow.times.iter().flatten().sum();
    assert_eq!(u128::from(steps), slow.total.as_nanos(), "the steps add up to the call");
    assert_eq!(slow.caller.ip().to_string(), "127.0.0.1");
    let failed = calls.iter().find(|call| call.request_id == "failed").unwrap();
    assert_eq!(failed.code, tonic::Code::NotFound);

    let page = running.scrape().await;
    assert!(value(&page, "quartermaster_slow_calls_total") >= 1.0);
    assert_eq!(value(&page, "quartermaster_request_phase_duration_seconds_count{phase=\"wait\"}"), 2.0);
    assert_eq!(
        value(&page, "quartermaster_request_phase_duration_seconds_count{phase=\"fsync\"}"),
        0.0,
        "nothing waited"
    );
}

#[tokio::test]
async fn a_caller_who_goes_away_is_kept_as_cancelled() {
    let running = Running::start(Config { default_deadline: Duration::from_secs(60), ..config() }).await;
    let mut client = running.allocation().await;
    let waiting = tokio::spawn(async move { client.reserve(reserve("wait", &[("x-request-id", "gone")])).await });
    running.fake.arrived.notified().await;
    waiting.abort();
    let _aborted = waiting.await;
    while kept(&running).is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!((kept(&running)[0].request_id.as_str(), kept(&running)[0].code), ("gone", tonic::Code::Cancelled));
}

#[tokio::test]
async fn open_streams_and_calls_in_work_are_counted() {
    let running = Running::start(config()).await;
    let mut client = running.allocation().await;
    let (messages, inbound) = tokio::sync::mpsc::channel(1);
    let inbound = tokio_stream::wrappers::ReceiverStream::new(inbound);
    let mut answers = client.reserve_stream(inbound).await.unwrap().into_inner();
    let message = ReserveStreamRequest { requests: vec![ReserveRequest::default()] };
    messages.send(message).await.unwrap();
    answers.next().await.unwrap().unwrap();
    let page = running.scrape().await;
    assert_eq!(value(&page, "quartermaster_open_streams"), 1.0);
    assert_eq!(value(&page, "quartermaster_ready"), 1.0);
    assert_eq!(value(&page, "quartermaster_phase{phase=\"draining\"}"), 0.0);
    let stream = "{grpc_service=\"quartermaster.v1.AllocationService\",grpc_method=\"ReserveStream\"}";
    assert_eq!(value(&page, &format!("grpc_server_started_total{stream}")), 1.0);
    drop(messages);
    assert!(answers.next().await.is_none());
    assert_eq!(value(&running.scrape().await, "quartermaster_open_streams"), 0.0);
}

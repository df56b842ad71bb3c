//! What can be seen of a call: its id, its steps, its place among the slow and the failed.

use std::time::Duration;

use quartermaster_proto::v1::{ReserveRequest, ReserveStreamRequest};
use quartermaster_server::config::Config;
use quartermaster_server::serve::Server;
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
    let late = client.reserve(reserve("r", &[("x-request-id", "gw-11"), ("grpc-timeout", "soon")])).await.unwrap_err();
    assert_eq!(
        (of(late.metadata()).as_str(), late.code()),
        ("gw-11", tonic::Code::InvalidArgument),
        "before the service"
    );
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
    let running = Running::start(Config { slow_call_threshold: Duration::from_millis(1), ..config() }).await;
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
    assert!(kept(&running).is_empty(), "a stream is never slow, however long it was open");
    assert_eq!(value(&running.scrape().await, "quartermaster_open_streams"), 0.0);
}

#[tokio::test]
async fn the_pages_for_people_are_there_as_text_and_as_json() {
    let running = Running::start(config()).await;
    let mut client = running.allocation().await;
    client.reserve(reserve("unknown-sku", &[("x-request-id", "failed-one")])).await.unwrap_err();
    let get = async |path: &str| http(running.admin, "GET", path, "", b"").await;
    let index = get("/").await;
    assert_eq!(index.status, 200);
    assert!(index.head.contains("content-type: text/html"), "{}", index.head);
    let links: Vec<&str> = index.body.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(links.len(), 7);
    for link in links {
        let page = get(link).await;
        assert_eq!(page.status, 200, "{link}");
        assert_eq!(link.ends_with(".json"), page.head.contains("content-type: application/json"), "{link}");
    }
    assert!(get("/slow").await.body.contains("failed-one"));
    assert_eq!(get("/slow.json").await.json()["calls"][0]["code"], "NotFound");
    let status = get("/status.json").await.json();
    assert_eq!(status["state"], "serving");
    assert_eq!(status["slow"]["calls"][0]["request_id"], "failed-one");
    assert!(get("/nowhere").await.body.contains("/status.json"));
}

#[tokio::test]
async fn the_debug_port_is_off_until_it_is_asked_for() {
    let (server, _port) = Server::bind(&config()).await.unwrap();
    assert_eq!(server.debug_address(), None);
    let free = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let (server, _port) = Server::bind(&Config { debug_listen: Some(free), ..config() }).await.unwrap();
    let address = server.debug_address().unwrap();
    for (path, part) in
        [("/", "/runtime"), ("/runtime", "tasks alive"), ("/memory", "allocated"), ("/shards", "no node yet")]
    {
        let page = http(address, "GET", path, "", b"").await;
        assert_eq!(page.status, 200, "{path}");
        assert!(page.body.contains(part), "{path}: {}", page.body);
    }
    assert_eq!(http(address, "POST", "/runtime", "", b"").await.status, 405);
    assert_eq!(http(address, "GET", "/nowhere", "", b"").await.status, 404);
}

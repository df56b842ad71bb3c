//! Running it: health, reflection, metrics, and an end that loses no answer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use quartermaster_proto::v1::ReserveRequest;
use quartermaster_server::config::Config;
use quartermaster_server::health::{DISK_LAG_MAX, Phase};
use quartermaster_server::metrics::{Buckets, Labelled, Reading, Sources, Unit};
use quartermaster_server::serve::{ServeError, Server};
use tokio::net::TcpStream;
use tokio_stream::StreamExt;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::{v1, v1alpha};
use tonic_types::StatusExt;

use crate::running::{Running, config, http};

fn reserve(id: &str) -> ReserveRequest {
    ReserveRequest { request_id: id.to_owned(), ..Default::default() }
}

#[tokio::test]
async fn what_is_in_work_at_the_stop_is_finished() {
    let running = Running::start(Config { default_deadline: Duration::from_secs(60), ..config() }).await;
    let mut client = running.allocation().await;
    let waiting = tokio::spawn(async move { client.reserve(reserve("wait")).await });
    running.fake.arrived.notified().await;
    let mut health = HealthClient::new(running.channel().await);
    let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(watch.next().await.unwrap().unwrap().status, 1);
    assert_eq!(http(running.admin, "GET", "/readyz", "", b"").await.status, 200);

    running.stopper.stop();
    assert_eq!(watch.next().await.unwrap().unwrap().status, 2, "watchers are told before the connection ends");
    assert_eq!(http(running.admin, "GET", "/readyz", "", b"").await.status, 503);
    assert_eq!(http(running.admin, "GET", "/healthz", "", b"").await.status, 200);
    assert_eq!(running.health.phase(), Phase::Draining);
    // The watch has no end of its own; the server ends it, with a reason.
    let end = watch.next().await.unwrap().unwrap_err();
    assert_eq!(end.code(), Code::Unavailable);
    assert_eq!(end.get_error_details().error_info().unwrap().reason, "SHUTTING_DOWN");
    running.fake.gate.0.add_permits(1);
    waiting.await.unwrap().unwrap();
    assert_eq!(running.serving.await.unwrap().cut_off, 0);
    assert!(TcpStream::connect(running.grpc).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_call_that_outlasts_the_grace_is_cut_off() {
    let config =
        Config { drain_grace: Duration::from_millis(50), default_deadline: Duration::from_secs(60), ..config() };
    let running = Running::start(config).await;
    let mut client = running.allocation().await;
    let waiting = tokio::spawn(async move { client.reserve(reserve("wait")).await });
    running.fake.arrived.notified().await;
    running.stopper.stop();
    assert_eq!(running.serving.await.unwrap().cut_off, 1);
    waiting.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn a_disk_that_does_not_answer_makes_the_server_not_ready_and_never_dead() {
    let running = Running::start(config()).await;
    let mut health = HealthClient::new(running.channel().await);
    let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(watch.next().await.unwrap().unwrap().status, 1);
    running.health.disk_lags(DISK_LAG_MAX - Duration::from_millis(1)).await;
    assert_eq!(http(running.admin, "GET", "/readyz", "", b"").await.status, 200, "not yet");
    running.health.disk_lags(DISK_LAG_MAX).await;
    assert_eq!(watch.next().await.unwrap().unwrap().status, 2);
    let readiness = http(running.admin, "GET", "/readyz", "", b"").await;
    assert_eq!((readiness.status, readiness.body.as_str()), (503, "stalled\n"));
    assert_eq!(http(running.admin, "GET", "/healthz", "", b"").await.status, 200);
    running.health.disk_lags(Duration::ZERO).await;
    assert_eq!(watch.next().await.unwrap().unwrap().status, 1);
    assert_eq!(http(running.admin, "GET", "/readyz", "", b"").await.status, 200);

    running.stopper.stop();
    assert_eq!(watch.next().await.unwrap().unwrap().status, 2);
    running.health.disk_lags(DISK_LAG_MAX).await;
    running.health.disk_lags(Duration::ZERO).await;
    assert_eq!(running.health.phase(), Phase::Draining, "a disk that answers ends a stall and nothing else");
}

#[tokio::test]
async fn a_failed_server_stays_failed() {
    let running = Running::start(config()).await;
    running.health.set(Phase::Failed).await;
    running.health.set(Phase::Serving).await;
    let mut health = HealthClient::new(running.channel().await);
    for service in ["", "quartermaster.v1.AllocationService"] {
        let answer = health.check(HealthCheckRequest { service: service.to_owned() }).await.unwrap();
        assert_eq!(answer.into_inner().status, 2, "{service:?}");
    }
    assert_eq!(http(running.admin, "GET", "/readyz", "", b"").await.body, "failed\n");
}

#[tokio::test]
async fn both_versions_of_reflection_list_the_services() {
    let running = Running::start(config()).await;
    let channel = running.channel().await;
    let list = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(String::new())),
    };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let mut answers = client.server_reflection_info(tokio_stream::once(list)).await.unwrap().into_inner();
    let answer = format!("{:?}", answers.next().await.unwrap().unwrap());
    assert!(answer.contains("quartermaster.v1.AllocationService"), "{answer}");
    let list = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1alpha::server_reflection_request::MessageRequest::ListServices(String::new())),
    };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let mut answers = client.server_reflection_info(tokio_stream::once(list)).await.unwrap().into_inner();
    let answer = format!("{:?}", answers.next().await.unwrap().unwrap());
    assert!(answer.contains("quartermaster.v1.InventoryService"), "{answer}");
}

struct Canned;

impl Sources for Canned {
    fn read(&self) -> Reading {
        let waits = Buckets { bounds: &[100, 1_000], counts: vec![1, 1, 0], sum: 700, unit: Unit::Nanoseconds };
        let mut reading = Reading { shard_lock_wait: waits.clone(), epoch: 3, ..Reading::default() };
        reading.decision_duration = vec![Labelled { label: "reserve", buckets: waits }];
        reading.journal.durable_lag = Duration::from_millis(2);
        reading.reservations.held = 7;
        reading
    }
}

#[tokio::test]
async fn the_metrics_page_explains_every_figure() {
    let running = Running::start(config()).await;
    running.metrics.set_sources(Arc::new(Canned));
    let mut client = running.allocation().await;
    client.reserve(reserve("r")).await.unwrap();
    client.reserve(reserve("unknown-sku")).await.unwrap_err();
    running.post("/quartermaster.v1.AllocationService/Reserve", "{").await;
    running.post("/quartermaster.v1.AllocationService/Reserve", r#"{"requestId": "r"}"#).await;
    let page = running.scrape().await;
    let labels = "grpc_service=\"quartermaster.v1.AllocationService\",grpc_method=\"Reserve\"";
    for line in [
        format!("grpc_server_handled_total{{{labels},grpc_code=\"OK\"}} 2"),
        format!("grpc_server_handled_total{{{labels},grpc_code=\"NotFound\"}} 1"),
        format!("grpc_server_handled_total{{{labels},grpc_code=\"InvalidArgument\"}} 1"),
        format!("grpc_server_handling_seconds_count{{{labels}}} 4"),
        format!("grpc_server_handling_seconds_bucket{{{labels},le=\"+Inf\"}} 4"),
        "quartermaster_shard_lock_wait_seconds_bucket{le=\"0.0000001\"} 1".to_owned(),
        "quartermaster_reservations{state=\"held\"} 7".to_owned(),
        "quartermaster_wal_durable_lag_seconds 0.002".to_owned(),
        "quartermaster_conservation_violations_total 0".to_owned(),
        "quartermaster_epoch 3".to_owned(),
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is missing in\n{page}");
    }
    assert!(page.contains("quartermaster_build_info{version="));
    assert!(page.contains("\nprocess_resident_memory_bytes "), "{page}");
    assert!(page.contains(&format!("grpc_server_handling_seconds_bucket{{{labels},le=\"0.00001\"}}")));
    assert!(page.contains(&format!("grpc_server_handling_seconds_bucket{{{labels},le=\"10\"}}")));

    let names = |kind: &str| -> BTreeSet<String> {
        let lines = page.lines().filter_map(|line| line.strip_prefix(kind));
        lines.map(|rest| rest.split(' ').next().unwrap().to_owned()).collect()
    };
    let (helped, typed) = (names("# HELP "), names("# TYPE "));
    assert_eq!(helped, typed);
    for sample in page.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let name = sample.split(['{', ' ']).next().unwrap();
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
        let known = typed.contains(name) || family.is_some_and(|family| typed.contains(family));
        assert!(known, "{sample} has no HELP and TYPE");
    }
}

#[tokio::test]
async fn an_address_in_use_is_told() {
    let running = Running::start(config()).await;
    let taken = Config { metrics_listen: running.admin, ..config() };
    let Err(ServeError::Listen { address, purpose, .. }) = Server::bind(&taken).await else {
        panic!("two servers on one address");
    };
    assert_eq!((address, purpose), (running.admin, "metrics"));
}

#[tokio::test]
async fn before_the_services_are_there_the_page_says_so() {
    let (server, _port) = Server::bind(&config()).await.unwrap();
    let answer = http(server.metrics_address(), "GET", "/readyz", "", b"").await;
    assert_eq!((answer.status, answer.body.as_str()), (503, "starting\n"));
    assert_eq!(http(server.metrics_address(), "GET", "/metrics", "", b"").await.status, 200);
    assert_eq!(http(server.metrics_address(), "GET", "/nowhere", "", b"").await.status, 404);
    assert_eq!(http(server.metrics_address(), "POST", "/metrics", "", b"").await.status, 405);
}

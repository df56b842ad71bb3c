//! Limits: calls at once, connections at once, time.

use std::time::Duration;

use quartermaster_proto::v1::ReserveRequest;
use quartermaster_server::config::Config;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;

use crate::running::{Running, config};

fn reserve(id: &str) -> ReserveRequest {
    ReserveRequest { request_id: id.to_owned(), ..Default::default() }
}

#[tokio::test]
async fn beyond_the_bound_calls_are_refused_with_a_delay_and_health_still_answers() {
    let running =
        Running::start(Config { in_flight_max: 1, default_deadline: Duration::from_secs(60), ..config() }).await;
    let mut client = running.allocation().await;
    let waiting = tokio::spawn({
        let mut client = client.clone();
        async move { client.reserve(reserve("wait")).await }
    });
    running.fake.arrived.notified().await;

    let refused = client.reserve(reserve("r")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    let details = refused.get_error_details();
    assert!(details.retry_info().unwrap().retry_delay.unwrap() > Duration::ZERO);
    assert_eq!(details.error_info().unwrap().reason, "OVERLOADED");
    let answer = running.post("/quartermaster.v1.AllocationService/Reserve", "{}").await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("google.rpc.RetryInfo"), "{answer:?}");
    let mut health = HealthClient::new(running.channel().await);
    health.check(HealthCheckRequest::default()).await.unwrap();
    let page = running.scrape().await;
    assert!(page.contains("quartermaster_shed_total{cause=\"in_flight\"} 2\n"), "{page}");
    assert!(page.contains("quartermaster_inflight_requests 1\n"));

    running.fake.gate.0.add_permits(1);
    waiting.await.unwrap().unwrap();
    client.reserve(reserve("r")).await.unwrap();
}

#[tokio::test]
async fn a_call_without_a_deadline_gets_the_servers() {
    let running = Running::start(Config { default_deadline: Duration::from_millis(20), ..config() }).await;
    let mut client = running.allocation().await;
    let late = client.reserve(reserve("wait")).await.unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
    assert_eq!(late.get_error_details().error_info().unwrap().reason, "DEADLINE");

    // A caller who says it waits longer does.
    let mut patient = Request::new(reserve("wait"));
    patient.set_timeout(Duration::from_secs(60));
    running.fake.gate.0.add_permits(1);
    client.reserve(patient).await.unwrap();
}

#[tokio::test]
async fn connections_beyond_the_bound_and_silent_ones_are_closed() {
    let limits = Config { connections_max: 1, handshake_timeout: Duration::from_millis(100), ..config() };
    let running = Running::start(limits).await;
    let mut silent = TcpStream::connect(running.grpc).await.unwrap();
    let mut refused = TcpStream::connect(running.grpc).await.unwrap();
    let mut nothing = Vec::new();
    assert_eq!(refused.read_to_end(&mut nothing).await.unwrap_or(0), 0);
    assert_eq!(silent.read_to_end(&mut nothing).await.unwrap_or(0), 0);
    // The place is free again once the server has seen the end of the silent one.
    let page = running.scrape().await;
    assert!(page.contains("quartermaster_shed_total{cause=\"connections\"} 1\n"), "{page}");
    assert!(page.contains("quartermaster_shed_total{cause=\"handshake\"} 1\n"), "{page}");
}

//! Callers who hold places, on raw sockets: each is told good-bye in its time, and those who behave are not.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use quartermaster_proto::v1::ReserveRequest;
use quartermaster_server::config::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::running::{Running, config};
use crate::wire::{self, END_HEADERS, INITIAL_WINDOW, PREFACE, kind};

const RESERVE: &str = "/quartermaster.v1.AllocationService/Reserve";
const SHORT: Duration = Duration::from_millis(100);
/// Long beside every limit of these tests, short beside the defaults.
const PATIENCE: Duration = Duration::from_secs(3);

fn strict() -> Config {
    Config {
        handshake_timeout: SHORT,
        keepalive_interval: SHORT,
        keepalive_timeout: SHORT,
        unread_timeout: SHORT,
        default_deadline: Duration::from_secs(60),
        ..config()
    }
}

/// Whether the server closes a connection that began with `first`.
async fn is_closed_after(running: &Running, first: &[u8]) -> bool {
    let mut stream = TcpStream::connect(running.grpc).await.unwrap();
    stream.write_all(first).await.unwrap();
    closes(&mut stream).await
}

async fn closes(stream: &mut TcpStream) -> bool {
    let mut bytes = [0; 1_024];
    let closed = async { while stream.read(&mut bytes).await.is_ok_and(|count| count > 0) {} };
    timeout(PATIENCE, closed).await.is_ok()
}

#[tokio::test]
async fn whoever_has_not_said_what_it_speaks_in_time_is_closed() {
    let running = Running::start(Config { keepalive_interval: Duration::from_secs(60), ..strict() }).await;
    for first in [b"".as_slice(), &PREFACE[..1], PREFACE, b"GET / HTTP/1.1\r\n"] {
        assert!(is_closed_after(&running, first).await, "{first:?}");
    }
    let page = running.scrape().await;
    assert!(page.contains("quartermaster_shed_total{cause=\"handshake\"} 4\n"), "{page}");
}

#[tokio::test]
async fn a_request_that_is_never_finished_is_closed_by_keepalive() {
    let running = Running::start(Config { handshake_timeout: Duration::from_secs(60), ..strict() }).await;
    let headers = wire::frame(kind::HEADERS, END_HEADERS, 1, &wire::call_headers(RESERVE, &[]));
    let mut first = wire::hello(&[]);
    first.extend(&headers[..headers.len() - 1]);
    assert!(is_closed_after(&running, &first).await, "a header frame without its last byte");
    let mut first = wire::hello(&[]);
    first.extend(wire::frame(kind::HEADERS, 0, 1, &wire::call_headers(RESERVE, &[])));
    assert!(is_closed_after(&running, &first).await, "a header block without its end");
}

#[tokio::test]
async fn answers_that_nobody_reads_end_the_connection_and_a_quiet_stream_does_not() {
    let running = Running::start(Config { keepalive_interval: Duration::from_secs(60), ..strict() }).await;
    let mut health = HealthClient::new(running.channel().await);
    let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(watch.next().await.unwrap().unwrap().status, 1);

    let mut first = wire::hello(&[(INITIAL_WINDOW, 0)]);
    first.extend(wire::call(1, "/grpc.health.v1.Health/Check", &[], &[]));
    let began = Instant::now();
    assert!(is_closed_after(&running, &first).await);
    assert!(began.elapsed() >= SHORT, "its time was given");
    let page = running.scrape().await;
    assert!(page.contains("quartermaster_shed_total{cause=\"unread\"} 1\n"), "{page}");
    // The watch has said nothing all the time, because there was nothing to say.
    health.check(HealthCheckRequest::default()).await.unwrap();
    running.stopper.stop();
    assert_eq!(watch.next().await.unwrap().unwrap().status, 2);
}

#[tokio::test]
async fn an_address_has_its_share_of_the_connections() {
    let running = Running::start(Config { connections_per_address_max: 1, ..strict() }).await;
    let from = |last| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((IpAddr::from(Ipv4Addr::new(127, 0, 0, last)), 0).into()).unwrap();
        socket.connect(running.grpc)
    };
    let introduced = wire::hello(&[]);
    let mut kept = from(1).await.unwrap();
    kept.write_all(&introduced).await.unwrap();
    // The server has answered, so it has counted it.
    kept.read_exact(&mut [0; 9]).await.unwrap();
    let mut refused = from(1).await.unwrap();
    assert!(closes(&mut refused).await);
    let mut other = from(2).await.unwrap();
    other.write_all(&introduced).await.unwrap();
    other.read_exact(&mut [0; 9]).await.unwrap();
    let page = running.scrape().await;
    assert!(page.contains("quartermaster_shed_total{cause=\"address\"} 1\n"), "{page}");
}

#[tokio::test]
async fn a_connection_that_does_not_go_when_it_is_told_is_closed() {
    let limits = Config { connection_age_max: SHORT, connection_age_grace: SHORT, ..strict() };
    let running = Running::start(Config { keepalive_interval: Duration::from_secs(60), ..limits }).await;
    let mut client = running.allocation().await;
    let request = ReserveRequest { request_id: "wait".to_owned(), ..ReserveRequest::default() };
    let waiting = timeout(PATIENCE, client.reserve(request)).await;
    waiting.expect("the connection was closed").unwrap_err();
    let page = running.scrape().await;
    assert!(page.contains("quartermaster_shed_total{cause=\"age\"} 1\n"), "{page}");
}

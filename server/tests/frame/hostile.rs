//! Callers who hold places, on raw sockets: each is told good-bye in its time, and those who behave are not.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use prost::Message;
use quartermaster_proto::v1::{ReserveRequest, ReserveStreamRequest};
use quartermaster_server::config::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::running::{Running, config};
use crate::wire::{self, END_HEADERS, END_STREAM, INITIAL_WINDOW, PREFACE, kind};

const RESERVE: &str = "/quartermaster.v1.AllocationService/Reserve";
const RESERVE_STREAM: &str = "/quartermaster.v1.AllocationService/ReserveStream";
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

/// Streams of an order gateway that writes until flow control holds it back, one small frame an order.
#[tokio::test]
async fn streams_that_come_as_fast_as_they_may_are_no_attack() {
    const STREAMS: u32 = 16;
    // As many bytes as may come before the server has heard that its settings are known.
    const ORDERS: usize = 600;
    let running = Running::start(config()).await;
    let order = ReserveRequest { request_id: "0123456789".repeat(8), ..ReserveRequest::default() };
    let message = ReserveStreamRequest { requests: vec![order] }.encode_to_vec();
    let numbers = || (0..STREAMS).map(|number| 2 * number + 1);
    let (reader, mut writer) = TcpStream::connect(running.grpc).await.unwrap().into_split();
    // Nothing is read by the server while no answer can go.
    writer.write_all(&wire::hello(&[(INITIAL_WINDOW, 0)])).await.unwrap();
    let mut frames = Frames::of(reader);
    while frames.next().await.unwrap().0 != kind::WINDOW_UPDATE {}
    let mut bytes = Vec::new();
    for stream in numbers() {
        bytes.extend(wire::frame(kind::HEADERS, END_HEADERS, stream, &wire::call_headers(RESERVE_STREAM, &[])));
        let order = wire::frame(kind::DATA, 0, stream, &wire::envelope(&message));
        bytes.extend(order.repeat(ORDERS));
        bytes.extend(wire::frame(kind::DATA, END_STREAM, stream, &[]));
    }
    bytes.extend(wire::frame(kind::WINDOW_UPDATE, 0, 0, &(16_u32 << 20).to_be_bytes()));
    bytes.extend(wire::settings(&[(INITIAL_WINDOW, 1 << 20)]));
    let writing = tokio::spawn(async move {
        writer.write_all(&bytes).await.unwrap();
        writer
    });
    let mut ended = BTreeSet::new();
    while ended.len() < numbers().len() {
        let (kind, flags, stream, payload) =
            timeout(PATIENCE, frames.next()).await.unwrap().expect("the connection is kept");
        let said = payload.escape_ascii();
        assert!(kind != kind::GOAWAY && kind != kind::RESET, "frame {kind} on stream {stream}: {said}");
        if kind == kind::HEADERS && flags & END_STREAM != 0 {
            ended.insert(stream);
        }
    }
    assert!(ended.iter().copied().eq(numbers()), "{ended:?}");
    drop(writing.await.unwrap());
}

/// What a server sends, frame by frame.
struct Frames {
    reader: BufReader<OwnedReadHalf>,
}

impl Frames {
    fn of(reader: OwnedReadHalf) -> Frames {
        Frames { reader: BufReader::new(reader) }
    }

    /// Kind, flags, stream and payload of the next; none when the connection ends.
    async fn next(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.reader.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap()];
        self.reader.read_exact(&mut payload).await.ok()?;
        Some((kind, flags, u32::from_be_bytes(stream), payload))
    }
}

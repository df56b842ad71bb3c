//! The attacks that hold places and those that flood, each with what it sends.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::wire::{self, END_HEADERS, END_STREAM, INITIAL_WINDOW, PREFACE, kind};

const RESERVE: &str = "/quartermaster.v1.AllocationService/Reserve";
const RESERVE_STREAM: &str = "/quartermaster.v1.AllocationService/ReserveStream";
const LIST_SKUS: &str = "/quartermaster.v1.CatalogService/ListSkus";

/// Connections that leave answers unread: with the streams of each, a thousand streams.
const UNREAD_CONNECTIONS: u16 = 10;
/// Streams a peer leaves unread on one connection.
const UNREAD_STREAMS: u32 = 100;
/// Frames written at once.
const BURST: u32 = 500;

/// What a hostile client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attack {
    /// Connects and says nothing.
    Silent,
    /// The preface, and no settings.
    HalfSpoken,
    /// The preface byte by byte.
    SlowPreface,
    /// A whole introduction, then a request's headers byte by byte.
    SlowHeaders,
    /// HTTP/1.1 headers byte by byte.
    SlowHttp1,
    /// Asks for long answers and makes no room for them.
    Unread,
    /// Opens streams and resets them at once.
    RapidReset,
    /// A header block without an end.
    Continuations,
    /// A message of empty parts.
    EmptyData,
    /// Asks for signs of life, and reads none.
    Pings,
    /// Changes its settings all the time.
    Settings,
    /// A small header block that unfolds into a large one.
    HeaderBomb,
}

/// How it ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    /// Connections that the server did not close in time.
    pub(super) left_open: usize,
}

impl Attack {
    pub(super) const ALL: [Attack; 12] = [
        Attack::Silent,
        Attack::HalfSpoken,
        Attack::SlowPreface,
        Attack::SlowHeaders,
        Attack::SlowHttp1,
        Attack::Unread,
        Attack::RapidReset,
        Attack::Continuations,
        Attack::EmptyData,
        Attack::Pings,
        Attack::Settings,
        Attack::HeaderBomb,
    ];

    /// Names of its figures: until all were gone, processor time, the probe's p99.
    pub(super) fn figures(self) -> [&'static str; 3] {
        match self {
            Attack::Silent => ["silent_ms", "silent_cpu_ms", "silent_probe_p99_us"],
            Attack::HalfSpoken => ["half_spoken_ms", "half_spoken_cpu_ms", "half_spoken_probe_p99_us"],
            Attack::SlowPreface => ["slow_preface_ms", "slow_preface_cpu_ms", "slow_preface_probe_p99_us"],
            Attack::SlowHeaders => ["slow_headers_ms", "slow_headers_cpu_ms", "slow_headers_probe_p99_us"],
            Attack::SlowHttp1 => ["slow_http1_ms", "slow_http1_cpu_ms", "slow_http1_probe_p99_us"],
            Attack::Unread => ["unread_ms", "unread_cpu_ms", "unread_probe_p99_us"],
            Attack::RapidReset => ["rapid_reset_ms", "rapid_reset_cpu_ms", "rapid_reset_probe_p99_us"],
            Attack::Continuations => ["continuations_ms", "continuations_cpu_ms", "continuations_probe_p99_us"],
            Attack::EmptyData => ["empty_data_ms", "empty_data_cpu_ms", "empty_data_probe_p99_us"],
            Attack::Pings => ["pings_ms", "pings_cpu_ms", "pings_probe_p99_us"],
            Attack::Settings => ["settings_ms", "settings_cpu_ms", "settings_probe_p99_us"],
            Attack::HeaderBomb => ["header_bomb_ms", "header_bomb_cpu_ms", "header_bomb_probe_p99_us"],
        }
    }

    /// Says too little to be known: the handshake's time is its own.
    pub(super) fn is_silent(self) -> bool {
        matches!(self, Attack::Silent | Attack::HalfSpoken | Attack::SlowPreface | Attack::SlowHttp1)
    }

    /// Sends as much as it can rather than as little.
    pub(super) fn is_flood(self) -> bool {
        !self.is_silent() && !matches!(self, Attack::SlowHeaders | Attack::Unread)
    }

    /// Whether the server has to end the connection. Empty parts, pings and settings are allowed by the protocol, and are bounded by what
    /// they cost instead; a header block that is too large ends its stream alone.
    pub(super) fn must_be_cut(self) -> bool {
        !matches!(self, Attack::EmptyData | Attack::Pings | Attack::Settings | Attack::HeaderBomb)
    }

    /// Carries it out with up to `connections` connections or `frames` frames, until the server has closed them or `patience` is over.
    pub(super) async fn run(
        self,
        server: SocketAddr,
        connections: u16,
        frames: u32,
        drip: Duration,
        patience: Duration,
    ) -> io::Result<End> {
        let hello = wire::hello(&[]);
        match self {
            Attack::Silent => places(server, connections, &[], &[], drip, patience).await,
            Attack::HalfSpoken => places(server, connections, PREFACE, &[], drip, patience).await,
            Attack::SlowPreface => places(server, connections, &[], PREFACE, drip, patience).await,
            Attack::SlowHeaders => {
                let slow = wire::frame(kind::HEADERS, END_HEADERS, 1, &wire::call_headers(RESERVE, &[]));
                places(server, connections, &hello, &slow, drip, patience).await
            }
            Attack::SlowHttp1 => {
                let slow = b"GET / HTTP/1.1\r\nHost: somebody.who.has.time\r\nX-Padding: ".repeat(4);
                places(server, connections, &[], &slow, drip, patience).await
            }
            Attack::Unread => {
                let mut first = wire::hello(&[(INITIAL_WINDOW, 0)]);
                (0..UNREAD_STREAMS).for_each(|at| first.extend(wire::call(2 * at + 1, LIST_SKUS, &[], &[])));
                places(server, UNREAD_CONNECTIONS, &first, &[], drip, patience).await
            }
            Attack::RapidReset => {
                let headers = wire::call_headers(RESERVE, &[]);
                flood(server, &hello, frames, |at| {
                    let stream = 2 * at + 1;
                    let mut bytes = wire::frame(kind::HEADERS, END_HEADERS, stream, &headers);
                    bytes.extend(wire::frame(kind::RESET, 0, stream, &8_u32.to_be_bytes()));
                    bytes
                })
                .await
            }
            Attack::Continuations => {
                let mut first = hello;
                first.extend(wire::frame(kind::HEADERS, 0, 1, &wire::call_headers(RESERVE, &[])));
                let part = wire::header("x-more", &"m".repeat(1_000));
                flood(server, &first, frames, |_at| wire::frame(kind::CONTINUATION, 0, 1, &part)).await
            }
            Attack::EmptyData => {
                let mut first = hello;
                first.extend(wire::frame(kind::HEADERS, END_HEADERS, 1, &wire::call_headers(RESERVE_STREAM, &[])));
                flood(server, &first, frames, |_at| wire::frame(kind::DATA, 0, 1, &[])).await
            }
            Attack::Pings => flood(server, &hello, frames, |_at| wire::frame(kind::PING, 0, 0, &[7; 8])).await,
            Attack::Settings => {
                flood(server, &hello, frames, |at| wire::settings(&[(INITIAL_WINDOW, at % 1_000)])).await
            }
            Attack::HeaderBomb => {
                // One large header into the table of the connection, then a thousand references to it, one byte each.
                let mut block = wire::call_headers(RESERVE, &[]);
                let mut remembered = wire::header("x-bomb", &"b".repeat(3_000));
                remembered[0] = 0x40;
                block.extend(remembered);
                block.extend([0x80 | 62; 1_000]);
                let streams = (frames / 100).max(1);
                flood(server, &hello, streams, |at| {
                    wire::frame(kind::HEADERS, END_HEADERS | END_STREAM, 2 * at + 1, &block)
                })
                .await
            }
        }
    }
}

/// Connections that begin with `first`, then send `slow` a byte at a time; how many the server has not closed when `patience` is over.
async fn places(
    server: SocketAddr,
    connections: u16,
    first: &[u8],
    slow: &[u8],
    drip: Duration,
    patience: Duration,
) -> io::Result<End> {
    let mut open = JoinSet::new();
    for _ in 0..connections {
        let mut stream = TcpStream::connect(server).await?;
        let (first, slow) = (first.to_vec(), slow.to_vec());
        open.spawn(async move {
            // A connection that is closed while it is written to is closed.
            if stream.write_all(&first).await.is_err() {
                return true;
            }
            let (mut reads, mut writes) = stream.into_split();
            let dripping = async {
                for byte in slow {
                    tokio::time::sleep(drip).await;
                    if writes.write_all(&[byte]).await.is_err() {
                        return;
                    }
                }
                std::future::pending().await
            };
            let ending = timeout(patience, async {
                tokio::select! {
                    () = closed(&mut reads) => {}
                    () = dripping => {}
                }
            });
            ending.await.is_ok()
        });
    }
    let mut left_open = 0;
    while let Some(gone) = open.join_next().await {
        left_open += usize::from(!gone.unwrap_or(false));
    }
    Ok(End { left_open })
}

/// One connection that begins with `first` and sends as many frames as it can, without waiting for any answer.
async fn flood(server: SocketAddr, first: &[u8], frames: u32, frame: impl Fn(u32) -> Vec<u8>) -> io::Result<End> {
    let stream = TcpStream::connect(server).await?;
    let (mut reads, mut writes) = stream.into_split();
    let sending = async {
        if writes.write_all(first).await.is_err() {
            return;
        }
        for burst in 0..frames.div_ceil(BURST) {
            let bytes: Vec<u8> = (burst * BURST..((burst + 1) * BURST).min(frames)).flat_map(&frame).collect();
            if writes.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    // The system's buffers bound what an answer that is never read can be.
    let sent = timeout(Duration::from_secs(20), sending).await;
    let gone = timeout(Duration::from_secs(1), closed(&mut reads)).await.is_ok();
    Ok(End { left_open: usize::from(!gone || sent.is_err()) })
}

/// Reads and forgets until the server closes.
async fn closed(reads: &mut tokio::net::tcp::OwnedReadHalf) {
    let mut bytes = [0; 4_096];
    while reads.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
}

/// Connections that have introduced themselves, and ask nothing.
pub(super) async fn introduced(server: SocketAddr, connections: u16) -> io::Result<Vec<TcpStream>> {
    let mut held = Vec::new();
    for _ in 0..connections {
        let mut stream = TcpStream::connect(server).await?;
        // One that is refused shows when it is counted.
        let _refused = stream.write_all(&wire::hello(&[])).await;
        held.push(stream);
    }
    Ok(held)
}

/// How many of them the server has kept.
pub(super) async fn still_open(held: Vec<TcpStream>) -> usize {
    // Time for the last good-byes to arrive.
    tokio::time::sleep(Duration::from_millis(300)).await;
    held.iter().filter(|stream| is_open(stream)).count()
}

fn is_open(stream: &TcpStream) -> bool {
    let mut bytes = [0; 4_096];
    loop {
        match stream.try_read(&mut bytes) {
            Ok(0) => return false,
            Ok(_said) => {}
            Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
        }
    }
}

//! Malformed frames and messages by seed (H7): whole calls with bytes turned, cut, doubled and put in, and well-formed envelopes round
//! random messages. Nothing is asked of the server but to go on.

use std::io;
use std::time::Duration;

use prost::Message;
use quartermaster_loadtest::random::SplitMix64;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::process::Server;
use crate::shop;
use crate::wire::{self, END_HEADERS, END_STREAM, kind};

const PATHS: [&str; 6] = [
    "/quartermaster.v1.AllocationService/Reserve",
    "/quartermaster.v1.AllocationService/ReserveBatch",
    "/quartermaster.v1.AllocationService/ReserveStream",
    "/quartermaster.v1.CatalogService/UpsertSkus",
    "/quartermaster.v1.RoutingService/Route",
    "/quartermaster.v1.InventoryService/SetStock",
];

/// Inputs on one connection, unless the server ends it before.
const EACH: u64 = 50;

/// How much was said.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said {
    pub(super) inputs: u64,
    /// Answers that came back: the inputs were not all cut off at the door.
    pub(super) answered: u64,
}

/// Says `inputs` things.
pub(super) async fn run(server: &Server, seed: u64, inputs: u64) -> io::Result<Said> {
    let mut said = Said::default();
    let mut connection = 0;
    while said.inputs < inputs {
        connection += 1;
        let mut random = SplitMix64::for_item(seed, connection);
        let mut stream = TcpStream::connect(server.grpc).await?;
        let mut bytes = wire::hello(&[]);
        // Some connections send well-formed frames alone, so that what is in them is looked at.
        let frames_too = random.chance(0.5);
        for at in 0..EACH {
            let stream = u32::try_from(2 * at + 1).unwrap_or(1);
            let input = if frames_too { broken_call(&mut random, stream) } else { odd_message(&mut random, stream) };
            bytes.extend(input);
            said.inputs += 1;
        }
        // The server may close in the middle: that is its answer.
        let _closed = stream.write_all(&bytes).await;
        let _closed = stream.shutdown().await;
        let mut answer = Vec::new();
        let _late = timeout(Duration::from_millis(500), stream.read_to_end(&mut answer)).await;
        said.answered += headers_frames(&answer);
    }
    Ok(said)
}

/// A right call with a few bytes wrong, anywhere.
fn broken_call(random: &mut SplitMix64, stream: u32) -> Vec<u8> {
    let path = PATHS[random.index(PATHS.len())];
    let message = shop::order("babble", random.below(1_000), 1 + random.below(4)).encode_to_vec();
    let mut bytes = wire::call(stream, path, &[], &message);
    spoil(random, &mut bytes);
    bytes
}

/// A right call round a message that is none, or whose length is a lie.
fn odd_message(random: &mut SplitMix64, stream: u32) -> Vec<u8> {
    let path = PATHS[random.index(PATHS.len())];
    let mut message = shop::order("babble", random.below(1_000), 1 + random.below(4)).encode_to_vec();
    match random.below(3) {
        0 => spoil(random, &mut message),
        1 => message = (0..random.below(200)).map(|_| byte(random)).collect(),
        // A group within a group within a group, as deep as there is room.
        _ => message = vec![0x0b; random.index(4_000)],
    }
    let mut envelope = wire::envelope(&message);
    if random.chance(0.2) {
        envelope[1] = byte(random);
    }
    let mut bytes = wire::frame(kind::HEADERS, END_HEADERS, stream, &wire::call_headers(path, &[]));
    bytes.extend(wire::frame(kind::DATA, END_STREAM, stream, &envelope));
    bytes
}

fn spoil(random: &mut SplitMix64, bytes: &mut Vec<u8>) {
    for _ in 0..1 + random.below(4) {
        let at = random.index(bytes.len().max(1)).min(bytes.len().saturating_sub(1));
        match random.below(4) {
            0 => bytes.truncate(at.max(1)),
            1 => bytes.insert(at, byte(random)),
            2 => bytes.extend_from_within(at..),
            _ => bytes[at] ^= 1 << random.below(8),
        }
    }
}

fn byte(random: &mut SplitMix64) -> u8 {
    random.bits().to_le_bytes()[0]
}

/// Frames of answers' headers among `bytes`.
fn headers_frames(mut bytes: &[u8]) -> u64 {
    let mut count = 0;
    while let [a, b, c, kind, _flags, _, _, _, _, rest @ ..] = bytes {
        count += u64::from(*kind == kind::HEADERS);
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        bytes = rest.get(length..).unwrap_or(&[]);
    }
    count
}

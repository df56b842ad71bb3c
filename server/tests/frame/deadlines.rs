//! Work that nobody waits for any more is not done (F3): neither when its time passed in the queue nor when its caller has gone.

use std::collections::HashSet;
use std::time::Duration;

use prost::Message;
use quartermaster_proto::v1::ReserveRequest;
use quartermaster_server::config::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::running::{Running, config};
use crate::wire::{self, kind};

const RESERVE: &str = "/quartermaster.v1.AllocationService/Reserve";
/// Calls behind one that keeps the only thread for longer than any of them may take.
const BEHIND: u32 = 100;

fn message(id: &str) -> Vec<u8> {
    ReserveRequest { request_id: id.to_owned(), ..ReserveRequest::default() }.encode_to_vec()
}

/// Calls in a round of rounds: so many that the queue is real, and the number published is what the variable says.
fn rounds() -> u32 {
    std::env::var("DEADLINE_CALLS").map_or(20, |calls| calls.parse::<u32>().unwrap() / BEHIND)
}

/// Reads until `streams` streams have ended; those that ended with `grpc-status` 0, told by having had a message.
async fn answered(stream: &mut TcpStream, streams: u32) -> HashSet<u32> {
    let (mut ended, mut with_message) = (0, HashSet::new());
    let mut head = [0; 9];
    while ended < streams {
        stream.read_exact(&mut head).await.unwrap();
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await.unwrap();
        if id > 0 && head[3] == kind::DATA && length > 0 {
            with_message.insert(id);
        }
        let ends = matches!(head[3], kind::DATA | kind::HEADERS) && head[4] & wire::END_STREAM != 0;
        ended += u32::from(ends);
    }
    with_message
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_waited_past_its_deadline_is_not_done() {
    let running = Running::start(Config { queue_wait_target: Duration::ZERO, ..config() }).await;
    let mut refused = 0;
    for round in 0..rounds() {
        running.fake.done.lock().unwrap().clear();
        let mut stream = TcpStream::connect(running.grpc).await.unwrap();
        let mut bytes = wire::hello(&[(wire::INITIAL_WINDOW, 1 << 20)]);
        bytes.extend(wire::call(1, RESERVE, &[], &message("block")));
        for at in 1..=BEHIND {
            let id = format!("late-{}", 2 * at + 1);
            bytes.extend(wire::call(2 * at + 1, RESERVE, &[("grpc-timeout", "1m")], &message(&id)));
        }
        stream.write_all(&bytes).await.unwrap();
        let answered = answered(&mut stream, BEHIND + 1).await;
        let done = running.fake.done.lock().unwrap().clone();
        // Some ran before the one that blocks, in their time. Of the others none was begun.
        for id in &done {
            let stream: u32 = id.trim_start_matches("late-").parse().unwrap_or(1);
            assert!(
                answered.contains(&stream),
                "round {round}: {id} was done, and its caller was told that it was too late"
            );
        }
        refused += usize::try_from(BEHIND).unwrap() + 1 - done.len();
    }
    let calls = usize::try_from(rounds() * BEHIND).unwrap();
    assert!(refused * 2 > calls, "only {refused} of {calls} were late: this queue proves nothing");
    println!("{refused} of {calls} calls were late, none of them was done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_its_caller_gave_up_before_it_was_looked_at_is_not_done() {
    let running = Running::start(config()).await;
    let mut stream = TcpStream::connect(running.grpc).await.unwrap();
    let mut bytes = wire::hello(&[]);
    // As many as a gateway gives up at one moment when the deadlines of all its calls pass together.
    let given_up = 200;
    bytes.extend(wire::call(1, RESERVE, &[], &message("block")));
    for at in 1..=given_up {
        bytes.extend(wire::call(2 * at + 1, RESERVE, &[], &message("given-up")));
        bytes.extend(wire::frame(kind::RESET, 0, 2 * at + 1, &8_u32.to_be_bytes()));
    }
    let wanted = 2 * given_up + 3;
    bytes.extend(wire::call(wanted, RESERVE, &[], &message("wanted")));
    stream.write_all(&bytes).await.unwrap();
    assert_eq!(answered(&mut stream, 2).await, HashSet::from([1, wanted]));
    // A call after them is answered after all of them were looked at.
    stream.write_all(&wire::call(wanted + 2, RESERVE, &[], &message("after"))).await.unwrap();
    answered(&mut stream, 1).await;
    let mut done = running.fake.done.lock().unwrap().clone();
    done.sort();
    assert_eq!(done, ["after", "block", "wanted"]);
}

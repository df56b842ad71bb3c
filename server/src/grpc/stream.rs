//! Reservations as they come: one task reads and decides, the answers follow in order as their events become durable.
//!
//! Messages that are there already are decided together, and their answers wait for the disk and leave together, in one frame of HTTP.
//! Between the two stands a bounded queue. While it is full nothing is read, and HTTP/2's flow control holds the caller back.

use std::{future::poll_fn, pin::Pin, sync::Arc, task::Poll};

use bytes::Bytes;
use quartermaster_journal::Lsn;
use tokio::sync::mpsc;
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tonic::{Status, Streaming};

use super::{
    batch::{self, Answers, Item},
    caller::Caller,
    legible, limits,
    straight::{frame, read, results::Results},
};
use crate::node::Node;

/// Bytes of an answer to a message of one line, to make room for.
const ANSWER_BYTES: usize = 128;

/// Answers to messages that came together.
#[derive(Debug)]
struct Decided {
    /// Newest position of the answers: when it is durable they may be told.
    lsn: Lsn,
    /// One frame a message.
    frames: Vec<u8>,
}

/// Messages that came together, one after the other.
#[derive(Default)]
struct Group<'a> {
    items: Vec<Item<'a>>,
    /// Items of each message.
    messages: Vec<usize>,
    lines: usize,
}

/// The answers to the messages of `inbound`, as frames. They end with it, or after the answer to the last good message with its error.
pub(crate) fn answers(
    node: Arc<Node>,
    caller: Caller,
    inbound: Streaming<Bytes>,
) -> impl Stream<Item = Result<Bytes, Status>> + Send + 'static {
    let (queue, decided) = mpsc::channel(limits::STREAM_MESSAGES_MAX.size());
    tokio::spawn(decide(Arc::clone(&node), caller, inbound, queue));
    ReceiverStream::new(decided).then(move |decided: Result<Decided, Status>| {
        let node = Arc::clone(&node);
        async move {
            let Decided { lsn, frames } = decided?;
            node.settle(lsn).await?;
            Ok(frames.into())
        }
    })
}

/// Reads and decides until the caller has no more, makes a mistake or leaves.
async fn decide(
    node: Arc<Node>,
    caller: Caller,
    mut inbound: Streaming<Bytes>,
    queue: mpsc::Sender<Result<Decided, Status>>,
) {
    // Where the messages of a group stand while they are decided. Each has a line or more, so there are no more of them.
    let mut room = vec![Bytes::new(); batch::LINES_PER_GO];
    let mut next = None;
    // A place in the queue comes first: what is decided can be told.
    while let Ok(place) = queue.reserve().await {
        let message = match next.take() {
            Some(message) => Some(message),
            None => tokio::select! {
                message = inbound.next() => message,
                () = queue.closed() => return,
            },
        };
        let Some(message) = message else { return };
        let mut group = Group::default();
        let (first, others) = room.split_at_mut(1);
        let mut others = others.iter_mut();
        let read =
            message.map_err(legible::status).and_then(|message| group.read(&caller, kept(&mut first[0], message)));
        let items = match read {
            Ok(items) => items,
            Err(wrong) => return place.send(Err(wrong)),
        };
        tokio::select! {
            () = caller.charge_in_time(items) => {}
            () = queue.closed() => return,
        }
        let mut ended = false;
        // What has come in the meantime goes with it.
        while group.lines < batch::LINES_PER_GO
            && let Some(room) = others.next()
            && let Poll::Ready(message) = ready(&mut inbound).await
        {
            let message = match message {
                Some(Ok(message)) => kept(room, message),
                broken_or_end => {
                    ended = broken_or_end.is_none();
                    next = broken_or_end;
                    break;
                }
            };
            // One that is wrong, or must wait, has its turn when what came before it is on its way.
            if !group.read(&caller, message).is_ok_and(|items| group.keeps(caller.has_charged(items))) {
                next = Some(Ok(message.clone()));
                break;
            }
        }
        let used = group.messages.len();
        place.send(Ok(group.decided(&node, &caller).await));
        // Their bytes go with them.
        room.iter_mut().take(used + 1).for_each(|message| *message = Bytes::new());
        if ended {
            return;
        }
    }
}

/// The next message, if it is there now.
async fn ready(inbound: &mut Streaming<Bytes>) -> Poll<Option<Result<Bytes, Status>>> {
    poll_fn(|context| Poll::Ready(Pin::new(&mut *inbound).poll_next(context))).await
}

/// A message in its place.
fn kept(room: &mut Bytes, message: Bytes) -> &Bytes {
    *room = message;
    room
}

impl<'a> Group<'a> {
    /// Adds a message, and gives how many items it has.
    fn read(&mut self, caller: &Caller, message: &'a [u8]) -> Result<usize, Status> {
        let items = read(caller, message, &limits::STREAM_REQUESTS_MAX, &mut self.items)?;
        self.lines += self.items.iter().rev().take(items).map(Item::lines).sum::<usize>();
        self.messages.push(items);
        Ok(items)
    }

    /// Gives the last message back unless it is to be kept. Gives whether it is.
    fn keeps(&mut self, kept: bool) -> bool {
        if !kept && let Some(items) = self.messages.pop() {
            self.items.truncate(self.items.len() - items);
        }
        kept
    }

    /// Decides them all, and frames the answers to each message.
    async fn decided(self, node: &Node, caller: &Caller) -> Decided {
        let (mut lsn, mut frames) = (Lsn::ZERO, Vec::with_capacity(self.items.len() * ANSWER_BYTES));
        let mut messages = self.messages.into_iter();
        let (mut start, mut left) = (0, 0);
        let tell = |answers: &mut Answers| {
            let mut results = Results::new(node);
            for answer in answers.drain(..) {
                if left == 0 {
                    start = frame::begin(&mut frames);
                    left = messages.next().unwrap_or(1);
                }
                results.put(&mut frames, 1, answer);
                left -= 1;
                if left == 0 {
                    frame::end(&mut frames, start);
                }
            }
            lsn = lsn.max(results.lsn());
        };
        batch::decide(node, caller, self.items, tell).await;
        Decided { lsn, frames }
    }
}

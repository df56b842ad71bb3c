//! Many reservations in one message: each decided on its own, in order, without waiting in between.

use quartermaster_engine::{
    Answer,
    command::{Command, PlainOrder, Request},
    engine::{Ahead, Granted, Ordered, Seen},
};
use quartermaster_proto::v1;

use super::{caller::Caller, convert::allocation, status::ApiError};
use crate::node::{Node, ORDERS_PER_TURN, Turn};

/// Lines that are decided in one go, some hundred microseconds; then other calls have their turn.
pub(crate) const LINES_PER_GO: usize = 256;

/// One reservation of many.
#[derive(Debug)]
pub(crate) enum Item<'a> {
    /// Read and found right, in the texts of its message: it lacks its caller's name alone.
    Plain(PlainOrder<'a>),
    /// Likewise, and it asks for more.
    Order(Box<(Request, Command)>),
    /// To be held against its caller's bounds, checked and converted.
    Message(Box<v1::ReserveRequest>),
}

impl Item<'_> {
    fn ahead(&self) -> Ahead<'_> {
        match self {
            Self::Plain(order) => Ahead::of_plain(order),
            Self::Order(order) => Ahead::of(&order.0, &order.1),
            Self::Message(_) => Ahead::default(),
        }
    }

    /// Lines that are to be decided, at least one.
    pub(crate) fn lines(&self) -> usize {
        let lines = match self {
            Self::Plain(_) => 1,
            Self::Order(order) => match &order.1 {
                Command::Reserve(order) => order.lines.len(),
                _ => 1,
            },
            Self::Message(message) => message.lines.len(),
        };
        lines.max(1)
    }
}

/// What one of them is answered.
#[derive(Debug)]
pub(crate) enum Decided {
    /// A plain order is granted.
    Plain(Granted),
    /// All else.
    Other(Box<Result<Answer, ApiError>>),
}

/// Answers to some of them, in order.
pub(crate) type Answers = Vec<Decided>;

/// Decides requests and has their answers taken by `tell`, some at a time. One that fails does not keep the others.
///
/// When the caller leaves in the middle, what was decided stays decided and the rest is not begun.
pub(crate) async fn decide(node: &Node, caller: &Caller, mut items: Vec<Item<'_>>, mut tell: impl FnMut(&mut Answers)) {
    let _burst = node.burst();
    let mut lines = 0;
    let mut place = 0;
    let mut answers = Vec::with_capacity(ORDERS_PER_TURN.min(items.len()));
    while let Some(next) = items.get(place) {
        if lines > 0 && lines + next.lines() > LINES_PER_GO {
            tokio::task::yield_now().await;
            lines = 0;
        }
        let mut turn = None;
        // Of one order alone nothing can be on its way while another is decided.
        let together = if items.len() > place + 1 { &items[place..] } else { &[] };
        let mut ahead = node.engine().look_ahead(together.iter().map(Item::ahead)).into_iter();
        while answers.len() < ORDERS_PER_TURN
            && let Some(item) = items.get_mut(place)
            && (lines == 0 || lines + item.lines() <= LINES_PER_GO)
        {
            lines += item.lines();
            let seen = ahead.next().unwrap_or_default();
            answers.push(match item {
                Item::Plain(order) => plain(turn.get_or_insert_with(|| node.turn()), caller, order, seen),
                Item::Order(order) => {
                    let (request, command) = &mut **order;
                    caller.sign(request);
                    let answer = turn.get_or_insert_with(|| node.turn()).submit(request, command, seen);
                    Decided::Other(Box::new(answer))
                }
                Item::Message(message) => {
                    turn = None;
                    Decided::Other(Box::new(decided(node, caller, std::mem::take(message))))
                }
            });
            place += 1;
        }
        drop(turn);
        tell(&mut answers);
    }
}

fn plain(turn: &mut Turn<'_>, caller: &Caller, order: &PlainOrder<'_>, seen: Seen) -> Decided {
    match turn.submit_plain(order, caller.name(), seen) {
        Ok(Ordered::Granted(granted)) => Decided::Plain(granted),
        Ok(Ordered::Answered(answer)) => Decided::Other(Box::new(Ok(*answer))),
        Err(error) => Decided::Other(Box::new(Err(error))),
    }
}

/// The general way.
fn decided(node: &Node, caller: &Caller, mut message: Box<v1::ReserveRequest>) -> Result<Answer, ApiError> {
    caller.check(node, &mut *message)?;
    let (request, command) = allocation::reserve(*message)?;
    node.submit_now(&caller.signed(request), &command)
}

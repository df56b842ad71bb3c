//! Many reservations in one message: each decided on its own, in order, without waiting in between.

use quartermaster_engine::{
    Answer,
    command::{Command, Request},
};
use quartermaster_proto::v1;

use super::{caller::Caller, convert::allocation, status::ApiError};
use crate::node::{Node, ORDERS_PER_TURN};

/// Lines that are decided in one go, some hundred microseconds; then other calls have their turn.
pub(crate) const LINES_PER_GO: usize = 256;

/// One reservation of many.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are orders, which a box would cost an allocation each")]
pub(crate) enum Item {
    /// Read and found right: it lacks its caller's name alone.
    Order(Request, Command),
    /// To be held against its caller's bounds, checked and converted.
    Message(Box<v1::ReserveRequest>),
}

impl Item {
    /// What is ready to be decided.
    fn order(&self) -> Option<(&Request, &Command)> {
        match self {
            Self::Order(request, order) => Some((request, order)),
            Self::Message(_) => None,
        }
    }

    /// Lines that are to be decided, at least one.
    pub(crate) fn lines(&self) -> usize {
        let lines = match self {
            Self::Order(_, Command::Reserve(order)) => order.lines.len(),
            Self::Order(..) => 1,
            Self::Message(message) => message.lines.len(),
        };
        lines.max(1)
    }
}

/// Answers to some of them, in order.
pub(crate) type Answers = Vec<Result<Answer, ApiError>>;

/// Decides requests and has their answers taken by `tell`, some at a time. One that fails does not keep the others.
///
/// When the caller leaves in the middle, what was decided stays decided and the rest is not begun.
pub(crate) async fn decide(node: &Node, caller: &Caller, mut items: Vec<Item>, mut tell: impl FnMut(&mut Answers)) {
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
        let mut ahead = node.engine().look_ahead(together.iter().map(Item::order)).into_iter();
        while answers.len() < ORDERS_PER_TURN
            && let Some(item) = items.get_mut(place)
            && (lines == 0 || lines + item.lines() <= LINES_PER_GO)
        {
            lines += item.lines();
            let seen = ahead.next().unwrap_or_default();
            answers.push(match item {
                Item::Order(request, order) => {
                    caller.sign(request);
                    turn.get_or_insert_with(|| node.turn()).submit(request, order, seen)
                }
                Item::Message(message) => {
                    turn = None;
                    decided(node, caller, std::mem::take(message))
                }
            });
            place += 1;
        }
        drop(turn);
        tell(&mut answers);
    }
}

/// The general way.
fn decided(node: &Node, caller: &Caller, mut message: Box<v1::ReserveRequest>) -> Result<Answer, ApiError> {
    caller.check(node, &mut *message)?;
    let (request, command) = allocation::reserve(*message)?;
    node.submit_now(&caller.signed(request), &command)
}

//! Many reservations in one message: each decided on its own, in order, without waiting in between.

use quartermaster_journal::Lsn;
use quartermaster_proto::v1::{self, reserve_result::Result as Outcome};

use super::{
    caller::Caller,
    convert::{allocation, answers},
    status::ApiError,
};
use crate::node::Node;

/// Lines that are decided in one go, some hundred microseconds; then other calls have their turn.
const LINES_PER_TURN: usize = 256;

/// Decided requests that wait for their events to be durable.
#[derive(Debug)]
pub(crate) struct Decided {
    /// Newest position of the answers: when it is durable they may be told.
    pub(crate) lsn: Lsn,
    /// One per request, in order.
    pub(crate) results: Vec<v1::ReserveResult>,
}

impl Decided {
    /// Decides requests. One that fails does not keep the others.
    ///
    /// When the caller leaves in the middle, what was decided stays decided and the rest is not begun.
    pub(crate) async fn of(node: &Node, caller: &Caller, requests: Vec<v1::ReserveRequest>) -> Self {
        let mut decided = Self { lsn: Lsn::ZERO, results: Vec::with_capacity(requests.len()) };
        let mut lines = 0;
        for request in requests {
            lines += request.lines.len().max(1);
            if lines > LINES_PER_TURN {
                tokio::task::yield_now().await;
                lines = 0;
            }
            let outcome = match decide(node, caller, request) {
                Ok((lsn, response)) => {
                    decided.lsn = decided.lsn.max(lsn);
                    Outcome::Response(response)
                }
                Err(error) => {
                    decided.lsn = decided.lsn.max(node.rests_on(&error));
                    Outcome::Error(error.into())
                }
            };
            decided.results.push(v1::ReserveResult { result: Some(outcome) });
        }
        decided
    }
}

fn decide(
    node: &Node,
    caller: &Caller,
    mut message: v1::ReserveRequest,
) -> Result<(Lsn, v1::ReserveResponse), ApiError> {
    caller.check(node, &mut message)?;
    let (request, command) = allocation::reserve(message)?;
    let answer = node.submit_now(&caller.signed(request), &command)?;
    Ok((answer.lsn, answers::reserve(node, answer)?))
}

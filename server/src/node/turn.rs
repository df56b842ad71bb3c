//! Many orders decided in a row: the time is read, and what it took is counted, once for all of them.

use std::time::Instant;

use quartermaster_engine::Answer;
use quartermaster_engine::command::{Command, PlainOrder, Request};
use quartermaster_engine::engine::{ORDERS_AHEAD, Ordered, Seen};
use quartermaster_engine::time::Timestamp;
use quartermaster_node::DiskFull;

use super::Node;
use crate::grpc::status::ApiError;
use crate::watch::steps;

/// Orders of a turn at most. They are decided as at its beginning, some 30 µs before the last of them.
pub(crate) const ORDERS_PER_TURN: usize = ORDERS_AHEAD;

/// Some orders, one after the other on one thread. When it ends, they are counted.
pub(crate) struct Turn<'a> {
    node: &'a Node,
    now: Timestamp,
    began: Instant,
    orders: u32,
}

impl Node {
    /// Begins a turn.
    pub(crate) fn turn(&self) -> Turn<'_> {
        steps::deciding_many();
        Turn { node: self, now: self.now(), began: Instant::now(), orders: 0 }
    }
}

impl Turn<'_> {
    /// Decides a plain order at once, in the name of `actor`, of which a look ahead may have `seen` something. The answer must not be told before
    /// `settle` of its LSN.
    ///
    /// # Errors
    /// As [`Node::submit_now`].
    pub(crate) fn submit_plain(
        &mut self,
        order: &PlainOrder<'_>,
        actor: &str,
        seen: Seen,
    ) -> Result<Ordered, ApiError> {
        let core = &self.node.core;
        let ordered = core.submit_plain(order, actor, self.now, seen).map_err(|DiskFull| self.node.no_room())?;
        self.orders += 1;
        self.node.decisions.count_order(&ordered);
        ordered.map_err(ApiError::from)
    }

    /// Decides an order at once, one that the router is not asked about and that a look ahead has `seen`. The answer must not be told before
    /// `settle` of its LSN.
    ///
    /// # Errors
    /// As [`Node::submit_now`].
    pub(crate) fn submit(&mut self, request: &Request, order: &Command, seen: Seen) -> Result<Answer, ApiError> {
        let answer =
            self.node.core.submit_seen(request, order, self.now, seen).map_err(|DiskFull| self.node.no_room())?;
        self.orders += 1;
        self.node.campaigns.count(order, &answer, self.now);
        self.node.decisions.count_end(order, &answer);
        answer.map_err(ApiError::from)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.orders > 0 {
            let ended = Instant::now();
            steps::decided(self.began, ended);
            self.node.decisions.count_orders(self.orders, ended.duration_since(self.began));
        }
    }
}

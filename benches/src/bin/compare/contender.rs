//! Who is compared: a server that was started, and the lanes that take orders to it.

use std::fmt::{self, Display, Formatter};

use crate::Failure;
use crate::demand::Order;
use crate::process::Process;
use crate::{floor, ours, postgres, redis};

/// How orders travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// One order a round trip, so many at once over so many connections.
    Single {
        /// Connections.
        connections: usize,
        /// Orders under way on each.
        each: usize,
    },
    /// Single messages on a stream or pipeline: so many are written, then so many answers read, on each connection.
    Piped {
        /// Connections.
        connections: usize,
        /// Orders under way on each.
        depth: usize,
    },
    /// So many orders in one message, four messages at once.
    Batch {
        /// Orders of a message.
        orders: usize,
    },
}

/// Messages under way in batches.
pub(crate) const BATCHES_AT_ONCE: usize = 4;

impl Wire {
    /// Orders of one round trip of a lane.
    pub(crate) fn per_step(self) -> usize {
        match self {
            Wire::Single { .. } => 1,
            Wire::Piped { depth, .. } => depth,
            Wire::Batch { orders } => orders,
        }
    }

    /// Lanes, and connections they share.
    pub(crate) fn lanes(self) -> (usize, usize) {
        match self {
            Wire::Single { connections, each } => (connections * each, connections),
            Wire::Piped { connections, .. } => (connections, connections),
            Wire::Batch { .. } => (BATCHES_AT_ONCE, BATCHES_AT_ONCE),
        }
    }
}

impl Display for Wire {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Wire::Single { connections, each } => write!(out, "single, {connections} x {each}"),
            Wire::Piped { connections, depth } => write!(out, "piped, {connections} x {depth}"),
            Wire::Batch { orders } => write!(out, "batches of {orders}"),
        }
    }
}

/// What a contender promises when it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Quartermaster as it is by default.
    Ours,
    /// tonic and nothing behind it.
    BareEcho,
    /// tonic and a group commit of 64 bytes.
    DurableEcho,
    /// Redis with its log synced before each answer.
    RedisAlways,
    /// Redis with its log synced every second.
    RedisEverysec,
    /// Redis without a log.
    RedisOff,
    /// PostgreSQL, synchronous commit.
    Postgres,
}

impl Kind {
    pub(crate) const ALL: [Kind; 7] = [
        Kind::Ours,
        Kind::DurableEcho,
        Kind::BareEcho,
        Kind::RedisAlways,
        Kind::RedisEverysec,
        Kind::RedisOff,
        Kind::Postgres,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Ours => "Quartermaster",
            Kind::BareEcho => "bare echo",
            Kind::DurableEcho => "durable echo",
            Kind::RedisAlways => "Redis, AOF always",
            Kind::RedisEverysec => "Redis, AOF everysec",
            Kind::RedisOff => "Redis, no AOF",
            Kind::Postgres => "PostgreSQL",
        }
    }

    /// What a power cut takes of what was acknowledged.
    pub(crate) fn may_lose(self) -> &'static str {
        match self {
            Kind::Ours | Kind::RedisAlways | Kind::Postgres => "nothing",
            Kind::DurableEcho => "nothing (and decides nothing)",
            Kind::BareEcho => "everything (and decides nothing)",
            Kind::RedisEverysec => "up to a second or two",
            Kind::RedisOff => "everything",
        }
    }

    /// Whether it can be asked this way. The bounds below us do not decide, so their scenario matters only by size.
    pub(crate) fn speaks(self, wire: Wire) -> bool {
        match wire {
            Wire::Single { .. } => true,
            Wire::Piped { .. } => self != Kind::Postgres,
            Wire::Batch { .. } => matches!(self, Kind::Ours | Kind::BareEcho | Kind::DurableEcho),
        }
    }
}

/// A running contender.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) kind: Kind,
    pub(crate) process: Process,
    /// Where it listens.
    pub(crate) address: String,
}

impl Server {
    pub(crate) fn cpu_nanos(&self) -> u64 {
        self.process.cpu_nanos()
    }

    /// Lanes for `wire`, connected.
    pub(crate) async fn lanes(&self, wire: Wire) -> Result<Vec<Lane>, Failure> {
        match self.kind {
            Kind::Ours => ours::lanes(&self.address, wire).await,
            Kind::BareEcho | Kind::DurableEcho => floor::lanes(&self.address, wire).await,
            Kind::RedisAlways | Kind::RedisEverysec | Kind::RedisOff => redis::lanes(&self.address, wire).await,
            Kind::Postgres => postgres::lanes(&self.address, wire).await,
        }
    }
}

/// How many of a step's orders were granted; the others were refused for want of stock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken(pub(crate) u64);

/// One of those who wait for an answer before they send again.
pub(crate) enum Lane {
    /// gRPC: ours, and the echoes.
    Grpc(ours::Lane),
    Redis(redis::Lane),
    Postgres(Box<postgres::Lane>),
}

impl Lane {
    /// Sends the orders and waits for all answers.
    pub(crate) async fn step(&mut self, orders: &[Order]) -> Result<Taken, Failure> {
        match self {
            Lane::Grpc(lane) => lane.step(orders).await,
            Lane::Redis(lane) => lane.step(orders).await,
            Lane::Postgres(lane) => lane.step(orders).await,
        }
    }
}

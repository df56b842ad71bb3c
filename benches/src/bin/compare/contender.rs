//! Who is compared: a server that was started, and the lanes that take orders to it.

use std::fmt::{self, Display, Formatter};
use std::iter::Sum;
use std::ops::Add;
use std::sync::Arc;

use quartermaster_benches::measure::grouped;
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::demand::Order;
use crate::process::Process;
use crate::{grpc, ours, postgres, redis};

/// How orders travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Wire {
    /// One order a round trip, so many at once over so many connections.
    Single {
        /// Connections.
        connections: usize,
        /// Orders under way on each.
        each: usize,
    },
    /// One order a caller in an explicit transaction: what goes together is sent together, an answer is awaited before the commit.
    Transaction {
        /// Connections, each with one caller.
        connections: usize,
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
            Wire::Single { .. } | Wire::Transaction { .. } => 1,
            Wire::Piped { depth, .. } => depth,
            Wire::Batch { orders } => orders,
        }
    }

    /// Lanes, and connections they share.
    pub(crate) fn lanes(self) -> (usize, usize) {
        match self {
            Wire::Single { connections, each } => (connections * each, connections),
            Wire::Piped { connections, .. } | Wire::Transaction { connections } => (connections, connections),
            Wire::Batch { .. } => (BATCHES_AT_ONCE, BATCHES_AT_ONCE),
        }
    }
}

impl Display for Wire {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Wire::Single { connections, each } => write!(out, "single, {connections} x {each}"),
            Wire::Transaction { connections } => write!(out, "transaction, {connections} x 1"),
            Wire::Piped { connections, depth } => write!(out, "piped, {connections} x {depth}"),
            Wire::Batch { orders } => write!(out, "batches of {}", grouped(u64::try_from(*orders).unwrap_or(0))),
        }
    }
}

/// What a contender promises when it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
}

/// A running contender.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) kind: Kind,
    pub(crate) process: Process,
    /// Where it listens.
    pub(crate) address: String,
    /// What it has granted so far, by its own answers.
    pub(crate) granted: Granted,
}

/// What was granted, or what of it is found in a server's books.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) orders: u64,
    pub(crate) units: u64,
}

impl Granted {
    /// All lines of an order, one unit each.
    pub(crate) fn order(order: &Order) -> Granted {
        Granted { orders: 1, units: u64::try_from(order.lines().len()).unwrap_or(0) }
    }
}

impl Add for Granted {
    type Output = Granted;

    fn add(self, other: Granted) -> Granted {
        Granted { orders: self.orders + other.orders, units: self.units + other.units }
    }
}

impl Sum for Granted {
    fn sum<I: Iterator<Item = Granted>>(all: I) -> Granted {
        all.fold(Granted::default(), Add::add)
    }
}

/// Orders after which a server starts anew before its next turn, so that none runs out of memory; the same for all.
const WORN: u64 = 6_000_000;

impl Server {
    pub(crate) fn is_worn(&self) -> bool {
        self.granted.orders > WORN
    }

    /// Lets it go on for its books to be held against its answers.
    pub(crate) async fn check_now(&self) -> Result<(), Failure> {
        self.process.resume();
        let checked = self.check().await;
        self.process.pause();
        checked
    }

    /// As many reservations as it granted, and as much less stock.
    async fn check(&self) -> Result<(), Failure> {
        let found = match self.kind {
            Kind::Ours => ours::granted(&self.address).await,
            Kind::RedisAlways | Kind::RedisEverysec | Kind::RedisOff => redis::granted(&self.address).await,
            Kind::Postgres => postgres::granted(&self.address).await,
            // An echo keeps no books.
            Kind::BareEcho | Kind::DurableEcho => return Ok(()),
        }?;
        if found == self.granted {
            return Ok(());
        }
        Err(format!("{} granted {:?}, and has {found:?} in its books", self.kind.name(), self.granted).into())
    }

    pub(crate) fn cpu_nanos(&self) -> u64 {
        self.process.cpu_nanos()
    }

    /// Lanes for `wire`, connected.
    pub(crate) async fn lanes(&self, wire: Wire) -> Result<Vec<Lane>, Failure> {
        match self.kind {
            Kind::Ours | Kind::BareEcho | Kind::DurableEcho => grpc::lanes(&self.address, wire).await,
            Kind::RedisAlways | Kind::RedisEverysec | Kind::RedisOff => redis::lanes(&self.address, wire).await,
            Kind::Postgres => postgres::lanes(&self.address, wire).await,
        }
    }
}

/// One of those who wait for an answer before they send again.
pub(crate) enum Lane {
    /// gRPC: ours, and the echoes.
    Grpc(grpc::Lane),
    Redis(redis::Lane),
    Postgres(Box<postgres::Lane>),
}

impl Lane {
    /// Sends the orders and waits for all answers.
    pub(crate) async fn step(&mut self, orders: &Arc<[Order]>) -> Result<Granted, Failure> {
        match self {
            Lane::Grpc(lane) => lane.step(orders).await,
            Lane::Redis(lane) => lane.step(orders).await,
            Lane::Postgres(lane) => lane.step(orders).await,
        }
    }
}

//! What is measured: the heats, and who takes part in each and how. What is set against each other runs in one heat, in turns.

use std::fmt::{self, Display, Formatter};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::contender::{Kind, Wire};
use crate::demand::Scenario;

/// A group of entries that take turns. Every server starts anew for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Heat {
    /// One order a round trip, one caller on each of 64 connections.
    Calls,
    /// One order a round trip, 64 and 1,024 under way over 4 connections.
    Multiplexed,
    /// One order a round trip, one caller on each of 1 to 1,000 connections.
    Connections,
    /// Many orders under way or in one message.
    Bulk,
    /// Orders of three lines.
    ThreeLines,
    /// 99 of 100 orders are refused.
    SoldOut,
}

impl Heat {
    /// As the tables have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Heat::Calls => "One order a call, 64 connections",
            Heat::Multiplexed => "One order a call, many over 4 connections",
            Heat::Connections => "From one connection to a thousand",
            Heat::Bulk => "Streams, pipelines and batches",
            Heat::ThreeLines => "Orders of three lines",
            Heat::SoldOut => "99 % sold out",
        }
    }

    /// Who takes part, in the order of the table.
    pub(crate) fn entries(self) -> Vec<Entry> {
        use Kind::{BareEcho, DurableEcho, Ours, Postgres, RedisAlways, RedisEverysec, RedisOff};
        use Scenario::{Hot, SoldOut, ThreeLines, Zipf};
        const REDIS: [Kind; 3] = [RedisAlways, RedisEverysec, RedisOff];
        let entry = |scenario, wire| move |kind| Entry { kind, scenario, wire };
        let several = |scenario, wire, kinds: &[Kind]| kinds.iter().copied().map(entry(scenario, wire)).collect();
        let parts: Vec<Vec<Entry>> = match self {
            Heat::Calls => vec![
                several(Zipf, CALLS, &[Ours, DurableEcho, BareEcho]),
                several(Zipf, CALLS, &REDIS),
                several(Zipf, CALLS, &[Postgres]),
                several(Zipf, TRANSACTIONS, &[Postgres]),
                several(Hot, CALLS, &[Ours]),
                several(Hot, CALLS, &REDIS),
                several(Hot, CALLS, &[Postgres]),
                several(Hot, TRANSACTIONS, &[Postgres]),
            ],
            Heat::Multiplexed => vec![
                several(Zipf, FEW, &[Ours, DurableEcho, BareEcho]),
                several(Zipf, MANY, &[Ours, DurableEcho, BareEcho]),
                several(Hot, MANY, &[Ours]),
                // As many under way as few connections have: its clients take a connection a caller.
                several(Zipf, CALLS, &[RedisAlways, RedisEverysec]),
            ],
            Heat::Connections => {
                CONNECTIONS.map(|count| several(Zipf, connections(count), &[Ours, DurableEcho])).to_vec()
            }
            Heat::Bulk => vec![
                several(Zipf, PIPED, &[Ours, DurableEcho, BareEcho]),
                several(Zipf, PIPED, &REDIS),
                several(Zipf, BATCHES, &[Ours, DurableEcho]),
                several(Zipf, LARGE_BATCHES, &[Ours, DurableEcho, Postgres]),
                several(Zipf, LARGEST_BATCHES, &[Ours]),
                several(Hot, PIPED, &[Ours]),
                several(Hot, PIPED, &REDIS),
                several(Hot, LARGE_BATCHES, &[Ours, Postgres]),
                several(Hot, LARGEST_BATCHES, &[Ours]),
                several(Hot, CALLS, &[Postgres]),
            ],
            Heat::ThreeLines => vec![
                several(ThreeLines, CALLS, &[Ours, DurableEcho]),
                several(ThreeLines, CALLS, &REDIS),
                several(ThreeLines, CALLS, &[Postgres]),
                several(ThreeLines, PIPED, &[Ours]),
                several(ThreeLines, PIPED, &REDIS),
                several(ThreeLines, LARGE_BATCHES, &[Ours]),
            ],
            Heat::SoldOut => vec![
                several(SoldOut, CALLS, &[Ours, BareEcho]),
                several(SoldOut, CALLS, &REDIS),
                several(SoldOut, CALLS, &[Postgres]),
                several(SoldOut, MANY, &[Ours, BareEcho]),
                several(SoldOut, PIPED, &[Ours]),
                several(SoldOut, PIPED, &REDIS),
                several(SoldOut, LARGE_BATCHES, &[Ours]),
            ],
        };
        parts.concat()
    }
}

/// One order a round trip, as many callers as connections.
pub(crate) const CALLS: Wire = connections(64);
/// Connections of the heat of that name.
pub(crate) const CONNECTIONS: [usize; 4] = [1, 10, 100, 1_000];

/// So many callers, each with a connection.
pub(crate) const fn connections(connections: usize) -> Wire {
    Wire::Single { connections, each: 1 }
}

/// The same, each order in a transaction of several statements.
pub(crate) const TRANSACTIONS: Wire = Wire::Transaction { connections: 64 };
/// 64 orders under way.
pub(crate) const FEW: Wire = Wire::Single { connections: 4, each: 16 };
/// 1,024 orders under way.
pub(crate) const MANY: Wire = Wire::Single { connections: 4, each: 256 };
/// Streams and pipelines.
pub(crate) const PIPED: Wire = Wire::Piped { connections: 8, depth: 100 };
pub(crate) const BATCHES: Wire = Wire::Batch { orders: 100 };
pub(crate) const LARGE_BATCHES: Wire = Wire::Batch { orders: 1_000 };
/// What TigerBeetle's figures are of.
pub(crate) const LARGEST_BATCHES: Wire = Wire::Batch { orders: 8_000 };

/// A contender asked in one way for one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) scenario: Scenario,
    pub(crate) wire: Wire,
}

impl Display for Entry {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{}; {}; {}", self.kind.name(), self.wire, self.scenario.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_entered_twice_or_asked_in_a_way_it_does_not_know() {
        for heat in Heat::value_variants() {
            let entries = heat.entries();
            for (place, entry) in entries.iter().enumerate() {
                assert!(!entries[..place].contains(entry), "{entry}");
                let speaks = match entry.wire {
                    Wire::Single { .. } => true,
                    Wire::Transaction { .. } => entry.kind == Kind::Postgres,
                    Wire::Piped { .. } => entry.kind != Kind::Postgres,
                    Wire::Batch { .. } => !entry.kind.name().starts_with("Redis"),
                };
                assert!(speaks, "{entry}");
            }
        }
    }
}

//! Safety stock of many levels, and rules that set it and allotments: what happened.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::{
    capacity::Booking,
    event::ShardSet,
    id::{LocationId, NodeId, ReservationId, SkuId},
    quantity::Quantity,
};

/// A change of state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RulesEvent {
    /// The set of stock rules was replaced whole. Changes the directory, which every shard shares.
    Put {
        /// From 1, one more than the set before it.
        version: u32,
        /// Canonical text; empty where only the answer is kept.
        json: Arc<str>,
    },
    /// What the rules say of one SKU was put in its place.
    Applied(Applied),
}

/// What the rules say of one SKU, where it differs from before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The SKU.
    pub sku: SkuId,
    /// Version of the set that was evaluated.
    pub version: u32,
    /// Cells, by location, each once. They exist.
    pub cells: Vec<KeptCell>,
    /// Allotments, by node, each once.
    pub allotments: Vec<RuledAllotment>,
    /// Units left to others, by node, each once.
    pub leaves: Vec<RuledLeave>,
}

/// What rules keep back at a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeptCell {
    /// Location.
    pub location: LocationId,
    /// Units; none: no rule keeps anything there any more.
    pub kept: Quantity,
}

/// What rules allot to a selling node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuledAllotment {
    /// Whose.
    pub node: NodeId,
    /// What it has now; `None`: no rule speaks of the node any more, and its allotment is returned.
    pub terms: Option<RuledTerms>,
}

/// The terms of an allotment that rules made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuledTerms {
    /// Units ring-fenced.
    pub quota: u32,
    /// Units it may be promised at most; not below the quota.
    pub ceiling: Option<u32>,
    /// It may take from what its parent can reach when its own share is used up.
    pub spill_over: bool,
}

/// Units of a SKU that a selling node leaves to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuledLeave {
    /// Who leaves them.
    pub node: NodeId,
    /// Units; none: no rule speaks of it any more.
    pub units: Quantity,
}

impl RulesEvent {
    /// Its name, as in the journal's proto.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Put { .. } => "StockRulesPut",
            Self::Applied(_) => "StockRulesApplied",
        }
    }

    /// The reservation it concerns, if it concerns one.
    #[must_use]
    pub fn reservation(&self) -> Option<ReservationId> {
        None
    }

    /// Work it books or gives back.
    #[must_use]
    pub fn bookings(&self) -> SmallVec<[Booking; 4]> {
        SmallVec::new()
    }

    /// The shards it changes.
    #[must_use]
    pub fn shards(&self) -> ShardSet {
        match self {
            Self::Put { .. } => ShardSet::default(),
            Self::Applied(applied) => ShardSet::from_iter([applied.sku.shard()]),
        }
    }
}

//! Units ring-fenced for channels and campaigns: what happened.

use smallvec::SmallVec;

use crate::{
    capacity::Booking,
    event::ShardSet,
    id::{NodeId, ReservationId, SkuId},
};

/// A change of state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllotmentEvent {
    /// Allotments are now as said.
    Set(AllotmentsSet),
}

/// Allotments as they are after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllotmentsSet {
    /// What led to it.
    pub kind: AllotmentChange,
    /// Each SKU and node once, in that order.
    pub rows: Vec<AllotmentRow>,
}

/// What led to a change of allotments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllotmentChange {
    /// They were set.
    Set,
    /// Quotas were raised.
    Raised,
    /// Quotas were lowered.
    Lowered,
    /// Quota changed hands.
    Moved,
    /// They were ended.
    Returned,
}

/// What a node has of a SKU after a change. Without quota and ceiling it has no allotment any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllotmentRow {
    /// SKU.
    pub sku: SkuId,
    /// Node.
    pub node: NodeId,
    /// Units ring-fenced.
    pub quota: Option<u32>,
    /// Units it may be promised at most.
    pub ceiling: Option<u32>,
    /// It may take from what its parent can reach.
    pub spill_over: bool,
    /// Units that were asked for and cut off because they could not be had.
    pub clipped: u32,
}

impl AllotmentEvent {
    /// Its name, as in the journal's proto.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Set(_) => "AllotmentsSet",
        }
    }

    /// The reservation it concerns, if it concerns one.
    #[must_use]
    pub fn reservation(&self) -> Option<ReservationId> {
        match self {
            Self::Set(_) => None,
        }
    }

    /// Work it books or gives back.
    #[must_use]
    pub fn bookings(&self) -> SmallVec<[Booking; 4]> {
        match self {
            Self::Set(_) => SmallVec::new(),
        }
    }

    /// The shards it changes.
    #[must_use]
    pub fn shards(&self) -> ShardSet {
        match self {
            Self::Set(set) => set.rows.iter().map(|row| row.sku.shard()).collect(),
        }
    }
}

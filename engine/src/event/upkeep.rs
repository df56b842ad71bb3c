//! Freezes, thaws and repairs: what happened.

use smallvec::SmallVec;

use crate::{
    capacity::Booking,
    event::{Claim, EndState, Promise, ShardSet},
    id::{LocationId, ReservationId, SkuId},
    sourced::Rerouted,
    upkeep::{FreezeReason, Frozen},
};

/// A change of state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpkeepEvent {
    /// Nothing more is promised from something. The freeze is known by the LSN of this event.
    Frozen {
        /// What.
        target: Frozen,
        /// Why.
        reason: FreezeReason,
        /// The caller's document.
        reference: Box<str>,
    },
    /// Freezes were lifted.
    Thawed {
        /// Of what.
        target: Frozen,
        /// Their ids, ascending.
        freezes: Vec<u64>,
    },
    /// What shortfalls hurt was moved or cancelled.
    Repaired(Repaired),
}

/// What a repair did.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Repaired {
    /// What was done, in this order.
    pub remedies: Vec<Remedy>,
    /// Cells that were looked at and are still short, by SKU and location.
    pub remaining: Vec<ShortCell>,
    /// There are cells in shortfall that were not looked at to the end.
    pub more: bool,
}

/// What was done for one reservation at one cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Units went to other locations.
    Moved(Box<Rerouted>),
    /// Units were cancelled.
    Cancelled {
        /// What was cancelled.
        claim: Claim,
        /// Bucket it was in.
        promise: Promise,
        /// What this made of the reservation, if nothing is left open.
        end: Option<EndState>,
        /// Work given back.
        bookings: Box<[Booking]>,
    },
}

/// A cell that promises more than it can sell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShortCell {
    /// SKU.
    pub sku: SkuId,
    /// Location.
    pub location: LocationId,
    /// Promised units that are not there.
    pub units: u64,
}

impl Remedy {
    /// Whose.
    #[must_use]
    pub fn reservation(&self) -> ReservationId {
        match self {
            Self::Moved(moved) => moved.reservation,
            Self::Cancelled { claim, .. } => claim.reservation,
        }
    }

    /// Units that were moved or cancelled.
    #[must_use]
    pub fn units(&self) -> u64 {
        let lines = match self {
            Self::Moved(moved) => &moved.from,
            Self::Cancelled { claim, .. } => &claim.lines,
        };
        lines.iter().map(|line| line.quantity.units()).sum()
    }

    /// Work it books or gives back.
    #[must_use]
    pub fn bookings(&self) -> &[Booking] {
        match self {
            Self::Moved(moved) => &moved.bookings,
            Self::Cancelled { bookings, .. } => bookings,
        }
    }
}

impl UpkeepEvent {
    /// Its name, as in the journal's proto.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Frozen { .. } => "Frozen",
            Self::Thawed { .. } => "Thawed",
            Self::Repaired(_) => "ShortfallsRepaired",
        }
    }

    /// The reservation it concerns, if it concerns one.
    #[must_use]
    pub fn reservation(&self) -> Option<ReservationId> {
        match self {
            Self::Repaired(repaired) => match &repaired.remedies[..] {
                [only] => Some(only.reservation()),
                _ => None,
            },
            Self::Frozen { .. } | Self::Thawed { .. } => None,
        }
    }

    /// Work it books or gives back.
    #[must_use]
    pub fn bookings(&self) -> SmallVec<[Booking; 4]> {
        match self {
            Self::Repaired(repaired) => {
                repaired.remedies.iter().flat_map(|remedy| remedy.bookings().iter().copied()).collect()
            }
            Self::Frozen { .. } | Self::Thawed { .. } => SmallVec::new(),
        }
    }

    /// The shards it changes. Empty for a location: that changes the directory, which every shard shares.
    #[must_use]
    pub fn shards(&self) -> ShardSet {
        match self {
            Self::Frozen { target, .. } | Self::Thawed { target, .. } => {
                target.sku().map(SkuId::shard).into_iter().collect()
            }
            Self::Repaired(repaired) => {
                let mut shards = ShardSet::default();
                for remedy in &repaired.remedies {
                    match remedy {
                        Remedy::Moved(moved) => moved.shards().iter().for_each(|shard| shards.insert(shard)),
                        Remedy::Cancelled { claim, .. } => claim.shards().iter().for_each(|shard| shards.insert(shard)),
                    }
                }
                shards
            }
        }
    }
}

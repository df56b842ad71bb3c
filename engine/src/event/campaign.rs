//! Flash sales, their buyers and their waiting lists, and orders that take stock at payment: what happened.

use smallvec::SmallVec;

use crate::{
    campaign::{Campaign, Campaigns, Closing, counter_shard},
    capacity::Booking,
    event::{Lines, Promise, ShardSet},
    id::{CampaignId, NodeId, ReservationId, SkuId},
    quantity::Quantity,
    terms::Bought,
    time::Timestamp,
};

/// A change of state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CampaignEvent {
    /// Campaigns were made or changed: their units are ring-fenced as they say.
    Upserted {
        /// Each whole.
        campaigns: Vec<Campaign>,
        /// SKUs that campaigns have no longer.
        left: Vec<(CampaignId, SkuId)>,
        /// How many are new.
        created: u32,
    },
    /// A campaign ended: what is left of its units is the pool's again.
    Closed {
        /// Which.
        campaign: CampaignId,
        /// When it ended: its end, or earlier.
        ends_at: Timestamp,
        /// Units given back, by SKU: every item of it.
        returned: Vec<(SkuId, Quantity)>,
        /// Buyers that had units of it then.
        buyers: u64,
    },
    /// A reservation that had taken nothing took its units.
    Granted(Granted),
    /// A buyer waits no longer and gets nothing.
    Dropped {
        /// Whose waiting ended.
        reservation: ReservationId,
        /// Why.
        reason: DropReason,
    },
}

/// A reservation that had taken nothing took its units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Which.
    pub reservation: ReservationId,
    /// Bucket they are in.
    pub promise: Promise,
    /// When the hold expires; for a commitment what it was before.
    pub expires_at: Timestamp,
    /// What was taken, by SKU and location.
    pub lines: Lines,
    /// Selling nodes that the units count to, the innermost first.
    pub path: Box<[NodeId]>,
    /// Units that count to a buyer's limit.
    pub bought: Option<Bought>,
    /// Shards it lies in besides its home, those of the lines and the buyer's.
    pub others: ShardSet,
}

/// Why a buyer waits no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// The campaign ended.
    Ended,
    /// The buyer has had what the campaign allows.
    LimitReached,
    /// The SKU is in the campaign no longer, or cannot be sold.
    NotOffered,
}

impl CampaignEvent {
    /// The campaigns it makes or changes, each whole; `None` when it is about none, or about one that was never made.
    #[must_use]
    pub fn campaigns(&self, known: &Campaigns) -> Option<Vec<Campaign>> {
        match self {
            Self::Upserted { campaigns, .. } => Some(campaigns.clone()),
            Self::Closed { campaign, ends_at, buyers, .. } => {
                let campaign = Campaign::clone(known.by_id(*campaign)?);
                let closed = Some(Closing { at: *ends_at, buyers: *buyers });
                Some(vec![Campaign { ends_at: *ends_at, closed, ..campaign }])
            }
            Self::Granted(_) | Self::Dropped { .. } => None,
        }
    }

    /// Whether it makes or changes campaigns.
    #[must_use]
    pub(crate) fn shows_in_directory(&self) -> bool {
        matches!(self, Self::Upserted { .. } | Self::Closed { .. })
    }

    /// Its name, as in the journal's proto.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Upserted { .. } => "CampaignsUpserted",
            Self::Closed { .. } => "CampaignClosed",
            Self::Granted(_) => "Granted",
            Self::Dropped { .. } => "WaitingDropped",
        }
    }

    /// The reservation it concerns, if it concerns one.
    #[must_use]
    pub fn reservation(&self) -> Option<ReservationId> {
        match self {
            Self::Upserted { .. } | Self::Closed { .. } => None,
            Self::Granted(granted) => Some(granted.reservation),
            Self::Dropped { reservation, .. } => Some(*reservation),
        }
    }

    /// Work it books or gives back.
    #[must_use]
    pub fn bookings(&self) -> SmallVec<[Booking; 4]> {
        SmallVec::new()
    }

    /// The shards it changes. Those of a change of campaigns get the new directory from whoever holds all locks.
    #[must_use]
    pub fn shards(&self) -> ShardSet {
        match self {
            Self::Upserted { campaigns, left, .. } => {
                let items = campaigns.iter().flat_map(|campaign| &campaign.items).map(|item| item.sku);
                items.chain(left.iter().map(|(_, sku)| *sku)).map(SkuId::shard).collect()
            }
            // Every shard forgets its buyers.
            Self::Closed { .. } => ShardSet::ALL,
            Self::Granted(granted) => granted.shards(),
            Self::Dropped { reservation, .. } => ShardSet::from_iter([reservation.home()]),
        }
    }
}

impl Granted {
    pub(crate) fn shards(&self) -> ShardSet {
        let mut shards = self.others;
        shards.insert(self.reservation.home());
        self.lines.iter().for_each(|line| shards.insert(line.sku.shard()));
        if let Some(bought) = &self.bought {
            shards.insert(counter_shard(bought.campaign, &bought.buyer_id));
        }
        shards
    }
}

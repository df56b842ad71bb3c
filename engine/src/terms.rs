//! What a reservation carries beyond a plain hold: where its units count, what it is promised of the future, what it was a kit of.

use crate::{
    event::Line,
    id::{CampaignId, LocationId, NodeId, SkuId, SupplyId},
    quantity::Quantity,
    time::Timestamp,
};

/// What a hold carries beyond a plain one.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Terms {
    /// Selling nodes that the units count to, the innermost first. Empty where no allotment speaks of the SKUs.
    pub path: Box<[NodeId]>,
    /// The campaign it buys in. Its units count to the buyer's limit.
    pub campaign: Option<CampaignId>,
    /// How it begins.
    pub stage: Stage,
    /// What is wanted while nothing is taken.
    pub wanted: Box<[Wanted]>,
    /// Units promised from what is expected, by supply.
    pub presold: Box<[PresoldLine]>,
    /// Kits that lines are components of, by SKU.
    pub kits: Box<[KitLine]>,
    /// While waiting: the place in the line when it began, from 1.
    pub place: u32,
}

/// How a reservation begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Stage {
    /// Units are reserved until the expiry.
    #[default]
    Held,
    /// Units are committed at once: the channel deducts at the order.
    Committed,
    /// Nothing is taken yet: the channel deducts at the payment.
    Placed,
    /// Nothing is taken yet: the buyer waits for units to come back.
    Waiting,
}

/// Units wanted of a SKU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// SKU.
    pub sku: SkuId,
    /// Location, or any.
    pub location: Option<LocationId>,
    /// Units, at least 1.
    pub quantity: Quantity,
}

/// Units promised from what is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PresoldLine {
    /// From what.
    pub supply: SupplyId,
    /// What, where and how much.
    pub line: Line,
    /// When it was expected as it was promised.
    pub promised: Timestamp,
    /// Its units count to the path of the reservation. Known once the hold is in its place: the hold's own event does not say.
    pub charged: bool,
}

/// A kit of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KitLine {
    /// The kit's SKU.
    pub sku: SkuId,
    /// Kits.
    pub quantity: Quantity,
}

/// Units of a buyer that count to a campaign's limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bought {
    /// Which campaign.
    pub campaign: CampaignId,
    /// The buyer.
    pub buyer_id: Box<str>,
    /// Units.
    pub quantity: Quantity,
}

/// What an event moves besides a reservation's lines.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ClaimExtra {
    /// Units that are promised from what is expected, by supply.
    pub presold: Box<[PresoldLine]>,
    /// Units given back to a buyer's limit in a campaign.
    pub bought: Option<Bought>,
    /// Kits that are no longer part of it.
    pub kits: Box<[KitLine]>,
}

/// What a header keeps of its terms.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Kept {
    /// The campaign it buys in.
    pub campaign: Option<CampaignId>,
    /// Kits that lines are components of, by SKU.
    pub kits: Box<[KitLine]>,
    /// What is wanted while nothing is taken.
    pub wanted: Box<[Wanted]>,
}

impl Kept {
    /// What is kept of a hold's terms; `None` when there is nothing.
    #[must_use]
    pub fn of(terms: &Terms) -> Option<Box<Self>> {
        let kept = Self { campaign: terms.campaign, kits: terms.kits.clone(), wanted: terms.wanted.clone() };
        (kept != Self::default()).then(|| Box::new(kept))
    }
}

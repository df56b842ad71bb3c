//! Freezes: what stands on SKUs, locations and cells, and keeps units from being promised.
//!
//! A frozen SKU is like one that is not for sale, a frozen location like one that is not open, and a frozen cell has nothing available.
//! What is promised already stays promised. Freezes of SKUs and cells lie in the shards of the SKUs, those of locations in the directory.

use std::collections::BTreeMap;

use crate::{
    id::{LocationId, SkuId},
    time::Timestamp,
};

/// Freezes that may stand on one thing.
pub const FREEZES_MAX: usize = 32;

/// Why something is frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FreezeReason {
    /// It is being counted.
    Count,
    /// It is called back. Nothing is shipped.
    Recall,
    /// Its quality is in doubt. Nothing is shipped.
    Quality,
    /// A court or an authority.
    Legal,
    /// Damage.
    Damage,
    /// A system is down.
    System,
    /// Fire, water, worse.
    Disaster,
    /// Something else.
    Other,
}

impl FreezeReason {
    /// All, by their numbers.
    pub const ALL: [Self; 8] = [
        Self::Count,
        Self::Recall,
        Self::Quality,
        Self::Legal,
        Self::Damage,
        Self::System,
        Self::Disaster,
        Self::Other,
    ];

    /// Number of `quartermaster.v1.FreezeReason`.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::Count => 1,
            Self::Recall => 2,
            Self::Quality => 3,
            Self::Legal => 4,
            Self::Damage => 5,
            Self::System => 6,
            Self::Disaster => 7,
            Self::Other => 8,
        }
    }

    /// The reason of a number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.number() == number)
    }

    /// Name in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Recall => "recall",
            Self::Quality => "quality",
            Self::Legal => "legal",
            Self::Damage => "damage",
            Self::System => "system",
            Self::Disaster => "disaster",
            Self::Other => "other",
        }
    }

    /// Whether units that are promised already may not leave either.
    #[must_use]
    pub fn stops_shipping(self) -> bool {
        matches!(self, Self::Recall | Self::Quality)
    }
}

/// What can be frozen. Ordered: SKUs and their cells by SKU, then locations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Frozen {
    /// A SKU, everywhere.
    Sku(SkuId),
    /// A SKU at one location.
    Cell(SkuId, LocationId),
    /// A location, with all SKUs.
    Location(LocationId),
}

impl Frozen {
    /// The SKU, unless it is a location.
    #[must_use]
    pub fn sku(self) -> Option<SkuId> {
        match self {
            Self::Sku(sku) | Self::Cell(sku, _) => Some(sku),
            Self::Location(_) => None,
        }
    }

    /// The location, unless it is a SKU.
    #[must_use]
    pub fn location(self) -> Option<LocationId> {
        match self {
            Self::Location(location) | Self::Cell(_, location) => Some(location),
            Self::Sku(_) => None,
        }
    }
}

/// A freeze that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freeze {
    /// LSN of its event.
    pub id: u64,
    /// Why.
    pub reason: FreezeReason,
    /// The caller's document.
    pub reference: Box<str>,
    /// When.
    pub frozen_at: Timestamp,
}

/// Reasons of freezes, each once, in their order.
#[must_use]
pub fn reasons(freezes: &[Freeze]) -> Vec<FreezeReason> {
    let mut reasons: Vec<FreezeReason> = freezes.iter().map(|freeze| freeze.reason).collect();
    reasons.sort_unstable();
    reasons.dedup();
    reasons
}

/// Takes freezes off one thing.
pub(crate) fn thaw<K: Ord>(freezes: &mut BTreeMap<K, Vec<Freeze>>, target: &K, gone: &[u64]) {
    if let Some(standing) = freezes.get_mut(target) {
        standing.retain(|freeze| !gone.contains(&freeze.id));
        if standing.is_empty() {
            freezes.remove(target);
        }
    }
}

/// State behind a shard's lock.
#[derive(Debug, Default)]
pub(crate) struct UpkeepState {
    /// Freezes of the shard's SKUs and cells, by id. Nothing stands here that is not frozen. Rows and cells have a flag that follows.
    pub(crate) freezes: BTreeMap<Frozen, Vec<Freeze>>,
}

impl UpkeepState {
    /// The freezes of a SKU or cell.
    pub(crate) fn of(&self, target: Frozen) -> &[Freeze] {
        self.freezes.get(&target).map_or(&[], Vec::as_slice)
    }
}

//! What happened: the only thing that is logged, and the only thing that changes state.
//!
//! Events are facts with resolved places and quantities. Each names every cell it touches, so that a lock shard can be brought
//! forward without its neighbours.

pub mod allotment;
pub mod campaign;
pub(crate) mod placed;
pub mod returns;
pub mod rules;
pub mod supply;
pub mod upkeep;

use std::sync::Arc;

use compact_str::CompactString;
use quartermaster_sourcing::region::RegionSpec;
use smallvec::SmallVec;

use crate::{
    allotment::LimitedBy,
    capacity::Booking,
    catalog::{Channel, Location, Sku, documents::DocumentId},
    command::StockReason,
    id::{ChannelId, LocationId, ReservationId, ShardId, SkuId},
    quantity::Quantity,
    reservation::State,
    sourced::{Merged, Rerouted, Sourced},
    terms::{ClaimExtra, PresoldLine, Terms},
    time::Timestamp,
};

/// Units of one SKU at one location.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// SKU.
    pub sku: SkuId,
    /// Location.
    pub location: LocationId,
    /// Units, at least 1.
    pub quantity: Quantity,
}

/// Lines of an event; most orders have one.
pub type Lines = SmallVec<[Line; 2]>;

/// An event and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When it was decided.
    pub time: Timestamp,
    /// Idempotency key; empty for what the server does by itself.
    pub request_id: String,
    /// Hash of the request's content.
    pub fingerprint: u64,
    /// Who asked.
    pub actor: String,
    /// What happened.
    pub event: Event,
}

/// A change of state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A hold was granted.
    Held(Held),
    /// A hold became a commitment.
    Confirmed {
        /// All that was open.
        claim: Claim,
    },
    /// A hold was given back or its time was up.
    HoldEnded {
        /// All that was open.
        claim: Claim,
        /// Why.
        reason: HoldEndReason,
        /// Work given back.
        bookings: Box<[Booking]>,
    },
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
    /// A hold's expiry moved.
    Extended {
        /// Which.
        reservation: ReservationId,
        /// To when.
        expires_at: Timestamp,
    },
    /// Units left.
    Shipped {
        /// What left.
        claim: Claim,
        /// What this made of the reservation, if nothing is left open.
        end: Option<EndState>,
    },
    /// Units moved to another location.
    Reassigned {
        /// Whose.
        reservation: ReservationId,
        /// Bucket they are in.
        promise: Promise,
        /// Where they are now.
        line: Line,
        /// Where they were.
        from: LocationId,
    },
    /// Units were routed anew, to one or more locations.
    Rerouted(Box<Rerouted>),
    /// Reservations of one receiver were planned together.
    Merged(Box<Merged>),
    /// Buckets changed from outside.
    StockChanged(StockChanged),
    /// SKUs were added or replaced.
    SkusUpserted {
        /// Each whole, by id.
        skus: Vec<Sku>,
        /// How many are new.
        created: u32,
    },
    /// SKUs were retired.
    SkusRetired {
        /// Which.
        skus: Vec<SkuId>,
    },
    /// Locations were added or replaced.
    LocationsUpserted {
        /// Each whole.
        locations: Vec<Location>,
        /// How many are new.
        created: u32,
    },
    /// Channels were added or replaced.
    ChannelsUpserted {
        /// Each whole.
        channels: Vec<Channel>,
        /// How many are new.
        created: u32,
    },
    /// Regions were added or replaced.
    RegionsUpserted {
        /// Each whole.
        regions: Vec<RegionSpec>,
        /// How many are new.
        created: u32,
    },
    /// A version of a document was kept.
    DocumentDrafted {
        /// Which.
        document: DocumentId,
        /// Canonical text; empty where only the answer is kept.
        json: Arc<str>,
    },
    /// A version was put in force.
    DocumentActivated {
        /// Which.
        document: DocumentId,
        /// From when on; not before the event.
        effective_at: Timestamp,
    },
    /// A version was taken out of force.
    DocumentRetired {
        /// Which.
        document: DocumentId,
    },
    /// Facts of cells were set.
    CellFactsSet {
        /// Each cell once, by SKU and location.
        facts: Vec<CellFacts>,
    },
    /// Units ring-fenced for channels and campaigns.
    Allotment(Box<allotment::AllotmentEvent>),
    /// Flash sales, their buyers and their waiting lists, and orders that take stock at payment.
    Campaign(Box<campaign::CampaignEvent>),
    /// Units that are expected, the promises on them, and transfers.
    Supply(Box<supply::SupplyEvent>),
    /// Units that come back from buyers.
    Returns(Box<returns::ReturnsEvent>),
    /// Freezes, counts and repairs.
    Upkeep(Box<upkeep::UpkeepEvent>),
    /// Safety stock of many levels, and rules that set it and allotments.
    Rules(Box<rules::RulesEvent>),
    /// Stands for a large event where only its answer is kept. Never in the journal.
    Summary(Summary),
}

/// A hold was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its id.
    pub reservation: ReservationId,
    /// The caller's order number.
    pub order_id: CompactString,
    /// The buyer.
    pub buyer_id: CompactString,
    /// The channel.
    pub channel: Option<ChannelId>,
    /// When it expires.
    pub expires_at: Timestamp,
    /// What was taken, by SKU and location.
    pub lines: Lines,
    /// A hold given up in the same step.
    pub replaced: Option<Box<Claim>>,
    /// Work that giving it up frees.
    pub replaced_bookings: Box<[Booking]>,
    /// What a partial hold could not take.
    pub shortages: Vec<Shortage>,
    /// How it was sourced, when the router decided.
    pub sourced: Option<Box<Sourced>>,
    /// What it carries beyond a plain hold.
    pub terms: Option<Box<Terms>>,
}

/// A hold that took units of one cell and carries nothing besides: nearly every one. It borrows its texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlainHeld<'a> {
    pub(crate) reservation: ReservationId,
    pub(crate) order_id: &'a str,
    pub(crate) buyer_id: &'a str,
    pub(crate) channel: Option<ChannelId>,
    pub(crate) expires_at: Timestamp,
    pub(crate) line: Line,
}

impl PlainHeld<'_> {
    /// The same as the event that tells of any hold.
    pub(crate) fn to_held(self) -> Held {
        let mut lines = Lines::new();
        lines.push(self.line);
        Held {
            reservation: self.reservation,
            order_id: self.order_id.into(),
            buyer_id: self.buyer_id.into(),
            channel: self.channel,
            expires_at: self.expires_at,
            lines,
            replaced: None,
            replaced_bookings: Box::default(),
            shortages: Vec::new(),
            sourced: None,
            terms: None,
        }
    }
}

/// What happens to a plain reservation after its hold: all units that it moves are of one line, and lie in its home shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlainStep {
    pub(crate) reservation: ReservationId,
    pub(crate) line: Line,
    pub(crate) what: Stepped,
}

/// Which step it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stepped {
    /// The hold became a commitment.
    Confirmed,
    /// The hold was given back or its time was up.
    HoldEnded(HoldEndReason),
    /// Units left, which made this of the reservation if nothing is left open.
    Shipped(Option<EndState>),
}

impl PlainStep {
    /// What it moves.
    pub(crate) fn claim(&self) -> Claim {
        let mut lines = Lines::new();
        lines.push(self.line);
        Claim { reservation: self.reservation, lines, others: ShardSet::default(), extra: None }
    }
}

/// What nearly every event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlainEvent<'a> {
    /// A plain hold was granted.
    Held(PlainHeld<'a>),
    /// It went on.
    Stepped(PlainStep),
}

impl PlainEvent<'_> {
    /// The reservation.
    pub(crate) fn reservation(&self) -> ReservationId {
        match self {
            Self::Held(held) => held.reservation,
            Self::Stepped(step) => step.reservation,
        }
    }

    /// The shard that it concerns.
    pub(crate) fn home(&self) -> ShardId {
        self.reservation().home()
    }

    /// The channel that it names.
    pub(crate) fn channel(&self) -> Option<ChannelId> {
        match self {
            Self::Held(held) => held.channel,
            Self::Stepped(_) => None,
        }
    }

    /// The units.
    pub(crate) fn line(&self) -> &Line {
        match self {
            Self::Held(held) => &held.line,
            Self::Stepped(step) => &step.line,
        }
    }
}

impl Held {
    /// As a plain hold, if it is one.
    pub(crate) fn plain(&self) -> Option<PlainHeld<'_>> {
        let [line] = *self.lines else { return None };
        let carries = self.replaced.is_some() || self.sourced.is_some() || self.terms.is_some();
        // The lock shard of its line is its home: nothing of it lies elsewhere.
        if carries || !self.shortages.is_empty() || line.sku.shard() != self.reservation.home() {
            return None;
        }
        Some(PlainHeld {
            reservation: self.reservation,
            order_id: &self.order_id,
            buyer_id: &self.buyer_id,
            channel: self.channel,
            expires_at: self.expires_at,
            line,
        })
    }

    /// What it is promised from what is expected, by supply.
    #[must_use]
    pub fn presold(&self) -> &[PresoldLine] {
        self.terms.as_deref().map_or(&[], |terms| &terms.presold)
    }

    /// The shards that the reservation lies in: its home, those of what it took or wants, and the one that counts its buyer.
    pub(crate) fn own_shards(&self) -> ShardSet {
        let mut shards = ShardSet::default();
        self.put_shards(&mut shards);
        shards
    }

    fn put_shards(&self, shards: &mut ShardSet) {
        shards.insert(self.reservation.home());
        self.lines.iter().for_each(|line| shards.insert(line.sku.shard()));
        if let Some(terms) = &self.terms {
            terms.wanted.iter().for_each(|wanted| shards.insert(wanted.sku.shard()));
            terms.presold.iter().for_each(|one| shards.insert(one.line.sku.shard()));
            if let Some(campaign) = terms.campaign.filter(|_| !self.buyer_id.is_empty()) {
                shards.insert(crate::campaign::counter_shard(campaign, &self.buyer_id));
            }
        }
    }
}
/// A reservation and the units of it that an event moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Which reservation.
    pub reservation: ReservationId,
    /// The units.
    pub lines: Lines,
    /// Shards the reservation lies in besides its home and those of the lines: it has nothing open there, and must hear of its end.
    pub others: ShardSet,
    /// What it moves besides.
    pub extra: Option<Box<ClaimExtra>>,
}

impl Claim {
    /// Units of a reservation that lies in `shards`.
    #[must_use]
    pub fn new(reservation: ReservationId, lines: Lines, shards: &ShardSet) -> Self {
        let named = lines.iter().map(|line| line.sku.shard()).chain([reservation.home()]).collect();
        Self { reservation, lines, others: shards.without(&named), extra: None }
    }

    /// What it moves of what is promised from what is expected.
    #[must_use]
    pub fn presold(&self) -> &[PresoldLine] {
        self.extra.as_deref().map_or(&[], |extra| &extra.presold)
    }

    fn shards(&self) -> ShardSet {
        let mut shards = self.others;
        shards.insert(self.reservation.home());
        self.lines.iter().for_each(|line| shards.insert(line.sku.shard()));
        shards
    }
}

/// Units asked for and not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// SKU.
    pub sku: SkuId,
    /// Location, when one was named.
    pub location: Option<LocationId>,
    /// Units asked for.
    pub requested: u64,
    /// Units taken.
    pub available: u64,
    /// What kept it from more.
    pub limited_by: LimitedBy,
    /// When the SKU is a kit: the component that limits it.
    pub component: Option<SkuId>,
}

/// Why a hold ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldEndReason {
    /// The caller gave it back.
    Released,
    /// Its time was up.
    Expired,
}

/// The bucket of a cell that holds a reservation's open units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Promise {
    /// Reserved: the reservation is held.
    #[default]
    Reserved,
    /// Committed: it is confirmed.
    Committed,
}

/// How a confirmed or cancelled reservation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndState {
    /// Something was shipped.
    Shipped,
    /// Nothing was shipped.
    Cancelled,
}

/// Buckets changed from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StockChanged {
    /// By what kind of request.
    pub kind: StockChangeKind,
    /// Why.
    pub reason: StockReason,
    /// The caller's document.
    pub reference: Box<str>,
    /// Each cell once, by SKU and location.
    pub changes: Vec<CellChange>,
}

/// What kind of request changed stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StockChangeKind {
    /// An absolute figure.
    Set,
    /// A difference.
    Adjusted,
    /// Goods arrived.
    Received,
    /// Units changed bucket.
    Moved,
    /// Part of an import.
    Imported,
}

/// Differences to one cell's buckets, and figures after them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellChange {
    /// SKU.
    pub sku: SkuId,
    /// Location.
    pub location: LocationId,
    /// Difference in on hand.
    pub on_hand: i64,
    /// Difference in safety.
    pub safety: i64,
    /// Difference in quality control.
    pub quality_control: i64,
    /// Difference in damaged.
    pub damaged: i64,
    /// Difference in in repair.
    pub in_repair: i64,
    /// Difference in incoming.
    pub incoming: i64,
    /// On hand after it.
    pub on_hand_after: Quantity,
    /// Available after it.
    pub available_after: Quantity,
    /// Promised units that are not there after it.
    pub shortfall_after: u64,
}

/// What planning knows of one cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellFacts {
    /// SKU.
    pub sku: SkuId,
    /// Location.
    pub location: LocationId,
    /// What is known; nothing known forgets what was.
    pub facts: Facts,
}

/// What planning knows of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Facts {
    /// Units sold a week, in thousandths.
    pub weekly_demand_milli: Option<u32>,
    /// Days since 1970-01-01 when the oldest unit arrived.
    pub oldest_receipt_day: Option<u32>,
}

/// The answer of a large event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Name of the event.
    pub event: Box<str>,
    /// Entries or cells in it.
    pub entries: u32,
    /// How many were new.
    pub created: u32,
    /// Cells in shortfall after it.
    pub shortfalls: u32,
}

impl Rerouted {
    fn shards(&self) -> ShardSet {
        self.lines().map(|line| line.sku.shard()).chain([self.reservation.home()]).collect()
    }
}

impl EndState {
    /// The state it leaves the reservation in.
    #[must_use]
    pub fn state(self) -> State {
        match self {
            Self::Shipped => State::Shipped,
            Self::Cancelled => State::Cancelled,
        }
    }
}

impl Event {
    /// Its name, as in the journal's proto.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Held(_) => "Held",
            Self::Confirmed { .. } => "Confirmed",
            Self::HoldEnded { .. } => "HoldEnded",
            Self::Cancelled { .. } => "Cancelled",
            Self::Extended { .. } => "Extended",
            Self::Shipped { .. } => "Shipped",
            Self::Reassigned { .. } => "Reassigned",
            Self::Rerouted(_) => "Rerouted",
            Self::Merged(_) => "Merged",
            Self::StockChanged(_) => "StockChanged",
            Self::SkusUpserted { .. } => "SkusUpserted",
            Self::SkusRetired { .. } => "SkusRetired",
            Self::LocationsUpserted { .. } => "LocationsUpserted",
            Self::ChannelsUpserted { .. } => "ChannelsUpserted",
            Self::RegionsUpserted { .. } => "RegionsUpserted",
            Self::DocumentDrafted { .. } => "DocumentDrafted",
            Self::DocumentActivated { .. } => "DocumentActivated",
            Self::DocumentRetired { .. } => "DocumentRetired",
            Self::CellFactsSet { .. } => "CellFactsSet",
            Self::Allotment(event) => event.name(),
            Self::Campaign(event) => event.name(),
            Self::Supply(event) => event.name(),
            Self::Returns(event) => event.name(),
            Self::Upkeep(event) => event.name(),
            Self::Rules(event) => event.name(),
            Self::Summary(summary) => &summary.event,
        }
    }

    /// The reservation it concerns, if it concerns one.
    #[must_use]
    pub fn reservation(&self) -> Option<ReservationId> {
        match self {
            Self::Held(held) => Some(held.reservation),
            Self::Extended { reservation, .. } | Self::Reassigned { reservation, .. } => Some(*reservation),
            Self::Rerouted(rerouted) => Some(rerouted.reservation),
            Self::Allotment(event) => event.reservation(),
            Self::Campaign(event) => event.reservation(),
            Self::Supply(event) => event.reservation(),
            Self::Returns(event) => event.reservation(),
            Self::Upkeep(event) => event.reservation(),
            Self::Rules(event) => event.reservation(),
            event => event.claim().map(|claim| claim.reservation),
        }
    }

    /// What goes on or ends of an earlier reservation, if it is one of the steps that nearly every reservation takes.
    pub(crate) fn claim(&self) -> Option<&Claim> {
        match self {
            Self::Confirmed { claim }
            | Self::HoldEnded { claim, .. }
            | Self::Cancelled { claim, .. }
            | Self::Shipped { claim, .. } => Some(claim),
            _ => None,
        }
    }

    /// The hold it grants, if it grants one.
    #[must_use]
    pub fn held(&self) -> Option<&Held> {
        match self {
            Self::Held(held) => Some(held),
            Self::Returns(event) => event.held(),
            _ => None,
        }
    }

    /// Work it books or gives back.
    #[must_use]
    pub fn bookings(&self) -> SmallVec<[Booking; 4]> {
        match self {
            // Most holds are not sourced and replace nothing.
            Self::Held(held) if held.sourced.is_none() && held.replaced_bookings.is_empty() => SmallVec::new(),
            Self::Held(held) => {
                let own = held.sourced.iter().flat_map(|sourced| sourced.bookings.iter());
                own.copied().chain(held.replaced_bookings.iter().copied()).collect()
            }
            Self::HoldEnded { bookings, .. } | Self::Cancelled { bookings, .. } => bookings.iter().copied().collect(),
            Self::Rerouted(rerouted) => rerouted.bookings.iter().copied().collect(),
            Self::Merged(merged) => merged.moves.iter().flat_map(|part| part.bookings.iter().copied()).collect(),
            Self::Allotment(event) => event.bookings(),
            Self::Campaign(event) => event.bookings(),
            Self::Supply(event) => event.bookings(),
            Self::Returns(event) => event.bookings(),
            Self::Upkeep(event) => event.bookings(),
            Self::Rules(event) => event.bookings(),
            _ => SmallVec::new(),
        }
    }

    /// The shards it changes. Empty for a change of the directory, which every shard shares.
    #[must_use]
    pub fn shards(&self) -> ShardSet {
        match self {
            Self::Held(held) => {
                let mut shards = held.replaced.as_deref().map_or_else(ShardSet::default, Claim::shards);
                held.put_shards(&mut shards);
                shards
            }
            Self::Confirmed { claim }
            | Self::HoldEnded { claim, .. }
            | Self::Cancelled { claim, .. }
            | Self::Shipped { claim, .. } => claim.shards(),
            Self::Extended { reservation, .. } => ShardSet::from_iter([reservation.home()]),
            Self::Reassigned { reservation, line, .. } => ShardSet::from_iter([reservation.home(), line.sku.shard()]),
            Self::Rerouted(rerouted) => rerouted.shards(),
            Self::Merged(merged) => {
                merged.moves.iter().flat_map(|part| part.shards().iter().collect::<Vec<_>>()).collect()
            }
            Self::StockChanged(change) => change.changes.iter().map(|cell| cell.sku.shard()).collect(),
            Self::CellFactsSet { facts } => facts.iter().map(|cell| cell.sku.shard()).collect(),
            Self::Allotment(event) => event.shards(),
            Self::Campaign(event) => event.shards(),
            Self::Supply(event) => event.shards(),
            Self::Returns(event) => event.shards(),
            Self::Upkeep(event) => event.shards(),
            Self::Rules(event) => event.shards(),
            Self::SkusUpserted { skus, .. } => skus.iter().map(|sku| sku.id.shard()).collect(),
            Self::SkusRetired { skus } => skus.iter().map(|sku| sku.shard()).collect(),
            Self::LocationsUpserted { .. }
            | Self::ChannelsUpserted { .. }
            | Self::RegionsUpserted { .. }
            | Self::DocumentDrafted { .. }
            | Self::DocumentActivated { .. }
            | Self::DocumentRetired { .. }
            | Self::Summary(_) => ShardSet::default(),
        }
    }
}

/// A set of shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ShardSet([u64; 4]);

impl ShardSet {
    /// Every shard.
    pub const ALL: Self = Self([u64::MAX; 4]);

    /// One shard.
    #[must_use]
    #[inline]
    pub fn of(shard: ShardId) -> Self {
        let mut set = Self::default();
        set.insert(shard);
        set
    }

    /// Adds one.
    #[inline]
    pub fn insert(&mut self, shard: ShardId) {
        self.0[usize::from(shard.0 >> 6)] |= 1 << (shard.0 & 63);
    }

    /// Takes one out.
    pub fn remove(&mut self, shard: ShardId) {
        self.0[usize::from(shard.0 >> 6)] &= !(1 << (shard.0 & 63));
    }

    /// Whether it is in.
    #[must_use]
    pub fn contains(&self, shard: ShardId) -> bool {
        self.0[usize::from(shard.0 >> 6)] & 1 << (shard.0 & 63) != 0
    }

    /// Those that are in `other`, too.
    #[must_use]
    pub fn both(&self, other: &Self) -> Self {
        let mut rest = *self;
        rest.0.iter_mut().zip(other.0).for_each(|(mine, theirs)| *mine &= theirs);
        rest
    }

    /// Those that are not in `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut rest = *self;
        rest.0.iter_mut().zip(other.0).for_each(|(mine, theirs)| *mine &= !theirs);
        rest
    }

    /// Ascending: the order of locking.
    pub fn iter(&self) -> impl Iterator<Item = ShardId> {
        let (mut words, mut word) = (self.0, 0_u8);
        std::iter::from_fn(move || {
            loop {
                let bits = words.get_mut(usize::from(word))?;
                match u8::try_from(bits.trailing_zeros()) {
                    Ok(bit) if bit < 64 => {
                        *bits &= *bits - 1;
                        return Some(ShardId(word << 6 | bit));
                    }
                    _ => word += 1,
                }
            }
        })
    }
}

impl FromIterator<ShardId> for ShardSet {
    fn from_iter<I: IntoIterator<Item = ShardId>>(shards: I) -> Self {
        let mut set = Self::default();
        shards.into_iter().for_each(|shard| set.insert(shard));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_set_iterates_ascending() {
        let set: ShardSet = [200, 3, 64, 63, 255, 3].into_iter().map(ShardId).collect();
        assert_eq!(set.iter().map(|shard| shard.0).collect::<Vec<_>>(), [3, 63, 64, 200, 255]);
        assert!(set.contains(ShardId(64)) && !set.contains(ShardId(65)));
        assert_eq!(ShardSet::ALL.iter().count(), 256);
        assert_eq!(ShardSet::ALL.without(&set).iter().count(), 251);
        assert_eq!(set.without(&ShardSet::ALL), ShardSet::default());
        let some = ShardSet::from_iter([ShardId(64), ShardId(65)]);
        assert_eq!(set.both(&some).iter().collect::<Vec<_>>(), [ShardId(64)]);
    }
}

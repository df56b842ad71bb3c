//! Units that are expected, the promises on them, and transfers: what happened.
//!
//! A document's header lies in the shard of its code, its lines in the shards of their SKUs. An event tells each line whole as it stands
//! after it, so that either can be brought forward without the other.

use smallvec::SmallVec;

use crate::{
    capacity::Booking,
    command::StockReason,
    event::{Promise, ShardSet},
    id::{LocationId, ReservationId, ShardId, SkuId, SupplyId},
    quantity::Quantity,
    supply::home_of,
    time::Timestamp,
};

/// A step of a document of expected units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupplyEvent {
    /// Which step.
    pub step: InboundStep,
    /// The document's code.
    pub code: Box<str>,
    /// Where its units come from.
    pub kind: InboundKind,
    /// Where they are expected.
    pub location: LocationId,
    /// Where they left, when they were taken from stock.
    pub from: Option<LocationId>,
    /// When they are expected, after this.
    pub eta: Timestamp,
    /// What has become of the document.
    pub state: InboundState,
    /// The caller's document.
    pub reference: Box<str>,
    /// Lines that this concerns, by SKU.
    pub lines: Vec<InboundLine>,
    /// Units promised ahead that change places, in the order in which they do.
    pub moves: Vec<PresoldMove>,
    /// Whom a later arrival hurts, by reservation.
    pub late: Vec<LatePromise>,
    /// What is promised of supplies that do not cover it any more, after this, by reservation: of the SKUs of the lines.
    pub uncovered: Vec<UncoveredPromise>,
}

/// A step of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InboundStep {
    /// Units are expected.
    Announced,
    /// Units left one location for another.
    TransferShipped,
    /// What is expected changed.
    Changed,
    /// Units arrived, or will not.
    Received,
    /// Nothing more will come.
    Cancelled,
}

/// Where expected units come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InboundKind {
    /// A supplier.
    Purchase,
    /// Another location.
    Transfer,
    /// Buyers.
    Return,
}

/// State of a document: open → receiving → received, or cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InboundState {
    /// Nothing has arrived.
    Open,
    /// Some has arrived, more is expected.
    Receiving,
    /// Closed: nothing more is expected.
    Received,
    /// Closed without waiting for the rest.
    Cancelled,
}

/// A line of a document as it stands after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboundLine {
    /// Its id.
    pub supply: SupplyId,
    /// What is expected.
    pub sku: SkuId,
    /// Units announced in all.
    pub expected: Quantity,
    /// Units that have arrived.
    pub received: Quantity,
    /// Units that may stand promised ahead at most.
    pub cap: Option<Quantity>,
    /// Per cent of what is still expected that may be promised ahead.
    pub confidence: u8,
    /// More may come.
    pub open: bool,
    /// Units still expected before the event.
    pub rest_before: Quantity,
    /// Units that arrived by the event.
    pub arrived: Quantity,
    /// Why it differs, when it does.
    pub reason: StockReason,
}

/// Units promised ahead that change places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresoldMove {
    /// Whose.
    pub reservation: ReservationId,
    /// Of what.
    pub sku: SkuId,
    /// How many.
    pub quantity: Quantity,
    /// Bucket of what becomes stock.
    pub promise: Promise,
    /// The supply they were promised of.
    pub from: SupplyId,
    /// Where they are promised now.
    pub to: PresoldTarget,
}

/// Where units promised ahead go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresoldTarget {
    /// They are stock of a location from now on, promised there.
    Stock(LocationId),
    /// They are promised of another supply.
    Supply {
        /// Which.
        supply: SupplyId,
        /// Where it is expected.
        location: LocationId,
        /// When it is expected.
        expected_at: Timestamp,
    },
}

/// A promise that will be kept later than it was given for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LatePromise {
    /// Whose.
    pub reservation: ReservationId,
    /// Of what.
    pub sku: SkuId,
    /// The supply it is promised of.
    pub supply: SupplyId,
    /// How many.
    pub quantity: Quantity,
    /// When it was promised for.
    pub promised: Timestamp,
    /// When it is expected now.
    pub expected: Timestamp,
}

/// A promise that no supply covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UncoveredPromise {
    /// Whose.
    pub reservation: ReservationId,
    /// Of what.
    pub sku: SkuId,
    /// The supply it is promised of.
    pub supply: SupplyId,
    /// How many.
    pub quantity: Quantity,
}

impl InboundLine {
    /// Units still expected after the event.
    #[must_use]
    pub fn rest(&self) -> Quantity {
        if self.open { Quantity(self.expected.0.saturating_sub(self.received.0)) } else { Quantity::ZERO }
    }

    /// More arrived than was expected (positive), or less and nothing more will come (negative).
    #[must_use]
    pub fn difference(&self) -> i64 {
        let difference = self.arrived.signed() - self.rest_before.signed();
        if self.open { difference.max(0) } else { difference }
    }
}

impl InboundKind {
    /// Number in journals and hashes.
    #[must_use]
    pub fn code(self) -> u64 {
        match self {
            Self::Purchase => 1,
            Self::Transfer => 2,
            Self::Return => 3,
        }
    }

    /// Name in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Purchase => "purchase",
            Self::Transfer => "transfer",
            Self::Return => "return",
        }
    }
}

impl InboundState {
    /// Whether more may come.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::Receiving)
    }

    /// Name in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Receiving => "receiving",
            Self::Received => "received",
            Self::Cancelled => "cancelled",
        }
    }
}

impl SupplyEvent {
    /// Its name, as in the journal's proto.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.step {
            InboundStep::Announced => "InboundAnnounced",
            InboundStep::TransferShipped => "TransferShipped",
            InboundStep::Changed => "InboundChanged",
            InboundStep::Received => "InboundReceived",
            InboundStep::Cancelled => "InboundCancelled",
        }
    }

    /// The reservation it concerns, if it concerns one: the moves name theirs.
    #[must_use]
    pub fn reservation(&self) -> Option<ReservationId> {
        None
    }

    /// Work it books or gives back.
    #[must_use]
    pub fn bookings(&self) -> SmallVec<[Booking; 4]> {
        SmallVec::new()
    }

    /// The shards it changes: that of the document's code and those of the SKUs.
    #[must_use]
    pub fn shards(&self) -> ShardSet {
        let skus = self.lines.iter().map(|line| line.sku).chain(self.moves.iter().map(|moved| moved.sku));
        skus.map(SkuId::shard).chain([self.home()]).collect()
    }

    /// The shard of the document's header.
    #[must_use]
    pub fn home(&self) -> ShardId {
        home_of(&self.code)
    }
}

//! Reservations: what is kept of them, and the states they pass through.
//!
//! A reservation's lines lie in the shards of their SKUs, so that every shard can be checked, copied and brought forward alone. What
//! concerns the whole of it, its header, lies in its home shard.

mod packed;
mod parts;
mod plain;
mod text;
mod view;

use quartermaster_journal::Lsn;
use smallvec::SmallVec;

pub(crate) use self::{
    packed::Packed,
    parts::Parts,
    plain::Plain,
    view::{HeaderRef, PartMut, PartRef, UnitsMut},
};

use crate::{
    event::{Promise, ShardSet},
    id::{ChannelId, LocationId, NodeId, ReservationId, SkuId},
    quantity::Quantity,
    sourced::Sourcing,
    terms::{Kept, PresoldLine},
    time::Timestamp,
};

/// State of a reservation: held → confirmed → shipped, or an earlier end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Units are reserved until the expiry.
    Held,
    /// Units are committed.
    Confirmed,
    /// Nothing is taken yet: its channel deducts at the payment.
    Placed,
    /// Nothing is taken yet: its buyer waits for units to come back.
    Waiting,
    /// Ended: nothing is open and something was shipped.
    Shipped,
    /// Ended: given back.
    Released,
    /// Ended: its time was up.
    Expired,
    /// Ended: cancelled before anything was shipped.
    Cancelled,
    /// Ended: another took its place.
    Replaced,
}

impl State {
    /// All of them, by their numbers.
    pub(crate) const ALL: [Self; 9] = [
        Self::Held,
        Self::Confirmed,
        Self::Placed,
        Self::Waiting,
        Self::Shipped,
        Self::Released,
        Self::Expired,
        Self::Cancelled,
        Self::Replaced,
    ];

    /// Its number in memory; on disk it has another.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Held => 0,
            Self::Confirmed => 1,
            Self::Placed => 2,
            Self::Waiting => 3,
            Self::Shipped => 4,
            Self::Released => 5,
            Self::Expired => 6,
            Self::Cancelled => 7,
            Self::Replaced => 8,
        }
    }

    /// Whether it has not ended: it holds units, or may yet get some.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Held | Self::Confirmed | Self::Placed | Self::Waiting)
    }

    /// Name in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Confirmed => "confirmed",
            Self::Placed => "placed",
            Self::Waiting => "waiting",
            Self::Shipped => "shipped",
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Replaced => "replaced",
        }
    }
}

/// A reservation's lines within one shard.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Part {
    pub(crate) promise: Promise,
    pub(crate) lines: SmallVec<[PartLine; 1]>,
    /// Selling nodes that charged lines count to, the innermost first.
    pub(crate) path: Box<[NodeId]>,
    /// Units promised from what is expected, by supply.
    pub(crate) presold: Vec<PresoldLine>,
    /// When the reservation ended.
    pub(crate) ended_at: Option<Timestamp>,
    /// In the home shard only.
    pub(crate) header: Option<Box<Header>>,
}

/// A line of a reservation as it stands. One per SKU and location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartLine {
    /// SKU.
    pub sku: SkuId,
    /// Location.
    pub location: LocationId,
    /// Still promised.
    pub open: Quantity,
    /// Left the location.
    pub shipped: Quantity,
    /// Given back.
    pub returned: Quantity,
    /// Of what was shipped, announced to come back.
    pub announced: Quantity,
    /// Its units count to the part's path.
    pub charged: bool,
}

/// What concerns a whole reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) state: State,
    pub(crate) order_id: Box<str>,
    pub(crate) buyer_id: Box<str>,
    pub(crate) channel: Option<ChannelId>,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) revision: Lsn,
    /// Where its lines are, its home included.
    pub(crate) shards: ShardSet,
    /// How it was sourced, when the router decided.
    pub(crate) sourcing: Option<Box<Sourcing>>,
    /// What it carries beyond a plain hold.
    pub(crate) kept: Option<Box<Kept>>,
}

/// A reservation as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Its id.
    pub id: ReservationId,
    /// State.
    pub state: State,
    /// The caller's order number.
    pub order_id: Box<str>,
    /// The buyer.
    pub buyer_id: Box<str>,
    /// The channel.
    pub channel: Option<ChannelId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the hold expires.
    pub expires_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// LSN of the last event that changed it.
    pub revision: Lsn,
    /// Its lines by SKU and location.
    pub lines: Vec<PartLine>,
    /// How it was sourced, when the router decided.
    pub sourcing: Option<Box<Sourcing>>,
    /// Units promised from what is expected, by supply.
    pub presold: Vec<PresoldLine>,
    /// What it carries beyond a plain hold.
    pub kept: Option<Box<Kept>>,
}

impl PartLine {
    /// A line of which everything is open.
    #[must_use]
    pub fn open(sku: SkuId, location: LocationId, open: Quantity) -> Self {
        let zero = Quantity::ZERO;
        Self { sku, location, open, shipped: zero, returned: zero, announced: zero, charged: false }
    }
}

impl Part {
    pub(crate) fn line_mut(&mut self, sku: SkuId, location: LocationId) -> Option<&mut PartLine> {
        self.lines.iter_mut().find(|line| line.sku == sku && line.location == location)
    }
}

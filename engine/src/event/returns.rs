//! Units that come back from buyers: what happened.

use smallvec::SmallVec;

use crate::{
    capacity::Booking,
    command::StockReason,
    event::{CellChange, Event, Held, ShardSet},
    id::{LocationId, ReservationId, ReturnId, SkuId},
    quantity::Quantity,
};

/// A change of state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReturnsEvent {
    /// Shipped units were announced to come back.
    Announced(Announced),
    /// Shipped units were announced to come back, and a hold was granted in their place.
    Exchanged {
        /// What comes back.
        announced: Announced,
        /// What was taken in its place: always `Event::Held`.
        held: Box<Event>,
    },
    /// Announced units arrived: they are on hand and in quality control.
    Received(Received),
    /// Units arrived that belong to no known reservation: on hand and in quality control.
    Unmatched(Unmatched),
    /// Units that had arrived were looked at: they leave quality control, or stay there.
    Inspected(Inspected),
    /// Announced units will not come.
    Withdrawn(Withdrawn),
    /// Cells were counted.
    Counted(Counted),
}

/// Why a return is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReturnKind {
    /// The buyer sends it back.
    Customer,
    /// The parcel could not be delivered.
    Undeliverable,
}

/// Why units come back: number of `quartermaster.v1.ReturnReason`, carried and not interpreted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ReturnReason(pub u32);

/// What becomes of a unit that came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Disposition {
    /// For sale again.
    Restock,
    /// Stays in quality control.
    QualityControl,
    /// Into repair.
    Repair,
    /// Thrown away: off hand.
    Scrap,
    /// Back to the vendor: off hand.
    ReturnToVendor,
}

/// Units of one SKU that were shipped from one location.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReturnUnits {
    /// SKU.
    pub sku: SkuId,
    /// Location of shipping.
    pub shipped_from: Option<LocationId>,
    /// Units, at least 1.
    pub quantity: Quantity,
}

/// Shipped units were announced to come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The return's id.
    pub id: ReturnId,
    /// Whose units.
    pub reservation: ReservationId,
    /// Why it is made.
    pub kind: ReturnKind,
    /// Why, in the buyer's or the carrier's words.
    pub reason: ReturnReason,
    /// The caller's document.
    pub reference: Box<str>,
    /// Where it is expected.
    pub expected_at: Option<LocationId>,
    /// What, by SKU and location of shipping.
    pub lines: Vec<ReturnUnits>,
    /// Shards of the reservation besides its home and those of the lines.
    pub others: ShardSet,
}

/// Announced units arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Which return.
    pub id: ReturnId,
    /// Its reservation.
    pub reservation: Option<ReservationId>,
    /// Why it was made.
    pub kind: ReturnKind,
    /// Where they arrived.
    pub location: LocationId,
    /// What arrived, by SKU and location of shipping.
    pub lines: Vec<ReturnUnits>,
    /// What is not expected any more, by SKU and location of shipping.
    pub withdrawn: Vec<ReturnUnits>,
    /// What changes in the cells, by SKU.
    pub changes: Vec<CellChange>,
    /// Nothing of the return is open after it.
    pub ended: bool,
    /// Shards of the reservation besides those that the rest names; only when it ended.
    pub others: ShardSet,
}

/// Units arrived that belong to no known reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmatched {
    /// The return's id.
    pub id: ReturnId,
    /// Why it is made.
    pub kind: ReturnKind,
    /// Why, in the buyer's or the carrier's words.
    pub reason: ReturnReason,
    /// The caller's document.
    pub reference: Box<str>,
    /// Where they arrived.
    pub location: LocationId,
    /// What arrived and what it changes, by SKU.
    pub changes: Vec<CellChange>,
}

/// Units that had arrived were looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspected {
    /// Which return.
    pub id: ReturnId,
    /// Its reservation.
    pub reservation: Option<ReservationId>,
    /// What was found, by SKU, location and disposition.
    pub lines: Vec<InspectedUnits>,
    /// What changes in the cells, by SKU and location. A cell whose units all stay is in it, too, with nothing changed.
    pub changes: Vec<CellChange>,
    /// Nothing of the return is open after it.
    pub ended: bool,
    /// Shards of the reservation besides those that the rest names; only when it ended.
    pub others: ShardSet,
}

/// Units of one SKU at one location with one disposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InspectedUnits {
    /// SKU.
    pub sku: SkuId,
    /// Where they are.
    pub location: LocationId,
    /// What becomes of them.
    pub disposition: Disposition,
    /// Units, at least 1.
    pub quantity: Quantity,
}

/// Announced units will not come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawn {
    /// Which return.
    pub id: ReturnId,
    /// Its reservation.
    pub reservation: ReservationId,
    /// What, by SKU and location of shipping.
    pub lines: Vec<ReturnUnits>,
    /// Nothing of the return is open after it.
    pub ended: bool,
    /// Shards of the reservation besides those that the rest names; only when it ended.
    pub others: ShardSet,
}

/// Cells of a location were counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Where.
    pub location: LocationId,
    /// The caller's document.
    pub reference: Box<str>,
    /// By SKU.
    pub rows: Vec<CountedCell>,
}

/// A cell that was counted: the units counted are on hand after the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountedCell {
    /// What changes.
    pub change: CellChange,
    /// Why it differs.
    pub reason: StockReason,
}

impl ReturnKind {
    /// Number in fingerprints.
    pub(crate) fn code(self) -> u64 {
        match self {
            Self::Customer => 1,
            Self::Undeliverable => 2,
        }
    }

    /// Name in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Undeliverable => "undeliverable",
        }
    }
}

impl Disposition {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Restock, Self::QualityControl, Self::Repair, Self::Scrap, Self::ReturnToVendor];

    /// Place in `ALL`.
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Self::Restock => 0,
            Self::QualityControl => 1,
            Self::Repair => 2,
            Self::Scrap => 3,
            Self::ReturnToVendor => 4,
        }
    }

    /// Number in fingerprints.
    pub(crate) fn code(self) -> u64 {
        match self {
            Self::Restock => 1,
            Self::QualityControl => 2,
            Self::Repair => 3,
            Self::Scrap => 4,
            Self::ReturnToVendor => 5,
        }
    }

    /// Name in messages and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Restock => "restock",
            Self::QualityControl => "quality_control",
            Self::Repair => "repair",
            Self::Scrap => "scrap",
            Self::ReturnToVendor => "return_to_vendor",
        }
    }

    /// Differences in on hand, quality control and in repair for each unit.
    #[must_use]
    pub fn deltas(self) -> [i64; 3] {
        match self {
            Self::Restock => [0, -1, 0],
            Self::QualityControl => [0, 0, 0],
            Self::Repair => [0, -1, 1],
            Self::Scrap | Self::ReturnToVendor => [-1, -1, 0],
        }
    }
}

impl ReturnsEvent {
    /// Its name, as in the journal's proto.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Announced(_) => "ReturnAnnounced",
            Self::Exchanged { .. } => "ReturnExchanged",
            Self::Received(_) => "ReturnReceived",
            Self::Unmatched(_) => "ReturnUnmatched",
            Self::Inspected(_) => "ReturnInspected",
            Self::Withdrawn(_) => "ReturnWithdrawn",
            Self::Counted(_) => "StockCounted",
        }
    }

    /// The return it concerns, if it concerns one.
    #[must_use]
    pub fn id(&self) -> Option<ReturnId> {
        match self {
            Self::Announced(announced) | Self::Exchanged { announced, .. } => Some(announced.id),
            Self::Received(received) => Some(received.id),
            Self::Unmatched(unmatched) => Some(unmatched.id),
            Self::Inspected(inspected) => Some(inspected.id),
            Self::Withdrawn(withdrawn) => Some(withdrawn.id),
            Self::Counted(_) => None,
        }
    }

    /// The reservation it concerns, if it concerns one: of an exchange that whose units come back.
    #[must_use]
    pub fn reservation(&self) -> Option<ReservationId> {
        match self {
            Self::Announced(announced) | Self::Exchanged { announced, .. } => Some(announced.reservation),
            Self::Received(received) => received.reservation,
            Self::Inspected(inspected) => inspected.reservation,
            Self::Withdrawn(withdrawn) => Some(withdrawn.reservation),
            Self::Unmatched(_) | Self::Counted(_) => None,
        }
    }

    /// The hold that an exchange granted.
    #[must_use]
    pub fn held(&self) -> Option<&Held> {
        match self {
            Self::Exchanged { held, .. } => match &**held {
                Event::Held(held) => Some(held),
                _ => None,
            },
            _ => None,
        }
    }

    /// Work it books or gives back.
    #[must_use]
    pub fn bookings(&self) -> SmallVec<[Booking; 4]> {
        match self {
            Self::Exchanged { held, .. } => held.bookings(),
            _ => SmallVec::new(),
        }
    }

    /// What it changes in cells.
    pub fn changes(&self) -> impl Iterator<Item = &CellChange> {
        let (changes, rows): (&[CellChange], &[CountedCell]) = match self {
            Self::Received(received) => (&received.changes, &[]),
            Self::Unmatched(unmatched) => (&unmatched.changes, &[]),
            Self::Inspected(inspected) => (&inspected.changes, &[]),
            Self::Counted(counted) => (&[], &counted.rows),
            Self::Announced(_) | Self::Exchanged { .. } | Self::Withdrawn(_) => (&[], &[]),
        };
        changes.iter().chain(rows.iter().map(|row| &row.change))
    }

    /// The shards it changes.
    #[must_use]
    pub fn shards(&self) -> ShardSet {
        let (mut shards, lines): (ShardSet, &[ReturnUnits]) = match self {
            Self::Announced(announced) => (announced.others, &announced.lines),
            Self::Exchanged { announced, held } => {
                let held = held.shards();
                (announced.others.iter().chain(held.iter()).collect(), &announced.lines)
            }
            Self::Received(received) => (received.others, &received.withdrawn),
            Self::Inspected(inspected) => (inspected.others, &[]),
            Self::Withdrawn(withdrawn) => (withdrawn.others, &withdrawn.lines),
            Self::Unmatched(_) | Self::Counted(_) => (ShardSet::default(), &[]),
        };
        lines.iter().for_each(|line| shards.insert(line.sku.shard()));
        self.changes().for_each(|change| shards.insert(change.sku.shard()));
        if let Some(id) = self.id() {
            shards.insert(id.home());
        }
        shards
    }
}

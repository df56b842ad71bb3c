//! The auditor: counts every promise again from the reservations and compares it with the cells. One shard at a time under its
//! shared lock; every shard can be checked alone because reservation lines lie with their cells.

mod allotment;
mod campaign;
mod returns;
mod rules;
mod supply;
mod upkeep;

use std::{collections::BTreeMap, fmt};

use ahash::RandomState;
use hashbrown::HashMap;
use quartermaster_sourcing::fulfilment::Slot;

use crate::{
    capacity::Booking,
    catalog::hasher,
    engine::Engine,
    event::{Promise, ShardSet},
    id::{CampaignId, LocationId, NodeId, ReservationId, ReturnId, ShardId, SkuId},
    reservation::{HeaderRef, State},
    shard::Shard,
    time::Timestamp,
};

/// What an audit counted and found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// Cells compared.
    pub cells: u64,
    /// Parts of reservations counted.
    pub parts: u64,
    /// Differences. None, unless there is a bug.
    pub violations: Vec<Violation>,
    /// When the oldest of the holds whose home was counted was made.
    pub oldest_hold: Option<Timestamp>,
}

/// A difference between what must hold and what is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A cell's promises are not the sum of the reservations on it.
    Promise {
        /// SKU.
        sku: SkuId,
        /// Location.
        location: LocationId,
        /// Which bucket.
        promise: Promise,
        /// What the cell says.
        cell: u64,
        /// What the reservations sum to.
        reservations: u64,
    },
    /// A row's sum of availability is not the sum over its cells.
    Available {
        /// SKU.
        sku: SkuId,
        /// What the row says.
        row: u64,
        /// What its cells sum to.
        cells: u64,
    },
    /// A cell is in shortfall and not listed, or listed and not in shortfall.
    Shortfall {
        /// SKU.
        sku: SkuId,
        /// Location.
        location: LocationId,
    },
    /// An ended reservation still has open units.
    OpenAfterEnd {
        /// Which.
        reservation: ReservationId,
    },
    /// Reservations have more work booked in a slot than the table says.
    Booked {
        /// What the table says.
        table: Booking,
        /// What the reservations sum to.
        reservations: Booking,
    },
    /// What became of a campaign's units is not what its reservations sum to.
    Campaign {
        /// Which.
        campaign: CampaignId,
        /// Of which SKU; `None` for its buyers.
        sku: Option<SkuId>,
        /// What it says.
        figure: u64,
        /// What adds up.
        reservations: u64,
    },
    /// A waiting line is not what the waiting reservations make.
    WaitingLine {
        /// Of which campaign.
        campaign: CampaignId,
        /// Of which SKU.
        sku: SkuId,
    },
    /// What counts to a node is not the sum of the charged lines of reservations.
    Charged {
        /// SKU.
        sku: SkuId,
        /// Node.
        node: NodeId,
        /// Which figure.
        promise: Promise,
        /// What the entry says.
        entry: u64,
        /// What the reservations sum to.
        reservations: u64,
    },
    /// The running figures of a shard are not what it holds.
    Counts {
        /// Which shard.
        shard: ShardId,
    },

    /// Something is frozen and its flag says no, or the other way about; or a kit has stock.
    Freeze {
        /// SKU, if it is about one.
        sku: Option<SkuId>,
        /// Location, if it is about one.
        location: Option<LocationId>,
    },
    /// A line has more or fewer units announced than its returns, or more than were shipped.
    Announced {
        /// Whose line.
        reservation: ReservationId,
        /// SKU.
        sku: SkuId,
        /// Location.
        location: LocationId,
    },
    /// A return does not add up.
    Return {
        /// Which.
        id: ReturnId,
        /// What does not hold.
        rule: &'static str,
    },
    /// A shard is wrong about a reservation's open returns.
    OpenReturns {
        /// Which.
        reservation: ReservationId,
    },

    /// What stock rules made of a SKU is not there.
    Ruled {
        /// SKU.
        sku: SkuId,
    },

    /// A supply's figure is not what its promises or its document make it.
    Supply {
        /// Supply id.
        supply: u64,
        /// Which figure.
        what: &'static str,
        /// What it says.
        figure: u64,
        /// What was counted.
        counted: u64,
    },
    /// A cell's incoming units are not what is announced and more.
    Incoming {
        /// SKU.
        sku: SkuId,
        /// Location.
        location: LocationId,
        /// What the cell says.
        incoming: u64,
        /// What is kept as announced.
        figure: u64,
        /// What the open supplies expect.
        counted: u64,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Promise { sku, location, promise, cell, reservations } => write!(
                formatter,
                "SKU #{} at location #{}: {promise:?} is {cell}, the reservations sum to {reservations}",
                sku.0, location.0
            ),
            Self::Available { sku, row, cells } => {
                write!(formatter, "SKU #{}: available is {row}, its cells sum to {cells}", sku.0)
            }
            Self::Shortfall { sku, location } => {
                write!(
                    formatter,
                    "SKU #{} at location #{}: the list of shortfalls is wrong about it",
                    sku.0, location.0
                )
            }
            Self::OpenAfterEnd { reservation } => {
                write!(formatter, "reservation {reservation} has ended and has open units")
            }
            Self::Booked { table, reservations } => write!(
                formatter,
                "location #{}, {:?}: {} orders and {} units are booked, the reservations sum to {} and {}",
                table.location.0, table.slot, table.orders, table.units, reservations.orders, reservations.units,
            ),
            Self::Announced { reservation, sku, location } => write!(
                formatter,
                "reservation {reservation}, SKU #{} at location #{}: what is announced is not the sum of its returns",
                sku.0, location.0
            ),
            Self::Return { id, rule } => write!(formatter, "return {id}: it does not hold that {rule}"),
            Self::OpenReturns { reservation } => {
                write!(formatter, "reservation {reservation}: a shard is wrong about its open returns")
            }
            Self::Campaign { campaign, sku, figure, reservations } => {
                let what = sku.map_or_else(|| "buyers".to_owned(), |sku| format!("SKU #{}", sku.0));
                write!(
                    formatter,
                    "campaign #{}: {what}: counted are {figure}, the reservations sum to {reservations}",
                    campaign.0
                )
            }
            Self::WaitingLine { campaign, sku } => {
                write!(formatter, "campaign #{}, SKU #{}: the waiting line is wrong", campaign.0, sku.0)
            }
            Self::Charged { sku, node, promise, entry, reservations } => write!(
                formatter,
                "SKU #{} of node #{}: {promise:?} counts {entry}, the reservations sum to {reservations}",
                sku.0, node.0
            ),
            Self::Counts { shard } => write!(formatter, "shard {}: its running figures are wrong", shard.0),
            Self::Freeze { sku, location } => write!(
                formatter,
                "SKU {:?} at location {:?}: its freezes and its flag disagree, or it is a kit with stock",
                sku.map(|sku| sku.0),
                location.map(|location| location.0)
            ),
            Self::Ruled { sku } => write!(formatter, "SKU #{}: what stock rules made of it is not there", sku.0),
            Self::Supply { supply, what, figure, counted } => {
                write!(formatter, "supply #{supply}: {what} is {figure}, counted are {counted}")
            }
            Self::Incoming { sku, location, incoming, figure, counted } => write!(
                formatter,
                "SKU #{} at location #{}: incoming is {incoming}, announced {figure}, its supplies expect {counted}",
                sku.0, location.0
            ),
        }
    }
}

type Sums = HashMap<(SkuId, LocationId), (u64, u64), RandomState>;

impl Engine {
    /// Audits one shard.
    #[must_use]
    pub fn audit_shard(&self, shard: ShardId) -> AuditReport {
        audit(&self.shards.read(shard))
    }

    /// Audits all shards, one after another.
    #[must_use]
    pub fn audit(&self) -> AuditReport {
        let mut total = AuditReport::default();
        for shard in ShardId::all() {
            let report = self.audit_shard(shard);
            total.cells += report.cells;
            total.parts += report.parts;
            total.oldest_hold = total.oldest_hold.into_iter().chain(report.oldest_hold).min();
            total.violations.extend(report.violations);
        }
        total
    }
}

impl Engine {
    /// Adds up what reservations have booked and compares it with the table. Looks at every shard at once, so it is for quiet points. The
    /// table may have more: what was shipped stays booked when the reservation is forgotten.
    #[must_use]
    pub fn audit_bookings(&self) -> Vec<Violation> {
        let locked = self.shards.lock_shared(&ShardSet::ALL);
        let capacity = self.capacity.lock();
        let mut sums: BTreeMap<(LocationId, Slot), Booking> = BTreeMap::new();
        let parts = ShardId::all().flat_map(|shard| locked.shard(shard).parts.iter());
        let headers = parts.filter_map(|(_, part)| part.header());
        for own in headers.filter_map(HeaderRef::sourcing).flat_map(|sourcing| &sourcing.bookings) {
            let sum = sums.entry((own.location, own.slot)).or_insert(Booking { orders: 0, units: 0, ..*own });
            sum.orders = sum.orders.saturating_add(own.orders);
            sum.units = sum.units.saturating_add(own.units);
        }
        let sums = sums.into_values().filter(|sum| capacity.keeps(sum.slot));
        let violations = sums.filter_map(|reservations| {
            let table = capacity.at(reservations.location, reservations.slot);
            let fits = reservations.orders <= table.orders && reservations.units <= table.units;
            (!fits).then_some(Violation::Booked { table, reservations })
        });
        violations.collect()
    }
}

fn audit(shard: &Shard) -> AuditReport {
    let mut report = AuditReport::default();
    let mut sums: Sums = HashMap::with_hasher(hasher());
    let mut counts = crate::shard::Counts::default();
    for (id, part) in shard.parts.iter() {
        report.parts += 1;
        for line in part.lines() {
            let sum = sums.entry((line.sku, line.location)).or_default();
            match part.promise() {
                Promise::Reserved => sum.0 += line.open.units(),
                Promise::Committed => sum.1 += line.open.units(),
            }
        }
        if let Some(header) = part.header() {
            *crate::apply::count(&mut counts, header.state()) += 1;
            if header.state() == State::Held {
                let oldest = report.oldest_hold.map_or(header.created_at(), |oldest| oldest.min(header.created_at()));
                report.oldest_hold = Some(oldest);
            }
            if !header.state().is_open() && part.lines().any(|line| !line.open.is_zero()) {
                report.violations.push(Violation::OpenAfterEnd { reservation: id });
            }
        }
    }
    for (place, row) in shard.rows.iter().enumerate() {
        let Some(sku) = SkuId::from_row(shard.id, place) else { continue };
        let mut available = 0;
        for (location, cell) in row.cells() {
            counts.cells += 1;
            available += cell.available().units();
            let (reserved, committed) = sums.remove(&(sku, location)).unwrap_or_default();
            let mut check = |promise, cell: u64, reservations| {
                if cell != reservations {
                    let violation = Violation::Promise { sku, location, promise, cell, reservations };
                    report.violations.push(violation);
                }
            };
            check(Promise::Reserved, cell.reserved.units(), reserved);
            check(Promise::Committed, cell.committed.units(), committed);
            if (cell.shortfall() > 0) != shard.shortfalls.contains(&(sku, location)) {
                report.violations.push(Violation::Shortfall { sku, location });
            }
        }
        if available != row.available() {
            report.violations.push(Violation::Available { sku, row: row.available(), cells: available });
        }
    }
    let mut stray: Vec<_> = sums.into_iter().filter(|(_, sum)| *sum != (0, 0)).collect();
    stray.sort_unstable();
    for ((sku, location), (reserved, committed)) in stray {
        let (promise, reservations) =
            if reserved > 0 { (Promise::Reserved, reserved) } else { (Promise::Committed, committed) };
        report.violations.push(Violation::Promise { sku, location, promise, cell: 0, reservations });
    }
    allotment::audit(shard, &mut report);
    campaign::audit(shard, &mut report);
    supply::audit(shard, &mut report);
    returns::audit(shard, &mut report);
    upkeep::audit(shard, &mut report);
    rules::audit(shard, &mut report);
    report.cells = counts.cells;
    if counts != (crate::shard::Counts { shortfalls: 0, dedup_entries: 0, ..shard.counts }) {
        report.violations.push(Violation::Counts { shard: shard.id });
    }
    report
}

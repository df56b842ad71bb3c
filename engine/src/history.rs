//! The naive checker: folds the records of a log with plain maps and says what could not have happened.
//!
//! It proves the engine by being another one. It shares the events and their codec with it, because these are the facts, and nothing
//! else: no decision, no `apply`, no recovery. It is slow where the engine is clever, never stops at a fault, and keeps every
//! reservation there ever was, so that nothing can happen to one that has ended.

mod allotment;
mod campaign;
mod catalogue;
mod compare;
mod documents;
mod fault;
mod requests;
mod reservations;
mod returns;
mod rules;
mod section;
mod sourcing;
mod stock;
mod supply;
#[cfg(test)]
mod tests;
mod upkeep;

use std::collections::BTreeMap;

use quartermaster_journal::Lsn;

pub use fault::{Check, Fault, Finding};

use self::{catalogue::Names, requests::Requests, reservations::Reservations, sourcing::Table, stock::Shards};
use crate::{
    catalog::hasher,
    codec,
    command::CellCode,
    event::{Event, Record},
    id::{LocationId, ShardId, SkuId},
    time::{Micros, Timestamp},
};

/// What a log is held to besides what must always hold.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// A request id may come again when its first use is older than this.
    pub dedup_retention: Micros,
    /// A request id may come again when this many records came after its first use.
    pub dedup_entries_max: u64,
    /// A record may be this much older than one before it: the clock is read before the locks are taken, so requests overtake.
    pub overtaking_max: Micros,
    /// Findings kept; all are counted.
    pub findings_max: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            dedup_retention: Micros::from_secs(24 * 3600),
            dedup_entries_max: 10_000_000,
            overtaking_max: Micros::from_secs(10),
            findings_max: 1_000,
        }
    }
}

/// Units that the records moved, and the figures they were added to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Units {
    /// On hand at the start: 0, or what the first snapshot says.
    pub opening_on_hand: u64,
    /// Reserved at the start.
    pub opening_reserved: u64,
    /// Committed at the start.
    pub opening_committed: u64,
    /// Arrived.
    pub received: u64,
    /// Added to on hand by counts, adjustments and imports.
    pub added: u64,
    /// Taken from on hand by counts, adjustments and imports.
    pub removed: u64,
    /// Held.
    pub held: u64,
    /// Confirmed.
    pub confirmed: u64,
    /// Given back by release.
    pub released: u64,
    /// Given back by expiry.
    pub expired: u64,
    /// Given back because another hold took the place.
    pub replaced: u64,
    /// Cancelled while held.
    pub cancelled_held: u64,
    /// Cancelled while confirmed.
    pub cancelled_confirmed: u64,
    /// Left their locations.
    pub shipped: u64,
    /// Moved to another location.
    pub reassigned: u64,
    /// Shipped and arrived again.
    pub came_back: u64,
    /// Of what came back, thrown away or sent to the vendor.
    pub disposed: u64,
    /// Left on hand for another location.
    pub sent: u64,
    /// Promised ahead to a hold, and now stock.
    pub promoted_held: u64,
    /// Promised ahead to a confirmed order, and now stock.
    pub promoted_confirmed: u64,
}

/// What a fold counted.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Records folded.
    pub records: u64,
    /// First record folded; zero for none.
    pub first_lsn: Lsn,
    /// Last record folded.
    pub last_lsn: Lsn,
    /// Records by the name of their event.
    pub events: BTreeMap<String, u64>,
    /// Reservations by the name of their state.
    pub reservations: BTreeMap<&'static str, u64>,
    /// SKUs, retired ones included.
    pub skus: u64,
    /// Locations.
    pub locations: u64,
    /// Channels.
    pub channels: u64,
    /// Cells that an event or the first snapshot spoke of.
    pub cells: u64,
    /// Cells that promise more than they can sell.
    pub shortfalls: u64,
    /// On hand at the end.
    pub on_hand: u64,
    /// Reserved at the end.
    pub reserved: u64,
    /// Committed at the end.
    pub committed: u64,
    /// What moved.
    pub units: Units,
    /// The most a record was older than one before it.
    pub overtaking: Micros,
}

/// The fold of a log.
pub struct History {
    rules: Rules,
    /// The record that must come next.
    next: Lsn,
    first: Lsn,
    records: u64,
    events: BTreeMap<String, u64>,
    newest: Timestamp,
    overtaking: Micros,
    names: Names,
    shards: Shards,
    reservations: Reservations,
    requests: Requests,
    booked: Table,
    allotment_fold: allotment::AllotmentFold,
    campaign_fold: campaign::CampaignFold,
    supply_fold: supply::SupplyFold,
    returns_fold: returns::ReturnsFold,
    upkeep_fold: upkeep::UpkeepFold,
    rules_fold: rules::RulesFold,
    units: Units,
    findings: Findings,
}

impl History {
    /// Nothing yet: the first record must be that of LSN 1.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            next: Lsn::new(1),
            first: Lsn::ZERO,
            records: 0,
            events: BTreeMap::new(),
            newest: Timestamp(0),
            overtaking: Micros(0),
            names: Names::default(),
            shards: Shards::default(),
            reservations: Reservations::default(),
            requests: Requests::default(),
            booked: Table::default(),
            allotment_fold: allotment::AllotmentFold::default(),
            campaign_fold: campaign::CampaignFold::default(),
            supply_fold: supply::SupplyFold::default(),
            returns_fold: returns::ReturnsFold::default(),
            upkeep_fold: upkeep::UpkeepFold::default(),
            rules_fold: rules::RulesFold::default(),
            units: Units::default(),
            findings: Findings::new(rules.findings_max),
        }
    }

    /// Folds a record. Whatever is wrong with it is noted and the fold goes on.
    pub fn fold(&mut self, lsn: Lsn, bytes: &[u8]) {
        self.findings.lsn = lsn;
        if lsn != self.next {
            self.findings.add(Check::Log, Fault::NotDense { expected: self.next });
        }
        self.next = lsn.next();
        self.records += 1;
        if self.first == Lsn::ZERO {
            self.first = lsn;
        }
        match codec::decode(bytes) {
            Ok(record) => self.fold_record(lsn, &record),
            Err(source) => self.findings.add(Check::Log, Fault::Undecodable { source }),
        }
    }

    fn fold_record(&mut self, lsn: Lsn, record: &Record) {
        match self.events.get_mut(record.event.name()) {
            Some(count) => *count += 1,
            None => _ = self.events.insert(record.event.name().to_owned(), 1),
        }
        self.check_time(record.time);
        self.check_request(lsn, record);
        let at = Moment { lsn, time: record.time };
        match &record.event {
            Event::Held(held) => self.held(at, held),
            Event::Confirmed { claim } => self.confirmed(at, claim),
            Event::HoldEnded { claim, reason, bookings } => {
                self.book(at, claim.reservation, bookings);
                self.hold_ended(at, claim, *reason);
            }
            Event::Cancelled { claim, promise, end, bookings } => {
                self.book(at, claim.reservation, bookings);
                self.cancelled(at, claim, *promise, *end);
            }
            Event::Extended { reservation, expires_at } => self.extended(at, *reservation, *expires_at),
            Event::Shipped { claim, end } => self.shipped(at, claim, *end),
            Event::Reassigned { reservation, promise, line, from } => {
                self.reassigned(at, *reservation, *promise, *line, *from);
            }
            Event::Rerouted(moved) => self.rerouted(at, moved, None),
            Event::Merged(merged) => self.merged(at, merged),
            Event::StockChanged(change) => self.stock_changed(lsn, change),
            Event::SkusUpserted { skus, created } => self.skus_upserted(lsn, skus, *created),
            Event::SkusRetired { skus } => self.skus_retired(lsn, skus),
            Event::LocationsUpserted { locations, created } => self.locations_upserted(lsn, locations, *created),
            Event::ChannelsUpserted { channels, created } => self.channels_upserted(lsn, channels, *created),
            Event::RegionsUpserted { regions, created } => self.regions_upserted(lsn, regions, *created),
            Event::DocumentDrafted { document, json } => self.document_drafted(lsn, document, json),
            Event::DocumentActivated { document, effective_at } => self.document_activated(at, document, *effective_at),
            Event::DocumentRetired { document } => self.document_retired(at, document),
            Event::CellFactsSet { facts } => self.facts_set(lsn, facts),
            Event::Allotment(event) => self.fold_allotment(at, event),
            Event::Campaign(event) => self.fold_campaign(at, event),
            Event::Supply(event) => self.fold_supply(at, event),
            Event::Returns(event) => self.fold_returns(at, event),
            Event::Upkeep(event) => self.fold_upkeep(at, event),
            Event::Rules(event) => self.fold_rules(at, event),
            Event::Summary(_) => self.findings.add(Check::Log, Fault::SummaryInLog),
        }
    }

    fn check_time(&mut self, time: Timestamp) {
        let behind = Micros(self.newest.0.saturating_sub(time.0));
        self.overtaking = self.overtaking.max(behind);
        if behind > self.rules.overtaking_max {
            self.findings.add(Check::Times, Fault::TimeBackwards { newest: self.newest, time });
        }
        self.newest = self.newest.max(time);
    }

    /// Counts everything again from the other end: the cells' promises from the reservations, the totals from the units that moved.
    pub fn balance(&mut self) {
        let mut open = stock::Promises::with_hasher(hasher());
        for (_, reservation) in self.reservations.iter() {
            reservation.add_open(&mut open);
        }
        let mut totals = stock::Totals::default();
        for ((sku, location), cell) in self.shards.cells() {
            totals.add(cell);
            let (reserved, committed) = open.remove(&(*sku, *location)).unwrap_or_default();
            for (bucket, cell, reservations) in
                [("reserved", u64::from(cell.reserved), reserved), ("committed", u64::from(cell.committed), committed)]
            {
                if cell != reservations {
                    let place = self.names.cell(*sku, *location);
                    let fault = Fault::PromiseSum { cell: place, bucket, figure: cell, reservations };
                    self.findings.add(Check::Conservation, fault);
                }
            }
        }
        let stray: Vec<_> = open.into_iter().filter(|(_, sums)| *sums != (0, 0)).collect();
        for ((sku, location), (reserved, committed)) in stray {
            let cell = self.names.cell(sku, location);
            let fault = Fault::PromiseSum { cell, bucket: "promised", figure: 0, reservations: reserved + committed };
            self.findings.add(Check::Conservation, fault);
        }
        let units = &self.units;
        for (bucket, figure, came, went) in [
            (
                "on hand",
                totals.on_hand,
                units.opening_on_hand + units.received + units.added + units.came_back,
                units.removed + units.shipped + units.disposed + units.sent,
            ),
            (
                "reserved",
                totals.reserved,
                units.opening_reserved + units.held + units.promoted_held,
                units.confirmed + units.released + units.expired + units.replaced + units.cancelled_held,
            ),
            (
                "committed",
                totals.committed,
                units.opening_committed + units.confirmed + units.promoted_confirmed,
                units.shipped + units.cancelled_confirmed,
            ),
        ] {
            if came.checked_sub(went) != Some(figure) {
                self.findings.add(Check::Conservation, Fault::Total { bucket, figure, came, went });
            }
        }
        self.balance_all();
    }

    fn balance_all(&mut self) {
        self.balance_allotment();
        self.balance_campaign();
        self.balance_supply();
        self.balance_returns();
        self.balance_upkeep();
        self.balance_rules();
    }

    /// Takes note of a fault that was found elsewhere, at the last record.
    pub fn note(&mut self, check: Check, fault: Fault) {
        self.findings.add(check, fault);
    }

    /// What was found so far, the first ones; see `count`.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings.list
    }

    /// How many faults a check found.
    #[must_use]
    pub fn count(&self, check: Check) -> u64 {
        self.findings.counts.get(&check).copied().unwrap_or(0)
    }

    /// The record that must come next.
    #[must_use]
    pub fn next_lsn(&self) -> Lsn {
        self.next
    }

    /// What was counted.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut totals = stock::Totals::default();
        self.shards.cells().for_each(|(_, cell)| totals.add(cell));
        let mut reservations = BTreeMap::new();
        for (_, reservation) in self.reservations.iter() {
            *reservations.entry(reservation.state.name()).or_default() += 1;
        }
        let (skus, locations, channels) = self.names.counts();
        Summary {
            records: self.records,
            first_lsn: self.first,
            last_lsn: if self.records == 0 { Lsn::ZERO } else { Lsn::new(self.next.get() - 1) },
            events: self.events.clone(),
            reservations,
            skus,
            locations,
            channels,
            cells: totals.cells,
            shortfalls: totals.shortfalls,
            on_hand: totals.on_hand,
            reserved: totals.reserved,
            committed: totals.committed,
            units: self.units.clone(),
            overtaking: self.overtaking,
        }
    }

    fn fresh(&self, lsn: Lsn, shard: ShardId) -> bool {
        lsn > self.shards.complete_to(shard)
    }

    fn cell_code(&self, sku: SkuId, location: LocationId) -> CellCode {
        self.names.cell(sku, location)
    }
}

/// Where and when a record stands.
#[derive(Clone, Copy)]
struct Moment {
    lsn: Lsn,
    time: Timestamp,
}

/// The faults of a fold.
struct Findings {
    lsn: Lsn,
    list: Vec<Finding>,
    counts: BTreeMap<Check, u64>,
    limit: usize,
}

impl Findings {
    fn new(limit: usize) -> Self {
        Self { lsn: Lsn::ZERO, list: Vec::new(), counts: BTreeMap::new(), limit }
    }

    fn add(&mut self, check: Check, fault: Fault) {
        *self.counts.entry(check).or_default() += 1;
        if self.list.len() < self.limit {
            self.list.push(Finding { lsn: self.lsn, check, fault });
        }
    }
}

//! Units that come back from buyers: what a shard holds of it.
//!
//! A return's record lies in the home shard of its reservation, one without a reservation in the shard of its first SKU. Every shard of
//! a reservation knows how many of its returns are open: as long as one is, no part of the reservation is forgotten, and when the last
//! has ended, the time for which it is kept begins anew. Units shipped and units that came back are counted in the shards of their SKUs.

use std::collections::{BTreeMap, VecDeque};

use quartermaster_journal::Lsn;

use crate::{
    event::returns::{Disposition, ReturnKind, ReturnReason},
    id::{LocationId, ReservationId, ReturnId, SkuId},
    quantity::Quantity,
    shard::EndedRetention,
    time::Timestamp,
};

/// Returns that a reservation can have.
pub const RETURNS_PER_RESERVATION_MAX: usize = 1_000;

/// A return as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Return {
    /// Its id.
    pub id: ReturnId,
    /// Whose units; `None` when that is not known.
    pub reservation: Option<ReservationId>,
    /// Why it is made.
    pub kind: ReturnKind,
    /// Why, in the buyer's or the carrier's words.
    pub reason: ReturnReason,
    /// The caller's document.
    pub reference: Box<str>,
    /// Where it is expected.
    pub expected_at: Option<LocationId>,
    /// The hold that was granted in the same step.
    pub exchanged_for: Option<ReservationId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When nothing of it was open any more.
    pub ended_at: Option<Timestamp>,
    /// LSN of the last event that changed it.
    pub revision: Lsn,
    /// What was announced, by SKU and location of shipping.
    pub lines: Vec<ReturnLine>,
    /// What arrived, by SKU and location.
    pub arrivals: Vec<Arrival>,
}

/// Units of one SKU that were shipped from one location, in a return: received is at most announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReturnLine {
    /// SKU.
    pub sku: SkuId,
    /// Where they were shipped from.
    pub shipped_from: Option<LocationId>,
    /// Announced and not withdrawn.
    pub announced: Quantity,
    /// Arrived.
    pub received: Quantity,
    /// Announced and withdrawn.
    pub withdrawn: Quantity,
}

/// Units of one SKU of a return that arrived at one location: inspected is at most received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// SKU.
    pub sku: SkuId,
    /// Where they are.
    pub location: LocationId,
    /// Arrived.
    pub received: Quantity,
    /// Inspected, by `Disposition::index`.
    pub inspected: [Quantity; 5],
}

/// State of a return: it follows from its figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReturnState {
    /// Nothing has arrived.
    Announced,
    /// Something has arrived, and more is expected.
    PartiallyReceived,
    /// All that is expected has arrived, and something of it is not inspected.
    Received,
    /// Ended: all that arrived was inspected.
    Inspected,
    /// Ended: withdrawn before anything arrived.
    Closed,
}

impl ReturnState {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Announced, Self::PartiallyReceived, Self::Received, Self::Inspected, Self::Closed];

    /// Whether something may still happen to it.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Announced | Self::PartiallyReceived | Self::Received)
    }

    /// Place in `ALL`.
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Self::Announced => 0,
            Self::PartiallyReceived => 1,
            Self::Received => 2,
            Self::Inspected => 3,
            Self::Closed => 4,
        }
    }

    /// Name in messages and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Announced => "announced",
            Self::PartiallyReceived => "partially_received",
            Self::Received => "received",
            Self::Inspected => "inspected",
            Self::Closed => "closed",
        }
    }
}

impl Arrival {
    /// Units inspected, whatever became of them.
    #[must_use]
    pub fn inspected_units(&self) -> u64 {
        self.inspected.iter().map(|units| units.units()).sum()
    }

    /// Units that wait to be inspected.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.received.units().saturating_sub(self.inspected_units())
    }

    /// Units with one disposition.
    #[must_use]
    pub fn with(&self, disposition: Disposition) -> Quantity {
        self.inspected[disposition.index()]
    }
}

impl ReturnLine {
    /// Units that are still expected.
    #[must_use]
    pub fn expected(&self) -> u64 {
        self.announced.units().saturating_sub(self.received.units())
    }
}

impl Return {
    /// Its state.
    #[must_use]
    pub fn state(&self) -> ReturnState {
        let announced: u64 = self.lines.iter().map(|line| line.announced.units()).sum();
        let received: u64 = self.lines.iter().map(|line| line.received.units()).sum();
        let inspected: u64 = self.arrivals.iter().map(Arrival::inspected_units).sum();
        match (announced, received, inspected) {
            (0, ..) => ReturnState::Closed,
            (_, 0, _) => ReturnState::Announced,
            (announced, received, _) if received < announced => ReturnState::PartiallyReceived,
            (_, received, inspected) if inspected < received => ReturnState::Received,
            _ => ReturnState::Inspected,
        }
    }

    /// Units of a SKU that are still expected.
    #[must_use]
    pub fn expected(&self, sku: SkuId) -> u64 {
        self.lines.iter().filter(|line| line.sku == sku).map(ReturnLine::expected).sum()
    }

    pub(crate) fn line_mut(&mut self, sku: SkuId, shipped_from: Option<LocationId>) -> Option<&mut ReturnLine> {
        self.lines.iter_mut().find(|line| (line.sku, line.shipped_from) == (sku, shipped_from))
    }

    /// The arrival of a SKU at a location, made if it is not there.
    pub(crate) fn arrival_mut(&mut self, sku: SkuId, location: LocationId) -> &mut Arrival {
        let place = self.arrivals.partition_point(|one| (one.sku, one.location) < (sku, location));
        if self.arrivals.get(place).is_none_or(|one| (one.sku, one.location) != (sku, location)) {
            let inspected = [Quantity::ZERO; 5];
            self.arrivals.insert(place, Arrival { sku, location, received: Quantity::ZERO, inspected });
        }
        &mut self.arrivals[place]
    }
}

/// A reservation with open returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pin {
    /// How many.
    pub(crate) returns: u32,
    /// The reservation ended shipped.
    pub(crate) shipped: bool,
}

/// Units of a SKU that came back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CameBack {
    /// From buyers.
    pub(crate) returned: u64,
    /// Because they could not be delivered.
    pub(crate) undelivered: u64,
}

/// Running figures of returns; the engine adds them up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReturnCounts {
    /// Returns kept, by `ReturnState::index`.
    pub states: [u64; 5],
    /// Units inspected since the first event, by `Disposition::index`.
    pub disposed: [u64; 5],
}

/// State behind a shard's lock.
#[derive(Debug, Default)]
pub(crate) struct ReturnsState {
    /// Returns at home here.
    pub(crate) records: BTreeMap<ReturnId, Return>,
    /// Returns of reservations at home here, ascending. Follows from the records.
    pub(crate) of: BTreeMap<ReservationId, Vec<ReturnId>>,
    /// Holds at home here that were part of an exchange.
    pub(crate) exchanges: BTreeMap<ReservationId, ReturnId>,
    /// Reservations with a part here that have open returns.
    pub(crate) pins: BTreeMap<ReservationId, Pin>,
    /// Parts of reservations that ended shipped and have no open returns, by the time since when they are kept.
    pub(crate) shipped_ended: VecDeque<(Timestamp, ReservationId)>,
    /// Where that time is later than the end.
    pub(crate) kept_since: BTreeMap<ReservationId, Timestamp>,
    /// Ended returns without a reservation, by the time of their end.
    pub(crate) unmatched_ended: VecDeque<(Timestamp, ReturnId)>,
    /// Units that left to buyers, by row; rows past the last have none.
    pub(crate) shipped: Vec<u64>,
    /// SKUs of which units came back.
    pub(crate) came_back: BTreeMap<SkuId, CameBack>,
    pub(crate) counts: ReturnCounts,
}

impl ReturnsState {
    /// A part of a reservation ended shipped.
    pub(crate) fn ended_shipped(&mut self, id: ReservationId, at: Timestamp) {
        match self.pins.get_mut(&id) {
            Some(pin) => pin.shipped = true,
            None => put(&mut self.shipped_ended, (at, id)),
        }
    }

    /// A return of a reservation that has a part here was opened; the reservation ended then, if it did.
    pub(crate) fn pin(&mut self, id: ReservationId, ended_at: Option<Timestamp>) {
        let pin = self.pins.entry(id).or_default();
        pin.returns += 1;
        if let (1, Some(ended_at)) = (pin.returns, ended_at) {
            let since = self.kept_since.remove(&id).unwrap_or(ended_at);
            if let Ok(place) = self.shipped_ended.binary_search(&(since, id)) {
                self.shipped_ended.remove(place);
                pin.shipped = true;
            }
        }
    }

    /// One of them ended. `None` when there was none.
    pub(crate) fn unpin(&mut self, id: ReservationId, now: Timestamp) -> Option<()> {
        let pin = self.pins.get_mut(&id)?;
        pin.returns -= 1;
        if pin.returns == 0 {
            if pin.shipped {
                self.kept_since.insert(id, now);
                put(&mut self.shipped_ended, (now, id));
            }
            self.pins.remove(&id);
        }
        Some(())
    }

    /// The next shipped reservation whose time is over.
    pub(crate) fn pop_shipped(&mut self, now: Timestamp, retention: EndedRetention) -> Option<ReservationId> {
        let (_, id) = pop(&mut self.shipped_ended, now, retention)?;
        Some(id)
    }

    /// Drops what is kept of a reservation that is being forgotten.
    pub(crate) fn forget(&mut self, id: ReservationId) {
        self.kept_since.remove(&id);
        self.exchanges.remove(&id);
        for id in self.of.remove(&id).unwrap_or_default() {
            if let Some(record) = self.records.remove(&id) {
                self.counts.states[record.state().index()] -= 1;
            }
        }
    }

    /// Drops returns without a reservation whose time is over.
    pub(crate) fn forget_unmatched(&mut self, now: Timestamp, retention: EndedRetention) {
        while let Some((_, id)) = pop(&mut self.unmatched_ended, now, retention) {
            if let Some(record) = self.records.remove(&id) {
                self.counts.states[record.state().index()] -= 1;
            }
        }
    }

    /// Counts units that left to buyers.
    pub(crate) fn count_shipped(&mut self, sku: SkuId, units: Quantity) {
        let row = sku.row();
        if self.shipped.len() <= row {
            self.shipped.resize(row + 1, 0);
        }
        self.shipped[row] += units.units();
    }
}

/// Puts an entry in its place: clocks of two threads may come in the wrong order.
pub(crate) fn put<T: Ord>(queue: &mut VecDeque<T>, entry: T) {
    if queue.back().is_none_or(|last| *last < entry) {
        return queue.push_back(entry);
    }
    let place = queue.partition_point(|one| *one < entry);
    queue.insert(place, entry);
}

fn pop<T: Copy>(
    queue: &mut VecDeque<(Timestamp, T)>,
    now: Timestamp,
    retention: EndedRetention,
) -> Option<(Timestamp, T)> {
    let (since, _) = *queue.front()?;
    if since >= now.minus(retention.age) && queue.len() <= retention.entries {
        return None;
    }
    queue.pop_front()
}

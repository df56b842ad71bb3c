//! Units that are expected, the promises on them, and transfers: what a shard holds of it.
//!
//! A supply is what one line of a document expects: units of one SKU at one location. It lies in the shard of its SKU, beside the
//! promises on it, as long as more may come or something is promised of it. The document's header lies in the shard of its code and keeps
//! every line, also when their supplies are gone.
//!
//! Invariant: a cell's `incoming` is what its open supplies still expect plus what was set or imported by hand (the unannounced units).
//! Invariant: what is promised of a supply is the sum of the presold lines on it, and within what it may promise, or listed as uncovered.

use std::collections::{BTreeMap, BTreeSet};

use quartermaster_journal::Lsn;

use crate::{
    event::supply::{InboundKind, InboundLine, InboundState},
    fingerprint::Fingerprinter,
    id::{LocationId, ReservationId, ShardId, SkuId, SupplyId},
    quantity::Quantity,
    shard::Shard,
    time::Timestamp,
};

/// Lines of a document at most.
pub const LINES_MAX: usize = 1_000;

/// The shard that keeps the header of the document with this code.
#[must_use]
pub fn home_of(code: &str) -> ShardId {
    ShardId(Fingerprinter::default().text(code).finish().to_le_bytes()[0])
}

impl SupplyId {
    /// The supply created as number `sequence` of the shard of its SKU.
    #[must_use]
    pub fn new(sequence: u64, shard: ShardId) -> Self {
        Self(sequence << 8 | u64::from(shard.0))
    }

    /// Its number within its shard.
    #[must_use]
    pub fn sequence(self) -> u64 {
        self.0 >> 8
    }

    /// The shard of its SKU.
    #[must_use]
    pub fn shard(self) -> ShardId {
        ShardId(self.0.to_le_bytes()[0])
    }
}

/// Units of one SKU expected at one location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Supply {
    /// Its line in its document.
    pub line: InboundLine,
    /// Code of the document.
    pub code: Box<str>,
    /// Where.
    pub location: LocationId,
    /// When.
    pub eta: Timestamp,
    /// They left another location's stock.
    pub in_transit: bool,
    /// Units promised of it.
    pub promised: u64,
}

impl Supply {
    /// Units that may stand promised of it: what is still expected, by its confidence, up to its cap.
    #[must_use]
    pub fn may(&self) -> u64 {
        may(&self.line)
    }

    /// Units that can still be promised of it.
    #[must_use]
    pub fn room(&self) -> u64 {
        self.may().saturating_sub(self.promised)
    }

    /// Units promised of it that it does not cover.
    #[must_use]
    pub fn uncovered(&self) -> u64 {
        self.promised.saturating_sub(self.may())
    }
}

/// Units that may stand promised of a line.
#[must_use]
pub fn may(line: &InboundLine) -> u64 {
    let sure = line.rest().units() * u64::from(line.confidence) / 100;
    line.cap.map_or(sure, |cap| sure.min(cap.units()))
}

/// The header of a document of expected units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundHeader {
    /// Where its units come from.
    pub kind: InboundKind,
    /// Where they are expected.
    pub location: LocationId,
    /// Where they left, when they were taken from stock.
    pub from: Option<LocationId>,
    /// When they are expected.
    pub eta: Timestamp,
    /// State.
    pub state: InboundState,
    /// The caller's document.
    pub reference: Box<str>,
    /// All lines, by SKU. `rest_before` and `arrived` are 0.
    pub lines: Vec<InboundLine>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
    /// LSN of the last event that changed it.
    pub revision: Lsn,
}

/// State behind a shard's lock.
#[derive(Debug, Default)]
pub(crate) struct SupplyState {
    supplies: BTreeMap<SupplyId, Supply>,
    /// Those of a SKU by when they are expected, the open ones.
    order: BTreeSet<(SkuId, Timestamp, SupplyId)>,
    /// Units promised of each supply, in the order of promise.
    promises: BTreeMap<(SupplyId, ReservationId), Quantity>,
    /// Supplies that do not cover what is promised of them, by SKU.
    uncovered: BTreeSet<(SkuId, SupplyId)>,
    /// What the open supplies of a cell still expect.
    announced: BTreeMap<(SkuId, LocationId), u64>,
    headers: BTreeMap<Box<str>, InboundHeader>,
    /// Closed documents, oldest first.
    closed: BTreeSet<(Timestamp, Box<str>)>,
    /// Number of the newest supply.
    last_sequence: u64,
    /// The last event that moved promises without touching their reservations' headers: reads of reservations rest on it.
    pub(crate) moved: Lsn,
}

impl SupplyState {
    /// Whether there never was anything.
    pub(crate) fn is_unused(&self) -> bool {
        self.last_sequence == 0 && self.headers.is_empty()
    }

    pub(crate) fn supply(&self, id: SupplyId) -> Option<&Supply> {
        self.supplies.get(&id)
    }

    /// By id.
    pub(crate) fn supplies(&self) -> impl Iterator<Item = &Supply> {
        self.supplies.values()
    }

    /// Open supplies of a SKU, the earliest first, ties by id.
    pub(crate) fn expected(&self, sku: SkuId) -> impl Iterator<Item = &Supply> {
        let first = (sku, Timestamp(0), SupplyId(0));
        let last = (sku, Timestamp::MAX, SupplyId(u64::MAX));
        self.order.range(first..=last).filter_map(|(_, _, id)| self.supplies.get(id))
    }

    /// What is promised of a supply, in the order of promise.
    pub(crate) fn promises(&self, id: SupplyId) -> impl DoubleEndedIterator<Item = (ReservationId, Quantity)> {
        let range = (id, ReservationId(0))..=(id, ReservationId(u64::MAX));
        self.promises.range(range).map(|((_, reservation), units)| (*reservation, *units))
    }

    pub(crate) fn all_promises(&self) -> impl Iterator<Item = (&(SupplyId, ReservationId), &Quantity)> {
        self.promises.iter()
    }

    /// Supplies that do not cover what is promised of them, by SKU.
    pub(crate) fn uncovered(&self) -> impl Iterator<Item = (SkuId, SupplyId)> {
        self.uncovered.iter().copied()
    }

    /// Those of one SKU.
    pub(crate) fn uncovered_of(&self, sku: SkuId) -> impl Iterator<Item = &Supply> {
        let range = (sku, SupplyId(0))..=(sku, SupplyId(u64::MAX));
        self.uncovered.range(range).filter_map(|(_, id)| self.supplies.get(id))
    }

    /// What the open supplies of a cell still expect.
    pub(crate) fn announced(&self, sku: SkuId, location: LocationId) -> u64 {
        self.announced.get(&(sku, location)).copied().unwrap_or(0)
    }

    pub(crate) fn all_announced(&self) -> impl Iterator<Item = (&(SkuId, LocationId), &u64)> {
        self.announced.iter()
    }

    /// By code.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &InboundHeader)> {
        self.headers.iter().map(|(code, header)| (&**code, header))
    }

    pub(crate) fn header(&self, code: &str) -> Option<&InboundHeader> {
        self.headers.get(code)
    }

    pub(crate) fn next_sequence(&self) -> u64 {
        self.last_sequence + 1
    }

    /// Puts a supply as a line of an event tells it; gives how many more units are expected now (or less). A closed one goes when nothing
    /// is promised of it.
    pub(crate) fn put(&mut self, mut supply: Supply) -> i64 {
        let id = supply.line.supply;
        let (sku, location) = (supply.line.sku, supply.location);
        let before = self.supplies.get(&id).map(|old| (old.eta, old.line.rest().signed(), old.promised));
        let (eta_before, rest_before, promised) = before.unwrap_or((supply.eta, 0, 0));
        supply.promised = promised;
        self.last_sequence = self.last_sequence.max(id.sequence());
        self.order.remove(&(sku, eta_before, id));
        if supply.line.open {
            self.order.insert((sku, supply.eta, id));
        }
        let delta = supply.line.rest().signed() - rest_before;
        let sum = self.announced.entry((sku, location)).or_default();
        *sum = sum.saturating_add_signed(delta);
        if *sum == 0 {
            self.announced.remove(&(sku, location));
        }
        self.supplies.insert(id, supply);
        self.settle(id);
        delta
    }

    /// Adds units promised of a supply. `None` when there is no such supply of the SKU.
    pub(crate) fn promise(
        &mut self,
        id: SupplyId,
        reservation: ReservationId,
        sku: SkuId,
        units: Quantity,
    ) -> Option<()> {
        let supply = self.supplies.get_mut(&id).filter(|supply| supply.line.sku == sku)?;
        let promise = self.promises.entry((id, reservation)).or_default();
        *promise = promise.checked_add(units)?;
        supply.promised += units.units();
        self.settle(id);
        Some(())
    }

    /// Takes units back. `None` when the reservation has fewer promised of it.
    pub(crate) fn give_back(&mut self, id: SupplyId, reservation: ReservationId, units: Quantity) -> Option<()> {
        let promise = self.promises.get_mut(&(id, reservation))?;
        *promise = promise.checked_sub(units)?;
        if promise.is_zero() {
            self.promises.remove(&(id, reservation));
        }
        let supply = self.supplies.get_mut(&id)?;
        supply.promised = supply.promised.checked_sub(units.units())?;
        self.settle(id);
        Some(())
    }

    /// Keeps the list of uncovered supplies right, and lets go of a supply that nobody needs any more.
    fn settle(&mut self, id: SupplyId) {
        let Some(supply) = self.supplies.get(&id) else { return };
        let place = (supply.line.sku, id);
        if supply.uncovered() > 0 {
            self.uncovered.insert(place);
        } else {
            self.uncovered.remove(&place);
        }
        if !supply.line.open && supply.promised == 0 {
            self.supplies.remove(&id);
        }
    }

    /// Puts a header. A closed document of the same code makes place.
    pub(crate) fn put_header(&mut self, code: &str, header: InboundHeader) {
        if let Some(at) = header.closed_at {
            self.closed.insert((at, code.into()));
        }
        let before = self.headers.insert(code.into(), header);
        let kept = self.headers.get(code).and_then(|header| header.closed_at);
        if let Some(at) = before.and_then(|before| before.closed_at).filter(|at| Some(*at) != kept) {
            self.closed.remove(&(at, code.into()));
        }
    }

    /// Closed documents go by age and by number.
    pub(crate) fn forget_closed(&mut self, horizon: Timestamp, entries: usize) {
        while let Some((at, code)) = self.closed.first()
            && (*at < horizon || self.closed.len() > entries)
        {
            self.headers.remove(code);
            self.closed.pop_first();
        }
    }
}

impl Shard {
    /// Puts back what a snapshot kept. Rows and parts are there already.
    pub(crate) fn restore_supply(
        &mut self,
        supplies: Vec<Supply>,
        headers: Vec<(Box<str>, InboundHeader)>,
        next_sequence: u64,
    ) -> Result<(), &'static str> {
        for supply in supplies {
            let sku = supply.line.sku;
            if sku.shard() != self.id || sku.row() >= self.rows.len() || supply.line.supply.shard() != self.id {
                return Err("it expects units of a SKU that it does not have");
            }
            // One that is closed stays only for what is promised of it, which comes below.
            let id = supply.line.supply;
            if supply.line.open {
                self.supply.put(supply);
            } else {
                self.supply.supplies.insert(id, supply);
            }
        }
        for (code, header) in headers {
            if home_of(&code) != self.id {
                return Err("it has a document of another shard");
            }
            if header.state.is_open() == header.closed_at.is_some() {
                return Err("a document is closed and open");
            }
            self.supply.put_header(&code, header);
        }
        let mut promises: Vec<_> = self
            .parts
            .iter()
            .flat_map(|(id, part)| part.presold().iter().map(move |one| (one.supply, id, one.line)))
            .collect();
        promises.sort_unstable();
        for (supply, id, line) in promises {
            let promised = self.supply.promise(supply, id, line.sku, line.quantity);
            promised.ok_or("a reservation is promised units of a supply that it does not have")?;
        }
        self.supply.last_sequence = self.supply.last_sequence.max(next_sequence.saturating_sub(1));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::StockReason;

    fn supply(sequence: u64, eta: u64, expected: u32, confidence: u8, cap: Option<u32>) -> Supply {
        Supply {
            line: InboundLine {
                supply: SupplyId::new(sequence, ShardId(0)),
                sku: SkuId(0),
                expected: Quantity(expected),
                received: Quantity::ZERO,
                cap: cap.map(Quantity),
                confidence,
                open: true,
                rest_before: Quantity::ZERO,
                arrived: Quantity::ZERO,
                reason: StockReason::default(),
            },
            code: "P".into(),
            location: LocationId(0),
            eta: Timestamp(eta),
            in_transit: false,
            promised: 0,
        }
    }

    #[test]
    fn what_may_be_promised_is_the_confident_part_up_to_the_cap() {
        assert_eq!(supply(1, 1, 7, 50, None).may(), 3);
        assert_eq!(supply(1, 1, 7, 100, Some(5)).may(), 5);
        assert_eq!(supply(1, 1, 7, 0, None).may(), 0);
        assert_eq!(supply(1, 1, u32::MAX, 100, None).may(), u64::from(u32::MAX));
    }

    #[test]
    fn supplies_come_by_time_and_number_and_closed_ones_stay_for_their_promises() {
        let mut state = SupplyState::default();
        for one in [supply(1, 30, 5, 100, None), supply(2, 10, 5, 100, None), supply(3, 30, 5, 100, None)] {
            assert_eq!(state.put(one), 5);
        }
        let ids = |state: &SupplyState| -> Vec<u64> {
            state.expected(SkuId(0)).map(|supply| supply.line.supply.sequence()).collect()
        };
        assert_eq!(ids(&state), [2, 1, 3]);
        assert_eq!(state.announced(SkuId(0), LocationId(0)), 15);
        let id = SupplyId::new(2, ShardId(0));
        state.promise(id, ReservationId(9), SkuId(0), Quantity(2)).unwrap();
        assert!(state.promise(id, ReservationId(9), SkuId(1), Quantity(2)).is_none(), "of another SKU");
        let mut closed = supply(2, 10, 5, 100, None);
        closed.line.open = false;
        assert_eq!(state.put(closed), -5);
        assert_eq!(ids(&state), [1, 3]);
        assert_eq!(state.uncovered().collect::<Vec<_>>(), [(SkuId(0), id)]);
        assert!(state.give_back(id, ReservationId(9), Quantity(3)).is_none(), "more than was promised");
        state.give_back(id, ReservationId(9), Quantity(2)).unwrap();
        assert_eq!((state.supply(id), state.uncovered().count()), (None, 0));
        assert_eq!(state.next_sequence(), 4);
    }

    #[test]
    fn a_code_always_lies_in_the_same_shard() {
        assert_eq!([home_of("PO-1"), home_of("PO-2"), home_of("")].map(|home| home.0), [134, 154, 115]);
    }
}

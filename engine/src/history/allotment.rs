//! Units ring-fenced for channels and campaigns: the naive fold.

use std::collections::BTreeMap;

use quartermaster_proto::journal::v1 as wire;

use super::{Check, Fault, History, Moment};
use crate::{
    allotment::Allotment,
    codec,
    engine::Engine,
    event::{Line, Promise, allotment::AllotmentEvent, rules::RuledTerms},
    id::{NodeId, ReservationId, ShardId, SkuId},
    reservation::State,
};

/// What the events left.
#[derive(Default)]
pub(super) struct AllotmentFold {
    entries: BTreeMap<(SkuId, NodeId), Allotment>,
}

impl AllotmentFold {
    fn has(&self, sku: SkuId) -> bool {
        self.of(sku).next().is_some()
    }

    fn of(&self, sku: SkuId) -> impl Iterator<Item = (&(SkuId, NodeId), &Allotment)> {
        self.entries.range((sku, NodeId(0))..=(sku, NodeId(u32::MAX)))
    }

    /// Who has no allotment and nothing that counts is forgotten.
    fn sweep(&mut self, sku: SkuId) {
        let idle = |own: &Allotment| !own.is_set() && own.reserved == 0 && own.committed == 0;
        let gone: Vec<_> = self.of(sku).filter(|(_, own)| idle(own)).map(|(place, _)| *place).collect();
        gone.iter().for_each(|place| _ = self.entries.remove(place));
    }
}

/// An allotment is now so. Where there was none, counting begins anew with what is open, also where there is none afterwards: a rule may
/// give back what was given back by hand.
fn put(own: &mut Allotment, quota: Option<u32>, ceiling: Option<u32>, spill_over: bool) {
    if !own.is_set() {
        own.shipped = 0;
        own.granted = u64::from(own.reserved) + u64::from(own.committed);
    }
    (own.quota, own.ceiling, own.spill_over) = (quota, ceiling, spill_over);
}

impl History {
    pub(super) fn fold_allotment(&mut self, at: Moment, event: &AllotmentEvent) {
        match event {
            AllotmentEvent::Set(set) => {
                for pair in set.rows.windows(2) {
                    if (pair[0].sku, pair[0].node) >= (pair[1].sku, pair[1].node) {
                        let sku = self.names.sku(pair[1].sku);
                        self.findings.add(Check::Conservation, Fault::AllotmentTwice { sku });
                    }
                }
                for row in set.rows.iter().filter(|row| self.fresh(at.lsn, row.sku.shard())).collect::<Vec<_>>() {
                    if let Some(folded) = self.shards.row_mut(row.sku) {
                        folded.revision = at.lsn;
                    } else {
                        self.findings.add(Check::Catalogue, Fault::Unknown { what: "SKU", id: row.sku.0 });
                        continue;
                    }
                    if row.ceiling.is_some_and(|ceiling| row.quota.is_some_and(|quota| ceiling < quota)) {
                        let (sku, node) = (self.names.sku(row.sku), row.node.0);
                        self.findings.add(Check::Conservation, Fault::CeilingBelowQuota { sku, node });
                    }
                    let own = self.allotment_fold.entries.entry((row.sku, row.node)).or_default();
                    put(own, row.quota, row.ceiling, row.spill_over);
                    self.allotment_fold.sweep(row.sku);
                }
            }
        }
    }

    /// A rule allots to a node, or no longer.
    pub(super) fn allot_by_rule(&mut self, sku: SkuId, node: NodeId, terms: Option<RuledTerms>) {
        let entries = &mut self.allotment_fold.entries;
        match terms {
            Some(terms) => {
                let own = entries.entry((sku, node)).or_default();
                put(own, Some(terms.quota), terms.ceiling, terms.spill_over);
            }
            None => {
                if let Some(own) = entries.get_mut(&(sku, node)) {
                    put(own, None, None, false);
                }
            }
        }
        self.allotment_fold.sweep(sku);
    }

    /// A campaign's units are kept apart, or no longer.
    pub(super) fn fence_allotment(&mut self, sku: SkuId, node: NodeId, units: Option<u32>, shipped: u64) {
        self.allotment_fold.entries.entry((sku, node)).or_default().fence(units, shipped);
        self.allotment_fold.sweep(sku);
    }

    /// Counts units of a new line to its path; gives whether there was anybody to count for. Nobody may pass its ceiling.
    pub(super) fn charge(&mut self, path: &[NodeId], line: Line, promise: Promise) -> bool {
        if path.is_empty() || !self.allotment_fold.has(line.sku) {
            return false;
        }
        for node in path {
            let own = self.allotment_fold.entries.entry((line.sku, *node)).or_default();
            let figure = own.promised_mut(promise);
            *figure = figure.saturating_add(line.quantity.0);
            own.granted += line.quantity.units();
            let (used, ceiling) = (own.used(), own.ceiling);
            if let Some(ceiling) = ceiling.filter(|ceiling| used > u64::from(*ceiling)) {
                let (sku, node) = (self.names.sku(line.sku), node.0);
                self.findings.add(Check::Oversell, Fault::CeilingPassed { sku, node, used, ceiling });
            }
        }
        true
    }

    /// Changes what counts to the path of a reservation, if the line is charged.
    pub(super) fn recount(&mut self, id: ReservationId, line: Line, change: impl Fn(&mut Allotment, i64) -> bool) {
        let Some(reservation) = self.reservations.get(id) else { return };
        let own = |other: &&crate::reservation::PartLine| (other.sku, other.location) == (line.sku, line.location);
        if reservation.lines.iter().find(own).is_some_and(|found| found.charged) {
            self.count_on_path(id, line, change);
        }
    }

    /// Changes what counts to the path of a reservation.
    pub(super) fn count_on_path(
        &mut self,
        id: ReservationId,
        line: Line,
        change: impl Fn(&mut Allotment, i64) -> bool,
    ) {
        let Some(reservation) = self.reservations.get(id) else { return };
        let path = reservation.path.clone();
        for node in &path {
            let own = self.allotment_fold.entries.entry((line.sku, *node)).or_default();
            if !change(own, line.quantity.signed()) {
                let (sku, node) = (self.names.sku(line.sku), node.0);
                self.findings.add(Check::Conservation, Fault::NeverCharged { sku, node });
            }
        }
        self.allotment_fold.sweep(line.sku);
    }

    /// Counts again from the other end: from the open lines of reservations.
    pub(super) fn balance_allotment(&mut self) {
        let mut sums: BTreeMap<(SkuId, NodeId), (u64, u64)> = BTreeMap::new();
        for (id, reservation) in self.reservations.iter() {
            let lines = reservation.lines.iter().filter(|line| line.charged);
            let lines = lines.map(|line| (line.sku, line.open.units()));
            let ahead = self.supply_fold.presold_of(*id).filter(|one| one.charged);
            let ahead = ahead.map(|one| (one.line.sku, one.line.quantity.units()));
            for (sku, units) in lines.chain(ahead).filter(|(_, units)| *units > 0) {
                for node in &reservation.path {
                    let sum = sums.entry((sku, *node)).or_default();
                    match reservation.state {
                        State::Held => sum.0 += units,
                        _ => sum.1 += units,
                    }
                }
            }
        }
        let entries = self.allotment_fold.entries.iter();
        let mut places: Vec<_> = entries.map(|(place, _)| *place).chain(sums.keys().copied()).collect();
        places.sort_unstable();
        places.dedup();
        for place in places {
            let own = self.allotment_fold.entries.get(&place).copied().unwrap_or_default();
            let (reserved, committed) = sums.get(&place).copied().unwrap_or_default();
            for (figure, found, folded) in
                [("reserved", reserved, own.reserved), ("committed", committed, own.committed)]
            {
                if found != u64::from(folded) {
                    let (sku, node) = (self.names.sku(place.0), place.1.0);
                    let fault = Fault::AllotmentDiffers { sku, node, figure, found, folded: folded.into() };
                    self.findings.add(Check::Conservation, fault);
                }
            }
        }
    }

    /// Takes what a first snapshot's shard says as the beginning.
    pub(super) fn begin_allotment(&mut self, _shard: ShardId, section: &wire::AllotmentSection) {
        for entry in &section.entries {
            let (sku, node, own) = codec::allotment::entry_from_wire(entry);
            self.allotment_fold.entries.insert((sku, node), own);
        }
    }

    /// Compares with a shard: of an engine, or of a snapshot.
    pub(super) fn compare_allotment(&mut self, check: Check, shard: ShardId, found: &wire::AllotmentSection) {
        let found: BTreeMap<_, _> = found
            .entries
            .iter()
            .map(codec::allotment::entry_from_wire)
            .map(|(sku, node, own)| ((sku, node), own))
            .collect();
        let folded: BTreeMap<_, _> =
            self.allotment_fold.entries.iter().filter(|((sku, _), _)| sku.shard() == shard).collect();
        let mut faults = Vec::new();
        let mut places: Vec<_> = found.keys().copied().chain(folded.keys().map(|place| **place)).collect();
        places.sort_unstable();
        places.dedup();
        for place in places {
            let one = found.get(&place).copied().unwrap_or_default();
            let other = folded.get(&place).copied().copied().unwrap_or_default();
            let setting = |own: &Allotment| (own.quota, own.ceiling, own.spill_over);
            let (sku, node) = (self.names.sku(place.0), place.1.0);
            if setting(&one) != setting(&other) || found.contains_key(&place) != folded.contains_key(&place) {
                let figure = "setting";
                faults.push(Fault::AllotmentDiffers { sku, node, figure, found: 0, folded: 0 });
                continue;
            }
            let figures = |own: &Allotment| {
                let (reserved, committed) = (u64::from(own.reserved), u64::from(own.committed));
                [("reserved", reserved), ("committed", committed), ("shipped", own.shipped), ("granted", own.granted)]
            };
            for ((figure, found), (_, folded)) in figures(&one).into_iter().zip(figures(&other)) {
                if found != folded {
                    faults.push(Fault::AllotmentDiffers { sku: sku.clone(), node, figure, found, folded });
                }
            }
        }
        faults.into_iter().for_each(|fault| self.findings.add(check, fault));
    }

    /// Compares with an engine what lies in no shard.
    pub(super) fn compare_allotment_whole(&mut self, _engine: &Engine) {}
}

/// Adds units to a figure; whether it stays one.
pub(super) fn add(figure: &mut u32, units: i64) -> bool {
    let sum = i64::from(*figure) + units;
    *figure = u32::try_from(sum.max(0)).unwrap_or(u32::MAX);
    sum >= 0
}

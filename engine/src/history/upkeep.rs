//! Freezes, repairs and kits: the naive fold.

use std::collections::{BTreeMap, BTreeSet};

use quartermaster_proto::journal::v1 as wire;

use super::{Check, Fault, History, Moment};
use crate::{
    catalog::Sku,
    codec,
    engine::Engine,
    event::{
        Claim, Held, Line,
        upkeep::{Remedy, UpkeepEvent},
    },
    id::{LocationId, ReservationId, ShardId, SkuId},
    reservation::Header,
    terms::KitLine,
    upkeep::{Freeze, FreezeReason, Frozen},
};

type Freezes = BTreeMap<Frozen, BTreeMap<u64, Freeze>>;

/// What the events left.
#[derive(Default)]
pub(super) struct UpkeepFold {
    /// Of everything, by id. Locations are complete to where the names are, the rest to where their shards are.
    freezes: Freezes,
    /// Kits of reservations that have any.
    kits: BTreeMap<ReservationId, Vec<KitLine>>,
}

impl UpkeepFold {
    fn reasons(&self, target: Frozen) -> impl Iterator<Item = FreezeReason> {
        self.freezes.get(&target).into_iter().flat_map(|standing| standing.values().map(|freeze| freeze.reason))
    }

    pub(super) fn is_frozen_cell(&self, sku: SkuId, location: LocationId) -> bool {
        self.freezes.contains_key(&Frozen::Cell(sku, location))
    }

    fn put(&mut self, target: Frozen, freeze: Freeze) {
        self.freezes.entry(target).or_default().insert(freeze.id, freeze);
    }
}

impl History {
    /// Whether what an event says of a target is to be folded, and not in the first snapshot already.
    fn fresh_target(&self, at: Moment, target: Frozen) -> bool {
        match target.sku() {
            Some(sku) => self.fresh(at.lsn, sku.shard()),
            None => at.lsn > self.names.complete_to,
        }
    }

    pub(super) fn fold_upkeep(&mut self, at: Moment, event: &UpkeepEvent) {
        match event {
            UpkeepEvent::Frozen { target, reason, reference } => {
                let (reason, reference) = (*reason, reference.clone());
                let freeze = Freeze { id: at.lsn.get(), reason, reference, frozen_at: at.time };
                if self.fresh_target(at, *target) && self.is_known_target(*target) {
                    self.upkeep_fold.put(*target, freeze);
                    self.freeze_changed(at, *target);
                }
            }
            UpkeepEvent::Thawed { target, freezes } => {
                if !self.fresh_target(at, *target) || !self.is_known_target(*target) {
                    return;
                }
                for id in freezes {
                    let standing = self.upkeep_fold.freezes.get_mut(target);
                    if standing.and_then(|standing| standing.remove(id)).is_none() {
                        self.findings.add(Check::LifeCycle, Fault::NoFreeze { freeze: *id });
                    }
                }
                self.upkeep_fold.freezes.retain(|_, standing| !standing.is_empty());
                self.freeze_changed(at, *target);
            }
            UpkeepEvent::Repaired(repaired) => {
                for remedy in &repaired.remedies {
                    match remedy {
                        Remedy::Moved(moved) => {
                            self.expect_short(at, &moved.from);
                            self.rerouted(at, moved, None);
                        }
                        Remedy::Cancelled { claim, promise, end, bookings } => {
                            self.expect_short(at, &claim.lines);
                            self.book(at, claim.reservation, bookings);
                            self.cancelled(at, claim, *promise, *end);
                        }
                    }
                }
            }
        }
    }

    fn is_known_target(&mut self, target: Frozen) -> bool {
        let sku = target.sku().is_none_or(|sku| self.shards.row(sku).is_some());
        let location = target.location().is_none_or(|at| self.names.has_location(at));
        if !sku || !location {
            let id = target.sku().map_or(u32::MAX, |sku| sku.0);
            self.findings.add(Check::Catalogue, Fault::Unknown { what: "thing to freeze", id });
        }
        sku && location
    }

    /// What is available of a SKU has changed with it.
    fn freeze_changed(&mut self, at: Moment, target: Frozen) {
        match target {
            Frozen::Sku(sku) => {
                if let Some(row) = self.shards.row_mut(sku) {
                    row.revision = at.lsn;
                }
            }
            Frozen::Cell(sku, location) => _ = self.change(at.lsn, sku, location, &[]),
            Frozen::Location(_) => {}
        }
    }

    /// A repair takes off a cell what it is short of, and no more.
    fn expect_short(&mut self, at: Moment, lines: &[Line]) {
        for line in lines {
            let short = self.shards.cell(line.sku, line.location).shortfall();
            if self.fresh(at.lsn, line.sku.shard()) && short < line.quantity.units() {
                let cell = self.cell_code(line.sku, line.location);
                let fault = Fault::NotShort { cell, units: line.quantity.units(), short };
                self.findings.add(Check::Conservation, fault);
            }
        }
    }

    /// Nothing is newly promised of what is frozen.
    pub(super) fn expect_thawed(&mut self, at: Moment, line: Line) {
        let freezes = &self.upkeep_fold.freezes;
        let frozen = freezes.contains_key(&Frozen::Sku(line.sku))
            || freezes.contains_key(&Frozen::Cell(line.sku, line.location))
            || at.lsn > self.names.complete_to && freezes.contains_key(&Frozen::Location(line.location));
        if frozen {
            let cell = self.cell_code(line.sku, line.location);
            self.findings.add(Check::Oversell, Fault::UsedFrozen { cell, step: "are promised" });
        }
    }

    /// Nothing is shipped that is called back or in doubt.
    pub(super) fn expect_shippable(&mut self, at: Moment, line: Line) {
        let fold = &self.upkeep_fold;
        let own = fold.reasons(Frozen::Sku(line.sku)).chain(fold.reasons(Frozen::Cell(line.sku, line.location)));
        let place = fold.reasons(Frozen::Location(line.location)).filter(|_| at.lsn > self.names.complete_to);
        if own.chain(place).any(FreezeReason::stops_shipping) {
            let cell = self.cell_code(line.sku, line.location);
            self.findings.add(Check::LifeCycle, Fault::UsedFrozen { cell, step: "leave" });
        }
    }

    /// Kits consist of what there is, of no kits, and of the same for as long as they are.
    pub(super) fn check_kits(&mut self, skus: &[Sku]) {
        let mut faults = Vec::new();
        let kits: BTreeSet<SkuId> = self
            .names
            .skus
            .iter()
            .filter(|sku| sku.retired.is_none() && !sku.components.is_empty())
            .map(|sku| sku.id)
            .collect();
        for sku in skus.iter().filter(|sku| !sku.components.is_empty()) {
            let mut fault = |what| faults.push(Fault::Kit { sku: sku.spec.code.clone(), what });
            let listed = sku.spec.components.iter().map(|(_, units)| *units);
            if !sku.components.iter().map(|part| part.units).eq(listed) {
                fault("its components are not those of its description");
            }
            if sku.components.iter().any(|part| part.units == 0) {
                fault("a component has no units");
            }
            if sku.components.iter().any(|part| kits.contains(&part.sku)) {
                fault("a component is a kit");
            }
            let known = |id: SkuId| self.names.skus.get(id.index()).is_some_and(|part| part.retired.is_none());
            if !sku.components.iter().all(|part| known(part.sku)) {
                fault("a component is not there");
            }
            let stocked = |cell: &super::stock::Cell| cell.figures().iter().any(|(_, figure)| *figure > 0);
            let own = &self.shards.get(sku.id.shard()).cells;
            if own.iter().any(|((id, _), cell)| *id == sku.id && stocked(cell)) {
                fault("it has stock of its own");
            }
        }
        faults.into_iter().for_each(|fault| self.findings.add(Check::Catalogue, fault));
    }

    /// A hold has all that its kits need.
    pub(super) fn kits_held(&mut self, at: Moment, held: &Held) {
        let kits = held.terms.as_deref().map_or(&[][..], |terms| &terms.kits);
        if kits.is_empty() {
            return;
        }
        if at.lsn > self.names.complete_to {
            let mut needed: BTreeMap<SkuId, u64> = BTreeMap::new();
            for kit in kits {
                let components = self.names.skus.get(kit.sku.index()).map_or(&[][..], |sku| &sku.components);
                if components.is_empty() {
                    let fault = Fault::Kit { sku: self.names.sku(kit.sku), what: "it has no components" };
                    self.findings.add(Check::Catalogue, fault);
                }
                for part in components {
                    *needed.entry(part.sku).or_default() += u64::from(part.units) * kit.quantity.units();
                }
            }
            for (sku, needed) in needed {
                // An order that has taken nothing yet wants its kits' components, and one may have some of them ahead.
                let wanted = held.terms.iter().flat_map(|terms| &terms.wanted).map(|want| (want.sku, want.quantity));
                let ahead = held.presold().iter().map(|one| (one.line.sku, one.line.quantity));
                let own = held.lines.iter().map(|line| (line.sku, line.quantity)).chain(wanted).chain(ahead);
                let units: u64 = own.filter(|(own, _)| *own == sku).map(|(_, units)| units.units()).sum();
                if units < needed {
                    let fault = Fault::KitNotWhole { id: held.reservation, sku: self.names.sku(sku), units, needed };
                    self.findings.add(Check::Conservation, fault);
                }
            }
        }
        if self.fresh(at.lsn, held.reservation.home()) {
            self.upkeep_fold.kits.insert(held.reservation, kits.to_vec());
        }
    }

    /// Kits that are no longer part of a reservation.
    pub(super) fn kits_cancelled(&mut self, at: Moment, claim: &Claim) {
        let gone = claim.extra.as_deref().map_or(&[][..], |extra| &extra.kits);
        if gone.is_empty() || !self.fresh(at.lsn, claim.reservation.home()) {
            return;
        }
        let kits = self.upkeep_fold.kits.entry(claim.reservation).or_default();
        let mut missing = Vec::new();
        for kit in gone {
            match kits.iter_mut().find(|own| own.sku == kit.sku && own.quantity >= kit.quantity) {
                Some(own) => own.quantity.0 -= kit.quantity.0,
                None => missing.push(kit.sku),
            }
        }
        kits.retain(|kit| !kit.quantity.is_zero());
        for sku in missing {
            let fault = Fault::Kit { sku: self.names.sku(sku), what: "more are cancelled than there were" };
            self.findings.add(Check::LifeCycle, fault);
        }
    }

    /// Counts again from the other end.
    pub(super) fn balance_upkeep(&mut self) {}

    /// Takes what a first snapshot's shard says as the beginning.
    pub(super) fn begin_upkeep(&mut self, _shard: ShardId, section: &wire::UpkeepSection) {
        self.begin_freezes(&section.freezes);
    }

    /// Takes freezes of a first snapshot as the beginning.
    pub(super) fn begin_freezes(&mut self, freezes: &[wire::Freeze]) {
        let freezes = freezes.iter().filter_map(|freeze| codec::upkeep::freeze_from_wire(freeze).ok());
        freezes.for_each(|(target, freeze)| self.upkeep_fold.put(target, freeze));
    }

    /// Takes the kits of a first snapshot's reservation as the beginning.
    pub(super) fn begin_kits(&mut self, id: ReservationId, header: &Header) {
        if let Some(kept) = header.kept.as_deref().filter(|kept| !kept.kits.is_empty()) {
            self.upkeep_fold.kits.insert(id, kept.kits.to_vec());
        }
    }

    /// Compares with a shard: of an engine, or of a snapshot.
    pub(super) fn compare_upkeep(&mut self, check: Check, shard: ShardId, found: &wire::UpkeepSection) {
        let own = |target: Frozen| target.sku().is_some_and(|sku| sku.shard() == shard);
        self.compare_targets(check, &found.freezes, own);
    }

    /// Compares the freezes of locations.
    pub(super) fn compare_freezes(&mut self, check: Check, found: &[wire::Freeze]) {
        self.compare_targets(check, found, |target| target.sku().is_none());
    }

    fn compare_targets(&mut self, check: Check, found: &[wire::Freeze], own: impl Fn(Frozen) -> bool) {
        let mut there = Freezes::new();
        for (target, freeze) in found.iter().filter_map(|freeze| codec::upkeep::freeze_from_wire(freeze).ok()) {
            there.entry(target).or_default().insert(freeze.id, freeze);
        }
        let folded = &self.upkeep_fold.freezes;
        let mut targets: Vec<Frozen> = folded.keys().copied().filter(|target| own(*target)).collect();
        targets.extend(there.keys());
        targets.sort_unstable();
        targets.dedup();
        targets.retain(|target| there.get(target) != folded.get(target));
        for target in targets {
            let (what, id) = match target {
                Frozen::Sku(sku) | Frozen::Cell(sku, _) => ("SKU", sku.0),
                Frozen::Location(location) => ("location", location.0),
            };
            self.findings.add(check, Fault::FreezesDiffer { what, id });
        }
    }

    /// Compares with an engine what lies in no shard.
    pub(super) fn compare_upkeep_whole(&mut self, engine: &Engine) {
        let found = codec::upkeep::locations_to_wire(engine.catalogue().directory());
        self.compare_freezes(Check::Recovery, &found);
        let open = |id: &ReservationId| self.reservations.get(*id).is_some_and(|one| one.state.is_open());
        let mut differing = Vec::new();
        for (id, kits) in self.upkeep_fold.kits.iter().filter(|(id, _)| open(id)) {
            let same = engine.reservation(*id).is_ok_and(|(_, found)| {
                let found = found.kept.as_deref().map_or(&[][..], |kept| &kept.kits);
                found == &kits[..]
            });
            if !same {
                differing.push(Fault::ReservationDiffers { id: *id, figure: "kits" });
            }
        }
        differing.into_iter().for_each(|fault| self.findings.add(Check::Recovery, fault));
    }
}

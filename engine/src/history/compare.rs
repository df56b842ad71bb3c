//! The fold beside what others made of the same history: a snapshot's section, or the engine after its recovery.

use hashbrown::HashMap;
use quartermaster_journal::Lsn;
use quartermaster_sync::atomic::Ordering;

use super::{
    Check, Fault, History,
    section::{PartView, ShardView},
    sourcing::Kept,
    stock::{Cell, Cells, RowFold},
};
use crate::{
    catalog::{Channel, Location, Sku, documents::Document, hasher},
    codec,
    engine::Engine,
    event::Promise,
    id::{LocationId, ShardId, SkuId},
    reservation::{Part, State},
    shard::Shard,
};

impl History {
    /// Compares everything with an engine that has recovered from the same log, and lets it audit itself. Both stand at the end.
    pub fn compare(&mut self, engine: &Engine) {
        self.findings.lsn = Lsn::new(self.next.get() - 1);
        let (skus, locations, channels, regions, documents) = {
            let catalogue = engine.catalogue();
            let directory = catalogue.directory();
            let skus: Vec<Sku> = catalogue.skus().iter().map(|sku| (**sku).clone()).collect();
            let locations: Vec<Location> = directory.locations().iter().map(|location| (**location).clone()).collect();
            let channels: Vec<Channel> = directory.channels().iter().map(|channel| (**channel).clone()).collect();
            let documents: Vec<Document> = directory.documents().iter().map(|document| (**document).clone()).collect();
            (skus, locations, channels, directory.regions().to_vec(), documents)
        };
        self.compare_number("SKUs", skus.len(), self.names.skus.len());
        self.compare_skus(Check::Recovery, &skus);
        self.compare_directory(Check::Recovery, &locations, &channels);
        self.compare_documents(Check::Recovery, &regions, &documents);
        for shard in ShardId::all() {
            let view = view(&engine.shards.read(shard));
            self.compare_shard(Check::Recovery, &view);
        }
        self.compare_open_reservations(engine);
        self.compare_allotment_whole(engine);
        self.compare_campaign_whole(engine);
        self.compare_supply_whole(engine);
        self.compare_returns_whole(engine);
        self.compare_upkeep_whole(engine);
        self.compare_rules_whole(engine);
        self.compare_work(Check::Recovery, &engine.booked().1);
        for slot in &engine.slots {
            for entry in slot.lock().entries() {
                self.compare_request(Check::Recovery, entry.lsn, codec::peek(entry.record).request_id);
            }
        }
        let next = engine.next_reservation.load(Ordering::SeqCst);
        if next <= self.reservations.sequence_max {
            let (what, folded) = ("the next reservation's number", self.reservations.sequence_max + 1);
            self.findings.add(Check::Recovery, Fault::NumberDiffers { what, found: next, folded });
        }
        for violation in engine.audit().violations.into_iter().chain(engine.audit_bookings()) {
            self.findings.add(Check::Audit, Fault::Audit { violation });
        }
    }

    fn compare_number(&mut self, what: &'static str, found: usize, folded: usize) {
        let wide = |number| u64::try_from(number).unwrap_or(u64::MAX);
        if found != folded {
            let fault = Fault::NumberDiffers { what, found: wide(found), folded: wide(folded) };
            self.findings.add(Check::Recovery, fault);
        }
    }

    /// Every open reservation of the fold, asked of the engine: nothing the fold knows may be missing there.
    fn compare_open_reservations(&mut self, engine: &Engine) {
        let mut faults = Vec::new();
        let (mut held, mut confirmed, mut pending) = (0, 0, 0);
        // One without a revision was forgotten by its home shard before the first snapshot, so it had ended.
        let known = |folded: &super::reservations::Reservation| folded.revision > Lsn::ZERO && folded.state.is_open();
        for (id, folded) in self.reservations.iter().filter(|(_, folded)| known(folded)) {
            match folded.state {
                State::Held => held += 1,
                State::Placed | State::Waiting => pending += 1,
                _ => confirmed += 1,
            }
            let same = engine.reservation(*id).is_ok_and(|(_, found)| {
                let mut lines = folded.lines.to_vec();
                lines.sort_unstable_by_key(|line| (line.sku, line.location));
                found.state == folded.state && found.lines == lines
            });
            if !same {
                faults.push(Fault::ReservationDiffers { id: *id, figure: "lines or state" });
            }
        }
        let counts = engine.counts();
        for (what, found, folded) in [
            ("reservations held", counts.held, held),
            ("reservations confirmed", counts.confirmed, confirmed),
            ("reservations placed or waiting", counts.pending, pending),
        ] {
            if found != folded {
                faults.push(Fault::NumberDiffers { what, found, folded });
            }
        }
        faults.into_iter().for_each(|fault| self.findings.add(Check::Recovery, fault));
    }

    pub(super) fn compare_skus(&mut self, check: Check, skus: &[Sku]) {
        for sku in skus {
            let id = sku.id.0;
            let figure = match self.names.skus.get(sku.id.index()) {
                None => "being there at all",
                Some(folded) if folded.spec != sku.spec => "description",
                Some(folded) if folded.components != sku.components => "components",
                Some(folded) if folded.retired != sku.retired => "retirement",
                Some(_) => continue,
            };
            self.findings.add(check, Fault::EntryDiffers { what: "SKU", id, figure });
        }
    }

    pub(super) fn compare_directory(&mut self, check: Check, locations: &[Location], channels: &[Channel]) {
        let figure = "description";
        if locations != self.names.locations {
            let pairs = locations.iter().zip(&self.names.locations);
            let id = pairs.take_while(|(found, folded)| found == folded).count();
            let id = u32::try_from(id).unwrap_or(u32::MAX);
            self.findings.add(check, Fault::EntryDiffers { what: "location", id, figure });
        }
        if channels != self.names.channels {
            let pairs = channels.iter().zip(&self.names.channels);
            let id = pairs.take_while(|(found, folded)| found == folded).count();
            let id = u32::try_from(id).unwrap_or(u32::MAX);
            self.findings.add(check, Fault::EntryDiffers { what: "channel", id, figure });
        }
    }

    pub(super) fn compare_request(&mut self, check: Check, lsn: Lsn, request_id: &str) {
        if self.requests.last(request_id).is_none_or(|last| last.lsn != lsn) {
            let fault = Fault::RequestDiffers { request_id: request_id.to_owned(), found: lsn };
            self.findings.add(check, fault);
        }
    }

    pub(super) fn compare_shard(&mut self, check: Check, view: &ShardView) {
        self.compare_allotment(check, view.shard, &view.allotment);
        self.compare_campaign(check, view.shard, &view.campaign);
        self.compare_supply(check, view.shard, &view.supply);
        self.compare_returns(check, view.shard, &view.returns);
        self.compare_upkeep(check, view.shard, &view.upkeep);
        self.compare_rules(check, view.shard, &view.rules);
        self.compare_presold(check, view);
        self.compare_refusals(check, view);
        let Self { shards, names, reservations, findings, .. } = self;
        let folded = shards.get(view.shard);
        let mut cell_differs = |sku: SkuId, location: LocationId, found: &Cell, folded: &Cell| {
            let differing = found.figures().into_iter().zip(folded.figures()).find(|(one, other)| one != other);
            if let Some(((figure, found), (_, folded))) = differing {
                let (found, folded) = (u64::from(found), u64::from(folded));
                findings.add(check, Fault::CellDiffers { cell: names.cell(sku, location), figure, found, folded });
            }
        };
        for ((sku, location), found) in &view.cells {
            let cell = folded.cells.get(&(*sku, *location)).copied().unwrap_or_default();
            cell_differs(*sku, *location, found, &cell);
        }
        for ((sku, location), cell) in &folded.cells {
            if !view.cells.contains_key(&(*sku, *location)) {
                cell_differs(*sku, *location, &Cell::default(), cell);
            }
        }
        let rows = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        if view.rows.len() != folded.rows.len() {
            let (found, folded) = (rows(view.rows.len()), rows(folded.rows.len()));
            findings.add(check, Fault::NumberDiffers { what: "SKUs of a shard", found, folded });
        }
        for (place, (found, folded)) in view.rows.iter().zip(&folded.rows).enumerate() {
            let figure = match (found, folded) {
                (found, folded) if found.revision != folded.revision => "revision",
                (found, folded) if found != folded => "being for sale or retired",
                _ => continue,
            };
            let id = SkuId::from_row(view.shard, place).map_or(u32::MAX, |sku| sku.0);
            findings.add(check, Fault::EntryDiffers { what: "SKU", id, figure });
        }
        if view.facts != folded.facts {
            let one = view.facts.iter().find(|(cell, facts)| folded.facts.get(*cell) != Some(*facts));
            let one = one.or_else(|| folded.facts.iter().find(|(cell, _)| !view.facts.contains_key(*cell)));
            if let Some(((sku, location), _)) = one {
                findings.add(check, Fault::FactsDiffer { cell: names.cell(*sku, *location) });
            }
        }
        for part in &view.parts {
            let figure = match reservations.get(part.id) {
                None => Some("being there at all"),
                Some(folded) => part_differs(view.shard, part, folded, |header| {
                    reservations.origin(&header.order_id, &header.buyer_id, header.channel)
                }),
            };
            if let Some(figure) = figure {
                findings.add(check, Fault::ReservationDiffers { id: part.id, figure });
            }
        }
    }
}

/// The first thing in which a part differs from the fold.
fn part_differs(
    shard: ShardId,
    part: &PartView,
    folded: &super::reservations::Reservation,
    origin: impl FnOnce(&crate::reservation::Header) -> u64,
) -> Option<&'static str> {
    let mut mine: Vec<_> = folded.lines.iter().filter(|line| line.sku.shard() == shard).collect();
    let mut found: Vec<_> = part.lines.iter().collect();
    mine.sort_unstable_by_key(|line| (line.sku, line.location));
    found.sort_unstable_by_key(|line| (line.sku, line.location));
    if mine != found {
        return Some("lines");
    }
    if part.path != folded.path {
        return Some("path");
    }
    if part.ended_at != folded.ended_at {
        return Some("end");
    }
    let promise = match folded.state {
        // Its home shard forgot it before the first snapshot: what other shards keep of it says nothing of its state.
        _ if folded.revision == Lsn::ZERO => None,
        State::Held => Some(Promise::Reserved),
        State::Confirmed => Some(Promise::Committed),
        _ => None,
    };
    if promise.is_some_and(|promise| promise != part.promise) {
        return Some("promise");
    }
    let header = part.header.as_ref()?;
    [
        (header.state == folded.state, "state"),
        (header.created_at == folded.created_at, "time of creation"),
        (header.expires_at == folded.expires_at, "expiry"),
        (header.revision == folded.revision, "revision"),
        (origin(header) == folded.origin, "order, buyer or channel"),
        (header.sourcing.as_deref().map(Kept::of).as_ref() == folded.sourcing.as_deref(), "sourcing"),
    ]
    .into_iter()
    .find_map(|(same, figure)| (!same).then_some(figure))
}

/// A shard of the engine in plain figures.
fn view(shard: &Shard) -> ShardView {
    let mut cells: Cells = HashMap::with_hasher(hasher());
    let mut rows = Vec::with_capacity(shard.rows.len());
    for (place, row) in shard.rows.iter().enumerate() {
        let Some(sku) = SkuId::from_row(shard.id, place) else { continue };
        rows.push(RowFold { sellable: row.flagged_sellable(), retired: row.retired(), revision: row.revision() });
        cells.extend(row.cells().map(|(location, cell)| {
            let plain = Cell {
                on_hand: cell.on_hand.0,
                reserved: cell.reserved.0,
                committed: cell.committed.0,
                safety: cell.safety.0,
                quality_control: cell.quality_control.0,
                damaged: cell.damaged.0,
                in_repair: cell.in_repair.0,
                incoming: cell.incoming.0,
                kept: cell.kept.0,
            };
            ((sku, location), plain)
        }));
    }
    let parts = shard.parts.iter().map(|(id, part)| {
        let Part { promise, lines, path, presold, ended_at, header } = part.to_part();
        PartView { id, promise, ended_at, lines, path, header, presold }
    });
    let facts = shard.facts.clone();
    let refusals = shard.refusals.iter().map(|((sku, location), until)| (*sku, *location, *until)).collect();
    ShardView {
        shard: shard.id,
        rows,
        cells,
        facts,
        refusals,
        parts: parts.collect(),
        allotment: codec::allotment::section(shard).unwrap_or_default(),
        campaign: codec::campaign::section(shard).unwrap_or_default(),
        supply: codec::supply::section(shard).unwrap_or_default(),
        returns: codec::returns::section(shard).unwrap_or_default(),
        upkeep: codec::upkeep::section(shard).unwrap_or_default(),
        rules: codec::rules::section(shard).unwrap_or_default(),
    }
}

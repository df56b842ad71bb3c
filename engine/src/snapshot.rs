//! State as snapshot sections, while traffic runs.
//!
//! Fuzzy: one lock is held at a time, for as long as it takes to copy what is behind it; encoding happens outside. Each section says
//! up to which LSN it is complete, and a recovery applies to it what lies past that.

use std::sync::Arc;

use prost::Message as _;
use quartermaster_journal::Lsn;
use quartermaster_proto::journal::v1 as wire;
use quartermaster_sync::atomic::Ordering;

use crate::{
    catalog::{Directory, Sku},
    codec,
    dedup::SLOTS,
    engine::Engine,
    id::{ReservationId, ShardId, SkuId, usize_from},
    reservation::{Packed, PartRef, State},
    shard::Shard,
    stock::row::PackedCell,
    time::Timestamp,
};

/// Kinds of sections, as numbers in the file.
pub mod kind {
    /// `MetaSection`.
    pub const META: u16 = 1;
    /// `CatalogueSection`.
    pub const CATALOGUE: u16 = 2;
    /// `ShardSection`.
    pub const SHARD: u16 = 3;
    /// `DedupSection`.
    pub const DEDUP: u16 = 4;
    /// `CapacitySection`.
    pub const CAPACITY: u16 = 5;
}

/// SKUs in one catalogue section.
pub(crate) const SKUS_PER_SECTION: usize = 50_000;

/// A part of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// One of `kind`.
    pub kind: u16,
    /// Which of its kind.
    pub unit: u32,
    /// Complete up to here.
    pub lsn: Lsn,
    /// Message of `journal.v1`, encoded.
    pub payload: Vec<u8>,
}

/// What a snapshot covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotSpan {
    /// Replay begins past this: the lowest LSN of its sections.
    pub complete_to: Lsn,
    /// The highest LSN of its sections. The snapshot may be kept once this is durable.
    pub reaches_to: Lsn,
}

impl Engine {
    /// Hands out all state, section by section. `now` is the time of the newest event for the sake of a clock that must not run
    /// backwards.
    ///
    /// # Errors
    /// The first that `write` gives.
    pub fn snapshot<E>(
        &self,
        now: Timestamp,
        mut write: impl FnMut(Section) -> Result<(), E>,
    ) -> Result<SnapshotSpan, E> {
        let begin = self.journal.appended_lsn();
        let mut span = SnapshotSpan { complete_to: begin, reaches_to: begin };
        let meta = wire::MetaSection {
            next_reservation_sequence: self.next_reservation.load(Ordering::SeqCst),
            time_us: now.0,
        };
        write(Section { kind: kind::META, unit: 0, lsn: begin, payload: meta.encode_to_vec() })?;
        let mut put = |section: Section| {
            span.complete_to = span.complete_to.min(section.lsn);
            span.reaches_to = span.reaches_to.max(section.lsn);
            write(section)
        };
        self.catalogue_sections(&mut put)?;
        for shard in ShardId::all() {
            let copy = self.copy_shard(shard);
            let lsn = copy.lsn;
            put(Section { kind: kind::SHARD, unit: u32::from(shard.0), lsn, payload: copy.encode() })?;
        }
        put(self.capacity_section())?;
        for slot in 0..SLOTS {
            put(self.dedup_section(slot))?;
        }
        Ok(span)
    }

    fn catalogue_sections<E>(&self, put: &mut impl FnMut(Section) -> Result<(), E>) -> Result<(), E> {
        let (lsn, skus, directory): (Lsn, Vec<Arc<Sku>>, Arc<Directory>) = {
            let catalogue = self.catalogue.read();
            (self.journal.appended_lsn(), catalogue.skus().to_vec(), Arc::clone(catalogue.directory()))
        };
        let mut section = wire::CatalogueSection {
            skus: Vec::new(),
            locations: directory.locations().iter().map(|location| codec::location_to_wire(location)).collect(),
            channels: directory.channels().iter().map(|channel| codec::channel_to_wire(channel)).collect(),
            regions: directory.regions().iter().map(codec::region_to_wire).collect(),
            documents: directory.documents().iter().map(|document| codec::document_to_wire(document)).collect(),
            freezes: codec::upkeep::locations_to_wire(&directory),
            stock_rules: directory.stock_rules().map(codec::rules::in_force_to_wire),
            campaigns: directory.campaigns().all().iter().map(|one| codec::campaign::campaign_to_wire(one)).collect(),
        };
        let mut parts = skus.chunks(SKUS_PER_SECTION);
        for unit in 0.. {
            let Some(part) = parts.next().or((unit == 0).then_some(&[])) else { break };
            section.skus = part.iter().map(|sku| codec::sku_to_wire(sku)).collect();
            put(Section { kind: kind::CATALOGUE, unit, lsn, payload: section.encode_to_vec() })?;
            section = wire::CatalogueSection::default();
        }
        Ok(())
    }

    fn copy_shard(&self, id: ShardId) -> ShardCopy {
        let shard = self.shards.read(id);
        // Whatever was appended for this shard has been applied: that happens under its lock.
        ShardCopy::of(&shard, self.journal.appended_lsn())
    }

    fn capacity_section(&self) -> Section {
        let capacity = self.capacity.lock();
        let lsn = self.journal.appended_lsn();
        let booked = codec::sourced::bookings_to_wire(&capacity.all());
        let section = wire::CapacitySection { booked, swept_time_us: capacity.swept.0 };
        drop(capacity);
        Section { kind: kind::CAPACITY, unit: 0, lsn, payload: section.encode_to_vec() }
    }

    fn dedup_section(&self, index: usize) -> Section {
        let slot = self.slots[index].lock();
        let lsn = self.journal.appended_lsn();
        let unit = u32::try_from(index).unwrap_or(u32::MAX);
        let entries =
            slot.entries().map(|entry| wire::DedupEntry { lsn: entry.lsn.get(), record: entry.record.to_vec() });
        let section = wire::DedupSection { slot: unit, entries: entries.collect() };
        drop(slot);
        Section { kind: kind::DEDUP, unit, lsn, payload: section.encode_to_vec() }
    }
}

/// What is behind a shard's lock, copied flat: a few large copies instead of many small ones, so that the lock is held briefly.
struct ShardCopy {
    shard: ShardId,
    lsn: Lsn,
    row_cells: Vec<u32>,
    row_revision: Vec<u64>,
    row_flags: Vec<u8>,
    cells: Vec<PackedCell>,
    extras: Vec<wire::CellExtra>,
    parts: Vec<Packed>,
    refusals: Vec<wire::Refusal>,
    facts: Vec<wire::CellFacts>,
    allotment: Option<wire::AllotmentSection>,
    campaign: Option<wire::CampaignSection>,
    supply: Option<wire::SupplySection>,
    returns: Option<wire::ReturnsSection>,
    upkeep: Option<wire::UpkeepSection>,
    rules: Option<wire::RulesSection>,
}

impl ShardCopy {
    fn of(shard: &Shard, lsn: Lsn) -> Self {
        let rows = &shard.rows;
        let cells_total = rows.iter().map(crate::stock::Row::len).sum();
        let mut copy = Self {
            shard: shard.id,
            lsn,
            row_cells: Vec::with_capacity(rows.len()),
            row_revision: Vec::with_capacity(rows.len()),
            row_flags: Vec::with_capacity(rows.len()),
            cells: Vec::with_capacity(cells_total),
            extras: Vec::new(),
            parts: Vec::with_capacity(shard.parts.len()),
            refusals: Vec::with_capacity(shard.refusals.len()),
            facts: shard.facts().map(|cell| codec::facts_to_wire(&cell)).collect(),
            allotment: codec::allotment::section(shard),
            campaign: codec::campaign::section(shard),
            supply: codec::supply::section(shard),
            returns: codec::returns::section(shard),
            upkeep: codec::upkeep::section(shard),
            rules: codec::rules::section(shard),
        };
        for (place, row) in rows.iter().enumerate() {
            copy.row_cells.push(u32::try_from(row.len()).unwrap_or(u32::MAX));
            copy.row_revision.push(row.revision().get());
            copy.row_flags
                .push(u8::from(row.flagged_sellable()) | u8::from(row.retired()) << 1 | u8::from(row.kit()) << 2);
            copy.cells.extend_from_slice(row.packed());
            let sku = SkuId::from_row(shard.id, place).map_or(0, |sku| sku.0);
            copy.extras.extend(row.extras().map(|(location, extra)| wire::CellExtra {
                sku,
                location: location.0,
                safety: extra.safety.0,
                quality_control: extra.quality_control.0,
                damaged: extra.damaged.0,
                in_repair: extra.in_repair.0,
                incoming: extra.incoming.0,
                kept: extra.kept.0,
            }));
        }
        copy.refusals.extend(shard.refusals.iter().map(|((sku, location), until)| wire::Refusal {
            sku: sku.0,
            location: location.0,
            until_us: until.0,
        }));
        copy.parts.extend(shard.parts.copies());
        copy
    }

    fn encode(mut self) -> Vec<u8> {
        self.parts.sort_unstable_by_key(Packed::id);
        let mut cells = Vec::with_capacity(self.cells.len() * 16);
        for cell in &self.cells {
            for word in [cell.location().0, cell.on_hand, cell.reserved, cell.committed] {
                cells.extend_from_slice(&word.to_le_bytes());
            }
        }
        wire::ShardSection {
            shard: u32::from(self.shard.0),
            row_cells: self.row_cells,
            row_revision: self.row_revision,
            row_flags: self.row_flags,
            cells,
            extras: self.extras,
            parts: self.parts.iter().map(|packed| part_to_wire(packed.id(), packed.view())).collect(),
            refusals: self.refusals,
            facts: self.facts,
            allotment: self.allotment,
            campaign: self.campaign,
            supply: self.supply,
            returns: self.returns,
            upkeep: self.upkeep,
            rules: self.rules,
        }
        .encode_to_vec()
    }
}

fn part_to_wire(id: ReservationId, part: PartRef<'_>) -> wire::ReservationPart {
    wire::ReservationPart {
        reservation: id.0,
        promise: codec::promise_to_wire(part.promise()),
        lines: part
            .lines()
            .map(|line| wire::ReservationLine {
                sku: line.sku.0,
                location: line.location.0,
                open: line.open.0,
                shipped: line.shipped.0,
                returned: line.returned.0,
                charged: line.charged,
                announced: line.announced.0,
            })
            .collect(),
        header: part.header().map(|header| wire::ReservationHeader {
            state: state_to_wire(header.state()),
            order_id: header.order_id().to_owned(),
            buyer_id: header.buyer_id().to_owned(),
            channel: header.channel().map_or(0, |channel| channel.0 + 1),
            create_time_us: header.created_at().0,
            expire_time_us: header.expires_at().0,
            revision: header.revision().get(),
            shards: codec::shards_to_wire(&header.shards()),
            sourcing: header.sourcing().map(codec::sourced::sourcing_to_wire),
            campaign: header.kept().and_then(|kept| kept.campaign).map_or(0, |campaign| campaign.0 + 1),
            kits: header.kept().into_iter().flat_map(|kept| kept.kits.iter().map(codec::terms::kit_to_wire)).collect(),
            wanted: header
                .kept()
                .into_iter()
                .flat_map(|kept| kept.wanted.iter().map(codec::terms::wanted_to_wire))
                .collect(),
        }),
        ended_time_us: part.ended_at().map_or(0, |at| at.0),
        path: codec::terms::path_to_wire(part.path()),
        presold: codec::terms::presold_to_wire(part.presold()),
    }
}

/// Numbers of `quartermaster.v1.ReservationState`.
pub(crate) fn state_to_wire(state: State) -> u32 {
    match state {
        State::Held => 1,
        State::Confirmed => 2,
        State::Shipped => 3,
        State::Released => 4,
        State::Expired => 5,
        State::Cancelled => 6,
        State::Replaced => 7,
        State::Placed => 8,
        State::Waiting => 9,
    }
}

pub(crate) fn state_from_wire(state: u32) -> Option<State> {
    let states = [
        State::Held,
        State::Confirmed,
        State::Shipped,
        State::Released,
        State::Expired,
        State::Cancelled,
        State::Replaced,
        State::Placed,
        State::Waiting,
    ];
    states.get(usize_from(state.checked_sub(1)?)).copied()
}

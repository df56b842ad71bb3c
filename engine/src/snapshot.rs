//! State as snapshot sections, while traffic runs.
//!
//! Fuzzy: one lock is held at a time, for as long as it takes to copy what is behind it; encoding happens outside. Each section says
//! up to which LSN it is complete, and a recovery applies to it what lies past that.

pub(crate) mod cells;

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

/// Remembered requests copied while their slot is locked: some tens of microseconds.
const ENTRIES_AT_ONCE: usize = 512;

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
        let mut put = |section: Section, reaches_to: Lsn| {
            span.complete_to = span.complete_to.min(section.lsn);
            span.reaches_to = span.reaches_to.max(reaches_to);
            write(section)
        };
        self.catalogue_sections(&mut put)?;
        let mut copy = ShardCopy::default();
        for shard in ShardId::all() {
            let section = self.shard_section(shard, &mut copy);
            let lsn = section.lsn;
            put(section, lsn)?;
        }
        let capacity = self.capacity_section();
        let lsn = capacity.lsn;
        put(capacity, lsn)?;
        for slot in 0..SLOTS {
            let (section, reaches_to) = self.dedup_section(slot);
            put(section, reaches_to)?;
        }
        Ok(span)
    }

    fn catalogue_sections<E>(&self, put: &mut impl FnMut(Section, Lsn) -> Result<(), E>) -> Result<(), E> {
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
            put(Section { kind: kind::CATALOGUE, unit, lsn, payload: section.encode_to_vec() }, lsn)?;
            section = wire::CatalogueSection::default();
        }
        Ok(())
    }

    /// A shard as it is now. Its rows are copied some at a time, so that its lock is held briefly, and packed in between.
    fn shard_section(&self, id: ShardId, copy: &mut ShardCopy) -> Section {
        let _alone = self.shards.copying();
        let mut shard = self.shards.write(id);
        // Whatever was appended for this shard has been applied: that happens under its lock.
        let lsn = self.journal.appended_lsn();
        copy.begin(&mut shard);
        drop(shard);
        while copy.rows(&mut self.shards.write(id)) {
            copy.pack();
        }
        copy.pack();
        Section { kind: kind::SHARD, unit: u32::from(id.0), lsn, payload: copy.encode() }
    }

    fn capacity_section(&self) -> Section {
        let capacity = self.capacity.lock();
        let lsn = self.journal.appended_lsn();
        let booked = codec::sourced::bookings_to_wire(&capacity.all());
        let section = wire::CapacitySection { booked, swept_time_us: capacity.swept.0 };
        drop(capacity);
        Section { kind: kind::CAPACITY, unit: 0, lsn, payload: section.encode_to_vec() }
    }

    /// What a slot remembers, copied in pieces so that its lock is held briefly; besides, up to where the copy rests on the log.
    ///
    /// Entries come in the order of their LSNs and go from the front, so the pieces together are the slot as it stood at the first of them,
    /// but for entries that went meanwhile: a recovery that has the events up to the last piece forgets those, too.
    fn dedup_section(&self, index: usize) -> (Section, Lsn) {
        let unit = u32::try_from(index).unwrap_or(u32::MAX);
        let mut section = wire::DedupSection { slot: unit, entries: Vec::new() };
        // What the slot had at first, and up to where that is complete.
        let mut begun = None;
        let mut copied = Lsn::ZERO;
        loop {
            section.entries.reserve(ENTRIES_AT_ONCE);
            let slot = self.slots[index].lock();
            let now = self.journal.appended_lsn();
            let (newest, lsn) = *begun.get_or_insert((slot.newest(), now));
            let before = section.entries.len();
            for entry in slot.entries_past(copied).take_while(|entry| entry.lsn <= newest).take(ENTRIES_AT_ONCE) {
                section.entries.push(wire::DedupEntry { lsn: entry.lsn.get(), record: entry.record.to_vec() });
                copied = entry.lsn;
            }
            drop(slot);
            if section.entries.len() < before + ENTRIES_AT_ONCE {
                let payload = section.encode_to_vec();
                return (Section { kind: kind::DEDUP, unit, lsn, payload }, now);
            }
        }
    }
}

/// A shard's section with its cells as they were before they were packed, sixteen bytes each: for whoever compares states across versions.
/// `None` when they are not as they should be.
#[must_use]
pub fn unpacked(mut section: wire::ShardSection) -> Option<wire::ShardSection> {
    let packed = std::mem::take(&mut section.packed_cells);
    let mut rest = &packed[..];
    for count in section.row_cells.iter().filter(|_| !packed.is_empty()) {
        for cell in cells::take(&mut rest, usize_from(*count))? {
            let words = [cell.location().0, cell.on_hand, cell.reserved, cell.committed];
            section.cells.extend(words.into_iter().flat_map(u32::to_le_bytes));
        }
    }
    rest.is_empty().then_some(section)
}

/// Cells copied while their shard is locked: about a tenth of a millisecond. Few in models, whose shards are small.
const CELLS_AT_ONCE: usize = if cfg!(feature = "shuttle") { 1 } else { 16_384 };

/// What is behind a shard's lock, copied flat: a few large copies instead of many small ones. Used again for the next shard, so that its memory
/// is not new to the process while a lock is held.
#[derive(Default)]
struct ShardCopy {
    /// Cells of the rows taken last, which are to be packed yet.
    cells: Vec<PackedCell>,
    /// Rows of which the cells are packed.
    packed_rows: usize,
    parts: Vec<Packed>,
    /// All else. Parts come in when it is encoded.
    section: wire::ShardSection,
}

impl ShardCopy {
    /// Forgets what it has; takes all of a shard but its rows, and has these kept as they are.
    fn begin(&mut self, shard: &mut Shard) {
        shard.rows.begin_copy();
        let shard = &*shard;
        self.packed_rows = 0;
        self.parts.clear();
        self.parts.extend(shard.parts.copies());
        let section = &mut self.section;
        section.row_cells.clear();
        section.row_revision.clear();
        section.row_flags.clear();
        section.packed_cells.clear();
        section.extras.clear();
        section.shard = u32::from(shard.id.0);
        section.facts = shard.facts().map(|cell| codec::facts_to_wire(&cell)).collect();
        section.allotment = codec::allotment::section(shard);
        section.campaign = codec::campaign::section(shard);
        section.supply = codec::supply::section(shard);
        section.returns = codec::returns::section(shard);
        section.upkeep = codec::upkeep::section(shard);
        section.rules = codec::rules::section(shard);
        section.refusals = shard
            .refusals
            .iter()
            .map(|((sku, location), until)| wire::Refusal { sku: sku.0, location: location.0, until_us: until.0 })
            .collect();
    }

    /// Takes the next rows; gives whether there are more.
    fn rows(&mut self, shard: &mut Shard) -> bool {
        let Self { cells, section, .. } = self;
        let id = shard.id;
        shard.rows.copy(CELLS_AT_ONCE, |place, row| {
            section.row_cells.push(u32::try_from(row.len()).unwrap_or(u32::MAX));
            section.row_revision.push(row.revision().get());
            section
                .row_flags
                .push(u8::from(row.flagged_sellable()) | u8::from(row.retired()) << 1 | u8::from(row.kit()) << 2);
            cells.extend_from_slice(row.packed());
            let sku = SkuId::from_row(id, place).map_or(0, |sku| sku.0);
            section.extras.extend(row.extras().map(|(location, extra)| wire::CellExtra {
                sku,
                location: location.0,
                safety: extra.safety.0,
                quality_control: extra.quality_control.0,
                damaged: extra.damaged.0,
                in_repair: extra.in_repair.0,
                incoming: extra.incoming.0,
                kept: extra.kept.0,
            }));
        })
    }

    /// Packs the cells of the rows taken last.
    fn pack(&mut self) {
        let section = &mut self.section;
        let mut rest = &self.cells[..];
        for count in &section.row_cells[self.packed_rows..] {
            let (row, others) = rest.split_at(usize_from(*count));
            cells::put(&mut section.packed_cells, row);
            rest = others;
        }
        self.packed_rows = section.row_cells.len();
        self.cells.clear();
    }

    fn encode(&mut self) -> Vec<u8> {
        let section = &mut self.section;
        self.parts.sort_unstable_by_key(Packed::id);
        section.parts = self.parts.iter().map(|packed| part_to_wire(packed.id(), packed.view())).collect();
        section.encode_to_vec()
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use quartermaster_journal::MemoryJournal;

    use super::*;
    use crate::{
        EngineConfig,
        catalog::ChannelSpec,
        command::{CatalogueCommand, Command, Request},
        dedup::SlotHasher,
        fingerprint::Fingerprinter,
    };

    /// More entries than are copied at once, so that they come in pieces.
    #[test]
    fn a_slot_is_copied_whole_in_pieces() {
        let engine = Engine::new(EngineConfig::default(), Arc::new(MemoryJournal::new()));
        let ids = (0_u32..).map(|number| format!("r{number}"));
        let ids: Vec<String> = ids
            .filter(|id| SlotHasher::slot(Fingerprinter::default().bytes(id.as_bytes()).finish()) == 7)
            .take(2 * ENTRIES_AT_ONCE + 1)
            .collect();
        let channel = ChannelSpec { code: "web".into(), ..ChannelSpec::default() };
        let command = Command::Catalogue(CatalogueCommand::UpsertChannels(vec![channel]));
        for (place, id) in ids.iter().enumerate() {
            if place % ENTRIES_AT_ONCE < 2 {
                let before = engine.dedup_section(7);
                let read = wire::DedupSection::decode(&*before.0.payload).unwrap();
                assert_eq!(read.entries.len(), place, "none is missing and none stands twice");
                assert!(read.entries.is_sorted_by_key(|entry| entry.lsn));
                assert_eq!((before.0.lsn, before.1), (engine.journal.appended_lsn(), engine.journal.appended_lsn()));
            }
            let request = Request { id: id.as_str().into(), actor: String::new() };
            engine.submit(&request, &command, Timestamp(1)).unwrap();
        }
        let read = wire::DedupSection::decode(&*engine.dedup_section(7).0.payload).unwrap();
        let copied: Vec<&str> = read.entries.iter().map(|entry| codec::peek(&entry.record).request_id).collect();
        assert_eq!(copied, ids);
    }
}

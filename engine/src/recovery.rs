//! State from a snapshot and the log past it.
//!
//! Each shard, dedup slot, the catalogue and what is booked know up to which LSN they are complete; an event is applied only where it is new. Nothing
//! is decided again.

mod ahead;
mod allotment;
mod campaign;
mod known;
mod read;
mod returns;
mod rules;
mod supply;
mod together;
mod upkeep;

use std::{borrow::Cow, sync::Arc};

use prost::Message as _;
use quartermaster_journal::{Journal, Lsn, MemoryJournal};
use quartermaster_proto::journal::v1 as wire;
use quartermaster_sync::atomic::{AtomicU64, Ordering};
use thiserror::Error;

pub use self::together::Stretch;
use self::{
    known::Known,
    read::{Other, Read, Told},
};
use crate::{
    apply::{Misfit, apply, apply_plain, apply_step, count},
    capacity::Capacity,
    catalog::{Catalogue, Directory, network::Stages},
    codec::{self, DecodeError},
    dedup::{Entry, SLOTS, Slot, SlotHasher},
    engine::{Engine, EngineConfig, apply_catalogue},
    event::{Event, PlainEvent},
    id::{ChannelId, LocationId, ReservationId, ShardId, SkuId, usize_from},
    quantity::Quantity,
    reservation::{Header, Part, PartLine, State},
    shard::Shard,
    snapshot::{SKUS_PER_SECTION, cells, kind, state_from_wire},
    stamp::Stamp,
    stock::{Buckets, Row, row::PackedCell},
    time::Timestamp,
};

/// What is wrong with a snapshot or a record. The checksums were right, so this is a newer version or a bug.
#[derive(Debug, Error)]
pub enum RecoveryError {
    /// A section is no message of its kind.
    #[error("snapshot section {kind}/{unit}: {source}")]
    Section {
        /// Kind.
        kind: u16,
        /// Unit.
        unit: u32,
        /// What is wrong.
        source: DecodeError,
    },
    /// A section contradicts itself.
    #[error("snapshot section {kind}/{unit}: {what}")]
    Inconsistent {
        /// Kind.
        kind: u16,
        /// Unit.
        unit: u32,
        /// In words.
        what: &'static str,
    },
    /// A record is no event that this version knows.
    #[error("record at LSN {lsn}: {source}")]
    Record {
        /// Where.
        lsn: Lsn,
        /// What is wrong.
        source: DecodeError,
    },
    /// A record speaks of a SKU, location or channel that no record before it made.
    #[error("record at LSN {lsn}: it names {what}, which no record before it made")]
    Dangling {
        /// Where.
        lsn: Lsn,
        /// What.
        what: &'static str,
    },
    /// A record does not follow from those before it: one is missing, doubled, or of another history.
    #[error("record at LSN {lsn} does not follow from those before it: {invariant} does not hold")]
    Misfit {
        /// Where.
        lsn: Lsn,
        /// The invariant it would break.
        invariant: &'static str,
    },
}

impl RecoveryError {
    /// The record that it is about, if it is about one.
    #[must_use]
    pub fn lsn(&self) -> Option<Lsn> {
        match self {
            Self::Section { .. } | Self::Inconsistent { .. } => None,
            Self::Record { lsn, .. } | Self::Dangling { lsn, .. } | Self::Misfit { lsn, .. } => Some(*lsn),
        }
    }
}

/// A SKU takes at least so many bytes of a section: a tag, a length, a code of one byte and an id.
const SKU_BYTES_MIN: u64 = 5;

/// An engine that is being brought back.
pub struct Recovery {
    engine: Engine,
    /// Up to where each dedup slot is complete.
    slot_lsn: Vec<AtomicU64>,
    last_time: AtomicU64,
    records: u64,
}

impl Recovery {
    /// Begins with nothing.
    #[must_use]
    pub fn new(config: EngineConfig) -> Self {
        let engine = Engine::new(config, Arc::new(MemoryJournal::new()));
        let slot_lsn = (0..SLOTS).map(|_| AtomicU64::new(0)).collect();
        Self { engine, slot_lsn, last_time: AtomicU64::new(0), records: 0 }
    }

    /// Makes room for the SKUs of a snapshot, so that no table grows while they come: for as many as its catalogue's sections, told by the
    /// bytes of their payloads, can have.
    pub fn make_room(&self, catalogue_sections: impl Iterator<Item = u64>) {
        let most = |bytes: u64| usize::try_from(bytes / SKU_BYTES_MIN).unwrap_or(usize::MAX).min(SKUS_PER_SECTION);
        self.engine.catalogue.write().reserve(catalogue_sections.map(most).sum());
    }

    /// Loads a section of a snapshot. Those of the catalogue come in the order they were written in; all others in any order, before
    /// those or after, and from any thread.
    ///
    /// # Errors
    /// When it is no section that this version knows.
    pub fn load(&self, kind: u16, unit: u32, lsn: Lsn, payload: &[u8]) -> Result<(), RecoveryError> {
        let broken = |source: DecodeError| RecoveryError::Section { kind, unit, source };
        let decode = |source: prost::DecodeError| broken(source.into());
        match kind {
            kind::META => {
                let meta = wire::MetaSection::decode(payload).map_err(decode)?;
                self.engine.next_reservation.store(meta.next_reservation_sequence.max(1), Ordering::SeqCst);
                self.last_time.fetch_max(meta.time_us, Ordering::SeqCst);
            }
            kind::CATALOGUE => {
                let section = wire::CatalogueSection::decode(payload).map_err(decode)?;
                self.load_catalogue(section, lsn).map_err(|error| match error {
                    SectionError::Decode(source) => broken(source),
                    SectionError::Inconsistent(what) => RecoveryError::Inconsistent { kind, unit, what },
                })?;
            }
            kind::SHARD => {
                let section = wire::ShardSection::decode(payload).map_err(decode)?;
                let what = |what| RecoveryError::Inconsistent { kind, unit, what };
                let id = u8::try_from(section.shard).map(ShardId).map_err(|_| what("no such shard"))?;
                let shard = &mut *self.engine.shards.write(id);
                load_shard(shard, section).map_err(|error| match error {
                    SectionError::Decode(source) => broken(source),
                    SectionError::Inconsistent(text) => what(text),
                })?;
                shard.lsn = lsn;
                for (id, part) in shard.parts.iter() {
                    if let Some(header) = part.header() {
                        let owners = &self.engine.owners;
                        owners.add(owners.buyer(header.buyer_id()), id);
                    }
                }
            }
            kind::CAPACITY => {
                let section = wire::CapacitySection::decode(payload).map_err(decode)?;
                let booked = codec::sourced::bookings_from_wire(&section.booked).map_err(broken)?;
                self.engine.capacity.lock().restore(lsn, Timestamp(section.swept_time_us), &booked);
            }
            kind::DEDUP => {
                let section = wire::DedupSection::decode(payload).map_err(decode)?;
                let index = usize_from(section.slot);
                let slot = self.engine.slots.get(index);
                let slot = slot.ok_or(RecoveryError::Inconsistent { kind, unit, what: "no such slot" })?;
                let mut slot = slot.lock();
                for entry in section.entries {
                    let hash = SlotHasher.hash(codec::peek(&entry.record).request_id);
                    if SlotHasher::slot(hash) != index {
                        return Err(RecoveryError::Inconsistent { kind, unit, what: "a request id of another slot" });
                    }
                    let entry = Entry { lsn: Lsn::new(entry.lsn), record: &entry.record };
                    slot.insert(hash, entry, self.engine.dedup_retention());
                }
                self.slot_lsn[index].store(lsn.get(), Ordering::SeqCst);
            }
            _ => return Err(RecoveryError::Inconsistent { kind, unit, what: "unknown kind of section" }),
        }
        Ok(())
    }

    /// Applies a record of the log, wherever it is new. Records come in order.
    ///
    /// # Errors
    /// When it is no record that this version knows, or does not follow from those before it. Nothing can come of this recovery then.
    pub fn replay(&mut self, lsn: Lsn, bytes: &[u8]) -> Result<(), RecoveryError> {
        let read = Read::of(&self.engine.owners, lsn, bytes)?;
        self.put(&read)
    }

    /// Applies one record wherever it is new.
    fn put(&mut self, read: &Read<'_>) -> Result<(), RecoveryError> {
        if !read.is_checked {
            check(&self.engine.catalogue.read(), read)?;
        }
        let engine = &self.engine;
        match &read.told {
            Told::Plain(plain) => self.put_in(&mut engine.shards.write(plain.home()), read)?,
            Told::Other(other) => {
                if other.changes_catalogue {
                    let catalogue = &mut *engine.catalogue.write();
                    if read.lsn > catalogue.revision()
                        && let Some(directory) = apply_catalogue(catalogue, read.lsn, read.time, &other.event)
                    {
                        for shard in ShardId::all() {
                            engine.shards.write(shard).directory = Arc::clone(&directory);
                        }
                    }
                }
                for id in other.shards.iter() {
                    self.put_in(&mut engine.shards.write(id), read)?;
                }
                if other.books {
                    self.book(&mut engine.capacity.lock(), read.lsn, other);
                }
            }
        }
        if let Some((slot, hash)) = read.slot() {
            self.remember((slot, hash), &mut engine.slots[slot].lock(), read);
        }
        self.note(read.sequence(), read.time, 1);
        Ok(())
    }

    /// Applies a record to one of its shards, if it is new there.
    fn put_in(&self, shard: &mut Shard, read: &Read<'_>) -> Result<(), RecoveryError> {
        let Read { lsn, time, .. } = *read;
        if lsn > shard.lsn {
            let applied = match &read.told {
                Told::Plain(PlainEvent::Held(held)) => apply_plain(shard, lsn, time, held),
                Told::Plain(PlainEvent::Stepped(step)) => apply_step(shard, lsn, time, step),
                Told::Other(other) => apply(shard, lsn, time, &other.event, &other.placed),
            };
            applied.map_err(|Misfit(invariant)| RecoveryError::Misfit { lsn, invariant })?;
            if let Some((id, _)) = read.told.begun()
                && id.home() == shard.id
            {
                self.engine.owners.add(read.buyer, id);
            }
            self.engine.owners.forget(shard);
        }
        Ok(())
    }

    fn book(&self, capacity: &mut Capacity, lsn: Lsn, other: &Other<'_>) {
        if lsn > capacity.lsn {
            capacity.apply(lsn, other.head.time, &other.event.bookings());
        }
    }

    /// Remembers a record in the slot of its request id.
    fn remember(&self, (index, hash): (usize, u64), slot: &mut Slot, read: &Read<'_>) {
        if read.lsn.get() > self.slot_lsn[index].load(Ordering::SeqCst) {
            let answer = match &read.told {
                Told::Plain(_) => Cow::Borrowed(read.bytes),
                Told::Other(other) => codec::answer(&other.head, &other.event, read.bytes),
            };
            slot.insert(hash, Entry { lsn: read.lsn, record: &answer }, self.engine.dedup_retention());
        }
    }

    /// Notes what is of all records together: the next id to give out, the newest time, how many there were.
    fn note(&mut self, sequence: u64, time: Timestamp, records: u64) {
        self.engine.next_reservation.fetch_max(sequence + 1, Ordering::SeqCst);
        self.last_time.fetch_max(time.0, Ordering::SeqCst);
        self.records += records;
    }

    /// Records applied so far.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Time of the newest event.
    #[must_use]
    pub fn last_time(&self) -> Timestamp {
        Timestamp(self.last_time.load(Ordering::SeqCst))
    }

    /// The engine, ready to write to its journal. What decisions about sourcing read is compiled now, once; what this version cannot compile
    /// is left out of it, see `Stages::excluded`.
    #[must_use]
    pub fn finish(mut self, journal: Arc<dyn Journal>) -> Engine {
        let last_time = self.last_time();
        let catalogue = self.engine.catalogue.get_mut();
        let stages = Stages::compile(catalogue.directory(), last_time);
        let directory = Arc::new(Directory::clone(catalogue.directory()).staged(stages));
        catalogue.set_directory(Arc::clone(&directory));
        for shard in ShardId::all() {
            let shard = &mut *self.engine.shards.write(shard);
            shard.directory = Arc::clone(&directory);
            shard.rules.directory_changed(&directory, last_time);
        }
        self.engine.journal = journal;
        self.engine
    }

    fn load_catalogue(&self, section: wire::CatalogueSection, lsn: Lsn) -> Result<(), SectionError> {
        let catalogue = &mut *self.engine.catalogue.write();
        let directory = catalogue.directory();
        let ids_are_dense = dense(catalogue.skus().len(), section.skus.iter().map(|sku| usize_from(sku.id)))
            && dense(directory.locations().len(), section.locations.iter().map(|place| usize_from(place.id)))
            && dense(directory.channels().len(), section.channels.iter().map(|channel| usize_from(channel.id)));
        if !ids_are_dense {
            return Err(SectionError::Inconsistent("its ids are not dense"));
        }
        section.skus.into_iter().for_each(|sku| catalogue.put_sku(codec::sku_from_wire(sku)));
        let locations: Result<Vec<_>, _> = section.locations.into_iter().map(codec::location_from_wire).collect();
        let channels: Vec<_> = section.channels.into_iter().map(codec::channel_from_wire).collect();
        let locations = locations.map_err(SectionError::Decode)?;
        let regions: Vec<_> = section.regions.into_iter().map(codec::region_from_wire).collect();
        let documents: Result<Vec<_>, _> = section.documents.into_iter().map(codec::document_from_wire).collect();
        let documents = documents.map_err(SectionError::Decode)?;
        let directory = catalogue.directory().with_locations(&locations).with_channels(&channels);
        let directory = directory.with_regions(&regions).with_documents(documents);
        let directory =
            codec::upkeep::restore_locations(directory, &section.freezes).map_err(SectionError::Inconsistent)?;
        let rules = section.stock_rules.map(codec::rules::in_force_from_wire);
        let directory = if rules.is_some() { directory.with_stock_rules(rules) } else { directory };
        let campaigns: Vec<_> = section.campaigns.iter().map(codec::campaign::campaign_from_wire).collect();
        if !dense(directory.campaigns().all().len(), campaigns.iter().map(|campaign| campaign.id.index())) {
            return Err(SectionError::Inconsistent("its ids are not dense"));
        }
        let directory = directory.with_campaigns(campaigns);
        catalogue.set_directory(Arc::new(directory.at(lsn)));
        catalogue.set_revision(lsn);
        Ok(())
    }
}

/// A record that passed its checksum can still come from another history; applying it would break an invariant with a panic.
fn check(catalogue: &Catalogue, read: &Read<'_>) -> Result<(), RecoveryError> {
    match &read.told {
        Told::Plain(plain) => check_plain(catalogue, read.lsn, plain),
        Told::Other(other) => check_event(catalogue, read.lsn, &other.event),
    }
}

const STOCK_NAMES: &str = "a SKU, location or channel";

fn check_plain(catalogue: &Catalogue, lsn: Lsn, plain: &PlainEvent<'_>) -> Result<(), RecoveryError> {
    let (line, directory) = (plain.line(), catalogue.directory());
    let names_known = line.sku.index() < catalogue.skus().len()
        && line.location.index() < directory.locations().len()
        && plain.channel().is_none_or(|channel| channel.index() < directory.channels().len());
    if names_known { Ok(()) } else { Err(RecoveryError::Dangling { lsn, what: STOCK_NAMES }) }
}

fn check_event(catalogue: &Catalogue, lsn: Lsn, event: &Event) -> Result<(), RecoveryError> {
    let (skus, locations) = (catalogue.skus().len(), catalogue.directory().locations().len());
    let channels = catalogue.directory().channels().len();
    let campaigns = catalogue.directory().campaigns().all().len();
    let known = Known { skus, locations, campaigns };
    let (sku, location) = (|id: SkuId| known.sku(id), |id: LocationId| known.location(id));
    let names_known = match event {
        Event::Held(held) => known.held(held) && held.channel.is_none_or(|channel| channel.index() < channels),
        Event::HoldEnded { claim, bookings, .. } | Event::Cancelled { claim, bookings, .. } => {
            known.lines(&claim.lines) && known.bookings(bookings)
        }
        Event::Confirmed { claim } | Event::Shipped { claim, .. } => known.lines(&claim.lines),
        Event::Reassigned { line, from, .. } => sku(line.sku) && location(line.location) && location(*from),
        Event::StockChanged(change) => change.changes.iter().all(|cell| sku(cell.sku) && location(cell.location)),
        Event::CellFactsSet { facts } => facts.iter().all(|cell| sku(cell.sku) && location(cell.location)),
        Event::SkusRetired { skus } => skus.iter().all(|id| sku(*id)),
        Event::SkusUpserted { skus: put, .. } => {
            let known = |id: SkuId| id.index() < skus || put.iter().any(|sku| sku.id == id);
            dense(skus, put.iter().map(|sku| sku.id.index()))
                && put.iter().all(|sku| sku.components.iter().all(|part| known(part.sku)))
        }
        Event::LocationsUpserted { locations: put, .. } => dense(locations, put.iter().map(|place| place.id.index())),
        Event::ChannelsUpserted { channels: put, .. } => dense(channels, put.iter().map(|channel| channel.id.index())),
        Event::Rerouted(rerouted) => known.rerouted(rerouted),
        Event::Merged(merged) => known.merged(merged),
        Event::DocumentActivated { document, .. } | Event::DocumentRetired { document } => {
            if catalogue.directory().documents().get(document).is_none() {
                return Err(RecoveryError::Dangling { lsn, what: "a document" });
            }
            true
        }
        Event::Extended { .. } | Event::RegionsUpserted { .. } | Event::DocumentDrafted { .. } => true,
        Event::Allotment(event) => known.allotment(event),
        Event::Campaign(event) => known.campaign(event),
        Event::Supply(event) => known.supply(event),
        Event::Returns(event) => {
            let channel = event.held().and_then(|held| held.channel);
            known.returns(event) && channel.is_none_or(|channel| channel.index() < channels)
        }
        Event::Upkeep(event) => known.upkeep(event),
        Event::Rules(event) => known.rules(event),
        Event::Summary(_) => return Err(RecoveryError::Dangling { lsn, what: "a summary" }),
    };
    if names_known { Ok(()) } else { Err(RecoveryError::Dangling { lsn, what: STOCK_NAMES }) }
}

enum SectionError {
    Decode(DecodeError),
    Inconsistent(&'static str),
}

fn load_shard(shard: &mut Shard, section: wire::ShardSection) -> Result<(), SectionError> {
    let lengths = [section.row_revision.len(), section.row_flags.len()];
    if lengths.iter().any(|length| *length != section.row_cells.len()) {
        return Err(SectionError::Inconsistent("its columns differ in length"));
    }
    let (mut plain, rest) = section.cells.as_chunks::<16>();
    if !rest.is_empty() {
        return Err(SectionError::Inconsistent("its cells are cut short"));
    }
    let mut packed = &section.packed_cells[..];
    if !packed.is_empty() && !plain.is_empty() {
        return Err(SectionError::Inconsistent("its cells stand there twice"));
    }
    if !shard.rows.is_empty() || !shard.parts.is_empty() {
        return Err(SectionError::Inconsistent("its shard has been loaded already"));
    }
    shard.rows.reserve_exact(section.row_cells.len());
    for ((count, revision), flags) in section.row_cells.iter().zip(&section.row_revision).zip(&section.row_flags) {
        let row: Option<Box<[PackedCell]>> = if plain.is_empty() {
            cells::take(&mut packed, usize_from(*count)).map(Vec::into_boxed_slice)
        } else {
            plain.split_at_checked(usize_from(*count)).map(|(mine, others)| {
                plain = others;
                mine.iter().map(packed_cell).collect()
            })
        };
        let row = row.ok_or(SectionError::Inconsistent("it lacks cells"))?;
        if !row.is_sorted_by(|one, next| one.location() < next.location()) {
            return Err(SectionError::Inconsistent("its cells are not in order"));
        }
        let revision = Lsn::new(*revision);
        if !Stamp::fits(revision) {
            return Err(SectionError::Inconsistent("a row's revision is beyond the last there can be"));
        }
        let (sellable, retired) = (flags & 1 != 0, flags & 2 != 0);
        shard.counts.cells += u64::from(*count);
        let place = shard.rows.len();
        let mut row = Row::restore(row, revision, sellable, retired);
        row.set_kit(flags & 4 != 0);
        let sku = SkuId::from_row(shard.id, place).ok_or(SectionError::Inconsistent("it has too many rows"))?;
        let short = row.cells().filter(|(_, cell)| cell.shortfall() > 0);
        shard.shortfalls.extend(short.map(|(location, _)| (sku, location)));
        shard.rows.push(row);
    }
    for extra in section.extras {
        let (sku, location) = (SkuId(extra.sku), LocationId(extra.location));
        if sku.shard() != shard.id || sku.row() >= shard.rows.len() {
            return Err(SectionError::Inconsistent("it names a SKU that it does not have"));
        }
        if location.0 > LocationId::MAX {
            return Err(SectionError::Inconsistent("it names a location beyond the last there can be"));
        }
        let row = shard.row_mut(sku);
        let cells = row.len();
        let cell = Buckets {
            safety: Quantity(extra.safety),
            quality_control: Quantity(extra.quality_control),
            damaged: Quantity(extra.damaged),
            in_repair: Quantity(extra.in_repair),
            incoming: Quantity(extra.incoming),
            kept: Quantity(extra.kept),
            ..row.get(location)
        };
        row.put(location, &cell);
        if row.len() > cells {
            return Err(SectionError::Inconsistent("it names a cell that it does not have"));
        }
        if cell.shortfall() > 0 {
            shard.shortfalls.insert((sku, location));
        }
    }
    for refusal in &section.refusals {
        let sku = SkuId(refusal.sku);
        if sku.shard() != shard.id || sku.row() >= shard.rows.len() {
            return Err(SectionError::Inconsistent("it names a SKU that it does not have"));
        }
        shard.refusals.insert((sku, LocationId(refusal.location)), Timestamp(refusal.until_us));
    }
    for cell in &section.facts {
        let cell = codec::facts_from_wire(cell).map_err(SectionError::Decode)?;
        if cell.sku.shard() != shard.id || cell.sku.row() >= shard.rows.len() {
            return Err(SectionError::Inconsistent("it names a SKU that it does not have"));
        }
        shard.facts.insert((cell.sku, cell.location), cell.facts);
    }
    let mut ended = Vec::new();
    for part in section.parts {
        let (id, part) = part_from_wire(part)?;
        ended.extend(part.ended_at.map(|at| (at, id)));
        if part.header.as_ref().is_some_and(|header| header.state.is_open() == part.ended_at.is_some()) {
            return Err(SectionError::Inconsistent("a reservation has an end and is open, or the other way about"));
        }
        let place = shard.parts.insert(id, part).ok_or(SectionError::Inconsistent("a reservation stands twice"))?;
        if let Some(header) = shard.parts.header(&id) {
            *count(&mut shard.counts, header.state()) += 1;
            if matches!(header.state(), State::Held | State::Placed) {
                shard.expiries.push(header.expires_at(), place);
            }
        }
    }
    ended.sort_unstable();
    shard.ended = ended.into();
    if let Some(section) = section.allotment {
        codec::allotment::restore(shard, &section).map_err(SectionError::Inconsistent)?;
    }
    if let Some(section) = section.campaign {
        codec::campaign::restore(shard, section).map_err(SectionError::Inconsistent)?;
    }
    if let Some(section) = section.supply {
        codec::supply::restore(shard, section).map_err(SectionError::Inconsistent)?;
    }
    codec::returns::restore(shard, section.returns.unwrap_or_default()).map_err(SectionError::Inconsistent)?;
    if let Some(section) = section.upkeep {
        codec::upkeep::restore(shard, section).map_err(SectionError::Inconsistent)?;
    }
    if let Some(section) = section.rules {
        codec::rules::restore(shard, section).map_err(SectionError::Inconsistent)?;
    }
    Ok(())
}

/// Whether ids name entries that are there or the next one.
fn dense(mut entries: usize, ids: impl Iterator<Item = usize>) -> bool {
    for id in ids {
        if id > entries {
            return false;
        }
        entries += usize::from(id == entries);
    }
    true
}

fn packed_cell(bytes: &[u8; 16]) -> PackedCell {
    let (words, _) = bytes.as_chunks::<4>();
    let word = |place: usize| u32::from_le_bytes(words[place]);
    PackedCell { tag: word(0), on_hand: word(1), reserved: word(2), committed: word(3) }
}

fn part_from_wire(part: wire::ReservationPart) -> Result<(ReservationId, Part), SectionError> {
    let lines = part.lines.iter().map(|line| PartLine {
        sku: SkuId(line.sku),
        location: LocationId(line.location),
        open: Quantity(line.open),
        shipped: Quantity(line.shipped),
        returned: Quantity(line.returned),
        announced: Quantity(line.announced),
        charged: line.charged,
    });
    let header = match part.header {
        None => None,
        Some(header) => Some(Box::new(Header {
            kept: codec::terms::kept_from_wire(&header),
            state: state_from_wire(header.state)
                .ok_or(SectionError::Inconsistent("a reservation has an unknown state"))?,
            order_id: header.order_id.into(),
            buyer_id: header.buyer_id.into(),
            channel: header.channel.checked_sub(1).map(ChannelId),
            created_at: Timestamp(header.create_time_us),
            expires_at: Timestamp(header.expire_time_us),
            revision: Lsn::new(header.revision),
            shards: codec::shards_from_wire(&header.shards),
            sourcing: match header.sourcing {
                None => None,
                Some(kept) => Some(Box::new(codec::sourced::sourcing_from_wire(kept).map_err(SectionError::Decode)?)),
            },
        })),
    };
    let promise = codec::promise_from_wire(part.promise).map_err(SectionError::Decode)?;
    let ended_at = (part.ended_time_us > 0).then_some(Timestamp(part.ended_time_us));
    let path = codec::terms::path_from_wire(&part.path);
    let presold = codec::terms::presold_from_wire(&part.presold);
    let part_lines = lines.collect();
    Ok((ReservationId(part.reservation), Part { promise, lines: part_lines, path, presold, ended_at, header }))
}

//! Snapshots: the state a fold begins from when the log does not go back to its first record, and what a fold compares with itself.
//!
//! Sections are read as messages, past the engine: a snapshot that the engine would load wrongly is still told right.

use prost::Message as _;
use quartermaster_journal::Lsn;
use quartermaster_proto::journal::v1 as wire;
use quartermaster_sourcing::region::RegionSpec;
use smallvec::SmallVec;

use super::{
    Check, Fault, History,
    requests::Use,
    sourcing,
    stock::{Cell, CellFactsMap, Cells, RowFold},
};
use crate::{
    capacity::Booking,
    catalog::{Channel, Location, Sku, documents::Document, hasher},
    codec,
    event::Promise,
    id::{ChannelId, LocationId, NodeId, ReservationId, ShardId, SkuId, usize_from},
    quantity::Quantity,
    reservation::{Header, PartLine, State},
    snapshot::{kind, state_from_wire},
    terms::PresoldLine,
    time::Timestamp,
};

/// A shard as a section describes it.
pub(super) struct ShardView {
    pub(super) shard: ShardId,
    pub(super) rows: Vec<RowFold>,
    pub(super) cells: Cells,
    pub(super) facts: CellFactsMap,
    pub(super) refusals: Vec<(SkuId, LocationId, Timestamp)>,
    pub(super) parts: Vec<PartView>,
    pub(super) allotment: wire::AllotmentSection,
    pub(super) campaign: wire::CampaignSection,
    pub(super) supply: wire::SupplySection,
    pub(super) returns: wire::ReturnsSection,
    pub(super) upkeep: wire::UpkeepSection,
    pub(super) rules: wire::RulesSection,
}

/// A reservation's part in a shard.
pub(super) struct PartView {
    pub(super) id: ReservationId,
    pub(super) promise: Promise,
    pub(super) ended_at: Option<Timestamp>,
    pub(super) lines: SmallVec<[PartLine; 1]>,
    /// Selling nodes that charged lines count to.
    pub(super) path: Box<[NodeId]>,
    pub(super) header: Option<Box<Header>>,
    pub(super) presold: Vec<PresoldLine>,
}

/// A part of the catalogue as a section describes it.
struct CatalogueView {
    skus: Vec<Sku>,
    locations: Vec<Location>,
    channels: Vec<Channel>,
    regions: Vec<RegionSpec>,
    documents: Vec<Document>,
    freezes: Vec<wire::Freeze>,
    stock_rules: Option<wire::StockRules>,
    campaigns: Vec<wire::Campaign>,
}

impl History {
    /// Takes a section of the snapshot that the fold begins from. Sections come in the order they were written in; then `begin_at`.
    pub fn load(&mut self, kind: u16, unit: u32, lsn: Lsn, payload: &[u8]) {
        self.findings.lsn = lsn;
        if let Err(what) = self.try_load(kind, lsn, payload) {
            self.findings.add(Check::Snapshots, Fault::BadSection { kind, unit, what });
        }
    }

    /// The first record past the snapshot that was loaded.
    pub fn begin_at(&mut self, needed_from: Lsn) {
        self.next = needed_from;
    }

    fn try_load(&mut self, kind: u16, lsn: Lsn, payload: &[u8]) -> Result<(), &'static str> {
        match kind {
            kind::META => {
                let meta = wire::MetaSection::decode(payload).map_err(|_| NO_MESSAGE)?;
                self.newest = Timestamp(meta.time_us);
            }
            kind::CATALOGUE => {
                let view = read_catalogue(payload)?;
                self.names.restore(view.skus, view.locations, view.channels);
                self.names.regions.extend(view.regions);
                self.names.documents.extend(view.documents);
                self.begin_stock_rules(view.stock_rules);
                self.campaign_fold.restore(&view.campaigns);
                self.names.complete_to = lsn;
                self.begin_freezes(&view.freezes);
            }
            kind::SHARD => {
                let view = read_shard(payload)?;
                for cell in view.cells.values() {
                    self.units.opening_on_hand += u64::from(cell.on_hand);
                    self.units.opening_reserved += u64::from(cell.reserved);
                    self.units.opening_committed += u64::from(cell.committed);
                }
                self.begin_allotment(view.shard, &view.allotment);
                self.begin_campaign(view.shard, &view.campaign);
                self.begin_supply(view.shard, &view.supply);
                self.begin_returns(view.shard, &view.returns);
                self.begin_upkeep(view.shard, &view.upkeep);
                self.begin_rules(view.shard, &view.rules);
                for part in view.parts {
                    if let Some(header) = &part.header {
                        self.reservations.restore_header(part.id, header);
                        self.begin_kits(part.id, header);
                        self.begin_order(part.id, header);
                    }
                    let reservation = self.reservations.part_mut(part.id);
                    reservation.ended_at = reservation.ended_at.or(part.ended_at);
                    reservation.lines.extend(part.lines);
                    if !part.path.is_empty() {
                        reservation.path = part.path;
                    }
                    self.begin_presold(part.id, &part.presold);
                }
                let shard = self.shards.get_mut(view.shard);
                (shard.complete_to, shard.rows, shard.cells) = (lsn, view.rows, view.cells);
                shard.facts = view.facts;
                shard.refusals = view.refusals.iter().map(|(sku, at, until)| ((*sku, *at), *until)).collect();
            }
            kind::CAPACITY => {
                self.booked.complete_to = lsn;
                self.booked.work = sourcing::work(&read_work(payload)?);
            }
            kind::DEDUP => {
                for (lsn, request_id, time) in read_dedup(payload)? {
                    self.requests.put(&request_id, Use { lsn, time });
                }
            }
            _ => return Err(NO_KIND),
        }
        Ok(())
    }

    /// Compares a section of another snapshot with the fold. The fold stands at the section's LSN.
    pub fn check_section(&mut self, kind: u16, unit: u32, lsn: Lsn, payload: &[u8]) {
        self.findings.lsn = lsn;
        if let Err(what) = self.try_check(kind, unit, lsn, payload) {
            self.findings.add(Check::Snapshots, Fault::BadSection { kind, unit, what });
        }
    }

    fn try_check(&mut self, kind: u16, unit: u32, lsn: Lsn, payload: &[u8]) -> Result<(), &'static str> {
        match kind {
            kind::META => {
                let meta = wire::MetaSection::decode(payload).map_err(|_| NO_MESSAGE)?;
                let (found, folded) = (meta.next_reservation_sequence, self.reservations.sequence_max);
                if found <= folded {
                    let what = "the next reservation's number";
                    self.findings.add(Check::Snapshots, Fault::NumberDiffers { what, found, folded: folded + 1 });
                }
            }
            kind::CATALOGUE => {
                let CatalogueView { skus, locations, channels, regions, documents, freezes, stock_rules, campaigns } =
                    read_catalogue(payload)?;
                if lsn >= self.names.complete_to {
                    let last = usize_from(unit + 1) * crate::snapshot::SKUS_PER_SECTION >= self.names.skus.len();
                    let end = skus.last().map_or(0, |sku| u64::from(sku.id.0) + 1);
                    let folded = self.names.counts().0;
                    if last && end != folded {
                        let fault = Fault::NumberDiffers { what: "SKUs", found: end, folded };
                        self.findings.add(Check::Snapshots, fault);
                    }
                    self.compare_skus(Check::Snapshots, &skus);
                    if unit == 0 {
                        self.compare_directory(Check::Snapshots, &locations, &channels);
                        self.compare_documents(Check::Snapshots, &regions, &documents);
                        self.compare_freezes(Check::Snapshots, &freezes);
                        let rules = stock_rules.unwrap_or_default();
                        self.compare_stock_rules(Check::Snapshots, rules.version, &rules.json);
                        let campaigns: Vec<_> = campaigns.iter().map(codec::campaign::campaign_from_wire).collect();
                        self.compare_campaigns(Check::Snapshots, &campaigns);
                    }
                }
            }
            kind::SHARD => {
                let view = read_shard(payload)?;
                if lsn >= self.shards.complete_to(view.shard) {
                    self.compare_shard(Check::Snapshots, &view);
                }
            }
            kind::CAPACITY => {
                let found = read_work(payload)?;
                if lsn >= self.booked.complete_to {
                    self.compare_work(Check::Snapshots, &found);
                }
            }
            kind::DEDUP => {
                for (lsn, request_id, _) in read_dedup(payload)? {
                    self.compare_request(Check::Snapshots, lsn, &request_id);
                }
            }
            _ => return Err(NO_KIND),
        }
        Ok(())
    }
}

const NO_MESSAGE: &str = "it is no message of its kind";
const NO_KIND: &str = "its kind is unknown";

fn read_catalogue(payload: &[u8]) -> Result<CatalogueView, &'static str> {
    let section = wire::CatalogueSection::decode(payload).map_err(|_| NO_MESSAGE)?;
    let locations: Result<Vec<_>, _> = section.locations.into_iter().map(codec::location_from_wire).collect();
    let documents: Result<Vec<_>, _> = section.documents.into_iter().map(codec::document_from_wire).collect();
    Ok(CatalogueView {
        skus: section.skus.into_iter().map(codec::sku_from_wire).collect(),
        locations: locations.map_err(|_| "a location has an unknown kind or state")?,
        channels: section.channels.into_iter().map(codec::channel_from_wire).collect(),
        regions: section.regions.into_iter().map(codec::region_from_wire).collect(),
        documents: documents.map_err(|_| "a document has an unknown kind or state")?,
        freezes: section.freezes,
        stock_rules: section.stock_rules,
        campaigns: section.campaigns,
    })
}

fn read_dedup(payload: &[u8]) -> Result<Vec<(Lsn, String, Timestamp)>, &'static str> {
    let section = wire::DedupSection::decode(payload).map_err(|_| NO_MESSAGE)?;
    let entry = |entry: &wire::DedupEntry| {
        let record = codec::decode(&entry.record).map_err(|_| "a remembered record cannot be read")?;
        Ok((Lsn::new(entry.lsn), record.request_id, record.time))
    };
    section.entries.iter().map(entry).collect()
}

fn read_work(payload: &[u8]) -> Result<Box<[Booking]>, &'static str> {
    let section = wire::CapacitySection::decode(payload).map_err(|_| NO_MESSAGE)?;
    codec::sourced::bookings_from_wire(&section.booked).map_err(|_| NO_MESSAGE)
}

fn read_shard(payload: &[u8]) -> Result<ShardView, &'static str> {
    let section = wire::ShardSection::decode(payload).map_err(|_| NO_MESSAGE)?;
    let shard = u8::try_from(section.shard).map(ShardId).map_err(|_| "there is no such shard")?;
    let mut cells = Cells::with_hasher(hasher());
    let mut rows = Vec::with_capacity(section.row_cells.len());
    let plain = plain_cells(&section.cells);
    let listed = if section.packed_cells.is_empty() { plain } else { packed_cells(&section)? };
    let mut listed = listed.into_iter();
    if section.row_revision.len() != section.row_cells.len() || section.row_flags.len() != section.row_cells.len() {
        return Err("its columns differ in length");
    }
    for (place, count) in section.row_cells.iter().enumerate() {
        let flags = section.row_flags[place];
        let revision = Lsn::new(section.row_revision[place]);
        rows.push(RowFold { sellable: flags & 1 != 0, retired: flags & 2 != 0, revision });
        let sku = SkuId::from_row(shard, place).ok_or("it has too many rows")?;
        for _ in 0..*count {
            let [location, on_hand, reserved, committed] = listed.next().ok_or("it lacks cells")?;
            let cell = Cell { on_hand, reserved, committed, ..Cell::default() };
            cells.insert((sku, LocationId(location)), cell);
        }
    }
    for extra in section.extras {
        let cell = cells.entry((SkuId(extra.sku), LocationId(extra.location))).or_default();
        cell.safety = extra.safety;
        cell.quality_control = extra.quality_control;
        cell.damaged = extra.damaged;
        cell.in_repair = extra.in_repair;
        cell.incoming = extra.incoming;
        cell.kept = extra.kept;
    }
    let fact = |cell: &wire::CellFacts| {
        let cell = codec::facts_from_wire(cell).map_err(|_| "facts of a cell are out of range")?;
        Ok::<_, &'static str>(((cell.sku, cell.location), cell.facts))
    };
    let facts = section.facts.iter().map(fact).collect::<Result<_, _>>()?;
    let refusal = |one: &wire::Refusal| (SkuId(one.sku), LocationId(one.location), Timestamp(one.until_us));
    let refusals = section.refusals.iter().map(refusal).collect();
    let parts = section.parts.into_iter().map(read_part).collect::<Result<_, _>>()?;
    Ok(ShardView {
        shard,
        rows,
        cells,
        facts,
        refusals,
        parts,
        allotment: section.allotment.unwrap_or_default(),
        campaign: section.campaign.unwrap_or_default(),
        supply: section.supply.unwrap_or_default(),
        returns: section.returns.unwrap_or_default(),
        upkeep: section.upkeep.unwrap_or_default(),
        rules: section.rules.unwrap_or_default(),
    })
}

/// Location, on hand, reserved and committed of each cell, sixteen bytes a cell.
fn plain_cells(bytes: &[u8]) -> Vec<[u32; 4]> {
    let word = |word: &[u8; 4]| u32::from_le_bytes(*word);
    bytes.as_chunks::<4>().0.as_chunks::<4>().0.iter().map(|cell| cell.each_ref().map(word)).collect()
}

/// The same of cells that are packed, as the proto says.
fn packed_cells(section: &wire::ShardSection) -> Result<Vec<[u32; 4]>, &'static str> {
    let mut rest = &section.packed_cells[..];
    let number = |rest: &mut &[u8]| {
        let value = prost::encoding::decode_varint(rest).map_err(|_| "its cells are cut short")?;
        u32::try_from(value).map_err(|_| "a cell is out of range")
    };
    let mut cells = Vec::new();
    for count in &section.row_cells {
        let mut free = 0_u32;
        for _ in 0..*count {
            let (&byte, after) = rest.split_first().ok_or("it lacks cells")?;
            rest = after;
            let on_hand = number(&mut rest)?;
            let reserved = if byte & 1 == 1 { number(&mut rest)? } else { 0 };
            let committed = if byte & 2 == 2 { number(&mut rest)? } else { 0 };
            let far = if byte >> 2 == 63 { number(&mut rest)? } else { 0 };
            let left_out = u32::from(byte >> 2).checked_add(far);
            let location = left_out.and_then(|left_out| free.checked_add(left_out)).ok_or("a cell is out of range")?;
            cells.push([location, on_hand, reserved, committed]);
            free = location.checked_add(1).ok_or("a cell is out of range")?;
        }
    }
    Ok(cells)
}

fn read_part(part: wire::ReservationPart) -> Result<PartView, &'static str> {
    let lines = part.lines.iter().map(|line| PartLine {
        sku: SkuId(line.sku),
        location: LocationId(line.location),
        open: Quantity(line.open),
        shipped: Quantity(line.shipped),
        returned: Quantity(line.returned),
        announced: Quantity(line.announced),
        charged: line.charged,
    });
    let header = part.header.map(|header| {
        let state: Option<State> = state_from_wire(header.state);
        Ok::<_, &'static str>(Box::new(Header {
            kept: codec::terms::kept_from_wire(&header),
            state: state.ok_or("a reservation has an unknown state")?,
            order_id: header.order_id.into(),
            buyer_id: header.buyer_id.into(),
            channel: header.channel.checked_sub(1).map(ChannelId),
            created_at: Timestamp(header.create_time_us),
            expires_at: Timestamp(header.expire_time_us),
            revision: Lsn::new(header.revision),
            shards: codec::shards_from_wire(&header.shards),
            sourcing: match header.sourcing {
                None => None,
                Some(kept) => Some(Box::new(
                    codec::sourced::sourcing_from_wire(kept)
                        .map_err(|_| "how a reservation was sourced cannot be read")?,
                )),
            },
        }))
    });
    Ok(PartView {
        id: ReservationId(part.reservation),
        promise: codec::promise_from_wire(part.promise).map_err(|_| "a reservation has an unknown promise")?,
        ended_at: (part.ended_time_us > 0).then_some(Timestamp(part.ended_time_us)),
        path: codec::terms::path_from_wire(&part.path),
        lines: lines.collect(),
        presold: codec::terms::presold_from_wire(&part.presold),
        header: header.transpose()?,
    })
}

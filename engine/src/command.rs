//! What a caller asks. Shapes and ranges are right by construction or were checked by whoever built it; codes are still codes,
//! because a repeated request must find its first answer even after its SKU was retired.

pub mod allotment;
pub mod campaign;
mod plain;
pub mod returns;
pub mod rules;
pub mod supply;
pub mod upkeep;

use compact_str::CompactString;
use quartermaster_sourcing::{
    fulfilment::{Coordinates, Mode, Moment},
    region::RegionSpec,
};
use smallvec::SmallVec;

pub use self::plain::PlainOrder;
use crate::{
    catalog::{
        ChannelSpec, LocationSpec, SkuSpec,
        documents::{Content, DocumentId},
    },
    event::Facts,
    fingerprint::Fingerprinter,
    id::ReservationId,
    quantity::Quantity,
    time::{Micros, Timestamp},
};

/// A caller's idempotency key and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Idempotency key, 1 to 64 bytes; empty only for what the server does by itself, which is not remembered.
    pub id: CompactString,
    /// Who asks; empty while authentication is off.
    pub actor: String,
}

impl Request {
    /// What is asked by nobody, and not remembered.
    #[must_use]
    pub fn unnamed() -> Self {
        Self { id: CompactString::default(), actor: String::new() }
    }
}

/// A change that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Take stock for an order.
    Reserve(Reserve),
    /// Bring a reservation further.
    Reservation(ReservationId, Step),
    /// Plan a receiver's reservations together.
    Merge(Merge),
    /// Truth from outside about stock.
    Stock(StockCommand),
    /// Change what there is to speak of.
    Catalogue(CatalogueCommand),
    /// Units ring-fenced for channels and campaigns.
    Allotment(allotment::AllotmentCommand),
    /// Flash sales, their buyers and their waiting lists, and orders that take stock at payment.
    Campaign(campaign::CampaignCommand),
    /// Units that are expected, the promises on them, and transfers.
    Supply(supply::SupplyCommand),
    /// Units that come back from buyers.
    Returns(returns::ReturnsCommand),
    /// Freezes, counts and repairs.
    Upkeep(upkeep::UpkeepCommand),
    /// Safety stock of many levels, and rules that set it and allotments.
    Rules(rules::RulesCommand),
}

/// What a reservation shall do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The order is paid.
    Confirm,
    /// Give the hold back.
    Release,
    /// Give units back. No lines: all that is open.
    Cancel(Vec<LineSelection>),
    /// Move the expiry to this long from now.
    Extend(Micros),
    /// Units left their locations. No lines: all that is open.
    Ship(Vec<LineSelection>),
    /// Move units to another location.
    Reassign(Reassign),
    /// End the hold if its time is up. Sent by the timer.
    Expire,
}

/// Truth from outside about stock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StockCommand {
    /// Set a bucket to a figure.
    Set(SetStock),
    /// Add a difference to a bucket.
    Adjust(AdjustStock),
    /// Goods arrived.
    Receive(ReceiveStock),
    /// Units change bucket.
    Move(MoveStock),
    /// A part of a bulk import: absolute figures of many cells.
    Import(ImportStock),
    /// What planning knows of cells.
    SetFacts(Vec<FactRow>),
}

/// A change of the catalogue. Codes stand at most once in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CatalogueCommand {
    /// Add or replace SKUs.
    UpsertSkus(Vec<SkuSpec>),
    /// Retire SKUs by code.
    RetireSkus(Vec<String>),
    /// Add or replace locations.
    UpsertLocations(Vec<LocationSpec>),
    /// Add or replace channels.
    UpsertChannels(Vec<ChannelSpec>),
    /// Add or replace regions.
    UpsertRegions(Vec<RegionSpec>),
    /// Keep a document as the next version of its name.
    Draft(Box<Content>),
    /// Put a draft in force.
    Activate {
        /// Which.
        document: DocumentId,
        /// From when on; `None` or past: from now on.
        effective_at: Option<Timestamp>,
    },
    /// Take a version out of force.
    Retire(DocumentId),
}

/// Lines of an order; most have one.
pub type ReserveLines = SmallVec<[ReserveLine; 1]>;

/// Lines that few orders have more of: up to here, what an order is decided with for a moment stands in place.
pub(crate) const FEW_LINES: usize = 8;

/// Asks for a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserve {
    /// The caller's order number, up to 64 bytes.
    pub order_id: CompactString,
    /// The buyer, up to 64 bytes.
    pub buyer_id: CompactString,
    /// Channel code, or empty.
    pub channel: CompactString,
    /// What is wanted, at least one line.
    pub lines: ReserveLines,
    /// How long the hold lasts; 0: as long as its channel says, else `HOLD_TTL_DEFAULT`.
    pub ttl: Micros,
    /// Take what there is.
    pub allow_partial: bool,
    /// A hold of the same buyer to give up in the same step.
    pub replaces: Option<ReservationId>,
    /// Refuse when a SKU's stock changed after this LSN; 0: do not ask.
    pub unchanged_since_lsn: u64,
    /// Let the router decide where the units come from. Lines name no locations then.
    pub sourcing: Option<Box<SourcingRequest>>,
    /// What is asked beyond a plain hold.
    pub asked: Option<Box<Asked>>,
}

/// How long a hold lasts when neither its request nor its channel says.
pub const HOLD_TTL_DEFAULT: Micros = Micros::from_secs(15 * 60);

/// What a hold may ask for beyond a plain one.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Asked {
    /// Campaign code, or empty.
    pub campaign: String,
    /// When the campaign is sold out: wait for units to come back.
    pub wait: bool,
    /// Units may come from what is expected.
    pub presale: Presale,
}

/// Whether units may be promised from what is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Presale {
    /// From stock alone.
    #[default]
    No,
    /// From stock, and what it lacks from what is expected until then, the earliest first.
    StockFirst {
        /// Expected at this time or earlier; `None`: whenever.
        by: Option<Timestamp>,
    },
    /// Only from what is expected.
    Only {
        /// Expected at this time or earlier; `None`: whenever.
        by: Option<Timestamp>,
    },
}

impl Asked {
    fn fingerprint(&self, hash: &mut Fingerprinter) {
        let (presale, by) = match self.presale {
            Presale::No => (0, None),
            Presale::StockFirst { by } => (1, by),
            Presale::Only { by } => (2, by),
        };
        hash.tag(99).text(&self.campaign).number(u64::from(self.wait)).number(presale).number(by.map_or(0, |at| at.0));
    }
}

/// The conditions under which an order is sourced, by codes.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SourcingRequest {
    /// Region code, or empty.
    pub region: String,
    /// The point, when known.
    pub point: Option<Coordinates>,
    /// Service level, or empty.
    pub service_level: String,
    /// Kind of order, or empty.
    pub order_type: String,
    /// Tier of the buyer, or empty.
    pub buyer_tier: String,
    /// How it reaches the buyer.
    pub mode: Mode,
    /// For pickup: location code.
    pub pickup_location: String,
    /// When it should be there.
    pub wanted_by: Option<Moment>,
    /// At most so many parcels.
    pub parcels_max: Option<u16>,
    /// Name of a policy, or empty.
    pub policy: String,
    /// Who receives it, or empty.
    pub receiver_key: String,
    /// Open parcels to the same receiver count as paid.
    pub join_open_parcels: bool,
}

/// Conditions of a line that the router decides about, by codes.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LineSourcing {
    /// From one location, or not at all.
    pub whole: bool,
    /// Only these locations.
    pub only: Vec<String>,
    /// Not these.
    pub never: Vec<String>,
    /// Rather these.
    pub rather: Vec<String>,
    /// SKUs agreed to for what cannot be had, the better first.
    pub substitutes: Vec<String>,
}

/// Asks to plan a receiver's open reservations together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merge {
    /// The buyer.
    pub buyer_id: String,
    /// The receiver's key.
    pub receiver_key: String,
    /// Only these; none: all that may go together.
    pub reservations: Vec<ReservationId>,
}

/// Units of one SKU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReserveLine {
    /// SKU code.
    pub sku: CompactString,
    /// Units, at least 1.
    pub quantity: Quantity,
    /// Location code, or empty for any.
    pub location: CompactString,
    /// Conditions for the router.
    pub sourcing: Option<Box<LineSourcing>>,
}

/// Units of one line of a reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineSelection {
    /// SKU code.
    pub sku: String,
    /// Location code, or empty when the reservation has the SKU at one location only.
    pub location: String,
    /// Units, or `None` for all that is open.
    pub quantity: Option<Quantity>,
}

/// Asks to move units of a reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reassign {
    /// SKU code.
    pub sku: String,
    /// Location code they are at.
    pub from: String,
    /// Location code they go to, or empty for the best other one.
    pub to: String,
    /// Units, or `None` for all that is open.
    pub quantity: Option<Quantity>,
    /// The location refused: the router leaves it out for the SKU for a while.
    pub refused: bool,
}

/// A bucket that outside truth can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bucket {
    /// Units physically there.
    OnHand,
    /// Kept back.
    Safety,
    /// In quality control.
    QualityControl,
    /// Damaged.
    Damaged,
    /// In repair.
    InRepair,
    /// Expected.
    Incoming,
}

/// Where a unit on hand can be moved from and to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// In none of the others.
    Sellable,
    /// In quality control.
    QualityControl,
    /// Damaged.
    Damaged,
    /// In repair.
    InRepair,
}

/// Why stock changed: number of `quartermaster.v1.StockReason`, carried and not interpreted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct StockReason(pub u32);

impl StockReason {
    /// A first load or a full reload.
    pub const IMPORT: Self = Self(11);
}

/// A cell by codes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CellCode {
    /// SKU code.
    pub sku: String,
    /// Location code.
    pub location: String,
}

/// Sets a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetStock {
    /// Which cell.
    pub cell: CellCode,
    /// Which bucket.
    pub bucket: Bucket,
    /// The figure.
    pub quantity: Quantity,
    /// Refuse unless the SKU's revision is this LSN.
    pub expected_revision: Option<u64>,
    /// Why.
    pub reason: StockReason,
    /// The caller's document.
    pub reference: String,
}

/// Adds to a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdjustStock {
    /// Which cell.
    pub cell: CellCode,
    /// Which bucket.
    pub bucket: Bucket,
    /// Signed units, not 0.
    pub delta: i64,
    /// Why.
    pub reason: StockReason,
    /// The caller's document.
    pub reference: String,
}

/// Goods arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiveStock {
    /// Where and how many; the same cell may stand more than once.
    pub receipts: Vec<(CellCode, Quantity)>,
    /// Take as many from incoming.
    pub from_incoming: bool,
    /// Why.
    pub reason: StockReason,
    /// The caller's document.
    pub reference: String,
}

/// Units change bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveStock {
    /// Which cell.
    pub cell: CellCode,
    /// Out of.
    pub from: Condition,
    /// Into; differs from `from`.
    pub to: Condition,
    /// Units.
    pub quantity: Quantity,
    /// Why.
    pub reason: StockReason,
    /// The caller's document.
    pub reference: String,
}

/// A part of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportStock {
    /// Each cell at most once.
    pub rows: Vec<ImportRow>,
    /// The caller's document.
    pub reference: String,
}

/// What planning knows of a cell; what is `None` becomes unknown. Each cell at most once in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactRow {
    /// Which cell.
    pub cell: CellCode,
    /// What is known.
    pub facts: Facts,
}

/// A cell as it shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportRow {
    /// Which cell.
    pub cell: CellCode,
    /// Units physically there.
    pub on_hand: Quantity,
    /// Kept back.
    pub safety: Quantity,
    /// In quality control.
    pub quality_control: Quantity,
    /// Damaged.
    pub damaged: Quantity,
    /// In repair.
    pub in_repair: Quantity,
    /// Expected.
    pub incoming: Quantity,
}

impl Command {
    /// Stable hash of the content, to tell a repeat of a request from a reuse of its id. Written to the journal.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hash = Fingerprinter::default();
        match self {
            Self::Reserve(reserve) => {
                plain::begun(&mut hash, &reserve.order_id, &reserve.buyer_id, &reserve.channel, reserve.ttl);
                hash.number(u64::from(reserve.allow_partial));
                hash.number(reserve.replaces.map_or(0, |id| id.0)).number(reserve.unchanged_since_lsn);
                for line in &reserve.lines {
                    hash.text(&line.sku).text(&line.location).quantity(line.quantity);
                    if let Some(sourcing) = &line.sourcing {
                        sourcing.fingerprint(&mut hash);
                    }
                }
                if let Some(sourcing) = &reserve.sourcing {
                    sourcing.fingerprint(&mut hash);
                }
                if let Some(asked) = &reserve.asked {
                    asked.fingerprint(&mut hash);
                }
            }
            Self::Merge(merge) => {
                hash.tag(40).text(&merge.buyer_id).text(&merge.receiver_key);
                merge.reservations.iter().for_each(|id| _ = hash.number(id.0));
            }
            Self::Reservation(id, step) => {
                hash.number(id.0);
                step.fingerprint(&mut hash);
            }
            Self::Stock(stock) => stock.fingerprint(&mut hash),
            Self::Allotment(command) => command.fingerprint(&mut hash),
            Self::Campaign(command) => command.fingerprint(&mut hash),
            Self::Supply(command) => command.fingerprint(&mut hash),
            Self::Returns(command) => command.fingerprint(&mut hash),
            Self::Upkeep(command) => command.fingerprint(&mut hash),
            Self::Rules(command) => command.fingerprint(&mut hash),
            Self::Catalogue(CatalogueCommand::UpsertSkus(skus)) => {
                hash.tag(14);
                skus.iter().for_each(|sku| sku.fingerprint(&mut hash));
            }
            Self::Catalogue(CatalogueCommand::RetireSkus(codes)) => {
                hash.tag(15);
                codes.iter().for_each(|code| _ = hash.text(code));
            }
            Self::Catalogue(CatalogueCommand::UpsertLocations(locations)) => {
                hash.tag(16);
                locations.iter().for_each(|location| location.fingerprint(&mut hash));
            }
            Self::Catalogue(CatalogueCommand::UpsertChannels(channels)) => {
                hash.tag(17);
                channels.iter().for_each(|channel| channel.fingerprint(&mut hash));
            }
            Self::Catalogue(CatalogueCommand::UpsertRegions(regions)) => {
                hash.tag(27);
                for region in regions {
                    hash.text(&region.code).text(&region.parent).text(&region.name);
                    if let Some(at) = region.coordinates {
                        hash.number(u64::from(at.latitude_e7.cast_unsigned()));
                        hash.number(u64::from(at.longitude_e7.cast_unsigned()));
                    }
                }
            }
            Self::Catalogue(CatalogueCommand::Draft(content)) => {
                hash.tag(28).text(content.kind().name()).text(&content.to_json());
            }
            Self::Catalogue(CatalogueCommand::Activate { document, effective_at }) => {
                hash.tag(29).number(effective_at.map_or(0, |at| at.0));
                document_id(&mut hash, document);
            }
            Self::Catalogue(CatalogueCommand::Retire(document)) => {
                document_id(hash.tag(30), document);
            }
        }
        hash.finish()
    }
}

impl Step {
    fn fingerprint(&self, hash: &mut Fingerprinter) {
        match self {
            Self::Confirm => _ = hash.tag(2),
            Self::Release => _ = hash.tag(3),
            Self::Cancel(lines) => selections(hash.tag(4), lines),
            Self::Extend(ttl) => _ = hash.tag(5).number(ttl.0),
            Self::Ship(lines) => selections(hash.tag(6), lines),
            Self::Reassign(reassign) => {
                hash.tag(7).text(&reassign.sku).text(&reassign.from).text(&reassign.to);
                hash.quantity(reassign.quantity.unwrap_or_default());
                if reassign.refused {
                    hash.tag(19);
                }
            }
            Self::Expire => _ = hash.tag(8),
        }
    }
}

impl SourcingRequest {
    fn fingerprint(&self, hash: &mut Fingerprinter) {
        hash.tag(20).text(&self.region).text(&self.service_level).text(&self.order_type).text(&self.buyer_tier);
        if let Some(point) = self.point {
            hash.number(u64::from(point.latitude_e7.cast_unsigned()));
            hash.number(u64::from(point.longitude_e7.cast_unsigned()));
        }
        let mode = match self.mode {
            Mode::Ship => 1,
            Mode::Pickup => 2,
            Mode::SameHour => 3,
        };
        hash.number(mode).text(&self.pickup_location).number(self.wanted_by.map_or(0, |at| at.0.cast_unsigned()));
        hash.number(self.parcels_max.map_or(0, u64::from)).text(&self.policy).text(&self.receiver_key);
        hash.number(u64::from(self.join_open_parcels));
    }
}

impl LineSourcing {
    fn fingerprint(&self, hash: &mut Fingerprinter) {
        hash.tag(21).number(u64::from(self.whole));
        for (tag, codes) in [(22, &self.only), (23, &self.never), (24, &self.rather), (25, &self.substitutes)] {
            hash.tag(tag);
            codes.iter().for_each(|code| _ = hash.text(code));
        }
    }
}

fn document_id(hash: &mut Fingerprinter, document: &DocumentId) {
    hash.text(document.kind.name()).text(&document.name).number(u64::from(document.version));
}

fn selections(hash: &mut Fingerprinter, lines: &[LineSelection]) {
    for line in lines {
        hash.text(&line.sku).text(&line.location).quantity(line.quantity.unwrap_or_default());
    }
}

impl StockCommand {
    /// The cells it speaks of, in the order of the request.
    pub fn cells(&self) -> Vec<&CellCode> {
        match self {
            Self::Set(set) => vec![&set.cell],
            Self::Adjust(adjust) => vec![&adjust.cell],
            Self::Move(step) => vec![&step.cell],
            Self::Receive(receive) => receive.receipts.iter().map(|(cell, _)| cell).collect(),
            Self::Import(import) => import.rows.iter().map(|row| &row.cell).collect(),
            Self::SetFacts(rows) => rows.iter().map(|row| &row.cell).collect(),
        }
    }

    fn fingerprint(&self, hash: &mut Fingerprinter) {
        match self {
            Self::Set(set) => {
                hash.tag(9).cell(&set.cell).number(set.bucket.code()).quantity(set.quantity);
                hash.number(set.expected_revision.unwrap_or(u64::MAX));
                hash.number(u64::from(set.reason.0)).text(&set.reference);
            }
            Self::Adjust(adjust) => {
                hash.tag(10).cell(&adjust.cell).number(adjust.bucket.code()).number(adjust.delta.cast_unsigned());
                hash.number(u64::from(adjust.reason.0)).text(&adjust.reference);
            }
            Self::Receive(receive) => {
                hash.tag(11).number(u64::from(receive.from_incoming)).number(u64::from(receive.reason.0));
                hash.text(&receive.reference);
                for (cell, quantity) in &receive.receipts {
                    hash.cell(cell).quantity(*quantity);
                }
            }
            Self::Move(step) => {
                hash.tag(12).cell(&step.cell).number(step.from.code()).number(step.to.code()).quantity(step.quantity);
                hash.number(u64::from(step.reason.0)).text(&step.reference);
            }
            Self::Import(import) => {
                hash.tag(13).text(&import.reference);
                for row in &import.rows {
                    hash.cell(&row.cell).quantity(row.on_hand).quantity(row.safety).quantity(row.quality_control);
                    hash.quantity(row.damaged).quantity(row.in_repair).quantity(row.incoming);
                }
            }
            Self::SetFacts(rows) => {
                hash.tag(26);
                for row in rows {
                    hash.cell(&row.cell)
                        .number(row.facts.weekly_demand_milli.map_or(0, |demand| u64::from(demand) + 1));
                    hash.number(row.facts.oldest_receipt_day.map_or(0, |day| u64::from(day) + 1));
                }
            }
        }
    }
}

impl Bucket {
    fn code(self) -> u64 {
        match self {
            Self::OnHand => 1,
            Self::Safety => 2,
            Self::QualityControl => 3,
            Self::Damaged => 4,
            Self::InRepair => 5,
            Self::Incoming => 6,
        }
    }

    /// Name in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OnHand => "on hand",
            Self::Safety => "safety",
            Self::QualityControl => "quality control",
            Self::Damaged => "damaged",
            Self::InRepair => "in repair",
            Self::Incoming => "incoming",
        }
    }
}

impl Condition {
    fn code(self) -> u64 {
        match self {
            Self::Sellable => 7,
            Self::QualityControl => 3,
            Self::Damaged => 4,
            Self::InRepair => 5,
        }
    }

    /// The bucket that counts it; sellable units are counted by none.
    #[must_use]
    pub fn bucket(self) -> Option<Bucket> {
        match self {
            Self::Sellable => None,
            Self::QualityControl => Some(Bucket::QualityControl),
            Self::Damaged => Some(Bucket::Damaged),
            Self::InRepair => Some(Bucket::InRepair),
        }
    }
}

//! The two ways of saying no: a `Rejection` is a business answer, an `Error` tells the caller that the request itself cannot stand.
//! Neither changed anything.

use quartermaster_journal::{AppendError, Lsn};
use quartermaster_sourcing::{plan::UnservedReason, region::RegionError};
use thiserror::Error;

use crate::{
    allotment::LimitedBy,
    catalog::documents::{DocumentFault, DocumentId, DocumentState},
    command::{Bucket, CellCode},
    event::supply::InboundState,
    id::{ReservationId, ReturnId},
    quantity::Quantity,
    reservation::State,
    returns::ReturnState,
    time::Timestamp,
    upkeep::FreezeReason,
};

/// A business "no", with its facts. Nothing changed, nothing was logged; safe to ask again.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Rejection {
    /// Fewer units than asked for, everywhere the request allows.
    #[error("insufficient stock for {} of the lines, first {}", shortages.len(), first(shortages))]
    InsufficientStock {
        /// Every line that could not be served in full.
        shortages: Vec<CodedShortage>,
    },
    /// The named location is closed or paused.
    #[error("location {location} is {state}: it takes no new reservations")]
    LocationNotOpen {
        /// Its code.
        location: String,
        /// "paused" or "closed".
        state: &'static str,
    },
    /// The hold had expired.
    #[error("reservation {reservation} expired at {} us after the epoch", expired_at.0)]
    ReservationExpired {
        /// Which.
        reservation: ReservationId,
        /// When.
        expired_at: Timestamp,
    },
    /// The SKU is not for sale.
    #[error("SKU {sku} is not for sale: its flag `sellable` is off")]
    SkuNotSellable {
        /// Its code.
        sku: String,
    },
    /// The channel is not active.
    #[error("channel {channel} is not active")]
    ChannelNotActive {
        /// Its code.
        channel: String,
    },
    /// The router found no plan that serves the order.
    #[error("no plan serves the order: {} of its SKUs cannot be served{}", unserved.len(), first_unserved(unserved))]
    NotRoutable {
        /// What is not served, and why.
        unserved: Vec<CodedUnserved>,
    },
    /// There is nothing to plan together.
    #[error("the receiver has {found} open, unshipped reservations that may go together; it takes two")]
    NothingToMerge {
        /// How many there are.
        found: usize,
    },
    /// Planned together the reservations are no better off.
    #[error("together the reservations would cost {together} instead of {apart} minor units{}", if *later { ", or arrive later than promised" } else { "" })]
    MergeNotBetter {
        /// Minor units as they are.
        apart: i64,
        /// Minor units together.
        together: i64,
        /// A promised date would move back.
        later: bool,
    },
    /// More units than were shipped and not announced yet.
    #[error(
        "reservation {reservation}: more units announced than were shipped and not announced yet, first {}",
        first(shortages)
    )]
    ExceedsShipped {
        /// Whose units.
        reservation: ReservationId,
        /// Every line that asks for too many.
        shortages: Vec<CodedShortage>,
    },
    /// More units than the return still expects.
    #[error("return {id}: more units arrived than it still expects, first {}", first(shortages))]
    ExceedsAnnounced {
        /// Which return.
        id: ReturnId,
        /// Every line that asks for too many.
        shortages: Vec<CodedShortage>,
    },
    /// More units than arrived and are not inspected yet.
    #[error("return {id}: more units inspected than arrived and are not inspected yet, first {}", first(shortages))]
    ExceedsReceived {
        /// Which return.
        id: ReturnId,
        /// Every line that asks for too many.
        shortages: Vec<CodedShortage>,
    },
    /// Quotas need more than nobody keeps.
    #[error("allotments exceed what can be ring-fenced for {} of the SKUs{}", excesses.len(), first_excess(excesses))]
    AllotmentExceedsPool {
        /// Every SKU and node that cannot have what was asked for.
        excesses: Vec<AllotmentExcess>,
    },
    /// Quotas have fewer units than are to be taken out of them.
    #[error("allotments are too small for {} of the SKUs{}", excesses.len(), first_excess(excesses))]
    AllotmentTooSmall {
        /// Every SKU and node that has less than was asked for.
        excesses: Vec<AllotmentExcess>,
    },
    /// Quotas would be less than nodes within keep.
    #[error("allotments fall below what nodes within keep for {} of the SKUs{}", excesses.len(), first_excess(excesses))]
    AllotmentBelowNodesWithin {
        /// Every SKU and node; `possible` is the smallest quota that keeps what is within.
        excesses: Vec<AllotmentExcess>,
    },
    /// Something is frozen.
    #[error("{} is frozen: {}", thing(sku, location), names(reasons))]
    Frozen {
        /// SKU code; empty when a whole location is frozen.
        sku: String,
        /// Location code; empty when a SKU is frozen everywhere.
        location: String,
        /// Why, each reason once.
        reasons: Vec<FreezeReason>,
    },
    /// No freeze that was named stands.
    #[error("{} has no such freeze", thing(sku, location))]
    NotFrozen {
        /// SKU code, or empty.
        sku: String,
        /// Location code, or empty.
        location: String,
    },
    /// A repair finds nothing that it may do.
    #[error("nothing can be repaired: {cells} cells stay in shortfall")]
    NothingToRepair {
        /// Cells in shortfall that were looked at.
        cells: usize,
    },
    /// The campaign has not begun.
    #[error("campaign {campaign} begins at {} us after the epoch", starts_at.0)]
    CampaignNotStarted {
        /// Its code.
        campaign: String,
        /// When it begins.
        starts_at: Timestamp,
    },
    /// The campaign is over.
    #[error("campaign {campaign} ended at {} us after the epoch", ended_at.0)]
    CampaignEnded {
        /// Its code.
        campaign: String,
        /// When it ended.
        ended_at: Timestamp,
    },
    /// The campaign does not sell this SKU.
    #[error("campaign {campaign} does not sell SKU {sku}")]
    NotInCampaign {
        /// Its code.
        campaign: String,
        /// SKU code.
        sku: String,
    },
    /// The buyer would have more of the campaign than it allows.
    #[error("campaign {campaign} allows {limit} units to a buyer: {bought} are taken, {requested} asked for")]
    BuyerLimitReached {
        /// Its code.
        campaign: String,
        /// Units a buyer may have.
        limit: u32,
        /// Units the buyer has, promised or shipped.
        bought: u64,
        /// Units asked for.
        requested: u64,
    },
    /// The order is larger than the campaign allows.
    #[error("campaign {campaign} allows {limit} units to an order: {requested} asked for")]
    OrderLimitReached {
        /// Its code.
        campaign: String,
        /// Units an order may have.
        limit: u32,
        /// Units asked for.
        requested: u64,
    },
    /// The campaign has fewer units left now.
    #[error("campaign {campaign} has {available} units of SKU {sku} now: {requested} asked for")]
    CampaignSoldOut {
        /// Its code.
        campaign: String,
        /// SKU code.
        sku: String,
        /// Units asked for, duplicates summed.
        requested: u64,
        /// Units that could be taken now.
        available: u64,
        /// When the next units are released; `None` when none are to come.
        next_tranche: Option<Timestamp>,
    },
    /// The buyer stands in this line already.
    #[error("the buyer waits for SKU {sku} in campaign {campaign} already, as reservation {reservation}")]
    AlreadyWaiting {
        /// Code of the campaign.
        campaign: String,
        /// SKU code.
        sku: String,
        /// The reservation that waits.
        reservation: ReservationId,
    },
    /// The line is as long as it may be.
    #[error("{limit} buyers wait for SKU {sku} in campaign {campaign}: no more may")]
    WaitingListFull {
        /// Code of the campaign.
        campaign: String,
        /// SKU code.
        sku: String,
        /// The most that may wait.
        limit: u64,
    },
    /// The pool has fewer units than the campaign shall have.
    #[error("campaign {campaign} cannot have {requested} units of SKU {sku}: {possible} are possible")]
    CampaignNotStocked {
        /// Its code.
        campaign: String,
        /// SKU code.
        sku: String,
        /// Units it shall have in all.
        requested: u64,
        /// Units it could have in all.
        possible: u64,
    },
    /// The campaign shall have fewer units than buyers have of it.
    #[error("campaign {campaign} cannot have {requested} units of SKU {sku}: {used} are promised or shipped")]
    CampaignBelowUsed {
        /// Its code.
        campaign: String,
        /// SKU code.
        sku: String,
        /// Units it shall have in all.
        requested: u64,
        /// Units promised or shipped.
        used: u64,
    },
}

/// A quota that cannot be as asked for, by codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllotmentExcess {
    /// SKU code.
    pub sku: String,
    /// Code of the channel or campaign.
    pub node: String,
    /// Units asked for.
    pub asked: u64,
    /// Units possible.
    pub possible: u64,
}

fn first_excess(excesses: &[AllotmentExcess]) -> String {
    excesses.first().map_or_else(String::new, |one| {
        format!(", first {} of {}: {} units asked for, {} possible", one.sku, one.node, one.asked, one.possible)
    })
}

/// What the router cannot serve, by codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodedUnserved {
    /// SKU code.
    pub sku: String,
    /// Units.
    pub units: u32,
    /// Why.
    pub reason: UnservedReason,
}

fn first_unserved(unserved: &[CodedUnserved]) -> String {
    unserved.first().map_or_else(String::new, |one| {
        let reason = match one.reason {
            UnservedReason::NoStock => "no location has them",
            UnservedReason::NoPlace => "rules remove every location that has them",
            UnservedReason::NoCarrier => "no carrier brings them there",
            UnservedReason::NoCapacity => "the locations that have them are full",
            UnservedReason::NotWorthIt => "a limit or a price stands against it",
        };
        format!("; of {} {} units: {reason}", one.sku, one.units)
    })
}

/// A line that could not be served, by codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodedShortage {
    /// SKU code.
    pub sku: String,
    /// Location code, or empty.
    pub location: String,
    /// Units asked for, duplicates summed.
    pub requested: u64,
    /// Units that could be taken.
    pub available: u64,
    /// What kept it from more.
    pub limited_by: LimitedBy,
    /// When the SKU is a kit: code of the component that limits it. Otherwise empty.
    pub component: String,
}

fn first(shortages: &[CodedShortage]) -> String {
    shortages.first().map_or_else(String::new, |short| {
        let place = if short.location.is_empty() { String::new() } else { format!(" at {}", short.location) };
        format!("{}{place}: {} asked for, {} available", short.sku, short.requested, short.available)
    })
}

/// Why a request cannot stand. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// No active SKU has this code.
    #[error("unknown SKU {code:?}: no active SKU has this code")]
    UnknownSku {
        /// The code.
        code: String,
    },
    /// No location has this code.
    #[error("unknown location {code:?}: no location has this code")]
    UnknownLocation {
        /// The code.
        code: String,
    },
    /// No channel has this code.
    #[error("unknown channel {code:?}: no channel has this code")]
    UnknownChannel {
        /// The code.
        code: String,
    },
    /// Regions would make no tree.
    #[error("{error}")]
    Region {
        /// Which of the request's, when it came with it.
        position: Option<usize>,
        /// What is wrong.
        error: Box<RegionError>,
    },
    /// No policy or tariff has this name and version.
    #[error("unknown {} {:?} version {}", document.kind.name(), document.name, document.version)]
    UnknownDocument {
        /// Which.
        document: DocumentId,
    },
    /// The document's state forbids it.
    #[error(
        "{} {:?} version {} is {}; it must be {}",
        document.kind.name(), document.name, document.version, state.name(), wanted.name()
    )]
    DocumentState {
        /// Which.
        document: DocumentId,
        /// Its state.
        state: DocumentState,
        /// What would be needed.
        wanted: DocumentState,
    },
    /// The document cannot be kept or put in force.
    #[error("{}", summary(faults))]
    InvalidDocument {
        /// Everything that is wrong, at least one thing.
        faults: Vec<DocumentFault>,
    },
    /// A location or region that is there would fall out of use.
    #[error("{what} could not be used any more: {why}")]
    Unusable {
        /// What.
        what: String,
        /// Why.
        why: String,
    },
    /// No reservation has this id.
    #[error("unknown reservation {id}: never made, or ended longer ago than ended reservations are kept")]
    UnknownReservation {
        /// The id.
        id: ReservationId,
    },
    /// The request id was used with other content.
    #[error(
        "request id {request_id:?} was used before, at LSN {lsn}, with other content: use a new id for a new request"
    )]
    RequestIdReused {
        /// The id.
        request_id: String,
        /// LSN of the first use.
        lsn: Lsn,
    },
    /// Stock changed after the revision that was named.
    #[error("stock of SKU {sku} has revision {revision}, the request rests on {expected}: read it again")]
    StaleRevision {
        /// SKU code.
        sku: String,
        /// Its revision now.
        revision: Lsn,
        /// What the request named.
        expected: u64,
    },
    /// The reservation's state forbids it.
    #[error("reservation {id} is {}: {wanted}", state.name())]
    ReservationState {
        /// Which.
        id: ReservationId,
        /// Its state.
        state: State,
        /// What would be needed.
        wanted: &'static str,
    },
    /// The reservation to be replaced belongs to another buyer.
    #[error("reservation {id} cannot be replaced: it belongs to another buyer")]
    OtherBuyer {
        /// Which.
        id: ReservationId,
    },
    /// The reservation has no such line, or the SKU stands at several locations and none was named.
    #[error("reservation {id} has {lines} open lines of SKU {sku:?}{}: name exactly one", at(location))]
    NoSuchLine {
        /// Which.
        id: ReservationId,
        /// SKU code.
        sku: String,
        /// Location code, or empty.
        location: String,
        /// How many lines matched.
        lines: usize,
    },
    /// More units than are open on a line.
    #[error("SKU {sku} at {location}: {requested} units asked for, {open} open on the reservation")]
    ExceedsOpen {
        /// SKU code.
        sku: String,
        /// Location code.
        location: String,
        /// Units asked for.
        requested: u64,
        /// Units open.
        open: Quantity,
    },
    /// A bucket holds fewer units than are taken away.
    #[error("SKU {} at {}: {requested} units to take from {bucket}, which holds {held}", cell.sku, cell.location)]
    ExceedsBucket {
        /// Which cell.
        cell: CellCode,
        /// Name of the bucket.
        bucket: &'static str,
        /// Units to take away.
        requested: u64,
        /// Units in it.
        held: u64,
    },
    /// A sum passes 4,294,967,295 units.
    #[error("SKU {} at {}: {} would pass 4,294,967,295 units", cell.sku, cell.location, bucket.name())]
    Overflow {
        /// Which cell.
        cell: CellCode,
        /// Which bucket.
        bucket: Bucket,
    },
    /// The units of one SKU over all lines of a request pass 4,294,967,295.
    #[error("SKU {sku}: the lines sum to {requested} units, more than 4,294,967,295")]
    SumOverflow {
        /// SKU code.
        sku: String,
        /// The sum.
        requested: u64,
    },
    /// Reassign names the location the units are at.
    #[error("the units of SKU {sku} are at {location} already: name another location")]
    SameLocation {
        /// SKU code.
        sku: String,
        /// Location code.
        location: String,
    },
    /// No region has this code.
    #[error("unknown region {code:?}: no region has this code")]
    UnknownRegion {
        /// The code.
        code: String,
    },
    /// No policy of this name is in force.
    #[error("unknown policy {name:?}: none of this name is in force")]
    UnknownPolicy {
        /// The name.
        name: String,
    },
    /// Lines of one SKU ask for different conditions.
    #[error("lines of SKU {sku} have different conditions: lines of one SKU must be sourced alike")]
    MixedConditions {
        /// SKU code.
        sku: String,
    },
    /// The order's figures are beyond what is added exactly.
    #[error("the order cannot be planned exactly: {reason}")]
    NotPlannable {
        /// In words.
        reason: String,
    },
    /// A table of ids is full.
    #[error("no more {what} can be created: {limit} is the most")]
    TableFull {
        /// SKUs, locations or channels.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The journal took no record.
    #[error("journal: {0}")]
    Journal(#[from] AppendError),
    /// No return has this id.
    #[error("unknown return {id}: never made, or no longer kept")]
    UnknownReturn {
        /// The id.
        id: ReturnId,
    },
    /// The return's state forbids it.
    #[error("return {id} is {}: {wanted}", state.name())]
    ReturnState {
        /// Which.
        id: ReturnId,
        /// Its state.
        state: ReturnState,
        /// What would be needed.
        wanted: &'static str,
    },
    /// The line names no location and its SKU stands at several.
    #[error("SKU {sku:?} stands at {locations} locations there: name one of them")]
    AmbiguousLine {
        /// SKU code.
        sku: String,
        /// At how many.
        locations: usize,
    },
    /// Channels would make no tree.
    #[error("channel {channel:?}: {fault}")]
    ChannelTree {
        /// Which of the request's.
        position: usize,
        /// Its code.
        channel: String,
        /// What is wrong.
        fault: TreeFault,
    },
    /// A channel's place in the tree cannot change while units count to it.
    #[error("channel {channel:?} cannot move: it, or one within it, has allotments or units that count to one")]
    ChannelInUse {
        /// Which of the request's.
        position: usize,
        /// Its code.
        channel: String,
    },
    /// No active SKU is of this style or category.
    #[error("unknown {kind} {code:?}: no active SKU is of it")]
    UnknownGoods {
        /// "style" or "category".
        kind: &'static str,
        /// The code.
        code: String,
    },
    /// The node has no allotment of the goods.
    #[error("{node} has no allotment of {goods:?}")]
    NoAllotment {
        /// Code of the channel or campaign.
        node: String,
        /// Code of the SKU, style or category; empty for anything.
        goods: String,
    },
    /// A ceiling is below the quota.
    #[error("the ceiling of {node} is {ceiling} units, below its quota of {quota}")]
    CeilingBelowQuota {
        /// Which row of the request.
        position: usize,
        /// Code of the channel or campaign.
        node: String,
        /// Units of the ceiling.
        ceiling: u64,
        /// Units of the quota.
        quota: u64,
    },
    /// Quota is moved between nodes of which one is, or lies within, the other.
    #[error(
        "{from} and {to} are one or lie one within the other: quota moves between nodes that stand beside each other"
    )]
    NodesNested {
        /// Which row of the request.
        position: usize,
        /// Code of the node it should leave.
        from: String,
        /// Code of the node it should come to.
        to: String,
    },
    /// A request speaks of more allotments than fit one event.
    #[error("the request stands for {found} allotments: {limit} is the most")]
    TooManyAllotments {
        /// How many it stands for.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// A kit has no stock of its own.
    #[error("SKU {sku} is a kit: it has no stock of its own, its components have")]
    KitHasNoStock {
        /// SKU code.
        sku: String,
    },
    /// A SKU cannot be this kit.
    #[error("SKU {sku} cannot be such a kit: {fault}{}", of(component))]
    InvalidKit {
        /// SKU code.
        sku: String,
        /// Code of the component at fault, or empty.
        component: String,
        /// What is wrong.
        fault: KitFault,
    },
    /// Something else needs it.
    #[error("SKU {sku} is a component of kit {kit}: retire that first")]
    InUse {
        /// SKU code.
        sku: String,
        /// Code of a kit that has it.
        kit: String,
    },
    /// Too many freezes stand on one thing.
    #[error("{} has {limit} freezes already: thaw one first", thing(sku, location))]
    TooManyFreezes {
        /// SKU code, or empty.
        sku: String,
        /// Location code, or empty.
        location: String,
        /// The most.
        limit: usize,
    },
    /// The set of stock rules cannot be put.
    #[error("{}", summary(faults))]
    InvalidStockRules {
        /// Everything that is wrong, at least one thing.
        faults: Vec<DocumentFault>,
    },
    /// Another set of stock rules is in force than the request rests on.
    #[error("the stock rules in force have version {version}, the request rests on {expected}: read them again")]
    StockRulesVersion {
        /// Version in force; 0: none.
        version: u32,
        /// What the request named.
        expected: u32,
    },
    /// No campaign has this code.
    #[error("unknown campaign {code:?}: no campaign has this code")]
    UnknownCampaign {
        /// The code.
        code: String,
    },
    /// The campaign's times contradict each other or lie in the past.
    #[error("campaign {code}: {why}")]
    CampaignTimes {
        /// Its code.
        code: String,
        /// What is wrong, in words.
        why: &'static str,
    },
    /// The campaign is over: nothing about it changes any more.
    #[error("campaign {code} is over and cannot be changed")]
    CampaignOver {
        /// Its code.
        code: String,
    },
    /// The campaign runs in another channel.
    #[error("campaign {code} runs in {}, not in {}", channel_words(own), channel_words(channel))]
    CampaignChannel {
        /// Its code.
        code: String,
        /// Code of its channel, or empty.
        own: String,
        /// Code of the channel that was named, or empty.
        channel: String,
    },
    /// The campaign counts what buyers have, and the request names none.
    #[error("campaign {code} counts what its buyers have: name the buyer")]
    BuyerNeeded {
        /// Code of the campaign.
        code: String,
    },
    /// Two things that a request asks for do not go together.
    #[error("{what}")]
    NotCombinable {
        /// Which, in words.
        what: &'static str,
    },
    /// No document of expected units has this code.
    #[error("unknown inbound {code:?}: never announced, or closed longer ago than closed documents are kept")]
    UnknownInbound {
        /// The code.
        code: String,
    },
    /// An open document has this code.
    #[error("inbound {code:?} is {}: a code can be used again once its document is closed", state.name())]
    InboundExists {
        /// The code.
        code: String,
        /// The document's state.
        state: InboundState,
    },
    /// The document is closed.
    #[error("inbound {code:?} is {}: nothing more can be received, changed or cancelled", state.name())]
    InboundClosed {
        /// The code.
        code: String,
        /// The document's state.
        state: InboundState,
    },
    /// The document has no such line, or none that is open.
    #[error("inbound {code:?} has no open line of SKU {sku:?}")]
    NoSuchInboundLine {
        /// The code.
        code: String,
        /// SKU code.
        sku: String,
    },
    /// Units are expected in the past.
    #[error("the expected time, {} us after the epoch, is past: now is {}", eta.0, now.0)]
    EtaPast {
        /// When they are expected.
        eta: Timestamp,
        /// Now.
        now: Timestamp,
    },
    /// Fewer units would be expected in all than have arrived.
    #[error("SKU {sku}: {received} units have arrived already, {requested} in all cannot be")]
    BelowReceived {
        /// SKU code.
        sku: String,
        /// Units in all, as asked for.
        requested: Quantity,
        /// Units that have arrived.
        received: Quantity,
    },
    /// What is under way cannot be wished away.
    #[error("transfer {code:?} is under way: its units end by being received, what is missing with a final receipt")]
    TransferUnderWay {
        /// The code.
        code: String,
    },
    /// Units to be shipped have not arrived.
    #[error(
        "reservation {id}: {presold} of the units of SKU {sku:?} are promised from what is expected and have not arrived"
    )]
    NotArrived {
        /// Which.
        id: ReservationId,
        /// SKU code.
        sku: String,
        /// Units promised from what is expected.
        presold: u64,
    },
    /// Presale and sourcing were asked for together.
    #[error("presale cannot be asked for together with sourcing: name locations, or none")]
    PresaleWithSourcing,
}

/// What makes channels no tree.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TreeFault {
    /// Its parent is no channel.
    #[error("its parent {parent:?} is no channel")]
    UnknownParent {
        /// Code of the parent.
        parent: String,
    },
    /// It lies within itself.
    #[error("it would lie within itself")]
    Cycle,
    /// It lies too deep.
    #[error("it would lie more than {limit} deep")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
}

fn summary(faults: &[DocumentFault]) -> String {
    let first = faults.first().map_or_else(String::new, ToString::to_string);
    match faults.len() {
        0 | 1 => first,
        2 => format!("{first}; and 1 more fault"),
        more => format!("{first}; and {} more faults", more - 1),
    }
}

fn at(location: &str) -> String {
    if location.is_empty() { String::new() } else { format!(" at {location:?}") }
}

fn thing(sku: &str, location: &str) -> String {
    match (sku, location) {
        ("", location) => format!("location {location}"),
        (sku, "") => format!("SKU {sku}"),
        (sku, location) => format!("SKU {sku} at {location}"),
    }
}

fn names(reasons: &[FreezeReason]) -> String {
    let names: Vec<&str> = reasons.iter().map(|reason| reason.name()).collect();
    names.join(", ")
}

/// What is wrong with a kit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KitFault {
    /// A component is a kit, or the SKU itself.
    #[error("a component is a kit")]
    OfKits,
    /// The SKU is a component of a kit.
    #[error("it is a component of a kit")]
    IsComponent,
    /// The SKU has had stock or a freeze at a location.
    #[error("it has had stock of its own")]
    HasStock,
    /// What a kit consists of is fixed for as long as it is active.
    #[error("what it consists of is fixed while it is active")]
    Fixed,
    /// A kit names substitutes.
    #[error("a kit has no substitutes")]
    Substitutes,
}

fn of(component: &str) -> String {
    if component.is_empty() { String::new() } else { format!(" ({component})") }
}

fn channel_words(code: &str) -> String {
    if code.is_empty() { "no channel".into() } else { format!("channel {code}") }
}

//! The two ways of saying no: a `Rejection` is a business answer, an `Error` tells the caller that the request itself cannot stand.
//! Neither changed anything.

use quartermaster_journal::{AppendError, Lsn};
use quartermaster_sourcing::{plan::UnservedReason, region::RegionError};
use thiserror::Error;

use crate::{
    catalog::documents::{DocumentFault, DocumentId, DocumentState},
    command::{Bucket, CellCode},
    id::ReservationId,
    quantity::Quantity,
    reservation::State,
    time::Timestamp,
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

//! What can be wrong with a history, in words.

use std::fmt;

use quartermaster_journal::Lsn;
use quartermaster_sourcing::fulfilment::Slot;
use thiserror::Error;

use crate::{
    audit::Violation,
    catalog::documents::{DocumentId, DocumentState},
    codec::DecodeError,
    command::CellCode,
    id::{ReservationId, ReturnId},
    reservation::State,
    time::Timestamp,
};

/// A rule that a history is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// Records are dense and readable.
    Log,
    /// Time does not run backwards.
    Times,
    /// Request ids are used once.
    RequestIds,
    /// Ids and codes are given once; records name what there is.
    Catalogue,
    /// Units change only by named events, and each bucket is what its events add up to.
    Conservation,
    /// Nothing is promised that was not available.
    Oversell,
    /// Reservations pass through legal states with no more units than they have open.
    LifeCycle,
    /// Holds end by time when their time is up: not earlier, and nothing else happens later.
    Expiry,
    /// Snapshots say what the fold says.
    Snapshots,
    /// The engine's own recovery comes to the same state.
    Recovery,
    /// The engine's own auditor agrees.
    Audit,
}

impl Check {
    /// All of them, in the order they are told.
    pub const ALL: [Self; 11] = [
        Self::Log,
        Self::Times,
        Self::RequestIds,
        Self::Catalogue,
        Self::Conservation,
        Self::Oversell,
        Self::LifeCycle,
        Self::Expiry,
        Self::Snapshots,
        Self::Recovery,
        Self::Audit,
    ];

    /// Name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Times => "times",
            Self::RequestIds => "request ids",
            Self::Catalogue => "catalogue",
            Self::Conservation => "conservation",
            Self::Oversell => "no oversell",
            Self::LifeCycle => "life cycles",
            Self::Expiry => "expiry",
            Self::Snapshots => "snapshots",
            Self::Recovery => "recovery",
            Self::Audit => "audit",
        }
    }

    /// What holds when nothing is found.
    #[must_use]
    pub fn rule(self) -> &'static str {
        match self {
            Self::Log => "LSNs are dense and every record is readable",
            Self::Times => "no record is older than one before it, beyond requests overtaking each other",
            Self::RequestIds => "no request id was carried out twice",
            Self::Catalogue => "ids and codes were given once, and records name only what there was",
            Self::Conservation => "every bucket is what its events add up to, from 0 to 4,294,967,295",
            Self::Oversell => "nothing was promised that was not available at that moment",
            Self::LifeCycle => "every reservation passed legal states and never more units than it had open",
            Self::Expiry => "no hold expired early, none was used late",
            Self::Snapshots => "every section of every snapshot is what the fold says at its LSN",
            Self::Recovery => "the engine recovers exactly the state of the fold",
            Self::Audit => "promises recounted from the reservations of the recovered engine are those of its cells",
        }
    }
}

/// A fault and where it is.
#[derive(Debug)]
pub struct Finding {
    /// The record; for snapshots and recovery the position they are of.
    pub lsn: Lsn,
    /// The rule it breaks.
    pub check: Check,
    /// What is wrong.
    pub fault: Fault,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "LSN {}: {}: {}", self.lsn, self.check.name(), self.fault)
    }
}

/// What is wrong.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Fault {
    /// A record is not the one after the record before it.
    #[error("LSN {expected} should come here")]
    NotDense {
        /// What should come.
        expected: Lsn,
    },
    /// A record cannot be read.
    #[error("{source}")]
    Undecodable {
        /// Why.
        source: DecodeError,
    },
    /// A summary stands in the log.
    #[error("a summary stands in the log: it is for remembered answers only")]
    SummaryInLog,
    /// Time ran backwards.
    #[error("its time {} us is {} us before that of an earlier record", time.0, newest.0 - time.0)]
    TimeBackwards {
        /// Newest time before it.
        newest: Timestamp,
        /// Its own.
        time: Timestamp,
    },
    /// A request id came twice.
    #[error("request id {request_id:?} was carried out before, at LSN {first}")]
    RequestIdTwice {
        /// The id.
        request_id: String,
        /// Its first use.
        first: Lsn,
    },
    /// An id is not the next one.
    #[error("{what} #{id} is new, but #{expected} should come next")]
    IdNotDense {
        /// SKU, location or channel.
        what: &'static str,
        /// The id.
        id: u32,
        /// What should come.
        expected: u32,
    },
    /// A code is taken.
    #[error("{what} #{id} gets the code {code:?}, which belongs to #{owner}")]
    CodeTaken {
        /// SKU, location or channel.
        what: &'static str,
        /// Who gets it.
        id: u32,
        /// The code.
        code: String,
        /// Whose it is.
        owner: u32,
    },
    /// A code changed under its id.
    #[error("{what} #{id} changes its code to {code:?}")]
    CodeChanged {
        /// SKU, location or channel.
        what: &'static str,
        /// Whose.
        id: u32,
        /// The new code.
        code: String,
    },
    /// The number of new entries is wrong.
    #[error("it says that {said} entries are new, {counted} are")]
    CreatedCount {
        /// What it says.
        said: u32,
        /// What there are.
        counted: u32,
    },
    /// It names what was never made.
    #[error("it names {what} #{id}, which no record before it made")]
    Unknown {
        /// SKU, location or channel.
        what: &'static str,
        /// Which.
        id: u32,
    },
    /// It uses a retired SKU.
    #[error("SKU {sku} was retired before")]
    Retired {
        /// Its code.
        sku: String,
    },
    /// It holds units of a SKU that is not for sale.
    #[error("SKU {sku} is not for sale")]
    NotSellable {
        /// Its code.
        sku: String,
    },
    /// It holds units at a location that is not open.
    #[error("location {location} is not open")]
    NotOpen {
        /// Its code.
        location: String,
    },
    /// A bucket leaves its range.
    #[error("SKU {} at {}: {bucket} is {figure} and changes by {delta}", cell.sku, cell.location)]
    OutOfRange {
        /// Where.
        cell: CellCode,
        /// Which.
        bucket: &'static str,
        /// Before.
        figure: u32,
        /// The change.
        delta: i64,
    },
    /// A figure after a change is not what the fold says.
    #[error("SKU {} at {}: it says {figure} is {said} afterwards, the fold says {folded}", cell.sku, cell.location)]
    After {
        /// Where.
        cell: CellCode,
        /// Which figure.
        figure: &'static str,
        /// What it says.
        said: u64,
        /// What adds up.
        folded: u64,
    },
    /// A cell stands twice in one change.
    #[error("SKU {} at {} stands twice in it, or out of order", cell.sku, cell.location)]
    CellTwice {
        /// Where.
        cell: CellCode,
    },
    /// A change touches what its kind does not.
    #[error("SKU {} at {}: {rule}", cell.sku, cell.location)]
    IllegalChange {
        /// Where.
        cell: CellCode,
        /// What holds for its kind.
        rule: &'static str,
    },
    /// A cell's promises are not the sum of the reservations on it.
    #[error("SKU {} at {}: {bucket} is {figure}, the open reservations sum to {reservations}", cell.sku, cell.location)]
    PromiseSum {
        /// Where.
        cell: CellCode,
        /// Which bucket.
        bucket: &'static str,
        /// What it is.
        figure: u64,
        /// What they sum to.
        reservations: u64,
    },
    /// A total is not what came less what went.
    #[error("{bucket} over all cells is {figure}, but {came} came and {went} went")]
    Total {
        /// Which bucket.
        bucket: &'static str,
        /// What it is.
        figure: u64,
        /// What came.
        came: u64,
        /// What went.
        went: u64,
    },
    /// More was promised than available.
    #[error("SKU {} at {}: takes {taken}, {available} available", cell.sku, cell.location)]
    Oversold {
        /// Where.
        cell: CellCode,
        /// Units taken.
        taken: u64,
        /// Units there were.
        available: i64,
    },
    /// A reservation id came twice.
    #[error("reservation {id} was made before")]
    ReservationTwice {
        /// Which.
        id: ReservationId,
    },
    /// It concerns a reservation that was never made.
    #[error("reservation {id} was never made")]
    UnknownReservation {
        /// Which.
        id: ReservationId,
    },
    /// The state forbids it.
    #[error("reservation {id} is {}: it cannot be {step}", state.name())]
    WrongState {
        /// Which.
        id: ReservationId,
        /// Its state.
        state: State,
        /// What happened.
        step: &'static str,
    },
    /// More units than are open.
    #[error("reservation {id}, SKU {} at {}: {units} units, {open} open", cell.sku, cell.location)]
    ExceedsOpen {
        /// Which.
        id: ReservationId,
        /// Which line.
        cell: CellCode,
        /// Units of the event.
        units: u32,
        /// Units open.
        open: u32,
    },
    /// It moves a part where it must move all.
    #[error("reservation {id}: it is {step} with {units} units, {open} are open")]
    NotAll {
        /// Which.
        id: ReservationId,
        /// What happened.
        step: &'static str,
        /// Units of the event.
        units: u64,
        /// Units open.
        open: u64,
    },
    /// It says that the reservation ended when it did not, or the reverse.
    #[error("reservation {id}: it leaves it {}, the fold says {}", said.name(), folded.name())]
    WrongEnd {
        /// Which.
        id: ReservationId,
        /// What the event says.
        said: State,
        /// What adds up.
        folded: State,
    },
    /// A line without units.
    #[error("reservation {id}: a line has no units")]
    EmptyLine {
        /// Which.
        id: ReservationId,
    },
    /// A hold took the place of another buyer's.
    #[error("reservation {id} belongs to another buyer")]
    OtherBuyer {
        /// Which.
        id: ReservationId,
    },
    /// A hold expired before its time.
    #[error("reservation {id} expired {} us early", expires_at.0 - time.0)]
    ExpiredEarly {
        /// Which.
        id: ReservationId,
        /// When it was to expire.
        expires_at: Timestamp,
        /// When it did.
        time: Timestamp,
    },
    /// A hold was used after its time.
    #[error("reservation {id} is {step} {} us after its expiry", time.0 - expires_at.0)]
    UsedLate {
        /// Which.
        id: ReservationId,
        /// What happened.
        step: &'static str,
        /// When it expired.
        expires_at: Timestamp,
        /// When it was used.
        time: Timestamp,
    },
    /// The lines of a hold are not those that its decision has.
    #[error("reservation {id}: what it takes is not what was decided")]
    NotAsDecided {
        /// Which.
        id: ReservationId,
    },
    /// Units were lost or made on the way.
    #[error("reservation {id}, SKU {sku}: it takes {difference} units more than it gives up")]
    UnitsDiffer {
        /// Which.
        id: ReservationId,
        /// SKU code.
        sku: String,
        /// Units taken, less those given up.
        difference: i64,
    },
    /// Work is given back that was never booked.
    #[error("reservation {id}: it gives back work that it has not booked")]
    NeverBooked {
        /// Which.
        id: ReservationId,
    },
    /// Work stays booked for nothing.
    #[error("reservation {id} ended and nothing of it was shipped, but it has work booked")]
    StillBooked {
        /// Which.
        id: ReservationId,
    },
    /// Work at a location differs.
    #[error("location {location}, {slot:?}: {found:?} orders and units are booked there, the fold says {folded:?}")]
    WorkDiffers {
        /// Location code.
        location: String,
        /// When.
        slot: Slot,
        /// What was found.
        found: (i64, i64),
        /// What adds up.
        folded: (i64, i64),
    },
    /// A refusal differs.
    #[error("SKU {} at {}: that its location refused it, or until when, differs from the fold", cell.sku, cell.location)]
    RefusalDiffers {
        /// Where.
        cell: CellCode,
    },
    /// A cell differs.
    #[error("SKU {} at {}: {figure} is {found} there, the fold says {folded}", cell.sku, cell.location)]
    CellDiffers {
        /// Where.
        cell: CellCode,
        /// Which figure.
        figure: &'static str,
        /// What was found.
        found: u64,
        /// What adds up.
        folded: u64,
    },
    /// A region lies in one that no record made.
    #[error("region {code:?} lies in {parent:?}, which no record before it made")]
    UnknownParent {
        /// The region.
        code: String,
        /// Where it should lie.
        parent: String,
    },
    /// A document's version is not the next one.
    #[error("{} {:?} gets version {}, but {expected} should come next", document.kind.name(), document.name, document.version)]
    DocumentVersion {
        /// Which.
        document: DocumentId,
        /// What should come.
        expected: u32,
    },
    /// It names a document that was never drafted.
    #[error("it names {} {:?} version {}, which no record before it made", document.kind.name(), document.name, document.version)]
    UnknownDocument {
        /// Which.
        document: DocumentId,
    },
    /// A document's state does not allow it.
    #[error("{} {:?} version {} was {}, not {}", document.kind.name(), document.name, document.version, state.name(), wanted.name())]
    DocumentState {
        /// Which.
        document: DocumentId,
        /// Its state.
        state: DocumentState,
        /// What it should be.
        wanted: DocumentState,
    },
    /// A document takes effect before it was put in force.
    #[error("{} {:?} version {} takes effect before its activation", document.kind.name(), document.name, document.version)]
    DocumentEarly {
        /// Which.
        document: DocumentId,
    },
    /// A region differs.
    #[error("region {code:?} differs, or regions are missing")]
    RegionDiffers {
        /// The first that does.
        code: String,
    },
    /// A document differs.
    #[error("{} {:?} version {} differs, or one beside it is missing", document.kind.name(), document.name, document.version)]
    DocumentDiffers {
        /// The first that does.
        document: DocumentId,
    },
    /// Facts of a cell differ.
    #[error("SKU {} at {}: what planning knows of it differs", cell.sku, cell.location)]
    FactsDiffer {
        /// Where.
        cell: CellCode,
    },
    /// An entry of the catalogue differs.
    #[error("{what} #{id} differs in its {figure}")]
    EntryDiffers {
        /// SKU, location or channel.
        what: &'static str,
        /// Which.
        id: u32,
        /// In what.
        figure: &'static str,
    },
    /// A reservation differs.
    #[error("reservation {id} differs in its {figure}")]
    ReservationDiffers {
        /// Which.
        id: ReservationId,
        /// In what.
        figure: &'static str,
    },
    /// A number differs.
    #[error("{what}: {found} there, the fold says {folded}")]
    NumberDiffers {
        /// Of what.
        what: &'static str,
        /// What was found.
        found: u64,
        /// What adds up.
        folded: u64,
    },
    /// A remembered request differs.
    #[error("request id {request_id:?} is remembered for LSN {found}, which is not its last use in the log")]
    RequestDiffers {
        /// The id.
        request_id: String,
        /// What is remembered.
        found: Lsn,
    },
    /// A section of a snapshot is no message of its kind.
    #[error("section {kind}/{unit}: {what}")]
    BadSection {
        /// Kind.
        kind: u16,
        /// Unit.
        unit: u32,
        /// What is wrong.
        what: &'static str,
    },
    /// The engine refuses to recover.
    #[error("the engine cannot recover: {source}")]
    Refused {
        /// Why.
        source: crate::recovery::RecoveryError,
    },
    /// A return breaks a rule.
    #[error("return {id}: it does not hold that {rule}")]
    ReturnRule {
        /// Which.
        id: ReturnId,
        /// What does not hold.
        rule: &'static str,
    },
    /// A return differs.
    #[error("return {id} differs in its {figure}")]
    ReturnDiffers {
        /// Which.
        id: ReturnId,
        /// In what.
        figure: &'static str,
    },
    /// An allotment stands twice in an event, or out of order.
    #[error("SKU {sku}: a node's allotment stands twice, or out of order")]
    AllotmentTwice {
        /// SKU code.
        sku: String,
    },
    /// An allotment's ceiling is below its quota.
    #[error("SKU {sku} of node #{node}: the ceiling is below the quota")]
    CeilingBelowQuota {
        /// SKU code.
        sku: String,
        /// Node.
        node: u32,
    },
    /// A node was promised more than its ceiling.
    #[error("SKU {sku} of node #{node}: {used} units are promised, its ceiling is {ceiling}")]
    CeilingPassed {
        /// SKU code.
        sku: String,
        /// Node.
        node: u32,
        /// Units promised or shipped.
        used: u64,
        /// Its ceiling.
        ceiling: u32,
    },
    /// Units that never counted to a node are taken from it.
    #[error("SKU {sku} of node #{node}: units are taken from what counts to it that never did")]
    NeverCharged {
        /// SKU code.
        sku: String,
        /// Node.
        node: u32,
    },
    /// What a node has of a SKU differs.
    #[error("SKU {sku} of node #{node} differs in its {figure}: {found} there, the fold says {folded}")]
    AllotmentDiffers {
        /// SKU code.
        sku: String,
        /// Node.
        node: u32,
        /// In what.
        figure: &'static str,
        /// What was found.
        found: u64,
        /// What adds up.
        folded: u64,
    },
    /// The auditor found something.
    #[error("{violation}")]
    Audit {
        /// What.
        violation: Violation,
    },

    /// Units of something frozen are taken or leave.
    #[error("SKU {} at {}: units {step} although it is frozen", cell.sku, cell.location)]
    UsedFrozen {
        /// Which cell.
        cell: CellCode,
        /// What was done.
        step: &'static str,
    },
    /// A freeze is lifted that does not stand.
    #[error("freeze {freeze} is lifted and does not stand")]
    NoFreeze {
        /// Its id.
        freeze: u64,
    },
    /// Freezes differ.
    #[error("the freezes of {what} #{id} differ")]
    FreezesDiffer {
        /// SKU or location.
        what: &'static str,
        /// Which.
        id: u32,
    },
    /// A repair takes more units off a cell than it was short of.
    #[error("SKU {} at {}: a repair takes {units} units off, {short} were short", cell.sku, cell.location)]
    NotShort {
        /// Which cell.
        cell: CellCode,
        /// Units taken off.
        units: u64,
        /// Units short.
        short: u64,
    },
    /// A kit is no kit.
    #[error("kit {sku}: {what}")]
    Kit {
        /// SKU code.
        sku: String,
        /// What is wrong.
        what: &'static str,
    },
    /// A hold has fewer units of a component than its kits need.
    #[error("reservation {id} has {units} units of SKU {sku}, its kits need {needed}")]
    KitNotWhole {
        /// Which.
        id: ReservationId,
        /// Code of the component.
        sku: String,
        /// Units held.
        units: u64,
        /// Units that the kits need.
        needed: u64,
    },
    /// A rule of a campaign is broken.
    #[error("campaign #{id}: {rule}: {figure}, but {right}")]
    Campaign {
        /// Which.
        id: u32,
        /// The rule, in words.
        rule: &'static str,
        /// What was found.
        figure: u64,
        /// What would be right.
        right: u64,
    },
    /// A supply is not what its document makes it.
    #[error("supply #{supply} {what}")]
    Supply {
        /// Supply id.
        supply: u64,
        /// In words.
        what: &'static str,
    },
    /// A document of expected units is not what its events make it.
    #[error("inbound {code:?} {what}")]
    Inbound {
        /// Its code.
        code: String,
        /// In words.
        what: &'static str,
    },
    /// A cell has fewer units incoming than are announced.
    #[error("SKU {} at {}: {incoming} units are incoming, {announced} are announced", cell.sku, cell.location)]
    Incoming {
        /// Which cell.
        cell: CellCode,
        /// Units incoming.
        incoming: u64,
        /// Units that open supplies expect.
        announced: u64,
    },
}

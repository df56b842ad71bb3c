//! Why a call fails, and how it is told: a status code, a typed reason with its facts as data, the wrong fields, and when to retry.

use std::{collections::HashMap, time::Duration};

use quartermaster_engine::{self as engine, catalog::documents::DocumentId};
use quartermaster_journal::{AppendError, Lsn};
use quartermaster_proto::v1::{self, ErrorReason};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::auth::Denial;
use crate::refusal::{DOMAIN, short_name};

/// Delay told where the journal's queue is full: a few group commits.
const BACKLOG_DELAY: Duration = Duration::from_millis(50);
/// Delay told by a server that stops or has not caught up: another one answers at once.
const ELSEWHERE_DELAY: Duration = Duration::from_millis(200);
/// Delay told where a restart or more disk must come first.
const REPAIR_DELAY: Duration = Duration::from_secs(5);

/// A field that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldViolation {
    /// Its path, for example `lines[3].quantity`.
    pub field: String,
    /// What it is and what would be right.
    pub problem: String,
}

/// Why a call fails. A business "no" is not among them: that is an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// Fields are missing, out of range or malformed.
    #[error("{}", summary(.0))]
    Invalid(Vec<FieldViolation>),
    /// The engine refused the request.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// The engine would refuse a row of an import.
    #[error("row {row}: {error}")]
    Row {
        /// Number of the row, from 1.
        row: u64,
        /// Why.
        error: engine::Error,
    },
    /// A queue is full.
    #[error("too much is waiting; nothing was done: retry with the same request id")]
    Overloaded {
        /// When it may be better.
        retry_after: Duration,
    },
    /// The server is stopping.
    #[error("the server is stopping; nothing was done: retry elsewhere with the same request id")]
    ShuttingDown,
    /// The journal failed.
    #[error(
        "the journal failed; whether this request happened is known after the restart: retry with the same request id, or ask GetOutcome"
    )]
    JournalClosed,
    /// There is no space for the journal.
    #[error("the disk is full; make space in the data directory, then retry with the same request id")]
    DiskFull,
    /// Journal and snapshots take all that they may.
    #[error(
        "journal and snapshots take the {budget_bytes} bytes of disk_budget_bytes; raise it or shorten journal_keep, then retry with the same request id"
    )]
    OverBudget {
        /// The budget.
        budget_bytes: u64,
    },
    /// The caller's time was up before the engine was entered.
    #[error("the deadline passed before the request was decided; nothing was done")]
    Deadline,
    /// The server has not seen what the caller has.
    #[error("LSN {min_lsn} is asked for, this server is at {lsn}: retry later or elsewhere")]
    NotReached {
        /// What the caller named.
        min_lsn: u64,
        /// Where the server is.
        lsn: Lsn,
    },
    /// The reservation's lines named their locations, or it was made before there was a router.
    #[error("reservation {id} was not made with sourcing: there is no decision of the router to explain")]
    NotSourced {
        /// Which.
        id: engine::id::ReservationId,
    },
    /// The record of a decision was given up with its segment of the log.
    #[error(
        "the decision at LSN {decided} is no longer in the log, which begins at LSN {oldest}; `journal_keep` says how long it is kept"
    )]
    ExplanationGone {
        /// Of the decision.
        decided: Lsn,
        /// The first that is left.
        oldest: Lsn,
    },
    /// Who calls may not, or not so often.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// A bug.
    #[error("internal error; the server's log says more")]
    Internal {
        /// What happened, for the log alone.
        what: &'static str,
    },
}

impl ApiError {
    /// One wrong field.
    pub(crate) fn field(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldViolation { field: field.into(), problem: problem.into() }])
    }

    /// Status code of the call.
    #[must_use]
    pub fn code(&self) -> Code {
        self.class().0
    }

    /// Typed reason.
    #[must_use]
    pub fn reason(&self) -> ErrorReason {
        self.class().1
    }

    /// When the same request may be sent again; none where that would not help.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Overloaded { retry_after } => Some(*retry_after),
            Self::ShuttingDown | Self::NotReached { .. } => Some(ELSEWHERE_DELAY),
            Self::JournalClosed | Self::DiskFull | Self::OverBudget { .. } => Some(REPAIR_DELAY),
            Self::Engine(error) | Self::Row { error, .. } => engine_retry_after(error),
            Self::Denied(denial) => denial.retry_after(),
            Self::Invalid(_)
            | Self::Deadline
            | Self::NotSourced { .. }
            | Self::ExplanationGone { .. }
            | Self::Internal { .. } => None,
        }
    }

    /// The wrong fields of an INVALID_ARGUMENT.
    #[must_use]
    pub fn violations(&self) -> Vec<FieldViolation> {
        let field = |field: &str, error: &engine::Error| {
            vec![FieldViolation { field: field.into(), problem: error.to_string() }]
        };
        match self {
            Self::Invalid(violations) => violations.clone(),
            Self::Engine(error @ engine::Error::SameLocation { .. }) => field("to_location", error),
            Self::Engine(error @ engine::Error::BuyerNeeded { .. }) => field("buyer_id", error),
            Self::Engine(error @ engine::Error::EtaPast { .. }) => field("eta", error),
            Self::Engine(error @ engine::Error::PresaleWithSourcing) => field("presale", error),
            Self::Engine(error @ engine::Error::NotCombinable { .. }) => field("request", error),
            Self::Engine(error @ engine::Error::Journal(AppendError::TooLarge { .. })) => field("request", error),
            Self::Engine(engine::Error::InvalidDocument { faults } | engine::Error::InvalidStockRules { faults }) => {
                faults
                    .iter()
                    .map(|fault| FieldViolation { field: fault.path.clone(), problem: fault.message.clone() })
                    .collect()
            }
            Self::Engine(error @ engine::Error::Region { position: Some(position), .. }) => {
                field(&format!("regions[{position}]"), error)
            }
            Self::Engine(error @ engine::Error::Region { position: None, .. }) => field("regions", error),
            Self::Engine(error @ engine::Error::ChannelTree { position, .. }) => {
                field(&format!("channels[{position}].parent"), error)
            }
            Self::Engine(error @ engine::Error::CeilingBelowQuota { position, .. }) => {
                field(&format!("settings[{position}].ceiling"), error)
            }
            Self::Engine(error @ engine::Error::NodesNested { position, .. }) => {
                field(&format!("moves[{position}].to"), error)
            }
            // Which of a SKU's lines is the wrong one is for the caller to say; the figures are those of all of them.
            Self::Engine(error @ (engine::Error::MixedConditions { .. } | engine::Error::NotPlannable { .. })) => {
                field("lines", error)
            }
            Self::Row { row, error: error @ engine::Error::Journal(AppendError::TooLarge { .. }) } => {
                field(&format!("rows[{}]", row.saturating_sub(1)), error)
            }
            Self::Engine(_)
            | Self::Row { .. }
            | Self::Overloaded { .. }
            | Self::ShuttingDown
            | Self::JournalClosed
            | Self::DiskFull
            | Self::OverBudget { .. }
            | Self::Deadline
            | Self::NotReached { .. }
            | Self::NotSourced { .. }
            | Self::ExplanationGone { .. }
            | Self::Denied(_)
            | Self::Internal { .. } => Vec::new(),
        }
    }

    fn class(&self) -> (Code, ErrorReason) {
        match self {
            Self::Invalid(_) => (Code::InvalidArgument, ErrorReason::InvalidField),
            Self::Engine(error) | Self::Row { error, .. } => engine_class(error),
            // The reasons have none of its own for a server that lags behind: what the caller does is the same.
            Self::Overloaded { .. } => (Code::Unavailable, ErrorReason::Overloaded),
            Self::NotReached { .. } => (Code::Unavailable, ErrorReason::NotReached),
            Self::ShuttingDown => (Code::Unavailable, ErrorReason::ShuttingDown),
            Self::JournalClosed => (Code::Unavailable, ErrorReason::JournalClosed),
            Self::DiskFull | Self::OverBudget { .. } => (Code::ResourceExhausted, ErrorReason::DiskFull),
            Self::Deadline => (Code::DeadlineExceeded, ErrorReason::Deadline),
            Self::NotSourced { .. } => (Code::FailedPrecondition, ErrorReason::NotSourced),
            Self::ExplanationGone { .. } => (Code::FailedPrecondition, ErrorReason::ExplanationGone),
            Self::Denied(denial) => denial.class(),
            Self::Internal { .. } => (Code::Internal, ErrorReason::Internal),
        }
    }

    /// The facts of the message, as data.
    fn facts(&self) -> Facts {
        match self {
            Self::Engine(error) => engine_facts(error),
            Self::Row { row, error } => {
                let mut facts = engine_facts(error);
                facts.push(("row", row.to_string()));
                facts
            }
            Self::NotReached { min_lsn, lsn } => vec![("min_lsn", min_lsn.to_string()), ("lsn", lsn.to_string())],
            Self::NotSourced { id } => vec![("reservation_id", id.to_string())],
            Self::Denied(denial) => denial.facts(),
            Self::ExplanationGone { decided, oldest } => {
                vec![("decided_lsn", decided.to_string()), ("oldest_lsn", oldest.to_string())]
            }
            Self::Invalid(_)
            | Self::Overloaded { .. }
            | Self::ShuttingDown
            | Self::JournalClosed
            | Self::DiskFull
            | Self::OverBudget { .. }
            | Self::Deadline
            | Self::Internal { .. } => Vec::new(),
        }
    }

    /// A bug is told to the log with all there is, because the caller is told nothing of it.
    fn log(&self) {
        if let Self::Internal { what } = self {
            tracing::error!(what, request_id = %crate::watch::steps::current_id(), "internal error");
        }
    }
}

type Facts = Vec<(&'static str, String)>;

fn engine_class(error: &engine::Error) -> (Code, ErrorReason) {
    use engine::Error;
    match error {
        Error::UnknownSku { .. } => (Code::NotFound, ErrorReason::UnknownSku),
        Error::UnknownLocation { .. } => (Code::NotFound, ErrorReason::UnknownLocation),
        Error::UnknownChannel { .. } => (Code::NotFound, ErrorReason::UnknownChannel),
        Error::UnknownReservation { .. } => (Code::NotFound, ErrorReason::UnknownReservation),
        Error::UnknownRegion { .. } => (Code::NotFound, ErrorReason::UnknownRegion),
        Error::UnknownDocument { .. } => (Code::NotFound, ErrorReason::UnknownDocument),
        Error::DocumentState { .. } => (Code::FailedPrecondition, ErrorReason::DocumentState),
        Error::InvalidDocument { .. } => (Code::InvalidArgument, ErrorReason::InvalidDocument),
        // The caller sent what is sound by itself and does not go with what there is.
        Error::Unusable { .. } => (Code::FailedPrecondition, ErrorReason::InvalidDocument),
        Error::InvalidStockRules { .. } => (Code::InvalidArgument, ErrorReason::InvalidStockRules),
        Error::StockRulesVersion { .. } => (Code::Aborted, ErrorReason::StockRulesVersion),
        Error::RequestIdReused { .. } => (Code::AlreadyExists, ErrorReason::RequestIdReused),
        Error::StaleRevision { .. } => (Code::FailedPrecondition, ErrorReason::StaleRevision),
        Error::ReservationState { .. } | Error::OtherBuyer { .. } => {
            (Code::FailedPrecondition, ErrorReason::ReservationState)
        }
        Error::NoSuchLine { .. } | Error::ExceedsOpen { .. } => {
            (Code::FailedPrecondition, ErrorReason::ExceedsOpenQuantity)
        }
        Error::ExceedsBucket { .. } => (Code::FailedPrecondition, ErrorReason::ExceedsBucket),
        Error::Overflow { .. } | Error::SumOverflow { .. } => (Code::OutOfRange, ErrorReason::QuantityOverflow),
        Error::UnknownPolicy { .. } => (Code::NotFound, ErrorReason::UnknownDocument),
        Error::UnknownReturn { .. } => (Code::NotFound, ErrorReason::UnknownReturn),
        Error::ReturnState { .. } => (Code::FailedPrecondition, ErrorReason::ReturnState),
        Error::AmbiguousLine { .. } => (Code::FailedPrecondition, ErrorReason::AmbiguousLine),
        Error::ChannelTree { .. } => (Code::InvalidArgument, ErrorReason::ChannelTree),
        Error::ChannelInUse { .. } => (Code::FailedPrecondition, ErrorReason::InUse),
        Error::UnknownGoods { .. } => (Code::NotFound, ErrorReason::UnknownGoods),
        Error::NoAllotment { .. } => (Code::NotFound, ErrorReason::NoAllotment),
        Error::CeilingBelowQuota { .. } => (Code::InvalidArgument, ErrorReason::CeilingBelowQuota),
        Error::NodesNested { .. } => (Code::InvalidArgument, ErrorReason::NodesNested),
        Error::TooManyAllotments { .. } => (Code::FailedPrecondition, ErrorReason::TooManyAllotments),
        Error::UnknownInbound { .. } => (Code::NotFound, ErrorReason::UnknownInbound),
        Error::InboundExists { .. } => (Code::AlreadyExists, ErrorReason::InboundExists),
        Error::InboundClosed { .. } => (Code::FailedPrecondition, ErrorReason::InboundClosed),
        Error::NoSuchInboundLine { .. } => (Code::NotFound, ErrorReason::InboundLine),
        Error::EtaPast { .. } => (Code::InvalidArgument, ErrorReason::EtaPast),
        Error::BelowReceived { .. } => (Code::FailedPrecondition, ErrorReason::BelowReceived),
        Error::TransferUnderWay { .. } => (Code::FailedPrecondition, ErrorReason::TransferUnderWay),
        Error::NotArrived { .. } => (Code::FailedPrecondition, ErrorReason::NotArrived),
        Error::SameLocation { .. }
        | Error::PresaleWithSourcing
        | Error::Region { .. }
        | Error::MixedConditions { .. }
        | Error::NotPlannable { .. }
        | Error::Journal(AppendError::TooLarge { .. }) => (Code::InvalidArgument, ErrorReason::InvalidField),
        // The nearest of the closed list: a store that takes no more, which the operator must see to.
        Error::TableFull { .. } => (Code::ResourceExhausted, ErrorReason::TableFull),
        Error::KitHasNoStock { .. } => (Code::FailedPrecondition, ErrorReason::KitHasNoStock),
        Error::InvalidKit { .. } => (Code::FailedPrecondition, ErrorReason::InvalidKit),
        Error::InUse { .. } => (Code::FailedPrecondition, ErrorReason::InUse),
        Error::TooManyFreezes { .. } => (Code::FailedPrecondition, ErrorReason::TooManyFreezes),
        Error::Journal(AppendError::Full { .. }) => (Code::Unavailable, ErrorReason::Overloaded),
        Error::Journal(AppendError::Poisoned | AppendError::Closed) => (Code::Unavailable, ErrorReason::JournalClosed),
        Error::UnknownCampaign { .. } => (Code::NotFound, ErrorReason::UnknownCampaign),
        Error::CampaignTimes { .. } => (Code::FailedPrecondition, ErrorReason::CampaignTimes),
        Error::CampaignOver { .. } => (Code::FailedPrecondition, ErrorReason::CampaignOver),
        Error::CampaignChannel { .. } => (Code::FailedPrecondition, ErrorReason::CampaignChannel),
        Error::BuyerNeeded { .. } => (Code::InvalidArgument, ErrorReason::InvalidField),
        Error::NotCombinable { .. } => (Code::InvalidArgument, ErrorReason::NotCombinable),
    }
}

fn engine_retry_after(error: &engine::Error) -> Option<Duration> {
    use engine::Error;
    match error {
        Error::Journal(AppendError::Full { .. }) => Some(BACKLOG_DELAY),
        Error::Journal(AppendError::Poisoned | AppendError::Closed) => Some(REPAIR_DELAY),
        Error::Journal(AppendError::TooLarge { .. })
        | Error::UnknownSku { .. }
        | Error::UnknownLocation { .. }
        | Error::UnknownChannel { .. }
        | Error::UnknownReservation { .. }
        | Error::RequestIdReused { .. }
        | Error::StaleRevision { .. }
        | Error::ReservationState { .. }
        | Error::OtherBuyer { .. }
        | Error::NoSuchLine { .. }
        | Error::ExceedsOpen { .. }
        | Error::ExceedsBucket { .. }
        | Error::Overflow { .. }
        | Error::SumOverflow { .. }
        | Error::SameLocation { .. }
        | Error::UnknownRegion { .. }
        | Error::Region { .. }
        | Error::UnknownDocument { .. }
        | Error::DocumentState { .. }
        | Error::InvalidDocument { .. }
        | Error::Unusable { .. }
        | Error::InvalidStockRules { .. }
        | Error::StockRulesVersion { .. }
        | Error::UnknownPolicy { .. }
        | Error::MixedConditions { .. }
        | Error::NotPlannable { .. }
        | Error::TableFull { .. }
        | Error::UnknownReturn { .. }
        | Error::ReturnState { .. }
        | Error::AmbiguousLine { .. }
        | Error::KitHasNoStock { .. }
        | Error::InvalidKit { .. }
        | Error::InUse { .. }
        | Error::TooManyFreezes { .. }
        | Error::ChannelTree { .. }
        | Error::ChannelInUse { .. }
        | Error::UnknownGoods { .. }
        | Error::NoAllotment { .. }
        | Error::CeilingBelowQuota { .. }
        | Error::NodesNested { .. }
        | Error::TooManyAllotments { .. }
        | Error::UnknownCampaign { .. }
        | Error::CampaignTimes { .. }
        | Error::CampaignOver { .. }
        | Error::CampaignChannel { .. }
        | Error::BuyerNeeded { .. }
        | Error::NotCombinable { .. }
        | Error::UnknownInbound { .. }
        | Error::InboundExists { .. }
        | Error::InboundClosed { .. }
        | Error::NoSuchInboundLine { .. }
        | Error::EtaPast { .. }
        | Error::BelowReceived { .. }
        | Error::TransferUnderWay { .. }
        | Error::NotArrived { .. }
        | Error::PresaleWithSourcing => None,
    }
}

fn document_facts(document: &DocumentId) -> Facts {
    vec![
        ("kind", document.kind.name().into()),
        ("name", document.name.clone()),
        ("version", document.version.to_string()),
    ]
}

fn engine_facts(error: &engine::Error) -> Facts {
    use engine::Error;
    match error {
        Error::UnknownSku { code } => vec![("sku", code.clone())],
        Error::UnknownInbound { code } | Error::TransferUnderWay { code } => vec![("inbound", code.clone())],
        Error::InboundExists { code, state } | Error::InboundClosed { code, state } => {
            vec![("inbound", code.clone()), ("state", state.name().to_uppercase())]
        }
        Error::NoSuchInboundLine { code, sku } => vec![("inbound", code.clone()), ("sku", sku.clone())],
        Error::EtaPast { eta, now } => vec![("eta_us", eta.0.to_string()), ("now_us", now.0.to_string())],
        Error::BelowReceived { sku, requested, received } => {
            vec![("sku", sku.clone()), ("requested", requested.to_string()), ("received", received.to_string())]
        }
        Error::NotArrived { id, sku, presold } => {
            vec![("reservation_id", id.to_string()), ("sku", sku.clone()), ("presold", presold.to_string())]
        }
        Error::PresaleWithSourcing => Vec::new(),
        Error::UnknownLocation { code } => vec![("location", code.clone())],
        Error::UnknownChannel { code } => vec![("channel", code.clone())],
        Error::UnknownRegion { code } => vec![("region", code.clone())],
        Error::UnknownDocument { document } => document_facts(document),
        Error::DocumentState { document, state, wanted: _ } => {
            let mut facts = document_facts(document);
            facts.push(("state", state.name().to_uppercase()));
            facts
        }
        Error::Region { .. } | Error::InvalidDocument { .. } | Error::InvalidStockRules { .. } => Vec::new(),
        Error::StockRulesVersion { version, expected } => {
            vec![("version", version.to_string()), ("expected", expected.to_string())]
        }
        Error::Unusable { what, why: _ } => vec![("what", what.clone())],
        Error::UnknownReservation { id } => vec![("reservation_id", id.to_string())],
        Error::RequestIdReused { request_id, lsn } => {
            vec![("request_id", request_id.clone()), ("lsn", lsn.to_string())]
        }
        Error::StaleRevision { sku, revision, expected } => {
            vec![("sku", sku.clone()), ("revision", revision.to_string()), ("expected", expected.to_string())]
        }
        Error::ReservationState { id, state, wanted: _ } => {
            vec![("reservation_id", id.to_string()), ("state", state.name().to_uppercase())]
        }
        Error::OtherBuyer { id } => vec![("reservation_id", id.to_string())],
        Error::NoSuchLine { id, sku, location, lines } => vec![
            ("reservation_id", id.to_string()),
            ("sku", sku.clone()),
            ("location", location.clone()),
            ("lines", lines.to_string()),
        ],
        Error::ExceedsOpen { sku, location, requested, open } => vec![
            ("sku", sku.clone()),
            ("location", location.clone()),
            ("requested", requested.to_string()),
            ("open", open.to_string()),
        ],
        Error::ExceedsBucket { cell, bucket, requested, held } => vec![
            ("sku", cell.sku.clone()),
            ("location", cell.location.clone()),
            ("bucket", (*bucket).into()),
            ("requested", requested.to_string()),
            ("held", held.to_string()),
        ],
        Error::Overflow { cell, bucket } => vec![
            ("sku", cell.sku.clone()),
            ("location", cell.location.clone()),
            ("bucket", bucket.name().into()),
            ("limit", u32::MAX.to_string()),
        ],
        Error::SumOverflow { sku, requested } => {
            vec![("sku", sku.clone()), ("requested", requested.to_string()), ("limit", u32::MAX.to_string())]
        }
        Error::SameLocation { sku, location } => vec![("sku", sku.clone()), ("location", location.clone())],
        Error::UnknownPolicy { name } => vec![("policy", name.clone())],
        Error::MixedConditions { sku } => vec![("sku", sku.clone())],
        Error::NotPlannable { reason: _ } => Vec::new(),
        Error::UnknownReturn { id } => vec![("return_id", id.to_string())],
        Error::ReturnState { id, state, wanted: _ } => {
            vec![("return_id", id.to_string()), ("state", state.name().to_uppercase())]
        }
        Error::AmbiguousLine { sku, locations } => vec![("sku", sku.clone()), ("locations", locations.to_string())],
        Error::KitHasNoStock { sku } => vec![("sku", sku.clone())],
        Error::InvalidKit { sku, component, fault: _ } => {
            vec![("sku", sku.clone()), ("component", component.clone())]
        }
        Error::InUse { sku, kit } => vec![("sku", sku.clone()), ("kit", kit.clone())],
        Error::TooManyFreezes { sku, location, limit } => {
            vec![("sku", sku.clone()), ("location", location.clone()), ("limit", limit.to_string())]
        }
        Error::ChannelTree { channel, .. } | Error::ChannelInUse { channel, .. } => vec![("channel", channel.clone())],
        Error::UnknownGoods { kind, code } => vec![(*kind, code.clone())],
        Error::NoAllotment { node, goods } => vec![("node", node.clone()), ("goods", goods.clone())],
        Error::CeilingBelowQuota { node, ceiling, quota, .. } => {
            vec![("node", node.clone()), ("ceiling", ceiling.to_string()), ("quota", quota.to_string())]
        }
        Error::NodesNested { from, to, .. } => vec![("from", from.clone()), ("to", to.clone())],
        Error::TooManyAllotments { found, limit } => vec![("found", found.to_string()), ("limit", limit.to_string())],
        Error::TableFull { what, limit } => vec![("table", (*what).into()), ("limit", limit.to_string())],
        Error::Journal(AppendError::Full { backlog_bytes, limit_bytes }) => {
            vec![("backlog_bytes", backlog_bytes.to_string()), ("limit_bytes", limit_bytes.to_string())]
        }
        Error::Journal(AppendError::TooLarge { bytes, limit_bytes }) => {
            vec![("bytes", bytes.to_string()), ("limit_bytes", limit_bytes.to_string())]
        }
        Error::Journal(AppendError::Poisoned | AppendError::Closed) => Vec::new(),
        Error::UnknownCampaign { code }
        | Error::CampaignTimes { code, why: _ }
        | Error::CampaignOver { code }
        | Error::BuyerNeeded { code } => vec![("campaign", code.clone())],
        Error::CampaignChannel { code, own, channel } => {
            vec![("campaign", code.clone()), ("campaign_channel", own.clone()), ("channel", channel.clone())]
        }
        Error::NotCombinable { what: _ } => Vec::new(),
    }
}

/// The first wrong field, and how many more there are.
fn summary(violations: &[FieldViolation]) -> String {
    let first = violations.first().map_or_else(String::new, |first| format!("{}: {}", first.field, first.problem));
    match violations.len() {
        0 | 1 => first,
        2 => format!("{first}; and 1 more field"),
        more => format!("{first}; and {} more fields", more - 1),
    }
}

impl From<ApiError> for Status {
    fn from(error: ApiError) -> Self {
        error.log();
        if let ApiError::Denied(denial) = &error {
            return denial.into();
        }
        let (code, reason) = error.class();
        let facts: HashMap<String, String> =
            error.facts().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let mut details = ErrorDetails::with_error_info(short_name(reason), DOMAIN, facts);
        for violation in error.violations() {
            details.add_bad_request_violation(violation.field, violation.problem);
        }
        if let Some(delay) = error.retry_after() {
            details.set_retry_info(Some(delay));
        }
        Self::with_error_details(code, error.to_string(), details)
    }
}

impl From<ApiError> for v1::ItemError {
    fn from(error: ApiError) -> Self {
        error.log();
        let (code, reason) = error.class();
        Self { code: i32::from(code), reason: i32::from(reason), message: error.to_string() }
    }
}

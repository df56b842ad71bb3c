//! Every reason of an error: its code, its facts, and when to retry. The list is part of the API.

use std::{collections::BTreeSet, time::Duration};

use quartermaster_engine::{
    Error,
    catalog::documents::{DocumentFault, DocumentId, DocumentKind, DocumentState},
    command::{Bucket, CellCode},
    error::KitFault,
    error::TreeFault,
    event::supply::InboundState,
    id::{ReservationId, ReturnId},
    quantity::Quantity,
    reservation::State,
    returns::ReturnState,
    time::Timestamp,
};
use quartermaster_journal::{AppendError, Lsn};
use quartermaster_proto::v1::{self, ErrorReason};
use quartermaster_sourcing::region::RegionError;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    auth::{Denial, Role, Roles},
    grpc::status::{ApiError, FieldViolation},
    refusal::short_name,
};

/// What each error comes to: code, reason, facts, milliseconds to wait.
fn table() -> Vec<(ApiError, Code, &'static str, &'static str, Option<u64>)> {
    let id = ReservationId(1_024);
    let cell = || CellCode { sku: "A".into(), location: "L".into() };
    let violation = FieldViolation { field: "lines[3].quantity".into(), problem: "is 0".into() };
    let document = || DocumentId { kind: DocumentKind::Tariff, name: "sf".into(), version: 3 };
    let journal = |error| ApiError::Engine(Error::Journal(error));
    vec![
        (
            Error::UnknownReturn { id: ReturnId(1_024) }.into(),
            Code::NotFound,
            "UNKNOWN_RETURN",
            "return_id=0000000000100",
            None,
        ),
        (
            Error::ReturnState { id: ReturnId(1_024), state: ReturnState::Closed, wanted: "an open one" }.into(),
            Code::FailedPrecondition,
            "RETURN_STATE",
            "return_id=0000000000100 state=CLOSED",
            None,
        ),
        (
            Error::AmbiguousLine { sku: "A".into(), locations: 2 }.into(),
            Code::FailedPrecondition,
            "AMBIGUOUS_LINE",
            "locations=2 sku=A",
            None,
        ),
        (ApiError::Invalid(vec![violation]), Code::InvalidArgument, "INVALID_FIELD", "", None),
        (Error::UnknownSku { code: "A".into() }.into(), Code::NotFound, "UNKNOWN_SKU", "sku=A", None),
        (Error::UnknownLocation { code: "L".into() }.into(), Code::NotFound, "UNKNOWN_LOCATION", "location=L", None),
        (Error::UnknownChannel { code: "C".into() }.into(), Code::NotFound, "UNKNOWN_CHANNEL", "channel=C", None),
        (Error::UnknownInbound { code: "P".into() }.into(), Code::NotFound, "UNKNOWN_INBOUND", "inbound=P", None),
        (
            Error::InboundExists { code: "P".into(), state: InboundState::Open }.into(),
            Code::AlreadyExists,
            "INBOUND_EXISTS",
            "inbound=P state=OPEN",
            None,
        ),
        (
            Error::InboundClosed { code: "P".into(), state: InboundState::Received }.into(),
            Code::FailedPrecondition,
            "INBOUND_CLOSED",
            "inbound=P state=RECEIVED",
            None,
        ),
        (
            Error::NoSuchInboundLine { code: "P".into(), sku: "A".into() }.into(),
            Code::NotFound,
            "INBOUND_LINE",
            "inbound=P sku=A",
            None,
        ),
        (
            Error::EtaPast { eta: Timestamp(1), now: Timestamp(2) }.into(),
            Code::InvalidArgument,
            "ETA_PAST",
            "eta_us=1 now_us=2",
            None,
        ),
        (
            Error::BelowReceived { sku: "A".into(), requested: Quantity(1), received: Quantity(2) }.into(),
            Code::FailedPrecondition,
            "BELOW_RECEIVED",
            "received=2 requested=1 sku=A",
            None,
        ),
        (
            Error::TransferUnderWay { code: "T".into() }.into(),
            Code::FailedPrecondition,
            "TRANSFER_UNDER_WAY",
            "inbound=T",
            None,
        ),
        (
            Error::NotArrived { id, sku: "A".into(), presold: 3 }.into(),
            Code::FailedPrecondition,
            "NOT_ARRIVED",
            "presold=3 reservation_id=0000000000100 sku=A",
            None,
        ),
        (Error::PresaleWithSourcing.into(), Code::InvalidArgument, "INVALID_FIELD", "", None),
        (Error::UnknownCampaign { code: "C".into() }.into(), Code::NotFound, "UNKNOWN_CAMPAIGN", "campaign=C", None),
        (
            Error::CampaignTimes { code: "C".into(), why: "it ends before it starts" }.into(),
            Code::FailedPrecondition,
            "CAMPAIGN_TIMES",
            "campaign=C",
            None,
        ),
        (
            Error::CampaignOver { code: "C".into() }.into(),
            Code::FailedPrecondition,
            "CAMPAIGN_OVER",
            "campaign=C",
            None,
        ),
        (
            Error::CampaignChannel { code: "C".into(), own: "app".into(), channel: "web".into() }.into(),
            Code::FailedPrecondition,
            "CAMPAIGN_CHANNEL",
            "campaign=C campaign_channel=app channel=web",
            None,
        ),
        (Error::BuyerNeeded { code: "C".into() }.into(), Code::InvalidArgument, "INVALID_FIELD", "campaign=C", None),
        (
            Error::NotCombinable { what: "these two do not go together" }.into(),
            Code::InvalidArgument,
            "NOT_COMBINABLE",
            "",
            None,
        ),
        (Error::UnknownRegion { code: "33".into() }.into(), Code::NotFound, "UNKNOWN_REGION", "region=33", None),
        (
            Error::Region { position: Some(2), error: Box::new(RegionError::Cycle { code: "33".into() }) }.into(),
            Code::InvalidArgument,
            "INVALID_FIELD",
            "",
            None,
        ),
        (
            Error::UnknownDocument { document: document() }.into(),
            Code::NotFound,
            "UNKNOWN_DOCUMENT",
            "kind=tariff name=sf version=3",
            None,
        ),
        (
            Error::DocumentState { document: document(), state: DocumentState::Retired, wanted: DocumentState::Draft }
                .into(),
            Code::FailedPrecondition,
            "DOCUMENT_STATE",
            "kind=tariff name=sf state=RETIRED version=3",
            None,
        ),
        (
            Error::InvalidDocument {
                faults: vec![DocumentFault { path: "rules[2].exclude".into(), message: "is wrong".into() }],
            }
            .into(),
            Code::InvalidArgument,
            "INVALID_DOCUMENT",
            "",
            None,
        ),
        (
            Error::InvalidStockRules {
                faults: vec![DocumentFault { path: "rules[2].keep".into(), message: "is wrong".into() }],
            }
            .into(),
            Code::InvalidArgument,
            "INVALID_STOCK_RULES",
            "",
            None,
        ),
        (
            Error::StockRulesVersion { version: 2, expected: 1 }.into(),
            Code::Aborted,
            "STOCK_RULES_VERSION",
            "expected=1 version=2",
            None,
        ),
        (
            Error::Unusable { what: "all regions".into(), why: "so".into() }.into(),
            Code::FailedPrecondition,
            "INVALID_DOCUMENT",
            "what=all regions",
            None,
        ),
        (
            Error::UnknownReservation { id }.into(),
            Code::NotFound,
            "UNKNOWN_RESERVATION",
            "reservation_id=0000000000100",
            None,
        ),
        (
            Error::RequestIdReused { request_id: "r".into(), lsn: Lsn::new(7) }.into(),
            Code::AlreadyExists,
            "REQUEST_ID_REUSED",
            "lsn=7 request_id=r",
            None,
        ),
        (
            Error::StaleRevision { sku: "A".into(), revision: Lsn::new(9), expected: 7 }.into(),
            Code::FailedPrecondition,
            "STALE_REVISION",
            "expected=7 revision=9 sku=A",
            None,
        ),
        (
            Error::ReservationState { id, state: State::Shipped, wanted: "a held one" }.into(),
            Code::FailedPrecondition,
            "RESERVATION_STATE",
            "reservation_id=0000000000100 state=SHIPPED",
            None,
        ),
        (
            Error::OtherBuyer { id }.into(),
            Code::FailedPrecondition,
            "RESERVATION_STATE",
            "reservation_id=0000000000100",
            None,
        ),
        (
            Error::NoSuchLine { id, sku: "A".into(), location: String::new(), lines: 2 }.into(),
            Code::FailedPrecondition,
            "EXCEEDS_OPEN_QUANTITY",
            "lines=2 location= reservation_id=0000000000100 sku=A",
            None,
        ),
        (
            Error::ExceedsOpen { sku: "A".into(), location: "L".into(), requested: 5, open: Quantity(3) }.into(),
            Code::FailedPrecondition,
            "EXCEEDS_OPEN_QUANTITY",
            "location=L open=3 requested=5 sku=A",
            None,
        ),
        (
            Error::ExceedsBucket { cell: cell(), bucket: "damaged", requested: 5, held: 3 }.into(),
            Code::FailedPrecondition,
            "EXCEEDS_BUCKET",
            "bucket=damaged held=3 location=L requested=5 sku=A",
            None,
        ),
        (
            Error::Overflow { cell: cell(), bucket: Bucket::OnHand }.into(),
            Code::OutOfRange,
            "QUANTITY_OVERFLOW",
            "bucket=on hand limit=4294967295 location=L sku=A",
            None,
        ),
        (
            Error::SumOverflow { sku: "A".into(), requested: 1 << 32 }.into(),
            Code::OutOfRange,
            "QUANTITY_OVERFLOW",
            "limit=4294967295 requested=4294967296 sku=A",
            None,
        ),
        (
            Error::SameLocation { sku: "A".into(), location: "L".into() }.into(),
            Code::InvalidArgument,
            "INVALID_FIELD",
            "location=L sku=A",
            None,
        ),
        (
            Error::UnknownRegion { code: "330106".into() }.into(),
            Code::NotFound,
            "UNKNOWN_REGION",
            "region=330106",
            None,
        ),
        (Error::UnknownPolicy { name: "vip".into() }.into(), Code::NotFound, "UNKNOWN_DOCUMENT", "policy=vip", None),
        (Error::MixedConditions { sku: "A".into() }.into(), Code::InvalidArgument, "INVALID_FIELD", "sku=A", None),
        (Error::NotPlannable { reason: "too large".into() }.into(), Code::InvalidArgument, "INVALID_FIELD", "", None),
        (
            Error::TableFull { what: "SKUs", limit: 1 << 32 }.into(),
            Code::ResourceExhausted,
            "TABLE_FULL",
            "limit=4294967296 table=SKUs",
            None,
        ),
        (
            journal(AppendError::Full { backlog_bytes: 65, limit_bytes: 64 }),
            Code::Unavailable,
            "OVERLOADED",
            "backlog_bytes=65 limit_bytes=64",
            Some(50),
        ),
        (
            journal(AppendError::TooLarge { bytes: 65, limit_bytes: 64 }),
            Code::InvalidArgument,
            "INVALID_FIELD",
            "bytes=65 limit_bytes=64",
            None,
        ),
        (Error::KitHasNoStock { sku: "K".into() }.into(), Code::FailedPrecondition, "KIT_HAS_NO_STOCK", "sku=K", None),
        (
            Error::InvalidKit { sku: "K".into(), component: "A".into(), fault: KitFault::OfKits }.into(),
            Code::FailedPrecondition,
            "INVALID_KIT",
            "component=A sku=K",
            None,
        ),
        (
            Error::InUse { sku: "A".into(), kit: "K".into() }.into(),
            Code::FailedPrecondition,
            "IN_USE",
            "kit=K sku=A",
            None,
        ),
        (
            Error::TooManyFreezes { sku: "A".into(), location: String::new(), limit: 32 }.into(),
            Code::FailedPrecondition,
            "TOO_MANY_FREEZES",
            "limit=32 location= sku=A",
            None,
        ),
        (journal(AppendError::Poisoned), Code::Unavailable, "JOURNAL_CLOSED", "", Some(5_000)),
        (journal(AppendError::Closed), Code::Unavailable, "JOURNAL_CLOSED", "", Some(5_000)),
        (
            ApiError::Row { row: 18, error: Error::UnknownSku { code: "A".into() } },
            Code::NotFound,
            "UNKNOWN_SKU",
            "row=18 sku=A",
            None,
        ),
        (
            ApiError::Overloaded { retry_after: Duration::from_millis(30) },
            Code::Unavailable,
            "OVERLOADED",
            "",
            Some(30),
        ),
        (ApiError::ShuttingDown, Code::Unavailable, "SHUTTING_DOWN", "", Some(200)),
        (ApiError::JournalClosed, Code::Unavailable, "JOURNAL_CLOSED", "", Some(5_000)),
        (ApiError::DiskFull, Code::ResourceExhausted, "DISK_FULL", "", Some(5_000)),
        (ApiError::OverBudget { budget_bytes: 9 }, Code::ResourceExhausted, "DISK_FULL", "", Some(5_000)),
        (ApiError::Deadline, Code::DeadlineExceeded, "DEADLINE", "", None),
        (
            ApiError::NotReached { min_lsn: 9, lsn: Lsn::new(7) },
            Code::Unavailable,
            "NOT_REACHED",
            "lsn=7 min_lsn=9",
            Some(200),
        ),
        (
            Error::ChannelTree { position: 1, channel: "app".into(), fault: TreeFault::Cycle }.into(),
            Code::InvalidArgument,
            "CHANNEL_TREE",
            "channel=app",
            None,
        ),
        (
            Error::ChannelInUse { position: 0, channel: "app".into() }.into(),
            Code::FailedPrecondition,
            "IN_USE",
            "channel=app",
            None,
        ),
        (
            Error::UnknownGoods { kind: "style", code: "S".into() }.into(),
            Code::NotFound,
            "UNKNOWN_GOODS",
            "style=S",
            None,
        ),
        (
            Error::NoAllotment { node: "app".into(), goods: "A".into() }.into(),
            Code::NotFound,
            "NO_ALLOTMENT",
            "goods=A node=app",
            None,
        ),
        (
            Error::CeilingBelowQuota { position: 0, node: "app".into(), ceiling: 1, quota: 2 }.into(),
            Code::InvalidArgument,
            "CEILING_BELOW_QUOTA",
            "ceiling=1 node=app quota=2",
            None,
        ),
        (
            Error::NodesNested { position: 0, from: "app".into(), to: "group".into() }.into(),
            Code::InvalidArgument,
            "NODES_NESTED",
            "from=app to=group",
            None,
        ),
        (
            Error::TooManyAllotments { found: 30_000, limit: 20_000 }.into(),
            Code::FailedPrecondition,
            "TOO_MANY_ALLOTMENTS",
            "found=30000 limit=20000",
            None,
        ),
        (ApiError::NotSourced { id }, Code::FailedPrecondition, "NOT_SOURCED", "reservation_id=0000000000100", None),
        (
            ApiError::ExplanationGone { decided: Lsn::new(7), oldest: Lsn::new(9) },
            Code::FailedPrecondition,
            "EXPLANATION_GONE",
            "decided_lsn=7 oldest_lsn=9",
            None,
        ),
        (ApiError::Internal { what: "a secret" }, Code::Internal, "INTERNAL", "", None),
        (Denial::TokenMissing.into(), Code::Unauthenticated, "TOKEN_MISSING", "", None),
        (Denial::TokenMalformed.into(), Code::Unauthenticated, "TOKEN_MALFORMED", "", None),
        (Denial::TokenUnknown.into(), Code::Unauthenticated, "TOKEN_UNKNOWN", "", None),
        (Denial::TokenExpired.into(), Code::Unauthenticated, "TOKEN_EXPIRED", "", None),
        (Denial::TokenEarly.into(), Code::Unauthenticated, "TOKEN_NOT_YET_VALID", "", None),
        (Denial::TokenIssuer.into(), Code::Unauthenticated, "TOKEN_ISSUER", "", None),
        (Denial::TokenAudience.into(), Code::Unauthenticated, "TOKEN_AUDIENCE", "", None),
        (
            Denial::TokenClaims { claim: "roles".into() }.into(),
            Code::Unauthenticated,
            "TOKEN_CLAIMS",
            "claim=roles",
            None,
        ),
        (Denial::KeysUnavailable.into(), Code::Unavailable, "KEYS_UNAVAILABLE", "", Some(5_000)),
        (
            Denial::Role {
                method: "AdminService/RunAudit".into(),
                needed: Roles::of(&[Role::Admin]),
                has: Roles::of(&[Role::Gateway, Role::Analyst]),
            }
            .into(),
            Code::PermissionDenied,
            "ROLE_MISSING",
            "has=gateway, analyst method=AdminService/RunAudit needed=admin",
            None,
        ),
        (
            Denial::Scope { what: "channel", value: "app".into(), bound: "web".into() }.into(),
            Code::PermissionDenied,
            "OUT_OF_SCOPE",
            "bound_to=web channel=app",
            None,
        ),
        (
            Denial::Rate { rate: 10, burst: 20, retry_after: Duration::from_millis(70) }.into(),
            Code::ResourceExhausted,
            "RATE_LIMITED",
            "burst=20 rate=10",
            Some(70),
        ),
    ]
}

#[test]
fn every_error_has_its_code_reason_facts_and_delay() {
    for (error, code, reason, facts, delay) in table() {
        let item = v1::ItemError::from(error.clone());
        let violations = error.violations().len();
        let status = Status::from(error.clone());
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        let mut told: Vec<String> = info.metadata.iter().map(|(name, value)| format!("{name}={value}")).collect();
        told.sort();
        assert_eq!((status.code(), info.reason.as_str()), (code, reason), "{error:?}");
        assert_eq!((told.join(" ").as_str(), info.domain.as_str()), (facts, "quartermaster"), "{error:?}");
        let retry = details.retry_info().and_then(|retry| retry.retry_delay);
        assert_eq!(retry, delay.map(Duration::from_millis), "{error:?}");
        let fields = details.bad_request().map_or(0, |bad| bad.field_violations.len());
        assert_eq!(fields, violations, "{error:?}");
        assert_eq!(fields > 0, code == Code::InvalidArgument, "the wrong field is named: {error:?}");

        assert_eq!((Code::from_i32(item.code), short_name(item.reason())), (code, reason), "{error:?}");
        assert_eq!((item.message.as_str(), status.message().is_empty()), (status.message(), false));
    }
}

#[test]
fn every_reason_but_those_without_a_cause_is_given() {
    let given: BTreeSet<&str> = table().iter().map(|(error, ..)| short_name(error.reason())).collect();
    let all = (0..200).filter_map(|number| ErrorReason::try_from(number).ok());
    let missing: Vec<&str> = all.map(short_name).filter(|reason| !given.contains(reason)).collect();
    assert_eq!(missing, ["UNSPECIFIED"]);
}

#[test]
fn retrying_is_told_exactly_where_it_helps() {
    for (error, code, reason, ..) in table() {
        let helps = code == Code::Unavailable
            || (code == Code::ResourceExhausted
                && matches!(
                    error,
                    ApiError::DiskFull | ApiError::OverBudget { .. } | ApiError::Denied(Denial::Rate { .. })
                ));
        assert_eq!(error.retry_after().is_some(), helps, "{reason} {error:?}");
    }
}

#[test]
fn a_bug_says_nothing_of_the_inside() {
    let status = Status::from(ApiError::Internal { what: "a secret" });
    assert!(!status.message().contains("secret"));
    assert!(!format!("{:?}", status.get_error_details()).contains("secret"));
}

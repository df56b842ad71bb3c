//! Every reason of an error: its code, its facts, and when to retry. The list is part of the API.

use std::{collections::BTreeSet, time::Duration};

use quartermaster_engine::{
    Error,
    catalog::documents::{DocumentFault, DocumentId, DocumentKind, DocumentState},
    command::{Bucket, CellCode},
    id::ReservationId,
    quantity::Quantity,
    reservation::State,
};
use quartermaster_journal::{AppendError, Lsn};
use quartermaster_proto::v1::{self, ErrorReason};
use quartermaster_sourcing::region::RegionError;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
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
        (ApiError::Invalid(vec![violation]), Code::InvalidArgument, "INVALID_FIELD", "", None),
        (Error::UnknownSku { code: "A".into() }.into(), Code::NotFound, "UNKNOWN_SKU", "sku=A", None),
        (Error::UnknownLocation { code: "L".into() }.into(), Code::NotFound, "UNKNOWN_LOCATION", "location=L", None),
        (Error::UnknownChannel { code: "C".into() }.into(), Code::NotFound, "UNKNOWN_CHANNEL", "channel=C", None),
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
        (ApiError::Deadline, Code::DeadlineExceeded, "DEADLINE", "", None),
        (
            ApiError::NotReached { min_lsn: 9, lsn: Lsn::new(7) },
            Code::Unavailable,
            "NOT_REACHED",
            "lsn=7 min_lsn=9",
            Some(200),
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
    let all = (0..).map_while(|number| ErrorReason::try_from(number).ok());
    let missing: Vec<&str> = all.map(short_name).filter(|reason| !given.contains(reason)).collect();
    // Nothing is stranded by a change of the catalogue so far.
    assert_eq!(missing, ["UNSPECIFIED", "IN_USE"]);
}

#[test]
fn retrying_is_told_exactly_where_it_helps() {
    for (error, code, reason, ..) in table() {
        let helps =
            code == Code::Unavailable || (code == Code::ResourceExhausted && matches!(error, ApiError::DiskFull));
        assert_eq!(error.retry_after().is_some(), helps, "{reason} {error:?}");
    }
}

#[test]
fn a_bug_says_nothing_of_the_inside() {
    let status = Status::from(ApiError::Internal { what: "a secret" });
    assert!(!status.message().contains("secret"));
    assert!(!format!("{:?}", status.get_error_details()).contains("secret"));
}

//! The table of what an order gateway sees, what it means and what it does: each row that the services themselves give. The rows
//! that come from outside of them (deadlines, shedding, a failed journal) are told by `reasons` and by the frame round the services.

use quartermaster_proto::v1;
use tonic::Code;
use tonic_types::StatusExt;

use super::support::{World, class, fact, held, order, refused};

#[tokio::test]
async fn ok_with_an_outcome_is_decided_and_durable() {
    let world = World::with(&[("A", "L1", 5)]).await;
    let response = world.reserve(order("r", &[("A", 2)])).await;
    let position = response.position.unwrap();
    assert_eq!(
        (position.shard, position.epoch, response.replayed),
        (0, world.node.position(Default::default()).epoch, false)
    );
    assert!(world.node.engine().journal().durable_lsn().get() >= position.lsn && position.lsn > 0);
    assert_eq!(held(&response).reservation_id.len(), 13);
}

#[tokio::test]
async fn ok_with_a_rejection_is_final_and_leaves_no_trace() {
    let world = World::with(&[("A", "L1", 5)]).await;
    let before = world.node.engine().journal().appended_lsn();
    for _ in 0..2 {
        let response = world.reserve(order("r", &[("A", 6)])).await;
        let rejection = refused(&response);
        assert_eq!(rejection.reason(), v1::RejectionReason::InsufficientStock);
        let short = v1::LineShortage {
            sku: "A".into(),
            location: String::new(),
            requested: 6,
            available: 5,
            component: String::new(),
            limited_by: 1,
        };
        assert_eq!((rejection.shortages, response.replayed), (vec![short], false));
        assert_eq!(rejection.message, "insufficient stock for 1 of the lines, first A: 6 asked for, 5 available");
    }
    assert_eq!(world.node.engine().journal().appended_lsn(), before, "nothing was written");
    held(&world.reserve(order("r", &[("A", 5)])).await);
}

#[tokio::test]
async fn ok_and_replayed_is_the_answer_of_the_first_time() {
    let world = World::with(&[("A", "L1", 5), ("B", "L2", 1)]).await;
    let first = world.reserve(order("r", &[("A", 2), ("B", 1)])).await;
    let again = world.reserve(order("r", &[("A", 2), ("B", 1)])).await;
    assert_eq!(again, v1::ReserveResponse { replayed: true, ..first });
    assert_eq!(world.available("A").await, 3, "taken once");
}

#[tokio::test]
async fn invalid_argument_names_the_fields() {
    let world = World::with(&[("A", "L1", 5)]).await;
    let status = world.allocation().reserve(order("", &[("A", 1), ("A", 0)])).await.unwrap_err();
    assert_eq!(class(&status), (Code::InvalidArgument, "INVALID_FIELD".into()));
    let details = status.get_error_details();
    let violations = &details.bad_request().unwrap().field_violations;
    let fields: Vec<_> = violations.iter().map(|wrong| (wrong.field.as_str(), wrong.description.as_str())).collect();
    let expected = [
        ("request_id", "is missing; 1 to 64 bytes are needed"),
        ("lines[1].quantity", "is 0; 1 to 4,294,967,295 are allowed"),
    ];
    assert_eq!(fields, expected);
    assert!(details.retry_info().is_none());
    assert_eq!(status.message(), "request_id: is missing; 1 to 64 bytes are needed; and 1 more field");
}

#[tokio::test]
async fn already_exists_means_a_request_id_used_for_something_else() {
    let world = World::with(&[("A", "L1", 5)]).await;
    let first = world.reserve(order("r", &[("A", 2)])).await.position.unwrap().lsn;
    let status = world.allocation().reserve(order("r", &[("A", 3)])).await.unwrap_err();
    assert_eq!(class(&status), (Code::AlreadyExists, "REQUEST_ID_REUSED".into()));
    assert_eq!((fact(&status, "request_id"), fact(&status, "lsn")), ("r".into(), first.to_string()));
    let message = v1::RetireSkusRequest { request_id: "r".into(), skus: vec!["A".into()] };
    let status = world.catalog().retire_skus(message).await.unwrap_err();
    assert_eq!(class(&status), (Code::AlreadyExists, "REQUEST_ID_REUSED".into()));
    assert_eq!(world.available("A").await, 3);
}

#[tokio::test]
async fn failed_precondition_means_to_read_again() {
    let world = World::with(&[("A", "L1", 5)]).await;
    let hold = world.hold(order("r", &[("A", 2)])).await;
    let message =
        v1::ShipRequest { request_id: "s".into(), reservation_id: hold.reservation_id.clone(), lines: vec![] };
    let status = world.allocation().ship(message).await.unwrap_err();
    assert_eq!(class(&status), (Code::FailedPrecondition, "RESERVATION_STATE".into()));
    assert_eq!(fact(&status, "state"), "HELD");

    let release = |request_id: &str| v1::ReleaseRequest {
        request_id: request_id.into(),
        reservation_id: hold.reservation_id.clone(),
    };
    world.allocation().release(release("first")).await.unwrap();
    let status = world.allocation().release(release("second")).await.unwrap_err();
    assert_eq!(class(&status), (Code::FailedPrecondition, "RESERVATION_STATE".into()), "released twice");
    assert_eq!(fact(&status, "state"), "RELEASED");

    let stale = v1::ReserveRequest { unchanged_since_lsn: 1, ..order("u", &[("A", 1)]) };
    let status = world.allocation().reserve(stale).await.unwrap_err();
    assert_eq!(class(&status), (Code::FailedPrecondition, "STALE_REVISION".into()));
    assert_eq!((fact(&status, "sku"), fact(&status, "expected")), ("A".into(), "1".into()));
}

#[tokio::test]
async fn unavailable_says_when_to_come_back() {
    let world = World::with(&[("A", "L1", 5)]).await;
    let message = v1::GetAvailabilityRequest { skus: vec!["A".into()], min_lsn: 1_000_000, ..Default::default() };
    let status = world.inventory().get_availability(message).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.get_error_details().retry_info().unwrap().retry_delay.is_some());
    assert_eq!(fact(&status, "min_lsn"), "1000000");
}

#[tokio::test]
async fn a_lost_answer_can_be_asked_for() {
    let world = World::with(&[("A", "L1", 5)]).await;
    let ask = |request_id: &str| {
        let mut client = world.allocation();
        let message = v1::GetOutcomeRequest { request_id: request_id.into() };
        async move { client.get_outcome(message).await.unwrap().into_inner() }
    };
    let unknown = ask("r").await;
    assert_eq!((unknown.known, unknown.decided, unknown.outcome), (false, None, None));

    let response = world.reserve(order("r", &[("A", 2)])).await;
    let known = ask("r").await;
    assert_eq!((known.known, known.decided), (true, response.position));
    assert_eq!(known.outcome, Some(v1::get_outcome_response::Outcome::Hold(held(&response))));

    let message = v1::ConfirmRequest { request_id: "c".into(), reservation_id: held(&response).reservation_id };
    let confirmed = world.allocation().confirm(message).await.unwrap().into_inner();
    let Some(v1::confirm_response::Outcome::Update(update)) = confirmed.outcome else { panic!("not confirmed") };
    assert_eq!(ask("c").await.outcome, Some(v1::get_outcome_response::Outcome::Update(update)));

    let change = v1::ChangeSummary { event: "LocationsUpserted".into(), entries: 3 };
    assert_eq!(ask("locations").await.outcome, Some(v1::get_outcome_response::Outcome::Change(change)));
    assert_eq!(
        class(&{
            let message = v1::GetOutcomeRequest::default();
            world.allocation().get_outcome(message).await.unwrap_err()
        })
        .0,
        Code::InvalidArgument
    );
}

#[tokio::test]
async fn not_found_names_what_is_not_there() {
    let world = World::with(&[("A", "L1", 5)]).await;
    let status = world.allocation().reserve(order("r", &[("Z", 1)])).await.unwrap_err();
    assert_eq!((class(&status), fact(&status, "sku")), ((Code::NotFound, "UNKNOWN_SKU".into()), "Z".into()));
    let nowhere = v1::ReserveLine { sku: "A".into(), quantity: 1, location: "nowhere".into(), sourcing: None };
    let message = v1::ReserveRequest { lines: vec![nowhere], ..order("r", &[]) };
    let status = world.allocation().reserve(message).await.unwrap_err();
    assert_eq!(class(&status), (Code::NotFound, "UNKNOWN_LOCATION".into()));
    let message = v1::ReserveRequest { channel: "web".into(), ..order("r", &[("A", 1)]) };
    let status = world.allocation().reserve(message).await.unwrap_err();
    assert_eq!(class(&status), (Code::NotFound, "UNKNOWN_CHANNEL".into()));
    let message = v1::GetReservationRequest { reservation_id: "0000000000100".into() };
    let status = world.allocation().get_reservation(message).await.unwrap_err();
    assert_eq!(class(&status), (Code::NotFound, "UNKNOWN_RESERVATION".into()));
}

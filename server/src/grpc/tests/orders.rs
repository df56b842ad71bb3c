//! An order on its way: reserved, confirmed, shipped, and what may happen instead.

use prost_types::Duration;
use quartermaster_proto::v1::{self, ReservationState as State};
use tonic::Code;

use super::support::{World, allocation, class, fact, held, order, refused};

fn line(sku: &str, location: &str, quantity: i64) -> v1::LineQuantity {
    v1::LineQuantity { sku: sku.into(), location: location.into(), quantity }
}

fn update(id: &str, state: State, allocations: Vec<v1::Allocation>) -> v1::ReservationUpdate {
    v1::ReservationUpdate {
        reservation_id: id.into(),
        state: i32::from(state),
        allocations,
        expire_time: None,
        presold: Vec::new(),
    }
}

#[tokio::test]
async fn reserve_confirm_ship() {
    let world = World::with(&[("A", "L1", 3), ("A", "L2", 9), ("B", "L2", 5)]).await;
    let hold = world.hold(order("r", &[("A", 4), ("B", 2), ("A", 1)])).await;
    let id = hold.reservation_id.clone();
    assert_eq!(hold.allocations, [allocation("A", "L2", 5), allocation("B", "L2", 2)], "duplicate lines are summed");
    assert_eq!(world.available("A").await, 7);

    let message = v1::ConfirmRequest { request_id: "c".into(), reservation_id: id.clone() };
    let confirmed = world.allocation().confirm(message.clone()).await.unwrap().into_inner();
    let expected = update(&id, State::Confirmed, hold.allocations.clone());
    assert_eq!(confirmed.outcome, Some(v1::confirm_response::Outcome::Update(expected)));
    let again = world.allocation().confirm(message).await.unwrap().into_inner();
    assert_eq!(again, v1::ConfirmResponse { replayed: true, ..confirmed });

    let ship =
        |request_id: &str, lines| v1::ShipRequest { request_id: request_id.into(), reservation_id: id.clone(), lines };
    let status = world.allocation().ship(ship("too many", vec![line("A", "", 6)])).await.unwrap_err();
    assert_eq!(class(&status), (Code::FailedPrecondition, "EXCEEDS_OPEN_QUANTITY".into()));
    assert_eq!((fact(&status, "requested"), fact(&status, "open")), ("6".into(), "5".into()));

    let part = world.allocation().ship(ship("part", vec![line("A", "", 3)])).await.unwrap().into_inner();
    let expected = update(&id, State::Confirmed, vec![allocation("A", "L2", 3)]);
    assert_eq!(part.outcome, Some(v1::ship_response::Outcome::Update(expected)));
    let rest = world.allocation().ship(ship("rest", vec![])).await.unwrap().into_inner();
    let expected = update(&id, State::Shipped, vec![allocation("A", "L2", 2), allocation("B", "L2", 2)]);
    assert_eq!(rest.outcome, Some(v1::ship_response::Outcome::Update(expected)));

    let message = v1::GetReservationRequest { reservation_id: id.to_lowercase() };
    let shown = world.allocation().get_reservation(message).await.unwrap().into_inner();
    let reservation = shown.reservation.unwrap();
    assert_eq!((reservation.state(), reservation.buyer_id.as_str()), (State::Shipped, "buyer"));
    assert!(reservation.end_time.is_some() && reservation.revision == rest.position.unwrap().lsn);
    let shipped: Vec<_> = reservation.lines.iter().map(|line| (line.sku.as_str(), line.open, line.shipped)).collect();
    assert_eq!(shipped, [("A", 0, 5), ("B", 0, 2)]);
}

#[tokio::test]
async fn cancel_extend_and_reassign() {
    let world = World::with(&[("A", "L1", 3), ("A", "L2", 9)]).await;
    let message = v1::ReserveRequest { ttl: Some(Duration { seconds: 60, nanos: 0 }), ..order("r", &[("A", 3)]) };
    let hold = world.hold(message).await;
    let id = hold.reservation_id.clone();
    assert_eq!(hold.allocations, [allocation("A", "L1", 3)], "the first by priority that has all");

    let message = v1::ExtendRequest {
        request_id: "e".into(),
        reservation_id: id.clone(),
        ttl: Some(Duration { seconds: 3_600, nanos: 0 }),
    };
    let extended = world.allocation().extend(message).await.unwrap().into_inner();
    let Some(v1::extend_response::Outcome::Update(moved)) = extended.outcome else { panic!("not extended") };
    assert!(moved.expire_time.unwrap().seconds > hold.expire_time.unwrap().seconds);
    assert_eq!((moved.state(), moved.allocations.len()), (State::Held, 0));

    let reassign = |request_id: &str, to: &str| v1::ReassignRequest {
        request_id: request_id.into(),
        reservation_id: id.clone(),
        sku: "A".into(),
        from_location: "L1".into(),
        to_location: to.into(),
        quantity: 2,
        refused: false,
    };
    let status = world.allocation().reassign(reassign("same", "L1")).await.unwrap_err();
    assert_eq!(class(&status), (Code::InvalidArgument, "INVALID_FIELD".into()));
    let paused = world.allocation().reassign(reassign("paused", "P")).await.unwrap().into_inner();
    let Some(v1::reassign_response::Outcome::Rejection(no)) = paused.outcome else { panic!("was moved") };
    assert_eq!(no.reason(), v1::RejectionReason::LocationNotOpen);
    let moved = world.allocation().reassign(reassign("best", "")).await.unwrap().into_inner();
    let expected = update(&id, State::Held, vec![allocation("A", "L2", 2)]);
    assert_eq!(moved.outcome, Some(v1::reassign_response::Outcome::Update(expected)));

    let cancel = |request_id: &str, lines| v1::CancelRequest {
        request_id: request_id.into(),
        reservation_id: id.clone(),
        lines,
    };
    let status = world.allocation().cancel(cancel("which", vec![line("A", "", 1)])).await.unwrap_err();
    assert_eq!(class(&status), (Code::FailedPrecondition, "EXCEEDS_OPEN_QUANTITY".into()));
    assert_eq!(fact(&status, "lines"), "2", "the SKU stands at two locations");
    let part = world.allocation().cancel(cancel("part", vec![line("A", "L2", 0)])).await.unwrap().into_inner();
    let expected = update(&id, State::Held, vec![allocation("A", "L2", 2)]);
    assert_eq!(part.outcome, Some(v1::cancel_response::Outcome::Update(expected)));
    let rest = world.allocation().cancel(cancel("rest", vec![])).await.unwrap().into_inner();
    let expected = update(&id, State::Cancelled, vec![allocation("A", "L1", 1)]);
    assert_eq!(rest.outcome, Some(v1::cancel_response::Outcome::Update(expected)));
    assert_eq!(world.available("A").await, 12);
}

#[tokio::test]
async fn partial_holds_say_what_is_missing() {
    let world = World::with(&[("A", "L1", 3), ("B", "L1", 0)]).await;
    let line = |sku: &str, quantity, location: &str| v1::ReserveLine {
        sku: sku.into(),
        quantity,
        location: location.into(),
        sourcing: None,
    };
    let lines = vec![line("B", 1, ""), line("A", 5, "L1")];
    let message = v1::ReserveRequest { allow_partial: true, lines, ..order("r", &[]) };
    let hold = world.hold(message).await;
    assert_eq!(hold.allocations, [allocation("A", "L1", 3)]);
    let short = |sku: &str, location: &str, requested, available| v1::LineShortage {
        sku: sku.into(),
        location: location.into(),
        requested,
        available,
        component: String::new(),
        limited_by: i32::from(v1::LimitedBy::Stock),
    };
    let mut shortages = hold.shortages;
    shortages.sort_by(|one, other| one.sku.cmp(&other.sku));
    assert_eq!(shortages, [short("A", "L1", 5, 3), short("B", "", 1, 0)]);
}

#[tokio::test]
async fn a_buyers_earlier_hold_is_replaced() {
    let world = World::with(&[("A", "L1", 3)]).await;
    let earlier = world.hold(order("r", &[("A", 3)])).await.reservation_id;
    let message = v1::ReserveRequest { replaces_reservation_id: earlier.clone(), ..order("n", &[("A", 2)]) };
    let other = v1::ReserveRequest { request_id: "o".into(), buyer_id: "other".into(), ..message.clone() };
    let status = world.allocation().reserve(other).await.unwrap_err();
    assert_eq!(class(&status), (Code::FailedPrecondition, "RESERVATION_STATE".into()));
    world.hold(message).await;
    let message = v1::GetReservationRequest { reservation_id: earlier };
    let shown = world.allocation().get_reservation(message).await.unwrap().into_inner().reservation.unwrap();
    assert_eq!((shown.state(), world.available("A").await), (State::Replaced, 1));
}

#[tokio::test]
async fn business_reasons_are_typed() {
    let world = World::with(&[("A", "L1", 3), ("A", "P", 3)]).await;
    let message = v1::ReserveRequest { channel: "old".into(), ..order("r", &[("A", 1)]) };
    assert_eq!(refused(&world.reserve(message).await).reason(), v1::RejectionReason::ChannelNotActive);
    let paused = v1::ReserveLine { sku: "A".into(), quantity: 1, location: "P".into(), sourcing: None };
    let message = v1::ReserveRequest { lines: vec![paused], ..order("r", &[]) };
    assert_eq!(refused(&world.reserve(message).await).reason(), v1::RejectionReason::LocationNotOpen);
    let sku = v1::Sku { code: "A".into(), sellable: Some(false), ..Default::default() };
    let message = v1::UpsertSkusRequest { request_id: "off".into(), skus: vec![sku] };
    world.catalog().upsert_skus(message).await.unwrap();
    let answer = world.reserve(order("r", &[("A", 1)])).await;
    assert_eq!(refused(&answer).reason(), v1::RejectionReason::SkuNotSellable);
}

#[tokio::test]
async fn sums_past_a_quantity_are_out_of_range() {
    let world = World::with(&[("A", "L1", 3)]).await;
    let most = i64::from(u32::MAX);
    let status = world.allocation().reserve(order("r", &[("A", most), ("A", 1)])).await.unwrap_err();
    assert_eq!(class(&status), (Code::OutOfRange, "QUANTITY_OVERFLOW".into()));
    assert_eq!((fact(&status, "sku"), fact(&status, "requested")), ("A".into(), "4294967296".into()));
}

#[tokio::test]
async fn an_order_of_two_thousand_lines_is_taken() {
    let codes: Vec<String> = (0..2_000).map(|number| format!("S{number:04}")).collect();
    let cells: Vec<_> = codes.iter().map(String::as_str).collect();
    let world = World::with(&[]).await;
    world.skus(&cells).await;
    let receipts = codes.iter().map(|sku| v1::Receipt { sku: sku.clone(), location: "L1".into(), quantity: 1 });
    let message =
        v1::ReceiveStockRequest { request_id: "g".into(), receipts: receipts.collect(), ..Default::default() };
    world.inventory().receive_stock(message).await.unwrap();
    let lines: Vec<_> = cells.iter().map(|code| (*code, 1)).collect();
    let response = world.reserve(order("r", &lines)).await;
    assert_eq!(held(&response).allocations.len(), 2_000);
}

//! The Rust client and the real server.

use quartermaster_client::{CallError, Outcome, v1};
use tokio::task::JoinSet;

use crate::running::Running;

fn order(id: &str, units: i64) -> v1::ReserveRequest {
    let line = v1::ReserveLine { sku: "A".into(), quantity: units, ..v1::ReserveLine::default() };
    v1::ReserveRequest { request_id: id.into(), lines: vec![line], ..v1::ReserveRequest::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_life_of_an_order() {
    let server = Running::start().await;
    server.stock(5).await;
    let client = server.client();

    let first = client.reserve(order("o-1", 3)).await.unwrap();
    let again = client.reserve(order("o-1", 3)).await.unwrap();
    assert!(!first.replayed && again.replayed && again.outcome == first.outcome && again.position == first.position);
    let reused = client.reserve(order("o-1", 2)).await.unwrap_err();
    assert!(matches!(&reused, CallError::Conflict(last) if last.reason_name() == "REQUEST_ID_REUSED"), "{reused}");
    let id = first.done().unwrap().reservation_id;

    let Outcome::Rejected(no) = client.reserve(order("o-2", 3)).await.unwrap().outcome else { panic!("sold twice") };
    assert_eq!((no.reason(), no.shortages[0].available), (v1::RejectionReason::InsufficientStock, 2));

    client.extend(&id, std::time::Duration::from_secs(600)).await.unwrap().done().unwrap();
    client.confirm(&id).await.unwrap().done().unwrap();
    let shipped = client.ship(&id).await.unwrap().done().unwrap();
    assert_eq!(shipped.state(), v1::ReservationState::Shipped);
    let early = client.release(&id).await.unwrap_err();
    assert!(matches!(&early, CallError::Precondition(last) if last.reason_name() == "RESERVATION_STATE"), "{early}");

    let announced = v1::AnnouncedLine { sku: "A".into(), quantity: 1, ..v1::AnnouncedLine::default() };
    let back = v1::AnnounceReturnRequest { reservation_id: id.clone(), lines: vec![announced], ..Default::default() };
    let back = v1::AnnounceReturnRequest { kind: v1::ReturnKind::Customer.into(), ..back };
    client.announce_return(back).await.unwrap().done().unwrap();

    assert!(client.outcome("o-1").await.unwrap().known && !client.outcome("o-2").await.unwrap().known);
    assert_eq!(client.get_reservation(&id).await.unwrap().unwrap().lines[0].shipped, 3);
    assert_eq!(client.get_reservation("0000000000000").await.unwrap(), None);
    let available = v1::GetAvailabilityRequest { skus: vec!["A".into()], ..Default::default() };
    assert_eq!(client.availability(available).await.unwrap()[0].available, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_fields_are_named() {
    let server = Running::start().await;
    let error = server.client().reserve(order("o-1", 0)).await.unwrap_err();
    let CallError::Invalid(last) = &error else { panic!("{error}") };
    assert_eq!(last.fields[0].0, "lines[0].quantity", "{last:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_and_streams_sell_what_there_is_and_no_more() {
    let server = Running::start().await;
    server.stock(150).await;
    let client = server.client();
    let batch = (0..100).map(|at| order(&format!("b-{at}"), 1)).collect();
    let results = client.reserve_batch(batch).await.unwrap();
    assert_eq!(results.len(), 100);

    let stream = client.reserve_stream();
    let mut tasks = JoinSet::new();
    for at in 0..100 {
        let stream = stream.clone();
        tasks.spawn(async move { stream.reserve(order(&format!("s-{at}"), 1)).await.unwrap().done().is_ok() });
    }
    let granted = tasks.join_all().await.into_iter().filter(|granted| *granted).count();
    assert_eq!(granted, 50, "100 of 150 went to the batch");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_is_asked_for_and_every_other_method_too() {
    let server = Running::start().await;
    server.stock(5).await;
    let client = server.client();
    let request =
        v1::RouteRequest { lines: order("", 2).lines, sourcing: Some(v1::Sourcing::default()), ..Default::default() };
    let quote = client.route(request).await.unwrap().done().unwrap();
    assert_eq!(quote.plan.unwrap().parcels[0].location, "L");
    let line = v1::SplitLine { sku: "A".into(), quantity: 3, location: "L".into(), ..v1::SplitLine::default() };
    let rule = v1::SplitRule { key: v1::SplitKey::Units.into(), limit: 2, ..v1::SplitRule::default() };
    let packages = client.split(v1::SplitRequest { lines: vec![line], rules: vec![rule], ..Default::default() });
    assert_eq!(packages.await.unwrap().len(), 2);
    let status = client.call(v1::GetStatusRequest {}).await.unwrap();
    assert_eq!((status.answer.state.as_str(), status.request_id.as_str()), ("serving", ""));
}

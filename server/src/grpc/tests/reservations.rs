//! Lists of reservations.

use prost_types::Duration;
use quartermaster_proto::v1::{self, ReservationState as State};

use super::support::{World, order};

#[tokio::test]
async fn reservations_are_listed_by_owner_state_and_expiry() {
    let world = World::with(&[("A", "L1", 50)]).await;
    let mut ids = Vec::new();
    for number in 0..6_i64 {
        let message = v1::ReserveRequest {
            buyer_id: if number < 4 { "one".into() } else { "two".into() },
            order_id: format!("o{number}"),
            channel: "app".into(),
            ttl: Some(Duration { seconds: 60 * (number + 1), nanos: 0 }),
            ..order(&format!("r{number}"), &[("A", 1)])
        };
        ids.push(world.hold(message).await);
    }
    let confirm = v1::ConfirmRequest { request_id: "c".into(), reservation_id: ids[1].reservation_id.clone() };
    world.allocation().confirm(confirm).await.unwrap();

    let list = |message: v1::ListReservationsRequest| {
        let mut client = world.allocation();
        async move { client.list_reservations(message).await.unwrap().into_inner() }
    };
    let orders = |page: &v1::ListReservationsResponse| -> Vec<String> {
        page.reservations.iter().map(|found| found.order_id.clone()).collect()
    };
    let by_buyer = v1::ListReservationsRequest { buyer_id: "one".into(), page_size: 3, ..Default::default() };
    let first = list(by_buyer.clone()).await;
    assert_eq!(orders(&first), ["o0", "o1", "o2"]);
    let page_token = first.next_page_token.clone();
    let second = list(v1::ListReservationsRequest { page_token: page_token.clone(), ..by_buyer.clone() }).await;
    assert_eq!((orders(&second), second.next_page_token.as_str()), (vec!["o3".into()], ""));
    let stolen = v1::ListReservationsRequest { buyer_id: "two".into(), page_token, ..by_buyer };
    assert!(world.allocation().list_reservations(stolen).await.is_err(), "a token is for its own filter");

    let held = v1::ListReservationsRequest { state: i32::from(State::Held), page_size: 4, ..Default::default() };
    let first = list(held.clone()).await;
    assert_eq!(orders(&first), ["o0", "o2", "o3", "o4"]);
    let second = list(v1::ListReservationsRequest { page_token: first.next_page_token, ..held.clone() }).await;
    assert_eq!((orders(&second), second.next_page_token.as_str()), (vec!["o5".into()], ""));
    let soon = v1::ListReservationsRequest { expire_before: ids[3].expire_time, ..held };
    assert_eq!(orders(&list(soon).await), ["o0", "o2"], "before, not at");

    let shown = &list(v1::ListReservationsRequest::default()).await.reservations[1];
    assert_eq!((shown.state(), shown.channel.as_str(), shown.end_time), (State::Confirmed, "app", None));
    let lines: Vec<_> = shown.lines.iter().map(|line| (line.sku.as_str(), line.location.as_str(), line.open)).collect();
    assert_eq!(lines, [("A", "L1", 1)]);
}

//! Freezes, kits and repairs through the services.

use quartermaster_proto::v1;
use tonic::Code;

use super::support::{World, allocation, class, fact, order, refused};
use crate::metrics::Sources as _;

fn freeze(request_id: &str, sku: &str, location: &str, reason: v1::FreezeReason) -> v1::FreezeStockRequest {
    v1::FreezeStockRequest {
        request_id: request_id.into(),
        sku: sku.into(),
        location: location.into(),
        reason: reason.into(),
        reference: "doc".into(),
    }
}

fn repair(request_id: &str, preview: bool) -> v1::RepairShortfallsRequest {
    v1::RepairShortfallsRequest { request_id: request_id.into(), preview, ..Default::default() }
}

fn frozen(rejection: &v1::Rejection) -> (String, String, Vec<String>) {
    assert_eq!(rejection.reason(), v1::RejectionReason::Frozen);
    let frozen = rejection.frozen.clone().unwrap();
    (frozen.sku, frozen.location, frozen.reasons)
}

#[tokio::test]
async fn what_is_frozen_is_rejected_by_name_and_listed() {
    let world = World::with(&[("A", "L1", 5), ("A", "L2", 2), ("B", "L1", 4)]).await;
    let mut client = world.upkeep();
    let first = client.freeze_stock(freeze("f1", "A", "", v1::FreezeReason::Recall)).await.unwrap().into_inner();
    assert_eq!((first.freeze_id, first.replayed), (first.position.unwrap().lsn, false));
    let again = client.freeze_stock(freeze("f1", "A", "", v1::FreezeReason::Recall)).await.unwrap().into_inner();
    assert_eq!((again.freeze_id, again.replayed), (first.freeze_id, true));
    client.freeze_stock(freeze("f2", "", "L1", v1::FreezeReason::Count)).await.unwrap();
    client.freeze_stock(freeze("f3", "B", "L2", v1::FreezeReason::Legal)).await.unwrap();

    assert_eq!((world.available("A").await, world.available("B").await), (0, 0));
    let rejection = refused(&world.reserve(order("r1", &[("A", 1)])).await);
    assert_eq!(frozen(&rejection), ("A".into(), String::new(), vec!["RECALL".into()]));
    assert_eq!(rejection.message, "SKU A is frozen: recall");
    let mut named = order("r2", &[("B", 1)]);
    named.lines[0].location = "L1".into();
    let rejection = refused(&world.reserve(named).await);
    assert_eq!(frozen(&rejection), (String::new(), "L1".into(), vec!["COUNT".into()]));

    let list = |page_size, page_token: &str, location: &str| v1::ListFreezesRequest {
        page_size,
        page_token: page_token.into(),
        location: location.into(),
        ..Default::default()
    };
    let page = client.list_freezes(list(2, "", "")).await.unwrap().into_inner();
    let things: Vec<_> = page.freezes.iter().map(|one| (one.sku.as_str(), one.location.as_str())).collect();
    assert_eq!(things, [("A", ""), ("", "L1")]);
    let rest = client.list_freezes(list(2, &page.next_page_token, "")).await.unwrap().into_inner();
    let last = &rest.freezes[0];
    assert_eq!((last.sku.as_str(), last.location.as_str(), last.reason()), ("B", "L2", v1::FreezeReason::Legal));
    assert_eq!((last.reference.as_str(), rest.next_page_token.as_str()), ("doc", ""));
    assert_eq!(client.list_freezes(list(9, "", "L1")).await.unwrap().into_inner().freezes.len(), 1);

    let thaw = |request_id: &str, all| v1::ThawStockRequest {
        request_id: request_id.into(),
        sku: "A".into(),
        all,
        freeze_id: if all { 0 } else { 1 },
        ..Default::default()
    };
    let none = client.thaw_stock(thaw("t0", false)).await.unwrap().into_inner().outcome.unwrap();
    let v1::thaw_stock_response::Outcome::Rejection(rejection) = none else { panic!("{none:?}") };
    assert_eq!(rejection.reason(), v1::RejectionReason::NotFrozen);
    let lifted = client.thaw_stock(thaw("t1", true)).await.unwrap().into_inner().outcome.unwrap();
    let v1::thaw_stock_response::Outcome::Thaw(lifted) = lifted else { panic!("{lifted:?}") };
    assert_eq!(lifted.freeze_ids, [first.freeze_id]);
    assert_eq!(world.available("A").await, 2, "one of its locations is frozen");
}

#[tokio::test]
async fn bad_freezes_are_told() {
    let world = World::with(&[("A", "L1", 5)]).await;
    let mut client = world.upkeep();
    let wrong = client.freeze_stock(v1::FreezeStockRequest::default()).await.unwrap_err();
    assert_eq!(class(&wrong), (Code::InvalidArgument, "INVALID_FIELD".into()));
    let unknown = client.freeze_stock(freeze("f", "X", "", v1::FreezeReason::Count)).await.unwrap_err();
    assert_eq!(class(&unknown), (Code::NotFound, "UNKNOWN_SKU".into()));
    let unknown = client.freeze_stock(freeze("f", "A", "X", v1::FreezeReason::Count)).await.unwrap_err();
    assert_eq!(class(&unknown), (Code::NotFound, "UNKNOWN_LOCATION".into()));
    let unknown =
        client.list_freezes(v1::ListFreezesRequest { sku: "X".into(), ..Default::default() }).await.unwrap_err();
    assert_eq!(class(&unknown), (Code::NotFound, "UNKNOWN_SKU".into()));
    client.freeze_stock(freeze("f", "A", "", v1::FreezeReason::Count)).await.unwrap();
    let reused = client.freeze_stock(freeze("f", "A", "", v1::FreezeReason::Legal)).await.unwrap_err();
    assert_eq!(class(&reused), (Code::AlreadyExists, "REQUEST_ID_REUSED".into()));
    let unknown = client
        .repair_shortfalls(v1::RepairShortfallsRequest { location: "X".into(), ..repair("", true) })
        .await
        .unwrap_err();
    assert_eq!(class(&unknown), (Code::NotFound, "UNKNOWN_LOCATION".into()));
}

#[tokio::test]
async fn a_kit_is_described_reserved_shown_and_kept_from_stock() {
    let world = World::with(&[("A", "L1", 5), ("B", "L2", 2)]).await;
    let part = |sku: &str, units| v1::KitComponent { sku: sku.into(), units };
    let kit = |code: &str, components| v1::UpsertSkusRequest {
        request_id: format!("kit {code}"),
        skus: vec![v1::Sku { code: code.into(), components, ..Default::default() }],
    };
    let wrong = world.catalog().upsert_skus(kit("Z", vec![part("A", 0)])).await.unwrap_err();
    assert_eq!(class(&wrong), (Code::InvalidArgument, "INVALID_FIELD".into()));
    world.catalog().upsert_skus(kit("K", vec![part("A", 2), part("B", 1)])).await.unwrap();
    let wrong = world.catalog().upsert_skus(kit("M", vec![part("K", 1)])).await.unwrap_err();
    assert_eq!((class(&wrong).1.as_str(), fact(&wrong, "component").as_str()), ("INVALID_KIT", "K"));
    let page = world.catalog().list_skus(v1::ListSkusRequest::default()).await.unwrap().into_inner();
    assert_eq!(page.skus.last().unwrap().components, [part("A", 2), part("B", 1)]);

    assert_eq!(world.available("K").await, 2);
    let rejection = refused(&world.reserve(order("r1", &[("K", 3)])).await);
    let short = &rejection.shortages[0];
    let told = (short.sku.as_str(), short.requested, short.available, short.component.as_str());
    assert_eq!(told, ("K", 3, 2, "A"));
    let hold = world.hold(order("r2", &[("K", 2), ("A", 1)])).await;
    assert_eq!(hold.allocations, [allocation("A", "L1", 5), allocation("B", "L2", 2)]);
    assert_eq!(hold.kits, [v1::Kit { sku: "K".into(), quantity: 2 }]);
    let get = v1::GetReservationRequest { reservation_id: hold.reservation_id.clone() };
    let shown = world.allocation().get_reservation(get).await.unwrap().into_inner().reservation.unwrap();
    assert_eq!(shown.kits, hold.kits);

    let set = v1::SetStockRequest {
        request_id: "s".into(),
        sku: "K".into(),
        location: "L1".into(),
        quantity: 1,
        ..Default::default()
    };
    let wrong = world.inventory().set_stock(set).await.unwrap_err();
    assert_eq!(class(&wrong), (Code::FailedPrecondition, "KIT_HAS_NO_STOCK".into()));
    let retire = v1::RetireSkusRequest { request_id: "x".into(), skus: vec!["A".into()] };
    let wrong = world.catalog().retire_skus(retire).await.unwrap_err();
    assert_eq!((class(&wrong).1.as_str(), fact(&wrong, "kit").as_str()), ("IN_USE", "K"));
}

#[tokio::test]
async fn a_preview_tells_what_the_repair_does() {
    let world = World::with(&[("A", "L1", 5), ("A", "L2", 0)]).await;
    let first = world.hold(order("r1", &[("A", 3)])).await.reservation_id;
    let second = world.hold(order("r2", &[("A", 2)])).await.reservation_id;
    let mut client = world.upkeep();
    let none = client.repair_shortfalls(repair("p0", false)).await.unwrap().into_inner().outcome.unwrap();
    let v1::repair_shortfalls_response::Outcome::Rejection(rejection) = none else { panic!("{none:?}") };
    assert_eq!(rejection.reason(), v1::RejectionReason::NothingToRepair);

    world.count("A", "L1", 1).await;
    world.count("A", "L2", 3).await;
    let preview = client.repair_shortfalls(repair("", true)).await.unwrap().into_inner();
    let done = client.repair_shortfalls(repair("p1", false)).await.unwrap().into_inner();
    assert_eq!(preview.outcome, done.outcome);
    let Some(v1::repair_shortfalls_response::Outcome::Repair(told)) = done.outcome.clone() else { panic!("{done:?}") };
    let remedy = |id: &str, quantity, moved_to, cancelled| v1::Remedy {
        reservation_id: id.into(),
        sku: "A".into(),
        location: "L1".into(),
        quantity,
        moved_to,
        cancelled,
        ended: false,
    };
    let expected = [
        remedy(&second, 2, vec![allocation("A", "L2", 2)], false),
        remedy(&first, 1, vec![allocation("A", "L2", 1)], false),
        remedy(&first, 1, Vec::new(), true),
    ];
    assert_eq!(told.remedies, expected);
    assert_eq!((told.remaining.len(), told.more), (0, false));
    let again = client.repair_shortfalls(repair("p1", false)).await.unwrap().into_inner();
    assert_eq!((again.replayed, again.outcome), (true, done.outcome));

    let figures = world.node.read().upkeep;
    assert_eq!((figures.repaired, figures.freezes.len()), ([3, 1], 0));
}

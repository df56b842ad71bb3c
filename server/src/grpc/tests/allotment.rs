//! Allotments over the wire.

use quartermaster_proto::v1;
use tonic::Code;

use super::support::{World, class, fact, order, refused};

fn channel(code: &str) -> Option<v1::SellingNode> {
    Some(v1::SellingNode { node: Some(v1::selling_node::Node::Channel(code.into())) })
}

fn sku(code: &str) -> Option<v1::AllottedGoods> {
    Some(v1::AllottedGoods { goods: Some(v1::allotted_goods::Goods::Sku(code.into())) })
}

fn setting(code: &str, node: &str, quantity: i64) -> v1::AllotmentSetting {
    v1::AllotmentSetting {
        goods: sku(code),
        node: channel(node),
        quota: Some(v1::allotment_setting::Quota::Quantity(quantity)),
        ..Default::default()
    }
}

fn set(id: &str, settings: Vec<v1::AllotmentSetting>) -> v1::SetAllotmentsRequest {
    v1::SetAllotmentsRequest { request_id: id.into(), settings, clip: false }
}

async fn refusal(world: &World, message: v1::SetAllotmentsRequest) -> tonic::Status {
    world.allotment().set_allotments(message).await.unwrap_err()
}

/// App lies in a group, till beside it.
async fn shops() -> World {
    let world = World::with(&[("A", "L1", 6), ("A", "L2", 4)]).await;
    let channel =
        |code: &str, parent: &str| v1::Channel { code: code.into(), parent: parent.into(), ..Default::default() };
    let channels = vec![channel("online", ""), channel("app", "online"), channel("till", "")];
    world.catalog().upsert_channels(v1::UpsertChannelsRequest { request_id: "tree".into(), channels }).await.unwrap();
    world
}

async fn available(world: &World, channel: &str) -> (i64, Vec<i64>) {
    let message = v1::GetAvailabilityRequest {
        skus: vec!["A".into()],
        locations: vec!["L1".into(), "L2".into()],
        channel: channel.into(),
        ..Default::default()
    };
    let answer = world.inventory().get_availability(message).await.unwrap().into_inner();
    (answer.skus[0].available, answer.skus[0].by_location.clone())
}

#[tokio::test]
async fn an_allotment_is_set_used_moved_and_returned() {
    use v1::set_allotments_response::Outcome;
    let world = shops().await;
    let message = set("s", vec![v1::AllotmentSetting { ceiling: Some(5), ..setting("A", "app", 5) }]);
    let first = world.allotment().set_allotments(message.clone()).await.unwrap().into_inner();
    let Some(Outcome::Set(outcomes)) = &first.outcome else { panic!("{first:?}") };
    assert_eq!((outcomes.allotments[0].quota, outcomes.allotments[0].ceiling), (Some(5), Some(5)));
    let again = world.allotment().set_allotments(message).await.unwrap().into_inner();
    assert_eq!((again.replayed, &again.outcome), (true, &first.outcome));

    assert_eq!(available(&world, "app").await, (5, vec![5, 4]));
    assert_eq!(available(&world, "till").await, (5, vec![5, 4]));
    assert_eq!(available(&world, "").await, (5, vec![5, 4]));
    let rejection =
        refused(&world.reserve(v1::ReserveRequest { channel: "till".into(), ..order("t", &[("A", 6)]) }).await);
    assert_eq!((rejection.shortages[0].available, rejection.shortages[0].limited_by()), (5, v1::LimitedBy::Allotment));
    world.hold(v1::ReserveRequest { channel: "app".into(), ..order("a", &[("A", 3)]) }).await;
    let rejection =
        refused(&world.reserve(v1::ReserveRequest { channel: "app".into(), ..order("b", &[("A", 3)]) }).await);
    assert_eq!((rejection.shortages[0].available, rejection.shortages[0].limited_by()), (2, v1::LimitedBy::Allotment));

    let moves = vec![v1::AllotmentMove { goods: sku("A"), from: channel("app"), to: channel("till"), quantity: 2 }];
    let message = v1::MoveAllotmentsRequest { request_id: "m".into(), moves, clip: false };
    let moved = world.allotment().move_allotments(message).await.unwrap().into_inner();
    let Some(v1::move_allotments_response::Outcome::Moved(moved)) = moved.outcome else { panic!("{moved:?}") };
    assert_eq!(moved.allotments.iter().map(|one| one.quota).collect::<Vec<_>>(), [Some(3), Some(2)]);

    let list = |page_size, page_token| v1::ListAllotmentsRequest { page_size, page_token, ..Default::default() };
    let page = world.allotment().list_allotments(list(1, String::new())).await.unwrap().into_inner();
    let next = world.allotment().list_allotments(list(10, page.next_page_token)).await.unwrap().into_inner();
    let nodes: Vec<_> = page.allotments.iter().chain(&next.allotments).map(|one| one.node.clone()).collect();
    assert_eq!(nodes, [channel("app"), channel("online"), channel("till")]);
    let app = &page.allotments[0];
    assert_eq!((app.quota, app.reserved, app.granted, app.used, app.rest, app.reach), (Some(3), 3, 3, 3, 0, 0));
    assert_eq!((next.allotments[1].rest, next.allotments[1].reach), (2, 2));

    let steps = vec![v1::AllotmentStep { goods: sku("A"), node: channel("till"), quantity: 1 }];
    let lower = v1::LowerAllotmentsRequest { request_id: "l".into(), steps: steps.clone(), clip: false };
    let lowered = world.allotment().lower_allotments(lower).await.unwrap().into_inner();
    assert!(matches!(lowered.outcome, Some(v1::lower_allotments_response::Outcome::Lowered(_))));
    let raise = v1::RaiseAllotmentsRequest { request_id: "u".into(), steps, clip: false };
    let raised = world.allotment().raise_allotments(raise).await.unwrap().into_inner();
    assert!(matches!(raised.outcome, Some(v1::raise_allotments_response::Outcome::Raised(_))));

    let back = v1::ReturnAllotmentsRequest { request_id: "x".into(), node: channel("till"), goods: Vec::new() };
    let back = world.allotment().return_allotments(back).await.unwrap().into_inner();
    assert_eq!(back.returned.unwrap().allotments.len(), 1);
    assert_eq!(available(&world, "till").await.0, 7);
}

#[tokio::test]
async fn what_cannot_be_is_told_with_its_reason() {
    use v1::set_allotments_response::Outcome;
    let world = shops().await;
    let answer = world.allotment().set_allotments(set("s", vec![setting("A", "app", 11)])).await.unwrap().into_inner();
    let Some(Outcome::Rejection(rejection)) = answer.outcome else { panic!("{answer:?}") };
    assert_eq!(rejection.reason(), v1::RejectionReason::AllotmentExceedsPool);
    let excess = &rejection.allotments[0];
    assert_eq!((excess.sku.as_str(), excess.node.as_str(), excess.asked, excess.possible), ("A", "app", 11, 10));
    let clipped = v1::SetAllotmentsRequest { clip: true, ..set("c", vec![setting("A", "app", 11)]) };
    let answer = world.allotment().set_allotments(clipped).await.unwrap().into_inner();
    let Some(Outcome::Set(outcomes)) = answer.outcome else { panic!("{answer:?}") };
    assert_eq!((outcomes.allotments[0].quota, outcomes.allotments[0].clipped), (Some(10), 1));

    let status = refusal(&world, set("a", vec![setting("A", "nobody", 1)])).await;
    assert_eq!(class(&status), (Code::NotFound, "UNKNOWN_CHANNEL".into()));
    let status = refusal(&world, set("b", vec![setting("Z", "app", 1)])).await;
    assert_eq!(class(&status), (Code::NotFound, "UNKNOWN_SKU".into()));
    let style = Some(v1::AllottedGoods { goods: Some(v1::allotted_goods::Goods::Style("S".into())) });
    let status = refusal(&world, set("d", vec![v1::AllotmentSetting { goods: style, ..setting("A", "app", 1) }])).await;
    assert_eq!((class(&status), fact(&status, "style")), ((Code::NotFound, "UNKNOWN_GOODS".into()), "S".into()));
    let campaign = Some(v1::SellingNode { node: Some(v1::selling_node::Node::Campaign("11.11".into())) });
    let status =
        refusal(&world, set("e", vec![v1::AllotmentSetting { node: campaign, ..setting("A", "app", 1) }])).await;
    assert_eq!(class(&status), (Code::NotFound, "UNKNOWN_CAMPAIGN".into()));
    let status =
        refusal(&world, set("f", vec![v1::AllotmentSetting { ceiling: Some(1), ..setting("A", "app", 2) }])).await;
    assert_eq!(class(&status), (Code::InvalidArgument, "INVALID_FIELD".into()));
    let half = Some(v1::allotment_setting::Quota::MilliPercent(50_000));
    let status = refusal(
        &world,
        set("g", vec![v1::AllotmentSetting { quota: half, ceiling: Some(1), ..setting("A", "app", 0) }]),
    );
    assert_eq!(class(&status.await), (Code::InvalidArgument, "CEILING_BELOW_QUOTA".into()));

    let back = v1::ReturnAllotmentsRequest { request_id: "x".into(), node: channel("till"), goods: Vec::new() };
    let status = world.allotment().return_allotments(back).await.unwrap_err();
    assert_eq!(class(&status), (Code::NotFound, "NO_ALLOTMENT".into()));
    let moves = vec![v1::AllotmentMove { goods: sku("A"), from: channel("app"), to: channel("online"), quantity: 2 }];
    let message = v1::MoveAllotmentsRequest { request_id: "m".into(), moves, clip: false };
    let status = world.allotment().move_allotments(message).await.unwrap_err();
    assert_eq!(class(&status), (Code::InvalidArgument, "NODES_NESTED".into()));

    let one = |parent: &str| v1::Channel { code: "app".into(), parent: parent.into(), ..Default::default() };
    let upsert =
        |id: &str, parent: &str| v1::UpsertChannelsRequest { request_id: id.into(), channels: vec![one(parent)] };
    let status = world.catalog().upsert_channels(upsert("p", "till")).await.unwrap_err();
    assert_eq!((class(&status), fact(&status, "channel")), ((Code::FailedPrecondition, "IN_USE".into()), "app".into()));
    let status = world.catalog().upsert_channels(upsert("q", "app")).await.unwrap_err();
    assert_eq!(class(&status), (Code::InvalidArgument, "CHANNEL_TREE".into()));
    let message = v1::GetAvailabilityRequest { skus: vec!["A".into()], channel: "nobody".into(), ..Default::default() };
    let status = world.inventory().get_availability(message).await.unwrap_err();
    assert_eq!(class(&status), (Code::NotFound, "UNKNOWN_CHANNEL".into()));
}

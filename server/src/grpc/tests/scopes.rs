//! Callers that are bound to channels and locations: what each may touch and see, message by message, item by item.

use quartermaster_proto::v1::{
    self, allocation_service_client::AllocationServiceClient, allotment_service_client::AllotmentServiceClient,
    campaign_service_client::CampaignServiceClient, inventory_service_client::InventoryServiceClient,
    reserve_result::Result as Outcome, return_service_client::ReturnServiceClient,
    routing_service_client::RoutingServiceClient, selling_node::Node as Selling,
    supply_service_client::SupplyServiceClient, upkeep_service_client::UpkeepServiceClient,
};
use tokio_stream::StreamExt;
use tonic::{Code, Response, Status, transport::Channel};

use super::support::{World, class, fact, held, order};
use crate::auth::{Bound, Principal, Role, Roles};

fn principal(channels: &[&str], locations: &[&str]) -> Principal {
    let bound = |codes: &[&str]| match codes {
        [] => Bound::default(),
        codes => Bound::to(codes.iter().map(|code| (*code).to_owned())),
    };
    Principal {
        name: "bound".to_owned(),
        roles: Roles::of(&Role::ALL),
        channels: bound(channels),
        locations: bound(locations),
        expires_at: None,
        rate: None,
    }
}

fn is_out<T: std::fmt::Debug>(answer: Result<Response<T>, Status>, what: &str, value: &str) {
    let status = answer.unwrap_err();
    assert_eq!(class(&status), (Code::PermissionDenied, "OUT_OF_SCOPE".to_owned()), "{status:?}");
    assert_eq!(fact(&status, what), value, "{status:?}");
}

fn in_channel(id: &str, channel: &str) -> v1::ReserveRequest {
    v1::ReserveRequest { channel: channel.into(), ..order(id, &[("A", 1)]) }
}

fn at(id: &str, location: &str) -> v1::ReserveRequest {
    let mut message = order(id, &[("A", 1)]);
    message.lines[0].location = location.into();
    message
}

#[tokio::test]
async fn a_gateway_sells_in_its_channel_alone() {
    let world = World::with(&[("A", "L1", 9)]).await;
    let app = world.seen_by(principal(&["app"], &[])).await;
    let mut gateway = AllocationServiceClient::new(app.clone());
    is_out(gateway.reserve(in_channel("r", "old")).await, "channel", "old");
    let one = gateway.reserve(in_channel("named", "app")).await.unwrap().into_inner();
    // Bound to one channel, it need not name it.
    let other = gateway.reserve(in_channel("not named", "")).await.unwrap().into_inner();
    for hold in [held(&one), held(&other)] {
        let found = gateway.get_reservation(v1::GetReservationRequest { reservation_id: hold.reservation_id.clone() });
        assert_eq!(found.await.unwrap().into_inner().reservation.unwrap().channel, "app");
    }
    // With several it must say which.
    let two = world.seen_by(principal(&["app", "old"], &[])).await;
    is_out(AllocationServiceClient::new(two).reserve(in_channel("which", "")).await, "channel", "(none)");

    let mut routing = RoutingServiceClient::new(app.clone());
    let route = |channel: &str| v1::RouteRequest {
        channel: channel.into(),
        lines: order("", &[("A", 1)]).lines,
        ..Default::default()
    };
    is_out(routing.route(route("old")).await, "channel", "old");
    routing.route(route("app")).await.unwrap();
    let requests = vec![route("old"), route("app")];
    let batch = routing.route_batch(v1::RouteBatchRequest { requests }).await.unwrap().into_inner();
    let outcomes: Vec<bool> =
        batch.results.iter().map(|one| matches!(one.result, Some(v1::route_result::Result::Error(_)))).collect();
    assert_eq!(outcomes, [true, false]);

    let node = |channel: &str| Some(v1::SellingNode { node: Some(Selling::Channel(channel.into())) });
    let goods = v1::AllottedGoods { goods: Some(v1::allotted_goods::Goods::Sku("A".into())) };
    let mut allotments = AllotmentServiceClient::new(app.clone());
    let step = |channel: &str| v1::AllotmentStep { goods: Some(goods.clone()), node: node(channel), quantity: 1 };
    let raise = |id: &str, channel: &str| v1::RaiseAllotmentsRequest {
        request_id: id.into(),
        steps: vec![step("app"), step(channel)],
        clip: false,
    };
    is_out(allotments.raise_allotments(raise("x", "old")).await, "channel", "old");
    let campaign = v1::Campaign { code: "c".into(), channel: "old".into(), ..Default::default() };
    let message = v1::UpsertCampaignsRequest { request_id: "c".into(), campaigns: vec![campaign], clip: false };
    is_out(CampaignServiceClient::new(app).upsert_campaigns(message).await, "channel", "old");
}

#[tokio::test]
async fn batches_and_streams_are_looked_at_item_by_item() {
    let world = World::with(&[("A", "L1", 9)]).await;
    let mut gateway = AllocationServiceClient::new(world.seen_by(principal(&["app"], &[])).await);
    let requests = || vec![in_channel("1", "app"), in_channel("2", "old"), in_channel("3", "")];
    let told = |results: Vec<v1::ReserveResult>| -> Vec<String> {
        let told = results.into_iter().map(|one| match one.result.unwrap() {
            Outcome::Response(answer) => held(&answer).allocations[0].location.clone(),
            Outcome::Error(error) => error.reason().as_str_name().to_owned(),
        });
        told.collect()
    };
    let expected = ["L1", "ERROR_REASON_OUT_OF_SCOPE", "L1"];
    let batch = gateway.reserve_batch(v1::ReserveBatchRequest { requests: requests() }).await.unwrap().into_inner();
    assert_eq!(told(batch.results), expected);
    let messages = tokio_stream::iter([v1::ReserveStreamRequest { requests: requests() }]);
    let mut stream = gateway.reserve_stream(messages).await.unwrap().into_inner();
    assert_eq!(told(stream.next().await.unwrap().unwrap().results), expected);
    assert_eq!(world.available("A").await, 7, "two holds; the stream repeated them");
}

#[tokio::test]
async fn a_reservation_of_another_channel_is_neither_changed_nor_seen() {
    let world = World::with(&[("A", "L1", 9)]).await;
    let foreign = held(&world.reserve(order("foreign", &[("A", 1)])).await).reservation_id;
    let own = held(&world.reserve(in_channel("own", "app")).await).reservation_id;
    let mut gateway = AllocationServiceClient::new(world.seen_by(principal(&["app"], &[])).await);
    let named = |request_id: &str, id: &str| (request_id.to_owned(), id.to_owned());
    let (request_id, reservation_id) = named("c", &foreign);
    let out = |answer| is_out::<v1::ConfirmResponse>(answer, "channel", "(none)");
    out(gateway.confirm(v1::ConfirmRequest { request_id, reservation_id }).await);
    let (request_id, reservation_id) = named("l", &foreign);
    is_out(gateway.release(v1::ReleaseRequest { request_id, reservation_id }).await, "channel", "(none)");
    let (request_id, reservation_id) = named("e", &foreign);
    is_out(gateway.extend(v1::ExtendRequest { request_id, reservation_id, ttl: None }).await, "channel", "(none)");
    let (request_id, reservation_id) = named("a", &foreign);
    let message = v1::CancelRequest { request_id, reservation_id, lines: Vec::new() };
    is_out(gateway.cancel(message).await, "channel", "(none)");
    let message = v1::GetReservationRequest { reservation_id: foreign.clone() };
    is_out(gateway.get_reservation(message).await, "channel", "(none)");
    let replacing = v1::ReserveRequest { replaces_reservation_id: foreign.clone(), ..in_channel("take over", "app") };
    is_out(gateway.reserve(replacing).await, "channel", "(none)");
    let page = gateway.list_reservations(v1::ListReservationsRequest::default()).await.unwrap().into_inner();
    assert_eq!(page.reservations.iter().map(|one| one.reservation_id.as_str()).collect::<Vec<_>>(), [own.as_str()]);
    // What is not there is not theirs to hide: the answer is everybody's.
    let message = v1::ConfirmRequest { request_id: "n".into(), reservation_id: "00000000000ZZ".into() };
    assert_eq!(class(&gateway.confirm(message).await.unwrap_err()).1, "UNKNOWN_RESERVATION");
    let message = v1::ConfirmRequest { request_id: "o".into(), reservation_id: own };
    gateway.confirm(message).await.unwrap();
    assert_eq!(world.available("A").await, 7, "nothing else happened");
}

#[tokio::test]
async fn a_store_works_at_its_locations_alone() {
    let world = World::with(&[("A", "L1", 9), ("A", "L2", 9)]).await;
    let here = world.seen_by(principal(&[], &["L1"])).await;
    let mut inventory = InventoryServiceClient::new(here.clone());
    let (sku, request_id, there) = (|| "A".to_owned(), || "x".to_owned(), || "L2".to_owned());
    let set = v1::SetStockRequest { request_id: request_id(), sku: sku(), location: there(), ..Default::default() };
    is_out(inventory.set_stock(set).await, "location", "L2");
    let adjust =
        v1::AdjustStockRequest { request_id: request_id(), sku: sku(), location: there(), ..Default::default() };
    is_out(inventory.adjust_stock(adjust).await, "location", "L2");
    let moved = v1::MoveStockRequest { request_id: request_id(), sku: sku(), location: there(), ..Default::default() };
    is_out(inventory.move_stock(moved).await, "location", "L2");
    let count = v1::CountStockRequest { request_id: request_id(), location: there(), ..Default::default() };
    is_out(inventory.count_stock(count).await, "location", "L2");
    let receipt = |location: &str| v1::Receipt { sku: sku(), location: location.into(), quantity: 1 };
    let receipts = vec![receipt("L1"), receipt("L2")];
    let received = v1::ReceiveStockRequest { request_id: request_id(), receipts, ..Default::default() };
    is_out(inventory.receive_stock(received).await, "location", "L2");
    let facts = vec![v1::CellFacts { sku: sku(), location: there(), ..Default::default() }];
    let facts = v1::SetCellFactsRequest { request_id: request_id(), facts };
    is_out(inventory.set_cell_facts(facts).await, "location", "L2");
    let row =
        |location: &str| v1::ImportRow { sku: sku(), location: location.into(), on_hand: 1, ..Default::default() };
    let message = |rows| v1::ImportStockRequest { request_id: request_id(), rows, reference: String::new() };
    let messages = tokio_stream::iter([message(vec![row("L1")]), message(vec![row("L2")])]);
    is_out(inventory.import_stock(messages).await, "location", "L2");
    let received =
        v1::ReceiveStockRequest { request_id: "here".into(), receipts: vec![receipt("L1")], ..Default::default() };
    inventory.receive_stock(received).await.unwrap();

    let mut upkeep = UpkeepServiceClient::new(here.clone());
    for location in ["L2", ""] {
        let shown = if location.is_empty() { "(none)" } else { location };
        let freeze = v1::FreezeStockRequest {
            request_id: request_id(),
            sku: sku(),
            location: location.into(),
            ..Default::default()
        };
        is_out(upkeep.freeze_stock(freeze).await, "location", shown);
        let thaw = v1::ThawStockRequest {
            request_id: request_id(),
            sku: sku(),
            location: location.into(),
            ..Default::default()
        };
        is_out(upkeep.thaw_stock(thaw).await, "location", shown);
        let repair =
            v1::RepairShortfallsRequest { request_id: request_id(), location: location.into(), ..Default::default() };
        is_out(upkeep.repair_shortfalls(repair).await, "location", shown);
    }
    expected_units(&world, &here).await;
    what_comes_back(&here).await;
    assert_eq!(world.available("A").await, 19, "one unit was received, and nothing else happened");
}

async fn expected_units(world: &World, here: &Channel) {
    let lines = || vec![v1::ExpectedLine { sku: "A".into(), quantity: 1, ..Default::default() }];
    let eta = Some(prost_types::Timestamp { seconds: 4_000_000_000, nanos: 0 });
    let announce = |location: &str| v1::AnnounceInboundRequest {
        request_id: "P".into(),
        code: "P".into(),
        kind: v1::InboundKind::Purchase.into(),
        location: location.into(),
        eta,
        lines: lines(),
        reference: String::new(),
    };
    let mut supply = SupplyServiceClient::new(here.clone());
    is_out(supply.announce_inbound(announce("L2")).await, "location", "L2");
    SupplyServiceClient::new(world.channel.clone()).announce_inbound(announce("L2")).await.unwrap();
    let (request_id, code) = (|| "x".to_owned(), || "P".to_owned());
    let change = v1::ChangeInboundRequest { request_id: request_id(), code: code(), eta, lines: Vec::new() };
    is_out(supply.change_inbound(change).await, "location", "L2");
    let receive = v1::ReceiveInboundRequest { request_id: request_id(), code: code(), ..Default::default() };
    is_out(supply.receive_inbound(receive).await, "location", "L2");
    let cancel = v1::CancelInboundRequest { request_id: request_id(), code: code() };
    is_out(supply.cancel_inbound(cancel).await, "location", "L2");
    let ship = v1::ShipTransferRequest {
        request_id: request_id(),
        code: "T".into(),
        from_location: "L2".into(),
        to_location: "L1".into(),
        eta,
        lines: lines(),
        reference: String::new(),
    };
    is_out(supply.ship_transfer(ship).await, "location", "L2");
}

async fn what_comes_back(here: &Channel) {
    let mut returns = ReturnServiceClient::new(here.clone());
    let (request_id, there) = (|| "x".to_owned(), || "L2".to_owned());
    let announce =
        v1::AnnounceReturnRequest { request_id: request_id(), expected_location: there(), ..Default::default() };
    is_out(returns.announce_return(announce.clone()).await, "location", "L2");
    let exchange = v1::ExchangeReturnRequest { request_id: request_id(), announce: Some(announce), reserve: None };
    is_out(returns.exchange_return(exchange).await, "location", "L2");
    let receive = v1::ReceiveReturnRequest { request_id: request_id(), location: there(), ..Default::default() };
    is_out(returns.receive_return(receive).await, "location", "L2");
    let found = v1::ReceiveUnmatchedReturnRequest { request_id: request_id(), location: there(), ..Default::default() };
    is_out(returns.receive_unmatched_return(found).await, "location", "L2");
    let lines = vec![v1::InspectedLine { location: there(), ..Default::default() }];
    let inspect = v1::InspectReturnRequest { request_id: request_id(), return_id: String::new(), lines };
    is_out(returns.inspect_return(inspect).await, "location", "L2");
}

#[tokio::test]
async fn a_store_ships_its_part_of_an_order_and_not_the_others() {
    let world = World::with(&[("A", "L1", 9), ("A", "L2", 9)]).await;
    let mut both = at("both", "L1");
    both.lines.push(at("", "L2").lines.remove(0));
    let id = held(&world.reserve(both).await).reservation_id;
    let message = v1::ConfirmRequest { request_id: "paid".into(), reservation_id: id.clone() };
    world.allocation().confirm(message).await.unwrap();
    let elsewhere = held(&world.reserve(at("elsewhere", "L2")).await).reservation_id;

    let mut store = AllocationServiceClient::new(world.seen_by(principal(&[], &["L1"])).await);
    let ship = |request_id: &str, locations: &[&str]| v1::ShipRequest {
        request_id: request_id.into(),
        reservation_id: id.clone(),
        lines: locations
            .iter()
            .map(|location| v1::LineQuantity { sku: "A".into(), location: (*location).into(), quantity: 1 })
            .collect(),
    };
    is_out(store.ship(ship("all", &[])).await, "location", "L2");
    is_out(store.ship(ship("there", &["L1", "L2"])).await, "location", "L2");
    is_out(store.ship(ship("somewhere", &[""])).await, "location", "L2");
    let reassign = |from: &str, to: &str| v1::ReassignRequest {
        request_id: "hand over".into(),
        reservation_id: id.clone(),
        sku: "A".into(),
        from_location: from.into(),
        to_location: to.into(),
        quantity: 1,
        refused: false,
    };
    is_out(store.reassign(reassign("L2", "L1")).await, "location", "L2");
    is_out(store.reassign(reassign("L1", "")).await, "location", "(none)");
    store.ship(ship("here", &["L1"])).await.unwrap();
    // It sees what has a line here.
    store.get_reservation(v1::GetReservationRequest { reservation_id: id.clone() }).await.unwrap();
    let message = v1::GetReservationRequest { reservation_id: elsewhere.clone() };
    is_out(store.get_reservation(message).await, "reservation", &elsewhere);
    let page = store.list_reservations(v1::ListReservationsRequest::default()).await.unwrap().into_inner();
    assert_eq!(page.reservations.iter().map(|one| &one.reservation_id).collect::<Vec<_>>(), [&id]);
    // A hold it makes must say where.
    is_out(store.reserve(order("anywhere", &[("A", 1)])).await, "location", "(none)");
    is_out(store.reserve(at("there", "L2")).await, "location", "L2");
    store.reserve(at("at the till", "L1")).await.unwrap();
}

#[tokio::test]
async fn who_asked_is_told_with_the_reason_of_a_decision() {
    let world = World::with(&[("A", "L1", 9)]).await;
    let channel = world.seen_by(principal(&[], &[])).await;
    let sourced = v1::ReserveRequest { sourcing: Some(v1::Sourcing::default()), ..order("r", &[("A", 1)]) };
    let answer = AllocationServiceClient::new(channel).reserve(sourced).await.unwrap().into_inner();
    let message = v1::ExplainReservationRequest { reservation_id: held(&answer).reservation_id };
    let why = world.routing().explain_reservation(message).await.unwrap().into_inner();
    assert_eq!(why.actor, "bound");
}

//! Expected units from outside: what they promise, what arrives, and what is said to bad requests.

use quartermaster_proto::v1::{self, InboundKind, PresaleMode, supply_service_client::SupplyServiceClient};
use tonic::{Code, transport::Channel};
use tonic_types::StatusExt as _;

use super::support::{World, class, fact, held, order, refused};

fn client(world: &World) -> SupplyServiceClient<Channel> {
    SupplyServiceClient::new(world.channel.clone())
}

/// Seconds from the epoch, far in the future.
fn future(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds: 4_000_000_000 + seconds, nanos: 0 })
}

fn line(sku: &str, quantity: i64) -> v1::ExpectedLine {
    v1::ExpectedLine { sku: sku.into(), quantity, ..Default::default() }
}

fn announce(code: &str, lines: Vec<v1::ExpectedLine>) -> v1::AnnounceInboundRequest {
    v1::AnnounceInboundRequest {
        request_id: format!("announce {code}"),
        code: code.into(),
        kind: InboundKind::Purchase.into(),
        location: "L1".into(),
        eta: future(0),
        lines,
        reference: "PO".into(),
    }
}

fn arrived(sku: &str, quantity: i64) -> v1::ArrivedLine {
    v1::ArrivedLine { sku: sku.into(), quantity, ..Default::default() }
}

fn receive(code: &str, lines: Vec<v1::ArrivedLine>, is_final: bool) -> v1::ReceiveInboundRequest {
    v1::ReceiveInboundRequest {
        request_id: format!("receive {code} {}", lines.len()),
        code: code.into(),
        lines,
        r#final: is_final,
        ..Default::default()
    }
}

fn presale(mut order: v1::ReserveRequest, mode: PresaleMode) -> v1::ReserveRequest {
    order.presale = Some(v1::Presale { mode: mode.into(), expected_by: None });
    order
}

#[tokio::test]
async fn presale_is_promised_told_and_arrives() {
    let world = World::with(&[("A", "L1", 2)]).await;
    let mut supply = client(&world);
    let message = announce("P1", vec![line("A", 5)]);
    let answer = supply.announce_inbound(message.clone()).await.unwrap().into_inner();
    let again = supply.announce_inbound(message).await.unwrap().into_inner();
    assert_eq!(again, v1::AnnounceInboundResponse { replayed: true, ..answer });

    let atp = v1::GetAtpRequest { skus: vec!["A".into()], quantity: 6, ..Default::default() };
    let told = supply.get_atp(atp.clone()).await.unwrap().into_inner();
    let steps = vec![v1::AtpStep { time: future(0), added: 5, total: 7 }];
    assert_eq!((told.skus[0].available, &told.skus[0].steps), (2, &steps));
    assert_eq!((told.skus[0].promise_time, told.skus[0].promisable), (future(0), true));

    let too_many = world.reserve(presale(order("r0", &[("A", 8)]), PresaleMode::StockFirst)).await;
    assert_eq!(refused(&too_many).shortages[0].available, 7);
    let granted = world.reserve(presale(order("r1", &[("A", 6)]), PresaleMode::StockFirst)).await;
    let hold = held(&granted);
    assert_eq!((hold.allocations[0].quantity, hold.presold[0].quantity), (2, 4));
    let get = v1::GetReservationRequest { reservation_id: hold.reservation_id.clone() };
    let found = world.allocation().get_reservation(get.clone()).await.unwrap().into_inner().reservation.unwrap();
    let presold = v1::PresoldLine {
        sku: "A".into(),
        location: "L1".into(),
        quantity: 4,
        inbound: "P1".into(),
        promised_time: future(0),
        expected_time: future(0),
    };
    assert_eq!(found.presold, [presold]);
    let confirm = v1::ConfirmRequest { request_id: "confirm".into(), reservation_id: hold.reservation_id.clone() };
    world.allocation().confirm(confirm).await.unwrap();

    let later =
        v1::ChangeInboundRequest { request_id: "later".into(), code: "P1".into(), eta: future(9), lines: Vec::new() };
    let update = supply.change_inbound(later).await.unwrap().into_inner().update.unwrap();
    assert_eq!((update.late[0].promised_time, update.late[0].expected_time), (future(0), future(9)));

    let update = supply.receive_inbound(receive("P1", vec![arrived("A", 1)], true)).await.unwrap().into_inner();
    let update = update.update.unwrap();
    assert_eq!((update.moves[0].quantity, update.moves[0].stock), (1, true));
    assert_eq!((update.uncovered[0].quantity, &*update.uncovered[0].reservation_id), (3, &*hold.reservation_id));
    assert_eq!(update.inbound.unwrap().lines[0].difference, -4);
    let short = supply.list_presale_shortfalls(v1::ListPresaleShortfallsRequest::default()).await.unwrap();
    let short = short.into_inner().shortfalls;
    assert_eq!((short.len(), &*short[0].inbound, short[0].uncovered, short[0].hurt[0].quantity), (1, "P1", 3, 3));
    let inbound = supply.get_inbound(v1::GetInboundRequest { code: "P1".into() }).await.unwrap().into_inner();
    let inbound = inbound.inbound.unwrap();
    assert_eq!((inbound.state(), inbound.lines[0].received), (v1::InboundState::Received, 1));
    assert_eq!((inbound.lines[0].presold, inbound.lines[0].uncovered), (3, 3));

    let ship =
        |lines| v1::ShipRequest { request_id: "ship".into(), reservation_id: hold.reservation_id.clone(), lines };
    let wanted = v1::LineQuantity { sku: "A".into(), location: "L1".into(), quantity: 6 };
    let status = world.allocation().ship(ship(vec![wanted])).await.unwrap_err();
    assert_eq!(
        (class(&status), fact(&status, "presold")),
        ((Code::FailedPrecondition, "NOT_ARRIVED".into()), "3".into())
    );
    world.allocation().ship(ship(vec![])).await.unwrap();
    let found = world.allocation().get_reservation(get).await.unwrap().into_inner().reservation.unwrap();
    assert_eq!((found.state(), found.lines[0].shipped), (v1::ReservationState::Confirmed, 3));
}

#[tokio::test]
async fn transfers_are_in_transit_until_they_are_received() {
    let world = World::with(&[("A", "L1", 5)]).await;
    let mut supply = client(&world);
    let ship = |request: &str, units| v1::ShipTransferRequest {
        request_id: request.into(),
        code: "T1".into(),
        from_location: "L1".into(),
        to_location: "L2".into(),
        eta: future(0),
        lines: vec![line("A", units)],
        reference: String::new(),
    };
    let refused = supply.ship_transfer(ship("many", 6)).await.unwrap().into_inner().outcome;
    let Some(v1::ship_transfer_response::Outcome::Rejection(rejection)) = refused else { panic!("{refused:?}") };
    assert_eq!((rejection.reason(), rejection.shortages[0].available), (v1::RejectionReason::InsufficientStock, 5));
    supply.ship_transfer(ship("some", 4)).await.unwrap();
    assert_eq!(world.available("A").await, 1);
    let cancel = v1::CancelInboundRequest { request_id: "cancel".into(), code: "T1".into() };
    let status = supply.cancel_inbound(cancel).await.unwrap_err();
    assert_eq!(class(&status), (Code::FailedPrecondition, "TRANSFER_UNDER_WAY".into()));
    let list = v1::ListInboundsRequest { location: "L2".into(), sku: "A".into(), ..Default::default() };
    let found = supply.list_inbounds(list.clone()).await.unwrap().into_inner().inbounds;
    assert_eq!((found.len(), &*found[0].from_location, found[0].lines[0].outstanding), (1, "L1", 4));
    supply.receive_inbound(receive("T1", vec![arrived("A", 3)], true)).await.unwrap();
    assert_eq!(world.available("A").await, 4);
    let mut twice = receive("T1", vec![arrived("A", 3)], true);
    twice.request_id = "twice".into();
    let status = supply.receive_inbound(twice).await.unwrap_err();
    assert_eq!(class(&status), (Code::FailedPrecondition, "INBOUND_CLOSED".into()));
    assert_eq!(fact(&status, "state"), "RECEIVED");
    assert!(supply.list_inbounds(list.clone()).await.unwrap().into_inner().inbounds.is_empty());
    let closed = v1::ListInboundsRequest { include_closed: true, ..list };
    assert_eq!(supply.list_inbounds(closed).await.unwrap().into_inner().inbounds.len(), 1);
}

#[tokio::test]
async fn documents_come_in_pages() {
    let world = World::with(&[("A", "L1", 0)]).await;
    let mut supply = client(&world);
    for code in ["P1", "P2", "P3"] {
        supply.announce_inbound(announce(code, vec![line("A", 1)])).await.unwrap();
    }
    let mut message = v1::ListInboundsRequest { page_size: 2, ..Default::default() };
    let first = supply.list_inbounds(message.clone()).await.unwrap().into_inner();
    message.page_token = first.next_page_token;
    let second = supply.list_inbounds(message).await.unwrap().into_inner();
    let codes: Vec<_> = first.inbounds.iter().chain(&second.inbounds).map(|inbound| &*inbound.code).collect();
    assert_eq!((codes, &*second.next_page_token), (vec!["P1", "P2", "P3"], ""));
}

/// The first field that a refusal names.
fn field(status: &tonic::Status) -> String {
    let details = status.get_error_details();
    details.bad_request().and_then(|bad| bad.field_violations.first()).map_or_else(String::new, |one| one.field.clone())
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let world = World::with(&[("A", "L1", 5)]).await;
    let mut supply = client(&world);
    type Spoil = fn(&mut v1::AnnounceInboundRequest);
    let bad: [(&str, Spoil); 13] = [
        ("request_id", |message| message.request_id.clear()),
        ("code", |message| message.code.clear()),
        ("code", |message| message.code = "x".repeat(65)),
        ("kind", |message| message.kind = 0),
        ("kind", |message| message.kind = 9),
        ("location", |message| message.location.clear()),
        ("eta", |message| message.eta = None),
        ("eta", |message| message.eta = Some(prost_types::Timestamp { seconds: 1_000, nanos: 0 })),
        ("lines", |message| message.lines.clear()),
        ("lines[1]", |message| message.lines.push(line("A", 1))),
        ("lines[0].quantity", |message| message.lines[0].quantity = 0),
        ("lines[0].presale_cap", |message| message.lines[0].presale_cap = Some(-1)),
        ("lines[0].confidence_percent", |message| message.lines[0].confidence_percent = Some(101)),
    ];
    for (name, spoil) in bad {
        let mut message = announce("P1", vec![line("A", 1)]);
        spoil(&mut message);
        let status = supply.announce_inbound(message).await.unwrap_err();
        assert_eq!((status.code(), &*field(&status)), (Code::InvalidArgument, name));
    }
    let mut message = announce("P1", vec![line("A", 1)]);
    message.reference = "x".repeat(65);
    assert_eq!(field(&supply.announce_inbound(message).await.unwrap_err()), "reference");
    supply.announce_inbound(announce("P1", vec![line("A", 5)])).await.unwrap();

    let mut message = announce("P1", vec![line("A", 1)]);
    message.request_id = "again".into();
    let status = supply.announce_inbound(message).await.unwrap_err();
    assert_eq!(class(&status), (Code::AlreadyExists, "INBOUND_EXISTS".into()));

    let change = |eta, lines| v1::ChangeInboundRequest { request_id: "c".into(), code: "P1".into(), eta, lines };
    let of = |sku: &str| v1::InboundLineChange { sku: sku.into(), ..Default::default() };
    let bad = [
        ("lines", change(None, vec![])),
        ("lines[0].sku", change(None, vec![of("")])),
        ("lines[0].quantity", change(None, vec![v1::InboundLineChange { quantity: Some(0), ..of("A") }])),
        ("lines[0].presale_cap", change(None, vec![v1::InboundLineChange { presale_cap: Some(-1), ..of("A") }])),
        (
            "lines[0].clear_presale_cap",
            change(None, vec![v1::InboundLineChange { presale_cap: Some(1), clear_presale_cap: true, ..of("A") }]),
        ),
        (
            "lines[0].confidence_percent",
            change(None, vec![v1::InboundLineChange { confidence_percent: Some(-1), ..of("A") }]),
        ),
        ("lines[1]", change(None, vec![of("A"), of("A")])),
        ("eta", change(Some(prost_types::Timestamp { seconds: 1, nanos: 0 }), vec![])),
    ];
    for (name, message) in bad {
        let status = supply.change_inbound(message).await.unwrap_err();
        assert_eq!((status.code(), &*field(&status)), (Code::InvalidArgument, name));
    }
    let status = supply.change_inbound(change(None, vec![of("Z")])).await.unwrap_err();
    assert_eq!(class(&status), (Code::NotFound, "INBOUND_LINE".into()));

    let bad = [
        ("lines", receive("P1", vec![], false)),
        ("lines[0].sku", receive("P1", vec![arrived("", 1)], false)),
        ("lines[0].quantity", receive("P1", vec![arrived("A", -1)], false)),
        ("lines[0].reason", receive("P1", vec![v1::ArrivedLine { reason: 99, ..arrived("A", 1) }], false)),
        ("reason", v1::ReceiveInboundRequest { reason: 99, ..receive("P1", vec![arrived("A", 1)], false) }),
    ];
    for (name, message) in bad {
        let status = supply.receive_inbound(message).await.unwrap_err();
        assert_eq!((status.code(), &*field(&status)), (Code::InvalidArgument, name));
    }
    let status = supply.receive_inbound(receive("P9", vec![arrived("A", 1)], false)).await.unwrap_err();
    assert_eq!((class(&status), fact(&status, "inbound")), ((Code::NotFound, "UNKNOWN_INBOUND".into()), "P9".into()));
    supply.receive_inbound(receive("P1", vec![arrived("A", 3)], false)).await.unwrap();
    let fewer = change(None, vec![v1::InboundLineChange { quantity: Some(2), ..of("A") }]);
    let status = supply.change_inbound(fewer).await.unwrap_err();
    assert_eq!(class(&status), (Code::FailedPrecondition, "BELOW_RECEIVED".into()));

    let same = v1::ShipTransferRequest {
        request_id: "s".into(),
        code: "T1".into(),
        from_location: "L1".into(),
        to_location: "L1".into(),
        eta: future(0),
        lines: vec![line("A", 1)],
        reference: String::new(),
    };
    assert_eq!(field(&supply.ship_transfer(same.clone()).await.unwrap_err()), "to_location");
    let nowhere = v1::ShipTransferRequest { from_location: String::new(), ..same };
    assert_eq!(field(&supply.ship_transfer(nowhere).await.unwrap_err()), "from_location");
    let status = supply.get_inbound(v1::GetInboundRequest { code: "P9".into() }).await.unwrap_err();
    assert_eq!(class(&status), (Code::NotFound, "UNKNOWN_INBOUND".into()));

    let list = v1::ListInboundsRequest { page_size: 1_001, ..Default::default() };
    assert_eq!(field(&supply.list_inbounds(list).await.unwrap_err()), "page_size");
    let list = v1::ListPresaleShortfallsRequest { page_token: "x".into(), ..Default::default() };
    assert_eq!(field(&supply.list_presale_shortfalls(list).await.unwrap_err()), "page_token");
    let ask = |skus: &[&str]| v1::GetAtpRequest {
        skus: skus.iter().map(|sku| (*sku).into()).collect(),
        ..Default::default()
    };
    for (name, message) in [
        ("skus", ask(&[])),
        ("skus[1]", ask(&["A", "A"])),
        ("before", v1::GetAtpRequest { from: future(1), before: future(1), ..ask(&["A"]) }),
        ("quantity", v1::GetAtpRequest { quantity: -1, ..ask(&["A"]) }),
    ] {
        assert_eq!(field(&supply.get_atp(message).await.unwrap_err()), name);
    }
    assert_eq!(supply.get_atp(ask(&["Z"])).await.unwrap_err().code(), Code::NotFound);

    let status = world.allocation().reserve(presale(order("r", &[("A", 1)]), PresaleMode::Unspecified)).await;
    assert_eq!(field(&status.unwrap_err()), "presale.mode");
    let mut sourced = presale(order("r", &[("A", 1)]), PresaleMode::Only);
    sourced.sourcing = Some(v1::Sourcing::default());
    let status = world.allocation().reserve(sourced).await.unwrap_err();
    let details = status.get_error_details();
    let fields = &details.bad_request().unwrap().field_violations;
    assert!(fields.iter().any(|one| one.field == "presale"), "{fields:?}");
}

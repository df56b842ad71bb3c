//! Returns, exchanges and counts as callers see them, and every answer to what cannot be.

use quartermaster_proto::v1::{self, Disposition, ReturnState, return_service_client::ReturnServiceClient};
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt;

use super::support::{World, class, fact, held, order};

impl World {
    fn returns(&self) -> ReturnServiceClient<Channel> {
        ReturnServiceClient::new(self.channel.clone())
    }

    /// Ordered at L1, paid and shipped.
    async fn sold(&self, name: &str, lines: &[(&str, i64)]) -> String {
        let mut message = order(name, lines);
        message.lines.iter_mut().for_each(|line| line.location = "L1".into());
        let reservation_id = held(&self.reserve(message).await).reservation_id;
        let message = v1::ConfirmRequest { request_id: format!("{name} paid"), reservation_id: reservation_id.clone() };
        self.allocation().confirm(message).await.unwrap();
        let message = v1::ShipRequest {
            request_id: format!("{name} shipped"),
            reservation_id: reservation_id.clone(),
            lines: Vec::new(),
        };
        self.allocation().ship(message).await.unwrap();
        reservation_id
    }

    async fn announced(&self, name: &str, reservation_id: &str, lines: &[(&str, i64)]) -> String {
        let answer = self.returns().announce_return(announce(name, reservation_id, lines)).await.unwrap().into_inner();
        match answer.outcome {
            Some(v1::announce_return_response::Outcome::Update(update)) => update.return_id,
            other => panic!("{other:?}"),
        }
    }

    async fn record(&self, return_id: &str) -> v1::Return {
        let message = v1::GetReturnRequest { return_id: return_id.into() };
        self.returns().get_return(message).await.unwrap().into_inner().found.unwrap()
    }
}

fn announce(request_id: &str, reservation_id: &str, lines: &[(&str, i64)]) -> v1::AnnounceReturnRequest {
    let line = |(sku, quantity): &(&str, i64)| v1::AnnouncedLine {
        sku: (*sku).into(),
        shipped_from: String::new(),
        quantity: *quantity,
    };
    v1::AnnounceReturnRequest {
        request_id: request_id.into(),
        reservation_id: reservation_id.into(),
        lines: lines.iter().map(line).collect(),
        ..Default::default()
    }
}

fn receive(request_id: &str, return_id: &str, location: &str, lines: &[(&str, i64)]) -> v1::ReceiveReturnRequest {
    v1::ReceiveReturnRequest {
        request_id: request_id.into(),
        return_id: return_id.into(),
        location: location.into(),
        lines: lines
            .iter()
            .map(|(sku, quantity)| v1::ReceivedLine { sku: (*sku).into(), quantity: *quantity })
            .collect(),
        r#final: false,
    }
}

fn inspect(request_id: &str, return_id: &str, lines: &[(&str, i64, Disposition)]) -> v1::InspectReturnRequest {
    let line = |(sku, quantity, disposition): &(&str, i64, Disposition)| v1::InspectedLine {
        sku: (*sku).into(),
        location: String::new(),
        quantity: *quantity,
        disposition: i32::from(*disposition),
    };
    v1::InspectReturnRequest {
        request_id: request_id.into(),
        return_id: return_id.into(),
        lines: lines.iter().map(line).collect(),
    }
}

fn short(rejection: &v1::Rejection) -> Vec<(String, i64, i64)> {
    rejection.shortages.iter().map(|short| (short.sku.clone(), short.requested, short.available)).collect()
}

/// The fields that a status names.
fn fields(status: &Status) -> Vec<String> {
    assert_eq!(class(status), (Code::InvalidArgument, "INVALID_FIELD".into()));
    let details = status.get_error_details();
    let wrong = details.bad_request().unwrap().field_violations.iter();
    wrong.map(|wrong| format!("{}: {}", wrong.field, wrong.description)).collect()
}

#[tokio::test]
async fn units_come_back_at_another_place_and_are_sold_again() {
    let world = World::with(&[("A", "L1", 5), ("A", "L2", 0)]).await;
    let order = world.sold("o", &[("A", 3)]).await;
    let message = v1::AnnounceReturnRequest {
        kind: i32::from(v1::ReturnKind::Customer),
        reason: i32::from(v1::ReturnReason::Size),
        expected_location: "L1".into(),
        reference: "rma-1".into(),
        ..announce("announce", &order, &[("A", 2)])
    };
    let answer = world.returns().announce_return(message.clone()).await.unwrap().into_inner();
    let Some(v1::announce_return_response::Outcome::Update(update)) = answer.outcome.clone() else { panic!() };
    assert_eq!((update.reservation_id.clone(), update.lines[0].shipped_from.clone()), (order.clone(), "L1".into()));
    let again = world.returns().announce_return(message).await.unwrap().into_inner();
    assert_eq!(again, v1::AnnounceReturnResponse { replayed: true, ..answer });
    let id = update.return_id;

    let answer = world.returns().receive_return(receive("receive", &id, "L2", &[("A", 2)])).await.unwrap().into_inner();
    let Some(v1::receive_return_response::Outcome::Update(update)) = answer.outcome else { panic!() };
    assert_eq!((update.levels[0].on_hand, update.levels[0].available, update.ended), (2, 0, false));
    assert_eq!(world.available("A").await, 2);
    let lines = [("A", 1, Disposition::Restock), ("A", 1, Disposition::Scrap)];
    let answer = world.returns().inspect_return(inspect("inspect", &id, &lines)).await.unwrap().into_inner();
    let Some(v1::inspect_return_response::Outcome::Update(update)) = answer.outcome else { panic!() };
    assert_eq!((update.levels[0].on_hand, update.levels[0].available, update.ended), (1, 1, true));
    assert_eq!(world.available("A").await, 3);

    let found = world.record(&id).await;
    assert_eq!(
        (found.state(), found.reason(), found.reference.as_str()),
        (ReturnState::Inspected, v1::ReturnReason::Size, "rma-1")
    );
    assert_eq!((found.lines[0].announced, found.lines[0].received, found.expected_location.as_str()), (2, 2, "L1"));
    let dispositions: Vec<_> =
        found.arrivals[0].dispositions.iter().map(|one| (one.disposition(), one.quantity)).collect();
    assert_eq!(dispositions, [(Disposition::Restock, 1), (Disposition::Scrap, 1)]);
    let message = v1::GetReservationRequest { reservation_id: order };
    let reservation = world.allocation().get_reservation(message).await.unwrap().into_inner().reservation.unwrap();
    assert_eq!((reservation.lines[0].shipped, reservation.lines[0].announced), (3, 2));

    let message = v1::ListReturnRatesRequest { at_least_per_mille: 1, shipped_min: 1, ..Default::default() };
    let rates = world.returns().list_return_rates(message).await.unwrap().into_inner().rates;
    let expected = v1::ReturnRate { sku: "A".into(), shipped: 3, returned: 2, undelivered: 0, per_mille: 666 };
    assert_eq!(rates, [expected]);
    let message = v1::ListReturnRatesRequest::default();
    let rates = world.returns().list_return_rates(message).await.unwrap().into_inner().rates;
    assert_eq!(rates, [], "the settings ask for 20 units");
    let outcome = v1::GetOutcomeRequest { request_id: "inspect".into() };
    let outcome = world.allocation().get_outcome(outcome).await.unwrap().into_inner().outcome.unwrap();
    let v1::get_outcome_response::Outcome::Change(change) = outcome else { panic!("{outcome:?}") };
    assert_eq!((change.event.as_str(), change.entries), ("ReturnInspected", 1));
}

#[tokio::test]
async fn more_than_there_can_be_is_refused_with_figures() {
    let world = World::with(&[("A", "L1", 5), ("B", "L1", 5)]).await;
    let order = world.sold("o", &[("A", 2)]).await;
    let wanted = announce("too many", &order, &[("A", 3), ("B", 1)]);
    let answer = world.returns().announce_return(wanted).await.unwrap().into_inner();
    let Some(v1::announce_return_response::Outcome::Rejection(rejection)) = answer.outcome else { panic!() };
    assert_eq!(rejection.reason(), v1::RejectionReason::ExceedsShipped);
    assert_eq!(short(&rejection), [("A".into(), 3, 2), ("B".into(), 1, 0)], "B was never shipped");

    let id = world.announced("announce", &order, &[("A", 2)]).await;
    let answer = world.returns().announce_return(announce("twice", &order, &[("A", 1)])).await.unwrap().into_inner();
    let Some(v1::announce_return_response::Outcome::Rejection(rejection)) = answer.outcome else { panic!() };
    assert_eq!(short(&rejection), [("A".into(), 1, 0)]);

    let answer = world.returns().receive_return(receive("more", &id, "L2", &[("A", 3)])).await.unwrap().into_inner();
    let Some(v1::receive_return_response::Outcome::Rejection(rejection)) = answer.outcome else { panic!() };
    assert_eq!(
        (rejection.reason(), short(&rejection)),
        (v1::RejectionReason::ExceedsAnnounced, vec![("A".into(), 3, 2)])
    );

    let message = v1::ReceiveReturnRequest { r#final: true, ..receive("one", &id, "L2", &[("A", 1)]) };
    let answer = world.returns().receive_return(message).await.unwrap().into_inner();
    let Some(v1::receive_return_response::Outcome::Update(update)) = answer.outcome else { panic!() };
    assert_eq!(update.lines[0].quantity, 1, "one is withdrawn");
    let lines = [("A", 2, Disposition::Scrap)];
    let answer = world.returns().inspect_return(inspect("both", &id, &lines)).await.unwrap().into_inner();
    let Some(v1::inspect_return_response::Outcome::Rejection(rejection)) = answer.outcome else { panic!() };
    assert_eq!(
        (rejection.reason(), short(&rejection)),
        (v1::RejectionReason::ExceedsReceived, vec![("A".into(), 2, 1)])
    );

    let lines = [("A", 1, Disposition::Scrap)];
    world.returns().inspect_return(inspect("scrap", &id, &lines)).await.unwrap();
    let error = world.returns().inspect_return(inspect("scrap again", &id, &lines)).await.unwrap_err();
    assert_eq!(class(&error), (Code::FailedPrecondition, "RETURN_STATE".into()));
    assert_eq!((fact(&error, "state"), fact(&error, "return_id")), ("INSPECTED".into(), id.clone()));
    let cancel = v1::CancelReturnRequest { request_id: "cancel".into(), return_id: id };
    assert_eq!(class(&world.returns().cancel_return(cancel).await.unwrap_err()).1, "RETURN_STATE");
}

#[tokio::test]
async fn what_is_not_known_is_told_by_name() {
    let world = World::with(&[("A", "L1", 5)]).await;
    let order = world.sold("o", &[("A", 1)]).await;
    let nobody = "0000000000100";
    let unknown = |error: Status| class(&error);
    let error = world.returns().announce_return(announce("a", nobody, &[("A", 1)])).await.unwrap_err();
    assert_eq!(unknown(error), (Code::NotFound, "UNKNOWN_RESERVATION".into()));
    let error = world.returns().receive_return(receive("r", nobody, "L1", &[("A", 1)])).await.unwrap_err();
    assert_eq!((fact(&error, "return_id"), unknown(error)), (nobody.into(), (Code::NotFound, "UNKNOWN_RETURN".into())));
    let lines = [("A", 1, Disposition::Scrap)];
    let error = world.returns().inspect_return(inspect("i", nobody, &lines)).await.unwrap_err();
    assert_eq!(unknown(error).1, "UNKNOWN_RETURN");
    let message = v1::GetReturnRequest { return_id: nobody.into() };
    assert_eq!(unknown(world.returns().get_return(message).await.unwrap_err()).1, "UNKNOWN_RETURN");
    let message = v1::CancelReturnRequest { request_id: "c".into(), return_id: nobody.into() };
    assert_eq!(unknown(world.returns().cancel_return(message).await.unwrap_err()).1, "UNKNOWN_RETURN");
    let id = world.announced("announce", &order, &[("A", 1)]).await;
    let error = world.returns().receive_return(receive("r2", &id, "L9", &[("A", 1)])).await.unwrap_err();
    assert_eq!(unknown(error), (Code::NotFound, "UNKNOWN_LOCATION".into()));
    let message = v1::ReceiveUnmatchedReturnRequest {
        request_id: "u".into(),
        location: "L1".into(),
        lines: vec![v1::ReceivedLine { sku: "Z".into(), quantity: 1 }],
        ..Default::default()
    };
    let error = world.returns().receive_unmatched_return(message).await.unwrap_err();
    assert_eq!(unknown(error), (Code::NotFound, "UNKNOWN_SKU".into()));
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let world = World::with(&[("A", "L1", 5)]).await;
    let mut returns = world.returns();
    let message = v1::AnnounceReturnRequest {
        kind: 9,
        reason: 99,
        expected_location: "\n".into(),
        reference: "r".repeat(65),
        ..announce("", "x", &[("", 0)])
    };
    let expected = [
        "request_id: is missing; 1 to 64 bytes are needed",
        "reservation_id: is no reservation id; the 13 characters that Reserve gave are needed",
        "lines[0].sku: is missing; a code of 1 to 64 bytes is needed",
        "lines[0].quantity: is 0; 1 to 4,294,967,295 are allowed",
        "kind: is 9; no ReturnKind has this number",
        "reason: is 99; no ReturnReason has this number",
        "expected_location: has a control character at position 0; codes have none",
        "reference: has 65 bytes; at most 64 are allowed",
    ];
    assert_eq!(fields(&returns.announce_return(message).await.unwrap_err()), expected);
    let none = announce("a", "0000000000100", &[]);
    let expected = ["lines: has 0 entries; 1 to 2,000 lines are allowed"];
    assert_eq!(fields(&returns.announce_return(none).await.unwrap_err()), expected);

    let no_id = "return_id: is no return id; the 13 characters that AnnounceReturn gave are needed";
    let error = returns.receive_return(receive("", "x", "", &[("A", -1)])).await.unwrap_err();
    let expected = [
        "request_id: is missing; 1 to 64 bytes are needed",
        no_id,
        "location: is missing; a code of 1 to 64 bytes is needed",
        "lines[0].quantity: is -1; 1 to 4,294,967,295 are allowed",
    ];
    assert_eq!(fields(&error), expected);
    let unmatched = v1::ReceiveUnmatchedReturnRequest { request_id: "u".into(), ..Default::default() };
    let expected = [
        "location: is missing; a code of 1 to 64 bytes is needed",
        "lines: has 0 entries; 1 to 2,000 lines are allowed",
    ];
    assert_eq!(fields(&returns.receive_unmatched_return(unmatched).await.unwrap_err()), expected);

    let lines = [("A", 0, Disposition::Unspecified)];
    let mut message = inspect("i", "x", &lines);
    message.lines.push(v1::InspectedLine { sku: "A".into(), quantity: 1, disposition: 9, ..Default::default() });
    let expected = [
        no_id,
        "lines[0].quantity: is 0; 1 to 4,294,967,295 are allowed",
        "lines[0].disposition: is missing; what becomes of the units is needed",
        "lines[1].disposition: is 9; no Disposition has this number",
    ];
    assert_eq!(fields(&returns.inspect_return(message).await.unwrap_err()), expected);
    let cancel = v1::CancelReturnRequest { request_id: "c".into(), return_id: String::new() };
    assert_eq!(fields(&returns.cancel_return(cancel).await.unwrap_err()), [no_id]);
    assert_eq!(fields(&returns.get_return(v1::GetReturnRequest::default()).await.unwrap_err()), [no_id]);

    let message = v1::ExchangeReturnRequest { request_id: "e".into(), ..Default::default() };
    let wrong = fields(&returns.exchange_return(message).await.unwrap_err());
    assert_eq!(wrong[0], "announce: is missing; what comes back is needed");
    assert_eq!(wrong[1], "reserve: is missing; what is taken in its place is needed");
    let message = v1::ExchangeReturnRequest {
        request_id: "e".into(),
        announce: Some(announce("own", "0000000000100", &[("A", 0)])),
        reserve: Some(order("", &[("A", 0)])),
    };
    let expected = [
        "announce.request_id: is set; an exchange has one request id, its own",
        "announce.lines[0].quantity: is 0; 1 to 4,294,967,295 are allowed",
        "reserve.lines[0].quantity: is 0; 1 to 4,294,967,295 are allowed",
    ];
    assert_eq!(fields(&returns.exchange_return(message).await.unwrap_err()), expected);

    let message = v1::ListReturnsRequest {
        reservation_id: "x".into(),
        state: 9,
        page_size: 1_001,
        page_token: "t".into(),
        ..Default::default()
    };
    assert_eq!(fields(&returns.list_returns(message).await.unwrap_err()).len(), 4);
    let message =
        v1::ListReturnRatesRequest { at_least_per_mille: -1, shipped_min: -1, page_size: -1, page_token: "t".into() };
    let wrong = fields(&returns.list_return_rates(message).await.unwrap_err());
    assert_eq!(wrong[0], "at_least_per_mille: is -1; 1 to 1,000,000 are allowed, 0 for 300");
    assert_eq!(wrong.len(), 4);

    let row = |sku: &str, counted, reason| v1::CountRow { sku: sku.into(), counted, reason };
    let message = v1::CountStockRequest {
        request_id: "n".into(),
        location: String::new(),
        rows: vec![row("A", -1, 0), row("A", 1, 19)],
        reference: "r".repeat(65),
    };
    let expected = [
        "location: is missing; a code of 1 to 64 bytes is needed",
        "rows[1]: repeats \"A\" of rows[0]",
        "rows[0].counted: is -1; 0 to 4,294,967,295 are allowed",
        "rows[1].reason: is 19; no StockReason has this number",
        "reference: has 65 bytes; at most 64 are allowed",
    ];
    assert_eq!(fields(&world.inventory().count_stock(message).await.unwrap_err()), expected);
}

#[tokio::test]
async fn an_exchange_is_one_request() {
    let world = World::with(&[("A", "L1", 5), ("B", "L1", 2)]).await;
    let sold = world.sold("o", &[("A", 2)]).await;
    let exchange = |request_id: &str, back, wanted| v1::ExchangeReturnRequest {
        request_id: request_id.into(),
        announce: Some(announce("", &sold, &[("A", back)])),
        reserve: Some(order("", &[("B", wanted)])),
    };
    use v1::exchange_return_response::Outcome;
    for (name, back, wanted, reason) in
        [("back", 3, 1, v1::RejectionReason::ExceedsShipped), ("wanted", 1, 3, v1::RejectionReason::InsufficientStock)]
    {
        let answer = world.returns().exchange_return(exchange(name, back, wanted)).await.unwrap().into_inner();
        let Some(Outcome::Rejection(rejection)) = answer.outcome else { panic!() };
        assert_eq!(rejection.reason(), reason);
    }
    assert_eq!(world.available("B").await, 2);
    let answer = world.returns().exchange_return(exchange("both", 1, 2)).await.unwrap().into_inner();
    let Some(Outcome::Exchange(done)) = answer.outcome.clone() else { panic!() };
    let again = world.returns().exchange_return(exchange("both", 1, 2)).await.unwrap().into_inner();
    assert_eq!(again, v1::ExchangeReturnResponse { replayed: true, ..answer });
    assert_eq!(world.available("B").await, 0);
    let (announced, hold) = (done.announced.unwrap(), done.hold.unwrap());
    let found = world.record(&announced.return_id).await;
    assert_eq!((found.state(), &found.exchange_reservation_id), (ReturnState::Announced, &hold.reservation_id));
    // Told from both ends, by buyer and by state; in pages.
    let second = world.announced("second", &sold, &[("A", 1)]).await;
    let list = |reservation_id: &str, state: ReturnState, page_size, page_token: &str| v1::ListReturnsRequest {
        reservation_id: reservation_id.into(),
        buyer_id: "buyer".into(),
        state: i32::from(state),
        page_size,
        page_token: page_token.into(),
    };
    let told =
        |answer: &v1::ListReturnsResponse| answer.returns.iter().map(|one| one.return_id.clone()).collect::<Vec<_>>();
    let page = world.returns().list_returns(list("", ReturnState::Unspecified, 1, "")).await.unwrap().into_inner();
    assert_eq!(told(&page), std::slice::from_ref(&announced.return_id));
    let next = list("", ReturnState::Unspecified, 1, &page.next_page_token);
    let page = world.returns().list_returns(next).await.unwrap().into_inner();
    assert_eq!((told(&page), page.next_page_token), (vec![second], String::new()));
    let other = list(&hold.reservation_id, ReturnState::Announced, 0, "");
    let page = world.returns().list_returns(other).await.unwrap().into_inner();
    assert_eq!(told(&page), [announced.return_id]);
    let page = world.returns().list_returns(list(&sold, ReturnState::Received, 0, "")).await.unwrap().into_inner();
    assert_eq!(told(&page), Vec::<String>::new());
}

#[tokio::test]
async fn a_line_from_two_places_must_name_one() {
    let world = World::with(&[("A", "L1", 1), ("A", "L2", 1)]).await;
    let reservation_id = world.hold(order("o", &[("A", 2)])).await.reservation_id;
    let message = v1::ConfirmRequest { request_id: "p".into(), reservation_id: reservation_id.clone() };
    world.allocation().confirm(message).await.unwrap();
    let message = v1::ShipRequest { request_id: "s".into(), reservation_id: reservation_id.clone(), lines: Vec::new() };
    world.allocation().ship(message).await.unwrap();
    let error = world.returns().announce_return(announce("a", &reservation_id, &[("A", 1)])).await.unwrap_err();
    assert_eq!(class(&error), (Code::FailedPrecondition, "AMBIGUOUS_LINE".into()));
    assert_eq!((fact(&error, "sku"), fact(&error, "locations")), ("A".into(), "2".into()));
}

#[tokio::test]
async fn what_came_without_a_reservation_is_a_return_of_its_own() {
    let world = World::with(&[("A", "L1", 0)]).await;
    let message = v1::ReceiveUnmatchedReturnRequest {
        request_id: "u".into(),
        location: "L1".into(),
        lines: vec![v1::ReceivedLine { sku: "A".into(), quantity: 2 }],
        ..Default::default()
    };
    let update = world.returns().receive_unmatched_return(message).await.unwrap().into_inner().update.unwrap();
    assert_eq!((update.reservation_id.as_str(), update.levels[0].on_hand), ("", 2));
    let lines = [("A", 2, Disposition::Restock)];
    world.returns().inspect_return(inspect("i", &update.return_id, &lines)).await.unwrap();
    assert_eq!(world.available("A").await, 2);
}

#[tokio::test]
async fn a_count_tells_differences_and_whom_they_hurt() {
    let world = World::with(&[("A", "L1", 5), ("B", "L1", 5)]).await;
    let hold = world.hold(order("o", &[("A", 4)])).await;
    let row = |sku: &str, counted, reason: v1::StockReason| v1::CountRow {
        sku: sku.into(),
        counted,
        reason: i32::from(reason),
    };
    let message = v1::CountStockRequest {
        request_id: "count".into(),
        location: "L1".into(),
        rows: vec![row("B", 5, v1::StockReason::Unspecified), row("A", 3, v1::StockReason::Theft)],
        reference: "sheet 7".into(),
    };
    let answer = world.inventory().count_stock(message.clone()).await.unwrap().into_inner();
    assert_eq!((answer.differences, answer.shortfalls), (1, 1));
    let told: Vec<_> = answer.cells.iter().map(|cell| (cell.difference, cell.reason())).collect();
    assert_eq!(told, [(-2, v1::StockReason::Theft), (0, v1::StockReason::Count)]);
    let level = answer.cells[0].level.clone().unwrap();
    assert_eq!((level.on_hand, level.shortfall, level.hurt_reservation_ids), (3, 1, vec![hold.reservation_id]));
    let again = world.inventory().count_stock(message.clone()).await.unwrap().into_inner();
    assert!(again.replayed && again.cells == answer.cells);
    let unknown = v1::CountStockRequest {
        request_id: "other".into(),
        rows: vec![row("B", 1, v1::StockReason::Count), row("Z", 1, v1::StockReason::Count)],
        ..message
    };
    assert_eq!(class(&world.inventory().count_stock(unknown).await.unwrap_err()).1, "UNKNOWN_SKU");
    assert_eq!(world.available("B").await, 5, "all or nothing");
}

//! The catalogue and the services' own affairs.

use quartermaster_proto::v1;
use tonic::Code;

use super::support::{World, class};

#[tokio::test]
async fn skus_are_added_replaced_retired_and_listed() {
    let world = World::empty().await;
    let sku = v1::Sku {
        code: "A".into(),
        style: "coat".into(),
        colour: "红".into(),
        size: "M".into(),
        attributes: [("season".to_owned(), "winter".to_owned())].into_iter().collect(),
        weight_grams: 900,
        unit_value: Some(v1::Money { currency_code: "CNY".into(), minor_units: 59_900 }),
        sellable: None,
        retired_lsn: 0,
        category: "outerwear".into(),
        length_mm: 600,
        width_mm: 400,
        height_mm: 100_000,
        dangerous_goods: "9".into(),
        temperature: "frozen".into(),
        components: Vec::new(),
    };
    let other = v1::Sku { code: "B".into(), style: "hat".into(), ..Default::default() };
    let upsert = |request_id: &str, skus: &[&v1::Sku]| v1::UpsertSkusRequest {
        request_id: request_id.into(),
        skus: skus.iter().map(|sku| (*sku).clone()).collect(),
    };
    let first = world.catalog().upsert_skus(upsert("u", &[&sku, &other])).await.unwrap().into_inner();
    assert_eq!((first.created, first.updated, first.replayed), (2, 0, false));
    let again = world.catalog().upsert_skus(upsert("u", &[&sku, &other])).await.unwrap().into_inner();
    assert_eq!(again, v1::UpsertSkusResponse { replayed: true, ..first });
    let third = v1::Sku { code: "C".into(), style: "coat".into(), ..Default::default() };
    let more = world.catalog().upsert_skus(upsert("v", &[&third, &sku])).await.unwrap().into_inner();
    assert_eq!((more.created, more.updated), (1, 1));

    let retire = v1::RetireSkusRequest { request_id: "t".into(), skus: vec!["C".into()] };
    let retired = world.catalog().retire_skus(retire.clone()).await.unwrap().into_inner();
    let again = world.catalog().retire_skus(retire.clone()).await.unwrap().into_inner();
    assert_eq!((retired.retired, again.retired, again.replayed), (1, 1, true));
    let twice = v1::RetireSkusRequest { request_id: "t2".into(), ..retire };
    let status = world.catalog().retire_skus(twice).await.unwrap_err();
    assert_eq!(class(&status), (Code::NotFound, "UNKNOWN_SKU".into()));

    let list = |style: &str, include_retired, page_size, page_token: &str| v1::ListSkusRequest {
        style: style.into(),
        include_retired,
        page_size,
        page_token: page_token.into(),
    };
    let page = world.catalog().list_skus(list("", false, 0, "")).await.unwrap().into_inner();
    assert_eq!(page.skus, [v1::Sku { sellable: Some(true), ..sku.clone() }, v1::Sku { sellable: Some(true), ..other }]);
    assert_eq!(page.next_page_token, "");
    let codes = |page: &v1::ListSkusResponse| page.skus.iter().map(|sku| sku.code.clone()).collect::<Vec<_>>();
    let first = world.catalog().list_skus(list("coat", true, 1, "")).await.unwrap().into_inner();
    let second = world.catalog().list_skus(list("coat", true, 1, &first.next_page_token)).await.unwrap().into_inner();
    assert_eq!((codes(&first), codes(&second)), (vec!["A".into()], vec!["C".into()]));
    let lsn = retired.position.unwrap().lsn;
    assert_eq!((second.skus[0].retired_lsn, second.next_page_token.as_str()), (lsn, ""));
    let active = world.catalog().list_skus(list("coat", false, 1, "")).await.unwrap().into_inner();
    assert_eq!((codes(&active), active.next_page_token.as_str()), (vec!["A".into()], ""));
}

#[tokio::test]
async fn a_retired_code_begins_anew() {
    let world = World::with(&[("A", "L1", 5)]).await;
    let retire = v1::RetireSkusRequest { request_id: "t".into(), skus: vec!["A".into()] };
    world.catalog().retire_skus(retire).await.unwrap();
    let sku = v1::Sku { code: "A".into(), ..Default::default() };
    let upsert = v1::UpsertSkusRequest { request_id: "again".into(), skus: vec![sku] };
    assert_eq!(world.catalog().upsert_skus(upsert).await.unwrap().into_inner().created, 1);
    assert_eq!(world.available("A").await, 0);
}

#[tokio::test]
async fn a_location_serves_channels_that_there_are() {
    let world = World::with(&[]).await;
    let location = |channel: &str| {
        let fulfilment = Some(v1::Fulfilment { channels: vec![channel.into()], ..Default::default() });
        vec![v1::Location { code: "N".into(), fulfilment, ..Default::default() }]
    };
    let message = v1::UpsertLocationsRequest { request_id: "x".into(), locations: location("nowhere") };
    let status = world.catalog().upsert_locations(message).await.unwrap_err();
    assert_eq!(class(&status), (Code::NotFound, "UNKNOWN_CHANNEL".into()));
    let message = v1::UpsertLocationsRequest { request_id: "x".into(), locations: location("app") };
    assert_eq!(world.catalog().upsert_locations(message).await.unwrap().into_inner().created, 1);
}

#[tokio::test]
async fn locations_and_channels_come_back_as_they_were_sent() {
    let world = World::empty().await;
    let location = |code: &str| v1::Location {
        code: code.into(),
        name: "杭州一号".into(),
        kind: i32::from(v1::LocationKind::Store),
        coordinates: Some(v1::LatLng { latitude: 30.274_084_9, longitude: 120.155_07 }),
        region: "330106".into(),
        capabilities: vec![1, 4],
        state: i32::from(v1::LocationState::Closed),
        priority: 7,
        fulfilment: Some(v1::Fulfilment {
            handling_cost: 310,
            time_zone: "Asia/Shanghai".into(),
            shifts: vec![v1::Shift { weekday: 6, opens_minute: 480, cutoff_minute: 1_200 }],
            holidays: vec!["2027-01-01".into()],
            ..Default::default()
        }),
    };
    let locations = vec![location("L1"), location("L2"), location("L3")];
    let message = v1::UpsertLocationsRequest { request_id: "l".into(), locations: locations.clone() };
    let answer = world.catalog().upsert_locations(message).await.unwrap().into_inner();
    assert_eq!((answer.created, answer.updated), (3, 0));
    let mut message = v1::ListLocationsRequest { page_size: 2, page_token: String::new() };
    let first = world.catalog().list_locations(message.clone()).await.unwrap().into_inner();
    assert_eq!(first.locations, locations[..2]);
    message.page_token = first.next_page_token;
    let second = world.catalog().list_locations(message).await.unwrap().into_inner();
    assert_eq!((&second.locations[..], second.next_page_token.as_str()), (&locations[2..], ""));

    let channel = v1::Channel {
        code: "app".into(),
        name: "App".into(),
        active: Some(false),
        deduction: v1::Deduction::Hold.into(),
        ..Default::default()
    };
    let message = v1::UpsertChannelsRequest { request_id: "c".into(), channels: vec![channel.clone()] };
    world.catalog().upsert_channels(message).await.unwrap();
    let listed = world.catalog().list_channels(v1::ListChannelsRequest::default()).await.unwrap().into_inner();
    assert_eq!((listed.channels, listed.next_page_token.as_str()), (vec![channel], ""));
}

#[tokio::test]
async fn the_server_tells_its_limits_and_its_health() {
    let world = World::with(&[("A", "L1", 5)]).await;
    let limits = world.admin().get_limits(v1::GetLimitsRequest {}).await.unwrap().into_inner().limits;
    assert!(limits.is_sorted_by(|one, other| one.name < other.name));
    let lines = limits.iter().find(|limit| limit.name == "lines_per_reservation_max").unwrap();
    assert_eq!((lines.value, lines.unit.as_str()), (2_000, "lines"));
    let status = world.admin().get_status(v1::GetStatusRequest {}).await.unwrap().into_inner();
    assert!(status.position.unwrap().lsn > 0);
    let audit = world.admin().run_audit(v1::RunAuditRequest {}).await.unwrap().into_inner();
    assert_eq!((audit.cells, audit.violations, audit.details.len()), (1, 0, 0));
    world.admin().take_snapshot(v1::TakeSnapshotRequest {}).await.unwrap();
}

//! Stock from outside, and what callers are told of it.

use quartermaster_proto::v1::{self, Bucket};
use tonic::Code;

use super::support::{World, class, fact, order};

fn level(sku: &str, location: &str, on_hand: i64, available: i64) -> v1::StockLevel {
    v1::StockLevel { sku: sku.into(), location: location.into(), on_hand, available, ..Default::default() }
}

#[tokio::test]
async fn counts_differences_and_moves_tell_the_level_after_them() {
    let world = World::with(&[("A", "L1", 10)]).await;
    let adjust = |request_id: &str, bucket: Bucket, delta| v1::AdjustStockRequest {
        request_id: request_id.into(),
        sku: "A".into(),
        location: "L1".into(),
        bucket: i32::from(bucket),
        delta,
        ..Default::default()
    };
    let answer = world.inventory().adjust_stock(adjust("safety", Bucket::Safety, 3)).await.unwrap().into_inner();
    assert_eq!(answer.level, Some(level("A", "L1", 10, 7)));
    let again = world.inventory().adjust_stock(adjust("safety", Bucket::Safety, 3)).await.unwrap().into_inner();
    assert_eq!(again, v1::AdjustStockResponse { replayed: true, ..answer });

    let message = v1::MoveStockRequest {
        request_id: "damaged".into(),
        sku: "A".into(),
        location: "L1".into(),
        from: i32::from(Bucket::Sellable),
        to: i32::from(Bucket::Damaged),
        quantity: 2,
        ..Default::default()
    };
    let answer = world.inventory().move_stock(message).await.unwrap().into_inner();
    assert_eq!(answer.level, Some(level("A", "L1", 10, 5)));

    let status = world.inventory().adjust_stock(adjust("less", Bucket::Damaged, -3)).await.unwrap_err();
    assert_eq!(class(&status), (Code::FailedPrecondition, "EXCEEDS_BUCKET".into()));
    assert_eq!((fact(&status, "held"), fact(&status, "bucket")), ("2".into(), "damaged".into()));
    let most = i64::from(u32::MAX);
    let status = world.inventory().adjust_stock(adjust("more", Bucket::OnHand, most)).await.unwrap_err();
    assert_eq!(class(&status), (Code::OutOfRange, "QUANTITY_OVERFLOW".into()));
}

#[tokio::test]
async fn receipts_are_summed_and_may_come_from_incoming() {
    let world = World::with(&[("A", "L1", 10), ("B", "L1", 0)]).await;
    let receipt = |sku: &str, quantity| v1::Receipt { sku: sku.into(), location: "L1".into(), quantity };
    let message = v1::ReceiveStockRequest {
        request_id: "g".into(),
        receipts: vec![receipt("B", 4), receipt("A", 1), receipt("A", 2)],
        ..Default::default()
    };
    let answer = world.inventory().receive_stock(message.clone()).await.unwrap().into_inner();
    assert_eq!(answer.levels, [level("A", "L1", 13, 13), level("B", "L1", 4, 4)]);
    let again = world.inventory().receive_stock(message.clone()).await.unwrap().into_inner();
    assert_eq!(again, v1::ReceiveStockResponse { replayed: true, ..answer });
    let message = v1::ReceiveStockRequest { request_id: "i".into(), from_incoming: true, ..message };
    let status = world.inventory().receive_stock(message).await.unwrap_err();
    assert_eq!(class(&status), (Code::FailedPrecondition, "EXCEEDS_BUCKET".into()));
}

#[tokio::test]
async fn a_count_can_depend_on_the_revision() {
    let world = World::with(&[("A", "L1", 10)]).await;
    let message = |request_id: &str, expected| v1::SetStockRequest {
        request_id: request_id.into(),
        sku: "A".into(),
        location: "L2".into(),
        quantity: 1,
        expected_revision: Some(expected),
        ..Default::default()
    };
    let status = world.inventory().set_stock(message("s", 0)).await.unwrap_err();
    assert_eq!(class(&status), (Code::FailedPrecondition, "STALE_REVISION".into()));
    let revision = fact(&status, "revision").parse().unwrap();
    world.inventory().set_stock(message("t", revision)).await.unwrap();
}

#[tokio::test]
async fn a_shortfall_is_accepted_and_names_whom_it_hurts() {
    let world = World::with(&[("A", "L1", 10), ("B", "L1", 1)]).await;
    let mut holds = Vec::new();
    for number in 0..3 {
        holds.push(world.hold(order(&format!("r{number}"), &[("A", 3)])).await.reservation_id);
    }
    let other = world.hold(order("b", &[("B", 1)])).await.reservation_id;
    let level = world.count("A", "L1", 5).await.level.unwrap();
    let newest = vec![holds[2].clone(), holds[1].clone()];
    assert_eq!((level.on_hand, level.available, level.shortfall), (5, 0, 4));
    assert_eq!(level.hurt_reservation_ids, newest, "newest first, until the shortfall is covered");
    world.count("B", "L1", 0).await;

    let page = |page_token: &str| v1::ListShortfallsRequest { page_size: 1, page_token: page_token.into() };
    let first = world.inventory().list_shortfalls(page("")).await.unwrap().into_inner();
    let shortfall = &first.shortfalls[0];
    let cell = shortfall.cell.as_ref().unwrap();
    assert_eq!((cell.sku.as_str(), cell.reserved, cell.shortfall), ("A", 9, 4));
    assert_eq!(shortfall.hurt_reservation_ids, newest);
    let second = world.inventory().list_shortfalls(page(&first.next_page_token)).await.unwrap().into_inner();
    assert_eq!(second.shortfalls[0].hurt_reservation_ids, [other]);
    assert_eq!(second.next_page_token, "");
}

#[tokio::test]
async fn availability_is_of_one_position() {
    let world = World::with(&[("A", "L1", 5), ("A", "L2", 2), ("A", "P", 9), ("B", "L1", 1)]).await;
    let newest = world.hold(order("r", &[("A", 1)])).await;
    let message = v1::GetAvailabilityRequest {
        skus: vec!["B".into(), "A".into()],
        locations: vec!["L2".into(), "P".into(), "L1".into()],
        min_lsn: 0,
        ..Default::default()
    };
    let answer = world.inventory().get_availability(message.clone()).await.unwrap().into_inner();
    let told: Vec<_> =
        answer.skus.iter().map(|sku| (sku.sku.as_str(), sku.available, sku.by_location.clone())).collect();
    assert_eq!(
        told,
        [("B", 1, vec![0, 0, 1]), ("A", 6, vec![2, 0, 4])],
        "as asked for; paused ones have none: {newest:?}"
    );
    let lsn = answer.position.unwrap().lsn;
    assert_eq!(answer.skus[1].revision, lsn);
    let at = v1::GetAvailabilityRequest { min_lsn: lsn, ..message.clone() };
    world.inventory().get_availability(at).await.unwrap();
    let precondition = v1::ReserveRequest { unchanged_since_lsn: lsn, ..order("u", &[("A", 1), ("B", 1)]) };
    world.hold(precondition).await;

    let unknown = v1::GetAvailabilityRequest { skus: vec!["Z".into()], ..message.clone() };
    let status = world.inventory().get_availability(unknown).await.unwrap_err();
    assert_eq!(class(&status), (Code::NotFound, "UNKNOWN_SKU".into()));
    let unknown = v1::GetAvailabilityRequest { locations: vec!["Z".into()], ..message };
    let status = world.inventory().get_availability(unknown).await.unwrap_err();
    assert_eq!(class(&status), (Code::NotFound, "UNKNOWN_LOCATION".into()));
}

#[tokio::test]
async fn cells_come_in_pages() {
    let world = World::with(&[("A", "L1", 5), ("A", "L2", 2), ("A", "P", 9)]).await;
    world.hold(order("r", &[("A", 1)])).await;
    let mut message = v1::ListCellsRequest { sku: "A".into(), page_size: 2, ..Default::default() };
    let first = world.inventory().list_cells(message.clone()).await.unwrap().into_inner();
    let told: Vec<_> = first.cells.iter().map(|cell| (cell.location.as_str(), cell.reserved, cell.available)).collect();
    assert_eq!(told, [("L1", 1, 4), ("L2", 0, 2)]);
    message.page_token = first.next_page_token;
    let second = world.inventory().list_cells(message.clone()).await.unwrap().into_inner();
    assert_eq!((second.cells[0].location.as_str(), second.next_page_token.as_str()), ("P", ""));
    message.page_token = "tomorrow".into();
    let status = world.inventory().list_cells(message).await.unwrap_err();
    assert_eq!(class(&status), (Code::InvalidArgument, "INVALID_FIELD".into()));
}

/// Units and locations of each size, whole runs, broken runs.
type Row = (Vec<(i64, i32)>, i32, i32);

#[tokio::test]
async fn the_grid_of_a_style_counts_whole_runs() {
    let world = World::with(&[]).await;
    let sku = |colour: &str, size: &str| v1::Sku {
        code: format!("{colour}-{size}"),
        style: "coat".into(),
        colour: colour.into(),
        size: size.into(),
        ..Default::default()
    };
    let skus = vec![sku("red", "XL"), sku("red", "S"), sku("blue", "38"), sku("blue", "S")];
    world.catalog().upsert_skus(v1::UpsertSkusRequest { request_id: "u".into(), skus }).await.unwrap();
    for (sku, location) in [("red-XL", "L1"), ("red-S", "L1"), ("red-S", "L2"), ("blue-S", "P"), ("blue-38", "L2")] {
        world.count(sku, location, 2).await;
    }
    let ask = |locations: &[&str]| v1::GetStyleGridRequest {
        style: "coat".into(),
        locations: locations.iter().map(ToString::to_string).collect(),
        ..Default::default()
    };
    let grid = world.inventory().get_style_grid(ask(&[])).await.unwrap().into_inner();
    assert_eq!(
        (grid.colours.clone(), grid.sizes.clone()),
        (vec!["blue".into(), "red".into()], vec!["S".into(), "XL".into(), "38".into()])
    );
    let told = |grid: &v1::GetStyleGridResponse| -> Vec<Row> {
        let cells = |row: &v1::StyleGridRow| row.cells.iter().map(|cell| (cell.available, cell.locations)).collect();
        grid.rows.iter().map(|row| (cells(row), row.whole_run_locations, row.broken_run_locations)).collect()
    };
    assert_eq!(told(&grid), [(vec![(0, 0), (0, 0), (2, 1)], 0, 1), (vec![(4, 2), (2, 1), (0, 0)], 1, 1)]);
    assert_eq!(grid.rows[1].cells[2].sku, "", "there is no red in 38");
    let grid = world.inventory().get_style_grid(ask(&["L2"])).await.unwrap().into_inner();
    assert_eq!(told(&grid), [(vec![(0, 0), (0, 0), (2, 1)], 0, 1), (vec![(2, 1), (0, 0), (0, 0)], 0, 1)]);
    let none = v1::GetStyleGridRequest { style: "hat".into(), ..Default::default() };
    let grid = world.inventory().get_style_grid(none).await.unwrap().into_inner();
    assert_eq!((grid.colours.len(), grid.rows.len()), (0, 0));
}

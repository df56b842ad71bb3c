//! Imports: every row is checked before the first is written, and the whole happens once.

use quartermaster_engine::command::{Command, ImportStock, Request, StockCommand};
use quartermaster_proto::v1;
use tonic::{Code, Status};

use super::support::{World, class, fact, order};
use crate::grpc::rows::Rows;

/// One unit in cell number `cell`: every SKU stands at 100 locations.
fn row(cell: usize, on_hand: i64) -> v1::ImportRow {
    let (sku, location) = (format!("S{}", cell / 100), format!("C{}", cell % 100));
    v1::ImportRow { sku, location, on_hand, ..Default::default() }
}

/// Rows of the cells `first..end`.
fn rows(first: usize, end: usize) -> Vec<v1::ImportRow> {
    (first..end).map(|cell| row(cell, 1)).collect()
}

fn messages(request_id: &str, rows: &[v1::ImportRow]) -> Vec<v1::ImportStockRequest> {
    let first = v1::ImportStockRequest { request_id: request_id.into(), ..Default::default() };
    let parts = rows.chunks(7_000).map(|rows| v1::ImportStockRequest { rows: rows.to_vec(), ..Default::default() });
    std::iter::once(first).chain(parts).collect()
}

async fn import(world: &World, request_id: &str, rows: &[v1::ImportRow]) -> Result<v1::ImportStockResponse, Status> {
    let messages = tokio_stream::iter(messages(request_id, rows));
    world.inventory().import_stock(messages).await.map(tonic::Response::into_inner)
}

/// A world with 25,000 cells and no stock in them.
async fn world() -> World {
    let world = World::with(&[]).await;
    let codes: Vec<String> = (0..250).map(|sku| format!("S{sku}")).collect();
    world.skus(&codes.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let location = |place| v1::Location { code: format!("C{place}"), ..Default::default() };
    let locations = (0..100).map(location).collect();
    let message = v1::UpsertLocationsRequest { request_id: "places".into(), locations };
    world.catalog().upsert_locations(message).await.unwrap();
    world
}

fn cells(world: &World) -> u64 {
    world.node.engine().counts().cells
}

#[tokio::test]
async fn an_import_of_many_parts_happens_once() {
    let world = world().await;
    let all = rows(0, 25_000);
    let first = import(&world, "i", &all).await.unwrap();
    assert_eq!((first.rows, first.shortfalls, first.replayed, cells(&world)), (25_000, 0, false, 25_000));
    world.count("S0", "C0", 9).await;
    let again = import(&world, "i", &all).await.unwrap();
    assert_eq!(again, v1::ImportStockResponse { replayed: true, ..first });
    assert_eq!(world.available("S0").await, 9 + 99, "nothing is set again");

    let message = v1::GetOutcomeRequest { request_id: "i".into() };
    let outcome = world.allocation().get_outcome(message).await.unwrap().into_inner();
    assert_eq!(outcome.decided, first.position);
    let change = v1::ChangeSummary { event: "StockChanged".into(), entries: 25_000 };
    assert_eq!(outcome.outcome, Some(v1::get_outcome_response::Outcome::Change(change)));
}

#[tokio::test]
async fn an_id_is_for_one_import_only() {
    let world = world().await;
    import(&world, "i", &rows(0, 20_000)).await.unwrap();
    world.hold(order("r", &[("S0", 1)])).await;
    let mut other = rows(0, 20_000);
    other[5].on_hand = 2;
    let mut tail = rows(0, 20_000);
    tail[19_999].on_hand = 2;
    for (id, rows) in [
        ("i", rows(0, 25_000)),
        ("i", rows(0, 10_000)),
        ("i", rows(10_000, 20_000)),
        ("i", rows(0, 5)),
        ("i", other),
        ("i", tail),
        ("r", rows(0, 5)),
        ("r", rows(0, 12_000)),
    ] {
        let before = world.node.engine().journal().appended_lsn();
        let status = import(&world, id, &rows).await.unwrap_err();
        assert_eq!(class(&status), (Code::AlreadyExists, "REQUEST_ID_REUSED".into()), "{id}, {} rows", rows.len());
        assert_eq!(world.node.engine().journal().appended_lsn(), before, "nothing is written");
    }
}

#[tokio::test]
async fn an_import_that_broke_off_is_taken_up() {
    let world = world().await;
    let all = rows(0, 25_000);
    let mut collected = Rows::default();
    for (place, message) in messages("i", &all).into_iter().enumerate() {
        collected.add(message, place == 0).unwrap();
    }
    let part = ImportStock { rows: collected.chunk(0), reference: String::new() };
    let request = Request { id: "i#0".into(), actor: String::new() };
    world.node.submit_now(&request, &Command::Stock(StockCommand::Import(part))).unwrap();
    let message = v1::GetOutcomeRequest { request_id: "i".into() };
    assert!(!world.allocation().get_outcome(message).await.unwrap().into_inner().known, "not whole yet");

    let retire = v1::RetireSkusRequest { request_id: "t".into(), skus: vec!["S0".into()] };
    world.catalog().retire_skus(retire).await.unwrap();
    let answer = import(&world, "i", &all).await.unwrap();
    assert_eq!((answer.rows, answer.replayed), (25_000, false), "what was written needs no code any more");
    let again = import(&world, "i", &all).await.unwrap();
    assert_eq!(again, v1::ImportStockResponse { replayed: true, ..answer });
}

#[tokio::test]
async fn a_bad_row_fails_the_whole_with_its_number() {
    let world = world().await;
    let mut unknown = rows(0, 20_000);
    unknown[15_000].sku = "Z".into();
    let status = import(&world, "i", &unknown).await.unwrap_err();
    assert_eq!(class(&status), (Code::NotFound, "UNKNOWN_SKU".into()));
    assert_eq!((fact(&status, "row"), fact(&status, "sku")), ("15001".into(), "Z".into()));
    assert_eq!(status.message(), "row 15001: unknown SKU \"Z\": no active SKU has this code");

    let mut nowhere = rows(0, 3);
    nowhere[2].location = "nowhere".into();
    let status = import(&world, "i", &nowhere).await.unwrap_err();
    assert_eq!((class(&status).1, fact(&status, "row")), ("UNKNOWN_LOCATION".into(), "3".into()));

    let mut twice = rows(0, 20_000);
    twice[19_999] = row(107, 2);
    let status = import(&world, "i", &twice).await.unwrap_err();
    assert_eq!(class(&status), (Code::InvalidArgument, "INVALID_FIELD".into()));
    assert_eq!(
        status.message(),
        "row 20000: is SKU \"S1\" at \"C7\", as row 108 is; a cell may stand once in an import"
    );

    let mut negative = rows(0, 20_000);
    negative[12_000].on_hand = -1;
    let status = import(&world, "i", &negative).await.unwrap_err();
    assert_eq!(status.message(), "row 12001: on_hand: is -1; 0 to 4,294,967,295 are allowed");

    let status = import(&world, "i", &[]).await.unwrap_err();
    assert_eq!(status.message(), "rows: are missing; at least one row is needed");
    assert_eq!(cells(&world), 0, "nothing was written");
    import(&world, "i", &rows(0, 3)).await.unwrap();
}

#[tokio::test]
async fn shortfalls_of_an_import_are_counted() {
    let world = world().await;
    import(&world, "i", &rows(0, 3)).await.unwrap();
    world.hold(order("r", &[("S0", 2)])).await;
    let answer = import(&world, "j", &[row(0, 0), row(1, 0), row(2, 0)]).await.unwrap();
    assert_eq!((answer.rows, answer.shortfalls), (3, 2));
}

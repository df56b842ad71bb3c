//! Reservations over a stream that breaks.

use std::time::Duration;

use quartermaster_client::v1::ReserveRequest;
use quartermaster_client::{CallError, Client, Retry};
use tokio::task::JoinSet;
use tonic::Code;

use crate::fake::{Fail, Fake};

fn client(fake: &Fake) -> Client {
    let retry = Retry { backoff: Duration::from_millis(2), ..Retry::default() };
    Client::builder(&fake.url()).retry(retry).deadline(Duration::from_secs(30)).connect().unwrap()
}

fn order(request_id: &str) -> ReserveRequest {
    ReserveRequest { request_id: request_id.into(), ..ReserveRequest::default() }
}

#[tokio::test]
async fn many_tasks_share_a_stream_and_get_their_own_answers() {
    let fake = Fake::start([]).await;
    let stream = client(&fake).reserve_stream();
    let mut tasks = JoinSet::new();
    for at in 0..500 {
        let stream = stream.clone();
        tasks.spawn(async move {
            let id = format!("order-{at}");
            let answer = stream.reserve(order(&id)).await.unwrap();
            assert_eq!(answer.request_id, id);
            (at, answer.done().unwrap().reservation_id)
        });
    }
    let decided = tasks.join_all().await;
    let in_order = fake.decided();
    for (at, reservation) in decided {
        let place: usize = reservation.trim_start_matches('R').parse().unwrap();
        assert_eq!(in_order[place - 1], format!("order-{at}"));
    }
    assert_eq!((in_order.len(), fake.book.lock().unwrap().streams), (500, 1));
}

#[tokio::test]
async fn what_was_not_answered_goes_on_under_the_same_ids() {
    for fail in [Fail::DecideAndCut, Fail::DecideAnd(Code::Unavailable)] {
        let fake = Fake::start([fail.clone()]).await;
        let stream = client(&fake).reserve_stream();
        let (first, second) = (stream.reserve(order("a")), stream.reserve(order("b")));
        let (first, second) = tokio::join!(first, second);
        let (first, second) = (first.unwrap(), second.unwrap());
        assert!(first.replayed && first.tries == 2, "{fail:?}: {first:?}");
        assert!(second.done().is_ok());
        assert_eq!(fake.decided(), ["a", "b"]);
        assert_eq!(fake.book.lock().unwrap().streams, 2);
    }
}

#[tokio::test]
async fn an_error_of_one_is_no_error_of_the_others() {
    let fake = Fake::start([]).await;
    let stream = client(&fake).reserve_stream();
    let wrong = ReserveRequest { order_id: "unknown-sku".into(), ..order("a") };
    let (wrong, right) = tokio::join!(stream.reserve(wrong), stream.reserve(order("b")));
    let error = wrong.unwrap_err();
    assert!(matches!(&error, CallError::NotFound(last) if last.reason_name() == "UNKNOWN_SKU"), "{error}");
    assert!(right.is_ok());
}

#[tokio::test]
async fn tries_end() {
    let fake = Fake::start(vec![Fail::DecideAnd(Code::Unavailable); 100]).await;
    let error = client(&fake).reserve_stream().reserve(order("a")).await.unwrap_err();
    let CallError::UnknownOutcome { request_id, tries, .. } = error else { panic!("{error}") };
    assert_eq!((request_id.as_str(), tries, fake.tries()), ("a", 5, vec![("a".to_owned(), 5)]));
}

#[tokio::test]
async fn a_stream_that_hangs_is_left_with_the_oldest_of_its_callers() {
    let fake = Fake::start([Fail::DecideAndHang]).await;
    let stream = client(&fake).with_deadline(Duration::from_millis(200)).reserve_stream();
    let error = stream.reserve(order("a")).await.unwrap_err();
    assert!(matches!(&error, CallError::UnknownOutcome { request_id, .. } if request_id == "a"), "{error}");
    assert!(stream.reserve(order("b")).await.is_ok());
    assert_eq!(fake.book.lock().unwrap().streams, 2);
}

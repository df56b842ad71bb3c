//! Unary calls that fail: how often each id is sent, what took effect, and what the caller is told.

use std::time::{Duration, Instant};

use quartermaster_client::v1::{ErrorReason, ReserveRequest, reserve_result};
use quartermaster_client::{CallError, Client, Outcome, Retry, Verdict};
use tonic::Code;

use crate::fake::{Fail, Fake};

fn order(request_id: &str) -> ReserveRequest {
    ReserveRequest { request_id: request_id.into(), ..ReserveRequest::default() }
}

fn quick() -> Retry {
    Retry { backoff: Duration::from_millis(2), ..Retry::default() }
}

fn client(fake: &Fake) -> Client {
    // Generous: what is tested here is not how fast the machine is.
    Client::builder(&fake.url()).retry(quick()).deadline(Duration::from_secs(30)).connect().unwrap()
}

/// The reservation, whether it was an answer given before, and the tries it took.
async fn reserved(client: &Client, id: &str) -> (String, bool, u32) {
    let answer = client.reserve(order(id)).await.unwrap();
    assert_eq!(answer.request_id, id);
    let (replayed, tries) = (answer.replayed, answer.tries);
    (answer.done().unwrap().reservation_id, replayed, tries)
}

#[tokio::test]
async fn what_was_decided_and_not_told_is_asked_for_under_the_same_id() {
    for fail in [Fail::DecideAndCut, Fail::DecideAnd(Code::Unknown), Fail::DecideAnd(Code::Unavailable)] {
        let fake = Fake::start([fail.clone()]).await;
        let told = reserved(&client(&fake), "a").await;
        assert_eq!(told, ("R1".to_owned(), true, 2), "{fail:?}");
        assert_eq!((fake.tries(), fake.decided()), (vec![("a".to_owned(), 2)], vec!["a".to_owned()]), "{fail:?}");
    }
}

#[tokio::test]
async fn a_try_that_hangs_is_left_when_its_own_time_is_up() {
    let fake = Fake::start([Fail::DecideAndHang]).await;
    let retry = Retry { try_time: Some(Duration::from_millis(100)), ..quick() };
    let told = reserved(&client(&fake).with_retry(retry), "a").await;
    assert_eq!(told, ("R1".to_owned(), true, 2));
    assert_eq!(fake.decided(), ["a"]);
}

#[tokio::test]
async fn the_deadline_bounds_all_tries_and_travels_with_each() {
    let fake = Fake::start([Fail::DecideAndHang]).await;
    let began = Instant::now();
    let error = client(&fake).with_deadline(Duration::from_millis(300)).reserve(order("a")).await.unwrap_err();
    assert!(began.elapsed() >= Duration::from_millis(290) && began.elapsed() < Duration::from_secs(20));
    let CallError::UnknownOutcome { request_id, tries, last } = error else { panic!("{error}") };
    assert_eq!((request_id.as_str(), tries, last.verdict), ("a", 1, Verdict::Unknown));
    let timeout = fake.book.lock().unwrap().tries[0].1.clone().unwrap();
    let micros: u64 = timeout.strip_suffix('u').unwrap_or_else(|| panic!("{timeout}")).parse().unwrap();
    assert!((200_000..=300_000).contains(&micros), "{timeout}");
}

#[tokio::test]
async fn when_tries_run_out_the_outcome_is_unknown_and_can_be_asked_for() {
    let fake = Fake::start(vec![Fail::DecideAnd(Code::DeadlineExceeded); 3]).await;
    let retry = Retry { tries_max: 3, ..quick() };
    let client = client(&fake).with_retry(retry);
    let error = client.reserve(order("")).await.unwrap_err();
    let CallError::UnknownOutcome { request_id, tries: 3, .. } = error else { panic!("{error}") };
    assert_eq!(fake.tries(), [(request_id.clone(), 3)]);
    assert!(client.outcome(&request_id).await.unwrap().known);
    assert!(!client.outcome("never sent").await.unwrap().known);
}

#[tokio::test]
async fn a_doubt_is_not_forgotten_because_a_later_try_was_not_begun() {
    let fails = [Fail::DecideAnd(Code::DeadlineExceeded), Fail::Unavailable("OVERLOADED", Some(Duration::ZERO))];
    let fake = Fake::start(fails).await;
    let client = client(&fake).with_retry(Retry { tries_max: 2, ..quick() });
    let error = client.reserve(order("a")).await.unwrap_err();
    let CallError::UnknownOutcome { last, tries: 2, .. } = error else { panic!("{error}") };
    assert_eq!((last.reason, last.verdict), (ErrorReason::Overloaded, Verdict::NotDone));
}

#[tokio::test]
async fn a_busy_server_is_asked_again_when_it_said() {
    let delay = Duration::from_millis(120);
    let fake = Fake::start([Fail::Unavailable("OVERLOADED", Some(delay)), Fail::Full(delay)]).await;
    let began = Instant::now();
    let told = reserved(&client(&fake), "a").await;
    assert_eq!(told, ("R1".to_owned(), false, 3));
    assert!(began.elapsed() >= delay * 2, "{:?}", began.elapsed());
}

#[tokio::test]
async fn who_is_told_to_come_back_too_late_is_told_at_once_that_nothing_was_done() {
    let later = Duration::from_secs(3_600);
    let fake = Fake::start([Fail::Unavailable("SHUTTING_DOWN", Some(later)), Fail::Full(later)]).await;
    let error = client(&fake).reserve(order("a")).await.unwrap_err();
    assert!(matches!(&error, CallError::Unavailable { tries: 1, last } if last.retry_after == Some(later)), "{error}");
    let error = client(&fake).reserve(order("a")).await.unwrap_err();
    assert!(matches!(&error, CallError::Full(last) if last.reason == ErrorReason::DiskFull), "{error}");
    assert!(fake.decided().is_empty());
}

#[tokio::test]
async fn an_answer_that_is_final_is_not_asked_for_twice() {
    type Is = fn(&CallError) -> bool;
    let cases: [(Code, &str, Is); 9] = [
        (Code::InvalidArgument, "INVALID_FIELD", |error| matches!(error, CallError::Invalid(_))),
        (Code::OutOfRange, "QUANTITY_OVERFLOW", |error| matches!(error, CallError::Invalid(_))),
        (Code::NotFound, "UNKNOWN_SKU", |error| matches!(error, CallError::NotFound(_))),
        (Code::AlreadyExists, "REQUEST_ID_REUSED", |error| matches!(error, CallError::Conflict(_))),
        (Code::FailedPrecondition, "STALE_REVISION", |error| matches!(error, CallError::Precondition(_))),
        (Code::ResourceExhausted, "TABLE_FULL", |error| matches!(error, CallError::Full(_))),
        (Code::Unauthenticated, "", |error| matches!(error, CallError::Denied(_))),
        (Code::Internal, "INTERNAL", |error| matches!(error, CallError::Fault(_))),
        (Code::DataLoss, "", |error| matches!(error, CallError::Fault(_))),
    ];
    for (code, reason, is) in cases {
        let fake = Fake::start([Fail::Refuse(code, reason)]).await;
        let error = client(&fake).reserve(order("a")).await.unwrap_err();
        assert!(is(&error), "{code:?}: {error:?}");
        assert_eq!((fake.tries(), error.refusal().reason_name()), (vec![("a".to_owned(), 1)], reason));
        assert_eq!(error.refusal().fields, [("lines[0].quantity".to_owned(), "must be at least 1".to_owned())]);
    }
}

#[tokio::test]
async fn a_business_no_is_an_answer() {
    let fake = Fake::start([]).await;
    let request = ReserveRequest { order_id: "sold-out".into(), ..order("a") };
    let answer = client(&fake).reserve(request).await.unwrap();
    assert!(matches!(&answer.outcome, Outcome::Rejected(_)));
    assert_eq!(answer.done().unwrap_err().to_string(), "INSUFFICIENT_STOCK: ");
    assert_eq!(fake.tries().len(), 1);
}

#[tokio::test]
async fn each_change_gets_an_id_of_its_own_and_questions_get_none() {
    let fake = Fake::start([]).await;
    let client = client(&fake);
    let first = client.reserve(order("")).await.unwrap().request_id;
    let second = client.confirm("R1").await.unwrap().request_id;
    assert!(first.len() == 32 && second.len() == 32 && first != second, "{first} {second}");
    assert_eq!(fake.decided(), [first, second]);
    assert_eq!(client.get_reservation("R1").await.unwrap().unwrap().reservation_id, "R1");
}

#[tokio::test]
async fn a_question_that_is_not_answered_leaves_nothing_in_doubt() {
    let fake = Fake::start(vec![Fail::Refuse(Code::Cancelled, ""); 9]).await;
    let error = client(&fake).get_reservation("R1").await.unwrap_err();
    assert!(matches!(error, CallError::Unavailable { tries: 5, .. }), "{error}");
}

#[tokio::test]
async fn an_unknown_reservation_is_none() {
    let fake = Fake::start([Fail::Refuse(Code::NotFound, "UNKNOWN_RESERVATION")]).await;
    assert_eq!(client(&fake).get_reservation("R1").await.unwrap(), None);
}

#[tokio::test]
async fn nobody_there_means_nothing_done() {
    let error = Client::builder("127.0.0.1:1").retry(quick()).connect().unwrap().reserve(order("a")).await.unwrap_err();
    let CallError::Unavailable { last, .. } = error else { panic!("{error}") };
    assert_eq!(last.verdict, Verdict::NotDone);
}

#[tokio::test]
async fn a_dead_server_is_left_for_the_other() {
    let fake = Fake::start([]).await;
    let client = Client::builder("http://127.0.0.1:1").target(&fake.url()).retry(quick()).connections(2);
    let client = client.deadline(Duration::from_secs(30)).connect().unwrap();
    assert_eq!(client.connections(), 4);
    for at in 0..40 {
        reserved(&client, &format!("order-{at}")).await;
    }
    assert_eq!(fake.decided().len(), 40);
}

#[tokio::test]
async fn the_budget_keeps_retries_from_multiplying_the_load() {
    let fake = Fake::start(vec![Fail::Unavailable("OVERLOADED", Some(Duration::ZERO)); 1_000]).await;
    let retry = Retry { per_hundred_calls: 10, saved_max: 5, ..quick() };
    let client = Client::builder(&fake.url()).retry(retry).deadline(Duration::from_secs(30)).connect().unwrap();
    for at in 0..100 {
        client.reserve(order(&format!("order-{at}"))).await.unwrap_err();
    }
    let tries: usize = fake.tries().iter().map(|(_, tries)| tries).sum();
    // Five that were saved, and one for each ten of the hundred calls; the first calls earn nothing, because nothing is spent yet.
    assert!((113..=115).contains(&tries), "{tries}");
}

#[tokio::test]
async fn a_batch_keeps_its_ids_over_its_tries() {
    let fake = Fake::start([Fail::DecideAndCut]).await;
    let results = client(&fake).reserve_batch(vec![order("mine"), order("")]).await.unwrap();
    let ids: Vec<&str> = results.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!((ids[0], ids[1].len()), ("mine", 32));
    assert_eq!(fake.tries(), [(ids.join(" "), 2)]);
    assert!(results.iter().all(|(_, one)| matches!(one.result, Some(reserve_result::Result::Response(_)))));
}

#[tokio::test]
async fn calls_can_be_spawned() {
    let fake = Fake::start([]).await;
    let client = client(&fake);
    let own = client.clone();
    tokio::spawn(async move { own.reserve(order("a")).await }).await.unwrap().unwrap();
}

//! Batches and streams: every request is decided on its own, answers come in order.

use quartermaster_proto::v1::{self, reserve_result::Result as Outcome};
use tokio_stream::StreamExt;
use tonic::{Code, Status};

use super::support::{World, class, held, order, refused};

fn response(result: &v1::ReserveResult) -> &v1::ReserveResponse {
    match &result.result {
        Some(Outcome::Response(response)) => response,
        other => panic!("no response: {other:?}"),
    }
}

fn error(result: &v1::ReserveResult) -> &v1::ItemError {
    match &result.result {
        Some(Outcome::Error(error)) => error,
        other => panic!("no error: {other:?}"),
    }
}

#[tokio::test]
async fn one_bad_item_does_not_keep_the_others() {
    let world = World::with(&[("A", "L1", 5)]).await;
    let requests = vec![
        order("r1", &[("A", 3)]),
        order("r2", &[("A", 0)]),
        order("r3", &[("A", 3)]),
        order("r4", &[("Z", 1)]),
        order("r1", &[("A", 3)]),
        order("r1", &[("A", 1)]),
        order("r5", &[("A", 2)]),
    ];
    let batch = v1::ReserveBatchRequest { requests };
    let answer = world.allocation().reserve_batch(batch).await.unwrap().into_inner();
    let results = &answer.results;
    assert_eq!(results.len(), 7);
    let hold = held(response(&results[0]));
    let bad = error(&results[1]);
    assert_eq!((Code::from_i32(bad.code), bad.reason()), (Code::InvalidArgument, v1::ErrorReason::InvalidField));
    assert_eq!(bad.message, "lines[0].quantity: is 0; 1 to 4,294,967,295 are allowed");
    assert_eq!(refused(response(&results[2])).shortages[0].available, 2);
    let unknown = error(&results[3]);
    assert_eq!((Code::from_i32(unknown.code), unknown.reason()), (Code::NotFound, v1::ErrorReason::UnknownSku));
    assert_eq!((held(response(&results[4])), response(&results[4]).replayed), (hold, true));
    assert_eq!(error(&results[5]).reason(), v1::ErrorReason::RequestIdReused);
    assert_eq!(answer.position, response(&results[6]).position, "the newest position of the answers");
}

#[tokio::test]
async fn a_batch_of_ten_thousand_is_answered_in_order() {
    let world = World::with(&[("A", "L1", 9_000)]).await;
    let requests: Vec<_> = (0..10_000).map(|number| order(&format!("r{number}"), &[("A", 1)])).collect();
    let batch = v1::ReserveBatchRequest { requests: requests.clone() };
    let results = world.allocation().reserve_batch(batch).await.unwrap().into_inner().results;
    let lsns: Vec<u64> = results[..9_000].iter().map(|result| response(result).position.unwrap().lsn).collect();
    assert!(lsns.is_sorted_by(|one, other| one < other));
    assert!(results[9_000..].iter().all(|result| refused(response(result)).shortages[0].available == 0));

    for wrong in [0, 10_001] {
        let requests = requests.iter().cycle().take(wrong).cloned().collect();
        let status = world.allocation().reserve_batch(v1::ReserveBatchRequest { requests }).await.unwrap_err();
        assert_eq!(class(&status), (Code::InvalidArgument, "INVALID_FIELD".into()));
        let expected = format!("requests: has {wrong} entries; 1 to 10,000 requests are allowed");
        assert_eq!(status.message(), expected);
    }
}

#[tokio::test]
async fn a_stream_answers_every_message_in_order() {
    let world = World::with(&[("A", "L1", 150)]).await;
    let requests = |message: usize| {
        let ids = (0..3).map(move |item| format!("m{message}i{item}"));
        ids.map(|id| if id == "m7i1" { order("", &[]) } else { order(&id, &[("A", 1)]) }).collect()
    };
    let messages: Vec<_> = (0..100).map(|message| v1::ReserveStreamRequest { requests: requests(message) }).collect();
    let outbound = world.allocation().reserve_stream(tokio_stream::iter(messages)).await.unwrap().into_inner();
    let answers: Vec<Result<v1::ReserveStreamResponse, Status>> = outbound.collect().await;
    assert_eq!(answers.len(), 100);
    let results: Vec<v1::ReserveResult> = answers.into_iter().flat_map(|answer| answer.unwrap().results).collect();
    assert_eq!(results.len(), 300);
    assert_eq!(error(&results[22]).reason(), v1::ErrorReason::InvalidField, "the bad one, in its place");
    let good: Vec<_> = results.iter().enumerate().filter(|(place, _)| *place != 22).map(|(_, good)| good).collect();
    let ids: Vec<String> = good[..150].iter().map(|good| held(response(good)).reservation_id).collect();
    assert!(ids.is_sorted_by(|one, other| one < other), "decided in the order of the requests");
    assert!(good[150..].iter().all(|sold_out| refused(response(sold_out)).shortages.len() == 1));
}

#[tokio::test]
async fn answers_come_while_the_stream_is_open() {
    let world = World::with(&[("A", "L1", 5)]).await;
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let inbound = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut answers = world.allocation().reserve_stream(inbound).await.unwrap().into_inner();
    for number in 0..5 {
        let requests = vec![order(&format!("r{number}"), &[("A", 1)])];
        sender.send(v1::ReserveStreamRequest { requests }).await.unwrap();
        let answer = answers.message().await.unwrap().unwrap();
        held(response(&answer.results[0]));
    }
    drop(sender);
    assert!(answers.message().await.unwrap().is_none());
}

#[tokio::test]
async fn a_stream_ends_at_a_message_that_is_too_long() {
    let world = World::with(&[("A", "L1", 5)]).await;
    let good = v1::ReserveStreamRequest { requests: vec![order("r", &[("A", 1)])] };
    let bad = v1::ReserveStreamRequest { requests: vec![order("r", &[("A", 1)]); 1_001] };
    let messages = tokio_stream::iter([good.clone(), bad, good]);
    let mut answers = world.allocation().reserve_stream(messages).await.unwrap().into_inner();
    held(response(&answers.message().await.unwrap().unwrap().results[0]));
    let status = answers.message().await.unwrap_err();
    assert_eq!(class(&status), (Code::InvalidArgument, "INVALID_FIELD".into()));
    assert_eq!(status.message(), "requests: has 1001 entries; 1 to 1,000 requests are allowed");
}

//! Bytes that are no message of ours.

use bytes::{BufMut, Bytes, BytesMut};
use http::Request;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Body as _, Frame};
use prost::Message;
use quartermaster_proto::v1;
use tonic::{Code, Status, body::Body};
use tower::ServiceExt;

use super::support::{World, class, held, node, order};
use crate::grpc;

/// The status that a call with these bytes ends with.
async fn call(method: &str, message: &[u8], message_bytes_max: usize) -> Status {
    let (node, _dir) = node().await;
    let response =
        grpc::routes(&node, message_bytes_max).oneshot(request(method, vec![framed(message)])).await.unwrap();
    Status::from_header_map(response.headers()).expect("a status among the headers")
}

fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap());
    frame.put_slice(message);
    frame.freeze()
}

/// A call whose body comes in these pieces.
fn request(method: &str, pieces: Vec<Bytes>) -> Request<Body> {
    let pieces = pieces.into_iter().map(|piece| Ok::<_, Status>(Frame::data(piece)));
    Request::post(format!("http://host/quartermaster.v1.{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(StreamBody::new(tokio_stream::iter(pieces))))
        .unwrap()
}

/// The pieces of an answer's body.
async fn pieces(mut body: Body) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    while let Some(frame) = body.frame().await {
        pieces.extend(frame.unwrap().into_data().ok());
    }
    pieces
}

#[tokio::test]
async fn wrong_utf_8_is_the_callers_mistake() {
    // Field 1, a string of two bytes that are no UTF-8.
    let wrong = [0x0A, 0x02, 0xC3, 0x28];
    for method in ["AllocationService/Reserve", "InventoryService/SetStock", "InventoryService/ImportStock"] {
        let status = call(method, &wrong, 1 << 20).await;
        assert_eq!(class(&status), (Code::InvalidArgument, "INVALID_FIELD".into()), "{method}");
        assert!(status.message().contains("UTF-8"), "{}", status.message());
    }
}

#[tokio::test]
async fn broken_bytes_are_the_callers_mistake() {
    let status = call("CatalogService/UpsertSkus", &[0x0A, 0x7F, 0x41], 1 << 20).await;
    assert_eq!(class(&status), (Code::InvalidArgument, "INVALID_FIELD".into()));
}

#[tokio::test]
async fn a_message_that_is_too_long_is_told_the_limit() {
    let lines = vec![v1::ReserveLine { sku: "A".repeat(64), quantity: 1, ..Default::default() }; 20];
    let message = v1::ReserveRequest { request_id: "r".into(), lines, ..Default::default() };
    let status = call("AllocationService/Reserve", &message.encode_to_vec(), 1_000).await;
    assert_eq!(class(&status), (Code::InvalidArgument, "INVALID_FIELD".into()));
    assert!(status.message().ends_with("the limit is: 1000 bytes"), "{}", status.message());
}

#[tokio::test]
async fn other_statuses_pass_as_they_are() {
    let message = v1::GetReservationRequest { reservation_id: "0000000000100".into() };
    let status = call("AllocationService/GetReservation", &message.encode_to_vec(), 1_000).await;
    assert_eq!(class(&status), (Code::NotFound, "UNKNOWN_RESERVATION".into()));
}

/// One unreadable request spoils its batch: what stands before it is not decided.
#[tokio::test]
async fn an_unreadable_request_in_a_batch_changes_nothing() {
    let world = World::with(&[("A", "L1", 5)]).await;
    let good = v1::ReserveBatchRequest { requests: vec![order("r1", &[("A", 1)])] };
    // A request whose request_id is no UTF-8.
    let message = [good.encode_to_vec(), vec![0x0A, 0x04, 0x0A, 0x02, 0xC3, 0x28]].concat();
    let routes = grpc::routes(&world.node, 1 << 20);
    let response = routes.oneshot(request("AllocationService/ReserveBatch", vec![framed(&message)])).await.unwrap();
    let status = Status::from_header_map(response.headers()).expect("a status among the headers");
    assert_eq!(class(&status), (Code::InvalidArgument, "INVALID_FIELD".into()));
    assert!(status.message().contains("UTF-8"), "{}", status.message());
    assert_eq!(world.available("A").await, 5);
}

/// However the bytes of a call are cut, and whatever follows its message, it is the same call.
#[tokio::test]
async fn a_message_may_come_in_any_pieces() {
    let world = World::with(&[("A", "L1", 9)]).await;
    let call = |id: &str, cut: fn(Bytes) -> Vec<Bytes>| {
        let pieces = cut(framed(&order(id, &[("A", 1)]).encode_to_vec()));
        grpc::routes(&world.node, 1 << 20).oneshot(request("AllocationService/Reserve", pieces))
    };
    let cuts: [fn(Bytes) -> Vec<Bytes>; 5] = [
        |frame| vec![frame],
        |frame| vec![frame, Bytes::new()],
        |frame| vec![Bytes::new(), frame],
        |frame| vec![frame.slice(..3), frame.slice(3..9), frame.slice(9..)],
        |frame| vec![frame.clone(), frame],
    ];
    for (number, cut) in cuts.into_iter().enumerate() {
        let response = call(&format!("r{number}"), cut).await.unwrap();
        assert_eq!(response.body().size_hint().exact(), None, "no content-length");
        let answer = pieces(response.into_body()).await.concat();
        held(&v1::ReserveResponse::decode(&answer[5..]).unwrap());
    }
    assert_eq!(world.available("A").await, 4);
    let cut_off = call("r9", |frame| vec![frame.slice(..frame.len() - 1)]).await.unwrap();
    assert_eq!(Status::from_header_map(cut_off.headers()).unwrap().code(), Code::Internal);
    assert_eq!(world.available("A").await, 4);
}

/// Messages of a stream that are there together are answered together.
#[tokio::test]
async fn messages_that_came_together_are_answered_in_few_frames() {
    let world = World::with(&[("A", "L1", 900)]).await;
    let message = |number| v1::ReserveStreamRequest { requests: vec![order(&format!("r{number}"), &[("A", 1)])] };
    let inbound: Vec<Bytes> = (0..600).map(|number| framed(&message(number).encode_to_vec())).collect();
    let call = request("AllocationService/ReserveStream", vec![Bytes::from(inbound.concat())]);
    let response = grpc::routes(&world.node, 1 << 20).oneshot(call).await.unwrap();
    let pieces = pieces(response.into_body()).await;
    assert_eq!(pieces.len(), 3, "256 lines at most in one");
    let answers = crate::json::messages(&pieces.concat()).unwrap();
    assert_eq!(answers.len(), 600);
    let lsn = |answer: &Bytes| match v1::ReserveStreamResponse::decode(answer.clone()).unwrap().results.remove(0).result
    {
        Some(v1::reserve_result::Result::Response(response)) => {
            held(&response);
            response.position.unwrap().lsn
        }
        other => panic!("no response: {other:?}"),
    };
    let lsns: Vec<u64> = answers.iter().map(lsn).collect();
    assert!(lsns.is_sorted_by(|one, other| one < other));
}

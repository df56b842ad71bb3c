//! Bytes that are no message of ours.

use bytes::{BufMut, Bytes, BytesMut};
use http::Request;
use http_body_util::Full;
use prost::Message;
use quartermaster_proto::v1;
use tonic::{Code, Status, body::Body};
use tower::ServiceExt;

use super::support::{class, node};
use crate::grpc;

/// The status that a call with these bytes ends with.
async fn call(method: &str, message: &[u8], message_bytes_max: usize) -> Status {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap());
    frame.put_slice(message);
    let request = Request::post(format!("http://host/quartermaster.v1.{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(Full::<Bytes>::new(frame.freeze())))
        .unwrap();
    let (node, _dir) = node().await;
    let response = grpc::routes(&node, message_bytes_max).oneshot(request).await.unwrap();
    Status::from_header_map(response.headers()).expect("a status among the headers")
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

//! Every method by plain HTTP and JSON, and every way to get it wrong.

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use quartermaster_proto::v1::{GetStatusRequest, GetStatusResponse};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::fake::LSN;
use crate::running::{Running, config, http};

const RESERVE: &str = "/quartermaster.v1.AllocationService/Reserve";
const RESERVE_STREAM: &str = "/quartermaster.v1.AllocationService/ReserveStream";
const IMPORT: &str = "/quartermaster.v1.InventoryService/ImportStock";
const STATUS: &str = "/quartermaster.v1.AdminService/GetStatus";

#[tokio::test]
async fn a_unary_call_is_answered_by_the_proto3_json_mapping() {
    let running = Running::start(config()).await;
    let body = r#"{"requestId": "r1", "lines": [{"sku": "TEE", "location": "SHA1", "quantity": "3"}], "ttl": "90s"}"#;
    let answer = running.post(RESERVE, body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.head.contains("content-type: application/json"));
    assert_eq!(
        answer.json(),
        json!({
            "position": { "epoch": "3", "lsn": LSN.to_string() },
            "hold": {
                "reservationId": "r1",
                "expireTime": "2023-11-14T22:13:20.250Z",
                "allocations": [{ "sku": "TEE", "location": "SHA1", "quantity": "3" }],
            },
        })
    );
    // Names as in the proto, numbers as numbers, and no body at all are taken as well.
    let answer = running.post(RESERVE, r#"{"request_id": "r2", "lines": [{"sku": "TEE", "quantity": 3}]}"#).await;
    assert_eq!(answer.json()["hold"]["allocations"][0]["quantity"], "3");
    assert_eq!(running.post(STATUS, "").await.json()["cells"], "100000");
}

#[tokio::test]
async fn http2_and_protobuf_bodies_work_as_well() {
    let running = Running::start(config()).await;
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Full<Bytes>>();
    let uri = format!("http://{}{STATUS}", running.grpc);
    let request = Request::post(uri).header("content-type", "application/json; charset=utf-8");
    let answer = client.request(request.body(Full::from("{}")).unwrap()).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));
    assert!(answer.headers()["date"].to_str().unwrap().ends_with(" GMT"), "HTTP wants a date of whoever has a clock");
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["position"]["lsn"], LSN.to_string());

    let request = Request::post(format!("http://{}{STATUS}", running.grpc)).header("content-type", "application/proto");
    let message = prost::Message::encode_to_vec(&GetStatusRequest {});
    let answer = client.request(request.body(Full::from(message)).unwrap()).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/proto");
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let status: GetStatusResponse = prost::Message::decode(body).unwrap();
    assert_eq!(status.cells, 100_000);
}

#[tokio::test]
async fn an_error_status_keeps_code_reason_and_details() {
    let running = Running::start(config()).await;
    let answer = running.post(RESERVE, r#"{"requestId": "unknown-sku"}"#).await;
    assert_eq!(answer.status, 404);
    let error = answer.json();
    assert_eq!(error["code"], "not_found");
    assert_eq!(error["message"], "no active SKU TEE-RED-XL");
    assert_eq!(error["details"][0]["type"], "google.rpc.ErrorInfo");
    assert!(error["details"][0]["value"].as_str().is_some_and(|value| !value.is_empty()));
    assert_eq!(
        error["details"][0]["debug"],
        json!({ "reason": "UNKNOWN_SKU", "domain": "quartermaster", "metadata": { "sku": "TEE-RED-XL" } })
    );
    let error = running.post(RESERVE, "{}").await;
    assert_eq!(error.status, 400);
    let details = error.json()["details"].clone();
    let violations = details.as_array().unwrap().iter().find(|detail| detail["type"] == "google.rpc.BadRequest");
    assert_eq!(violations.unwrap()["debug"]["fieldViolations"][0]["field"], "request_id");
}

#[tokio::test]
async fn a_mistake_in_the_json_is_told_with_its_place() {
    let running = Running::start(config()).await;
    for (body, place, say) in [
        ("{\"requestId\": \"r\",\n \"colour\": 1}", ("2", "9"), "unrecognized field name 'colour'"),
        ("{\"requestId\": \"r\"", ("1", "17"), "EOF while parsing"),
        ("{\"lines\": [{\"quantity\": \"many\"}]}", ("1", "30"), "invalid digit"),
        ("{\"requestId\": 7}", ("1", "15"), "invalid type"),
        ("{} {}", ("1", "4"), "trailing characters"),
        ("[]", ("1", "0"), "invalid type: sequence"),
        ("\u{feff}{}", ("1", "1"), "expected value"),
    ] {
        let answer = running.post(RESERVE, body).await;
        assert_eq!(answer.status, 400, "{body:?} {answer:?}");
        let error = answer.json();
        assert_eq!(error["code"], "invalid_argument");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(say), "{body:?}: {message}");
        let info = error["details"].as_array().unwrap().iter().find(|detail| detail["type"] == "google.rpc.ErrorInfo");
        let info = &info.unwrap()["debug"];
        assert_eq!(info["reason"], "INVALID_FIELD");
        assert_eq!(
            (info["metadata"]["line"].as_str(), info["metadata"]["column"].as_str()),
            (Some(place.0), Some(place.1)),
            "{body:?}: {message}"
        );
        if body.contains("colour") {
            assert!(error["details"].to_string().contains("\"field\":\"colour\""), "{answer:?}");
        }
    }
    let answer =
        http(running.grpc, "POST", RESERVE, "content-type: application/json\r\n", b"{\"requestId\": \"\xff\"}").await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("line 1"), "{answer:?}");
}

#[tokio::test]
async fn streams_are_lines_or_an_array() {
    let running = Running::start(config()).await;
    let rows = |count: usize| json!({ "requestId": "i", "rows": vec![json!({ "sku": "S", "location": "L" }); count] });
    let lines = format!("{}\n{}\n\n{}\n", rows(2), rows(3), rows(0));
    let array = json!([rows(2), rows(3), rows(0)]).to_string();
    for body in [lines, array] {
        let answer = running.post(IMPORT, &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["rows"], "5");
    }

    let ask = |id: &str| json!({ "requests": [{ "requestId": id }] });
    let answer = running.post(RESERVE_STREAM, &format!("{}\n{}", ask("a"), ask("b"))).await;
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("content-type: application/x-ndjson"));
    let lines = answer.lines();
    assert_eq!(lines.len(), 2);
    assert_eq!(
        lines[1]["results"][0]["error"],
        json!({ "code": 5, "reason": "ERROR_REASON_UNKNOWN_SKU", "message": "b" })
    );

    let answer = running.post(RESERVE_STREAM, &json!([ask("a"), {}, ask("c")]).to_string()).await;
    let lines = answer.lines();
    assert_eq!(lines.len(), 2, "{answer:?}");
    assert_eq!(lines[1]["error"]["code"], "invalid_argument");

    // A mistake in the last line is found before the first is sent.
    let answer = running.post(RESERVE_STREAM, &format!("{}\n{{\"request\": []}}", ask("a"))).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("at line 2 column 10"), "{answer:?}");
}

#[tokio::test]
async fn bodies_beyond_their_limit_are_refused() {
    let limits =
        || quartermaster_server::config::Config { message_bytes_max: 4_096, json_stream_bytes_max: 8_192, ..config() };
    let running = Running::start(limits()).await;
    let long = format!("{{\"requestId\": \"{}\"}}", "x".repeat(4_096));
    let answer = running.post(RESERVE, &long).await;
    assert_eq!(answer.status, 429, "{answer:?}");
    assert!(answer.body.contains("4096 bytes"));
    let answer = running.post(IMPORT, &long).await;
    assert_eq!(answer.status, 429, "{answer:?}");
    assert!(answer.body.contains("a message of"), "{answer:?}");
    let answer = running.post(IMPORT, &"{}\n".repeat(3_000)).await;
    assert_eq!(answer.status, 429, "{answer:?}");
    let headers = "content-type: application/json\r\ncontent-encoding: gzip\r\n";
    assert_eq!(http(running.grpc, "POST", RESERVE, headers, b"{}").await.status, 501);
}

#[tokio::test]
async fn a_lost_caller_is_told_the_way() {
    let running = Running::start(config()).await;
    let index = running.get("/").await;
    assert_eq!(index.status, 200);
    for line in ["POST /quartermaster.v1.AllocationService/Reserve ", "curl", "stream of ImportStockRequest"] {
        assert!(index.body.contains(line), "{}", index.body);
    }
    let answer = running.get(RESERVE).await;
    assert_eq!(answer.status, 405);
    assert!(answer.head.contains("allow: post"));
    assert_eq!(http(running.grpc, "DELETE", "/", "", b"").await.status, 405);
    let answer = running.post("/quartermaster.v1.AllocationService/Steal", "{}").await;
    assert_eq!(answer.status, 404);
    assert!(answer.json()["message"].as_str().unwrap().contains(RESERVE));
    let answer = http(running.grpc, "POST", RESERVE, "content-type: text/xml\r\n", b"<a/>").await;
    assert_eq!(answer.status, 415);
    assert!(answer.body.contains("application/json"), "{answer:?}");
    let answer = running.post("/quartermaster.v1.AllocationService/Confirm", "{}").await;
    assert_eq!(
        (answer.status, answer.json()["code"].as_str().map(str::to_owned)),
        (501, Some("unimplemented".to_owned()))
    );
}

#[tokio::test]
async fn a_deadline_is_taken_in_either_spelling() {
    let running = Running::start(config()).await;
    for header in ["connect-timeout-ms: 20", "grpc-timeout: 20m"] {
        let headers = format!("content-type: application/json\r\n{header}\r\n");
        let answer = http(running.grpc, "POST", RESERVE, &headers, br#"{"requestId": "wait"}"#).await;
        assert_eq!(answer.status, 504, "{answer:?}");
        assert!(answer.body.contains("\"reason\":\"DEADLINE\""), "{answer:?}");
    }
    // The time runs from the arrival: a body that does not come ends it as well.
    let mut stream = TcpStream::connect(running.grpc).await.unwrap();
    let head = format!(
        "POST {RESERVE} HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\nconnect-timeout-ms: 20\r\n\
         content-length: 9\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 504");
    let headers = "content-type: application/json\r\nconnect-timeout-ms: soon\r\n";
    assert_eq!(http(running.grpc, "POST", RESERVE, headers, b"{}").await.status, 400);
}

//! Routing from outside: a quote as JSON, a sourced hold, and `why` of it after a restart.

use std::process::Command;

use quartermaster_proto::v1::{Sourcing, reserve_response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::{Server, allocation, order, stock};

/// A JSON call, and its answer.
async fn post(address: &str, method: &str, body: &str) -> serde_json::Value {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST /{method} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (from, to) = (answer.find('{').unwrap(), answer.rfind('}').unwrap());
    serde_json::from_str(&answer[from..=to]).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quote_a_hold_and_why() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let channel = server.channel().await;
    stock(&channel, 1, 5).await;
    let body = r#"{"lines": [{"sku": "S0", "quantity": 2}], "sourcing": {}, "explain": true}"#;
    let quote = post(&server.address, "quartermaster.v1.RoutingService/Route", body).await;
    let quote = &quote["quote"];
    assert_eq!(quote["plan"]["parcels"][0]["location"], "L", "{quote}");
    assert_eq!((&quote["plan"]["proof"], &quote["policy"]["name"]), (&"PROOF_STATE_PROVED".into(), &"default".into()));
    assert_eq!(quote["explanation"]["sentences"][0], "Ships in 1 parcel: L has all of it.");
    let wrong = r#"{"lines": [{"sku": "S0", "quantity": 2, "location": "L"}]}"#;
    let refused = post(&server.address, "quartermaster.v1.RoutingService/Route", wrong).await;
    assert_eq!(refused["code"], "invalid_argument", "{refused}");

    let message = quartermaster_proto::v1::ReserveRequest { sourcing: Some(Sourcing::default()), ..order("r", 0, 2) };
    let held = allocation(&channel).reserve(message).await.unwrap().into_inner();
    let Some(reserve_response::Outcome::Hold(hold)) = held.outcome else { panic!("{held:?}") };
    assert_eq!(hold.plan.unwrap().parcels[0].lines[0].quantity, 2);
    assert_eq!(server.stop(), Some(0));

    let server = Server::start(data.path());
    let why = Command::new(env!("CARGO_BIN_EXE_quartermaster"))
        .args(["why", &hold.reservation_id, "--target", &server.address])
        .output()
        .unwrap();
    let page = String::from_utf8(why.stdout).unwrap();
    for part in ["by policy default version 0", "Ships in 1 parcel: L has all of it.", "*  L         2 S0"] {
        assert!(page.contains(part), "{part} in\n{page}{}", String::from_utf8_lossy(&why.stderr));
    }
    assert_eq!(why.status.code(), Some(0));
    println!("{page}");
    let nobody = Command::new(env!("CARGO_BIN_EXE_quartermaster"))
        .args(["why", "0000000000100", "--target", &server.address])
        .output()
        .unwrap();
    assert_eq!(nobody.status.code(), Some(1));
    assert!(String::from_utf8(nobody.stderr).unwrap().contains("unknown reservation"));
    assert_eq!(server.stop(), Some(0));
}

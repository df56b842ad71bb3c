//! TLS on real sockets: both protocols, client certificates, new certificates, and peers that do not keep to it.

use std::fs;
use std::time::Duration;

use quartermaster_proto::v1::ReserveRequest;
use quartermaster_proto::v1::allocation_service_client::AllocationServiceClient;
use quartermaster_server::config::{ClientAuth, Config};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::transport::Channel;

use crate::pki::{Pki, ask};
use crate::running::{Running, http};

const RESERVE: &str = "POST /quartermaster.v1.AllocationService/Reserve HTTP/1.1\r\ncontent-type: application/json";

async fn reserve(channel: Channel, id: &str) -> Result<(), tonic::Status> {
    let request = ReserveRequest { request_id: id.to_owned(), ..Default::default() };
    AllocationServiceClient::new(channel).reserve(request).await.map(drop)
}

#[tokio::test]
async fn one_port_speaks_both_protocols_through_tls_and_nothing_in_the_clear() {
    let pki = Pki::new();
    let running = Running::start(Config { metrics_tls: true, ..pki.config() }).await;
    reserve(pki.channel(running.grpc, None).await.unwrap(), "one").await.unwrap();
    let (mut stream, _) = pki.connect(running.grpc).await.unwrap();
    let answer = ask(&mut stream, RESERVE, "{\"requestId\": \"two\"}").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(*running.fake.done.lock().unwrap(), ["one", "two"]);

    let mut plain = TcpStream::connect(running.grpc).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    let _reset = plain.read_to_end(&mut said).await;
    assert!(!said.starts_with(b"HTTP"), "{said:?}");

    let (mut page, _) = pki.connect(running.admin).await.unwrap();
    let page = ask(&mut page, "GET /metrics HTTP/1.1", "").await;
    assert!(page.contains("quartermaster_shed_total{cause=\"tls_handshake\"} 1\n"), "{page}");
    assert!(page.contains("quartermaster_tls_handshakes_total{result=\"failed\"} 1\n"));
    assert!(page.contains("quartermaster_tls_certificate_expiry_timestamp_seconds "));
}

#[tokio::test]
async fn who_does_not_shake_hands_is_closed_in_time_and_keeps_nobody_waiting() {
    let pki = Pki::new();
    let running = Running::start(Config { handshake_timeout: Duration::from_millis(200), ..pki.config() }).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(running.grpc).await.unwrap());
    }
    // The first bytes of a handshake, and no more.
    silent[0].write_all(&[22, 3, 1, 2]).await.unwrap();
    reserve(pki.channel(running.grpc, None).await.unwrap(), "in between").await.unwrap();
    for stream in &mut silent {
        let mut said = Vec::new();
        let _reset = stream.read_to_end(&mut said).await;
    }
    let page = running.scrape().await;
    assert!(page.contains("quartermaster_tls_handshakes_total{result=\"slow\"} 20\n"), "{page}");
    assert!(page.contains("quartermaster_tls_handshakes_total{result=\"ok\"} 1\n"));
    assert!(page.contains("quartermaster_shed_total{cause=\"tls_handshake\"} 20\n"));
}

#[tokio::test]
async fn only_who_shows_a_good_certificate_comes_in_where_one_is_required() {
    let (pki, other) = (Pki::new(), Pki::new());
    pki.sign("gateway-1");
    other.sign("gateway-1");
    let required = |client_auth| Config {
        metrics_tls: true,
        tls_client_auth: client_auth,
        tls_client_ca_file: Some(pki.path("ca.pem")),
        ..pki.config()
    };
    let strict = Running::start(required(ClientAuth::Required)).await;
    reserve(pki.channel(strict.grpc, Some("gateway-1")).await.unwrap(), "known").await.unwrap();
    // In TLS 1.3 a client learns only with its first read that it was not taken.
    let without = async { reserve(pki.channel(strict.grpc, None).await.ok()?, "without").await.ok() };
    assert!(without.await.is_none());
    // Trusts the server, and shows what another CA signed.
    fs::copy(other.path("gateway-1.pem"), pki.path("foreign.pem")).unwrap();
    fs::copy(other.path("gateway-1.key"), pki.path("foreign.key")).unwrap();
    let foreign = async { reserve(pki.channel(strict.grpc, Some("foreign")).await.ok()?, "foreign").await.ok() };
    assert!(foreign.await.is_none());
    assert_eq!(*strict.fake.done.lock().unwrap(), ["known"]);
    // An orchestrator's probes and a scraper have no certificate.
    let (mut page, _) = pki.connect(strict.admin).await.unwrap();
    assert!(ask(&mut page, "GET /readyz HTTP/1.1", "").await.starts_with("HTTP/1.1 200"));

    let lenient = Running::start(required(ClientAuth::Optional)).await;
    reserve(pki.channel(lenient.grpc, None).await.unwrap(), "without").await.unwrap();
    let foreign = async { reserve(pki.channel(lenient.grpc, Some("foreign")).await.ok()?, "foreign").await.ok() };
    assert!(foreign.await.is_none(), "what is shown must be good");
    assert_eq!(*lenient.fake.done.lock().unwrap(), ["without"]);
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_new_connections_while_old_ones_go_on() {
    let pki = Pki::new();
    let running = Running::start(pki.config()).await;
    let old = pki.channel(running.grpc, None).await.unwrap();
    reserve(old.clone(), "before").await.unwrap();
    let first = pki.der("server");
    assert_eq!(pki.connect(running.grpc).await.unwrap().1, first);

    pki.sign("server");
    running.security.tls.as_ref().unwrap().look();
    let second = pki.der("server");
    assert_ne!(second, first);
    assert_eq!(pki.connect(running.grpc).await.unwrap().1, second);
    reserve(old.clone(), "after").await.unwrap();

    pki.write("server.pem", "not a certificate");
    running.security.tls.as_ref().unwrap().look();
    assert_eq!(pki.connect(running.grpc).await.unwrap().1, second, "the one before stays");
    let page = running.scrape().await;
    assert!(page.contains("quartermaster_tls_reloads_total{result=\"ok\"} 1\n"), "{page}");
    assert!(page.contains("quartermaster_tls_reloads_total{result=\"error\"} 1\n"));
}

#[tokio::test]
async fn files_are_looked_at_without_being_asked() {
    let pki = Pki::new();
    let running = Running::start(Config { tls_reload_interval: Duration::from_secs(1), ..pki.config() }).await;
    pki.sign("server");
    let wanted = pki.der("server");
    while pki.connect(running.grpc).await.unwrap().1 != wanted {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The page in the clear is still there: it has a setting of its own.
    assert_eq!(http(running.admin, "GET", "/healthz", "", b"").await.status, 200);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_those_who_never_shook_hands() {
    let pki = Pki::new();
    let patient = Duration::from_secs(60);
    let running = Running::start(Config { handshake_timeout: patient, drain_grace: patient, ..pki.config() }).await;
    let mut silent = TcpStream::connect(running.grpc).await.unwrap();
    reserve(pki.channel(running.grpc, None).await.unwrap(), "it was accepted before this").await.unwrap();
    running.stopper.stop();
    assert_eq!(running.serving.await.unwrap().cut_off, 0);
    let mut said = Vec::new();
    let _reset = silent.read_to_end(&mut said).await;
    assert!(said.is_empty());
}

//! Who may call: tokens, certificates, roles, rates, on the wire of both protocols.

use std::time::Duration;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use quartermaster_proto::v1::allocation_service_client::AllocationServiceClient;
use quartermaster_proto::v1::{ReserveRequest, ReserveStreamRequest};
use quartermaster_server::config::{ClientAuth, Config};
use tokio_stream::StreamExt;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_types::StatusExt;

use crate::pki::Pki;
use crate::running::{Answer, Running, config, http};

/// HASH(TOKEN) stands for the hash of a token.
const TOKENS: &str = r#"
[[principal]]
name = "web"
sha256 = "HASH(gateway-token)"
roles = ["gateway"]

[[principal]]
name = "old"
sha256 = "HASH(old-token)"
roles = ["gateway"]
expires = 2001-01-01T00:00:00Z

[[principal]]
name = "slow"
sha256 = "HASH(slow-token)"
roles = ["gateway", "store"]
rate_limit = 1
rate_burst = 3

[[principal]]
name = "reports"
sha256 = "HASH(analyst-token)"
roles = ["analyst"]

[[principal]]
name = "store seven"
certificate = "store-7"
roles = ["store", "gateway"]
"#;

/// `text` with the hash of each TOKEN in HASH(TOKEN).
fn hashed(text: &str) -> String {
    let mut parts = text.split("HASH(");
    let mut written = parts.next().unwrap().to_owned();
    for part in parts {
        let (token, rest) = part.split_once(')').unwrap();
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
        written.extend(hash.as_ref().iter().map(|byte| format!("{byte:02x}")));
        written += rest;
    }
    written
}

async fn start(pki: &Pki, more: impl FnOnce(Config) -> Config) -> Running {
    let tokens = pki.write("tokens.toml", &hashed(TOKENS));
    Running::start(more(Config { tokens_file: Some(tokens), ..config() })).await
}

fn with<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

fn reserve(id: &str) -> ReserveRequest {
    ReserveRequest { request_id: id.to_owned(), ..Default::default() }
}

async fn json(running: &Running, method: &str, token: &str) -> Answer {
    let headers = format!("content-type: application/json\r\nauthorization: {token}\r\n");
    http(running.grpc, "POST", &format!("/quartermaster.v1.{method}"), &headers, b"{\"requestId\":\"j\"}").await
}

fn reason(status: &Status) -> String {
    status.get_error_details().error_info().map_or_else(String::new, |info| info.reason.clone())
}

#[tokio::test]
async fn a_call_says_who_makes_it_or_is_not_made() {
    let pki = Pki::new();
    let running = start(&pki, |config| config).await;
    let mut client = running.allocation().await;
    let missing = client.reserve(reserve("r")).await.unwrap_err();
    assert_eq!((missing.code(), reason(&missing).as_str()), (Code::Unauthenticated, "TOKEN_MISSING"));
    assert_eq!(missing.metadata().get("www-authenticate").unwrap(), "Bearer realm=\"quartermaster\"");
    for (token, expected) in [
        ("other-token", "TOKEN_UNKNOWN"),
        ("old-token", "TOKEN_EXPIRED"),
        ("a.b.c", "TOKEN_UNKNOWN"),
        (&"x".repeat(5_000), "TOKEN_MALFORMED"),
    ] {
        let denied = client.reserve(with(token, reserve("r"))).await.unwrap_err();
        assert_eq!((denied.code(), reason(&denied).as_str()), (Code::Unauthenticated, expected), "{token}");
        assert!(denied.metadata().get("www-authenticate").unwrap().to_str().unwrap().contains("invalid_token"));
        assert!(!denied.message().contains(token));
    }
    assert!(running.fake.done.lock().unwrap().is_empty());
    client.reserve(with("gateway-token", reserve("g"))).await.unwrap();

    let reserve_by_json = "AllocationService/Reserve";
    for (token, status, expected) in [
        ("", 401, "TOKEN_MALFORMED"),
        ("gateway-token", 401, "TOKEN_MALFORMED"),
        ("Basic Z2F0ZXdheQ==", 401, "TOKEN_MALFORMED"),
        ("Bearer nobody", 401, "TOKEN_UNKNOWN"),
        ("bearer gateway-token", 200, "j"),
    ] {
        let answer = json(&running, reserve_by_json, token).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.body.contains(expected), "{answer:?}");
        assert_eq!(answer.head.contains("www-authenticate: bearer"), status == 401, "{answer:?}");
    }
    assert_eq!(running.post("/quartermaster.v1.AllocationService/Reserve", "{}").await.status, 401);
    assert_eq!(*running.fake.done.lock().unwrap(), ["g", "j"]);
    let page = running.scrape().await;
    assert!(page.contains("quartermaster_auth_denied_total{reason=\"token_missing\"} 2\n"), "{page}");
    assert!(page.contains("quartermaster_auth_denied_total{reason=\"token_expired\"} 1\n"));
    assert!(page.contains("grpc_code=\"Unauthenticated\""), "denied calls are calls: {page}");
}

#[tokio::test]
async fn a_role_may_what_the_table_says() {
    let pki = Pki::new();
    let running = start(&pki, |config| config).await;
    let mut client = running.allocation().await;
    let denied = client.reserve(with("analyst-token", reserve("r"))).await.unwrap_err();
    assert_eq!((denied.code(), reason(&denied).as_str()), (Code::PermissionDenied, "ROLE_MISSING"));
    assert_eq!(denied.message(), "AllocationService/Reserve needs the role gateway, admin; this token has analyst");
    let answer = json(&running, "AdminService/GetStatus", "Bearer gateway-token").await;
    assert_eq!(answer.status, 403, "{answer:?}");
    assert!(answer.body.contains("needs the role operator, analyst, admin; this token has gateway"), "{answer:?}");
    assert_eq!(json(&running, "AdminService/TakeSnapshot", "Bearer analyst-token").await.status, 403);
    assert!(running.fake.done.lock().unwrap().is_empty());
}

#[tokio::test]
async fn health_is_free_and_what_describes_the_api_is_not() {
    let pki = Pki::new();
    let running = start(&pki, |config| Config { metrics_auth: true, ..config }).await;
    let mut health = HealthClient::new(running.channel().await);
    health.check(HealthCheckRequest::default()).await.unwrap();
    for path in ["/healthz", "/readyz"] {
        assert_eq!(http(running.admin, "GET", path, "", b"").await.status, 200);
    }
    let list = || {
        let message = MessageRequest::ListServices(String::new());
        tokio_stream::iter([ServerReflectionRequest { host: String::new(), message_request: Some(message) }])
    };
    let mut reflection = ServerReflectionClient::new(running.channel().await);
    let denied = reflection.server_reflection_info(list()).await.unwrap_err();
    assert_eq!(reason(&denied), "TOKEN_MISSING");
    let mut answers = reflection.server_reflection_info(with("analyst-token", list())).await.unwrap().into_inner();
    answers.next().await.unwrap().unwrap();
    for path in ["/", "/openapi.json"] {
        assert_eq!(running.get(path).await.status, 401, "{path}");
        assert_eq!(http(running.grpc, "GET", path, "authorization: Bearer gateway-token\r\n", b"").await.status, 200);
    }
    assert_eq!(http(running.grpc, "GET", "/nothing/here", "", b"").await.status, 401, "a stranger learns no paths");
    assert_eq!(
        http(running.grpc, "GET", "/nothing/here", "authorization: Bearer gateway-token\r\n", b"").await.status,
        404
    );

    for path in ["/metrics", "/status", "/status.json", "/slow", "/slow.json", "/nothing"] {
        assert_eq!(http(running.admin, "GET", path, "", b"").await.status, 401, "{path}");
    }
    assert_eq!(
        http(running.admin, "GET", "/metrics", "authorization: Bearer gateway-token\r\n", b"").await.status,
        403
    );
    assert_eq!(
        http(running.admin, "GET", "/metrics", "authorization: Bearer analyst-token\r\n", b"").await.status,
        200
    );
    let open = start(&pki, |config| Config { reflection_auth: false, ..config }).await;
    assert_eq!((open.get("/").await.status, open.get("/openapi.json").await.status), (200, 200));
}

#[tokio::test]
async fn a_client_certificate_may_say_who_calls() {
    let pki = Pki::new();
    pki.sign("store-7");
    pki.sign("store-8");
    let running = start(&pki, |config| Config {
        tls_client_auth: ClientAuth::Optional,
        tls_client_ca_file: Some(pki.path("ca.pem")),
        listen: config.listen,
        tokens_file: config.tokens_file,
        ..pki.config()
    })
    .await;
    let client = async |name| AllocationServiceClient::new(pki.channel(running.grpc, name).await.unwrap());
    client(Some("store-7")).await.reserve(reserve("by certificate")).await.unwrap();
    let denied = client(Some("store-8")).await.reserve(reserve("unknown")).await.unwrap_err();
    assert_eq!(reason(&denied), "TOKEN_MISSING", "good, and nobody's");
    assert_eq!(reason(&client(None).await.reserve(reserve("none")).await.unwrap_err()), "TOKEN_MISSING");
    // What a call shows goes before what its connection showed.
    let denied = client(Some("store-7")).await.reserve(with("analyst-token", reserve("token"))).await.unwrap_err();
    assert_eq!(reason(&denied), "ROLE_MISSING");
    assert_eq!(*running.fake.done.lock().unwrap(), ["by certificate"]);
}

#[tokio::test]
async fn a_caller_is_held_to_its_rate_and_may_always_finish() {
    let pki = Pki::new();
    let running = start(&pki, |config| config).await;
    let mut client = running.allocation().await;
    for id in ["1", "2", "3"] {
        client.reserve(with("slow-token", reserve(id))).await.unwrap();
    }
    let denied = client.reserve(with("slow-token", reserve("4"))).await.unwrap_err();
    assert_eq!((denied.code(), reason(&denied).as_str()), (Code::ResourceExhausted, "RATE_LIMITED"));
    let details = denied.get_error_details();
    let wait = details.retry_info().unwrap().retry_delay.unwrap();
    assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1), "{wait:?}");
    assert_eq!(details.quota_failure().unwrap().violations.len(), 1);
    // What finishes or frees has its own account; the fake does not know it, which is an answer.
    let confirm = client.confirm(with("slow-token", Default::default())).await.unwrap_err();
    assert_eq!(confirm.code(), Code::Unimplemented);
    for id in 0..20 {
        client.reserve(with("gateway-token", reserve(&format!("others {id}")))).await.unwrap();
    }
    // By JSON it is the same account.
    let answer = json(&running, "AllocationService/Reserve", "Bearer slow-token").await;
    assert_eq!(answer.status, 429, "{answer:?}");
}

#[tokio::test]
async fn without_tokens_a_network_is_a_caller() {
    let running = Running::start(Config { rate_limit_per_caller: 1, rate_burst_per_caller: 2, ..config() }).await;
    let mut client = running.allocation().await;
    for id in ["1", "2"] {
        client.reserve(reserve(id)).await.unwrap();
    }
    assert_eq!(reason(&client.reserve(reserve("3")).await.unwrap_err()), "RATE_LIMITED");
    let mut health = HealthClient::new(running.channel().await);
    for _ in 0..10 {
        health.check(HealthCheckRequest::default()).await.unwrap();
    }
    let stream = client.reserve_stream(tokio_stream::iter([ReserveStreamRequest::default()])).await;
    assert_eq!(reason(&stream.unwrap_err()), "RATE_LIMITED");
}

#[tokio::test]
async fn changed_tokens_are_in_force_at_the_next_look_and_bad_ones_never() {
    let pki = Pki::new();
    let running = start(&pki, |config| config).await;
    let mut client = running.allocation().await;
    client.reserve(with("gateway-token", reserve("1"))).await.unwrap();
    pki.write("tokens.toml", &hashed(TOKENS).replace("name = \"web\"", "nmae = \"web\""));
    running.security.gate.look();
    client.reserve(with("gateway-token", reserve("2"))).await.unwrap();
    pki.write("tokens.toml", &hashed(&TOKENS.replace("gateway-token", "new-token")));
    running.security.gate.look();
    assert_eq!(reason(&client.reserve(with("gateway-token", reserve("3"))).await.unwrap_err()), "TOKEN_UNKNOWN");
    client.reserve(with("new-token", reserve("4"))).await.unwrap();
    let page = running.scrape().await;
    assert!(page.contains("quartermaster_tokens_reloads_total{result=\"ok\"} 1\n"), "{page}");
    assert!(page.contains("quartermaster_tokens_reloads_total{result=\"error\"} 1\n"));
    // The order to reload asks first, and then takes.
    let config = Config {
        tokens_file: Some(pki.path("tokens.toml")),
        rate_limit_per_caller: 1,
        rate_burst_per_caller: 1,
        ..config()
    };
    for part in running.security.parts() {
        part.check(&config).unwrap();
        part.take(&config).unwrap();
    }
    client.reserve(with("new-token", reserve("5"))).await.unwrap();
    assert_eq!(reason(&client.reserve(with("new-token", reserve("6"))).await.unwrap_err()), "RATE_LIMITED");
    let off = Config { tokens_file: None, ..config };
    assert!(running.security.parts()[0].check(&off).unwrap_err().contains("restart"));
}

/// An issuer of JSON web tokens with one key, and the document with its public half.
fn issuer(id: &str) -> (EncodingKey, Header, String) {
    let pair = rcgen::KeyPair::generate().unwrap();
    let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
    let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
    jwk.common.key_id = Some(id.to_owned());
    let header = Header { kid: Some(id.to_owned()), ..Header::new(Algorithm::ES256) };
    (key, header, serde_json::json!({ "keys": [jwk] }).to_string())
}

fn claims(audience: &str, roles: &[&str]) -> serde_json::Value {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    serde_json::json!({ "iss": "https://id.example", "aud": audience, "sub": "anna", "exp": now + 600, "roles": roles })
}

#[tokio::test]
async fn tokens_of_an_issuer_are_taken_beside_those_of_the_file() {
    let pki = Pki::new();
    let (key, header, jwks) = issuer("k1");
    let keys = pki.write("jwks.json", &jwks);
    let running = start(&pki, |config| Config {
        jwt_issuer: Some("https://id.example".to_owned()),
        jwt_audience: Some("quartermaster".to_owned()),
        jwks_file: Some(keys),
        ..config
    })
    .await;
    let mut client = running.allocation().await;
    let good = encode(&header, &claims("quartermaster", &["gateway"]), &key).unwrap();
    client.reserve(with(&good, reserve("jwt"))).await.unwrap();
    client.reserve(with(&good, reserve("jwt again"))).await.unwrap();
    client.reserve(with("gateway-token", reserve("static"))).await.unwrap();
    let other = encode(&header, &claims("mail", &["gateway"]), &key).unwrap();
    assert_eq!(reason(&client.reserve(with(&other, reserve("x"))).await.unwrap_err()), "TOKEN_AUDIENCE");
    let reader = encode(&header, &claims("quartermaster", &["reader-of-mail"]), &key).unwrap();
    assert_eq!(reason(&client.reserve(with(&reader, reserve("x"))).await.unwrap_err()), "ROLE_MISSING");
    // The key is withdrawn: what it signed opens nothing, although it was taken before.
    pki.write("jwks.json", "half a document");
    running.security.gate.look();
    client.reserve(with(&good, reserve("keys stay"))).await.unwrap();
    pki.write("jwks.json", &issuer("k2").2);
    running.security.gate.look();
    assert_eq!(reason(&client.reserve(with(&good, reserve("x"))).await.unwrap_err()), "TOKEN_UNKNOWN");
    assert_eq!(*running.fake.done.lock().unwrap(), ["jwt", "jwt again", "static", "keys stay"]);
    let page = running.scrape().await;
    assert!(page.contains("quartermaster_jwks_fetches_total{result=\"ok\"} 2\n"), "{page}");
    assert!(page.contains("quartermaster_jwks_fetches_total{result=\"error\"} 1\n"));
}

#[tokio::test]
async fn a_start_without_the_issuer_serves_everybody_else() {
    let pki = Pki::new();
    let running = start(&pki, |config| Config {
        jwt_issuer: Some("https://id.example".to_owned()),
        jwt_audience: Some("quartermaster".to_owned()),
        // Nobody listens there.
        jwks_url: Some("http://127.0.0.1:1/jwks".to_owned()),
        ..config
    })
    .await;
    let (key, header, _) = issuer("k1");
    let mut client = running.allocation().await;
    let token = encode(&header, &claims("quartermaster", &["gateway"]), &key).unwrap();
    let denied = client.reserve(with(&token, reserve("x"))).await.unwrap_err();
    assert_eq!((denied.code(), reason(&denied).as_str()), (Code::Unavailable, "KEYS_UNAVAILABLE"));
    assert!(denied.get_error_details().retry_info().unwrap().retry_delay.unwrap() > Duration::ZERO);
    client.reserve(with("gateway-token", reserve("static"))).await.unwrap();
}

use std::sync::atomic::{AtomicUsize, Ordering};

use jsonwebtoken::Algorithm;
use parking_lot::Mutex;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::auth::jwt::tests::{Issuer, claims, config};
use crate::auth::rates::Rates;
use crate::auth::{Denial, digest_of};
use crate::shutdown;

/// A key server that answers as it is told, and counts.
struct KeyServer {
    url: String,
    says: Arc<Mutex<Says>>,
    asked: Arc<AtomicUsize>,
}

#[derive(Clone)]
enum Says {
    Body(Vec<u8>),
    Status(&'static str),
    Endless,
    Nothing,
}

impl KeyServer {
    async fn start(says: Says) -> KeyServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks", listener.local_addr().unwrap());
        let (says, asked) = (Arc::new(Mutex::new(says)), Arc::new(AtomicUsize::new(0)));
        let (told, count) = (Arc::clone(&says), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let says = told.lock().clone();
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let mut request = [0; 1_024];
                    let _read = stream.read(&mut request).await;
                    let (status, body) = match says {
                        Says::Body(body) => ("200 OK", body),
                        Says::Status(status) => (status, b"{}".to_vec()),
                        Says::Endless => ("200 OK", vec![b' '; 2 * BYTES_MAX]),
                        Says::Nothing => return std::future::pending().await,
                    };
                    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nlocation: /\r\n\r\n", body.len());
                    let _sent = stream.write_all(head.as_bytes()).await;
                    let _sent = stream.write_all(&body).await;
                });
            }
        });
        KeyServer { url, says, asked }
    }

    fn say(&self, says: Says) {
        *self.says.lock() = says;
    }
}

fn pace(refresh: u64, least: u64) -> Pace {
    let millis = Duration::from_millis;
    Pace { refresh: millis(refresh), least: millis(least), patience: millis(200) }
}

fn ask(jwt: &Jwt, token: &str) -> Result<(), Denial> {
    let from = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    jwt.verify(token, &digest_of(token.as_bytes()), crate::auth::now(), (&Rates::new(), from)).map(drop)
}

/// Asks until the answer is `wanted`; a test that waits for ever is ended from outside.
async fn until(jwt: &Jwt, token: &str, wanted: &Result<(), Denial>) {
    while ask(jwt, token) != *wanted {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn an_outage_leaves_the_keys_that_are_there_and_ends_by_itself() {
    let (first, second) = (Issuer::new("k1", Algorithm::ES256), Issuer::new("k2", Algorithm::ES256));
    let (one, two) = (first.token(&claims(&json!({}))), second.token(&claims(&json!({}))));
    let server = KeyServer::start(Says::Nothing).await;
    let jwt = Arc::new(Jwt::of(&config()).unwrap());
    let figures = Arc::new(Figures::default());
    let (stopper, stop) = shutdown::order();
    let keeping = tokio::spawn(keep(server.url.clone(), Arc::clone(&jwt), Arc::clone(&figures), pace(50, 10), stop));
    // A server that says nothing: given up in bounded time, and asked again.
    while figures.keys().0[1] < 2 {
        assert_eq!(ask(&jwt, &one), Err(Denial::KeysUnavailable));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.say(Says::Body(first.jwks()));
    until(&jwt, &one, &Ok(())).await;
    let bad = [Says::Body(b"<html>".to_vec()), Says::Status("302 Found"), Says::Status("500 Oops"), Says::Endless];
    for bad in bad {
        let failures = figures.keys().0[1];
        server.say(bad);
        while figures.keys().0[1] < failures + 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(ask(&jwt, &one), Ok(()), "the keys from before stay");
    }
    assert!(figures.keys().1 == 1 && figures.keys().2 > 0);
    server.say(Says::Body(second.jwks()));
    until(&jwt, &two, &Ok(())).await;
    assert_eq!(ask(&jwt, &one), Err(Denial::TokenUnknown), "its key is withdrawn");
    stopper.stop();
    keeping.await.unwrap();
}

#[tokio::test]
async fn a_key_nobody_knows_is_looked_for_at_once_but_not_at_every_call() {
    let (first, second) = (Issuer::new("k1", Algorithm::EdDSA), Issuer::new("k2", Algorithm::EdDSA));
    let (one, two) = (first.token(&claims(&json!({}))), second.token(&claims(&json!({}))));
    let server = KeyServer::start(Says::Body(first.jwks())).await;
    let jwt = Arc::new(Jwt::of(&config()).unwrap());
    let figures = Arc::new(Figures::default());
    let (stopper, stop) = shutdown::order();
    let keeping = tokio::spawn(keep(server.url.clone(), Arc::clone(&jwt), figures, pace(3_600_000, 300), stop));
    until(&jwt, &one, &Ok(())).await;
    let began = Instant::now();
    server.say(Says::Body(second.jwks()));
    until(&jwt, &two, &Ok(())).await;
    assert!(began.elapsed() < Duration::from_secs(60), "long before the next regular read");
    // A flood of unknown keys asks the issuer no more often than it may.
    let (asked, began) = (server.asked.load(Ordering::SeqCst), Instant::now());
    while began.elapsed() < Duration::from_millis(900) {
        assert_eq!(ask(&jwt, &one), Err(Denial::TokenUnknown));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let most = usize::try_from(began.elapsed().as_millis() / 300).unwrap() + 1;
    let more = server.asked.load(Ordering::SeqCst) - asked;
    assert!((1..=most).contains(&more), "{more} reads, {most} at most");
    stopper.stop();
    keeping.await.unwrap();
}

#[tokio::test]
async fn nobody_at_the_address_is_an_error_and_no_more() {
    let error = fetch("http://127.0.0.1:1/jwks").await.unwrap_err();
    assert!(!error.is_empty());
    assert!(fetch("no address").await.is_err());
}

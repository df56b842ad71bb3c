//! Reads the issuer's public keys in the background: from a file or by HTTP. Whatever goes wrong leaves the keys that are there, is told once,
//! and is over in bounded time. No call ever waits for it.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::{Instant, sleep_until, timeout};

use super::AuthError;
use super::jwt::Jwt;
use super::keys::Keys;
use crate::config::Config;
use crate::security::Figures;
use crate::shutdown::Stop;

/// Largest document that is read.
const BYTES_MAX: usize = 1 << 20;

/// When keys are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// After a read.
    pub(super) refresh: Duration,
    /// Least time between two reads, whatever tokens name.
    pub(super) least: Duration,
    /// Longest time of one.
    pub(super) patience: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { refresh: Duration::from_secs(600), least: Duration::from_secs(30), patience: Duration::from_secs(10) }
    }
}

/// Where the keys are.
#[derive(Clone, Debug)]
pub(super) enum From {
    File(PathBuf),
    Address(String),
}

impl From {
    pub(super) fn of(config: &Config) -> Option<From> {
        let file = config.jwks_file.clone().map(From::File);
        file.or_else(|| config.jwks_url.clone().map(From::Address))
    }

    fn name(&self) -> String {
        match self {
            From::File(path) => format!("jwks_file {}", path.display()),
            From::Address(url) => format!("jwks_url {url}"),
        }
    }
}

/// The keys of the file at `path`.
pub(super) fn read(path: &PathBuf) -> Result<Keys, AuthError> {
    let text = fs::read(path).map_err(|source| AuthError::Read { key: "jwks_file", path: path.clone(), source })?;
    parse(&From::File(path.clone()), &text)
}

fn parse(from: &From, text: &[u8]) -> Result<Keys, AuthError> {
    Keys::parse(text).map_err(|problem| AuthError::Keys { from: from.name(), problem })
}

/// Fetches keys from `url` for `jwt` until `stop`.
pub(super) async fn keep(url: String, jwt: Arc<Jwt>, figures: Arc<Figures>, pace: Pace, mut stop: Stop) {
    let from = From::Address(url.clone());
    let mut failing = false;
    loop {
        let began = Instant::now();
        let fetched = tokio::select! {
            () = stop.ordered() => return,
            fetched = timeout(pace.patience, fetch(&url)) => fetched,
        };
        let late = || format!("it took longer than {} s", pace.patience.as_secs_f32());
        let keys = fetched
            .unwrap_or_else(|_| Err(late()))
            .and_then(|text| parse(&from, &text).map_err(|error| error.to_string()));
        figures.keys_read(keys.as_ref().ok().map(Keys::len), super::now());
        match keys {
            Ok(keys) => {
                if failing {
                    tracing::info!(url, keys = keys.len(), "the issuer's keys can be read again");
                }
                failing = false;
                jwt.take_keys(keys);
            }
            Err(error) => {
                if !failing {
                    tracing::error!(
                        url,
                        error,
                        "the issuer's keys cannot be read; those from before stay, and it is tried again"
                    );
                }
                failing = true;
            }
        }
        let (soonest, latest) = (began + pace.least, began + pace.refresh);
        tokio::select! {
            () = stop.ordered() => return,
            () = sleep_until(if failing { soonest } else { latest }) => {}
            () = async { jwt.wanted.notified().await; sleep_until(soonest).await } => {}
        }
    }
}

async fn fetch(url: &str) -> Result<Bytes, String> {
    let address: Uri = url.parse().map_err(|error| format!("it is no address: {error}"))?;
    let provider = aws_lc_rs::default_provider();
    let builder = HttpsConnectorBuilder::new();
    // Loopback needs no roots, and a machine may have none.
    let connector = if address.scheme_str() == Some("https") {
        builder.with_provider_and_native_roots(provider).map_err(|error| format!("this machine's CAs: {error}"))?
    } else {
        let tls = ClientConfig::builder_with_provider(Arc::new(provider)).with_safe_default_protocol_versions();
        let tls = tls.map_err(|error| error.to_string())?;
        builder.with_tls_config(tls.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
    };
    let client = Client::builder(TokioExecutor::new()).build(connector.https_or_http().enable_http1().build());
    let request = Request::get(address).header("accept", "application/json").body(Empty::<Bytes>::new());
    let request = request.map_err(|error| error.to_string())?;
    let answer = client.request(request).await.map_err(|error| crate::causes::with_causes(&error))?;
    if answer.status() != 200 {
        return Err(format!("it answers {}; redirects are not followed", answer.status()));
    }
    let body = Limited::new(answer.into_body(), BYTES_MAX).collect().await;
    body.map(|body| body.to_bytes()).map_err(|error| format!("its body: {error}"))
}

#[cfg(test)]
mod tests;

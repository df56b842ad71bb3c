//! What keeps strangers out, as settings that belong together: each needs the others, and an address beyond loopback needs all.

use std::net::{IpAddr, SocketAddr};

use http::Uri;

use super::error::ConfigError;
use super::load::{Loaded, Origin};
use super::{ClientAuth, Config};

impl Config {
    /// Whether calls must prove who makes them.
    pub fn authenticates(&self) -> bool {
        self.tokens_file.is_some() || self.jwt_issuer.is_some()
    }

    /// Addresses that other machines can reach without TLS or without authentication, by key; what is missing, and the keys that set it.
    fn open_doors(&self) -> impl Iterator<Item = Door> {
        let calls = (self.tls_cert_file.is_some(), self.authenticates());
        let page = (self.metrics_tls, self.metrics_auth);
        let doors = [
            ("listen", self.listen, missing(calls, CALLS)),
            ("metrics_listen", self.metrics_listen, missing(page, PAGE)),
        ];
        let open = doors.into_iter().filter(|(_, address, _)| !address.ip().is_loopback());
        open.filter_map(|(key, address, missing)| missing.map(|missing| (key, address, missing)))
    }
}

impl Loaded {
    /// Warns of every address that is open to all. Only with --insecure-public does a server get so far.
    pub(super) fn warn_of_open_doors(&self) {
        for (key, address, (missing, _)) in self.config.open_doors() {
            tracing::warn!(
                target: "quartermaster_server::config", key, %address,
                "INSECURE: {missing} not set, and --insecure-public lets whoever reaches this address do everything"
            );
        }
    }
}

type Missing = (&'static str, &'static str);
type Door = (&'static str, SocketAddr, Missing);

/// What is missing without TLS and authentication, without TLS, and without authentication.
const CALLS: [Missing; 3] = [
    ("TLS and authentication are", "tls_cert_file and tls_key_file, and tokens_file or jwt_issuer"),
    ("TLS is", "tls_cert_file and tls_key_file"),
    ("authentication is", "tokens_file or jwt_issuer"),
];
const PAGE: [Missing; 3] = [
    ("TLS and authentication of the metrics page are", "metrics_tls = true and metrics_auth = true"),
    ("TLS of the metrics page is", "metrics_tls = true"),
    ("authentication of the metrics page is", "metrics_auth = true"),
];

fn missing((tls, authentication): (bool, bool), of: [Missing; 3]) -> Option<Missing> {
    match (tls, authentication) {
        (true, true) => None,
        (false, false) => Some(of[0]),
        (false, true) => Some(of[1]),
        (true, false) => Some(of[2]),
    }
}

/// The first setting that lacks another.
pub(super) fn check(
    config: &Config,
    insecure_public: bool,
    origin: &dyn Fn(&str) -> Origin,
) -> Result<(), ConfigError> {
    let (tls, authenticates) = (config.tls_cert_file.is_some(), config.authenticates());
    let needs = |wrong: bool, key: &'static str, what: &str| match wrong {
        false => Ok(()),
        true => Err(ConfigError::Needs { key, origin: origin(key), needs: what.to_owned() }),
    };
    needs(tls && config.tls_key_file.is_none(), "tls_cert_file", "its private key: set tls_key_file")?;
    needs(config.tls_key_file.is_some() && !tls, "tls_key_file", "its certificate: set tls_cert_file")?;
    let asks = config.tls_client_auth != ClientAuth::Off;
    let has_ca = config.tls_client_ca_file.is_some();
    needs(asks && !tls, "tls_client_auth", "TLS: set tls_cert_file and tls_key_file")?;
    needs(asks && !has_ca, "tls_client_auth", "the CAs that sign client certificates: set tls_client_ca_file")?;
    needs(has_ca && !asks, "tls_client_ca_file", "tls_client_auth to be \"optional\" or \"required\"")?;
    needs(config.metrics_tls && !tls, "metrics_tls", "TLS: set tls_cert_file and tls_key_file")?;
    needs(config.metrics_auth && !authenticates, "metrics_auth", "tokens to know: set tokens_file or jwt_issuer")?;
    let (issuer, audience) = (config.jwt_issuer.is_some(), config.jwt_audience.is_some());
    needs(issuer && !audience, "jwt_issuer", "jwt_audience: tokens of the issuer for others must not pass here")?;
    needs(audience && !issuer, "jwt_audience", "jwt_issuer")?;
    let (url, file) = (config.jwks_url.as_deref(), config.jwks_file.is_some());
    needs(issuer && url.is_none() && !file, "jwt_issuer", "its public keys: set jwks_url or jwks_file")?;
    needs(url.is_some() && !issuer, "jwks_url", "jwt_issuer and jwt_audience")?;
    needs(file && !issuer, "jwks_file", "jwt_issuer and jwt_audience")?;
    needs(url.is_some() && file, "jwks_url", "jwks_file not to be set: keys come from one place")?;
    let plain = url.is_some_and(|url| !is_private(url));
    needs(plain, "jwks_url", "to be an https address, or http on loopback: keys that came in the clear prove nothing")?;
    match config.open_doors().next() {
        Some((key, address, (missing, missing_keys))) if !insecure_public => {
            Err(ConfigError::Public { key, address, origin: origin(key), missing, missing_keys })
        }
        _ => Ok(()),
    }
}

/// Whether what comes from `url` cannot have been changed on its way.
fn is_private(url: &str) -> bool {
    let Ok(url) = url.parse::<Uri>() else { return false };
    let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let is_loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match url.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => is_loopback,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_by_tls_or_from_this_machine() {
        for url in ["https://id.example/jwks", "http://127.0.0.1:9/k", "http://[::1]/k", "http://localhost:1/k"] {
            assert!(is_private(url), "{url}");
        }
        for url in ["http://id.example/jwks", "ftp://127.0.0.1/k", "id.example", "", "https://", "http://10.0.0.1/k"] {
            assert!(!is_private(url), "{url}");
        }
    }
}

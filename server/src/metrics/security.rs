//! Names and explains the figures of TLS, tokens and keys.

use super::page::Page;
use crate::auth::Denial;
use crate::security::Figures;

/// How a read of a file or a fetch ended.
const RESULTS: [&str; 2] = ["ok", "error"];

pub(super) fn publish(figures: &Figures, page: &mut Page) {
    if figures.expires() != 0 {
        page.gauge(
            "quartermaster_tls_certificate_expiry_timestamp_seconds",
            "When the certificate in force ends, in seconds since 1970.",
        );
        page.single(figures.expires());
        page.counter(
            "quartermaster_tls_reloads_total",
            "Changed certificates that were read, by whether they could be used.",
        );
        by(RESULTS, figures.reloads(), page);
        page.counter("quartermaster_tls_handshakes_total", "TLS handshakes, by how they ended.");
        for (result, count) in ["ok", "failed", "slow"].into_iter().zip(figures.handshakes()) {
            page.sample(&[("result", result)], count);
        }
    }
    page.counter("quartermaster_auth_denied_total", "Calls that were not let in by who made them, by reason.");
    for (reason, count) in Denial::REASONS.into_iter().zip(figures.denials()) {
        page.sample(&[("reason", reason)], count);
    }
    page.counter(
        "quartermaster_tokens_reloads_total",
        "Changed token files that were read, by whether they could be used.",
    );
    by(RESULTS, figures.tokens_reloads(), page);
    let (fetches, keys, at) = figures.keys();
    page.counter("quartermaster_jwks_fetches_total", "Reads of the issuer's public keys, by result.");
    by(RESULTS, fetches, page);
    page.gauge("quartermaster_jwks_keys", "Public keys of the issuer that can be used.");
    page.single(keys);
    if at != 0 {
        page.gauge("quartermaster_jwks_read_timestamp_seconds", "When these keys were read, in seconds since 1970.");
        page.single(at);
    }
}

fn by(results: [&str; 2], counts: [u64; 2], page: &mut Page) {
    for (result, count) in results.into_iter().zip(counts) {
        page.sample(&[("result", result)], count);
    }
}

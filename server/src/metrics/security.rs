//! Figures of TLS, tokens and keys.

use super::families::{self, Family};
use super::page::Page;
use crate::auth::Denial;
use crate::security::Figures;

/// How a read of a file or a fetch ended.
const RESULTS: [&str; 2] = ["ok", "error"];

pub(super) fn publish(figures: &Figures, page: &mut Page) {
    page.open(&families::TLS_EXPIRY);
    if figures.expires() != 0 {
        page.sample(&[], figures.expires());
    }
    by_result(&families::TLS_RELOADS, figures.reloads(), page);
    page.open(&families::TLS_HANDSHAKES);
    for (result, count) in ["ok", "failed", "slow"].into_iter().zip(figures.handshakes()) {
        page.sample(&[("result", result)], count);
    }
    page.open(&families::AUTH_DENIED);
    for (reason, count) in Denial::REASONS.into_iter().zip(figures.denials()) {
        page.sample(&[("reason", reason)], count);
    }
    by_result(&families::TOKENS_RELOADS, figures.tokens_reloads(), page);
    let (fetches, keys, at) = figures.keys();
    by_result(&families::JWKS_FETCHES, fetches, page);
    page.one(&families::JWKS_KEYS, keys);
    page.open(&families::JWKS_READ);
    if at != 0 {
        page.sample(&[], at);
    }
}

fn by_result(family: &'static Family, counts: [u64; 2], page: &mut Page) {
    page.open(family);
    for (result, count) in RESULTS.into_iter().zip(counts) {
        page.sample(&[("result", result)], count);
    }
}

//! JSON web tokens (RFC 7519) of one issuer: signed by one of its keys with an asymmetric algorithm, meant for this audience, in their time.
//!
//! A token that was found good is remembered by its hash until it ends, so that a call costs no signature check; when the keys change,
//! nothing is remembered, so that a key which was withdrawn opens nothing any more. Failed checks are booked on the network they come from:
//! a flood of bad signatures is refused before it is computed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use parking_lot::RwLock;
use serde_json::{Map, Value};
use tokio::sync::Notify;

use super::keys::Keys;
use super::principal::{Bound, Principal, Rate, Role, problem_with_name};
use super::rates::Rates;
use super::tokens::JWT_PREFIX;
use super::{Denial, Digest};
use crate::config::Config;

/// Algorithms that are taken, whatever a token says of itself.
const ALGORITHMS: [Algorithm; 4] = [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA];

/// Seconds by which the clocks of issuer and server may differ.
const LEEWAY_SECONDS: u64 = 30;

/// Good tokens remembered: more than there are gateways, and two megabytes.
const REMEMBERED_MAX: usize = 10_000;

/// Failed checks of one network: then it is refused without a check until some time has passed.
const FAILURES: Rate = Rate { per_second: 10, burst: 200 };

/// Checks the tokens of one issuer.
pub(super) struct Jwt {
    issuer: String,
    audience: String,
    name_claim: String,
    roles_claim: String,
    channels_claim: String,
    locations_claim: String,
    keys: ArcSwap<Keys>,
    /// Good tokens by their hash. Held for one look-up or one entry.
    good: RwLock<HashMap<Digest, Arc<Principal>>>,
    /// Rung when a token names a key that is not there.
    pub(super) wanted: Notify,
}

impl Jwt {
    /// As `config` says, without keys yet; none when it names no issuer.
    pub(super) fn of(config: &Config) -> Option<Jwt> {
        Some(Jwt {
            issuer: config.jwt_issuer.clone()?,
            audience: config.jwt_audience.clone()?,
            name_claim: config.jwt_name_claim.clone(),
            roles_claim: config.jwt_roles_claim.clone(),
            channels_claim: config.jwt_channels_claim.clone(),
            locations_claim: config.jwt_locations_claim.clone(),
            keys: ArcSwap::default(),
            good: RwLock::default(),
            wanted: Notify::new(),
        })
    }

    /// From now on these are the issuer's keys.
    pub(super) fn take_keys(&self, keys: Keys) {
        self.keys.store(Arc::new(keys));
        self.good.write().clear();
    }

    /// Whose token this is.
    pub(super) fn verify(
        &self,
        token: &str,
        digest: &Digest,
        now: u64,
        (rates, network): (&Rates, IpAddr),
    ) -> Result<Arc<Principal>, Denial> {
        if let Some(principal) = self.good.read().get(digest) {
            return Ok(Arc::clone(principal));
        }
        let place = rates.place(("failed tokens", network));
        let failed = |denial: Denial| match rates.charge(place, FAILURES, 1) {
            Ok(()) => denial,
            Err(retry_after) => Denial::Rate { rate: FAILURES.per_second, burst: FAILURES.burst, retry_after },
        };
        if let Err(retry_after) = rates.charge(place, FAILURES, 0) {
            return Err(Denial::Rate { rate: FAILURES.per_second, burst: FAILURES.burst, retry_after });
        }
        let keys = self.keys.load();
        let claims = self.claims(token, &keys).map_err(failed)?;
        let principal = Arc::new(self.principal(&claims).map_err(failed)?);
        // Checked again at every call, the leeway included; a token that is over is not worth a place.
        if principal.expires_at.is_some_and(|end| end > now) {
            self.remember(*digest, &principal, now, &keys);
        }
        Ok(principal)
    }

    fn remember(&self, digest: Digest, principal: &Arc<Principal>, now: u64, keys: &Arc<Keys>) {
        let mut good = self.good.write();
        // Keys that came while the token was checked may not have the one that it was checked with.
        if !Arc::ptr_eq(keys, &self.keys.load()) {
            return;
        }
        if good.len() >= REMEMBERED_MAX {
            good.retain(|_, principal| principal.expires_at.is_some_and(|end| end > now));
            if good.len() >= REMEMBERED_MAX {
                good.clear();
            }
        }
        good.insert(digest, Arc::clone(principal));
    }

    fn claims(&self, token: &str, keys: &Keys) -> Result<Map<String, Value>, Denial> {
        let header = decode_header(token).map_err(|_| Denial::TokenMalformed)?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(Denial::TokenUnknown);
        }
        if keys.is_empty() {
            self.wanted.notify_one();
            return Err(Denial::KeysUnavailable);
        }
        let Some(key) = keys.find(header.kid.as_deref(), header.alg) else {
            self.wanted.notify_one();
            return Err(Denial::TokenUnknown);
        };
        let mut validation = Validation::new(header.alg);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        let decoded = decode::<Map<String, Value>>(token, key, &validation).map_err(|error| match error.kind() {
            ErrorKind::ExpiredSignature => Denial::TokenExpired,
            ErrorKind::ImmatureSignature => Denial::TokenEarly,
            ErrorKind::InvalidIssuer => Denial::TokenIssuer,
            ErrorKind::InvalidAudience => Denial::TokenAudience,
            ErrorKind::MissingRequiredClaim(claim) | ErrorKind::InvalidClaimFormat(claim) => {
                Denial::TokenClaims { claim: claim.clone() }
            }
            ErrorKind::InvalidToken | ErrorKind::Base64(_) | ErrorKind::Json(_) | ErrorKind::Utf8(_) => {
                Denial::TokenMalformed
            }
            _ => Denial::TokenUnknown,
        })?;
        Ok(decoded.claims)
    }

    fn principal(&self, claims: &Map<String, Value>) -> Result<Principal, Denial> {
        let wrong = |claim: &str| Denial::TokenClaims { claim: claim.to_owned() };
        let named = claim(claims, &self.name_claim).and_then(Value::as_str);
        let name = named.map(|name| format!("{JWT_PREFIX}{name}")).filter(|name| name.len() > JWT_PREFIX.len());
        let name = name.filter(|name| problem_with_name(name).is_none()).ok_or_else(|| wrong(&self.name_claim))?;
        let roles = words(claims, &self.roles_claim)?.unwrap_or_default();
        // Others than ours are for other servers of the same issuer.
        let roles: Vec<Role> = roles.iter().filter_map(|name| name.parse().ok()).collect();
        let bound = |claim: &str| words(claims, claim).map(|codes| codes.map_or_else(Bound::default, Bound::to));
        let end = claims.get("exp").and_then(|end| end.as_u64().or_else(|| whole(end))).ok_or_else(|| wrong("exp"))?;
        Ok(Principal {
            name,
            roles: roles.iter().collect(),
            channels: bound(&self.channels_claim)?,
            locations: bound(&self.locations_claim)?,
            expires_at: Some(end.saturating_add(LEEWAY_SECONDS)),
            rate: None,
        })
    }
}

/// A claim by its name, or by its path through objects where no claim has the whole path as its name.
fn claim<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    claim(claims.get(first)?.as_object()?, rest)
}

/// A list of texts, or a text of words; none when there is no such claim.
fn words(claims: &Map<String, Value>, path: &str) -> Result<Option<Vec<String>>, Denial> {
    let wrong = || Denial::TokenClaims { claim: path.to_owned() };
    match claim(claims, path) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.split_whitespace().map(str::to_owned).collect())),
        Some(Value::Array(values)) => {
            let texts = values.iter().map(|value| value.as_str().map(str::to_owned).ok_or_else(wrong));
            texts.collect::<Result<Vec<_>, _>>().map(Some)
        }
        Some(_) => Err(wrong()),
    }
}

/// Some issuers write times with a fraction; it is cut off.
fn whole(number: &Value) -> Option<u64> {
    number.to_string().split('.').next()?.parse().ok()
}

#[cfg(test)]
pub(super) mod tests;

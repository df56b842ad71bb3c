//! Why a call is not let in by who makes it, and how that is told: who it is, what it may, how much.
//!
//! A caller who is not known learns what is wrong with what it showed, and nothing of who is known.

use std::collections::HashMap;
use std::time::Duration;

use quartermaster_proto::v1::ErrorReason;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::principal::Roles;
use crate::refusal::{DOMAIN, short_name};

/// Delay told while there are no keys to check tokens with: about the time to the next fetch.
const KEYS_DELAY: Duration = Duration::from_secs(5);

/// A call that is not let in. Nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// Nothing was shown.
    #[error(
        "this server wants to know who calls: send `authorization: Bearer TOKEN`, or a client certificate that it knows"
    )]
    TokenMissing,
    /// What was shown is no token.
    #[error(
        "the authorization header is no bearer token; one header `authorization: Bearer TOKEN` of up to 4 KiB is needed"
    )]
    TokenMalformed,
    /// A token that is not known, or whose signature no known key made.
    #[error("the token is not one that this server takes")]
    TokenUnknown,
    /// A token whose time is over.
    #[error("the token has expired; get a new one")]
    TokenExpired,
    /// A token whose time has not come.
    #[error("the token is not valid yet; are the clocks right?")]
    TokenEarly,
    /// A token of another issuer.
    #[error("the token is from another issuer than the one this server trusts")]
    TokenIssuer,
    /// A token for somebody else.
    #[error("the token is meant for another audience than this server")]
    TokenAudience,
    /// A token that lacks a claim or has one of the wrong kind.
    #[error("the token's claim \"{claim}\" is missing or not of its kind")]
    TokenClaims {
        /// Which.
        claim: String,
    },
    /// There are no keys yet to check it with.
    #[error(
        "tokens of the issuer cannot be checked: its public keys have not been read yet; retry, and see the server's log"
    )]
    KeysUnavailable,
    /// None of the caller's roles may call the method.
    #[error("{method} needs the role {needed}; this token has {has}")]
    Role {
        /// The method, "Service/Method".
        method: String,
        /// Any of these would do.
        needed: Roles,
        /// What the token has.
        has: Roles,
    },
    /// The caller is bound to others.
    #[error("{what} {value} is out of this token's scope; it is bound to {bound}")]
    Scope {
        /// "channel", "location" or "method".
        what: &'static str,
        /// The code or name; "(none)" where nothing is named.
        value: String,
        /// What it is bound to.
        bound: String,
    },
    /// The caller calls more than it may.
    #[error("more than {rate} calls a second, beyond a burst of {burst}; retry with the same request id")]
    Rate {
        /// Calls a second.
        rate: u32,
        /// Calls saved up.
        burst: u32,
        /// When the next is let in.
        retry_after: Duration,
    },
}

impl Denial {
    /// Short names of the reasons, as metrics label them.
    pub const REASONS: [&'static str; 12] = [
        "token_missing",
        "token_malformed",
        "token_unknown",
        "token_expired",
        "token_not_yet_valid",
        "token_issuer",
        "token_audience",
        "token_claims",
        "keys_unavailable",
        "role_missing",
        "out_of_scope",
        "rate_limited",
    ];

    /// Place among [`Denial::REASONS`].
    pub fn index(&self) -> usize {
        match self {
            Denial::TokenMissing => 0,
            Denial::TokenMalformed => 1,
            Denial::TokenUnknown => 2,
            Denial::TokenExpired => 3,
            Denial::TokenEarly => 4,
            Denial::TokenIssuer => 5,
            Denial::TokenAudience => 6,
            Denial::TokenClaims { .. } => 7,
            Denial::KeysUnavailable => 8,
            Denial::Role { .. } => 9,
            Denial::Scope { .. } => 10,
            Denial::Rate { .. } => 11,
        }
    }

    /// Status code and typed reason.
    pub fn class(&self) -> (Code, ErrorReason) {
        match self {
            Denial::TokenMissing => (Code::Unauthenticated, ErrorReason::TokenMissing),
            Denial::TokenMalformed => (Code::Unauthenticated, ErrorReason::TokenMalformed),
            Denial::TokenUnknown => (Code::Unauthenticated, ErrorReason::TokenUnknown),
            Denial::TokenExpired => (Code::Unauthenticated, ErrorReason::TokenExpired),
            Denial::TokenEarly => (Code::Unauthenticated, ErrorReason::TokenNotYetValid),
            Denial::TokenIssuer => (Code::Unauthenticated, ErrorReason::TokenIssuer),
            Denial::TokenAudience => (Code::Unauthenticated, ErrorReason::TokenAudience),
            Denial::TokenClaims { .. } => (Code::Unauthenticated, ErrorReason::TokenClaims),
            // The server's own fault, which passes: UNAVAILABLE, so that gateways' stock retry policies try again.
            Denial::KeysUnavailable => (Code::Unavailable, ErrorReason::KeysUnavailable),
            Denial::Role { .. } => (Code::PermissionDenied, ErrorReason::RoleMissing),
            Denial::Scope { .. } => (Code::PermissionDenied, ErrorReason::OutOfScope),
            Denial::Rate { .. } => (Code::ResourceExhausted, ErrorReason::RateLimited),
        }
    }

    /// The facts of the message, as data.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        match self {
            Denial::TokenClaims { claim } => vec![("claim", claim.clone())],
            Denial::Role { method, needed, has } => {
                vec![("method", method.clone()), ("needed", needed.to_string()), ("has", has.to_string())]
            }
            Denial::Scope { what, value, bound } => vec![(*what, value.clone()), ("bound_to", bound.clone())],
            Denial::Rate { rate, burst, .. } => vec![("rate", rate.to_string()), ("burst", burst.to_string())],
            Denial::TokenMissing
            | Denial::TokenMalformed
            | Denial::TokenUnknown
            | Denial::TokenExpired
            | Denial::TokenEarly
            | Denial::TokenIssuer
            | Denial::TokenAudience
            | Denial::KeysUnavailable => Vec::new(),
        }
    }

    /// When the same call may be made again; none where that would not help.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Denial::Rate { retry_after, .. } => Some(*retry_after),
            Denial::KeysUnavailable => Some(KEYS_DELAY),
            _ => None,
        }
    }
}

impl From<&Denial> for Status {
    fn from(denial: &Denial) -> Status {
        let (code, reason) = denial.class();
        let facts = denial.facts().into_iter().map(|(name, value)| (name.to_owned(), value));
        let mut details = ErrorDetails::with_error_info(short_name(reason), DOMAIN, facts.collect::<HashMap<_, _>>());
        if let Some(delay) = denial.retry_after() {
            details.set_retry_info(Some(delay));
        }
        if let Denial::Rate { .. } = denial {
            details.add_quota_failure_violation("rate_limit_per_caller", denial.to_string());
        }
        let mut status = Status::with_error_details(code, denial.to_string(), details);
        if code == Code::Unauthenticated {
            // RFC 6750: the error is told only to who showed something.
            let challenge = if *denial == Denial::TokenMissing {
                r#"Bearer realm="quartermaster""#
            } else {
                r#"Bearer realm="quartermaster", error="invalid_token""#
            };
            status.metadata_mut().insert("www-authenticate", MetadataValue::from_static(challenge));
        }
        status
    }
}

impl From<Denial> for Status {
    fn from(denial: Denial) -> Status {
        Status::from(&denial)
    }
}

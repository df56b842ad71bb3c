//! Who calls, and what it may. Every call passes the [`Gate`] before its message is read: a token or a client certificate makes it a
//! [`Principal`], the table of roles says whether that may call the method, and its rate whether it may now. What a principal is bound to
//! (channels, locations) is checked where the message is known, in `grpc::caller`.
//!
//! Nothing here keeps or logs a token: they are hashed on sight, and looked up by their hash.
mod audit;
mod denial;
mod error;
mod fetch;
mod gate;
mod identity;
mod jwt;
mod keys;
mod known;
mod principal;
mod rates;
pub mod roles;
mod tokens;

pub use denial::Denial;
pub use error::AuthError;
pub use gate::Gate;
pub(crate) use identity::Identity;
pub use principal::{Bound, Principal, Rate, Role, Roles};

use std::path::Path;

use aws_lc_rs::digest;
use tokens::Tokens;

/// SHA-256 of a token.
pub(crate) type Digest = [u8; 32];

/// Hashes a token.
pub(crate) fn digest_of(token: &[u8]) -> Digest {
    let hash = digest::digest(&digest::SHA256, token);
    hash.as_ref().try_into().expect("Invariant: SHA-256 gives 32 bytes")
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How many tokens and certificates the file at `path` has.
///
/// # Errors
/// When it cannot be used.
pub(crate) fn check_tokens(path: &Path) -> Result<usize, AuthError> {
    Tokens::read(path).map(|tokens| tokens.len())
}

/// How many tokens and certificates such a file with this `text` would have.
///
/// # Errors
/// When it could not be used.
pub(crate) fn check_tokens_text(text: &str) -> Result<usize, AuthError> {
    Tokens::parse(Path::new("(new)"), text).map(|tokens| tokens.len())
}

/// Seconds since 1970.
fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs()
}

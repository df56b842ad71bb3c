//! The file of who may call: names, hashes of tokens, subjects of certificates, roles, scopes. What is wrong in it is told by line and key;
//! what is told never repeats a value that might be a token by mistake.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::constant_time;
use prost_types::Timestamp;
use serde::Deserialize;
use toml::Spanned;
use toml::value::Datetime;

use super::principal::{Bound, Principal, Rate, Role, Roles, problem_with_name};
use super::{AuthError, Digest};
use crate::tls::Peer;

/// Names that begin so are those of JSON web tokens.
pub(super) const JWT_PREFIX: &str = "jwt:";

/// Principals by what they show.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    /// By the first eight bytes of the hash: the table may compare those as it likes, the rest is compared in constant time.
    by_hash: HashMap<[u8; 8], Vec<(Digest, Arc<Principal>)>>,
    by_certificate: HashMap<String, Arc<Principal>>,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    principal: Vec<Spanned<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    sha256: Option<String>,
    certificate: Option<String>,
    roles: Vec<String>,
    channels: Option<Vec<String>>,
    locations: Option<Vec<String>>,
    expires: Option<Datetime>,
    rate_limit: Option<u32>,
    rate_burst: Option<u32>,
}

impl Tokens {
    /// Those of the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, or something in it is wrong.
    pub(super) fn read(path: &Path) -> Result<Tokens, AuthError> {
        let read = |source| AuthError::Read { key: "tokens_file", path: path.to_owned(), source };
        Tokens::parse(path, &fs::read_to_string(path).map_err(read)?)
    }

    pub(super) fn parse(path: &Path, text: &str) -> Result<Tokens, AuthError> {
        let written: Written = toml::from_str(text).map_err(|error| AuthError::Syntax {
            path: path.to_owned(),
            line: line_at(text, error.span().map_or(0, |span| span.start)),
            problem: without_values(error.message()),
        })?;
        if written.principal.is_empty() {
            // A file that is just being written looks so, too.
            let problem = "it names nobody; at least one [[principal]] is needed".to_owned();
            return Err(AuthError::Syntax { path: path.to_owned(), line: 1, problem });
        }
        let mut tokens = Tokens::default();
        let mut hashes = BTreeSet::new();
        for entry in written.principal {
            let line = line_at(text, entry.span().start);
            let entry = entry.into_inner();
            let at = At { path: path.to_owned(), line, name: entry.name.chars().take(64).collect() };
            let (hash, certificate) = (entry.sha256.clone(), entry.certificate.clone());
            let principal = Arc::new(entry.principal().map_err(|problem| at.wrong(problem))?);
            if hash.is_none() && certificate.is_none() {
                return Err(at.wrong("sha256 or certificate is missing: what it is known by".to_owned()));
            }
            if let Some(hash) = hash {
                let digest = digest(&hash).ok_or_else(|| at.wrong(HASH_WANTED.to_owned()))?;
                if !hashes.insert(digest) {
                    return Err(at.wrong("sha256: another principal has the same token".to_owned()));
                }
                tokens.by_hash.entry(prefix(&digest)).or_default().push((digest, Arc::clone(&principal)));
            }
            if let Some(certificate) = certificate {
                if certificate.is_empty() {
                    return Err(
                        at.wrong("certificate: is empty; the common name or a URI of the certificate".to_owned())
                    );
                }
                if tokens.by_certificate.insert(certificate, principal).is_some() {
                    return Err(at.wrong("certificate: another principal has the same".to_owned()));
                }
            }
        }
        Ok(tokens)
    }

    /// Whose token hashes to `digest`.
    pub(super) fn by_token(&self, digest: &Digest) -> Option<&Arc<Principal>> {
        let near = self.by_hash.get(&prefix(digest))?;
        let same = |known: &Digest| constant_time::verify_slices_are_equal(known, digest).is_ok();
        near.iter().find(|(known, _)| same(known)).map(|(_, principal)| principal)
    }

    /// Whose certificate was shown: the first of its names that is known.
    pub(super) fn by_certificate(&self, peer: &Peer) -> Option<&Arc<Principal>> {
        peer.names.iter().find_map(|name| self.by_certificate.get(name))
    }

    /// How many there are, counted by what they are known by.
    pub(super) fn len(&self) -> usize {
        self.by_hash.values().map(Vec::len).sum::<usize>() + self.by_certificate.len()
    }
}

const HASH_WANTED: &str = "sha256: 64 hexadecimal digits are needed, the SHA-256 of the token and not the token; `quartermaster token new` prints both";

impl Entry {
    fn principal(self) -> Result<Principal, String> {
        if let Some(problem) = problem_with_name(&self.name) {
            return Err(format!("name: {problem}"));
        }
        if self.name.starts_with(JWT_PREFIX) {
            return Err(format!("name: names that begin with \"{JWT_PREFIX}\" are those of JSON web tokens"));
        }
        let unknown = |name: &String| format!("roles: {name:?} is no role; there are {}", Roles::of(&Role::ALL));
        let roles: Vec<Role> =
            self.roles.iter().map(|name| name.parse().map_err(|_| unknown(name))).collect::<Result<_, _>>()?;
        if roles.is_empty() {
            return Err(format!("roles: at least one is needed, of {}", Roles::of(&Role::ALL)));
        }
        let expires_at = self.expires.as_ref().map(seconds).transpose()?;
        let rate = match (self.rate_limit, self.rate_burst) {
            (None, None) => None,
            (None, Some(_)) => return Err("rate_burst: needs rate_limit, in calls a second".to_owned()),
            (Some(0), None) => Some(Rate { per_second: 0, burst: 1 }),
            (Some(1..=1_000_000), Some(0)) => return Err("rate_burst: is 0; at least 1 call".to_owned()),
            (Some(per_second @ 1..=1_000_000), burst) => Some(Rate { per_second, burst: burst.unwrap_or(per_second) }),
            (Some(per_second), _) => {
                return Err(format!(
                    "rate_limit: is {per_second} calls a second; 1 to 1000000 are allowed, or 0 alone for no bound"
                ));
            }
        };
        Ok(Principal {
            name: self.name,
            roles: roles.iter().collect(),
            channels: bound("channels", self.channels)?,
            locations: bound("locations", self.locations)?,
            expires_at,
            rate,
        })
    }
}

/// Where an entry stands.
struct At {
    path: PathBuf,
    line: usize,
    name: String,
}

impl At {
    fn wrong(&self, problem: String) -> AuthError {
        AuthError::Principal { path: self.path.clone(), line: self.line, name: self.name.clone(), problem }
    }
}

fn bound(key: &str, codes: Option<Vec<String>>) -> Result<Bound, String> {
    let Some(codes) = codes else { return Ok(Bound::default()) };
    if codes.is_empty() {
        return Err(format!("{key}: is empty, which would bind it to nothing; leave the key out to bind it to none"));
    }
    match codes.iter().find(|code| code.is_empty() || code.len() > 64) {
        Some(code) => Err(format!("{key}: {code:?} is no code; codes have 1 to 64 bytes")),
        None => Ok(Bound::to(codes)),
    }
}

fn seconds(written: &Datetime) -> Result<u64, String> {
    let wrong = || "expires: a time with its zone is needed, such as 2027-01-01T00:00:00Z".to_owned();
    if written.date.is_none() || written.time.is_none() || written.offset.is_none() {
        return Err(wrong());
    }
    let time: Timestamp = written.to_string().parse().map_err(|_| wrong())?;
    u64::try_from(time.seconds).map_err(|_| wrong())
}

fn digest(text: &str) -> Option<Digest> {
    let mut digest = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (place, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * place..2 * place + 2], 16).ok()?;
    }
    Some(digest)
}

fn prefix(digest: &Digest) -> [u8; 8] {
    std::array::from_fn(|place| digest[place])
}

/// Number of the line that holds the byte at `place`, from 1.
fn line_at(text: &str, place: usize) -> usize {
    text.bytes().take(place).filter(|byte| *byte == b'\n').count() + 1
}

/// The parser's words without what it found: that may be a token, pasted into the wrong place.
fn without_values(message: &str) -> String {
    let message = message.trim_end().replace('\n', "; ");
    match message.split_once("string \"") {
        Some((before, rest)) => {
            let after = rest.rsplit_once("\", ").map_or("", |(_, after)| after);
            format!("{before}a text, {after}")
        }
        None => message,
    }
}

#[cfg(test)]
mod tests;

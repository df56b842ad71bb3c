//! The issuer's public keys (JWKS, RFC 7517), and the few algorithms whose signatures are taken. Symmetric keys are passed over: who checks
//! with one could sign with it.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};

/// Keys looked at of one set.
const KEYS_MAX: usize = 100;

/// Keys to check signatures with.
#[derive(Default)]
pub(super) struct Keys {
    keys: Vec<Key>,
}

struct Key {
    id: Option<String>,
    /// Algorithms whose signatures it may check: one for curves, two for RSA unless the key says which.
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

impl Keys {
    /// The usable keys of a JWKS document.
    ///
    /// # Errors
    /// When it is none, or none of its keys can be used: what is wrong.
    pub(super) fn parse(text: &[u8]) -> Result<Keys, String> {
        let set: JwkSet = serde_json::from_slice(text).map_err(|error| format!("it is no JWKS document: {error}"))?;
        let keys: Vec<Key> = set.keys.iter().take(KEYS_MAX).filter_map(Key::of).collect();
        if keys.is_empty() {
            let found = set.keys.len();
            return Err(format!(
                "none of its {found} keys is a public key for RS256, PS256, ES256 or EdDSA signatures"
            ));
        }
        Ok(Keys { keys })
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The key `id` for signatures by `algorithm`; without an id the only key for them, if there is just one.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        let mut fits = self.keys.iter().filter(|key| key.algorithms.contains(&algorithm));
        match id {
            Some(id) => fits.find(|key| key.id.as_deref() == Some(id)).map(|key| &key.key),
            None => fits.next().filter(|_| fits.next().is_none()).map(|key| &key.key),
        }
    }
}

impl Key {
    fn of(jwk: &Jwk) -> Option<Key> {
        if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
            return None;
        }
        let of_kind: &[Algorithm] = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => &[Algorithm::RS256, Algorithm::PS256],
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => &[Algorithm::ES256],
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => &[Algorithm::EdDSA],
            _ => return None,
        };
        let named = match jwk.common.key_algorithm {
            None => None,
            Some(KeyAlgorithm::RS256) => Some(Algorithm::RS256),
            Some(KeyAlgorithm::PS256) => Some(Algorithm::PS256),
            Some(KeyAlgorithm::ES256) => Some(Algorithm::ES256),
            Some(KeyAlgorithm::EdDSA) => Some(Algorithm::EdDSA),
            Some(_) => return None,
        };
        let fits = |algorithm: &&Algorithm| named.is_none_or(|named| named == **algorithm);
        let algorithms: Vec<Algorithm> = of_kind.iter().filter(fits).copied().collect();
        let key = DecodingKey::from_jwk(jwk).ok().filter(|_| !algorithms.is_empty())?;
        Some(Key { id: jwk.common.key_id.clone(), algorithms, key })
    }
}

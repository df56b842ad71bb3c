use std::net::Ipv4Addr;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{EncodingKey, Header, encode};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};
use serde_json::json;

use super::*;
use crate::auth::{Roles, digest_of};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

type ReadKey = fn(&[u8]) -> jsonwebtoken::errors::Result<EncodingKey>;

/// An issuer with one key.
pub(in crate::auth) struct Issuer {
    key: EncodingKey,
    algorithm: Algorithm,
    pub(in crate::auth) id: &'static str,
    public_pem: String,
}

impl Issuer {
    pub(in crate::auth) fn new(id: &'static str, algorithm: Algorithm) -> Issuer {
        if algorithm == Algorithm::EdDSA {
            // As RFC 8410 writes a private key: the library reads no newer form of it.
            let mut der =
                *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20................................";
            aws_lc_rs::rand::fill(&mut der[16..]).unwrap();
            return Issuer { key: EncodingKey::from_ed_der(&der), algorithm, id, public_pem: String::new() };
        }
        let (kind, read): (_, ReadKey) = match algorithm {
            Algorithm::ES256 => (&PKCS_ECDSA_P256_SHA256, EncodingKey::from_ec_pem),
            _ => (&PKCS_RSA_SHA256, EncodingKey::from_rsa_pem),
        };
        let pair = KeyPair::generate_for(kind).unwrap();
        let key = read(pair.serialize_pem().as_bytes()).unwrap();
        Issuer { key, algorithm, id, public_pem: pair.public_key_pem() }
    }

    fn jwk(&self) -> Jwk {
        let mut jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.id.to_owned());
        jwk
    }

    /// The document with its public key.
    pub(in crate::auth) fn jwks(&self) -> Vec<u8> {
        serde_json::to_vec(&json!({ "keys": [self.jwk()] })).unwrap()
    }

    pub(in crate::auth) fn token(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.id.to_owned()), ..Header::new(self.algorithm) };
        encode(&header, claims, &self.key).unwrap()
    }
}

/// Good claims, with some changed; null takes one away.
pub(in crate::auth) fn claims(changes: &Value) -> Value {
    let mut claims = json!({
        "iss": "https://id.example", "aud": "quartermaster", "sub": "anna", "exp": now() + 600, "roles": ["gateway", "reader-of-mail"]
    });
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

fn now() -> u64 {
    crate::auth::now()
}

pub(in crate::auth) fn config() -> Config {
    Config {
        jwt_issuer: Some("https://id.example".to_owned()),
        jwt_audience: Some("quartermaster".to_owned()),
        ..Config::default()
    }
}

fn checker(issuer: &Issuer) -> Jwt {
    let jwt = Jwt::of(&config()).unwrap();
    jwt.take_keys(Keys::parse(&issuer.jwks()).unwrap());
    jwt
}

fn verify(jwt: &Jwt, token: &str) -> Result<Arc<Principal>, Denial> {
    jwt.verify(token, &digest_of(token.as_bytes()), now(), (&Rates::new(), HERE))
}

#[test]
fn all_four_algorithms_are_taken_and_say_who_it_is() {
    for algorithm in ALGORITHMS {
        let issuer = Issuer::new("k1", algorithm);
        let token = issuer.token(&claims(&json!({ "channels": "web app", "locations": ["L1"] })));
        let principal = verify(&checker(&issuer), &token).unwrap_or_else(|denial| panic!("{algorithm:?}: {denial}"));
        assert_eq!((principal.name.as_str(), principal.roles), ("jwt:anna", Roles::of(&[Role::Gateway])));
        assert!(principal.channels.allows("app") && !principal.channels.allows("store"));
        assert!(principal.locations.allows("L1") && !principal.locations.allows("L2"));
    }
}

#[test]
fn what_is_wrong_with_a_token_is_told_and_lets_nobody_in() {
    let issuer = Issuer::new("k1", Algorithm::ES256);
    let jwt = checker(&issuer);
    let wrong = |claim: &str| Denial::TokenClaims { claim: claim.to_owned() };
    let cases = [
        (json!({ "iss": "https://evil.example" }), Denial::TokenIssuer),
        (json!({ "iss": null }), wrong("iss")),
        (json!({ "aud": "other" }), Denial::TokenAudience),
        (json!({ "aud": ["other", "more"] }), Denial::TokenAudience),
        (json!({ "aud": null }), wrong("aud")),
        (json!({ "exp": now() - 60 }), Denial::TokenExpired),
        (json!({ "exp": null }), wrong("exp")),
        (json!({ "exp": "tomorrow" }), wrong("exp")),
        (json!({ "nbf": now() + 3_600 }), Denial::TokenEarly),
        (json!({ "sub": null }), wrong("sub")),
        (json!({ "sub": "" }), wrong("sub")),
        (json!({ "sub": "a\nb" }), wrong("sub")),
        (json!({ "sub": "x".repeat(200) }), wrong("sub")),
        (json!({ "roles": 7 }), wrong("roles")),
        (json!({ "roles": ["gateway", 7] }), wrong("roles")),
        (json!({ "channels": { "web": true } }), wrong("channels")),
    ];
    for (changes, expected) in cases {
        assert_eq!(verify(&jwt, &issuer.token(&claims(&changes))).unwrap_err(), expected, "{changes}");
    }
    let good = issuer.token(&claims(&json!({ "aud": ["other", "quartermaster"], "nbf": now() })));
    verify(&jwt, &good).unwrap();
}

#[test]
fn a_token_cannot_choose_how_it_is_checked() {
    let issuer = Issuer::new("k1", Algorithm::RS256);
    let jwt = checker(&issuer);
    let good = issuer.token(&claims(&json!({})));
    verify(&jwt, &good).unwrap();
    let (_, rest) = good.split_once('.').unwrap();
    let (payload, signature) = rest.split_once('.').unwrap();
    // {"alg":"none","kid":"k1"}, {"alg":"None"}: by hand, no library writes them.
    for none in ["eyJhbGciOiJub25lIiwia2lkIjoiazEifQ", "eyJhbGciOiJOb25lIn0"] {
        for signature in ["", signature] {
            let denial = verify(&jwt, &format!("{none}.{payload}.{signature}")).unwrap_err();
            assert_eq!(denial, Denial::TokenMalformed);
        }
    }
    // Signed by HMAC with what everybody has: the public key.
    let header = Header { kid: Some("k1".to_owned()), ..Header::new(Algorithm::HS256) };
    let secret = EncodingKey::from_secret(issuer.public_pem.as_bytes());
    let forged = encode(&header, &claims(&json!({})), &secret).unwrap();
    assert_eq!(verify(&jwt, &forged).unwrap_err(), Denial::TokenUnknown);
    // Another key of the same name, and the right key's name with another algorithm.
    for algorithm in [Algorithm::RS256, Algorithm::ES256] {
        let stranger = Issuer::new("k1", algorithm);
        assert_eq!(verify(&jwt, &stranger.token(&claims(&json!({})))).unwrap_err(), Denial::TokenUnknown);
    }
    // Claims that were changed after they were signed.
    let other = issuer.token(&claims(&json!({ "sub": "admin" })));
    let (head, _) = good.split_once('.').unwrap();
    let changed = other.split('.').nth(1).unwrap();
    assert_eq!(verify(&jwt, &format!("{head}.{changed}.{signature}")).unwrap_err(), Denial::TokenUnknown);
    for garbage in ["..", "a.b.c", "{}.{}.{}", &format!("{good}x"), &good[..good.len() - 2]] {
        let denial = verify(&jwt, garbage).unwrap_err();
        assert!(matches!(denial, Denial::TokenMalformed | Denial::TokenUnknown), "{garbage:?} {denial:?}");
    }
}

#[test]
fn a_key_that_is_withdrawn_opens_nothing_any_more() {
    let issuer = Issuer::new("k1", Algorithm::EdDSA);
    let jwt = checker(&issuer);
    let token = issuer.token(&claims(&json!({})));
    let first = verify(&jwt, &token).unwrap();
    assert!(Arc::ptr_eq(&first, &verify(&jwt, &token).unwrap()), "remembered, not checked again");
    let next = Issuer::new("k2", Algorithm::EdDSA);
    jwt.take_keys(Keys::parse(&next.jwks()).unwrap());
    assert_eq!(verify(&jwt, &token).unwrap_err(), Denial::TokenUnknown);
    verify(&jwt, &next.token(&claims(&json!({})))).unwrap();
}

#[test]
fn without_keys_nothing_is_taken_and_it_says_why() {
    let issuer = Issuer::new("k1", Algorithm::ES256);
    let jwt = Jwt::of(&config()).unwrap();
    assert_eq!(verify(&jwt, &issuer.token(&claims(&json!({})))).unwrap_err(), Denial::KeysUnavailable);
}

#[test]
fn a_flood_of_bad_signatures_is_refused_before_it_is_computed() {
    let (issuer, stranger) = (Issuer::new("k1", Algorithm::ES256), Issuer::new("k1", Algorithm::ES256));
    let (jwt, rates) = (checker(&issuer), Rates::new());
    let ask = |token: &str, from: IpAddr| jwt.verify(token, &digest_of(token.as_bytes()), now(), (&rates, from));
    let good = issuer.token(&claims(&json!({})));
    ask(&good, HERE).unwrap();
    let forged = stranger.token(&claims(&json!({})));
    let mut computed = 0;
    while let Err(Denial::TokenUnknown) = ask(&forged, HERE) {
        computed += 1;
        assert!(computed < 1_000, "there is a bound");
    }
    assert!(computed >= 199, "{computed}");
    assert!(matches!(ask(&forged, HERE), Err(Denial::Rate { .. })));
    ask(&good, HERE).unwrap();
    // One in 65,536 runs has both networks in one slot.
    let elsewhere = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    if rates.place(("failed tokens", HERE)) != rates.place(("failed tokens", elsewhere)) {
        assert_eq!(ask(&forged, elsewhere), Err(Denial::TokenUnknown));
    }
}

#[test]
fn claims_may_lie_within_others() {
    let issuer = Issuer::new("k1", Algorithm::ES256);
    let nested = claims(&json!({ "roles": null, "realm_access": { "roles": ["admin"] }, "https://x.y/n": "bert" }));
    let config = Config {
        jwt_roles_claim: "realm_access.roles".to_owned(),
        jwt_name_claim: "https://x.y/n".to_owned(),
        ..config()
    };
    let jwt = Jwt::of(&config).unwrap();
    jwt.take_keys(Keys::parse(&issuer.jwks()).unwrap());
    let principal = verify(&jwt, &issuer.token(&nested)).unwrap();
    assert_eq!((principal.name.as_str(), principal.roles), ("jwt:bert", Roles::of(&[Role::Admin])));
}

#[test]
fn sets_of_keys_are_taken_for_what_can_be_used_of_them() {
    let (one, two) = (Issuer::new("k1", Algorithm::ES256), Issuer::new("k2", Algorithm::RS256));
    let symmetric = json!({ "kty": "oct", "kid": "s", "k": "c2VjcmV0", "alg": "HS256" });
    let mut encrypts = serde_json::to_value(one.jwk()).unwrap();
    encrypts["use"] = json!("enc");
    let set = |keys: &[Value]| serde_json::to_vec(&json!({ "keys": keys })).unwrap();
    let (one, two) = (serde_json::to_value(one.jwk()).unwrap(), serde_json::to_value(two.jwk()).unwrap());
    let strange = json!({ "kty": "XYZ", "kid": "x" });
    let keys = Keys::parse(&set(&[symmetric.clone(), one, strange, two, encrypts.clone()])).unwrap();
    assert_eq!(keys.len(), 2);
    assert!(keys.find(Some("k1"), Algorithm::ES256).is_some() && keys.find(Some("k1"), Algorithm::RS256).is_none());
    assert!(keys.find(Some("s"), Algorithm::HS256).is_none());
    assert!(keys.find(None, Algorithm::ES256).is_some(), "the only one of its kind");
    for bad in
        [set(&[]), set(&[symmetric]), set(&[encrypts]), b"<html>".to_vec(), b"{}".to_vec(), b"{\"keys\":7}".to_vec()]
    {
        assert!(Keys::parse(&bad).is_err(), "{}", String::from_utf8_lossy(&bad));
    }
}

use std::time::{SystemTime, UNIX_EPOCH};

use super::*;
use crate::auth::{digest_of, hex};

fn parse(text: &str) -> Result<Tokens, String> {
    Tokens::parse(Path::new("tokens.toml"), text).map_err(|error| error.to_string())
}

fn hash(token: &str) -> String {
    hex(&digest_of(token.as_bytes()))
}

#[test]
fn a_token_is_found_by_its_hash_with_all_that_is_said_of_it() {
    let text = format!(
        "[[principal]]\nname = \"web\"\nsha256 = \"{}\"\nroles = [\"gateway\", \"analyst\"]\nchannels = [\"web\"]\nlocations = [\"L1\", \"L2\"]\n\
         expires = 2999-01-01T00:00:00Z\nrate_limit = 50\n\n[[principal]]\nname = \"store\"\ncertificate = \"store-7\"\nroles = [\"store\"]\n",
        hash("secret-one").to_uppercase()
    );
    let tokens = parse(&text).unwrap();
    let web = tokens.by_token(&digest_of(b"secret-one")).unwrap();
    assert_eq!((web.name.as_str(), web.roles), ("web", Roles::of(&[Role::Gateway, Role::Analyst])));
    assert!(web.channels.allows("web") && !web.channels.allows("app") && web.locations.allows("L2"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!(web.expires_at.unwrap() > now);
    assert_eq!(web.rate, Some(Rate { per_second: 50, burst: 50 }));
    assert!(tokens.by_token(&digest_of(b"secret-two")).is_none());
    let peer = |name: &str| Peer { names: vec!["other".to_owned(), name.to_owned()] };
    assert_eq!(tokens.by_certificate(&peer("store-7")).unwrap().name, "store");
    assert!(tokens.by_certificate(&peer("store-8")).is_none());
    assert_eq!(tokens.len(), 2);
}

#[test]
fn one_name_may_have_two_tokens_while_they_are_changed() {
    let one =
        |token: &str| format!("[[principal]]\nname = \"web\"\nsha256 = \"{}\"\nroles = [\"gateway\"]\n", hash(token));
    let tokens = parse(&(one("old") + &one("new"))).unwrap();
    assert_eq!(tokens.by_token(&digest_of(b"old")).unwrap().name, "web");
    assert_eq!(tokens.by_token(&digest_of(b"new")).unwrap().name, "web");
}

#[test]
fn what_is_wrong_is_told_by_line_and_key() {
    let good = hash("x");
    let base = format!("# a comment\n[[principal]]\nname = \"web\"\nsha256 = \"{good}\"\n");
    let cases: [(String, &str); 17] = [
        (String::new(), "line 1: it names nobody"),
        ("garbage".into(), "tokens.toml, line 1: "),
        (format!("{base}roles = [\"gateway\"]\ntokn = 1\n"), "line 6: unknown field `tokn`"),
        (format!("{base}roles = 7\n"), "line 5: invalid type: integer `7`, expected a sequence"),
        (base.clone(), "line 2: missing field `roles`"),
        (
            format!("{base}roles = [\"root\"]\n"),
            "line 2, principal \"web\": roles: \"root\" is no role; there are gateway, store,",
        ),
        (format!("{base}roles = []\n"), "roles: at least one is needed"),
        (format!("{base}roles = [\"store\"]\nlocations = []\n"), "locations: is empty"),
        (format!("{base}roles = [\"store\"]\nchannels = [\"\"]\n"), "channels: \"\" is no code"),
        (format!("{base}roles = [\"store\"]\nexpires = 2027-01-01\n"), "expires: a time with its zone is needed"),
        (format!("{base}roles = [\"store\"]\nrate_burst = 5\n"), "rate_burst: needs rate_limit"),
        (format!("{base}roles = [\"store\"]\nrate_limit = 2000000\n"), "rate_limit: is 2000000 calls a second"),
        (
            "[[principal]]\nname = \"\"\ncertificate = \"c\"\nroles = [\"store\"]\n".into(),
            "name: names have 1 to 128 bytes",
        ),
        (
            "[[principal]]\nname = \"jwt:x\"\ncertificate = \"c\"\nroles = [\"store\"]\n".into(),
            "those of JSON web tokens",
        ),
        ("[[principal]]\nname = \"w\"\nroles = [\"store\"]\n".into(), "sha256 or certificate is missing"),
        ("[[principal]]\nname = \"w\"\ncertificate = \"\"\nroles = [\"store\"]\n".into(), "certificate: is empty"),
        (
            format!("{base}roles = [\"store\"]\n{base}roles = [\"store\"]\n"),
            "line 7, principal \"web\": sha256: another principal",
        ),
    ];
    for (text, expected) in cases {
        let said = parse(&text).unwrap_err();
        assert!(said.contains(expected), "{said:?} does not say {expected:?}");
    }
}

#[test]
fn a_token_in_the_place_of_its_hash_is_not_repeated() {
    let token = "qm_this-is-the-plain-token-itself-0123456789";
    for text in [
        format!("[[principal]]\nname = \"web\"\nroles = [\"gateway\"]\nsha256 = \"{token}\"\n"),
        format!("[[principal]]\nname = \"web\"\nroles = \"{token}\"\nsha256 = \"\"\n"),
        format!("[[principal]]\nname = \"web\"\nroles = [\"gateway\"]\nrate_limit = \"{token}\"\n"),
        format!("[[principal]]\nname = \"web\"\n{token}\n"),
    ] {
        let said = parse(&text).unwrap_err();
        assert!(said.contains("line ") && !said.contains(token), "{said}");
    }
}

//! What the project is built from: no version with a known fault, floors for what stands at the network, no unsafe code of ours.
//!
//! Licences, bans and sources are for `cargo deny`. The advisories are read from a copy of the RustSec database, `ADVISORY_DB` or
//! `../shared/advisory-db` beside the repository; where there is none, the test says so and passes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use semver::{Version, VersionReq};
use toml::{Table, Value};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is a folder of the repository").to_owned()
}

/// Name and version of everything in Cargo.lock that is not ours.
fn locked() -> Vec<(String, Version)> {
    let text = fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock is committed");
    let lock: Table = text.parse().expect("Cargo.lock is TOML");
    let packages = lock["package"].as_array().expect("Cargo.lock lists packages");
    let of = |package: &Value, key: &str| package.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let outside = packages.iter().filter(|package| package.get("source").is_some());
    outside.map(|package| (of(package, "name"), of(package, "version").parse().expect("a version"))).collect()
}

#[test]
fn what_stands_at_the_network_is_new_enough() {
    let locked = locked();
    for (name, floor, why) in [
        ("h2", ">=0.4.16", "RUSTSEC-2026-0258: empty DATA frames without end"),
        ("hyper", ">=1.0.0, <2.0.0", "the maintained line"),
        ("tonic", ">=0.12.3", "RUSTSEC-2024-0376: a failed accept ended the server"),
        ("bytes", ">=1.11.1", "the floor of the catalogue of proofs"),
        ("rustls-webpki", ">=0.103.13", "only when there is TLS"),
    ] {
        let floor: VersionReq = floor.parse().expect("a requirement");
        let found: Vec<&Version> =
            locked.iter().filter(|(known, _)| known == name).map(|(_, version)| version).collect();
        assert!(!found.is_empty() || name == "rustls-webpki", "{name} is not in Cargo.lock: is it still used?");
        assert!(found.iter().all(|version| floor.matches(version)), "{name} {found:?}, but {floor} is needed ({why})");
    }
}

/// What the front matter of an advisory says of versions.
struct Advisory {
    id: String,
    date: String,
    /// Neither withdrawn nor a mere notice, such as "unmaintained".
    counts: bool,
    safe: Vec<VersionReq>,
}

fn advisories(file: &Path) -> Option<Advisory> {
    let text = fs::read_to_string(file).ok()?;
    let front: Table = text.strip_prefix("```toml")?.split_once("\n```")?.0.parse().ok()?;
    let advisory = front.get("advisory")?.as_table()?;
    let of = |key: &str| advisory.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let versions = front.get("versions").and_then(Value::as_table);
    let ranges = |key: &str| versions.and_then(|versions| versions.get(key)).and_then(Value::as_array);
    let safe = ["patched", "unaffected"].into_iter().filter_map(ranges).flatten().filter_map(Value::as_str);
    Some(Advisory {
        id: of("id"),
        date: of("date"),
        counts: advisory.get("withdrawn").is_none()
            && advisory.get("informational").is_none_or(|what| what.as_str() == Some("unsound")),
        safe: safe.filter_map(|range| range.parse().ok()).collect(),
    })
}

#[test]
fn no_version_has_a_known_fault() {
    let database = std::env::var_os("ADVISORY_DB").map_or_else(|| root().join("../shared/advisory-db"), PathBuf::from);
    let crates = database.join("crates");
    if !crates.is_dir() {
        println!("skipped: there is no copy of the advisory database at {}", database.display());
        return;
    }
    let files_of = |name: &str| fs::read_dir(crates.join(name)).into_iter().flatten().filter_map(Result::ok);
    let locked = locked();
    let (mut looked_at, mut found) = (0, Vec::new());
    for (name, version) in &locked {
        for advisory in files_of(name).filter_map(|file| advisories(&file.path())) {
            looked_at += 1;
            if advisory.counts && !advisory.safe.iter().any(|safe| safe.matches(version)) {
                found.push(format!("{name} {version}: {}", advisory.id));
            }
        }
    }
    let all = fs::read_dir(&crates).expect("the database is read").filter_map(Result::ok);
    let all = all
        .flat_map(|folder| files_of(&folder.file_name().to_string_lossy()))
        .filter_map(|file| advisories(&file.path()));
    let newest = all.map(|advisory| advisory.date).max().unwrap_or_default();
    println!(
        "{} packages, {looked_at} advisories of them read; the newest of the database is of {newest}",
        locked.len()
    );
    assert!(looked_at > 20, "the database was not understood");
    assert!(found.is_empty(), "{found:#?}");
}

/// Our sources, the ones that are generated apart.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the repository is read").filter_map(Result::ok) {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && !["target", ".git", "corpus"].iter().any(|left_out| name == *left_out) {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_crate_forbids_unsafe_code_and_none_has_any() {
    let mut all = Vec::new();
    sources(&root(), &mut all);
    assert!(all.len() > 300, "the sources were not found");
    let mut roots = 0;
    for file in &all {
        let text = fs::read_to_string(file).expect("a source is read");
        let parts: Vec<String> = file.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let last = |back: usize| parts.len().checked_sub(back + 1).map_or("", |place| parts[place].as_str());
        let is_root = (last(1) == "src" && matches!(last(0), "lib.rs" | "main.rs"))
            || (last(2) == "src" && last(1) == "bin")
            || (last(3) == "src" && last(2) == "bin" && last(0) == "main.rs");
        if is_root {
            roots += 1;
            assert!(text.contains("#![forbid(unsafe_code)]"), "{} does not forbid unsafe code", file.display());
        }
        // Tests and benches are crates of their own, which nothing forbids it to.
        let mut code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let found =
            code.find(|line| line.contains(concat!("unsafe", " {")) || line.contains(concat!("unsafe", " impl")));
        assert_eq!(found, None, "{} has unsafe code; a list of modules that may must come first", file.display());
    }
    assert!(roots > 20, "{roots} crate roots were found");
}

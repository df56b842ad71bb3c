//! Why a configuration was refused: always which key, where it stands, and what would be right.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::load::Origin;

/// A configuration that stops the start.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file named by `--config` cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("{} is not valid TOML: {problem}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What and where, in the parser's words.
        problem: String,
    },
    /// A key that does not exist.
    #[error("unknown key \"{key}\" in {origin}; {}", nearest(similar))]
    UnknownKey {
        /// The key as it was written.
        key: String,
        /// Where it stands.
        origin: Origin,
        /// The key that was probably meant.
        similar: Option<&'static str>,
    },
    /// A value of the wrong kind.
    #[error("bad value of \"{key}\" in {origin}: {problem}")]
    Value {
        /// The key.
        key: String,
        /// Where it stands.
        origin: Origin,
        /// What it is and what it should be.
        problem: String,
    },
    /// A value out of its range.
    #[error("\"{key}\" is {value} in {origin}; it must be {range}")]
    OutOfRange {
        /// The key.
        key: &'static str,
        /// The value, with its unit.
        value: String,
        /// Where it stands.
        origin: Origin,
        /// What is allowed.
        range: String,
    },
    /// Durability "none" without the flag that says what it means.
    #[error(
        "\"durability\" is none in {origin}; that loses acknowledged reservations in a crash and needs the flag --unsafe-no-fsync"
    )]
    UnsafeDurability {
        /// Where it stands.
        origin: Origin,
    },
    /// A key that needs another one.
    #[error("\"{key}\" in {origin} needs {needs}")]
    Needs {
        /// The key.
        key: &'static str,
        /// Where it stands.
        origin: Origin,
        /// What else must be set, and how.
        needs: String,
    },
    /// An address that others can reach, without what keeps them out.
    #[error(
        "\"{key}\" is {address} in {origin}, which other machines can reach, and {missing} not set: set {missing_keys}, listen on 127.0.0.1, \
         or say with the flag --insecure-public that whoever reaches it may do everything"
    )]
    Public {
        /// The key of the address.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// Where it stands.
        origin: Origin,
        /// What is missing, with its verb.
        missing: &'static str,
        /// The keys that would set it.
        missing_keys: &'static str,
    },
    /// A key without a default was not given.
    #[error("\"{key}\" is not set; give --{flag}, QUARTERMASTER_{variable} or \"{key}\" in the configuration file")]
    Missing {
        /// The key.
        key: &'static str,
        /// Its flag.
        flag: String,
        /// Its variable after the prefix.
        variable: String,
    },
}

fn nearest(similar: &Option<&'static str>) -> String {
    match similar {
        Some(key) => format!("did you mean \"{key}\"?"),
        None => "`quartermaster serve --help` lists the keys".to_owned(),
    }
}

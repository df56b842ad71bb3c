//! Lays file, environment and flags over the defaults, remembering where each value came from.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Map};
use figment::{Figment, Metadata, Profile, Provider};

use super::error::ConfigError;
use super::{Config, Flags, KEYS, check, value};

const PREFIX: &str = "QUARTERMASTER_";

/// The variable that names the file, after the prefix: read by the command line, not a key.
const FILE_VARIABLE: &str = "CONFIG";

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// The named environment variable.
    Environment(String),
    /// The named flag.
    Flag(String),
}

/// Variables, after the prefix, by which the commands know which server to ask and who asks. They are in the environment of people and
/// scripts, and a server that is started there has nothing to do with them.
const CLIENT_VARIABLES: [&str; 8] = ["TARGET", "TOKEN", "TOKEN_FILE", "CA", "CERT", "KEY", "TIMEOUT", "PROFILE"];

/// A configuration and where its values came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings, all checked.
    pub config: Config,
    pub(super) origins: Vec<(&'static str, Origin)>,
}

impl Config {
    /// The settings from `flags`, `environment` (name and value, usually `std::env::vars_os()`) and the file the flags name.
    ///
    /// # Errors
    /// The first mistake found, as [`ConfigError`] lists them.
    pub fn load(
        flags: &Flags,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Loaded, ConfigError> {
        let mut layers = Vec::new();
        if let Some(path) = &flags.config {
            layers.push(Layer::file(path)?);
        }
        layers.push(Layer::environment(environment)?);
        layers.push(Layer::flags(flags));
        for layer in &layers {
            layer.check_keys()?;
        }

        let mut figment = Figment::from(Serialized::defaults(Config::default()));
        for layer in &layers {
            figment = figment.merge(layer);
        }
        let origin_of = |key: &str| {
            let layer = layers.iter().rev().find(|layer| layer.values.contains_key(key));
            layer.map_or(Origin::Default, |layer| layer.origin(key))
        };
        let config: Config = figment.extract().map_err(|error| {
            let key = error.path.join(".");
            ConfigError::Value { origin: origin_of(&key), key, problem: error.kind.to_string() }
        })?;
        check::check(&config, flags.unsafe_no_fsync, flags.insecure_public, origin_of)?;
        let origins = KEYS.iter().map(|key| (*key, origin_of(key))).collect();
        Ok(Loaded { config, origins })
    }
}

/// The values of one source.
struct Layer {
    kind: Kind,
    values: Dict,
}

enum Kind {
    File(PathBuf),
    Environment,
    Flags,
}

impl Layer {
    fn file(path: &Path) -> Result<Layer, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::File { path: path.to_owned(), source })?;
        let values = Toml::from_str(&text)
            .map_err(|problem| ConfigError::Syntax { path: path.to_owned(), problem: problem.to_string() })?;
        Ok(Layer { kind: Kind::File(path.to_owned()), values })
    }

    fn environment(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Layer, ConfigError> {
        let mut values = Dict::new();
        for (name, text) in variables {
            let Some(key) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else {
                continue;
            };
            if key == FILE_VARIABLE || is_service_link(key) {
                continue;
            }
            let is_key = KEYS.contains(&key.to_lowercase().as_str());
            if CLIENT_VARIABLES.contains(&key) && !is_key {
                continue;
            }
            let key = key.to_lowercase();
            let origin = Origin::Environment(name.to_string_lossy().into_owned());
            let Some(text) = text.to_str() else {
                return Err(ConfigError::Value { key, origin, problem: "not valid UTF-8".to_owned() });
            };
            let value = value::from_text(&key, text);
            values.insert(key, value);
        }
        Ok(Layer { kind: Kind::Environment, values })
    }

    fn flags(flags: &Flags) -> Layer {
        let given = flags.given().into_iter();
        Layer {
            kind: Kind::Flags,
            values: given.map(|(key, text)| (key.to_owned(), value::from_text(key, text))).collect(),
        }
    }

    fn origin(&self, key: &str) -> Origin {
        match &self.kind {
            Kind::File(path) => Origin::File(path.clone()),
            Kind::Environment => Origin::Environment(format!("{PREFIX}{}", key.to_uppercase())),
            Kind::Flags => Origin::Flag(format!("--{}", key.replace('_', "-"))),
        }
    }

    fn check_keys(&self) -> Result<(), ConfigError> {
        match self.values.keys().find(|key| !KEYS.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => {
                Err(ConfigError::UnknownKey { key: key.clone(), origin: self.origin(key), similar: similar(key) })
            }
        }
    }
}

/// Variables that Kubernetes gives every container for a service that is called quartermaster: not ours, so not unknown keys.
fn is_service_link(key: &str) -> bool {
    key.contains("SERVICE_HOST") || key.contains("SERVICE_PORT") || key == "PORT" || key.starts_with("PORT_")
}

/// The key that shares most of its beginning and end with `written`, if that is more than half of it.
fn similar(written: &str) -> Option<&'static str> {
    let shared = |key: &str| {
        let front = key.bytes().zip(written.bytes()).take_while(|(a, b)| a == b).count();
        let back = key.bytes().rev().zip(written.bytes().rev()).take_while(|(a, b)| a == b).count();
        (front + back).min(written.len())
    };
    let best = KEYS.iter().copied().max_by_key(|key| shared(key))?;
    (shared(best) * 2 > written.len()).then_some(best)
}

impl Provider for &Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(match self.kind {
            Kind::File(_) => "file",
            Kind::Environment => "environment",
            Kind::Flags => "flags",
        })
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("the defaults"),
            Origin::File(path) => write!(f, "file {}", path.display()),
            Origin::Environment(name) => write!(f, "environment {name}"),
            Origin::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

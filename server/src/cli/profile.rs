//! `~/.config/quartermaster/config.toml`: where the servers are that a person asks, so that not every command has to say it.
//!
//! ```toml
//! target = "http://127.0.0.1:7070"
//!
//! [profile.shanghai]
//! target = "https://stock.sha.example:7070"
//! ca = "/etc/ssl/sha.pem"
//! token_file = "/run/secrets/stock-token"
//! timeout = "3s"
//! ```
//!
//! Flags and variables go before it. It holds no secrets, only where they are.

use std::collections::BTreeMap;
use std::env;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::providers::{Format as _, Toml};
use serde::Deserialize;

/// The keys of a profile, each as the flag of its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Profile {
    pub(super) target: Option<String>,
    pub(super) token_file: Option<PathBuf>,
    pub(super) ca: Option<PathBuf>,
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    #[serde(default, with = "humantime_serde")]
    pub(super) timeout: Option<Duration>,
    /// Profiles by name; only at the top.
    #[serde(default)]
    profile: BTreeMap<String, Profile>,
}

impl Profile {
    /// Where the file is; none without a home directory.
    pub(super) fn path() -> Option<PathBuf> {
        let folder = env::var_os("XDG_CONFIG_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
        let folder = folder.or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".config")))?;
        Some(folder.join("quartermaster/config.toml"))
    }

    /// The profile `name` of the file, or its top level. A file that is not there says nothing.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub(super) fn read(
        path: &Path,
        name: Option<&str>,
        read: impl FnOnce(&Path) -> io::Result<String>,
    ) -> Result<Profile, String> {
        let text = match read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound && name.is_none() => return Ok(Profile::default()),
            Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
        };
        let parsed: Result<Profile, _> = Figment::from(Toml::string(&text)).extract();
        let mut top = parsed.map_err(|error| format!("{}: {error}", path.display()))?;
        let Some(name) = name else {
            return Ok(Profile { profile: BTreeMap::new(), ..top });
        };
        if let Some(profile) = top.profile.remove(name) {
            return Ok(profile);
        }
        let known: Vec<&str> = top.profile.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Err(format!("{} has no profile {name:?}; it has: {known}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, name: Option<&str>) -> Result<Profile, String> {
        Profile::read(Path::new("config.toml"), name, |_| Ok(text.to_owned()))
    }

    #[test]
    fn a_profile_is_taken_by_its_name() {
        let text = "target = \"http://a\"\n[profile.sha]\ntarget = \"https://b\"\ntimeout = \"3s\"\n";
        assert_eq!(read(text, None).unwrap().target.as_deref(), Some("http://a"));
        let named = read(text, Some("sha")).unwrap();
        assert_eq!((named.target.as_deref(), named.timeout), (Some("https://b"), Some(Duration::from_secs(3))));
        let error = read(text, Some("hz")).unwrap_err();
        assert!(error.contains("\"hz\"") && error.contains("sha"), "{error}");
    }

    #[test]
    fn mistakes_are_told_and_a_missing_file_is_none() {
        for (text, part) in [("taget = 1", "taget"), ("timeout = \"soon\"", "timeout"), ("target", "config.toml")] {
            let error = read(text, None).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        let missing = |name| Profile::read(Path::new("x"), name, |_| Err(ErrorKind::NotFound.into()));
        assert_eq!(missing(None), Ok(Profile::default()));
        assert!(missing(Some("sha")).is_err());
    }
}

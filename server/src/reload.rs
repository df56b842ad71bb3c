//! What can take new settings while the server runs, and who hands them over: on SIGHUP and on a call.

use std::ffi::OsString;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::config::{Config, ConfigError, Flags, KEYS};

/// A part of the server that takes some settings at run time. Whoever reloads asks all parts to check first, and only then to take, so that
/// a mistake in one setting leaves every part as it was.
pub trait Reload: Send + Sync {
    /// Keys of the configuration it takes at run time.
    fn keys(&self) -> &'static [&'static str];

    /// Whether it could take `config`; reads files the settings name.
    ///
    /// # Errors
    /// What is wrong, where, and what would be right.
    fn check(&self, config: &Config) -> Result<(), String>;

    /// Takes the settings. Only after `check` of the same configuration; what fails between the two leaves the part as it was.
    ///
    /// # Errors
    /// As `check`.
    fn take(&self, config: &Config) -> Result<(), String>;
}

/// Why a reload changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The configuration would be refused at a start, too.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A part cannot take it.
    #[error("\"{key}\" cannot be taken: {problem}")]
    Part {
        /// The first key of the part that changed.
        key: String,
        /// What is wrong.
        problem: String,
    },
}

/// A setting that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Its key.
    pub key: &'static str,
    /// What it was.
    pub old: String,
    /// What the configuration says.
    pub new: String,
}

/// What a reload found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Changed, and in force.
    pub applied: Vec<Changed>,
    /// Changed, and in force after a restart.
    pub needs_restart: Vec<Changed>,
}

impl Reloaded {
    /// Tells the log.
    pub fn log(&self) {
        for changed in &self.applied {
            tracing::info!(key = changed.key, old = changed.old, new = changed.new, "setting changed");
        }
        for changed in &self.needs_restart {
            tracing::warn!(
                key = changed.key,
                old = changed.old,
                new = changed.new,
                "setting changes with the next start only"
            );
        }
        tracing::info!(
            applied = self.applied.len(),
            needs_restart = self.needs_restart.len(),
            "configuration read anew"
        );
    }
}

/// Where the environment is read from.
type Environment = Box<dyn Fn() -> Vec<(OsString, OsString)> + Send + Sync>;

/// Reads the configuration anew and hands it to the parts.
pub struct Reloader {
    flags: Flags,
    environment: Environment,
    parts: Vec<Arc<dyn Reload>>,
    /// The settings in force. Locked for a whole reload: one at a time.
    current: Mutex<Config>,
}

impl Reloader {
    /// `flags` and `environment` are read again with the file they name; `current` is what the server was started with.
    pub fn new(
        flags: Flags,
        environment: impl Fn() -> Vec<(OsString, OsString)> + Send + Sync + 'static,
        current: Config,
        parts: Vec<Arc<dyn Reload>>,
    ) -> Reloader {
        Reloader { flags, environment: Box::new(environment), parts, current: Mutex::new(current) }
    }

    /// Reads everything anew and takes what can change, or with `dry_run` only tells. Reads files: run it off the threads that serve.
    ///
    /// # Errors
    /// When anything is wrong. Then every part is as it was.
    pub fn reload(&self, dry_run: bool) -> Result<Reloaded, ReloadError> {
        let mut current = self.current.lock();
        let read = Config::load(&self.flags, (self.environment)())?.config;
        let (mut found, mut next) = (Reloaded::default(), current.clone());
        for key in KEYS.iter().copied().filter(|key| !current.is_same(&read, key)) {
            let changed = Changed { key, old: current.text(key), new: read.text(key) };
            if self.parts.iter().any(|part| part.keys().contains(&key)) {
                next = next.with(&read, key);
                found.applied.push(changed);
            } else {
                found.needs_restart.push(changed);
            }
        }
        // Also without a changed key: files that settings name may have other content, certificates above all.
        for part in &self.parts {
            part.check(&next).map_err(|problem| refused(&**part, &found, problem))?;
        }
        if dry_run {
            return Ok(found);
        }
        for (place, part) in self.parts.iter().enumerate() {
            if let Err(problem) = part.take(&next) {
                for taken in &self.parts[..place] {
                    if let Err(problem) = taken.take(&current) {
                        tracing::error!(problem, "a part could not go back to the settings before");
                    }
                }
                return Err(refused(&**part, &found, problem));
            }
        }
        *current = next;
        Ok(found)
    }
}

fn refused(part: &dyn Reload, found: &Reloaded, problem: String) -> ReloadError {
    let changed = found.applied.iter().map(|changed| changed.key).find(|key| part.keys().contains(key));
    let key = changed.or(part.keys().first().copied()).unwrap_or("?").to_owned();
    ReloadError::Part { key, problem }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::time::Duration;

    use super::*;

    /// Takes what it is given, unless it is told not to.
    #[derive(Default)]
    struct Part {
        keys: &'static [&'static str],
        refuses: bool,
        fails: bool,
        taken: Mutex<Vec<Duration>>,
    }

    impl Reload for Part {
        fn keys(&self) -> &'static [&'static str] {
            self.keys
        }

        fn check(&self, _: &Config) -> Result<(), String> {
            if self.refuses { Err("no".to_owned()) } else { Ok(()) }
        }

        fn take(&self, config: &Config) -> Result<(), String> {
            self.taken.lock().push(config.drain_grace);
            if self.fails { Err("broken".to_owned()) } else { Ok(()) }
        }
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn rewrite(file: &tempfile::NamedTempFile, text: &str) {
        std::fs::write(file.path(), text).unwrap();
    }

    fn reloader(file: &tempfile::NamedTempFile, parts: &[Arc<Part>]) -> Reloader {
        let flags = Flags { config: Some(file.path().to_owned()), ..Flags::default() };
        let current = Config::load(&flags, []).unwrap().config;
        let parts = parts.iter().map(|part| Arc::clone(part) as Arc<dyn Reload>).collect();
        Reloader::new(flags, Vec::new, current, parts)
    }

    fn keys(changed: &[Changed]) -> Vec<&'static str> {
        changed.iter().map(|changed| changed.key).collect()
    }

    #[test]
    fn what_can_change_is_taken_and_the_rest_is_named_until_the_restart() {
        let file = file("drain_grace = '5s'");
        let part = Arc::new(Part { keys: &["drain_grace"], ..Part::default() });
        let reloader = reloader(&file, &[Arc::clone(&part)]);
        rewrite(&file, "drain_grace = '7s'\nworker_threads = 9");
        let told = reloader.reload(true).unwrap();
        assert!(part.taken.lock().is_empty(), "a dry run takes nothing");
        let found = reloader.reload(false).unwrap();
        assert_eq!(found, told);
        assert_eq!(found.applied, [Changed { key: "drain_grace", old: "5s".into(), new: "7s".into() }]);
        assert_eq!(keys(&found.needs_restart), ["worker_threads"]);
        assert_eq!(*part.taken.lock(), [Duration::from_secs(7)]);
        let again = reloader.reload(false).unwrap();
        assert_eq!((keys(&again.applied), keys(&again.needs_restart)), (vec![], vec!["worker_threads"]));
    }

    #[test]
    fn one_part_that_refuses_leaves_all_as_they_were() {
        let file = file("drain_grace = '5s'");
        let first = Arc::new(Part { keys: &["drain_grace"], ..Part::default() });
        let second = Arc::new(Part { keys: &["log_level"], refuses: true, ..Part::default() });
        let reloader = reloader(&file, &[Arc::clone(&first), second]);
        rewrite(&file, "drain_grace = '7s'\nlog_level = 'debug'");
        let error = reloader.reload(false).unwrap_err().to_string();
        assert!(error.contains("\"log_level\" cannot be taken: no"), "{error}");
        assert!(first.taken.lock().is_empty());
    }

    #[test]
    fn a_part_that_fails_on_the_way_has_the_others_go_back() {
        let file = file("drain_grace = '5s'");
        let first = Arc::new(Part { keys: &["drain_grace"], ..Part::default() });
        let second = Arc::new(Part { keys: &["log_level"], fails: true, ..Part::default() });
        let reloader = reloader(&file, &[Arc::clone(&first), second]);
        rewrite(&file, "drain_grace = '7s'");
        assert!(reloader.reload(false).is_err());
        assert_eq!(*first.taken.lock(), [7, 5].map(Duration::from_secs));
    }

    #[test]
    fn what_a_start_would_refuse_is_refused_with_its_place() {
        let file = file("drain_grace = '5s'");
        let part = Arc::new(Part { keys: &["drain_grace"], ..Part::default() });
        let reloader = reloader(&file, &[Arc::clone(&part)]);
        for (text, say) in [
            ("drain_grace = '5 h'", "0s to 10m"),
            ("drain_gracee = '5s'", "did you mean \"drain_grace\"?"),
            ("drain_grace = ", "not valid TOML"),
        ] {
            rewrite(&file, text);
            let error = reloader.reload(false).unwrap_err().to_string();
            assert!(error.contains(say), "{error}");
        }
        std::fs::remove_file(file.path()).unwrap();
        assert!(reloader.reload(false).unwrap_err().to_string().contains("cannot read the configuration file"));
        assert!(part.taken.lock().is_empty());
    }
}

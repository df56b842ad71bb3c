//! The log: events on stderr, as text for people or as one JSON object a line. stdout is left to the one line that says "ready".
//!
//! What is logged can change at run time, for good by the configuration or for a time by a call.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{EnvFilter, fmt, reload};

use crate::config::{Config, LogFormat};
use crate::reload::Reload;

/// Starts the log as `config` says. Once a process.
///
/// # Errors
/// When another subscriber is already installed.
pub fn start(config: &Config) -> Result<Arc<LogLevel>, TryInitError> {
    // The directives were checked with the configuration; what cannot be read here logs errors only.
    let filter = EnvFilter::new(&config.log_level);
    let (filter, handle) = reload::Layer::new(filter);
    let registry = tracing_subscriber::registry().with(filter);
    let lines = fmt::layer().with_writer(io::stderr);
    match config.log_format {
        LogFormat::Text => registry.with(lines.with_ansi(io::stderr().is_terminal())).try_init()?,
        LogFormat::Json => registry.with(lines.json().flatten_event(true).with_current_span(false)).try_init()?,
    }
    let set: Set = Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string()));
    Ok(LogLevel::new(config.log_level.clone(), set))
}

/// Puts a filter in force.
type Set = Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>;

/// What is logged.
pub struct LogLevel {
    set: Set,
    state: Mutex<State>,
}

struct State {
    /// The directives in force.
    now: String,
    /// Those of the configuration.
    configured: String,
    /// When those hold again.
    returns_at: Option<Instant>,
}

/// The directives in force, and when those of the configuration hold again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    /// In force.
    pub directives: String,
    /// Those of the configuration, and the time until they hold again; none when what is in force stays.
    pub returns: Option<(String, Duration)>,
}

impl LogLevel {
    fn new(directives: String, set: Set) -> Arc<LogLevel> {
        let state = State { now: directives.clone(), configured: directives, returns_at: None };
        Arc::new(LogLevel { set, state: Mutex::new(state) })
    }

    /// A level that is nobody's, for tests and servers within other programs.
    pub fn detached(directives: &str) -> Arc<LogLevel> {
        LogLevel::new(directives.to_owned(), Box::new(|_| Ok(())))
    }

    /// What is logged now.
    pub fn show(&self) -> Level {
        self.state.lock().level()
    }

    /// Puts `directives` in force, for good or for a time. Needs a tokio runtime for the latter.
    ///
    /// # Errors
    /// When they do not parse, naming the first that does not; nothing changed.
    pub fn change(self: &Arc<Self>, directives: &str, lasts: Option<Duration>) -> Result<Level, String> {
        let filter = parse(directives)?;
        let mut state = self.state.lock();
        (self.set)(filter)?;
        directives.clone_into(&mut state.now);
        state.returns_at = lasts.map(|lasts| Instant::now() + lasts);
        tracing::info!(directives, ?lasts, "the log's level was changed");
        if let Some(at) = state.returns_at {
            let level = Arc::clone(self);
            tokio::spawn(async move {
                tokio::time::sleep_until(at).await;
                level.go_back(at);
            });
        }
        Ok(state.level())
    }

    /// Back to the configuration, unless another change came after the one that was to last until `at`.
    fn go_back(&self, at: Instant) {
        let mut state = self.state.lock();
        if state.returns_at != Some(at) {
            return;
        }
        state.returns_at = None;
        if (self.set)(EnvFilter::new(&state.configured)).is_ok() {
            state.now = state.configured.clone();
            tracing::info!(directives = state.now, "the log's level is that of the configuration again");
        }
    }
}

impl State {
    fn level(&self) -> Level {
        let left = |at: Instant| at.saturating_duration_since(Instant::now());
        Level { directives: self.now.clone(), returns: self.returns_at.map(|at| (self.configured.clone(), left(at))) }
    }
}

/// The filter of `directives`.
///
/// # Errors
/// When they are empty or do not parse, or when one of them is a single word that is no level: that would be the name of a part of the
/// program, and everything else would be silent.
pub(crate) fn parse(directives: &str) -> Result<EnvFilter, String> {
    const RIGHT: &str =
        "give a level (error, warn, info, debug, trace, off) or directives such as \"info,quartermaster_server=debug\"";
    if directives.trim().is_empty() {
        return Err(format!("it is empty; {RIGHT}"));
    }
    let is_plain = |directive: &&str| !directive.contains(['=', '[', ':']);
    if let Some(word) = directives.split(',').filter(is_plain).find(|word| word.trim().parse::<LevelFilter>().is_err())
    {
        return Err(format!("{word:?} is no level; {RIGHT}"));
    }
    EnvFilter::try_new(directives).map_err(|error| format!("{directives:?}: {error}; {RIGHT}"))
}

impl Reload for LogLevel {
    fn keys(&self) -> &'static [&'static str] {
        &["log_level"]
    }

    fn check(&self, config: &Config) -> Result<(), String> {
        parse(&config.log_level).map(|_| ())
    }

    fn take(&self, config: &Config) -> Result<(), String> {
        let filter = parse(&config.log_level)?;
        let mut state = self.state.lock();
        state.configured.clone_from(&config.log_level);
        // One that was set for a time goes on until it ends.
        if state.returns_at.is_none() && state.now != config.log_level {
            (self.set)(filter)?;
            state.now.clone_from(&config.log_level);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_level_for_a_time_goes_back_and_a_later_change_is_not_undone() {
        let level = LogLevel::detached("info");
        let minute = Duration::from_secs(60);
        let shown = level.change("debug", Some(minute)).unwrap();
        assert_eq!(shown.directives, "debug");
        assert!(shown.returns.is_some_and(|(then, left)| then == "info" && left <= minute));
        let due = level.state.lock().returns_at.unwrap();
        // The configuration changes meanwhile: it is what is gone back to.
        level.take(&Config { log_level: "warn".into(), ..Config::default() }).unwrap();
        assert_eq!(level.show().directives, "debug");
        level.go_back(due);
        assert_eq!(level.show(), Level { directives: "warn".into(), returns: None });

        level.change("debug", Some(minute)).unwrap();
        let due = level.state.lock().returns_at.unwrap();
        level.change("trace", None).unwrap();
        level.go_back(due);
        assert_eq!(level.show().directives, "trace");
        for wrong in ["", "loud", "info,quartermaster_server=very"] {
            let error = level.change(wrong, None).unwrap_err();
            assert!(error.contains("error, warn, info, debug, trace"), "{error}");
        }
        assert_eq!(level.show().directives, "trace");
    }
}

//! The log: events on stderr, as text for people or as one JSON object a line. stdout is left to the one line that says "ready".

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{Config, LogFormat};

/// Starts the log as `config` says. Once a process.
///
/// # Errors
/// When another subscriber is already installed.
pub fn start(config: &Config) -> Result<(), TryInitError> {
    // The directives were checked with the configuration; what cannot be read here logs errors only.
    let filter = EnvFilter::new(&config.log_level);
    let builder = tracing_subscriber::fmt().with_writer(io::stderr).with_env_filter(filter);
    match config.log_format {
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal()).finish().try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).finish().try_init(),
    }
}

//! The configuration as it is shown: at the start, and by whoever asks.

use std::path::Path;
use std::time::Duration;

use humantime_serde::re::humantime;

use super::error::ConfigError;
use super::load::{Loaded, Origin};
use super::{Config, Durability};

impl Config {
    /// The value of `key` as it is shown.
    pub(crate) fn text(&self, key: &str) -> String {
        let values = serde_json::to_value(self).unwrap_or_default();
        text_of(&values[key])
    }

    /// Whether both say the same of `key`.
    pub(crate) fn is_same(&self, other: &Config, key: &str) -> bool {
        let value = |config: &Config| serde_json::to_value(config).unwrap_or_default()[key].clone();
        value(self) == value(other)
    }

    /// These settings, with that of `key` taken from `other`.
    ///
    /// # Panics
    /// Never: what was a configuration stays one when a value of another one takes the place of its own.
    pub(crate) fn with(&self, other: &Config, key: &str) -> Config {
        let mut values = serde_json::to_value(self).expect("Invariant: a configuration is plain data");
        values[key] = serde_json::to_value(other).expect("Invariant: a configuration is plain data")[key].clone();
        serde_json::from_value(values).expect("Invariant: the values of two configurations make one")
    }

    /// The directory of journal and snapshots.
    ///
    /// # Errors
    /// [`ConfigError::Missing`] when nobody gave one.
    pub fn data_dir(&self) -> Result<&Path, ConfigError> {
        self.data_dir.as_deref().ok_or_else(|| ConfigError::Missing {
            key: "data_dir",
            flag: "data-dir".to_owned(),
            variable: "DATA_DIR".to_owned(),
        })
    }

    /// What a crash may take, in a sentence.
    pub fn loss_window(&self) -> String {
        match self.durability {
            Durability::Fsync => "nothing acknowledged is lost, not even in a power cut".to_owned(),
            Durability::Interval => format!(
                "a power cut may lose the last {} of acknowledged changes; the death of the process loses none",
                humantime::format_duration(self.sync_interval)
            ),
            Durability::None => "UNSAFE: a power cut may lose every acknowledged change since the start".to_owned(),
        }
    }
}

/// A long time in days and what is left. Its usual form counts in months of 30.44 days, which nobody wrote.
fn in_days(text: &str) -> Option<String> {
    let time = humantime::parse_duration(text).ok().filter(|_| text.contains("month") || text.contains("year"))?;
    let day = Duration::from_secs(24 * 3_600);
    let days = time.as_secs() / day.as_secs();
    let rest = time.saturating_sub(Duration::from_secs(days * day.as_secs()));
    let rest = if rest.is_zero() { String::new() } else { format!(" {}", humantime::format_duration(rest)) };
    Some(format!("{days}days{rest}"))
}

/// A value as it is shown.
pub(super) fn text_of(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => in_days(text).unwrap_or_else(|| text.clone()),
        serde_json::Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

impl Loaded {
    /// Key, value and origin of every setting, in the order of the documentation.
    pub fn rows(&self) -> Vec<(&'static str, String, &Origin)> {
        let values = serde_json::to_value(&self.config).unwrap_or_default();
        let text = |key: &str| text_of(&values[key]);
        self.origins.iter().map(|(key, origin)| (*key, text(key), origin)).collect()
    }

    /// Logs every setting with where it came from, then what a crash may take.
    pub fn log(&self) {
        for (key, value, origin) in self.rows() {
            tracing::info!(target: "quartermaster_server::config", key, value, %origin, "setting");
        }
        self.warn_of_open_doors();
        let durability = self.config.loss_window();
        match self.config.durability {
            Durability::Fsync => tracing::info!(target: "quartermaster_server::config", "{durability}"),
            Durability::Interval | Durability::None => {
                tracing::warn!(target: "quartermaster_server::config", "{durability}");
            }
        }
    }
}

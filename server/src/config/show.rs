//! The configuration as it is shown: at the start, and by whoever asks.

use std::path::Path;

use humantime_serde::re::humantime;

use super::error::ConfigError;
use super::load::{Loaded, Origin};
use super::{Config, Durability};

impl Config {
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

impl Loaded {
    /// Key, value and origin of every setting, in the order of the documentation.
    pub fn rows(&self) -> Vec<(&'static str, String, &Origin)> {
        let values = serde_json::to_value(&self.config).unwrap_or_default();
        let text = |key: &str| match &values[key] {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Null => "-".to_owned(),
            other => other.to_string(),
        };
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

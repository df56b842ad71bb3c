//! The data directory that the configuration names, opened on this machine's disk and clock.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use quartermaster_engine::crew::Threads;
use quartermaster_journal::{FileStorage, Journal, Log};
use quartermaster_node::{Core, CoreConfig};

use super::timed_journal::TimedJournal;
use crate::clock::SystemClock;
use crate::config::{Config, ConfigError};

/// Why a data directory cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No directory was named.
    #[error(transparent)]
    NotNamed(#[from] ConfigError),
    /// It cannot be made.
    #[error("cannot make the data directory {}", path.display())]
    Create {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What is in it cannot be used.
    #[error(transparent)]
    Content(#[from] quartermaster_node::OpenError),
    /// The system has no thread to give.
    #[error("cannot start a thread")]
    Thread {
        /// What the system said.
        source: io::Error,
    },
}

impl OpenError {
    /// Whether another process holds the directory.
    #[must_use]
    pub fn is_held(&self) -> bool {
        use quartermaster_node::OpenError::Journal;
        matches!(self, OpenError::Content(Journal { source: quartermaster_journal::Error::Locked { .. }, .. }))
    }

    /// Whether files are missing or are not what was written, so that a new start cannot help.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, OpenError::Content(error) if error.is_damage())
    }
}

pub(super) fn open(config: &Config) -> Result<Core<FileStorage, SystemClock>, OpenError> {
    let path = config.data_dir()?.to_owned();
    fs::create_dir_all(&path).map_err(|source| OpenError::Create { path: path.clone(), source })?;
    let settings = CoreConfig {
        engine: config.engine(),
        log: config.log(),
        snapshot_interval: config.snapshot_interval,
        snapshot_after_bytes: config.snapshot_after_bytes,
        journal_keep: config.journal_keep,
        disk_budget_bytes: config.disk_budget_bytes,
    };
    let crew = Threads::of_the_machine();
    let journal = |log: &Log| Arc::new(TimedJournal(log.clone())) as Arc<dyn Journal>;
    Ok(Core::open_with(FileStorage::new(path), &settings, SystemClock::start(), &crew, journal)?)
}

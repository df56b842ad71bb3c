//! What can take new settings while the server runs.

use crate::config::Config;

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

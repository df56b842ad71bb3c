//! Why tokens or keys cannot be used: which file, which line, which key, and what would be right. Never what might be a secret.

use std::io;
use std::path::PathBuf;

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// It cannot be read.
    #[error("{key}: cannot read {}", path.display())]
    Read {
        /// The key of the configuration.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not TOML, or has a key or a kind of value that does not belong there.
    #[error("tokens_file: {}, line {line}: {problem}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What the parser said.
        problem: String,
    },
    /// A principal cannot be as it is.
    #[error("tokens_file: {}, line {line}, principal \"{name}\": {problem}", path.display())]
    Principal {
        /// The file.
        path: PathBuf,
        /// Number of the line where the principal begins, from 1.
        line: usize,
        /// Its name.
        name: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// It holds no key that signatures can be checked with.
    #[error("{from} holds no usable key: {problem}")]
    Keys {
        /// The file or address.
        from: String,
        /// What is wrong.
        problem: String,
    },
}

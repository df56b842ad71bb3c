//! What a backup target is written as, and the target it names.

use std::path::{Path, PathBuf};

use quartermaster_backup::{DirectoryTarget, Target};

/// A target as it is named: by the configuration, a call or a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A directory of this machine.
    Directory(PathBuf),
    /// A bucket of an S3-compatible store and a prefix within it, which may be empty.
    Bucket {
        /// The bucket.
        bucket: String,
        /// The prefix, without slashes at its ends.
        prefix: String,
    },
}

impl Place {
    /// Reads `text`: an absolute path, `file:///path`, or `s3://bucket/prefix`.
    ///
    /// # Errors
    /// What is wrong and what would be right.
    pub fn parse(text: &str) -> Result<Place, String> {
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let right = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
            if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(right) {
                return Err(format!(
                    "{bucket:?} is no name of a bucket (3 to 63 of a-z, 0-9, - and .); write s3://bucket/prefix"
                ));
            }
            return Ok(Place::Bucket { bucket: bucket.to_owned(), prefix: prefix.trim_matches('/').to_owned() });
        }
        let path = text.strip_prefix("file://").unwrap_or(text);
        if path.contains("://") {
            return Err(format!("{text:?} is no target; write an absolute directory or s3://bucket/prefix"));
        }
        if !path.starts_with('/') {
            return Err(format!("{text:?} is not an absolute path; write one, or s3://bucket/prefix"));
        }
        Ok(Place::Directory(PathBuf::from(path)))
    }

    /// As [`parse`](Place::parse), with a relative path taken from where the command was called.
    ///
    /// # Errors
    /// As [`parse`](Place::parse).
    pub fn parse_here(text: &str) -> Result<Place, String> {
        if text.contains("://") {
            return Place::parse(text);
        }
        std::path::absolute(text).map(Place::Directory).map_err(|error| format!("{text:?} is no path: {error}"))
    }

    /// Whether it lies in `directory`.
    #[must_use]
    pub fn is_within(&self, directory: &Path) -> bool {
        let resolved = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path));
        match self {
            Place::Directory(path) => match (resolved(path), resolved(directory)) {
                (Ok(path), Ok(directory)) => path.starts_with(directory),
                _ => path.starts_with(directory),
            },
            Place::Bucket { .. } => false,
        }
    }

    /// The target. Credentials of a bucket come from the environment.
    ///
    /// # Errors
    /// When this build has no S3, or the store's settings are incomplete.
    pub fn open(&self) -> Result<Box<dyn Target>, String> {
        match self {
            Place::Directory(path) => Ok(Box::new(DirectoryTarget::new(path))),
            #[cfg(feature = "s3")]
            Place::Bucket { bucket, prefix } => super::s3::Bucket::open(bucket, prefix).map(|it| Box::new(it) as _),
            #[cfg(not(feature = "s3"))]
            Place::Bucket { .. } => Err(format!(
                "{self}: this program was built without S3; build it with `cargo build --features s3`, or name a directory"
            )),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Directory(path) => path.display().fmt(f),
            Place::Bucket { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_directory_or_a_bucket_and_anything_else_is_told() {
        let bucket = Place::parse("s3://stock-backups/eu/a/").unwrap();
        assert_eq!(bucket.to_string(), "s3://stock-backups/eu/a");
        assert_eq!(Place::parse("file:///backups").unwrap(), Place::Directory("/backups".into()));
        for (text, say) in [
            ("backups", "not an absolute path"),
            ("", "not an absolute path"),
            ("s3://", "no name of a bucket"),
            ("s3://My_Bucket/x", "no name of a bucket"),
            ("gs://bucket/x", "write an absolute directory or s3://bucket/prefix"),
        ] {
            let error = Place::parse(text).unwrap_err();
            assert!(error.contains(say), "{text}: {error}");
        }
        assert!(Place::parse("/data/backups").unwrap().is_within(Path::new("/data")));
        assert!(!Place::parse("/database").unwrap().is_within(Path::new("/data")));
    }

    #[cfg(not(feature = "s3"))]
    #[test]
    fn a_bucket_without_the_feature_says_how_to_build() {
        let error = Place::parse("s3://stock-backups/a").unwrap().open().err().unwrap();
        assert!(error.contains("cargo build --features s3"), "{error}");
    }
}

//! Files whose change is noticed by how they look from outside.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Device, inode, size, and time of the last change in seconds and nanoseconds; through links, so that a directory swapped under a link
/// shows too. None when there is no such file.
type Look = Option<(u64, u64, u64, i64, i64)>;

/// Some files, and how they looked the last time.
#[derive(Debug)]
pub(crate) struct Files {
    seen: Vec<(PathBuf, Look)>,
}

impl Files {
    /// As they look now. To be taken before they are read: a change in between shows later, and not never.
    pub(crate) fn of<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> Files {
        Files { seen: paths.map(|path| (path.clone(), look(path))).collect() }
    }

    /// Whether one looks otherwise than the last time. From now on this is how they looked.
    pub(crate) fn changed(&mut self) -> bool {
        let mut changed = false;
        for (path, seen) in &mut self.seen {
            let now = look(path);
            changed |= now != *seen;
            *seen = now;
        }
        changed
    }
}

fn look(path: &Path) -> Look {
    let file = fs::metadata(path).ok()?;
    Some((file.dev(), file.ino(), file.size(), file.mtime(), file.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_shows_once() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        fs::write(&one, "1").unwrap();
        let mut files = Files::of([&one, &two].into_iter());
        assert!(!files.changed());
        fs::write(&two, "2").unwrap();
        assert!(files.changed(), "it is there now");
        assert!(!files.changed());
        fs::write(dir.path().join("new"), "3").unwrap();
        fs::rename(dir.path().join("new"), &one).unwrap();
        assert!(files.changed(), "same size, another file");
        fs::remove_file(&one).unwrap();
        assert!(files.changed());
        assert!(!files.changed());
    }
}

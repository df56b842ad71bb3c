//! A directory of the local file system.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::{DiskFile, LockError, Storage};

/// Name of the file that a writer keeps locked and writes its process id into.
const LOCK_NAME: &str = "LOCK";

/// Files in a directory of the local file system.
///
/// The claim is an advisory lock (`flock`) on the file `LOCK`, which the kernel frees when the process ends, however
/// it ends. Network file systems may not honour it.
#[derive(Clone, Debug)]
pub struct FileStorage {
    directory: Arc<Path>,
}

impl FileStorage {
    /// The storage in `directory`. Touches nothing yet: the directory is created when it is first claimed.
    pub fn new(directory: impl Into<PathBuf>) -> FileStorage {
        FileStorage { directory: directory.into().into() }
    }

    fn create_directory(&self) -> io::Result<()> {
        if self.directory.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(&self.directory)?;
        match self.directory.parent() {
            Some(parent) if parent.is_dir() => File::open(parent)?.sync_all(),
            _ => Ok(()),
        }
    }
}

impl Storage for FileStorage {
    type File = DiskFile;
    type Lock = File;

    fn path_of(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.directory.to_path_buf() } else { self.directory.join(name) }
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries {
            // A name that is not UTF-8 is none of ours.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<DiskFile> {
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(self.path_of(name));
        opened.map(DiskFile::from)
    }

    fn open(&self, name: &str) -> io::Result<DiskFile> {
        OpenOptions::new().read(true).write(true).open(self.path_of(name)).map(DiskFile::from)
    }

    fn open_read_only(&self, name: &str) -> io::Result<DiskFile> {
        File::open(self.path_of(name)).map(DiskFile::from)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path_of(from), self.path_of(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path_of(name))
    }

    fn modified_micros(&self, name: &str) -> io::Result<u64> {
        let modified = fs::metadata(self.path_of(name))?.modified()?;
        let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }

    fn sync_directory(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }

    fn lock(&self) -> Result<File, LockError> {
        self.create_directory()?;
        let path = self.path_of(LOCK_NAME);
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0)?;
                writeln!(file, "{}", std::process::id())?;
                Ok(file)
            }
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
                Err(LockError::Held { holder })
            }
            Err(TryLockError::Error(error)) => Err(LockError::Io(error)),
        }
    }
}

//! A storage whose errors name the operation and the file.

use std::path::PathBuf;

use crate::error::{Error, Operation};
use crate::storage::{LockError, Storage, StorageFile};

/// Wraps a [`Storage`] so that every error says what was done to which file.
#[derive(Clone, Debug)]
pub(crate) struct Directory<S> {
    storage: S,
}

/// An open file that knows its path.
#[derive(Debug)]
pub(crate) struct NamedFile<F> {
    file: F,
    path: PathBuf,
}

impl<S: Storage> Directory<S> {
    pub(crate) fn new(storage: S) -> Directory<S> {
        Directory { storage }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.storage.path_of("")
    }

    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.storage.path_of(name)
    }

    pub(crate) fn list(&self) -> Result<Vec<String>, Error> {
        self.storage.list().map_err(|source| Error::from_io(Operation::List, self.path(), source))
    }

    pub(crate) fn create(&self, name: &str) -> Result<NamedFile<S::File>, Error> {
        let path = self.path_of(name);
        match self.storage.create(name) {
            Ok(file) => Ok(NamedFile { file, path }),
            Err(source) => Err(Error::from_io(Operation::Create, path, source)),
        }
    }

    pub(crate) fn open(&self, name: &str) -> Result<NamedFile<S::File>, Error> {
        let path = self.path_of(name);
        match self.storage.open(name) {
            Ok(file) => Ok(NamedFile { file, path }),
            Err(source) => Err(Error::from_io(Operation::Open, path, source)),
        }
    }

    pub(crate) fn open_read_only(&self, name: &str) -> Result<NamedFile<S::File>, Error> {
        let path = self.path_of(name);
        match self.storage.open_read_only(name) {
            Ok(file) => Ok(NamedFile { file, path }),
            Err(source) => Err(Error::from_io(Operation::Open, path, source)),
        }
    }

    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        self.storage.rename(from, to).map_err(|source| Error::from_io(Operation::Rename, self.path_of(from), source))
    }

    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        self.storage.remove(name).map_err(|source| Error::from_io(Operation::Remove, self.path_of(name), source))
    }

    pub(crate) fn sync(&self) -> Result<(), Error> {
        self.storage.sync_directory().map_err(|source| Error::from_io(Operation::SyncDirectory, self.path(), source))
    }

    pub(crate) fn lock(&self) -> Result<S::Lock, Error> {
        self.storage.lock().map_err(|error| match error {
            LockError::Held { holder } => Error::Locked { directory: self.path(), holder },
            LockError::Io(source) => Error::from_io(Operation::Lock, self.path(), source),
        })
    }
}

impl<F: StorageFile> NamedFile<F> {
    pub(crate) fn path(&self) -> &PathBuf {
        &self.path
    }

    /// The same file after it was renamed.
    pub(crate) fn renamed(self, path: PathBuf) -> NamedFile<F> {
        NamedFile { file: self.file, path }
    }

    pub(crate) fn length(&self) -> Result<u64, Error> {
        self.file.length().map_err(|source| Error::from_io(Operation::Read, self.path.clone(), source))
    }

    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), Error> {
        self.file.read_at(buffer, offset).map_err(|source| Error::from_io(Operation::Read, self.path.clone(), source))
    }

    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), Error> {
        self.file.write_at(bytes, offset).map_err(|source| Error::from_io(Operation::Write, self.path.clone(), source))
    }

    /// Writes real zeros: blocks that are only reserved cost a second trip to the disk when they are first written.
    pub(crate) fn write_zeros(&self, from: u64, to: u64) -> Result<(), Error> {
        const CHUNK: u64 = 256 << 10;
        let zeros = [0; 256 << 10];
        let mut offset = from;
        while offset < to {
            let length = CHUNK.min(to - offset);
            self.write_at(&zeros[..crate::layout::memory_length(length)], offset)?;
            offset += length;
        }
        Ok(())
    }

    /// Whole sectors written from now on go around the system's cache, where it lets them.
    pub(crate) fn bypass_cache(&self) {
        self.file.bypass_cache();
    }

    pub(crate) fn sync(&self) -> Result<(), Error> {
        self.file.sync_data().map_err(|source| Error::from_io(Operation::Sync, self.path.clone(), source))
    }
}

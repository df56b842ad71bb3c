//! Where backups go: objects under names, each put and got whole.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::{Error, Pace};

/// Why a target did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {object}")]
pub struct TargetError {
    /// What was tried: "write", "read", "list", "remove".
    pub operation: &'static str,
    /// The object, with its target.
    pub object: String,
    /// Whether it is the object that is not there.
    pub missing: bool,
    /// The reason.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// An object as a listing tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its name, parts separated by `/`.
    pub name: String,
    /// Its length.
    pub bytes: u64,
}

/// A place for backups. Calls block, and end by themselves in bounded time where the medium allows it.
pub trait Target: Send + Sync {
    /// As it is named to people; no secret in it.
    fn describe(&self) -> String;

    /// Puts an object, whole and durable, or not at all. One of the same name is replaced.
    ///
    /// # Errors
    /// What the medium reports.
    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), TargetError>;

    /// The same at a rate: asks `pace` before each part that goes out at once.
    ///
    /// # Errors
    /// As `put`, or that the caller cancels; nothing is there under the name then.
    fn put_paced(&self, name: &str, bytes: &[u8], pace: &dyn Pace) -> Result<(), Error> {
        pace.spend(bytes.len())?;
        Ok(self.put(name, bytes)?)
    }

    /// The content of an object.
    ///
    /// # Errors
    /// What the medium reports; `missing` when there is no such object.
    fn get(&self, name: &str) -> Result<Vec<u8>, TargetError>;

    /// The objects whose names begin with `prefix`, sorted by name. What was not put to its end is not among them.
    ///
    /// # Errors
    /// What the medium reports.
    fn list(&self, prefix: &str) -> Result<Vec<Object>, TargetError>;

    /// Removes an object; one that is not there is no error.
    ///
    /// # Errors
    /// What the medium reports.
    fn remove(&self, name: &str) -> Result<(), TargetError>;
}

/// Written and synced at once: on the journal's own disk a sync of more would hold up the syncs that callers wait for.
const STRIDE_BYTES: usize = 64 << 10;

/// End of the name of a file that is being written.
const UNFINISHED: &str = ".unfinished";

/// A directory, on this machine or mounted. Must be there: a mount that is not there must not be mistaken for an empty one.
#[derive(Clone, Debug)]
pub struct DirectoryTarget {
    root: PathBuf,
}

impl DirectoryTarget {
    /// The target in `root`.
    pub fn new(root: impl Into<PathBuf>) -> DirectoryTarget {
        DirectoryTarget { root: root.into() }
    }

    fn error(&self, operation: &'static str, name: &str, source: io::Error) -> TargetError {
        let object = self.root.join(name).display().to_string();
        let missing = source.kind() == io::ErrorKind::NotFound;
        TargetError { operation, object, missing, source: source.into() }
    }

    fn check_root(&self, operation: &'static str) -> Result<(), TargetError> {
        if self.root.is_dir() {
            return Ok(());
        }
        let source = io::Error::new(
            io::ErrorKind::NotFound,
            "there is no such directory; make it, or mount what should be there (it is not made on its own)",
        );
        Err(TargetError { operation, object: self.describe(), missing: false, source: source.into() })
    }

    /// Writes an object in strides, with `before` called ahead of each.
    fn write<E: From<TargetError>>(
        &self,
        name: &str,
        bytes: &[u8],
        before: &mut dyn FnMut(usize) -> Result<(), E>,
    ) -> Result<(), E> {
        self.check_root("write to")?;
        let failed = |source| E::from(self.error("write", name, source));
        let path = self.root.join(name);
        let parent = path.parent().unwrap_or(&self.root);
        self.make(parent).map_err(failed)?;
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(UNFINISHED);
        let written = File::create(&unfinished).map_err(failed).and_then(|mut file| {
            for stride in bytes.chunks(STRIDE_BYTES) {
                before(stride.len())?;
                file.write_all(stride).and_then(|()| file.sync_data()).map_err(failed)?;
            }
            file.sync_all().and_then(|()| fs::rename(&unfinished, &path)).map_err(failed)
        });
        if let Err(error) = written {
            // A full target must not stay full of what nobody reads.
            let _gone = fs::remove_file(&unfinished);
            return Err(error);
        }
        File::open(parent).and_then(|folder| folder.sync_all()).map_err(failed)
    }

    /// Makes a folder, durably.
    fn make(&self, folder: &Path) -> io::Result<()> {
        if !folder.is_dir() {
            fs::create_dir_all(folder)?;
            for ancestor in folder.ancestors().skip(1).take_while(|ancestor| ancestor.starts_with(&self.root)) {
                File::open(ancestor)?.sync_all()?;
            }
        }
        Ok(())
    }

    fn walk(&self, folder: &Path, objects: &mut Vec<Object>) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                // What a file system keeps at its root for itself.
                if path.file_name().is_none_or(|name| name != "lost+found") {
                    self.walk(&path, objects)?;
                }
                continue;
            }
            let name = path.strip_prefix(&self.root).unwrap_or(&path).to_string_lossy().into_owned();
            if !name.ends_with(UNFINISHED) {
                objects.push(Object { name, bytes: entry.metadata()?.len() });
            }
        }
        Ok(())
    }
}

impl Target for DirectoryTarget {
    fn describe(&self) -> String {
        self.root.display().to_string()
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), TargetError> {
        self.write(name, bytes, &mut |_| Ok(()))
    }

    fn put_paced(&self, name: &str, bytes: &[u8], pace: &dyn Pace) -> Result<(), Error> {
        self.write(name, bytes, &mut |stride| pace.spend(stride))
    }

    fn get(&self, name: &str) -> Result<Vec<u8>, TargetError> {
        fs::read(self.root.join(name)).map_err(|source| self.error("read", name, source))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>, TargetError> {
        self.check_root("list")?;
        let folder = prefix.rsplit_once('/').map_or(self.root.clone(), |(folder, _)| self.root.join(folder));
        let mut objects = Vec::new();
        match self.walk(&folder, &mut objects) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            walked => walked.map_err(|source| self.error("list", prefix, source))?,
        }
        objects.retain(|object| object.name.starts_with(prefix));
        objects.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(objects)
    }

    fn remove(&self, name: &str) -> Result<(), TargetError> {
        match fs::remove_file(self.root.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(|source| self.error("remove", name, source)),
        }
    }
}

/// Objects in memory, which fail when told to. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryTarget {
    inner: Arc<Mutex<Memory>>,
}

#[derive(Debug, Default)]
struct Memory {
    objects: BTreeMap<String, Vec<u8>>,
    /// Puts and removes that still succeed.
    left: Option<u64>,
    puts: u64,
    put_bytes: u64,
}

impl MemoryTarget {
    /// Lets `calls` more puts and removes through; every later one fails, until this is called again.
    pub fn fail_after(&self, calls: Option<u64>) {
        self.inner.lock().left = calls;
    }

    /// Puts that succeeded, and their bytes.
    pub fn puts(&self) -> (u64, u64) {
        let memory = self.inner.lock();
        (memory.puts, memory.put_bytes)
    }

    /// A copy that goes its own way.
    pub fn fork(&self) -> MemoryTarget {
        let objects = self.inner.lock().objects.clone();
        MemoryTarget { inner: Arc::new(Mutex::new(Memory { objects, ..Memory::default() })) }
    }

    fn error(operation: &'static str, name: &str, kind: io::ErrorKind) -> TargetError {
        let missing = kind == io::ErrorKind::NotFound;
        TargetError { operation, object: format!("memory:{name}"), missing, source: io::Error::from(kind).into() }
    }
}

impl Memory {
    fn spend(&mut self, operation: &'static str, name: &str) -> Result<(), TargetError> {
        match &mut self.left {
            Some(0) => Err(MemoryTarget::error(operation, name, io::ErrorKind::TimedOut)),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Target for MemoryTarget {
    fn describe(&self) -> String {
        "memory".to_owned()
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), TargetError> {
        let mut memory = self.inner.lock();
        memory.spend("write", name)?;
        memory.objects.insert(name.to_owned(), bytes.to_vec());
        memory.puts += 1;
        memory.put_bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Ok(())
    }

    fn get(&self, name: &str) -> Result<Vec<u8>, TargetError> {
        let found = self.inner.lock().objects.get(name).cloned();
        found.ok_or_else(|| MemoryTarget::error("read", name, io::ErrorKind::NotFound))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>, TargetError> {
        let memory = self.inner.lock();
        let found = memory.objects.iter().filter(|(name, _)| name.starts_with(prefix));
        let object = |(name, bytes): (&String, &Vec<u8>)| Object {
            name: name.clone(),
            bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        };
        Ok(found.map(object).collect())
    }

    fn remove(&self, name: &str) -> Result<(), TargetError> {
        let mut memory = self.inner.lock();
        memory.spend("remove", name)?;
        memory.objects.remove(name);
        Ok(())
    }
}

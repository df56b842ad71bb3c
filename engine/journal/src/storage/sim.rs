//! A directory in memory that forgets what was not synced, and fails when told to.
//!
//! Content is kept twice: as a reader sees it, and as it would be found after a power cut. Unsynced sectors and
//! unsynced directory entries are known one by one, so that a crash can keep any subset of them. A failed sync drops
//! its sectors from the set of those that will ever be written, as Linux does: whoever retries it is told a lie.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::{LockError, Storage, StorageFile};
use crate::layout::{SECTOR_BYTES, disk_length, memory_length};

/// The kinds of call that are counted and can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SimOperation {
    /// Creating or opening a file.
    Open,
    /// Writing to a file.
    Write,
    /// Syncing a file.
    Sync,
    /// Renaming a file.
    Rename,
    /// Removing a file.
    Remove,
    /// Syncing the directory.
    SyncDirectory,
    /// Reading from a file, or its length. Not among [`SimStorage::calls`]: it leaves no trace on the disk.
    Read,
}

/// A failure to come.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Which calls are counted.
    pub operation: SimOperation,
    /// How many of them, from now on, still succeed.
    pub after: u64,
    /// What the call after those reports.
    pub kind: io::ErrorKind,
}

/// Which of the unsynced sectors and entries a crash keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashStyle {
    /// Each by the toss of a coin.
    Random,
    /// None: the disk did nothing before it was told to.
    LoseAll,
    /// All: the process died, the machine did not.
    KeepAll,
}

/// Files in memory, with faults. Clones share the directory.
#[derive(Clone, Debug, Default)]
pub struct SimStorage {
    disk: Arc<Mutex<Disk>>,
    locked: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct Disk {
    files: Vec<Content>,
    entries: BTreeMap<String, usize>,
    durable_entries: BTreeMap<String, usize>,
    pending: Vec<Change>,
    counts: BTreeMap<SimOperation, u64>,
    faults: Vec<Fault>,
    powered_off: bool,
    calls_left: Option<u64>,
    retried_syncs: u64,
    /// What the wall clock says, in microseconds.
    wall: u64,
    /// Bytes that all files together may have.
    capacity_bytes: Option<usize>,
}

#[derive(Clone, Debug, Default)]
struct Content {
    seen: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
    sync_failed: bool,
    modified: u64,
}

#[derive(Clone, Debug)]
enum Change {
    Link(String, usize),
    Move(String, String, usize),
    Unlink(String),
}

impl SimStorage {
    /// An empty directory.
    pub fn new() -> SimStorage {
        SimStorage::default()
    }

    /// What a machine would find after losing power now, drawn from `seed`. This storage itself stays as it is.
    pub fn crash(&self, seed: u64) -> SimStorage {
        let mut random = SplitMix64(seed);
        // One crash in four is an extreme: those are where ordering mistakes show first.
        let style = match random.next() % 8 {
            0 => CrashStyle::LoseAll,
            1 => CrashStyle::KeepAll,
            _ => CrashStyle::Random,
        };
        self.crash_with(style, seed)
    }

    /// Like [`crash`](SimStorage::crash) with the choice of what survives made by the caller.
    pub fn crash_with(&self, style: CrashStyle, seed: u64) -> SimStorage {
        let disk = self.disk.lock();
        let mut random = SplitMix64(seed ^ 0x5bd1_e995);
        let mut survives = move || match style {
            CrashStyle::Random => random.next().is_multiple_of(2),
            CrashStyle::LoseAll => false,
            CrashStyle::KeepAll => true,
        };
        let mut entries = disk.durable_entries.clone();
        for change in &disk.pending {
            if survives() {
                change.apply(&mut entries);
            }
        }
        let mut files = vec![Content::default(); disk.files.len()];
        // What has no name any more is gone.
        for id in entries.values() {
            files[*id] = disk.files[*id].after_crash(&mut survives);
        }
        let (wall, capacity_bytes) = (disk.wall, disk.capacity_bytes);
        let disk = Disk { files, durable_entries: entries.clone(), entries, wall, capacity_bytes, ..Disk::default() };
        SimStorage { disk: Arc::new(Mutex::new(disk)), locked: Arc::default() }
    }

    /// A separate copy of everything, synced or not, with no claim, no faults and no counts: what a new process finds
    /// when only the old one died.
    pub fn restart(&self) -> SimStorage {
        let disk = self.disk.lock();
        let disk = Disk {
            files: disk.files.iter().map(|content| Content { sync_failed: false, ..content.clone() }).collect(),
            entries: disk.entries.clone(),
            durable_entries: disk.durable_entries.clone(),
            pending: disk.pending.clone(),
            wall: disk.wall,
            capacity_bytes: disk.capacity_bytes,
            ..Disk::default()
        };
        SimStorage { disk: Arc::new(Mutex::new(disk)), locked: Arc::default() }
    }

    /// Makes a call fail, once.
    pub fn inject(&self, fault: Fault) {
        self.disk.lock().faults.push(fault);
    }

    /// Lets `calls` more of [`calls`](SimStorage::calls) through; every later one fails, as if the machine were gone.
    pub fn power_off_after(&self, calls: u64) {
        self.disk.lock().calls_left = Some(calls);
    }

    /// Sets the wall clock that files take their times from, in microseconds since the Unix epoch.
    pub fn set_wall(&self, micros: u64) {
        self.disk.lock().wall = micros;
    }

    /// Bounds the bytes of all files together: a write that needs more fails with `StorageFull`. `None` for a disk without end.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.disk.lock().capacity_bytes = bytes.map(memory_length);
    }

    /// Bytes of all files together.
    pub fn used_bytes(&self) -> u64 {
        disk_length(self.disk.lock().used_bytes())
    }

    /// Calls of this kind so far, failed ones included.
    pub fn count(&self, operation: SimOperation) -> u64 {
        self.disk.lock().counts.get(&operation).copied().unwrap_or(0)
    }

    /// All counted calls so far, but for reads.
    pub fn calls(&self) -> u64 {
        let disk = self.disk.lock();
        disk.counts.iter().filter(|(operation, _)| **operation != SimOperation::Read).map(|(_, count)| count).sum()
    }

    /// Injected faults that no call has met yet.
    pub fn faults_to_come(&self) -> usize {
        self.disk.lock().faults.len()
    }

    /// Whether [`power_off_after`](SimStorage::power_off_after) has come true.
    pub fn is_powered_off(&self) -> bool {
        self.disk.lock().powered_off
    }

    /// How often a file was synced again after a failed sync. Anything but 0 is a defect of the caller.
    pub fn retried_syncs(&self) -> u64 {
        self.disk.lock().retried_syncs
    }

    /// The bytes of a file as a reader sees them.
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        let disk = self.disk.lock();
        disk.entries.get(name).map(|id| disk.files[*id].seen.clone())
    }

    /// Puts a file there, durable, as it is: to plant damage.
    pub fn plant(&self, name: &str, bytes: &[u8]) {
        let mut disk = self.disk.lock();
        let id = disk.files.len();
        disk.files.push(Content { seen: bytes.to_vec(), durable: bytes.to_vec(), ..Content::default() });
        disk.entries.insert(name.to_owned(), id);
        disk.durable_entries.insert(name.to_owned(), id);
    }
}

impl Content {
    fn after_crash(&self, survives: &mut impl FnMut() -> bool) -> Content {
        let mut found = self.durable.clone();
        if self.seen.len() > found.len() && survives() {
            found.resize(self.seen.len(), 0);
        }
        for sector in &self.dirty {
            let start = sector * SECTOR_BYTES;
            let end = self.seen.len().min(start + SECTOR_BYTES).min(found.len());
            if start < end && survives() {
                found[start..end].copy_from_slice(&self.seen[start..end]);
            }
        }
        Content { seen: found.clone(), durable: found, modified: self.modified, ..Content::default() }
    }

    fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if self.seen.len() < end {
            self.seen.resize(end, 0);
        }
        self.seen[offset..end].copy_from_slice(bytes);
        self.dirty.extend(offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES));
    }

    fn sync(&mut self) {
        self.durable.resize(self.seen.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            let start = sector * SECTOR_BYTES;
            let end = self.seen.len().min(start + SECTOR_BYTES);
            if start < end {
                self.durable[start..end].copy_from_slice(&self.seen[start..end]);
            }
        }
    }
}

impl Change {
    fn apply(&self, entries: &mut BTreeMap<String, usize>) {
        match self {
            Change::Link(name, id) => {
                entries.insert(name.clone(), *id);
            }
            Change::Move(from, to, id) => {
                entries.remove(from);
                entries.insert(to.clone(), *id);
            }
            Change::Unlink(name) => {
                entries.remove(name);
            }
        }
    }
}

impl Disk {
    fn begin(&mut self, operation: SimOperation) -> io::Result<()> {
        *self.counts.entry(operation).or_default() += 1;
        if let Some(left) = self.calls_left.as_mut().filter(|_| operation != SimOperation::Read) {
            match left.checked_sub(1) {
                Some(fewer) => *left = fewer,
                None => self.powered_off = true,
            }
        }
        if self.powered_off {
            return Err(io::Error::other("the power is off"));
        }
        let mut failed = None;
        self.faults.retain_mut(|fault| match fault.after.checked_sub(1) {
            _ if fault.operation != operation => true,
            Some(fewer) => {
                fault.after = fewer;
                true
            }
            None => {
                failed = Some(fault.kind);
                false
            }
        });
        failed.map_or(Ok(()), |kind| Err(io::Error::from(kind)))
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.entries);
        self.pending.push(change);
    }

    fn used_bytes(&self) -> usize {
        self.entries.values().map(|id| self.files[*id].seen.len()).sum()
    }

    /// Whether a file may grow to `length` bytes.
    fn has_room(&self, id: usize, length: usize) -> bool {
        let growth = length.saturating_sub(self.files[id].seen.len());
        growth == 0 || self.capacity_bytes.is_none_or(|capacity| self.used_bytes() + growth <= capacity)
    }

    fn find(&self, name: &str) -> io::Result<usize> {
        self.entries.get(name).copied().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

impl Storage for SimStorage {
    type File = SimFile;
    type Lock = SimLock;

    fn path_of(&self, name: &str) -> PathBuf {
        PathBuf::from("sim").join(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.disk.lock().entries.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<SimFile> {
        let mut disk = self.disk.lock();
        disk.begin(SimOperation::Open)?;
        let id = disk.files.len();
        disk.files.push(Content::default());
        disk.change(Change::Link(name.to_owned(), id));
        Ok(SimFile { disk: Arc::clone(&self.disk), id })
    }

    fn open(&self, name: &str) -> io::Result<SimFile> {
        let mut disk = self.disk.lock();
        disk.begin(SimOperation::Open)?;
        let id = disk.find(name)?;
        Ok(SimFile { disk: Arc::clone(&self.disk), id })
    }

    fn open_read_only(&self, name: &str) -> io::Result<SimFile> {
        self.open(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.begin(SimOperation::Rename)?;
        let id = disk.find(from)?;
        disk.change(Change::Move(from.to_owned(), to.to_owned(), id));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.begin(SimOperation::Remove)?;
        disk.find(name)?;
        disk.change(Change::Unlink(name.to_owned()));
        Ok(())
    }

    fn modified_micros(&self, name: &str) -> io::Result<u64> {
        let disk = self.disk.lock();
        disk.find(name).map(|id| disk.files[id].modified)
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.begin(SimOperation::SyncDirectory)?;
        disk.pending.clear();
        disk.durable_entries = disk.entries.clone();
        Ok(())
    }

    fn lock(&self) -> Result<SimLock, LockError> {
        if self.locked.swap(true, Ordering::SeqCst) {
            return Err(LockError::Held { holder: Some(std::process::id()) });
        }
        Ok(SimLock { locked: Arc::clone(&self.locked) })
    }
}

/// The claim on a [`SimStorage`].
#[derive(Debug)]
pub struct SimLock {
    locked: Arc<AtomicBool>,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.locked.store(false, Ordering::SeqCst);
    }
}

/// An open file of a [`SimStorage`].
#[derive(Debug)]
pub struct SimFile {
    disk: Arc<Mutex<Disk>>,
    id: usize,
}

impl StorageFile for SimFile {
    fn length(&self) -> io::Result<u64> {
        let mut disk = self.disk.lock();
        disk.begin(SimOperation::Read)?;
        Ok(disk_length(disk.files[self.id].seen.len()))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.begin(SimOperation::Read)?;
        let start = memory_length(offset);
        let bytes = disk.files[self.id].seen.get(start..start + buffer.len());
        buffer.copy_from_slice(bytes.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let mut begun = disk.begin(SimOperation::Write);
        if begun.is_ok() && !disk.has_room(self.id, memory_length(offset) + bytes.len()) {
            begun = Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        // A failed write is a short one: its first half arrived.
        let arrived = if begun.is_ok() { bytes.len() } else { bytes.len() / 2 };
        if !disk.powered_off {
            disk.files[self.id].modified = disk.wall;
            disk.files[self.id].write(&bytes[..arrived], memory_length(offset));
        }
        begun
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let begun = disk.begin(SimOperation::Sync);
        if disk.powered_off {
            return begun;
        }
        if disk.files[self.id].sync_failed {
            disk.retried_syncs += 1;
        }
        let content = &mut disk.files[self.id];
        if begun.is_ok() {
            content.sync();
        } else {
            content.sync_failed = true;
            content.dirty.clear();
        }
        begun
    }
}

/// The generator of Steele, Lea and Flood (2014): seedable, and good enough to toss coins.
#[derive(Debug)]
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_synced_survives_a_crash_that_loses_all() {
        let storage = SimStorage::new();
        let file = storage.create("a").unwrap();
        file.write_at(&[1; 1024], 0).unwrap();
        assert_eq!(storage.crash_with(CrashStyle::LoseAll, 1).content("a"), None, "the entry was never synced");
        storage.sync_directory().unwrap();
        assert_eq!(storage.crash_with(CrashStyle::LoseAll, 1).content("a").unwrap(), Vec::<u8>::new());
        file.sync_data().unwrap();
        file.write_at(&[2; 512], 512).unwrap();
        let found = storage.crash_with(CrashStyle::LoseAll, 1).content("a").unwrap();
        assert_eq!(found, vec![1; 1024]);
        assert_eq!(storage.crash_with(CrashStyle::KeepAll, 1).content("a").unwrap()[512..], [2; 512]);
    }

    #[test]
    fn a_read_fails_when_it_is_told_to_and_counts_as_no_call_that_changes_something() {
        let storage = SimStorage::new();
        let file = storage.create("a").unwrap();
        file.write_at(&[1; 8], 0).unwrap();
        storage.inject(Fault { operation: SimOperation::Read, after: 1, kind: io::ErrorKind::Other });
        assert_eq!(file.length().unwrap(), 8);
        assert_eq!((storage.calls(), storage.faults_to_come()), (2, 1));
        file.read_at(&mut [0; 8], 0).unwrap_err();
        file.read_at(&mut [0; 8], 0).unwrap();
        assert_eq!((storage.calls(), storage.count(SimOperation::Read), storage.faults_to_come()), (2, 3, 0));
        storage.power_off_after(0);
        file.read_at(&mut [0; 8], 0).unwrap();
        assert!(!storage.is_powered_off());
        file.sync_data().unwrap_err();
        assert!(storage.is_powered_off());
        file.read_at(&mut [0; 8], 0).unwrap_err();
    }

    #[test]
    fn a_failed_sync_loses_the_sectors_for_good_and_a_retry_is_counted() {
        let storage = SimStorage::new();
        let file = storage.create("a").unwrap();
        storage.sync_directory().unwrap();
        file.write_at(&[1; 512], 0).unwrap();
        storage.inject(Fault { operation: SimOperation::Sync, after: 0, kind: io::ErrorKind::Other });
        file.sync_data().unwrap_err();
        file.sync_data().unwrap();
        assert_eq!(storage.retried_syncs(), 1);
        assert_ne!(storage.crash_with(CrashStyle::KeepAll, 1).content("a").unwrap(), vec![1; 512]);
    }
}

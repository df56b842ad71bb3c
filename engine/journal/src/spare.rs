//! Spare segments: files of zeros, durable under a name of their own, waiting to become the next segment.
//!
//! A write into blocks that exist and hold zeros needs one trip to the disk at its fdatasync; a write that grows a file
//! needs more. So segments are filled ahead of use, and trimmed ones are zeroed and used again: old records can then
//! never be found behind new ones. A spare in the making is `spare-<n>.tmp`, a finished one `spare-<n>.seg`.

use quartermaster_sync::Mutex;

use crate::directory::{Directory, NamedFile};
use crate::error::Error;
use crate::layout::{SECTOR_BYTES, disk_length};
use crate::storage::Storage;

/// How much is zeroed before it is synced: one sync of a whole segment would hold up the committer's.
const ZERO_STRIDE_BYTES: u64 = 8 << 20;

/// Finished spares kept at hand.
const READY_TARGET: usize = 1;

/// The spare segments of a log.
pub(crate) struct Spares<S: Storage> {
    directory: Directory<S>,
    segment_bytes: u64,
    /// Every write of a segment is waited for: the system's cache would only be on the way.
    bypass_cache: bool,
    shelf: Mutex<Shelf<S::File>>,
}

struct Shelf<F> {
    ready: Vec<Spare<F>>,
    /// Trimmed segments under a `.tmp` name, yet to be zeroed.
    used: Vec<String>,
    next_number: u64,
}

/// A file of `segment_bytes` zeros, durable.
pub(crate) struct Spare<F> {
    pub(crate) name: String,
    pub(crate) file: NamedFile<F>,
}

impl<S: Storage> Spares<S> {
    /// Collects the spares that an earlier process left, and removes what it left unfinished or of another size.
    pub(crate) fn open(directory: Directory<S>, segment_bytes: u64, bypass_cache: bool) -> Result<Spares<S>, Error> {
        let mut shelf = Shelf { ready: Vec::new(), used: Vec::new(), next_number: 1 };
        let mut names = directory.list()?;
        names.sort_unstable();
        for name in names {
            let Some(number) = parse_number(&name) else { continue };
            shelf.next_number = shelf.next_number.max(number.saturating_add(1));
            if name.ends_with(".seg") && shelf.ready.len() < READY_TARGET {
                let file = directory.open(&name)?;
                if file.length()? == segment_bytes {
                    shelf.ready.push(Spare { name, file });
                    continue;
                }
            }
            directory.remove(&name)?;
        }
        Ok(Spares { directory, segment_bytes, bypass_cache, shelf: Mutex::new(shelf) })
    }

    /// A finished spare; made on the spot when none is ready.
    pub(crate) fn take(&self) -> Result<Spare<S::File>, Error> {
        let ready = self.shelf.lock().ready.pop();
        let spare = match ready {
            Some(spare) => spare,
            None => self.make()?,
        };
        // Here too, as it may be one that an earlier process left.
        self.prefer_disk(&spare.file);
        Ok(spare)
    }

    /// Makes one spare if fewer are ready than should be; says whether it did.
    pub(crate) fn prepare(&self) -> Result<bool, Error> {
        if self.ready() >= READY_TARGET {
            return Ok(false);
        }
        let spare = self.make()?;
        self.shelf.lock().ready.push(spare);
        Ok(true)
    }

    /// Finished spares at hand.
    pub(crate) fn ready(&self) -> usize {
        self.shelf.lock().ready.len()
    }

    /// Takes a trimmed segment over for another use, or removes it when enough are waiting. The caller syncs the
    /// directory.
    pub(crate) fn retire(&self, segment_name: &str) -> Result<Retired, Error> {
        let name = {
            let mut shelf = self.shelf.lock();
            let wanted = shelf.used.is_empty();
            wanted.then(|| temporary_name(shelf.take_number()))
        };
        let Some(name) = name else {
            self.directory.remove(segment_name)?;
            return Ok(Retired::Removed);
        };
        self.directory.rename(segment_name, &name)?;
        self.shelf.lock().used.push(name);
        Ok(Retired::Recycled)
    }

    /// Fills a file with zeros, makes it durable, and only then gives it the name of a finished spare.
    fn make(&self) -> Result<Spare<S::File>, Error> {
        let (number, used) = {
            let mut shelf = self.shelf.lock();
            (shelf.take_number(), shelf.used.pop())
        };
        let (temporary, file) = match used {
            Some(name) => (name.clone(), self.reopen(&name)?),
            None => {
                let name = temporary_name(number);
                (name.clone(), self.directory.create(&name)?)
            }
        };
        if let Err(error) = self.fill(&file) {
            // What was filled so far must not keep a full disk full. The next open removes it if this cannot.
            let _ = self.directory.remove(&temporary);
            return Err(error);
        }
        let name = format!("spare-{number:020}.seg");
        self.directory.rename(&temporary, &name)?;
        // No record rests on this name: the sync that begins a segment covers it. Done here, it is done while nobody waits.
        self.directory.sync()?;
        let file = file.renamed(self.directory.path_of(&name));
        Ok(Spare { name, file })
    }

    fn prefer_disk(&self, file: &NamedFile<S::File>) {
        if self.bypass_cache {
            file.bypass_cache();
        }
    }

    fn fill(&self, file: &NamedFile<S::File>) -> Result<(), Error> {
        self.prefer_disk(file);
        // By itself: where the disk takes no single sector around the cache, as it will be asked to, the zeros go through the cache, too, which is
        // then spared reading them when the first record comes.
        file.write_zeros(0, disk_length(SECTOR_BYTES))?;
        let mut offset = 0;
        while offset < self.segment_bytes {
            let end = self.segment_bytes.min(offset + ZERO_STRIDE_BYTES);
            file.write_zeros(offset, end)?;
            file.sync()?;
            offset = end;
        }
        Ok(())
    }

    /// A used segment of another size is emptied: its length has to be the one configured now.
    fn reopen(&self, name: &str) -> Result<NamedFile<S::File>, Error> {
        let file = self.directory.open(name)?;
        if file.length()? == self.segment_bytes { Ok(file) } else { self.directory.create(name) }
    }
}

/// What became of a trimmed segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retired {
    Recycled,
    Removed,
}

impl<F> Shelf<F> {
    fn take_number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }
}

fn temporary_name(number: u64) -> String {
    format!("spare-{number:020}.tmp")
}

/// The number in the name of a spare; nothing for any other name, which is not ours to remove. Numbers are counted up from the highest
/// there is, so one that no log reaches is no number of ours either.
fn parse_number(name: &str) -> Option<u64> {
    let rest = name.strip_prefix("spare-")?;
    let digits = rest.strip_suffix(".seg").or_else(|| rest.strip_suffix(".tmp"))?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|number| *number <= 1 << 62)
}

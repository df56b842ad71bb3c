//! A file of the local file system. What is written to it in whole sectors may go around the system's page cache.
//!
//! A log is written once and seldom read. Through the page cache each of its pages costs memory that has to be found, a copy into memory that no
//! cache of the processor has, and bookkeeping until the disk has it, first for the zeros of a spare segment and then for its records: with
//! orders in batches a tenth of a core and more.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};

use super::StorageFile;
use crate::layout::{SECTOR_BYTES, disk_length};

/// Where the system reads from begins on such a boundary: enough for every disk there is.
const ALIGNMENT_BYTES: usize = 4096;

/// Bytes that the disk is given at once, at most.
const STRIDE_BYTES: usize = 256 << 10;

thread_local! {
    /// What is on its way to a disk, with room to begin on a boundary.
    static STAGED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// An open file of a [`FileStorage`](super::FileStorage).
#[derive(Debug)]
pub struct DiskFile {
    file: File,
    /// Relaxed: only whoever writes to a file changes it, and a file has one writer.
    bypasses_cache: AtomicBool,
}

impl DiskFile {
    fn use_cache(&self) -> io::Result<()> {
        self.bypasses_cache.store(false, Ordering::Relaxed);
        set_direct(&self.file, false)
    }
}

impl From<File> for DiskFile {
    fn from(file: File) -> DiskFile {
        DiskFile { file, bypasses_cache: AtomicBool::new(false) }
    }
}

impl StorageFile for DiskFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.bypasses_cache.load(Ordering::Relaxed) {
            match write_sectors(&self.file, bytes, offset) {
                // Not as it is asked for here, or not on this disk: sectors may be larger.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => self.use_cache()?,
                written => return written,
            }
        }
        self.file.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn bypass_cache(&self) {
        self.bypasses_cache.store(set_direct(&self.file, true).is_ok(), Ordering::Relaxed);
    }
}

/// Writes whole sectors, out of memory that begins where the system wants it to.
fn write_sectors(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    if !bytes.len().is_multiple_of(SECTOR_BYTES) || !offset.is_multiple_of(disk_length(SECTOR_BYTES)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    STAGED.with_borrow_mut(|room| {
        room.resize(STRIDE_BYTES + ALIGNMENT_BYTES, 0);
        let begin = room.as_ptr().align_offset(ALIGNMENT_BYTES);
        let staged = &mut room[begin..begin + STRIDE_BYTES];
        let mut offset = offset;
        for stride in bytes.chunks(STRIDE_BYTES) {
            let staged = &mut staged[..stride.len()];
            staged.copy_from_slice(stride);
            file.write_all_at(staged, offset)?;
            offset += disk_length(stride.len());
        }
        Ok(())
    })
}

#[cfg(target_os = "linux")]
fn set_direct(file: &File, direct: bool) -> io::Result<()> {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    let mut flags = fcntl_getfl(file)?;
    flags.set(OFlags::DIRECT, direct);
    Ok(fcntl_setfl(file, flags)?)
}

#[cfg(not(target_os = "linux"))]
fn set_direct(_file: &File, direct: bool) -> io::Result<()> {
    if direct { Err(io::ErrorKind::Unsupported.into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::path::Path;

    use super::*;

    fn opened(path: &Path) -> DiskFile {
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).unwrap().into()
    }

    /// The same writes around the cache and through it: whole sectors, several strides, and what makes it use the cache after all.
    #[test]
    fn what_is_written_around_the_cache_is_what_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let (path, plain) = (directory.path().join("around"), directory.path().join("through"));
        let (around, through) = (opened(&path), opened(&plain));
        around.bypass_cache();
        let bytes: Vec<u8> = (0..3 * STRIDE_BYTES).map(|place| u8::try_from(place % 251).unwrap()).collect();
        let writes: [(usize, u64, bool); 7] = [
            (2 * STRIDE_BYTES + SECTOR_BYTES, 0, true),
            (SECTOR_BYTES, 7 * 512, true),
            (0, 512, true),
            (5 * SECTOR_BYTES, 3 * 512, true),
            (100, 512, false),
            (SECTOR_BYTES, 13, false),
            (SECTOR_BYTES, 0, false),
        ];
        let can = around.bypasses_cache.load(Ordering::Relaxed);
        for (number, (length, offset, direct)) in writes.into_iter().enumerate() {
            for file in [&around, &through] {
                file.write_at(&bytes[number..number + length], offset).unwrap();
                file.sync_data().unwrap();
            }
            assert_eq!(around.bypasses_cache.load(Ordering::Relaxed), can && direct, "write {number}");
            assert!(fs::read(&path).unwrap() == fs::read(&plain).unwrap(), "write {number}");
            assert_eq!(around.length().unwrap(), through.length().unwrap());
        }
        let mut read = [0; 300];
        around.read_at(&mut read, 100).unwrap();
        assert_eq!(read[..], fs::read(&plain).unwrap()[100..400]);
    }
}

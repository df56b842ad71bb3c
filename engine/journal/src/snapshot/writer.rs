//! Writes a snapshot under a temporary name, and gives it its own name when it is whole and durable.

use crc_fast::{CrcAlgorithm, Digest};

use super::{SectionHeader, SnapshotEnd, SnapshotStart, encode_footer, encode_header, encode_section, file_name};
use crate::directory::{Directory, NamedFile};
use crate::error::Error;
use crate::layout::{crc32c, disk_length};
use crate::lsn::Lsn;
use crate::storage::Storage;

/// Bytes gathered before they are written.
const CHUNK_BYTES: usize = 1 << 20;

/// Bytes that may be written and not synced: the log's own syncs, which callers wait for, would have to wait for all that the disk has
/// not taken yet.
const UNSYNCED_BYTES_MAX: u64 = 4 << 20;

/// A snapshot in the making. Dropped before [`finish`](SnapshotWriter::finish), it leaves a file that nobody reads and
/// the next snapshot removes.
pub struct SnapshotWriter<S: Storage> {
    directory: Directory<S>,
    file: NamedFile<S::File>,
    temporary: String,
    name: String,
    chunk: Vec<u8>,
    written: u64,
    synced: u64,
    section_count: u64,
    hash: Digest,
}

impl<S: Storage> SnapshotWriter<S> {
    pub(super) fn create(directory: Directory<S>, start: &SnapshotStart) -> Result<SnapshotWriter<S>, Error> {
        let name = file_name(start.lsn);
        let temporary = format!("{name}.tmp");
        let file = directory.create(&temporary)?;
        let header = encode_header(start);
        let mut hash = Digest::new(CrcAlgorithm::Crc64Nvme);
        hash.update(&header);
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        chunk.extend_from_slice(&header);
        Ok(SnapshotWriter { directory, file, temporary, name, chunk, written: 0, synced: 0, section_count: 0, hash })
    }

    /// Adds a section that holds everything up to `lsn` of whatever `kind` and `unit` mean to the caller.
    ///
    /// # Errors
    /// [`Error::NoSpace`] or [`Error::Io`]; the snapshot has to be dropped then.
    pub fn section(&mut self, kind: u16, unit: u32, lsn: Lsn, payload: &[u8]) -> Result<(), Error> {
        let payload_bytes = disk_length(payload.len());
        let header = encode_section(&SectionHeader { kind, unit, lsn, payload_bytes, checksum: crc32c(payload) });
        self.hash.update(&header);
        self.section_count += 1;
        self.put(&header)?;
        self.put(payload)
    }

    /// Ends the snapshot: footer, sync, rename, directory sync. It counts only when this has returned. `needed_from`
    /// is the lowest LSN that must still be replayed after loading it, and everything the sections hold must be
    /// fsynced in the log by now: see [`Log::sync`](crate::Log::sync).
    ///
    /// # Errors
    /// [`Error::NoSpace`] or [`Error::Io`]; the snapshot may or may not be there then.
    pub fn finish(mut self, needed_from: Lsn, state_hash: u64) -> Result<SnapshotEnd, Error> {
        let end =
            SnapshotEnd { section_count: self.section_count, needed_from, state_hash, file_hash: self.hash.finalize() };
        self.put(&encode_footer(&end))?;
        self.flush()?;
        self.file.sync()?;
        self.directory.rename(&self.temporary, &self.name)?;
        self.directory.sync()?;
        Ok(end)
    }

    /// Bytes of the snapshot so far.
    pub fn bytes(&self) -> u64 {
        self.written + disk_length(self.chunk.len())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.chunk.len() + bytes.len() > CHUNK_BYTES {
            self.flush()?;
        }
        if bytes.len() >= CHUNK_BYTES {
            bytes.chunks(CHUNK_BYTES).try_for_each(|chunk| self.write(chunk))
        } else {
            self.chunk.extend_from_slice(bytes);
            Ok(())
        }
    }

    fn flush(&mut self) -> Result<(), Error> {
        let mut chunk = std::mem::take(&mut self.chunk);
        self.write(&chunk)?;
        chunk.clear();
        self.chunk = chunk;
        Ok(())
    }

    fn write(&mut self, chunk: &[u8]) -> Result<(), Error> {
        self.file.write_at(chunk, self.written)?;
        self.written += disk_length(chunk.len());
        if self.written - self.synced >= UNSYNCED_BYTES_MAX {
            self.file.sync()?;
            self.synced = self.written;
        }
        Ok(())
    }
}

impl<S: Storage> std::fmt::Debug for SnapshotWriter<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SnapshotWriter")
            .field("name", &self.name)
            .field("sections", &self.section_count)
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

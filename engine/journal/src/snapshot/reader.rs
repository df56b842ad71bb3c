//! Reads a snapshot: the table of its sections first, then their payloads in any order and from any thread.

use std::path::PathBuf;

use super::{
    BadHeader, FOOTER_BYTES, HEADER_BYTES, SECTION_BYTES, SNAPSHOT_VERSION, SnapshotEnd, SnapshotStart, decode_footer,
    decode_header, decode_section,
};
use crate::directory::{Directory, NamedFile};
use crate::error::{Damage, Error};
use crate::layout::{crc32c, crc64, disk_length, memory_length};
use crate::lsn::Lsn;
use crate::storage::Storage;

/// One section of an open snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// What it is, as the caller defined it.
    pub kind: u16,
    /// Which one of its kind.
    pub unit: u32,
    /// Everything up to here is in it.
    pub lsn: Lsn,
    /// Length of its payload.
    pub payload_bytes: u64,
    checksum: u32,
    /// Where its payload begins in the file.
    offset: u64,
}

/// An open snapshot whose header, footer and section table are whole. Payloads are checked as they are read.
#[derive(Debug)]
pub struct SnapshotReader<S: Storage> {
    file: NamedFile<S::File>,
    start: SnapshotStart,
    end: SnapshotEnd,
    sections: Vec<Section>,
}

impl<S: Storage> SnapshotReader<S> {
    /// Opens the file `name` and checks all of it but the payloads.
    ///
    /// # Errors
    /// [`Error::SnapshotDamaged`] with the place, [`Error::NewerFormat`], or what the disk reports.
    pub fn open(storage: S, name: &str) -> Result<SnapshotReader<S>, Error> {
        SnapshotReader::open_in(&Directory::new(storage), name)
    }

    pub(super) fn open_in(directory: &Directory<S>, name: &str) -> Result<SnapshotReader<S>, Error> {
        let file = directory.open_read_only(name)?;
        let length = file.length()?;
        let damaged = |offset, damage| Error::SnapshotDamaged { file: file.path().clone(), offset, damage };
        let footer_at = length
            .checked_sub(disk_length(FOOTER_BYTES))
            .filter(|at| *at >= disk_length(HEADER_BYTES))
            .ok_or_else(|| damaged(length, Damage::Truncated))?;
        let mut header = [0; HEADER_BYTES];
        file.read_at(&mut header, 0)?;
        let start = decode_header(&header).map_err(|bad| match bad {
            BadHeader::Damaged(damage) => damaged(0, damage),
            BadHeader::Newer(found) => {
                Error::NewerFormat { file: file.path().clone(), found, supported: SNAPSHOT_VERSION }
            }
        })?;
        if super::parse_file_name(name).is_some_and(|named| named != start.lsn) {
            return Err(damaged(0, Damage::Name));
        }
        let mut footer = [0; FOOTER_BYTES];
        file.read_at(&mut footer, footer_at)?;
        let end = decode_footer(&footer).map_err(|damage| damaged(footer_at, damage))?;
        let (sections, file_hash) = read_table(&file, &header, footer_at)?;
        if disk_length(sections.len()) != end.section_count || file_hash != end.file_hash {
            return Err(damaged(footer_at, Damage::Chain));
        }
        Ok(SnapshotReader { file, start, end, sections })
    }

    /// Where the log stood when the snapshot began.
    pub fn start(&self) -> &SnapshotStart {
        &self.start
    }

    /// What its end says; `end().needed_from` is where to go on in the log.
    pub fn end(&self) -> &SnapshotEnd {
        &self.end
    }

    /// The sections in the order they were written.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The file.
    pub fn path(&self) -> &PathBuf {
        self.file.path()
    }

    /// Reads the payload of a section into `payload`, in one read, and checks it. Can be called from several threads.
    ///
    /// # Errors
    /// [`Error::SnapshotDamaged`], or what the disk reports; `payload` is not to be used then.
    pub fn read(&self, section: &Section, payload: &mut Vec<u8>) -> Result<(), Error> {
        // Bounded: the table was checked against the length of the file.
        payload.resize(memory_length(section.payload_bytes), 0);
        self.file.read_at(payload, section.offset)?;
        if crc32c(payload) == section.checksum {
            Ok(())
        } else {
            let file = self.file.path().clone();
            Err(Error::SnapshotDamaged { file, offset: section.offset, damage: Damage::Checksum })
        }
    }

    /// Reads and checks every payload.
    ///
    /// # Errors
    /// As [`read`](SnapshotReader::read), for the first damaged section.
    pub fn verify(&self) -> Result<(), Error> {
        let mut payload = Vec::new();
        self.sections.iter().try_for_each(|section| self.read(section, &mut payload))
    }
}

/// Walks the section headers from the header to the footer; gives the sections and the hash over all of these headers.
fn read_table<F: crate::storage::StorageFile>(
    file: &NamedFile<F>,
    header: &[u8; HEADER_BYTES],
    footer_at: u64,
) -> Result<(Vec<Section>, u64), Error> {
    let mut sections = Vec::new();
    let mut headers = header.to_vec();
    let mut offset = disk_length(HEADER_BYTES);
    while offset < footer_at {
        let damaged = |damage| Error::SnapshotDamaged { file: file.path().clone(), offset, damage };
        let mut bytes = [0; SECTION_BYTES];
        let payload_at = offset + disk_length(SECTION_BYTES);
        if payload_at > footer_at {
            return Err(damaged(Damage::Length));
        }
        file.read_at(&mut bytes, offset)?;
        let section = decode_section(&bytes).map_err(damaged)?;
        let next = payload_at.checked_add(section.payload_bytes).filter(|next| *next <= footer_at);
        let next = next.ok_or_else(|| damaged(Damage::Length))?;
        headers.extend_from_slice(&bytes);
        sections.push(Section {
            kind: section.kind,
            unit: section.unit,
            lsn: section.lsn,
            payload_bytes: section.payload_bytes,
            checksum: section.checksum,
            offset: payload_at,
        });
        offset = next;
    }
    Ok((sections, crc64(&headers)))
}

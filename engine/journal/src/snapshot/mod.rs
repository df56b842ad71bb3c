//! The bytes of a snapshot file, `snapshot-<LSN, 20 digits>.snap`.
//!
//! A header, then sections that the caller defines, then a footer. What a section's payload means is the caller's. All
//! integers are little-endian.
//!
//! Header, 64 bytes:
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | magic `QMSNAPSH` |
//! | 8 | 2 | format version |
//! | 10 | 2 | zero |
//! | 12 | 4 | shard |
//! | 16 | 8 | epoch of the writer |
//! | 24 | 8 | LSN up to which everything was applied when the snapshot began |
//! | 32 | 8 | index of the last batch written then |
//! | 40 | 8 | chain value after that batch |
//! | 48 | 12 | zero |
//! | 60 | 4 | CRC-32C of bytes 0 to 59 |
//!
//! Section, 32 bytes and its payload:
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 2 | kind |
//! | 2 | 2 | zero |
//! | 4 | 4 | unit |
//! | 8 | 8 | LSN up to which everything is in this section |
//! | 16 | 8 | payload length |
//! | 24 | 4 | CRC-32C of the payload |
//! | 28 | 4 | CRC-32C of bytes 0 to 27 |
//!
//! Footer, 48 bytes, at the very end:
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | magic `QMSNAPEN` |
//! | 8 | 8 | section count |
//! | 16 | 8 | needed from: the lowest LSN that must still be replayed |
//! | 24 | 8 | hash of the state, as the caller computes it; 0 for none |
//! | 32 | 8 | CRC-64/NVME of the header and every section header, in order: with their checksums, of the whole file |
//! | 40 | 4 | zero |
//! | 44 | 4 | CRC-32C of bytes 0 to 43 |
//!
//! Magic, version and the header's checksum stay where they are in every later version.

mod reader;
mod store;
mod writer;

use crate::error::Damage;
use crate::layout::{crc32c, get_u16, get_u32, get_u64, put_u16, put_u32, put_u64};
use crate::lsn::{Epoch, Lsn};

pub use reader::{Section, SnapshotReader};
pub use store::{Newest, RetainReport, SkippedSnapshot, SnapshotStore};
pub use writer::SnapshotWriter;

/// Newest format version of snapshots that this crate writes and reads.
pub const SNAPSHOT_VERSION: u16 = 1;

pub(crate) const HEADER_BYTES: usize = 64;
pub(crate) const SECTION_BYTES: usize = 32;
pub(crate) const FOOTER_BYTES: usize = 48;

const HEADER_MAGIC: [u8; 8] = *b"QMSNAPSH";
const FOOTER_MAGIC: [u8; 8] = *b"QMSNAPEN";

/// Where the log stood when a snapshot began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotStart {
    /// Shard of the log.
    pub shard: u32,
    /// Epoch of the writer.
    pub epoch: Epoch,
    /// Everything up to here had been applied.
    pub lsn: Lsn,
    /// Index of the last batch written, from `Log::position`; 0 when not known.
    pub batch_index: u64,
    /// Chain value after that batch; 0 when not known.
    pub chain: u64,
}

/// What the end of a snapshot says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotEnd {
    /// Number of sections.
    pub section_count: u64,
    /// The lowest LSN that must still be replayed after loading it.
    pub needed_from: Lsn,
    /// Hash of the state as the caller computed it; 0 for none.
    pub state_hash: u64,
    /// CRC-64/NVME over the header and all section headers: the identity of the file.
    pub file_hash: u64,
}

/// What the header of a section says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SectionHeader {
    pub(crate) kind: u16,
    pub(crate) unit: u32,
    pub(crate) lsn: Lsn,
    pub(crate) payload_bytes: u64,
    pub(crate) checksum: u32,
}

/// Why a header was not accepted.
pub(crate) enum BadHeader {
    Damaged(Damage),
    Newer(u16),
}

pub(crate) fn file_name(lsn: Lsn) -> String {
    format!("snapshot-{:020}.snap", lsn.get())
}

pub(crate) fn parse_file_name(name: &str) -> Option<Lsn> {
    let digits = name.strip_prefix("snapshot-")?.strip_suffix(".snap")?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().map(Lsn::new)
}

pub(crate) fn encode_header(start: &SnapshotStart) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(&HEADER_MAGIC);
    put_u16(&mut bytes, 8, SNAPSHOT_VERSION);
    put_u32(&mut bytes, 12, start.shard);
    put_u64(&mut bytes, 16, start.epoch.get());
    put_u64(&mut bytes, 24, start.lsn.get());
    put_u64(&mut bytes, 32, start.batch_index);
    put_u64(&mut bytes, 40, start.chain);
    seal(&mut bytes);
    bytes
}

pub(crate) fn decode_header(bytes: &[u8; HEADER_BYTES]) -> Result<SnapshotStart, BadHeader> {
    check(bytes, Some(&HEADER_MAGIC)).map_err(BadHeader::Damaged)?;
    match get_u16(bytes, 8) {
        SNAPSHOT_VERSION => {}
        0 => return Err(BadHeader::Damaged(Damage::Version)),
        newer => return Err(BadHeader::Newer(newer)),
    }
    Ok(SnapshotStart {
        shard: get_u32(bytes, 12),
        epoch: Epoch::new(get_u64(bytes, 16)),
        lsn: Lsn::new(get_u64(bytes, 24)),
        batch_index: get_u64(bytes, 32),
        chain: get_u64(bytes, 40),
    })
}

pub(crate) fn encode_section(section: &SectionHeader) -> [u8; SECTION_BYTES] {
    let mut bytes = [0; SECTION_BYTES];
    put_u16(&mut bytes, 0, section.kind);
    put_u32(&mut bytes, 4, section.unit);
    put_u64(&mut bytes, 8, section.lsn.get());
    put_u64(&mut bytes, 16, section.payload_bytes);
    put_u32(&mut bytes, 24, section.checksum);
    seal(&mut bytes);
    bytes
}

pub(crate) fn decode_section(bytes: &[u8; SECTION_BYTES]) -> Result<SectionHeader, Damage> {
    check(bytes, None)?;
    Ok(SectionHeader {
        kind: get_u16(bytes, 0),
        unit: get_u32(bytes, 4),
        lsn: Lsn::new(get_u64(bytes, 8)),
        payload_bytes: get_u64(bytes, 16),
        checksum: get_u32(bytes, 24),
    })
}

pub(crate) fn encode_footer(end: &SnapshotEnd) -> [u8; FOOTER_BYTES] {
    let mut bytes = [0; FOOTER_BYTES];
    bytes[..8].copy_from_slice(&FOOTER_MAGIC);
    put_u64(&mut bytes, 8, end.section_count);
    put_u64(&mut bytes, 16, end.needed_from.get());
    put_u64(&mut bytes, 24, end.state_hash);
    put_u64(&mut bytes, 32, end.file_hash);
    seal(&mut bytes);
    bytes
}

pub(crate) fn decode_footer(bytes: &[u8; FOOTER_BYTES]) -> Result<SnapshotEnd, Damage> {
    check(bytes, Some(&FOOTER_MAGIC))?;
    Ok(SnapshotEnd {
        section_count: get_u64(bytes, 8),
        needed_from: Lsn::new(get_u64(bytes, 16)),
        state_hash: get_u64(bytes, 24),
        file_hash: get_u64(bytes, 32),
    })
}

/// Puts the checksum of what stands before it into the last four bytes.
fn seal(bytes: &mut [u8]) {
    let at = bytes.len() - 4;
    let checksum = crc32c(&bytes[..at]);
    put_u32(bytes, at, checksum);
}

fn check(bytes: &[u8], magic: Option<&[u8; 8]>) -> Result<(), Damage> {
    if magic.is_some_and(|magic| !bytes.starts_with(magic)) {
        return Err(Damage::Magic);
    }
    let at = bytes.len() - 4;
    if crc32c(&bytes[..at]) == get_u32(bytes, at) { Ok(()) } else { Err(Damage::Checksum) }
}

//! Segment files: their names, and the sector at their start that ties them to what came before.
//!
//! A segment is created full of zeros and synced before its header is written, so everything after its last batch is
//! zero, recycled or not. All integers are little-endian.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | magic `QMSEGMNT` |
//! | 8 | 2 | format version |
//! | 10 | 2 | zero |
//! | 12 | 4 | shard |
//! | 16 | 8 | epoch of every batch in it |
//! | 24 | 8 | index of its first batch |
//! | 32 | 8 | LSN of its first record |
//! | 40 | 8 | chain value before its first batch |
//! | 48 | 460 | zeros |
//! | 508 | 4 | CRC-32C of bytes 0 to 507 |
//!
//! Magic, version and checksum stay where they are in every later version: a newer file is recognised as such.

use std::path::Path;

use crate::error::{Damage, Error};
use crate::frame::FORMAT_VERSION;
use crate::layout::{SECTOR_BYTES, crc32c, get_u16, get_u32, get_u64, put_u16, put_u32, put_u64};
use crate::lsn::{Epoch, Lsn};

/// Length of a segment's header; the first batch follows it.
pub const SEGMENT_HEADER_BYTES: usize = SECTOR_BYTES;

const MAGIC: [u8; 8] = *b"QMSEGMNT";
const CHECKSUM_AT: usize = SEGMENT_HEADER_BYTES - 4;

/// Largest index, position or epoch that a header may begin with: what follows is counted up from there. A million records a second
/// reach it after 146,000 years.
const NUMBER_MAX: u64 = 1 << 62;

/// What the header of a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Shard of its log.
    pub shard: u32,
    /// Epoch of every batch in it.
    pub epoch: Epoch,
    /// Index of its first batch.
    pub first_index: u64,
    /// Its first record.
    pub first_lsn: Lsn,
    /// Chain value before its first batch.
    pub chain: u64,
}

impl SegmentInfo {
    /// Name of the file: sorting names sorts segments.
    pub fn file_name(&self) -> String {
        file_name(self.first_index)
    }
}

pub(crate) fn file_name(first_index: u64) -> String {
    format!("wal-{first_index:020}.seg")
}

/// The first batch index in the name of a segment file; nothing for any other name.
pub(crate) fn parse_file_name(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("wal-")?.strip_suffix(".seg")?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// The header sector.
pub(crate) fn encode(info: &SegmentInfo) -> [u8; SEGMENT_HEADER_BYTES] {
    let mut sector = [0; SEGMENT_HEADER_BYTES];
    sector[..8].copy_from_slice(&MAGIC);
    put_u16(&mut sector, 8, FORMAT_VERSION);
    put_u32(&mut sector, 12, info.shard);
    put_u64(&mut sector, 16, info.epoch.get());
    put_u64(&mut sector, 24, info.first_index);
    put_u64(&mut sector, 32, info.first_lsn.get());
    put_u64(&mut sector, 40, info.chain);
    let checksum = crc32c(&sector[..CHECKSUM_AT]);
    put_u32(&mut sector, CHECKSUM_AT, checksum);
    sector
}

/// Reads the header sector of the segment at `path`, whose name gives `named_index`.
///
/// # Errors
/// [`Error::NewerFormat`] for a whole header of a later version, [`Error::Damaged`] for anything else.
pub(crate) fn decode(
    sector: &[u8; SEGMENT_HEADER_BYTES],
    path: &Path,
    named_index: u64,
    expected_lsn: Lsn,
) -> Result<SegmentInfo, Error> {
    let damaged = |damage| Error::Damaged { file: path.to_path_buf(), offset: 0, expected_lsn, damage };
    if sector[..8] != MAGIC {
        return Err(damaged(Damage::Magic));
    }
    if crc32c(&sector[..CHECKSUM_AT]) != get_u32(sector, CHECKSUM_AT) {
        return Err(damaged(Damage::Checksum));
    }
    let found = get_u16(sector, 8);
    if found > FORMAT_VERSION {
        return Err(Error::NewerFormat { file: path.to_path_buf(), found, supported: FORMAT_VERSION });
    }
    let info = SegmentInfo {
        shard: get_u32(sector, 12),
        epoch: Epoch::new(get_u64(sector, 16)),
        first_index: get_u64(sector, 24),
        first_lsn: Lsn::new(get_u64(sector, 32)),
        chain: get_u64(sector, 40),
    };
    if info.first_index != named_index {
        return Err(damaged(Damage::Name));
    }
    let numbers = [info.first_index, info.first_lsn.get(), info.epoch.get()];
    if numbers.iter().any(|number| !(1..=NUMBER_MAX).contains(number)) || found == 0 {
        return Err(damaged(Damage::Records));
    }
    Ok(info)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: SegmentInfo =
        SegmentInfo { shard: 1, epoch: Epoch::new(2), first_index: 3, first_lsn: Lsn::new(4), chain: 5 };

    #[test]
    fn a_header_reads_back_and_every_flipped_byte_is_noticed() {
        let whole = encode(&INFO);
        let path = Path::new("wal");
        assert_eq!(decode(&whole, path, 3, Lsn::ZERO).unwrap(), INFO);
        for position in 0..whole.len() {
            let mut broken = whole;
            broken[position] ^= 0x10;
            assert!(decode(&broken, path, 3, Lsn::ZERO).is_err(), "byte {position}");
        }
        assert!(matches!(decode(&whole, path, 4, Lsn::ZERO), Err(Error::Damaged { damage: Damage::Name, .. })));
    }

    #[test]
    fn numbers_that_no_log_reaches_are_damage_and_not_the_end_of_the_process() {
        let path = Path::new("wal");
        for far in [
            SegmentInfo { first_index: u64::MAX, ..INFO },
            SegmentInfo { first_lsn: Lsn::new(u64::MAX), ..INFO },
            SegmentInfo { epoch: Epoch::new(u64::MAX - 1), ..INFO },
        ] {
            let error = decode(&encode(&far), path, far.first_index, Lsn::ZERO).unwrap_err();
            assert!(matches!(error, Error::Damaged { damage: Damage::Records, .. }), "{error}");
        }
    }

    #[test]
    fn a_newer_version_is_named() {
        let mut newer = encode(&INFO);
        put_u16(&mut newer, 8, FORMAT_VERSION + 1);
        let checksum = crc32c(&newer[..CHECKSUM_AT]);
        put_u32(&mut newer, CHECKSUM_AT, checksum);
        let error = decode(&newer, Path::new("wal"), 3, Lsn::ZERO).unwrap_err();
        assert!(matches!(error, Error::NewerFormat { found: 2, supported: 1, .. }), "{error}");
    }

    /// Numbers begin at 1: a field of zero was never written.
    #[test]
    fn a_field_of_zero_is_refused_even_with_a_right_checksum() {
        let decoded = |zeroed: Option<usize>, named: u64| {
            let mut sector = encode(&INFO);
            if let Some(offset) = zeroed {
                sector[offset..offset + 2].fill(0);
            }
            let checksum = crc32c(&sector[..CHECKSUM_AT]);
            put_u32(&mut sector, CHECKSUM_AT, checksum);
            decode(&sector, Path::new("wal"), named, Lsn::ZERO)
        };
        assert_eq!(decoded(None, 3).unwrap(), INFO);
        for (offset, named, field) in [(8, 3, "version"), (16, 3, "epoch"), (24, 0, "index"), (32, 3, "position")] {
            let refused = decoded(Some(offset), named);
            assert!(matches!(refused, Err(Error::Damaged { damage: Damage::Records, .. })), "{field}: {refused:?}");
        }
    }

    #[test]
    fn only_names_of_segments_are_read_as_such() {
        assert_eq!(parse_file_name(&INFO.file_name()), Some(3));
        for name in ["wal-3.seg", "wal-+0000000000000000003.seg", "spare-00000000000000000003.seg", "LOCK"] {
            assert_eq!(parse_file_name(name), None, "{name}");
        }
    }
}

//! The bytes of a batch: the unit of write, of checksum and of atomicity.
//!
//! A batch begins on a 512-byte boundary and is padded with zeros to the next, so that no sector holds two batches
//! and an acknowledged one is never rewritten with other bytes. All integers are little-endian.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic `QMB\x01` |
//! | 4 | 4 | CRC-32C of everything from byte 8 to the end of the padding |
//! | 8 | 2 | format version |
//! | 10 | 2 | zero |
//! | 12 | 4 | shard |
//! | 16 | 8 | epoch |
//! | 24 | 8 | batch index: 1 for the first batch of the log, then dense |
//! | 32 | 8 | first LSN |
//! | 40 | 8 | last LSN |
//! | 48 | 8 | synced LSN: all up to here was fsynced before this batch was written |
//! | 56 | 8 | chain: CRC-64/NVME of the 72-byte header of the batch before, 0 for the first |
//! | 64 | 4 | body length, padding not counted |
//! | 68 | 4 | record count |
//! | 72 | … | body: for each record its length (u32) and its bytes; then zeros |
//!
//! The synced LSN tells a torn tail from damage without trusting anything outside of the log: an unreadable batch
//! that a later whole one knows to have been fsynced was damaged; without such a witness it was never acknowledged
//! as durable and may be cut. With [`Durability::Fsync`](crate::Durability::Fsync) every batch is such a witness.

use crate::error::Damage;
use crate::layout::{
    crc32c, crc64, disk_length, get_u16, get_u32, get_u64, is_zero, memory_length, put_u16, put_u32, put_u64,
    sector_aligned,
};
use crate::lsn::{Epoch, Lsn};

/// Newest format version of segments and batches that this crate writes and reads.
pub const FORMAT_VERSION: u16 = 1;

/// Length of a batch header.
pub const BATCH_HEADER_BYTES: usize = 72;

/// Length of the prefix of each record in a body.
pub const RECORD_HEADER_BYTES: usize = 4;

const MAGIC: u32 = u32::from_le_bytes(*b"QMB\x01");
const CHECKED_FROM: usize = 8;

/// What the header of a batch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Format version of the batch.
    pub version: u16,
    /// Shard of its log.
    pub shard: u32,
    /// Epoch of its writer.
    pub epoch: Epoch,
    /// Its place among all batches of the log, from 1.
    pub index: u64,
    /// Its first record.
    pub first_lsn: Lsn,
    /// Its last record.
    pub last_lsn: Lsn,
    /// Everything up to here was fsynced before this batch was written.
    pub synced_lsn: Lsn,
    /// Chain value of the batch before it.
    pub previous_chain: u64,
    /// Length of the records with their prefixes, in bytes.
    pub body_bytes: u32,
    /// Number of records, at least 1.
    pub record_count: u32,
}

impl BatchHeader {
    /// Length of the whole batch on disk, header and padding included; a multiple of 512.
    pub fn padded_bytes(&self) -> usize {
        sector_aligned(BATCH_HEADER_BYTES + memory_length(u64::from(self.body_bytes)))
    }
}

/// Writes the header in front of a body that is already in place, checksum included; gives the chain value that the
/// next batch must carry. `image` is the padded batch with its first [`BATCH_HEADER_BYTES`] bytes to be overwritten.
pub(crate) fn encode(header: &BatchHeader, image: &mut [u8]) -> u64 {
    assert_eq!(image.len(), header.padded_bytes(), "Invariant: an image is as long as its header says");
    put_u32(image, 0, MAGIC);
    put_u16(image, 8, header.version);
    put_u16(image, 10, 0);
    put_u32(image, 12, header.shard);
    put_u64(image, 16, header.epoch.get());
    put_u64(image, 24, header.index);
    put_u64(image, 32, header.first_lsn.get());
    put_u64(image, 40, header.last_lsn.get());
    put_u64(image, 48, header.synced_lsn.get());
    put_u64(image, 56, header.previous_chain);
    put_u32(image, 64, header.body_bytes);
    put_u32(image, 68, header.record_count);
    let checksum = crc32c(&image[CHECKED_FROM..]);
    put_u32(image, 4, checksum);
    chain(image)
}

/// Reads the batch at the start of `bytes`, which reach to the end of its segment.
///
/// Checks everything a batch can be checked for on its own; whether it is the *next* one is for the caller.
///
/// # Errors
/// The first thing found wrong. [`Damage::Version`] is given only for a batch that is otherwise whole.
pub fn decode(bytes: &[u8]) -> Result<BatchHeader, Damage> {
    if bytes.len() < BATCH_HEADER_BYTES {
        return Err(if is_zero(bytes) { Damage::Blank } else { Damage::Truncated });
    }
    if get_u32(bytes, 0) != MAGIC {
        return Err(if is_zero(&bytes[..BATCH_HEADER_BYTES]) { Damage::Blank } else { Damage::Magic });
    }
    let header = read_header(bytes);
    let image = bytes.get(..header.padded_bytes()).ok_or(Damage::Length)?;
    if crc32c(&image[CHECKED_FROM..]) != get_u32(bytes, 4) {
        return Err(Damage::Checksum);
    }
    if header.version != FORMAT_VERSION {
        return Err(Damage::Version);
    }
    check_records(&header, body(&header, image))?;
    Ok(header)
}

/// The records of a batch whose header has been read from the start of `bytes`.
pub(crate) fn body<'a>(header: &BatchHeader, bytes: &'a [u8]) -> &'a [u8] {
    &bytes[BATCH_HEADER_BYTES..BATCH_HEADER_BYTES + memory_length(u64::from(header.body_bytes))]
}

/// The value that the batch after this one carries as its `previous_chain`.
pub(crate) fn chain(image: &[u8]) -> u64 {
    crc64(&image[..BATCH_HEADER_BYTES])
}

/// Whether a batch may begin here: cheap, to search for one.
pub(crate) fn has_magic(bytes: &[u8]) -> bool {
    bytes.len() >= BATCH_HEADER_BYTES && get_u32(bytes, 0) == MAGIC
}

/// Reads the fields without judging them. `bytes` holds at least a header.
pub(crate) fn read_header(bytes: &[u8]) -> BatchHeader {
    BatchHeader {
        version: get_u16(bytes, 8),
        shard: get_u32(bytes, 12),
        epoch: Epoch::new(get_u64(bytes, 16)),
        index: get_u64(bytes, 24),
        first_lsn: Lsn::new(get_u64(bytes, 32)),
        last_lsn: Lsn::new(get_u64(bytes, 40)),
        synced_lsn: Lsn::new(get_u64(bytes, 48)),
        previous_chain: get_u64(bytes, 56),
        body_bytes: get_u32(bytes, 64),
        record_count: get_u32(bytes, 68),
    }
}

/// The length prefixes must walk exactly to the end of the body, once per record, and agree with the LSNs.
fn check_records(header: &BatchHeader, body: &[u8]) -> Result<(), Damage> {
    let mut rest = body;
    let mut count = 0u32;
    while !rest.is_empty() {
        let (_, after) = split_record(rest).ok_or(Damage::Records)?;
        rest = after;
        count += 1;
    }
    let expected_last = header.first_lsn.advanced(u64::from(count)).previous();
    if count == 0 || count != header.record_count || header.last_lsn != expected_last || header.first_lsn == Lsn::ZERO {
        return Err(Damage::Records);
    }
    Ok(())
}

/// The first record of a body and what follows it; nothing when its length does not fit.
pub(crate) fn split_record(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (prefix, rest) = body.split_first_chunk::<RECORD_HEADER_BYTES>()?;
    rest.split_at_checked(memory_length(u64::from(u32::from_le_bytes(*prefix))))
}

/// Length of a record with its prefix, in bytes.
pub(crate) fn framed_bytes(record: &[u8]) -> usize {
    RECORD_HEADER_BYTES + record.len()
}

/// Appends a record with its length to a body. The caller has bounded it by `LogConfig::record_bytes_max`.
pub(crate) fn push_record(body: &mut Vec<u8>, record: &[u8]) {
    let length = u32::try_from(disk_length(record.len())).expect("Invariant: a record is at most a segment long");
    body.extend_from_slice(&length.to_le_bytes());
    body.extend_from_slice(record);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(records: &[&[u8]]) -> Vec<u8> {
        let mut image = vec![0; BATCH_HEADER_BYTES];
        for record in records {
            push_record(&mut image, record);
        }
        let body_bytes = u32::try_from(image.len() - BATCH_HEADER_BYTES).unwrap();
        image.resize(sector_aligned(image.len()), 0);
        let count = u32::try_from(records.len()).unwrap();
        let header = BatchHeader {
            version: FORMAT_VERSION,
            shard: 3,
            epoch: Epoch::new(7),
            index: 11,
            first_lsn: Lsn::new(100),
            last_lsn: Lsn::new(99 + u64::from(count)),
            synced_lsn: Lsn::new(99),
            previous_chain: 0xfeed,
            body_bytes,
            record_count: count,
        };
        encode(&header, &mut image);
        image
    }

    #[test]
    fn a_batch_reads_back_as_written() {
        let image = image(&[b"one", b"", b"three"]);
        assert_eq!(image.len(), SECTOR);
        let header = decode(&image).unwrap();
        assert_eq!((header.index, header.record_count), (11, 3));
        assert_eq!(header.last_lsn, Lsn::new(102));
        let (first, rest) = split_record(body(&header, &image)).unwrap();
        assert_eq!(first, b"one");
        assert_eq!(split_record(rest).unwrap().0, b"");
    }

    const SECTOR: usize = crate::layout::SECTOR_BYTES;

    #[test]
    fn every_flipped_bit_of_a_batch_is_noticed() {
        let whole = image(&[b"one", b"two"]);
        for position in 0..whole.len() {
            for bit in 0..8 {
                let mut broken = whole.clone();
                broken[position] ^= 1 << bit;
                assert!(decode(&broken).is_err(), "byte {position}, bit {bit}");
            }
        }
    }

    #[test]
    fn a_length_beyond_the_segment_is_refused_before_it_is_used() {
        let mut broken = image(&[b"one"]);
        put_u32(&mut broken, 64, u32::MAX);
        assert_eq!(decode(&broken), Err(Damage::Length));
        assert_eq!(decode(&[0; SECTOR]), Err(Damage::Blank));
        assert_eq!(decode(&[1; 10]), Err(Damage::Truncated));
    }

    #[test]
    fn records_that_do_not_fill_the_body_are_refused_even_with_a_right_checksum() {
        let mut broken = image(&[b"one"]);
        put_u32(&mut broken, BATCH_HEADER_BYTES, 2);
        let checksum = crc32c(&broken[CHECKED_FROM..]);
        put_u32(&mut broken, 4, checksum);
        assert_eq!(decode(&broken), Err(Damage::Records));
    }

    /// With a checksum that is right: only what the fields say of each other can give them away.
    #[test]
    fn counts_and_positions_that_contradict_each_other_are_refused() {
        let sealed = |offset: usize, value: u64, long: bool| {
            let mut image = image(&[b"one", b"two"]);
            if long {
                put_u64(&mut image, offset, value);
            } else {
                put_u32(&mut image, offset, u32::try_from(value).unwrap());
            }
            let checksum = crc32c(&image[CHECKED_FROM..]);
            put_u32(&mut image, 4, checksum);
            decode(&image)
        };
        assert!(sealed(68, 2, false).is_ok(), "as it was");
        assert_eq!(sealed(68, 1, false), Err(Damage::Records), "fewer than there are");
        assert_eq!(sealed(68, 3, false), Err(Damage::Records), "more than there are");
        assert_eq!(sealed(40, 100, true), Err(Damage::Records), "the last position is another");
        assert_eq!(sealed(32, 101, true), Err(Damage::Records), "the first position is another");
        let mut none = image(&[]);
        assert_eq!(decode(&none), Err(Damage::Records), "a batch without a record");
        none[0] ^= 1;
        assert!(!has_magic(&none));
        let whole = image(&[b"one"]);
        assert!(has_magic(&whole) && has_magic(&whole[..BATCH_HEADER_BYTES]));
        assert!(!has_magic(&whole[..BATCH_HEADER_BYTES - 1]));
    }

    #[test]
    fn no_record_begins_at_position_zero() {
        let mut image = image(&[b"one"]);
        put_u64(&mut image, 32, 0);
        put_u64(&mut image, 40, 0);
        let checksum = crc32c(&image[CHECKED_FROM..]);
        put_u32(&mut image, 4, checksum);
        assert_eq!(decode(&image), Err(Damage::Records));
    }

    #[test]
    fn what_is_too_short_for_a_header_is_blank_or_cut_off() {
        assert_eq!(decode(&[0; BATCH_HEADER_BYTES - 1]), Err(Damage::Blank));
        assert_eq!(decode(&[0; BATCH_HEADER_BYTES]), Err(Damage::Blank));
        assert_eq!(decode(&[1; BATCH_HEADER_BYTES]), Err(Damage::Magic));
        let whole = image(&[b"one"]);
        assert_eq!(decode(&whole[..BATCH_HEADER_BYTES - 1]), Err(Damage::Truncated));
        assert_eq!(decode(&whole[..SECTOR - 1]), Err(Damage::Length));
        assert_eq!(framed_bytes(b"one"), 7);
    }

    #[test]
    fn a_whole_batch_of_another_version_is_named() {
        let mut newer = image(&[b"one"]);
        put_u16(&mut newer, 8, FORMAT_VERSION + 1);
        assert_eq!(decode(&newer), Err(Damage::Checksum), "while it is not whole");
        let checksum = crc32c(&newer[CHECKED_FROM..]);
        put_u32(&mut newer, 4, checksum);
        assert_eq!(decode(&newer), Err(Damage::Version));
    }

    #[test]
    fn the_chain_differs_when_anything_before_differs() {
        assert_ne!(chain(&image(&[b"one"])), chain(&image(&[b"onf"])));
    }
}

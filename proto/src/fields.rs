//! Protobuf's fields appended one after the other, for what is written too often to be made into a message first: byte for byte what prost
//! writes.
//!
//! Fields have numbers from 1 to 15, so that their keys are one byte long. As in every message of version 3, what has its default is left out.
//! What stands in a few bytes is appended as a fixed number of bytes, of which those that are too many are cut off again: that is a store or
//! two, where appending byte by byte asks for room each time.

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const LENGTH: u8 = 2;

/// Key of a number. Fields with numbers from 1 to 15 have keys of one byte.
pub const fn number(field: u8) -> u8 {
    field << 3 | VARINT
}

/// Key of a number of eight bytes.
pub const fn fixed64(field: u8) -> u8 {
    field << 3 | FIXED64
}

/// Key of a text, of bytes, or of a message.
pub const fn delimited(field: u8) -> u8 {
    field << 3 | LENGTH
}

/// Appends a number, unless it is 0.
#[inline]
pub fn put_number(bytes: &mut Vec<u8>, field: u8, value: u64) {
    match value {
        0 => {}
        1..0x80 => bytes.extend_from_slice(&[number(field), value.to_le_bytes()[0]]),
        _ => put_keyed(bytes, number(field), value),
    }
}

/// Appends a number of eight bytes, unless it is 0.
#[inline]
pub fn put_fixed64(bytes: &mut Vec<u8>, field: u8, value: u64) {
    if value != 0 {
        let mut entry = [fixed64(field); 9];
        entry[1..].copy_from_slice(&value.to_le_bytes());
        bytes.extend_from_slice(&entry);
    }
}

/// Appends a text, unless it is empty.
#[inline]
pub fn put_text(bytes: &mut Vec<u8>, field: u8, text: &str) {
    put_bytes(bytes, field, text.as_bytes());
}

/// Appends bytes, unless there are none.
#[inline]
pub fn put_bytes(bytes: &mut Vec<u8>, field: u8, value: &[u8]) {
    match u8::try_from(value.len()) {
        Ok(0) => return,
        Ok(short) if short < 0x80 => bytes.extend_from_slice(&[delimited(field), short]),
        _ => put_keyed(bytes, delimited(field), u64::try_from(value.len()).unwrap_or(u64::MAX)),
    }
    bytes.extend_from_slice(value);
}

/// Appends a message that is there, be it empty. Its length is known only when it stands: most have one byte for it, longer ones are moved.
#[inline]
pub fn put_message(bytes: &mut Vec<u8>, field: u8, put: impl FnOnce(&mut Vec<u8>)) {
    bytes.extend_from_slice(&[delimited(field), 0]);
    let start = bytes.len();
    put(bytes);
    match u8::try_from(bytes.len() - start) {
        Ok(short) if short < 0x80 => bytes[start - 1] = short,
        _ => make_longer(bytes, start),
    }
}

/// Puts the length of a message that begins at `start` and is longer than its one byte before it can tell.
#[cold]
fn make_longer(bytes: &mut Vec<u8>, start: usize) {
    let end = bytes.len();
    put_varint(bytes, u64::try_from(end - start).unwrap_or(u64::MAX));
    let longer = bytes.len() - end;
    bytes[start - 1..].rotate_right(longer);
    bytes.remove(start - 1 + longer);
}

/// Appends a number without its key.
#[inline]
pub fn put_varint(bytes: &mut Vec<u8>, value: u64) {
    if value < SPREAD_MAX {
        let (spread, length) = spread(value);
        bytes.extend_from_slice(&spread);
        bytes.truncate(bytes.len() + length - spread.len());
    } else {
        bytes.extend_from_slice(&marked(value));
        put_varint(bytes, value / SPREAD_MAX);
    }
}

/// Appends a key and a number.
fn put_keyed(bytes: &mut Vec<u8>, key: u8, value: u64) {
    if value < SPREAD_MAX {
        let (spread, length) = spread(value);
        let mut entry = [key; 9];
        entry[1..].copy_from_slice(&spread);
        bytes.extend_from_slice(&entry);
        bytes.truncate(bytes.len() + length - spread.len());
    } else {
        bytes.push(key);
        put_varint(bytes, value);
    }
}

/// Numbers below this have eight groups of seven bits at most.
const SPREAD_MAX: u64 = 1 << 56;

/// The bytes of a number below `SPREAD_MAX`, and how many there are. The length is that of protobuf's own `VarintSize64` (C++, google/protobuf,
/// `coded_stream.h`).
#[inline]
fn spread(value: u64) -> ([u8; 8], usize) {
    let bits = u64::BITS - (value | 1).leading_zeros();
    let length = (bits * 9 + 64) / 64;
    let last = 0x80 << (8 * (length - 1));
    // A mark on each byte but the last.
    let marks = 0x8080_8080_8080_8080 & (last - 1);
    ((groups(value) | marks).to_le_bytes(), usize::try_from(length).unwrap_or(8))
}

/// The eight lowest groups of a number, each marked as not the last.
fn marked(value: u64) -> [u8; 8] {
    (groups(value) | 0x8080_8080_8080_8080).to_le_bytes()
}

/// The eight lowest groups of seven bits, in a byte each: spread by halves.
#[inline]
fn groups(value: u64) -> u64 {
    let mut word = value & 0x0FFF_FFFF | (value & 0x00FF_FFFF_F000_0000) << 4;
    word = word & 0x0000_3FFF_0000_3FFF | (word & 0x0FFF_C000_0FFF_C000) << 2;
    word & 0x007F_007F_007F_007F | (word & 0x3F80_3F80_3F80_3F80) << 1
}

#[cfg(test)]
mod tests {
    use prost::encoding;

    use super::*;

    fn numbers() -> impl Iterator<Item = u64> {
        let edges = (0..64).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1_u64 << bit) + 1]);
        edges.chain([u64::MAX, 0x0123_4567_89AB_CDEF, 0x007F_FFFF_FFFF_FFFF])
    }

    #[test]
    fn numbers_are_as_prost_writes_them() {
        for value in numbers() {
            let (mut ours, mut theirs) = (vec![9], vec![9]);
            put_varint(&mut ours, value);
            encoding::encode_varint(value, &mut theirs);
            assert_eq!(ours, theirs, "{value}");
            put_number(&mut ours, 15, value);
            if value != 0 {
                encoding::uint64::encode(15, &value, &mut theirs);
            }
            put_fixed64(&mut ours, 2, value);
            if value != 0 {
                encoding::fixed64::encode(2, &value, &mut theirs);
            }
            assert_eq!(ours, theirs, "{value}");
        }
    }

    #[test]
    fn texts_and_messages_of_every_length_are_as_prost_writes_them() {
        for length in [0, 1, 126, 127, 128, 129, 16_383, 16_384, 20_000] {
            let text = "x".repeat(length);
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            put_message(&mut ours, 3, |bytes| put_text(bytes, 4, &text));
            let inner = if length == 0 {
                Vec::new()
            } else {
                let mut inner = Vec::new();
                encoding::string::encode(4, &text, &mut inner);
                inner
            };
            encoding::bytes::encode(3, &inner, &mut theirs);
            assert_eq!(ours, theirs, "{length}");
        }
    }
}

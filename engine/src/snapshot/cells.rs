//! Cells as a snapshot has them: most take 3 or 4 bytes.
//!
//! Rows in order, cells by location. A cell is a byte, what it holds on hand, and what the byte says that follows:
//!
//! | bits of the byte | meaning |
//! |---|---|
//! | 0 | units reserved follow |
//! | 1 | units committed follow |
//! | 2 to 7 | locations left out since the cell before it in its row, or since location 0; 63: as many and those that follow at the end |
//!
//! All that follows are unsigned LEB128 numbers, as in protobuf, in the order of this table.

use crate::{id::LocationId, stock::row::PackedCell};

const RESERVED: u8 = 1;
const COMMITTED: u8 = 2;
/// The largest number of locations left out that fits the byte, and says that more may follow.
const FAR: u8 = 63;

/// Bytes of the largest cell.
const CELL_BYTES_MAX: usize = 1 + 4 * 5;

/// Bytes of the smallest.
const CELL_BYTES_MIN: usize = 2;

/// Appends the cells of a row.
pub(crate) fn put(bytes: &mut Vec<u8>, row: &[PackedCell]) {
    let mut next = 0;
    for cell in row {
        let location = cell.location().0;
        // Cells of a row are in order, each at another location.
        let left_out = location.saturating_sub(next);
        next = location + 1;
        let near = u8::try_from(left_out).map_or(FAR, |near| near.min(FAR));
        let mut entry = [0; CELL_BYTES_MAX];
        entry[0] = near << 2;
        let mut end = put_number(&mut entry, 1, cell.on_hand);
        if cell.reserved > 0 {
            entry[0] |= RESERVED;
            end = put_number(&mut entry, end, cell.reserved);
        }
        if cell.committed > 0 {
            entry[0] |= COMMITTED;
            end = put_number(&mut entry, end, cell.committed);
        }
        if near == FAR {
            end = put_number(&mut entry, end, left_out - u32::from(FAR));
        }
        bytes.extend_from_slice(&entry[..end]);
    }
}

fn put_number(entry: &mut [u8; CELL_BYTES_MAX], mut end: usize, mut number: u32) -> usize {
    while number >= 0x80 {
        entry[end] = number.to_le_bytes()[0] | 0x80;
        number >>= 7;
        end += 1;
    }
    entry[end] = number.to_le_bytes()[0];
    end + 1
}

/// Takes the cells of a row, `count` of them, off the front. `None` when they are not there or are none that `put` writes.
pub(crate) fn take(bytes: &mut &[u8], count: usize) -> Option<Vec<PackedCell>> {
    // Whatever the count says: no more is set aside than the bytes can hold.
    let mut row = Vec::with_capacity(count.min(bytes.len() / CELL_BYTES_MIN));
    let mut next = 0_u32;
    for _ in 0..count {
        let (&tag, rest) = bytes.split_first()?;
        *bytes = rest;
        let on_hand = take_number(bytes)?;
        let reserved = if tag & RESERVED == 0 { 0 } else { take_number(bytes)? };
        let committed = if tag & COMMITTED == 0 { 0 } else { take_number(bytes)? };
        let near = tag >> 2;
        let left_out = u32::from(near) + if near == FAR { take_number(bytes)? } else { 0 };
        let location = next.checked_add(left_out).filter(|location| *location <= LocationId::MAX)?;
        next = location + 1;
        row.push(PackedCell { tag: location, on_hand, reserved, committed });
    }
    Some(row)
}

fn take_number(bytes: &mut &[u8]) -> Option<u32> {
    let (mut number, mut rest) = (0_u64, *bytes);
    for place in 0..5 {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        number |= u64::from(byte & 0x7F) << (7 * place);
        if byte & 0x80 == 0 {
            *bytes = rest;
            return u32::try_from(number).ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_map, prelude::*};

    use super::*;

    fn row() -> impl Strategy<Value = Vec<PackedCell>> {
        let location = prop_oneof![4 => 0..200_u32, 1 => 0..=LocationId::MAX];
        let units = || prop_oneof![2 => Just(0), 3 => 0..300_u32, 1 => any::<u32>()];
        btree_map(location, (units(), units(), units()), 0..40).prop_map(|cells| {
            let cell = |(tag, (on_hand, reserved, committed))| PackedCell { tag, on_hand, reserved, committed };
            cells.into_iter().map(cell).collect()
        })
    }

    proptest! {
        #[test]
        fn rows_are_taken_as_they_were_put(rows in proptest::collection::vec(row(), 0..5)) {
            let mut bytes = Vec::new();
            rows.iter().for_each(|row| put(&mut bytes, row));
            let mut rest = &bytes[..];
            for row in &rows {
                let taken = take(&mut rest, row.len());
                prop_assert_eq!(taken.as_ref(), Some(row));
            }
            prop_assert_eq!(rest, &[] as &[u8]);
            prop_assert_eq!(take(&mut rest, 1), None);
        }

        #[test]
        fn bytes_of_no_origin_give_a_row_in_order_or_none(bytes: Vec<u8>, count in 0..30_usize) {
            if let Some(row) = take(&mut &bytes[..], count) {
                prop_assert_eq!(row.len(), count);
                prop_assert!(row.is_sorted_by(|one, next| one.location() < next.location()));
                prop_assert!(row.iter().all(|cell| cell.tag <= LocationId::MAX));
            }
        }
    }

    /// Part of the format.
    #[test]
    fn the_bytes_of_a_row() {
        let cell = |tag, on_hand, reserved, committed| PackedCell { tag, on_hand, reserved, committed };
        let row = [cell(0, 5, 0, 0), cell(1, 300, 2, 0), cell(64, 0, 0, 7), cell(1_000, 1, 1, 1)];
        let mut bytes = Vec::new();
        put(&mut bytes, &row);
        let expected = [
            &[0, 5][..],
            &[1, 0xAC, 2, 2],
            &[62 << 2 | 2, 0, 7],
            // 935 are left out: 63, and 872 at the end.
            &[63 << 2 | 3, 1, 1, 1, 0xE8, 6],
        ];
        assert_eq!(bytes, expected.concat());
    }
}

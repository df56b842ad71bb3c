//! Little-endian fields at fixed offsets: the one place where bytes become integers and back.

const _: () = assert!(usize::BITS == 64, "file offsets and buffer lengths are taken to be the same width");

/// Unit of writing and of tearing: batches begin on such a boundary, so none shares a sector with another.
pub(crate) const SECTOR_BYTES: usize = 512;

/// A length in memory as a length on disk.
pub(crate) fn disk_length(bytes: usize) -> u64 {
    u64::try_from(bytes).expect("Invariant: usize has 64 bits")
}

/// A length on disk as a length in memory.
pub(crate) fn memory_length(bytes: u64) -> usize {
    usize::try_from(bytes).expect("Invariant: usize has 64 bits")
}

/// The next multiple of a sector at or above `bytes`.
pub(crate) const fn sector_aligned(bytes: usize) -> usize {
    bytes.next_multiple_of(SECTOR_BYTES)
}

/// Whether there is nothing but zeros.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    bytes.chunks(ZEROS.len()).all(|chunk| chunk == &ZEROS[..chunk.len()])
}

/// How many bytes remain when trailing zeros are left out.
pub(crate) fn length_without_trailing_zeros(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

/// CRC-32C (Castagnoli) of `bytes`.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

/// CRC-64/NVME of `bytes`, used to chain: it identifies what came before, it does not guard the bytes themselves.
pub(crate) fn crc64(bytes: &[u8]) -> u64 {
    crc_fast::crc64_nvme(bytes)
}

macro_rules! field {
    ($get:ident, $put:ident, $type:ty, $width:literal) => {
        /// The field at `offset`. Panics when it does not lie within `bytes`.
        pub(crate) fn $get(bytes: &[u8], offset: usize) -> $type {
            let field: [u8; $width] =
                bytes[offset..offset + $width].try_into().expect("Invariant: the slice has this width");
            <$type>::from_le_bytes(field)
        }

        /// Stores the field at `offset`. Panics when it does not lie within `bytes`.
        pub(crate) fn $put(bytes: &mut [u8], offset: usize, value: $type) {
            bytes[offset..offset + $width].copy_from_slice(&value.to_le_bytes());
        }
    };
}

field!(get_u16, put_u16, u16, 2);
field!(get_u32, put_u32, u32, 4);
field!(get_u64, put_u64, u64, 8);

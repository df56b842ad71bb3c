//! A stable 64-bit hash of a request's content.
//!
//! It is written to the journal, so it may never change: eight bytes at a time are folded in with a multiply, and the end is mixed
//! with the finaliser of MurmurHash3 (Austin Appleby, public domain). It guards against mistakes, not against attackers: whoever
//! reuses an id on purpose cheats only itself.

use crate::{command::CellCode, quantity::Quantity};

/// Folds fields one after another. Each text carries its length, so that neighbours cannot run together.
#[derive(Debug)]
pub struct Fingerprinter(u64);

impl Default for Fingerprinter {
    fn default() -> Self {
        Self(0x9E37_79B9_7F4A_7C15)
    }
}

impl Fingerprinter {
    /// Folds a number.
    pub fn number(&mut self, value: u64) -> &mut Self {
        self.0 = (self.0 ^ value).wrapping_mul(0xFF51_AFD7_ED55_8CCD).rotate_left(29);
        self
    }

    /// Folds the kind of a request.
    pub fn tag(&mut self, kind: u64) -> &mut Self {
        self.number(kind)
    }

    /// Folds a text.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    /// Folds bytes, with their length.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        let (words, rest) = bytes.as_chunks();
        for word in words {
            self.number(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            self.number(short_word(rest));
        }
        self
    }

    /// Folds a quantity.
    pub fn quantity(&mut self, quantity: Quantity) -> &mut Self {
        self.number(quantity.units())
    }

    /// Folds a cell.
    pub fn cell(&mut self, cell: &CellCode) -> &mut Self {
        self.text(&cell.sku).text(&cell.location)
    }

    /// The hash.
    #[must_use]
    pub fn finish(&self) -> u64 {
        let mut hash = self.0;
        hash = (hash ^ hash >> 33).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
        hash = (hash ^ hash >> 33).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
        hash ^ hash >> 33
    }
}

/// One to seven bytes as the low bytes of a word, read as two overlapping halves or as first, middle and last: no loop, no branch a byte.
fn short_word(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let shift = 8 * (bytes.len() - 4);
        return u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << shift;
    }
    let [first, .., last] = bytes else { return bytes.first().copied().map_or(0, u64::from) };
    let middle = u64::from(bytes[bytes.len() / 2]);
    u64::from(*first) | middle << (8 * (bytes.len() / 2)) | u64::from(*last) << (8 * (bytes.len() - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_texts_do_not_run_together() {
        let one = Fingerprinter::default().text("ab").text("c").finish();
        let other = Fingerprinter::default().text("a").text("bc").finish();
        assert_ne!(one, other);
    }

    #[test]
    fn a_short_word_has_the_bytes_in_their_places() {
        let bytes = [0x81, 0x92, 0xA3, 0xB4, 0xC5, 0xD6, 0xE7];
        for length in 0..=bytes.len() {
            let placed = bytes[..length].iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
            assert_eq!(short_word(&bytes[..length]), placed, "{length} bytes");
        }
    }

    #[test]
    fn the_hash_on_disk_never_changes() {
        let hash = Fingerprinter::default().tag(1).text("order-1").number(7).finish();
        assert_eq!(hash, 0x4404_1f79_3b68_38f1, "{hash:#x}");
    }
}

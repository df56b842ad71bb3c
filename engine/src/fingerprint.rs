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
            let mut word = [0; 8];
            word.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            self.number(u64::from_le_bytes(word));
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
    fn the_hash_on_disk_never_changes() {
        let hash = Fingerprinter::default().tag(1).text("order-1").number(7).finish();
        assert_eq!(hash, 0x4404_1f79_3b68_38f1, "{hash:#x}");
    }
}

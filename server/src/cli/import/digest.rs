//! The identity of an import: a hash over the content of its files, so that a second run has the same request ids.
//!
//! FNV-1a over 128 bits (Fowler, Noll, Vo; public domain): stable for ever, and wide enough that two files do not meet by accident.

/// Folds what is read.
#[derive(Clone, Debug)]
pub(super) struct Digest(u128);

const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

impl Default for Digest {
    fn default() -> Digest {
        Digest(BASIS)
    }
}

impl Digest {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u128::from(*byte)).wrapping_mul(PRIME);
        }
    }

    /// Marks what comes next, so that files cannot run together.
    pub(super) fn begin(&mut self, what: &str) {
        self.add(what.as_bytes());
        self.add(&[0]);
    }

    pub(super) fn request_id(&self) -> String {
        format!("import-{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_fnv_1a() {
        let hash = |text: &[u8]| {
            let mut digest = Digest::default();
            digest.add(text);
            digest.0
        };
        assert_eq!(hash(b""), BASIS);
        assert_eq!(hash(b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
        assert_eq!(Digest::default().request_id().len(), 39);
    }
}

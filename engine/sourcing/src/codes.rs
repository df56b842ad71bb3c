//! From the code of a thing to its dense number.

use ahash::RandomState;
use hashbrown::HashMap;

/// Codes with their numbers; hashed with fixed seeds and never iterated.
#[derive(Clone, Debug)]
pub(crate) struct Codes(HashMap<Box<str>, u32, RandomState>);

impl Codes {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self(HashMap::with_hasher(hasher()))
    }

    /// Enters a code; false when it is there already, and then it keeps its number.
    pub(crate) fn enter(&mut self, code: &str, number: u32) -> bool {
        let absent = !self.0.contains_key(code);
        if absent {
            self.0.insert(code.into(), number);
        }
        absent
    }

    /// The number of a code.
    pub(crate) fn number(&self, code: &str) -> Option<u32> {
        self.0.get(code).copied()
    }
}

/// The same tables in every process.
pub(crate) fn hasher() -> RandomState {
    RandomState::with_seeds(0x51AB, 0x1DEA, 0x0B0E, 0x5EED)
}

/// A count or position as a number of 32 bits; what is counted here is bounded far below.
pub(crate) fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// A number of 32 bits as a position.
pub(crate) fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

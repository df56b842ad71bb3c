//! An LSN and eight bits beside it, in eight bytes: rows and reservations carry both by the million.

use quartermaster_journal::Lsn;

/// LSNs stay below 2^56: a million a second for 2,000 years.
const LSN_BITS: u32 = 56;

/// An LSN below the eight bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Stamp(u64);

impl Stamp {
    /// Whether a stamp can tell this LSN. Those of a journal it can; what a file says is asked first.
    #[inline]
    pub(crate) fn fits(lsn: Lsn) -> bool {
        lsn.get() >> LSN_BITS == 0
    }

    /// # Panics
    /// If the LSN does not fit.
    #[inline]
    pub(crate) fn new(lsn: Lsn, bits: u8) -> Self {
        assert!(Self::fits(lsn), "Invariant: a journal does not reach 2^56 events");
        Self(u64::from(bits) << LSN_BITS | lsn.get())
    }

    #[inline]
    pub(crate) fn lsn(self) -> Lsn {
        Lsn::new(self.0 << 8 >> 8)
    }

    #[inline]
    pub(crate) fn bits(self) -> u8 {
        self.0.to_be_bytes()[0]
    }

    /// # Panics
    /// If the LSN does not fit.
    #[inline]
    pub(crate) fn set_lsn(&mut self, lsn: Lsn) {
        *self = Self::new(lsn, self.bits());
    }

    #[inline]
    pub(crate) fn set_bits(&mut self, bits: u8) {
        *self = Self::new(self.lsn(), bits);
    }

    /// Whether one of the bits is set: `mask` has that one.
    #[inline]
    pub(crate) fn has(self, mask: u8) -> bool {
        self.bits() & mask != 0
    }

    /// Sets or clears the bit of `mask`.
    #[inline]
    pub(crate) fn set(&mut self, mask: u8, on: bool) {
        self.set_bits(if on { self.bits() | mask } else { self.bits() & !mask });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_and_the_lsn_leave_each_other_alone() {
        let last = Lsn::new((1 << LSN_BITS) - 1);
        let mut stamp = Stamp::new(last, 0b1010_0101);
        assert_eq!((stamp.lsn(), stamp.bits()), (last, 0b1010_0101));
        stamp.set_lsn(Lsn::new(7));
        assert_eq!((stamp.lsn(), stamp.bits()), (Lsn::new(7), 0b1010_0101));
        stamp.set(0b1000_0000, false);
        stamp.set(0b0000_0010, true);
        assert_eq!((stamp.lsn(), stamp.bits()), (Lsn::new(7), 0b0010_0111));
        assert!(stamp.has(0b0000_0010) && !stamp.has(0b1000_0000));
        assert!(Stamp::fits(last) && !Stamp::fits(Lsn::new(1 << LSN_BITS)));
    }
}

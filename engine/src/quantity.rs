//! Units, and what can go wrong when they are added.

use std::fmt;

/// Units of one SKU in one bucket or line. Sums over cells are `u64`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Quantity(pub u32);

impl Quantity {
    /// None.
    pub const ZERO: Self = Self(0);

    /// Whether there are none.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The number, for sums.
    #[must_use]
    pub fn units(self) -> u64 {
        u64::from(self.0)
    }

    /// The number with a sign, for differences.
    #[must_use]
    pub fn signed(self) -> i64 {
        i64::from(self.0)
    }

    /// The sum, or `None` past 4,294,967,295.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or `None` below 0.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The sum with a signed difference, or `None` outside 0 to 4,294,967,295.
    #[must_use]
    pub fn checked_add_signed(self, delta: i64) -> Option<Self> {
        u32::try_from(self.signed().checked_add(delta)?).ok().map(Self)
    }

    /// The smaller of a sum and the largest quantity.
    #[must_use]
    pub fn clamp(units: u64) -> Self {
        Self(u32::try_from(units).unwrap_or(u32::MAX))
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Debug for Quantity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_differences_end_at_the_ends_of_the_range() {
        let most = Quantity(u32::MAX);
        assert_eq!(Quantity(2).checked_add(Quantity(3)), Some(Quantity(5)));
        assert_eq!((most.checked_add(Quantity(1)), most.checked_add(Quantity::ZERO)), (None, Some(most)));
        assert_eq!(Quantity(5).checked_sub(Quantity(3)), Some(Quantity(2)));
        assert_eq!(
            (Quantity(3).checked_sub(Quantity(3)), Quantity(3).checked_sub(Quantity(4))),
            (Some(Quantity(0)), None)
        );
        assert_eq!(Quantity(5).checked_add_signed(-5), Some(Quantity(0)));
        assert_eq!((Quantity(5).checked_add_signed(-6), most.checked_add_signed(1)), (None, None));
        assert_eq!((Quantity(5).checked_add_signed(2), most.checked_add_signed(i64::MAX)), (Some(Quantity(7)), None));
        assert_eq!((Quantity::clamp(7), Quantity::clamp(1 << 32)), (Quantity(7), most));
    }

    #[test]
    fn a_quantity_reads_as_its_number() {
        assert!(Quantity::ZERO.is_zero() && !Quantity(1).is_zero());
        assert_eq!((Quantity(9).units(), Quantity(9).signed()), (9, 9));
        assert_eq!(format!("{} {:?}", Quantity(12), Quantity(34)), "12 34");
    }
}

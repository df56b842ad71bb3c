//! The arithmetic of a cell: what can be sold, and what is promised but not there.

use crate::{command::Bucket, event::Promise, quantity::Quantity};

/// All buckets of a cell, unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Buckets {
    /// Units physically there, whatever their condition.
    pub on_hand: Quantity,
    /// Promised to orders not yet paid.
    pub reserved: Quantity,
    /// Promised to confirmed orders, not shipped.
    pub committed: Quantity,
    /// Kept back.
    pub safety: Quantity,
    /// In quality control.
    pub quality_control: Quantity,
    /// Damaged.
    pub damaged: Quantity,
    /// In repair.
    pub in_repair: Quantity,
    /// Expected, not there.
    pub incoming: Quantity,
    /// The cell is frozen: nothing of it is available.
    pub frozen: bool,
    /// Kept back by rules. Of this and `safety` the greater holds.
    pub kept: Quantity,
}

impl Buckets {
    /// Units that can still be promised: on hand, less promised, less what is not for sale. Zero, not negative, when a count has put
    /// on hand below what is promised already. Zero when the cell is frozen.
    #[must_use]
    pub fn available(&self) -> Quantity {
        if self.frozen {
            return Quantity::ZERO;
        }
        let taken = self.promised() + self.kept_back().units() + self.unsellable();
        Quantity::clamp(self.on_hand.units().saturating_sub(taken))
    }

    /// Units kept from sale: the stricter of what was set and what rules keep.
    #[must_use]
    pub fn kept_back(&self) -> Quantity {
        self.safety.max(self.kept)
    }

    /// Reserved and committed together.
    #[must_use]
    pub fn promised(&self) -> u64 {
        self.reserved.units() + self.committed.units()
    }

    /// Units in quality control, damaged or in repair.
    #[must_use]
    pub fn unsellable(&self) -> u64 {
        self.quality_control.units() + self.damaged.units() + self.in_repair.units()
    }

    /// Units on hand that are in a condition to be sold, promised or not.
    #[must_use]
    pub fn sellable(&self) -> u64 {
        self.on_hand.units().saturating_sub(self.unsellable())
    }

    /// Promised units that are no longer there. Safety stock is a wish and does not count.
    #[must_use]
    pub fn shortfall(&self) -> u64 {
        self.promised().saturating_sub(self.sellable())
    }

    /// The figure of one bucket.
    #[must_use]
    pub fn get(&self, bucket: Bucket) -> Quantity {
        match bucket {
            Bucket::OnHand => self.on_hand,
            Bucket::Safety => self.safety,
            Bucket::QualityControl => self.quality_control,
            Bucket::Damaged => self.damaged,
            Bucket::InRepair => self.in_repair,
            Bucket::Incoming => self.incoming,
        }
    }

    /// One bucket, to change.
    pub fn get_mut(&mut self, bucket: Bucket) -> &mut Quantity {
        match bucket {
            Bucket::OnHand => &mut self.on_hand,
            Bucket::Safety => &mut self.safety,
            Bucket::QualityControl => &mut self.quality_control,
            Bucket::Damaged => &mut self.damaged,
            Bucket::InRepair => &mut self.in_repair,
            Bucket::Incoming => &mut self.incoming,
        }
    }

    /// The bucket of a promise, to change.
    pub fn promise_mut(&mut self, promise: Promise) -> &mut Quantity {
        match promise {
            Promise::Reserved => &mut self.reserved,
            Promise::Committed => &mut self.committed,
        }
    }

    /// The buckets that most cells do not use.
    pub(crate) fn extra(&self) -> Extra {
        Extra {
            safety: self.safety,
            quality_control: self.quality_control,
            damaged: self.damaged,
            in_repair: self.in_repair,
            incoming: self.incoming,
            frozen: self.frozen,
            kept: self.kept,
        }
    }
}

/// The rarer buckets, kept apart so that a cell costs 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Extra {
    pub(crate) safety: Quantity,
    pub(crate) quality_control: Quantity,
    pub(crate) damaged: Quantity,
    pub(crate) in_repair: Quantity,
    pub(crate) incoming: Quantity,
    pub(crate) frozen: bool,
    pub(crate) kept: Quantity,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_and_shortfall_follow_the_definition() {
        let cell = |on_hand, reserved, committed, safety, damaged| Buckets {
            on_hand: Quantity(on_hand),
            reserved: Quantity(reserved),
            committed: Quantity(committed),
            safety: Quantity(safety),
            damaged: Quantity(damaged),
            ..Buckets::default()
        };
        assert_eq!(cell(10, 2, 3, 1, 1).available(), Quantity(3));
        assert_eq!(cell(10, 2, 3, 9, 0).available(), Quantity(0));
        assert_eq!(cell(10, 2, 3, 9, 0).shortfall(), 0, "safety stock makes no shortfall");
        assert_eq!(cell(4, 2, 3, 0, 1).shortfall(), 2);
        assert_eq!(cell(4, 2, 3, 0, 9).sellable(), 0);
        let kept = |safety, kept| Buckets { kept: Quantity(kept), ..cell(10, 2, 3, safety, 1) };
        assert_eq!((kept(1, 2).available(), kept(3, 2).available()), (Quantity(2), Quantity(1)), "the strictest holds");
        assert_eq!((kept(0, 9).available(), kept(0, 9).shortfall()), (Quantity(0), 0));
        let full = cell(u32::MAX, u32::MAX, u32::MAX, u32::MAX, u32::MAX);
        assert_eq!((full.available(), full.shortfall()), (Quantity(0), 2 * u64::from(u32::MAX)));
    }

    /// Every bucket has a figure of its own here, so that none can stand in for another.
    fn distinct() -> Buckets {
        Buckets {
            on_hand: Quantity(1_000),
            reserved: Quantity(1),
            committed: Quantity(2),
            safety: Quantity(4),
            quality_control: Quantity(8),
            damaged: Quantity(16),
            in_repair: Quantity(32),
            incoming: Quantity(64),
            frozen: false,
            kept: Quantity(3),
        }
    }

    #[test]
    fn what_is_available_leaves_out_every_bucket_once() {
        let cell = distinct();
        assert_eq!((cell.promised(), cell.kept_back(), cell.unsellable()), (3, Quantity(4), 56));
        assert_eq!((cell.sellable(), cell.available()), (944, Quantity(1_000 - 3 - 4 - 56)));
        assert_eq!(Buckets { frozen: true, ..cell }.available(), Quantity::ZERO);
        assert_eq!(Buckets { on_hand: Quantity(57), ..cell }.shortfall(), 2);
    }

    #[test]
    fn a_bucket_is_read_and_changed_where_it_is() {
        let figures = [
            (Bucket::OnHand, 1_000),
            (Bucket::Safety, 4),
            (Bucket::QualityControl, 8),
            (Bucket::Damaged, 16),
            (Bucket::InRepair, 32),
            (Bucket::Incoming, 64),
        ];
        for (bucket, units) in figures {
            let mut cell = distinct();
            assert_eq!(cell.get(bucket), Quantity(units));
            *cell.get_mut(bucket) = Quantity(77);
            assert_eq!(cell.get(bucket), Quantity(77));
            *cell.get_mut(bucket) = Quantity(units);
            assert_eq!(cell, distinct(), "no other has changed");
        }
        let mut cell = distinct();
        *cell.promise_mut(Promise::Reserved) = Quantity(5);
        *cell.promise_mut(Promise::Committed) = Quantity(6);
        assert_eq!(cell, Buckets { reserved: Quantity(5), committed: Quantity(6), ..distinct() });
    }

    #[test]
    fn the_rarer_buckets_are_all_kept() {
        let Extra { safety, quality_control, damaged, in_repair, incoming, frozen, kept } =
            Buckets { frozen: true, ..distinct() }.extra();
        let figures = [safety, quality_control, damaged, in_repair, incoming, kept].map(Quantity::units);
        assert_eq!((figures, frozen), ([4, 8, 16, 32, 64, 3], true));
    }
}

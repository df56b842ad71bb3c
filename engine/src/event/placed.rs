//! Which of an event's entries lie in which shard, found once for all shards.
//!
//! An import has thousands of cells and lies in nearly every shard. Each shard is brought forward by itself; if each looked through all
//! cells for its own, that would be most of the time for which all of them stand locked.

use super::Event;
use crate::id::{SHARDS, ShardId, SkuId};

/// So few entries are looked through by each shard: to place them costs as much.
const FEW: usize = 16;

/// Where the entries of an event lie that may have thousands. Of other events, and where they are few, nothing.
#[derive(Debug, Default)]
pub(crate) struct Placed {
    /// Numbers of the entries, shard after shard, in their order within each.
    order: Box<[u32]>,
    /// Where those of each shard end in `order`.
    ends: Box<[u32]>,
}

impl Placed {
    /// Places the entries of an event.
    pub(crate) fn of(event: &Event) -> Self {
        match event {
            Event::StockChanged(stock) => Self::by(&stock.changes, |cell| cell.sku),
            Event::CellFactsSet { facts } => Self::by(facts, |cell| cell.sku),
            Event::SkusUpserted { skus, .. } => Self::by(skus, |sku| sku.id),
            Event::SkusRetired { skus } => Self::by(skus, |sku| *sku),
            _ => Self::default(),
        }
    }

    /// A counting sort by shard.
    fn by<T>(entries: &[T], sku: impl Fn(&T) -> SkuId) -> Self {
        if entries.len() <= FEW {
            return Self::default();
        }
        let mut ends = vec![0; SHARDS].into_boxed_slice();
        entries.iter().for_each(|entry| ends[sku(entry).shard().index()] += 1);
        let mut before = 0;
        for end in &mut ends {
            (before, *end) = (before + *end, before);
        }
        // So far they tell where each shard begins; the entries move them on.
        let mut order = vec![0; entries.len()].into_boxed_slice();
        for (number, entry) in (0..).zip(entries) {
            let next = &mut ends[sku(entry).shard().index()];
            order[usize::try_from(*next).expect("32 bits are an index")] = number;
            *next += 1;
        }
        Self { order, ends }
    }

    /// Those of the event's `entries` that lie in a shard, in their order.
    pub(crate) fn own<'e, T>(
        &'e self,
        entries: &'e [T],
        sku: impl Fn(&T) -> SkuId + 'e,
        here: ShardId,
    ) -> impl Iterator<Item = &'e T> {
        let index = |place: u32| usize::try_from(place).expect("32 bits are an index");
        let (few, own) = match self.ends.get(here.index()) {
            None => (entries, &[][..]),
            Some(end) => {
                let start = here.index().checked_sub(1).map_or(0, |before| self.ends[before]);
                (&[][..], &self.order[index(start)..index(*end)])
            }
        };
        few.iter()
            .filter(move |entry| sku(entry).shard() == here)
            .chain(own.iter().map(move |place| &entries[index(*place)]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_shard_finds_what_it_would_by_looking_through_all(skus in proptest::collection::vec(0..2_000_u32, 0..200)) {
            let skus: Vec<SkuId> = skus.into_iter().map(SkuId).collect();
            let placed = Placed::of(&Event::SkusRetired { skus: skus.clone() });
            prop_assert_eq!(placed.ends.is_empty(), skus.len() <= FEW);
            for here in ShardId::all() {
                let own: Vec<&SkuId> = placed.own(&skus, |sku| *sku, here).collect();
                let looked: Vec<&SkuId> = skus.iter().filter(|sku| sku.shard() == here).collect();
                prop_assert_eq!(own, looked);
            }
        }
    }
}

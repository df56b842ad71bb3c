//! Units that come back from buyers: reads.

use quartermaster_journal::Lsn;

use crate::{
    engine::Engine,
    error::Error,
    id::{ReservationId, ReturnId, ShardId, SkuId},
    returns::{Return, ReturnCounts, ReturnState},
    shard::Shard,
};

/// Which returns are listed. All that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct ReturnFilter {
    /// Of this reservation, or the one it was made in exchange with.
    pub reservation: Option<ReservationId>,
    /// Of this buyer, unless empty.
    pub buyer_id: String,
    /// In this state.
    pub state: Option<ReturnState>,
}

/// How much of a SKU comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReturnRate {
    /// Which.
    pub sku: SkuId,
    /// Units shipped to buyers.
    pub shipped: u64,
    /// Units that arrived from buyers.
    pub returned: u64,
    /// Units that arrived because they could not be delivered.
    pub undelivered: u64,
}

impl ReturnRate {
    /// Returned of a thousand shipped, rounded down; the most there is when nothing was shipped.
    #[must_use]
    pub fn per_mille(&self) -> u64 {
        self.returned.saturating_mul(1_000).checked_div(self.shipped).unwrap_or(u64::MAX)
    }
}

impl Engine {
    /// A return as it stands.
    ///
    /// # Errors
    /// `UnknownReturn` when it was never made or is no longer kept.
    pub fn return_record(&self, id: ReturnId) -> Result<(Lsn, Return), Error> {
        let home = self.shards.read(id.home());
        let record = home.returns.records.get(&id).ok_or(Error::UnknownReturn { id })?;
        Ok((self.as_of(record.revision), record.clone()))
    }

    /// Returns past `after` in the order of their ids, at most `limit`; and whether there are more. By reservation or buyer this is
    /// quick; otherwise every return that is kept is looked at. Each return is of one moment, the page is not.
    #[must_use]
    pub fn returns_page(
        &self,
        filter: &ReturnFilter,
        after: Option<ReturnId>,
        limit: usize,
    ) -> (Lsn, Vec<Return>, bool) {
        let mut found: Vec<Return> = Vec::new();
        let wanted = |record: &Return| {
            after.is_none_or(|after| record.id > after) && filter.state.is_none_or(|state| state == record.state())
        };
        match (filter.reservation, filter.buyer_id.as_str()) {
            (Some(id), buyer) => self.returns_of(id, buyer, true, &mut found),
            (None, "") => {
                for shard in ShardId::all() {
                    let shard = self.shards.read(shard);
                    found.extend(shard.returns.records.values().filter(|record| wanted(record)).cloned());
                    // Keeps the list short without sorting it for every shard.
                    if found.len() > limit.saturating_mul(4).saturating_add(1024) {
                        found.select_nth_unstable_by_key(limit, |record| record.id);
                        found.truncate(limit + 1);
                    }
                }
            }
            (None, buyer) => {
                for id in self.owners.page(buyer, None, usize::MAX) {
                    self.returns_of(id, buyer, false, &mut found);
                }
            }
        }
        found.retain(wanted);
        found.sort_unstable_by_key(|record| record.id);
        let more = found.len() > limit;
        found.truncate(limit);
        (self.journal.appended_lsn(), found, more)
    }

    fn returns_of(&self, id: ReservationId, buyer: &str, exchanged: bool, found: &mut Vec<Return>) {
        let home = self.shards.read(id.home());
        let header = home.parts.header(&id);
        if header.is_none_or(|header| !buyer.is_empty() && header.buyer_id() != buyer) {
            return;
        }
        let own = home.returns.of.get(&id).into_iter().flatten();
        found.extend(own.filter_map(|id| home.returns.records.get(id).cloned()));
        let other = home.returns.exchanges.get(&id).copied().filter(|_| exchanged);
        drop(home);
        if let Some(other) = other
            && found.iter().all(|record| record.id != other)
        {
            found.extend(self.return_record(other).ok().map(|(_, record)| record));
        }
    }

    /// The return that a hold was granted in exchange with.
    #[must_use]
    pub fn exchanged_with(&self, id: ReservationId) -> Option<ReturnId> {
        self.shards.read(id.home()).returns.exchanges.get(&id).copied()
    }

    /// SKUs of which at least `per_mille` of a thousand shipped units came back and at least `shipped_min` were shipped, past `after`,
    /// at most `limit`; and whether there are more. The highest rate in whole per mille first, then by SKU.
    #[must_use]
    pub fn return_rates(
        &self,
        per_mille: u64,
        shipped_min: u64,
        after: Option<(u64, SkuId)>,
        limit: usize,
    ) -> (Lsn, Vec<ReturnRate>, bool) {
        let key = |rate: &ReturnRate| (std::cmp::Reverse(rate.per_mille()), rate.sku);
        let after = after.map(|(rate, sku)| (std::cmp::Reverse(rate), sku));
        let mut found: Vec<ReturnRate> = Vec::new();
        for shard in ShardId::all() {
            let shard = self.shards.read(shard);
            found.extend(
                rates(&shard, per_mille, shipped_min).filter(|rate| after.is_none_or(|after| key(rate) > after)),
            );
        }
        found.sort_unstable_by_key(key);
        let more = found.len() > limit;
        found.truncate(limit);
        (self.journal.appended_lsn(), found, more)
    }

    /// How many SKUs there are of which at least `per_mille` of a thousand shipped units came back and at least `shipped_min` were
    /// shipped.
    #[must_use]
    pub fn return_rates_above(&self, per_mille: u64, shipped_min: u64) -> u64 {
        let count = |shard| rates(&self.shards.read(shard), per_mille, shipped_min).count();
        ShardId::all().map(|shard| u64::try_from(count(shard)).unwrap_or(u64::MAX)).sum()
    }

    /// Shipped units and units that came back of a SKU.
    #[must_use]
    pub fn return_rate(&self, sku: SkuId) -> ReturnRate {
        rate(&self.shards.read(sku.shard()), sku)
    }

    /// Running figures of returns, each shard at its own moment.
    #[must_use]
    pub fn return_counts(&self) -> ReturnCounts {
        let mut total = ReturnCounts::default();
        for shard in ShardId::all() {
            let counts = self.shards.read(shard).returns.counts;
            total.states.iter_mut().zip(counts.states).for_each(|(sum, count)| *sum += count);
            total.disposed.iter_mut().zip(counts.disposed).for_each(|(sum, count)| *sum += count);
        }
        total
    }
}

fn rate(shard: &Shard, sku: SkuId) -> ReturnRate {
    let back = shard.returns.came_back.get(&sku).copied().unwrap_or_default();
    let shipped = shard.returns.shipped.get(sku.row()).copied().unwrap_or(0);
    ReturnRate { sku, shipped, returned: back.returned, undelivered: back.undelivered }
}

fn rates(shard: &Shard, per_mille: u64, shipped_min: u64) -> impl Iterator<Item = ReturnRate> {
    let all = shard.returns.came_back.keys().map(|sku| rate(shard, *sku));
    all.filter(move |rate| rate.shipped >= shipped_min.max(1) && rate.per_mille() >= per_mille.max(1))
}

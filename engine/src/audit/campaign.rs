//! Campaigns: what became of their units is counted again from the reservations that are kept, and lines from those who wait.
//!
//! Within a shard: held and confirmed units of a SKU in a campaign are the open units of the reservations that count to it, shipped and given
//! back are at least theirs (ended reservations are forgotten), and all four together are what was granted. Each waiter of a line is a
//! waiting reservation, and the other way about. Buyers are counted in other shards than their reservations: over all shards they have at
//! most the units that are promised or shipped in their campaign, and exactly these where every order named its buyer.

use std::collections::BTreeMap;

use super::{AuditReport, Violation};
use crate::{
    campaign::Tally,
    engine::Engine,
    event::{Promise, ShardSet},
    id::{CampaignId, ShardId, SkuId},
    reservation::{HeaderRef, State},
    shard::Shard,
};

impl Engine {
    /// Compares what buyers have of campaigns with what is promised and shipped in them. Looks at every shard at once, so it is for quiet
    /// points.
    #[must_use]
    pub fn audit_campaigns(&self) -> Vec<Violation> {
        let locked = self.shards.lock_shared(&ShardSet::ALL);
        let mut used: BTreeMap<CampaignId, u64> = BTreeMap::new();
        let mut bought: BTreeMap<CampaignId, u64> = BTreeMap::new();
        for shard in ShardId::all().map(|shard| locked.shard(shard)) {
            for ((campaign, _), tally) in &shard.campaigns.tallies {
                *used.entry(*campaign).or_default() += tally.used();
            }
            for (campaign, buyers) in &shard.campaigns.buyers {
                *bought.entry(*campaign).or_default() += buyers.values().sum::<u64>();
            }
        }
        let violations = bought.into_iter().filter_map(|(campaign, figure)| {
            let reservations = used.get(&campaign).copied().unwrap_or(0);
            (figure > reservations).then_some(Violation::Campaign { campaign, sku: None, figure, reservations })
        });
        violations.collect()
    }
}

pub(super) fn audit(shard: &Shard, report: &mut AuditReport) {
    let state = &shard.campaigns;
    if state.tallies.is_empty() && state.lines.is_empty() {
        return;
    }
    let mut sums: BTreeMap<(CampaignId, SkuId), Tally> = BTreeMap::new();
    let mut waiting: BTreeMap<(CampaignId, SkuId), usize> = BTreeMap::new();
    for (id, part) in shard.parts.iter() {
        if let Some(campaign) = part.path().first().and_then(|node| node.campaign()) {
            for line in part.lines() {
                let sum = sums.entry((campaign, line.sku)).or_default();
                match part.promise() {
                    Promise::Reserved => sum.held += line.open.units(),
                    Promise::Committed => sum.confirmed += line.open.units(),
                }
                sum.shipped += line.shipped.units();
                sum.given_back += line.returned.units();
            }
        }
        let header = part.header().filter(|header| header.state() == State::Waiting);
        if let Some(kept) = header.and_then(HeaderRef::kept)
            && let (Some(campaign), [wanted]) = (kept.campaign, &*kept.wanted)
        {
            *waiting.entry((campaign, wanted.sku)).or_default() += 1;
            let line = state.lines.get(&(campaign, wanted.sku));
            if line.and_then(|line| line.waiters.get(&id)).is_none_or(|waiter| waiter.quantity != wanted.quantity) {
                report.violations.push(Violation::WaitingLine { campaign, sku: wanted.sku });
            }
        }
    }
    for ((campaign, sku), tally) in &state.tallies {
        let sum = sums.remove(&(*campaign, *sku)).unwrap_or_default();
        let fits = (tally.held, tally.confirmed) == (sum.held, sum.confirmed)
            && tally.shipped >= sum.shipped
            && tally.given_back >= sum.given_back
            && tally.granted == tally.used() + tally.given_back;
        if !fits {
            let (campaign, sku) = (*campaign, Some(*sku));
            let (figure, reservations) = (tally.used(), sum.used());
            report.violations.push(Violation::Campaign { campaign, sku, figure, reservations });
        }
    }
    for ((campaign, sku), sum) in sums {
        let violation = Violation::Campaign { campaign, sku: Some(sku), figure: 0, reservations: sum.used() };
        report.violations.push(violation);
    }
    for ((campaign, sku), line) in &state.lines {
        let stands = waiting.get(&(*campaign, *sku)).copied().unwrap_or(0);
        if line.waiters.is_empty() || line.waiters.len() != stands || line.buyers.len() != stands {
            report.violations.push(Violation::WaitingLine { campaign: *campaign, sku: *sku });
        }
    }
}

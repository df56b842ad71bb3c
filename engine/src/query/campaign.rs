//! Campaigns as they stand, and places in their lines.

use std::sync::Arc;

use quartermaster_journal::Lsn;

use crate::{
    campaign::{Campaign, Tally},
    engine::Engine,
    id::{CampaignId, ReservationId, ShardId, SkuId},
    reservation::State,
};

/// A campaign with what became of its units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignStatus {
    /// What it is.
    pub campaign: Arc<Campaign>,
    /// What became of each item's units, in the order of its items.
    pub items: Vec<ItemStatus>,
    /// Buyers that have units of it; of a closed campaign those that had when it was closed.
    pub buyers: u64,
}

/// What became of the units of a SKU in a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemStatus {
    /// SKU.
    pub sku: SkuId,
    /// Units by what became of them.
    pub tally: Tally,
    /// Buyers that wait.
    pub waiting: u64,
    /// Units that they wait for.
    pub waiting_units: u64,
}

impl Engine {
    /// A campaign as it stands. Each shard is looked at in its own moment.
    #[must_use]
    pub fn campaign_status(&self, code: &str) -> Option<(Lsn, CampaignStatus)> {
        let (_, campaign) = self.campaign_by_code(code)?;
        let status = self.status_of(campaign);
        Some((self.journal.appended_lsn(), status))
    }

    /// Campaigns past `after` by id, at most `limit`, and whether there are more; `open` leaves out those that are closed.
    #[must_use]
    pub fn campaigns(&self, after: Option<CampaignId>, limit: usize, open: bool) -> (Lsn, Vec<CampaignStatus>, bool) {
        let directory = Arc::clone(self.catalogue.read().directory());
        let wanted = |campaign: &&Arc<Campaign>| {
            after.is_none_or(|after| campaign.id > after) && !(open && campaign.closed.is_some())
        };
        let mut rest = directory.campaigns().all().iter().filter(wanted);
        let page: Vec<_> = rest.by_ref().take(limit).map(|campaign| self.status_of(Arc::clone(campaign))).collect();
        (self.journal.appended_lsn(), page, rest.next().is_some())
    }

    fn status_of(&self, campaign: Arc<Campaign>) -> CampaignStatus {
        let wide = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        let items = campaign.items.iter().map(|item| {
            let shard = self.shards.read(item.sku.shard());
            let key = (campaign.id, item.sku);
            let line = shard.campaigns.lines.get(&key);
            ItemStatus {
                sku: item.sku,
                tally: shard.campaigns.tallies.get(&key).copied().unwrap_or_default(),
                waiting: line.map_or(0, |line| wide(line.waiters.len())),
                waiting_units: line.map_or(0, |line| line.waiters.values().map(|waiter| waiter.quantity.units()).sum()),
            }
        });
        let items = items.collect();
        let buyers = match campaign.closed {
            Some(closed) => closed.buyers,
            None => {
                let counted = ShardId::all().map(|shard| {
                    let shard = self.shards.read(shard);
                    shard.campaigns.buyers.get(&campaign.id).map_or(0, |buyers| wide(buyers.len()))
                });
                counted.sum()
            }
        };
        CampaignStatus { campaign, items, buyers }
    }

    /// Units that a buyer has of a campaign, promised or shipped; 0 once it is closed.
    #[must_use]
    pub fn bought(&self, campaign: CampaignId, buyer_id: &str) -> u64 {
        let shard = self.shards.read(crate::campaign::counter_shard(campaign, buyer_id));
        shard.campaigns.bought(campaign, buyer_id)
    }

    /// The place in its line that a waiting reservation has now, from 1; `None` when it does not wait.
    #[must_use]
    pub fn place_in_line(&self, id: ReservationId) -> Option<u64> {
        let shard = self.shards.read(id.home());
        let header = shard.parts.header(&id).filter(|header| header.state() == State::Waiting)?;
        let kept = header.kept()?;
        let (Some(campaign), [wanted]) = (kept.campaign, &*kept.wanted) else { return None };
        let line = shard.campaigns.lines.get(&(campaign, wanted.sku))?;
        u64::try_from(line.waiters.range(..=id).count()).ok()
    }
}

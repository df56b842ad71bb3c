//! Flash sales, their buyers and their waiting lists, and orders that take stock at payment: what a campaign is, and what a shard holds
//! of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ahash::RandomState;
use hashbrown::HashMap;

use crate::{
    catalog::hasher,
    id::{CampaignId, ChannelId, ReservationId, ShardId, SkuId},
    quantity::Quantity,
    time::Timestamp,
};

/// When an order of a channel takes its units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Deduction {
    /// Held at the order, deducted at the payment (预扣).
    #[default]
    Hold,
    /// Deducted at the order (下单减).
    OnOrder,
    /// Taken at the payment (付款减).
    OnPayment,
}

/// A campaign as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Campaign {
    /// Its number.
    pub id: CampaignId,
    /// Code.
    pub code: Box<str>,
    /// Name for people.
    pub name: Box<str>,
    /// The channel it runs in.
    pub channel: Option<ChannelId>,
    /// Orders are taken from then on.
    pub starts_at: Timestamp,
    /// Orders are taken until then.
    pub ends_at: Timestamp,
    /// Units a buyer may have over the whole campaign; 0 for no limit.
    pub buyer_limit: u32,
    /// Units an order may have; 0 for no limit.
    pub order_limit: u32,
    /// What is sold, by SKU.
    pub items: Vec<Item>,
    /// How it was closed: its units are the pool's again.
    pub closed: Option<Closing>,
}

/// How a campaign was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing {
    /// When.
    pub at: Timestamp,
    /// Buyers that had units of it then.
    pub buyers: u64,
}

/// A SKU of a campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// SKU.
    pub sku: SkuId,
    /// When how many units can be taken, by time.
    pub tranches: Vec<Tranche>,
}

/// Units that can be taken from a moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tranche {
    /// From then on.
    pub at: Timestamp,
    /// Units.
    pub quantity: Quantity,
}

/// All campaigns by number, the closed ones included.
#[derive(Clone, Debug)]
pub struct Campaigns {
    all: Vec<Arc<Campaign>>,
    by_code: HashMap<Box<str>, CampaignId, RandomState>,
    /// Those that are not closed.
    open: BTreeSet<CampaignId>,
}

impl Default for Campaigns {
    fn default() -> Self {
        Self { all: Vec::new(), by_code: HashMap::with_hasher(hasher()), open: BTreeSet::new() }
    }
}

impl Campaigns {
    /// All of them in the order of their ids.
    #[must_use]
    pub fn all(&self) -> &[Arc<Campaign>] {
        &self.all
    }

    /// Those that are not closed, by id.
    pub fn open(&self) -> impl Iterator<Item = &Campaign> {
        self.open.iter().map(|id| &*self.all[id.index()])
    }

    /// The campaign with this code.
    #[must_use]
    pub fn get(&self, code: &str) -> Option<&Arc<Campaign>> {
        self.by_code.get(code).map(|id| &self.all[id.index()])
    }

    /// The campaign with this number.
    #[must_use]
    pub fn by_id(&self, id: CampaignId) -> Option<&Arc<Campaign>> {
        self.all.get(id.index())
    }

    /// Puts a campaign in its place.
    ///
    /// # Panics
    /// If it is new and not the next.
    pub(crate) fn put(&mut self, campaign: Campaign) {
        let id = campaign.id;
        if campaign.closed.is_none() {
            self.open.insert(id);
        } else {
            self.open.remove(&id);
        }
        if id.index() < self.all.len() {
            self.all[id.index()] = Arc::new(campaign);
        } else {
            assert_eq!(id.index(), self.all.len(), "campaign ids are dense");
            self.by_code.insert(campaign.code.clone(), id);
            self.all.push(Arc::new(campaign));
        }
    }
}

impl Campaign {
    /// The item of a SKU.
    #[must_use]
    pub fn item(&self, sku: SkuId) -> Option<&Item> {
        self.items.binary_search_by_key(&sku, |item| item.sku).ok().map(|place| &self.items[place])
    }
}

impl Item {
    /// Units in all.
    #[must_use]
    pub fn units(&self) -> u64 {
        self.tranches.iter().map(|tranche| tranche.quantity.units()).sum()
    }

    /// Units of the tranches whose time has come.
    #[must_use]
    pub fn released(&self, now: Timestamp) -> u64 {
        self.tranches.iter().take_while(|tranche| tranche.at <= now).map(|tranche| tranche.quantity.units()).sum()
    }

    /// When the next tranche comes.
    #[must_use]
    pub fn next_tranche(&self, now: Timestamp) -> Option<Timestamp> {
        self.tranches.iter().map(|tranche| tranche.at).find(|at| *at > now)
    }
}

/// The shard that counts what a buyer has of a campaign. Written into headers and events by what it leads to, so it never changes.
#[must_use]
pub fn counter_shard(campaign: CampaignId, buyer_id: &str) -> ShardId {
    let hash = crate::fingerprint::Fingerprinter::default().number(u64::from(campaign.0)).text(buyer_id).finish();
    ShardId(hash.to_le_bytes()[0])
}

/// Units of a campaign's SKU by what became of them. What was granted is the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Units ever taken.
    pub granted: u64,
    /// Held now.
    pub held: u64,
    /// Confirmed and not shipped.
    pub confirmed: u64,
    /// Shipped.
    pub shipped: u64,
    /// Given back: released, expired, replaced or cancelled.
    pub given_back: u64,
}

impl Tally {
    /// Units that are taken: promised or shipped. Saturating: a checker reads figures that nobody has checked.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.held.saturating_add(self.confirmed).saturating_add(self.shipped)
    }
}

/// Who waits for units of a SKU in a campaign, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WaitingLine {
    /// Ids are given out under the lock of the SKU's shard, so that their order is that of the requests.
    pub(crate) waiters: BTreeMap<ReservationId, Waiter>,
    /// Each buyer stands in a line once.
    pub(crate) buyers: BTreeMap<Box<str>, ReservationId>,
}

/// Somebody who waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiter {
    pub(crate) buyer_id: Box<str>,
    pub(crate) quantity: Quantity,
}

type Buyers = HashMap<Box<str>, u64, RandomState>;

/// State behind a shard's lock.
#[derive(Debug, Default)]
pub(crate) struct CampaignState {
    /// What became of the units of the shard's SKUs. They stay when the campaign is closed.
    pub(crate) tallies: BTreeMap<(CampaignId, SkuId), Tally>,
    /// Who waits for units of the shard's SKUs. A line stands here while somebody waits in it.
    pub(crate) lines: BTreeMap<(CampaignId, SkuId), WaitingLine>,
    /// Units that buyers who are counted here have, promised or shipped, of campaigns that are not closed. A buyer stands here while
    /// there are any.
    pub(crate) buyers: BTreeMap<CampaignId, Buyers>,
}

impl CampaignState {
    /// Units that a buyer who is counted here has.
    pub(crate) fn bought(&self, campaign: CampaignId, buyer_id: &str) -> u64 {
        self.buyers.get(&campaign).and_then(|buyers| buyers.get(buyer_id)).copied().unwrap_or(0)
    }

    /// Counts units more.
    pub(crate) fn buy(&mut self, campaign: CampaignId, buyer_id: &str, units: u64) {
        let buyers = self.buyers.entry(campaign).or_insert_with(|| HashMap::with_hasher(hasher()));
        *buyers.entry_ref(buyer_id).or_default() += units;
    }

    /// Counts units less; `None` where there were not so many.
    pub(crate) fn give_back(&mut self, campaign: CampaignId, buyer_id: &str, units: u64) -> Option<()> {
        let buyers = self.buyers.get_mut(&campaign)?;
        let count = buyers.get_mut(buyer_id)?;
        *count = count.checked_sub(units)?;
        if *count == 0 {
            buyers.remove(buyer_id);
            if buyers.is_empty() {
                self.buyers.remove(&campaign);
            }
        }
        Some(())
    }
}

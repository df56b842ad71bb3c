//! Flash sales, their buyers and their waiting lists, and orders that take stock at payment: what can be asked.

use crate::{
    fingerprint::Fingerprinter,
    id::{CampaignId, ReservationId},
    quantity::Quantity,
    time::Timestamp,
};

/// A change that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CampaignCommand {
    /// Make campaigns, or change them. Codes stand at most once.
    Upsert {
        /// Each whole.
        campaigns: Vec<CampaignSpec>,
        /// Cut units down to what the pool has, instead of refusing.
        clip: bool,
    },
    /// End a campaign now.
    End {
        /// Its code.
        code: String,
    },
    /// Give back what is left of a campaign whose time is up. Sent by the timer.
    Close(CampaignId),
    /// Give a waiting buyer a hold, or end the waiting where there is nothing to wait for. Sent by the timer.
    Settle(ReservationId),
}

/// A campaign as its owner describes it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CampaignSpec {
    /// Code.
    pub code: String,
    /// Name for people.
    pub name: String,
    /// Code of the channel it runs in, or empty for one outside all channels.
    pub channel: String,
    /// Orders are taken from then on.
    pub starts_at: Timestamp,
    /// Orders are taken until then; later than the start.
    pub ends_at: Timestamp,
    /// Units a buyer may have over the whole campaign; 0 for no limit.
    pub buyer_limit: u32,
    /// Units an order may have; 0 for no limit.
    pub order_limit: u32,
    /// What is sold, at least one item, each SKU once.
    pub items: Vec<ItemSpec>,
}

/// A SKU of a campaign.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ItemSpec {
    /// SKU code.
    pub sku: String,
    /// When how many units can be taken, at least one.
    pub tranches: Vec<TrancheSpec>,
}

/// Units that can be taken from a moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TrancheSpec {
    /// From then on; `None`: from the start. Within the campaign's time.
    pub at: Option<Timestamp>,
    /// Units, at least 1.
    pub quantity: Quantity,
}

impl CampaignCommand {
    /// Tags 120 to 139 are this file's.
    pub(super) fn fingerprint(&self, hash: &mut Fingerprinter) {
        match self {
            Self::Upsert { campaigns, clip } => {
                hash.tag(120).number(u64::from(*clip));
                for spec in campaigns {
                    hash.tag(121).text(&spec.code).text(&spec.name).text(&spec.channel);
                    hash.number(spec.starts_at.0).number(spec.ends_at.0);
                    hash.number(u64::from(spec.buyer_limit)).number(u64::from(spec.order_limit));
                    for item in &spec.items {
                        hash.tag(122).text(&item.sku);
                        for tranche in &item.tranches {
                            hash.number(tranche.at.map_or(0, |at| at.0)).quantity(tranche.quantity);
                        }
                    }
                }
            }
            Self::End { code } => _ = hash.tag(123).text(code),
            Self::Close(campaign) => _ = hash.tag(124).number(u64::from(campaign.0)),
            Self::Settle(reservation) => _ = hash.tag(125).number(reservation.0),
        }
    }
}

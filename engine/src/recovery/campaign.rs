//! Flash sales, their buyers and their waiting lists, and orders that take stock at payment: whether a record speaks of what is known.

use super::known::Known;
use crate::{
    campaign::Campaign,
    event::campaign::{CampaignEvent, Granted},
    terms::Terms,
};

impl Known {
    pub(super) fn campaign(&self, event: &CampaignEvent) -> bool {
        match event {
            CampaignEvent::Upserted { campaigns, left, .. } => {
                let items = |campaign: &Campaign| campaign.items.iter().all(|item| self.sku(item.sku));
                super::dense(self.campaigns, campaigns.iter().map(|campaign| campaign.id.index()))
                    && campaigns.iter().all(items)
                    && left.iter().all(|(_, sku)| self.sku(*sku))
            }
            CampaignEvent::Closed { campaign, returned, .. } => {
                campaign.index() < self.campaigns && returned.iter().all(|(sku, _)| self.sku(*sku))
            }
            CampaignEvent::Granted(Granted { lines, bought, .. }) => {
                self.lines(lines) && bought.as_ref().is_none_or(|bought| bought.campaign.index() < self.campaigns)
            }
            CampaignEvent::Dropped { .. } => true,
        }
    }

    /// What a hold's terms name.
    pub(super) fn terms(&self, terms: &Terms) -> bool {
        terms.campaign.is_none_or(|campaign| campaign.index() < self.campaigns)
            && terms
                .wanted
                .iter()
                .all(|wanted| self.sku(wanted.sku) && wanted.location.is_none_or(|at| self.location(at)))
    }
}

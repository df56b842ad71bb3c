//! Campaigns on the metrics page: at most 20, so that their codes are a bounded label.

use super::{families, page::Page, sources::CampaignFigures};

/// Open campaigns that are told of: the first by code.
pub const CAMPAIGNS_MAX: usize = 20;

pub(super) fn publish(campaigns: &[CampaignFigures], page: &mut Page) {
    page.open(&families::CAMPAIGN_UNITS);
    for one in campaigns {
        for (state, units) in [
            ("allotted", one.allotted),
            ("held", one.held),
            ("confirmed", one.confirmed),
            ("shipped", one.shipped),
            ("given_back", one.given_back),
        ] {
            page.sample(&[("campaign", one.code.as_str()), ("state", state)], units);
        }
    }
    page.open(&families::CAMPAIGN_WAITING);
    for one in campaigns {
        page.sample(&[("campaign", one.code.as_str())], one.waiting);
    }
    page.open(&families::CAMPAIGN_BUYERS);
    for one in campaigns {
        page.sample(&[("campaign", one.code.as_str())], one.buyers);
    }
}

//! Campaigns on the metrics page: at most 20, so that their codes are a bounded label.

use super::{page::Page, sources::CampaignFigures};

pub(super) fn publish(campaigns: &[CampaignFigures], page: &mut Page) {
    if campaigns.is_empty() {
        return;
    }
    page.gauge(
        "quartermaster_campaign_units",
        "Units of open campaigns, by what became of them; the first 20 by code.",
    );
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
    page.gauge("quartermaster_campaign_waiting", "Buyers that wait in open campaigns; the first 20 by code.");
    for one in campaigns {
        page.sample(&[("campaign", one.code.as_str())], one.waiting);
    }
    page.gauge("quartermaster_campaign_buyers", "Buyers that have units of open campaigns; the first 20 by code.");
    for one in campaigns {
        page.sample(&[("campaign", one.code.as_str())], one.buyers);
    }
}

//! Flash sales, their buyers and their waiting lists, and orders that take stock at payment: events as JSON.

use quartermaster_engine::campaign::{Campaign, Item};
use quartermaster_engine::event::Promise;
use quartermaster_engine::event::campaign::{CampaignEvent, DropReason};
use quartermaster_engine::id::{LocationId, SkuId};
use serde_json::{Value, json};

use super::event::lines;
use super::names::Names;
use crate::cli::show;

pub(super) fn body(event: &CampaignEvent, names: &Names) -> Value {
    match event {
        CampaignEvent::Upserted { campaigns, left, created } => json!({
            "campaigns": campaigns.iter().map(campaign).collect::<Vec<_>>(),
            "left": left.iter().map(|(id, sku)| json!({ "campaign_id": id.0, "sku_id": sku.0 })).collect::<Vec<_>>(),
            "created": created,
        }),
        CampaignEvent::Closed { campaign, ends_at, returned, buyers } => json!({
            "campaign_id": campaign.0,
            "end_time": show::time(*ends_at),
            "returned": returned.iter().map(|(sku, units)| json!({ "sku_id": sku.0, "quantity": units.0 })).collect::<Vec<_>>(),
            "buyers": buyers,
        }),
        CampaignEvent::Granted(granted) => json!({
            "reservation_id": granted.reservation.to_string(),
            "state": match granted.promise {
                Promise::Reserved => "held",
                Promise::Committed => "confirmed",
            },
            "expire_time": show::time(granted.expires_at),
            "lines": lines(&granted.lines, names),
            "path": granted.path.iter().map(|node| node.0).collect::<Vec<_>>(),
            "bought": granted.bought.as_ref().map(|bought| json!({
                "campaign_id": bought.campaign.0, "buyer_id": &*bought.buyer_id, "quantity": bought.quantity.0,
            })),
        }),
        CampaignEvent::Dropped { reservation, reason } => json!({
            "reservation_id": reservation.to_string(),
            "reason": match reason {
                DropReason::Ended => "ended",
                DropReason::LimitReached => "limit_reached",
                DropReason::NotOffered => "not_offered",
            },
        }),
    }
}

fn campaign(campaign: &Campaign) -> Value {
    let item = |item: &Item| {
        let tranches: Vec<Value> = item
            .tranches
            .iter()
            .map(|tranche| json!({ "release_time": show::time(tranche.at), "quantity": tranche.quantity.0 }))
            .collect();
        json!({ "sku_id": item.sku.0, "tranches": tranches })
    };
    json!({
        "campaign_id": campaign.id.0,
        "code": &*campaign.code,
        "name": &*campaign.name,
        "channel_id": campaign.channel.map(|channel| channel.0),
        "start_time": show::time(campaign.starts_at),
        "end_time": show::time(campaign.ends_at),
        "buyer_limit": campaign.buyer_limit,
        "order_limit": campaign.order_limit,
        "items": campaign.items.iter().map(item).collect::<Vec<_>>(),
    })
}

/// Tells `visit` every SKU and location that the event names.
pub(super) fn visit(event: &CampaignEvent, visit: &mut impl FnMut(Option<SkuId>, Option<LocationId>)) {
    match event {
        CampaignEvent::Upserted { campaigns, left, .. } => {
            let items = campaigns.iter().flat_map(|campaign| &campaign.items).map(|item| item.sku);
            items.chain(left.iter().map(|(_, sku)| *sku)).for_each(|sku| visit(Some(sku), None));
        }
        CampaignEvent::Closed { returned, .. } => returned.iter().for_each(|(sku, _)| visit(Some(*sku), None)),
        CampaignEvent::Granted(granted) => {
            granted.lines.iter().for_each(|line| visit(Some(line.sku), Some(line.location)));
        }
        CampaignEvent::Dropped { .. } => {}
    }
}

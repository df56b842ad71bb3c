//! Flash sales, and orders in them.

use quartermaster_engine::{
    command::{
        Asked, Reserve,
        campaign::{CampaignCommand, CampaignSpec, ItemSpec, TrancheSpec},
    },
    time::{Micros, Timestamp},
};

use super::{CAMPAIGNS, Dice, Kind, SECOND, SKUS, orders};
use crate::model::Model;

/// A moment up to some seconds from now; seldom one before.
fn moment(dice: &mut Dice, now: Timestamp, most: usize) -> Timestamp {
    let half = SECOND / 2;
    if dice.one_in(10) {
        return now.minus(Micros(half));
    }
    now.plus(Micros(half * u64::try_from(dice.below(most)).unwrap_or(0)))
}

pub(super) fn change(kind: Kind, dice: &mut Dice, model: &Model) -> CampaignCommand {
    let code = dice.pick(&CAMPAIGNS);
    if kind == Kind::EndCampaign {
        return CampaignCommand::End { code: code.into() };
    }
    let known = model.sales.find(code);
    let channel = match known {
        Some(known) if !dice.one_in(10) => known.channel.map(|id| model.channels[id.index()].code.clone()),
        _ => dice.pick(&[Some("web"), Some("web"), Some("shop"), Some("slow"), None]).map(str::to_owned),
    };
    let starts_at = match known {
        Some(known) if !dice.one_in(3) => known.starts_at,
        _ if dice.below(2) == 0 => model.now,
        _ => moment(dice, model.now, 4),
    };
    let ends_at = moment(dice, starts_at, 40);
    let mut items: Vec<ItemSpec> = Vec::new();
    for _ in 0..=dice.below(2) {
        let sku = if dice.one_in(12) { dice.sku() } else { dice.pick(&SKUS[..4]).to_owned() };
        if items.iter().any(|item| item.sku == sku) {
            continue;
        }
        let tranches = (0..=dice.below(3)).map(|_| TrancheSpec {
            at: (dice.below(2) == 0).then(|| moment(dice, starts_at, 8)),
            quantity: dice.few(4),
        });
        items.push(ItemSpec { sku, tranches: tranches.collect() });
    }
    let spec = CampaignSpec {
        code: code.into(),
        name: String::new(),
        channel: channel.unwrap_or_default(),
        starts_at,
        ends_at,
        buyer_limit: [0, 2, 3, 5][dice.below(4)],
        order_limit: [0, 0, 2, 3][dice.below(4)],
        items,
    };
    CampaignCommand::Upsert { campaigns: vec![spec], clip: dice.below(3) > 0 }
}

/// An order in a campaign: mostly one SKU of it, few units.
pub(super) fn order(dice: &mut Dice, model: &Model) -> Reserve {
    let mut order = orders::reserve(dice, model);
    let open = model.sales.campaigns.iter().filter(|one| one.closed.is_none() && one.starts_at <= model.now);
    let open: Vec<String> = open.map(|one| one.code.to_string()).collect();
    let code = match dice.below(30) {
        0 => "?".to_owned(),
        1..4 => dice.pick(&CAMPAIGNS).to_owned(),
        _ if open.is_empty() => dice.pick(&CAMPAIGNS).to_owned(),
        _ => dice.pick(&open),
    };
    let code = code.as_str();
    let known = model.sales.find(code);
    let wait = dice.below(2) == 0;
    order.asked = Some(Box::new(Asked { campaign: code.into(), wait, ..Asked::default() }));
    order.unchanged_since_lsn = 0;
    if !dice.one_in(6) {
        order.channel = "".into();
    } else if let Some(channel) = known.and_then(|known| known.channel) {
        order.channel = model.channels[channel.index()].code.as_str().into();
    }
    if wait && !dice.one_in(6) {
        (order.allow_partial, _) = (false, order.lines.truncate(1));
    }
    for line in &mut order.lines {
        line.quantity = dice.few(3);
        if let Some(known) = known.filter(|known| !known.items.is_empty() && !dice.one_in(8)) {
            line.sku = model.sku_code(dice.pick(&known.items).sku).into();
        }
        if !dice.one_in(5) {
            line.location = "".into();
        }
    }
    order
}

//! Requests about campaigns, to commands; campaigns as they are shown; and what a campaign's "no" tells.

use quartermaster_engine::{
    Rejection,
    campaign::{Campaign, Deduction, Item},
    catalog::Catalogue,
    command::{
        Asked, Command, Request,
        campaign::{CampaignCommand, CampaignSpec, ItemSpec, TrancheSpec},
    },
    id::CampaignId,
    query::{CampaignStatus, ItemStatus},
    time::{Micros, Timestamp},
};
use quartermaster_proto::v1;

use super::{answers::units, checks::Checks, page::Pages, time};
use crate::grpc::{limits, status::ApiError};

type Change = Result<(Request, Command), ApiError>;

/// An UpsertCampaigns.
pub(crate) fn upsert(message: v1::UpsertCampaignsRequest) -> Change {
    let mut checks = Checks::default();
    let request = checks.request(message.request_id);
    let mut campaigns = Vec::new();
    if checks.length("campaigns", message.campaigns.len(), 1, &limits::CAMPAIGNS_MAX) {
        campaigns.extend(message.campaigns.into_iter().enumerate().map(|(place, one)| spec(&mut checks, place, one)));
        checks.each_once("campaigns", campaigns.iter().map(|spec: &CampaignSpec| spec.code.as_str()));
    }
    let command = CampaignCommand::Upsert { campaigns, clip: message.clip };
    checks.finish((request, Command::Campaign(command)))
}

fn spec(checks: &mut Checks, place: usize, campaign: v1::Campaign) -> CampaignSpec {
    let field = |name: &str| format!("campaigns[{place}].{name}");
    let mut moment = |name: &str, at: Option<&prost_types::Timestamp>| match at {
        Some(at) => time::not_before(checks, &field(name), at),
        None => {
            checks.refuse(field(name), "is missing");
            Timestamp(0)
        }
    };
    let starts_at = moment("start_time", campaign.start_time.as_ref());
    let ends_at = moment("end_time", campaign.end_time.as_ref());
    if let (Some(_), Some(_)) = (campaign.start_time, campaign.end_time)
        && starts_at >= ends_at
    {
        checks.refuse(field("end_time"), "is not after the start; a campaign ends later than it starts");
    }
    let mut items = Vec::new();
    if checks.length(field("items"), campaign.items.len(), 1, &limits::CAMPAIGN_ITEMS_MAX) {
        for (number, item) in campaign.items.into_iter().enumerate() {
            let field = format!("campaigns[{place}].items[{number}]");
            items.push(item_spec(checks, &field, item, (starts_at, ends_at)));
        }
        checks.each_once(field("items"), items.iter().map(|item: &ItemSpec| item.sku.as_str()));
    }
    CampaignSpec {
        code: checks.code(field("code"), campaign.code),
        name: checks.text(field("name"), campaign.name, &limits::NAME_BYTES_MAX),
        channel: checks.optional_code(field("channel"), campaign.channel),
        starts_at,
        ends_at,
        buyer_limit: checks.count(field("buyer_limit"), campaign.buyer_limit).0,
        order_limit: checks.count(field("order_limit"), campaign.order_limit).0,
        items,
    }
}

fn item_spec(
    checks: &mut Checks,
    field: &str,
    item: v1::CampaignItem,
    (starts_at, ends_at): (Timestamp, Timestamp),
) -> ItemSpec {
    let mut tranches = Vec::new();
    if checks.length(format_args!("{field}.tranches"), item.tranches.len(), 1, &limits::TRANCHES_MAX) {
        for (number, tranche) in item.tranches.into_iter().enumerate() {
            let field = format!("{field}.tranches[{number}]");
            let release = format!("{field}.release_time");
            let at = tranche.release_time.map(|at| time::not_before(checks, &release, &at));
            if at.is_some_and(|at| starts_at < ends_at && (at < starts_at || at >= ends_at)) {
                checks
                    .refuse(&release, "lies outside the campaign; it must not be before the start, and before the end");
            }
            let quantity = checks.quantity(format_args!("{field}.quantity"), tranche.quantity);
            tranches.push(TrancheSpec { at, quantity });
        }
    }
    ItemSpec { sku: checks.code(format_args!("{field}.sku"), item.sku), tranches }
}

/// An EndCampaign.
pub(crate) fn end(message: v1::EndCampaignRequest) -> Change {
    let mut checks = Checks::default();
    let request = checks.request(message.request_id);
    let code = checks.code("code", message.code);
    checks.finish((request, Command::Campaign(CampaignCommand::End { code })))
}

/// The code of a GetCampaign.
pub(crate) fn get(message: v1::GetCampaignRequest) -> Result<String, ApiError> {
    let mut checks = Checks::default();
    let code = checks.code("code", message.code);
    checks.finish(code)
}

/// A page of campaigns that is asked for.
pub(crate) struct CampaignPage {
    pub(crate) after: Option<CampaignId>,
    pub(crate) size: usize,
    pub(crate) pages: Pages,
}

/// A ListCampaigns.
pub(crate) fn list(message: &v1::ListCampaignsRequest) -> Result<CampaignPage, ApiError> {
    let mut checks = Checks::default();
    let pages = Pages::of("campaigns", &[&[u8::from(message.open_only)]]);
    let after = pages.after(&mut checks, &message.page_token);
    let after = after.map(|id| CampaignId(u32::try_from(id).unwrap_or(u32::MAX)));
    let size = match message.page_size {
        0 => 20,
        size => usize::try_from(checks.range("page_size", size.into(), 1, &limits::CAMPAIGNS_MAX)).unwrap_or(1),
    };
    checks.finish(CampaignPage { after, size, pages })
}

/// What a Reserve asks of a campaign. `other_skus` are the lines of other SKUs than the first.
pub(crate) fn asked(checks: &mut Checks, campaign: String, wait: bool, other_skus: usize) -> Option<Box<Asked>> {
    let campaign = checks.optional_code("campaign", campaign);
    if wait && campaign.is_empty() {
        checks.refuse("wait", "is set without `campaign`; only campaigns have waiting lists");
    }
    if wait && other_skus > 0 {
        checks.refuse("wait", "is set with lines of several SKUs; who waits, waits for one");
    }
    (wait || !campaign.is_empty()).then(|| Box::new(Asked { campaign, wait, ..Asked::default() }))
}

/// A channel's deduction.
pub(crate) fn deduction(checks: &mut Checks, place: usize, number: i32) -> Deduction {
    match v1::Deduction::try_from(number) {
        Ok(v1::Deduction::Unspecified | v1::Deduction::Hold) => Deduction::Hold,
        Ok(v1::Deduction::OnOrder) => Deduction::OnOrder,
        Ok(v1::Deduction::OnPayment) => Deduction::OnPayment,
        Err(_) => {
            checks.refuse(
                format_args!("channels[{place}].deduction"),
                format_args!("is {number}; no Deduction has this number"),
            );
            Deduction::Hold
        }
    }
}

/// A deduction as it is told.
pub(crate) fn deduction_to_wire(deduction: Deduction) -> i32 {
    i32::from(match deduction {
        Deduction::Hold => v1::Deduction::Hold,
        Deduction::OnOrder => v1::Deduction::OnOrder,
        Deduction::OnPayment => v1::Deduction::OnPayment,
    })
}

/// A length of time as it is told.
pub(crate) fn duration(span: Micros) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(span.0 / 1_000_000).unwrap_or(i64::MAX),
        nanos: i32::try_from(span.0 % 1_000_000 * 1_000).unwrap_or(0),
    }
}

/// A campaign as it is told.
pub(crate) fn campaign(catalogue: &Catalogue, campaign: &Campaign) -> v1::Campaign {
    let item = |item: &Item| v1::CampaignItem {
        sku: catalogue.sku_code(item.sku).to_owned(),
        tranches: item
            .tranches
            .iter()
            .map(|tranche| v1::CampaignTranche {
                release_time: Some(time::to_wire(tranche.at)),
                quantity: tranche.quantity.signed(),
            })
            .collect(),
    };
    v1::Campaign {
        code: campaign.code.to_string(),
        name: campaign.name.to_string(),
        channel: campaign.channel.map_or_else(String::new, |id| catalogue.directory().channel_code(id).to_owned()),
        start_time: Some(time::to_wire(campaign.starts_at)),
        end_time: Some(time::to_wire(campaign.ends_at)),
        buyer_limit: campaign.buyer_limit.into(),
        order_limit: campaign.order_limit.into(),
        items: campaign.items.iter().map(item).collect(),
    }
}

/// A campaign as it stands.
pub(crate) fn status(catalogue: &Catalogue, status: &CampaignStatus, now: Timestamp) -> v1::CampaignStatus {
    let own = &status.campaign;
    let state = match () {
        () if own.closed.is_some() || now >= own.ends_at => v1::CampaignState::Ended,
        () if now < own.starts_at => v1::CampaignState::Scheduled,
        () => v1::CampaignState::Running,
    };
    let item = |(item, status): (&Item, &ItemStatus)| {
        let (tally, released) = (status.tally, item.released(now));
        let open = state == v1::CampaignState::Running;
        v1::CampaignItemStatus {
            sku: catalogue.sku_code(item.sku).to_owned(),
            allotted: units(item.units()),
            released: units(released),
            held: units(tally.held),
            confirmed: units(tally.confirmed),
            shipped: units(tally.shipped),
            remaining: if open { units(released.saturating_sub(tally.used())) } else { 0 },
            waiting: units(status.waiting),
            waiting_units: units(status.waiting_units),
            granted: units(tally.granted),
            given_back: units(tally.given_back),
            next_release_time: item.next_tranche(now).filter(|_| state != v1::CampaignState::Ended).map(time::to_wire),
        }
    };
    let (mut granted, mut sold) = (0_u64, 0_u64);
    for one in &status.items {
        granted += one.tally.granted;
        sold += one.tally.confirmed + one.tally.shipped;
    }
    let ppm = u128::from(sold) * 1_000_000 / u128::from(granted.max(1));
    v1::CampaignStatus {
        campaign: Some(campaign(catalogue, own)),
        state: i32::from(state),
        items: own.items.iter().zip(&status.items).map(item).collect(),
        buyers: units(status.buyers),
        conversion_ppm: i64::try_from(ppm).unwrap_or(0),
        pace: None,
    }
}

/// What a campaign's "no" tells besides its reason.
pub(crate) fn rejection(rejection: &Rejection) -> Option<v1::CampaignFacts> {
    let of = |campaign: &String| v1::CampaignFacts { campaign: campaign.clone(), ..v1::CampaignFacts::default() };
    Some(match rejection {
        Rejection::CampaignNotStarted { campaign, starts_at } => {
            v1::CampaignFacts { start_time: Some(time::to_wire(*starts_at)), ..of(campaign) }
        }
        Rejection::CampaignEnded { campaign, ended_at } => {
            v1::CampaignFacts { end_time: Some(time::to_wire(*ended_at)), ..of(campaign) }
        }
        Rejection::NotInCampaign { campaign, sku } => v1::CampaignFacts { sku: sku.clone(), ..of(campaign) },
        Rejection::BuyerLimitReached { campaign, limit, bought, requested } => v1::CampaignFacts {
            limit: (*limit).into(),
            taken: units(*bought),
            requested: units(*requested),
            ..of(campaign)
        },
        Rejection::OrderLimitReached { campaign, limit, requested } => {
            v1::CampaignFacts { limit: (*limit).into(), requested: units(*requested), ..of(campaign) }
        }
        Rejection::CampaignSoldOut { campaign, sku, requested, available, next_tranche } => v1::CampaignFacts {
            sku: sku.clone(),
            requested: units(*requested),
            available: units(*available),
            next_tranche_time: next_tranche.map(time::to_wire),
            ..of(campaign)
        },
        Rejection::AlreadyWaiting { campaign, sku, reservation } => {
            v1::CampaignFacts { sku: sku.clone(), reservation_id: reservation.to_string(), ..of(campaign) }
        }
        Rejection::WaitingListFull { campaign, sku, limit } => {
            v1::CampaignFacts { sku: sku.clone(), limit: units(*limit), ..of(campaign) }
        }
        Rejection::CampaignNotStocked { campaign, sku, requested, possible } => v1::CampaignFacts {
            sku: sku.clone(),
            requested: units(*requested),
            available: units(*possible),
            ..of(campaign)
        },
        Rejection::CampaignBelowUsed { campaign, sku, requested, used } => {
            v1::CampaignFacts { sku: sku.clone(), requested: units(*requested), taken: units(*used), ..of(campaign) }
        }
        _ => return None,
    })
}

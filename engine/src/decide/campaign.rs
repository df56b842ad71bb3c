//! Flash sales, their buyers and their waiting lists, and orders that take stock at payment: decisions.

use std::collections::BTreeMap;

use compact_str::CompactString;
use quartermaster_journal::Lsn;

use super::{
    Decision, allotment,
    lifecycle::{self, header},
    reserve::{Demand, Short, take},
};
use crate::{
    allotment::{LimitedBy, SkuAllotments, quota_max},
    campaign::{Campaign, Deduction, Item, Tally, Tranche, WaitingLine, counter_shard},
    catalog::{Catalogue, Directory},
    command::{
        HOLD_TTL_DEFAULT, LineSelection, Presale, Reserve,
        campaign::{CampaignSpec, ItemSpec},
    },
    error::{Error, Rejection},
    event::{
        Claim, EndState, Event, Held, Lines, Promise, ShardSet,
        campaign::{CampaignEvent, DropReason, Granted},
    },
    id::{CampaignId, ChannelId, NodeId, ReservationId, ShardId, SkuId},
    quantity::Quantity,
    reservation::{Header, HeaderRef, State},
    shard::{Locked, Look, Shard},
    terms::{Bought, ClaimExtra, Stage, Terms, Wanted},
    time::{Micros, Timestamp},
};

/// Buyers who may wait for one SKU of a campaign.
pub(crate) const WAITERS_MAX: usize = 10_000;
/// Campaigns there may be, the closed ones included.
pub(crate) const CAMPAIGNS_MAX: u32 = 10_000;

/// How long a hold of a channel lasts: as the request says, else as the channel says.
pub(crate) fn hold_ttl(directory: &Directory, channel: Option<ChannelId>, asked: Micros) -> Micros {
    if asked.0 > 0 {
        return asked;
    }
    let channel = channel.and_then(|id| directory.channels().get(id.index()));
    channel.and_then(|channel| channel.spec.hold_ttl).unwrap_or(HOLD_TTL_DEFAULT)
}

/// Code of the channel an order comes through: that of its campaign when it names none itself.
pub(crate) fn channel_code<'a>(directory: &'a Directory, request: &'a Reserve) -> &'a str {
    if !request.channel.is_empty() {
        return &request.channel;
    }
    let asked = request.asked.as_ref().filter(|asked| !asked.campaign.is_empty());
    let campaign = asked.and_then(|asked| directory.campaigns().get(&asked.campaign));
    campaign.and_then(|campaign| campaign.channel).map_or("", |channel| directory.channel_code(channel))
}

/// An order that its campaign takes, as far as that does not depend on stock.
pub(crate) struct Admitted<'a> {
    campaign: &'a Campaign,
    /// Units of the same campaign that a hold gives up in the same step.
    freed: Lines,
}

type Refused = (Rejection, Lsn);

/// Whether an order's campaign takes it, by its time, what it sells and its limits. `None` for an order in no campaign.
///
/// # Errors
/// An unknown campaign, one of another channel, no buyer where buyers are counted.
pub(crate) fn admit<'a>(
    look: &'a impl Look,
    request: &Reserve,
    demands: &[Demand<'_>],
    replaced: Option<&Claim>,
    now: Timestamp,
) -> Result<Result<Option<Admitted<'a>>, Refused>, Error> {
    let Some(asked) = request.asked.as_ref().filter(|asked| !asked.campaign.is_empty()) else { return Ok(Ok(None)) };
    let directory = look.directory();
    let code = &asked.campaign;
    let campaign = directory.campaigns().get(code).ok_or_else(|| Error::UnknownCampaign { code: code.clone() })?;
    let own = campaign.channel.map_or("", |channel| directory.channel_code(channel));
    if !own.is_empty() && !request.channel.is_empty() && own != request.channel {
        let channel = request.channel.clone();
        return Err(Error::CampaignChannel { code: code.clone(), own: own.into(), channel: channel.into() });
    }
    if asked.presale != Presale::No {
        return Err(Error::NotCombinable { what: "a campaign sells from stock alone: presale does not go with it" });
    }
    if request.buyer_id.is_empty() && (campaign.buyer_limit > 0 || asked.wait) {
        return Err(Error::BuyerNeeded { code: code.clone() });
    }
    if asked.wait && (demands.len() != 1 || request.allow_partial) {
        return Err(Error::NotCombinable { what: "who waits, waits for all units of one SKU: one SKU, not in part" });
    }
    let no = |rejection, rests_on| Ok(Err((rejection, rests_on)));
    let campaign_code = || code.clone();
    if now < campaign.starts_at {
        let rejection = Rejection::CampaignNotStarted { campaign: campaign_code(), starts_at: campaign.starts_at };
        return no(rejection, directory.revision());
    }
    if now >= campaign.ends_at || campaign.closed.is_some() {
        let rejection = Rejection::CampaignEnded { campaign: campaign_code(), ended_at: campaign.ends_at };
        return no(rejection, directory.revision());
    }
    if let Some(stranger) = demands.iter().find(|demand| campaign.item(demand.sku).is_none()) {
        let rejection = Rejection::NotInCampaign { campaign: campaign_code(), sku: stranger.code.into() };
        return no(rejection, directory.revision());
    }
    let requested: u64 = demands.iter().map(|demand| demand.quantity).sum();
    if campaign.order_limit > 0 && requested > u64::from(campaign.order_limit) {
        let (campaign, limit) = (campaign_code(), campaign.order_limit);
        return no(Rejection::OrderLimitReached { campaign, limit, requested }, directory.revision());
    }
    if campaign.buyer_limit > 0 {
        let counter = look.shard(counter_shard(campaign.id, &request.buyer_id));
        let freed = replaced.and_then(|claim| claim.extra.as_ref()?.bought.as_ref());
        let freed = freed.filter(|freed| freed.campaign == campaign.id && *freed.buyer_id == *request.buyer_id);
        let bought = counter.campaigns.bought(campaign.id, &request.buyer_id);
        let bought = bought.saturating_sub(freed.map_or(0, |freed| freed.quantity.units()));
        if bought + requested > u64::from(campaign.buyer_limit) {
            let (campaign, limit) = (campaign_code(), campaign.buyer_limit);
            let rests_on = counter.lsn.max(directory.revision());
            return no(Rejection::BuyerLimitReached { campaign, limit, bought, requested }, rests_on);
        }
    }
    let freed = replaced.filter(|claim| campaign_of(look, claim.reservation) == Some(campaign.id));
    Ok(Ok(Some(Admitted { campaign, freed: freed.map_or_else(Lines::new, |claim| claim.lines.clone()) })))
}

fn campaign_of(look: &impl Look, id: ReservationId) -> Option<CampaignId> {
    header(look, id).ok()?.kept()?.campaign
}

impl Admitted<'_> {
    /// Units of a SKU that are released, not taken, and not for somebody who waits longer than `id`.
    pub(crate) fn takeable(&self, shard: &Shard, sku: SkuId, id: ReservationId, now: Timestamp) -> u64 {
        let freed = self.freed.iter().filter(|line| line.sku == sku).map(|line| line.quantity.units()).sum();
        takeable(shard, self.campaign, sku, id, now, freed)
    }

    /// The rejection when the campaign is what lacks units; `None` when a named location does.
    pub(crate) fn sold_out(
        &self,
        look: &impl Look,
        short: &mut [Short<'_>],
        id: ReservationId,
        now: Timestamp,
    ) -> Option<Rejection> {
        short.sort_by_key(|(demand, ..)| demand.first_line);
        let (demand, available, _) = short.iter().find(|(demand, ..)| {
            let shard = look.shard(demand.sku.shard());
            demand.location.is_empty() || self.takeable(shard, demand.sku, id, now) < demand.quantity
        })?;
        Some(Rejection::CampaignSoldOut {
            campaign: self.campaign.code.to_string(),
            sku: demand.code.into(),
            requested: demand.quantity,
            available: *available,
            next_tranche: self.campaign.item(demand.sku).and_then(|item| item.next_tranche(now)),
        })
    }

    /// Which campaign.
    pub(crate) fn id(&self) -> CampaignId {
        self.campaign.id
    }
}

/// What a hold carries: what its path says, and its campaign.
pub(crate) fn terms(admitted: Option<&Admitted<'_>>, terms: Option<Box<Terms>>) -> Option<Box<Terms>> {
    let Some(admitted) = admitted else { return terms };
    let mut terms = terms.unwrap_or_default();
    terms.campaign = Some(admitted.campaign.id);
    Some(terms)
}

fn takeable(shard: &Shard, campaign: &Campaign, sku: SkuId, id: ReservationId, now: Timestamp, freed: u64) -> u64 {
    let Some(item) = campaign.item(sku) else { return 0 };
    let line = shard.campaigns.lines.get(&(campaign.id, sku));
    if line.is_some_and(|line| line.waiters.range(..id).next().is_some()) {
        return 0;
    }
    let used = shard.campaigns.tallies.get(&(campaign.id, sku)).map_or(0, Tally::used);
    item.released(now).saturating_sub(used.saturating_sub(freed))
}

/// The first in a line, when there seem to be units for it. Whether there are is for the full decision to tell.
pub(crate) fn first_served(
    shard: &Shard,
    campaign: &Campaign,
    sku: SkuId,
    line: &WaitingLine,
    now: Timestamp,
) -> Option<ReservationId> {
    let (id, waiter) = line.waiters.first_key_value()?;
    let wanted = waiter.quantity.units();
    let row = shard.row(sku);
    let seems = row.retired()
        || takeable(shard, campaign, sku, *id, now, 0) >= wanted && row.sellable() && row.available() >= wanted;
    seems.then_some(*id)
}

/// Says "not yet", "over", "too much" or "sold out" of a campaign from shared locks alone; `None` where the full decision is needed.
///
/// # Errors
/// As `admit`.
pub(crate) fn refusal(
    look: &impl Look,
    request: &Reserve,
    demands: &[Demand<'_>],
    now: Timestamp,
) -> Result<Option<Refused>, Error> {
    let directory = look.directory();
    let code = channel_code(directory, request);
    let channel_is_open = code.is_empty() || directory.channel(code).is_some_and(|channel| channel.spec.active);
    if !channel_is_open || request.replaces.is_some() || request.unchanged_since_lsn > 0 {
        // There may be another answer to give first.
        return Ok(None);
    }
    let admitted = match admit(look, request, demands, None, now)? {
        Ok(Some(admitted)) => admitted,
        Ok(None) => return Ok(None),
        Err(refused) => return Ok(Some(refused)),
    };
    let waits = request.asked.as_ref().is_some_and(|asked| asked.wait);
    let [demand] = demands else { return Ok(None) };
    if request.allow_partial || waits || !demand.location.is_empty() {
        return Ok(None);
    }
    let shard = look.shard(demand.sku.shard());
    let row = shard.row(demand.sku);
    if row.retired() || !row.sellable() {
        return Ok(None);
    }
    let last = ReservationId(u64::MAX);
    let left = admitted.takeable(shard, demand.sku, last, now);
    if left >= demand.quantity {
        return Ok(None);
    }
    let channel = directory.channel(code).map(|channel| channel.id);
    let path = directory.path(channel, Some(admitted.id()));
    let reach = allotment::cap(look, demand.sku, &path, None).map_or_else(|| row.available(), |cap| cap.units);
    let available = left.min(reach);
    let rejection = admitted.sold_out(look, &mut [(demand, available, LimitedBy::Allotment)], last, now);
    Ok(rejection.map(|rejection| (rejection, shard.lsn.max(directory.revision()))))
}

/// When the channel deducts, and whether the buyer waits: what makes of a decided hold what the request gets.
///
/// # Errors
/// Presale where the channel deducts at the payment.
pub(crate) fn begin(
    locked: &Locked<'_>,
    request: &Reserve,
    demands: &[Demand<'_>],
    id: ReservationId,
    decision: Decision,
) -> Result<Decision, Error> {
    let directory = locked.directory();
    match decision {
        Decision::Event(Event::Held(held)) => {
            let deduction = deduction(directory, held.channel);
            if deduction == Deduction::OnPayment
                && request.asked.as_ref().is_some_and(|asked| asked.presale != Presale::No)
            {
                return Err(Error::NotCombinable {
                    what: "its channel takes units at the payment: presale does not go with it",
                });
            }
            let held = match deduction {
                Deduction::Hold => held,
                Deduction::OnOrder => committed(held),
                Deduction::OnPayment => placed(directory, held, demands),
            };
            Ok(Decision::Event(Event::Held(held)))
        }
        Decision::Rejected(Rejection::CampaignSoldOut { campaign, sku, requested, available, next_tranche }, lsn)
            if request.asked.as_ref().is_some_and(|asked| asked.wait) =>
        {
            let rejection = Rejection::CampaignSoldOut { campaign, sku, requested, available, next_tranche };
            wait(locked, request, demands, id, (rejection, lsn))
        }
        other => Ok(other),
    }
}

/// As `begin`, for a hold that the router decided.
///
/// # Errors
/// Where the channel deducts at the payment: a plan is not kept until then.
pub(crate) fn begin_sourced(locked: &Locked<'_>, request: &Reserve, decision: Decision) -> Result<Decision, Error> {
    let directory = locked.directory();
    if request.asked.as_ref().is_some_and(|asked| !asked.campaign.is_empty()) {
        return Err(Error::NotCombinable {
            what: "a campaign takes its units by priority: sourcing does not go with it",
        });
    }
    let channel = directory.channel(&request.channel).map(|channel| channel.id);
    match (deduction(directory, channel), decision) {
        // Whatever the router says: the answer does not depend on stock.
        (Deduction::OnPayment, _) => {
            Err(Error::NotCombinable { what: "its channel takes units at the payment: sourcing does not go with it" })
        }
        (Deduction::OnOrder, Decision::Event(Event::Held(held))) => Ok(Decision::Event(Event::Held(committed(held)))),
        (_, decision) => Ok(decision),
    }
}

fn deduction(directory: &Directory, channel: Option<ChannelId>) -> Deduction {
    let channel = channel.and_then(|id| directory.channels().get(id.index()));
    channel.map_or(Deduction::Hold, |channel| channel.spec.deduction)
}

fn committed(mut held: Held) -> Held {
    held.terms.get_or_insert_default().stage = Stage::Committed;
    held.expires_at = Timestamp::MAX;
    held
}

/// A hold that takes nothing yet: what it could have now is kept as wanted.
fn placed(directory: &Directory, mut held: Held, demands: &[Demand<'_>]) -> Held {
    let wanted = demands.iter().filter_map(|demand| {
        let location = directory.location(demand.location);
        let short = held.shortages.iter().find(|short| (short.sku, short.location) == (demand.sku, location));
        let quantity = Quantity::clamp(short.map_or(demand.quantity, |short| short.available));
        (!quantity.is_zero()).then_some(Wanted { sku: demand.sku, location, quantity })
    });
    let mut wanted: Vec<Wanted> = wanted.collect();
    wanted.sort_unstable();
    let terms = held.terms.get_or_insert_default();
    terms.stage = Stage::Placed;
    terms.wanted = wanted.into();
    terms.path = Box::default();
    held.lines.clear();
    held
}

/// Puts a buyer in line, if there is a place.
fn wait(
    locked: &Locked<'_>,
    request: &Reserve,
    demands: &[Demand<'_>],
    id: ReservationId,
    (sold_out, rests_on): Refused,
) -> Result<Decision, Error> {
    let directory = locked.directory();
    let asked = request.asked.as_ref().and_then(|asked| directory.campaigns().get(&asked.campaign));
    let (Some(campaign), [demand]) = (asked, demands) else { return Ok(Decision::Rejected(sold_out, rests_on)) };
    let shard = locked.shard(demand.sku.shard());
    let units = campaign.item(demand.sku).map_or(0, Item::units);
    if demand.quantity > units {
        // There will never be so many.
        return Ok(Decision::Rejected(sold_out, rests_on));
    }
    let replaced = match request.replaces {
        Some(earlier) => super::reserve::replaced(locked, earlier, &request.buyer_id)?,
        None => None,
    };
    let line = shard.campaigns.lines.get(&(campaign.id, demand.sku));
    let own = line.and_then(|line| line.buyers.get(request.buyer_id.as_str())).copied();
    // Whoever gives up a place may take another one.
    let own = own.filter(|own| replaced.as_ref().is_none_or(|replaced| replaced.reservation != *own));
    if let Some(reservation) = own {
        let (campaign, sku) = (campaign.code.to_string(), demand.code.into());
        return Ok(Decision::Rejected(Rejection::AlreadyWaiting { campaign, sku, reservation }, shard.lsn));
    }
    let waiting = line.map_or(0, |line| {
        let leaves = replaced.as_ref().is_some_and(|replaced| line.waiters.contains_key(&replaced.reservation));
        line.waiters.len() - usize::from(leaves)
    });
    if waiting >= WAITERS_MAX {
        let (campaign, sku) = (campaign.code.to_string(), demand.code.into());
        let limit = u64::try_from(WAITERS_MAX).unwrap_or(u64::MAX);
        return Ok(Decision::Rejected(Rejection::WaitingListFull { campaign, sku, limit }, shard.lsn));
    }
    let channel = directory.channel(channel_code(directory, request)).map(|channel| channel.id);
    let wanted = Wanted {
        sku: demand.sku,
        location: directory.location(demand.location),
        quantity: Quantity::clamp(demand.quantity),
    };
    Ok(Decision::Event(Event::Held(Held {
        reservation: id,
        order_id: request.order_id.as_str().into(),
        buyer_id: request.buyer_id.as_str().into(),
        channel,
        expires_at: campaign.ends_at,
        lines: Lines::new(),
        replaced_bookings: replaced
            .as_ref()
            .map_or_else(Box::default, |claim| super::reserve::bookings_of(locked, claim.reservation)),
        replaced: replaced.map(Box::new),
        shortages: Vec::new(),
        sourced: None,
        terms: Some(Box::new(Terms {
            campaign: Some(campaign.id),
            stage: Stage::Waiting,
            wanted: Box::new([wanted]),
            place: u32::try_from(waiting + 1).unwrap_or(u32::MAX),
            ..Terms::default()
        })),
    })))
}

/// A claim with what it gives back to its buyer's limit. When the campaign is closed, buyers are counted no longer.
pub(crate) fn giving_back(look: &impl Look, header: HeaderRef<'_>, mut claim: Claim) -> Claim {
    let Some(campaign) = header.kept().and_then(|kept| kept.campaign) else { return claim };
    let counts = look.directory().campaigns().by_id(campaign).is_some_and(|campaign| campaign.closed.is_none());
    let units: u64 = claim.lines.iter().map(|line| line.quantity.units()).sum();
    if counts && units > 0 && !header.buyer_id().is_empty() {
        let bought = Bought { campaign, buyer_id: header.buyer_id().into(), quantity: Quantity::clamp(units) };
        claim.extra.get_or_insert_with(|| Box::new(ClaimExtra::default())).bought = Some(bought);
    }
    claim
}

/// Ends a reservation that has taken nothing. It has no lines to name.
pub(crate) fn cancel_pending(
    id: ReservationId,
    header: HeaderRef<'_>,
    selections: &[LineSelection],
    now: Timestamp,
) -> Result<Decision, Error> {
    let state = header.state();
    if !selections.is_empty() {
        let wanted = "it has taken nothing yet: it can be cancelled as a whole only";
        return Err(Error::ReservationState { id, state, wanted });
    }
    if state == State::Placed && now >= header.expires_at() {
        return Ok(lifecycle::expired(id, header));
    }
    Ok(Decision::Event(Event::Cancelled {
        claim: Claim::new(id, Lines::new(), &header.shards()),
        promise: Promise::Reserved,
        end: Some(EndState::Cancelled),
        bookings: Box::default(),
    }))
}

/// The request that a reservation which has taken nothing stands for, by codes, and its SKUs.
pub(crate) fn kept_request(catalogue: &Catalogue, header: &Header) -> (Reserve, Vec<SkuId>) {
    let directory = catalogue.directory();
    let kept = header.kept.as_deref();
    let wanted = kept.map_or(&[][..], |kept| &kept.wanted);
    let campaign = kept.and_then(|kept| kept.campaign).and_then(|id| directory.campaigns().by_id(id));
    let asked = campaign.map(|campaign| {
        Box::new(crate::command::Asked { campaign: campaign.code.to_string(), ..crate::command::Asked::default() })
    });
    let lines = wanted.iter().map(|wanted| crate::command::ReserveLine {
        sku: catalogue.sku_code(wanted.sku).into(),
        quantity: wanted.quantity,
        location: wanted.location.map_or_else(CompactString::default, |at| directory.location_code(at).into()),
        sourcing: None,
    });
    let request = Reserve {
        order_id: (*header.order_id).into(),
        buyer_id: (*header.buyer_id).into(),
        channel: header.channel.map_or_else(CompactString::default, |channel| directory.channel_code(channel).into()),
        lines: lines.collect(),
        ttl: Micros(0),
        allow_partial: false,
        replaces: None,
        unchanged_since_lsn: 0,
        sourcing: None,
        asked,
    };
    (request, wanted.iter().map(|wanted| wanted.sku).collect())
}

/// The order that was placed is paid: it takes its units, if they are there.
pub(crate) fn confirm_placed(
    locked: &Locked<'_>,
    request: &Reserve,
    demands: &[Demand<'_>],
    id: ReservationId,
    now: Timestamp,
) -> Result<Decision, Error> {
    let own = header(locked, id)?;
    if own.state() != State::Placed {
        return lifecycle::confirm(locked, id, now);
    }
    if now >= own.expires_at() {
        return Ok(lifecycle::expired(id, own));
    }
    let decision = take(locked, request, demands, id, now)?;
    Ok(granted(locked, own, decision, Promise::Committed, own.expires_at()))
}

/// The first in a line gets units, or waits no longer, or goes on waiting.
pub(crate) fn settle(
    locked: &Locked<'_>,
    request: &Reserve,
    demands: &[Demand<'_>],
    id: ReservationId,
    now: Timestamp,
) -> Result<Decision, Error> {
    let own = header(locked, id)?;
    if own.state() != State::Waiting {
        return Ok(Decision::Nothing);
    }
    let dropped = |reason| {
        let event = CampaignEvent::Dropped { reservation: id, reason };
        Ok(Decision::Event(Event::Campaign(Box::new(event))))
    };
    let directory = locked.directory();
    let campaign = own.kept().and_then(|kept| kept.campaign).and_then(|id| directory.campaigns().by_id(id));
    if campaign.is_some_and(|campaign| campaign.closed.is_some() || campaign.ends_at <= now) {
        // Before anything else that stands against it: nobody waits for what is over, be the SKU for sale or not.
        return dropped(DropReason::Ended);
    }
    match take(locked, request, demands, id, now) {
        Ok(Decision::Rejected(Rejection::CampaignEnded { .. }, _)) => dropped(DropReason::Ended),
        Ok(Decision::Rejected(Rejection::BuyerLimitReached { .. } | Rejection::OrderLimitReached { .. }, _)) => {
            dropped(DropReason::LimitReached)
        }
        Ok(Decision::Rejected(Rejection::NotInCampaign { .. }, _)) | Err(Error::UnknownSku { .. }) => {
            dropped(DropReason::NotOffered)
        }
        Ok(Decision::Rejected(..)) => Ok(Decision::Nothing),
        Ok(decision) => {
            let ttl = hold_ttl(directory, own.channel(), Micros(0));
            Ok(match deduction(directory, own.channel()) {
                Deduction::OnOrder => granted(locked, own, decision, Promise::Committed, Timestamp::MAX),
                Deduction::Hold | Deduction::OnPayment => {
                    granted(locked, own, decision, Promise::Reserved, now.plus(ttl))
                }
            })
        }
        Err(error) => Err(error),
    }
}

/// Makes of the hold that was decided the units of a reservation that is there.
fn granted(
    look: &impl Look,
    own: HeaderRef<'_>,
    decision: Decision,
    promise: Promise,
    expires_at: Timestamp,
) -> Decision {
    let Decision::Event(Event::Held(held)) = decision else { return decision };
    let campaign = own.kept().and_then(|kept| kept.campaign).filter(|_| !own.buyer_id().is_empty());
    debug_assert!(campaign.is_none_or(|id| look.directory().campaigns().by_id(id).is_some()));
    let units = held.lines.iter().map(|line| line.quantity.units()).sum();
    let mut granted = Granted {
        reservation: held.reservation,
        promise,
        expires_at,
        lines: held.lines,
        path: held.terms.map_or_else(Box::default, |terms| terms.path),
        bought: campaign.map(|campaign| Bought {
            campaign,
            buyer_id: own.buyer_id().into(),
            quantity: Quantity::clamp(units),
        }),
        others: ShardSet::default(),
    };
    granted.others = own.shards().without(&granted.shards());
    Decision::Event(Event::Campaign(Box::new(CampaignEvent::Granted(granted))))
}

/// Decides campaigns as they shall be. Every shard is locked.
///
/// # Errors
/// Unknown codes, times that cannot be, a campaign that is over or runs in another channel.
pub(crate) fn upsert(
    locked: &Locked<'_>,
    catalogue: &Catalogue,
    specs: &[CampaignSpec],
    clip: bool,
    now: Timestamp,
) -> Result<Decision, Error> {
    let directory = catalogue.directory();
    let mut next = u32::try_from(directory.campaigns().all().len()).unwrap_or(u32::MAX);
    let first = next;
    // Units that campaigns of the same request take from each other.
    let mut fenced: BTreeMap<SkuId, SkuAllotments> = BTreeMap::new();
    let (mut campaigns, mut left) = (Vec::with_capacity(specs.len()), Vec::new());
    for spec in specs {
        let before = directory.campaigns().get(&spec.code);
        let mut campaign = describe(catalogue, spec, before.map(|before| &**before), next, now)?;
        if before.is_none() {
            if next >= CAMPAIGNS_MAX {
                return Err(Error::TableFull { what: "campaigns", limit: u64::from(CAMPAIGNS_MAX) });
            }
            next += 1;
        }
        let id = campaign.id;
        let gone = before.iter().flat_map(|before| &before.items).filter(|item| campaign.item(item.sku).is_none());
        for item in gone {
            let used = used(locked, id, item.sku);
            if used > 0 {
                let rejection = Rejection::CampaignBelowUsed {
                    campaign: spec.code.clone(),
                    sku: catalogue.sku_code(item.sku).to_owned(),
                    requested: 0,
                    used,
                };
                return Ok(Decision::Rejected(rejection, locked.shard(item.sku.shard()).lsn));
            }
            left.push((id, item.sku));
            own_nodes(locked, &mut fenced, item.sku).remove(&NodeId::from(id));
        }
        for item in &mut campaign.items {
            let sku = item.sku;
            let shard = locked.shard(sku.shard());
            let tally = shard.campaigns.tallies.get(&(id, sku)).copied().unwrap_or_default();
            let (requested, used, shipped) = (item.units(), tally.used(), tally.shipped);
            let refuse = |rejection| Ok(Decision::Rejected(rejection, shard.lsn.max(directory.revision())));
            let (campaign, code) = (spec.code.clone(), catalogue.sku_code(sku).to_owned());
            if requested < used {
                return refuse(Rejection::CampaignBelowUsed { campaign, sku: code, requested, used });
            }
            let before = shard.allotments.get(&sku).cloned().unwrap_or_default();
            let was = before.get(&NodeId::from(id)).and_then(|own| own.quota).unwrap_or(0);
            let nodes = own_nodes(locked, &mut fenced, sku);
            let own = nodes.entry(NodeId::from(id)).or_default();
            own.fence(Some(clamp(requested)), shipped);
            let pool = allotment::pool(shard.row(sku), directory);
            let most = quota_max(&**directory, nodes, &before, NodeId::from(id), pool);
            // Units that it has are not taken from it.
            let possible = most.max(was.into());
            if requested > possible && (!clip || possible == 0) {
                return refuse(Rejection::CampaignNotStocked { campaign, sku: code, requested, possible });
            }
            cut(item, possible);
            nodes.entry(NodeId::from(id)).or_default().quota = Some(clamp(item.units()));
        }
        campaigns.push(campaign);
    }
    left.sort_unstable();
    let event = CampaignEvent::Upserted { campaigns, left, created: next - first };
    Ok(Decision::Event(Event::Campaign(Box::new(event))))
}

fn own_nodes<'f>(
    locked: &Locked<'_>,
    fenced: &'f mut BTreeMap<SkuId, SkuAllotments>,
    sku: SkuId,
) -> &'f mut SkuAllotments {
    fenced.entry(sku).or_insert_with(|| locked.shard(sku.shard()).allotments.get(&sku).cloned().unwrap_or_default())
}

fn used(locked: &Locked<'_>, campaign: CampaignId, sku: SkuId) -> u64 {
    locked.shard(sku.shard()).campaigns.tallies.get(&(campaign, sku)).map_or(0, Tally::used)
}

fn clamp(units: u64) -> u32 {
    u32::try_from(units).unwrap_or(u32::MAX)
}

/// Takes units off the last tranches until so many are left.
fn cut(item: &mut Item, units: u64) {
    let mut over = item.units().saturating_sub(units);
    for tranche in item.tranches.iter_mut().rev() {
        let taken = over.min(tranche.quantity.units());
        tranche.quantity = Quantity::clamp(tranche.quantity.units() - taken);
        over -= taken;
    }
    item.tranches.retain(|tranche| !tranche.quantity.is_zero());
}

/// A campaign as its owner describes it, resolved, if it may be so.
fn describe(
    catalogue: &Catalogue,
    spec: &CampaignSpec,
    before: Option<&Campaign>,
    fresh: u32,
    now: Timestamp,
) -> Result<Campaign, Error> {
    let directory = catalogue.directory();
    let code = || spec.code.clone();
    if before.is_some_and(|before| before.closed.is_some() || now >= before.ends_at) {
        return Err(Error::CampaignOver { code: code() });
    }
    let channel = match spec.channel.as_str() {
        "" => None,
        named => {
            let channel = directory.channel(named).ok_or_else(|| Error::UnknownChannel { code: named.into() })?;
            Some(channel.id)
        }
    };
    if let Some(before) = before.filter(|before| before.channel != channel) {
        let own = before.channel.map_or_else(String::new, |channel| directory.channel_code(channel).to_owned());
        return Err(Error::CampaignChannel { code: code(), own, channel: spec.channel.clone() });
    }
    let times = |why| Err(Error::CampaignTimes { code: code(), why });
    if spec.starts_at >= spec.ends_at {
        return times("it must end after its start");
    }
    if spec.ends_at <= now {
        return times("its end must lie in the future");
    }
    let moments = spec.items.iter().flat_map(|item| &item.tranches).filter_map(|tranche| tranche.at);
    if moments.into_iter().any(|at| at < spec.starts_at || at >= spec.ends_at) {
        return times("its tranches must lie between its start and its end");
    }
    let mut items =
        spec.items.iter().map(|item| describe_item(catalogue, spec, item)).collect::<Result<Vec<_>, _>>()?;
    items.sort_unstable_by_key(|item| item.sku);
    Ok(Campaign {
        id: before.map_or(CampaignId(fresh), |before| before.id),
        code: spec.code.as_str().into(),
        name: spec.name.as_str().into(),
        channel,
        starts_at: spec.starts_at,
        ends_at: spec.ends_at,
        buyer_limit: spec.buyer_limit,
        order_limit: spec.order_limit,
        items,
        closed: None,
    })
}

fn describe_item(catalogue: &Catalogue, spec: &CampaignSpec, item: &ItemSpec) -> Result<Item, Error> {
    let sku = catalogue.sku(&item.sku).ok_or_else(|| Error::UnknownSku { code: item.sku.clone() })?;
    let tranche = |one: &crate::command::campaign::TrancheSpec| Tranche {
        at: one.at.unwrap_or(spec.starts_at),
        quantity: one.quantity,
    };
    let mut tranches: Vec<Tranche> = item.tranches.iter().map(tranche).collect();
    tranches.sort_by_key(|tranche| tranche.at);
    let item_of = Item { sku, tranches };
    if item_of.units() > u64::from(u32::MAX) {
        return Err(Error::SumOverflow { sku: item.sku.clone(), requested: item_of.units() });
    }
    Ok(item_of)
}

/// Ends a campaign, now or at the end of its time. Every shard is locked.
pub(crate) fn close(locked: &Locked<'_>, campaign: &Campaign, ends_at: Timestamp) -> Decision {
    let node = NodeId::from(campaign.id);
    let returned = campaign.items.iter().map(|item| {
        let own = locked.shard(item.sku.shard()).allotments.get(&item.sku).and_then(|nodes| nodes.get(&node));
        (item.sku, Quantity::clamp(own.map_or(0, crate::allotment::Allotment::rest)))
    });
    let buyers = ShardId::all().filter_map(|shard| locked.shard(shard).campaigns.buyers.get(&campaign.id));
    let event = CampaignEvent::Closed {
        campaign: campaign.id,
        ends_at,
        returned: returned.collect(),
        buyers: buyers.map(|buyers| u64::try_from(buyers.len()).unwrap_or(u64::MAX)).sum(),
    };
    Decision::Event(Event::Campaign(Box::new(event)))
}

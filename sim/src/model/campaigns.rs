//! Flash sales: when they sell, how much of it has been released, who had how much, and who waits.

use std::collections::BTreeMap;

use quartermaster_engine::{
    campaign::{Campaign, Closing, Deduction, Item},
    event::{
        Claim, Held, Promise,
        campaign::{CampaignEvent, DropReason, Granted},
    },
    id::{CampaignId, NodeId, ReservationId, SkuId},
    reservation::State,
    terms::{Bought, Stage},
    time::Timestamp,
};

use super::{Judged, Model, must, orders::Own, stock::minus};

/// What became of the units of a campaign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) granted: u64,
    pub(crate) held: u64,
    pub(crate) confirmed: u64,
    pub(crate) shipped: u64,
    pub(crate) given_back: u64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Sales {
    pub(crate) campaigns: Vec<Campaign>,
    pub(crate) tallies: BTreeMap<(CampaignId, SkuId), Tally>,
    /// Units that buyers have of campaigns that are not closed.
    pub(crate) bought: BTreeMap<(CampaignId, String), u64>,
}

impl Tally {
    pub(crate) fn used(&self) -> u64 {
        self.held + self.confirmed + self.shipped
    }

    fn promised(&mut self, promise: Promise) -> &mut u64 {
        match promise {
            Promise::Reserved => &mut self.held,
            Promise::Committed => &mut self.confirmed,
        }
    }
}

impl Sales {
    pub(crate) fn of(&self, id: CampaignId) -> &Campaign {
        &self.campaigns[id.index()]
    }

    pub(crate) fn find(&self, code: &str) -> Option<&Campaign> {
        self.campaigns.iter().find(|campaign| *campaign.code == *code)
    }

    pub(crate) fn used(&self, id: CampaignId, sku: SkuId) -> u64 {
        self.tallies.get(&(id, sku)).map_or(0, Tally::used)
    }

    /// Units counted, and taken from their campaign.
    fn grant(&mut self, id: CampaignId, buyer: &str, sku: SkuId, units: u64, promise: Promise) {
        let tally = self.tallies.entry((id, sku)).or_default();
        tally.granted += units;
        *tally.promised(promise) += units;
        if !buyer.is_empty() {
            *self.bought.entry((id, buyer.into())).or_default() += units;
        }
    }
}

pub(crate) fn released(item: &Item, now: Timestamp) -> u64 {
    item.tranches.iter().filter(|tranche| tranche.at <= now).map(|tranche| tranche.quantity.units()).sum()
}

fn all(item: &Item) -> u64 {
    item.tranches.iter().map(|tranche| tranche.quantity.units()).sum()
}

impl Model {
    pub(crate) fn deduction(&self, channel: Option<quartermaster_engine::id::ChannelId>) -> Deduction {
        channel.map_or(Deduction::Hold, |channel| self.channels[channel.index()].deduction)
    }

    /// Units of a SKU that whoever stands at `place` in the line can have of a campaign now.
    pub(crate) fn left_in(&self, id: CampaignId, sku: SkuId, place: ReservationId) -> u64 {
        let campaign = self.sales.of(id);
        let Some(item) = campaign.items.iter().find(|item| item.sku == sku) else { return 0 };
        let before = self.waiting(id, sku).into_iter().any(|other| other < place);
        if before { 0 } else { released(item, self.now).saturating_sub(self.sales.used(id, sku)) }
    }

    /// The same for an order that gives back so many units of the campaign, and a place in the line.
    pub(super) fn left_in_with(
        &self,
        id: CampaignId,
        sku: SkuId,
        place: ReservationId,
        back: u64,
        leaves: Option<ReservationId>,
    ) -> u64 {
        let campaign = self.sales.of(id);
        let Some(item) = campaign.items.iter().find(|item| item.sku == sku) else { return 0 };
        let before = self.waiting(id, sku).into_iter().any(|other| other < place && Some(other) != leaves);
        let used = self.sales.used(id, sku).saturating_sub(back);
        if before { 0 } else { released(item, self.now).saturating_sub(used) }
    }

    /// Who waits for a SKU, the oldest first.
    pub(crate) fn waiting(&self, id: CampaignId, sku: SkuId) -> Vec<ReservationId> {
        let waits = self.reservations.iter().filter(|(_, one)| {
            one.state == State::Waiting && one.campaign == Some(id) && one.pending.iter().any(|want| want.sku == sku)
        });
        waits.map(|(id, _)| *id).collect()
    }

    /// A hold of a campaign keeps to its times, goods, limits and tranches. Asked when what it replaces was given back.
    pub(super) fn judge_campaign(&self, held: &Held, id: CampaignId, stage: Stage) -> Judged {
        must!(id.index() < self.sales.campaigns.len(), "a campaign that was never made");
        let campaign = self.sales.of(id);
        must!(campaign.closed.is_none(), "{} is closed", campaign.code);
        must!(campaign.starts_at <= self.now, "{} has not started", campaign.code);
        must!(self.now < campaign.ends_at, "{} has ended", campaign.code);
        let pending = held.terms.iter().flat_map(|terms| terms.wanted.iter());
        let pending = pending.map(|want| (want.sku, want.quantity.units()));
        let mut units = BTreeMap::<SkuId, u64>::new();
        let taken = held.lines.iter().map(|line| (line.sku, line.quantity.units()));
        taken.chain(pending).for_each(|(sku, more)| *units.entry(sku).or_default() += more);
        let sum: u64 = units.values().sum();
        if campaign.order_limit > 0 {
            must!(sum <= u64::from(campaign.order_limit), "{sum} units pass the limit of an order");
        }
        if campaign.buyer_limit > 0 {
            self.judge_limit(campaign, &held.buyer_id, sum)?;
        }
        for (sku, units) in units {
            let Some(item) = campaign.items.iter().find(|item| item.sku == sku) else {
                return Err(format!("{sku:?} is not in {}", campaign.code));
            };
            let left = self.left_in(id, sku, held.reservation);
            if stage == Stage::Waiting {
                must!(left < units || self.cannot_be_had(held, sku, units), "who waits could be served");
                must!(units <= all(item), "there will never be so many");
                let twice =
                    self.waiting(id, sku).into_iter().any(|other| self.reservations[&other].buyer == *held.buyer_id);
                must!(!twice && !held.buyer_id.is_empty(), "a buyer stands in a line twice");
            } else {
                must!(units <= left, "{units} of {sku:?} are taken, the campaign has {left} left");
            }
        }
        Ok(())
    }

    /// Whether the pool has fewer than this, though the campaign has not.
    fn cannot_be_had(&self, held: &Held, sku: SkuId, units: u64) -> bool {
        let path = self.path_of(held.channel, held.terms.as_ref().and_then(|terms| terms.campaign));
        let at = held.terms.iter().flat_map(|terms| terms.wanted.iter()).find_map(|want| want.location);
        let there = at.map_or(u64::MAX, |at| self.takeable((sku, at)));
        self.reach(sku, &path, self.pool(sku)).min(there) < units
    }

    fn judge_limit(&self, campaign: &Campaign, buyer: &str, units: u64) -> Judged {
        must!(!buyer.is_empty(), "nobody buys where buyers are counted");
        let bought = self.sales.bought.get(&(campaign.id, buyer.into())).copied().unwrap_or(0);
        must!(
            bought + units <= u64::from(campaign.buyer_limit),
            "{buyer} has {bought} and gets {units} more of at most {}",
            campaign.buyer_limit
        );
        Ok(())
    }

    /// Units of a hold in a campaign count to it and to its buyer.
    pub(super) fn counted(&mut self, id: CampaignId, buyer: &str, units: &super::Units, promise: Promise) {
        for ((sku, _), units) in units {
            self.sales.grant(id, buyer, *sku, *units, promise);
        }
    }

    /// Units of a claim go back to their campaign and their buyer's limit.
    pub(super) fn uncounted(&mut self, claim: &Claim, units: &super::Units, promise: Promise) -> Judged {
        let reservation = &self.reservations[&claim.reservation];
        let told = claim.extra.as_ref().and_then(|extra| extra.bought.as_ref());
        let Some(id) = reservation.campaign else {
            must!(told.is_none(), "units of no campaign go back to a limit");
            return Ok(());
        };
        let (buyer, sum) = (reservation.buyer.clone(), units.values().sum::<u64>());
        let counts = self.sales.of(id).closed.is_none() && !buyer.is_empty() && sum > 0;
        let theirs =
            told.map(|Bought { campaign, buyer_id, quantity }| (*campaign, buyer_id.to_string(), quantity.units()));
        must!(theirs == counts.then(|| (id, buyer.clone(), sum)), "{theirs:?} goes back to a limit, not {sum}");
        if counts {
            let bought = self.sales.bought.entry((id, buyer)).or_default();
            minus(bought, sum, "what a buyer has of a campaign")?;
            self.sales.bought.retain(|_, units| *units > 0);
        }
        for ((sku, _), units) in units {
            let tally = self.sales.tallies.entry((id, *sku)).or_default();
            minus(tally.promised(promise), *units, "what a campaign has promised")?;
            tally.given_back += units;
        }
        Ok(())
    }

    pub(super) fn counted_confirmed(&mut self, id: CampaignId, units: &super::Units) -> Judged {
        for ((sku, _), units) in units {
            let tally = self.sales.tallies.entry((id, *sku)).or_default();
            minus(&mut tally.held, *units, "what a campaign has held")?;
            tally.confirmed += units;
        }
        Ok(())
    }

    pub(super) fn counted_shipped(&mut self, id: CampaignId, units: &super::Units) -> Judged {
        for ((sku, _), units) in units {
            let tally = self.sales.tallies.entry((id, *sku)).or_default();
            minus(&mut tally.confirmed, *units, "what a campaign has confirmed")?;
            tally.shipped += units;
        }
        Ok(())
    }

    pub(super) fn campaign(&mut self, event: &CampaignEvent) -> Judged {
        match event {
            CampaignEvent::Upserted { campaigns, left, created } => {
                let before = self.sales.campaigns.len();
                for (id, sku) in left {
                    must!(self.sales.used(*id, *sku) == 0, "what was sold leaves a campaign");
                    self.fence(*id, *sku, None)?;
                }
                for campaign in campaigns {
                    self.upserted(campaign)?;
                }
                must!(self.sales.campaigns.len() == before + usize::try_from(*created).unwrap_or(0), "new campaigns");
                Ok(())
            }
            CampaignEvent::Closed { campaign, ends_at, returned, buyers } => {
                must!(campaign.index() < self.sales.campaigns.len(), "a campaign that was never made");
                let own = self.sales.of(*campaign).clone();
                must!(own.closed.is_none(), "a campaign is closed twice");
                must!(*ends_at <= self.now && *ends_at <= own.ends_at, "a campaign is closed before its end");
                let skus: Vec<SkuId> = own.items.iter().map(|item| item.sku).collect();
                must!(returned.iter().map(|(sku, _)| *sku).eq(skus), "every item is given back");
                for (sku, units) in returned {
                    let share = self.selling.shares.get(sku).and_then(|nodes| nodes.get(&NodeId::from(*campaign)));
                    let rest = share.map_or(0, super::selling::Share::rest);
                    must!(rest == units.units(), "{units} of {sku:?} go back, {rest} are left");
                    self.fence(*campaign, *sku, None)?;
                }
                let own = self.sales.bought.keys().filter(|(id, _)| id == campaign).count();
                must!(u64::try_from(own) == Ok(*buyers), "{buyers} buyers, not {own}");
                self.sales.bought.retain(|(id, _), _| id != campaign);
                let closed = &mut self.sales.campaigns[campaign.index()];
                (closed.ends_at, closed.closed) = (*ends_at, Some(Closing { at: *ends_at, buyers: *buyers }));
                Ok(())
            }
            CampaignEvent::Granted(granted) => self.granted(granted),
            CampaignEvent::Dropped { reservation, reason } => self.dropped(*reservation, *reason),
        }
    }

    fn upserted(&mut self, campaign: &Campaign) -> Judged {
        must!(campaign.starts_at < campaign.ends_at && self.now < campaign.ends_at, "a campaign in the past");
        let within = |at: Timestamp| campaign.starts_at <= at && at < campaign.ends_at;
        let moments = campaign.items.iter().flat_map(|item| &item.tranches);
        must!(moments.clone().all(|tranche| within(tranche.at)), "a tranche out of its campaign's time");
        match self.sales.campaigns.get(campaign.id.index()) {
            Some(before) => {
                must!(before.closed.is_none() && self.now < before.ends_at, "a campaign that is over changes");
                must!(before.code == campaign.code && before.channel == campaign.channel, "another campaign");
                self.sales.campaigns[campaign.id.index()] = campaign.clone();
            }
            None => {
                must!(campaign.id.index() == self.sales.campaigns.len(), "campaign ids are dense");
                self.sales.campaigns.push(campaign.clone());
            }
        }
        for item in &campaign.items {
            let used = self.sales.used(campaign.id, item.sku);
            must!(all(item) >= used, "{:?} has sold {used} already", item.sku);
            self.fence(campaign.id, item.sku, Some(all(item)))?;
        }
        Ok(())
    }

    /// Units of a SKU are ring-fenced for a campaign, or no longer.
    fn fence(&mut self, id: CampaignId, sku: SkuId, units: Option<u64>) -> Judged {
        let before = self.kept_by_all(sku);
        self.skus[sku.index()].revision = self.lsn;
        let shipped = self.sales.tallies.get(&(id, sku)).map_or(0, |tally| tally.shipped);
        self.selling.fence(sku, NodeId::from(id), units, shipped);
        self.judge_fences(sku, before)
    }

    fn granted(&mut self, granted: &Granted) -> Judged {
        let id = granted.reservation;
        let own = self.known(id)?.clone();
        must!(matches!(own.state, State::Placed | State::Waiting), "only what has taken nothing is granted units");
        must!(own.state != State::Placed || self.now < own.expires, "{id} expired before");
        let units = super::orders::units(&granted.lines);
        let mut wanted = BTreeMap::<SkuId, u64>::new();
        own.pending.iter().for_each(|want| *wanted.entry(want.sku).or_default() += want.quantity.units());
        let mut taken = BTreeMap::<SkuId, u64>::new();
        units.iter().for_each(|((sku, _), units)| *taken.entry(*sku).or_default() += units);
        must!(taken == wanted, "{id} gets {taken:?} of {wanted:?}");
        if own.state == State::Waiting {
            let Some(campaign) = own.campaign else { return Err("who waits, waits for a campaign".into()) };
            let of = self.sales.of(campaign);
            must!(of.closed.is_none() && self.now < of.ends_at, "who waits gets nothing of what is over");
        }
        if let Some(campaign) = own.campaign {
            let of = self.sales.of(campaign).clone();
            let sum: u64 = taken.values().sum();
            must!(of.closed.is_none() && of.starts_at <= self.now && self.now < of.ends_at, "out of its time");
            if of.buyer_limit > 0 {
                self.judge_limit(&of, &own.buyer, sum)?;
            }
            for (sku, units) in &taken {
                let left = self.left_in(campaign, *sku, id);
                must!(*units <= left, "{units} of {sku:?} are taken, the campaign has {left} left");
            }
        }
        let path = self.path_of(own.channel, own.campaign);
        let counts = taken.keys().any(|sku| self.selling.speaks_of(*sku));
        must!(
            *granted.path == *if counts { &path[..] } else { &[] },
            "units count to {:?}, not to {path:?}",
            granted.path
        );
        for (sku, units) in &taken {
            let most = self.reach(*sku, &path, self.pool(*sku));
            must!(*units <= most, "{units} of {sku:?} are taken, {most} can be reached");
        }
        let mut lines = BTreeMap::new();
        for line in &granted.lines {
            self.take(*line, granted.promise, false)?;
            let charged = self.selling.charge(&granted.path, line.sku, line.quantity.units(), granted.promise);
            lines.insert((line.sku, line.location), Own { open: line.quantity.units(), charged, ..Own::default() });
        }
        let bought = own.campaign.filter(|_| !own.buyer.is_empty());
        let told = granted.bought.as_ref().map(|bought| (bought.campaign, bought.quantity.units()));
        must!(told == bought.map(|id| (id, taken.values().sum())), "{told:?} counts to the buyer");
        if let Some(campaign) = own.campaign {
            self.counted(campaign, &own.buyer, &units, granted.promise);
        }
        let reservation = self.reservations.get_mut(&id).expect("asked before");
        reservation.state = match granted.promise {
            Promise::Reserved => State::Held,
            Promise::Committed => State::Confirmed,
        };
        must!(own.state == State::Waiting || reservation.state == State::Confirmed, "what is paid is committed");
        reservation.expires = granted.expires_at;
        reservation.pending.clear();
        (reservation.lines, reservation.path) = (lines, granted.path.to_vec());
        Ok(())
    }

    fn dropped(&mut self, id: ReservationId, reason: DropReason) -> Judged {
        let own = self.known(id)?.clone();
        must!(own.state == State::Waiting, "only who waits is dropped");
        let Some(campaign) = own.campaign.map(|id| self.sales.of(id).clone()) else {
            return Err("who waits, waits for a campaign".into());
        };
        let over = campaign.closed.is_some() || campaign.ends_at <= self.now;
        let end = match reason {
            DropReason::Ended => {
                must!(over, "{} is not over", campaign.code);
                State::Expired
            }
            DropReason::LimitReached => {
                let sum: u64 = own.pending.iter().map(|want| want.quantity.units()).sum();
                let of_order = campaign.order_limit > 0 && sum > u64::from(campaign.order_limit);
                let limited = campaign.buyer_limit > 0 && self.judge_limit(&campaign, &own.buyer, sum).is_err();
                must!(of_order || limited, "{} may have more", own.buyer);
                State::Cancelled
            }
            DropReason::NotOffered => {
                let offered =
                    |sku: SkuId| campaign.items.iter().any(|item| item.sku == sku) && !self.skus[sku.index()].retired;
                must!(!own.pending.iter().all(|want| offered(want.sku)), "it is offered");
                State::Cancelled
            }
        };
        self.end(id, Some(end))
    }

    /// Nothing is due any more once the timer has seen to all campaigns.
    ///
    /// # Errors
    /// Names one that is not.
    pub fn settled_campaigns(&self) -> Judged {
        for campaign in &self.sales.campaigns {
            must!(campaign.closed.is_some() || campaign.ends_at > self.now, "{} is over and not closed", campaign.code);
            for sku in campaign.items.iter().map(|item| item.sku) {
                let Some(first) = self.waiting(campaign.id, sku).first().copied() else { continue };
                must!(campaign.closed.is_none(), "somebody waits for what is over");
                let own = &self.reservations[&first];
                let [want] = &own.pending[..] else { return Err("who waits, waits for one SKU".into()) };
                let units = want.quantity.units();
                let at = want.location.map_or(u64::MAX, |at| self.takeable((sku, at)));
                let path = self.path_of(own.channel, own.campaign);
                let reach = self.reach(sku, &path, self.pool(sku)).min(at);
                let open = own.channel.is_none_or(|channel| self.channels[channel.index()].active);
                let started = campaign.starts_at <= self.now;
                let served = started && open && units <= self.left_in(campaign.id, sku, first) && units <= reach;
                must!(!served, "{first} waits and could be served");
            }
        }
        Ok(())
    }
}

//! Flash sales, their buyers and their waiting lists, and orders that take stock at payment: how state follows events.

use super::{Applied, Change, KNOWN_SKU, Misfit, allotment::prune, plus, require};
use crate::{
    campaign::{Tally, Waiter, counter_shard},
    event::{
        Claim, Held, Promise,
        campaign::{CampaignEvent, DropReason, Granted},
    },
    id::{CampaignId, NodeId, ReservationId, SkuId},
    reservation::{Part, PartLine, PartRef, State},
    shard::Shard,
    terms::{Bought, Kept, Stage, Terms},
};

const TALLIED: Misfit = Misfit("units of a campaign were counted when they were taken");

/// What becomes of a campaign's units.
#[derive(Clone, Copy)]
pub(super) enum Turn {
    /// Held units are confirmed.
    Confirmed,
    /// They leave.
    Shipped,
    /// They are given back.
    GivenBack(Promise),
}

impl Stage {
    /// The state that a reservation begins in.
    #[must_use]
    pub fn state(self) -> State {
        match self {
            Self::Held => State::Held,
            Self::Committed => State::Confirmed,
            Self::Placed => State::Placed,
            Self::Waiting => State::Waiting,
        }
    }

    /// The bucket that its units are in.
    pub(crate) fn promise(self) -> Promise {
        match self {
            Self::Committed => Promise::Committed,
            Self::Held | Self::Placed | Self::Waiting => Promise::Reserved,
        }
    }
}

impl Change {
    pub(super) fn campaign(&self, shard: &mut Shard, event: &CampaignEvent) -> Applied {
        match event {
            CampaignEvent::Upserted { campaigns, left, .. } => {
                for campaign in campaigns {
                    for item in campaign.items.iter().filter(|item| item.sku.shard() == self.here) {
                        let units = u32::try_from(item.units());
                        let units = units.map_err(|_| Misfit("a campaign's units stay within 32 bits"))?;
                        self.fence(shard, campaign.id, item.sku, Some(units))?;
                    }
                }
                for (campaign, sku) in left.iter().filter(|(_, sku)| sku.shard() == self.here) {
                    self.fence(shard, *campaign, *sku, None)?;
                }
                Ok(())
            }
            CampaignEvent::Closed { campaign, returned, .. } => {
                for (sku, _) in returned.iter().filter(|(sku, _)| sku.shard() == self.here) {
                    self.fence(shard, *campaign, *sku, None)?;
                }
                shard.campaigns.buyers.remove(campaign);
                Ok(())
            }
            CampaignEvent::Granted(granted) => self.granted(shard, granted),
            CampaignEvent::Dropped { reservation, reason } => {
                let waits = shard.parts.header(reservation);
                require(waits.is_some_and(|header| header.state() == State::Waiting), "only who waits is dropped")?;
                let end = match reason {
                    DropReason::Ended => State::Expired,
                    DropReason::LimitReached | DropReason::NotOffered => State::Cancelled,
                };
                self.touch_or_end(shard, *reservation, Some(end))
            }
        }
    }

    /// What a hold with terms means for campaigns: counts units, and puts who waits in line.
    pub(super) fn begun(&self, shard: &mut Shard, held: &Held, terms: &Terms) -> Applied {
        let Some(campaign) = terms.campaign else { return Ok(()) };
        for line in held.lines.iter().filter(|line| line.sku.shard() == self.here) {
            take(
                shard.campaigns.tallies.entry((campaign, line.sku)).or_default(),
                terms.stage.promise(),
                line.quantity.units(),
            );
        }
        let units = held.lines.iter().map(|line| line.quantity.units()).sum();
        if units > 0 && !held.buyer_id.is_empty() && counter_shard(campaign, &held.buyer_id) == self.here {
            shard.campaigns.buy(campaign, &held.buyer_id, units);
        }
        if terms.stage == Stage::Waiting && held.reservation.home() == self.here {
            let [wanted] = &*terms.wanted else {
                return Err(Misfit("who waits, waits for one SKU"));
            };
            let line = shard.campaigns.lines.entry((campaign, wanted.sku)).or_default();
            let before = line.buyers.insert(held.buyer_id.as_str().into(), held.reservation);
            require(before.is_none(), "a buyer stands in a line once")?;
            let waiter = Waiter { buyer_id: held.buyer_id.as_str().into(), quantity: wanted.quantity };
            line.waiters.insert(held.reservation, waiter);
        }
        Ok(())
    }

    fn granted(&self, shard: &mut Shard, granted: &Granted) -> Applied {
        let (id, promise) = (granted.reservation, granted.promise);
        let campaign = granted.path.first().and_then(|node| node.campaign());
        let mut lines = Vec::new();
        for line in granted.lines.iter().filter(|line| line.sku.shard() == self.here) {
            self.cell(shard, line.sku, line.location, |cell| plus(cell.promise_mut(promise), line.quantity))?;
            let units = (line.sku, line.quantity);
            let charged = self.charge(&mut shard.allotments, &granted.path, units, promise)?;
            lines.push(PartLine { charged, ..PartLine::open(line.sku, line.location, line.quantity) });
            if let Some(campaign) = campaign {
                take(shard.campaigns.tallies.entry((campaign, line.sku)).or_default(), promise, line.quantity.units());
            }
        }
        if let Some(bought) = &granted.bought
            && counter_shard(bought.campaign, &bought.buyer_id) == self.here
        {
            shard.campaigns.buy(bought.campaign, &bought.buyer_id, bought.quantity.units());
        }
        let at_home = id.home() == self.here;
        if !at_home && lines.is_empty() {
            return Ok(());
        }
        if !at_home {
            let place = shard.parts.insert(id, Part::default());
            require(place.is_some(), "a reservation takes its units once")?;
        }
        let state = match promise {
            Promise::Reserved => State::Held,
            Promise::Committed => State::Confirmed,
        };
        let part = shard.parts.whole_mut(&id).ok_or(Misfit("an event names a reservation that was made"))?;
        require(part.lines.is_empty(), "a reservation takes its units once")?;
        part.promise = promise;
        part.lines.extend(lines);
        part.path.clone_from(&granted.path);
        if let Some(header) = &mut part.header {
            require(
                matches!(header.state, State::Placed | State::Waiting),
                "only what has taken nothing is granted units",
            )?;
        }
        self.state(shard, id, state)?;
        if let Some(header) = shard.parts.whole_mut(&id).and_then(|part| part.header.as_mut()) {
            header.expires_at = granted.expires_at;
            if let Some(kept) = &mut header.kept {
                kept.wanted = Box::default();
                if **kept == Kept::default() {
                    header.kept = None;
                }
            }
        }
        if at_home
            && state == State::Held
            && let Some(place) = shard.parts.place(&id)
        {
            shard.expiries.push(granted.expires_at, place);
        }
        Ok(())
    }

    /// Follows a claim's units in a campaign, and gives them back to their buyer's limit where the claim says so. Asked before the claim's
    /// lines change.
    pub(super) fn turned(&self, shard: &mut Shard, claim: &Claim, turn: Turn) -> Applied {
        if shard.campaigns.tallies.is_empty() && claim.extra.is_none() {
            return Ok(());
        }
        let path = shard.parts.get(&claim.reservation).map(PartRef::path);
        if let Some(campaign) = path.and_then(|path| path.first()).and_then(|node| node.campaign()) {
            for line in claim.lines.iter().filter(|line| line.sku.shard() == self.here) {
                let tally = shard.campaigns.tallies.get_mut(&(campaign, line.sku)).ok_or(TALLIED)?;
                turn_units(tally, turn, line.quantity.units()).ok_or(TALLIED)?;
            }
        }
        if let Some(Bought { campaign, buyer_id, quantity }) =
            claim.extra.as_ref().and_then(|extra| extra.bought.as_ref())
            && counter_shard(*campaign, buyer_id) == self.here
        {
            let given_back = shard.campaigns.give_back(*campaign, buyer_id, quantity.units());
            given_back.ok_or(Misfit("what a buyer gives back to a campaign was counted"))?;
        }
        Ok(())
    }
}

/// Somebody leaves a line.
pub(super) fn leave(shard: &mut Shard, id: ReservationId, campaign: CampaignId, sku: SkuId) -> Applied {
    let line = shard.campaigns.lines.get_mut(&(campaign, sku));
    let line = line.ok_or(Misfit("who waits stands in a line"))?;
    let waiter = line.waiters.remove(&id).ok_or(Misfit("who waits stands in a line"))?;
    line.buyers.remove(&waiter.buyer_id);
    if line.waiters.is_empty() {
        shard.campaigns.lines.remove(&(campaign, sku));
    }
    Ok(())
}

fn take(tally: &mut Tally, promise: Promise, units: u64) {
    tally.granted += units;
    match promise {
        Promise::Reserved => tally.held += units,
        Promise::Committed => tally.confirmed += units,
    }
}

fn turn_units(tally: &mut Tally, turn: Turn, units: u64) -> Option<()> {
    let (from, to) = match turn {
        Turn::Confirmed => (&mut tally.held, &mut tally.confirmed),
        Turn::Shipped => (&mut tally.confirmed, &mut tally.shipped),
        Turn::GivenBack(Promise::Reserved) => (&mut tally.held, &mut tally.given_back),
        Turn::GivenBack(Promise::Committed) => (&mut tally.confirmed, &mut tally.given_back),
    };
    *from = from.checked_sub(units)?;
    *to += units;
    Some(())
}

impl Change {
    /// Ring-fences units of a SKU for a campaign, or no longer.
    fn fence(&self, shard: &mut Shard, campaign: CampaignId, sku: SkuId, units: Option<u32>) -> Applied {
        require(sku.row() < shard.rows.len(), KNOWN_SKU)?;
        // What can be had of the SKU changes, and whoever read it before must see that.
        shard.row_mut(sku).set_revision(self.lsn);
        let shipped = shard.campaigns.tallies.get(&(campaign, sku)).map_or(0, |tally| tally.shipped);
        let own = shard.allotments.entry(sku).or_default().entry(NodeId::from(campaign)).or_default();
        own.fence(units, shipped);
        prune(&mut shard.allotments, sku);
        shard.rules.mark(sku, self.now);
        Ok(())
    }
}

//! Flash sales, their buyers and their waiting lists, and orders that take stock at payment: the naive fold.

use std::collections::BTreeMap;

use quartermaster_journal::Lsn;
use quartermaster_proto::journal::v1 as wire;

use super::{Check, Fault, History, Moment};
use crate::{
    campaign::{Campaign, Campaigns, Tally, counter_shard},
    codec::campaign::campaign_from_wire,
    engine::Engine,
    event::{
        Claim, Held, Line, Promise,
        campaign::{CampaignEvent, DropReason, Granted},
    },
    id::{CampaignId, ReservationId, ShardId, SkuId},
    reservation::{Header, State},
    terms::{Stage, Wanted},
    time::Timestamp,
};

/// What the events left.
#[derive(Default)]
pub(super) struct CampaignFold {
    campaigns: Vec<Campaign>,
    /// Reservations in campaigns, and those that had taken nothing at first: their campaign, buyer and wishes.
    orders: BTreeMap<ReservationId, Order>,
    tallies: BTreeMap<(CampaignId, SkuId), Tally>,
    lines: BTreeMap<(CampaignId, SkuId), BTreeMap<ReservationId, (String, u32)>>,
    buyers: BTreeMap<(CampaignId, String), u64>,
}

#[derive(Clone)]
struct Order {
    campaign: Option<CampaignId>,
    buyer: String,
    wanted: Vec<Wanted>,
}

/// What happens to units of a claim.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Confirmed,
    Shipped,
    GivenBack(Promise),
}

impl CampaignFold {
    fn campaign(&self, id: CampaignId) -> Option<&Campaign> {
        self.campaigns.get(id.index())
    }

    /// Campaigns of the first snapshot.
    pub(super) fn restore(&mut self, campaigns: &[wire::Campaign]) {
        self.campaigns.extend(campaigns.iter().map(campaign_from_wire));
    }
}

impl History {
    fn campaign_fault(&mut self, check: Check, id: CampaignId, rule: &'static str, figure: u64, right: u64) {
        self.findings.add(check, Fault::Campaign { id: id.0, rule, figure, right });
    }

    pub(super) fn fold_campaign(&mut self, at: Moment, event: &CampaignEvent) {
        match event {
            CampaignEvent::Upserted { campaigns, left, created } => {
                let (mut new, judged) = (0, at.lsn > self.names.complete_to);
                for campaign in campaigns {
                    for item in &campaign.items {
                        self.fence(at, campaign.id, item.sku, Some(u32::try_from(item.units()).unwrap_or(u32::MAX)));
                    }
                    if judged {
                        new += u32::from(campaign.id.index() >= self.campaign_fold.campaigns.len());
                        self.put_campaign(at, campaign);
                    }
                }
                for (campaign, sku) in left {
                    let used = self.campaign_fold.tallies.get(&(*campaign, *sku)).map_or(0, Tally::used);
                    if used > 0 {
                        let rule = "a SKU leaves it while buyers have units";
                        self.campaign_fault(Check::LifeCycle, *campaign, rule, used, 0);
                    }
                    self.fence(at, *campaign, *sku, None);
                }
                if judged && new != *created {
                    self.findings.add(Check::Catalogue, Fault::CreatedCount { said: *created, counted: new });
                }
            }
            CampaignEvent::Closed { campaign, ends_at, buyers, returned } => {
                returned.iter().for_each(|(sku, _)| self.fence(at, *campaign, *sku, None));
                self.campaign_closed(at, *campaign, *ends_at, *buyers)
            }
            CampaignEvent::Granted(granted) => self.granted(at, granted),
            CampaignEvent::Dropped { reservation, reason } => {
                self.expect(at, *reservation, &[State::Waiting], "dropped", false);
                let state = match reason {
                    DropReason::Ended => State::Expired,
                    DropReason::LimitReached | DropReason::NotOffered => State::Cancelled,
                };
                self.touch(at, *reservation, Some(state));
            }
        }
    }

    /// Ring-fences units of a SKU for a campaign, or no longer.
    fn fence(&mut self, at: Moment, campaign: CampaignId, sku: SkuId, units: Option<u32>) {
        if !self.fresh(at.lsn, sku.shard()) {
            return;
        }
        match self.shards.row_mut(sku) {
            Some(row) => row.revision = at.lsn,
            None => return self.findings.add(Check::Catalogue, Fault::Unknown { what: "SKU", id: sku.0 }),
        }
        let shipped = self.campaign_fold.tallies.get(&(campaign, sku)).map_or(0, |tally| tally.shipped);
        self.fence_allotment(sku, campaign.into(), units, shipped);
    }

    fn put_campaign(&mut self, at: Moment, campaign: &Campaign) {
        let place = campaign.id.index();
        let known = &mut self.campaign_fold.campaigns;
        match known.get_mut(place) {
            Some(before) => {
                let same = before.code == campaign.code && before.channel == campaign.channel;
                let over = before.closed.is_some();
                *before = campaign.clone();
                if over || !same {
                    let rule = "what is over, or its code or channel, changes";
                    self.campaign_fault(Check::LifeCycle, campaign.id, rule, 1, 0);
                }
            }
            None => {
                let expected = u32::try_from(known.len()).unwrap_or(u32::MAX);
                known.push(campaign.clone());
                if campaign.id.0 != expected {
                    let fault = Fault::IdNotDense { what: "campaign", id: campaign.id.0, expected };
                    self.findings.add(Check::Catalogue, fault);
                }
            }
        }
        for item in &campaign.items {
            let used = self.campaign_fold.tallies.get(&(campaign.id, item.sku)).map_or(0, Tally::used);
            if item.units() < used {
                let rule = "it has fewer units than buyers have";
                self.campaign_fault(Check::LifeCycle, campaign.id, rule, item.units(), used);
            }
        }
        if campaign.starts_at >= campaign.ends_at || campaign.ends_at <= at.time {
            let rule = "it ends before it starts, or in the past";
            self.campaign_fault(Check::LifeCycle, campaign.id, rule, campaign.ends_at.0, campaign.starts_at.0);
        }
    }

    fn campaign_closed(&mut self, at: Moment, id: CampaignId, ends_at: Timestamp, said: u64) {
        if at.lsn > self.names.complete_to {
            match self.campaign_fold.campaigns.get_mut(id.index()) {
                None => self.findings.add(Check::Catalogue, Fault::Unknown { what: "campaign", id: id.0 }),
                Some(campaign) => {
                    let twice = campaign.closed.is_some();
                    let late = ends_at > campaign.ends_at || ends_at > at.time;
                    campaign.ends_at = ends_at;
                    campaign.closed = Some(crate::campaign::Closing { at: ends_at, buyers: said });
                    if twice || late {
                        self.campaign_fault(Check::LifeCycle, id, "it closes twice, or before its end", 1, 0);
                    }
                }
            }
        }
        let whole = self.whole(at);
        let mut counted = 0;
        let fresh = |history: &Self, buyer: &str| history.fresh(at.lsn, counter_shard(id, buyer));
        let gone: Vec<_> = self.campaign_fold.buyers.keys().filter(|(campaign, _)| *campaign == id).cloned().collect();
        for key in gone {
            if fresh(self, &key.1) {
                self.campaign_fold.buyers.remove(&key);
                counted += 1;
            }
        }
        if whole && counted != said {
            self.campaign_fault(Check::Conservation, id, "it says how many buyers it had", said, counted);
        }
    }

    /// What a hold's terms mean for its campaign.
    pub(super) fn begun(&mut self, at: Moment, held: &Held) {
        let Some(terms) = held.terms.as_deref() else { return };
        let id = held.reservation;
        if terms.campaign.is_none() && terms.wanted.is_empty() {
            return;
        }
        let order = Order { campaign: terms.campaign, buyer: held.buyer_id.to_string(), wanted: terms.wanted.to_vec() };
        self.campaign_fold.orders.insert(id, order);
        let Some(campaign) = terms.campaign else { return };
        let requested = held.lines.iter().map(|line| line.quantity.units()).sum::<u64>()
            + terms.wanted.iter().map(|wanted| wanted.quantity.units()).sum::<u64>();
        self.admitted(at, campaign, requested);
        if terms.stage == Stage::Waiting
            && let [wanted] = &*terms.wanted
            && self.fresh(at.lsn, id.home())
        {
            let line = self.campaign_fold.lines.entry((campaign, wanted.sku)).or_default();
            let stands = line.values().any(|(buyer, _)| **buyer == *held.buyer_id);
            let last = line.last_key_value().is_none_or(|(last, _)| *last < id);
            line.insert(id, (held.buyer_id.to_string(), wanted.quantity.0));
            let place = u64::try_from(line.len()).unwrap_or(u64::MAX);
            if stands || !last || u64::from(terms.place) != place {
                let rule = "a buyer stands in a line once, behind all others";
                self.campaign_fault(Check::LifeCycle, campaign, rule, terms.place.into(), place);
            }
        }
        self.taken(at, id, campaign, &held.buyer_id, &held.lines, terms.stage.promise());
    }

    /// Checks that a campaign takes an order at this time.
    fn admitted(&mut self, at: Moment, id: CampaignId, requested: u64) {
        if at.lsn <= self.names.complete_to {
            return;
        }
        let Some(campaign) = self.campaign_fold.campaign(id) else {
            self.findings.add(Check::Catalogue, Fault::Unknown { what: "campaign", id: id.0 });
            return;
        };
        let in_time = campaign.starts_at <= at.time && at.time < campaign.ends_at && campaign.closed.is_none();
        let limit = u64::from(campaign.order_limit);
        if !in_time {
            self.campaign_fault(
                Check::LifeCycle,
                id,
                "it takes an order before its start or after its end",
                at.time.0,
                0,
            );
        }
        if limit > 0 && requested > limit {
            self.campaign_fault(Check::Oversell, id, "an order passes its limit", requested, limit);
        }
    }

    /// Units are taken in a campaign.
    fn taken(
        &mut self,
        at: Moment,
        id: ReservationId,
        campaign: CampaignId,
        buyer: &str,
        lines: &[Line],
        promise: Promise,
    ) {
        let judged = at.lsn > self.names.complete_to;
        for line in lines.iter().filter(|line| self.fresh(at.lsn, line.sku.shard())).copied().collect::<Vec<_>>() {
            let key = (campaign, line.sku);
            if let Some(first) = self.campaign_fold.lines.get(&key).and_then(|line| line.first_key_value())
                && *first.0 < id
            {
                let rule = "units go to somebody while another waits longer";
                self.campaign_fault(Check::LifeCycle, campaign, rule, id.0, first.0.0);
            }
            let tally = self.campaign_fold.tallies.entry(key).or_default();
            tally.granted += line.quantity.units();
            match promise {
                Promise::Reserved => tally.held += line.quantity.units(),
                Promise::Committed => tally.confirmed += line.quantity.units(),
            }
            let used = tally.used();
            let item = self.campaign_fold.campaign(campaign).and_then(|campaign| campaign.item(line.sku));
            let released = item.map_or(0, |item| item.released(at.time));
            if judged && used > released {
                self.campaign_fault(Check::Oversell, campaign, "it gives more than it has released", used, released);
            }
        }
        let units: u64 = lines.iter().map(|line| line.quantity.units()).sum();
        if units > 0 && !buyer.is_empty() && self.fresh(at.lsn, counter_shard(campaign, buyer)) {
            let count = self.campaign_fold.buyers.entry((campaign, buyer.to_owned())).or_default();
            *count += units;
            let count = *count;
            let limit = self.campaign_fold.campaign(campaign).map_or(0, |campaign| u64::from(campaign.buyer_limit));
            if judged && limit > 0 && count > limit {
                self.campaign_fault(Check::Oversell, campaign, "a buyer passes its limit", count, limit);
            }
        }
    }

    /// Follows a claim's units in their campaign, and checks what it gives back to its buyer's limit.
    pub(super) fn turned(&mut self, at: Moment, claim: &Claim, turn: Turn) {
        let Some(order) = self.campaign_fold.orders.get(&claim.reservation).cloned() else { return };
        let Some(campaign) = order.campaign else { return };
        for line in &claim.lines {
            if !self.fresh(at.lsn, line.sku.shard()) {
                continue;
            }
            let units = line.quantity.units();
            let tally = self.campaign_fold.tallies.entry((campaign, line.sku)).or_default();
            let (from, to) = match turn {
                Turn::Confirmed => (&mut tally.held, &mut tally.confirmed),
                Turn::Shipped => (&mut tally.confirmed, &mut tally.shipped),
                Turn::GivenBack(Promise::Reserved) => (&mut tally.held, &mut tally.given_back),
                Turn::GivenBack(Promise::Committed) => (&mut tally.confirmed, &mut tally.given_back),
            };
            *from = from.saturating_sub(units);
            *to += units;
        }
        let units: u64 = claim.lines.iter().map(|line| line.quantity.units()).sum();
        let said = claim.extra.as_ref().and_then(|extra| extra.bought.as_ref());
        let said = said.filter(|bought| bought.campaign == campaign && *bought.buyer_id == *order.buyer);
        let said = said.map_or(0, |bought| bought.quantity.units());
        let open = self.campaign_fold.campaign(campaign).is_some_and(|campaign| campaign.closed.is_none());
        let counts = matches!(turn, Turn::GivenBack(_)) && open && !order.buyer.is_empty();
        let right = if counts { units } else { 0 };
        if at.lsn > self.names.complete_to && said != right {
            self.campaign_fault(Check::Conservation, campaign, "a buyer gets back what was given back", said, right);
        }
        if said > 0 && self.fresh(at.lsn, counter_shard(campaign, &order.buyer)) {
            let key = (campaign, order.buyer);
            let count = self.campaign_fold.buyers.get(&key).copied().unwrap_or(0);
            if count < said {
                self.campaign_fault(Check::Conservation, campaign, "a buyer gives back more than it had", said, count);
            }
            if count <= said {
                self.campaign_fold.buyers.remove(&key);
            } else {
                self.campaign_fold.buyers.insert(key, count - said);
            }
        }
    }

    /// Whoever waited and ends, stands in line no longer.
    pub(super) fn left_line(&mut self, at: Moment, id: ReservationId) {
        let Some(order) = self.campaign_fold.orders.get(&id) else { return };
        let (Some(campaign), [wanted]) = (order.campaign, &order.wanted[..]) else { return };
        let key = (campaign, wanted.sku);
        if self.fresh(at.lsn, id.home())
            && let Some(line) = self.campaign_fold.lines.get_mut(&key)
        {
            line.remove(&id);
            if line.is_empty() {
                self.campaign_fold.lines.remove(&key);
            }
        }
    }

    fn granted(&mut self, at: Moment, granted: &Granted) {
        let id = granted.reservation;
        self.expect(at, id, &[State::Placed, State::Waiting], "granted", true);
        if granted.lines.is_empty() {
            self.findings.add(Check::LifeCycle, Fault::EmptyLine { id });
        }
        let order = self.campaign_fold.orders.get(&id).cloned();
        if let Some(order) = &order {
            let sum = |sku: SkuId| {
                let wanted = order.wanted.iter().filter(|wanted| wanted.sku == sku);
                let lines = granted.lines.iter().filter(|line| line.sku == sku);
                let wanted: u64 = wanted.map(|wanted| wanted.quantity.units()).sum();
                (wanted, lines.map(|line| line.quantity.units()).sum::<u64>())
            };
            let skus = order.wanted.iter().map(|wanted| wanted.sku).chain(granted.lines.iter().map(|line| line.sku));
            let wrong = skus.map(sum).find(|(wanted, granted)| wanted != granted);
            if let Some((open, units)) = wrong {
                self.findings.add(Check::LifeCycle, Fault::NotAll { id, step: "granted", units, open });
            }
        }
        self.reservations.part_mut(id).path.clone_from(&granted.path);
        for line in self.fresh_lines(at, id, &granted.lines) {
            self.expect_available(at, line, true);
            let units = line.quantity;
            self.change(
                at.lsn,
                line.sku,
                line.location,
                &[(super::reservations::bucket(granted.promise), units.signed())],
            );
            self.units.held += units.units();
            if granted.promise == Promise::Committed {
                self.units.confirmed += units.units();
            }
            let charged = self.charge(&granted.path, line, granted.promise);
            self.add_open(id, line, charged);
        }
        self.left_line(at, id);
        if let Some(Order { campaign: Some(campaign), buyer, .. }) = &order {
            let units = granted.lines.iter().map(|line| line.quantity.units()).sum();
            self.admitted(at, *campaign, units);
            let said = granted.bought.as_ref().map_or(0, |bought| bought.quantity.units());
            if said != if buyer.is_empty() { 0 } else { units } {
                self.campaign_fault(Check::Conservation, *campaign, "a buyer is counted what is granted", said, units);
            }
            self.taken(at, id, *campaign, buyer, &granted.lines, granted.promise);
        }
        let state = match granted.promise {
            Promise::Reserved => State::Held,
            Promise::Committed => State::Confirmed,
        };
        self.begin_state(at, id, state, granted.expires_at);
    }

    /// Counts again from the other end.
    pub(super) fn balance_campaign(&mut self) {
        let mut tallies: BTreeMap<(CampaignId, SkuId), Tally> = BTreeMap::new();
        let mut buyers: BTreeMap<(CampaignId, String), u64> = BTreeMap::new();
        for (id, order) in &self.campaign_fold.orders {
            let (Some(campaign), Some(reservation)) = (order.campaign, self.reservations.get(*id)) else { continue };
            for line in &reservation.lines {
                let tally = tallies.entry((campaign, line.sku)).or_default();
                match reservation.state {
                    State::Held => tally.held += line.open.units(),
                    _ => tally.confirmed += line.open.units(),
                }
                tally.shipped += line.shipped.units();
                tally.given_back += line.returned.units();
                tally.granted += line.open.units() + line.shipped.units() + line.returned.units();
                let open = self.campaign_fold.campaign(campaign).is_some_and(|one| one.closed.is_none());
                let has = line.open.units() + line.shipped.units();
                if open && has > 0 && !order.buyer.is_empty() {
                    *buyers.entry((campaign, order.buyer.clone())).or_default() += has;
                }
            }
        }
        // What ended before the first snapshot is counted and not kept.
        let from_the_start = self.shards.all_complete_to() == Lsn::ZERO;
        let mut faults = Vec::new();
        for (key, tally) in &self.campaign_fold.tallies {
            let counted = tallies.remove(key).unwrap_or_default();
            let promised = (tally.held, tally.confirmed) == (counted.held, counted.confirmed);
            if !promised || from_the_start && *tally != counted {
                faults.push((key.0, "units of a SKU are what its reservations sum to", tally.used(), counted.used()));
            }
        }
        for (key, units) in &self.campaign_fold.buyers {
            let counted = buyers.remove(key).unwrap_or(0);
            if counted > *units || from_the_start && counted != *units {
                faults.push((key.0, "a buyer has what its reservations sum to", *units, counted));
            }
        }
        faults.extend(tallies.into_iter().map(|(key, tally)| (key.0, "units are not counted", 0, tally.used())));
        faults.extend(buyers.into_iter().map(|(key, units)| (key.0, "a buyer is not counted", 0, units)));
        for (id, rule, figure, right) in faults {
            self.campaign_fault(Check::Conservation, id, rule, figure, right);
        }
    }

    /// Takes what a first snapshot's shard says as the beginning.
    pub(super) fn begin_campaign(&mut self, _shard: ShardId, section: &wire::CampaignSection) {
        let fold = &mut self.campaign_fold;
        for tally in &section.tallies {
            fold.tallies.insert((CampaignId(tally.campaign), SkuId(tally.sku)), tally_of(tally));
        }
        for waiter in &section.waiters {
            let line = fold.lines.entry((CampaignId(waiter.campaign), SkuId(waiter.sku))).or_default();
            line.insert(ReservationId(waiter.reservation), (waiter.buyer_id.clone(), waiter.quantity));
        }
        for buyer in &section.buyers {
            fold.buyers.insert((CampaignId(buyer.campaign), buyer.buyer_id.clone()), buyer.units);
        }
    }

    /// Takes what a first snapshot's header says of campaigns.
    pub(super) fn begin_order(&mut self, id: ReservationId, header: &Header) {
        let Some(kept) = header.kept.as_deref() else { return };
        if kept.campaign.is_some() || !kept.wanted.is_empty() {
            let (campaign, wanted) = (kept.campaign, kept.wanted.to_vec());
            self.campaign_fold.orders.insert(id, Order { campaign, buyer: header.buyer_id.to_string(), wanted });
        }
    }

    /// Compares with a shard: of an engine, or of a snapshot.
    pub(super) fn compare_campaign(&mut self, check: Check, shard: ShardId, found: &wire::CampaignSection) {
        let fold = &self.campaign_fold;
        let here = |sku: SkuId| sku.shard() == shard;
        let tallies: BTreeMap<_, _> =
            fold.tallies.iter().filter(|((_, sku), _)| here(*sku)).map(|(key, one)| (*key, *one)).collect();
        let found_tallies: BTreeMap<_, _> = found
            .tallies
            .iter()
            .map(|tally| ((CampaignId(tally.campaign), SkuId(tally.sku)), tally_of(tally)))
            .collect();
        let lines: Vec<_> = fold
            .lines
            .iter()
            .filter(|((_, sku), _)| here(*sku))
            .flat_map(|((campaign, sku), line)| {
                line.iter().map(|(id, (buyer, units))| (campaign.0, sku.0, id.0, buyer.clone(), *units))
            })
            .collect();
        let found_lines: Vec<_> = found
            .waiters
            .iter()
            .map(|one| (one.campaign, one.sku, one.reservation, one.buyer_id.clone(), one.quantity))
            .collect();
        let buyers: Vec<_> = fold
            .buyers
            .iter()
            .filter(|((campaign, buyer), _)| counter_shard(*campaign, buyer) == shard)
            .map(|((campaign, buyer), units)| (campaign.0, buyer.clone(), *units))
            .collect();
        let found_buyers: Vec<_> =
            found.buyers.iter().map(|buyer| (buyer.campaign, buyer.buyer_id.clone(), buyer.units)).collect();
        let differing = [
            (tallies != found_tallies, "units of campaigns", found_tallies.len(), tallies.len()),
            (lines != found_lines, "waiting buyers", found_lines.len(), lines.len()),
            (buyers != found_buyers, "counted buyers", found_buyers.len(), buyers.len()),
        ];
        let wide = |number| u64::try_from(number).unwrap_or(u64::MAX);
        for (_, what, found, folded) in differing.into_iter().filter(|(differs, ..)| *differs) {
            let fault = Fault::NumberDiffers { what, found: wide(found), folded: wide(folded) };
            self.findings.add(check, fault);
        }
    }

    /// Compares campaigns with those of a snapshot or an engine.
    pub(super) fn compare_campaigns(&mut self, check: Check, found: &[Campaign]) {
        if found != self.campaign_fold.campaigns {
            let pairs = found.iter().zip(&self.campaign_fold.campaigns);
            let id = pairs.take_while(|(found, folded)| found == folded).count();
            let id = u32::try_from(id).unwrap_or(u32::MAX);
            self.findings.add(check, Fault::EntryDiffers { what: "campaign", id, figure: "description" });
        }
    }

    /// Compares with an engine what lies in no shard.
    pub(super) fn compare_campaign_whole(&mut self, engine: &Engine) {
        let found = all(engine.catalogue().directory().campaigns());
        self.compare_campaigns(Check::Recovery, &found);
        for violation in engine.audit_campaigns() {
            self.findings.add(Check::Audit, Fault::Audit { violation });
        }
    }
}

fn all(campaigns: &Campaigns) -> Vec<Campaign> {
    campaigns.all().iter().map(|campaign| Campaign::clone(campaign)).collect()
}

fn tally_of(tally: &wire::CampaignTally) -> Tally {
    Tally {
        granted: tally.granted,
        held: tally.held,
        confirmed: tally.confirmed,
        shipped: tally.shipped,
        given_back: tally.given_back,
    }
}

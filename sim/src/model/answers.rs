//! Whether an answer is the right one: an event that is what was asked for, a "no" that the figures bear out, an error that is true.

use std::collections::BTreeMap;

use quartermaster_engine::{
    Answer, Error, Rejection, Verdict,
    campaign::Campaign,
    command::{
        Command, HOLD_TTL_DEFAULT, Presale, Reserve, Step,
        returns::ReturnsCommand,
        upkeep::{RepairMode, UpkeepCommand, Which},
    },
    event::{Event, Held, Record},
    id::{ChannelId, LocationId, ReservationId, SkuId, SupplyId},
    reservation::State,
    terms::Stage,
    time::Timestamp,
    upkeep::Frozen,
};

use super::{Judged, Model, must};

/// What an order wants: units by SKU and place; no place means anywhere.
type Wanted = BTreeMap<(SkuId, String), u64>;

impl Model {
    /// Judges what was said to a command, and follows what happened.
    ///
    /// # Errors
    /// What is wrong with the answer.
    pub fn answered(
        &mut self,
        id: &str,
        command: &Command,
        result: &Result<Answer, Error>,
        records: &[Record],
    ) -> Judged {
        if let Some((first, lsn)) = self.remembered.get(id) {
            must!(records.is_empty(), "a repeat leaves no record");
            return match result {
                Ok(answer) if answer.replayed => {
                    must!(first == command, "another content gets the first answer");
                    must!(answer.lsn.get() == *lsn, "a repeat tells another LSN");
                    Ok(())
                }
                Err(Error::RequestIdReused { .. }) => {
                    must!(first != command, "a repeat is refused");
                    Ok(())
                }
                other => Err(format!("a repeat gets {other:?}")),
            };
        }
        match result {
            Ok(Answer { replayed: true, .. }) => Err("a first request is no repeat".into()),
            Ok(Answer { lsn, verdict: Verdict::Done(event), .. }) => {
                let [record] = records else { return Err(format!("{} records of one event", records.len())) };
                must!(record.event == *event && record.request_id == id, "the record is not the answer");
                self.is_what_was_asked(command, event)?;
                self.record(record)?;
                must!(lsn.get() == self.lsn, "the answer tells LSN {lsn}, not {}", self.lsn);
                self.remembered.insert(id.into(), (command.clone(), self.lsn));
                Ok(())
            }
            Ok(Answer { lsn, verdict: Verdict::Rejected(no), .. }) => {
                must!(records.is_empty(), "a no leaves no record");
                must!(lsn.get() <= self.lsn, "a no rests on what has happened");
                self.is_a_right_no(command, no)
            }
            Ok(Answer { verdict: Verdict::Nothing, .. }) => {
                must!(records.is_empty(), "nothing leaves no record");
                self.is_nothing_right(command)
            }
            Err(error) => {
                must!(records.is_empty(), "an error leaves no record");
                self.is_a_true_error(command, error)
            }
        }
    }

    fn is_what_was_asked(&self, command: &Command, event: &Event) -> Judged {
        match (command, event) {
            (Command::Reserve(reserve), Event::Held(held)) => self.held_as_asked(reserve, held),
            (Command::Reservation(id, step), event) => {
                must!(event.reservation() == Some(*id), "an event of another reservation");
                let fits = match step {
                    Step::Confirm => matches!(event, Event::Confirmed { .. } | Event::Campaign(_)),
                    Step::Release | Step::Expire => matches!(event, Event::HoldEnded { .. }),
                    Step::Cancel(_) => matches!(event, Event::Cancelled { .. }),
                    Step::Extend(ttl) => {
                        matches!(event, Event::Extended { expires_at, .. } if *expires_at == self.now.plus(*ttl))
                    }
                    Step::Ship(_) => matches!(event, Event::Shipped { .. }),
                    Step::Reassign(_) => matches!(event, Event::Reassigned { .. } | Event::Rerouted(_)),
                };
                must!(fits, "{step:?} led to {event:?}");
                Ok(())
            }
            (Command::Reserve(_), _) => Err("an order led to no hold".into()),
            (Command::Returns(command), Event::Returns(event)) => self.returned_as_asked(command, event),
            _ => Ok(()),
        }
    }

    /// What is wanted of each SKU and place, of a kit its components. `None` when a code is not known.
    fn wanted(&self, reserve: &Reserve) -> Option<Wanted> {
        let mut wanted = Wanted::new();
        for line in &reserve.lines {
            let sku = self.sku(&line.sku)?;
            let parts = &self.skus[sku.index()].components;
            let parts = if parts.is_empty() { &vec![(sku, 1)] } else { parts };
            for (part, units) in parts {
                *wanted.entry((*part, line.location.clone().into())).or_default() += units * line.quantity.units();
            }
        }
        Some(wanted)
    }

    fn has_kits(&self, reserve: &Reserve) -> bool {
        let kit = |code: &str| self.sku(code).is_some_and(|sku| !self.skus[sku.index()].components.is_empty());
        reserve.lines.iter().any(|line| kit(&line.sku))
    }

    pub(super) fn held_as_asked(&self, reserve: &Reserve, held: &Held) -> Judged {
        must!(*held.buyer_id == *reserve.buyer_id && *held.order_id == *reserve.order_id, "another's order");
        must!(held.channel == self.channel_of(reserve), "another channel");
        let stage = held.terms.as_ref().map_or(Stage::Held, |terms| terms.stage);
        let campaign = self.campaign_of(reserve);
        must!(
            held.terms.as_ref().and_then(|terms| terms.campaign) == campaign.map(|campaign| campaign.id),
            "another campaign"
        );
        let channel = held.channel.map(|channel| &self.channels[channel.index()]);
        let own = channel.and_then(|channel| channel.hold_ttl).unwrap_or(HOLD_TTL_DEFAULT);
        let ttl = if reserve.ttl.0 == 0 { own } else { reserve.ttl };
        let expires = match stage {
            Stage::Held | Stage::Placed => self.now.plus(ttl),
            Stage::Committed => Timestamp::MAX,
            Stage::Waiting => campaign.map_or(Timestamp(0), |campaign| campaign.ends_at),
        };
        must!(held.expires_at == expires, "another expiry than {expires:?}");
        if reserve.sourcing.is_some() {
            return Ok(());
        }
        let mut taken: BTreeMap<SkuId, u64> = BTreeMap::new();
        let pending = held.terms.iter().flat_map(|terms| terms.wanted.iter()).map(|one| (one.sku, one.quantity));
        let ahead = held.presold().iter().map(|one| (one.line.sku, one.line.quantity));
        let lines = held.lines.iter().map(|line| (line.sku, line.quantity));
        lines.chain(ahead).chain(pending).for_each(|(sku, units)| *taken.entry(sku).or_default() += units.units());
        let Some(wanted) = self.wanted(reserve) else { return Err("SKUs that are not known are held".into()) };
        let most = self.best(reserve, &wanted);
        for sku in self.all_skus() {
            let asked: u64 = wanted.iter().filter(|((one, _), _)| *one == sku).map(|(_, units)| units).sum();
            let taken = taken.get(&sku).copied().unwrap_or(0);
            if stage == Stage::Waiting {
                must!(taken == asked, "{taken} of {asked} are waited for");
                continue;
            }
            let most = most.get(&sku).copied().unwrap_or(0);
            // Of what is left besides whole kits single units are taken.
            let in_part = reserve.allow_partial && self.has_kits(reserve);
            must!(taken == most || in_part && taken < most, "{taken} of {sku:?} are taken, {most} can be");
            must!(reserve.allow_partial || taken == asked, "{taken} of {sku:?} are taken, {asked} were asked for");
        }
        // What was asked for at a place is taken there.
        for ((sku, place), units) in wanted.iter().filter(|((_, place), _)| !place.is_empty()) {
            let own = held.lines.iter().filter(|line| line.sku == *sku && self.location_code(line.location) == *place);
            let ahead = held.presold().iter().map(|one| one.line);
            let ahead = ahead.filter(|line| line.sku == *sku && self.location_code(line.location) == *place);
            let taken: u64 = own.copied().chain(ahead).map(|line| line.quantity.units()).sum();
            let takes = matches!(stage, Stage::Held | Stage::Committed);
            must!(reserve.allow_partial || !takes || taken >= *units, "{taken} of {units} are taken at {place}");
        }
        Ok(())
    }

    /// The most that can be promised of each SKU to an order without a router: named places first, then anywhere; stock first, where
    /// it may be, then what is expected, the earliest first.
    fn best(&self, reserve: &Reserve, wanted: &Wanted) -> BTreeMap<SkuId, u64> {
        let freed = self.freed(reserve);
        let presale = reserve.asked.as_ref().map_or(Presale::No, |asked| asked.presale);
        let (stock, by) = match presale {
            Presale::No => (true, None),
            Presale::StockFirst { by } => (true, Some(by.unwrap_or(Timestamp::MAX))),
            Presale::Only { by } => (false, Some(by.unwrap_or(Timestamp::MAX))),
        };
        let mut best = BTreeMap::new();
        for sku in self.all_skus().filter(|sku| wanted.keys().any(|(one, _)| one == sku)) {
            let freed_at = |location| freed.get(&(sku, location)).copied().unwrap_or(0);
            let left = self.all_locations().map(|location| (location, self.left((sku, location), freed_at(location))));
            let mut left: BTreeMap<_, u64> = left.collect();
            let mut rooms: Vec<(LocationId, u64)> = self.rooms(reserve, sku, by);
            let (mut most, mut promisable) = self.most(reserve, sku, by.is_some());
            let mut taken = 0;
            let (named, open): (Vec<_>, Vec<_>) =
                wanted.iter().filter(|((one, _), _)| *one == sku).partition(|((_, place), _)| !place.is_empty());
            for ((_, place), units) in named.into_iter().chain(open) {
                let at = self.location(place);
                let here = |location: LocationId| place.is_empty() || at == Some(location);
                let mut missing = *units;
                for (_, there) in left.iter_mut().filter(|(location, _)| stock && here(**location)) {
                    let units = missing.min(*there).min(most);
                    (*there, most, missing) = (*there - units, most - units, missing - units);
                }
                let of_stock = *units - missing;
                promisable -= of_stock.min(promisable);
                let mut ahead = missing.min(promisable);
                for (_, room) in rooms.iter_mut().filter(|(location, _)| here(*location)) {
                    let units = ahead.min(*room);
                    (*room, ahead, missing, promisable) =
                        (*room - units, ahead - units, missing - units, promisable - units);
                }
                most = most.min(promisable);
                taken += *units - missing;
            }
            best.insert(sku, taken);
        }
        best
    }

    /// What open supplies of a SKU have room for, where they are expected; what an order gives up for itself is room.
    fn rooms(&self, reserve: &Reserve, sku: SkuId, by: Option<Timestamp>) -> Vec<(LocationId, u64)> {
        let Some(by) = by.filter(|_| self.is_for_sale(sku)) else { return Vec::new() };
        let earlier = reserve.replaces.and_then(|id| self.reservations.get(&id)).filter(|one| one.state == State::Held);
        let room = |id: SupplyId| {
            let own = earlier.and_then(|one| one.ahead.get(&id)).map_or(0, |ahead| ahead.units);
            let supply = &self.expected.supplies[&id];
            (supply.location, supply.may().saturating_sub(self.promised_of(id) - own))
        };
        self.open_supplies(sku, by).into_iter().map(room).collect()
    }

    fn campaign_of(&self, reserve: &Reserve) -> Option<&Campaign> {
        let code = reserve.asked.as_ref().map_or("", |asked| &asked.campaign);
        self.sales.find(code)
    }

    /// The channel of an order: its own, or that of its campaign.
    fn channel_of(&self, reserve: &Reserve) -> Option<ChannelId> {
        let own = self.channel(&reserve.channel);
        own.or(self.campaign_of(reserve).filter(|_| reserve.channel.is_empty()).and_then(|campaign| campaign.channel))
    }

    /// What can be taken at a cell once this many promised units of it are freed.
    fn left(&self, place: super::Place, freed: u64) -> u64 {
        if !self.place_is_open(place.1) || !self.is_for_sale(place.0) {
            return 0;
        }
        let mut cell = self.cell(place);
        cell.reserved = cell.reserved.saturating_sub(freed);
        if self.is_frozen(Frozen::Cell(place.0, place.1)) { 0 } else { cell.available() }
    }

    /// The most that an order may have of a SKU, wherever it is: from stock, and in all. What it gives up for itself is free, and counts
    /// to nobody.
    fn most(&self, reserve: &Reserve, sku: SkuId, presale: bool) -> (u64, u64) {
        let mut selling = self.selling.clone();
        let freed = self.freed(reserve);
        let earlier = reserve.replaces.and_then(|id| self.reservations.get(&id)).filter(|one| one.state == State::Held);
        let mut counted = 0;
        if let Some(earlier) = earlier {
            let lines = earlier.lines.iter().filter(|((one, _), own)| *one == sku && own.charged);
            counted += lines.map(|(_, own)| own.open).sum::<u64>();
            let ahead = earlier.ahead.iter().filter(|(id, one)| self.expected.supplies[id].sku == sku && one.charged);
            counted += ahead.map(|(_, ahead)| ahead.units).sum::<u64>();
            for node in &earlier.path {
                if let Some(share) = selling.shares.get_mut(&sku).and_then(|nodes| nodes.get_mut(node)) {
                    share.reserved -= counted.min(share.reserved);
                }
            }
        }
        let freed_at = |location| freed.get(&(sku, location)).copied().unwrap_or(0);
        let pool = self.all_locations().map(|location| self.left((sku, location), freed_at(location))).sum();
        let campaign = self.campaign_of(reserve).map(|campaign| campaign.id);
        let path = self.path_of(self.channel_of(reserve), campaign);
        let mut most = self.reach_in(&selling, sku, &path, pool);
        if let Some(id) = campaign {
            let own = earlier.filter(|earlier| earlier.campaign == Some(id));
            let back: u64 = own
                .map_or(0, |own| own.open().iter().filter(|((one, _), _)| *one == sku).map(|(_, units)| units).sum());
            most = most.min(self.left_in_with(id, sku, ReservationId(u64::MAX), back, reserve.replaces));
        }
        let promisable = if presale { self.promisable(&selling, sku, &path) } else { u64::MAX };
        (most, promisable)
    }

    /// What an order gives up for itself.
    fn freed(&self, reserve: &Reserve) -> super::Units {
        let earlier = reserve.replaces.and_then(|id| self.reservations.get(&id));
        earlier.filter(|earlier| earlier.state == State::Held).map(|earlier| earlier.open()).unwrap_or_default()
    }

    fn is_a_right_no(&self, command: &Command, no: &Rejection) -> Judged {
        match (command, no) {
            (Command::Reserve(reserve), Rejection::InsufficientStock { .. } | Rejection::CampaignSoldOut { .. }) => {
                if reserve.sourcing.is_some() {
                    // Of kits the router's order is told as any other; what it could have planned is not told again here.
                    must!(self.has_kits(reserve), "a router says more than that");
                    return Ok(());
                }
                let Some(wanted) = self.wanted(reserve) else { return Err("an unknown SKU is no shortage".into()) };
                let best = self.best(reserve, &wanted);
                let asked = |sku: SkuId| -> u64 {
                    wanted.iter().filter(|((one, _), _)| *one == sku).map(|(_, units)| units).sum()
                };
                let short = best.iter().any(|(sku, most)| *most < asked(*sku));
                let nothing = best.values().all(|most| *most == 0);
                must!(
                    if reserve.allow_partial { nothing || self.has_kits(reserve) } else { short },
                    "refused, and could be served: {best:?} of {wanted:?}"
                );
                Ok(())
            }
            (_, Rejection::ReservationExpired { reservation, expired_at }) => {
                let known = self.known(*reservation)?;
                let over = known.state == State::Expired
                    || matches!(known.state, State::Held | State::Placed) && known.expires <= self.now;
                must!(over && known.expires == *expired_at, "{reservation} has not expired: {known:?}");
                Ok(())
            }
            (_, Rejection::SkuNotSellable { sku }) => {
                must!(self.sku(sku).is_some_and(|sku| !self.is_for_sale(sku)), "{sku} is for sale");
                Ok(())
            }
            (_, Rejection::ChannelNotActive { channel }) => {
                let known = self.channels.iter().find(|known| known.code == *channel);
                must!(known.is_some_and(|channel| !channel.active), "{channel} is active");
                Ok(())
            }
            (_, Rejection::LocationNotOpen { location, .. }) => {
                let known = self.location(location);
                must!(known.is_some_and(|location| !self.location_is_open(location)), "{location} is open");
                Ok(())
            }
            (Command::Returns(ReturnsCommand::Exchange(exchange)), no @ Rejection::InsufficientStock { .. }) => {
                self.is_a_right_no(&Command::Reserve(exchange.reserve.clone()), no)
            }
            (Command::Returns(command), no) => self.is_a_right_no_to_a_return(command, no),
            (_, Rejection::Frozen { sku, location, reasons }) => {
                let targets = self.freezes.keys().filter(|target| {
                    target.sku().map_or("", |sku| self.sku_code(sku)) == sku
                        && target.location().map_or("", |at| self.location_code(at)) == location
                });
                must!(!reasons.is_empty() && targets.count() > 0, "{sku} at {location} is not frozen");
                Ok(())
            }
            (Command::Upkeep(UpkeepCommand::Repair(repair)), Rejection::NothingToRepair { .. }) => {
                let fits = |place: &super::Place| {
                    // A retired SKU has a code that another may have by now: only who asks for all asks for it, too.
                    (repair.sku.is_empty() || self.sku(&repair.sku) == Some(place.0))
                        && (repair.location.is_empty() || self.location_code(place.1) == repair.location)
                };
                let short = self.cells.iter().filter(|(place, cell)| fits(place) && cell.shortfall() > 0);
                let due = |id: &ReservationId| {
                    let one = &self.reservations[id];
                    one.state == State::Held && one.expires <= self.now
                };
                for (place, cell) in short {
                    let open = self.reservations.iter().filter_map(|(id, one)| Some((id, *one.open().get(place)?)));
                    let (soon, others): (Vec<_>, Vec<_>) = open.partition(|(id, _)| due(id));
                    // What is due covers what is missing as soon as the timer has seen to it.
                    let covered = soon.iter().map(|(_, units)| units).sum::<u64>() >= cell.shortfall();
                    let may_cancel = repair.mode != RepairMode::RerouteOnly;
                    must!(
                        !may_cancel || covered || others.is_empty(),
                        "{place:?} is short by {}; {soon:?} are due, and {others:?} can be cancelled",
                        cell.shortfall()
                    );
                }
                Ok(())
            }
            (Command::Upkeep(UpkeepCommand::Thaw(thaw)), Rejection::NotFrozen { .. }) => {
                let own = self.freezes.iter().filter(|(target, _)| {
                    target.sku().map_or("", |sku| self.sku_code(sku)) == thaw.target.sku
                        && target.location().map_or("", |at| self.location_code(at)) == thaw.target.location
                        && target.sku().is_none_or(|sku| !self.skus[sku.index()].retired)
                });
                let mut all = own.flat_map(|(_, standing)| standing.iter());
                let meant = all.find(|(id, reason)| match thaw.which {
                    Which::All => true,
                    Which::Reason(why) => **reason == why,
                    Which::Id(own) => **id == own,
                });
                must!(meant.is_none(), "{meant:?} stands");
                Ok(())
            }
            (Command::Reserve(reserve), no) if self.campaign_of(reserve).is_some() => {
                self.is_a_right_no_in_a_campaign(reserve, no)
            }
            // What a router or a move of units cannot do is not told again here.
            _ => Ok(()),
        }
    }

    /// Times and limits of a campaign that stand against an order.
    fn is_a_right_no_in_a_campaign(&self, reserve: &Reserve, no: &Rejection) -> Judged {
        let Some(campaign) = self.campaign_of(reserve) else { return Ok(()) };
        let asked: u64 = self.wanted(reserve).map_or(0, |wanted| wanted.values().sum());
        let right = match no {
            Rejection::CampaignNotStarted { .. } => self.now < campaign.starts_at,
            Rejection::CampaignEnded { .. } => campaign.closed.is_some() || campaign.ends_at <= self.now,
            Rejection::NotInCampaign { sku, .. } => {
                campaign.items.iter().all(|item| self.sku_code(item.sku) != sku || self.skus[item.sku.index()].retired)
            }
            Rejection::OrderLimitReached { .. } => campaign.order_limit > 0 && asked > u64::from(campaign.order_limit),
            Rejection::BuyerLimitReached { bought, .. } => {
                let key = (campaign.id, reserve.buyer_id.to_string());
                let earlier = reserve.replaces.and_then(|id| self.reservations.get(&id));
                let own = earlier.filter(|one| one.state == State::Held && one.campaign == Some(campaign.id));
                let back: u64 = own.map_or(0, |own| own.open().values().sum());
                let known = self.sales.bought.get(&key).copied().unwrap_or(0) - back;
                known == *bought && known + asked > u64::from(campaign.buyer_limit)
            }
            Rejection::AlreadyWaiting { reservation, .. } => {
                self.known(*reservation)?.state == State::Waiting && self.known(*reservation)?.buyer == reserve.buyer_id
            }
            _ => true,
        };
        must!(right, "that is not so: {no:?} of {campaign:?}");
        Ok(())
    }

    fn is_nothing_right(&self, command: &Command) -> Judged {
        match command {
            Command::Reservation(id, Step::Expire) => {
                let due = |id: &ReservationId| {
                    let known = &self.reservations[id];
                    matches!(known.state, State::Held | State::Placed) && known.expires <= self.now
                };
                must!(!due(id), "{id} is due");
                Ok(())
            }
            other => Err(format!("{other:?} leads to nothing")),
        }
    }

    /// No hold whose time is up is left once the timer has seen to all.
    ///
    /// # Errors
    /// Names one that is left.
    pub fn expired_all(&self) -> Judged {
        let due =
            |one: &super::Reservation| matches!(one.state, State::Held | State::Placed) && one.expires <= self.now;
        let left = self.reservations.iter().find(|(_, one)| due(one));
        must!(left.is_none(), "{left:?} is due");
        Ok(())
    }

    /// Whether a confirmation is to take units of a SKU that was retired since they were asked for, whoever has its code now.
    fn takes_retired(&self, command: &Command, code: &str) -> bool {
        let Command::Reservation(id, Step::Confirm) = command else { return false };
        let mut pending = self.reservations.get(id).into_iter().flat_map(|own| &own.pending);
        pending.any(|one| self.skus[one.sku.index()].retired && self.sku_code(one.sku) == code)
    }

    fn is_a_true_error(&self, command: &Command, error: &Error) -> Judged {
        match error {
            Error::RequestIdReused { .. } => Err("an id that was never used".into()),
            Error::UnknownReservation { id } => {
                must!(!self.reservations.contains_key(id), "{id} was made");
                Ok(())
            }
            Error::ReservationState { id, state, .. } => {
                must!(self.known(*id)?.state == *state, "{id} is not {state:?}");
                Ok(())
            }
            Error::UnknownSku { code } => {
                must!(self.sku(code).is_none() || self.takes_retired(command, code), "{code} is known");
                Ok(())
            }
            Error::UnknownLocation { code } => {
                must!(self.location(code).is_none(), "{code} is known");
                Ok(())
            }
            Error::UnknownChannel { code } => {
                must!(self.channel(code).is_none(), "{code} is known");
                Ok(())
            }
            Error::StaleRevision { sku, revision, expected } => {
                // Where the lock of the request was taken once, the figure is that of the row.
                let known = self.sku(sku).map(|sku| self.skus[sku.index()].revision);
                must!(known == Some(revision.get()) && revision.get() != *expected, "{sku} has revision {known:?}");
                Ok(())
            }
            Error::Journal(_) | Error::TableFull { .. } => Err(format!("{command:?} cannot lead to {error}")),
            _ => Ok(()),
        }
    }
}

//! Reservations: what they hold and what becomes of it.

use std::collections::BTreeMap;

use quartermaster_engine::{
    campaign::Deduction,
    event::{Claim, EndState, Held, HoldEndReason, Line, Promise},
    id::{CampaignId, ChannelId, LocationId, NodeId, ReservationId, SkuId, SupplyId},
    reservation::State,
    sourced::{AskLine, Rerouted},
    terms::{Stage, Wanted},
    time::Timestamp,
};

use super::{Judged, Model, Units, must, stock::minus, supply::Ahead};

/// Units of a reservation at a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Own {
    pub(crate) open: u64,
    pub(crate) shipped: u64,
    pub(crate) returned: u64,
    /// Of what was shipped, announced to come back.
    pub(crate) announced: u64,
    /// They count to its path.
    pub(crate) charged: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Reservation {
    pub(crate) state: State,
    pub(crate) buyer: String,
    pub(crate) channel: Option<ChannelId>,
    pub(crate) created: Timestamp,
    pub(crate) expires: Timestamp,
    pub(crate) ended: Option<Timestamp>,
    pub(crate) lines: BTreeMap<(SkuId, LocationId), Own>,
    /// Selling nodes that charged lines count to, the innermost first.
    pub(crate) path: Vec<NodeId>,
    /// Kits that lines are components of.
    pub(crate) kits: BTreeMap<SkuId, u64>,
    pub(crate) campaign: Option<CampaignId>,
    /// What is wanted while nothing is taken.
    pub(crate) pending: Vec<Wanted>,
    /// What is promised of what is expected.
    pub(crate) ahead: BTreeMap<SupplyId, Ahead>,
}

impl Reservation {
    pub(crate) fn open(&self) -> Units {
        let open = self.lines.iter().filter(|(_, own)| own.open > 0);
        open.map(|(place, own)| (*place, own.open)).collect()
    }

    fn promise(&self) -> Option<Promise> {
        match self.state {
            State::Held => Some(Promise::Reserved),
            State::Confirmed => Some(Promise::Committed),
            _ => None,
        }
    }
}

pub(super) fn units(lines: &[Line]) -> Units {
    let mut units = Units::new();
    for line in lines {
        *units.entry((line.sku, line.location)).or_default() += line.quantity.units();
    }
    units
}

impl Model {
    pub(super) fn known(&self, id: ReservationId) -> Judged<&Reservation> {
        self.reservations.get(&id).ok_or_else(|| format!("reservation {id} was never made"))
    }

    fn known_mut(&mut self, id: ReservationId) -> &mut Reservation {
        self.reservations.get_mut(&id).expect("asked before")
    }

    pub(super) fn held(&mut self, held: &Held) -> Judged {
        let newest = self.reservations.last_key_value().map_or(0, |(id, _)| id.sequence());
        must!(held.reservation.sequence() > newest, "reservation ids rise");
        if let Some(replaced) = &held.replaced {
            self.replaced(replaced, &held.buyer_id)?;
        }
        if let Some(channel) = held.channel {
            must!(self.channels[channel.index()].active, "an order of a channel that takes none");
        }
        let terms = held.terms.as_deref();
        let stage = terms.map_or(Stage::Held, |terms| terms.stage);
        let campaign = terms.and_then(|terms| terms.campaign);
        let pending = terms.map_or(Vec::new(), |terms| terms.wanted.to_vec());
        let takes = matches!(stage, Stage::Held | Stage::Committed);
        must!(takes == pending.is_empty(), "{stage:?} with {pending:?}");
        must!(takes || held.lines.is_empty() && held.presold().is_empty(), "nothing is taken yet");
        must!(!takes || !held.lines.is_empty() || !held.presold().is_empty(), "nothing is taken");
        let expected = match self.deduction(held.channel) {
            Deduction::Hold => Stage::Held,
            Deduction::OnOrder => Stage::Committed,
            Deduction::OnPayment => Stage::Placed,
        };
        must!(stage == Stage::Waiting || stage == expected, "its channel deducts otherwise: {stage:?}");
        let (state, promise) = match stage {
            Stage::Held => (State::Held, Promise::Reserved),
            Stage::Committed => (State::Confirmed, Promise::Committed),
            Stage::Placed => (State::Placed, Promise::Reserved),
            Stage::Waiting => (State::Waiting, Promise::Reserved),
        };
        if let Some(campaign) = campaign {
            self.judge_campaign(held, campaign, stage)?;
        }
        let path = self.judge_path(held)?;
        self.judge_reach(held)?;
        let ahead = self.presold(held, promise)?;
        let mut lines = BTreeMap::new();
        for line in &held.lines {
            let refused = self.refusals.get(&(line.sku, line.location)).is_some_and(|until| *until > self.now);
            must!(held.sourced.is_none() || !refused, "who refused is not asked again: {line:?}");
            self.take(*line, promise, false)?;
            let charged = self.selling.charge(&path, line.sku, line.quantity.units(), promise);
            let own = Own { open: line.quantity.units(), charged, ..Own::default() };
            must!(lines.insert((line.sku, line.location), own).is_none(), "a cell stands twice in a hold");
        }
        if let Some(sourced) = &held.sourced {
            judge_wanted(held, &sourced.wanted, sourced.ask.allow_partial)?;
        }
        must!(held.expires_at > self.now, "a hold that has expired already");
        let reservation = Reservation {
            state,
            buyer: held.buyer_id.to_string(),
            channel: held.channel,
            created: self.now,
            expires: held.expires_at,
            ended: None,
            lines,
            path,
            kits: self.judge_kits(held)?,
            campaign,
            pending,
            ahead,
        };
        if let Some(campaign) = campaign {
            self.counted(campaign, &held.buyer_id, &units(&held.lines), promise);
        }
        self.reservations.insert(held.reservation, reservation);
        Ok(())
    }

    /// Kits are whole: a hold has the components of each.
    fn judge_kits(&self, held: &Held) -> Judged<BTreeMap<SkuId, u64>> {
        let told = held.terms.iter().flat_map(|terms| terms.kits.iter());
        let kits: BTreeMap<SkuId, u64> = told.map(|kit| (kit.sku, kit.quantity.units())).collect();
        let mut needed = BTreeMap::<SkuId, u64>::new();
        for (kit, count) in &kits {
            must!(*count > 0 && self.is_for_sale(*kit), "kits that are not sold: {kit:?}");
            for (part, units) in &self.skus[kit.index()].components {
                *needed.entry(*part).or_default() += units * count;
            }
        }
        for (part, units) in needed {
            let own = held.lines.iter().filter(|line| line.sku == part);
            let pending = held.terms.iter().flat_map(|terms| terms.wanted.iter()).filter(|want| want.sku == part);
            let ahead = held.presold().iter().map(|one| one.line).filter(|line| line.sku == part);
            let own = own.copied().chain(ahead).map(|line| line.quantity);
            let own: u64 = own.chain(pending.map(|want| want.quantity)).map(|quantity| quantity.units()).sum();
            must!(units <= own, "kits need {units} of {part:?}, there are {own}");
        }
        Ok(kits)
    }

    fn replaced(&mut self, claim: &Claim, buyer: &str) -> Judged {
        let earlier = self.known(claim.reservation)?;
        must!(earlier.buyer == *buyer && !buyer.is_empty(), "a hold of another buyer is replaced");
        let replaceable = matches!(earlier.state, State::Held | State::Placed | State::Waiting);
        must!(replaceable, "only a hold is replaced, not {:?}", earlier.state);
        self.all_of(claim)?;
        self.give_back(claim, Promise::Reserved, Some(State::Replaced))
    }

    /// The claim is all that its reservation has open.
    fn all_of(&self, claim: &Claim) -> Judged {
        let open = self.known(claim.reservation)?.open();
        must!(open == units(&claim.lines), "{} has {open:?} open, not {:?}", claim.reservation, claim.lines);
        let told = claim.presold().iter().map(|one| (one.supply, one.line.quantity.units()));
        let own = self.known(claim.reservation)?.ahead.iter().map(|(supply, ahead)| (*supply, ahead.units));
        let (told, own): (BTreeMap<_, _>, BTreeMap<_, _>) = (told.collect(), own.collect());
        must!(told == own, "{} has {own:?} ahead, not {told:?}", claim.reservation);
        Ok(())
    }

    /// Units go back to the pool.
    pub(super) fn give_back(&mut self, claim: &Claim, promise: Promise, end: Option<State>) -> Judged {
        let id = claim.reservation;
        let found = self.known(id)?.promise();
        let nothing = claim.lines.is_empty() && claim.presold().is_empty();
        must!(found == Some(promise) || nothing, "{id}: units of {promise:?} given back, it has {found:?}");
        self.uncounted(claim, &units(&claim.lines), promise)?;
        self.ahead_given_back(claim, promise)?;
        for (place, units) in units(&claim.lines) {
            self.put_back(place, units, promise)?;
            let reservation = self.known_mut(id);
            let Some(own) = reservation.lines.get_mut(&place) else {
                return Err(format!("{id} has nothing at {place:?}"));
            };
            minus(&mut own.open, units, "open")?;
            own.returned += units;
            if own.charged {
                let path = reservation.path.clone();
                self.selling.discharge(&path, place.0, units, promise)?;
            }
        }
        self.end(id, end)
    }

    /// It ends when nothing is open any more, and not before.
    pub(super) fn end(&mut self, id: ReservationId, end: Option<State>) -> Judged {
        let now = self.now;
        let reservation = self.known_mut(id);
        must!(reservation.state.is_open(), "{id} ends twice");
        let nothing_open = reservation.open().is_empty() && reservation.ahead.is_empty();
        must!(end.is_some() == nothing_open, "{id}: nothing open is {nothing_open}, and it becomes {end:?}");
        if let Some(state) = end {
            (reservation.state, reservation.ended) = (state, Some(now));
        }
        Ok(())
    }

    pub(super) fn confirmed(&mut self, claim: &Claim) -> Judged {
        let id = claim.reservation;
        self.unexpired(id)?;
        must!(self.known(id)?.state == State::Held, "only a hold is confirmed");
        self.all_of(claim)?;
        for (place, units) in units(&claim.lines) {
            self.put_back(place, units, Promise::Reserved)?;
            self.cell_mut(place).committed += units;
            let reservation = &self.reservations[&id];
            if reservation.lines[&place].charged {
                let path = reservation.path.clone();
                self.selling.commit(&path, place.0, units)?;
            }
        }
        if let Some(campaign) = self.known(id)?.campaign {
            self.counted_confirmed(campaign, &units(&claim.lines))?;
        }
        let (path, ahead) = (self.known(id)?.path.clone(), self.known(id)?.ahead.clone());
        for (supply, ahead) in ahead.iter().filter(|(_, ahead)| ahead.charged) {
            self.selling.commit(&path, self.expected.supplies[supply].sku, ahead.units)?;
        }
        self.known_mut(id).state = State::Confirmed;
        Ok(())
    }

    /// Whatever is done to a hold is done before its time is up.
    fn unexpired(&self, id: ReservationId) -> Judged {
        let reservation = self.known(id)?;
        let expires = matches!(reservation.state, State::Held | State::Placed);
        let over = expires && self.now >= reservation.expires;
        must!(!over, "{id} expired before");
        Ok(())
    }

    pub(super) fn hold_ended(&mut self, claim: &Claim, reason: HoldEndReason) -> Judged {
        let end = match reason {
            HoldEndReason::Released => {
                self.unexpired(claim.reservation)?;
                State::Released
            }
            HoldEndReason::Expired => {
                let own = self.known(claim.reservation)?;
                must!(matches!(own.state, State::Held | State::Placed), "only what expires expires");
                let expires = own.expires;
                must!(expires <= self.now, "{} expires too early", claim.reservation);
                State::Expired
            }
        };
        self.all_of(claim)?;
        self.give_back(claim, Promise::Reserved, Some(end))
    }

    pub(super) fn cancelled(&mut self, claim: &Claim, promise: Promise, end: Option<EndState>) -> Judged {
        self.unexpired(claim.reservation)?;
        let shipped = self.known(claim.reservation)?.lines.values().any(|own| own.shipped > 0);
        let state = end.map(EndState::state);
        must!(state.is_none_or(|state| (state == State::Shipped) == shipped), "it ends as {state:?}");
        for kit in claim.extra.iter().flat_map(|extra| extra.kits.iter()) {
            let kits = &mut self.known_mut(claim.reservation).kits;
            minus(kits.entry(kit.sku).or_default(), kit.quantity.units(), "kits")?;
            kits.retain(|_, count| *count > 0);
        }
        self.give_back(claim, promise, state)
    }

    pub(super) fn extended(&mut self, id: ReservationId, expires_at: Timestamp) -> Judged {
        self.unexpired(id)?;
        must!(matches!(self.known(id)?.state, State::Held | State::Placed), "only a hold is extended");
        must!(expires_at > self.now, "extended into the past");
        self.known_mut(id).expires = expires_at;
        Ok(())
    }

    pub(super) fn shipped(&mut self, claim: &Claim, end: Option<EndState>) -> Judged {
        let id = claim.reservation;
        must!(self.known(id)?.state == State::Confirmed, "only what is confirmed is shipped");
        must!(!claim.lines.is_empty(), "nothing is shipped");
        for (place, units) in units(&claim.lines) {
            must!(self.may_leave(place), "units of {place:?} leave, which are called back or in doubt");
            self.put_back(place, units, Promise::Committed)?;
            minus(&mut self.cell_mut(place).on_hand, units, "on hand at shipping")?;
            let reservation = self.known_mut(id);
            let Some(own) = reservation.lines.get_mut(&place) else {
                return Err(format!("{id} has nothing at {place:?}"));
            };
            minus(&mut own.open, units, "open")?;
            own.shipped += units;
            if own.charged {
                let path = reservation.path.clone();
                self.selling.ship(&path, place.0, units)?;
            }
            self.rates.entry(place.0).or_default().shipped += units;
        }
        if let Some(campaign) = self.known(id)?.campaign {
            self.counted_shipped(campaign, &units(&claim.lines))?;
        }
        must!(end.is_none_or(|end| end == EndState::Shipped), "what was shipped ends as shipped");
        self.end(id, end.map(EndState::state))
    }

    pub(super) fn reassigned(&mut self, id: ReservationId, promise: Promise, line: Line, from: LocationId) -> Judged {
        must!(from != line.location, "units stay where they are");
        let given_up = Line { location: from, ..line };
        self.moved(id, promise, &[given_up], &[line])
    }

    pub(super) fn rerouted(&mut self, moved: &Rerouted) -> Judged {
        for line in moved.decision.iter().flat_map(|_| &moved.to) {
            let refused = self.refusals.get(&(line.sku, line.location)).is_some_and(|until| *until > self.now);
            must!(!refused, "who refused is not asked again: {line:?}");
        }
        self.moved(moved.reservation, moved.promise, &moved.from, &moved.to)?;
        if let Some(until) = moved.refused_until {
            let now = self.now;
            self.refusals.extend(moved.from.iter().map(|line| ((line.sku, line.location), until)));
            self.refusals.retain(|_, until| *until > now);
        }
        Ok(())
    }

    /// Units change places and nothing else: taken before they are given up.
    fn moved(&mut self, id: ReservationId, promise: Promise, from: &[Line], to: &[Line]) -> Judged {
        self.unexpired(id)?;
        let found = self.known(id)?.promise();
        must!(found == Some(promise), "{id}: {promise:?} units move, it has {found:?}");
        let of_sku = |lines: &[Line]| {
            let mut of_sku = BTreeMap::<SkuId, u64>::new();
            lines.iter().for_each(|line| *of_sku.entry(line.sku).or_default() += line.quantity.units());
            of_sku
        };
        must!(of_sku(from) == of_sku(to), "{id}: {from:?} becomes {to:?}");
        let charged: BTreeMap<SkuId, bool> =
            self.known(id)?.lines.iter().map(|((sku, _), own)| (*sku, own.charged)).collect();
        for line in to {
            self.take(*line, promise, true)?;
            let own = self.known_mut(id).lines.entry((line.sku, line.location)).or_default();
            own.open += line.quantity.units();
            own.charged = charged.get(&line.sku).copied().unwrap_or_default();
        }
        for (place, units) in units(from) {
            self.put_back(place, units, promise)?;
            let Some(own) = self.known_mut(id).lines.get_mut(&place) else {
                return Err(format!("{id} has nothing at {place:?}"));
            };
            minus(&mut own.open, units, "open")?;
        }
        self.known_mut(id).lines.retain(|_, own| own.open + own.shipped + own.returned > 0);
        Ok(())
    }
}

/// A router keeps to what was asked.
fn judge_wanted(held: &Held, wanted: &[AskLine], allow_partial: bool) -> Judged {
    let sourced = held.sourced.as_deref().expect("a router decided");
    for wanted in wanted {
        let own: Vec<&Line> = held.lines.iter().filter(|line| line.sku == wanted.sku).collect();
        let may = |line: &&Line| {
            !wanted.never.contains(&line.location) && (wanted.only.is_empty() || wanted.only.contains(&line.location))
        };
        must!(own.iter().all(may), "a line comes from where it may not: {own:?}");
        must!(!wanted.whole || own.len() <= 1, "a whole line comes from several places");
    }
    let served = |sku: SkuId| -> u64 {
        held.lines.iter().filter(|line| line.sku == sku).map(|line| line.quantity.units()).sum()
    };
    let mut given: BTreeMap<SkuId, u64> = BTreeMap::new();
    for wanted in wanted {
        let instead = sourced.decision.substitutions.iter().filter(|(sku, ..)| *sku == wanted.sku);
        let elsewhere: u64 = instead.map(|(_, _, units)| u64::from(*units)).sum();
        let own = u64::from(wanted.quantity).saturating_sub(elsewhere);
        *given.entry(wanted.sku).or_default() += own;
    }
    for (_, instead, units) in &sourced.decision.substitutions {
        *given.entry(*instead).or_default() += u64::from(*units);
    }
    for (sku, most) in given {
        let units = served(sku);
        must!(units == most || allow_partial && units < most, "{units} of {sku:?} are taken, {most} are wanted");
    }
    Ok(())
}

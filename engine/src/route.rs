//! Orders that the router decides about: quotes, holds, and reservations planned anew.

use std::sync::Arc;

use quartermaster_journal::Lsn;
use quartermaster_sourcing::{
    Router,
    explain::{self, Counterfactual, Note},
    fulfilment::{Bookings, NoBookings},
    plan::Plan,
    router::Met,
};
use quartermaster_sync::MutexGuard;
use roaring::RoaringBitmap;

use crate::{
    allotment::LimitedBy,
    capacity::Capacity,
    command::{Merge, Presale, Reserve, SourcingRequest, Step},
    decide::{
        Decision as Decided, allotment, brief, campaign,
        kits::Kits,
        merge, reroute,
        reserve::{self as holds},
        selection::SkuCodes,
        sourcing::{self, Brief, BriefLine, Freed, Planned, Remaining},
    },
    engine::{Draft, Engine, Slotted, Verdict},
    error::{Error, Rejection},
    event::{Event, Held, ShardSet, Shortage},
    id::{LocationId, ReservationId, SkuId},
    reservation::State,
    shard::{Locked, Look},
    sourced::{Decision, Sourced},
    time::Timestamp,
};

/// What a quote shall tell besides the plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// Why.
    pub explanation: bool,
    /// Other plans, at most so many.
    pub alternatives: usize,
}

/// A quote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// What a Reserve would take at this moment.
    pub decision: Decision,
    /// Other plans, the better first.
    pub alternatives: Vec<Plan>,
    /// Codes of the services that the other plans count; empty when there are none.
    pub services: Vec<String>,
    /// Why, when asked for.
    pub explanation: Option<Explanation>,
}

/// Why a plan is what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What every place has to say.
    pub notes: Vec<Note>,
    /// Names of the rules that the notes count.
    pub rules: Vec<String>,
    /// Codes of the services that notes and plans count.
    pub services: Vec<String>,
    /// The plan that comes next.
    pub runner_up: Option<Plan>,
    /// What would have changed the decision.
    pub counterfactuals: Vec<Counterfactual>,
}

/// Counterfactuals in an explanation.
const COUNTERFACTUALS_MAX: usize = 10;

impl Explanation {
    /// Explains a plan by what its decision met.
    ///
    /// # Errors
    /// `NotPlannable` where the plan itself would have been.
    pub fn of(
        router: &mut Router,
        plan: &Plan,
        met: &[Met],
        rules: Vec<String>,
        services: Vec<String>,
    ) -> Result<Self, Error> {
        let broken = |error: quartermaster_routing::ProblemError| Error::NotPlannable { reason: error.to_string() };
        let solver = router.desk();
        Ok(Self {
            notes: explain::notes(met, plan),
            rules,
            services,
            runner_up: explain::alternatives(solver, met, plan, 1).map_err(broken)?.into_iter().next(),
            counterfactuals: explain::counterfactuals(solver, met, plan, COUNTERFACTUALS_MAX).map_err(broken)?,
        })
    }
}

impl Engine {
    /// Quotes an order without taking stock. The answer may be told once everything up to its LSN is durable.
    ///
    /// # Errors
    /// Unknown codes, a destination that is not understood, figures too large to be planned exactly.
    pub fn route(
        &self,
        request: &Reserve,
        sourcing: &SourcingRequest,
        wants: Wants,
        now: Timestamp,
    ) -> Result<(Lsn, Result<Quote, Rejection>), Error> {
        let (kits, mut brief) = self.brief_of(request, sourcing, now)?;
        let mut shards = shards_of(&brief);
        kits.iter().flat_map(Kits::shards).for_each(|shard| shards.insert(shard));
        let locked = self.shards.lock_shared(&shards);
        if let Some((rejection, lsn)) =
            holds::refusal(&locked, &request.channel, brief.lines.iter().map(|line| &*line.sku))?
        {
            return Ok((lsn, Err(rejection)));
        }
        if let Some((rejection, lsn)) = stands_against(&locked, kits.as_ref(), request, &brief)? {
            return Ok((lsn, Err(rejection)));
        }
        let capacity = self.capacity_for(&locked);
        let bookings: &dyn Bookings = capacity.as_deref().map_or(&NoBookings, |capacity| capacity);
        let lsn = sourcing::rests_on(&locked, &brief, capacity.as_ref().map_or(Lsn::ZERO, |capacity| capacity.lsn));
        if let Some(kits) = kits.as_ref().filter(|_| request.allow_partial) {
            brief = whole_kits(&locked, request, kits, brief, bookings, now)?;
        }
        let asks_more = wants.explanation || wants.alternatives > 0;
        let (mut quote, plan, met, rules) =
            sourcing::plan(&locked, &brief, &Freed::default(), bookings, now, |answered| {
                let Planned { plan, decision, .. } = answered.planned;
                let mut quote = Quote { decision, alternatives: Vec::new(), services: Vec::new(), explanation: None };
                let (mut met, mut rules) = (Vec::new(), Vec::new());
                if asks_more {
                    met = answered.router.met().to_vec();
                    rules = answered.policy.document().rules.iter().map(|rule| rule.name.clone()).collect();
                    quote.services = answered.network.services().iter().map(|one| one.spec.code.clone()).collect();
                }
                (quote, plan, met, rules)
            })?;
        let lsn = self.as_of(lsn);
        drop(capacity);
        drop(locked);
        // What was met is all that the questions below need, and they take many solves: no hold waits for them.
        if asks_more {
            let mut router = Router::default();
            let broken = |error: quartermaster_routing::ProblemError| Error::NotPlannable { reason: error.to_string() };
            let solver = router.desk();
            quote.alternatives = explain::alternatives(solver, &met, &plan, wants.alternatives).map_err(broken)?;
            if wants.explanation {
                let services = quote.services.clone();
                quote.explanation = Some(Explanation::of(&mut router, &plan, &met, rules, services)?);
            }
        }
        Ok((lsn, Ok(quote)))
    }

    /// Decides a hold with the router, and takes it.
    pub(crate) fn reserve_sourced(
        &self,
        draft: &Draft<'_>,
        request: &Reserve,
        sourcing: &SourcingRequest,
        slot: Slotted<'_, '_>,
    ) -> Result<(Lsn, Verdict), Error> {
        let (kits, brief) = self.brief_of(request, sourcing, draft.now)?;
        let home = brief.lines.first().map_or(crate::id::ShardId(0), |line| line.sku.id.shard());
        let id = self.next_id(home);
        let mut shards = shards_of(&brief);
        kits.iter().flat_map(Kits::shards).for_each(|shard| shards.insert(shard));
        if let Some(earlier) = request.replaces {
            self.shards_of(earlier)?.iter().for_each(|shard| shards.insert(shard));
        }
        let mut locked = self.shards.lock(&shards);
        let capacity = self.capacity_for(&locked);
        let order = (request, kits.as_ref(), &brief);
        let decision = hold_as_deducted(&locked, order, capacity.as_deref(), id, draft.now)?;
        self.commit(draft, decision, &mut locked, slot, capacity)
    }

    /// Plans a receiver's reservations together, and moves their units.
    pub(crate) fn merge(
        &self,
        draft: &Draft<'_>,
        request: &Merge,
        slot: Slotted<'_, '_>,
    ) -> Result<(Lsn, Verdict), Error> {
        let (ids, shards) = self.mergeable(request)?;
        if ids.len() < 2 {
            return Ok((
                self.journal.appended_lsn(),
                Verdict::Rejected(Rejection::NothingToMerge { found: ids.len() }),
            ));
        }
        let skus = self.skus_of(&ids);
        let mut locked = self.shards.lock(&shards);
        let capacity = self.capacity_for(&locked);
        let decision = merge::merge(&locked, request, &ids, &skus, capacity.as_deref(), draft.now)?;
        self.commit(draft, decision, &mut locked, slot, capacity)
    }

    /// What a merge would do now, without doing it.
    ///
    /// # Errors
    /// As the merge itself.
    pub fn preview_merge(&self, request: &Merge, now: Timestamp) -> Result<(Lsn, Verdict), Error> {
        let (ids, shards) = self.mergeable(request)?;
        if ids.len() < 2 {
            return Ok((
                self.journal.appended_lsn(),
                Verdict::Rejected(Rejection::NothingToMerge { found: ids.len() }),
            ));
        }
        let skus = self.skus_of(&ids);
        let locked = self.shards.lock_shared(&shards);
        let capacity = self.capacity_for(&locked);
        let decision = merge::merge(&locked, request, &ids, &skus, capacity.as_deref(), now)?;
        let rests_on = locked.directory().revision().max(capacity.as_ref().map_or(Lsn::ZERO, |capacity| capacity.lsn));
        let lsn = shards.iter().map(|shard| locked.shard(shard).lsn).fold(rests_on, Lsn::max);
        Ok(match decision {
            Decided::Event(event) => (self.as_of(lsn), Verdict::Done(event)),
            Decided::Rejected(rejection, lsn) => (lsn, Verdict::Rejected(rejection)),
            Decided::Nothing => (lsn, Verdict::Nothing),
        })
    }

    /// Routes a line anew because its location refused it.
    pub(crate) fn reroute(
        &self,
        draft: &Draft<'_>,
        id: ReservationId,
        step: &crate::command::Reassign,
        codes: &SkuCodes,
        slot: Slotted<'_, '_>,
    ) -> Result<(Lsn, Verdict), Error> {
        let skus = self.skus_of(&[id]);
        let mut locked = self.lock_reservation(id)?;
        let capacity = self.capacity_for(&locked);
        let decision = reroute::reroute(&locked, codes, &skus, id, step, capacity.as_deref(), draft.now)?;
        self.commit(draft, decision, &mut locked, slot, capacity)
    }

    /// A request with its codes resolved, and with what is read before the locks: it prices the decision and bounds nothing.
    pub(crate) fn brief(&self, request: &Reserve, sourcing: &SourcingRequest, now: Timestamp) -> Result<Brief, Error> {
        let catalogue = self.catalogue.read();
        let mut brief = brief::brief(&catalogue, request, sourcing)?;
        let runs = sourcing::policy(catalogue.directory(), &brief, now)?.prices().size_run.is_some();
        let siblings: Vec<Vec<SkuId>> = if runs {
            let own = brief.lines.iter().chain(brief.substitutes.iter().map(|(_, line)| line));
            own.map(|line| siblings(&catalogue, line)).collect()
        } else {
            Vec::new()
        };
        drop(catalogue);
        let lines = brief.lines.iter_mut().chain(brief.substitutes.iter_mut().map(|(_, line)| line));
        for (line, siblings) in lines.zip(siblings) {
            line.siblings = self.stocked_together(&siblings);
        }
        if sourcing.join_open_parcels && !request.buyer_id.is_empty() && !sourcing.receiver_key.is_empty() {
            brief.open_parcels = self.parcels_to(&request.buyer_id, &sourcing.receiver_key, now);
        }
        Ok(brief)
    }

    /// The kits of a request, and what it comes to with components in their place.
    pub(crate) fn brief_of(
        &self,
        request: &Reserve,
        sourcing: &SourcingRequest,
        now: Timestamp,
    ) -> Result<(Option<Kits>, Brief), Error> {
        if request.asked.as_deref().is_some_and(|asked| asked.presale != Presale::No) {
            return Err(Error::PresaleWithSourcing);
        }
        let kits = self.kits_of(request)?;
        let brief = match &kits {
            None => self.brief(request, sourcing, now)?,
            Some(kits) => self.brief(&kits.order(request, &kits.wanted())?.0, sourcing, now)?,
        };
        Ok((kits, brief))
    }

    /// The kits of a request; `None` when it has none.
    pub(crate) fn kits_of(&self, request: &Reserve) -> Result<Option<Kits>, Error> {
        let catalogue = self.catalogue.read();
        if catalogue.kits().is_empty() {
            return Ok(None);
        }
        let id = |line: &crate::command::ReserveLine| {
            catalogue.sku(&line.sku).ok_or_else(|| Error::UnknownSku { code: line.sku.clone().into() })
        };
        let skus = request.lines.iter().map(id).collect::<Result<Vec<SkuId>, _>>()?;
        Kits::of(&catalogue, request, &skus)
    }

    /// Where all of these SKUs are available; `None` when there are none.
    fn stocked_together(&self, skus: &[SkuId]) -> Option<RoaringBitmap> {
        let stocked = |sku: &SkuId| self.shards.read(sku.shard()).row(*sku).stocked_bitmap();
        skus.iter().map(stocked).reduce(|all, one| all & one)
    }

    /// Parcels to a receiver that are not shipped yet: location, service, weight.
    fn parcels_to(&self, buyer: &str, receiver: &str, now: Timestamp) -> Vec<(LocationId, Box<str>, u64)> {
        let mut parcels: Vec<(LocationId, Box<str>, u64)> = Vec::new();
        for id in self.owners.page(buyer, None, usize::MAX) {
            let Ok((_, reservation)) = self.reservation(id) else { continue };
            let open = reservation.state == State::Confirmed
                || reservation.state == State::Held && reservation.expires_at > now;
            let Some(sourcing) = reservation.sourcing.filter(|_| open && *reservation.buyer_id == *buyer) else {
                continue;
            };
            if *sourcing.ask.receiver_key != *receiver || reservation.lines.iter().any(|line| !line.shipped.is_zero()) {
                continue;
            }
            for parcel in &sourcing.parcels {
                let filled =
                    reservation.lines.iter().any(|line| line.location == parcel.location && !line.open.is_zero());
                match parcels.iter_mut().find(|(location, ..)| *location == parcel.location) {
                    _ if !filled => {}
                    Some((_, _, weight)) => *weight += parcel.weight_grams,
                    None => parcels.push((parcel.location, parcel.service.clone(), parcel.weight_grams)),
                }
            }
        }
        parcels.sort_unstable();
        parcels
    }

    /// The lock on what is booked, when any location limits its work.
    pub(crate) fn capacity_for(&self, look: &impl Look) -> Option<MutexGuard<'_, Capacity>> {
        look.directory().limits_work().then(|| self.capacity.lock())
    }

    /// Reservations of a receiver that may go together, ascending, and their shards. Looked at again under the locks.
    fn mergeable(&self, request: &Merge) -> Result<(Vec<ReservationId>, ShardSet), Error> {
        let candidates = if request.reservations.is_empty() {
            self.owners.page(&request.buyer_id, None, usize::MAX)
        } else {
            let mut ids = request.reservations.clone();
            ids.sort_unstable();
            ids.dedup();
            ids
        };
        let mut ids = Vec::new();
        let mut shards = ShardSet::default();
        for id in candidates {
            match self.reservation(id) {
                Ok((_, reservation)) if merge::may_merge(&reservation, request) => {
                    self.shards_of(id)?.iter().for_each(|shard| shards.insert(shard));
                    ids.push(id);
                }
                Ok(_) => {}
                Err(error) if !request.reservations.is_empty() => return Err(error),
                Err(_) => {}
            }
        }
        ids.truncate(merge::RESERVATIONS_MAX);
        Ok((ids, shards))
    }

    /// The SKUs of reservations as they are now.
    fn skus_of(&self, ids: &[ReservationId]) -> Vec<Arc<crate::catalog::Sku>> {
        let lines =
            ids.iter().filter_map(|id| self.reservation(*id).ok()).flat_map(|(_, reservation)| reservation.lines);
        let mut skus: Vec<SkuId> = lines.map(|line| line.sku).collect();
        skus.sort_unstable();
        skus.dedup();
        let catalogue = self.catalogue.read();
        skus.into_iter().map(|sku| Arc::clone(&catalogue.skus()[sku.index()])).collect()
    }
}

pub(crate) fn shards_of(brief: &Brief) -> ShardSet {
    let own = brief.lines.iter().chain(brief.substitutes.iter().map(|(_, line)| line));
    own.map(|line| line.sku.id.shard()).collect()
}

/// Decides a hold with the router, of kits or not, and as the order's channel deducts.
pub(crate) fn hold_as_deducted(
    locked: &Locked<'_>,
    (request, kits, brief): (&Reserve, Option<&Kits>, &Brief),
    capacity: Option<&Capacity>,
    id: ReservationId,
    now: Timestamp,
) -> Result<Decided, Error> {
    if let Some((rejection, lsn)) = stands_against(locked, kits, request, brief)? {
        return Ok(Decided::Rejected(rejection, lsn));
    }
    let decision = match kits {
        None => hold(locked, request, brief, capacity, id, now)?,
        Some(kits) => kits.fit(locked, request, |granted| {
            let own = kits.brief(request, brief, granted);
            hold(locked, request, &own, capacity, id, now)
        })?,
    };
    campaign::begin_sourced(locked, request, decision)
}

/// The other sizes of a SKU's style and colour.
fn siblings(catalogue: &crate::catalog::Catalogue, line: &BriefLine) -> Vec<SkuId> {
    let spec = &line.sku.spec;
    if spec.style.is_empty() || spec.size.is_empty() {
        return Vec::new();
    }
    let same = |sku: &&SkuId| **sku != line.sku.id && catalogue.skus()[sku.index()].spec.colour == spec.colour;
    catalogue.style(&spec.style).iter().filter(same).copied().collect()
}

/// Decides a hold on what is locked.
pub(crate) fn hold(
    locked: &Locked<'_>,
    request: &Reserve,
    brief: &Brief,
    capacity: Option<&Capacity>,
    id: ReservationId,
    now: Timestamp,
) -> Result<Decided, Error> {
    if let Some((rejection, lsn)) = holds::refusal(locked, &request.channel, brief.lines.iter().map(|line| &*line.sku))?
    {
        return Ok(Decided::Rejected(rejection, lsn));
    }
    holds::unchanged(locked, request, brief.lines.iter().map(|line| &*line.sku))?;
    let replaced = match request.replaces {
        Some(earlier) => holds::replaced(locked, earlier, &request.buyer_id)?,
        None => None,
    };
    let replaced_bookings =
        replaced.as_ref().map_or_else(Box::default, |claim| holds::bookings_of(locked, claim.reservation));
    let freed = Freed {
        reserved: replaced.as_ref().map_or_else(Vec::new, |claim| claim.lines.to_vec()),
        committed: Vec::new(),
        replaced: replaced.clone(),
        moves: None,
    };
    let nothing = NoBookings;
    let booked: &dyn Bookings = capacity.map_or(&nothing, |capacity| capacity);
    let bookings = Remaining { booked, freed: &replaced_bookings };
    let rests_on = sourcing::rests_on(locked, brief, capacity.map_or(Lsn::ZERO, |capacity| capacity.lsn));
    let directory = locked.directory();
    let channel = directory.channel(&request.channel).map(|channel| channel.id);
    let path = directory.path(channel, None);
    sourcing::plan(locked, brief, &freed, &bookings, now, |answered| {
        let Planned { plan, decision, lines, bookings } = answered.planned;
        if lines.is_empty() || (!request.allow_partial && !plan.unserved.is_empty()) {
            return Decided::Rejected(sourcing::not_routable(&plan, brief), rests_on);
        }
        let shortages = brief.lines.iter().filter_map(|line| {
            let missing = plan.unserved.iter().find(|one| one.sku.0 == line.sku.id.0)?.units;
            let requested = u64::from(line.quantity);
            let available = requested - u64::from(missing);
            let cap = allotment::cap(locked, line.sku.id, &path, replaced.as_ref());
            let limited_by = cap.filter(|cap| cap.units == available).map_or(LimitedBy::Stock, |cap| cap.by);
            Some(Shortage { sku: line.sku.id, location: None, requested, available, limited_by, component: None })
        });
        let sourced = Sourced {
            ask: brief.ask.clone(),
            wanted: sourcing::wanted(brief),
            decision,
            bookings,
            traces: sourcing::traces(answered.network, answered.policy, answered.router.met()),
        };
        Decided::Event(Event::Held(Held {
            reservation: id,
            order_id: request.order_id.as_str().into(),
            buyer_id: request.buyer_id.as_str().into(),
            channel,
            expires_at: now.plus(campaign::hold_ttl(directory, channel, request.ttl)),
            shortages: shortages.collect(),
            replaced: replaced.map(Box::new),
            replaced_bookings: replaced_bookings.clone(),
            terms: if lines.iter().any(|line| allotment::counts(locked, line.sku)) {
                allotment::terms(&path)
            } else {
                None
            },
            lines,
            sourced: Some(Box::new(sourced)),
        }))
    })
}

/// What stands against an order besides its SKUs: kits that are not for sale, a frozen location to pick it up at.
fn stands_against(
    look: &impl Look,
    kits: Option<&Kits>,
    request: &Reserve,
    brief: &Brief,
) -> Result<Option<(Rejection, Lsn)>, Error> {
    let directory = look.directory();
    if let Some(at) = brief.ask.pickup_at.filter(|at| !directory.freezes_of(*at).is_empty()) {
        let reasons = crate::upkeep::reasons(directory.freezes_of(at));
        let location = directory.location_code(at).to_owned();
        return Ok(Some((Rejection::Frozen { sku: String::new(), location, reasons }, directory.revision())));
    }
    kits.map_or(Ok(None), |kits| kits.refusal(look, request))
}

/// A brief for as many whole kits as a plan can serve.
fn whole_kits(
    look: &impl Look,
    request: &Reserve,
    kits: &Kits,
    brief: Brief,
    bookings: &dyn Bookings,
    now: Timestamp,
) -> Result<Brief, Error> {
    let lacks = |granted: &[u64]| {
        let own = kits.brief(request, &brief, granted);
        if own.lines.is_empty() {
            return Ok(None);
        }
        sourcing::plan(look, &own, &Freed::default(), bookings, now, |answered| {
            let unserved = answered.planned.plan.unserved.iter();
            let unserved: Vec<_> = unserved.map(|one| (SkuId(one.sku.0), one.units)).collect();
            kits.unserved(request, granted, &unserved)
        })
    };
    let wanted = kits.wanted();
    let granted = if lacks(&wanted)?.is_none() { wanted } else { kits.search(lacks)?.0 };
    let own = kits.brief(request, &brief, &granted);
    // Nothing at all can be had: told as what the whole order lacks.
    Ok(if own.lines.is_empty() { brief } else { own })
}

/// A step that is for the router: a refusal without a location to go to.
pub(crate) fn is_refusal(step: &Step) -> bool {
    matches!(step, Step::Reassign(reassign) if reassign.refused && reassign.to.is_empty())
}

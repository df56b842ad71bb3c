//! From an order to its candidates: every rule that keeps a place out, every price of a place that may serve.
//!
//! What does not hang on the step of the policy is gathered once; [`apply_step`] then marks what a step removes.

use quartermaster_routing::{LocationId, Money};
use smallvec::SmallVec;

use crate::{
    calendar::Departure,
    candidate::{Candidate, Candidates, Offer, Wanted, Way},
    fulfilment::{Bookings, Fulfilment, Mode, Moment, Slot},
    network::{Lane, Network, Place, Service, Target, billed_unit_weight},
    order::{OpenParcel, Order, OrderLine, Stock},
    policy::{Bound, BoundLine, OrderFacts, Places, Policy, Prices, Step},
    removal::Removal,
};

/// What a decision is taken on.
#[derive(Clone, Copy)]
pub struct Query<'a> {
    /// Places, tariffs and calendars.
    pub network: &'a Network,
    /// The same places, as policies see them.
    pub places: &'a dyn Places,
    /// The policy.
    pub policy: &'a Policy,
    /// The order.
    pub order: &'a Order<'a>,
    /// When it is decided.
    pub now: Moment,
    /// Work booked so far.
    pub bookings: &'a dyn Bookings,
}

/// Codes of a target's regions, from the nearest to the widest.
pub(crate) type RegionCodes<'a> = SmallVec<[&'a str; 6]>;

pub(crate) fn region_codes<'a>(network: &'a Network, target: &Target) -> RegionCodes<'a> {
    let regions = network.regions();
    let Some(region) = network.target_region(target) else { return RegionCodes::new() };
    regions.ancestors(region).filter_map(|region| Some(regions.get(region)?.code.as_str())).collect()
}

/// The order as a policy's expressions see it.
pub(crate) fn facts<'a>(order: &'a Order<'a>, regions: &'a [&'a str]) -> OrderFacts<'a> {
    let each = |of: fn(&OrderLine<'_>) -> u64| {
        let lines = order.lines.iter().map(|line| of(line).saturating_mul(u64::from(line.quantity)));
        lines.fold(0, u64::saturating_add)
    };
    OrderFacts {
        channel: order.channel,
        order_type: order.order_type,
        buyer_tier: order.buyer_tier,
        service_level: order.service_level,
        mode: order.mode,
        regions,
        units: each(|_| 1),
        lines: u32::try_from(order.lines.len()).unwrap_or(u32::MAX),
        weight_grams: each(|line| line.goods.weight.0),
        value: i64::try_from(each(|line| u64::try_from(line.goods.value).unwrap_or(0))).unwrap_or(i64::MAX),
    }
}

/// Gathers candidates. Keeps its memory from order to order.
#[derive(Default)]
pub(crate) struct Gatherer {
    /// By location: the place's index among the candidates.
    index: Vec<u32>,
    /// By number of the calendar.
    departures: Vec<Option<Departure>>,
    lanes: SmallVec<[Lane; 2]>,
}

const NONE: u32 = u32::MAX;

impl Gatherer {
    /// Everything about `lines` of the query's order that holds for every step.
    pub(crate) fn gather(
        &mut self,
        query: &Query<'_>,
        target: &Target,
        bound: &Bound<'_>,
        lines: &[&OrderLine<'_>],
        out: &mut Candidates,
    ) {
        let network = query.network;
        out.lines.clear();
        out.places.clear();
        out.offers.clear();
        self.departures.clear();
        self.departures.resize(network.calendar_count(), None);
        let services = carrying(network, query.order, lines);
        let divisor = services.iter().map(|number| divisor(network, *number)).max().unwrap_or(0);
        out.lines.extend(lines.iter().map(|line| Wanted {
            sku: line.sku,
            quantity: line.quantity,
            unit_weight: billed_unit_weight(&line.goods, divisor),
            whole: line.whole,
        }));
        self.places(query, target, bound, lines, &services, out);
        self.offers(query, target, bound, lines, out);
        for candidate in &mut out.places {
            self.index[position(candidate.location)] = NONE;
        }
    }

    fn places(
        &mut self,
        query: &Query<'_>,
        target: &Target,
        bound: &Bound<'_>,
        lines: &[&OrderLine<'_>],
        services: &[u32],
        out: &mut Candidates,
    ) {
        let network = query.network;
        self.index.resize(network.places().len(), NONE);
        let mut stocked: Vec<(u32, LocationId)> = Vec::with_capacity(lines.first().map_or(0, |line| line.stock.len()));
        for stock in lines.iter().flat_map(|line| line.stock) {
            let Some(seen) = self.index.get_mut(position(stock.location)) else { continue };
            if *seen == NONE {
                *seen = 0;
                let priority = network.place(stock.location).map_or(u32::MAX, |place| place.spec.priority);
                stocked.push((priority, stock.location));
            }
        }
        stocked.sort_unstable();
        let dangerous = lines.iter().any(|line| !line.goods.dangerous_goods.is_empty());
        out.places.reserve(stocked.len());
        for (number, (_, location)) in (0..).zip(stocked) {
            self.index[position(location)] = number;
            let Some(place) = network.place(location) else { continue };
            out.places.push(self.place(query, target, bound, (location, place), services, dangerous));
        }
    }

    fn place(
        &mut self,
        query: &Query<'_>,
        target: &Target,
        bound: &Bound<'_>,
        (location, place): (LocationId, &Place),
        services: &[u32],
        dangerous: bool,
    ) -> Candidate {
        let fulfilment = &place.spec.fulfilment;
        let mut candidate = Candidate {
            location,
            removed: standing(query, target, location, place, dangerous),
            handling: fulfilment.handling(),
            preference: Money(0),
            pressure: Money(0),
            pick: fulfilment.picking(),
            units_max: None,
            lanes: SmallVec::new(),
            slots: SmallVec::new(),
        };
        if candidate.removed.is_some() {
            return candidate;
        }
        if bound.has_parcel_prices() {
            candidate.preference = bound.parcel_price(location, query.network.distance(target, location));
        }
        let departure = self.departure(query, place);
        let open = open_parcel(query.order.open_parcels, location);
        if open.is_some() {
            candidate.handling = Money(0);
        }
        if !fulfilment.capacity.is_unlimited() {
            let room = room(query, location, fulfilment, departure, open.is_some());
            candidate.pressure = room.pressure;
            candidate.units_max = room.units;
            candidate.slots = room.slots;
            candidate.removed = room.full;
        }
        self.ways(query, target, location, departure, services, open, &mut candidate);
        if candidate.lanes.is_empty() {
            candidate.removed = candidate.removed.or(Some(Removal::NoCarrier));
        }
        candidate
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one place, each needed once")]
    fn ways(
        &mut self,
        query: &Query<'_>,
        target: &Target,
        location: LocationId,
        departure: Departure,
        services: &[u32],
        open: Option<&OpenParcel>,
        candidate: &mut Candidate,
    ) {
        let lateness = |arrives| query.policy.prices().lateness(query.order.wanted_by, arrives);
        if query.order.mode != Mode::Ship || !query.network.has_carriers() {
            // Within the hour means that: an hour from the start of the work, whatever the place takes for a parcel.
            let arrives = match query.order.mode {
                Mode::SameHour => departure.work_starts.plus_minutes(60),
                Mode::Ship | Mode::Pickup => departure.ships_at,
            };
            candidate.lanes.push(Way::free(lateness(arrives), departure.ships_at, arrives));
            return;
        }
        self.lanes.clear();
        query.network.rates(target, location, &mut self.lanes);
        for lane in self.lanes.iter().filter(|lane| services.contains(&lane.service)) {
            let arrives = departure.ships_at.plus_minutes(lane.transit_minutes);
            let way = Way {
                service: Some(lane.service),
                first_weight: lane.first_weight,
                first_price: lane.first_price,
                step_weight: lane.step_weight,
                step_price: lane.step_price,
                weight_max: lane.weight_max,
                lateness: lateness(arrives),
                ships_at: departure.ships_at,
                arrives_at: arrives,
            };
            match open {
                // What goes into a parcel that is there already goes with its service.
                Some(parcel) if parcel.service.is_some_and(|service| service != lane.service) => {}
                Some(parcel) => candidate.lanes.push(way.on_top_of(parcel.weight)),
                None => candidate.lanes.push(way),
            }
        }
    }

    fn departure(&mut self, query: &Query<'_>, place: &Place) -> Departure {
        let number = usize::try_from(place.calendar).unwrap_or(usize::MAX);
        let known = self.departures.get(number).copied().flatten();
        known.unwrap_or_else(|| {
            let calendar = query.network.calendar(place.calendar);
            let departure = calendar.map(|calendar| calendar.departure(query.now));
            let departure = departure.expect("Invariant: a place's calendar is one of its network's");
            if let Some(known) = self.departures.get_mut(number) {
                *known = Some(departure);
            }
            departure
        })
    }

    fn offers(
        &self,
        query: &Query<'_>,
        target: &Target,
        bound: &Bound<'_>,
        lines: &[&OrderLine<'_>],
        out: &mut Candidates,
    ) {
        let today = u32::try_from(query.now.0.max(0) / 86_400).unwrap_or(u32::MAX);
        for (number, line) in (0..).zip(lines) {
            let bound_line = bound.line(&line.goods);
            let from = out.offers.len();
            for stock in line.stock {
                let Some(index) = self.index.get(position(stock.location)).copied().filter(|index| *index != NONE)
                else {
                    continue;
                };
                let Some(place) = query.network.place(stock.location) else { continue };
                let keep = place.spec.fulfilment.keep_units;
                let named = line.only.contains(&stock.location);
                let available = if named { stock.available } else { stock.available.saturating_sub(keep) };
                let removed = if stock.refused {
                    Some(Removal::Refused)
                } else if line.never.contains(&stock.location) || !(line.only.is_empty() || named) {
                    Some(Removal::Line)
                } else if available == 0 {
                    Some(Removal::KeptBack)
                } else {
                    None
                };
                let distance =
                    if bound.has_unit_prices() { query.network.distance(target, stock.location) } else { None };
                out.offers.push(Offer {
                    line: number,
                    place: index,
                    units: available.min(line.quantity),
                    preference: preference(query.policy.prices(), &bound_line, bound, line, stock, distance),
                    opportunity: opportunity(query.policy.prices(), place, line, stock, available, today),
                    removed,
                });
            }
            out.offers[from..].sort_unstable_by_key(|offer| offer.place);
        }
    }
}

/// Marks what a step removes beyond what holds for every step.
pub(crate) fn apply_step(
    query: &Query<'_>,
    target: &Target,
    bound: &Bound<'_>,
    step: &Step,
    lines: &[&OrderLine<'_>],
    out: &mut Candidates,
) {
    let eligible = bound.eligible(step);
    let distance = |location| query.network.distance(target, location);
    for candidate in out.places.iter_mut().filter(|candidate| candidate.removed.is_none()) {
        if !eligible.contains(candidate.location) {
            candidate.removed = bound.excluded_by(step, candidate.location).map(Removal::Policy);
        } else if bound.has_mixed_rules(step) {
            let removed = bound.candidate_excluded_by(step, candidate.location, distance(candidate.location));
            candidate.removed = removed.map(Removal::Policy);
        }
    }
    if bound.has_line_rules(step) {
        for (number, line) in (0_u32..).zip(lines) {
            let bound_line = bound.line(&line.goods);
            for offer in out.offers.iter_mut().filter(|offer| offer.line == number && offer.removed.is_none()) {
                let location = out.places[usize::try_from(offer.place).unwrap_or(usize::MAX)].location;
                let removed = bound_line.excluded_by(step, location, distance(location));
                offer.removed = removed.map(Removal::Policy);
            }
        }
    }
}

/// What keeps a place out whatever it has and costs.
fn standing(
    query: &Query<'_>,
    target: &Target,
    location: LocationId,
    place: &Place,
    dangerous: bool,
) -> Option<Removal> {
    let (order, spec) = (query.order, &place.spec);
    if !spec.open {
        return Some(Removal::NotOpen);
    }
    if order.mode == Mode::Pickup && order.pickup_at != Some(location) {
        return Some(Removal::NotThePickupLocation);
    }
    if !spec.capabilities.serves(order.mode) {
        return Some(Removal::Capability);
    }
    let channels = &spec.fulfilment.channels;
    if !channels.is_empty() && !channels.iter().any(|channel| channel == order.channel) {
        return Some(Removal::Channel);
    }
    if order.mode == Mode::SameHour {
        let radius = spec.fulfilment.same_hour_radius_metres;
        let distance = query.network.distance(target, location);
        if radius > 0 && distance.is_none_or(|distance| distance > radius) {
            return Some(Removal::SameHourRadius);
        }
    }
    (dangerous && !spec.capabilities.dangerous_goods()).then_some(Removal::DangerousGoods)
}

/// The services that can carry every one of the lines, at the level that was asked for.
fn carrying(network: &Network, order: &Order<'_>, lines: &[&OrderLine<'_>]) -> SmallVec<[u32; 8]> {
    let fits = |service: &Service| {
        (order.service_level.is_empty() || service.spec.service_level == order.service_level)
            && lines.iter().all(|line| service.uncarried(&line.goods).is_none())
    };
    (0..).zip(network.services()).filter(|(_, service)| fits(service)).map(|(number, _)| number).collect()
}

fn divisor(network: &Network, service: u32) -> u32 {
    let service = usize::try_from(service).ok().and_then(|service| network.services().get(service));
    service.map_or(0, |service| service.spec.volumetric_divisor)
}

/// What a place can still take, and what that makes a parcel cost.
struct Room {
    units: Option<u32>,
    pressure: Money,
    full: Option<Removal>,
    slots: SmallVec<[Slot; 2]>,
}

fn room(query: &Query<'_>, location: LocationId, place: &Fulfilment, departure: Departure, joins: bool) -> Room {
    let capacity = &place.capacity;
    let mut room = Room { units: None, pressure: Money(0), full: None, slots: SmallVec::new() };
    let slots = [
        (Slot::Day(departure.day), capacity.orders_per_day, capacity.units_per_day),
        (Slot::Hour(departure.hour), capacity.orders_per_hour, capacity.units_per_hour),
    ];
    let prices = query.policy.prices();
    for (slot, orders_max, units_max) in slots {
        if orders_max.is_none() && units_max.is_none() {
            continue;
        }
        let booked = query.bookings.booked(location, slot);
        room.slots.push(slot);
        for (used, limit) in [(booked.orders, orders_max), (booked.units, units_max)] {
            if let Some(limit) = limit {
                room.pressure = room.pressure.max(prices.pressure(used, limit));
            }
        }
        if orders_max.is_some_and(|limit| booked.orders >= limit) && !joins {
            room.full = Some(Removal::OrderCapacity);
        }
        if let Some(limit) = units_max {
            let left = limit.saturating_sub(booked.units);
            room.units = Some(room.units.map_or(left, |units| units.min(left)));
        }
    }
    if room.units == Some(0) {
        room.full = room.full.or(Some(Removal::UnitCapacity));
    }
    room
}

fn preference(
    prices: &Prices,
    bound_line: &BoundLine<'_>,
    bound: &Bound<'_>,
    line: &OrderLine<'_>,
    stock: &Stock,
    distance: Option<u32>,
) -> Money {
    let mut price = line.surcharge.0;
    if bound.has_unit_prices() {
        price += bound_line.unit_price(stock.location, distance).0;
    }
    if line.rather.contains(&stock.location) {
        price -= prices.preferred_unit_bonus;
    }
    clamped(price)
}

fn opportunity(
    prices: &Prices,
    place: &Place,
    line: &OrderLine<'_>,
    stock: &Stock,
    available: u32,
    today: u32,
) -> Money {
    let facts = &stock.facts;
    let age = facts.oldest_receipt_day.map_or(Money(0), |day| prices.ageing(today.saturating_sub(day)));
    clamped(
        prices.last_pieces(place.spec.kind, available, line.quantity).0
            + prices.size_run(facts.size_run, available, line.quantity).0
            + prices.cover(available, facts.weekly_demand_milli, line.quantity).0
            + age.0,
    )
}

fn open_parcel(parcels: &[OpenParcel], location: LocationId) -> Option<&OpenParcel> {
    parcels.iter().find(|parcel| parcel.location == location)
}

fn clamped(minor: i64) -> Money {
    Money(minor.clamp(-Money::MAX.0, Money::MAX.0))
}

fn position(location: LocationId) -> usize {
    usize::try_from(location.0).unwrap_or(usize::MAX)
}

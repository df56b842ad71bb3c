//! What the router is asked, on the state as it is, and what its plan means as an event.
//!
//! A brief is a request with its codes resolved, made before any shard is locked. Under the locks its lines get their stock, the policy
//! in force is chosen, and the router plans.

use std::{cell::RefCell, sync::Arc};

use quartermaster_journal::Lsn;
use quartermaster_sourcing::{
    LocationId as PlaceId, Money, Query, RouteError, Router, SkuId as GoodsId,
    fulfilment::{Bookings, Moment, Slot},
    network::Network,
    order::{CellFacts, Destination, OpenParcel, Order, OrderLine, SizeRun, Stock, Substitute},
    plan::Plan,
    policy::{Policy, Record},
    router::Met,
};
use roaring::RoaringBitmap;
use smallvec::SmallVec;

use super::{allotment, upkeep};
use crate::{
    capacity::Booking,
    catalog::{Directory, Sku},
    codec::sourced::trace,
    error::{CodedUnserved, Error, Rejection},
    event::{Claim, Line, Lines},
    id::{LocationId, SkuId},
    quantity::Quantity,
    shard::{Look, Shard},
    sourced::{Ask, AskLine, DecidedParcel, Decision},
    time::Timestamp,
};

/// A request to the router with its codes resolved.
#[derive(Debug, Clone)]
pub(crate) struct Brief {
    pub(crate) ask: Ask,
    pub(crate) channel: String,
    /// By SKU; each once.
    pub(crate) lines: Vec<BriefLine>,
    /// By the order of each line's substitutes.
    pub(crate) substitutes: Vec<(SkuId, BriefLine)>,
    /// Parcels that go to the receiver anyway, by location, with the code of their service.
    pub(crate) open_parcels: Vec<(LocationId, Box<str>, u64)>,
}

/// A line of a brief.
#[derive(Debug, Clone)]
pub(crate) struct BriefLine {
    pub(crate) sku: Arc<Sku>,
    pub(crate) quantity: u32,
    pub(crate) whole: bool,
    pub(crate) only: Vec<PlaceId>,
    pub(crate) never: Vec<PlaceId>,
    pub(crate) rather: Vec<PlaceId>,
    /// Where every other size of its style and colour is available; `None` when nobody asks.
    pub(crate) siblings: Option<RoaringBitmap>,
}

/// A plan with everything it takes to make it an event.
pub(crate) struct Planned {
    pub(crate) plan: Plan,
    pub(crate) decision: Decision,
    /// What is taken, by SKU and location.
    pub(crate) lines: Lines,
    pub(crate) bookings: Box<[Booking]>,
}

/// Units that count as available though they are promised: those of reservations that are given up or planned anew.
#[derive(Debug, Default)]
pub(crate) struct Freed {
    pub(crate) reserved: Vec<Line>,
    pub(crate) committed: Vec<Line>,
    /// The hold that a new one takes the place of.
    pub(crate) replaced: Option<Claim>,
    /// Units that are promised already move, and so many of them at most: their SKUs' allotments have no other say.
    pub(crate) moves: Option<Option<u64>>,
}

/// What is booked, without what is given up in the same step.
pub(crate) struct Remaining<'a> {
    pub(crate) booked: &'a dyn Bookings,
    pub(crate) freed: &'a [Booking],
}

impl Bookings for Remaining<'_> {
    fn booked(&self, location: PlaceId, slot: Slot) -> quartermaster_sourcing::fulfilment::Booked {
        let mut booked = self.booked.booked(location, slot);
        let own = self.freed.iter().filter(|own| own.location.0 == location.0 && own.slot == slot);
        for own in own {
            booked.orders = booked.orders.saturating_add_signed(own.orders);
            let units = (i64::from(booked.units) + own.units).max(0);
            booked.units = u32::try_from(units).unwrap_or(u32::MAX);
        }
        booked
    }
}

thread_local! {
    static ROUTER: RefCell<Router> = RefCell::new(Router::default());
}

/// What may be asked of the router once it has planned.
pub(crate) struct Answered<'a, 'r> {
    pub(crate) planned: Planned,
    pub(crate) policy: &'a Policy,
    pub(crate) network: &'a Network,
    pub(crate) router: &'r mut Router,
}

/// Plans a brief on the state behind `look`. `then` gets the plan while the router still knows what it met.
pub(crate) fn plan<T>(
    look: &impl Look,
    brief: &Brief,
    freed: &Freed,
    bookings: &dyn Bookings,
    now: Timestamp,
    then: impl FnOnce(Answered<'_, '_>) -> T,
) -> Result<T, Error> {
    let directory = look.directory();
    let network = &*directory.stage(now).network;
    let places = directory.places(network);
    let policy = policy(directory, brief, now)?;
    let stock: Vec<Vec<Stock>> =
        brief.lines.iter().map(|line| stock_of(look, line, freed, &brief.channel, now)).collect();
    let other_stock: Vec<Vec<Stock>> =
        brief.substitutes.iter().map(|(_, line)| stock_of(look, line, freed, &brief.channel, now)).collect();
    let open_parcels = open_parcels(network, &brief.open_parcels);
    let order = Order {
        lines: brief.lines.iter().zip(&stock).map(|(line, stock)| order_line(line, stock, Money(0))).collect(),
        substitutes: brief
            .substitutes
            .iter()
            .zip(&other_stock)
            .map(|((instead_of, line), stock)| Substitute {
                instead_of: GoodsId(instead_of.0),
                line: order_line(line, stock, Money(policy.prices().substitution_unit)),
            })
            .collect(),
        destination: Destination { region: brief.ask.region.to_string(), point: brief.ask.point },
        channel: &brief.channel,
        order_type: &brief.ask.order_type,
        buyer_tier: &brief.ask.buyer_tier,
        service_level: &brief.ask.service_level,
        mode: brief.ask.mode,
        pickup_at: brief.ask.pickup_at.map(|location| PlaceId(location.0)),
        wanted_by: brief.ask.wanted_by,
        parcels_max: brief.ask.parcels_max,
        complete: !brief.ask.allow_partial,
        open_parcels: &open_parcels,
    };
    let query = Query { network, places: &places, policy, order: &order, now: moment(now), bookings };
    ROUTER.with_borrow_mut(|router| {
        let plan = router.route(&query).map_err(|error| unplannable(error, brief))?;
        let planned = planned(network, policy, plan, &open_parcels);
        Ok(then(Answered { planned, policy, network, router }))
    })
}

/// The policy for a brief: the one it names, or the most specific in force.
pub(crate) fn policy<'a>(directory: &'a Directory, brief: &Brief, now: Timestamp) -> Result<&'a Policy, Error> {
    let ask = &brief.ask;
    directory
        .stage(now)
        .choose(&ask.policy, &brief.channel, &ask.order_type, &ask.buyer_tier)
        .ok_or_else(|| Error::UnknownPolicy { name: ask.policy.to_string() })
}

/// The newest event that a plan of these SKUs can rest on.
pub(crate) fn rests_on(look: &impl Look, brief: &Brief, capacity: Lsn) -> Lsn {
    let own = brief.lines.iter().chain(brief.substitutes.iter().map(|(_, line)| line));
    own.map(|line| look.shard(line.sku.id.shard()).lsn).fold(look.directory().revision().max(capacity), Lsn::max)
}

/// What was not served, as a refusal.
pub(crate) fn not_routable(plan: &Plan, brief: &Brief) -> Rejection {
    let code = |sku: GoodsId| {
        let lines = brief.lines.iter().chain(brief.substitutes.iter().map(|(_, line)| line));
        let mut found = lines.filter(|line| line.sku.id.0 == sku.0);
        found.next().map_or_else(String::new, |line| line.sku.spec.code.clone())
    };
    let unserved = plan
        .unserved
        .iter()
        .map(|one| CodedUnserved { sku: code(one.sku), units: one.units, reason: one.reason })
        .collect();
    Rejection::NotRoutable { unserved }
}

/// What was met, for the log, if the policy keeps it and it is not too long.
pub(crate) fn traces(network: &Network, policy: &Policy, met: &[Met]) -> Vec<Box<[u8]>> {
    if policy.document().record == Record::Summary {
        return Vec::new();
    }
    let rule = |index: usize| policy.document().rules.get(index).map_or("", |rule| rule.name.as_str());
    let traces: Vec<Box<[u8]>> =
        met.iter().map(|met| trace(met, rule, |service| service_code(network, service))).collect();
    if traces.iter().map(|trace| trace.len()).sum::<usize>() > TRACE_BYTES_MAX { Vec::new() } else { traces }
}

/// A decision that met more than this is kept as a summary: some hundred lines at a hundred places.
const TRACE_BYTES_MAX: usize = 64 * 1024;

/// Lines of a brief as they are kept to be asked again.
pub(crate) fn wanted(brief: &Brief) -> Vec<AskLine> {
    let locations = |places: &[PlaceId]| places.iter().map(|place| LocationId(place.0)).collect();
    let line = |line: &BriefLine| AskLine {
        sku: line.sku.id,
        quantity: line.quantity,
        whole: line.whole,
        only: locations(&line.only),
        never: locations(&line.never),
        rather: locations(&line.rather),
        substitutes: brief
            .substitutes
            .iter()
            .filter(|(instead_of, _)| *instead_of == line.sku.id)
            .map(|(_, other)| other.sku.id)
            .collect(),
    };
    brief.lines.iter().map(line).collect()
}

/// Locations as the router knows them.
pub(crate) fn places(locations: &[LocationId]) -> Vec<PlaceId> {
    locations.iter().map(|location| PlaceId(location.0)).collect()
}

/// Engine time as the router counts it.
pub(crate) fn moment(now: Timestamp) -> Moment {
    Moment(i64::try_from(now.0 / 1_000_000).unwrap_or(i64::MAX))
}

fn order_line<'a>(line: &'a BriefLine, stock: &'a [Stock], surcharge: Money) -> OrderLine<'a> {
    OrderLine {
        sku: GoodsId(line.sku.id.0),
        goods: line.sku.spec.goods(),
        quantity: line.quantity,
        whole: line.whole,
        only: &line.only,
        never: &line.never,
        rather: &line.rather,
        stock,
        surcharge,
    }
}

/// What every location has of a line's SKU, ascending.
fn stock_of(look: &impl Look, line: &BriefLine, freed: &Freed, channel: &str, now: Timestamp) -> Vec<Stock> {
    let sku = line.sku.id;
    let shard = look.shard(sku.shard());
    let row = shard.row(sku);
    let mut stock: Vec<Stock> = Vec::with_capacity(row.len());
    let own = |lines: &[Line], location: LocationId| -> u64 {
        let own = lines.iter().filter(|line| line.sku == sku && line.location == location);
        own.map(|line| line.quantity.units()).sum()
    };
    for (location, available) in row.stocked() {
        stock.push(entry(shard, line, location, available.0, now));
    }
    let places = freed.reserved.iter().chain(&freed.committed).filter(|line| line.sku == sku);
    let places: std::collections::BTreeSet<LocationId> = places.map(|line| line.location).collect();
    for location in places {
        let mut cell = row.get(location);
        cell.reserved = Quantity::clamp(cell.reserved.units().saturating_sub(own(&freed.reserved, location)));
        cell.committed = Quantity::clamp(cell.committed.units().saturating_sub(own(&freed.committed, location)));
        let available = cell.available().0;
        match stock.binary_search_by_key(&location.0, |stock| stock.location.0) {
            Ok(place) => stock[place].available = available,
            Err(place) if available > 0 => stock.insert(place, entry(shard, line, location, available, now)),
            Err(_) => {}
        }
    }
    if let Some(units) = bound(look, line, freed, channel) {
        trim(look.directory(), &mut stock, units);
    }
    stock
}

/// Units of a line that allotments let it have, where that is less than it asks for.
fn bound(look: &impl Look, line: &BriefLine, freed: &Freed, channel: &str) -> Option<u64> {
    let sku = line.sku.id;
    if !allotment::is_bounded(look.shard(sku.shard()), sku) {
        return None;
    }
    let units = match freed.moves {
        Some(movable) => movable?,
        None => {
            let directory = look.directory();
            let path = directory.path(directory.channel(channel).map(|channel| channel.id), None);
            allotment::cap(look, sku, &path, freed.replaced.as_ref())?.units
        }
    };
    (units < u64::from(line.quantity)).then_some(units)
}

/// Leaves so many units of a stock, at the locations that come first by priority.
fn trim(directory: &Directory, stock: &mut Vec<Stock>, units: u64) {
    let mut order: Vec<(Option<u32>, usize)> =
        stock.iter().enumerate().map(|(place, one)| (directory.rank(LocationId(one.location.0)), place)).collect();
    order.sort_unstable();
    let mut left = units;
    for (rank, place) in order {
        let kept = rank.map_or(0, |_| left.min(u64::from(stock[place].available)));
        stock[place].available = u32::try_from(kept).unwrap_or(u32::MAX);
        left -= kept;
    }
    stock.retain(|one| one.available > 0);
}

fn entry(shard: &Shard, line: &BriefLine, location: LocationId, available: u32, now: Timestamp) -> Stock {
    let cell = (line.sku.id, location);
    let refused = !shard.refusals.is_empty() && shard.refusals.get(&cell).is_some_and(|until| *until > now);
    let refused = refused || upkeep::left_out(shard, line.sku.id, location);
    let mut facts = shard.facts_of(cell);
    if let Some(siblings) = &line.siblings {
        facts.size_run = if siblings.contains(location.0) { SizeRun::Whole } else { SizeRun::Broken };
    }
    Stock { location: PlaceId(location.0), available, refused, facts: CellFacts { ..facts } }
}

fn open_parcels(network: &Network, parcels: &[(LocationId, Box<str>, u64)]) -> Vec<OpenParcel> {
    let services = network.services();
    let number = |code: &str| services.iter().position(|service| service.spec.code == code);
    let parcels = parcels.iter().map(|(location, service, weight)| OpenParcel {
        location: PlaceId(location.0),
        service: number(service).and_then(|number| u32::try_from(number).ok()),
        weight: quartermaster_sourcing::Grams(*weight),
    });
    parcels.collect()
}

fn planned(network: &Network, policy: &Policy, plan: Plan, open: &[OpenParcel]) -> Planned {
    let mut lines = Lines::new();
    let mut bookings: SmallVec<[Booking; 4]> = SmallVec::new();
    for parcel in &plan.parcels {
        let location = LocationId(parcel.location.0);
        for (sku, units) in &parcel.lines {
            lines.push(Line { sku: SkuId(sku.0), location, quantity: Quantity(*units) });
        }
        let joins = open.iter().any(|open| open.location == parcel.location);
        for slot in &parcel.slots {
            bookings.push(Booking {
                location,
                slot: *slot,
                orders: i32::from(!joins),
                units: i64::try_from(parcel.units()).unwrap_or(i64::MAX),
            });
        }
    }
    lines.sort_unstable();
    bookings.sort_unstable();
    let step = policy.steps().get(plan.step).map_or("", |step| step.name());
    let decision = Decision {
        policy: policy.name().into(),
        policy_version: policy.version(),
        currency: policy.document().currency.as_str().into(),
        step: u32::try_from(plan.step).unwrap_or(u32::MAX),
        step_name: step.into(),
        value: plan.value,
        lower_bound: plan.lower_bound,
        proof: plan.proof,
        nodes: plan.nodes,
        parcels: plan
            .parcels
            .iter()
            .map(|parcel| DecidedParcel {
                location: LocationId(parcel.location.0),
                lines: parcel.lines.iter().map(|(sku, units)| (SkuId(sku.0), *units)).collect(),
                service: parcel.service.map_or("", |service| service_code(network, service)).into(),
                weight_grams: parcel.weight.0,
                ships_at: parcel.ships_at,
                arrives_at: parcel.arrives_at,
                terms: parcel.terms,
            })
            .collect(),
        unserved: plan.unserved.iter().map(|one| (SkuId(one.sku.0), one.units, one.reason)).collect(),
        substitutions: plan
            .substitutions
            .iter()
            .map(|one| (SkuId(one.sku.0), SkuId(one.substitute.0), one.units))
            .collect(),
    };
    Planned { plan, decision, lines, bookings: bookings.into_vec().into() }
}

/// Code of a service of the network.
pub(crate) fn service_code(network: &Network, service: u32) -> &str {
    let services = network.services();
    usize::try_from(service).ok().and_then(|service| services.get(service)).map_or("", |service| &service.spec.code)
}

fn unplannable(error: RouteError, brief: &Brief) -> Error {
    match error {
        RouteError::Target(quartermaster_sourcing::network::TargetError::UnknownRegion { code }) => {
            Error::UnknownRegion { code }
        }
        RouteError::Target(error) => Error::NotPlannable { reason: error.to_string() },
        RouteError::Problem(error) => Error::NotPlannable { reason: format!("{error} ({} lines)", brief.lines.len()) },
    }
}

//! Freezes and repairs: decisions.
//!
//! A repair goes through the cells in shortfall by SKU and location. At each it goes through the reservations that the caller's priority
//! names first, until their units cover what is missing, and gives each a remedy: its units move to other locations by priority, whole to
//! one if that can be, and what cannot be moved is cancelled. A remedy takes only what is available, so none makes another shortfall.

use std::{cmp::Reverse, collections::BTreeMap};

use quartermaster_journal::Lsn;
use quartermaster_sourcing::{LocationId as PlaceId, fulfilment::Mode, plan::Terms};

use super::{
    Decision, campaign,
    lifecycle::{header, part_lines},
    location, reroute, sourcing,
};
use crate::{
    capacity::Booking,
    catalog::{Directory, LocationState},
    command::upkeep::{Freeze, RepairMode, RepairPriority, Thaw, Which},
    error::{Error, Rejection},
    event::{
        Claim, EndState, Event, Line, Lines, Promise, ShardSet,
        upkeep::{Remedy, Repaired, ShortCell, UpkeepEvent},
    },
    id::{LocationId, ReservationId, SkuId},
    quantity::Quantity,
    reservation::{PartLine, State},
    shard::{Look, Shard},
    sourced::{DecidedParcel, Rerouted, Sourcing},
    time::Timestamp,
    upkeep::{FREEZES_MAX, Freeze as Standing, FreezeReason, Frozen, reasons},
};

/// Reservations that one repair looks at at most, each counted at every cell where it is hurt.
pub(crate) const REPAIRED_MAX: usize = 1_000;

/// Cells in shortfall that one repair looks at at most.
pub(crate) const CELLS_MAX: usize = 1_000;

/// A freeze of a SKU or of a cell.
pub(crate) fn freeze(look: &impl Look, request: &Freeze, sku: SkuId) -> Result<Decision, Error> {
    let shard = look.shard(sku.shard());
    let row = shard.row(sku);
    if row.retired() {
        return Err(Error::UnknownSku { code: request.target.sku.clone() });
    }
    let target = target(look.directory(), sku, &request.target.location)?;
    if row.kit() && target.location().is_some() {
        return Err(Error::KitHasNoStock { sku: request.target.sku.clone() });
    }
    frozen(request, target, shard.upkeep.of(target))
}

/// A freeze of a location.
pub(crate) fn freeze_location(directory: &Directory, request: &Freeze) -> Result<Decision, Error> {
    let at = location(directory, &request.target.location)?;
    frozen(request, Frozen::Location(at), directory.freezes_of(at))
}

fn frozen(request: &Freeze, target: Frozen, standing: &[Standing]) -> Result<Decision, Error> {
    if standing.len() >= FREEZES_MAX {
        let (sku, location) = (request.target.sku.clone(), request.target.location.clone());
        return Err(Error::TooManyFreezes { sku, location, limit: FREEZES_MAX });
    }
    let reference = request.reference.as_str().into();
    let event = UpkeepEvent::Frozen { target, reason: request.reason, reference };
    Ok(Decision::Event(Event::Upkeep(Box::new(event))))
}

/// Freezes of a SKU or of a cell are lifted.
pub(crate) fn thaw(look: &impl Look, request: &Thaw, sku: SkuId) -> Result<Decision, Error> {
    let directory = look.directory();
    let target = target(directory, sku, &request.target.location)?;
    let shard = look.shard(sku.shard());
    let rests_on = shard.row(sku).revision().max(directory.revision());
    Ok(thawed(request, target, shard.upkeep.of(target), rests_on))
}

/// Freezes of a location are lifted.
pub(crate) fn thaw_location(directory: &Directory, request: &Thaw) -> Result<Decision, Error> {
    let at = location(directory, &request.target.location)?;
    Ok(thawed(request, Frozen::Location(at), directory.freezes_of(at), directory.revision()))
}

fn thawed(request: &Thaw, target: Frozen, standing: &[Standing], rests_on: Lsn) -> Decision {
    let meant = |freeze: &&Standing| match request.which {
        Which::All => true,
        Which::Reason(reason) => freeze.reason == reason,
        Which::Id(id) => freeze.id == id,
    };
    let freezes: Vec<u64> = standing.iter().filter(meant).map(|freeze| freeze.id).collect();
    if freezes.is_empty() {
        let (sku, location) = (request.target.sku.clone(), request.target.location.clone());
        return Decision::Rejected(Rejection::NotFrozen { sku, location }, rests_on);
    }
    Decision::Event(Event::Upkeep(Box::new(UpkeepEvent::Thawed { target, freezes })))
}

fn target(directory: &Directory, sku: SkuId, code: &str) -> Result<Frozen, Error> {
    if code.is_empty() { Ok(Frozen::Sku(sku)) } else { location(directory, code).map(|at| Frozen::Cell(sku, at)) }
}

/// Why nothing of a SKU is sold whose row says so.
#[cold]
pub(crate) fn not_for_sale(shard: &Shard, sku: SkuId, code: &str) -> Rejection {
    frozen_sku(shard, sku, code).unwrap_or_else(|| Rejection::SkuNotSellable { sku: code.into() })
}

/// The refusal to promise more of a frozen SKU.
pub(crate) fn frozen_sku(shard: &Shard, sku: SkuId, code: &str) -> Option<Rejection> {
    let row = shard.row(sku);
    let standing = || shard.upkeep.of(Frozen::Sku(sku));
    row.frozen().then(|| Rejection::Frozen { sku: code.into(), location: String::new(), reasons: reasons(standing()) })
}

/// The refusal to promise anything at a location that takes nothing.
#[cold]
pub(crate) fn not_taking(directory: &Directory, at: LocationId, code: &str) -> Rejection {
    match directory.state(at) {
        LocationState::Open => {
            Rejection::Frozen { sku: String::new(), location: code.into(), reasons: reasons(directory.freezes_of(at)) }
        }
        state => Rejection::LocationNotOpen { location: code.into(), state: state.name() },
    }
}

/// The refusal to promise more of a frozen cell.
pub(crate) fn frozen_cell(shard: &Shard, (sku, at): (SkuId, LocationId), codes: (&str, &str)) -> Option<Rejection> {
    if !shard.row(sku).get(at).frozen {
        return None;
    }
    let reasons = reasons(shard.upkeep.of(Frozen::Cell(sku, at)));
    Some(Rejection::Frozen { sku: codes.0.into(), location: codes.1.into(), reasons })
}

/// Whether the router has to leave a cell out: its SKU or its location is frozen. A frozen cell has nothing available anyway.
pub(crate) fn left_out(shard: &Shard, sku: SkuId, at: LocationId) -> bool {
    let directory = &shard.directory;
    shard.row(sku).frozen() || !directory.freezes().is_empty() && directory.freezes().contains_key(&at)
}

/// The refusal to let units leave that are called back or in doubt. Other freezes stop no shipment.
pub(crate) fn not_to_ship(shard: &Shard, line: &Line, code: &str) -> Option<Rejection> {
    let directory = &shard.directory;
    if shard.upkeep.freezes.is_empty() && directory.freezes().is_empty() {
        return None;
    }
    let stops = |standing: &[Standing]| -> Vec<FreezeReason> {
        reasons(standing).into_iter().filter(|reason| reason.stops_shipping()).collect()
    };
    let place = directory.location_code(line.location);
    [
        (code, "", stops(shard.upkeep.of(Frozen::Sku(line.sku)))),
        (code, place, stops(shard.upkeep.of(Frozen::Cell(line.sku, line.location)))),
        ("", place, stops(directory.freezes_of(line.location))),
    ]
    .into_iter()
    .find(|(.., reasons)| !reasons.is_empty())
    .map(|(sku, location, reasons)| Rejection::Frozen { sku: sku.into(), location: location.into(), reasons })
}

/// A cell in shortfall and the reservations that cover what is missing, in the order of the priority.
#[derive(Debug)]
pub(crate) struct Wound {
    pub(crate) sku: SkuId,
    pub(crate) location: LocationId,
    pub(crate) hurt: Vec<ReservationId>,
}

/// Where a reservation stands in the order of a priority; the lowest is hurt first.
pub(crate) fn place(priority: &[RepairPriority], promise: Promise, id: ReservationId) -> (Vec<u64>, Reverse<u64>) {
    let priority = if priority.is_empty() { &RepairPriority::DEFAULT } else { priority };
    let key = |one: &RepairPriority| match one {
        RepairPriority::UnpaidFirst => u64::from(promise == Promise::Committed),
        RepairPriority::NewestFirst => u64::MAX - id.sequence(),
        RepairPriority::OldestFirst => id.sequence(),
    };
    (priority.iter().map(key).collect(), Reverse(id.0))
}

/// Decides the remedies. `more` says that there are cells or reservations that were not looked at.
pub(crate) fn repair(look: &impl Look, mode: RepairMode, wounds: &[Wound], more: bool, now: Timestamp) -> Decision {
    let mut desk = Desk { look, now, taken: BTreeMap::new(), patients: BTreeMap::new(), remedies: Vec::new() };
    let mut remaining = Vec::new();
    let mut rests_on = look.directory().revision();
    for wound in wounds {
        let shard = look.shard(wound.sku.shard());
        rests_on = rests_on.max(shard.lsn);
        let mut short = shard.row(wound.sku).get(wound.location).shortfall();
        for id in &wound.hurt {
            short -= desk.treat(*id, (wound.sku, wound.location), mode, short);
        }
        if short > 0 {
            remaining.push(ShortCell { sku: wound.sku, location: wound.location, units: short });
        }
    }
    if desk.remedies.is_empty() {
        return Decision::Rejected(Rejection::NothingToRepair { cells: remaining.len() }, rests_on);
    }
    let repaired = Repaired { remedies: desk.remedies, remaining, more };
    Decision::Event(Event::Upkeep(Box::new(UpkeepEvent::Repaired(repaired))))
}

/// A reservation as the remedies so far leave it.
struct Patient {
    promise: Promise,
    /// Its time is up: the units come back by themselves.
    due: bool,
    shards: ShardSet,
    lines: Vec<PartLine>,
    /// It is promised units that are expected, and stays open for them.
    waits: bool,
    sourcing: Option<Sourcing>,
}

struct Desk<'a, L> {
    look: &'a L,
    now: Timestamp,
    /// Units that the remedies so far take.
    taken: BTreeMap<(SkuId, LocationId), u64>,
    patients: BTreeMap<ReservationId, Option<Patient>>,
    remedies: Vec<Remedy>,
}

impl<L: Look> Desk<'_, L> {
    /// Takes up to `short` units of a reservation off a cell; gives how many.
    fn treat(&mut self, id: ReservationId, (sku, at): (SkuId, LocationId), mode: RepairMode, short: u64) -> u64 {
        let (look, now) = (self.look, self.now);
        let Some(mut patient) = self.patients.entry(id).or_insert_with(|| patient(look, id, now)).take() else {
            return 0;
        };
        let line = patient.lines.iter().find(|line| (line.sku, line.location) == (sku, at));
        let units = line.map_or(0, |line| line.open.units()).min(short);
        let mut left = units;
        if !patient.due {
            if left > 0 && mode != RepairMode::CancelOnly {
                left -= self.reroute(id, &mut patient, (sku, at), left);
            }
            if left > 0 && mode != RepairMode::RerouteOnly {
                let line = Line { sku, location: at, quantity: Quantity::clamp(left) };
                self.remedies.push(cancel(look, id, &mut patient, line));
                left = 0;
            }
        }
        let covered = if patient.due { units } else { units - left };
        self.patients.insert(id, Some(patient));
        covered
    }

    /// Moves up to `wanted` units to other locations; gives how many.
    fn reroute(&mut self, id: ReservationId, patient: &mut Patient, from: (SkuId, LocationId), wanted: u64) -> u64 {
        let to = self.targets(patient, from, wanted);
        let moved: u64 = to.iter().map(|line| line.quantity.units()).sum();
        if moved == 0 {
            return 0;
        }
        for line in &to {
            *self.taken.entry((line.sku, line.location)).or_default() += line.quantity.units();
        }
        let from = Line { sku: from.0, location: from.1, quantity: Quantity::clamp(moved) };
        let (parcels, bookings) = self.parcels(patient, from, &to);
        if let Some(sourcing) = &mut patient.sourcing {
            _ = sourcing.book(&bookings);
            sourcing.parcels.clone_from(&parcels);
        }
        change_lines(&mut patient.lines, from, &to);
        self.remedies.push(Remedy::Moved(Box::new(Rerouted {
            reservation: id,
            promise: patient.promise,
            from: Lines::from_iter([from]),
            to,
            bookings,
            refused_until: None,
            promised: None,
            parcels,
            decision: None,
        })));
        moved
    }

    /// Where units can go: the first location by priority that has them all, else as many as it takes in that order. What the order was
    /// asked for with holds; what is picked up at a location goes nowhere else.
    fn targets(&self, patient: &Patient, (sku, from): (SkuId, LocationId), wanted: u64) -> Lines {
        let (directory, row) = (self.look.directory(), self.look.shard(sku.shard()).row(sku));
        let sourcing = patient.sourcing.as_ref();
        if row.frozen() || sourcing.is_some_and(|sourcing| sourcing.ask.mode == Mode::Pickup) {
            return Lines::new();
        }
        let asked = sourcing.and_then(|sourcing| sourcing.conditions_of(sku));
        let allowed = |at: LocationId| {
            asked.is_none_or(|asked| (asked.only.is_empty() || asked.only.contains(&at)) && !asked.never.contains(&at))
        };
        let mut places: Vec<(Option<u32>, LocationId, u64)> = row
            .stocked()
            .filter(|(at, _)| *at != from && directory.takes(*at) && allowed(*at))
            .map(|(at, available)| {
                let taken = self.taken.get(&(sku, at)).copied().unwrap_or(0);
                (directory.rank(at), at, available.units() - taken)
            })
            .filter(|(.., available)| *available > 0)
            .collect();
        places.sort_unstable();
        let line = |at, units| Line { sku, location: at, quantity: Quantity::clamp(units) };
        if let Some((_, at, _)) = places.iter().find(|(.., available)| *available >= wanted) {
            return Lines::from_iter([line(*at, wanted)]);
        }
        if asked.is_some_and(|asked| asked.whole) {
            return Lines::new();
        }
        let mut lines = Lines::new();
        let mut missing = wanted;
        for (_, at, available) in places {
            let taken = available.min(missing);
            if taken > 0 {
                lines.push(line(at, taken));
                missing -= taken;
            }
        }
        lines.sort_unstable();
        lines
    }

    /// The parcels of a reservation after a move, and the work it books and gives back. Nobody asked a carrier: what was promised stands.
    fn parcels(&self, patient: &Patient, from: Line, to: &[Line]) -> (Vec<DecidedParcel>, Box<[Booking]>) {
        let Some(sourcing) = &patient.sourcing else { return (Vec::new(), Box::default()) };
        let moment = sourcing::moment(self.now);
        let arrives_at = sourcing.parcels.iter().find(|parcel| parcel.location == from.location);
        let arrives_at = arrives_at.map_or(moment, |parcel| parcel.arrives_at);
        let network = &self.look.directory().stage(self.now).network;
        let mut taken = Vec::with_capacity(to.len());
        let mut booked: Vec<Booking> = Vec::new();
        for line in to {
            taken.push(DecidedParcel {
                location: line.location,
                lines: vec![(line.sku, line.quantity.0)],
                service: Box::default(),
                weight_grams: 0,
                ships_at: moment,
                arrives_at,
                terms: Terms::default(),
            });
            let filled = |own: &PartLine| own.location == line.location && !own.open.is_zero();
            let orders = i32::from(!patient.lines.iter().any(filled));
            let slots = network.slots(PlaceId(line.location.0), moment).into_iter();
            let units = line.quantity.signed();
            booked.extend(slots.map(|slot| Booking { location: line.location, slot, orders, units }));
        }
        let freed = sourcing.freed(&patient.lines, &[from]);
        (reroute::after(sourcing, &patient.lines, from, &taken), reroute::sum(&freed, &booked))
    }
}

fn patient(look: &impl Look, id: ReservationId, now: Timestamp) -> Option<Patient> {
    let header = header(look, id).ok()?;
    let promise = match header.state() {
        State::Held => Promise::Reserved,
        State::Confirmed => Promise::Committed,
        _ => return None,
    };
    Some(Patient {
        promise,
        due: header.state() == State::Held && now >= header.expires_at(),
        shards: header.shards(),
        lines: part_lines(look, id, &header.shards()).collect(),
        waits: header
            .shards()
            .iter()
            .any(|shard| look.shard(shard).parts.get(&id).is_some_and(|part| !part.presold().is_empty())),
        sourcing: header.sourcing().cloned(),
    })
}

fn cancel(look: &impl Look, id: ReservationId, patient: &mut Patient, line: Line) -> Remedy {
    let bookings = patient.sourcing.as_ref().map_or_else(Box::default, |own| own.freed(&patient.lines, &[line]));
    if let Some(sourcing) = &mut patient.sourcing {
        _ = sourcing.book(&bookings);
    }
    for own in patient.lines.iter_mut().filter(|own| (own.sku, own.location) == (line.sku, line.location)) {
        own.open = Quantity(own.open.0 - line.quantity.0);
        own.returned = Quantity(own.returned.0.saturating_add(line.quantity.0));
    }
    let open = patient.waits || patient.lines.iter().any(|line| !line.open.is_zero());
    let shipped = patient.lines.iter().any(|line| !line.shipped.is_zero());
    let end = (!open).then_some(if shipped { EndState::Shipped } else { EndState::Cancelled });
    let mut claim = Claim::new(id, Lines::from_iter([line]), &patient.shards);
    if let Ok(header) = header(look, id) {
        claim = campaign::giving_back(look, header, claim);
    }
    Remedy::Cancelled { claim, promise: patient.promise, end, bookings }
}

fn change_lines(lines: &mut Vec<PartLine>, from: Line, to: &[Line]) {
    for line in to {
        match lines.iter_mut().find(|own| (own.sku, own.location) == (line.sku, line.location)) {
            Some(own) => own.open = Quantity(own.open.0 + line.quantity.0),
            None => lines.push(PartLine::open(line.sku, line.location, line.quantity)),
        }
    }
    for own in lines.iter_mut().filter(|own| (own.sku, own.location) == (from.sku, from.location)) {
        own.open = Quantity(own.open.0 - from.quantity.0);
    }
}

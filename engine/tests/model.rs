//! A naive engine, written from the documents with plain maps and sharing no code with the real one, and random commands that both
//! must answer alike.

mod support;

use std::collections::BTreeMap;

use proptest::prelude::*;
use quartermaster_engine::{
    Answer, EngineConfig, Error, Rejection, Verdict,
    capacity::Booking,
    catalog::{LocationState, documents::DocumentId},
    command::{Bucket, CatalogueCommand, CellCode, Command, Condition, LineSelection, Reserve, Step, StockCommand},
    event::{self, Event, Facts},
    id::{LocationId, ReservationId, SkuId},
    route::Wants,
    sourced::{AskLine, DecidedParcel, Rerouted},
    time::Timestamp,
};
use quartermaster_sourcing::fulfilment::{Moment, Slot};
use support::{
    Rig, cases, dump,
    generate::{Case, Known, Op, case, fulfilment, setup},
    regressions, render,
};

const MAX: u64 = 4_294_967_295;

#[derive(Clone, Default)]
struct Cell {
    on_hand: u64,
    reserved: u64,
    committed: u64,
    safety: u64,
    quality_control: u64,
    damaged: u64,
    in_repair: u64,
    incoming: u64,
}

impl Cell {
    fn unsellable(&self) -> u64 {
        self.quality_control + self.damaged + self.in_repair
    }

    fn available(&self) -> u64 {
        self.on_hand.saturating_sub(self.reserved + self.committed + self.safety + self.unsellable())
    }

    fn shortfall(&self) -> u64 {
        (self.reserved + self.committed).saturating_sub(self.on_hand.saturating_sub(self.unsellable()))
    }

    fn bucket(&mut self, bucket: Bucket) -> (&mut u64, &'static str) {
        match bucket {
            Bucket::OnHand => (&mut self.on_hand, "on hand"),
            Bucket::Safety => (&mut self.safety, "safety"),
            Bucket::QualityControl => (&mut self.quality_control, "quality control"),
            Bucket::Damaged => (&mut self.damaged, "damaged"),
            Bucket::InRepair => (&mut self.in_repair, "in repair"),
            Bucket::Incoming => (&mut self.incoming, "incoming"),
        }
    }

    fn add(&mut self, bucket: Bucket, delta: i64, at: &str) -> Result<(), String> {
        let (figure, name) = self.bucket(bucket);
        let sum = i128::from(*figure) + i128::from(delta);
        if sum < 0 {
            return Err(format!("EXCEEDS_BUCKET {at} {name} {}/{figure}", delta.unsigned_abs()));
        }
        *figure = u64::try_from(sum).ok().filter(|sum| *sum <= MAX).ok_or(format!("OVERFLOW {at} {name}"))?;
        Ok(())
    }

    fn promise(&mut self, state: &str) -> &mut u64 {
        if state == "held" { &mut self.reserved } else { &mut self.committed }
    }
}

struct Sku {
    code: String,
    sellable: bool,
    retired: bool,
    revision: u64,
}

struct Location {
    code: String,
    state: LocationState,
    priority: u32,
}

#[derive(Clone, Default)]
struct Line {
    open: u64,
    shipped: u64,
    returned: u64,
}

struct Reservation {
    state: &'static str,
    order: String,
    buyer: String,
    channel: Option<u32>,
    created: u64,
    expires: u64,
    ended: Option<u64>,
    revision: u64,
    lines: BTreeMap<(usize, usize), Line>,
    sourced: Option<Sourced>,
}

/// What events say of how an order was sourced, as it is.
struct Sourced {
    decided: u64,
    promised: Option<Moment>,
    group: Option<ReservationId>,
    booked: Work,
    parcels: Vec<DecidedParcel>,
    wanted: Vec<AskLine>,
}

/// Orders and units by location and slot.
type Work = BTreeMap<(u32, Slot), (i64, i64)>;
type Booked = ((u32, Slot), (i64, i64));

type Taken = BTreeMap<(usize, usize), u64>;

/// What is to happen, as text and as a change of the model.
type Outcome = Result<String, String>;

#[derive(Default)]
struct Model {
    now: u64,
    lsn: u64,
    skus: Vec<Sku>,
    locations: Vec<Location>,
    channels: Vec<(String, bool)>,
    cells: BTreeMap<(usize, usize), Cell>,
    reservations: BTreeMap<u64, Reservation>,
    remembered: BTreeMap<String, (Command, u64, String)>,
    facts: BTreeMap<(usize, usize), Facts>,
    /// Code and parent.
    regions: Vec<(String, String)>,
    /// Policies: name, version, state.
    documents: Vec<(String, u32, &'static str)>,
    booked: Work,
    /// Slots that ended before this second are forgotten.
    horizon: u64,
    refusals: BTreeMap<(u32, u32), u64>,
}

impl Model {
    /// `Ok` when something happened, `Err` when nothing did. `id` is the one that a new reservation got.
    fn submit(&mut self, request: &str, command: &Command, told: &Told) -> Outcome {
        if let Some((first, _, text)) = self.remembered.get(request) {
            return Err(if first == command {
                format!("replayed {text}")
            } else {
                format!("REQUEST_ID_REUSED {request}")
            });
        }
        self.lsn += 1;
        let outcome = match command {
            // What the router decides is taken as it is, if it can be.
            Command::Merge(_) => self.routed(told),
            Command::Reserve(reserve) if reserve.sourcing.is_some() => self.routed(told),
            Command::Reservation(_, Step::Reassign(one)) if one.refused && one.to.is_empty() => self.routed(told),
            Command::Reserve(reserve) => self.reserve(reserve, told.made()),
            Command::Reservation(id, step) => self.step(*id, step),
            Command::Stock(stock) => self.stock(stock),
            Command::Catalogue(catalogue) => self.catalogue(catalogue),
            other => panic!("the generator makes no {other:?}"),
        };
        match &outcome {
            Ok(text) => {
                if let Some(event) = &told.event {
                    self.book(event);
                }
                _ = self.remembered.insert(request.into(), (command.clone(), self.lsn, text.clone()));
            }
            Err(_) => self.lsn -= 1,
        }
        outcome
    }

    fn sku(&self, code: &str) -> Result<usize, String> {
        self.skus.iter().position(|sku| sku.code == code && !sku.retired).ok_or(format!("UNKNOWN_SKU {code}"))
    }

    fn location(&self, code: &str) -> Result<usize, String> {
        self.locations.iter().position(|place| place.code == code).ok_or(format!("UNKNOWN_LOCATION {code}"))
    }

    fn at(&self, (sku, location): (usize, usize)) -> String {
        format!("{}@{}", self.skus[sku].code, self.locations[location].code)
    }

    fn list(&self, taken: &Taken) -> String {
        let lines: Vec<_> = taken.iter().map(|(place, units)| format!("{}:{units}", self.at(*place))).collect();
        lines.join(" ")
    }

    fn cell(&mut self, place: (usize, usize)) -> &mut Cell {
        self.skus[place.0].revision = self.lsn;
        self.cells.entry(place).or_default()
    }

    /// Open locations, best first.
    fn ranked(&self) -> Vec<usize> {
        let open = |place: &usize| self.locations[*place].state == LocationState::Open;
        let mut ranked: Vec<usize> = (0..self.locations.len()).filter(open).collect();
        ranked.sort_by_key(|place| (self.locations[*place].priority, *place));
        ranked
    }

    fn reserve(&mut self, request: &Reserve, id: Option<ReservationId>) -> Outcome {
        // Same SKU and place: one demand. Named places are served before open ones.
        let mut demands: BTreeMap<(usize, bool, &str), (u64, usize)> = BTreeMap::new();
        for (place, line) in request.lines.iter().enumerate() {
            let key = (self.sku(&line.sku)?, line.location.is_empty(), line.location.as_str());
            demands.entry(key).or_insert((0, place)).0 += line.quantity.units();
        }
        for (sku, code) in self.skus.iter().enumerate().map(|(sku, spec)| (sku, &spec.code)) {
            let sum: u64 = demands.iter().filter(|(key, _)| key.0 == sku).map(|(_, demand)| demand.0).sum();
            if sum > MAX {
                return Err(format!("SUM_OVERFLOW {code} {sum}"));
            }
        }
        let replaced = match request.replaces {
            None => None,
            Some(id) => Some((id, self.reservations.get(&id.0).ok_or(format!("UNKNOWN_RESERVATION {id}"))?)),
        };
        let channel = self.channels.iter().position(|(code, _)| *code == request.channel);
        match channel {
            None if !request.channel.is_empty() => return Err(format!("UNKNOWN_CHANNEL {}", request.channel)),
            Some(place) if !self.channels[place].1 => return Err(format!("CHANNEL_NOT_ACTIVE {}", request.channel)),
            _ => {}
        }
        let mut freed = Taken::new();
        if let Some((id, earlier)) = replaced {
            if earlier.buyer != request.buyer_id || request.buyer_id.is_empty() {
                return Err(format!("OTHER_BUYER {id}"));
            }
            match earlier.state {
                "held" => freed = open(earlier),
                "confirmed" | "shipped" => return Err(format!("RESERVATION_STATE {id} {}", earlier.state)),
                _ => {}
            }
        }
        let given_up = replaced.filter(|_| !freed.is_empty()).map(|(id, _)| id);

        let (mut taken, mut short) = (Taken::new(), Vec::new());
        for ((sku, _, place), (wanted, line)) in demands {
            let spec = &self.skus[sku];
            if !spec.sellable {
                return Err(format!("SKU_NOT_SELLABLE {}", spec.code));
            }
            if request.unchanged_since_lsn > 0 && spec.revision > request.unchanged_since_lsn {
                return Err(format!("STALE_REVISION {}", spec.code));
            }
            let left = |at: usize, taken: &Taken| {
                let mut cell = self.cells.get(&(sku, at)).cloned().unwrap_or_default();
                cell.reserved -= freed.get(&(sku, at)).unwrap_or(&0);
                cell.available() - taken.get(&(sku, at)).unwrap_or(&0)
            };
            let candidates = if place.is_empty() {
                let ranked = self.ranked();
                let whole = ranked.iter().copied().find(|at| left(*at, &taken) >= wanted);
                whole.map_or(ranked, |whole| vec![whole])
            } else {
                let at = self.location(place)?;
                match self.locations[at].state {
                    LocationState::Open => vec![at],
                    _ if request.allow_partial => vec![],
                    LocationState::Paused => return Err(format!("LOCATION_NOT_OPEN {place} paused")),
                    LocationState::Closed => return Err(format!("LOCATION_NOT_OPEN {place} closed")),
                }
            };
            let mut missing = wanted;
            for at in candidates {
                let units = missing.min(left(at, &taken));
                if units > 0 {
                    *taken.entry((sku, at)).or_default() += units;
                    missing -= units;
                }
            }
            if missing > 0 {
                let at = if place.is_empty() { String::new() } else { format!("@{place}") };
                short.push((line, sku, at, wanted, wanted - missing));
            }
        }
        let text = |short: &[(usize, usize, String, u64, u64)]| -> String {
            let each =
                short.iter().map(|(_, sku, at, wanted, got)| format!(" {}{at}:{wanted}/{got}", self.skus[*sku].code));
            each.collect()
        };
        if !short.is_empty() && (!request.allow_partial || taken.is_empty()) {
            short.sort();
            return Err(format!("INSUFFICIENT_STOCK{}", text(&short)));
        }

        let mut answer = self.list(&taken);
        short.iter().for_each(|one| answer += &format!(" short{}", text(std::slice::from_ref(one))));
        if let Some(id) = given_up {
            answer += &format!(" replaced {id} {}", self.list(&freed));
            self.give_back(id, &freed, Some("replaced"));
        }
        let id = id.unwrap_or(ReservationId(0));
        let newest = self.reservations.last_key_value().map_or(0, |(id, _)| *id);
        assert!(id.0 > newest, "ids rise");
        for (place, units) in &taken {
            self.cell(*place).reserved += units;
        }
        self.reservations.insert(
            id.0,
            Reservation {
                state: "held",
                order: request.order_id.to_string(),
                buyer: request.buyer_id.to_string(),
                channel: channel.and_then(|place| u32::try_from(place).ok()),
                created: self.now,
                expires: self.now + request.ttl.0,
                ended: None,
                revision: self.lsn,
                lines: taken.iter().map(|(place, open)| (*place, Line { open: *open, ..Line::default() })).collect(),
                sourced: None,
            },
        );
        Ok(answer)
    }

    /// Frees units of a reservation; with `end` it is over.
    fn give_back(&mut self, id: ReservationId, units: &Taken, end: Option<&'static str>) {
        let state = self.reservations[&id.0].state;
        for (place, units) in units {
            *self.cell(*place).promise(state) -= units;
        }
        let (now, lsn) = (self.now, self.lsn);
        let reservation = self.reservations.get_mut(&id.0).expect("it is there");
        for (place, units) in units {
            let line = reservation.lines.get_mut(place).expect("it is there");
            line.open -= units;
            line.returned += units;
        }
        reservation.revision = lsn;
        if let Some(end) = end {
            (reservation.state, reservation.ended) = (end, Some(now));
        }
    }

    fn step(&mut self, id: ReservationId, step: &Step) -> Outcome {
        let reservation = self.reservations.get(&id.0).ok_or(format!("UNKNOWN_RESERVATION {id}"))?;
        let (state, all) = (reservation.state, open(reservation));
        let over = state == "expired" || state == "held" && self.now >= reservation.expires;
        let wrong_state = Err(format!("RESERVATION_STATE {id} {state}"));
        match step {
            Step::Expire => {
                if state != "held" || !over {
                    return Err("nothing".into());
                }
                self.give_back(id, &all, Some("expired"));
                return Ok(format!("expired {}", self.list(&all)));
            }
            Step::Ship(_) if state != "confirmed" => return wrong_state,
            Step::Ship(_) => {}
            _ if over => {
                return Err(format!("RESERVATION_EXPIRED {id} {}", render::time(Timestamp(reservation.expires))));
            }
            Step::Confirm | Step::Release | Step::Extend(_) if state != "held" => return wrong_state,
            Step::Cancel(_) | Step::Reassign(_) if state != "held" && state != "confirmed" => return wrong_state,
            _ => {}
        }
        match step {
            Step::Confirm => {
                for (place, units) in &all {
                    let cell = self.cell(*place);
                    (cell.reserved, cell.committed) = (cell.reserved - units, cell.committed + units);
                }
                let lsn = self.lsn;
                let reservation = self.reservations.get_mut(&id.0).expect("it is there");
                (reservation.state, reservation.revision) = ("confirmed", lsn);
                Ok(format!("confirmed {}", self.list(&all)))
            }
            Step::Release => {
                self.give_back(id, &all, Some("released"));
                Ok(format!("released {}", self.list(&all)))
            }
            Step::Extend(ttl) => {
                let (until, lsn) = (self.now + ttl.0, self.lsn);
                let reservation = self.reservations.get_mut(&id.0).expect("it is there");
                (reservation.expires, reservation.revision) = (until, lsn);
                Ok(format!("until={}", render::time(Timestamp(until))))
            }
            Step::Cancel(selections) => {
                let units = self.select(id, selections)?;
                let shipped = self.reservations[&id.0].lines.values().any(|line| line.shipped > 0);
                let end = (units == all).then_some(if shipped { "shipped" } else { "cancelled" });
                self.give_back(id, &units, end);
                Ok(format!("cancelled {}{}", self.list(&units), ending(end)))
            }
            Step::Ship(selections) => {
                let units = self.select(id, selections)?;
                for (place, units) in &units {
                    let on_hand = self.cells[place].on_hand;
                    if on_hand < *units {
                        return Err(format!("EXCEEDS_BUCKET {} on hand {units}/{on_hand}", self.at(*place)));
                    }
                }
                let end = (units == all).then_some("shipped");
                for (place, units) in &units {
                    // They do not go back to the cell: they left it.
                    self.cell(*place).on_hand -= units;
                }
                self.give_back(id, &units, end);
                for (place, units) in &units {
                    let line = self.reservations.get_mut(&id.0).and_then(|of| of.lines.get_mut(place));
                    let line = line.expect("it is there");
                    (line.returned, line.shipped) = (line.returned - units, line.shipped + units);
                }
                Ok(format!("shipped {}{}", self.list(&units), ending(end)))
            }
            Step::Reassign(request) => {
                let one = LineSelection {
                    sku: request.sku.clone(),
                    location: request.from.clone(),
                    quantity: request.quantity,
                };
                let Some((from, units)) = self.select(id, &[one])?.pop_first() else { unreachable!("one line") };
                let available = |at: usize| self.cells.get(&(from.0, at)).map_or(0, Cell::available);
                let to = if request.to.is_empty() {
                    let others: Vec<usize> = self.ranked().into_iter().filter(|at| *at != from.1).collect();
                    let most = others.iter().map(|at| available(*at)).max().unwrap_or(0);
                    let best = others.into_iter().find(|at| available(*at) >= units);
                    best.ok_or(format!("INSUFFICIENT_STOCK {}:{units}/{most}", request.sku))?
                } else {
                    let to = self.location(&request.to)?;
                    match self.locations[to].state {
                        _ if to == from.1 => return Err(format!("SAME_LOCATION {}@{}", request.sku, request.to)),
                        LocationState::Open => {}
                        LocationState::Paused => return Err(format!("LOCATION_NOT_OPEN {} paused", request.to)),
                        LocationState::Closed => return Err(format!("LOCATION_NOT_OPEN {} closed", request.to)),
                    }
                    if available(to) < units {
                        let left = available(to);
                        return Err(format!("INSUFFICIENT_STOCK {}@{}:{units}/{left}", request.sku, request.to));
                    }
                    to
                };
                *self.cell((from.0, to)).promise(state) += units;
                *self.cell(from).promise(state) -= units;
                let lsn = self.lsn;
                let reservation = self.reservations.get_mut(&id.0).expect("it is there");
                reservation.lines.entry((from.0, to)).or_default().open += units;
                reservation.lines.get_mut(&from).expect("it is there").open -= units;
                reservation.lines.retain(|_, line| line.open + line.shipped + line.returned > 0);
                reservation.revision = lsn;
                let sourced = self.reservations[&id.0].sourced.is_some();
                if !sourced && !request.refused {
                    return Ok(format!("{}:{units} from={}", self.at((from.0, to)), self.locations[from.1].code));
                }
                // The built-in policy says nothing of refusals.
                let until = self.now + 4 * 3600 * 1_000_000;
                let refused = if request.refused {
                    format!(" refused until {}", render::time(Timestamp(until)))
                } else {
                    String::new()
                };
                Ok(format!("{}:{units} to {}:{units}{refused}", self.at(from), self.at((from.0, to))))
            }
            Step::Expire => unreachable!("done above"),
        }
    }

    /// Takes what the router decided, if it can be: units that are there, places that are open and have not refused.
    fn routed(&mut self, told: &Told) -> Outcome {
        match &told.event {
            None => return Err(told.text.clone()),
            Some(Event::Held(held)) => self.held(held),
            Some(Event::Rerouted(moved)) => self.rerouted(moved, None),
            Some(Event::Merged(merged)) => {
                let group = merged.moves.iter().map(|part| part.reservation).min();
                assert!(merged.decision.cost() < merged.cost_before, "a merge saves money");
                for part in &merged.moves {
                    let before = self.reservations[&part.reservation.0].sourced.as_ref().and_then(|one| one.promised);
                    assert!(before.is_none() || part.promised <= before, "nobody waits longer than promised");
                    self.rerouted(part, group);
                }
            }
            Some(event) => panic!("no event of a router: {event:?}"),
        }
        Ok(told.text.clone())
    }

    fn held(&mut self, held: &event::Held) {
        if let Some(replaced) = &held.replaced {
            let units = replaced.lines.iter().map(|line| (place(line), line.quantity.units())).collect();
            assert_eq!(self.reservations[&replaced.reservation.0].state, "held", "only a hold is replaced");
            assert_eq!(open(&self.reservations[&replaced.reservation.0]), units, "it is given up whole");
            self.give_back(replaced.reservation, &units, Some("replaced"));
        }
        let sourced = held.sourced.as_deref().expect("a router decided");
        let mut lines = BTreeMap::new();
        for line in &held.lines {
            let spec = &self.skus[place(line).0];
            assert!(spec.sellable && !spec.retired, "only what is for sale is taken");
            self.take(line, "held");
            lines.insert(place(line), Line { open: line.quantity.units(), ..Line::default() });
        }
        for wanted in &sourced.wanted {
            let own = held.lines.iter().filter(|line| line.sku == wanted.sku);
            let units: u64 = own.clone().map(|line| line.quantity.units()).sum();
            assert!(units <= u64::from(wanted.quantity), "no more is taken than was asked for");
            assert!(!wanted.whole || own.clone().count() <= 1, "a whole line comes from one place");
            let may = |line: &event::Line| {
                !wanted.never.contains(&line.location)
                    && (wanted.only.is_empty() || wanted.only.contains(&line.location))
            };
            assert!(own.clone().all(may), "a line comes from where it may");
            let instead = sourced.decision.substitutions.iter().filter(|(sku, ..)| *sku == wanted.sku);
            let instead: u64 = instead.map(|(_, _, units)| u64::from(*units)).sum();
            let all = units + instead == u64::from(wanted.quantity);
            assert!(all || sourced.ask.allow_partial, "all is served, or less was allowed");
        }
        let of = |text: &str| text.to_owned();
        self.reservations.insert(
            held.reservation.0,
            Reservation {
                state: "held",
                order: of(&held.order_id),
                buyer: of(&held.buyer_id),
                channel: held.channel.map(|channel| channel.0),
                created: self.now,
                expires: held.expires_at.0,
                ended: None,
                revision: self.lsn,
                lines,
                sourced: Some(Sourced {
                    decided: self.lsn,
                    promised: sourced.decision.parcels.iter().map(|parcel| parcel.arrives_at).max(),
                    group: None,
                    booked: Work::new(),
                    parcels: sourced.decision.parcels.clone(),
                    wanted: sourced.wanted.clone(),
                }),
            },
        );
    }

    fn take(&mut self, line: &event::Line, state: &str) {
        let (sku, location) = place(line);
        assert_eq!(self.locations[location].state, LocationState::Open, "only an open location serves");
        let refused = self.refusals.get(&(line.sku.0, line.location.0)).is_some_and(|until| *until > self.now);
        assert!(!refused, "who refused is not asked again");
        let cell = self.cell((sku, location));
        assert!(cell.available() >= line.quantity.units(), "only what is there is taken");
        *cell.promise(state) += line.quantity.units();
    }

    fn rerouted(&mut self, moved: &Rerouted, group: Option<ReservationId>) {
        let id = moved.reservation.0;
        let state = self.reservations[&id].state;
        assert_eq!(state, if moved.promise == event::Promise::Reserved { "held" } else { "confirmed" });
        let (mut given_up, mut taken) = (BTreeMap::<_, u64>::new(), BTreeMap::<_, u64>::new());
        for line in &moved.to {
            self.take(line, state);
            let wanted = self.reservations[&id].sourced.iter().flat_map(|sourced| &sourced.wanted);
            let mut own = wanted.filter(|one| one.sku == line.sku || one.substitutes.contains(&line.sku));
            let may = |one: &AskLine| {
                !one.never.contains(&line.location) && (one.only.is_empty() || one.only.contains(&line.location))
            };
            assert!(own.clone().next().is_none() || own.any(may), "a line goes where it may");
            *taken.entry(line.sku).or_default() += line.quantity.units();
            let lines = &mut self.reservations.get_mut(&id).expect("it is there").lines;
            lines.entry(place(line)).or_default().open += line.quantity.units();
        }
        for line in &moved.from {
            *self.cell(place(line)).promise(state) -= line.quantity.units();
            *given_up.entry(line.sku).or_default() += line.quantity.units();
            let lines = &mut self.reservations.get_mut(&id).expect("it is there").lines;
            lines.get_mut(&place(line)).expect("it is there").open -= line.quantity.units();
        }
        assert_eq!(given_up, taken, "units change places and nothing else");
        let lsn = self.lsn;
        let reservation = self.reservations.get_mut(&id).expect("it is there");
        reservation.lines.retain(|_, line| line.open + line.shipped + line.returned > 0);
        reservation.revision = lsn;
        if let Some(sourced) = &mut reservation.sourced {
            sourced.group = group.or(sourced.group);
        }
    }

    /// Notes work and refusals as an event tells them, whoever decided.
    fn book(&mut self, event: &Event) {
        let by = |booking: &Booking| ((booking.location.0, booking.slot), (booking.orders.into(), booking.units));
        let of = |bookings: &[Booking]| bookings.iter().map(by).collect::<Vec<_>>();
        let mut all: Vec<(ReservationId, Vec<_>)> = Vec::new();
        match event {
            Event::Held(held) => {
                all.extend(held.sourced.as_deref().map(|sourced| (held.reservation, of(&sourced.bookings))));
                all.extend(held.replaced.as_ref().map(|one| (one.reservation, of(&held.replaced_bookings))));
            }
            Event::HoldEnded { claim, bookings, .. } | Event::Cancelled { claim, bookings, .. } => {
                all.push((claim.reservation, of(bookings)));
            }
            Event::Rerouted(moved) => all.push((moved.reservation, self.moved(moved, event))),
            Event::Merged(merged) => {
                for part in &merged.moves {
                    all.push((part.reservation, self.moved(part, event)));
                }
            }
            _ => {}
        }
        self.add_work(all);
    }

    fn add_work(&mut self, mut all: Vec<(ReservationId, Vec<Booked>)>) {
        all.retain(|(_, bookings)| !bookings.is_empty());
        if !all.is_empty() {
            let seconds = self.now / 1_000_000 - 2 * 86_400;
            self.horizon = self.horizon.max(seconds - seconds % 3600);
        }
        for (id, bookings) in all {
            for (slot, (orders, units)) in bookings {
                let own = self.reservations.get_mut(&id.0).and_then(|one| one.sourced.as_mut());
                let own = &mut own.expect("only what was sourced books work").booked;
                for work in [own, &mut self.booked] {
                    let sum = work.entry(slot).or_default();
                    *sum = (sum.0 + orders, sum.1 + units);
                    if *sum == (0, 0) {
                        work.remove(&slot);
                    }
                }
            }
        }
        let horizon = self.horizon;
        self.booked.retain(|(_, slot), _| end(*slot) >= horizon);
    }

    /// What a move changes besides units; gives the work it books.
    fn moved(&mut self, moved: &Rerouted, event: &Event) -> Vec<Booked> {
        if let Some(until) = moved.refused_until {
            moved.from.iter().for_each(|line| _ = self.refusals.insert((line.sku.0, line.location.0), until.0));
            let now = self.now;
            self.refusals.retain(|(sku, _), until| !event.shards().contains(SkuId(*sku).shard()) || *until > now);
        }
        if let Some(sourced) = self.reservations.get_mut(&moved.reservation.0).and_then(|one| one.sourced.as_mut()) {
            sourced.promised = moved.promised.or(sourced.promised);
            sourced.parcels.clone_from(&moved.parcels);
        }
        let by = |booking: &Booking| ((booking.location.0, booking.slot), (booking.orders.into(), booking.units));
        moved.bookings.iter().map(by).collect()
    }

    /// Work follows from units: each slot of a limited location counts what is open and what was shipped there.
    fn check_work(&self) {
        let mut sums = Work::new();
        for (id, one) in &self.reservations {
            let Some(sourced) = &one.sourced else { continue };
            for ((location, slot), (orders, units)) in &sourced.booked {
                assert!(*orders >= 0 && *units >= 0, "{id}: what is given back was booked");
                let sum = sums.entry((*location, *slot)).or_default();
                *sum = (sum.0 + orders, sum.1 + units);
            }
            for (number, location) in self.locations.iter().enumerate() {
                let at = u32::try_from(number).expect("small");
                let limits = fulfilment(&location.code).capacity;
                let booked = |day: bool| -> i64 {
                    let own = sourced
                        .booked
                        .iter()
                        .filter(|((location, slot), _)| *location == at && matches!(slot, Slot::Day(_)) == day);
                    own.map(|(_, (_, units))| *units).sum()
                };
                let there = one.lines.iter().filter(|((_, location), _)| *location == number);
                let units: u64 = there.map(|(_, line)| line.open + line.shipped).sum();
                let units = i64::try_from(units).expect("small");
                let by_day = limits.orders_per_day.or(limits.units_per_day).is_some();
                let by_hour = limits.orders_per_hour.or(limits.units_per_hour).is_some();
                assert_eq!(booked(true), if by_day { units } else { 0 }, "{id} at {} by day", location.code);
                assert_eq!(booked(false), if by_hour { units } else { 0 }, "{id} at {} by hour", location.code);
            }
        }
        sums.retain(|(_, slot), _| end(*slot) >= self.horizon);
        assert_eq!(sums, self.booked, "the table is the sum of the reservations");
    }

    /// No decision of the router takes more of a slot than there is.
    fn check_limits(&self, event: &Event) {
        for booking in event.bookings().iter().filter(|booking| booking.orders > 0 || booking.units > 0) {
            let limits = fulfilment(&self.locations[booking.location.index()].code).capacity;
            let (orders_max, units_max) = match booking.slot {
                Slot::Day(_) => (limits.orders_per_day, limits.units_per_day),
                Slot::Hour(_) => (limits.orders_per_hour, limits.units_per_hour),
            };
            let (orders, units) = self.booked.get(&(booking.location.0, booking.slot)).copied().unwrap_or_default();
            let net: i64 = event
                .bookings()
                .iter()
                .filter(|one| (one.location, one.slot) == (booking.location, booking.slot))
                .map(|one| i64::from(one.orders))
                .sum();
            assert!(
                net <= 0 || orders_max.is_none_or(|most| orders <= i64::from(most)),
                "{booking:?}: {orders} orders"
            );
            let net: i64 = event
                .bookings()
                .iter()
                .filter(|one| (one.location, one.slot) == (booking.location, booking.slot))
                .map(|one| one.units)
                .sum();
            assert!(net <= 0 || units_max.is_none_or(|most| units <= i64::from(most)), "{booking:?}: {units} units");
        }
    }

    /// The open units that selections name. The SKU goes by the code that its lines were made under.
    fn select(&self, id: ReservationId, selections: &[LineSelection]) -> Result<Taken, String> {
        let open = open(&self.reservations[&id.0]);
        if selections.is_empty() {
            return Ok(open);
        }
        let mut units = Taken::new();
        for selection in selections {
            let at = if selection.location.is_empty() { None } else { Some(self.location(&selection.location)?) };
            let fits =
                |place: &&(usize, usize)| self.skus[place.0].code == selection.sku && at.is_none_or(|at| at == place.1);
            let places: Vec<_> = open.keys().filter(fits).collect();
            let [place] = places[..] else {
                return Err(format!("NO_SUCH_LINE {}@{} lines={}", selection.sku, selection.location, places.len()));
            };
            let sum = units.entry(*place).or_default();
            *sum += selection.quantity.map_or(open[place], |quantity| quantity.units());
            let one = selection.quantity.map_or(0, |quantity| quantity.units());
            if one > open[place] || *sum > open[place] {
                let asked = if one > open[place] { one } else { *sum };
                return Err(format!("EXCEEDS_OPEN {} {asked}/{}", self.at(*place), open[place]));
            }
        }
        Ok(units)
    }

    fn stock(&mut self, command: &StockCommand) -> Outcome {
        let code = |cell: &CellCode| format!("{}@{}", cell.sku, cell.location);
        for cell in command.cells() {
            self.sku(&cell.sku)?;
        }
        let place = |cell: &CellCode| Ok::<_, String>((self.sku(&cell.sku)?, self.location(&cell.location)?));
        let mut after: BTreeMap<(usize, usize), Cell> = BTreeMap::new();
        let before = |place: (usize, usize)| self.cells.get(&place).cloned().unwrap_or_default();
        let mut facts = Vec::new();
        match command {
            StockCommand::Set(set) => {
                let place = place(&set.cell)?;
                if set.expected_revision.is_some_and(|expected| expected != self.skus[place.0].revision) {
                    return Err(format!("STALE_REVISION {}", set.cell.sku));
                }
                let mut cell = before(place);
                *cell.bucket(set.bucket).0 = set.quantity.units();
                after.insert(place, cell);
            }
            StockCommand::Adjust(adjust) => {
                let place = place(&adjust.cell)?;
                let mut cell = before(place);
                cell.add(adjust.bucket, adjust.delta, &code(&adjust.cell))?;
                after.insert(place, cell);
            }
            StockCommand::Receive(receive) => {
                let mut receipts: Vec<_> = receive.receipts.iter().collect();
                receipts.sort_by_key(|(cell, _)| (self.sku(&cell.sku), &cell.location));
                for (cell, units) in receipts {
                    let place = place(cell)?;
                    let entry = after.entry(place).or_insert_with(|| before(place));
                    entry.add(Bucket::OnHand, units.signed(), &code(cell))?;
                    if receive.from_incoming {
                        entry.add(Bucket::Incoming, -units.signed(), &code(cell))?;
                    }
                }
            }
            StockCommand::Move(step) => {
                let place = place(&step.cell)?;
                let mut cell = before(place);
                let sellable = cell.on_hand.saturating_sub(cell.unsellable());
                let bucket = |condition| match condition {
                    Condition::Sellable => None,
                    Condition::QualityControl => Some(Bucket::QualityControl),
                    Condition::Damaged => Some(Bucket::Damaged),
                    Condition::InRepair => Some(Bucket::InRepair),
                };
                match bucket(step.from) {
                    Some(bucket) => cell.add(bucket, -step.quantity.signed(), &code(&step.cell))?,
                    None if sellable < step.quantity.units() => {
                        let at = code(&step.cell);
                        return Err(format!("EXCEEDS_BUCKET {at} sellable {}/{sellable}", step.quantity));
                    }
                    None => {}
                }
                if let Some(bucket) = bucket(step.to) {
                    cell.add(bucket, step.quantity.signed(), &code(&step.cell))?;
                }
                after.insert(place, cell);
            }
            StockCommand::Import(import) => {
                for row in &import.rows {
                    let place = place(&row.cell)?;
                    let cell = Cell {
                        on_hand: row.on_hand.units(),
                        safety: row.safety.units(),
                        quality_control: row.quality_control.units(),
                        damaged: row.damaged.units(),
                        in_repair: row.in_repair.units(),
                        incoming: row.incoming.units(),
                        ..before(place)
                    };
                    after.insert(place, cell);
                }
            }
            StockCommand::SetFacts(rows) => {
                for row in rows {
                    facts.push((place(&row.cell)?, row.facts));
                }
            }
        }
        if let StockCommand::SetFacts(rows) = command {
            self.facts.extend(facts);
            self.facts.retain(|_, facts| *facts != Facts::default());
            return Ok(summary("CellFactsSet", rows.len(), 0, 0));
        }
        let mut levels = Vec::new();
        let short = after.values().filter(|cell| cell.shortfall() > 0).count();
        let entries = after.len();
        for (place, cell) in after {
            let shortfall =
                if cell.shortfall() > 0 { format!(" shortfall={}", cell.shortfall()) } else { String::new() };
            levels.push(format!(
                "{} on_hand={} available={}{shortfall}",
                self.at(place),
                cell.on_hand,
                cell.available()
            ));
            *self.cell(place) = cell;
        }
        let import = matches!(command, StockCommand::Import(_));
        Ok(if import { summary("StockChanged", entries, 0, short) } else { levels.join(", ") })
    }

    fn catalogue(&mut self, command: &CatalogueCommand) -> Outcome {
        let mut created = 0;
        Ok(match command {
            CatalogueCommand::UpsertSkus(specs) => {
                for spec in specs {
                    match self.sku(&spec.code) {
                        Ok(sku) => self.skus[sku].sellable = spec.sellable,
                        Err(_) => {
                            created += 1;
                            let (code, sellable) = (spec.code.clone(), spec.sellable);
                            self.skus.push(Sku { code, sellable, retired: false, revision: 0 });
                        }
                    }
                }
                summary("SkusUpserted", specs.len(), created, 0)
            }
            CatalogueCommand::RetireSkus(codes) => {
                let skus: Vec<usize> = codes.iter().map(|code| self.sku(code)).collect::<Result<_, _>>()?;
                skus.iter().for_each(|sku| self.skus[*sku].retired = true);
                summary("SkusRetired", codes.len(), 0, 0)
            }
            CatalogueCommand::UpsertLocations(specs) => {
                for spec in specs {
                    let location = Location { code: spec.code.clone(), state: spec.state, priority: spec.priority };
                    match self.location(&spec.code) {
                        Ok(place) => self.locations[place] = location,
                        Err(_) => {
                            created += 1;
                            self.locations.push(location);
                        }
                    }
                }
                summary("LocationsUpserted", specs.len(), created, 0)
            }
            CatalogueCommand::UpsertChannels(specs) => {
                for spec in specs {
                    match self.channels.iter_mut().find(|(code, _)| *code == spec.code) {
                        Some(channel) => channel.1 = spec.active,
                        None => {
                            created += 1;
                            self.channels.push((spec.code.clone(), spec.active));
                        }
                    }
                }
                summary("ChannelsUpserted", specs.len(), created, 0)
            }
            CatalogueCommand::UpsertRegions(specs) => {
                let mut regions = self.regions.clone();
                for spec in specs {
                    match regions.iter_mut().find(|(code, _)| *code == spec.code) {
                        Some(region) => region.1 = spec.parent.clone(),
                        None => {
                            created += 1;
                            regions.push((spec.code.clone(), spec.parent.clone()));
                        }
                    }
                }
                let known = |parent: &str| parent.is_empty() || regions.iter().any(|(code, _)| code == parent);
                if let Some((_, parent)) = regions.iter().find(|(_, parent)| !known(parent)) {
                    return Err(format!("UNKNOWN_REGION {parent}"));
                }
                self.regions = regions;
                summary("RegionsUpserted", specs.len(), created, 0)
            }
            CatalogueCommand::Draft(content) => {
                let versions = self.documents.iter().filter(|(name, ..)| name == content.name()).count();
                let version = u32::try_from(versions).unwrap() + 1;
                self.documents.push((content.name().into(), version, "draft"));
                format!("drafted policy {}/{version}", content.name())
            }
            CatalogueCommand::Activate { document: DocumentId { name, version, .. }, .. } => {
                self.turn(name, *version, "draft", "active")?;
                let others = self.documents.iter_mut().filter(|(other, number, _)| other == name && number != version);
                others.filter(|(_, _, state)| *state == "active").for_each(|(_, _, state)| *state = "retired");
                format!("activated policy {name}/{version}")
            }
            CatalogueCommand::Retire(DocumentId { name, version, .. }) => {
                self.turn(name, *version, "active", "retired")?;
                format!("retired policy {name}/{version}")
            }
        })
    }

    fn turn(&mut self, name: &str, version: u32, from: &'static str, to: &'static str) -> Result<(), String> {
        let found = self.documents.iter_mut().find(|(known, number, _)| known == name && *number == version);
        let Some((_, _, state)) = found else { return Err(format!("UNKNOWN_DOCUMENT policy {name}/{version}")) };
        if *state != from {
            return Err(format!("DOCUMENT_STATE policy {name}/{version} {state} not {from}"));
        }
        *state = to;
        Ok(())
    }

    /// As `dump::sourcing` tells it.
    fn sourcing(&self) -> String {
        let regions = self.regions.iter().map(|(code, parent)| format!("region {code} in {parent:?}\n"));
        let mut documents = self.documents.clone();
        documents.sort();
        let documents =
            documents.into_iter().map(|(name, version, state)| format!("policy {name}/{version} {state}\n"));
        let facts = self.facts.iter().map(|((sku, place), facts)| format!("facts {sku}@{place} {facts:?}\n"));
        regions.chain(documents).chain(facts).collect()
    }

    /// Ends due holds, a home shard after the other, the longest due first.
    fn expire_due(&mut self, limit: usize) -> usize {
        let due = self.reservations.iter().filter(|(_, one)| one.state == "held" && one.expires <= self.now);
        let mut due: Vec<_> = due.map(|(id, one)| (id & 255, one.expires, *id)).collect();
        due.sort_unstable();
        due.truncate(limit);
        for (_, _, id) in &due {
            self.lsn += 1;
            _ = self.step(ReservationId(*id), &Step::Expire);
            let own = self.reservations[id].sourced.as_ref().map_or_else(Work::new, |sourced| sourced.booked.clone());
            let given_back = own.into_iter().map(|(slot, (orders, units))| (slot, (-orders, -units)));
            self.add_work(vec![(ReservationId(*id), given_back.collect())]);
        }
        due.len()
    }

    fn state(&self) -> String {
        let mut text = Vec::new();
        let number = |index: usize| u32::try_from(index).expect("small");
        for ((sku, location), cell) in &self.cells {
            let figures = [
                cell.on_hand,
                cell.reserved,
                cell.committed,
                cell.safety,
                cell.quality_control,
                cell.damaged,
                cell.in_repair,
                cell.incoming,
            ];
            let (derived, revision) = ([cell.available(), cell.shortfall()], self.skus[*sku].revision);
            text.push(dump::cell_line(number(*sku), number(*location), figures, derived, revision));
        }
        for (sku, spec) in self.skus.iter().enumerate() {
            let by_location: Vec<u64> = (0..self.locations.len())
                .map(|place| {
                    let open = self.locations[place].state == LocationState::Open && spec.sellable && !spec.retired;
                    if open { self.cells.get(&(sku, place)).map_or(0, Cell::available) } else { 0 }
                })
                .collect();
            text.push(dump::available_line(number(sku), by_location.iter().sum(), &by_location, spec.revision));
        }
        let mut states: BTreeMap<&str, u64> = BTreeMap::new();
        for (id, one) in &self.reservations {
            *states.entry(one.state).or_default() += 1;
            let lines = one.lines.iter().map(|((sku, location), line)| {
                format!(" {sku}@{location}:{}/{}/{}", line.open, line.shipped, line.returned)
            });
            let lines: String = lines.collect();
            let sourced = one.sourced.as_ref().map_or_else(String::new, |sourced| {
                dump::sourcing_text(
                    sourced.decided,
                    sourced.promised,
                    sourced.group,
                    &bookings(&sourced.booked),
                    &sourced.parcels,
                )
            });
            text.push(format!(
                "reservation {} {} order={} buyer={} channel={:?} {} {} {:?} revision={}{lines}{sourced}",
                ReservationId(*id),
                one.state,
                one.order,
                one.buyer,
                one.channel,
                one.created,
                one.expires,
                one.ended,
                one.revision,
            ));
        }
        for buyer in dump::BUYERS {
            let own = self.reservations.iter().filter(|(_, one)| one.buyer == buyer);
            let ids: Vec<_> = own.map(|(id, _)| ReservationId(*id)).collect();
            text.push(dump::buyer_line(buyer, &ids));
        }
        let mut shortfalls = 0_u64;
        for (place, cell) in self.cells.iter().filter(|(_, cell)| cell.shortfall() > 0) {
            shortfalls += 1;
            let (mut missing, mut hurt) = (cell.shortfall(), Vec::new());
            let mut newest: Vec<_> = self.reservations.iter().collect();
            newest.reverse();
            for (id, one) in newest {
                let units = open(one).get(place).copied().unwrap_or(0);
                if missing > 0 && units > 0 {
                    hurt.push(ReservationId(*id));
                    missing = missing.saturating_sub(units);
                }
            }
            text.push(dump::shortfall_line(number(place.0), number(place.1), cell.shortfall(), &hurt));
        }
        text.extend(bookings(&self.booked).iter().map(dump::booked_line));
        let refusals = self.refusals.iter();
        text.extend(refusals.map(|((sku, location), until)| dump::refusal_line(*sku, *location, *until)));
        let count = |state| states.get(state).copied().unwrap_or(0);
        let (held, confirmed) = (count("held"), count("confirmed"));
        let ended = states.values().sum::<u64>() - held - confirmed;
        let long = |length: usize| u64::try_from(length).expect("small");
        let counts = [long(self.cells.len()), held, confirmed, ended, shortfalls, long(self.remembered.len())];
        text.push(format!("counts {counts:?}\n"));
        text.join("\n")
    }
}

/// What the engine said.
struct Told {
    event: Option<Event>,
    text: String,
}

impl Told {
    fn made(&self) -> Option<ReservationId> {
        match &self.event {
            Some(Event::Held(held)) => Some(held.reservation),
            _ => None,
        }
    }
}

fn place(line: &event::Line) -> (usize, usize) {
    (line.sku.index(), line.location.index())
}

fn bookings(work: &Work) -> Vec<Booking> {
    let booking = |((location, slot), (orders, units)): (&(u32, Slot), &(i64, i64))| Booking {
        location: LocationId(*location),
        slot: *slot,
        orders: i32::try_from(*orders).expect("small"),
        units: *units,
    };
    work.iter().map(booking).collect()
}

/// When a slot ends, in seconds.
fn end(slot: Slot) -> u64 {
    match slot {
        Slot::Day(day) => (u64::from(day) + 1) * 86_400,
        Slot::Hour(hour) => (u64::from(hour) + 1) * 3_600,
    }
}

fn open(reservation: &Reservation) -> Taken {
    let open = reservation.lines.iter().filter(|(_, line)| line.open > 0);
    open.map(|(place, line)| (*place, line.open)).collect()
}

fn ending(end: Option<&str>) -> String {
    end.map_or_else(String::new, |end| format!(" end={end}"))
}

fn summary(event: &str, entries: usize, created: usize, shortfalls: usize) -> String {
    format!("{event} entries={entries} created={created} shortfalls={shortfalls}")
}

/// Submits a command to both and compares what they say.
fn submit(rig: &Rig, model: &mut Model, known: &mut Known, id: &str, command: &Command) -> Result<(), TestCaseError> {
    model.now = rig.now.0;
    let quote = quote(rig, model, id, command);
    let preview = preview(rig, model, id, command);
    let result = rig.submit(id, command);
    let event = match &result {
        Ok(Answer { verdict: Verdict::Done(event), replayed: false, .. }) => Some(event.clone()),
        _ => None,
    };
    let ours = render::answer(&rig.engine, &result, &|id| id.to_string());
    let told = Told { event, text: ours.clone() };
    known.reservations.extend(told.made());
    let theirs = model.submit(id, command, &told);
    if let Some(quote) = quote {
        prop_assert_eq!(quote, decision(&result), "a quote is what is taken");
    }
    if let Some(preview) = preview {
        prop_assert_eq!(preview, result.clone().map(|answer| answer.verdict), "a preview is what is done");
    }
    if let (Some(event), false) = (
        &told.event,
        matches!(command, Command::Reservation(_, Step::Reassign(one)) if !one.to.is_empty() || !one.refused),
    ) {
        model.check_limits(event);
    }
    let said = theirs.as_ref().unwrap_or_else(|no| no);
    prop_assert_eq!(&ours, said, "{} {:?}", id, command);
    match &result {
        Ok(Answer { lsn, replayed: true, .. }) | Err(Error::RequestIdReused { lsn, .. }) => {
            prop_assert_eq!(lsn.get(), model.remembered[id].1, "a repeat tells the first LSN");
        }
        Ok(Answer { lsn, verdict: Verdict::Done(_), .. }) => prop_assert_eq!(lsn.get(), model.lsn),
        Ok(Answer { lsn, .. }) => prop_assert!(lsn.get() <= model.lsn, "a refusal rests on what has happened"),
        Err(_) => {}
    }
    prop_assert_eq!(theirs.is_ok(), matches!(&result, Ok(Answer { verdict: Verdict::Done(_), replayed: false, .. })));
    Ok(())
}

/// What the router quotes for a command that it will decide about: the decision, what it cannot serve, or why not.
fn quote(rig: &Rig, model: &Model, id: &str, command: &Command) -> Option<Result<Decided, String>> {
    let Command::Reserve(reserve) = command else { return None };
    let sourcing = reserve.sourcing.as_deref()?;
    if model.remembered.contains_key(id) || reserve.replaces.is_some() {
        return None;
    }
    Some(match rig.engine.route(reserve, sourcing, Wants::default(), rig.now) {
        Err(error) => Err(error.to_string()),
        Ok((_, Err(rejection))) => Err(rejection.to_string()),
        Ok((_, Ok(quote))) if quote.decision.parcels.is_empty() => Ok(None),
        Ok((_, Ok(quote))) if !reserve.allow_partial && !quote.decision.unserved.is_empty() => Ok(None),
        Ok((_, Ok(quote))) => Ok(Some(Box::new(quote.decision))),
    })
}

type Decided = Option<Box<quartermaster_engine::sourced::Decision>>;

fn decision(result: &Result<Answer, Error>) -> Result<Decided, String> {
    match result {
        Err(error) => Err(error.to_string()),
        Ok(Answer { verdict: Verdict::Rejected(Rejection::NotRoutable { .. }), .. }) => Ok(None),
        Ok(Answer { verdict: Verdict::Rejected(rejection), .. }) => Err(rejection.to_string()),
        Ok(Answer { verdict: Verdict::Done(Event::Held(held)), .. }) => {
            Ok(held.sourced.as_deref().map(|sourced| Box::new(sourced.decision.clone())))
        }
        Ok(answer) => panic!("no answer to a hold: {answer:?}"),
    }
}

fn preview(rig: &Rig, model: &Model, id: &str, command: &Command) -> Option<Result<Verdict, Error>> {
    let Command::Merge(merge) = command else { return None };
    let fresh = !model.remembered.contains_key(id);
    fresh.then(|| rig.engine.preview_merge(merge, rig.now).map(|(_, verdict)| verdict))
}

fn compare(rig: &Rig, model: &Model) -> Result<(), TestCaseError> {
    let mut ours = String::new();
    dump::state(&rig.engine, &mut ours);
    dump::sourcing(&rig.engine, &mut ours);
    let theirs = model.state() + &model.sourcing();
    if let Some((one, other)) = ours.lines().zip(theirs.lines()).find(|(one, other)| one != other) {
        return Err(TestCaseError::fail(format!("engine: {one}\n model: {other}")));
    }
    prop_assert_eq!(ours, theirs);
    prop_assert_eq!(rig.engine.audit().violations, vec![]);
    prop_assert_eq!(rig.engine.audit_bookings(), vec![]);
    Ok(())
}

fn run(case: &Case, fillers: usize) -> Result<(), TestCaseError> {
    let (mut rig, mut model, mut known) = (Rig::new(EngineConfig::default()), Model::default(), Known::default());
    for (place, command) in (0..).zip(setup(fillers)) {
        submit(&rig, &mut model, &mut known, &format!("setup{place}"), &command)?;
    }
    for (place, raw) in (1..).zip(&case.steps) {
        known.lsn = model.lsn;
        let (pause, op) = case.step(raw, &mut known);
        rig.now = Timestamp(rig.now.0.saturating_add_signed(pause));
        match op {
            Op::Submit(id, command) => submit(&rig, &mut model, &mut known, &id, &command)?,
            Op::ExpireDue { limit } => {
                model.now = rig.now.0;
                let report = rig.engine.expire_due(rig.now, limit).expect("memory is never full");
                prop_assert_eq!(report.expired, model.expire_due(limit));
            }
        }
        model.check_work();
        if place % 16 == 0 {
            compare(&rig, &model)?;
        }
        prop_assert_eq!(rig.engine.audit().violations, vec![]);
    }
    compare(&rig, &model)?;
    rig.restart();
    compare(&rig, &model)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases("MODEL_CASES", 300),
        failure_persistence: regressions(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/model.regressions")),
        max_shrink_iters: 4096,
        ..ProptestConfig::default()
    })]

    /// Every SKU in a lock shard of its own.
    #[test]
    fn the_engine_answers_as_the_model_does(case in case(20..150)) {
        run(&case, 0)?;
    }

    /// Two SKUs in one lock shard.
    #[test]
    fn the_engine_answers_as_the_model_does_within_a_shard(case in case(20..100)) {
        run(&case, 255)?;
    }
}

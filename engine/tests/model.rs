//! A naive engine, written from the documents with plain maps and sharing no code with the real one, and random commands that both
//! must answer alike.

mod support;

use std::collections::BTreeMap;

use proptest::prelude::*;
use quartermaster_engine::{
    Answer, EngineConfig, Error, Verdict,
    catalog::LocationState,
    command::{Bucket, CatalogueCommand, CellCode, Command, Condition, LineSelection, Reserve, Step, StockCommand},
    event::Event,
    id::ReservationId,
    time::Timestamp,
};
use support::{
    Rig, cases, dump,
    generate::{Case, Known, Op, case, setup},
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
}

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
}

impl Model {
    /// `Ok` when something happened, `Err` when nothing did. `id` is the one that a new reservation got.
    fn submit(&mut self, request: &str, command: &Command, id: Option<ReservationId>) -> Outcome {
        if let Some((first, _, text)) = self.remembered.get(request) {
            return Err(if first == command {
                format!("replayed {text}")
            } else {
                format!("REQUEST_ID_REUSED {request}")
            });
        }
        self.lsn += 1;
        let outcome = match command {
            Command::Reserve(reserve) => self.reserve(reserve, id),
            Command::Reservation(id, step) => self.step(*id, step),
            Command::Stock(stock) => self.stock(stock),
            Command::Catalogue(catalogue) => self.catalogue(catalogue),
        };
        match &outcome {
            Ok(text) => _ = self.remembered.insert(request.into(), (command.clone(), self.lsn, text.clone())),
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
                order: request.order_id.clone(),
                buyer: request.buyer_id.clone(),
                channel: channel.and_then(|place| u32::try_from(place).ok()),
                created: self.now,
                expires: self.now + request.ttl.0,
                ended: None,
                revision: self.lsn,
                lines: taken.iter().map(|(place, open)| (*place, Line { open: *open, ..Line::default() })).collect(),
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
                Ok(format!("{}:{units} from={}", self.at((from.0, to)), self.locations[from.1].code))
            }
            Step::Expire => unreachable!("done above"),
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
        })
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
            text.push(format!(
                "reservation {} {} order={} buyer={} channel={:?} {} {} {:?} revision={}{lines}",
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
        let count = |state| states.get(state).copied().unwrap_or(0);
        let (held, confirmed) = (count("held"), count("confirmed"));
        let ended = states.values().sum::<u64>() - held - confirmed;
        let long = |length: usize| u64::try_from(length).expect("small");
        let counts = [long(self.cells.len()), held, confirmed, ended, shortfalls, long(self.remembered.len())];
        text.push(format!("counts {counts:?}\n"));
        text.join("\n")
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
    let result = rig.submit(id, command);
    let made = match &result {
        Ok(Answer { verdict: Verdict::Done(Event::Held(held)), replayed: false, .. }) => Some(held.reservation),
        _ => None,
    };
    known.reservations.extend(made);
    let ours = render::answer(&rig.engine, &result, &|id| id.to_string());
    let theirs = model.submit(id, command, made);
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

fn compare(rig: &Rig, model: &Model) -> Result<(), TestCaseError> {
    let mut ours = String::new();
    dump::state(&rig.engine, &mut ours);
    let theirs = model.state();
    if let Some((one, other)) = ours.lines().zip(theirs.lines()).find(|(one, other)| one != other) {
        return Err(TestCaseError::fail(format!("engine: {one}\n model: {other}")));
    }
    prop_assert_eq!(ours, theirs);
    prop_assert_eq!(rig.engine.audit().violations, vec![]);
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

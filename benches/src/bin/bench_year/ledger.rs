//! The other set of books: plain maps that are kept from what was asked and what was answered, and never look into the engine until they
//! are compared with it.
//!
//! What a command says is taken from the command; only what the engine decides (places, ids, who gets which arrival) is taken from the
//! answer. Every grant is held against these books at once: no place promises more than it can sell, nothing frozen is promised, no
//! supply promises more than is expected, no buyer passes a limit.

mod compare;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use quartermaster_engine::{
    command::{
        Command, Condition, LineSelection, Reserve, Step, StockCommand,
        allotment::AllotmentCommand,
        returns::{AnnounceReturn, ReturnsCommand},
        supply::SupplyCommand,
        upkeep::UpkeepCommand,
    },
    event::{
        Event, Held, HoldEndReason, Line, Promise,
        campaign::CampaignEvent,
        returns::{Disposition, ReturnsEvent},
        supply::{PresoldMove, PresoldTarget, SupplyEvent},
        upkeep::{Remedy, UpkeepEvent},
    },
    id::{LocationId, ReservationId, ReturnId, SkuId, SupplyId},
    terms::Stage,
    time::Timestamp,
};

/// A cell by numbers.
pub(crate) type Place = (SkuId, LocationId);

/// The buckets that these books keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) on_hand: i64,
    pub(crate) reserved: i64,
    pub(crate) committed: i64,
    pub(crate) quality_control: i64,
    pub(crate) damaged: i64,
    pub(crate) in_repair: i64,
    pub(crate) incoming: i64,
}

impl Figures {
    /// Units that could be promised, whatever is kept back.
    pub(crate) fn free(&self) -> i64 {
        self.on_hand - self.quality_control - self.damaged - self.in_repair - self.reserved - self.committed
    }

    fn promised(&mut self, held: bool) -> &mut i64 {
        if held { &mut self.reserved } else { &mut self.committed }
    }
}

/// What has become of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    Waiting,
    Held,
    Confirmed,
    Ended,
}

/// A reservation.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) stand: Stand,
    pub(crate) expires_at: Timestamp,
    /// Promised from stock.
    pub(crate) open: BTreeMap<Place, u32>,
    /// Promised from what is expected.
    pub(crate) presold: BTreeMap<(SupplyId, SkuId), u32>,
    /// Left its place, and not announced to come back.
    pub(crate) out: BTreeMap<Place, u32>,
    /// The flash sale it buys in, and who buys.
    pub(crate) sale: Option<(String, String)>,
    /// The channel it came by.
    channel: String,
}

impl Claim {
    fn held(&self) -> bool {
        self.stand == Stand::Held
    }

    /// Units promised, from stock and ahead of it.
    pub(crate) fn units(&self) -> u64 {
        self.open.values().chain(self.presold.values()).map(|units| u64::from(*units)).sum()
    }

    fn settle(&mut self) {
        if self.open.is_empty() && self.presold.is_empty() && self.stand != Stand::Waiting {
            self.stand = Stand::Ended;
        }
    }
}

/// Units that are expected.
#[derive(Clone, Copy, Debug)]
struct Supply {
    at: Place,
    rest: i64,
    /// Promised ahead.
    presold: i64,
}

/// Limits of a flash sale, and what was bought in it.
#[derive(Clone, Debug, Default)]
struct Limits {
    buyer_limit: u64,
    /// When how many units of a SKU are released.
    tranches: BTreeMap<SkuId, Vec<(Timestamp, u64)>>,
    bought: HashMap<String, u64>,
    sold: BTreeMap<SkuId, u64>,
}

/// Names of places and SKUs, as answers told their numbers.
#[derive(Debug, Default)]
pub(crate) struct Codes {
    pub(crate) skus: HashMap<String, SkuId>,
    pub(crate) sku_codes: Vec<String>,
    pub(crate) locations: HashMap<String, LocationId>,
    pub(crate) location_codes: Vec<String>,
}

impl Codes {
    fn sku(&self, code: &str) -> SkuId {
        self.skus[code]
    }

    fn location(&self, code: &str) -> LocationId {
        self.locations[code]
    }
}

/// The books.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) codes: Codes,
    cells: BTreeMap<Place, Figures>,
    pub(crate) claims: HashMap<ReservationId, Claim>,
    due: BTreeSet<(Timestamp, ReservationId)>,
    supplies: HashMap<SupplyId, Supply>,
    documents: HashMap<String, Vec<SupplyId>>,
    /// Returns: what was announced and has not arrived, by SKU and place of shipping.
    returns: HashMap<ReturnId, BTreeMap<Place, u32>>,
    frozen: BTreeSet<LocationId>,
    sales: HashMap<String, Limits>,
    kits: HashMap<SkuId, Vec<(SkuId, u32)>>,
    /// Ceilings of channels, and units that channels were ever promised and did not give back, by SKU. Of every SKU that is ever allotted
    /// something is allotted before it is first sold.
    ceilings: BTreeMap<(String, SkuId), Option<u64>>,
    used: BTreeMap<(String, SkuId), i64>,
    /// Who waited and was given units, and how many, since somebody looked here.
    pub(crate) grants: Vec<(ReservationId, u64)>,
    /// What an answer said that these books contradict.
    pub(crate) faults: Vec<String>,
}

fn take<K: Ord + Copy>(map: &mut BTreeMap<K, u32>, key: K, units: u32) -> bool {
    let Some(held) = map.get_mut(&key).filter(|held| **held >= units) else { return false };
    *held -= units;
    if *held == 0 {
        map.remove(&key);
    }
    true
}

impl Ledger {
    /// A cell's figures.
    pub(crate) fn cell(&self, at: Place) -> Figures {
        self.cells.get(&at).copied().unwrap_or_default()
    }

    /// Units promised ahead.
    pub(crate) fn presold(&self) -> u64 {
        self.claims.values().flat_map(|claim| claim.presold.values()).map(|units| u64::from(*units)).sum()
    }

    /// Whether something is promised to it that nothing covers any more.
    pub(crate) fn uncovered(&self, claim: &Claim) -> bool {
        claim
            .presold
            .keys()
            .any(|(supply, _)| self.supplies.get(supply).is_none_or(|supply| supply.presold > supply.rest))
    }

    /// Units that a channel is promised, or gives back.
    fn uses(&mut self, channel: &str, sku: SkuId, units: i64) {
        let key = (channel.to_owned(), sku);
        let used = self.used.entry(key.clone()).or_default();
        *used += units;
        let used = u64::try_from(*used).unwrap_or(0);
        if let Some(Some(ceiling)) = self.ceilings.get(&key)
            && units > 0
            && used > *ceiling
        {
            self.fault(format!("{channel} has {used} units of SKU {}, its ceiling is {ceiling}", sku.0));
        }
    }

    fn change(&mut self, at: Place) -> &mut Figures {
        self.cells.entry(at).or_default()
    }

    fn fault(&mut self, text: String) {
        if self.faults.len() < 50 {
            self.faults.push(text);
        }
    }

    /// Takes note of a command that was done.
    pub(crate) fn done(&mut self, command: &Command, event: &Event, now: Timestamp) {
        match (command, event) {
            (Command::Reserve(reserve), Event::Held(held)) => self.held(reserve, held, now),
            (Command::Reservation(id, step), _) => self.step(*id, step),
            (Command::Stock(stock), _) => self.stock(stock),
            (Command::Supply(supply), Event::Supply(event)) => self.supply(supply, event),
            (Command::Returns(returns), Event::Returns(event)) => self.come_back(returns, event, now),
            (Command::Upkeep(upkeep), Event::Upkeep(event)) => self.upkeep(upkeep, event),
            (Command::Allotment(AllotmentCommand::Set(set)), _) => {
                for row in &set.rows {
                    let key = (row.node.channel.clone(), self.codes.sku(row.goods.code()));
                    self.ceilings.insert(key, row.ceiling.map(|ceiling| ceiling.units()));
                }
            }
            (_, Event::SkusUpserted { skus, .. }) => {
                for sku in skus {
                    self.codes.skus.insert(sku.spec.code.clone(), sku.id);
                    if self.codes.sku_codes.len() <= sku.id.index() {
                        self.codes.sku_codes.resize(sku.id.index() + 1, String::new());
                    }
                    self.codes.sku_codes[sku.id.index()].clone_from(&sku.spec.code);
                }
                for sku in skus.iter().filter(|sku| !sku.spec.components.is_empty()) {
                    let of = sku.spec.components.iter().map(|(code, units)| (self.codes.sku(code), *units)).collect();
                    self.kits.insert(sku.id, of);
                }
            }
            (_, Event::LocationsUpserted { locations, .. }) => {
                for location in locations {
                    self.codes.locations.insert(location.spec.code.clone(), location.id);
                    self.codes.location_codes.resize(location.id.index() + 1, String::new());
                    self.codes.location_codes[location.id.index()].clone_from(&location.spec.code);
                }
            }
            (_, event) => self.timer(event, now),
        }
    }

    /// Takes note of what a timer did by itself, or of what moves no units.
    pub(crate) fn timer(&mut self, event: &Event, now: Timestamp) {
        match event {
            Event::HoldEnded { claim, reason: HoldEndReason::Expired, .. } => {
                let due = self.claims.get(&claim.reservation).is_some_and(|own| own.held() && own.expires_at <= now);
                if !due {
                    self.fault(format!("{} expired before its time", claim.reservation));
                }
                self.give_back(claim.reservation);
            }
            Event::Campaign(event) => match &**event {
                CampaignEvent::Granted(granted) => {
                    let Some(mut claim) = self.claims.remove(&granted.reservation) else {
                        return self.fault(format!("{} was granted and never asked", granted.reservation));
                    };
                    claim.stand = match granted.promise {
                        Promise::Reserved => Stand::Held,
                        Promise::Committed => Stand::Confirmed,
                    };
                    claim.expires_at = granted.expires_at;
                    self.grants
                        .push((granted.reservation, granted.lines.iter().map(|line| line.quantity.units()).sum()));
                    self.enter(granted.reservation, claim, &granted.lines, now);
                }
                CampaignEvent::Dropped { reservation, .. } => {
                    if let Some(claim) = self.claims.get_mut(reservation) {
                        claim.stand = Stand::Ended;
                    }
                }
                _ => {}
            },
            _ => {}
        }
    }

    /// Holds whose time is up, the earliest first.
    pub(crate) fn due(&self, now: Timestamp) -> usize {
        self.due.iter().take_while(|(at, _)| *at <= now).count()
    }

    /// A flash sale is made: SKU by SKU, when how many units are released.
    pub(crate) fn sale(&mut self, code: &str, buyer_limit: u32, tranches: BTreeMap<SkuId, Vec<(Timestamp, u64)>>) {
        let limits = Limits { buyer_limit: u64::from(buyer_limit), tranches, ..Limits::default() };
        self.sales.insert(code.to_owned(), limits);
    }

    fn held(&mut self, reserve: &Reserve, held: &Held, now: Timestamp) {
        let mut asked: BTreeMap<SkuId, u64> = BTreeMap::new();
        for line in &reserve.lines {
            let (sku, units) = (self.codes.sku(&line.sku), line.quantity.units());
            match self.kits.get(&sku) {
                Some(of) => {
                    of.iter().for_each(|(sku, each)| *asked.entry(*sku).or_default() += units * u64::from(*each))
                }
                None => *asked.entry(sku).or_default() += units,
            }
        }
        let terms = held.terms.as_deref();
        let presold = terms.map_or(&[][..], |terms| &terms.presold);
        for line in held.lines.iter().chain(presold.iter().map(|presold| &presold.line)) {
            let rest = asked.get_mut(&line.sku).filter(|rest| **rest >= line.quantity.units());
            match rest {
                Some(rest) => *rest -= line.quantity.units(),
                None => self.fault(format!("{} was given more than it asked", held.reservation)),
            }
        }
        let code = reserve.asked.as_ref().map_or("", |asked| &asked.campaign);
        let stand = match terms.map_or(Stage::Held, |terms| terms.stage) {
            Stage::Held => Stand::Held,
            Stage::Committed => Stand::Confirmed,
            Stage::Placed | Stage::Waiting => Stand::Waiting,
        };
        let mut claim = Claim {
            stand,
            expires_at: held.expires_at,
            open: BTreeMap::new(),
            presold: BTreeMap::new(),
            out: BTreeMap::new(),
            sale: (!code.is_empty()).then(|| (code.to_owned(), reserve.buyer_id.to_string())),
            channel: reserve.channel.clone().into(),
        };
        for presold in presold {
            self.uses(&reserve.channel, presold.line.sku, presold.line.quantity.signed());
            *claim.presold.entry((presold.supply, presold.line.sku)).or_default() += presold.line.quantity.0;
            let covered = self.supplies.get_mut(&presold.supply).is_some_and(|supply| {
                supply.presold += presold.line.quantity.signed();
                supply.presold <= supply.rest && supply.at == (presold.line.sku, presold.line.location)
            });
            if !covered {
                self.fault(format!("{} is promised more of a supply than is expected", held.reservation));
            }
        }
        self.enter(held.reservation, claim, &held.lines, now);
    }

    /// Books units that a reservation takes from stock.
    fn enter(&mut self, id: ReservationId, mut claim: Claim, lines: &[Line], now: Timestamp) {
        for line in lines {
            let at = (line.sku, line.location);
            *claim.open.entry(at).or_default() += line.quantity.0;
            self.uses(&claim.channel, line.sku, line.quantity.signed());
            let cell = self.change(at);
            *cell.promised(claim.stand == Stand::Held) += line.quantity.signed();
            if cell.free() < 0 {
                self.fault(format!("oversold: {id} at {}", self.name(at)));
            }
            if self.frozen.contains(&line.location) {
                self.fault(format!("{id} was promised units of a frozen place, {}", self.name(at)));
            }
        }
        if claim.stand == Stand::Held {
            self.due.insert((claim.expires_at, id));
        }
        if let Some((code, buyer)) = claim.sale.clone() {
            self.buys(&code, &buyer, lines, now);
        }
        if self.claims.insert(id, claim).is_some_and(|earlier| earlier.stand != Stand::Waiting) {
            self.fault(format!("{id} was given out twice"));
        }
    }

    fn buys(&mut self, code: &str, buyer: &str, lines: &[Line], now: Timestamp) {
        let Some(sale) = self.sales.get_mut(code) else { return self.fault(format!("there is no sale {code}")) };
        let mut faults = Vec::new();
        for line in lines {
            let bought = sale.bought.entry(buyer.to_owned()).or_default();
            *bought += line.quantity.units();
            if *bought > sale.buyer_limit {
                faults.push(format!("{buyer} has {bought} units in {code}, the limit is {}", sale.buyer_limit));
            }
            let sold = sale.sold.entry(line.sku).or_default();
            *sold += line.quantity.units();
            let tranches = sale.tranches.get(&line.sku).into_iter().flatten();
            let released: u64 = tranches.filter(|(at, _)| *at <= now).map(|(_, units)| units).sum();
            if *sold > released {
                faults.push(format!("{code} sold {sold} units of SKU {}, {released} are released", line.sku.0));
            }
        }
        faults.into_iter().for_each(|text| self.fault(text));
    }

    /// Units go back to their channel and their flash sale.
    fn unbuy(&mut self, claim: &Claim, sku: SkuId, units: u32) {
        self.uses(&claim.channel, sku, -i64::from(units));
        let Some((code, buyer)) = &claim.sale else { return };
        let Some(sale) = self.sales.get_mut(code) else { return };
        if let Some(bought) = sale.bought.get_mut(buyer) {
            *bought = bought.saturating_sub(u64::from(units));
        }
        if let Some(sold) = sale.sold.get_mut(&sku) {
            *sold = sold.saturating_sub(u64::from(units));
        }
    }

    fn step(&mut self, id: ReservationId, step: &Step) {
        let Some(mut claim) = self.claims.remove(&id) else { return self.fault(format!("{id} is unknown")) };
        match step {
            Step::Confirm => {
                for (at, units) in &claim.open {
                    let cell = self.change(*at);
                    cell.reserved -= i64::from(*units);
                    cell.committed += i64::from(*units);
                }
                self.due.remove(&(claim.expires_at, id));
                claim.stand = Stand::Confirmed;
            }
            Step::Ship(lines) if lines.is_empty() => {
                for (at, units) in std::mem::take(&mut claim.open) {
                    let cell = self.change(at);
                    cell.committed -= i64::from(units);
                    cell.on_hand -= i64::from(units);
                    *claim.out.entry(at).or_default() += units;
                }
                claim.settle();
            }
            Step::Cancel(lines) if !lines.is_empty() => {
                lines.iter().for_each(|line| self.cancel(id, &mut claim, line));
                claim.settle();
            }
            Step::Cancel(_) | Step::Release => {
                self.claims.insert(id, claim);
                return self.give_back(id);
            }
            Step::Extend(_) | Step::Ship(_) | Step::Reassign(_) | Step::Expire => {
                self.fault(format!("{id}: these books do not know the step"));
            }
        }
        self.claims.insert(id, claim);
    }

    fn cancel(&mut self, id: ReservationId, claim: &mut Claim, line: &LineSelection) {
        let at = (self.codes.sku(&line.sku), self.codes.location(&line.location));
        let units = line.quantity.map_or_else(|| claim.open.get(&at).copied().unwrap_or(0), |units| units.0);
        if !take(&mut claim.open, at, units) {
            self.fault(format!("{id} cancelled what it did not have at {}", self.name(at)));
        }
        *self.change(at).promised(claim.stand == Stand::Held) -= i64::from(units);
        self.unbuy(claim, at.0, units);
    }

    /// All that is open goes back.
    fn give_back(&mut self, id: ReservationId) {
        let Some(mut claim) = self.claims.remove(&id) else { return };
        for (at, units) in std::mem::take(&mut claim.open) {
            *self.change(at).promised(claim.stand == Stand::Held) -= i64::from(units);
            self.unbuy(&claim, at.0, units);
        }
        for ((supply, sku), units) in std::mem::take(&mut claim.presold) {
            self.uses(&claim.channel, sku, -i64::from(units));
            if let Some(supply) = self.supplies.get_mut(&supply) {
                supply.presold -= i64::from(units);
            }
        }
        self.due.remove(&(claim.expires_at, id));
        claim.stand = Stand::Ended;
        self.claims.insert(id, claim);
    }

    fn stock(&mut self, command: &StockCommand) {
        let at = |codes: &Codes, cell: &quartermaster_engine::command::CellCode| {
            (codes.sku(&cell.sku), codes.location(&cell.location))
        };
        match command {
            StockCommand::Import(import) => {
                for row in &import.rows {
                    let at = at(&self.codes, &row.cell);
                    self.change(at).on_hand = row.on_hand.signed();
                }
            }
            StockCommand::Adjust(adjust) => {
                let at = at(&self.codes, &adjust.cell);
                self.change(at).on_hand += adjust.delta;
            }
            StockCommand::Receive(receive) => {
                for (cell, units) in &receive.receipts {
                    let at = at(&self.codes, cell);
                    self.change(at).on_hand += units.signed();
                }
            }
            StockCommand::Move(step) => {
                let at = at(&self.codes, &step.cell);
                let cell = self.change(at);
                for (condition, units) in [(step.from, -step.quantity.signed()), (step.to, step.quantity.signed())] {
                    match condition {
                        Condition::Sellable => {}
                        Condition::QualityControl => cell.quality_control += units,
                        Condition::Damaged => cell.damaged += units,
                        Condition::InRepair => cell.in_repair += units,
                    }
                }
            }
            StockCommand::Set(_) | StockCommand::SetFacts(_) => self.fault("these books do not know it".to_owned()),
        }
    }

    fn supply(&mut self, command: &SupplyCommand, event: &SupplyEvent) {
        match command {
            SupplyCommand::Announce(announce) => {
                let location = self.codes.location(&announce.location);
                let lines = announce.lines.iter().map(|line| (line.sku.as_str(), line.quantity.signed()));
                self.expect(&announce.code, location, lines.collect(), event);
            }
            SupplyCommand::Ship(ship) => {
                let (from, to) = (self.codes.location(&ship.from), self.codes.location(&ship.to));
                for line in &ship.lines {
                    let at = (self.codes.sku(&line.sku), from);
                    let cell = self.change(at);
                    cell.on_hand -= line.quantity.signed();
                    if cell.free() < 0 {
                        self.fault(format!("{} sent what was promised from {}", ship.code, self.name(at)));
                    }
                }
                let lines = ship.lines.iter().map(|line| (line.sku.as_str(), line.quantity.signed()));
                self.expect(&ship.code, to, lines.collect(), event);
            }
            SupplyCommand::Receive(receive) => {
                let document = self.documents.get(&receive.code).cloned().unwrap_or_default();
                for arrived in &receive.lines {
                    let sku = self.codes.sku(&arrived.sku);
                    let supply = document.iter().find(|supply| self.supplies[*supply].at.0 == sku);
                    let Some(supply) = supply.and_then(|supply| self.supplies.get_mut(supply)) else {
                        self.fault(format!("{} received what it did not announce", receive.code));
                        continue;
                    };
                    let (at, expected) = (supply.at, arrived.quantity.signed().min(supply.rest));
                    supply.rest -= expected;
                    let cell = self.change(at);
                    cell.on_hand += arrived.quantity.signed();
                    cell.incoming -= expected;
                }
                if receive.is_final {
                    self.close(&receive.code);
                }
            }
            SupplyCommand::Cancel(code) => self.close(code),
            SupplyCommand::Change(_) => {}
        }
        event.moves.iter().for_each(|moved| self.moved(moved));
    }

    fn expect(&mut self, code: &str, location: LocationId, lines: Vec<(&str, i64)>, event: &SupplyEvent) {
        for (sku, units) in lines {
            let at = (self.codes.sku(sku), location);
            self.change(at).incoming += units;
            match event.lines.iter().find(|line| line.sku == at.0) {
                Some(line) => {
                    self.supplies.insert(line.supply, Supply { at, rest: units, presold: 0 });
                    self.documents.entry(code.to_owned()).or_default().push(line.supply);
                }
                None => self.fault(format!("{code} lacks a line of {sku}")),
            }
        }
    }

    /// Nothing more of a document will come.
    fn close(&mut self, code: &str) {
        for supply in self.documents.remove(code).unwrap_or_default() {
            let Some(supply) = self.supplies.get_mut(&supply) else { continue };
            let (at, rest) = (supply.at, std::mem::take(&mut supply.rest));
            self.change(at).incoming -= rest;
        }
    }

    /// A promise of what is expected becomes one of stock, or of another supply.
    fn moved(&mut self, moved: &PresoldMove) {
        let Some(mut claim) = self.claims.remove(&moved.reservation) else {
            return self.fault(format!("{} is unknown and was promised ahead", moved.reservation));
        };
        if !take(&mut claim.presold, (moved.from, moved.sku), moved.quantity.0) {
            self.fault(format!("{} was not promised what is moved", moved.reservation));
        }
        if let Some(supply) = self.supplies.get_mut(&moved.from) {
            supply.presold -= moved.quantity.signed();
        }
        match moved.to {
            PresoldTarget::Stock(location) => {
                let at = (moved.sku, location);
                *claim.open.entry(at).or_default() += moved.quantity.0;
                let held = claim.held();
                *self.change(at).promised(held) += moved.quantity.signed();
            }
            PresoldTarget::Supply { supply, .. } => {
                *claim.presold.entry((supply, moved.sku)).or_default() += moved.quantity.0;
                if let Some(supply) = self.supplies.get_mut(&supply) {
                    supply.presold += moved.quantity.signed();
                }
            }
        }
        self.claims.insert(moved.reservation, claim);
    }

    fn come_back(&mut self, command: &ReturnsCommand, event: &ReturnsEvent, now: Timestamp) {
        match command {
            ReturnsCommand::Announce(announce) => self.announce(announce, event),
            ReturnsCommand::Exchange(exchange) => {
                self.announce(&exchange.announce, event);
                if let Some(held) = event.held() {
                    self.held(&exchange.reserve, held, now);
                }
            }
            ReturnsCommand::Receive(receive) => {
                let location = self.codes.location(&receive.location);
                for (sku, units) in &receive.lines {
                    let at = (self.codes.sku(sku), location);
                    self.arrive(at, units.signed());
                    let announced = self.returns.get(&receive.id).into_iter().flatten();
                    let expected: u64 =
                        announced.filter(|(from, _)| from.0 == at.0).map(|(_, units)| u64::from(*units)).sum();
                    if units.units() > expected {
                        self.fault(format!("a return brought more than was announced to {}", self.name(at)));
                    }
                }
            }
            ReturnsCommand::ReceiveUnmatched(receive) => {
                let location = self.codes.location(&receive.location);
                for (sku, units) in &receive.lines {
                    self.arrive((self.codes.sku(sku), location), units.signed());
                }
            }
            ReturnsCommand::Inspect(inspect) => {
                for line in &inspect.lines {
                    let at = (self.codes.sku(&line.sku), self.codes.location(&line.location));
                    let (cell, units) = (self.change(at), line.quantity.signed());
                    match line.disposition {
                        Disposition::Restock => cell.quality_control -= units,
                        Disposition::QualityControl => {}
                        Disposition::Repair => {
                            cell.quality_control -= units;
                            cell.in_repair += units;
                        }
                        Disposition::Scrap | Disposition::ReturnToVendor => {
                            cell.quality_control -= units;
                            cell.on_hand -= units;
                        }
                    }
                }
            }
            ReturnsCommand::Count(count) => {
                for row in &count.rows {
                    let at = (self.codes.sku(&row.cell.sku), self.codes.location(&row.cell.location));
                    self.change(at).on_hand = row.counted.signed();
                }
            }
            ReturnsCommand::Cancel(_) => self.fault("these books do not know it".to_owned()),
        }
    }

    /// Units that came back lie in quality control until they are looked at.
    fn arrive(&mut self, at: Place, units: i64) {
        let cell = self.change(at);
        cell.on_hand += units;
        cell.quality_control += units;
    }

    fn announce(&mut self, announce: &AnnounceReturn, event: &ReturnsEvent) {
        let mut announced = BTreeMap::new();
        let Some(mut claim) = self.claims.remove(&announce.reservation) else {
            return self.fault(format!("{} is unknown and comes back", announce.reservation));
        };
        for line in &announce.lines {
            let at = (self.codes.sku(&line.sku), self.codes.location(&line.shipped_from));
            if !take(&mut claim.out, at, line.quantity.0) {
                self.fault(format!("{} announced what was not shipped from {}", announce.reservation, self.name(at)));
            }
            *announced.entry(at).or_default() += line.quantity.0;
        }
        self.claims.insert(announce.reservation, claim);
        match event.id() {
            Some(id) => _ = self.returns.insert(id, announced),
            None => self.fault(format!("the return of {} has no id", announce.reservation)),
        }
    }

    fn upkeep(&mut self, command: &UpkeepCommand, event: &UpkeepEvent) {
        match (command, event) {
            (UpkeepCommand::Freeze(freeze), _) if freeze.target.sku.is_empty() => {
                self.frozen.insert(self.codes.location(&freeze.target.location));
            }
            (UpkeepCommand::Thaw(thaw), _) if thaw.target.sku.is_empty() => {
                self.frozen.remove(&self.codes.location(&thaw.target.location));
            }
            (_, UpkeepEvent::Repaired(repaired)) => {
                for remedy in &repaired.remedies {
                    let (id, from, to): (ReservationId, &[Line], &[Line]) = match remedy {
                        Remedy::Moved(moved) => (moved.reservation, &moved.from, &moved.to),
                        Remedy::Cancelled { claim, .. } => (claim.reservation, &claim.lines, &[]),
                    };
                    self.remedied(id, from, to, matches!(remedy, Remedy::Cancelled { .. }));
                }
            }
            _ => self.fault("these books do not know it".to_owned()),
        }
    }

    fn remedied(&mut self, id: ReservationId, from: &[Line], to: &[Line], cancelled: bool) {
        let Some(mut claim) = self.claims.remove(&id) else { return self.fault(format!("{id} is unknown")) };
        let held = claim.held();
        for line in from {
            let at = (line.sku, line.location);
            if !take(&mut claim.open, at, line.quantity.0) {
                self.fault(format!("{id} was remedied where it had nothing, {}", self.name(at)));
            }
            *self.change(at).promised(held) -= line.quantity.signed();
            if cancelled {
                self.unbuy(&claim, line.sku, line.quantity.0);
            }
        }
        for line in to {
            let at = (line.sku, line.location);
            *claim.open.entry(at).or_default() += line.quantity.0;
            let cell = self.change(at);
            *cell.promised(held) += line.quantity.signed();
            if cell.free() < 0 {
                self.fault(format!("oversold by a remedy: {id} at {}", self.name(at)));
            }
        }
        claim.settle();
        if claim.stand == Stand::Ended {
            self.due.remove(&(claim.expires_at, id));
        }
        self.claims.insert(id, claim);
    }

    fn name(&self, (sku, location): Place) -> String {
        let code = |codes: &[String], at: usize| codes.get(at).cloned().unwrap_or_default();
        format!(
            "{} at {}",
            code(&self.codes.sku_codes, sku.index()),
            code(&self.codes.location_codes, location.index())
        )
    }
}

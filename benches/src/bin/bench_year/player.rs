//! Plays a world day by day: what the outside does comes from the history, what the seller does about it follows rules of counting.

mod goods_back;
mod goods_in;
mod selling;
mod setup;
mod upkeep;

use std::{collections::BTreeMap, path::Path};

use quartermaster_benches::files::Fault;
use quartermaster_engine::{
    id::{ReservationId, ReturnId},
    quantity::Quantity,
    time::Timestamp,
};

use crate::{
    calendar::{DAY, HOUR, MINUTE, date, times},
    desk::Desk,
    report::Check,
    world::{Good, Place, World},
};

/// Checks in the middle of the year.
const CHECKS: u64 = 12;

/// Something that is to be done at a time.
#[derive(Clone, Debug)]
enum Task {
    Announce(usize),
    Postpone(usize),
    Arrive(usize),
    Correct(usize),
    Order(usize),
    Return(usize),
    Tick,
    Confirm(ReservationId),
    Cancel(ReservationId),
    Ship(ReservationId),
    GiveUp(ReservationId),
    Received { id: ReturnId, lines: Vec<(Good, u32)> },
    Inspect { id: ReturnId, place: Place, lines: Vec<(Good, u32)> },
    Week(u64),
    TransferArrives { code: String, lines: Vec<(Good, u32)>, short: bool },
    Sale,
    Freeze,
    Thaw,
    Check,
}

/// A year as it is played.
pub(crate) struct Player<'a> {
    pub(crate) world: &'a World,
    pub(crate) desk: Desk,
    agenda: BTreeMap<(Timestamp, u64), Task>,
    planned: u64,
    /// Reservations of each order.
    reservations: Vec<Vec<ReservationId>>,
    /// Counters that decide what befalls whom.
    holds: u64,
    confirmed: u64,
    matched: u64,
    inspected: usize,
    returned_to: usize,
    /// Units looked at and left in quality control, and in repair, by place and SKU: some are released each week.
    quality_control: BTreeMap<(Place, Good), u32>,
    in_repair: BTreeMap<(Place, Good), u32>,
    /// What the flash sale has.
    offered: Vec<Good>,
    frozen: Option<Place>,
    pub(crate) checks: Vec<Check>,
}

impl<'a> Player<'a> {
    /// Sets the shop up and plans what the history has.
    pub(crate) fn new(world: &'a World, directory: Option<&Path>) -> Result<Self, Fault> {
        let mut player = Self {
            world,
            desk: Desk::new(directory)?,
            agenda: BTreeMap::new(),
            planned: 0,
            reservations: vec![Vec::new(); world.orders.len()],
            holds: 0,
            confirmed: 0,
            matched: 0,
            inspected: 0,
            returned_to: 0,
            quality_control: BTreeMap::new(),
            in_repair: BTreeMap::new(),
            offered: Vec::new(),
            frozen: None,
            checks: Vec::new(),
        };
        let start = Timestamp(world.start().0 / DAY.0 * DAY.0);
        player.desk.now = start;
        player.set_up()?;
        player.plan_all(start);
        Ok(player)
    }

    fn plan(&mut self, at: Timestamp, task: Task) {
        // Nothing is planned for the past: what should have been done is done next.
        self.agenda.insert((at.max(self.desk.now), self.planned), task);
        self.planned += 1;
    }

    fn plan_all(&mut self, start: Timestamp) {
        let world = self.world;
        for (number, purchase) in world.purchases.iter().enumerate() {
            let late = (number + 1).is_multiple_of(15);
            self.plan(purchase.at.minus(world.announced_ahead).max(start), Task::Announce(number));
            if late {
                self.plan(purchase.at.minus(DAY), Task::Postpone(number));
            }
            let arrives = if late { purchase.at.plus(times(DAY, 7)) } else { purchase.at };
            self.plan(arrives, Task::Arrive(number));
        }
        for (number, correction) in world.corrections.iter().enumerate() {
            self.plan(correction.at, Task::Correct(number));
        }
        for (number, order) in world.orders.iter().enumerate() {
            self.plan(order.at, Task::Order(number));
        }
        for (number, back) in world.returns.iter().enumerate() {
            self.plan(back.at, Task::Return(number));
        }
        if let Some(sale) = &world.sale {
            self.plan(sale.starts_at.minus(HOUR), Task::Sale);
        }
        let end = world.end();
        let days = (end.0 - start.0) / DAY.0 + 1;
        for week in 0..days.div_ceil(7) {
            self.plan(start.plus(times(DAY, 7 * week)).plus(times(HOUR, 5)), Task::Week(week));
        }
        // In the middle of the year a place stands still for a week.
        self.plan(start.plus(times(HOUR, 12 * days)), Task::Freeze);
        self.plan(start.plus(times(HOUR, 12 * days)).plus(times(DAY, 7)), Task::Thaw);
        for check in 1..=CHECKS {
            let at = Timestamp(start.0 + (end.0 - start.0) / (CHECKS + 1) * check);
            self.plan(at, Task::Check);
        }
    }

    /// Plays everything, and what follows from it: parcels leave and returns arrive after the last order, too.
    pub(crate) fn run(&mut self) -> Result<(), Fault> {
        while let Some(((at, _), task)) = self.agenda.pop_first() {
            self.desk.now = at;
            self.desk.tick()?;
            for (id, units) in std::mem::take(&mut self.desk.ledger.grants) {
                self.desk.tally.add("campaign: buyers who waited and were served", 1);
                self.desk.tally.add("campaign: units served", units);
                self.plan(at.plus(times(MINUTE, 5)), Task::Confirm(id));
            }
            self.perform(task)?;
        }
        self.check()
    }

    fn perform(&mut self, task: Task) -> Result<(), Fault> {
        match task {
            Task::Announce(number) => self.announce(number),
            Task::Postpone(number) => self.postpone(number),
            Task::Arrive(number) => self.arrive(number),
            Task::Correct(number) => self.correct(number),
            Task::Order(number) => self.order(number),
            Task::Return(number) => self.take_back(number),
            Task::Tick => Ok(()),
            Task::Confirm(id) => self.confirm(id),
            Task::Cancel(id) => self.cancel(id),
            Task::Ship(id) => self.ship(id),
            Task::GiveUp(id) => self.give_up(id),
            Task::Received { id, lines } => self.returned(id, lines),
            Task::Inspect { id, place, lines } => self.inspect(id, place, &lines),
            Task::Week(week) => self.week(week),
            Task::TransferArrives { code, lines, short } => self.transfer_arrives(&code, &lines, short),
            Task::Sale => self.open_sale(),
            Task::Freeze => self.freeze(),
            Task::Thaw => self.thaw(),
            Task::Check => self.check(),
        }
    }

    /// Compares both sets of books.
    fn check(&mut self) -> Result<(), Fault> {
        self.desk.tick()?;
        let (cells, differences) = self.desk.ledger.compare(&self.desk.engine);
        let audit = self.desk.engine.audit();
        let violations = audit.violations.len() + self.desk.engine.audit_bookings().len();
        let events = self.desk.engine.journal().appended_lsn().get();
        let violation = audit.violations.first().map(|violation| format!("audit: {violation}"));
        self.checks.push(Check {
            date: date(self.desk.now),
            events,
            cells,
            open: self.desk.ledger.claims.values().filter(|claim| claim.units() > 0).count(),
            violations,
            differences: differences.into_iter().chain(violation).collect(),
        });
        Ok(())
    }

    fn code(&self, good: Good) -> String {
        self.world.goods[good].code.clone()
    }

    fn site(&self, place: Place) -> String {
        self.world.sites[place].code.clone()
    }

    fn cell(&self, good: Good, place: Place) -> crate::ledger::Figures {
        let codes = &self.desk.ledger.codes;
        let at = (codes.skus[&self.world.goods[good].code], codes.locations[&self.world.sites[place].code]);
        self.desk.ledger.cell(at)
    }
}

fn units(units: u32) -> Quantity {
    Quantity(units)
}

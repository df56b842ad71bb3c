//! What one buyer's answers add up to: its reservations, unit by unit, and what it did to the stock.

use std::collections::BTreeMap;

use quartermaster_proto::v1::{Reservation, ReservationState};

use super::operation::{Operation, Outcome, Units, state_name};

/// A cell: SKU code and location code.
pub type Cell = (String, String);

/// One SKU at one location within a reservation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Promised still.
    pub open: i64,
    /// Gone out.
    pub shipped: i64,
    /// Given back.
    pub returned: i64,
}

/// A reservation as its answers say it is.
#[derive(Clone, Debug)]
pub struct Order {
    /// Its id.
    pub id: String,
    /// Its state.
    pub state: ReservationState,
    /// Its lines.
    pub lines: BTreeMap<Cell, Line>,
    /// When it expires, in microseconds since the Unix epoch.
    pub expires: i64,
}

/// What became of the units of a cell, by one buyer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Brought in less taken away less shipped.
    pub on_hand: i64,
    /// Promised, not paid.
    pub reserved: i64,
    /// Paid, not shipped.
    pub committed: i64,
}

/// A buyer's reservations and corrections.
#[derive(Clone, Debug, Default)]
pub struct Book {
    orders: BTreeMap<String, Order>,
    adjusted: BTreeMap<Cell, i64>,
}

impl Order {
    /// Whether units are promised still.
    pub fn is_open(&self) -> bool {
        matches!(self.state, ReservationState::Held | ReservationState::Confirmed)
    }

    /// Its open units.
    pub fn open(&self) -> Vec<Units> {
        let units = |(cell, line): (&Cell, &Line)| units(cell, line.open);
        self.lines.iter().filter(|(_, line)| line.open > 0).map(units).collect()
    }

    /// What the server says of it, where that differs.
    pub fn difference(&self, told: &Reservation) -> Option<String> {
        let mut lines = BTreeMap::new();
        for line in &told.lines {
            let cell = (line.sku.clone(), line.location.clone());
            lines.insert(cell, Line { open: line.open, shipped: line.shipped, returned: line.returned_to_stock });
        }
        let expires = told.expire_time.map_or(0, |time| time.seconds * 1_000_000 + i64::from(time.nanos / 1_000));
        let same = told.state() == self.state && lines == self.lines && expires == self.expires;
        (!same).then(|| format!("{} is {told:?}, the answers make it {self:?}", self.id))
    }

    /// Takes `moved` (nothing: all that is open) off the open units and gives what was taken.
    fn take(&mut self, moved: &[Units], ship: bool) -> Result<Vec<Units>, String> {
        let moved = if moved.is_empty() { self.open() } else { moved.to_vec() };
        for units in &moved {
            let cell = (units.sku.clone(), units.location.clone());
            let line = self.lines.get_mut(&cell).filter(|line| line.open >= units.quantity);
            let line = line.ok_or_else(|| format!("{} has not {units:?} open", self.id))?;
            line.open -= units.quantity;
            *if ship { &mut line.shipped } else { &mut line.returned } += units.quantity;
        }
        if self.lines.values().all(|line| line.open == 0) {
            let shipped = self.lines.values().any(|line| line.shipped > 0);
            self.state = if shipped { ReservationState::Shipped } else { ReservationState::Cancelled };
        }
        Ok(moved)
    }
}

impl Book {
    /// A book that begins with these reservations.
    pub fn of(orders: Vec<Order>) -> Book {
        Book { orders: orders.into_iter().map(|order| (order.id.clone(), order)).collect(), adjusted: BTreeMap::new() }
    }

    /// Enters an answer.
    ///
    /// # Errors
    /// When it cannot be the answer to what was asked: units that were not asked for, half an order, a state that does not follow.
    pub fn enter(&mut self, operation: &Operation, outcome: &Outcome) -> Result<(), String> {
        match (operation, outcome) {
            (_, Outcome::Rejected { .. } | Outcome::Refused { .. }) => Ok(()),
            (Operation::Adjust { sku, location, delta }, Outcome::Adjusted) => {
                *self.adjusted.entry((sku.clone(), location.clone())).or_default() += delta;
                Ok(())
            }
            (Operation::Reserve { lines, .. }, Outcome::Held { reservation, units, expires }) => {
                whole(lines, units)?;
                let mut order = Order {
                    id: reservation.clone(),
                    state: ReservationState::Held,
                    lines: BTreeMap::new(),
                    expires: *expires,
                };
                for unit in units {
                    order.lines.entry((unit.sku.clone(), unit.location.clone())).or_default().open += unit.quantity;
                }
                let before = self.orders.insert(reservation.clone(), order);
                before.map_or(Ok(()), |_| Err(format!("{reservation} was given to two orders")))
            }
            (Operation::Confirm { reservation }, Outcome::Updated { state, .. }) => {
                let order = self.order(reservation)?;
                order.state = ReservationState::Confirmed;
                follows(order, *state)
            }
            (Operation::Release { reservation }, Outcome::Updated { state, units, .. }) => {
                let order = self.order(reservation)?;
                let taken = order.take(&[], false)?;
                order.state = ReservationState::Released;
                same(reservation, &taken, units)?;
                follows(order, *state)
            }
            (Operation::Cancel { reservation, lines }, Outcome::Updated { state, units, .. }) => {
                let order = self.order(reservation)?;
                let taken = order.take(lines, false)?;
                same(reservation, &taken, units)?;
                follows(order, *state)
            }
            (Operation::Ship { reservation, lines }, Outcome::Updated { state, units, .. }) => {
                let order = self.order(reservation)?;
                let taken = order.take(lines, true)?;
                same(reservation, &taken, units)?;
                follows(order, *state)
            }
            (Operation::Extend { reservation, .. }, Outcome::Updated { state, expires, .. }) => {
                let order = self.order(reservation)?;
                order.expires = expires.ok_or("an extension without an expiry")?;
                follows(order, *state)
            }
            _ => Err(format!("{operation:?} was answered with {outcome:?}")),
        }
    }

    /// Reservations, by id.
    pub fn orders(&self) -> impl Iterator<Item = &Order> {
        self.orders.values()
    }

    /// One reservation.
    pub fn get(&self, id: &str) -> Option<&Order> {
        self.orders.get(id)
    }

    /// Adds this buyer's part to the balances.
    pub fn add_to(&self, balances: &mut BTreeMap<Cell, Balance>) {
        for (cell, delta) in &self.adjusted {
            balances.entry(cell.clone()).or_default().on_hand += delta;
        }
        for order in self.orders.values() {
            for (cell, line) in &order.lines {
                let balance = balances.entry(cell.clone()).or_default();
                balance.on_hand -= line.shipped;
                match order.state {
                    ReservationState::Held => balance.reserved += line.open,
                    ReservationState::Confirmed => balance.committed += line.open,
                    _ => {}
                }
            }
        }
    }

    fn order(&mut self, id: &str) -> Result<&mut Order, String> {
        self.orders.get_mut(id).ok_or_else(|| format!("an answer about {id}, which was never granted"))
    }
}

fn units((sku, location): &Cell, quantity: i64) -> Units {
    Units { sku: sku.clone(), location: location.clone(), quantity }
}

/// Whether a hold has every unit that was asked for, where it was asked for.
fn whole(asked: &[Units], given: &[Units]) -> Result<(), String> {
    let mut by_sku: BTreeMap<&str, i64> = BTreeMap::new();
    for units in given {
        *by_sku.entry(&units.sku).or_default() += units.quantity;
    }
    let elsewhere = |line: &Units| {
        !line.location.is_empty() && given.iter().any(|units| units.sku == line.sku && units.location != line.location)
    };
    let met = by_sku.len() == asked.len()
        && asked.iter().all(|line| by_sku.get(line.sku.as_str()) == Some(&line.quantity) && !elsewhere(line));
    if met { Ok(()) } else { Err(format!("asked for {asked:?}, given {given:?}")) }
}

fn same(reservation: &str, expected: &[Units], told: &[Units]) -> Result<(), String> {
    let mut expected = expected.to_vec();
    expected.sort();
    if expected == told {
        return Ok(());
    }
    Err(format!("{reservation}: {expected:?} should have moved, {told:?} did"))
}

fn follows(order: &Order, told: i32) -> Result<(), String> {
    if i32::from(order.state) == told {
        return Ok(());
    }
    Err(format!("{} should be {:?} and is {}", order.id, order.state, state_name(told)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(sku: &str, location: &str, quantity: i64) -> Units {
        Units { sku: sku.into(), location: location.into(), quantity }
    }

    fn held(units: Vec<Units>) -> Outcome {
        Outcome::Held { reservation: "r".into(), units, expires: 9 }
    }

    fn updated(state: ReservationState, units: Vec<Units>) -> Outcome {
        Outcome::Updated { state: state.into(), units, expires: None }
    }

    #[test]
    fn half_an_order_is_no_answer() {
        let asked = Operation::Reserve { lines: vec![line("A", "", 3), line("B", "L1", 1)], ttl_s: 9 };
        let enter = |units| Book::default().enter(&asked, &held(units));
        assert!(enter(vec![line("A", "L0", 2), line("A", "L1", 1), line("B", "L1", 1)]).is_ok());
        assert!(enter(vec![line("A", "L0", 3)]).is_err(), "a line is missing");
        assert!(enter(vec![line("A", "L0", 2), line("B", "L1", 1)]).is_err(), "a unit is missing");
        assert!(enter(vec![line("A", "L0", 3), line("B", "L0", 1)]).is_err(), "another location");
        assert!(enter(vec![line("A", "L0", 3), line("B", "L1", 1), line("C", "L1", 1)]).is_err(), "not asked for");
    }

    #[test]
    fn units_are_followed_to_the_parcel() {
        let mut book = Book::default();
        let reserve = Operation::Reserve { lines: vec![line("A", "L", 3)], ttl_s: 9 };
        book.enter(&reserve, &held(vec![line("A", "L", 3)])).unwrap();
        let confirm = Operation::Confirm { reservation: "r".into() };
        book.enter(&confirm, &updated(ReservationState::Confirmed, vec![])).unwrap();
        let ship = Operation::Ship { reservation: "r".into(), lines: vec![line("A", "L", 1)] };
        book.enter(&ship, &updated(ReservationState::Confirmed, vec![line("A", "L", 1)])).unwrap();
        let mut balances = BTreeMap::new();
        book.add_to(&mut balances);
        assert_eq!(balances[&("A".into(), "L".into())], Balance { on_hand: -1, reserved: 0, committed: 2 });
        let cancel = Operation::Cancel { reservation: "r".into(), lines: vec![] };
        let wrong = updated(ReservationState::Cancelled, vec![line("A", "L", 2)]);
        assert!(book.clone().enter(&cancel, &wrong).is_err(), "something was shipped");
        book.enter(&cancel, &updated(ReservationState::Shipped, vec![line("A", "L", 2)])).unwrap();
        assert!(!book.get("r").unwrap().is_open());
        assert!(book.enter(&ship, &updated(ReservationState::Shipped, vec![line("A", "L", 1)])).is_err());
    }
}

//! The stock of one SKU as one would keep it in a notebook: a few places, what is promised there, and what became of each hold.

use std::collections::HashMap;

use quartermaster_loadtest::random::SplitMix64;

/// Places of a SKU; reserves that name none take in their order.
pub const PLACES: usize = 3;

/// Units at each place.
pub type Units = [u64; PLACES];

/// Units on hand at each place when nothing is promised.
pub type Cells = Units;

/// A reservation, numbered by whoever recorded the history.
pub type HoldId = u32;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Takes units at a place, or where they are.
    Reserve {
        /// How many, at least 1.
        units: u64,
        /// Where; `None` for the first place that has all of them, else as many places as it needs in their order.
        place: Option<usize>,
    },
    /// Pays a hold.
    Confirm(HoldId),
    /// Gives a hold back.
    Release(HoldId),
    /// Gives back what is open of a hold, paid or not.
    Cancel(HoldId),
    /// Sends all that is open of a paid hold.
    Ship(HoldId),
    /// Adds to what is on hand at a place, or takes away.
    Adjust {
        /// Where.
        place: usize,
        /// How many, not 0.
        delta: i64,
    },
    /// Reads what is available, in all and at each place.
    Read,
    /// Reads a hold.
    Look(HoldId),
    /// Reads on hand, reserved and committed of each place.
    Cells,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A hold was made.
    Granted {
        /// Which.
        hold: HoldId,
        /// What it took.
        taken: Units,
    },
    /// Nothing was taken: not enough units.
    Short {
        /// Units that could have been taken.
        available: u64,
    },
    /// A hold changed.
    Changed {
        /// Its state afterwards.
        state: State,
        /// Units that moved.
        moved: Units,
    },
    /// A cell changed.
    Level {
        /// On hand there afterwards.
        on_hand: u64,
        /// Available there afterwards.
        available: u64,
    },
    /// What is available.
    Availability {
        /// In all.
        total: u64,
        /// At each place.
        at: Units,
    },
    /// A hold as it stands.
    Seen {
        /// Its state.
        state: State,
        /// Units still promised to it.
        open: Units,
    },
    /// The buckets of each place.
    Buckets {
        /// Physically there.
        on_hand: Units,
        /// Promised to holds.
        reserved: Units,
        /// Promised to paid ones.
        committed: Units,
    },
    /// Nothing happened: the hold's state forbids it.
    WrongState(State),
    /// Nothing happened: there are fewer units than shall be taken away.
    TooFew,
}

/// What became of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its units are reserved.
    Held,
    /// They are committed.
    Confirmed,
    /// They have left.
    Shipped,
    /// They were given back unpaid.
    Released,
    /// They were given back by a cancellation.
    Cancelled,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cell {
    on_hand: u64,
    reserved: u64,
    committed: u64,
}

impl Cell {
    fn available(self) -> u64 {
        self.on_hand.saturating_sub(self.reserved + self.committed)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Hold {
    state: State,
    open: Units,
}

/// The stock of one SKU.
#[derive(Clone, Debug)]
pub struct Stock {
    cells: [Cell; PLACES],
    holds: HashMap<HoldId, Hold>,
    /// Exclusive or of a number for each hold as it stands.
    holds_digest: u64,
}

/// What takes back one step.
#[derive(Clone, Debug)]
pub struct Undo {
    cells: [Cell; PLACES],
    hold: Option<(HoldId, Option<Hold>)>,
    holds_digest: u64,
}

impl Answer {
    /// Whether an event stands behind it.
    pub fn is_change(&self) -> bool {
        match self {
            Answer::Granted { .. } | Answer::Changed { .. } | Answer::Level { .. } => true,
            Answer::Short { .. } | Answer::WrongState(_) | Answer::TooFew => false,
            Answer::Availability { .. } | Answer::Seen { .. } | Answer::Buckets { .. } => false,
        }
    }

    /// Whether it says what there is at one LSN.
    pub fn is_read(&self) -> bool {
        matches!(self, Answer::Availability { .. } | Answer::Seen { .. } | Answer::Buckets { .. })
    }
}

impl Stock {
    /// Stock of which nothing is promised.
    pub fn new(on_hand: &Cells) -> Stock {
        let cells = on_hand.map(|on_hand| Cell { on_hand, ..Cell::default() });
        Stock { cells, holds: HashMap::new(), holds_digest: 0 }
    }

    /// Does what `call` asks, or refuses; a hold that is made gets `id`, and without one stays nameless.
    pub fn step(&mut self, call: &Call, id: Option<HoldId>) -> (Answer, Undo) {
        let mut undo = Undo { cells: self.cells, hold: None, holds_digest: self.holds_digest };
        let answer = match *call {
            Call::Reserve { units, place } => self.reserve(units, place, id, &mut undo),
            Call::Confirm(hold) => self.change(hold, &[State::Held], State::Confirmed, &mut undo),
            Call::Release(hold) => self.change(hold, &[State::Held], State::Released, &mut undo),
            Call::Cancel(hold) => self.change(hold, &[State::Held, State::Confirmed], State::Cancelled, &mut undo),
            Call::Ship(hold) => self.ship(hold, &mut undo),
            Call::Adjust { place, delta } => match self.cells[place].on_hand.checked_add_signed(delta) {
                None => Answer::TooFew,
                Some(on_hand) => {
                    self.cells[place].on_hand = on_hand;
                    Answer::Level { on_hand, available: self.cells[place].available() }
                }
            },
            Call::Read => {
                let at = self.available();
                Answer::Availability { total: at.iter().sum(), at }
            }
            // Nobody can ask about a hold that was never granted.
            Call::Look(hold) => self.holds.get(&hold).map_or(Answer::TooFew, |hold| {
                let open =
                    if hold.state == State::Confirmed || hold.state == State::Held { hold.open } else { [0; PLACES] };
                Answer::Seen { state: hold.state, open }
            }),
            Call::Cells => Answer::Buckets {
                on_hand: self.cells.map(|cell| cell.on_hand),
                reserved: self.cells.map(|cell| cell.reserved),
                committed: self.cells.map(|cell| cell.committed),
            },
        };
        (answer, undo)
    }

    /// Takes back the last step that has not been taken back.
    pub fn undo(&mut self, undo: Undo) {
        self.cells = undo.cells;
        self.holds_digest = undo.holds_digest;
        match undo.hold {
            Some((id, Some(before))) => drop(self.holds.insert(id, before)),
            Some((id, None)) => drop(self.holds.remove(&id)),
            None => {}
        }
    }

    /// A number that differs, as good as surely, between any two states.
    pub fn digest(&self) -> u64 {
        self.cells.iter().fold(self.holds_digest, |digest, cell| {
            [cell.on_hand, cell.reserved, cell.committed].iter().fold(digest, |digest, units| mix(digest, *units))
        })
    }

    fn available(&self) -> Units {
        self.cells.map(Cell::available)
    }

    fn reserve(&mut self, units: u64, place: Option<usize>, id: Option<HoldId>, undo: &mut Undo) -> Answer {
        let at = self.available();
        let total = place.map_or(at.iter().sum(), |place| at[place]);
        if total < units {
            return Answer::Short { available: total };
        }
        let mut taken = [0; PLACES];
        match place.or_else(|| at.iter().position(|available| *available >= units)) {
            Some(whole) => taken[whole] = units,
            None => {
                let mut missing = units;
                for (taken, available) in taken.iter_mut().zip(at) {
                    *taken = available.min(missing);
                    missing -= *taken;
                }
            }
        }
        for (cell, taken) in self.cells.iter_mut().zip(taken) {
            cell.reserved += taken;
        }
        let Some(hold) = id else { return Answer::Granted { hold: HoldId::MAX, taken } };
        self.put(hold, Hold { state: State::Held, open: taken }, undo);
        Answer::Granted { hold, taken }
    }

    fn ship(&mut self, id: HoldId, undo: &mut Undo) -> Answer {
        let Some(hold) = self.holds.get(&id) else { return Answer::TooFew };
        if hold.state != State::Confirmed {
            return Answer::WrongState(hold.state);
        }
        if hold.open.iter().zip(&self.cells).any(|(open, cell)| cell.on_hand < *open) {
            return Answer::TooFew;
        }
        for (cell, open) in self.cells.iter_mut().zip(hold.open) {
            cell.on_hand -= open;
        }
        self.change(id, &[State::Confirmed], State::Shipped, undo)
    }

    /// Moves a hold from one of the states in `from` to `state`, and its units with it.
    fn change(&mut self, id: HoldId, from: &[State], state: State, undo: &mut Undo) -> Answer {
        // Nobody can ask about a hold that was never granted.
        let Some(hold) = self.holds.get(&id).cloned() else { return Answer::TooFew };
        if !from.contains(&hold.state) {
            return Answer::WrongState(hold.state);
        }
        for (cell, open) in self.cells.iter_mut().zip(hold.open) {
            let held = hold.state == State::Held;
            *(if held { &mut cell.reserved } else { &mut cell.committed }) -= open;
            if state == State::Confirmed {
                cell.committed += open;
            }
        }
        let moved = hold.open;
        let open = if state == State::Confirmed { moved } else { [0; PLACES] };
        self.put(id, Hold { state, open }, undo);
        Answer::Changed { state, moved }
    }

    fn put(&mut self, id: HoldId, hold: Hold, undo: &mut Undo) {
        self.holds_digest ^= hold_digest(id, &hold);
        let before = self.holds.insert(id, hold);
        if let Some(before) = &before {
            self.holds_digest ^= hold_digest(id, before);
        }
        undo.hold = Some((id, before));
    }
}

fn hold_digest(id: HoldId, hold: &Hold) -> u64 {
    let state = match hold.state {
        State::Held => 1,
        State::Confirmed => 2,
        State::Shipped => 3,
        State::Released => 4,
        State::Cancelled => 5,
    };
    hold.open.iter().fold(mix(u64::from(id), state), |digest, open| mix(digest, *open))
}

/// Two numbers as one.
pub(super) fn mix(one: u64, other: u64) -> u64 {
    SplitMix64::for_item(one, other).bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_takes_where_it_fits_whole_and_every_step_is_taken_back() {
        let mut stock = Stock::new(&[2, 5, 0]);
        let before = stock.digest();
        let anywhere = |units| Call::Reserve { units, place: None };
        let (answer, first) = stock.step(&anywhere(3), Some(1));
        assert_eq!(answer, Answer::Granted { hold: 1, taken: [0, 3, 0] });
        let (answer, second) = stock.step(&anywhere(3), Some(2));
        assert_eq!(answer, Answer::Granted { hold: 2, taken: [2, 1, 0] });
        assert_eq!(stock.step(&anywhere(2), Some(3)).0, Answer::Short { available: 1 });
        assert_eq!(stock.step(&Call::Ship(1), None).0, Answer::WrongState(State::Held));
        let (answer, third) = stock.step(&Call::Confirm(1), None);
        assert_eq!(answer, Answer::Changed { state: State::Confirmed, moved: [0, 3, 0] });
        let (answer, fourth) = stock.step(&Call::Ship(1), None);
        assert_eq!(answer, Answer::Changed { state: State::Shipped, moved: [0, 3, 0] });
        assert_eq!(stock.step(&Call::Read, None).0, Answer::Availability { total: 1, at: [0, 1, 0] });
        assert_eq!(stock.step(&Call::Adjust { place: 1, delta: -3 }, None).0, Answer::TooFew);
        for undo in [fourth, third, second, first] {
            stock.undo(undo);
        }
        assert_eq!((stock.digest(), stock.holds.len()), (before, 0));
    }
}

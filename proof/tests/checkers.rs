//! The checkers are checked: histories of a simulated server that is right are taken, and each planted fault is refused a hundred times
//! out of a hundred by every checker that can see it.
//!
//! `CHECKER_SEEDS` sets how many histories of each kind are made; a failure names its seed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use quartermaster_loadtest::random::SplitMix64;
use quartermaster_proof::history::model::{Answer, Call, HoldId, State, Stock};
use quartermaster_proof::history::{End, History, Operation, search, witness};

/// Enough for every history here.
const STEPS_MAX: u64 = 5_000_000;

fn seeds() -> u64 {
    std::env::var("CHECKER_SEEDS").map_or(100, |seeds| seeds.parse().unwrap())
}

/// A server that answers several clients at once, correctly, and notes what they saw.
struct World {
    random: SplitMix64,
    now: u64,
    lsn: u64,
    stock: Vec<Stock>,
    /// LSN of the last change of each SKU.
    revisions: Vec<u64>,
    holds: Vec<Vec<HoldId>>,
    next_hold: HoldId,
    /// One in so many calls ends unknown, on every SKU but the first; 0 for none.
    unknown_one_in: u64,
    history: History,
}

impl World {
    fn new(seed: u64, skus: u64, unknown_one_in: u64) -> World {
        let mut random = SplitMix64::new(seed);
        let cells: Vec<_> = (0..skus).map(|_| [10 + random.below(20), random.below(10), random.below(10)]).collect();
        let since = random.below(1_000);
        World {
            random,
            now: 0,
            lsn: since,
            stock: cells.iter().map(Stock::new).collect(),
            revisions: cells.iter().map(|_| since).collect(),
            holds: cells.iter().map(|_| Vec::new()).collect(),
            next_hold: 0,
            unknown_one_in,
            history: History { stock: cells, since, operations: Vec::new() },
        }
    }

    /// Some clients with `calls` calls in all, one at a time each; ends when all have their answers.
    fn run(&mut self, clients: u64, calls: u64) {
        #[derive(PartialEq, Eq, PartialOrd, Ord)]
        enum Next {
            Call,
            Decide(usize),
            Return(usize),
        }
        let mut agenda: BinaryHeap<Reverse<(u64, u64, Next)>> =
            (0..clients).map(|client| Reverse((self.now + client, client, Next::Call))).collect();
        let mut left = calls;
        while let Some(Reverse((at, client, next))) = agenda.pop() {
            self.now = self.now.max(at) + 1;
            let later = self.now + 1 + self.random.below(40);
            match next {
                Next::Call if left == 0 => {}
                Next::Call => {
                    left -= 1;
                    let sku = self.random.index(self.stock.len());
                    let call = self.draw(sku);
                    self.call(sku, call);
                    agenda.push(Reverse((later, client, Next::Decide(self.history.operations.len() - 1))));
                }
                Next::Decide(operation) => {
                    let sku = self.history.operations[operation].sku;
                    let lost = sku > 0 && self.unknown_one_in > 0 && self.random.below(self.unknown_one_in) == 0;
                    if !lost {
                        self.decide(operation);
                        agenda.push(Reverse((later, client, Next::Return(operation))));
                        continue;
                    }
                    if self.random.chance(0.5) {
                        // It happens, and nobody hears of it.
                        self.decide(operation);
                        if let Some(Answer::Granted { hold, .. }) = self.history.operations[operation].answer() {
                            let hold = *hold;
                            self.holds[usize::try_from(sku).unwrap()].retain(|known| *known != hold);
                        }
                    }
                    self.history.operations[operation].end = End::Unknown;
                    agenda.push(Reverse((later, client, Next::Call)));
                }
                Next::Return(operation) => {
                    self.set_returned(operation);
                    agenda.push(Reverse((self.now + self.random.below(5), client, Next::Call)));
                }
            }
        }
    }

    fn draw(&mut self, sku: usize) -> Call {
        let hold = self.random.index(self.holds[sku].len());
        let hold = self.holds[sku].get(hold).copied();
        let place = self.random.index(3);
        match (self.random.below(14), hold) {
            (0..=3, _) => {
                let place = self.random.chance(0.3).then_some(place);
                Call::Reserve { units: 1 + self.random.below(5), place }
            }
            (4, Some(hold)) => Call::Confirm(hold),
            (5, Some(hold)) => Call::Release(hold),
            (6, Some(hold)) => Call::Cancel(hold),
            (7, Some(hold)) => Call::Ship(hold),
            (8, _) => Call::Adjust { place, delta: 1 + i64::try_from(self.random.below(6)).unwrap() },
            (9, _) => Call::Adjust { place, delta: -1 - i64::try_from(self.random.below(6)).unwrap() },
            (10, Some(hold)) => Call::Look(hold),
            (11, _) => Call::Cells,
            _ => Call::Read,
        }
    }

    fn call(&mut self, sku: usize, call: Call) -> usize {
        self.now += 1;
        let sku = u32::try_from(sku).unwrap();
        self.history.operations.push(Operation { called: self.now, sku, call, end: End::Unknown });
        self.history.operations.len() - 1
    }

    fn decide(&mut self, operation: usize) {
        let Operation { sku, call, .. } = self.history.operations[operation].clone();
        let sku = usize::try_from(sku).unwrap();
        let (answer, _) = self.stock[sku].step(&call, Some(self.next_hold));
        if let Answer::Granted { hold, .. } = answer {
            self.next_hold += 1;
            self.holds[sku].push(hold);
        }
        let lsn = match &answer {
            change if change.is_change() => {
                self.lsn += 1;
                self.revisions[sku] = self.lsn;
                Some(self.lsn)
            }
            read if read.is_read() => Some(self.lsn),
            Answer::Short { .. } => Some(self.revisions[sku]),
            _ => None,
        };
        self.history.operations[operation].end = End::Answered { returned: 0, lsn, answer };
    }

    fn set_returned(&mut self, operation: usize) {
        self.now += 1;
        let now = self.now;
        if let End::Answered { returned, .. } = &mut self.history.operations[operation].end {
            *returned = now;
        }
    }

    /// One call on the first SKU while nothing else happens.
    fn alone(&mut self, call: Call) -> usize {
        let operation = self.call(0, call);
        self.decide(operation);
        self.set_returned(operation);
        operation
    }

    /// The same with another answer than is right.
    fn lie(&mut self, call: Call, lsn: Option<u64>, answer: Answer) -> usize {
        let operation = self.call(0, call);
        self.history.operations[operation].end = End::Answered { returned: 0, lsn, answer };
        self.set_returned(operation);
        operation
    }

    fn available(&mut self) -> (u64, [u64; 3]) {
        match self.stock[0].step(&Call::Read, None).0 {
            Answer::Availability { total, at } => (total, at),
            other => panic!("{other:?}"),
        }
    }

    fn hold_of(&self, operation: usize) -> HoldId {
        match self.history.operations[operation].answer() {
            Some(Answer::Granted { hold, .. }) => *hold,
            other => panic!("{other:?}"),
        }
    }
}

fn reserve(units: u64) -> Call {
    Call::Reserve { units, place: None }
}

fn more() -> Call {
    Call::Adjust { place: 0, delta: 60 }
}

#[test]
fn histories_of_a_server_that_is_right_are_taken_by_both() {
    let (mut unknown, mut holes, mut errors) = (0, 0, 0);
    for seed in 0..2 * seeds() {
        let mut world = World::new(seed, 4, if seed % 2 == 0 { 0 } else { 40 });
        world.run(16, 800);
        let witnessed = witness::check(&world.history).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        let searched = search::check(&world.history, STEPS_MAX).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        assert_eq!((witnessed.undecided, searched.undecided), (0, 0), "seed {seed}: {witnessed:?}, {searched:?}");
        unknown += witnessed.unknown;
        holes += witnessed.holes;
        errors += witnessed.errors;
    }
    assert!(unknown > 500 && holes > 100 && errors > 1_000, "{unknown} unknown, {holes} holes, {errors} errors");
}

/// Whom a fault must not get past.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    ByBoth,
    ByWitness,
}

/// Plants one fault into the middle of each of many histories.
fn refused(seen: Seen, plant: impl Fn(&mut World)) {
    for seed in 0..seeds() {
        let mut world = World::new(seed, 3, 50);
        world.run(16, 200);
        // Enough to play with.
        world.alone(more());
        plant(&mut world);
        world.run(16, 200);
        let witnessed = witness::check(&world.history);
        assert!(witnessed.is_err(), "seed {seed}: the witness check took it: {witnessed:?}");
        if seen == Seen::ByBoth {
            let searched = search::check(&world.history, STEPS_MAX);
            assert!(searched.is_err(), "seed {seed}: the search took it: {searched:?}");
        }
    }
}

#[test]
fn units_sold_that_were_not_there_are_refused() {
    refused(Seen::ByBoth, |world| {
        let (total, at) = world.available();
        world.lsn += 1;
        let taken = [at[0] + 1, at[1], at[2]];
        let (lsn, hold) = (world.lsn, world.next_hold);
        world.next_hold += 1;
        world.lie(reserve(total + 1), Some(lsn), Answer::Granted { hold, taken });
    });
}

#[test]
fn a_hold_that_was_granted_and_lost_in_a_crash_is_refused() {
    refused(Seen::ByBoth, |world| {
        let before = world.stock[0].clone();
        let granted = world.alone(reserve(2));
        world.hold_of(granted);
        world.holds[0].pop();
        world.stock[0] = before;
        world.alone(Call::Read);
    });
}

#[test]
fn a_payment_lost_in_a_crash_is_refused() {
    refused(Seen::ByBoth, |world| {
        let granted = world.alone(reserve(2));
        let hold = world.hold_of(granted);
        let before = world.stock[0].clone();
        world.alone(Call::Confirm(hold));
        world.stock[0] = before;
        world.alone(Call::Ship(hold));
    });
}

#[test]
fn a_read_of_what_was_is_refused_at_its_own_lsn_and_at_the_newest() {
    for stale_lsn in [true, false] {
        refused(Seen::ByBoth, |world| {
            let ((total, at), lsn) = (world.available(), world.lsn);
            world.alone(more());
            let lsn = if stale_lsn { lsn } else { world.lsn };
            world.lie(Call::Read, Some(lsn), Answer::Availability { total, at });
        });
    }
}

#[test]
fn a_hold_and_a_cell_seen_as_they_were_are_refused() {
    refused(Seen::ByBoth, |world| {
        let granted = world.alone(reserve(2));
        let hold = world.hold_of(granted);
        let (open, lsn) = match world.stock[0].step(&Call::Look(hold), None).0 {
            Answer::Seen { open, .. } => (open, world.lsn),
            other => panic!("{other:?}"),
        };
        world.alone(Call::Confirm(hold));
        world.lie(Call::Look(hold), Some(lsn), Answer::Seen { state: State::Held, open });
    });
    refused(Seen::ByBoth, |world| {
        let (before, lsn) = (world.stock[0].step(&Call::Cells, None).0, world.lsn);
        world.alone(reserve(1));
        world.lie(Call::Cells, Some(lsn), before);
    });
}

#[test]
fn sold_out_while_there_was_stock_is_refused() {
    refused(Seen::ByBoth, |world| {
        let lsn = world.revisions[0];
        world.lie(reserve(1), Some(lsn), Answer::Short { available: 0 });
    });
}

#[test]
fn sold_out_that_was_true_before_the_arrival_is_refused() {
    refused(Seen::ByBoth, |world| {
        let (total, _) = world.available();
        let lsn = world.revisions[0];
        world.alone(more());
        world.lie(reserve(total + 1), Some(lsn), Answer::Short { available: total });
    });
}

#[test]
fn a_read_of_what_nobody_had_asked_for_yet_is_refused() {
    refused(Seen::ByBoth, |world| {
        let (total, at) = world.available();
        let lsn = world.lsn + 1;
        world.lie(Call::Read, Some(lsn), Answer::Availability { total: total + 60, at: [at[0] + 60, at[1], at[2]] });
        world.alone(more());
    });
}

#[test]
fn one_request_that_took_twice_is_refused() {
    refused(Seen::ByBoth, |world| {
        world.alone(reserve(1));
        // The repeat is no operation of its own for its client.
        world.stock[0].step(&reserve(1), None);
        world.lsn += 1;
        world.revisions[0] = world.lsn;
        world.alone(Call::Read);
    });
}

#[test]
fn the_same_units_promised_to_two_are_refused() {
    refused(Seen::ByBoth, |world| {
        let (total, _) = world.available();
        world.alone(reserve(total));
        let granted = world.history.operations.last().cloned().unwrap();
        let Some(Answer::Granted { taken, .. }) = granted.answer().cloned() else { panic!("{granted:?}") };
        world.lsn += 1;
        let (lsn, hold) = (world.lsn, world.next_hold);
        world.next_hold += 1;
        world.lie(reserve(total), Some(lsn), Answer::Granted { hold, taken });
    });
}

#[test]
fn an_error_about_a_state_that_never_was_is_refused() {
    refused(Seen::ByBoth, |world| {
        let granted = world.alone(reserve(1));
        let hold = world.hold_of(granted);
        world.lie(Call::Release(hold), None, Answer::WrongState(State::Cancelled));
    });
}

#[test]
fn events_against_the_order_of_time_are_refused_by_the_witness() {
    refused(Seen::ByWitness, |world| {
        // Two changes of different SKUs, one after the other, with each other's LSN: each SKU alone is well.
        let first = world.alone(more());
        let second = world.call(1, more());
        world.decide(second);
        world.set_returned(second);
        let (early, late) = (world.history.operations[first].lsn(), world.history.operations[second].lsn());
        for (operation, swapped) in [(first, late), (second, early)] {
            if let End::Answered { lsn, .. } = &mut world.history.operations[operation].end {
                *lsn = swapped;
            }
        }
    });
}

#[test]
fn two_changes_of_one_event_are_refused_by_the_witness() {
    refused(Seen::ByWitness, |world| {
        let first = world.alone(more());
        let second = world.alone(more());
        let same = world.history.operations[first].lsn();
        if let End::Answered { lsn, .. } = &mut world.history.operations[second].end {
            *lsn = same;
        }
    });
}

//! The check that believes nothing: is there any order of the operations of a SKU that explains what every client heard?
//!
//! Wing and Gong's search (1993) with Lowe's memory of what failed already (2017). Objects are independent, so each SKU is searched
//! alone (Herlihy and Wing 1990). An operation of unknown end may stand anywhere after its call, or nowhere. An answer that changes
//! nothing is put in its place as soon as it fits: no later place is better for those that follow.
//!
//! It is meant for some 16 clients on several SKUs; the orders of 32 clients on one SKU are too many to look through.

use std::collections::HashSet;

use super::model::{Answer, HoldId, Stock, mix};
use super::{History, Operation, Violation};

/// What a search came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Searched {
    /// SKUs with an order that explains all.
    pub explained: u64,
    /// SKUs that were given up after too many steps.
    pub undecided: u64,
    /// Steps taken in all.
    pub steps: u64,
}

/// Searches each SKU with at most `steps_max` steps.
///
/// # Errors
/// The first SKU of which no order explains what was heard.
pub fn check(history: &History, steps_max: u64) -> Result<Searched, Violation> {
    let mut searched = Searched::default();
    for ((sku, own), stock) in (0..).zip(history.by_sku()).zip(&history.stock) {
        let mut operations: Vec<(usize, &Operation)> = own.iter().map(|at| (*at, &history.operations[*at])).collect();
        operations.sort_by_key(|(at, operation)| (operation.called, *at));
        let mut search = Search::new(Stock::new(stock), operations);
        let found = search.run(steps_max);
        searched.steps += search.steps;
        match found {
            Found::Order => searched.explained += 1,
            Found::TooMany => searched.undecided += 1,
            Found::None => {
                let operation = search.deepest.map(|(_, at)| at);
                let why = match operation {
                    Some(at) => format!("no order explains it; none gets past {:?}", history.operations[at]),
                    None => "no order explains it".to_owned(),
                };
                return Err(Violation { sku, operation, why });
            }
        }
    }
    Ok(searched)
}

enum Found {
    Order,
    None,
    TooMany,
}

struct Search<'a> {
    stock: Stock,
    /// Answered ones by their call, with their index in the history.
    answered: Vec<(usize, &'a Operation)>,
    unknown: Vec<&'a Operation>,
    placed: Vec<bool>,
    used: Vec<bool>,
    /// All before are placed.
    frontier: usize,
    left: usize,
    /// A number for the set of those placed and used.
    set: u64,
    failed: HashSet<(u64, u64)>,
    steps: u64,
    /// How many were placed at most, and what stood at the frontier then.
    deepest: Option<(usize, usize)>,
}

/// A choice that can be taken back.
#[derive(Clone, Copy)]
enum Choice {
    Answered(usize),
    Unknown(usize),
}

impl<'a> Search<'a> {
    fn new(stock: Stock, operations: Vec<(usize, &'a Operation)>) -> Search<'a> {
        let (answered, unknown): (Vec<_>, Vec<_>) =
            operations.into_iter().partition(|(_, operation)| operation.answer().is_some());
        Search {
            stock,
            placed: vec![false; answered.len()],
            used: vec![false; unknown.len()],
            left: answered.len(),
            answered,
            unknown: unknown.into_iter().map(|(_, operation)| operation).collect(),
            frontier: 0,
            set: 0,
            failed: HashSet::new(),
            steps: 0,
            deepest: None,
        }
    }

    /// Depth first, with the choices of each depth on a stack of its own: histories are long.
    fn run(&mut self, steps_max: u64) -> Found {
        let mut levels = vec![(self.choices(), None)];
        while let Some((choices, _)) = levels.last_mut() {
            if self.left == 0 {
                return Found::Order;
            }
            let Some(choice) = choices.pop() else {
                if let Some((_, Some((choice, undo)))) = levels.pop() {
                    self.stock.undo(undo);
                    self.mark(choice, false);
                }
                continue;
            };
            self.steps += 1;
            if self.steps > steps_max {
                return Found::TooMany;
            }
            let (operation, expected) = match choice {
                Choice::Answered(at) => (self.answered[at].1, self.answered[at].1.answer()),
                Choice::Unknown(at) => (self.unknown[at], None),
            };
            let (answer, undo) = self.stock.step(&operation.call, hold_of(expected));
            let fits = expected.map_or(answer.is_change(), |expected| *expected == answer);
            if !fits {
                self.stock.undo(undo);
                continue;
            }
            self.mark(choice, true);
            if !self.failed.insert((self.set, self.stock.digest())) {
                self.stock.undo(undo);
                self.mark(choice, false);
                continue;
            }
            if !answer.is_change() {
                // No other choice at this depth can do better.
                choices.clear();
            }
            let next = self.choices();
            levels.push((next, Some((choice, undo))));
        }
        Found::None
    }

    fn mark(&mut self, choice: Choice, done: bool) {
        let number = match choice {
            Choice::Answered(at) => {
                self.placed[at] = done;
                if done {
                    self.left -= 1;
                    while self.placed.get(self.frontier) == Some(&true) {
                        self.frontier += 1;
                    }
                    let placed = self.answered.len() - self.left;
                    if self.deepest.is_none_or(|(most, _)| placed > most) {
                        self.deepest = self.answered.get(self.frontier).map(|(index, _)| (placed, *index));
                    }
                } else {
                    self.left += 1;
                    self.frontier = self.frontier.min(at);
                }
                2 * at
            }
            Choice::Unknown(at) => {
                self.used[at] = done;
                2 * at + 1
            }
        };
        self.set ^= mix(0x5ea7, u64::try_from(number).unwrap_or(u64::MAX));
    }

    /// What may come next, the best last: called before anything that is not placed has returned.
    fn choices(&self) -> Vec<Choice> {
        let mut choices = Vec::new();
        let mut first_return = u64::MAX;
        for (at, (_, operation)) in self.answered.iter().enumerate().skip(self.frontier) {
            if self.placed[at] {
                continue;
            }
            if operation.called > first_return {
                break;
            }
            first_return = first_return.min(operation.returned());
            choices.push(at);
        }
        // Those without effect first, then whoever was answered first.
        choices.sort_by_key(|at| {
            let operation = self.answered[*at].1;
            std::cmp::Reverse((operation.answer().is_some_and(Answer::is_change), operation.returned()))
        });
        let unknown = (0..self.unknown.len()).filter(|at| !self.used[*at] && self.unknown[*at].called <= first_return);
        unknown.map(Choice::Unknown).chain(choices.into_iter().map(Choice::Answered)).collect()
    }
}

fn hold_of(answer: Option<&Answer>) -> Option<HoldId> {
    match answer {
        Some(Answer::Granted { hold, .. }) => Some(*hold),
        _ => None,
    }
}

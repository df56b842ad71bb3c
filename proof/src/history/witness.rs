//! The main check: every answer says where in the log it stands, and must be what a notebook says at that place.
//!
//! What the LSN of an answer means, and so where an answer may stand:
//!
//! - **A change** stands at its event's LSN and nowhere else; two changes never share one. A repeat carries the LSN of the first answer.
//! - **A read** is exact: it saw every event up to its LSN and none past it. It may stand at its LSN alone, after that event.
//! - **A refusal** carries the LSN of the newest event that it rests on: the last change of the SKU's stock, or of the directory of
//!   places and channels when that is newer. Nothing it rests on has changed since, so it was true from there until just before the next
//!   event of the SKU that anybody heard of, and may stand anywhere in between: `[lsn, next event of the SKU − 1]`.
//! - **An error** about state (a hold that is no longer held, a bucket with too few units) carries no position. It may stand wherever
//!   the notebook gives the same error.
//!
//! Time ties the places together: whatever returned before another operation was called stands before it, whatever their SKUs. A change
//! stands strictly after all that had returned before it was called; others may share the place. Each operation is put at the earliest
//! place that it may have, which leaves most room for those that follow, so that nothing is refused that has a place. This is stricter
//! than linearizability of each SKU: one order, that of the log, must explain the whole history.
//!
//! A change whose client never heard of it leaves a hole in the LSNs. Where there are holes, every way of filling them with operations
//! of unknown end that had been called by then is followed, until answers tell which it was.

use std::collections::HashSet;

use super::model::{Answer, HoldId, Stock};
use super::{End, History, Operation, Violation};

/// Ways of filling holes that are followed at once for one SKU.
const WORLDS_MAX: usize = 1 << 12;

/// What a check went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Witnessed {
    /// Changes, each at its event.
    pub changes: u64,
    /// Reads, each at its LSN.
    pub reads: u64,
    /// Refusals with a place.
    pub refusals: u64,
    /// Errors about state with a place.
    pub errors: u64,
    /// Operations of unknown end.
    pub unknown: u64,
    /// LSNs that no answer told of: changes of unknown operations.
    pub holes: u64,
    /// SKUs given up, because unknown operations may have happened in too many ways.
    pub undecided: u64,
}

/// LSNs between which an operation may stand, both included.
type Places = Vec<(u64, u64)>;

/// Checks a whole history.
///
/// # Errors
/// The first answer found that has no place.
pub fn check(history: &History) -> Result<Witnessed, Violation> {
    let mut witnessed = Witnessed::default();
    let holes = Holes::of(history)?;
    witnessed.holes = holes.count;
    let bounds = bounds(history);
    let mut places: Vec<Places> = vec![Places::new(); history.operations.len()];
    for (own, stock) in history.by_sku().iter().zip(&history.stock) {
        let mut replay = Replay::new(history, &holes, &bounds, own, stock);
        if replay.run(&mut places)? == Decided::No {
            witnessed.undecided += 1;
        }
    }
    order(history, &places)?;
    for operation in &history.operations {
        match operation.answer() {
            None => witnessed.unknown += 1,
            Some(answer) if answer.is_change() => witnessed.changes += 1,
            Some(answer) if answer.is_read() => witnessed.reads += 1,
            Some(Answer::Short { .. }) => witnessed.refusals += 1,
            Some(_) => witnessed.errors += 1,
        }
    }
    Ok(witnessed)
}

/// LSNs past the beginning that no change was answered with.
struct Holes {
    /// Of changes that were answered, ascending.
    known: Vec<u64>,
    since: u64,
    count: u64,
}

impl Holes {
    fn of(history: &History) -> Result<Holes, Violation> {
        let mut known: Vec<(u64, usize)> = Vec::new();
        let mut last = history.since;
        for (at, operation) in history.operations.iter().enumerate() {
            let Some(answer) = operation.answer() else { continue };
            last = last.max(operation.lsn().unwrap_or(0));
            match operation.lsn() {
                Some(lsn) if answer.is_change() => {
                    if lsn <= history.since {
                        return Err(violation(operation, at, "its event stands before the history"));
                    }
                    known.push((lsn, at));
                }
                None if answer.is_change() => return Err(violation(operation, at, "a change without an event")),
                None if answer.is_read() || matches!(answer, Answer::Short { .. }) => {
                    return Err(violation(operation, at, "an answer without a position"));
                }
                _ => {}
            }
        }
        known.sort_unstable();
        if let Some(pair) = known.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let at = pair[1].1;
            let why = format!("its event is that of operation {}, too", pair[0].1);
            return Err(violation(&history.operations[at], at, &why));
        }
        let known: Vec<u64> = known.into_iter().map(|(lsn, _)| lsn).collect();
        let count = (last - history.since).saturating_sub(u64::try_from(known.len()).unwrap_or(u64::MAX));
        Ok(Holes { known, since: history.since, count })
    }

    /// How many lie past `after` and up to `until`.
    fn between(&self, after: u64, until: u64) -> u64 {
        let (after, until) = (after.max(self.since), until.max(self.since));
        let from = self.known.partition_point(|lsn| *lsn <= after);
        let to = self.known.partition_point(|lsn| *lsn <= until);
        until.saturating_sub(after).saturating_sub(u64::try_from(to - from).unwrap_or(u64::MAX))
    }
}

/// For each operation the least and the greatest LSN that its time allows, by the positions that are certain.
fn bounds(history: &History) -> Vec<(u64, u64)> {
    let operations = &history.operations;
    let certain = |operation: &Operation| operation.lsn().unwrap_or(history.since);
    let mut bounds = vec![(history.since, u64::MAX); operations.len()];
    let mut by_call: Vec<usize> = (0..operations.len()).collect();
    by_call.sort_by_key(|at| operations[*at].called);
    let mut by_return = by_call.clone();
    by_return.retain(|at| operations[*at].answer().is_some());
    by_return.sort_by_key(|at| operations[*at].returned());
    let mut returned = by_return.iter().peekable();
    let mut floor = history.since;
    for at in &by_call {
        while let Some(before) = returned.next_if(|before| operations[**before].returned() < operations[*at].called) {
            floor = floor.max(certain(&operations[*before]));
        }
        bounds[*at].0 = floor;
    }
    // Backwards: the earliest event among those called after it had returned.
    let mut ceiling = u64::MAX;
    let mut later = by_call.iter().rev().peekable();
    for at in by_return.iter().rev() {
        while let Some(after) = later.next_if(|after| operations[**after].called > operations[*at].returned()) {
            let after = &operations[*after];
            if let (Some(answer), Some(lsn)) = (after.answer(), after.lsn()) {
                match answer {
                    answer if answer.is_change() => ceiling = ceiling.min(lsn.saturating_sub(1)),
                    answer if answer.is_read() => ceiling = ceiling.min(lsn),
                    _ => {}
                }
            }
        }
        bounds[*at].1 = ceiling;
    }
    bounds
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decided {
    Yes,
    No,
}

/// One way in which things may have gone.
#[derive(Clone)]
struct World {
    stock: Stock,
    /// Unknown operations that have not happened in it.
    pending: Vec<usize>,
}

/// The events of one SKU in the order of the log.
struct Replay<'a> {
    history: &'a History,
    holes: &'a Holes,
    bounds: &'a [(u64, u64)],
    /// Answers with a position, by it; at one position the change comes first.
    placed: Vec<usize>,
    /// Errors by the least LSN that they may have.
    errors: Vec<usize>,
    worlds: Vec<World>,
}

impl<'a> Replay<'a> {
    fn new(
        history: &'a History,
        holes: &'a Holes,
        bounds: &'a [(u64, u64)],
        own: &[usize],
        stock: &super::model::Cells,
    ) -> Replay<'a> {
        let operation = |at: &usize| &history.operations[*at];
        let mut placed: Vec<usize> = own.iter().copied().filter(|at| operation(at).lsn().is_some()).collect();
        placed
            .sort_by_key(|at| (operation(at).lsn(), operation(at).answer().is_some_and(|answer| !answer.is_change())));
        let is_error = |at: &usize| operation(at).answer().is_some() && operation(at).lsn().is_none();
        let mut errors: Vec<usize> = own.iter().copied().filter(is_error).collect();
        errors.sort_by_key(|at| bounds[*at].0);
        let mut pending: Vec<usize> = own.iter().copied().filter(|at| operation(at).end == End::Unknown).collect();
        pending.sort_by_key(|at| bounds[*at].0);
        let worlds = vec![World { stock: Stock::new(stock), pending }];
        Replay { history, holes, bounds, placed, errors, worlds }
    }

    fn run(&mut self, places: &mut [Places]) -> Result<Decided, Violation> {
        let placed = std::mem::take(&mut self.placed);
        let mut next_error = 0;
        let mut open_errors: Vec<usize> = Vec::new();
        let mut position = self.history.since;
        for (turn, at) in placed.iter().enumerate() {
            let operation = &self.history.operations[*at];
            let (Some(lsn), Some(answer)) = (operation.lsn(), operation.answer()) else { continue };
            let lsn = lsn.max(self.history.since);
            // An answer without effect may rest on an event of its own LSN that nobody heard of; a change is its event itself.
            let until = if answer.is_change() { lsn - 1 } else { lsn };
            if !self.fill_holes(position, until) {
                self.place_all(&placed[turn..], places);
                return Ok(Decided::No);
            }
            self.place_errors(&mut open_errors, &mut next_error, (position, until), places);
            self.step(operation, *at, answer)?;
            position = lsn;
            places[*at] = if matches!(answer, Answer::Short { .. }) {
                let later = placed[turn..].iter().map(|at| &self.history.operations[*at]);
                let mut changes = later.filter(|later| later.answer().is_some_and(Answer::is_change));
                vec![(lsn, changes.find_map(Operation::lsn).map_or(u64::MAX, |next| next - 1))]
            } else {
                vec![(lsn, lsn)]
            };
        }
        if !self.fill_holes(position, u64::MAX) {
            self.place_all(&[], places);
            return Ok(Decided::No);
        }
        self.place_errors(&mut open_errors, &mut next_error, (position, u64::MAX), places);
        match self.errors.iter().find(|at| places[**at].is_empty()) {
            Some(at) => Err(violation(&self.history.operations[*at], *at, "nowhere in its time is this the answer")),
            None => Ok(Decided::Yes),
        }
    }

    /// An SKU that is given up: what has no place yet may stand anywhere.
    fn place_all(&self, rest: &[usize], places: &mut [Places]) {
        for at in rest.iter().chain(&self.errors) {
            if places[*at].is_empty() {
                places[*at] = vec![(self.history.operations[*at].lsn().unwrap_or(0), u64::MAX)];
            }
        }
    }

    /// Follows every way in which unknown operations fill the holes past `after` and up to `until`; false when there are too many.
    fn fill_holes(&mut self, after: u64, until: u64) -> bool {
        let pending = self.worlds.iter().map(|world| world.pending.len()).max().unwrap_or(0);
        let pending = u64::try_from(pending).unwrap_or(u64::MAX);
        // Past the last answer anything may have happened.
        let holes = if until == u64::MAX { pending } else { pending.min(self.holes.between(after, until)) };
        let mut seen: HashSet<(u64, Vec<usize>)> = HashSet::new();
        let mut newest = self.worlds.len();
        let mut from = 0;
        for _ in 0..holes {
            for world in from..newest {
                for chosen in 0..self.worlds[world].pending.len() {
                    let operation = self.worlds[world].pending[chosen];
                    if self.bounds[operation].0 >= until {
                        break;
                    }
                    let mut next = self.worlds[world].clone();
                    next.pending.remove(chosen);
                    let (answer, _) = next.stock.step(&self.history.operations[operation].call, None);
                    if answer.is_change() && seen.insert((next.stock.digest(), next.pending.clone())) {
                        self.worlds.push(next);
                    }
                }
                if self.worlds.len() > WORLDS_MAX {
                    return false;
                }
            }
            if self.worlds.len() == newest {
                break;
            }
            (from, newest) = (newest, self.worlds.len());
        }
        true
    }

    /// Does what a known operation asks, in every world; those that answer otherwise are none.
    fn step(&mut self, operation: &Operation, at: usize, answer: &Answer) -> Result<(), Violation> {
        let id: Option<HoldId> = match answer {
            Answer::Granted { hold, .. } => Some(*hold),
            _ => None,
        };
        let mut instead = None;
        self.worlds.retain_mut(|world| {
            let (would, _) = world.stock.step(&operation.call, id);
            let fits = would == *answer;
            if !fits {
                instead = Some(would);
            }
            fits
        });
        match instead {
            Some(would) if self.worlds.is_empty() => {
                let why = format!("at its place the answer is {would:?}");
                Err(violation(operation, at, &why))
            }
            _ => Ok(()),
        }
    }

    fn explains(&mut self, at: usize) -> bool {
        let operation = &self.history.operations[at];
        self.worlds.iter_mut().any(|world| {
            let (would, undo) = world.stock.step(&operation.call, None);
            world.stock.undo(undo);
            operation.answer() == Some(&would)
        })
    }

    /// Gives errors whose time meets `span` a place there, if the stock between two events explains them.
    fn place_errors(&mut self, open: &mut Vec<usize>, next: &mut usize, span: (u64, u64), places: &mut [Places]) {
        while let Some(at) = self.errors.get(*next).filter(|at| self.bounds[**at].0 <= span.1) {
            open.push(*at);
            *next += 1;
        }
        open.retain(|at| self.bounds[*at].1 >= span.0);
        for at in open.iter().copied() {
            if self.explains(at) {
                places[at].push((span.0.max(self.bounds[at].0), span.1.min(self.bounds[at].1)));
            }
        }
    }
}

/// Puts every operation at the earliest place that it may have, in the order of calls and returns.
fn order(history: &History, places: &[Places]) -> Result<(), Violation> {
    let operations = &history.operations;
    let mut by_call: Vec<usize> = (0..operations.len()).filter(|at| operations[*at].answer().is_some()).collect();
    let mut by_return = by_call.clone();
    by_call.sort_by_key(|at| operations[*at].called);
    by_return.sort_by_key(|at| operations[*at].returned());
    let mut at_place = vec![history.since; operations.len()];
    let mut returned = by_return.iter().peekable();
    let mut floor = (history.since, None);
    for at in by_call {
        let operation = &operations[at];
        while let Some(before) = returned.next_if(|before| operations[**before].returned() < operation.called) {
            if at_place[*before] > floor.0 {
                floor = (at_place[*before], Some(*before));
            }
        }
        let change = operation.answer().is_some_and(Answer::is_change);
        let least = if change { floor.0 + 1 } else { floor.0 };
        let place = places[at].iter().find(|(_, to)| *to >= least).map(|(from, _)| (*from).max(least));
        // A change has one place only.
        let place = place.filter(|place| !change || Some(*place) == operation.lsn());
        let Some(place) = place else {
            let before = floor.1.map_or_else(String::new, |before: usize| {
                format!(" operation {before} ({:?}) had returned with {} before", operations[before].call, floor.0)
            });
            let lsn = operation.lsn().map_or_else(|| "no position".to_owned(), |lsn| format!("LSN {lsn}"));
            return Err(violation(operation, at, &format!("{lsn} is before its time:{before}")));
        };
        at_place[at] = place;
    }
    Ok(())
}

fn violation(operation: &Operation, at: usize, why: &str) -> Violation {
    let Operation { called, call, end, .. } = operation;
    Violation { sku: operation.sku, operation: Some(at), why: format!("{why}; {call:?} called at {called}: {end:?}") }
}

//! Good plans quickly: the locations the prices favour, fewer of them while that helps.
//!
//! Erlenkotter's (1978) primal step: locations without slack are the natural ones to open. What they miss is added in order
//! of slack; then whatever costs more than it saves is dropped, the best saving first (the DROP rule of Feldman, Lehrer & Ray,
//! Management Science 12, 1966). The result is the search's start, and its answer when the budget is spent.

use crate::bound::{Dual, State};
use crate::model::{Cell, Model};

/// The best set of open locations so far, and scratch to look for a better one.
#[derive(Clone, Default, Debug)]
pub(crate) struct Incumbent {
    /// Scaled cost; `None` until a plan is found.
    pub(crate) cost: Option<i64>,
    /// Who ships in it.
    pub(crate) set: Vec<bool>,
    trial: Vec<bool>,
    used: Vec<bool>,
    order: Vec<(i64, usize)>,
    supply: Vec<i64>,
    near: Vec<Cell>,
    near_start: Vec<usize>,
    last: Vec<bool>,
}

impl Incumbent {
    pub(crate) fn reset(&mut self, model: &Model) {
        self.cost = None;
        self.last.clear();
        for marks in [&mut self.set, &mut self.trial, &mut self.used] {
            marks.clear();
            marks.resize(model.locations(), false);
        }
    }

    /// Takes the plan that draws on `open` if it is better than what is known.
    pub(crate) fn offer(&mut self, model: &Model, open: &[bool]) -> bool {
        let Some(cost) = model.cost_of(open, &mut self.used) else { return false };
        if self.cost.is_some_and(|best| best <= cost) {
            return false;
        }
        self.cost = Some(cost);
        self.set.copy_from_slice(&self.used);
        true
    }

    /// Builds a plan from the prices and improves it; see the file's head.
    pub(crate) fn construct(&mut self, model: &Model, dual: &Dual, state: &[State]) -> bool {
        let mut trial = std::mem::take(&mut self.trial);
        self.order.clear();
        for (i, &state) in state.iter().enumerate() {
            trial[i] = state == State::Open;
            if state == State::Free {
                // As good as used up: rounding leaves a little slack.
                let slack = dual.slack[i] + dual.surcharge;
                trial[i] = slack <= (model.fixed[i] + dual.surcharge) >> 6;
                if !trial[i] {
                    self.order.push((slack, i));
                }
            }
        }
        if trial == self.last {
            self.trial = trial;
            return false;
        }
        self.last.clone_from(&trial);
        self.complete(model, &mut trial);
        self.drop_costly(model, &mut trial);
        let better = self.offer(model, &trial);
        self.trial = trial;
        better
    }

    /// Adds locations in order of slack until every line that must be served can be.
    fn complete(&mut self, model: &Model, trial: &mut [bool]) {
        self.supply.clear();
        let mut missing = 0;
        for j in 0..model.lines() {
            let open = model.cells_of(j).iter().filter(|cell| trial[usize::from(cell.location)]);
            let supply: i64 = open.map(|cell| i64::from(cell.avail)).sum();
            self.supply.push(if model.must[j] { supply } else { model.demand[j] });
            missing += usize::from(self.supply[j] < model.demand[j]);
        }
        if missing == 0 {
            return;
        }
        self.order.sort_unstable();
        for j in 0..model.lines() {
            let mut at = 0;
            while self.supply[j] < model.demand[j] && at < self.order.len() {
                let i = self.order[at].1;
                at += 1;
                if trial[i] || !model.cells_of(j).iter().any(|cell| usize::from(cell.location) == i) {
                    continue;
                }
                trial[i] = true;
                for k in j..model.lines() {
                    let found = model.cells_of(k).iter().find(|cell| usize::from(cell.location) == i);
                    self.supply[k] += found.map_or(0, |cell| i64::from(cell.avail));
                }
            }
        }
    }

    /// Closes locations while the plan gets cheaper or has too many parcels.
    fn drop_costly(&mut self, model: &Model, trial: &mut [bool]) {
        let Some((mut cost, mut open)) = model.cost_of_any(trial, &mut self.used) else { return };
        trial.copy_from_slice(&self.used);
        self.gather(model, trial);
        loop {
            let over = open > model.parcels_max;
            let mut best: Option<(i64, usize)> = None;
            for i in 0..trial.len() {
                if !trial[i] {
                    continue;
                }
                trial[i] = false;
                let limit = best.map_or(if over { i64::MAX } else { cost }, |(least, _)| least);
                if let Some(without) = self.gathered_cost(model, trial, limit)
                    && without < limit
                {
                    best = Some((without, i));
                }
                trial[i] = true;
            }
            let Some((without, i)) = best else { return };
            trial[i] = false;
            open -= 1;
            cost = without;
        }
    }

    /// Collects the cells of the locations in `trial`, so that trying subsets of it looks at no others.
    fn gather(&mut self, model: &Model, trial: &[bool]) {
        self.near.clear();
        self.near_start.clear();
        self.near_start.push(0);
        for j in 0..model.lines() {
            self.near.extend(model.cells_of(j).iter().filter(|cell| trial[usize::from(cell.location)]));
            self.near_start.push(self.near.len());
        }
    }

    /// As [`Model::cost_of_any`] on the gathered cells, every open location paid for; `None` also once past `limit`.
    fn gathered_cost(&self, model: &Model, open: &[bool], limit: i64) -> Option<i64> {
        let mut total: i64 = model.fixed.iter().zip(open).filter(|(_, open)| **open).map(|(fixed, _)| fixed).sum();
        for j in 0..model.lines() {
            let mut left = model.demand[j];
            for cell in &self.near[self.near_start[j]..self.near_start[j + 1]] {
                if !open[usize::from(cell.location)] {
                    continue;
                }
                let units = left.min(i64::from(cell.avail));
                total += units * cell.cost;
                left -= units;
                if left == 0 {
                    break;
                }
            }
            if left > 0 && model.must[j] {
                return None;
            }
            total += left * model.ceiling[j];
            if total >= limit {
                return None;
            }
        }
        Some(total)
    }
}

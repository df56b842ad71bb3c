//! Branch and bound over the set of open locations.
//!
//! Efroymson & Ray, "A branch-bound algorithm for plant location", Operations Research 14, 1966: a node fixes some
//! locations open and some closed; a bound that reaches the best plan known prunes it, and what a location's slack adds to
//! the bound fixes it without branching (reduced cost fixing). Depth first, the open branch first, each child starting from
//! its parent's prices. Work is counted in nodes, so the same problem and budget give the same answer anywhere.

use crate::bound::{Bound, Dual, State};
use crate::cover::Cover;
use crate::greedy::Incumbent;
use crate::model::Model;

/// The search of one model at a time; its buffers are reused.
#[derive(Clone, Default, Debug)]
pub(crate) struct Search {
    dual: Dual,
    cover: Cover,
    pub(crate) incumbent: Incumbent,
    state: Vec<State>,
    open: usize,
    /// Locations fixed since the root, newest last.
    trail: Vec<usize>,
    /// Units of each line at locations not closed.
    supply: Vec<i64>,
    /// Prices of the nodes on the path.
    saved: Vec<i64>,
    marks: Vec<bool>,
    by_location: Vec<(u16, u32)>,
    location_start: Vec<usize>,
    cursor: Vec<usize>,
    nodes: u64,
    nodes_max: u64,
    /// The least bound among nodes given up for want of budget; scaled.
    floor: i64,
    /// Scaled: no plan costs less, from elsewhere.
    at_least: i64,
}

/// How a search ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ending {
    /// Unscaled least cost found; `None`: no plan found (and with `complete`, none exists).
    pub(crate) cost: Option<i64>,
    /// Unscaled: no plan costs less.
    pub(crate) bound: i64,
    /// Whether every node was settled.
    pub(crate) complete: bool,
}

enum Verdict {
    Pruned,
    Undecided(Bound),
}

/// Subgradient steps at the root; few are needed when ascent has closed the gap, all of them on long orders.
const ROOT_STEPS: u32 = 60;
/// Subgradient steps at a node.
const NODE_STEPS: u32 = 6;

impl Search {
    /// Readies the search for `model`; a plan may then be offered with [`Search::suggest`] before [`Search::run`].
    pub(crate) fn begin(&mut self, model: &Model) {
        self.dual.reset(model);
        self.incumbent.reset(model);
        self.state.clear();
        self.state.resize(model.locations(), State::Free);
        self.marks.clear();
        self.marks.resize(model.locations(), false);
        self.open = 0;
        self.trail.clear();
        self.saved.clear();
        self.floor = i64::MAX;
        self.at_least = 0;
        self.supply.clear();
        for j in 0..model.lines() {
            self.supply.push(model.cells_of(j).iter().map(|cell| i64::from(cell.avail)).sum());
        }
        self.index_by_location(model);
        self.cover.begin(model);
    }

    /// Offers a set of locations known to be good.
    pub(crate) fn suggest(&mut self, model: &Model, open: &[bool]) {
        self.incumbent.offer(model, open);
    }

    /// Says that no plan costs less than `cost`, unscaled.
    pub(crate) fn know_at_least(&mut self, model: &Model, cost: i64) {
        self.at_least = cost * model.scale;
    }

    /// Finds the least cost within what is left of the budget, and how sure that is. Adds the nodes it used to `nodes`.
    pub(crate) fn run(&mut self, model: &mut Model, nodes: &mut u64, nodes_max: u64) -> Ending {
        (self.nodes, self.nodes_max) = (*nodes, nodes_max);
        self.root(model);
        *nodes = self.nodes;
        let cost = self.incumbent.cost.map(|cost| cost / model.scale);
        let complete = self.floor == i64::MAX;
        // A bound between two minor units rounds up: costs are whole.
        let floor = if complete { i64::MAX } else { (-(-self.floor).div_euclid(model.scale)).max(0) };
        let bound = cost.unwrap_or(i64::MAX).min(floor.max(self.at_least / model.scale));
        Ending { cost, bound, complete: complete || cost.is_some_and(|cost| cost <= floor) }
    }

    fn root(&mut self, model: &mut Model) {
        self.nodes += 1;
        if (0..model.lines()).any(|j| model.must[j] && self.supply[j] < model.demand[j]) {
            return;
        }
        self.dual.ascend_from_nothing(model, &self.state);
        self.incumbent.construct(model, &self.dual, &self.state);
        if model.parcels_max < model.locations() {
            self.choose_surcharge(model);
        }
        match self.settle(model, steps_for(model, ROOT_STEPS)) {
            Verdict::Pruned => {}
            Verdict::Undecided(bound) => {
                self.forget_closed(model);
                self.branch(model, bound);
            }
        }
    }

    /// With few parcels allowed, ascent does better on dearer locations: doubles the surcharge while the bound rises.
    fn choose_surcharge(&mut self, model: &Model) {
        let room = model.parcels_max;
        let mut best = self.dual.bound(model, &self.state, room).value;
        self.dual.keep();
        let mut kept = 0;
        let mean = model.fixed.iter().map(|f| f / i64::try_from(model.fixed.len()).unwrap_or(1)).sum::<i64>();
        self.dual.surcharge = (mean / 4).max(model.scale);
        for _ in 0..10 {
            self.dual.ascend_from_nothing(model, &self.state);
            self.incumbent.construct(model, &self.dual, &self.state);
            let value = self.dual.bound(model, &self.state, room).value;
            if value <= best {
                break;
            }
            (best, kept) = (value, self.dual.surcharge);
            self.dual.keep();
            self.dual.surcharge = self.dual.surcharge.saturating_mul(2);
        }
        self.dual.surcharge = kept;
        self.dual.restore_kept(model);
    }

    /// Raises the bound of the present node and fixes what it can.
    fn settle(&mut self, model: &Model, steps: u32) -> Verdict {
        let mut steps_left = steps;
        let (mut num, mut idle) = (16, 0);
        let mut best = i64::MIN;
        let mut counting = self.cover.active;
        self.dual.forget_direction();
        loop {
            let room = model.parcels_max.saturating_sub(self.open);
            if self.open > model.parcels_max || !self.feasible(model) {
                return Verdict::Pruned;
            }
            if room == 0 {
                self.close_all_free(model);
            }
            let bound = self.dual.bound(model, &self.state, room);
            if self.prunable(model, bound.value) {
                return Verdict::Pruned;
            }
            if counting {
                counting = false;
                match self.fix_by_cover() {
                    None => return Verdict::Pruned,
                    Some(false) => {}
                    Some(true) => {
                        counting = true;
                        self.dual.ascend(model, &self.state, 1);
                        continue;
                    }
                }
            }
            if self.fix_by_slack(model, bound) {
                self.dual.ascend(model, &self.state, 1);
                continue;
            }
            if !self.state.contains(&State::Free) {
                self.offer_open(model);
                return Verdict::Pruned;
            }
            if bound.value > best {
                best = bound.value;
                self.dual.keep();
                idle = 0;
            } else {
                idle += 1;
                if idle == 4 {
                    (num, idle) = ((num / 2).max(1), 0);
                }
            }
            let target = self.incumbent.cost.unwrap_or_else(|| best.saturating_add(best / 8));
            if steps_left == 0 || !self.dual.step(model, &self.state, bound, target.max(bound.value), (num, 16)) {
                self.dual.restore_kept(model);
                self.dual.ascend(model, &self.state, 1);
                let room = model.parcels_max.saturating_sub(self.open);
                let bound = self.dual.bound(model, &self.state, room);
                if self.prunable(model, bound.value) {
                    return Verdict::Pruned;
                }
                return Verdict::Undecided(bound);
            }
            steps_left -= 1;
        }
    }

    fn prunable(&self, model: &Model, bound: i64) -> bool {
        // Costs are whole minor units: a bound within one of the best known cost leaves nothing better.
        self.incumbent.cost.is_some_and(|best| bound.max(self.at_least) > best - model.scale)
    }

    fn feasible(&self, model: &Model) -> bool {
        (0..model.lines()).all(|j| !model.must[j] || self.supply[j] >= model.demand[j])
    }

    /// Closes and opens what the bound cannot afford otherwise; see [`Bound`]. `true` when anything changed.
    fn fix_by_slack(&mut self, model: &Model, bound: Bound) -> bool {
        let before = self.trail.len();
        let Some(best) = self.incumbent.cost else { return false };
        let limit = best - model.scale;
        for i in 0..self.state.len() {
            if self.state[i] != State::Free {
                continue;
            }
            let slack = self.dual.slack[i];
            if slack > bound.chosen_at {
                if bound.value + slack - bound.pushed_out > limit {
                    self.fix(i, State::Closed);
                }
            } else if bound.value - slack + bound.left_out > limit {
                self.fix(i, State::Open);
            }
        }
        self.trail.len() > before
    }

    /// Takes what the root has closed out of the models, so that no node looks at it again.
    fn forget_closed(&mut self, model: &mut Model) {
        model.retain(|i| self.state[i] != State::Closed);
        self.dual.refresh(model);
        if self.cover.active {
            self.cover.retain(&self.state);
        }
    }

    /// Closes and opens what the parcel limit asks for; `None` when it cannot be kept, `true` when anything changed.
    fn fix_by_cover(&mut self) -> Option<bool> {
        let bound = self.cover.tighten(&self.state)?;
        let before = self.trail.len();
        for i in 0..self.state.len() {
            if self.state[i] == State::Free {
                match self.cover.verdict(i, bound) {
                    State::Free => {}
                    to => self.fix(i, to),
                }
            }
        }
        Some(self.trail.len() > before)
    }

    fn close_all_free(&mut self, model: &Model) {
        for i in 0..model.locations() {
            if self.state[i] == State::Free {
                self.fix(i, State::Closed);
            }
        }
    }

    fn branch(&mut self, model: &Model, bound: Bound) {
        let Some(pick) = self.pick(model) else { return };
        let depth = self.trail.len();
        let saved = self.saved.len();
        self.saved.extend_from_slice(&self.dual.price);
        self.cover.save();
        for to in [State::Open, State::Closed] {
            self.fix(pick, to);
            self.visit(model, bound);
            while self.trail.len() > depth {
                self.unfix();
            }
            self.dual.price.copy_from_slice(&self.saved[saved..]);
            self.dual.refresh(model);
            self.cover.load();
        }
        self.saved.truncate(saved);
        self.cover.forget();
    }

    fn visit(&mut self, model: &Model, parent: Bound) {
        if self.prunable(model, parent.value) {
            return;
        }
        if self.nodes >= self.nodes_max {
            self.floor = self.floor.min(parent.value);
            return;
        }
        self.nodes += 1;
        self.dual.ascend(model, &self.state, 1);
        if let Verdict::Undecided(bound) = self.settle(model, steps_for(model, NODE_STEPS)) {
            self.incumbent.construct(model, &self.dual, &self.state);
            self.branch(model, Bound { value: bound.value.max(parent.value), ..bound });
        }
    }

    /// The free location whose being open or closed says most: the one with slack nearest to none, the dearest among equals.
    fn pick(&self, model: &Model) -> Option<usize> {
        let free = (0..self.state.len()).filter(|&i| self.state[i] == State::Free);
        free.min_by_key(|&i| ((self.dual.slack[i] + self.dual.surcharge).abs(), -model.fixed[i], i))
    }

    fn offer_open(&mut self, model: &Model) {
        for (mark, &state) in self.marks.iter_mut().zip(&self.state) {
            *mark = state == State::Open;
        }
        self.incumbent.offer(model, &self.marks);
    }

    fn fix(&mut self, i: usize, to: State) {
        self.state[i] = to;
        self.trail.push(i);
        if to == State::Open {
            self.open += 1;
        } else {
            for &(line, avail) in &self.by_location[self.location_start[i]..self.location_start[i + 1]] {
                self.supply[usize::from(line)] -= i64::from(avail);
            }
        }
    }

    fn unfix(&mut self) {
        let Some(i) = self.trail.pop() else { return };
        if self.state[i] == State::Open {
            self.open -= 1;
        } else {
            for &(line, avail) in &self.by_location[self.location_start[i]..self.location_start[i + 1]] {
                self.supply[usize::from(line)] += i64::from(avail);
            }
        }
        self.state[i] = State::Free;
    }

    fn index_by_location(&mut self, model: &Model) {
        self.location_start.clear();
        self.location_start.resize(model.locations() + 1, 0);
        for cell in &model.cells {
            self.location_start[usize::from(cell.location) + 1] += 1;
        }
        for i in 0..model.locations() {
            self.location_start[i + 1] += self.location_start[i];
        }
        self.by_location.clear();
        self.by_location.resize(model.cells.len(), (0, 0));
        let mut at = std::mem::take(&mut self.cursor);
        at.clear();
        at.extend_from_slice(&self.location_start);
        for j in 0..model.lines() {
            let line = u16::try_from(j).unwrap_or(u16::MAX);
            for cell in model.cells_of(j) {
                let slot = &mut at[usize::from(cell.location)];
                self.by_location[*slot] = (line, cell.avail);
                *slot += 1;
            }
        }
        self.cursor = at;
    }
}

/// Orders of few lines are enumerated faster than their prices settle: all the steps from twenty lines on, fewer below.
fn steps_for(model: &Model, most: u32) -> u32 {
    let lines = u32::try_from(model.lines()).unwrap_or(u32::MAX);
    (most * lines.min(20) / 20).max(1)
}

//! Branch and bound for orders whose parcels have tariffs in steps or limits: over open locations, then over the lines.
//!
//! The bound is the Lagrangian of `bound.rs` with each location's part solved under its tariff and limits (`parcel.rs`). Once
//! every location is open or closed, one line after the other is dealt out in every way the bound leaves, so that at the
//! leaves the true carriage of whole parcels is paid. Open means that the location ships: a node pays its fixed cost.

use crate::bound::State;
use crate::model::{Cell, Model};
use crate::parcel::{Item, Load, Rules};
use crate::problem::Problem;
use crate::search::Ending;

/// So many of line `line` (of the model) from `location`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Share {
    pub(crate) location: usize,
    pub(crate) line: usize,
    pub(crate) count: i64,
}

/// The search of one model at a time.
#[derive(Clone, Default, Debug)]
pub(crate) struct General {
    rules: Vec<Rules>,
    weight: Vec<i64>,
    at: Vec<Vec<(usize, i64, i64)>>,
    /// Lines in the order in which they are dealt out: the weightiest first.
    order: Vec<usize>,
    price: Vec<i64>,
    direction: Vec<i64>,
    slack: Vec<i64>,
    served: Vec<i64>,
    state: Vec<State>,
    trail: Vec<usize>,
    load: Vec<Load>,
    /// Lines dealt out, by line.
    dealt: Vec<bool>,
    shares: Vec<Share>,
    /// Cost of what is dealt out: units shipped and units short, without parcels.
    dealt_cost: i64,
    best: Option<i64>,
    pub(crate) best_shares: Vec<Share>,
    nodes: u64,
    nodes_max: u64,
    /// What a node counts: more on larger orders, whose nodes take longer.
    weight_of_node: u64,
    floor: i64,
    items: Vec<Item>,
    taken: Vec<(usize, i64)>,
    takes: Vec<Vec<(usize, i64)>>,
}

const ROOT_STEPS: u32 = 80;
const NODE_STEPS: u32 = 10;
/// So many cells more make a node count one more.
const CELLS_PER_NODE: u64 = 64;

impl General {
    /// Readies the search for `model`, whose locations are those of the problem at `at`, carriage counted or not.
    pub(crate) fn begin(&mut self, model: &Model, problem: &Problem, at: &[u16], free_carriage: bool) {
        let (lines, places) = (model.lines(), model.locations());
        self.rules = at.iter().map(|&i| Rules::new(problem, usize::from(i), model.scale, free_carriage)).collect();
        self.weight_of_node = 1 + u64::try_from(model.cells.len()).unwrap_or(u64::MAX) / CELLS_PER_NODE;
        let grams = |&(j, bundle): &(usize, i64)| {
            i64::try_from(problem.lines[j].unit_weight.0).unwrap_or(i64::MAX).saturating_mul(bundle)
        };
        self.weight = model.source.iter().map(grams).collect();
        self.at = vec![Vec::new(); places];
        for j in 0..lines {
            for cell in model.cells_of(j) {
                let avail = self.most(model, Load::default(), usize::from(cell.location), j, i64::from(cell.avail));
                if avail > 0 {
                    self.at[usize::from(cell.location)].push((j, avail, cell.cost));
                }
            }
        }
        self.order = (0..lines).collect();
        self.order.sort_by_key(|&j| (-self.weight[j].saturating_mul(model.demand[j]), j));
        self.price = (0..lines).map(|j| model.cells_of(j).first().map_or(model.ceiling[j], |cell| cell.cost)).collect();
        self.price.iter_mut().zip(&model.ceiling).for_each(|(price, &most)| *price = most.min(*price));
        self.direction = vec![0; lines];
        self.slack = vec![0; places];
        self.served = vec![0; lines];
        self.state = vec![State::Free; places];
        self.trail.clear();
        self.load = vec![Load::default(); places];
        self.dealt = vec![false; lines];
        self.takes = vec![Vec::new(); places];
        self.shares.clear();
        (self.dealt_cost, self.best, self.floor) = (0, None, i64::MAX);
    }

    /// Offers a plan known from a phase before.
    pub(crate) fn suggest(&mut self, model: &Model, shares: &[Share]) {
        let Some(cost) = self.cost_of(model, shares) else { return };
        if self.best.is_none_or(|best| cost < best) {
            self.best = Some(cost);
            self.best_shares = shares.to_vec();
        }
    }

    /// Finds the least cost within what is left of the budget. Adds the nodes it used to `nodes`.
    pub(crate) fn run(&mut self, model: &Model, nodes: &mut u64, nodes_max: u64) -> Ending {
        (self.nodes, self.nodes_max) = (*nodes + 1, nodes_max);
        self.suggest(model, &[]);
        if let Some(bound) = self.settle(model, ROOT_STEPS) {
            self.branch(model, bound);
        }
        *nodes = self.nodes;
        let cost = self.best.map(|best| best / model.scale);
        let complete = self.floor == i64::MAX;
        let floor = if complete { i64::MAX } else { (-(-self.floor).div_euclid(model.scale)).max(0) };
        Ending { cost, bound: cost.unwrap_or(i64::MAX).min(floor), complete }
    }

    /// The cost of a plan in this phase; `None` when it breaks a limit.
    pub(crate) fn cost_of(&self, model: &Model, shares: &[Share]) -> Option<i64> {
        let mut load = vec![Load::default(); model.locations()];
        let mut left = model.demand.clone();
        let mut cost = 0;
        for share in shares {
            let cell = model.cells_of(share.line).iter().find(|cell| usize::from(cell.location) == share.location)?;
            cost += cell.cost * share.count;
            left[share.line] -= share.count;
            self.add(model, &mut load[share.location], share.line, share.count);
        }
        if left.iter().zip(&model.must).any(|(&left, &must)| must && left > 0) {
            return None;
        }
        cost += left.iter().zip(&model.ceiling).map(|(left, price)| left * price).sum::<i64>();
        let mut parcels = 0;
        for (i, load) in load.iter().enumerate() {
            if load.units > 0 {
                parcels += 1;
                cost += model.fixed[i] + self.rules[i].carriage(load.weight);
            }
            if !self.rules[i].fits(*load) {
                return None;
            }
        }
        (parcels <= model.parcels_max).then_some(cost)
    }

    fn add(&self, model: &Model, load: &mut Load, line: usize, count: i64) {
        load.units += model.source[line].1 * count;
        load.weight += self.weight[line] * count;
    }

    /// How many of line `j` still fit on top of `load` at location `i`, at most `wanted`.
    fn most(&self, model: &Model, load: Load, i: usize, j: usize, wanted: i64) -> i64 {
        let rules = &self.rules[i];
        let by_units = rules.units_max.saturating_sub(load.units) / model.source[j].1;
        let weight = rules.weight_max.saturating_sub(load.weight);
        let by_weight = if self.weight[j] == 0 { wanted } else { weight / self.weight[j] };
        wanted.min(by_units).min(by_weight)
    }

    fn room(&self, model: &Model) -> usize {
        let open = self.state.iter().filter(|&&state| state == State::Open).count();
        model.parcels_max.saturating_sub(open)
    }

    /// The bound of the present prices; leaves slacks and what the relaxed plan serves.
    fn bound(&mut self, model: &Model) -> Relaxed {
        let mut value = self.dealt_cost;
        for j in 0..model.lines() {
            self.served[j] = 0;
            if !self.dealt[j] {
                value += self.price[j] * model.demand[j];
            }
        }
        for i in 0..model.locations() {
            if self.state[i] == State::Closed {
                continue;
            }
            self.items.clear();
            for &(line, avail, cost) in &self.at[i] {
                let gain = self.price[line] - cost;
                if gain > 0 && !self.dealt[line] {
                    let avail = self.most(model, self.load[i], i, line, avail);
                    if avail > 0 {
                        let (weight, units) = (self.weight[line], model.source[line].1);
                        self.items.push(Item { line, avail, gain, weight, units });
                    }
                }
            }
            let earned = self.rules[i].earnings(&mut self.items, self.load[i], &mut self.taken);
            let loaded = self.load[i].units > 0;
            // An empty parcel may stay empty; a loaded one pays its carriage whatever it earns.
            if earned <= 0 && !loaded {
                self.taken.clear();
            }
            self.slack[i] = model.fixed[i] - if loaded { earned } else { earned.max(0) };
            if self.state[i] == State::Open {
                value += self.slack[i];
                self.taken.iter().for_each(|&(line, count)| self.served[line] += count);
            }
            std::mem::swap(&mut self.takes[i], &mut self.taken);
        }
        let room = self.room(model);
        let mut negative: Vec<(i64, usize)> = (0..model.locations())
            .filter(|&i| self.state[i] == State::Free && self.slack[i] < 0)
            .map(|i| (self.slack[i], i))
            .collect();
        negative.sort_unstable();
        let pushed_out = if negative.len() >= room && room > 0 { negative[room - 1].0 } else { 0 };
        let left_out = negative.get(room).map_or(0, |&(slack, _)| slack);
        negative.truncate(room);
        for &(slack, i) in &negative {
            value += slack;
            self.takes[i].iter().for_each(|&(line, count)| self.served[line] += count);
        }
        Relaxed { value, pushed_out, left_out, chosen: negative.into_iter().map(|(_, i)| i).collect() }
    }

    fn prunable(&self, model: &Model, bound: i64) -> bool {
        self.best.is_some_and(|best| bound > best - model.scale)
    }

    /// Raises the bound of a node of the location stage; `None`: pruned.
    fn settle(&mut self, model: &Model, steps: u32) -> Option<i64> {
        let mut left = steps;
        let (mut num, mut idle) = (16, 0);
        let mut best = i64::MIN;
        let mut kept = self.price.clone();
        self.direction.fill(0);
        loop {
            let open = self.state.iter().filter(|&&state| state == State::Open).count();
            if open > model.parcels_max {
                return None;
            }
            if open == model.parcels_max {
                for i in 0..model.locations() {
                    if self.state[i] == State::Free {
                        self.fix(i, State::Closed);
                    }
                }
            }
            let relaxed = self.bound(model);
            if self.prunable(model, relaxed.value) {
                return None;
            }
            if relaxed.value > best {
                best = relaxed.value;
                kept.copy_from_slice(&self.price);
                idle = 0;
                self.construct(model, &relaxed);
            } else {
                idle += 1;
                if idle == 3 {
                    (num, idle) = ((num / 2).max(1), 0);
                }
            }
            if self.fix_by_slack(model, &relaxed) {
                continue;
            }
            if left == 0 || !self.step(model, relaxed.value, num) {
                self.price.copy_from_slice(&kept);
                self.bound(model);
                return Some(best);
            }
            left -= 1;
        }
    }

    fn fix_by_slack(&mut self, model: &Model, relaxed: &Relaxed) -> bool {
        let Some(best) = self.best else { return false };
        let limit = best - model.scale;
        let before = self.trail.len();
        for i in 0..model.locations() {
            if self.state[i] != State::Free {
                continue;
            }
            if relaxed.chosen.contains(&i) {
                if relaxed.value - self.slack[i] + relaxed.left_out > limit {
                    self.fix(i, State::Open);
                }
            } else if relaxed.value + self.slack[i] - relaxed.pushed_out > limit {
                self.fix(i, State::Closed);
            }
        }
        self.trail.len() > before
    }

    /// A subgradient step, as in `bound.rs`, deflected by the last direction.
    fn step(&mut self, model: &Model, value: i64, num: i64) -> bool {
        const ONE: i64 = 1 << 10;
        let target = self.best.unwrap_or(value + value / 8).max(value);
        let mut norm: i64 = 0;
        for j in 0..model.lines() {
            let mut imbalance = model.demand[j] - self.served[j];
            if self.dealt[j] || (imbalance > 0 && self.price[j] >= model.ceiling[j]) {
                imbalance = 0;
            }
            self.direction[j] = imbalance * ONE / model.demand[j] + self.direction[j] * 7 / 8;
            norm += (self.direction[j] * self.direction[j]).min(1 << 40);
        }
        if norm == 0 {
            return false;
        }
        let length = i128::from(target - value) * i128::from(num * ONE * ONE) / (16 * i128::from(norm));
        for j in 0..model.lines() {
            let change = length * i128::from(self.direction[j]) / i128::from(ONE * model.demand[j]);
            let change = i64::try_from(change).unwrap_or(0);
            let floor = model.cells_of(j).first().map_or(0, |cell| cell.cost).min(model.ceiling[j]);
            self.price[j] = self.price[j].saturating_add(change).clamp(floor, model.ceiling[j]);
        }
        true
    }

    /// Deals the lines out to the relaxed plan's locations, then to all of them but one.
    fn construct(&mut self, model: &Model, relaxed: &Relaxed) {
        let mut set: Vec<bool> = self.state.iter().map(|&state| state == State::Open).collect();
        relaxed.chosen.iter().for_each(|&i| set[i] = true);
        self.deal_cheaply(model, &set);
        for i in 0..set.len() {
            if set[i] {
                set[i] = false;
                self.deal_cheaply(model, &set);
                set[i] = true;
            }
        }
    }

    fn deal_cheaply(&mut self, model: &Model, set: &[bool]) {
        let mut load = vec![Load::default(); set.len()];
        let mut shares = Vec::new();
        for &j in &self.order {
            let mut left = model.demand[j];
            for cell in model.cells_of(j) {
                let i = usize::from(cell.location);
                if set[i] {
                    let count = self.most(model, load[i], i, j, left.min(i64::from(cell.avail)));
                    if count > 0 {
                        self.add(model, &mut load[i], j, count);
                        shares.push(Share { location: i, line: j, count });
                        left -= count;
                    }
                }
            }
        }
        self.suggest(model, &shares);
    }

    fn branch(&mut self, model: &Model, bound: i64) {
        let free = (0..model.locations()).filter(|&i| self.state[i] == State::Free);
        let Some(pick) = free.min_by_key(|&i| (self.slack[i].abs(), -model.fixed[i], i)) else {
            self.deal(model, 0, bound);
            return;
        };
        let depth = self.trail.len();
        let saved = self.price.clone();
        for to in [State::Open, State::Closed] {
            self.fix(pick, to);
            if self.nodes >= self.nodes_max && !self.prunable(model, bound) {
                self.floor = self.floor.min(bound);
            } else if !self.prunable(model, bound) {
                self.nodes += self.weight_of_node;
                if let Some(value) = self.settle(model, NODE_STEPS) {
                    self.branch(model, value.max(bound));
                }
            }
            while self.trail.len() > depth {
                self.unfix();
            }
            self.price.copy_from_slice(&saved);
        }
    }

    fn fix(&mut self, i: usize, to: State) {
        self.state[i] = to;
        self.trail.push(i);
    }

    fn unfix(&mut self) {
        if let Some(i) = self.trail.pop() {
            self.state[i] = State::Free;
        }
    }

    /// The line stage: `at` lines have been dealt out.
    fn deal(&mut self, model: &Model, at: usize, parent: i64) {
        let Some(&line) = self.order.get(at) else {
            let shares = self.shares.clone();
            self.suggest(model, &shares);
            return;
        };
        if self.prunable(model, parent) {
            return;
        }
        if self.nodes >= self.nodes_max {
            self.floor = self.floor.min(parent);
            return;
        }
        self.nodes += self.weight_of_node;
        let bound = self.bound(model).value.max(parent);
        if self.prunable(model, bound) {
            return;
        }
        self.dealt[line] = true;
        let cells: Vec<Cell> = model
            .cells_of(line)
            .iter()
            .filter(|cell| self.state[usize::from(cell.location)] == State::Open)
            .copied()
            .collect();
        self.deal_line(model, at, &cells, model.demand[line], bound);
        self.dealt[line] = false;
    }

    /// Every way to take `left` of the line from `cells`, the cheap first and as much of them as there is.
    fn deal_line(&mut self, model: &Model, at: usize, cells: &[Cell], left: i64, bound: i64) {
        let line = self.order[at];
        let Some((cell, rest)) = cells.split_first() else {
            if left == 0 || !model.must[line] {
                self.dealt_cost += left * model.ceiling[line];
                self.deal(model, at + 1, bound);
                self.dealt_cost -= left * model.ceiling[line];
            }
            return;
        };
        let i = usize::from(cell.location);
        let most = self.most(model, self.load[i], i, line, left.min(i64::from(cell.avail)));
        for count in (0..=most).rev() {
            if self.prunable(model, bound) {
                return;
            }
            if self.nodes >= self.nodes_max {
                self.floor = self.floor.min(bound);
                return;
            }
            // Every count is a node: a line may have more units than there is time.
            self.nodes += 1;
            let before = self.load[i];
            let mut load = before;
            self.add(model, &mut load, line, count);
            self.load[i] = load;
            self.dealt_cost += cell.cost * count;
            if count > 0 {
                self.shares.push(Share { location: i, line, count });
            }
            self.deal_line(model, at, rest, left - count, bound);
            if count > 0 {
                self.shares.pop();
            }
            self.dealt_cost -= cell.cost * count;
            self.load[i] = before;
        }
    }
}

/// A bound, and the free locations that its relaxed plan opens.
struct Relaxed {
    value: i64,
    pushed_out: i64,
    left_out: i64,
    chosen: Vec<usize>,
}

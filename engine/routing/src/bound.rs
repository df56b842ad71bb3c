//! Lower bounds from prices: what the cheapest plan must cost at least.
//!
//! Give each line a price `v_j` per unit and let each location earn what the prices leave over its unit costs. Then
//!
//! L(v) = sum_j demand_j v_j + sum_i min(0, s_i),   s_i = fixed_i - sum_j avail_ij max(0, v_j - cost_ij)
//!
//! is a lower bound for any `0 <= v <= penalty` (Lagrangian relaxation of the demand; at its best equal to the linear
//! relaxation with `x_ij <= avail_ij y_i`). A location known to be open contributes `s_i` whatever its sign, a closed one
//! nothing; at most `parcels_max` free ones contribute. Integers throughout, so each L(v) is exact for its v.
//!
//! Prices are found by dual ascent, one line at a time (Bilde & Krarup 1977; Erlenkotter, "A dual-based procedure for
//! uncapacitated facility location", Operations Research 26, 1978), here with the exact maximum along one price when stock
//! is partial: a location is used up once its slack is gone, and the price rises until the used-up ones supply the demand.
//! Subgradient steps (Held, Wolfe & Crowder, Mathematical Programming 6, 1974) then trade prices between lines.

use crate::model::Model;

/// What the search has decided about a location.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Free,
    Open,
    Closed,
}

/// Prices, the slacks that follow from them, and scratch.
#[derive(Clone, Default, Debug)]
pub(crate) struct Dual {
    pub(crate) price: Vec<i64>,
    pub(crate) slack: Vec<i64>,
    /// The surcharge per parcel that ascent assumes when parcels are limited; never part of a bound.
    pub(crate) surcharge: i64,
    levels: Vec<(i64, i64)>,
    negative: Vec<i64>,
    step: Vec<i64>,
    kept_price: Vec<i64>,
}

/// A bound and what it says about single locations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bound {
    pub(crate) value: i64,
    /// Slack at or below which a free location is in the relaxed plan.
    pub(crate) chosen_at: i64,
    /// Slack that a newcomer would push out (zero when there is room).
    pub(crate) pushed_out: i64,
    /// Slack of the best free location left out for want of room, else zero.
    pub(crate) left_out: i64,
}

/// Resolution of the relative imbalance of a line in a subgradient step.
const IMBALANCE_ONE: i64 = 1 << 10;

impl Dual {
    pub(crate) fn reset(&mut self, model: &Model) {
        self.forget_direction();
        self.price.clear();
        self.price.resize(model.lines(), 0);
        self.surcharge = 0;
        self.slack.clear();
        self.slack.extend_from_slice(&model.fixed);
    }

    /// Lets the next step start afresh.
    pub(crate) fn forget_direction(&mut self) {
        self.step.clear();
    }

    /// Recomputes all slacks from the prices.
    pub(crate) fn refresh(&mut self, model: &Model) {
        self.slack.copy_from_slice(&model.fixed);
        for (j, &price) in self.price.iter().enumerate() {
            for cell in model.cells_of(j) {
                if cell.cost >= price {
                    break;
                }
                self.slack[usize::from(cell.location)] -= i64::from(cell.avail) * (price - cell.cost);
            }
        }
    }

    /// Moves each price once towards its best value given the others: by `1 / part` of the way, all of it for 1.
    pub(crate) fn ascend(&mut self, model: &Model, state: &[State], part: i64) {
        for j in 0..model.lines() {
            let best = self.best_price(model, state, j);
            let price = self.price[j];
            let to = if part == 1 { best } else { price + (best - price) / part };
            self.move_price(model, j, to);
        }
    }

    /// Prices from scratch: thrice round the lines, at first only part of the way so that none takes all the slack.
    pub(crate) fn ascend_from_nothing(&mut self, model: &Model, state: &[State]) {
        for part in [3, 2, 1] {
            self.ascend(model, state, part);
        }
    }

    /// The price that maximises the bound with all others fixed: the lowest at which used-up locations supply the demand.
    fn best_price(&mut self, model: &Model, state: &[State], j: usize) -> i64 {
        let demand = model.demand[j];
        let price = self.price[j];
        let mut best = model.ceiling[j];
        self.levels.clear();
        for cell in model.cells_of(j) {
            if cell.cost >= best {
                break;
            }
            let i = usize::from(cell.location);
            let avail = i64::from(cell.avail);
            let level = match state[i] {
                State::Closed => continue,
                State::Open => cell.cost,
                State::Free => {
                    let slack = self.slack[i] + self.surcharge + avail * (price - cell.cost).max(0);
                    if slack >= avail * (best - cell.cost) {
                        continue;
                    }
                    if slack <= 0 { cell.cost } else { cell.cost + slack / avail }
                }
            };
            if level >= best {
                continue;
            }
            if avail >= demand && self.levels.is_empty() {
                best = level;
                continue;
            }
            let at = self.levels.partition_point(|&(other, _)| other <= level);
            self.levels.insert(at, (level, avail));
            let mut supply = 0;
            for n in 0..self.levels.len() {
                supply += self.levels[n].1;
                if supply >= demand {
                    best = self.levels[n].0;
                    self.levels.truncate(n + 1);
                    break;
                }
            }
        }
        best
    }

    fn move_price(&mut self, model: &Model, j: usize, to: i64) {
        let from = self.price[j];
        if from == to {
            return;
        }
        self.price[j] = to;
        let high = from.max(to);
        for cell in model.cells_of(j) {
            if cell.cost >= high {
                break;
            }
            let change = (from - cell.cost).max(0) - (to - cell.cost).max(0);
            self.slack[usize::from(cell.location)] += i64::from(cell.avail) * change;
        }
    }

    /// The bound of the present prices. `room`: parcels still allowed besides the open ones.
    pub(crate) fn bound(&mut self, model: &Model, state: &[State], room: usize) -> Bound {
        let mut value: i64 = self.price.iter().zip(&model.demand).map(|(&price, &demand)| price * demand).sum();
        self.negative.clear();
        for (&slack, &state) in self.slack.iter().zip(state) {
            match state {
                State::Open => value += slack,
                State::Free if slack < 0 => self.negative.push(slack),
                State::Free | State::Closed => {}
            }
        }
        if self.negative.len() <= room {
            value += self.negative.iter().sum::<i64>();
            let pushed_out = if self.negative.len() == room && room > 0 {
                self.negative.iter().copied().max().unwrap_or(0)
            } else {
                0
            };
            return Bound { value, chosen_at: -1, pushed_out, left_out: 0 };
        }
        if room == 0 {
            let left_out = self.negative.iter().copied().min().unwrap_or(0);
            return Bound { value, chosen_at: i64::MIN, pushed_out: 0, left_out };
        }
        self.negative.sort_unstable();
        value += self.negative[..room].iter().sum::<i64>();
        let pushed_out = self.negative[room - 1];
        Bound { value, chosen_at: pushed_out, pushed_out, left_out: self.negative[room] }
    }

    /// One subgradient step from the present prices: up where the relaxed plan serves too little, down where too much.
    ///
    /// Step length after Held, Wolfe & Crowder: `(target - bound) * num / den` over the squared imbalances, these being
    /// taken relative to the demand so that long and short lines move alike. `false`: the relaxed plan is balanced.
    pub(crate) fn step(
        &mut self,
        model: &Model,
        state: &[State],
        bound: Bound,
        target: i64,
        (num, den): (i64, i64),
    ) -> bool {
        self.step.resize(model.lines(), 0);
        let mut norm: i64 = 0;
        for j in 0..model.lines() {
            let price = self.price[j];
            let mut imbalance = model.demand[j];
            for cell in model.cells_of(j) {
                if cell.cost >= price {
                    break;
                }
                let i = usize::from(cell.location);
                let chosen = match state[i] {
                    State::Open => true,
                    State::Free => self.slack[i] <= bound.chosen_at,
                    State::Closed => false,
                };
                if chosen {
                    imbalance -= i64::from(cell.avail);
                }
            }
            if imbalance > 0 && price >= model.ceiling[j] {
                imbalance = 0;
            }
            let relative = imbalance * IMBALANCE_ONE / model.demand[j];
            self.step[j] = relative + self.step[j] * 7 / 8;
            norm += (self.step[j] * self.step[j]).min(1 << 40);
        }
        if norm == 0 {
            return false;
        }
        let length = i128::from(target - bound.value) * i128::from(num) * i128::from(IMBALANCE_ONE * IMBALANCE_ONE)
            / (i128::from(den) * i128::from(norm));
        let length = i64::try_from(length).unwrap_or(i64::MAX >> 20);
        for j in 0..model.lines() {
            if self.step[j] != 0 {
                let change = i128::from(length) * i128::from(self.step[j])
                    / (i128::from(IMBALANCE_ONE) * i128::from(model.demand[j]));
                let change = i64::try_from(change).unwrap_or(0);
                let floor = model.cells_of(j).first().map_or(0, |cell| cell.cost);
                self.price[j] = (self.price[j] + change).clamp(floor.min(model.ceiling[j]), model.ceiling[j]);
            }
        }
        self.refresh(model);
        true
    }

    pub(crate) fn keep(&mut self) {
        self.kept_price.clear();
        self.kept_price.extend_from_slice(&self.price);
    }

    pub(crate) fn restore_kept(&mut self, model: &Model) {
        self.price.copy_from_slice(&self.kept_price);
        self.refresh(model);
    }
}

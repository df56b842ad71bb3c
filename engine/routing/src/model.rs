//! The one shape every reading of a problem is brought to: pay once to open a location, then so much per unit.
//!
//! minimise  sum_i fixed_i y_i + sum_ij cost_ij x_ij + sum_j penalty_j u_j
//! subject to  sum_i x_ij + u_j = demand_j,  0 <= x_ij <= avail_ij y_i,  sum_i y_i <= parcels_max,  y binary, x integer.
//!
//! With `avail = demand` everywhere this is uncapacitated facility location; with zero unit costs it is set covering; in
//! general a unit cost per line with location stock in between. A line that must come whole is a line of one unit.
//! All money in here is scaled: a minor unit is `scale`, a power of two, so that dual prices per unit have room for
//! fractions without floating point.

/// One line served by one location. Sixteen bytes: four to a cache line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cell {
    /// Scaled cost of a unit, never below zero.
    pub(crate) cost: i64,
    /// Units, at least one and at most the demand.
    pub(crate) avail: u32,
    pub(crate) location: u16,
}

/// The most any sum in a model may reach; leaves room to add two and to tell `CLOSED`.
const MAGNITUDE_BITS: u32 = 59;
/// Fractions of a minor unit are no finer than this many bits.
const SCALE_BITS_MAX: u32 = 20;

/// A fixed-charge model; see the file's head. Reused from order to order, so filling it seldom allocates.
#[derive(Clone, Default, Debug)]
pub(crate) struct Model {
    pub(crate) scale: i64,
    /// Scaled cost of opening each location.
    pub(crate) fixed: Vec<i64>,
    pub(crate) demand: Vec<i64>,
    /// Highest useful price of a unit: the penalty of an unserved one, or a price no location can exceed.
    pub(crate) ceiling: Vec<i64>,
    /// Whether the line must be served in full.
    pub(crate) must: Vec<bool>,
    /// By line, then ascending cost, then location.
    pub(crate) cells: Vec<Cell>,
    pub(crate) line_start: Vec<usize>,
    pub(crate) parcels_max: usize,
    /// Which line of the problem each is, and how many of its units travel as one.
    pub(crate) source: Vec<(usize, i64)>,
    /// Unscaled: the most that may come on top of what the model holds (carriage).
    pub(crate) carriage_max: i64,
}

impl Model {
    pub(crate) fn lines(&self) -> usize {
        self.demand.len()
    }

    pub(crate) fn locations(&self) -> usize {
        self.fixed.len()
    }

    pub(crate) fn cells_of(&self, line: usize) -> &[Cell] {
        &self.cells[self.line_start[line]..self.line_start[line + 1]]
    }

    pub(crate) fn clear(&mut self) {
        self.fixed.clear();
        self.demand.clear();
        self.ceiling.clear();
        self.must.clear();
        self.cells.clear();
        self.line_start.clear();
        self.line_start.push(0);
        self.source.clear();
        self.carriage_max = 0;
        self.parcels_max = usize::MAX;
        self.scale = 1;
    }

    /// Closes the line whose cells were pushed last. `penalty`: unscaled, per unit; `None`: must be served.
    pub(crate) fn end_line(&mut self, source: (usize, i64), demand: i64, penalty: Option<i64>) {
        let start = self.line_start[self.line_start.len() - 1];
        self.cells[start..].sort_unstable_by_key(|cell| (cell.cost, cell.location));
        self.line_start.push(self.cells.len());
        self.demand.push(demand);
        self.source.push(source);
        self.must.push(penalty.is_none());
        self.ceiling.push(penalty.unwrap_or(0));
    }

    /// Sets ceilings and scales all costs up as far as sums stay exact. `false`: too large even unscaled.
    pub(crate) fn finish(&mut self) -> bool {
        let fixed_max = self.fixed.iter().copied().max().unwrap_or(0);
        let mut total: i128 = i128::from(self.carriage_max) + self.fixed.iter().map(|&f| i128::from(f)).sum::<i128>();
        for j in 0..self.lines() {
            if self.must[j] {
                let dearest = self.cells_of(j).last().map_or(0, |cell| cell.cost);
                // A location serving one unit alone, at the dearest cost, twice over for the rounding of duals.
                self.ceiling[j] = (dearest.saturating_add(fixed_max)).saturating_mul(2).saturating_add(1);
            }
            total += i128::from(self.ceiling[j]) * i128::from(self.demand[j]);
        }
        let bits = i128::BITS - total.leading_zeros();
        if bits > MAGNITUDE_BITS {
            return false;
        }
        let shift = (MAGNITUDE_BITS - bits).min(SCALE_BITS_MAX);
        self.scale = 1 << shift;
        self.fixed.iter_mut().for_each(|f| *f <<= shift);
        self.ceiling.iter_mut().for_each(|c| *c <<= shift);
        self.cells.iter_mut().for_each(|cell| cell.cost <<= shift);
        true
    }

    /// Forgets the cells of locations that `keep` says no to; their numbers stay taken.
    pub(crate) fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        let (mut to, mut from) = (0, 0);
        for j in 0..self.lines() {
            while from < self.line_start[j + 1] {
                if keep(usize::from(self.cells[from].location)) {
                    self.cells[to] = self.cells[from];
                    to += 1;
                }
                from += 1;
            }
            self.line_start[j + 1] = to;
        }
        self.cells.truncate(to);
    }

    /// Least cost with exactly the locations marked in `open` to draw on, each paid for if it ships anything, marked in `used`.
    ///
    /// `None` when a line that must be served cannot be, or when more than `parcels_max` would ship.
    pub(crate) fn cost_of(&self, open: &[bool], used: &mut [bool]) -> Option<i64> {
        let (cost, parcels) = self.cost_of_any(open, used)?;
        (parcels <= self.parcels_max).then_some(cost)
    }

    /// As [`Model::cost_of`], with the number of parcels and whatever that is.
    ///
    /// Exact for the lines: without steps or capacities they do not meet, and each is cheapest from its cheapest cells.
    pub(crate) fn cost_of_any(&self, open: &[bool], used: &mut [bool]) -> Option<(i64, usize)> {
        let mut total = 0;
        let mut parcels = 0;
        used.fill(false);
        for j in 0..self.lines() {
            let mut left = self.demand[j];
            for cell in self.cells_of(j) {
                let i = usize::from(cell.location);
                if !open[i] {
                    continue;
                }
                let units = left.min(i64::from(cell.avail));
                total += units * cell.cost;
                left -= units;
                if !used[i] {
                    used[i] = true;
                    parcels += 1;
                    total += self.fixed[i];
                }
                if left == 0 {
                    break;
                }
            }
            if left > 0 && self.must[j] {
                return None;
            }
            total += left * self.ceiling[j];
        }
        Some((total, parcels))
    }
}

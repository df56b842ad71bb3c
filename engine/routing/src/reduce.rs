//! Candidates that cannot matter, found before a model is built: two passes over the offers, nothing sorted.
//!
//! The best plan with one parcel is an upper bound U. One round of dual ascent gives a lower bound L in which location i
//! keeps a slack s_i >= 0, and any plan that opens i costs at least L + s_i (reduced cost fixing, as at the search's root).
//! Where L + s_i reaches U, the location is left out. With stock everywhere this leaves a handful of a thousand.

use crate::problem::{Offer, Problem};

/// Scratch, and the locations that are left.
#[derive(Clone, Default, Debug)]
pub(crate) struct Reduction {
    /// Ascending positions of the locations that take part.
    pub(crate) places: Vec<u16>,
    /// Position of each location among `places`; `u16::MAX` for none.
    pub(crate) position: Vec<u16>,
    total: Vec<i64>,
    lines_filled: Vec<usize>,
    slack: Vec<i64>,
}

/// Fractions of a minor unit in this file's prices.
const SCALE_BITS: u32 = 10;
/// Above this, products of the two passes might not fit, and nothing is left out.
const MAGNITUDE_MAX: i64 = 1 << 46;

impl Reduction {
    /// Everything takes part.
    pub(crate) fn keep_all(&mut self, problem: &Problem) {
        self.keep(problem, |_| true);
    }

    fn keep(&mut self, problem: &Problem, keep: impl Fn(usize) -> bool) {
        self.places.clear();
        self.position.clear();
        for i in 0..problem.locations.len() {
            if keep(i) {
                self.position.push(u16::try_from(self.places.len()).unwrap_or(u16::MAX));
                self.places.push(u16::try_from(i).unwrap_or(u16::MAX));
            } else {
                self.position.push(u16::MAX);
            }
        }
    }

    /// The cheapest location that alone serves all that can be served, and its cost; the lower id among equals.
    pub(crate) fn single(&mut self, problem: &Problem) -> Option<(i64, usize)> {
        self.add_up(problem, false)?;
        let lines = (0..problem.lines.len()).filter(|&j| problem.servable(j) > 0).count();
        let complete = (0..self.total.len()).filter(|&i| self.lines_filled[i] == lines);
        complete.map(|i| (self.total[i], i)).min()
    }

    /// Chooses the locations that may be in a plan cheaper than the best single parcel, and that parcel's.
    pub(crate) fn reduce(&mut self, problem: &Problem, penalties: bool) {
        let best = if penalties {
            self.add_up(problem, true).and_then(|()| self.total.iter().enumerate().map(|(i, &cost)| (cost, i)).min())
        } else {
            self.single(problem)
        };
        let Some((cost, best)) = best else {
            self.keep_all(problem);
            return;
        };
        let bound = self.raise(problem, penalties);
        let limit = cost << SCALE_BITS;
        let slack = std::mem::take(&mut self.slack);
        self.keep(problem, |i| i == best || bound + slack[i] < limit);
        self.slack = slack;
    }

    /// What each location would cost alone, and how many lines it would fill; `None` when the numbers are too large.
    fn add_up(&mut self, problem: &Problem, penalties: bool) -> Option<()> {
        self.total.clear();
        self.total.extend(problem.locations.iter().map(|location| location.parcel_cost.0));
        self.lines_filled.clear();
        self.lines_filled.resize(problem.locations.len(), 0);
        let mut dearest: i64 = self.total.iter().copied().max().unwrap_or(0);
        let mut unserved: i64 = 0;
        for (j, line) in problem.lines.iter().enumerate() {
            let wanted = if penalties { i64::from(line.demand.0) } else { problem.servable(j) };
            unserved = unserved.checked_add(line.unserved_penalty.0.checked_mul(wanted)?)?;
            for (offer, units, cost) in useful(problem, j, penalties) {
                let i = usize::from(offer.location);
                dearest = dearest.saturating_add(cost.saturating_abs().saturating_mul(wanted));
                // Saturating: sums this large are refused below.
                let saved = if penalties { cost - line.unserved_penalty.0 } else { cost };
                self.total[i] = self.total[i].saturating_add(saved.saturating_mul(units));
                self.lines_filled[i] += usize::from(units == wanted);
            }
        }
        if penalties {
            self.total.iter_mut().for_each(|total| *total = total.saturating_add(unserved));
        }
        (dearest.saturating_add(unserved) < MAGNITUDE_MAX).then_some(())
    }

    /// One round of dual ascent; each line may take its share of what slack the lines before have left.
    fn raise(&mut self, problem: &Problem, penalties: bool) -> i64 {
        self.slack.clear();
        self.slack.extend(problem.locations.iter().map(|location| location.parcel_cost.0 << SCALE_BITS));
        let mut bound = 0;
        let mut sharers = i64::try_from(problem.lines.len()).unwrap_or(i64::MAX);
        for (j, line) in problem.lines.iter().enumerate() {
            let wanted = if penalties { i64::from(line.demand.0) } else { problem.servable(j) };
            if wanted == 0 {
                sharers -= 1;
                continue;
            }
            let mut price = if penalties { line.unserved_penalty.0 << SCALE_BITS } else { i64::MAX >> SCALE_BITS };
            for (offer, units, cost) in useful(problem, j, penalties) {
                let (slack, cost) = (self.slack[usize::from(offer.location)], cost << SCALE_BITS);
                // Dividing is dear: only where the quotient would lower the price.
                if price > cost && (price - cost).saturating_mul(units).saturating_mul(sharers) > slack {
                    price = cost + slack / (units * sharers);
                }
            }
            bound += price * wanted;
            for (offer, units, cost) in useful(problem, j, penalties) {
                self.slack[usize::from(offer.location)] -= units * (price - (cost << SCALE_BITS)).max(0);
            }
            sharers -= 1;
        }
        bound
    }
}

/// The offers of a line that a plan may use: units and unit cost of each.
fn useful(problem: &Problem, j: usize, penalties: bool) -> impl Iterator<Item = (Offer, i64, i64)> {
    let line = problem.lines[j];
    let least = if problem.is_whole(j) { line.demand.0 } else { 1 };
    let dearest = if penalties { line.unserved_penalty.0 } else { i64::MAX };
    let offers = problem.offers_of(j).iter().filter(move |offer| offer.available >= least);
    offers.map(|offer| (*offer, i64::from(offer.available), problem.unit_cost(offer))).filter(move |o| o.2 <= dearest)
}

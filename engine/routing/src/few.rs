//! Plans of few parcels, all of them: most orders need one or two, and trying every pair is quicker than any bound.
//!
//! Sets are built line by line: the line with fewest suppliers first, one branch for each of its suppliers, of which later
//! branches do without the earlier; sixteen lines are checked at a time. Where every line has what it needs, any location
//! may still be added. Both go in order of slack (`reduce.rs`), so that what cannot pay is cut off early.
//!
//! Work is counted in locations looked at. Where it runs out, the search takes over with the best plan found here.

use crate::problem::Problem;
use crate::reduce::{Reduction, SCALE_BITS, is_useful, useful};
use crate::units::Grams;

/// A line's units at one location.
#[derive(Clone, Copy, Default, Debug)]
struct Stock {
    units: i64,
    /// The least that one costs, carriage included where the bound counts it by weight.
    cost: i64,
    /// What one costs without carriage.
    bare: i64,
}

/// A line of the order as this file sees it; a line that must come whole is one unit.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    line: usize,
    units: i64,
    bundle: i64,
    /// Of one unserved; `None`: all has to be served.
    penalty: Option<i64>,
    suppliers: usize,
    /// The least that this line costs; once in order, the least that all lines after it cost together.
    ahead: i64,
    /// Of one, in the bound; scaled.
    price: i64,
}

const LANES: usize = 16;
type Lanes = [u16; LANES];

/// Sets are never larger than this here.
pub(crate) const PARCELS_MAX: usize = 12;

/// The locations that take part as a dense table, and scratch.
#[derive(Clone, Default, Debug)]
pub(crate) struct Few {
    /// The order's lines, those with fewest suppliers first.
    wanted: Vec<Wanted>,
    /// Positions in the problem by ascending slack; every other table follows this order.
    places: Vec<u16>,
    rank: Vec<u16>,
    opening: Vec<i64>,
    slack: Vec<i64>,
    /// By place, then line.
    stock: Vec<Stock>,
    /// Scaled: of a plan without parcels, and what each parcel adds at least.
    bound: i64,
    parcel: i64,
    /// Cost of the best plan known.
    pub(crate) cost: Option<i64>,
    best: Vec<u16>,
    chosen: Vec<usize>,
    work: u64,
    work_max: u64,
    /// Whether parcels have tariffs or limits: then a set's lines are dealt out one by one.
    tariffs: bool,
    dealing: Dealing,
    rows: Vec<Lanes>,
    need: Vec<Lanes>,
    /// What so many locations can supply of each line at most.
    most: Vec<Lanes>,
    suppliers: Vec<u16>,
    supplier_start: Vec<usize>,
    excluded: Vec<bool>,
    /// Locations excluded, newest last.
    trail: Vec<usize>,
}

/// One location of the set whose lines are dealt out, and what its parcel holds so far.
#[derive(Clone, Copy, Debug)]
struct Member {
    place: usize,
    parcel: i64,
    carriage: i64,
    grams: i64,
    units: i64,
    grams_max: i64,
    units_max: i64,
}

/// Scratch for [`Few::deal_out`], and what the best plan so far sends.
#[derive(Clone, Default, Debug)]
struct Dealing {
    members: Vec<Member>,
    /// By line: its members, the cheapest first.
    turns: Vec<usize>,
    /// By line: the least that it and those after it cost, by the bound and without carriage.
    rest: Vec<(i64, i64)>,
    /// Place, line, units.
    sent: Vec<(usize, usize, i64)>,
    best: Vec<(usize, usize, i64)>,
}

/// What a pass over the sets of one size came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pass {
    /// Every set was tried or ruled out.
    Complete,
    /// The work allowed ran out.
    CutShort,
}

impl Few {
    /// Writes down the locations left by `reduction`, with `work_max` looks allowed from here on.
    pub(crate) fn begin(&mut self, problem: &Problem, reduction: &Reduction, penalties: bool, work_max: u64) {
        (self.bound, self.parcel) = (reduction.bound, reduction.parcel);
        (self.work, self.work_max) = (0, work_max);
        self.cost = None;
        self.tariffs = !reduction.slope.is_empty();
        self.places.clone_from(&reduction.places);
        self.places.sort_unstable_by_key(|&i| (reduction.slack[usize::from(i)], i));
        self.rank.clear();
        self.rank.resize(problem.locations.len(), u16::MAX);
        for (rank, &i) in (0..).zip(&self.places) {
            self.rank[usize::from(i)] = rank;
        }
        self.opening.clear();
        self.opening.extend(self.places.iter().map(|&i| reduction.opening[usize::from(i)]));
        self.slack.clear();
        self.slack.extend(self.places.iter().map(|&i| reduction.slack[usize::from(i)]));
        self.wanted.clear();
        for j in 0..problem.lines.len() {
            let line = problem.lines[j];
            let units = if penalties { i64::from(line.demand.0) } else { problem.servable(j) };
            let bundle = if problem.is_whole(j) { i64::from(line.demand.0) } else { 1 };
            let penalty = penalties.then_some(line.unserved_penalty.0 * bundle);
            if units > 0 {
                let (mut suppliers, mut least) = (0, penalty.map_or(i64::MAX, |_| line.unserved_penalty.0));
                for (_, _, cost) in useful(problem, &reduction.slope, j, penalties) {
                    suppliers += 1;
                    least = least.min(cost);
                }
                let ahead = least.saturating_mul(units);
                let price = reduction.price[j] * bundle;
                self.wanted.push(Wanted { line: j, units: units / bundle, bundle, penalty, suppliers, ahead, price });
            }
        }
        self.wanted.sort_unstable_by_key(|wanted| (wanted.suppliers, wanted.line));
        let mut after = 0;
        for wanted in self.wanted.iter_mut().rev() {
            after += std::mem::replace(&mut wanted.ahead, after);
        }
        let lines = self.wanted.len();
        self.stock.clear();
        self.stock.resize(self.places.len() * lines, Stock::default());
        for (n, wanted) in self.wanted.iter().enumerate() {
            for (offer, units, cost) in useful(problem, &reduction.slope, wanted.line, penalties) {
                let rank = self.rank[usize::from(offer.location)];
                if rank != u16::MAX {
                    let (cost, bare) = (cost * wanted.bundle, problem.unit_cost(&offer) * wanted.bundle);
                    let stock = Stock { units: units / wanted.bundle, cost, bare };
                    self.stock[usize::from(rank) * lines + n] = stock;
                }
            }
        }
        self.begin_rows();
    }

    /// Looks used so far.
    pub(crate) fn work(&self) -> u64 {
        self.work
    }

    /// Whether no plan of `parcels` parcels or more can cost less than the best known.
    pub(crate) fn settled(&self, parcels: usize) -> bool {
        let parcels = i64::try_from(parcels).unwrap_or(i64::MAX >> SCALE_BITS);
        self.cost.is_some_and(|cost| self.bound + parcels.saturating_mul(self.parcel) > (cost - 1) << SCALE_BITS)
    }

    /// The problem's locations of the best plan.
    pub(crate) fn best(&self) -> impl Iterator<Item = usize> {
        self.best.iter().map(|&rank| usize::from(self.places[usize::from(rank)]))
    }

    /// Takes a plan known from elsewhere: the location that it needs.
    pub(crate) fn know(&mut self, cost: i64, place: Option<usize>) {
        self.cost = Some(cost);
        self.best.clear();
        self.best.extend(place.map(|i| self.rank[i]));
        self.dealing.best.clear();
        if let Some(&rank) = self.best.first() {
            for (n, stock) in
                self.stock[usize::from(rank) * self.wanted.len()..][..self.wanted.len()].iter().enumerate()
            {
                if stock.units > 0 {
                    self.dealing.best.push((usize::from(rank), n, stock.units));
                }
            }
        }
    }

    /// Forgets the plan of the order before.
    pub(crate) fn forget(&mut self) {
        self.dealing.best.clear();
        self.cost = None;
    }

    /// The best plan is to send all that is useful from `place`, or nothing.
    pub(crate) fn only(&mut self, problem: &Problem, penalties: bool, place: Option<usize>) {
        self.places.clear();
        self.wanted.clear();
        self.dealing.best.clear();
        let Some(place) = place else { return };
        self.places.push(u16::try_from(place).unwrap_or(u16::MAX));
        for line in 0..problem.lines.len() {
            let offers = problem.offers_of(line);
            let Ok(at) = offers.binary_search_by_key(&place, |offer| usize::from(offer.location)) else { continue };
            if is_useful(problem, line, penalties, &offers[at]) {
                let units = i64::from(offers[at].available);
                self.dealing.best.push((0, self.wanted.len(), units));
                let wanted = Wanted { line, units, bundle: 1, penalty: None, suppliers: 1, ahead: 0, price: 0 };
                self.wanted.push(wanted);
            }
        }
    }

    /// What the best plan sends, where tariffs decide: location and line of the problem, and units.
    pub(crate) fn sent(&self) -> impl Iterator<Item = (u16, usize, i64)> {
        self.dealing.best.iter().map(|&(rank, n, count)| {
            let wanted = self.wanted[n];
            (self.places[rank], wanted.line, count * wanted.bundle)
        })
    }

    /// Adds locations to the best plan one at a time, the best saving first, while there is one.
    pub(crate) fn grow(&mut self, problem: &Problem, parcels_max: usize) {
        while let Some(cost) = self.cost
            && self.best.len() < parcels_max.min(PARCELS_MAX)
            && self.work < self.work_max
        {
            self.chosen.clear();
            self.chosen.extend(self.best.iter().map(|&rank| usize::from(rank)));
            for rank in 0..self.places.len() {
                if !self.chosen.contains(&rank) {
                    self.chosen.push(rank);
                    self.weigh(problem);
                    self.chosen.pop();
                }
            }
            if self.cost == Some(cost) {
                return;
            }
        }
    }

    fn extend(&mut self, problem: &Problem, parcels: usize, from: usize, bound: i64) {
        let missing = parcels - self.chosen.len();
        for rank in from..self.places.len() {
            if self.excluded[rank] {
                continue;
            }
            // Slacks ascend: what is still missing adds at least this one each.
            let least = bound + self.slack[rank] * i64::try_from(missing).unwrap_or(0);
            if self.cost.is_some_and(|cost| least > (cost - 1) << SCALE_BITS) || self.work >= self.work_max {
                return;
            }
            self.work += 1;
            self.chosen.push(rank);
            if missing == 1 {
                self.weigh(problem);
            } else {
                self.extend(problem, parcels, rank + 1, bound + self.slack[rank]);
            }
            self.chosen.pop();
        }
    }

    /// Takes the chosen set if it makes the best plan so far.
    fn weigh(&mut self, problem: &Problem) {
        self.work += u64::try_from(self.wanted.len() * self.chosen.len() / 2).unwrap_or(0);
        let Some(cost) = self.cost_of_chosen(self.cost.unwrap_or(i64::MAX)) else { return };
        if self.tariffs {
            self.deal_out(problem);
            return;
        }
        self.cost = Some(cost);
        self.note_best();
    }

    fn note_best(&mut self) {
        self.best.clear();
        self.best.extend(self.chosen.iter().map(|&rank| u16::try_from(rank).unwrap_or(u16::MAX)));
    }

    /// What the chosen set costs, each line taken from the cheapest of it first; `None` from `limit` on.
    fn cost_of_chosen(&self, limit: i64) -> Option<i64> {
        let lines = self.wanted.len();
        let mut total: i64 = self.chosen.iter().map(|&rank| self.opening[rank]).sum();
        for (n, wanted) in self.wanted.iter().enumerate() {
            let mut near = [Stock::default(); PARCELS_MAX];
            let mut count = 0;
            for &rank in &self.chosen {
                let stock = self.stock[rank * lines + n];
                if stock.units == 0 {
                    continue;
                }
                let mut at = count;
                while at > 0 && near[at - 1].cost > stock.cost {
                    near[at] = near[at - 1];
                    at -= 1;
                }
                near[at] = stock;
                count += 1;
            }
            let mut left = wanted.units;
            for stock in &near[..count] {
                let units = left.min(stock.units);
                total += units * stock.cost;
                left -= units;
            }
            if left > 0 {
                total += left * wanted.penalty?;
            }
            if total.saturating_add(wanted.ahead) >= limit {
                return None;
            }
        }
        Some(total)
    }

    /// Finds the cheapest way to serve the order from the chosen locations under their tariffs and limits, if it is cheaper
    /// than the best plan known. Lines are dealt out in turn, each in every way that the bounds leave.
    fn deal_out(&mut self, problem: &Problem) {
        let mut dealing = std::mem::take(&mut self.dealing);
        dealing.members.clear();
        for &rank in &self.chosen {
            let place = usize::from(self.places[rank]);
            let rules = problem.rules_of(place);
            dealing.members.push(Member {
                place,
                parcel: problem.locations[place].parcel_cost.0,
                carriage: problem.carriage(place, Grams(0)).unwrap_or(0),
                grams: 0,
                units: 0,
                grams_max: rules.weight_max.map_or(i64::MAX, |most| i64::try_from(most.0).unwrap_or(i64::MAX)),
                units_max: rules.unit_capacity.map_or(i64::MAX, |most| i64::from(most.0)),
            });
        }
        dealing.turns.clear();
        dealing.rest.clear();
        dealing.rest.resize(self.wanted.len() + 1, (0, 0));
        for n in (0..self.wanted.len()).rev() {
            let rest = dealing.rest[n + 1];
            let (cost, bare) = (self.fill_line(n, |stock| stock.cost), self.fill_line(n, |stock| stock.bare));
            dealing.rest[n] = (rest.0 + cost, rest.1 + bare);
        }
        for n in 0..self.wanted.len() {
            let from = dealing.turns.len();
            dealing.turns.extend(0..self.chosen.len());
            let cost = |&member: &usize| (self.stock[self.chosen[member] * self.wanted.len() + n].cost, member);
            dealing.turns[from..].sort_unstable_by_key(cost);
        }
        let opening: i64 = self.chosen.iter().map(|&rank| self.opening[rank]).sum();
        dealing.sent.clear();
        self.deal(problem, &mut dealing, 0, (opening, 0));
        self.dealing = dealing;
    }

    /// The least that line `n` costs from the chosen locations, at the price `of` a unit.
    fn fill_line(&self, n: usize, of: impl Fn(&Stock) -> i64) -> i64 {
        let wanted = self.wanted[n];
        let cells = self.chosen.iter().map(|&rank| self.stock[rank * self.wanted.len() + n]);
        let mut near = [(0, 0); PARCELS_MAX];
        let mut count = 0;
        for stock in cells.filter(|stock| stock.units > 0) {
            near[count] = (of(&stock), stock.units);
            count += 1;
        }
        near[..count].sort_unstable();
        let (mut left, mut total) = (wanted.units, 0);
        for &(cost, units) in &near[..count] {
            let taken = left.min(units);
            total += taken * cost;
            left -= taken;
        }
        total + left * wanted.penalty.unwrap_or(0)
    }

    /// Deals out line `n` and those after it. `so_far`: what the lines before cost by the bound, and without carriage.
    fn deal(&mut self, problem: &Problem, dealing: &mut Dealing, n: usize, so_far: (i64, i64)) {
        self.work += 1;
        let limit = self.cost.unwrap_or(i64::MAX);
        let parcels = dealing.members.iter().map(|member| member.parcel.saturating_add(member.carriage));
        let real = parcels.fold(so_far.1, i64::saturating_add);
        let least = (so_far.0 + dealing.rest[n].0).max(real.saturating_add(dealing.rest[n].1));
        if least >= limit || self.work >= self.work_max {
            return;
        }
        if n == self.wanted.len() {
            self.cost = Some(real);
            dealing.best.clone_from(&dealing.sent);
            self.note_best();
            return;
        }
        self.deal_line(problem, dealing, (n, 0), self.wanted[n].units, so_far);
    }

    /// Every way to take `left` of line `n` from its members from turn `turn` on, as much as there is first.
    fn deal_line(
        &mut self,
        problem: &Problem,
        dealing: &mut Dealing,
        (n, turn): (usize, usize),
        left: i64,
        so_far: (i64, i64),
    ) {
        let wanted = self.wanted[n];
        if turn == self.chosen.len() || left == 0 {
            let penalty = if left == 0 { Some(0) } else { wanted.penalty.map(|penalty| penalty * left) };
            if let Some(penalty) = penalty {
                self.deal(problem, dealing, n + 1, (so_far.0 + penalty, so_far.1 + penalty));
            }
            return;
        }
        let at = dealing.turns[n * self.chosen.len() + turn];
        let rank = self.chosen[at];
        let stock = self.stock[rank * self.wanted.len() + n];
        let before = dealing.members[at];
        let units = wanted.bundle;
        let grams = i64::try_from(problem.lines[wanted.line].unit_weight.0).unwrap_or(i64::MAX).saturating_mul(units);
        for count in (0..=left.min(stock.units)).rev() {
            if self.work >= self.work_max {
                return;
            }
            if count > 0 {
                let mut member = before;
                member.grams = member.grams.saturating_add(grams.saturating_mul(count));
                member.units += units * count;
                let weight = Grams(u64::try_from(member.grams).unwrap_or(0));
                match problem.carriage(member.place, weight) {
                    Some(carriage) if member.grams <= member.grams_max && member.units <= member.units_max => {
                        member.carriage = carriage;
                    }
                    _ => {
                        self.work += 1;
                        continue;
                    }
                }
                dealing.members[at] = member;
                dealing.sent.push((rank, n, count));
            }
            let spent = (so_far.0 + stock.cost * count, so_far.1 + stock.bare * count);
            self.deal_line(problem, dealing, (n, turn + 1), left - count, spent);
            if count > 0 {
                dealing.sent.pop();
                dealing.members[at] = before;
            }
        }
    }

    /// Readies the tables of units.
    fn begin_rows(&mut self) {
        let (lines, width) = (self.wanted.len(), self.wanted.len().div_ceil(LANES));
        self.need.clear();
        self.need.resize(width * (PARCELS_MAX + 1), [0; LANES]);
        self.rows.clear();
        self.rows.resize(self.places.len() * width, [0; LANES]);
        self.suppliers.clear();
        self.supplier_start.clear();
        self.most.clear();
        self.most.resize(width * (PARCELS_MAX + 1), [0; LANES]);
        for n in 0..lines {
            self.supplier_start.push(self.suppliers.len());
            let mut top = [0; PARCELS_MAX];
            for rank in 0..self.places.len() {
                // More than fits counts as what fits; so does what is needed.
                let units = lane(self.stock[rank * lines + n].units);
                if units == 0 {
                    continue;
                }
                self.rows[rank * width + n / LANES][n % LANES] = units;
                self.suppliers.push(u16::try_from(rank).unwrap_or(u16::MAX));
                if units > top[PARCELS_MAX - 1] {
                    let mut at = PARCELS_MAX - 1;
                    while at > 0 && top[at - 1] < units {
                        top[at] = top[at - 1];
                        at -= 1;
                    }
                    top[at] = units;
                }
            }
            let mut sum: u16 = 0;
            for (count, units) in top.into_iter().enumerate() {
                sum = sum.saturating_add(units);
                self.most[(count + 1) * width + n / LANES][n % LANES] = sum;
            }
        }
        self.supplier_start.push(self.suppliers.len());
        self.excluded.clear();
        self.excluded.resize(self.places.len(), false);
        self.trail.clear();
    }

    /// What plans of `parcels` parcels or more that are better than the best known have to serve of each line: less than all
    /// of it where the bound leaves room for units short at their penalty.
    fn say_needed(&mut self, parcels: usize) {
        let parcels = i64::try_from(parcels).unwrap_or(0);
        let room = self.cost.map(|cost| (cost << SCALE_BITS) - self.bound - parcels * self.parcel);
        for (n, wanted) in self.wanted.iter().enumerate() {
            let short_max = match (wanted.penalty, room) {
                (None, _) => 0,
                (Some(penalty), Some(room)) => {
                    let each = (penalty << SCALE_BITS) - wanted.price;
                    if each > 0 { (room / each).max(0) } else { i64::MAX }
                }
                (Some(_), None) => i64::MAX,
            };
            // A line too long for its lane is not asked for: its units are left to the cost.
            let least = wanted.units.saturating_sub(short_max).max(0);
            self.need[n / LANES][n % LANES] = u16::try_from(least).unwrap_or(0);
        }
    }

    /// The fewest parcels that each line by itself needs.
    pub(crate) fn parcels_at_least(&mut self) -> usize {
        self.say_needed(0);
        let width = self.wanted.len().div_ceil(LANES);
        (0..PARCELS_MAX).find(|&count| self.possible(0, count, width)).unwrap_or(PARCELS_MAX)
    }

    /// Tries every set of `parcels` locations that may make a plan cheaper than the best known. Without penalties every line
    /// has to be served in full: the best known is still `None` after a complete pass if no set does.
    pub(crate) fn sets(&mut self, problem: &Problem, parcels: usize) -> Pass {
        if parcels > PARCELS_MAX {
            return Pass::CutShort;
        }
        self.chosen.clear();
        self.say_needed(parcels);
        self.cover(problem, parcels, self.bound + i64::try_from(parcels).unwrap_or(0) * self.parcel);
        if self.work < self.work_max { Pass::Complete } else { Pass::CutShort }
    }

    /// Whether `count` more locations might supply what is needed at `depth`.
    fn possible(&self, depth: usize, count: usize, width: usize) -> bool {
        let (need, most) = (&self.need[depth * width..][..width], &self.most[count * width..][..width]);
        need.iter().zip(most).all(|(need, most)| covered(need, most))
    }

    fn cover(&mut self, problem: &Problem, parcels: usize, bound: i64) {
        let width = self.wanted.len().div_ceil(LANES);
        let depth = self.chosen.len();
        let missing = parcels - depth;
        let need = &self.need[depth * width..][..width];
        let first = need.iter().enumerate().find_map(|(c, lanes)| {
            let lane = lanes.iter().position(|&units| units > 0)?;
            Some(c * LANES + lane)
        });
        let Some(line) = first else {
            self.weigh(problem);
            if missing > 0 {
                self.extend(problem, parcels, 0, bound);
            }
            return;
        };
        if missing == 0 {
            return;
        }
        if !self.possible(depth, missing, width) {
            return;
        }
        let tried = self.trail.len();
        for at in self.supplier_start[line]..self.supplier_start[line + 1] {
            let rank = usize::from(self.suppliers[at]);
            if self.excluded[rank] {
                continue;
            }
            let least = bound + self.slack[rank];
            if self.cost.is_some_and(|cost| least > (cost - 1) << SCALE_BITS) {
                // Suppliers are in order of slack.
                break;
            }
            self.work += 1;
            if self.work >= self.work_max {
                break;
            }
            if missing == 1 {
                let need = &self.need[depth * width..][..width];
                let row = &self.rows[rank * width..][..width];
                if need.iter().zip(row).all(|(need, row)| covered(need, row)) {
                    self.chosen.push(rank);
                    self.weigh(problem);
                    self.chosen.pop();
                }
                continue;
            }
            let (before, after) = self.need.split_at_mut((depth + 1) * width);
            let row = &self.rows[rank * width..][..width];
            for ((to, from), row) in after.iter_mut().zip(&before[depth * width..]).zip(row) {
                for lane in 0..LANES {
                    to[lane] = from[lane].saturating_sub(row[lane]);
                }
            }
            self.chosen.push(rank);
            self.excluded[rank] = true;
            self.trail.push(rank);
            self.cover(problem, parcels, least);
            self.chosen.pop();
        }
        for rank in self.trail.drain(tried..) {
            self.excluded[rank] = false;
        }
    }
}

fn lane(units: i64) -> u16 {
    u16::try_from(units).unwrap_or(u16::MAX)
}

fn covered(need: &Lanes, supply: &Lanes) -> bool {
    let mut short = 0;
    for lane in 0..LANES {
        short |= need[lane].saturating_sub(supply[lane]);
    }
    short == 0
}

//! Random cases, and a judge that recomputes a plan's value from the case alone.
#![allow(dead_code)] // each test binary uses its own part

use quartermaster_routing::{
    Grams, Line, Location, LocationId, Money, Objective, Plan, Problem, ProblemBuilder, Proof, Service, ServiceId,
    Shipping, SkuId, Units, cheapest,
};

/// A small generator (SplitMix64; Steele, Lea & Flood, OOPSLA 2014): the same seed gives the same cases everywhere.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Between `low` and `high`, both included.
    pub(crate) fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    pub(crate) fn u32(&mut self, low: u64, high: u64) -> u32 {
        u32::try_from(self.within(low, high)).unwrap()
    }

    pub(crate) fn money(&mut self, low: u64, high: u64) -> i64 {
        i64::try_from(self.within(low, high)).unwrap()
    }

    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.next() % 100 < chance
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) objective: Objective,
    pub(crate) demand: Vec<u32>,
    pub(crate) weight: Vec<u64>,
    pub(crate) penalty: Vec<i64>,
    pub(crate) whole: Vec<bool>,
    pub(crate) parcel: Vec<i64>,
    pub(crate) pick: Vec<i64>,
    pub(crate) shipping: Vec<Shipping>,
    /// `[line][location]`: units and extra cost.
    pub(crate) stock: Vec<Vec<(u32, i64)>>,
    pub(crate) parcels_max: Option<u16>,
    pub(crate) ship_complete: bool,
}

pub(crate) const OBJECTIVES: [Objective; 4] =
    [Objective::Money, Objective::UnitsParcelsCost, Objective::UnitsCost, Objective::WholeLinesCost];

/// How large and how odd cases may be.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) lines: u64,
    pub(crate) locations: u64,
    pub(crate) demand: u64,
    pub(crate) shipping: bool,
}

impl Case {
    pub(crate) fn random(rng: &mut Rng, shape: Shape) -> Self {
        let lines = usize::try_from(rng.within(1, shape.lines)).unwrap();
        let locations = usize::try_from(rng.within(1, shape.locations)).unwrap();
        let objective = OBJECTIVES[usize::try_from(rng.within(0, 3)).unwrap()];
        let (spread, fixed_high) = (rng.within(0, 9), rng.within(0, 60));
        let stocked = rng.within(30, 100);
        let bonus = rng.percent(20);
        let demand: Vec<u32> = (0..lines).map(|_| rng.u32(1, shape.demand)).collect();
        let stock = demand.iter().map(|&d| {
            let cell = |rng: &mut Rng| {
                let units = if rng.percent(stocked) { rng.u32(1, u64::from(d) + 1) } else { 0 };
                let extra = if rng.percent(30) { rng.money(0, 8) } else { 0 };
                (units, if bonus && rng.percent(30) { -extra } else { extra })
            };
            (0..locations).map(|_| cell(rng)).collect()
        });
        let stock = stock.collect();
        let shipping = (0..locations).map(|_| if shape.shipping { random_shipping(rng) } else { Shipping::default() });
        let shipping = shipping.collect();
        Self {
            objective,
            weight: (0..lines).map(|_| rng.within(0, 5) * 100).collect(),
            penalty: (0..lines).map(|_| rng.money(0, 60)).collect(),
            whole: (0..lines).map(|_| rng.percent(15)).collect(),
            parcel: (0..locations).map(|_| rng.money(0, fixed_high)).collect(),
            pick: (0..locations).map(|_| rng.money(0, spread)).collect(),
            shipping,
            parcels_max: rng.percent(30).then(|| u16::try_from(rng.within(0, 3)).unwrap()),
            ship_complete: rng.percent(15),
            demand,
            stock,
        }
    }

    pub(crate) fn problem(&self) -> Problem {
        self.state(Problem::builder(self.objective))
    }

    /// States the case with `builder`, which holds nothing yet.
    pub(crate) fn state(&self, mut builder: ProblemBuilder) -> Problem {
        let lines: Vec<_> = (0..self.demand.len()).map(|j| builder.line(self.line(j)).unwrap()).collect();
        for i in 0..self.parcel.len() {
            let id = LocationId(u32::try_from(i).unwrap() + 10);
            let parcel_cost = Money(self.parcel[i]);
            let place = builder.location(Location { id, parcel_cost, pick_unit_cost: Money(self.pick[i]) }).unwrap();
            if self.shipping[i] != Shipping::default() {
                builder.shipping(place, self.shipping[i].clone());
            }
            for (j, line) in lines.iter().enumerate() {
                let (units, extra) = self.stock[j][i];
                builder.offer(*line, place, Units(units), Money(extra));
            }
        }
        if let Some(most) = self.parcels_max {
            builder.parcels_max(most);
        }
        if self.ship_complete {
            builder.ship_complete();
        }
        builder.build().unwrap()
    }

    fn line(&self, j: usize) -> Line {
        Line {
            sku: SkuId(u32::try_from(j).unwrap()),
            demand: Units(self.demand[j]),
            unit_weight: Grams(self.weight[j]),
            unserved_penalty: Money(self.penalty[j]),
            whole: self.whole[j],
        }
    }

    pub(crate) fn must_be_whole(&self, j: usize) -> bool {
        self.whole[j] || self.objective == Objective::WholeLinesCost
    }

    /// The value `[shortfall, parcels, cost]` of an allocation `x[line][location]`; `None` when a rule forbids it.
    pub(crate) fn value(&self, x: &[Vec<u32>]) -> Option<(i64, i64, i64)> {
        let (mut short_units, mut short_lines, mut penalty, mut cost, mut parcels) = (0, 0, 0, 0, 0);
        for (j, row) in x.iter().enumerate() {
            let served: u32 = row.iter().sum();
            let senders = row.iter().filter(|&&units| units > 0).count();
            if served > self.demand[j] || row.iter().zip(&self.stock[j]).any(|(&units, &(most, _))| units > most) {
                return None;
            }
            if self.must_be_whole(j) && served > 0 && (served < self.demand[j] || senders > 1) {
                return None;
            }
            let short = i64::from(self.demand[j] - served);
            short_units += short;
            short_lines += i64::from(short > 0);
            penalty += short * self.penalty[j];
        }
        for i in 0..self.parcel.len() {
            let units: u32 = x.iter().map(|row| row[i]).sum();
            if units == 0 {
                continue;
            }
            let weight = Grams(x.iter().zip(&self.weight).map(|(row, w)| u64::from(row[i]) * w).sum());
            let shipping = &self.shipping[i];
            if shipping.unit_capacity.is_some_and(|most| units > most.0)
                || shipping.weight_max.is_some_and(|most| weight > most)
            {
                return None;
            }
            parcels += 1;
            cost += self.parcel[i];
            if !shipping.services.is_empty() {
                cost += cheapest(&shipping.services, weight)?.1.0;
            }
            for (j, row) in x.iter().enumerate() {
                cost += i64::from(row[i]) * (self.pick[i] + self.stock[j][i].1);
            }
        }
        let nothing = x.iter().all(|row| row.iter().all(|&units| units == 0));
        if self.parcels_max.is_some_and(|most| parcels > i64::from(most))
            || (self.ship_complete && short_units > 0 && !nothing)
        {
            return None;
        }
        Some(match self.objective {
            Objective::Money => (0, 0, cost + penalty),
            Objective::UnitsParcelsCost => (short_units, parcels, cost),
            Objective::UnitsCost => (short_units, 0, cost),
            Objective::WholeLinesCost => (short_lines, 0, cost),
        })
    }

    /// Checks that `plan` keeps every rule, adds up, and is worth what it says.
    pub(crate) fn judge(&self, plan: &Plan) -> (i64, i64, i64) {
        let mut x = vec![vec![0; self.parcel.len()]; self.demand.len()];
        for allocation in &plan.allocations {
            assert!(allocation.quantity.0 > 0);
            let (j, i) =
                (usize::try_from(allocation.sku.0).unwrap(), usize::try_from(allocation.location.0).unwrap() - 10);
            x[j][i] += allocation.quantity.0;
        }
        let value = self.value(&x).unwrap_or_else(|| panic!("a rule is broken: {self:#?}\n{plan:#?}"));
        assert_eq!(value, triple(plan.value), "{self:#?}\n{plan:#?}");
        assert!(plan.lower_bound <= plan.value, "{plan:#?}");
        assert_eq!(plan.proof == Proof::Proved, plan.lower_bound == plan.value, "{plan:#?}");
        let parcels: i64 = plan.parcels.iter().map(|parcel| parcel.cost().0).sum();
        let penalties: i64 = plan.unserved.iter().map(|unserved| unserved.penalty.0).sum();
        assert_eq!(parcels + penalties, plan.value.cost.0, "{self:#?}\n{plan:#?}");
        let unserved: u64 = plan.unserved.iter().map(|unserved| u64::from(unserved.quantity.0)).sum();
        let shipped: u64 = plan.parcels.iter().map(|parcel| parcel.units).sum();
        assert_eq!(unserved + shipped, self.demand.iter().map(|&d| u64::from(d)).sum::<u64>());
        value
    }
}

pub(crate) fn triple(value: quartermaster_routing::Value) -> (i64, i64, i64) {
    (i64::try_from(value.shortfall).unwrap(), i64::try_from(value.parcels).unwrap(), value.cost.0)
}

fn random_shipping(rng: &mut Rng) -> Shipping {
    let unit_capacity = rng.percent(25).then(|| Units(rng.u32(1, 6)));
    let weight_max = rng.percent(20).then(|| Grams(rng.within(3, 20) * 100));
    let services = if rng.percent(60) { rng.within(1, 2) } else { 0 };
    let services = (0..services).map(|id| {
        let first =
            Service::new(ServiceId(u32::try_from(id).unwrap()), Grams(rng.within(1, 8) * 100), Money(rng.money(0, 30)));
        let limit = rng.percent(30).then(|| Grams(rng.within(8, 20) * 100));
        first.unwrap().with_steps(Grams(rng.within(1, 5) * 100), Money(rng.money(0, 12)), limit).unwrap()
    });
    Shipping { services: services.collect(), unit_capacity, weight_max }
}

/// How many cases a test runs: from the environment, else `default`.
pub(crate) fn cases(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number of cases"))
}

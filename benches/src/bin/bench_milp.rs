//! Generates large random problems, solves them, and writes each with its answer, one JSON object to a line, for another
//! solver to check: `benches/milp_check.py`.
#![forbid(unsafe_code)]

use std::io::{self, BufWriter, Write};
use std::time::Instant;

use clap::Parser;
use quartermaster_routing::{
    Budget, Grams, Line, Location, LocationId, Money, Objective, Problem, Proof, Service, ServiceId, Shipping, SkuId,
    Solver, Units,
};
use serde_json::{Value, json};

/// Write random problems with the solver's answers as JSON lines.
#[derive(Parser)]
struct Args {
    /// How many problems.
    #[arg(long, default_value_t = 1_000)]
    count: u64,
    /// Seed of the generator.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Search nodes allowed for one plan.
    #[arg(long, default_value_t = 200_000)]
    nodes: u64,
    /// The most lines of an order.
    #[arg(long, default_value_t = 12)]
    lines: u32,
    /// The most locations.
    #[arg(long, default_value_t = 200)]
    locations: u32,
    /// Parcels with tariffs in steps, and limits on units and weight.
    #[arg(long)]
    shipping: bool,
}

type Fault = Box<dyn std::error::Error>;

fn main() -> Result<(), Fault> {
    let args = Args::parse();
    let mut random = Random(args.seed);
    let mut solver = Solver::default();
    let mut out = BufWriter::new(io::stdout().lock());
    for number in 0..args.count {
        let case = Case::random(&mut random, &args);
        let problem = case.problem()?;
        let start = Instant::now();
        let plan = solver.solve(&problem, Budget { nodes: args.nodes })?;
        let took = start.elapsed();
        let mut record = case.record();
        record["id"] = json!(number);
        record["value"] = json!([plan.value.shortfall, plan.value.parcels, plan.value.cost.0]);
        record["bound"] = json!([plan.lower_bound.shortfall, plan.lower_bound.parcels, plan.lower_bound.cost.0]);
        record["proved"] = json!(plan.proof == Proof::Proved);
        record["nodes"] = json!(plan.nodes);
        record["us"] = json!(u64::try_from(took.as_micros())?);
        writeln!(out, "{record}")?;
    }
    out.flush()?;
    Ok(())
}

/// One random problem, in the terms in which it is written down.
struct Case {
    objective: Objective,
    lines: Vec<Line>,
    locations: Vec<Location>,
    /// By location: unit capacity, heaviest parcel, and services as `[first weight, price, step, price, limit]`.
    rules: Vec<Rules>,
    /// `[line, location, units, extra unit cost]`.
    offers: Vec<(usize, usize, u32, i64)>,
    parcels_max: Option<u16>,
}

#[derive(Default)]
struct Rules {
    units: Option<u32>,
    weight: Option<u32>,
    services: Vec<[u32; 5]>,
}

impl Case {
    /// Most problems are middling, some as large as allowed: the size is drawn first.
    fn random(random: &mut Random, args: &Args) -> Self {
        let part = random.within(1, 4);
        let lines = random.within(1, (args.lines * part / 4).max(1));
        let locations = random.within(2, (args.locations * part / 4).max(2));
        let objectives =
            [Objective::Money, Objective::UnitsParcelsCost, Objective::UnitsCost, Objective::WholeLinesCost];
        let objective = objectives[random.pick(4)];
        let (stocked, full) = (random.within(10, 95), random.within(10, 100));
        let (fixed, pick) = (random.within(1, 12) * 100, random.within(0, 60));
        let penalty = random.within(1, 30) * 100;
        let lines: Vec<Line> = (0..lines)
            .map(|sku| Line {
                sku: SkuId(sku),
                demand: Units(random.within(1, 7)),
                unit_weight: Grams(u64::from(random.within(0, 15) * 100)),
                unserved_penalty: Money(i64::from(random.within(penalty / 2, penalty))),
                whole: random.percent(10),
            })
            .collect();
        let mut place = |id| Location {
            id: LocationId(id),
            parcel_cost: Money(i64::from(random.within(fixed / 3, fixed))),
            pick_unit_cost: Money(i64::from(random.within(0, pick))),
        };
        let locations: Vec<Location> = (0..locations).map(&mut place).collect();
        let mut offers = Vec::new();
        for (j, line) in lines.iter().enumerate() {
            for i in 0..locations.len() {
                if random.percent(stocked) {
                    let units = if random.percent(full) { line.demand.0 } else { random.within(1, line.demand.0) };
                    let extra = if random.percent(20) { i64::from(random.within(0, 30)) - 10 } else { 0 };
                    offers.push((j, i, units, extra));
                }
            }
        }
        let rules = (0..locations.len()).map(|_| if args.shipping { Rules::random(random) } else { Rules::default() });
        let rules = rules.collect();
        let parcels_max = random.percent(20).then(|| u16::try_from(random.within(1, 4)).unwrap_or(1));
        Self { objective, lines, locations, rules, offers, parcels_max }
    }

    fn problem(&self) -> Result<Problem, Fault> {
        let mut builder = Problem::builder(self.objective);
        let lines = self.lines.iter().map(|line| builder.line(*line)).collect::<Result<Vec<_>, _>>()?;
        let mut places = Vec::new();
        for (location, rules) in self.locations.iter().zip(&self.rules) {
            let place = builder.location(*location)?;
            if rules.units.is_some() || rules.weight.is_some() || !rules.services.is_empty() {
                builder.shipping(place, rules.shipping()?);
            }
            places.push(place);
        }
        for &(j, i, units, extra) in &self.offers {
            builder.offer(lines[j], places[i], Units(units), Money(extra));
        }
        if let Some(most) = self.parcels_max {
            builder.parcels_max(most);
        }
        Ok(builder.build()?)
    }

    fn record(&self) -> Value {
        let objective = match self.objective {
            Objective::Money => "money",
            Objective::UnitsParcelsCost => "units_parcels_cost",
            Objective::UnitsCost => "units_cost",
            Objective::WholeLinesCost => "whole_lines_cost",
        };
        let line = |line: &Line| {
            json!({
                "demand": line.demand.0,
                "weight": line.unit_weight.0,
                "penalty": line.unserved_penalty.0,
                "whole": line.whole,
            })
        };
        let place = |(location, rules): (&Location, &Rules)| {
            json!({
                "parcel": location.parcel_cost.0,
                "pick": location.pick_unit_cost.0,
                "units_max": rules.units,
                "weight_max": rules.weight,
                "services": rules.services,
            })
        };
        json!({
            "objective": objective,
            "lines": self.lines.iter().map(line).collect::<Vec<_>>(),
            "locations": self.locations.iter().zip(&self.rules).map(place).collect::<Vec<_>>(),
            "offers": self.offers,
            "parcels_max": self.parcels_max,
        })
    }
}

impl Rules {
    fn random(random: &mut Random) -> Self {
        let units = random.percent(15).then(|| random.within(1, 12));
        let weight = random.percent(15).then(|| random.within(10, 100) * 100);
        let count = random.within(0, 3);
        let service = |_| {
            let first = random.within(1, 20) * 100;
            let limit = random.percent(50).then(|| first + random.within(0, 100) * 100);
            [first, random.within(200, 900), random.within(1, 10) * 100, random.within(20, 200), limit.unwrap_or(0)]
        };
        Self { units, weight, services: (0..count).map(service).collect() }
    }

    fn shipping(&self) -> Result<Shipping, Fault> {
        let mut services = Vec::new();
        for (id, &[first, price, step, step_price, limit]) in (0..).zip(&self.services) {
            let service = Service::new(ServiceId(id), Grams(first.into()), Money(price.into()))?;
            let limit = (limit > 0).then_some(Grams(limit.into()));
            services.push(service.with_steps(Grams(step.into()), Money(step_price.into()), limit)?);
        }
        let weight_max = self.weight.map(|grams| Grams(grams.into()));
        Ok(Shipping { unit_capacity: self.units.map(Units), weight_max, services })
    }
}

/// SplitMix64 (Steele, Lea & Flood, OOPSLA 2014).
struct Random(u64);

impl Random {
    fn within(&mut self, low: u32, high: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let span = u64::from(high - low) + 1;
        low + u32::try_from((z ^ (z >> 31)) % span).unwrap_or(0)
    }

    fn percent(&mut self, chance: u32) -> bool {
        self.within(1, 100) <= chance
    }

    fn pick(&mut self, among: u32) -> usize {
        usize::try_from(self.within(0, among - 1)).unwrap_or(0)
    }
}

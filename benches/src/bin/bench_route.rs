//! Times the router on generated orders of fixed sizes: percentiles over many orders, each solved with a warm solver.

use std::time::{Duration, Instant};

use clap::Parser;
use quartermaster_routing::{
    Budget, Grams, Line, Location, LocationId, Money, Objective, Problem, Proof, SkuId, Solver, Units,
};

/// Time the router on generated orders and print percentiles.
#[derive(Parser)]
struct Args {
    /// Orders per size.
    #[arg(long, default_value_t = 2_000)]
    orders: u64,
    /// Seed of the generator.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

type Fault = Box<dyn std::error::Error>;

fn main() -> Result<(), Fault> {
    let args = Args::parse();
    println!("stock,objective,lines,locations,proved,mean_parcels,p50_us,p99_us,max_us,with_building_p50_us");
    for stock in [Stock::Ample, Stock::Mixed, Stock::Scarce] {
        for (lines, locations) in [(1, 1000), (3, 64), (6, 64), (12, 64)] {
            for objective in [Objective::Money, Objective::UnitsParcelsCost] {
                size(&args, stock, objective, lines, locations)?;
            }
        }
    }
    Ok(())
}

/// How the stock of a location meets a line.
#[derive(Clone, Copy, Debug)]
enum Stock {
    /// Nine in ten have it in full.
    Ample,
    /// Half have it, a third of those not in full.
    Mixed,
    /// A quarter have it, most not in full: nearly every order has to be split.
    Scarce,
}

fn size(args: &Args, stock: Stock, objective: Objective, lines: u32, locations: u32) -> Result<(), Fault> {
    let mut random = Random(args.seed);
    let mut solver = Solver::default();
    let (mut times, mut whole, mut proved, mut parcels) = (Vec::new(), Vec::new(), 0_u64, 0);
    for _ in 0..args.orders {
        let order = Order::random(&mut random, stock, lines, locations);
        let start = Instant::now();
        let problem = order.problem(objective)?;
        let built = start.elapsed();
        let mut best = Duration::MAX;
        // The best of three: what a preempted core adds is not the solver's.
        for _ in 0..3 {
            let start = Instant::now();
            let plan = solver.solve(&problem, Budget::default())?;
            best = best.min(start.elapsed());
            std::hint::black_box(&plan);
        }
        let plan = solver.solve(&problem, Budget::default())?;
        proved += u64::from(plan.proof == Proof::Proved);
        parcels += plan.parcels.len();
        times.push(best);
        whole.push(best + built);
    }
    times.sort_unstable();
    whole.sort_unstable();
    let us = |time: Duration| time.as_secs_f64() * 1e6;
    let at = |share: usize| us(times[(times.len() * share / 100).min(times.len() - 1)]);
    let mean = parcels.checked_mul(100).map_or(0, |sum| sum / times.len());
    println!(
        "{stock:?},{objective:?},{lines},{locations},{proved},{}.{:02},{:.1},{:.1},{:.1},{:.1}",
        mean / 100,
        mean % 100,
        at(50),
        at(99),
        at(100),
        us(whole[whole.len() / 2]),
    );
    Ok(())
}

struct Order {
    demand: Vec<u32>,
    parcel: Vec<i64>,
    pick: Vec<i64>,
    /// Line by line, units at each location.
    have: Vec<Vec<u32>>,
}

impl Order {
    fn random(random: &mut Random, stock: Stock, lines: u32, locations: u32) -> Self {
        let demand: Vec<u32> = (0..lines).map(|_| random.within(1, 6)).collect();
        let have = demand.iter().map(|&units| (0..locations).map(|_| random.stock(stock, units)).collect());
        let have = have.collect();
        Self {
            demand,
            parcel: (0..locations).map(|_| i64::from(random.within(300, 1200))).collect(),
            pick: (0..locations).map(|_| i64::from(random.within(5, 40))).collect(),
            have,
        }
    }

    fn problem(&self, objective: Objective) -> Result<Problem, Fault> {
        let mut builder = Problem::builder(objective);
        builder.reserve(self.demand.len() * self.parcel.len());
        let mut lines = Vec::with_capacity(self.demand.len());
        for (sku, &units) in (0..).zip(&self.demand) {
            lines.push(builder.line(Line {
                sku: SkuId(sku),
                demand: Units(units),
                unit_weight: Grams(0),
                unserved_penalty: Money(2_000),
                whole: false,
            })?);
        }
        let mut places = Vec::with_capacity(self.parcel.len());
        for (id, (&parcel, &pick)) in (0..).zip(self.parcel.iter().zip(&self.pick)) {
            let location = Location { id: LocationId(id), parcel_cost: Money(parcel), pick_unit_cost: Money(pick) };
            places.push(builder.location(location)?);
        }
        for (line, have) in lines.iter().zip(&self.have) {
            for (place, &units) in places.iter().zip(have) {
                builder.offer(*line, *place, Units(units), Money(0));
            }
        }
        Ok(builder.build()?)
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

    fn stock(&mut self, stock: Stock, units: u32) -> u32 {
        let (some, full) = match stock {
            Stock::Ample => (90, 100),
            Stock::Mixed => (50, 67),
            Stock::Scarce => (25, 30),
        };
        if self.within(1, 100) > some {
            0
        } else if self.within(1, 100) <= full {
            units
        } else {
            self.within(1, units)
        }
    }
}

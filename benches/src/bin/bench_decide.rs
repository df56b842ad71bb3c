//! Decision time from an order and the stock it met to the plan: rules, tariffs, calendars and prices gathered, the problem solved, the
//! parcels priced. Orders are generated; the network has regions, working hours and, in half of the settings, two carrier services with
//! step tariffs to every region.
//!
//! `cargo run --release -p quartermaster-benches --bin bench-decide`
//!
//! Asked for: 1 line x 1,000 stocked locations p50 at most 5 us; 3 x 64 p50 10 us, p99 50 us; 6 x 64 p50 25 us, p99 200 us; 12 x 64 p99
//! 3 ms. Every order is decided five times and the fastest counts: what a preempted core adds is not the router's.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use clap::Parser;
use quartermaster_benches::{pin, traffic::Random};
use quartermaster_sourcing::{
    Grams, LocationId, Money, Proof, Query, Router, SkuId,
    fulfilment::{Fulfilment, Moment, NoBookings, PlaceSpec, Shift},
    network::Network,
    order::{CellFacts, Destination, Goods, Order, OrderLine, Stock},
    policy::{Document, Format, PlaceFacts, Places, Policy},
    region::RegionSpec,
    tariff::TariffDocument,
};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[derive(Debug, Parser)]
#[command(about = "Decision time from an order and its stock to the plan")]
struct Arguments {
    /// Orders of each size.
    #[arg(long, default_value_t = 2_000)]
    orders: u32,
    /// Seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this size, for example 3x64.
    #[arg(long, default_value = "")]
    only: String,
    /// Decide each order so often, the fastest counts.
    #[arg(long, default_value_t = 5)]
    repeat: u32,
}

type Fault = Box<dyn std::error::Error>;

const REGIONS: u32 = 31;

fn main() -> Result<(), Fault> {
    let arguments = Arguments::parse();
    let pinned = pin::cores().last().is_some_and(|core| pin::to_core(*core));
    println!("{} orders a size, seed {}, pinned: {pinned}", arguments.orders, arguments.seed);
    println!("tariffs,policy,stock,lines,locations,proved,mean_parcels,p50_us,p99_us,max_us");
    for tariffs in [false, true] {
        for policy in ["plain", "rules"] {
            for (lines, locations) in [(1, 1000), (3, 64), (6, 64), (12, 64)] {
                if !arguments.only.is_empty() && arguments.only != format!("{lines}x{locations}") {
                    continue;
                }
                for full in [90, 50] {
                    size(&arguments, tariffs, policy, full, lines, locations)?;
                }
            }
        }
    }
    Ok(())
}

fn size(
    arguments: &Arguments,
    tariffs: bool,
    policy_name: &str,
    full: u32,
    lines: u32,
    locations: u32,
) -> Result<(), Fault> {
    let mut random = Random::new(arguments.seed);
    let world = World::new(&mut random, locations, tariffs)?;
    let policy = policy(&world, policy_name)?;
    let goods: Vec<(String, u64)> =
        (0..lines).map(|line| (format!("SKU{line}"), 100 + u64::from(random.below(900)))).collect();
    let mut router = Router::default();
    let mut times: Vec<Duration> = Vec::new();
    let (mut proved, mut parcels) = (0_u32, 0_u32);
    for _ in 0..arguments.orders {
        let stock: Vec<Vec<Stock>> = (0..lines).map(|_| stock(&mut random, locations, full, lines == 1)).collect();
        let quantities: Vec<u32> = (0..lines).map(|_| 1 + random.below(3)).collect();
        let region = format!("R{:02}", random.below(REGIONS));
        let order = Order {
            lines: (0..lines).map(|number| line(number, &goods, &stock, &quantities)).collect(),
            destination: Destination { region, point: None },
            channel: "app",
            complete: true,
            ..Order::default()
        };
        let query = Query {
            network: &world.network,
            places: &world,
            policy: &policy,
            order: &order,
            now: Moment(1_800_000_000),
            bookings: &NoBookings,
        };
        let mut best = Duration::MAX;
        for turn in 0..arguments.repeat.max(1) {
            let start = Instant::now();
            let plan = router.route(&query)?;
            best = best.min(start.elapsed());
            if turn == 0 {
                proved += u32::from(plan.proof == Proof::Proved);
                parcels += u32::try_from(plan.parcels.len()).unwrap_or(0);
            }
        }
        times.push(best);
    }
    times.sort_unstable();
    let at = |permille: usize| times[(times.len() * permille / 1000).min(times.len() - 1)].as_secs_f64() * 1e6;
    println!(
        "{},{policy_name},{full} %,{lines},{locations},{:.2} %,{:.2},{:.1},{:.1},{:.1}",
        if tariffs { "two services" } else { "none" },
        f64::from(proved) * 100.0 / f64::from(arguments.orders),
        f64::from(parcels) / f64::from(arguments.orders),
        at(500),
        at(990),
        at(1000),
    );
    Ok(())
}

fn line<'a>(number: u32, goods: &'a [(String, u64)], stock: &'a [Vec<Stock>], quantities: &[u32]) -> OrderLine<'a> {
    let place = usize::try_from(number).unwrap_or(0);
    let (code, weight) = &goods[place];
    OrderLine {
        sku: SkuId(number),
        goods: Goods { code, weight: Grams(*weight), category: "shirts", ..Goods::default() },
        quantity: quantities[place],
        whole: false,
        only: &[],
        never: &[],
        rather: &[],
        stock: &stock[place],
        surcharge: Money(0),
    }
}

/// `full` of a hundred places have all that a line wants; of the rest half have one unit. A single line is stocked everywhere.
fn stock(random: &mut Random, locations: u32, full: u32, everywhere: bool) -> Vec<Stock> {
    let units = |random: &mut Random| match random.below(100) {
        draw if draw < full => 20,
        draw if draw % 2 == 0 || everywhere => 1,
        _ => 0,
    };
    let places = (0..locations).map(|location| Stock {
        location: LocationId(location),
        available: units(random),
        refused: false,
        facts: CellFacts::default(),
    });
    places.filter(|stock| stock.available > 0).collect()
}

fn policy(world: &World, name: &str) -> Result<Policy, Fault> {
    let rules = if name == "rules" {
        "[[rules]]\nname = \"no suppliers\"\nexclude = \"location.kind == 'supplier'\"\n\
         [[rules]]\nname = \"bulk\"\nexclude = \"location.kind == 'store' && order.units > 100\"\n\
         [[preferences]]\nname = \"centres first\"\nwhen = \"location.kind == 'store'\"\nparcel_price = 150\n\
         [prices]\nlast_pieces = { at = 1, price = 200 }\n"
    } else {
        ""
    };
    let text = format!("name = \"bench\"\ncurrency = \"CNY\"\n{rules}");
    let document = Document::read(&text, Format::Toml)?;
    Policy::compile(document, 1, world).map_err(|errors| format!("{errors:?}").into())
}

struct World {
    network: Network,
}

impl World {
    fn new(random: &mut Random, locations: u32, tariffs: bool) -> Result<Self, Fault> {
        let week = vec![Some(Shift { opens: 8 * 60, cutoff: 18 * 60 }); 7];
        let places: Vec<PlaceSpec> = (0..locations)
            .map(|number| PlaceSpec {
                code: format!("L{number:04}"),
                kind: if number % 8 == 0 { "distribution_centre" } else { "store" },
                region: format!("R{:02}", number % REGIONS),
                open: true,
                fulfilment: Fulfilment {
                    handling_cost: 100 + i64::from(random.below(300)),
                    pick_unit_cost: 10 + i64::from(random.below(60)),
                    processing_minutes: 120,
                    time_zone: "Asia/Shanghai".into(),
                    week: week.clone(),
                    ..Fulfilment::default()
                },
                ..PlaceSpec::default()
            })
            .collect();
        let regions: Vec<RegionSpec> = (0..REGIONS)
            .map(|number| RegionSpec {
                code: format!("R{number:02}"),
                parent: String::new(),
                name: String::new(),
                coordinates: None,
            })
            .collect();
        let tariffs = if tariffs { vec![TariffDocument::from_toml(&tariff(random))?] } else { Vec::new() };
        Ok(Self { network: Network::new(&places, &regions, &tariffs)? })
    }
}

/// Two services, each from every region to every other.
fn tariff(random: &mut Random) -> String {
    use std::fmt::Write as _;
    let mut text = String::from("name = \"t\"\ncurrency = \"CNY\"\n");
    for (code, first, step) in [("std", 600, 150), ("air", 1400, 500)] {
        _ = writeln!(text, "[[services]]\ncode = \"{code}\"\nname = \"\"\ncarrier = \"c\"\nservice_level = \"{code}\"");
        for origin in 0..REGIONS {
            for destination in 0..REGIONS {
                let far = random.below(400) + if origin == destination { 0 } else { 300 };
                _ = writeln!(
                    text,
                    "[[services.rates]]\norigins = [\"R{origin:02}\"]\ndestinations = [\"R{destination:02}\"]\n\
                     first_weight_grams = 1000\nfirst_price = {}\nstep_weight_grams = 500\nstep_price = {step}\n\
                     transit_minutes = 2880",
                    first + far
                );
            }
        }
    }
    text
}

impl Places for World {
    fn count(&self) -> usize {
        self.network.places().len()
    }
    fn facts(&self, location: LocationId) -> PlaceFacts<'_> {
        self.network.place(location).map_or_else(PlaceFacts::default, |place| PlaceFacts {
            code: &place.spec.code,
            kind: place.spec.kind,
            open: true,
            ..PlaceFacts::default()
        })
    }
    fn has_region(&self, code: &str) -> bool {
        self.network.region(code).is_some()
    }
    fn location(&self, _: &str) -> Option<LocationId> {
        None
    }
    fn has_channel(&self, _: &str) -> bool {
        true
    }
}

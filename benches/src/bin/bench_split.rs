//! Reads routing instances, one JSON object to a line, and prints one result line for each instance and reading.
//!
//! Three kinds are known by their fields: orders to split (`nodes`), facility location (`facilities`), set covering
//! (`rows`). The last two are mapped as one order: customers or rows are lines that must come whole, facilities or columns
//! are locations; facility capacities are left out, so their value is that of the uncapacitated problem.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Parser;
use flate2::read::GzDecoder;
use quartermaster_routing::{
    Budget, Grams, Line, Location, LocationId, Money, Objective, Plan, Problem, Proof, SkuId, Solver, Units,
};
use serde_json::Value;

/// Solve routing instances and print `id, reading, value, bound, proof state, microseconds`.
#[derive(Parser)]
struct Args {
    /// Instance files, `.jsonl` or `.jsonl.gz`.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Search nodes allowed for one plan.
    #[arg(long)]
    nodes: Option<u64>,
    /// Solve each instance this often and report the fastest run.
    #[arg(long, default_value_t = 1)]
    repeat: u32,
}

type Fault = Box<dyn std::error::Error>;

fn main() -> Result<(), Fault> {
    let args = Args::parse();
    let budget = args.nodes.map_or_else(Budget::default, |nodes| Budget { nodes });
    let mut solver = Solver::default();
    let mut out = BufWriter::new(io::stdout().lock());
    let mut tally = Tally::default();
    writeln!(out, "id,reading,lines,locations,shortfall,parcels,cost,bound,proof,nodes,us")?;
    for file in &args.files {
        for line in lines(file)? {
            let instance: Value = serde_json::from_str(&line?)?;
            for (id, reading, problem) in readings(&instance)? {
                let (plan, took) = timed(&mut solver, &problem, budget, args.repeat)?;
                report(&mut out, &id, reading, &instance, &plan, took)?;
                tally.add(&plan, took, lines_of(&instance));
            }
        }
    }
    out.flush()?;
    eprintln!("{tally}");
    Ok(())
}

fn timed(solver: &mut Solver, problem: &Problem, budget: Budget, repeat: u32) -> Result<(Plan, Duration), Fault> {
    let mut best: Option<(Plan, Duration)> = None;
    for _ in 0..repeat.max(1) {
        let start = Instant::now();
        let plan = solver.solve(problem, budget)?;
        let took = start.elapsed();
        if best.as_ref().is_none_or(|(_, least)| took < *least) {
            best = Some((plan, took));
        }
    }
    best.ok_or_else(|| "no run".into())
}

fn report(
    out: &mut impl Write,
    id: &str,
    reading: &str,
    instance: &Value,
    plan: &Plan,
    took: Duration,
) -> io::Result<()> {
    let proof = match plan.proof {
        Proof::Proved => "proved",
        Proof::Bounded => "bounded",
    };
    let (value, bound) = (plan.value, plan.lower_bound);
    let bound = if reading == "a" {
        format!("{}|{}", bound.parcels, bound.cost)
    } else if reading == "c" {
        format!("{}|{}", bound.shortfall, bound.cost)
    } else {
        bound.cost.to_string()
    };
    writeln!(
        out,
        "{id},{reading},{},{},{},{},{},{bound},{proof},{},{:.1}",
        lines_of(instance),
        locations_of(instance),
        value.shortfall,
        plan.parcels.len(),
        value.cost,
        plan.nodes,
        took.as_secs_f64() * 1e6,
    )
}

/// The problems an instance asks for, with the letter of the reading.
fn readings(instance: &Value) -> Result<Vec<(String, &'static str, Problem)>, Fault> {
    if instance.get("nodes").is_some() {
        let id = instance["id"].as_str().ok_or("id")?.to_owned();
        let split = |objective| split_problem(instance, objective);
        return Ok(vec![
            (id.clone(), "a", split(Objective::UnitsParcelsCost)?),
            (id.clone(), "b", split(Objective::UnitsCost)?),
            (id, "c", split(Objective::WholeLinesCost)?),
        ]);
    }
    let id = instance["name"].as_str().ok_or("name")?.to_owned();
    let problem =
        if instance.get("facilities").is_some() { location_problem(instance)? } else { cover_problem(instance)? };
    Ok(vec![(id, "cost", problem)])
}

fn split_problem(instance: &Value, objective: Objective) -> Result<Problem, Fault> {
    let mut builder = Problem::builder(objective);
    let mut lines = Vec::new();
    for (sku, line) in list(instance, "lines")?.iter().enumerate() {
        let units = u32::try_from(line[1].as_u64().ok_or("units")?)?;
        lines.push((line[0].as_str().ok_or("sku")?, builder.line(wanted(sku, units, false)?)?));
    }
    for (id, node) in list(instance, "nodes")?.iter().enumerate() {
        let place = builder.location(location(id, cost(&node["ship"])?, cost(&node["pick"])?)?)?;
        for (sku, line) in &lines {
            let units = node["have"].get(sku).and_then(Value::as_u64).unwrap_or(0);
            builder.offer(*line, place, Units(u32::try_from(units)?), Money(0));
        }
    }
    Ok(builder.build()?)
}

/// Thousandths: published costs have at most three decimals that matter (some are demand times a unit cost).
fn location_problem(instance: &Value) -> Result<Problem, Fault> {
    let mut builder = Problem::builder(Objective::WholeLinesCost);
    let mut places = Vec::new();
    for (id, fixed) in list(instance, "fixed")?.iter().enumerate() {
        places.push(builder.location(location(id, thousandths(fixed)?, 0)?)?);
    }
    for (sku, costs) in list(instance, "cost")?.iter().enumerate() {
        let line = builder.line(wanted(sku, 1, true)?)?;
        for (cost, place) in costs.as_array().ok_or("cost")?.iter().zip(&places) {
            builder.offer(line, *place, Units(1), Money(thousandths(cost)?));
        }
    }
    Ok(builder.build()?)
}

fn cover_problem(instance: &Value) -> Result<Problem, Fault> {
    let mut builder = Problem::builder(Objective::WholeLinesCost);
    let mut places = Vec::new();
    for (id, fixed) in list(instance, "cost")?.iter().enumerate() {
        places.push(builder.location(location(id, cost(fixed)?, 0)?)?);
    }
    for (sku, columns) in list(instance, "covers")?.iter().enumerate() {
        let line = builder.line(wanted(sku, 1, true)?)?;
        for column in columns.as_array().ok_or("covers")? {
            let place = usize::try_from(column.as_u64().ok_or("column")?)?;
            builder.offer(line, *places.get(place).ok_or("column out of range")?, Units(1), Money(0));
        }
    }
    Ok(builder.build()?)
}

fn wanted(sku: usize, units: u32, whole: bool) -> Result<Line, Fault> {
    let sku = SkuId(u32::try_from(sku)?);
    Ok(Line { sku, demand: Units(units), unit_weight: Grams(0), unserved_penalty: Money(0), whole })
}

fn location(id: usize, parcel: i64, pick: i64) -> Result<Location, Fault> {
    let id = LocationId(u32::try_from(id)?);
    Ok(Location { id, parcel_cost: Money(parcel), pick_unit_cost: Money(pick) })
}

fn cost(value: &Value) -> Result<i64, Fault> {
    Ok(value.as_i64().ok_or("a cost that is not a whole number")?)
}

/// A decimal number in thousandths, rounded by its digits so that no float decides.
fn thousandths(value: &Value) -> Result<i64, Fault> {
    let text = value.to_string();
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let digits: String = part.chars().chain("0000".chars()).take(4).collect();
    let four: i64 = digits.parse()?;
    Ok(whole.parse::<i64>()? * 1000 + (four + 5) / 10)
}

fn list<'a>(instance: &'a Value, name: &str) -> Result<&'a Vec<Value>, Fault> {
    Ok(instance[name].as_array().ok_or_else(|| format!("no list {name}"))?)
}

fn lines_of(instance: &Value) -> usize {
    ["lines", "demand", "covers"].iter().find_map(|name| instance[*name].as_array()).map_or(0, Vec::len)
}

fn locations_of(instance: &Value) -> usize {
    ["nodes", "fixed", "cost"].iter().find_map(|name| instance[*name].as_array()).map_or(0, Vec::len)
}

fn lines(path: &Path) -> Result<impl Iterator<Item = io::Result<String>>, Fault> {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let read: Box<dyn Read> =
        if path.extension().is_some_and(|end| end == "gz") { Box::new(GzDecoder::new(file)) } else { Box::new(file) };
    Ok(BufReader::new(read).lines())
}

/// Totals for standard error.
#[derive(Default)]
struct Tally {
    short: Vec<(Duration, bool)>,
    long: Vec<(Duration, bool)>,
    long_gap_ppm: u64,
    long_gap_unknown: usize,
}

/// Orders of more lines than this count as long.
const LINES_SHORT_MAX: usize = 60;

impl Tally {
    fn add(&mut self, plan: &Plan, took: Duration, lines: usize) {
        let proved = plan.proof == Proof::Proved;
        if lines <= LINES_SHORT_MAX {
            self.short.push((took, proved));
            return;
        }
        self.long.push((took, proved));
        match plan.gap_ppm() {
            Some(gap) => self.long_gap_ppm += gap,
            None => self.long_gap_unknown += 1,
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (name, set, limit) in [("up to 60 lines", &self.short, 5), ("longer", &self.long, 50)] {
            let mut times: Vec<_> = set.iter().map(|(took, _)| *took).collect();
            times.sort_unstable();
            let Some(slowest) = times.last() else { continue };
            let proved = set.iter().filter(|(_, proved)| *proved).count();
            let in_time = set
                .iter()
                .filter(|(took, proved)| *took <= Duration::from_millis(limit) && (*proved || limit > 5))
                .count();
            let (p50, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
            writeln!(f, "{name}: {} plans, {proved} proved, {in_time} within {limit} ms", set.len())?;
            writeln!(f, "  time p50 {p50:?}, p99 {p99:?}, max {slowest:?}")?;
        }
        let plans = u64::try_from(self.long.len()).unwrap_or(u64::MAX);
        if let Some(mean) = self.long_gap_ppm.checked_div(plans) {
            write!(f, "  longer: mean gap {mean} ppm, {} without a gap in cost alone", self.long_gap_unknown)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples' answers were computed by another program from the same data.
    #[test]
    fn split_examples_have_their_published_answers() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/bench");
        let Ok(answers) = std::fs::read_to_string(folder.join("split-examples-answers.csv")) else {
            println!("skipped: the example orders are not part of the repository, and not at {}", folder.display());
            return;
        };
        let mut checked = 0;
        let mut solver = Solver::default();
        for line in lines(&folder.join("split-examples.jsonl.gz")).unwrap() {
            let instance: Value = serde_json::from_str(&line.unwrap()).unwrap();
            let plans = readings(&instance).unwrap();
            let plan = |n: usize, solver: &mut Solver| solver.solve(&plans[n].2, Budget::default()).unwrap();
            let (a, b, c) = (plan(0, &mut solver), plan(1, &mut solver), plan(2, &mut solver));
            assert!([&a, &b, &c].iter().all(|plan| plan.proof == Proof::Proved));
            let whole = u64::try_from(lines_of(&instance)).unwrap() - c.value.shortfall;
            let found = format!("{},{},{},{whole},{},", a.value.parcels, a.value.cost, b.value.cost, c.value.cost);
            let id = instance["id"].as_str().unwrap();
            let answer = answers.lines().find(|row| row.starts_with(id)).unwrap();
            assert!(answer.contains(&found), "{found} is not in {answer}");
            checked += 1;
        }
        assert_eq!(checked, 40);
    }
}

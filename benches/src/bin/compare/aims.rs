//! What was asked of Quartermaster, figure by figure, beside what was measured.

use quartermaster_benches::measure::ratio;
use quartermaster_benches::plot;

use crate::chart;
use crate::contender::{Kind, Wire};
use crate::demand::Scenario;
use crate::drive::Figures;
use crate::programme::{BATCHES, CALLS, Entry, FEW, Heat, LARGE_BATCHES, LARGEST_BATCHES, MANY, PIPED};
use crate::report::{markdown, number};
use crate::results::Results;

use Kind::{BareEcho, DurableEcho, Ours, Postgres, RedisAlways, RedisEverysec};
use Scenario::{Hot, SoldOut, ThreeLines, Zipf};

/// TigerBeetle's pending transfers a second in batches of 8,189 with one replica, measured apart on a machine of this class.
const TIGERBEETLE_HOT: u64 = 662_000;
const TIGERBEETLE_ZIPF: u64 = 366_000;

/// A bound.
#[derive(Clone, Copy, Debug)]
enum Asked {
    AtLeast(f64),
    AtMost(f64),
    /// To be told, whatever it is.
    Told,
}

/// A figure that was asked for.
struct Aim {
    what: String,
    asked: Asked,
    unit: &'static str,
    measured: Option<f64>,
}

impl Aim {
    /// Whether it is met, if it was measured and there is a bound.
    fn is_met(&self) -> Option<bool> {
        match self.asked {
            Asked::AtLeast(bound) => Some(self.measured? >= bound),
            Asked::AtMost(bound) => Some(self.measured? <= bound),
            Asked::Told => None,
        }
    }
}

/// A table of all aims: asked, measured, met or not.
pub(crate) fn verdicts(results: &Results) -> String {
    let mut rows = vec![["figure", "asked", "measured", "met"].map(str::to_owned).to_vec()];
    let aims = all(results);
    for aim in &aims {
        let asked = match aim.asked {
            Asked::AtLeast(bound) => format!("≥ {}{}", number(bound), aim.unit),
            Asked::AtMost(bound) => format!("≤ {}{}", number(bound), aim.unit),
            Asked::Told => "told".to_owned(),
        };
        let measured = aim.measured.map_or_else(|| "not measured".to_owned(), |measured| number(measured) + aim.unit);
        let met = aim.is_met().map_or("", |met| if met { "yes" } else { "**no**" });
        rows.push(vec![aim.what.clone(), asked, measured, met.to_owned()]);
    }
    let count = |verdict| aims.iter().filter(|aim| aim.is_met() == verdict).count();
    let missing = aims.iter().filter(|aim| aim.measured.is_none()).count();
    format!(
        "{} of {} met, {} not, {missing} not measured.\n\n{}",
        count(Some(true)),
        aims.len(),
        count(Some(false)),
        markdown(&rows, 1)
    )
}

fn all(results: &Results) -> Vec<Aim> {
    let look = Look { results, aims: Vec::new() };
    look.ceilings().rivals().shapes().engine().memory_and_recovery().growth().aims
}

struct Look<'a> {
    results: &'a Results,
    aims: Vec<Aim>,
}

fn entry(kind: Kind, scenario: Scenario, wire: Wire) -> Entry {
    Entry { kind, scenario, wire }
}

impl Look<'_> {
    fn add(mut self, what: impl Into<String>, asked: Asked, unit: &'static str, measured: Option<f64>) -> Self {
        self.aims.push(Aim { what: what.into(), asked, unit, measured });
        self
    }

    /// Our rate as a multiple of another's in the same heat.
    fn rate(self, heat: Heat, ours: Entry, other: Entry, at_least: f64) -> Self {
        self.rated(heat, ours, other, Asked::AtLeast(at_least))
    }

    fn rated(self, heat: Heat, ours: Entry, other: Entry, asked: Asked) -> Self {
        let measured = self.results.heat(heat).and_then(|heat| heat.ratio(ours, other, |round| round.rate));
        let what = if ours.wire == other.wire && ours.scenario == other.scenario {
            format!("{}; {}: rate against {}", ours.scenario.name(), ours.wire, other.kind.name())
        } else {
            format!("{}; {}: rate against {other}", ours.scenario.name(), ours.wire)
        };
        self.add(what, asked, " x", measured)
    }

    fn median(&self, heat: Heat, entry: Entry, figure: impl Fn(&Figures) -> u64) -> Option<u64> {
        Some(self.results.heat(heat)?.outcome(entry)?.median(figure))
    }

    /// Our rate as it is, or as a multiple of a figure known from elsewhere.
    fn against(self, what: &str, ours: Entry, known: u64, at_least: f64, unit: &'static str) -> Self {
        let measured = self.median(Heat::Bulk, ours, |round| round.rate).map(|rate| ratio(rate, known));
        self.add(format!("{}; {}: {what}", ours.scenario.name(), ours.wire), Asked::AtLeast(at_least), unit, measured)
    }

    fn ceilings(mut self) -> Self {
        for (heat, wire) in [(Heat::Multiplexed, FEW), (Heat::Multiplexed, MANY), (Heat::Calls, CALLS)] {
            let (ours, echo) = (entry(Ours, Zipf, wire), entry(DurableEcho, Zipf, wire));
            let p99 = self.results.heat(heat).and_then(|heat| heat.ratio(ours, echo, |round| round.p99));
            let share = self.results.setting.share_percent;
            let what = format!("{}; {wire}: p99 at {share} % of peak against durable echo", Zipf.name());
            self = self.rate(heat, ours, echo, 0.9).add(what, Asked::AtMost(2.0), " x", p99);
        }
        let batches = entry(Ours, Zipf, LARGE_BATCHES);
        self.against("orders/s", batches, 1, 1_000_000.0, "")
            .rate(Heat::Bulk, batches, entry(DurableEcho, Zipf, LARGE_BATCHES), 0.6)
            .rate(Heat::Bulk, entry(Ours, Zipf, BATCHES), entry(DurableEcho, Zipf, BATCHES), 0.6)
            .against("orders/s", entry(Ours, Zipf, PIPED), 1, 500_000.0, "")
    }

    fn rivals(mut self) -> Self {
        for scenario in [Hot, Zipf] {
            let (calls, piped) = (entry(Ours, scenario, CALLS), entry(Ours, scenario, PIPED));
            let always = entry(RedisAlways, scenario, PIPED);
            self = self
                .rate(Heat::Calls, calls, entry(RedisAlways, scenario, CALLS), 1.1)
                .rate(Heat::Bulk, piped, always, 6.0)
                .rate(Heat::Bulk, entry(Ours, scenario, LARGE_BATCHES), always, 6.0);
        }
        for redis in [RedisAlways, RedisEverysec] {
            let (few, calls) = (entry(Ours, Zipf, FEW), entry(redis, Zipf, CALLS));
            self = self.rated(Heat::Multiplexed, few, calls, Asked::Told);
        }
        for (scenario, calls, bulk) in [
            (Hot, Heat::Calls, Heat::Bulk),
            (Zipf, Heat::Calls, Heat::Bulk),
            (ThreeLines, Heat::ThreeLines, Heat::ThreeLines),
            (SoldOut, Heat::SoldOut, Heat::SoldOut),
        ] {
            for (heat, wire) in [(calls, CALLS), (bulk, PIPED)] {
                self = self.rate(heat, entry(Ours, scenario, wire), entry(RedisEverysec, scenario, wire), 1.0);
            }
        }
        self.rate(Heat::Calls, entry(Ours, Hot, CALLS), entry(Postgres, Hot, CALLS), 15.0)
            .rate(Heat::Calls, entry(Ours, Zipf, CALLS), entry(Postgres, Zipf, CALLS), 2.5)
            .rate(Heat::Bulk, entry(Ours, Hot, LARGE_BATCHES), entry(Postgres, Hot, CALLS), 200.0)
            .against("rate against TigerBeetle's", entry(Ours, Hot, LARGEST_BATCHES), TIGERBEETLE_HOT, 1.5, " x")
            .against("rate against TigerBeetle's", entry(Ours, Zipf, LARGEST_BATCHES), TIGERBEETLE_ZIPF, 2.5, " x")
    }

    fn shapes(mut self) -> Self {
        for (heat, wire) in
            [(Heat::Calls, CALLS), (Heat::Multiplexed, MANY), (Heat::Bulk, PIPED), (Heat::Bulk, LARGE_BATCHES)]
        {
            self = self.rate(heat, entry(Ours, Hot, wire), entry(Ours, Zipf, wire), 0.95);
        }
        for wire in [CALLS, MANY] {
            self = self.rate(Heat::SoldOut, entry(Ours, SoldOut, wire), entry(BareEcho, SoldOut, wire), 0.98);
        }
        self
    }

    fn tool(self, what: &str, asked: Asked, unit: &'static str, tool: &str, figure: &str) -> Self {
        let measured = self.results.tool(tool, figure);
        self.add(what, asked, unit, measured)
    }

    fn engine(self) -> Self {
        let tool = "engine-latency";
        self.tool("engine: one-line reserve, p50", Asked::AtMost(250.0), " ns", tool, "reserve_p50_ns")
            .tool("engine: one-line reserve, p99", Asked::AtMost(1_000.0), " ns", tool, "reserve_p99_ns")
            .tool(
                "engine: one-line reserve of a cache-cold SKU, p50",
                Asked::AtMost(1_000.0),
                " ns",
                tool,
                "cold_p50_ns",
            )
            .tool("engine: two threads against one, spread", Asked::AtLeast(1.8), " x", tool, "two_threads_ratio")
    }

    fn memory_and_recovery(self) -> Self {
        self.tool("memory: a populated cell with its indexes", Asked::AtMost(20.0), " bytes", "memory", "cell_bytes")
            .tool("memory: an open one-line reservation", Asked::AtMost(160.0), " bytes", "memory", "reservation_bytes")
            .tool(
                "memory: resident late in a day's churn against early",
                Asked::AtMost(1.05),
                " x",
                "memory",
                "churn_resident_growth_ratio",
            )
            .tool("memory: resident by allocated after it", Asked::Told, " x", "memory", "churn_fragmentation_ratio")
            .tool("recovery: an event of 10 million (4 s for all)", Asked::AtMost(400.0), " ns", "recovery", "event_ns")
            .tool(
                "recovery: a cell of 100 million loaded (15 s)",
                Asked::AtMost(150.0),
                " ns",
                "recovery",
                "cell_loaded_ns",
            )
            .tool("recovery: a cell's bytes read and checked alone", Asked::Told, " ns", "recovery", "cell_read_ns")
            .tool(
                "snapshot: a cell of 100 million written (15 s)",
                Asked::AtMost(150.0),
                " ns",
                "recovery",
                "cell_written_ns",
            )
            .tool(
                "snapshot: the same beside a thread that reserves, with its reservations",
                Asked::Told,
                " ns",
                "recovery",
                "cell_written_beside_ns",
            )
            .tool(
                "snapshot: throughput while it is taken",
                Asked::AtLeast(0.95),
                " x",
                "recovery",
                "snapshot_throughput_ratio",
            )
            .tool(
                "snapshot: p99.9 longer while it is taken",
                Asked::AtMost(2.0),
                " ms",
                "recovery",
                "snapshot_p999_longer_ms",
            )
    }

    fn growth(mut self) -> Self {
        for (axis, what) in [
            ("cells", "cells"),
            ("locations", "locations of a SKU"),
            ("priority", "locations of a SKU, none named"),
            ("lines", "lines of an order"),
        ] {
            for unit in ["ns", "instructions"] {
                let what = format!("growth with {what}: exponent of {unit}");
                self = self.tool(&what, Asked::Told, "", "scaling", &format!("{axis}_exponent_{unit}"));
            }
        }
        let exponent = plot::fit(&chart::by_connections(self.results, Ours)).map(|(exponent, _)| exponent);
        self.add("growth with connections: exponent of the server's CPU", Asked::Told, "", exponent)
    }
}

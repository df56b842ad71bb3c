//! The outcome as a table, as JSON lines, and what it comes to against each rival.

use std::fmt::Write as _;

use quartermaster_benches::measure::{grouped, median};
use serde::Serialize;

use crate::contender::{Kind, Wire};
use crate::demand::Scenario;
use crate::drive::Figures;

/// All rounds of one contender in one discipline.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) kind: Kind,
    pub(crate) rounds: Vec<Figures>,
}

/// The contenders of one discipline, measured in turns.
#[derive(Clone, Debug)]
pub(crate) struct Discipline {
    pub(crate) scenario: Scenario,
    pub(crate) wire: Wire,
    pub(crate) outcomes: Vec<Outcome>,
}

/// Medians over the rounds, and the spread of the rate.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) rate: u64,
    pub(crate) least: u64,
    pub(crate) most: u64,
    pub(crate) cpu_nanos: u64,
    pub(crate) p50_nanos: u64,
    pub(crate) p99_nanos: u64,
    pub(crate) p999_nanos: u64,
}

impl Outcome {
    pub(crate) fn summary(&self) -> Summary {
        let middle = |figure: fn(&Figures) -> u64| median(&mut self.rounds.iter().map(figure).collect::<Vec<_>>());
        let rates = || self.rounds.iter().map(|round| round.rate);
        Summary {
            rate: middle(|round| round.rate),
            least: rates().min().unwrap_or(0),
            most: rates().max().unwrap_or(0),
            cpu_nanos: middle(|round| round.cpu_nanos),
            p50_nanos: middle(|round| round.p50),
            p99_nanos: middle(|round| round.p99),
            p999_nanos: middle(|round| round.p999),
        }
    }
}

impl Discipline {
    /// Median over the rounds of our rate by theirs, each round between neighbours in time; thousandths.
    pub(crate) fn ratio(&self, other: Kind) -> Option<u64> {
        let of = |kind| self.outcomes.iter().find(|outcome| outcome.kind == kind).map(|outcome| &outcome.rounds);
        let (ours, theirs) = (of(Kind::Ours)?, of(other)?);
        let mut ratios: Vec<u64> =
            ours.iter().zip(theirs).map(|(ours, theirs)| ours.rate * 1_000 / theirs.rate.max(1)).collect();
        (!ratios.is_empty()).then(|| median(&mut ratios))
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let mut text = format!("\n{}; {}\n", self.scenario.name(), self.wire);
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "  {:<20}{:>12}{:>24}{:>9}{:>12}{:>10}{:>10}{:>10}",
            "", "orders/s", "least to most", "ours is", "CPU us each", "p50 us", "p99 us", "p99.9 us"
        );
        for outcome in &self.outcomes {
            let summary = outcome.summary();
            let ratio = match self.ratio(outcome.kind) {
                Some(ratio) if outcome.kind != Kind::Ours => format!("{}.{:02} x", ratio / 1_000, ratio % 1_000 / 10),
                _ => String::new(),
            };
            let _ = writeln!(
                text,
                "  {:<20}{:>12}{:>24}{:>9}{:>10}.{}{:>10}{:>10}{:>10}",
                outcome.kind.name(),
                grouped(summary.rate),
                format!("{} to {}", grouped(summary.least), grouped(summary.most)),
                ratio,
                summary.cpu_nanos / 1_000,
                summary.cpu_nanos % 1_000 / 100,
                grouped(summary.p50_nanos / 1_000),
                grouped(summary.p99_nanos / 1_000),
                grouped(summary.p999_nanos / 1_000),
            );
        }
        text
    }

    /// One JSON object a contender.
    pub(crate) fn lines(&self) -> String {
        #[derive(Serialize)]
        struct Line<'a> {
            scenario: &'a str,
            wire: String,
            contender: &'a str,
            may_lose: &'a str,
            rounds: usize,
            ours_by_theirs_thousandths: Option<u64>,
            #[serde(flatten)]
            summary: Summary,
        }
        let line = |outcome: &Outcome| {
            let line = Line {
                scenario: self.scenario.name(),
                wire: self.wire.to_string(),
                contender: outcome.kind.name(),
                may_lose: outcome.kind.may_lose(),
                rounds: outcome.rounds.len(),
                ours_by_theirs_thousandths: self.ratio(outcome.kind),
                summary: outcome.summary(),
            };
            serde_json::to_string(&line).expect("plain data becomes JSON") + "\n"
        };
        self.outcomes.iter().map(line).collect()
    }
}

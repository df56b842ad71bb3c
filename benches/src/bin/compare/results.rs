//! What was measured, whole: kept as JSON, so that tables, verdicts and charts can be made again without measuring.

use quartermaster_benches::figures::Report;
use quartermaster_benches::measure::{median, ratio};
use serde::{Deserialize, Serialize};

use crate::drive::Figures;
use crate::programme::{Entry, Heat};

/// Everything of one run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) setting: Setting,
    pub(crate) heats: Vec<HeatResult>,
    /// Figures of the other tools.
    pub(crate) tools: Vec<Report>,
}

/// What it was measured on and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Setting {
    pub(crate) command: String,
    pub(crate) cpu: String,
    pub(crate) client_core: usize,
    pub(crate) server_core: usize,
    pub(crate) rounds: usize,
    pub(crate) milliseconds: u64,
    /// Load of the open loop, in percent of what the closed one reached.
    pub(crate) share_percent: u64,
    /// Programs that answer, with their versions.
    pub(crate) versions: Vec<String>,
    /// Time of a write of 4 KiB with its fdatasync, nanoseconds.
    pub(crate) fdatasync_p50: u64,
    pub(crate) fdatasync_p99: u64,
}

/// One heat.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct HeatResult {
    pub(crate) heat: Heat,
    pub(crate) outcomes: Vec<Outcome>,
}

/// All rounds of one entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    #[serde(flatten)]
    pub(crate) entry: Entry,
    pub(crate) rounds: Vec<Figures>,
}

impl Outcome {
    /// Median of a figure over the rounds.
    pub(crate) fn median(&self, figure: impl Fn(&Figures) -> u64) -> u64 {
        median(&mut self.rounds.iter().map(figure).collect::<Vec<_>>())
    }

    /// Least and greatest rate.
    pub(crate) fn spread(&self) -> (u64, u64) {
        let rates = || self.rounds.iter().map(|round| round.rate);
        (rates().min().unwrap_or(0), rates().max().unwrap_or(0))
    }
}

impl HeatResult {
    /// The outcome of an entry.
    pub(crate) fn outcome(&self, entry: Entry) -> Option<&Outcome> {
        self.outcomes.iter().find(|outcome| outcome.entry == entry && !outcome.rounds.is_empty())
    }

    /// A figure of `one` as a multiple of that of `other`, round by round: the median of those.
    pub(crate) fn ratio(&self, one: Entry, other: Entry, figure: impl Fn(&Figures) -> u64) -> Option<f64> {
        let (one, other) = (self.outcome(one)?, self.outcome(other)?);
        let pairs = one.rounds.iter().zip(&other.rounds);
        Some(median(&mut pairs.map(|(one, other)| ratio(figure(one), figure(other))).collect::<Vec<_>>()))
    }
}

impl Results {
    /// The result of a heat, when it was run.
    pub(crate) fn heat(&self, heat: Heat) -> Option<&HeatResult> {
        self.heats.iter().find(|result| result.heat == heat)
    }

    /// A figure of another tool.
    pub(crate) fn tool(&self, tool: &str, figure: &str) -> Option<f64> {
        self.tools
            .iter()
            .rev()
            .filter(|report| report.tool == tool)
            .find_map(|report| report.figures.get(figure).copied())
    }
}

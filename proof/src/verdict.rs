//! How a campaign ended: what it did in figures, and every promise it saw broken.

use std::fmt;

use quartermaster_loadtest::table::grouped;
use serde_json::{Map, Value, json};

/// Violations that are told in full; of more only the count.
const TOLD_MAX: usize = 20;

/// The end of a campaign.
#[derive(Debug, Default)]
pub struct Verdict {
    campaign: &'static str,
    figures: Vec<(&'static str, Value)>,
    violations: Vec<String>,
    more: u64,
}

impl Verdict {
    /// Nothing done yet.
    pub fn new(campaign: &'static str) -> Verdict {
        Verdict { campaign, ..Verdict::default() }
    }

    /// Tells a figure; its unit is part of the name, such as `p99_ms`.
    pub fn figure(&mut self, name: &'static str, value: impl Into<Value>) {
        self.figures.push((name, value.into()));
    }

    /// Tells of a broken promise.
    pub fn violation(&mut self, what: impl Into<String>) {
        if self.violations.len() < TOLD_MAX {
            self.violations.push(what.into());
        } else {
            self.more += 1;
        }
    }

    /// Tells of a broken promise unless `holds`.
    pub fn must(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.violation(what());
        }
    }

    /// Takes over the broken promises of a part, each with `what` it is about.
    pub fn take_over(&mut self, part: &Verdict, what: &str) {
        part.violations.iter().for_each(|violation| self.violation(format!("{what}: {violation}")));
        self.more += part.more;
    }

    /// Whether every promise held.
    pub fn holds(&self) -> bool {
        self.violations.is_empty()
    }

    /// One object: the campaign, its figures, its violations.
    pub fn to_json(&self) -> Value {
        let figures: Map<String, Value> =
            self.figures.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        json!({ "campaign": self.campaign, "holds": self.holds(), "figures": figures, "violations": self.violations, "more_violations": self.more })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.campaign, if self.holds() { "holds" } else { "BROKEN" })?;
        for (name, value) in &self.figures {
            let value = value.as_u64().map_or_else(|| value.to_string(), grouped);
            writeln!(f, "  {:<44} {value:>16}", name.replace('_', " "))?;
        }
        self.violations.iter().try_for_each(|what| writeln!(f, "  violated: {what}"))?;
        if self.more > 0 {
            writeln!(f, "  and {} more", self.more)?;
        }
        Ok(())
    }
}

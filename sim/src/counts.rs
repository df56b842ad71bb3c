//! What a campaign has covered: a simulator that never reaches a case proves nothing about it.

use std::collections::BTreeMap;
use std::fmt;

use crate::workload::Kind;

/// How often everything happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Commands by kind and outcome.
    pub commands: BTreeMap<(Kind, &'static str), u64>,
    /// Everything else by its name.
    pub events: BTreeMap<&'static str, u64>,
}

impl Counts {
    pub(crate) fn command(&mut self, kind: Kind, outcome: &'static str) {
        *self.commands.entry((kind, outcome)).or_default() += 1;
    }

    pub(crate) fn event(&mut self, name: &'static str) {
        self.events(name, 1);
    }

    pub(crate) fn events(&mut self, name: &'static str, count: u64) {
        *self.events.entry(name).or_default() += count;
    }

    /// Commands and passes of timers that were decided.
    #[must_use]
    pub fn commands_total(&self) -> u64 {
        self.commands.values().sum()
    }

    /// How often something happened, by its name.
    #[must_use]
    pub fn of(&self, name: &str) -> u64 {
        self.events.get(name).copied().unwrap_or(0)
    }

    /// Takes another run's counts in.
    pub fn add(&mut self, other: &Self) {
        for (key, count) in &other.commands {
            *self.commands.entry(*key).or_default() += count;
        }
        for (name, count) in &other.events {
            *self.events.entry(name).or_default() += count;
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kinds: BTreeMap<Kind, Vec<String>> = BTreeMap::new();
        for ((kind, outcome), count) in &self.commands {
            kinds.entry(*kind).or_default().push(format!("{outcome} {count}"));
        }
        for (kind, outcomes) in kinds {
            writeln!(formatter, "  {:<18} {}", format!("{kind:?}"), outcomes.join(", "))?;
        }
        for (name, count) in &self.events {
            writeln!(formatter, "  {name:<40} {count}")?;
        }
        Ok(())
    }
}

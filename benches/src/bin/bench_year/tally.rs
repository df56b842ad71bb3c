//! Figures of a year, by name.

use std::{collections::BTreeMap, fmt};

use quartermaster_benches::measure::grouped;

/// Figures by name, in the order of the names; a name is "group: figure".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally(BTreeMap<String, u64>);

impl Tally {
    /// Adds to a figure.
    pub(crate) fn add(&mut self, name: &str, count: u64) {
        match self.0.get_mut(name) {
            Some(figure) => *figure += count,
            None => _ = self.0.insert(name.to_owned(), count),
        }
    }

    /// A figure; 0 when nothing was added.
    pub(crate) fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// The sum of the figures whose names begin so.
    pub(crate) fn sum(&self, group: &str) -> u64 {
        self.0.iter().filter(|(name, _)| name.starts_with(group)).map(|(_, figure)| figure).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, figure)| writeln!(out, "  {name:<58}{:>14}", grouped(*figure)))
    }
}

/// Name of a variant of an enum, from its debug text.
pub(crate) fn variant(value: &impl fmt::Debug) -> String {
    let text = format!("{value:?}");
    text.split(|letter: char| !letter.is_ascii_alphanumeric()).next().unwrap_or_default().to_owned()
}

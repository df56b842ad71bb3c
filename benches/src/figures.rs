//! What a tool found, as one line of JSON, so that `compare` can put the figures of all tools into one report.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The figures of one run of a tool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Name of the program.
    pub tool: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The figures by name; the name ends in the unit.
    pub figures: BTreeMap<String, f64>,
}

impl Report {
    /// An empty report of `tool`, run as this process was.
    #[must_use]
    pub fn new(tool: &str) -> Self {
        Self { tool: tool.to_owned(), arguments: std::env::args().skip(1).collect(), figures: BTreeMap::new() }
    }

    /// Notes a figure; one that is no finite number, which JSON does not know, is left out.
    pub fn add(&mut self, name: impl Into<String>, figure: impl Into<f64>) {
        let figure = figure.into();
        if figure.is_finite() {
            self.figures.insert(name.into(), figure);
        }
    }

    /// Notes a whole number; one that no longer fits 32 bits counts as the largest that does.
    pub fn count(&mut self, name: impl Into<String>, figure: u64) {
        self.add(name, u32::try_from(figure).unwrap_or(u32::MAX));
    }

    /// Prints the line if it is wanted. It stands last in what a tool prints.
    ///
    /// # Panics
    /// Never: plain data becomes JSON.
    pub fn print(&self, wanted: bool) {
        if wanted {
            println!("{}", serde_json::to_string(self).expect("plain data becomes JSON"));
        }
    }

    /// The report in what a tool printed: its last line that is one.
    #[must_use]
    pub fn find(printed: &str) -> Option<Self> {
        printed.lines().rev().find_map(|line| serde_json::from_str(line).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_found_again_in_what_was_printed_around_it() {
        let mut report = Report::new("memory");
        report.add("bytes_per_cell", 17.25);
        report.count("cells", 10_000_000);
        report.add("rounds_by_none", f64::INFINITY);
        let line = serde_json::to_string(&report).expect("plain data");
        assert_eq!(Report::find(&format!("10 cells\n{line}\ndone\n")), Some(report.clone()));
        assert_eq!(report.figures.len(), 2);
        assert_eq!(Report::find("nothing of the kind\n{}\n"), None);
    }
}

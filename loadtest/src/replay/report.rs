//! What a replay did and how it came out, for people and as JSON.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use serde::Serialize;

use super::Totals;
use crate::check::Proof;
use crate::latency::LatencySummary;
use crate::status::JournalWork;
use crate::table::{Table, grouped, grouped_signed, per_second, percent, ratio};

/// The report of `loadtest replay`.
#[derive(Clone, Debug, Serialize)]
pub struct ReplayReport {
    /// The command line.
    pub command: String,
    /// The server's durability mode.
    pub durability: String,
    /// The run went on after an earlier one of the same name.
    pub again: bool,
    /// Seconds of play, without loading and reconciling.
    pub seconds: f64,
    /// Calls that were answered.
    pub calls: u64,
    /// Units by what became of them.
    pub totals: Totals,
    /// Latencies by RPC; those of Reserve from the moment an order was due.
    pub latency: Vec<(&'static str, LatencySummary)>,
    /// What the server's journal did.
    pub journal: JournalWork,
    /// The reconciliation.
    pub proof: Proof,
    /// [`ReplayReport::seconds`], exactly.
    #[serde(skip)]
    pub elapsed: Duration,
}

impl ReplayReport {
    /// The report as one JSON object.
    pub fn to_json(&self) -> String {
        // Maps with string keys, numbers and text: nothing in it can fail to become JSON.
        serde_json::to_string_pretty(self).expect("a report is plain data")
    }
}

impl Display for ReplayReport {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let totals = &self.totals;
        writeln!(out, "\n  {}", self.command)?;
        write!(out, "  durability {}, {:.1} s of play", self.durability, self.elapsed.as_secs_f64())?;
        writeln!(out, "{}\n", if self.again { ", continued under the name of an earlier run" } else { "" })?;
        let mut table = Table::new(&["orders", "count", "rate", "share"]);
        let rate = |count| format!("{}/s", grouped(per_second(count, self.elapsed)));
        table.row(["calls".to_owned(), grouped(self.calls), rate(self.calls), String::new()]);
        table.row(["lines".to_owned(), grouped(totals.lines), rate(totals.lines), String::new()]);
        for (name, count) in [
            ("orders", totals.orders),
            ("  served whole", totals.orders_whole),
            ("  served at least in part", totals.orders_served),
            ("  served from several locations", totals.orders_split),
        ] {
            table.row([name.to_owned(), grouped(count), rate(count), percent(count, totals.orders)]);
        }
        table.row(["returns".to_owned(), grouped(totals.returns), rate(totals.returns), String::new()]);
        writeln!(out, "{}", table.render())?;
        let mut table = Table::new(&["units", "count", "of ordered"]);
        let granted = totals.demanded - totals.unfilled;
        for (name, count) in [
            ("ordered", totals.demanded),
            ("  granted (fill rate)", granted),
            ("  unfilled", totals.unfilled),
            ("shipped", totals.shipped),
            ("released before payment", totals.released),
            ("left to expire", totals.expired),
            ("cancelled after payment", totals.cancelled),
            ("returned", totals.returned),
        ] {
            table.row([name.to_owned(), grouped(count), percent(count, totals.demanded)]);
        }
        for (name, count) in [
            ("  returned, but never shipped", grouped(totals.returned_unshipped)),
            ("opening stock", grouped(totals.opening)),
            ("received", grouped(totals.received)),
            ("adjusted", grouped_signed(totals.adjusted)),
            ("  cut off, was not there", grouped(totals.clipped)),
            ("  adjustments cut", grouped(totals.clipped_adjustments)),
        ] {
            table.row([name.to_owned(), count]);
        }
        writeln!(out, "{}", table.render())?;
        let mut table = Table::new(&["latency", "count", "p50", "p99", "p99.9", "max"]);
        for (name, summary) in &self.latency {
            table.row(std::iter::once((*name).to_owned()).chain(summary.cells()));
        }
        writeln!(out, "{}", table.render())?;
        let JournalWork { events, fsyncs, .. } = self.journal;
        writeln!(
            out,
            "  {} events, {} fsyncs, {} events per fsync\n",
            grouped(events),
            grouped(fsyncs),
            ratio(events, fsyncs)
        )?;
        write!(out, "{}", self.proof)?;
        let verdict =
            if self.proof.holds() { "reconciled: every unit is where the files say" } else { "NOT reconciled" };
        writeln!(out, "\n  {verdict}")
    }
}

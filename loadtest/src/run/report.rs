//! What a load measured, for people and as JSON.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use serde::Serialize;

use crate::latency::LatencySummary;
use crate::machine::Machine;
use crate::status::JournalWork;
use crate::table::{Table, counted, grouped, per_second, percent, ratio};
use crate::tally::Tally;

/// The report of `loadtest run`.
#[derive(Clone, Debug, Serialize)]
pub struct RunReport {
    /// The command line.
    pub command: String,
    /// Where the load ran.
    pub machine: Machine,
    /// What the server says.
    pub server: ServerSide,
    /// SKUs the load drew from.
    pub skus: usize,
    /// Seconds from the first intended start to the last answer to a reservation.
    pub seconds: f64,
    /// Reservations that were due and never sent, because the server was too slow for the rate.
    pub unsent: u64,
    /// What came back.
    pub tally: Tally,
    /// Latencies by RPC; those of Reserve from the intended start.
    pub latency: BTreeMap<&'static str, LatencySummary>,
    /// [`RunReport::seconds`], exactly.
    #[serde(skip)]
    pub elapsed: Duration,
}

/// What the server says of itself.
#[derive(Clone, Debug, Serialize)]
pub struct ServerSide {
    /// Its version.
    pub version: String,
    /// `fsync`, `interval` or `none`.
    pub durability: String,
    /// What its journal did during the load.
    pub journal: JournalWork,
}

impl RunReport {
    /// The report as one JSON object.
    pub fn to_json(&self) -> String {
        // Maps with string keys, numbers and text: nothing in it can fail to become JSON.
        serde_json::to_string_pretty(self).expect("a report is plain data")
    }
}

impl Display for RunReport {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let tally = &self.tally;
        let decided = tally.decided();
        let rate = |count| format!("{}/s", grouped(per_second(count, self.elapsed)));
        writeln!(out, "\n  {}", self.command)?;
        writeln!(
            out,
            "  server {}, durability {}; client on {} of {}\n",
            self.server.version,
            self.server.durability,
            counted(u64::try_from(self.machine.cores_usable).unwrap_or(0), "core"),
            self.machine.cpu
        )?;
        let mut table = Table::new(&["answers", "count", "rate", "share"]);
        let mut row = |name: &str, count: u64| {
            table.row([name.to_owned(), grouped(count), rate(count), percent(count, decided)]);
        };
        row("reservations decided", decided);
        row("  held", tally.holds);
        row("  sold out", tally.sold_out);
        tally.rejections.iter().for_each(|(reason, &count)| row(&format!("  {reason}"), count));
        if tally.confirmed > 0 {
            row("confirmed", tally.confirmed);
        }
        if tally.expired > 0 {
            row("expired before confirmed", tally.expired);
        }
        if tally.shipped > 0 {
            row("shipped", tally.shipped);
        }
        row("errors", tally.errors_total());
        tally.errors.iter().for_each(|(error, &count)| row(&format!("  {error}"), count));
        row("retries", tally.retries);
        row("replayed", tally.replayed);
        if self.unsent > 0 {
            row("due but never sent", self.unsent);
        }
        writeln!(out, "{}", table.render())?;
        let mut table = Table::new(&["latency", "count", "p50", "p99", "p99.9", "max"]);
        for (name, summary) in &self.latency {
            table.row(std::iter::once((*name).to_owned()).chain(summary.cells()));
        }
        writeln!(out, "{}  Reserve is timed from the intended start of each request.\n", table.render())?;
        let journal = self.server.journal;
        let mut table = Table::new(&["journal", "count", "rate"]);
        table.row(["events".to_owned(), grouped(journal.events), rate(journal.events)]);
        table.row(["fsyncs".to_owned(), grouped(journal.fsyncs), rate(journal.fsyncs)]);
        table.row(["events per fsync".to_owned(), ratio(journal.events, journal.fsyncs), String::new()]);
        table.row(["bytes per event".to_owned(), ratio(journal.bytes, journal.events), String::new()]);
        write!(out, "{}", table.render())
    }
}

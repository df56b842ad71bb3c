//! The table of a sale.

use std::fmt::{self, Display, Formatter};

use super::SaleOutcome;
use crate::status::JournalWork;
use crate::table::{Table, grouped, per_second, percent, ratio};

/// The table of a sale.
#[derive(Debug)]
pub struct SaleReport<'a> {
    /// What the clients measured.
    pub outcome: &'a SaleOutcome,
    /// What the server's journal did meanwhile.
    pub journal: JournalWork,
}

impl Display for SaleReport<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let SaleOutcome { tally, calls, reserve, confirm, ship, elapsed, unsent, unknown } = self.outcome;
        let rate = |count| format!("{}/s", grouped(per_second(count, *elapsed)));
        let mut table = Table::new(&["answers", "count", "rate", "of orders"]);
        let decided = tally.decided();
        let mut row = |name: &str, count: u64, share: String| {
            table.row([name.to_owned(), grouped(count), rate(count), share]);
        };
        row("requests", *calls, String::new());
        row("orders decided", decided, String::new());
        row("reservations", tally.holds, percent(tally.holds, decided));
        row("sold out", tally.sold_out, percent(tally.sold_out, decided));
        row("paid", tally.confirmed, percent(tally.confirmed, decided));
        if tally.expired > 0 {
            row("paid too late", tally.expired, percent(tally.expired, decided));
        }
        row("shipped", tally.shipped, percent(tally.shipped, decided));
        tally.rejections.iter().for_each(|(reason, &count)| row(reason, count, String::new()));
        tally.errors.iter().for_each(|(error, &count)| row(error, count, String::new()));
        if *unsent > 0 {
            row("too late to send", *unsent, String::new());
        }
        if !unknown.is_empty() {
            row("outcome unknown", u64::try_from(unknown.len()).unwrap_or(0), String::new());
        }
        writeln!(out, "{}", table.render())?;
        let mut table = Table::new(&["latency", "count", "p50", "p99", "p99.9", "max"]);
        for (name, summary) in [("Reserve, from the intended start", reserve), ("Confirm", confirm), ("Ship", ship)] {
            table.row(std::iter::once(name.to_owned()).chain(summary.cells()));
        }
        writeln!(out, "{}", table.render())?;
        let JournalWork { events, fsyncs, .. } = self.journal;
        let mut table = Table::new(&["journal", "events", "fsyncs", "events per fsync"]);
        table.row(["durable before the answer".to_owned(), grouped(events), grouped(fsyncs), ratio(events, fsyncs)]);
        write!(out, "{}", table.render())
    }
}

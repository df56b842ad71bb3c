//! The outcome for people: a table a heat on the terminal and in `figures.md`, and one table for the README.

use std::fmt::Write as _;

use quartermaster_benches::measure::grouped;

use crate::aims;
use crate::contender::{Kind, Wire};
use crate::demand::Scenario;
use crate::programme::{BATCHES, CALLS, Entry, LARGE_BATCHES, LARGEST_BATCHES, MANY, PIPED, TRANSACTIONS};
use crate::results::{HeatResult, Outcome, Results, Setting};

/// How it was measured, in a few lines.
pub(crate) fn setting(setting: &Setting) -> String {
    format!(
        "{}; {}\nclient on core {}, servers on core {}; {} rounds of 2 x {} ms in turns; latency at {} % of each one's own peak\n\
         fdatasync of 4 KiB in a file of zeros: p50 {} us, p99 {} us\n",
        setting.cpu,
        setting.versions.join("; "),
        setting.client_core,
        setting.server_core,
        setting.rounds,
        setting.milliseconds,
        setting.share_percent,
        micros(setting.fdatasync_p50),
        micros(setting.fdatasync_p99),
    )
}

/// A heat, as a table in Markdown that is legible as it stands.
pub(crate) fn table(setting: &Setting, result: &HeatResult) -> String {
    let mut text = format!("\n## {}\n\n", result.heat.name());
    let latency = format!("at {} % of it: p50 µs", setting.share_percent);
    let mut rows = vec![vec![
        "demand".to_owned(),
        "sent".to_owned(),
        "contender".to_owned(),
        "orders/s".to_owned(),
        "least to most".to_owned(),
        "we are".to_owned(),
        "server CPU µs".to_owned(),
        "client busy".to_owned(),
        latency,
        "p99 µs".to_owned(),
        "p99.9 µs".to_owned(),
    ]];
    for outcome in &result.outcomes {
        let entry = outcome.entry;
        let ours = Entry { kind: Kind::Ours, ..entry };
        let ratio = result.ratio(ours, entry, |round| round.rate).filter(|_| entry.kind != Kind::Ours);
        let (least, most) = outcome.spread();
        rows.push(vec![
            entry.scenario.name().to_owned(),
            entry.wire.to_string(),
            entry.kind.name().to_owned(),
            grouped(outcome.median(|round| round.rate)),
            format!("{} to {}", grouped(least), grouped(most)),
            ratio.map_or_else(String::new, |ratio| format!("{ratio:.2} x")),
            micros(outcome.median(|round| round.cpu_nanos)),
            format!("{} %", outcome.median(|round| round.client_percent)),
            micros(outcome.median(|round| round.p50)),
            micros(outcome.median(|round| round.p99)),
            micros(outcome.median(|round| round.p999)),
        ]);
    }
    text.push_str(&markdown(&rows, 3));
    text
}

/// Everything that was measured, and what it comes to.
pub(crate) fn figures(results: &Results) -> String {
    let mut text = format!(
        "# Figures\n\nMade by `{}`.\n\n```text\n{}```\n\n{}",
        results.setting.command,
        setting(&results.setting),
        aims::verdicts(results)
    );
    results.heats.iter().for_each(|heat| text.push_str(&table(&results.setting, heat)));
    for report in &results.tools {
        // Writing to a string does not fail.
        let _ = write!(text, "\n## {} {}\n\n", report.tool, report.arguments.join(" "));
        let figure = |(name, figure): (&String, &f64)| vec![name.clone(), number(*figure)];
        let mut rows = vec![vec!["figure".to_owned(), "measured".to_owned()]];
        rows.extend(report.figures.iter().map(figure));
        text.push_str(&markdown(&rows, 1));
    }
    text
}

/// The table of the README: rates by demand, and what an order costs and waits.
pub(crate) fn readme(results: &Results) -> String {
    use Kind::{BareEcho, DurableEcho, Ours, Postgres, RedisAlways, RedisEverysec, RedisOff};
    const WIRES: [Wire; 7] = [CALLS, TRANSACTIONS, MANY, PIPED, BATCHES, LARGE_BATCHES, LARGEST_BATCHES];
    const KINDS: [Kind; 7] = [Ours, RedisAlways, RedisEverysec, RedisOff, Postgres, DurableEcho, BareEcho];
    const SCENARIOS: [Scenario; 4] = [Scenario::Hot, Scenario::Zipf, Scenario::ThreeLines, Scenario::SoldOut];
    let mut rows = vec![["orders a second", "", "a power cut takes"].map(str::to_owned).to_vec()];
    rows[0].extend(SCENARIOS.map(|scenario| scenario.name().to_owned()));
    rows[0].extend(["server CPU µs", "p50 µs", "p99 µs"].map(str::to_owned));
    for wire in WIRES {
        for kind in KINDS {
            let cells = SCENARIOS.map(|scenario| find(results, Entry { kind, scenario, wire }));
            let Some(typical) = cells[1].or_else(|| cells.into_iter().flatten().next()) else { continue };
            let mut row = vec![wire.to_string(), kind.name().to_owned(), kind.may_lose().to_owned()];
            row.extend(
                cells.map(|cell| cell.map_or_else(String::new, |outcome| grouped(outcome.median(|round| round.rate)))),
            );
            row.push(micros(typical.median(|round| round.cpu_nanos)));
            row.push(micros(typical.median(|round| round.p50)));
            row.push(micros(typical.median(|round| round.p99)));
            rows.push(row);
        }
    }
    let mut text = markdown(&rows, 3);
    let setting = &results.setting;
    let _ = write!(
        text,
        "\nMedians of {} rounds in turns, client on one core, server on the other ({}). CPU and latency are of the Zipf demand; latency is at {} % of\n\
         each one's own peak, from when an order was due. After every heat each server's books showed exactly what its answers had granted.\n",
        setting.rounds, setting.cpu, setting.share_percent
    );
    text
}

/// The first outcome of an entry in any heat.
fn find(results: &Results, entry: Entry) -> Option<&Outcome> {
    results.heats.iter().find_map(|heat| heat.outcome(entry))
}

/// Rows as a table in Markdown, of which the first so many columns are texts and the others numbers.
pub(crate) fn markdown(rows: &[Vec<String>], texts: usize) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).max(3);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if column < texts { format!(" {cell:<width$} ") } else { format!(" {cell:>width$} ") }
        });
        format!("|{}|\n", cells.collect::<Vec<_>>().join("|"))
    };
    let rule = widths.iter().enumerate().map(|(column, &width)| {
        if column < texts { format!(" {} ", "-".repeat(width)) } else { format!(" {}: ", "-".repeat(width - 1)) }
    });
    let rule = format!("|{}|\n", rule.collect::<Vec<_>>().join("|"));
    let mut lines = rows.iter().map(line);
    lines.next().unwrap_or_default() + &rule + &lines.collect::<String>()
}

/// Nanoseconds as microseconds, with one digit behind the point below a hundred.
fn micros(nanos: u64) -> String {
    if nanos < 100_000 { format!("{}.{}", nanos / 1_000, nanos % 1_000 / 100) } else { grouped(nanos / 1_000) }
}

/// A figure with as many digits as say something.
pub(crate) fn number(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    match digits.parse::<u64>() {
        Ok(whole) if whole >= 100 => grouped(whole),
        _ => format!("{figure:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_markdown_and_numbers_are_short() {
        let rows = [vec!["a".to_owned(), "rate".to_owned()], vec!["Redis".to_owned(), "1,000".to_owned()]];
        assert_eq!(markdown(&rows, 1), "| a     |  rate |\n| ----- | ----: |\n| Redis | 1,000 |\n");
        assert_eq!((micros(1_250), micros(123_456_789)), ("1.2".to_owned(), "123,456".to_owned()));
        assert_eq!((number(1.256), number(1_234.5)), ("1.26".to_owned(), "1,234".to_owned()));
    }
}

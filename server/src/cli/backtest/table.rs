//! The figures as a table for a terminal, and what one must know to read them.

use std::fmt::Write as _;
use std::path::Path;

use quartermaster_backtest::Outcome;
use quartermaster_backtest::change::Difference;
use quartermaster_engine::time::Timestamp;

use super::Report;
use super::rows::{Row, currency, rows, text};
use crate::cli::show;

/// All of it.
pub(super) fn page(report: &Report, out: Option<&Path>) -> String {
    let mut page = String::new();
    write(report, out, &mut page).unwrap_or_default();
    page
}

fn write(report: &Report, out: Option<&Path>, page: &mut String) -> std::fmt::Result {
    let outcome = &report.outcome;
    let number = show::number;
    writeln!(page, "data directory  {}", report.directory)?;
    writeln!(page, "run again       {}", heard(outcome))?;
    let (records, rate) = (number(outcome.records), number(show::rate(outcome.records, report.span)));
    writeln!(page, "took            {}, {rate} records a second ({records})", show::duration(report.span))?;
    writeln!(page, "decided by      {}", report.tried())?;
    writeln!(page, "money           {}\n", currency(&outcome.before, &outcome.after))?;
    figures(&rows(&outcome.before, &outcome.after), page)?;
    writeln!(page, "\nchanged orders  {}", changed(outcome))?;
    for note in notes(outcome) {
        writeln!(page, "note            {note}")?;
    }
    if let Some(out) = out {
        writeln!(page, "\nwritten         {}", out.join("report.html").display())?;
    }
    Ok(())
}

fn figures(rows: &[Row], page: &mut String) -> std::fmt::Result {
    writeln!(page, "{:<48}{:>16}{:>16}{:>16}", "", "as decided", "run again", "change")?;
    let mut group = "";
    for row in rows {
        let own = if row.group == group { "" } else { row.group };
        group = row.group;
        let name = if row.unit.is_empty() { row.name.clone() } else { format!("{}, {}", row.name, row.unit) };
        let (before, after) = (text(row.before), text(row.after));
        writeln!(page, "{own:<10} {name:<37}{before:>16}{after:>16}{:>16}", row.change())?;
    }
    Ok(())
}

/// Which part of the log it is.
pub(super) fn heard(outcome: &Outcome) -> String {
    let span = outcome.span.map_or_else(String::new, |(first, last)| format!(", {} to {}", day(first), day(last)));
    let from = if outcome.began_after.get() > 0 {
        format!(", beginning with the snapshot at LSN {}", show::number(outcome.began_after.get()))
    } else {
        String::new()
    };
    format!("to LSN {}{span}{from}", show::number(outcome.last_lsn.get()))
}

/// To the minute, UTC.
pub(super) fn day(at: Timestamp) -> String {
    let text = show::time(at);
    format!("{} {} UTC", text.get(..10).unwrap_or_default(), text.get(11..16).unwrap_or_default())
}

/// How many, and in what they differ.
pub(super) fn changed(outcome: &Outcome) -> String {
    let all: u64 = outcome.differences.values().sum();
    let part = |difference: &Difference| {
        let count = outcome.differences.get(difference)?;
        let what = match difference {
            Difference::Units => "in the units served",
            Difference::Places => "in the places",
            Difference::Dates => "in service or dates",
            Difference::Cost => "in the cost alone",
        };
        Some(format!("{} {what}", show::number(*count)))
    };
    let parts: Vec<String> = Difference::ALL.iter().filter_map(part).collect();
    let of = format!("{} of {}", show::number(all), show::number(outcome.before.orders));
    if parts.is_empty() { of } else { format!("{of}: {}", parts.join(", ")) }
}

/// What the figures do not say by themselves. What did not happen is not mentioned.
pub(super) fn notes(outcome: &Outcome) -> Vec<String> {
    let number = show::number;
    let followed = &outcome.followed;
    let mut notes = vec![
        "orders that were refused when they came are not in the log, so they are not asked again".to_owned(),
        "paid is handling, carriage and picking; the rest of the cost is what a policy weighs, so compare what is paid"
            .to_owned(),
        "figures are of orders as decided when held; merges and reroutes that came later are counted apart".to_owned(),
    ];
    let mut note = |count: u64, text: String| {
        if count > 0 {
            notes.push(text);
        }
    };
    let refused: u64 = outcome.not_repeatable.values().sum();
    let why = outcome.not_repeatable.keys().next().map_or("", String::as_str);
    note(refused, format!("{} orders cannot be asked again and are in no figure; the first: {why}", number(refused)));
    note(
        outcome.unsourced,
        format!(
            "{} holds named their places or took by priority: taken again as they were, {} could not be; in no figure",
            number(outcome.unsourced),
            number(outcome.unsourced_refused)
        ),
    );
    let unfillable = outcome.unfillable.orders;
    note(unfillable, format!("{} orders could be served by no place: {}", number(unfillable), reasons(outcome)));
    let merges = (followed.merges, followed.merges_again);
    note(
        merges.0.count,
        format!(
            "{} merges saved {} in the log; {} of them were better again and saved {}",
            number(merges.0.count),
            merges.0.saved,
            number(merges.1.count),
            merges.1.saved
        ),
    );
    for (name, tally) in &followed.tallies {
        let (left, events) = (number(tally.left_out), number(tally.events));
        note(
            tally.left_out,
            format!("{left} of {events} times {name} in the log, and nothing to do in the other world"),
        );
    }
    note(followed.of_refused, format!("{} events are of orders that were refused again", number(followed.of_refused)));
    note(
        followed.units_missing,
        format!("{} units cancelled or shipped were not in the new plans", number(followed.units_missing)),
    );
    note(
        followed.units_not_there,
        format!("{} promised units were not there to be shipped", number(followed.units_not_there)),
    );
    note(
        followed.given_up,
        format!("{} holds were given up for an order that is refused now", number(followed.given_up)),
    );
    let clamped = outcome.clamped;
    note(
        clamped.cells + clamped.refused,
        format!(
            "stock changes are taken over as differences: {} units in {} cells were not there to take away, {} changes refused",
            number(clamped.units),
            number(clamped.cells),
            number(clamped.refused)
        ),
    );
    notes
}

fn reasons(outcome: &Outcome) -> String {
    let mut reasons: Vec<(&String, &u64)> = outcome.unfillable.by_reason.iter().collect();
    reasons.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), (*name).clone()));
    let told = reasons.iter().take(5).map(|(name, count)| format!("{name} {}", show::number(**count)));
    told.collect::<Vec<_>>().join(", ")
}

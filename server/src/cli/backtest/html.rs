//! One page that needs nothing else: no file, no font, no address. It reads in light and dark, on a screen and on a phone.

mod chart;
mod orders;
mod places;
mod series;

use std::fmt::Write as _;

use quartermaster_backtest::change::Difference;

use super::Report;
use super::rows::{Row, currency, rows, text};
use super::table::{heard, notes};
use crate::cli::show;

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/sort.js");

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    let outcome = &report.outcome;
    let rows = rows(&outcome.before, &outcome.after);
    let money = currency(&outcome.before, &outcome.after);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Backtest: {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
        escape(&report.tried())
    );
    page += &format!(
        "<header>\n<h1>Backtest</h1>\n<p>{} orders of <code>{}</code>, {}. Decided again under <strong>{}</strong>. Money is in {}.</p>\n\
         <p class=\"legend\"><span class=\"key before\"></span>as decided <span class=\"key after\"></span>run again</p>\n</header>\n",
        show::number(outcome.before.orders),
        escape(&report.directory),
        escape(&heard(outcome)),
        escape(&report.tried()),
        escape(&money)
    );
    page += &tiles(&rows);
    page += &section("What changed", &changes(report));
    page += &section("Figures", &figures(&rows));
    page += &section("Where the cost is", &costs(&rows));
    page += &series::section(outcome);
    page += &section("Locations", &places::part(outcome));
    page += &section("Orders that changed most", &orders::changed(outcome));
    if outcome.unfillable.orders > 0 {
        page += &section("Orders that no place could serve", &orders::unfillable(outcome));
    }
    page += &section("To be known", &list(&notes(outcome)));
    page + &format!("</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n")
}

fn section(title: &str, content: &str) -> String {
    format!("<section>\n<h2>{title}</h2>\n{content}</section>\n")
}

/// The figures one looks at first.
fn tiles(rows: &[Row]) -> String {
    let keys = [
        ("paid_per_order", "Paid per order"),
        ("parcels_per_order", "Parcels per order"),
        ("split_percent", "Split orders, %"),
        ("unfilled", "Unfilled units"),
        ("late", "Promised late"),
        ("lead_hours", "Hours to arrival"),
    ];
    let mut tiles = String::from("<div class=\"tiles\">\n");
    for (key, title) in keys {
        let Some(row) = rows.iter().find(|row| row.key == key) else { continue };
        _ = writeln!(
            tiles,
            "<div class=\"tile\"><h3>{title}</h3><p class=\"now\">{}</p><p>from {} <span class=\"{}\">{}</span></p></div>",
            text(row.after),
            text(row.before),
            mark(row),
            row.change()
        );
    }
    tiles + "</div>\n"
}

/// Class of a change.
fn mark(row: &Row) -> &'static str {
    match row.better() {
        Some(true) => "change better",
        Some(false) => "change worse",
        None => "change",
    }
}

/// How many orders changed, and in what.
fn changes(report: &Report) -> String {
    let outcome = &report.outcome;
    let count = |difference: Difference| outcome.differences.get(&difference).copied().unwrap_or(0);
    let all: u64 = outcome.differences.values().sum();
    let parts = [
        ("as before", "same", outcome.before.orders.saturating_sub(all)),
        ("another cost", "cost", count(Difference::Cost)),
        ("another service or date", "dates", count(Difference::Dates)),
        ("other places", "places", count(Difference::Places)),
        ("other units", "units", count(Difference::Units)),
    ];
    chart::stack(&parts)
}

/// All figures, by group.
fn figures(rows: &[Row]) -> String {
    let mut table = String::from(
        "<div class=\"wide\"><table>\n<thead><tr><th></th><th class=\"n\">as decided</th><th class=\"n\">run again</th>\
         <th class=\"n\">change</th></tr></thead>\n",
    );
    let mut group = "";
    for row in rows {
        if row.group != group {
            group = row.group;
            _ = writeln!(table, "<tbody><tr class=\"group\"><th colspan=\"4\">{group}</th></tr>");
        }
        let unit = if row.unit.is_empty() { String::new() } else { format!(", {}", row.unit) };
        _ = writeln!(
            table,
            "<tr><th>{}{unit}</th><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\"><span class=\"{}\">{}</span></td></tr>",
            row.name,
            text(row.before),
            text(row.after),
            mark(row),
            row.change()
        );
    }
    table + "</table></div>\n"
}

fn costs(rows: &[Row]) -> String {
    let terms = rows.iter().filter(|row| row.key.starts_with("cost_") && !row.key.contains("_per_"));
    let bars: Vec<chart::Pair<'_>> =
        terms.map(|row| chart::Pair { label: &row.name, before: text(row.before), after: text(row.after) }).collect();
    if bars.is_empty() { "<p>Nothing cost anything.</p>\n".to_owned() } else { chart::pairs(&bars) }
}

fn list(notes: &[String]) -> String {
    let items: String = notes.iter().map(|note| format!("<li>{}</li>\n", escape(note))).collect();
    format!("<ul>\n{items}</ul>\n")
}

/// Text that stands for itself, in content and in quoted attributes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            letter if letter.is_control() => out.push(' '),
            letter => out.push(letter),
        }
    }
    out
}

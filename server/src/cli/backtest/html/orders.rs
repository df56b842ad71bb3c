//! Orders one by one: those that changed most, those that no place could serve.

use std::fmt::Write as _;

use quartermaster_backtest::Outcome;
use quartermaster_backtest::change::Side;

use super::super::table::day;
use super::escape;
use crate::cli::show::number;

/// The largest differences in cost, before and after.
pub(super) fn changed(outcome: &Outcome) -> String {
    if outcome.changed.is_empty() {
        return "<p>None: every decision is the same again.</p>\n".to_owned();
    }
    let all: u64 = outcome.differences.values().sum();
    let mut table = format!(
        "<p>The {} with the largest difference in cost of {}; all are in orders.csv.</p>\n<div class=\"wide tall\"><table class=\"sortable\">\n\
         <thead><tr><th>order</th><th>came</th><th>differs in</th><th>as decided</th><th>run again</th>\
         <th class=\"n\">parcels</th><th class=\"n\">again</th><th class=\"n\">cost</th><th class=\"n\">again</th>\
         <th class=\"n\">dearer by</th></tr></thead>\n<tbody>\n",
        number(u64::try_from(outcome.changed.len()).unwrap_or(0)),
        number(all)
    );
    for one in &outcome.changed {
        let (before, after) = (&one.before, &one.after);
        _ = writeln!(
            table,
            "<tr><th title=\"reservation {}\">{}</th><td class=\"time\">{}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{:+}</td></tr>",
            one.reservation,
            escape(&one.order_id),
            day(one.at),
            one.difference.name(),
            places(before),
            places(after),
            before.parcels,
            after.parcels,
            before.cost,
            after.cost,
            one.dearer_by()
        );
    }
    table + "</tbody></table></div>\n"
}

/// As in "DC 2, ST-1 1".
fn places(side: &Side) -> String {
    if side.places.is_empty() {
        return "<em>nothing</em>".to_owned();
    }
    let places = side.places.iter().map(|(place, units)| format!("{}&nbsp;{units}", escape(place)));
    places.collect::<Vec<_>>().join(", ")
}

/// What removed every place.
pub(super) fn unfillable(outcome: &Outcome) -> String {
    let unfillable = &outcome.unfillable;
    let mut reasons: Vec<(&String, &u64)> = unfillable.by_reason.iter().collect();
    reasons.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), (*name).clone()));
    let items: String = reasons
        .iter()
        .map(|(name, count)| format!("<li><code>{}</code>: {} orders</li>\n", escape(name), number(**count)))
        .collect();
    let mut table = format!(
        "<p>{} orders: every place that has the goods is removed, by these.</p>\n<ul>\n{items}</ul>\n<div class=\"wide tall\"><table class=\"sortable\">\n\
         <thead><tr><th>order</th><th>came</th><th>SKU</th><th>removed by, places</th></tr></thead>\n<tbody>\n",
        number(unfillable.orders)
    );
    for one in &unfillable.first {
        let reasons = one.removed_by.iter().map(|(name, places)| format!("{}&nbsp;{places}", escape(name)));
        _ = writeln!(
            table,
            "<tr><th title=\"reservation {}\">{}</th><td class=\"time\">{}</td><td>{}</td><td>{}</td></tr>",
            one.reservation,
            escape(&one.order_id),
            day(one.at),
            escape(&one.sku),
            reasons.collect::<Vec<_>>().join(", ")
        );
    }
    table + "</tbody></table></div>\n"
}

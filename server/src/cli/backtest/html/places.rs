//! What the locations had to do.

use std::fmt::Write as _;

use quartermaster_backtest::Outcome;
use quartermaster_backtest::figures::{Figures, Load};
use quartermaster_engine::id::LocationId;

use super::super::rows::{Figure, text};
use super::chart::{Pair, pairs};
use super::escape;
use crate::cli::show::number;

/// Locations in the chart: those with most parcels.
const CHART_MAX: usize = 12;
/// Locations in the table; all are in the file.
const TABLE_MAX: usize = 500;

/// Chart and table.
pub(super) fn part(outcome: &Outcome) -> String {
    let load = |figures: &Figures, place: LocationId| figures.locations.get(&place).copied().unwrap_or_default();
    let mut places: Vec<(&str, LocationId, Load, Load)> = outcome
        .locations
        .iter()
        .map(|(id, code)| (code.as_str(), *id, load(&outcome.before, *id), load(&outcome.after, *id)))
        .filter(|(_, _, before, after)| before.parcels + after.parcels > 0)
        .collect();
    places.sort_by_key(|(_, id, before, after)| (std::cmp::Reverse(before.parcels.max(after.parcels)), *id));
    if places.is_empty() {
        return "<p>No place had anything to do.</p>\n".to_owned();
    }
    let bars: Vec<Pair<'_>> = places
        .iter()
        .take(CHART_MAX)
        .map(|(code, _, before, after)| Pair {
            label: code,
            before: number(before.parcels),
            after: number(after.parcels),
        })
        .collect();
    let mut table = String::from(
        "<div class=\"wide\"><table class=\"sortable\">\n<thead><tr><th>location</th><th class=\"n\">orders</th><th class=\"n\">again</th>\
         <th class=\"n\">parcels</th><th class=\"n\">again</th><th class=\"n\">units</th><th class=\"n\">again</th>\
         <th class=\"n\">cost</th><th class=\"n\">again</th><th class=\"n\">peak day</th><th class=\"n\">again</th></tr></thead>\n<tbody>\n",
    );
    for (code, id, before, after) in places.iter().take(TABLE_MAX) {
        let peak = |figures: &Figures| figures.peak(*id).map_or_else(|| "0".to_owned(), |peak| number(peak.parcels));
        let day = |figures: &Figures| figures.peak(*id).map_or_else(String::new, |peak| peak.day.to_string());
        let cells = [
            number(before.orders),
            number(after.orders),
            number(before.parcels),
            number(after.parcels),
            number(before.units),
            number(after.units),
            text(Figure::count(before.cost)),
            text(Figure::count(after.cost)),
        ];
        _ = write!(table, "<tr><th>{}</th>", escape(code));
        cells.iter().for_each(|cell| _ = write!(table, "<td class=\"n\">{cell}</td>"));
        for figures in [&outcome.before, &outcome.after] {
            _ = write!(table, "<td class=\"n\" title=\"{}\">{}</td>", day(figures), peak(figures));
        }
        table += "</tr>\n";
    }
    table += "</tbody></table></div>\n";
    let more = places.len().saturating_sub(CHART_MAX);
    let rest = if more > 0 { format!(", the {CHART_MAX} with most of {}", places.len()) } else { String::new() };
    format!("<p>Parcels{rest}.</p>\n{}<p>Peak day: the most parcels that leave in one day.</p>\n{table}", pairs(&bars))
}

//! The figures over time: by day, by month where there are many days.

use std::collections::BTreeMap;

use quartermaster_backtest::Outcome;
use quartermaster_backtest::day::Day;
use quartermaster_backtest::figures::DayFigures;

use super::chart::{Lines, lines};

/// More days than this are shown by month.
const DAYS_MAX: usize = 92;

type Buckets = BTreeMap<String, DayFigures>;

/// All charts; empty when there is but one day.
pub(super) fn section(outcome: &Outcome) -> String {
    let by_month = outcome.before.days.len() > DAYS_MAX;
    let (before, after) = (buckets(&outcome.before.days, by_month), buckets(&outcome.after.days, by_month));
    let labels: Vec<String> = before.keys().cloned().collect();
    if labels.len() < 2 {
        return String::new();
    }
    let charts: String = CHARTS
        .iter()
        .map(|(title, decimals, read)| {
            let of = |buckets: &Buckets| labels.iter().map(|label| buckets.get(label).and_then(read)).collect();
            let (before, after) = (of(&before), of(&after));
            let chart = Lines { title, labels: &labels, before, after, decimals: *decimals };
            format!("<div class=\"card\">{}</div>\n", lines(&chart))
        })
        .collect();
    let by = if by_month { "month" } else { "day" };
    super::section(
        "Over time",
        &format!("<p>By {by} on which the order came, UTC.</p>\n<div class=\"cards\">\n{charts}</div>\n"),
    )
}

type Read = fn(&DayFigures) -> Option<i128>;

const CHARTS: [(&str, u32, Read); 6] = [
    ("Paid per served order", 2, |day| ratio(day.paid, day.served, 100)),
    ("Parcels per served order", 3, |day| ratio(i128::from(day.parcels), day.served, 1_000)),
    ("Split orders, %", 2, |day| ratio(i128::from(day.split), day.served, 10_000)),
    ("Unfilled units", 0, |day| Some(i128::from(day.unfilled))),
    ("Orders promised late", 0, |day| Some(i128::from(day.late))),
    ("Served orders", 0, |day| Some(i128::from(day.served))),
];

fn ratio(part: i128, of: u64, scale: i128) -> Option<i128> {
    (of > 0).then(|| (part * scale).div_euclid(i128::from(of)))
}

fn buckets(days: &BTreeMap<Day, DayFigures>, by_month: bool) -> Buckets {
    let mut buckets = Buckets::new();
    for (day, figures) in days {
        let label = if by_month { day.month() } else { day.to_string() };
        let bucket = buckets.entry(label).or_default();
        bucket.orders += figures.orders;
        bucket.served += figures.served;
        bucket.split += figures.split;
        bucket.parcels += figures.parcels;
        bucket.units += figures.units;
        bucket.unfilled += figures.unfilled;
        bucket.late += figures.late;
        bucket.cost += figures.cost;
        bucket.paid += figures.paid;
    }
    buckets
}

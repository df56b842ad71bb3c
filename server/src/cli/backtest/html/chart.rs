//! Charts as inline SVG, drawn in integers: tenths of a pixel.
//!
//! They are as wide as the room they get. Colours are classes, so that light and dark are the style's business.

use std::fmt::Write as _;

use super::escape;

/// Two bars, one above the other.
pub(super) struct Pair<'a> {
    pub(super) label: &'a str,
    pub(super) before: String,
    pub(super) after: String,
}

impl Pair<'_> {
    /// The figures again, without the commas of their text.
    fn values(&self) -> [i128; 2] {
        [&self.before, &self.after].map(|text| text.replace(',', "").parse().unwrap_or(0))
    }
}

const WIDTH: i128 = 4_600;
const LABELS: i128 = 1_250;
const FIGURES: i128 = 850;
const ROW: i128 = 420;

/// Bars that lie, a pair for each label. Below zero they go to the left.
pub(super) fn pairs(pairs: &[Pair<'_>]) -> String {
    let values = || pairs.iter().flat_map(Pair::values);
    let (least, most) = (values().min().unwrap_or(0).min(0), values().max().unwrap_or(0).max(0));
    let range = (most - least).max(1);
    let room = WIDTH - LABELS - FIGURES;
    let x = |value: i128| LABELS + (value - least) * room / range;
    let height = ROW * i128::try_from(pairs.len()).unwrap_or(0) + 40;
    let mut svg = open(height, "bars");
    for (row, pair) in (0..).zip(pairs) {
        let top = row * ROW + 60;
        _ = writeln!(
            svg,
            "<text class=\"label\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            LABELS - 80,
            top + 190,
            escape(&shortened(pair.label, 16))
        );
        let texts = [("before", &pair.before, 0), ("after", &pair.after, 150)];
        for ((class, text, down), value) in texts.into_iter().zip(pair.values()) {
            let (from, to) = (x(value.min(0)), x(value.max(0)));
            _ = writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{from}\" y=\"{}\" width=\"{}\" height=\"130\" rx=\"20\"><title>{}: {text}</title></rect>\
                 <text class=\"figure\" x=\"{}\" y=\"{}\">{text}</text>",
                top + down,
                (to - from).max(8),
                escape(pair.label),
                to + 50,
                top + down + 110
            );
        }
    }
    let zero = x(0);
    _ = writeln!(svg, "<line class=\"axis\" x1=\"{zero}\" y1=\"20\" x2=\"{zero}\" y2=\"{}\"/>", height - 20);
    svg + "</svg>\n"
}

/// One thing over time in both worlds.
pub(super) struct Lines<'a> {
    pub(super) title: &'a str,
    pub(super) labels: &'a [String],
    /// In units of the last decimal.
    pub(super) before: Vec<Option<i128>>,
    pub(super) after: Vec<Option<i128>>,
    pub(super) decimals: u32,
}

const HEIGHT: i128 = 2_300;
const LEFT: i128 = 700;
const TOP: i128 = 380;
const BOTTOM: i128 = 1_980;

/// Two lines over the same days.
pub(super) fn lines(chart: &Lines<'_>) -> String {
    let values = || chart.before.iter().chain(&chart.after).flatten().copied();
    let (least, most) = (values().min().unwrap_or(0), values().max().unwrap_or(0));
    // A scale from nothing tells sizes; one that begins higher tells differences, where everything lies high.
    let low = if least < 0 || least * 2 > most { least } else { 0 };
    let step = step(most - low);
    let (low, high) = (low.div_euclid(step) * step, most.div_euclid(step) * step + step);
    let last = i128::try_from(chart.labels.len()).unwrap_or(1).saturating_sub(1).max(1);
    let x = |place: i128| LEFT + place * (WIDTH - LEFT - 150) / last;
    let y = |value: i128| BOTTOM - (value - low) * (BOTTOM - TOP) / (high - low);
    let mut svg = open(HEIGHT, "lines");
    _ = writeln!(svg, "<text class=\"title\" x=\"60\" y=\"190\">{}</text>", escape(chart.title));
    let mut tick = low;
    while tick <= high {
        let at = y(tick);
        _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{at}\" x2=\"{}\" y2=\"{at}\"/>\
             <text class=\"tick\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            WIDTH - 150,
            LEFT - 70,
            at + 45,
            decimal(tick, chart.decimals)
        );
        tick += step;
    }
    for (place, anchor) in ends(chart.labels.len()) {
        let at = x(i128::try_from(place).unwrap_or(0));
        let label = chart.labels.get(place).map_or("", String::as_str);
        _ = writeln!(
            svg,
            "<text class=\"tick\" x=\"{at}\" y=\"{}\" text-anchor=\"{anchor}\">{label}</text>",
            BOTTOM + 200
        );
    }
    for (class, name, line) in [("before", "as decided", &chart.before), ("after", "run again", &chart.after)] {
        let points: Vec<(usize, i128, i128, i128)> = line
            .iter()
            .enumerate()
            .filter_map(|(place, value)| {
                let value = (*value)?;
                Some((place, x(i128::try_from(place).unwrap_or(0)), y(value), value))
            })
            .collect();
        let path: Vec<String> = points.iter().map(|(_, x, y, _)| format!("{x},{y}")).collect();
        _ = writeln!(svg, "<polyline class=\"{class}\" points=\"{}\"/>", path.join(" "));
        for (place, x, y, value) in points {
            let label = chart.labels.get(place).map_or("", String::as_str);
            _ = writeln!(
                svg,
                "<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"32\"><title>{label}, {name}: {}</title></circle>",
                decimal(value, chart.decimals)
            );
        }
    }
    svg + "</svg>\n"
}

/// One bar of parts, with what they are below it: name, class, count. Parts of nothing are left out.
pub(super) fn stack(parts: &[(&str, &str, u64)]) -> String {
    let all = parts.iter().map(|(.., count)| u128::from(*count)).sum::<u128>().max(1);
    let shown = parts.iter().filter(|(.., count)| *count > 0);
    let (mut bar, mut names) = (String::new(), String::new());
    for (name, class, count) in shown {
        let permille = (u128::from(*count) * 1_000 + all / 2) / all;
        let percent = format!("{}.{}%", permille / 10, permille % 10);
        _ = write!(bar, "<span class=\"part {class}\" style=\"flex-grow:{count}\" title=\"{name}: {count}\"></span>");
        let count = crate::cli::show::number(*count);
        _ = writeln!(names, "<li><span class=\"key {class}\"></span>{name}: <strong>{count}</strong> ({percent})</li>");
    }
    format!("<div class=\"stack\">{bar}</div>\n<ul class=\"parts\">\n{names}</ul>\n")
}

fn open(height: i128, class: &str) -> String {
    format!("<svg class=\"{class}\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n")
}

/// The label that begins, one in the middle when there is room, and the one that ends.
fn ends(labels: usize) -> Vec<(usize, &'static str)> {
    match labels {
        0 => Vec::new(),
        1 => vec![(0, "middle")],
        2..=4 => vec![(0, "start"), (labels - 1, "end")],
        _ => vec![(0, "start"), (labels / 2, "middle"), (labels - 1, "end")],
    }
}

/// 1, 2 or 5 times a power of ten: three to five of them over the range.
fn step(range: i128) -> i128 {
    let mut power = 1;
    loop {
        for factor in [1, 2, 5] {
            if range / (power * factor) < 4 {
                return power * factor;
            }
        }
        power *= 10;
    }
}

/// A number of the last decimal's unit as it is written, with thousands apart; no decimals that are all nothing.
fn decimal(value: i128, decimals: u32) -> String {
    let scale = 10_u128.pow(decimals);
    let (whole, part) = (value.unsigned_abs() / scale, value.unsigned_abs() % scale);
    let sign = if value < 0 { "-" } else { "" };
    let whole = u64::try_from(whole).map_or_else(|_| whole.to_string(), crate::cli::show::number);
    if part == 0 {
        return format!("{sign}{whole}");
    }
    let part = format!("{part:0width$}", width = usize::try_from(decimals).unwrap_or(0));
    format!("{sign}{whole}.{}", part.trim_end_matches('0'))
}

/// Cut to so many letters.
pub(super) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_have_few_round_steps() {
        assert_eq!([0, 3, 4, 9, 39, 100, 12_345].map(step), [1, 1, 2, 5, 10, 50, 5_000]);
        assert_eq!(decimal(1_500, 3), "1.5");
        assert_eq!(decimal(-2_000, 3), "-2");
        assert_eq!(decimal(1_234_567, 0), "1,234,567");
    }

    #[test]
    fn labels_are_cut_and_escaped() {
        let pair = Pair { label: "<a very long label of a place>", before: "1,000".into(), after: "-5".into() };
        assert_eq!(pair.values(), [1_000, -5]);
        let svg = pairs(&[pair]);
        assert!(svg.contains("&lt;a very long la…") && !svg.contains("<a very"), "{svg}");
    }
}

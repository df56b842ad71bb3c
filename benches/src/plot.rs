//! How a cost grows, as a picture: points on two logarithmic axes with the line that fits them, whose slope is the exponent of the growth.
//! The page's own background shows through, and the colours follow its light or dark dress.

use std::fmt::Write as _;

use crate::measure::grouped;

/// Points of one kind.
#[derive(Clone, Debug)]
pub struct Series {
    /// What they are, with the unit.
    pub name: String,
    /// Size and cost, both above 0.
    pub points: Vec<(u32, u32)>,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 80.0;
const TOP: f64 = 64.0;
const RIGHT: f64 = 620.0;
const BOTTOM: f64 = 330.0;

const STYLE: &str = "text{font:12px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#1f2328}.t{font-size:15px;font-weight:600}.g{stroke:#d0d7de;stroke-width:1}\
.a{fill:#0b7a4b;stroke:#0b7a4b}.b{fill:#2f6690;stroke:#2f6690}.c{fill:#b35900;stroke:#b35900}line.a,line.b,line.c{stroke-width:1.5}text.a,text.b,text.c{stroke:none}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.g{stroke:#30363d}.a{fill:#3fb97f;stroke:#3fb97f}.b{fill:#6ba4d0;stroke:#6ba4d0}\
.c{fill:#e09b55;stroke:#e09b55}}";
const CLASSES: [&str; 3] = ["a", "b", "c"];

/// Slope and height at size 1 of the line through the points' logarithms, by least squares; none for fewer than two sizes.
#[must_use]
pub fn fit(points: &[(u32, u32)]) -> Option<(f64, f64)> {
    let logs: Vec<(f64, f64)> = points.iter().map(|&(size, cost)| (log(size), log(cost))).collect();
    let count = f64::from(u32::try_from(logs.len()).ok()?);
    let (mean_x, mean_y) =
        (logs.iter().map(|at| at.0).sum::<f64>() / count, logs.iter().map(|at| at.1).sum::<f64>() / count);
    let across: f64 = logs.iter().map(|at| (at.0 - mean_x).powi(2)).sum();
    let along: f64 = logs.iter().map(|at| (at.0 - mean_x) * (at.1 - mean_y)).sum();
    (across > 0.0).then(|| (along / across, mean_y - along / across * mean_x))
}

fn log(value: u32) -> f64 {
    f64::from(value.max(1)).log10()
}

/// An SVG of up to three series.
#[must_use]
pub fn svg(title: &str, sizes: &str, series: &[Series]) -> String {
    let all = || series.iter().flat_map(|series| series.points.iter());
    let (from_x, to_x) = decades(all().map(|point| point.0));
    let (from_y, to_y) = decades(all().map(|point| point.1));
    let x = |log: f64| LEFT + (log - f64::from(from_x)) / f64::from(to_x - from_x) * (RIGHT - LEFT);
    let y = |log: f64| BOTTOM - (log - f64::from(from_y)) / f64::from(to_y - from_y) * (BOTTOM - TOP);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\n<style>{STYLE}</style>\n\
         <text class=\"t\" x=\"10\" y=\"20\">{title}</text>\n"
    );
    // Writing to a string does not fail.
    for decade in from_x..=to_x {
        let at = x(f64::from(decade));
        let label = power(decade);
        let _ = writeln!(
            text,
            "<line class=\"g\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{BOTTOM}\"/><text x=\"{at:.1}\" y=\"346\" text-anchor=\"middle\">{label}</text>"
        );
    }
    for decade in from_y..=to_y {
        let at = y(f64::from(decade));
        let label = power(decade);
        let _ = writeln!(
            text,
            "<line class=\"g\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/><text x=\"74\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            at + 4.0
        );
    }
    let _ = writeln!(text, "<text x=\"{:.1}\" y=\"368\" text-anchor=\"middle\">{sizes}</text>", (LEFT + RIGHT) / 2.0);
    let mut legend = 10.0;
    for (series, class) in series.iter().zip(CLASSES) {
        for &(size, cost) in &series.points {
            let (at_x, at_y) = (x(log(size)), y(log(cost)));
            let _ = writeln!(
                text,
                "<circle class=\"{class}\" cx=\"{at_x:.1}\" cy=\"{at_y:.1}\" r=\"3.5\"><title>{}: {}</title></circle>",
                grouped(size.into()),
                grouped(cost.into())
            );
        }
        let mut name = series.name.clone();
        if let Some((slope, height)) = fit(&series.points) {
            let ends = || series.points.iter().map(|point| log(point.0));
            let (first, last) = (ends().fold(f64::INFINITY, f64::min), ends().fold(0.0, f64::max));
            let _ = writeln!(
                text,
                "<line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
                x(first),
                y(height + slope * first),
                x(last),
                y(height + slope * last)
            );
            let _ = write!(name, ", exponent {slope:.2}");
        }
        let _ = writeln!(text, "<text class=\"{class}\" x=\"{legend}\" y=\"42\">{name}</text>");
        legend += 210.0;
    }
    text.push_str("</svg>\n");
    text
}

/// The powers of ten that the values lie between, at least one apart.
fn decades(values: impl Iterator<Item = u32> + Clone) -> (u32, u32) {
    let least = values.clone().min().unwrap_or(1).max(1).ilog10();
    let most = values.max().unwrap_or(1).max(1);
    let above = most.ilog10() + u32::from(10_u32.checked_pow(most.ilog10()) != Some(most));
    (least, above.max(least + 1))
}

fn power(decade: u32) -> String {
    10_u64.checked_pow(decade).map_or_else(|| format!("1e{decade}"), grouped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponent_of_a_power_is_found() {
        let square: Vec<(u32, u32)> = [1, 10, 100, 1_000].map(|size| (size, 3 * size * size)).to_vec();
        let (slope, height) = fit(&square).expect("there are two sizes");
        assert!((slope - 2.0).abs() < 1e-9 && (height - 3_f64.log10()).abs() < 1e-9);
        assert_eq!(fit(&[(5, 7), (5, 9)]), None);
        let flat = Series { name: "ns".to_owned(), points: vec![(10, 100), (1_000, 100)] };
        assert!(svg("flat", "cells", &[flat]).contains("exponent 0.00"));
        assert_eq!(decades([1, 1_000, 1_001].into_iter()), (0, 4));
    }
}

//! Curves as one SVG file that needs nothing else: each in a panel of its own, from zero, with its largest and last value in words.

use std::fmt::Write;

/// Size of a panel, in pixels, and the room for its words.
const WIDTH: u64 = 800;
const HEIGHT: u64 = 120;
const WORDS: u64 = 24;

/// A figure over time.
pub(super) struct Curve {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    /// Second and value.
    pub(super) points: Vec<(u64, u64)>,
}

/// The picture.
pub(super) fn page(curves: &[Curve]) -> String {
    let panels = u64::try_from(curves.len()).unwrap_or(0);
    let height = panels * (HEIGHT + WORDS) + WORDS;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        WIDTH + 20
    );
    for (curve, panel) in curves.iter().zip(0..) {
        let top = panel * (HEIGHT + WORDS) + WORDS;
        let most = curve.points.iter().map(|point| point.1).max().unwrap_or(0);
        let last = curve.points.last().map_or((0, 0), |point| *point);
        // Writing to a string does not fail.
        let _written = writeln!(
            svg,
            "<text x=\"10\" y=\"{}\">{}: at most {most} {unit}, {} {unit} after {} s</text>",
            top - 6,
            curve.name,
            last.1,
            last.0,
            unit = curve.unit
        );
        let _written = writeln!(
            svg,
            "<rect x=\"10\" y=\"{top}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"none\" stroke=\"#ccc\"/>"
        );
        let place = |(second, value): &(u64, u64)| {
            let x = 10 + second * WIDTH / last.0.max(1);
            format!("{x},{}", top + HEIGHT - value * HEIGHT / most.max(1))
        };
        let line: Vec<String> = curve.points.iter().map(place).collect();
        let _written = writeln!(svg, "<polyline points=\"{}\" fill=\"none\" stroke=\"#2060a0\"/>", line.join(" "));
    }
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_ends_at_the_right_and_reaches_the_top() {
        let svg = page(&[Curve { name: "p99", unit: "µs", points: vec![(1, 5), (2, 10)] }]);
        assert!(svg.contains("points=\"410,84 810,24\""), "{svg}");
        assert!(svg.contains("p99: at most 10 µs, 10 µs after 2 s"));
    }
}

//! The outcome as a picture: one bar a contender, a group a discipline, on a scale that is the same for all.

use std::fmt::Write as _;

use quartermaster_benches::measure::grouped;

use crate::contender::Kind;
use crate::report::Discipline;

const WIDTH: u32 = 860;
const LABEL: u32 = 170;
const BAR: u32 = 16;
const GAP: u32 = 34;
/// The longest bar.
const ROOM: u32 = 520;

/// An SVG of the rates. Bars of one group share a scale, whose end is the fastest of the group.
pub(crate) fn svg(disciplines: &[Discipline]) -> String {
    let rows: usize = disciplines.iter().map(|discipline| discipline.outcomes.len()).sum();
    let count = |number: usize| u32::try_from(number).unwrap_or(0);
    let height = 60 + count(rows) * (BAR + 4) + count(disciplines.len()) * GAP;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"system-ui, sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"10\" y=\"24\" font-size=\"15\" fill=\"#222\">Reservations a second: client on one core, server on the other; bars to scale within a group</text>\n"
    );
    let mut y = 48;
    for discipline in disciplines {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "<text x=\"10\" y=\"{y}\" font-weight=\"600\" fill=\"#222\">{}; {}</text>",
            discipline.scenario.name(),
            discipline.wire
        );
        y += 8;
        let most = discipline.outcomes.iter().map(|outcome| outcome.summary().rate).max().unwrap_or(1).max(1);
        for outcome in &discipline.outcomes {
            let rate = outcome.summary().rate;
            let length = u32::try_from(u64::from(ROOM) * rate / most).unwrap_or(ROOM).max(1);
            let baseline = y + 12;
            let _ = writeln!(
                text,
                "<text x=\"10\" y=\"{baseline}\" fill=\"#444\">{}</text>\
                 <rect x=\"{LABEL}\" y=\"{y}\" width=\"{length}\" height=\"{BAR}\" rx=\"2\" fill=\"{}\"/>\
                 <text x=\"{}\" y=\"{baseline}\" fill=\"#222\">{}</text>",
                outcome.kind.name(),
                colour(outcome.kind),
                LABEL + length + 6,
                grouped(rate)
            );
            y += BAR + 4;
        }
        y += GAP - 8;
    }
    text.push_str("</svg>\n");
    text
}

/// Ours stands out; what loses nothing is dark, what may lose is light, and bounds are grey.
fn colour(kind: Kind) -> &'static str {
    match kind {
        Kind::Ours => "#0b7a4b",
        Kind::BareEcho | Kind::DurableEcho => "#b9bec6",
        Kind::RedisAlways => "#b3402e",
        Kind::RedisEverysec | Kind::RedisOff => "#e3a79c",
        Kind::Postgres => "#31648c",
    }
}

//! The outcome as a picture for the README: a bar a contender, its spread as a thin line, to scale within each group. The page's own
//! background shows through, and the colours follow its light or dark dress.

use std::fmt::Write as _;

use quartermaster_benches::measure::{grouped, ratio};
use quartermaster_benches::plot::{self, Series};

use crate::contender::Kind;
use crate::demand::Scenario;
use crate::programme::{CALLS, CONNECTIONS, Entry, Heat, LARGE_BATCHES, PIPED, connections as connections_of};
use crate::results::{Outcome, Results};

const WIDTH: u32 = 860;
/// Where bars begin.
const LEFT: u32 = 250;
/// The longest bar.
const ROOM: u32 = 500;
const BAR: u32 = 14;
const STEP: u32 = 19;

const STYLE: &str = "text{font:12px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#1f2328}.h{font-weight:600}.t{font-size:15px;font-weight:600}\
.n{fill:#57606a}.us{fill:#0b7a4b}.safe{fill:#2f6690}.risk{fill:#d98873}.floor{fill:#afb8c1}.s{stroke:#1f2328;stroke-width:1}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.n{fill:#9198a1}.us{fill:#3fb97f}.safe{fill:#6ba4d0}.risk{fill:#b8664f}.floor{fill:#57606a}\
.s{stroke:#e6edf3}}";

/// A group of bars to one scale.
struct Group<'a> {
    title: String,
    outcomes: Vec<&'a Outcome>,
}

/// An SVG of what matters most: single calls, and the fastest way of each.
pub(crate) fn svg(results: &Results) -> String {
    let groups = groups(results);
    let mut y = 62;
    let mut body = String::new();
    for group in &groups {
        // Writing to a string does not fail.
        let _ = writeln!(body, "<text class=\"h\" x=\"10\" y=\"{y}\">{}</text>", group.title);
        y += 8;
        let most = group.outcomes.iter().map(|outcome| outcome.spread().1).max().unwrap_or(1).max(1);
        for outcome in &group.outcomes {
            body.push_str(&bar(outcome, most, y));
            y += STEP;
        }
        y += 28;
    }
    let setting = &results.setting;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" role=\"img\" aria-label=\"Reservations a second\">\n<style>{STYLE}</style>\n\
         <text class=\"t\" x=\"10\" y=\"20\">Reservations a second, server on one core</text>\n\
         <text class=\"n\" x=\"10\" y=\"38\">Medians of {} rounds in turns, lines from least to most; red bars may lose acknowledged orders in a power cut, grey \
         ones decide nothing</text>\n{body}</svg>\n",
        setting.rounds
    )
}

fn groups(results: &Results) -> Vec<Group<'_>> {
    let chosen = [
        (Heat::Calls, Scenario::Hot),
        (Heat::Calls, Scenario::Zipf),
        (Heat::Bulk, Scenario::Hot),
        (Heat::Bulk, Scenario::Zipf),
        (Heat::ThreeLines, Scenario::ThreeLines),
        (Heat::SoldOut, Scenario::SoldOut),
    ];
    let group = |(heat, scenario): (Heat, Scenario)| {
        let outcomes = results.heat(heat)?.outcomes.iter().filter(|outcome| {
            let shown = match heat {
                Heat::Bulk => outcome.entry.wire == PIPED || outcome.entry.wire == LARGE_BATCHES,
                _ => outcome.entry.wire == CALLS,
            };
            outcome.entry.scenario == scenario && shown && !outcome.rounds.is_empty()
        });
        let outcomes: Vec<&Outcome> = outcomes.collect();
        let ways = if heat == Heat::Bulk { "many orders at once" } else { "one order a call, 64 connections" };
        (!outcomes.is_empty()).then(|| Group { title: format!("{}: {ways}", scenario.name()), outcomes })
    };
    chosen.into_iter().filter_map(group).collect()
}

/// CPU of the server for an order by connections, as points of a plot.
pub(crate) fn by_connections(results: &Results, kind: Kind) -> Vec<(u32, u32)> {
    let point = |count: usize| {
        let entry = Entry { kind, scenario: Scenario::Zipf, wire: connections_of(count) };
        let nanos = results.heat(Heat::Connections)?.outcome(entry)?.median(|round| round.cpu_nanos);
        Some((u32::try_from(count).ok()?, u32::try_from(nanos).ok()?))
    };
    CONNECTIONS.into_iter().filter_map(point).collect()
}

/// How the cost of an order grows with connections; none when that was not measured.
pub(crate) fn connections(results: &Results) -> Option<String> {
    let series = [Kind::Ours, Kind::DurableEcho]
        .map(|kind| Series { name: format!("{}, ns", kind.name()), points: by_connections(results, kind) });
    let measured = series.iter().any(|series| !series.points.is_empty());
    measured.then(|| {
        plot::svg("Connections and the server's CPU for an order", "connections, one order under way on each", &series)
    })
}

fn bar(outcome: &Outcome, most: u64, y: u32) -> String {
    let length = |rate: u64| (ratio(rate, most) * f64::from(ROOM)).max(1.0);
    let rate = outcome.median(|round| round.rate);
    let (least, greatest) = outcome.spread();
    let entry = outcome.entry;
    let name = if entry.wire == CALLS {
        entry.kind.name().to_owned()
    } else {
        format!("{}, {}", entry.kind.name(), entry.wire)
    };
    let (baseline, middle) = (y + 11, y + BAR / 2);
    let left = f64::from(LEFT);
    format!(
        "<text x=\"10\" y=\"{baseline}\">{name}</text><rect class=\"{}\" x=\"{LEFT}\" y=\"{y}\" width=\"{:.1}\" height=\"{BAR}\" rx=\"2\"/>\
         <path class=\"s\" d=\"M{:.1} {middle}H{:.1}\"/><text x=\"{:.1}\" y=\"{baseline}\">{}</text>\n",
        class(entry.kind),
        length(rate),
        left + length(least),
        left + length(greatest),
        left + length(greatest).max(length(rate)) + 6.0,
        grouped(rate)
    )
}

/// What a bar says by its colour: ours, what loses nothing, what may lose, and the bounds.
fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::Ours => "us",
        Kind::BareEcho | Kind::DurableEcho => "floor",
        Kind::RedisAlways | Kind::Postgres => "safe",
        Kind::RedisEverysec | Kind::RedisOff => "risk",
    }
}

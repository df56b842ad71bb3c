//! `quartermaster metrics`: every metric the server has, without a server.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::json;

use super::{exit, print};
use crate::methods::Methods;
use crate::metrics::families::{FAMILIES, Family, Kind, Values};

/// Lists every metric: name, type, unit, labels, most series, meaning.
#[derive(Clone, Debug, clap::Args)]
pub struct MetricsArgs {
    /// Form of the list.
    #[arg(short, long, value_enum, default_value_t)]
    output: Form,
}

/// Form of the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// A table for people.
    #[default]
    Text,
    /// One JSON object.
    Json,
    /// The page docs/METRICS.md.
    Markdown,
}

/// Prints the list.
pub fn run(args: &MetricsArgs) -> ExitCode {
    let methods = Methods::new();
    print(&match args.output {
        Form::Text => table(&methods),
        Form::Json => format!("{:#}\n", json_of(&methods)),
        Form::Markdown => markdown(),
    });
    exit::OK.into()
}

fn kind(family: &Family) -> &'static str {
    match family.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram(_) => "histogram",
    }
}

fn table(methods: &Methods) -> String {
    let width = FAMILIES.iter().map(|family| family.name.len()).max().unwrap_or(0);
    let labels: Vec<String> = FAMILIES
        .iter()
        .map(|family| family.labels.iter().map(|label| label.name).collect::<Vec<_>>().join(","))
        .collect();
    let labels_width = labels.iter().map(String::len).max().unwrap_or(0);
    let mut text = format!(
        "{:<width$}  {:<9}  {:<7}  {:<labels_width$}  {:>6}  meaning\n",
        "name", "type", "unit", "labels", "series"
    );
    for (family, labels) in FAMILIES.iter().zip(&labels) {
        let _infallible = writeln!(
            text,
            "{:<width$}  {:<9}  {:<7}  {labels:<labels_width$}  {:>6}  {}",
            family.name,
            kind(family),
            family.unit(),
            family.series_max(methods),
            family.help
        );
    }
    let all: usize = FAMILIES.iter().map(|family| family.series_max(methods)).sum();
    let _infallible = writeln!(text, "{} metrics, at most {all} series", FAMILIES.len());
    text
}

fn json_of(methods: &Methods) -> serde_json::Value {
    let one = |family: &&Family| {
        json!({
            "name": family.name,
            "type": kind(family),
            "unit": family.unit(),
            "labels": family.labels.iter().map(|label| label.name).collect::<Vec<_>>(),
            "series_max": family.series_max(methods),
            "help": family.help,
        })
    };
    json!({ "metrics": FAMILIES.iter().map(one).collect::<Vec<_>>() })
}

/// The page of the documentation. Says "methods" in place of a number, so that a new method does not change it.
#[must_use]
pub fn markdown() -> String {
    let mut text = "\
# Metrics

Made by `quartermaster metrics -o markdown` from the list in the code; a test holds this page to it. `quartermaster metrics` shows the same in
a terminal, with the number of methods filled in.

The page is `/metrics` on the metrics port (`metrics_listen`), in the Prometheus text format. Counters begin at 0 with the process. Labels come
from closed sets, or name the largest or first few of channels and campaigns: there is none of SKUs, orders, buyers or locations. \"Series\" is
the most a metric can ever have; combinations appear when they first happen. A histogram counts as all of its buckets, its sum and its count.

| name | type | unit | labels | series at most | meaning |
| --- | --- | --- | --- | --- | --- |
"
    .to_owned();
    for family in FAMILIES {
        let labels = family.labels.iter().map(|label| format!("`{}`", label.name)).collect::<Vec<_>>().join(" ");
        let _infallible = writeln!(
            text,
            "| `{}` | {} | {} | {labels} | {} | {} |",
            family.name,
            kind(family),
            family.unit(),
            series(family),
            family.help
        );
    }
    text
}

/// How the most series come about: "methods × 17".
fn series(family: &Family) -> String {
    let mut factors = Vec::new();
    let mut number = match family.kind {
        Kind::Counter | Kind::Gauge => 1,
        Kind::Histogram(bounds) => bounds + 3,
    };
    for label in family.labels {
        match label.values {
            Values::Closed(count) | Values::Top(count) => number *= count,
            Values::Methods => factors.push("methods".to_owned()),
            Values::Given => {}
        }
    }
    if number > 1 || factors.is_empty() {
        factors.push(number.to_string());
    }
    factors.join(" × ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_the_documentation_is_what_the_code_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/METRICS.md");
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(page == markdown(), "docs/METRICS.md is old: quartermaster metrics -o markdown > docs/METRICS.md");
    }

    #[test]
    fn the_list_tells_type_unit_and_the_most_series() {
        let methods = Methods::new();
        let json = json_of(&methods);
        let one =
            json["metrics"].as_array().unwrap().iter().find(|one| one["name"] == "quartermaster_shed_total").unwrap();
        assert_eq!((&one["type"], &one["unit"], &one["series_max"]), (&json!("counter"), &json!("count"), &json!(10)));
        assert!(table(&methods).contains("quartermaster_wal_fsync_duration_seconds"));
        assert!(markdown().contains("| `grpc_server_handled_total` | counter | count |"));
        assert!(markdown().contains("| methods × 17 |"));
    }
}

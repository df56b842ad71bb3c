//! Writes the Prometheus text exposition format, version 0.0.4.

use std::fmt::{Display, Write};
use std::time::Duration;

use super::buckets::{Buckets, Unit};
use super::families::{Family, Kind};

/// A page being written: a family is opened, then given its samples.
pub(super) struct Page {
    text: String,
    family: &'static str,
}

impl Page {
    pub(super) fn new() -> Page {
        Page { text: String::with_capacity(32 << 10), family: "" }
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// Begins a metric; its samples follow.
    pub(super) fn open(&mut self, family: &'static Family) {
        let (name, help) = (family.name, family.help);
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        self.family = name;
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// A metric without labels, and its only sample.
    pub(super) fn one(&mut self, family: &'static Family, value: impl Display) {
        self.open(family);
        self.sample(&[], value);
    }

    /// A histogram without labels.
    pub(super) fn histogram(&mut self, family: &'static Family, buckets: &Buckets) {
        self.open(family);
        self.buckets(&[], buckets);
    }

    /// A sample of the open counter or gauge.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.line("", labels, None, value);
    }

    /// The samples of one histogram of the open family; none when it is not known.
    pub(super) fn buckets(&mut self, labels: &[(&str, &str)], buckets: &Buckets) {
        if buckets.counts.is_empty() {
            return;
        }
        let mut total = 0;
        for (index, count) in buckets.counts.iter().enumerate() {
            total += count;
            let bound = buckets.bounds.get(index).map(|bound| number(*bound, buckets.unit));
            self.line("_bucket", labels, Some(bound.as_deref().unwrap_or("+Inf")), total);
        }
        self.line("_sum", labels, None, number(buckets.sum, buckets.unit));
        self.line("_count", labels, None, total);
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], bound: Option<&str>, value: impl Display) {
        let family = self.family;
        self.write(format_args!("{family}{suffix}"));
        let all = labels.iter().copied().chain(bound.map(|bound| ("le", bound)));
        let mut separator = '{';
        for (name, label) in all {
            self.write(format_args!("{separator}{name}=\""));
            self.escaped(label);
            self.text.push('"');
            separator = ',';
        }
        if separator == ',' {
            self.text.push('}');
        }
        self.write(format_args!(" {value}\n"));
    }

    /// Codes of channels and campaigns are the caller's, and may hold what the format gives a meaning.
    fn escaped(&mut self, label: &str) {
        for character in label.chars() {
            match character {
                '\\' => self.text.push_str("\\\\"),
                '"' => self.text.push_str("\\\""),
                '\n' => self.text.push_str("\\n"),
                other => self.text.push(other),
            }
        }
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _infallible = self.text.write_fmt(text);
    }
}

fn number(value: u64, unit: Unit) -> String {
    match unit {
        Unit::Count => value.to_string(),
        // Exact to the digit: no figure here has more than six of them behind the point.
        Unit::Millionths => {
            let text = format!("{}.{:06}", value / 1_000_000, value % 1_000_000);
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        Unit::Nanoseconds => Duration::from_nanos(value).as_secs_f64().to_string(),
        Unit::Microseconds => Duration::from_micros(value).as_secs_f64().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_prometheus_reads() {
        static SHED: Family = Family { name: "shed_total", kind: Kind::Counter, labels: &[], help: "Refused." };
        static WAIT: Family = Family { name: "wait_seconds", kind: Kind::Histogram(2), labels: &[], help: "Waited." };
        let mut page = Page::new();
        page.open(&SHED);
        page.sample(&[("cause", "in_flight")], 3);
        page.sample(&[("cause", "a \"b\"\\c\nd")], 1);
        page.open(&WAIT);
        let buckets = Buckets { bounds: &[50, 100], counts: vec![1, 2, 1], sum: 1_000_250, unit: Unit::Microseconds };
        page.buckets(&[("kind", "a")], &buckets);
        assert_eq!(
            page.into_text(),
            "# HELP shed_total Refused.\n# TYPE shed_total counter\nshed_total{cause=\"in_flight\"} 3\n\
             shed_total{cause=\"a \\\"b\\\"\\\\c\\nd\"} 1\n\
             # HELP wait_seconds Waited.\n# TYPE wait_seconds histogram\n\
             wait_seconds_bucket{kind=\"a\",le=\"0.00005\"} 1\nwait_seconds_bucket{kind=\"a\",le=\"0.0001\"} 3\n\
             wait_seconds_bucket{kind=\"a\",le=\"+Inf\"} 4\nwait_seconds_sum{kind=\"a\"} 1.00025\n\
             wait_seconds_count{kind=\"a\"} 4\n"
        );
    }
}

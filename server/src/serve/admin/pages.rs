//! The pages for people on the metrics port: an index, how the server is, the slow calls. Each is text, and JSON under the same name with
//! `.json`.

use serde_json::{Value, json};

use crate::cli::status;
use crate::health::Phase;
use crate::metrics::Metrics;
use crate::watch::slow;

/// A setting as it is shown: key, value, where it came from.
pub(crate) type Setting = (&'static str, String, String);

/// What there is, for people with and without a browser.
const LINKS: [(&str, &str); 7] = [
    ("/metrics", "figures for Prometheus"),
    ("/healthz", "200 while the process lives"),
    ("/readyz", "200 while it takes calls, else 503"),
    ("/status", "build, state, stock, journal, snapshots, recovery, settings with where they came from"),
    ("/status.json", "the same as JSON"),
    ("/slow", "the last slow and failed calls, with where their time went"),
    ("/slow.json", "the same as JSON"),
];

/// What there is, as text.
pub(super) fn list() -> String {
    LINKS.iter().map(|(path, what)| format!("{path:<14} {what}\n")).collect()
}

/// The index as a page for browsers. Nothing on it comes from outside.
pub(super) fn index(phase: Phase) -> String {
    let rows: String = LINKS
        .iter()
        .map(|(path, what)| format!("<tr><td><a href=\"{path}\">{path}</a></td><td>{what}</td></tr>\n"))
        .collect();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Quartermaster</title>\n\
         <style>body{{font:15px/1.5 system-ui,sans-serif;margin:3em auto;max-width:46em;padding:0 1em;color:#222;background:#fff}}\
         td{{padding:.2em 1.5em .2em 0;vertical-align:top}}a{{color:#06c}}\
         @media(prefers-color-scheme:dark){{body{{color:#ddd;background:#161616}}a{{color:#6af}}}}</style></head>\n\
         <body><h1>Quartermaster {}</h1>\n<p>It is <strong>{}</strong>.</p>\n<table>\n{rows}</table></body></html>\n",
        env!("CARGO_PKG_VERSION"),
        phase.name()
    )
}

/// How the server is, as text.
pub(super) fn status_text(metrics: &Metrics, phase: Phase, settings: &[Setting]) -> String {
    let mut text = match metrics.sources().and_then(|sources| sources.status()) {
        Some(told) => status::page(&told),
        None => format!("{:<16} {}\n{:<16} {}\n", "state", phase.name(), "version", env!("CARGO_PKG_VERSION")),
    };
    text.push_str("\nsettings\n");
    for (key, value, origin) in settings {
        text.push_str(&format!("  {key:<28} {value:<24} {origin}\n"));
    }
    text.push_str("\nslow and failed calls\n");
    text.push_str(&slow_text(metrics));
    text
}

/// The same as JSON.
pub(super) fn status_json(metrics: &Metrics, phase: Phase, settings: &[Setting]) -> Value {
    let told = metrics.sources().and_then(|sources| sources.status());
    let features = if cfg!(feature = "otel") { vec!["otel"] } else { Vec::new() };
    json!({
        "state": phase.name(),
        "build": { "version": env!("CARGO_PKG_VERSION"), "features": features },
        "node": told.as_ref().map(status::json_of),
        "settings": settings
            .iter()
            .map(|(key, value, origin)| json!({ "key": key, "value": value, "origin": origin }))
            .collect::<Vec<_>>(),
        "slow": slow_json(metrics),
    })
}

/// Slow and failed calls, as text.
pub(super) fn slow_text(metrics: &Metrics) -> String {
    slow::table(&metrics.watch().slow().told())
}

/// The same as JSON.
pub(super) fn slow_json(metrics: &Metrics) -> Value {
    slow::json_of(&metrics.watch().slow().told())
}

/// The setting as it may be shown: of a secret only that there is one. Paths of files with secrets are none.
pub(crate) fn shown(key: &'static str, value: String, origin: String) -> Setting {
    let is_secret = ["secret", "password", "token"].iter().any(|word| key.ends_with(word));
    let value = if is_secret && value != "-" { "(set)".to_owned() } else { value };
    (key, value, origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(shown("backup_secret", "s3cr3t".into(), "file".into()).1, "(set)");
        assert_eq!(shown("backup_secret", "-".into(), "the defaults".into()).1, "-");
        assert_eq!(shown("token_file", "/etc/tokens".into(), "file".into()).1, "/etc/tokens");
    }
}

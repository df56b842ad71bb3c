//! What a verification found, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use quartermaster_engine::history::{Check, History, Summary};
use serde::Serialize;

use crate::cli::show;

/// The whole report.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) directory: String,
    /// "sound", "violations" or "unreadable".
    pub(super) result: &'static str,
    pub(super) segments: Vec<Segment>,
    pub(super) snapshots: Vec<Snapshot>,
    pub(super) batches: u64,
    pub(super) records: u64,
    pub(super) bytes: u64,
    pub(super) first_lsn: u64,
    pub(super) last_lsn: u64,
    pub(super) torn_tail: Option<String>,
    /// The snapshot that the fold began from, when the log no longer goes back to its first record.
    pub(super) began_from: Option<String>,
    pub(super) records_folded: u64,
    pub(super) fold_seconds: f64,
    pub(super) checks: Vec<CheckLine>,
    pub(super) recovered: Vec<Recovered>,
    pub(super) catalogue: BTreeMap<&'static str, u64>,
    pub(super) stock: BTreeMap<&'static str, u64>,
    pub(super) reservations: BTreeMap<&'static str, u64>,
    pub(super) units: BTreeMap<&'static str, u64>,
    pub(super) events: BTreeMap<String, u64>,
    pub(super) overtaking_micros: u64,
    pub(super) findings_total: u64,
    pub(super) findings: Vec<FindingLine>,
    /// Files that could not be read, with the place.
    pub(super) unreadable: Vec<String>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Segment {
    pub(super) file: String,
    pub(super) first_lsn: u64,
    pub(super) epoch: u64,
    pub(super) bytes: u64,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Snapshot {
    pub(super) file: String,
    pub(super) lsn: u64,
    pub(super) needed_from: u64,
    pub(super) sections: u64,
    pub(super) bytes: u64,
    pub(super) damage: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct CheckLine {
    pub(super) check: &'static str,
    pub(super) rule: &'static str,
    /// "ok", "FAILED" or "not run".
    pub(super) result: &'static str,
    pub(super) findings: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Recovered {
    pub(super) from: String,
    pub(super) records: u64,
    pub(super) seconds: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct FindingLine {
    pub(super) lsn: u64,
    pub(super) check: &'static str,
    pub(super) what: String,
}

impl Report {
    /// Takes over what the fold counted and found.
    pub(super) fn conclude(&mut self, history: &History) {
        let Summary {
            records,
            first_lsn,
            events,
            reservations,
            skus,
            locations,
            channels,
            cells,
            shortfalls,
            on_hand,
            reserved,
            committed,
            units,
            overtaking,
            ..
        } = history.summary();
        self.records_folded = records;
        self.first_lsn = self.segments.first().map_or(first_lsn.get(), |segment| segment.first_lsn);
        self.events = events;
        self.reservations = reservations;
        self.catalogue = BTreeMap::from([("skus", skus), ("locations", locations), ("channels", channels)]);
        self.stock = BTreeMap::from([
            ("cells", cells),
            ("on_hand", on_hand),
            ("reserved", reserved),
            ("committed", committed),
            ("cells_in_shortfall", shortfalls),
        ]);
        self.units = BTreeMap::from([
            ("received", units.received),
            ("added", units.added),
            ("removed", units.removed),
            ("held", units.held),
            ("confirmed", units.confirmed),
            ("released", units.released),
            ("expired", units.expired),
            ("replaced", units.replaced),
            ("cancelled", units.cancelled_held + units.cancelled_confirmed),
            ("reassigned", units.reassigned),
            ("shipped", units.shipped),
            ("came_back", units.came_back),
            ("disposed", units.disposed),
        ]);
        self.overtaking_micros = overtaking.0;
        self.findings_total = Check::ALL.into_iter().map(|check| history.count(check)).sum();
        self.findings = history
            .findings()
            .iter()
            .map(|finding| FindingLine {
                lsn: finding.lsn.get(),
                check: finding.check.name(),
                what: finding.fault.to_string(),
            })
            .collect();
        self.result = match (self.unreadable.is_empty(), self.findings_total) {
            (false, _) => "unreadable",
            (true, 0) => "sound",
            (true, _) => "violations",
        };
        let checksums = CheckLine {
            check: "checksums",
            rule: "every byte of every segment and snapshot is as it was written",
            result: if self.unreadable.is_empty() { "ok" } else { "FAILED" },
            findings: u64::try_from(self.unreadable.len()).unwrap_or(u64::MAX),
        };
        let line = |check: Check| {
            let findings = history.count(check);
            let engine = matches!(check, Check::Recovery | Check::Audit);
            let result = match findings {
                0 if engine && self.recovered.is_empty() => "not run",
                0 if check == Check::Snapshots && self.snapshots.is_empty() => "none",
                0 => "ok",
                _ => "FAILED",
            };
            CheckLine { check: check.name(), rule: check.rule(), result, findings }
        };
        self.checks = [checksums].into_iter().chain(Check::ALL.into_iter().map(line)).collect();
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// For people.
    pub(super) fn page(&self) -> String {
        let mut page = String::new();
        self.write(&mut page).unwrap_or_default();
        page
    }

    fn write(&self, page: &mut String) -> std::fmt::Result {
        let number = show::number;
        writeln!(page, "data directory  {}", self.directory)?;
        writeln!(
            page,
            "log             {} segments, {} batches, {} records, {}, LSN {} to {}",
            self.segments.len(),
            number(self.batches),
            number(self.records),
            show::bytes(self.bytes),
            number(self.first_lsn),
            number(self.last_lsn)
        )?;
        if let Some(tail) = &self.torn_tail {
            writeln!(page, "torn tail       {tail}")?;
        }
        for snapshot in &self.snapshots {
            let state = match &snapshot.damage {
                None => format!("LSN {}, {} sections", number(snapshot.lsn), number(snapshot.sections)),
                Some(_) => "damaged".to_owned(),
            };
            writeln!(page, "snapshot        {}: {state}, {}", snapshot.file, show::bytes(snapshot.bytes))?;
        }
        let span = Duration::try_from_secs_f64(self.fold_seconds).unwrap_or_default();
        writeln!(
            page,
            "folded          {} records in {}, {} a second{}",
            number(self.records_folded),
            show::duration(span),
            number(show::rate(self.records_folded, span)),
            self.began_from.as_ref().map_or_else(String::new, |file| format!(", beginning from {file}"))
        )?;
        for recovered in &self.recovered {
            let span = Duration::try_from_secs_f64(recovered.seconds).unwrap_or_default();
            let records = number(recovered.records);
            writeln!(page, "recovered       from {}: {records} records in {}", recovered.from, show::duration(span))?;
        }
        for (name, counts) in [
            ("catalogue", &self.catalogue),
            ("stock", &self.stock),
            ("reservations", &self.reservations),
            ("units", &self.units),
        ] {
            writeln!(page, "{name:<15} {}", list(counts.iter().map(|(name, count)| (*name, *count))))?;
        }
        writeln!(page, "events          {}\n", list(self.events.iter().map(|(name, count)| (name.as_str(), *count))))?;
        for line in &self.checks {
            writeln!(page, "{:<8} {:<13} {}", line.result, line.check, line.rule)?;
        }
        if !self.findings.is_empty() {
            let (shown, all) = (number(u64::try_from(self.findings.len()).unwrap_or(0)), number(self.findings_total));
            writeln!(page, "\nfindings, the first {shown} of {all}")?;
            for finding in &self.findings {
                writeln!(page, "  LSN {}: {}: {}", finding.lsn, finding.check, finding.what)?;
            }
        }
        for unreadable in &self.unreadable {
            writeln!(page, "\nunreadable: {unreadable}")?;
        }
        writeln!(page, "\n{}", self.result)
    }
}

fn list<'a>(counts: impl Iterator<Item = (&'a str, u64)>) -> String {
    let parts: Vec<String> =
        counts.map(|(name, count)| format!("{} {}", show::number(count), name.replace('_', " "))).collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

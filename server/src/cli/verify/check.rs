//! The order of the proof: files, fold, snapshots on the way, and last the engine's own recovery beside the fold.
//!
//! The engine comes last and only to a history without a fault: where the fold finds one, the engine would stop on an invariant.

use std::sync::Arc;
use std::time::Instant;

use quartermaster_engine::EngineConfig;
use quartermaster_engine::history::{Check, Fault, History, Rules};
use quartermaster_engine::recovery::{Recovery, RecoveryError};
use quartermaster_journal::snapshot::Section;
use quartermaster_journal::{
    Error, FileStorage, LogReader, Lsn, MemoryJournal, SegmentInfo, SnapshotReader, open_read_only,
};

use super::report::{Recovered, Report, Segment, Snapshot};
use crate::cli::directory::{DataDir, Unusable};

type Reader = SnapshotReader<FileStorage>;

/// Checks everything. What cannot be read ends up in the report as far as something could be read at all.
///
/// # Errors
/// When nothing can be said: the files are of a newer version, or the headers of the segments are damaged.
pub(super) fn check(directory: &DataDir, rules: Rules) -> Result<Report, Unusable> {
    let mut report = Report { directory: directory.path.display().to_string(), ..Report::default() };
    let snapshots = snapshots(directory, &mut report)?;
    let log = LogReader::open(directory.storage.clone(), Lsn::ZERO)?;
    report.segments = log.segments().iter().map(|segment| describe(directory, segment)).collect();
    let first = log.segments().first().map_or(Lsn::new(1), |segment| segment.first_lsn);

    let mut history = History::new(rules);
    let base = if first > Lsn::new(1) {
        // Names sort by age, the newest first.
        let base = snapshots.iter().rposition(|snapshot| snapshot.end().needed_from >= first);
        let base = base.ok_or_else(|| Unusable::NoBeginning { path: directory.path.clone(), first: first.get() })?;
        load(&mut history, &snapshots[base])?;
        report.began_from = Some(snapshots[base].path().display().to_string());
        Some(base)
    } else {
        None
    };

    let started = Instant::now();
    let mut fold = Fold { history, sections: sections(&snapshots, base), payload: Vec::new() };
    fold.run(log, &snapshots, &mut report);
    report.fold_seconds = started.elapsed().as_secs_f64();
    let mut history = fold.history;
    history.balance();

    if report.unreadable.is_empty() && history.findings().is_empty() {
        let starts: Vec<Option<&Reader>> =
            if snapshots.is_empty() { vec![None] } else { snapshots.iter().map(Some).collect() };
        for snapshot in starts {
            recover(directory, snapshot, &mut history, &mut report)?;
        }
    }
    report.conclude(&history);
    Ok(report)
}

fn describe(directory: &DataDir, segment: &SegmentInfo) -> Segment {
    let file = segment.file_name();
    Segment { bytes: directory.bytes(&file), first_lsn: segment.first_lsn.get(), epoch: segment.epoch.get(), file }
}

/// The whole snapshots, the newest first; damaged ones are noted.
fn snapshots(directory: &DataDir, report: &mut Report) -> Result<Vec<Reader>, Unusable> {
    let store = directory.snapshots();
    let mut whole = Vec::new();
    for name in store.names()? {
        let opened = store.open(&name).and_then(|snapshot| snapshot.verify().map(|()| snapshot));
        let mut line = Snapshot { bytes: directory.bytes(&name), file: name, ..Snapshot::default() };
        match opened {
            Ok(snapshot) => {
                line.lsn = snapshot.start().lsn.get();
                line.needed_from = snapshot.end().needed_from.get();
                line.sections = snapshot.end().section_count;
                whole.push(snapshot);
            }
            Err(error @ Error::SnapshotDamaged { .. }) => {
                line.damage = Some(error.to_string());
                report.unreadable.push(error.to_string());
            }
            Err(error) => return Err(error.into()),
        }
        report.snapshots.push(line);
    }
    Ok(whole)
}

fn load(history: &mut History, snapshot: &Reader) -> Result<(), Unusable> {
    let mut payload = Vec::new();
    for section in snapshot.sections() {
        snapshot.read(section, &mut payload)?;
        history.load(section.kind, section.unit, section.lsn, &payload);
    }
    history.begin_at(snapshot.end().needed_from);
    Ok(())
}

/// Sections to compare on the way, by LSN: of every snapshot but the one the fold begins from.
fn sections(snapshots: &[Reader], base: Option<usize>) -> Vec<(usize, Section)> {
    let others = snapshots.iter().enumerate().filter(|(place, _)| Some(*place) != base);
    let mut sections: Vec<(usize, Section)> =
        others.flat_map(|(place, snapshot)| snapshot.sections().iter().map(move |section| (place, *section))).collect();
    sections.sort_by_key(|(place, section)| (section.lsn, *place));
    sections.reverse();
    sections
}

struct Fold {
    history: History,
    /// Still to come, the next one last.
    sections: Vec<(usize, Section)>,
    payload: Vec<u8>,
}

impl Fold {
    fn run(&mut self, mut log: LogReader<FileStorage>, snapshots: &[Reader], report: &mut Report) {
        loop {
            match log.next_record() {
                Ok(Some(record)) => {
                    report.records += 1;
                    if record.lsn >= self.history.next_lsn() {
                        self.check_sections(record.lsn, snapshots, report);
                        self.history.fold(record.lsn, record.bytes);
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    report.unreadable.push(error.to_string());
                    break;
                }
            }
        }
        report.batches = log.batches();
        report.bytes = log.bytes();
        report.last_lsn = log.position().lsn.get();
        report.torn_tail = log.torn_tail().map(|tail| {
            format!("{}: {} bytes from byte {} on, never acknowledged", tail.file.display(), tail.bytes, tail.offset)
        });
        if report.unreadable.is_empty() {
            self.check_sections(self.history.next_lsn(), snapshots, report);
            if let Some((_, section)) = self.sections.first() {
                let (what, found) = ("the LSN that a snapshot reaches to", section.lsn.get());
                let fault = Fault::NumberDiffers { what, found, folded: report.last_lsn };
                self.history.note(Check::Snapshots, fault);
            }
        }
    }

    /// Compares the sections that are complete before a record.
    fn check_sections(&mut self, next: Lsn, snapshots: &[Reader], report: &mut Report) {
        while let Some((place, section)) = self.sections.pop_if(|(_, section)| section.lsn < next) {
            match snapshots[place].read(&section, &mut self.payload) {
                Ok(()) => self.history.check_section(section.kind, section.unit, section.lsn, &self.payload),
                Err(error) => report.unreadable.push(error.to_string()),
            }
        }
    }
}

/// Recovers as a server would, and compares.
fn recover(
    directory: &DataDir,
    snapshot: Option<&Reader>,
    history: &mut History,
    report: &mut Report,
) -> Result<(), Unusable> {
    let started = Instant::now();
    let mut recovery = Recovery::new(EngineConfig::default());
    let refused = match recover_into(&mut recovery, directory, snapshot) {
        Ok(()) => None,
        Err(Refusal::Engine(source)) => Some(source),
        Err(Refusal::Journal(error)) => return Err(error.into()),
    };
    let records = recovery.records();
    match refused {
        Some(source) => history.note(Check::Recovery, Fault::Refused { source }),
        None => {
            let engine = recovery.finish(Arc::new(MemoryJournal::new()));
            let seconds = started.elapsed().as_secs_f64();
            let from = snapshot.map_or_else(|| "the log alone".to_owned(), |it| it.path().display().to_string());
            report.recovered.push(Recovered { from, records, seconds });
            history.compare(&engine);
        }
    }
    Ok(())
}

enum Refusal {
    Engine(RecoveryError),
    Journal(Error),
}

fn recover_into(recovery: &mut Recovery, directory: &DataDir, snapshot: Option<&Reader>) -> Result<(), Refusal> {
    let mut payload = Vec::new();
    for section in snapshot.map_or(&[][..], SnapshotReader::sections) {
        if let Some(snapshot) = snapshot {
            snapshot.read(section, &mut payload).map_err(Refusal::Journal)?;
        }
        recovery.load(section.kind, section.unit, section.lsn, &payload).map_err(Refusal::Engine)?;
    }
    let from = snapshot.map_or(Lsn::new(1), |snapshot| snapshot.end().needed_from);
    let mut refused = None;
    let replayed = open_read_only(directory.storage.clone(), from, &mut |lsn, _, bytes| {
        recovery.replay(lsn, bytes).map_err(|error| {
            refused = Some(error);
            "the engine refused it".into()
        })
    });
    match (replayed, refused) {
        (_, Some(error)) => Err(Refusal::Engine(error)),
        (Err(error), None) => Err(Refusal::Journal(error)),
        (Ok(_), None) => Ok(()),
    }
}

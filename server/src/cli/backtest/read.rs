//! The log of a data directory, from its beginning or its oldest snapshot to its end.

use std::thread;
use std::time::Duration;

use quartermaster_backtest::{Backtest, Opening, Options, Outcome, change::Changed};
use quartermaster_journal::{Error, FileStorage, LogReader, Lsn, SnapshotReader};

use super::Stop;
use crate::cli::directory::{DataDir, Unusable};

/// Beside a running server, a batch that is being written can look damaged: its end is read before its beginning is there. Looked at
/// again it is whole.
const LOOKS: u32 = 5;
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Runs all of it; `changed` gets every order that differs.
pub(super) fn run(
    directory: &DataDir,
    options: Options,
    mut changed: impl FnMut(&Changed) -> Result<(), Stop>,
) -> Result<Outcome, Stop> {
    let (opening, mut next) = beginning(directory)?;
    let mut backtest = Backtest::new(opening, options);
    let mut looks = 0;
    loop {
        match walk(directory, &mut backtest, &mut next, &mut changed) {
            Err(Stop::Unusable(Unusable::Journal(Error::Damaged { .. }))) if looks < LOOKS => {
                looks += 1;
                thread::sleep(LOOK_AGAIN);
            }
            ended => return ended.map(|()| backtest.finish()),
        }
    }
}

fn walk(
    directory: &DataDir,
    backtest: &mut Backtest,
    next: &mut Lsn,
    changed: &mut impl FnMut(&Changed) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let mut log = LogReader::open(directory.storage.clone(), *next).map_err(Unusable::from)?;
    while let Some(entry) = log.next_record().map_err(Unusable::from)? {
        if entry.lsn < *next {
            continue;
        }
        if let Some(order) = backtest.replay(entry.lsn, entry.bytes)? {
            changed(&order)?;
        }
        *next = entry.lsn.next();
    }
    Ok(())
}

/// What the other world begins with, and the first record it needs.
fn beginning(directory: &DataDir) -> Result<(Opening, Lsn), Stop> {
    let log = LogReader::open(directory.storage.clone(), Lsn::ZERO).map_err(Unusable::from)?;
    let first = log.segments().first().map_or(Lsn::new(1), |segment| segment.first_lsn);
    if first <= Lsn::new(1) {
        return Ok((Opening::default(), Lsn::new(1)));
    }
    let snapshot = oldest(directory, first)?;
    let mut opening = Opening::default();
    let mut payload = Vec::new();
    for section in snapshot.sections() {
        snapshot.read(section, &mut payload).map_err(Unusable::from)?;
        opening.load(section.kind, section.unit, section.lsn, &payload).map_err(quartermaster_backtest::Fault::from)?;
    }
    Ok((opening, snapshot.end().needed_from))
}

/// The oldest whole snapshot that the log follows.
fn oldest(directory: &DataDir, first: Lsn) -> Result<SnapshotReader<FileStorage>, Unusable> {
    let store = directory.snapshots();
    // Names sort by age, the newest first.
    for name in store.names()?.iter().rev() {
        match store.open(name).and_then(|snapshot| snapshot.verify().map(|()| snapshot)) {
            Ok(snapshot) if snapshot.end().needed_from >= first => return Ok(snapshot),
            Ok(_) | Err(Error::SnapshotDamaged { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Unusable::NoBeginning { path: directory.path.clone(), first: first.get() })
}

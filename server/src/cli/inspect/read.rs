//! Walks the log and prints what the filter lets through.

use std::io::Write;
use std::thread;
use std::time::Duration;

use quartermaster_engine::codec;
use quartermaster_journal::{Error, LogReader, Lsn};

use super::Stop;
use super::event::line;
use super::filter::FilterArgs;
use super::names::Names;
use crate::cli::directory::{DataDir, Unusable};

/// Beside a running server, a batch that is being written can look damaged: its end is read before its beginning is there. Looked at
/// again it is whole.
const LOOKS: u32 = 5;
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Prints the events.
pub(super) fn print(directory: &DataDir, filter: &FilterArgs, limit: u64, out: &mut impl Write) -> Result<(), Stop> {
    let names = Names::of(directory)?;
    let mut walk = Walk { next: filter.first().min(names.complete_to.next()), names, left: limit };
    let mut looks = 0;
    loop {
        match walk.run(directory, filter, out) {
            Err(Stop::Unusable(Unusable::Journal(Error::Damaged { .. }))) if looks < LOOKS => {
                looks += 1;
                thread::sleep(LOOK_AGAIN);
            }
            ended => return ended,
        }
    }
}

struct Walk {
    names: Names,
    /// First record that was not looked at.
    next: Lsn,
    /// Events that may still be printed.
    left: u64,
}

impl Walk {
    fn run(&mut self, directory: &DataDir, filter: &FilterArgs, out: &mut impl Write) -> Result<(), Stop> {
        let mut log = self.open(directory)?;
        while self.left > 0
            && let Some(entry) = log.next_record()?
        {
            if filter.is_past(entry.lsn) {
                break;
            }
            let record = codec::decode(entry.bytes)
                .map_err(|source| Error::Visit { lsn: entry.lsn, source: Box::new(source) })?;
            self.names.learn(&record);
            self.next = entry.lsn.next();
            if entry.lsn >= filter.first() && filter.shows(&record, &self.names) {
                let line = line(entry.lsn, entry.epoch, &record, &self.names);
                serde_json::to_writer(&mut *out, &line).map_err(|error| Stop::Output(error.into()))?;
                out.write_all(b"\n").map_err(Stop::Output)?;
                self.left -= 1;
            }
        }
        Ok(())
    }

    /// From the next record on, or from the first there is: what was removed before is in the snapshot that gave the names.
    fn open(&self, directory: &DataDir) -> Result<LogReader<quartermaster_journal::FileStorage>, Stop> {
        match LogReader::open(directory.storage.clone(), self.next) {
            Err(Error::Gap { .. }) => Ok(LogReader::open(directory.storage.clone(), Lsn::ZERO)?),
            opened => Ok(opened?),
        }
    }
}

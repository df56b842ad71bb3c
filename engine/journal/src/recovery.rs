//! Replays a log: one pass that checks every batch and gives every record, to a visitor or to whoever asks for the next.

use crate::directory::Directory;
use crate::error::{Error, VisitError};
use crate::lsn::{Epoch, Lsn};
use crate::reader::{LogReader, Record, TornTail};
use crate::storage::Storage;

/// Takes each record of a replay, in order; an error ends the replay.
pub type Visit<'a> = dyn FnMut(Lsn, Epoch, &[u8]) -> Result<(), VisitError> + 'a;

/// The records of a log that is being opened, in order.
#[derive(Debug)]
pub struct Replay<S: Storage> {
    reader: LogReader<S>,
    records: u64,
}

/// What comes next in a replay.
#[derive(Debug)]
pub enum Next<'a> {
    /// A record.
    Record(Record<'a>),
    /// No more.
    End(End),
}

/// All records of a log were given. Only a replay makes one, so that no log is opened for writing by somebody who has not asked for all of it.
#[derive(Debug)]
pub struct End(());

impl<S: Storage> Replay<S> {
    /// Of the records from `from`.
    pub(crate) fn open(directory: Directory<S>, from: Lsn) -> Result<Replay<S>, Error> {
        let reader = LogReader::open_until(directory, from, None)?;
        Ok(Replay { reader, records: 0 })
    }

    /// The next record, or the end.
    ///
    /// # Errors
    /// [`Error::Damaged`] and [`Error::MissingSegment`] when the log cannot be trusted from here on, [`Error::BeyondEnd`] at the end when it
    /// does not reach the first record that was asked for, and whatever the disk reports.
    #[inline]
    pub fn next_record(&mut self) -> Result<Next<'_>, Error> {
        let Some(found) = self.reader.find_record()? else {
            self.check_reach()?;
            return Ok(Next::End(End(())));
        };
        self.records += 1;
        Ok(Next::Record(self.reader.record(&found)))
    }

    /// Gives the records that are left to `visit`.
    pub(crate) fn visit(&mut self, visit: &mut Visit<'_>) -> Result<End, Error> {
        loop {
            match self.next_record()? {
                Next::Record(Record { lsn, epoch, bytes }) => {
                    visit(lsn, epoch, bytes).map_err(|source| Error::Visit { lsn, source })?;
                }
                Next::End(end) => return Ok(end),
            }
        }
    }

    pub(crate) fn reader(&self) -> &LogReader<S> {
        &self.reader
    }

    /// What was found, once all of it was.
    pub(crate) fn report(&self, _: &End) -> RecoveryReport {
        let reader = &self.reader;
        RecoveryReport {
            first_lsn: reader.segments().first().map_or(Lsn::ZERO, |first| first.first_lsn),
            last_lsn: reader.position().lsn,
            epoch: reader.segments().last().map_or(Epoch::ZERO, |last| last.epoch),
            records: self.records,
            batches: reader.batches(),
            bytes: reader.bytes(),
            segments: u64::try_from(reader.segments().len()).expect("Invariant: there are fewer segments than bytes"),
            torn_tail: reader.torn_tail().cloned(),
        }
    }

    /// A caller that continues at `from` has seen everything before it as durable, so the log must reach that far.
    fn check_reach(&self) -> Result<(), Error> {
        let (wanted, last) = (self.reader.from(), self.reader.position().lsn);
        if wanted > last.next() {
            return Err(Error::BeyondEnd { directory: self.reader.directory().path(), wanted, last });
        }
        Ok(())
    }
}

/// What a replay found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryReport {
    /// First record in the directory; [`Lsn::ZERO`] in an empty log.
    pub first_lsn: Lsn,
    /// Last record of the log; [`Lsn::ZERO`] when there never was one.
    pub last_lsn: Lsn,
    /// Epoch of the new writer, or of the last one when nothing was opened for writing.
    pub epoch: Epoch,
    /// Records that were given.
    pub records: u64,
    /// Batches read and checked.
    pub batches: u64,
    /// Bytes of those batches, padding included.
    pub bytes: u64,
    /// Segment files found.
    pub segments: u64,
    /// Bytes at the end that are no batch. Cut, when the log was opened for writing.
    pub torn_tail: Option<TornTail>,
}

/// Replays the log from `from` without claiming the directory or changing anything in it. Otherwise as
/// [`Log::open`](crate::Log::open): the same checks, the same visits.
///
/// # Errors
/// As [`Log::open`](crate::Log::open), except [`Error::Locked`].
pub fn open_read_only<S: Storage>(storage: S, from: Lsn, visit: &mut Visit<'_>) -> Result<RecoveryReport, Error> {
    let mut replay = Replay::open(Directory::new(storage), from)?;
    let end = replay.visit(visit)?;
    Ok(replay.report(&end))
}

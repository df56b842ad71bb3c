//! Replays a log: one pass that checks every batch and hands every record to a visitor.

use crate::directory::Directory;
use crate::error::{Error, VisitError};
use crate::lsn::{Epoch, Lsn};
use crate::reader::{LogReader, TornTail};
use crate::storage::Storage;

/// Takes each record of a replay, in order; an error ends the replay.
pub type Visit<'a> = dyn FnMut(Lsn, Epoch, &[u8]) -> Result<(), VisitError> + 'a;

/// Says whether a log may be opened for writing by whoever has seen all of its records.
pub type Agreed<'a> = dyn FnMut() -> Result<(), VisitError> + 'a;

/// What a replay found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryReport {
    /// First record in the directory; [`Lsn::ZERO`] in an empty log.
    pub first_lsn: Lsn,
    /// Last record of the log; [`Lsn::ZERO`] when there never was one.
    pub last_lsn: Lsn,
    /// Epoch of the new writer, or of the last one when nothing was opened for writing.
    pub epoch: Epoch,
    /// Records given to the visitor.
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
    let mut reader = LogReader::open_until(Directory::new(storage), from, None)?;
    replay(&mut reader, from, visit)
}

/// Reads to the end and visits the records from `from`.
pub(crate) fn replay<S: Storage>(
    reader: &mut LogReader<S>,
    from: Lsn,
    visit: &mut Visit<'_>,
) -> Result<RecoveryReport, Error> {
    let mut records = 0;
    while let Some(batch) = reader.next_batch()? {
        let epoch = batch.header.epoch;
        for (lsn, record) in batch.records() {
            if lsn >= from {
                visit(lsn, epoch, record).map_err(|source| Error::Visit { lsn, source })?;
                records += 1;
            }
        }
    }
    check_reach(reader, from)?;
    Ok(RecoveryReport {
        first_lsn: reader.segments().first().map_or(Lsn::ZERO, |first| first.first_lsn),
        last_lsn: reader.position().lsn,
        epoch: reader.segments().last().map_or(Epoch::ZERO, |last| last.epoch),
        records,
        batches: reader.batches(),
        bytes: reader.bytes(),
        segments: u64::try_from(reader.segments().len()).expect("Invariant: there are fewer segments than bytes"),
        torn_tail: reader.torn_tail().cloned(),
    })
}

/// A caller that continues at `from` has seen everything before it as durable, so the log must reach that far.
fn check_reach<S: Storage>(reader: &LogReader<S>, wanted: Lsn) -> Result<(), Error> {
    let last = reader.position().lsn;
    if wanted > last.next() {
        return Err(Error::BeyondEnd { directory: reader.directory().path(), wanted, last });
    }
    Ok(())
}

//! What must hold after a recovery, beside the model: the same state by another way, and the same log on the disk.

use std::sync::Arc;

use quartermaster_engine::{
    Engine, EngineConfig,
    fingerprint::Fingerprinter,
    history::{History, Rules},
    recovery::Recovery,
    snapshot::kind,
    time::Timestamp,
};
use quartermaster_journal::{LogReader, Lsn, MemoryJournal, SimStorage};

use crate::model::Judged;

/// A hash of all state as a snapshot has it, but for the first section: ids that refusals used up are not brought back.
#[must_use]
pub fn state_hash(engine: &Engine) -> u64 {
    let mut hash = Fingerprinter::default();
    let taken = engine.snapshot(Timestamp(0), |section| {
        if section.kind != kind::META {
            hash.number(u64::from(section.kind)).number(u64::from(section.unit)).bytes(&section.payload);
        }
        Ok::<(), std::convert::Infallible>(())
    });
    let Ok(_) = taken;
    hash.finish()
}

/// The state that the records alone lead to, from the first on.
///
/// # Errors
/// When they do not replay.
pub fn folded_hash(config: EngineConfig, records: &[Vec<u8>]) -> Judged<u64> {
    let mut recovery = Recovery::new(config);
    for (lsn, record) in (1..).zip(records) {
        recovery.replay(Lsn::new(lsn), record).map_err(|error| format!("the log does not replay: {error}"))?;
    }
    Ok(state_hash(&recovery.finish(Arc::new(MemoryJournal::new()))))
}

/// The records on the disk, of which `first` is the oldest, are those that were appended.
pub(crate) fn same_log(storage: SimStorage, first: Lsn, records: &[Vec<u8>]) -> Judged {
    let mut expected = first;
    let mut reader =
        LogReader::open(storage, Lsn::ZERO).map_err(|error| format!("the log cannot be read back: {error}"))?;
    while let Some(entry) = reader.next_record().map_err(|error| format!("the log cannot be read back: {error}"))? {
        let place = usize::try_from(entry.lsn.get()).unwrap_or(0);
        let known = place.checked_sub(1).and_then(|place| records.get(place));
        if entry.lsn != expected || known.is_none_or(|known| known != entry.bytes) {
            return Err(format!("the disk has another record at {} (expected {expected})", entry.lsn));
        }
        expected = expected.next();
    }
    if u64::try_from(records.len()) == Ok(expected.get() - 1) {
        Ok(())
    } else {
        Err(format!("the log on the disk ends before {expected}, and {} records are recovered", records.len()))
    }
}

/// A fold of the log that shares no code with the engine comes to the same, and finds nothing.
pub(crate) fn same_history(engine: &Engine, records: &[Vec<u8>]) -> Judged {
    let mut history = History::new(Rules::default());
    for (lsn, record) in (1..).zip(records) {
        history.fold(Lsn::new(lsn), record);
    }
    history.balance();
    history.compare(engine);
    let findings = history.findings();
    if findings.is_empty() { Ok(()) } else { Err(format!("the history finds {findings:?}")) }
}

//! What the tests share: opening a log, filling it, reading it back.
#![allow(dead_code, reason = "each test binary uses a part of this")]

use quartermaster_journal::{
    Epoch, Error, Journal, Log, LogConfig, Lsn, RecoveryReport, SimStorage, Storage, open_read_only,
};

/// Records as a replay gives them.
pub(crate) type Found = Vec<(Lsn, Epoch, Vec<u8>)>;

pub(crate) fn open<S: Storage>(storage: &S, config: LogConfig) -> Result<(Log<S>, RecoveryReport, Found), Error> {
    open_from(storage, config, Lsn::new(1))
}

pub(crate) fn open_from<S: Storage>(
    storage: &S,
    config: LogConfig,
    from: Lsn,
) -> Result<(Log<S>, RecoveryReport, Found), Error> {
    let mut found = Found::new();
    let (log, report) = Log::open(storage.clone(), config, from, &mut |lsn, epoch, record| {
        found.push((lsn, epoch, record.to_vec()));
        Ok(())
    })?;
    Ok((log, report, found))
}

pub(crate) fn read<S: Storage>(storage: &S, from: Lsn) -> Result<(RecoveryReport, Found), Error> {
    let mut found = Found::new();
    let report = open_read_only(storage.clone(), from, &mut |lsn, epoch, record| {
        found.push((lsn, epoch, record.to_vec()));
        Ok(())
    })?;
    Ok((report, found))
}

/// The content of the record at `lsn`: recognisable, of a length that varies from 0 to 999 bytes.
pub(crate) fn record(lsn: u64) -> Vec<u8> {
    let length = usize::try_from(lsn.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32).unwrap() % 1000;
    let mut bytes = lsn.to_le_bytes().to_vec();
    bytes.resize(length, u8::try_from(lsn % 251).unwrap());
    bytes
}

/// Appends the next `count` records, of the content that [`record`] gives.
pub(crate) fn append<S: Storage>(log: &Log<S>, count: u64) {
    for _ in 0..count {
        let expected = log.appended_lsn().next();
        let lsn = log.append(&record(expected.get())).unwrap();
        assert_eq!(lsn, expected);
    }
}

/// That `found` are the records `first..=last` as [`record`] gives them.
pub(crate) fn check(found: &Found, first: u64, last: u64) {
    let lsns: Vec<u64> = found.iter().map(|(lsn, _, _)| lsn.get()).collect();
    assert_eq!(lsns, (first..=last).collect::<Vec<u64>>());
    for (lsn, _, bytes) in found {
        assert_eq!(*bytes, record(lsn.get()), "content of {lsn}");
    }
}

/// Names of the segments, oldest first.
pub(crate) fn segments(storage: &SimStorage) -> Vec<String> {
    let mut names = storage.list().unwrap();
    names.retain(|name| name.starts_with("wal-"));
    names.sort();
    names
}

//! Files of every format version there ever was still open. Nothing in `fixtures` is ever written again: a new version
//! adds a folder.

mod common;

use std::path::{Path, PathBuf};

use common::{append, check, open, record};
use quartermaster_journal::{
    Epoch, FileStorage, LogConfig, Lsn, SimStorage, SnapshotReader, SnapshotStart, SnapshotStore,
};

const SEGMENT: &str = "wal-00000000000000000001.seg";
const SNAPSHOT: &str = "snapshot-00000000000000000020.snap";

fn fixtures(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(version)
}

/// What version 1 holds: 30 records in three batches, and a snapshot with two sections.
fn make() -> (Vec<u8>, Vec<u8>) {
    let storage = SimStorage::new();
    let (log, _, _) = open(&storage, LogConfig::small()).unwrap();
    for _ in 0..3 {
        append(&log, 10);
        log.step().unwrap();
    }
    let start = SnapshotStart { shard: 0, epoch: Epoch::new(1), lsn: Lsn::new(20), batch_index: 2, chain: 5 };
    let mut writer = SnapshotStore::new(storage.clone()).begin(&start).unwrap();
    writer.section(1, 0, Lsn::new(20), b"first").unwrap();
    writer.section(2, 7, Lsn::new(21), &record(3)).unwrap();
    writer.finish(Lsn::new(21), 99).unwrap();
    let mut segment = storage.content(SEGMENT).unwrap();
    // Zeros behind the last batch need not be kept: a short file reads as one that ends in zeros.
    segment.truncate(512 + usize::try_from(log.stats().bytes).unwrap());
    (segment, storage.content(SNAPSHOT).unwrap())
}

/// Made the fixtures of version 1, and shows how to make those of the next.
#[test]
#[ignore = "writes fixtures"]
fn make_fixtures() {
    let folder = fixtures("v1");
    std::fs::create_dir_all(&folder).unwrap();
    let (segment, snapshot) = make();
    std::fs::write(folder.join(SEGMENT), segment).unwrap();
    std::fs::write(folder.join(SNAPSHOT), snapshot).unwrap();
}

#[test]
fn version_1_opens_for_reading_and_for_writing() {
    let folder = fixtures("v1");
    let copy = tempfile::tempdir().unwrap();
    for name in [SEGMENT, SNAPSHOT] {
        std::fs::copy(folder.join(name), copy.path().join(name)).unwrap();
    }
    let storage = FileStorage::new(copy.path());
    let (log, report, found) = open(&storage, LogConfig::small()).unwrap();
    check(&found, 1, 30);
    assert_eq!((report.epoch, report.batches, report.torn_tail), (Epoch::new(2), 3, None));
    append(&log, 3);
    log.close().unwrap();
    drop(log);
    check(&open(&storage, LogConfig::small()).unwrap().2, 1, 33);
    let snapshot = SnapshotReader::open(storage, SNAPSHOT).unwrap();
    snapshot.verify().unwrap();
    assert_eq!((snapshot.end().needed_from, snapshot.end().state_hash), (Lsn::new(21), 99));
    let mut payload = Vec::new();
    snapshot.read(&snapshot.sections()[1], &mut payload).unwrap();
    assert_eq!(payload, record(3));
}

#[test]
fn what_is_written_today_is_version_1_byte_for_byte() {
    let (segment, snapshot) = make();
    assert_eq!(segment, std::fs::read(fixtures("v1").join(SEGMENT)).unwrap());
    assert_eq!(snapshot, std::fs::read(fixtures("v1").join(SNAPSHOT)).unwrap());
}

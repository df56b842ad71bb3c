//! Snapshots: what was written is read back, whatever is damaged is passed over, and two are kept.

mod common;

use common::{append, check, open, open_from};
use quartermaster_journal::snapshot::SNAPSHOT_VERSION;
use quartermaster_journal::storage::{CrashStyle, Fault, SimOperation};
use quartermaster_journal::{
    Epoch, Error, Journal, LogConfig, Lsn, SimStorage, SnapshotReader, SnapshotStart, SnapshotStore, Storage,
};

fn start(lsn: u64) -> SnapshotStart {
    SnapshotStart { shard: 0, epoch: Epoch::new(3), lsn: Lsn::new(lsn), batch_index: 9, chain: 0xabc }
}

fn payload(unit: u32) -> Vec<u8> {
    unit.to_le_bytes().repeat(usize::try_from(unit * 37).unwrap())
}

fn write(storage: &SimStorage, lsn: u64) -> Result<(), Error> {
    let mut writer = SnapshotStore::new(storage.clone()).begin(&start(lsn))?;
    for unit in 0..5 {
        writer.section(7, unit, Lsn::new(lsn + u64::from(unit)), &payload(unit))?;
    }
    writer.finish(Lsn::new(lsn + 1), 0x5a5a).map(|_| ())
}

fn name(lsn: u64) -> String {
    format!("snapshot-{lsn:020}.snap")
}

#[test]
fn sections_read_back_from_several_threads() {
    let storage = SimStorage::new();
    write(&storage, 40).unwrap();
    let snapshot = SnapshotStore::new(storage).newest_whole().unwrap().snapshot.unwrap();
    assert_eq!(snapshot.start(), &start(40));
    assert_eq!((snapshot.end().needed_from, snapshot.end().state_hash), (Lsn::new(41), 0x5a5a));
    assert_eq!(snapshot.sections().len(), 5);
    std::thread::scope(|scope| {
        for section in snapshot.sections() {
            let snapshot = &snapshot;
            scope.spawn(move || {
                let mut bytes = Vec::new();
                snapshot.read(section, &mut bytes).unwrap();
                assert_eq!(bytes, payload(section.unit));
                assert_eq!(section.lsn.get(), 40 + u64::from(section.unit));
            });
        }
    });
}

#[test]
fn large_sections_and_small_ones_mix() {
    let storage = SimStorage::new();
    let mut writer = SnapshotStore::new(storage.clone()).begin(&start(1)).unwrap();
    let sizes = [0, 3, (1 << 20) - 40, 5, 1 << 20, (1 << 20) + 1, 7];
    for (unit, size) in sizes.into_iter().enumerate() {
        writer.section(1, u32::try_from(unit).unwrap(), Lsn::ZERO, &vec![9; size]).unwrap();
    }
    writer.finish(Lsn::new(1), 0).unwrap();
    let snapshot = SnapshotReader::open(storage, &name(1)).unwrap();
    snapshot.verify().unwrap();
    let found: Vec<u64> = snapshot.sections().iter().map(|section| section.payload_bytes).collect();
    assert_eq!(found, sizes.map(|size| u64::try_from(size).unwrap()));
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed_and_the_older_snapshot_serves() {
    let storage = SimStorage::new();
    write(&storage, 40).unwrap();
    write(&storage, 50).unwrap();
    let whole = storage.content(&name(50)).unwrap();
    let serves_older = |bytes: &[u8], what: &str| {
        storage.plant(&name(50), bytes);
        let newest = SnapshotStore::new(storage.clone()).newest_whole().unwrap();
        assert_eq!(newest.snapshot.unwrap().start().lsn, Lsn::new(40), "{what}");
        assert!(matches!(newest.skipped[0].error, Error::SnapshotDamaged { .. }), "{what}");
    };
    for position in 0..whole.len() {
        // Every bit: of the header, the sections' headers, the footer, and the payloads too, since the file is small.
        for bit in 0..8 {
            let mut broken = whole.clone();
            broken[position] ^= 1 << bit;
            serves_older(&broken, &format!("bit {bit} of byte {position} flipped"));
        }
        serves_older(&whole[..position], &format!("cut at {position}"));
    }
    storage.plant(&name(50), &whole);
    assert_eq!(SnapshotStore::new(storage).newest_whole().unwrap().snapshot.unwrap().start().lsn, Lsn::new(50));
}

#[test]
fn a_snapshot_of_a_newer_version_is_refused_by_name() {
    let storage = SimStorage::new();
    write(&storage, 40).unwrap();
    let mut bytes = storage.content(&name(40)).unwrap();
    bytes[8..10].copy_from_slice(&(SNAPSHOT_VERSION + 1).to_le_bytes());
    let checksum = crc_fast::crc32_iscsi(&bytes[..60]);
    bytes[60..64].copy_from_slice(&checksum.to_le_bytes());
    storage.plant(&name(40), &bytes);
    let error = SnapshotStore::new(storage).newest_whole().unwrap_err();
    assert!(matches!(error, Error::NewerFormat { found: 2, supported: 1, .. }), "{error}");
}

#[test]
fn a_crash_at_any_call_leaves_the_old_snapshot_or_the_new_one() {
    for calls in 0.. {
        let storage = SimStorage::new();
        write(&storage, 40).unwrap();
        storage.power_off_after(calls);
        let finished = write(&storage, 50).is_ok();
        for seed in 0..20 {
            let found = SnapshotStore::new(storage.crash(seed)).newest_whole().unwrap();
            let lsn = found.snapshot.unwrap().start().lsn.get();
            assert!(lsn == 50 || (lsn == 40 && !finished), "calls {calls}, seed {seed}: {lsn}");
            assert!(found.skipped.is_empty(), "calls {calls}, seed {seed}: a name was there before its bytes");
        }
        if finished {
            return;
        }
    }
}

#[test]
fn a_failure_at_any_call_is_told_and_harms_no_older_snapshot() {
    for operation in [SimOperation::Open, SimOperation::Write, SimOperation::Sync, SimOperation::Rename] {
        let storage = SimStorage::new();
        write(&storage, 40).unwrap();
        storage.inject(Fault { operation, after: 0, kind: std::io::ErrorKind::StorageFull });
        let error = write(&storage, 50).unwrap_err();
        assert!(matches!(error, Error::NoSpace { .. }), "{error}");
        let found = SnapshotStore::new(storage.crash_with(CrashStyle::KeepAll, 1)).newest_whole().unwrap();
        assert_eq!(found.snapshot.unwrap().start().lsn, Lsn::new(40));
    }
}

#[test]
fn two_whole_snapshots_are_kept_and_the_log_is_trimmed_to_the_older() {
    let storage = SimStorage::new();
    let (log, _, _) = open(&storage, LogConfig::small()).unwrap();
    let store = SnapshotStore::new(storage.clone());
    for lsn in [200, 400, 600, 800] {
        append(&log, 200);
        log.sync().unwrap();
        assert_eq!(log.durable_lsn().get(), lsn);
        write(&storage, lsn).unwrap();
        let needed_from = store.retain_newest().unwrap().needed_from;
        assert_eq!(needed_from.get(), if lsn == 200 { 0 } else { lsn - 199 });
        log.trim(needed_from).unwrap();
        assert!(log.first_lsn() <= needed_from.max(Lsn::new(1)));
    }
    assert_eq!(store.names().unwrap(), [name(800), name(600)]);
    assert!(log.first_lsn() > Lsn::new(200), "trimming was meant to remove something");
    log.close().unwrap();
    drop(log);
    // The newest is damaged: the older one and the log since then are enough.
    let mut bytes = storage.content(&name(800)).unwrap();
    bytes[100] ^= 1;
    storage.plant(&name(800), &bytes);
    let newest = store.newest_whole().unwrap();
    assert_eq!(newest.skipped.len(), 1);
    let from = newest.snapshot.unwrap().end().needed_from;
    let (_, report, found) = open_from(&storage, LogConfig::small(), from).unwrap();
    check(&found, 601, 800);
    assert_eq!(report.last_lsn, Lsn::new(800));
    let error = open_from(&storage.restart(), LogConfig::small(), Lsn::new(1)).unwrap_err();
    assert!(matches!(error, Error::Gap { wanted, .. } if wanted == Lsn::new(1)), "{error}");
}

#[test]
fn an_unfinished_snapshot_is_never_seen_and_is_cleared_away() {
    let storage = SimStorage::new();
    write(&storage, 40).unwrap();
    let store = SnapshotStore::new(storage.clone());
    let mut writer = store.begin(&start(50)).unwrap();
    writer.section(1, 1, Lsn::new(1), b"half").unwrap();
    drop(writer);
    assert_eq!(store.newest_whole().unwrap().snapshot.unwrap().start().lsn, Lsn::new(40));
    assert_eq!(store.retain_newest().unwrap().removed, 1);
    assert_eq!(storage.list().unwrap(), [name(40)]);
}

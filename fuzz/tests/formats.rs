//! A data directory of every version there ever was: opened, replayed and compared with what is written beside it, for ever.
//!
//! `fixtures/v1` holds an event of every kind and a section of every kind, written by a server that was sent the world of the fuzz
//! targets and the calls of `every.jsonl`; `v2` the same by a server that packs the cells of its snapshots. Nothing in them is written
//! again; a change of the format adds a folder. A kind of event or a field of a section that no fixture holds fails here: add calls that
//! make it, and a folder.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use prost_reflect::DynamicMessage;
use quartermaster_engine::{
    Engine, EngineConfig, codec,
    history::{History, Rules},
    recovery::Recovery,
};
use quartermaster_fuzz::{
    kinds,
    targets::{journal_message, world},
};
use quartermaster_journal::{
    Durability, FileStorage, Journal as _, Log, LogConfig, LogReader, Lsn, MemoryJournal, SimStorage, SnapshotReader,
    SnapshotStore,
};

const VERSIONS: [&str; 2] = ["v1", "v2"];

/// Kinds that no log holds: a summary stands for large events among the answers that a snapshot keeps, `none` holds a place.
const NEVER_LOGGED: [&str; 4] = ["summary", "campaign.none", "returns.none", "supply.none"];

fn fixtures(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(version)
}

/// Records in order.
fn records(folder: &Path) -> Vec<Vec<u8>> {
    batches(folder).into_iter().flat_map(|(_, records)| records).collect()
}

/// Batches in order: what had been synced when each was written, and its records.
fn batches(folder: &Path) -> Vec<(Lsn, Vec<Vec<u8>>)> {
    let mut log = LogReader::open(FileStorage::new(folder), Lsn::new(1)).unwrap();
    let mut batches = Vec::new();
    while let Some(batch) = log.next_batch().unwrap() {
        let records = batch.records().map(|(_, bytes)| bytes.to_vec()).collect();
        batches.push((batch.header.synced_lsn, records));
    }
    assert_eq!(log.torn_tail(), None);
    batches
}

fn snapshots(folder: &Path) -> Vec<SnapshotReader<FileStorage>> {
    let store = SnapshotStore::new(FileStorage::new(folder));
    let names = store.names().unwrap();
    names.iter().map(|name| store.open(name).unwrap()).collect()
}

fn replayed(folder: &Path, snapshot: Option<&SnapshotReader<FileStorage>>) -> Engine {
    let mut recovery = Recovery::new(EngineConfig::default());
    let mut payload = Vec::new();
    for section in snapshot.map_or(&[][..], SnapshotReader::sections) {
        snapshot.unwrap().read(section, &mut payload).unwrap();
        recovery.load(section.kind, section.unit, section.lsn, &payload).unwrap();
    }
    let from = snapshot.map_or(Lsn::new(1), |snapshot| snapshot.end().needed_from);
    for (lsn, record) in (1..).zip(records(folder)).filter(|(lsn, _)| *lsn >= from.get()) {
        recovery.replay(Lsn::new(lsn), &record).unwrap();
    }
    recovery.finish(Arc::new(MemoryJournal::new()))
}

#[test]
fn every_version_opens_and_is_what_it_was() {
    for version in VERSIONS {
        let folder = fixtures(version);
        let known = fs::read_to_string(folder.join("state.txt")).unwrap();
        let snapshots = snapshots(&folder);
        assert_eq!(snapshots.len(), 2, "{version}");
        for snapshot in snapshots.iter().map(Some).chain([None]) {
            let engine = replayed(&folder, snapshot);
            let found = world::rendered(&engine);
            for (line, (known, found)) in known.lines().zip(found.lines()).enumerate() {
                assert_eq!(found, known, "{version}, line {line}");
            }
            assert_eq!(found.len(), known.len(), "{version}");
            assert!(engine.audit().violations.is_empty() && engine.audit_bookings().is_empty(), "{version}");
            let mut history = History::new(Rules::default());
            for (lsn, record) in (1..).zip(records(&folder)) {
                history.fold(Lsn::new(lsn), &record);
            }
            history.balance();
            history.compare(&engine);
            assert!(history.findings().is_empty(), "{version}: {:?}", history.findings());
        }
    }
}

#[test]
fn the_newest_version_is_what_is_written_today_byte_for_byte() {
    let folder = fixtures(VERSIONS[VERSIONS.len() - 1]);
    for record in &records(&folder) {
        let mut written = Vec::new();
        codec::encode(&codec::decode(record).unwrap(), &mut written);
        assert_eq!(&written, record, "{:?}", kinds::of(record));
    }
    let storage = SimStorage::new();
    let config = LogConfig { durability: Durability::None, segment_bytes: 1 << 20, ..LogConfig::small() };
    let (log, _) = Log::open(storage.clone(), config, Lsn::new(1), &mut |_, _, _| Ok(())).unwrap();
    for (synced, records) in &batches(&folder) {
        if *synced > log.synced_lsn() {
            log.sync().unwrap();
        }
        for record in records {
            log.append(record).unwrap();
        }
        log.step().unwrap();
    }
    let name = "wal-00000000000000000001.seg";
    let (known, mut found) = (fs::read(folder.join(name)).unwrap(), storage.content(name).unwrap());
    assert!(found[known.len()..].iter().all(|byte| *byte == 0));
    found.truncate(known.len());
    assert!(found == known, "the segment differs");
    for snapshot in snapshots(&folder) {
        let storage = SimStorage::new();
        let mut writer = SnapshotStore::new(storage.clone()).begin(snapshot.start()).unwrap();
        let mut payload = Vec::new();
        for section in snapshot.sections() {
            snapshot.read(section, &mut payload).unwrap();
            writer.section(section.kind, section.unit, section.lsn, &payload).unwrap();
        }
        writer.finish(snapshot.end().needed_from, snapshot.end().state_hash).unwrap();
        let name = snapshot.path().file_name().unwrap().to_str().unwrap();
        assert!(storage.content(name).unwrap() == fs::read(snapshot.path()).unwrap(), "{name} differs");
    }
}

#[test]
fn a_fixture_holds_every_kind_of_event() {
    let all = VERSIONS.iter().flat_map(|version| records(&fixtures(version)));
    let held: BTreeSet<String> = all.filter_map(|record| kinds::of(&record)).collect();
    let missing: Vec<String> = kinds::all()
        .into_iter()
        .filter(|kind| !held.contains(kind) && !NEVER_LOGGED.contains(&kind.as_str()) && kind != "upkeep.none")
        .collect();
    assert!(missing.is_empty(), "no fixture holds {missing:?}");
    assert!(kinds::all().len() > 45, "the descriptors were not read");
}

/// Fields of sections that only time fills.
const SELDOM: [&str; 1] = ["CapacitySection.swept_time_us"];

#[test]
fn a_fixture_holds_every_field_of_every_section() {
    let mut set: BTreeMap<&'static str, BTreeSet<String>> = BTreeMap::new();
    for version in VERSIONS {
        for snapshot in snapshots(&fixtures(version)) {
            let mut payload = Vec::new();
            for section in snapshot.sections() {
                snapshot.read(section, &mut payload).unwrap();
                let name = world::section_name(section.kind).expect("every kind in a fixture is known");
                let message = DynamicMessage::decode(journal_message(name), payload.as_slice()).unwrap();
                set.entry(name).or_default().extend(message.fields().map(|(field, _)| field.name().to_owned()));
            }
        }
    }
    // A kind of section is one that the reader knows by its number.
    let all: Vec<&str> = (0..=u16::MAX).filter_map(world::section_name).collect();
    let mut missing = Vec::new();
    for name in all {
        for field in journal_message(name).fields() {
            let path = format!("{name}.{}", field.name());
            if !set.get(name).is_some_and(|set| set.contains(field.name())) && !SELDOM.contains(&path.as_str()) {
                missing.push(path);
            }
        }
    }
    assert!(missing.is_empty(), "no fixture holds {missing:?}");
}

/// Made the fixtures of each version, and shows how to make those of the next.
#[test]
#[ignore = "writes fixtures"]
fn make_fixtures() {
    let folder = fixtures(VERSIONS[VERSIONS.len() - 1]);
    let calls = fs::read_to_string(folder.parent().unwrap().join("every.jsonl")).unwrap();
    let directory = world::after(&calls);
    fs::create_dir_all(&folder).unwrap();
    for entry in fs::read_dir(directory.path()).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let mut bytes = fs::read(entry.path()).unwrap();
        if name.starts_with("wal-") {
            // Zeros behind the last batch need not be kept: a short file reads as one that ends in zeros.
            let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
            bytes.truncate(used.next_multiple_of(512));
        } else if !name.ends_with(".snap") {
            continue;
        }
        fs::write(folder.join(name), bytes).unwrap();
    }
    fs::write(folder.join("state.txt"), world::rendered(&replayed(&folder, None))).unwrap();
}

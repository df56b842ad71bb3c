//! Verification of directories as servers leave them, and of damaged and falsified ones.

use std::fs;
use std::path::Path;

use quartermaster_engine::codec;
use quartermaster_engine::event::Event;
use quartermaster_engine::history::Rules;
use quartermaster_engine::quantity::Quantity;
use quartermaster_journal::{Error, FileStorage, Journal as _, Log, LogConfig, Lsn, open_read_only};
use tempfile::tempdir;

use super::check::check;
use super::report::Report;
use super::{exit, outcome};
use crate::cli::directory::{DataDir, Unusable};
use crate::cli::testing::Warehouse;

fn verify(path: &Path) -> Result<Report, Unusable> {
    let directory = DataDir::open(path)?;
    let _claim = directory.claim()?;
    check(&directory, Rules::default())
}

fn assert_sound(report: &Report) {
    assert_eq!(outcome(report), exit::OK, "{}", report.page());
    assert!(report.checks.iter().all(|line| matches!(line.result, "ok" | "none")), "{}", report.page());
}

#[test]
fn a_directory_without_snapshots_is_sound() {
    let directory = tempdir().unwrap();
    let mut warehouse = Warehouse::open(directory.path());
    warehouse.live();
    warehouse.close();
    let report = verify(directory.path()).unwrap();
    assert_sound(&report);
    assert_eq!((report.records, report.first_lsn, report.last_lsn), (10, 1, 10));
    assert_eq!((report.units["shipped"], report.units["released"], report.stock["reserved"]), (2, 3, 1));
    assert_eq!(report.reservations["held"], 1);
    let page = report.page();
    for part in ["1 segments", "10 records", "ok       no oversell", "none     snapshots", "\nsound\n"] {
        assert!(page.contains(part), "{part} in\n{page}");
    }
    let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
    assert_eq!((&json["result"], &json["units"]["shipped"]), (&"sound".into(), &2.into()));
}

#[test]
fn a_directory_with_two_snapshots_is_sound_from_both() {
    let directory = tempdir().unwrap();
    let mut warehouse = Warehouse::open(directory.path());
    warehouse.live();
    warehouse.snapshot();
    warehouse.live();
    warehouse.snapshot();
    warehouse.live();
    warehouse.close();
    let report = verify(directory.path()).unwrap();
    assert_sound(&report);
    assert_eq!((report.snapshots.len(), report.recovered.len()), (2, 2));
    assert_eq!(report.began_from, None);
    assert_eq!((report.recovered[0].records, report.recovered[1].records), (7, 14), "newest first");
}

#[test]
fn a_trimmed_log_is_folded_from_the_older_snapshot() {
    let directory = tempdir().unwrap();
    let mut warehouse = Warehouse::open(directory.path());
    while warehouse.log.segments().len() < 3 {
        warehouse.stock(&[("A", "L1"), ("B", "L2")], 9);
    }
    warehouse.live();
    let older = warehouse.snapshot();
    warehouse.live();
    warehouse.snapshot();
    warehouse.trim();
    warehouse.live();
    warehouse.close();
    let report = verify(directory.path()).unwrap();
    assert_sound(&report);
    assert!(report.first_lsn > 1);
    assert!(report.began_from.as_ref().unwrap().contains(&format!("{older:020}")));
    assert_eq!(report.records_folded, 14);

    let newest = report.snapshots[0].file.clone();
    fs::remove_file(directory.path().join(&report.snapshots[1].file)).unwrap();
    assert_sound(&verify(directory.path()).unwrap());
    fs::remove_file(directory.path().join(newest)).unwrap();
    assert!(matches!(verify(directory.path()), Err(Unusable::NoBeginning { .. })));
}

#[test]
fn a_falsified_record_is_told_with_its_lsn() {
    let (directory, falsified) = (tempdir().unwrap(), tempdir().unwrap());
    let mut warehouse = Warehouse::open(directory.path());
    warehouse.live();
    warehouse.snapshot();
    warehouse.close();
    let (log, _) =
        Log::open(FileStorage::new(falsified.path()), LogConfig::small(), Lsn::new(1), &mut |_, _, _| Ok(())).unwrap();
    open_read_only(FileStorage::new(directory.path()), Lsn::new(1), &mut |lsn, _, bytes| {
        let mut record = codec::decode(bytes)?;
        if let Event::Held(held) = &mut record.event
            && lsn == Lsn::new(4)
        {
            held.lines[0].quantity = Quantity(10);
        }
        let mut bytes = Vec::new();
        codec::encode(&record, &mut bytes);
        log.append(&bytes)?;
        Ok(())
    })
    .unwrap();
    log.close().unwrap();
    drop(log);
    let report = verify(falsified.path()).unwrap();
    assert_eq!(outcome(&report), exit::FAILED);
    let finding = &report.findings[0];
    assert_eq!((finding.lsn, finding.check), (4, "no oversell"));
    assert!(finding.what.contains("SKU A at L1: takes 10, 9 available"), "{}", finding.what);
    let page = report.page();
    for part in ["FAILED   no oversell", "not run  recovery", "LSN 4: no oversell", "\nviolations\n"] {
        assert!(page.contains(part), "{part} in\n{page}");
    }
}

#[test]
fn a_snapshot_of_another_history_is_told() {
    let (directory, other) = (tempdir().unwrap(), tempdir().unwrap());
    for (path, units) in [(directory.path(), 2), (other.path(), 3)] {
        let mut warehouse = Warehouse::open(path);
        warehouse.hold("A", units);
        warehouse.snapshot();
        warehouse.close();
    }
    let name = "snapshot-00000000000000000004.snap";
    fs::copy(other.path().join(name), directory.path().join(name)).unwrap();
    let report = verify(directory.path()).unwrap();
    assert_eq!(outcome(&report), exit::FAILED);
    assert!(report.findings.iter().all(|finding| finding.check == "snapshots" && finding.lsn == 4));
    assert!(report.page().contains("reserved is 3 there, the fold says 2"), "{}", report.page());
}

#[test]
fn a_damaged_segment_is_told_with_file_and_place() {
    let directory = tempdir().unwrap();
    let mut warehouse = Warehouse::open(directory.path());
    warehouse.live();
    warehouse.close();
    let file = directory.path().join("wal-00000000000000000001.seg");
    let mut bytes = fs::read(&file).unwrap();
    bytes[512 + 100] ^= 1;
    fs::write(&file, bytes).unwrap();
    let report = verify(directory.path()).unwrap();
    assert_eq!(outcome(&report), exit::DAMAGED);
    assert!(report.unreadable[0].contains("wal-00000000000000000001.seg is damaged at byte 512"));
    assert!(report.page().contains("FAILED   checksums"));
}

#[test]
fn a_damaged_snapshot_is_told_and_the_rest_still_checked() {
    let directory = tempdir().unwrap();
    let mut warehouse = Warehouse::open(directory.path());
    warehouse.snapshot();
    warehouse.live();
    warehouse.close();
    let file = directory.path().join("snapshot-00000000000000000003.snap");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let report = verify(directory.path()).unwrap();
    assert_eq!((outcome(&report), report.findings_total, report.records_folded), (exit::DAMAGED, 0, 10));
    assert!(report.unreadable[0].contains("snapshot-00000000000000000003.snap is damaged at byte"));
}

#[test]
fn what_cannot_be_verified_says_why_and_what_to_do() {
    let directory = tempdir().unwrap();
    let missing = verify(&directory.path().join("nowhere")).unwrap_err();
    assert!(matches!(missing, Unusable::Missing { .. }));
    let empty = verify(directory.path()).unwrap_err();
    assert!(matches!(empty, Unusable::NotOurs { .. }));
    assert!(empty.advice().contains("--data-dir"));

    let warehouse = Warehouse::open(directory.path());
    let locked = verify(directory.path()).unwrap_err();
    assert!(matches!(locked, Unusable::Journal(Error::Locked { .. })));
    assert!(locked.advice().contains("quartermaster status"));
    assert!(locked.to_string().contains(&std::process::id().to_string()), "{locked}");
    warehouse.close();
    drop(verify(directory.path()).unwrap());

    // A segment of format version 2, its checksum right.
    let newer = directory.path().join("wal-00000000000000000099.seg");
    fs::write(&newer, newer_header()).unwrap();
    let newer = verify(directory.path()).unwrap_err();
    assert!(matches!(newer, Unusable::Journal(Error::NewerFormat { found: 2, .. })), "{newer}");
}

/// Header sector of a segment as a later version may write it.
fn newer_header() -> Vec<u8> {
    let mut sector = vec![0; 512];
    sector[..8].copy_from_slice(b"QMSEGMNT");
    sector[8] = 2;
    let mut crc = u32::MAX;
    for byte in &sector[..508] {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    sector[508..].copy_from_slice(&(!crc).to_le_bytes());
    sector
}

/// Figures, in a release build: `cargo test --release -p quartermaster-server speed_of_verify -- --ignored --nocapture`.
#[test]
#[ignore = "takes a minute; prints figures and asserts none"]
fn speed_of_verify() {
    let events: u64 = std::env::var("EVENTS").ok().and_then(|events| events.parse().ok()).unwrap_or(2_000_000);
    let directory = tempdir().unwrap();
    let config = LogConfig { durability: quartermaster_journal::Durability::None, ..LogConfig::default() };
    let mut warehouse = Warehouse::sized(directory.path(), config);
    warehouse.fill(100, u32::MAX / 2);
    let mut snapshots = 0;
    while warehouse.log.appended_lsn().get() < events {
        warehouse.trade(1_000);
        if warehouse.log.appended_lsn().get() > events / 3 * (snapshots + 1) && snapshots < 2 {
            warehouse.snapshot();
            snapshots += 1;
        }
    }
    warehouse.close();
    let started = std::time::Instant::now();
    let report = verify(directory.path()).unwrap();
    println!("{}verified in {:?}", report.page(), started.elapsed());
    assert_sound(&report);
}

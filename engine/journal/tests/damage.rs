//! Damage to the files: cut or flipped anywhere, missing, stale, or newer than this program.

mod common;

use std::sync::OnceLock;

use common::{append, check, open, read, segments};
use proptest::prelude::*;
use quartermaster_journal::frame::{self, FORMAT_VERSION};
use quartermaster_journal::{
    Damage, Epoch, Error, Journal, LogConfig, Lsn, SEGMENT_HEADER_BYTES, SimStorage, Storage, TornTail,
};

/// Bytes of batches in the log that is cut and flipped everywhere: what fits in a minute of a debug build.
/// `JOURNAL_TEST_LOG_BYTES=262144` is the full figure.
fn log_bytes() -> u64 {
    std::env::var("JOURNAL_TEST_LOG_BYTES").map_or(40 << 10, |bytes| bytes.parse().unwrap())
}

fn config() -> LogConfig {
    LogConfig { segment_bytes: log_bytes().max(64 << 10), ..LogConfig::small() }
}

/// A log of one segment, whose batches hold 1 to 5 records; its name and bytes.
fn one_segment() -> &'static (String, Vec<u8>) {
    static MADE: OnceLock<(String, Vec<u8>)> = OnceLock::new();
    MADE.get_or_init(|| {
        let storage = SimStorage::new();
        let (log, _, _) = open(&storage, config()).unwrap();
        let mut batch = 0;
        while log.stats().bytes + (8 << 10) < log_bytes() {
            append(&log, 1 + batch % 5);
            log.step().unwrap();
            batch += 1;
        }
        let name = segments(&storage).remove(0);
        let mut bytes = storage.content(&name).unwrap();
        // The zeros behind the last batch are all alike: some of them are enough.
        bytes.truncate(usize::try_from(log.stats().bytes).unwrap() + (4 << 10));
        (name, bytes)
    })
}

/// Where each batch begins and ends, with the last LSN up to there.
fn batches(bytes: &[u8]) -> Vec<(usize, usize, u64)> {
    let mut offset = SEGMENT_HEADER_BYTES;
    let mut found = Vec::new();
    while let Ok(header) = frame::decode(&bytes[offset..]) {
        found.push((offset, offset + header.padded_bytes(), header.last_lsn.get()));
        offset += header.padded_bytes();
    }
    found
}

fn with(name: &str, bytes: &[u8]) -> SimStorage {
    let storage = SimStorage::new();
    storage.plant(name, bytes);
    storage
}

#[test]
fn a_log_cut_at_any_byte_holds_exactly_its_whole_batches() {
    let (name, bytes) = one_segment();
    let batches = batches(bytes);
    for cut in 0..=bytes.len() {
        let storage = with(name, &bytes[..cut]);
        let whole = batches.iter().rfind(|(_, end, _)| *end <= cut);
        let last = whole.map_or(0, |(_, _, last)| *last);
        let (report, found) = read(&storage, Lsn::new(1)).unwrap();
        assert_eq!(report.last_lsn.get(), last, "cut at {cut}");
        // A few are opened for writing as well: all of them would take a minute.
        if cut % 61 == 0 {
            check(&found, 1, last);
            let (log, opened, _) = open(&storage, config()).unwrap();
            assert_eq!(opened.torn_tail, report.torn_tail, "cut at {cut}");
            append(&log, 3);
            log.close().unwrap();
            let (report, found) = read(&storage.crash(u64::try_from(cut).unwrap()), Lsn::new(1)).unwrap();
            check(&found, 1, last + 3);
            assert_eq!(report.torn_tail, None, "cut at {cut}: the tail came back");
        }
    }
}

#[test]
fn every_flipped_byte_of_the_log_is_refused_by_place_or_cut_from_the_last_batch() {
    let (name, bytes) = one_segment();
    let batches = batches(bytes);
    let (last_start, last_end, last_lsn) = *batches.last().unwrap();
    let before_last = batches[batches.len() - 2].2;
    for position in 0..bytes.len() {
        let mut broken = bytes.clone();
        broken[position] ^= 1 << (position % 8);
        let result = read(&with(name, &broken), Lsn::new(1));
        if position < SEGMENT_HEADER_BYTES {
            assert!(matches!(result, Err(Error::Damaged { offset: 0, .. })), "byte {position}: {result:?}");
        } else if position < last_start {
            let (start, _, _) = batches.iter().find(|(_, end, _)| position < *end).unwrap();
            let Err(Error::Damaged { offset, expected_lsn, .. }) = result else {
                panic!("byte {position}: {result:?}")
            };
            assert_eq!(offset, u64::try_from(*start).unwrap(), "byte {position}");
            assert!(expected_lsn.get() <= before_last + 1);
        } else {
            // The last batch, or the zeros behind it.
            let (report, _) = result.unwrap();
            assert!(report.torn_tail.is_some(), "byte {position} passed in silence");
            assert_eq!(report.last_lsn.get(), if position < last_end { before_last } else { last_lsn });
        }
    }
}

#[test]
fn every_flipped_bit_of_every_header_of_the_log_is_noticed() {
    let (name, bytes) = one_segment();
    let batches = batches(bytes);
    let (last_start, _, _) = *batches.last().unwrap();
    // All batches are the full figure; the outermost and the one in the middle differ in nothing that a header is read by.
    let chosen: Vec<usize> = match std::env::var("JOURNAL_TEST_LOG_BYTES") {
        Ok(_) => (0..batches.len()).collect(),
        Err(_) => vec![0, 1, batches.len() / 2, batches.len() - 2, batches.len() - 1],
    };
    let headers = chosen.iter().map(|place| batches[*place].0..batches[*place].0 + frame::BATCH_HEADER_BYTES);
    let mut flipped = 0_u64;
    for position in (0..SEGMENT_HEADER_BYTES).chain(headers.flatten()) {
        for bit in 0..8 {
            let mut broken = bytes.clone();
            broken[position] ^= 1 << bit;
            let result = read(&with(name, &broken), Lsn::new(1));
            flipped += 1;
            if position < last_start {
                assert!(matches!(result, Err(Error::Damaged { .. })), "byte {position}, bit {bit}: {result:?}");
            } else {
                let torn = result.unwrap().0.torn_tail.unwrap_or_else(|| panic!("byte {position}, bit {bit} passed"));
                assert_eq!(torn.offset, u64::try_from(last_start).unwrap(), "byte {position}, bit {bit}");
            }
        }
    }
    println!("{flipped} bits of {} headers", chosen.len() + 1);
}

#[test]
fn what_is_not_ours_is_left_alone_and_a_rotten_spare_harms_nothing() {
    let (storage, names) = several_segments();
    let strangers = [
        "LOCK.bak",
        "notes.txt",
        "wal-3.seg",
        "wal-00000000000000000003.seg.bak",
        "spare-7.seg",
        "spare-18446744073709551615.tmp",
        "spare-18446744073709551615.seg",
        "snapshot-20.snap",
    ];
    for stranger in strangers {
        storage.plant(stranger, b"not ours");
    }
    // A spare that is no longer zeros: what is written over it must still be all that is ever read.
    let old = storage.content(&names[1]).unwrap();
    storage.plant("spare-00000000000000000009.seg", &old);
    storage.plant("spare-00000000000000000010.tmp", &old);
    storage.plant("spare-00000000000000000011.seg", b"of another size");
    let (log, report, found) = open(&storage, LogConfig::small()).unwrap();
    check_dense(&found);
    assert!(storage.content("spare-00000000000000000010.tmp").is_none(), "an unfinished spare goes");
    assert!(storage.content("spare-00000000000000000011.seg").is_none(), "a spare of another size goes");
    let last = report.last_lsn.get();
    for number in 0..3_u8 {
        log.append(&[number; 40]).unwrap();
        log.step().unwrap();
    }
    for seed in 0..20 {
        let (report, found) = read(&storage.crash(seed), Lsn::new(1)).unwrap();
        assert_eq!((report.last_lsn.get(), found.len()), (last + 3, usize::try_from(last + 3).unwrap()), "seed {seed}");
    }
    drop(log);
    let (_, report, found) = open(&storage, LogConfig::small()).unwrap();
    assert_eq!(report.last_lsn.get(), last + 3);
    check_dense(&found);
    for stranger in strangers {
        assert_eq!(storage.content(stranger).as_deref(), Some(&b"not ours"[..]), "{stranger}");
    }
}

fn check_dense(found: &common::Found) {
    assert!((1..).zip(found).all(|(number, (lsn, _, _))| lsn.get() == number), "a record is missing or came twice");
}

#[test]
fn a_torn_tail_is_reported_cut_and_does_not_come_back() {
    let (name, bytes) = one_segment();
    let batches = batches(bytes);
    let (start, end, _) = *batches.last().unwrap();
    let mut torn = bytes.clone();
    torn[start] ^= 1;
    let storage = with(name, &torn);
    let (report, _) = read(&storage, Lsn::new(1)).unwrap();
    let tail = report.torn_tail.unwrap();
    assert_eq!((&tail.file, tail.offset), (&storage.path_of(name), u64::try_from(start).unwrap()));
    assert!(tail.offset + tail.bytes <= u64::try_from(end).unwrap());
    assert_eq!(storage.content(name).unwrap(), torn, "a read-only open changes nothing");
    let (log, report, _) = open(&storage, config()).unwrap();
    assert_eq!(report.torn_tail, Some(TornTail { ..tail }));
    drop(log);
    assert!(storage.content(name).unwrap()[start..].iter().all(|byte| *byte == 0));
    assert_eq!(open(&storage, config()).unwrap().1.torn_tail, None);
}

#[test]
fn damage_at_the_end_of_a_segment_that_another_follows_is_no_torn_tail() {
    let (storage, names) = several_segments();
    let mut bytes = storage.content(&names[1]).unwrap();
    let (start, _, _) = *batches(&bytes).last().unwrap();
    bytes[start + 80] ^= 1;
    storage.plant(&names[1], &bytes);
    let error = open(&storage, LogConfig::small()).unwrap_err();
    let Error::Damaged { file, offset, .. } = error else { panic!("{error}") };
    assert_eq!((file, offset), (storage.path_of(&names[1]), u64::try_from(start).unwrap()));
}

#[test]
fn a_missing_segment_is_named_and_a_missing_first_one_is_a_gap() {
    let (storage, names) = several_segments();
    let before = storage.restart();
    storage.remove(&names[1]).unwrap();
    let error = open(&storage, LogConfig::small()).unwrap_err();
    assert!(matches!(&error, Error::MissingSegment { file, .. } if *file == storage.path_of(&names[2])), "{error}");
    before.remove(&names[0]).unwrap();
    let error = open(&before, LogConfig::small()).unwrap_err();
    assert!(matches!(error, Error::Gap { .. }), "{error}");
    assert!(read(&before, Lsn::ZERO).is_ok(), "whatever there is can still be looked at");
}

#[test]
fn segments_of_two_logs_do_not_mix() {
    let (storage, names) = several_segments();
    let (other, others) = several_segments_of(1, 251);
    assert_eq!(names[1], others[1], "the test needs equal names");
    storage.plant(&names[1], &other.content(&names[1]).unwrap());
    assert!(matches!(open(&storage, LogConfig::small()), Err(Error::Damaged { .. })));
}

#[test]
fn a_whole_batch_of_another_log_at_the_right_place_is_refused_by_its_chain() {
    let (storage, names) = several_segments();
    let (other, _) = several_segments_of(1, 251);
    let mut bytes = storage.content(&names[0]).unwrap();
    let foreign = other.content(&names[0]).unwrap();
    let (start, end, _) = batches(&bytes)[3];
    bytes[start..end].copy_from_slice(&foreign[start..end]);
    storage.plant(&names[0], &bytes);
    let error = open(&storage, LogConfig::small()).unwrap_err();
    assert!(matches!(error, Error::Damaged { damage: Damage::Chain, .. }), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn whatever_is_overwritten_nothing_false_is_read_and_nothing_panics(
        places in prop::collection::vec((any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 1..700)), 1..6),
    ) {
        let (name, bytes) = one_segment();
        let mut broken = bytes.clone();
        for (place, garbage) in places {
            let start = place.index(broken.len());
            let end = broken.len().min(start + garbage.len());
            broken[start..end].copy_from_slice(&garbage[..end - start]);
        }
        if let Ok((report, found)) = read(&with(name, &broken), Lsn::new(1)) {
            check(&found, 1, report.last_lsn.get());
        }
    }
}

#[test]
fn a_newer_segment_is_refused_by_name_and_version() {
    let (name, bytes) = one_segment();
    let mut newer = bytes.clone();
    newer[8..10].copy_from_slice(&(FORMAT_VERSION + 1).to_le_bytes());
    let checksum = crc_fast::crc32_iscsi(&newer[..508]);
    newer[508..512].copy_from_slice(&checksum.to_le_bytes());
    let storage = with(name, &newer);
    let error = open(&storage, config()).unwrap_err();
    let Error::NewerFormat { file, found, supported } = error else { panic!("{error}") };
    assert_eq!((file, found, supported), (storage.path_of(name), FORMAT_VERSION + 1, FORMAT_VERSION));
}

#[test]
fn a_newer_batch_is_refused_by_name_and_version() {
    let (name, bytes) = one_segment();
    let (start, end, _) = batches(bytes)[2];
    let mut newer = bytes.clone();
    newer[start + 8..start + 10].copy_from_slice(&(FORMAT_VERSION + 1).to_le_bytes());
    let checksum = crc_fast::crc32_iscsi(&newer[start + 8..end]);
    newer[start + 4..start + 8].copy_from_slice(&checksum.to_le_bytes());
    let storage = with(name, &newer);
    let error = open(&storage, config()).unwrap_err();
    let Error::NewerFormat { file, found, supported } = error else { panic!("{error}") };
    assert_eq!((file, found, supported), (storage.path_of(name), FORMAT_VERSION + 1, FORMAT_VERSION));
}

#[test]
fn every_open_takes_a_new_epoch_even_if_it_never_writes() {
    let storage = SimStorage::new();
    for epoch in 1..=20 {
        let (log, report, _) = open(&storage, LogConfig::small()).unwrap();
        assert_eq!((log.epoch(), report.epoch), (Epoch::new(epoch), Epoch::new(epoch)));
        assert_eq!(segments(&storage).len(), 1, "a writer that never wrote leaves nothing behind");
    }
}

#[test]
fn recycled_segments_never_bring_old_records_back() {
    let storage = SimStorage::new();
    let mut kept = 1;
    for round in 0..12 {
        let (log, report, found) = common::open_from(&storage, LogConfig::small(), Lsn::new(kept)).unwrap();
        check(&found, kept, report.last_lsn.get());
        for _ in 0..20 {
            append(&log, 15);
            log.step().unwrap();
            log.prepare_spare().unwrap();
            let report = log.trim(log.durable_lsn()).unwrap();
            assert!(log.segments().len() == 1 && report.first_lsn == log.first_lsn());
        }
        kept = log.first_lsn().get();
        let (report, found) = read(&storage.crash(round), Lsn::ZERO).unwrap();
        assert_eq!(report.last_lsn, log.durable_lsn());
        check(&found, report.first_lsn.get(), report.last_lsn.get());
        log.close().unwrap();
    }
    assert!(kept > 3000);
    assert!(storage.list().unwrap().len() < 5, "trimmed segments are used again: {:?}", storage.list());
}

/// A log of at least four small segments and their names.
fn several_segments() -> (SimStorage, Vec<String>) {
    several_segments_of(0, 250)
}

/// The same numbers of batches and records; `fill` is in every record.
fn several_segments_of(first: u8, fill: u8) -> (SimStorage, Vec<String>) {
    let storage = SimStorage::new();
    let (log, _, _) = open(&storage, LogConfig::small()).unwrap();
    for number in 0..400 {
        let mut record = vec![fill; 900];
        record[0] = first;
        record[1] = u8::try_from(number % 256).unwrap();
        log.append(&record).unwrap();
        if number % 3 == 0 {
            log.step().unwrap();
        }
    }
    log.close().unwrap();
    drop(log);
    let names = segments(&storage);
    assert!(names.len() >= 4);
    (storage, names)
}

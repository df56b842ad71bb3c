//! What the journal reads from disk: a batch, a directory of segments, a snapshot. Checksums are put right first, so that what is behind
//! them is tried too.

use prost::bytes::Buf as _;
use quartermaster_journal::{
    Epoch, Error, Journal as _, Log, LogConfig, LogReader, Lsn, SimStorage, SnapshotReader, SnapshotStart,
    SnapshotStore, Storage as _, frame, open_read_only,
};

use crate::{
    Target,
    mutate::Form,
    pieces::{self, Piece},
};

const WORDS: &[&[u8]] =
    &[b"QMB\x01", b"QMSEGMNT", b"QMSNAPSH", b"QMSNAPEN", &[1, 0], &[2, 0], &[0; 32], &[72, 0, 0, 0]];

/// One batch.
pub(super) const BATCHES: Target = Target {
    name: "batches",
    story: "frame::decode of any bytes, with the checksum they have and with the right one",
    run: batches,
    form: Form::Bytes(WORDS),
    seeds: || log_files().into_iter().map(|(_, bytes)| bytes[512..].to_vec()).collect(),
    together: 1,
};

/// A directory.
pub(super) const LOG: Target = Target {
    name: "log",
    story: "LogReader, open_read_only and Log::open over a directory of any files",
    run: log,
    form: Form::Messages(FILES, |_| None),
    seeds: || {
        let files = log_files();
        let spread = files.iter().map(|(name, bytes)| piece_of(name, bytes)).collect::<Vec<_>>();
        let snapshot = piece_of(SNAPSHOT_NAME, &snapshot_file());
        vec![pieces::write(&spread), pieces::write(&[&spread[..], &[snapshot]].concat()), pieces::write(&spread[..1])]
    },
    together: 1,
};

/// A snapshot file.
pub(super) const SNAPSHOT: Target = Target {
    name: "snapshot",
    story: "SnapshotReader over any bytes, with the checksums they have and with the right ones",
    run: snapshot,
    form: Form::Bytes(WORDS),
    seeds: || vec![snapshot_file()],
    together: 1,
};

fn batches(input: &[u8]) {
    for bytes in [input.to_vec(), sealed_batches(input.to_vec(), 0)] {
        let Ok(header) = frame::decode(&bytes) else { continue };
        assert!(header.padded_bytes() <= bytes.len() && header.padded_bytes().is_multiple_of(512));
        assert!(header.record_count > 0 && header.last_lsn >= header.first_lsn && header.first_lsn > Lsn::ZERO);
    }
}

/// Files of a directory, by their tags: the lowest three bits say which, the next whether its checksums are put right.
const FILES: u8 = 16;
const NAMES: [&str; 8] = [
    "wal-00000000000000000001.seg",
    "wal-00000000000000000006.seg",
    "wal-00000000000000000002.seg",
    "wal-18446744073709551615.seg",
    "spare-00000000000000000001.seg",
    SNAPSHOT_NAME,
    "LOCK",
    "snapshot-00000000000000000030.snap.tmp",
];
const SNAPSHOT_NAME: &str = "snapshot-00000000000000000020.snap";

fn piece_of(name: &str, bytes: &[u8]) -> Piece {
    let place = NAMES
        .iter()
        .position(|known| *known == name)
        .expect("Invariant: the log's names are among those of the target");
    let tag = u8::try_from(place).expect("Invariant: there are eight names");
    Piece { tag: tag | 8, bytes: bytes.to_vec() }
}

fn log(input: &[u8]) {
    let storage = SimStorage::new();
    for piece in pieces::read(input) {
        let name = NAMES[usize::from(piece.tag & 7)];
        let bytes = match piece.tag & 8 {
            0 => piece.bytes,
            _ if name.starts_with("wal-") => sealed_segment(piece.bytes),
            _ => sealed_snapshot(piece.bytes),
        };
        storage.plant(name, &bytes);
    }
    let before: Vec<_> = names(&storage).iter().map(|name| storage.content(name)).collect();
    let read = |from| {
        let mut records = Vec::new();
        let report = open_read_only(storage.clone(), from, &mut |lsn, _, bytes| {
            records.push((lsn, bytes.to_vec()));
            Ok(())
        });
        report.map(|report| (report.last_lsn, records))
    };
    let (all, whole) = (read(Lsn::ZERO), read(Lsn::new(1)));
    if let (Ok(all), Ok(whole)) = (&all, &whole) {
        assert_eq!(all, whole, "what is read from the first record on is what there is");
    }
    if let Ok((last, records)) = &all {
        let dense = records.windows(2).all(|pair| pair[1].0 == pair[0].0.next());
        assert!(dense && records.last().is_none_or(|(lsn, _)| lsn == last), "records are dense and end at the last");
        let mut walked = Vec::new();
        let mut reader = LogReader::open(storage.clone(), Lsn::ZERO).expect("it was read before");
        while let Some(record) = reader.next_record().expect("it was read before") {
            walked.push((record.lsn, record.bytes.to_vec()));
        }
        assert_eq!(&walked, records, "both ways to read give the same");
    }
    let after: Vec<_> = names(&storage).iter().map(|name| storage.content(name)).collect();
    assert_eq!(before, after, "reading changes nothing");
    _ = SnapshotStore::new(storage.clone()).newest_whole();

    let opened = Log::open(storage.clone(), LogConfig::small(), Lsn::new(1), &mut |_, _, _| Ok(()));
    match (&opened, &whole) {
        (Ok((log, report)), Ok((last, records))) => {
            assert_eq!((log.durable_lsn(), report.records), (*last, u64::try_from(records.len()).unwrap_or(0)));
            let added = log.append(b"one more").expect("an open log takes a record");
            while log.step().expect("an open log writes").more {}
            assert_eq!((added, log.durable_lsn()), (last.next(), last.next()));
            let again = read(Lsn::new(1)).expect("what was written is read");
            assert_eq!(&again.1[..records.len()], &records[..], "what was there is still there");
            assert_eq!(again.1.last(), Some(&(added, b"one more".to_vec())));
        }
        (Err(Error::WrongShard { .. }), _) | (Err(_), Err(_)) => {}
        (opened, read) => panic!("reading says {read:?}, opening {:?}", opened.as_ref().err()),
    }
}

fn names(storage: &SimStorage) -> Vec<String> {
    let mut names = storage.list().expect("a directory in memory lists");
    names.sort_unstable();
    names
}

fn snapshot(input: &[u8]) {
    for bytes in [input.to_vec(), sealed_snapshot(input.to_vec())] {
        let storage = SimStorage::new();
        storage.plant(SNAPSHOT_NAME, &bytes);
        let Ok(reader) = SnapshotReader::open(storage, SNAPSHOT_NAME) else { continue };
        let payloads: u64 = reader.sections().iter().map(|section| section.payload_bytes).sum();
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        assert!(payloads < length, "sections lie within the file");
        let mut payload = Vec::new();
        for section in reader.sections() {
            _ = reader.read(section, &mut payload);
        }
        _ = reader.verify();
    }
}

fn put(bytes: &mut [u8], at: usize, checksum: u32) {
    if let Some(field) = bytes.get_mut(at..at + 4) {
        field.copy_from_slice(&checksum.to_le_bytes());
    }
}

fn get(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 4).map(|mut field| u64::from(field.get_u32_le()))
}

/// The checksums of what looks like batches, put right from `offset` on. What is one after the other stays as it is.
fn sealed_batches(mut bytes: Vec<u8>, mut offset: usize) -> Vec<u8> {
    while let Some(length) = get(&bytes, offset + 64) {
        let length = usize::try_from(length).unwrap_or(0);
        let Some(end) = length.checked_add(72).map(|end| end.next_multiple_of(512)) else { break };
        let Some(image) = offset.checked_add(end).and_then(|end| bytes.get(offset + 8..end)) else { break };
        let checksum = crc_fast::crc32_iscsi(image);
        put(&mut bytes, offset + 4, checksum);
        offset += end;
    }
    bytes
}

fn sealed_segment(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(header) = bytes.get(..508) {
        let checksum = crc_fast::crc32_iscsi(header);
        put(&mut bytes, 508, checksum);
    }
    sealed_batches(bytes, 512)
}

fn sealed_snapshot(mut bytes: Vec<u8>) -> Vec<u8> {
    let Some(footer) = bytes.len().checked_sub(48).filter(|at| *at >= 64) else { return bytes };
    let checksum = crc_fast::crc32_iscsi(&bytes[..60]);
    put(&mut bytes, 60, checksum);
    let (mut offset, mut headers, mut sections) = (64, bytes[..64].to_vec(), 0_u64);
    while offset + 32 <= footer {
        let length = usize::try_from(get(&bytes, offset + 16).unwrap_or(0)).unwrap_or(0);
        let end = (offset + 32).saturating_add(length);
        if end <= footer {
            let checksum = crc_fast::crc32_iscsi(&bytes[offset + 32..end]);
            put(&mut bytes, offset + 24, checksum);
        }
        let checksum = crc_fast::crc32_iscsi(&bytes[offset..offset + 28]);
        put(&mut bytes, offset + 28, checksum);
        headers.extend_from_slice(&bytes[offset..offset + 32]);
        sections += 1;
        offset = end;
    }
    bytes[footer + 8..footer + 16].copy_from_slice(&sections.to_le_bytes());
    bytes[footer + 32..footer + 40].copy_from_slice(&crc_fast::crc64_nvme(&headers).to_le_bytes());
    let checksum = crc_fast::crc32_iscsi(&bytes[footer..footer + 44]);
    put(&mut bytes, footer + 44, checksum);
    bytes
}

/// The segments of a small log, zeros at their ends left out.
fn log_files() -> Vec<(String, Vec<u8>)> {
    let storage = SimStorage::new();
    for _ in 0..2 {
        let (log, _) = Log::open(storage.clone(), LogConfig::small(), Lsn::new(1), &mut |_, _, _| Ok(()))
            .expect("a log in memory opens");
        for records in 1..=5_u8 {
            for record in 0..records {
                log.append(&[record; 30]).expect("a log in memory takes records");
            }
            log.step().expect("a log in memory writes");
        }
    }
    let segment = |name: String| {
        let mut bytes = storage.content(&name).unwrap_or_default();
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        bytes.truncate(used.next_multiple_of(512));
        (name, bytes)
    };
    names(&storage).into_iter().filter(|name| name.starts_with("wal-")).map(segment).collect()
}

fn snapshot_file() -> Vec<u8> {
    let storage = SimStorage::new();
    let start = SnapshotStart { shard: 0, epoch: Epoch::new(1), lsn: Lsn::new(20), batch_index: 5, chain: 7 };
    let mut writer = SnapshotStore::new(storage.clone()).begin(&start).expect("a snapshot in memory begins");
    for unit in 0..4_u8 {
        writer.section(3, unit.into(), Lsn::new(20), &[unit; 20]).expect("a snapshot in memory is written");
    }
    writer.finish(Lsn::new(21), 9).expect("a snapshot in memory is finished");
    storage.content(SNAPSHOT_NAME).unwrap_or_default()
}

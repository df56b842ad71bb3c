//! A data directory that cannot be served says why, and what stood in it stays as it was.

use std::fs;
use std::path::PathBuf;

use super::support::{Server, allocation, command, order, stock};

/// How `serve` and `verify` end when files are damaged or missing; documented at `shutdown::exit`.
const DAMAGED: i32 = 5;

/// What `quartermaster verify` says, and the code it ends with.
fn verify(dir: &tempfile::TempDir) -> (String, Option<i32>) {
    let output = command(&["verify"]).arg(dir.path()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (String::from_utf8(said).unwrap(), output.status.code())
}

fn files(dir: &tempfile::TempDir, suffix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.file_name().unwrap().to_str().unwrap().ends_with(suffix)).collect();
    files.retain(|path| !path.file_name().unwrap().to_str().unwrap().starts_with("spare"));
    files.sort();
    files
}

/// A directory with a hundred holds in its journal and no snapshot.
async fn filled() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let channel = server.channel().await;
    stock(&channel, 1, 1_000).await;
    for number in 0..100 {
        allocation(&channel).reserve(order(&format!("order-{number}"), 0, 1)).await.unwrap();
    }
    server.kill();
    dir
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_in_use_names_its_holder() {
    let dir = tempfile::tempdir().unwrap();
    let first = Server::start(dir.path());
    let (said, status) = Server::try_start(dir.path(), &[]).err().expect("two servers on one directory");
    assert_eq!(status.code(), Some(7));
    assert!(said.contains("data directory") && said.contains(dir.path().to_str().unwrap()), "{said}");
    assert!(said.contains("process"), "{said}");
    assert_eq!(first.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_before_the_tail_stops_the_start_with_file_and_offset() {
    let dir = filled().await;
    let segment = files(&dir, ".seg").remove(0);
    let mut bytes = fs::read(&segment).unwrap();
    bytes[512 + 600] ^= 0x40;
    fs::write(&segment, &bytes).unwrap();
    let (said, status) = Server::try_start(dir.path(), &[]).err().expect("a damaged journal was served");
    assert_eq!(status.code(), Some(DAMAGED));
    assert!(said.contains("LSN"), "{said}");
    assert!(said.contains(segment.file_name().unwrap().to_str().unwrap()), "{said}");
    assert!(said.contains("offset") || said.contains("byte"), "{said}");
    assert_eq!(fs::read(&segment).unwrap(), bytes, "nothing was repaired in silence");
    let (said, code) = verify(&dir);
    assert_eq!(code, Some(DAMAGED));
    assert!(said.contains(segment.file_name().unwrap().to_str().unwrap()), "{said}");
    assert_eq!(fs::read(&segment).unwrap(), bytes, "verify changes nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_format_is_refused_by_name() {
    let dir = filled().await;
    let segment = files(&dir, ".seg").remove(0);
    let mut bytes = fs::read(&segment).unwrap();
    // What a later version would have written, its checksum included: else it is damage.
    bytes[8] = 99;
    let checksum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &bytes[..508]);
    bytes[508..512].copy_from_slice(&checksum.to_le_bytes()[..4]);
    fs::write(&segment, &bytes).unwrap();
    let (said, status) = Server::try_start(dir.path(), &[]).err().expect("a newer format was served");
    assert_eq!(status.code(), Some(1));
    assert!(said.contains("version") && said.contains("99"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_snapshot_falls_back_to_the_older_one() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..2 {
        let server = Server::start(dir.path());
        let channel = server.channel().await;
        if round == 0 {
            stock(&channel, 1, 1_000).await;
        }
        for number in 0..10 {
            allocation(&channel).reserve(order(&format!("order-{round}-{number}"), 0, 1)).await.unwrap();
        }
        assert_eq!(server.stop(), Some(0), "an orderly stop takes a snapshot");
    }
    let snapshots = files(&dir, ".snap");
    assert_eq!(snapshots.len(), 2);
    let mut bytes = fs::read(&snapshots[1]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&snapshots[1], bytes).unwrap();
    let server = Server::start(dir.path());
    let channel = server.channel().await;
    for round in 0..2 {
        for number in 0..10 {
            let again = allocation(&channel).reserve(order(&format!("order-{round}-{number}"), 0, 1)).await.unwrap();
            assert!(again.into_inner().replayed, "order-{round}-{number}");
        }
    }
    server.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unfinished_write_at_the_end_is_cut_and_said() {
    let dir = filled().await;
    let segment = files(&dir, ".seg").remove(0);
    let mut bytes = fs::read(&segment).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let torn = used.next_multiple_of(512);
    bytes[torn..torn + 300].fill(0xAB);
    fs::write(&segment, &bytes).unwrap();
    let (said, code) = verify(&dir);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("never acknowledged"), "{said}");
    let server = Server::start(dir.path());
    let channel = server.channel().await;
    for number in 0..100 {
        let again = allocation(&channel).reserve(order(&format!("order-{number}"), 0, 1)).await.unwrap().into_inner();
        assert!(again.replayed, "order-{number} was acknowledged");
    }
    assert_eq!(server.stop(), Some(0));
    assert!(fs::read(&segment).unwrap()[torn..].iter().all(|byte| *byte == 0), "the tail was cut");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_all_snapshots_damaged_and_the_log_trimmed_the_start_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    // Small segments that are not kept for the past: the third snapshot trims what the first needed.
    let small = [
        "--segment-bytes",
        "64KiB",
        "--batch-bytes-max",
        "16KiB",
        "--backlog-bytes-max",
        "64KiB",
        "--journal-keep",
        "0s",
    ];
    for round in 0..4 {
        let server = Server::try_start(dir.path(), &small).unwrap_or_else(|(said, status)| panic!("{status}: {said}"));
        let channel = server.channel().await;
        if round == 0 {
            stock(&channel, 1, 100_000).await;
        }
        for number in 0..150 {
            allocation(&channel).reserve(order(&format!("order-{round}-{number}"), 0, 1)).await.unwrap();
        }
        assert_eq!(server.stop(), Some(0), "an orderly stop takes a snapshot");
    }
    let snapshots = files(&dir, ".snap");
    assert_eq!(snapshots.len(), 2);
    assert!(!dir.path().join("wal-00000000000000000001.seg").exists(), "the test needs a trimmed log");
    for snapshot in &snapshots {
        let mut bytes = fs::read(snapshot).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(snapshot, bytes).unwrap();
    }
    let (said, status) = Server::try_start(dir.path(), &small).err().expect("a log without a beginning was served");
    assert_eq!(status.code(), Some(DAMAGED), "{said}");
    for snapshot in &snapshots {
        assert!(said.contains(snapshot.file_name().unwrap().to_str().unwrap()), "{said}");
    }
    assert!(said.contains("begins at LSN"), "{said}");
    let (said, code) = verify(&dir);
    assert_eq!(code, Some(DAMAGED), "{said}");
}

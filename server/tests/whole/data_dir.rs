//! A data directory that cannot be served says why, and what stood in it stays as it was.

use std::fs;
use std::path::PathBuf;

use super::support::{Server, allocation, order, stock};

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
    assert_eq!(status.code(), Some(1));
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
    assert_eq!(status.code(), Some(1));
    assert!(said.contains(segment.file_name().unwrap().to_str().unwrap()), "{said}");
    assert!(said.contains("offset") || said.contains("byte"), "{said}");
    assert_eq!(fs::read(&segment).unwrap(), bytes, "nothing was repaired in silence");
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

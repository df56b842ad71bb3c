//! What is refused, with what to do about it.

mod common;

use common::{Unpaced, World, config};
use quartermaster_backup::{
    DirectoryTarget, Error, FORMAT, HistoryId, MemoryTarget, Point, Target, list, restore, verify,
};
use quartermaster_journal::{Journal as _, SimStorage};
use quartermaster_node::Core;

fn said(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn backed_up(seed: u64) -> (World, MemoryTarget) {
    let mut world = World::new(seed);
    let target = MemoryTarget::default();
    world.traffic(150);
    world.core().take_snapshot().unwrap();
    world.traffic(50);
    world.back_up(&target, &Unpaced::forever(), 0).unwrap();
    (world, target)
}

#[test]
fn a_restored_history_does_not_write_among_the_backups_it_came_from() {
    let (mut world, target) = backed_up(1);
    let objects = target.list("").unwrap();
    let disk = SimStorage::new();
    let (range, _, _) = list(&target).unwrap().possible[0];
    restore(&target, &disk, Point::Lsn(range.from)).unwrap();
    world.core = None;
    world.archive = None;
    world.storage = disk;
    world.records.lock().truncate(usize::try_from(range.from).unwrap());
    world.start();
    world.fresh = HistoryId(99);
    world.core().log().sync().unwrap();
    let error = said(&world.back_up(&target, &Unpaced::forever(), 0).unwrap_err());
    assert!(error.contains("of history 00000000000000000000000000000063") && error.contains("of its own"), "{error}");
    assert_eq!(target.list("").unwrap(), objects, "nothing was touched");
    world.back_up(&MemoryTarget::default(), &Unpaced::forever(), 0).unwrap();
}

#[test]
fn a_copy_of_the_directory_that_went_its_own_way_is_told_by_its_chain() {
    let (mut world, target) = backed_up(2);
    let copy = world.storage.restart();
    world.traffic(60);
    world.ship(&target, &Unpaced::forever()).unwrap();
    let objects = target.list("").unwrap();
    // The copy has the id, but neither the events since nor others in their place.
    world.core = None;
    world.archive = None;
    world.storage = copy;
    let core =
        Core::open(world.storage.clone(), &config(), world.clock.clone(), |log| std::sync::Arc::new(log.clone()));
    let kept = usize::try_from(core.as_ref().unwrap().log().appended_lsn().get()).unwrap();
    drop(core);
    world.records.lock().truncate(kept);
    world.start();
    for steps in [0, 200] {
        world.archive = None;
        let now = world.core().now();
        for number in 0..steps {
            let request =
                quartermaster_engine::command::Request { id: format!("own-{number}").into(), actor: String::new() };
            let command = quartermaster_sim::workload::setup().swap_remove(0);
            let _answer = world.core().submit(&request, &command, now);
        }
        let error = said(&world.back_up(&target, &Unpaced::forever(), 0).unwrap_err());
        assert!(error.contains("does not go on from there") && error.contains("of its own"), "{error}");
        assert_eq!(target.list("").unwrap(), objects, "nothing was touched");
    }
}

#[test]
fn another_cluster_and_another_shard_are_refused() {
    let (_, target) = backed_up(3);
    let (mut other, _) = backed_up(4);
    other.archive = None;
    let error = said(&other.back_up(&target, &Unpaced::forever(), 0).unwrap_err());
    assert!(error.contains("another cluster"), "{error}");

    let sharded = MemoryTarget::default();
    let (world, _) = backed_up(5);
    let id = HistoryId(6);
    let claim = format!("{{\"format\":1,\"history\":\"{id}\",\"shard\":7}}");
    let name = format!("history-{id}-{:016x}.json", crc_fast::crc64_nvme(claim.as_bytes()));
    sharded.put(&name, claim.as_bytes()).unwrap();
    let mut world = world;
    world.archive = None;
    let error = said(&world.back_up(&sharded, &Unpaced::forever(), 0).unwrap_err());
    assert!(error.contains("shard 7, not of shard 0"), "{error}");
}

#[test]
fn a_target_with_other_things_and_one_with_nothing_are_no_targets_of_ours() {
    let mut world = World::new(8);
    let target = MemoryTarget::default();
    target.put("holiday.jpg", b"...").unwrap();
    let error = said(&world.back_up(&target, &Unpaced::forever(), 0).unwrap_err());
    assert!(error.contains("holiday.jpg") && error.contains("empty directory or prefix"), "{error}");
    for refused in [
        list(&MemoryTarget::default()).map(|_| ()),
        verify(&MemoryTarget::default(), &mut |_| {}).map(|_| ()),
        restore(&MemoryTarget::default(), &SimStorage::new(), Point::Newest).map(|_| ()),
    ] {
        let error = said(&refused.unwrap_err());
        assert!(error.contains("holds no backup; name the directory"), "{error}");
    }
}

#[test]
fn points_that_cannot_be_had_name_the_oldest_and_the_newest() {
    let (_, target) = backed_up(9);
    let (range, from_time, to_time) = list(&target).unwrap().possible[0];
    let disk = SimStorage::new();
    for point in
        [Point::Lsn(0), Point::Lsn(range.from - 1), Point::Lsn(range.to + 1), Point::Time(0), Point::Time(to_time + 1)]
    {
        let error = said(&restore(&target, &disk, point).unwrap_err());
        let ends = format!("possible is LSN {} to {} (2023-11-14T", range.from, range.to);
        assert!(error.contains(&ends), "{point:?}: {error}");
        assert_eq!(disk.calls(), 0, "nothing was written");
    }
    assert!(from_time < to_time);
}

#[test]
fn a_directory_that_is_not_empty_is_left_as_it_is() {
    let (_, target) = backed_up(10);
    let disk = SimStorage::new();
    disk.plant("wal-00000000000000000001.seg", b"precious");
    let error = said(&restore(&target, &disk, Point::Newest).unwrap_err());
    assert!(error.contains("not empty (wal-00000000000000000001.seg is in it)"), "{error}");
    assert_eq!(disk.content("wal-00000000000000000001.seg").unwrap(), b"precious");
    let half = SimStorage::new();
    half.power_off_after(12);
    assert!(restore(&target, &half, Point::Newest).is_err());
    let error = said(&restore(&target, &half.restart(), Point::Newest).unwrap_err());
    assert!(error.contains("did not end; empty it"), "{error}");
}

#[test]
fn a_newer_manifest_is_named_and_not_guessed_at() {
    let (_, target) = backed_up(12);
    let old = target.list("backups/").unwrap().swap_remove(0).name;
    let text = String::from_utf8(target.get(&old).unwrap()).unwrap();
    let newer = text.replacen("\"format\": 1", "\"format\": 2", 1).replacen("\"files\"", "\"chunks\"", 1);
    assert_ne!(newer, text);
    let name = format!("backups/20990101T000000Z-1-{:016x}.json", crc_fast::crc64_nvme(newer.as_bytes()));
    target.put(&name, newer.as_bytes()).unwrap();
    for refused in [list(&target).map(|_| ()), verify(&target, &mut |_| {}).map(|_| ())] {
        let error = said(&refused.unwrap_err());
        assert!(error.contains(&name) && error.contains(&format!("reads up to {FORMAT}")), "{error}");
    }
}

#[test]
fn damage_stops_a_restore_with_the_file_and_leaves_no_data_directory() {
    let (world, target) = backed_up(13);
    let (range, _, _) = list(&target).unwrap().possible[0];
    for prefix in ["log/", "snapshots/"] {
        let object = target.list(prefix).unwrap().pop().unwrap();
        let broken = target.fork();
        let mut bytes = broken.get(&object.name).unwrap();
        bytes.truncate(bytes.len() - 1);
        broken.put(&object.name, &bytes).unwrap();
        let disk = SimStorage::new();
        let error = said(&restore(&broken, &disk, Point::Lsn(range.to)).unwrap_err());
        assert!(error.contains(&object.name), "{error}");
        let opened = Core::open(disk, &config(), world.clock.clone(), |log| std::sync::Arc::new(log.clone()));
        let empty_or_refused = opened.map(|core| core.log().appended_lsn().get());
        assert!(matches!(empty_or_refused, Err(_) | Ok(0)), "a server opens a part of it");
    }
}

#[test]
fn nothing_is_backed_up_of_an_empty_log() {
    let mut world = World::new(14);
    world.core = None;
    world.records.lock().clear();
    world.storage = SimStorage::new();
    world.start();
    let error = said(&world.back_up(&MemoryTarget::default(), &Unpaced::forever(), 0).unwrap_err());
    assert!(error.contains("holds no event"), "{error}");
}

#[test]
fn directories_that_are_missing_or_without_room_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = DirectoryTarget::new(folder.path().join("unmounted"));
    let error = missing.put("history-x.json", b"x").unwrap_err();
    let text = format!("{error}: {}", error.source);
    assert!(text.contains("unmounted") && text.contains("no such directory; make it, or mount"), "{text}");
    assert!(missing.list("").is_err(), "a mount that is not there is no empty target");
    // /dev/full takes nothing: a link to it stands where a new object is written first.
    let target = DirectoryTarget::new(folder.path());
    std::fs::create_dir(folder.path().join("log")).unwrap();
    std::os::unix::fs::symlink("/dev/full", folder.path().join("log/a.piece.unfinished")).unwrap();
    let error = target.put("log/a.piece", b"1").unwrap_err();
    let text = format!("{error}: {}", error.source);
    assert!(text.contains("log/a.piece") && text.contains("No space left"), "{text}");
    assert_eq!(target.list("log/").unwrap(), []);
    target.put("log/a.piece", b"1").unwrap();
    assert_eq!(target.get("log/a.piece").unwrap(), b"1");
}

#[test]
fn a_directory_is_a_target_as_memory_is() {
    let folder = tempfile::tempdir().unwrap();
    let (_, memory) = backed_up(15);
    let directory = DirectoryTarget::new(folder.path());
    for object in memory.list("").unwrap() {
        directory.put(&object.name, &memory.get(&object.name).unwrap()).unwrap();
    }
    assert_eq!(directory.list("").unwrap(), memory.list("").unwrap());
    assert_eq!(directory.list("log/").unwrap(), memory.list("log/").unwrap());
    // What was being written when the machine died is no object.
    std::fs::write(folder.path().join("backups/x-1-2.json.unfinished"), b"{").unwrap();
    assert_eq!(verify(&directory, &mut |_| {}).unwrap().faults, []);
    let to = tempfile::tempdir().unwrap();
    let disk = quartermaster_journal::FileStorage::new(to.path().join("data"));
    let restored = restore(&directory, &disk, Point::Newest).unwrap();
    assert_eq!(restored.lsn, list(&directory).unwrap().possible[0].0.to);
}

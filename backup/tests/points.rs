//! Random traffic, random moments of backup, crashes in between, random points of restore: what comes back is the fold of the log.

mod common;

use common::{Unpaced, World, config};
use quartermaster_backup::{Error, MemoryTarget, Point, Target as _, list, restore, verify};
use quartermaster_engine::EngineConfig;
use quartermaster_journal::{Journal as _, SimStorage};
use quartermaster_node::Core;
use quartermaster_sim::workload::Dice;
use quartermaster_sim::{folded_hash, state_hash};

/// Runs; each with a seed of its own from 1. `BACKUP_TEST_SEEDS=500` is a long campaign, `BACKUP_TEST_SEED=n` one run again.
fn seeds() -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    match number("BACKUP_TEST_SEED") {
        Some(seed) => vec![seed],
        None => (1..=number("BACKUP_TEST_SEEDS").unwrap_or(12)).collect(),
    }
}

/// A target that some random hours of work went to, and the log it should tell of.
fn made(seed: u64) -> (World, MemoryTarget, usize) {
    let mut world = World::new(seed);
    let target = MemoryTarget::default();
    let mut backups = 0;
    for _ in 0..40 {
        let steps = 1 + world.dice.below(30);
        world.traffic(steps);
        match world.dice.below(12) {
            0 | 1 => _ = world.core().take_snapshot().unwrap(),
            2..=4 => world.ship(&target, &Unpaced::forever()).unwrap(),
            5 | 6 => {
                let keep = world.dice.below(4);
                let created = world.back_up(&target, &Unpaced::forever(), keep).unwrap();
                assert!(created.pruned.is_ok());
                backups += 1;
            }
            7 => {
                // The target goes in the middle of it; what is there stays a whole backup or none.
                target.fail_after(Some(world.dice.number() % 6));
                let outcome = world.back_up(&target, &Unpaced::forever(), 2);
                target.fail_after(None);
                assert!(matches!(outcome, Ok(_) | Err(Error::Target(_))), "{outcome:?}");
                backups += usize::from(outcome.is_ok());
            }
            8 => {
                let calls = world.dice.number() % 8;
                let outcome = world.back_up(&target, &Unpaced(calls.into()), 0);
                assert!(matches!(outcome, Ok(_) | Err(Error::Cancelled)), "{outcome:?}");
                backups += usize::from(outcome.is_ok());
            }
            9 => world.crash(),
            _ => {}
        }
    }
    if backups == 0 {
        world.back_up(&target, &Unpaced::forever(), 0).unwrap();
    }
    (world, target, backups)
}

#[test]
fn any_point_restored_is_the_fold_of_the_log_up_to_it() {
    for seed in seeds() {
        let (world, target, _) = made(seed);
        let records = world.records.lock().clone();
        let verified = verify(&target, &mut |_| {}).unwrap();
        assert_eq!(verified.faults, [], "seed {seed}");
        let listing = list(&target).unwrap();
        let mut dice = Dice::new(seed ^ 0xbac);
        assert!(!listing.possible.is_empty(), "seed {seed}");
        for _ in 0..4 {
            let (range, from_time, to_time) = listing.possible[dice.below(listing.possible.len())];
            assert!(from_time <= to_time, "seed {seed}");
            let lsn = match dice.below(6) {
                0 => range.from,
                1 => range.to,
                _ => range.from + dice.number() % (range.to - range.from + 1),
            };
            let disk = SimStorage::new();
            let restored =
                restore(&target, &disk, Point::Lsn(lsn)).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            assert_eq!(restored.lsn, lsn, "seed {seed}");
            let expected = folded_hash(EngineConfig::default(), &records[..usize::try_from(lsn).unwrap()]).unwrap();
            assert_eq!(restored.state_hash, expected, "seed {seed}: another state at LSN {lsn}");
            // A server opens it, goes on from there, and under an epoch that the history never had.
            let core =
                Core::open(disk, &config(), world.clock.clone(), |log| std::sync::Arc::new(log.clone())).unwrap();
            assert_eq!(core.log().appended_lsn().get(), lsn);
            assert_eq!(state_hash(core.engine()), expected, "seed {seed}");
            assert!(core.log().epoch().get() > listing.backups.iter().map(|one| one.epoch).max().unwrap());
        }
        // By time: the last record at or before it.
        for _ in 0..2 {
            let (range, from_time, to_time) = listing.possible[dice.below(listing.possible.len())];
            let time = from_time + dice.number() % (to_time - from_time + 1);
            let of = |record: &Vec<u8>| quartermaster_engine::codec::decode(record).unwrap().time.0;
            let all = &records[..usize::try_from(range.to).unwrap()];
            let expected = all.iter().rposition(|record| of(record) <= time).map_or(0, |place| place + 1);
            match restore(&target, &SimStorage::new(), Point::Time(time)) {
                Ok(restored) => assert_eq!(restored.lsn, u64::try_from(expected).unwrap(), "seed {seed}"),
                Err(Error::WrongPoint(_)) => assert!(u64::try_from(expected).unwrap() < range.from, "seed {seed}"),
                Err(error) => panic!("seed {seed}: {error}"),
            }
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_is_found_by_verify_with_the_name_of_the_file() {
    for seed in seeds() {
        let (mut world, target, _) = made(seed);
        let objects = target.list("").unwrap();
        for _ in 0..40 {
            let object = &objects[world.dice.below(objects.len())];
            let broken = target.fork();
            let mut bytes = broken.get(&object.name).unwrap();
            let cut = world.dice.one_in(5);
            let place = world.dice.below(bytes.len());
            if cut {
                bytes.truncate(place);
            } else {
                bytes[place] ^= 1 << world.dice.below(8);
            }
            broken.put(&object.name, &bytes).unwrap();
            let verified = verify(&broken, &mut |_| {}).unwrap();
            assert!(
                verified.faults.iter().any(|fault| fault.file == object.name),
                "seed {seed}: byte {place} of {} (cut: {cut}) is not found: {:?}",
                object.name,
                verified.faults
            );
        }
    }
}

#[test]
fn a_missing_object_of_a_backup_is_named() {
    let (world, target, _) = made(3);
    drop(world);
    let manifest = list(&target).unwrap().backups.pop().unwrap();
    for file in &manifest.files {
        let broken = target.fork();
        broken.remove(&file.name).unwrap();
        let verified = verify(&broken, &mut |_| {}).unwrap();
        assert!(verified.faults.iter().any(|fault| fault.file == file.name && fault.problem.contains("missing")));
    }
}

#[test]
fn a_crash_in_the_middle_of_a_restore_leaves_nothing_that_a_server_opens() {
    for seed in seeds().into_iter().take(4) {
        let (mut world, target, _) = made(seed);
        let (range, _, _) = *list(&target).unwrap().possible.last().unwrap();
        let whole = SimStorage::new();
        restore(&target, &whole, Point::Newest).unwrap();
        let mut opened = 0;
        for calls in 0..whole.calls() {
            let disk = SimStorage::new();
            disk.power_off_after(calls);
            assert!(restore(&target, &disk, Point::Newest).is_err(), "seed {seed}, {calls} calls");
            let found = disk.crash(world.dice.number());
            let open = Core::open(found, &config(), world.clock.clone(), |log| std::sync::Arc::new(log.clone()));
            match open {
                // All of it, and only the sync after the mark was gone is missing; or nothing at all yet.
                Ok(core) => {
                    let lsn = core.log().appended_lsn().get();
                    assert!(lsn == range.to || lsn == 0, "seed {seed}, {calls} calls: a part is opened, to LSN {lsn}");
                    opened += usize::from(lsn > 0);
                }
                Err(error) => assert!(error.is_damage(), "seed {seed}, {calls} calls: {error}"),
            }
        }
        assert!(opened <= 1, "only the very last call leaves a whole directory");
    }
}

#[test]
fn pieces_that_are_there_are_not_sent_again() {
    let mut world = World::new(7);
    let target = MemoryTarget::default();
    world.traffic(200);
    let first = world.back_up(&target, &Unpaced::forever(), 0).unwrap();
    let (_, before) = target.puts();
    world.traffic(20);
    let second = world.back_up(&target, &Unpaced::forever(), 0).unwrap();
    let (_, after) = target.puts();
    assert_eq!(second.sent_bytes, after - before);
    assert!(second.sent_bytes * 3 < first.sent_bytes, "{} after {}", second.sent_bytes, first.sent_bytes);
    assert!(second.manifest.last_lsn > first.manifest.last_lsn);
    // Opened anew, it goes on where the target ends.
    world.archive = None;
    let third = world.back_up(&target, &Unpaced::forever(), 0).unwrap();
    assert_eq!((third.sent_objects, third.manifest.last_lsn), (1, second.manifest.last_lsn), "the manifest alone");
}

#[test]
fn old_backups_go_with_everything_that_only_they_needed() {
    let mut world = World::new(11);
    let target = MemoryTarget::default();
    for _ in 0..6 {
        world.traffic(300);
        world.core().take_snapshot().unwrap();
        world.back_up(&target, &Unpaced::forever(), 2).unwrap();
    }
    let listing = list(&target).unwrap();
    assert_eq!(listing.backups.len(), 2);
    let snapshots = target.list("snapshots/").unwrap();
    let needed: Vec<_> = listing.backups.iter().flat_map(|one| &one.files).map(|file| file.name.clone()).collect();
    assert!(snapshots.iter().all(|object| needed.contains(&object.name)), "a snapshot nobody needs is left");
    let oldest = listing.backups[0].snapshot.as_ref().unwrap().needed_from;
    let first = target.list("log/").unwrap().swap_remove(0).name;
    let begins: u64 = first.split('-').nth(2).unwrap().parse().unwrap();
    assert!(begins <= oldest, "the oldest backup lacks the log from {oldest}: it begins at {begins}");
    assert!(begins > 1, "nothing of the log was given up");
    assert_eq!(verify(&target, &mut |_| {}).unwrap().faults, []);
    restore(&target, &SimStorage::new(), Point::Lsn(listing.possible[0].0.from)).unwrap();
}

#[test]
fn a_log_is_not_trimmed_while_it_is_to_be_sent_and_a_hole_is_told() {
    let mut world = World::new(5);
    let target = MemoryTarget::default();
    world.traffic(100);
    world.back_up(&target, &Unpaced::forever(), 0).unwrap();
    let reached = list(&target).unwrap().possible[0].0.to;
    let age = |world: &mut World| {
        for _ in 0..4 {
            world.traffic(400);
            world.core().take_snapshot().unwrap();
        }
    };
    age(&mut world);
    assert!(world.core().log().first_lsn().get() <= reached + 1, "an archive holds on to what it has not sent");
    world.ship(&target, &Unpaced::forever()).unwrap();
    // Nobody holds: what comes next is trimmed before it is sent.
    world.archive = None;
    world.core().hold_log(None);
    age(&mut world);
    let lost = world.core().log().first_lsn().get();
    world.back_up(&target, &Unpaced::forever(), 0).unwrap();
    let possible = list(&target).unwrap().possible;
    assert_eq!(possible.len(), 2, "{possible:?}");
    assert!(possible[0].0.to < lost && possible[1].0.from >= lost, "{possible:?} with a hole before {lost}");
    let hole = possible[0].0.to + 1;
    let error = restore(&target, &SimStorage::new(), Point::Lsn(hole)).unwrap_err().to_string();
    let all = [hole, possible[0].0.from, possible[1].0.to].map(|lsn| error.contains(&lsn.to_string()));
    assert_eq!(all, [true; 3], "{error}");
}

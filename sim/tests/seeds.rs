//! Seeds of the simulation: those that found something stay, and fresh ones look for more.
//!
//! `SIM_SEEDS` fresh seeds from `SIM_SEED` on, of `SIM_STEPS` steps each. Larger campaigns: `quartermaster-sim --seeds 1..100000`.

use quartermaster_sim::{Counts, run, run_planned};

/// Seeds with the steps after which something was wrong once.
const FOUND: &[(u64, u64)] = &[
    // A rule gave back an allotment that had been given back by hand: engine and history counted it differently from then on.
    (29, 1_310),
    // A repair left to the timer what holds that are due cover; the model took that for a refusal.
    (62, 101),
    (71, 535),
    // Who waited in a campaign that was over waited on while the SKU was not for sale.
    (348, 307),
    (118, 987),
    // A change of a document told as late what the same change had promised of other stock.
    (387, 347),
    (146, 517),
];

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn what_was_found_stays_found() {
    for (seed, steps) in FOUND {
        run(*seed, *steps).unwrap_or_else(|failure| panic!("{failure}"));
    }
}

#[test]
fn fresh_seeds_find_nothing() {
    let (from, steps) = (number("SIM_SEED", 1_000), number("SIM_STEPS", 600));
    let mut counts = Counts::default();
    for seed in from..from + number("SIM_SEEDS", 16) {
        let outcome = run(seed, steps).unwrap_or_else(|failure| panic!("{failure}"));
        counts.add(&outcome.counts);
    }
    println!("{counts}");
    for reached in ["recoveries", "recoveries to an earlier record", "snapshots", "journal failures", "answers told"] {
        assert!(counts.of(reached) > 0, "{reached} were never reached");
    }
}

#[test]
fn a_seed_is_the_same_run_every_time() {
    for seed in 5..9 {
        let first = run(seed, 400).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(run(seed, 400).unwrap_or_else(|failure| panic!("{failure}")), first);
        assert_ne!(run(seed, 401).unwrap_or_else(|failure| panic!("{failure}")).hash, first.hash);
    }
}

/// Fuzzy snapshots and the log past them lead to the live state; with rot in a snapshot the older one does, with nothing lost.
#[test]
fn snapshots_lead_to_the_live_state_and_the_older_one_stands_in() {
    let mut counts = Counts::default();
    for seed in 0..number("SIM_HISTORIES", 8) {
        let outcome = run_planned(seed, number("SIM_STEPS", 600), &|plan| {
            (plan.crash, plan.close, plan.snapshot, plan.rot_one_in) = (12, 4, 24, 1);
            (plan.fault, plan.space, plan.dies_in_recovery_one_in) = (0, 0, 0);
        });
        counts.add(&outcome.unwrap_or_else(|failure| panic!("{failure}")).counts);
    }
    println!("{counts}");
    for reached in ["recoveries to the live state", "starts from the older snapshot", "recoveries from a snapshot"] {
        assert!(counts.of(reached) > 0, "{reached} were never reached");
    }
}

//! Under the policies of the log itself every decision comes out as it was, to the last unit.

mod support;

use quartermaster_backtest::{Options, Outcome};
use support::{Dice, run, trade, traded};

/// Nothing differs between the worlds.
fn same(outcome: &Outcome) {
    assert_eq!(outcome.before, outcome.after);
    assert!(outcome.differences.is_empty() && outcome.changed.is_empty(), "{:?}", outcome.differences);
    assert_eq!((outcome.clamped.cells, outcome.clamped.refused), (0, 0));
    assert!(outcome.not_repeatable.is_empty(), "{:?}", outcome.not_repeatable);
    assert_eq!(outcome.unsourced_refused, 0);
    let followed = &outcome.followed;
    assert_eq!(followed.merges, followed.merges_again);
    assert!(followed.tallies.values().all(|tally| tally.left_out == 0), "{:?}", followed.tallies);
    let counts = [followed.of_refused, followed.units_missing, followed.units_not_there, followed.given_up];
    assert_eq!(counts, [0; 4]);
}

#[test]
fn a_log_run_again_is_the_same_log() {
    for seed in 1..=3 {
        let shop = traded(seed, 400);
        let (outcome, changed) = shop.backtest(Options::default());
        same(&outcome);
        assert!(changed.is_empty());
        let figures = &outcome.after;
        assert!(figures.orders > 200 && figures.split > 10 && figures.unfilled > 0, "{figures:?}");
        for name in ["confirmed", "released", "expired", "cancelled", "shipped", "extended", "reassigned", "rerouted"] {
            assert!(outcome.followed.tallies.contains_key(name), "seed {seed} has none {name}");
        }
    }
}

#[test]
fn a_log_run_again_from_a_snapshot_is_the_same_log() {
    let mut shop = traded(3, 200);
    let (opening, after) = shop.opening();
    trade(&mut shop, &mut Dice(99), 200);
    let (outcome, _) = run(opening, Options::default(), &shop.journal.records(), after);
    same(&outcome);
    assert_eq!(outcome.began_after, after);
    assert!(outcome.after.orders > 100);
}

//! The solver against every possible allocation of small orders, and against every set of open locations of larger ones.

mod common;

use common::{Case, Rng, Shape, cases, triple};
use quartermaster_routing::{Budget, Objective, Problem, Proof, Shipping, Solver};

/// Every way to serve one line: units from each location, within stock, demand and the no-split rule.
fn choices(case: &Case, j: usize) -> Vec<Vec<u32>> {
    let locations = case.parcel.len();
    let mut found = vec![vec![0; locations]];
    if case.must_be_whole(j) {
        for i in 0..locations {
            if case.stock[j][i].0 >= case.demand[j] {
                let mut row = vec![0; locations];
                row[i] = case.demand[j];
                found.push(row);
            }
        }
        return found;
    }
    for i in 0..locations {
        for row in found.clone() {
            let left = case.demand[j] - row.iter().sum::<u32>();
            for units in 1..=left.min(case.stock[j][i].0) {
                let mut next = row.clone();
                next[i] = units;
                found.push(next);
            }
        }
    }
    found
}

fn best_of_all(case: &Case, choices: &[Vec<Vec<u32>>]) -> (i64, i64, i64) {
    let mut at = vec![0; choices.len()];
    let mut best = None;
    loop {
        let x: Vec<Vec<u32>> = choices.iter().zip(&at).map(|(rows, &n)| rows[n].clone()).collect();
        if let Some(value) = case.value(&x) {
            best = Some(best.map_or(value, |least: (i64, i64, i64)| least.min(value)));
        }
        let Some(j) = (0..at.len()).find(|&j| at[j] + 1 < choices[j].len()) else { break };
        at[..j].fill(0);
        at[j] += 1;
    }
    best.expect("serving nothing is always allowed")
}

fn check_against_all(seed: u64, count: u64, shipping: bool) {
    let mut solver = Solver::default();
    let mut done = 0;
    let mut rng = Rng(seed);
    let mut spare = Problem::builder(Objective::Money).build().unwrap();
    while done < count {
        let case = Case::random(&mut rng, Shape { lines: 4, locations: 5, demand: 4, shipping });
        let choices: Vec<_> = (0..case.demand.len()).map(|j| choices(&case, j)).collect();
        if choices.iter().map(Vec::len).product::<usize>() > 2_500 {
            continue;
        }
        done += 1;
        let problem = case.problem();
        spare = case.state(spare.recycle(case.objective));
        assert_eq!(spare, problem, "the memory of the problem before shows");
        let best = best_of_all(&case, &choices);
        let plan = solver.solve(&problem, Budget { nodes: 1_000_000 }).unwrap();
        assert_eq!(case.judge(&plan), best, "case {done} of seed {seed}: {case:#?}\n{plan:#?}");
        assert_eq!(plan.proof, Proof::Proved);
        assert_eq!(plan, Solver::default().solve(&problem, Budget { nodes: 1_000_000 }).unwrap(), "not deterministic");
        for nodes in [0, 2] {
            let hurried = solver.solve(&problem, Budget { nodes }).unwrap_or_else(|error| panic!("{error}: {case:?}"));
            assert!(case.judge(&hurried) >= best);
            assert!(triple(hurried.lower_bound) <= best, "false bound: {case:#?}\n{hurried:#?}\n{best:?}");
        }
    }
}

#[test]
fn equals_every_allocation_of_small_orders() {
    check_against_all(1, cases("ROUTING_BRUTE_CASES", 5_000), false);
}

#[test]
fn equals_every_allocation_with_steps_and_limits() {
    check_against_all(3, cases("ROUTING_BRUTE_STEPS_CASES", 2_000), true);
}

/// All sets of open locations, each line greedily from the cheapest: exact when parcels cost the same at any weight.
fn best_of_sets(case: &Case) -> (i64, i64, i64) {
    let locations = case.parcel.len();
    let sets = (0_u32..1 << locations).filter_map(|set| {
        let x: Vec<Vec<u32>> = (0..case.demand.len()).map(|j| cheapest_row(case, j, set)).collect();
        case.value(&x)
    });
    let nothing = vec![vec![0; locations]; case.demand.len()];
    sets.chain(case.value(&nothing)).min().unwrap()
}

fn cheapest_row(case: &Case, j: usize, set: u32) -> Vec<u32> {
    let unit = |i: usize| case.pick[i] + case.stock[j][i].1;
    let money = case.objective == Objective::Money && !case.ship_complete;
    let mut open: Vec<usize> = (0..case.parcel.len()).filter(|&i| set >> i & 1 == 1).collect();
    open.retain(|&i| !money || unit(i) <= case.penalty[j]);
    open.retain(|&i| !case.must_be_whole(j) || case.stock[j][i].0 >= case.demand[j]);
    open.sort_by_key(|&i| unit(i));
    let mut row = vec![0; case.parcel.len()];
    let mut left = case.demand[j];
    for i in open {
        row[i] = left.min(case.stock[j][i].0);
        left -= row[i];
    }
    row
}

#[test]
fn equals_every_set_of_locations_of_middling_orders() {
    let mut solver = Solver::default();
    let mut rng = Rng(2);
    for number in 0..cases("ROUTING_SET_CASES", 400) {
        let mut case = Case::random(&mut rng, Shape { lines: 12, locations: 9, demand: 9, shipping: false });
        case.shipping.fill(Shipping::default());
        let plan = solver.solve(&case.problem(), Budget { nodes: 1_000_000 }).unwrap();
        assert_eq!(case.judge(&plan), best_of_sets(&case), "case {number}: {case:#?}\n{plan:#?}");
        assert_eq!(plan.proof, Proof::Proved);
    }
}

//! The solver against an independent statement of the same model, solved by a mixed-integer solver.
#![expect(clippy::disallowed_methods, reason = "compares times with the other solver; decides nothing by them")]

mod common;

use common::{Case, Rng, Shape, cases, triple};
use good_lp::{Expression, ProblemVariables, Solution, SolverModel, constraint, microlp, variable};
use quartermaster_routing::{Budget, Grams, Objective, Proof, Solver, cheapest};

/// Weights in a case are whole hundreds of grams, and so are the ends of steps.
const GRAIN: u64 = 100;

/// `(heaviest weight, price)` of each step of the location's tariff up to `total`.
fn steps(case: &Case, i: usize, total: u64) -> Vec<(u64, i64)> {
    let services = &case.shipping[i].services;
    let mut found: Vec<(u64, i64)> = Vec::new();
    for weight in (0..=total.div_ceil(GRAIN)).map(|n| n * GRAIN) {
        let Some((_, price)) = cheapest(services, Grams(weight)) else { break };
        match found.last_mut() {
            Some(last) if last.1 == price.0 => last.0 = weight,
            _ => found.push((weight, price.0)),
        }
    }
    found
}

fn float(number: impl TryInto<i32>) -> f64 {
    f64::from(number.try_into().ok().expect("small numbers"))
}

/// The least `shortfall * big * big + parcels * big + cost` as the mixed-integer solver has it.
fn optimum(case: &Case) -> (i64, i64, i64) {
    let (lines, places) = (case.demand.len(), case.parcel.len());
    let mut variables = ProblemVariables::new();
    let mut constraints = Vec::new();
    let mut cost = Expression::from(0.0);
    let mut shortfall = Expression::from(0.0);
    let mut parcels = Expression::from(0.0);
    let mut penalties = Expression::from(0.0);
    let opened: Vec<_> = (0..places).map(|_| variables.add(variable().binary())).collect();
    let mut weight = vec![Expression::from(0.0); places];
    let mut units = vec![Expression::from(0.0); places];
    let mut total = 0;
    for j in 0..lines {
        let demand = case.demand[j];
        total += u64::from(demand) * case.weight[j];
        let bundle = if case.must_be_whole(j) { demand } else { 1 };
        let mut served = Expression::from(0.0);
        for i in 0..places {
            let (stock, extra) = case.stock[j][i];
            let most = stock.min(demand) / bundle;
            if most == 0 {
                continue;
            }
            let x = variables.add(variable().integer().min(0).max(most));
            constraints.push(constraint!(x <= float(most) * opened[i]));
            served += x;
            cost += float((case.pick[i] + extra) * i64::from(bundle)) * x;
            weight[i] += float(case.weight[j] * u64::from(bundle)) * x;
            units[i] += float(bundle) * x;
        }
        let left = variables.add(variable().min(0).max(demand / bundle));
        constraints.push(constraint!(served + left == float(demand / bundle)));
        let per_line = case.objective == Objective::WholeLinesCost;
        shortfall += float(if per_line { 1 } else { bundle }) * left;
        penalties += float(case.penalty[j] * i64::from(bundle)) * left;
    }
    for i in 0..places {
        parcels += opened[i];
        cost += float(case.parcel[i]) * opened[i];
        let shipping = &case.shipping[i];
        if let Some(most) = shipping.unit_capacity {
            constraints.push(constraint!(units[i].clone() <= float(most.0)));
        }
        if let Some(most) = shipping.weight_max {
            constraints.push(constraint!(weight[i].clone() <= float(most.0)));
        }
        if !shipping.services.is_empty() {
            let mut chosen = Expression::from(0.0);
            let mut carried = Expression::from(0.0);
            for (end, price) in steps(case, i, total) {
                let step = variables.add(variable().binary());
                chosen += step;
                carried += float(end) * step;
                cost += float(price) * step;
            }
            constraints.push(constraint!(chosen == opened[i]));
            constraints.push(constraint!(weight[i].clone() <= carried));
        }
    }
    if let Some(most) = case.parcels_max {
        constraints.push(constraint!(parcels.clone() <= float(most)));
    }
    let big = 10_000.0;
    let goal = match case.objective {
        Objective::Money => cost.clone() + penalties.clone(),
        Objective::UnitsParcelsCost => big * 100.0 * shortfall.clone() + big * parcels.clone() + cost.clone(),
        Objective::UnitsCost | Objective::WholeLinesCost => big * shortfall.clone() + cost.clone(),
    };
    let mut model = variables.minimise(goal).using(microlp);
    for constraint in constraints {
        model = model.with(constraint);
    }
    let solution = model.solve().expect("serving nothing is always allowed");
    let whole = |expression: &Expression| whole(solution.eval(expression));
    match case.objective {
        Objective::Money => (0, 0, whole(&(cost + penalties))),
        Objective::UnitsParcelsCost => (whole(&shortfall), whole(&parcels), whole(&cost)),
        Objective::UnitsCost | Objective::WholeLinesCost => (whole(&shortfall), 0, whole(&cost)),
    }
}

/// A value of the other solver, which is whole but for its tolerance.
fn whole(value: f64) -> i64 {
    assert!((value - value.round()).abs() < 1e-3, "{value} is not whole");
    format!("{:.0}", value.round() + 0.0).parse().unwrap()
}

fn check(seed: u64, count: u64, shape: Shape) {
    let mut rng = Rng(seed);
    let mut solver = Solver::default();
    let (mut ours, mut theirs) = (std::time::Duration::ZERO, std::time::Duration::ZERO);
    for number in 0..count {
        let mut case = Case::random(&mut rng, shape);
        // All or nothing is no linear constraint, and brute force looks after it.
        case.ship_complete = false;
        let problem = case.problem();
        let start = std::time::Instant::now();
        let plan = solver.solve(&problem, Budget { nodes: 200_000 }).unwrap();
        ours += start.elapsed();
        let start = std::time::Instant::now();
        let best = optimum(&case);
        theirs += start.elapsed();
        let value = case.judge(&plan);
        assert!(triple(plan.lower_bound) <= best, "false bound in case {number}: {case:?}\n{plan:#?}\n{best:?}");
        if plan.proof == Proof::Proved {
            assert_eq!(value, best, "case {number}: {case:?}\n{plan:#?}");
        } else {
            println!("case {number} only bounded: {value:?}, bound {:?}, best {best:?}", triple(plan.lower_bound));
            assert!(value >= best);
        }
    }
    println!("{count} cases: {ours:?} here, {theirs:?} by the mixed-integer solver");
}

#[test]
fn equals_the_milp_optimum_with_fixed_parcel_costs() {
    let shape = Shape { lines: 6, locations: 12, demand: 6, shipping: false };
    check(11, cases("ROUTING_MILP_CASES", 60), shape);
}

#[test]
fn equals_the_milp_optimum_with_steps_and_limits() {
    let shape = Shape { lines: 5, locations: 8, demand: 4, shipping: true };
    check(12, cases("ROUTING_MILP_STEPS_CASES", 40), shape);
}

/// Up to 12 lines and 200 locations; none unless asked for, as the other solver takes its time.
#[test]
fn equals_the_milp_optimum_of_large_orders() {
    let count = cases("ROUTING_MILP_LARGE_CASES", 0);
    check(13, count, Shape { lines: 12, locations: 200, demand: 6, shipping: false });
    check(14, count, Shape { lines: 12, locations: 200, demand: 6, shipping: true });
}

//! Runs a target many times on mutations of what is known, by a seed; keeps and shrinks what breaks it.
//!
//! An input depends on the seed, its number and the inputs to begin with alone, so a failure replays from any of: the seed and the number,
//! or the file that it was written to.

use std::{
    io,
    time::{Duration, Instant},
};

use quartermaster_loadtest::random::SplitMix64;

use crate::{
    Target, corpus,
    harness::{self, Broken, Cost},
    mutate, pieces,
};

/// How long, and from where.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Decides all inputs.
    pub seed: u64,
    /// Ends after so many.
    pub executions: u64,
    /// Ends after so long.
    pub time: Duration,
}

/// What a campaign came to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Inputs run.
    pub executions: u64,
    /// Pieces in them: calls, records or sections.
    pub pieces: u64,
    /// How long that took.
    pub took: Duration,
    /// The most that any of them needed.
    pub most: Cost,
    /// What broke it, if anything did; the campaign ended there.
    pub failure: Option<Failure>,
}

/// An input that breaks a promise.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What it breaks.
    pub broken: Broken,
    /// The smallest such input that was found.
    pub input: Vec<u8>,
    /// Its number in the campaign, of several run together that of the first; the kept inputs and seeds come first.
    pub number: u64,
}

/// Most changes tried to make a failing input smaller.
const SHRINKS_MAX: usize = 400;

/// Runs what is kept and what the target makes as seeds, then mutations of them.
///
/// # Errors
/// When the corpus cannot be read.
pub fn run(target: &Target, plan: &Plan) -> io::Result<Report> {
    let began = Instant::now();
    let mut known = (target.seeds)();
    known.extend(corpus::kept(target)?.into_iter().map(|(_, input)| input));
    let mut report = Report::default();
    let mutations = (0..).map(|number| {
        let mut random = SplitMix64::for_item(plan.seed, number);
        let (one, other) = (random.index(known.len()), random.index(known.len()));
        let mut start = known[one].clone();
        if target.has_pieces() {
            // Pieces behind pieces are pieces.
            (0..random.below(3)).for_each(|_| start.extend_from_slice(&known[random.index(known.len())]));
        }
        let mut input = mutate::mutate(target.form, &start, &known[other], &mut random);
        // A walk of a few steps reaches what one step does not.
        for _ in 0..random.below(4) {
            input = mutate::mutate(target.form, &input, &known[other], &mut random);
        }
        input
    });
    let mut inputs = known.iter().cloned().chain(mutations);
    while report.executions < plan.executions && began.elapsed() < plan.time {
        let left = usize::try_from(plan.executions - report.executions).unwrap_or(usize::MAX);
        let together: Vec<Vec<u8>> = inputs.by_ref().take(target.together.min(left)).collect();
        let input = joined(target, &together);
        match harness::run(target, &input) {
            Ok(cost) => {
                report.most.time = report.most.time.max(cost.time);
                report.most.bytes = report.most.bytes.max(cost.bytes);
            }
            Err(broken) => {
                let input = shrunk(target, input, &broken);
                report.failure = Some(Failure { broken, input, number: report.executions });
                break;
            }
        }
        report.executions += u64::try_from(together.len()).unwrap_or(u64::MAX);
        if target.has_pieces() {
            report.pieces += u64::try_from(pieces::read(&input).len()).unwrap_or(u64::MAX);
        }
    }
    report.took = began.elapsed();
    Ok(report)
}

/// Inputs as one. Their pieces are read first: one that was cut short would take what follows for its own.
fn joined(target: &Target, inputs: &[Vec<u8>]) -> Vec<u8> {
    match inputs {
        [only] => only.clone(),
        _ if target.has_pieces() => {
            let all: Vec<_> = inputs.iter().flat_map(|input| pieces::read(input)).collect();
            pieces::write(&all)
        }
        _ => inputs.concat(),
    }
}

/// A smaller input that breaks a promise of the same kind at the same place.
fn shrunk(target: &Target, input: Vec<u8>, broken: &Broken) -> Vec<u8> {
    let mut tries = 0;
    let mut breaks = |input: &[u8]| {
        tries += 1;
        tries <= SHRINKS_MAX && harness::run(target, input).is_err_and(|other| place(&other) == place(broken))
    };
    if target.has_pieces() {
        let all = fewer(pieces::read(&input), |some| breaks(&pieces::write(some)));
        return pieces::write(&all);
    }
    fewer(input, breaks)
}

/// Fewer of these that still break: halves, quarters and so on are left out as long as that is so.
fn fewer<T: Clone>(mut all: Vec<T>, mut breaks: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut span = all.len().div_ceil(2);
    while span > 0 {
        let mut at = 0;
        while at < all.len() {
            let mut fewer = all.clone();
            fewer.drain(at..(at + span).min(all.len()));
            if breaks(&fewer) { all = fewer } else { at += span }
        }
        span /= 2;
    }
    all
}

/// Where a panic was, or what kind of promise it is: texts hold figures that differ from input to input.
fn place(broken: &Broken) -> String {
    match broken {
        Broken::Panic(text) => text.rsplit(" at ").next().unwrap_or_default().to_owned(),
        Broken::Time(_) => "time".to_owned(),
        Broken::Memory(_) => "memory".to_owned(),
    }
}

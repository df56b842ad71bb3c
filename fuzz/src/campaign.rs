//! Runs a target many times on mutations of what is known, by a seed; keeps and shrinks what breaks it.
//!
//! An input depends on the seed, its number and the inputs to begin with alone, so a failure replays from any of: the seed and the number,
//! or the file that it was written to.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use quartermaster_loadtest::random::SplitMix64;

use crate::{
    Target, corpus,
    harness::{self, Broken, Cost},
    mutate::{self, Form},
    pieces,
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
    /// Its number in the campaign; the kept inputs and seeds come first.
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
        if let Form::Messages(..) | Form::Json(..) = target.form {
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
    for input in known.iter().cloned().chain(mutations) {
        if report.executions >= plan.executions || began.elapsed() >= plan.time {
            break;
        }
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
        report.executions += 1;
    }
    report.took = began.elapsed();
    Ok(report)
}

/// A smaller input that breaks a promise of the same kind at the same place.
fn shrunk(target: &Target, mut input: Vec<u8>, broken: &Broken) -> Vec<u8> {
    let mut tries = 0;
    let mut breaks = |input: &[u8]| {
        tries += 1;
        tries <= SHRINKS_MAX && harness::run(target, input).is_err_and(|other| place(&other) == place(broken))
    };
    if let Form::Messages(..) | Form::Json(..) = target.form {
        let mut all = pieces::read(&input);
        let mut at = 0;
        while at < all.len() {
            let mut fewer = all.clone();
            fewer.remove(at);
            if breaks(&pieces::write(&fewer)) { all = fewer } else { at += 1 }
        }
        input = pieces::write(&all);
        return input;
    }
    let mut span = input.len() / 2;
    while span > 0 {
        let mut at = 0;
        while at < input.len() {
            let mut fewer = input.clone();
            fewer.drain(at..(at + span).min(input.len()));
            if breaks(&fewer) { input = fewer } else { at += span }
        }
        span /= 2;
    }
    input
}

/// Where a panic was, or what kind of promise it is: texts hold figures that differ from input to input.
fn place(broken: &Broken) -> String {
    match broken {
        Broken::Panic(text) => text.rsplit(" at ").next().unwrap_or_default().to_owned(),
        Broken::Time(_) => "time".to_owned(),
        Broken::Memory(_) => "memory".to_owned(),
    }
}

/// Writes a failing input into a folder, under a name that follows from it.
///
/// # Errors
/// What the system reports.
pub fn keep(failure: &Failure, folder: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let file = folder.join(format!("found-{:016x}", crc_fast::crc64_nvme(&failure.input)));
    fs::write(&file, &failure.input)?;
    Ok(file)
}

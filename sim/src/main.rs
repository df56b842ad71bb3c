//! `quartermaster-sim`: runs seeds of the simulation until one fails, or until there are enough.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use quartermaster_sim::{Counts, doing, run};

/// Simulates Quartermaster: clients, crashes, failing disks and clocks, all drawn from a seed.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The first seed, or the only one.
    #[arg(long, default_value_t = 1, conflicts_with = "seeds")]
    seed: u64,
    /// Seeds, the last one not included: `1..1000`.
    #[arg(long, value_parser = range)]
    seeds: Option<std::ops::Range<u64>>,
    /// Steps of each seed.
    #[arg(long, default_value_t = 2_000)]
    steps: u64,
    /// Goes on with the next seeds until so many seconds have passed.
    #[arg(long)]
    seconds: Option<u64>,
}

fn range(text: &str) -> Result<std::ops::Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("not a range such as 1..1000")?;
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text}: {error}"));
    Ok(number(from)?..number(to)?)
}

fn main() -> ExitCode {
    let args = Args::parse();
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let (seed, step) = doing();
        eprintln!(
            "seed {seed} ends in a panic at step {step}; again: quartermaster-sim --seed {seed} --steps {}",
            step + 1
        );
        told(panic);
    }));
    let began = Instant::now();
    let last = |seed| if args.seconds.is_some() { u64::MAX } else { seed + 1 };
    let seeds = args.seeds.clone().unwrap_or(args.seed..last(args.seed));
    let (mut counts, mut done, mut hash) = (Counts::default(), 0_u64, 0_u64);
    for seed in seeds.clone() {
        if args.seconds.is_some_and(|seconds| began.elapsed() >= Duration::from_secs(seconds)) {
            break;
        }
        match run(seed, args.steps) {
            Ok(outcome) => {
                counts.add(&outcome.counts);
                hash = hash.rotate_left(1) ^ outcome.hash;
                done += 1;
            }
            Err(failure) => {
                eprintln!("{failure}");
                return ExitCode::FAILURE;
            }
        }
    }
    print!("{counts}");
    let (commands, took) = (counts.commands_total(), began.elapsed());
    let pace = u128::from(commands) * 60_000 / took.as_millis().max(1);
    println!("seeds {done} from {}, steps {} each: no fault; hash {hash:016x}", seeds.start, args.steps);
    println!("commands {commands} in {:.1} s, {pace} a minute", took.as_secs_f64());
    ExitCode::SUCCESS
}

//! Soak (F4): a steady load at seven tenths of capacity for as long as asked, with what the process uses and how long calls take, interval
//! by interval. Nothing may grow that is not stock, and the end must be as quick as the beginning.
mod chart;

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use quartermaster_loadtest::client::RetryPolicy;
use quartermaster_loadtest::pace::Rate;

use self::chart::Curve;
use crate::process::{Server, ServerArgs};
use crate::stream::{Caller, Plan};
use crate::usage::{Usage, disk_bytes};
use crate::verdict::Verdict;
use crate::{Error, shop};

/// Connections of the load.
const CONNECTIONS: usize = 4;
/// Calls at once when capacity is measured.
const CAPACITY_IN_FLIGHT: u64 = 64;
/// Calls on their way at once.
const IN_FLIGHT: u64 = 512;
/// Intervals of a soak that is long enough.
const INTERVALS: u64 = 60;
/// What the server remembers is bounded, so that its memory has an end: it is full after some seconds and must stay so.
const BOUNDS: [&str; 14] = [
    "--dedup-retention",
    "1m",
    "--dedup-entries-max",
    "20000",
    "--ended-retention",
    "1m",
    "--ended-entries-max",
    "20000",
    "--return-window",
    "1m",
    "--journal-keep",
    "0s",
    "--snapshot-after-bytes",
    "64MiB",
];

/// Arguments of `proof soak`.
#[derive(Clone, Debug, Args)]
pub struct SoakArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Seconds of load.
    #[arg(long, env = "SOAK_SECONDS", default_value_t = 8, value_parser = clap::value_parser!(u64).range(4..=604_800))]
    seconds: u64,
    /// Orders a second; without it, seven tenths of what the server can do.
    #[arg(long)]
    rate: Option<u64>,
    /// Directory for soak.csv and soak.svg.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Holds memory and latency to their bounds; needs a soak of minutes and a quiet machine.
    #[arg(long)]
    strict: bool,
}

/// One interval.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    second: u64,
    usage: Usage,
    disk: u64,
    orders: u64,
    failed: u64,
    p50: u64,
    p99: u64,
    p999: u64,
}

/// Runs it.
///
/// # Errors
/// When the server cannot be started or loaded, or the curves cannot be written.
pub async fn run(args: &SoakArgs) -> Result<Verdict, Error> {
    let mut verdict = Verdict::new("soak");
    let dir = tempfile::tempdir()?;
    let server = Server::start(&args.server.program()?, dir.path(), &BOUNDS)?;
    shop::open(&server.client(1, RetryPolicy::default()).await?).await?;
    let caller = Caller::connect(&server.url(), IpAddr::V4(Ipv4Addr::LOCALHOST), CONNECTIONS).await?;
    let interval = (args.seconds / INTERVALS).max(1);
    let plan = |run: String, rate, seconds, in_flight| Plan {
        run,
        rate,
        time: Duration::from_secs(seconds),
        lines: 2,
        in_flight,
    };

    let rate = match args.rate {
        Some(rate) => rate,
        None => caller.send(plan("peak".to_owned(), Rate::Max, 2, CAPACITY_IN_FLIGHT)).await.goodput() * 7 / 10,
    };
    let mut samples = Vec::new();
    for number in 0..args.seconds / interval {
        let load = plan(format!("soak-{number}"), Rate::PerSecond(rate.max(1)), interval, IN_FLIGHT);
        let outcome = caller.send(load).await;
        let times = outcome.taken_time.summary();
        samples.push(Sample {
            second: (number + 1) * interval,
            usage: Usage::of(server.pid()),
            disk: disk_bytes(dir.path()),
            orders: outcome.taken,
            failed: outcome.refused + outcome.failed.values().sum::<u64>(),
            p50: times.p50_micros,
            p99: times.p99_micros,
            p999: times.p999_micros,
        });
    }
    judge(args, &mut verdict, &samples, rate);
    if let Some(out) = &args.out {
        fs::create_dir_all(out)?;
        fs::write(out.join("soak.csv"), csv(&samples))?;
        fs::write(out.join("soak.svg"), chart::page(&curves(&samples)))?;
    }
    server.terminate(Duration::from_secs(30))?;
    Ok(verdict)
}

fn judge(args: &SoakArgs, verdict: &mut Verdict, samples: &[Sample], rate: u64) {
    let tenth = samples.len().div_ceil(10);
    let of = |part: &[Sample], figure: fn(&Sample) -> u64| {
        part.iter().map(figure).sum::<u64>() / u64::try_from(part.len()).unwrap_or(1).max(1)
    };
    let last = &samples[samples.len() - tenth..];
    let first = &samples[..tenth];
    // From the middle on: by then what is bounded is full.
    let middle = &samples[samples.len() / 2..(samples.len() / 2 + tenth).min(samples.len())];
    let (resident_middle, resident_last) = (of(middle, |s| s.usage.resident), of(last, |s| s.usage.resident));
    let drift = resident_last.saturating_sub(resident_middle) * 10_000 / resident_middle.max(1);
    let (p99_first, p99_last) = (of(first, |s| s.p99), of(last, |s| s.p99));
    let (files_first, files_last) = (of(first, |s| s.usage.files), of(last, |s| s.usage.files));
    let (threads_first, threads_last) = (of(first, |s| s.usage.threads), of(last, |s| s.usage.threads));
    let failed: u64 = samples.iter().map(|s| s.failed).sum();
    verdict.figure("rate_a_second", rate);
    verdict.figure("orders", samples.iter().map(|s| s.orders).sum::<u64>());
    verdict.figure("not_taken", failed);
    verdict.figure("resident_mib_from_the_middle", resident_middle >> 20);
    verdict.figure("resident_mib_at_the_end", resident_last >> 20);
    verdict.figure("resident_drift_hundredths_of_a_percent", drift);
    verdict.figure("files_first_tenth", files_first);
    verdict.figure("files_last_tenth", files_last);
    verdict.figure("threads_last_tenth", threads_last);
    verdict.figure("p99_us_first_tenth", p99_first);
    verdict.figure("p99_us_last_tenth", p99_last);
    verdict.figure("disk_mib_at_the_end", of(last, |s| s.disk) >> 20);
    // Segments and snapshots come and go: a handful of files.
    verdict.must(files_last <= files_first + 8, || format!("open files grew from {files_first} to {files_last}"));
    // The pool for blocking work has threads that end when idle.
    verdict.must(threads_last <= threads_first + 4, || format!("threads grew from {threads_first} to {threads_last}"));
    verdict.must(samples.iter().all(|s| s.orders > 0), || "an interval without a single order".to_owned());
    if args.strict {
        verdict.must(drift < 100, || format!("memory grew by {drift} hundredths of a per cent after the middle"));
        verdict.must(p99_last * 10 <= p99_first * 11, || format!("p99 went from {p99_first} to {p99_last} us"));
        verdict.must(failed == 0, || format!("{failed} orders were not taken"));
    }
}

fn csv(samples: &[Sample]) -> String {
    let mut text = "second,resident_bytes,files,threads,disk_bytes,orders,not_taken,p50_us,p99_us,p999_us\n".to_owned();
    for s in samples {
        let Usage { resident, files, threads, .. } = s.usage;
        text += &format!(
            "{},{resident},{files},{threads},{},{},{},{},{},{}\n",
            s.second, s.disk, s.orders, s.failed, s.p50, s.p99, s.p999
        );
    }
    text
}

fn curves(samples: &[Sample]) -> Vec<Curve> {
    let curve = |name, unit, figure: fn(&Sample) -> u64| Curve {
        name,
        unit,
        points: samples.iter().map(|sample| (sample.second, figure(sample))).collect(),
    };
    vec![
        curve("resident memory", "KiB", |s| s.usage.resident >> 10),
        curve("disk", "KiB", |s| s.disk >> 10),
        curve("open files", "", |s| s.usage.files),
        curve("threads", "", |s| s.usage.threads),
        curve("orders an interval", "", |s| s.orders),
        curve("p50", "µs", |s| s.p50),
        curve("p99", "µs", |s| s.p99),
        curve("p99.9", "µs", |s| s.p999),
    ]
}

//! Overload: five times as much as the server can do (F1), who is refused first and whose share is whose (F2).
//!
//! The rates are derived from the server's own capacity, measured first in a closed loop. The load is made of orders with many lines, so
//! that a call costs its sender much less than the server: what cannot be sent would be no overload. Best run with the server on a core of
//! its own (`--server-core`) and this program on the others.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::time::Duration;

use clap::Args;
use quartermaster_loadtest::client::RetryPolicy;
use quartermaster_loadtest::pace::Rate;

use crate::process::{Server, ServerArgs};
use crate::stream::{Caller, Outcome, Plan};
use crate::usage::Usage;
use crate::verdict::Verdict;
use crate::{Error, shop};

/// Connections of a caller.
const CONNECTIONS: usize = 8;
/// Calls at once when capacity is measured.
const CAPACITY_IN_FLIGHT: u64 = 64;
/// Calls at once that an overload may have on their way.
const OVERLOAD_IN_FLIGHT: u64 = 4_096;
/// Two callers of one machine.
const NOISY: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1));
const QUIET: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// Confirmations that must succeed at the first attempt, in millionths.
const CONFIRMED_PPM_MIN: u64 = 999_000;
/// Memory may grow so much beside what the orders themselves take.
const GROWTH_BYTES_MAX: u64 = 512 << 20;

/// Arguments of `proof overload`.
#[derive(Clone, Debug, Args)]
pub struct OverloadArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Seconds of each of the six parts.
    #[arg(long, env = "OVERLOAD_SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Load, in hundredths of the server's capacity.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(100..=2_000))]
    percent: u64,
    /// Lines of an order.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    lines: u64,
    /// Core for the server alone; without it, all.
    #[arg(long)]
    server_core: Option<u16>,
    /// Checks the figures that depend on the machine too: goodput, latency, fairness. Without it only what holds on any machine.
    #[arg(long)]
    strict: bool,
    /// A flag for the server, as `--server-flag=--queue-wait-target=0s`; may be given several times.
    #[arg(long)]
    server_flag: Vec<String>,
}

/// Runs it.
///
/// # Errors
/// When the server cannot be started or loaded.
pub async fn run(args: &OverloadArgs) -> Result<Verdict, Error> {
    let mut verdict = Verdict::new("overload");
    let dir = tempfile::tempdir()?;
    let server = start(args, dir.path())?;
    shop::open(&server.client(1, RetryPolicy::default()).await?).await?;
    let noisy = Caller::connect(&server.url(), NOISY, CONNECTIONS).await?;
    let quiet = Caller::connect(&server.url(), QUIET, CONNECTIONS).await?;
    let plan = |run: &str, rate, in_flight| Plan {
        run: run.to_owned(),
        rate,
        time: Duration::from_secs(args.seconds),
        lines: args.lines,
        in_flight,
    };

    let peak = noisy.send(plan("peak", Rate::Max, CAPACITY_IN_FLIGHT)).await;
    let capacity = peak.goodput().max(1);
    verdict.figure("capacity_orders_a_second", capacity);
    let at = |percent: u64| Rate::PerSecond((capacity * percent / 100).max(1));

    let calm = noisy.send(plan("calm", at(80), OVERLOAD_IN_FLIGHT)).await;
    tell(&mut verdict, &calm, ["calm_p50_us", "calm_p99_us"]);
    let before = Usage::of(server.pid());
    let (over, peak_resident) = tokio::join!(
        noisy.send(plan("over", at(args.percent), OVERLOAD_IN_FLIGHT)),
        most_resident(&server, args.seconds)
    );
    let after = noisy.send(plan("after", at(60), OVERLOAD_IN_FLIGHT)).await;
    judge_overload(args, &mut verdict, &over, &calm, capacity);
    let grown = peak_resident.saturating_sub(before.resident);
    verdict.figure("memory_growth_mib", grown >> 20);
    verdict.must(grown <= GROWTH_BYTES_MAX, || format!("memory grew by {} MiB", grown >> 20));
    verdict.figure("normal_after_ms", u64::try_from(after.last_refusal.as_millis())?);
    verdict.must(!args.strict || after.last_refusal <= Duration::from_secs(2), || {
        format!("calls were still refused {:?} after the overload", after.last_refusal)
    });

    let alone = quiet.send(plan("alone", at(20), OVERLOAD_IN_FLIGHT)).await;
    let (beside, _noise) = tokio::join!(
        quiet.send(plan("beside", at(20), OVERLOAD_IN_FLIGHT)),
        noisy.send(plan("noise", at(args.percent), OVERLOAD_IN_FLIGHT))
    );
    verdict.figure("quiet_caller_alone", alone.goodput());
    verdict.figure("quiet_caller_beside_a_noisy_one", beside.goodput());
    if args.strict {
        verdict.must(beside.goodput() * 10 >= alone.goodput() * 9, || {
            "a noisy caller took more than a tenth from a quiet one".to_owned()
        });
    }
    server.terminate(Duration::from_secs(30))?;
    Ok(verdict)
}

fn start(args: &OverloadArgs, dir: &std::path::Path) -> Result<Server, Error> {
    let program = args.server.program()?;
    let mut command = match args.server_core {
        Some(core) => {
            let mut command = Command::new("taskset");
            command.args(["-c", &core.to_string()]).arg(program);
            command
        }
        None => Command::new(program),
    };
    let small = ["--journal-keep", "0s", "--dedup-retention", "1m", "--ended-retention", "1m"];
    Ok(Server::start_with(command.args(Server::arguments(dir)).args(small).args(&args.server_flag))?)
}

fn tell(verdict: &mut Verdict, outcome: &Outcome, [p50, p99]: [&'static str; 2]) {
    let summary = outcome.taken_time.summary();
    verdict.figure(p50, summary.p50_micros);
    verdict.figure(p99, summary.p99_micros);
}

fn judge_overload(args: &OverloadArgs, verdict: &mut Verdict, over: &Outcome, calm: &Outcome, capacity: u64) {
    let answered = over.answered_time.summary();
    let refused = over.refused_time.summary();
    verdict.figure("overload_offered_a_second", capacity * args.percent / 100);
    verdict.figure("overload_sent", over.taken + over.refused + over.failed.values().sum::<u64>());
    verdict.figure("overload_unsent", over.unsent);
    verdict.figure("overload_goodput_a_second", over.goodput());
    verdict.figure("overload_goodput_percent_of_capacity", over.goodput() * 100 / capacity);
    verdict.figure("overload_taken_p50_us", answered.p50_micros);
    verdict.figure("overload_taken_p99_us", answered.p99_micros);
    verdict.figure("overload_refused", over.refused);
    verdict.figure("overload_refused_p50_us", refused.p50_micros);
    verdict.figure("overload_refused_p99_us", refused.p99_micros);
    verdict.figure("overload_confirms", over.confirms.0);
    verdict.figure("overload_confirmed_ppm", over.confirmed_ppm());
    verdict.figure("overload_confirm_p99_us", over.confirm_time.summary().p99_micros);
    for (failure, count) in &over.failed {
        verdict.violation(format!("{count} orders ended with {failure}"));
    }
    verdict.must(over.confirmed_ppm() >= CONFIRMED_PPM_MIN, || {
        format!("only {} of {} confirmations were done", over.confirms.1, over.confirms.0)
    });
    verdict.must(over.taken > 0, || "nothing was taken in overload".to_owned());
    if args.strict {
        verdict.must(over.refused > 0, || "nothing was refused: this was no overload".to_owned());
        verdict.must(over.goodput() * 10 >= capacity * 9, || {
            format!("goodput fell to {} of {capacity} orders a second", over.goodput())
        });
        let calm = calm.answered_time.summary().p99_micros;
        verdict.must(answered.p99_micros <= calm * 2, || {
            format!("p99 of what was taken is {} us, against {calm} us when calm", answered.p99_micros)
        });
        verdict.must(refused.p50_micros <= 5_000, || format!("a refusal takes {} us", refused.p50_micros));
    }
}

/// The most memory the server had in so many seconds.
async fn most_resident(server: &Server, seconds: u64) -> u64 {
    let mut most = 0;
    for _ in 0..seconds * 10 {
        most = most.max(Usage::of(server.pid()).resident);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    most
}

//! Hostile clients (H1 to H7): raw sockets that hold places, flood, lie and babble, each while a well-behaved caller goes on.
//!
//! Every attack is judged by three figures: what the well-behaved caller sees meanwhile, what the server's process spends, and when the
//! connections are gone. `--hasty` gives the server short time limits, so that all of it runs in seconds; without it the defaults hold.
mod attacks;
mod babble;
mod probe;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use clap::Args;
use quartermaster_loadtest::client::RetryPolicy;

use self::attacks::Attack;
use self::probe::Probe;
use crate::process::{Server, ServerArgs};
use crate::usage::Usage;
use crate::verdict::Verdict;
use crate::{Error, shop};

/// Processor time that a flood may cost.
const PROCESSOR_MAX: Duration = Duration::from_secs(1);
/// Memory that connections which do nothing useful may cost.
const GROWTH_BYTES_MAX: u64 = 64 << 20;
/// Memory of a connection that is idle.
const IDLE_BYTES_MAX: u64 = 25 << 10;
/// What the well-behaved caller's health check may take while a bound is met.
const HEALTH_MAX: Duration = Duration::from_millis(50);

/// Arguments of `proof hostile`.
#[derive(Clone, Debug, Args)]
pub struct HostileArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Connections that hold places, and those that are idle.
    #[arg(long, env = "HOSTILE_CONNECTIONS", default_value_t = 200, value_parser = clap::value_parser!(u16).range(10..=18_000))]
    connections: u16,
    /// Frames of a flood.
    #[arg(long, env = "HOSTILE_FRAMES", default_value_t = 20_000)]
    frames: u32,
    /// Malformed inputs.
    #[arg(long, env = "HOSTILE_MALFORMED", default_value_t = 5_000)]
    malformed: u64,
    /// Seed of the malformed inputs.
    #[arg(long, env = "HOSTILE_SEED", default_value_t = 1)]
    seed: u64,
    /// Short time limits for the server: all of it in seconds.
    #[arg(long)]
    hasty: bool,
    /// Checks latencies and processor time too, which on a busy machine say little.
    #[arg(long)]
    strict: bool,
}

/// Times a server is given, and when a peer that uses none of them well must be gone.
#[derive(Clone, Copy, Debug)]
struct Limits {
    flags: [&'static str; 8],
    handshake: Duration,
    stalled: Duration,
    /// Between two bytes of somebody slow.
    drip: Duration,
}

const HASTY: Limits = Limits {
    flags: [
        "--handshake-timeout",
        "1s",
        "--keepalive-interval",
        "1s",
        "--keepalive-timeout",
        "500ms",
        "--unread-timeout",
        "1s",
    ],
    handshake: Duration::from_millis(1_800),
    stalled: Duration::from_millis(5_000),
    drip: Duration::from_millis(200),
};

const USUAL: Limits = Limits {
    flags: [
        "--handshake-timeout",
        "4s",
        "--keepalive-interval",
        "15s",
        "--keepalive-timeout",
        "10s",
        "--unread-timeout",
        "18s",
    ],
    handshake: Duration::from_secs(5),
    stalled: Duration::from_secs(30),
    drip: Duration::from_secs(1),
};

/// Connections of one address without a bound of their own.
const WIDE: [&str; 4] = ["--connections-max", "19000", "--connections-per-address-max", "19000"];

/// Runs it.
///
/// # Errors
/// When a server cannot be started, or the machine refuses what an attack needs.
pub async fn run(args: &HostileArgs) -> Result<Verdict, Error> {
    let mut verdict = Verdict::new("hostile");
    let limits = if args.hasty { HASTY } else { USUAL };
    crate::usage::raise_files();
    let dir = tempfile::tempdir()?;
    let flags: Vec<&str> = limits.flags.into_iter().chain(WIDE).collect();
    let server = Server::start(&args.server.program()?, dir.path(), &flags)?;
    shop::open(&server.client(1, RetryPolicy::default()).await?).await?;

    let quiet = Probe::watch(&server, Duration::from_secs(1)).await?;
    verdict.figure("probe_quiet_p99_us", quiet.p99_micros);
    for attack in Attack::ALL {
        one(args, &mut verdict, &server, limits, attack, quiet.p99_micros).await?;
    }
    let said = babble::run(&server, args.seed, args.malformed).await?;
    verdict.figure("malformed_inputs", said.inputs);
    verdict.figure("malformed_calls_answered", said.answered);
    verdict.must(!server.said().contains("panicked"), || format!("a panic: {}", server.said()));
    let alive = Probe::watch(&server, Duration::from_millis(300)).await?;
    verdict.must(alive.count > 0 && alive.failed == 0, || "the well-behaved caller is not served any more".to_owned());
    server.terminate(Duration::from_secs(30))?;

    idle(args, &mut verdict).await?;
    full(args, &mut verdict).await?;
    few_files(args, &mut verdict).await?;
    Ok(verdict)
}

/// One attack, with the probe beside it.
async fn one(
    args: &HostileArgs,
    verdict: &mut Verdict,
    server: &Server,
    limits: Limits,
    attack: Attack,
    quiet_p99: u64,
) -> Result<(), Error> {
    let before = Usage::of(server.pid());
    let probe = Probe::start(server).await?;
    let began = Instant::now();
    let end = attack.run(server.grpc, args.connections, args.frames, limits.drip, limits.stalled * 2).await?;
    let took = began.elapsed();
    let seen = probe.stop().await?;
    let after = Usage::of(server.pid());
    let spent = after.processor.saturating_sub(before.processor);
    let grown = after.resident.saturating_sub(before.resident);
    let [ended, cost, p99] = attack.figures();
    verdict.figure(ended, u64::try_from(took.as_millis())?);
    verdict.figure(cost, u64::try_from(spent.as_millis())?);
    verdict.figure(p99, seen.p99_micros);
    let name = format!("{attack:?}");
    verdict
        .must(end.left_open == 0 || !attack.must_be_cut(), || format!("{name}: {} connections live on", end.left_open));
    let allowed = if attack.is_silent() { limits.handshake } else { limits.stalled };
    verdict.must(took <= allowed + Duration::from_secs(1) || attack.is_flood(), || {
        format!("{name}: gone after {took:?} only")
    });
    verdict.must(seen.failed == 0, || format!("{name}: {} calls of a well-behaved caller failed", seen.failed));
    verdict.must(grown <= GROWTH_BYTES_MAX, || format!("{name}: memory grew by {} MiB", grown >> 20));
    if args.strict {
        verdict
            .must(!attack.is_flood() || spent <= PROCESSOR_MAX, || format!("{name}: cost {spent:?} of processor time"));
        verdict.must(seen.p99_micros <= (quiet_p99 * 2).max(20_000), || {
            format!("{name}: a well-behaved caller's p99 is {} us, {quiet_p99} us without", seen.p99_micros)
        });
    }
    Ok(())
}

/// H3: connections that said hello and ask nothing are kept, and are cheap. They answer no pings, so the server is to be slow to ask.
async fn idle(args: &HostileArgs, verdict: &mut Verdict) -> Result<(), Error> {
    let dir = tempfile::tempdir()?;
    let flags = [WIDE.as_slice(), &["--keepalive-interval", "10m"]].concat();
    let server = Server::start(&args.server.program()?, dir.path(), &flags)?;
    shop::open(&server.client(1, RetryPolicy::default()).await?).await?;
    // Once round, so that what is allocated at the first call is.
    Probe::watch(&server, Duration::from_millis(300)).await?;
    let before = Usage::of(server.pid()).resident;
    let held = attacks::introduced(server.grpc, args.connections).await?;
    let seen = Probe::watch(&server, Duration::from_secs(1)).await?;
    let each = Usage::of(server.pid()).resident.saturating_sub(before) / u64::from(args.connections);
    let open = attacks::still_open(held).await;
    verdict.figure("idle_connections", args.connections);
    verdict.figure("idle_bytes_each", each);
    verdict.figure("idle_probe_p99_us", seen.p99_micros);
    verdict.must(open == usize::from(args.connections), || format!("only {open} idle connections were kept"));
    // A few connections say nothing of the cost of each: memory comes in larger pieces.
    verdict.must(args.connections < 2_000 || each <= IDLE_BYTES_MAX, || format!("{each} bytes an idle connection"));
    server.terminate(Duration::from_secs(30))?;
    Ok(())
}

/// H1: at the bounds on connections, new ones are refused and old ones do not notice.
async fn full(args: &HostileArgs, verdict: &mut Verdict) -> Result<(), Error> {
    let dir = tempfile::tempdir()?;
    let flags = ["--connections-max", "60", "--connections-per-address-max", "50"];
    let server = Server::start(&args.server.program()?, dir.path(), &flags)?;
    shop::open(&server.client(1, RetryPolicy::default()).await?).await?;
    let probe = Probe::start(&server).await?;
    let held = attacks::introduced(server.grpc, 200).await?;
    let open = attacks::still_open(held).await;
    let seen = probe.stop().await?;
    verdict.figure("full_kept_of_200", u64::try_from(open)?);
    verdict.figure("full_health_p99_us", seen.p99_micros);
    verdict.must((40..=50).contains(&open), || format!("{open} connections of one address, 50 are allowed"));
    verdict.must(seen.failed == 0, || format!("{} calls on an old connection failed", seen.failed));
    verdict.must(!args.strict || Duration::from_micros(seen.p99_micros) <= HEALTH_MAX, || "health was slow".to_owned());
    server.terminate(Duration::from_secs(30))?;
    Ok(())
}

/// H5: with fewer files than peers want, the journal has those it needs.
async fn few_files(args: &HostileArgs, verdict: &mut Verdict) -> Result<(), Error> {
    let dir = tempfile::tempdir()?;
    let program = args.server.program()?;
    let small = ["--segment-bytes", "64KiB", "--batch-bytes-max", "4KiB", "--backlog-bytes-max", "64KiB"];
    let server = Server::start_with(
        Command::new("sh")
            .args(["-c", "ulimit -n 96; exec \"$0\" \"$@\""])
            .arg(program)
            .args(Server::arguments(Path::new(dir.path())))
            .args(small),
    )?;
    shop::open(&server.client(1, RetryPolicy::default()).await?).await?;
    let probe = Probe::start(&server).await?;
    let before = Usage::of(server.pid());
    let mut held = Vec::new();
    let began = Instant::now();
    let mut refused = 0_u64;
    while began.elapsed() < Duration::from_secs(3) {
        match attacks::introduced(server.grpc, 200).await {
            Ok(more) => held.extend(more),
            Err(_full) => refused += 1,
        }
        held.truncate(400);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let seen = probe.stop().await?;
    let spent = Usage::of(server.pid()).processor.saturating_sub(before.processor);
    let files = Usage::of(server.pid()).files;
    verdict.figure("few_files_limit", 96);
    verdict.figure("few_files_open", files);
    verdict.figure("few_files_refused_rounds", refused);
    verdict.figure("few_files_calls", seen.count);
    verdict.figure("few_files_cpu_ms", u64::try_from(spent.as_millis())?);
    verdict.must(seen.failed == 0 && seen.count > 0, || {
        format!("with few files {} of {} calls failed; the server said: {}", seen.failed, seen.count, server.said())
    });
    drop(held);
    let ended = server.terminate(Duration::from_secs(30))?;
    verdict.must(ended.0.success(), || format!("with few files the server ended with {}", ended.0));
    Ok(())
}

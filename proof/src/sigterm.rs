//! `proof sigterm`: SIGTERM at full load: told at once, nothing new begun, what is under way finished, everything kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use quartermaster_loadtest::random::SplitMix64;
use rustix::process::Signal;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::Error;
use crate::judged::buyer::{Crowd, Habits};
use crate::judged::judge::{Depth, Judge};
use crate::judged::shop;
use crate::process::{Server, ServerArgs};
use crate::site::{BUSY, PATIENT, Site};
use crate::verdict::Verdict;

/// NOT_SERVING must be told within this.
const TOLD_WITHIN: Duration = Duration::from_millis(100);
/// The end must come within this.
const ENDED_WITHIN: Duration = Duration::from_secs(10);
/// A call that was sent so long before the signal has reached the server.
const ON_THE_WAY: Duration = Duration::from_millis(20);

/// Sends SIGTERM under load and looks at how the server ends, and what the next one remembers.
#[derive(Clone, Debug, clap::Args)]
pub struct SigtermArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Orderly ends.
    #[arg(long, default_value_t = 5)]
    cycles: u64,
    /// Buyers, each with up to 8 calls under way.
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// Decides the traffic and the moments.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Holds the server to 100 ms, as only a machine with time for it can; else to ten times that.
    #[arg(long)]
    strict: bool,
}

/// Runs the campaign.
///
/// # Errors
/// When it cannot be carried out.
pub async fn run(args: &SigtermArgs) -> Result<Verdict, Error> {
    let mut verdict = Verdict::new("sigterm");
    let site = Site::new(&args.server)?;
    let mut random = SplitMix64::new(args.seed);
    let mut judge = Judge::new(&site.ledgers(), args.clients, args.seed, &[]);
    let habits = Habits { buyers: args.clients, seed: args.seed, deadline: Duration::from_secs(5) };
    let (mut told_max, mut ended_max) = (Duration::ZERO, Duration::ZERO);
    let (mut clean, mut after) = (0_u64, 0_u64);
    let mut server = site.open_shop(BUSY).await?;
    for cycle in 1..=args.cycles {
        let crowd = Crowd::start(&server.url(), &judge, cycle, habits)?;
        let told = watch_health(&server).await?;
        tokio::time::sleep(Duration::from_millis(100 + random.below(400))).await;
        let signalled = Instant::now();
        server.signal(Signal::TERM)?;
        let heard = told.await??;
        told_max = told_max.max(heard.saturating_duration_since(signalled));
        after += late_orders(&server).await;
        let status = tokio::task::spawn_blocking(move || server.ended(ENDED_WITHIN)).await?;
        let ended = signalled.elapsed();
        ended_max = ended_max.max(ended);
        match status {
            Ok(status) if status.code() == Some(0) => clean += 1,
            other => verdict.violation(format!("cycle {cycle}: ended with {other:?} after {ended:?}")),
        }
        let watch = crowd.finish()?;
        for (sent, how) in watch.cut.lock().iter() {
            verdict.must(*sent + ON_THE_WAY > signalled, || {
                format!(
                    "cycle {cycle}: a call sent {:?} before the signal was cut: {how}",
                    signalled.duration_since(*sent)
                )
            });
        }
        judge.read(cycle, &mut verdict)?;
        server = site.start(BUSY)?;
        let client = server.client(4, PATIENT).await?;
        let depth = if cycle == args.cycles { Depth::All } else { Depth::Recent };
        judge.check(&client, depth, &mut verdict).await?;
    }
    server.kill();
    site.verify(&mut verdict)?;
    let told_within = if args.strict { TOLD_WITHIN } else { TOLD_WITHIN * 10 };
    verdict.must(told_max <= told_within, || format!("NOT_SERVING was told after {told_max:?}"));
    verdict.must(after == 0, || format!("{after} orders were taken after NOT_SERVING"));
    verdict.figure("seed", args.seed);
    verdict.figure("signals", args.cycles);
    verdict.figure("ended_with_0_within_10_s", clean);
    verdict.figure("not_serving_told_within_max_ms", u64::try_from(told_max.as_millis())?);
    verdict.figure("ended_within_max_ms", u64::try_from(ended_max.as_millis())?);
    verdict.figure("orders_taken_after_not_serving", after);
    judge.tell(&mut verdict);
    site.close(&mut verdict);
    Ok(verdict)
}

/// Watches the health of the whole server; gives the moment at which it no longer serves.
async fn watch_health(server: &Server) -> Result<tokio::task::JoinHandle<Result<Instant, Error>>, Error> {
    let channel = tonic::transport::Endpoint::from_shared(server.url())?.connect().await?;
    let watch = HealthClient::new(channel).watch(HealthCheckRequest::default()).await?;
    let mut states = watch.into_inner();
    let serving = Arc::new(AtomicBool::new(false));
    Ok(tokio::spawn(async move {
        loop {
            // The stream's end tells the same, to whoever missed the message.
            let Ok(Some(state)) = states.message().await else { return Ok(Instant::now()) };
            if state.status() == ServingStatus::Serving {
                serving.store(true, Ordering::SeqCst);
            } else if serving.load(Ordering::SeqCst) {
                return Ok(Instant::now());
            }
        }
    }))
}

/// Tries to order on new connections while the server ends. Gives how many orders it took.
async fn late_orders(server: &Server) -> u64 {
    let mut taken = 0;
    for number in 0..3_u64 {
        let Ok(client) = server.client(1, PATIENT).await else { continue };
        let order = shop::order(&mut SplitMix64::new(number));
        let answer = order.send(&client, &format!("late-{}-{number}", server.pid().as_raw_nonzero())).await;
        taken += u64::from(answer.is_ok_and(|answer| answer.outcome.is_effect()));
    }
    taken
}

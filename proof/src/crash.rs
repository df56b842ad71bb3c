//! `proof crash`: SIGKILL under full load, in snapshots and in recovery, again and again.
//!
//! After each restart the judge compares the server with what the buyers had written down. The seed decides the traffic and the
//! moments; what is under way at a moment is the machine's.

use std::time::{Duration, Instant};

use quartermaster_loadtest::random::SplitMix64;
use quartermaster_proto::v1::TakeSnapshotRequest;

use crate::Error;
use crate::judged::buyer::{Crowd, Habits};
use crate::judged::judge::{Depth, Judge};
use crate::process::{Server, ServerArgs};
use crate::site::{BUSY, PATIENT, Site, timed_start};
use crate::verdict::Verdict;

/// Rounds after which the files are verified, too.
const VERIFY_EVERY: u64 = 10;

/// Kills the server under load and compares what it remembers with what its clients had written down.
#[derive(Clone, Debug, clap::Args)]
pub struct CrashArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Kills under load.
    #[arg(long, default_value_t = 10)]
    cycles: u64,
    /// Buyers, each with up to 8 calls under way.
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// Decides the traffic and the moments of the kills.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, Default)]
struct Kills {
    under_load: u64,
    in_snapshot: u64,
    before_ready: u64,
    just_ready: u64,
}

/// Runs the campaign.
///
/// # Errors
/// When it cannot be carried out.
pub async fn run(args: &CrashArgs) -> Result<Verdict, Error> {
    let began = Instant::now();
    let mut verdict = Verdict::new("crash");
    let site = Site::new(&args.server)?;
    let mut random = SplitMix64::new(args.seed);
    let mut judge = Judge::new(&site.ledgers(), args.clients, args.seed, &[]);
    let habits = Habits { buyers: args.clients, seed: args.seed, deadline: Duration::from_secs(5) };
    let mut kills = Kills::default();
    let mut slowest = Duration::ZERO;
    let mut server = site.open_shop(BUSY).await?;
    for cycle in 1..=args.cycles {
        let crowd = Crowd::start(&server.url(), &judge, cycle, habits)?;
        kill_under_load(server, &mut random, &mut kills).await?;
        crowd.finish()?;
        judge.read(cycle, &mut verdict)?;
        if cycle % VERIFY_EVERY == 0 {
            site.verify(&mut verdict)?;
        }
        let starts = if random.chance(0.5) { 1 + random.below(2) } else { 0 };
        for _ in 0..starts {
            let ready =
                site.kill_in_start(BUSY, Duration::from_micros(random.below(micros(slowest) * 5 / 4 + 20_000)))?;
            *if ready { &mut kills.just_ready } else { &mut kills.before_ready } += 1;
        }
        let (restarted, time) = timed_start(&site, BUSY)?;
        slowest = slowest.max(time);
        server = restarted;
        let client = server.client(4, PATIENT).await?;
        let depth = if cycle == args.cycles { Depth::All } else { Depth::Recent };
        judge.check(&client, depth, &mut verdict).await?;
    }
    let (status, _) = server.terminate(Duration::from_secs(20))?;
    verdict.must(status.code() == Some(0), || format!("SIGTERM ended it with {status}"));
    site.verify(&mut verdict)?;

    let minutes = began.elapsed().as_secs_f64() / 60.0;
    verdict.figure("seed", args.seed);
    verdict.figure("kills_under_load", kills.under_load);
    verdict.figure("kills_in_a_snapshot", kills.in_snapshot);
    verdict.figure("kills_before_ready", kills.before_ready);
    verdict.figure("kills_just_when_ready", kills.just_ready);
    verdict.figure("slowest_start_ms", u64::try_from(slowest.as_millis())?);
    judge.tell(&mut verdict);
    verdict.must(judge.tally().effects > 0, || "nothing was answered".to_owned());
    verdict.figure("seconds", began.elapsed().as_secs());
    verdict.figure("cycles_per_minute", format!("{:.1}", f64::from(u32::try_from(args.cycles)?) / minutes));
    site.close(&mut verdict);
    Ok(verdict)
}

/// Lets the load run for a while, then kills: one time in three while a snapshot is taken.
async fn kill_under_load(server: Server, random: &mut SplitMix64, kills: &mut Kills) -> Result<(), Error> {
    let pause = |millis| tokio::time::sleep(Duration::from_millis(millis));
    pause(50 + random.below(550)).await;
    if random.chance(0.33) {
        let mut admin = server.client(1, PATIENT).await?.admin();
        let snapshot = tokio::spawn(async move { admin.take_snapshot(TakeSnapshotRequest {}).await });
        tokio::time::sleep(Duration::from_micros(random.below(25_000))).await;
        let taken = snapshot.is_finished();
        server.kill();
        *if taken { &mut kills.under_load } else { &mut kills.in_snapshot } += 1;
        // It ends with the connection.
        let _gone = snapshot.await;
    } else {
        server.kill();
        kills.under_load += 1;
    }
    Ok(())
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

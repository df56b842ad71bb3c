//! `proof power`: the server dies and its disk forgets what was not synced, any of it, sector by sector.

use std::time::Duration;

use quartermaster_loadtest::random::SplitMix64;
use rustix::process::Signal;

use super::disk::{Disk, Loss};
use super::mount::Mounted;
use crate::Error;
use crate::judged::buyer::{Crowd, Habits};
use crate::judged::judge::{Depth, Judge};
use crate::judged::shop;
use crate::process::ServerArgs;
use crate::site::{BUSY, PATIENT, Site};
use crate::verdict::Verdict;

/// Cuts the power under load and judges what the next start finds.
#[derive(Clone, Debug, clap::Args)]
pub struct PowerArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Power cuts.
    #[arg(long, default_value_t = 20)]
    cycles: u64,
    /// Buyers, each with up to 8 calls under way.
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// Decides the traffic, the moments and what survives.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Runs the server with `--durability interval`, which answers before the sync: the campaign must find what that loses.
    #[arg(long)]
    answer_too_early: bool,
}

/// Runs the campaign.
///
/// # Errors
/// When it cannot be carried out.
pub async fn run(args: &PowerArgs) -> Result<Verdict, Error> {
    let mut verdict = Verdict::new("power");
    let site = Site::new(&args.server)?;
    let at = site.path("disk");
    let mounted = Mounted::mount(Disk::default(), &at);
    let Ok(mut mounted) = mounted else {
        verdict.figure("skipped", "mounting through FUSE is not allowed here");
        return Ok(verdict);
    };
    let site = site.with_data(at.clone());
    let mut flags = BUSY.to_vec();
    if args.answer_too_early {
        flags.extend(["--durability", "interval", "--sync-interval", "10s"]);
    }
    let mut random = SplitMix64::new(args.seed);
    let mut judge = Judge::new(&site.ledgers(), args.clients, args.seed, &[]);
    let habits = Habits { buyers: args.clients, seed: args.seed, deadline: Duration::from_secs(5) };
    let (mut all, mut cuts) = (Loss::default(), 0_u64);
    let mut server = site.start(&flags)?;
    shop::open(&server.client(1, PATIENT).await?).await?;
    for cycle in 1..=args.cycles {
        let crowd = Crowd::start(&server.url(), &judge, cycle, habits)?;
        tokio::time::sleep(Duration::from_millis(30 + random.below(400))).await;
        // The disk falls behind a little, so that there is something to lose.
        mounted.stall();
        tokio::time::sleep(Duration::from_micros(random.below(20_000))).await;
        server.signal(Signal::KILL)?;
        mounted.power_off();
        server.kill();
        crowd.finish()?;
        judge.read(cycle, &mut verdict)?;
        let (left, loss) = mounted.unmount()?.cut(&mut random);
        cuts += 1;
        all.sectors_at_risk += loss.sectors_at_risk;
        all.sectors_lost += loss.sectors_lost;
        all.changes_at_risk += loss.changes_at_risk;
        all.changes_lost += loss.changes_lost;
        mounted = Mounted::mount(left, &at)?;
        server = match site.start(&flags) {
            Ok(server) => server,
            Err(refused) => {
                verdict.violation(format!("cut {cycle}: {refused}"));
                verdict.figure("seed", args.seed);
                verdict.figure("cuts", cycle);
                return Ok(verdict);
            }
        };
        let client = server.client(4, PATIENT).await?;
        let depth = if cycle == args.cycles { Depth::All } else { Depth::Recent };
        judge.check(&client, depth, &mut verdict).await?;
        if !verdict.holds() {
            break;
        }
    }
    server.kill();
    site.verify(&mut verdict)?;
    drop(mounted);
    verdict.figure("seed", args.seed);
    verdict.figure("cuts", cuts);
    verdict.figure("sectors_at_risk", all.sectors_at_risk);
    verdict.figure("sectors_lost", all.sectors_lost);
    verdict.figure("folder_changes_at_risk", all.changes_at_risk);
    verdict.figure("folder_changes_lost", all.changes_lost);
    judge.tell(&mut verdict);
    site.close(&mut verdict);
    Ok(verdict)
}

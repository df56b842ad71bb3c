//! `proof oom`: the server is killed by the kernel because its memory cgroup is full, and must have kept what it had answered.
//!
//! Needs a writable memory cgroup (version 1 or 2); without one it says so and has nothing to tell.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use quartermaster_loadtest::random::SplitMix64;

use crate::Error;
use crate::judged::buyer::{Crowd, Habits};
use crate::judged::judge::{Depth, Judge};
use crate::process::ServerArgs;
use crate::site::{BUSY, PATIENT, Site};
use crate::verdict::Verdict;

/// Load brings the server to its limit well within this; if it does not, it is killed, and the cycle is not counted.
const PATIENCE: Duration = Duration::from_secs(20);

/// Lets the kernel kill the server for its memory under load, and judges what it remembers.
#[derive(Clone, Debug, clap::Args)]
pub struct OomArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Kills for memory.
    #[arg(long, default_value_t = 3)]
    cycles: u64,
    /// Buyers, each with up to 8 calls under way.
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// Decides the traffic and the limits.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// A memory cgroup of our own; removed when it is dropped.
#[derive(Debug)]
struct Cgroup {
    dir: PathBuf,
    limit: &'static str,
}

impl Cgroup {
    /// Makes one where the machine allows it.
    fn make() -> Option<Cgroup> {
        let name = format!("quartermaster-proof-{}", std::process::id());
        let places = [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
        places.into_iter().find_map(|(root, limit)| {
            let dir = Path::new(root).join(&name);
            fs::create_dir(&dir).ok()?;
            let group = Cgroup { dir, limit };
            group.dir.join(limit).is_file().then_some(group)
        })
    }

    fn write(&self, file: &str, text: &str) -> std::io::Result<()> {
        fs::write(self.dir.join(file), text)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Stays when a process is still in it; the system's next start clears it.
        let _stays = fs::remove_dir(&self.dir);
    }
}

/// Runs the campaign.
///
/// # Errors
/// When it cannot be carried out.
pub async fn run(args: &OomArgs) -> Result<Verdict, Error> {
    let mut verdict = Verdict::new("oom");
    let Some(group) = Cgroup::make() else {
        verdict.figure("skipped", "no memory cgroup can be made here");
        return Ok(verdict);
    };
    let site = Site::new(&args.server)?;
    let mut random = SplitMix64::new(args.seed);
    let mut judge = Judge::new(&site.ledgers(), args.clients, args.seed, &[]);
    let habits = Habits { buyers: args.clients, seed: args.seed, deadline: Duration::from_secs(5) };
    let mut killed = 0_u64;
    let mut server = site.open_shop(BUSY).await?;
    for cycle in 1..=args.cycles {
        group.write("cgroup.procs", &server.pid().as_raw_nonzero().to_string())?;
        // What it holds already was charged elsewhere: the limit is what it may take beyond that.
        let limit = (512 << 10) + random.below(4 << 20);
        group.write(group.limit, &limit.to_string())?;
        let crowd = Crowd::start(&server.url(), &judge, cycle, habits)?;
        let began = Instant::now();
        let (status, gone) = tokio::task::spawn_blocking(move || (server.ended(PATIENCE), server)).await?;
        match status {
            Ok(status) if status.code().is_none() => killed += 1,
            Ok(status) => verdict.violation(format!("cycle {cycle}: ended with {status}: {}", gone.said())),
            Err(_alive) => eprintln!("cycle {cycle}: not killed within {:?}; killed by hand", began.elapsed()),
        }
        gone.kill();
        crowd.finish()?;
        judge.read(cycle, &mut verdict)?;
        server = site.start(BUSY)?;
        let client = server.client(4, PATIENT).await?;
        let depth = if cycle == args.cycles { Depth::All } else { Depth::Recent };
        judge.check(&client, depth, &mut verdict).await?;
    }
    server.kill();
    site.verify(&mut verdict)?;
    verdict.must(killed > 0, || "the kernel killed nothing".to_owned());
    verdict.figure("seed", args.seed);
    verdict.figure("cycles", args.cycles);
    verdict.figure("killed_by_the_kernel", killed);
    judge.tell(&mut verdict);
    site.close(&mut verdict);
    Ok(verdict)
}

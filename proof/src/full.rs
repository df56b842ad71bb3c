//! `proof full`: a disk that fills up and has room again, round after round, under load.
//!
//! On an ext4 image of 64 MiB, loop-mounted; on a tmpfs where that is not allowed; skipped where no mount is. New promises must be
//! refused by name, what was promised must go on, reads as well, and everything must come back within seconds of room.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use quartermaster_loadtest::client::Client;
use quartermaster_proto::v1::GetAvailabilityRequest;

use crate::Error;
use crate::judged::buyer::{Crowd, Habits};
use crate::judged::judge::{Depth, Judge};
use crate::judged::operation::{Operation, Outcome, Units};
use crate::judged::shop;
use crate::process::ServerArgs;
use crate::site::{PATIENT, Site};
use crate::verdict::Verdict;

/// Room must bring promises back within this.
const BACK_WITHIN: Duration = Duration::from_secs(5);
/// Load fills what the ballast leaves well within this.
const FULL_WITHIN: Duration = Duration::from_secs(60);
/// Small segments: the headroom and the spare are one each.
const FLAGS: &[&str] = &[
    "--segment-bytes",
    "1MiB",
    "--batch-bytes-max",
    "64KiB",
    "--snapshot-interval",
    "0s",
    "--snapshot-after-bytes",
    "2MiB",
    "--journal-keep",
    "0s",
];

/// Fills the disk under a server and frees it again.
#[derive(Clone, Debug, clap::Args)]
pub struct FullArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Times the disk is filled and freed.
    #[arg(long, default_value_t = 3)]
    cycles: u64,
    /// Buyers, each with up to 8 calls under way.
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// Decides the traffic.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// A small file system of its own; unmounted when it is dropped.
#[derive(Debug)]
struct SmallDisk {
    at: PathBuf,
    kind: &'static str,
}

impl SmallDisk {
    fn mount(site: &Site) -> Result<Option<SmallDisk>, Error> {
        let (image, at) = (site.path("image"), site.path("disk"));
        std::fs::create_dir(&at)?;
        File::create(&image)?.set_len(64 << 20)?;
        let made = done(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image));
        if made && done(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&at)) {
            return Ok(Some(SmallDisk { at, kind: "ext4" }));
        }
        if done(Command::new("mount").args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"]).arg(&at)) {
            return Ok(Some(SmallDisk { at, kind: "tmpfs" }));
        }
        Ok(None)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that has just been killed may still be on its way out.
        done(Command::new("umount").arg("-l").arg(&self.at));
    }
}

fn done(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Runs the campaign.
///
/// # Errors
/// When it cannot be carried out.
pub async fn run(args: &FullArgs) -> Result<Verdict, Error> {
    let mut verdict = Verdict::new("full");
    let site = Site::new(&args.server)?;
    let Some(disk) = SmallDisk::mount(&site)? else {
        verdict.figure("skipped", "mounting a file system is not allowed here");
        return Ok(verdict);
    };
    let site = site.with_data(disk.at.join("data"));
    let ballast = disk.at.join("ballast");
    let mut judge = Judge::new(&site.ledgers(), args.clients, args.seed, &["RESOURCE_EXHAUSTED DISK_FULL"]);
    let habits = Habits { buyers: args.clients, seed: args.seed, deadline: Duration::from_secs(5) };
    let mut server = site.open_shop(FLAGS).await?;
    let (mut refused, mut went_on, mut back_max) = (0, 0_u64, Duration::ZERO);
    for cycle in 1..=args.cycles {
        let client = server.client(1, PATIENT).await?;
        let hold = promise(&client, cycle, args.seed).await?;
        let crowd = Crowd::start(&server.url(), &judge, cycle, habits)?;
        fill(&ballast)?;
        let began = Instant::now();
        while crowd.watch().disk_full.load(Ordering::SeqCst) == 0 && began.elapsed() < FULL_WITHIN {
            tokio::time::sleep(Duration::from_millis(5)).await;
            fill(&ballast)?;
        }
        let full = crowd.watch().disk_full.load(Ordering::SeqCst) > 0;
        verdict.must(full, || format!("cycle {cycle}: a full disk took every promise for {FULL_WITHIN:?}"));

        let wrong = goes_on(&client, &hold, cycle).await;
        verdict
            .must(wrong.is_none(), || format!("cycle {cycle}: while the disk is full {}", wrong.unwrap_or_default()));
        went_on += 1;
        let watch = crowd.finish()?;
        refused += watch.disk_full.load(Ordering::SeqCst);

        std::fs::remove_file(&ballast)?;
        let freed = Instant::now();
        let id = format!("back-{cycle}");
        let mut tries = 0;
        while freed.elapsed() < BACK_WITHIN {
            tries += 1;
            if promise_once(&client, &format!("{id}-{tries}")).await?.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        back_max = back_max.max(freed.elapsed());
        verdict.must(freed.elapsed() < BACK_WITHIN, || format!("cycle {cycle}: no promise {BACK_WITHIN:?} after room"));
        judge.read(cycle, &mut verdict)?;
        give_back(&client, &id, tries).await?;
        // Every other round ends with a crash, so that recovery meets what a full disk left.
        if cycle % 2 == 0 {
            server.kill();
            server = site.start(FLAGS)?;
        }
        let client = server.client(4, PATIENT).await?;
        let depth = if cycle == args.cycles { Depth::All } else { Depth::Recent };
        judge.check(&client, depth, &mut verdict).await?;
    }
    let (status, _) = server.terminate(Duration::from_secs(20))?;
    verdict.must(status.code() == Some(0), || format!("SIGTERM ended it with {status}"));
    site.verify(&mut verdict)?;
    verdict.figure("seed", args.seed);
    verdict.figure("file_system", disk.kind);
    verdict.figure("rounds", args.cycles);
    verdict.figure("rounds_in_which_promises_went_on", went_on);
    verdict.figure("refused_with_disk_full", refused);
    verdict.figure("back_after_room_max_ms", u64::try_from(back_max.as_millis())?);
    judge.tell(&mut verdict);
    drop(disk);
    site.close(&mut verdict);
    Ok(verdict)
}

/// Three holds of a single unit that are settled while the disk is full. The judge never hears of them: in the end they are given back.
async fn promise(client: &Client, cycle: u64, seed: u64) -> Result<Vec<String>, Error> {
    let mut holds = Vec::new();
    for number in 0..3 {
        let id = format!("hold-{seed}-{cycle}-{number}");
        holds.push(promise_once(client, &id).await?.ok_or("a promise was refused before the disk was full")?);
    }
    Ok(holds)
}

/// One unit of the tail; nothing when it is refused because the disk is full.
async fn promise_once(client: &Client, id: &str) -> Result<Option<String>, Error> {
    let line = Units { sku: "T0".to_owned(), location: "L0".to_owned(), quantity: 1 };
    let order = Operation::Reserve { lines: vec![line], ttl_s: 3_600 };
    match order.send(client, id).await.map_err(|status| status.to_string())?.outcome {
        Outcome::Held { reservation, .. } => Ok(Some(reservation)),
        Outcome::Refused { error } if error.ends_with("DISK_FULL") => Ok(None),
        other => Err(format!("a promise was answered {other:?}").into()),
    }
}

/// What does not go on while the disk is full, of what must.
async fn goes_on(client: &Client, holds: &[String], cycle: u64) -> Option<String> {
    let hold = |at: usize| holds[at].clone();
    let steps = [
        Operation::Release { reservation: hold(0) },
        Operation::Confirm { reservation: hold(1) },
        Operation::Cancel { reservation: hold(1), lines: Vec::new() },
        Operation::Confirm { reservation: hold(2) },
        Operation::Cancel { reservation: hold(2), lines: Vec::new() },
    ];
    for (number, step) in steps.into_iter().enumerate() {
        match step.send(client, &format!("go-{cycle}-{number}")).await {
            Ok(answer) if answer.outcome.is_effect() => {}
            other => return Some(format!("{step:?} was answered {other:?}")),
        }
    }
    let skus = shop::skus().collect();
    let read = GetAvailabilityRequest { skus, ..GetAvailabilityRequest::default() };
    client.inventory().get_availability(read).await.err().map(|status| format!("a read was answered {status}"))
}

/// Gives back what showed that promises are taken again.
async fn give_back(client: &Client, id: &str, tries: u64) -> Result<(), Error> {
    if let Some(reservation) = promise_once(client, &format!("{id}-{tries}")).await? {
        let release = Operation::Release { reservation };
        release.send(client, &format!("{id}-given")).await.map_err(|status| status.to_string())?;
    }
    Ok(())
}

/// Fills the disk to the last byte.
fn fill(ballast: &Path) -> std::io::Result<()> {
    let mut file = File::options().append(true).create(true).open(ballast)?;
    let mut chunk = vec![1; 256 << 10];
    while !chunk.is_empty() {
        while file.write_all(&chunk).is_ok() {}
        chunk.truncate(chunk.len() / 4);
    }
    Ok(())
}

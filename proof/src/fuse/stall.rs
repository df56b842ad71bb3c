//! `proof stall`: a disk that does not answer for a while: nothing is acknowledged, nothing grows, callers and orchestrators are told.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use quartermaster_proto::v1::GetAvailabilityRequest;
use tonic::Code;

use super::disk::Disk;
use super::mount::Mounted;
use crate::Error;
use crate::judged::buyer::{Crowd, Habits};
use crate::judged::judge::{Depth, Judge};
use crate::judged::shop;
use crate::process::{Server, ServerArgs};
use crate::site::{BUSY, PATIENT, Site};
use crate::verdict::Verdict;

/// The server may take so much more memory while it waits.
const GROWTH_MAX_BYTES: u64 = 64 << 20;
/// A server whose disk has not answered for so long must not be ready; and not much later it is not.
const NOT_READY_AFTER: Duration = Duration::from_secs(2);
/// Slack for the look every so often, here and in the server.
const SLACK: Duration = Duration::from_millis(700);
/// Answers that were on their way when the stall began have arrived after this.
const ON_THE_WAY: Duration = Duration::from_millis(200);
/// A caller that waits for the disk is told that its time is up within this: the server's default deadline is a second.
const TOLD_WITHIN: Duration = Duration::from_secs(3);
/// Answers and readiness come back within this.
const BACK_WITHIN: Duration = Duration::from_secs(10);
/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Stalls the disk under load.
#[derive(Clone, Debug, clap::Args)]
pub struct StallArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// How long each stall lasts, in seconds.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 5])]
    seconds: Vec<u64>,
    /// Buyers, each with up to 8 calls under way.
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// Decides the traffic.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What was seen during a stall.
#[derive(Debug, Default)]
struct Seen {
    growth: u64,
    not_ready: Option<Duration>,
    dead: u64,
    acked: u64,
    /// What a caller without a deadline was told within [`TOLD_WITHIN`].
    told: Option<Code>,
}

/// Runs the campaign.
///
/// # Errors
/// When it cannot be carried out.
pub async fn run(args: &StallArgs) -> Result<Verdict, Error> {
    let mut verdict = Verdict::new("stall");
    let site = Site::new(&args.server)?;
    let at = site.path("disk");
    let Ok(mounted) = Mounted::mount(Disk::default(), &at) else {
        verdict.figure("skipped", "mounting through FUSE is not allowed here");
        return Ok(verdict);
    };
    let site = site.with_data(at);
    let mut judge = Judge::new(&site.ledgers(), args.clients, args.seed, &[]);
    let habits = Habits { buyers: args.clients, seed: args.seed, deadline: Duration::from_secs(1) };
    let server = site.start(BUSY)?;
    shop::open(&server.client(1, PATIENT).await?).await?;
    let (mut growth, mut timed_out, mut slowest_back) = (0, 0, Duration::ZERO);
    for (round, &seconds) in (1..).zip(&args.seconds) {
        let crowd = Crowd::start(&server.url(), &judge, round, habits)?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let time = Duration::from_secs(seconds);
        let seen = look(&server, &mounted, &crowd, time).await?;
        let back = Instant::now();
        let before = crowd.watch().effects.load(Ordering::SeqCst);
        let (mut acks, mut ready) = (false, false);
        while back.elapsed() < BACK_WITHIN && !(acks && ready) {
            tokio::time::sleep(LOOK_EVERY).await;
            acks = acks || crowd.watch().effects.load(Ordering::SeqCst) > before;
            ready = ready || answers(server.metrics, "/readyz");
        }
        slowest_back = slowest_back.max(back.elapsed());
        verdict.must(acks, || format!("{seconds} s: no answer {BACK_WITHIN:?} after the stall"));
        verdict.must(ready, || format!("{seconds} s: not ready {BACK_WITHIN:?} after the stall"));
        verdict.must(seen.acked == 0, || format!("{seconds} s: {} calls acknowledged without a sync", seen.acked));
        verdict.must(seen.dead == 0, || format!("{seconds} s: liveness failed {} times", seen.dead));
        verdict.must(seen.growth < GROWTH_MAX_BYTES, || format!("{seconds} s: grew by {} bytes", seen.growth));
        let late = NOT_READY_AFTER + SLACK;
        match seen.not_ready {
            Some(after) => verdict.must(after + SLACK >= NOT_READY_AFTER && after <= late, || {
                format!("{seconds} s: not ready after {after:?}")
            }),
            None => verdict.must(time < late, || format!("{seconds} s: was ready all the time")),
        }
        let watch = crowd.finish()?;
        let waited = watch.timed_out.load(Ordering::SeqCst);
        verdict.must(waited > 0 || time <= habits.deadline, || format!("{seconds} s: no buyer's deadline passed"));
        verdict.must(time <= TOLD_WITHIN || seen.told == Some(Code::DeadlineExceeded), || {
            format!("{seconds} s: a caller without a deadline of its own was told {:?}", seen.told)
        });
        growth = growth.max(seen.growth);
        timed_out += waited;
        judge.read(round, &mut verdict)?;
        judge.check(&server.client(4, PATIENT).await?, Depth::All, &mut verdict).await?;
    }
    let (status, _) = server.terminate(Duration::from_secs(20))?;
    verdict.must(status.code() == Some(0), || format!("SIGTERM ended it with {status}"));
    site.verify(&mut verdict)?;
    drop(mounted);
    verdict.figure("seed", args.seed);
    verdict.figure("stalls_seconds", format!("{:?}", args.seconds));
    verdict.figure("growth_max_kib", growth >> 10);
    verdict.figure("calls_whose_deadline_passed", timed_out);
    verdict.figure("back_within_max_ms", u64::try_from(slowest_back.as_millis())?);
    judge.tell(&mut verdict);
    site.close(&mut verdict);
    Ok(verdict)
}

/// Stalls the disk for `time` and looks at the server meanwhile.
async fn look(server: &Server, mounted: &Mounted, crowd: &Crowd, time: Duration) -> Result<Seen, Error> {
    let mut seen = Seen::default();
    let before = resident(server)?;
    mounted.stall();
    let began = Instant::now();
    let effects = || crowd.watch().effects.load(Ordering::SeqCst);
    let mut acked = None;
    let read = GetAvailabilityRequest { skus: shop::skus().collect(), ..GetAvailabilityRequest::default() };
    let mut inventory = server.client(1, PATIENT).await?.inventory();
    let waiting = tokio::spawn(async move {
        // So that there is something that is not durable.
        tokio::time::sleep(ON_THE_WAY).await;
        tokio::time::timeout(TOLD_WITHIN, inventory.get_availability(read)).await
    });
    while began.elapsed() < time {
        tokio::time::sleep(LOOK_EVERY).await;
        if began.elapsed() > ON_THE_WAY {
            acked.get_or_insert_with(effects);
        }
        seen.growth = seen.growth.max(resident(server)?.saturating_sub(before));
        if seen.not_ready.is_none() && !answers(server.metrics, "/readyz") {
            seen.not_ready = Some(began.elapsed());
        }
        seen.dead += u64::from(!answers(server.metrics, "/healthz"));
    }
    seen.acked = effects() - acked.unwrap_or_else(effects);
    mounted.go_on();
    let told = waiting.await?;
    seen.told = told.ok().and_then(|told| told.err().map(|status| status.code()));
    Ok(seen)
}

/// Memory of the server in bytes.
fn resident(server: &Server) -> Result<u64, Error> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid().as_raw_nonzero()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib << 10)
}

/// Whether the page answers 200 within a second.
fn answers(address: SocketAddr, page: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let patience = Duration::from_secs(1);
        let mut stream = TcpStream::connect_timeout(&address, patience)?;
        stream.set_read_timeout(Some(patience))?;
        write!(stream, "GET {page} HTTP/1.1\r\nHost: proof\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200"))
    };
    ask().unwrap_or(false)
}

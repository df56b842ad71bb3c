//! `proof inject`: one system call of a real server fails, the n-th of its kind, for every n of a short standard run.
//!
//! `strace` makes the call fail, counted from the start of the process or from the moment at which it serves. The server may go on where
//! the call did not matter; after a failed write or sync of its journal it ends by itself, soon and with code 1, and acknowledges
//! nothing that the next start does not find. A sync that failed is never tried again.

mod strace;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use quartermaster_loadtest::client::{Client, RetryPolicy};
use quartermaster_loadtest::random::SplitMix64;
use quartermaster_proto::v1::TakeSnapshotRequest;
use rustix::process::{Pid, Signal};

use self::strace::{Fault, Injected, Since};
use crate::Error;
use crate::judged::buyer;
use crate::judged::judge::{Depth, Judge};
use crate::judged::ledger::Ledger;
use crate::judged::operation::{Operation, Outcome};
use crate::judged::shop;
use crate::process::{Server, ServerArgs, StartError};
use crate::site::{PATIENT, Site};
use crate::verdict::Verdict;

/// Orders before the snapshot, and after it.
const ORDERS: u64 = 6;
/// Calls that are tried after the first one without an answer: none may be answered.
const TRIED_AFTER: u64 = 30;
/// A server whose journal has failed ends within this, where the machine has time for it and for strace.
const ENDED_WITHIN: Duration = Duration::from_secs(1);
/// And within this where it has not.
const ENDED_AT_LAST: Duration = Duration::from_secs(5);
/// How long it is waited for before it is killed.
const PATIENCE: Duration = Duration::from_secs(10);
/// From the failed call until the server knows, under strace on a busy machine.
const KNOWN_WITHIN: Duration = Duration::from_millis(20);
/// Small segments: fewer writes fill one with zeros.
const FLAGS: &[&str] = &["--segment-bytes", "1MiB", "--batch-bytes-max", "64KiB", "--snapshot-interval", "0s"];
/// A disk that is said to be full may refuse what is new.
const DISK_FULL: &[&str] = &["RESOURCE_EXHAUSTED DISK_FULL"];

/// Lets system calls of the server fail, one in each run, while it starts and while it serves.
#[derive(Clone, Debug, clap::Args)]
pub struct InjectArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Runs at most, shared evenly by all kinds of faults and spread over their calls; 0 for every call of the standard run.
    #[arg(long, default_value_t = 32)]
    cycles: usize,
    /// Only calls with this in their name, such as `fdatasync`.
    #[arg(long, default_value = "")]
    only: String,
    /// Decides the orders.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Holds a failing server to a second; else to five.
    #[arg(long)]
    strict: bool,
}

/// How a run ended.
#[derive(Debug)]
enum End {
    /// The start failed.
    BeforeReady,
    /// By itself, so long after the fault.
    ByItself(Option<Duration>),
    /// By SIGTERM after all calls were answered; not cleanly when the fault was met by the end itself.
    Stopped,
}

/// What the runs of a kind came to.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    runs: u64,
    injected: u64,
    before_ready: u64,
    by_itself: u64,
    went_on: u64,
}

/// Runs the campaign.
///
/// # Errors
/// When it cannot be carried out.
pub async fn run(args: &InjectArgs) -> Result<Verdict, Error> {
    let mut verdict = Verdict::new("inject");
    if Command::new("strace").arg("-V").output().is_err() {
        verdict.figure("skipped", "no strace");
        return Ok(verdict);
    }
    let began = Instant::now();
    let site = Site::new(&args.server)?;
    let (status, _) = site.open_shop(FLAGS).await?.terminate(PATIENCE)?;
    verdict.must(status.code() == Some(0), || format!("the shop's server ended with {status}"));
    let mut all = Vec::new();
    for since in [Since::Ready, Since::Start] {
        let case = Case::new(&site, "plain", since, None, args.seed)?;
        let (end, _) = case.run(&site, &mut verdict).await?;
        verdict.must(matches!(end, End::Stopped), || format!("without a fault the run ends so: {end:?}"));
        all.extend(strace::faults(&std::fs::read_to_string(&case.log)?, &case.place, since));
        case.remove()?;
    }
    all.retain(|kind| kind.first().is_some_and(|fault| fault.call.contains(&args.only)));
    let possible: usize = all.iter().map(Vec::len).sum();
    let share = if args.cycles == 0 { usize::MAX } else { (args.cycles / all.len().max(1)).max(1) };

    let mut counts: BTreeMap<(Since, String), Count> = BTreeMap::new();
    let within = if args.strict { ENDED_WITHIN } else { ENDED_AT_LAST };
    let (mut slowest, mut segments, mut number) = (Duration::ZERO, 0_u64, 0);
    for fault in all.iter().flat_map(|kind| spread(kind, share)) {
        number += 1;
        let case = Case::new(&site, &format!("case-{number}"), fault.since, Some(fault), args.seed)?;
        let mut part = Verdict::new("inject");
        let (end, injected) = case.run(&site, &mut part).await?;
        judge_end(fault, &end, injected, within, &mut part);
        let count = counts.entry((fault.since, format!("{} {}", fault.call, fault.error))).or_default();
        count.runs += 1;
        count.injected += injected.calls;
        match end {
            End::BeforeReady => count.before_ready += 1,
            End::ByItself(after) => {
                count.by_itself += 1;
                segments += u64::from(injected.of_segments > 0);
                slowest = slowest.max(after.unwrap_or_default());
            }
            End::Stopped => count.went_on += 1,
        }
        if part.holds() {
            case.remove()?;
        }
        verdict.take_over(&part, &fault.to_string());
    }
    verdict.figure("seed", args.seed);
    verdict.figure("calls_that_can_fail", u64::try_from(possible)?);
    verdict.figure("runs", number);
    let told: Vec<String> = counts
        .iter()
        .map(|((since, kind), Count { runs, injected, before_ready, by_itself, went_on })| {
            let since = if *since == Since::Start { "start" } else { "ready" };
            format!(
                "{kind} since {since}: {runs} runs, {injected} calls failed, {before_ready} ended the start, \
                 {by_itself} ended the server, {went_on} went on"
            )
        })
        .collect();
    verdict.figure("by_kind", told);
    verdict.figure("ended_by_a_failure_of_the_journal", segments);
    verdict.figure("ended_after_failure_max_ms", u64::try_from(slowest.as_millis())?);
    verdict.figure("seconds", began.elapsed().as_secs());
    site.close(&mut verdict);
    Ok(verdict)
}

/// Up to `share` of the faults of a kind, the first and others at even distances.
fn spread(kind: &[Fault], share: usize) -> impl Iterator<Item = Fault> {
    kind.iter().copied().step_by(kind.len().div_ceil(share).max(1))
}

/// What must be true of an end, whatever was answered before.
fn judge_end(fault: Fault, end: &End, injected: Injected, within: Duration, verdict: &mut Verdict) {
    verdict.must(injected.retried_syncs == 0, || format!("{} syncs were tried again", injected.retried_syncs));
    if let End::ByItself(after) = end {
        let soon = after.is_some_and(|after| after <= within);
        verdict.must(soon, || format!("ended {after:?} after the fault"));
    }
    let fatal = fault.error == "EIO" && injected.of_segments > 0;
    verdict.must(!fatal || !matches!(end, End::Stopped), || "went on after a failure of its journal".to_owned());
}

/// A run of its own: a data directory, ledgers and a log of strace.
struct Case {
    place: PathBuf,
    ledgers: PathBuf,
    log: PathBuf,
    since: Since,
    fault: Option<Fault>,
    seed: u64,
}

/// What a client saw.
#[derive(Debug, Default)]
struct Heard {
    /// Whether a call was not answered.
    failed: bool,
    /// When the last call was sent that was answered.
    last_answered: Option<Duration>,
}

impl Case {
    /// A copy of the site's data directory, and room for the rest.
    fn new(site: &Site, name: &str, since: Since, fault: Option<Fault>, seed: u64) -> Result<Case, Error> {
        let place = site.path(name);
        std::fs::create_dir(&place)?;
        for entry in std::fs::read_dir(site.data())? {
            let entry = entry?;
            std::fs::copy(entry.path(), place.join(entry.file_name()))?;
        }
        let (ledgers, log) = (place.with_extension("ledgers"), place.with_extension("strace"));
        std::fs::create_dir(&ledgers)?;
        Ok(Case { place, ledgers, log, since, fault, seed })
    }

    fn remove(&self) -> std::io::Result<()> {
        std::fs::remove_dir_all(&self.place)?;
        std::fs::remove_dir_all(&self.ledgers)?;
        std::fs::remove_file(&self.log)
    }

    /// The standard run with the fault, and what a plain server finds afterwards.
    async fn run(&self, site: &Site, verdict: &mut Verdict) -> Result<(End, Injected), Error> {
        let mut ledger = Ledger::create(&buyer::path(&self.ledgers, 1, 0))?;
        let (end, last_answered, ended) = match self.start(site) {
            Ok((mut server, mut strace)) => {
                let heard = orders(&mut server, &mut ledger, self.seed).await?;
                let (status, ended) = end(server, heard.failed).await?;
                if let Some(strace) = &mut strace {
                    strace.wait()?;
                }
                self.judge_status(status, heard.failed, verdict);
                let end = if heard.failed { End::ByItself(None) } else { End::Stopped };
                (end, heard.last_answered, Some(ended))
            }
            Err(error) => match error.downcast::<StartError>() {
                Ok(error) => match *error {
                    StartError::Ended { status, said } => {
                        verdict.must(self.fault.is_some() && status.code().is_some_and(|code| code != 0), || {
                            format!("the start ended with {status}: {said}")
                        });
                        (End::BeforeReady, None, None)
                    }
                    other => return Err(other.into()),
                },
                Err(other) => return Err(other),
            },
        };
        ledger.sync()?;
        let injected = strace::injected(&std::fs::read_to_string(&self.log)?);
        let after = |at: Duration| Some(at.saturating_sub(injected.first?));
        if injected.of_segments > 0 && self.fault.is_some_and(|fault| fault.error == "EIO") {
            let late = last_answered.and_then(after).unwrap_or_default();
            verdict.must(late <= KNOWN_WITHIN, || format!("a call sent {late:?} after the fault was answered"));
        }
        let end = match end {
            End::ByItself(_) => End::ByItself(ended.and_then(after)),
            other => other,
        };
        self.restart(site, verdict).await?;
        Ok((end, injected))
    }

    /// Starts a server that strace watches from the start, or from when it serves.
    fn start(&self, site: &Site) -> Result<(Server, Option<std::process::Child>), Error> {
        let mut arguments = Server::arguments(&self.place);
        arguments.extend(FLAGS.iter().map(Into::into));
        if self.since == Since::Ready {
            let server = Server::start_with(Command::new(site.program()).args(arguments))?;
            let strace = strace::attach(server.pid(), &self.log, self.fault)?;
            return Ok((server, Some(strace)));
        }
        let mut command = strace::command(&self.log, self.fault);
        let server = Server::start_with(command.arg("-qq").arg(site.program()).args(arguments))?;
        Ok((under_strace(server)?, None))
    }

    fn judge_status(&self, status: Option<ExitStatus>, failed: bool, verdict: &mut Verdict) {
        let Some(status) = status else {
            return verdict.violation(format!("has not ended within {PATIENCE:?}"));
        };
        let code = status.code();
        // The fault may be met by the end itself: its last snapshot, its last sync.
        let right = if failed { code == Some(1) } else { code == Some(0) || (self.fault.is_some() && code == Some(1)) };
        verdict.must(right, || format!("ended with {status} {}", if failed { "by itself" } else { "on SIGTERM" }));
    }

    /// Starts a server without faults and compares it with the ledger.
    async fn restart(&self, site: &Site, verdict: &mut Verdict) -> Result<(), Error> {
        let full = self.fault.is_some_and(|fault| fault.error == "ENOSPC");
        let mut judge = Judge::new(&self.ledgers, 1, self.seed, if full { DISK_FULL } else { &[] });
        judge.read(1, verdict)?;
        let server = Server::start(site.program(), &self.place, FLAGS)?;
        judge.check(&server.client(1, PATIENT).await?, Depth::All, verdict).await?;
        server.kill();
        let verify = Command::new(site.program()).arg("verify").arg(&self.place).output()?;
        verdict.must(verify.status.success(), || format!("verify ended with {}", verify.status));
        Ok(())
    }
}

/// Orders, settles them, takes a snapshot and orders again, one call after the other. After the first call without an answer others
/// are tried.
async fn orders(server: &mut Server, ledger: &mut Ledger, seed: u64) -> Result<Heard, Error> {
    let retry = RetryPolicy { deadline: Duration::from_secs(5), attempts_max: 1, ..RetryPolicy::default() };
    let client = server.client(1, retry).await?;
    let mut random = SplitMix64::new(seed);
    let mut heard = Heard::default();
    for number in 0..2 * ORDERS {
        let outcome = ask(&client, ledger, &mut heard, &format!("o{number}"), &shop::order(&mut random)).await?;
        if let Some(Outcome::Held { reservation, .. }) = outcome {
            let settle =
                if number % 2 == 0 { Operation::Confirm { reservation } } else { Operation::Release { reservation } };
            ask(&client, ledger, &mut heard, &format!("s{number}"), &settle).await?;
        }
        if heard.failed {
            break;
        }
        if number == ORDERS {
            // A snapshot may fail: the journal has everything.
            let _failed = client.admin().take_snapshot(TakeSnapshotRequest {}).await;
        }
    }
    for number in 0..if heard.failed { TRIED_AFTER } else { 0 } {
        if server.ended(Duration::ZERO).is_ok() {
            break;
        }
        ask(&client, ledger, &mut heard, &format!("after{number}"), &shop::order(&mut random)).await?;
    }
    Ok(heard)
}

async fn ask(
    client: &Client,
    ledger: &mut Ledger,
    heard: &mut Heard,
    id: &str,
    what: &Operation,
) -> Result<Option<Outcome>, Error> {
    ledger.ask(id, what);
    ledger.sync()?;
    let sent = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let answer = what.send(client, id).await.ok();
    match &answer {
        Some(answer) => {
            ledger.hear(id, answer);
            heard.last_answered = Some(sent);
        }
        None => heard.failed = true,
    }
    Ok(answer.map(|answer| answer.outcome))
}

/// Waits for a server that failed, stops one that did not. Gives how it ended, and when.
async fn end(mut server: Server, failed: bool) -> Result<(Option<ExitStatus>, Duration), Error> {
    if !failed {
        server.signal(Signal::TERM)?;
    }
    let status = tokio::task::spawn_blocking(move || server.ended(PATIENCE).ok()).await?;
    Ok((status, SystemTime::now().duration_since(UNIX_EPOCH)?))
}

/// The server that strace started is strace's only child.
fn under_strace(server: Server) -> Result<Server, Error> {
    let strace = server.pid().as_raw_nonzero();
    let children = std::fs::read_to_string(format!("/proc/{strace}/task/{strace}/children"))?;
    let pid: i32 = children.split_whitespace().next().ok_or("strace has no child")?.parse()?;
    Ok(server.under(Pid::from_raw(pid).ok_or("no process")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_share_of_each_kind_or_all_of_it() {
        let fault = |number| Fault { since: Since::Ready, call: "fsync", error: "EIO", number };
        let kind: Vec<Fault> = (1..=10).map(fault).collect();
        let numbers = |share| spread(&kind, share).map(|fault| fault.number).collect::<Vec<_>>();
        assert_eq!(numbers(3), [1, 5, 9]);
        assert_eq!(numbers(usize::MAX).len(), 10);
        assert_eq!(numbers(1), [1]);
        assert_eq!(spread(&[], 3).count(), 0);
    }
}

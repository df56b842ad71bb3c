//! `proof inject`: one system call of a real server fails, the n-th of its kind, for every n of a short standard run.
//!
//! `strace` makes the call fail. The server may go on where the call did not matter; otherwise it ends by itself, soon and with code 1,
//! and has acknowledged nothing that the next start does not find. A sync that failed is never tried again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use quartermaster_loadtest::client::{Client, RetryPolicy};
use quartermaster_loadtest::random::SplitMix64;
use quartermaster_proto::v1::TakeSnapshotRequest;
use rustix::process::{Pid, Signal};

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
/// A server whose journal has failed ends within this of the first call it could not answer.
const ENDED_WITHIN: Duration = Duration::from_secs(1);
/// How long it is waited for before it is killed.
const PATIENCE: Duration = Duration::from_secs(10);
/// The calls that are watched.
const WATCHED: &str = "openat,close,pwrite64,fdatasync,fsync,rename,unlink,ftruncate";
/// The calls that fail, and how.
const FAULTS: [(&str, &str); 10] = [
    ("fdatasync", "EIO"),
    ("pwrite64", "EIO"),
    ("pwrite64", "ENOSPC"),
    ("fsync", "EIO"),
    ("openat", "EIO"),
    ("rename", "EIO"),
    ("unlink", "EIO"),
    ("ftruncate", "EIO"),
    ("fdatasync", "EINTR"),
    ("pwrite64", "EINTR"),
];

/// Lets system calls of the server fail, one in each run.
#[derive(Clone, Debug, clap::Args)]
pub struct InjectArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Runs at most, spread evenly over all faults; 0 for every call of the standard run.
    #[arg(long, default_value_t = 24)]
    cycles: usize,
    /// Decides the orders.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// A fault: the n-th call of a kind in each thread of the server.
#[derive(Clone, Copy, Debug)]
struct Fault {
    call: &'static str,
    error: &'static str,
    number: u64,
}

/// How a run ended.
#[derive(Debug, Default)]
struct Ended {
    /// From the first call without an answer to the end of the process.
    after_failure: Option<Duration>,
    before_ready: bool,
    injected: u64,
    retried_syncs: u64,
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
    let (status, _) = site.open_shop(&[]).await?.terminate(PATIENCE)?;
    verdict.must(status.code() == Some(0), || format!("the shop's server ended with {status}"));
    let template = site.data().to_owned();

    let log = site.path("strace");
    let place = site.path("plain");
    copy(&template, &place)?;
    let (plain, _) = standard(&site, &place, &log, None, args.seed, &mut verdict).await?;
    verdict.must(plain.after_failure.is_none() && !plain.before_ready, || "the run fails without a fault".to_owned());
    let all = faults(&std::fs::read_to_string(&log)?, &place);
    let counted = all.len();
    let stride = if args.cycles == 0 { 1 } else { counted.div_ceil(args.cycles).max(1) };
    let mut by_kind: BTreeMap<String, [u64; 4]> = BTreeMap::new();
    let mut slowest = Duration::ZERO;
    let mut runs = 0_u64;
    for (number, fault) in all.into_iter().enumerate().filter(|(number, _)| number % stride == 0) {
        let place = site.path(&format!("case-{number}"));
        copy(&template, &place)?;
        let (ended, _) = standard(&site, &place, &log, Some(fault), args.seed, &mut verdict).await?;
        runs += 1;
        let kind = by_kind.entry(format!("{} {}", fault.call, fault.error)).or_default();
        kind[0] += ended.injected;
        kind[1] += u64::from(ended.before_ready);
        kind[2] += u64::from(ended.after_failure.is_some());
        kind[3] += u64::from(!ended.before_ready && ended.after_failure.is_none());
        slowest = slowest.max(ended.after_failure.unwrap_or_default());
        verdict.must(ended.after_failure.unwrap_or_default() <= ENDED_WITHIN, || {
            format!("{fault:?}: ended {:?} after the first failed call", ended.after_failure)
        });
        verdict.must(ended.retried_syncs == 0, || format!("{fault:?}: {} syncs were tried again", ended.retried_syncs));
        if verdict.holds() {
            std::fs::remove_dir_all(&place)?;
        }
    }
    verdict.figure("seed", args.seed);
    verdict.figure("calls_that_can_fail", u64::try_from(counted)?);
    verdict.figure("runs", runs);
    let told: Vec<String> = by_kind
        .iter()
        .map(|(kind, [injected, start, ended, on])| {
            format!("{kind}: {injected} injected, {start} ended the start, {ended} ended it, {on} went on")
        })
        .collect();
    verdict.figure("by_kind", told);
    verdict.figure("ended_after_failure_max_ms", u64::try_from(slowest.as_millis())?);
    verdict.figure("seconds", began.elapsed().as_secs());
    site.close(&mut verdict);
    Ok(verdict)
}

/// One standard run under strace on the data directory `place`, and what a plain server finds there afterwards.
async fn standard(
    site: &Site,
    place: &Path,
    log: &Path,
    fault: Option<Fault>,
    seed: u64,
    verdict: &mut Verdict,
) -> Result<(Ended, u64), Error> {
    let ledgers = place.with_extension("ledgers");
    std::fs::create_dir(&ledgers)?;
    let mut judge = Judge::new(&ledgers, 1, seed, &[]);
    let mut ledger = Ledger::create(&buyer::path(&ledgers, 1, 0))?;
    let mut ended = Ended::default();
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-y", "-e", &format!("trace={WATCHED}"), "-o"]).arg(log);
    if let Some(Fault { call, error, number }) = fault {
        command.args(["-e", &format!("inject={call}:error={error}:when={number}")]);
    }
    command.arg(site.program()).args(Server::arguments(place));
    match Server::start_with(&mut command) {
        Ok(server) => {
            let server = under_strace(server)?;
            let began = Instant::now();
            let failed = orders(&server, &mut ledger, seed).await?;
            ended.after_failure = end(server, failed, fault, began, verdict).await?;
        }
        Err(StartError::Ended { status, said }) => {
            ended.before_ready = true;
            verdict.must(fault.is_some() && status.code().is_some_and(|code| code != 0), || {
                format!("{fault:?}: the start ended with {status}: {said}")
            });
        }
        Err(other) => return Err(other.into()),
    }
    ledger.sync()?;
    let text = std::fs::read_to_string(log)?;
    ended.injected = u64::try_from(text.matches("(INJECTED)").count())?;
    ended.retried_syncs = retried_syncs(&text);

    judge.read(1, verdict)?;
    let server = Server::start(site.program(), place, &[])?;
    let effects = judge.tally().effects;
    judge.check(&server.client(1, PATIENT).await?, Depth::All, verdict).await?;
    server.kill();
    let verify = Command::new(site.program()).arg("verify").arg(place).output()?;
    verdict.must(verify.status.success(), || format!("{fault:?}: verify ended with {}", verify.status));
    std::fs::remove_dir_all(&ledgers)?;
    Ok((ended, effects))
}

/// Orders, settles them, takes a snapshot and orders again, one call after the other. Gives the moment of the first call that was not
/// answered, after which nothing may be.
async fn orders(server: &Server, ledger: &mut Ledger, seed: u64) -> Result<Option<Instant>, Error> {
    let retry = RetryPolicy { deadline: Duration::from_secs(5), attempts_max: 1, ..RetryPolicy::default() };
    let client = server.client(1, retry).await?;
    let mut random = SplitMix64::new(seed);
    for number in 0..2 * ORDERS {
        let Some(outcome) = ask(&client, ledger, &format!("o{number}"), &shop::order(&mut random)).await? else {
            return Ok(Some(Instant::now()));
        };
        if let Outcome::Held { reservation, .. } = outcome {
            let settle =
                if number % 2 == 0 { Operation::Confirm { reservation } } else { Operation::Release { reservation } };
            if ask(&client, ledger, &format!("s{number}"), &settle).await?.is_none() {
                return Ok(Some(Instant::now()));
            }
        }
        if number == ORDERS {
            // A snapshot may fail: the journal has everything.
            let _failed = client.admin().take_snapshot(TakeSnapshotRequest {}).await;
        }
    }
    Ok(None)
}

async fn ask(client: &Client, ledger: &mut Ledger, id: &str, what: &Operation) -> Result<Option<Outcome>, Error> {
    ledger.ask(id, what);
    ledger.sync()?;
    let answer = what.send(client, id).await.ok();
    if let Some(answer) = &answer {
        ledger.hear(id, answer);
    }
    Ok(answer.map(|answer| answer.outcome))
}

/// Waits for a server that failed, stops one that did not. Gives how long after `failed` it had ended.
async fn end(
    mut server: Server,
    failed: Option<Instant>,
    fault: Option<Fault>,
    began: Instant,
    verdict: &mut Verdict,
) -> Result<Option<Duration>, Error> {
    if failed.is_none() {
        server.signal(Signal::TERM)?;
    }
    let (status, server) = tokio::task::spawn_blocking(move || (server.ended(PATIENCE), server)).await?;
    let after = failed.map(|failed| failed.elapsed());
    match (status, failed) {
        (Ok(status), Some(_)) => {
            verdict.must(status.code() == Some(1), || format!("{fault:?}: ended with {status}: {}", server.said()))
        }
        // The fault may be met by the end itself: its last snapshot, its last sync.
        (Ok(status), None) => {
            let code = status.code();
            verdict.must(code == Some(0) || (fault.is_some() && code == Some(1)), || {
                format!("{fault:?}: SIGTERM ended it with {status}: {}", server.said())
            });
        }
        (Err(_alive), _) => {
            verdict.violation(format!("{fault:?}: has not ended {:?} after its start", began.elapsed()))
        }
    }
    Ok(after)
}

/// The server that strace started is strace's only child.
fn under_strace(server: Server) -> Result<Server, Error> {
    let strace = server.pid().as_raw_nonzero();
    let children = std::fs::read_to_string(format!("/proc/{strace}/task/{strace}/children"))?;
    let pid: i32 = children.split_whitespace().next().ok_or("strace has no child")?.parse()?;
    Ok(server.under(Pid::from_raw(pid).ok_or("no process")?))
}

/// The faults worth a run: of each kind as many as the busiest thread made calls, from the first one on the data directory.
fn faults(log: &str, place: &Path) -> Vec<Fault> {
    let place = place.to_string_lossy();
    let mut ranges: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for (thread, call, rest) in calls(log) {
        let count = counts.entry((thread, call)).or_default();
        *count += 1;
        if rest.contains(&*place) {
            let range = ranges.entry(call).or_insert((*count, *count));
            *range = (range.0.min(*count), range.1.max(*count));
        }
    }
    let of = |(call, error): (&'static str, &'static str)| {
        let (first, last) = ranges.get(call).copied().unwrap_or((1, 0));
        (first..=last).map(move |number| Fault { call, error, number })
    };
    FAULTS.into_iter().flat_map(of).collect()
}

/// Calls that begin in a log of `strace -f`: thread, name, and the rest of the line.
fn calls(log: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    log.lines().filter_map(|line| {
        let (thread, rest) = line.split_once(' ')?;
        let (call, rest) = rest.trim_start().split_once('(')?;
        call.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_').then_some((thread, call, rest))
    })
}

/// Syncs of a descriptor after a sync of it had failed, other than by an interruption.
fn retried_syncs(log: &str) -> u64 {
    let (mut failed, mut under_way): (Vec<&str>, BTreeMap<&str, &str>) = Default::default();
    let mut retried = 0;
    for line in log.lines() {
        let thread = line.split(' ').next().unwrap_or_default();
        let mut descriptor = under_way.get(thread).copied();
        match calls(line).next() {
            Some((_, call @ ("fsync" | "fdatasync" | "close"), rest)) => {
                let this = rest.split([')', ' ', ',']).next().unwrap_or_default();
                if call == "close" {
                    failed.retain(|other| *other != this);
                    continue;
                }
                retried += u64::from(failed.contains(&this));
                under_way.insert(thread, this);
                descriptor = Some(this);
            }
            // The end of a call that another thread's line came into.
            None if line.contains("sync resumed>") => {}
            _ => continue,
        }
        if line.contains("(INJECTED)") && !line.contains("EINTR") {
            failed.extend(descriptor);
        }
    }
    retried
}

fn copy(from: &Path, to: &Path) -> std::io::Result<PathBuf> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(to.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_a_sync_that_is_tried_again() {
        let failed = "7 fdatasync(9</d/a.seg>) = -1 EIO (Input/output error) (INJECTED)\n";
        assert_eq!(retried_syncs(failed), 0);
        assert_eq!(retried_syncs(&format!("{failed}7 fdatasync(8</d/b.seg>) = 0\n")), 0, "another file");
        assert_eq!(retried_syncs(&format!("{failed}8 fdatasync(9</d/a.seg> <unfinished ...>\n")), 1);
        let resumed = "7 fdatasync(9</d/a.seg> <unfinished ...>\n8 close(3</x>) = 0\n\
                       7 <... fdatasync resumed>) = -1 EIO (Input/output error) (INJECTED)\n7 fdatasync(9</d/a.seg>) = 0\n";
        assert_eq!(retried_syncs(resumed), 1);
        assert_eq!(retried_syncs(&format!("{failed}7 close(9</d/a.seg>) = 0\n7 fdatasync(9</d/a.seg>) = 0\n")), 0);
        let interrupted = "7 fdatasync(9</d/a.seg>) = -1 EINTR (Interrupted system call) (INJECTED)\n";
        assert_eq!(retried_syncs(&format!("{interrupted}7 fdatasync(9</d/a.seg>) = 0\n")), 0);
    }

    #[test]
    fn counts_calls_by_thread_from_the_first_on_the_directory() {
        let log = "1 openat(AT_FDCWD, \"/etc/x\") = 3\n1 openat(AT_FDCWD, \"/d/a\") = 3\n2 pwrite64(3</d/a>, \"\", 1, 0) = 1\n\
                   3 pwrite64(3</d/a>, \"\", 1, 0) = 1\n3 pwrite64(3</d/a>, \"\", 1, 0) = 1\n3 <... pwrite64 resumed>) = 1\n";
        let found = faults(log, Path::new("/d"));
        let count =
            |call| found.iter().filter(|fault| fault.call == call).map(|fault| fault.number).collect::<Vec<_>>();
        assert_eq!(count("openat"), [2]);
        assert_eq!(count("pwrite64"), [1, 2, 1, 2, 1, 2]);
        assert!(count("fsync").is_empty());
    }
}

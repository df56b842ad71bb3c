//! `strace` as the one that makes system calls fail, and its log as the witness of what the server did then.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Pid;

use crate::Error;

/// The calls that are watched.
const WATCHED: &str = "openat,close,pwrite64,fdatasync,fsync,rename,unlink,ftruncate";
/// The calls that fail, and how.
pub(super) const KINDS: [(&str, &str); 11] = [
    ("fdatasync", "EIO"),
    ("fdatasync", "ENOSPC"),
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

/// From when on calls are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Since {
    /// The start of the process.
    Start,
    /// The moment at which it serves.
    Ready,
}

/// A fault: the n-th call of a kind in each thread of the server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    /// From when on is counted.
    pub(super) since: Since,
    /// Name of the system call.
    pub(super) call: &'static str,
    /// Name of the error.
    pub(super) error: &'static str,
    /// Which call, from 1.
    pub(super) number: u64,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = if self.since == Since::Start { "the start" } else { "ready" };
        write!(f, "{} {}, number {} since {since}", self.call, self.error, self.number)
    }
}

/// What a log says of the fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Injected {
    /// Calls that were made to fail.
    pub(super) calls: u64,
    /// When the first one failed, since the Unix epoch.
    pub(super) first: Option<Duration>,
    /// Of the calls, syncs and writes of a segment of the journal, in use or spare.
    pub(super) of_segments: u64,
    /// Syncs of a descriptor after a sync of it had failed, other than by an interruption.
    pub(super) retried_syncs: u64,
}

/// The command that watches a server, and lets `fault` happen; what to watch is to be appended.
pub(super) fn command(log: &Path, fault: Option<Fault>) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-ttt", "-e", "signal=none", "-e", &format!("trace={WATCHED}"), "-o"]).arg(log);
    if let Some(Fault { call, error, number, .. }) = fault {
        command.args(["-e", &format!("inject={call}:error={error}:when={number}")]);
    }
    command
}

/// Lets strace watch a process that runs already; gives the strace once it does.
///
/// # Errors
/// When it cannot.
pub(super) fn attach(pid: Pid, log: &Path, fault: Option<Fault>) -> Result<Child, Error> {
    let mut command = command(log, fault);
    command.args(["-p", &pid.as_raw_nonzero().to_string()]);
    let mut strace = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut said = BufReader::new(strace.stderr.take().ok_or("strace has no stderr")?);
    let mut line = String::new();
    said.read_line(&mut line)?;
    if !line.contains("attached") {
        return Err(format!("strace does not attach: {line}").into());
    }
    // Drained, so that it never waits for a reader.
    std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
    Ok(strace)
}

/// The faults worth a run: of each kind as many as the busiest thread made calls, from the first one on the data directory.
pub(super) fn faults(log: &str, place: &Path, since: Since) -> Vec<Vec<Fault>> {
    let place = place.to_string_lossy();
    let mut ranges: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for Line { thread, call, rest, .. } in log.lines().filter_map(Line::read) {
        let Some(call) = call else { continue };
        let count = counts.entry((thread, call)).or_default();
        *count += 1;
        if rest.contains(&*place) {
            let range = ranges.entry(call).or_insert((*count, *count));
            *range = (range.0.min(*count), range.1.max(*count));
        }
    }
    let of = |(call, error): (&'static str, &'static str)| {
        let (first, last) = ranges.get(call).copied().unwrap_or((1, 0));
        (first..=last).map(|number| Fault { since, call, error, number }).collect()
    };
    KINDS.into_iter().map(of).collect()
}

/// Reads from a log what was made to fail, and what was tried again.
pub(super) fn injected(log: &str) -> Injected {
    let mut found = Injected::default();
    let (mut failed, mut under_way): (Vec<&str>, BTreeMap<&str, &str>) = Default::default();
    for line in log.lines().filter_map(Line::read) {
        let descriptor = match line.call {
            Some(_) => {
                let this = line.rest.split([')', ' ', ',']).next().unwrap_or_default();
                under_way.insert(line.thread, this);
                this
            }
            // The end of a call that another thread's line came into.
            None => under_way.get(line.thread).copied().unwrap_or_default(),
        };
        match line.call {
            Some("close") => failed.retain(|other| *other != descriptor),
            Some("fsync" | "fdatasync") => found.retried_syncs += u64::from(failed.contains(&descriptor)),
            _ => {}
        }
        if line.rest.contains("(INJECTED)") {
            found.calls += 1;
            found.first.get_or_insert(line.time);
            let sync = line.call.is_some_and(|call| call.ends_with("sync")) || line.rest.contains("sync resumed>");
            let write = line.call == Some("pwrite64") || line.rest.contains("pwrite64 resumed>");
            let of_segment = descriptor.contains("/wal-") || descriptor.contains("/spare-");
            found.of_segments += u64::from((sync || write) && of_segment);
            if sync && !line.rest.contains("EINTR") {
                failed.push(descriptor);
            }
        }
    }
    found
}

/// A line of a log of `strace -f -ttt`.
struct Line<'a> {
    thread: &'a str,
    /// Since the Unix epoch.
    time: Duration,
    /// The call that begins here; none on a line that ends one.
    call: Option<&'a str>,
    /// What follows the bracket of the call, or the whole of another line.
    rest: &'a str,
}

impl Line<'_> {
    fn read(line: &str) -> Option<Line<'_>> {
        let (thread, rest) = line.split_once(' ')?;
        let (time, rest) = rest.trim_start().split_once(' ')?;
        let time = Duration::try_from_secs_f64(time.parse().ok()?).ok()?;
        let name = |call: &str| call.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let (call, rest) = match rest.split_once('(') {
            Some((call, rest)) if name(call) => (Some(call), rest),
            _ => (None, rest),
        };
        Some(Line { thread, time, call, rest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines as strace writes them, each a second after the one before.
    fn log(lines: &[&str]) -> String {
        let line = |(second, line): (usize, &&str)| {
            let (thread, rest) = line.split_once(' ').unwrap();
            format!("{thread}  {second}.500000 {rest}\n")
        };
        lines.iter().enumerate().map(line).collect()
    }

    #[test]
    fn sees_a_sync_that_is_tried_again() {
        let failed = "7 fdatasync(9</d/wal-1.seg>) = -1 EIO (Input/output error) (INJECTED)";
        let retried = |after: &[&str]| injected(&log(&[&[failed], after].concat())).retried_syncs;
        assert_eq!(retried(&[]), 0);
        assert_eq!(retried(&["7 fdatasync(8</d/b.seg>) = 0"]), 0, "another file");
        assert_eq!(retried(&["8 fdatasync(9</d/wal-1.seg> <unfinished ...>"]), 1);
        assert_eq!(retried(&["7 close(9</d/wal-1.seg>) = 0", "7 fdatasync(9</d/wal-1.seg>) = 0"]), 0);
        let resumed = [
            "7 fdatasync(9</d/wal-1.seg> <unfinished ...>",
            "8 close(3</x>) = 0",
            "7 <... fdatasync resumed>) = -1 EIO (Input/output error) (INJECTED)",
            "7 fdatasync(9</d/wal-1.seg>) = 0",
        ];
        let found = injected(&log(&resumed));
        let first = Some(Duration::from_millis(2_500));
        assert_eq!(found, Injected { calls: 1, first, of_segments: 1, retried_syncs: 1 });
        let interrupted = "7 fdatasync(9</d/wal-1.seg>) = -1 EINTR (Interrupted system call) (INJECTED)";
        assert_eq!(injected(&log(&[interrupted, "7 fdatasync(9</d/wal-1.seg>) = 0"])).retried_syncs, 0);
    }

    #[test]
    fn knows_what_belongs_to_the_journal() {
        let of_segments = |line| injected(&log(&[line])).of_segments;
        assert_eq!(
            of_segments("7 pwrite64(9</d/wal-1.seg>, \"\"..., 9, 0) = -1 EIO (Input/output error) (INJECTED)"),
            1
        );
        assert_eq!(
            of_segments("7 pwrite64(9</d/snap.tmp>, \"\"..., 9, 0) = -1 EIO (Input/output error) (INJECTED)"),
            0
        );
        assert_eq!(of_segments("7 fdatasync(9</d/spare-1.tmp>) = -1 EIO (Input/output error) (INJECTED)"), 1);
        assert_eq!(of_segments("7 close(9</d/wal-1.seg>) = -1 EIO (Input/output error) (INJECTED)"), 0);
        assert_eq!(injected(&log(&["7 pwrite64(9</d/wal-1.seg>, \"\"..., 9, 0) = 9"])), Injected::default());
    }

    #[test]
    fn counts_calls_by_thread_from_the_first_on_the_directory() {
        let log = log(&[
            "1 openat(AT_FDCWD, \"/etc/x\") = 3",
            "1 openat(AT_FDCWD, \"/d/a\") = 3",
            "2 pwrite64(3</d/a>, \"\", 1, 0) = 1",
            "3 pwrite64(3</d/a>, \"\", 1, 0) = 1",
            "3 pwrite64(3</d/a>, \"\", 1, 0) = 1",
            "3 <... pwrite64 resumed>) = 1",
        ]);
        let found = faults(&log, Path::new("/d"), Since::Ready).concat();
        let count =
            |call| found.iter().filter(|fault| fault.call == call).map(|fault| fault.number).collect::<Vec<_>>();
        assert_eq!(count("openat"), [2]);
        assert_eq!(count("pwrite64"), [1, 2, 1, 2, 1, 2]);
        assert!(count("fsync").is_empty());
    }
}

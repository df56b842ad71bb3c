//! What a process uses, read from /proc: memory, files, threads, processor time, disk.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::Pid;

/// Ticks a second of the times in /proc: fixed on Linux since long ago.
const TICKS: u64 = 100;

/// The usage of a process at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Resident memory, bytes.
    pub resident: u64,
    /// Open files.
    pub files: u64,
    /// Threads.
    pub threads: u64,
    /// Processor time so far.
    pub processor: Duration,
}

impl Usage {
    /// That of `pid` now; zeros when it is gone.
    pub fn of(pid: Pid) -> Usage {
        let dir = format!("/proc/{}", pid.as_raw_nonzero());
        let status = fs::read_to_string(format!("{dir}/status")).unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
        };
        let stat = fs::read_to_string(format!("{dir}/stat")).unwrap_or_default();
        // The name in brackets may hold anything; what follows it is fields 3 and on.
        let after: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
        let ticks = |at: usize| after.get(at).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        let files = fs::read_dir(format!("{dir}/fd")).map_or(0, Iterator::count);
        Usage {
            resident: field("VmRSS") * 1_024,
            files: u64::try_from(files).unwrap_or(u64::MAX),
            threads: field("Threads"),
            processor: Duration::from_millis((ticks(11) + ticks(12)) * 1_000 / TICKS),
        }
    }
}

/// Bytes of the files in `dir`, which has no directories in it.
pub fn disk_bytes(dir: &Path) -> u64 {
    let files = fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    files.filter_map(|file| file.metadata().ok()).map(|data| data.len()).sum()
}

/// Lets this process open as many files as the system allows.
pub fn raise_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let most = getrlimit(Resource::Nofile).maximum;
    // What is not given is found out by whoever needs it.
    let _refused = setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most });
}

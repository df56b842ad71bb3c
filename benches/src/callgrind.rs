//! Instruction counts of this very program under callgrind: it runs itself again with other arguments, and that run tells by [`lap`] where
//! one figure ends and the next begins, so that one start of valgrind counts many paths.

use std::process::Command;
use std::{env, fs, hint, io};

/// What is counted, with all that it calls: requests to an engine, and whatever else a tool hands to [`counted`].
const COUNTED: [&str; 2] = ["quartermaster_benches::traffic::measured", "quartermaster_benches::callgrind::counted"];

/// The function after whose end callgrind writes what it has counted, and begins anew.
const LAP: &str = "quartermaster_benches::callgrind::lap";

/// Why nothing was counted.
#[derive(Debug)]
pub enum Fault {
    /// valgrind is not installed.
    Missing,
    /// It, or the program under it, failed.
    Failed(String),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => write!(out, "valgrind is not installed"),
            Self::Failed(why) => write!(out, "callgrind: {why}"),
        }
    }
}

impl std::error::Error for Fault {}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Ends one figure: what was counted since the last call belongs to it, and was gone so many times. Tells the program that counts how many
/// through the output.
#[inline(never)]
pub fn lap(times: usize) {
    println!("{times}");
}

/// Does `work`, of which every instruction is counted. `work` must not itself come to what is counted.
#[inline(never)]
pub fn counted<T>(work: impl FnOnce() -> T) -> T {
    hint::black_box(work())
}

/// Whether valgrind can be started.
#[must_use]
pub fn is_installed() -> bool {
    Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Runs this program with `arguments` and gives the instructions counted up to each [`lap`], in order, each by
/// its times.
///
/// # Errors
/// When valgrind is missing, or the run fails.
pub fn count(arguments: &[&str]) -> Result<Vec<u64>, Fault> {
    let each = |(times, dump): &(u64, String)| match total(dump)? {
        0 => Err(Fault::Failed("nothing was counted in a part; was what is counted inlined?".to_owned())),
        total => Ok(total / times),
    };
    run(arguments, &[])?.iter().map(each).collect()
}

/// The same with more `flags` for callgrind; gives the times of each lap and what callgrind wrote of it.
///
/// # Errors
/// When valgrind is missing, or the run fails.
pub fn run(arguments: &[&str], flags: &[&str]) -> Result<Vec<(u64, String)>, Fault> {
    if !is_installed() {
        return Err(Fault::Missing);
    }
    let directory = tempfile::tempdir()?;
    let out = directory.path().join("out");
    let ended = Command::new("valgrind")
        .args(["--tool=callgrind", &format!("--dump-after={LAP}*")])
        .args(COUNTED.map(|function| format!("--toggle-collect={function}*")))
        .args(flags)
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(env::current_exe()?)
        .args(arguments)
        .output()?;
    if !ended.status.success() {
        return Err(Fault::Failed(String::from_utf8_lossy(&ended.stderr).into_owned()));
    }
    let lap = |(place, times): (usize, &str)| {
        let times = times.parse::<u64>().map_err(|_| Fault::Failed(format!("{times:?} is no number of times")))?;
        Ok((times.max(1), fs::read_to_string(directory.path().join(format!("out.{}", place + 1)))?))
    };
    String::from_utf8_lossy(&ended.stdout).lines().enumerate().map(lap).collect()
}

/// The total of one dump.
fn total(dump: &str) -> Result<u64, Fault> {
    let total = dump.lines().find_map(|line| line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: ")));
    let total = total.and_then(|total| total.split_whitespace().next()?.parse().ok());
    total.ok_or_else(|| Fault::Failed("a dump has no total".to_owned()))
}

//! The other tools, run one after the other for their figures, and the versions of what was measured.

use std::path::Path;
use std::process::Stdio;

use quartermaster_benches::figures::Report;
use tokio::process::Command;

use crate::Failure;
use crate::postgres;
use crate::process::program;

/// A tool, its arguments for figures that count, and those that only show that it works.
struct Tool {
    name: &'static str,
    whole: &'static [&'static str],
    quick: &'static [&'static str],
}

const TOOLS: [Tool; 6] = [
    Tool {
        name: "engine-latency",
        whole: &["--skus", "1000000", "--rounds", "7", "--no-selling"],
        quick: &["--skus", "10000", "--rounds", "1", "--requests", "5000", "--no-selling"],
    },
    Tool {
        name: "memory",
        whole: &["--skus", "10000000", "--reservations", "1000000"],
        quick: &["--skus", "10000", "--reservations", "10000"],
    },
    Tool {
        name: "memory",
        whole: &["--skus", "100000", "--churn", "24", "--reservations", "100000"],
        quick: &["--skus", "1000", "--churn", "4", "--reservations", "2000"],
    },
    // The log of many events, and the snapshot of many cells, one after the other.
    Tool {
        name: "recovery",
        whole: &["--events", "10000000", "--skus", "0", "--rounds", "3"],
        quick: &["--events", "20000", "--skus", "0", "--rounds", "1"],
    },
    Tool {
        name: "recovery",
        whole: &["--events", "0", "--skus", "10000000", "--rounds", "3"],
        quick: &["--events", "0", "--skus", "10000", "--rounds", "1"],
    },
    Tool { name: "scaling", whole: &[], quick: &["--quick"] },
];

/// Runs them all; `keep` is given each report.
pub(crate) async fn run(
    quick: bool,
    directory: &Path,
    out: &Path,
    mut keep: impl FnMut(Report) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let itself = std::env::current_exe()?;
    for tool in &TOOLS {
        let mut command = Command::new(itself.with_file_name(tool.name));
        command.args(if quick { tool.quick } else { tool.whole }).arg("--json");
        match tool.name {
            "recovery" => command.arg("--directory").arg(directory),
            "scaling" => command.arg("--out").arg(out),
            _ => &mut command,
        };
        println!("\n-- {}", tool.name);
        // It ends with this program, whose interrupt drops it.
        let ended = command.stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true).output().await;
        let ended = ended.map_err(|error| {
            format!("{}: {error}; build it: cargo build --release -p quartermaster-benches", tool.name)
        })?;
        let printed = String::from_utf8_lossy(&ended.stdout);
        print!("{printed}");
        match Report::find(&printed) {
            Some(report) if ended.status.success() => keep(report)?,
            // Its figures are missing in the report then, and everybody else's are not.
            _ => println!("{} failed: {}", tool.name, ended.status),
        }
    }
    Ok(())
}

/// What each program says of its version; those that are missing say nothing.
pub(crate) fn versions(server_bin: &Path) -> Vec<String> {
    let ours = server_bin.is_file().then(|| server_bin.to_owned());
    let programs = [ours, program("redis-server", &[]), program("postgres", &postgres::DEBIAN)];
    let version = |program: &std::path::PathBuf| {
        let output = std::process::Command::new(program).arg("--version").output().ok()?;
        String::from_utf8(output.stdout).ok()?.lines().next().map(str::to_owned)
    };
    programs.iter().flatten().filter_map(version).collect()
}

//! What lies below any server of this kind: an echo of the same calls, and a disk that syncs.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use quartermaster_benches::measure::Round;

use crate::Failure;
use crate::contender::{Granted, Kind, Server};
use crate::ours;
use crate::process::{Cores, Process};

/// Length of the file that is written and synced: zeros before, so that no length changes.
const FILE_BYTES: usize = 16 << 20;
/// Bytes of one write.
const BLOCK_BYTES: usize = 4_096;

/// Starts the echo that stands beside this program.
pub(crate) async fn start(kind: Kind, directory: &Path, cores: Cores) -> Result<Server, Failure> {
    let itself = std::env::current_exe()?;
    let echo = itself.with_file_name("durable-echo");
    if !echo.exists() {
        return Err(
            format!("{} is missing; build it: cargo build --release -p quartermaster-benches", echo.display()).into()
        );
    }
    let mut command = Command::new(echo);
    command.arg("serve").arg("--directory").arg(directory);
    if kind == Kind::BareEcho {
        command.arg("--no-sync");
    }
    let log = directory.join(if kind == Kind::BareEcho { "bare.log" } else { "durable.log" });
    let mut process = Process::start(command, cores, &log)?;
    let address = ours::ready(&mut process, &log).await?;
    Ok(Server { kind, process, address, granted: Granted::default() })
}

/// Times of 4 KiB written and synced, one after the other, in nanoseconds.
pub(crate) fn fdatasync(directory: &Path, length: Duration) -> Result<Round, Failure> {
    let file = File::create(directory.join("synced"))?;
    let block = vec![0x5A; BLOCK_BYTES];
    for place in (0..FILE_BYTES).step_by(BLOCK_BYTES) {
        file.write_all_at(&block, u64::try_from(place)?)?;
    }
    file.sync_all()?;
    let mut times = Round::default();
    let start = Instant::now();
    for place in (0..FILE_BYTES).step_by(BLOCK_BYTES).cycle() {
        if start.elapsed() >= length {
            break;
        }
        let began = Instant::now();
        file.write_all_at(&block, u64::try_from(place)?)?;
        file.sync_data()?;
        times.record(began.elapsed());
    }
    Ok(times)
}

//! `quartermaster backup`: makes backups on a running server; lists, verifies and restores them without one.

mod offline;
mod online;

use std::process::ExitCode;

use super::remote::Target;
use super::{Output, exit};

/// Makes backups on a running server; lists, verifies and restores them without one.
#[derive(Clone, Debug, clap::Args)]
pub struct BackupArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Action {
    /// Has a running server make a backup, and waits for it.
    Create(online::CreateArgs),
    /// Shows how the backups and the archive of a running server are.
    Status(online::StatusArgs),
    /// Ends the backup that a running server makes.
    Cancel(online::CancelArgs),
    /// Lists the backups at a target and the points that can be restored.
    List(offline::ListArgs),
    /// Reads everything at a target and checks every byte of it. Ends with 5 when something is damaged or missing.
    Verify(offline::VerifyArgs),
    /// Makes a data directory from a target, as it was at a point of the log.
    Restore(offline::RestoreArgs),
}

/// Runs it to its end.
#[must_use]
pub fn run(args: &BackupArgs) -> ExitCode {
    match &args.action {
        Action::Create(args) => super::wait_for(online::create(args)),
        Action::Status(args) => super::wait_for(online::status(args)),
        Action::Cancel(args) => super::wait_for(online::cancel(args)),
        Action::List(args) => offline::list(args),
        Action::Verify(args) => offline::verify(args),
        Action::Restore(args) => offline::restore(args),
    }
}

/// What is told on stderr, and the code it ends with.
fn failed(command: &str, problem: &str, code: u8) -> ExitCode {
    eprintln!("quartermaster backup {command}: {problem}");
    code.into()
}

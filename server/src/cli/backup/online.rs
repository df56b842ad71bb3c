//! What a running server is asked about its backups.

use std::process::ExitCode;
use std::time::Duration;

use quartermaster_client::Transport;
use quartermaster_proto::v1::operations_service_client::OperationsServiceClient;
use quartermaster_proto::v1::{
    BackupOutcome, CancelBackupRequest, GetBackupRequest, GetBackupResponse, StartBackupRequest,
};

use super::{Target, exit, failed};
use crate::cli::{print, show};

/// Pause between two looks at how it goes.
const LOOK: Duration = Duration::from_millis(200);

/// Has a running server make a backup, and waits for it.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct CreateArgs {
    #[command(flatten)]
    target: Target,
    /// Where to: an absolute directory on the server, or s3://bucket/prefix. Default: `backup_target` of its configuration.
    #[arg(long, value_name = "TARGET", default_value = "")]
    to: String,
    /// Do not wait for its end; `quartermaster backup status` tells.
    #[arg(long)]
    no_wait: bool,
}

/// Shows how the backups and the archive of a running server are.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    target: Target,
}

/// Ends the backup that a running server makes.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct CancelArgs {
    #[command(flatten)]
    target: Target,
}

type Client = OperationsServiceClient<Transport>;

fn client(target: &Target, command: &str) -> Result<Client, ExitCode> {
    let channel = target.channel().map_err(|error| failed(command, &error, exit::UNUSABLE))?;
    Ok(OperationsServiceClient::new(channel))
}

pub(super) async fn create(args: &CreateArgs) -> ExitCode {
    let mut client = match client(&args.target, "create") {
        Ok(client) => client,
        Err(code) => return code,
    };
    let number = match client.start_backup(StartBackupRequest { target: args.to.clone() }).await {
        Ok(answer) => answer.into_inner().number,
        Err(status) => return args.target.refused("backup create", &status).into(),
    };
    if args.no_wait {
        print(&format!("backup {number} has begun\n"));
        return exit::OK.into();
    }
    loop {
        let status = match client.get_backup(GetBackupRequest {}).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return args.target.refused("backup create", &status).into(),
        };
        match status.last.filter(|last| last.number >= number) {
            Some(last) if last.number == number && last.error.is_empty() => {
                print(&made(&last));
                return exit::OK.into();
            }
            Some(last) if last.number == number => return failed("create", &last.error, exit::FAILED),
            Some(_) => {
                let problem = "another has ended since; `quartermaster backup list` tells what is at the target";
                return failed("create", problem, exit::FAILED);
            }
            None => tokio::time::sleep(LOOK).await,
        }
    }
}

pub(super) async fn status(args: &StatusArgs) -> ExitCode {
    let mut client = match client(&args.target, "status") {
        Ok(client) => client,
        Err(code) => return code,
    };
    match client.get_backup(GetBackupRequest {}).await {
        Ok(answer) => {
            let status = answer.into_inner();
            print(&page(&status));
            let failed = status.last.is_some_and(|last| !last.error.is_empty())
                || status.archive.is_some_and(|archive| !archive.error.is_empty());
            if failed { exit::FAILED.into() } else { exit::OK.into() }
        }
        Err(status) => failed("status", &args.target.explain(&status), exit::UNUSABLE),
    }
}

pub(super) async fn cancel(args: &CancelArgs) -> ExitCode {
    let mut client = match client(&args.target, "cancel") {
        Ok(client) => client,
        Err(code) => return code,
    };
    match client.cancel_backup(CancelBackupRequest {}).await {
        Ok(answer) => {
            print(if answer.into_inner().cancelled { "cancelled\n" } else { "no backup was running\n" });
            exit::OK.into()
        }
        Err(status) => args.target.refused("backup cancel", &status).into(),
    }
}

fn made(last: &BackupOutcome) -> String {
    let wide = |number: i64| u64::try_from(number).unwrap_or(0);
    let mut text = format!(
        "{} at {}: restores LSN {} to {}; {} of {} sent in {} objects\n",
        last.name,
        last.target,
        show::number(last.first_lsn),
        show::number(last.last_lsn),
        show::bytes(wide(last.sent_bytes)),
        show::bytes(wide(last.total_bytes)),
        show::number(wide(last.sent_objects)),
    );
    if last.pruned_backups > 0 {
        text.push_str(&format!("{} older backups given up\n", last.pruned_backups));
    }
    text
}

fn page(status: &GetBackupResponse) -> String {
    let time = |at: Option<prost_types::Timestamp>| at.map_or_else(|| "never".to_owned(), |at| at.to_string());
    let running = status.running.as_ref().map_or_else(
        || "none".to_owned(),
        |running| {
            let bytes = show::bytes(u64::try_from(running.bytes).unwrap_or(0));
            format!("number {} to {}, {bytes} read and sent", running.number, running.target)
        },
    );
    let last = status.last.as_ref().map_or_else(
        || "none since the start of the process".to_owned(),
        |last| match last.error.as_str() {
            "" => format!("{}: {}", time(last.end_time), made(last).trim_end()),
            error => format!("{}: FAILED: {error}", time(last.end_time)),
        },
    );
    let archive = status.archive.as_ref().map_or_else(
        || "none".to_owned(),
        |archive| {
            let text = format!("to LSN {}, {}", show::number(archive.last_lsn), time(archive.success_time));
            if archive.error.is_empty() { text } else { format!("{text}; FAILS since: {}", archive.error) }
        },
    );
    let next = status.next_time.map_or_else(|| "not scheduled".to_owned(), |at| at.to_string());
    let rows = [("running", running), ("last", last), ("archive", archive), ("next", next)];
    rows.into_iter().map(|(name, text)| format!("{name:<10} {text}\n")).collect()
}

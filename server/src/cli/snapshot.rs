//! `quartermaster snapshot`: has a running server write one now.

use std::process::ExitCode;
use std::time::Duration;

use quartermaster_proto::v1::TakeSnapshotRequest;
use quartermaster_proto::v1::admin_service_client::AdminServiceClient;

use super::remote::Target;
use super::{exit, print, show};

/// Has a running server write a snapshot now.
#[derive(Clone, Debug, clap::Args)]
pub struct SnapshotArgs {
    #[command(flatten)]
    target: Target,
}

/// Asks, waits until it is on disk, prints the file.
pub async fn run(args: &SnapshotArgs) -> ExitCode {
    let channel = match args.target.channel() {
        Ok(channel) => channel,
        Err(error) => {
            eprintln!("quartermaster snapshot: {error}");
            return exit::UNUSABLE.into();
        }
    };
    match AdminServiceClient::new(channel).take_snapshot(TakeSnapshotRequest {}).await {
        Ok(answer) => {
            let taken = answer.into_inner();
            let took = taken.duration.and_then(|took| Duration::try_from(took).ok()).unwrap_or_default();
            print(&format!(
                "{}: {} in {}; a replay begins past LSN {}\n",
                taken.file,
                show::bytes(u64::try_from(taken.bytes).unwrap_or(0)),
                show::duration(took),
                show::number(taken.position.unwrap_or_default().lsn)
            ));
            exit::OK.into()
        }
        Err(status) => args.target.refused("snapshot", &status).into(),
    }
}

//! `quartermaster drain`: takes a running server out of rotation, without ending it.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use quartermaster_proto::v1::DrainRequest;
use quartermaster_proto::v1::operations_service_client::OperationsServiceClient;

use super::remote::Target;
use super::{exit, print, show};

/// Pause between two looks at the calls in work.
const LOOK: Duration = Duration::from_millis(100);

/// Takes a running server out of rotation: health and readiness say so, present connections are asked to go elsewhere after their calls.
/// Calls that still come are answered, and nothing ends: SIGTERM does that, or --cancel takes it back.
#[derive(Clone, Debug, clap::Args)]
pub struct DrainArgs {
    #[command(flatten)]
    target: Target,
    /// Take the server back into rotation.
    #[arg(long)]
    cancel: bool,
    /// Wait until no call is in work but this one, at most so long.
    #[arg(long, value_name = "TIME", value_parser = super::time_span, conflicts_with = "cancel")]
    wait: Option<Duration>,
}

/// Asks, and with `--wait` asks again until nothing is in work. Ends with 1 when that did not come about.
pub async fn run(args: &DrainArgs) -> ExitCode {
    let channel = match args.target.channel() {
        Ok(channel) => channel,
        Err(error) => {
            eprintln!("quartermaster drain: {error}");
            return exit::UNUSABLE.into();
        }
    };
    let mut client = OperationsServiceClient::new(channel);
    let began = Instant::now();
    loop {
        let answer = match client.drain(DrainRequest { cancel: args.cancel }).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return args.target.refused("drain", &status).into(),
        };
        let others = u64::try_from(answer.calls_in_flight.saturating_sub(1)).unwrap_or(0);
        let patience = args.wait.unwrap_or(Duration::ZERO);
        if args.wait.is_none() || others == 0 {
            print(&format!("{}, {} calls in work\n", answer.state, show::number(others)));
            return exit::OK.into();
        }
        if began.elapsed() >= patience {
            eprintln!("quartermaster drain: {others} calls are in work yet");
            return exit::FAILED.into();
        }
        tokio::time::sleep(LOOK).await;
    }
}

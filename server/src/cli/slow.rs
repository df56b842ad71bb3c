//! `quartermaster slow`: the last calls of a running server that were slow or failed.

use std::process::ExitCode;

use quartermaster_proto::v1::ListSlowCallsRequest;
use quartermaster_proto::v1::admin_service_client::AdminServiceClient;

use super::remote::Target;
use super::{Output, exit, print};
use crate::watch::slow::{json_of, table};

/// Shows the last calls that were slow, and the last that failed, with where their time went.
#[derive(Clone, Debug, clap::Args)]
pub struct SlowArgs {
    #[command(flatten)]
    target: Target,
    /// Form of the answer.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// Asks and prints. Ends with 0, or with 2 when the server does not answer.
pub async fn run(args: &SlowArgs) -> ExitCode {
    let channel = match args.target.channel() {
        Ok(channel) => channel,
        Err(error) => {
            eprintln!("quartermaster slow: {error}");
            return exit::UNUSABLE.into();
        }
    };
    match AdminServiceClient::new(channel).list_slow_calls(ListSlowCallsRequest {}).await {
        Ok(answer) => {
            match args.output {
                Output::Text => print(&table(answer.get_ref())),
                Output::Json => print(&format!("{:#}\n", json_of(answer.get_ref()))),
            }
            exit::OK.into()
        }
        Err(status) => args.target.refused("slow", &status).into(),
    }
}

//! `quartermaster log-level`: shows and changes what a running server logs.

use std::process::ExitCode;
use std::time::Duration;

use quartermaster_client::Transport;
use quartermaster_proto::v1::operations_service_client::OperationsServiceClient;
use quartermaster_proto::v1::{GetLogLevelRequest, LogLevelReturn, SetLogLevelRequest};
use tonic::Status;

use super::remote::Target;
use super::{exit, print};

/// Shows and changes what a running server logs.
#[derive(Clone, Debug, clap::Args)]
pub struct LogLevelArgs {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Action {
    /// What is logged now.
    Show,
    /// Logs what DIRECTIVES say: a level, or directives such as "info,quartermaster_server=debug".
    Set {
        /// A level (error, warn, info, debug, trace) or directives.
        directives: String,
        /// Go back to the configuration's level after this time, 1s to 7days.
        #[arg(long = "for", value_name = "TIME", value_parser = super::time_span)]
        lasts: Option<Duration>,
    },
}

/// Asks and prints.
pub async fn run(args: &LogLevelArgs) -> ExitCode {
    let channel = match args.target.channel() {
        Ok(channel) => channel,
        Err(error) => {
            eprintln!("quartermaster log-level: {error}");
            return exit::UNUSABLE.into();
        }
    };
    match ask(channel, &args.action).await {
        Ok(text) => {
            print(&text);
            exit::OK.into()
        }
        Err(status) => args.target.refused("log-level", &status).into(),
    }
}

async fn ask(channel: Transport, action: &Action) -> Result<String, Status> {
    let mut client = OperationsServiceClient::new(channel);
    Ok(match action {
        Action::Show => {
            let level = client.get_log_level(GetLogLevelRequest {}).await?.into_inner();
            format!("{}{}\n", level.directives, back(level.returns.as_ref()))
        }
        Action::Set { directives, lasts } => {
            let lasts = lasts.and_then(|lasts| prost_types::Duration::try_from(lasts).ok());
            let request = SetLogLevelRequest { directives: directives.clone(), lasts };
            let answer = client.set_log_level(request).await?.into_inner();
            format!("{} -> {directives}{}\n", answer.previous_directives, back(answer.returns.as_ref()))
        }
    })
}

fn back(returns: Option<&LogLevelReturn>) -> String {
    returns.map_or_else(String::new, |returns| {
        let at = returns.time.map_or_else(|| "later".to_owned(), |at| at.to_string());
        format!(" (until {at}, then {})", returns.directives)
    })
}

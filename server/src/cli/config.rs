//! `quartermaster config`: shows and checks settings here, and has a running server read them anew.

use std::process::ExitCode;

use quartermaster_proto::v1::operations_service_client::OperationsServiceClient;
use quartermaster_proto::v1::{ChangedSetting, ReloadConfigRequest};

use super::remote::Target;
use super::{exit, print};
use crate::config::Flags;

/// Shows every setting with its value and where it came from, without starting anything.
#[derive(Clone, Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ConfigArgs {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Action {
    /// Tells whether a server would start with these settings; ends with 2 when it would not.
    Check(Box<Flags>),
    /// Has a running server read its file and environment anew, and tells what changed and what needs a restart.
    Reload(ReloadArgs),
}

/// Has a running server read its file and environment anew.
#[derive(Clone, Debug, clap::Args)]
pub struct ReloadArgs {
    #[command(flatten)]
    target: Target,
    /// Only tell what would change.
    #[arg(long)]
    dry_run: bool,
}

impl ConfigArgs {
    /// The flags of the settings.
    #[must_use]
    pub fn flags(&self) -> &Flags {
        match &self.action {
            Some(Action::Check(flags)) => flags,
            _ => &self.flags,
        }
    }

    /// Whether the settings are only to be checked.
    #[must_use]
    pub fn only_checks(&self) -> bool {
        matches!(self.action, Some(Action::Check(_)))
    }

    /// What a running server is asked, if it is.
    #[must_use]
    pub fn reload(&self) -> Option<&ReloadArgs> {
        match &self.action {
            Some(Action::Reload(reload)) => Some(reload),
            _ => None,
        }
    }
}

/// Asks, and prints what became of the settings.
#[must_use]
pub fn reload(args: &ReloadArgs) -> ExitCode {
    super::wait_for(ask(args))
}

async fn ask(args: &ReloadArgs) -> ExitCode {
    let channel = match args.target.channel() {
        Ok(channel) => channel,
        Err(error) => {
            eprintln!("quartermaster config reload: {error}");
            return exit::UNUSABLE.into();
        }
    };
    let request = ReloadConfigRequest { dry_run: args.dry_run };
    match OperationsServiceClient::new(channel).reload_config(request).await {
        Ok(answer) => {
            let answer = answer.into_inner();
            print(&page(&answer.applied, &answer.needs_restart, args.dry_run));
            exit::OK.into()
        }
        Err(status) => args.target.refused("config reload", &status).into(),
    }
}

fn page(applied: &[ChangedSetting], needs_restart: &[ChangedSetting], dry_run: bool) -> String {
    if applied.is_empty() && needs_restart.is_empty() {
        return "nothing changed\n".to_owned();
    }
    let line = |what: &str, changed: &ChangedSetting| {
        format!("{what:<14} {:<26} {} -> {}\n", changed.key, changed.old_value, changed.new_value)
    };
    let now = if dry_run { "would apply" } else { "applied" };
    let applied = applied.iter().map(|changed| line(now, changed));
    applied.chain(needs_restart.iter().map(|changed| line("needs restart", changed))).collect()
}

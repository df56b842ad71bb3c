//! `quartermaster token`: makes tokens for the file of who may call. The token is shown once; the file keeps its hash.

use std::path::PathBuf;
use std::process::ExitCode;

use aws_lc_rs::rand;
use clap::{Args, Subcommand};

use super::{exit, print, show};
use crate::auth::{Role, check_tokens, digest_of, hex};

/// Random bytes of a token: twice the 128 bits that nobody guesses.
const TOKEN_BYTES: usize = 32;

/// Begins every token, so that scanners for leaked secrets know one when they see it.
const PREFIX: &str = "qm_";

/// What is done with tokens.
#[derive(Debug, Args)]
pub struct TokenArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes a token and prints it once on stdout, and on stderr the lines for `tokens_file`.
    New(NewArgs),
    /// Checks a file of tokens without a server.
    Check {
        /// The file.
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
struct NewArgs {
    /// What the journal will call who uses it.
    name: String,
    /// What it is there for: gateway, store, operator, analyst or admin; more than once for more.
    #[arg(long = "role", value_name = "ROLE", required = true, value_parser = role)]
    roles: Vec<Role>,
    /// A channel it is bound to; more than once for more. Without, it is bound to none in particular.
    #[arg(long = "channel", value_name = "CODE")]
    channels: Vec<String>,
    /// A location it is bound to, likewise.
    #[arg(long = "location", value_name = "CODE")]
    locations: Vec<String>,
    /// When it ends, as 2027-01-01T00:00:00Z. Without, it ends when its lines are taken out of the file.
    #[arg(long, value_name = "TIME", value_parser = time)]
    expires: Option<String>,
    /// Calls a second it may make, instead of `rate_limit_per_caller`.
    #[arg(long, value_name = "CALLS")]
    rate_limit: Option<u32>,
}

/// Runs the command.
pub fn run(args: &TokenArgs) -> ExitCode {
    match &args.command {
        Command::New(args) => new(args),
        Command::Check { file } => match check_tokens(file) {
            Ok(count) => {
                print(&format!("{count} tokens and certificates\n"));
                exit::OK.into()
            }
            Err(error) => {
                eprintln!("quartermaster token: {}", crate::causes::with_causes(&error));
                exit::UNUSABLE.into()
            }
        },
    }
}

fn new(args: &NewArgs) -> ExitCode {
    let mut bytes = [0; TOKEN_BYTES];
    if rand::fill(&mut bytes).is_err() {
        eprintln!("quartermaster token: the system gives no random numbers");
        return exit::FAILED.into();
    }
    let token = format!("{PREFIX}{}", hex(&bytes));
    let lines = lines(args, &token);
    // What is printed is what the server would take, or nothing is.
    if let Err(error) = crate::auth::check_tokens_text(&lines) {
        eprintln!("quartermaster token: {error}");
        return exit::UNUSABLE.into();
    }
    eprintln!("Lines for tokens_file:\n\n{lines}\nThe token, which is shown once:");
    print(&format!("{token}\n"));
    exit::OK.into()
}

/// The token's entry in the file.
fn lines(args: &NewArgs, token: &str) -> String {
    let text = |text: &str| toml::Value::from(text).to_string();
    let list = |codes: &[String]| toml::Value::from(codes.to_vec()).to_string();
    let roles: Vec<String> = args.roles.iter().map(|role| role.name().to_owned()).collect();
    let mut lines = format!("[[principal]]\nname = {}\n", text(&args.name));
    lines += &format!("sha256 = {}\nroles = {}\n", text(&hex(&digest_of(token.as_bytes()))), list(&roles));
    if !args.channels.is_empty() {
        lines += &format!("channels = {}\n", list(&args.channels));
    }
    if !args.locations.is_empty() {
        lines += &format!("locations = {}\n", list(&args.locations));
    }
    if let Some(expires) = &args.expires {
        lines += &format!("expires = {expires}\n");
    }
    if let Some(rate) = args.rate_limit {
        lines += &format!("rate_limit = {rate}\n");
    }
    lines
}

fn role(name: &str) -> Result<Role, String> {
    let all: Vec<&str> = Role::ALL.into_iter().map(Role::name).collect();
    name.parse().map_err(|_| format!("there are {}", all.join(", ")))
}

fn time(text: &str) -> Result<String, String> {
    show::parse_time(text).map(show::time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_for_the_file_is_what_the_server_takes() {
        let args = NewArgs {
            name: "web \"de\"".to_owned(),
            roles: vec![Role::Gateway, Role::Analyst],
            channels: vec!["web".to_owned()],
            locations: vec!["L 1".to_owned()],
            expires: Some(time("2999-01-01T08:00:00+08:00").unwrap()),
            rate_limit: Some(100),
        };
        let lines = lines(&args, "qm_secret");
        assert!(!lines.contains("qm_secret"));
        assert_eq!(crate::auth::check_tokens_text(&lines).unwrap(), 1);
        assert!(lines.contains("expires = 2999-01-01T00:00:00Z\n"), "{lines}");
        assert!(role("root").unwrap_err().contains("gateway, store"));
    }
}

//! The command line of Quartermaster.
#![forbid(unsafe_code)]

use std::error::Error;
use std::process::ExitCode;
use std::sync::{Arc, Weak};
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand};
use quartermaster_server::causes::with_causes;
use quartermaster_server::cli::Tool;
use quartermaster_server::cli::demo::DemoArgs;
use quartermaster_server::cli::reference::{self, CompletionsArgs, ReferenceArgs};
use quartermaster_server::config::{Config, Flags, Loaded};
use quartermaster_server::grpc::operations::Operations;
use quartermaster_server::health::{Health, Phase};
use quartermaster_server::logging::LogLevel;
use quartermaster_server::node::{Node, OpenError};
use quartermaster_server::reload::{Reload, Reloader};
use quartermaster_server::serve::{ServeError, Server};
use quartermaster_server::shutdown::{self, exit};
use quartermaster_server::{cli, config, grpc, logging, systemd};

/// Small objects by the million, freed by other threads than made them: jemalloc keeps both fast and compact.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Time for the error answers to leave after the journal has failed.
const LAST_ANSWERS: Duration = Duration::from_millis(300);

/// How often is looked whether the disk answers.
const DISK_LOOK: Duration = Duration::from_millis(100);

/// Inventory allocation and order routing over gRPC.
#[derive(Parser)]
#[command(name = "quartermaster", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the server.
    Serve(Box<Flags>),
    /// Runs a flash sale on a server of its own, kills that in mid-traffic, and proves that nothing was lost or sold twice.
    Demo(DemoArgs),
    #[command(flatten)]
    Tool(Box<Tool>),
    /// Shows every setting with its value and where it came from, or checks and reloads them.
    Config(Box<cli::config::ConfigArgs>),
    /// Prints completion for a shell.
    Completions(CompletionsArgs),
    /// Prints a reference in Markdown, as docs/ has it.
    #[command(hide = true)]
    Reference(ReferenceArgs),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Serve(flags) => load(&flags).and_then(|loaded| serve(&loaded, &flags)),
        Command::Demo(args) => return demo(&args),
        Command::Tool(tool) => return tool.run(),
        Command::Completions(args) => return reference::completions(&args, &mut Arguments::command()),
        Command::Reference(args) => return reference::run(&args, &Arguments::command()),
        Command::Config(args) => match args.reload() {
            Some(reload) => return cli::config::reload(reload),
            None => load(args.flags()).map(|loaded| show(&loaded, args.only_checks())),
        },
    };
    match result {
        Ok(code) => code.into(),
        Err(failure) => {
            eprintln!("quartermaster: {}", with_causes(failure.error.as_ref()));
            failure.code.into()
        }
    }
}

fn demo(args: &DemoArgs) -> ExitCode {
    cli::demo::run(args).unwrap_or_else(|error| {
        eprintln!("quartermaster demo: {}", with_causes(&error));
        exit::FAILED.into()
    })
}

/// What ended the process, and the code it ends with.
struct Failure {
    error: Box<dyn Error>,
    code: u8,
}

fn failed(error: impl Error + 'static) -> Failure {
    Failure { error: Box::new(error), code: exit::FAILED }
}

fn unopened(error: OpenError) -> Failure {
    let code = if error.is_damage() {
        exit::DAMAGED
    } else if error.is_held() {
        exit::HELD
    } else {
        exit::FAILED
    };
    Failure { error: Box::new(error), code }
}

fn unserved(error: ServeError) -> Failure {
    let code = if matches!(error, ServeError::Listen { .. }) { exit::ADDRESS } else { exit::FAILED };
    Failure { error: Box::new(error), code }
}

fn misused(error: config::ConfigError) -> Failure {
    Failure { error: Box::new(error), code: exit::USAGE }
}

fn load(flags: &Flags) -> Result<Loaded, Failure> {
    Config::load(flags, std::env::vars_os()).map_err(misused)
}

fn show(loaded: &Loaded, only_check: bool) -> u8 {
    if only_check {
        println!("the configuration is valid: {}", loaded.config.loss_window());
        return exit::OK;
    }
    for (key, value, origin) in loaded.rows() {
        println!("{key:<28} {value:<20} {origin}");
    }
    println!("{}", loaded.config.loss_window());
    exit::OK
}

fn serve(loaded: &Loaded, flags: &Flags) -> Result<u8, Failure> {
    loaded.config.data_dir().map_err(misused)?;
    let log_level = logging::start(&loaded.config).map_err(failed)?;
    loaded.log();
    let threads = usize::try_from(loaded.config.worker_threads).map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    runtime.map_err(failed)?.block_on(serve_until_stopped(loaded, flags, log_level))
}

async fn serve_until_stopped(loaded: &Loaded, flags: &Flags, log_level: Arc<LogLevel>) -> Result<u8, Failure> {
    let config = &loaded.config;
    let stop = shutdown::on_signals().map_err(failed)?;
    let (server, port) = Server::bind(config).await.map_err(unserved)?;
    server.show_settings(loaded);
    systemd::status("recovering");
    let node = open_node(config, server.health().clone()).await?;
    server.metrics().set_sources(node.clone());
    node.tell_slow_calls(Arc::clone(server.metrics().watch().slow()));
    let message_bytes_max = usize::try_from(config.message_bytes_max).map_err(failed)?;
    let slow = Arc::clone(server.metrics().watch().slow());
    let parts: [Arc<dyn Reload>; 4] = [Arc::clone(&log_level) as _, server.tunables(), slow, Arc::clone(&node) as _];
    let parts = parts.into_iter().chain(server.security().parts()).collect();
    let environment = || std::env::vars_os().collect();
    let reloader = Arc::new(Reloader::new(flags.clone(), environment, config.clone(), parts));
    let hangups = shutdown::on_hangup(Arc::clone(&reloader)).map_err(failed)?;
    tokio::spawn(systemd::feed_watchdog(Arc::downgrade(&node)));
    let (health, admission) = (server.health().clone(), Arc::clone(server.admission()));
    let operations = Operations { node: Arc::clone(&node), reloader, log_level, health, admission };
    let services = grpc::services(&node, message_bytes_max);
    let services = services.with(|routes| operations.add_to(routes, message_bytes_max));
    let ready = |grpc| {
        server.announce(grpc);
        systemd::ready("serving");
    };
    let drained = server.run(port, services, stop, ready).await.map_err(unserved)?;
    hangups.abort();
    // Every answer is out; what is left is to leave a short recovery behind.
    tokio::task::spawn_blocking(move || node.close()).await.map_err(failed)?.map_err(failed)?;
    if drained.cut_off > 0 {
        tracing::warn!(connections = drained.cut_off, "the grace ran out; calls were cut off");
        return Ok(exit::CUT_OFF);
    }
    tracing::info!("stopped");
    Ok(exit::OK)
}

async fn open_node(config: &Config, health: Health) -> Result<Arc<Node>, Failure> {
    let (journal_failed, failure) = tokio::sync::mpsc::channel(1);
    let (opening, at_node) = (config.clone(), health.clone());
    let node = tokio::task::spawn_blocking(move || {
        // A second failure has nothing to add to the first.
        Node::open(&opening, at_node, move || _ = journal_failed.try_send(()))
    });
    let node = node.await.map_err(failed)?.map_err(unopened)?;
    tokio::spawn(end_when_failed(failure, health.clone()));
    tokio::spawn(watch_disk(Arc::downgrade(&node), health));
    let recovered = node.recovered();
    tracing::info!(
        duration = ?recovered.duration,
        snapshot_lsn = recovered.snapshot_lsn.get(),
        records = recovered.records,
        "recovered"
    );
    Ok(node)
}

/// Looks at how far the disk is behind, as long as there is a node. Readiness depends on it, liveness never does.
async fn watch_disk(node: Weak<Node>, health: Health) {
    let mut looks = tokio::time::interval(DISK_LOOK);
    loop {
        looks.tick().await;
        let Some(lag) = node.upgrade().map(|node| node.durable_lag()) else { return };
        health.disk_lags(lag).await;
    }
}

/// A journal that has failed cannot be trusted with a second try: the waiting calls get their error, then a restart recovers.
async fn end_when_failed(mut failure: tokio::sync::mpsc::Receiver<()>, health: Health) {
    if failure.recv().await.is_some() {
        health.set(Phase::Failed).await;
        tokio::time::sleep(LAST_ANSWERS).await;
        std::process::exit(exit::FAILED.into());
    }
}

//! The commands beside the server: what looks at a data directory without it, and what asks a running one.

pub mod allotment;
mod ask;
pub mod backtest;
pub mod backup;
pub mod call;
pub mod campaign;
pub mod catalogue;
pub mod config;
pub mod demo;
mod directory;
pub mod document;
pub mod drain;
pub mod import;
pub mod inspect;
pub mod lifecycle;
mod lines;
pub mod log_level;
pub mod metrics;
mod output;
mod profile;
pub mod reference;
mod remote;
pub mod reservation;
pub mod reserve;
pub mod returns;
pub mod route;
pub mod rules;
mod show;
pub mod slow;
pub mod snapshot;
mod sourcing;
pub mod status;
pub mod stock;
pub mod supply;
#[cfg(test)]
mod testing;
pub mod token;
pub mod upkeep;
pub mod verify;
pub mod why;

use std::future::Future;
use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use clap::Subcommand;
use quartermaster_proto::v1::DocumentKind;

/// How these commands end. The same table stands in docs/CLI.md, for people.
pub mod exit {
    /// All is well.
    pub const OK: u8 = 0;
    /// It was done and something is wrong: violations were found, the server refused.
    pub const FAILED: u8 = 1;
    /// It could not be done: a file that cannot be read, a directory in use, an input with errors, no server there, or one too busy.
    pub const UNUSABLE: u8 = 2;
    /// The answer is no: sold out, expired, not open. Nothing changed.
    pub const NO: u8 = 3;
    /// Whether it was done is not known; what was printed says how to ask.
    pub const UNKNOWN: u8 = 4;
    /// Files of a data directory are missing, or are not what was written; a server that is started there ends with the same code.
    pub const DAMAGED: u8 = crate::shutdown::exit::DAMAGED;
}

/// The commands; `#[command(flatten)]` puts them beside others.
#[derive(Debug, Subcommand)]
pub enum Tool {
    /// Keeps allotments on a running server: units ring-fenced for channels.
    Allotment(allotment::AllotmentArgs),
    /// Tells what can be promised of SKUs over time, on a running server.
    Atp(supply::AtpArgs),
    /// Tells how many units can be promised now.
    Availability(stock::AvailabilityArgs),
    /// Runs the orders of a log again under another policy, offline, and tells what would have been different.
    Backtest(Box<backtest::BacktestArgs>),
    /// Makes backups on a running server; lists, verifies and restores them without one.
    Backup(Box<backup::BackupArgs>),
    /// Calls any method of the API with JSON.
    Call(call::CallArgs),
    /// Keeps campaigns on a running server: their times, limits and units.
    Campaign(campaign::CampaignArgs),
    /// Gives back units of reservations: the whole, or lines.
    Cancel(lifecycle::LinesArgs),
    /// Keeps channels of the catalogue.
    Channel(catalogue::ChannelArgs),
    /// Confirms holds: the orders are paid.
    Confirm(lifecycle::StepArgs),
    /// Sets what was counted in cells of a location on a running server.
    Count(returns::CountArgs),
    /// Takes a running server out of rotation without ending it, or back into it.
    Drain(drain::DrainArgs),
    /// Moves the expiry of holds.
    Extend(lifecycle::ExtendArgs),
    /// Freezes a SKU, a location, or a SKU at a location: nothing more is promised from it.
    Freeze(upkeep::FreezeArgs),
    /// Lists freezes that stand.
    Freezes(upkeep::FreezesArgs),
    /// Loads catalogue, regions, locations, channels and stock from CSV files into a running server.
    Import(Box<import::ImportArgs>),
    /// Announces, receives and lists units that are expected, on a running server.
    Inbound(Box<supply::InboundArgs>),
    /// Prints the events of a data directory as JSON lines; works beside a running server.
    Inspect(Box<inspect::InspectArgs>),
    /// Keeps locations of the catalogue.
    Location(catalogue::LocationArgs),
    /// Shows and changes what a running server logs.
    LogLevel(log_level::LogLevelArgs),
    /// Lists every metric the server has: name, type, unit, labels, most series, meaning.
    Metrics(metrics::MetricsArgs),
    /// Prints the OpenAPI document of the JSON view.
    Openapi,
    /// Tells what became of a request id.
    Outcome(reservation::OutcomeArgs),
    /// Keeps policies on a running server: how orders are sourced.
    Policy(document::DocumentArgs),
    /// Gives holds back.
    Release(lifecycle::StepArgs),
    /// Moves or cancels what shortfalls hurt; with --preview only tells what it would do.
    Repair(upkeep::RepairArgs),
    /// Shows and lists reservations.
    Reservation(reservation::ReservationArgs),
    /// Takes stock for an order, or for many.
    Reserve(Box<reserve::ReserveArgs>),
    /// Follows units that come back, on a running server: announced, received, inspected.
    Return(Box<returns::ReturnArgs>),
    /// Tells by which parcels an order would be served.
    Route(Box<route::RouteArgs>),
    /// Keeps the stock rules of a running server: safety stock and allotments by rule.
    Rules(rules::RulesArgs),
    /// Records units of confirmed reservations as shipped.
    Ship(lifecycle::LinesArgs),
    /// Keeps SKUs of the catalogue.
    Sku(catalogue::SkuArgs),
    /// Shows the last calls of a running server that were slow or failed, with where their time went.
    Slow(slow::SlowArgs),
    /// Has a running server write a snapshot now.
    Snapshot(snapshot::SnapshotArgs),
    /// Tells how an order is cut into packages.
    Split(route::SplitArgs),
    /// Shows how a running server is.
    Status(status::StatusArgs),
    /// Changes stock, and shows it cell by cell.
    Stock(stock::StockArgs),
    /// Keeps tariffs on a running server: what carriers charge.
    Tariff(document::DocumentArgs),
    /// Lifts freezes.
    Thaw(upkeep::ThawArgs),
    /// Makes and checks tokens: who may call a server.
    Token(token::TokenArgs),
    /// Sends units from one location to another, on a running server.
    Transfer(Box<supply::TransferArgs>),
    /// Checks a data directory that no server uses: every checksum, every unit, every reservation.
    Verify(verify::VerifyArgs),
    /// Tells why a reservation made with sourcing ships from where it does.
    Why(why::WhyArgs),
}

impl Tool {
    /// Runs it to its end.
    #[must_use]
    pub fn run(&self) -> ExitCode {
        match self {
            Tool::Allotment(args) => wait_for(allotment::run(args)),
            Tool::Atp(args) => wait_for(supply::atp(args)),
            Tool::Availability(args) => wait_for(stock::availability(args)),
            Tool::Backtest(args) => backtest::run(args),
            Tool::Backup(args) => backup::run(args),
            Tool::Call(args) => wait_for(call::run(args)),
            Tool::Campaign(args) => wait_for(campaign::run(args)),
            Tool::Cancel(args) => wait_for(lifecycle::cancel(args)),
            Tool::Channel(args) => wait_for(catalogue::channel(args)),
            Tool::Confirm(args) => wait_for(lifecycle::confirm(args)),
            Tool::Count(args) => wait_for(returns::count(args)),
            Tool::Drain(args) => wait_for(drain::run(args)),
            Tool::Extend(args) => wait_for(lifecycle::extend(args)),
            Tool::Freeze(args) => wait_for(upkeep::freeze(args)),
            Tool::Freezes(args) => wait_for(upkeep::freezes(args)),
            Tool::Import(args) => wait_for(import::run(args)),
            Tool::Inbound(args) => wait_for(supply::inbound(args)),
            Tool::Inspect(args) => inspect::run(args),
            Tool::Location(args) => wait_for(catalogue::location(args)),
            Tool::LogLevel(args) => wait_for(log_level::run(args)),
            Tool::Metrics(args) => metrics::run(args),
            Tool::Openapi => {
                print(crate::openapi::text());
                exit::OK.into()
            }
            Tool::Outcome(args) => wait_for(reservation::outcome(args)),
            Tool::Policy(args) => wait_for(document::run(DocumentKind::Policy, args)),
            Tool::Release(args) => wait_for(lifecycle::release(args)),
            Tool::Repair(args) => wait_for(upkeep::repair(args)),
            Tool::Reservation(args) => wait_for(reservation::run(args)),
            Tool::Reserve(args) => wait_for(reserve::run(args)),
            Tool::Return(args) => wait_for(returns::run(args)),
            Tool::Route(args) => wait_for(route::route(args)),
            Tool::Rules(args) => wait_for(rules::run(args)),
            Tool::Ship(args) => wait_for(lifecycle::ship(args)),
            Tool::Sku(args) => wait_for(catalogue::sku(args)),
            Tool::Slow(args) => wait_for(slow::run(args)),
            Tool::Snapshot(args) => wait_for(snapshot::run(args)),
            Tool::Split(args) => wait_for(route::split(args)),
            Tool::Status(args) => wait_for(status::run(args)),
            Tool::Stock(args) => wait_for(stock::run(args)),
            Tool::Tariff(args) => wait_for(document::run(DocumentKind::Tariff, args)),
            Tool::Thaw(args) => wait_for(upkeep::thaw(args)),
            Tool::Token(args) => token::run(args),
            Tool::Transfer(args) => wait_for(supply::transfer(args)),
            Tool::Verify(args) => verify::run(args),
            Tool::Why(args) => wait_for(why::run(args)),
        }
    }
}

/// Runs what waits for a server on a runtime of its own: one thread is plenty for a client.
fn wait_for(command: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(command),
        Err(error) => {
            eprintln!("quartermaster: no runtime: {error}");
            exit::FAILED.into()
        }
    }
}

/// Prints to stdout. Whoever reads there may stop when it has seen enough, as `head` does.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => eprintln!("quartermaster: cannot write: {error}"),
        _ => {}
    }
}

/// A span of time as flags give it: 30s, 10min, 1h.
fn time_span(text: &str) -> Result<std::time::Duration, String> {
    humantime_serde::re::humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write it as 30s, 10min or 1h"))
}

/// Form of what is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    #[value(alias = "table")]
    Text,
    /// For programs: one JSON object.
    Json,
}

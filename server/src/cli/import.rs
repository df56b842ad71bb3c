//! `quartermaster import`: catalogue, regions, locations, channels and stock from CSV files.
//!
//! Three steps, and none begins before the one before is whole: read and check every file, look up on the server what the files only
//! refer to, send. An import that is run again with the same files carries the same request ids, so it finishes what was interrupted
//! and does nothing twice.

mod channels;
mod codes;
mod digest;
mod fulfilment;
mod locations;
mod lookup;
mod plan;
mod problem;
mod progress;
mod regions;
mod send;
mod skus;
mod stock;
mod table;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use self::digest::Digest;
use self::plan::Plan;
use self::problem::Problems;
use self::progress::Progress;
use self::send::{Sender, Sent};
use super::remote::Target;
use super::{exit, print, show};

/// Longest request id that may be given: what is sent appends the number of its part.
const REQUEST_ID_BYTES_MAX: usize = 40;

/// Loads catalogue, regions, locations, channels and stock from CSV files into a running server.
///
/// Every file is read and checked first, together with what it refers to in the other files and on the server. With any error nothing is
/// written. Files may be plain or gzip; the first row names the columns, in any order.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = COLUMNS)]
pub struct ImportArgs {
    /// SKUs.
    #[arg(long, value_name = "FILE")]
    skus: Option<PathBuf>,
    /// Locations.
    #[arg(long, value_name = "FILE")]
    locations: Option<PathBuf>,
    /// Regions.
    #[arg(long, value_name = "FILE")]
    regions: Option<PathBuf>,
    /// Channels.
    #[arg(long, value_name = "FILE")]
    channels: Option<PathBuf>,
    /// Stock: absolute figures per SKU and location. Cells that are not named stay as they are.
    #[arg(long, value_name = "FILE")]
    stock: Option<PathBuf>,
    /// Id of this import, up to 40 bytes. Without one it follows from the content of the files: the same files are imported once a day
    /// at most. Give a new one to apply the same files again.
    #[arg(long, value_name = "ID", value_parser = parse_request_id)]
    request_id: Option<String>,
    /// Check everything and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// How long to go on while the server is not available, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    retry_seconds: u64,
    #[command(flatten)]
    target: Target,
}

/// The columns, for the help.
const COLUMNS: &str = "\
Columns, with other names they may have; * must be there:
  SKUs       sku* (code, sku_code), style, colour (color), size, weight_grams (weight_g), currency, unit_value, sellable, category,
             length_mm, width_mm, height_mm, dangerous_goods, temperature.
             Every other column becomes an attribute of its name.
  locations  location* (location_id, location_code, code), name (city), kind (dc, rdc, forward, store, 3pl, supplier, node),
             lat (latitude), lng (lon, longitude), region (adcode, state, country), status (open, paused, closed),
             capabilities (ship pickup same_hour dangerous_goods; by default ship, of a store also pickup),
             priority (by default dc 10, rdc 20, forward 30, store 50, others 40),
             handling_cost (ship_fixed_cost), pick_unit_cost, processing_minutes, time_zone (timezone), opens (opens_local),
             cutoff (cutoff_local), working_days (1-5, by default 1-7), orders_per_day (daily_capacity_orders),
             units_per_day (daily_capacity_units), same_hour_radius_metres, keep_units, channels (with ; between).
  regions    code* (adcode, region), parent, name, lat (latitude), lng (lon, longitude).
  channels   channel* (channel_id, channel_code, code), name, active.
  stock      sku*, location*, on_hand* (quantity, qty), safety (safety_stock), quality_control (qc), damaged, in_repair, incoming.
Other columns of locations, regions, channels and stock are ignored, and named.";

fn parse_request_id(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > REQUEST_ID_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(format!("1 to {REQUEST_ID_BYTES_MAX} bytes without control characters"));
    }
    Ok(text.to_owned())
}

/// Checks and sends. Ends with 0 when everything is in, with 1 when the server refused or was not there, with 2 when the files have
/// errors; then nothing was written.
pub async fn run(args: &ImportArgs) -> ExitCode {
    let progress = Progress::new();
    match import(args, &progress).await {
        Ok(sent) => {
            print(&(sent.page() + "\n"));
            exit::OK.into()
        }
        Err(stop) => {
            progress.clear();
            stop.report(&args.target);
            stop.exit().into()
        }
    }
}

/// Why an import ended early.
#[derive(Debug)]
enum Stop {
    NoFiles,
    BadTarget(String),
    /// A file could not be opened or read.
    File(PathBuf, std::io::Error),
    /// The files have errors.
    Problems(Problems),
    /// The server could not tell what it has.
    Lookup(Box<tonic::Status>),
    /// The server refused, or was not there for too long. What was sent before stays.
    Refused(&'static str, String, Box<tonic::Status>),
}

impl Stop {
    fn exit(&self) -> u8 {
        match self {
            Stop::NoFiles | Stop::BadTarget(_) | Stop::File(..) | Stop::Problems(_) => exit::UNUSABLE,
            Stop::Lookup(_) | Stop::Refused(..) => exit::FAILED,
        }
    }

    fn report(&self, target: &Target) {
        match self {
            Stop::NoFiles => {
                eprintln!(
                    "quartermaster import: nothing to do; give --skus, --locations, --regions, --channels or --stock"
                )
            }
            Stop::BadTarget(error) => eprintln!("quartermaster import: {error}"),
            Stop::File(path, error) => eprintln!("quartermaster import: cannot read {}: {error}", path.display()),
            Stop::Problems(problems) => eprintln!("{problems}nothing was written"),
            Stop::Lookup(status) => {
                eprintln!(
                    "quartermaster import: the files refer to what only the server may have, and it cannot be asked; nothing was written\n{}",
                    target.explain(status)
                );
            }
            Stop::Refused(what, request_id, status) => {
                eprintln!("quartermaster import: {what} were refused: {}", target.explain(status));
                if status.code() == tonic::Code::AlreadyExists {
                    eprintln!(
                        "  the request id {request_id:?} was used for other content: give another with --request-id"
                    );
                } else {
                    eprintln!(
                        "  run the same command again when the cause is gone: what is in already is not written twice"
                    );
                }
            }
        }
    }
}

async fn import(args: &ImportArgs, progress: &Progress) -> Result<Sent, Stop> {
    let files = [&args.skus, &args.locations, &args.regions, &args.channels, &args.stock];
    if files.iter().all(|file| file.is_none()) {
        return Err(Stop::NoFiles);
    }
    let mut problems = Problems::default();
    let mut digest = Digest::default();
    let mut plan = Plan::read(args, &mut digest, &mut problems, progress)?;
    let channel = args.target.channel().map_err(Stop::BadTarget)?;
    if plan.refers_elsewhere() {
        progress.step("asking the server for what the files refer to");
        match lookup::resolve(channel.clone(), &mut plan).await {
            Ok(()) => plan.note_unknown(&mut problems),
            Err(status) if problems.is_empty() => return Err(Stop::Lookup(Box::new(status))),
            // The errors of the files come first; this one can wait until they are mended.
            Err(_) => {}
        }
    }
    if !problems.is_empty() {
        return Err(Stop::Problems(problems));
    }
    let request_id = args.request_id.clone().unwrap_or_else(|| digest.request_id());
    if args.dry_run {
        return Ok(Sent::nothing(&plan, request_id));
    }
    let sender = Sender::new(channel, request_id, Duration::from_secs(args.retry_seconds), progress);
    let started = std::time::Instant::now();
    let mut sent = sender.send(plan).await?;
    sent.took = started.elapsed();
    Ok(sent)
}

/// Reads the files and checks them and what they refer to in each other, without a server. Gives the rows that could be sent.
///
/// # Errors
/// What is wrong, with file, row and column, as the command shows it.
pub fn look_over(args: &ImportArgs) -> Result<usize, String> {
    let mut problems = Problems::default();
    let read = Plan::read(args, &mut Digest::default(), &mut problems, &Progress::hidden());
    let plan = match read {
        Ok(plan) => plan,
        Err(Stop::File(path, error)) => return Err(format!("cannot read {}: {error}", path.display())),
        Err(_) => return Err("the files could not be read".to_owned()),
    };
    plan.note_unknown(&mut problems);
    if !problems.is_empty() {
        return Err(problems.to_string());
    }
    Ok(plan.skus.len() + plan.locations.len() + plan.channels.len() + plan.regions.len() + plan.stock.len())
}

impl Sent {
    fn page(&self) -> String {
        let mut page = format!("import {}\n", self.request_id);
        for part in &self.parts {
            let rows = show::number(part.rows);
            let outcome = match (self.dry_run, part.replayed == part.requests) {
                (true, _) => "sound, not sent".to_owned(),
                (false, true) => "in already, nothing changed".to_owned(),
                (false, false) => part.outcome(),
            };
            page.push_str(&format!("  {:<10} {rows:>12}  {outcome}\n", part.what));
        }
        if self.dry_run {
            page.push_str("dry run: nothing was written");
        } else {
            page.push_str(&format!("done in {}", show::duration(self.took)));
        }
        page
    }
}

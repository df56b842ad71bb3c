//! What is done with a target while no server is asked: list, verify, restore.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::UNIX_EPOCH;

use humantime_serde::re::humantime;
use quartermaster_backup::{self as backup, Error, Listing, Point, Restored, Verified};
use quartermaster_journal::FileStorage;
use serde_json::json;

use super::{Output, exit, failed};
use crate::backup::Place;
use crate::causes::with_causes;
use crate::cli::{print, show};

/// Where backups are.
#[derive(Clone, Debug, clap::Args)]
struct From {
    /// Directory or s3://bucket/prefix that holds the backups.
    #[arg(long = "from", value_name = "TARGET")]
    from: String,
}

/// Lists the backups at a target and the points that can be restored.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    from: From,
    /// Form of the list.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// Reads everything at a target and checks every byte of it.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    from: From,
    /// Form of the report.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// Makes a data directory from a target, as it was at a point of the log.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct RestoreArgs {
    #[command(flatten)]
    from: From,
    /// Directory to restore into; empty, or made.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Restore with this LSN as the last. Without it and --at-time: as far as the backups reach.
    #[arg(long, value_name = "LSN", conflicts_with = "at_time")]
    at_lsn: Option<u64>,
    /// Restore with the last event at or before this time, RFC 3339 in UTC: 2026-11-28T04:30:00Z.
    #[arg(long, value_name = "TIME", value_parser = time)]
    at_time: Option<u64>,
    /// Form of the report.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// Microseconds since the Unix epoch.
fn time(text: &str) -> Result<u64, String> {
    let wrong = |problem: &dyn std::fmt::Display| {
        format!("{text:?} is no time ({problem}); write it as 2026-11-28T04:30:00Z or 2026-11-28T04:30:00.250Z, in UTC")
    };
    let time = humantime::parse_rfc3339(text).map_err(|error| wrong(&error))?;
    let since = time.duration_since(UNIX_EPOCH).map_err(|_| wrong(&"before 1970"))?;
    u64::try_from(since.as_micros()).map_err(|_| wrong(&"too far in the future"))
}

fn utc(micros: u64) -> String {
    humantime::format_rfc3339_micros(UNIX_EPOCH + std::time::Duration::from_micros(micros)).to_string()
}

fn opened(from: &From) -> Result<Box<dyn backup::Target>, String> {
    Place::parse_here(&from.from)?.open()
}

/// The code that an error ends a command with.
fn code_of(error: &Error) -> u8 {
    match error {
        Error::Damaged { .. } | Error::NotWhole { .. } => exit::DAMAGED,
        _ => exit::UNUSABLE,
    }
}

pub(super) fn list(args: &ListArgs) -> ExitCode {
    let target = match opened(&args.from) {
        Ok(target) => target,
        Err(problem) => return failed("list", &problem, exit::UNUSABLE),
    };
    match backup::list(&*target) {
        Ok(listing) => {
            match args.output {
                Output::Text => print(&listing_page(&listing)),
                Output::Json => print(&format!("{:#}\n", listing_json(&listing))),
            }
            exit::OK.into()
        }
        Err(error) => failed("list", &with_causes(&error), code_of(&error)),
    }
}

fn listing_page(listing: &Listing) -> String {
    let mut text =
        format!("history {}, shard {}, {} pieces of log\n\n", listing.history, listing.shard, listing.pieces);
    text.push_str(&format!(
        "{:<34} {:>12} {:>12} {:>10}  {:<28} version\n",
        "BACKUP", "FROM LSN", "TO LSN", "SIZE", "LAST EVENT"
    ));
    for one in &listing.backups {
        text.push_str(&format!(
            "{:<34} {:>12} {:>12} {:>10}  {:<28} {}\n",
            one.name,
            one.first_lsn,
            one.last_lsn,
            show::bytes(one.files.iter().map(|file| file.bytes).sum()),
            utc(one.last_time_us),
            one.software
        ));
    }
    text.push('\n');
    for (range, from, to) in &listing.possible {
        text.push_str(&format!("can be restored: {range} ({} to {})\n", utc(*from), utc(*to)));
    }
    text
}

fn listing_json(listing: &Listing) -> serde_json::Value {
    let backups: Vec<_> = listing
        .backups
        .iter()
        .map(|one| {
            json!({
                "name": one.name,
                "first_lsn": one.first_lsn,
                "last_lsn": one.last_lsn,
                "first_time": utc(one.first_time_us),
                "last_time": utc(one.last_time_us),
                "bytes": one.files.iter().map(|file| file.bytes).sum::<u64>(),
                "epoch": one.epoch,
                "version": one.software,
            })
        })
        .collect();
    let possible: Vec<_> = listing
        .possible
        .iter()
        .map(|(range, from, to)| {
            json!({
                "first_lsn": range.from, "last_lsn": range.to, "first_time": utc(*from), "last_time": utc(*to),
            })
        })
        .collect();
    json!({ "history": listing.history, "shard": listing.shard, "backups": backups, "restorable": possible })
}

pub(super) fn verify(args: &VerifyArgs) -> ExitCode {
    let target = match opened(&args.from) {
        Ok(target) => target,
        Err(problem) => return failed("verify", &problem, exit::UNUSABLE),
    };
    match backup::verify(&*target, &mut |_| {}) {
        Ok(verified) => {
            match args.output {
                Output::Text => print(&verified_page(&verified)),
                Output::Json => print(&format!("{:#}\n", verified_json(&verified))),
            }
            if verified.faults.is_empty() { exit::OK.into() } else { exit::DAMAGED.into() }
        }
        Err(error) => failed("verify", &with_causes(&error), code_of(&error)),
    }
}

fn verified_page(verified: &Verified) -> String {
    let mut text = format!(
        "{} backups, {} objects, {}, {} records read\n",
        verified.backups,
        show::number(verified.objects),
        show::bytes(verified.bytes),
        show::number(verified.records)
    );
    for fault in &verified.faults {
        text.push_str(&format!("DAMAGED {}: {}\n", fault.file, fault.problem));
    }
    text.push_str(if verified.faults.is_empty() {
        "everything is as it was written\n"
    } else {
        "restore from another target, or to a point that does not need these objects; make a new backup to a new target\n"
    });
    text
}

fn verified_json(verified: &Verified) -> serde_json::Value {
    let faults: Vec<_> =
        verified.faults.iter().map(|fault| json!({ "file": fault.file, "problem": fault.problem })).collect();
    json!({
        "backups": verified.backups,
        "objects": verified.objects,
        "bytes": verified.bytes,
        "records": verified.records,
        "faults": faults,
    })
}

pub(super) fn restore(args: &RestoreArgs) -> ExitCode {
    let target = match opened(&args.from) {
        Ok(target) => target,
        Err(problem) => return failed("restore", &problem, exit::UNUSABLE),
    };
    let point = match (args.at_lsn, args.at_time) {
        (Some(lsn), _) => Point::Lsn(lsn),
        (None, Some(time)) => Point::Time(time),
        (None, None) => Point::Newest,
    };
    match backup::restore(&*target, &FileStorage::new(args.to.clone()), point) {
        Ok(restored) => {
            match args.output {
                Output::Text => print(&restored_page(&restored, args)),
                Output::Json => print(&format!("{:#}\n", restored_json(&restored))),
            }
            exit::OK.into()
        }
        Err(error) => failed("restore", &with_causes(&error), code_of(&error)),
    }
}

fn restored_page(restored: &Restored, args: &RestoreArgs) -> String {
    format!(
        "restored to LSN {} ({}) from {}\n{} files, {}; {} records replayed, state {:016x}\n\
         {} can be served now: it is a history of its own, so give it a backup target of its own\n",
        show::number(restored.lsn),
        utc(restored.time_us),
        restored.backup,
        restored.files,
        show::bytes(restored.bytes),
        show::number(restored.records),
        restored.state_hash,
        args.to.display()
    )
}

fn restored_json(restored: &Restored) -> serde_json::Value {
    json!({
        "lsn": restored.lsn,
        "time": utc(restored.time_us),
        "backup": restored.backup,
        "files": restored.files,
        "bytes": restored.bytes,
        "records": restored.records,
        "state_hash": format!("{:016x}", restored.state_hash),
        "epoch": restored.epoch,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_utc_to_the_microsecond_and_a_wrong_one_says_how_to_write_it() {
        assert_eq!(time("1970-01-01T00:00:01.000002Z").unwrap(), 1_000_002);
        assert_eq!(utc(1_000_002), "1970-01-01T00:00:01.000002Z");
        for wrong in ["yesterday", "2026-11-28", "2026-13-01T00:00:00Z", "1969-01-01T00:00:00Z", ""] {
            let error = time(wrong).unwrap_err();
            assert!(error.contains("write it as 2026-11-28T04:30:00Z"), "{error}");
        }
    }
}

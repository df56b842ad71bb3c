//! The files of a data directory.

use std::io::Write;

use quartermaster_journal::{LogReader, Lsn};

use super::Stop;
use crate::cli::directory::DataDir;
use crate::cli::show;

/// Prints a line for each segment and snapshot.
pub(super) fn print(directory: &DataDir, out: &mut impl Write) -> Result<(), Stop> {
    let log = LogReader::open(directory.storage.clone(), Lsn::ZERO)?;
    let mut rows = vec![["file", "first LSN", "epoch", "bytes", "holds"].map(str::to_owned)];
    for segment in log.segments() {
        let file = segment.file_name();
        let bytes = show::number(directory.bytes(&file));
        let holds = format!("batches from {}", show::number(segment.first_index));
        rows.push([file, segment.first_lsn.to_string(), segment.epoch.to_string(), bytes, holds]);
    }
    let store = directory.snapshots();
    for name in store.names()? {
        let bytes = show::number(directory.bytes(&name));
        rows.push(match store.open(&name) {
            Ok(snapshot) => {
                let (start, end) = (*snapshot.start(), *snapshot.end());
                let holds = format!("{} sections, replay from LSN {}", end.section_count, end.needed_from);
                [name, start.lsn.to_string(), start.epoch.to_string(), bytes, holds]
            }
            Err(error) => [name, "-".into(), "-".into(), bytes, error.to_string()],
        });
    }
    for [file, lsn, epoch, bytes, holds] in rows {
        writeln!(out, "{file:<36} {lsn:>12} {epoch:>6} {bytes:>14}  {holds}").map_err(Stop::Output)?;
    }
    Ok(())
}

//! Makes the end of a log trustworthy before a new writer follows it.
//!
//! Two things are uncertain after a crash. A torn tail must go, or it might resurface behind the new writer's back.
//! And a whole batch at the end may live in the page cache alone, even marked clean by a sync that failed in the
//! process before: the bytes are therefore written again, unchanged, and synced. Only then is anything that the
//! replay has shown to its visitor durable.

use crate::directory::Directory;
use crate::error::Error;
use crate::frame;
use crate::layout::disk_length;
use crate::lsn::Lsn;
use crate::reader::LogReader;
use crate::segment::SEGMENT_HEADER_BYTES;
use crate::storage::Storage;

/// Writes the uncertain batches of the last segment again, zeros behind them, and syncs. The reader is at the end.
pub(crate) fn settle_tail<S: Storage>(directory: &Directory<S>, reader: &LogReader<S>) -> Result<(), Error> {
    let Some((segment, bytes, end)) = reader.tail() else { return Ok(()) };
    let file = directory.open(&segment.file_name())?;
    let uncertain = start_of_uncertain(&bytes[..end], reader.synced_lsn());
    if uncertain < end {
        file.write_at(&bytes[uncertain..end], disk_length(uncertain))?;
    }
    if let Some(torn) = reader.torn_tail().filter(|torn| &torn.file == file.path()) {
        file.write_zeros(torn.offset, (torn.offset + torn.bytes).next_multiple_of(512).min(disk_length(bytes.len())))?;
    }
    file.sync()
}

/// Where the first batch begins that no later batch vouches for; the end of `bytes` when there is none.
fn start_of_uncertain(bytes: &[u8], synced: Lsn) -> usize {
    let mut offset = SEGMENT_HEADER_BYTES.min(bytes.len());
    while offset < bytes.len() {
        let header = frame::read_header(&bytes[offset..]);
        if header.last_lsn > synced {
            break;
        }
        offset += header.padded_bytes();
    }
    offset
}

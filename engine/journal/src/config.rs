//! Limits and durability of a log, with their defaults and reasons.

use std::time::Duration;

use crate::error::Error;
use crate::frame::{BATCH_HEADER_BYTES, RECORD_HEADER_BYTES};
use crate::layout::{SECTOR_BYTES, disk_length, sector_aligned};

/// When a record counts as durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Durability {
    /// After the fdatasync of its batch. Survives a power cut. The default.
    #[default]
    Fsync,
    /// After the write of its batch; fdatasync follows at most this much later. Survives the death of the process;
    /// a power cut may take that much time's worth of acknowledged records.
    Interval(Duration),
    /// After the write of its batch; fdatasync only when a segment is full and at close. For tests and imports.
    None,
}

/// Settings of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Which shard's log this is; a directory written for another shard is refused.
    pub shard: u32,
    /// Length of a segment file, zeros included. 64 KiB to 1 GiB, a multiple of 512; default 64 MiB: few enough
    /// files, and a recovery reads one at a time into memory.
    pub segment_bytes: u64,
    /// A batch is closed before it would grow beyond this. At most what a segment holds; default 4 MiB: more
    /// makes one write and sync no cheaper per byte.
    pub batch_bytes_max: usize,
    /// Longest record accepted. At most what a segment holds; default 4 MiB.
    pub record_bytes_max: usize,
    /// Bytes that may wait to become durable before `append` refuses; default 64 MiB: a second of a slow disk.
    pub backlog_bytes_max: usize,
    /// When a record counts as durable.
    pub durability: Durability,
}

impl Default for LogConfig {
    fn default() -> LogConfig {
        LogConfig {
            shard: 0,
            segment_bytes: 64 << 20,
            batch_bytes_max: 4 << 20,
            record_bytes_max: 4 << 20,
            backlog_bytes_max: 64 << 20,
            durability: Durability::Fsync,
        }
    }
}

/// Shortest segment: smaller ones are all header and rotation.
const SEGMENT_BYTES_MIN: u64 = 64 << 10;

/// Longest segment: recovery holds one in memory.
pub(crate) const SEGMENT_BYTES_MAX: u64 = 1 << 30;

impl LogConfig {
    /// A small log for tests: 64 KiB segments, everything else scaled to fit.
    pub fn small() -> LogConfig {
        LogConfig {
            segment_bytes: SEGMENT_BYTES_MIN,
            batch_bytes_max: 16 << 10,
            record_bytes_max: 16 << 10,
            backlog_bytes_max: 1 << 20,
            ..LogConfig::default()
        }
    }

    /// # Errors
    /// [`Error::InvalidConfig`] names the first setting out of range.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let sector = disk_length(SECTOR_BYTES);
        range("segment_bytes", self.segment_bytes, SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX)?;
        if !self.segment_bytes.is_multiple_of(sector) {
            return range("segment_bytes (a multiple of 512)", self.segment_bytes, 1, 0);
        }
        let room = self.segment_bytes - sector;
        let frame = disk_length(BATCH_HEADER_BYTES + RECORD_HEADER_BYTES);
        range("batch_bytes_max", disk_length(self.batch_bytes_max), sector, room)?;
        range("record_bytes_max", disk_length(self.record_bytes_max), 1, room - frame)?;
        let least = sector_aligned(BATCH_HEADER_BYTES + RECORD_HEADER_BYTES + self.record_bytes_max);
        range("backlog_bytes_max", disk_length(self.backlog_bytes_max), disk_length(least), 1 << 40)
    }
}

fn range(setting: &'static str, value: u64, minimum: u64, maximum: u64) -> Result<(), Error> {
    if (minimum..=maximum).contains(&value) {
        Ok(())
    } else {
        Err(Error::InvalidConfig { setting, value, minimum, maximum })
    }
}

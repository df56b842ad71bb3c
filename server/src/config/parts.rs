//! The settings as journal and engine take them.

use std::time::Duration;

use quartermaster_engine::EngineConfig;
use quartermaster_engine::time::Micros;
use quartermaster_journal::{Durability as LogDurability, LogConfig};

use super::{Config, Durability};

/// Longest event in bytes where segments and backlog are not smaller: as long as the largest message by default.
const RECORD_BYTES_MAX: u64 = 4 << 20;

impl Config {
    /// Settings of the journal. Every configuration that was accepted gives settings that the journal accepts.
    pub fn log(&self) -> LogConfig {
        // Half, because headers and rounding to sectors take a little of each.
        let record_bytes_max = RECORD_BYTES_MAX.min(self.segment_bytes / 2).min(self.backlog_bytes_max / 2);
        LogConfig {
            shard: 0,
            segment_bytes: self.segment_bytes,
            batch_bytes_max: size(self.batch_bytes_max),
            record_bytes_max: size(record_bytes_max),
            backlog_bytes_max: size(self.backlog_bytes_max),
            durability: match self.durability {
                Durability::Fsync => LogDurability::Fsync,
                Durability::Interval => LogDurability::Interval(self.sync_interval),
                Durability::None => LogDurability::None,
            },
        }
    }

    /// Settings of the engine.
    pub fn engine(&self) -> EngineConfig {
        EngineConfig {
            dedup_retention: micros(self.dedup_retention),
            dedup_entries_max: size(self.dedup_entries_max),
            ended_retention: micros(self.ended_retention),
            ended_entries_max: size(self.ended_entries_max),
            shipped_retention: micros(self.return_window),
            shipped_entries_max: size(self.return_entries_max),
        }
    }
}

/// Bytes and entries are bounded far below 32 bits or fit any machine this runs on; beyond it the largest will do.
fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn micros(time: Duration) -> Micros {
    Micros(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

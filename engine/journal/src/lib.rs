//! Ordered durable bytes: a segmented write-ahead log with group commit, and snapshot files beside it.
//!
//! The crate has never heard of stock. A caller appends opaque records, gets a dense [`Lsn`] for each at once, and
//! learns later, by one rising watermark, which of them survive a power cut. The byte layouts are described where
//! they are encoded: [`frame`] for batches, `segment` for segment files, [`snapshot`] for snapshots.
#![forbid(unsafe_code)]

mod backlog;
mod burst;
mod committer;
mod config;
mod directory;
mod error;
pub mod frame;
mod hooks;
mod journal;
mod layout;
mod log;
mod lsn;
mod memory;
#[cfg(all(loom, test))]
mod models;
mod pieces;
mod preparer;
mod reader;
mod recovery;
mod repair;
mod segment;
pub mod snapshot;
mod spare;
mod stats;
pub mod storage;
mod trim;
mod writer;

pub use burst::Burst;
pub use committer::{CommitterHandle, StepReport};
pub use config::{Durability, LogConfig};
pub use error::{Damage, Error, Operation, VisitError};
pub use journal::{AppendError, Journal};
pub use log::Log;
pub use lsn::{Epoch, Lsn};
pub use memory::MemoryJournal;
pub use pieces::{Follows, Piece, PieceFault, PieceStart, UNFINISHED_RESTORE, cut_piece, piece_header, walk_piece};
pub use reader::{Batch, LogPosition, LogReader, Record, Records, TornTail};
pub use recovery::{End, Next, RecoveryReport, Replay, Visit, open_read_only};
pub use segment::{SEGMENT_HEADER_BYTES, SegmentInfo};
pub use snapshot::{SnapshotReader, SnapshotStart, SnapshotStore, SnapshotWriter};
pub use stats::{BUCKET_BOUNDS, Histogram, LogStats};
pub use storage::{DiskFile, FileStorage, SimStorage, Storage, StorageFile};
pub use trim::TrimReport;

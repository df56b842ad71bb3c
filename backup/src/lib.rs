//! Backups of a data directory that is being written to, and restores from them to any point they reach.
//!
//! A target holds one history: pieces of its log (whole batches, cut out of segments), parts of snapshots, and for each backup a manifest
//! that is written last. Nothing is ever sent twice: a later backup goes on where the pieces end, and an archive is the same without
//! snapshot and manifest. Every object's name carries the checksum of its content, so a listing tells what should be there, and verifying
//! needs nothing but the target.
//!
//! ```text
//! history-<id>-<crc>.json                                   whose backups these are
//! log/<segment>-<offset>-<first LSN>-<last LSN>-<last batch>-<chain>-<crc>.piece
//! snapshots/<LSN>-<identity>/<number>-<crc>.part
//! backups/<UTC time>-<last LSN>-<crc>.json                  manifests
//! ```
//!
//! There is no thread, clock or random number here: times, pauses and the id of a new history are given by the caller.
#![forbid(unsafe_code)]

mod archive;
mod check;
mod create;
mod error;
mod history;
mod live;
mod manifest;
mod names;
mod prune;
mod restore;
mod target;
mod times;

pub use archive::{Archive, Shipped};
pub use check::{Fault, Verified, verify};
pub use create::{Created, Order, create};
pub use error::{Error, Range, WrongPoint};
pub use history::{HistoryId, IDENTITY_FILE};
pub use live::{Live, Pace, Pin};
pub use manifest::{FORMAT, Manifest, ManifestFile, ManifestSnapshot};
pub use prune::Pruned;
pub use restore::{Listing, Point, Restored, list, newest_backup_us, restore};
pub use target::{DirectoryTarget, MemoryTarget, Object, Target, TargetError};

/// Largest object in bytes, but for a batch that is longer: what a backup or a restore holds in memory at once.
pub const OBJECT_BYTES_MAX: usize = 8 << 20;

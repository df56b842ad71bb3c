//! Engine and journal joined over one data directory: opening and recovery, the write path, and everything that is done again and again
//! beside it (expiry, campaigns, stock rules, snapshots with retention and trimming, the audit, the watch on the disk).
//!
//! There is no thread, socket, clock or file here. The disk is a [`Storage`](quartermaster_journal::Storage), time is a [`Clock`], and
//! every periodic task is a step that somebody calls: the server from its threads, the simulator from its one.
#![forbid(unsafe_code)]

mod auditor;
mod clock;
mod core;
mod disk;
mod lag;
mod open;
mod settling;
mod snapshots;
mod timer;

pub use self::core::{Core, CoreConfig, DiskFull, Schedule};
pub use auditor::Audits;
pub use clock::{Clock, Time};
pub use open::{OpenError, Recovered};
pub use settling::Settling;
pub use snapshots::{Newest, SnapshotCounts, SnapshotError, SnapshotTaken};
pub use timer::Expiries;

//! Connections and the journal share one limit on open files, and the journal must never meet it: a segment that cannot be opened ends the
//! server. So the limit is raised as far as the system lets it, and connections leave a part of it free.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are not connections of callers: segments, snapshots being written, the metrics page's 64 connections, and room.
const OTHERS: u64 = 256;

/// Connections that the limit on files has room for.
pub(super) fn connections_max() -> usize {
    let limit = raised(getrlimit(Resource::Nofile));
    // Where even that is not to be had, half and half is the best there is.
    let room = limit.map_or(u64::MAX, |limit| limit - OTHERS.min(limit / 2));
    usize::try_from(room).unwrap_or(usize::MAX)
}

/// The limit in force, after it was raised to what the system allows; none for no limit.
fn raised(limit: Rlimit) -> Option<u64> {
    let full = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.current != limit.maximum && setrlimit(Resource::Nofile, full).is_ok() {
        return limit.maximum;
    }
    limit.current
}

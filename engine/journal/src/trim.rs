//! Gives up segments that no snapshot needs any more.

use crate::error::Error;
use crate::layout::disk_length;
use crate::log::Log;
use crate::lsn::Lsn;
use crate::spare::Retired;
use crate::storage::Storage;

/// What a trim did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TrimReport {
    /// Segments removed.
    pub removed: u64,
    /// Segments kept to be zeroed and used again.
    pub recycled: u64,
    /// First record that remains.
    pub first_lsn: Lsn,
}

impl<S: Storage> Log<S> {
    /// Gives up every segment whose records all lie before `needed_from`; the current one always stays. Each is gone
    /// for good before the next is touched, the oldest first, so that a crash leaves no hole.
    ///
    /// # Errors
    /// [`Error::Poisoned`]: a failure here poisons the log, since it leaves the directory in a state not known.
    pub fn trim(&self, needed_from: Lsn) -> Result<TrimReport, Error> {
        let shared = &*self.shared;
        let _one_at_a_time = shared.trimming.lock();
        shared.check_alive()?;
        let segments = self.segments();
        let ends = segments.iter().skip(1).map(|follower| follower.first_lsn);
        let surplus = ends.take_while(|end| *end <= needed_from).count();
        let mut report = TrimReport::default();
        for segment in &segments[..surplus] {
            // Out of the list first: stats never name a file that is gone.
            let oldest = shared.segments.lock().remove(0);
            assert_eq!(oldest.first_index, segment.first_index, "Invariant: segments are given up oldest first");
            let retired = shared.spares.retire(&segment.file_name());
            let retired = retired.and_then(|retired| shared.directory.sync().map(|()| retired));
            match retired.map_err(|error| shared.fail(error))? {
                Retired::Removed => report.removed += 1,
                Retired::Recycled => report.recycled += 1,
            }
        }
        report.first_lsn = segments[surplus].first_lsn;
        if surplus > 0 {
            shared.spare_wanted.raise();
        }
        assert_eq!(
            disk_length(surplus),
            report.removed + report.recycled,
            "Invariant: every segment given up is removed or recycled"
        );
        Ok(report)
    }
}

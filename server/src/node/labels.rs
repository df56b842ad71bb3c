//! How many values the labels of the node's figures can have, for the list of metrics.

use quartermaster_engine::upkeep::FreezeReason;

/// Kinds of commands.
pub(crate) const KINDS: usize = super::decisions::KINDS.len();
/// Outcomes of a command with their reasons.
pub(crate) const ENDS: usize = super::decisions::ENDS.len();
/// Buckets of parcels.
pub(crate) const PARCEL_BOUNDS: usize = super::routes::PARCELS.len();
/// Buckets of gaps.
pub(crate) const GAP_BOUNDS: usize = super::routes::GAPS.len();
/// Buckets of the journal's histograms.
pub(crate) const FSYNC_BOUNDS: usize = quartermaster_journal::BUCKET_BOUNDS;
/// The same, of batches.
pub(crate) const BATCH_BOUNDS: usize = quartermaster_journal::BUCKET_BOUNDS;
/// Reasons of freezes.
pub(crate) const FREEZE_REASONS: usize = FreezeReason::ALL.len();

//! Freezes, thaws and repairs: what can be asked.

use crate::{fingerprint::Fingerprinter, upkeep::FreezeReason};

/// A change that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpkeepCommand {
    /// Promise nothing more from something.
    Freeze(Freeze),
    /// Lift freezes.
    Thaw(Thaw),
    /// Move or cancel what shortfalls hurt.
    Repair(Repair),
}

/// A SKU, a location, or a SKU at a location, by codes. At least one is given.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Target {
    /// SKU code, or empty.
    pub sku: String,
    /// Location code, or empty.
    pub location: String,
}

/// Asks for a freeze.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freeze {
    /// What.
    pub target: Target,
    /// Why.
    pub reason: FreezeReason,
    /// The caller's document, up to 256 bytes.
    pub reference: String,
}

/// Asks to lift freezes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thaw {
    /// Of what.
    pub target: Target,
    /// Which of them.
    pub which: Which,
}

/// Which freezes of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All.
    All,
    /// Those with this reason.
    Reason(FreezeReason),
    /// The one with this id.
    Id(u64),
}

/// Asks to repair shortfalls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// Only this SKU, or empty for all.
    pub sku: String,
    /// Only this location, or empty for all.
    pub location: String,
    /// Who is hurt first; what comes first counts most. None: `RepairPriority::DEFAULT`.
    pub priority: Vec<RepairPriority>,
    /// What may be done.
    pub mode: RepairMode,
}

/// Which reservations a shortfall hurts first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RepairPriority {
    /// Held ones before confirmed ones.
    UnpaidFirst,
    /// The newest.
    NewestFirst,
    /// The oldest.
    OldestFirst,
}

impl RepairPriority {
    /// What is used when none is given.
    pub const DEFAULT: [Self; 2] = [Self::UnpaidFirst, Self::NewestFirst];
}

/// What a repair may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepairMode {
    /// Move units; cancel what cannot be moved.
    RerouteThenCancel,
    /// Move units; leave what cannot be moved.
    RerouteOnly,
    /// Cancel.
    CancelOnly,
}

impl UpkeepCommand {
    /// Tags 180 to 199 are this file's.
    pub(super) fn fingerprint(&self, hash: &mut Fingerprinter) {
        match self {
            Self::Freeze(freeze) => {
                hash.tag(180).text(&freeze.target.sku).text(&freeze.target.location);
                hash.number(u64::from(freeze.reason.number())).text(&freeze.reference);
            }
            Self::Thaw(thaw) => {
                hash.tag(181).text(&thaw.target.sku).text(&thaw.target.location);
                match thaw.which {
                    Which::All => _ = hash.number(0),
                    Which::Reason(reason) => _ = hash.number(1).number(u64::from(reason.number())),
                    Which::Id(id) => _ = hash.number(2).number(id),
                }
            }
            Self::Repair(repair) => {
                hash.tag(182).text(&repair.sku).text(&repair.location);
                hash.number(match repair.mode {
                    RepairMode::RerouteThenCancel => 1,
                    RepairMode::RerouteOnly => 2,
                    RepairMode::CancelOnly => 3,
                });
                for one in &repair.priority {
                    hash.number(match one {
                        RepairPriority::UnpaidFirst => 1,
                        RepairPriority::NewestFirst => 2,
                        RepairPriority::OldestFirst => 3,
                    });
                }
            }
        }
    }
}

//! What came after the holds, and how much of it could be done again.

use std::collections::BTreeMap;

/// Events of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// In the log, of reservations that were held in the other world.
    pub events: u64,
    /// Done there as well.
    pub repeated: u64,
    /// Not done: nothing was open there any more, the plan does not use the place, or it was refused.
    pub left_out: u64,
}

/// Merges in one world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merges {
    /// How many.
    pub count: u64,
    /// What they saved, in minor units.
    pub saved: i128,
}

/// All that came after.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// By name of the event.
    pub tallies: BTreeMap<&'static str, Tally>,
    /// Events of reservations that were refused in the other world.
    pub of_refused: u64,
    /// Merges of the log.
    pub merges: Merges,
    /// Merges that were better in the other world, too.
    pub merges_again: Merges,
    /// Units cancelled or shipped in the log that the reservation of the other world did not have.
    pub units_missing: u64,
    /// Units promised in the other world that were not there when they were to be shipped. They are cancelled.
    pub units_not_there: u64,
    /// Holds that were given up for one that the other world refuses. They are released.
    pub given_up: u64,
}

impl Followed {
    pub(crate) fn count(&mut self, name: &'static str, done: bool) {
        let tally = self.tallies.entry(name).or_default();
        tally.events += 1;
        tally.repeated += u64::from(done);
        tally.left_out += u64::from(!done);
    }
}

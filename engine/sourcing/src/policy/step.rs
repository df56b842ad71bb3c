//! A step of a policy: the limits under which a plan is looked for before the next step is.

use quartermaster_routing::Objective;

use super::condition::Condition;
use crate::bits::LocationSet;

/// The document's own limits, or a fallback's, ready for use. Steps stand in the order in which they are tried.
#[derive(Clone, Debug)]
pub struct Step {
    pub(super) name: String,
    pub(super) objective: Objective,
    pub(super) parcels_max: Option<u16>,
    pub(super) partial: bool,
    pub(super) fallback: Option<usize>,
    /// Rules that hold, by index, ascending.
    pub(super) rules: Vec<usize>,
    /// Its own `where`.
    pub(super) only: Option<Condition>,
    /// Places left by everything that looks at places alone.
    pub(super) eligible: LocationSet,
    /// Rules whose removal of places hangs on the order, by index, ascending.
    pub(super) order_rules: Vec<usize>,
    /// Rules that look at the order and the place together, by index, ascending.
    pub(super) mixed_rules: Vec<usize>,
    /// Rules that look at the SKU, by index, ascending.
    pub(super) line_rules: Vec<usize>,
}

impl Step {
    /// The name of the document for its own limits, else of the fallback.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it aims at.
    #[must_use]
    pub fn objective(&self) -> Objective {
        self.objective
    }

    /// At most so many parcels.
    #[must_use]
    pub fn parcels_max(&self) -> Option<u16> {
        self.parcels_max
    }

    /// May leave units unserved when the request allows it.
    #[must_use]
    pub fn partial(&self) -> bool {
        self.partial
    }

    /// Index in the document's fallbacks; `None` for the document's own limits.
    #[must_use]
    pub fn fallback(&self) -> Option<usize> {
        self.fallback
    }
}

//! What a location is: as its owner describes it, and as it is kept.

use quartermaster_sourcing::fulfilment::{Capabilities, Coordinates, Fulfilment};

use super::fulfilment;
use crate::{fingerprint::Fingerprinter, id::LocationId};

/// Kind of a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LocationKind {
    /// Not given.
    #[default]
    Unspecified,
    /// Distribution centre.
    DistributionCentre,
    /// Forward warehouse (前置仓).
    ForwardWarehouse,
    /// Store.
    Store,
    /// Run by a third party.
    ThirdParty,
    /// A supplier's own stock.
    Supplier,
}

/// Whether a location takes new reservations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LocationState {
    /// It does.
    #[default]
    Open,
    /// Not for a while.
    Paused,
    /// Not any more.
    Closed,
}

impl LocationState {
    /// Name in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Paused => "paused",
            Self::Closed => "closed",
        }
    }
}

impl LocationKind {
    /// Name in policies; empty when not given.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "",
            Self::DistributionCentre => "distribution_centre",
            Self::ForwardWarehouse => "forward_warehouse",
            Self::Store => "store",
            Self::ThirdParty => "third_party",
            Self::Supplier => "supplier",
        }
    }
}

/// A location as its owner describes it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LocationSpec {
    /// Code.
    pub code: String,
    /// Name for people.
    pub name: String,
    /// Kind.
    pub kind: LocationKind,
    /// Where it is, when known.
    pub coordinates: Option<Coordinates>,
    /// Region code.
    pub region: String,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Whether it takes reservations.
    pub state: LocationState,
    /// Lower goes first.
    pub priority: u32,
    /// Costs, hours and limits.
    pub fulfilment: Fulfilment,
}

impl LocationSpec {
    pub(crate) fn fingerprint(&self, hash: &mut Fingerprinter) {
        let kind = match self.kind {
            LocationKind::Unspecified => 0,
            LocationKind::DistributionCentre => 1,
            LocationKind::ForwardWarehouse => 2,
            LocationKind::Store => 3,
            LocationKind::ThirdParty => 4,
            LocationKind::Supplier => 5,
        };
        let state = match self.state {
            LocationState::Open => 1,
            LocationState::Paused => 2,
            LocationState::Closed => 3,
        };
        hash.text(&self.code).text(&self.name).text(&self.region).number(kind).number(state);
        hash.number(u64::from(self.capabilities.0)).number(u64::from(self.priority));
        if let Some(at) = self.coordinates {
            hash.number(u64::from(at.latitude_e7.cast_unsigned())).number(u64::from(at.longitude_e7.cast_unsigned()));
        }
        fulfilment::fingerprint(&self.fulfilment, hash);
    }
}

/// A location as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Its number.
    pub id: LocationId,
    /// What it is.
    pub spec: LocationSpec,
}

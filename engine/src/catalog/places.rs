//! The places of a network as policies see them.

use quartermaster_sourcing::{
    LocationId,
    network::Network,
    policy::{PlaceFacts, Places},
};

use super::Directory;
use crate::id::usize_from;

/// A directory and the network that was built from it.
#[derive(Clone, Copy, Debug)]
pub struct SeenPlaces<'a> {
    directory: &'a Directory,
    network: &'a Network,
}

impl Directory {
    /// The places of its network as policies see them.
    #[must_use]
    pub fn places<'a>(&'a self, network: &'a Network) -> SeenPlaces<'a> {
        SeenPlaces { directory: self, network }
    }
}

impl Places for SeenPlaces<'_> {
    fn count(&self) -> usize {
        self.network.places().len()
    }

    fn facts(&self, location: LocationId) -> PlaceFacts<'_> {
        let place = &self.network.places()[usize_from(location.0)];
        let regions = self.network.regions();
        let round = place.region.into_iter().flat_map(|region| regions.ancestors(region));
        PlaceFacts {
            code: &place.spec.code,
            kind: place.spec.kind,
            priority: place.spec.priority,
            capabilities: place.spec.capabilities,
            channels: &place.spec.fulfilment.channels,
            regions: round.filter_map(|region| regions.get(region)).map(|region| region.code.as_str()).collect(),
            open: place.spec.open,
        }
    }

    fn has_region(&self, code: &str) -> bool {
        self.network.region(code).is_some()
    }

    fn location(&self, code: &str) -> Option<LocationId> {
        self.directory.location(code).map(|id| LocationId(id.0)).filter(|id| usize_from(id.0) < self.count())
    }

    fn has_channel(&self, code: &str) -> bool {
        self.directory.channel(code).is_some()
    }
}

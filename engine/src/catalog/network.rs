//! What decisions about sourcing read of the catalogue, compiled: the network and the policies in force, once for now and once for every
//! moment to come at which another document begins to hold. A decision picks its stage by its time and sees all of it or nothing.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use quartermaster_sourcing::{
    fulfilment::{Fulfilment, PlaceSpec},
    network::{Network, NetworkError},
    policy::{self, Policy},
    region::RegionSpec,
    tariff::TariffDocument,
};

use super::{
    Directory,
    documents::{Content, DocumentFault, DocumentId},
};
use crate::{catalog::LocationState, id::usize_from, time::Timestamp};

/// What is in force from a moment on.
#[derive(Clone, Debug)]
pub struct Stage {
    /// From when on; 0 for the first.
    pub from: Timestamp,
    /// Places, regions and carriers.
    pub network: Arc<Network>,
    /// Policies, by name.
    pub policies: Arc<[Arc<Policy>]>,
    /// The policy of orders that no other is for.
    pub built_in: Arc<Policy>,
    /// Some place limits how much work it takes.
    pub limits_work: bool,
}

/// Something that is kept and cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excluded {
    /// What.
    pub what: Subject,
    /// Why.
    pub fault: DocumentFault,
}

/// What can be left out of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A version of a policy or tariff: it is not in force.
    Document(DocumentId),
    /// The location with this code: it keeps its number and serves nobody.
    Location(String),
    /// All regions.
    Regions,
    /// All locations.
    Locations,
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Document(id) => write!(formatter, "{} {:?} version {}", id.kind.name(), id.name, id.version),
            Self::Location(code) => write!(formatter, "location {code:?}"),
            Self::Regions => formatter.write_str("all regions"),
            Self::Locations => formatter.write_str("all locations"),
        }
    }
}

impl fmt::Display for Excluded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.what, self.fault)
    }
}

/// All stages, by their moments.
#[derive(Clone, Debug)]
pub struct Stages {
    stages: Vec<Arc<Stage>>,
    excluded: Vec<Excluded>,
}

/// Every shard has a directory from the start; they share what they have compiled.
static EMPTY: LazyLock<Arc<Stages>> = LazyLock::new(|| {
    let nothing = Arc::new(Stages { stages: Vec::new(), excluded: Vec::new() });
    Arc::new(Stages::compile(&Directory::bare(nothing), Timestamp(0)))
});

impl Stages {
    /// Of a directory that has nothing.
    pub(super) fn empty() -> Arc<Self> {
        Arc::clone(&EMPTY)
    }

    /// What a decision at a moment reads.
    #[must_use]
    pub fn at(&self, moment: Timestamp) -> &Arc<Stage> {
        // The first stage begins with time.
        let next = self.stages.partition_point(|stage| stage.from <= moment);
        &self.stages[next.saturating_sub(1)]
    }

    /// What is kept and cannot be used. Nothing that was refused when it should be: only a newer version of this program, with stricter
    /// rules or another list of time zones, finds such in an older journal.
    #[must_use]
    pub fn excluded(&self) -> &[Excluded] {
        &self.excluded
    }

    /// Compiles what can be, and tells what cannot. A change is refused when it leaves something out that was in; a recovery never fails on
    /// what was once right.
    pub(crate) fn compile(directory: &Directory, now: Timestamp) -> Self {
        let mut excluded = Exclusions::default();
        let stage = |(from, at)| {
            let mut parts = Parts::of(directory, at, &mut excluded);
            let mut regions = directory.regions();
            let network = loop {
                match Network::new(&parts.places, regions, &parts.tariffs()) {
                    Ok(network) => break network,
                    Err(error) => parts.leave_out(error, &mut regions, &mut excluded),
                }
            };
            parts.finish(directory, from, network, &mut excluded)
        };
        let stages = moments(directory, now).into_iter().map(stage).collect();
        Self { stages, excluded: excluded.0 }
    }
}

/// What was left out, each once however many stages lack it.
#[derive(Default)]
struct Exclusions(Vec<Excluded>);

impl Exclusions {
    fn add(&mut self, what: Subject, fault: DocumentFault) {
        let entry = Excluded { what, fault };
        if !self.0.contains(&entry) {
            self.0.push(entry);
        }
    }
}

/// Of each stage when it begins, and a moment in it.
fn moments(directory: &Directory, now: Timestamp) -> Vec<(Timestamp, Timestamp)> {
    let later = directory.documents().changes_after(now).into_iter().map(|moment| (moment, moment));
    [(Timestamp(0), now)].into_iter().chain(later).collect()
}

/// What a stage is made of.
struct Parts {
    places: Vec<PlaceSpec>,
    tariffs: Vec<(DocumentId, TariffDocument)>,
    policies: Vec<(DocumentId, policy::Document)>,
}

impl Parts {
    fn of(directory: &Directory, at: Timestamp, excluded: &mut Exclusions) -> Self {
        let mut parts = Self { places: places(directory), tariffs: Vec::new(), policies: Vec::new() };
        for document in directory.documents().all_in_force(at) {
            match Content::read(document.id.kind, &document.json) {
                Ok(Content::Policy(policy)) => parts.policies.push((document.id.clone(), *policy)),
                Ok(Content::Tariff(tariff)) => parts.tariffs.push((document.id.clone(), tariff)),
                Err(fault) => excluded.add(Subject::Document(document.id.clone()), fault),
            }
        }
        parts
    }

    fn tariffs(&self) -> Vec<TariffDocument> {
        self.tariffs.iter().map(|(_, tariff)| tariff.clone()).collect()
    }

    /// Leaves out what an error is about, so that the rest may do. Each time it leaves out something, so that it comes to an end.
    fn leave_out(&mut self, error: NetworkError, regions: &mut &[RegionSpec], excluded: &mut Exclusions) {
        let why = DocumentFault { path: String::new(), message: error.to_string() };
        match error {
            NetworkError::Tariffs(faults) => {
                let at_fault: Vec<usize> = faults.iter().map(|fault| fault.document).collect();
                for fault in faults {
                    let message = fault.reason.to_string();
                    let what = Subject::Document(self.tariffs[fault.document].0.clone());
                    excluded.add(what, DocumentFault { path: fault.path, message });
                }
                let mut place = 0..;
                self.tariffs.retain(|_| place.next().is_some_and(|place| !at_fault.contains(&place)));
            }
            NetworkError::TooLarge { code } => self.tariffs.retain(|(id, tariff)| {
                let service = tariff.services.iter().position(|service| service.code == code);
                if let Some(place) = service {
                    let fault = DocumentFault { path: format!("services[{place}].rates"), ..why.clone() };
                    excluded.add(Subject::Document(id.clone()), fault);
                }
                service.is_none()
            }),
            NetworkError::Regions(_) => {
                excluded.add(Subject::Regions, why);
                *regions = &[];
            }
            NetworkError::Place { location, code, .. } | NetworkError::Coordinates { location, code } => {
                excluded.add(Subject::Location(code), why);
                if let Some(place) = self.places.get_mut(usize_from(location.0)) {
                    (place.open, place.coordinates, place.fulfilment) = (false, None, Fulfilment::default());
                }
            }
            NetworkError::DuplicatePlace { .. } => {
                excluded.add(Subject::Locations, why);
                self.places.clear();
            }
        }
    }

    /// The stage, without policies that do not fit it.
    fn finish(self, directory: &Directory, from: Timestamp, network: Network, excluded: &mut Exclusions) -> Arc<Stage> {
        let network = Arc::new(network);
        let seen = directory.places(&network);
        let mut policies = Vec::new();
        for (id, document) in self.policies {
            if network.has_carriers() && document.currency != network.currency() {
                let (own, others) = (&document.currency, network.currency());
                let message = format!("is {own}; the tariffs in force are in {others}, and costs are added up");
                excluded.add(Subject::Document(id), DocumentFault { path: "currency".into(), message });
                continue;
            }
            match Policy::compile(document, id.version, &seen) {
                Ok(policy) => policies.push(Arc::new(policy)),
                Err(errors) => errors.into_iter().for_each(|error| {
                    let message = error.fault.to_string();
                    excluded.add(Subject::Document(id.clone()), DocumentFault { path: error.path, message });
                }),
            }
        }
        let built_in = Arc::new(Policy::built_in(&seen));
        let limits_work = network.places().iter().any(|place| !place.spec.fulfilment.capacity.is_unlimited());
        Arc::new(Stage { from, network, policies: policies.into(), built_in, limits_work })
    }
}

/// The places of a directory, by their ids.
pub(super) fn places(directory: &Directory) -> Vec<PlaceSpec> {
    let place = |spec: &super::LocationSpec| PlaceSpec {
        code: spec.code.clone(),
        kind: spec.kind.name(),
        coordinates: spec.coordinates,
        region: spec.region.clone(),
        capabilities: spec.capabilities,
        open: spec.state == LocationState::Open,
        priority: spec.priority,
        fulfilment: spec.fulfilment.clone(),
    };
    directory.locations().iter().map(|location| place(&location.spec)).collect()
}

impl Stage {
    /// The policy of a name.
    #[must_use]
    pub fn policy(&self, name: &str) -> Option<&Arc<Policy>> {
        self.policies.iter().find(|policy| policy.name() == name)
    }

    /// The policy of this name; without a name the most specific one for an order like this, or the built-in one.
    #[must_use]
    pub fn choose(&self, name: &str, channel: &str, order_type: &str, buyer_tier: &str) -> Option<&Policy> {
        if name.is_empty() {
            let found = policy::choose(self.policies.iter().map(|policy| &**policy), channel, order_type, buyer_tier);
            return Some(found.unwrap_or(&self.built_in));
        }
        let built_in = (name == Policy::BUILT_IN_NAME).then_some(&self.built_in);
        self.policy(name).or(built_in).map(|policy| &**policy)
    }
}

//! Policies and tariffs that are tried instead of the log's.

use quartermaster_engine::{
    Error, Verdict,
    catalog::documents::{Content, DocumentId, DocumentKind, DocumentState},
    command::{CatalogueCommand, Command},
    event::Event,
    time::Timestamp,
};
use quartermaster_journal::Lsn;
use quartermaster_sourcing::{policy, tariff::TariffDocument};

use crate::{fault::Fault, world::World};

/// What is tried. Of each kind: none keeps what the log has, and one or more take the place of all that the log has.
#[derive(Clone, Debug, Default)]
pub struct Instead {
    /// One: it decides about every order. Several: an order gets the one it names, or by scope.
    pub policies: Vec<policy::Document>,
    /// Carriers' prices.
    pub tariffs: Vec<TariffDocument>,
}

impl Instead {
    /// Whether the log's documents of this kind are left out.
    pub(crate) fn replaces(&self, kind: DocumentKind) -> bool {
        match kind {
            DocumentKind::Policy => !self.policies.is_empty(),
            DocumentKind::Tariff => !self.tariffs.is_empty(),
        }
    }

    /// The policy that an order is to name, when it named `named` in the log.
    pub(crate) fn name(&self, named: &str) -> String {
        match &self.policies[..] {
            [] => named.to_owned(),
            [only] => only.name.clone(),
            several if several.iter().any(|policy| policy.name == named) => named.to_owned(),
            _ => String::new(),
        }
    }

    /// Puts them in force, and what the log has of their kinds out of it. The places and regions they name must be there.
    ///
    /// # Errors
    /// The first that is refused.
    pub(crate) fn install(&self, world: &World, lsn: Lsn, now: Timestamp) -> Result<(), Fault> {
        for document in self.in_force(world) {
            let name = document.name.clone();
            change(world, CatalogueCommand::Retire(document), now).map_err(refused(lsn, &name))?;
        }
        let tariffs = self.tariffs.iter().cloned().map(Content::Tariff);
        let policies = self.policies.iter().cloned().map(|policy| Content::Policy(Box::new(policy)));
        for content in tariffs.chain(policies) {
            let name = content.name().to_owned();
            let draft = change(world, CatalogueCommand::Draft(Box::new(content)), now).map_err(refused(lsn, &name))?;
            if let Some(Event::DocumentDrafted { document, .. }) = draft {
                let activate = CatalogueCommand::Activate { document, effective_at: None };
                change(world, activate, now).map_err(refused(lsn, &name))?;
            }
        }
        Ok(())
    }

    /// What a snapshot brought of the kinds that are replaced; policies first, as they must fit the tariffs.
    fn in_force(&self, world: &World) -> Vec<DocumentId> {
        let catalogue = world.engine.catalogue();
        let documents = catalogue.directory().documents().iter();
        let active = documents.filter(|document| document.state == DocumentState::Active);
        active.map(|document| document.id.clone()).filter(|id| self.replaces(id.kind)).collect()
    }
}

fn change(world: &World, command: CatalogueCommand, now: Timestamp) -> Result<Option<Event>, Error> {
    Ok(match world.submit(&Command::Catalogue(command), now)?.verdict {
        Verdict::Done(event) => Some(event),
        Verdict::Rejected(_) | Verdict::Nothing => None,
    })
}

fn refused(lsn: Lsn, name: &str) -> impl FnOnce(Error) -> Fault {
    move |source| Fault::Document { lsn, name: name.to_owned(), source }
}

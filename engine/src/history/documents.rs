//! Regions and documents: a parent is there, versions are counted up, and a state follows from the one before it.

use std::{collections::BTreeSet, sync::Arc};

use quartermaster_journal::Lsn;
use quartermaster_sourcing::region::RegionSpec;

use super::{Check, Fault, History, Moment};
use crate::{
    catalog::documents::{Document, DocumentId, DocumentState},
    time::Timestamp,
};

impl History {
    pub(super) fn regions_upserted(&mut self, lsn: Lsn, regions: &[RegionSpec], said: u32) {
        if lsn <= self.names.complete_to {
            return;
        }
        let before = self.names.regions.len();
        for region in regions {
            match self.names.regions.iter_mut().find(|known| known.code == region.code) {
                Some(known) => *known = region.clone(),
                None => self.names.regions.push(region.clone()),
            }
        }
        for region in regions.iter().filter(|region| !region.parent.is_empty()) {
            if self.names.regions.iter().all(|known| known.code != region.parent) {
                let fault = Fault::UnknownParent { code: region.code.clone(), parent: region.parent.clone() };
                self.findings.add(Check::Catalogue, fault);
            }
        }
        let created = u32::try_from(self.names.regions.len() - before).unwrap_or(u32::MAX);
        if said != created {
            self.findings.add(Check::Catalogue, Fault::CreatedCount { said, counted: created });
        }
    }

    pub(super) fn document_drafted(&mut self, lsn: Lsn, id: &DocumentId, json: &Arc<str>) {
        if lsn <= self.names.complete_to {
            return;
        }
        let versions =
            self.names.documents.iter().filter(|known| (known.id.kind, &known.id.name) == (id.kind, &id.name));
        let expected = versions.map(|known| known.id.version).max().unwrap_or(0) + 1;
        if id.version != expected {
            self.findings.add(Check::Catalogue, Fault::DocumentVersion { document: id.clone(), expected });
        }
        let document = Document {
            id: id.clone(),
            state: DocumentState::Draft,
            json: Arc::clone(json),
            effective_at: Timestamp(0),
            revision: lsn,
        };
        let place = self.names.documents.partition_point(|known| known.id < *id);
        self.names.documents.insert(place, document);
    }

    /// Of the others of its name, all that are active are retired, but the one that holds until this one does.
    pub(super) fn document_activated(&mut self, at: Moment, id: &DocumentId, effective_at: Timestamp) {
        if at.lsn <= self.names.complete_to {
            return;
        }
        if effective_at < at.time {
            self.findings.add(Check::Catalogue, Fault::DocumentEarly { document: id.clone() });
        }
        let stays = if effective_at > at.time { self.holds(id, at.time) } else { None };
        for known in self.others(id) {
            if known.state == DocumentState::Active && Some(known.id.version) != stays {
                (known.state, known.revision) = (DocumentState::Retired, at.lsn);
            }
        }
        self.turn(at.lsn, id, DocumentState::Draft, DocumentState::Active);
        if let Some(known) = self.names.documents.iter_mut().find(|known| known.id == *id) {
            known.effective_at = effective_at;
        }
    }

    /// What was followed by the version that holds now is retired with it.
    pub(super) fn document_retired(&mut self, at: Moment, id: &DocumentId) {
        if at.lsn <= self.names.complete_to {
            return;
        }
        let holds = self.holds(id, at.time);
        for known in self.others(id) {
            let follows = known.effective_at <= at.time && Some(known.id.version) != holds;
            if known.state == DocumentState::Active && follows {
                (known.state, known.revision) = (DocumentState::Retired, at.lsn);
            }
        }
        self.turn(at.lsn, id, DocumentState::Active, DocumentState::Retired);
    }

    fn others<'a>(&'a mut self, id: &'a DocumentId) -> impl Iterator<Item = &'a mut Document> {
        let documents = self.names.documents.iter_mut();
        documents.filter(move |known| (known.id.kind, &known.id.name) == (id.kind, &id.name) && known.id != *id)
    }

    /// The version of this name that holds at a moment: the active one that took effect last.
    fn holds(&self, id: &DocumentId, at: Timestamp) -> Option<u32> {
        let mut best: Option<&Document> = None;
        for known in &self.names.documents {
            let same = (known.id.kind, &known.id.name) == (id.kind, &id.name);
            if same
                && known.state == DocumentState::Active
                && known.effective_at <= at
                && best.is_none_or(|best| known.effective_at >= best.effective_at)
            {
                best = Some(known);
            }
        }
        best.map(|known| known.id.version)
    }

    fn turn(&mut self, lsn: Lsn, id: &DocumentId, from: DocumentState, to: DocumentState) {
        let Some(known) = self.names.documents.iter_mut().find(|known| known.id == *id) else {
            self.findings.add(Check::Catalogue, Fault::UnknownDocument { document: id.clone() });
            return;
        };
        if known.state != from {
            let fault = Fault::DocumentState { document: id.clone(), state: known.state, wanted: from };
            self.findings.add(Check::Catalogue, fault);
        }
        (known.state, known.revision) = (to, lsn);
    }

    pub(super) fn compare_documents(&mut self, check: Check, regions: &[RegionSpec], documents: &[Document]) {
        if regions != self.names.regions {
            let found: BTreeSet<&str> = regions.iter().map(|region| region.code.as_str()).collect();
            let missing = self.names.regions.iter().find(|region| !found.contains(region.code.as_str()));
            let other = regions.iter().zip(&self.names.regions).find(|(found, folded)| found != folded);
            let code = missing.or(other.map(|(found, _)| found)).map(|region| region.code.clone());
            self.findings.add(check, Fault::RegionDiffers { code: code.unwrap_or_default() });
        }
        if documents != self.names.documents {
            let other = documents.iter().zip(&self.names.documents).find(|(found, folded)| found != folded);
            let one = other.map(|(found, _)| found).or(documents.last()).or(self.names.documents.last());
            if let Some(document) = one {
                self.findings.add(check, Fault::DocumentDiffers { document: document.id.clone() });
            }
        }
    }
}

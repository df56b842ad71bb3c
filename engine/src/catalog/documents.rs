//! Policies and tariffs as they are kept: versions, written once, and their states.
//!
//! A version is a draft, then active, then retired. Of the active versions of a name the one that took effect last holds; one that takes
//! effect later waits until then, and the one before it holds so long. So at most one holds and one waits.

use std::{collections::BTreeMap, fmt, sync::Arc};

use quartermaster_journal::Lsn;
use quartermaster_sourcing::{policy, tariff::TariffDocument};

use crate::time::Timestamp;

/// What a document says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocumentKind {
    /// How orders are sourced.
    Policy,
    /// What carriers charge.
    Tariff,
}

impl DocumentKind {
    /// Name in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Tariff => "tariff",
        }
    }
}

/// State of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentState {
    /// Kept and checked.
    Draft,
    /// In force from its time on.
    Active,
    /// Out of force.
    Retired,
}

impl DocumentState {
    /// Name in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }
}

/// Which version of which document. They sort as they are listed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DocumentId {
    /// Kind.
    pub kind: DocumentKind,
    /// Name, as the text says.
    pub name: String,
    /// Version, from 1.
    pub version: u32,
}

/// A version as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Which.
    pub id: DocumentId,
    /// Its state by the last event that changed it. See `Documents::state` for what time has made of it.
    pub state: DocumentState,
    /// Canonical text.
    pub json: Arc<str>,
    /// In force from then on; 0 for drafts.
    pub effective_at: Timestamp,
    /// LSN of the last event that changed it.
    pub revision: Lsn,
}

/// What a text says, once it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// How orders are sourced.
    Policy(Box<policy::Document>),
    /// What carriers charge.
    Tariff(TariffDocument),
}

/// A place in a document and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentFault {
    /// For example `rules[2].exclude`; empty for the whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for DocumentFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => formatter.write_str(&self.message),
            path => write!(formatter, "{path}: {}", self.message),
        }
    }
}

impl Content {
    /// Reads JSON when the first letter is a brace, else TOML.
    ///
    /// # Errors
    /// When the text is no document of its kind; its words say where.
    pub fn read(kind: DocumentKind, text: &str) -> Result<Self, DocumentFault> {
        let read = match kind {
            DocumentKind::Policy => policy::Document::read_any(text)
                .map(|document| Self::Policy(Box::new(document)))
                .map_err(|error| error.to_string()),
            DocumentKind::Tariff if text.trim_start().starts_with('{') => {
                TariffDocument::from_json(text).map(Self::Tariff).map_err(|error| error.to_string())
            }
            DocumentKind::Tariff => {
                TariffDocument::from_toml(text).map(Self::Tariff).map_err(|error| error.to_string())
            }
        };
        read.map_err(|message| DocumentFault { path: String::new(), message })
    }

    /// What kind of document it is.
    #[must_use]
    pub fn kind(&self) -> DocumentKind {
        match self {
            Self::Policy(_) => DocumentKind::Policy,
            Self::Tariff(_) => DocumentKind::Tariff,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Policy(document) => &document.name,
            Self::Tariff(document) => &document.name,
        }
    }

    /// Equal documents give equal texts.
    #[must_use]
    pub fn to_json(&self) -> String {
        match self {
            Self::Policy(document) => document.to_json(),
            Self::Tariff(document) => document.to_json(),
        }
    }
}

/// All versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Documents {
    all: BTreeMap<DocumentId, Arc<Document>>,
    /// Bytes of all texts.
    bytes: usize,
}

impl Documents {
    /// All, by kind, name and version.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Document>> {
        self.all.values()
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Bytes of all texts.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// One version.
    #[must_use]
    pub fn get(&self, id: &DocumentId) -> Option<&Arc<Document>> {
        self.all.get(id)
    }

    /// All versions of a name, ascending.
    pub fn versions(&self, kind: DocumentKind, name: &str) -> impl DoubleEndedIterator<Item = &Arc<Document>> {
        let id = |version| DocumentId { kind, name: name.to_owned(), version };
        self.all.range(id(0)..=id(u32::MAX)).map(|(_, document)| document)
    }

    /// The version of a name that holds at a moment.
    #[must_use]
    pub fn in_force(&self, kind: DocumentKind, name: &str, at: Timestamp) -> Option<&Arc<Document>> {
        let active = self.versions(kind, name).filter(|document| document.state == DocumentState::Active);
        active
            .filter(|document| document.effective_at <= at)
            .max_by_key(|document| (document.effective_at, document.id.version))
    }

    /// Every version that holds at a moment, by kind and name.
    pub fn all_in_force(&self, at: Timestamp) -> impl Iterator<Item = &Arc<Document>> {
        let active = self.all.values().filter(|document| document.state == DocumentState::Active);
        active.filter(move |document| {
            self.in_force(document.id.kind, &document.id.name, at).is_some_and(|holds| holds.id == document.id)
        })
    }

    /// The state of a version at a moment: one that another has followed since is retired, although no event says so.
    #[must_use]
    pub fn state(&self, document: &Document, at: Timestamp) -> DocumentState {
        let followed = document.state == DocumentState::Active
            && document.effective_at <= at
            && self.in_force(document.id.kind, &document.id.name, at).is_some_and(|holds| holds.id != document.id);
        if followed { DocumentState::Retired } else { document.state }
    }

    /// Moments after this one at which a version begins to hold, ascending.
    #[must_use]
    pub fn changes_after(&self, at: Timestamp) -> Vec<Timestamp> {
        let active = self.all.values().filter(|document| document.state == DocumentState::Active);
        let mut moments: Vec<_> = active.map(|document| document.effective_at).filter(|moment| *moment > at).collect();
        moments.sort_unstable();
        moments.dedup();
        moments
    }

    /// Puts a version in its place.
    pub(crate) fn put(&mut self, document: Document) {
        self.bytes += document.json.len();
        if let Some(old) = self.all.insert(document.id.clone(), Arc::new(document)) {
            self.bytes -= old.json.len();
        }
    }

    /// Puts a version in force from `effective_at` on, at the moment `now`. Whatever else is active of its name is retired, but for the
    /// one that holds until then.
    pub(crate) fn activate(&mut self, id: &DocumentId, effective_at: Timestamp, now: Timestamp, lsn: Lsn) {
        let holds = self.in_force(id.kind, &id.name, now).map(|document| document.id.clone());
        let stays = holds.filter(|_| effective_at > now);
        for other in self.active(id) {
            if Some(&other) != stays.as_ref() {
                self.change(&other, lsn, |document| document.state = DocumentState::Retired);
            }
        }
        self.change(id, lsn, |document| {
            document.state = DocumentState::Active;
            document.effective_at = effective_at;
        });
    }

    /// Takes a version out of force at the moment `now`, and whatever it followed with it: that must not come back.
    pub(crate) fn retire(&mut self, id: &DocumentId, now: Timestamp, lsn: Lsn) {
        let holds = self.in_force(id.kind, &id.name, now).map(|document| document.id.clone());
        for other in self.active(id) {
            let followed = self.all[&other].effective_at <= now && Some(&other) != holds.as_ref();
            if followed {
                self.change(&other, lsn, |document| document.state = DocumentState::Retired);
            }
        }
        self.change(id, lsn, |document| document.state = DocumentState::Retired);
    }

    /// Active versions of the same name.
    fn active(&self, id: &DocumentId) -> Vec<DocumentId> {
        let versions = self.versions(id.kind, &id.name);
        versions
            .filter(|document| document.state == DocumentState::Active)
            .map(|document| document.id.clone())
            .collect()
    }

    fn change(&mut self, id: &DocumentId, lsn: Lsn, change: impl FnOnce(&mut Document)) {
        if let Some(document) = self.all.get_mut(id).map(Arc::make_mut) {
            change(document);
            document.revision = lsn;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(version: u32) -> DocumentId {
        DocumentId { kind: DocumentKind::Policy, name: "p".into(), version }
    }

    fn drafts(count: u32) -> Documents {
        let mut documents = Documents::default();
        for version in 1..=count {
            documents.put(Document {
                id: id(version),
                state: DocumentState::Draft,
                json: "{}".into(),
                effective_at: Timestamp(0),
                revision: Lsn::new(u64::from(version)),
            });
        }
        documents
    }

    /// The version that holds, and the states of all.
    fn at(documents: &Documents, moment: u64) -> (Option<u32>, String) {
        let moment = Timestamp(moment);
        let holds = documents.in_force(DocumentKind::Policy, "p", moment).map(|document| document.id.version);
        let states = documents.iter().map(|document| documents.state(document, moment).name()).collect::<Vec<_>>();
        (holds, states.join(" "))
    }

    #[test]
    fn the_next_version_retires_the_one_before() {
        let mut documents = drafts(2);
        assert_eq!(at(&documents, 5), (None, "draft draft".into()));
        documents.activate(&id(1), Timestamp(10), Timestamp(10), Lsn::new(8));
        assert_eq!(at(&documents, 10), (Some(1), "active draft".into()));
        documents.activate(&id(2), Timestamp(20), Timestamp(20), Lsn::new(9));
        assert_eq!(at(&documents, 20), (Some(2), "retired active".into()));
        documents.retire(&id(2), Timestamp(30), Lsn::new(10));
        assert_eq!(at(&documents, 30), (None, "retired retired".into()));
        assert_eq!(documents.bytes(), 4);
    }

    #[test]
    fn a_version_that_waits_leaves_the_one_before_it_in_force_until_its_time() {
        let mut documents = drafts(3);
        documents.activate(&id(1), Timestamp(10), Timestamp(10), Lsn::new(8));
        documents.activate(&id(2), Timestamp(100), Timestamp(20), Lsn::new(9));
        assert_eq!(at(&documents, 99), (Some(1), "active active draft".into()));
        assert_eq!(at(&documents, 100), (Some(2), "retired active draft".into()));
        assert_eq!(documents.changes_after(Timestamp(20)), [Timestamp(100)]);
        let mut instead = documents.clone();
        instead.activate(&id(3), Timestamp(200), Timestamp(30), Lsn::new(10));
        assert_eq!(at(&instead, 150), (Some(1), "active retired active".into()), "the one that waited is replaced");
        documents.retire(&id(2), Timestamp(110), Lsn::new(10));
        assert_eq!(at(&documents, 110), (None, "retired retired draft".into()), "the one before does not come back");
    }

    #[test]
    fn retiring_the_one_that_holds_leaves_the_one_that_waits() {
        let mut documents = drafts(2);
        documents.activate(&id(1), Timestamp(10), Timestamp(10), Lsn::new(8));
        documents.activate(&id(2), Timestamp(100), Timestamp(20), Lsn::new(9));
        documents.retire(&id(1), Timestamp(30), Lsn::new(10));
        assert_eq!(at(&documents, 30), (None, "retired active".into()));
        assert_eq!(at(&documents, 100), (Some(2), "retired active".into()));
    }
}

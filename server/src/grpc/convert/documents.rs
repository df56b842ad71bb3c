//! Policies and tariffs: requests to commands, and how they are shown.

use quartermaster_engine::{
    Error,
    catalog::documents::{Content, Document, DocumentId, DocumentKind, DocumentState, Documents},
    command::{CatalogueCommand, Command, Request},
    time::Timestamp,
};
use quartermaster_proto::v1;
use quartermaster_sourcing::policy::{Finding, Severity};

use super::{checks::Checks, time};
use crate::grpc::{limits, status::ApiError};

type Change = Result<(Request, Command), ApiError>;

/// A DraftDocument.
pub(crate) fn draft(message: v1::DraftDocumentRequest) -> Change {
    let mut checks = Checks::default();
    let request = checks.request(message.request_id);
    let kind = kind(&mut checks, message.kind);
    let text = checks.required("text", message.text, &limits::DOCUMENT_BYTES_MAX);
    let (request, text) = checks.finish((request, text))?;
    let content = read(kind, &text)?;
    Ok((request, Command::Catalogue(CatalogueCommand::Draft(Box::new(content)))))
}

/// A text as a document.
fn read(kind: DocumentKind, text: &str) -> Result<Content, ApiError> {
    Content::read(kind, text).map_err(|fault| Error::InvalidDocument { faults: vec![fault] }.into())
}

/// What a LintDocument asks about.
pub(crate) enum Linted {
    /// A text, or why it is none.
    Text(Result<Content, Finding>),
    /// A version that is kept; 0 for the newest.
    Kept(DocumentId),
}

/// A LintDocument.
pub(crate) fn lint(message: v1::LintDocumentRequest) -> Result<Linted, ApiError> {
    let mut checks = Checks::default();
    let kind = kind(&mut checks, message.kind);
    if message.text.is_empty() {
        let name = checks.code("name", message.name);
        return checks.finish(Linted::Kept(DocumentId { kind, name, version: message.version }));
    }
    if !message.name.is_empty() {
        checks.refuse("name", "is given beside a text; one of them is needed");
    }
    let text = checks.text("text", message.text, &limits::DOCUMENT_BYTES_MAX);
    checks.finish(())?;
    let content = Content::read(kind, &text);
    Ok(Linted::Text(content.map_err(|fault| Finding {
        severity: Severity::Error,
        path: fault.path,
        message: fault.message,
    })))
}

/// An ActivateDocument.
pub(crate) fn activate(message: v1::ActivateDocumentRequest) -> Change {
    let mut checks = Checks::default();
    let request = checks.request(message.request_id);
    let document = id(&mut checks, message.kind, message.name, message.version);
    let effective_at = message.effective_time.map(|at| time::not_before(&mut checks, "effective_time", &at));
    checks.finish((request, Command::Catalogue(CatalogueCommand::Activate { document, effective_at })))
}

/// A RetireDocument.
pub(crate) fn retire(message: v1::RetireDocumentRequest) -> Change {
    let mut checks = Checks::default();
    let request = checks.request(message.request_id);
    let document = id(&mut checks, message.kind, message.name, message.version);
    checks.finish((request, Command::Catalogue(CatalogueCommand::Retire(document))))
}

/// A GetDocument: version 0 for the one in force, else the newest.
pub(crate) fn get(message: v1::GetDocumentRequest) -> Result<DocumentId, ApiError> {
    let mut checks = Checks::default();
    let kind = kind(&mut checks, message.kind);
    let name = checks.code("name", message.name);
    checks.finish(DocumentId { kind, name, version: message.version })
}

/// A ListDocuments: one kind, or all.
pub(crate) fn list(message: &v1::ListDocumentsRequest) -> Result<Option<DocumentKind>, ApiError> {
    let mut checks = Checks::default();
    let wanted = match v1::DocumentKind::try_from(message.kind) {
        Ok(v1::DocumentKind::Unspecified) => None,
        Ok(_) | Err(_) => Some(kind(&mut checks, message.kind)),
    };
    checks.finish(wanted)
}

fn id(checks: &mut Checks, number: i32, name: String, version: u32) -> DocumentId {
    let kind = kind(checks, number);
    let name = checks.code("name", name);
    if version == 0 {
        checks.refuse("version", "is missing; versions count from 1");
    }
    DocumentId { kind, name, version }
}

fn kind(checks: &mut Checks, number: i32) -> DocumentKind {
    match v1::DocumentKind::try_from(number) {
        Ok(v1::DocumentKind::Policy) => DocumentKind::Policy,
        Ok(v1::DocumentKind::Tariff) => DocumentKind::Tariff,
        Ok(v1::DocumentKind::Unspecified) => {
            checks.refuse("kind", "is missing; DOCUMENT_KIND_POLICY or DOCUMENT_KIND_TARIFF is needed");
            DocumentKind::Policy
        }
        Err(_) => {
            checks.refuse("kind", format_args!("is {number}; no DocumentKind has this number"));
            DocumentKind::Policy
        }
    }
}

/// A version as it stands at a moment, without its text.
pub(crate) fn shown(documents: &Documents, document: &Document, now: Timestamp) -> v1::Document {
    let state = match documents.state(document, now) {
        DocumentState::Draft => v1::DocumentState::Draft,
        DocumentState::Active => v1::DocumentState::Active,
        DocumentState::Retired => v1::DocumentState::Retired,
    };
    v1::Document {
        kind: i32::from(wire_kind(document.id.kind)),
        name: document.id.name.clone(),
        version: document.id.version,
        state: i32::from(state),
        json: String::new(),
        effective_time: (document.effective_at > Timestamp(0)).then(|| time::to_wire(document.effective_at)),
        revision: document.revision.get(),
    }
}

/// A version as its own event left it: what a repeat of the request is told, too.
pub(crate) fn changed(
    id: &DocumentId,
    state: v1::DocumentState,
    effective_at: Option<Timestamp>,
    revision: u64,
) -> v1::Document {
    v1::Document {
        kind: i32::from(wire_kind(id.kind)),
        name: id.name.clone(),
        version: id.version,
        state: i32::from(state),
        json: String::new(),
        effective_time: effective_at.map(time::to_wire),
        revision,
    }
}

fn wire_kind(kind: DocumentKind) -> v1::DocumentKind {
    match kind {
        DocumentKind::Policy => v1::DocumentKind::Policy,
        DocumentKind::Tariff => v1::DocumentKind::Tariff,
    }
}

/// What lint found.
pub(crate) fn finding(finding: Finding) -> v1::Finding {
    let severity = match finding.severity {
        Severity::Error => v1::FindingSeverity::Error,
        Severity::Warning => v1::FindingSeverity::Warning,
        Severity::Note => v1::FindingSeverity::Note,
    };
    v1::Finding { severity: i32::from(severity), path: finding.path, message: finding.message }
}

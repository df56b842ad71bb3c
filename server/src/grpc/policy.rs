//! The service of policies and tariffs: convert, submit, wait, convert.

use std::sync::Arc;

use quartermaster_engine::{
    Answer, Error,
    catalog::{
        Directory,
        documents::{Content, Document, DocumentId},
    },
    event::Event,
};
use quartermaster_proto::v1::{self, policy_service_server::PolicyService};
use tonic::{Request, Response, Status};

use super::{
    caller,
    convert::{
        answers::Told,
        documents::{self, Linted},
    },
    status::ApiError,
};
use crate::node::Node;

type Reply<T> = Result<Response<T>, Status>;

/// Keeps policies and tariffs.
#[derive(Clone)]
pub struct Policy {
    node: Arc<Node>,
}

impl Policy {
    /// The service of a node.
    #[must_use]
    pub fn new(node: Arc<Node>) -> Self {
        Self { node }
    }

    /// What a change made of its document: a function of its event.
    fn changed(&self, answer: Answer) -> Result<(v1::Position, bool, v1::Document), ApiError> {
        let revision = answer.lsn.get();
        let told = Told::of(&self.node, answer, |catalogue, event| match event {
            Event::DocumentDrafted { document, .. } => {
                Some(documents::changed(document, v1::DocumentState::Draft, None, revision))
            }
            Event::DocumentActivated { document, effective_at } => {
                Some(documents::changed(document, v1::DocumentState::Active, Some(*effective_at), revision))
            }
            Event::DocumentRetired { document } => {
                let kept = catalogue.directory().documents().get(document);
                let effective_at = kept.map(|kept| kept.effective_at);
                Some(documents::changed(document, v1::DocumentState::Retired, effective_at, revision))
            }
            _ => None,
        })?;
        told.done()
    }

    /// The directory, and the position that it rests on.
    async fn directory(&self) -> Result<(v1::Position, Arc<Directory>), ApiError> {
        let (lsn, directory) = {
            let catalogue = self.node.engine().catalogue();
            let durable = self.node.engine().journal().durable_lsn();
            (catalogue.revision().max(durable), Arc::clone(catalogue.directory()))
        };
        self.node.settle(lsn).await?;
        Ok((self.node.position(lsn), directory))
    }
}

#[tonic::async_trait]
impl PolicyService for Policy {
    async fn draft_document(&self, request: Request<v1::DraftDocumentRequest>) -> Reply<v1::DraftDocumentResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = documents::draft(message)?;
        let answer = self.node.submit(&caller.signed(request), &command).await?;
        let (position, replayed, document) = self.changed(answer)?;
        let (_, directory) = self.directory().await?;
        let found =
            kept(&directory, &documents::get(named(&document))?).and_then(|kept| lint(&self.node, &directory, kept))?;
        let findings = found.into_iter().map(documents::finding).collect();
        Ok(Response::new(v1::DraftDocumentResponse {
            position: Some(position),
            replayed,
            document: Some(document),
            findings,
        }))
    }

    async fn lint_document(&self, request: Request<v1::LintDocumentRequest>) -> Reply<v1::LintDocumentResponse> {
        let linted = documents::lint(request.into_inner())?;
        let (position, directory) = self.directory().await?;
        let found = match linted {
            Linted::Text(Ok(content)) => directory.lint(&content, self.node.now()),
            Linted::Text(Err(fault)) => vec![fault],
            Linted::Kept(id) => lint(&self.node, &directory, kept(&directory, &id)?)?,
        };
        let findings = found.into_iter().map(documents::finding).collect();
        Ok(Response::new(v1::LintDocumentResponse { position: Some(position), findings }))
    }

    async fn activate_document(
        &self,
        request: Request<v1::ActivateDocumentRequest>,
    ) -> Reply<v1::ActivateDocumentResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = documents::activate(message)?;
        let answer = self.node.submit(&caller.signed(request), &command).await?;
        let (position, replayed, document) = self.changed(answer)?;
        Ok(Response::new(v1::ActivateDocumentResponse { position: Some(position), replayed, document: Some(document) }))
    }

    async fn retire_document(&self, request: Request<v1::RetireDocumentRequest>) -> Reply<v1::RetireDocumentResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = documents::retire(message)?;
        let answer = self.node.submit(&caller.signed(request), &command).await?;
        let (position, replayed, document) = self.changed(answer)?;
        Ok(Response::new(v1::RetireDocumentResponse { position: Some(position), replayed, document: Some(document) }))
    }

    async fn get_document(&self, request: Request<v1::GetDocumentRequest>) -> Reply<v1::GetDocumentResponse> {
        let id = documents::get(request.into_inner())?;
        let (position, directory) = self.directory().await?;
        let now = self.node.now();
        let in_force = directory.documents().in_force(id.kind, &id.name, now).filter(|_| id.version == 0);
        let document = match in_force {
            Some(document) => document,
            None => kept(&directory, &id)?,
        };
        let shown = documents::shown(directory.documents(), document, now);
        let document = Some(v1::Document { json: document.json.to_string(), ..shown });
        Ok(Response::new(v1::GetDocumentResponse { position: Some(position), document }))
    }

    async fn list_documents(&self, request: Request<v1::ListDocumentsRequest>) -> Reply<v1::ListDocumentsResponse> {
        let kind = documents::list(request.get_ref())?;
        let (position, directory) = self.directory().await?;
        let (all, now) = (directory.documents(), self.node.now());
        let wanted = all.iter().filter(|document| kind.is_none_or(|kind| document.id.kind == kind));
        let documents = wanted.map(|document| documents::shown(all, document, now)).collect();
        Ok(Response::new(v1::ListDocumentsResponse { position: Some(position), documents }))
    }
}

/// A version that is kept; version 0 stands for the newest.
fn kept<'a>(directory: &'a Directory, id: &DocumentId) -> Result<&'a Arc<Document>, ApiError> {
    let documents = directory.documents();
    let found = match id.version {
        0 => documents.versions(id.kind, &id.name).next_back(),
        _ => documents.get(id),
    };
    found.ok_or_else(|| Error::UnknownDocument { document: id.clone() }.into())
}

fn named(document: &v1::Document) -> v1::GetDocumentRequest {
    v1::GetDocumentRequest { kind: document.kind, name: document.name.clone(), version: document.version }
}

/// What lint says of a version that is kept.
fn lint(
    node: &Node,
    directory: &Directory,
    document: &Document,
) -> Result<Vec<quartermaster_sourcing::policy::Finding>, ApiError> {
    let content = Content::read(document.id.kind, &document.json)
        .map_err(|fault| Error::InvalidDocument { faults: vec![fault] })?;
    Ok(directory.lint(&content, node.now()))
}

//! `quartermaster policy` and `quartermaster tariff`: documents on a running server. One command, the kind is an argument.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Subcommand;
use quartermaster_client::Transport;
use quartermaster_engine::time::Timestamp;
use quartermaster_proto::v1::policy_service_client::PolicyServiceClient;
use quartermaster_proto::v1::{
    ActivateDocumentRequest, Document, DocumentKind, DraftDocumentRequest, Finding, FindingSeverity,
    GetDocumentRequest, LintDocumentRequest, ListDocumentsRequest, RetireDocumentRequest,
};
use tonic::Status;
use tonic_types::StatusExt as _;

use super::remote::Target;
use super::{exit, print, show};

/// Documents on a running server: drafted, put in force, taken out of force.
#[derive(Clone, Debug, clap::Args)]
pub struct DocumentArgs {
    #[command(subcommand)]
    step: Step,
    #[command(flatten)]
    target: Target,
}

#[derive(Clone, Debug, Subcommand)]
enum Step {
    /// Says what is wrong with a file, and what looks wrong; keeps nothing. Ends with 1 when something is wrong.
    Lint {
        /// TOML or JSON.
        file: PathBuf,
    },
    /// Keeps a file as the next version of its name.
    Draft {
        /// TOML or JSON.
        file: PathBuf,
    },
    /// Puts a draft in force; the version before it is retired then.
    Activate {
        /// Name of the document.
        name: String,
        /// Its version.
        version: u32,
        /// From when on, as 2026-11-11T00:00:00+08:00; without it now.
        #[arg(long, value_name = "TIME", value_parser = show::parse_time)]
        at: Option<Timestamp>,
    },
    /// Takes a version out of force.
    Retire {
        /// Name of the document.
        name: String,
        /// Its version.
        version: u32,
    },
    /// Lists all versions.
    List,
    /// Prints a version with its text as JSON.
    Show {
        /// Name of the document.
        name: String,
        /// Its version; without it the one in force, else the newest.
        version: Option<u32>,
    },
}

/// Why a command ended early.
enum Stop {
    File(PathBuf, std::io::Error),
    BadTarget(String),
    Refused(Box<Status>),
}

impl From<Status> for Stop {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

/// Does one step. Ends with 0 when it is done, with 1 when the server refused it or lint found errors, with 2 when it cannot be
/// asked.
pub async fn run(kind: DocumentKind, args: &DocumentArgs) -> ExitCode {
    match step(kind, args).await {
        Ok(code) => code.into(),
        Err(stop) => {
            let what = noun(kind);
            match stop {
                Stop::File(path, error) => {
                    eprintln!("quartermaster {what}: cannot read {}: {error}", path.display());
                    exit::UNUSABLE.into()
                }
                Stop::BadTarget(error) => {
                    eprintln!("quartermaster {what}: {error}");
                    exit::UNUSABLE.into()
                }
                Stop::Refused(status) => {
                    let code = args.target.refused(what, &status);
                    eprint!("{}", violations(&status));
                    code.into()
                }
            }
        }
    }
}

async fn step(kind: DocumentKind, args: &DocumentArgs) -> Result<u8, Stop> {
    let channel = args.target.channel().map_err(Stop::BadTarget)?;
    let mut client = PolicyServiceClient::new(channel).max_decoding_message_size(64 << 20);
    match &args.step {
        Step::Lint { file } => {
            let text = read(file)?;
            let request = LintDocumentRequest { kind: kind.into(), text, ..LintDocumentRequest::default() };
            let findings = client.lint_document(request).await?.into_inner().findings;
            print(&findings_page(&findings));
            let errors = findings.iter().any(|finding| finding.severity() == FindingSeverity::Error);
            return Ok(if errors { exit::FAILED } else { exit::OK });
        }
        Step::Draft { file } => {
            let text = read(file)?;
            let request = DraftDocumentRequest { request_id: request_id("draft"), kind: kind.into(), text };
            let answer = client.draft_document(request).await?.into_inner();
            print(&findings_page(&answer.findings));
            changed("drafted", answer.document);
        }
        Step::Activate { name, version, at } => {
            let effective_time = at.map(wire_time);
            let request = ActivateDocumentRequest {
                request_id: request_id("activate"),
                kind: kind.into(),
                name: name.clone(),
                version: *version,
                effective_time,
            };
            changed("in force", client.activate_document(request).await?.into_inner().document);
        }
        Step::Retire { name, version } => {
            let request = RetireDocumentRequest {
                request_id: request_id("retire"),
                kind: kind.into(),
                name: name.clone(),
                version: *version,
            };
            changed("retired", client.retire_document(request).await?.into_inner().document);
        }
        Step::List => print(&list(&mut client, kind).await?),
        Step::Show { name, version } => {
            let request = GetDocumentRequest { kind: kind.into(), name: name.clone(), version: version.unwrap_or(0) };
            let document = client.get_document(request).await?.into_inner().document.unwrap_or_default();
            let text: serde_json::Value = serde_json::from_str(&document.json).unwrap_or_default();
            print(&(serde_json::to_string_pretty(&text).unwrap_or_default() + "\n"));
        }
    }
    Ok(exit::OK)
}

async fn list(client: &mut PolicyServiceClient<Transport>, kind: DocumentKind) -> Result<String, Stop> {
    let request = ListDocumentsRequest { kind: kind.into() };
    Ok(table(&client.list_documents(request).await?.into_inner().documents))
}

fn read(file: &PathBuf) -> Result<String, Stop> {
    fs::read_to_string(file).map_err(|error| Stop::File(file.clone(), error))
}

fn noun(kind: DocumentKind) -> &'static str {
    match kind {
        DocumentKind::Unspecified => "document",
        DocumentKind::Policy => "policy",
        DocumentKind::Tariff => "tariff",
    }
}

/// Each run is a request of its own: whoever runs it again means it again.
pub(super) fn request_id(step: &str) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("cli-{step}-{}-{}", std::process::id(), since.as_nanos())
}

fn wire_time(at: Timestamp) -> prost_types::Timestamp {
    let seconds = i64::try_from(at.0 / 1_000_000).unwrap_or(i64::MAX);
    let nanos = i32::try_from(at.0 % 1_000_000 * 1_000).unwrap_or(0);
    prost_types::Timestamp { seconds, nanos }
}

fn changed(what: &str, document: Option<Document>) {
    let document = document.unwrap_or_default();
    let from = document.effective_time.filter(|_| what == "in force").map(|at| format!(" from {at}"));
    let from = from.unwrap_or_default();
    let (noun, name, version) = (noun(document.kind()), document.name, document.version);
    print(&format!("{noun} {name} version {version}: {what}{from}\n"));
}

/// A line for each finding, errors first; says so when there is none.
pub(super) fn findings_page(findings: &[Finding]) -> String {
    if findings.is_empty() {
        return "nothing is wrong\n".to_owned();
    }
    let line = |finding: &Finding| {
        let severity = match finding.severity() {
            FindingSeverity::Unspecified => "",
            FindingSeverity::Error => "error",
            FindingSeverity::Warning => "warning",
            FindingSeverity::Note => "note",
        };
        let path = if finding.path.is_empty() { "document" } else { &finding.path };
        format!("{severity:<8} {path}: {}\n", finding.message)
    };
    findings.iter().map(line).collect()
}

/// What the server says of each place in a document it refused.
pub(super) fn violations(status: &Status) -> String {
    let details = status.get_error_details();
    let Some(request) = details.bad_request() else { return String::new() };
    let line = |wrong: &tonic_types::FieldViolation| {
        let path = if wrong.field.is_empty() { "document" } else { &wrong.field };
        format!("  {path}: {}\n", wrong.description)
    };
    request.field_violations.iter().map(line).collect()
}

fn table(documents: &[Document]) -> String {
    let width = documents.iter().map(|document| document.name.chars().count()).max().unwrap_or(0).max(4);
    let mut page = format!("{:<width$}  {:>7}  {:<8}  {}\n", "name", "version", "state", "in force from");
    for document in documents {
        let state = document.state().as_str_name().trim_start_matches("DOCUMENT_STATE_").to_lowercase();
        let from = document.effective_time.map(|at| at.to_string()).unwrap_or_default();
        let line = format!("{:<width$}  {:>7}  {state:<8}  {from}", document.name, document.version);
        page.push_str(line.trim_end());
        page.push('\n');
    }
    page
}

#[cfg(test)]
mod tests {
    use quartermaster_proto::v1::DocumentState;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: DocumentArgs,
    }

    #[test]
    fn the_server_is_named_before_or_after_the_step() {
        use clap::Parser as _;
        for line in ["policy --target x list", "policy list --target x", "policy show retail 3 --target x"] {
            assert_eq!(Line::parse_from(line.split(' ')).args.target.target.as_deref(), Some("x"));
        }
    }

    #[test]
    fn a_list_reads_as_a_table() {
        let document = |name: &str, version, state: DocumentState, seconds| Document {
            name: name.into(),
            version,
            state: state.into(),
            effective_time: (seconds > 0).then_some(prost_types::Timestamp { seconds, nanos: 0 }),
            ..Document::default()
        };
        let documents = [
            document("retail", 1, DocumentState::Active, 1_794_355_200),
            document("retail", 2, DocumentState::Draft, 0),
        ];
        let expected = "name    version  state     in force from\n\
                        retail        1  active    2026-11-11T00:00:00Z\n\
                        retail        2  draft\n";
        assert_eq!(table(&documents), expected);
    }

    #[test]
    fn findings_name_their_place() {
        let finding = |severity: FindingSeverity, path: &str| Finding {
            severity: severity.into(),
            path: path.into(),
            message: "is wrong".into(),
        };
        let findings = [finding(FindingSeverity::Error, "rules[2].exclude"), finding(FindingSeverity::Note, "")];
        assert_eq!(findings_page(&findings), "error    rules[2].exclude: is wrong\nnote     document: is wrong\n");
        assert_eq!(findings_page(&[]), "nothing is wrong\n");
    }
}

//! How a call ends when it has no answer: what is known about its effect, by type.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use quartermaster_proto::v1::{ErrorReason, ItemError};
use tonic::{Code, ConnectError, Status};
use tonic_types::StatusExt as _;

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// No server was named.
    #[error("no target: name at least one server, for example http://127.0.0.1:7070")]
    NoTarget,
    /// The address is not a URL.
    #[error("{target:?} is no address of a server: write it as http://HOST:PORT or https://HOST:PORT")]
    Address {
        /// What was given.
        target: String,
        /// Why it is none.
        source: tonic::transport::Error,
    },
    /// A file cannot be read.
    #[error("cannot read {what} {}: {source}", path.display())]
    File {
        /// What it should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The certificates or the key are not as they must be.
    #[error("the certificates cannot be used: {source}")]
    Certificates {
        /// What is wrong with them.
        source: tonic::transport::Error,
    },
    /// The token cannot be sent.
    #[error("the token{} cannot be sent: it is empty, or has other characters than visible ASCII", from(.path))]
    Token {
        /// The file it was read from.
        path: Option<PathBuf>,
    },
    /// A token would travel where everybody on the way can read it.
    #[error(
        "{target} has no TLS and is not this machine: a token would be sent in the clear; use https://, or allow it plainly"
    )]
    TokenInTheClear {
        /// The server it would be sent to.
        target: String,
    },
    /// One half of a client certificate.
    #[error("a client certificate needs its key, and a key its certificate: give both or neither")]
    HalfIdentity,
}

fn from(path: &Option<PathBuf>) -> String {
    path.as_ref().map_or_else(String::new, |path| format!(" in {}", path.display()))
}

/// How a call ended without an answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// It may have been done or not: its last try, or one before, was not answered. Ask [`Client::outcome`](crate::Client::outcome), or
    /// call again with the same `request_id` and content: if it was done, that gives the first answer.
    #[error("the outcome of request {request_id} is unknown after {tries} tries: {last}")]
    UnknownOutcome {
        /// The id to ask by.
        request_id: String,
        /// How often it was sent.
        tries: u32,
        /// How the last try ended.
        last: Box<Refusal>,
    },
    /// Nothing was done, and later it may be: nobody was there, or the server is too busy, stopping or full. A question that was not
    /// answered in time ends so, too.
    #[error("not done after {tries} tries: {last}")]
    Unavailable {
        /// How often it was sent.
        tries: u32,
        /// How the last try ended.
        last: Box<Refusal>,
    },
    /// The request is wrong: a bug in the caller. [`Refusal::fields`] names each field.
    #[error("{0}")]
    Invalid(Box<Refusal>),
    /// There is no such code or id.
    #[error("{0}")]
    NotFound(Box<Refusal>),
    /// The request id was used for other content, what is to be made exists, or a version has moved on.
    #[error("{0}")]
    Conflict(Box<Refusal>),
    /// The state of what is named forbids it: read again, decide again.
    #[error("{0}")]
    Precondition(Box<Refusal>),
    /// No room: the disk is full, a table is full, or the caller has used up what it may. Nothing was done.
    #[error("{0}")]
    Full(Box<Refusal>),
    /// The caller is not known, or may not do this.
    #[error("{0}")]
    Denied(Box<Refusal>),
    /// A fault of the server, or a server that does not know the method: stop and tell somebody.
    #[error("{0}")]
    Fault(Box<Refusal>),
}

impl CallError {
    /// How the last try ended.
    #[must_use]
    pub fn refusal(&self) -> &Refusal {
        match self {
            CallError::UnknownOutcome { last, .. } | CallError::Unavailable { last, .. } => last,
            CallError::Invalid(last)
            | CallError::NotFound(last)
            | CallError::Conflict(last)
            | CallError::Precondition(last)
            | CallError::Full(last)
            | CallError::Denied(last)
            | CallError::Fault(last) => last,
        }
    }

    /// The error of a call over a generated stub that is a question, or whose request id the caller knows.
    #[must_use]
    pub fn of_status(status: &Status) -> CallError {
        let last = Refusal::of(status);
        match last.verdict {
            Verdict::Final => CallError::of_final(last),
            Verdict::NotDone | Verdict::Unknown => CallError::Unavailable { tries: 1, last: Box::new(last) },
        }
    }

    /// The error of one reservation of a batch or a stream, as the unary call would have failed.
    #[must_use]
    pub fn of_item(request_id: &str, error: &ItemError) -> CallError {
        let mut last = Refusal {
            code: Code::from_i32(error.code),
            reason: error.reason(),
            message: error.message.clone(),
            facts: BTreeMap::new(),
            fields: Vec::new(),
            retry_after: None,
            verdict: Verdict::Final,
        };
        last.verdict = last.judged(None);
        match last.verdict {
            Verdict::Final => CallError::of_final(last),
            Verdict::NotDone => CallError::Unavailable { tries: 1, last: Box::new(last) },
            Verdict::Unknown => {
                CallError::UnknownOutcome { request_id: request_id.to_owned(), tries: 1, last: Box::new(last) }
            }
        }
    }

    /// The end of a call whose last try ended with `last`, which is final.
    pub(crate) fn of_final(last: Refusal) -> CallError {
        let last = Box::new(last);
        match last.code {
            Code::InvalidArgument | Code::OutOfRange => CallError::Invalid(last),
            Code::NotFound => CallError::NotFound(last),
            Code::AlreadyExists | Code::Aborted => CallError::Conflict(last),
            Code::FailedPrecondition => CallError::Precondition(last),
            Code::ResourceExhausted => CallError::Full(last),
            Code::Unauthenticated | Code::PermissionDenied => CallError::Denied(last),
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss => CallError::Fault(last),
        }
    }
}

/// How one try ended, told apart by what it says about the effect of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This is the answer: asking again would give the same.
    Final,
    /// Nothing was done; asking again may help.
    NotDone,
    /// It may have been done.
    Unknown,
}

/// An error status, taken apart.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// gRPC status code.
    pub code: Code,
    /// Typed reason; `Unspecified` when the status carries none, as those do that no server of ours made.
    pub reason: ErrorReason,
    /// In a sentence, for people and logs.
    pub message: String,
    /// Facts of the reason by name: limits, states, codes.
    pub facts: BTreeMap<String, String>,
    /// Of a wrong request: each field, and what is wrong with it.
    pub fields: Vec<(String, String)>,
    /// When the server wants to be asked again.
    pub retry_after: Option<Duration>,
    /// What it says about the effect of the call.
    pub verdict: Verdict,
}

impl Refusal {
    /// Takes `status` apart.
    #[must_use]
    pub fn of(status: &Status) -> Refusal {
        let details = status.get_error_details();
        let info = details.error_info();
        let reason = info.and_then(|info| ErrorReason::from_str_name(&format!("ERROR_REASON_{}", info.reason)));
        let violations = details.bad_request().into_iter().flat_map(|bad| &bad.field_violations);
        let mut refusal = Refusal {
            code: status.code(),
            reason: reason.unwrap_or_default(),
            message: with_causes(status),
            facts: info.map(|info| info.metadata.clone().into_iter().collect()).unwrap_or_default(),
            fields: violations.map(|one| (one.field.clone(), one.description.clone())).collect(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
            verdict: Verdict::Final,
        };
        refusal.verdict = refusal.judged(Some(status));
        refusal
    }

    fn judged(&self, status: Option<&Status>) -> Verdict {
        match self.code {
            // Told by the server before anything was begun, or nobody was there to begin it.
            Code::Unavailable => match self.reason {
                ErrorReason::Overloaded | ErrorReason::ShuttingDown | ErrorReason::NotReached => Verdict::NotDone,
                _ if status.is_some_and(never_sent) => Verdict::NotDone,
                _ => Verdict::Unknown,
            },
            Code::ResourceExhausted if self.retry_after.is_some() => Verdict::NotDone,
            Code::DeadlineExceeded | Code::Cancelled | Code::Unknown => Verdict::Unknown,
            // No answer of a server, but what a broken connection looks like.
            Code::Internal if status.is_some_and(|status| status.source().is_some()) => Verdict::Unknown,
            _ => Verdict::Final,
        }
    }

    /// The reason as `ErrorInfo.reason` names it, "OVERLOADED"; empty when there is none.
    #[must_use]
    pub fn reason_name(&self) -> &'static str {
        match self.reason {
            ErrorReason::Unspecified => "",
            reason => reason.as_str_name().trim_start_matches("ERROR_REASON_"),
        }
    }

    /// The code as the API's documents write it: `INVALID_ARGUMENT`.
    #[must_use]
    pub fn code_name(&self) -> &'static str {
        match self.code {
            Code::Ok => "OK",
            Code::Cancelled => "CANCELLED",
            Code::Unknown => "UNKNOWN",
            Code::InvalidArgument => "INVALID_ARGUMENT",
            Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Code::NotFound => "NOT_FOUND",
            Code::AlreadyExists => "ALREADY_EXISTS",
            Code::PermissionDenied => "PERMISSION_DENIED",
            Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Code::FailedPrecondition => "FAILED_PRECONDITION",
            Code::Aborted => "ABORTED",
            Code::OutOfRange => "OUT_OF_RANGE",
            Code::Unimplemented => "UNIMPLEMENTED",
            Code::Internal => "INTERNAL",
            Code::Unavailable => "UNAVAILABLE",
            Code::DataLoss => "DATA_LOSS",
            Code::Unauthenticated => "UNAUTHENTICATED",
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let reason = self.reason_name();
        let space = if reason.is_empty() { "" } else { " " };
        write!(f, "{}{space}{reason}: {}", self.code_name(), self.message)
    }
}

/// Whether the status says that no connection came up, so that nothing was sent.
fn never_sent(status: &Status) -> bool {
    causes(status).any(|cause| cause.is::<ConnectError>())
}

fn causes(status: &Status) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(status.source(), |cause: &&(dyn Error + 'static)| (*cause).source())
}

/// The message, and what lies beneath it as far as that says more.
fn with_causes(status: &Status) -> String {
    let mut text = status.message().to_owned();
    for cause in causes(status) {
        let words = cause.to_string();
        // Every layer likes to say what the one below it said.
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
    }
    text
}

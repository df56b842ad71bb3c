//! One question to a running server: sent, told, and ended with a code that scripts can tell apart.

use std::process::ExitCode;

use quartermaster_client::{CallError, Called, Client, Unary};
use quartermaster_proto::v1::Rejection;
use tonic::Status;

use super::output::answer_json;
use super::remote::Target;
use super::{Output, exit, print};

/// What every command has that asks a server.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Asked {
    /// Form of what is printed.
    #[arg(short, long, value_enum, default_value_t, global = true)]
    pub(super) output: Output,
    // Last, because the heading of its flags would go on to what follows.
    #[command(flatten)]
    pub(super) target: Target,
}

/// What a command has that changes something once.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Change {
    /// Request id: running the command again with the same id and content gives the first answer and changes nothing. Without it one is
    /// made, and told.
    #[arg(long, value_name = "ID", global = true)]
    pub(super) request_id: Option<String>,
}

/// What a command has that asks, and changes something once or nothing.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Changing {
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    asked: Asked,
}

/// Why a command ended early.
#[derive(Debug)]
pub(super) enum Stop {
    /// It could not be tried: an argument, a file, an input line.
    Unusable(String),
    /// A business "no"; nothing changed.
    Rejected(Box<Rejection>),
    /// The call has no answer.
    Failed(Box<CallError>),
    /// It was told already; only the code is left.
    Ended(u8),
}

impl From<CallError> for Stop {
    fn from(error: CallError) -> Stop {
        Stop::Failed(Box::new(error))
    }
}

impl From<Status> for Stop {
    fn from(status: Status) -> Stop {
        CallError::of_status(&status).into()
    }
}

/// A server to ask, and how answers are printed.
pub(super) struct Asking {
    pub(super) client: Client,
    pub(super) output: Output,
    /// The id of a change that names none itself.
    request_id: Option<String>,
}

impl Asked {
    /// # Errors
    /// When the connection cannot be described so.
    pub(super) fn open(&self) -> Result<Asking, Stop> {
        let client = self.target.client().map_err(Stop::Unusable)?;
        Ok(Asking { client, output: self.output, request_id: None })
    }

    /// Says how it ended, and gives the code for it.
    pub(super) fn end(&self, command: &str, done: Result<(), Stop>) -> ExitCode {
        match done {
            Ok(()) => exit::OK.into(),
            Err(stop) => stop.report(command, &self.target).into(),
        }
    }
}

impl Changing {
    /// # Errors
    /// As for [`Asked::open`].
    pub(super) fn open(&self) -> Result<Asking, Stop> {
        Ok(Asking { request_id: self.change.request_id.clone(), ..self.asked.open()? })
    }

    /// As [`Asked::end`].
    pub(super) fn end(&self, command: &str, done: Result<(), Stop>) -> ExitCode {
        self.asked.end(command, done)
    }

    /// How answers are printed.
    pub(super) fn output(&self) -> Output {
        self.asked.output
    }
}

impl Asking {
    /// Calls the method of `request`; a change goes under the id that was given, if it has none of its own.
    ///
    /// # Errors
    /// How the call ended.
    pub(super) async fn call<Q: Unary>(&self, mut request: Q) -> Result<Called<Q::Answer>, CallError> {
        if let (Some(given), Some(own)) = (&self.request_id, request.request_id_mut())
            && own.is_empty()
        {
            own.clone_from(given);
        }
        self.client.call(request).await
    }

    /// All pages of a list: `ask` makes the request for the page of a token, `take` gives what is on it and the token of the next.
    ///
    /// # Errors
    /// How the call of a page ended.
    pub(super) async fn pages<Q: Unary, T>(
        &self,
        ask: impl Fn(String) -> Q,
        take: impl Fn(Q::Answer) -> (Vec<T>, String),
    ) -> Result<Vec<T>, Stop> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        loop {
            let (page, next) = take(self.client.call(ask(page_token)).await?.answer);
            all.extend(page);
            if next.is_empty() {
                return Ok(all);
            }
            page_token = next;
        }
    }

    /// Asks, and prints the answer: as JSON, or as `page` makes it, which also finds a rejection in it.
    ///
    /// # Errors
    /// The rejection, or how the call ended.
    pub(super) async fn tell<Q: Unary>(
        &self,
        request: Q,
        page: impl FnOnce(&Called<Q::Answer>) -> Result<String, Box<Rejection>>,
    ) -> Result<(), Stop> {
        let called = self.call(request).await?;
        if self.output == Output::Json {
            print(&answer_json::<Q>(&called.answer));
            if !called.request_id.is_empty() {
                eprintln!("request id {}", called.request_id);
            }
        }
        match page(&called) {
            Ok(page) if self.output == Output::Text => {
                print(&page);
                if !called.request_id.is_empty() {
                    print(&format!("request id {}\n", called.request_id));
                }
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(rejection) => Err(Stop::Rejected(rejection)),
        }
    }
}

impl Stop {
    /// Tells why on stderr, and gives the code to end with.
    pub(super) fn report(&self, command: &str, target: &Target) -> u8 {
        match self {
            Stop::Unusable(error) => {
                eprintln!("quartermaster {command}: {error}");
                exit::UNUSABLE
            }
            Stop::Rejected(rejection) => {
                eprint!("quartermaster {command}: {}", rejection_page(rejection));
                exit::NO
            }
            Stop::Failed(error) => {
                eprint!("quartermaster {command}: {}", failure_page(error, target));
                code_of(error)
            }
            Stop::Ended(code) => *code,
        }
    }
}

/// The code that a call without an answer ends a command with.
pub(super) fn code_of(error: &CallError) -> u8 {
    match error {
        CallError::UnknownOutcome { .. } => exit::UNKNOWN,
        CallError::Unavailable { .. } => exit::UNUSABLE,
        CallError::Invalid(_)
        | CallError::NotFound(_)
        | CallError::Conflict(_)
        | CallError::Precondition(_)
        | CallError::Full(_)
        | CallError::Denied(_)
        | CallError::Fault(_) => exit::FAILED,
    }
}

/// What the server says no to, with its figures.
pub(super) fn rejection_page(rejection: &Rejection) -> String {
    let reason = rejection.reason().as_str_name().trim_start_matches("REJECTION_REASON_");
    let mut page = format!("{reason}: {}\n", rejection.message);
    for short in &rejection.shortages {
        let at = if short.location.is_empty() { String::new() } else { format!("@{}", short.location) };
        page += &format!("  {}{at}: {} asked for, {} possible\n", short.sku, short.requested, short.available);
    }
    for one in &rejection.unserved {
        let why = one.reason().as_str_name().trim_start_matches("UNSERVED_REASON_").to_lowercase();
        page += &format!("  {}: {} not served, {why}\n", one.sku, one.quantity);
    }
    for one in &rejection.allotments {
        page += &format!("  {} of {}: {} asked for, {} possible\n", one.sku, one.node, one.asked, one.possible);
    }
    page
}

/// What is known about the call, each wrong field, and what to do.
fn failure_page(error: &CallError, target: &Target) -> String {
    let refusal = error.refusal();
    let mut page = target.advise(refusal) + "\n";
    for (field, what) in &refusal.fields {
        let field = if field.is_empty() { "document" } else { field };
        let line = format!("{field}: {what}");
        // Of one wrong field the message is that line.
        if !refusal.message.contains(&line) {
            page += &format!("  {line}\n");
        }
    }
    if let CallError::UnknownOutcome { request_id, tries, .. } = error {
        page += &format!(
            "  whether it was done is not known after {tries} tries: ask `quartermaster outcome {request_id}`,\n  \
             or run the same command again with --request-id {request_id}\n"
        );
    }
    page
}

#[cfg(test)]
mod tests {
    use quartermaster_client::{Refusal, Verdict};
    use quartermaster_proto::v1::{LineShortage, RejectionReason};
    use tonic::Code;

    use super::*;

    #[test]
    fn each_end_has_its_code() {
        let code = |code| code_of(&CallError::of_status(&Status::new(code, "x")));
        assert_eq!([Code::InvalidArgument, Code::NotFound, Code::Internal].map(code), [exit::FAILED; 3]);
        let last = Box::new(Refusal::of(&Status::deadline_exceeded("late")));
        assert_eq!(last.verdict, Verdict::Unknown);
        let unknown = CallError::UnknownOutcome { request_id: "r7".into(), tries: 2, last: last.clone() };
        assert_eq!(code_of(&unknown), exit::UNKNOWN);
        assert!(failure_page(&unknown, &Target::default()).contains("quartermaster outcome r7"));
        assert_eq!(code_of(&CallError::Unavailable { tries: 1, last }), exit::UNUSABLE);
    }

    #[test]
    fn a_no_tells_its_figures() {
        let short = LineShortage { sku: "A".into(), requested: 5, available: 2, ..LineShortage::default() };
        let rejection = Rejection {
            reason: RejectionReason::InsufficientStock.into(),
            message: "too few".into(),
            shortages: vec![short],
            ..Rejection::default()
        };
        assert_eq!(rejection_page(&rejection), "INSUFFICIENT_STOCK: too few\n  A: 5 asked for, 2 possible\n");
    }
}

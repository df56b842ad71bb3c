//! Connections to one server, and one call over them: its deadline, its bounded retries under the same request id.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quartermaster_proto::v1::ErrorReason;
use quartermaster_proto::v1::admin_service_client::AdminServiceClient;
use quartermaster_proto::v1::allocation_service_client::AllocationServiceClient;
use quartermaster_proto::v1::catalog_service_client::CatalogServiceClient;
use quartermaster_proto::v1::inventory_service_client::InventoryServiceClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt;

use crate::access::{Access, AccessError};

/// Largest answer accepted: a page of the largest reservations stays well below.
const ANSWER_BYTES_MAX: usize = 256 << 20;
/// How long a connection may take to come up.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// Several connections to one server, used in turn.
#[derive(Clone, Debug)]
pub struct Client {
    channels: Arc<[Channel]>,
    next: Arc<AtomicUsize>,
    retry: RetryPolicy,
    /// The header that proves who calls. Its Debug shows nothing of it.
    authorization: Option<MetadataValue<Ascii>>,
}

/// How a call is bounded, and when it is sent again. Only UNAVAILABLE, DEADLINE_EXCEEDED, UNKNOWN and CANCELLED are sent again, with
/// the same request id: their outcome is unknown, every other answer is final.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// Time for one attempt, sent to the server as `grpc-timeout`.
    pub deadline: Duration,
    /// Attempts in all, at least 1.
    pub attempts_max: u32,
    /// Wait before the second attempt; doubled for each further one, up to a second. A server's `RetryInfo` goes first.
    pub backoff: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy { deadline: Duration::from_secs(5), attempts_max: 5, backoff: Duration::from_millis(10) }
    }
}

/// The end of a call: its last answer, and how often it was sent again.
#[derive(Debug)]
pub struct Answered<T> {
    /// The last answer.
    pub result: Result<T, Status>,
    /// Attempts after the first.
    pub retries: u32,
}

/// A server that cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A file with a CA or a token cannot be used.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The address is not a URL.
    #[error("{target:?} is not an address; it should look like http://127.0.0.1:7070")]
    Address {
        /// What was given.
        target: String,
        /// Why it is not one.
        source: tonic::transport::Error,
    },
    /// Nobody answers there.
    #[error("no server answers at {target}")]
    Unreachable {
        /// Its address.
        target: String,
        /// What happened.
        source: tonic::transport::Error,
    },
}

impl Client {
    /// Opens `connections` (at least one) connections to `target`, for example `http://127.0.0.1:7070`.
    ///
    /// # Errors
    /// When the address is malformed or nobody answers there.
    pub async fn connect(target: &str, connections: usize, retry: RetryPolicy) -> Result<Self, ConnectError> {
        Self::connect_as(target, connections, retry, &Access::default()).await
    }

    /// The same to a server behind TLS and tokens.
    ///
    /// # Errors
    /// As `connect`, and when a file of `access` cannot be used.
    pub async fn connect_as(
        target: &str,
        connections: usize,
        retry: RetryPolicy,
        access: &Access,
    ) -> Result<Self, ConnectError> {
        let authorization = access.authorization()?;
        let endpoint = Endpoint::from_shared(target.to_owned())
            .map_err(|source| ConnectError::Address { target: target.to_owned(), source })?
            .connect_timeout(CONNECT_TIME_MAX)
            .tcp_nodelay(true)
            .initial_stream_window_size(4 << 20)
            .initial_connection_window_size(16 << 20);
        let endpoint = access.secure(endpoint)?;
        let mut channels = Vec::with_capacity(connections.max(1));
        for _ in 0..connections.max(1) {
            let channel = endpoint.connect().await;
            channels.push(channel.map_err(|source| ConnectError::Unreachable { target: target.to_owned(), source })?);
        }
        Ok(Client { channels: channels.into(), next: Arc::new(AtomicUsize::new(0)), retry, authorization })
    }

    /// The same connections under another policy.
    pub fn with_retry(&self, retry: RetryPolicy) -> Self {
        Client { retry, ..self.clone() }
    }

    /// How this client bounds its calls.
    pub fn retry(&self) -> RetryPolicy {
        self.retry
    }

    /// How many connections it has.
    pub fn connections(&self) -> usize {
        self.channels.len()
    }

    /// Reservations, over the next connection.
    pub fn allocation(&self) -> AllocationServiceClient<Channel> {
        AllocationServiceClient::new(self.channel()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// Stock, over the next connection.
    pub fn inventory(&self) -> InventoryServiceClient<Channel> {
        InventoryServiceClient::new(self.channel()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// The catalogue, over the next connection.
    pub fn catalog(&self) -> CatalogServiceClient<Channel> {
        CatalogServiceClient::new(self.channel()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// The server itself, over the next connection.
    pub fn admin(&self) -> AdminServiceClient<Channel> {
        AdminServiceClient::new(self.channel())
    }

    /// Sends `request` through `send`, again while its outcome is unknown and the policy allows.
    pub async fn call<Q, T, F>(&self, request: &Q, mut send: impl FnMut(Request<Q>) -> F) -> Answered<T>
    where
        Q: Clone,
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut retries = 0;
        loop {
            let mut attempt = Request::new(request.clone());
            attempt.set_timeout(self.retry.deadline);
            self.authorize(&mut attempt);
            let status = match send(attempt).await {
                Ok(response) => return Answered { result: Ok(response.into_inner()), retries },
                Err(status) => status,
            };
            if !outcome_unknown(status.code()) || retries + 1 >= self.retry.attempts_max {
                return Answered { result: Err(status), retries };
            }
            tokio::time::sleep(self.wait(&status, retries)).await;
            retries += 1;
        }
    }

    /// Adds what proves who calls, for calls that are not made through `call`.
    pub fn authorize<T>(&self, request: &mut Request<T>) {
        if let Some(header) = &self.authorization {
            request.metadata_mut().insert("authorization", header.clone());
        }
    }

    fn wait(&self, status: &Status, retries: u32) -> Duration {
        let told = status.get_details_retry_info().and_then(|info| info.retry_delay);
        let doubled = self.retry.backoff.saturating_mul(1 << retries.min(10));
        told.unwrap_or(doubled).min(Duration::from_secs(1))
    }

    fn channel(&self) -> Channel {
        let at = self.next.fetch_add(1, Ordering::Relaxed) % self.channels.len();
        self.channels[at].clone()
    }
}

/// Whether a call that ended so may have happened or not, so that it is asked again under the same request id.
pub fn outcome_unknown(code: Code) -> bool {
    matches!(code, Code::Unavailable | Code::DeadlineExceeded | Code::Unknown | Code::Cancelled)
}

/// The name of a status code as the API's documents write it: `INVALID_ARGUMENT`.
pub fn code_name(code: Code) -> &'static str {
    match code {
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
        Code::Unavailable => "UNAVAILABLE",
        Code::Internal => "INTERNAL",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// The typed reason of an error status, empty when it carries none.
pub fn reason_of(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

/// The typed reason of an item's error, named as `ErrorInfo.reason` names it.
pub fn reason_name(reason: ErrorReason) -> String {
    reason.as_str_name().trim_start_matches("ERROR_REASON_").to_owned()
}

/// An error status in one line: code, reason, message.
pub fn sentence(status: &Status) -> String {
    let reason = reason_of(status);
    let reason = if reason.is_empty() { reason } else { format!(" {reason}") };
    format!("{}{reason}: {}", code_name(status.code()), status.message())
}

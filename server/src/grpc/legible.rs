//! Messages that cannot be read are the caller's mistake, and are told so.
//!
//! tonic answers them INTERNAL (broken bytes, wrong UTF-8) and OUT_OF_RANGE (too long). For a gateway the one means "page someone" and
//! the other nothing, so both become INVALID_ARGUMENT with the typed reason that every other bad request has.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response};
use tonic::{Code, Status, body::Body, server::NamedService};
use tower::Service;

use super::status::ApiError;

/// How tonic and prost begin what they say of such messages.
const UNREADABLE: &str = "failed to decode Protobuf message";
const MISSING: &str = "Missing request message";
const TOO_LONG: &str = "Error, decoded message length too large";

/// A service whose callers are told what was wrong with an unreadable message.
#[derive(Clone, Debug)]
pub(crate) struct Legible<S>(pub(crate) S);

impl<S> Service<Request<Body>> for Legible<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answer = self.0.call(request);
        Box::pin(async move { answer.await.map(respond) })
    }
}

impl<S: NamedService> NamedService for Legible<S> {
    const NAME: &'static str = S::NAME;
}

/// An answer that is only a status has it among the headers; all others pass.
fn respond(response: Response<Body>) -> Response<Body> {
    if !response.headers().contains_key("grpc-status") {
        return response;
    }
    match Status::from_header_map(response.headers()) {
        Some(refused) if is_unreadable(&refused) => status(refused).into_http(),
        Some(_) | None => response,
    }
}

/// What to tell the caller whose message gave `status`.
pub(crate) fn status(status: Status) -> Status {
    if is_unreadable(&status) { ApiError::field("message", status.message()).into() } else { status }
}

fn is_unreadable(status: &Status) -> bool {
    let message = status.message();
    match status.code() {
        Code::Internal => message.starts_with(UNREADABLE) || message.starts_with(MISSING),
        Code::OutOfRange => message.starts_with(TOO_LONG),
        _ => false,
    }
}

//! One port for all: gRPC goes to the services, everything else to the JSON view.

use std::sync::Arc;
use std::time::SystemTime;

use http::header::{CONTENT_TYPE, DATE};
use http::{HeaderMap, HeaderValue, Request, Response};
use hyper::body::Incoming;
use tonic::body::Body;

use super::accept::Answer;
use super::answer::AnswerBody;
use super::arrival::Arrival;
use super::calls::Calls;
use crate::json::View;

/// Answers on the port of callers.
#[derive(Clone)]
pub(super) struct Front {
    ways: Arc<Ways>,
}

/// Shared by all connections, so that a request costs one reference.
struct Ways {
    calls: Calls,
    view: View,
}

impl Front {
    pub(super) fn new(calls: Calls, view: View) -> Front {
        Front { ways: Arc::new(Ways { calls, view }) }
    }
}

impl Answer for Front {
    type Body = AnswerBody;

    async fn answer(&self, request: Request<Incoming>, arrival: Arrival) -> Response<AnswerBody> {
        if is_grpc(request.headers()) {
            self.ways.calls.answer(&mut request.map(Body::new), &arrival).await
        } else {
            // Boxed, so that calls of gRPC do not carry about the room that this needs.
            let mut response = Box::pin(self.ways.view.answer(request, arrival)).await;
            // HTTP's dates are of letters, digits and signs: they fit.
            if let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(SystemTime::now())) {
                response.headers_mut().insert(DATE, date);
            }
            response.map(AnswerBody::uncounted)
        }
    }
}

/// "application/grpc", "application/grpc+proto", but not "application/grpc-web".
fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).map(|value| value.as_bytes());
    let rest = content_type.and_then(|value| value.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

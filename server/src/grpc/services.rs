//! All services together: calls about reservations, which nearly all are, go straight to theirs, all others through tonic's router.

use std::mem;

use http::{Request, Response};
use quartermaster_proto::v1::allocation_service_server::AllocationServiceServer;
use tonic::{body::Body, server::NamedService, service::Routes};
use tower::Service;

use super::{allocation::Allocation, legible::Legible, straight::Straight};

/// Calls about reservations.
pub(super) type Allocations = Straight<Legible<AllocationServiceServer<Allocation>>>;

/// What answers calls.
pub struct Services {
    /// None where they are among the others.
    allocations: Option<Allocations>,
    others: Routes,
}

impl Services {
    pub(super) fn new(allocations: Allocations, others: Routes) -> Self {
        Self { allocations: Some(allocations), others }
    }

    /// These, with more that `add` adds.
    #[must_use]
    pub fn with(self, add: impl FnOnce(Routes) -> Routes) -> Self {
        Self { others: add(self.others), ..self }
    }

    /// All of them behind tonic's router.
    pub fn into_routes(self) -> Routes {
        match self.allocations {
            Some(allocations) => self.others.add_service(allocations),
            None => self.others,
        }
    }

    /// Answers a call. They are always ready: the bound on calls in work is the frame's.
    pub(crate) async fn call(&self, request: &mut Request<Body>) -> Response<Body> {
        match &self.allocations {
            Some(allocations) if is_of::<Allocations>(request.uri().path()) => allocations.answer(request).await,
            // Boxed, so that reservations do not carry about the room that this needs.
            _ => Box::pin(self.others.clone().call(mem::take(request))).await.unwrap_or_else(|never| match never {}),
        }
    }
}

impl From<Routes> for Services {
    fn from(routes: Routes) -> Self {
        Self { allocations: None, others: routes }
    }
}

/// Whether `path` is "/name of the service/method".
fn is_of<S: NamedService>(path: &str) -> bool {
    let rest = path.strip_prefix('/').and_then(|path| path.strip_prefix(S::NAME));
    rest.is_some_and(|rest| rest.starts_with('/'))
}

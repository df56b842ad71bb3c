//! The service for those who run the server.

use std::{collections::BTreeMap, sync::Arc};

use quartermaster_proto::v1::{self, admin_service_server::AdminService};
use tonic::{Request, Response, Status};

use super::{limits, status::ApiError};
use crate::node::Node;
use crate::watch::slow::SlowCalls;

type Reply<T> = Result<Response<T>, Status>;

/// Tells how the server is.
#[derive(Clone)]
pub struct Admin {
    node: Arc<Node>,
}

impl Admin {
    /// The service of a node.
    #[must_use]
    pub fn new(node: Arc<Node>) -> Self {
        Self { node }
    }
}

#[tonic::async_trait]
impl AdminService for Admin {
    async fn get_status(&self, _: Request<v1::GetStatusRequest>) -> Reply<v1::GetStatusResponse> {
        Ok(Response::new(self.node.status()))
    }

    async fn get_limits(&self, _: Request<v1::GetLimitsRequest>) -> Reply<v1::GetLimitsResponse> {
        let limits = limits::all().into_iter().chain(self.node.limits());
        let by_name: BTreeMap<String, v1::Limit> = limits.map(|limit| (limit.name.clone(), limit)).collect();
        Ok(Response::new(v1::GetLimitsResponse { limits: by_name.into_values().collect() }))
    }

    async fn take_snapshot(&self, _: Request<v1::TakeSnapshotRequest>) -> Reply<v1::TakeSnapshotResponse> {
        Ok(Response::new(self.node.take_snapshot().await?))
    }

    async fn run_audit(&self, _: Request<v1::RunAuditRequest>) -> Reply<v1::RunAuditResponse> {
        let node = Arc::clone(&self.node);
        let audit = tokio::task::spawn_blocking(move || {
            let report = node.engine().audit();
            node.note_violations(&report);
            (report, node.engine().counts())
        });
        let (report, counts) = audit.await.map_err(|_| ApiError::Internal { what: "an audit broke off" })?;
        let details = report.violations.iter().take(limits::AUDIT_DETAILS_MAX.size()).map(ToString::to_string);
        Ok(Response::new(v1::RunAuditResponse {
            cells: report.cells,
            reservations: counts.held + counts.confirmed + counts.ended,
            violations: u64::try_from(report.violations.len()).unwrap_or(u64::MAX),
            details: details.collect(),
        }))
    }

    async fn list_slow_calls(&self, _: Request<v1::ListSlowCallsRequest>) -> Reply<v1::ListSlowCallsResponse> {
        Ok(Response::new(self.node.slow_calls().map(SlowCalls::told).unwrap_or_default()))
    }
}

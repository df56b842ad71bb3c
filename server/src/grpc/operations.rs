//! The service that keeps a server through its days: backups, settings, the log's level, a drain.

use std::sync::Arc;
use std::time::Duration;

use quartermaster_proto::v1::{
    self, operations_service_server::OperationsService, operations_service_server::OperationsServiceServer,
};
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status};

use super::legible::Legible;
use super::status::ApiError;
use crate::admission::Admission;
use crate::backup::NotBegun;
use crate::causes::with_causes;
use crate::health::{Health, Phase};
use crate::logging::{Level, LogLevel};
use crate::node::Node;
use crate::reload::{Changed, Reloader};

type Reply<T> = Result<Response<T>, Status>;

/// Longest time that a log level may be set for: what is forgotten for longer is no visit any more.
const LEVEL_LASTS_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);

/// What the service acts on.
#[derive(Clone)]
pub struct Operations {
    /// The node, and its backups.
    pub node: Arc<Node>,
    /// Reads the configuration anew.
    pub reloader: Arc<Reloader>,
    /// What is logged.
    pub log_level: Arc<LogLevel>,
    /// The state that balancers see.
    pub health: Health,
    /// Calls in work.
    pub admission: Arc<Admission>,
}

impl Operations {
    /// Adds the service to `routes`. Messages of more than `message_bytes_max` are refused before they are read.
    pub fn add_to(self, routes: Routes, message_bytes_max: usize) -> Routes {
        let service = OperationsServiceServer::new(self).max_decoding_message_size(message_bytes_max);
        routes.add_service(Legible(service))
    }
}

#[tonic::async_trait]
impl OperationsService for Operations {
    async fn start_backup(&self, request: Request<v1::StartBackupRequest>) -> Reply<v1::StartBackupResponse> {
        let target = request.into_inner().target;
        let node = Arc::clone(&self.node);
        // Opening a target reads files, and may ask the environment.
        let begun = tokio::task::spawn_blocking(move || node.backups().begin(&target)).await;
        let begun = begun.map_err(|_| ApiError::Internal { what: "a backup could not be begun" })?;
        let number = begun.map_err(|error| match error {
            NotBegun::Busy { .. } | NotBegun::Hanging { .. } => {
                Status::new(Code::FailedPrecondition, error.to_string())
            }
            NotBegun::Target(problem) => ApiError::field("target", problem).into(),
        })?;
        Ok(Response::new(v1::StartBackupResponse { number }))
    }

    async fn get_backup(&self, _: Request<v1::GetBackupRequest>) -> Reply<v1::GetBackupResponse> {
        Ok(Response::new(self.node.backups().status()))
    }

    async fn cancel_backup(&self, _: Request<v1::CancelBackupRequest>) -> Reply<v1::CancelBackupResponse> {
        Ok(Response::new(v1::CancelBackupResponse { cancelled: self.node.backups().cancel() }))
    }

    async fn reload_config(&self, request: Request<v1::ReloadConfigRequest>) -> Reply<v1::ReloadConfigResponse> {
        let (reloader, dry_run) = (Arc::clone(&self.reloader), request.into_inner().dry_run);
        let found = tokio::task::spawn_blocking(move || reloader.reload(dry_run)).await;
        let found = found.map_err(|_| ApiError::Internal { what: "a reload broke off" })?;
        let found = found.map_err(|error| Status::new(Code::InvalidArgument, with_causes(&error)))?;
        if !dry_run {
            found.log();
        }
        Ok(Response::new(v1::ReloadConfigResponse {
            applied: found.applied.into_iter().map(changed).collect(),
            needs_restart: found.needs_restart.into_iter().map(changed).collect(),
        }))
    }

    async fn get_log_level(&self, _: Request<v1::GetLogLevelRequest>) -> Reply<v1::GetLogLevelResponse> {
        let level = self.log_level.show();
        Ok(Response::new(v1::GetLogLevelResponse {
            directives: level.directives.clone(),
            returns: self.returns(level),
        }))
    }

    async fn set_log_level(&self, request: Request<v1::SetLogLevelRequest>) -> Reply<v1::SetLogLevelResponse> {
        let request = request.into_inner();
        let lasts = request.lasts.map(lasting).transpose()?;
        let previous_directives = self.log_level.show().directives;
        let level = self.log_level.change(&request.directives, lasts);
        let level = level.map_err(|problem| ApiError::field("directives", problem))?;
        Ok(Response::new(v1::SetLogLevelResponse { previous_directives, returns: self.returns(level) }))
    }

    async fn drain(&self, request: Request<v1::DrainRequest>) -> Reply<v1::DrainResponse> {
        let cancel = request.into_inner().cancel;
        let phase = if cancel { self.health.undrain().await } else { self.health.drain().await };
        let wanted = if cancel { Phase::Serving } else { Phase::Draining };
        if phase != wanted {
            let name = phase.name();
            return Err(Status::new(
                Code::FailedPrecondition,
                format!("the server is {name}: that is not changed by a drain"),
            ));
        }
        if cancel {
            tracing::info!("the drain was undone");
        } else {
            tracing::info!("draining, without an end: callers are asked to go elsewhere");
        }
        crate::systemd::status(phase.name());
        let calls_in_flight = self.admission.now().into();
        Ok(Response::new(v1::DrainResponse { state: phase.name().to_owned(), calls_in_flight }))
    }
}

impl Operations {
    fn returns(&self, level: Level) -> Option<v1::LogLevelReturn> {
        let (directives, left) = level.returns?;
        let at = self.node.now().0.saturating_add(u64::try_from(left.as_micros()).unwrap_or(u64::MAX));
        Some(v1::LogLevelReturn { directives, time: Some(crate::backup::timestamp(at)) })
    }
}

fn lasting(lasts: prost_types::Duration) -> Result<Duration, ApiError> {
    let problem = || ApiError::field("lasts", "must be 1 s to 7 days");
    let lasts = Duration::try_from(lasts).map_err(|_| problem())?;
    if (Duration::from_secs(1)..=LEVEL_LASTS_MAX).contains(&lasts) { Ok(lasts) } else { Err(problem()) }
}

fn changed(changed: Changed) -> v1::ChangedSetting {
    v1::ChangedSetting { key: changed.key.to_owned(), old_value: changed.old, new_value: changed.new }
}

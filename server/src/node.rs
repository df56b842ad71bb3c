//! Stand-in of the node for the tests of the services: an engine over a journal in memory, where every event is durable at once.

use std::sync::Arc;

use quartermaster_engine::{
    Answer, Engine, EngineConfig,
    command::{Command, Request},
    time::Timestamp,
};
use quartermaster_journal::{Journal, Lsn};
use quartermaster_proto::v1;

use crate::grpc::status::ApiError;

/// An engine and its journal.
pub struct Node {
    engine: Engine,
    journal: Arc<dyn Journal>,
}

impl Node {
    /// A node over a journal whose events are durable at once.
    #[must_use]
    pub fn in_memory(config: EngineConfig, journal: Arc<dyn Journal>) -> Self {
        Self { engine: Engine::new(config, Arc::clone(&journal)), journal }
    }

    /// The state.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Decides a change and waits until its answer may be told.
    ///
    /// # Errors
    /// When the request cannot stand or its event cannot be kept.
    pub async fn submit(&self, request: Request, command: Command) -> Result<Answer, ApiError> {
        let answer = self.submit_now(request, command)?;
        self.settle(answer.lsn).await?;
        Ok(answer)
    }

    /// Decides a change. Its answer may be told once it is settled.
    ///
    /// # Errors
    /// When the request cannot stand.
    #[expect(clippy::needless_pass_by_value, reason = "callers have no further use of either")]
    pub fn submit_now(&self, request: Request, command: Command) -> Result<Answer, ApiError> {
        Ok(self.engine.submit(&request, &command, self.now())?)
    }

    /// Waits until everything up to `lsn` is durable.
    ///
    /// # Errors
    /// When the journal failed before it was.
    pub async fn settle(&self, lsn: Lsn) -> Result<(), ApiError> {
        if self.journal.durable_lsn() < lsn { Err(ApiError::JournalClosed) } else { Ok(()) }
    }

    /// Where an LSN stands.
    #[must_use]
    pub fn position(&self, lsn: Lsn) -> v1::Position {
        v1::Position { shard: 0, epoch: self.journal.epoch().get(), lsn: lsn.get() }
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp(1_790_000_000_000_000)
    }

    /// How the server is.
    #[must_use]
    pub fn status(&self) -> v1::GetStatusResponse {
        let position = Some(self.position(self.journal.durable_lsn()));
        v1::GetStatusResponse { position, state: "serving".into(), ..Default::default() }
    }

    /// Limits that are set by the configuration.
    #[must_use]
    pub fn limits(&self) -> Vec<v1::Limit> {
        Vec::new()
    }

    /// Writes a snapshot.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn take_snapshot(self: &Arc<Self>) -> Result<v1::TakeSnapshotResponse, ApiError> {
        let position = Some(self.position(self.journal.durable_lsn()));
        Ok(v1::TakeSnapshotResponse { position, ..Default::default() })
    }

    /// Counts and logs what an audit found.
    pub fn note_violations(&self, report: &quartermaster_engine::audit::AuditReport) {
        report.violations.iter().for_each(|violation| tracing::error!(%violation, "an invariant is broken"));
    }
}

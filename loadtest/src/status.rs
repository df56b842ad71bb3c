//! What the server says of itself before and after a load: durability, fsyncs, events per fsync.

use quartermaster_proto::v1::{GetStatusRequest, GetStatusResponse};
use serde::Serialize;
use tonic::Status;

use crate::client::Client;

/// Asks the server how it is.
///
/// # Errors
/// When it does not answer.
pub async fn get_status(client: &Client) -> Result<GetStatusResponse, Status> {
    let answered = client.call(&GetStatusRequest {}, |request| {
        let mut admin = client.admin();
        async move { admin.get_status(request).await }
    });
    answered.await.result
}

/// What the journal did between two looks at the status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct JournalWork {
    /// Events appended.
    pub events: u64,
    /// fsyncs.
    pub fsyncs: u64,
    /// Bytes appended.
    pub bytes: u64,
}

impl JournalWork {
    /// What happened from `before` to `after`, both of the same process.
    pub fn between(before: &GetStatusResponse, after: &GetStatusResponse) -> Self {
        let (before, after) = (before.journal.unwrap_or_default(), after.journal.unwrap_or_default());
        JournalWork {
            events: after.appended_events.saturating_sub(before.appended_events),
            fsyncs: after.fsyncs.saturating_sub(before.fsyncs),
            bytes: after.appended_bytes.saturating_sub(before.appended_bytes),
        }
    }
}

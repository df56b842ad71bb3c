//! Decisions of the past, read back from the log.

use quartermaster_engine::codec;
use quartermaster_engine::event::Record;
use quartermaster_journal::{Epoch, Error, Lsn};

use super::Node;
use crate::grpc::status::ApiError;

impl Node {
    /// The record at a durable LSN and the epoch it was written in. Reads the segment that holds it, and no other; blocks meanwhile.
    ///
    /// # Errors
    /// `ExplanationGone` when its segment was given up.
    pub fn record_at(&self, lsn: Lsn) -> Result<(Epoch, Record), ApiError> {
        self.read_record(lsn).map_err(|error| {
            let oldest = self.core.log().first_lsn();
            if oldest > lsn {
                return ApiError::ExplanationGone { decided: lsn, oldest };
            }
            tracing::error!(%error, lsn = lsn.get(), "a record cannot be read back");
            ApiError::Internal { what: "a record of the log cannot be read back" }
        })
    }

    fn read_record(&self, lsn: Lsn) -> Result<(Epoch, Record), Error> {
        let mut reader = self.core.log().reader(lsn)?;
        let Some(entry) = reader.next_record()?.filter(|entry| entry.lsn == lsn) else {
            let source = "there is no such record".into();
            return Err(Error::Visit { lsn, source });
        };
        let record = codec::decode(entry.bytes).map_err(|source| Error::Visit { lsn, source: Box::new(source) })?;
        Ok((entry.epoch, record))
    }
}

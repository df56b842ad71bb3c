//! Answers to many reservations, each as a `ReserveResult` in the bytes of the answer to all.

use prost::Message;
use quartermaster_engine::{Answer, catalog::Catalogue};
use quartermaster_journal::Lsn;
use quartermaster_proto::v1::{self, reserve_result::Result as Outcome};
use quartermaster_sync::SpreadReadGuard;

use super::{
    answer::{self, Told},
    fields::put_message,
};
use crate::{
    grpc::{convert::answers, status::ApiError},
    node::Node,
};

/// Appends answers to bytes, one after the other.
pub(in crate::grpc) struct Results<'a> {
    node: &'a Node,
    /// Locked for as many answers as possible.
    catalogue: Option<SpreadReadGuard<'a, Catalogue>>,
    /// Newest position that they rest on.
    lsn: Lsn,
}

impl<'a> Results<'a> {
    /// None yet.
    pub(in crate::grpc) fn new(node: &'a Node) -> Self {
        Self { node, catalogue: None, lsn: Lsn::ZERO }
    }

    /// Appends what `answer` tells as field `field`.
    pub(in crate::grpc) fn put(&mut self, bytes: &mut Vec<u8>, field: u8, answer: Result<Answer, ApiError>) {
        let node = self.node;
        self.lsn = self.lsn.max(match &answer {
            Ok(answer) => answer.lsn,
            Err(error) => node.rests_on(error),
        });
        if let Ok(answer) = &answer
            && let Some(told) = Told::of(answer)
        {
            let catalogue = self.catalogue.get_or_insert_with(|| node.engine().catalogue());
            let position = node.position(answer.lsn);
            put_message(bytes, field, |bytes| {
                put_message(bytes, 1, |bytes| answer::put_response(bytes, catalogue, &position, answer.replayed, told));
            });
        } else {
            // The general way locks the catalogue itself.
            self.catalogue = None;
            let outcome = match answer.and_then(|answer| answers::reserve(node, answer)) {
                Ok(response) => Outcome::Response(response),
                Err(error) => Outcome::Error(error.into()),
            };
            let result = v1::ReserveResult { result: Some(outcome) };
            put_message(bytes, field, |bytes| bytes.append(&mut result.encode_to_vec()));
        }
    }

    /// Newest position that they rest on.
    pub(in crate::grpc) fn lsn(&self) -> Lsn {
        self.lsn
    }
}

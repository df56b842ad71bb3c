//! Answers to many reservations, each as a `ReserveResult` in the bytes of the answer to all.

use prost::Message;
use quartermaster_engine::catalog::Catalogue;
use quartermaster_journal::Lsn;
use quartermaster_proto::{
    fields::put_message,
    v1::{self, reserve_result::Result as Outcome},
};
use quartermaster_sync::SpreadReadGuard;

use super::answer::{self, Told};
use crate::{
    grpc::{batch::Decided, convert::answers},
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

    /// Appends what was `decided` as field `field`.
    pub(in crate::grpc) fn put(&mut self, bytes: &mut Vec<u8>, field: u8, decided: Decided) {
        let node = self.node;
        let answer = match decided {
            Decided::Plain(granted) => {
                return self.put_told(bytes, field, (granted.lsn, false), Told::Plain(&granted));
            }
            Decided::Other(answer) => *answer,
        };
        if let Ok(answer) = &answer
            && let Some(told) = Told::of(answer)
        {
            return self.put_told(bytes, field, (answer.lsn, answer.replayed), told);
        }
        self.rests_on(match &answer {
            Ok(answer) => answer.lsn,
            Err(error) => node.rests_on(error),
        });
        // The general way locks the catalogue itself.
        self.catalogue = None;
        let outcome = match answer.and_then(|answer| answers::reserve(node, answer)) {
            Ok(response) => Outcome::Response(response),
            Err(error) => Outcome::Error(error.into()),
        };
        let result = v1::ReserveResult { result: Some(outcome) };
        put_message(bytes, field, |bytes| bytes.append(&mut result.encode_to_vec()));
    }

    fn put_told(&mut self, bytes: &mut Vec<u8>, field: u8, (lsn, replayed): (Lsn, bool), told: Told<'_>) {
        self.rests_on(lsn);
        let node = self.node;
        let catalogue = self.catalogue.get_or_insert_with(|| node.engine().catalogue());
        let position = node.position(lsn);
        put_message(bytes, field, |bytes| {
            put_message(bytes, 1, |bytes| answer::put_response(bytes, catalogue, &position, replayed, told));
        });
    }

    fn rests_on(&mut self, lsn: Lsn) {
        self.lsn = self.lsn.max(lsn);
    }

    /// Newest position that they rest on.
    pub(in crate::grpc) fn lsn(&self) -> Lsn {
        self.lsn
    }
}

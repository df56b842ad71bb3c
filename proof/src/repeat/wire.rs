//! Any unary method by its name, request and answer as bytes, and of every answer the three things that repeats are judged by: position,
//! `replayed`, and the bytes of the rest.

use std::collections::HashMap;
use std::time::Duration;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, Value};
use quartermaster_loadtest::client::reason_name;
use quartermaster_proto::v1::{self, reserve_result::Result as Outcome};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::raw::Raw;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    /// LSN of its position.
    pub(super) lsn: u64,
    /// It says that the request had been answered before.
    pub(super) replayed: bool,
    /// It is a business "no".
    pub(super) rejected: bool,
    /// All of it but position and `replayed`: what must be the same each time.
    pub(super) rest: Vec<u8>,
}

/// What the API's descriptors say of its methods.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    pool: DescriptorPool,
}

impl Wire {
    /// The API that this program was built with.
    ///
    /// # Panics
    /// Never: the descriptors are part of the program.
    pub(super) fn new() -> Wire {
        let pool = DescriptorPool::decode(quartermaster_proto::FILE_DESCRIPTOR_SET);
        Wire { pool: pool.expect("Invariant: the embedded descriptors are sound") }
    }

    /// Sends `body` to `method`, such as `AllocationService/Reserve`.
    pub(super) async fn send(
        &self,
        channel: &Channel,
        method: &str,
        body: &[u8],
        deadline: Duration,
    ) -> Result<Heard, Status> {
        let path = PathAndQuery::try_from(format!("/quartermaster.v1.{method}"))
            .map_err(|_| Status::internal("Invariant: methods have names"))?;
        let mut client = Grpc::new(channel.clone());
        client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let mut request = Request::new(body.to_vec());
        request.set_timeout(deadline);
        let answer = client.unary(request, path, Raw).await?.into_inner();
        self.heard(method, &answer)
    }

    fn heard(&self, method: &str, answer: &[u8]) -> Result<Heard, Status> {
        let unreadable = |what: &dyn std::fmt::Display| Status::data_loss(format!("an unreadable answer: {what}"));
        let output = self.output(method).ok_or_else(|| unreadable(&method))?;
        let mut message = DynamicMessage::decode(output, answer).map_err(|error| unreadable(&error))?;
        if method.ends_with("/ReserveBatch") {
            message = self.only_item(answer)?;
        }
        let position = message.get_field_by_name("position").map(std::borrow::Cow::into_owned);
        let lsn = match position.as_ref().and_then(Value::as_message) {
            Some(position) => position.get_field_by_name("lsn").and_then(|lsn| lsn.as_u64()).unwrap_or(0),
            None => 0,
        };
        let replayed = message.get_field_by_name("replayed").and_then(|replayed| replayed.as_bool()).unwrap_or(false);
        let rejected = message.has_field_by_name("rejection");
        message.clear_field_by_name("position");
        message.clear_field_by_name("replayed");
        Ok(Heard { lsn, replayed, rejected, rest: message.encode_to_vec() })
    }

    /// A batch of one stands for the call that it holds.
    fn only_item(&self, answer: &[u8]) -> Result<DynamicMessage, Status> {
        let broken = |what: &str| Status::data_loss(format!("a batch of one was answered with {what}"));
        let answer = v1::ReserveBatchResponse::decode(answer).map_err(|error| broken(&error.to_string()))?;
        let [v1::ReserveResult { result: Some(result) }] = answer.results.as_slice() else {
            return Err(broken("another number of results"));
        };
        match result {
            Outcome::Response(response) => {
                let descriptor = self.pool.get_message_by_name("quartermaster.v1.ReserveResponse");
                let descriptor = descriptor.ok_or_else(|| broken("what has no descriptor"))?;
                let bytes = response.encode_to_vec();
                DynamicMessage::decode(descriptor, bytes.as_slice()).map_err(|error| broken(&error.to_string()))
            }
            Outcome::Error(error) => {
                let mut details = ErrorDetails::new();
                details.set_error_info(reason_name(error.reason()), "quartermaster", HashMap::new());
                Err(Status::with_error_details(Code::from_i32(error.code), error.message.clone(), details))
            }
        }
    }

    fn output(&self, method: &str) -> Option<MessageDescriptor> {
        let (service, name) = method.split_once('/')?;
        let service = self.pool.get_service_by_name(&format!("quartermaster.v1.{service}"))?;
        let method = service.methods().find(|method| method.name() == name)?;
        Some(method.output())
    }

    /// Methods that change something and can be asked in one message: their request carries an id.
    pub(super) fn changing(&self) -> Vec<String> {
        let services = self.pool.services().filter(|service| service.package_name() == "quartermaster.v1");
        let methods = services.flat_map(|service| service.methods().collect::<Vec<_>>());
        let changing = methods
            .filter(|method| !method.is_client_streaming() && method.input().get_field_by_name("request_id").is_some());
        let name =
            |method: prost_reflect::MethodDescriptor| format!("{}/{}", method.parent_service().name(), method.name());
        changing.map(name).filter(|name| name != "AllocationService/GetOutcome").collect()
    }
}

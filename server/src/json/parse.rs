//! JSON to messages, by the descriptors. A mistake is told with its line, its column and, where there is one, its field.

use std::fmt;

use prost_reflect::MessageDescriptor;
use prost_reflect::prost::Message;
use quartermaster_proto::v1::ErrorReason;
use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::frames;
use crate::refusal;

/// The one message of a unary request, framed. An empty body is an empty message, so that `curl -X POST` suffices for a question.
pub(super) fn one(input: &MessageDescriptor, body: &[u8]) -> Result<Vec<u8>, Status> {
    let body = if body.iter().all(u8::is_ascii_whitespace) { b"{}" } else { body };
    let mut json = serde_json::Deserializer::from_slice(body);
    let message = input.clone().deserialize(&mut json).and_then(|message| json.end().map(|()| message));
    let message = message.map_err(|error| mistake(&error))?;
    let mut framed = Vec::with_capacity(body.len());
    frames::write(&mut framed, |bytes| message.encode_raw(bytes))?;
    Ok(framed)
}

/// The messages of a streaming request, framed: one JSON array, or one value after the other.
pub(super) fn many(input: &MessageDescriptor, body: &[u8], message_bytes_max: usize) -> Result<Vec<u8>, Status> {
    let mut framed = Vec::with_capacity(body.len());
    let mut json = serde_json::Deserializer::from_slice(body);
    let mut messages = Messages { input, framed: &mut framed, message_bytes_max, refused: None };
    let parsed = if body.trim_ascii_start().starts_with(b"[") {
        json.deserialize_seq(&mut messages).and_then(|()| json.end())
    } else {
        messages.one_after_the_other(&mut json)
    };
    match messages.refused {
        Some(status) => Err(status),
        None => parsed.map(|()| framed).map_err(|error| mistake(&error)),
    }
}

/// Takes messages as they are parsed.
struct Messages<'a> {
    input: &'a MessageDescriptor,
    framed: &'a mut Vec<u8>,
    message_bytes_max: usize,
    /// Set when a message was well formed and is not taken all the same.
    refused: Option<Status>,
}

impl Messages<'_> {
    fn one_after_the_other(
        &mut self,
        json: &mut serde_json::Deserializer<serde_json::de::SliceRead<'_>>,
    ) -> Result<(), serde_json::Error> {
        // `end` is an error as long as anything but white space is left.
        while self.refused.is_none() && json.end().is_err() {
            self.input.clone().deserialize(&mut *json).map(|message| self.take(&message))?;
        }
        Ok(())
    }

    fn take(&mut self, message: &prost_reflect::DynamicMessage) {
        let length = message.encoded_len();
        let written = if length > self.message_bytes_max {
            let limit = self.message_bytes_max;
            Err(Status::resource_exhausted(format!("a message of {length} bytes; the most that is taken is {limit}")))
        } else {
            frames::write(self.framed, |bytes| message.encode_raw(bytes))
        };
        self.refused = written.err();
    }
}

impl<'de> Visitor<'de> for &mut Messages<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array of {}", self.input.full_name())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        while let Some(message) = sequence.next_element_seed(self.input.clone())? {
            self.take(&message);
            if self.refused.is_some() {
                break;
            }
        }
        Ok(())
    }
}

/// INVALID_ARGUMENT that says what is wrong and where.
fn mistake(error: &serde_json::Error) -> Status {
    let text = error.to_string();
    let facts = [("line", error.line().to_string()), ("column", error.column().to_string())];
    let mut details = refusal::info(ErrorReason::InvalidField, facts);
    if let Some(field) = unknown_field(&text) {
        details.add_bad_request_violation(field, "there is no such field");
    }
    Status::with_error_details(
        Code::InvalidArgument,
        format!("the body is not the JSON of this request: {text}"),
        details,
    )
}

/// The field in "unrecognized field name 'x' at line 1 column 5".
fn unknown_field(text: &str) -> Option<&str> {
    let (field, _position) = text.strip_prefix("unrecognized field name '")?.split_once('\'')?;
    Some(field)
}

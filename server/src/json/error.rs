//! Error statuses as JSON, as the Connect protocol writes them: `{"code", "message", "details"}`, the details decoded.

use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use prost_reflect::DynamicMessage;
use prost_reflect::prost::Message;
use serde_json::{Value, json};
use tonic::body::Body;
use tonic::metadata::BinaryMetadataValue;
use tonic::{Code, Status};

use super::JSON;
use crate::methods::Methods;

/// `status` with the HTTP status that Connect gives its code.
pub(super) fn respond(methods: &Methods, status: &Status) -> Response<Body> {
    respond_as(methods, http_status(status.code()), status)
}

/// `status` with an HTTP status of its own.
pub(super) fn respond_as(methods: &Methods, http: StatusCode, status: &Status) -> Response<Body> {
    let mut response = Response::new(Body::new(Full::from(object(methods, status).to_string())));
    *response.status_mut() = http;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    if let Some(challenge) = status.metadata().clone().into_headers().remove(WWW_AUTHENTICATE) {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

/// The JSON object of `status`.
pub(super) fn object(methods: &Methods, status: &Status) -> Value {
    let mut object = json!({ "code": name(status.code()), "message": status.message() });
    let details = details(methods, status);
    if !details.is_empty() {
        object["details"] = Value::Array(details);
    }
    object
}

/// Each detail: its type, its bytes for programs that speak Connect, and the same decoded for everyone else.
fn details(methods: &Methods, status: &Status) -> Vec<Value> {
    // What is no google.rpc.Status has no details to show.
    let rich = tonic_types::pb::Status::decode(status.details()).unwrap_or_default();
    let details = rich.details.into_iter().map(|any| {
        let name = any.type_url.rsplit('/').next().unwrap_or_default();
        let message = methods
            .pool()
            .get_message_by_name(name)
            .and_then(|descriptor| DynamicMessage::decode(descriptor, any.value.as_slice()).ok());
        let encoded = BinaryMetadataValue::from_bytes(&any.value);
        let base64 = String::from_utf8_lossy(encoded.as_encoded_bytes());
        json!({ "type": name, "value": base64, "debug": message.and_then(|message| serde_json::to_value(message).ok()) })
    });
    details.collect()
}

/// The code as Connect spells it.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "ok",
        Code::Cancelled => "canceled",
        Code::Unknown => "unknown",
        Code::InvalidArgument => "invalid_argument",
        Code::DeadlineExceeded => "deadline_exceeded",
        Code::NotFound => "not_found",
        Code::AlreadyExists => "already_exists",
        Code::PermissionDenied => "permission_denied",
        Code::ResourceExhausted => "resource_exhausted",
        Code::FailedPrecondition => "failed_precondition",
        Code::Aborted => "aborted",
        Code::OutOfRange => "out_of_range",
        Code::Unimplemented => "unimplemented",
        Code::Internal => "internal",
        Code::Unavailable => "unavailable",
        Code::DataLoss => "data_loss",
        Code::Unauthenticated => "unauthenticated",
    }
}

/// The HTTP status that Connect gives a code.
fn http_status(code: Code) -> StatusCode {
    let number = match code {
        Code::Ok => 200,
        Code::Cancelled => 499,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => 400,
        Code::Unauthenticated => 401,
        Code::PermissionDenied => 403,
        Code::NotFound => 404,
        Code::AlreadyExists | Code::Aborted => 409,
        Code::ResourceExhausted => 429,
        Code::Unimplemented => 501,
        Code::Unavailable => 503,
        Code::DeadlineExceeded => 504,
        Code::Unknown | Code::Internal | Code::DataLoss => 500,
    };
    StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

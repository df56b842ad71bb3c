//! The JSON view: every method as `POST /package.Service/Method` with a JSON body, on the port of gRPC, over HTTP/1.1 or HTTP/2.
//!
//! Driven by the descriptors: JSON becomes the message by the proto3 JSON mapping, the call takes the path of a gRPC call, the answer
//! comes back as JSON. Unary calls speak the Connect protocol (`application/json` and `application/proto`). Streams are
//! newline-delimited JSON, or a JSON array in the request; a request is read whole before its first message is sent.
mod error;
mod frames;
mod index;
mod lines;
mod parse;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method as HttpMethod, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};
use tonic::body::Body;
use tonic::{Code, Status};

use crate::config::Config;
use crate::deadline::{Deadline, GRPC_TIMEOUT};
use crate::methods::{Method, Methods};
use crate::refusal;
use crate::serve::{AnswerBody, Arrival, Call, Calls, STREAM_BODIES_MAX};
use crate::watch::request_id::X_REQUEST_ID;

const JSON: &str = "application/json";
const PROTO: &str = "application/proto";
const LINES: &str = "application/x-ndjson";

/// The Connect protocol's way to tell a deadline, in milliseconds.
const CONNECT_TIMEOUT: &str = "connect-timeout-ms";

/// Time a caller without a deadline has to send its body.
const BODY_TIME: Duration = Duration::from_secs(30);

/// Headers that belong to the JSON request alone; all others travel with the call as metadata.
const OWN_HEADERS: [&str; 12] = [
    "accept",
    "accept-encoding",
    "connect-protocol-version",
    CONNECT_TIMEOUT,
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "transfer-encoding",
];

/// Answers whatever is not gRPC. Cheap to clone.
#[derive(Clone)]
pub(crate) struct View {
    calls: Calls,
    message_bytes_max: usize,
    stream_bytes_max: usize,
    stream_bodies: Arc<Semaphore>,
}

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Proto,
}

impl View {
    pub(crate) fn new(config: &Config, calls: Calls) -> View {
        View {
            calls,
            message_bytes_max: usize::try_from(config.message_bytes_max).unwrap_or(usize::MAX),
            stream_bytes_max: usize::try_from(config.json_stream_bytes_max).unwrap_or(usize::MAX),
            stream_bodies: Arc::new(Semaphore::new(STREAM_BODIES_MAX.into())),
        }
    }

    /// Answers one request, a wrong one with what would have been right.
    pub(crate) async fn answer(&self, mut request: Request<Incoming>, arrival: Arrival) -> Response<Body> {
        let methods = self.calls.methods();
        let path = request.uri().path();
        if path == "/" || path == crate::openapi::PATH {
            if *request.method() != HttpMethod::GET && *request.method() != HttpMethod::HEAD {
                return not_allowed(
                    methods,
                    "GET, HEAD",
                    &format!("what describes the API can only be read: GET {path}"),
                );
            }
            // They tell what reflection tells, to the same callers.
            return match self.calls.gate().admit_to_description(request.headers(), &arrival.source) {
                Err(denial) => error::respond(methods, &denial.into()),
                Ok(()) if path == "/" => with_type(Full::from(index::page(methods)), "text/plain; charset=utf-8"),
                Ok(()) => with_type(Full::from(crate::openapi::text()), JSON),
            };
        }
        let Some(id) = methods.find(path) else {
            return self.unknown(request, &arrival);
        };
        if request.method() != HttpMethod::POST {
            let hint = format!("{path} is called by POST with content-type: {JSON}");
            return not_allowed(methods, "POST", &hint);
        }
        let method = methods.get(id);
        let form = match form_of(request.headers(), method) {
            Ok(form) => form,
            Err(refused) => return error::respond_as(methods, StatusCode::UNSUPPORTED_MEDIA_TYPE, &refused),
        };
        match self.calls.admit(Some(id), &arrival, request.headers()) {
            Ok(call) => {
                let shown = call.id();
                let mut response = match self.calls.gate().admit(Some(id), methods, &mut request, &arrival.source) {
                    Ok(()) => self.call(call, method, form, request).await,
                    Err(denial) => {
                        let status = Status::from(denial);
                        call.end(status.code());
                        error::respond(methods, &status)
                    }
                };
                response.headers_mut().insert(X_REQUEST_ID, shown);
                response
            }
            Err(refused) => error::respond(methods, &self.calls.refusal(refused)),
        }
    }

    async fn call(&self, call: Box<Call>, method: &Method, form: Form, request: Request<Incoming>) -> Response<Body> {
        let methods = self.calls.methods();
        let (mut inner, deadline) = match self.translated(&call, method, form, request).await {
            Ok(translated) => translated,
            Err(status) => {
                call.end(status.code());
                return error::respond(methods, &status);
            }
        };
        let (head, body) = self.calls.run(call, &mut inner, deadline, Instant::now()).await.into_parts();
        if let Some(status) = Status::from_header_map(&head.headers)
            && status.code() != Code::Ok
        {
            return error::respond(methods, &status);
        }
        let output = method.descriptor.output();
        if method.descriptor.is_server_streaming() {
            let lines = lines::JsonLines::new(body, output, self.calls.clone());
            return with_type(lines, LINES);
        }
        match unary(body).await.and_then(|message| written(form, output, message)) {
            Ok(text) => with_type(Full::new(text), if form == Form::Json { JSON } else { PROTO }),
            Err(status) => error::respond(methods, &status),
        }
    }

    /// The same request as gRPC sends it, and until when it has time: that began with its arrival, the reading of the body included.
    async fn translated(
        &self,
        call: &Call,
        method: &Method,
        form: Form,
        request: Request<Incoming>,
    ) -> Result<(Request<Body>, Option<Deadline>), Status> {
        let (parts, body) = request.into_parts();
        let headers = grpc_headers(&parts.headers)?;
        let deadline = self.calls.deadline(call, &headers)?;
        let reading = self.read(method, form, &parts.headers, body);
        let sent = match deadline {
            Some(deadline) => {
                timeout_at(deadline.at, reading).await.map_err(|_late| refusal::deadline(deadline.time))?
            }
            None => timeout(BODY_TIME, reading).await.map_err(|_late| refusal::deadline(BODY_TIME))?,
        }?;
        let mut inner = Request::new(Body::new(Full::new(sent)));
        *inner.method_mut() = HttpMethod::POST;
        *inner.version_mut() = Version::HTTP_2;
        *inner.uri_mut() = parts.uri;
        *inner.headers_mut() = headers;
        *inner.extensions_mut() = parts.extensions;
        Ok((inner, deadline))
    }

    /// The messages of the request, framed.
    async fn read(&self, method: &Method, form: Form, headers: &HeaderMap, body: Incoming) -> Result<Bytes, Status> {
        if headers.get("content-encoding").is_some_and(|encoding| encoding != "identity") {
            return Err(Status::unimplemented("content-encoding: compressed bodies are not taken; send it plain"));
        }
        let streaming = method.descriptor.is_client_streaming();
        let (limit, _place) = if streaming {
            let place = self.stream_bodies.try_acquire().map_err(|_full| self.calls.too_many_json_bodies())?;
            (self.stream_bytes_max, Some(place))
        } else {
            (self.message_bytes_max, None)
        };
        let body = collect(body, limit).await?;
        match form {
            Form::Proto => {
                let mut framed = Vec::with_capacity(body.len() + frames::HEADER_BYTES);
                frames::write(&mut framed, |message| message.extend_from_slice(&body))?;
                Ok(framed.into())
            }
            Form::Json => Ok(request(method, &body, self.message_bytes_max)?.into()),
        }
    }

    fn unknown(&self, mut request: Request<Incoming>, arrival: &Arrival) -> Response<Body> {
        let methods = self.calls.methods();
        if let Ok(call) = self.calls.admit(None, arrival, request.headers()) {
            call.end(Code::Unimplemented);
        }
        if let Err(denial) = self.calls.gate().admit(None, methods, &mut request, &arrival.source) {
            return error::respond(methods, &denial.into());
        }
        let shown: String = request.uri().path().chars().take(200).collect();
        let status = Status::unimplemented(format!("there is no {shown}; there is: {}", index::paths(methods)));
        error::respond_as(methods, StatusCode::NOT_FOUND, &status)
    }
}

/// The messages of a JSON body of `method`, as gRPC frames them.
///
/// # Errors
/// INVALID_ARGUMENT with line, column and field when the body is not the JSON of this method's request; RESOURCE_EXHAUSTED when a message
/// of a stream is longer than `message_bytes_max`.
pub fn request(method: &Method, body: &[u8], message_bytes_max: usize) -> Result<Vec<u8>, Status> {
    let input = method.descriptor.input();
    if method.descriptor.is_client_streaming() {
        parse::many(&input, body, message_bytes_max)
    } else {
        parse::one(&input, body)
    }
}

/// The messages in what [`request`] framed.
///
/// # Errors
/// When it was not framed so.
pub(crate) fn messages(framed: &[u8]) -> Result<Vec<Bytes>, Status> {
    let mut frames = frames::Frames::default();
    frames.push(framed);
    let mut messages = Vec::new();
    while let Some(message) = frames.next()? {
        messages.push(message);
    }
    Ok(messages)
}

/// One message of an answer of `method` as JSON.
///
/// # Errors
/// INTERNAL when it is no such message.
pub fn answer(method: &Method, message: Bytes) -> Result<Vec<u8>, Status> {
    to_json(method.descriptor.output(), message)
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("message_bytes_max", &self.message_bytes_max).finish_non_exhaustive()
    }
}

fn form_of(headers: &HeaderMap, method: &Method) -> Result<Form, Status> {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match kind.as_str() {
        JSON | LINES => Ok(Form::Json),
        PROTO if method.is_unary() => Ok(Form::Proto),
        _ => {
            let and = if method.is_unary() { ", application/proto" } else { ", application/x-ndjson" };
            let shown: String = value.chars().take(80).collect();
            Err(Status::invalid_argument(format!(
                "content-type is \"{shown}\"; {} takes {JSON}{and} and application/grpc",
                method.path
            )))
        }
    }
}

async fn collect(body: Incoming, limit: usize) -> Result<Bytes, Status> {
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(Status::resource_exhausted(format!("the body is longer than {limit} bytes, the most that is taken")))
        }
        Err(_broken) => Err(Status::cancelled("the connection broke while the body was sent")),
    }
}

/// The headers of the inner call: the caller's metadata and what gRPC wants to see.
fn grpc_headers(outer: &HeaderMap) -> Result<HeaderMap, Status> {
    let mut headers = HeaderMap::with_capacity(outer.len() + 3);
    for (name, value) in outer {
        if !OWN_HEADERS.contains(&name.as_str()) {
            headers.append(name, value.clone());
        }
    }
    if let Some(asked) = outer.get(CONNECT_TIMEOUT) {
        let digits =
            asked.to_str().ok().filter(|text| text.len() <= 8 && text.bytes().all(|byte| byte.is_ascii_digit()));
        let value = digits.and_then(|digits| HeaderValue::from_str(&format!("{digits}m")).ok());
        let problem = "must be milliseconds, at most 8 digits";
        let value = value.ok_or_else(|| refusal::invalid_field(CONNECT_TIMEOUT, problem))?;
        headers.insert(GRPC_TIMEOUT, value);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(HeaderName::from_static("te"), HeaderValue::from_static("trailers"));
    Ok(headers)
}

/// The one message of a unary answer.
async fn unary(body: AnswerBody) -> Result<Bytes, Status> {
    let collected = body.collect().await?;
    let status = collected.trailers().and_then(Status::from_header_map);
    if let Some(status) = status
        && status.code() != Code::Ok
    {
        return Err(status);
    }
    let mut frames = frames::Frames::default();
    frames.push(&collected.to_bytes());
    frames.next()?.ok_or_else(|| Status::internal("the answer has no message"))
}

fn written(form: Form, output: MessageDescriptor, message: Bytes) -> Result<Bytes, Status> {
    match form {
        Form::Proto => Ok(message),
        Form::Json => Ok(to_json(output, message)?.into()),
    }
}

/// A message as the proto3 JSON mapping writes it: camelCase names, 64-bit numbers as strings, defaults left out.
fn to_json(output: MessageDescriptor, message: Bytes) -> Result<Vec<u8>, Status> {
    let broken = || Status::internal("the answer cannot be shown as JSON");
    let message = DynamicMessage::decode(output, message).map_err(|_| broken())?;
    serde_json::to_vec(&message).map_err(|_| broken())
}

fn with_type<B>(body: B, content_type: &'static str) -> Response<Body>
where
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<tonic::codegen::StdError>,
{
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn not_allowed(methods: &Methods, allowed: &'static str, hint: &str) -> Response<Body> {
    let status = Status::unimplemented(hint);
    let mut response = error::respond_as(methods, StatusCode::METHOD_NOT_ALLOWED, &status);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

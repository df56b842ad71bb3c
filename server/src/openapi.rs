//! The JSON view described as OpenAPI 3.1: every method, every message with the comments of the contract, errors with their reasons. Made
//! from the descriptors, so that it cannot say anything else than what the server does.

mod comments;
mod schema;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use prost_reflect::MessageDescriptor;
use quartermaster_proto::v1::ErrorReason;
use serde_json::{Map, Value, json};

use crate::methods::{Method, Methods};
use comments::Comments;
use schema::Schemas;

/// Where the server gives it, to anybody who asks: it says no more than the source code.
pub const PATH: &str = "/openapi.json";

/// Errors of any call: HTTP status, and what it means there.
const ERRORS: [(&str, &str); 9] = [
    (
        "400",
        "The request is wrong (`invalid_argument`, `out_of_range`), or the state of what it names forbids it (`failed_precondition`). Not to be repeated.",
    ),
    ("401", "Who asks is not known (`unauthenticated`): a token or a client certificate is missing, wrong or too old."),
    ("403", "The caller may not do this (`permission_denied`)."),
    ("404", "There is no such code or id (`not_found`)."),
    (
        "409",
        "The request id was used for other content, or what is to be made exists (`already_exists`); a version has moved on (`aborted`).",
    ),
    ("429", "No room: the disk or a table is full, or the caller has used up what it may (`resource_exhausted`)."),
    ("500", "A fault of the server (`internal`, `data_loss`, `unknown`)."),
    (
        "503",
        "Too busy, or stopping (`unavailable`). With a RetryInfo nothing was done; else the outcome is unknown. Repeat with the same request id.",
    ),
    (
        "504",
        "The time was up (`deadline_exceeded`): the outcome is unknown. Repeat with the same request id, or ask GetOutcome.",
    ),
];

/// The document as JSON.
pub fn text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", document(&Methods::new())));
    &TEXT
}

/// The document.
pub fn document(methods: &Methods) -> Value {
    let comments = Comments::of(methods.pool());
    let described: Vec<&Method> = methods.all().iter().filter(|method| is_described(method)).collect();
    let asked: BTreeSet<String> =
        schema::reachable(described.iter().map(|method| method.descriptor.input())).into_keys().collect();
    let mut schemas = Schemas::new(&comments, asked);
    let mut paths = Map::new();
    let mut services: Vec<String> = Vec::new();
    for method in described {
        schemas.add(method.descriptor.input());
        schemas.add(method.descriptor.output());
        paths.insert(method.path.clone(), json!({ "post": operation(method, &comments) }));
        if services.last() != Some(&method.service) {
            services.push(method.service.clone());
        }
    }
    let tags = services.iter().filter_map(|name| methods.pool().get_service_by_name(name)).map(|service| {
        let file = service.parent_file();
        json!({ "name": service.full_name(), "description": comments.get(file.name(), service.path()) })
    });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Quartermaster",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Inventory allocation and order routing",
            "description": INTRODUCTION,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{}, { "bearer": [] }, { "certificate": [] }],
        "tags": tags.collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": schemas.finished(error_schemas()),
            "responses": responses(),
            "parameters": { "timeout": timeout_parameter() },
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A static token or a JWT, where the server is set up with them.",
                },
                "certificate": { "type": "mutualTLS", "description": "A client certificate, where the server asks for one." },
            },
        },
    })
}

const INTRODUCTION: &str = "\
Every method is a POST with a JSON body, by the proto3 JSON mapping: names in camelCase, 64-bit numbers as strings (a number is taken, too), \
times as RFC 3339, lengths of time as seconds with an `s`, enumerations by name, fields with their default left out of answers. Unknown fields are \
refused, and `null` counts as left out. Streams take and give newline-delimited JSON; a request may be a JSON array.\n\n\
Every change carries a `requestId` of the caller's choice: the same id with the same content gives the first answer again, with other content it is \
an error. A business \"no\" (sold out, expired) is a 200 with a `rejection`; it changes nothing. Errors are `{code, message, details}` as the \
Connect protocol writes them.";

/// Our own services and the health of the server. Reflection describes the same to gRPC.
fn is_described(method: &Method) -> bool {
    method.is_own() || (method.service == "grpc.health.v1.Health" && method.is_unary())
}

fn operation(method: &Method, comments: &Comments) -> Value {
    let descriptor = &method.descriptor;
    let file = descriptor.parent_service().parent_file();
    let text = comments.get(file.name(), descriptor.path());
    let streams = (descriptor.is_client_streaming(), descriptor.is_server_streaming());
    let mut answers = Map::new();
    answers.insert(
        "200".to_owned(),
        json!({ "description": "The answer.", "content": content(&descriptor.output(), streams.1, false) }),
    );
    for (status, _) in ERRORS {
        answers.insert(status.to_owned(), json!({ "$ref": format!("#/components/responses/error{status}") }));
    }
    answers.insert("default".to_owned(), json!({ "$ref": "#/components/responses/error500" }));
    json!({
        "operationId": format!("{}_{}", descriptor.parent_service().name(), method.name),
        "tags": [method.service],
        "summary": first_sentence(&text),
        "description": text,
        "parameters": [{ "$ref": "#/components/parameters/timeout" }],
        "requestBody": { "required": true, "content": content(&descriptor.input(), streams.0, true) },
        "responses": answers,
    })
}

/// What a body holds: a message, or many of them line by line.
fn content(message: &MessageDescriptor, is_stream: bool, is_request: bool) -> Value {
    let schema = schema::reference(message.full_name());
    if !is_stream {
        return json!({ "application/json": { "schema": schema } });
    }
    let lines = json!({
        "schema": { "type": "string", "description": format!("A {} as JSON on each line.", message.name()) },
        "x-line-schema": schema,
    });
    let mut content = Map::from_iter([("application/x-ndjson".to_owned(), lines)]);
    if is_request {
        content.insert("application/json".to_owned(), json!({ "schema": { "type": "array", "items": schema } }));
    }
    Value::Object(content)
}

fn first_sentence(text: &str) -> String {
    let end = text.find(". ").map_or(text.len(), |at| at + 1);
    text[..end].replace('\n', " ")
}

fn responses() -> Value {
    let one = |(status, description): (&str, &str)| {
        let body = json!({ "schema": { "$ref": "#/components/schemas/Error" } });
        (format!("error{status}"), json!({ "description": description, "content": { "application/json": body } }))
    };
    Value::Object(ERRORS.into_iter().map(one).collect())
}

fn timeout_parameter() -> Value {
    json!({
        "name": "connect-timeout-ms",
        "in": "header",
        "required": false,
        "description": "Time for the call in milliseconds. Without it the server's default_deadline holds.",
        "schema": { "type": "integer", "minimum": 1, "maximum": 99_999_999 },
    })
}

/// The error object, and the details that are sent in it.
fn error_schemas() -> Map<String, Value> {
    let reasons: Vec<&str> = (0..1_000)
        .filter_map(|number| ErrorReason::try_from(number).ok())
        .filter(|reason| *reason != ErrorReason::Unspecified)
        .map(|reason| reason.as_str_name().trim_start_matches("ERROR_REASON_"))
        .collect();
    let codes = [
        "canceled",
        "unknown",
        "invalid_argument",
        "deadline_exceeded",
        "not_found",
        "already_exists",
        "permission_denied",
        "resource_exhausted",
        "failed_precondition",
        "aborted",
        "out_of_range",
        "unimplemented",
        "internal",
        "unavailable",
        "data_loss",
        "unauthenticated",
    ];
    let error = json!({
        "type": "object",
        "description": "Why there is no answer.",
        "required": ["code", "message"],
        "properties": {
            "code": { "type": "string", "enum": codes },
            "message": { "type": "string", "description": "In a sentence, for people and logs. Not stable." },
            "details": { "type": "array", "items": { "$ref": "#/components/schemas/ErrorDetail" } },
        },
    });
    let detail = json!({
        "type": "object",
        "description": "One detail: its type, its bytes, and the same as JSON. google.rpc.ErrorInfo is in every error of ours, \
            google.rpc.BadRequest names wrong fields, google.rpc.RetryInfo says when to come back.",
        "required": ["type", "value"],
        "properties": {
            "type": { "type": "string", "examples": ["google.rpc.ErrorInfo"] },
            "value": { "type": "string", "contentEncoding": "base64", "description": "The encoded message, without padding." },
            "debug": { "anyOf": [
                { "$ref": "#/components/schemas/ErrorInfo" },
                { "$ref": "#/components/schemas/BadRequest" },
                { "$ref": "#/components/schemas/RetryInfo" },
                { "type": ["object", "null"] },
            ] },
        },
    });
    let info = json!({
        "type": "object",
        "description": "The typed reason, and its facts.",
        "required": ["reason"],
        "properties": {
            "reason": { "type": "string", "enum": reasons },
            "domain": { "type": "string", "const": "quartermaster" },
            "metadata": { "type": "object", "additionalProperties": { "type": "string" } },
        },
    });
    let bad_request = json!({
        "type": "object",
        "description": "Each field that is wrong.",
        "required": ["fieldViolations"],
        "properties": { "fieldViolations": { "type": "array", "items": {
            "type": "object",
            "properties": { "field": { "type": "string" }, "description": { "type": "string" } },
        } } },
    });
    let retry = json!({
        "type": "object",
        "description": "Nothing was done; come back after this time with the same request id.",
        "required": ["retryDelay"],
        "properties": { "retryDelay": { "type": "string", "examples": ["0.050s"] } },
    });
    [("Error", error), ("ErrorDetail", detail), ("ErrorInfo", info), ("BadRequest", bad_request), ("RetryInfo", retry)]
        .map(|(name, schema)| (name.to_owned(), schema))
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Value {
        super::document(&Methods::new())
    }

    /// Every `$ref` in `value`.
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_method_is_there_under_an_id_of_its_own() {
        let document = document();
        let methods = Methods::new();
        let mut ids = BTreeSet::new();
        for method in methods.all().iter().filter(|method| method.is_own()) {
            let operation = &document["paths"][&method.path]["post"];
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{}", method.path);
            assert!(!operation["summary"].as_str().unwrap().is_empty(), "{} has no comment", method.path);
            assert!(operation["responses"]["503"].is_object());
        }
        assert!(document["paths"]["/grpc.health.v1.Health/Check"].is_object());
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_field_of_ours_is_explained() {
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        for reference in &found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        assert!(found.len() > 500);
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
                let explained = schema["description"].as_str().is_some_and(|text| !text.is_empty());
                assert!(explained || !name.starts_with("quartermaster.v1."), "{name}.{field}");
            }
        }
    }

    #[test]
    fn fields_have_the_types_of_the_json_mapping() {
        let document = document();
        let field = |message: &str, field: &str| {
            document["components"]["schemas"][format!("quartermaster.v1.{message}")]["properties"][field].clone()
        };
        assert_eq!(field("ReserveLine", "quantity")["type"], "string");
        assert_eq!(field("ReserveRequest", "allowPartial")["type"], "boolean");
        assert_eq!(field("ReserveRequest", "ttl")["type"], "string");
        assert_eq!(field("Reservation", "createTime")["format"], "date-time");
        assert_eq!(field("Reservation", "state")["$ref"], "#/components/schemas/quartermaster.v1.ReservationState");
        assert_eq!(
            field("ReserveRequest", "lines")["items"]["$ref"],
            "#/components/schemas/quartermaster.v1.ReserveLine"
        );
        assert_eq!(field("Sku", "attributes")["additionalProperties"]["type"], "string");
        let states = &document["components"]["schemas"]["quartermaster.v1.ReservationState"]["enum"];
        assert!(states.as_array().unwrap().contains(&json!("RESERVATION_STATE_HELD")));
        let reasons = &document["components"]["schemas"]["ErrorInfo"]["properties"]["reason"]["enum"];
        assert!(reasons.as_array().unwrap().contains(&json!("STOCK_RULES_VERSION")));
    }

    #[test]
    fn requests_refuse_what_they_do_not_know_and_answers_may_grow() {
        let schemas = &document()["components"]["schemas"];
        assert_eq!(schemas["quartermaster.v1.ReserveRequest"]["additionalProperties"], false);
        assert_eq!(schemas["quartermaster.v1.ReserveResponse"]["additionalProperties"], Value::Null);
    }
}

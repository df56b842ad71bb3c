//! Messages and enumerations as JSON schemas, by the proto3 JSON mapping.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::comments::Comments;

/// The schemas of a document.
pub(super) struct Schemas<'a> {
    comments: &'a Comments,
    /// Messages that requests consist of.
    asked: BTreeSet<String>,
    all: Map<String, Value>,
}

/// Every message that `roots` consist of, by name.
pub(super) fn reachable(roots: impl Iterator<Item = MessageDescriptor>) -> BTreeMap<String, MessageDescriptor> {
    let mut found = BTreeMap::new();
    let mut open: Vec<MessageDescriptor> = roots.collect();
    while let Some(message) = open.pop() {
        if found.insert(message.full_name().to_owned(), message.clone()).is_some() {
            continue;
        }
        open.extend(message.fields().filter_map(|field| match field.kind() {
            Kind::Message(inner) => Some(inner),
            _ => None,
        }));
    }
    found
}

/// A reference to the schema with this name.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

impl<'a> Schemas<'a> {
    pub(super) fn new(comments: &'a Comments, asked: BTreeSet<String>) -> Schemas<'a> {
        Schemas { comments, asked, all: Map::new() }
    }

    /// Adds `message` and all that it consists of.
    pub(super) fn add(&mut self, message: MessageDescriptor) {
        for (name, message) in reachable(std::iter::once(message)) {
            // Those are written in a form of their own where they stand.
            if message.is_map_entry() || well_known(&name).is_some() || self.all.contains_key(&name) {
                continue;
            }
            for field in message.fields() {
                if let Kind::Enum(enumeration) = field.kind() {
                    self.add_enum(&enumeration);
                }
            }
            let schema = self.object(&message);
            self.all.insert(name, schema);
        }
    }

    /// All of them, and `more`.
    pub(super) fn finished(self, more: Map<String, Value>) -> Value {
        let mut all = self.all;
        all.extend(more);
        Value::Object(all)
    }

    fn object(&self, message: &MessageDescriptor) -> Value {
        let mut properties = Map::new();
        for field in message.fields() {
            properties.insert(field.json_name().to_owned(), self.field(&field));
        }
        let mut text = self.comment(&message.parent_file(), message.path());
        for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            let names: Vec<String> = oneof.fields().map(|field| format!("`{}`", field.json_name())).collect();
            text = format!("{text} At most one of {} is set.", names.join(", ")).trim().to_owned();
        }
        let mut schema = json!({ "type": "object", "properties": properties });
        if !text.is_empty() {
            schema["description"] = Value::String(text);
        }
        if self.asked.contains(message.full_name()) {
            schema["additionalProperties"] = Value::Bool(false);
        }
        schema
    }

    fn field(&self, field: &FieldDescriptor) -> Value {
        let mut schema = if field.is_map() {
            let value = match field.kind() {
                Kind::Message(entry) => single(&entry.map_entry_value_field()),
                _ => json!({}),
            };
            json!({ "type": "object", "additionalProperties": value })
        } else if field.is_list() {
            json!({ "type": "array", "items": single(field) })
        } else {
            single(field)
        };
        let text = self.comment(&field.parent_message().parent_file(), field.path());
        if !text.is_empty() {
            // In OpenAPI 3.1 a description may stand beside a reference.
            schema["description"] = Value::String(text);
        }
        schema
    }

    fn add_enum(&mut self, enumeration: &EnumDescriptor) {
        let name = enumeration.full_name().to_owned();
        if self.all.contains_key(&name) {
            return;
        }
        let file = enumeration.parent_file();
        let mut text = self.comment(&file, enumeration.path());
        for value in enumeration.values() {
            text += &format!("\n- `{}`: {}", value.name(), self.comment(&file, value.path()));
        }
        let names: Vec<String> = enumeration.values().map(|value| value.name().to_owned()).collect();
        self.all.insert(name, json!({ "type": "string", "enum": names, "description": text.trim() }));
    }

    fn comment(&self, file: &prost_reflect::FileDescriptor, path: &[i32]) -> String {
        self.comments.get(file.name(), path)
    }
}

/// One value of a field.
fn single(field: &FieldDescriptor) -> Value {
    let digits = |signed: bool, format: &str| {
        let pattern = if signed { "^-?[0-9]{1,19}$" } else { "^[0-9]{1,20}$" };
        json!({ "type": "string", "format": format, "pattern": pattern })
    };
    match field.kind() {
        Kind::Double | Kind::Float => json!({ "type": "number" }),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            json!({ "type": "integer", "format": "int32", "minimum": i32::MIN, "maximum": i32::MAX })
        }
        Kind::Uint32 | Kind::Fixed32 => {
            json!({ "type": "integer", "format": "int64", "minimum": 0, "maximum": u32::MAX })
        }
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => digits(true, "int64"),
        Kind::Uint64 | Kind::Fixed64 => digits(false, "uint64"),
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::String => json!({ "type": "string" }),
        Kind::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
        Kind::Enum(enumeration) => reference(enumeration.full_name()),
        Kind::Message(message) => well_known(message.full_name()).unwrap_or_else(|| reference(message.full_name())),
    }
}

/// Messages that JSON writes in a form of their own.
fn well_known(name: &str) -> Option<Value> {
    match name {
        "google.protobuf.Timestamp" => {
            Some(json!({ "type": "string", "format": "date-time", "examples": ["2026-11-11T00:00:00Z"] }))
        }
        "google.protobuf.Duration" => {
            Some(json!({ "type": "string", "pattern": "^-?[0-9]{1,12}(\\.[0-9]{1,9})?s$", "examples": ["900s"] }))
        }
        _ => None,
    }
}

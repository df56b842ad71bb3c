//! The kinds of events that the journal knows, from its descriptors: what a fixture must hold one of each.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

use crate::targets::journal_message;

/// The choices of a message's `event`.
fn choices(message: &MessageDescriptor) -> Vec<FieldDescriptor> {
    message
        .oneofs()
        .filter(|oneof| oneof.name() == "event")
        .flat_map(|oneof| oneof.fields().collect::<Vec<_>>())
        .collect()
}

/// Every kind there is: "held", and "campaign.granted" where a kind has kinds of its own.
pub fn all() -> Vec<String> {
    let mut kinds = Vec::new();
    for field in choices(&journal_message("Record")) {
        let within = match field.kind() {
            Kind::Message(inner) => choices(&inner),
            _ => Vec::new(),
        };
        if within.is_empty() {
            kinds.push(field.name().to_owned());
        }
        kinds.extend(within.iter().map(|inner| format!("{}.{}", field.name(), inner.name())));
    }
    kinds
}

/// The kind of a record; `None` when it is none of this version.
pub fn of(record: &[u8]) -> Option<String> {
    let message = DynamicMessage::decode(journal_message("Record"), record).ok()?;
    let (field, event) = set(&message)?;
    let inner = match &event {
        Value::Message(inner) => set(inner),
        _ => None,
    };
    Some(match inner {
        Some((inner, _)) => format!("{}.{}", field.name(), inner.name()),
        None => field.name().to_owned(),
    })
}

fn set(message: &DynamicMessage) -> Option<(FieldDescriptor, Value)> {
    use prost_reflect::ReflectMessage as _;
    let choices = choices(&message.descriptor());
    let field = choices.into_iter().find(|field| message.has_field(field))?;
    let value = message.get_field(&field).into_owned();
    Some((field, value))
}

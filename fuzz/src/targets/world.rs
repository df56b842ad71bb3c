//! What every node that calls are tried on holds: a few of everything, so that a small message can go far.
//!
//! The calls stand in `world.jsonl` as a caller would send them in JSON. Ids that the node gives out are written as "@0", the newest,
//! "@1", the one before it, and so on; page tokens likewise.

use std::{collections::HashMap, sync::LazyLock};

use prost::Message as _;
use prost_reflect::DynamicMessage;
use quartermaster_engine::{
    Engine,
    snapshot::{kind, unpacked},
};
use quartermaster_proto::journal::v1 as wire;
use serde::de::DeserializeSeed as _;
use tempfile::TempDir;

use super::own_methods;
use crate::pieces::Piece;

const WORLD: &str = include_str!("world.jsonl");

/// The calls that make the world.
///
/// # Panics
/// When a line is no call of ours.
pub fn calls() -> &'static [Piece] {
    static CALLS: LazyLock<Vec<Piece>> = LazyLock::new(|| WORLD.lines().map(|line| call(line).1).collect());
    &CALLS
}

/// A call, and the name that the id it is answered with is to have.
pub(super) fn call(line: &str) -> (Option<String>, Piece) {
    let methods = own_methods();
    let line = parsed(line);
    let path = format!("/quartermaster.v1.{}", line["call"].as_str().unwrap_or_default());
    let place = methods.iter().position(|method| method.path == path);
    let place = place.unwrap_or_else(|| panic!("Invariant: lines call methods that exist, not {path}"));
    let input = methods[place].descriptor.input();
    let message: DynamicMessage = input
        .deserialize(&line["with"])
        .unwrap_or_else(|error| panic!("Invariant: messages are right, not {line}: {error}"));
    let tag = u8::try_from(place).expect("Invariant: there are fewer methods than tags");
    (line["as"].as_str().map(str::to_owned), Piece { tag, bytes: message.encode_to_vec() })
}

/// The kind of event that is to be in the log before the next call: one that a timer makes.
pub(super) fn awaited(line: &str) -> Option<String> {
    parsed(line)["until"].as_str().map(str::to_owned)
}

fn parsed(line: &str) -> serde_json::Value {
    serde_json::from_str(line).expect("Invariant: each line is JSON")
}

/// The data directory that a node leaves after the world and these calls, one a line.
///
/// # Panics
/// When a call is not answered with OK.
pub fn after(lines: &str) -> TempDir {
    super::node::on_a_node(async |subject| {
        let mut named = HashMap::new();
        for line in lines.lines() {
            subject.call_line(line, &mut named).await;
        }
    })
}

/// All state of an engine but counters, one section a line, in the JSON of its message. What is empty is left out.
///
/// # Panics
/// When a section is not of its kind.
pub fn rendered(engine: &Engine) -> String {
    let mut sections: Vec<_> = super::node::sections_of(engine).into_iter().collect();
    sections.sort_unstable();
    let mut text = String::new();
    for ((kind, unit), mut payload) in sections {
        let Some(name) = section_name(kind).filter(|_| kind != kind::META) else { continue };
        if kind == kind::SHARD {
            // Every version's state is told alike, however its cells are packed.
            let section = wire::ShardSection::decode(payload.as_slice()).ok().and_then(unpacked);
            payload = section.expect("Invariant: a section is a message of its kind").encode_to_vec();
        }
        let message = DynamicMessage::decode(super::journal_message(name), payload.as_slice());
        let message = message.expect("Invariant: a section is a message of its kind");
        let says_nothing = match kind {
            kind::SHARD | kind::DEDUP => message.fields().all(|(field, _)| matches!(field.name(), "shard" | "slot")),
            _ => false,
        };
        if !says_nothing {
            let json = serde_json::to_string(&message).expect("Invariant: a message is JSON");
            text.push_str(&format!("{name} {unit} {json}\n"));
        }
    }
    text
}

/// The message that sections of a kind are.
pub fn section_name(kind: u16) -> Option<&'static str> {
    Some(match kind {
        kind::META => "MetaSection",
        kind::CATALOGUE => "CatalogueSection",
        kind::SHARD => "ShardSection",
        kind::DEDUP => "DedupSection",
        kind::CAPACITY => "CapacitySection",
        _ => return None,
    })
}

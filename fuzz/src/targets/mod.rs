//! The targets.

mod calls;
mod documents;
mod journal;
mod json;
mod node;
mod records;
mod settings;
mod tables;
pub mod world;

use prost_reflect::MessageDescriptor;
use quartermaster_server::methods::{Method, Methods};
use std::sync::OnceLock;

use crate::Target;

/// All of them.
pub const ALL: &[Target] = &[
    journal::BATCHES,
    journal::LOG,
    journal::SNAPSHOT,
    records::RECORDS,
    records::SECTIONS,
    settings::SETTINGS,
    documents::DOCUMENTS,
    tables::TABLES,
    calls::CALLS,
    json::JSON,
];

/// What the server may be asked for.
pub(crate) fn methods() -> &'static Methods {
    static METHODS: OnceLock<Methods> = OnceLock::new();
    METHODS.get_or_init(Methods::new)
}

/// The service that acts on the process and the machine round the node: a random path would be written to.
const BESIDE_THE_NODE: &str = "quartermaster.v1.OperationsService";

/// Our own methods that a node answers, in the order of their paths: a tag is a place in this list.
pub(crate) fn own_methods() -> Vec<&'static Method> {
    let all = methods().all().iter();
    all.filter(|method| method.is_own() && method.service != BESIDE_THE_NODE).collect()
}

/// The method of a tag.
pub(crate) fn method(tag: u8) -> Option<&'static Method> {
    static OWN: OnceLock<Vec<&'static Method>> = OnceLock::new();
    OWN.get_or_init(own_methods).get(usize::from(tag)).copied()
}

/// A message of `quartermaster.journal.v1`.
///
/// # Panics
/// When there is none of this name.
pub fn journal_message(name: &str) -> MessageDescriptor {
    let found = methods().pool().get_message_by_name(&format!("quartermaster.journal.v1.{name}"));
    found.unwrap_or_else(|| panic!("Invariant: the descriptors hold the journal's {name}"))
}

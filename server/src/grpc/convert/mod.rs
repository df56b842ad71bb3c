//! Messages to commands and back. What arrives is checked here, whole, and never again; what leaves is a function of what happened.

pub(crate) mod allocation;
pub(crate) mod allotment;
pub(crate) mod answers;
pub(crate) mod campaign;
pub(crate) mod catalog;
pub(crate) mod checks;
pub(crate) mod documents;
pub(crate) mod entries;
pub(crate) mod explained;
pub(crate) mod facts;
pub(crate) mod fulfilment;
pub(crate) mod inventory;
pub(crate) mod levels;
pub(crate) mod page;
pub(crate) mod regions;
pub(crate) mod reservations;
pub(crate) mod returns;
pub(crate) mod routing;
pub(crate) mod rules;
pub(crate) mod sentences;
pub(crate) mod sourced;
mod sourcing;
pub(crate) mod split;
pub(crate) mod supply;
pub(crate) mod time;
pub(crate) mod upkeep;

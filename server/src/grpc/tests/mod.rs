//! The services through a real server on a loopback port, over an engine whose journal is memory.

mod allotment;
mod campaigns;
mod catalogue;
mod documents;
mod events;
mod gateway;
mod imports;
mod orders;
mod reasons;
mod reservations;
mod returns;
mod routing;
mod rules;
mod scopes;
mod stock;
mod streams;
mod supply;
pub(super) mod support;
mod unreadable;
mod upkeep;

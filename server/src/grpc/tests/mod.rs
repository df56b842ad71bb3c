//! The services through a real server on a loopback port, over an engine whose journal is memory.

mod catalogue;
mod documents;
mod events;
mod gateway;
mod imports;
mod orders;
mod reasons;
mod reservations;
mod routing;
mod stock;
mod streams;
mod support;
mod unreadable;

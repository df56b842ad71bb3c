//! What developers and operations people call, against the whole server: the Rust client, the command line, the documents.
#![allow(missing_docs)]

mod client;
mod commands;
mod documents;
mod running;

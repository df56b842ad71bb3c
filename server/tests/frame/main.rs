//! The frame of the server on real sockets, round services with canned answers.
#![allow(missing_docs, unreachable_pub)]

mod fake;
mod json_view;
mod load;
mod operation;
mod running;

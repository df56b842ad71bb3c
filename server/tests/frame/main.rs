//! The frame of the server on real sockets, round services with canned answers.
#![allow(missing_docs, unreachable_pub)]

mod deadlines;
mod fake;
mod hostile;
mod json_view;
mod load;
mod observed;
mod operation;
mod pki;
mod running;
#[cfg(feature = "otel")]
mod traced;
mod tls;
mod tokens;
/// HTTP/2 by hand, shared with the campaigns, which use all of it.
#[allow(dead_code)]
#[path = "../../../proof/src/wire.rs"]
mod wire;

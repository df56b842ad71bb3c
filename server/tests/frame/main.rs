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
mod tls;
mod tokens;
#[cfg(feature = "otel")]
mod traced;
/// HTTP/2 by hand, shared with the campaigns, which use all of it.
#[allow(dead_code)]
#[path = "../../../proof/src/wire.rs"]
mod wire;

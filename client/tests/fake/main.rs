//! The client against a server that fails in every way a call over a network can fail, and that counts what it was asked.

mod calls;
mod fake;
mod secure;
mod stream;

//! Calls Quartermaster from Rust.
//!
//! A [`Client`] keeps connections to one or several servers and gives every call what a call over a network needs: a deadline that bounds
//! all its tries together and travels to the server, retries with growing waits under **one** request id, and an end that says by its type
//! whether something was done, was not done, or may have been done ([`CallError`]). A business "no" is an answer, not an error
//! ([`Outcome::Rejected`]).
//!
//! ```no_run
//! use quartermaster_client::{Client, Outcome, v1};
//!
//! # async fn buy() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::builder("http://127.0.0.1:7070").connect()?;
//! let line = v1::ReserveLine { sku: "TEE-RED-M".into(), quantity: 2, ..Default::default() };
//! let order = v1::ReserveRequest { order_id: "o-1".into(), lines: vec![line], ..Default::default() };
//! let answer = client.reserve(order).await?;
//! match answer.outcome {
//!     Outcome::Done(hold) => {
//!         client.confirm(&hold.reservation_id).await?.done()?;
//!         client.ship(&hold.reservation_id).await?.done()?;
//!     }
//!     Outcome::Rejected(no) => println!("{}: {}", no.reason().as_str_name(), no.message),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Every other method of the API is called by its request: [`Client::call`] takes any of them, with the same care. What streams goes
//! through [`Client::reserve_stream`] or, for all else, the generated stubs over [`Client::transport`].
//!
//! A call that changes something and carries no request id gets one. Give your own (an order number and a step, say) where the caller
//! itself may be repeated: an id made here protects the tries of one call, not two calls.
#![forbid(unsafe_code)]

mod answer;
mod builder;
mod call;
mod credentials;
mod error;
mod id;
mod methods;
mod pool;
mod raw;
mod retry;
mod stream;

pub use answer::{Answer, Called, Outcome, Refused};
pub use builder::{Builder, Tls};
pub use call::Client;
pub use credentials::{Credentials, Token};
pub use error::{BuildError, CallError, Refusal, Verdict};
pub use id::request_id;
pub use pool::Transport;
pub use quartermaster_proto::{Unary, v1};
pub use retry::Retry;
pub use stream::ReserveStream;

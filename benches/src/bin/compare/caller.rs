//! Calls of one order over HTTP/2, by a client that has nothing between its orders and h2.
//!
//! tonic's client takes more of its core for a call than the server takes of its own: with it, many calls at once would measure the client.
//! The one of Redis is as bare. What goes over the wire is what any client of gRPC sends.

use std::future::poll_fn;

use bytes::Bytes;
use h2::RecvStream;
use h2::client::{Builder, SendRequest};
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version, request};
use prost::Message as _;
use tokio::net::TcpStream;

use crate::Failure;
use crate::demand::Order;
use crate::message::{Answer, framed};

/// What a peer may send before it is read, those of tonic's client. By h2's own 64 KiB, which bound small frames as well, two hundred answers
/// that come together are taken for an attack.
const STREAM_WINDOW_BYTES: u32 = 2 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 5 << 20;

/// A connection.
#[derive(Clone)]
pub(crate) struct Connection {
    sender: SendRequest<Bytes>,
    head: request::Parts,
}

impl Connection {
    /// Connects, and names `method` in each call.
    pub(crate) async fn open(address: &str, method: &str) -> Result<Connection, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut windows = Builder::new();
        windows.initial_window_size(STREAM_WINDOW_BYTES).initial_connection_window_size(CONNECTION_WINDOW_BYTES);
        let (sender, connection) = windows.handshake(stream).await?;
        // How it ended, whoever calls on it hears.
        tokio::spawn(async { drop(connection.await) });
        let (mut head, ()) = Request::new(()).into_parts();
        head.method = Method::POST;
        head.uri = Uri::try_from(format!("http://{address}{method}"))?;
        head.version = Version::HTTP_2;
        head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        head.headers.insert(TE, HeaderValue::from_static("trailers"));
        Ok(Connection { sender, head })
    }

    /// Sends one order and waits for its answer.
    pub(crate) async fn reserve(&mut self, order: &Order) -> Result<Answer, Failure> {
        poll_fn(|context| self.sender.poll_ready(context)).await?;
        let (response, mut body) = self.sender.send_request(Request::from_parts(self.head.clone(), ()), false)?;
        body.send_data(framed(order), true)?;
        let (head, mut body) = response.await?.into_parts();
        let message = whole(&mut body).await?;
        let trailers = body.trailers().await?;
        // An answer that is only a status has it among its headers.
        succeeded(trailers.as_ref().unwrap_or(&head.headers))?;
        let message = message.get(5..).ok_or("an answer without a message")?;
        Ok(Answer::decode(message)?)
    }
}

/// All data of an answer. Nearly always one piece.
async fn whole(body: &mut RecvStream) -> Result<Bytes, Failure> {
    let mut whole = Bytes::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        whole = if whole.is_empty() { piece } else { [whole, piece].concat().into() };
    }
    Ok(whole)
}

fn succeeded(headers: &HeaderMap) -> Result<(), Failure> {
    match headers.get("grpc-status") {
        Some(status) if status == "0" => Ok(()),
        _ => Err(format!("a call failed: {headers:?}").into()),
    }
}

//! The messages of calls, as their bytes. A message in several frames, or many in one, are tonic's to tell apart.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame};
use tonic::codec::{DecodeBuf, Decoder};
use tonic::{Status, Streaming, body::Body};

use super::frame::HEAD_BYTES;

/// Messages as they come. Those of more than `limit` bytes are refused before they are read.
pub(super) fn messages(body: Body, limit: usize) -> Streaming<Bytes> {
    Streaming::new_request(Raw, body, None, Some(limit))
}

/// The message of a call that has one.
///
/// # Errors
/// When it cannot be read.
pub(super) async fn single(body: Body, limit: usize) -> Result<Bytes, Status> {
    let mut messages = messages(body, limit);
    let message = messages.message().await?;
    let message = message.ok_or_else(|| Status::internal("Missing request message."))?;
    // What follows is read to its end, and nothing comes of it.
    messages.trailers().await?;
    Ok(message)
}

/// A message as it is.
struct Raw;

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// A body of which as much was read as a call of one message usually has.
pub(super) struct Whole {
    /// Its first frame, if that is data.
    first: Option<Bytes>,
    /// What came then: nothing, if that was the end.
    second: Option<Result<Frame<Bytes>, Status>>,
    rest: Body,
}

/// Reads a body to the end of its first message, if it is in one frame and nothing follows it.
pub(super) async fn whole(mut body: Body) -> Whole {
    let (mut first, mut second) = (None, None);
    while second.is_none() && !body.is_end_stream() {
        match body.frame().await {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if first.is_none() => first = Some(data),
                // The end may come in a frame of its own.
                Ok(data) if data.is_empty() => {}
                Ok(data) => second = Some(Ok(Frame::data(data))),
                Err(trailers) => second = Some(Ok(trailers)),
            },
            Some(Err(status)) => second = Some(Err(status)),
            None => break,
        }
    }
    Whole { first, second, rest: body }
}

impl Whole {
    /// Its message, if it is one of no more than `limit` bytes, not compressed, and all there is.
    pub(super) fn message(&self, limit: usize) -> Option<&[u8]> {
        let is_end = self.second.as_ref().is_none_or(|second| second.as_ref().is_ok_and(Frame::is_trailers));
        let ([compressed, length @ ..], message) = self.first.as_ref()?.split_first_chunk::<HEAD_BYTES>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        (is_end && *compressed == 0 && length == message.len() && length <= limit).then_some(message)
    }
}

/// The same body again, from its beginning.
impl hyper::body::Body for Whole {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        match self.second.take() {
            Some(second) => Poll::Ready(Some(second)),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.second.is_none() && self.rest.is_end_stream()
    }
}

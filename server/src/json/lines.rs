//! A stream of answers as newline-delimited JSON. A stream that fails ends with the line `{"error": {…}}`.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::Frame;
use prost_reflect::MessageDescriptor;
use serde_json::json;
use tonic::{Code, Status};

use super::error;
use super::frames::Frames;
use super::to_json;
use crate::serve::{AnswerBody, Calls};

/// The body of the answer, translated as it comes.
pub(super) struct JsonLines {
    body: AnswerBody,
    output: MessageDescriptor,
    calls: Calls,
    frames: Frames,
    ended: bool,
}

impl JsonLines {
    pub(super) fn new(body: AnswerBody, output: MessageDescriptor, calls: Calls) -> JsonLines {
        JsonLines { body, output, calls, frames: Frames::default(), ended: false }
    }

    fn line(&mut self) -> Result<Option<Bytes>, Status> {
        let Some(message) = self.frames.next()? else {
            return Ok(None);
        };
        let mut line = to_json(self.output.clone(), message)?;
        line.push(b'\n');
        Ok(Some(line.into()))
    }

    fn last_line(&mut self, status: &Status) -> Option<Bytes> {
        self.ended = true;
        if status.code() == Code::Ok {
            return None;
        }
        let error = json!({ "error": error::object(self.calls.methods(), status) });
        Some(format!("{error}\n").into())
    }
}

impl hyper::body::Body for JsonLines {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let last = loop {
            match self.line() {
                Ok(Some(line)) => return Poll::Ready(Some(Ok(Frame::data(line)))),
                Ok(None) => {}
                Err(status) => break status,
            }
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.frames.push(&data),
                    Err(frame) => {
                        let trailers = frame.trailers_ref().and_then(Status::from_header_map);
                        break trailers.unwrap_or_else(|| Status::unknown("the stream ended without a status"));
                    }
                },
                Some(Err(status)) => break status,
                None => break Status::unknown("the stream ended without a status"),
            }
        };
        Poll::Ready(self.last_line(&last).map(|line| Ok(Frame::data(line))))
    }
}

//! Messages as gRPC frames them, and answers made of such frames: the status that ends them comes after the last.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header::CONTENT_TYPE};
use hyper::body::Frame;
use tokio_stream::Stream;
use tonic::{Status, body::Body};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// What stands before each message: whether it is compressed, which ours are not, and its length.
pub(super) const HEAD_BYTES: usize = 5;

/// The head of a message of `length` bytes, which is never 4 GiB: what answers are made from is bounded, and a hundredth of that.
pub(super) fn head(length: usize) -> [u8; HEAD_BYTES] {
    let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    [0, a, b, c, d]
}

/// Begins the frame of a message, which is appended to `bytes`. Gives where its head stands, for [`end`].
pub(in crate::grpc) fn begin(bytes: &mut Vec<u8>) -> usize {
    let start = bytes.len();
    bytes.extend_from_slice(&[0; HEAD_BYTES]);
    start
}

/// Ends the frame that begins at `start`.
pub(in crate::grpc) fn end(bytes: &mut [u8], start: usize) {
    let message = start + HEAD_BYTES;
    let head = head(bytes.len() - message);
    bytes[start..message].copy_from_slice(&head);
}

/// The answer to a call whose frames are `frames`.
pub(super) fn response<S>(frames: S) -> Response<Body>
where
    S: Stream<Item = Result<Bytes, Status>> + Send + 'static,
{
    let mut response = Response::new(Body::new(Framed { frames: Some(Box::pin(frames)) }));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// The answer to a call that is one frame.
pub(super) fn response_of_one(frame: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::new(One { frame, told: false, ended: false }));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// A body of frames as they come.
struct Framed<S> {
    /// None once it has ended.
    frames: Option<Pin<Box<S>>>,
}

/// A body of one frame. It does not tell its length: an answer of gRPC has no content-length.
struct One {
    frame: Bytes,
    told: bool,
    ended: bool,
}

type Next = Poll<Option<Result<Frame<Bytes>, Status>>>;

impl<S> hyper::body::Body for Framed<S>
where
    S: Stream<Item = Result<Bytes, Status>>,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Next {
        let Some(frames) = &mut self.frames else { return Poll::Ready(None) };
        let end = match frames.as_mut().poll_next(context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(Ok(frame))) => return Poll::Ready(Some(Ok(Frame::data(frame)))),
            Poll::Ready(Some(Err(status))) => end_of(&status),
            Poll::Ready(None) => Ok(end_of_handled()),
        };
        self.frames = None;
        Poll::Ready(Some(end))
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_none()
    }
}

impl hyper::body::Body for One {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Next {
        if self.ended {
            return Poll::Ready(None);
        }
        if self.told {
            self.ended = true;
            return Poll::Ready(Some(Ok(end_of_handled())));
        }
        self.told = true;
        Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.frame)))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

/// What ends an answer.
fn end_of(status: &Status) -> Result<Frame<Bytes>, Status> {
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers)?;
    Ok(Frame::trailers(trailers))
}

/// What ends an answer to a call that was handled.
fn end_of_handled() -> Frame<Bytes> {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
    Frame::trailers(trailers)
}

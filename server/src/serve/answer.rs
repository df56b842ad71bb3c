//! The body of an answer: it ends with the status of the call, is counted then, and holds the call's place until then.
//!
//! At a stop, streams that have gone quiet are ended with a status that says so. Nobody else would: a watch has no end, and one idle
//! stream would make every stop last the whole grace.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Frame, SizeHint};
use tokio::time::sleep;
use tonic::body::Body;
use tonic::{Code, Status};

use super::calls::{Call, code_of};
use crate::metrics::OpenStream;
use crate::refusal;
use crate::shutdown::Stop;

/// How long a stream may say nothing after the order to stop: longer than a slow fsync, much shorter than the grace.
const QUIET: Duration = Duration::from_millis(500);

/// What is sent to the caller.
pub(crate) struct AnswerBody {
    body: Body,
    /// None once it has ended, and of what is no call.
    call: Option<Box<Call>>,
    quiet: Option<Quiet>,
    /// Counts it as long as it is there.
    _open: Option<OpenStream>,
}

/// Completes when a stop was ordered and nothing was said since for a while.
struct Quiet {
    stop: Stop,
    over: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl AnswerBody {
    /// The body of `call`. Given a stop it is a stream, counted as open and to be ended when it is quiet then.
    pub(super) fn new(body: Body, call: Box<Call>, stream: Option<(Stop, OpenStream)>) -> AnswerBody {
        let (quiet, open) = stream.map(|(stop, open)| (Quiet::new(stop), open)).unzip();
        AnswerBody { body, call: Some(call), quiet, _open: open }
    }

    /// The body of an answer that is not counted any more, or never was.
    pub(super) fn uncounted(body: Body) -> AnswerBody {
        AnswerBody { body, call: None, quiet: None, _open: None }
    }

    fn end(&mut self, code: Code) {
        if let Some(call) = self.call.take() {
            call.end(code);
        }
    }

    fn cut(&mut self) -> Frame<Bytes> {
        let status = refusal::shutting_down();
        self.end(status.code());
        self.body = Body::empty();
        self.quiet = None;
        let mut trailers = HeaderMap::new();
        // The status is ours and fits headers; without its details it would still be an end.
        let _fits = status.add_header(&mut trailers);
        Frame::trailers(trailers)
    }
}

impl Quiet {
    fn new(stop: Stop) -> Quiet {
        let mut ordered = stop.clone();
        let over = Box::pin(async move {
            ordered.ordered().await;
            sleep(QUIET).await;
        });
        Quiet { stop, over }
    }

    /// Something was said: the time begins again.
    fn interrupt(&mut self) {
        if self.stop.is_ordered() {
            *self = Quiet::new(self.stop.clone());
        }
    }
}

impl hyper::body::Body for AnswerBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
            let over = self.quiet.as_mut().is_some_and(|quiet| quiet.over.as_mut().poll(context).is_ready());
            return if over { Poll::Ready(Some(Ok(self.cut()))) } else { Poll::Pending };
        };
        let code = match &frame {
            Some(Ok(frame)) => frame.trailers_ref().and_then(code_of),
            Some(Err(status)) => Some(status.code()),
            None => Some(Code::Unknown),
        };
        match code {
            Some(code) => self.end(code),
            None => self.quiet.iter_mut().for_each(Quiet::interrupt),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

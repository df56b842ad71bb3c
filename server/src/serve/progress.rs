//! What a connection's peer has said and taken: the figures by which it is told from one that only holds a place.
//!
//! `Wire` counts bytes under HTTP; `Taken` counts the parts of answers above it. HTTP/2 asks for the next part of an answer when the peer
//! has made room for it, so that an answer nobody asks for is one that nobody reads.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};

use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::link::Link;

/// Bytes after which a peer has said what it speaks: HTTP/2's preface of 24 and the head of the SETTINGS that must follow it.
const SPOKEN_BYTES: u64 = 24 + 9;

/// Shared by a connection's task, its wire and its answers. Relaxed throughout: the figures order nothing.
#[derive(Debug, Default)]
pub(super) struct Progress {
    heard: AtomicU64,
    asked: AtomicBool,
    /// Requests that have no answer yet.
    unanswered: AtomicU32,
    /// Answers with a part that waits for the peer to make room.
    owed: AtomicU32,
    /// Whether the system takes no more bytes for the peer.
    blocked: AtomicBool,
    /// Parts and bytes that went out, wrapping.
    moved: AtomicU64,
}

impl Progress {
    /// A request has come.
    pub(super) fn asked(self: &Arc<Self>) -> Asked {
        self.asked.store(true, Ordering::Relaxed);
        self.unanswered.fetch_add(1, Ordering::Relaxed);
        Asked { progress: Arc::clone(self), answered: false }
    }

    /// Whether requests have no answer yet.
    pub(super) fn owes_answers(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed) > 0
    }

    /// Whether the peer has said what it speaks.
    pub(super) fn has_spoken(&self) -> bool {
        self.asked.load(Ordering::Relaxed) || self.heard.load(Ordering::Relaxed) >= SPOKEN_BYTES
    }

    /// Where the sending stands, while something waits for the peer; none when nothing does.
    pub(super) fn waiting_at(&self) -> Option<u64> {
        let waits = self.owed.load(Ordering::Relaxed) > 0 || self.blocked.load(Ordering::Relaxed);
        waits.then(|| self.moved.load(Ordering::Relaxed))
    }
}

/// A request, unanswered until there is a body that answers it or nobody is left who could.
#[derive(Debug)]
pub(super) struct Asked {
    progress: Arc<Progress>,
    answered: bool,
}

impl Asked {
    fn answer(&mut self) {
        if !std::mem::replace(&mut self.answered, true) {
            self.progress.unanswered.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.answer();
    }
}

/// A connection that counts what goes through it.
pub(super) struct Wire {
    stream: Link,
    progress: Arc<Progress>,
}

impl Wire {
    pub(super) fn new(stream: Link, progress: Arc<Progress>) -> Wire {
        Wire { stream, progress }
    }

    fn wrote(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.progress.blocked.store(written.is_pending(), Ordering::Relaxed);
        if written.is_ready() {
            self.progress.moved.fetch_add(1, Ordering::Relaxed);
        }
        written
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let heard = u64::try_from(buffer.filled().len() - before).unwrap_or(u64::MAX);
        self.progress.heard.fetch_add(heard, Ordering::Relaxed);
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// An answer's body that tells whether its next part is owed.
pub(super) struct Taken<B: Body> {
    body: B,
    asked: Asked,
    owed: bool,
}

impl<B: Body> Taken<B> {
    /// `body` answers what was `asked`.
    pub(super) fn new(body: B, mut asked: Asked) -> Taken<B> {
        asked.answer();
        let mut taken = Taken { body, asked, owed: false };
        taken.owe();
        taken
    }

    /// Something is ready to go, and the peer is to make room for it.
    fn owe(&mut self) {
        if !self.body.is_end_stream() {
            self.owed = true;
            self.asked.progress.owed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn repay(&mut self) {
        if std::mem::take(&mut self.owed) {
            self.asked.progress.owed.fetch_sub(1, Ordering::Relaxed);
            self.asked.progress.moved.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<B: Body + Unpin> Body for Taken<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.repay();
        let frame = Pin::new(&mut self.body).poll_frame(context);
        // Pending: it is the service that has nothing to say, for as long as it likes.
        if let Poll::Ready(Some(Ok(_))) = &frame {
            self.owe();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B: Body> Drop for Taken<B> {
    fn drop(&mut self) {
        self.repay();
    }
}

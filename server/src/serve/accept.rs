//! Connections: how many, how long they may stay silent, how old they grow, and how they end. HTTP/1.1 and HTTP/2 on one port.
//!
//! An accept loop of our own because the usual one never closes a connection that sends nothing.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::body::Body;
use tonic::transport::server::Connected;

use crate::config::Config;
use crate::metrics::{Metrics, ShedCause};
use crate::shutdown::Stop;

/// HTTP/2 pings of a quiet connection, and the time for their answer: a dead peer is gone within 40 s. Clients may ping as often.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Headers of one request together, 8 KiB: gRPC needs a few hundred bytes.
const HEADER_BYTES_MAX: u32 = 8 << 10;

/// Bytes a peer may send before the server has read them: per stream for one large message at full speed on a local network, per
/// connection for four of those. They bound what a connection can make the server hold.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;

/// Bytes of answers kept for a stream whose peer does not read.
const SEND_BUFFER_BYTES: usize = 128 << 10;

/// Streams opened and reset by the peer before they were looked at; beyond it the connection is closed (rapid reset).
const PENDING_RESETS_MAX: usize = 20;

/// Streams the server reset because of the peer's errors, before the connection is closed.
const ERROR_RESETS_MAX: usize = 1_024;

/// HTTP/1.1: time for the headers of the next request, which is also how long a connection is kept idle.
const HTTP1_HEADER_TIME: Duration = Duration::from_secs(30);

/// HTTP/1.1: read buffer, which bounds the headers.
const HTTP1_BUFFER_BYTES: usize = 16 << 10;

/// Pause after the system refused to accept, usually because all file descriptors are in use: no busy loop, no exit.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Bytes after which a peer has said what it speaks: the length of HTTP/2's preface; no HTTP/1.1 request with a host is shorter.
const SPOKEN_BYTES: usize = 24;

/// Answers the requests of all connections.
pub(crate) trait Answer: Clone + Send + Sync + 'static {
    /// Answers one.
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send;
}

/// What holds for every connection of a listener.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connections {
    /// Open at once.
    max: usize,
    streams_max: u32,
    handshake_time: Duration,
    /// Zero for no limit.
    age_max: Duration,
}

impl Connections {
    pub(super) fn of(config: &Config) -> Connections {
        Connections {
            max: usize::try_from(config.connections_max).unwrap_or(usize::MAX),
            streams_max: config.concurrency_per_connection,
            handshake_time: config.handshake_timeout,
            age_max: config.connection_age_max,
        }
    }

    pub(super) fn at_most(self, max: usize) -> Connections {
        Connections { max, ..self }
    }

    /// Accepts and serves until `stop`, then lets the connections finish for at most `grace`. Gives how many were cut off.
    pub(super) async fn serve(
        self,
        listener: TcpListener,
        service: impl Answer,
        metrics: Option<Arc<Metrics>>,
        mut stop: Stop,
        grace: Duration,
    ) -> usize {
        let mut open = JoinSet::new();
        loop {
            if let Some(metrics) = &metrics {
                metrics.set_connections(open.len());
            }
            let accepted = tokio::select! {
                () = stop.ordered() => break,
                Some(_ended) = open.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            let shed = |cause| metrics.iter().for_each(|metrics| metrics.shed(cause));
            match accepted {
                Ok(_refused) if open.len() >= self.max => shed(ShedCause::Connections),
                Ok((stream, _peer)) => {
                    open.spawn(self.connection(stream, service.clone(), metrics.clone(), stop.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        let finished = timeout(grace, async { while open.join_next().await.is_some() {} }).await;
        let cut_off = if finished.is_ok() { 0 } else { open.len() };
        if let Some(metrics) = &metrics {
            metrics.set_connections(0);
        }
        cut_off
    }

    /// Serves one connection to its end. How it ended is the peer's business: what was asked on it is counted by call.
    async fn connection(self, stream: TcpStream, service: impl Answer, metrics: Option<Arc<Metrics>>, mut stop: Stop) {
        // A peer that is gone already shows at the first read.
        let _gone = stream.set_nodelay(true);
        let peer = stream.connect_info();
        let heard = Arc::new(AtomicUsize::new(0));
        let io = TokioIo::new(Heard { stream, bytes: Arc::clone(&heard) });
        let builder = self.builder();
        let respond = service_fn(|mut request: Request<Incoming>| {
            let service = service.clone();
            request.extensions_mut().insert(peer.clone());
            async move { Ok::<_, Infallible>(service.answer(request).await) }
        });
        let mut connection = pin!(builder.serve_connection(io, respond));
        let mut handshake = pin!(sleep(self.handshake_time));
        let mut age = pin!(sleep(self.age_max));
        let mut introduced = false;
        let mut leaving = false;
        loop {
            tokio::select! {
                _ended = connection.as_mut() => return,
                () = handshake.as_mut(), if !introduced => {
                    introduced = true;
                    if heard.load(Ordering::Relaxed) < SPOKEN_BYTES {
                        metrics.iter().for_each(|metrics| metrics.shed(ShedCause::Handshake));
                        return;
                    }
                }
                () = age.as_mut(), if !leaving && !self.age_max.is_zero() => {
                    leaving = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = stop.ordered(), if !leaving => {
                    leaving = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }

    fn builder(&self) -> Builder<TokioExecutor> {
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HTTP1_HEADER_TIME)
            .max_buf_size(HTTP1_BUFFER_BYTES);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(self.streams_max)
            .keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .max_header_list_size(HEADER_BYTES_MAX)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(SEND_BUFFER_BYTES)
            .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
            .max_local_error_reset_streams(ERROR_RESETS_MAX);
        builder
    }
}

/// A stream that counts what it has heard.
struct Heard {
    stream: TcpStream,
    bytes: Arc<AtomicUsize>,
}

impl AsyncRead for Heard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.bytes.fetch_add(buffer.filled().len() - before, Ordering::Relaxed);
        read
    }
}

impl AsyncWrite for Heard {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
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
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

//! One connection: how long it may say nothing, leave answers unread, and live. HTTP/1.1 and HTTP/2 on one port.

use std::convert::Infallible;
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::sleep;

use super::accept::Answer;
use super::arrival::{Arrival, Source};
use super::link::Link;
use super::progress::{Progress, Taken, Wire};
use super::seldom::Seldom;
use super::together::Together;
use crate::config::Config;
use crate::metrics::{Metrics, ShedCause};
use crate::shutdown::Stop;
use crate::tls::PortTls;

/// Headers of one request together, 8 KiB: gRPC needs a few hundred bytes.
const HEADER_BYTES_MAX: u32 = 8 << 10;

/// Bytes a peer may send before the server has read them: per stream for a batch of a thousand orders at once and full speed on a local
/// network, per connection for 32 of those. They bound what a connection can make the server hold.
///
/// The second is more than streams need for their bytes. h2 takes a peer for an attacker whose small frames nobody has read, each counted as 256
/// bytes, exceed half of it: those of a stream of orders, one a frame, are twice to four times what they hold. So a dozen streams may run full.
const STREAM_WINDOW_BYTES: u32 = 128 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// Bytes of answers kept for a stream whose peer does not read.
const SEND_BUFFER_BYTES: usize = 128 << 10;

/// Streams the server reset because of the peer's errors, before the connection is closed.
const ERROR_RESETS_MAX: usize = 1_024;

/// HTTP/1.1: time for the headers of the next request, which is also how long a connection is kept idle.
const HTTP1_HEADER_TIME: Duration = Duration::from_secs(30);

/// HTTP/1.1: read buffer, which bounds the headers.
const HTTP1_BUFFER_BYTES: usize = 16 << 10;

/// What holds for a connection.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    /// None in the clear.
    tls: Option<PortTls>,
    /// Whether HTTP/2's answers tell the date.
    dated: bool,
    streams_max: u32,
    handshake_time: Duration,
    keepalive_interval: Duration,
    keepalive_time: Duration,
    unread_time: Duration,
    /// Zero for no limit.
    age_max: Duration,
    age_grace: Duration,
}

/// Why the server ends a connection by itself, without the peer's consent.
type Cut = ShedCause;

impl Connection {
    pub(super) fn of(config: &Config) -> Connection {
        Connection {
            tls: None,
            dated: true,
            streams_max: config.concurrency_per_connection,
            handshake_time: config.handshake_timeout,
            keepalive_interval: config.keepalive_interval,
            keepalive_time: config.keepalive_timeout,
            unread_time: config.unread_timeout,
            age_max: config.connection_age_max,
            age_grace: config.connection_age_grace,
        }
    }

    /// The same through TLS, where there is any.
    pub(super) fn with_tls(self, tls: Option<PortTls>) -> Connection {
        Connection { tls, ..self }
    }

    /// The same with answers over HTTP/2 that tell no date by themselves.
    pub(super) fn undated(self) -> Connection {
        Connection { dated: false, ..self }
    }

    /// Serves one to its end. How it ended is the peer's business: what was asked on it is counted by call.
    pub(super) async fn serve(
        self,
        stream: TcpStream,
        service: impl Answer,
        metrics: Option<Arc<Metrics>>,
        mut stop: Stop,
        mut drains: watch::Receiver<u64>,
    ) {
        // Those there were before it came do not concern it.
        drains.mark_unchanged();
        // A peer that is gone already shows at the first read.
        let _gone = stream.set_nodelay(true);
        let Ok(address) = stream.peer_addr() else { return };
        let link = tokio::select! {
            link = Link::open(stream, self.tls.as_ref(), self.handshake_time) => link,
            // Nothing was asked on it yet.
            () = stop.ordered() => return,
        };
        let Some(link) = link else {
            return metrics.iter().for_each(|metrics| metrics.shed(ShedCause::TlsHandshake));
        };
        let source = Arc::new(Source::new(address, link.peer()));
        let progress = Arc::new(Progress::default());
        let io = TokioIo::new(Wire::new(link, Arc::clone(&progress)));
        let builder = self.builder();
        let respond = service_fn(|request: Request<Incoming>| {
            // Here the headers have just been read; the answer begins when a thread turns to it.
            let arrival = Arrival::now(&source);
            let (service, asked) = (service.clone(), progress.asked());
            // Boxed as a whole: a call of HTTP/2 is a task of its own, into which it is copied several times.
            Box::pin(async move {
                let response = service.answer(request, arrival).await;
                Ok::<_, Infallible>(response.map(|body| Taken::new(body, asked)))
            })
        });
        let mut connection = pin!(builder.serve_connection(io, respond));
        let mut leave = pin!(self.leave(&mut stop, &mut drains));
        let mut cut = pin!(self.cut(&progress));
        let (mut together, mut seldom, mut leaving) = (Together::new(&progress), Seldom::new(), false);
        let cut = poll_fn(|context| {
            loop {
                if together.poll(connection.as_mut(), context).is_ready() {
                    return Poll::Ready(None);
                }
                let event = seldom.poll(context, |context| match cut.as_mut().poll(context) {
                    Poll::Ready(cut) => Poll::Ready(Some(cut)),
                    Poll::Pending if leaving => Poll::Pending,
                    Poll::Pending => leave.as_mut().poll(context).map(|()| None),
                });
                match event {
                    Poll::Ready(Some(cut)) => return Poll::Ready(Some(cut)),
                    Poll::Ready(None) => {
                        leaving = true;
                        connection.as_mut().graceful_shutdown();
                    }
                    Poll::Pending => return Poll::Pending,
                }
            }
        });
        if let Some(cut) = cut.await {
            metrics.iter().for_each(|metrics| metrics.shed(cut));
        }
    }

    /// Completes when the peer is to be told that it should go: it was there for long enough, or the server has been ordered to.
    async fn leave(&self, stop: &mut Stop, drains: &mut watch::Receiver<u64>) {
        tokio::select! {
            () = sleep(self.age_max), if !self.age_max.is_zero() => {}
            Ok(()) = drains.changed() => {}
            () = stop.ordered() => {}
        }
    }

    /// Completes when the connection is to be ended, whatever the peer does.
    async fn cut(&self, progress: &Progress) -> Cut {
        tokio::select! {
            cut = self.watch(progress) => cut,
            () = sleep(self.age_max + self.age_grace), if !self.age_max.is_zero() => ShedCause::Age,
        }
    }

    /// Completes when the peer holds the connection without using it: first when it has not said what it speaks, later when it has taken
    /// nothing of what waits for it for `unread_time`, and half of that at most in addition.
    async fn watch(&self, progress: &Progress) -> Cut {
        sleep(self.handshake_time).await;
        if !progress.has_spoken() {
            return ShedCause::Handshake;
        }
        let (mut before, mut unchanged) = (progress.waiting_at(), 0);
        loop {
            sleep(self.unread_time / 2).await;
            let now = progress.waiting_at();
            unchanged = if now.is_some() && now == before { unchanged + 1 } else { 0 };
            if unchanged == 2 {
                return ShedCause::Unread;
            }
            before = now;
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
            .auto_date_header(self.dated)
            .max_concurrent_streams(self.streams_max)
            .keep_alive_interval(self.keepalive_interval)
            .keep_alive_timeout(self.keepalive_time)
            .max_header_list_size(HEADER_BYTES_MAX)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(SEND_BUFFER_BYTES)
            // Opened and reset by the peer before they were looked at; beyond it the connection is closed (rapid reset). As many as may be
            // open: a gateway whose deadlines pass together gives up all its calls at once, and must keep the connection of its payments.
            .max_pending_accept_reset_streams(usize::try_from(self.streams_max).unwrap_or(usize::MAX))
            .max_local_error_reset_streams(ERROR_RESETS_MAX);
        builder
    }
}

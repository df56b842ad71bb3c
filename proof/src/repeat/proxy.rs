//! A wire that breaks: a proxy on loopback that cuts each connection after a random number of bytes, in either direction, and leads to
//! wherever the server is by now.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quartermaster_loadtest::random::SplitMix64;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A running proxy; its connections end with it.
#[derive(Debug)]
pub(super) struct Proxy {
    /// Where clients connect.
    pub(super) address: SocketAddr,
    server: watch::Sender<SocketAddr>,
    cuts: Arc<AtomicU64>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Leads to `server`; a connection carries at most `bytes_max` bytes in each direction, often far fewer.
    pub(super) async fn start(server: SocketAddr, seed: u64, bytes_max: u64) -> std::io::Result<Proxy> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (server, servers) = watch::channel(server);
        let cuts = Arc::new(AtomicU64::new(0));
        let accepting = tokio::spawn(accept(listener, servers, seed, bytes_max, Arc::clone(&cuts)));
        Ok(Proxy { address, server, cuts, accepting })
    }

    /// The server is somewhere else from now on.
    pub(super) fn lead_to(&self, server: SocketAddr) {
        self.server.send_replace(server);
    }

    /// Connections that were cut for their bytes.
    pub(super) fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    servers: watch::Receiver<SocketAddr>,
    seed: u64,
    bytes_max: u64,
    cuts: Arc<AtomicU64>,
) {
    for number in 0.. {
        let Ok((client, _)) = listener.accept().await else { continue };
        let mut random = SplitMix64::for_item(seed, number);
        // Small ones cut the very first calls, or the handshake.
        let mut budget = || {
            let most = 1 + random.below(bytes_max);
            random.below(most)
        };
        let (there, back) = (budget(), budget());
        let (server, cuts) = (*servers.borrow(), Arc::clone(&cuts));
        tokio::spawn(async move {
            // A server that is down looks the same as a cut.
            if let Ok(server) = TcpStream::connect(server).await {
                carry(client, server, there, back, &cuts).await;
            }
        });
    }
}

/// Carries bytes until one side ends or a budget is used up; then both connections are gone, whatever was under way.
async fn carry(client: TcpStream, server: TcpStream, there: u64, back: u64, cuts: &AtomicU64) {
    let _delay_is_all_that_is_lost = (client.set_nodelay(true), server.set_nodelay(true));
    let ((client_read, client_write), (server_read, server_write)) = (client.into_split(), server.into_split());
    let cut = tokio::select! {
        cut = copy(client_read, server_write, there) => cut,
        cut = copy(server_read, client_write, back) => cut,
    };
    cuts.fetch_add(u64::from(cut), Ordering::Relaxed);
}

/// True when the budget ended it.
async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut budget: u64) -> bool {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else { return false };
        let left = usize::try_from(budget).unwrap_or(usize::MAX);
        if to.write_all(&buffer[..read.min(left)]).await.is_err() {
            return false;
        }
        if read >= left {
            return true;
        }
        budget -= u64::try_from(read).unwrap_or(budget);
    }
}

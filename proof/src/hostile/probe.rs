//! The well-behaved caller: on one connection, made before the attack, it reserves and asks for health, one after the other.

use std::time::Duration;

use quartermaster_loadtest::latency::Recorder;
use quartermaster_proto::v1::ListShortfallsRequest;
use quartermaster_proto::v1::allocation_service_client::AllocationServiceClient;
use quartermaster_proto::v1::inventory_service_client::InventoryServiceClient;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::Request;
use tonic::transport::Endpoint;

use crate::process::Server;
use crate::{Error, shop};

/// Pause between two rounds.
const PAUSE: Duration = Duration::from_millis(5);
/// What it waits.
const PATIENCE: Duration = Duration::from_secs(2);

/// A caller at work.
pub(super) struct Probe {
    stop: oneshot::Sender<()>,
    seen: JoinHandle<Seen>,
}

/// What it saw.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) count: u64,
    pub(super) failed: u64,
    pub(super) p99_micros: u64,
}

impl Probe {
    pub(super) async fn start(server: &Server) -> Result<Probe, Error> {
        let channel = Endpoint::from_shared(server.url())?.tcp_nodelay(true).connect().await?;
        let (stop, mut stopped) = oneshot::channel();
        let run = format!("probe-{}", server.grpc.port());
        let seen = tokio::spawn(async move {
            let mut allocation = AllocationServiceClient::new(channel.clone());
            let mut inventory = InventoryServiceClient::new(channel);
            let (times, mut failed, mut index) = (Recorder::default(), 0, fresh());
            while stopped.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Empty) {
                index += 1;
                let began = Instant::now();
                let mut reserve = Request::new(shop::order(&run, index, 2));
                reserve.set_timeout(PATIENCE);
                failed += u64::from(allocation.reserve(reserve).await.is_err());
                times.record(began.elapsed());
                let began = Instant::now();
                let mut read = Request::new(ListShortfallsRequest::default());
                read.set_timeout(PATIENCE);
                failed += u64::from(inventory.list_shortfalls(read).await.is_err());
                times.record(began.elapsed());
                tokio::time::sleep(PAUSE).await;
            }
            let summary = times.summary();
            Seen { count: summary.count, failed, p99_micros: summary.p99_micros }
        });
        Ok(Probe { stop, seen })
    }

    pub(super) async fn stop(self) -> Result<Seen, Error> {
        // The other end waits for this alone.
        let _there = self.stop.send(());
        Ok(self.seen.await?)
    }

    /// What a caller sees in the next `time`.
    pub(super) async fn watch(server: &Server, time: Duration) -> Result<Seen, Error> {
        let probe = Probe::start(server).await?;
        tokio::time::sleep(time).await;
        probe.stop().await
    }
}

/// A number that no probe of this process had before: request ids are not to repeat.
fn fresh() -> u64 {
    static PROBES: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    PROBES.fetch_add(1, std::sync::atomic::Ordering::Relaxed) << 32
}

//! A server in this process: naive logic over maps, no journal, faults on demand.

mod book;
mod services;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use quartermaster_loadtest::client::{Client, RetryPolicy};
use quartermaster_proto::v1::admin_service_server::AdminServiceServer;
use quartermaster_proto::v1::allocation_service_server::AllocationServiceServer;
use quartermaster_proto::v1::catalog_service_server::CatalogServiceServer;
use quartermaster_proto::v1::inventory_service_server::InventoryServiceServer;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;

pub(crate) use self::book::Book;

/// What the server does wrong.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// The n-th reservation, and all that come meanwhile, wait so long.
    pub(crate) stall: Option<(u64, Duration)>,
    /// Every n-th change is made and its answer lost: UNAVAILABLE.
    pub(crate) lose_every: Option<u64>,
    /// Holds are granted whatever there is.
    pub(crate) oversell: bool,
}

/// A running server.
#[derive(Clone)]
pub(crate) struct Fake {
    book: Arc<Mutex<Book>>,
    faults: Arc<Mutex<Faults>>,
    /// Held by every reservation while it is decided.
    turn: Arc<tokio::sync::Mutex<u64>>,
    pub(crate) target: String,
}

impl Fake {
    /// Starts it on a free port.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Fake {
            book: Arc::default(),
            faults: Arc::default(),
            turn: Arc::default(),
            target: format!("http://{}", listener.local_addr().unwrap()),
        };
        let server = Server::builder()
            .add_service(AllocationServiceServer::new(fake.clone()))
            .add_service(InventoryServiceServer::new(fake.clone()))
            .add_service(CatalogServiceServer::new(fake.clone()))
            .add_service(AdminServiceServer::new(fake.clone()));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        fake
    }

    /// What it holds, to look at or to falsify.
    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }

    /// What it does wrong from now on.
    pub(crate) fn set_faults(&self, faults: Faults) {
        *self.faults.lock().unwrap() = faults;
    }

    fn faults(&self) -> Faults {
        *self.faults.lock().unwrap()
    }

    /// A client of it.
    pub(crate) async fn client(&self, attempts_max: u32) -> Client {
        let retry = RetryPolicy { attempts_max, backoff: Duration::from_millis(1), ..RetryPolicy::default() };
        Client::connect(&self.target, 2, retry).await.unwrap()
    }
}

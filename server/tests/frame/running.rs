//! A server with the fake services on free ports, and a caller that speaks plain HTTP/1.1.

use std::net::{Ipv4Addr, SocketAddr};

use quartermaster_proto::v1::admin_service_server::AdminServiceServer;
use quartermaster_proto::v1::allocation_service_client::AllocationServiceClient;
use quartermaster_proto::v1::allocation_service_server::AllocationServiceServer;
use quartermaster_proto::v1::inventory_service_server::InventoryServiceServer;
use quartermaster_server::config::Config;
use quartermaster_server::health::Health;
use quartermaster_server::metrics::Metrics;
use quartermaster_server::security::Security;
use quartermaster_server::serve::{Drained, Server};
use quartermaster_server::shutdown::{self, Stopper};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint};

use crate::fake::Fake;

pub struct Running {
    pub grpc: SocketAddr,
    pub admin: SocketAddr,
    pub fake: Fake,
    pub health: Health,
    pub metrics: Arc<Metrics>,
    pub security: Security,
    pub stopper: Stopper,
    pub serving: JoinHandle<Drained>,
}

/// What an HTTP/1.1 caller got.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

pub fn config() -> Config {
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Config { listen: free, metrics_listen: free, ..Config::default() }
}

impl Running {
    pub async fn start(config: Config) -> Running {
        let fake = Fake::default();
        let (server, port) = Server::bind(&config).await.unwrap();
        let services = Routes::new(AllocationServiceServer::new(fake.clone()))
            .add_service(InventoryServiceServer::new(fake.clone()))
            .add_service(AdminServiceServer::new(fake.clone()));
        let (stopper, stop) = shutdown::order();
        let (ready, address) = oneshot::channel();
        let admin = server.metrics_address();
        let health = server.health().clone();
        let metrics = Arc::clone(server.metrics());
        let security = server.security().clone();
        let serving =
            tokio::spawn(
                async move { server.run(port, services, stop, |grpc| ready.send(grpc).unwrap()).await.unwrap() },
            );
        let grpc = address.await.unwrap();
        Running { grpc, admin, fake, health, metrics, security, stopper, serving }
    }

    pub async fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.grpc)).unwrap().connect().await.unwrap()
    }

    pub async fn allocation(&self) -> AllocationServiceClient<Channel> {
        AllocationServiceClient::new(self.channel().await)
    }

    /// POST with a JSON body.
    pub async fn post(&self, path: &str, body: &str) -> Answer {
        http(self.grpc, "POST", path, "content-type: application/json\r\n", body.as_bytes()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        http(self.grpc, "GET", path, "", b"").await
    }

    pub async fn scrape(&self) -> String {
        let answer = http(self.admin, "GET", "/metrics", "", b"").await;
        assert_eq!(answer.status, 200);
        answer.body
    }
}

/// One request as a text, one answer as a text.
pub async fn http(address: SocketAddr, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // A server that refuses a long body closes before it has read all of it.
    let _refused = stream.write_all(body).await;
    let mut answer = Vec::new();
    let _reset = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in {answer:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let chunked = head.to_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { unchunked(body) } else { body.to_owned() };
    Answer { status, head: head.to_lowercase(), body }
}

fn unchunked(mut body: &str) -> String {
    let mut text = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length.trim(), 16).unwrap();
        if length == 0 {
            break;
        }
        text.push_str(&rest[..length]);
        body = &rest[length + 2..];
    }
    text
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    pub fn lines(&self) -> Vec<serde_json::Value> {
        self.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

//! The server in this process, on a free port and a directory of its own.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use quartermaster_client::{Client, v1};
use quartermaster_server::config::Config;
use quartermaster_server::node::Node;
use quartermaster_server::serve::Server;
use quartermaster_server::{grpc, shutdown};
use tempfile::TempDir;
use tokio::sync::oneshot;

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    _stopper: shutdown::Stopper,
    _data: TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

impl Running {
    pub(crate) async fn start() -> Running {
        let data = TempDir::new().unwrap();
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        // As long as a shared disk may stand: what is tried here is what is answered, not how soon.
        let default_deadline = Duration::from_secs(60);
        let data_dir = Some(data.path().to_owned());
        let config = Config { listen: free, metrics_listen: free, data_dir, default_deadline, ..Config::default() };
        let (server, port) = Server::bind(&config).await.unwrap();
        let health = server.health().clone();
        let node = tokio::task::spawn_blocking(move || Node::open(&config, health, || ())).await.unwrap().unwrap();
        let services = grpc::routes(&node, 4 << 20);
        let (stopper, stop) = shutdown::order();
        let (ready, address) = oneshot::channel();
        tokio::spawn(async move {
            server.run(port, services, stop, |grpc| ready.send(grpc).unwrap()).await.unwrap();
        });
        Running { address: address.await.unwrap(), _stopper: stopper, _data: data }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn client(&self) -> Client {
        Client::builder(&self.url()).deadline(Duration::from_secs(30)).connect().unwrap()
    }

    /// SKU A with `units` at location L.
    pub(crate) async fn stock(&self, units: i64) {
        let client = self.client();
        let location = v1::Location { code: "L".into(), name: "上海".into(), ..v1::Location::default() };
        client.call(v1::UpsertLocationsRequest { locations: vec![location], ..Default::default() }).await.unwrap();
        let sku = v1::Sku { code: "A".into(), ..v1::Sku::default() };
        client.call(v1::UpsertSkusRequest { skus: vec![sku], ..Default::default() }).await.unwrap();
        let set = v1::SetStockRequest {
            sku: "A".into(),
            location: "L".into(),
            quantity: units,
            ..v1::SetStockRequest::default()
        };
        client.call(set).await.unwrap();
    }

    /// Runs a command against it.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, "")
    }

    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Ended {
        let mut command = command(arguments);
        let mut child = command.env("QUARTERMASTER_TARGET", self.url()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        ended(child.wait_with_output().unwrap())
    }
}

/// The binary, without anything that the machine's environment would say to it.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quartermaster"));
    command.args(arguments).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(crate) fn ended(output: Output) -> Ended {
    Ended {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

//! A server process on free ports, and clients for it.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use quartermaster_proto::v1::allocation_service_client::AllocationServiceClient;
use quartermaster_proto::v1::catalog_service_client::CatalogServiceClient;
use quartermaster_proto::v1::inventory_service_client::InventoryServiceClient;
use quartermaster_proto::v1::{
    Location, ReserveLine, ReserveRequest, SetStockRequest, Sku, UpsertLocationsRequest, UpsertSkusRequest,
};
use rustix::process::{Pid, Signal, kill_process};
use tonic::transport::Channel;

/// A running server; killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    pub(crate) metrics: String,
}

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quartermaster"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Server {
    /// Starts a server on `dir`, or gives what it said on stderr and how it ended.
    pub(crate) fn try_start(dir: &Path, more: &[&str]) -> Result<Server, (String, ExitStatus)> {
        Server::try_start_with(dir, more, &[])
    }

    /// The same with more in its environment.
    pub(crate) fn try_start_with(
        dir: &Path,
        more: &[&str],
        environment: &[(&str, String)],
    ) -> Result<Server, (String, ExitStatus)> {
        let free = "127.0.0.1:0";
        let mut command = command(&["serve", "--listen", free, "--metrics-listen", free, "--data-dir"]);
        // A shared disk now and then keeps an fsync waiting longer than the second that a call has by default. What is tried here is what is
        // answered, not how soon; a test that is about time says so with its own flag.
        command.env("QUARTERMASTER_DEFAULT_DEADLINE", "60s");
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let mut child = command.arg(dir).args(more).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let addresses = line.trim_end().strip_prefix("ready grpc=").and_then(|rest| rest.split_once(" metrics="));
        let Some((address, metrics)) = addresses else {
            let mut said = String::new();
            stderr.read_to_string(&mut said).unwrap();
            return Err((said, child.wait().unwrap()));
        };
        // Drained, so that a talkative server never waits for a reader.
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        Ok(Server { child, address: address.to_owned(), metrics: metrics.to_owned() })
    }

    pub(crate) fn start(dir: &Path) -> Server {
        Server::try_start(dir, &[]).unwrap_or_else(|(said, status)| panic!("{status}: {said}"))
    }

    pub(crate) async fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    /// What a command line says to it: its code, and stdout and stderr together.
    pub(crate) fn ask(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = command(arguments).env("QUARTERMASTER_TARGET", &self.address).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    }

    /// What a page of the metrics port says, head included.
    pub(crate) fn page(&self, path: &str) -> String {
        let mut stream = std::net::TcpStream::connect(&self.metrics).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and the exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Gone already when the test went well.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// Makes SKUs S0, S1, … with `units` each at location L.
pub(crate) async fn stock(channel: &Channel, skus: usize, units: i64) {
    let mut catalog = CatalogServiceClient::new(channel.clone());
    let place = Location { code: "L".into(), ..Location::default() };
    let request = UpsertLocationsRequest { request_id: "locations".into(), locations: vec![place] };
    catalog.upsert_locations(request).await.unwrap();
    let all = (0..skus).map(|number| Sku { code: format!("S{number}"), ..Sku::default() }).collect();
    catalog.upsert_skus(UpsertSkusRequest { request_id: "skus".into(), skus: all }).await.unwrap();
    let mut inventory = InventoryServiceClient::new(channel.clone());
    for number in 0..skus {
        let set = SetStockRequest {
            request_id: format!("set-{number}"),
            sku: format!("S{number}"),
            location: "L".into(),
            quantity: units,
            ..SetStockRequest::default()
        };
        inventory.set_stock(set).await.unwrap();
    }
}

pub(crate) fn order(id: &str, sku: usize, quantity: i64) -> ReserveRequest {
    let line = ReserveLine { sku: format!("S{sku}"), quantity, ..ReserveLine::default() };
    ReserveRequest { request_id: id.into(), buyer_id: "buyer".into(), lines: vec![line], ..ReserveRequest::default() }
}

pub(crate) fn allocation(channel: &Channel) -> AllocationServiceClient<Channel> {
    AllocationServiceClient::new(channel.clone())
}

//! A server with stock to play with: started on a directory of its own, killed and started again, and proved by `verify` at the end.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use quartermaster_loadtest::client::{Client, RetryPolicy};
use quartermaster_proto::v1::{
    Channel, Location, Receipt, ReceiveStockRequest, Sku, UpsertChannelsRequest, UpsertLocationsRequest,
    UpsertSkusRequest,
};
use tempfile::TempDir;
use tonic::{Request, Status};

use crate::Error;
use crate::process::{Server, ServerArgs};
use crate::verdict::Verdict;

/// How long a server may take to end on its own.
const END_TIME_MAX: Duration = Duration::from_secs(60);
/// A deadline that only a hanging server misses.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A policy for calls that must get their answer.
pub const PATIENT: RetryPolicy =
    RetryPolicy { deadline: PATIENCE, attempts_max: 100, backoff: Duration::from_millis(20) };

/// Every attempt is judged here, also when the machine has no time for the server: what is refused in overload is another campaign.
const NEVER_SHED: [&str; 2] = ["--queue-wait-target", "0s"];

/// A server and its directory.
#[derive(Debug)]
pub struct Stage {
    program: PathBuf,
    flags: Vec<String>,
    server: Option<Server>,
    // Removed last.
    directory: TempDir,
}

impl Stage {
    /// Starts a server on a fresh directory.
    ///
    /// # Errors
    /// When it does not serve.
    pub fn start(args: &ServerArgs, flags: &[&str]) -> Result<Stage, Error> {
        let (program, directory) = (args.program()?, TempDir::new()?);
        let flags: Vec<String> = NEVER_SHED.iter().chain(flags).map(|flag| (*flag).to_owned()).collect();
        let mut stage = Stage { program, flags, server: None, directory };
        stage.again()?;
        Ok(stage)
    }

    /// The running server.
    ///
    /// # Panics
    /// When it was stopped.
    pub fn server(&self) -> &Server {
        self.server.as_ref().expect("Invariant: a stage has a server until it is stopped")
    }

    /// Where the server keeps its data.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// kill -9 if it still runs, and a new one on the same directory: at another address.
    ///
    /// # Errors
    /// When it does not serve again.
    pub fn again(&mut self) -> Result<(), Error> {
        self.kill();
        let flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        self.server = Some(Server::start(&self.program, self.directory.path(), &flags)?);
        Ok(())
    }

    /// kill -9.
    pub fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            server.kill();
        }
    }

    /// Ends the server in order, has `verify` go through its directory, and tells `verdict`.
    ///
    /// # Errors
    /// When it does not end, or the program cannot be run.
    pub fn verify(&mut self, verdict: &mut Verdict) -> Result<(), Error> {
        if let Some(server) = self.server.take() {
            let (status, _) = server.terminate(END_TIME_MAX)?;
            verdict.must(status.success(), || format!("the server ended with {status}"));
        }
        let mut verify = Command::new(&self.program);
        let ran = verify.arg("verify").arg(self.directory.path()).stdin(Stdio::null()).output()?;
        verdict.must(ran.status.success(), || {
            let (said, more) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
            format!("verify ended with {}: {said}{more}", ran.status)
        });
        Ok(())
    }
}

/// A request that waits for its answer.
pub fn patient<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(PATIENCE);
    request
}

/// Code of the place at `index`; earlier ones are preferred.
pub fn place(index: usize) -> String {
    format!("L{index}")
}

/// Code of the SKU at `index`.
pub fn sku(index: usize) -> String {
    format!("S{index}")
}

/// Makes places, channel `app` and SKUs.
///
/// # Errors
/// What the server says to it.
pub async fn catalogue(client: &Client, places: usize, skus: usize) -> Result<(), Status> {
    let locations = (0..places)
        .map(|at| Location { code: place(at), priority: i32::try_from(at).unwrap_or(i32::MAX), ..Location::default() })
        .collect();
    let locations = UpsertLocationsRequest { request_id: "stage-locations".into(), locations };
    client.catalog().upsert_locations(patient(locations)).await?;
    let channels = vec![Channel { code: "app".into(), active: Some(true), ..Channel::default() }];
    let channels = UpsertChannelsRequest { request_id: "stage-channels".into(), channels };
    client.catalog().upsert_channels(patient(channels)).await?;
    let skus = (0..skus).map(|at| Sku { code: sku(at), ..Sku::default() }).collect();
    client.catalog().upsert_skus(patient(UpsertSkusRequest { request_id: "stage-skus".into(), skus })).await?;
    Ok(())
}

/// Puts units into cells (SKU, place, units), all at once; gives the event's LSN.
///
/// # Errors
/// What the server says to it.
pub async fn receive(client: &Client, cells: &[(usize, usize, u64)]) -> Result<u64, Status> {
    let receipts = cells.iter().filter(|(.., units)| *units > 0).map(|(at, where_, units)| Receipt {
        sku: sku(*at),
        location: place(*where_),
        quantity: i64::try_from(*units).unwrap_or(i64::MAX),
    });
    let message = ReceiveStockRequest {
        request_id: "stage-stock".into(),
        receipts: receipts.collect(),
        ..ReceiveStockRequest::default()
    };
    let answer = client.inventory().receive_stock(patient(message)).await?.into_inner();
    Ok(answer.position.unwrap_or_default().lsn)
}

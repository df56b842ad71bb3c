//! `quartermaster demo`: a flash sale on the real server in a second process, a SIGKILL in mid-traffic, and the proof that nothing
//! acknowledged was lost and nothing sold twice. Traffic and proof are those of the load test; here are the processes and the page.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use quartermaster_loadtest::client::{Client, ConnectError, RetryPolicy};
use quartermaster_loadtest::demo::catalogue::HOT_SKU;
use quartermaster_loadtest::demo::{
    Catalogue, Ledger, Resolved, Sale, SaleOutcome, SalePlan, SaleReport, prove, resolve,
};
use quartermaster_loadtest::load::{LoadError, load};
use quartermaster_loadtest::machine::Machine;
use quartermaster_loadtest::progress::during;
use quartermaster_loadtest::status::{JournalWork, get_status};
use quartermaster_loadtest::table::{counted, grouped};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};

/// Connections of the buyers.
const CONNECTIONS: usize = 4;
/// Time for a start, recovery included.
const START_TIME_MAX: Duration = Duration::from_secs(30);
/// Time for a graceful stop: in flight, snapshot, exit.
const STOP_TIME_MAX: Duration = Duration::from_secs(30);
/// Traffic before the kill.
const CRASH_AFTER: Duration = Duration::from_secs(3);

/// Arguments of `quartermaster demo`.
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// Seconds the sale lasts.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,
    /// Buyers who arrive a second.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..=200_000))]
    pub rate: u64,
    /// Leave the server running at the end, and say what to try next.
    #[arg(long)]
    pub keep: bool,
    /// An empty or new directory for the data. Default: a temporary one, removed at the end unless a proof fails.
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
    /// Seed of the stock and the buyers.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Why a demo could not be run to its end. A proof that fails is not an error: it is printed, and the exit code tells.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The runtime did not start.
    #[error("no threads for the demo")]
    Runtime(#[source] io::Error),
    /// The data directory is in use or cannot be made.
    #[error("{} cannot be the demo's data directory", path.display())]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A process could not be started or ended.
    #[error("cannot {what}")]
    Process {
        /// What should have been done.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The server never said that it is ready.
    #[error("the server did not get ready; its log is {}", log.display())]
    NotReady {
        /// Its log.
        log: PathBuf,
    },
    /// The server said that it is ready and does not answer.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A call that the demo needs failed.
    #[error(transparent)]
    Call(#[from] LoadError),
    /// A task of the demo ended early.
    #[error("the traffic ended early")]
    Traffic,
    /// The user pressed Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

/// Runs the demo. The exit code is 0 when every proof holds, else 1.
///
/// # Errors
/// When it cannot be run to its end.
pub fn run(args: &DemoArgs) -> Result<ExitCode, DemoError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(DemoError::Runtime)?;
    runtime.block_on(async {
        tokio::select! {
            ended = demo(args) => ended,
            Ok(()) = tokio::signal::ctrl_c() => Err(DemoError::Interrupted),
        }
    })
}

async fn demo(args: &DemoArgs) -> Result<ExitCode, DemoError> {
    let mut data = DataDir::new(args.data_dir.as_deref())?;
    println!("Quartermaster: a flash sale, a crash, and the proof that nothing was lost or sold twice.");

    section("Server");
    let server = Server::start(&data, true).await?;
    let client = server.client().await?;
    let status = get_status(&client).await.map_err(call("GetStatus"))?;
    let machine = Machine::here();
    println!("  version {} at {}, durability {}", status.version, server.address, status.durability);
    println!("  data in {}", data.path.display());
    println!("  server and buyers share {} of {}", counted(count(machine.cores_usable), "core"), machine.cpu);

    section("Catalogue");
    let catalogue = Arc::new(Catalogue::apparel(args.seed));
    let loaded = load(&client, catalogue.to_load(), "demo").await?;
    println!(
        "  {} styles, {} SKUs, {} locations in China",
        grouped(count(catalogue.styles())),
        grouped(count(catalogue.skus.len())),
        grouped(count(catalogue.locations.len()))
    );
    println!(
        "  {} cells with {} units, loaded over gRPC in {:.1} s",
        grouped(loaded.cells),
        grouped(catalogue.units()),
        loaded.elapsed.as_secs_f64()
    );

    section(&format!("Flash sale: {} units of {HOT_SKU}", grouped(catalogue.hot_units())));
    println!(
        "  {} s, {} buyers a second; half want it, half order 1 to 5 lines of the rest",
        args.seconds,
        grouped(args.rate)
    );
    println!("  70 % pay within 1.2 s, the others walk away and their holds expire after 2 s\n");
    let ledger = Arc::new(Ledger::default());
    let before = get_status(&client).await.map_err(call("GetStatus"))?;
    let plan = SalePlan::new("sale", args.seed, args.rate, Duration::from_secs(args.seconds));
    let mut sale = sell(&client, &catalogue, &ledger, plan).await;
    let after = get_status(&client).await.map_err(call("GetStatus"))?;
    print!("{}", SaleReport { outcome: &sale, journal: JournalWork::between(&before, &after) });

    section("Crash: SIGKILL in mid-traffic");
    let plan = SalePlan::new("crash", args.seed + 1, args.rate, CRASH_AFTER + STOP_TIME_MAX);
    let (killed, server) = crash(server, &data, &catalogue, &ledger, plan).await?;
    let client = server.client().await?;
    let mut unknown = std::mem::take(&mut sale.unknown);
    unknown.extend(killed.unknown);
    let resolved = resolve(&client, &ledger, unknown).await;
    tell_resolved(&resolved);

    section("Proof from outside");
    let proof = prove(&client, &catalogue, &ledger.snapshot(), &ledger.conflicts()).await?;
    print!("{proof}");

    section("Proof from the log");
    drop(client);
    let stopped = server.stop().await?;
    let graceful = stopped.success();
    println!("  {} SIGTERM: the server ended with {stopped}", mark(graceful));
    let verified = verify(&data).await?;

    let holds = proof.holds() && resolved.failed.is_empty() && graceful && verified;
    println!();
    if holds {
        println!(
            "Everything holds: {} acknowledged, none lost, none sold twice.",
            counted(count(ledger.len()), "reservation")
        );
    } else {
        data.keep();
        println!("A PROOF FAILED. Data and server.log are kept in {}", data.path.display());
    }
    if args.keep {
        data.keep();
        let server = Server::start(&data, false).await?;
        tell_next(&server, &data);
    }
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn sell(client: &Client, catalogue: &Arc<Catalogue>, ledger: &Arc<Ledger>, plan: SalePlan) -> SaleOutcome {
    let duration = plan.duration;
    let sale = Sale::new(client.clone(), Arc::clone(catalogue), Arc::clone(ledger), plan);
    let live = sale.live();
    during("sale", duration, move |elapsed| live_line(elapsed, &live.snapshot()), sale.run()).await
}

fn live_line(elapsed: Duration, counts: &quartermaster_loadtest::tally::LiveCounts) -> String {
    format!(
        "{:>3} s   {:>8} held   {:>8} sold out   {:>8} paid   {:>8} shipped   {} errors",
        elapsed.as_secs(),
        grouped(counts.holds),
        grouped(counts.sold_out),
        grouped(counts.confirmed),
        grouped(counts.shipped),
        grouped(counts.errors)
    )
}

/// Starts traffic again, kills the server in the middle of it, starts it on the same data.
async fn crash(
    mut server: Server,
    data: &DataDir,
    catalogue: &Arc<Catalogue>,
    ledger: &Arc<Ledger>,
    plan: SalePlan,
) -> Result<(SaleOutcome, Server), DemoError> {
    // One attempt each: what the kill interrupts stays unknown until the server is back.
    let client = server.client().await?;
    let client = client.with_retry(RetryPolicy { attempts_max: 1, ..client.retry() });
    let acknowledged = ledger.len();
    let sale = Sale::new(client, Arc::clone(catalogue), Arc::clone(ledger), plan);
    let live = sale.live();
    let traffic = tokio::spawn(sale.clone().run());
    during(
        "traffic",
        CRASH_AFTER,
        move |elapsed| live_line(elapsed, &live.snapshot()),
        tokio::time::sleep(CRASH_AFTER),
    )
    .await;
    server.child.kill().await.map_err(process("kill the server"))?;
    sale.stop();
    let outcome = traffic.await.map_err(|_| DemoError::Traffic)?;
    println!(
        "  killed after {} more reservations; {} left without an answer",
        grouped(count(ledger.len() - acknowledged)),
        counted(count(outcome.unknown.len()), "request")
    );
    let started = Instant::now();
    let server = Server::start(data, true).await?;
    let outage = started.elapsed();
    let status = get_status(&server.client().await?).await.map_err(call("GetStatus"))?;
    let recovery = status.recovery.unwrap_or_default();
    let recovered = recovery.duration.and_then(|span| Duration::try_from(span).ok()).unwrap_or_default();
    println!(
        "  ready again {} ms after the restart; recovery took {} ms: {}, {} of a torn tail cut",
        grouped(millis(outage)),
        grouped(millis(recovered)),
        match recovery.snapshot_lsn {
            0 => format!("{} applied, no snapshot", counted(recovery.records, "record")),
            lsn =>
                format!("{} applied after the snapshot at LSN {}", counted(recovery.records, "record"), grouped(lsn)),
        },
        counted(recovery.torn_bytes, "byte")
    );
    Ok((outcome, server))
}

fn tell_resolved(resolved: &Resolved) {
    println!(
        "  asked again under the same ids: {} had happened, {} happened now, {} refused",
        grouped(resolved.done_before),
        grouped(resolved.done_now),
        grouped(resolved.refused)
    );
    for failure in resolved.failed.iter().take(10) {
        println!("  ✗ {failure}");
    }
}

/// Runs `quartermaster verify` on the stopped server's data and prints what it says.
async fn verify(data: &DataDir) -> Result<bool, DemoError> {
    let mut verify = Command::new(this_program()?);
    verify.arg("verify").arg(&data.path).stdin(Stdio::null());
    let output = verify.output().await.map_err(process("run `quartermaster verify`"))?;
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).lines().for_each(|line| println!("  {line}"));
    println!("  {} quartermaster verify ended with {}", mark(output.status.success()), output.status);
    Ok(output.status.success())
}

fn tell_next(server: &Server, data: &DataDir) {
    let Server { address, child, .. } = server;
    section("Still running: try");
    println!("  curl -s http://{address}/quartermaster.v1.InventoryService/GetAvailability \\");
    println!("    -H 'content-type: application/json' -d '{{\"skus\":[\"{HOT_SKU}\",\"TEE-01-BLACK-M\"]}}'\n");
    println!("  curl -s http://{address}/quartermaster.v1.InventoryService/GetStyleGrid \\");
    println!("    -H 'content-type: application/json' -d '{{\"style\":\"TEE-01\"}}'\n");
    println!("  curl -s http://{address}/quartermaster.v1.AllocationService/Reserve \\");
    println!("    -H 'content-type: application/json' \\");
    println!(
        "    -d '{{\"requestId\":\"mine-1\",\"lines\":[{{\"sku\":\"TEE-01-BLACK-M\",\"quantity\":\"2\"}}],\"ttl\":\"60s\"}}'\n"
    );
    println!("  grpcurl -plaintext -d '{{}}' {address} quartermaster.v1.AdminService/GetStatus\n");
    println!("  curl -s http://{}/metrics", server.metrics);
    println!("\n  data and server.log: {}", data.path.display());
    if let Some(id) = child.id() {
        println!("  stop it with: kill {id}");
    }
}

/// The server in its own process.
struct Server {
    child: Child,
    address: String,
    metrics: String,
    /// Kept open for as long as the server may write to it.
    _stdout: ChildStdout,
}

impl Server {
    /// Starts `quartermaster serve` on free ports and waits until it is ready. `ours`: it dies with the demo.
    async fn start(data: &DataDir, ours: bool) -> Result<Self, DemoError> {
        let log = data.path.join("server.log");
        let stderr = File::options().create(true).append(true).open(&log).map_err(process("write server.log"))?;
        let mut serve = Command::new(this_program()?);
        serve.arg("serve").arg("--data-dir").arg(&data.path);
        serve.args(["--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]);
        serve.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).kill_on_drop(ours);
        let mut child = serve.spawn().map_err(process("start the server"))?;
        let not_ready = || DemoError::NotReady { log: log.clone() };
        let mut lines = BufReader::new(child.stdout.take().ok_or_else(not_ready)?).lines();
        let line = tokio::time::timeout(START_TIME_MAX, lines.next_line()).await;
        let line = line.ok().and_then(Result::ok).flatten().ok_or_else(not_ready)?;
        let (address, metrics) = addresses(&line).ok_or_else(not_ready)?;
        Ok(Server { child, address, metrics, _stdout: lines.into_inner().into_inner() })
    }

    async fn client(&self) -> Result<Client, ConnectError> {
        Client::connect(&format!("http://{}", self.address), CONNECTIONS, RetryPolicy::default()).await
    }

    /// Asks it to stop and waits until it has.
    async fn stop(mut self) -> Result<ExitStatus, DemoError> {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(id) = id {
            kill_process(id, Signal::TERM).map_err(|error| process("stop the server")(error.into()))?;
        }
        let ended = tokio::time::timeout(STOP_TIME_MAX, self.child.wait()).await;
        ended.unwrap_or_else(|late| Err(late.into())).map_err(process("see the server stop"))
    }
}

/// gRPC and metrics address of `ready grpc=127.0.0.1:7070 metrics=127.0.0.1:7071`.
fn addresses(line: &str) -> Option<(String, String)> {
    let (grpc, metrics) = line.strip_prefix("ready grpc=")?.split_once(" metrics=")?;
    Some((grpc.to_owned(), metrics.trim_end().to_owned()))
}

/// Where the demo's data lies.
struct DataDir {
    path: PathBuf,
    remove: bool,
}

impl DataDir {
    /// `asked`, which must be empty or new, or else a temporary directory that is removed with this value.
    fn new(asked: Option<&Path>) -> Result<Self, DemoError> {
        let temporary = || std::env::temp_dir().join(format!("quartermaster-demo-{}", std::process::id()));
        let path = asked.map_or_else(temporary, Path::to_owned);
        let empty = || {
            fs::create_dir_all(&path)?;
            match fs::read_dir(&path)?.next() {
                Some(_) => Err(io::Error::new(io::ErrorKind::DirectoryNotEmpty, "it is not empty")),
                None => Ok(()),
            }
        };
        empty().map_err(|source| DemoError::DataDir { path: path.clone(), source })?;
        Ok(DataDir { path, remove: asked.is_none() })
    }

    fn keep(&mut self) {
        self.remove = false;
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        if self.remove {
            // Left over in the temporary directory at worst.
            let _left = fs::remove_dir_all(&self.path);
        }
    }
}

fn section(title: &str) {
    println!("\n── {title}");
}

fn mark(good: bool) -> &'static str {
    if good { "✓" } else { "✗" }
}

fn this_program() -> Result<PathBuf, DemoError> {
    std::env::current_exe().map_err(process("find this program"))
}

fn process(what: &'static str) -> impl FnOnce(io::Error) -> DemoError {
    move |source| DemoError::Process { what, source }
}

fn call(call: &'static str) -> impl FnOnce(tonic::Status) -> DemoError {
    move |status| DemoError::Call(LoadError { call, status })
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_tells_both_addresses() {
        let both = ("127.0.0.1:7070".to_owned(), "127.0.0.1:7071".to_owned());
        assert_eq!(addresses("ready grpc=127.0.0.1:7070 metrics=127.0.0.1:7071"), Some(both));
        assert_eq!(addresses("error: no such directory"), None);
    }

    #[test]
    fn a_directory_with_something_in_it_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        assert!(DataDir::new(Some(directory.path())).is_ok());
        fs::write(directory.path().join("file"), "").unwrap();
        assert!(DataDir::new(Some(directory.path())).is_err());
    }
}

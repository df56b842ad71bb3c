//! A server process of a campaign: started on free loopback ports, watched, and ended by its own process id.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use quartermaster_loadtest::client::{Client, ConnectError, RetryPolicy};
use rustix::process::{Pid, Signal, kill_process};

/// What a campaign needs to start servers.
#[derive(Clone, Debug, clap::Args)]
pub struct ServerArgs {
    /// The server's program; without it, `quartermaster` beside this one.
    #[arg(long)]
    pub server_bin: Option<PathBuf>,
}

impl ServerArgs {
    /// The program to start.
    ///
    /// # Errors
    /// When there is none.
    pub fn program(&self) -> Result<PathBuf, StartError> {
        let beside = || Some(std::env::current_exe().ok()?.with_file_name("quartermaster"));
        let program = self.server_bin.clone().or_else(beside).unwrap_or_default();
        if program.is_file() { Ok(program) } else { Err(StartError::NoProgram { program }) }
    }
}

/// Why a server does not serve.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The program is not there.
    #[error("no server at {}; build it with `cargo build --release -p quartermaster-server`, or name it with --server-bin", program.display())]
    NoProgram {
        /// Where it was looked for.
        program: PathBuf,
    },
    /// The system did not start it.
    #[error("cannot start {program}")]
    Spawn {
        /// What was to be started.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It ended before it served.
    #[error("the server ended with {status} before it served: {said}")]
    Ended {
        /// How it ended.
        status: ExitStatus,
        /// Its stderr.
        said: String,
    },
}

/// A running server; killed when it is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// The server itself: the child, or what the wrapper started.
    pid: Pid,
    /// Where it answers calls.
    pub grpc: SocketAddr,
    /// Where its metrics page is.
    pub metrics: SocketAddr,
    said: Arc<Mutex<String>>,
}

impl Server {
    /// Starts `program serve` on `dir` with `more` flags and waits until it serves.
    ///
    /// # Errors
    /// When it cannot be started, or ends before it serves.
    pub fn start(program: &Path, dir: &Path, more: &[&str]) -> Result<Server, StartError> {
        let mut command = Command::new(program);
        Server::start_with(command.args(Server::arguments(dir)).args(more))
    }

    /// The arguments of a server on `dir` with free ports on loopback, for a command that wraps it.
    pub fn arguments(dir: &Path) -> Vec<std::ffi::OsString> {
        let free = "127.0.0.1:0";
        let mut arguments: Vec<std::ffi::OsString> =
            ["serve", "--listen", free, "--metrics-listen", free, "--data-dir"].map(Into::into).to_vec();
        arguments.push(dir.into());
        arguments
    }

    /// Starts a prepared command that ends in a server.
    ///
    /// # Errors
    /// As `start`.
    pub fn start_with(command: &mut Command) -> Result<Server, StartError> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|source| StartError::Spawn {
            program: command.get_program().to_string_lossy().into_owned(),
            source,
        })?;
        let (stdout, stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        let said = Arc::new(Mutex::new(String::new()));
        // Drained, so that a talkative server never waits for a reader.
        let reader = std::thread::spawn({
            let said = Arc::clone(&said);
            move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    let mut said = said.lock();
                    said.push_str(&line);
                    said.push('\n');
                }
            }
        });
        let mut line = String::new();
        // What cannot be read is no ready line, which is told below.
        let _unread = BufReader::new(stdout).read_line(&mut line);
        let Some((grpc, metrics)) = ready(&line) else {
            let status = child.wait().map_err(|source| StartError::Spawn { program: "the server".into(), source })?;
            let _panicked = reader.join();
            let said = said.lock().clone();
            return Err(StartError::Ended { status, said });
        };
        let pid = Pid::from_child(&child);
        Ok(Server { child, pid, grpc, metrics, said })
    }

    /// The same server, whose process is `pid` rather than that of the command that was started.
    #[must_use]
    pub fn under(self, pid: Pid) -> Server {
        let mut server = self;
        server.pid = pid;
        server
    }

    /// The server's process.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// What it has written to stderr.
    pub fn said(&self) -> String {
        self.said.lock().clone()
    }

    /// Address for clients, as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.grpc)
    }

    /// A client with `connections` connections.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn client(&self, connections: usize, retry: RetryPolicy) -> Result<Client, ConnectError> {
        Client::connect(&self.url(), connections, retry).await
    }

    /// Sends a signal to the server.
    ///
    /// # Errors
    /// When it is gone.
    pub fn signal(&self, signal: Signal) -> std::io::Result<()> {
        kill_process(self.pid, signal).map_err(Into::into)
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(mut self) {
        self.end();
    }

    /// SIGTERM; gives how it ended and how long that took.
    ///
    /// # Errors
    /// When the system refuses, or it has not ended after `patience`; it is killed then.
    pub fn terminate(mut self, patience: Duration) -> std::io::Result<(ExitStatus, Duration)> {
        let began = Instant::now();
        self.signal(Signal::TERM)?;
        Ok((self.ended(patience)?, began.elapsed()))
    }

    /// Waits until the server has ended by itself.
    ///
    /// # Errors
    /// `TimedOut` when it has not after `patience`.
    pub fn ended(&mut self, patience: Duration) -> std::io::Result<ExitStatus> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if began.elapsed() > patience {
                return Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "the server has not ended"));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn end(&mut self) {
        // Gone already when it ended by itself.
        let _gone = kill_process(self.pid, Signal::KILL);
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// Reads `ready grpc=… metrics=…`.
fn ready(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let (grpc, metrics) = line.trim().strip_prefix("ready grpc=")?.split_once(" metrics=")?;
    Some((grpc.parse().ok()?, metrics.parse().ok()?))
}

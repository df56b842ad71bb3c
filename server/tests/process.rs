//! The binary as an orchestrator sees it: one line when ready, signals, exit codes.
#![allow(missing_docs)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

fn quartermaster(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quartermaster"));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null());
    command
}

struct Served {
    child: Child,
    stdout: BufReader<ChildStdout>,
    grpc: String,
    metrics: String,
    _data: TempDir,
}

impl Served {
    fn start(more: &[&str]) -> Served {
        let data = TempDir::new().unwrap();
        let free = "127.0.0.1:0";
        let mut command = quartermaster(&["serve", "--listen", free, "--metrics-listen", free, "--data-dir"]);
        let mut child = command.arg(data.path()).args(more).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let addresses = line.trim_end().strip_prefix("ready grpc=").and_then(|rest| rest.split_once(" metrics="));
        let (grpc, metrics) = addresses.unwrap_or_else(|| panic!("{line:?} is not the line that says ready"));
        Served { child, stdout, grpc: grpc.to_owned(), metrics: metrics.to_owned(), _data: data }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Already gone when the test went well.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_signal_ends_it_in_order() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut served = Served::start(&[]);
        assert!(get(&served.grpc, "/").contains("AllocationService/Reserve"));
        assert!(get(&served.metrics, "/readyz").starts_with("HTTP/1.1 200"));
        served.signal(signal);
        assert_eq!(served.child.wait().unwrap().code(), Some(0));
        let mut rest = String::new();
        served.stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "", "stdout has the one line only");
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut served = Served::start(&["--drain-grace", "10min"]);
    // A request that never ends keeps the drain waiting.
    let mut stream = TcpStream::connect(&served.grpc).unwrap();
    let head = "POST /quartermaster.v1.InventoryService/ImportStock HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\n\
                expect: 100-continue\r\ncontent-length: 10\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    // The server asks for the body once the request is in work.
    let mut asked = [0; 12];
    stream.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100");
    served.signal(Signal::TERM);
    while accepts(&served.grpc) {}
    served.signal(Signal::TERM);
    assert_eq!(served.child.wait().unwrap().code(), Some(4));
}

/// Whether it still accepts: until it does not, it has not seen the signal.
fn accepts(address: &str) -> bool {
    TcpStream::connect(address).is_ok()
}

#[test]
fn a_bad_configuration_is_refused_with_its_own_code() {
    for (arguments, say) in [
        (vec!["serve"], "\"data_dir\" is not set"),
        (vec!["serve", "--data-dir", "d", "--durability", "none"], "--unsafe-no-fsync"),
        (vec!["serve", "--data-dir", "d", "--worker-threads", "0"], "it must be 1 to 1024"),
        (vec!["serve", "--speed", "11"], "unexpected argument"),
    ] {
        let output = quartermaster(&arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(say), "{error}");
    }
}

#[test]
fn an_address_in_use_ends_the_start() {
    let served = Served::start(&[]);
    let data = TempDir::new().unwrap();
    let mut command = quartermaster(&["serve", "--listen", "127.0.0.1:0", "--metrics-listen", &served.metrics]);
    let output = command.arg("--data-dir").arg(data.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(6));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains(&format!("cannot listen on {}", served.metrics)), "{error}");
}

#[test]
fn the_configuration_can_be_seen_without_a_start() {
    let output = quartermaster(&["config", "--expiry-tick", "5ms"])
        .env("QUARTERMASTER_LISTEN", "127.0.0.1:9000")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let shown = String::from_utf8(output.stdout).unwrap();
    let row = |key: &str| shown.lines().find(|line| line.starts_with(key)).unwrap().to_owned();
    assert!(row("expiry_tick").contains("5ms") && row("expiry_tick").ends_with("flag --expiry-tick"), "{shown}");
    assert!(row("listen").ends_with("environment QUARTERMASTER_LISTEN"), "{shown}");
    assert!(row("segment_bytes").ends_with("the defaults"), "{shown}");
}

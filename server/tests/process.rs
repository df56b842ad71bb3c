//! The binary as an orchestrator sees it: one line when ready, signals, exit codes.
#![allow(missing_docs)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
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

/// A certificate of its own making for localhost, in files of `dir`; the text of the key.
fn certificate(dir: &Path) -> String {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(dir.join("server.pem"), made.cert.pem()).unwrap();
    let key = made.signing_key.serialize_pem();
    std::fs::write(dir.join("server.key"), &key).unwrap();
    key
}

#[test]
fn what_is_secret_is_in_nothing_that_the_server_writes() {
    let (dir, data) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let key = certificate(dir.path());
    let made = quartermaster(&["token", "new", "gateway", "--role", "admin"]).output().unwrap();
    let token = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    let said = String::from_utf8(made.stderr).unwrap();
    assert!(token.len() > 60 && !said.contains(&token), "{said}");
    let entry: Vec<&str> = said.lines().skip_while(|line| !line.starts_with("[[")).take(4).collect();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("tokens.toml"), entry.join("\n")).unwrap();
    let log = std::fs::File::create(path("log")).unwrap();
    // Calls in the clear on loopback, so that this test needs no client of TLS; the certificate is read all the same.
    let files = [
        ("--tokens-file", path("tokens.toml")),
        ("--log-level", "trace".to_owned()),
        ("--metrics-auth", "true".to_owned()),
    ];
    let mut more: Vec<&str> = files.iter().flat_map(|(flag, value)| [*flag, value.as_str()]).collect();
    let free = "127.0.0.1:0";
    let mut command = quartermaster(&["serve", "--listen", free, "--metrics-listen", free, "--data-dir"]);
    let mut child = command.arg(data.path()).args(&more).stderr(log.try_clone().unwrap()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let (grpc, metrics) = line.trim_end().strip_prefix("ready grpc=").unwrap().split_once(" metrics=").unwrap();
    let stranger = "qm_not-a-token-but-just-as-secret-0123456789abcdef";
    let mut written = String::new();
    for shown in [token.as_str(), stranger] {
        for method in ["AdminService/GetStatus", "AdminService/GetLimits", "AdminService/RunAudit", "NoService/None"] {
            written += &post(grpc, &format!("/quartermaster.v1.{method}"), shown);
        }
        written += &ask(metrics, "GET /metrics", shown, "");
        written += &ask(grpc, "GET /", shown, "");
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let tls = [("--tls-cert-file", path("server.pem")), ("--tls-key-file", path("server.key"))];
    more.extend(tls.iter().flat_map(|(flag, value)| [*flag, value.as_str()]));
    let shown = quartermaster(&["config"]).args(&more).output().unwrap();
    written += &String::from_utf8(shown.stdout).unwrap();
    written += &std::fs::read_to_string(path("log")).unwrap();
    written += &String::from_utf8(quartermaster(&["inspect"]).arg(data.path()).output().unwrap().stdout).unwrap();

    assert!(written.contains("\"cells\"") || written.contains("epoch"), "it was asked and answered: {written}");
    assert!(written.contains("actor=\"gateway\"") || written.contains("actor=gateway"), "administration is logged");
    assert!(written.contains("token_unknown"), "and so is what was refused");
    let body = key.lines().nth(1).unwrap();
    for secret in [token.as_str(), stranger, body] {
        let at = written.find(secret).map(|at| &written[at.saturating_sub(200)..at + secret.len()]);
        assert_eq!(at, None, "a secret was written");
    }
}

fn post(address: &str, path: &str, token: &str) -> String {
    ask(address, &format!("POST {path}"), token, "{}")
}

fn ask(address: &str, what: &str, token: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "{what} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-type: application/json\r\nauthorization: Bearer {token}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_start_that_would_be_open_or_broken_says_what_to_set_and_does_not_happen() {
    let (dir, data) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    certificate(dir.path());
    let other = TempDir::new().unwrap();
    certificate(other.path());
    let path = |dir: &TempDir, name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path(&dir, "tokens.toml"), "[[principal]]\nname = \"a\"\nroles = [\"king\"]\ncertificate = \"c\"\n")
        .unwrap();
    let cases = [
        (vec!["--listen".to_owned(), "0.0.0.0:0".to_owned()], 2, "--insecure-public"),
        (vec!["--tokens-file".to_owned(), path(&dir, "nowhere")], 1, "tokens_file: cannot read"),
        (
            vec!["--tokens-file".to_owned(), path(&dir, "tokens.toml")],
            1,
            "line 1, principal \"a\": roles: \"king\" is no role",
        ),
        (
            vec![
                "--tls-cert-file".to_owned(),
                path(&dir, "server.pem"),
                "--tls-key-file".to_owned(),
                path(&other, "server.key"),
            ],
            1,
            "does not belong to the first certificate",
        ),
    ];
    for (flags, code, expected) in cases {
        let free = "127.0.0.1:0";
        let mut command = quartermaster(&["serve", "--metrics-listen", free, "--data-dir"]);
        command.arg(data.path()).args(&flags);
        if flags[0] != "--listen" {
            command.args(["--listen", free]);
        }
        let ended = command.output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(code), "{said}");
        assert!(said.contains(expected), "{said}");
        assert!(!data.path().join("LOCK").exists(), "it was not even begun");
    }
}

#[test]
fn a_server_that_is_open_to_all_says_so_at_every_start() {
    let data = TempDir::new().unwrap();
    for _ in 0..2 {
        let mut command =
            quartermaster(&["serve", "--metrics-listen", "127.0.0.1:0", "--listen", "0.0.0.0:0", "--data-dir"]);
        let mut child = command.arg(data.path()).arg("--insecure-public").spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("ready grpc=0.0.0.0:"), "{line:?}");
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        child.wait().unwrap();
        assert!(said.contains("INSECURE: TLS and authentication are not set"), "{said}");
    }
}

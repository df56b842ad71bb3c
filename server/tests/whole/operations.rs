//! A server through its days: new settings, the log's level, a drain, a budget, and what systemd is told.

use std::collections::HashSet;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use quartermaster_proto::v1::SetStockRequest;
use quartermaster_proto::v1::inventory_service_client::InventoryServiceClient;
use rustix::process::Signal;
use tonic::Code;

use super::support::{Server, allocation, command, order, stock};

fn start(dir: &tempfile::TempDir, more: &[&str]) -> Server {
    Server::try_start(dir.path(), more).unwrap_or_else(|(said, status)| panic!("{status}: {said}"))
}

#[test]
fn a_reload_takes_what_it_can_and_names_the_rest_and_a_mistake_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("q.toml");
    std::fs::write(&file, "log_level = 'warn'\nin_flight_max = 100").unwrap();
    let server = start(&dir, &["--config", file.to_str().unwrap()]);
    std::fs::write(&file, "log_level = 'info'\nin_flight_max = 200\nmessage_bytes_max = '8MiB'").unwrap();
    let (code, said) = server.ask(&["config", "reload", "--dry-run"]);
    assert_eq!((code, said.contains("would apply    in_flight_max")), (Some(0), true), "{said}");
    let (code, said) = server.ask(&["config", "reload"]);
    let rows: Vec<Vec<&str>> = said.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(code, Some(0));
    assert_eq!(
        rows,
        [
            vec!["applied", "in_flight_max", "100", "->", "200"],
            vec!["applied", "log_level", "warn", "->", "info"],
            vec!["needs", "restart", "message_bytes_max", "4MiB", "->", "8MiB"],
        ]
    );
    assert_eq!(server.ask(&["log-level", "show"]).1, "info\n");
    std::fs::write(&file, "log_level = 'debug'\nin_flight_max = 0").unwrap();
    let (code, said) = server.ask(&["config", "reload"]);
    assert!(code == Some(1) && said.contains("\"in_flight_max\" is 0 in file"), "{said}");
    assert_eq!(server.ask(&["log-level", "show"]).1, "info\n", "nothing was applied halfway");
    // A signal does the same; its end is seen by what it changed.
    std::fs::write(&file, "log_level = 'error'\nin_flight_max = 300").unwrap();
    server.signal(Signal::HUP);
    while server.ask(&["log-level", "show"]).1 != "error\n" {}
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_log_level_lasts_as_long_as_it_is_asked_to() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(&dir, &[]);
    let (code, said) = server.ask(&["log-level", "set", "debug", "--for", "1h"]);
    assert!(code == Some(0) && said.starts_with("info -> debug (until 20") && said.ends_with("then info)\n"), "{said}");
    let (code, said) = server.ask(&["log-level", "set", "info,quartermaster_server=trace"]);
    assert_eq!((code, said.as_str()), (Some(0), "debug -> info,quartermaster_server=trace\n"));
    for (arguments, code, say) in [
        (&["log-level", "set", "loud"][..], 1, "\"loud\" is no level; give a level (error, warn"),
        (&["log-level", "set", "info", "--for", "30days"], 1, "1 s to 7 days"),
        (&["log-level", "set", "info", "--for", "soon"], 2, "write it as 30s, 10min or 1h"),
    ] {
        let (ended, said) = server.ask(arguments);
        assert!(ended == Some(code) && said.contains(say), "{arguments:?}: {ended:?} {said}");
    }
    assert_eq!(server.ask(&["log-level", "show"]).1, "info,quartermaster_server=trace\n");
}

/// As Kubernetes does it: preStop drains while the process lives, then SIGTERM ends it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_takes_it_out_of_rotation_is_undone_and_a_stop_after_it_is_orderly() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(&dir, &[]);
    let channel = server.channel().await;
    stock(&channel, 1, 100).await;
    assert!(server.page("/readyz").starts_with("HTTP/1.1 200"));
    let (code, said) = server.ask(&["drain"]);
    assert_eq!((code, said.as_str()), (Some(0), "draining, 0 calls in work\n"));
    assert!(server.page("/readyz").contains("503") && server.page("/readyz").contains("draining"));
    assert!(server.page("/healthz").starts_with("HTTP/1.1 200"), "it lives: nobody is to restart it");
    // Who has not heard of it yet is answered, on a connection of before (which goes, and is made anew) and on a new one.
    allocation(&channel).reserve(order("while-draining", 0, 1)).await.unwrap();
    allocation(&server.channel().await).reserve(order("on-a-new-connection", 0, 1)).await.unwrap();
    let (code, said) = server.ask(&["drain", "--cancel"]);
    assert_eq!((code, said.as_str()), (Some(0), "serving, 0 calls in work\n"));
    assert!(server.page("/readyz").starts_with("HTTP/1.1 200"));
    // A drain twice is one.
    for _ in 0..2 {
        assert_eq!(server.ask(&["drain", "--wait", "5s"]).0, Some(0));
    }
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_drain_asks_present_connections_to_go() {
    use std::io::{Read, Write};
    let dir = tempfile::tempdir().unwrap();
    let server = start(&dir, &[]);
    // HTTP/2 by hand: preface, empty SETTINGS, and their acknowledgement.
    let mut stream = std::net::TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\0\x04\x01\0\0\0\0").unwrap();
    let mut frame = || {
        let mut head = [0; 9];
        stream.read_exact(&mut head).unwrap();
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        (head[3], body)
    };
    const SETTINGS: u8 = 4;
    const GOAWAY: u8 = 7;
    assert_eq!(frame().0, SETTINGS);
    assert_eq!(server.ask(&["drain"]).0, Some(0));
    let mut kinds = HashSet::new();
    while !kinds.contains(&GOAWAY) {
        kinds.insert(frame().0);
    }
    drop(stream);
    assert_eq!(server.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_gives_up_the_past_first_and_then_refuses_new_promises_by_name() {
    let dir = tempfile::tempdir().unwrap();
    // State that stays small, so that what is written is log.
    let segments = ["--segment-bytes", "64KiB", "--batch-bytes-max", "32KiB", "--snapshot-interval", "0s"];
    let small = [&segments[..], &["--dedup-entries-max", "1000"]].concat();
    let server = start(&dir, &[&small[..], &["--disk-budget-bytes", "1MiB"]].concat());
    let channel = server.channel().await;
    stock(&channel, 1, 1_000_000).await;
    let mut inventory = InventoryServiceClient::new(channel.clone());
    // More than the budget is written, a sector each: what is kept for questions goes, and nothing is refused.
    let events: u32 = 2_500;
    for number in 0..events {
        let set = SetStockRequest {
            request_id: format!("n{number}"),
            sku: "S0".into(),
            location: "L".into(),
            quantity: i64::from(number) + 1,
            ..SetStockRequest::default()
        };
        inventory.set_stock(set).await.unwrap();
    }
    assert!(events * 512 > 1 << 20);
    let used = || {
        let page = server.page("/metrics");
        let line = page.lines().find(|line| line.starts_with("quartermaster_disk_used_bytes ")).unwrap().to_owned();
        line.split(' ').nth(1).unwrap().parse::<f64>().unwrap()
    };
    assert!((1.0..=1_048_576.0).contains(&used()), "{}", used());
    let (_, said) = server.ask(&["status"]);
    assert!(said.contains("budget 1.0 MiB") || said.contains("budget 1 MiB"), "{said}");
    assert_eq!(server.stop(), Some(0));

    // With room for nothing: refused, by the name of the setting, and what was begun goes on.
    let held = tempfile::tempdir().unwrap();
    let server = start(&held, &segments);
    let channel = server.channel().await;
    stock(&channel, 1, 1_000).await;
    allocation(&channel).reserve(order("before", 0, 1)).await.unwrap();
    std::fs::write(held.path().join("something-large"), vec![0; 2 << 20]).unwrap();
    assert_eq!(server.stop(), Some(0));
    let server = start(&held, &[&segments[..], &["--disk-budget-bytes", "1MiB"]].concat());
    let channel = server.channel().await;
    let refused = loop {
        // The disk is measured a few times a second.
        match allocation(&channel).reserve(order("new", 0, 1)).await {
            Ok(_) => std::thread::sleep(Duration::from_millis(20)),
            Err(status) => break status,
        }
    };
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains("1048576 bytes of disk_budget_bytes"), "{}", refused.message());
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn systemd_is_told_of_every_change_and_the_watchdog_is_fed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let hear = |wanted: &str| {
        let mut heard = Vec::new();
        loop {
            let mut message = [0; 4_096];
            let length = socket.recv(&mut message).unwrap_or_else(|_| panic!("{wanted} is not among {heard:?}"));
            let text = String::from_utf8_lossy(&message[..length]).into_owned();
            if text.lines().any(|line| line.starts_with(wanted)) {
                return text;
            }
            heard.push(text);
        }
    };
    let free = "127.0.0.1:0";
    let mut server = command(&["serve", "--listen", free, "--metrics-listen", free, "--data-dir"])
        .arg(dir.path().join("data"))
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "400000")
        .spawn()
        .unwrap();
    hear("STATUS=recovering");
    assert!(hear("READY=1").contains("STATUS=serving"));
    hear("WATCHDOG=1");
    hear("WATCHDOG=1");
    let pid = rustix::process::Pid::from_child(&server);
    rustix::process::kill_process(pid, Signal::HUP).unwrap();
    assert!(hear("RELOADING=1").contains("MONOTONIC_USEC="));
    hear("READY=1");
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    assert!(hear("STOPPING=1").contains("EXTEND_TIMEOUT_USEC="));
    assert_eq!(server.wait().unwrap().code(), Some(0));
}

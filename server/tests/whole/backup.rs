//! Backups of a server process, and restores that another one serves.

use std::path::Path;
use std::time::{Duration, Instant};

use super::support::{Server, allocation, command, order, stock};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What a command that needs no server says, and its code.
fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let output = command(arguments).output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// Looks until `done`, which must come within a minute.
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what} does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_traffic_restores_to_any_point_and_is_served_again() {
    let (data, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(data.path());
    let channel = server.channel().await;
    stock(&channel, 2, 1_000).await;
    let mut lsns = Vec::new();
    for number in 0..20 {
        let answer = allocation(&channel).reserve(order(&format!("o{number}"), 0, 1)).await.unwrap().into_inner();
        lsns.push(answer.position.unwrap().lsn);
    }
    let traffic = tokio::spawn({
        let channel = channel.clone();
        async move {
            for number in 0..200 {
                allocation(&channel).reserve(order(&format!("t{number}"), 1, 1)).await.unwrap();
            }
        }
    });
    let (code, said) = server.ask(&["backup", "create", "--to", text(to.path())]);
    assert_eq!(code, Some(0), "{said}");
    traffic.await.unwrap();
    let (code, said) = server.ask(&["snapshot"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = server.ask(&["backup", "create", "--to", text(to.path())]);
    assert_eq!(code, Some(0), "{said}");
    assert!(server.page("/metrics").contains("quartermaster_backups_total{result=\"made\"} 2"));
    server.kill();

    let (code, said) = run(&["backup", "verify", "--from", text(to.path())]);
    assert_eq!((code, said.contains("everything is as it was written")), (Some(0), true), "{said}");
    let (code, said) = run(&["backup", "list", "--from", text(to.path()), "--output", "json"]);
    assert_eq!(code, Some(0), "{said}");
    let listed: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(listed["backups"].as_array().unwrap().len(), 2);
    assert_eq!(listed["restorable"][0]["last_lsn"].as_u64().unwrap(), lsns[19] + 200);

    // Ten of twenty reservations are in it, and stock is what it was then.
    let back = data.path().join("back");
    let lsn = lsns[9].to_string();
    let (code, said) = run(&["backup", "restore", "--from", text(to.path()), "--to", text(&back), "--at-lsn", &lsn]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = run(&["verify", text(&back)]);
    assert_eq!((code, said.contains("sound")), (Some(0), true), "{said}");
    let server = Server::start(&back);
    let (_, said) = server.ask(&["status", "--output", "json"]);
    let status: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(status["reservations_held"], 10, "{said}");
    // The history goes on, and keeps away from the backups it came from.
    let (code, said) = server.ask(&["backup", "create", "--to", text(to.path())]);
    assert!(code == Some(1) && said.contains("give it a directory or prefix of its own"), "{said}");
    let channel = server.channel().await;
    let again = allocation(&channel).reserve(order("o9", 0, 1)).await.unwrap().into_inner();
    assert_eq!(again.position.unwrap().lsn, lsns[9], "a repeat gets the answer of before");
    assert_eq!(server.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_follows_the_journal_and_a_target_that_goes_stops_nothing() {
    let (data, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let target = to.path().join("target");
    std::fs::create_dir(&target).unwrap();
    let settings = [
        "--backup-target",
        text(&target),
        "--backup-interval",
        "1min",
        "--archive",
        "true",
        "--archive-interval",
        "1s",
    ];
    let server = Server::try_start(data.path(), &settings).unwrap_or_else(|(said, _)| panic!("{said}"));
    let channel = server.channel().await;
    stock(&channel, 1, 1_000).await;
    let (code, said) = server.ask(&["backup", "create"]);
    assert_eq!(code, Some(0), "the target of the configuration: {said}");
    let answer = allocation(&channel).reserve(order("late", 0, 1)).await.unwrap().into_inner();
    let lsn = answer.position.unwrap().lsn;
    let archived = format!("quartermaster_archive_lsn {lsn}\n");
    until("the archive of the last event", || server.page("/metrics").contains(&archived));
    let (_, said) = server.ask(&["backup", "status"]);
    assert!(said.contains(&format!("to LSN {lsn}")) && !said.contains("not scheduled"), "{said}");

    // It is moved away: reservations go on, and the failure is told.
    std::fs::rename(&target, to.path().join("away")).unwrap();
    let answer = allocation(&channel).reserve(order("later", 0, 1)).await.unwrap().into_inner();
    until("the failure", || !server.page("/metrics").contains("quartermaster_archive_failures_total 0\n"));
    let (code, said) = server.ask(&["backup", "status"]);
    assert!(code == Some(1) && said.contains("FAILS since") && said.contains("no such directory"), "{said}");
    let (code, said) = server.ask(&["backup", "create"]);
    assert!(code == Some(1) && said.contains("no such directory"), "{said}");
    server.kill();

    // What the archive had is there, to the last event before it went.
    let (away, back) = (to.path().join("away"), data.path().join("back"));
    let (code, said) = run(&["backup", "restore", "--from", text(&away), "--to", text(&back)]);
    assert_eq!((code, said.contains(&format!("restored to LSN {lsn} "))), (Some(0), true), "{said}");
    assert!(answer.position.unwrap().lsn > lsn);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_counts_from_the_newest_backup_at_the_target_and_not_from_the_start() {
    let (data, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let settings = ["--backup-target", text(to.path()), "--backup-interval", "30days"];
    let server = Server::try_start(data.path(), &settings).unwrap_or_else(|(said, _)| panic!("{said}"));
    stock(&server.channel().await, 1, 10).await;
    until("the first backup", || server.page("/metrics").contains("quartermaster_backups_total{result=\"made\"} 1\n"));
    server.kill();
    let server = Server::try_start(data.path(), &settings).unwrap_or_else(|(said, _)| panic!("{said}"));
    let date = |text: &str| text.split_once('T').map(|(day, _)| day.trim().to_owned()).unwrap_or_default();
    let (_, said) = run(&["backup", "list", "--from", text(to.path())]);
    let made = said.split("LSN 1 to ").nth(1).and_then(|rest| rest.split('(').nth(1)).map(date).unwrap();
    let next = || date(server.ask(&["backup", "status"]).1.split("next").nth(1).unwrap());
    // Until the target has been looked at, the look itself is what comes next.
    until("the look at the target", || next() != made);
    assert!(server.page("/metrics").contains("quartermaster_backups_total{result=\"made\"} 0\n"));
    let (_, said) = run(&["backup", "list", "--from", text(to.path()), "--output", "json"]);
    let listed: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(listed["backups"].as_array().unwrap().len(), 1);
}

#[test]
fn wrong_targets_points_and_directories_say_what_would_be_right() {
    let empty = tempfile::tempdir().unwrap();
    let (from, full) = (text(empty.path()).to_owned(), tempfile::tempdir().unwrap());
    std::fs::write(full.path().join("note.txt"), "mine").unwrap();
    let full = text(full.path()).to_owned();
    for (arguments, code, say) in [
        (vec!["list", "--from", "/nowhere/at/all"], 2, "no such directory"),
        (vec!["list", "--from", &from], 2, "holds no backup"),
        (vec!["verify", "--from", &from], 2, "holds no backup"),
        (vec!["list", "--from", "gs://bucket"], 2, "write an absolute directory or s3://bucket/prefix"),
        (vec!["list", "--from", "s3://b"], 2, "no name of a bucket"),
        (vec!["restore", "--from", &from, "--to", &full], 2, "is not empty (note.txt is in it)"),
        (vec!["restore", "--from", &from, "--to", "x", "--at-time", "noon"], 2, "write it as 2026-11-28T04:30:00Z"),
        (vec!["restore", "--from", &from, "--to", "x", "--at-lsn=-1"], 2, "invalid value"),
        (
            vec!["restore", "--from", &from, "--to", "x", "--at-lsn", "1", "--at-time", "2026-11-28T04:30:00Z"],
            2,
            "cannot be used with",
        ),
    ] {
        let (ended, said) = run(&[&["backup"], &arguments[..]].concat());
        assert!(ended == Some(code) && said.contains(say), "{arguments:?}: {ended:?} {said}");
    }
    assert_eq!(std::fs::read_to_string(Path::new(&full).join("note.txt")).unwrap_or_default(), "mine");
}

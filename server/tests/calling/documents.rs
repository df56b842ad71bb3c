//! The documents that are made from the code: the reference of the command line and of the settings, and the OpenAPI document.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::running::{Running, command, ended};

/// What a command prints must be what the file holds.
fn up_to_date(arguments: &[&str], file: &str) {
    let made = ended(command(arguments).output().unwrap());
    assert_eq!(made.code, 0, "{made:?}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(file);
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = kept.lines().zip(made.stdout.lines()).find(|(kept, made)| kept != made);
    assert!(
        kept == made.stdout,
        "docs/{file} is out of date: write `quartermaster {}` there; first difference: {differs:?}",
        arguments.join(" ")
    );
}

#[test]
fn the_reference_of_the_command_line_is_up_to_date() {
    up_to_date(&["reference", "cli"], "CLI.md");
}

#[test]
fn the_reference_of_the_settings_is_up_to_date() {
    up_to_date(&["reference", "config"], "CONFIGURATION.md");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_gives_the_document_that_the_command_prints() {
    let server = Running::start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /openapi.json HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("application/json"), "{head}");
    let printed = ended(command(&["openapi"]).output().unwrap());
    assert_eq!(body, printed.stdout);
    let document: Value = serde_json::from_str(body).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
}

/// By an implementation that is not ours, where Python can get it.
#[test]
fn the_document_is_valid_openapi() {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("openapi-venv");
    let python = venv.join("bin/python");
    let runs = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
    let have = || runs(Command::new(&python).args(["-c", "import openapi_spec_validator"]));
    if !have() {
        let made = runs(Command::new("python3").args(["-m", "venv"]).arg(&venv));
        let pip = ["-m", "pip", "install", "--quiet", "--timeout", "30", "--retries", "1", "openapi-spec-validator"];
        if !(made && runs(Command::new(&python).args(pip)) && have()) {
            println!("skipped: no Python with openapi-spec-validator");
            return;
        }
    }
    let file = tempfile::NamedTempFile::with_suffix(".json").unwrap();
    std::fs::write(file.path(), quartermaster_server::openapi::text()).unwrap();
    let output = Command::new(&python).args(["-m", "openapi_spec_validator"]).arg(file.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

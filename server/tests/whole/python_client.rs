//! A client that we did not write: Python's grpcio reserves, confirms and ships.

use std::path::Path;
use std::process::{Command, Output};

use super::support::Server;

/// Runs a step; the reason when it does not work.
fn run(command: &mut Command) -> Result<Output, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(output);
    }
    Err(format!("{command:?}: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
}

/// A Python with grpcio, kept between runs.
fn python() -> Result<std::path::PathBuf, String> {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
    let python = venv.join("bin/python");
    let ready = run(Command::new(&python).args(["-c", "import grpc, grpc_tools"]));
    if ready.is_err() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        let pip = ["-m", "pip", "install", "--quiet", "--timeout", "30", "--retries", "1", "grpcio", "grpcio-tools"];
        run(Command::new(&python).args(pip))?;
    }
    Ok(python)
}

#[test]
fn grpcio_reserves_confirms_and_ships() {
    let python = match python() {
        Ok(python) => python,
        Err(reason) => {
            println!("skipped: no Python with grpcio: {reason}");
            return;
        }
    };
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/python/reserve.py");
    let output = run(Command::new(python).arg(script).arg(&server.address)).unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "ok");
    assert_eq!(server.stop(), Some(0));
}

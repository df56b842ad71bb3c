//! Where a campaign takes place: a data directory, a directory of ledgers, and servers that come and go on them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use quartermaster_loadtest::client::RetryPolicy;
use tempfile::TempDir;

use crate::Error;
use crate::judged::shop;
use crate::process::{Server, ServerArgs, StartError};
use crate::verdict::Verdict;

/// Small segments and frequent snapshots and audits, so that a second of load meets all of them.
pub const BUSY: &[&str] = &[
    "--segment-bytes",
    "1MiB",
    "--batch-bytes-max",
    "64KiB",
    "--snapshot-interval",
    "1s",
    "--snapshot-after-bytes",
    "512KiB",
    "--journal-keep",
    "0s",
    "--audit-interval",
    "1s",
    // The judge asks for every reservation there ever was; each of 256 shards keeps its part of these.
    "--ended-entries-max",
    "1000000000",
    "--return-entries-max",
    "1000000000",
];

/// Time for a call of the campaign itself: generous, for it waits on servers that recover.
pub const PATIENT: RetryPolicy =
    RetryPolicy { deadline: Duration::from_secs(20), attempts_max: 1, backoff: Duration::from_millis(10) };

/// The place of a campaign, gone with it unless a promise was broken.
#[derive(Debug)]
pub struct Site {
    root: TempDir,
    data: PathBuf,
    program: PathBuf,
}

impl Site {
    /// A new place.
    ///
    /// # Errors
    /// When there is no server to start, or no room.
    pub fn new(server: &ServerArgs) -> Result<Site, Error> {
        let program = server.program()?;
        let root = tempfile::Builder::new().prefix("proof-").tempdir()?;
        std::fs::create_dir(root.path().join("ledgers"))?;
        let data = root.path().join("data");
        Ok(Site { root, data, program })
    }

    /// The same place with its data directory elsewhere.
    #[must_use]
    pub fn with_data(self, data: PathBuf) -> Site {
        Site { data, ..self }
    }

    /// The server's program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// A path within the place.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Where ledgers go.
    pub fn ledgers(&self) -> PathBuf {
        self.path("ledgers")
    }

    /// Starts a server on the data directory.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(&self, flags: &[&str]) -> Result<Server, StartError> {
        Server::start(&self.program, &self.data, flags)
    }

    /// Starts a server on an empty directory and fills the shop.
    ///
    /// # Errors
    /// When it does not come up, or refuses.
    pub async fn open_shop(&self, flags: &[&str]) -> Result<Server, Error> {
        let server = self.start(flags)?;
        shop::open(&server.client(1, PATIENT).await?).await?;
        Ok(server)
    }

    /// Starts a server and kills it `after` that, ready or not. Tells whether it had become ready.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn kill_in_start(&self, flags: &[&str], after: Duration) -> std::io::Result<bool> {
        let mut command = Command::new(&self.program);
        command.args(Server::arguments(&self.data)).args(flags);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        // Not to wait for something: the moment of the kill is what is drawn.
        std::thread::sleep(after);
        child.kill()?;
        let output = child.wait_with_output()?;
        Ok(!output.stdout.is_empty())
    }

    /// Runs `quartermaster verify` on the directory, which no server may be using; false output is a violation.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn verify(&self, verdict: &mut Verdict) -> Result<(), Error> {
        let output = Command::new(&self.program).arg("verify").arg(&self.data).output()?;
        verdict.must(output.status.success(), || {
            let told = String::from_utf8_lossy(&output.stdout);
            let said = String::from_utf8_lossy(&output.stderr);
            format!("verify ended with {}: {told}{said}", output.status)
        });
        Ok(())
    }

    /// Ends the campaign: after a broken promise the directories stay, and the verdict says where.
    pub fn close(self, verdict: &mut Verdict) {
        if !verdict.holds() {
            verdict.figure("kept_in", self.root.keep().display().to_string());
        }
    }
}

/// Measures how long a start takes, and gives the server.
///
/// # Errors
/// As [`Site::start`].
pub fn timed_start(site: &Site, flags: &[&str]) -> Result<(Server, Duration), StartError> {
    let began = Instant::now();
    let server = site.start(flags)?;
    Ok((server, began.elapsed()))
}

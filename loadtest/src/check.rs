//! Claims that were checked, and how they came out: the form of every proof this crate makes.

use std::fmt::{self, Display, Formatter};

use quartermaster_proto::v1::RunAuditRequest;
use serde::Serialize;
use tonic::Status;

use crate::client::Client;
use crate::table::grouped;

/// Failures of one check that are kept in words; the rest is counted.
const FAILURES_KEPT: usize = 10;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What holds when it passes.
    pub claim: String,
    /// What was compared, for example `23,104 reservations`.
    pub examined: String,
    /// The first failures, in words.
    pub failures: Vec<String>,
    /// All failures.
    pub failures_total: u64,
}

/// All that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// In the order they were made.
    pub checks: Vec<Check>,
}

impl Proof {
    /// Whether every check passed.
    pub fn holds(&self) -> bool {
        self.checks.iter().all(|check| check.failures_total == 0)
    }
}

impl Check {
    /// A check that `claim` holds, nothing compared yet.
    pub fn new(claim: impl Into<String>) -> Self {
        Check { claim: claim.into(), examined: String::new(), failures: Vec::new(), failures_total: 0 }
    }

    /// Enters a failure.
    pub fn fail(&mut self, why: String) {
        self.failures_total += 1;
        if self.failures.len() < FAILURES_KEPT {
            self.failures.push(why);
        }
    }
}

/// The server's own recount of its promises, as a check.
///
/// # Errors
/// When the server does not answer.
pub async fn own_audit(client: &Client) -> Result<Check, Status> {
    let answered = client.call(&RunAuditRequest {}, |request| {
        let mut admin = client.admin();
        async move { admin.run_audit(request).await }
    });
    let audit = answered.await.result?;
    let mut check = Check::new("the server's own audit agrees");
    check.examined = crate::table::counted(audit.cells, "cell");
    check.failures_total = audit.violations;
    check.failures = audit.details.into_iter().take(FAILURES_KEPT).collect();
    Ok(check)
}

impl Display for Proof {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let claim_width = self.checks.iter().map(|check| check.claim.chars().count()).max().unwrap_or(0);
        for check in &self.checks {
            let mark = if check.failures_total == 0 { "✓" } else { "✗" };
            let pad = " ".repeat(claim_width - check.claim.chars().count());
            writeln!(out, "  {mark} {}{pad}   {}", check.claim, check.examined)?;
            for failure in &check.failures {
                writeln!(out, "      {failure}")?;
            }
            let more =
                check.failures_total - u64::try_from(check.failures.len()).unwrap_or(0).min(check.failures_total);
            if more > 0 {
                writeln!(out, "      and {} more", grouped(more))?;
            }
        }
        Ok(())
    }
}

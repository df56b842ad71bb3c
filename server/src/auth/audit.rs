//! What was refused to whom, and what was administered by whom, in the log under the target `audit`. Changes need no line here: the journal
//! has each with its actor.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::Denial;
use super::principal::Rate;
use super::rates::Account;
use crate::methods::{MethodId, Methods};
use crate::security::Figures;

/// Lines a second, and saved up: enough to see what happens, and no way to fill a disk.
const LINES: Rate = Rate { per_second: 10, burst: 100 };

/// Writes the lines, and counts.
pub(super) struct Audit {
    figures: Arc<Figures>,
    /// Full names of the methods, by their ids.
    names: Vec<String>,
    lines: Account,
    left_out: AtomicU64,
    origin: Instant,
}

/// Whose call it was, from where, of what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whose<'a> {
    /// Empty for who is not known.
    pub(super) actor: &'a str,
    pub(super) network: IpAddr,
    pub(super) what: What,
}

/// What was called.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    /// A method, or a path that leads nowhere.
    Method(Option<MethodId>),
    /// A page, by its path.
    Page(&'static str),
}

impl Audit {
    pub(super) fn new(methods: &Methods, figures: &Arc<Figures>) -> Audit {
        let names = methods.all().iter().map(|method| method.path.trim_start_matches('/').to_owned()).collect();
        let (lines, left_out) = (Account::default(), AtomicU64::new(0));
        Audit { figures: Arc::clone(figures), names, lines, left_out, origin: Instant::now() }
    }

    /// A call was not let in.
    pub(super) fn refused(&self, whose: Whose<'_>, denial: &Denial) {
        self.figures.denied(denial);
        let now = u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        if self.lines.charge(LINES, 1, now).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let Whose { actor, network, .. } = whose;
        let (called, reason) = (self.called(whose.what), Denial::REASONS[denial.index()]);
        let left_out = self.left_out.swap(0, Ordering::Relaxed);
        tracing::warn!(target: "audit", actor, %network, called, reason, left_out, "refused: {denial}");
    }

    /// A call that leaves no event begins: administration.
    pub(super) fn administered(&self, whose: Whose<'_>) {
        let Whose { actor, network, .. } = whose;
        tracing::info!(target: "audit", actor, %network, called = self.called(whose.what), "administration");
    }

    /// Its full name.
    pub(super) fn called(&self, what: What) -> &str {
        match what {
            What::Page(path) => path,
            What::Method(id) => id.map_or("(no such method)", |id| &self.names[id.index()]),
        }
    }
}

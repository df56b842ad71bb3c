//! How far it is: a bar in a terminal, lines elsewhere.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::show;

/// Lines come at most this often.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// Tells on stderr.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    started: Instant,
    /// Milliseconds after the start at which the next line may come.
    next_line: AtomicU64,
}

impl Progress {
    pub(super) fn new() -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            let template = "{msg:<40!} {wide_bar} {human_pos} of {human_len} {per_sec} {eta}";
            bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Progress { bar, started: Instant::now(), next_line: AtomicU64::new(0) }
    }

    /// Tells nobody.
    pub(super) fn hidden() -> Progress {
        Progress { bar: Some(ProgressBar::hidden()), started: Instant::now(), next_line: AtomicU64::new(0) }
    }

    /// Something new begins that cannot be counted.
    pub(super) fn step(&self, what: &str) {
        match &self.bar {
            Some(bar) => {
                bar.set_length(0);
                bar.set_message(what.to_owned());
                bar.tick();
            }
            None => eprintln!("{what}"),
        }
    }

    /// So many rows of `what` are done.
    pub(super) fn rows(&self, what: &str, done: u64, all: u64) {
        if let Some(bar) = &self.bar {
            bar.set_message(what.to_owned());
            bar.set_length(all);
            bar.set_position(done);
            return;
        }
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        if now >= self.next_line.load(Ordering::Relaxed) || done == all {
            let every = u64::try_from(LINE_EVERY.as_millis()).unwrap_or(u64::MAX);
            self.next_line.store(now.saturating_add(every), Ordering::Relaxed);
            eprintln!("{what}: {} of {}", show::number(done), show::number(all));
        }
    }

    /// The server is not there; it will be asked again.
    pub(super) fn waiting(&self, why: &str) {
        let text = format!("waiting for the server: {why}");
        match &self.bar {
            Some(bar) => bar.println(text),
            None => eprintln!("{text}"),
        }
    }

    /// Columns that mean nothing.
    pub(super) fn ignored(&self, path: &Path, columns: &[String]) {
        if !columns.is_empty() {
            let text = format!("{}: ignoring the columns {}", path.display(), columns.join(", "));
            match &self.bar {
                Some(bar) => bar.println(text),
                None => eprintln!("{text}"),
            }
        }
    }

    /// Makes room for what comes last.
    pub(super) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

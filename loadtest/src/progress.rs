//! What is shown while something runs: a bar in a terminal, a line a second elsewhere. Always on standard error.

use std::future::Future;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

const REDRAW_EVERY: Duration = Duration::from_millis(100);
const LINE_EVERY: Duration = Duration::from_secs(1);

/// Progress of one thing.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    label: &'static str,
    total: u64,
    last_line: Instant,
}

impl Progress {
    /// Starts showing `label`, from 0 to `total`.
    pub fn new(label: &'static str, total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total);
            let style = ProgressStyle::with_template("  {prefix:<8} {bar:24.cyan/dim} {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─"));
            bar.set_prefix(label);
            bar
        });
        Progress { bar, label, total, last_line: Instant::now() }
    }

    /// Shows `position` and what `message` says. Cheap to call often: where there is no terminal a line is written once a second.
    pub fn set(&mut self, position: u64, message: impl FnOnce() -> String) {
        match &self.bar {
            Some(bar) => {
                bar.set_position(position.min(self.total));
                bar.set_message(message());
            }
            None if self.last_line.elapsed() >= LINE_EVERY => {
                self.last_line = Instant::now();
                eprintln!("  {:<8} {}", self.label, message());
            }
            None => {}
        }
    }

    /// Takes the bar away.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Runs `work` and shows `message` of the time since its start meanwhile; the bar fills over `expected`.
pub async fn during<T>(
    label: &'static str,
    expected: Duration,
    message: impl Fn(Duration) -> String,
    work: impl Future<Output = T>,
) -> T {
    let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let mut progress = Progress::new(label, millis(expected));
    let started = Instant::now();
    let mut ticks = tokio::time::interval(REDRAW_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    tokio::pin!(work);
    let done = loop {
        tokio::select! {
            done = &mut work => break done,
            _ = ticks.tick() => {
                let elapsed = started.elapsed();
                progress.set(millis(elapsed), || message(elapsed));
            }
        }
    };
    progress.finish();
    done
}

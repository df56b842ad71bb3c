//! Backups of a running server: on demand, by schedule, and the archive that follows the journal.
//!
//! All of it is done by one thread of its own. A target that is slow or gone costs that thread its time and nobody else anything: what it
//! holds on to in the journal is let go when nothing has moved for [`STALLED`], and in any case when the disk is full.
mod copy;
mod pace;
mod place;
#[cfg(feature = "s3")]
mod s3;
mod status;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use quartermaster_journal::FileStorage;
use quartermaster_node::{Clock as _, Core};

pub use place::Place;
pub use status::Figures;
pub(crate) use status::timestamp;

use crate::clock::SystemClock;
use crate::config::Config;
use crate::node::Node;
use pace::Progress;

/// A copy that has not moved for so long is given up: its target does not answer.
const STALLED: Duration = Duration::from_secs(90);

/// Time the thread has to end at shutdown; a target that hangs is left behind.
const END: Duration = Duration::from_secs(2);

/// After a start, time until the schedule is looked at for the first time: not while everybody waits for the server.
const FIRST_LOOK: Duration = Duration::from_secs(10);

/// What the configuration says about backups.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Settings {
    target: Option<Place>,
    interval: Duration,
    keep: usize,
    bytes_per_second: u64,
    archive: bool,
    archive_interval: Duration,
}

impl Settings {
    fn of(config: &Config) -> Settings {
        Settings {
            // Checked with the configuration.
            target: config.backup_target.as_deref().and_then(|text| Place::parse(text).ok()),
            interval: config.backup_interval,
            keep: usize::try_from(config.backup_keep).unwrap_or(usize::MAX),
            bytes_per_second: config.backup_bytes_per_second,
            archive: config.archive,
            archive_interval: config.archive_interval,
        }
    }
}

/// Why a backup was not begun.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotBegun {
    /// Another runs.
    #[error("backup {number} to {target} is running; wait for it, or cancel it: `quartermaster backup cancel`")]
    Busy {
        /// Its number.
        number: u64,
        /// Its target.
        target: String,
    },
    /// The thread hangs in a target that does not answer.
    #[error(
        "the last backup hangs in a target that does not answer ({target}); when it does, or after a restart, there can be another"
    )]
    Hanging {
        /// That target.
        target: String,
    },
    /// The target cannot be one.
    #[error("{0}")]
    Target(String),
}

/// A backup that ended.
#[derive(Clone, Debug)]
struct Outcome {
    number: u64,
    target: String,
    began_us: u64,
    ended_us: u64,
    /// What is at the target, or what went wrong.
    result: Result<Done, String>,
}

#[derive(Clone, Debug, Default)]
struct Done {
    name: String,
    first_lsn: u64,
    last_lsn: u64,
    sent_objects: u64,
    sent_bytes: u64,
    total_bytes: u64,
    pruned: u64,
}

/// A copy that runs: a backup, or a pass of the archive (number 0).
#[derive(Clone)]
struct Running {
    number: u64,
    target: String,
    began_us: u64,
    progress: Arc<Progress>,
    /// Nothing moved for too long: it is told as failed, and its thread may hang yet.
    given_up: bool,
}

#[derive(Default)]
struct State {
    wanted: Option<(u64, Place)>,
    running: Option<Running>,
    last: Option<Outcome>,
    numbers: u64,
    /// When a scheduled backup, and a pass of the archive, is due.
    next_backup: Option<Instant>,
    next_archive: Option<Instant>,
    archived: Option<Archived>,
    stopped: bool,
}

/// How the archive is.
#[derive(Clone, Debug, Default)]
struct Archived {
    last_lsn: u64,
    success_us: Option<u64>,
    error: Option<String>,
}

/// Backups of a node.
pub struct Backups {
    settings: Mutex<Settings>,
    state: Mutex<State>,
    woken: Condvar,
    /// What a backup and what the archive hold on to; `u64::MAX` for nothing. Two, so that the end of one lets go nothing of the other.
    held: [AtomicU64; 2],
    counts: status::Counts,
    clock: SystemClock,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Backups {
    /// Backups as `config` wants them; nothing runs before [`start`](Backups::start).
    pub(crate) fn new(config: &Config) -> Backups {
        let settings = Settings::of(config);
        let mut state = State::default();
        schedule(&mut state, &settings, Instant::now());
        Backups {
            settings: Mutex::new(settings),
            state: Mutex::new(state),
            woken: Condvar::new(),
            held: [AtomicU64::new(u64::MAX), AtomicU64::new(u64::MAX)],
            counts: status::Counts::default(),
            clock: SystemClock::start(),
            thread: Mutex::new(None),
        }
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has none to give.
    pub(crate) fn start(&self, node: &Arc<Node>) -> io::Result<()> {
        let node = Arc::downgrade(node);
        let thread = thread::Builder::new().name("backup".to_owned()).spawn(move || copy::run(&node))?;
        *self.thread.lock() = Some(thread);
        Ok(())
    }

    /// Ends the thread, with what it does. One that hangs in its target is left.
    pub(crate) fn stop(&self) {
        {
            let mut state = self.state.lock();
            state.stopped = true;
            state.running.iter().for_each(|running| running.progress.cancel());
        }
        self.woken.notify_all();
        let Some(thread) = self.thread.lock().take() else { return };
        let until = Instant::now() + END;
        while !thread.is_finished() && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
        if thread.is_finished() {
            _ = thread.join();
        } else {
            tracing::warn!("a backup hangs in its target and is left unfinished");
        }
    }

    /// Begins a backup to `target`, or to that of the configuration when it is empty; gives its number.
    ///
    /// # Errors
    /// [`NotBegun`].
    pub fn begin(&self, target: &str) -> Result<u64, NotBegun> {
        let place = if target.is_empty() {
            let none = "no target is given, and the configuration has no backup_target";
            self.settings.lock().target.clone().ok_or_else(|| NotBegun::Target(none.to_owned()))?
        } else {
            Place::parse(target).map_err(NotBegun::Target)?
        };
        // Tells at once what this build cannot do.
        drop(place.open().map_err(NotBegun::Target)?);
        let mut state = self.state.lock();
        match &state.running {
            Some(running) if running.given_up => {
                return Err(NotBegun::Hanging { target: running.target.clone() });
            }
            Some(running) if running.number > 0 => {
                return Err(NotBegun::Busy { number: running.number, target: running.target.clone() });
            }
            _ => {}
        }
        if let Some((number, place)) = &state.wanted {
            return Err(NotBegun::Busy { number: *number, target: place.to_string() });
        }
        state.numbers += 1;
        let number = state.numbers;
        state.wanted = Some((number, place));
        drop(state);
        self.woken.notify_all();
        Ok(number)
    }

    /// Ends the backup that runs or waits to; tells whether there was one.
    pub fn cancel(&self) -> bool {
        let mut state = self.state.lock();
        let waiting = state.wanted.take();
        if let Some((number, place)) = &waiting {
            let now = self.clock.wall();
            let result = Err("it was cancelled before it began".to_owned());
            let target = place.to_string();
            state.last = Some(Outcome { number: *number, target, began_us: now, ended_us: now, result });
        }
        let running = state.running.as_ref().filter(|running| running.number > 0);
        running.inspect(|running| running.progress.cancel()).is_some() || waiting.is_some()
    }

    /// Takes other settings: from the next copy on, the rate at once.
    pub(crate) fn take(&self, config: &Config) {
        let settings = Settings::of(config);
        if *self.settings.lock() == settings {
            // A reload of other settings moves no schedule.
            return;
        }
        let mut state = self.state.lock();
        state.running.iter().for_each(|running| running.progress.set_rate(settings.bytes_per_second));
        if !settings.archive {
            state.archived = None;
        }
        schedule(&mut state, &settings, Instant::now());
        *self.settings.lock() = settings;
    }

    /// Lets go of the journal when a copy has not moved for [`STALLED`], and tells it as failed. Called a few times a second.
    pub(crate) fn watch(&self, core: &Core<FileStorage, SystemClock>) {
        let mut state = self.state.lock();
        let archives = self.settings.lock().archive;
        if state.running.is_none() && !archives && self.held[1].load(Ordering::SeqCst) < u64::MAX {
            // Switched off while it ran.
            self.hold(core, 1, None);
        }
        let Some(running) = state.running.as_mut().filter(|running| !running.given_up) else { return };
        if running.progress.idle() < STALLED {
            return;
        }
        running.given_up = true;
        running.progress.cancel();
        let running = running.clone();
        let text = format!(
            "{} has not answered for {} s; see that it can be reached and written to",
            running.target,
            STALLED.as_secs()
        );
        self.ended(&mut state, &running, Err(text));
        drop(state);
        // What the archive has not sent is kept: that is what it was asked for, and a full disk ends it.
        self.hold(core, 0, None);
    }

    fn ended(&self, state: &mut State, running: &Running, result: Result<Done, String>) {
        if running.number == 0 {
            let archived = state.archived.get_or_insert_with(Archived::default);
            match &result {
                Ok(done) => {
                    archived.last_lsn = done.last_lsn;
                    archived.success_us = Some(self.clock.wall());
                    archived.error = None;
                }
                Err(error) => {
                    if archived.error.as_ref() != Some(error) {
                        tracing::error!(
                            target = running.target,
                            error,
                            "the archive fails; the journal is kept meanwhile"
                        );
                    }
                    archived.error = Some(error.clone());
                }
            }
            self.counts.archived(&result);
            return;
        }
        match &result {
            Ok(done) => tracing::info!(
                target = running.target,
                name = done.name,
                last_lsn = done.last_lsn,
                sent_bytes = done.sent_bytes,
                "backup made"
            ),
            Err(error) => tracing::error!(target = running.target, error, "backup failed"),
        }
        let ended_us = self.clock.wall();
        self.counts.backed_up(&result, ended_us);
        let Running { number, target, began_us, .. } = running.clone();
        state.last = Some(Outcome { number, target, began_us, ended_us, result });
    }
}

/// When the next copies are due, under `settings`.
fn schedule(state: &mut State, settings: &Settings, now: Instant) {
    let has_target = settings.target.is_some();
    // Whether it is due by then, the newest backup at the target tells: a server that is restarted each day makes daily backups, too.
    state.next_backup = (has_target && !settings.interval.is_zero()).then(|| now + FIRST_LOOK.min(settings.interval));
    state.next_archive = (has_target && settings.archive).then_some(now);
}

//! The thread that copies: what is wanted first, then what is due; a backup, or a pass of the archive.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use quartermaster_backup::{Archive, Created, Error, HistoryId, Live, Order, Pin, Target, create, newest_backup_us};
use quartermaster_journal::{FileStorage, Journal as _, Lsn};
use quartermaster_node::{Clock as _, Core};

use super::pace::Progress;
use super::{Backups, Done, Place, Running, Settings, State};
use crate::causes::with_causes;
use crate::clock::SystemClock;
use crate::node::Node;
use crate::node::worker::be_the_least;

/// How often the thread looks at what is due.
const LOOK: Duration = Duration::from_millis(250);

/// After a failure the archive, and a scheduled backup, wait this long.
const RETRY: Duration = Duration::from_secs(30);

/// What the thread does next.
enum Work {
    /// With its number.
    Backup(u64, Place),
    /// If the newest at the target is old enough.
    Scheduled(u64, Place),
    Archive(Place),
}

/// The thread: what is wanted first, then what is due.
pub(super) fn run(node: &Weak<Node>) {
    // Where that is refused, the rate is all that holds it back.
    be_the_least();
    // Kept between passes, so that a target is listed once and not each time.
    let mut kept: Option<(Place, Box<dyn Target>, Archive)> = None;
    loop {
        let Some(node) = node.upgrade() else { return };
        let backups = node.backups();
        let work = {
            let mut state = backups.state.lock();
            if state.stopped {
                return;
            }
            let work = backups.next(&mut state);
            if work.is_none() {
                // Waited for without the node: it may go meanwhile.
                drop(state);
                thread_pause(&node);
                continue;
            }
            work
        };
        let Some(work) = work else { continue };
        backups.work(&node, &work, &mut kept);
    }
}

fn thread_pause(node: &Arc<Node>) {
    let backups = node.backups();
    let mut state = backups.state.lock();
    if !state.stopped && state.wanted.is_none() {
        // A wake-up without a reason only brings the next look forward.
        backups.woken.wait_for(&mut state, LOOK);
    }
}

impl Backups {
    fn next(&self, state: &mut State) -> Option<Work> {
        if let Some((number, place)) = state.wanted.take() {
            return Some(Work::Backup(number, place));
        }
        let settings = self.settings.lock().clone();
        let place = settings.target?;
        let now = Instant::now();
        if state.next_backup.is_some_and(|at| at <= now) {
            state.next_backup = Some(now + settings.interval);
            state.numbers += 1;
            return Some(Work::Scheduled(state.numbers, place));
        }
        if state.next_archive.is_some_and(|at| at <= now) {
            return Some(Work::Archive(place));
        }
        None
    }

    fn work(&self, node: &Node, work: &Work, kept: &mut Option<(Place, Box<dyn Target>, Archive)>) {
        let settings = self.settings.lock().clone();
        let (number, place) = match work {
            Work::Backup(number, place) | Work::Scheduled(number, place) => (*number, place.clone()),
            Work::Archive(place) => (0, place.clone()),
        };
        let progress = Arc::new(Progress::new(settings.bytes_per_second));
        let running = Running {
            number,
            target: place.to_string(),
            began_us: self.clock.wall(),
            progress: Arc::clone(&progress),
            given_up: false,
        };
        {
            let mut state = self.state.lock();
            if state.stopped {
                return;
            }
            state.running = Some(running.clone());
        }
        let own = settings.target.as_ref() == Some(&place);
        let slot = usize::from(own && settings.archive);
        let result = self.copy(node, work, &place, &settings, &progress, slot, kept);
        if let Err(Failed::NotDue(left)) = result {
            let mut state = self.state.lock();
            state.running = None;
            state.next_backup = state.next_backup.map(|_| Instant::now() + left);
            return;
        }
        let lets_go = slot == 0 || result.as_ref().is_err_and(Failed::is_final);
        let result = result.map_err(|error| {
            *kept = None;
            with_causes(&error)
        });
        // What a backup held goes; an archive holds on by itself to what it has not sent, unless it never can be.
        if lets_go {
            self.hold(node.core(), slot, None);
        }
        let mut state = self.state.lock();
        let given_up = state.running.take().is_some_and(|running| running.given_up);
        if number == 0 {
            let pause = if result.is_ok() { settings.archive_interval } else { RETRY.max(settings.archive_interval) };
            state.next_archive = state.next_archive.map(|_| Instant::now() + pause);
        } else if result.is_err() && settings.interval > RETRY && own {
            state.next_backup = state.next_backup.map(|at| at.min(Instant::now() + settings.interval / 4));
        }
        if !given_up {
            self.ended(&mut state, &running, result);
        }
    }

    #[allow(clippy::too_many_arguments, reason = "called from one place, with what that has at hand")]
    fn copy(
        &self,
        node: &Node,
        work: &Work,
        place: &Place,
        settings: &Settings,
        progress: &Progress,
        slot: usize,
        kept: &mut Option<(Place, Box<dyn Target>, Archive)>,
    ) -> Result<Done, Failed> {
        let core = node.core();
        let pin = Slot { backups: self, core, slot };
        let live = Live { log: core.log(), storage: core.storage(), pin: &pin, pace: progress };
        if slot == 0 || kept.as_ref().is_none_or(|(at, _, _)| at != place) {
            *kept = None;
            let target = place.open().map_err(Failed::Target)?;
            let archive = Archive::open(&live, &*target, fresh_id(), slot == 1)?;
            *kept = Some((place.clone(), target, archive));
        }
        if let Work::Scheduled(..) = work {
            let (_, target, _) = kept.as_ref().expect("Invariant: opened above");
            self.check_due(core, &**target, settings.interval)?;
        }
        let (_, target, archive) = kept.as_mut().expect("Invariant: opened above");
        let done = match work {
            Work::Archive(_) => {
                let shipped = archive.ship(&live, &**target)?;
                Done {
                    last_lsn: shipped.last_lsn,
                    sent_objects: shipped.objects,
                    sent_bytes: shipped.bytes,
                    ..Done::default()
                }
            }
            Work::Backup(..) | Work::Scheduled(..) => {
                let clock = || self.clock.wall();
                let order = Order { software: env!("CARGO_PKG_VERSION"), keep: settings.keep, clock: &clock };
                Done::of(create(&live, &**target, archive, &order)?)
            }
        };
        if slot == 0 {
            // Another's target, or one without an archive: looked at anew the next time.
            *kept = None;
        }
        Ok(done)
    }

    /// Whether a scheduled backup is to be made now.
    fn check_due(
        &self,
        core: &Core<FileStorage, SystemClock>,
        target: &dyn Target,
        interval: Duration,
    ) -> Result<(), Failed> {
        if core.log().durable_lsn() == Lsn::ZERO {
            // Nothing is there to be backed up: no failure, and soon no longer so.
            return Err(Failed::NotDue(RETRY.min(interval)));
        }
        let Some(made_us) = newest_backup_us(target)? else { return Ok(()) };
        let age = Duration::from_micros(self.clock.wall().saturating_sub(made_us));
        match interval.checked_sub(age) {
            Some(left) if !left.is_zero() => Err(Failed::NotDue(left)),
            _ => Ok(()),
        }
    }

    pub(super) fn hold(&self, core: &Core<FileStorage, SystemClock>, slot: usize, from: Option<Lsn>) {
        self.held[slot].store(from.map_or(u64::MAX, Lsn::get), Ordering::SeqCst);
        let least = self.held.iter().map(|held| held.load(Ordering::SeqCst)).min().unwrap_or(u64::MAX);
        core.hold_log((least < u64::MAX).then(|| Lsn::new(least)));
    }
}

impl Done {
    fn of(created: Created) -> Done {
        if let Err(error) = &created.pruned {
            tracing::warn!(error = with_causes(error), "older backups could not be given up");
        }
        let manifest = created.manifest;
        Done {
            name: manifest.name,
            first_lsn: manifest.first_lsn,
            last_lsn: manifest.last_lsn,
            sent_objects: created.sent_objects,
            sent_bytes: created.sent_bytes,
            total_bytes: manifest.files.iter().map(|file| file.bytes).sum(),
            pruned: created.pruned.map_or(0, |pruned| pruned.backups),
        }
    }
}

/// Why a copy failed.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("{0}")]
    Target(String),
    #[error(transparent)]
    Copy(#[from] Error),
    /// A scheduled backup, so long before its time.
    #[error("not due for another {0:?}")]
    NotDue(Duration),
}

impl Failed {
    /// Whether trying again cannot help.
    fn is_final(&self) -> bool {
        match self {
            Failed::Target(_) => true,
            Failed::NotDue(_) => false,
            Failed::Copy(error) => matches!(
                error,
                Error::OtherHistory { .. }
                    | Error::OtherShard { .. }
                    | Error::Diverged { .. }
                    | Error::NotEmpty { .. }
                    | Error::Newer { .. }
            ),
        }
    }
}

/// What a backup, or the archive, holds on to.
struct Slot<'a> {
    backups: &'a Backups,
    core: &'a Core<FileStorage, SystemClock>,
    slot: usize,
}

impl Pin for Slot<'_> {
    fn hold(&self, from: Option<Lsn>) {
        self.backups.hold(self.core, self.slot, from);
    }
}

/// The id of a data directory that has none yet.
fn fresh_id() -> HistoryId {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system gives random numbers");
    HistoryId(u128::from_le_bytes(bytes))
}

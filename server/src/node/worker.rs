//! A thread that does one small thing again and again until it is told to stop.

use std::io;
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::Node;

/// Of threads whose work nobody waits for: 19 is the lowest there is.
const LOWEST_PRIORITY: i32 = 19;

/// Makes the calling thread the least of all: sums of checks over megabytes must not take a core from calls that wait. On Linux this is of
/// the thread alone; where it is refused it goes on as it was. Should it be put off a core with a lock held, whoever waits for the lock
/// leaves a core to it.
pub(crate) fn be_the_least() {
    let _as_before = rustix::process::setpriority_process(None, LOWEST_PRIORITY);
}

/// A running thread.
pub(super) struct Worker {
    stopped: Arc<(Mutex<bool>, Condvar)>,
    thread: JoinHandle<()>,
}

impl Worker {
    /// Calls `step` every `pause` on a thread of its own. `step` tells whether it wants to be called again at once.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub(super) fn start(
        name: &str,
        pause: Duration,
        node: &Arc<Node>,
        step: impl Fn(&Node) -> bool + Send + 'static,
    ) -> io::Result<Worker> {
        let stopped = Arc::new((Mutex::new(false), Condvar::new()));
        let told = Arc::clone(&stopped);
        // Weak: the threads do not keep alive the node that they are ended by.
        let node: Weak<Node> = Arc::downgrade(node);
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            loop {
                let Some(node) = node.upgrade() else { return };
                let again = step(&node);
                drop(node);
                let mut stop = told.0.lock();
                if !*stop && !again {
                    // A wake-up without a reason only brings the next step forward.
                    told.1.wait_for(&mut stop, pause);
                }
                if *stop {
                    return;
                }
            }
        })?;
        Ok(Worker { stopped, thread })
    }

    /// Ends the thread after its current step.
    pub(super) fn stop(self) {
        *self.stopped.0.lock() = true;
        self.stopped.1.notify_all();
        if self.thread.join().is_err() {
            tracing::error!("a background thread had panicked");
        }
    }
}

//! The order to stop: from a signal or from within, seen by everyone who holds a [`Stop`].

use std::io;
use std::process;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::causes::with_causes;
use crate::reload::Reloader;
use crate::systemd;

/// How the process ends, for scripts and orchestrators.
pub mod exit {
    /// Stopped as asked: what was in work is answered, everything is on disk.
    pub const OK: u8 = 0;
    /// Could not start, or failed while serving; the log says why.
    pub const FAILED: u8 = 1;
    /// The configuration or the command line was refused.
    pub const USAGE: u8 = 2;
    /// Stopped as asked, but calls were cut off when the grace ran out. Nothing acknowledged is lost.
    pub const CUT_OFF: u8 = 3;
    /// A second signal came while stopping. Nothing acknowledged is lost; the next start replays more.
    pub const SECOND_SIGNAL: u8 = 4;
    /// Could not start: files of the data directory are missing, or are not what was written. Starting again will not help; nothing was
    /// changed. `quartermaster verify` ends with the same code.
    pub const DAMAGED: u8 = 5;
    /// Could not start: an address is taken, or is none of this machine's. Nothing was opened.
    pub const ADDRESS: u8 = 6;
    /// Could not start: another process holds the data directory. Starting again helps once that has ended.
    pub const HELD: u8 = 7;
}

/// Gives the order to stop.
#[derive(Debug)]
pub struct Stopper {
    sender: watch::Sender<bool>,
}

/// Learns of the order to stop. Cheap to clone; hand one to whatever runs long.
#[derive(Clone, Debug)]
pub struct Stop {
    receiver: watch::Receiver<bool>,
}

/// An order and its receiver.
pub fn order() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper { sender }, Stop { receiver })
}

impl Stopper {
    /// Orders the stop. Once is enough.
    pub fn stop(&self) {
        self.sender.send_replace(true);
    }
}

impl Stop {
    /// Whether the order was given.
    pub fn is_ordered(&self) -> bool {
        *self.receiver.borrow()
    }

    /// Completes when the order is given, or when nobody is left to give it.
    pub async fn ordered(&mut self) {
        // The error means that the sender is gone, which is an order too: nothing else would ever end the process.
        let _gone = self.receiver.wait_for(|ordered| *ordered).await;
    }
}

/// Has `reloader` read the configuration anew at each SIGHUP, until the task is aborted. Needs a tokio runtime.
///
/// # Errors
/// When the system refuses the handler.
pub fn on_hangup(reloader: Arc<Reloader>) -> io::Result<JoinHandle<()>> {
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            systemd::reloading();
            let reloader = Arc::clone(&reloader);
            match tokio::task::spawn_blocking(move || reloader.reload(false)).await {
                Ok(Ok(found)) => found.log(),
                Ok(Err(error)) => {
                    let error = with_causes(&error);
                    tracing::error!(error, "the configuration was not read anew: everything is as it was");
                }
                Err(_) => tracing::error!("a reload broke off"),
            }
            systemd::ready("serving");
        }
    }))
}

/// Turns the first SIGTERM or SIGINT into the order and the second into an exit on the spot. Needs a tokio runtime.
///
/// # Errors
/// When the system refuses the handlers.
pub fn on_signals() -> io::Result<Stop> {
    let (stopper, stop) = order();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            }
        };
        let first = next().await;
        tracing::info!(signal = first, "stopping; a second signal ends the process at once");
        stopper.stop();
        let second = next().await;
        tracing::warn!(signal = second, "second signal: ending at once");
        process::exit(exit::SECOND_SIGNAL.into());
    });
    Ok(stop)
}

//! What systemd is told: ready, what goes on, reloading, stopping, and that the server lives.
//!
//! Only under a unit of `Type=notify`, which gives a socket in the environment; elsewhere nothing happens.

use std::sync::Weak;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{interval, timeout};

use crate::node::Node;

/// The server is answering, with what is worth a line in `systemctl status`.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// What goes on.
pub fn status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

/// The configuration is being read anew; [`ready`] ends it.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The order to stop was given. `grace` is how long it may take: longer than the unit's own patience, it is asked to wait.
pub fn stopping(grace: Duration) {
    let more = grace + Duration::from_secs(60);
    let more = u32::try_from(more.as_micros()).unwrap_or(u32::MAX);
    tell(&[NotifyState::Stopping, NotifyState::Status("draining"), NotifyState::ExtendTimeoutUsec(more)]);
}

/// Feeds the watchdog of the unit, if it has one, twice as often as it asks for. Each time both must have answered: the runtime, which runs
/// this, and the node, whose every lock is taken and given back. The disk is not asked: one that is slow is no reason to kill a server.
pub async fn feed_watchdog(node: Weak<Node>) {
    let Some(patience) = sd_notify::watchdog_enabled() else { return };
    let mut ticks = interval(patience / 2);
    loop {
        ticks.tick().await;
        let Some(node) = node.upgrade() else { return };
        let counted = tokio::task::spawn_blocking(move || node.engine().counts().cells);
        match timeout(patience / 2, counted).await {
            Ok(Ok(_)) => tell(&[NotifyState::Watchdog]),
            Ok(Err(_)) | Err(_) => tracing::error!("the node does not answer: the watchdog is not fed"),
        }
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd could not be told");
    }
}

//! What keeps strangers out, joined: TLS and the gate, the files they are read from, and the figures they publish.
mod figures;
mod files;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

pub use figures::{Figures, Handshake};
pub(crate) use files::Files;

use crate::auth::{AuthError, Gate};
use crate::config::Config;
use crate::methods::Methods;
use crate::reload::Reload;
use crate::shutdown::Stop;
use crate::tls::{Tls, TlsError};

/// Why the server cannot be made safe.
#[derive(Debug, thiserror::Error)]
pub enum SecurityError {
    /// By certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// By tokens.
    #[error(transparent)]
    Auth(#[from] AuthError),
}

/// The parts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Security {
    /// For the port of callers, where there is a certificate.
    pub tls: Option<Arc<Tls>>,
    /// Who may call what.
    pub gate: Arc<Gate>,
    /// What they count.
    pub figures: Arc<Figures>,
    interval: Duration,
}

impl Security {
    /// Reads what `config` names.
    ///
    /// # Errors
    /// When a file cannot be read or used.
    pub fn open(config: &Config, methods: &Methods) -> Result<Security, SecurityError> {
        let figures = Arc::new(Figures::default());
        let tls = Tls::open(config, &figures)?;
        let gate = Gate::open(config, methods, &figures)?;
        Ok(Security { tls, gate, figures, interval: config.tls_reload_interval })
    }

    /// What takes new settings at run time.
    pub fn parts(&self) -> Vec<Arc<dyn Reload>> {
        let gate: Arc<dyn Reload> = Arc::clone(&self.gate) as _;
        self.tls.iter().map(|tls| Arc::clone(tls) as Arc<dyn Reload>).chain([gate]).collect()
    }

    /// Looks at the files now and then, and fetches keys, until `stop`.
    pub(crate) fn watch(&self, stop: &Stop) {
        self.gate.fetch_keys(stop);
        let (tls, gate, mut stop) = (self.tls.clone(), Arc::clone(&self.gate), stop.clone());
        let mut looks = interval_at(Instant::now() + self.interval, self.interval);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = stop.ordered() => return,
                    _now = looks.tick() => {}
                }
                let (tls, gate) = (tls.clone(), Arc::clone(&gate));
                // Files may lie on a slow disk or a network. A look that panics is a bug; the next one is made all the same.
                let _looked = tokio::task::spawn_blocking(move || {
                    tls.iter().for_each(|tls| tls.look());
                    gate.look();
                })
                .await;
            }
        });
    }
}

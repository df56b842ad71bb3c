//! The server around the services: two sockets, health and reflection, and an orderly end.
//!
//! `bind` takes the addresses and starts the metrics page, so that a start that replays for a minute can be watched; `run` begins to
//! listen for calls and returns when the order to stop has been carried out.
mod accept;
mod addresses;
mod admin;
mod answer;
mod arrival;
mod calls;
mod connection;
#[cfg(test)]
mod counted;
mod debug;
mod files;
mod front;
mod link;
mod progress;
mod refusals;
mod seldom;
mod together;
mod tunables;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::HealthService;
use tonic_reflection::server::Builder;

pub(crate) use answer::AnswerBody;
pub(crate) use arrival::{Arrival, Source};
pub(crate) use calls::{Call, Calls, STREAM_BODIES_MAX};

use crate::admission::Admission;
use crate::config::{Config, Loaded};
use crate::grpc::Services;
use crate::health::{Health, Phase};
use crate::json;
use crate::methods::Methods;
use crate::metrics::Metrics;
use crate::reload::Reload;
use crate::security::{Security, SecurityError};
use crate::shutdown::{self, Stop, Stopper};
use crate::systemd;
use crate::tls::Tls;
use crate::watch::Watch;
use crate::watch::traces::TraceError;
use accept::Connections;
use admin::{Admin, Settings, pages};
use debug::Debug;
use front::Front;
use tunables::Tunables;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1_024;

/// Connections to the metrics page at once: a few scrapers and a person.
const ADMIN_CONNECTIONS_MAX: usize = 64;

/// Why the server cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address cannot be taken.
    #[error("cannot listen on {address} for {purpose}; is another server running there?")]
    Listen {
        /// The address of the configuration.
        address: SocketAddr,
        /// What it is for.
        purpose: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Traces cannot be sent.
    #[error(transparent)]
    Traces(#[from] TraceError),
    /// Certificates or tokens cannot be used.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// The descriptors were refused by the reflection service.
    #[error("the API's descriptors cannot be served by reflection")]
    Reflection {
        /// What it said.
        #[from]
        source: tonic_reflection::server::Error,
    },
}

/// How a stop went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that still had calls in work when the grace ran out, and were closed.
    pub cut_off: usize,
}

/// The address of gRPC, taken but not listened on: callers are refused until the server is ready for them.
#[derive(Debug)]
pub struct Port {
    socket: TcpSocket,
}

/// The frame of the server. The metrics page answers as long as it lives.
pub struct Server {
    config: Config,
    metrics_address: SocketAddr,
    methods: Arc<Methods>,
    metrics: Arc<Metrics>,
    admission: Arc<Admission>,
    tunables: Arc<Tunables>,
    health: Health,
    security: Security,
    settings: Settings,
    debug_address: Option<SocketAddr>,
    /// Dropping it ends the metrics page and the debug port.
    _admin: Stopper,
}

impl Server {
    /// Takes both addresses and starts the metrics page, which tells that the server is starting.
    ///
    /// # Errors
    /// [`ServeError::Listen`] when an address is not to be had, [`ServeError::Security`] when certificates or tokens cannot be used.
    pub async fn bind(config: &Config) -> Result<(Server, Port), ServeError> {
        let methods = Arc::new(Methods::new());
        let security = Security::open(config, &methods)?;
        let socket = take(config.listen).map_err(|source| refused(config.listen, "gRPC", source))?;
        let (listener, metrics_address) = TcpListener::bind(config.metrics_listen)
            .await
            .and_then(with_address)
            .map_err(|source| refused(config.metrics_listen, "metrics", source))?;

        let admission = Admission::new(config.in_flight_max, config.queue_wait_target, config.queue_wait_interval);
        let health = Health::new(&methods).await;
        let watch = Arc::new(Watch::new(config)?);
        let metrics = Metrics::new(Arc::clone(&methods), Arc::clone(&admission), watch, health.clone());

        let settings = Settings::default();
        let gate = Arc::clone(&security.gate);
        let page = Admin::new(Arc::clone(&metrics), health.clone(), Arc::clone(&settings), gate);
        let (stopper, stop) = shutdown::order();
        security.watch(&stop);
        metrics.set_security(Arc::clone(&security.figures));
        let tls = security.tls.as_ref().filter(|_| config.metrics_tls).map(Tls::for_metrics);
        let connections = Connections::of(config).at_most(ADMIN_CONNECTIONS_MAX);
        tokio::spawn(connections.clone().with_tls(tls).serve(listener, page, None, stop.clone(), || Duration::ZERO));
        let debug_address = match config.debug_listen {
            None => None,
            Some(asked) => {
                let bound = TcpListener::bind(asked).await.and_then(with_address);
                let (listener, address) = bound.map_err(|source| refused(asked, "debug", source))?;
                tracing::warn!(%address, "the debug port is open");
                let debug = Debug::new(Arc::clone(&metrics));
                tokio::spawn(connections.serve(listener, debug, None, stop, || Duration::ZERO));
                Some(address)
            }
        };
        let tunables = Arc::new(Tunables::new(config, Arc::clone(&admission)));
        let config = config.clone();
        let server = Server {
            config,
            metrics_address,
            methods,
            metrics,
            admission,
            tunables,
            health,
            security,
            settings,
            debug_address,
            _admin: stopper,
        };
        Ok((server, Port { socket }))
    }

    /// The metrics, to be given their sources.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// What keeps strangers out, for whoever reloads it.
    pub fn security(&self) -> &Security {
        &self.security
    }

    /// Its bounds that can change.
    pub fn tunables(&self) -> Arc<dyn Reload> {
        Arc::clone(&self.tunables) as _
    }

    /// Calls in work now.
    pub fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    /// The state, for whoever must tell or change it.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Shows `loaded` on the status page, secrets left out. The first call counts.
    pub fn show_settings(&self, loaded: &Loaded) {
        let rows = loaded.rows().into_iter();
        let shown = rows.map(|(key, value, origin)| pages::shown(key, value, origin.to_string())).collect();
        // Settings that were taken at run time are shown by whoever took them.
        let _kept = self.settings.set(shown);
    }

    /// Address of the debug port, where there is one.
    pub fn debug_address(&self) -> Option<SocketAddr> {
        self.debug_address
    }

    /// Address of the metrics page, with the port the system chose where the configuration said 0.
    pub fn metrics_address(&self) -> SocketAddr {
        self.metrics_address
    }

    /// Serves `services` on `port`, with health, reflection and the JSON view beside them, until `stop` is ordered and what was in
    /// work is finished or the grace is over. `ready` is called once, with the address of gRPC, when calls are answered.
    ///
    /// # Errors
    /// When the address cannot be listened on, or the descriptors cannot be served.
    pub async fn run(
        &self,
        port: Port,
        services: impl Into<Services>,
        mut stop: Stop,
        ready: impl FnOnce(SocketAddr),
    ) -> Result<Drained, ServeError> {
        let services = self.with_own_services(services.into())?;
        let (listener, address) = port
            .socket
            .listen(BACKLOG)
            .and_then(with_address)
            .map_err(|source| refused(self.config.listen, "gRPC", source))?;

        let calls = Calls::new(
            Arc::clone(&self.tunables),
            services,
            Arc::clone(&self.methods),
            &self.metrics,
            Arc::clone(&self.admission),
            Arc::clone(&self.security.gate),
            stop.clone(),
        );
        let front = Front::new(calls.clone(), json::View::new(&self.config, calls));
        let room = files::connections_max();
        if usize::try_from(self.config.connections_max).is_ok_and(|asked| asked > room) {
            tracing::warn!(room, "the limit on open files leaves room for fewer connections than connections_max");
        }
        let connections =
            Connections::of(&self.config).at_most(room).with_tls(self.security.tls.as_ref().map(Tls::for_callers));
        // gRPC has no use for the date, and the JSON view tells it.
        let connections = connections.undated().drained_by(self.health.drains());
        self.metrics.set_connections_max(connections.max());
        let metrics = Some(Arc::clone(&self.metrics));
        let (stopper, stop_accepting) = shutdown::order();
        let tunables = Arc::clone(&self.tunables);
        let serving = connections.serve(listener, front, metrics, stop_accepting, move || tunables.drain_grace());
        let serving = tokio::spawn(serving);

        self.health.set(Phase::Serving).await;
        ready(address);
        stop.ordered().await;
        // In this order: who hears that it no longer serves, and connects all the same, must not be let in.
        stopper.stop();
        self.health.stop().await;
        systemd::stopping(self.tunables.drain_grace());
        let cut_off = serving.await.expect("the accept loop does not panic and is never aborted");
        Ok(Drained { cut_off })
    }

    /// Prints the one line on stdout that scripts and tests wait for.
    pub fn announce(&self, grpc: SocketAddr) {
        let mut stdout = io::stdout().lock();
        // Whoever closed stdout does not wait for the line.
        let _closed = writeln!(stdout, "ready grpc={grpc} metrics={}", self.metrics_address);
        let _closed = stdout.flush();
    }

    fn with_own_services(&self, services: Services) -> Result<Services, ServeError> {
        let reflection = || {
            Builder::configure()
                .register_encoded_file_descriptor_set(quartermaster_proto::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        // Both versions: many tools still ask the older one first.
        let (reflection, older) = (reflection().build_v1()?, reflection().build_v1alpha()?);
        let health = HealthServer::new(HealthService::from_health_reporter(self.health.reporter()));
        Ok(services.with(|routes| routes.add_service(health).add_service(reflection).add_service(older).prepare()))
    }
}

fn refused(address: SocketAddr, purpose: &'static str, source: io::Error) -> ServeError {
    ServeError::Listen { address, purpose, source }
}

fn take(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn with_address(listener: TcpListener) -> io::Result<(TcpListener, SocketAddr)> {
    let address = listener.local_addr()?;
    Ok((listener, address))
}

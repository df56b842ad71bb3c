//! The page for those who run the server, on its own port: metrics, liveness, readiness, status.
pub(super) mod pages;

use std::sync::{Arc, OnceLock};

use http::header::{ALLOW, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use tonic::body::Body;
use tonic::{Code, Status};

use super::accept::Answer;
use super::arrival::Arrival;
use crate::auth::{Denial, Gate};
use crate::health::{Health, Phase};
use crate::metrics::Metrics;

const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
const TEXT_TYPE: &str = "text/plain; charset=utf-8";

const HTML_TYPE: &str = "text/html; charset=utf-8";
const JSON_TYPE: &str = "application/json";

/// The settings as they are shown, once they are known.
pub(super) type Settings = Arc<OnceLock<Vec<pages::Setting>>>;

/// Answers on the metrics port.
#[derive(Clone)]
pub(super) struct Admin {
    metrics: Arc<Metrics>,
    health: Health,
    settings: Settings,
    gate: Arc<Gate>,
}

impl Admin {
    pub(super) fn new(metrics: Arc<Metrics>, health: Health, settings: Settings, gate: Arc<Gate>) -> Admin {
        Admin { metrics, health, settings, gate }
    }

    /// A page that asks the engine, made on a thread that may take a while.
    async fn page(
        &self,
        content_type: &'static str,
        make: impl FnOnce(&Admin) -> String + Send + 'static,
    ) -> Response<Body> {
        let admin = self.clone();
        match tokio::task::spawn_blocking(move || make(&admin)).await {
            Ok(page) => respond(StatusCode::OK, content_type, page),
            Err(_stopping) => respond(StatusCode::SERVICE_UNAVAILABLE, TEXT_TYPE, "stopping\n".to_owned()),
        }
    }

    fn settings(&self) -> &[pages::Setting] {
        self.settings.get().map_or(&[], Vec::as_slice)
    }

    /// What only those see who may.
    async fn shown(&self, path: &str) -> Response<Body> {
        match path {
            "/metrics" => self.page(METRICS_TYPE, |admin| admin.metrics.render()).await,
            "/status" => {
                self.page(TEXT_TYPE, |admin| pages::status_text(&admin.metrics, admin.health.phase(), admin.settings()))
                    .await
            }
            "/status.json" => {
                let make = |admin: &Admin| pages::status_json(&admin.metrics, admin.health.phase(), admin.settings());
                self.page(JSON_TYPE, move |admin| format!("{:#}\n", make(admin))).await
            }
            "/slow" => self.page(TEXT_TYPE, |admin| pages::slow_text(&admin.metrics)).await,
            "/slow.json" => self.page(JSON_TYPE, |admin| format!("{:#}\n", pages::slow_json(&admin.metrics))).await,
            _ => respond(StatusCode::NOT_FOUND, TEXT_TYPE, format!("nothing here; there is:\n{}", pages::list())),
        }
    }

    fn readiness(&self) -> Response<Body> {
        let phase = self.health.phase();
        let status = if phase == Phase::Serving { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        respond(status, TEXT_TYPE, format!("{}\n", phase.name()))
    }
}

impl Answer for Admin {
    type Body = Body;

    async fn answer(&self, request: Request<Incoming>, arrival: Arrival) -> Response<Body> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let mut response = respond(StatusCode::METHOD_NOT_ALLOWED, TEXT_TYPE, "GET only\n".to_owned());
            response.headers_mut().insert(ALLOW, http::HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match request.uri().path() {
            "/" => respond(StatusCode::OK, HTML_TYPE, pages::index(self.health.phase())),
            // Never depends on the journal: an orchestrator must not restart a server because a disk is slow.
            "/healthz" => respond(StatusCode::OK, TEXT_TYPE, "alive\n".to_owned()),
            "/readyz" => self.readiness(),
            path => match self.gate.admit_to_metrics(request.headers(), &arrival.source) {
                Ok(()) => self.shown(path).await,
                Err(denial) => denied(&denial),
            },
        }
    }
}

pub(super) fn respond(status: StatusCode, content_type: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(Body::new(Full::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    response
}

/// What a reader is told who may not: in words, with the challenge that clients look for.
fn denied(denial: &Denial) -> Response<Body> {
    let status = Status::from(denial);
    let http = match status.code() {
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::FORBIDDEN,
    };
    let mut response = respond(http, TEXT_TYPE, format!("{denial}\n"));
    if let Some(challenge) = status.metadata().clone().into_headers().remove(WWW_AUTHENTICATE) {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

//! The page for those who run the server, on its own port: metrics, liveness, readiness.

use std::sync::Arc;

use http::header::{ALLOW, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use tonic::body::Body;
use tonic::{Code, Status};

use super::accept::Answer;
use crate::auth::{Denial, Gate};
use crate::health::{Health, Phase};
use crate::metrics::Metrics;

const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
const TEXT_TYPE: &str = "text/plain; charset=utf-8";

const INDEX: &str = "\
Quartermaster
/metrics   figures for Prometheus
/healthz   200 while the process lives
/readyz    200 while it takes calls, else 503
";

/// Answers on the metrics port.
#[derive(Clone)]
pub(super) struct Admin {
    metrics: Arc<Metrics>,
    health: Health,
    gate: Arc<Gate>,
}

impl Admin {
    pub(super) fn new(metrics: Arc<Metrics>, health: Health, gate: Arc<Gate>) -> Admin {
        Admin { metrics, health, gate }
    }

    async fn metrics(&self) -> Response<Body> {
        let metrics = Arc::clone(&self.metrics);
        match tokio::task::spawn_blocking(move || metrics.render()).await {
            Ok(page) => respond(StatusCode::OK, METRICS_TYPE, page),
            Err(_stopping) => respond(StatusCode::SERVICE_UNAVAILABLE, TEXT_TYPE, "stopping\n".to_owned()),
        }
    }

    fn readiness(&self) -> Response<Body> {
        let phase = self.health.phase();
        let status = if phase == Phase::Serving { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        respond(status, TEXT_TYPE, format!("{}\n", phase.name()))
    }
}

impl Answer for Admin {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let mut response = respond(StatusCode::METHOD_NOT_ALLOWED, TEXT_TYPE, "GET only\n".to_owned());
            response.headers_mut().insert(ALLOW, http::HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match request.uri().path() {
            "/" => respond(StatusCode::OK, TEXT_TYPE, INDEX.to_owned()),
            "/metrics" => match self.gate.admit_to_metrics(&request) {
                Ok(()) => self.metrics().await,
                Err(denial) => denied(&denial),
            },
            // Never depends on the journal: an orchestrator must not restart a server because a disk is slow.
            "/healthz" => respond(StatusCode::OK, TEXT_TYPE, "alive\n".to_owned()),
            "/readyz" => self.readiness(),
            _ => respond(StatusCode::NOT_FOUND, TEXT_TYPE, format!("nothing here; there is:\n{INDEX}")),
        }
    }
}

fn respond(status: StatusCode, content_type: &'static str, text: String) -> Response<Body> {
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

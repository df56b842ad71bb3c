//! The debug port: what the process does inside. Off by default and for loopback: it tells more than strangers should know.
//!
//! Nothing here changes anything, and no page costs more than a walk over 256 shards. A profile of the processor is left to `perf`, which
//! needs no handler of signals in the server; release builds carry the line tables for it.

use std::fmt::Write as _;
use std::sync::Arc;

use http::header::ALLOW;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tonic::body::Body;

use super::accept::Answer;
use super::admin::respond;
use super::arrival::Arrival;
use crate::metrics::{Memory, Metrics};

const TEXT_TYPE: &str = "text/plain; charset=utf-8";

const INDEX: &str = "\
/runtime   threads that serve calls: how busy each is, tasks, queue
/memory    what the allocator has, in bytes
/shards    the 256 shards: cells, reservations by state, shortfalls
/locks     waits for shards' locks, by how long they took
A profile of the processor: perf record -g -p PID -- sleep 10
";

/// Answers on the debug port.
#[derive(Clone)]
pub(super) struct Debug {
    metrics: Arc<Metrics>,
}

impl Debug {
    pub(super) fn new(metrics: Arc<Metrics>) -> Debug {
        Debug { metrics }
    }

    fn shards(&self) -> String {
        let Some(sources) = self.metrics.sources() else { return "there is no node yet\n".to_owned() };
        let mut text = format!(
            "{:>5}  {:>10}  {:>10}  {:>10}  {:>10}  {:>10}  {:>10}\n",
            "shard", "cells", "held", "confirmed", "pending", "ended", "shortfalls"
        );
        for (shard, counts) in sources.shards().iter().enumerate() {
            let _infallible = writeln!(
                text,
                "{shard:>5}  {:>10}  {:>10}  {:>10}  {:>10}  {:>10}  {:>10}",
                counts.cells, counts.held, counts.confirmed, counts.pending, counts.ended, counts.shortfalls
            );
        }
        text
    }

    fn locks(&self) -> String {
        let Some(sources) = self.metrics.sources() else { return "there is no node yet\n".to_owned() };
        let waits = sources.read().shard_lock_wait;
        let mut text = "waits for the lock of a shard that another thread held\n".to_owned();
        for (place, count) in waits.counts.iter().enumerate() {
            let bound =
                waits.bounds.get(place).map_or_else(|| "longer".to_owned(), |bound| format!("{} us", bound / 1_000));
            let _infallible = writeln!(text, "to {bound:>12}  {count}");
        }
        text
    }
}

impl Answer for Debug {
    type Body = Body;

    async fn answer(&self, request: Request<Incoming>, _: Arrival) -> Response<Body> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let mut response = respond(StatusCode::METHOD_NOT_ALLOWED, TEXT_TYPE, "GET only\n".to_owned());
            response.headers_mut().insert(ALLOW, http::HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        let text = match request.uri().path() {
            "/" => INDEX.to_owned(),
            "/runtime" => runtime(),
            "/memory" => memory(),
            path @ ("/shards" | "/locks") => {
                let (debug, is_shards) = (self.clone(), path == "/shards");
                let make = move || if is_shards { debug.shards() } else { debug.locks() };
                // The process is ending when there is no thread for it.
                tokio::task::spawn_blocking(make).await.unwrap_or_default()
            }
            _ => return respond(StatusCode::NOT_FOUND, TEXT_TYPE, format!("nothing here; there is:\n{INDEX}")),
        };
        respond(StatusCode::OK, TEXT_TYPE, text)
    }
}

fn runtime() -> String {
    let runtime = Handle::current().metrics();
    let mut text = format!(
        "{} threads, {} tasks alive, {} ready in the shared queue\n",
        runtime.num_workers(),
        runtime.num_alive_tasks(),
        runtime.global_queue_depth()
    );
    for worker in 0..runtime.num_workers() {
        let _infallible = writeln!(
            text,
            "thread {worker:>3}: busy {:?} since the start, parked {} times",
            runtime.worker_total_busy_duration(worker),
            runtime.worker_park_count(worker)
        );
    }
    text
}

fn memory() -> String {
    let memory = Memory::read();
    format!("allocated {}\nresident  {}\nretained  {}\n", memory.allocated, memory.resident, memory.retained)
}

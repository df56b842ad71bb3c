//! An import: many cells set as one request, written in parts.
//!
//! Every part has an id of its own, the last that of the whole: so the whole is on record when all of it was written, and a repeat of
//! an import that broke off in the middle takes it up where it stopped.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use quartermaster_engine::{
    self as engine, Answer, Engine, Verdict,
    command::{Command, ImportStock, Request, StockCommand},
};
use quartermaster_journal::{AppendError, Lsn};
use quartermaster_proto::v1;

use super::{
    caller::Caller,
    convert::{answers::entry_count, levels},
    rows::Rows,
    status::ApiError,
};
use crate::node::Node;

/// Parts that may wait to be durable at once: enough to keep the disk busy, little against the journal's queue.
const PARTS_WAITING_MAX: usize = 16;

/// How often a part is offered to a full journal, and how long it waits in between: ten seconds in all.
const OFFERS_MAX: u32 = 200;
const OFFER_DELAY: Duration = Duration::from_millis(50);

/// Writes checked rows.
///
/// # Errors
/// When a row cannot stand, before anything is written; when the id was used otherwise; and as any change.
pub(crate) async fn run(node: &Arc<Node>, caller: &Caller, rows: Rows) -> Result<v1::ImportStockResponse, ApiError> {
    let rows = Arc::new(rows);
    let checked = {
        let (node, rows) = (Arc::clone(node), Arc::clone(&rows));
        blocking(move || check(node.engine(), &rows))
    };
    checked.await?;

    let mut waiting = VecDeque::new();
    let (mut replayed, mut shortfalls, mut last) = (true, 0, Lsn::ZERO);
    for part in 0..rows.chunks() {
        if waiting.len() == PARTS_WAITING_MAX
            && let Some(oldest) = waiting.pop_front()
        {
            node.settle(oldest).await?;
        }
        let answer = write(node, caller, &rows, part).await?;
        waiting.push_back(answer.lsn);
        replayed &= answer.replayed;
        last = answer.lsn;
        let Verdict::Done(event) = &answer.verdict else { return Err(FOREIGN_EVENT) };
        shortfalls += levels::imported(event).ok_or(FOREIGN_EVENT)?;
    }
    let newest = waiting.into_iter().max().unwrap_or(last);
    node.settle(newest).await?;
    let written = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    Ok(v1::ImportStockResponse { position: Some(node.position(last)), replayed, rows: written, shortfalls })
}

const FOREIGN_EVENT: ApiError =
    ApiError::Internal { what: "a part of an import was answered with an event of another kind" };

/// The id of a part: that of the whole for the last, else derived from it.
fn part_id(request_id: &str, part: usize, parts: usize) -> String {
    if part + 1 == parts { request_id.to_owned() } else { derived_id(request_id, part) }
}

fn derived_id(request_id: &str, part: usize) -> String {
    format!("{request_id}#{part}")
}

/// Checks all that can be known before the first part is written.
fn check(engine: &Engine, rows: &Rows) -> Result<(), ApiError> {
    rows.check_cells()?;
    let (id, parts) = (rows.request_id.as_str(), rows.chunks());
    let reused = |lsn| engine::Error::RequestIdReused { request_id: id.to_owned(), lsn };
    // A longer import went by this id.
    if let Some((lsn, _)) = engine.outcome(&derived_id(id, parts - 1)).1 {
        return Err(reused(lsn).into());
    }
    let open: Vec<usize> = (0..parts).filter(|part| engine.outcome(&part_id(id, *part, parts)).1.is_none()).collect();
    // A shorter import did, or something else.
    if let Some((lsn, _)) = engine.outcome(id).1.filter(|_| !open.is_empty()) {
        return Err(reused(lsn).into());
    }
    rows.check_codes(engine, &open)
}

/// Writes a part, as soon as the journal has room for it.
async fn write(node: &Arc<Node>, caller: &Caller, rows: &Arc<Rows>, part: usize) -> Result<Answer, ApiError> {
    let mut offers = 0;
    loop {
        let offered = {
            let (node, caller, rows) = (Arc::clone(node), caller.clone(), Arc::clone(rows));
            blocking(move || {
                let id = part_id(&rows.request_id, part, rows.chunks());
                let import = ImportStock { rows: rows.chunk(part), reference: rows.reference.clone() };
                let command = Command::Stock(StockCommand::Import(import));
                node.submit_now(&caller.signed(Request { id: id.into(), actor: String::new() }), &command)
            })
        };
        match offered.await {
            Err(error) if is_full(&error) && offers < OFFERS_MAX => offers += 1,
            answer => return answer,
        }
        tokio::time::sleep(OFFER_DELAY).await;
    }
}

fn is_full(error: &ApiError) -> bool {
    matches!(error, ApiError::Overloaded { .. } | ApiError::Engine(engine::Error::Journal(AppendError::Full { .. })))
}

/// Milliseconds of work, off the threads that answer calls.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or(Err(ApiError::Internal { what: "a part of an import broke off" }))
}

/// Rows of the parts of an import before its last, for who asks what the whole led to.
pub(crate) fn entries_before(engine: &Engine, request_id: &str) -> i64 {
    let parts = (0..).map_while(|part| engine.outcome(&derived_id(request_id, part)).1);
    parts.map(|(_, event)| entry_count(&event)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::limits;

    #[test]
    fn ids_of_parts_stay_short_and_end_with_the_whole() {
        let parts = limits::IMPORT_ROWS_MAX.size().div_ceil(limits::IMPORT_CHUNK_ROWS.size());
        let id = "x".repeat(limits::REQUEST_ID_BYTES_MAX.size());
        assert!((0..parts).all(|part| part_id(&id, part, parts).len() <= id.len() + 12));
        assert_eq!(part_id("i", 0, 1), "i");
        assert_eq!([part_id("i", 0, 3), part_id("i", 1, 3), part_id("i", 2, 3)], ["i#0", "i#1", "i"]);
    }
}

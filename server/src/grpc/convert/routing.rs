//! Questions to the router, to what the engine is asked, and its answers back.

use quartermaster_engine::{
    Answer, Rejection,
    catalog::Catalogue,
    command::{Merge, Request, Reserve, SourcingRequest},
    event::{Event, Line},
    id::ReservationId,
    route::{Quote, Wants},
    sourced::Merged,
    time::Micros,
};
use quartermaster_journal::Lsn;
use quartermaster_proto::v1;

use super::{answers, checks::Checks, explained, sourced, sourcing};
use crate::{
    grpc::{limits, status::ApiError},
    node::Node,
};

/// A quote that is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// The order; what only a hold has is empty.
    pub(crate) order: Reserve,
    pub(crate) sourcing: SourcingRequest,
    pub(crate) wants: Wants,
}

impl Ask {
    /// Whether more than the plan is asked for: many solves instead of one.
    pub(crate) fn is_long(&self) -> bool {
        self.wants.explanation || self.wants.alternatives > 0
    }
}

/// A Route.
pub(crate) fn route(message: v1::RouteRequest) -> Result<Ask, ApiError> {
    let mut checks = Checks::default();
    let channel = checks.optional_code("channel", message.channel);
    let lines = if checks.length("lines", message.lines.len(), 1, &limits::LINES_MAX) {
        sourcing::lines(&mut checks, message.lines, true)
    } else {
        Vec::new()
    };
    let sourcing = sourcing::sourcing(&mut checks, message.sourcing.unwrap_or_default());
    let alternatives =
        checks.range("alternatives", i64::from(message.alternatives), 0, &limits::ROUTE_ALTERNATIVES_MAX);
    let buyer_id = checks.text("buyer_id", message.buyer_id, &limits::REFERENCE_BYTES_MAX);
    let order = Reserve {
        order_id: "".into(),
        buyer_id: buyer_id.into(),
        channel: channel.into(),
        lines: lines.into(),
        ttl: Micros::default(),
        allow_partial: message.allow_partial,
        replaces: None,
        unchanged_since_lsn: 0,
        sourcing: None,
        asked: None,
    };
    let wants = Wants { explanation: message.explain, alternatives: usize::try_from(alternatives).unwrap_or_default() };
    checks.finish(Ask { order, sourcing, wants })
}

/// The answer to a Route.
pub(crate) fn routed(node: &Node, lsn: Lsn, quote: Result<Quote, Rejection>) -> v1::RouteResponse {
    use v1::route_response::Outcome;
    let outcome = match quote {
        Ok(quote) => Outcome::Quote(self::quote(&node.engine().catalogue(), &quote)),
        Err(rejection) => Outcome::Rejection(answers::rejection(rejection)),
    };
    v1::RouteResponse { position: Some(node.position(lsn)), outcome: Some(outcome) }
}

fn quote(catalogue: &Catalogue, quote: &Quote) -> v1::Quote {
    let decision = &quote.decision;
    let other = |plan| sourced::other(catalogue, plan, decision, &quote.services);
    let plan = sourced::decided(catalogue, decision);
    let explanation =
        quote.explanation.as_ref().map(|explanation| explained::explanation(catalogue, decision, &plan, explanation));
    v1::Quote {
        policy: Some(sourced::policy(decision)),
        alternatives: quote.alternatives.iter().map(other).collect(),
        explanation,
        plan: Some(plan),
    }
}

/// A Merge, and whether it is a preview. That changes nothing, so it needs no request id.
pub(crate) fn merge(message: v1::MergeRequest) -> Result<(Request, Merge, bool), ApiError> {
    let mut checks = Checks::default();
    let request = if message.preview { Request::unnamed() } else { checks.request(message.request_id) };
    let buyer_id = checks.required("buyer_id", message.buyer_id, &limits::REFERENCE_BYTES_MAX);
    let receiver_key = checks.required("receiver_key", message.receiver_key, &limits::REFERENCE_BYTES_MAX);
    let mut reservations: Vec<ReservationId> = Vec::new();
    if checks.length("reservation_ids", message.reservation_ids.len(), 0, &limits::MERGE_RESERVATIONS_MAX) {
        for (place, id) in message.reservation_ids.iter().enumerate() {
            let field = format!("reservation_ids[{place}]");
            let id = checks.reservation_id(&field, id);
            // What is no id was refused already.
            if let Some(first) = reservations.iter().position(|known| *known == id)
                && id.0 != 0
            {
                checks.refuse(field, format_args!("repeats reservation_ids[{first}]"));
            }
            reservations.push(id);
        }
        if reservations.len() == 1 {
            checks.refuse("reservation_ids", "has 1 entry; it takes two to merge, or none for all that may");
        }
    }
    checks.finish((request, Merge { buyer_id, receiver_key, reservations }, message.preview))
}

/// The answer to a Merge.
pub(crate) fn merge_answer(node: &Node, answer: Answer) -> Result<v1::MergeResponse, ApiError> {
    use v1::merge_response::Outcome;
    let told = answers::Told::of(node, answer, |catalogue, event| match event {
        Event::Merged(merged) => Some(result(catalogue, merged)),
        _ => None,
    })?;
    Ok(v1::MergeResponse {
        position: Some(told.position),
        replayed: told.replayed,
        outcome: Some(told.outcome.map_or_else(Outcome::Rejection, Outcome::Result)),
    })
}

fn result(catalogue: &Catalogue, merged: &Merged) -> v1::MergeResult {
    let decision = &merged.decision;
    v1::MergeResult {
        reservation_ids: merged.moves.iter().map(|part| part.reservation.to_string()).collect(),
        plan: Some(sourced::decided(catalogue, decision)),
        cost_before: Some(sourced::money(&decision.currency, merged.cost_before)),
        moves: merged.moves.iter().flat_map(|part| moves(catalogue, part.reservation, &part.from, &part.to)).collect(),
        policy: Some(sourced::policy(decision)),
    }
}

/// Units given up and units taken, SKU by SKU, as units that went from here to there.
fn moves(catalogue: &Catalogue, id: ReservationId, from: &[Line], to: &[Line]) -> Vec<v1::MergeMove> {
    let mut moves = Vec::new();
    let mut arriving: Vec<Line> = to.to_vec();
    for line in from {
        let mut left = line.quantity;
        for target in arriving.iter_mut().filter(|target| target.sku == line.sku) {
            let moved = left.min(target.quantity);
            if moved.is_zero() {
                continue;
            }
            left.0 -= moved.0;
            target.quantity.0 -= moved.0;
            moves.push(v1::MergeMove {
                reservation_id: id.to_string(),
                sku: catalogue.sku_code(line.sku).to_owned(),
                from_location: catalogue.directory().location_code(line.location).to_owned(),
                to_location: catalogue.directory().location_code(target.location).to_owned(),
                quantity: moved.signed(),
            });
        }
    }
    moves
}

/// The id of an ExplainReservation.
pub(crate) fn explain(message: &v1::ExplainReservationRequest) -> Result<ReservationId, ApiError> {
    let mut checks = Checks::default();
    let id = checks.reservation_id("reservation_id", &message.reservation_id);
    checks.finish(id)
}

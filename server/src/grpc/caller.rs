//! Whose a call is, where its message is known: the caller's bounds are held against every message, and its name goes with every change.
//!
//! A handler gets at its message by [`opened`], which a message passes only if it says in [`Scoped`] what its caller's bounds mean to it.
//! Callers that are bound to nothing, which are most, pay one look at their own record.

use std::sync::Arc;

use quartermaster_engine::{
    catalog::Directory,
    command::Request as Signed,
    id::{LocationId, ReservationId, ReturnId},
    reservation::Reservation,
};
use quartermaster_proto::v1::{self, selling_node::Node as Selling};
use tonic::Request;

use super::status::ApiError;
use crate::{
    auth::{Bound, Denial, Identity, Principal},
    node::Node,
};

/// Whose a call is.
#[derive(Clone)]
pub(crate) struct Caller(Identity);

/// The message of `request` and whose it is, if that one may send it.
///
/// # Errors
/// `ApiError::Denied` when it names what its caller is not bound to.
pub(crate) fn opened<M: Scoped>(node: &Node, request: Request<M>) -> Result<(Caller, M), ApiError> {
    let caller = Caller::of(&request);
    let mut message = request.into_inner();
    caller.check(node, &mut message)?;
    Ok((caller, message))
}

impl Caller {
    /// That of `request`.
    pub(crate) fn of<T>(request: &Request<T>) -> Caller {
        Caller(Identity::of(request))
    }

    /// The same of a request before tonic.
    pub(crate) fn of_http<T>(request: &http::Request<T>) -> Caller {
        Caller(Identity::of_http(request))
    }

    /// Holds a message against the caller's bounds; fills in the channel of one that is bound to a single one.
    ///
    /// # Errors
    /// `ApiError::Denied` when it is out of them.
    pub(crate) fn check(&self, node: &Node, message: &mut impl Scoped) -> Result<(), ApiError> {
        let Some(principal) = self.0.bound() else { return Ok(()) };
        message.scope(&Scope { node, principal }).map_err(|denial| self.0.denied(denial).into())
    }

    /// Books the items of a batch, of which its call was one.
    ///
    /// # Errors
    /// `ApiError::Denied` when the caller has called more than it may.
    pub(crate) fn charge(&self, items: usize) -> Result<(), ApiError> {
        self.0.charge(items.saturating_sub(1)).map_err(ApiError::Denied)
    }

    /// Books what a stream brings; waits where the caller has called more than it may, and so holds the caller back.
    pub(crate) async fn charge_in_time(&self, items: usize) {
        while let Err(wait) = self.0.book(items) {
            tokio::time::sleep(wait).await;
        }
    }

    /// Whether it is bound to channels or locations, against which its messages are to be held.
    pub(crate) fn is_bound(&self) -> bool {
        self.0.bound().is_some()
    }

    /// Books what a stream brings, if that can be done without a wait.
    pub(crate) fn has_charged(&self, items: usize) -> bool {
        self.0.book(items).is_ok()
    }

    /// What the journal calls it; empty for nobody in particular.
    pub(crate) fn name(&self) -> &str {
        self.0.name()
    }

    /// Puts the caller's name to a change.
    pub(crate) fn sign(&self, request: &mut Signed) {
        if !self.0.name().is_empty() {
            self.0.name().clone_into(&mut request.actor);
        }
    }

    /// A change in the caller's name.
    pub(crate) fn signed(&self, request: Signed) -> Signed {
        Signed { actor: self.0.name().to_owned(), ..request }
    }

    /// Whether the caller may see a reservation.
    pub(crate) fn sees(&self, node: &Node, reservation: &Reservation) -> bool {
        self.0.bound().is_none_or(|principal| Scope { node, principal }.sees(reservation).is_ok())
    }
}

/// What the bounds of its caller mean to a message.
pub(crate) trait Scoped {
    /// Holds it against them.
    ///
    /// # Errors
    /// [`Denial::Scope`] when it is out of them.
    fn scope(&mut self, scope: &Scope<'_>) -> Result<(), Denial>;
}

/// The bounds of a caller, and the state that tells what an id stands for. What does not exist is in everybody's scope: the engine says so,
/// and a repeat gets its answer although the reservation is no longer kept.
pub(crate) struct Scope<'a> {
    node: &'a Node,
    principal: &'a Principal,
}

impl Scope<'_> {
    /// A channel that must be within; where none is named and the caller is bound to one, it is that.
    fn channel(&self, channel: &mut String) -> Result<(), Denial> {
        if channel.is_empty()
            && let Some(single) = self.principal.channels.single()
        {
            single.clone_into(channel);
        }
        within("channel", channel, &self.principal.channels)
    }

    /// Locations that must all be named and within.
    fn locations<'c>(&self, codes: impl IntoIterator<Item = &'c str>) -> Result<(), Denial> {
        codes.into_iter().try_for_each(|code| within("location", code, &self.principal.locations))
    }

    /// A reservation that is to change: its channel, and the location of each line that is named, or of all of them.
    fn changes(&self, reservation: &str, lines: &[v1::LineQuantity]) -> Result<(), Denial> {
        let Some(found) = self.reservation(reservation) else { return Ok(()) };
        self.channel_of(&found)?;
        if !self.principal.locations.is_set() {
            return Ok(());
        }
        if !lines.is_empty() && lines.iter().all(|line| !line.location.is_empty()) {
            return self.locations(lines.iter().map(|line| line.location.as_str()));
        }
        if places(&found).next().is_none() {
            // It has taken nothing yet, and may take it anywhere.
            return self.locations([""]);
        }
        let directory = self.directory();
        self.locations(places(&found).map(|place| code(&directory, place)))
    }

    /// A reservation that is to be seen.
    fn shows(&self, reservation: &str) -> Result<(), Denial> {
        self.reservation(reservation).map_or(Ok(()), |found| self.sees(&found))
    }

    /// Its channel is within, and one of its lines.
    fn sees(&self, found: &Reservation) -> Result<(), Denial> {
        self.channel_of(found)?;
        let (bound, directory) = (&self.principal.locations, self.directory());
        if !bound.is_set() || places(found).any(|place| bound.allows(code(&directory, place))) {
            return Ok(());
        }
        Err(out("reservation", &found.id.to_string(), bound))
    }

    /// The channel of a reservation.
    fn sold_by(&self, reservation: &str) -> Result<(), Denial> {
        self.reservation(reservation).map_or(Ok(()), |found| self.channel_of(&found))
    }

    fn channel_of(&self, found: &Reservation) -> Result<(), Denial> {
        if !self.principal.channels.is_set() {
            return Ok(());
        }
        let directory = self.directory();
        let channel = found.channel.map_or("", |id| directory.channels()[id.index()].spec.code.as_str());
        within("channel", channel, &self.principal.channels)
    }

    fn reservation(&self, id: &str) -> Option<Reservation> {
        self.node.engine().reservation(ReservationId::parse(id)?).ok().map(|(_, found)| found)
    }

    /// What comes back: where it is expected, and the channel that sold it.
    fn return_of(&self, id: &str) -> Result<(), Denial> {
        let found = ReturnId::parse(id).and_then(|id| self.node.engine().return_record(id).ok());
        let Some((_, found)) = found else { return Ok(()) };
        match found.reservation {
            Some(reservation) => self.sold_by(&reservation.to_string())?,
            None => within("channel", "", &self.principal.channels)?,
        }
        let directory = self.directory();
        self.locations([found.expected_at.map_or("", |place| code(&directory, place))])
    }

    /// A document of expected units: where they are to arrive.
    fn inbound(&self, document: &str) -> Result<(), Denial> {
        let Ok((_, found)) = self.node.engine().inbound(document) else { return Ok(()) };
        self.locations([code(&self.directory(), found.header.location)])
    }

    /// A channel that has allotments. Campaigns are shared by all who sell in them.
    fn selling(&self, node: Option<&v1::SellingNode>) -> Result<(), Denial> {
        match node.and_then(|node| node.node.as_ref()) {
            Some(Selling::Channel(channel)) => within("channel", channel, &self.principal.channels),
            Some(Selling::Campaign(campaign)) if self.principal.channels.is_set() => {
                Err(out("campaign", campaign, &self.principal.channels))
            }
            Some(Selling::Campaign(_)) | None => Ok(()),
        }
    }

    fn directory(&self) -> Arc<Directory> {
        Arc::clone(self.node.engine().catalogue().directory())
    }
}

fn code(directory: &Directory, place: LocationId) -> &str {
    directory.locations()[place.index()].spec.code.as_str()
}

fn places(found: &Reservation) -> impl Iterator<Item = LocationId> {
    found.lines.iter().map(|line| line.location).chain(found.presold.iter().map(|presold| presold.line.location))
}

fn within(what: &'static str, code: &str, bound: &Bound) -> Result<(), Denial> {
    if bound.allows(code) { Ok(()) } else { Err(out(what, code, bound)) }
}

fn out(what: &'static str, value: &str, bound: &Bound) -> Denial {
    let value = if value.is_empty() { "(none)" } else { value };
    Denial::Scope { what, value: value.to_owned(), bound: bound.to_string() }
}

/// Messages of methods that no bound caller may call, or whose answers are the same for all: the table of roles sees to both.
macro_rules! unscoped {
    ($($message:ident)+) => {
        $( impl Scoped for v1::$message {
            fn scope(&mut self, _: &Scope<'_>) -> Result<(), Denial> {
                Ok(())
            }
        } )+
    };
}

unscoped! {
    ActivateDocumentRequest DraftDocumentRequest EndCampaignRequest MergeRequest PutStockRulesRequest RetireDocumentRequest RetireSkusRequest
    UpsertChannelsRequest UpsertLocationsRequest UpsertRegionsRequest UpsertSkusRequest
}

/// Messages, and what their caller's bounds mean to each.
macro_rules! scoped {
    ($($message:ident: |$this:ident, $scope:ident| $check:expr;)+) => {
        $( impl Scoped for v1::$message {
            fn scope(&mut self, $scope: &Scope<'_>) -> Result<(), Denial> {
                let $this = self;
                $check
            }
        } )+
    };
}

scoped! {
    // Selling. A place that is not named is any place, which who is bound to some may not take from.
    ReserveRequest: |this, scope| {
        scope.channel(&mut this.channel)?;
        if !this.replaces_reservation_id.is_empty() {
            scope.changes(&this.replaces_reservation_id, &[])?;
        }
        scope.locations(this.lines.iter().map(|line| line.location.as_str()))
    };
    RouteRequest: |this, scope| scope.channel(&mut this.channel);
    SplitRequest: |this, scope| scope.shows(&this.reservation_id);
    ExplainReservationRequest: |this, scope| scope.shows(&this.reservation_id);
    GetReservationRequest: |this, scope| scope.shows(&this.reservation_id);
    ConfirmRequest: |this, scope| scope.changes(&this.reservation_id, &[]);
    ReleaseRequest: |this, scope| scope.changes(&this.reservation_id, &[]);
    ExtendRequest: |this, scope| scope.changes(&this.reservation_id, &[]);
    CancelRequest: |this, scope| scope.changes(&this.reservation_id, &this.lines);
    ShipRequest: |this, scope| scope.changes(&this.reservation_id, &this.lines);
    // Both ends: whoever could pass its work to any other place would reach beyond its own.
    ReassignRequest: |this, scope| {
        scope.sold_by(&this.reservation_id)?;
        scope.locations([this.from_location.as_str(), this.to_location.as_str()])
    };

    // Stock.
    SetStockRequest: |this, scope| scope.locations([this.location.as_str()]);
    AdjustStockRequest: |this, scope| scope.locations([this.location.as_str()]);
    MoveStockRequest: |this, scope| scope.locations([this.location.as_str()]);
    CountStockRequest: |this, scope| scope.locations([this.location.as_str()]);
    ReceiveStockRequest: |this, scope| scope.locations(this.receipts.iter().map(|row| row.location.as_str()));
    SetCellFactsRequest: |this, scope| scope.locations(this.facts.iter().map(|row| row.location.as_str()));
    ImportStockRequest: |this, scope| scope.locations(this.rows.iter().map(|row| row.location.as_str()));
    FreezeStockRequest: |this, scope| scope.locations([this.location.as_str()]);
    ThawStockRequest: |this, scope| scope.locations([this.location.as_str()]);
    RepairShortfallsRequest: |this, scope| scope.locations([this.location.as_str()]);
    AnnounceInboundRequest: |this, scope| scope.locations([this.location.as_str()]);
    ChangeInboundRequest: |this, scope| scope.inbound(&this.code);
    CancelInboundRequest: |this, scope| scope.inbound(&this.code);
    ReceiveInboundRequest: |this, scope| scope.inbound(&this.code);
    ShipTransferRequest: |this, scope| scope.locations([this.from_location.as_str()]);

    // What comes back.
    AnnounceReturnRequest: |this, scope| {
        scope.sold_by(&this.reservation_id)?;
        scope.locations([this.expected_location.as_str()])
    };
    ExchangeReturnRequest: |this, scope| {
        this.announce.as_mut().map_or(Ok(()), |announce| announce.scope(scope))?;
        this.reserve.as_mut().map_or(Ok(()), |reserve| reserve.scope(scope))
    };
    CancelReturnRequest: |this, scope| scope.return_of(&this.return_id);
    ReceiveReturnRequest: |this, scope| scope.locations([this.location.as_str()]);
    ReceiveUnmatchedReturnRequest: |this, scope| scope.locations([this.location.as_str()]);
    InspectReturnRequest: |this, scope| scope.locations(this.lines.iter().map(|line| line.location.as_str()));

    // Channels' shares.
    SetAllotmentsRequest: |this, scope| this.settings.iter().try_for_each(|one| scope.selling(one.node.as_ref()));
    RaiseAllotmentsRequest: |this, scope| this.steps.iter().try_for_each(|one| scope.selling(one.node.as_ref()));
    LowerAllotmentsRequest: |this, scope| this.steps.iter().try_for_each(|one| scope.selling(one.node.as_ref()));
    MoveAllotmentsRequest: |this, scope| this.moves.iter().try_for_each(|one| {
        scope.selling(one.from.as_ref())?;
        scope.selling(one.to.as_ref())
    });
    ReturnAllotmentsRequest: |this, scope| scope.selling(this.node.as_ref());
    UpsertCampaignsRequest: |this, scope| {
        this.campaigns.iter().try_for_each(|one| within("channel", &one.channel, &scope.principal.channels))
    };
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::auth::Rate;

    #[tokio::test]
    async fn a_stream_is_held_back_where_a_batch_is_refused() {
        let caller = Caller(Identity::metered(Rate { per_second: 50, burst: 1 }));
        let began = Instant::now();
        // Two items a message, 20 ms each; the first message finds its account in credit.
        for _ in 0..6 {
            caller.charge_in_time(2).await;
        }
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(190), "{took:?}");
        let denied = caller.charge(3).unwrap_err();
        assert!(matches!(denied, ApiError::Denied(Denial::Rate { rate: 50, burst: 1, .. })), "{denied:?}");
        // A batch of one is its call, which was booked at the gate.
        caller.charge(1).unwrap();
    }
}

//! The calls of an order's life, by name. Every other method is called by its request: [`Client::call`].

use std::time::Duration;

use quartermaster_proto::v1::{
    AnnounceReturnRequest, CancelRequest, ConfirmRequest, ErrorReason, ExtendRequest, GetAvailabilityRequest,
    GetOutcomeRequest, GetOutcomeResponse, GetReservationRequest, Hold, LineQuantity, Quote, ReassignRequest,
    ReleaseRequest, Reservation, ReservationUpdate, ReserveBatchRequest, ReserveRequest, ReserveResult, ReturnUpdate,
    RouteRequest, ShipRequest, SkuAvailability, SplitPackage, SplitRequest,
};

use crate::answer::{Answer, outcome};
use crate::call::{Client, unary};
use crate::error::CallError;
use crate::id::request_id;

impl Client {
    /// Takes every line of an order or, unless `allow_partial` is set, nothing.
    ///
    /// # Errors
    /// As for all methods here: what [`CallError`] lists. A business "no" is no error.
    pub async fn reserve(&self, request: ReserveRequest) -> Result<Answer<Hold>, CallError> {
        self.call(request).await.map(outcome)
    }

    /// Up to 10,000 reservations in one message: a tenth of the cost of as many calls. Each is decided on its own and answered in its
    /// place; those without a request id get one, which is given back beside the result.
    ///
    /// # Errors
    /// When the message as a whole has no answer. [`CallError::UnknownOutcome`] then names the first id; any may have been done, and the
    /// whole can be sent again with the same ids.
    pub async fn reserve_batch(
        &self,
        mut requests: Vec<ReserveRequest>,
    ) -> Result<Vec<(String, ReserveResult)>, CallError> {
        requests.iter_mut().filter(|one| one.request_id.is_empty()).for_each(|one| one.request_id = request_id());
        let ids: Vec<String> = requests.iter().map(|one| one.request_id.clone()).collect();
        let batch = ReserveBatchRequest { requests };
        let first = ids.first().map(String::as_str);
        let (answer, _tries) = self.run(first, || batch.clone(), unary::<ReserveBatchRequest>).await?;
        Ok(ids.into_iter().zip(answer.results).collect())
    }

    /// Turns a hold into a commitment: the order is paid.
    ///
    /// # Errors
    /// See [`Client::reserve`].
    pub async fn confirm(&self, reservation_id: &str) -> Result<Answer<ReservationUpdate>, CallError> {
        let request = ConfirmRequest { reservation_id: reservation_id.to_owned(), ..Default::default() };
        self.call(request).await.map(outcome)
    }

    /// Gives a hold back whole.
    ///
    /// # Errors
    /// See [`Client::reserve`].
    pub async fn release(&self, reservation_id: &str) -> Result<Answer<ReservationUpdate>, CallError> {
        let request = ReleaseRequest { reservation_id: reservation_id.to_owned(), ..Default::default() };
        self.call(request).await.map(outcome)
    }

    /// Gives back all that is open of a reservation.
    ///
    /// # Errors
    /// See [`Client::reserve`].
    pub async fn cancel(&self, reservation_id: &str) -> Result<Answer<ReservationUpdate>, CallError> {
        self.cancel_lines(reservation_id, Vec::new()).await
    }

    /// Gives back `lines` of a reservation, or all that is open when there are none.
    ///
    /// # Errors
    /// See [`Client::reserve`].
    pub async fn cancel_lines(
        &self,
        reservation_id: &str,
        lines: Vec<LineQuantity>,
    ) -> Result<Answer<ReservationUpdate>, CallError> {
        let request = CancelRequest { reservation_id: reservation_id.to_owned(), lines, ..Default::default() };
        self.call(request).await.map(outcome)
    }

    /// Moves the expiry of a hold to `ttl` from now.
    ///
    /// # Errors
    /// See [`Client::reserve`].
    pub async fn extend(&self, reservation_id: &str, ttl: Duration) -> Result<Answer<ReservationUpdate>, CallError> {
        // What a message cannot say is far beyond the 30 days that a server takes: it refuses the one as the other.
        let ttl = ttl.try_into().unwrap_or(prost_types::Duration { seconds: i64::MAX, nanos: 0 });
        let request = ExtendRequest { reservation_id: reservation_id.to_owned(), ttl: Some(ttl), ..Default::default() };
        self.call(request).await.map(outcome)
    }

    /// Records all open units of a confirmed reservation as shipped.
    ///
    /// # Errors
    /// See [`Client::reserve`].
    pub async fn ship(&self, reservation_id: &str) -> Result<Answer<ReservationUpdate>, CallError> {
        self.ship_lines(reservation_id, Vec::new()).await
    }

    /// Records `lines` as shipped, or all that is open when there are none.
    ///
    /// # Errors
    /// See [`Client::reserve`].
    pub async fn ship_lines(
        &self,
        reservation_id: &str,
        lines: Vec<LineQuantity>,
    ) -> Result<Answer<ReservationUpdate>, CallError> {
        let request = ShipRequest { reservation_id: reservation_id.to_owned(), lines, ..Default::default() };
        self.call(request).await.map(outcome)
    }

    /// Moves open units of a line to other locations.
    ///
    /// # Errors
    /// See [`Client::reserve`].
    pub async fn reassign(&self, request: ReassignRequest) -> Result<Answer<ReservationUpdate>, CallError> {
        self.call(request).await.map(outcome)
    }

    /// Says that shipped units will come back.
    ///
    /// # Errors
    /// See [`Client::reserve`].
    pub async fn announce_return(&self, request: AnnounceReturnRequest) -> Result<Answer<ReturnUpdate>, CallError> {
        self.call(request).await.map(outcome)
    }

    /// A reservation as it stands; none when there is none with this id, or it ended longer ago than the retention.
    ///
    /// # Errors
    /// See [`Client::reserve`].
    pub async fn get_reservation(&self, reservation_id: &str) -> Result<Option<Reservation>, CallError> {
        let request = GetReservationRequest { reservation_id: reservation_id.to_owned() };
        match self.call(request).await {
            Ok(called) => Ok(called.answer.reservation),
            Err(error) if error.refusal().reason == ErrorReason::UnknownReservation => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What a request id led to: for [`CallError::UnknownOutcome`]. `known` is false when nothing of it is on record, so that sending it
    /// again is safe.
    ///
    /// # Errors
    /// See [`Client::reserve`].
    pub async fn outcome(&self, request_id: &str) -> Result<GetOutcomeResponse, CallError> {
        self.call(GetOutcomeRequest { request_id: request_id.to_owned() }).await.map(|called| called.answer)
    }

    /// Units that can be promised now, for each SKU asked for.
    ///
    /// # Errors
    /// See [`Client::reserve`].
    pub async fn availability(&self, request: GetAvailabilityRequest) -> Result<Vec<SkuAvailability>, CallError> {
        self.call(request).await.map(|called| called.answer.skus)
    }

    /// The plan by which an order would be served now.
    ///
    /// # Errors
    /// See [`Client::reserve`].
    pub async fn route(&self, request: RouteRequest) -> Result<Answer<Quote>, CallError> {
        self.call(request).await.map(outcome)
    }

    /// Cuts an order into packages; changes nothing.
    ///
    /// # Errors
    /// See [`Client::reserve`].
    pub async fn split(&self, request: SplitRequest) -> Result<Vec<SplitPackage>, CallError> {
        self.call(request).await.map(|called| called.answer.packages)
    }
}

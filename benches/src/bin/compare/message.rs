//! Reserve on the wire as the client of the comparison has it: orders written straight into the frame, and of answers only what tells whether an
//! order was granted. A test holds it to the contract.
//!
//! The client shares its core with nobody, and yet would be the limit in batches if it made strings and structs of everything. What the server
//! gets is the same, byte by byte.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use bytes::{BufMut, Bytes};
use prost::Message;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use crate::demand::{HELD_FOR, Order};

/// Orders to be sent in the list of a batch's or a stream's message.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) orders: Arc<[Order]>,
    pub(crate) range: Range<usize>,
}

impl Outgoing {
    fn encode(&self, out: &mut impl BufMut) {
        let mut bytes = Vec::with_capacity(128);
        for order in &self.orders[self.range.clone()] {
            bytes.clear();
            encode(order, &mut bytes);
            field(1, bytes.len(), out);
            out.put_slice(&bytes);
        }
    }
}

/// One order as gRPC frames it: no compression, four bytes of length, the message.
pub(crate) fn framed(order: &Order) -> Bytes {
    let mut out = Vec::with_capacity(128 + 5);
    out.resize(5, 0);
    encode(order, &mut out);
    let length = u32::try_from(out.len() - 5).unwrap_or(u32::MAX);
    out[1..5].copy_from_slice(&length.to_be_bytes());
    out.into()
}

/// A `ReserveRequest`.
fn encode(order: &Order, out: &mut Vec<u8>) {
    field(1, 32, out);
    order.request_id().into_iter().for_each(|half| hexadecimal(half, out));
    field(2, 16, out);
    out.push(b'O');
    decimal(order.id, 15, out);
    field(3, 10, out);
    out.push(b'B');
    decimal(order.buyer(), 9, out);
    for line in order.lines() {
        // SKU, quantity and location.
        field(5, 2 + 12 + 2 + 2 + 7, out);
        field(1, 12, out);
        out.extend_from_slice(b"TS-");
        decimal(line.sku.into(), 7, out);
        out.extend_from_slice(b"-M");
        out.extend_from_slice(&[0x10, 1]);
        field(3, 7, out);
        out.extend_from_slice(b"DC-");
        decimal(line.location.into(), 4, out);
    }
    let seconds = HELD_FOR.as_secs();
    field(6, 1 + prost::length_delimiter_len(usize::try_from(seconds).unwrap_or(0)), out);
    out.push(0x08);
    prost::encoding::encode_varint(seconds, out);
}

/// Head of a field with a length.
fn field(number: u8, length: usize, out: &mut impl BufMut) {
    out.put_u8(number << 3 | 2);
    prost::encoding::encode_varint(u64::try_from(length).unwrap_or(0), out);
}

/// So many digits, zeros in front.
fn decimal(mut value: u64, digits: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + digits, b'0');
    for digit in out[start..].iter_mut().rev() {
        *digit = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
    }
}

fn hexadecimal(value: u64, out: &mut Vec<u8>) {
    for byte in value.to_be_bytes() {
        out.extend([byte >> 4, byte & 0xF].map(|digit| b"0123456789abcdef"[usize::from(digit)]));
    }
}

/// `ReserveBatchResponse`; its list has another number than that of a stream's.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct BatchAnswer {
    #[prost(message, repeated, tag = "2")]
    pub(crate) results: Vec<ItemAnswer>,
}

/// `ReserveStreamResponse`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct StreamAnswer {
    #[prost(message, repeated, tag = "1")]
    pub(crate) results: Vec<ItemAnswer>,
}

/// `ReserveResult`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ItemAnswer {
    #[prost(message, optional, tag = "1")]
    pub(crate) response: Option<Answer>,
}

/// `ReserveResponse`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Answer {
    #[prost(message, optional, tag = "3")]
    pub(crate) hold: Option<Hold>,
    #[prost(message, optional, tag = "4")]
    pub(crate) rejection: Option<Rejection>,
}

/// `Hold`, of which it is enough that it is there.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Hold {}

/// `Rejection`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Rejection {
    #[prost(int32, tag = "1")]
    pub(crate) reason: i32,
}

/// Orders out, `A` in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Orders<A>(PhantomData<A>);

impl<A> Orders<A> {
    pub(crate) fn new() -> Orders<A> {
        Orders(PhantomData)
    }
}

impl<A: Message + Default + 'static> Codec for Orders<A> {
    type Encode = Outgoing;
    type Decode = A;
    type Encoder = Orders<A>;
    type Decoder = Orders<A>;

    fn encoder(&mut self) -> Orders<A> {
        Orders::new()
    }

    fn decoder(&mut self) -> Orders<A> {
        Orders::new()
    }
}

impl<A> Encoder for Orders<A> {
    type Item = Outgoing;
    type Error = Status;

    fn encode(&mut self, orders: Outgoing, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        orders.encode(buffer);
        Ok(())
    }
}

impl<A: Message + Default> Decoder for Orders<A> {
    type Item = A;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<A>, Status> {
        A::decode(buffer).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use quartermaster_benches::matrix::{location_code, sku_code};
    use quartermaster_proto::v1 as api;

    use super::*;
    use crate::demand::{Demand, Scenario};

    /// The order as everybody else would write it.
    fn request(order: &Order) -> api::ReserveRequest {
        let line = |line: &crate::demand::Line| api::ReserveLine {
            sku: sku_code(line.sku),
            quantity: 1,
            location: location_code(line.location),
            sourcing: None,
        };
        let [first, second] = order.request_id();
        api::ReserveRequest {
            request_id: format!("{first:016x}{second:016x}"),
            order_id: format!("O{:015}", order.id),
            buyer_id: format!("B{:09}", order.buyer()),
            lines: order.lines().iter().map(line).collect(),
            ttl: prost_types::Duration::try_from(HELD_FOR).ok(),
            ..api::ReserveRequest::default()
        }
    }

    #[test]
    fn orders_are_written_as_the_contract_has_them() {
        let orders: Arc<[Order]> = Demand::new().of(Scenario::ThreeLines).draw(1_000).into();
        let batch = api::ReserveBatchRequest { requests: orders.iter().map(request).collect() };
        let mut bytes = Vec::new();
        Outgoing { orders: Arc::clone(&orders), range: 0..1_000 }.encode(&mut bytes);
        assert_eq!(bytes, batch.encode_to_vec());
        let alone = request(&orders[7]).encode_to_vec();
        let length = u8::try_from(alone.len()).expect("orders are short");
        assert_eq!(framed(&orders[7]), [&[0, 0, 0, 0, length], &alone[..]].concat());
    }

    #[test]
    fn answers_are_read_as_the_contract_has_them() {
        let rejection = api::Rejection {
            reason: api::RejectionReason::InsufficientStock.into(),
            message: "sold out".to_owned(),
            ..api::Rejection::default()
        };
        let held = api::Hold { reservation_id: "R1".to_owned(), ..api::Hold::default() };
        let result = |outcome| api::ReserveResult {
            result: Some(api::reserve_result::Result::Response(api::ReserveResponse {
                outcome: Some(outcome),
                ..api::ReserveResponse::default()
            })),
        };
        let results = vec![
            result(api::reserve_response::Outcome::Hold(held)),
            result(api::reserve_response::Outcome::Rejection(rejection)),
            api::ReserveResult { result: Some(api::reserve_result::Result::Error(api::ItemError::default())) },
        ];
        let batch = api::ReserveBatchResponse { results: results.clone(), ..api::ReserveBatchResponse::default() };
        let read = BatchAnswer::decode(&batch.encode_to_vec()[..]).expect("it is a message");
        let stream = api::ReserveStreamResponse { results };
        assert_eq!(StreamAnswer::decode(&stream.encode_to_vec()[..]).expect("it is a message").results, read.results);
        let [granted, refused, failed] = &read.results[..] else { panic!("{read:?}") };
        assert!(granted.response.as_ref().is_some_and(|answer| answer.hold.is_some() && answer.rejection.is_none()));
        let reason = refused.response.as_ref().and_then(|answer| answer.rejection.as_ref()).map(|no| no.reason);
        assert_eq!(reason, Some(api::RejectionReason::InsufficientStock.into()));
        assert_eq!(failed.response, None);
    }
}

//! A Reserve from its bytes to its order, without prost's structs between.
//!
//! What is read is a message that is as nearly all are, and right in every field. Of any other `reserve` makes nothing: the general way
//! decodes it, says what is wrong with it, or converts what is rare. So no check and no sentence stands here a second time.

use std::iter;

use prost_types::Duration;
use quartermaster_engine::{
    command::{Command, PlainOrder, Request, Reserve, ReserveLine},
    id::ReservationId,
    quantity::Quantity,
    time::Micros,
};
use quartermaster_proto::fields::{delimited, number};
use smallvec::SmallVec;

use super::fields::Fields;
use crate::grpc::{
    convert::{campaign, checks::Checks},
    limits::{self, Limit},
};

const REQUEST_ID: u8 = delimited(1);
const ORDER_ID: u8 = delimited(2);
const BUYER_ID: u8 = delimited(3);
const CHANNEL: u8 = delimited(4);
const LINES: u8 = delimited(5);
const TTL: u8 = delimited(6);
const ALLOW_PARTIAL: u8 = number(7);
const REPLACES: u8 = delimited(8);
const UNCHANGED_SINCE: u8 = number(9);
const CAMPAIGN: u8 = delimited(11);

const SKU: u8 = delimited(1);
const QUANTITY: u8 = number(2);
const LOCATION: u8 = delimited(3);

const SECONDS: u8 = number(1);
const NANOS: u8 = number(2);

/// The requests of a `ReserveBatchRequest` or a `ReserveStreamRequest`, each as its bytes, one after the other; none in place of whatever else
/// is in the message.
pub(super) fn requests(message: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut fields = Fields::without_texts(message);
    iter::from_fn(move || {
        let key = fields.key()?;
        Some(if key == delimited(1) { fields.bytes() } else { None })
    })
}

/// An order, found right in all that it says. Its caller is still to be named.
#[derive(Debug)]
pub(super) enum Order<'a> {
    /// In the texts of its message.
    Plain(PlainOrder<'a>),
    /// One that asks for more.
    More(Box<(Request, Command)>),
}

#[cfg(test)]
impl Order<'_> {
    /// The command that it is.
    pub(super) fn into_command(self) -> (Request, Command) {
        match self {
            Self::Plain(order) => (request(order.request_id), Command::Reserve(order.to_reserve())),
            Self::More(order) => *order,
        }
    }
}

/// What stands in a line.
#[derive(Clone, Copy, Debug)]
struct Line<'a> {
    sku: &'a str,
    location: &'a str,
    quantity: Quantity,
}

/// The order of a `ReserveRequest`.
#[inline]
pub(super) fn reserve(message: &[u8]) -> Option<Order<'_>> {
    let mut fields = Fields::of(message);
    let (mut request_id, mut order_id, mut buyer_id, mut channel, mut campaign) = ("", "", "", "", "");
    let mut lines = SmallVec::<[Line<'_>; 4]>::new();
    let (mut ttl, mut replaces) = (None, None);
    let (mut allow_partial, mut unchanged_since_lsn) = (false, 0);
    while let Some(key) = fields.key() {
        match key {
            REQUEST_ID => request_id = fields.text()?,
            ORDER_ID => order_id = fields.text()?,
            BUYER_ID => buyer_id = fields.text()?,
            CHANNEL => channel = fields.text()?,
            LINES => lines.push(line(fields.message()?)?),
            // One that comes twice is to be merged.
            TTL if ttl.is_none() => ttl = Some(duration(fields.message()?)?),
            ALLOW_PARTIAL => allow_partial = fields.varint()? != 0,
            // An empty one is none, and would take back the one before it.
            REPLACES => replaces = Some(ReservationId::parse(fields.text()?)?),
            UNCHANGED_SINCE => unchanged_since_lsn = fields.varint()?,
            CAMPAIGN => campaign = fields.text()?,
            _ => return None,
        }
    }
    let right = !request_id.is_empty()
        && fits(request_id, &limits::REQUEST_ID_BYTES_MAX)
        && fits(order_id, &limits::REFERENCE_BYTES_MAX)
        && fits(buyer_id, &limits::REFERENCE_BYTES_MAX)
        && is_code(channel)
        && is_code(campaign)
        && (1..=limits::LINES_MAX.size()).contains(&lines.len())
        && (replaces.is_none() || !buyer_id.is_empty());
    if !right {
        return None;
    }
    let mut checks = Checks::default();
    let ttl = checks.ttl("ttl", ttl.as_ref()).unwrap_or(Micros(0));
    let asked = if campaign.is_empty() { None } else { campaign::asked(&mut checks, campaign.into(), false, 0) };
    if !checks.passed() {
        return None;
    }
    let plain = !allow_partial && replaces.is_none() && unchanged_since_lsn == 0 && asked.is_none();
    if let ([Line { sku, location, quantity }], true) = (&*lines, plain) {
        let (sku, location, quantity) = (*sku, *location, *quantity);
        return Some(Order::Plain(PlainOrder {
            request_id,
            order_id,
            buyer_id,
            channel,
            sku,
            location,
            quantity,
            ttl,
        }));
    }
    let reserve = Reserve {
        order_id: order_id.into(),
        buyer_id: buyer_id.into(),
        channel: channel.into(),
        lines: lines.into_iter().map(Line::to_owned).collect(),
        ttl,
        allow_partial,
        replaces,
        unchanged_since_lsn,
        sourcing: None,
        asked,
    };
    Some(Order::More(Box::new((request(request_id), Command::Reserve(reserve)))))
}

fn request(id: &str) -> Request {
    Request { id: id.into(), ..Request::unnamed() }
}

impl Line<'_> {
    fn to_owned(self) -> ReserveLine {
        ReserveLine { sku: self.sku.into(), quantity: self.quantity, location: self.location.into(), sourcing: None }
    }
}

fn line(mut fields: Fields<'_>) -> Option<Line<'_>> {
    let (mut sku, mut location, mut units) = ("", "", 0);
    while let Some(key) = fields.key() {
        match key {
            SKU => sku = fields.text()?,
            QUANTITY => units = fields.varint()?,
            LOCATION => location = fields.text()?,
            _ => return None,
        }
    }
    let quantity = u32::try_from(units).ok().filter(|units| *units > 0).map(Quantity)?;
    let right = !sku.is_empty() && is_code(sku) && is_code(location);
    right.then_some(Line { sku, location, quantity })
}

fn duration(mut fields: Fields<'_>) -> Option<Duration> {
    let mut duration = Duration::default();
    while let Some(key) = fields.key() {
        match key {
            SECONDS => duration.seconds = i64::try_from(fields.varint()?).ok()?,
            NANOS => duration.nanos = i32::try_from(fields.varint()?).ok()?,
            _ => return None,
        }
    }
    Some(duration)
}

fn fits(text: &str, bytes_max: &Limit) -> bool {
    text.len() <= bytes_max.size()
}

/// A code, or nothing. Most are of ASCII, where a control character is easily seen.
fn is_code(text: &str) -> bool {
    fits(text, &limits::CODE_BYTES_MAX)
        && (text.bytes().all(|byte| matches!(byte, b' '..=b'~')) || !text.chars().any(char::is_control))
}

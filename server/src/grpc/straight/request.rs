//! A Reserve from its bytes to its command, without prost's structs between.
//!
//! What is read is a message that is as nearly all are, and right in every field. Of any other `reserve` makes nothing: the general way
//! decodes it, says what is wrong with it, or converts what is rare. So no check and no sentence stands here a second time.

use std::iter;

use prost_types::Duration;
use quartermaster_engine::{
    command::{Command, Request, Reserve, ReserveLine, ReserveLines},
    id::ReservationId,
    quantity::Quantity,
    time::Micros,
};

use super::fields::{Fields, delimited, number};
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

/// The command of a `ReserveRequest`, whose caller is still to be named.
pub(super) fn reserve(message: &[u8]) -> Option<(Request, Command)> {
    let mut fields = Fields::of(message);
    let (mut request_id, mut order_id, mut buyer_id, mut channel, mut campaign) = ("", "", "", "", "");
    let mut lines = ReserveLines::new();
    let (mut ttl, mut replaces) = (None, None);
    let (mut allow_partial, mut unchanged_since_lsn) = (false, 0);
    while let Some(key) = fields.key() {
        match key {
            REQUEST_ID => request_id = fields.text()?,
            ORDER_ID => order_id = fields.text()?,
            BUYER_ID => buyer_id = fields.text()?,
            CHANNEL => channel = fields.text()?,
            LINES => {
                let line = line(fields.message()?)?;
                lines.push(line);
            }
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
    let ttl = checks.ttl("ttl", ttl.as_ref());
    let asked = if campaign.is_empty() { None } else { campaign::asked(&mut checks, campaign.into(), false, 0) };
    let reserve = Reserve {
        order_id: order_id.into(),
        buyer_id: buyer_id.into(),
        channel: channel.into(),
        lines,
        ttl: ttl.unwrap_or(Micros(0)),
        allow_partial,
        replaces,
        unchanged_since_lsn,
        sourcing: None,
        asked,
    };
    let request = Request { id: request_id.into(), actor: String::new() };
    checks.passed().then_some((request, Command::Reserve(reserve)))
}

fn line(mut fields: Fields<'_>) -> Option<ReserveLine> {
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
    right.then(|| ReserveLine { sku: sku.into(), quantity, location: location.into(), sourcing: None })
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

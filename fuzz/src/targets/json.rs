//! The JSON view: any body to a message, the call, and its answer to JSON and back.

use prost_reflect::DynamicMessage;
use quartermaster_server::json;
use serde::de::DeserializeSeed as _;

use super::{
    calls::{CALLS_MAX, METHODS, SEED_CALLS},
    node, world,
};
use crate::{
    Target,
    mutate::Form,
    pieces::{self, Piece},
};

/// A sequence of calls in JSON: a piece is a method and its body.
pub(super) const JSON: Target = Target {
    name: "json",
    story: "any body of any method in JSON; every answer is JSON that reads back as the same message",
    run: bodies,
    form: Form::Json(METHODS, |tag| Some(super::method(tag)?.descriptor.input())),
    seeds,
    together: node::TOGETHER,
};

fn bodies(input: &[u8]) {
    let mut right = Vec::new();
    for Piece { tag, bytes } in pieces::read(input).into_iter().take(CALLS_MAX) {
        let Some(method) = super::method(tag) else { continue };
        if let Ok(framed) = json::request(method, &bytes, node::MESSAGE_BYTES_MAX) {
            right.push((method, framed));
        }
    }
    // Without a body that can be read there is nothing to call.
    if right.is_empty() {
        return;
    }
    drop(node::on_a_node(async |subject| {
        for (method, framed) in right {
            for message in subject.call_framed(method, framed).await.messages {
                let output = method.descriptor.output();
                let text = json::answer(method, message.clone()).expect("every answer can be shown");
                let mut reader = serde_json::Deserializer::from_slice(&text);
                let again = output.clone().deserialize(&mut reader).expect("what is shown is the JSON of its message");
                let known = DynamicMessage::decode(output, message).expect("an answer is a message of its kind");
                assert_eq!(again, known, "{}", String::from_utf8_lossy(&text));
            }
        }
    }));
}

fn seeds() -> Vec<Vec<u8>> {
    let body = |piece: &Piece| {
        let method = super::method(piece.tag)?;
        let message = DynamicMessage::decode(method.descriptor.input(), piece.bytes.as_slice()).ok()?;
        Some(Piece { tag: piece.tag, bytes: serde_json::to_vec(&message).ok()? })
    };
    let world: Vec<Piece> = world::calls().iter().filter_map(body).collect();
    let empty = (0..METHODS).map(|tag| Piece { tag, bytes: b"{}".to_vec() });
    let all: Vec<Piece> = world.into_iter().chain(empty).collect();
    all.chunks(SEED_CALLS).map(pieces::write).collect()
}

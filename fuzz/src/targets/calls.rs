//! Every call of every service: bytes to message, message to command, command to state, state to answer.

use super::{node, own_methods, world};
use crate::{
    Target,
    mutate::Form,
    pieces::{self, Piece},
    shape,
};
use prost::Message as _;
use quartermaster_loadtest::random::SplitMix64;

/// A sequence of calls on a node that holds the world: a piece is a method and its message.
pub(super) const CALLS: Target = Target {
    name: "calls",
    story: "every method of every service on a small node; then the audit is clean and the state is the replay of the journal",
    run: calls,
    form: Form::Messages(METHODS, |tag| Some(super::method(tag)?.descriptor.input())),
    seeds,
    together: node::TOGETHER,
};

/// A bound for tags; those past the last method call nothing.
pub(super) const METHODS: u8 = 84;

/// Most calls of one run.
pub(super) const CALLS_MAX: usize = 4_096;

/// Calls of a seed.
pub(super) const SEED_CALLS: usize = 24;

fn calls(input: &[u8]) {
    let pieces = pieces::read(input);
    drop(node::on_a_node(async |subject| {
        for Piece { tag, bytes } in pieces.iter().take(CALLS_MAX) {
            let Some(method) = super::method(*tag) else { continue };
            let bytes = subject.filled(method, bytes);
            // A stream gets its message twice.
            let messages: &[&[u8]] =
                if method.descriptor.is_client_streaming() { &[&bytes, &bytes] } else { &[&bytes] };
            subject.call(method, messages).await;
        }
    }));
}

/// For each method some messages of every shape; and the world itself once more, which finds it all done.
fn seeds() -> Vec<Vec<u8>> {
    let random = &mut SplitMix64::new(11);
    let mut made = Vec::new();
    for _ in 0..4 {
        for (tag, method) in (0_u8..).zip(own_methods()) {
            made.push(Piece { tag, bytes: shape::message(&method.descriptor.input(), random, 0).encode_to_vec() });
        }
    }
    let world = [pieces::write(&world::calls()[..SEED_CALLS])];
    world.into_iter().chain(made.chunks(SEED_CALLS).map(pieces::write)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_has_a_tag() {
        assert!(own_methods().len() <= METHODS.into() && own_methods().len() + 4 > METHODS.into());
    }
}

//! Changes an input a little: bytes, pieces of text, and messages by their fields.
//!
//! Our own, since what finds faults here is knowing the messages: a change of bytes seldom survives protobuf, a change of a field always
//! does. It needs nothing but seeded numbers, costs no build time, and the same seed makes the same inputs for ever.

use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use quartermaster_loadtest::random::SplitMix64;

use crate::{
    pieces::{self, Piece},
    shape, words,
};

/// What an input is, to whoever changes it.
#[derive(Clone, Copy)]
pub enum Form {
    /// Bytes, where these words mean something.
    Bytes(&'static [&'static [u8]]),
    /// A byte that chooses, then a text.
    Text,
    /// Pieces that are messages, by their tags below this bound; `None` for a tag that has no message.
    Messages(u8, fn(u8) -> Option<MessageDescriptor>),
    /// The same messages written as JSON.
    Json(u8, fn(u8) -> Option<MessageDescriptor>),
}

/// Longest input that mutations make, in bytes.
pub const INPUT_BYTES_MAX: usize = 1 << 16;

/// Most pieces that mutations make.
const PIECES_MAX: usize = 24;

/// Another input, from one that is interesting; `other` is a second one to cross it with.
pub fn mutate(form: Form, input: &[u8], other: &[u8], random: &mut SplitMix64) -> Vec<u8> {
    let mut made = match form {
        Form::Bytes(words) => bytes(input, other, words, random),
        Form::Text => {
            let (first, rest) = input.split_first().unwrap_or((&0, &[]));
            let first = if random.below(16) == 0 { low_byte(random) } else { *first };
            let changed = match std::str::from_utf8(rest) {
                Ok(rest) if random.below(8) > 0 => text(rest, random).into_bytes(),
                _ => bytes(rest, other.get(1..).unwrap_or_default(), &[], random),
            };
            [vec![first], changed].concat()
        }
        Form::Messages(tags, of) => {
            let mut all = pieces::read(input);
            for _ in 0..=random.below(3) {
                change(&mut all, &pieces::read(other), tags, random, &|tag, bytes, random| match of(tag) {
                    Some(descriptor) => message(&descriptor, bytes, random),
                    None => self::bytes(bytes, &[], &[], random),
                });
            }
            pieces::write(&all)
        }
        Form::Json(tags, of) => {
            let mut all = pieces::read(input);
            for _ in 0..=random.below(3) {
                change(&mut all, &pieces::read(other), tags, random, &|tag, old, random| match of(tag) {
                    Some(descriptor) if old.is_empty() || random.below(3) == 0 => json(&descriptor, random),
                    _ => match std::str::from_utf8(old) {
                        Ok(old) => text(old, random).into_bytes(),
                        Err(_) => bytes(old, &[], &[], random),
                    },
                });
            }
            pieces::write(&all)
        }
    };
    made.truncate(INPUT_BYTES_MAX);
    made
}

/// A new message for an empty piece, else the old one with a field or a byte changed.
fn message(descriptor: &MessageDescriptor, old: &[u8], random: &mut SplitMix64) -> Vec<u8> {
    if old.is_empty() && random.below(8) > 0 {
        return shape::message(descriptor, random, 0).encode_to_vec();
    }
    match DynamicMessage::decode(descriptor.clone(), old) {
        Ok(mut message) if random.below(6) > 0 => {
            shape::change(&mut message, random, 0);
            message.encode_to_vec()
        }
        _ => bytes(old, &[], &[], random),
    }
}

fn json(descriptor: &MessageDescriptor, random: &mut SplitMix64) -> Vec<u8> {
    serde_json::to_vec(&shape::message(descriptor, random, 0)).unwrap_or_default()
}

type Change<'a> = &'a dyn Fn(u8, &[u8], &mut SplitMix64) -> Vec<u8>;

/// One change to a sequence of pieces.
fn change(all: &mut Vec<Piece>, other: &[Piece], tags: u8, random: &mut SplitMix64, anew: Change<'_>) {
    let tag = u8::try_from(random.below(u64::from(tags))).unwrap_or(0);
    let place = random.index(all.len());
    match random.below(10) {
        0..=2 if all.len() < PIECES_MAX => {
            let bytes = anew(tag, &[], random);
            all.insert(random.index(all.len() + 1), Piece { tag, bytes });
        }
        3 if all.len() > 1 => drop(all.remove(place)),
        4 if !all.is_empty() && all.len() < PIECES_MAX => {
            let again = all[place].clone();
            all.insert(random.index(all.len() + 1), again);
        }
        5 if all.len() > 1 => {
            let second = random.index(all.len());
            all.swap(place, second);
        }
        6 if !other.is_empty() && all.len() < PIECES_MAX => all.push(other[random.index(other.len())].clone()),
        _ => match all.get_mut(place) {
            Some(piece) => piece.bytes = anew(piece.tag, &piece.bytes, random),
            None => {
                let bytes = anew(tag, &[], random);
                all.push(Piece { tag, bytes });
            }
        },
    }
}

fn low_byte(random: &mut SplitMix64) -> u8 {
    random.bits().to_le_bytes()[0]
}

/// One to four changes of bytes.
pub fn bytes(input: &[u8], other: &[u8], words: &[&[u8]], random: &mut SplitMix64) -> Vec<u8> {
    const EDGES: [&[u8]; 8] =
        [&[0], &[0xFF], &[0x7F], &[0x80], &[0xFF; 4], &[0xFF; 8], &[0, 0, 0, 0x80], &[0, 0, 0, 0, 0, 0, 0, 0x80]];
    let mut made = input.to_vec();
    for _ in 0..=random.below(4) {
        let place = random.index(made.len() + 1);
        let span = random.index(made.len().saturating_sub(place).min(64) + 1);
        match random.below(9) {
            0 | 1 if place < made.len() => made[place] ^= 1 << random.below(8),
            2 if place < made.len() => made[place] = low_byte(random),
            3 => drop(made.drain(place..place + span)),
            4 => {
                let copied = made[place..place + span].to_vec();
                let to = random.index(made.len() + 1);
                made.splice(to..to, copied);
            }
            5 => made.truncate(place),
            6 if !other.is_empty() => {
                let from = random.index(other.len());
                let end = (from + 1 + random.index(64)).min(other.len());
                made.splice(place..place, other[from..end].iter().copied());
            }
            7 if !words.is_empty() => {
                let word = words[random.index(words.len())];
                made.splice(place..place, word.iter().copied());
            }
            _ => {
                let edge = EDGES[random.index(EDGES.len())];
                let end = (place + edge.len()).min(made.len());
                made.splice(place..end, edge.iter().copied());
            }
        }
    }
    made
}

/// One to four changes of a text: its words, numbers and quoted parts.
pub fn text(input: &str, random: &mut SplitMix64) -> String {
    let mut made: Vec<char> = input.chars().collect();
    for _ in 0..=random.below(4) {
        let place = random.index(made.len() + 1);
        let word_end =
            made[place..].iter().position(|letter| !letter.is_alphanumeric()).map_or(made.len(), |at| place + at);
        let word = || words::TOKENS;
        match random.below(8) {
            0 => drop(made.drain(place..word_end)),
            1 | 2 => {
                let token = word()[random.index(word().len())];
                made.splice(place..place, token.chars());
            }
            3 => {
                let token = word()[random.index(word().len())];
                made.splice(place..word_end, token.chars());
            }
            4 => {
                let number = words::number(random).to_string();
                let from = made[place..].iter().position(char::is_ascii_digit).map_or(place, |at| place + at);
                let end =
                    made[from..].iter().position(|letter| !letter.is_ascii_digit()).map_or(made.len(), |at| from + at);
                made.splice(from..end, number.chars());
            }
            5 => {
                // A line again, or a line less.
                let start = made[..place].iter().rposition(|letter| *letter == '\n').map_or(0, |at| at + 1);
                let end =
                    made[place..].iter().position(|letter| *letter == '\n').map_or(made.len(), |at| place + at + 1);
                if random.below(2) == 0 {
                    let line = made[start..end].to_vec();
                    made.splice(start..start, line);
                } else {
                    made.drain(start..end);
                }
            }
            6 => made.truncate(place),
            _ => {
                let odd = words::text("any", random);
                made.splice(place..place, odd.chars());
            }
        }
    }
    made.into_iter().collect()
}

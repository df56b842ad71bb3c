//! Random messages by their descriptors, and random changes to a message: every field of every message, also those of tomorrow.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage as _, Value};
use quartermaster_loadtest::random::SplitMix64;

use crate::words;

/// Messages within messages are left out below this depth.
const DEPTH_MAX: u8 = 5;

/// A message with most of its fields set.
pub fn message(descriptor: &MessageDescriptor, random: &mut SplitMix64, depth: u8) -> DynamicMessage {
    let mut made = DynamicMessage::new(descriptor.clone());
    if let Some(time) = well_known(descriptor, random) {
        return time;
    }
    let fields: Vec<FieldDescriptor> = descriptor.fields().collect();
    for field in fields.iter().filter(|field| field.containing_oneof().is_none()) {
        if random.below(3) > 0 {
            set(&mut made, field, random, depth);
        }
    }
    for oneof in descriptor.oneofs() {
        let choices: Vec<FieldDescriptor> = oneof.fields().collect();
        if random.below(8) > 0
            && let Some(field) = choices.get(random.index(choices.len()))
        {
            set(&mut made, field, random, depth);
        }
    }
    made
}

/// Changes one field, at any depth.
pub fn change(message: &mut DynamicMessage, random: &mut SplitMix64, depth: u8) {
    let fields: Vec<FieldDescriptor> = message.descriptor().fields().collect();
    let Some(field) = fields.get(random.index(fields.len())) else { return };
    // Of set fields more often than of all: they are few in a large choice.
    let present: Vec<&FieldDescriptor> = fields.iter().filter(|field| message.has_field(field)).collect();
    let field = if random.below(4) > 0 && !present.is_empty() { present[random.index(present.len())] } else { field };
    if random.below(10) == 0 {
        message.clear_field(field);
        return;
    }
    if message.has_field(field) && depth < DEPTH_MAX {
        match message.get_field_mut(field) {
            Value::Message(inner) if random.below(8) > 0 => return change(inner, random, depth + 1),
            Value::List(list) if !list.is_empty() && random.below(8) > 0 => {
                return change_list(list, field, random, depth);
            }
            _ => {}
        }
    }
    set(message, field, random, depth);
}

fn change_list(list: &mut Vec<Value>, field: &FieldDescriptor, random: &mut SplitMix64, depth: u8) {
    let place = random.index(list.len());
    match random.below(6) {
        0 => drop(list.remove(place)),
        1 => list.push(list[place].clone()),
        2 => list.push(value(field, random, depth)),
        _ => match &mut list[place] {
            Value::Message(inner) => change(inner, random, depth + 1),
            other => *other = value(field, random, depth),
        },
    }
}

fn set(message: &mut DynamicMessage, field: &FieldDescriptor, random: &mut SplitMix64, depth: u8) {
    if depth >= DEPTH_MAX && matches!(field.kind(), Kind::Message(_)) {
        return;
    }
    let made = if field.is_map() {
        // One entry at most: the order of more is not the seed's.
        let key = MapKey::String(words::text("key", random));
        Value::Map([(key, Value::String(words::text("value", random)))].into())
    } else if field.is_list() {
        let length = [0, 1, 1, 1, 2, 2, 3, 5][random.index(8)];
        Value::List((0..length).map(|_| value(field, random, depth)).collect())
    } else {
        value(field, random, depth)
    };
    // A value of another type is impossible here; a fuzzer of messages would only lose a field by it.
    _ = message.try_set_field(field, made);
}

fn value(field: &FieldDescriptor, random: &mut SplitMix64, depth: u8) -> Value {
    let number = words::number(random);
    let low = u32::from_le_bytes(first_four(number));
    match field.kind() {
        Kind::Double => Value::F64(fraction(random)),
        Kind::Float => Value::F32(1.5),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(i32::from_le_bytes(first_four(number))),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(number),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(low),
        Kind::Uint64 => Value::U64(u64::from_le_bytes(number.to_le_bytes())),
        Kind::Fixed64 => Value::U64(match random.below(4) {
            // Ids of reservations: a sequence above the byte of a shard.
            0 | 1 => random.below(12) << 8 | random.below(6),
            2 => 1_700_000_000_000_000 + random.below(1 << 50),
            _ => u64::from_le_bytes(number.to_le_bytes()),
        }),
        Kind::Bool => Value::Bool(random.below(2) == 0),
        Kind::String => Value::String(words::text(field.name(), random)),
        Kind::Bytes => {
            let length = random.below(5);
            Value::Bytes((0..length).map(|_| random.bits().to_le_bytes()[0] & 7).collect::<Vec<u8>>().into())
        }
        Kind::Enum(kind) => {
            let known: Vec<i32> = kind.values().map(|value| value.number()).collect();
            let unknown = random.below(24) == 0;
            Value::EnumNumber(if unknown {
                i32::from_le_bytes(first_four(number))
            } else {
                known[random.index(known.len())]
            })
        }
        Kind::Message(inner) => Value::Message(message(&inner, random, depth + 1)),
    }
}

fn first_four(number: i64) -> [u8; 4] {
    let [a, b, c, d, ..] = number.to_le_bytes();
    [a, b, c, d]
}

fn fraction(random: &mut SplitMix64) -> f64 {
    const FRACTIONS: [f64; 14] = [
        0.0,
        -0.0,
        31.2,
        121.5,
        90.0,
        -90.0,
        90.000_000_1,
        180.0,
        -180.0,
        1e300,
        f64::NAN,
        f64::INFINITY,
        -1e-320,
        45.5,
    ];
    FRACTIONS[random.index(FRACTIONS.len())]
}

/// Times and spans: mostly near now, seldom where arithmetic ends.
fn well_known(descriptor: &MessageDescriptor, random: &mut SplitMix64) -> Option<DynamicMessage> {
    const DAY: i64 = 86_400;
    let spread = |random: &mut SplitMix64, days: i64| {
        let span = u64::try_from(2 * days * DAY).unwrap_or(1);
        i64::try_from(random.below(span)).unwrap_or(0) - days * DAY
    };
    let seconds = match descriptor.full_name() {
        "google.protobuf.Timestamp" => match random.below(8) {
            0 => words::number(random),
            1 => 253_402_300_799,
            2 => -62_135_596_800,
            _ => 1_800_000_000 + spread(random, 3_000),
        },
        "google.protobuf.Duration" => match random.below(8) {
            0 => words::number(random),
            1 => 315_576_000_000,
            _ => spread(random, 2).abs(),
        },
        _ => return None,
    };
    let mut made = DynamicMessage::new(descriptor.clone());
    let nanos = if random.below(8) == 0 { words::number(random) } else { 0 };
    made.set_field_by_name("seconds", Value::I64(seconds));
    made.set_field_by_name("nanos", Value::I32(i32::from_le_bytes(first_four(nanos))));
    Some(made)
}

//! Records of the journal and sections of snapshots whose checksums are right: what a newer version, a bug or another history left.

use std::sync::{Arc, LazyLock};

use quartermaster_engine::{
    EngineConfig, codec,
    history::{History, Rules},
    recovery::Recovery,
};
use quartermaster_journal::{Lsn, MemoryJournal};

use super::node;
use crate::{
    Target,
    mutate::Form,
    pieces::{self, Piece},
};

/// Pieces are records that follow the first records of the world: the tag of the first piece says how many.
pub(super) const RECORDS: Target = Target {
    name: "records",
    story: "codec::decode and peek, Recovery and History over any records after those of a real history",
    run: records,
    form: Form::Messages(32, |_| Some(super::journal_message("Record"))),
    seeds: || {
        let world = &*WORLD;
        let piece = |(place, bytes): (usize, &Vec<u8>)| Piece { tag: tag_of(place), bytes: bytes.clone() };
        let all: Vec<Piece> = world.iter().enumerate().map(piece).collect();
        all.windows(3).map(pieces::write).chain([pieces::write(&all[..24.min(all.len())])]).collect()
    },
    together: 1,
};

/// Pieces are sections that take the place of those of the world.
pub(super) const SECTIONS: Target = Target {
    name: "sections",
    story: "Recovery::load and History::load of any sections among those of a real snapshot",
    run: sections,
    form: Form::Messages(6, |tag| Some(super::journal_message(super::world::section_name(tag.into())?))),
    seeds: || {
        let piece = |(kind, _, bytes): &Loaded| Piece { tag: u8::try_from(*kind).unwrap_or(0), bytes: bytes.clone() };
        let all: Vec<Piece> = SNAPSHOT.iter().filter(|(_, _, bytes)| bytes.len() > 8).map(piece).collect();
        let one = |piece: &Piece| pieces::write(std::slice::from_ref(piece));
        all.iter().map(one).chain([pieces::write(&all[..all.len().min(24)])]).collect()
    },
    together: 1,
};

type Loaded = (u16, u32, Vec<u8>);

/// The records of a node that holds the world.
static WORLD: LazyLock<Vec<Vec<u8>>> = LazyLock::new(node::records_of_the_world);

/// Its sections, in the order of a snapshot.
static SNAPSHOT: LazyLock<Vec<Loaded>> = LazyLock::new(|| {
    let mut recovery = Recovery::new(EngineConfig::default());
    for (lsn, record) in (1..).zip(&*WORLD) {
        recovery.replay(Lsn::new(lsn), record).expect("the engine's own records replay");
    }
    let engine = recovery.finish(Arc::new(MemoryJournal::new()));
    let sections = node::sections_of(&engine);
    let mut sections: Vec<Loaded> = sections.into_iter().map(|((kind, unit), bytes)| (kind, unit, bytes)).collect();
    sections.sort_unstable();
    sections
});

fn tag_of(place: usize) -> u8 {
    u8::try_from(place).unwrap_or(u8::MAX)
}

fn records(input: &[u8]) {
    let pieces = pieces::read(input);
    for Piece { bytes, .. } in &pieces {
        decoded(bytes);
    }
    let before = pieces.first().map_or(0, |piece| usize::from(piece.tag));
    let first = WORLD.iter().take(before);
    let mut recovery = Recovery::new(EngineConfig::default());
    let mut history = History::new(Rules::default());
    let mut accepted = true;
    for (lsn, record) in (1..).zip(first.chain(pieces.iter().map(|piece| &piece.bytes))) {
        history.fold(Lsn::new(lsn), record);
        accepted = accepted && recovery.replay(Lsn::new(lsn), record).is_ok();
    }
    history.balance();
    _ = history.summary();
    if accepted {
        let engine = recovery.finish(Arc::new(MemoryJournal::new()));
        history.compare(&engine);
        // What no engine wrote may be wrong; it must be said, and a snapshot of it must come back as it is.
        let sections = node::sections_of(&engine);
        let again = Recovery::new(EngineConfig::default());
        let mut ordered: Vec<_> = sections.iter().collect();
        ordered.sort_unstable();
        let loads =
            ordered.into_iter().try_for_each(|((kind, unit), bytes)| again.load(*kind, *unit, Lsn::ZERO, bytes));
        if loads.is_ok() {
            node::same_sections(&sections, &node::sections_of(&again.finish(Arc::new(MemoryJournal::new()))), "loaded");
        }
    }
}

/// What decodes is written back to what decodes to the same, and the head is the same read by itself.
fn decoded(bytes: &[u8]) {
    _ = codec::peek(bytes);
    let Ok(record) = codec::decode(bytes) else { return };
    let mut written = Vec::new();
    codec::encode(&record, &mut written);
    let again = codec::decode(&written).expect("what was written is read");
    assert_eq!(again, record, "a record survives being written");
    let mut twice = Vec::new();
    codec::encode(&again, &mut twice);
    assert_eq!(twice, written, "a record is written one way");
    let head = codec::peek(&written);
    assert_eq!(
        (head.time, head.request_id, head.fingerprint, head.actor),
        (record.time, record.request_id.as_str(), record.fingerprint, record.actor.as_str())
    );
}

fn sections(input: &[u8]) {
    let pieces = pieces::read(input);
    let recovery = Recovery::new(EngineConfig::default());
    let mut history = History::new(Rules::default());
    let mut loaded = true;
    let mut put = |kind: u16, unit: u32, bytes: &[u8]| {
        history.load(kind, unit, Lsn::new(40), bytes);
        loaded = loaded && recovery.load(kind, unit, Lsn::new(40), bytes).is_ok();
    };
    let replaced = |known: u16| pieces.iter().filter(move |piece| u16::from(piece.tag) == known);
    for known in 0..8_u16 {
        let mut others = replaced(known);
        for (kind, unit, bytes) in SNAPSHOT.iter().filter(|(kind, ..)| *kind == known) {
            // A piece stands for the first section of its kind that is not empty.
            let bytes = if bytes.len() > 8 { others.next().map_or(bytes, |piece| &piece.bytes) } else { bytes };
            put(*kind, *unit, bytes);
        }
        others.for_each(|piece| put(known, 0, &piece.bytes));
    }
    history.begin_at(Lsn::new(41));
    history.balance();
    if loaded {
        let engine = recovery.finish(Arc::new(MemoryJournal::new()));
        _ = engine.audit();
        _ = engine.audit_bookings();
        history.compare(&engine);
    }
}

//! What goes wrong with the disk: calls that fail, space that runs out, bits that rot in files nobody writes to any more.

use std::io::ErrorKind;

use quartermaster_journal::{
    SimStorage, SnapshotStore, Storage as _,
    storage::{Fault, SimOperation},
};

use crate::workload::Dice;

const OPERATIONS: [(SimOperation, &str); 7] = [
    (SimOperation::Open, "fault on open"),
    (SimOperation::Write, "fault on write"),
    (SimOperation::Sync, "fault on sync"),
    (SimOperation::Rename, "fault on rename"),
    (SimOperation::Remove, "fault on remove"),
    (SimOperation::SyncDirectory, "fault on directory sync"),
    (SimOperation::Read, "fault on read"),
];

/// Has one of the next calls of some kind fail; says which.
pub(crate) fn inject(storage: &SimStorage, dice: &mut Dice) -> &'static str {
    let (operation, name) = dice.pick(&OPERATIONS);
    let full = operation != SimOperation::Read && dice.one_in(3);
    let kind = if full { ErrorKind::StorageFull } else { ErrorKind::Other };
    storage.inject(Fault { operation, after: dice.number() % 8, kind });
    name
}

/// Has one of the next reads fail, as a sector that cannot be read any more.
pub(crate) fn inject_read(storage: &SimStorage, dice: &mut Dice) {
    // A start reads headers and tail in a dozen calls; with snapshots, hundreds of sections.
    let after = dice.number() % [12, 600][dice.below(2)];
    storage.inject(Fault { operation: SimOperation::Read, after, kind: ErrorKind::Other });
}

/// A bit that was turned over in a file.
pub(crate) struct Rot {
    pub(crate) file: String,
    /// The file as it was.
    whole: Vec<u8>,
    pub(crate) is_snapshot: bool,
}

impl Rot {
    /// Turns a bit over in a snapshot or in a segment that nobody writes to any more. Nothing happens where one more damage would leave
    /// nothing to start from: with a single whole snapshot and a log that needs it.
    pub(crate) fn plant(storage: &SimStorage, dice: &mut Dice) -> Option<Self> {
        let mut names = storage.list().ok()?;
        names.sort_unstable();
        let store = SnapshotStore::new(storage.clone());
        let is_whole = |name: &&String| store.open(name).and_then(|one| one.verify()).is_ok();
        let snapshots: Vec<String> =
            names.iter().filter(|name| name.ends_with(".snap")).filter(is_whole).cloned().collect();
        let segments: Vec<String> = names.iter().filter(|name| name.starts_with("wal-")).cloned().collect();
        let is_snapshot = dice.one_in(2);
        let file = if is_snapshot {
            (snapshots.len() >= 2).then(|| dice.pick(&snapshots))?
        } else {
            // The newest may end in a torn batch, and the one before it did when the newest has no header yet.
            let cold = segments.len().checked_sub(2).filter(|count| *count > 0)?;
            dice.pick(&segments[..cold])
        };
        let whole = storage.content(&file)?;
        let mut rotten = whole.clone();
        let place = dice.below(rotten.len().max(1));
        *rotten.get_mut(place)? ^= 1 << dice.below(8);
        storage.plant(&file, &rotten);
        Some(Self { file, whole, is_snapshot })
    }

    /// Puts the file back as it was.
    pub(crate) fn heal(&self, storage: &SimStorage) {
        storage.plant(&self.file, &self.whole);
    }
}

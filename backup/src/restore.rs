//! From a target back to a data directory, at an exact point of the log.

use std::sync::Arc;

use quartermaster_engine::{
    EngineConfig, fingerprint::Fingerprinter, recovery::Recovery, snapshot::kind, time::Timestamp,
};
use quartermaster_journal::{
    Epoch, Lsn, MemoryJournal, SegmentInfo, SnapshotStore, Storage, StorageFile as _, UNFINISHED_RESTORE, cut_piece,
    open_read_only, piece_header,
};

use crate::archive::{Shelf, needed, read_piece, time_of};
use crate::error::{Error, Range, WrongPoint};
use crate::history;
use crate::manifest::{Manifest, ManifestSnapshot};
use crate::names::{PieceName, get};
use crate::target::Target;
use crate::times;

/// Names in an empty directory that are nobody's data.
const HARMLESS: [&str; 2] = ["lost+found", "LOCK"];

/// Where to restore to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// As far as the target reaches.
    Newest,
    /// With this record as the last one.
    Lsn(u64),
    /// With the last record at or before this time, in microseconds since the Unix epoch.
    Time(u64),
}

/// What a target holds.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Identity of the history.
    pub history: String,
    /// Its shard.
    pub shard: u32,
    /// Its backups, oldest first.
    pub backups: Vec<Manifest>,
    /// Points that can be restored, oldest first, with the times of both ends in microseconds since the Unix epoch.
    pub possible: Vec<(Range, u64, u64)>,
    /// Pieces of the log.
    pub pieces: usize,
    shelf: Shelf,
}

/// A directory that was restored.
#[derive(Clone, Debug)]
pub struct Restored {
    /// Its last record.
    pub lsn: u64,
    /// When that was decided, in microseconds since the Unix epoch.
    pub time_us: u64,
    /// Name of the backup it began from.
    pub backup: String,
    /// Files written.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Records replayed in the proof that it leads to a state.
    pub records: u64,
    /// Hash of that state.
    pub state_hash: u64,
    /// The epoch that was left behind: the next server takes a higher one.
    pub epoch: u64,
}

/// What is at `target`.
///
/// # Errors
/// When it holds no backup, a manifest is damaged or newer, or it does not answer.
pub fn list(target: &dyn Target) -> Result<Listing, Error> {
    let none = || Error::NoBackup { target: target.describe() };
    let (history, shard) = history::of_target(target)?.ok_or_else(none)?;
    let objects = Manifest::objects(target)?;
    let mut backups = objects.iter().map(|name| Manifest::read(target, name)).collect::<Result<Vec<_>, Error>>()?;
    backups.sort_by_key(|manifest| manifest.last_lsn);
    if backups.is_empty() {
        return Err(none());
    }
    let shelf = Shelf::read(target)?;
    let mut possible: Vec<(Range, u64, u64)> = Vec::new();
    for run in shelf.runs() {
        let to = run[run.len() - 1].end.lsn.get();
        let usable = |manifest: &&Manifest| {
            (run[0].first_lsn.get()..=to).contains(&manifest.last_lsn) && needed(run, manifest.needed_from()).is_some()
        };
        let Some(first) = backups.iter().filter(usable).min_by_key(|manifest| manifest.first_lsn) else { continue };
        let range = Range { from: first.first_lsn, to };
        possible.push((range, first.first_time_us, time_of(target, run, to, shard)?));
    }
    let pieces = shelf.pieces.len();
    Ok(Listing { history: history.to_string(), shard, backups, possible, pieces, shelf })
}

/// When the newest backup at `target` ended, in microseconds since the Unix epoch; none when there is none.
///
/// # Errors
/// When the target does not answer, or that manifest is damaged or newer.
pub fn newest_backup_us(target: &dyn Target) -> Result<Option<u64>, Error> {
    // Names begin with the time.
    let newest = Manifest::objects(target)?.pop();
    newest.map(|name| Manifest::read(target, &name).map(|manifest| manifest.ended_us)).transpose()
}

impl Listing {
    fn wrong(&self, asked: String) -> Error {
        WrongPoint { asked, possible: self.possible.clone() }.into()
    }

    /// The record to end with.
    fn resolve(&self, target: &dyn Target, point: Point) -> Result<u64, Error> {
        let newest = self.possible.last().ok_or_else(|| self.wrong("the newest point".to_owned()))?;
        let (lsn, asked) = match point {
            Point::Newest => (newest.0.to, String::new()),
            Point::Lsn(lsn) => (lsn, format!("LSN {lsn}")),
            Point::Time(time) => {
                let asked = times::utc(time);
                if time > newest.2 {
                    return Err(self.wrong(asked));
                }
                (self.at_time(target, time)?.ok_or_else(|| self.wrong(asked.clone()))?, asked)
            }
        };
        let possible = self.possible.iter().any(|(range, _, _)| (range.from..=range.to).contains(&lsn));
        if possible { Ok(lsn) } else { Err(self.wrong(asked)) }
    }

    /// The last record at or before `time`; nothing when it lies before everything or in a hole.
    fn at_time(&self, target: &dyn Target, time: u64) -> Result<Option<u64>, Error> {
        let pieces = &self.shelf.pieces;
        let (mut low, mut high) = (0, pieces.len());
        // The first piece that begins after `time`: events are in the order of time but for those decided in the same instant.
        while low < high {
            let middle = low + (high - low) / 2;
            if self.first_time(target, middle)? <= time { low = middle + 1 } else { high = middle }
        }
        let Some(place) = low.checked_sub(1) else { return Ok(None) };
        let mut found = None;
        self.read(target, place, &mut |lsn, record| {
            if times::of_record(record) <= time {
                found = Some(lsn.get());
            }
        })?;
        let ends_here = found == Some(pieces[place].end.lsn.get());
        let hole = pieces.get(place + 1).is_some_and(|next| !pieces[place].is_followed_by(next));
        Ok(found.filter(|_| !(ends_here && hole)))
    }

    fn first_time(&self, target: &dyn Target, place: usize) -> Result<u64, Error> {
        let mut first = None;
        self.read(target, place, &mut |_, record| {
            first.get_or_insert_with(|| times::of_record(record));
        })?;
        Ok(first.unwrap_or(0))
    }

    fn read(&self, target: &dyn Target, place: usize, visit: &mut dyn FnMut(Lsn, &[u8])) -> Result<(), Error> {
        let pieces = &self.shelf.pieces;
        let before = place.checked_sub(1).map(|before| &pieces[before]);
        read_piece(target, &pieces[place], before, self.shard, visit).map(|_| ())
    }
}

/// Restores into the directory of `storage`, which must be empty, and proves what it wrote. Until that is done the directory holds a
/// mark that keeps every server from opening it.
///
/// # Errors
/// When the directory is not empty, the point cannot be had, anything at the target is damaged, or the directory cannot be written.
pub fn restore<S: Storage>(target: &dyn Target, storage: &S, point: Point) -> Result<Restored, Error> {
    check_empty(storage)?;
    let listing = list(target)?;
    let lsn = listing.resolve(target, point)?;
    let run = listing.shelf.run_with(lsn).ok_or_else(|| listing.wrong(format!("LSN {lsn}")))?;
    let usable = |manifest: &&Manifest| manifest.first_lsn <= lsn && needed(run, manifest.needed_from()).is_some();
    let manifest = listing.backups.iter().filter(usable).max_by_key(|manifest| manifest.first_lsn);
    let manifest = manifest.ok_or_else(|| listing.wrong(format!("LSN {lsn}")))?;
    let pieces = needed(run, manifest.needed_from()).expect("Invariant: asked a line above");

    let mut writing = Writing::begin(storage)?;
    if let Some(snapshot) = &manifest.snapshot {
        writing.snapshot(target, manifest, snapshot)?;
    }
    writing.log(target, pieces, lsn, &listing)?;
    let (records, state_hash) = writing.prove(lsn)?;
    writing.finish()?;
    Ok(Restored {
        lsn,
        time_us: writing.time_us,
        backup: manifest.name.clone(),
        files: writing.files,
        bytes: writing.bytes,
        records,
        state_hash,
        epoch: writing.epoch.get(),
    })
}

fn check_empty<S: Storage>(storage: &S) -> Result<(), Error> {
    let directory = storage.path_of("").display().to_string();
    let names = storage.list().map_err(|source| Error::File { file: directory.clone(), source })?;
    if names.iter().any(|name| name == UNFINISHED_RESTORE) {
        return Err(Error::Unfinished { directory });
    }
    match names.into_iter().filter(|name| !HARMLESS.contains(&name.as_str())).min() {
        None => Ok(()),
        Some(first) => Err(Error::DirectoryInUse { directory, first }),
    }
}

/// A directory that is being filled.
struct Writing<'a, S: Storage> {
    storage: &'a S,
    _claim: S::Lock,
    files: u64,
    bytes: u64,
    epoch: Epoch,
    time_us: u64,
}

impl<'a, S: Storage> Writing<'a, S> {
    /// Claims the directory and marks it.
    fn begin(storage: &'a S) -> Result<Writing<'a, S>, Error> {
        let directory = storage.path_of("").display().to_string();
        let claim = storage.lock().map_err(|error| match error {
            quartermaster_journal::storage::LockError::Held { .. } => Error::DirectoryInUse {
                directory: directory.clone(),
                first: "LOCK, held by a running process".to_owned(),
            },
            quartermaster_journal::storage::LockError::Io(source) => Error::File { file: directory.clone(), source },
        })?;
        let writing = Writing { storage, _claim: claim, files: 0, bytes: 0, epoch: Epoch::ZERO, time_us: 0 };
        let mark = || {
            let file = storage.create(UNFINISHED_RESTORE)?;
            file.write_at(b"A restore into this directory has not ended. Empty it and restore again.\n", 0)?;
            file.sync_data()?;
            storage.sync_directory()
        };
        mark().map_err(|source| writing.fault(UNFINISHED_RESTORE, source))?;
        Ok(writing)
    }

    fn fault(&self, name: &str, source: std::io::Error) -> Error {
        Error::File { file: self.storage.path_of(name).display().to_string(), source }
    }

    fn put(&mut self, file: &S::File, name: &str, bytes: &[u8], offset: u64) -> Result<u64, Error> {
        file.write_at(bytes, offset).map_err(|source| self.fault(name, source))?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.bytes += length;
        Ok(offset + length)
    }

    fn create(&mut self, name: &str) -> Result<S::File, Error> {
        self.files += 1;
        self.storage.create(name).map_err(|source| self.fault(name, source))
    }

    fn sync(&self, file: &S::File, name: &str) -> Result<(), Error> {
        file.sync_data().map_err(|source| self.fault(name, source))
    }

    fn snapshot(&mut self, target: &dyn Target, manifest: &Manifest, snapshot: &ManifestSnapshot) -> Result<(), Error> {
        let file = self.create(&snapshot.file)?;
        let mut offset = 0;
        for part in manifest.files.iter().filter(|file| file.name.starts_with(crate::names::SNAPSHOTS)) {
            let bytes = get(target, &part.name)?;
            offset = self.put(&file, &snapshot.file, &bytes, offset)?;
        }
        self.sync(&file, &snapshot.file)
    }

    /// The pieces up to `last`, put together to segments, and an empty segment under a new epoch behind them.
    fn log(&mut self, target: &dyn Target, pieces: &[PieceName], last: u64, listing: &Listing) -> Result<(), Error> {
        let last = Lsn::new(last);
        let mut before: Option<&PieceName> = None;
        let mut open: Option<(String, S::File)> = None;
        let mut position = None;
        for piece in pieces.iter().take_while(|piece| piece.first_lsn <= last) {
            let mut time_us = self.time_us;
            let (bytes, start) = read_piece(target, piece, before, listing.shard, &mut |lsn, record| {
                if lsn <= last {
                    time_us = times::of_record(record);
                }
            })?;
            self.time_us = time_us;
            let (bytes, end) = cut_piece(&bytes, &start, last);
            if piece.offset == 0 {
                if let Some((name, file)) = open.take() {
                    self.sync(&file, &name)?;
                }
                let info = piece_header(&bytes, piece.segment).expect("Invariant: the piece was found whole");
                let name = info.file_name();
                let file = self.create(&name)?;
                open = Some((name, file));
            }
            let (name, file) = open.as_ref().expect("Invariant: the first piece begins a segment");
            self.put(file, name, &bytes, piece.offset)?;
            position = Some(end);
            before = Some(piece);
        }
        if let Some((name, file)) = &open {
            self.sync(file, name)?;
        }
        let position = position.expect("Invariant: the point lies within the pieces");
        self.epoch = newest_epoch(target, listing)?.next();
        let info = SegmentInfo::after(position, listing.shard, self.epoch);
        let file = self.create(&info.file_name())?;
        self.put(&file, &info.file_name(), &info.header(), 0)?;
        self.sync(&file, &info.file_name())?;
        self.storage.sync_directory().map_err(|source| self.fault("", source))
    }

    /// Brings the state back from what was written; tells how many records that took, and the state's hash.
    fn prove(&self, last: u64) -> Result<(u64, u64), Error> {
        let not_whole = |problem: &dyn std::fmt::Display| Error::NotWhole { problem: problem.to_string() };
        let mut recovery = Recovery::new(EngineConfig::default());
        let newest = SnapshotStore::new(self.storage.clone()).newest_whole()?;
        if let Some(skipped) = newest.skipped.first() {
            return Err(not_whole(&skipped.error));
        }
        let mut from = Lsn::new(1);
        if let Some(snapshot) = &newest.snapshot {
            from = snapshot.end().needed_from;
            let mut payload = Vec::new();
            for section in snapshot.sections() {
                snapshot.read(section, &mut payload)?;
                let loaded = recovery.load(section.kind, section.unit, section.lsn, &payload);
                loaded.map_err(|error| not_whole(&error))?;
            }
        }
        let report = open_read_only(self.storage.clone(), from, &mut |lsn, _, record| {
            recovery.replay(lsn, record).map_err(Into::into)
        })?;
        if report.last_lsn.get() != last || report.torn_tail.is_some() {
            return Err(not_whole(&format_args!("it ends at LSN {} and not at {last}", report.last_lsn)));
        }
        let engine = recovery.finish(Arc::new(MemoryJournal::new()));
        let mut hash = Fingerprinter::default();
        let taken = engine.snapshot(Timestamp(0), |section| {
            if section.kind != kind::META {
                hash.number(u64::from(section.kind)).number(u64::from(section.unit)).bytes(&section.payload);
            }
            Ok::<(), std::convert::Infallible>(())
        });
        let Ok(_) = taken;
        Ok((report.records, hash.finish()))
    }

    /// Takes the mark away: from here on it is a data directory.
    fn finish(&self) -> Result<(), Error> {
        let removed = self.storage.remove(UNFINISHED_RESTORE).and_then(|()| self.storage.sync_directory());
        removed.map_err(|source| self.fault(UNFINISHED_RESTORE, source))
    }
}

/// The highest epoch anything at the target was written under.
fn newest_epoch(target: &dyn Target, listing: &Listing) -> Result<Epoch, Error> {
    let manifests = listing.backups.iter().map(|manifest| manifest.epoch).max().unwrap_or(0);
    let mut newest = manifests;
    if let Some(piece) = listing.shelf.pieces.iter().rfind(|piece| piece.offset == 0) {
        let bytes = get(target, &piece.name)?;
        newest = newest.max(piece_header(&bytes, piece.segment).map_or(0, |info| info.epoch.get()));
    }
    Ok(Epoch::new(newest))
}

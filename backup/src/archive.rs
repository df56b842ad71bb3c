//! The log at a target: which pieces are there, and sending those that follow.

use quartermaster_journal::{
    Error as JournalError, Follows, Journal as _, Lsn, PieceStart, SnapshotStore, Storage, walk_piece,
};

use crate::OBJECT_BYTES_MAX;
use crate::error::{Damage, Error};
use crate::history::{self, HistoryId};
use crate::live::Live;
use crate::names::{LOG, PieceName, get};
use crate::target::Target;
use crate::times;

/// The pieces at a target, in the order of the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shelf {
    pub(crate) pieces: Vec<PieceName>,
    /// Objects among them that are none.
    pub(crate) strange: Vec<String>,
}

impl Shelf {
    pub(crate) fn read(target: &dyn Target) -> Result<Shelf, Error> {
        let mut shelf = Shelf::default();
        for object in target.list(LOG)? {
            match PieceName::parse(&object) {
                Some(piece) => shelf.add(piece),
                None => shelf.strange.push(object.name),
            }
        }
        Ok(shelf)
    }

    /// A piece that begins where the last one does was sent again after no answer came, and reaches further.
    fn add(&mut self, piece: PieceName) {
        match self.pieces.last_mut() {
            Some(last) if last.segment == piece.segment && last.offset == piece.offset => *last = piece,
            _ => self.pieces.push(piece),
        }
    }

    /// The pieces without a gap between them, as slices, oldest first.
    pub(crate) fn runs(&self) -> Vec<&[PieceName]> {
        self.pieces.chunk_by(PieceName::is_followed_by).collect()
    }

    /// The run that holds `lsn`.
    pub(crate) fn run_with(&self, lsn: u64) -> Option<&[PieceName]> {
        self.runs()
            .into_iter()
            .find(|run| run[0].first_lsn.get() <= lsn && run.last().is_some_and(|last| lsn <= last.end.lsn.get()))
    }

    /// The last run.
    pub(crate) fn newest_run(&self) -> &[PieceName] {
        self.runs().pop().unwrap_or(&[])
    }
}

/// The pieces of `run` that a start from `needed_from` needs: from the beginning of the segment that holds it.
pub(crate) fn needed(run: &[PieceName], needed_from: u64) -> Option<&[PieceName]> {
    let begin = run.iter().rposition(|piece| piece.offset == 0 && piece.first_lsn.get() <= needed_from)?;
    Some(&run[begin..])
}

/// Reads a piece and checks it against its name; `before` is the piece it follows in its segment.
pub(crate) fn read_piece(
    target: &dyn Target,
    piece: &PieceName,
    before: Option<&PieceName>,
    shard: u32,
    visit: &mut dyn FnMut(Lsn, &[u8]),
) -> Result<(Vec<u8>, PieceStart), Error> {
    let bytes = get(target, &piece.name)?;
    let damaged = |problem| Error::Damaged { file: piece.name.clone(), problem };
    let start = match before.filter(|before| piece.offset > 0 && before.is_followed_by(piece)) {
        Some(before) => before.next(),
        None if piece.offset == 0 => quartermaster_journal::piece_header(&bytes, piece.segment)
            .map_err(|damage| damaged(Damage::Piece(quartermaster_journal::PieceFault { offset: 0, damage })))?
            .piece_start(),
        None => return Err(damaged(Damage::Unreadable { what: "a piece whose predecessor is there" })),
    };
    let walked = walk_piece(&bytes, &start, shard, &mut |batch| {
        batch.records().for_each(|(lsn, record)| visit(lsn, record));
    });
    let end = walked.map_err(|fault| damaged(Damage::Piece(fault)))?;
    if end != piece.end || start.position.lsn.next() != piece.first_lsn {
        return Err(damaged(Damage::Unreadable { what: "the piece its name tells of" }));
    }
    Ok((bytes, start))
}

/// When the record at `lsn` was decided, from the pieces of `run`.
pub(crate) fn time_of(target: &dyn Target, run: &[PieceName], lsn: u64, shard: u32) -> Result<u64, Error> {
    let place = run.iter().position(|piece| lsn <= piece.end.lsn.get()).unwrap_or(run.len() - 1);
    let before = place.checked_sub(1).map(|before| &run[before]);
    let mut time = 0;
    read_piece(target, &run[place], before, shard, &mut |at, record| {
        if at.get() <= lsn {
            time = times::of_record(record);
        }
    })?;
    Ok(time)
}

/// What a pass sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shipped {
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The newest record at the target.
    pub last_lsn: u64,
}

/// The log at a target, open to be continued.
#[derive(Debug)]
pub struct Archive {
    pub(crate) history: HistoryId,
    pub(crate) shard: u32,
    pub(crate) shelf: Shelf,
    next: PieceStart,
    /// Keep the log until it is sent, also between two passes.
    continuous: bool,
}

impl Archive {
    /// Finds out whether `target` may be continued from `live` and where, and makes it this history's when it is nobody's. `fresh`
    /// becomes the id of a data directory that has none. A `continuous` archive keeps the log from being trimmed until it is sent.
    ///
    /// # Errors
    /// When the target is another's, cannot be used, or reaches to where this log never was.
    pub fn open<S: Storage>(
        live: &Live<'_, S>,
        target: &dyn Target,
        fresh: HistoryId,
        continuous: bool,
    ) -> Result<Archive, Error> {
        // Looked at first: a target that is another's makes no directory ours.
        let owner = history::of_target(target)?;
        let history = history::of_directory(live.storage, fresh)?;
        let shard = live.log.config().shard;
        history::claim(target, history, shard)?;
        let shelf = if owner.is_some() { Shelf::read(target)? } else { Shelf::default() };
        let next = begin(live, target, &shelf)?;
        let archive = Archive { history, shard, shelf, next, continuous };
        archive.rest(live);
        Ok(archive)
    }

    /// Sends everything that is durable now.
    ///
    /// # Errors
    /// When the target or the data directory fails, the log was trimmed, or the caller cancels. What was sent stays.
    pub fn ship<S: Storage>(&mut self, live: &Live<'_, S>, target: &dyn Target) -> Result<Shipped, Error> {
        let synced = live.synced()?;
        let mut shipped = Shipped { last_lsn: self.next.position.lsn.get(), ..Shipped::default() };
        loop {
            live.pace.spend(0)?;
            let Some(piece) = live.log.piece(&self.next, OBJECT_BYTES_MAX, synced)? else { return Ok(shipped) };
            let name = PieceName::of(&piece);
            target.put_paced(&name.name, &piece.bytes, live.pace)?;
            shipped.objects += 1;
            shipped.bytes += name.bytes;
            shipped.last_lsn = piece.end.lsn.get();
            self.next = piece.next();
            self.shelf.add(name);
            if self.continuous {
                self.rest(live);
            }
        }
    }

    /// Where the target ends.
    pub(crate) fn end(&self) -> PieceStart {
        self.next
    }

    /// Holds on to what is to be sent next, or to nothing when nobody asked for an unbroken archive.
    pub(crate) fn rest<S: Storage>(&self, live: &Live<'_, S>) {
        live.pin.hold(self.continuous.then(|| self.next.position.lsn.next()));
    }
}

/// Where the next piece begins, while everything is held on to.
fn begin<S: Storage>(live: &Live<'_, S>, target: &dyn Target, shelf: &Shelf) -> Result<PieceStart, Error> {
    live.pin.hold(Some(Lsn::new(1)));
    if let Some(last) = shelf.pieces.last() {
        let end = last.next();
        match live.log.follows(&end)? {
            Follows::Yes => return Ok(end),
            Follows::No => {
                return Err(Error::Diverged { target: target.describe(), lsn: end.position.lsn.get() });
            }
            // A hole: what was trimmed meanwhile is lost to restores, and a new run begins.
            Follows::TrimmedBeyond => {}
        }
    }
    // The last record at the least, where it is still there: without any, no place in the log says where a restored one goes on.
    Ok(live.log.piece_start(needed_from(live)?.min(live.log.durable_lsn())))
}

/// The first record that the newest snapshot needs.
fn needed_from<S: Storage>(live: &Live<'_, S>) -> Result<Lsn, Error> {
    let store = SnapshotStore::new(live.storage.clone());
    for name in store.names()? {
        match store.open(&name) {
            Ok(snapshot) => return Ok(snapshot.end().needed_from),
            Err(JournalError::SnapshotDamaged { .. }) => {}
            Err(JournalError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Lsn::new(1))
}

//! Gives up old backups: manifests first, then what no manifest needs any more.

use crate::archive::Shelf;
use crate::error::Error;
use crate::manifest::Manifest;
use crate::names::{SNAPSHOTS, snapshot_folder};
use crate::target::Target;

/// What was given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Backups.
    pub backups: u64,
    /// Pieces and parts.
    pub objects: u64,
}

/// Keeps the `keep` newest backups, and the log from what the oldest of them needs; 0 keeps all. A crash on the way leaves objects that
/// nothing needs, which the next pass removes.
pub(crate) fn prune(target: &dyn Target, keep: usize) -> Result<Pruned, Error> {
    let mut pruned = Pruned::default();
    if keep == 0 {
        return Ok(pruned);
    }
    let mut manifests = Manifest::objects(target)?;
    // By what they reach to: the wall clock in a name may have been set back.
    manifests.sort_by_key(|name| (last_lsn(name), name.clone()));
    let surplus = manifests.len().saturating_sub(keep);
    for name in manifests.drain(..surplus) {
        target.remove(&name)?;
        pruned.backups += 1;
    }
    let kept = manifests.iter().map(|name| Manifest::read(target, name)).collect::<Result<Vec<_>, Error>>()?;
    let Some(needed_from) = kept.iter().map(Manifest::needed_from).min() else { return Ok(pruned) };
    let snapshots = kept.iter().filter_map(|manifest| manifest.snapshot.as_ref());
    let folders: Vec<String> = snapshots
        .map(|snapshot| snapshot_folder(snapshot.lsn, crate::names::hex(&snapshot.file_hash).unwrap_or_default()))
        .collect();
    for object in target.list(SNAPSHOTS)? {
        if !folders.iter().any(|folder| object.name.starts_with(folder.as_str())) {
            target.remove(&object.name)?;
            pruned.objects += 1;
        }
    }
    let shelf = Shelf::read(target)?;
    let begin = shelf.pieces.iter().rposition(|piece| piece.offset == 0 && piece.first_lsn.get() <= needed_from);
    for piece in &shelf.pieces[..begin.unwrap_or(0)] {
        target.remove(&piece.name)?;
        pruned.objects += 1;
    }
    Ok(pruned)
}

/// The last LSN in the name of a manifest.
fn last_lsn(name: &str) -> u64 {
    name.rsplit('-').nth(1).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

//! Reads everything at a target and says what is not as it was written.

use std::collections::BTreeMap;

use crate::archive::{Shelf, read_piece};
use crate::error::{Damage, Error};
use crate::manifest::Manifest;
use crate::names::{SNAPSHOTS, get};
use crate::target::Target;

/// An object with something wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The object.
    pub file: String,
    /// What is wrong.
    pub problem: String,
}

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    /// Backups whose manifests could be read.
    pub backups: usize,
    /// Objects read.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Records of the log among them.
    pub records: u64,
    /// Everything that is wrong, in the order it was found.
    pub faults: Vec<Fault>,
}

impl Verified {
    fn note(&mut self, error: Error) -> Result<(), Error> {
        match error {
            Error::Damaged { file, problem } => {
                let fault = Fault { file, problem: problem.to_string() };
                if !self.faults.contains(&fault) {
                    self.faults.push(fault);
                }
                Ok(())
            }
            error => Err(error),
        }
    }

    fn count(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes += bytes;
    }
}

/// Checks every object at `target`: its checksum, every batch and its place in the chain, and that no backup lacks anything. `step` is
/// called after each object.
///
/// # Errors
/// When nothing can be said: the target does not answer, holds no backup, or was written by a newer program.
pub fn verify(target: &dyn Target, step: &mut dyn FnMut(&Verified)) -> Result<Verified, Error> {
    let mut verified = Verified::default();
    let shard = match crate::history::of_target(target) {
        Ok(Some((_, shard))) => shard,
        Ok(None) => return Err(Error::NoBackup { target: target.describe() }),
        Err(error) => {
            verified.note(error)?;
            0
        }
    };
    let listed: BTreeMap<String, u64> =
        target.list("")?.into_iter().map(|object| (object.name, object.bytes)).collect();
    for name in Manifest::objects(target)? {
        match Manifest::read(target, &name) {
            Ok(manifest) => {
                verified.backups += 1;
                verified.count(listed.get(&name).copied().unwrap_or(0));
                for file in &manifest.files {
                    if !listed.contains_key(&file.name) {
                        verified.note(Error::Damaged { file: file.name.clone(), problem: Damage::Missing })?;
                    }
                }
            }
            Err(error) => verified.note(error)?,
        }
    }
    for object in target.list(SNAPSHOTS)? {
        match get(target, &object.name) {
            Ok(_) => verified.count(object.bytes),
            Err(error) => verified.note(error)?,
        }
        step(&verified);
    }
    let shelf = Shelf::read(target)?;
    for file in &shelf.strange {
        let problem = Damage::Unreadable { what: "the name of a piece" };
        verified.note(Error::Damaged { file: file.clone(), problem })?;
    }
    let mut before = None;
    for piece in &shelf.pieces {
        let mut records = 0;
        match read_piece(target, piece, before, shard, &mut |_, _| records += 1) {
            Ok(_) => {
                verified.count(piece.bytes);
                verified.records += records;
            }
            Err(error) => verified.note(error)?,
        }
        before = Some(piece);
        step(&verified);
    }
    Ok(verified)
}

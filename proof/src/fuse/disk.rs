//! A disk that forgets what was not synced: one folder of files, each kept as a reader sees it and as a power cut would leave it.
//!
//! What a cut may do: of the sectors of 512 bytes that were written and not synced, any subset survives, in any order; so do changes of
//! length, and of the folder: files made, renamed and removed since the folder was synced.

use std::collections::{BTreeMap, BTreeSet};

use quartermaster_loadtest::random::SplitMix64;

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// The disk.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    files: Vec<Content>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// Changes of the folder that are not durable, in order.
    changes: Vec<Change>,
    /// Syncs of files and of the folder.
    pub syncs: u64,
}

#[derive(Clone, Debug, Default)]
struct Content {
    seen: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
}

#[derive(Clone, Debug)]
enum Change {
    Link(String, usize),
    Rename(String, String, usize),
    Unlink(String),
}

/// What a cut left.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loss {
    /// Sectors that were not synced.
    pub sectors_at_risk: u64,
    /// Of those, sectors that are gone.
    pub sectors_lost: u64,
    /// Changes of the folder that were not synced.
    pub changes_at_risk: u64,
    /// Of those, changes that are gone.
    pub changes_lost: u64,
}

impl Disk {
    /// Files of the folder: name and number.
    pub fn names(&self) -> impl Iterator<Item = (&String, usize)> {
        self.names.iter().map(|(name, number)| (name, *number))
    }

    /// Number of a file.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    /// Length of a file; nothing when there is none of this number.
    pub fn length(&self, file: usize) -> Option<usize> {
        self.files.get(file).map(|content| content.seen.len())
    }

    /// Makes an empty file, in place of any other of the name.
    pub fn create(&mut self, name: &str) -> usize {
        let number = self.files.len();
        self.files.push(Content::default());
        self.names.insert(name.to_owned(), number);
        self.changes.push(Change::Link(name.to_owned(), number));
        number
    }

    /// Removes a file; tells whether there was one.
    pub fn unlink(&mut self, name: &str) -> bool {
        let was = self.names.remove(name).is_some();
        if was {
            self.changes.push(Change::Unlink(name.to_owned()));
        }
        was
    }

    /// Renames a file; tells whether there was one.
    pub fn rename(&mut self, from: &str, to: &str) -> bool {
        let Some(number) = self.names.remove(from) else { return false };
        self.names.insert(to.to_owned(), number);
        self.changes.push(Change::Rename(from.to_owned(), to.to_owned(), number));
        true
    }

    /// Up to `size` bytes of a file from `offset`.
    pub fn read(&self, file: usize, offset: usize, size: usize) -> &[u8] {
        let seen = self.files.get(file).map_or(&[][..], |content| &content.seen);
        let begin = offset.min(seen.len());
        &seen[begin..begin.saturating_add(size).min(seen.len())]
    }

    /// Writes into a file.
    pub fn write(&mut self, file: usize, offset: usize, bytes: &[u8]) {
        let content = &mut self.files[file];
        let end = offset + bytes.len();
        let before = content.seen.len();
        if before < end {
            content.seen.resize(end, 0);
        }
        content.seen[offset..end].copy_from_slice(bytes);
        content.dirty.extend(offset.min(before) / SECTOR..end.div_ceil(SECTOR));
    }

    /// Sets the length of a file.
    pub fn resize(&mut self, file: usize, length: usize) {
        let content = &mut self.files[file];
        let before = content.seen.len();
        content.seen.resize(length, 0);
        content.dirty.extend(before.min(length) / SECTOR..length.div_ceil(SECTOR));
    }

    /// Makes the content of a file durable.
    pub fn sync(&mut self, file: usize) {
        let content = &mut self.files[file];
        content.durable.resize(content.seen.len(), 0);
        for sector in std::mem::take(&mut content.dirty) {
            copy_sector(&content.seen, &mut content.durable, sector);
        }
        self.syncs += 1;
    }

    /// Makes every change of the folder durable.
    pub fn sync_folder(&mut self) {
        self.durable_names.clone_from(&self.names);
        self.changes.clear();
        self.syncs += 1;
    }

    /// What is there after a power cut now, drawn from `random`: one cut in four loses all that was not synced.
    pub fn cut(&self, random: &mut SplitMix64) -> (Disk, Loss) {
        let mut loss = Loss::default();
        let keeps = if random.chance(0.25) { 0.0 } else { random.unit() };
        let mut files: Vec<Content> = self.files.iter().map(|content| content.cut(keeps, random, &mut loss)).collect();
        let mut names = self.durable_names.clone();
        for change in &self.changes {
            loss.changes_at_risk += 1;
            if random.chance(keeps) {
                change.apply(&mut names);
            } else {
                loss.changes_lost += 1;
            }
        }
        // Nobody finds a file without a name again.
        for (number, content) in files.iter_mut().enumerate() {
            if !names.values().any(|named| *named == number) {
                *content = Content::default();
            }
        }
        (Disk { files, durable_names: names.clone(), names, ..Disk::default() }, loss)
    }
}

impl Content {
    fn cut(&self, keeps: f64, random: &mut SplitMix64, loss: &mut Loss) -> Content {
        let mut left = self.durable.clone();
        if self.seen.len() != left.len() && random.chance(keeps) {
            left.resize(self.seen.len(), 0);
        }
        for &sector in &self.dirty {
            loss.sectors_at_risk += 1;
            if random.chance(keeps) {
                // A sector past the end brings the length with it.
                let end = ((sector + 1) * SECTOR).min(self.seen.len());
                if left.len() < end {
                    left.resize(end, 0);
                }
                copy_sector(&self.seen, &mut left, sector);
            } else {
                loss.sectors_lost += 1;
            }
        }
        Content { seen: left.clone(), durable: left, dirty: BTreeSet::new() }
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Change::Link(name, number) => {
                names.insert(name.clone(), *number);
            }
            Change::Rename(from, to, number) => {
                // The old name may be there, the new one as well: a rename whose halves were not written together is one link too many,
                // which journalling file systems rule out; here it moves whole.
                names.remove(from);
                names.insert(to.clone(), *number);
            }
            Change::Unlink(name) => {
                names.remove(name);
            }
        }
    }
}

fn copy_sector(from: &[u8], to: &mut [u8], sector: usize) {
    let end = ((sector + 1) * SECTOR).min(from.len()).min(to.len());
    let begin = (sector * SECTOR).min(end);
    to[begin..end].copy_from_slice(&from[begin..end]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_keeps_what_was_synced_and_any_of_the_rest() {
        let mut disk = Disk::default();
        let file = disk.create("a");
        disk.write(file, 0, &[1; 2_048]);
        disk.sync(file);
        disk.sync_folder();
        disk.write(file, 512, &[2; 1_024]);
        disk.create("b");
        let (mut kept, mut lost, mut torn, mut names) = (0, 0, 0, BTreeSet::new());
        for seed in 0..200 {
            let (left, _) = disk.cut(&mut SplitMix64::new(seed));
            let found = left.find("a").expect("its name was synced");
            let bytes = left.read(found, 0, 4_096);
            assert_eq!((bytes.len(), bytes[0], bytes[2_047]), (2_048, 1, 1));
            match (bytes[512], bytes[1_024]) {
                (1, 1) => lost += 1,
                (2, 2) => kept += 1,
                _ => torn += 1,
            }
            names.insert(left.find("b").is_some());
        }
        assert!(kept > 10 && lost > 50 && torn > 10, "{kept} {lost} {torn}");
        assert_eq!(names.len(), 2);
    }

    #[test]
    fn what_is_synced_is_never_at_risk() {
        let mut disk = Disk::default();
        let file = disk.create("a.tmp");
        disk.write(file, 100, b"hello");
        disk.sync(file);
        assert!(disk.rename("a.tmp", "a"));
        disk.sync_folder();
        let (left, loss) = disk.cut(&mut SplitMix64::new(1));
        assert_eq!((loss.sectors_at_risk, loss.changes_at_risk), (0, 0));
        assert_eq!(left.read(left.find("a").unwrap(), 100, 9), b"hello");
        assert!(left.find("a.tmp").is_none());
    }
}

//! Codes that files name, each kept once, and which of them are known.

use std::collections::HashMap;

/// Where a code was first named without being made.
#[derive(Clone, Debug)]
pub(super) struct Mention {
    pub(super) file: String,
    pub(super) row: u64,
    pub(super) column: String,
}

/// Codes by number, in the order they came.
#[derive(Debug, Default)]
pub(super) struct Codes {
    numbers: HashMap<Box<str>, u32>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    code: Box<str>,
    /// Row that makes it; 0 when no file does.
    made_in: u64,
    /// Where it was first referred to.
    mention: Option<Mention>,
    on_server: bool,
}

impl Codes {
    fn number(&mut self, code: &str) -> u32 {
        if let Some(number) = self.numbers.get(code) {
            return *number;
        }
        let number = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.numbers.insert(code.into(), number);
        self.entries.push(Entry { code: code.into(), made_in: 0, mention: None, on_server: false });
        number
    }

    fn entry(&mut self, number: u32) -> &mut Entry {
        let place = usize::try_from(number).unwrap_or(usize::MAX);
        &mut self.entries[place]
    }

    /// A file makes this code; gives the row that made it before.
    pub(super) fn make(&mut self, code: &str, row: u64) -> Option<u64> {
        let number = self.number(code);
        let entry = self.entry(number);
        if entry.made_in > 0 {
            return Some(entry.made_in);
        }
        entry.made_in = row;
        None
    }

    /// A file refers to this code.
    pub(super) fn refer(&mut self, code: &str, mention: impl FnOnce() -> Mention) -> u32 {
        let number = self.number(code);
        let entry = self.entry(number);
        if entry.mention.is_none() && entry.made_in == 0 {
            entry.mention = Some(mention());
        }
        number
    }

    /// The server has this code.
    pub(super) fn found(&mut self, code: &str) {
        if let Some(number) = self.numbers.get(code).copied() {
            self.entry(number).on_server = true;
        }
    }

    pub(super) fn code(&self, number: u32) -> &str {
        &self.entries[usize::try_from(number).unwrap_or(usize::MAX)].code
    }

    /// Codes that are referred to, made by no file, and not found on the server so far.
    pub(super) fn unknown(&self) -> impl Iterator<Item = (&str, &Mention)> {
        let unknown = self.entries.iter().filter(|entry| entry.made_in == 0 && !entry.on_server);
        unknown.filter_map(|entry| Some((&*entry.code, entry.mention.as_ref()?)))
    }
}

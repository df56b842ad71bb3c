//! A CSV file as a table with named columns, read once from front to back.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder};
use flate2::read::MultiGzDecoder;

use super::digest::Digest;
use super::problem::{Problems, Wrong};

/// Longest code of a SKU, a location or a channel.
pub(super) const CODE_BYTES_MAX: usize = 64;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The bytes of a file, unpacked and hashed on the way.
struct Source<'d> {
    bytes: Box<dyn Read>,
    digest: &'d mut Digest,
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.bytes.read(buffer)?;
        self.digest.add(&buffer[..length]);
        Ok(length)
    }
}

/// Plain or gzip, told apart by how it begins.
fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    let mut file = File::open(path)?;
    let mut start = Vec::new();
    Read::by_ref(&mut file).take(2).read_to_end(&mut start)?;
    let packed = start == GZIP_MAGIC;
    let whole = Cursor::new(start).chain(BufReader::with_capacity(256 << 10, file));
    Ok(if packed { Box::new(MultiGzDecoder::new(whole)) } else { Box::new(whole) })
}

/// The columns of a table, by the names that are asked for.
pub(super) struct Columns<'p> {
    file: &'p str,
    /// As the file has them.
    names: Vec<String>,
    /// As they are looked for.
    plain: Vec<String>,
    used: Vec<bool>,
    problems: &'p mut Problems,
}

impl Columns<'_> {
    /// The column with one of these names, the first of them that there is.
    pub(super) fn find(&mut self, names: &[&str]) -> Option<usize> {
        let place = names.iter().find_map(|name| self.plain.iter().position(|plain| plain == name))?;
        self.used[place] = true;
        Some(place)
    }

    /// The same for a column that must be there.
    pub(super) fn require(&mut self, names: &[&str]) -> Option<usize> {
        let place = self.find(names);
        if place.is_none() {
            let (column, names) = (names[0], names.join(", "));
            self.problems.add(self.file, 1, column, Wrong::MissingColumn { names });
        }
        place
    }

    /// Columns that nobody asked for, with their names.
    pub(super) fn rest(&self) -> Vec<(usize, String)> {
        let rest = self.names.iter().enumerate().filter(|(place, _)| !self.used[*place]);
        rest.map(|(place, name)| (place, name.clone())).collect()
    }
}

/// A row that is being read.
pub(super) struct Row<'r> {
    file: &'r str,
    names: &'r [String],
    record: &'r ByteRecord,
    /// Line in the file.
    pub(super) line: u64,
    pub(super) problems: &'r mut Problems,
}

/// Reads a file. `columns` looks the columns up once; `row` gets each row with what it found, and is not called when a column is missing.
///
/// # Errors
/// What the system reports for the file as a whole.
pub(super) fn read<C>(
    path: &Path,
    (what, digest): (&str, &mut Digest),
    problems: &mut Problems,
    columns: impl FnOnce(&mut Columns<'_>) -> Option<C>,
    mut row: impl FnMut(&C, &mut Row<'_>),
) -> io::Result<()> {
    digest.begin(what);
    let file = path.display().to_string();
    let source = Source { bytes: open(path)?, digest };
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(source);
    let mut record = ByteRecord::new();
    if !next(&mut reader, &mut record, &file, problems)? {
        problems.add(&file, 1, "", Wrong::NoHeader);
        return Ok(());
    }
    let names: Vec<String> = record.iter().map(|name| name_of(name).to_owned()).collect();
    let plain: Vec<String> = names.iter().map(|name| name.to_lowercase().replace([' ', '-'], "_")).collect();
    for (place, name) in plain.iter().enumerate() {
        if plain[..place].contains(name) {
            problems.add(&file, 1, &names[place], Wrong::ColumnTwice);
        }
    }
    let used = vec![false; names.len()];
    let found = columns(&mut Columns { file: &file, names: names.clone(), plain, used, problems });
    let Some(found) = found else { return drain(reader) };
    let mut rows: u64 = 0;
    while next(&mut reader, &mut record, &file, problems)? {
        rows += 1;
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() == names.len() {
            row(&found, &mut Row { file: &file, names: &names, record: &record, line, problems });
        } else {
            problems.add(&file, line, "", Wrong::Fields { found: record.len(), expected: names.len() });
        }
    }
    if rows == 0 {
        problems.add(&file, 1, "", Wrong::NoRows);
    }
    Ok(())
}

/// Without the byte order mark that spreadsheets write.
fn name_of(name: &[u8]) -> &str {
    let name = name.strip_prefix(b"\xef\xbb\xbf").unwrap_or(name);
    std::str::from_utf8(name).unwrap_or("").trim()
}

fn next(
    reader: &mut csv::Reader<Source<'_>>,
    record: &mut ByteRecord,
    file: &str,
    problems: &mut Problems,
) -> io::Result<bool> {
    loop {
        match reader.read_byte_record(record) {
            Ok(more) => return Ok(more),
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                match error.into_kind() {
                    csv::ErrorKind::Io(error) => return Err(error),
                    kind => problems.add(file, line, "", Wrong::Unreadable { why: format!("{kind:?}") }),
                }
            }
        }
    }
}

/// Reads to the end for the sake of the hash.
fn drain(reader: csv::Reader<Source<'_>>) -> io::Result<()> {
    io::copy(&mut reader.into_inner(), &mut io::sink()).map(|_| ())
}

impl<'r> Row<'r> {
    /// The name of a column as the file has it.
    pub(super) fn name(&self, column: usize) -> &'r str {
        self.names.get(column).map_or("", String::as_str)
    }

    pub(super) fn wrong(&mut self, column: usize, wrong: Wrong) {
        self.problems.add(self.file, self.line, self.name(column), wrong);
    }

    /// What stands in a column; empty when there is no such column, or what stands there is no text.
    pub(super) fn text(&mut self, column: Option<usize>, limit: usize) -> String {
        let Some(place) = column else { return String::new() };
        let Ok(text) = std::str::from_utf8(&self.record[place]) else {
            self.wrong(place, Wrong::NotUtf8);
            return String::new();
        };
        if text.len() > limit {
            self.wrong(place, Wrong::TooLong { found: text.len(), limit });
        } else if text.chars().any(char::is_control) {
            self.wrong(place, Wrong::Control { text: text.to_owned() });
        } else {
            return text.to_owned();
        }
        String::new()
    }

    /// A code that must be there.
    pub(super) fn code(&mut self, column: usize) -> Option<String> {
        let before = self.problems.total;
        let code = self.text(Some(column), CODE_BYTES_MAX);
        if !code.is_empty() {
            return Some(code);
        }
        if self.problems.total == before {
            self.wrong(column, Wrong::Empty);
        }
        None
    }

    /// A whole number; none when the field is empty or there is no such column.
    pub(super) fn number(&mut self, column: Option<usize>, least: i64, most: i64) -> Option<i64> {
        let text = self.text(column, 32);
        if text.is_empty() {
            return None;
        }
        // Spreadsheets like to write 12 as 12.0.
        let whole = text.strip_suffix(".0").unwrap_or(&text);
        match whole.parse().ok().filter(|number| (least..=most).contains(number)) {
            Some(number) => Some(number),
            None => {
                self.wrong(column.unwrap_or(0), Wrong::NotANumber { text, least, most });
                None
            }
        }
    }

    /// Units, 0 when the field is empty.
    pub(super) fn units(&mut self, column: Option<usize>) -> u32 {
        let units = self.number(column, 0, i64::from(u32::MAX)).unwrap_or(0);
        u32::try_from(units).unwrap_or(0)
    }

    /// Yes or no; none when the field is empty.
    pub(super) fn flag(&mut self, column: Option<usize>) -> Option<bool> {
        let text = self.text(column, 16);
        match text.to_lowercase().as_str() {
            "" => None,
            "true" | "yes" | "y" | "1" | "on" => Some(true),
            "false" | "no" | "n" | "0" | "off" => Some(false),
            _ => {
                self.wrong(column.unwrap_or(0), Wrong::NoChoice { text, choices: "true, false, yes, no, 1, 0" });
                None
            }
        }
    }
}

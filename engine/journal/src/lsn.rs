//! The two numbers that place a record: its position in the log, and the reign under which it was written.

use std::fmt;

/// Position of one record in the log: 1 for the first record ever appended, then dense, one per record.
/// [`Lsn::ZERO`] stands before the first record and means "nothing".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(u64);

impl Lsn {
    /// The position before the first record.
    pub const ZERO: Lsn = Lsn(0);

    /// The position with this number; 0 is [`Lsn::ZERO`].
    pub const fn new(number: u64) -> Lsn {
        Lsn(number)
    }

    /// The number as it is stored and shown.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The position of the record after this one.
    ///
    /// # Panics
    /// At `u64::MAX`, which a log never reaches: it is 584 000 years of a million records per second.
    pub const fn next(self) -> Lsn {
        match self.0.checked_add(1) {
            Some(number) => Lsn(number),
            None => panic!("the log is out of positions"),
        }
    }

    /// The position before this one; [`Lsn::ZERO`] stays where it is.
    pub(crate) const fn previous(self) -> Lsn {
        Lsn(self.0.saturating_sub(1))
    }

    /// The position `records` further on; at the top of the range it stays there, which no check accepts.
    pub(crate) const fn advanced(self, records: u64) -> Lsn {
        Lsn(self.0.saturating_add(records))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lsn({})", self.0)
    }
}

/// Number of times the log has been opened for writing: 1 for the first. Every open takes a higher one and puts it
/// on disk before it accepts a record, so no two writers ever share one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(u64);

impl Epoch {
    /// The epoch of a log that was never opened for writing.
    pub const ZERO: Epoch = Epoch(0);

    /// The epoch with this number.
    pub const fn new(number: u64) -> Epoch {
        Epoch(number)
    }

    /// The number as it is stored and shown.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The epoch of the next writer.
    ///
    /// # Panics
    /// At `u64::MAX`, which needs as many restarts.
    pub const fn next(self) -> Epoch {
        match self.0.checked_add(1) {
            Some(number) => Epoch(number),
            None => panic!("the log is out of epochs"),
        }
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epoch({})", self.0)
    }
}

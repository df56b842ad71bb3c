//! Every decoder and converter of Quartermaster as a plain function of bytes, and what feeds these functions.
//!
//! A release build ends at any panic and checks every addition, so a panic that an input can bring about ends the server. Each target
//! takes arbitrary bytes and panics when a promise breaks: that nothing panics, that what was read is written back the same, that state
//! after it is whole and equals the replay of its journal. [`harness`] adds bounds on time and memory.
//!
//! The same targets run two ways: as tests over the committed corpus and seeded mutations, and for long by the binary of this package.
#![forbid(unsafe_code)]

pub mod campaign;
pub mod corpus;
pub mod harness;
pub mod kinds;
pub mod mutate;
pub mod pieces;
pub mod shape;
pub mod targets;
pub mod words;

use mutate::Form;

/// A function that must hold its promises for any bytes.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name: that of its folder in the corpus.
    pub name: &'static str,
    /// What it tries, in a few words.
    pub story: &'static str,
    /// Panics when a promise breaks.
    pub run: fn(&[u8]),
    /// What its inputs are.
    pub form: Form,
    /// Valid inputs, made by code: where mutations begin.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Inputs that a campaign runs as one, their pieces behind each other: more than 1 where what is tried on is dear to make.
    pub together: usize,
}

impl Target {
    /// Whether its inputs are sequences of [`pieces`].
    pub fn has_pieces(&self) -> bool {
        matches!(self.form, Form::Messages(..) | Form::Json(..))
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The target of this name.
pub fn find(name: &str) -> Option<&'static Target> {
    targets::ALL.iter().find(|target| target.name == name)
}

//! What happened last, as a failure tells it. Lines are made only while somebody wants them: a failing seed is run once more for its story.

use std::collections::VecDeque;

/// Lines that are kept.
const LINES: usize = 30;

/// The last lines.
#[derive(Debug, Default)]
pub(crate) struct Story {
    wanted: bool,
    lines: VecDeque<String>,
}

impl Story {
    pub(crate) fn new(wanted: bool) -> Self {
        Self { wanted, lines: VecDeque::new() }
    }

    /// Adds a line, if the story is wanted.
    pub(crate) fn tell(&mut self, line: impl FnOnce() -> String) {
        if self.wanted {
            if self.lines.len() == LINES {
                self.lines.pop_front();
            }
            self.lines.push_back(line());
        }
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.into()
    }
}

//! The comments of the contract, by file and place.

use std::collections::HashMap;

use prost_reflect::DescriptorPool;

/// Leading comments.
pub(super) struct Comments {
    by_place: HashMap<(String, Vec<i32>), String>,
}

impl Comments {
    pub(super) fn of(pool: &DescriptorPool) -> Comments {
        let mut by_place = HashMap::new();
        for file in pool.files() {
            let info = file.file_descriptor_proto().source_code_info.iter();
            for location in info.flat_map(|info| &info.location) {
                if let Some(text) = &location.leading_comments {
                    by_place.insert((file.name().to_owned(), location.path.clone()), joined(text));
                }
            }
        }
        Comments { by_place }
    }

    /// The comment before what stands at `path` of `file`, or nothing.
    pub(super) fn get(&self, file: &str, path: &[i32]) -> String {
        self.by_place.get(&(file.to_owned(), path.to_vec())).cloned().unwrap_or_default()
    }
}

/// Without the line breaks of the source; those before list items stay.
fn joined(text: &str) -> String {
    let mut joined = String::new();
    for line in text.lines().map(str::trim) {
        let space = if joined.is_empty() {
            ""
        } else if line.is_empty() || line.starts_with("- ") {
            "\n"
        } else {
            " "
        };
        joined.push_str(space);
        joined.push_str(line);
    }
    joined.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_sentences() {
        assert_eq!(joined(" One\n two.\n - item\n more\n"), "One two.\n- item more");
    }
}

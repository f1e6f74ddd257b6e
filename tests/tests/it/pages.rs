//! The fenced blocks of pages.

use std::path::PathBuf;

use crate::harness::workspace;

/// A fenced block of a page.
pub(crate) struct Block<'a> {
    /// The words behind the fence.
    pub(crate) info: &'a str,
    pub(crate) text: &'a str,
    /// The line of the fence.
    pub(crate) line: usize,
}

impl<'a> Block<'a> {
    pub(crate) fn language(&self) -> &'a str {
        self.info.split([' ', ',']).next().unwrap_or_default()
    }

    /// A word of the form `name=value` behind the language.
    pub(crate) fn word(&self, name: &str) -> Option<&'a str> {
        let mut words = self.info.split(' ').skip(1);
        words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }
}

pub(crate) fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    let mut open: Option<(usize, usize, &str)> = None;
    let mut at = 0;
    for (number, line) in (1..).zip(page.split_inclusive('\n')) {
        let end = at + line.len();
        let fence = line.trim_start().strip_prefix("```");
        match (fence, open) {
            (Some(info), None) => open = Some((number, end, info.trim())),
            (Some(_), Some((line, begin, info))) => {
                let text = &page[begin..at];
                found.push(Block { info, text, line });
                open = None;
            }
            (None, _) => {}
        }
        at = end;
    }
    assert!(open.is_none(), "a block without an end");
    found
}

/// The pages for users, by their paths from the root: the README and the book.
pub(crate) fn pages() -> Vec<(String, String)> {
    let root = workspace();
    let mut open = vec![root.join("README.md"), root.join("docs")];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(
                std::fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else if path.extension().is_some_and(|extension| extension == "md") {
            files.push(path);
        }
    }
    files.sort();
    let name = |file: &PathBuf| file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
    let read = |file: PathBuf| (name(&file), std::fs::read_to_string(&file).unwrap());
    files.into_iter().map(read).collect()
}

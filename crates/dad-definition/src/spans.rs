//! Spans: the place in its file of every value of a definition.

use std::collections::BTreeMap;
use std::ops::Range;

use dad_core::Digest;
use serde::{Deserialize, Serialize};

use crate::place::parent;
use crate::source::{Lines, SourceFile};
use crate::spot::{Style, locate};

/// The place of every value of a definition in its files.
///
/// Keys are places such as `elements[0].settings.prompt`; the root is the empty text. Serialises to a document of its
/// own that can be kept beside a definition. Read back from there it still gives every place, but no longer
/// excerpts, nor places inside multi-line texts, because it does not carry the files themselves.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SpanMap {
    files: Vec<FileEntry>,
    places: BTreeMap<String, Entry>,
    #[serde(skip)]
    sources: Vec<SourceFile>,
    /// Of each source.
    #[serde(skip)]
    lines: Vec<Lines>,
}

/// A file that a definition was made from.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct FileEntry {
    path: String,
    blake3: Digest,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Location<'a> {
    /// The file as it is shown to people.
    pub file: &'a str,
    /// Line, counted from 1.
    pub line: u32,
    /// Column in characters, counted from 1.
    pub column: u32,
    /// Bytes of the file.
    pub span: Range<usize>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    value: Mark,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Mark>,
    #[serde(default, skip_serializing_if = "Style::is_other")]
    style: Style,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Mark {
    file: usize,
    line: u32,
    column: u32,
    start: usize,
    end: usize,
}

impl Mark {
    fn new(file: usize, lines: &Lines, span: &Range<usize>) -> Self {
        let (line, column) = lines.position(span.start);
        Self {
            file,
            line,
            column,
            start: span.start,
            end: span.end,
        }
    }
}

impl SpanMap {
    /// The place of a value.
    #[must_use]
    pub fn get(&self, place: &str) -> Option<Location<'_>> {
        self.location(self.places.get(place)?.value)
    }

    /// The place of the key that a value stands under.
    #[must_use]
    pub fn key(&self, place: &str) -> Option<Location<'_>> {
        self.location(self.places.get(place)?.key?)
    }

    /// The place of a value, or of the nearest value around it that has one.
    #[must_use]
    pub fn nearest(&self, place: &str) -> Option<Location<'_>> {
        std::iter::successors(Some(place), |place| parent(place)).find_map(|place| self.get(place))
    }

    /// The spelling in its file of a value that is no text: a number or boolean. `None` if the files are not at hand.
    pub(crate) fn written(&self, place: &str) -> Option<&str> {
        let Entry { value, style, .. } = self.places.get(place)?;
        let source = self.sources.get(value.file).filter(|_| style.is_other())?;
        source.text.get(value.start..value.end)
    }

    /// The place of some bytes of a text value. `None` if the files are not at hand.
    #[must_use]
    pub fn within(&self, place: &str, text: &str, part: Range<usize>) -> Option<Location<'_>> {
        let entry = self.places.get(place)?;
        let file = entry.value.file;
        let source = self.sources.get(file)?;
        let span = locate(
            &source.text,
            entry.value.start..entry.value.end,
            entry.style,
            text,
            part,
        )?;
        self.location(Mark::new(file, self.lines.get(file)?, &span))
    }

    /// The files that were read, as far as they are at hand.
    #[must_use]
    pub fn sources(&self) -> &[SourceFile] {
        &self.sources
    }

    /// The files that were read, the definition itself first: as they are shown to people, with the digest of their
    /// bytes.
    pub fn files(&self) -> impl ExactSizeIterator<Item = (&str, Digest)> {
        self.files.iter().map(|file| (file.path.as_str(), file.blake3))
    }

    /// All places, sorted.
    pub fn places(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    fn location(&self, mark: Mark) -> Option<Location<'_>> {
        let file = self.files.get(mark.file)?;
        Some(Location {
            file: &file.path,
            line: mark.line,
            column: mark.column,
            span: mark.start..mark.end,
        })
    }

    /// Adds a file and returns its number.
    pub(crate) fn add_file(&mut self, source: SourceFile) -> usize {
        self.files.push(FileEntry {
            path: source.path.clone(),
            blake3: source.blake3,
        });
        self.lines.push(Lines::new(source.text.clone()));
        self.sources.push(source);
        self.files.len() - 1
    }

    pub(crate) fn insert(
        &mut self,
        place: &str,
        file: usize,
        value: &Range<usize>,
        key: Option<&Range<usize>>,
        style: Style,
    ) {
        let Some(lines) = self.lines.get(file) else {
            return;
        };
        let entry = Entry {
            value: Mark::new(file, lines, value),
            key: key.map(|key| Mark::new(file, lines, key)),
            style,
        };
        self.places.insert(place.to_owned(), entry);
    }

    /// Says that the text at a place is the whole of another file. The key that it stands under stays where it is.
    pub(crate) fn move_to_file(&mut self, place: &str, file: usize, length: usize) {
        if let Some(entry) = self.places.get_mut(place) {
            entry.value = Mark {
                file,
                line: 1,
                column: 1,
                start: 0,
                end: length,
            };
            entry.style = Style::Verbatim;
        }
    }

    /// A place of a file that no value stands at.
    pub(crate) fn spot(&self, file: usize, span: Range<usize>) -> Option<Location<'_>> {
        self.location(Mark::new(file, self.lines.get(file)?, &span))
    }
}

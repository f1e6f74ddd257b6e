//! What is told of one file.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Take};
use std::time::SystemTime;

use dad_core::Timestamp;
use dad_fs::{Dir, EntryKind, Look};
use dad_runner::Stop;
use serde_json::{Map, Value, json};

use super::language::Language;
use super::media::media_type;
use super::outline::Outliner;
use super::words::{WordCounter, Words};
use super::{ContentExclusion, ContentReadMode, FolderAnalysisOperation};

/// Files above this size, in bytes, are named and not read by default.
const MAX_FILE_SIZE: u64 = 1 << 20;

/// How many words a preview holds at most.
const PREVIEW_WORDS: usize = 100;

/// How many lines a preview holds at most.
const PREVIEW_LINES: usize = 5;

/// How many bytes at the beginning of a file tell whether it is text.
const SNIFFED: usize = 8000;

/// How much is read at once of a file that is not kept.
const PIECE: usize = 64 << 10;

/// Reads files the way an operation asks for.
pub(super) struct Contents<'a> {
    mode: ContentReadMode,
    exclusions: &'a [ContentExclusion],
    limit: u64,
    primary: bool,
    stats: bool,
    pub(super) words: Words,
    outliner: Outliner<'a>,
    piece: Vec<u8>,
}

/// What a file adds to the numbers of its directory.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) size: u64,
    pub(super) words: usize,
    pub(super) error: Option<String>,
}

/// What was read of a file.
enum Loaded {
    Text {
        bytes: Vec<u8>,
        is_whole: bool,
        words: Option<usize>,
    },
    NotText,
}

impl<'a> Contents<'a> {
    pub(super) fn new(operation: &'a FolderAnalysisOperation, mode: ContentReadMode, stop: &'a Stop) -> Self {
        Self {
            mode,
            exclusions: &operation.content_exclusions,
            limit: operation.max_file_size.unwrap_or(MAX_FILE_SIZE),
            primary: operation.include_primary_meta.unwrap_or(false),
            stats: operation.include_stats_and_meta.unwrap_or(false),
            words: Words::new(operation.max_words_per_file, operation.max_total_words),
            outliner: Outliner::new(operation.content_structure_detail_level.unwrap_or_default(), stop),
            piece: Vec::new(),
        }
    }

    /// How many fields an ordinary file has; room for more would be most of what is kept of many small files.
    pub(super) fn fields(&self) -> usize {
        let contents = self.mode != ContentReadMode::None;
        usize::from(self.stats) + 3 * usize::from(self.primary) + usize::from(contents)
    }

    /// Adds to `info` what is asked for.
    pub(super) fn describe(
        &mut self,
        dir: &Dir,
        name: &OsStr,
        kind: EntryKind,
        info: &mut Map<String, Value>,
    ) -> Facts {
        let told = match kind {
            EntryKind::File => self.file(dir, name, info),
            _ => self.other(dir, name, kind, info).map(|()| Facts::default()),
        };
        told.unwrap_or_else(|error| {
            let message = match error.kind() {
                io::ErrorKind::NotFound => "the file vanished while the folder was looked at".to_owned(),
                _ => format!("the file cannot be read: {error}"),
            };
            info.insert("error".into(), message.clone().into());
            Facts {
                error: Some(message),
                ..Facts::default()
            }
        })
    }

    /// Reported and never followed or opened: it may lead anywhere, or to something that never ends.
    fn other(
        &self,
        dir: &Dir,
        name: &OsStr,
        kind: EntryKind,
        info: &mut Map<String, Value>,
    ) -> io::Result<()> {
        if kind == EntryKind::Symlink {
            info.insert("symlink".into(), true.into());
        } else if kind == EntryKind::Other {
            let left_out = "it is a pipe, a socket or a device, which is never opened";
            info.insert("content_left_out".into(), left_out.into());
        }
        if self.stats {
            info.insert("metadata".into(), metadata(&look(dir, name)?));
        }
        Ok(())
    }

    fn file(&mut self, dir: &Dir, name: &OsStr, info: &mut Map<String, Value>) -> io::Result<Facts> {
        let mut facts = Facts::default();
        if self.stats {
            let look = look(dir, name)?;
            facts.size = look.len;
            info.insert("metadata".into(), metadata(&look));
        }
        if self.primary {
            info.insert("mime_type".into(), media_type(name).into());
        }
        let wanted = self.mode != ContentReadMode::None;
        let keeps = wanted && !self.words.are_used_up();
        if wanted && !keeps {
            let left_out = format!("the {} words of `max_total_words` are used up", self.words.read);
            info.insert("content_left_out".into(), left_out.into());
        }
        if !keeps && !self.primary {
            return Ok(facts);
        }
        let Some((file, len)) = dir.open_regular(name).map_err(|error| error.source)? else {
            return Err(io::Error::other("it is no longer a regular file"));
        };
        facts.size = len;
        if len > self.limit {
            info.insert("content_left_out".into(), self.too_large(&len.to_string()).into());
            return Ok(facts);
        }
        match self.load(file, len, keeps)? {
            Loaded::NotText => {
                info.insert("content_left_out".into(), "the file is not text".into());
                self.tell_primary(false, None, info);
            }
            Loaded::Text {
                bytes,
                is_whole,
                words,
            } => {
                facts.words = words.unwrap_or(0);
                self.tell_primary(true, words, info);
                if keeps {
                    self.keep(name, bytes, is_whole, info, &mut facts);
                }
            }
        }
        Ok(facts)
    }

    fn tell_primary(&self, is_text: bool, words: Option<usize>, info: &mut Map<String, Value>) {
        if self.primary {
            info.insert("is_text".into(), is_text.into());
            if let Some(words) = words {
                info.insert("word_count".into(), words.into());
            }
        }
    }

    fn too_large(&self, len: &str) -> String {
        format!("{len} bytes are more than `max_file_size` {}", self.limit)
    }

    /// How many words are kept of the beginning of a file; nothing if all of it is needed to know.
    fn prefix(&self) -> Option<usize> {
        match self.mode {
            ContentReadMode::Preview => Some(self.words.left().min(PREVIEW_WORDS)),
            ContentReadMode::Full if self.exclusions.is_empty() => {
                Some(self.words.left()).filter(|words| *words != usize::MAX)
            }
            ContentReadMode::Full | ContentReadMode::Structure | ContentReadMode::None => None,
        }
    }

    /// Reads a file as long as it was when it was opened: all of it at once if all of it is kept, else in pieces.
    fn load(&mut self, file: File, len: u64, keeps: bool) -> io::Result<Loaded> {
        // Files of the system itself say that they are empty; of them as much is read as of any other.
        let len = if len == 0 { self.limit } else { len };
        let mut file = file.take(len);
        if keeps && self.prefix().is_none() {
            return self.load_whole(file);
        }
        let most = if keeps { self.prefix().unwrap_or(0) } else { 0 };
        let mut counter = WordCounter::default();
        let (mut kept, mut keeping, mut seen) = (Vec::new(), keeps, false);
        self.piece.resize(PIECE, 0);
        loop {
            let count = file.read(&mut self.piece)?;
            let piece = &self.piece[..count];
            if count == 0 {
                break;
            }
            if !seen && is_binary(piece) {
                return Ok(Loaded::NotText);
            }
            seen = true;
            counter.feed(piece);
            if keeping {
                kept.extend_from_slice(piece);
                keeping = counter.words <= most;
            }
            if !keeping && !self.primary {
                break;
            }
        }
        let words = self.primary.then_some(counter.words);
        Ok(Loaded::Text {
            bytes: kept,
            is_whole: keeping,
            words,
        })
    }

    fn load_whole(&self, mut file: Take<File>) -> io::Result<Loaded> {
        let mut bytes = Vec::new();
        if file.limit() < self.limit {
            let capacity = usize::try_from(file.limit()).map_err(|_| io::ErrorKind::OutOfMemory)?;
            bytes.try_reserve_exact(capacity)?;
        }
        file.read_to_end(&mut bytes)?;
        if is_binary(&bytes) {
            return Ok(Loaded::NotText);
        }
        let words = self.primary.then(|| {
            let mut counter = WordCounter::default();
            counter.feed(&bytes);
            counter.words
        });
        Ok(Loaded::Text {
            bytes,
            is_whole: true,
            words,
        })
    }

    fn keep(
        &mut self,
        name: &OsStr,
        bytes: Vec<u8>,
        is_whole: bool,
        info: &mut Map<String, Value>,
        facts: &mut Facts,
    ) {
        let text = String::from_utf8(bytes).unwrap_or_else(|error| {
            // Where only the end is no text, a piece ended within a character.
            let inexact = error.utf8_error().error_len().is_some() || is_whole;
            if inexact {
                info.insert("lossy".into(), true.into());
            }
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        });
        let language = Language::of(name);
        let (field, text, most) = match self.mode {
            ContentReadMode::Preview => ("content_preview", first_lines(text), PREVIEW_WORDS),
            ContentReadMode::Structure => match self.outliner.outline(language, &text) {
                Ok(Some(outline)) => ("content_structure", outline, usize::MAX),
                Ok(None) => ("content", text, usize::MAX),
                Err(reason) => {
                    info.insert("error".into(), reason.into());
                    facts.error = Some(reason.to_owned());
                    ("content", text, usize::MAX)
                }
            },
            ContentReadMode::Full | ContentReadMode::None => (
                "content",
                self.outliner.strip(language, text, self.exclusions),
                usize::MAX,
            ),
        };
        let taken = self.words.take(&text, most);
        let truncated = !taken.is_whole || (!is_whole && self.mode != ContentReadMode::Preview);
        let kept = taken.text.len();
        let mut text = text;
        text.truncate(kept);
        text.shrink_to_fit();
        info.insert(field.into(), text.into());
        if truncated {
            info.insert("truncated".into(), true.into());
        }
    }
}

fn look(dir: &Dir, name: &OsStr) -> io::Result<Look> {
    dir.look(name)
        .map_err(|error| error.source)?
        .ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn is_binary(beginning: &[u8]) -> bool {
    beginning[..beginning.len().min(SNIFFED)].contains(&0)
}

fn first_lines(mut text: String) -> String {
    let end = text.match_indices('\n').nth(PREVIEW_LINES - 1);
    if let Some((index, _)) = end {
        text.truncate(index + 1);
    }
    text
}

/// Size, times and permissions, under the original's names.
pub(super) fn metadata(look: &Look) -> Value {
    let mut all = json!({ "size": look.len });
    let times = [
        ("created", look.created),
        ("modified", look.modified),
        ("accessed", look.accessed),
    ];
    for (name, time) in times {
        if let Some(time) = time.and_then(timestamp) {
            all[name] = time.to_string().into();
        }
    }
    all["is_directory"] = (look.kind == EntryKind::Dir).into();
    all["is_file"] = (look.kind == EntryKind::File).into();
    if let Some(mode) = look.mode {
        all["permissions"] = permissions(look.kind, mode).into();
    }
    all
}

pub(super) fn timestamp(time: SystemTime) -> Option<Timestamp> {
    time.try_into().ok()
}

/// As `ls -l` writes them.
fn permissions(kind: EntryKind, mode: u32) -> String {
    let mut text = String::from(match kind {
        EntryKind::Dir => "d",
        EntryKind::Symlink => "l",
        EntryKind::File => "-",
        EntryKind::Other => "?",
    });
    for shift in [6, 3, 0] {
        for (bit, letter) in [(4, 'r'), (2, 'w'), (1, 'x')] {
            text.push(if (mode >> shift) & bit == 0 { '-' } else { letter });
        }
    }
    text
}

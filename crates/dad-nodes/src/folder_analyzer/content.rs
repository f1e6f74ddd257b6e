//! Facts about one file, and its content.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::Path;
use std::time::SystemTime;

use dad_core::Timestamp;
use dad_fs::{Dir, EntryKind, Look};
use dad_runner::Stop;
use serde_json::{Map, Value, json};

use super::language::Language;
use super::media::media_type;
use super::outline::Outliner;
use super::room::{Amount, Room};
use super::words::WordCounter;
use super::{ContentExclusion, ContentReadMode, FolderAnalysisOperation, generated, notebook};

/// Files above this size, in bytes, are named and not read by default.
const MAX_FILE_SIZE: u64 = 1 << 20;

/// The largest size of a preview, and of the kept part of a generated file.
const PREVIEW: Amount = Amount {
    words: 100,
    ..Amount::ALL
};

/// The largest number of lines in a preview.
const PREVIEW_LINES: usize = 5;

/// The number of bytes at the beginning of a file that decide whether it is text.
const SNIFFED: usize = 8000;

/// The number of bytes at the beginning of a file that decide whether it is generated.
const SAMPLE: u64 = 64 << 10;

/// The number of bytes that are read at once of a file that is not kept.
const PIECE: usize = 64 << 10;

/// Reads files the way an operation asks for.
pub(super) struct Contents<'a> {
    mode: ContentReadMode,
    exclusions: &'a [ContentExclusion],
    limit: Option<u64>,
    primary: bool,
    stats: bool,
    detects: bool,
    pub(super) room: Room,
    outliner: Outliner<'a>,
    piece: Vec<u8>,
}

/// The figures that a file adds to those of its directory.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) size: u64,
    pub(super) words: usize,
    pub(super) error: Option<String>,
}

/// The origin of a file, beyond text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Made {
    /// By a person.
    ByHand,
    /// By a program, and what it is.
    Generated(&'static str),
    Notebook,
}

/// The part of a file that was read.
enum Loaded {
    Text {
        bytes: Vec<u8>,
        is_whole: bool,
        words: Option<usize>,
    },
    NotText(&'static str),
}

impl<'a> Contents<'a> {
    pub(super) fn new(operation: &'a FolderAnalysisOperation, mode: ContentReadMode, stop: &'a Stop) -> Self {
        Self {
            mode,
            exclusions: &operation.content_exclusions,
            limit: operation.max_file_size,
            primary: operation.include_primary_meta.unwrap_or(false),
            stats: operation.include_stats_and_meta.unwrap_or(false),
            detects: operation.detect_generated.unwrap_or(false),
            room: Room::new(operation),
            outliner: Outliner::new(operation.content_structure_detail_level.unwrap_or_default(), stop),
            piece: Vec::new(),
        }
    }

    /// The number of fields of an ordinary file; room for more would be most of what is kept of many small files.
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
        let reported = match kind {
            EntryKind::File => self.file(dir, name, info),
            _ => self.other(dir, name, kind, info).map(|()| Facts::default()),
        };
        reported.unwrap_or_else(|error| {
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
        let mut made = self.made_by_name(name);
        let used_up = self.room.used_up();
        let wanted = self.mode != ContentReadMode::None;
        let keeps = wanted && used_up.is_none();
        if let Some(left_out) = used_up.filter(|_| wanted) {
            info.insert("content_left_out".into(), left_out.into());
        }
        if !keeps && !self.primary {
            tell_made(made, info);
            return Ok(facts);
        }
        let Some((mut file, len)) = dir.open_regular(name).map_err(|error| error.source)? else {
            return Err(io::Error::other("it is no longer a regular file"));
        };
        facts.size = len;
        let limit = self.limit(made);
        if len > limit {
            let left_out = format!("{len} bytes are more than `max_file_size` {limit}");
            info.insert("content_left_out".into(), left_out.into());
            tell_made(made, info);
            return Ok(facts);
        }
        // Files of the system itself say that they are empty; of them as much is read as of any other.
        let len = if len == 0 { limit } else { len };
        let mut beginning = Vec::new();
        if self.detects && made == Made::ByHand {
            Read::by_ref(&mut file)
                .take(len.min(SAMPLE))
                .read_to_end(&mut beginning)?;
            made = generated::by_beginning(name, &beginning).map_or(made, Made::Generated);
        }
        tell_made(made, info);
        let rest = len - u64::try_from(beginning.len()).unwrap_or(len).min(len);
        let all = beginning.as_slice().chain(file.take(rest));
        match self.load(all, len, keeps, made)? {
            Loaded::NotText(why) => {
                info.insert("content_left_out".into(), why.into());
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
                    self.keep(name, bytes, is_whole, made, info, &mut facts);
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

    /// The origin of a file, as far as its name says it.
    fn made_by_name(&self, name: &OsStr) -> Made {
        if !self.detects {
            return Made::ByHand;
        }
        if Path::new(name)
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("ipynb"))
        {
            return Made::Notebook;
        }
        generated::by_name(name).map_or(Made::ByHand, Made::Generated)
    }

    /// The size above which a file is not read.
    fn limit(&self, made: Made) -> u64 {
        let usual = match made {
            Made::Notebook => notebook::MAX_NOTEBOOK,
            Made::ByHand | Made::Generated(_) => MAX_FILE_SIZE,
        };
        self.limit.unwrap_or(usual)
    }

    /// The size of the beginning of a file that is kept; nothing if all of it is needed to know.
    fn prefix(&self, made: Made) -> Option<Amount> {
        let left = self.room.left();
        match (made, self.mode) {
            (Made::Notebook, _) => None,
            (Made::Generated(_), _) | (_, ContentReadMode::Preview) => Some(left.min(PREVIEW)),
            (_, ContentReadMode::Full) if self.exclusions.is_empty() => {
                Some(left).filter(|left| !left.is_all())
            }
            (_, ContentReadMode::Full | ContentReadMode::Structure | ContentReadMode::None) => None,
        }
    }

    /// Reads a file as long as it was when it was opened: all of it at once if all of it is kept, else in pieces.
    fn load(&mut self, mut file: impl Read, len: u64, keeps: bool, made: Made) -> io::Result<Loaded> {
        let prefix = self.prefix(made);
        if keeps && prefix.is_none() {
            return self.load_whole(file, Some(len).filter(|len| *len < self.limit(made)));
        }
        let most = prefix.filter(|_| keeps);
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
                return Ok(Loaded::NotText(not_text(piece)));
            }
            seen = true;
            counter.feed(piece);
            if keeping {
                kept.extend_from_slice(piece);
                keeping = most.is_some_and(|most| counter.words <= most.words && kept.len() <= most.bytes);
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

    fn load_whole(&self, mut file: impl Read, len: Option<u64>) -> io::Result<Loaded> {
        let mut bytes = Vec::new();
        if let Some(len) = len {
            let capacity = usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
            bytes.try_reserve_exact(capacity)?;
        }
        file.read_to_end(&mut bytes)?;
        if is_binary(&bytes) {
            return Ok(Loaded::NotText(not_text(&bytes)));
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
        mut is_whole: bool,
        made: Made,
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
        let mut wrong = |reason: String, text: String| {
            info.insert("error".into(), reason.clone().into());
            facts.error = Some(reason);
            text
        };
        let text = match made {
            Made::Notebook => notebook::as_text(&text)
                .unwrap_or_else(|reason| wrong(format!("the file is no notebook: {reason}"), text)),
            Made::ByHand | Made::Generated(_) => text,
        };
        let language = Language::of(name);
        let (field, text, most) = match (made, self.mode) {
            (_, ContentReadMode::Preview) => (super::settings::PREVIEW, first_lines(text), PREVIEW),
            (Made::Generated(_), _) => {
                let beginning = first_lines(text.clone());
                is_whole &= beginning.len() == text.len();
                ("content", beginning, PREVIEW)
            }
            (_, ContentReadMode::Structure) => match self.outliner.outline(language, &text) {
                Ok(Some(outline)) => ("content_structure", outline, Amount::ALL),
                Ok(None) => ("content", text, Amount::ALL),
                Err(reason) => ("content", wrong(reason.to_owned(), text), Amount::ALL),
            },
            (_, ContentReadMode::Full | ContentReadMode::None) => (
                "content",
                self.outliner.strip(language, text, self.exclusions),
                Amount::ALL,
            ),
        };
        let taken = self.room.take(&text, most);
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

/// Tells what a file is that no person wrote as it is.
fn tell_made(made: Made, info: &mut Map<String, Value>) {
    match made {
        Made::ByHand => {}
        Made::Generated(what) => {
            info.insert("generated".into(), what.into());
        }
        Made::Notebook => {
            info.insert("notebook".into(), true.into());
        }
    }
}

fn is_binary(beginning: &[u8]) -> bool {
    beginning[..beginning.len().min(SNIFFED)].contains(&0)
}

/// Why what has a NUL byte is not read.
fn not_text(beginning: &[u8]) -> &'static str {
    match beginning {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "the file is text in UTF-16, and only UTF-8 is read",
        _ => "the file is not text",
    }
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

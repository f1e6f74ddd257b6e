//! A tree with what is asked of its files.

use std::collections::BTreeMap;
use std::path::Path;

use dad_fs::EntryKind;
use serde_json::{Map, Value};

use super::content::{Contents, metadata};
use super::drawing::Drawing;
use super::ignored::Ignored;
use super::patterns::Why;
use super::place::Ground;
use super::settings::{FolderAnalysisOperation, MAX_ERRORS};
use super::walk::{MAX_LEVELS, Spot, Visit};

/// Deepest level of an analysis: readers of JSON stop at a depth of 128, and each level takes two.
pub(super) const MAX_NESTING: usize = 50;

/// Puts an analysis together while a tree is walked.
pub(super) struct Analysis<'a, 'b> {
    ground: &'b Ground,
    with_root: bool,
    primary: bool,
    stats: bool,
    flat: bool,
    levels: usize,
    contents: &'b mut Contents<'a>,
    drawing: Option<Drawing>,
    /// The directories that are open, the outermost first.
    frames: Vec<Frame>,
    ignored: Option<Ignored>,
    errors: Vec<String>,
}

/// A directory that is being looked into.
struct Frame {
    info: Map<String, Value>,
    children: Vec<Value>,
    errors: Vec<Value>,
    files: usize,
    dirs: usize,
    below: Tally,
}

/// The numbers of a tree.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) files: usize,
    pub(super) dirs: usize,
    pub(super) size: u64,
    pub(super) words: usize,
    pub(super) types: BTreeMap<String, usize>,
}

impl Tally {
    pub(super) fn add(&mut self, other: &Self) {
        self.files += other.files;
        self.dirs += other.dirs;
        self.size += other.size;
        self.words += other.words;
        for (name, count) in &other.types {
            *self.types.entry(name.clone()).or_default() += count;
        }
    }
}

/// The end of an analysis.
pub(super) struct Analysed {
    pub(super) tree: Value,
    pub(super) drawing: Option<Drawing>,
    pub(super) tally: Tally,
    pub(super) ignored: Option<Ignored>,
    pub(super) errors: Vec<String>,
}

impl<'a, 'b> Analysis<'a, 'b> {
    /// An analysis of what is below `start`.
    pub(super) fn new(
        ground: &'b Ground,
        start: &Path,
        operation: &FolderAnalysisOperation,
        contents: &'b mut Contents<'a>,
        drawing: Option<Drawing>,
    ) -> Self {
        let flat = operation.flat.unwrap_or(false);
        let deepest = if flat { MAX_LEVELS } else { MAX_NESTING };
        let mut analysis = Self {
            ground,
            with_root: operation.include_root_in_path.unwrap_or(false),
            primary: operation.include_primary_meta.unwrap_or(false),
            stats: operation.include_stats_and_meta.unwrap_or(false),
            flat,
            levels: operation.max_depth.unwrap_or(usize::MAX).min(deepest),
            contents,
            drawing,
            frames: Vec::new(),
            ignored: Ignored::wanted(operation),
            errors: Vec::new(),
        };
        let frame = analysis.frame(start);
        analysis.frames.push(frame);
        analysis
    }

    /// Levels that have to be looked into.
    pub(super) fn levels(&self) -> usize {
        let drawn = self.drawing.as_ref().map_or(0, Drawing::levels);
        self.levels.max(drawn)
    }

    /// Adds what is not in a directory that is walked.
    pub(super) fn add(&mut self, at: &Spot<'_>) {
        let mut info = self.info(at.path);
        let facts = self.contents.describe(at.dir, at.name, at.kind, &mut info);
        if let Some(error) = facts.error {
            let error = format!("{}: {error}", info["path"].as_str().unwrap_or_default());
            self.error(error);
        }
        let is_file = at.kind == EntryKind::File;
        let Some(frame) = self.frames.last_mut() else {
            return;
        };
        if is_file {
            frame.files += 1;
            frame.below.files += 1;
            frame.below.size += facts.size;
            frame.below.words += facts.words;
            if self.primary {
                let extension = Path::new(at.name).extension();
                let name = extension.map_or_else(String::new, |extension| {
                    format!(".{}", extension.to_string_lossy().to_lowercase())
                });
                *frame.below.types.entry(name).or_default() += 1;
            }
        }
        let child = Value::Object(info);
        let place = if self.flat {
            self.frames.first_mut()
        } else {
            self.frames.last_mut()
        };
        if let Some(frame) = place {
            frame.children.push(child);
        }
    }

    fn info(&self, path: &Path) -> Map<String, Value> {
        let mut info = Map::with_capacity(1 + self.contents.fields());
        let (shown, exact) = self.ground.shown(path, self.with_root);
        info.insert("path".into(), shown.into());
        if !exact {
            info.insert("name_is_not_utf8".into(), true.into());
        }
        info
    }

    fn frame(&self, path: &Path) -> Frame {
        Frame {
            info: self.info(path),
            children: Vec::new(),
            errors: Vec::new(),
            files: 0,
            dirs: 0,
            below: Tally::default(),
        }
    }

    fn error(&mut self, error: String) {
        if let Some(frame) = self.frames.last_mut() {
            frame.errors.push(error.clone().into());
        }
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(error);
        }
    }

    fn close(&self, frame: Frame) -> (Value, Tally) {
        let Frame {
            mut info,
            children,
            errors,
            files,
            dirs,
            below,
        } = frame;
        let mut set = |name: &str, value: Value| {
            info.insert(name.to_owned(), value);
        };
        set("children", children.into());
        if self.primary {
            set("file_count", files.into());
            set("dir_count", dirs.into());
            set("total_files", below.files.into());
            set("total_directories", below.dirs.into());
            set("total_size", below.size.into());
            set("word_count", below.words.into());
            set(
                "file_types",
                below
                    .types
                    .iter()
                    .map(|(name, count)| (name.clone(), Value::from(*count)))
                    .collect(),
            );
        }
        if !errors.is_empty() {
            set("errors", errors.into());
        }
        (Value::Object(info), below)
    }

    /// The whole of it.
    pub(super) fn finish(mut self) -> Analysed {
        let (tree, tally) = match self.frames.pop() {
            Some(frame) => self.close(frame),
            None => (Value::Null, Tally::default()),
        };
        Analysed {
            tree,
            tally,
            drawing: self.drawing,
            ignored: self.ignored,
            errors: self.errors,
        }
    }

    fn counts_dir(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.dirs += 1;
            frame.below.dirs += 1;
        }
    }
}

impl Visit for Analysis<'_, '_> {
    fn enter(&mut self, at: &Spot<'_>) {
        if at.depth > self.levels {
            self.cut(at);
            return;
        }
        if let Some(drawing) = &mut self.drawing {
            drawing.add(at);
        }
        self.counts_dir();
        let mut frame = self.frame(at.path);
        if self.stats
            && let Ok(Some(look)) = at.dir.look(at.name)
            && let Value::Object(all) = metadata(&look)
        {
            let reported = all.into_iter().filter(|(name, _)| !name.starts_with("is_"));
            frame.info.extend(reported);
        }
        self.frames.push(frame);
    }

    fn leave(&mut self, depth: usize) {
        if depth > self.levels {
            return;
        }
        if let Some(frame) = self.frames.pop() {
            let (child, tally) = self.close(frame);
            if let Some(parent) = self.frames.last_mut() {
                parent.below.add(&tally);
                if !self.flat {
                    parent.children.push(child);
                }
            }
        }
    }

    fn cut(&mut self, at: &Spot<'_>) {
        if let Some(drawing) = &mut self.drawing {
            drawing.add(at);
        }
        if at.depth != self.levels + 1 {
            return;
        }
        self.counts_dir();
        let mut info = self.info(at.path);
        info.insert("children".into(), Value::Array(Vec::new()));
        info.insert("truncated".into(), true.into());
        if !self.flat
            && let Some(frame) = self.frames.last_mut()
        {
            frame.children.push(Value::Object(info));
        }
    }

    fn entry(&mut self, at: &Spot<'_>) {
        if let Some(drawing) = &mut self.drawing {
            drawing.add(at);
        }
        if at.depth <= self.levels.saturating_add(1) {
            self.add(at);
        }
    }

    fn left_out(&mut self, path: &Path, why: &Why) {
        if let Some(ignored) = &mut self.ignored {
            ignored.add(self.ground, path, self.with_root, why);
        }
    }

    fn problem(&mut self, path: &Path, message: String) {
        let shown = self.ground.shown(path, self.with_root).0;
        self.error(format!("{shown}: {message}"));
    }
}

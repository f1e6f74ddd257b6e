//! Files that a definition includes, none outside its project.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use dad_fs::Dir;

use crate::problem::{Problem, quoted};
use crate::source::SourceFile;
use crate::spans::SpanMap;

/// Longest text of a definition. One that was resolved has its included files in it.
pub(crate) const MAX_TEXT: u64 = 64 << 20;

/// Most bytes that all `$file` and `$json` of a definition bring in together, each use counted.
const MAX_INCLUDED: usize = 8 << 20;

/// Deepest chain of files that use each other.
const MAX_USE_DEPTH: usize = 20;

/// Reads the files that a definition includes: each once, none outside the project.
#[derive(Debug, Default)]
pub(crate) struct Includes {
    /// The directory of the definition; names in it are relative to it.
    base: Option<PathBuf>,
    /// The real path of the definition itself, if it is a file.
    definition: Option<PathBuf>,
    /// The files being read that are used by each other, the innermost last.
    stack: Vec<(usize, PathBuf)>,
    /// The real path of the directory that every file must be in.
    root: Option<PathBuf>,
    /// The file number of what was read, by real path.
    read: HashMap<PathBuf, usize>,
    bytes: usize,
}

impl Includes {
    /// Files relative to `base`, contained in `root` or, if the definition itself is not in there, in `base`.
    pub(crate) fn new(base: Option<&Path>, root: Option<&Path>, file_name: &str) -> Self {
        let real = |path: &Path| path.canonicalize().ok();
        let base = base.map(|base| {
            if base.as_os_str().is_empty() {
                Path::new(".")
            } else {
                base
            }
        });
        let real_base = base.and_then(real);
        let real_root = root.and_then(real);
        let root = match (real_root, real_base) {
            (Some(root), Some(base)) if base.starts_with(&root) => Some(root),
            (Some(root), None) => Some(root),
            (_, base) => base,
        };
        let base = base.map(Path::to_path_buf).or_else(|| root.clone());
        let definition = base.as_ref().and_then(|base| {
            let name = Path::new(file_name).file_name()?;
            real(&base.join(name))
        });
        Self {
            definition,
            stack: Vec::new(),
            base,
            root,
            read: HashMap::new(),
            bytes: 0,
        }
    }

    /// Reads a file and returns its number.
    pub(crate) fn read(&mut self, name: &str, spans: &mut SpanMap) -> Result<usize, Box<Problem>> {
        let path = self.resolve(name)?;
        self.read_path(path, name, spans)
    }

    /// Reads a definition that the current one uses, and returns its number.
    pub(crate) fn open(&mut self, name: &str, spans: &mut SpanMap) -> Result<usize, Box<Problem>> {
        let path = self.resolve(name)?;
        if !crate::parse::is_known(&path) {
            let message = format!(
                "{} is no definition: its name must end in `.yaml`, `.yml` or `.json`",
                quoted(name)
            );
            return Err(Problem::new("unknown_format", message).into());
        }
        let around = self
            .definition
            .iter()
            .chain(self.stack.iter().map(|(_, path)| path));
        if let Some(at) = around.clone().position(|file| *file == path) {
            let chain: Vec<String> = around
                .skip(at)
                .chain([&path])
                .map(|file| self.shown(file, name))
                .collect();
            let message = format!("{} uses itself", quoted(&self.shown(&path, name)));
            let hint = format!("the files use each other: {}", chain.join(" → "));
            return Err(Problem::new("use_cycle", message).hint(hint).into());
        }
        if self.stack.len() >= MAX_USE_DEPTH {
            let message = format!("files use each other more than {MAX_USE_DEPTH} levels deep");
            return Err(Problem::new("too_deep", message).into());
        }
        self.read_path(path, name, spans)
    }

    /// Makes a file that was opened the one that names are relative to.
    pub(crate) fn enter(&mut self, file: usize) {
        let path = self.read.iter().find(|(_, number)| **number == file);
        let path = path.map(|(path, _)| path.clone()).unwrap_or_default();
        self.stack.push((file, path));
    }

    /// Goes back to the file that uses the current one.
    pub(crate) fn leave(&mut self) {
        self.stack.pop();
    }

    /// The number of the file being read.
    pub(crate) fn current(&self) -> usize {
        self.stack.last().map_or(0, |(file, _)| *file)
    }

    fn read_path(&mut self, path: PathBuf, name: &str, spans: &mut SpanMap) -> Result<usize, Box<Problem>> {
        let number = match self.read.get(&path) {
            Some(number) => *number,
            None => {
                let text = self
                    .read_inside(&path)
                    .map_err(|unreadable| Box::new(unreadable.about(name)))?;
                let number = spans.add_file(SourceFile::new(self.shown(&path, name), &text));
                self.read.insert(path, number);
                number
            }
        };
        // Every use counts, because every use becomes a part of the definition.
        self.bytes += spans.sources().get(number).map_or(0, |source| source.text.len());
        if self.bytes > MAX_INCLUDED {
            let limit = MAX_INCLUDED >> 20;
            let message = format!("the included files have more than {limit} MiB together, each use counted");
            return Err(Problem::new("too_large", message)
                .hint("let a node read large files")
                .into());
        }
        Ok(number)
    }

    /// The text of a file in the root, which stays open: a file or directory that has been exchanged
    /// since it was resolved leads nowhere else.
    fn read_inside(&self, path: &Path) -> Result<String, Unreadable> {
        let (Some(root), Some(below)) = (
            &self.root,
            self.root.as_ref().and_then(|root| path.strip_prefix(root).ok()),
        ) else {
            return read_text(path);
        };
        let failed = |error: dad_fs::FsError| Unreadable::new("file_unreadable", error.source.to_string());
        let dir = Dir::open(root).map_err(failed)?;
        match dir.open_regular(below).map_err(failed)? {
            Some((file, _)) => text_of(file),
            None => Err(Unreadable::new("file_unreadable", "it is not a file")),
        }
    }

    fn resolve(&self, name: &str) -> Result<PathBuf, Box<Problem>> {
        let used_from = self.stack.last().and_then(|(_, path)| path.parent());
        let base = used_from.or(self.base.as_deref());
        let (Some(base), Some(root)) = (base, &self.root) else {
            let message = "there is no directory from which files could be read here";
            let problem = Problem::new("include_not_possible", message);
            return Err(problem.hint("load the definition from a file").into());
        };
        let relative = Path::new(name);
        let inside = relative.components().all(|part| {
            matches!(
                part,
                Component::Normal(_) | Component::CurDir | Component::ParentDir
            )
        });
        if !inside || name.is_empty() || name.contains('\0') {
            let message = format!("{} is not a relative path", quoted(name));
            return Err(Problem::new("include_path", message)
                .hint("name a file relative to this one")
                .into());
        }
        let wanted = base.join(relative);
        let outside = || {
            let message = format!("{} leads out of the project", quoted(name));
            let hint = format!(
                "only files in {} can be included",
                quoted(&root.display().to_string())
            );
            Box::new(Problem::new("include_outside", message).hint(hint))
        };
        // First, so that an error about a path outside does not even say whether it exists.
        if !existing_part(&wanted).is_some_and(|part| part.starts_with(root)) {
            return Err(outside());
        }
        let real = wanted
            .canonicalize()
            .map_err(|error| Box::new(missing(name, &wanted, root, &error)))?;
        if real.starts_with(root) {
            Ok(real)
        } else {
            Err(outside())
        }
    }

    fn shown(&self, path: &Path, name: &str) -> String {
        let relative = self.root.as_ref().and_then(|root| path.strip_prefix(root).ok());
        relative.map_or_else(|| name.to_owned(), |path| path.to_string_lossy().into_owned())
    }
}

/// The real path of the longest part of a path that exists.
fn existing_part(path: &Path) -> Option<PathBuf> {
    path.ancestors().find_map(|ancestor| ancestor.canonicalize().ok())
}

fn missing(name: &str, wanted: &Path, root: &Path, error: &std::io::Error) -> Problem {
    let problem = Problem::new(
        "file_unreadable",
        format!("cannot read {}: {error}", quoted(name)),
    );
    let directory = wanted.parent().and_then(|parent| parent.canonicalize().ok());
    let neighbours: Vec<String> = directory
        .filter(|directory| directory.starts_with(root))
        .and_then(|directory| directory.read_dir().ok())
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    let file_name = wanted
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    problem.nearest(file_name, neighbours.iter().map(String::as_str))
}

/// Why a file's text cannot be had; what it is called is added by who asked.
pub(crate) struct Unreadable {
    code: &'static str,
    reason: String,
}

impl Unreadable {
    fn new(code: &'static str, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }

    pub(crate) fn about(self, name: &str) -> Problem {
        Problem::new(
            self.code,
            format!("cannot read {}: {}", quoted(name), self.reason),
        )
    }
}

/// The text of a regular file of moderate size.
pub(crate) fn read_text(path: &Path) -> Result<String, Unreadable> {
    let io_error = |error: std::io::Error| Unreadable::new("file_unreadable", error.to_string());
    // Before opening, because opening a pipe waits for its writer.
    if !path.metadata().map_err(io_error)?.is_file() {
        let reason = if path.is_dir() {
            "it is a directory"
        } else {
            "it is not a file"
        };
        return Err(Unreadable::new("file_unreadable", reason));
    }
    File::open(path).map_err(io_error).and_then(text_of)
}

fn text_of(file: File) -> Result<String, Unreadable> {
    let mut bytes = Vec::new();
    file.take(MAX_TEXT + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Unreadable::new("file_unreadable", error.to_string()))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_TEXT {
        return Err(Unreadable::new(
            "too_large",
            format!("it has more than {} MiB", MAX_TEXT >> 20),
        ));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let lines = error.as_bytes().iter().take(good).filter(|byte| **byte == b'\n');
        let line = lines.count() + 1;
        Unreadable::new(
            "not_utf8",
            format!("it is not UTF-8 text, in line {line}: save it in UTF-8"),
        )
    })?;
    if text.contains('\0') {
        Err(Unreadable::new("nul", "it contains a NUL byte"))
    } else {
        Ok(text)
    }
}

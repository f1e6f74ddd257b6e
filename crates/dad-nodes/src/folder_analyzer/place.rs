//! The places that operations may look at.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use dad_fs::Dir;
use dad_runner::NodeError;

use super::FolderAnalyzerSettings;

/// The directories that may be looked at, open, so that whatever is changed meanwhile leads nowhere else.
pub(super) struct Ground {
    /// The base directory, without links.
    pub(super) base: PathBuf,
    roots: Vec<(PathBuf, Dir)>,
    relative: bool,
}

/// A place that an operation names.
pub(super) struct Place<'a> {
    root: &'a Dir,
    /// Below the root.
    below: PathBuf,
    /// From the root of the file system, without links.
    pub(super) path: PathBuf,
}

impl Ground {
    pub(super) fn open(base: &Path, settings: &FolderAnalyzerSettings) -> Result<Self, NodeError> {
        let base = real("base_directory", base)?;
        let mut roots = Vec::new();
        for allowed in &settings.allowed_directories {
            let path = real("allowed_directories", &base.join(allowed))?;
            roots.push((path.clone(), Dir::open(&path)?));
        }
        if roots.is_empty() {
            roots.push((base.clone(), Dir::open(&base)?));
        }
        let relative = settings.use_relative_paths.unwrap_or(true);
        Ok(Self {
            base,
            roots,
            relative,
        })
    }

    /// The place a path names, which may be anything that exists inside.
    pub(super) fn place(&self, path: &str) -> Result<Place<'_>, NodeError> {
        if path.contains('\0') {
            let message = format!("{path:?} is no path: it contains a NUL byte");
            return Err(NodeError::new("folder", message).permanent());
        }
        let wanted = self.base.join(path);
        // First, so that an error about a path outside does not even say whether it exists.
        if existing_part(&wanted).is_none_or(|part| self.root_of(&part).is_none()) {
            return Err(self.outside(path));
        }
        let real = wanted.canonicalize().map_err(|error| {
            NodeError::new(
                "folder",
                format!("`{path}` in `{}`: {error}", self.base.display()),
            )
        })?;
        let (from, root) = self.root_of(&real).ok_or_else(|| self.outside(path))?;
        let below = real.strip_prefix(from).unwrap_or(&real).to_path_buf();
        if below.iter().any(is_git) {
            let message = format!("`{path}` is git's own data, which is no part of the tree it describes");
            return Err(NodeError::new("git_directory", message)
                .with_hint("ask git itself, by a `command` node")
                .permanent());
        }
        Ok(Place {
            root,
            below,
            path: real,
        })
    }

    fn root_of(&self, path: &Path) -> Option<(&Path, &Dir)> {
        let found = self.roots.iter().find(|(root, _)| path.starts_with(root));
        found.map(|(root, dir)| (root.as_path(), dir))
    }

    fn outside(&self, path: &str) -> NodeError {
        let roots: Vec<String> = self
            .roots
            .iter()
            .map(|(root, _)| format!("`{}`", root.display()))
            .collect();
        let message = format!("`{path}` lies outside {}", roots.join(" and "));
        NodeError::new("outside", message)
            .with_hint("name a path inside, or add its directory to `allowed_directories`")
            .permanent()
    }

    /// A path as results show it, and whether that is all of it: bytes that are no text are written as `\xNN`.
    pub(super) fn shown(&self, path: &Path, with_root: bool) -> (String, bool) {
        let below = if self.relative {
            path.strip_prefix(&self.base).ok()
        } else {
            None
        };
        let Some(below) = below else {
            return text_of(path.as_os_str());
        };
        let (text, exact) = if below.as_os_str().is_empty() {
            (".".to_owned(), true)
        } else {
            text_of(below.as_os_str())
        };
        match self.base.file_name().filter(|_| with_root) {
            Some(root) if text == "." => text_of(root),
            Some(root) => (format!("{}/{text}", text_of(root).0), exact),
            None => (text, exact),
        }
    }
}

impl Place<'_> {
    /// The directory, `None` if the place is something else.
    pub(super) fn dir(&self) -> Result<Option<Dir>, NodeError> {
        if self.below.as_os_str().is_empty() {
            return Ok(Some(self.root.clone()));
        }
        // Between the check and this, another thing may have come to stand there; it is opened inside the root or not at all.
        match self.root.look(&self.below)? {
            Some(look) if look.kind == dad_fs::EntryKind::Dir => Ok(Some(self.root.open_dir(&self.below)?)),
            _ => Ok(None),
        }
    }

    /// The directory it is in, and its name there.
    pub(super) fn parent(&self) -> Result<(Dir, &OsStr), NodeError> {
        let name = self.below.file_name().unwrap_or_default();
        let dir = match self
            .below
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            Some(parent) => self.root.open_dir(parent)?,
            None => self.root.clone(),
        };
        Ok((dir, name))
    }
}

/// Whether a name is that of git's own data, however it is written on a file system that ignores case.
pub(super) fn is_git(name: &OsStr) -> bool {
    name.eq_ignore_ascii_case(".git")
}

fn real(setting: &'static str, path: &Path) -> Result<PathBuf, NodeError> {
    let unusable = |reason: String| {
        let message = format!(
            "the directory `{}` of `{setting}` cannot be used: {reason}",
            path.display()
        );
        NodeError::new(setting, message).permanent()
    };
    let real = path.canonicalize().map_err(|error| unusable(error.to_string()))?;
    if real.is_dir() {
        Ok(real)
    } else {
        Err(unusable("it is not a directory".to_owned()))
    }
}

/// The real path of the longest part of a path that exists.
fn existing_part(path: &Path) -> Option<PathBuf> {
    path.ancestors().find_map(|ancestor| ancestor.canonicalize().ok())
}

/// A name as text, with `/` between its parts, and whether that is all of it.
pub(super) fn text_of(name: &OsStr) -> (String, bool) {
    match name.to_str() {
        Some(text) => (with_slashes(text).into_owned(), true),
        None => (escaped(name), false),
    }
}

fn with_slashes(text: &str) -> Cow<'_, str> {
    if cfg!(windows) {
        text.replace('\\', "/").into()
    } else {
        text.into()
    }
}

fn escaped(name: &OsStr) -> String {
    let mut text = String::new();
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02X}"));
        }
    }
    text
}

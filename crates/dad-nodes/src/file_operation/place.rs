//! Places of files: paths in the directories that operations may change, none outside of them.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use dad_fs::{Dir, Durability, EntryKind, Gate, Share};
use dad_runner::NodeError;
use serde::{Deserialize, Serialize};

use super::protected::{Obeyed, Protected};

/// Bytes a name may have on every file system we know.
const LONGEST_NAME: usize = 255;

/// Bytes a path may have, and names in it.
const LONGEST_PATH: usize = 4096;
pub(crate) const DEEPEST_PATH: usize = 200;

/// The place of a file or directory: one of the directories, and a path in it, normal and with `/`. The path of a
/// directory itself is empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) root: usize,
    pub(crate) path: String,
}

impl Place {
    pub(crate) fn is_root(&self) -> bool {
        self.path.is_empty()
    }

    pub(crate) fn join(&self, name: &str) -> Self {
        let path = if self.is_root() {
            name.to_owned()
        } else {
            format!("{}/{name}", self.path)
        };
        Self {
            root: self.root,
            path,
        }
    }

    pub(crate) fn parent(&self) -> Option<Self> {
        let path = match self.path.rsplit_once('/') {
            _ if self.is_root() => return None,
            Some((parent, _)) => parent.to_owned(),
            None => String::new(),
        };
        Some(Self {
            root: self.root,
            path,
        })
    }

    pub(crate) fn name(&self) -> &str {
        self.path
            .rsplit_once('/')
            .map_or(self.path.as_str(), |(_, name)| name)
    }

    /// Whether it stands somewhere below another one.
    pub(crate) fn is_below(&self, other: &Self) -> bool {
        let rest = self.path.strip_prefix(&other.path);
        self.root == other.root
            && self.path.len() > other.path.len()
            && (other.is_root() || rest.is_some_and(|rest| rest.starts_with('/')))
    }
}

/// The directories that operations may work in, the base directory first.
#[derive(Debug)]
pub(crate) struct Roots {
    dirs: Vec<Root>,
    relative_only: bool,
    protected: Arc<Protected>,
}

#[derive(Debug)]
struct Root {
    /// As the settings name it.
    named: PathBuf,
    /// Without links.
    real: PathBuf,
    dir: Dir,
}

impl Root {
    fn open(named: PathBuf, setting: &str, gate: &Gate) -> Result<Self, NodeError> {
        let wrong = |error: &dyn std::error::Error| {
            let message = format!("`{setting}` `{}` cannot be opened: {error}", named.display());
            NodeError::new(setting, message).permanent()
        };
        let real = named.canonicalize().map_err(|error| wrong(&error))?;
        if segments(&real).any(|segment| is_git_data(&segment)) {
            let message = format!(
                "`{setting}` `{}` lies in the data of a repository",
                named.display()
            );
            return Err(NodeError::new("outside", message).permanent());
        }
        let dir = Dir::open_with(&real, gate.clone()).map_err(|error| wrong(&error))?;
        Ok(Self { named, real, dir })
    }
}

pub(crate) fn segments(path: &Path) -> impl Iterator<Item = String> {
    path.components().filter_map(|component| match component {
        Component::Normal(segment) => Some(segment.to_string_lossy().into_owned()),
        _ => None,
    })
}

impl Roots {
    pub(crate) fn open(
        base: PathBuf,
        allowed: Vec<PathBuf>,
        relative_only: bool,
        gate: &Gate,
        protected: Arc<Protected>,
    ) -> Result<Self, NodeError> {
        let mut dirs = vec![Root::open(base, "base_directory", gate)?];
        let mut others = Vec::new();
        for dir in allowed {
            others.push(Root::open(dir, "allowed_directories", gate)?);
        }
        // One inside another adds nothing, and would give one file two places. The order is that of the settings, wherever the
        // directories lie: plans name them by it.
        let is_inside = |at: usize, other: &Root| {
            let around = |(index, root): (usize, &Root)| {
                other.real.starts_with(&root.real) && (other.real != root.real || index < at)
            };
            other.real.starts_with(&dirs[0].real) || others.iter().enumerate().any(around)
        };
        let kept: Vec<bool> = others
            .iter()
            .enumerate()
            .map(|(at, other)| !is_inside(at, other))
            .collect();
        let others = others.into_iter().zip(kept);
        dirs.extend(others.filter_map(|(other, is_kept)| is_kept.then_some(other)));
        Ok(Self {
            dirs,
            relative_only,
            protected,
        })
    }

    /// The directories of a plan, in its order and as they are, whatever lies inside another. None may be reached by a link
    /// by now.
    pub(crate) fn recorded(dirs: Vec<PathBuf>) -> Result<Self, NodeError> {
        let open = |dir: PathBuf| {
            let root = Root::open(dir.clone(), "base_directory", &Gate::default())?;
            if root.real == dir {
                Ok(root)
            } else {
                let message = format!("`{}` is reached by a symbolic link now", dir.display());
                Err(NodeError::new("link", message).permanent())
            }
        };
        Ok(Self {
            dirs: dirs.into_iter().map(open).collect::<Result<_, _>>()?,
            relative_only: false,
            protected: Arc::default(),
        })
    }

    /// The directories, without links.
    pub(crate) fn real_paths(&self) -> Vec<&Path> {
        self.dirs.iter().map(|root| root.real.as_path()).collect()
    }

    pub(crate) fn dirs(&self) -> impl Iterator<Item = &Dir> {
        self.dirs.iter().map(|root| &root.dir)
    }

    pub(crate) fn real(&self, root: usize) -> &Path {
        &self.dirs[root].real
    }

    /// Whether a directory holds one that operations may work in.
    pub(crate) fn holds_a_root(&self, place: &Place) -> bool {
        let dir = self.dirs[place.root].real.join(&place.path);
        self.dirs.iter().any(|root| root.real.starts_with(&dir))
    }

    /// A place as results show it.
    pub(crate) fn shown(&self, place: &Place) -> String {
        match (place.root, place.is_root()) {
            (0, true) => ".".to_owned(),
            (0, false) => place.path.clone(),
            (root, _) => self.dirs[root].real.join(&place.path).display().to_string(),
        }
    }

    /// The place of something to be changed that a path names, below one of the directories.
    pub(crate) fn place(&self, path: Option<&str>, field: &str) -> Result<Place, NodeError> {
        let place = self.place_or_root(path, field)?;
        let shown = path.unwrap_or_default();
        if place.is_root() {
            return Err(outside(shown, "is the base directory itself"));
        }
        match self.protection(&place) {
            Some(reason) => Err(outside(shown, reason)),
            None => Ok(place),
        }
    }

    /// Why what stands at a place is not to be changed.
    pub(crate) fn protection(&self, place: &Place) -> Option<&'static str> {
        self.protected
            .reason(&self.dirs[place.root].real.join(&place.path))
    }

    /// Which tool obeys what stands at a place, unless the definition allows to change it.
    pub(crate) fn obeyed(&self, place: &Place) -> Option<Obeyed> {
        let path = self.dirs[place.root].real.join(&place.path);
        self.protected.obeyed(&path)
    }

    /// The place a path names, which may be one of the directories.
    pub(crate) fn place_or_root(&self, path: Option<&str>, field: &str) -> Result<Place, NodeError> {
        let path = path
            .filter(|path| !path.is_empty())
            .ok_or_else(|| missing(field))?;
        check_characters(path)?;
        let (root, rest) = if Path::new(path).is_absolute() {
            self.root_of(path)?
        } else {
            (0, Path::new(path))
        };
        let mut names = Vec::new();
        for component in rest.components() {
            match component {
                Component::Normal(segment) => names.push(segment.to_string_lossy().into_owned()),
                Component::CurDir => {}
                _ => return Err(outside(path, "leads out of the base directory")),
            }
        }
        if path.len() > LONGEST_PATH || names.len() > DEEPEST_PATH {
            let message = format!(
                "a path has {} bytes and {} names, and {LONGEST_PATH} and {DEEPEST_PATH} are the most: `{}…`",
                path.len(),
                names.len(),
                path.chars().take(40).collect::<String>()
            );
            return Err(NodeError::new("invalid_path", message));
        }
        if names.iter().any(|name| is_git_data(name)) {
            return Err(outside(path, "is the repository's own data"));
        }
        if let Some(long) = names.iter().find(|name| name.len() > LONGEST_NAME) {
            let message = format!(
                "a name in the path has {} bytes, and {LONGEST_NAME} is the most: `{}…`",
                long.len(),
                long.chars().take(40).collect::<String>()
            );
            return Err(NodeError::new("invalid_path", message));
        }
        Ok(Place {
            root,
            path: names.join("/"),
        })
    }

    /// The innermost directory that an absolute path lies in, and the rest of the path.
    fn root_of<'a>(&self, path: &'a str) -> Result<(usize, &'a Path), NodeError> {
        if self.relative_only {
            return Err(outside(
                path,
                "leads out of the base directory: with `use_relative_paths` paths are relative to it",
            ));
        }
        let within = |(index, root): (usize, &Root)| {
            let rest = [&root.real, &root.named]
                .into_iter()
                .find_map(|dir| Path::new(path).strip_prefix(dir).ok());
            Some((root.real.components().count(), index, rest?))
        };
        let found = self.dirs.iter().enumerate().filter_map(within);
        let innermost = found.max_by_key(|(depth, ..)| *depth);
        innermost.map(|(_, index, rest)| (index, rest)).ok_or_else(|| {
            outside(
                path,
                "leads out of the base directory and is in none of `allowed_directories`",
            )
        })
    }

    /// The directory that holds a place, reached without following a link; `None` if it does not exist.
    pub(crate) fn parent_of(&self, place: &Place) -> Result<Option<Dir>, NodeError> {
        match place.parent() {
            Some(parent) => self.directory(&parent),
            None => Ok(None),
        }
    }

    /// A directory, reached without following a link; `None` if it does not exist.
    pub(crate) fn directory(&self, place: &Place) -> Result<Option<Dir>, NodeError> {
        let mut dir = self.dirs[place.root].dir.clone();
        let mut at = Place {
            root: place.root,
            path: String::new(),
        };
        for name in place.path.split('/').filter(|name| !name.is_empty()) {
            at = at.join(name);
            match dir.kind(name)? {
                None => return Ok(None),
                // What takes its place between the two calls is refused by the second.
                Some(EntryKind::Dir) => dir = dir.open_dir_nofollow(name)?,
                Some(kind) => return Err(self.is_no_directory(&at, kind)),
            }
        }
        Ok(Some(dir))
    }

    fn is_no_directory(&self, place: &Place, kind: EntryKind) -> NodeError {
        let shown = self.shown(place);
        let what = match kind {
            EntryKind::Symlink => return self.is_link(place),
            EntryKind::File => "a file",
            _ => "a device, socket or pipe",
        };
        NodeError::new("not_a_directory", format!("`{shown}` is {what}, not a directory"))
    }

    pub(crate) fn is_link(&self, place: &Place) -> NodeError {
        let message = format!(
            "`{}` is a symbolic link, which is not followed",
            self.shown(place)
        );
        NodeError::new("link", message)
    }

    /// The kind of the entry at a place, links not followed.
    pub(crate) fn kind(&self, place: &Place) -> Result<Option<EntryKind>, NodeError> {
        if place.is_root() {
            return Ok(Some(EntryKind::Dir));
        }
        match self.parent_of(place)? {
            Some(parent) => Ok(parent.kind(place.name())?),
            None => Ok(None),
        }
    }

    /// The permission bits of a directory, where there are any.
    pub(crate) fn mode_of(&self, place: &Place) -> Result<Option<u32>, NodeError> {
        match self.directory(place)? {
            Some(dir) => Ok(dir.attributes()?.mode),
            None => Ok(None),
        }
    }

    /// The directory that holds a place, which must be there.
    pub(crate) fn existing_parent(&self, place: &Place) -> Result<Dir, NodeError> {
        self.parent_of(place)?.ok_or_else(|| {
            let message = format!("the directory of `{}` is gone", self.shown(place));
            NodeError::new("conflict", message)
        })
    }

    /// Makes a directory, at first for the user of the process alone where it is to get permission bits of its own.
    pub(crate) fn make_directory(
        &self,
        place: &Place,
        is_private: bool,
        durability: Durability,
    ) -> Result<(), NodeError> {
        let parent = self.existing_parent(place)?;
        if is_private {
            parent
                .clone()
                .shared_with(Share::User)
                .create_dir_only(place.name())?;
        } else {
            parent.create_dir_only(place.name())?;
        }
        sync(&parent, place, durability)
    }

    pub(crate) fn make_link(
        &self,
        place: &Place,
        text: &str,
        durability: Durability,
    ) -> Result<(), NodeError> {
        let parent = self.existing_parent(place)?;
        parent.make_link(place.name(), text)?;
        sync(&parent, place, durability)
    }

    pub(crate) fn remove_file(&self, place: &Place, durability: Durability) -> Result<(), NodeError> {
        let parent = self.existing_parent(place)?;
        parent.remove_file(place.name())?;
        sync(&parent, place, durability)
    }

    pub(crate) fn remove_directory(&self, place: &Place, durability: Durability) -> Result<(), NodeError> {
        let parent = self.existing_parent(place)?;
        parent.remove_dir(place.name())?;
        sync(&parent, place, durability)
    }
}

fn sync(parent: &Dir, place: &Place, durability: Durability) -> Result<(), NodeError> {
    match durability {
        Durability::Process => Ok(()),
        Durability::Disk => Ok(parent.sync_name(place.name())?),
    }
}

pub(crate) fn missing(field: &str) -> NodeError {
    NodeError::new("missing_field", format!("`{field}` is missing"))
}

fn outside(path: &str, why: &str) -> NodeError {
    NodeError::new("outside", format!("`{path}` {why}"))
}

fn check_characters(path: &str) -> Result<(), NodeError> {
    let wrong = match path {
        _ if path.contains('\0') => "holds a zero byte, which no name can",
        // Where they separate names they are another way out, elsewhere they are a mistake.
        _ if path.contains('\\') => "holds a backslash; names are separated by `/`",
        _ => return Ok(()),
    };
    let shown = path.escape_default();
    Err(NodeError::new("invalid_path", format!("`{shown}` {wrong}")))
}

/// Whether a name is that of a repository's own data, in any of the ways in which a file system may read it: without
/// case, without what it ignores, as a short name, or as a stream of it.
pub(crate) fn is_git_data(name: &str) -> bool {
    let plain = plain_name(name);
    plain == ".git" || has_short_form(&plain, ".git")
}

/// Whether a plain name is the short one that some file systems give a longer one: six of its letters, a number, and three
/// letters behind its last dot.
pub(crate) fn has_short_form(plain: &str, long: &str) -> bool {
    let (short, short_ending) = plain.rsplit_once('.').unwrap_or((plain, ""));
    let Some((letters, number)) = short.rsplit_once('~') else {
        return false;
    };
    let long = long.trim_start_matches('.').to_lowercase();
    let (stem, ending) = long.rsplit_once('.').unwrap_or((&long, ""));
    let first = |text: &str, most: usize| text.chars().filter(|c| *c != '.').take(most).collect::<String>();
    !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && letters == first(stem, 6)
        && short_ending.starts_with(&first(ending, 3))
}

/// A name as a file system may read it: without case, without what it ignores, and without the stream of it.
pub(crate) fn plain_name(name: &str) -> String {
    let is_ignored = |c: char| matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let plain: String = name.chars().filter(|c| !is_ignored(*c)).collect();
    let plain = plain.split(':').next().unwrap_or_default();
    // By way of its capitals, so that also a ligature or a long s is the letters that it stands for.
    plain.trim_end_matches(['.', ' ']).to_uppercase().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_known_under_all_its_names() {
        for name in [
            ".git",
            ".GIT",
            ".Git ",
            ".git.",
            ".g\u{200c}it",
            "GIT~1",
            ".git::$INDEX_ALLOCATION",
        ] {
            assert!(is_git_data(name), "{name}");
        }
        for name in [".gitignore", ".github", "git", "a.git", ".git2"] {
            assert!(!is_git_data(name), "{name}");
        }
    }

    #[test]
    fn a_place_knows_what_is_below_it() {
        let place = |path: &str| Place {
            root: 0,
            path: path.to_owned(),
        };
        assert!(place("a/b").is_below(&place("a")) && place("a").is_below(&place("")));
        assert!(!place("ab").is_below(&place("a")) && !place("a").is_below(&place("a")));
        assert_eq!(place("a/b").parent(), Some(place("a")));
        assert_eq!(place("a").parent(), Some(place("")));
        assert_eq!(place("").parent(), None);
    }
}

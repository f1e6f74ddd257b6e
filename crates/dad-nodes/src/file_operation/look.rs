//! Operations that change nothing. They see the files as the operations before them leave them.

use dad_fs::EntryKind;
use dad_runner::NodeError;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use serde_json::{Value, json};

use super::place::{DEEPEST_PATH, Place, is_git_data, missing};
use super::planned::Planning;
use super::result::{done, not_found};
use super::state::State;
use super::tree::Tree;
use super::{FileOperation, FileOperationType, SearchConfig};

/// The largest number of results of a search.
const MAX_MATCHES: usize = 1_000;

/// The largest number of entries that a search looks at.
const MAX_LOOKED_AT: usize = 200_000;

pub(crate) fn look(
    tree: &Tree<'_>,
    operation: &FileOperation,
    path: Option<&str>,
) -> Result<Planning, NodeError> {
    // Without a path, or with an empty one, it is the base directory.
    let path = path.filter(|path| !path.is_empty()).unwrap_or(".");
    let place = tree.roots.place_or_root(Some(path), "path")?;
    match operation.operation_type {
        FileOperationType::ListDirectory => list(tree, operation, &place),
        FileOperationType::SearchFiles => search(tree, operation, &place),
        FileOperationType::ListAllowedDirectories => {
            let mut result = json!({ "type": operation.operation_type, "success": true });
            result["directories"] = json!(tree.roots.real_paths());
            Ok(Planning::of(result))
        }
        _ if operation.path.is_none() && operation.paths.is_none() => Err(missing("path")),
        _ => info(tree, operation, &place),
    }
}

/// A directory that must be there.
fn directory(tree: &Tree<'_>, place: &Place) -> Result<(), NodeError> {
    let shown = tree.roots.shown(place);
    match tree.kind(place)? {
        Some(EntryKind::Dir) => Ok(()),
        None => Err(not_found(&shown)),
        Some(EntryKind::Symlink) => Err(tree.roots.is_link(place)),
        Some(_) => Err(NodeError::new(
            "not_a_directory",
            format!("`{shown}` is no directory"),
        )),
    }
}

fn list(tree: &Tree<'_>, operation: &FileOperation, place: &Place) -> Result<Planning, NodeError> {
    directory(tree, place)?;
    let children = tree.children(place)?;
    let entry = |(name, kind): (&Result<String, String>, &EntryKind)| match name {
        Ok(name) => json!({ "name": name, "kind": kind_name(*kind) }),
        Err(shown) => json!({ "name": shown, "kind": kind_name(*kind), "not_utf8": true }),
    };
    let entries: Vec<Value> = children.iter().map(entry).collect();
    let mut result = done(operation, &tree.roots.shown(place));
    result["entries"] = entries.into();
    Ok(Planning::of(result))
}

fn info(tree: &Tree<'_>, operation: &FileOperation, place: &Place) -> Result<Planning, NodeError> {
    let shown = tree.roots.shown(place);
    let kind = tree.kind(place)?.ok_or_else(|| not_found(&shown))?;
    let size = match (tree.planned(place), place.is_root()) {
        (Some(State::File(content)), _) => Some(content.bytes.len() as u64),
        (Some(_), _) | (None, true) => None,
        (None, false) => tree.roots.existing_parent(place)?.len(place.name())?,
    };
    let mut result = done(operation, &shown);
    result["info"] = json!({ "kind": kind_name(kind), "size": size });
    Ok(Planning::of(result))
}

fn search(tree: &Tree<'_>, operation: &FileOperation, place: &Place) -> Result<Planning, NodeError> {
    let config = operation.search_config.as_ref();
    let config = config.ok_or_else(|| missing("search_config"))?;
    if config.pattern.is_empty() {
        return Err(missing("search_config.pattern"));
    }
    directory(tree, place)?;
    let wanted = Wanted::new(config)?;
    let mut found = Found::default();
    found.search(tree, place, &wanted)?;
    found.matches.sort();
    let mut result = done(operation, &tree.roots.shown(place));
    result["matches"] = found.matches.into();
    if found.is_cut {
        result["truncated"] = true.into();
    }
    Ok(Planning::of(result))
}

/// The criteria of a search.
struct Wanted {
    /// A pattern with wildcards, as `.gitignore` reads it; else a part of a name, in any case.
    glob: Option<Gitignore>,
    part: String,
    excluded: Gitignore,
}

impl Wanted {
    fn new(config: &SearchConfig) -> Result<Self, NodeError> {
        let is_glob = config.pattern.contains(['*', '?', '[', '{', '/']);
        let pattern = std::slice::from_ref(&config.pattern);
        Ok(Self {
            glob: is_glob.then(|| globs(pattern)).transpose()?,
            part: config.pattern.to_lowercase(),
            excluded: globs(&config.exclude_patterns)?,
        })
    }

    fn is_found(&self, path: &str, name: &str, is_dir: bool) -> bool {
        match &self.glob {
            Some(glob) => glob.matched(path, is_dir).is_ignore(),
            None => name.to_lowercase().contains(&self.part),
        }
    }
}

fn globs(patterns: &[String]) -> Result<Gitignore, NodeError> {
    let wrong = |error: ignore::Error| NodeError::new("search_config", format!("a pattern is none: {error}"));
    let mut builder = GitignoreBuilder::new("");
    for pattern in patterns {
        builder.add_line(None, pattern).map_err(wrong)?;
    }
    builder.build().map_err(wrong)
}

#[derive(Default)]
struct Found {
    matches: Vec<String>,
    looked_at: usize,
    is_cut: bool,
}

impl Found {
    fn search(&mut self, tree: &Tree<'_>, place: &Place, wanted: &Wanted) -> Result<(), NodeError> {
        let mut open = vec![(place.clone(), String::new())];
        while let Some((place, within)) = open.pop() {
            for (name, kind) in tree.children(&place)? {
                // What is not UTF-8 can be named by no pattern and no operation.
                let Ok(name) = name else { continue };
                let path = match within.as_str() {
                    "" => name.clone(),
                    within => format!("{within}/{name}"),
                };
                let is_dir = kind == EntryKind::Dir;
                if is_git_data(&name) || wanted.excluded.matched(&path, is_dir).is_ignore() {
                    continue;
                }
                self.looked_at += 1;
                if self.matches.len() >= MAX_MATCHES || self.looked_at > MAX_LOOKED_AT {
                    self.is_cut = true;
                    return Ok(());
                }
                let child = place.join(&name);
                if wanted.is_found(&path, &name, is_dir) {
                    self.matches.push(tree.roots.shown(&child));
                }
                // A path of more names is no operation's.
                if is_dir && child.path.split('/').count() < DEEPEST_PATH {
                    open.push((child, path));
                } else {
                    self.is_cut |= is_dir;
                }
            }
        }
        Ok(())
    }
}

pub(crate) const fn kind_name(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::File => "file",
        EntryKind::Dir => "directory",
        EntryKind::Symlink => "symlink",
        EntryKind::Other => "other",
    }
}

//! The files as they will be: all contents are computed here before anything is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use dad_fs::{Attributes, EntryKind};
use dad_runner::NodeError;
use serde_json::Value;

use super::edit::{apply_edits, diff};
use super::place::{DEEPEST_PATH, Place, Roots, is_git_data, missing};
use super::planned::{Planned, Planning};
use super::protected::Obeyed;
use super::result::{NOT_EXECUTABLE, UNUSED_FIELD, done, not_found};
use super::state::{Content, State};
use super::{FileOperation, FileOperationType, look};

/// The contents of all files of a change together, in bytes.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// The entries of a directory that is removed or moved.
const MAX_ENTRIES: usize = 10_000;

/// The rules of planning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Whether results hold differences.
    pub(crate) with_diff: bool,
    /// Whether texts are also found without their indentation.
    pub(crate) preserve_indentation: bool,
    /// Whether nothing is planned behind an operation that failed.
    pub(crate) fail_fast: bool,
    /// Whether what can be done is done where something fails.
    pub(crate) keep: bool,
}

/// The state of each place before and after the operations.
#[derive(Debug)]
pub(crate) struct Tree<'a> {
    pub(crate) roots: &'a Roots,
    /// The states of places of an earlier plan, where they are known.
    known: BTreeMap<Place, State>,
    before: BTreeMap<Place, State>,
    after: BTreeMap<Place, State>,
    /// The operations, by position, of which a record says that they were made, and whose results stand.
    made: BTreeSet<usize>,
    /// The places, as they are shown, of files that tools obey and that a person agreed to change; `None` while it is looked at
    /// what a person would have to agree to.
    agreed: Option<BTreeSet<String>>,
    /// The changed files that tools obey, and the reason for which each counts as one.
    pub(crate) obeyed: BTreeMap<String, &'static str>,
    /// The earlier values of `after` where the operation being planned set something, the first last.
    undo: Vec<(Place, Option<State>)>,
    bytes: u64,
}

impl<'a> Tree<'a> {
    pub(crate) fn new(roots: &'a Roots, known: BTreeMap<Place, State>) -> Self {
        Self {
            roots,
            known,
            before: BTreeMap::new(),
            after: BTreeMap::new(),
            made: BTreeSet::new(),
            agreed: Some(BTreeSet::new()),
            obeyed: BTreeMap::new(),
            undo: Vec::new(),
            bytes: 0,
        }
    }

    /// The same where some operations, by position, are known to be made: their results are looked at no more.
    pub(crate) fn made(mut self, made: BTreeSet<usize>) -> Self {
        self.made = made;
        self
    }

    /// The same where a person agreed to change some files that tools obey; `None` to see which those are.
    pub(crate) fn agreed(mut self, agreed: Option<BTreeSet<String>>) -> Self {
        self.agreed = agreed;
        self
    }

    /// Plans operations, each upon what those before it come to.
    pub(crate) fn plan(&mut self, operations: &[FileOperation], rules: Rules) -> Planned {
        let mut planned = Planned::default();
        for (index, operation) in operations.iter().enumerate() {
            let is_made = self.made.contains(&index);
            for path in paths_of(operation) {
                if rules.fail_fast && planned.failure.is_some() {
                    return planned;
                }
                let result = path.and_then(|path| {
                    if is_made {
                        self.made_before(operation, path.as_deref())
                    } else {
                        self.plan_one(operation, path.as_deref(), rules)
                    }
                });
                match result {
                    Ok(planning) => planned.results.push(planning),
                    Err(error) => planned.fail(&error, index + 1, operation),
                }
            }
        }
        self.say_what_is_left(&mut planned);
        planned
    }

    /// The result of an operation whose change stands.
    fn made_before(&self, operation: &FileOperation, path: Option<&str>) -> Result<Planning, NodeError> {
        let named = self.named(operation, path)?;
        let mut result = done(operation, &self.roots.shown(&named[0]));
        if let [_, destination] = named.as_slice() {
            result["destination"] = self.roots.shown(destination).into();
        }
        result["unchanged"] = true.into();
        Ok(Planning {
            named,
            ..Planning::of(result)
        })
    }

    /// The places that an operation names.
    fn named(&self, operation: &FileOperation, path: Option<&str>) -> Result<Vec<Place>, NodeError> {
        match operation.operation_type {
            FileOperationType::MoveFile => Ok(vec![
                self.roots.place(operation.source.as_deref(), "source")?,
                self.roots
                    .place(operation.destination.as_deref(), "destination")?,
            ]),
            _ => Ok(vec![self.roots.place(path, "path")?]),
        }
    }

    /// The states for comparisons of the places that an operation names.
    pub(crate) fn left_by(&mut self, operation: &FileOperation) -> Result<Value, NodeError> {
        let mut left = serde_json::Map::new();
        for path in paths_of(operation) {
            for place in self.named(operation, path?.as_deref())? {
                left.insert(self.roots.shown(&place), self.state(&place)?.fact());
            }
        }
        Ok(left.into())
    }

    /// Says in each result what stands at the places that it names once all of them are made, so that a later run sees
    /// whether that still stands.
    fn say_what_is_left(&mut self, planned: &mut Planned) {
        for planning in &mut planned.results {
            if planning.named.is_empty() || planning.result["dry_run"] == true {
                continue;
            }
            let facts = planning.named.iter().map(|place| {
                let fact = self.state(place).map_or(Value::Null, |state| state.fact());
                (self.roots.shown(place), fact)
            });
            planning.result["left"] = facts.collect::<serde_json::Map<_, _>>().into();
        }
    }

    /// Plans one operation; of one that fails or only shows, nothing remains.
    fn plan_one(
        &mut self,
        operation: &FileOperation,
        path: Option<&str>,
        rules: Rules,
    ) -> Result<Planning, NodeError> {
        self.undo.clear();
        let mut planning = self.operation(operation, path, rules);
        if let Ok(planning) = &mut planning
            && !operation.operation_type.is_look()
        {
            planning.named = self.named(operation, path)?;
        }
        if operation.dry_run == Some(true)
            && let Ok(planning) = &mut planning
        {
            planning.result["dry_run"] = true.into();
            planning.touched.clear();
        }
        if planning.is_err() || operation.dry_run == Some(true) {
            self.take_back();
        }
        planning
    }

    fn take_back(&mut self) {
        for (place, state) in std::mem::take(&mut self.undo).into_iter().rev() {
            match state {
                Some(state) => {
                    self.after.insert(place, state);
                }
                None => {
                    self.after.remove(&place);
                }
            }
        }
    }

    fn operation(
        &mut self,
        operation: &FileOperation,
        path: Option<&str>,
        rules: Rules,
    ) -> Result<Planning, NodeError> {
        let place = || self.roots.place(path, "path");
        if operation.executable == Some(true) && operation.operation_type != FileOperationType::SetExecutable
        {
            return Err(NodeError::new(UNUSED_FIELD, NOT_EXECUTABLE));
        }
        match operation.operation_type {
            FileOperationType::CreateFile => {
                let content = operation.content.as_ref().ok_or_else(|| missing("content"))?;
                let (place, bytes) = (place()?, content.clone().into_bytes());
                self.write(operation, place, bytes, rules)
            }
            FileOperationType::EditFile => {
                let place = place()?;
                let edited = self.edited(&place, operation, rules)?;
                self.write(operation, place, edited.into_bytes(), rules)
            }
            FileOperationType::DeleteFile => {
                let place = place()?;
                self.delete_file(operation, place, rules)
            }
            FileOperationType::CreateDirectory => {
                let place = place()?;
                self.create_directory(operation, place)
            }
            FileOperationType::DeleteDirectory => {
                let place = place()?;
                self.delete_directory(operation, place)
            }
            FileOperationType::SetExecutable => {
                let place = place()?;
                self.set_executable(operation, place, rules)
            }
            FileOperationType::MoveFile => self.move_file(operation),
            FileOperationType::ListDirectory
            | FileOperationType::SearchFiles
            | FileOperationType::GetFileInfo
            | FileOperationType::ListAllowedDirectories => look::look(self, operation, path),
        }
    }

    /// The state of a place after the operations planned so far.
    pub(crate) fn state(&mut self, place: &Place) -> Result<State, NodeError> {
        match self.after.get(place) {
            Some(state) => Ok(state.clone()),
            None => self.state_before(place),
        }
    }

    fn state_before(&mut self, place: &Place) -> Result<State, NodeError> {
        if let Some(state) = self.before.get(place) {
            return Ok(state.clone());
        }
        let state = match self.known.get(place) {
            Some(state) => state.clone(),
            None => self.load(place)?,
        };
        self.before.insert(place.clone(), state.clone());
        Ok(state)
    }

    fn load(&mut self, place: &Place) -> Result<State, NodeError> {
        let shown = self.roots.shown(place);
        match self.roots.kind(place)? {
            None => Ok(State::Absent),
            Some(EntryKind::Dir) => {
                let attributes = match self.roots.directory(place)? {
                    Some(dir) => dir.attributes()?,
                    None => Attributes::default(),
                };
                Ok(State::Directory(Arc::new(attributes)))
            }
            Some(EntryKind::Symlink) => self.load_link(place),
            Some(EntryKind::Other) => {
                let message = format!("`{shown}` is a device, socket or pipe, not a regular file");
                Err(NodeError::new("not_a_file", message))
            }
            Some(EntryKind::File) => self.load_file(place),
        }
    }

    fn load_link(&self, place: &Place) -> Result<State, NodeError> {
        let target = self.roots.existing_parent(place)?.link_target(place.name())?;
        let text = target.into_os_string().into_string().map_err(|target| {
            let message = format!(
                "`{}` is a symbolic link to `{}`, which is not UTF-8",
                self.roots.shown(place),
                target.to_string_lossy()
            );
            NodeError::new("invalid_path", message)
        })?;
        Ok(State::Link(text.into()))
    }

    fn load_file(&mut self, place: &Place) -> Result<State, NodeError> {
        let parent = self.roots.existing_parent(place)?;
        let left = MAX_BYTES.saturating_sub(self.bytes);
        let (bytes, attributes) = parent.read_regular(place.name(), left).map_err(|error| {
            let too_large = error.kind() == std::io::ErrorKind::FileTooLarge;
            if too_large {
                let shown = self.roots.shown(place);
                let message =
                    format!("`{shown}` and what is changed with it is larger than {MAX_BYTES} bytes");
                NodeError::new("too_large", message)
            } else {
                error.into()
            }
        })?;
        self.bytes += bytes.len() as u64;
        Ok(State::File(Arc::new(Content::new(bytes, attributes))))
    }

    /// Says what is to stand at a place. One that was a file does not become a directory, nor the other way round: between
    /// the two there would be nothing.
    fn set(&mut self, place: &Place, state: State) -> Result<(), NodeError> {
        self.check_obeyed(place)?;
        self.put(place, state)
    }

    fn put(&mut self, place: &Place, state: State) -> Result<(), NodeError> {
        let before = self.state_before(place)?;
        let kinds = (before.kind(), state.kind());
        if let (Some(before), Some(after)) = kinds
            && before != after
        {
            let name = |kind| look::kind_name(kind);
            let message = format!(
                "`{}` is a {} and would become a {}; do that in two steps",
                self.roots.shown(place),
                name(before),
                name(after)
            );
            return Err(NodeError::new("exists", message));
        }
        let was = self.after.insert(place.clone(), state);
        self.undo.push((place.clone(), was));
        Ok(())
    }

    /// Refuses to change what a tool obeys by itself, unless the definition allows it or a person agreed.
    fn check_obeyed(&mut self, place: &Place) -> Result<(), NodeError> {
        // What stands in the plan of an interrupted attempt was agreed to then.
        if self.known.contains_key(place) {
            return Ok(());
        }
        let Some(obeyed) = self.roots.obeyed(place) else {
            return Ok(());
        };
        let shown = self.roots.shown(place);
        match &self.agreed {
            Some(agreed) if agreed.contains(&shown) => {}
            Some(_) => return Err(protected(&shown, &obeyed)),
            None => {
                self.obeyed.insert(shown, obeyed.why);
            }
        }
        Ok(())
    }

    /// Makes the directories above a place that are missing.
    fn make_parents(&mut self, place: &Place) -> Result<(), NodeError> {
        let Some(parent) = place.parent().filter(|parent| !parent.is_root()) else {
            return Ok(());
        };
        self.make_parents(&parent)?;
        match self.state(&parent)? {
            State::Directory(_) => Ok(()),
            // What they are made for is looked at by itself.
            State::Absent => self.put(&parent, State::new_directory()),
            State::Link(_) => Err(self.roots.is_link(&parent)),
            State::File(_) => {
                let message = format!("`{}` is a file, not a directory", self.roots.shown(&parent));
                Err(NodeError::new("not_a_directory", message))
            }
        }
    }

    /// The content of a file that is there, or an error.
    fn file(&mut self, place: &Place) -> Result<Option<Arc<Content>>, NodeError> {
        match self.state(place)? {
            State::Absent => Ok(None),
            State::File(content) => Ok(Some(content)),
            State::Link(_) => Err(self.roots.is_link(place)),
            State::Directory(_) => {
                let message = format!("`{}` is a directory", self.roots.shown(place));
                Err(NodeError::new("not_a_file", message))
            }
        }
    }

    fn write(
        &mut self,
        operation: &FileOperation,
        place: Place,
        bytes: Vec<u8>,
        rules: Rules,
    ) -> Result<Planning, NodeError> {
        self.make_parents(&place)?;
        let before = self.file(&place)?;
        self.bytes += bytes.len() as u64;
        let attributes = self.attributes_of_new(&place, before.as_deref())?;
        let before = before.map_or(State::Absent, State::File);
        let after = State::File(Arc::new(Content::new(bytes, attributes)));
        self.replace(operation, place, &before, after, rules)
    }

    /// The attributes of a file that gets new content: those of the one that stands there, also of one that this plan
    /// removes and makes anew.
    fn attributes_of_new(&mut self, place: &Place, there: Option<&Content>) -> Result<Attributes, NodeError> {
        let mut kept = match (there, self.state_before(place)?) {
            (Some(there), _) => there.attributes.clone(),
            (None, State::File(before)) => before.attributes.clone(),
            (None, _) => Attributes::default(),
        };
        kept.modified = None;
        Ok(kept)
    }

    fn set_executable(
        &mut self,
        operation: &FileOperation,
        place: Place,
        rules: Rules,
    ) -> Result<Planning, NodeError> {
        let shown = self.roots.shown(&place);
        let content = self.file(&place)?.ok_or_else(|| not_found(&shown))?;
        if cfg!(not(unix)) {
            let message = format!("files have no executable bit on this system: `{shown}`");
            return Err(NodeError::new("unsupported", message));
        }
        let executable = operation.executable.unwrap_or(true);
        let attributes = content.attributes.clone().with_executable(executable);
        let after = State::File(Arc::new(Content::new(content.bytes.clone(), attributes)));
        self.replace(operation, place, &State::File(content), after, rules)
    }

    /// That something is missing, which the operation may allow.
    fn is_missing(&self, operation: &FileOperation, place: &Place) -> Result<Planning, NodeError> {
        let shown = self.roots.shown(place);
        match operation.missing_ok {
            Some(true) => {
                let mut result = done(operation, &shown);
                result["unchanged"] = true.into();
                Ok(Planning::of(result))
            }
            _ => Err(not_found(&shown)),
        }
    }

    fn delete_file(
        &mut self,
        operation: &FileOperation,
        place: Place,
        rules: Rules,
    ) -> Result<Planning, NodeError> {
        let before = match self.state(&place)? {
            State::Absent => return self.is_missing(operation, &place),
            State::Directory(_) => {
                let message = format!(
                    "`{}` is a directory; `delete_directory` removes it",
                    self.roots.shown(&place)
                );
                return Err(NodeError::new("not_a_file", message));
            }
            before => before,
        };
        self.replace(operation, place, &before, State::Absent, rules)
    }

    fn replace(
        &mut self,
        operation: &FileOperation,
        place: Place,
        before: &State,
        after: State,
        rules: Rules,
    ) -> Result<Planning, NodeError> {
        let shown = self.roots.shown(&place);
        let mut result = done(operation, &shown);
        if before.is_same(&after) {
            result["unchanged"] = true.into();
            return Ok(Planning::of(result));
        }
        if let State::Link(text) = before {
            result["link"] = (**text).into();
        } else if rules.with_diff {
            result["diff"] = diff(&shown, before.bytes(), after.bytes()).into();
        }
        self.set(&place, after)?;
        Ok(Planning {
            touched: vec![place],
            ..Planning::of(result)
        })
    }

    fn edited(
        &mut self,
        place: &Place,
        operation: &FileOperation,
        rules: Rules,
    ) -> Result<String, NodeError> {
        let edits = operation.edits.as_deref().filter(|edits| !edits.is_empty());
        let edits = edits.ok_or_else(|| missing("edits"))?;
        let shown = self.roots.shown(place);
        let content = self.file(place)?.ok_or_else(|| not_found(&shown))?;
        let text = std::str::from_utf8(&content.bytes)
            .map_err(|_| NodeError::new("not_text", format!("`{shown}` is not text in UTF-8")))?;
        apply_edits(&shown, text, edits, rules.preserve_indentation)
    }

    fn create_directory(&mut self, operation: &FileOperation, place: Place) -> Result<Planning, NodeError> {
        let shown = self.roots.shown(&place);
        let mut result = done(operation, &shown);
        self.make_parents(&place)?;
        match self.state(&place)? {
            State::Directory(_) => result["unchanged"] = true.into(),
            State::Absent => self.set(&place, State::new_directory())?,
            State::File(_) | State::Link(_) => {
                let message = format!("`{shown}` exists and is no directory");
                return Err(NodeError::new("exists", message));
            }
        }
        Ok(Planning {
            touched: vec![place],
            ..Planning::of(result)
        })
    }

    fn delete_directory(&mut self, operation: &FileOperation, place: Place) -> Result<Planning, NodeError> {
        let shown = self.roots.shown(&place);
        let mut result = done(operation, &shown);
        match self.state(&place)? {
            State::Directory(_) => {}
            State::Absent => return self.is_missing(operation, &place),
            State::Link(_) => {
                let message = format!("`{shown}` is a symbolic link; `delete_file` removes the link itself");
                return Err(NodeError::new("link", message));
            }
            State::File(_) => {
                let message = format!("`{shown}` is a file; `delete_file` removes it");
                return Err(NodeError::new("not_a_directory", message));
            }
        }
        if self.roots.holds_a_root(&place) {
            let message = format!("`{shown}` holds a directory that operations work in");
            return Err(NodeError::new("outside", message));
        }
        let mut touched = self.below(&place)?;
        touched.push(place);
        for place in &touched {
            // Known before it is removed, for the way back.
            self.state(place)?;
            self.set(place, State::Absent)?;
        }
        result["removed"] = (touched.len() - 1).into();
        Ok(Planning {
            touched,
            ..Planning::of(result)
        })
    }

    fn move_file(&mut self, operation: &FileOperation) -> Result<Planning, NodeError> {
        let source = self.roots.place(operation.source.as_deref(), "source")?;
        let target = self
            .roots
            .place(operation.destination.as_deref(), "destination")?;
        let (from, to) = (self.roots.shown(&source), self.roots.shown(&target));
        let mut result = done(operation, &from);
        result["destination"] = to.clone().into();
        let moved = match (self.state(&source)?, self.state(&target)?) {
            (State::Absent, _) => return self.is_missing(operation, &source),
            (moved, State::Absent) => moved,
            (..) => return Err(NodeError::new("exists", format!("`{to}` exists"))),
        };
        if target.is_below(&source) {
            let message = format!("`{from}` cannot be moved into itself, to `{to}`");
            return Err(NodeError::new("outside", message));
        }
        if self.roots.holds_a_root(&source) {
            let message = format!("`{from}` holds a directory that operations work in");
            return Err(NodeError::new("outside", message));
        }
        self.make_parents(&target)?;
        let mut all = match moved {
            State::Directory(_) => self.below(&source)?,
            _ => Vec::new(),
        };
        all.push(source.clone());
        let mut touched = Vec::new();
        for place in all {
            let rest = place.path[source.path.len()..].trim_start_matches('/');
            let there = if rest.is_empty() {
                target.clone()
            } else {
                target.join(rest)
            };
            let state = self.state(&place)?;
            self.set(&there, state)?;
            self.set(&place, State::Absent)?;
            touched.extend([place, there]);
        }
        Ok(Planning {
            touched,
            ..Planning::of(result)
        })
    }

    /// Everything below a directory; refused if something is there that is no file, directory or link.
    fn below(&mut self, place: &Place) -> Result<Vec<Place>, NodeError> {
        let mut found = Vec::new();
        let mut open = vec![place.clone()];
        while let Some(directory) = open.pop() {
            for (name, kind) in self.children(&directory)? {
                let name = name.map_err(|shown| {
                    let message = format!(
                        "`{}/{shown}` has a name that is not UTF-8",
                        self.roots.shown(&directory)
                    );
                    NodeError::new("invalid_path", message)
                })?;
                let child = directory.join(&name);
                let refused = match kind {
                    _ if is_git_data(&name) => Some("is the repository's own data"),
                    EntryKind::Other => Some("is a device, socket or pipe, which no operation changes"),
                    EntryKind::Dir => {
                        open.push(child.clone());
                        None
                    }
                    EntryKind::File | EntryKind::Symlink => None,
                };
                let refused = refused.or_else(|| self.roots.protection(&child));
                if let Some(why) = refused {
                    let message = format!("`{}` {why}", self.roots.shown(&child));
                    return Err(NodeError::new("outside", message));
                }
                if child.path.split('/').count() > DEEPEST_PATH {
                    let message = format!(
                        "`{}` is deeper than {DEEPEST_PATH} names; a command can do that",
                        self.roots.shown(place)
                    );
                    return Err(NodeError::new("too_large", message));
                }
                found.push(child);
                if found.len() > MAX_ENTRIES {
                    let message = format!(
                        "`{}` holds more than {MAX_ENTRIES} entries; a command can do that",
                        self.roots.shown(place)
                    );
                    return Err(NodeError::new("too_large", message));
                }
            }
        }
        Ok(found)
    }

    /// The entries of a directory after the operations planned so far, by name; names that are not UTF-8 only as they can
    /// be shown.
    pub(crate) fn children(
        &self,
        place: &Place,
    ) -> Result<BTreeMap<Result<String, String>, EntryKind>, NodeError> {
        let mut children = BTreeMap::new();
        if let Some(dir) = self.roots.directory(place)? {
            for (name, kind) in dir.names()? {
                let name = name
                    .into_string()
                    .map_err(|name| name.to_string_lossy().into_owned());
                children.insert(name, kind);
            }
        }
        let planned = self
            .after
            .range((Bound::Excluded(place), Bound::Unbounded))
            .take_while(|(at, _)| at.root == place.root && at.path.starts_with(&place.path))
            .filter(|(at, _)| at.parent().as_ref() == Some(place));
        for (at, state) in planned {
            let name = Ok(at.name().to_owned());
            match state.kind() {
                Some(kind) => {
                    children.insert(name, kind);
                }
                None => {
                    children.remove(&name);
                }
            }
        }
        Ok(children)
    }

    /// The kind of a place after the operations planned so far, links not followed.
    pub(crate) fn kind(&self, place: &Place) -> Result<Option<EntryKind>, NodeError> {
        match self.after.get(place) {
            Some(state) => Ok(state.kind()),
            None => self.roots.kind(place),
        }
    }

    /// The planned content of a file.
    pub(crate) fn planned(&self, place: &Place) -> Option<&State> {
        self.after.get(place)
    }

    /// The files among the places that operations changed, without those that are as they were before.
    pub(crate) fn touched_files(&self, planned: &Planned) -> BTreeSet<Place> {
        let changes = self.changes();
        let is_changed_file = |place: &&Place| {
            changes.get(place).is_some_and(|(before, after)| {
                !matches!(before, State::Directory(_)) && !matches!(after, State::Directory(_))
            })
        };
        let touched = planned.results.iter().flat_map(|planning| &planning.touched);
        touched.filter(is_changed_file).cloned().collect()
    }

    /// The changes.
    pub(crate) fn changes(&self) -> BTreeMap<&Place, (&State, &State)> {
        let pair = |place| Some((place, (self.before.get(place)?, self.after.get(place)?)));
        self.after
            .keys()
            .filter_map(pair)
            .filter(|(_, (before, after))| !before.is_same(after))
            .collect()
    }
}

/// The paths that an operation is made for, one after the other.
fn paths_of(operation: &FileOperation) -> Vec<Result<Option<String>, NodeError>> {
    let several = operation.paths.as_deref().filter(|paths| !paths.is_empty());
    let takes_several = matches!(
        operation.operation_type,
        FileOperationType::DeleteFile
            | FileOperationType::CreateDirectory
            | FileOperationType::DeleteDirectory
            | FileOperationType::SetExecutable
            | FileOperationType::ListDirectory
            | FileOperationType::SearchFiles
            | FileOperationType::GetFileInfo
    );
    let refused = |message: &str| vec![Err(NodeError::new("paths", message))];
    match several {
        None => vec![Ok(operation.path.clone())],
        Some(_) if !takes_several => refused("`paths` is not used by this type; it takes one `path`"),
        Some(_) if operation.path.is_some() => refused("it has both `path` and `paths`"),
        Some(paths) => paths.iter().map(|path| Ok(Some(path.clone()))).collect(),
    }
}

fn protected(shown: &str, obeyed: &Obeyed) -> NodeError {
    let Obeyed { why, glob } = obeyed;
    let message = format!(
        "`{shown}` is protected: {why}; it is changed only if `allow_protected` of the definition has `{glob}`, or a person \
         approves it (`requires_approval: true`)"
    );
    NodeError::new("protected_file", message)
}

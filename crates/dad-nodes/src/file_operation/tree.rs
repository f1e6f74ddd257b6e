//! The files as they will be: all contents are computed here before anything is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use dad_core::Digest;
use dad_fs::EntryKind;
use dad_runner::NodeError;
use serde_json::{Value, json};

use super::edit::{How, apply_edits, diff};
use super::place::{DEEPEST_PATH, Place, Roots, is_git_data, missing};
use super::protected::Obeyed;
use super::{FileOperation, FileOperationType, look};

/// The contents of all files of a change together, in bytes.
const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// The entries of a directory that is removed or moved.
const MOST_ENTRIES: usize = 10_000;

/// What stands at a place.
#[derive(Clone, Debug)]
pub(crate) enum State {
    Absent,
    Directory,
    File(Arc<Content>),
}

#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    /// Permission bits, of a file that was there and where there are any.
    pub(crate) mode: Option<u32>,
}

impl State {
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Absent, Self::Absent) | (Self::Directory, Self::Directory) => true,
            (Self::File(a), Self::File(b)) => Arc::ptr_eq(a, b) || a.bytes == b.bytes,
            _ => false,
        }
    }

    /// What stands there, for comparing: null, `directory`, or the digest of a file.
    pub(crate) fn fact(&self) -> Value {
        match self {
            Self::Absent => Value::Null,
            Self::Directory => "directory".into(),
            Self::File(content) => Digest::of(&content.bytes).to_string().into(),
        }
    }

    const fn kind(&self) -> Option<EntryKind> {
        match self {
            Self::Absent => None,
            Self::Directory => Some(EntryKind::Dir),
            Self::File(_) => Some(EntryKind::File),
        }
    }

    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::File(content) => Some(&content.bytes),
            Self::Absent | Self::Directory => None,
        }
    }
}

/// How operations are planned.
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

/// What the operations come to.
#[derive(Debug, Default)]
pub(crate) struct Planned {
    pub(crate) results: Vec<Planning>,
    /// Why the first that failed did, and how many did.
    pub(crate) failure: Option<NodeError>,
    pub(crate) failures: usize,
}

/// The result of one operation.
#[derive(Debug)]
pub(crate) struct Planning {
    pub(crate) result: Value,
    /// What it changes.
    pub(crate) touched: Vec<Place>,
}

impl Planning {
    pub(crate) fn of(result: Value) -> Self {
        Self {
            result,
            touched: Vec::new(),
        }
    }
}

/// What stood at each place before, and what is to stand there.
#[derive(Debug)]
pub(crate) struct Tree<'a> {
    pub(crate) roots: &'a Roots,
    /// What stood at places of an earlier plan, where that is known.
    known: BTreeMap<Place, State>,
    before: BTreeMap<Place, State>,
    after: BTreeMap<Place, State>,
    /// The operations, by position, of which a record says that they were made.
    vouched: BTreeSet<usize>,
    /// Whether the operation being planned is one of them.
    is_vouched: bool,
    /// The places, as they are shown, of files that tools obey and that a person agreed to change; `None` while it is looked at
    /// what a person would have to agree to.
    agreed: Option<BTreeSet<String>>,
    /// What tools obey of what is changed, and why it counts as that.
    pub(crate) obeyed: BTreeMap<String, &'static str>,
    /// What `after` held where the operation being planned set something, the first last.
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
            vouched: BTreeSet::new(),
            is_vouched: false,
            agreed: Some(BTreeSet::new()),
            obeyed: BTreeMap::new(),
            undo: Vec::new(),
            bytes: 0,
        }
    }

    /// The same where a record says of some operations, by position, that they were made.
    pub(crate) fn vouched(mut self, vouched: BTreeSet<usize>) -> Self {
        self.vouched = vouched;
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
            self.is_vouched = self.vouched.contains(&index);
            for path in paths_of(operation) {
                if rules.fail_fast && planned.failure.is_some() {
                    return planned;
                }
                let result = path.and_then(|path| self.plan_one(operation, path.as_deref(), rules));
                match result {
                    Ok(planning) => planned.results.push(planning),
                    Err(error) => planned.fail(&error, index + 1, operation),
                }
            }
        }
        planned
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
                Some(state) => drop(self.after.insert(place, state)),
                None => drop(self.after.remove(&place)),
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
            FileOperationType::MoveFile => self.move_file(operation),
            FileOperationType::ListDirectory
            | FileOperationType::SearchFiles
            | FileOperationType::GetFileInfo
            | FileOperationType::ListAllowedDirectories => look::look(self, operation, path),
        }
    }

    /// What stands at a place after the operations planned so far.
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
        let kind = match self.kind_on_disk(place)? {
            None => return Ok(State::Absent),
            Some(EntryKind::Dir) => return Ok(State::Directory),
            Some(kind) => kind,
        };
        match kind {
            EntryKind::Symlink => return Err(self.roots.is_link(place)),
            EntryKind::Other => {
                let message = format!("`{shown}` is a device, socket or pipe, not a regular file");
                return Err(NodeError::new("not_a_file", message));
            }
            EntryKind::Dir | EntryKind::File => {}
        }
        let parent = self.roots.existing_parent(place)?;
        let left = MOST_BYTES.saturating_sub(self.bytes);
        let (bytes, mode) = parent.read_regular(place.name(), left).map_err(|error| {
            let too_large = error.kind() == std::io::ErrorKind::FileTooLarge;
            match too_large {
                true => NodeError::new(
                    "too_large",
                    format!("`{shown}` and what is changed with it is larger than {MOST_BYTES} bytes"),
                ),
                false => error.into(),
            }
        })?;
        self.bytes += bytes.len() as u64;
        Ok(State::File(Arc::new(Content { bytes, mode })))
    }

    /// What stands there on the disk; nothing below what is a file in the plan.
    fn kind_on_disk(&self, place: &Place) -> Result<Option<EntryKind>, NodeError> {
        self.roots.kind(place)
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
            None => drop(self.obeyed.insert(shown, obeyed.why)),
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
            State::Directory => Ok(()),
            // What they are made for is looked at by itself.
            State::Absent => self.put(&parent, State::Directory),
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
            State::Directory => {
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
        let mode = before.as_ref().and_then(|before| before.mode);
        let before = before.map_or(State::Absent, State::File);
        let after = State::File(Arc::new(Content { bytes, mode }));
        self.replace(operation, place, &before, after, rules)
    }

    fn delete_file(
        &mut self,
        operation: &FileOperation,
        place: Place,
        rules: Rules,
    ) -> Result<Planning, NodeError> {
        let before = self.file(&place)?.map_or(State::Absent, State::File);
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
        if rules.with_diff {
            result["diff"] = diff(&shown, before.bytes(), after.bytes()).into();
        }
        self.set(&place, after)?;
        Ok(Planning {
            result,
            touched: vec![place],
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
        let how = How {
            preserve_indentation: rules.preserve_indentation,
            is_vouched: self.is_vouched,
        };
        apply_edits(&shown, text.to_owned(), edits, how)
    }

    fn create_directory(&mut self, operation: &FileOperation, place: Place) -> Result<Planning, NodeError> {
        let shown = self.roots.shown(&place);
        let mut result = done(operation, &shown);
        self.make_parents(&place)?;
        match self.state(&place)? {
            State::Directory => result["unchanged"] = true.into(),
            State::Absent => self.set(&place, State::Directory)?,
            State::File(_) => {
                let message = format!("`{shown}` exists and is no directory");
                return Err(NodeError::new("exists", message));
            }
        }
        Ok(Planning {
            result,
            touched: vec![place],
        })
    }

    fn delete_directory(&mut self, operation: &FileOperation, place: Place) -> Result<Planning, NodeError> {
        let shown = self.roots.shown(&place);
        let mut result = done(operation, &shown);
        match self.state(&place)? {
            State::Directory => {}
            State::Absent => {
                result["unchanged"] = true.into();
                return Ok(Planning::of(result));
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
        Ok(Planning { result, touched })
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
            (State::Absent, State::File(_) | State::Directory) if self.is_vouched => {
                result["unchanged"] = true.into();
                return Ok(Planning::of(result));
            }
            (State::Absent, _) => return Err(not_found(&from)),
            (_, State::File(_) | State::Directory) => {
                return Err(NodeError::new("exists", format!("`{to}` exists")));
            }
            (moved, State::Absent) => moved,
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
            State::Directory => self.below(&source)?,
            _ => Vec::new(),
        };
        all.push(source.clone());
        let mut touched = Vec::new();
        for place in all {
            let rest = place.path[source.path.len()..].trim_start_matches('/');
            let there = match rest.is_empty() {
                true => target.clone(),
                false => target.join(rest),
            };
            let state = self.state(&place)?;
            self.set(&there, state)?;
            self.set(&place, State::Absent)?;
            touched.extend([place, there]);
        }
        Ok(Planning { result, touched })
    }

    /// Everything below a directory; refused if something is there that is neither file nor directory.
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
                    EntryKind::Symlink => Some("is a symbolic link, which is left alone"),
                    EntryKind::Other => Some("is a device, socket or pipe, which is left alone"),
                    EntryKind::Dir => {
                        open.push(child.clone());
                        None
                    }
                    EntryKind::File => None,
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
                if found.len() > MOST_ENTRIES {
                    let message = format!(
                        "`{}` holds more than {MOST_ENTRIES} entries; a command can do that",
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
                Some(kind) => drop(children.insert(name, kind)),
                None => drop(children.remove(&name)),
            }
        }
        Ok(children)
    }

    /// What stands at a place after the operations planned so far, links not followed.
    pub(crate) fn kind(&self, place: &Place) -> Result<Option<EntryKind>, NodeError> {
        match self.after.get(place) {
            Some(state) => Ok(state.kind()),
            None => self.kind_on_disk(place),
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
                !matches!(before, State::Directory) && !matches!(after, State::Directory)
            })
        };
        let touched = planned.results.iter().flat_map(|planning| &planning.touched);
        touched.filter(is_changed_file).cloned().collect()
    }

    /// What is to be changed.
    pub(crate) fn changes(&self) -> BTreeMap<&Place, (&State, &State)> {
        let pair = |place| Some((place, (self.before.get(place)?, self.after.get(place)?)));
        self.after
            .keys()
            .filter_map(pair)
            .filter(|(_, (before, after))| !before.is_same(after))
            .collect()
    }
}

impl Planned {
    fn fail(&mut self, error: &NodeError, number: usize, operation: &FileOperation) {
        let kind = type_name(operation.operation_type);
        let shown = operation.path.as_deref().or(operation.source.as_deref());
        let mut result = json!({ "type": kind, "path": shown, "success": false });
        result["error"] = error.info.message.clone().into();
        self.results.push(Planning::of(result));
        self.failures += 1;
        if self.failure.is_none() {
            let mut error = error.clone();
            error.info.message = format!("operation {number} ({kind}): {}", error.info.message);
            self.failure = Some(error.permanent());
        }
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

pub(crate) fn done(operation: &FileOperation, shown: &str) -> Value {
    json!({ "type": operation.operation_type, "path": shown, "success": true })
}

pub(crate) fn not_found(shown: &str) -> NodeError {
    NodeError::new("not_found", format!("`{shown}` does not exist"))
}

pub(crate) fn type_name(operation: FileOperationType) -> String {
    let name = serde_json::to_value(operation).unwrap_or_default();
    name.as_str().unwrap_or_default().to_owned()
}

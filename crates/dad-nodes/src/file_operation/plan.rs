//! What is about to be changed, written down before the first change, so that whoever goes on after a crash completes
//! it, and sees what somebody else changed meanwhile.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use dad_core::{Digest, Redactor};
use dad_fs::{Dir, Durability, EntryKind, temporary_name};
use dad_run::layout::FILE_CHANGES;
use dad_runner::{NodeError, Stop};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::place::{Place, Roots};
use super::tree::{Content, Planned, State, Tree};

/// The version of the format of `file_changes/plan.json`.
const FORMAT: u32 = 1;

const PLAN: &str = "plan.json";
/// The name of a plan whose changes were taken back.
const TAKEN_BACK: &str = "taken_back.json";

/// `file_changes/plan.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    schema_version: u32,
    /// Stands for the operations and how they are made: another attempt completes only what it was asked for itself.
    request_digest: Digest,
    /// The directories that places are in, without links.
    roots: Vec<PathBuf>,
    /// In the order in which they are made.
    pub(crate) targets: Vec<Target>,
    /// The result of each operation, with the places it concerns.
    pub(crate) results: Vec<PlannedResult>,
    /// The files that git is told of.
    pub(crate) touched: BTreeSet<Place>,
}

/// A place that changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Target {
    #[serde(flatten)]
    pub(crate) place: Place,
    before: Mark,
    after: Mark,
    /// The temporary file beside it, through which it gets its content.
    temporary: String,
}

/// What stands at a place, without its content.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Mark {
    Absent,
    Directory,
    File {
        blake3: Digest,
        len: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<u32>,
        /// Whether the content is not kept, because a secret stands in it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        withheld: bool,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PlannedResult {
    pub(crate) result: Value,
    touched: Vec<Place>,
}

impl Mark {
    fn of(state: &State) -> Self {
        match state {
            State::Absent => Self::Absent,
            State::Directory => Self::Directory,
            State::File(content) => Self::File {
                blake3: Digest::of(&content.bytes),
                len: content.bytes.len() as u64,
                mode: content.mode,
                withheld: false,
            },
        }
    }

    fn is(&self, found: &Found) -> bool {
        match (self, found) {
            (Self::Absent, Found::Nothing) | (Self::Directory, Found::Directory) => true,
            (Self::File { blake3, .. }, Found::File(digest)) => blake3 == digest,
            _ => false,
        }
    }

    /// The order in which changes are made: what is new before what goes, directories around what is in them.
    const fn rank(&self, before: &Self) -> u8 {
        match (self, before) {
            (Self::Directory, _) => 0,
            (Self::File { .. }, _) => 1,
            (Self::Absent, Self::Directory) => 3,
            (Self::Absent, _) => 2,
        }
    }
}

/// What stands at a place now.
enum Found {
    Nothing,
    Directory,
    File(Digest),
    /// Something else, perhaps what.
    Other(Option<&'static str>),
}

fn look_at(roots: &Roots, place: &Place, expected: &Mark) -> Result<Found, NodeError> {
    let parent = match roots.parent_of(place) {
        Ok(Some(parent)) => parent,
        Ok(None) => return Ok(Found::Nothing),
        Err(error) if matches!(&*error.info.code, "link" | "not_a_directory") => {
            return Ok(Found::Other(Some("below what is no directory any more")));
        }
        Err(error) => return Err(error),
    };
    Ok(match parent.kind(place.name())? {
        None => Found::Nothing,
        Some(EntryKind::Dir) => Found::Directory,
        Some(EntryKind::Symlink) => Found::Other(Some("a symbolic link now")),
        Some(EntryKind::Other) => Found::Other(Some("a device, socket or pipe now")),
        Some(EntryKind::File) => {
            // A file of another length is another file and need not be read.
            let longest = match expected {
                Mark::File { len, .. } => *len,
                Mark::Absent | Mark::Directory => 0,
            };
            match parent.read_regular(place.name(), longest) {
                Ok((bytes, _)) => Found::File(Digest::of(&bytes)),
                Err(_) => Found::Other(None),
            }
        }
    })
}

/// Contents of files by their digests: as far as they were computed here, else from the plan's directory.
pub(crate) struct Images {
    computed: HashMap<Digest, Arc<Content>>,
    stored: Option<Dir>,
}

impl Images {
    fn get(&self, digest: &Digest) -> Result<Option<Vec<u8>>, NodeError> {
        if let Some(content) = self.computed.get(digest) {
            return Ok(Some(content.bytes.clone()));
        }
        let Some(stored) = &self.stored else {
            return Ok(None);
        };
        let Some(bytes) = stored.read_optional(digest.to_string())? else {
            return Ok(None);
        };
        match Digest::of(&bytes) == *digest {
            true => Ok(Some(bytes)),
            false => {
                let message = format!("`{FILE_CHANGES}/{digest}` of the interrupted attempt is damaged");
                Err(NodeError::new("conflict", message).permanent())
            }
        }
    }

    pub(crate) fn add(&mut self, content: &Arc<Content>) {
        self.computed.insert(Digest::of(&content.bytes), content.clone());
    }
}

/// A plan with the contents it needs.
pub(crate) struct Change {
    pub(crate) plan: Plan,
    pub(crate) images: Images,
    /// Whether an attempt before this one may have made some of it.
    pub(crate) goes_on: bool,
}

impl Change {
    /// What the operations come to.
    pub(crate) fn new(
        tree: &Tree<'_>,
        planned: &Planned,
        (request_digest, step): (Digest, &str),
        redactor: &Redactor,
    ) -> Self {
        let mut images = Images {
            computed: HashMap::new(),
            stored: None,
        };
        let mut targets = Vec::new();
        for (place, (before, after)) in tree.changes() {
            for state in [before, after] {
                if let State::File(content) = state {
                    images.add(content);
                }
            }
            let mark = |state: &State| withhold(Mark::of(state), state, redactor);
            targets.push(Target {
                place: place.clone(),
                before: mark(before),
                after: mark(after),
                temporary: String::new(),
            });
        }
        order(&mut targets, step);
        let result = |planning: &super::tree::Planning| {
            let mut result = planning.result.clone();
            redactor.redact_json(&mut result);
            PlannedResult {
                result,
                touched: planning.touched.clone(),
            }
        };
        let plan = Plan {
            schema_version: FORMAT,
            request_digest,
            roots: tree.roots.real_paths().into_iter().map(PathBuf::from).collect(),
            targets,
            results: planned.results.iter().map(result).collect(),
            touched: tree.touched_files(planned),
        };
        Self {
            plan,
            images,
            goes_on: false,
        }
    }

    /// The plan of an attempt that did not end well, if it was of the same operations and is still to be completed.
    pub(crate) fn of_an_attempt_before(
        left: &[Dir],
        roots: &Roots,
        request_digest: Digest,
    ) -> Result<Option<Self>, NodeError> {
        for attempt in left {
            let Some(stored) = attempt.open_dir_optional(FILE_CHANGES)? else {
                continue;
            };
            let Some(text) = stored.read_optional(PLAN)? else {
                continue;
            };
            // Written under its name at once: one that cannot be read is damaged, and what it changed is not known.
            let mut plan: Plan = serde_json::from_slice(&text).map_err(|error| {
                let place = stored.path().join(PLAN);
                NodeError::new("conflict", format!("`{}` is damaged: {error}", place.display())).permanent()
            })?;
            let is_wanted = plan.request_digest == request_digest;
            // The project may have been moved since; what stands at each place is looked at before anything is changed.
            let places = roots.real_paths();
            if plan.roots.len() != places.len() {
                continue;
            }
            plan.roots = places.into_iter().map(PathBuf::from).collect();
            let images = Images {
                computed: HashMap::new(),
                stored: Some(stored),
            };
            let change = Self {
                plan,
                images,
                goes_on: true,
            };
            if is_wanted {
                return Ok(Some(change));
            }
            change.remove_temporaries(roots)?;
        }
        Ok(None)
    }

    /// Writes the plan, and before it what it needs. A crash before it leaves everything as it was.
    pub(crate) fn write(&self, step: &Dir, durability: Durability) -> Result<(), NodeError> {
        let dir = step.create_dir_all(FILE_CHANGES)?;
        let marks = self.plan.targets.iter().flat_map(|t| [&t.before, &t.after]);
        let digests: HashSet<&Digest> = marks
            .filter_map(|mark| match mark {
                Mark::File {
                    blake3,
                    withheld: false,
                    ..
                } => Some(blake3),
                _ => None,
            })
            .collect();
        for digest in digests {
            if let Some(bytes) = self.images.get(digest)? {
                dir.write_new(digest.to_string(), &bytes, durability)?;
            }
        }
        let text = serde_json::to_vec_pretty(&self.plan)
            .map_err(|error| NodeError::from_error("file_changes", &error))?;
        dir.replace(PLAN, &text, durability)?;
        if durability == Durability::Disk {
            step.sync()?;
        }
        Ok(())
    }

    /// Says that nothing of the plan is to be completed any more, because it was taken back.
    pub(crate) fn withdraw(step: &Dir, durability: Durability) -> Result<(), NodeError> {
        let dir = step.open_dir(FILE_CHANGES)?;
        Ok(dir.rename(PLAN, &dir, TAKEN_BACK, durability)?)
    }

    /// What stood at the plan's places before, as far as it is kept.
    pub(crate) fn known(&self) -> Result<BTreeMap<Place, State>, NodeError> {
        let mut known = BTreeMap::new();
        for target in &self.plan.targets {
            let state = match &target.before {
                Mark::Absent => State::Absent,
                Mark::Directory => State::Directory,
                Mark::File { blake3, mode, .. } => match self.images.get(blake3)? {
                    None => continue,
                    Some(bytes) => State::File(Arc::new(Content { bytes, mode: *mode })),
                },
            };
            known.insert(target.place.clone(), state);
        }
        Ok(known)
    }

    /// Whether a content that is still to be written was not kept.
    pub(crate) fn lacks_contents(&self) -> bool {
        let is_withheld = |target: &Target| matches!(target.after, Mark::File { withheld: true, .. });
        self.goes_on && self.plan.targets.iter().any(is_withheld)
    }

    /// Makes the changes. Says which places had their result already.
    ///
    /// Of an attempt that goes on, every place is looked at before anything is changed.
    pub(crate) fn apply(
        &self,
        roots: &Roots,
        durability: Durability,
        taken_back: bool,
        stop: &Stop,
    ) -> Result<BTreeSet<Place>, Box<Failed>> {
        if self.goes_on {
            self.remove_temporaries(roots).map_err(Failed::before)?;
            self.check(roots).map_err(Failed::before)?;
        }
        let mut had = BTreeSet::new();
        let mut made: Vec<&Target> = Vec::new();
        for target in &self.plan.targets {
            let changed = match stop.is_set() {
                true => Err(stopped()),
                false => self.make(target, roots, durability),
            };
            match changed {
                Ok(true) => made.push(target),
                Ok(false) => {
                    had.insert(target.place.clone());
                }
                Err(error) => {
                    let undone = taken_back.then(|| self.take_back(&made, &had, roots, durability));
                    return Err(Box::new(Failed {
                        error,
                        made: made.len(),
                        is_taken_back: undone == Some(true),
                        tried_back: taken_back,
                    }));
                }
            }
        }
        Ok(had)
    }

    /// Removes the temporary files that a crash left, which are known by their names.
    pub(crate) fn remove_temporaries(&self, roots: &Roots) -> Result<(), NodeError> {
        for target in &self.plan.targets {
            // Where the directory became something else there is none.
            let Some(parent) = roots.parent_of(&target.place).ok().flatten() else {
                continue;
            };
            if parent.kind(&target.temporary)? == Some(EntryKind::File) {
                parent.remove_file(&target.temporary)?;
            }
        }
        Ok(())
    }

    /// Refuses to go on where somebody changed what was to be changed.
    fn check(&self, roots: &Roots) -> Result<(), NodeError> {
        let mut changed = Vec::new();
        let mut made = 0;
        for target in &self.plan.targets {
            match self.standing(target, roots)? {
                Standing::After => made += 1,
                Standing::Before => {}
                Standing::Neither(why) => changed.push((roots.shown(&target.place), why)),
            }
        }
        if changed.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = changed
            .iter()
            .map(|(name, why)| match why {
                Some(why) => format!("`{name}` (it is {why})"),
                None => format!("`{name}`"),
            })
            .collect();
        let of = self.plan.targets.len();
        Err(conflict(&names.join(", "), made, of))
    }

    fn standing(&self, target: &Target, roots: &Roots) -> Result<Standing, NodeError> {
        let found = look_at(roots, &target.place, &target.after)?;
        if target.after.is(&found) {
            return Ok(Standing::After);
        }
        let found = look_at(roots, &target.place, &target.before)?;
        Ok(match (target.before.is(&found), found) {
            (true, _) => Standing::Before,
            (false, Found::Other(why)) => Standing::Neither(why),
            (false, _) => Standing::Neither(None),
        })
    }

    /// Changes one place; `false` if it had its result already.
    fn make(&self, target: &Target, roots: &Roots, durability: Durability) -> Result<bool, NodeError> {
        let place = &target.place;
        // Looked at again, right before: since the contents were computed somebody may have changed it.
        match self.standing(target, roots)? {
            Standing::After => return Ok(false),
            Standing::Before => {}
            Standing::Neither(why) => {
                let shown = roots.shown(place);
                let name = why.map_or_else(|| format!("`{shown}`"), |why| format!("`{shown}` (it is {why})"));
                return Err(conflict(&name, 0, self.plan.targets.len()));
            }
        }
        self.put(
            place,
            &target.after,
            &target.before,
            &target.temporary,
            roots,
            durability,
        )?;
        Ok(true)
    }

    fn put(
        &self,
        place: &Place,
        wanted: &Mark,
        there: &Mark,
        temporary: &str,
        roots: &Roots,
        durability: Durability,
    ) -> Result<(), NodeError> {
        match (wanted, there) {
            (Mark::Directory, _) => roots.make_directory(place, durability),
            (Mark::File { blake3, mode, .. }, _) => {
                let bytes = self.images.get(blake3)?.ok_or_else(|| {
                    let message = format!(
                        "the content of `{}` was not kept, because a secret stands in it, and cannot be computed again",
                        roots.shown(place)
                    );
                    NodeError::new("conflict", message).permanent()
                })?;
                let parent = roots.existing_parent(place)?;
                Ok(parent.replace_through(place.name(), temporary, &bytes, *mode, durability)?)
            }
            (Mark::Absent, Mark::Directory) => roots.remove_directory(place, durability),
            (Mark::Absent, _) => roots.remove_file(place, durability),
        }
    }

    /// Takes changes back, the last first; what somebody changed since is left. Whether all of it is as it was.
    fn take_back(
        &self,
        made: &[&Target],
        had: &BTreeSet<Place>,
        roots: &Roots,
        durability: Durability,
    ) -> bool {
        // What an attempt before this one made is taken back with the rest.
        let earlier = |target: &&Target| self.goes_on && had.contains(&target.place);
        let all = self.plan.targets.iter().rev();
        let mut is_whole = true;
        for target in all.filter(|target| earlier(target) || made.iter().any(|m| std::ptr::eq(*m, *target))) {
            let back = match self.standing(target, roots) {
                Ok(Standing::After) => self.put(
                    &target.place,
                    &target.before,
                    &target.after,
                    &target.temporary,
                    roots,
                    durability,
                ),
                Ok(Standing::Before) => Ok(()),
                Ok(Standing::Neither(_)) => Err(conflict(&roots.shown(&target.place), 0, 0)),
                Err(error) => Err(error),
            };
            if let Err(error) = back {
                is_whole = false;
                tracing::error!(path = %roots.shown(&target.place), %error, "a change could not be taken back");
            }
        }
        is_whole
    }

    /// The results of the operations; those that found everything done say so.
    pub(crate) fn results(&self, had: &BTreeSet<Place>) -> Vec<Value> {
        let targets: BTreeSet<&Place> = self.plan.targets.iter().map(|target| &target.place).collect();
        let result = |planned: &PlannedResult| {
            let mut concerned = planned
                .touched
                .iter()
                .filter(|place| targets.contains(place))
                .peekable();
            let mut result = planned.result.clone();
            if concerned.peek().is_some() && concerned.all(|place| had.contains(place)) {
                result["unchanged"] = true.into();
            }
            result
        };
        self.plan.results.iter().map(result).collect()
    }
}

enum Standing {
    Before,
    After,
    Neither(Option<&'static str>),
}

/// Why changes could not be made, and what became of those before.
pub(crate) struct Failed {
    pub(crate) error: NodeError,
    pub(crate) made: usize,
    pub(crate) is_taken_back: bool,
    pub(crate) tried_back: bool,
}

impl Failed {
    fn before(error: NodeError) -> Box<Self> {
        Box::new(Self {
            error,
            made: 0,
            is_taken_back: false,
            tried_back: false,
        })
    }
}

/// That the step was asked to stop between two changes.
fn stopped() -> NodeError {
    NodeError::new("cancelled", "the step was asked to stop while files were changed").permanent()
}

fn conflict(names: &str, made: usize, of: usize) -> NodeError {
    let progress = match made {
        0 => String::new(),
        made => format!("; {made} of {of} places had been changed before, and stay so"),
    };
    let message = format!(
        "somebody changed {names} meanwhile: there stands neither what stood there before nor what was to be written, so \
         nothing of it was overwritten{progress}"
    );
    NodeError::new("conflict", message)
        .with_hint(
            "what was meant stands in `file_changes/` of the step: bring the file to its content from before or after \
             and go on by `dhenara resume RUN`, or settle the step by `dhenara resume RUN --skip STEP`",
        )
        .permanent()
}

fn withhold(mark: Mark, state: &State, redactor: &Redactor) -> Mark {
    let (
        Mark::File {
            blake3, len, mode, ..
        },
        State::File(content),
    ) = (&mark, state)
    else {
        return mark;
    };
    let text = String::from_utf8_lossy(&content.bytes);
    Mark::File {
        blake3: *blake3,
        len: *len,
        mode: *mode,
        withheld: matches!(redactor.redact(&text), std::borrow::Cow::Owned(_)),
    }
}

/// Sorts the changes, and names their temporary files after the step, so that nobody else has files of these names.
fn order(targets: &mut [Target], step: &str) {
    targets.sort_by(|a, b| {
        let (first, second) = (a.after.rank(&a.before), b.after.rank(&b.before));
        let by_place = match first {
            // What is in a directory goes before it.
            3 => b.place.cmp(&a.place),
            _ => a.place.cmp(&b.place),
        };
        first.cmp(&second).then(by_place)
    });
    let tag = Digest::of(step.as_bytes()).short();
    for (index, target) in targets.iter_mut().enumerate() {
        target.temporary = temporary_name(&format!("{tag}-{index}"));
    }
}

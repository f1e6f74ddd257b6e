//! Plans: the changes that are about to be made, written down before the first one, so that the attempt after a crash
//! completes them, and sees the changes of others meanwhile.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use dad_core::{Digest, Redactor};
use dad_fs::{Dir, Durability, EntryKind, Share, temporary_name};
use dad_run::layout::FILE_CHANGES;
use dad_runner::{NodeError, Stop};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::mark::{Found, Kept, Mark, look_at};
use super::place::{Place, Roots};
use super::planned::Planned;
use super::state::{Content, State};
use super::tree::Tree;

/// The version of the format of `file_changes/plan.json`.
const FORMAT: u32 = 2;

pub(super) const PLAN: &str = "plan.json";
/// The name of a plan whose changes were taken back.
const ROLLED_BACK: &str = "taken_back.json";

/// `file_changes/plan.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    schema_version: u32,
    /// Stands for the operations and how they are made: another attempt completes only what it was asked for itself.
    request_digest: Digest,
    /// The directories that places are in, without links.
    pub(super) roots: Vec<PathBuf>,
    /// In the order in which they are made.
    pub(crate) targets: Vec<Target>,
    /// The result of each operation, with the places it concerns.
    pub(crate) results: Vec<PlannedResult>,
    /// The files for the commit.
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

impl Target {
    pub(super) const fn after(&self) -> &Mark {
        &self.after
    }

    /// Whether something goes away.
    pub(super) const fn removes(&self) -> bool {
        self.after.is_absent()
    }

    pub(super) const fn removes_directory(&self) -> bool {
        matches!(
            (&self.before, &self.after),
            (Mark::Directory { .. }, Mark::Absent)
        )
    }

    /// Whether permission bits were given to the file by others since it was changed.
    pub(super) fn has_other_mode(&self, roots: &Roots) -> bool {
        match look_at(roots, &self.place, &self.before) {
            Ok(Found::File(_, Some(mode))) => {
                let known = [self.before.mode(), self.after.mode()];
                known.iter().any(Option::is_some) && !known.contains(&Some(mode))
            }
            _ => false,
        }
    }

    /// The standing of the place where a mark says what is there.
    pub(super) fn standing_of(&self, there: &Mark) -> Standing {
        match there {
            there if self.after.is_same(there) => Standing::After,
            there if self.before.is_same(there) => Standing::Before,
            _ => Standing::Neither(None),
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PlannedResult {
    pub(crate) result: Value,
    touched: Vec<Place>,
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
        if Digest::of(&bytes) == *digest {
            Ok(Some(bytes))
        } else {
            let message = format!("`{FILE_CHANGES}/{digest}` of the interrupted attempt is damaged");
            Err(NodeError::new("conflict", message).permanent())
        }
    }

    fn has(&self, digest: &Digest) -> bool {
        matches!(self.get(digest), Ok(Some(_)))
    }

    pub(crate) fn add(&mut self, content: &Arc<Content>) {
        self.computed.insert(content.digest(), content.clone());
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
    /// The plan of the operations.
    pub(crate) fn new(
        tree: &Tree<'_>,
        planned: &Planned,
        request_digest: Digest,
        step: &str,
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
        let result = |planning: &super::planned::Planning| {
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
    pub(crate) fn from_previous_attempt(
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
            check_format(&plan, &stored)?;
            let is_wanted = plan.request_digest == request_digest;
            // The project may have been moved since; what stands at each place is looked at before anything is changed. In
            // the first version the order depended on where the directories lay.
            let places = roots.real_paths();
            let is_same = plan.roots.iter().map(PathBuf::as_path).eq(places.iter().copied());
            if plan.roots.len() != places.len() || (plan.schema_version < 2 && places.len() > 1 && !is_same) {
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

    /// The change that takes back one which was made as planned, with the contents that are stored beside the plan.
    pub(super) fn reversed(mut plan: Plan, stored: Dir) -> Result<Self, NodeError> {
        check_format(&plan, &stored)?;
        for target in &mut plan.targets {
            std::mem::swap(&mut target.before, &mut target.after);
        }
        order(&mut plan.targets, "undo");
        Ok(Self {
            plan,
            images: Images {
                computed: HashMap::new(),
                stored: Some(stored),
            },
            goes_on: true,
        })
    }

    /// Whether the content that a place is to get is not there.
    pub(super) fn lacks(&self, target: &Target) -> bool {
        match &target.after {
            Mark::File { withheld: true, .. } => true,
            Mark::File { blake3, .. } => {
                target.after.other_mode(&target.before).is_none() && !self.images.has(blake3)
            }
            _ => false,
        }
    }

    /// Writes the plan, and before it what it needs. A crash before it leaves everything as it was.
    pub(crate) fn write(&self, step: &Dir, durability: Durability) -> Result<(), NodeError> {
        let dir = step.create_dir_all(FILE_CHANGES)?;
        let private = dir.clone().shared_with(Share::User);
        let marks = self.plan.targets.iter().flat_map(|t| [&t.before, &t.after]);
        // Of a content that also a private file has, the image is private.
        let mut images: HashMap<&Digest, bool> = HashMap::new();
        for mark in marks {
            if let Mark::File {
                blake3,
                kept,
                withheld: false,
                ..
            } = mark
            {
                let is_private = kept.mode.is_some_and(|mode| mode & 0o077 == 0);
                *images.entry(blake3).or_default() |= is_private;
            }
        }
        for (digest, is_private) in images {
            if let Some(bytes) = self.images.get(digest)? {
                let dir = if is_private { &private } else { &dir };
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
        Ok(dir.rename(PLAN, &dir, ROLLED_BACK, durability)?)
    }

    /// The earlier states, as far as they are kept, of the places of results that are not `made`.
    pub(crate) fn known(&self, made: &[bool]) -> Result<BTreeMap<Place, State>, NodeError> {
        let touched_where = |wanted: bool| -> BTreeSet<&Place> {
            let results = self
                .plan
                .results
                .iter()
                .zip(made)
                .filter(|(_, made)| **made == wanted);
            results.flat_map(|(planned, _)| &planned.touched).collect()
        };
        let (open, closed) = (touched_where(false), touched_where(true));
        let mut known = BTreeMap::new();
        for target in &self.plan.targets {
            if closed.contains(&target.place) && !open.contains(&target.place) {
                continue;
            }
            let state = match &target.before {
                Mark::Absent => State::Absent,
                Mark::Directory { kept } => State::Directory(Arc::new(kept.attributes())),
                Mark::Link { text } => State::Link(Arc::clone(text)),
                Mark::File { blake3, kept, .. } => match self.images.get(blake3)? {
                    None => continue,
                    Some(bytes) => State::File(Arc::new(Content::new(bytes, kept.attributes()))),
                },
            };
            known.insert(target.place.clone(), state);
        }
        Ok(known)
    }

    /// The results, by position, all of whose changes stand.
    pub(crate) fn made_results(&self, roots: &Roots) -> Result<Vec<bool>, NodeError> {
        let mut open = BTreeSet::new();
        for target in &self.plan.targets {
            if !matches!(self.standing(target, roots)?, Standing::After) {
                open.insert(&target.place);
            }
        }
        let stands = |planned: &PlannedResult| {
            planned.result["success"] == true && planned.touched.iter().all(|place| !open.contains(place))
        };
        Ok(self.plan.results.iter().map(stands).collect())
    }

    /// Whether a content that is still to be written was not kept.
    pub(crate) fn lacks_contents(&self) -> bool {
        let is_withheld = |target: &Target| matches!(target.after, Mark::File { withheld: true, .. });
        self.goes_on && self.plan.targets.iter().any(is_withheld)
    }

    /// Makes the changes. Says which places had their result already, and what could not be kept.
    ///
    /// Of an attempt that goes on, every place is looked at before anything is changed.
    pub(crate) fn apply(
        &self,
        roots: &Roots,
        durability: Durability,
        taken_back: bool,
        stop: &Stop,
    ) -> Result<Applied, Box<Failed>> {
        if self.goes_on {
            self.remove_temporaries(roots).map_err(Failed::before)?;
            self.check(roots).map_err(Failed::before)?;
        }
        let mut applied = Applied::default();
        let mut made: Vec<&Target> = Vec::new();
        let failed = |error, made: &[&Target], applied: &Applied| {
            let undone = taken_back.then(|| self.take_back(made, &applied.had, roots, durability));
            Box::new(Failed {
                error,
                made: made.len(),
                is_taken_back: undone == Some(true),
                tried_back: taken_back,
            })
        };
        for target in &self.plan.targets {
            let changed = if stop.is_set() {
                Err(stopped())
            } else {
                self.make(target, roots, durability)
            };
            match changed {
                Ok(Some(not_kept)) => {
                    made.push(target);
                    applied.note(&target.place, not_kept);
                }
                Ok(None) => {
                    applied.had.insert(target.place.clone());
                }
                Err(error) => return Err(failed(error, &made, &applied)),
            }
        }
        let directories = self
            .plan
            .targets
            .iter()
            .map(|target| (&target.place, &target.after));
        match finish_directories(directories, roots, durability) {
            Ok(not_kept) => {
                for (place, not_kept) in not_kept {
                    applied.note(place, not_kept);
                }
                Ok(applied)
            }
            Err(error) => Err(failed(error, &made, &applied)),
        }
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

    /// Refuses to continue where others changed what was to be changed.
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

    pub(super) fn standing(&self, target: &Target, roots: &Roots) -> Result<Standing, NodeError> {
        let found = look_at(roots, &target.place, &target.after)?;
        let there = match &found {
            Found::File(_, mode) => *mode,
            Found::Directory => match target.after.other_mode(&target.before) {
                Some(_) => roots.mode_of(&target.place)?,
                None => None,
            },
            _ => None,
        };
        if let (Some(mode), Some(_)) = (target.after.other_mode(&target.before), there)
            && there != Some(mode)
        {
            let is_before = target.before.is(&found) && there == target.before.mode();
            return Ok(if is_before {
                Standing::Before
            } else {
                Standing::Neither(None)
            });
        }
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

    /// Changes one place, and says what could not be kept; `None` if it had its result already.
    fn make(
        &self,
        target: &Target,
        roots: &Roots,
        durability: Durability,
    ) -> Result<Option<Vec<String>>, NodeError> {
        let place = &target.place;
        // Looked at again, right before: since the contents were computed others may have changed it.
        match self.standing(target, roots)? {
            Standing::After => return Ok(None),
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
        )
        .map(Some)
    }

    /// Puts what is wanted at a place in place of what is there. Says what could not be kept.
    fn put(
        &self,
        place: &Place,
        wanted: &Mark,
        there: &Mark,
        temporary: &str,
        roots: &Roots,
        durability: Durability,
    ) -> Result<Vec<String>, NodeError> {
        match (wanted, there) {
            (Mark::Directory { kept }, Mark::Directory { .. }) => {
                let dir = roots.directory(place)?;
                let given = dir.map(|dir| dir.give_attributes(&kept.attributes(), durability));
                return Ok(given.transpose()?.unwrap_or_default());
            }
            (Mark::Directory { kept }, _) => roots.make_directory(place, kept.mode.is_some(), durability)?,
            (Mark::Link { text }, _) => roots.make_link(place, text, durability)?,
            (Mark::File { blake3, kept, .. }, _) => {
                let parent = roots.existing_parent(place)?;
                if let Some(mode) = wanted.other_mode(there) {
                    parent.set_mode(place.name(), mode & 0o777, durability)?;
                    return Ok(Vec::new());
                }
                let bytes = self.images.get(blake3)?.ok_or_else(|| {
                    let message = format!(
                        "the content of `{}` was not kept, because a secret stands in it, and cannot be computed again",
                        roots.shown(place)
                    );
                    NodeError::new("conflict", message).permanent()
                })?;
                let attributes = kept.attributes();
                let name = place.name();
                return Ok(parent.replace_via_temporary(name, temporary, &bytes, &attributes, durability)?);
            }
            (Mark::Absent, Mark::Directory { .. }) => roots.remove_directory(place, durability)?,
            (Mark::Absent, _) => roots.remove_file(place, durability)?,
        }
        Ok(Vec::new())
    }

    /// Takes changes back, the last first; what others changed since is left. Whether all of it is as it was.
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
        let mut directories = Vec::new();
        for target in all.filter(|target| earlier(target) || made.iter().any(|m| std::ptr::eq(*m, *target))) {
            directories.push((&target.place, &target.before));
            let back = match self.standing(target, roots) {
                Ok(Standing::After) => self
                    .put(
                        &target.place,
                        &target.before,
                        &target.after,
                        &target.temporary,
                        roots,
                        durability,
                    )
                    .map(drop),
                Ok(Standing::Before) => Ok(()),
                Ok(Standing::Neither(_)) => Err(conflict(&roots.shown(&target.place), 0, 0)),
                Err(error) => Err(error),
            };
            if let Err(error) = back {
                is_whole = false;
                tracing::error!(path = %roots.shown(&target.place), %error, "a change could not be taken back");
            }
        }
        if let Err(error) = finish_directories(directories, roots, durability) {
            is_whole = false;
            tracing::error!(%error, "the attributes of a directory could not be taken back");
        }
        is_whole
    }

    /// The results of the operations. Those that found everything done say so, and those that could not keep something what.
    pub(crate) fn results(&self, Applied { had, not_kept }: &Applied) -> Vec<Value> {
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
            for (name, places) in not_kept {
                let lacking = planned
                    .touched
                    .iter()
                    .filter(|place| places.contains(place))
                    .count();
                if lacking > 0 {
                    result["not_kept"][name] = lacking.into();
                }
            }
            result
        };
        self.plan.results.iter().map(result).collect()
    }
}

/// The result of making changes.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    /// The places that had their result already.
    pub(crate) had: BTreeSet<Place>,
    /// By what could not be kept, the places at which it could not.
    not_kept: BTreeMap<String, BTreeSet<Place>>,
}

impl Applied {
    fn note(&mut self, place: &Place, not_kept: Vec<String>) {
        for name in not_kept {
            self.not_kept.entry(name).or_default().insert(place.clone());
        }
    }
}

/// Gives directories their attributes once everything in them stands: one that may not be written to could not get it
/// else. Says at which places what could not be kept.
fn finish_directories<'a>(
    marks: impl IntoIterator<Item = (&'a Place, &'a Mark)>,
    roots: &Roots,
    durability: Durability,
) -> Result<Vec<(&'a Place, Vec<String>)>, NodeError> {
    let mut not_kept = Vec::new();
    // From the inside outwards: what is around may be closed afterwards.
    let mut directories: Vec<(&Place, &Kept)> = marks
        .into_iter()
        .filter_map(|(place, mark)| match mark {
            Mark::Directory { kept } if *kept != Kept::default() => Some((place, kept)),
            _ => None,
        })
        .collect();
    directories.sort_by(|a, b| b.0.cmp(a.0));
    for (place, kept) in directories {
        if let Some(dir) = roots.directory(place)? {
            not_kept.push((place, dir.give_attributes(&kept.attributes(), durability)?));
        }
    }
    Ok(not_kept)
}

pub(super) enum Standing {
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

fn check_format(plan: &Plan, stored: &Dir) -> Result<(), NodeError> {
    match plan.schema_version {
        0..=FORMAT => Ok(()),
        version => {
            let place = stored.path().join(PLAN);
            let message = format!(
                "`{}` has version {version} of its format, and this program knows up to {FORMAT}",
                place.display()
            );
            Err(NodeError::new("conflict", message).permanent())
        }
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
        "{names} changed meanwhile: what stands there is neither what stood there before nor what was to be written, so \
         nothing of it was overwritten{progress}"
    );
    NodeError::new("conflict", message)
        .with_hint(
            "what was meant stands in `file_changes/` of the step: bring the file to its content from before or after \
             and resume the run, or skip the step when the run is resumed",
        )
        .permanent()
}

fn withhold(mark: Mark, state: &State, redactor: &Redactor) -> Mark {
    match (mark, state) {
        (
            Mark::File {
                blake3, len, kept, ..
            },
            State::File(content),
        ) => {
            let text = String::from_utf8_lossy(&content.bytes);
            Mark::File {
                blake3,
                len,
                kept,
                withheld: matches!(redactor.redact(&text), std::borrow::Cow::Owned(_)),
            }
        }
        (mark, _) => mark,
    }
}

/// Sorts the changes, and names their temporary files after the step, so that no other program has files of these names.
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

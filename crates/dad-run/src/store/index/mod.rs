//! The tree of a run for readers that look at a part of it at a time, however long the run is.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dad_core::{ComponentKind, Digest, HierarchyPath, NodeType, RunStatus, StatusCounts, StepStatus};
use dad_events::QuestionKind;
use dad_fs::Dir;

use self::lines::PlacedRecords;
use self::nodes::{Change, Kind, NodeId, Nodes, RUN};
use crate::error::RunError;
use crate::files::in_dot_run;
use crate::journal::reader::{Checker, LineError, Lines, Tail};
use crate::journal::record::{Record, RecordBody};
use crate::journal::state::{Entries, Progress, RunState, voided_by};
use crate::journal::step_committed::Totals;
use crate::layout::JOURNAL;
use crate::store::attempts::{StepAttempt, attempts_in};
use crate::store::follow::nodes as nodes_of;
use crate::store::lease;
use crate::store::view::{RunView, open_with_journal};

mod find;
mod lines;
mod nodes;
mod shown;

pub use self::find::{FindNodes, FoundNodes};
pub use self::shown::{IndexedNode, NodeKind, NodeRange, PlacedNode};

/// The records from one whose place is kept to the next.
const STRIDE: u64 = 256;
/// The changes that are kept in their order.
const RECENT: usize = 4096;

/// The tree of a run, read once and then followed.
///
/// A [`RunView`] holds what every step recorded; an index holds the place of each node in the tree, its status, and where the journal
/// has its records. Its memory is about eighty bytes for a node, and the details of a node are read when it is asked for.
///
/// ```no_run
/// use dad_run::RunIndex;
///
/// let mut index = RunIndex::open("runs/run_20260102_030405_0a1b2c")?;
/// index.follow()?;
/// for node in index.children(None, 0, 100)? {
///     println!("{} {}", node.path, node.status);
/// }
/// # Ok::<(), dad_run::RunError>(())
/// ```
#[derive(Debug)]
pub struct RunIndex {
    dir: Dir,
    dot_run: Dir,
    checker: Checker<'static>,
    progress: Progress,
    nodes: Nodes,
    /// The places of the first record and of each [`STRIDE`]th behind it.
    places: Vec<u64>,
    /// The last nodes that changed, each with the place of the record.
    recent: VecDeque<(u64, NodeId)>,
    types: NodeTypes,
}

/// The types of the nodes of a definition, by their paths without iterations.
#[derive(Debug, Default)]
struct NodeTypes {
    definition: Option<Digest>,
    types: HashMap<HierarchyPath, NodeType>,
}

/// A step or component of an index with what the journal has about it.
#[derive(Debug)]
#[non_exhaustive]
pub struct IndexedStep {
    /// The run with this entry alone.
    pub view: RunView,
    /// The attempts of the step.
    pub attempts: Vec<StepAttempt>,
}

/// The nodes that changed since a record.
#[derive(Debug)]
#[non_exhaustive]
pub struct ChangedNodes {
    /// Those that changed and the components around them, in the order in which the run came to them.
    pub nodes: Vec<IndexedNode>,
    /// Whether others changed too.
    pub more: bool,
}

impl RunIndex {
    /// Reads a run whose journal this program wrote.
    ///
    /// # Errors
    /// [`SetupError::OriginalSystem`](crate::SetupError::OriginalSystem) for runs without a journal, else what is wrong with the
    /// journal, by line.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, RunError> {
        let (dir, dot_run) = open_with_journal(dir.as_ref())?;
        let mut index = Self {
            dir,
            dot_run,
            checker: Checker::new(None),
            progress: Progress::default(),
            nodes: Nodes::new(),
            places: Vec::new(),
            recent: VecDeque::new(),
            types: NodeTypes::default(),
        };
        index.follow()?;
        Ok(index)
    }

    /// Takes in what was recorded since the last call, and says whether that was anything.
    ///
    /// # Errors
    /// If the journal cannot be read, is damaged, or was cut by a repair: then the index is to be opened anew.
    pub fn follow(&mut self) -> Result<bool, RunError> {
        let path = self.journal_path();
        let unreadable = |error: &dyn std::fmt::Display| RunError::unreadable(&path, error);
        let mut journal = self.dot_run.open_file(JOURNAL)?;
        let len = journal.metadata().map_err(|e| unreadable(&e))?.len();
        if len < self.checker.len {
            return Err(unreadable(&"it has become shorter: the run was repaired"));
        }
        if len == self.checker.len {
            return Ok(false);
        }
        journal
            .seek(SeekFrom::Start(self.checker.len))
            .map_err(|e| unreadable(&e))?;
        let mut lines = Lines::of(journal);
        let before = self.checker.records;
        while let Some(line) = lines.next().map_err(|e| unreadable(&e))? {
            // The driver is about to write the rest of it.
            let Some(text) = line.strip_suffix(b"\n") else {
                break;
            };
            let (number, place) = (self.checker.records + 1, self.checker.len);
            let checked = self.checker.check(text);
            let record = checked.map_err(|error| error.at(&path, number))?;
            self.checker.accept(text, line.len());
            self.apply(&record, place)
                .map_err(|reason| LineError::Damage(reason).at(&path, number))?;
        }
        self.learn_types();
        Ok(self.checker.records > before)
    }

    /// The number of records that were taken in.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.checker.records
    }

    /// The length of those records in the journal, in bytes.
    #[must_use]
    pub const fn len_read(&self) -> u64 {
        self.checker.len
    }

    /// The number of components, iterations and steps.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len() - 1
    }

    /// Whether the run has entered no component yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The status of the run.
    ///
    /// # Errors
    /// If its lease cannot be read.
    pub fn status(&self) -> Result<RunStatus, RunError> {
        let tally = &self.progress.tally;
        Ok(match tally.sealed {
            Some(status) => status,
            None if lease::is_held(&self.dot_run)? => RunStatus::Running,
            None if tally.epoch > 0 => RunStatus::Interrupted,
            None => RunStatus::Initialized,
        })
    }

    /// The totals of the steps that ended.
    #[must_use]
    pub const fn totals(&self) -> Totals {
        self.progress.tally.totals
    }

    /// The run without its tree: its status, totals, settings and open questions.
    ///
    /// # Errors
    /// If its lease cannot be read, or its first record is not there yet.
    pub fn view(&self) -> Result<RunView, RunError> {
        self.view_with(Entries::default())
    }

    /// A step or component with its attempts; `None` if the run has not come to it.
    ///
    /// # Errors
    /// If a record of it cannot be read.
    pub fn step(&self, path: &HierarchyPath) -> Result<Option<IndexedStep>, RunError> {
        let Some(id) = self.nodes.find(path) else {
            return Ok(None);
        };
        let node = self.nodes.get(id);
        let mut records = PlacedRecords::open(&self.dir)?;
        let found = match node.kind {
            Kind::Step => records.naming(path.as_str(), node.begun, node.recorded)?,
            Kind::Component | Kind::Loop => vec![records.at(node.begun)?, records.at(node.recorded)?],
            Kind::Iteration | Kind::Branch => Vec::new(),
        };
        let attempts = attempts_in(found.iter().cloned());
        let mut entries = Entries::default();
        for Record { seq, at, body } in found {
            entries.apply(seq, at, body, &self.progress);
        }
        Ok(Some(IndexedStep {
            view: self.view_with(entries)?,
            attempts,
        }))
    }

    fn view_with(&self, entries: Entries) -> Result<RunView, RunError> {
        let state = RunState {
            progress: self.progress.clone(),
            entries,
        };
        let end = self.checker.clone().end(Tail::Whole);
        RunView::of_state(Arc::new(self.dir.clone()), self.status()?, state, end)
    }

    /// The nodes that changed behind a record, at most so many of them: of more the last ones.
    ///
    /// # Errors
    /// If a record of one of them cannot be read.
    pub fn changed_since(&self, place: u64, most: usize) -> Result<ChangedNodes, RunError> {
        let changed = self.changed_ids(place);
        let more = changed.len() > most;
        let mut shown = BTreeSet::new();
        for id in changed.into_iter().take(most) {
            shown.insert(id);
            shown.extend(std::iter::successors(self.nodes.parent(id), |id| {
                self.nodes.parent(*id)
            }));
        }
        Ok(ChangedNodes {
            nodes: self.shown(shown)?,
            more,
        })
    }

    /// A place in the journal that no record behind the one of a number lies before.
    #[must_use]
    pub fn place_behind(&self, seq: u64) -> u64 {
        if seq >= self.checker.records {
            return self.checker.len;
        }
        let stride = usize::try_from(seq / STRIDE).unwrap_or(usize::MAX);
        self.places.get(stride).copied().unwrap_or(0)
    }

    /// The nodes that changed at a place or behind it, the last first.
    fn changed_ids(&self, place: u64) -> Vec<NodeId> {
        let mut seen = BTreeSet::new();
        let all_are_kept = self.recent.len() < RECENT;
        if all_are_kept || self.recent.front().is_some_and(|(first, _)| *first < place) {
            let behind = self.recent.iter().rev().take_while(|(at, _)| *at >= place);
            return behind.map(|(_, id)| *id).filter(|id| seen.insert(*id)).collect();
        }
        let last = NodeId::try_from(self.nodes.len()).unwrap_or(NodeId::MAX);
        let ids = (1..last).rev();
        ids.filter(|id| self.nodes.get(*id).recorded >= place).collect()
    }

    fn apply(&mut self, record: &Record, place: u64) -> Result<(), String> {
        if (record.seq - 1).is_multiple_of(STRIDE) {
            self.places.push(place);
        }
        let ended = match &record.body {
            RecordBody::StepCommitted(step) => self.step_counts(&step.path),
            _ => None,
        };
        if self.progress.tally.format >= 2 {
            self.progress.check(&record.body)?;
            if let RecordBody::StepCommitted(step) = &record.body {
                let status = ended.map(|(status, _)| status);
                Entries::check_end(step, status, &self.progress.open)?;
            }
        }
        let voided = voided_by(&record.body, &self.progress.open).and_then(|path| self.step_counts(path));
        let voided = voided.map(|(_, counts)| counts);
        self.progress.apply(record.seq, record.at, &record.body, voided);
        self.note(&record.body, place);
        Ok(())
    }

    /// The status of a step that ended, and how it counts.
    fn step_counts(&self, path: &HierarchyPath) -> Option<(StepStatus, StatusCounts)> {
        let node = self.nodes.get(self.nodes.find(path)?);
        let has_ended = node.kind == Kind::Step && node.status.is_terminal();
        has_ended.then(|| {
            let mut counts = StatusCounts::default();
            counts.add(node.status, node.is_taken);
            (node.status, counts)
        })
    }

    /// Notes what a record says of the tree.
    fn note(&mut self, body: &RecordBody, place: u64) {
        let change = |status, attempt| Change {
            status,
            attempt,
            is_taken: false,
            recorded: place,
        };
        let (path, kind, change) = match body {
            RecordBody::ComponentStarted { path, kind, .. } => {
                let kind = match kind {
                    ComponentKind::ForEach | ComponentKind::Repeat => Kind::Loop,
                    _ => Kind::Component,
                };
                (path, kind, change(StepStatus::Running, 0))
            }
            RecordBody::ComponentCompleted { path, status, .. } => {
                let known = self.nodes.find(path).map(|id| self.nodes.get(id).kind);
                (path, known.unwrap_or(Kind::Component), change(*status, 0))
            }
            RecordBody::Question { path, .. } => {
                let known = self.nodes.find(path).map(|id| *self.nodes.get(id));
                // A step that asks while it executes continues with the answer.
                let (status, attempt) = match known {
                    Some(node) if node.status == StepStatus::Running => (node.status, node.attempt.into()),
                    _ => (StepStatus::Waiting, 0),
                };
                (
                    path,
                    known.map_or(Kind::Step, |node| node.kind),
                    change(status, attempt),
                )
            }
            RecordBody::StepStarted { path, attempt, .. } => {
                (path, Kind::Step, change(StepStatus::Running, *attempt))
            }
            RecordBody::AttemptFailed { path, attempt, .. } => {
                let next = attempt.saturating_add(1);
                (path, Kind::Step, change(StepStatus::Running, next))
            }
            RecordBody::StepCommitted(step) => {
                let ended = Change {
                    is_taken: step.is_taken(),
                    ..change(step.status, step.attempt)
                };
                (&step.path, Kind::Step, ended)
            }
            _ => return,
        };
        let id = self.nodes.enter(path, kind, place);
        self.nodes.get_mut(id).kind = kind;
        self.nodes.change(id, &change);
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((place, id));
    }

    /// Reads the types of the nodes, if the run executes another definition than before. Without a definition that can be read no
    /// type is known: its damage is that of a file, which a check of the run reports.
    fn learn_types(&mut self) {
        let definition = self.progress.tally.definition;
        if definition == self.types.definition {
            return;
        }
        self.types = NodeTypes {
            definition,
            types: HashMap::new(),
        };
        if let Some(created) = &self.progress.tally.created
            && let Ok(recorded) = crate::store::definition_file::read_definition(&self.dir, definition)
        {
            let root = HierarchyPath::root(&created.root_id);
            let nodes = nodes_of(&recorded.definition, &root).into_iter();
            self.types.types = nodes.map(|(path, node)| (path, node.node_type)).collect();
        }
    }

    fn journal_path(&self) -> PathBuf {
        self.dir.path().join(in_dot_run(JOURNAL))
    }

    /// The kind of answer that the open question of a step or component asks for.
    fn asks_for(&self, path: &HierarchyPath) -> Option<QuestionKind> {
        let open = self.progress.open.questions.values();
        open.rev().find(|open| open.path == *path).map(|open| open.kind)
    }

    /// The number of a node by its path; the run itself without one.
    fn id_of(&self, path: Option<&HierarchyPath>) -> Option<NodeId> {
        path.map_or(Some(RUN), |path| self.nodes.find(path))
    }
}

//! Following a run that another process drives.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dad_core::{Definition, Element, ElementKind, HierarchyPath, NodeType, RunStatus};
use dad_events::{Event, RunInfo};
use dad_fs::Dir;

use crate::error::RunError;
use crate::files::RunFiles;
use crate::journal::reader::{Checker, Lines};
use crate::layout::{DOT_RUN, DOT_TRACE, JOURNAL};
use crate::rerun::plan::RerunPlan;
use crate::store::event_replay::{EventReplay, Replayed, may_retry};
use crate::store::lease;
use crate::store::view::RunView;

/// Reads the events of a run that another process drives, as they are recorded. Each record is read once; events that no record
/// tells of, such as texts of models that are still being written, are not among them.
///
/// ```no_run
/// use dad_run::{RunFollower, RunView};
///
/// # async fn example() -> Result<(), dad_run::RunError> {
/// let mut follower = RunFollower::new(&RunView::open("runs/run_20261201_101500_a1b2c3")?)?;
/// while follower.is_driven()? {
///     for event in follower.events()? {
///         println!("{:?}", event.event_type());
///     }
///     tokio::time::sleep(std::time::Duration::from_millis(200)).await;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RunFollower {
    run: Followed,
    info: Arc<RunInfo>,
    dot_run: Dir,
    journal: File,
    checker: Checker<'static>,
    replay: EventReplay,
}

/// The facts about the run that its events tell.
#[derive(Debug)]
struct Followed {
    dir: Dir,
    plan: Option<String>,
    nodes: HashMap<HierarchyPath, FollowedNode>,
}

impl RunFollower {
    /// Follows a run from its beginning: the first events are those that it has recorded already.
    ///
    /// # Errors
    /// If its directory, definition or plan cannot be read.
    pub fn new(run: &RunView) -> Result<Self, RunError> {
        let dir = Dir::open(run.dir())?;
        let dot_run = dir.open_dir(DOT_RUN)?;
        let info = RunInfo::new(
            run.run_id.clone(),
            run.root_id.clone(),
            dir.path().to_path_buf(),
            dir.path().join(DOT_TRACE),
        );
        Ok(Self {
            run: Followed {
                plan: run.plan()?.as_ref().map(RerunPlan::summary),
                nodes: nodes(&run.definition()?.definition, &info.root_path()),
                dir,
            },
            info: Arc::new(info),
            journal: dot_run.open_file(JOURNAL)?,
            dot_run,
            checker: Checker::new(None),
            replay: EventReplay::default(),
        })
    }

    /// The events that were recorded since the last call.
    ///
    /// # Errors
    /// If the journal cannot be read, is damaged, or was cut by a repair.
    pub fn events(&mut self) -> Result<Vec<Arc<Event>>, RunError> {
        Ok(self.next_events(usize::MAX)?.unwrap_or_default())
    }

    /// As [`events`](Self::events), but from so many records at most: of a run that has recorded very much, one part after the other.
    /// `None` if there is no further record.
    ///
    /// # Errors
    /// As there.
    pub fn next_events(&mut self, most: usize) -> Result<Option<Vec<Arc<Event>>>, RunError> {
        let path = self.journal_path();
        let unreadable = |error: &dyn std::fmt::Display| RunError::unreadable(&path, error);
        let len = self.journal.metadata().map_err(|e| unreadable(&e))?.len();
        if len < self.checker.len {
            return Err(unreadable(&"it has become shorter: the run was repaired"));
        }
        if len == self.checker.len {
            return Ok(None);
        }
        self.journal
            .seek(SeekFrom::Start(self.checker.len))
            .map_err(|e| unreadable(&e))?;
        let mut lines = Lines::of(&self.journal);
        let mut events = Vec::new();
        let mut left = most;
        while left > 0
            && let Some(line) = lines.next().map_err(|e| unreadable(&e))?
        {
            // The driver is about to write the rest of it.
            let Some(text) = line.strip_suffix(b"\n") else {
                break;
            };
            left -= 1;
            let number = self.checker.records + 1;
            let record = self
                .checker
                .check(text)
                .map_err(|error| error.at(&path, number))?;
            self.checker.accept(text, line.len());
            let at = record.at;
            if let Some(body) = self.replay.event(record, &self.run)? {
                events.push(Arc::new(Event::new(
                    Some(number),
                    at,
                    Arc::clone(&self.info),
                    body,
                )));
            }
        }
        Ok((left < most).then_some(events))
    }

    /// The run that the events are of.
    #[must_use]
    pub fn info(&self) -> &Arc<RunInfo> {
        &self.info
    }

    /// Whether a process drives the run.
    ///
    /// # Errors
    /// If its lease cannot be read.
    pub fn is_driven(&self) -> Result<bool, RunError> {
        lease::is_held(&self.dot_run)
    }

    /// The status with which the run was sealed, as far as its events were read; `None` if it is driven or was interrupted.
    #[must_use]
    pub fn sealed_status(&self) -> Option<RunStatus> {
        self.replay.progress.tally.sealed
    }

    fn journal_path(&self) -> PathBuf {
        self.run.dir.path().join(Path::new(DOT_RUN)).join(JOURNAL)
    }
}

impl Replayed for Followed {
    fn files(&self) -> &dyn RunFiles {
        &self.dir
    }

    fn steps(&self) -> usize {
        self.nodes.len()
    }

    fn plan(&self) -> Option<String> {
        self.plan.clone()
    }

    fn node_type(&self, path: &HierarchyPath) -> NodeType {
        let known = self.nodes.get(&path.without_iterations());
        known.map_or_else(|| NodeType::new(""), |node| node.node_type.clone())
    }

    fn may_retry(&self, path: &HierarchyPath) -> bool {
        let known = self.nodes.get(&path.without_iterations());
        known.is_some_and(|node| node.may_retry)
    }
}

/// The facts about a step's node that its events tell.
#[derive(Debug)]
pub(super) struct FollowedNode {
    pub(super) node_type: NodeType,
    may_retry: bool,
}

/// The nodes of a definition, by their paths without iterations.
pub(super) fn nodes(definition: &Definition, root: &HierarchyPath) -> HashMap<HierarchyPath, FollowedNode> {
    let mut found = HashMap::new();
    let body = &definition.body;
    add_nodes(&mut found, root, &body.elements);
    add_nodes(&mut found, root, &body.finally);
    found
}

fn add_nodes(found: &mut HashMap<HierarchyPath, FollowedNode>, around: &HierarchyPath, elements: &[Element]) {
    for element in elements {
        let path = around.child(&element.id);
        match &element.kind {
            ElementKind::Node(node) => add_node(found, path, &node.node_type, element),
            ElementKind::Callback(_) => add_node(found, path, &NodeType::CALLBACK, element),
            ElementKind::Conditional(conditional) => {
                add_nodes(found, &path.branch(true), &conditional.true_branch);
                add_nodes(found, &path.branch(false), &conditional.false_branch);
            }
            kind => kind
                .lists()
                .for_each(|(_, elements)| add_nodes(found, &path, elements)),
        }
    }
}

fn add_node(
    found: &mut HashMap<HierarchyPath, FollowedNode>,
    path: HierarchyPath,
    node_type: &NodeType,
    element: &Element,
) {
    let node = FollowedNode {
        node_type: node_type.clone(),
        may_retry: may_retry(element.options.retry.as_ref()),
    };
    found.insert(path, node);
}
